"""The lessons: a TOML file each, in the order of their numbers.

A lesson asks a question whose answer the model gives: it measures quantities of both marrows, and each prediction that can be chosen has a
condition on them. What the model shows is the first prediction whose condition holds. The same measures fill the answer that the visitor
reads and the check that the lesson is true.
"""

import ast
import math
import operator
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_viz.choice import Choice, values_by_name

FOLDER = Path(__file__).with_name("lessons")
KEYS = {"title", "question", "options", "experiment", "steps", "answer", "why", "literature"}
RECORDED = "recorded"  # table of the texts that a recorded run has instead
OTHERWISE = {"question", "experiment", "answer", "why", "literature"}  # beside the steps
NEITHER = -1  # what the model shows where the condition of no prediction holds
OPERATORS: Mapping[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


@dataclass(frozen=True)
class Text:
    """A lesson in one language.

    Attributes:
        title: What it is about.
        question: Asked before anything runs.
        options: Predictions to choose from.
        experiment: What is prepared on either side.
        steps: What to look for, in order; each does something by itself (`Step`).
        answer: What the model showed, with its measures in braces.
        why: Why it does.
        literature: What was seen in the laboratory and in patients, where the model differs from it too.
        instead: What a recorded run says instead, where a text asks for what only the live page can do: by `step_1` and so on, or by the
            name of the text.
    """

    title: str
    question: str
    options: tuple[str, ...]
    experiment: str
    steps: tuple[str, ...]
    answer: str
    why: str
    literature: str
    instead: Mapping[str, str] = field(default_factory=dict)

    @property
    def recorded(self) -> "Text":
        """The same lesson as a recorded run tells it."""
        steps = tuple(self.instead.get(f"step_{number}", step) for number, step in enumerate(self.steps, 1))
        others: dict[str, Any] = {name: text for name, text in self.instead.items() if name in OTHERWISE}
        return replace(self, steps=steps, instead={}, **others)

    def answered(self, measured: Mapping[str, float]) -> str:
        """The answer with its measures."""
        return self.answer.format(**{name: Written(value) for name, value in measured.items()})


@dataclass(frozen=True)
class Measure:
    """A quantity of one marrow.

    Attributes:
        side: 0 left, 1 right.
        column: Of the rows of a pair.
        how: A key of `HOW`.
        days: First and last day.
        times: Factor for another unit.
    """

    side: int
    column: str
    how: str
    days: tuple[int, int]
    times: float = 1.0

    def of(self, tables: Sequence[np.ndarray], columns: Sequence[str]) -> float:
        """Its value; rows stand for days from 0."""
        table = tables[self.side].astype(np.float64)
        first, last = self.days
        return self.times * float(HOW[self.how](table, columns.index(self.column), first, last, columns))


def _rate(table: np.ndarray, column: int, first: int, last: int, columns: Sequence[str]) -> float:
    cell_days = table[first + 1 : last + 1, columns.index("plasma_cells")].sum()
    return 1000.0 * float((table[last, column] - table[first, column]) / max(cell_days, 1.0))


HOW: Mapping[str, Callable[[np.ndarray, int, int, int, Sequence[str]], float]] = {
    "value": lambda table, column, first, last, columns: float(table[last, column]),
    "mean": lambda table, column, first, last, columns: float(np.nanmean(table[first : last + 1, column])),
    "least": lambda table, column, first, last, columns: float(np.nanmin(table[first : last + 1, column])),
    "fold": lambda table, column, first, last, columns: float(table[last, column] / max(table[first, column], 1e-12)),
    "rise": lambda table, column, first, last, columns: float(table[last, column] - table[first, column]),
    "rate": _rate,  # deaths per 1,000 plasma cells and day
    "share": lambda table, column, first, last, columns: float(
        table[last, column] / max(table[last, columns.index("tumour_cells_total")], 1e-12)
    ),
    "other_share": lambda table, column, first, last, columns: float(
        1.0 - table[last, column] / max(table[last, columns.index("tumour_cells_total")], 1e-12)
    ),
    "from_least": lambda table, column, first, last, columns: float(
        table[last, column] / max(np.nanmin(table[first : last + 1, column]), 1e-12)
    ),
}


@dataclass(frozen=True)
class Step:
    """What a step of a lesson does by itself.

    Attributes:
        day: Day up to which time passes; None where none does.
        pace: Steps of the model between two pictures.
        layer: What is shown; empty where that stays.
        alone: Names of the types of cells that are shown; empty where that stays, "all" for all.
        change: (side, kind, name, value) of changes on the running marrow.
    """

    day: float | None
    pace: int
    layer: str
    alone: tuple[str, ...]
    change: tuple[tuple[int, str, str, float], ...]


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        key: Name of its file without the number.
        choice: The prepared experiment.
        layer: What is shown at first.
        source: Where the reader finds more.
        day: Day on which the answer is due.
        whose: Whose twins tell signal from luck, of `twins.SOMEBODY`.
        measures: Quantities by name.
        shows: Of each prediction the condition under which the model shows it.
        right: Number of the prediction that the model shows.
        steps: What happens.
        texts: By language.
        charts: What stands beside a recorded run, after the M-protein: charts of the live page by their keys, or single columns.
    """

    key: str
    choice: Choice
    layer: str
    source: str
    day: int
    whose: str
    measures: Mapping[str, Measure]
    shows: tuple[str, ...]
    right: int
    steps: tuple[Step, ...]
    texts: Mapping[str, Text]
    charts: tuple[str, ...]

    def measure(self, tables: Sequence[np.ndarray], columns: Sequence[str]) -> dict[str, float]:
        """The measures of a pair that has reached the day of the answer."""
        return {name: one.of(tables, columns) for name, one in self.measures.items()}

    def outcome(self, measured: Mapping[str, float]) -> int:
        """Number of the prediction that these measures bear out; `NEITHER` where they bear out none."""
        return next((i for i, condition in enumerate(self.shows) if holds(condition, measured)), NEITHER)

    def answer(self, measured: Mapping[str, float], language: str) -> str:
        """What the model showed, in words."""
        return self.texts[language].answered(measured)


class Written(float):
    """A number as the texts of lessons write it; `,` in a format means a narrow space between thousands, a dash that there is none."""

    def __format__(self, how: str) -> str:
        """As asked for."""
        if math.isnan(self):
            return "—"
        return float.__format__(self, how).replace(",", "\u202f")


def holds(condition: str, measured: Mapping[str, float]) -> bool:
    """Whether a condition, such as "a < 0.8 * b and c > 1", holds.

    Raises:
        InputError: Where it says something else, or names no measure.
    """
    return bool(_value(ast.parse(condition, mode="eval").body, measured))


def _value(node: ast.expr, measured: Mapping[str, float]) -> Any:
    if isinstance(node, ast.Name) and node.id in measured:
        return measured[node.id]
    if isinstance(node, ast.Name):
        raise InputError(f"a lesson asks for '{node.id}', which it does not measure{did_you_mean(node.id, measured)}")
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](_value(node.left, measured), _value(node.right, measured))
    if isinstance(node, ast.Compare):
        ends = [_value(node.left, measured), *(_value(end, measured) for end in node.comparators)]
        return all(OPERATORS[type(op)](a, b) for op, a, b in zip(node.ops, ends[:-1], ends[1:], strict=True))
    if isinstance(node, ast.BoolOp):
        parts = [bool(_value(part, measured)) for part in node.values]
        return all(parts) if isinstance(node.op, ast.And) else any(parts)
    raise InputError(f"a lesson's condition compares measures, not '{ast.unparse(node)}'")


@cache
def lessons() -> dict[str, Lesson]:
    """All lessons by key.

    Raises:
        InputError: Where a file lacks something.
    """
    found = {}
    for path in sorted(FOLDER.glob("*.toml")):
        with path.open("rb") as file:
            table = tomllib.load(file)
        key = path.stem.partition("_")[2]
        try:
            found[key] = _lesson(key, table)
        except KeyError as missing:
            raise InputError(f"{path.name}: {missing} is missing") from None
    return found


def _lesson(key: str, table: Mapping[str, Any]) -> Lesson:
    texts = {}
    for language in ("en", "it"):
        words = dict(table[language])
        instead = words.pop(RECORDED, {})
        if set(words) != KEYS:
            raise InputError(f"lesson {key}: [{language}] needs {', '.join(sorted(KEYS))}")
        known = OTHERWISE | {f"step_{number}" for number in range(1, len(words["steps"]) + 1)}
        for name in instead:
            if name not in known:
                raise InputError(f"lesson {key}: [{language}.{RECORDED}] has no '{name}'{did_you_mean(name, known)}")
        lists = {name: tuple(words[name]) for name in ("options", "steps")}
        texts[language] = Text(**{**words, **lists}, instead=instead)
    day = int(table["day"])
    measures = {}
    for name, given in table.get("measure", {}).items():
        days = given.get("days", [0, day])
        measures[name] = Measure(
            "ab".index(given["side"]), given["column"], given.get("how", "value"), (days[0], days[1]), given.get("times", 1.0)
        )
    return Lesson(
        key=key,
        choice=Choice.read(table["link"]),
        layer=table["layer"],
        source=table["source"],
        day=day,
        whose=table.get("twins", "patients"),
        measures=measures,
        shows=tuple(table["shows"]),
        right=int(table["right"]),
        steps=tuple(_step(given) for given in table["step"]),
        texts=texts,
        charts=tuple(table["charts"]),
    )


def _step(given: str) -> Step:
    """A step from its text, such as "day=7&pace=1&layer=cd38&alone=plasma,nk&event=a~switch~adcc~0"."""
    values = values_by_name(given)
    changes = []
    for text in values.get("event", ()):
        side, kind, name, value = text.split("~")
        changes.append(("ab".index(side), kind, name, float(value)))
    return Step(
        day=float(values["day"][0]) if "day" in values else None,
        pace=int(values.get("pace", ["1"])[0]),
        layer=values.get("layer", [""])[0],
        alone=tuple(values["alone"][0].split(",")) if "alone" in values else (),
        change=tuple(changes),
    )
