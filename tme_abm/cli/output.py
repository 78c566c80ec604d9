"""Output that nobody need read to its end: a reader who leaves early ends no run."""

import atexit
import errno
import os
import sys
import threading
from contextlib import suppress
from typing import Any, TextIO

GONE = (errno.EPIPE, errno.EIO)  # how a stream says that its reader has gone: a pipe, a terminal


class LastingOutput:
    """A text stream that goes on into nothing once its reader has gone."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream` as long as somebody reads it."""
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """Whatever else a stream can do."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, or forget."""
        try:
            return self._stream.write(text)
        except OSError as error:
            if error.errno not in GONE:
                raise
            self._let_go()
            return len(text)

    def flush(self) -> None:
        """Have it written, or forgotten."""
        try:
            self._stream.flush()
        except OSError as error:
            if error.errno not in GONE:
                raise
            self._let_go()

    def _let_go(self) -> None:
        """Lead the stream to nowhere, so that what it still holds goes there too."""
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)


def leave(code: Any) -> None:
    """End this process as Python would, but without taking apart what it holds: the system takes back all memory at once.

    Threads are waited for, what was to be called at the end is called, streams are flushed. Returns where there is a message to be
    shown instead of a code, or a stream that cannot be flushed, which Python tells better; and where a profile, a measure of coverage or
    an interactive session is to be written or gone on with afterwards.
    """
    if _is_watched():
        return
    finish: Any = getattr(threading, "_shutdown", None), getattr(atexit, "_run_exitfuncs", None)
    if not (code is None or isinstance(code, int)) or None in finish:
        return
    try:
        for step in finish:
            step()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (Exception, KeyboardInterrupt):
        return
    os._exit((code or 0) & 0xFF)


def _is_watched() -> bool:
    watching: Any = getattr(sys, "monitoring", None)  # from Python 3.12 on
    is_monitored = watching is not None and any(watching.get_tool(tool) for tool in range(6))
    return is_monitored or bool(sys.getprofile() or sys.gettrace() or sys.flags.interactive)


def outlast_readers() -> None:
    """Have the standard streams go on when their readers have gone."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        if stream is not None and not isinstance(stream, LastingOutput):
            setattr(sys, name, LastingOutput(stream))
