"""The past of a pair of marrows: a compressed picture of both of every day, found again by its day.

Each moment is a chunk of its own, compressed by itself, so any of them can be read without the others. Chunks go to a shelf: in memory
while they are few, then in a temporary file without a name, which the system removes when the page closes, however it closes. Steps
between the days are not kept; `Pair.look` makes them again from the nearest mark, exactly.
"""

import tempfile
import zlib
from bisect import bisect_right
from typing import NamedTuple

import numpy as np

from tme_viz.picture import DTYPES, Picture

IN_MEMORY = 8_000_000  # bytes of a shelf beyond which it is a file
BUDGET = 1_000_000_000  # bytes; beyond it every second picture of the older half goes
FASTEST = 1


class Place(NamedTuple):
    """Where something lies on a shelf."""

    start: int
    size: int


class Shelf:
    """Bytes, put one after the other and read in any order.

    Attributes:
        n_bytes: What they take.
    """

    def __init__(self, in_memory: int = IN_MEMORY) -> None:
        """Begin empty."""
        self.n_bytes = 0
        self._in_memory = in_memory
        self._file = tempfile.SpooledTemporaryFile(in_memory, prefix="tme-")

    @property
    def memory_bytes(self) -> int:
        """What of them is in memory."""
        return self.n_bytes if self.n_bytes <= self._in_memory else 0

    def put(self, data: bytes) -> Place:
        """Keep something after all else."""
        place = Place(self.n_bytes, len(data))
        self._file.seek(place.start)
        self._file.write(data)
        self.n_bytes += place.size
        return place

    def get(self, place: Place) -> bytes:
        """What lies at a place."""
        self._file.seek(place.start)
        return self._file.read(place.size)

    def cut(self, end: int) -> None:
        """Drop what was put from a number of bytes on."""
        if end < self.n_bytes:
            self._file.truncate(end)
            self.n_bytes = end

    def close(self) -> None:
        """Let go of all."""
        self._file.close()
        self.n_bytes = 0


class Entry(NamedTuple):
    """One moment: a packed picture of each marrow."""

    day: float
    packed: tuple[Place, ...]


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
    """Moments in order of time."""

    def __init__(self, budget: int = BUDGET, in_memory: int = IN_MEMORY) -> None:
        """Begin without a past."""
        self.budget = budget
        self.shelf = Shelf(in_memory)
        self._in_memory = in_memory
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        """Number of moments."""
        return len(self._entries)

    @property
    def n_bytes(self) -> int:
        """What they take."""
        return self.shelf.n_bytes

    @property
    def days(self) -> list[float]:
        """Days of the moments."""
        return [entry.day for entry in self._entries]

    @property
    def last_day(self) -> float:
        """Day of the last moment; less than any where there is none."""
        return self._entries[-1].day if self._entries else -np.inf

    def add(self, day: float, packed: list[bytes]) -> None:
        """Keep a moment that is later than all others, its pictures packed."""
        if day <= self.last_day:
            raise ValueError(f"day {day:g} does not come after day {self.last_day:g}")
        self._entries.append(Entry(day, tuple(self.shelf.put(data) for data in packed)))
        while self.n_bytes > self.budget and len(self._entries) > 4:
            self._thin()

    def _thin(self) -> None:
        half, old, entries = len(self._entries) // 2, self.shelf, self._entries
        self.shelf, self._entries = Shelf(self._in_memory), []
        for i, entry in enumerate(entries):
            if i >= half or i % 2 == 0:
                self._entries.append(Entry(entry.day, tuple(self.shelf.put(old.get(place)) for place in entry.packed)))
        old.close()

    def find(self, day: float) -> int:
        """Place of the last moment that is not after a day; the first one for a day before all.

        Raises:
            LookupError: Where there is no past.
        """
        if not self._entries:
            raise LookupError("nothing is recorded")
        return max(bisect_right(self._entries, day + 1e-9, key=lambda e: e.day) - 1, 0)

    def holds(self, day: float) -> bool:
        """Whether there is a moment of this very day."""
        return bool(self._entries) and abs(self._entries[self.find(day)].day - day) < 1e-9

    def at(self, place: int) -> tuple[float, list[Picture]]:
        """Day and pictures of a moment."""
        entry = self._entries[place]
        return entry.day, [unpack(self.shelf.get(where)) for where in entry.packed]

    def forget_after(self, day: float) -> None:
        """Drop what came after a day."""
        kept = [e for e in self._entries if e.day <= day + 1e-9]
        if len(kept) < len(self._entries):
            self.shelf.cut(self._entries[len(kept)].packed[0].start)
            self._entries = kept

    def close(self) -> None:
        """Let go of all."""
        self._entries = []
        self.shelf.close()
