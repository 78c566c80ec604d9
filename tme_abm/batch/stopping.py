"""Asking work to end: a flag that long work looks at wherever it could stop."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stopped(BaseException):
    """Work has ended because it was asked to. No `Exception`, lest somebody takes it for the failure of a patient."""


class Stop:
    """Whether work is to end, and which signal asked for it."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self._event = threading.Event()
        self.signal: signal.Signals | None = None

    def set(self, number: int | None = None) -> None:
        """Ask for the end; the first who asks is remembered."""
        if number is not None and self.signal is None:
            self.signal = signal.Signals(number)
        self._event.set()

    def is_set(self) -> bool:
        """Whether anybody has asked."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise `Stopped` where anybody has asked."""
        if self._event.is_set():
            raise Stopped

    @property
    def exit_code(self) -> int:
        """The exit code of a command that was stopped, as shells count it."""
        return 128 + int(self.signal or signal.SIGINT)


_heeded: ContextVar[Stop | None] = ContextVar("heeded", default=None)


@contextmanager
def heeding(stop: Stop) -> Iterator[None]:
    """Within, `check` on this thread looks at `stop`."""
    token = _heeded.set(stop)
    try:
        yield
    finally:
        _heeded.reset(token)


def check() -> None:
    """Raise `Stopped` where this thread's work was asked to end; called wherever long work could stop, at least once a second."""
    stop = _heeded.get()
    if stop is not None:
        stop.check()
