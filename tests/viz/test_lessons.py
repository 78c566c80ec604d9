"""Lessons are whole in both languages, and the model shows what they are about."""

import base64
import re
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tme_viz import recording
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice
from tme_viz.lesson_check import check
from tme_viz.lessons import Measure, holds, lessons
from tme_viz.live import scale
from tme_viz.pair import Pair
from tme_viz.picture import LAYERS, level
from tme_viz.recording import export, packed, picture
from tme_viz.words import drug, phrase, words

from tme_abm.foundation.errors import InputError
from tme_abm.marrow.cells import CellType
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
        "granzyme": ("empty", "full"),
    }
    assert set(said) == set(LAYERS) - {"clone", "none"}
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
    assert len(lessons()) >= 12
    for lesson in lessons().values():
        english, italian = lesson.texts["en"], lesson.texts["it"]
        assert len(english.options) == len(italian.options) >= 2
        assert english.question.endswith("?") and italian.question.endswith("?")
        assert lesson.source


@pytest.mark.parametrize("key", list(lessons()))
def test_the_model_shows_what_the_lesson_says(key):
    """The quantity that the text asks about, in the prepared pair and in five twins: at least five of the six must agree."""
    found = check(lessons()[key], Places())
    assert found.is_true, f"{found.agree} of {found.of} agree; in the pair: {found.own}; {found.measured}"
    for language in ("en", "it"):
        said = lessons()[key].answer(found.measured, language)
        assert "{" not in said and "nan" not in said and re.search(r"\d", said)


def test_a_lesson_that_is_not_true_fails_its_check():
    """Where the claimed effect is switched off on both sides, nobody agrees."""
    lesson = lessons()["adenosine"]
    off = replace(lesson.choice, without=(frozenset({"ectoenzyme"}), frozenset({"ectoenzyme"})))
    found = check(replace(lesson, choice=off), Places())
    assert not found.is_true and found.agree == 0


def test_conditions_compare_measures_and_nothing_else():
    assert holds("a < 0.8 * b and c >= 1", {"a": 1.0, "b": 2.0, "c": 1.0})
    assert not holds("a < 0.8 * b or 2 > c > 1", {"a": 2.0, "b": 2.0, "c": 1.0})
    with pytest.raises(InputError, match="did you mean 'deep'"):
        holds("dep > 1", {"deep": 1.0})
    with pytest.raises(InputError, match="compares measures"):
        holds("__import__('os')", {})


def test_steps_name_what_there_is():
    for lesson in lessons().values():
        day = 0.0
        assert len(lesson.steps) == len(lesson.texts["en"].steps) == len(lesson.texts["it"].steps)
        assert lesson.layer in LAYERS
        for step in lesson.steps:
            assert not step.layer or step.layer in LAYERS
            assert all(name == "all" or name.upper() in CellType.__members__ for name in step.alone)
            assert step.day is None or step.day >= day
            day = step.day or day
        assert day >= lesson.day  # the steps lead to the answer
        assert 0 <= lesson.right < len(lesson.shows) == len(lesson.texts["en"].options)


def test_the_measures_by_hand():
    columns = ("day", "plasma_cells", "deaths_adcc", "tumour_cells_total", "clone_sensitive")
    table = np.array([[0, 100, 0, 1e9, 5e8], [1, 80, 4, 8e8, 2e8], [2, 50, 10, 5e8, 1e8], [3, 60, 13, 6e8, 6e7]], float)

    def value(column, how, days=(0, 3)):
        return Measure(1, column, how, days).of((np.zeros_like(table), table), columns)

    assert value("plasma_cells", "value") == 60 and value("plasma_cells", "mean", (1, 2)) == 65
    assert value("plasma_cells", "least") == 50 and value("plasma_cells", "fold") == pytest.approx(0.6)
    assert value("deaths_adcc", "rise", (1, 3)) == 9
    assert value("deaths_adcc", "rate") == pytest.approx(1000 * 13 / 190)
    assert value("clone_sensitive", "share") == pytest.approx(0.1) and value("clone_sensitive", "other_share") == pytest.approx(0.9)
    assert value("tumour_cells_total", "from_least") == pytest.approx(1.2)


def test_the_table_of_the_document_is_the_lessons_of_now():
    document = (Path(__file__).parents[2] / "docs" / "lessons.md").read_text(encoding="utf-8")
    rows = [row for row in document.splitlines() if re.match(r"\| \d+\. ", row)]
    titles = [lesson.texts["en"] for lesson in lessons().values()]
    assert [row.split(" | ")[0] for row in rows] == [f"| {n}. {text.title}" for n, text in enumerate(titles, 1)]
    for row, lesson in zip(rows, lessons().values(), strict=True):
        cells = row.strip("| ").split(" | ")
        agree, of = map(int, re.match(r"(\d+) of (\d+)", cells[5]).groups())
        assert cells[1] == lesson.texts["en"].options[lesson.right] and cells[3] == "yes" and of == 20 and agree >= 16


def test_a_recorded_lesson_is_one_file_that_needs_nothing(tmp_path):
    lesson = replace(lessons()["nk_cells"], choice=replace(lessons()["nk_cells"].choice, size=32))
    target = tmp_path / "nk.html"
    n = export(lesson, Places(), target)
    text = target.read_text(encoding="utf-8")
    assert n == target.stat().st_size < 300_000
    assert not re.search(r"""(src|href)=["']?(?!data:)[a-z/]""", text) and "http" not in text.replace("http://www.w3.org", "")
    assert lesson.texts["it"].question in text and lesson.texts["en"].why in text


def test_the_pictures_of_a_recording_come_back(tmp_path):
    rng = np.random.default_rng(2)
    frames = rng.integers(0, 256, (5, 2, 64)).astype(np.uint8)
    raw = np.frombuffer(zlib.decompress(base64.b64decode(packed(frames))), np.uint8).reshape(5, 128).copy()
    for k in range(1, 5):
        raw[k] ^= raw[k - 1]
    assert (raw.reshape(frames.shape) == frames).all()


def test_a_marrow_in_a_recording_is_the_marrow():
    pair = Pair(Choice(scenario="combinations", arms=("isa-pd", "pd"), size=32), Places())
    simulation = pair.sides[0].simulation
    shown = picture(simulation, "cd38")
    assert (shown >> 4 == simulation.marrow.cells.kind).all() and (shown & 15 == level(simulation, "cd38") >> 4).all()


def test_the_recorded_lesson_of_the_page_is_whole():
    text = (Path(recording.__file__).with_name("recorded.html")).read_text(encoding="utf-8")
    assert "RECORDED;" not in text and len(text) > 100_000
