"""The torus against numpy's own shifts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tme_abm.foundation.clock import MINUTES_PER_HOUR, SECONDS_PER_HOUR
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.jit import COMPILED
from tme_abm.marrow.lattice import (
    NEIGHBOURHOOD,
    NEIGHBOURS,
    SITE_UM,
    count_neighbours,
    density_for,
    displaced,
    find_free_neighbour,
    has_free_neighbour,
    in_sites,
    make_lattice,
    mark_niche,
    neighbour,
    neighbourhood_sum,
    wrapped,
)

DIRECTIONS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
shapes = st.tuples(st.integers(8, 20), st.integers(8, 20))
seeds = st.integers(0, 2**32 - 1)


def test_a_diffusivity_in_sites_spreads_as_far_as_it_does_in_um():
    """Mean square displacement 4 D t, in um from the one and in sites from the other."""
    for diffusivity, seconds in ((270.0, 1.0), (40.0, 1.0), (25.0, 60.0)):
        per_hour = SECONDS_PER_HOUR if seconds == 1.0 else MINUTES_PER_HOUR
        sites = in_sites.py_func(diffusivity, per_hour)
        assert 4.0 * sites * 0.5 * SITE_UM**2 == pytest.approx(4.0 * diffusivity * 1800.0 / seconds)
    assert [in_sites.py_func(d, SECONDS_PER_HOUR) for d in (270.0, 40.0)] == [6750.0, 1000.0]  # to the last bit
    assert in_sites.py_func(0.03, MINUTES_PER_HOUR) == 0.03 * 60.0 / 144.0


def test_a_site_has_as_many_neighbours_as_directions():
    assert (NEIGHBOURS, NEIGHBOURHOOD) == (len(DIRECTIONS), len(DIRECTIONS) + 1)


def shifted(sheet, dy, dx):
    """What each site finds `dy` rows and `dx` columns away."""
    return np.roll(sheet, (-dy, -dx), (0, 1))


@given(shapes)
@settings(max_examples=15)
def test_neighbours_are_those_of_rolled_sheets(shape):
    lattice = make_lattice(*shape)
    sites = np.arange(shape[0] * shape[1]).reshape(shape)
    for k, (dy, dx) in enumerate(DIRECTIONS):
        found = [neighbour(s, k, lattice) for s in sites.ravel()]
        np.testing.assert_array_equal(found, shifted(sites, dy, dx).ravel())


@given(shapes, st.integers(-50, 50), st.integers(-50, 50))
@settings(max_examples=15)
def test_far_displacements_go_round_the_torus(shape, dy, dx):
    lattice = make_lattice(*shape)
    sites = np.arange(shape[0] * shape[1]).reshape(shape)
    found = [displaced(s, dy, dx, lattice) for s in sites.ravel()]
    np.testing.assert_array_equal(found, shifted(sites, dy, dx).ravel())


@given(st.integers(-300, 300), st.integers(1, 50))
def test_wrapping_is_the_remainder(position, length):
    assert wrapped(position, length) == position % length


@given(shapes, seeds)
@settings(max_examples=15)
def test_sum_and_count_over_the_neighbourhood(shape, seed):
    lattice = make_lattice(*shape)
    random = np.random.default_rng(seed)
    column = random.random(shape).astype(np.float32)
    kinds = random.integers(0, 4, shape).astype(np.uint8)
    around = sum(shifted(column.astype(float), dy, dx) for dy, dx in DIRECTIONS)
    twos = sum((shifted(kinds, dy, dx) == 2).astype(int) for dy, dx in DIRECTIONS)
    for s in range(column.size):
        assert neighbourhood_sum(column.ravel(), s, lattice) == pytest.approx((column + around).ravel()[s], rel=1e-6)
        assert count_neighbours(kinds.ravel(), 2, s, lattice) == twos.ravel()[s]


@given(shapes, st.integers(0, 255), st.data())
@settings(max_examples=40)
def test_every_free_neighbour_is_as_likely_as_the_others(shape, pattern, data):
    """Over 840 starts, which every number of free neighbours divides, each of them comes equally often."""
    lattice = make_lattice(*shape)
    site = data.draw(st.integers(0, shape[0] * shape[1] - 1))
    kinds = np.ones(shape[0] * shape[1], np.uint8)
    free = {neighbour(site, k, lattice) for k in range(8) if pattern >> k & 1}
    kinds[list(free)] = 0
    found = [find_free_neighbour(kinds, site, start, lattice) for start in range(840)]
    assert has_free_neighbour(kinds, site, lattice) == bool(free)
    if not free:
        assert set(found) == {-1}
    else:
        places, times = np.unique(found, return_counts=True)
        assert set(places) == free
        assert set(times) == {840 // len(free)}


@pytest.mark.skipif(not COMPILED, reason="compares with compiled code")
def test_the_sum_over_the_neighbourhood_is_that_of_its_python_twin():
    lattice = make_lattice(8, 8)
    column = np.random.default_rng(0).random(64).astype(np.float32)
    assert [neighbourhood_sum(column, s, lattice) for s in range(64)] == [neighbourhood_sum.py_func(column, s, lattice) for s in range(64)]


def test_the_neighbourhood_is_summed_in_the_order_of_the_neighbours():
    """So its last bit is the same wherever a site lies; of numbers so far apart another order gives another sum."""
    lattice = make_lattice(8, 9)
    column = (10.0 ** np.random.default_rng(0).uniform(-9.0, 9.0, 72)).astype(np.float32)
    for s in range(72):
        total = float(column[s])
        for k in range(8):
            total += float(column[neighbour(s, k, lattice)])
        assert neighbourhood_sum(column, s, lattice) == total


def test_the_site_itself_is_no_neighbour_of_itself():
    lattice = make_lattice(8, 8)
    kinds = np.ones(64, np.uint8)
    kinds[27] = 0
    assert find_free_neighbour(kinds, 27, 0, lattice) == -1
    assert count_neighbours(kinds, 0, 27, lattice) == 0


@given(shapes, seeds)
@settings(max_examples=15)
def test_the_niche_is_the_sites_beside_stroma(shape, seed):
    lattice = make_lattice(*shape)
    stroma = np.random.default_rng(seed).random(shape) < 0.05
    mark_niche(lattice, stroma.ravel())
    kinds = np.where(stroma, 8, 0).astype(np.uint8).ravel()
    expected = [count_neighbours(kinds, 8, s, lattice) > 0 for s in range(kinds.size)]
    np.testing.assert_array_equal(lattice.niche, expected)


def test_a_lone_stromal_cell_makes_a_niche_of_eight_sites():
    lattice = make_lattice(9, 11)
    stroma = np.zeros(99, bool)
    stroma[0] = True
    mark_niche(lattice, stroma)
    assert np.flatnonzero(lattice.niche).tolist() == [1, 10, 11, 12, 21, 88, 89, 98]
    mark_niche(lattice, np.zeros(99, bool))
    assert not lattice.niche.any()


@pytest.mark.parametrize(("height", "width"), [(7, 16), (16, 7), (8193, 16), (0, 0), (-8, 8)])
def test_what_is_no_patch(height, width):
    with pytest.raises(InputError, match=f"not {height} x {width}"):
        make_lattice(height, width)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
def test_so_much_scattered_stroma_makes_that_share_of_the_sites_a_niche(share):
    lattice = make_lattice(400, 400)
    mark_niche(lattice, np.random.default_rng(5).random(400 * 400) < density_for(share))
    assert lattice.niche.mean() == pytest.approx(share, abs=0.01)
