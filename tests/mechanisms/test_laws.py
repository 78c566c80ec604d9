"""Laws that hold for every mechanism: its parameters, the ceiling over its hazard, monotony, ablation.

What it reads and writes, its words and its place in the step: test_declared.py.
"""

import inspect
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tme_abm
from tme_abm.foundation.declare import GRADES, Param, notes
from tme_abm.foundation.jit import COMPILED
from tme_abm.foundation.mechanism import by_drug
from tme_abm.foundation.pinned import PinnedType
from tme_abm.marrow import burden, clones, contact, fate, roster, seeding
from tme_abm.marrow.cells import N_EVENTS, N_TYPES, Cause, CellType
from tme_abm.marrow.clones import N_CLONES, N_CLONOTYPES
from tme_abm.marrow.contact import MOST_GRANZYME
from tme_abm.marrow.state import CROWD, N_PROBES, TILE, Gauge, Tick
from tme_abm.mechanisms import BY_NAME, MECHANISMS, step
from tme_abm.mechanisms.step import Rules, Switches
from tme_abm.patients.presets import preset
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation

PACKAGE = Path(tme_abm.__file__).parent
CD38, SLAMF7, NONE = 0, 1, -1
PLASMA, STROMA = int(CellType.PLASMA), int(CellType.STROMA)
FLOORS = {"inheritance": fate.Params, "burden": burden.Params, "clones": clones.Params}
MAKERS = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # fixtures are makers: each example has its own marrow
names = pytest.mark.parametrize("name", list(BY_NAME))
BOUNDED = [m.name for m in MECHANISMS if m.ceiling is not None]
OF_DRUGS = [m.name for m in MECHANISMS if m.by_drug and m.hazard is not None and m.ceiling is not None]


# ---- declarations ----------------------------------------------------------------------------------------------------


@names
def test_a_mechanism_declares_what_it_is(name):
    mechanism = BY_NAME[name]
    module = sys.modules[f"tme_abm.mechanisms.{name}"]
    assert getattr(module, name.upper()) is mechanism
    assert mechanism.Params is module.Params
    assert re.fullmatch(r"[A-Z].*\.", mechanism.summary)
    assert mechanism.reads and mechanism.writes
    assert module.__doc__ and mechanism.Params.__doc__
    assert any((mechanism.prepare, mechanism.hazard))
    for act in ("prepare", "ceiling", "hazard"):
        assert getattr(mechanism, act) is getattr(module, act, None)
        if getattr(mechanism, act) is not None:
            assert len(inspect.signature(getattr(mechanism, act).py_func).parameters) == 3


@pytest.mark.parametrize("block", [*(m.Params for m in MECHANISMS), *FLOORS.values()], ids=[*BY_NAME, *FLOORS])
def test_every_parameter_has_a_unit_a_meaning_a_known_source_and_a_grade(block):
    known = set(re.findall(r"@\w+\{([^,\s]+),", (PACKAGE / "foundation" / "references.bib").read_text(encoding="utf-8")))
    declared = notes(block)
    assert list(declared) == list(block._fields)
    for name, note in declared.items():
        assert isinstance(note, Param) and note.unit and note.meaning, name
        assert note.grade in GRADES, name
        for source in re.split(r";\s*", note.source):
            key = source.split(":")[0]
            assert key in known or key.startswith("catalogue ") or (key == "-" and note.grade == "A"), f"{name}: {source}"
        assert isinstance(block._field_defaults[name], float), f"{name}: an int would have numba compile a second version"


def test_names_are_unique_and_follow_the_files():
    files = {path.stem for path in (PACKAGE / "mechanisms").glob("*.py")} - {"__init__", "step", "declared", "equations"}
    assert {m.name for m in MECHANISMS} == files
    assert len(MECHANISMS) == len(files)


def test_what_may_kill_has_a_ceiling_over_it():
    for m in MECHANISMS:
        adds_hazard = any(name.startswith("hazard.") for name in m.writes)
        assert adds_hazard == (m.ceiling is not None), m.name


def test_switches_and_rules_name_every_mechanism():
    assert list(Switches._fields) == [m.name for m in MECHANISMS]
    assert list(Rules._fields) == [*Switches._fields, "inheritance", "burden", "outside", "on", "pieces"]


# ---- ceilings --------------------------------------------------------------------------------------------------------


def exposed(bare, name, seed):
    """A marrow at random, often at its extremes, under two drugs of each kind that the mechanism knows, all cells at risk."""
    random = np.random.default_rng(seed)
    antigens = (CD38, SLAMF7) if "drugs.occupancy" in BY_NAME[name].reads else (NONE, NONE)
    marrow = bare(8, 8, antigens, nk_renewal=random.uniform(0.0, 0.02), effector_fitness=random.uniform(0.0, 3.0))
    n = 64

    def extreme(low, high):
        return np.clip(random.uniform(low - 0.3 * (high - low), high + 0.3 * (high - low), n), low, high)

    marrow.cells.kind[:] = random.choice([1, 1, 1, 2, 3, 4, 5, 6, 7], n)
    marrow.cells.granzyme[:] = extreme(0.0, MOST_GRANZYME)
    marrow.fields.il6[:] = extreme(0.0, 1e4)
    risk = marrow.at_risk
    risk.site[:n], risk.kind[:n] = np.arange(n), marrow.cells.kind
    risk.clone[:n] = random.integers(0, N_CLONOTYPES, n)
    plasma = risk.kind[:n] == PLASMA
    risk.clone[:n][plasma] %= N_CLONES
    risk.cd38[:n] = 10.0 ** extreme(2.0, 8.0)
    risk.complement_inhibitors[:n] = extreme(0.0, 5.0)
    risk.adherence[:n] = extreme(0.0, 1.0)
    for column in (risk.nk, risk.t_cell, risk.phagocyte):
        column[:n] = np.where(plasma, extreme(0.0, CROWD), 0.0)
    marrow.clones.division[:] = random.uniform(0.0, 0.01, N_CLONES)
    for column in (marrow.clones.imid_sensitivity, marrow.clones.proteasome_sensitivity, marrow.clones.glucocorticoid_sensitivity):
        column[:] = random.uniform(0.0, 3.0, N_CLONES)
    marrow.body.gauge[Gauge.T_SUPPLY] = random.uniform(1.0, 2.0)
    marrow.drugs.occupancy[:] = random.choice([0.0, 1e-6, 0.8, 1.0], 2)
    marrow.drugs.effect[:] = random.choice([0.0, 1e-6, 0.9, 1.0], 2)
    marrow.n_at_risk[:] = n
    marrow.body.count[:] = np.bincount(marrow.cells.kind, minlength=N_TYPES)
    marrow.body.target[:] = random.uniform(0.0, 30.0, N_TYPES)
    marrow.body.clone_stress[:] = random.choice([0.0, 0.4, 1.0], N_CLONES)
    return marrow


def act(name, what, marrow):
    """Run one kernel of a mechanism, interpreted, with two drugs of default coefficients where it has any."""
    mechanism = BY_NAME[name]
    p = by_drug(mechanism, [(0, mechanism.Params()), (1, mechanism.Params())]) if mechanism.by_drug else mechanism.Params()
    getattr(sys.modules[f"tme_abm.mechanisms.{name}"], what)(marrow, p, Tick(6.0, 1, 1))


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("name", BOUNDED)
@given(seed=st.integers(0, 2**32 - 1))
@settings(MAKERS, max_examples=12)
def test_no_cell_exceeds_the_ceiling_of_a_mechanism(bare, name, seed):
    marrow = exposed(bare, name, seed)
    act(name, "ceiling", marrow)
    act(name, "hazard", marrow)
    total = marrow.hazard[:64].sum(axis=1)
    assert (marrow.hazard >= 0.0).all()
    by_contact = np.array([contact.reach(marrow, row) for row in range(64)])
    assert (total <= (marrow.body.ceiling[marrow.at_risk.kind[:64]] + by_contact) * (1.0 + 1e-9)).all()
    assert marrow.body.ceiling[0] == marrow.body.ceiling[STROMA] == 0.0


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("name", OF_DRUGS)
@given(seed=st.integers(0, 2**32 - 1), low=st.floats(0.0, 1.0), high=st.floats(0.0, 1.0))
@settings(MAKERS, max_examples=10)
def test_more_drug_never_lowers_a_hazard(bare, name, seed, low, high):
    found = []
    for level in sorted((low, high)):
        marrow = exposed(bare, name, seed)
        marrow.drugs.occupancy[:] = level
        marrow.drugs.effect[:] = level
        act(name, "hazard", marrow)
        found.append(marrow.hazard[:64].copy())
    assert (found[0] <= found[1] + 1e-15).all()


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("name", OF_DRUGS)
def test_without_drug_there_is_no_hazard_and_with_it_there_is(bare, name):
    marrow = exposed(bare, name, 5)
    marrow.drugs.occupancy[:] = marrow.drugs.effect[:] = 0.0
    act(name, "hazard", marrow)
    assert not marrow.hazard.any()
    marrow.drugs.occupancy[:] = marrow.drugs.effect[:] = 0.9
    act(name, "hazard", marrow)
    assert marrow.hazard.any()


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("name", [m.name for m in MECHANISMS if m.by_drug and m.prepare is not None])
def test_without_drug_nothing_is_disturbed(bare, name):
    marrow = exposed(bare, name, 5)
    before = marrow.body.gauge.copy()
    before[Gauge.T_SUPPLY] = marrow.body.gauge[Gauge.T_SUPPLY] = 1.0
    marrow.body.clone_stress[:] = 0.0
    marrow.drugs.occupancy[:] = marrow.drugs.effect[:] = marrow.drugs.concentration[:] = 0.0
    act(name, "prepare", marrow)
    np.testing.assert_array_equal(marrow.body.gauge, before)
    assert not marrow.drugs.occupancy.any() and not marrow.body.clone_stress.any()
    assert (marrow.body.clone_cd38 == 1.0).all()


# ---- in the whole model ----------------------------------------------------------------------------------------------

QUADRUPLET = Regimen(
    "isa-vpd",
    "Isa-VPd",
    28,
    (
        Dose("isatuximab", 10.0, "mg/kg", (1, 8, 15, 22)),
        Dose("bortezomib", 1.3, "mg/m2", (1, 4, 8, 11)),
        Dose("pomalidomide", 4.0, "mg", tuple(range(1, 22))),
        Dose("dexamethasone", 40.0, "mg", (1, 8, 15, 22)),
    ),
)
ANTIBODIES = Regimen(
    "isa-dara-elo-kd",
    "Isa-Dara-Elo-Kd",
    28,
    (
        Dose("isatuximab", 10.0, "mg/kg", (1, 8)),
        Dose("daratumumab", 16.0, "mg/kg", (1, 8)),
        Dose("elotuzumab", 10.0, "mg/kg", (1, 8)),
        Dose("carfilzomib", 56.0, "mg/m2", (1, 2, 8, 9)),
    ),
)


@pytest.fixture(scope="module")
def drugs():
    return {name: load_drug(name) for regimen in (QUADRUPLET, ANTIBODIES) for name in regimen.drugs}


@pytest.fixture(scope="module")
def rich():
    """A patient whose plasma cells carry so much CD38 that every mode of killing has something to do."""
    return preset("typical", cd38_sites=500e3, complement_inhibitor_level=0.5, effector_fitness=1.5, imid_sensitivity=4.0)


@pytest.fixture(scope="module")
def grown(rich):
    """Her marrow, untreated for a month; T cells kill and plasma cells die by themselves so often that a short run shows it."""
    strong = {"t_cell_killing": {"lysis_rate": {"value": 0.02}}, "growth": {"apoptosis": {"value": 0.003}}}
    simulation = Simulation(rich, Settings(32, 32, parameters=strong), 77)
    simulation.advance(112)
    return simulation


@pytest.mark.parametrize("regimen", [QUADRUPLET, ANTIBODIES], ids=lambda regimen: regimen.key)
def test_all_drugs_together_stay_below_the_ceilings(drugs, regimen):
    for seed in range(25):
        patient = preset("typical", cd38_sites=10.0 ** (4.5 + 0.06 * seed), t_cell_exhaustion=0.1, effector_fitness=0.5 + 0.1 * seed)
        simulation = Simulation(patient, Settings(16, 16), seed)
        arm = simulation.fork(regimen, drugs)
        arm.advance(240)
        assert arm.marrow.body.gauge[Gauge.VIOLATIONS] == 0.0
        assert arm.marrow.body.ledger.sum() > 0


CAUSES = {
    "adcc": (Cause.ADCC, [PLASMA]),
    "adcp": (Cause.ADCP, [PLASMA]),
    "cdc": (Cause.CDC, [PLASMA]),
    "direct_killing": (Cause.DIRECT, [PLASMA]),
    "t_cell_killing": (Cause.T_CELL, [PLASMA]),
    "imid": (Cause.IMID, [PLASMA]),
    "proteasome": (Cause.PROTEASOME, [PLASMA]),
    "glucocorticoid": (Cause.GLUCOCORTICOID, range(PLASMA, STROMA)),
    "depletion": (Cause.DEPLETION, range(PLASMA, STROMA)),
    "nk_activation": (Cause.FRATRICIDE, range(PLASMA, STROMA)),
    "turnover": (Cause.TURNOVER, range(PLASMA + 1, STROMA)),
    "growth": (Cause.TURNOVER, [PLASMA]),
}


def test_every_cause_belongs_to_a_mechanism():
    assert {cause for cause, _ in CAUSES.values()} == set(Cause) - {Cause.DIVISION}
    assert {m.name: m.causes for m in MECHANISMS if m.causes} == {name: (cause.name,) for name, (cause, _) in CAUSES.items()}


@pytest.mark.parametrize("name", list(CAUSES))
def test_without_a_mechanism_nobody_dies_of_it(grown, drugs, name):
    cause, kinds = CAUSES[name]
    for without, expected in ((frozenset(), True), (frozenset({name}), False)):
        arm = grown.fork(QUADRUPLET, drugs, without)
        arm.advance(112)
        died = arm.marrow.body.ledger[list(kinds), cause].sum()
        assert (died > 0) == expected
        assert arm.marrow.body.ledger.sum() > died


def test_births_come_from_growth_recovery_recruitment_and_reseeding(rich, drugs):
    no_reseeding = {"burden": {"seeding": {"value": 0.0, "unit": "1/h"}}}
    grown = Simulation(rich, Settings(32, 32, parameters=no_reseeding), 77)
    arm = grown.fork(QUADRUPLET, drugs, frozenset({"growth", "recruitment", "t_cell_recovery"}))
    arm.advance(80)
    assert arm.marrow.body.ledger.any()
    t = int(CellType.T)
    assert arm.marrow.body.births[t] > 0  # T cells keep the balance of eligibility without recovery
    assert not np.delete(arm.marrow.body.births, t).any()
    for name, kinds in (("growth", [PLASMA]), ("recruitment", range(PLASMA + 1, STROMA))):
        arm = grown.fork(QUADRUPLET, drugs, frozenset({"growth", "recruitment", "t_cell_recovery"} - {name}))
        arm.advance(80)
        born = set(np.flatnonzero(arm.marrow.body.births))
        assert born <= {*kinds, t} and born & set(kinds) - {t}


def test_without_motility_nobody_moves(grown, drugs):
    arm = grown.fork(QUADRUPLET, drugs, frozenset({"motility"}))
    where = dict(zip(arm.marrow.cells.uid.tolist(), range(1024), strict=True))
    arm.advance(40)
    stayed = [where[uid] == site for site, uid in enumerate(arm.marrow.cells.uid.tolist()) if uid and uid in where]
    assert len(stayed) > 100 and all(stayed)


def fields_after(grown, drugs, without, steps=5):
    """Mean adenosine after a day of isatuximab, by when the field has been solved anew whatever has changed."""
    arm = grown.fork(Regimen("isa", "Isa", 28, QUADRUPLET.doses[:1]), drugs, frozenset(without))
    arm.advance(steps)
    return arm.observe()["adenosine"]


def test_a_block_of_the_ectoenzyme_lowers_adenosine(grown, drugs):
    untouched = fields_after(grown, drugs, {"ectoenzyme", "trogocytosis"})
    assert fields_after(grown, drugs, {"trogocytosis"}) < untouched
    assert fields_after(grown, drugs, {"ectoenzyme"}) < untouched
    assert fields_after(grown, drugs, set()) < fields_after(grown, drugs, {"trogocytosis"})


def test_adenosine_of_other_routes_is_untouched_by_the_block(drugs):
    other = Simulation(preset("typical", cd38_share=0.0), Settings(16, 16), 3)
    for steps in range(1, 5):  # later the fields of the two are solved at other hours, so that cells part
        assert fields_after(other, drugs, set(), steps) == fields_after(other, drugs, {"ectoenzyme"}, steps) > 0.0


def test_switched_off_fields_stay_flat(grown, drugs):
    arm = grown.fork(QUADRUPLET, drugs, frozenset({"adenosine", "interleukin6", "chemokine"}))
    arm.advance(4)
    assert not arm.marrow.fields.adenosine.any()
    assert (arm.marrow.fields.il6 == 1.0).all() and (arm.marrow.fields.chemokine == 1.0).all()


def test_a_mechanism_switched_off_forgets_what_it_did(grown, drugs):
    arm = grown.fork(QUADRUPLET, drugs)
    arm.advance(28)
    body = arm.marrow.body
    gauge = body.gauge
    memory = (Gauge.SURFACE_CD38, Gauge.CD16, Gauge.CD38_INDUCTION, Gauge.ENZYME_ACTIVITY, Gauge.ESCAPED_CD38, Gauge.FC_RECEPTORS)
    assert all(gauge[g] != 1.0 for g in memory)
    assert gauge[Gauge.CRAWL_BLOCK] > 0.0 and body.clone_stress[0] > 0.0
    assert body.clone_cd38[0] > 1.0 > body.clone_cd38[5]  # cereblon and no escape; escape and little cereblon
    for name in ("trogocytosis", "nk_activation", "imid", "ectoenzyme", "antigen_loss", "niche_release", "proteasome", "fc_receptors"):
        arm.switch(name, False)
    arm.advance(1)
    assert all(gauge[g] == 1.0 for g in memory)
    assert gauge[Gauge.CRAWL_BLOCK] == 0.0 and not body.clone_stress.any()
    assert (body.clone_cd38 == 1.0).all()


def test_switching_off_the_loss_of_antigen_leaves_the_rise_by_an_imid(grown, drugs):
    """Each has its own part in the CD38 of a clone."""
    arm = grown.fork(QUADRUPLET, drugs)
    arm.advance(28)
    body = arm.marrow.body
    lost, rise = body.gauge[Gauge.ESCAPED_CD38], body.gauge[Gauge.CD38_INDUCTION]
    assert body.clone_cd38[4] == pytest.approx(lost * rise, rel=1e-12)
    assert body.clone_cd38[0] == pytest.approx(rise, rel=1e-12)
    arm.switch("antigen_loss", False)
    arm.advance(1)
    assert body.clone_cd38[4] == body.clone_cd38[0] == pytest.approx(body.gauge[Gauge.CD38_INDUCTION], rel=1e-12)


@pytest.mark.skipif(not COMPILED, reason="there is nothing compiled")
def test_each_kernel_is_compiled_for_one_signature(grown, drugs):
    """Untreated, under one drug and under four: the same types, so that nobody waits for the compiler twice."""
    for regimen in (Regimen("none", "None", 28), Regimen("isa", "Isa", 28, QUADRUPLET.doses[:1]), QUADRUPLET, ANTIBODIES):
        grown.fork(regimen, drugs).advance(2)
    roster.index_cells(grown.pinned)
    for kernel in (step.advance, roster.index_cells, seeding.scatter, seeding.nest, seeding.share_with_space):
        pinned = [types for types in kernel.signatures if isinstance(types[0], PinnedType)]  # other tests hand over bare tuples
        assert len(pinned) == 1, kernel.__name__


def test_there_is_a_row_of_hazards_for_every_cell_of_a_tile_and_probe(grown):
    assert grown.marrow.hazard.shape == (TILE + N_CLONES * N_PROBES, N_EVENTS)
