"""What a command does when it is told to end: it says so at once, stops between two visits, and is gone within ten seconds."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tme_abm.batch.stopping import Stop

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
LONGEST_S = 8.0  # that a command may take to end by itself, whatever it is at [s]


@contextmanager
def ending_on_signals(stop: Stop, say: Callable[[str], None]) -> Iterator[None]:
    """Within, SIGINT, SIGTERM and SIGHUP set `stop`.

    The signal is heard on a thread of its own, also while the main thread compiles or draws and lets nobody in. A command that has not
    ended in time, or that is told twice, is ended at once: what is done stands on disk.

    Args:
        stop: What work looks at.
        say: Who is told, at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    here, there = socket.socketpair()
    there.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN}
    wakeup = signal.set_wakeup_fd(there.fileno(), warn_on_full_buffer=False)
    listener = threading.Thread(target=_listen, args=(here, stop, say), name="signals", daemon=True)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        there.close()  # which ends the listener
        listener.join()
        here.close()


def _listen(here: socket.socket, stop: Stop, say: Callable[[str], None]) -> None:
    timer: threading.Timer | None = None
    while numbers := here.recv(16):
        for number in numbers:
            if number not in ENDING:
                continue
            if timer is not None:
                _leave(number)
            timer = threading.Timer(LONGEST_S, _leave, (number,))
            timer.daemon = True
            timer.start()
            stop.set(number)  # first: a terminal that has gone, and is told something, must not keep work from ending
            with suppress(OSError, ValueError):
                say(signal.Signals(number).name)
    if timer is not None:
        timer.cancel()


def _leave(number: int) -> None:
    """End the process at once."""
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(128 + number)
