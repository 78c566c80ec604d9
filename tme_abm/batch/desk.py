"""What a command brings to long work, whatever the work is."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from tme_abm.batch.executors import Executor, Threads
from tme_abm.batch.progress import Progress, Silence
from tme_abm.batch.stopping import Stop

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Nobody is told."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Desk:
    """Who does the work, who is told, and who may ask for the end.

    Attributes:
        executor: Carries the work out; threads, one for each core, by default.
        progress: Is told how far it has come.
        say: Is told what is worth a sentence.
        stop: When set, the work ends at the next visit; what is done is kept.
        resume: Whether there must be something to go on with.
        warn: Is told what nobody may miss, such as that a file of the user's was set aside.
    """

    executor: Executor = field(default_factory=lambda: Threads(cores()))
    progress: Progress = field(default_factory=Silence)
    say: Say = silent
    stop: Stop = field(default_factory=Stop)
    resume: bool = False
    warn: Say = silent
