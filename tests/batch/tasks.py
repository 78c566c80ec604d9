"""Work for tests, in a module that worker processes can import."""

import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

from tme_abm.batch import stopping


def square(number):
    """The number times itself."""
    return number * number


def fail(number):
    """Fail at 3."""
    if number == 3:
        raise ZeroDivisionError(f"no {number}")
    return number


def loop(number):
    """Work for a minute, looking at the flag."""
    for _ in range(6000):
        stopping.check()
        time.sleep(0.01)


class BafflingError(Exception):
    """Can be pickled, but not unpickled: it is made of two things and says one."""

    def __init__(self, one, other):
        super().__init__(f"{one} and {other}")


def baffle(number):
    """Fail with an error that nobody can read."""
    raise BafflingError(number, "another")


class Deadly(NamedTuple):
    """Kills its process at 5, as often as it may."""

    folder: str
    times: int
    seconds: float = 0.0  # that a piece takes

    def __call__(self, number):
        """The number and the process, unless that dies."""
        time.sleep(self.seconds)
        if number == 5 and self.times:
            deaths = len(list(Path(self.folder).iterdir()))
            if deaths < self.times:
                (Path(self.folder) / f"{deaths}").write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGKILL)
        return number, os.getpid()


def version():
    """What is the same everywhere."""
    return {"version": "1"}


def process():
    """What is the same nowhere."""
    return {"process": str(os.getpid())}
