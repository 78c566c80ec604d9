"""The past of a pair of marrows: a compressed picture of both a day, found again by its day."""

import zlib
from bisect import bisect_right
from typing import NamedTuple

import numpy as np

from tme_viz.picture import DTYPES, Picture

BUDGET = 100_000_000  # bytes; beyond it every second picture of the older half goes
FASTEST = 1


class Entry(NamedTuple):
    """One moment: a packed picture of each marrow."""

    day: float
    packed: tuple[bytes, ...]


def pack(picture: Picture) -> bytes:
    """A picture, compressed."""
    return zlib.compress(b"".join(array.tobytes() for array in picture), FASTEST)


def unpack(data: bytes) -> Picture:
    """The picture again."""
    raw = zlib.decompress(data)
    n = len(raw) // sum(np.dtype(d).itemsize for d in DTYPES)
    arrays, start = [], 0
    for dtype in DTYPES:
        stop = start + n * np.dtype(dtype).itemsize
        arrays.append(np.frombuffer(raw[start:stop], dtype))
        start = stop
    return Picture(*arrays)


class History:
    """Moments in order of time.

    Attributes:
        n_bytes: What they take.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        """Begin without a past."""
        self.budget = budget
        self.n_bytes = 0
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        """Number of moments."""
        return len(self._entries)

    @property
    def days(self) -> list[float]:
        """Days of the moments."""
        return [entry.day for entry in self._entries]

    def add(self, day: float, packed: list[bytes]) -> None:
        """Keep a moment that is later than all others, its pictures packed."""
        if self._entries and day <= self._entries[-1].day:
            raise ValueError(f"day {day:g} does not come after day {self._entries[-1].day:g}")
        entry = Entry(day, tuple(packed))
        self._entries.append(entry)
        self.n_bytes += sum(map(len, entry.packed))
        while self.n_bytes > self.budget and len(self._entries) > 4:
            self._thin()

    def _thin(self) -> None:
        half = len(self._entries) // 2
        self._entries = [e for i, e in enumerate(self._entries) if i >= half or i % 2 == 0]
        self.n_bytes = sum(len(p) for e in self._entries for p in e.packed)

    def find(self, day: float) -> int:
        """Place of the last moment that is not after a day; the first one for a day before all.

        Raises:
            LookupError: Where there is no past.
        """
        if not self._entries:
            raise LookupError("nothing is recorded")
        return max(bisect_right(self._entries, day + 1e-9, key=lambda e: e.day) - 1, 0)

    def at(self, place: int) -> tuple[float, list[Picture]]:
        """Day and pictures of a moment."""
        entry = self._entries[place]
        return entry.day, [unpack(data) for data in entry.packed]

    def forget_after(self, day: float) -> None:
        """Drop what came after a day."""
        self._entries = [e for e in self._entries if e.day <= day + 1e-9]
        self.n_bytes = sum(len(p) for e in self._entries for p in e.packed)
