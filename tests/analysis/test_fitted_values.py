"""The files of the model hold the frozen values of docs/calibration/calibrated.toml; docs/calibration.md says how they were found."""

from pathlib import Path

import pytest

from tme_abm.analysis import numbers
from tme_abm.analysis.calibration import plan, posterior, report
from tme_abm.foundation.errors import InputError
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


def test_the_posterior_of_the_package_is_read_where_there_is_no_other_and_its_best_set_is_that_of_the_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = posterior.read(posterior.OWN)
    best = found.values(found.best)
    assert set(best) == set(FITTED)
    assert all(best[path] == pytest.approx(FITTED[path], rel=1e-4) for path in FITTED)
    with pytest.raises(InputError, match="there is no file"):
        posterior.read(posterior.OWN / "elsewhere")
