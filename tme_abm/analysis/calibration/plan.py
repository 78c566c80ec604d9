"""Which numbers are free, in which ranges, and what they are fitted to."""

import math
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tme_abm.analysis.numbers import parse
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.trial.study import Study

Floats = np.ndarray[Any, np.dtype[np.float64]]
Load = Callable[[Mapping[str, Any]], Study]  # `scenario.kinds.load_scenario`, which stands a floor higher
PLAN = Path(__file__).with_name("calibration.toml")
STUDY_FILE = "optuna.log"
SCALES = ("log", "linear")


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
    """

    path: str
    low: float
    high: float
    scale: str
    acts: tuple[str, ...]

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
    """

    targets: Mapping[str, tuple[str, ...]]
    tolerance: Mapping[str, float]
    free: tuple[Free, ...]
    seed: int
    fixed: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)

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
        InputError: For anything unknown, missing or impossible.
    """
    if not path.is_file():
        raise InputError(f"there is no file '{path}'")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path.name}: not valid TOML: {error}") from None
    where = path.name
    _known(table, ("seed", "targets", "tolerance", "free"), where)
    seed = table["seed"]
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"{where}: seed must be a whole number from 0, got {seed!r}")
    _known(table["tolerance"], ("median_pfs", "share"), f"{where}: tolerance")
    targets = {name: tuple(arms) for name, arms in table["targets"].items()}
    free: dict[str, Free] = {}
    for number, entry in enumerate(table["free"], 1):
        place = f"{where}: free {number}"
        _known(entry, ("path", "range", "scale", "acts"), place)
        path_, (low, high), scale = entry["path"], map(float, entry["range"]), entry["scale"]
        if scale not in SCALES:
            raise InputError(f"{place}: unknown scale '{scale}'{did_you_mean(str(scale), SCALES)}")
        if not low < high or (scale == "log" and low <= 0.0):
            least = ", from above zero" if scale == "log" else ""
            raise InputError(f"{place}: the range of {path_} must rise{least}; got {low:g} to {high:g}")
        if path_ in free:
            raise InputError(f"{place}: {path_} stands twice")
        for name in entry["acts"]:
            if name not in targets:
                raise InputError(f"{place}: acts on '{name}', which has no targets{did_you_mean(name, targets)}")
        parse(path_)
        free[path_] = Free(path_, low, high, scale, tuple(entry["acts"]))
    return Plan(targets, table["tolerance"], tuple(free.values()), seed, places={name: i for i, name in enumerate(targets)})


def _known(table: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    for key in table:
        if key not in keys:
            raise InputError(f"{where}: unknown key '{key}'{did_you_mean(key, keys)}")
    for key in keys:
        if key not in table:
            raise InputError(f"{where}: the key '{key}' is missing")
