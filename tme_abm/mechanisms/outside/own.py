"""What a mechanism from outside may have of its own: causes of death, gauges, streams of chance.

Each is a number that kernels take as a constant. The numbers come after all those of the package, so what the package counts and draws
stays where it stands. The one who loads several files hands out their numbers in turn (`handing_out`); a name gives the same number again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple
from zlib import crc32

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.rng import Stream
from tme_abm.marrow.cells import N_EVENTS, Cause
from tme_abm.marrow.state import Gauge

FIRST_STREAM = 1000  # those of the package stay below


class OwnGauge(NamedTuple):
    """A quantity of the whole marrow that a mechanism from outside keeps."""

    name: str
    unit: str
    meaning: str
    rest: float
    lasts: bool  # whether it outlives a step


@dataclass
class Numbers:
    """What has been handed out, in order."""

    causes: list[str] = field(default_factory=list)
    gauges: list[OwnGauge] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)
    first_cause: int = 0  # of those from outside
    first_gauge: int = 0


_numbers = Numbers()  # of what is written where no file is, as in a notebook


@contextmanager
def handing_out(first_cause: int, first_gauge: int) -> Iterator[Numbers]:
    """Hand out numbers from these on, of causes and gauges from outside, while a file is loaded."""
    global _numbers
    before, _numbers = _numbers, Numbers(first_cause=first_cause, first_gauge=first_gauge)
    try:
        yield _numbers
    finally:
        _numbers = before


def handed_out() -> Numbers:
    """What has been handed out where no file is."""
    return _numbers


def own_cause(name: str) -> int:
    """A cause of death of one's own: the column of `marrow.hazard` to add to, and of the ledger.

    Args:
        name: As tables show it, with small letters: "pd1_blockade" gives `deaths_pd1_blockade`.

    Raises:
        InputError: For a name that the package has, or one with capitals.
    """
    if name != name.lower():
        raise InputError(f"own_cause: '{name}' has capitals; write it with small letters, digits and _")
    if not name.isidentifier() or name.upper() in Cause.__members__:
        raise InputError(f"own_cause: '{name}' is no name for a cause of death of one's own")
    if name not in _numbers.causes:
        _numbers.causes.append(name)
    return N_EVENTS + _numbers.first_cause + _numbers.causes.index(name)


def own_gauge(name: str, unit: str, meaning: str, rest: float = 1.0, lasts: bool = False) -> int:
    """A quantity of the whole marrow of one's own: the place in `marrow.body.gauge` to read and write.

    Args:
        name: With capitals, as `Gauge` has them; `reads` and `writes` say "gauge.NAME".
        unit: Its unit.
        meaning: In words.
        rest: Its value where nothing acts on it.
        lasts: Whether it keeps its value from step to step; else each step begins at rest.

    Raises:
        InputError: For a name that the package has.
    """
    if not name.isidentifier() or name in Gauge.__members__:
        raise InputError(f"own_gauge: '{name}' is no name for a gauge of one's own")
    names = [gauge.name for gauge in _numbers.gauges]
    if name not in names:
        _numbers.gauges.append(OwnGauge(name, unit, meaning, float(rest), lasts))
        names.append(name)
    return len(Gauge) + _numbers.first_gauge + names.index(name)


def own_stream(name: str) -> int:
    """A stream of chance of one's own, for `stream_key`: it depends on the name alone, and moves no other draw.

    Raises:
        InputError: For a name that the package has.
    """
    if not name.isidentifier() or name.upper() in Stream.__members__:
        raise InputError(f"own_stream: '{name}' is no name for a stream of chance of one's own")
    if name not in _numbers.streams:
        _numbers.streams.append(name)
    return FIRST_STREAM + crc32(name.encode())
