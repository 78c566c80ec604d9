"""A quantity over time, and what is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.laboratory import estimates
from tme_abm.laboratory.vocabulary import OBSERVED
from tme_abm.marrow.cell_types import records

STEADY = 0.05  # a quantity that stays within this share of its baseline is said not to change


@dataclass(frozen=True)
class Point:
    """A quantity at a time: its mean, and its ratio to the baseline."""

    hour: float
    level: estimates.Estimate
    relative: estimates.Estimate


@dataclass(frozen=True)
class Line:
    """A quantity of a course over time; `stop_day` is when treatment ends, if it does."""

    key: str
    label: str
    name: str
    stop_day: float | None
    points: tuple[Point, ...]

    def at(self, day: float) -> Point:
        """The last point up to a day."""
        return [p for p in self.points if p.hour <= day * HOURS_PER_DAY + 1e-9][-1]

    @property
    def is_relative(self) -> bool:
        """Whether there is a baseline to compare with."""
        return self.points[-1].relative.value == self.points[-1].relative.value

    @property
    def treated(self) -> list[Point]:
        """The points after the baseline and during treatment."""
        last = float("inf") if self.stop_day is None else self.stop_day * HOURS_PER_DAY
        return [p for p in self.points[1:] if p.hour <= last]

    def numbers(self) -> dict[str, Any]:
        """What summary.json holds of it."""
        return {
            "day": [p.hour / HOURS_PER_DAY for p in self.points],
            "mean": [p.level.value for p in self.points],
            "relative": [p.relative.value for p in self.points],
            "relative_low": [p.relative.low for p in self.points],
            "relative_high": [p.relative.high for p in self.points],
        }

    def sentence(self) -> str:
        """What the line shows."""
        quantity = OBSERVED[self.name]
        if not self.is_relative:
            seen = [f"{estimates.words(p.level.value, quantity.unit)} ({when(p.hour)})" for p in _some(self.points[1:])]
            return f"{self.label}: {quantity.words} is {estimates.listed(seen)}."
        changes = [p.relative.value - 1.0 for p in self.treated]
        if max(abs(c) for c in changes) < STEADY:
            return f"{self.label}: {quantity.words} {_verb(quantity.words, 'stay')} within {100.0 * STEADY:g} % of the baseline."
        far = max(self.treated, key=lambda p: abs(p.relative.value - 1.0))
        move = _verb(quantity.words, "fall" if far.relative.value < 1.0 else "rise")
        text = f"{self.label}: {quantity.words} {move} to {100.0 * far.relative.value:.0f} % of the baseline by {when(far.hour)}"
        end = self.treated[-1]
        if end is not far:
            text += f"; {100.0 * end.relative.value:.0f} % at {when(end.hour)}" + (", the end of treatment" if self.stop_day else "")
        if self.stop_day is not None and self.points[-1].hour > end.hour:
            text += f"; {100.0 * self.points[-1].relative.value:.0f} % at {when(self.points[-1].hour)}, after it"
        return f"{text}."

    def cell(self) -> str:
        """What the line shows, for a table: where it was farthest, at the end of treatment, and at the end."""
        quantity = OBSERVED[self.name]
        if not self.is_relative:
            return "; ".join(f"{estimates.words(p.level.value, quantity.unit)} ({when(p.hour)})" for p in _some(self.points[1:]))
        far = max(self.treated, key=lambda p: abs(p.relative.value - 1.0))
        shown = dict.fromkeys((far, self.treated[-1], self.points[-1]))
        return "; ".join(f"{100.0 * p.relative.value:.0f} % ({when(p.hour)})" for p in shown)


def _some(points: Sequence[Point]) -> list[Point]:
    """The first, the middle and the last of some points."""
    return [points[i] for i in sorted({0, len(points) // 2, len(points) - 1})]


def percent(estimate: estimates.Estimate) -> str:
    """A share in per cent with its sign and interval."""
    text = f"{100.0 * estimate.value:+.0f} %"
    return text if estimate.low != estimate.low else f"{text} ({100.0 * estimate.low:+.0f} to {100.0 * estimate.high:+.0f})"


def when(hour: float) -> str:
    """A time as people say it."""
    day = hour / HOURS_PER_DAY
    if hour <= 72.0:
        return f"hour {hour:g}"
    return f"week {day / 7.0:g}" if day >= 28.0 and day % 7.0 == 0.0 else f"day {day:g}"


def _verb(subject: str, verb: str) -> str:
    """The verb in the number of its subject: cells fall, adenosine falls."""
    words = subject.split()
    is_plural = words[-1] in {record.plural.split()[-1] for record in records().values()} and words[0] not in ("the", "CD38")
    return verb if is_plural else f"{verb}s"
