"""The systemic burden by hand arithmetic: what the patch shows, what the probes say, extinction and return."""

import math

import numpy as np
import pytest

from tme_abm.foundation import rng
from tme_abm.marrow import burden, fate, roster
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.lattice import mark_niche
from tme_abm.marrow.probes import VISIBLE
from tme_abm.marrow.state import Tick

pytestmark = pytest.mark.usefixtures("interpreted")
PLASMA = CellType.PLASMA
LATER = Tick(6.0, 1, 5)  # not the step of a day at which the niche is looked at
SEEDING = burden.Params(seeding=0.02)
FAITHFUL = fate.Params(cd38_memory=0.95, switching=0.0)


@pytest.mark.parametrize(("births", "deaths", "factor"), [(0, 0, 1.0), (3, 5, 98 / 100), (7, 0, 1.07), (0, 40, 0.6), (12, 100, 0.12)])
def test_a_visible_clone_changes_as_the_patch_does(bare, births, deaths, factor):
    marrow = bare(burden_per_cell=1e7)
    body = marrow.body
    body.burden[2] = 4e9
    body.clone_count[2], body.clone_births[2], body.clone_deaths[2] = 100, births, deaths
    body.clone_rates[2] = (9.0, 1.0)  # what the probes said plays no part
    burden.follow(marrow, FAITHFUL, LATER)
    # by the factor of the patch, and a little towards what the patch shows: 1e7 cells for one
    follows, seen = 4e9 * factor, 1e7 * (100 + births - deaths)
    assert body.burden[2] == pytest.approx(follows * (seen / follows) ** (1.0 - math.exp(-6.0 / burden.CORRECTION_H)), rel=1e-12)
    assert body.burden.sum() == body.burden[2]


@pytest.mark.parametrize(("division", "death"), [(0.002, 0.001), (0.001, 0.02), (0.003, 0.003)])
def test_a_rare_clone_changes_as_its_probes_say(bare, division, death):
    marrow = bare()
    body = marrow.body
    body.burden[5] = 3e7
    body.clone_count[5], body.clone_births[5], body.clone_deaths[5] = 10, 5, 0  # too few to tell
    body.clone_rates[5] = (division, death)
    burden.follow(marrow, FAITHFUL, LATER)
    assert body.burden[5] == pytest.approx(3e7 * math.exp(6.0 * (division - death)), rel=1e-12)


@pytest.mark.parametrize(("n", "factor"), [(VISIBLE, 1.0 - 5 / VISIBLE), (VISIBLE - 1, math.exp(0.6))])
def test_the_border_of_visibility(bare, n, factor):
    marrow = bare()
    body = marrow.body
    body.burden[0] = 1e9
    body.clone_count[0], body.clone_deaths[0] = n, 5
    body.clone_rates[0] = (0.1, 0.0)
    burden.follow(marrow, FAITHFUL, LATER)
    shown = (n - 5) * marrow.host.burden_per_cell
    corrected = (shown / (1e9 * factor)) ** (1.0 - math.exp(-6.0 / burden.CORRECTION_H)) if n >= VISIBLE else 1.0
    assert body.burden[0] == pytest.approx(1e9 * factor * corrected, rel=1e-12)


def test_a_patch_that_shows_a_clone_draws_its_burden_there(bare):
    """However far the estimate has drifted while the clone was rare: relapse that the patch shows reaches the M-protein."""
    marrow = bare()
    body = marrow.body
    body.burden[4] = 0.5 * marrow.host.burden_per_cell
    body.clone_count[4] = 100
    for _ in range(4 * 90):
        burden.follow(marrow, FAITHFUL, LATER)
    assert body.burden[4] == pytest.approx(100.0 * marrow.host.burden_per_cell, rel=0.02)


def test_a_clone_that_switching_feeds_and_that_grows_comes_into_being(bare):
    marrow = bare()
    body = marrow.body
    body.burden[0] = 1e8
    marrow.clones.division[:] = 1e-3
    body.clone_rates[1] = (1e-3, 0.0)
    for _ in range(4 * 30):
        burden.follow(marrow, fate.Params(cd38_memory=0.95, switching=2e-6), LATER)
    # a flow of 2e-6 / 3 * 1e-3 * 1e8 an hour for 720 hours, growing on the way
    assert body.burden[1] == pytest.approx(2e-6 / 3.0 * 1e-3 * 1e8 * (math.exp(0.72) - 1.0) / 1e-3, rel=0.02)


def test_below_one_cell_a_clone_is_extinct_for_good(bare):
    marrow = bare()
    body = marrow.body
    body.burden[[1, 2]] = (1.5, 1.5)
    body.clone_rates[1] = (0.0, 0.1)  # 1.5 exp(-0.6) < 1
    body.clone_rates[2] = (0.0, 0.05)  # 1.5 exp(-0.3) > 1
    burden.follow(marrow, FAITHFUL, LATER)
    assert body.burden[1] == 0.0
    assert body.burden[2] == pytest.approx(1.5 * math.exp(-0.3), rel=1e-12)
    body.clone_rates[1] = (0.5, 0.0)
    burden.follow(marrow, FAITHFUL, LATER)
    assert body.burden[1] == 0.0


def test_switching_is_a_flow_between_clones_that_differ_in_one_resistance(bare):
    marrow = bare()
    body = marrow.body
    body.burden[1] = 9e9
    marrow.clones.division[:] = 5e-4
    burden.follow(marrow, fate.Params(cd38_memory=0.95, switching=2e-6), LATER)
    flow = 2e-6 / 3.0 * 5e-4 * 9e9 * 6.0
    for clone in (0, 3, 5):
        assert body.burden[clone] == pytest.approx(flow, rel=1e-5)
    assert body.burden[1] == pytest.approx(9e9, rel=1e-8)
    assert body.burden[[2, 4, 6, 7]].max() < 1e-4 * flow


@pytest.mark.parametrize(("count", "births", "deaths", "least"), [(10, 0, 0, 10), (10, 3, 4, 9)])
def test_the_body_never_holds_fewer_cells_than_the_patch_shows(bare, count, births, deaths, least):
    marrow = bare()
    body = marrow.body
    body.burden[3] = 1.2
    body.clone_count[3], body.clone_births[3], body.clone_deaths[3] = count, births, deaths
    body.clone_rates[3] = (0.0, 0.5)
    burden.follow(marrow, FAITHFUL, LATER)
    assert body.burden[3] == least


def test_the_niche_of_visible_clones_is_remembered_once_a_day(bare, put):
    marrow = bare()
    stroma = np.zeros(256, bool)
    stroma[0] = True
    mark_niche(marrow.lattice, stroma)
    niche = np.flatnonzero(marrow.lattice.niche)
    elsewhere = np.setdiff1d(np.arange(1, 256), niche)
    put(marrow, niche[:6], clone=2)
    put(marrow, elsewhere[:54], clone=2)
    put(marrow, niche[6:], clone=1)  # too few: keeps what it had
    marrow.body.clone_niche[:] = 0.7
    roster.index_cells(marrow)
    burden.follow(marrow, FAITHFUL, Tick(6.0, 3, 1))
    np.testing.assert_array_equal(marrow.body.clone_niche, 0.7)
    burden.follow(marrow, FAITHFUL, Tick(6.0, 4, 1))
    assert marrow.body.clone_niche[2] == pytest.approx(0.1, rel=1e-12)
    assert marrow.body.clone_niche[1] == 0.7


# ---- return into the patch -------------------------------------------------------------------------------------------


def test_a_missing_clone_comes_back(bare):
    arrivals = []
    for step in range(300):
        marrow = bare(cd38_spread=0.0)
        marrow.clones.cd38[4], marrow.clones.complement_inhibitors[4] = 15e3, 3.0
        marrow.body.burden[4] = 20.0 * marrow.host.burden_per_cell
        marrow.body.clone_count[4] = 3
        tick = Tick(6.0, step, 31)
        burden.reseed(marrow, SEEDING, tick)
        cells = marrow.cells
        new = np.flatnonzero(cells.kind)
        arrivals.append(new.size)
        # 17 are missing, 0.02 an hour for each in six hours, rounded by the draw of this step
        key = rng.subkey(rng.stream_key(31, int(rng.Stream.RESEEDING), step), 4)
        assert new.size == int(0.02 * 17.0 * 6.0 + rng.unit(rng.bits(key, 0)))
        assert set(cells.kind[new]) <= {PLASMA} and set(cells.clone[new]) <= {4}
        np.testing.assert_allclose(cells.cd38[new], 15e3, rtol=1e-6)
        np.testing.assert_array_equal(cells.complement_inhibitors[new], 3.0)
        np.testing.assert_array_equal(cells.born[new], np.float32(6.0 * step))
        assert marrow.body.births[PLASMA] == marrow.body.births.sum() == new.size
        assert np.unique(cells.uid[new]).size == new.size and (cells.uid[new] > 0).all()
    assert np.mean(arrivals) == pytest.approx(2.04, abs=0.1)


@pytest.mark.parametrize(
    ("expected", "present", "comes"),
    [(0.9, 0, False), (1.1, 0, True), (40.0, 19, True), (40.0, 21, False), (40.0, 40, False), (40.0, 60, False)],
)
def test_when_a_clone_comes_back(bare, expected, present, comes):
    marrow = bare()
    marrow.body.burden[1] = expected * marrow.host.burden_per_cell
    marrow.body.clone_count[1] = present
    burden.reseed(marrow, burden.Params(seeding=0.5), Tick(6.0, 3, 2))
    assert marrow.cells.kind.any() == comes


def test_no_more_than_sixty_four_at_once_and_on_free_sites_only(bare, put):
    marrow = bare(32, 32)
    put(marrow, np.arange(0, 1024, 2), CellType.T)
    marrow.body.burden[0] = 1e9 * marrow.host.burden_per_cell
    burden.reseed(marrow, SEEDING, LATER)
    assert (marrow.cells.kind == PLASMA).sum() == 64
    assert (marrow.cells.kind[::2] == CellType.T).all()


def test_nobody_comes_into_a_packed_patch(bare, put):
    marrow = bare()
    put(marrow, np.arange(256), CellType.MACROPHAGE)
    marrow.body.burden[:] = 1e9 * marrow.host.burden_per_cell
    burden.reseed(marrow, SEEDING, LATER)
    assert not marrow.body.births.any()
    assert (marrow.cells.kind == CellType.MACROPHAGE).all()


def test_clones_come_back_side_by_side(bare):
    marrow = bare(32, 32)
    marrow.body.burden[:] = 100.0 * marrow.host.burden_per_cell
    burden.reseed(marrow, SEEDING, LATER)
    counts = np.bincount(marrow.cells.clone[marrow.cells.kind == PLASMA], minlength=N_CLONES)
    assert (counts >= 11).all() and counts.sum() == marrow.body.births[PLASMA]
    assert np.unique(marrow.cells.uid[marrow.cells.uid > 0]).size == counts.sum()
