"""A lesson as one HTML file that needs no server: its recorded run, with the player, its texts in both languages and its answer.

A picture is a byte a site, the type of the cell above and the level of the layer below, one for each layer that a step shows; each is kept
as its difference from the one before, and all are compressed. The steps act as on the live page, changes of a marrow included, so a text
asks for something else (`Text.recorded`) only where a file cannot do it.
"""

import base64
import json
import zlib
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tme_abm import __version__
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.marrow.cell_types import records
from tme_abm.marrow.cells import CellType
from tme_viz import charts
from tme_viz.allowed_files import Places
from tme_viz.choice import Event
from tme_viz.colours import CLONES, COLOURS, SEVERAL, SHADES, field_colours
from tme_viz.lessons import Lesson
from tme_viz.pair import Pair
from tme_viz.picture import ACTIVE, LAYERS, level
from tme_viz.trial_lesson import KEY as TRIAL
from tme_viz.trial_lesson import Grown, curves, measures, rows_of, small_study
from tme_viz.words import LANGUAGES, words

PLAYER = Path(__file__).with_name("player.html")
MOST_FRAMES = 85  # pictures of a run, evenly spaced; those of the days on which a step ends come on top
MOST_BYTES = 5_000_000  # of a file
PLAY_SECONDS = 15.0  # that a run takes to be played
TRIAL_EVERY = 5  # patients between two pictures of a trial that grows: the twenty of the answer are among them
THIN_SPACE = "\u202f"  # between thousands: a comma there is a decimal sign to an Italian
ALL = "all"  # types of cells that a step shows
WORDS = (  # of the page that the file uses too
    *("play", "pause", "day", "look", "next_step", "reset", "layer", "prediction", "experiment", "only_shown", "show_all"),
    *("you_predicted", "model_shows", "model_shows_neither", "why", "in_literature", "answer"),
    *("no_prediction", "right_prediction", "wrong_prediction", "browser_too_old", "patients", "km_months"),
    *("ledger", "ledger_unit", "m_protein", "plasma_cells", "best_confirmed", "not_yet_seen", "progressed"),
)


class Scene(NamedTuple):
    """What a step shows, with what the steps before it have left.

    Attributes:
        start: Day on which it begins.
        end: Day up to which time passes.
        layer: What is shown.
        alone: Names of the types of cells that are shown; `ALL` for all.
    """

    start: int
    end: int
    layer: str
    alone: tuple[str, ...]


class Recording(NamedTuple):
    """A recorded run.

    Attributes:
        pair: The pair at the end of the run.
        days: Days of the pictures.
        frames: Pictures by layer, each (n_days, 2, n_sites) uint8.
        measured: What the lesson measures.
        trial: Of a trial that grew, by how many patients were done, its survival curves and its hazard ratio by language; empty where the
            lesson has none.
    """

    pair: Pair
    days: list[int]
    frames: dict[str, np.ndarray]
    measured: dict[str, float]
    trial: dict[int, tuple[str, dict[str, str]]]


def scenes(lesson: Lesson) -> list[Scene]:
    """What its steps show, one after the other."""
    found: list[Scene] = []
    day, layer = 0, lesson.layer
    alone: tuple[str, ...] = (ALL,)
    for step in lesson.steps:
        start, day = day, day if step.day is None else int(step.day)
        layer, alone = step.layer or layer, step.alone or alone
        found.append(Scene(start, day, layer, alone))
    return found


def changes(lesson: Lesson) -> list[Event]:
    """What is changed in the marrows while they run: by the experiment, and by its steps at the day on which each begins."""
    by_steps = [Event(scene.start, *change) for scene, step in zip(scenes(lesson), lesson.steps, strict=True) for change in step.change]
    return [*lesson.choice.events, *by_steps]


def record(lesson: Lesson, places: Places, pause: Callable[[], None] = lambda: None) -> Recording:
    """Run the experiment of a lesson up to the end of its last step, and take pictures on the way."""
    pair = Pair(lesson.choice, places)
    played, events = scenes(lesson), changes(lesson)
    ends = {lesson.day, *(scene.end for scene in played)}
    every = max(1, -(-max(ends) // (MOST_FRAMES - 1)))
    days = sorted({*range(0, max(ends), every), *ends})
    layers = dict.fromkeys([lesson.layer, *(scene.layer for scene in played)])
    frames: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for day in days:
        pair.go_to(day, [event for event in events if event.day <= day], pause)
        for layer, taken in frames.items():
            taken.append(np.stack([picture(side.simulation, layer) for side in pair.sides]))
    stacked = {layer: np.stack(taken) for layer, taken in frames.items()}
    if lesson.key != TRIAL:
        return Recording(pair, days, stacked, lesson.measure((pair.table(0), pair.table(1)), pair.columns), {})
    study = small_study(places)
    trial, grown = Grown([]), {}
    for patient in rows_of(study):
        pause()
        trial = trial.joined(study, patient)
        if trial.n % TRIAL_EVERY == 0:
            said = {language: " ".join(trial.said(words(language))).strip() for language in LANGUAGES}
            grown[trial.n] = (curves(study, trial.rows, ("var(--a)", "var(--b)"), ""), said)
    return Recording(pair, days, stacked, measures(study, trial.rows), grown)


def picture(simulation: Any, layer: str) -> np.ndarray:
    """Types and levels of all sites as a byte each."""
    shown = level(simulation, layer)
    low = shown & 7 if layer == "clone" else shown >> 4
    joined: np.ndarray = (simulation.marrow.cells.kind.astype(np.uint8) << 4) | low.astype(np.uint8)
    return joined


def packed(frames: np.ndarray) -> str:
    """Pictures as text: differences from one to the next, compressed."""
    flat = frames.reshape(len(frames), -1)
    change = flat.copy()
    change[1:] ^= flat[:-1]
    return base64.b64encode(zlib.compress(change.tobytes(), 9)).decode()


def html(lesson: Lesson, recording: Recording) -> str:
    """The file of a lesson."""
    pair = recording.pair
    measured = recording.measured
    tables = (pair.table(0), pair.table(1))
    at = {name: i for i, name in enumerate(pair.columns)}
    drawn = curves_of(lesson, pair, "en")
    of_causes = [cause for cause in charts.causes(pair, "en") if any(table[-1, cause["column"]] > 0 for table in tables)]
    used = [at["day"], at["m_protein_g_per_l"], at["plasma_cells"], *(cause["column"] for cause in of_causes)]
    used += [series[key] for chart in drawn for series in chart["series"] for key in ("column", "doses") if key in series]
    used = list(dict.fromkeys(used))
    place = {column: i for i, column in enumerate(used)}
    rows = np.concatenate([table[:, used] for table in tables]).astype("<f4")
    kinds = [{"name": "", "colour": "", "radius": 0.0, "is_plasma": False, "is_active": False}]
    for kind, each in records().items():
        is_plasma, is_active = kind is CellType.PLASMA, int(kind) in ACTIVE
        kinds.append({"name": kind.name, "colour": each.colour, "radius": each.radius, "is_plasma": is_plasma, "is_active": is_active})
    data = {
        "size": pair.choice.size,
        "days": recording.days,
        "due": lesson.day,
        "frames": {layer: packed(taken) for layer, taken in recording.frames.items()},
        "layers": {layer: _look(layer) for layer in recording.frames},
        "scenes": [scene._asdict() for scene in scenes(lesson)],
        "rows": base64.b64encode(zlib.compress(rows.tobytes(), 9)).decode(),
        "width": len(used),
        "charts": [_drawn(chart, place) for chart in drawn],
        "causes": [[place[cause["column"]], cause["colour"]] for cause in of_causes],
        "events": [[event.day, event.side] for event in pair.events if event.day > 0],
        "visits": [[[visit.reading.day, visit.assessment.best_confirmed_response] for visit in side.visits] for side in pair.sides],
        "progression": [_progression(side) for side in pair.sides],
        "kinds": kinds,
        "clones": list(CLONES),
        "shown": lesson.outcome(measured),
        "trial": [[n, drawing, said] for n, (drawing, said) in recording.trial.items()],
        "pace": round(1000.0 * PLAY_SECONDS / len(recording.days)),
        "words": {language: _words(lesson, recording, language) for language in LANGUAGES},
        "texts": {language: _texts(lesson, pair, of_causes, measured, language) for language in LANGUAGES},
    }
    title = escape(lesson.texts["en"].title)
    return (
        PLAYER.read_text(encoding="utf-8")
        .replace("<title>TITLE", f"<title>{title}")
        .replace("RECORDED;", json.dumps(data, ensure_ascii=False).replace("</", "<\\/") + ";", 1)
    )


def curves_of(lesson: Lesson, pair: Pair, language: str) -> list[dict[str, Any]]:
    """The charts that stand beside its recorded run, as `charts` describes them.

    Raises:
        InputError: Where the lesson names a chart or a column that there is not.
    """
    w, known = words(language), charts.charts(pair, language)
    whole = {chart["key"]: chart for chart in known}
    single = {pair.columns[series["column"]]: (chart, series) for chart in known for series in chart["series"]}
    found = [whole["m_protein"]]
    for name in lesson.charts:
        if name in whole:
            found.append(whole[name])
        elif name in single:
            chart, series = single[name]
            label = w["plasma_cells"] if series["label"] == w["all_cells"] else series["label"]
            title = label if label in (chart["title"], w["plasma_cells"]) else f"{chart['title']}: {label}"
            found.append({**chart, "title": title, "series": [{**series, "colour": ""}]})  # one colour an arm
        else:
            raise InputError(f"lesson {lesson.key}: there is no chart '{name}'{did_you_mean(name, [*whole, *single])}")
    return found


def _drawn(chart: dict[str, Any], place: dict[int, int]) -> dict[str, Any]:
    """A chart without its words, its columns those of the file."""
    series = [
        {key: place[value] if key in ("column", "doses") else value for key, value in one.items() if key != "label"}
        for one in chart["series"]
    ]
    return {"log": chart["log"], "floor": chart["floor"], "top": chart["top"], "series": series}


def _look(layer: str) -> dict[str, Any]:
    """The colours of a layer on a light and on a dark page."""
    colours = {
        name: {"field": list(field_colours(layer, dark)), "ramp": list(SHADES[dark].ramp)}
        for name, dark in (("light", False), ("dark", True))
    }
    return {"is_field": LAYERS[layer].is_field, **colours}


def _progression(side: Any) -> list[float] | None:
    """Day of progression and the day of the visit that confirmed it; None where none was."""
    confirmed = next((visit.reading.day for visit in side.visits if visit.assessment.is_progression_confirmed), None)
    return None if confirmed is None or side.progression_day is None else [side.progression_day, confirmed]


def _words(lesson: Lesson, recording: Recording, language: str) -> dict[str, Any]:
    w = words(language)
    other = next(name for key, name in LANGUAGES.items() if key != language)
    layers = {layer: w["cell_types"] if layer == "none" else w[layer] for layer in recording.frames}
    kinds = {kind.name: w[kind.name] for kind in records()}
    due = w["answer_due"].format(lesson.day)
    return {name: w[name] for name in WORDS} | {"other": other, "layers": layers, "kinds": kinds, "due": due}


def _keys(layer: str, language: str) -> dict[str, Any]:
    """What the colours of a layer mean: dots with their words, and a scale with its ends and what it measures."""
    w = words(language)
    if layer == "clone":
        named = (("sensitive", 0), ("carrying_imid", 1), ("carrying_proteasome", 2), ("carrying_antibody", 4))
        return {"dots": [*([w[word], CLONES[clone]] for word, clone in named), [w["several"], SEVERAL]], "scale": None}
    shown = LAYERS[layer]
    dots = [[w[kind.name], COLOURS[kind.name]] for kind in records()] if shown.is_field else []
    if layer == "none":
        return {"dots": dots, "scale": None}
    ends = w["ends"].get(layer) or [f"{end:,.10g}".replace(",", THIN_SPACE) for end in (shown.low, shown.high)]
    return {"dots": dots, "scale": [w[layer], *ends, w["scale"][layer]]}


def _texts(lesson: Lesson, pair: Pair, of_causes: list[dict[str, Any]], measured: dict[str, float], language: str) -> dict[str, Any]:
    w, text = words(language), lesson.texts[language].recorded
    sides = []
    for side, regimen in enumerate(pair.regimens):
        off = sorted(pair.study.settings.catalogue.by_name[name].words(language).label for name in pair.choice.without[side])
        sides.append(f"{regimen.label} - {', '.join(off)} {w['off']}" if off else regimen.label)
    named = {cause["name"]: cause["label"] for cause in charts.causes(pair, language)}
    return {
        "title": text.title,
        "question": text.question,
        "options": list(text.options),
        "experiment": text.experiment,
        "steps": list(text.steps),
        "answer": text.answered(measured),
        "why": text.why,
        "literature": text.literature,
        "sides": sides,
        "charts": [[chart["title"], chart["unit"], [s["label"] for s in chart["series"]]] for chart in curves_of(lesson, pair, language)],
        "causes": [named[cause["name"]] for cause in of_causes],
        "keys": {layer: _keys(layer, language) for layer in dict.fromkeys([lesson.layer, *(s.layer for s in scenes(lesson))])},
        "foot": f"{w['recorded_foot'].format(__version__)} {w['source']}: {lesson.source}.",
    }


def export(lesson: Lesson, places: Places, target: Path) -> int:
    """Write a lesson into a file; its size in bytes.

    Raises:
        InputError: Where it cannot be written, or would be larger than a phone should load.
    """
    content = html(lesson, record(lesson, places)).encode("utf-8")
    if len(content) > MOST_BYTES:
        raise InputError(f"lesson {lesson.key}: {len(content) / 1e6:.1f} MB, more than {MOST_BYTES / 1e6:g}")
    try:
        target.write_bytes(content)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}") from None
    return len(content)
