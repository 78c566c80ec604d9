"""Twins tell a signal from luck."""

import numpy as np
import pytest
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice, Event
from tme_viz.pair import Pair
from tme_viz.twins import SOMEBODY, Twins, bands, run_all

SMALL = Choice(scenario="combinations", arms=("isa-pd", "pd"), size=32, events=(Event(3.0, 0, "dose", "isatuximab", 0.0),))


@pytest.mark.parametrize("whose", SOMEBODY)
def test_twins_differ_and_come_again_the_same(whose):
    def hashes():
        return [[side.simulation.state_hash() for side in pair.sides] for pair in run_all(SMALL, Places(), whose, 6.0, 3)]

    first = hashes()
    assert first == hashes() and len({tuple(pair) for pair in first}) == 3


def test_other_dice_are_those_of_the_same_patient():
    own = Pair(SMALL, Places())
    twins = list(run_all(SMALL, Places(), "dice", 0.0, 2))
    assert all(twin.patient == own.patient for twin in twins)
    assert len({pair.grown.state_hash() for pair in (own, *twins)}) == 3


def test_other_patients_are_those_of_the_trial_with_those_numbers():
    twins = list(run_all(SMALL, Places(), "patients", 0.0, 2))
    own = [Pair(Choice(scenario="combinations", arms=("isa-pd", "pd"), size=32, patient=str(i)), Places()) for i in (0, 1)]
    assert [twin.grown.state_hash() for twin in twins] == [pair.grown.state_hash() for pair in own]


def test_what_was_changed_holds_for_twins_too():
    twin = next(run_all(SMALL, Places(), "dice", 6.0, 1))
    assert [event.name for event in twin.events] == ["isatuximab"]
    dose = twin.table(0)[:, twin.columns.index("dose_isatuximab_mg")]
    assert dose[0] > 0.0 and twin.sides[0].factor["isatuximab"] == 0.0


def test_they_run_in_the_background_with_progress_and_end_when_told():
    shares = []
    twins = Twins(SMALL, Places(), "dice", 4.0, lambda: shares.append(twins.share), n=4)
    twins.wait(300)
    assert twins.state == "done" and shares[:4] == [0.25, 0.5, 0.75, 1.0] and len(twins.tables) == 4
    endless = Twins(SMALL, Places(), "dice", 3000.0, n=4)
    endless.cancel()
    endless.wait(60)
    assert endless.state == "cancelled" and endless.tables == []


def test_the_band_holds_eight_of_ten_around_the_median():
    rng = np.random.default_rng(1)
    tables = [(rng.normal(size=(5, 3)), rng.normal(size=(5, 3))) for _ in range(21)]
    found = bands(tables)
    low, middle, high = np.moveaxis(np.frombuffer(found["right"], np.float32).reshape(5, 3, 3), -1, 0)
    values = np.stack([right for _, right in tables])
    assert found["n"] == 21 and found["n_columns"] == 3
    np.testing.assert_allclose(middle, np.median(values, axis=0), rtol=1e-6)
    inside = ((values >= low - 1e-6) & (values <= high + 1e-6)).sum(axis=0)
    assert (inside == 17).all()  # of 21: two are left out at either end
