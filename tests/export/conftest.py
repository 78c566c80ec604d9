"""The small trial of the whole suite, by shorter names."""

import pytest


@pytest.fixture(scope="session")
def result(small_trial):
    return small_trial


@pytest.fixture(scope="session")
def study(small_trial):
    return small_trial.study
