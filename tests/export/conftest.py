"""A small trial in a folder, of which some patients leave by every door."""

import pytest

from tme_abm import load_trial, run

SMALL = ["marrow.shape=[32, 32]", 'trial.follow_up=["5 month", "9 month"]']


@pytest.fixture(scope="session")
def result(tmp_path_factory):
    """Twelve patients of ICARIA-MM on small patches."""
    return run(load_trial("icaria", SMALL, patients=12, seed=5), tmp_path_factory.mktemp("results") / "icaria", 2)


@pytest.fixture(scope="session")
def study(result):
    return result.study
