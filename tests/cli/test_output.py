"""A reader who leaves ends no run: a pipe that breaks, a terminal that is closed; other failures are told."""

import errno
import os
import sys
import tempfile
from types import ModuleType

import pytest

from tme_abm.cli.output import LastingOutput


class Failing:
    """A stream whose reader has gone, or whose disk is full."""

    def __init__(self, number):
        self.number = number
        self.file = tempfile.TemporaryFile()

    def fileno(self):
        return self.file.fileno()

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))

    def flush(self):
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number", [errno.EPIPE, errno.EIO], ids=["pipe", "terminal"])
def test_who_has_gone_is_written_to_no_more(number):
    stream = Failing(number)
    output = LastingOutput(stream)
    assert output.write("word") == 4
    output.flush()
    assert os.path.samestat(os.fstat(stream.fileno()), os.stat(os.devnull))


@pytest.mark.parametrize("when", ["imported", "called"])
def test_an_interrupt_before_anybody_listens_ends_the_command_with_its_code(monkeypatch, when):
    from tme_abm.cli.__main__ import main

    class Interrupted(ModuleType):
        def __getattr__(self, name):
            if when == "imported":
                raise KeyboardInterrupt
            return interrupt

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "tme_abm.cli.app", Interrupted("tme_abm.cli.app"))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130


def test_a_full_disk_is_told():
    output = LastingOutput(Failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        output.write("word")
    with pytest.raises(OSError, match="No space left"):
        output.flush()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs terminals as POSIX has them")
def test_a_terminal_that_is_closed():
    """What was written before is on the screen; what comes after goes nowhere, and whoever writes it goes on."""
    master, slave = os.openpty()
    with os.fdopen(slave, "w", buffering=1) as terminal:
        output = LastingOutput(terminal)
        assert output.write("seen\n") == 5
        assert os.read(master, 100) == b"seen\r\n"
        os.close(master)
        assert [output.write("unseen\n") for _ in range(3)] == [7, 7, 7]
        output.flush()
        assert os.path.samestat(os.fstat(terminal.fileno()), os.stat(os.devnull))
