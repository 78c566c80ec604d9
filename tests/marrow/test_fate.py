"""Hazards to events: the thinned draw is exact, causes share in proportion, daughters inherit, nothing is lost."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from tme_abm.foundation import rng
from tme_abm.marrow import antigen, fate, lattice, probes, roster, state
from tme_abm.marrow.cells import N_CAUSES, N_EVENTS, N_TYPES, Cause, CellType
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.lattice import mark_niche, neighbour
from tme_abm.marrow.probes import VISIBLE
from tme_abm.marrow.state import CROWD, N_PROBES, TILE, Effector, Gauge, Tick

LEAST_P = 1e-4
MAKERS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # fixtures are makers: each example has its own marrow
PLASMA, T, STROMA = CellType.PLASMA, CellType.T, CellType.STROMA
STILL = fate.Params(cd38_memory=0.95, switching=0.0)
HAZARD = {Cause.ADCC: 0.012, Cause.CDC: 0.003, Cause.IMID: 0.03, Cause.TURNOVER: 0.006}


def expose(marrow, ceiling, hazard, tick):
    """One step in which every cell is under the same hazards; returns the uids of the dead."""
    before = marrow.cells.uid[marrow.cells.kind == PLASMA].copy()
    roster.index_cells(marrow)
    marrow.body.ceiling[:] = ceiling
    fate.draw_at_risk(marrow, fate.Params(), tick)
    for event, rate in hazard.items():
        marrow.hazard[: marrow.n_at_risk[0], event] = rate
    fate.decide(marrow, tick)
    fate.apply_events(marrow, STILL, tick)
    return set(before) - set(marrow.cells.uid[marrow.cells.kind == PLASMA])


# ---- thinning --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("interpreted")
def test_deaths_have_the_probability_and_the_causes_that_the_hazards_say(bare, put):
    ledger, trials = np.zeros(N_CAUSES), 0
    for step in range(40):
        marrow = bare(16, 16)
        put(marrow, np.arange(256))
        expose(marrow, 0.08, HAZARD, Tick(6.0, step, 99))
        ledger += marrow.body.ledger[PLASMA]
        trials += 256
    total = sum(HAZARD.values())
    assert stats.binomtest(int(ledger.sum()), trials, -math.expm1(-6.0 * total)).pvalue > LEAST_P
    causes = list(HAZARD)
    assert ledger.sum() == ledger[causes].sum()
    expected = np.array([HAZARD[c] for c in causes]) / total * ledger.sum()
    assert stats.chisquare(ledger[causes], expected).pvalue > LEAST_P


@pytest.mark.usefixtures("interpreted")
@given(slack=st.floats(1.0, 50.0), step=st.integers(0, 10_000), dt=st.sampled_from([1.0, 6.0, 24.0]))
@settings(MAKERS, max_examples=10)
def test_the_ceiling_changes_how_many_are_looked_at_and_nothing_else(bare, put, slack, step, dt):
    total = sum(HAZARD.values())
    seen = []
    for ceiling in (total, slack * total):
        marrow = bare(8, 8)
        put(marrow, np.arange(64))
        dead = expose(marrow, ceiling, HAZARD, Tick(dt, step, 4))
        seen.append((dead, marrow.body.ledger.tolist(), marrow.cells.uid.tolist()))
        at_risk = int(marrow.n_at_risk[0])
    assert seen[0] == seen[1]
    assert len(seen[0][0]) <= at_risk


def surround(marrow, seed=1):
    """Effectors in contact at random, from none to more than a crowd."""
    random = np.random.default_rng(seed)
    for column in (marrow.contacts.nk, marrow.contacts.t_cell, marrow.contacts.phagocyte):
        column[:] = random.random(column.size) * random.choice([0.0, 0.1, 0.6], column.size)


@pytest.mark.usefixtures("interpreted")
@given(slack=st.lists(st.floats(1.0, 20.0), min_size=4, max_size=4), step=st.integers(0, 10_000))
@settings(MAKERS, max_examples=10)
def test_ceilings_of_effectors_in_contact_change_nothing_either(bare, put, slack, step):
    """Killing by contact: each cell has its own hazard, which its own contacts bound."""
    tick, seen = Tick(6.0, step, 4), []
    for factor in ([1.0] * 4, slack):
        marrow = bare(8, 8)
        put(marrow, np.arange(64))
        surround(marrow)
        roster.index_cells(marrow)
        marrow.body.ceiling[:] = 0.01 * factor[3]
        marrow.body.contact_ceiling[:] = np.array([0.06, 0.02, 0.03]) * factor[:3]
        fate.draw_at_risk(marrow, fate.Params(), tick)
        for row in range(marrow.n_at_risk[0]):
            risk = marrow.at_risk
            marrow.hazard[row, Cause.ADCC] = 0.06 * risk.nk[row]
            marrow.hazard[row, Cause.T_CELL] = 0.02 * risk.t_cell[row]
            marrow.hazard[row, Cause.ADCP] = 0.03 * risk.phagocyte[row]
            marrow.hazard[row, Cause.TURNOVER] = 0.01
        fate.decide(marrow, tick)
        fate.apply_events(marrow, STILL, tick)
        assert marrow.body.gauge[Gauge.VIOLATIONS] == 0.0
        seen.append((marrow.body.ledger.tolist(), marrow.cells.uid.tolist()))
    assert seen[0] == seen[1]


@pytest.mark.usefixtures("interpreted")
def test_only_plasma_cells_meet_effectors(bare, put):
    marrow = bare(8, 8)
    put(marrow, np.arange(32))
    put(marrow, np.arange(32, 64), CellType.MDSC)
    surround(marrow)
    marrow.at_risk.nk[:] = marrow.at_risk.t_cell[:] = marrow.at_risk.phagocyte[:] = 9.0  # of the step before
    roster.index_cells(marrow)
    marrow.body.ceiling[:] = 1e4
    fate.draw_at_risk(marrow, fate.Params(), Tick(6.0, 2, 4))
    risk, n = marrow.at_risk, int(marrow.n_at_risk[0])
    assert n == 64
    others = risk.kind[:n] != PLASMA
    for name in ("nk", "t_cell", "phagocyte"):
        column, around = getattr(risk, name), getattr(marrow.contacts, name)
        assert not column[:n][others].any()
        sums = [lattice.neighbourhood_sum(around, int(s), marrow.lattice) for s in risk.site[:n][~others]]
        np.testing.assert_allclose(column[:n][~others], np.minimum(sums, CROWD), rtol=1e-6)


@pytest.mark.usefixtures("interpreted")
def test_a_hazard_above_what_its_contacts_allow_is_counted(bare, put):
    for excess, is_counted in ((1.0, False), (1.01, True)):
        marrow = bare(8, 8)
        put(marrow, np.arange(64))
        marrow.contacts.nk[:] = 0.05
        roster.index_cells(marrow)
        marrow.body.ceiling[:] = 0.02
        marrow.body.contact_ceiling[Effector.NK] = 0.1
        fate.draw_at_risk(marrow, fate.Params(), Tick(24.0, 2, 4))
        n = int(marrow.n_at_risk[0])
        marrow.hazard[:n, Cause.ADCC] = excess * (0.02 + 0.1 * marrow.at_risk.nk[:n])
        fate.decide(marrow, Tick(24.0, 2, 4))
        fate.apply_events(marrow, STILL, Tick(24.0, 2, 4))
        assert n > 0 and marrow.body.gauge[Gauge.VIOLATIONS] == (n if is_counted else 0)


@pytest.mark.usefixtures("interpreted")
def test_only_cells_below_the_threshold_are_enrolled(bare, put):
    marrow = bare()
    put(marrow, np.arange(256))
    tick = Tick(6.0, 3, 8)
    roster.index_cells(marrow)
    marrow.body.ceiling[:] = 0.02
    fate.draw_at_risk(marrow, fate.Params(), tick)
    n = int(marrow.n_at_risk[0])
    draws = np.array([rng.uniform(rng.stream_key(8, 3, 3), uid) for uid in range(1, 257)])
    np.testing.assert_array_equal(marrow.at_risk.site[:n], np.flatnonzero(draws < -math.expm1(-0.12)))
    np.testing.assert_array_equal(marrow.at_risk.draw[:n], draws[draws < -math.expm1(-0.12)])


@pytest.mark.usefixtures("interpreted")
def test_who_dies_does_not_depend_on_where_cells_stand(bare, put):
    uids = np.arange(1, 201)
    dead = []
    for order in (uids, np.random.default_rng(3).permutation(uids)):
        marrow = bare()
        put(marrow, np.arange(200), uid=order)
        dead.append(expose(marrow, 0.06, HAZARD, Tick(6.0, 12, 5)))
    assert dead[0] == dead[1] != set()


@pytest.mark.usefixtures("interpreted")
def test_no_hazard_no_event(bare, put):
    marrow = bare()
    put(marrow, np.arange(TILE))
    assert expose(marrow, 1e3, {}, Tick(6.0, 0, 1)) == set()
    assert marrow.n_at_risk[0] == TILE
    assert not marrow.body.ledger.any() and not marrow.body.births.any()


@pytest.mark.usefixtures("interpreted")
def test_certain_death(bare, put):
    marrow = bare()
    put(marrow, np.arange(0, 256, 2))
    dead = expose(marrow, 1e4, {Cause.ADCP: 1e4}, Tick(6.0, 0, 1))
    assert len(dead) == 128 and not marrow.cells.kind.any() and not marrow.cells.uid.any()
    assert marrow.body.ledger[PLASMA, Cause.ADCP] == marrow.body.ledger.sum() == 128


@pytest.mark.usefixtures("interpreted")
def test_stroma_is_never_at_risk(bare, put):
    marrow = bare()
    put(marrow, np.arange(64), STROMA)
    put(marrow, np.arange(64, 70), T)
    expose(marrow, 1e4, {Cause.TURNOVER: 1e4}, Tick(6.0, 0, 1))
    assert (marrow.cells.kind == STROMA).sum() == 64
    assert not (marrow.cells.kind == T).any()
    assert marrow.body.updates[0] == 70


@pytest.mark.usefixtures("interpreted")
def test_a_hazard_above_its_ceiling_is_counted(bare, put):
    for excess, violations in ((1.0, False), (1.0 + 1e-12, False), (1.001, True), (5.0, True)):
        marrow = bare()
        put(marrow, np.arange(256))
        expose(marrow, 0.05, {Cause.ADCC: 0.05 * excess}, Tick(24.0, 2, 6))
        assert marrow.n_at_risk[0] > 0
        assert marrow.body.gauge[Gauge.VIOLATIONS] == (marrow.n_at_risk[0] if violations else 0)
        if violations:
            with pytest.raises(RuntimeError, match="a hazard exceeded the ceiling that its mechanism declares"):
                fate.refuse_violations(marrow)
        else:
            fate.refuse_violations(marrow)


# ---- division --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("interpreted")
def test_division_and_death_compete(bare, put):
    births = deaths = 0
    for step in range(40):
        marrow = bare()
        put(marrow, np.arange(0, 256, 4))
        expose(marrow, 0.05, {Cause.DIVISION: 0.03, Cause.ADCC: 0.01}, Tick(6.0, step, 7))
        births += int(marrow.body.births[PLASMA])
        deaths += int(marrow.body.ledger.sum())
        assert (marrow.cells.kind == PLASMA).sum() == 64 + marrow.body.births[PLASMA] - marrow.body.ledger.sum()
    n, p = 64 * 40, -math.expm1(-0.24)
    assert stats.binomtest(births, n, 0.75 * p).pvalue > LEAST_P
    assert stats.binomtest(deaths, n, 0.25 * p).pvalue > LEAST_P


@pytest.mark.usefixtures("interpreted")
def test_without_a_free_neighbour_there_is_no_division(bare, put):
    marrow = bare()
    put(marrow, np.arange(256))
    expose(marrow, 1e4, {Cause.DIVISION: 1e4}, Tick(6.0, 0, 1))
    assert not marrow.body.births.any() and not marrow.body.ledger.any()
    assert (marrow.cells.kind == PLASMA).all()


@pytest.mark.usefixtures("interpreted")
def test_daughters_spread_evenly_over_the_free_neighbours(bare, put):
    where = []
    site = 8 * 16 + 8
    for step in range(600):
        marrow = bare()
        put(marrow, site)
        expose(marrow, 1e4, {Cause.DIVISION: 1e4}, Tick(6.0, step, 1))
        where.append(next(int(s) for s in np.flatnonzero(marrow.cells.kind) if s != site))
    counts = [where.count(neighbour(site, k, marrow.lattice)) for k in range(8)]
    assert sum(counts) == 600
    assert stats.chisquare(counts).pvalue > LEAST_P


def lineage(marrow, place, n, p, step=0, clone=0):
    """Divide `n` mothers, each onto the site on her right; returns the sites of mothers and daughters."""
    mothers = 2 * np.arange(n)
    place(marrow, mothers, clone=clone)
    marrow.clones.cd38[:] = 1e5
    marrow.cells.cd38[mothers] = 1e5 * np.exp(0.6 * np.random.default_rng(5).normal(size=n))
    for s in mothers:
        fate.divide(marrow, int(s), int(s) + 1, p, Tick(6.0, step, 21))
    return mothers, mothers + 1


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("memory", [0.0, 0.6, 0.95])
def test_daughters_have_the_stated_correlation_and_the_spread_of_the_clone(bare, put, memory):
    marrow = bare(64, 64)
    mothers, daughters = lineage(marrow, put, 2000, fate.Params(memory, 0.0))
    mother = np.log(marrow.cells.cd38[mothers] / 1e5)
    daughter = np.log(marrow.cells.cd38[daughters] / 1e5)
    fresh = (daughter - memory * mother) / (0.6 * math.sqrt(1.0 - memory**2))
    assert stats.kstest(fresh, "norm").pvalue > LEAST_P
    assert abs(np.corrcoef(fresh, mother)[0, 1]) < 4.0 / math.sqrt(2000)
    z = math.sqrt(2000 - 3) * (math.atanh(np.corrcoef(mother, daughter)[0, 1]) - math.atanh(memory))
    assert abs(z) < 4.0
    assert abs(daughter.std() / mother.std() - 1.0) < 4.0 / math.sqrt(2000)


@pytest.mark.usefixtures("interpreted")
def test_perfect_memory_copies_the_mother(bare, put):
    marrow = bare(16, 16)
    mothers, daughters = lineage(marrow, put, 50, fate.Params(1.0, 0.0))
    np.testing.assert_allclose(marrow.cells.cd38[daughters], marrow.cells.cd38[mothers], rtol=1e-6)


@pytest.mark.usefixtures("interpreted")
def test_what_a_daughter_takes_over(bare, put):
    marrow = bare()
    put(marrow, 20, T, clone=17, activity=0.25, granzyme=0.75, cd38=2e3, complement_inhibitors=1.5, born=3.0)
    fate.divide(marrow, 20, 21, STILL, Tick(6.0, 4, 1))
    cells = marrow.cells
    assert (cells.kind[21], cells.clone[21], cells.activity[21], cells.granzyme[21]) == (T, 17, 0.25, 0.75)
    assert (cells.cd38[21], cells.complement_inhibitors[21], cells.born[21]) == (2e3, 1.5, 24.0)
    assert marrow.body.births[T] == marrow.body.births.sum() == 1
    assert not marrow.body.clone_births.any()
    assert cells.uid[20] == 21 and cells.born[20] == 3.0  # the mother stays who she is


@pytest.mark.usefixtures("interpreted")
def test_daughters_have_names_of_their_own(bare, put):
    marrow = bare(32, 32)
    lineage(marrow, put, 500, STILL)
    uids = marrow.cells.uid[:1000]
    assert np.unique(uids).size == 1000 and uids.min() > 0


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("clone", [0, 5, 7])
def test_clones_breed_true_without_switching(bare, put, clone):
    marrow = bare(32, 32)
    _, daughters = lineage(marrow, put, 200, STILL, clone=clone)
    assert set(marrow.cells.clone[daughters]) == {clone}
    assert marrow.body.clone_births[clone] == marrow.body.clone_births.sum() == 200


@pytest.mark.usefixtures("interpreted")
def test_switching_changes_one_resistance_and_what_follows_from_it(bare, put):
    marrow = bare(64, 64)
    marrow.clones.complement_inhibitors[:] = 1.0 + np.arange(N_CLONES)
    mothers, daughters = lineage(marrow, put, 1500, fate.Params(cd38_memory=0.95, switching=0.4), clone=2)
    born = marrow.cells.clone[daughters]
    assert set(marrow.cells.clone[mothers]) == {2}
    counts = np.bincount(born, minlength=N_CLONES)
    assert set(np.flatnonzero(counts)) == {2, 2 ^ 1, 2 ^ 2, 2 ^ 4}
    switched = born != 2
    assert stats.binomtest(int(switched.sum()), 1500, 0.4).pvalue > LEAST_P
    assert stats.chisquare(counts[[3, 0, 6]]).pvalue > LEAST_P
    np.testing.assert_array_equal(marrow.cells.complement_inhibitors[daughters[switched]], 1.0 + born[switched])
    np.testing.assert_array_equal(marrow.cells.complement_inhibitors[daughters[~switched]], 1.0)
    np.testing.assert_array_equal(marrow.body.clone_births, counts)


@pytest.mark.usefixtures("interpreted")
def test_a_daughter_that_switches_takes_the_cd38_of_her_new_clone(bare, put):
    marrow = bare(cd38_spread=0.0)
    put(marrow, 0, clone=0, cd38=2e5)
    marrow.clones.cd38[:] = 1e5
    marrow.clones.cd38[[1, 2, 4]] = (3e4, 4e4, 5e4)
    fate.divide(marrow, 0, 1, fate.Params(cd38_memory=1.0, switching=1.0), Tick(6.0, 0, 2))
    clone = int(marrow.cells.clone[1])
    assert clone in (1, 2, 4)
    assert marrow.cells.cd38[1] == pytest.approx(2.0 * marrow.clones.cd38[clone], rel=1e-6)


# ---- the roster ------------------------------------------------------------------------------------------------------


@given(height=st.integers(8, 24), width=st.integers(8, 24), seed=st.integers(0, 2**32 - 1))
@settings(MAKERS, max_examples=20)
def test_the_roster_lists_every_site_once_by_type(bare, height, width, seed):
    marrow = bare(height, width)
    random = np.random.default_rng(seed)
    kinds = random.integers(0, N_TYPES, height * width).astype(np.uint8)
    marrow.cells.kind[:] = kinds
    marrow.cells.clone[:] = random.integers(0, N_CLONES, kinds.size)
    roster.index_cells(marrow)
    np.testing.assert_array_equal(marrow.roster.site, np.argsort(kinds, kind="stable"))
    np.testing.assert_array_equal(marrow.body.count, np.bincount(kinds, minlength=N_TYPES))
    np.testing.assert_array_equal(marrow.roster.start, np.concatenate([[0], np.cumsum(marrow.body.count)]))
    clones = np.bincount(marrow.cells.clone[kinds == PLASMA], minlength=N_CLONES)
    np.testing.assert_array_equal(marrow.body.clone_count, clones)


@given(height=st.integers(8, 24), width=st.integers(8, 24), seed=st.integers(0, 2**32 - 1))
@settings(MAKERS, max_examples=20)
def test_the_roster_of_a_large_lattice_goes_block_by_block(bare, height, width, seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "BLOCK_SIDE", 8)
        marrow = bare(height, width)
    kinds = np.random.default_rng(seed).integers(0, N_TYPES, height * width).astype(np.uint8)
    marrow.cells.kind[:] = kinds
    roster.index_cells(marrow)
    block = np.full((height, width), -1)
    for b, (first, rows, left, columns) in enumerate(marrow.roster.block):
        assert (block[first : first + rows, left : left + columns] == -1).all()
        block[first : first + rows, left : left + columns] = b
    assert block.min() == 0
    np.testing.assert_array_equal(marrow.roster.site, np.lexsort((np.arange(kinds.size), block.ravel(), kinds)))
    for b in range(block.max() + 1):
        for kind in range(N_TYPES):
            listed = marrow.roster.site[roster.first_of.py_func(marrow.roster, b, kind) : roster.end_of.py_func(marrow.roster, b, kind)]
            np.testing.assert_array_equal(listed, np.flatnonzero((kinds == kind) & (block.ravel() == b)))


@pytest.mark.usefixtures("interpreted")
def test_deaths_of_plasma_cells_are_booked_by_clone(bare, put):
    marrow = bare()
    put(marrow, np.arange(4), clone=np.array([0, 3, 3, 7]))
    put(marrow, 4, T, clone=3)
    for s, cause in enumerate((Cause.CDC, Cause.ADCC, Cause.ADCC, Cause.IMID, Cause.TURNOVER)):
        fate.die(marrow, s, cause)
    assert marrow.body.ledger[PLASMA, Cause.ADCC] == marrow.body.clone_ledger[3, Cause.ADCC] == 2
    assert marrow.body.ledger[T, Cause.TURNOVER] == 1
    np.testing.assert_array_equal(marrow.body.clone_ledger.sum(axis=0), marrow.body.ledger[PLASMA])
    np.testing.assert_array_equal(marrow.body.clone_deaths, [1, 0, 0, 2, 0, 0, 0, 1])


# ---- probes ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("interpreted")
def test_probes_stand_for_clones_that_the_patch_does_not_show(bare, put):
    marrow = bare(32, 32, cd38_spread=0.0)
    marrow.clones.cd38[:] = 1e4 * (1 + np.arange(N_CLONES))
    marrow.clones.complement_inhibitors[:] = 2.0
    put(marrow, np.arange(VISIBLE), clone=0)
    put(marrow, VISIBLE + np.arange(VISIBLE - 1), clone=1)
    marrow.body.burden[[0, 1, 3]] = 1e9
    marrow.body.gauge[Gauge.SURFACE_CD38] = 0.5
    roster.index_cells(marrow)
    marrow.n_at_risk[:] = 10
    probes.place(marrow, Tick(6.0, 8, 3))
    assert marrow.n_at_risk.tolist() == [10, 10 + 2 * N_PROBES]
    rows = slice(10, 10 + 2 * N_PROBES)
    assert marrow.at_risk.clone[rows].tolist() == [1] * N_PROBES + [3] * N_PROBES
    assert set(marrow.at_risk.kind[rows]) == {PLASMA}
    np.testing.assert_allclose(marrow.at_risk.cd38[rows], [1e4] * N_PROBES + [2e4] * N_PROBES, rtol=1e-6)
    np.testing.assert_array_equal(marrow.at_risk.complement_inhibitors[rows], 2.0)
    assert (marrow.at_risk.draw[rows] > 1.0).all()  # nothing can happen to them
    marrow.n_at_risk[:] = 10
    probes.place(marrow, Tick(6.0, 9, 3))
    assert marrow.n_at_risk.tolist() == [10, 10 + 2 * N_PROBES]  # in every step: drugs come and go within a day


def probe_sites(marrow, share, spacing, days):
    """Sites of the probes of a clone of which a share stood in the niche, amid stromal cells at a distance of each other."""
    stroma = np.zeros((32, 32), bool)
    stroma[::spacing, ::spacing] = True
    mark_niche(marrow.lattice, stroma.ravel())
    marrow.cells.kind[stroma.ravel()] = STROMA
    marrow.body.burden[2] = 1e9
    marrow.body.clone_niche[2] = share
    roster.index_cells(marrow)
    sites = []
    for step in range(days):
        marrow.n_at_risk[:] = 0
        probes.place(marrow, Tick(24.0, step, 3))
        sites.extend(marrow.at_risk.site[:N_PROBES])
    return np.array(sites)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("share", [0.0, 0.1, 0.35, 0.5, 0.9, 1.0])
def test_probes_stand_in_the_niche_as_often_as_their_clone_did(bare, share):
    marrow = bare(32, 32)
    sites = probe_sites(marrow, share, 4, 150)
    assert np.mean(marrow.lattice.niche[sites]) == pytest.approx(share, abs=0.03)


@pytest.mark.usefixtures("interpreted")
def test_probes_have_the_cd38_of_their_clone(bare):
    marrow = bare(32, 32, cd38_spread=0.7)
    marrow.clones.cd38[2], marrow.body.burden[2] = 5e4, 1e9
    roster.index_cells(marrow)
    logs = []
    for step in range(250):
        marrow.n_at_risk[:] = 0
        probes.place(marrow, Tick(6.0, step, 3))
        logs.append(np.log(marrow.at_risk.cd38[:N_PROBES] / 5e4))
        assert sum(logs[-1]) == pytest.approx(0.0, abs=1e-6)  # as much above the median as below it in every step
    assert np.std(logs) == pytest.approx(0.7, rel=0.1)


@pytest.mark.usefixtures("interpreted")
def test_probes_of_a_clone_that_lives_in_a_sparse_niche_all_stand_in_it(bare):
    marrow = bare(32, 32)
    sites = probe_sites(marrow, 1.0, 8, 20)
    assert marrow.lattice.niche[sites].all()
    assert not (marrow.cells.kind[sites] == STROMA).any()


@pytest.mark.usefixtures("interpreted")
def test_probes_read_the_mean_rates(bare, put):
    marrow = bare()
    put(marrow, np.arange(128))  # half of the patch packed, the other half free
    marrow.n_at_risk[:] = (0, N_PROBES)
    marrow.at_risk.clone[:N_PROBES] = 4
    marrow.at_risk.site[: N_PROBES // 2] = 3 * 16 + 5  # amid the packed half
    marrow.at_risk.site[N_PROBES // 2 : N_PROBES] = 12 * 16 + 5
    marrow.hazard[:N_PROBES, Cause.DIVISION] = 0.004
    marrow.hazard[:N_PROBES, Cause.ADCC] = np.arange(N_PROBES) * 1e-3
    marrow.hazard[:N_PROBES, Cause.TURNOVER] = 0.01
    probes.read(marrow)
    division, death = marrow.body.clone_rates[4]
    assert division == pytest.approx(0.002, rel=1e-12)  # only where there is room
    assert death == pytest.approx(0.01 + 1e-3 * (N_PROBES - 1) / 2, rel=1e-12)
    assert not marrow.body.clone_rates[[0, 1, 2, 3, 5, 6, 7]].any()


@pytest.mark.usefixtures("interpreted")
def test_the_surface_of_plasma_cells_and_of_others(bare, put):
    marrow = bare()
    marrow.body.gauge[Gauge.SURFACE_CD38] = 0.5
    marrow.body.clone_cd38[:3] = (1.5, 1.0, 0.25)
    found = [antigen.surface_cd38(marrow, int(PLASMA), clone, np.float32(1000.0)) for clone in range(3)]
    assert found == [750.0, 500.0, 125.0]
    assert antigen.surface_cd38(marrow, int(CellType.NK), 2, np.float32(1000.0)) == 500.0  # only plasma cells have a clone


# ---- CD38 is drawn anew ----------------------------------------------------------------------------------------------

OFTEN = fate.Params(cd38_renewal=0.01)


def pass_steps(marrow, p, steps, ceiling=0.0, dt=6.0):
    """Steps in which cells are looked at and nothing happens to them."""
    for step in range(steps):
        roster.index_cells(marrow)
        marrow.body.ceiling[:] = ceiling
        fate.draw_at_risk(marrow, p, Tick(dt, step, 21))


@pytest.mark.usefixtures("interpreted")
def test_how_often_cd38_is_drawn_anew(bare, put):
    """Of cells that never have an event: the share that still has its first CD38 falls exponentially."""
    marrow = bare(64, 64, cd38_spread=0.5)
    put(marrow, np.arange(4096), cd38=7.0)
    pass_steps(marrow, OFTEN, 10)
    renewed = int((marrow.cells.cd38 != np.float32(7.0)).sum())
    assert stats.binomtest(renewed, 4096, -math.expm1(-0.6)).pvalue > LEAST_P
    pass_steps(marrow, OFTEN._replace(cd38_renewal=0.0), 5)
    assert int((marrow.cells.cd38 != np.float32(7.0)).sum()) == renewed


@pytest.mark.usefixtures("interpreted")
def test_cd38_is_drawn_anew_around_the_median_of_the_clone(bare, put):
    """Whatever it was before: log-normal, with the spread of the host, and independent of the value lost."""
    marrow = bare(64, 64, cd38_spread=0.5)
    marrow.clones.cd38[:2] = (1e5, 2e4)
    clone = np.arange(4096) % 2
    first = np.where(np.arange(4096) < 2048, 10.0, 1e7)
    put(marrow, np.arange(4096), clone=clone, cd38=first)
    pass_steps(marrow, OFTEN._replace(cd38_renewal=1.0), 2, dt=24.0)
    renewed = marrow.cells.cd38 != first.astype(np.float32)
    assert renewed.all()
    z = np.log(marrow.cells.cd38 / np.where(clone == 0, 1e5, 2e4)) / 0.5
    for half in (first < 100.0, first > 100.0):
        assert stats.kstest(z[half], "norm").pvalue > LEAST_P


@pytest.mark.usefixtures("interpreted")
def test_a_population_keeps_its_distribution_of_cd38(bare, put):
    """Drawn anew from the distribution that it has, it stays: median and spread do not drift."""
    marrow = bare(64, 64, cd38_spread=0.6)
    random = np.random.default_rng(3)
    put(marrow, np.arange(4096), cd38=130e3 * np.exp(0.6 * random.standard_normal(4096)))
    before = marrow.cells.cd38.copy()
    pass_steps(marrow, OFTEN, 20)
    assert 0.5 < (marrow.cells.cd38 != before).mean() < 0.9
    assert stats.kstest(np.log(marrow.cells.cd38 / 130e3) / 0.6, "norm").pvalue > LEAST_P


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("ceiling", [0.0, 0.004, 4.0])
def test_cd38_is_drawn_anew_whatever_attacks_the_cell(bare, put, ceiling):
    """The same cells get the same CD38 in every arm, though one draw tells of the event as well."""
    marrow = bare(32, 32)
    n = TILE - 24
    put(marrow, np.arange(n), cd38=7.0)
    put(marrow, np.arange(n, TILE), T, cd38=7.0)
    roster.index_cells(marrow)
    marrow.body.ceiling[:] = ceiling
    tick, p = Tick(24.0, 4, 21), fate.Params(cd38_renewal=0.03)
    assert fate.draw_at_risk(marrow, p, tick)
    assert (marrow.n_at_risk[0] == 0) == (ceiling == 0.0)
    draw = np.array([rng.unit(rng.bits(rng.stream_key(21, rng.Stream.EVENT, 4), uid)) for uid in marrow.cells.uid[:n]])
    renewed = marrow.cells.cd38[:n] != 7.0
    np.testing.assert_array_equal(renewed, draw >= np.exp(-0.03 * 24.0))
    assert 0.3 < renewed.mean() < 0.7
    assert (marrow.cells.cd38[marrow.cells.kind == T] == 7.0).all()


@pytest.mark.usefixtures("interpreted")
def test_drawing_cd38_anew_changes_no_event(bare, put):
    seen = []
    for renewal in (0.0, 0.02):
        marrow = bare(16, 16)
        put(marrow, np.arange(256), cd38=7.0)
        tick = Tick(6.0, 3, 5)
        roster.index_cells(marrow)
        marrow.body.ceiling[:] = 0.08
        fate.draw_at_risk(marrow, fate.Params(cd38_renewal=renewal), tick)
        for event, rate in HAZARD.items():
            marrow.hazard[: marrow.n_at_risk[0], event] = rate
        fate.decide(marrow, tick)
        fate.apply_events(marrow, STILL, tick)
        seen.append((marrow.body.ledger.tolist(), marrow.cells.uid.tolist()))
        changed = marrow.cells.cd38[marrow.cells.kind == PLASMA] != 7.0
        assert changed.any() == (renewal > 0.0)
    assert seen[0] == seen[1] and sum(map(sum, seen[0][0])) > 0


def test_there_is_a_column_of_hazard_for_every_event():
    assert N_EVENTS == N_CAUSES + 1 == len(Cause)
    assert max(Cause) == Cause.DIVISION


# ---- tiles -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("tile", [1, 7, 50, 63, 64])
def test_in_how_many_tiles_the_cells_are_taken_changes_nothing(bare, put, monkeypatch, tile):
    seen = []
    for room in (512, tile):
        monkeypatch.setattr(fate, "TILE", room)
        marrow, tick = bare(8, 8), Tick(24.0, 5, 4)
        put(marrow, np.arange(40))
        put(marrow, np.arange(40, 48), T)
        surround(marrow)
        roster.index_cells(marrow)
        marrow.body.ceiling[:] = 0.05
        marrow.body.contact_ceiling[:] = 0.02
        tiles, is_last = 0, False
        while not is_last:
            is_last = fate.draw_at_risk(marrow, fate.Params(), tick)
            n = int(marrow.n_at_risk[0])
            assert n == room or is_last
            marrow.hazard[:n, Cause.TURNOVER] = 0.02
            marrow.hazard[:n, Cause.DIVISION] = 0.03
            marrow.hazard[:n, Cause.ADCC] = 0.02 * marrow.at_risk.nk[:n]
            fate.decide(marrow, tick)
            tiles += 1
        fate.apply_events(marrow, STILL, tick)
        seen.append((marrow.body.ledger.tolist(), marrow.body.births.tolist(), marrow.cells.uid.tolist()))
    assert tiles > 1 or tile >= 50
    assert seen[0] == seen[1]
    assert seen[0][0] != np.zeros_like(marrow.body.ledger).tolist()


@pytest.mark.usefixtures("interpreted")
def test_who_is_at_risk_does_not_depend_on_blocks(bare, put, monkeypatch):
    monkeypatch.setattr(fate, "TILE", 7)
    seen = []
    for side in (8, 128):
        monkeypatch.setattr(state, "BLOCK_SIDE", side)
        marrow, tick = bare(16, 24), Tick(24.0, 5, 4)
        put(marrow, np.arange(200))
        put(marrow, np.arange(200, 280), T)
        surround(marrow)
        roster.index_cells(marrow)
        marrow.body.ceiling[:] = 0.02
        marrow.body.contact_ceiling[:] = 0.02
        enrolled, is_last = [], False
        while not is_last:
            is_last = fate.draw_at_risk(marrow, fate.Params(), tick)
            n = int(marrow.n_at_risk[0])
            enrolled += list(zip(marrow.at_risk.site[:n].tolist(), marrow.at_risk.draw[:n].tolist(), strict=True))
        assert int(marrow.body.updates[0]) == 280
        seen.append(enrolled)
    assert len(seen[0]) > 20
    assert seen[0] != seen[1]  # in another order
    assert sorted(seen[0]) == sorted(seen[1])
