"""How far a run has come, below the cell of a notebook."""

import sys
import threading
import time
from typing import Any

EVERY_S = 0.2  # between two changes of the line


class NotebookProgress:
    """One line that is written anew: each phase with what is done of it."""

    def __init__(self, display: Any) -> None:
        """Write through `IPython.display.display`."""
        self._phases: dict[str, tuple[float, int | None]] = {}
        self._last: str | None = None
        self._lock = threading.Lock()  # patients run on threads
        self._handle = display(_Text("starting"), display_id=True)
        self._told = 0.0

    def phase(self, name: str, total: int | None) -> None:
        """A phase of a length begins; phases may run side by side."""
        with self._lock:
            self._phases[name] = (0.0, total)
            self._last = name
            self._tell(True)

    def advance(self, n: float = 1, phase: str | None = None) -> None:
        """So much more of a phase is done."""
        with self._lock:
            name = phase or self._last or ""
            done, total = self._phases.get(name, (0.0, None))
            self._phases[name] = (done + n, total)
            self._tell(total is not None and done + n >= total)

    def _tell(self, at_once: bool) -> None:
        now = time.monotonic()
        if at_once or now - self._told >= EVERY_S:
            self._told = now
            self._handle.update(_Text(", ".join(_words(name, *state) for name, state in self._phases.items())))


class _Text:
    """A line of text, as notebooks show it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _words(name: str, done: float, total: int | None) -> str:
    return f"{name} {done:g}" if total is None else f"{name} {done:g} of {total}"


def notebook_progress() -> NotebookProgress | None:
    """Progress below the cell where this is a notebook; None elsewhere."""
    shell = sys.modules.get("IPython")  # nobody is in a notebook who has not imported it
    running = shell.get_ipython() if shell is not None else None
    if running is None or not hasattr(running, "kernel"):
        return None
    from IPython.display import display

    return NotebookProgress(display)
