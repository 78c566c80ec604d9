"""What a study records of its patients beside their rows in the patient table: visits, days, cells."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

MOST_ROWS = 2_000_000_000  # of days, or of cells, in a study
MOST_CELLS_OF_A_PATIENT = 20_000_000  # which stand in memory until she is finished
BYTES_OF_A_CELL = 35  # in its file, compressed: measured, and rounded up
BYTES_OF_A_DAY = 210  # likewise


class Days(NamedTuple):
    """Whole days since the first dose.

    Attributes:
        every: So many days apart, from day 0; 0 where they are listed.
        listed: The days, in their order.
    """

    every: int = 0
    listed: tuple[int, ...] = ()

    def includes(self, day: int) -> bool:
        """Whether a day is one of them."""
        return day % self.every == 0 if self.every else day in self.listed

    def after(self, day: int) -> float:
        """The next of them after a day; infinite where there is none."""
        if self.every:
            return float((day // self.every + 1) * self.every)
        place = bisect_right(self.listed, day)
        return float(self.listed[place]) if place < len(self.listed) else math.inf

    def count(self, last: float) -> int:
        """How many there are until a day, that day included."""
        return int(last // self.every) + 1 if self.every else sum(day <= last for day in self.listed)

    def in_words(self) -> str:
        """For instance "every 7 days", or "on days 0 and 28"."""
        if self.every:
            return "every day" if self.every == 1 else f"every {self.every} days"
        *others, last = map(str, self.listed)
        return f"on days {', '.join(others)} and {last}" if others else f"on day {last}"


@dataclass(frozen=True)
class RecordingPlan:
    """What is recorded, and how often.

    Attributes:
        visits: Whether every visit is.
        days: Days on which the marrow is read off.
        cells: Days on which every cell is written down.
        cells_of_first: Patients whose cells are recorded: the first so many.
        cells_of_percent: Patients whose cells are recorded: so many of each hundred, evenly spread, the first of all among them.
    """

    visits: bool = True
    days: Days | None = None
    cells: Days | None = None
    cells_of_first: int = 0
    cells_of_percent: float = 0.0

    def has_cells_of(self, index: int) -> bool:
        """Whether the cells of a patient are recorded; this depends on nobody but her."""
        return self.patients_with_cells(index + 1) > self.patients_with_cells(index)

    def patients_with_cells(self, patients: int) -> int:
        """Of the first so many patients, how many have their cells recorded."""
        if self.cells is None:
            return 0
        return min(patients, self.cells_of_first) if self.cells_of_first else math.ceil(patients * self.cells_of_percent / 100.0)
