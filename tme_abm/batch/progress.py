"""Who is told how far long work has come."""

from typing import Protocol


class Progress(Protocol):
    """Who is told how far a run has come."""

    def phase(self, name: str, total: int | None) -> None:
        """A phase of a length begins; phases may run side by side."""

    def advance(self, n: float = 1, phase: str | None = None) -> None:
        """So much more of a phase is done."""


class Silence:
    """Nobody is told."""

    def phase(self, name: str, total: int | None) -> None:
        """Nothing."""

    def advance(self, n: float = 1, phase: str | None = None) -> None:
        """Nothing."""


FAILED = "failed"  # a phase of no length, begun when the first piece of work fails
