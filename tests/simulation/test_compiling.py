"""Two processes that compile side by side: all is made once, by whoever comes first, and nothing is missing where one of them ends."""

import subprocess
import sys
import threading

import pytest

from tme_abm.foundation.jit import COMPILED
from tme_abm.mechanisms.step import PIECES
from tme_abm.simulation import compiling


def test_all_pieces_are_among_the_tasks_and_the_rest_has_an_act_of_its_own():
    acts = compiling.tasks()
    assert set(PIECES) < set(acts) and len(acts) == len(compiling.DEAREST_FIRST)
    assert set(acts) - set(PIECES) == {"draws", "marrow", "python", "drugs"}


def test_two_who_work_share_the_tasks(tmp_path, monkeypatch):
    """Each is done once, in the order of what it costs; whoever is held up by one leaves the others to the other."""
    done, held = [], threading.Event()

    def tasks():
        who = threading.current_thread().name

        def act(name):
            if name == "dear":
                held.wait(30.0)
            done.append((name, who))
            if name == "last":
                held.set()

        return {name: lambda name=name: act(name) for name in ("dear", "first", "second", "last")}

    monkeypatch.setattr(compiling, "tasks", tasks)
    slow = threading.Thread(target=compiling.work, args=(tmp_path,), name="slow")
    slow.start()
    while not (tmp_path / "dear").exists():
        pass
    compiling.work(tmp_path)
    slow.join()
    mine = threading.current_thread().name
    assert done == [("first", mine), ("second", mine), ("last", mine), ("dear", "slow")]


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_what_a_second_process_leaves_behind_is_made_here(monkeypatch):
    """One that takes everything and dies, and one that cannot be started, cost time only."""
    expected = compiling.addresses().tolist()
    code = "import pathlib, sys; [pathlib.Path(sys.argv[1], name).touch() for name in sys.argv[2:]]; sys.exit(1)"

    def dying(folder):
        second = subprocess.Popen([sys.executable, "-c", code, folder, *compiling.DEAREST_FIRST])
        second.wait()
        return second

    acts = []
    monkeypatch.setattr(compiling, "is_compiled", lambda: False)
    monkeypatch.setattr(compiling, "tasks", lambda: {name: lambda name=name: acts.append(name) for name in compiling.DEAREST_FIRST})
    for start in (dying, lambda folder: None):
        monkeypatch.setattr(compiling, "start_second", start)
        assert compiling._addresses.__wrapped__().tolist() == expected
        assert acts == []


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_without_a_place_for_the_folder_this_process_makes_everything(monkeypatch):
    expected = compiling.addresses().tolist()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiling, "is_compiled", lambda: False)
    monkeypatch.setattr(compiling.tempfile, "TemporaryDirectory", full)
    assert compiling._addresses.__wrapped__().tolist() == expected


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled")
def test_a_patient_needs_nothing_that_is_not_among_the_tasks():
    """Or each worker, and each study, would compile it for itself."""
    code = (
        "import gc\n"
        "from tme_abm.foundation.jit import Kernel\n"
        "from tme_abm.scenario.kinds import load_scenario\n"
        "from tme_abm.simulation import compiling\n"
        "from tme_abm.trial.execution import run_alone\n"
        "def compiled():\n"
        "    return {k.__name__: len(k.overloads) for k in gc.get_objects() if isinstance(k, Kernel)}\n"
        "for act in compiling.tasks().values():\n"
        "    act()\n"
        "before = compiled()\n"
        "for name in ('combinations', 'untreated'):\n"
        "    run_alone(load_scenario(name), 0)\n"
        "print(len(before) > 50, [name for name, n in compiled().items() if n > before.get(name, 0)])\n"
    )
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.split(maxsplit=1) == ["True", "[]\n"]
