"""Time: the model runs in hours, the clinic in days, 28-day cycles and months."""

import math
from typing import NamedTuple

SECONDS_PER_HOUR = 3600.0
MINUTES_PER_HOUR = 60.0
HOURS_PER_DAY = 24.0
DAYS_PER_MONTH = 30.4375
DAYS_PER_YEAR = 365.25
HOURS_PER_MONTH = HOURS_PER_DAY * DAYS_PER_MONTH


def months(days: float) -> float:
    """Days as months of 30.4375 days."""
    return days / DAYS_PER_MONTH


class Rhythm(NamedTuple):
    """Intervals that follow each other: so many of each of the first lengths, then those of the last length, without end.

    Attributes:
        days: Length of the last ones [d].
        first: Number and length [d] of those before.
    """

    days: float
    first: tuple[tuple[int, float], ...] = ()

    def length(self, number: int) -> float:
        """Length of an interval, counted from 1 [d]."""
        for n, days in self.first:
            if number <= n:
                return days
            number -= n
        return self.days

    def start(self, number: int) -> float:
        """Day on which an interval, counted from 1, begins [d]."""
        day, left = 0.0, number - 1
        for n, days in self.first:
            day += min(left, n) * days
            left -= min(left, n)
        return day + left * self.days

    def begun(self, day: float) -> int:
        """Intervals that have begun before a day [d]."""
        number = 0
        for n, days in self.first:
            if day <= n * days:
                return number + max(math.ceil(day / days), 0)
            number, day = number + n, day - n * days
        return number + max(math.ceil(day / self.days), 0)

    def in_words(self, noun: str) -> str:
        """For instance "8 cycles of 21 days, then cycles of 28 days"."""
        return ", then ".join([*(f"{n} {noun} of {days:g} days" for n, days in self.first), f"{noun} of {self.days:g} days"])
