"""What each mechanism does to a marrow: the loops around the rules, read by hand."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from tme_abm.foundation.mechanism import by_drug
from tme_abm.marrow import contact, roster
from tme_abm.marrow.antigen import Antigen
from tme_abm.marrow.cells import N_TYPES, Cause, CellType
from tme_abm.marrow.clones import N_CLONOTYPES, N_REACTIVE
from tme_abm.marrow.lattice import mark_niche
from tme_abm.marrow.state import Effector, Gauge, Tick, copy_marrow
from tme_abm.mechanisms import (
    adcc,
    adcp,
    adenosine,
    adhesion,
    antigen_loss,
    binding,
    cdc,
    chemokine,
    depletion,
    direct_killing,
    ectoenzyme,
    exhaustion,
    fc_receptors,
    glucocorticoid,
    growth,
    imid,
    interleukin6,
    motility,
    niche_release,
    nk_activation,
    proteasome,
    recruitment,
    suppression,
    t_cell_killing,
    t_cell_recovery,
    trogocytosis,
    turnover,
)

pytestmark = pytest.mark.usefixtures("interpreted")
CD38, SLAMF7, NONE = int(Antigen.CD38), int(Antigen.SLAMF7), -1
PLASMA, T, NK, STROMA = CellType.PLASMA, CellType.T, CellType.NK, CellType.STROMA
NOW = Tick(6.0, 3, 17)
MAKERS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # fixtures are makers: each example has its own marrow


# ---- antibodies ------------------------------------------------------------------------------------------------------


def in_medium(marrow):
    """The same cells in a well, where antibodies are around them as pipetted."""
    return marrow._replace(host=marrow.host._replace(is_perfused=0.0))


def test_antibodies_on_one_antigen_compete(bare, rules):
    marrow = in_medium(bare(antigens=(CD38, CD38, SLAMF7)))
    marrow.drugs.concentration[:] = (3.0, 6.0, 9.0)
    p = rules("binding", *({"binding_constant": k, "accessible": 0.8} for k in (0.3, 0.6, 9.0)))
    binding.prepare(marrow, p, NOW)
    np.testing.assert_allclose(marrow.drugs.occupancy, [0.8 * 10 / 21, 0.8 * 10 / 21, 0.4], rtol=1e-12)
    np.testing.assert_array_equal(marrow.drugs.marrow, marrow.drugs.concentration)
    marrow.drugs.concentration[1] = 0.0
    binding.prepare(marrow, p, NOW)
    np.testing.assert_allclose(marrow.drugs.occupancy, [0.8 * 10 / 11, 0.0, 0.4], rtol=1e-12)


def test_small_molecules_bind_nothing(bare, rules):
    marrow = in_medium(bare(antigens=(NONE, CD38)))
    marrow.drugs.concentration[:] = 5.0
    one = rules("binding", {"binding_constant": 5.0, "accessible": 1.0})
    binding.prepare(marrow, one._replace(drug=np.array([1])), NOW)
    np.testing.assert_allclose(marrow.drugs.occupancy, [0.0, 0.5])


@given(c=st.lists(st.floats(0.0, 500.0), min_size=2, max_size=2), up=st.floats(0.0, 500.0), packed=st.integers(0, 64))
@settings(MAKERS, max_examples=25)
def test_more_of_an_antibody_holds_more_and_leaves_less_to_the_other(bare, rules, c, up, packed):
    p, seen = rules("binding", {}, {}), []
    for more in (0.0, up):
        marrow = bare(8, 8, antigens=(CD38, CD38))
        marrow.body.clone_count[0] = packed
        marrow.clones.cd38[:] = 130e3
        marrow.drugs.concentration[:] = c[0] + more, c[1]
        for _ in range(40):
            binding.prepare(marrow, p, NOW)
            assert np.all(marrow.drugs.marrow >= 0.0)
        seen.append(marrow.drugs.occupancy.copy())
    before, after = seen
    assert after[0] >= before[0] - 1e-9
    assert after[1] <= before[1] + 1e-9
    assert after.sum() <= 0.8 + 1e-9


def test_antibody_comes_into_the_marrow_as_into_the_tissues(bare, rules):
    """Where no antigen takes it: towards the partition, at the rate of exchange; out again when plasma is empty."""
    marrow = bare(antigens=(CD38,))
    marrow.drugs.concentration[:] = 100.0
    p = rules("binding", {"partition": 0.05, "exchange": 0.01})
    binding.prepare(marrow, p, NOW)
    assert marrow.drugs.marrow[0] == pytest.approx(0.06 * 0.05 * 100.0 / 1.06)
    for _ in range(1000):
        binding.prepare(marrow, p, NOW)
    assert marrow.drugs.marrow[0] == pytest.approx(5.0, rel=1e-6)
    marrow.drugs.concentration[:] = 0.0
    binding.prepare(marrow, p, NOW)
    assert marrow.drugs.marrow[0] == pytest.approx(5.0 / 1.06)


def settled(bare, rules, concentration, cells, p=None, surface=1.0):
    """Free antibody and occupancy where they come to rest, with so many plasma cells of 130 thousand sites on 16 x 16 sites."""
    marrow = bare(16, 16, antigens=(CD38,))
    marrow.body.clone_count[0] = cells
    marrow.clones.cd38[:] = 130e3
    marrow.body.gauge[Gauge.SURFACE_CD38] = surface
    marrow.drugs.concentration[:] = concentration
    for _ in range(2000):
        binding.prepare(marrow, rules("binding", p or {}), NOW)
    return float(marrow.drugs.marrow[0]), float(marrow.drugs.occupancy[0])


def test_a_packed_marrow_eats_what_a_small_dose_brings(bare, rules):
    """The balance of delivery and loss by an independent solver: 150 kDa for each of 130e3 exp(0.18) sites, a cell on each fourth place."""
    held = 0.25 * 130e3 * np.exp(0.5 * 0.6**2) * 150e9 / 6.02214076e23 / (12e-4) ** 3  # ug/mL
    for plasma in (3.0, 20.0, 60.0, 300.0):
        free, bound = settled(bare, rules, plasma, 64)
        root = brentq(lambda m, c=plasma: 0.0119 * (0.0727 * c - m) - 0.0082 * held * m / (0.3 + m), 0.0, plasma)
        assert free == pytest.approx(root, rel=1e-6)
        assert bound == pytest.approx(0.8 * root / (0.3 + root), rel=1e-6)
    assert settled(bare, rules, 10.0, 64)[1] < 0.25 < 0.75 < settled(bare, rules, 200.0, 64)[1]
    # an emptier marrow, or one whose CD38 is stripped, needs less; without turnover the dose does not matter
    assert settled(bare, rules, 10.0, 6)[1] > 2.0 * settled(bare, rules, 10.0, 64)[1]
    assert settled(bare, rules, 10.0, 64, surface=0.2)[1] > 1.5 * settled(bare, rules, 10.0, 64)[1]
    assert settled(bare, rules, 10.0, 64, {"turnover": 0.0})[1] > 0.5


def test_the_length_of_a_step_matters_little_to_delivery(bare, rules):
    ends = []
    for dt, n in ((6.0, 20), (1.0, 120)):
        marrow = bare(16, 16, antigens=(CD38,))
        marrow.body.clone_count[0] = 64
        marrow.clones.cd38[:] = 130e3
        marrow.drugs.concentration[:] = 100.0
        for _ in range(n):
            binding.prepare(marrow, rules("binding"), Tick(dt, 0, 1))
        ends.append(float(marrow.drugs.occupancy[0]))
    assert ends[0] == pytest.approx(ends[1], rel=0.02)


def test_trogocytosis_strips_within_hours_and_recovers_after_the_antibody(bare, rules):
    marrow = bare(antigens=(CD38,))
    marrow.body.count[CellType.MACROPHAGE] = 12
    p = rules("trogocytosis", {"loss": 0.1 / trogocytosis.crew(marrow), "floor": 0.2})
    gauge = marrow.body.gauge

    def run(hours, occupancy):
        marrow.drugs.occupancy[:] = occupancy
        for _ in range(hours // 6):
            trogocytosis.prepare(marrow, p, NOW)
        return gauge[Gauge.SURFACE_CD38]

    r = trogocytosis.RECOVERY
    exact = solve_ivp(lambda t, s: -0.08 * (s - 0.2) + r * (1.0 - s), (0.0, 48.0), [1.0], rtol=1e-10, atol=1e-12)
    assert run(48, 0.8) == pytest.approx(exact.y[0, -1], rel=1e-7)
    lowest = run(2400, 0.8)
    assert lowest == pytest.approx((0.08 * 0.2 + r) / (0.08 + r), rel=1e-6)
    assert run(96, 0.0) == pytest.approx(1.0 - (1.0 - lowest) * math.exp(-96 * r), rel=1e-9)
    assert run(4800, 0.0) == pytest.approx(1.0, abs=1e-9)


def test_nothing_is_stripped_where_nobody_nibbles(bare, rules):
    """Half of all that a crowd would strip at HALF_CREW macrophages a site, nothing without any (Krejcik 2017)."""
    marrow = bare(100, 100, antigens=(CD38,))
    marrow.body.count[CellType.MACROPHAGE] = round(1e4 * trogocytosis.HALF_CREW)
    assert trogocytosis.crew(marrow) == pytest.approx(0.5)
    marrow.body.count[CellType.MACROPHAGE] = 0
    marrow.drugs.occupancy[:] = 0.8
    trogocytosis.prepare(marrow, rules("trogocytosis", {}), NOW)
    assert marrow.body.gauge[Gauge.SURFACE_CD38] == 1.0
    assert marrow.body.gauge[Gauge.NIBBLED] == 0.0


def test_what_is_nibbled_is_what_the_surface_loses_and_gets_back(bare, rules):
    marrow = bare(antigens=(CD38,))
    marrow.body.count[CellType.MACROPHAGE] = 12
    marrow.drugs.occupancy[:] = 0.8
    p = rules("trogocytosis", {"loss": 0.1 / trogocytosis.crew(marrow), "floor": 0.2})
    trogocytosis.prepare(marrow, p, NOW)
    r = trogocytosis.RECOVERY
    exact = solve_ivp(
        lambda t, y: (-0.08 * (y[0] - 0.2) + r * (1.0 - y[0]), 0.08 * (y[0] - 0.2)), (0.0, 6.0), [1.0, 0.0], rtol=1e-11, atol=1e-13
    )
    assert marrow.body.gauge[Gauge.NIBBLED] == pytest.approx(exact.y[1, -1] / 6.0, rel=1e-7)
    for _ in range(400):
        trogocytosis.prepare(marrow, p, NOW)
    lowest = (0.08 * 0.2 + r) / (0.08 + r)
    assert marrow.body.gauge[Gauge.NIBBLED] == pytest.approx(r * (1.0 - lowest), rel=1e-9)  # as much as turnover brings


def test_fc_receptors_pay_for_what_they_take_up(bare):
    """100 cells of 130 thousand sites, 10 macrophages; a hundredth of the CD38 is stripped an hour, one of three parts by macrophages."""
    marrow = bare(antigens=(CD38,), cd38_spread=0.0)
    body = marrow.body
    body.clone_count[:2], body.count[PLASMA], body.count[CellType.MACROPHAGE] = 50, 100, 10
    body.clone_cd38[1] = 0.5
    p = fc_receptors.Params(receptors=3e5, recovery=0.02, nibbling_share=0.3)
    body.gauge[Gauge.NIBBLED] = 0.01
    fc_receptors.prepare(marrow, p, NOW)
    rate = 0.3 * 0.01 * 50 * 195e3 / 10 / 3e5
    end = 0.02 / (0.02 + rate)
    assert body.gauge[Gauge.FC_RECEPTORS] == pytest.approx(end + (1.0 - end) * math.exp(-6.0 * (0.02 + rate)), rel=1e-12)


def test_fc_receptors_pay_for_the_cells_that_they_take_in(bare):
    """Two cells engulfed in a step of 6 h by 10 macrophages, each for a third of the receptors of one."""
    marrow = bare(antigens=(CD38,))
    body = marrow.body
    body.clone_count[0], body.count[PLASMA], body.count[CellType.MACROPHAGE] = 100, 100, 10
    p = fc_receptors.Params(cell_cost=1 / 3, recovery=0.02)
    body.ledger[PLASMA, Cause.ADCP] = 7  # before anybody counted
    fc_receptors.prepare(marrow, p, NOW)
    assert body.gauge[Gauge.FC_RECEPTORS] == 1.0
    body.ledger[PLASMA, Cause.ADCP] = 9
    fc_receptors.prepare(marrow, p, NOW)
    rate = 2.0 / 6.0 / 3.0 / 10.0
    end = 0.02 / (0.02 + rate)
    low = end + (1.0 - end) * math.exp(-6.0 * (0.02 + rate))
    assert body.gauge[Gauge.FC_RECEPTORS] == pytest.approx(low, rel=1e-12)
    body.ledger[:] = 0  # another regimen begins
    fc_receptors.prepare(marrow, p, NOW)
    assert body.gauge[Gauge.FC_RECEPTORS] == pytest.approx(1.0 - (1.0 - low) * math.exp(-6.0 * 0.02), rel=1e-12)


def test_macrophages_count_by_the_receptors_that_they_have_left(bare, put):
    marrow = bare()
    put(marrow, [17])
    marrow.contacts.phagocyte[17] = 0.8
    marrow.at_risk.site[0] = 17
    for left in (1.0, 0.25):
        marrow.body.gauge[Gauge.FC_RECEPTORS] = left
        contact.meet(marrow, 0)
        assert marrow.at_risk.phagocyte[0] == pytest.approx(0.8 * left, rel=1e-6)


def test_escaped_clones_lower_their_cd38_under_an_antibody_and_put_it_back(bare):
    marrow = bare(antigens=(CD38, SLAMF7))
    marrow.clones.escaped[[4, 6]] = 1
    p = antigen_loss.Params(loss=0.02, floor=0.1, recovery=0.001)
    body = marrow.body

    def run(hours, occupancy):
        marrow.drugs.occupancy[:] = occupancy
        for _ in range(hours // 6):
            body.clone_cd38[:] = 1.0
            antigen_loss.prepare(marrow, p, NOW)
        return body.gauge[Gauge.ESCAPED_CD38]

    # at an occupancy of 0.8 the rate is 0.016 + 0.001 per hour, and what is left in the end (0.0016 + 0.001) / 0.017
    end = 0.0026 / 0.017
    first = run(24, (0.8, 0.0))
    assert first == pytest.approx(end + (1.0 - end) * math.exp(-24 * 0.017), rel=1e-12)
    assert body.clone_cd38.tolist() == [1.0, 1.0, 1.0, 1.0, first, 1.0, first, 1.0]
    assert run(2400, (0.8, 0.0)) == pytest.approx(end, rel=1e-12)
    assert run(60, (0.0, 0.0)) == pytest.approx(1.0 - (1.0 - end) * math.exp(-60 * 0.001), rel=1e-12)
    assert run(30_000, (0.0, 0.9)) == pytest.approx(1.0, abs=1e-9)  # an antibody to SLAMF7 costs no CD38
    assert body.clone_cd38.tolist() == [body.gauge[Gauge.ESCAPED_CD38] if c in (4, 6) else 1.0 for c in range(8)]


def test_escape_adds_up_over_antibodies_on_cd38(bare):
    marrow = bare(antigens=(CD38, CD38))
    marrow.drugs.occupancy[:] = (0.3, 0.5)
    antigen_loss.prepare(marrow, antigen_loss.Params(loss=0.02, floor=0.0, recovery=0.0), NOW)
    assert marrow.body.gauge[Gauge.ESCAPED_CD38] == pytest.approx(math.exp(-6.0 * 0.016), rel=1e-12)


def test_a_loss_without_recovery_lasts(bare):
    marrow = bare(antigens=(CD38,))
    marrow.body.gauge[Gauge.ESCAPED_CD38] = 0.3
    antigen_loss.prepare(marrow, antigen_loss.Params(recovery=0.0), NOW)  # no antibody: nothing pulls either way
    assert marrow.body.gauge[Gauge.ESCAPED_CD38] == 0.3


def test_two_antibodies_strip_more_than_one(bare, rules):
    left = []
    for occupancy in ((0.4, 0.0), (0.4, 0.4)):
        marrow = bare(antigens=(CD38, CD38))
        marrow.body.count[CellType.MACROPHAGE] = 12
        marrow.drugs.occupancy[:] = occupancy
        trogocytosis.prepare(marrow, rules("trogocytosis", {}, {}), NOW)
        left.append(marrow.body.gauge[Gauge.SURFACE_CD38])
    assert left[1] < left[0] < 1.0


def test_blocks_of_the_enzyme_multiply(bare, rules):
    marrow = bare(antigens=(CD38, CD38))
    marrow.drugs.occupancy[:] = (0.5, 0.4)
    ectoenzyme.prepare(marrow, rules("ectoenzyme", {"max_inhibition": 0.6}, {"max_inhibition": 0.5}), NOW)
    assert marrow.body.gauge[Gauge.ENZYME_ACTIVITY] == pytest.approx(0.7 * 0.8)


def test_nk_cells_are_armed_and_then_lose_cd16(bare, rules):
    marrow = bare(antigens=(CD38,))
    marrow.drugs.occupancy[:] = 0.8
    p = rules("nk_activation", {"armed_fold": 2.0, "shedding": 0.02})
    gauge = marrow.body.gauge
    armed = []
    for _ in range(100):
        nk_activation.prepare(marrow, p, NOW)
        armed.append(gauge[Gauge.NK_ARMED])
    r = nk_activation.RECOVERY
    exact = solve_ivp(lambda t, c: -0.016 * c + r * (1.0 - c), (0.0, 600.0), [1.0], t_eval=[6.0, 600.0], rtol=1e-10, atol=1e-12)
    assert armed[0] == pytest.approx(1.0 + 0.8 * exact.y[0, 0], rel=1e-8)
    assert armed[-1] == pytest.approx(1.0 + 0.8 * exact.y[0, 1], rel=1e-7)
    assert armed[0] > armed[-1] > 1.0
    marrow.drugs.occupancy[:] = 0.0
    for _ in range(200):
        nk_activation.prepare(marrow, p, NOW)
    assert gauge[Gauge.NK_ARMED] == 1.0 and gauge[Gauge.CD16] == pytest.approx(1.0, abs=1e-4)


def test_an_antibody_to_slamf7_costs_no_nk_cells(bare, rules, enlist):
    for antigen, lost in ((CD38, True), (SLAMF7, False)):
        marrow = enlist(bare(antigens=(antigen,)), 3, NK, cd38=12e3)
        marrow.drugs.occupancy[:] = 0.8
        nk_activation.hazard(marrow, rules("nk_activation"), NOW)
        assert (marrow.hazard[:3, Cause.FRATRICIDE] > 0.0).all() == lost
        assert marrow.hazard[:3].any() == lost


@pytest.mark.parametrize(("module", "cause", "column"), [(adcc, Cause.ADCC, "nk"), (adcp, Cause.ADCP, "phagocyte")], ids=["adcc", "adcp"])
def test_effector_modes_add_their_hazard_to_plasma_cells_in_contact(bare, rules, enlist, module, cause, column):
    marrow = enlist(bare(antigens=(CD38, SLAMF7), effector_fitness=0.5), 4, cd38=np.array([20e3, 1e5, 4e5, 1e5]))
    getattr(marrow.at_risk, column)[:4] = (1.0, 0.0, 2.0, 0.5)
    marrow.at_risk.kind[3] = T
    marrow.drugs.occupancy[:] = (0.6, 0.2)
    p = rules(module.__name__.rsplit(".", 1)[1], {}, {"half_density": 3e4})
    module.hazard(marrow, p, NOW)
    for row, contact_, cd38 in ((0, 1.0, 20e3), (1, 0.0, 1e5), (2, 2.0, 4e5)):
        alone = [module.rate(contact_, 0.6 * cd38, p.p, 0), module.rate(contact_, 0.2 * 20e3, p.p, 1)]
        assert marrow.hazard[row, cause] == pytest.approx(0.5 * sum(alone), rel=1e-12)
    assert not marrow.hazard[3].any()
    assert marrow.hazard.sum() == marrow.hazard[:, cause].sum()


@pytest.mark.parametrize(
    ("module", "cause", "column", "effector"),
    [(adcc, Cause.ADCC, "nk", Effector.NK), (adcp, Cause.ADCP, "phagocyte", Effector.PHAGOCYTE)],
    ids=["adcc", "adcp"],
)
def test_stressed_cells_are_easier_prey_and_the_ceiling_knows_it(bare, rules, enlist, module, cause, column, effector):
    name = module.__name__.rsplit(".", 1)[1]
    marrow = enlist(bare(antigens=(CD38,), effector_fitness=0.5), 3, clone=np.array([0, 1, 2]), cd38=1e12)
    getattr(marrow.at_risk, column)[:3] = 1.0
    marrow.drugs.occupancy[:] = 0.8
    marrow.body.clone_stress[:3] = (0.0, 0.4, 0.005)
    lysis = module.Params._fields[0]  # the rate at full coating
    p = rules(name, {lysis: 0.02, "stressed_fold": 1.5})
    module.hazard(marrow, p, NOW)
    np.testing.assert_allclose(marrow.hazard[:3, cause], 0.5 * 0.02 * np.array([1.0, 1.2, 1.0025]), rtol=1e-9)
    module.ceiling(marrow, p, NOW)
    assert marrow.body.contact_ceiling[effector] == pytest.approx(0.5 * 0.02 * 1.2, rel=1e-12)
    assert np.count_nonzero(marrow.body.contact_ceiling) == 1


@pytest.mark.parametrize(("module", "effector"), [(adcc, Effector.NK), (adcp, Effector.PHAGOCYTE)], ids=["adcc", "adcp"])
def test_where_stress_protects_the_ceiling_is_that_of_a_calm_cell(bare, rules, module, effector):
    """A fold below 1 is a study's right: the clone without stress then suffers most."""
    marrow = bare(antigens=(CD38,))
    marrow.drugs.occupancy[:] = 0.8
    marrow.body.clone_stress[:] = 1.0
    marrow.body.clone_stress[3] = 0.0
    name, lysis = module.__name__.rsplit(".", 1)[1], module.Params._fields[0]
    module.ceiling(marrow, rules(name, {lysis: 0.02, "stressed_fold": 0.5}), NOW)
    assert marrow.body.contact_ceiling[effector] == pytest.approx(0.02, rel=1e-12)


def test_complement_spares_protected_cells(bare, rules, enlist):
    marrow = enlist(bare(antigens=(CD38,), effector_fitness=0.0), 3, cd38=5e5, complement_inhibitors=np.array([0.0, 1.0, 3.0]))
    marrow.drugs.occupancy[:] = 0.8
    cdc.hazard(marrow, rules("cdc", {"protection": 1.0}), NOW)
    lysis = marrow.hazard[:3, Cause.CDC]
    np.testing.assert_allclose(lysis / lysis[0], [1.0, math.exp(-1.0), math.exp(-3.0)], rtol=1e-12)
    assert marrow.hazard.sum() == lysis.sum() > 0.0


def test_antibodies_to_other_antigens_deplete_release_and_kill_nobody_directly(bare, rules, enlist):
    for antigen, acts in ((SLAMF7, False), (CD38, True)):
        marrow = enlist(bare(antigens=(antigen,)), 2, np.array([PLASMA, CellType.BREG]), cd38=3e5, adherence=1.0)
        marrow.drugs.occupancy[:] = 0.8
        direct_killing.hazard(marrow, rules("direct_killing"), NOW)
        depletion.hazard(marrow, rules("depletion"), NOW)
        niche_release.hazard(marrow, rules("niche_release"), NOW)
        assert (marrow.hazard[0, Cause.DIRECT] > 0.0) == acts
        assert (marrow.hazard[1, Cause.DEPLETION] > 0.0) == acts
        assert (marrow.at_risk.adherence[0] < 1.0) == acts
        assert marrow.hazard[0, Cause.DEPLETION] == marrow.hazard[1, Cause.DIRECT] == 0.0


def test_depletion_goes_by_cd38_and_exempts_nobody_but_nk_cells(bare, rules, enlist):
    kinds = np.arange(T, STROMA)
    traits = bare().traits
    marrow = enlist(bare(antigens=(CD38,)), kinds.size, kinds, cd38=traits.cd38[kinds])
    marrow.drugs.occupancy[:] = 0.8
    p = rules("depletion")
    depletion.hazard(marrow, p, NOW)
    found = dict(zip(kinds, marrow.hazard[: kinds.size, Cause.DEPLETION], strict=True))
    assert found[NK] == 0.0
    for kind in set(kinds) - {NK}:
        assert found[kind] == pytest.approx(depletion.rate(0.8 * traits.cd38[kind], p.p, 0), rel=1e-12) and found[kind] > 0.0
    assert found[CellType.BREG] > found[CellType.TREG] > found[T] > found[CellType.MACROPHAGE]


# ---- niche -----------------------------------------------------------------------------------------------------------


def test_cells_that_touch_stroma_are_held(bare, enlist):
    marrow = enlist(bare(), 3, np.array([PLASMA, PLASMA, T]))
    stroma = np.zeros(256, bool)
    stroma[100] = True
    mark_niche(marrow.lattice, stroma)
    marrow.at_risk.site[:3] = (101, 150, 99)
    adhesion.hazard(marrow, adhesion.Params(), NOW)
    assert marrow.at_risk.adherence[:3].tolist() == [1.0, 0.0, 0.0]


def test_antibody_loosens_the_hold_on_cells_rich_in_cd38(bare, rules, enlist):
    marrow = enlist(bare(antigens=(CD38,)), 3, adherence=np.array([1.0, 1.0, 0.0]), cd38=np.array([1e5, 1e4, 1e5]))
    marrow.drugs.occupancy[:] = 0.8
    niche_release.hazard(marrow, rules("niche_release", {"max_release": 0.5, "half_density": 1e5, "steepness": 2.0}), NOW)
    np.testing.assert_allclose(marrow.at_risk.adherence[:3], [0.8, 1.0 - 0.4 / 101.0, 0.0], rtol=1e-12)


def test_antibodies_on_cd38_block_crawl_together(bare, rules):
    marrow = bare(antigens=(CD38, CD38, SLAMF7))
    marrow.drugs.occupancy[:] = (0.5, 0.4, 0.9)
    niche_release.prepare(marrow, rules("niche_release", {"max_slowing": 0.4}, {"max_slowing": 0.5}, {"max_slowing": 0.9}), NOW)
    assert marrow.body.gauge[Gauge.CRAWL_BLOCK] == pytest.approx(1.0 - 0.8 * 0.8, rel=1e-12)
    marrow.drugs.occupancy[:2] = 0.0
    niche_release.prepare(marrow, rules("niche_release", {}, {}, {}), NOW)
    assert marrow.body.gauge[Gauge.CRAWL_BLOCK] == 0.0


def test_the_niche_protects_from_small_molecules_and_not_from_antibodies(bare, rules, enlist):
    marrow = enlist(bare(antigens=(CD38, NONE)), 2, adherence=np.array([0.0, 1.0]), cd38=5e5, nk=1.0, phagocyte=1.0)
    marrow.drugs.occupancy[:] = (0.8, 0.0)
    marrow.drugs.effect[:] = (0.0, 0.9)
    for module in (adcc, adcp, cdc, direct_killing):
        module.hazard(marrow, rules(module.__name__.rsplit(".", 1)[1]), NOW)
    for module, fold in ((imid, 1.25), (proteasome, 2.0), (glucocorticoid, 4.0)):
        p = rules(module.__name__.rsplit(".", 1)[1], {"adhesion_fold": fold})
        module.hazard(marrow, p._replace(drug=np.array([1])), NOW)
    free, adherent = marrow.hazard[:2]
    for cause in (Cause.ADCC, Cause.ADCP, Cause.CDC, Cause.DIRECT):
        assert free[cause] == adherent[cause] > 0.0
    for cause, fold in ((Cause.IMID, 1.25), (Cause.PROTEASOME, 2.0), (Cause.GLUCOCORTICOID, 4.0)):
        assert free[cause] / adherent[cause] == pytest.approx(fold, rel=1e-12)


# ---- small molecules -------------------------------------------------------------------------------------------------


def test_an_imid_changes_the_host(bare, rules):
    marrow = bare(antigens=(NONE,))
    marrow.drugs.effect[:] = 0.5
    gauge = marrow.body.gauge
    marrow.clones.imid_response[:3] = (1.0, 0.01, 0.4)
    marrow.body.clone_cd38[2] = 0.5  # what another mechanism makes of it
    p = {"supply_fold": 1.8, "stimulation_fold": 1.6, "revival": 0.4, "il6_inhibition": 0.6, "cd38_fold": 1.5, "cd38_lag": 36.0}
    imid.prepare(marrow, rules("imid", p), NOW)
    assert gauge[Gauge.NK_SUPPLY] == gauge[Gauge.T_SUPPLY] == pytest.approx(1.4)
    assert gauge[Gauge.STIMULATION] == pytest.approx(1.3)
    assert gauge[Gauge.REVIVAL] == pytest.approx(0.2)
    assert gauge[Gauge.IL6_OUTPUT] == pytest.approx(0.7)
    rise = 0.25 * (1.0 - math.exp(-6.0 / 36.0))
    assert gauge[Gauge.CD38_INDUCTION] == pytest.approx(1.0 + rise, rel=1e-12)
    expected = [1.0 + rise, 1.0 + 0.01 * rise, 0.5 * (1.0 + 0.4 * rise)]  # as far as the clone has cereblon
    np.testing.assert_allclose(marrow.body.clone_cd38[:3], expected, rtol=1e-12)


def test_under_a_regimen_without_an_imid_nothing_of_its_cd38_is_left(bare, rules):
    marrow = bare(antigens=(CD38,))
    marrow.body.gauge[Gauge.CD38_INDUCTION] = 1.4  # of the regimen before
    nobody = by_drug(imid.IMID, [])
    imid.prepare(marrow, nobody, NOW)
    assert marrow.body.gauge[Gauge.CD38_INDUCTION] == 1.0
    assert (marrow.body.clone_cd38 == 1.0).all()


def test_proteasome_inhibitors_stress_a_clone_as_far_as_it_responds(bare, rules):
    marrow = bare(antigens=(NONE, NONE))
    marrow.clones.proteasome_response[:3] = (1.0, 0.01, 0.4)
    marrow.drugs.effect[:] = (0.5, 1.0)
    shape = {"half_inhibition": 0.5, "steepness": 3.0}
    proteasome.prepare(marrow, rules("proteasome", shape), NOW)
    np.testing.assert_allclose(marrow.body.clone_stress[:3], [0.5, 0.005, 0.2], rtol=1e-12)
    proteasome.prepare(marrow, rules("proteasome", shape, shape), NOW)  # the second one stresses 8 of 9 of the calm
    expected = [1.0 - (1.0 - 0.5 * r) * (1.0 - 8.0 / 9.0 * r) for r in (1.0, 0.01, 0.4)]
    np.testing.assert_allclose(marrow.body.clone_stress[:3], expected, rtol=1e-12)


def test_a_glucocorticoid_takes_back_what_an_imid_gives_to_effectors(bare, rules):
    marrow = bare(antigens=(NONE,))
    gauge = marrow.body.gauge
    marrow.drugs.effect[:] = 0.5
    glucocorticoid.prepare(marrow, rules("glucocorticoid", {"lytic_loss": 0.44}), NOW)
    assert gauge[Gauge.STIMULATION] == pytest.approx(0.78)
    imid.prepare(marrow, rules("imid", {"stimulation_fold": 1.6}), NOW)
    assert gauge[Gauge.STIMULATION] == pytest.approx(1.3 * 0.78)


def test_sensitivity_belongs_to_the_clone(bare, rules, enlist):
    marrow = enlist(bare(antigens=(NONE,)), 3, clone=np.array([0, 1, 2]))
    marrow.drugs.effect[:] = 0.8
    marrow.clones.imid_sensitivity[:3] = (1.0, 0.05, 1.0)
    marrow.clones.proteasome_sensitivity[:3] = (1.0, 1.0, 0.1)
    marrow.clones.glucocorticoid_sensitivity[:3] = (1.0, 0.5, 2.0)
    for name, module in (("imid", imid), ("proteasome", proteasome), ("glucocorticoid", glucocorticoid)):
        module.hazard(marrow, rules(name), NOW)
    np.testing.assert_allclose(marrow.hazard[:3, Cause.IMID] / marrow.hazard[0, Cause.IMID], [1.0, 0.05, 1.0])
    np.testing.assert_allclose(marrow.hazard[:3, Cause.PROTEASOME] / marrow.hazard[0, Cause.PROTEASOME], [1.0, 1.0, 0.1])
    np.testing.assert_allclose(marrow.hazard[:3, Cause.GLUCOCORTICOID] / marrow.hazard[0, Cause.GLUCOCORTICOID], [1.0, 0.5, 2.0])


@pytest.mark.parametrize(
    ("name", "module", "bit", "cause"), [("imid", imid, 1, Cause.IMID), ("proteasome", proteasome, 2, Cause.PROTEASOME)]
)
def test_a_drug_may_reach_beyond_the_resistance_to_its_class(bare, rules, enlist, name, module, bit, cause):
    """A clone with a hundredth of the sensitivity suffers a fifth, where the drug reaches that far; one with more keeps what it has."""
    marrow = enlist(bare(antigens=(NONE, NONE)), 3, clone=np.array([0, bit, bit | 4]))
    marrow.drugs.effect[:] = 0.8
    sensitivity = getattr(marrow.clones, f"{name}_sensitivity")
    sensitivity[:] = 3.0
    sensitivity[[bit, bit | 4]] = (0.03, 1.5)
    module.hazard(marrow, rules(name, {"kept_in_resistant": 0.2}), NOW)
    np.testing.assert_allclose(marrow.hazard[:3, cause] / marrow.hazard[0, cause], [1.0, 0.2, 0.5], rtol=1e-12)
    marrow.hazard[:] = 0.0
    module.hazard(marrow, rules(name, {}), NOW)
    np.testing.assert_allclose(marrow.hazard[:3, cause] / marrow.hazard[0, cause], [1.0, 0.01, 0.5], rtol=1e-12)


def test_dexamethasone_thins_lymphocytes_alone(bare, rules, enlist):
    kinds = np.arange(T, STROMA)
    marrow = enlist(bare(antigens=(NONE,)), kinds.size, kinds)
    marrow.drugs.effect[:] = 0.5
    glucocorticoid.hazard(marrow, rules("glucocorticoid", {"lympholysis": 4e-4}), NOW)
    lymphocytes = (T, NK, CellType.TREG, CellType.BREG)
    expected = [2e-4 if kind in lymphocytes else 0.0 for kind in kinds]
    np.testing.assert_allclose(marrow.hazard[: kinds.size, Cause.GLUCOCORTICOID], expected)


# ---- effectors -------------------------------------------------------------------------------------------------------


def test_activity_follows_the_tumour_load(bare, put):
    marrow = bare(exhaustion=4.0)
    put(marrow, np.arange(64))
    put(marrow, 100, T, activity=1.0)
    put(marrow, 101, NK, activity=1.0)
    roster.index_cells(marrow)
    p = exhaustion.Params(pace=0.01, nk_share=0.5)
    exhaustion.prepare(marrow, p, NOW)
    kept = math.exp(-0.06)
    assert marrow.cells.activity[100] == pytest.approx(0.5 + 0.5 * kept, rel=1e-6)  # load 1/4, exhaustion 4
    assert marrow.cells.activity[101] == pytest.approx(2 / 3 + kept / 3, rel=1e-6)
    marrow.body.gauge[Gauge.REVIVAL] = 1.0
    for _ in range(500):
        exhaustion.prepare(marrow, p, NOW)
    np.testing.assert_allclose(marrow.cells.activity[[100, 101]], 1.0, rtol=1e-5)


def test_granzyme_follows_what_the_neighbourhood_allows(bare, put):
    marrow = bare()
    put(marrow, 100, T, activity=0.8, granzyme=0.2)
    put(marrow, 50, NK, activity=1.0, granzyme=1.0)
    marrow.fields.adenosine[100] = 1.0
    marrow.contacts.suppressor[101] = 1.25 / (1.0 - math.exp(-NOW.dt / contact.LINGER_H))  # 1.25 in the mean over half a day
    marrow.body.gauge[Gauge.STIMULATION] = 4.0
    roster.index_cells(marrow)
    p = suppression.Params(max_adenosine=0.7, neighbour_strength=0.8, refill=0.05)
    suppression.prepare(marrow, p, NOW)
    target, kept = 0.8 * 0.65 / 2.0 * 4.0, math.exp(-0.3)
    assert marrow.cells.granzyme[100] == pytest.approx(target + (0.2 - target) * kept, rel=1e-6)
    assert marrow.cells.granzyme[50] == pytest.approx(1.5 - 0.5 * kept, rel=1e-6)  # no more than the most


def test_reactive_t_cells_kill_what_they_touch(bare, enlist):
    marrow = enlist(bare(), 2, np.array([PLASMA, PLASMA]), t_cell=np.array([1.5, 0.0]))
    t_cell_killing.hazard(marrow, t_cell_killing.Params(lysis_rate=0.004), NOW)
    np.testing.assert_allclose(marrow.hazard[:2, Cause.T_CELL], [0.006, 0.0])


def test_reactive_t_cells_expand_by_antigen_and_their_share_of_cytokines(bare, put, enlist):
    """Three plasma cells of a hundred sites, wherever they are; T cells are twice as many as the blood keeps, with an IMiD."""
    marrow = bare(10, 10)
    put(marrow, [0, 1, 2], PLASMA)
    put(marrow, np.arange(50, 60), T, granzyme=0.5)
    roster.index_cells(marrow)
    enlist(marrow, 3, T, clone=np.array([0, N_REACTIVE - 1, N_REACTIVE]), site=55)
    marrow.body.gauge[Gauge.T_SUPPLY], marrow.body.target[T] = 1.5, 5.0
    p = t_cell_recovery.Params(expansion=0.01, steepness=2.0, half_antigen=0.01)
    t_cell_recovery.hazard(marrow, p, NOW)
    np.testing.assert_allclose(marrow.hazard[:3, Cause.DIVISION], [0.01 * 0.25 * 0.75 * 0.75] * 2 + [0.0], rtol=1e-12)
    t_cell_recovery.ceiling(marrow, p, NOW)
    assert marrow.body.ceiling[T] == pytest.approx(0.01 * 2.25 * 0.75 * 0.75, rel=1e-12)  # granzyme 1.5 at most
    assert np.count_nonzero(marrow.body.ceiling) == 1


def test_without_tumour_or_t_cells_nobody_expands(bare, put, enlist):
    marrow = bare(10, 10)
    marrow.body.target[T] = 5.0
    roster.index_cells(marrow)
    enlist(marrow, 1, T, clone=0, site=55)
    marrow.cells.granzyme[55] = 1.0
    t_cell_recovery.hazard(marrow, t_cell_recovery.Params(), NOW)
    assert not marrow.hazard.any()
    put(marrow, [0], PLASMA)
    roster.index_cells(marrow)
    load, share = t_cell_recovery.stimulus(marrow)
    assert (load, share) == (0.01, 5.0)  # no T cell counts as one


def test_growth_and_background_death(bare, enlist):
    marrow = enlist(bare(), 2, clone=np.array([0, 3]))
    marrow.clones.division[[0, 3]] = (1e-3, 2e-3)
    marrow.fields.il6[:2] = (1.0, 3.0)
    growth.hazard(marrow, growth.Params(apoptosis=3e-4, il6_dependence=0.4, il6_residual=1.0), NOW)
    np.testing.assert_allclose(marrow.hazard[:2, Cause.DIVISION], [1e-3, 2e-3 * (0.6 + 0.4 * 1.5)], rtol=1e-6)
    np.testing.assert_allclose(marrow.hazard[:2, Cause.TURNOVER], 3e-4)


def test_what_resists_a_drug_depends_on_interleukin_6_less(bare, enlist):
    """Clones 1 and 2 resist an IMiD and a proteasome inhibitor, 4 has only escaped the antibody; no interleukin-6 at all."""
    marrow = enlist(bare(), 5, clone=np.array([0, 1, 2, 4, 7]))
    marrow.clones.division[:] = 1e-3
    marrow.fields.il6[:5] = 0.0
    growth.hazard(marrow, growth.Params(il6_dependence=0.2, il6_residual=0.25), NOW)
    np.testing.assert_allclose(marrow.hazard[:5, Cause.DIVISION], [0.8e-3, 0.95e-3, 0.95e-3, 0.8e-3, 0.95e-3], rtol=1e-12)


def test_turnover_takes_immune_cells_at_the_rate_of_their_kind(bare, enlist):
    kinds = np.arange(PLASMA, STROMA)
    marrow = enlist(bare(nk_renewal=0.004), kinds.size, kinds)
    turnover.hazard(marrow, turnover.Params(), NOW)
    expected = [0.0, *(0.004 if k == NK else marrow.traits.renewal[k] for k in kinds[1:])]
    np.testing.assert_allclose(marrow.hazard[: kinds.size, Cause.TURNOVER], expected)


# ---- fields ----------------------------------------------------------------------------------------------------------


def test_sources_of_adenosine(bare, put):
    marrow = bare(adenosine_cd38=100.0, adenosine_other=10.0)
    put(marrow, 0, PLASMA, cd38=260e3)
    put(marrow, 1, CellType.TREG, cd38=13e3)
    gauge = marrow.body.gauge
    gauge[Gauge.SURFACE_CD38], gauge[Gauge.ENZYME_ACTIVITY] = 0.5, 0.4
    marrow.body.clone_cd38[0] = 1.5
    roster.index_cells(marrow)
    adenosine.lay_out(marrow, adenosine.Params())
    assert marrow.fields.source[0] == pytest.approx(100.0 * 2.0 * 0.5 * 1.5 * 0.4 + 10.0, rel=1e-6)
    other = 10.0 * marrow.traits.adenosine_other[CellType.TREG]
    assert marrow.fields.source[1] == pytest.approx(100.0 * 0.1 * 0.5 * 0.4 + other, rel=1e-6)
    assert marrow.fields.source[2] == 0.0
    np.testing.assert_array_equal(marrow.fields.uptake[:3], np.float32([480.0, 480.0, 180.0]))


def test_sources_of_cytokines(bare, put):
    marrow = bare(il6_source=50.0, chemokine_source=20.0)
    put(marrow, 0, PLASMA)
    put(marrow, 1, STROMA)
    marrow.body.gauge[Gauge.IL6_OUTPUT] = 0.5
    roster.index_cells(marrow)
    interleukin6.lay_out(marrow, interleukin6.Params())
    np.testing.assert_allclose(marrow.fields.source[:3], 25.0 * marrow.traits.il6[[PLASMA, STROMA, 0]], rtol=1e-6)
    chemokine.lay_out(marrow, chemokine.Params())
    np.testing.assert_allclose(marrow.fields.source[:3], 20.0 * marrow.traits.chemokine[[PLASMA, STROMA, 0]], rtol=1e-6)


@pytest.mark.parametrize("module", [adenosine, interleukin6, chemokine])
def test_fields_are_solved_when_they_are_due_and_made_equals_cleared(bare, put, module):
    marrow = bare()
    put(marrow, np.arange(0, 256, 7), CellType.MACROPHAGE)
    roster.index_cells(marrow)
    field = {adenosine: "adenosine", interleukin6: "il6", chemokine: "chemokine"}[module]
    marrow.body.gauge[Gauge.FIELD_AGE] = 6.0
    module.prepare(marrow, module.Params(), NOW)
    assert not getattr(marrow.fields, field).any()
    marrow.body.gauge[Gauge.FIELD_AGE] = 0.0
    module.prepare(marrow, module.Params(), NOW)
    values = getattr(marrow.fields, field).astype(float)
    assert (values > 0.0).all()
    assert (values * marrow.fields.uptake).sum() == pytest.approx(marrow.fields.source.sum(dtype=float), rel=1e-5)


# ---- motion and arrival ----------------------------------------------------------------------------------------------


def crowd(marrow, put, seed=4):
    """All kinds mixed on half of the sites."""
    random = np.random.default_rng(seed)
    sites = random.permutation(256)[:128]
    put(marrow, sites, random.integers(PLASMA, N_TYPES, 128), granzyme=0.5, clone=random.integers(0, 8, 128))
    roster.index_cells(marrow)
    contact.clear(marrow, NOW)
    return marrow


def test_motion_loses_nobody_and_changes_nobody(bare, put):
    marrow = crowd(bare(), put)
    before = sorted(zip(*(column.tolist() for column in marrow.cells), strict=True))
    fixed = np.flatnonzero(marrow.cells.kind == STROMA)
    motility.prepare(marrow, motility.Params(), NOW)
    after = sorted(row for row in zip(*(column.tolist() for column in marrow.cells), strict=True) if row[0])
    assert after == sorted(row for row in before if row[0])
    np.testing.assert_array_equal(np.flatnonzero(marrow.cells.kind == STROMA), fixed)
    for kind in range(PLASMA, N_TYPES):  # the roster follows
        listed = marrow.roster.site[marrow.roster.start[kind] : marrow.roster.start[kind + 1]]
        assert (marrow.cells.kind[listed] == kind).all()


@pytest.mark.parametrize("moves", [True, False])
def test_contact_adds_up_to_the_potency_of_the_cells(bare, put, moves):
    marrow = crowd(bare(), put)
    kinds, cells = marrow.cells.kind, marrow.cells
    expected = {
        "nk": cells.granzyme[kinds == NK].sum(),
        "t_cell": cells.granzyme[(kinds == T) & (cells.clone < N_REACTIVE)].sum(),
        "phagocyte": (kinds == CellType.MACROPHAGE).sum(),
        "suppressor": marrow.traits.suppression[kinds].sum(),
    }
    if moves:
        motility.prepare(marrow, motility.Params(), NOW)
    else:
        contact.stand(marrow)
    for name, value in expected.items():
        assert value > 0.0
        assert getattr(marrow.contacts, name).sum() == pytest.approx(value, rel=1e-5)


def test_the_niche_holds_plasma_cells_where_they_are(bare, put):
    marrow = bare()
    marrow.lattice.niche[:128] = 1
    put(marrow, np.arange(0, 256, 3))
    roster.index_cells(marrow)
    before = set(np.flatnonzero(marrow.cells.kind))
    for step in range(40):
        roster.index_cells(marrow)
        motility.crawl(marrow, motility.Params(), Tick(24.0, step, 2))
    after = set(np.flatnonzero(marrow.cells.kind))
    assert {s for s in before if s < 128} <= after
    assert {s for s in before if s >= 128} - after


FAR_APART = np.array([32 * y + x for y in range(0, 32, 4) for x in range(0, 32, 4)])  # none ever stands in the way of another


def crept(bare, put, block, cd38, surface=1.0, steps=30):
    """Who crawls where in steps of six hours: {(step, uid): site}, out of 64 plasma cells that start anew each time."""
    found = {}
    for step in range(steps):
        marrow = bare(32, 32)
        put(marrow, FAR_APART, cd38=cd38)
        marrow.body.gauge[Gauge.CRAWL_BLOCK], marrow.body.gauge[Gauge.SURFACE_CD38] = block, surface
        roster.index_cells(marrow)
        motility.crawl(marrow, motility.Params(crawl_density=100e3, crawl_steepness=2.0), Tick(6.0, step, 2))
        for site in np.flatnonzero(marrow.cells.kind):
            if marrow.cells.uid[site] != site + 1:
                found[step, int(marrow.cells.uid[site])] = int(site)
    return found


def test_a_block_slows_cells_rich_in_cd38_by_the_same_dice(bare, put):
    free = crept(bare, put, 0.0, 300e3)
    assert len(free) > 100
    slowed = crept(bare, put, 0.6, 300e3)
    assert slowed.items() < free.items()  # whoever still moves goes where it would have gone
    expected = 1.0 - 0.6 * 0.9  # half of the block at 100 thousand sites, nine tenths at 300 thousand
    assert stats.binomtest(len(slowed), len(free), expected).pvalue > 1e-4
    assert crept(bare, put, 1.0, 1e12) == {}


def test_a_block_leaves_cells_poor_in_cd38_alone_and_knows_what_is_on_the_surface(bare, put):
    free = crept(bare, put, 0.0, 300e3)
    assert crept(bare, put, 0.6, 10.0) == free
    stripped = crept(bare, put, 0.6, 300e3, surface=1.0 / 3.0)
    assert stripped == crept(bare, put, 0.6, 100e3)
    assert set(crept(bare, put, 0.6, 300e3)) < set(stripped) < set(free)


def test_t_cells_go_where_there_is_chemokine_and_macrophages_do_not(bare, put):
    found = {}
    for kind in (T, CellType.MACROPHAGE):
        for taste in (0.0, 1.0):
            marrow = bare(32, 32)
            marrow.fields.chemokine[:] = 1.0 + np.cos(2.0 * np.pi * (np.arange(1024) % 32) / 32.0)
            put(marrow, np.arange(0, 1024, 4), kind)
            for step in range(8):
                roster.index_cells(marrow)
                first, end = marrow.roster.start[kind : kind + 2]
                motility.walk(marrow, int(kind), first, end, motility.Params(chemotaxis=taste), Tick(6.0, step, 9))
            found[kind, taste] = marrow.fields.chemokine[marrow.cells.kind == kind].mean()
    assert found[T, 1.0] > found[T, 0.0] + 0.2
    assert found[CellType.MACROPHAGE, 1.0] == found[CellType.MACROPHAGE, 0.0]


def paths(bare, put, clone, taste, steps):
    """Displacements of lone T cells of a clonotype along both axes in a step [sites], the second one towards chemokine."""
    ways, placed = [], bare(128, 128)
    placed.fields.chemokine[:] = 1.0 + np.arange(128 * 128) % 128
    start = np.arange(32, 128, 32)[:, None] * 128 + np.arange(40, 90, 12)[None, :]
    put(placed, start.ravel(), T, clone=clone, granzyme=1.0)
    homes = {int(uid): int(site) for site, uid in zip(start.ravel(), placed.cells.uid[start.ravel()], strict=True)}
    roster.index_cells(placed)
    for step in range(steps):
        marrow = copy_marrow(placed)
        motility.walk(marrow, int(T), *marrow.roster.start[T : T + 2], motility.Params(chemotaxis=taste), Tick(6.0, step, 9))
        for site in np.flatnonzero(marrow.cells.kind == T):
            home = homes[int(marrow.cells.uid[site])]
            ways.append(((site // 128 - home // 128 + 64) % 128 - 64, site % 128 - home % 128))
    return np.array(ways, float)


def test_t_cells_that_touch_nobody_to_any_effect_go_as_far_as_the_others(bare, put):
    at_work, idle = (paths(bare, put, clone, 0.0, 120) for clone in (0, N_REACTIVE))
    diffusivity = bare(16, 16).traits.motility[T]
    for ways in (at_work, idle):
        assert np.mean(ways**2) == pytest.approx(2.0 * diffusivity * 6.0, rel=0.1)
    assert np.unique(np.abs(idle)).max() < np.unique(np.abs(at_work)).max()  # in one displacement, which ends with its square


def test_t_cells_that_touch_nobody_drift_as_fast_as_the_others(bare, put):
    at_work, idle = (paths(bare, put, clone, 0.29, 250)[:, 1] for clone in (0, N_REACTIVE))
    error = math.hypot(at_work.std(), idle.std()) / math.sqrt(len(idle))
    assert at_work.mean() > 5.0 * error
    assert abs(at_work.mean() - idle.mean()) < 3.0 * error


def test_arrivals_make_good_what_turnover_takes(bare):
    totals = np.zeros(N_TYPES)
    for step in range(300):
        marrow = bare(nk_renewal=0.003)
        marrow.body.target[T:STROMA] = 20.0
        marrow.body.target[PLASMA] = marrow.body.count[PLASMA] = 50
        recruitment.prepare(marrow, recruitment.Params(tumour_drive=0.4), Tick(6.0, step, 6))
        arrived = np.bincount(marrow.cells.kind, minlength=N_TYPES)
        np.testing.assert_array_equal(marrow.body.births[1:], arrived[1:])
        totals += arrived
    for kind in range(T, STROMA):
        mean = 300 * 6.0 * 20.0 * (0.003 if kind == NK else marrow.traits.renewal[kind])
        assert abs(totals[kind] - mean) < 4.0 * math.sqrt(mean)
    assert totals[PLASMA] == totals[STROMA] == 0


def test_supply_follows_the_imid_and_the_tumour(bare):
    marrow = bare()
    p = recruitment.Params(tumour_drive=0.4)
    marrow.body.gauge[Gauge.T_SUPPLY], marrow.body.gauge[Gauge.NK_SUPPLY] = 1.7, 1.3
    marrow.body.target[PLASMA], marrow.body.count[PLASMA] = 100.0, 25
    expected = {T: 1.7, NK: 1.3, CellType.TREG: 0.7, CellType.BREG: 0.7, CellType.MDSC: 0.7, CellType.MACROPHAGE: 1.0}
    for kind, value in expected.items():
        assert recruitment.supply(marrow, int(kind), p) == pytest.approx(value)
    marrow.body.count[PLASMA] = 1000
    assert recruitment.supply(marrow, int(CellType.MDSC), p) == pytest.approx(1.4)  # twice the usual load at most


def test_who_arrives_is_fresh_and_knows_any_clonotype(bare, put):
    marrow = bare()
    marrow.body.target[[T, NK]] = 400.0
    for step in range(20):
        recruitment.prepare(marrow, recruitment.Params(), Tick(6.0, step, 6))
    cells = marrow.cells
    came = cells.kind > 0
    assert set(cells.kind[came]) == {T, NK}
    assert (cells.activity[came] == 1.0).all() and (cells.granzyme[came] == 0.5).all()
    assert np.unique(cells.uid[came]).size == came.sum()
    assert not cells.clone[cells.kind == NK].any()
    clonotypes = cells.clone[cells.kind == T]
    assert clonotypes.max() < N_CLONOTYPES and np.unique(clonotypes).size > 0.5 * min(clonotypes.size, N_CLONOTYPES)


def test_nobody_arrives_in_a_packed_marrow(bare, put):
    marrow = bare()
    put(marrow, np.arange(256), STROMA)
    marrow.body.target[T:STROMA] = 400.0
    recruitment.prepare(marrow, recruitment.Params(), NOW)
    assert not marrow.body.births.any() and (marrow.cells.kind == STROMA).all()
