"""One patient's marrow: reruns, forks, chunks, twins, conservation, and growth as the patient's disease grows."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.jit import COMPILED
from tme_abm.marrow.cells import N_CAUSES, N_TYPES, CellType
from tme_abm.marrow.clones import CLONE_NAMES, N_CLONES, N_CLONOTYPES, N_REACTIVE
from tme_abm.marrow.seeding import CELLULARITY, NUCLEATED_CELLS
from tme_abm.marrow.serum import HALF_LIFE_DAYS
from tme_abm.marrow.state import Gauge
from tme_abm.mechanisms import MECHANISMS, t_cell_recovery
from tme_abm.patients.presets import preset
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation.observation import clonality, observe
from tme_abm.simulation.settings import RISE, START, Settings
from tme_abm.simulation.simulation import UNTREATED, Simulation, make_patient_key

ROOT = Path(__file__).parents[2]
PLASMA, STROMA = CellType.PLASMA, CellType.STROMA
ISA_PD = Regimen(
    "isa-pd",
    "Isa-Pd",
    28,
    (
        Dose("isatuximab", 10.0, "mg/kg", (1, 8, 15, 22), 1, 1),
        Dose("isatuximab", 10.0, "mg/kg", (1, 15), 2),
        Dose("pomalidomide", 4.0, "mg", tuple(range(1, 22))),
        Dose("dexamethasone", 40.0, "mg", (1, 8, 15, 22), elderly_amount=20.0),
    ),
)
PD = Regimen("pd", "Pd", 28, ISA_PD.doses[2:])
VD = Regimen("vd", "Vd", 21, (Dose("bortezomib", 1.3, "mg/m2", (1, 4, 8, 11)), Dose("dexamethasone", 20.0, "mg", (1, 2))))
REGIMENS = (UNTREATED, PD, ISA_PD, VD)


@pytest.fixture(scope="module")
def drugs():
    return {name: load_drug(name) for regimen in REGIMENS for name in regimen.drugs}


@pytest.fixture(scope="module")
def patient():
    return preset("typical")


@pytest.fixture(scope="module")
def start(patient):
    """The patient's marrow, a week old."""
    simulation = Simulation(patient, Settings(24, 24), make_patient_key(3, 0))
    simulation.advance(28)
    return simulation


# ---- the same again --------------------------------------------------------------------------------------------------


def test_a_rerun_is_identical(patient, drugs):
    hashes = []
    for _ in range(2):
        arm = Simulation(patient, Settings(16, 16), 5).fork(ISA_PD, drugs)
        arm.advance(60)
        hashes.append((arm.state_hash(), arm.observe()))
    assert hashes[0] == hashes[1]


def test_replicates_differ(patient):
    """By seed and by patient, from the first cell on and ever after."""
    keys = [make_patient_key(seed, index) for seed in (1, 2) for index in (0, 1)]
    found = []
    for key in keys:
        simulation = Simulation(patient, Settings(16, 16), key)
        founded = simulation.state_hash()
        simulation.advance(20)
        found += [founded, simulation.state_hash()]
    assert len(set(found)) == 8


@pytest.mark.parametrize("regimen", REGIMENS, ids=lambda regimen: regimen.key)
def test_how_time_is_cut_does_not_matter(start, drugs, regimen):
    whole, steps, uneven = (start.fork(regimen, drugs) for _ in range(3))
    exposure = whole.advance(40)
    singly = [steps.advance(1) for _ in range(40)]
    for n in (7, 1, 0, 20, 12):
        uneven.advance(n)
    assert whole.state_hash() == steps.state_hash() == uneven.state_hash()
    np.testing.assert_array_equal(exposure.concentration, np.vstack([e.concentration for e in singly]))
    assert whole.day == steps.day == uneven.day == 10.0
    for a, b in zip(whole.marrow.body, uneven.marrow.body, strict=True):
        np.testing.assert_array_equal(a, b)


def test_steps_of_other_lengths_cover_the_same_time(patient):
    for step_h in (1.0, 2.0, 6.0, 24.0):
        simulation = Simulation(patient, Settings(16, 16, step_h), 5)
        simulation.advance(round(48.0 / step_h))
        assert (simulation.hour, simulation.day) == (48.0, 2.0)


# ---- forks -----------------------------------------------------------------------------------------------------------


def arrays(bundle):
    """All arrays of a bundle of bundles."""
    if isinstance(bundle, np.ndarray):
        return [bundle]
    return [a for part in bundle for a in arrays(part)] if isinstance(bundle, tuple) else []


def test_a_fork_leaves_its_parent_alone(start, drugs):
    before = [a.copy() for a in arrays(start.marrow)]
    step = start.step
    arm = start.fork(ISA_PD, drugs)
    arm.advance(60)
    assert start.step == step and start.regimen is UNTREATED
    for now, then in zip(arrays(start.marrow), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_fork_shares_no_memory_that_changes(start, drugs):
    arm = start.fork(ISA_PD, drugs)
    hers = arrays(start.marrow)
    for mine in arrays(arm.marrow):
        assert not any(np.may_share_memory(mine, other) for other in hers)


@pytest.mark.parametrize("make", [lambda start, drugs: start.fork(ISA_PD, drugs), lambda start, drugs: start.copy()], ids=["fork", "copy"])
def test_contacts_and_events_live_in_the_memory_of_its_own_solver(start, drugs, make):
    for simulation in (start, make(start, drugs)):
        contacts, events, sheets = simulation.marrow.contacts, simulation.marrow.events, simulation.marrow.grid.finest
        lent = (contacts.nk, sheets.field), (contacts.t_cell, sheets.spare), (contacts.phagocyte, sheets.source)
        for column, sheet in (*lent, (events.site, sheets.diagonal), (events.event, sheets.inverse)):
            assert np.shares_memory(column, sheet)
        assert not any(np.may_share_memory(contacts.suppressor, sheet) for sheet in arrays(sheets))


def test_a_fork_starts_its_books_and_its_clock_anew(start, drugs):
    arm = start.fork(ISA_PD, drugs)
    body = arm.marrow.body
    assert arm.day == 0.0 and arm.hour == start.hour == 168.0
    assert not body.ledger.any() and not body.clone_ledger.any() and not body.births.any()
    assert start.marrow.body.births.any()
    np.testing.assert_array_equal(arm.marrow.cells.uid, start.marrow.cells.uid)
    np.testing.assert_array_equal(body.burden, start.marrow.body.burden)


def test_an_untreated_fork_is_what_the_parent_would_have_become(patient, drugs):
    parent = Simulation(patient, Settings(16, 16), 11)
    parent.advance(40)
    arm = parent.fork(UNTREATED, drugs)
    arm.advance(40)
    parent.advance(40)
    for a, b in zip(arm.marrow.cells, parent.marrow.cells, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(arm.marrow.body.burden, parent.marrow.body.burden)
    assert arm.m_protein == parent.m_protein


@pytest.mark.parametrize("regimen", [ISA_PD, VD], ids=lambda regimen: regimen.key)
def test_drugs_that_are_not_given_do_nothing(start, drugs, regimen):
    """A placebo arm, whose drugs are there at zero dose, equals the untreated one bit by bit: arms share their luck."""
    untreated, placebo = start.fork(UNTREATED, drugs), start.fork(regimen, drugs)
    placebo.course.stop_all()
    untreated.advance(120)
    exposure = placebo.advance(120)
    assert not exposure.concentration.any() and not exposure.effect.any()
    assert placebo.state_hash() == untreated.state_hash()
    assert placebo.observe() == untreated.observe()


def test_arms_are_alike_until_the_first_dose(start, drugs):
    late = Regimen("late", "Late", 28, (Dose("isatuximab", 10.0, "mg/kg", (8,)),))
    untreated, treated = start.fork(UNTREATED, drugs), start.fork(late, drugs)
    for arm in (untreated, treated):
        arm.advance(28)
    assert untreated.state_hash() == treated.state_hash()
    for arm in (untreated, treated):
        arm.advance(28)
    assert untreated.state_hash() != treated.state_hash()


def test_mechanisms_are_switched_off_from_the_start_of_treatment(patient, drugs):
    settings_ = Settings(16, 16, without=frozenset({"t_cell_killing"}))
    growing = Simulation(patient, settings_, 1)
    assert growing.without == frozenset() and all(growing.on)
    arm = growing.fork(PD, drugs)
    assert arm.without == {"t_cell_killing"} and not arm.on.t_cell_killing and sum(arm.on) == len(MECHANISMS) - 1
    assert growing.fork(PD, drugs, frozenset()).without == frozenset()


def test_switching_a_mechanism(start, drugs):
    arm = start.fork(PD, drugs)
    arm.switch("adcc", False)
    assert arm.without == {"adcc"} and not arm.on.adcc
    arm.switch("adcc", True)
    assert arm.without == frozenset() and all(arm.on)
    with pytest.raises(InputError, match="unknown mechanism 'bindin'; did you mean 'binding'"):
        arm.switch("bindin", False)


# ---- nothing is lost -------------------------------------------------------------------------------------------------


def check_books(simulation, before):
    """Every cell that stood, was born or died is accounted for."""
    cells, body = simulation.marrow.cells, simulation.marrow.body
    now = np.bincount(cells.kind, minlength=N_TYPES)
    np.testing.assert_array_equal(before[1:] + body.births[1:] - body.ledger.sum(axis=1)[1:], now[1:])
    occupied = cells.kind > 0
    assert cells.kind.max() < N_TYPES
    np.testing.assert_array_equal(cells.uid > 0, occupied)
    assert np.unique(cells.uid[occupied]).size == occupied.sum()
    np.testing.assert_array_equal(body.clone_ledger.sum(axis=0), body.ledger[PLASMA])
    assert not body.ledger[[0, STROMA]].any() and not body.births[[0, STROMA]].any()
    assert body.ledger.shape == (N_TYPES, N_CAUSES)
    assert (cells.clone[cells.kind == PLASMA] < N_CLONES).all()
    assert body.gauge[Gauge.VIOLATIONS] == 0.0
    for column in (cells.activity, cells.granzyme, cells.cd38, *simulation.marrow.fields[:3]):
        assert np.isfinite(column).all() and (column >= 0.0).all()


@given(
    seed=st.integers(0, 2**31),
    regimen=st.sampled_from(REGIMENS),
    n_steps=st.integers(1, 150),
    shape=st.tuples(st.integers(10, 24), st.integers(10, 24)),
    step_h=st.sampled_from([2.0, 6.0, 24.0]),
)
@settings(max_examples=40)
def test_born_minus_died_is_alive(seed, regimen, n_steps, shape, step_h):
    drugs = {name: load_drug(name) for name in regimen.drugs}
    simulation = Simulation(preset("typical"), Settings(*shape, step_h), seed)
    arm = simulation.fork(regimen, drugs)
    before = np.bincount(arm.marrow.cells.kind, minlength=N_TYPES)
    arm.advance(n_steps)
    check_books(arm, before)


@given(seed=st.integers(0, 2**31), switching=st.floats(0.0, 1.0), without=st.sets(st.sampled_from([m.name for m in MECHANISMS])))
@settings(max_examples=40)
def test_books_are_kept_under_any_ablation_and_with_much_switching(seed, switching, without):
    parameters = {"inheritance": {"switching": {"value": switching}}, "burden": {"seeding": {"value": 0.05}}}
    simulation = Simulation(preset("typical"), Settings(16, 16, parameters=parameters), seed)
    drugs = {name: load_drug(name) for name in ISA_PD.drugs}
    arm = simulation.fork(ISA_PD, drugs, frozenset(without))
    before = np.bincount(arm.marrow.cells.kind, minlength=N_TYPES)
    arm.advance(80)
    check_books(arm, before)


def test_updates_count_cells_times_steps(start, drugs):
    arm = start.fork(UNTREATED, drugs)
    before = int(arm.marrow.body.updates[0])
    cells = int((arm.marrow.cells.kind > 0).sum())
    arm.advance(1)
    assert arm.marrow.body.updates[0] - before == cells


def test_a_hazard_above_its_ceiling_stops_the_run(patient):
    simulation = Simulation(patient, Settings(16, 16), 3)
    cells = simulation.marrow.cells
    is_t = cells.kind == CellType.T
    cells.granzyme[is_t] = 1e4  # far above what suppression allows, and what the ceiling of recovery reckons with
    cells.activity[is_t] = 1e6
    cells.clone[is_t] = 0
    with pytest.raises(RuntimeError, match="exceeded the ceiling"):
        for _ in range(40):
            simulation.advance(1)
            cells.granzyme[cells.kind == CellType.T] = 1e4


# ---- the interpreted twin --------------------------------------------------------------------------------------------

TWIN = """
import json, sys
from tme_abm.patients.presets import preset
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation
regimen = Regimen("isa-pd", "Isa-Pd", 28, (
    Dose("isatuximab", 10.0, "mg/kg", (1,)), Dose("pomalidomide", 4.0, "mg", (1, 2, 3, 4)), Dose("dexamethasone", 40.0, "mg", (1,))))
simulation = Simulation(preset("typical"), Settings(12, 12), 5)
arm = simulation.fork(regimen, {name: load_drug(name) for name in regimen.drugs})
arm.advance(20)
cells = arm.marrow.cells
print(json.dumps({"kind": cells.kind.tolist(), "uid": cells.uid.tolist(), "clone": cells.clone.tolist(),
    "granzyme": cells.granzyme.tolist(), "ledger": arm.marrow.body.ledger.tolist(), "seen": arm.observe()}))
"""


def run_twin(disabled):
    environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-W", "error::RuntimeWarning", "-c", TWIN], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_interpreted_twin_makes_the_same_cells():
    compiled, interpreted = run_twin("0"), run_twin("1")
    for exact in ("kind", "uid", "clone", "ledger"):
        assert compiled[exact] == interpreted[exact]
    assert sum(map(sum, compiled["ledger"])) > 0
    np.testing.assert_allclose(interpreted["granzyme"], compiled["granzyme"], rtol=1e-4)
    assert interpreted["seen"] == pytest.approx(compiled["seen"], rel=1e-4)


# ---- the patient's disease -------------------------------------------------------------------------------------------


def test_a_marrow_is_founded_as_the_patient_says(patient):
    simulation = Simulation(patient, Settings(48, 48), 9)
    body, n = simulation.marrow.body, CELLULARITY * 48 * 48
    count = np.bincount(simulation.marrow.cells.kind, minlength=N_TYPES)
    assert count[PLASMA] == round(patient.plasma_fraction * n / START)
    for kind, share in (
        (CellType.T, patient.t_cell_fraction),
        (CellType.NK, patient.nk_to_plasma_ratio * patient.plasma_fraction),
        (CellType.TREG, patient.treg_fraction),
        (CellType.BREG, patient.breg_fraction),
        (CellType.MDSC, patient.mdsc_fraction),
        (CellType.MACROPHAGE, patient.macrophage_fraction),
    ):
        assert count[kind] == round(share * n)
    assert simulation.marrow.lattice.niche.mean() == pytest.approx(patient.adherent_fraction, abs=0.06)
    assert body.burden.sum() == pytest.approx(patient.plasma_fraction * NUCLEATED_CELLS / START)
    assert simulation.plasma_fraction == pytest.approx(patient.plasma_fraction / START)
    assert simulation.m_protein == pytest.approx(patient.m_protein_g_per_l / START)


def test_t_cells_are_founded_where_the_blood_and_their_division_balance(patient):
    """Their number is the patient's. The blood keeps fewer, the rest comes by division, and the reactive share is what then stays."""
    simulation = Simulation(patient, Settings(48, 48), 9)
    cells, body = simulation.marrow.cells, simulation.marrow.body
    is_t = cells.kind == CellType.T
    load = body.target[PLASMA] / cells.kind.size
    granzyme = float(cells.granzyme[is_t].mean())
    division = t_cell_recovery.rate(granzyme, load, 1.0, simulation.rules.t_cell_recovery)
    fold, reactive = t_cell_recovery.settled(division, simulation.marrow.traits.renewal[CellType.T])
    assert fold > 1.0 and reactive > N_REACTIVE / N_CLONOTYPES
    assert body.target[CellType.T] * fold == pytest.approx(patient.t_cell_fraction * CELLULARITY * 48 * 48, rel=1e-5)
    assert stats.binomtest(int((cells.clone[is_t] < N_REACTIVE).sum()), int(is_t.sum()), reactive).pvalue > 1e-4


def test_what_the_resistances_of_a_clone_change(patient):
    """Bits 1, 2 and 4: cereblon-low, resistant to proteasome inhibitors, escaped. Escape costs CD38 only under an antibody."""
    table = Simulation(patient, Settings(16, 16), 9).marrow.clones
    at = np.arange(N_CLONES)
    imid = np.where(at & 1, 0.01, 1.0)
    proteasome = np.where(at & 2, 0.01, 1.0)
    np.testing.assert_allclose(table.imid_response, imid, rtol=1e-12)
    np.testing.assert_allclose(table.proteasome_response, proteasome, rtol=1e-12)
    np.testing.assert_array_equal(table.escaped, at // 4)
    by_tp53 = 0.6 if patient.tp53_mutated else 1.0
    np.testing.assert_allclose(table.imid_sensitivity, patient.imid_sensitivity * by_tp53 * imid, rtol=1e-12)
    np.testing.assert_allclose(table.proteasome_sensitivity, patient.proteasome_sensitivity * by_tp53 * proteasome, rtol=1e-12)
    glucocorticoid = np.where(at & 3, 0.1, 1.0)
    np.testing.assert_allclose(table.glucocorticoid_sensitivity, patient.glucocorticoid_sensitivity * glucocorticoid, rtol=1e-12)
    np.testing.assert_allclose(table.complement_inhibitors, patient.complement_inhibitor_level * np.where(at & 4, 3.0, 1.0), rtol=1e-12)
    assert (table.cd38 == patient.cd38_sites).all()


def test_tp53_costs_kill_and_not_what_a_drug_does_to_a_living_cell():
    patients = [replace(preset("typical", del17p=lost), imid_sensitivity=1.3, proteasome_sensitivity=0.9) for lost in (True, False)]
    lost, kept = (Simulation(patient, Settings(16, 16), 9).marrow.clones for patient in patients)  # of who is fast but for that
    assert lost.tp53_mutated.all() and not kept.tp53_mutated.any()
    for name in ("imid", "proteasome"):
        np.testing.assert_allclose(getattr(lost, f"{name}_sensitivity"), 0.6 * getattr(kept, f"{name}_sensitivity"), rtol=1e-12)
        np.testing.assert_array_equal(getattr(lost, f"{name}_response"), getattr(kept, f"{name}_response"))


@pytest.mark.parametrize("ig_type", list(HALF_LIFE_DAYS))
def test_the_half_life_is_that_of_the_class(ig_type):
    host = Simulation(preset("typical", ig_type=ig_type), Settings(16, 16), 1).marrow.host
    expected = {"IgG": (21.0, 11.0), "IgA": (5.5, 5.5), "light chain": (0.25, 0.25)}[ig_type]
    assert (host.m_protein_half_life_low / 24.0, host.m_protein_half_life_high / 24.0) == expected


def test_fields_have_the_means_of_the_patient(patient):
    simulation = Simulation(patient, Settings(48, 48), 9)
    assert simulation.grow()
    seen = simulation.observe()
    typical = patient.adenosine_suppression / (1.0 - patient.adenosine_suppression)
    assert seen["adenosine"] == pytest.approx(typical, rel=0.35)
    assert seen["il6"] == pytest.approx(1.0, rel=0.35)
    assert seen["chemokine"] == pytest.approx(1.0, rel=0.35)


def test_untreated_disease_grows_until_it_is_eligible(patient):
    grown = 0
    for seed in range(4):
        simulation = Simulation(patient, Settings(32, 32), seed)
        start, burden = simulation.m_protein, simulation.marrow.body.burden.sum()
        if simulation.grow():
            grown += 1
            assert simulation.m_protein >= max(patient.m_protein_g_per_l, RISE * start)
            assert simulation.marrow.body.burden.sum() > burden
            assert simulation.hour % 168.0 == 0.0 and simulation.day <= 730.0
    assert grown >= 3


def test_disease_grows_at_the_rate_of_the_patient():
    """Mean over founders; slower where the marrow fills up, so the time is short and the load small."""
    patient = preset("typical", plasma_fraction=0.1, growth_rate=0.012)
    rates = []
    for seed in range(6):
        simulation = Simulation(patient, Settings(64, 64), seed)
        before = simulation.marrow.body.burden.sum()
        simulation.advance(4 * 60)
        rates.append(math.log(simulation.marrow.body.burden.sum() / before) / 60.0)
    assert np.mean(rates) == pytest.approx(patient.growth_rate, rel=0.4)


def test_m_protein_follows_the_tumour_and_lags_behind_it(start, drugs):
    arm = start.fork(ISA_PD, drugs)
    tumour, m_protein = [arm.marrow.body.burden.sum()], [arm.m_protein]
    for _ in range(8):
        arm.advance(112)
        tumour.append(arm.marrow.body.burden.sum())
        m_protein.append(arm.m_protein)
    tumour, m_protein = np.array(tumour) / tumour[0], np.array(m_protein) / m_protein[0]
    assert tumour[2] < 0.9  # the regimen works in this patient
    assert m_protein[1] > tumour[1]
    assert m_protein[2] < 1.0
    assert np.corrcoef(tumour, m_protein)[0, 1] > 0.7


def test_a_screen_failure_is_told(patient, monkeypatch):
    """Disease that would need years is given up when the time allowed is over."""
    monkeypatch.setattr("tme_abm.simulation.simulation.LONGEST_GROWTH_DAYS", 28.0)
    slow = preset("typical", growth_rate=1e-4)
    assert Simulation(slow, Settings(48, 48), 2).grow() is False


# ---- what is seen ----------------------------------------------------------------------------------------------------

DIMENSIONLESS = ("adenosine", "il6", "chemokine")


def test_an_observation_names_its_units(start):
    seen = start.observe()
    for name in seen:
        assert (
            name in DIMENSIONLESS
            or name.endswith(("_g_per_l", "_sites_per_cell", "_cells", "_total"))
            or name.endswith(("_fraction", "_activity", "_granzyme", "_clonality", "_armed"))
            or name.startswith(("deaths_", "clone_"))
            or name.endswith("_lost_to_antibody")
        ), name
    assert all(isinstance(value, int | float) for value in seen.values())


def test_an_observation_counts_the_cells(start):
    seen, cells = start.observe(), start.marrow.cells
    for kind in CellType:
        if kind is not CellType.EMPTY:
            assert seen[f"{kind.name.lower()}_cells"] == (cells.kind == kind).sum()
    assert seen["tumour_cells_total"] == pytest.approx(sum(seen[f"clone_{name}"] for name in CLONE_NAMES))
    assert seen["plasma_fraction"] == pytest.approx(seen["tumour_cells_total"] / NUCLEATED_CELLS)
    deaths = [value for name, value in seen.items() if name.startswith("deaths_")]
    assert sum(deaths) == start.marrow.body.ledger[PLASMA].sum()
    assert observe(start.marrow, start.settings.catalogue.causes) == seen


def test_an_empty_marrow_can_be_observed(start, drugs):
    arm = start.fork(PD, drugs)
    arm.marrow.cells.kind[:] = 0
    seen = arm.observe()
    assert math.isnan(seen["cd38_sites_per_cell"])
    assert seen["t_cell_clonality"] == seen["nk_granzyme"] == seen["plasma_cells"] == 0.0


def test_clonality_by_hand():
    assert clonality(np.array([], np.uint8)) == 0.0
    assert clonality(np.array([7, 7, 7], np.uint8)) == 1.0
    assert clonality(np.arange(200, dtype=np.uint8)) == pytest.approx(0.0, abs=1e-12)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert clonality(np.array([1, 1, 1, 2], np.uint8)) == pytest.approx(1.0 - entropy / math.log(4))


# ---- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_h", [0.0, -6.0, 5.0, 25.0, 48.0, math.nan, math.inf])
def test_a_step_must_divide_a_day(step_h):
    with pytest.raises(InputError, match="does not divide a day"):
        Settings(step_h=step_h)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"without": frozenset({"adccc"})}, "unknown mechanism 'adccc'; did you mean 'adcc'"),
        ({"parameters": {"growht": {}}}, "parameters.growht: no such block of parameters; did you mean 'growth'"),
        ({"parameters": {"adcc": {}}}, "its coefficients belong to a drug"),
        ({"parameters": {"growth": {"apoptose": {"value": 1.0}}}}, "unknown parameter 'apoptose'; did you mean 'apoptosis'"),
        ({"parameters": {"growth": {"apoptosis": {"value": 1.0, "unit": "1/d"}}}}, "the unit must be '1/h', not '1/d'"),
    ],
)
def test_what_settings_refuse(given_, said):
    with pytest.raises(InputError, match=said):
        Settings(**given_)


def test_every_parameter_of_a_study_has_an_origin():
    origins = Settings(parameters={"growth": {"apoptosis": {"value": 3e-4, "source": "this study: here", "grade": "D"}}}).origins()
    assert origins["growth.apoptosis"][:2] == (3e-4, "1/h") and origins["growth.apoptosis"][3:] == ("this study: here", "D")
    assert {"inheritance.cd38_memory", "burden.seeding", "clones.fitness_cost", "cell_types.nk.cd38"} <= set(origins)
    assert not any(name.startswith("adcc.") for name in origins)


def test_a_patch_that_is_too_small_for_its_cells_is_refused():
    full = preset("typical", plasma_fraction=0.02, t_cell_fraction=0.9, adherent_fraction=0.9, mdsc_fraction=0.02, macrophage_fraction=0.02)
    with pytest.raises(InputError, match="cells do not fit on a patch of 256 sites"):
        Simulation(full, Settings(16, 16), 1)


def test_the_twin_runs_what_this_process_runs():
    assert COMPILED == (os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0"))


# ---- what a switch leaves --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mechanism", "column"), [("suppression", "granzyme"), ("exhaustion", "activity")])
def test_without_what_holds_them_down_effectors_do_better_than_with_it(mechanism, column):
    grown = Simulation(preset("typical"), Settings(32, 32), 4)
    means = {}
    for without in ((), ("adenosine",), (mechanism,)):
        arm = grown.fork(UNTREATED, {}, frozenset(without))
        arm.advance(160)
        is_t = arm.marrow.cells.kind == CellType.T
        means[without] = float(getattr(arm.marrow.cells, column)[is_t].mean())
    assert means[(mechanism,)] > means[("adenosine",)] * (1.0 if mechanism == "exhaustion" else 1.05)
    assert means[(mechanism,)] > means[()]
