"""Which numbers are free, in which ranges, and what they are fitted to."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tme_abm.analysis.numbers import parse
from tme_abm.foundation.declare import number
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.toml import naming_lines, parse_toml, read_text
from tme_abm.trial.study import Study

Floats = np.ndarray[Any, np.dtype[np.float64]]
Load = Callable[[Mapping[str, Any]], Study]  # `scenario.kinds.load_scenario`, which stands a floor higher
PLAN = Path(__file__).with_name("calibration.toml")
STUDY_FILE = "optuna.log"
SCALES = ("log", "linear")
MOST_SEED = 2**62
KINDS: dict[type, str] = {dict: "a table {...}", list: "a list [...]", str: "words in quotes"}
T = TypeVar("T")


class Unfit(Exception):
    """The model does not run with these values."""


class Free(NamedTuple):
    """A number that may change.

    Attributes:
        path: Where it stands, as in `calibration.toml`.
        low: Least value.
        high: Largest value.
        scale: "log" or "linear", on which it is searched.
        acts: Scenarios on which it acts.
        at: Its place among the free numbers of the plan's file.
    """

    path: str
    low: float
    high: float
    scale: str
    acts: tuple[str, ...]
    at: int = 0

    def place(self, value: float) -> float:
        """Where a value lies in the range, 0 to 1 on the scale of the search."""
        low, high, at = (math.log(x) if self.scale == "log" else x for x in (self.low, self.high, value))
        return (at - low) / (high - low)

    def value(self, place: float) -> float:
        """The value at a place of the range."""
        if self.scale == "log":
            return math.exp(math.log(self.low) + place * math.log(self.high / self.low))
        return self.low + place * (self.high - self.low)


@dataclass(frozen=True)
class Plan:
    """What is fitted to what.

    Attributes:
        targets: Scenario -> arms, in the order in which they are run.
        tolerance: "median_pfs" and "share" -> error of the model that is allowed for, on the scale of the loss.
        free: What may change.
        seed: Of all virtual patients of the fit.
        fixed: Path -> value of what does not change here, but differs from the files of the model.
        places: Scenario -> its place in the whole plan, from which its dice derive.
        start: Path -> value from which the search sets out, where that is not the model's own.
        file: Where the plan stands.
    """

    targets: Mapping[str, tuple[str, ...]]
    tolerance: Mapping[str, float]
    free: tuple[Free, ...]
    seed: int
    fixed: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)
    file: Path = PLAN

    def only(self, scenarios: Iterable[str]) -> "Plan":
        """The part of the plan that is about some scenarios, with what acts on them.

        Raises:
            InputError: For a scenario that the plan does not name.
        """
        chosen = list(scenarios)
        for name in chosen:
            if name not in self.targets:
                raise InputError(f"--only {name}: the plan has no such scenario{did_you_mean(name, self.targets)}")
        targets = {name: arms for name, arms in self.targets.items() if name in chosen}
        return replace(self, targets=targets, free=tuple(f for f in self.free if set(f.acts) & set(targets)))

    def fix(self, values: Mapping[str, float]) -> "Plan":
        """The plan with some numbers held at values."""
        return replace(self, free=tuple(f for f in self.free if f.path not in values), fixed={**self.fixed, **values})

    def dice(self, scenario: str, replicate: int) -> int:
        """Seed of a scenario's virtual patients, the same in every trial."""
        return self.seed + 1000 * replicate + self.places[scenario]


def read_plan(path: Path = PLAN) -> Plan:
    """Read a plan.

    Raises:
        InputError: For anything unknown, missing or impossible, with file and line.
    """
    if not path.is_file():
        raise InputError(f"there is no file '{path}'")
    table = parse_toml(read_text(path), str(path))
    with naming_lines(str(path), path, ("free",)):
        return _plan(table, path)


@contextmanager
def placed(plan: Plan, place: str) -> Iterator[None]:
    """Say of an `InputError` which place of the plan it comes from."""
    with naming_lines(str(plan.file), plan.file):
        try:
            yield
        except InputError as error:
            raise InputError(f"{plan.file}: {place}: {error}") from None


def _plan(table: Mapping[str, Any], path: Path) -> Plan:
    where = f"{path}: "
    _known(table, ("seed", "targets", "tolerance", "free"), str(path))
    seed = table["seed"]
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < MOST_SEED:
        raise InputError(f"{where}seed must be a whole number from 0, got {shown(seed)}")
    tolerance, listed = _as(dict, table["tolerance"], f"{where}tolerance"), _as(dict, table["targets"], f"{where}targets")
    _known(tolerance, ("median_pfs", "share"), f"{where}tolerance")
    for name, value in tolerance.items():
        if number(value, f"{where}tolerance.{name}") < 0.0:
            raise InputError(f"{where}tolerance.{name}: an error is not below zero, got {value:g}")
    targets = {name: tuple(_words(arms, f"{where}targets.{name}")) for name, arms in listed.items()}
    if not targets:
        raise InputError(f"{where}targets: name a scenario with its arms")
    free: dict[str, Free] = {}
    for i, entry in enumerate(_as(list, table["free"], f"{where}free")):
        found = _free(_as(dict, entry, f"{where}free[{i}]"), targets, f"{where}free[{i}]")._replace(at=i)
        if found.path in free:
            raise InputError(f"{where}free[{i}].path: {found.path} stands twice")
        free[found.path] = found
    places = {name: i for i, name in enumerate(targets)}
    return Plan(targets, tolerance, tuple(free.values()), seed, places=places, file=path)


def _free(entry: Mapping[str, Any], targets: Iterable[str], where: str) -> Free:
    """A number that may change, as the plan says it."""
    _known(entry, ("path", "range", "scale", "acts"), where)
    path, ends, scale, acts = entry["path"], entry["range"], entry["scale"], _words(entry["acts"], f"{where}.acts")
    if scale not in SCALES:
        raise InputError(f"{where}.scale: unknown scale {shown(scale)}{did_you_mean(str(scale), SCALES)}")
    if not isinstance(ends, list) or len(ends) != 2:
        raise InputError(f"{where}.range: write [least, largest], got {shown(ends)}")
    low, high = (number(end, f"{where}.range") for end in ends)
    if not low < high or (scale == "log" and low <= 0.0):
        least = ", from above zero" if scale == "log" else ""
        raise InputError(f"{where}.range: the range of {path} must rise{least}; got {low:g} to {high:g}")
    for name in acts:
        if name not in targets:
            raise InputError(f"{where}.acts: '{name}' has no targets{did_you_mean(name, targets)}")
    try:
        parse(_as(str, path, f"{where}.path"))
    except InputError as error:
        raise InputError(str(error) if str(error).startswith(where) else f"{where}.path: {error}") from None
    return Free(path, low, high, scale, tuple(acts))


def _as(kind: type[T], value: Any, where: str) -> T:
    """A value of the type that it must have."""
    if not isinstance(value, kind):
        raise InputError(f"{where}: expected {KINDS[kind]}, got {shown(value)}")
    return value


def _words(value: Any, where: str) -> list[str]:
    """A list of words."""
    return [_as(str, word, f"{where}[{i}]") for i, word in enumerate(_as(list, value, where))]


def shown(value: Any) -> str:
    """A value as messages show it."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _known(table: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    for key in table:
        if key not in keys:
            raise InputError(f"{where}: unknown key '{key}'{did_you_mean(key, keys)}")
    for key in keys:
        if key not in table:
            raise InputError(f"{where}: the key '{key}' is missing")
