"""Each rule by hand arithmetic, on the Python that the compiled kernel is made of."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from tme_abm.foundation.declare import stack
from tme_abm.foundation.jit import kernel
from tme_abm.foundation.rng import bits, poisson, subkey, unit
from tme_abm.marrow import walking
from tme_abm.marrow.clones import N_CLONOTYPES, N_REACTIVE
from tme_abm.marrow.secretion import balanced_source
from tme_abm.mechanisms import (
    adcc,
    adcp,
    adenosine,
    binding,
    cdc,
    depletion,
    direct_killing,
    ectoenzyme,
    exhaustion,
    glucocorticoid,
    growth,
    imid,
    motility,
    niche_release,
    nk_activation,
    proteasome,
    recruitment,
    suppression,
    t_cell_killing,
    t_cell_recovery,
    trogocytosis,
)
from tme_abm.pharmacology.drug import load_drug

fractions = st.floats(0.0, 1.0)
sites = st.floats(0.0, 2e6)


def one(module, **values):
    """The parameters of one drug, as its kernels take them."""
    return stack(module.Params, [module.Params(**values)])


def test_adcc_by_hand():
    p = one(adcc, lysis_rate=0.04, half_density=50e3, steepness=2.0)
    assert adcc.rate.py_func(1.5, 50e3, p, 0) == pytest.approx(0.03)
    assert adcc.rate.py_func(1.0, 100e3, p, 0) == pytest.approx(0.04 * 0.8)
    assert adcc.rate.py_func(0.0, 1e9, p, 0) == adcc.rate.py_func(2.0, 0.0, p, 0) == 0.0


def test_adcp_by_hand():
    p = one(adcp, engulfment_rate=0.02, half_density=100e3, steepness=3.0)
    assert adcp.rate.py_func(1.0, 100e3, p, 0) == pytest.approx(0.01)
    assert adcp.rate.py_func(0.5, 200e3, p, 0) == pytest.approx(0.01 * 8.0 / 9.0)


def test_cdc_by_hand():
    p = one(cdc, max_rate=0.01, half_density=200e3, steepness=4.0, protection=0.5)
    assert cdc.rate.py_func(200e3, 0.0, p, 0) == pytest.approx(0.005)
    assert cdc.rate.py_func(200e3, 2.0, p, 0) == pytest.approx(0.005 * math.exp(-1.0))
    assert cdc.rate.py_func(100e3, 0.0, p, 0) == pytest.approx(0.01 / 17.0)


def test_direct_killing_by_hand():
    p = one(direct_killing, max_rate=0.006, half_density=400e3, steepness=4.0)
    assert direct_killing.rate.py_func(400e3, p, 0) == pytest.approx(0.003)
    assert direct_killing.rate.py_func(200e3, p, 0) == pytest.approx(0.006 / 17.0)


def test_depletion_by_hand():
    p = one(depletion, max_rate=0.03, half_density=7e3, steepness=2.0)
    assert depletion.rate.py_func(7e3, p, 0) == pytest.approx(0.015)
    assert depletion.rate.py_func(21e3, p, 0) == pytest.approx(0.027)


def test_fratricide_by_hand():
    p = one(nk_activation, fratricide=0.02, half_density=4e3, steepness=2.0)
    assert nk_activation.rate.py_func(4e3, p, 0) == pytest.approx(0.01)
    assert nk_activation.rate.py_func(12e3, p, 0) == pytest.approx(0.018)


def test_occupancy_by_hand():
    assert binding.occupancy.py_func(0.3, 1.0, 0.3, 0.8) == pytest.approx(0.4)
    assert binding.occupancy.py_func(0.0, 0.0, 0.3, 0.8) == 0.0
    assert binding.occupancy.py_func(3e6, 1e7, 0.3, 0.8) == pytest.approx(0.8, rel=1e-6)
    assert binding.occupancy.py_func(0.3, 4.0, 0.3, 1.0) == pytest.approx(0.2)  # another antibody holds three times as much


def test_enzyme_activity_by_hand():
    assert ectoenzyme.activity.py_func(0.8, 0.65) == pytest.approx(0.48)
    assert ectoenzyme.activity.py_func(0.0, 0.65) == 1.0


@given(st.floats(0.0, 1.0), st.floats(0.0, 0.5), fractions, st.sampled_from([1.0, 6.0, 24.0, 240.0]))
def test_trogocytosis_against_a_solver(start, loss, floor, dt):
    recovery = trogocytosis.RECOVERY
    exact = solve_ivp(lambda t, s: -loss * (s - floor) + recovery * (1.0 - s), (0.0, dt), [start], rtol=1e-10, atol=1e-12)
    assert trogocytosis.surface.py_func(start, loss, loss * floor, dt) == pytest.approx(exact.y[0, -1], abs=1e-8)


def test_an_untouched_surface_stays_whole():
    assert trogocytosis.surface.py_func(1.0, 0.0, 0.0, 6.0) == 1.0


def test_exhaustion_by_hand():
    assert exhaustion.sustained.py_func(0.25, 4.0, 0.0) == pytest.approx(0.5)
    assert exhaustion.sustained.py_func(0.25, 4.0, 0.4) == pytest.approx(0.7)
    assert exhaustion.sustained.py_func(0.0, 4.0, 0.0) == 1.0
    assert exhaustion.sustained.py_func(0.25, 4.0, 1.0) == 1.0


@pytest.mark.parametrize(("module", "extra"), [(glucocorticoid, {}), (imid, {})])
def test_small_molecules_by_hand(module, extra):
    p = one(module, kill_rate=2e-3, adhesion_fold=4.0, **extra)
    assert module.rate.py_func(0.5, 1.0, 0.0, p, 0) == pytest.approx(1e-3)
    assert module.rate.py_func(0.5, 1.0, 1.0, p, 0) == pytest.approx(2.5e-4)
    assert module.rate.py_func(1.0, 0.05, 0.5, p, 0) == pytest.approx(2e-3 * 0.05 * 0.625)
    assert module.rate.py_func(0.0, 1.0, 0.0, p, 0) == 0.0


def test_proteasome_inhibition_by_hand():
    p = one(proteasome, kill_rate=4e-3, half_inhibition=0.5, steepness=3.0, adhesion_fold=2.0)
    assert proteasome.rate.py_func(0.5, 1.0, 0.0, p, 0) == pytest.approx(2e-3)
    assert proteasome.rate.py_func(1.0, 1.0, 1.0, p, 0) == pytest.approx(4e-3 * (8.0 / 9.0) / 2.0)
    assert proteasome.rate.py_func(0.5, 0.1, 0.0, p, 0) == pytest.approx(2e-4)


def test_growth_by_hand():
    assert growth.drive.py_func(1.0, 0.3) == 1.0
    assert growth.drive.py_func(0.0, 0.3) == pytest.approx(0.7)
    assert growth.drive.py_func(3.0, 0.4) == pytest.approx(0.6 + 0.4 * 1.5)
    assert growth.drive.py_func(1e12, 0.3) == pytest.approx(1.3)


def test_division_of_t_cells_by_hand():
    p = t_cell_recovery.Params(expansion=0.01, steepness=2.0, half_antigen=0.02)
    rate = t_cell_recovery.rate.py_func
    assert rate(1.0, 1e12, 1.0, p) == pytest.approx(0.01)
    assert rate(0.5, 1e12, 1.0, p) == pytest.approx(0.01 * 0.25)  # held down to a half, a quarter divides
    assert rate(1.0, 0.02, 1.0, p) == pytest.approx(0.005)
    assert rate(1.0, 0.06, 1.0, p) == pytest.approx(0.0075)
    assert rate(1.0, 0.02, 0.4, p) == pytest.approx(0.002)  # a crowd shares the cytokines
    assert rate(0.0, 0.5, 1.0, p) == rate(1.0, 0.0, 1.0, p) == rate(1.0, 0.5, 0.0, p) == 0.0


@given(st.floats(0.0, 0.03), st.floats(1e-3, 0.02))
def test_t_cells_settle_where_arrivals_division_and_turnover_balance(division, renewal):
    """Stepping the numbers of reactive and other T cells until they stand still: the blood keeps one T cell."""
    fold, share = t_cell_recovery.settled(division, renewal)
    others, reactive = 1.0 - N_REACTIVE / N_CLONOTYPES, N_REACTIVE / N_CLONOTYPES
    dt = 0.1 / max(division, renewal)
    for _ in range(20_000):
        was = others, reactive
        division_now = division / (others + reactive)  # they share the cytokines
        others += dt * renewal * (1.0 - N_REACTIVE / N_CLONOTYPES - others)
        reactive += dt * (renewal * (N_REACTIVE / N_CLONOTYPES - reactive) + division_now * reactive)
        if was == (others, reactive):
            break
    assert fold == pytest.approx(others + reactive, rel=1e-6)
    assert share == pytest.approx(reactive / (others + reactive), rel=1e-6)


def test_without_division_the_blood_alone_keeps_the_t_cells():
    assert t_cell_recovery.settled(0.0, 0.005) == (1.0, N_REACTIVE / N_CLONOTYPES)
    fold, share = t_cell_recovery.settled(0.005, 0.005)  # k = 1: (2 + sqrt(4 - 3)) / 2, and 1 - 0.75 / 1.5
    assert (fold, share) == pytest.approx((1.5, 0.5), rel=1e-12)


def test_exhaustion_of_a_patient_is_what_makes_the_exhaustion_that_is_seen():
    """Under the load at which it was seen the T cells have lost that share, and NK cells their part of it."""
    susceptibility = exhaustion.per_cell(0.6, 0.25)
    assert susceptibility == pytest.approx(0.6 / 0.4 / 0.25)
    t_cell, nk = exhaustion.typical(0.25, susceptibility, exhaustion.Params(nk_share=0.5))
    assert t_cell == pytest.approx(1.0 - 0.6)
    assert nk == pytest.approx(1.0 / (1.0 + 0.75))
    assert exhaustion.typical(0.0, susceptibility, exhaustion.Params()) == (1.0, 1.0)
    assert exhaustion.per_cell(1.0, 0.25) == exhaustion.per_cell(0.95, 0.25)


def test_typical_restraint_is_that_of_a_mixed_marrow():
    """Nine sites are in reach: one MDSC in nine sites is one nearby, all the time."""
    p = suppression.Params(max_adenosine=0.7, neighbour_strength=0.8)
    count, strength = np.array([5.0, 10.0, 10.0]), np.array([0.0, 1.0, 0.5])
    assert suppression.typical(0.0, count, 0.0 * strength, 90, p) == 1.0
    assert suppression.typical(1.0, count, strength, 90, p) == pytest.approx((1.0 - 0.35) / (1.0 + 0.8 * 1.5))


def test_a_patient_has_the_adenosine_that_suppresses_as_seen():
    assert adenosine.level(0.0) == 0.0
    assert adenosine.level(0.5) == 1.0  # half of what adenosine can take: half-effective
    assert adenosine.level(0.75) == pytest.approx(3.0)
    assert adenosine.level(1.0) == adenosine.level(0.95) == pytest.approx(19.0)


def test_sources_of_adenosine_make_what_the_marrow_clears():
    """60 of 100 sites hold cells; 40 plasma cells of typical CD38 and 20 others of half of it, which make nothing otherwise."""
    p = adenosine.Params(clearance_free=100.0, clearance_cell=400.0)
    cells = (np.array([40.0, 20.0]), np.array([adenosine.TYPICAL_CD38, 0.5 * adenosine.TYPICAL_CD38]), np.array([1.0, 0.0]))
    through_cd38, other = adenosine.sources(2.0, 0.3, cells, 100, p)
    cleared = 2.0 * (60 * 400.0 + 40 * 100.0)
    assert through_cd38 * 50 + other * 40 == pytest.approx(cleared)
    assert through_cd38 * 50 == pytest.approx(0.3 * cleared)


def test_a_source_makes_what_the_marrow_clears_at_a_level_of_one():
    count, relative = np.array([30.0, 10.0]), np.array([1.0, 2.0])
    assert balanced_source(20.0, count, relative, 100) * 50 == pytest.approx(20.0 * 100)


@kernel
def arrivals_of(drawn, mean):
    """Fill `drawn` with numbers of arrivals, and give what a single draw makes of the last address."""
    for i in range(drawn.size):
        drawn[i] = recruitment.draw_arrivals(subkey(7, i), mean)
    return poisson(mean, unit(bits(subkey(7, drawn.size - 1), 0)))


@pytest.mark.parametrize("mean", [0.0, 30.0, 399.0, 401.0, 1700.0])
def test_as_many_arrive_as_are_expected_on_a_large_patch_too(mean):
    """Mean and variance of a Poisson number, within five errors; up to 400 the very draw that it always was."""
    drawn = np.zeros(4000)
    single = arrivals_of(drawn, mean)
    assert drawn.mean() == pytest.approx(mean, abs=5.0 * math.sqrt(mean / drawn.size))
    assert drawn.var() == pytest.approx(mean, abs=5.0 * mean * math.sqrt(2.0 / drawn.size) + 0.1 * math.sqrt(mean))
    if mean <= recruitment.PORTION:
        assert drawn[-1] == single


def test_the_toll_of_t_cells_by_hand():
    """Of 18 T cells on 81 sites two are in reach; a quarter of them sees the tumour, with half of its granzyme."""
    p = t_cell_killing.Params(lysis_rate=0.01)
    assert t_cell_killing.toll(18.0, (), 81, p) == pytest.approx(0.02)
    assert t_cell_killing.toll(18.0, (0.25, 0.5), 81, p) == pytest.approx(0.0025)


def test_division_makes_up_for_what_dies():
    p = growth.Params(apoptosis=2e-4)
    assert growth.gross(3e-4, 1e-4, p) == pytest.approx(6e-4)


def test_release_from_the_niche_by_hand():
    p = one(niche_release, max_release=0.5, half_density=100e3, steepness=2.0)
    assert niche_release.kept.py_func(100e3, 0.8, p, 0) == pytest.approx(0.8)
    assert niche_release.kept.py_func(0.0, 0.8, p, 0) == 1.0
    assert niche_release.kept.py_func(200e3, 0.0, p, 0) == 1.0


def test_restraint_by_hand():
    p = suppression.Params(max_adenosine=0.7, neighbour_strength=0.8)
    assert suppression.restraint.py_func(0.0, 0.0, p) == 1.0
    assert suppression.restraint.py_func(1.0, 0.0, p) == pytest.approx(0.65)
    assert suppression.restraint.py_func(0.0, 1.25, p) == pytest.approx(0.5)
    assert suppression.restraint.py_func(1.0, 1.25, p) == pytest.approx(0.325)
    assert suppression.restraint.py_func(1e12, 0.0, p) == pytest.approx(0.3)


# ---- how far an immune cell walks ------------------------------------------------------------------------------------


def displacements(side):
    """Rows and columns over an even grid of 32-bit numbers, sixty for each place of the square."""
    n = 60 * side**2
    words = [np.uint64(((2 * i + 1) * 2**32 // (2 * n)) << 32) for i in range(n)]
    return np.array([walking.displacement.py_func(word, side) for word in words])


@pytest.mark.parametrize("side", [1, 3, 5, 11])
def test_a_displacement_covers_its_square_evenly(side):
    places, times = np.unique(displacements(side), axis=0, return_counts=True)
    reach = range(-(side // 2), side // 2 + 1)
    assert [tuple(place) for place in places] == [(y, x) for y in reach for x in reach]
    assert set(times) == {60}


@given(st.integers(0, 2**64 - 1), st.integers(0, 30))
def test_a_displacement_stays_within_reach(word, half):
    rows, columns = walking.displacement.py_func(np.uint64(word), 2 * half + 1)
    assert abs(rows) <= half and abs(columns) <= half


@pytest.mark.parametrize("half", [1, 2, 5])
def test_a_square_has_the_variance_that_the_walk_counts_on(half):
    along = displacements(2 * half + 1)
    assert along.mean(axis=0).tolist() == [0.0, 0.0]
    assert along.var(axis=0) == pytest.approx(half * (half + 1.0) / 3.0, rel=1e-12)


@given(st.floats(0.0, 50.0), st.floats(0.05, 6.0))
def test_a_walk_is_as_far_in_mean_square_as_diffusion_says(diffusivity, dt):
    """Also for a cell that is slower than a site in a stop."""
    small, often_wider = motility.squares.py_func(diffusivity, dt)
    assert small >= 0 and -1e-9 <= often_wider <= 1.0 + 1e-9
    variances = [n * (n + 1.0) / 3.0 for n in (small, small + 1)]
    assert (1.0 - often_wider) * variances[0] + often_wider * variances[1] == pytest.approx(2.0 * diffusivity * dt, abs=1e-9)


def test_whoever_does_not_move_reaches_nowhere():
    assert motility.squares.py_func(0.0, 6.0) == (0, 0.0)
    assert not displacements(1).any()


# ---- order of the effector modes -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def relative():
    """Share of its own highest rate that each mode of isatuximab reaches on a cell of a CD38 density, at an occupancy of 80 %."""
    effects = load_drug("isatuximab").effects
    blocks = {m: stack(m.Params, [effects[m.__name__.rsplit(".", 1)[1]].params]) for m in (adcc, adcp, cdc, direct_killing)}
    modes = {
        "adcc": lambda x: adcc.rate.py_func(1.0, x, blocks[adcc], 0),
        "adcp": lambda x: adcp.rate.py_func(1.0, x, blocks[adcp], 0),
        "cdc": lambda x: cdc.rate.py_func(x, 1.0, blocks[cdc], 0),
        "direct_killing": lambda x: direct_killing.rate.py_func(x, blocks[direct_killing], 0),
    }
    return lambda name, cd38: modes[name](0.8 * cd38) / modes[name](1e12)


def test_rising_cd38_recruits_adcc_then_adcp_then_cdc_then_direct_killing(relative):
    """Moreno 2019: the more CD38, the more modes."""
    densities = np.geomspace(1e3, 3e6, 60)
    for least in (0.1, 0.25, 0.5):
        onset = [next(x for x in densities if relative(name, x) >= least) for name in ("adcc", "adcp", "cdc", "direct_killing")]
        assert all(a < b for a, b in pairwise(onset))


def test_modes_of_cells_low_intermediate_and_high_in_cd38(relative):
    at_work = {cd38: [name for name in ("adcc", "adcp", "cdc") if relative(name, cd38) >= 0.25] for cd38 in (60e3, 160e3, 500e3)}
    assert at_work == {60e3: ["adcc"], 160e3: ["adcc", "adcp"], 500e3: ["adcc", "adcp", "cdc"]}


# ---- monotone --------------------------------------------------------------------------------------------------------


@given(sites, sites, st.floats(0.0, 2.0))
def test_more_antibody_on_a_cell_never_protects_it(a, b, contact):
    low, high = min(a, b), max(a, b)
    for module, rate in ((adcc, adcc.rate.py_func), (adcp, adcp.rate.py_func)):
        assert rate(contact, low, one(module), 0) <= rate(contact, high, one(module), 0)
    assert cdc.rate.py_func(low, 1.0, one(cdc), 0) <= cdc.rate.py_func(high, 1.0, one(cdc), 0)
    for module in (direct_killing, depletion, nk_activation):
        assert module.rate.py_func(low, one(module), 0) <= module.rate.py_func(high, one(module), 0)


@given(fractions, fractions, fractions)
def test_more_effect_of_a_small_molecule_never_protects_a_cell(a, b, adherence):
    for module in (imid, glucocorticoid, proteasome):
        p = one(module)
        assert module.rate.py_func(min(a, b), 1.0, adherence, p, 0) <= module.rate.py_func(max(a, b), 1.0, adherence, p, 0)
        assert module.rate.py_func(a, 1.0, 1.0, p, 0) <= module.rate.py_func(a, 1.0, 0.0, p, 0)


@given(st.floats(0.0, 1e3), st.floats(0.0, 1e3), st.floats(0.0, 1e4))
def test_competition_shares_the_antigen(c1, c2, k):
    """Two antibodies on one antigen never hold more of it than is accessible, and each holds less than alone."""
    k = 0.1 + k
    competition = c1 / k + c2 / 0.3
    first = binding.occupancy.py_func(c1, competition, k, 0.8)
    second = binding.occupancy.py_func(c2, competition, 0.3, 0.8)
    assert first + second <= 0.8 + 1e-12
    assert first <= binding.occupancy.py_func(c1, c1 / k, k, 0.8)
