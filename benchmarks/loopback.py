"""A Dask cluster on the loopback of this machine, for tests and benchmarks: a scheduler and workers, each a process of its own."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

LONGEST_S = 60.0  # until the scheduler is there [s]


LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1
DEATH_TIMEOUT_S = 60  # after which a worker ends that finds no scheduler, where the system ends nobody [s]


def follow_parent() -> None:
    """Have the system end this process when the one that started it ends, in whatever way; called in the new process (Linux)."""
    assert LIBC is not None
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Loopback:
    """A scheduler and its workers, one thread each.

    Attributes:
        address: Of the scheduler.
        scheduler: Its process.
        workers: Their processes.
    """

    def __init__(self, workers: int = 2, paths: Iterable[Path | str] = (), **environment: str) -> None:
        """Start them.

        Args:
            workers: How many.
            paths: Folders from which workers can import, beside what this process can.
            environment: Of the scheduler and the workers.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="tme-dask-")
        found = os.pathsep.join(map(str, (*paths, *(path for path in sys.path if path))))
        self._environment = {**os.environ, "PYTHONPATH": found, **environment}
        told = Path(self._folder.name) / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("dask_scheduler", "--port", "0", "--scheduler-file", str(told), "--no-dashboard")
        end = time.monotonic() + LONGEST_S
        self.address = ""
        while not self.address:
            if time.monotonic() > end or self.scheduler.poll() is not None:
                self.close()
                raise RuntimeError("the scheduler did not start")
            time.sleep(0.05)
            with suppress(OSError, ValueError):
                self.address = json.loads(told.read_text())["address"]
        for _ in range(workers):
            self.add_worker()

    def _start(self, what: str, *options: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.{what}", "--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", *options],
            env=self._environment,
            cwd=self._folder.name,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=follow_parent if LIBC is not None else None,
        )

    def add_worker(self, nanny: bool = False) -> None:
        """Start one more; with a nanny, one that is started again when it dies."""
        options = ("--nthreads", "1", "--memory-limit", "0", "--local-directory", self._folder.name, "--no-dashboard")
        options += ("--death-timeout", str(DEATH_TIMEOUT_S))
        self.workers.append(self._start("dask_worker", self.address, *options, "--nanny" if nanny else "--no-nanny"))

    def kill_worker(self) -> None:
        """Kill -9 the worker that came first."""
        worker = self.workers.pop(0)
        worker.kill()
        worker.wait()

    def close(self) -> None:
        """End all."""
        for process in (*self.workers, self.scheduler):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # each leads a group of its own, with what its nanny has started
            process.wait()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        """Be there."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End all."""
        self.close()
