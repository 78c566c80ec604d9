"""What a worker of a Dask cluster keeps of a run: the work, unpacked once, and a flag that ends it."""

import pickle
import threading
from collections.abc import Callable, Mapping
from typing import Any

from distributed import Reschedule, Status, WorkerPlugin, get_worker

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

    def teardown(self, worker: Any) -> None:
        """End what is still at work, at its next visit: the run is over, or this worker is, whose work others then do.

        The work is not thrown away here: a thread may be unpacking it. The worker forgets this object, and the work goes with it.
        """
        self._stop.set()

    def work(self) -> Callable[[int], Any]:
        """The work, unpacked by whoever is first.

        Raises:
            Foreign: Where this is other code.
            Stopped: Where the run ended meanwhile.
        """
        with self._lock:
            self._stop.check()
            if self._work is None:
                found = self._fingerprint()
                for what, wanted in self._wanted.items():
                    if found.get(what) != wanted:
                        raise Foreign(f"the worker at {self._where} has {what} {found.get(what)} instead of {wanted}")
                self._work = pickle.loads(self._payload)
                self._stop.check()  # it may have taken a while
            return self._work

    def answer(self, index: int) -> bytes:
        """Whether a piece of work went well, and what it gave or raised: a pair, pickled."""
        try:
            with heeding(self._stop):
                return pickled((True, self.work()(index)))
        except Stopped:
            raise Reschedule from None
        except Exception as error:
            return pickled((False, error))


def carry_out(name: str, index: int) -> bytes:
    """Do a piece of work: what workers are asked for, with the name of the run and the number of the piece."""
    worker = get_worker()
    task = worker.plugins.get(name)
    if isinstance(task, Task):
        return task.answer(index)
    if worker.status in (Status.closing, Status.closed):  # it has forgotten all that it knew: another one does this
        raise Reschedule
    return pickled((False, Unknown()))
