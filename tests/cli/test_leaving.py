"""How the command ends, and how rarely it looks for garbage."""

import subprocess
import sys

import pytest

LEAVE = """
import atexit, sys, threading, time
from tme_abm.cli.output import leave

class Held:
    def __del__(self):
        print("taken apart")

held = Held()
held.self = held
atexit.register(print, "called")
threading.Thread(target=lambda: (time.sleep(0.2), print("waited for"))).start()
print("said", end=" ")
leave({code!r})
print("returned")
"""


def run(code):
    return subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)


@pytest.mark.parametrize(("code", "number"), [(0, 0), (None, 0), (3, 3), (True, 1)])
def test_a_command_ends_with_its_code_and_all_that_was_to_be_done(code, number):
    ended = run(LEAVE.format(code=code))
    assert ended.returncode == number and ended.stderr == ""
    assert ended.stdout.split("\n") == ["said waited for", "called", ""]


@pytest.mark.parametrize("watcher", [["-m", "cProfile", "-o", "{to}"], ["-m", "trace", "--trace", "--file={to}"]])
def test_a_profile_or_a_trace_of_a_command_is_written(tmp_path, watcher):
    to = tmp_path / "watched"
    code = "from tme_abm.cli.output import leave; leave(0)"
    script = tmp_path / "command.py"
    script.write_text(code)
    if watcher[1] == "trace":
        watcher = ["-m", "trace", "--count", f"--coverdir={tmp_path}", "--missing"]
        to = tmp_path / "command.cover"
    ended = subprocess.run([sys.executable, *(word.format(to=to) for word in watcher), str(script)], check=False, capture_output=True)
    assert ended.returncode == 0 and to.stat().st_size > 0


def test_a_message_in_place_of_a_code_is_left_to_python():
    assert run(LEAVE.format(code="why")).stdout.split("\n")[:2] == ["said returned", "waited for"]


def test_a_stream_that_cannot_be_flushed_is_left_to_python():
    code = "import sys; from tme_abm.cli.output import leave; sys.stdout = open('/dev/full', 'w'); print('x'); leave(0); sys.stdout = None"
    ended = run(f"{code}; raise SystemExit(7)")
    assert ended.returncode == 7


def test_the_command_leaves_so():
    code = (
        "import os, sys; from tme_abm.cli.__main__ import main\n"
        "end = os._exit; os._exit = lambda code: (sys.stdout.write('left'), sys.stdout.flush(), end(code))\n"
        "sys.argv = ['tme', 'no-such-command']; main()"
    )
    ended = run(code)
    assert ended.returncode == 2 and ended.stdout == "left" and "no-such-command" in ended.stderr


def test_after_the_first_look_for_garbage_there_are_more():
    found = run(
        "import gc, sys; from tme_abm.cli import app\n"
        "app.app = lambda: None\n"
        "app.main(); before = gc.get_threshold()[0]\n"
        "gc.collect(); print(before, gc.get_threshold()[0], gc.get_freeze_count() > 0, app._collect_as_usual in gc.callbacks)"
    )
    assert found.stdout.split() == ["500000", "50000", "True", "False"]
