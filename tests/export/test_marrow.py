"""The marrow of a patient on a day is that of the trial."""

import math

import pytest

from tme_abm.export.marrow import marrow_of
from tme_abm.foundation.errors import InputError
from tme_abm.simulation.simulation import enrol
from tme_abm.trial.arm import Exits, treat


def test_on_the_last_visit_it_is_the_very_state_of_the_run(result):
    for arm in ("isa-pd", "pd"):
        row = result.patients[(result.patients["arm"] == arm) & (result.patients["patient"] == 2)].iloc[0]
        day = result.trajectory[(result.trajectory["arm"] == arm) & (result.trajectory["patient"] == 2)]["day"].max()
        found = marrow_of(result.study, arm, 2, float(day), watched_days=3.0)
        assert found.simulation.state_hash() == row["state_hash"]
        assert all(day - 3.0 < death.day <= day for death in found.deaths)


def test_a_patient_whose_treatment_was_stopped_is_given_nothing_more(study, monkeypatch):
    grown, screened_out = enrol(study.population, study.settings, study.seed, 2)
    staying = Exits(math.inf, math.inf, 140.0)
    hashes = {}
    for name, exits in (("stopped", staying._replace(discontinuation_day=40.0)), ("treated", staying)):
        arm, record = treat(grown, study.arms[0], exits, study)
        row = arm.result(record, screened_out)
        monkeypatch.setattr("tme_abm.export.marrow.draw_exits", lambda *_, exits=exits: exits)
        found = marrow_of(study, "isa-pd", 2, arm.days[-1], watched_days=0.0)
        assert found.simulation.state_hash() == row["state_hash"]
        hashes[name] = row["state_hash"], row["treatment_stopped_days"]
    assert hashes["stopped"][1] == 56.0  # decided at the next visit
    assert math.isnan(hashes["treated"][1])
    assert hashes["stopped"][0] != hashes["treated"][0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("isa-pdd", 0, 0.0), "did you mean 'isa-pd'"),
        (("isa-pd", 99, 0.0), "patients 0 to 11"),
        (("isa-pd", 0, 0.1), "multiple of 0.25 days"),
        (("isa-pd", 0, -1.0), "from zero"),
    ],
)
def test_what_is_not_there_is_refused(study, given, message):
    with pytest.raises(InputError, match=message):
        marrow_of(study, *given)
