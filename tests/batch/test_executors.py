"""Executors: the same results from each, work handed out as it is needed, failures and crashes, and the end when asked for."""

import os
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tasks

from tme_abm.batch import executors
from tme_abm.batch.executors import AHEAD, Crashed, Processes, Threads
from tme_abm.batch.stopping import Stop, Stopped

BOTH = pytest.mark.parametrize("executor", [Threads(2), Processes(2)], ids=["threads", "processes"])


@BOTH
def test_every_piece_of_work_is_done_once(executor):
    done = list(executor.run(tasks.square, range(20), Stop()))
    assert sorted(done) == [(i, i * i) for i in range(20)]


def test_processes_are_kept_from_one_run_to_the_next_where_that_is_asked_for():
    with Processes(2) as executor:
        first = {pid for _, (_, pid) in executor.run(tasks.Deadly("", 0, 0.05), range(6), Stop())}
        assert dict(executor.run(tasks.square, range(4), Stop())) == {0: 0, 1: 1, 2: 4, 3: 9}
        assert {pid for _, (_, pid) in executor.run(tasks.Deadly("", 0, 0.05), range(6), Stop())} <= first and len(first) == 2
    for pid in first:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_work_is_handed_out_as_it_is_needed():
    taken = []

    def numbers():
        for i in range(10**12):
            taken.append(i)
            yield i

    run = Threads(3).run(lambda i: i, numbers(), Stop())
    for _ in range(50):
        next(run)
    assert len(taken) <= 50 + AHEAD * 3 + 3
    run.close()


@BOTH
def test_an_error_is_raised_or_given_up(executor):
    with pytest.raises(ZeroDivisionError, match="no 3"):
        list(executor.run(tasks.fail, range(5), Stop()))
    done = dict(executor.run(tasks.fail, range(5), Stop(), lambda index, error: str(error)))
    assert done == {0: 0, 1: 1, 2: 2, 3: "no 3", 4: 4}


@BOTH
def test_the_end_comes_soon_after_it_is_asked_for(executor):
    stop = Stop()
    threading.Timer(3.0, stop.set).start()
    start = time.monotonic()
    with pytest.raises(Stopped):
        list(executor.run(tasks.loop, range(100), stop))
    assert time.monotonic() - start < 45.0  # of the minute that a piece takes


def test_what_is_done_when_the_end_is_asked_for_is_still_given():
    stop = Stop()
    seen = []
    with pytest.raises(Stopped):
        for done in Threads(1).run(lambda i: i, range(100), stop):
            seen.append(done.number)
            if len(seen) == 3:
                stop.set()
    assert seen[:3] == [0, 1, 2] and 3 <= len(seen) < 10


def test_a_worker_that_dies_costs_its_work_which_is_done_again(tmp_path):
    done = dict(Processes(2).run(tasks.Deadly(str(tmp_path), 1), range(12), Stop()))
    assert sorted(number for number, _ in done.values()) == list(range(12))
    (dead,) = (int(path.read_text()) for path in tmp_path.iterdir())
    assert done[5][1] != dead and os.getpid() not in {pid for _, pid in done.values()}


def test_work_that_kills_every_worker_is_given_up(tmp_path):
    run = Processes(2).run(tasks.Deadly(str(tmp_path), 99), range(8), Stop(), lambda index, error: error)
    done = dict(run)
    assert isinstance(done[5], Crashed) and str(done[5]) == "the worker process died (signal SIGKILL, signal SIGKILL)"
    assert len(list(tmp_path.iterdir())) == executors.TRIES and len(done) == 8


def test_an_answer_that_nobody_can_read_costs_no_worker(monkeypatch):
    """An error whose class cannot be made again from what it says: the piece of work fails, and its worker goes on."""
    begun, honest = [], executors._Worker
    monkeypatch.setattr(executors, "_Worker", lambda: begun.append(1) or honest())
    done = dict(Processes(1).run(tasks.baffle, range(6), Stop(), lambda index, error: error))
    assert len(begun) == 1 and all(isinstance(error, TypeError) for error in done.values()) and len(done) == 6


def test_a_free_worker_that_another_thread_takes_first_is_not_waited_for(monkeypatch):
    class Raced(executors.SimpleQueue):
        """Seems to hold a worker, which is gone when it is asked for."""

        def empty(self):
            return False

    processes = Processes(1)
    processes._free = Raced()
    monkeypatch.setattr(executors, "_Worker", lambda: "new")
    taken = []
    thread = threading.Thread(target=lambda: taken.append(processes._take()), daemon=True)
    thread.start()
    thread.join(5.0)
    assert taken == ["new"]


def test_no_worker_outlives_the_run():
    processes = Processes(2)
    list(processes.run(tasks.square, range(4), Stop()))
    assert not processes._all
