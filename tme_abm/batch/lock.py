"""One run at a time in a folder: a file that says who holds it, and that the system lets go of when the holder dies."""

import json
import os
import socket
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tme_abm.foundation.errors import InputError

LOCK = ".tme-lock"


class Lock:
    """The lock of a folder, held by this process.

    Attributes:
        took_over: Who held it before and died with it; empty where nobody did.
    """

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            InputError: Where another process holds it, with who that is.
        """
        self.path = folder / LOCK
        self.took_over = ""
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            before = _read(handle)
            if not _grasp(handle, before):
                os.close(handle)
                raise InputError(f"{folder} is in use by {_words(before)}; wait for its end, or choose another folder with --out")
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(self.path)):
                    break
            os.close(handle)  # whoever held it removed the file in between
        self._handle = handle
        if before:
            self.took_over = _words(before)
        mine = {"pid": os.getpid(), "host": socket.gethostname(), "started": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(mine).encode(), 0) if hasattr(os, "pwrite") else os.write(handle, json.dumps(mine).encode())

    def release(self) -> None:
        """Let others in."""
        if os.name == "nt":  # which removes no open file
            os.close(self._handle)
            self.path.unlink(missing_ok=True)
            return
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        os.close(self._handle)


def _read(handle: int) -> dict[str, Any]:
    """Who is written in a lock; empty where nobody is."""
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        held = json.loads(os.read(handle, 4096) or b"{}")
    except (ValueError, OSError):
        return {}
    return held if isinstance(held, dict) else {}


def _grasp(handle: int, before: dict[str, Any]) -> bool:
    """Whether the lock could be taken: the system's own, or where a file system has none, by asking whether the holder lives."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(handle, 4096, os.SEEK_SET)  # beyond what is written, so that others can read it
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return not before or (before.get("host") == socket.gethostname() and not _is_alive(int(before.get("pid", 0))))
    return True


def _is_alive(pid: int) -> bool:
    """Whether a process of this machine lives."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0


def _words(held: dict[str, Any]) -> str:
    """Who holds a lock, in words."""
    if not held:
        return "another process"
    return f"process {held.get('pid')} on {held.get('host')}, since {held.get('started')}"
