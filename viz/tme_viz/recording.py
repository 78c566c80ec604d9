"""A lesson as one HTML file that needs no server: its recorded run, with the player, its texts in both languages and its answer.

A picture is a byte a site, the type of the cell above and the level of the layer below; each is kept as its difference from the one
before, and all are compressed.
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
from tme_abm.foundation.errors import InputError
from tme_abm.marrow.cell_types import records
from tme_abm.marrow.cells import CellType
from tme_viz import charts
from tme_viz.allowed_files import Places
from tme_viz.colours import CLONES, COLOURS, SEVERAL, SHADES, field_colours
from tme_viz.lessons import Lesson
from tme_viz.pair import Pair
from tme_viz.picture import ACTIVE, LAYERS, level
from tme_viz.trial_lesson import KEY as TRIAL
from tme_viz.trial_lesson import curves, measures, rows_of, small_study
from tme_viz.words import LANGUAGES, words

PLAYER = Path(__file__).with_name("player.html")
MOST_FRAMES = 85  # pictures of a run, evenly spaced, the last one at its end
MOST_BYTES = 5_000_000  # of a file
PLAY_SECONDS = 15.0  # that a run takes to be played
TRIAL_EVERY = 4  # patients between two pictures of a trial that grows
LOG_CHARTS = ("tumour_cells_total", "clone_")


class Recording(NamedTuple):
    """A recorded run.

    Attributes:
        pair: The pair at the end of the run.
        days: Days of the pictures.
        frames: Pictures, (n_days, 2, n_sites) uint8.
        measured: What the lesson measures.
        trial: Survival curves of a trial that grew, by how many patients were done; empty where the lesson has none.
    """

    pair: Pair
    days: list[int]
    frames: np.ndarray
    measured: dict[str, float]
    trial: dict[int, str]


def record(lesson: Lesson, places: Places, pause: Callable[[], None] = lambda: None) -> Recording:
    """Run the experiment of a lesson, and take pictures on the way."""
    pair = Pair(lesson.choice, places)
    every = max(1, -(-lesson.day // (MOST_FRAMES - 1)))
    days = sorted({*range(0, lesson.day, every), lesson.day})
    frames = []
    for day in days:
        pair.go_to(day, [event for event in lesson.choice.events if event.day <= day], pause)
        frames.append(np.stack([picture(side.simulation, lesson.layer) for side in pair.sides]))
    if lesson.key != TRIAL:
        return Recording(pair, days, np.stack(frames), lesson.measure((pair.table(0), pair.table(1)), pair.columns), {})
    study = small_study(places)
    rows: list[dict[str, Any]] = []
    grown = {}
    for n, patient in enumerate(rows_of(study), 1):
        pause()
        rows += patient
        if n % TRIAL_EVERY == 0:
            grown[n] = curves(study, rows, ("var(--a)", "var(--b)"), "")
    return Recording(pair, days, np.stack(frames), measures(study, rows), grown)


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
    tables = (pair.table(0), pair.table(1))
    measured = recording.measured
    chosen = ["day", "m_protein_g_per_l", lesson.chart]
    at = [pair.columns.index(name) for name in chosen]
    rows = np.concatenate([table[:, at] for table in tables]).astype(np.float32)
    kinds = [{"colour": "", "radius": 0.0, "is_plasma": False, "is_active": False}]
    for kind, each in records().items():
        kinds.append({"colour": each.colour, "radius": each.radius, "is_plasma": kind is CellType.PLASMA, "is_active": int(kind) in ACTIVE})
    look = {}
    for name, dark in (("light", False), ("dark", True)):
        look[name] = {"field": list(field_colours(lesson.layer, dark)), "ramp": list(SHADES[dark].ramp)}
    data = {
        "size": pair.choice.size,
        "days": recording.days,
        "frames": packed(recording.frames),
        "rows": base64.b64encode(rows.tobytes()).decode(),
        "columns": chosen,
        "layer": lesson.layer,
        "is_field": LAYERS[lesson.layer].is_field,
        "chart_is_log": lesson.chart.startswith(LOG_CHARTS),
        "kinds": kinds,
        "clones": list(CLONES),
        "look": look,
        "shown": lesson.outcome(measured),
        "trial": [[n, drawn] for n, drawn in recording.trial.items()],
        "pace": round(1000.0 * PLAY_SECONDS / len(recording.days)),
        "words": {language: _words(language) for language in LANGUAGES},
        "texts": {language: _texts(lesson, pair, measured, language) for language in LANGUAGES},
    }
    title = escape(lesson.texts["en"].title)
    return (
        PLAYER.read_text(encoding="utf-8")
        .replace("<title>TITLE", f"<title>{title}")
        .replace("RECORDED;", json.dumps(data, ensure_ascii=False).replace("</", "<\\/") + ";", 1)
    )


def _words(language: str) -> dict[str, str]:
    w = words(language)
    named = {
        "play": "play",
        "pause": "pause",
        "day": "day",
        "look": "look",
        "predicted": "you_predicted",
        "shows": "model_shows",
        "neither": "model_shows_neither",
        "why": "why",
        "known": "in_literature",
        "none": "no_prediction",
        "right": "right_prediction",
        "wrong": "wrong_prediction",
        "too_old": "browser_too_old",
        "patients": "patients",
        "km": "km_months",
    }
    other = next(name for key, name in LANGUAGES.items() if key != language)
    return {key: w[name] for key, name in named.items()} | {"other": other}


def _texts(lesson: Lesson, pair: Pair, measured: dict[str, float], language: str) -> dict[str, Any]:
    w, text = words(language), lesson.texts[language]
    sides = []
    for side, regimen in enumerate(pair.regimens):
        off = sorted(pair.study.settings.catalogue.by_name[name].words(language).label for name in pair.choice.without[side])
        sides.append(f"{regimen.label} - {', '.join(off)} {w['off']}" if off else regimen.label)
    if lesson.layer == "clone":
        named = (("sensitive", 0), ("carrying_imid", 1), ("carrying_proteasome", 2), ("carrying_antibody", 4))
        keys = [[w[word], CLONES[clone]] for word, clone in named] + [[w["several"], SEVERAL]]
    elif LAYERS[lesson.layer].is_field:
        keys = [[w[kind.name], COLOURS[kind.name]] for kind in records()]
    else:
        keys = [[f"{w[lesson.layer]}: {word}", SHADES[False].ramp[end]] for word, end in ((w["low"], 0), (w["high"], -1))]
    titles = {series["column"]: (chart, series) for chart in charts.charts(pair, language) for series in chart["series"]}
    chart, series = titles[pair.columns.index(lesson.chart)]
    second = (
        f"{chart['title']}: {series['label']}, {chart['unit']}"
        if series["label"] != chart["title"]
        else f"{chart['title']}, {chart['unit']}"
    )
    return {
        "title": text.title,
        "question": text.question,
        "options": list(text.options),
        "steps": list(text.steps),
        "answer": lesson.answer(measured, language),
        "why": text.why,
        "literature": text.literature,
        "sides": sides,
        "charts": [f"{w['m_protein']}, g/L ({w['month_unit']})", second],
        "keys": keys,
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
