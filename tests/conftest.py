"""What holds for all tests: figures need no screen, and hypothesis draws the same examples on every machine."""

import os

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")

settings.register_profile("tme_abm", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tme_abm")


@pytest.fixture(scope="session")
def small_trial(tmp_path_factory):
    """Twelve patients of ICARIA-MM on small patches in a folder, of whom some leave by every door: run once for all who read results."""
    from tme_abm import load_trial, run

    small = ["marrow.shape=[32, 32]", 'trial.follow_up=["5 month", "9 month"]']
    return run(load_trial("icaria", small, patients=12, seed=5), tmp_path_factory.mktemp("results") / "icaria", 2)
