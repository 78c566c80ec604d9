"""A Dask cluster as an executor: a real scheduler and workers on the loopback, which die, differ, and are not there."""

import importlib
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest
from distributed import Reschedule

sys.path.insert(0, str(Path(__file__).parent))

import tasks

from tme_abm.batch import cluster as room
from tme_abm.batch.cluster import open_cluster
from tme_abm.batch.cluster_worker import Task
from tme_abm.batch.executors import AHEAD, Crashed
from tme_abm.batch.stopping import Stop, Stopped
from tme_abm.foundation.errors import InputError
from tme_abm.mesa_model.agents import PlasmaCell
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.running import with_rules
from tme_abm.trial.execution import run_alone


def connected(address, workers=None, fingerprint=tasks.version, told=None):
    return open_cluster(address, workers, fingerprint, (told if told is not None else []).append)


def wait_for_workers(executor, number):
    end = time.monotonic() + 60.0
    while len(executor._threads) != number:
        assert time.monotonic() < end
        time.sleep(0.1)
        executor._count()


@pytest.fixture(scope="module")
def executor(cluster):
    with connected(cluster.address) as found:
        wait_for_workers(found, 2)
        yield found


def test_every_piece_of_work_is_done_once_by_workers_elsewhere(executor):
    done = dict(executor.run(tasks.Deadly("", 0), range(20), Stop()))
    assert sorted(done) == list(range(20)) and all(done[i][0] == i for i in done)
    assert len({pid for _, pid in done.values()}) == 2 and os.getpid() not in {pid for _, pid in done.values()}


def test_work_is_handed_out_as_it_is_needed(executor):
    taken = []
    run = executor.run(tasks.square, (taken.append(i) or i for i in range(10**12)), Stop())
    for _ in range(30):
        next(run)
    assert len(taken) <= 30 + AHEAD * 2 + 2
    run.close()


def test_no_more_are_out_than_were_asked_for(cluster):
    taken = []
    with connected(cluster.address, workers=1) as one:
        assert one.workers == 1
        run = one.run(tasks.square, (taken.append(i) or i for i in range(100)), Stop())
        assert next(run).number == 0 and taken == [0]
        run.close()


def test_an_error_is_raised_or_given_up(executor):
    with pytest.raises(ZeroDivisionError, match="no 3"):
        list(executor.run(tasks.fail, range(5), Stop()))
    done = dict(executor.run(tasks.fail, range(5), Stop(), lambda index, error: str(error)))
    assert done == {0: 0, 1: 1, 2: 2, 3: "no 3", 4: 4}


def test_what_was_written_where_no_worker_can_import_it_goes_along(executor):
    factor = 3
    assert dict(executor.run(lambda i: factor * i, range(3), Stop())) == {0: 0, 1: 3, 2: 6}


def test_a_module_that_is_not_installed_goes_along_with_what_it_imports_from_beside_it(executor, tmp_path, monkeypatch):
    (tmp_path / "own_factors.py").write_text("FACTOR = 7\n")
    (tmp_path / "own_rules.py").write_text("import own_factors\n\ndef rule(number):\n    return own_factors.FACTOR * number\n")
    monkeypatch.syspath_prepend(tmp_path)
    rule = importlib.import_module("own_rules").rule
    assert dict(executor.run(rule, range(3), Stop())) == {0: 0, 1: 7, 2: 14}
    import cloudpickle

    assert not cloudpickle.list_registry_pickle_by_value()


class Slow:
    """A result that takes a while to arrive: asked for again and again, it never does."""

    def __init__(self, key, seconds):
        self.key, self.seconds = key, seconds

    def add_done_callback(self, call):
        call(self)

    def release(self):
        pass

    def result(self, timeout=None):
        time.sleep(self.seconds if timeout is None else min(timeout, self.seconds))
        if timeout is not None and timeout < self.seconds:
            raise TimeoutError
        return pickle.dumps((True, self.seconds))


def pretended(seconds):
    """A cluster whose pieces are done at once, and whose results take so long to arrive."""
    client = Mock(status="running", nthreads=lambda: {"tcp://there": len(seconds)})
    client.submit = lambda carry_out, name, index, key, pure: Slow(key, seconds[index])
    return room.Cluster(client, "tcp://here", tasks.version, lambda _: None)


def test_a_result_that_takes_long_to_arrive_is_waited_for_and_keeps_no_other_from_arriving(monkeypatch):
    monkeypatch.setattr(room, "GATHER_S", 0.05, raising=False)
    assert list(pretended([0.5, 0.0, 0.1]).run(tasks.square, range(3), Stop())) == [(1, 0.0), (2, 0.1), (0, 0.5)]


def test_nor_does_it_keep_anybody_from_leaving():
    stop = Stop()
    threading.Timer(0.2, stop.set).start()
    start = time.monotonic()
    with pytest.raises(Stopped):
        list(pretended([30.0]).run(tasks.square, range(1), stop))
    assert time.monotonic() - start < 25.0  # of the 30 that the result takes


def test_a_worker_that_retires_while_it_unpacks_the_work_leaves_it_to_another():
    task = Task("t", pickle.dumps(tasks.square), lambda: task.teardown(None) or {}, {})
    task.setup(Mock(address="tcp://there"))
    for _ in range(2):  # the second time, it has been told before
        with pytest.raises(Reschedule):
            task.answer(3)


@pytest.mark.skipif(sys.platform != "linux", reason="the system ends children of a dead parent on Linux")
def test_what_was_started_for_tests_ends_with_whoever_started_it():
    script = "import sys, time; sys.path.insert(0, sys.argv[1]); from loopback import Loopback; one = Loopback(1)\n"
    script += "print(one.scheduler.pid, *(worker.pid for worker in one.workers), flush=True); time.sleep(60)"
    folder = str(Path(__file__).parents[2] / "benchmarks")
    with subprocess.Popen([sys.executable, "-c", script, folder], stdout=subprocess.PIPE, text=True) as parent:
        started = [int(word) for word in parent.stdout.readline().split()]
        assert len(started) == 2 and all(map(alive, started))
        parent.kill()
    end = time.monotonic() + 45.0
    while any(map(alive, started)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(alive, started))


def test_the_end_comes_soon_and_frees_the_workers(executor):
    stop = Stop()
    threading.Timer(1.0, stop.set).start()
    start = time.monotonic()
    with pytest.raises(Stopped):
        list(executor.run(tasks.loop, range(100), stop))
    assert time.monotonic() - start < 45.0  # of the minute that a piece takes
    start = time.monotonic()
    list(executor.run(tasks.square, range(4), Stop()))
    assert time.monotonic() - start < 45.0  # a piece of that work would take each worker a minute


def test_a_worker_that_dies_costs_its_work_which_is_done_again(cluster, tmp_path):
    told = []
    with connected(cluster.address, told=told) as executor:
        wait_for_workers(executor, 2)
        done = dict(executor.run(tasks.Deadly(str(tmp_path), 1, 0.2), range(12), Stop()))
    assert sorted(number for number, _ in done.values()) == list(range(12))
    (dead,) = (int(path.read_text()) for path in tmp_path.iterdir())
    assert done[5][1] != dead
    assert "1 worker of the cluster lost, whose work is run again; 1 worker, 1 at a time" in told
    (gone,) = (worker for worker in cluster.workers if worker.pid == dead)
    gone.wait()
    cluster.workers.remove(gone)
    cluster.add_worker()


def test_work_that_kills_every_worker_is_given_up_and_what_was_out_beside_it_is_not(loopback, tmp_path):
    with loopback(0, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as own:
        own.add_worker(nanny=True)
        with connected(own.address) as executor:
            wait_for_workers(executor, 1)
            work = tasks.Deadly(str(tmp_path), 99, 0.7)  # a nanny that is not yet done with starting a worker does not start another
            done = dict(executor.run(work, range(5, 8), Stop(), lambda index, error: error))
    assert isinstance(done[5], Crashed) and str(done[5]).startswith("1 worker of the cluster died over it, the last at tcp://")
    assert [done[i][0] for i in (6, 7)] == [6, 7]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_scheduler_that_is_lost_is_told_and_dask_says_nothing_on_this_terminal(loopback, capfd):
    with loopback(1) as own, connected(own.address) as executor:
        threading.Timer(1.0, own.scheduler.kill).start()
        with pytest.raises(ConnectionError, match=rf"^the Dask scheduler at {own.address} is gone$"):
            list(executor.run(tasks.loop, range(100), Stop()))
    assert capfd.readouterr() == ("", "")


def test_another_program_on_a_worker_is_refused(executor, cluster):
    with connected(cluster.address, fingerprint=tasks.process) as other:
        message = rf"^the worker at tcp://\S+ has process \d+ instead of {os.getpid()}; install the same there$"
        with pytest.raises(InputError, match=message):
            list(other.run(tasks.square, range(4), Stop()))


def test_mechanisms_and_rules_of_a_user_reach_the_workers(executor, tmp_path):
    """Also a file that they have not got, and a function that they cannot import."""
    small = ["marrow.shape=[32, 32]", 'trial.follow_up=["1 month", "2 month"]']
    path = Path(shutil.copy(Path(__file__).parents[2] / "docs" / "examples" / "pd1_blockade.py", tmp_path))

    def cull(model):
        for cell in list(model.agents_by_type[PlasmaCell])[:2]:
            cell.remove()

    study = with_rules(load_scenario("icaria", small, patients=1, seed=11, mechanisms=[path]), [cull])
    work = partial(run_alone, study)
    here = work(0)
    assert here.killing["pd"][study.settings.catalogue.causes["cull"]] > 0
    path.unlink()
    ((_, there),) = executor.run(work, [0], Stop())
    assert repr(there) == repr(here)  # which holds what is no number, and so equals nothing, in words


def test_a_worker_without_the_program_is_told(cluster):
    message = r"cannot take the work: ModuleNotFoundError\(.No module named 'only_here'.\); install tme_abm \S+ on all of them$"
    with connected(cluster.address, fingerprint=nowhere()) as executor, pytest.raises(InputError, match=message):
        list(executor.run(tasks.square, range(4), Stop()))


def nowhere():
    """A function of a module that only this process has."""
    module = type(sys)("only_here")
    exec("def version():\n    return {}", vars(module))
    module.version.__module__ = "only_here"
    sys.modules["only_here"] = module
    return module.version


@pytest.mark.parametrize(
    ("scheduler", "message"),
    [
        ("tcp://127.0.0.1:1", "no Dask scheduler answered within 1 s; start one with `dask scheduler`"),
        ("tcp://127.0.0.1", "missing port number in address"),
        ("foo", "give the address of a Dask scheduler, such as tcp://host:8786, or slurm$"),
        ("slum", "or slurm; did you mean 'slurm'"),
        ("slurm", "there is no sbatch on this machine"),
    ],
)
def test_a_scheduler_that_is_not_there_is_a_line(scheduler, message, monkeypatch):
    monkeypatch.setattr(room, "CONNECT_S", 1.0)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match=rf"^--scheduler {scheduler}: .*{message}"), connected(scheduler, 2):
        pass


def test_a_package_that_is_not_installed_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"needs the package distributed; .* pip install 'tme-abm\[cluster\]'"), connected("tcp://x:1"):
        pass


PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
SBATCH = """#!/bin/sh
cp "$1" "{script}.$$" # as SLURM does: whoever submits a script may remove it at once
cp "$1" "{script}"
setsid sh "{script}.$$" > /dev/null 2>&1 &
echo "Submitted batch job $!"
echo "begun $!" >> "{log}"
"""
SCANCEL = """#!/bin/sh
echo "ended $1" >> "{log}"
kill -- -"$1"
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A stand-in for SLURM: a job is a process of this machine. dask-jobqueue asks no more of it than this."""
    log, script = tmp_path / "log", tmp_path / "job.sh"
    (tmp_path / "bin").mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        path = tmp_path / "bin" / name
        path.write_text(text.format(log=log, script=script))
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(tasks.__file__).parent), *(path for path in sys.path if path)]))
    return tmp_path


def test_jobs_of_slurm_work_and_end_with_the_run(slurm):
    import dask
    import yaml

    with (
        pytest.raises(InputError, match=r"cores and memory per job.*; describe a job in ~/\.config/dask/jobqueue\.yaml"),
        connected("slurm", 1),
    ):
        pass
    with pytest.raises(InputError, match="needs --workers, the number of jobs"), connected("slurm"):
        pass
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    shown = yaml.safe_load(text)["jobqueue"]["slurm"]
    own = shown | {"cores": 1, "processes": 1, "interface": "lo", "queue": "short", "log-directory": str(slurm / "logs")}
    with dask.config.set({"jobqueue.slurm": {**dask.config.get("jobqueue.slurm"), **own}}), connected("slurm", 2) as executor:
        done = dict(executor.run(tasks.Deadly("", 0, 0.2), range(20), Stop()))
        wait_for_workers(executor, 2)
        assert [done[i][0] for i in range(20)] == list(range(20))
        assert not reachable_from_elsewhere(os.getpid())
    script = (slurm / "job.sh").read_text()
    assert "#SBATCH -p short" in script and "#SBATCH -t 02:00:00" in script and "--local-directory /tmp" in script
    told = (slurm / "log").read_text().split()
    assert told.count("begun") == 2 and sorted(told[1:4:2]) == sorted(told[5:8:2])
    end = time.monotonic() + 30.0
    while any(alive(int(job)) for job in told[1:4:2]) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(alive(int(job)) for job in told[1:4:2])


def reachable_from_elsewhere(pid):
    """Ports on which a process listens that another machine could reach."""
    import psutil

    found = psutil.Process(pid).net_connections(kind="tcp")
    return [c.laddr for c in found if c.status == psutil.CONN_LISTEN and c.laddr.ip not in ("127.0.0.1", "::1")]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z" if Path(f"/proc/{pid}/stat").exists() else False


def test_jobs_that_have_ended_are_renewed_ever_more_slowly_where_nothing_comes_of_them(monkeypatch):
    asked, now = [], [0.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: now[0])
    jobs = room.Jobs(type("Pretended", (), {"scale": lambda self, jobs: asked.append((now[0], jobs))})(), 4)
    for second in range(0, 1000, 10):
        now[0] = float(second)
        jobs.renew(5 if second > 700 else 0)
    assert asked == [(60.0, 4), (180.0, 4), (420.0, 4), (900.0, 4), (960.0, 4)]
