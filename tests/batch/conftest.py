"""A Dask cluster on the loopback, for whoever needs one."""

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def loopback():
    """Starts a scheduler and workers that can import `tasks`; all end with the module."""
    spec = importlib.util.spec_from_file_location("loopback", HERE.parents[1] / "benchmarks" / "loopback.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    started = []

    def start(workers=2, **environment):
        started.append(module.Loopback(workers, [HERE], **environment))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(scope="module")
def cluster(loopback):
    """A scheduler with two workers; a test that kills one starts another."""
    return loopback()
