"""S15, S17, S18: where adenosine comes from, what it does to the effectors, and how far isatuximab takes it back."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from tme_abm.marrow.cells import CellType
from tme_abm.marrow.clones import N_REACTIVE
from tme_abm.marrow.state import Gauge
from tme_abm.mechanisms import adcc, t_cell_recovery
from tme_abm.patients.population import draw_patient
from tme_abm.patients.reading import load_population
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation.treatment import UNTREATED

DRUGS = {"isatuximab": load_drug("isatuximab")}


def adenosine(simulation, keep=1.0, cd38=1.0):
    """Mean adenosine of a marrow a day after it was given this share of its plasma cells and this multiple of their CD38."""
    twin = simulation.fork(UNTREATED, {})
    cells = twin.marrow.cells
    plasma = np.flatnonzero(cells.kind == CellType.PLASMA)
    cells.kind[plasma[round(keep * plasma.size) :]] = CellType.EMPTY
    cells.cd38[plasma] *= cd38
    twin.marrow.body.gauge[Gauge.FIELD_AGE] = np.inf  # due to be solved
    twin.advance(1)
    return twin.observe()["adenosine"]


@pytest.mark.parametrize(
    ("what", "changes"), [("burden", [{"keep": k} for k in (0.1, 0.4, 0.7, 1.0)]), ("CD38", [{"cd38": k} for k in (0.0, 0.5, 1.0, 2.0)])]
)
def test_s15_adenosine_rises_with_burden_and_with_cd38(cohort, gain, record_property, what, changes):
    levels = np.array([[adenosine(marrow, **change) for change in changes] for marrow in cohort.grown])
    shown = ", ".join(f"{level:.2f}" for level in levels.mean(axis=0))
    steps = ", ".join(f"{next(iter(change.values())):g}" for change in changes)
    record_property("S15", f"adenosine at {steps} of the {what}: {shown} of what halves effector function")
    assert (np.diff(levels, axis=1) > 0.0).all()
    assert gain(levels[:, -1], levels[:, 0]).is_clear


@pytest.fixture(scope="module")
def candidates():
    """Patients as they are drawn, before anything is simulated: stage, burden and the adenosine of the marrow."""
    population = load_population("icaria")
    patients = [draw_patient(population, 15, i) for i in range(3000)]
    odds = [p.adenosine_suppression / (1.0 - p.adenosine_suppression) for p in patients]
    return np.array([[p.iss, p.plasma_fraction, a] for p, a in zip(patients, odds, strict=True)]).T


def test_s15_adenosine_is_higher_in_patients_with_more_disease(candidates, record_property):
    _, burden, level = candidates
    found = spearmanr(burden, level)
    record_property("S15", f"rank correlation of adenosine and burden between 3,000 patients {found.statistic:.2f}")
    assert found.statistic > 2.0 / np.sqrt(level.size)  # two standard errors of no correlation


def test_s15_adenosine_rises_with_the_stage(candidates, record_property):
    stage, _, level = candidates
    medians = [np.median(level[stage == k]) for k in (1, 2, 3)]
    found = spearmanr(stage, level)
    record_property(
        "S15", f"median adenosine in ISS I, II, III: {', '.join(f'{m:.2f}' for m in medians)}; rank correlation {found.statistic:.3f}"
    )
    assert found.statistic > 2.0 / np.sqrt(level.size)
    assert medians[2] > medians[0]


FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)


@pytest.fixture(scope="module")
def under_adenosine(cohort, engaged):
    """Each marrow with its sources of adenosine multiplied, each table (n_patients, n_factors).

    Rates for each cell and day under isatuximab for 21 days, for lysis by NK cells those of a fully coated cell; kills and
    divisions are rare, so the rates are read off whom the cells meet and not counted. Lytic capacity untreated after 7 days.
    """
    regimen = Regimen("isa", "Isa", 28, (Dose("isatuximab", 10.0, "mg/kg", (1, 8, 15, 22)),))
    names = ("lysis by T cells [1/d]", "lysis by NK cells [1/d]", "division of T cells [1/d]")
    capacities = ("lytic capacity of T cells", "lytic capacity of NK cells")
    table = {name: np.zeros((len(cohort.grown), len(FACTORS))) for name in (*names, *capacities)}
    for i, marrow in enumerate(cohort.grown):
        for j, factor in enumerate(FACTORS):
            arm = with_adenosine(marrow.fork(regimen, DRUGS), factor)
            met, armed, divide = 0.0, 0.0, 0.0
            for _ in range(21):
                arm.advance(4)
                met += engaged(arm, "t_cell") / 21.0
                armed += engaged(arm, "nk") / 21.0
                divide += division_of_t_cells(arm) / 21.0
            lysis = 24.0 * arm.rules.t_cell_killing.lysis_rate * met
            coated = 24.0 * arm.marrow.host.effector_fitness * float(adcc.rate.py_func(armed, 1e9, arm.rules.adcc.p, 0))
            rates = (lysis, coated, divide)
            for name, value in zip(names, rates, strict=True):
                table[name][i, j] = value
            untreated = with_adenosine(marrow.fork(UNTREATED, {}), factor)
            untreated.advance(4 * 7)
            cells = untreated.marrow.cells
            for name, kind in zip(capacities, (CellType.T, CellType.NK), strict=True):
                table[name][i, j] = cells.granzyme[cells.kind == kind].mean()
    return table


def division_of_t_cells(arm):
    """Rate at which the mean T cell would divide now [1/d]: that of `t_cell_recovery` for the reactive ones."""
    cells = arm.marrow.cells
    is_t = cells.kind == CellType.T
    granzyme = cells.granzyme[is_t & (cells.clone < N_REACTIVE)].astype(float)
    load, share = t_cell_recovery.stimulus.py_func(arm.marrow)
    return 24.0 / is_t.sum() * sum(t_cell_recovery.rate(each, load, share, arm.rules.t_cell_recovery) for each in granzyme)


def with_adenosine(arm, factor):
    """The arm, whose cells make `factor` times their adenosine."""
    host = arm.marrow.host
    arm.marrow = arm.marrow._replace(
        host=host._replace(adenosine_cd38=factor * host.adenosine_cd38, adenosine_other=factor * host.adenosine_other)
    )
    return arm


def describe(effect, means):
    """The means in words."""
    return f"{effect} at {', '.join(f'{f:g}' for f in FACTORS)} times the adenosine: {', '.join(f'{mean:.2g}' for mean in means)}"


@pytest.mark.parametrize("effect", ["lytic capacity of T cells", "lytic capacity of NK cells"])
def test_s17_effectors_are_held_down_the_more_adenosine_there_is(under_adenosine, gain, record_property, effect):
    values = under_adenosine[effect]
    record_property("S17", describe(effect, values.mean(axis=0)))
    for j in range(len(FACTORS) - 1):
        assert gain(values[:, j], values[:, j + 1]).is_clear


@pytest.mark.parametrize("effect", ["lysis by T cells [1/d]", "lysis by NK cells [1/d]", "division of T cells [1/d]"])
def test_s17_effectors_do_less_the_more_adenosine_there_is(under_adenosine, gain, record_property, effect):
    """The slope against the logarithm of adenosine: who meets whom is chance, and each step of it small."""
    rates = under_adenosine[effect]
    doublings = np.log2(FACTORS) - np.log2(FACTORS).mean()
    fall = gain(-(rates @ doublings) / (doublings @ doublings), np.zeros(len(rates)))
    record_property("S17", f"{describe(effect, rates.mean(axis=0))}; fall for each doubling {fall}")
    assert fall.is_clear


def test_s18_production_of_adenosine_falls_with_the_dose_to_a_plateau(cohort, gain, record_property):
    """The block of the enzyme alone: all else that the antibody does is off. Mean of the ends of the first four weeks."""
    off = frozenset({"trogocytosis", "direct_killing", "adcc", "adcp", "cdc", "niche_release", "nk_activation", "depletion"})
    doses = (0.0, 0.01, 0.1, 1.0, 5.0, 10.0, 20.0)
    activity, level = np.zeros((len(cohort.grown), len(doses))), np.zeros((len(cohort.grown), len(doses)))
    for i, marrow in enumerate(cohort.grown):
        for j, dose in enumerate(doses):
            lines = (Dose("isatuximab", dose, "mg/kg", (1, 8, 15, 22)),) if dose else ()
            arm = marrow.fork(Regimen("isa", "Isa", 28, lines), DRUGS, off)
            for _ in range(4):
                arm.advance(4 * 7)
                activity[i, j] += arm.marrow.body.gauge[Gauge.ENZYME_ACTIVITY] / 4.0
                level[i, j] += arm.marrow.fields.adenosine.mean() / 4.0
    made, mean = activity.mean(axis=0), level.mean(axis=0)
    steps = ", ".join(f"{dose:g}" for dose in doses)
    record_property(
        "S18",
        f"at {steps} mg/kg: enzyme activity {', '.join(f'{a:.2f}' for a in made)}; marrow adenosine {', '.join(f'{a:.3f}' for a in mean)}",
    )
    assert (np.diff(made) < 0.0).all()
    assert made[-1] > 0.0
    assert made[-2] - made[-1] < 0.05 * (made[0] - made[-1])  # 10 and 20 mg/kg are alike
    assert gain(level[:, 0], level[:, -1]).is_clear
