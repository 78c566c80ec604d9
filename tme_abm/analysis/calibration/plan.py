"""Which numbers are free, what is thought of them before, and what they are fitted to."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from tme_abm.analysis.bank.rates import RATES
from tme_abm.analysis.numbers import parse
from tme_abm.analysis.own_file import read_form
from tme_abm.forms import Source, Table
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.trial.study import Study

Floats = np.ndarray[Any, np.dtype[np.float64]]
Load = Callable[[Any], Study]  # `scenario.kinds.load_trial`, which stands a floor higher
PLAN = Path(__file__).with_name("calibration.toml")
WITHIN = 1.959964  # standard deviations that hold 95 % of a normal prior on either side
FARTHEST = 3.0  # standard deviations of its prior within which a number stays


class Tolerance(Table):
    """Error of the model that is allowed for, on the scale of an endpoint."""

    time: float = Field(ge=0.0, description="of the logarithm of a time")
    share: float = Field(ge=0.0, description="of the arcsine of the root of a share")


class FreeForm(Table):
    """A number that may change."""

    path: str | list[str] = Field(description="where it stands, or several places that share it")
    prior: list[float] = Field(min_length=2, max_length=2, description="holds 95 % of the prior")
    scale: Literal["log", "linear"] = "linear"
    why: str = Field("", description="what the prior rests on")


class Form(Table):
    """The file of a calibration."""

    seed: int = Field(ge=0, lt=2**62)
    targets: dict[str, list[str]] = Field(min_length=1, description="scenario -> arms whose published figures count")
    tolerance: Tolerance
    free: list[FreeForm] = Field(min_length=1)


class Free(NamedTuple):
    """A number that may change.

    Attributes:
        paths: Where it stands.
        low: Below which 2.5 % of the prior lie.
        high: Above which 2.5 % of the prior lie.
        scale: "log" or "linear", on which the prior is normal.
    """

    paths: tuple[str, ...]
    low: float
    high: float
    scale: str

    @property
    def name(self) -> str:
        """By which it is called."""
        return self.paths[0]

    @property
    def centre(self) -> float:
        """Middle of the prior, on its scale."""
        return (self._on(self.low) + self._on(self.high)) / 2.0

    @property
    def spread(self) -> float:
        """Standard deviation of the prior, on its scale."""
        return (self._on(self.high) - self._on(self.low)) / (2.0 * WITHIN)

    def _on(self, value: float) -> float:
        return math.log(value) if self.scale == "log" else value

    def place(self, value: float) -> float:
        """A value in standard deviations of the prior from its middle."""
        return (self._on(value) - self.centre) / self.spread

    def value(self, place: float) -> float:
        """The value at a place."""
        at = self.centre + place * self.spread
        return math.exp(at) if self.scale == "log" else at


@dataclass(frozen=True)
class Plan:
    """What is fitted to what.

    Attributes:
        targets: Scenario -> arms.
        time: Error of the model that is allowed for, of the logarithm of a time.
        share: Of the arcsine of the root of a share.
        free: What may change.
        seed: Of the sampler and of the ways out of the patients.
        file: Where the plan stands.
        source: The same with its lines.
        is_part: Whether numbers that act on none of the scenarios are left out instead of refused.
    """

    targets: Mapping[str, tuple[str, ...]]
    time: float
    share: float
    free: tuple[Free, ...]
    seed: int
    file: Path = PLAN
    source: Source | None = field(default=None, compare=False)
    is_part: bool = False

    def only(self, scenarios: Iterable[str]) -> "Plan":
        """The part of the plan that is about some scenarios.

        Raises:
            InputError: For a scenario that the plan does not name.
        """
        chosen = list(scenarios)
        for name in chosen:
            if name not in self.targets:
                raise InputError(f"--only {name}: the plan has no such scenario{did_you_mean(name, self.targets)}")
        return replace(self, targets={name: arms for name, arms in self.targets.items() if name in chosen}, is_part=True)

    def naming(self, *path: str | int) -> AbstractContextManager[None]:
        """Within, what is refused is refused at a place of the plan's file."""
        return nullcontext() if self.source is None else self.source.naming(path)

    def values(self, places: Sequence[float] | Floats) -> dict[str, float]:
        """Path -> value of the free numbers at some places (p,)."""
        return {path: free.value(float(at)) for free, at in zip(self.free, places, strict=True) for path in free.paths}

    def settings(self) -> dict[str, Any]:
        """What makes two fits the same."""
        return {
            "targets": {name: list(arms) for name, arms in self.targets.items()},
            "tolerance": [self.time, self.share],
            "free": [[list(free.paths), free.low, free.high, free.scale] for free in self.free],
            "seed": self.seed,
        }


def is_weighed(path: str) -> bool:
    """Whether a path is a rate of a drug that a trait multiplies, so that patients can be weighed for it."""
    parts = parse(path)
    return parts[0] == "drugs" and parts[2] in RATES and RATES[parts[2]][0] == parts[3]


def read_plan(path: Path = PLAN) -> Plan:
    """Read a plan.

    Raises:
        InputError: For anything unknown, missing or impossible, with file and line.
    """
    form, source = read_form(path, Form, {"free": FreeForm, "tolerance": Tolerance})
    found: list[Free] = []
    for i, entry in enumerate(form.free):
        paths = (entry.path,) if isinstance(entry.path, str) else tuple(entry.path)
        low, high = entry.prior
        if not low < high or (entry.scale == "log" and low <= 0.0):
            least = ", from above zero" if entry.scale == "log" else ""
            raise source.error(("free", i, "prior"), f"free[{i}].prior: the range must rise{least}; got {low:g} to {high:g}")
        for name in paths:
            with source.naming(("free", i, "path")):
                kind = parse(name)[0]
            if kind != "population" and not is_weighed(name):
                text = f"'{name}' is a rate and no patient's trait; a bank tells of a trait that multiplies it, or of a drug's kill_rate"
                raise source.error(("free", i, "path"), f"free[{i}].path: {text}")
            if any(name in free.paths for free in found):
                raise source.error(("free", i, "path"), f"free[{i}].path: {name} stands twice")
        found.append(Free(paths, low, high, entry.scale))
    targets = {name: tuple(arms) for name, arms in form.targets.items()}
    return Plan(targets, form.tolerance.time, form.tolerance.share, tuple(found), form.seed, path, source)
