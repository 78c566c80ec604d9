"""A sensitivity analysis as its file says it: which numbers of a trial are varied, how far, and by which method."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from tme_abm.forms import Source, Table, hours
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.toml import parse_path

WIDEST = 1e6  # factor up and down; beyond it the ends meet zero and infinity in the arithmetic of floats
METHODS = {"morris": "trajectories", "sobol": "base samples", "latin_hypercube": "samples"}


class Range(Table):
    """Between which ends a number is varied."""

    low: float
    high: float
    scale: Literal["linear", "log"] = "log"


class Form(Table):
    """One sensitivity analysis."""

    kind: Literal["sensitivity"]
    title: str
    summary: str
    scenario: str = Field(description="the trial: the name of a bundled one, or a path from this file")
    compare: list[str] = Field(min_length=2, max_length=2, description="arm and reference")
    method: Literal["morris", "sobol", "latin_hypercube"] = "morris"
    samples: int = Field(ge=2, description="Morris: trajectories; Sobol: base samples, a power of two; Latin hypercube: samples")
    patients: int = Field(ge=2, description="virtual patients in every sample, the same in all")
    seed: int | None = Field(None, ge=0, lt=2**62, description="that of the trial where it is left out")
    horizon: str | None = Field(None, description="how long patients are watched; the longest follow-up of the trial by default")
    grades: list[str] = Field(["A", "M-low", "C"], min_length=1, description="numbers of these grades are varied")
    spread: dict[str, float] = Field({}, description="grade -> factor up and down; 2 where it is left out")
    only: list[str] = Field([], description="only numbers whose path begins so")
    leave_out: list[str] = Field([], description="no numbers whose path begins so")
    together: bool = Field(False, description="the numbers of one mechanism are one group: an index each, fewer runs")
    ranges: dict[str, Range] = Field({}, description='"PATH" -> its own range, whatever its grade')
    set: dict[str, Any] = Field({}, description='changes that hold in every sample: "PATH" = value')

    def size(self) -> str:
        """How much is simulated, for the list of scenarios."""
        return f"{self.samples} {METHODS[self.method]} x {self.patients}"

    def labels(self) -> list[str]:
        """What is compared, for the list of scenarios."""
        return [f"{self.compare[0]} against {self.compare[1]}"]


@dataclass(frozen=True)
class Sensitivity:
    """A sensitivity analysis, resolved but for the numbers that it finds in its trial.

    Attributes:
        name: Name of the file.
        title: One line for the head of figures.
        summary: What is asked.
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


def build(form: Form, source: Source) -> Sensitivity:
    """The analysis that a file describes.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    from tme_abm.foundation.declare import GRADES

    for i, grade in enumerate(form.grades):
        if grade not in GRADES:
            raise source.error(("grades", i), f"unknown grade '{grade}'{did_you_mean(grade, GRADES)}")
    for grade, factor in form.spread.items():
        if grade not in GRADES:
            raise source.error(("spread", grade), f"unknown grade '{grade}'{did_you_mean(grade, GRADES)}")
        if not 1.0 < factor <= WIDEST:
            raise source.error(("spread", grade), f"spread.{grade}: a factor up and down is above 1, at most {WIDEST:g}, got {factor:g}")
    for path, given in form.ranges.items():
        at = ("ranges", path)
        try:
            parse_path(path)
        except InputError as error:
            raise source.error(at, str(error)) from None
        if given.low >= given.high or (given.scale == "log" and given.low <= 0.0):
            least = ", from above zero" if given.scale == "log" else ""
            raise source.error(at, f"the range of {path} must rise{least}, got {given.low:g} to {given.high:g}")
        if given.scale == "log" and given.high / WIDEST > given.low * WIDEST:
            raise source.error(at, f"the range of {path}, {given.low:g} to {given.high:g}, is wider than {WIDEST:g} times up and down")
    if form.method == "sobol" and form.samples & (form.samples - 1):
        power = 1 << form.samples.bit_length()
        raise source.error(("samples",), f"the samples of Sobol's sequence are a power of two, {power // 2} or {power}, not {form.samples}")
    if form.method == "latin_hypercube" and form.together:
        raise source.error(("together",), "partial rank correlations are of single numbers; groups go with morris and sobol")
    horizon = None if form.horizon is None else hours(form.horizon, ("horizon",), source) / HOURS_PER_DAY
    resolved = form.model_dump(mode="json", exclude_none=True)
    scenario = str(source.folder / form.scenario) if form.scenario.endswith(".toml") else form.scenario
    return Sensitivity(source.name, form.title, form.summary, scenario, form, source, horizon, resolved)
