"""Lessons are whole in both languages, and the model shows what they are about."""

import base64
import json
import re
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import browser as driver
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


FORBIDDEN = {  # what a file cannot do -> how a text asks for it
    "a key": r"\b[Pp]ress\b|\b[Pp]rem[ie]|\bkey\b|\btasto\b|\b[KNFRU]\b(?!-)",
    "a cell to be chosen": r"[Cc]lick|[Cc]licc",
    "deaths that flash": r"[Ff]lash|[Ll]ampegg",
    "the ledger by another name": r"\bledger\b|\bregistro\b",
    "another dose, patient or run": r"\bset it\b|\bstart again\b|\brun other\b|\bimposta|\bricomincia\b|\bprova altri\b",
}


@cache
def recorded(key):
    """What the file of a lesson holds, of a recording that ends after a day, its measures made up: its words and its choices are whole."""
    lesson = lessons()[key]
    steps = tuple(step if step.day is None else replace(step, day=1.0) for step in lesson.steps)
    short = replace(lesson, key="short", choice=replace(lesson.choice, size=32), day=1, steps=steps, measures={})
    names = re.findall(r"[a-z_]+", " ".join([*lesson.shows, *re.findall(r"\{(\w+)", lesson.texts["en"].answer)]))
    return short, recording.record(short, Places())._replace(measured=dict.fromkeys(names, 1.0))


def said(text):
    return [text.question, text.experiment, *text.steps, text.answer, text.why, text.literature]


@pytest.mark.parametrize("language", ["en", "it"])
@pytest.mark.parametrize("key", list(lessons()))
def test_no_recorded_text_asks_for_what_a_file_cannot_do(key, language):
    """Neither a key nor a control that it lacks; and what stands in quotes is the title of one of its charts or of its bars."""
    text = lessons()[key].texts[language].recorded
    for sentence in said(text):
        for what, pattern in FORBIDDEN.items():
            assert not re.search(pattern, sentence), f"{what}: {sentence}"
    lesson, run = recorded(key)
    titles = {chart["title"] for chart in recording.curves_of(lesson, run.pair, language)} | {words(language)["ledger"]}
    quoted = {title for step in text.steps for title in re.findall(r"(?<!\w)'([^']+)'", step)}
    assert quoted <= titles


def test_what_is_forbidden_is_what_live_texts_ask_for():
    """Where the live page can do it, the pattern finds it: else the test above would prove nothing."""
    for language in ("en", "it"):
        live = [sentence for lesson in lessons().values() for sentence in said(lesson.texts[language])]
        for what in ("a key", "a cell to be chosen", "deaths that flash", "another dose, patient or run"):
            assert any(re.search(FORBIDDEN[what], sentence) for sentence in live), what


@pytest.mark.parametrize("key", list(lessons()))
def test_a_file_has_the_layers_the_cells_and_the_changes_of_its_steps(key):
    lesson, run = recorded(key)
    assert set(run.frames) == {lesson.layer, *(step.layer for step in lesson.steps if step.layer)}
    shown = recording.scenes(lessons()[key])
    ends = [step.day for step in lessons()[key].steps if step.day is not None]
    assert [scene.end for scene in shown][-1] == max(ends) and [scene.start for scene in shown[1:]] == [scene.end for scene in shown[:-1]]
    for scene, step in zip(shown, lesson.steps, strict=True):
        assert not step.layer or scene.layer == step.layer
        assert not step.alone or scene.alone == step.alone
    asked = [change for step in lesson.steps for change in step.change]
    assert [tuple(event)[1:] for event in run.pair.events if event not in lesson.choice.events] == asked
    data = json.loads(re.search(r"const DATA = (.*);\n", recording.html(lesson, run))[1])
    assert {kind["name"] for kind in data["kinds"]} >= {name.upper() for step in lesson.steps for name in step.alone if name != "all"}
    assert len(data["causes"]) == len(data["texts"]["it"]["causes"]) > 0


def test_a_change_of_a_step_happens_when_the_step_begins():
    """The niche is switched off on the right from the day on which the step before ends, and not before."""
    assert [(event.day, event.side, event.name, event.value) for event in recording.changes(lessons()["niche"])] == [
        (56.0, 1, "adhesion", 0.0)
    ]
    assert [event.day for event in recording.changes(lessons()["dose"])] == [0.0, 84.0]


def test_what_a_recorded_run_says_instead_must_have_its_place(tmp_path, monkeypatch):
    from tme_viz import lessons as module

    text = (module.FOLDER / "01_killing.toml").read_text(encoding="utf-8")
    (tmp_path / "01_killing.toml").write_text(text.replace("step_1 =", "step1 =", 1), encoding="utf-8")
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(InputError, match=r"lesson killing: \[en.recorded\] has no 'step1'; did you mean 'step_1'"):
        module.lessons.__wrapped__()


@pytest.mark.skipif(bool(driver.missing()), reason=f"the file is not opened here: {driver.missing()}")
def test_the_steps_of_a_file_act(tmp_path, chrome):
    """On a phone: the next step shows its layer and its types of cells, and plays to its day; the answer comes when it is due."""
    lesson = lessons()["killing"]
    target = tmp_path / "killing.html"
    export(replace(lesson, choice=replace(lesson.choice, size=32)), Places(), target)
    page = chrome.new_page(viewport={"width": 390, "height": 844})
    failed = []
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(f"{target.as_uri()}?language=en")
    page.wait_for_function("document.getElementById('day').textContent === 'Day 0'")
    reached = []
    for _ in lesson.steps:
        page.click("#next")
        page.wait_for_function("playing === 0")
        on = page.text_content("#layers button.on")
        reached.append((page.text_content("#day"), on, page.is_visible("#only"), page.is_visible("#answer")))
    assert reached == [
        ("Day 7", "Types of cells", True, False),
        ("Day 28", "CD38 sites", False, False),
        ("Day 56", "CD38 sites", False, True),
        ("Day 56", "CD38 sites", False, True),
    ]
    assert "ADCP (macrophages)" in page.text_content("#ledger") and page.evaluate("document.documentElement.scrollWidth") == 390
    assert failed == []
    page.close()


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
