"""How far a run has come, and who is told: one contract for trials, experiments and questions over many trials."""

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
