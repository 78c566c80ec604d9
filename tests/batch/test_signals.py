"""SIGINT, SIGTERM and SIGHUP: a word at once, the end in time, the right exit code."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import hashlib, sys, time
from tme_abm.batch import signals
from tme_abm.batch.stopping import Stop, Stopped
signals.LONGEST_S = 2.0
stop = Stop()

def say(name):
    if sys.argv[1] == "mute":
        raise RuntimeError("nobody is there to hear it")
    print("heard", name, flush=True)

with signals.ending_on_signals(stop, say):
    print("ready", flush=True)
    try:
        while True:
            if sys.argv[1] in ("heeds", "mute"):
                stop.check()
                time.sleep(0.01)
            else:
                hashlib.pbkdf2_hmac("sha256", b"", b"", 10**8)  # Python runs no handler in here, as in a compiler
    except Stopped:
        print("kept", flush=True)
        sys.exit(stop.exit_code)
"""


def told(how, *signals):
    """Exit code, what was said, seconds to the first word, seconds to the end."""
    command = [sys.executable, "-c", PROGRAM, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout.readline() == "ready\n"
        start = time.monotonic()
        lines, heard = [], 0.0
        for number in signals:
            process.send_signal(number)
            lines.append(process.stdout.readline().strip())
            heard = heard or time.monotonic() - start
        lines += process.stdout.read().splitlines()
        return process.wait(), lines, heard, time.monotonic() - start


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_word_at_once_and_the_exit_code_of_the_signal(number, code):
    found, lines, heard, _ = told("heeds", number)
    assert (found, lines) == (code, [f"heard {number.name}", "kept"])
    assert heard < 1.0


def test_the_end_is_asked_for_before_anything_is_said():
    """Whatever telling it does, as where the terminal has been closed, the work ends by itself and in time."""
    command = [sys.executable, "-c", PROGRAM, "mute"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        said, _ = process.communicate()
    assert (process.returncode, said) == (129, "kept\n")


def test_who_does_not_end_in_time_is_ended():
    code, lines, heard, seconds = told("deaf", signal.SIGTERM)
    assert (code, lines) == (143, ["heard SIGTERM"])
    assert heard < 1.0 and 1.5 < seconds < 8.0


def test_a_second_signal_ends_at_once():
    code, lines, _, seconds = told("deaf", signal.SIGINT, signal.SIGINT)
    assert (code, lines[0]) == (130, "heard SIGINT") and seconds < 1.9
