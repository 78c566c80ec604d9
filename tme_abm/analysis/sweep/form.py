"""A sweep as its file says it, and what that means: which trial, along which axes, at which points.

An axis changes the trial as `tme run --set` and `--without` do: numbers or doses between two ends or from a list (`path`, `values`,
`low` and `high`), or named choices, each a set of changes (`choices`), for schedules, orders of drugs and mechanisms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pydantic import Field

from tme_abm.forms import Source, Table, hours
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import Keys, dotted, inline, parse_path

AXIS_KEY = r"[a-z][a-z0-9_]*"
RESERVED = ("point", "replicate", "seed", "patient", "arm", "label", "status", "condition")


class Choice(Table):
    """One named setting of an axis."""

    label: str = Field(min_length=1)
    set: dict[str, Any] = Field({}, description='"PATH" = value, as `tme run --set` takes them')
    without: list[str] = Field([], description="mechanisms that are off")


class Axis(Table):
    """What is varied."""

    label: str = Field(min_length=1, description="with its unit, for figures")
    path: str | list[str] | None = Field(None, description="the entry of the trial that changes, or several that change together")
    write: str | None = Field(None, description='how the number stands there, "{} mg/kg"; the bare number where it is left out')
    values: list[float | int | str] | None = Field(None, min_length=1)
    low: float | None = None
    high: float | None = None
    scale: Literal["linear", "log"] = "linear"
    steps: int = Field(5, ge=2, description="values between low and high in a grid")
    choices: list[Choice] | None = Field(None, min_length=1)


class Form(Table):
    """One sweep."""

    kind: Literal["sweep"]
    title: str
    summary: str
    scenario: str = Field(description="the trial: the name of a bundled one, or a path from this file")
    patients: int = Field(ge=2, description="virtual patients at every point, the same at all")
    seed: int | None = Field(None, ge=0, lt=2**62, description="that of the trial where it is left out")
    replicates: int = Field(1, ge=1, description="times the whole is done, with other patients")
    horizon: str | None = Field(None, description="how long patients are watched; the longest follow-up of the trial by default")
    design: Literal["grid", "latin_hypercube", "sobol"] = "grid"
    samples: int | None = Field(None, ge=2, description="points of a design that is no grid")
    arms: list[str] | None = Field(None, description="only these arms of the trial")
    compare: list[list[str]] | None = Field(None, description="pairs of arm and reference; those of the trial by default")
    set: dict[str, Any] = Field({}, description='changes that hold at every point: "PATH" = value')
    without: list[str] = Field([], description="mechanisms that are off at every point")
    axes: dict[str, Axis] = Field(min_length=1)

    def size(self) -> str:
        """How much is simulated, for the list of scenarios."""
        return f"{points_in(self)} x {self.patients * self.replicates}"

    def labels(self) -> list[str]:
        """What is varied, for the list of scenarios."""
        return [axis.label for axis in self.axes.values()]


class Step(NamedTuple):
    """One place on an axis: how it is named, and what it changes in the trial."""

    name: float | int | str
    overrides: tuple[str, ...]
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sweep:
    """A sweep, resolved but for the trials of its points.

    Attributes:
        name: Name of the file.
        title: One line for the head of figures.
        summary: What the sweep asks.
        scenario: Name or path of the trial.
        form: What the file says.
        source: Where it stands in the file.
        horizon_days: How long patients are watched [d]; None for the longest follow-up.
        resolved: The file as resolved; the trial as the file names it.
    """

    name: str
    title: str
    summary: str
    scenario: str
    form: Form
    source: Source
    horizon_days: float | None
    resolved: Mapping[str, Any]

    def changes(self) -> tuple[str, ...]:
        """What holds at every point, as "PATH=VALUE"."""
        return overrides_of(self.form.set)


def points_in(form: Form) -> int:
    """Number of points."""
    if form.design != "grid":
        return form.samples or 0
    n = 1
    for axis in form.axes.values():
        n *= len(axis.choices or axis.values or range(axis.steps))
    return n


def build(form: Form, source: Source) -> Sweep:
    """The sweep that a file describes.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    import re

    for key, axis in form.axes.items():
        at: Keys = ("axes", key)
        if not re.fullmatch(AXIS_KEY, key) or key in RESERVED:
            raise source.error(at, f"'{key}' cannot be the key of an axis; write another word in small letters, digits and _")
        _check_axis(axis, at, source)
    if form.design != "grid" and form.samples is None:
        raise source.error(("design",), f'samples is missing: how many points the design "{form.design}" takes')
    if form.design == "grid" and form.samples is not None:
        raise source.error(("samples",), "a grid has as many points as its axes make; leave samples out, or choose another design")
    if form.design == "sobol" and form.samples is not None and form.samples & (form.samples - 1):
        power = 1 << form.samples.bit_length()
        raise source.error(("samples",), f"the points of Sobol's sequence are a power of two, {power // 2} or {power}, not {form.samples}")
    for i, pair in enumerate(form.compare or ()):
        if len(pair) != 2:
            raise source.error(("compare", i), f"compare[{i}]: write a pair of arm and reference")
    horizon = None if form.horizon is None else hours(form.horizon, ("horizon",), source) / HOURS_PER_DAY
    resolved = form.model_dump(mode="json", exclude_none=True)
    scenario = str(source.folder / form.scenario) if form.scenario.endswith(".toml") else form.scenario
    return Sweep(source.name, form.title, form.summary, scenario, form, source, horizon, resolved)


def _check_axis(axis: Axis, at: Keys, source: Source) -> None:
    """An axis is either numbers at a path, from a list or between two ends, or choices."""
    name = dotted(at)
    given = [word for word in ("values", "low", "choices") if getattr(axis, word) is not None]
    if len(given) != 1 or (axis.low is None) != (axis.high is None):
        raise source.error(at, f"{name}: give either values, or low and high, or choices")
    if axis.choices is not None:
        for word in ("path", "write"):
            if getattr(axis, word) is not None:
                raise source.error((*at, word), f"{name}.{word} goes with values; a choice says itself what it sets")
        names = [choice.label for choice in axis.choices]
        if len(set(names)) < len(names):
            raise source.error((*at, "choices"), f"{name}: two choices have the same label")
        for i, choice in enumerate(axis.choices):
            for path in choice.set:
                check_path(path, (*at, "choices", i, "set", path), source)
        return
    if axis.path is None:
        raise source.error(at, f"{name}: path is missing: which entry of the trial changes")
    for path in paths_of(axis):
        check_path(path, (*at, "path"), source)
    if axis.write is not None and axis.write.count("{}") != 1:
        raise source.error((*at, "write"), f'{name}.write needs one place for the number, as in "{{}} mg/kg", not "{axis.write}"')
    if axis.values is not None and len({isinstance(value, str) for value in axis.values}) > 1:
        raise source.error((*at, "values"), f"{name}: values are either numbers or words; write every one in the same way")
    if axis.values is not None and len(set(axis.values)) < len(axis.values):
        raise source.error((*at, "values"), f"{name}: a value stands twice")
    if axis.low is not None and axis.high is not None:
        if axis.low >= axis.high:
            raise source.error((*at, "high"), f"{name}: high must be above low, got {axis.low:g} and {axis.high:g}")
        if axis.scale == "log" and axis.low <= 0.0:
            raise source.error((*at, "low"), f"{name}: a log scale begins above zero, got {axis.low:g}")


def check_path(path: str, at: Keys, source: Source) -> None:
    """Refuse what is no place in a scenario."""
    try:
        parse_path(path)
    except InputError as error:
        raise source.error(at, str(error)) from None


def paths_of(axis: Axis) -> list[str]:
    """The entries that an axis changes."""
    return [axis.path] if isinstance(axis.path, str) else list(axis.path or ())


def overrides_of(changes: Mapping[str, Any]) -> tuple[str, ...]:
    """Changes as `tme run --set` takes them."""
    return tuple(f"{path}={inline(value)}" for path, value in changes.items())


def step_of(axis: Axis, value: float | int | str) -> Step:
    """A place on an axis of numbers."""
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    written = axis.write.replace("{}", shown) if axis.write is not None else value
    return Step(value, overrides_of(dict.fromkeys(paths_of(axis), written)))


def steps_of(axis: Axis, positions: Sequence[float] | None = None) -> list[Step]:
    """The places of an axis: all of a grid, or those at `positions` in 0 to 1."""
    if axis.choices is not None:
        every = [Step(c.label, overrides_of(c.set), tuple(c.without)) for c in axis.choices]
    elif axis.values is not None:
        every = [step_of(axis, value) for value in axis.values]
    else:
        if positions is None:
            positions = [i / (axis.steps - 1) for i in range(axis.steps)]
        return [step_of(axis, between(axis, u)) for u in positions]
    if positions is None:
        return every
    return [every[min(int(u * len(every)), len(every) - 1)] for u in positions]


def between(axis: Axis, u: float) -> float:
    """The number at a share `u` of the way from low to high."""
    assert axis.low is not None and axis.high is not None
    if axis.scale == "log":
        return float(axis.low * (axis.high / axis.low) ** u)
    return float(axis.low + u * (axis.high - axis.low))
