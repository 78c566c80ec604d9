"""The files of the model hold the frozen values of docs/calibration/calibrated.toml; docs/calibration.md says how they were found."""

from pathlib import Path

import pytest

from tme_abm.analysis import numbers
from tme_abm.analysis.calibration import plan, report
from tme_abm.scenario.kinds import load_trial

FITTED = report.read_values(Path(__file__).parents[2] / "docs" / "calibration" / "calibrated.toml")


@pytest.fixture(scope="module")
def studies():
    return [load_trial(name) for name in plan.read_plan().targets]


@pytest.mark.parametrize("path", FITTED)
def test_the_files_of_the_model_hold_the_fitted_value(studies, path):
    found = {numbers.current(study, path) for study in studies} - {None}
    assert len(found) == 1, path
    assert found.pop() == pytest.approx(FITTED[path], rel=2e-3)
