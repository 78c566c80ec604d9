"""Two marrows in lockstep: the same patient, the same dice, and changes that act from their moment on."""

import math
from dataclasses import replace

import numpy as np
import pytest
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice, Event
from tme_viz.pair import Pair

from tme_abm.foundation.errors import InputError
from tme_abm.patients.presets import preset, presets
from tme_abm.scenario.kinds import load_scenario
from tme_abm.simulation.simulation import Simulation, enrol, make_patient_key
from tme_abm.trial.arm import Arm, Exits

SMALL = Choice(scenario="combinations", arms=("isa-pd", "pd"), size=32)


def pair(**fields):
    return Pair(replace(SMALL, **fields), Places())


def hashes(two):
    return [side.simulation.state_hash() for side in two.sides]


def test_the_arms_begin_alike_and_the_same_arm_stays_alike():
    two = pair(arms=("isa-pd", "isa-pd"))
    two.advance(57)
    left, right = hashes(two)
    assert left == right
    other = pair()
    assert len(set(hashes(other))) == 1
    other.advance(28)
    assert len(set(hashes(other))) == 2


def test_it_is_the_very_marrow_that_a_plain_run_gives():
    study = load_scenario("combinations")
    settings = replace(study.settings, height=32, width=32)
    grown = Simulation(preset("typical"), settings, make_patient_key(study.seed, 0))
    grown.grow()
    arm = next(arm for arm in study.arms if arm.key == "isa-pd")
    alone = grown.fork(arm, study.drugs)
    for _ in range(40):
        alone.advance(1)
    two = pair()
    two.advance(13)
    two.advance(27)
    assert hashes(two)[0] == alone.state_hash()


def test_a_row_a_day_and_a_visit_a_cycle():
    two = pair()
    two.advance(4 * 57 + 1)
    for side in two.sides:
        assert [row[0] for row in side.rows] == [float(day) for day in range(58)]
        assert [visit.reading.day for visit in side.visits] == [28.0, 56.0]
    table = two.table(0)
    assert table.shape == (58, len(two.columns)) and table.dtype == np.float32
    dose = table[:, two.columns.index("dose_isatuximab_mg")]
    weight = two.patient.weight_kg
    given = [0, 7, 14, 21, 28, 42, 56]  # days 1, 8, 15 and 22 of the first cycle, then 1 and 15
    assert np.flatnonzero(dose > 0).tolist() == given
    assert dose[given] == pytest.approx(10.0 * weight, rel=1e-6)
    assert (two.table(1)[:, two.columns.index("dose_isatuximab_mg")] == 0).all()
    assert np.isnan(two.table(1)[:, two.columns.index("concentration_isatuximab_ug_per_ml")]).all()
    assert len(two.table(0, 50)) == 8


def test_the_clinic_of_the_page_is_that_of_a_trial():
    """The same patient under the same arm: every reading, every conclusion and the antibody on the gel, to the last bit."""
    two = pair(arms=("isa-pd", "pd"), patient="4")
    days = 28 * 7
    two.advance(4 * days)
    for side, regimen in zip(two.sides, two.regimens, strict=True):
        arm = Arm(two.grown.fork(regimen, two.study.drugs), regimen, Exits(math.inf, math.inf, days + 1.0), two.study)
        seen = []
        arm.clinic.see = lambda simulation, number, see=arm.clinic.see, seen=seen: seen.append(see(simulation, number)) or seen[-1]
        arm.follow()
        assert len(seen) > 1 and side.visits[: len(seen)] == seen
        assert side.clinic.baseline == arm.clinic.baseline
    assert any(visit.reading.hidden_by_antibody for visit in two.sides[0].visits)


def test_a_change_acts_from_its_moment_and_a_link_repeats_it():
    two = pair()
    two.advance(4 * 10)
    before = hashes(two)
    two.act(Event(two.day, 0, "switch", "adcc", 0.0))
    two.act(Event(two.day, 1, "dose", "pomalidomide", 0.0))
    assert hashes(two) == before and two.off(0) == {"adcc"} and two.off(1) == frozenset()
    adcc = two.columns.index("deaths_adcc")
    so_far = two.sides[0].rows[-1][adcc]
    two.advance(4 * 20)
    assert two.sides[0].rows[-1][adcc] == so_far > 0
    assert (two.table(1)[11:, two.columns.index("dose_pomalidomide_mg")] == 0).all()
    again = pair(events=tuple(two.events), day=30.0)
    again.go_to(30.0, again.choice.events)
    assert hashes(again) == hashes(two)


def test_going_back_forgets_what_came_later():
    two = pair()
    two.advance(4 * 12)
    at_12 = hashes(two)
    two.act(Event(12.0, 0, "switch", "growth", 0.0))
    two.advance(4 * 12)
    two.go_to(12.0, [])
    assert hashes(two) == at_12 and two.events == [] and len(two.sides[0].rows) == 13


def test_every_step_of_the_past_can_be_seen_again():
    two = pair()
    seen = {}
    for n in range(4 * 70):
        if n == 4 * 30 + 1:
            two.act(Event(two.day, 0, "switch", "adcc", 0.0))
        if n == 4 * 28:
            two.act(Event(two.day, 1, "dose", "pomalidomide", 0.0))
        seen[two.step] = hashes(two)
        two.advance(1)
    now = hashes(two)
    assert [mark.step for mark in two.marks] == [4 * 28, 4 * 56]
    for step in (5, 4, 4 * 28 - 1, 4 * 28, 4 * 28 + 1, 4 * 30 + 3, 4 * 69 + 2, 4 * 57, 4 * 58, 0):
        assert [simulation.state_hash() for simulation in two.look(step)] == seen[step], step
    assert hashes(two) == now and two.look(two.step)[0] is two.sides[0].simulation


def test_going_back_starts_from_a_mark_and_ends_the_same():
    events = (Event(10.0, 0, "dose", "isatuximab", 0.5), Event(28.0, 1, "switch", "imid", 0.0), Event(40.25, 0, "switch", "adcc", 0.0))
    two = pair()
    two.go_to(75.0, events)
    far = [[list(side.rows), list(side.visits), side.clinic.assessor.best, dict(side.factor)] for side in two.sides], hashes(two)
    begun = []
    two._begin = lambda: begun.append(1)
    two.go_to(41.0, events)
    assert begun == [] and len(two.marks) == 1 and len(two.sides[0].rows) == 42 and two.events == list(events)
    two.go_to(75.0, events)
    again = [[list(side.rows), list(side.visits), side.clinic.assessor.best, dict(side.factor)] for side in two.sides], hashes(two)
    np.testing.assert_equal(again, far)
    del two._begin
    two.go_to(30.0, events[1:])  # what happened before the mark is to be undone
    other = pair()
    other.go_to(30.0, events[1:])
    assert hashes(two) == hashes(other)


def test_an_event_in_the_past_is_not_put_off():
    two, other = pair(), pair()
    two.advance(4 * 10)
    event = Event(5.0, 0, "switch", "growth", 0.0)
    two.go_to(12.0, [event])
    other.go_to(12.0, [event])
    assert hashes(two) == hashes(other)


def test_the_large_patch_is_stepped_side_by_side_with_the_same_result(monkeypatch):
    from tme_viz import pair as module

    two = pair()
    two.advance(20)
    monkeypatch.setattr(module, "LARGE", 1)
    threaded = pair()
    threaded.advance(20)
    assert hashes(threaded) == hashes(two)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"scenario": "icari"}, "did you mean 'icaria'"),
        ({"arms": ("isa-pd", "isa-qd")}, "there is no arm 'isa-qd'"),
        ({"events": (Event(1.0, 1, "dose", "isatuximab", 0.5),)}, "Pd holds no 'isatuximab'"),
        ({"changes": ('arms.pd.doses[7].dose="1 mg"',)}, "elements"),
        ({"changes": ('arms.pd.doses[0].dose="1 mgg"',)}, "unknown unit"),
    ],
)
def test_what_cannot_be_is_told(fields, words):
    with pytest.raises(InputError, match=words):
        pair(**fields)


def test_a_numbered_patient_is_the_one_of_the_trial():
    two = pair(scenario="icaria", patient="3")
    study = load_scenario("icaria")
    grown, _ = enrol(study.population, replace(study.settings, height=32, width=32), study.seed, 3)
    assert two.patient == grown.patient and two.grown.state_hash() == grown.state_hash()


def test_the_patients_of_the_picker_are_what_they_are_called():
    assert presets() == ("typical", "high_risk", "elderly", "renal_impairment", "cd38_low")
    people = {name: pair(patient=name) for name in presets()}
    who = {name: two.patient for name, two in people.items()}
    typical = who["typical"]
    assert not typical.high_risk and not typical.renal_impairment and typical.age < 75
    assert who["high_risk"].high_risk and who["high_risk"].growth_rate > typical.growth_rate
    assert who["elderly"].age == 80.0
    assert who["renal_impairment"].renal_impairment and who["renal_impairment"].creatinine_clearance < 60.0
    assert [name for name in presets() if who[name].renal_impairment] == ["renal_impairment"]

    def first(name, column):
        return people[name].sides[0].rows[0][people[name].columns.index(column)]

    assert first("cd38_low", "cd38_sites_per_cell") < 0.5 * first("typical", "cd38_sites_per_cell")
    assert first("typical", "dose_dexamethasone_mg") == 40.0 and first("elderly", "dose_dexamethasone_mg") == 20.0
