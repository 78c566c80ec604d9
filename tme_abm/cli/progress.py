"""How far a run has come: bars on a terminal, elsewhere a line now and then."""

import json
import sys
import threading
import time
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

from tme_abm.cli.options import make_console

FIRST_S, EVERY_S = 5.0, 30.0  # from the start to the first line, and from line to line [s]
FAILED, COMPILING = "failed", "compiling"


class Shown(AbstractContextManager[Any], Protocol):
    """A progress that is shown to somebody, and can say a sentence."""

    def phase(self, name: str, total: int | None) -> None:
        """A phase of a length begins; phases may run side by side."""

    def advance(self, n: float = 1, phase: str | None = None) -> None:
        """So much more of a phase is done."""

    def say(self, words: str) -> None:
        """Say a sentence."""

    def stop(self) -> None:
        """Show no more."""


def make_progress(quiet: bool = False, log_json: bool = False) -> Shown:
    """The progress that suits whoever reads the output."""
    if log_json:
        return JsonLines()
    if quiet:
        return Quiet()
    return Bars() if sys.stdout.isatty() else Lines()


class Bars:
    """A bar for each phase of a run."""

    def __init__(self) -> None:
        """Draw on the terminal."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, console=make_console())
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Start drawing."""
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bars as they stand."""
        self._bars.stop()

    def phase(self, name: str, total: int | None) -> None:
        """A phase of a length begins; phases may run side by side."""
        if name in self._tasks:
            self._bars.update(self._tasks[name], total=total)
        else:
            self._tasks[name] = self._bars.add_task(name, total=total)

    def advance(self, n: float = 1, phase: str | None = None) -> None:
        """So much more of a phase is done, of the one that began last where none is named."""
        self._bars.advance(self._tasks[phase] if phase is not None else list(self._tasks.values())[-1], n)

    def say(self, words: str) -> None:
        """Say a sentence above the bars."""
        self._bars.console.print(words)

    def stop(self) -> None:
        """Leave the bars as they stand."""
        self._bars.stop()


class Quiet:
    """Nothing is told; the base of those who tell by lines, which count what is done."""

    def __init__(self) -> None:
        """Count from nothing."""
        self._lock = threading.Lock()
        self._totals: dict[str, int | None] = {}
        self._done: dict[str, float] = {}
        self._start: dict[str, tuple[float, float]] = {}  # time of the first advance of a phase, and what was done before

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Tell no more."""
        self.stop()

    def phase(self, name: str, total: int | None) -> None:
        """A phase of a length begins; phases may run side by side."""
        with self._lock:
            self._totals.pop(name, None)  # the last to begin stands last
            self._totals[name] = total
            self._done.setdefault(name, 0.0)
            self._start.setdefault(name, (time.monotonic(), self._done[name]))

    def advance(self, n: float = 1, phase: str | None = None) -> None:
        """So much more of a phase is done, of the one that began last where none is named."""
        with self._lock:
            name = phase if phase is not None else next(reversed(self._totals))
            self._done[name] += n
            if n > 1:  # found on disk: no measure of the speed
                self._start[name] = (time.monotonic(), self._done[name])

    def state(self) -> dict[str, Any]:
        """Where the work stands: phase, done, total, per minute, seconds left, failures."""
        with self._lock:
            names = [name for name in self._totals if name != FAILED]
            if not names:
                return {}
            name = names[-1]
            total, done = self._totals[name], self._done[name]
            began, before = self._start[name]
            seconds = time.monotonic() - began
            rate = (done - before) / seconds if seconds > 0.0 else 0.0
            left = (total - done) / rate if total is not None and rate > 0.0 else None
            return {
                "phase": name,
                "done": round(done),
                "total": total,
                "per_minute": round(60.0 * rate, 2),
                "seconds_left": None if left is None else round(left),
                "failed": round(self._done.get(FAILED, 0.0)),
            }

    def say(self, words: str) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


class Lines(Quiet):
    """A line now and then."""

    def __init__(self) -> None:
        """Tell on the standard output."""
        super().__init__()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="progress", daemon=True)
        self._told: dict[str, Any] = {}

    def __enter__(self) -> Self:
        """Begin to tell."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Tell no more."""
        self._is_over.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _tell(self) -> None:
        wait = FIRST_S
        while not self._is_over.wait(wait):
            wait = EVERY_S
            if state := self.state():
                self._write(state)

    def _write(self, state: dict[str, Any]) -> None:
        self._print(in_words(state))

    def say(self, words: str) -> None:
        """Say a sentence."""
        self._print(words)

    def _print(self, line: str) -> None:
        with self._lock:
            print(line, flush=True)


class JsonLines(Lines):
    """A line of JSON now and then, for another program to read."""

    def _write(self, state: dict[str, Any]) -> None:
        self._print(json.dumps({"time": _now(), "event": "progress", **state}))

    def phase(self, name: str, total: int | None) -> None:
        """Tell each phase as it begins."""
        super().phase(name, total)
        self._print(json.dumps({"time": _now(), "event": "phase", "phase": name, "total": total}))

    def say(self, words: str) -> None:
        """Say a sentence."""
        self._print(json.dumps({"time": _now(), "event": "message", "text": words}))

    def stop(self) -> None:
        """Tell where the work stands in the end."""
        if not self._is_over.is_set() and (state := self.state()):
            self._write(state)
        super().stop()


def in_words(state: dict[str, Any]) -> str:
    """Where the work stands, in a line."""
    if state["phase"] == COMPILING and not state["done"]:
        return "compiling"
    total = "" if state["total"] is None else f" of {state['total']}"
    parts = [f"{state['phase']} {state['done']}{total}", f"{state['per_minute']:g} a minute"]
    if state["seconds_left"] is not None:
        parts.append(f"{length(state['seconds_left'])} left")
    return ", ".join([*parts, f"{state['failed']} failed"])


def length(seconds: float) -> str:
    """A length of time in words."""
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 5400.0 else f"{seconds / 3600.0:.1f} h"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
