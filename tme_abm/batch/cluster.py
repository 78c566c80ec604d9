"""Workers of a Dask cluster: of a scheduler that runs somewhere, or jobs of SLURM that are submitted for a run and end with it.

The work, with the whole study in it, goes to each worker once, as a plugin that workers who come later get too; what is sent for each
piece is its number. Only so many pieces are out as there are workers for, so a study of millions takes no memory here or at the
scheduler. A piece whose worker is lost is run again by Dask; one over which several workers were lost is given up, as with processes. A
worker must have the same code as this process, or it would give other numbers and nobody would know.
"""

import asyncio
import logging
import pickle
import shutil
import sys
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib import import_module
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import Any

from tme_abm import __version__
from tme_abm.batch.executors import AHEAD, LOOK_S, TRIES, Crashed, Done, Work
from tme_abm.batch.stopping import Stop
from tme_abm.foundation.errors import InputError, did_you_mean, first_line
from tme_abm.foundation.installed import carried

SLURM = "slurm"
REMOTE = ("tcp://", "tls://")
CONNECT_S = 10.0  # for a scheduler to answer [s]
COUNT_S = 1.0  # between two counts of the workers [s]
END_S = 2.0  # for each of the calls that end a run: a scheduler that does not answer must not keep anybody from leaving [s]
CANCEL_S = 20.0  # for jobs to be cancelled, unless a signal leaves less time than that [s]
RENEW_S = 60.0  # between two looks at whether jobs have ended before the work [s]
LONGEST_PAUSE_S = 3600.0  # between two such looks where no job brings anything [s]
NO_PAGE = "127.0.0.1:0"  # where Dask shows its page: for this machine only, on any port
TALKERS = ("distributed", "distributed.client", "distributed.gc", "dask_jobqueue", "tornado.application", "asyncio")
EXTRA = "it comes with the extra `cluster`: pip install 'tme-abm[cluster]'"

Fingerprint = Callable[[], Mapping[str, str]]


def check_scheduler(scheduler: str) -> None:
    """Raise an `InputError` for what is no address of a scheduler and no word for one."""
    if scheduler != SLURM and not (scheduler.startswith(REMOTE) and len(scheduler) > len(REMOTE[0])):
        hint = did_you_mean(scheduler, [SLURM])
        near = hint if "did you mean" in hint else ""
        raise InputError(f"--scheduler {scheduler}: give the address of a Dask scheduler, such as tcp://host:8786, or {SLURM}{near}")


@contextmanager
def open_cluster(scheduler: str, workers: int | None, fingerprint: Fingerprint, say: Callable[[str], Any]) -> "Iterator[Cluster]":
    """Be connected to a cluster.

    Args:
        scheduler: Address of a Dask scheduler, or "slurm" for jobs of one's own.
        workers: Of SLURM, the number of jobs; elsewhere the most pieces that are out at a time, as many as the cluster has room for where
            it is left out.
        fingerprint: What must be the same here and there: name -> version; a function that workers can import.
        say: Is told who comes and who is lost.

    Raises:
        InputError: Where that cannot be: a package is missing, nobody answers, there is no SLURM, or it is not configured.
    """
    check_scheduler(scheduler)
    if scheduler == SLURM:
        if workers is None:
            raise InputError("--scheduler slurm needs --workers, the number of jobs")
        if shutil.which("sbatch") is None:
            raise InputError("--scheduler slurm: there is no sbatch on this machine; start the run on a node that can submit jobs")
    with ExitStack() as stack:
        stack.enter_context(_hushed())
        distributed = _need("distributed")
        jobs: Any = None
        if scheduler == SLURM:
            jobs = _submit(workers or 1)
            stack.callback(_within, CANCEL_S, jobs.close)
        client = _connect(distributed, jobs if jobs is not None else scheduler)
        stack.callback(_within, END_S, client.close)
        where = jobs.scheduler_address if jobs is not None else scheduler
        yield Cluster(client, where, fingerprint, say, None if jobs is not None else workers, Jobs(jobs, workers or 1) if jobs else None)


class Jobs:
    """Jobs of a batch system, which end when their time is over, or their node: others take their places."""

    def __init__(self, cluster: Any, number: int) -> None:
        """Take a cluster of `dask_jobqueue` that has been asked for so many jobs."""
        self._cluster, self._number = cluster, number
        self._pause = RENEW_S
        self._due = time.monotonic() + self._pause
        self._done = 0  # when there was last a look

    def renew(self, done: int) -> None:
        """Submit jobs in the places of those that have ended; at ever longer intervals as long as nothing comes of them."""
        if time.monotonic() < self._due:
            return
        self._cluster.scale(jobs=self._number)
        self._pause = RENEW_S if done > self._done else min(2.0 * self._pause, LONGEST_PAUSE_S)
        self._due = time.monotonic() + self._pause
        self._done = done


class Cluster:
    """An `Executor`: the workers of a Dask cluster."""

    def __init__(
        self,
        client: Any,
        where: str,
        fingerprint: Fingerprint,
        say: Callable[[str], Any],
        most: int | None = None,
        jobs: Jobs | None = None,
    ) -> None:
        """Take a client of Dask that is connected.

        Args:
            client: The `distributed.Client`.
            where: Address of the scheduler, for messages.
            fingerprint: As `open_cluster`.
            say: As `open_cluster`.
            most: Pieces that are out at a time at most.
            jobs: Whose workers these are, where they were submitted for this run.
        """
        self._client, self.where, self._fingerprint, self._say = client, where, fingerprint, say
        self._most, self._jobs = most, jobs
        self._threads: dict[str, int] = {}
        self._done = 0  # pieces, in all runs
        self._counted = -COUNT_S
        self._is_told = False
        self._count()

    @property
    def workers(self) -> int:
        """How many pieces of work are done at a time, as far as is known now."""
        return max(1, min(sum(self._threads.values()), self._most or sys.maxsize))

    @property
    def _room(self) -> int:
        """How many pieces may be out."""
        return max(1, min(AHEAD * sum(self._threads.values()), self._most or sys.maxsize))

    def run(self, work: Work, indices: Iterable[int], stop: Stop, give_up: Callable[[int, Exception], Any] | None = None) -> Iterator[Done]:
        """As `Executor.run`."""
        from tme_abm.batch.cluster_worker import Task, carry_out

        name = f"tme-{uuid.uuid4().hex[:16]}"
        cloudpickle = _need("cloudpickle")
        with carried(cloudpickle):
            payload = cloudpickle.dumps(work)
        task = Task(name, payload, self._fingerprint, dict(self._fingerprint()))
        waiting, ended = iter(indices), SimpleQueue[Any]()
        running: dict[str, tuple[Any, int, int]] = {}  # key of Dask -> future, number, attempt
        suspects: list[int] = []  # were out with workers that died; once more each, alone, lest one is blamed for what another does

        def submit(index: int, attempt: int) -> None:
            key = f"{name}-{index}-{attempt}"
            future = self._client.submit(carry_out, name, index, key=key, pure=False)
            running[key] = future, index, attempt
            future.add_done_callback(fetch)

        def fetch(future: Any) -> None:
            # on a thread of its own: however long it takes, others come in meanwhile, and the end is heard
            threading.Thread(target=lambda: ended.put((future, *self._fetch(future))), name="fetching", daemon=True).start()

        try:
            self._hand_over(task)
            while True:
                self._look()
                while len(running) < self._room and not stop.is_set():
                    index = next(waiting, None)
                    if index is None:
                        break
                    submit(index, 1)
                if not running:
                    if not suspects or stop.is_set():
                        break
                    submit(suspects.pop(0), TRIES)
                try:
                    future, message, error = ended.get(timeout=0.0 if stop.is_set() else LOOK_S)
                except Empty:
                    if stop.is_set():
                        break  # what is not done will be done again
                    continue
                if future.key not in running:
                    continue
                _, index, attempt = running[future.key]
                del running[future.key]
                if error is not None:
                    if isinstance(error, Crashed) and attempt < TRIES:
                        suspects.append(index)
                        continue
                    if give_up is None:
                        raise error
                    yield Done(index, give_up(index, error))
                    continue
                if message is None:  # cancelled by somebody else, with the scheduler still there
                    self._look()
                    if attempt >= TRIES:
                        raise ConnectionError(f"the work was cancelled at the Dask scheduler at {self.where}")
                    submit(index, attempt + 1)
                    continue
                future.release()
                self._done += 1
                yield from self._unpack(index, message, give_up)
            if self._client.status == "running":
                self._count()  # who was lost since the last count is told, too
            stop.check()
        finally:
            if self._client.status == "running":
                _within(END_S, lambda: self._client.unregister_worker_plugin(name))  # which ends what workers are at
                if running:
                    _within(END_S, lambda: self._client.cancel([future for future, *_ in running.values()], force=True))

    def _hand_over(self, task: Any) -> None:
        """Give every worker, those who come later too, the work.

        Raises:
            InputError: Where a worker has another program, or none.
            ConnectionError: Where the scheduler is gone.
        """
        try:
            self._client.register_plugin(task, name=task.name)
        except OSError:
            raise ConnectionError(self._gone()) from None
        except Exception as error:  # which Dask has put into words on the way
            what = f"a worker of the Dask scheduler at {self.where} cannot take the work: {first_line(error)}"
            raise InputError(f"{what}; install tme_abm {__version__} on all of them") from None

    def _fetch(self, future: Any) -> tuple[bytes | None, Exception | None]:
        """What a worker has answered, and what was met instead; neither where the piece was cancelled.

        It takes as long as it takes: an answer whose worker dies before it was fetched comes once another has done the piece again.
        """
        from distributed import CancelledError, KilledWorker

        try:
            return future.result(), None
        except KilledWorker as error:
            n = error.allowed_failures + 1
            died = f"{n} worker{'s' * (n > 1)} of the cluster died over it, the last at {error.last_worker.address}"
            return None, Crashed(died)
        except (CancelledError, asyncio.CancelledError):
            return None, None
        except Exception as error:
            return None, error

    def _unpack(self, index: int, message: bytes, give_up: Callable[[int, Exception], Any] | None) -> Iterator[Done]:
        """The result in an answer.

        Raises:
            InputError: Where the worker is another program than this one.
            ConnectionError: Where it does not know the work, as the scheduler has been another one for a while.
        """
        from tme_abm.batch.cluster_worker import Foreign, Unknown

        try:
            is_well, answer = pickle.loads(message)
            if not is_well:
                raise answer
        except Foreign as error:
            raise InputError(f"{error}; install the same there") from None
        except Unknown:
            raise ConnectionError(self._gone()) from None
        except Exception as error:
            if give_up is None:
                raise
            answer = give_up(index, error)
        yield Done(index, answer)

    def _look(self) -> None:
        """See whether the scheduler is there, and who works.

        Raises:
            ConnectionError: Where it is gone.
        """
        if self._client.status != "running":
            raise ConnectionError(self._gone())
        if time.monotonic() - self._counted < COUNT_S:
            return
        self._count()
        if self._jobs is not None:
            self._jobs.renew(self._done)

    def _count(self) -> None:
        """Count the workers, and tell who has come and who was lost."""
        self._counted = time.monotonic()
        found = _within(END_S, lambda: {str(where): int(n) for where, n in self._client.nthreads().items()})
        if found is None:
            return  # the scheduler is busy, or lost
        lost, come = self._threads.keys() - found.keys(), found.keys() - self._threads.keys()
        self._threads = found
        n = len(found)
        there = f"{n} worker{'s' * (n != 1)}, {sum(found.values())} at a time"
        if lost:
            self._say(f"{len(lost)} worker{'s' * (len(lost) > 1)} of the cluster lost, whose work is run again; {there}")
        elif come:
            self._say(f"{self.where}: {there}")
        if not found and not self._is_told:
            hint = " (squeue shows the jobs, their logs what they met)" if self._jobs is not None else ""
            self._say(f"{self.where} has no workers; waiting for them{hint}")
        self._is_told = not found

    def _gone(self) -> str:
        return f"the Dask scheduler at {self.where} is gone"


def _connect(distributed: ModuleType, to: Any) -> Any:
    """A client of a scheduler.

    Raises:
        InputError: Where nobody answers, or not as a scheduler of Dask does.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions of Dask's own packages; what matters here is compared by the workers
            return distributed.Client(to, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError):
        raise InputError(
            f"--scheduler {to}: no Dask scheduler answered within {CONNECT_S:.0f} s; start one with `dask scheduler`"
        ) from None
    except Exception as error:
        raise InputError(f"--scheduler {to}: {first_line(error)}") from None


def _submit(number: int) -> Any:
    """Jobs of SLURM, as the user's configuration of dask-jobqueue describes them.

    Raises:
        InputError: Where there is none, or it is not taken.
    """
    jobqueue = _need("dask_jobqueue")
    import dask

    # the pages of the scheduler and of the workers would listen on every interface of their machines
    options = {"dashboard": False, "dashboard_address": NO_PAGE, **(dask.config.get("jobqueue.slurm.scheduler-options", None) or {})}
    arguments = ["--dashboard-address", NO_PAGE, *(dask.config.get("jobqueue.slurm.worker-extra-args", None) or ())]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cluster = jobqueue.SLURMCluster(scheduler_options=options, worker_extra_args=arguments, silence_logs=logging.CRITICAL)
    except Exception as error:
        what = f"--scheduler slurm: {first_line(error).removesuffix(', for example')}"
        raise InputError(f"{what}; describe a job in ~/.config/dask/jobqueue.yaml (docs/cluster.md has one)") from None
    cluster.scale(jobs=number)
    return cluster


def _need(package: str) -> ModuleType:
    """A package of the extra `cluster`.

    Raises:
        InputError: Where it is not installed.
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise InputError(f"--scheduler needs the package {error.name}; {EXTRA}") from None


def _within(seconds: float, ask: Callable[[], Any]) -> Any:
    """What a call gives; None where it fails, or takes longer than that."""
    found: list[Any] = []

    def call() -> None:
        with suppress(Exception):
            found.append(ask())

    thread = threading.Thread(target=call, name="asking", daemon=True)
    thread.start()
    thread.join(seconds)
    return found[0] if found else None


@contextmanager
def _hushed() -> Iterator[None]:
    """Within, Dask writes no log of its own on this terminal: what matters is told by the run."""
    with suppress(ImportError):
        import_module("distributed")  # which sets the levels of its loggers when it is imported
    loggers = [logging.getLogger(name) for name in TALKERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
