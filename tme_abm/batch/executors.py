"""Who carries out many pieces of work: threads of this process, processes of this machine, or a cluster (`batch.cluster`).

Work is a function of one number. It is handed out as it is needed, so a study of millions takes no memory before it begins, and comes
back as it is done, in any order: nothing may depend on the order, as every draw of chance has its own address.

Threads serve where the kernels let go of Python's lock. Processes cost some seconds and the memory of an interpreter each; they survive
the crash of one of them, whose piece of work is done again.
"""

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import IO, Any, NamedTuple, Protocol, Self

from tme_abm.batch.child import environment
from tme_abm.batch.stopping import Stop, Stopped, heeding

Work = Callable[[int], Any]
AHEAD = 2  # pieces handed out for each worker, so that none waits for the next
LOOK_S = 0.1  # between two looks at whether to stop [s]
TRIES = 2  # crashes of a worker over one piece of work until it is given up
LENGTH_BYTES = 8  # of the length before each message to or from a worker process


class Done(NamedTuple):
    """A piece of work that is done."""

    number: int
    result: Any


class Crashed(RuntimeError):
    """The worker process died over a piece of work, more than once."""


class Executor(Protocol):
    """Carries out pieces of work."""

    @property
    def workers(self) -> int:
        """How many at a time."""

    def run(self, work: Work, indices: Iterable[int], stop: Stop, give_up: Callable[[int, Exception], Any] | None = None) -> Iterator[Done]:
        """Do the work of each index, and give each result as soon as it is there.

        Args:
            work: What to do; for processes it must be possible to pickle it.
            indices: Taken as they are needed.
            stop: When set, no more is begun, work that looks at `stopping.check` ends, and `Stopped` is raised once all that is done has
                been given.
            give_up: What a piece of work gives that could not be carried out; without it the error is raised.
        """


class Threads:
    """Threads of this process."""

    def __init__(self, workers: int) -> None:
        """So many at a time."""
        self.workers = max(1, workers)

    def run(self, work: Work, indices: Iterable[int], stop: Stop, give_up: Callable[[int, Exception], Any] | None = None) -> Iterator[Done]:
        """As `Executor.run`."""

        def heed(index: int) -> Any:
            with heeding(stop):
                stop.check()
                return work(index)

        waiting = iter(indices)
        running: dict[Future[Any], int] = {}
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="worker")
        try:
            while True:
                while len(running) < AHEAD * self.workers and not stop.is_set():
                    index = next(waiting, None)
                    if index is None:
                        break
                    running[pool.submit(heed, index)] = index
                if not running:
                    break
                ended, _ = wait(running, timeout=LOOK_S, return_when=FIRST_COMPLETED)
                for future in sorted(ended, key=lambda future: running[future]):
                    index = running.pop(future)
                    try:
                        yield Done(index, future.result())
                    except Stopped:
                        continue
                    except Exception as error:
                        if give_up is None:
                            raise
                        yield Done(index, give_up(index, error))
            stop.check()
        finally:
            if running:
                stop.set()  # whoever takes no more results wants no more work
            pool.shutdown(wait=True, cancel_futures=True)


class Processes:
    """Processes of this machine, each fed by a thread of this one.

    They end with each run; in a `with` statement they are kept from one run to the next, as for a search of many small ones.
    """

    def __init__(self, workers: int) -> None:
        """So many at a time."""
        self.workers = max(1, workers)
        self._is_kept = False
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        self._all: set[_Worker] = set()
        self._lock = threading.Lock()

    def run(self, work: Work, indices: Iterable[int], stop: Stop, give_up: Callable[[int, Exception], Any] | None = None) -> Iterator[Done]:
        """As `Executor.run`."""
        task = pickle.dumps(work)
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(LOOK_S):
                if stop.is_set():
                    self._end()  # what they are at is not done and will be done again

        watcher = threading.Thread(target=watch, name="processes", daemon=True)
        watcher.start()
        try:
            yield from Threads(self.workers).run(lambda index: self._ask(task, index, stop), indices, stop, give_up)
        finally:
            is_over.set()
            watcher.join()
            if not self._is_kept:
                self._end()

    def __enter__(self) -> Self:
        """Keep the processes, from the first run on."""
        self._is_kept = True
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        self._is_kept = False
        self._end()

    def _ask(self, task: bytes, index: int, stop: Stop) -> Any:
        """Have a worker process do one piece of work, and another one where that dies over it."""
        codes = []
        for _ in range(TRIES):
            stop.check()
            worker = self._take()
            try:
                message = worker.ask(task, index)
            except (EOFError, OSError):
                stop.check()
                codes.append(worker.end())
                with self._lock:
                    self._all.discard(worker)
                continue
            try:
                is_well, answer = pickle.loads(message)  # which may fail, and is no fault of the worker
            finally:
                self._free.put(worker)
            if not is_well:
                raise answer
            return answer
        raise Crashed(f"the worker process died ({', '.join(_cause(code) for code in codes)})")

    def _take(self) -> "_Worker":
        with suppress(Empty):
            return self._free.get_nowait()
        worker = _Worker()
        with self._lock:
            self._all.add(worker)
        return worker

    def _end(self) -> None:
        """End all worker processes."""
        with suppress(Empty):
            while True:
                self._free.get_nowait()
        with self._lock:
            for worker in self._all:
                worker.end()
            self._all.clear()


class _Worker:
    """A worker process (`tme_abm.batch.worker`), from this side."""

    def __init__(self) -> None:
        options: dict[str, Any] = {} if os.name == "nt" else {"start_new_session": True}  # Ctrl-C is for this process to hear
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tme_abm.batch.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), **options
        )
        self._task: bytes | None = None  # which the process has

    def ask(self, task: bytes, index: int) -> bytes:
        """Whether a piece of work went well, and what it gave or raised: a pair, pickled."""
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None and pipe_out is not None
        is_new = self._task is not task
        send(pipe_in, pickle.dumps((is_new, index)))
        if is_new:
            send(pipe_in, task)
            self._task = task
        return receive(pipe_out)

    def end(self) -> int:
        """End the process, and tell how it ended."""
        with suppress(OSError):
            self._process.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        return code


def send(pipe: IO[bytes], message: bytes) -> None:
    """Send a message."""
    pipe.write(len(message).to_bytes(LENGTH_BYTES, "big") + message)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    """Wait for a message.

    Raises:
        EOFError: Where the other side is gone.
    """
    message = b""
    length = pipe.read(LENGTH_BYTES)
    if len(length) == LENGTH_BYTES:
        message = pipe.read(int.from_bytes(length, "big"))
    if len(length) < LENGTH_BYTES or len(message) < int.from_bytes(length, "big"):
        raise EOFError
    return message


def _cause(code: int) -> str:
    """How a process ended, in words."""
    import signal

    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"
