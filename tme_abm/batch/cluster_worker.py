"""What a worker of a Dask cluster keeps of a run: the work, unpacked once, and a flag that ends it."""

import pickle
import threading
from collections.abc import Callable, Mapping
from typing import Any

from distributed import Reschedule, WorkerPlugin

from tme_abm.batch.stopping import Stop, Stopped, heeding
from tme_abm.batch.worker import pickled


class Foreign(Exception):
    """The worker has other code than the process that sent the work."""


class Unknown(Exception):
    """The worker has not got the work."""


class Task(WorkerPlugin):  # type: ignore[misc, unused-ignore]
    """The work of a run, on its way to a worker and there."""

    def __init__(self, name: str, payload: bytes, fingerprint: Callable[[], Mapping[str, str]], wanted: Mapping[str, str]) -> None:
        """Take the work, pickled.

        Args:
            name: Which no other run has.
            payload: The work.
            fingerprint: What code this is: name -> version.
            wanted: What that has given where the work comes from.
        """
        self.name, self._payload, self._fingerprint, self._wanted = name, payload, fingerprint, wanted

    def setup(self, worker: Any) -> None:
        """Be there when pieces come."""
        self._where = str(worker.address)
        self._stop, self._lock = Stop(), threading.Lock()
        self._work: Callable[[int], Any] | None = None
        _tasks[self.name] = self

    def teardown(self, worker: Any) -> None:
        """End what is still at work, at its next visit: the run is over, or this worker is, whose work others then do."""
        self._stop.set()
        self._payload, self._work = b"", None

    def work(self) -> Callable[[int], Any]:
        """The work, unpacked by whoever is first.

        Raises:
            Foreign: Where this is other code.
        """
        with self._lock:
            if self._work is None:
                found = self._fingerprint()
                for what, wanted in self._wanted.items():
                    if found.get(what) != wanted:
                        raise Foreign(f"the worker at {self._where} has {what} {found.get(what)} instead of {wanted}")
                self._work = pickle.loads(self._payload)
            return self._work

    def answer(self, index: int) -> bytes:
        """Whether a piece of work went well, and what it gave or raised: a pair, pickled."""
        try:
            with heeding(self._stop):
                self._stop.check()
                return pickled((True, self.work()(index)))
        except Stopped:
            raise Reschedule from None
        except Exception as error:
            return pickled((False, error))


_tasks: dict[str, Task] = {}  # of this process, by name


def carry_out(name: str, index: int) -> bytes:
    """Do a piece of work: what workers are asked for, with the name of the run and the number of the piece."""
    task = _tasks.get(name)
    return pickled((False, Unknown())) if task is None else task.answer(index)
