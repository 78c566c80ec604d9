"""S15, S17, S18: where adenosine comes from, what it does to the effectors, and how far isatuximab takes it back."""

from dataclasses import replace

import numpy as np
import pytest

from tme_abm.marrow.cells import CellType
from tme_abm.marrow.clones import N_REACTIVE
from tme_abm.marrow.state import Gauge
from tme_abm.mechanisms import adcc, t_cell_recovery
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation.simulation import Simulation
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


# The article: the ectoenzyme of CD38 "entails an enrichment of adenosine in the marrow". Held where the marrow with all of its tumour has
# half as much again as the same marrow with a tenth of it, and a tenth more than the same marrow without CD38 on its plasma cells.


def enrichment(marrows):
    """Adenosine of each marrow over that with a tenth of its plasma cells, and over that without their CD38."""
    whole, less, bare = (np.array([adenosine(m, **how) for m in marrows]) for how in ({}, {"keep": 0.1}, {"cd38": 0.0}))
    return whole / less, whole / bare


def test_s15_myeloma_enriches_its_marrow_in_adenosine_through_cd38(cohort, record_property):
    by_burden, by_cd38 = enrichment(cohort.grown)
    record_property(
        "S15",
        f"adenosine of the marrow: {by_burden.mean():.2f} times that with a tenth of the tumour, {by_cd38.mean():.2f} times that without "
        f"CD38 on it (least {by_burden.min():.2f} and {by_cd38.min():.2f} of {by_burden.size} patients)",
    )
    assert by_burden.mean() >= 1.5
    assert by_cd38.mean() >= 1.1


def test_s15_without_the_route_of_cd38_nothing_goes_through_it(cohort):
    """Patients whose adenosine comes by other routes alone: with or without CD38, it is the same."""
    others = []
    for i, marrow in enumerate(cohort.grown[:4]):
        others.append(Simulation(replace(marrow.patient, cd38_share=0.0), marrow.settings, i))
        assert others[-1].grow()
    _, by_cd38 = enrichment(others)
    assert by_cd38.mean() == pytest.approx(1.0, abs=1e-3)


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
    doses = (0.0, 0.01, 0.1, 1.0, 5.0, 10.0, 20.0, 40.0, 80.0)
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
    assert made[-2] - made[-1] < 0.05 * (made[0] - made[-1])  # 40 and 80 mg/kg are alike
    assert gain(level[:, 0], level[:, -1]).is_clear
