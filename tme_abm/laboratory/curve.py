"""A response over a swept quantity, and what is said of it."""

from dataclasses import dataclass
from typing import Any

from pydantic import Field

from tme_abm.forms import Table
from tme_abm.laboratory import estimates
from tme_abm.laboratory.vocabulary import READOUTS, SWEEPS

FLAT = 2.0  # a readout in per cent that moves less than this is said not to change
SHOWN = "specific_lysis"


class Sweep(Table):
    """What varies along the horizontal axis."""

    over: str = Field(description='"concentration" of the antibodies of each condition, a quantity of the line or a type of cell')
    values: list[float] = Field(min_length=1)
    unit: str
    mark: float | None = Field(None, description="value to mark in figures and to name in sentences")
    mark_label: str = Field("", description="what stands at the mark, such as the median patient")


@dataclass(frozen=True)
class Positives:
    """How many samples reach a threshold."""

    condition: str
    panel: str
    label: str
    readout: str
    positive: int
    n: int
    threshold: float

    def _asdict(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class Curve:
    """A readout of a condition along the sweep."""

    key: str
    panel: str
    label: str
    readout: str
    sweep: Sweep
    points: tuple[tuple[float, estimates.Estimate], ...]

    @property
    def x(self) -> list[float]:
        """The swept values."""
        return [x for x, _ in self.points]

    @property
    def y(self) -> list[float]:
        """The means."""
        return [estimate.value for _, estimate in self.points]

    @property
    def half(self) -> float:
        """Where half of the greatest change is reached; NaN where the readout does not change."""
        return float("nan") if self.is_flat else estimates.half_effect(self.x, self.y)

    @property
    def is_flat(self) -> bool:
        """Whether it stays where it is."""
        return READOUTS[self.readout].unit == "%" and max(self.y) - min(self.y) < FLAT

    def at(self, x: float) -> float:
        """The mean at a swept value, between two of them by interpolation in the logarithm."""
        import numpy as np

        log = SWEEPS[self.sweep.over].is_log and min(self.x) > 0.0
        at, where = (np.log(self.x), np.log(x)) if log else (np.array(self.x), x)
        return float(np.interp(where, at, self.y))

    def numbers(self) -> dict[str, Any]:
        """What summary.json holds of it."""
        return {
            "at": self.x,
            "mean": self.y,
            "low": [e.low for _, e in self.points],
            "high": [e.high for _, e in self.points],
            "half_effect_at": self.half,
            "rank_correlation": estimates.rank_correlation(self.x, self.y),
            "sweep": SWEEPS[self.sweep.over].column,
            "readout": READOUTS[self.readout].column,
        }

    def sentence(self) -> str:
        """What the curve shows."""
        swept, read = SWEEPS[self.sweep.over], READOUTS[self.readout]
        name = f"{self.panel}, {self.label}" if self.panel else self.label
        first, last = self.points[0][1].value, self.points[-1][1].value
        ends = f"{estimates.words(self.x[0], self.sweep.unit)} to {estimates.words(self.x[-1], self.sweep.unit)}"
        if self.is_flat:
            span = f"{min(self.y):.1f} to {max(self.y):.1f} %"
            return f"{name}: {read.words} does not change with {swept.words} ({span} from {ends})."
        move = "falls" if last < first else "rises"
        from_to = f"{estimates.words(first)} to {estimates.words(last)} {read.unit}"
        text = f"{name}: {read.words} {move} from {from_to} as {swept.words} goes from {ends}"
        if self.half == self.half:
            text += f", half of it by {estimates.words(self.half, self.sweep.unit)}"
        if self.sweep.mark is not None:
            at = f" ({self.sweep.mark_label})" if self.sweep.mark_label else ""
            text += f"; it is {self.at(self.sweep.mark):.1f} {read.unit} at {estimates.words(self.sweep.mark, self.sweep.unit)}{at}"
        return f"{text}."
