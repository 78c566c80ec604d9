"""Give memory back to the system when visitors leave.

Python frees what a closed page held, but the C library keeps it for later, in a pool for each of many threads: all that a class of
visitors had taken stayed with the server. So threads share few pools, and what is free is handed back some seconds after a page was
closed: half of it goes, the rest lies in pages of memory that are partly in use, and serves the next class. Where the C library is not
glibc, nothing is done.
"""

import contextlib
import ctypes
import gc
import threading

ARENA_MAX = -8  # number of glibc's option M_ARENA_MAX
ARENAS = 2
PAUSE = 3.0  # seconds after a page was closed: its kernel lets go of the widgets later than of the marrows, and pages close in crowds

_lock = threading.Lock()
_waiting: threading.Timer | None = None


def share_pools() -> None:
    """Let all threads share few pools of memory; to be called before they start."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(ARENA_MAX, ARENAS)


def give_back() -> None:
    """Collect what is no longer used, and hand it to the system."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def give_back_soon() -> None:
    """The same in a few seconds, once for all pages that close meanwhile."""
    global _waiting
    with _lock:
        if _waiting is None or not _waiting.is_alive():
            _waiting = threading.Timer(PAUSE, give_back)
            _waiting.daemon = True
            _waiting.start()
