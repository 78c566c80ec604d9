"""Lessons are whole in both languages, and the model shows what they are about."""

import re
from types import SimpleNamespace

import pytest
from tme_viz.allowed_files import Places
from tme_viz.lessons import lessons
from tme_viz.live import scale
from tme_viz.pair import Pair
from tme_viz.picture import LAYERS
from tme_viz.words import drug, phrase, words

from tme_abm.mechanisms.outside.catalogue import PLAIN
from tme_abm.patients.presets import presets


def keys(table, head=""):
    return {f"{head}{k}" for k in table} | {name for k, v in table.items() if isinstance(v, dict) for name in keys(v, f"{head}{k}.")}


def test_both_languages_have_the_same_words():
    assert keys(words("en")) == keys(words("it"))


def test_every_preset_and_cause_has_a_name():
    for language in ("en", "it"):
        w = words(language)
        assert set(w["preset"]) == set(presets())
        assert set(w["cause"]) == set(PLAIN.causes)


def test_a_scale_says_where_a_layer_begins_and_ends():
    said = {
        "adenosine": ("0", "1.5"),
        "il6": ("0", "2"),
        "chemokine": ("0", "2"),
        "cd38": ("1\u202f000", "1\u202f000\u202f000"),
        "activity": ("exhausted", "fresh"),
    }
    assert set(said) == set(LAYERS) - {"clone"}
    for language in ("en", "it"):
        assert set(words(language)["scale"]) == set(said)
    for name, ends in said.items():
        shown = scale(SimpleNamespace(w=words("en"), layer=SimpleNamespace(value=name)), False)
        note = words("en")["scale"][name]
        assert re.fullmatch(f"{ends[0]}<b [^>]*></b>{ends[1]} <em>{re.escape(note)}</em>", shown)


def test_what_the_model_says_has_italian_words():
    assert drug("dexamethasone", "it") == "desametasone" and drug("isatuximab", "it") == "isatuximab"
    assert phrase("Isa-Pd vs Pd, age: 75 years or older", "it") == "Isa-Pd vs Pd, età: 75 anni o più"
    assert phrase("0.28 (0.12 to 0.65)", "it") == "0.28 (0.12 a 0.65)"
    assert phrase("Total", "it") == "Total" and phrase("Patients (%)", "en") == "Patients (%)"


def test_lessons_are_whole():
    assert len(lessons()) >= 9
    for lesson in lessons().values():
        english, italian = lesson.texts["en"], lesson.texts["it"]
        assert len(english.options) == len(italian.options) >= 2
        assert len(english.look) == len(italian.look) >= 2
        assert english.question.endswith("?") and italian.question.endswith("?")
        assert lesson.source


@pytest.mark.parametrize("key", list(lessons()))
def test_the_model_shows_what_the_lesson_is_about(key):
    lesson = lessons()[key]
    two = Pair(lesson.choice, Places())
    two.advance(lesson.expect.day * two.per_day)
    column = two.columns.index(lesson.expect.column)
    left, right = (side.rows[lesson.expect.day][column] for side in two.sides)
    assert left < lesson.expect.factor * right
