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
signals.LONGEST_S = 600.0 if sys.argv[1] == "deaf for long" else 2.0
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


def hears_signals():
    """A suite in the background ignores Ctrl-C, one under `nohup` that the terminal is gone, and so would what they start."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def told(how, *signals):
    """Exit code, what was said, seconds to the end."""
    command = [sys.executable, "-c", PROGRAM, how]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], preexec_fn=hears_signals) as process:
        assert process.stdout.readline() == "ready\n"
        start = time.monotonic()
        lines = []
        for number in signals:
            process.send_signal(number)
            lines.append(process.stdout.readline().strip())
        lines += process.stdout.read().splitlines()
        return process.wait(), lines, time.monotonic() - start


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_word_at_once_and_the_exit_code_of_the_signal(number, code):
    found, lines, _ = told("heeds", number)
    assert (found, lines) == (code, [f"heard {number.name}", "kept"])


def test_the_end_is_asked_for_before_anything_is_said():
    """Whatever telling it does, as where the terminal has been closed, the work ends by itself and in time."""
    command = [sys.executable, "-c", PROGRAM, "mute"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], preexec_fn=hears_signals
    ) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGHUP)
        said, _ = process.communicate()
    assert (process.returncode, said) == (129, "kept\n")


def test_who_does_not_end_in_time_is_ended():
    code, lines, seconds = told("deaf", signal.SIGTERM)
    assert (code, lines) == (143, ["heard SIGTERM"])
    assert seconds > 1.5  # the time that it is given


def test_a_second_signal_ends_at_once():
    code, lines, seconds = told("deaf for long", signal.SIGINT, signal.SIGINT)
    assert (code, lines[0]) == (130, "heard SIGINT") and seconds < 300.0  # of the 600 that it would have been given
