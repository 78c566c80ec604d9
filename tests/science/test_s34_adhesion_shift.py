"""S34: a non-adherent cell is the more sensitive one.

In the marrow: under carfilzomib those that the niche holds are left. In the dish, which is built in: an adherent cell needs more of a
proteasome inhibitor to be killed in half of the cases within 48 h, 1.5-3 times as much of bortezomib. The fold of carfilzomib is from
memory and weak (M-low): direction only.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from tme_abm.foundation.declare import stack
from tme_abm.laboratory.mouse import load_preset
from tme_abm.marrow.cells import CellType
from tme_abm.mechanisms import proteasome
from tme_abm.pharmacology.compartments import engagement_rate
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen

HOURS, STEP = 48.0, 0.1


def surviving(drug, concentration, adherence, sensitivity):
    """Share of cells alive after two days at a constant concentration [ug/mL]."""
    kinetics = drug.kinetics.params
    block = stack(proteasome.Params, [drug.effects["proteasome"].params])
    engaged = engagement_rate(concentration, kinetics.onset_rate, kinetics.ec50, kinetics.steepness)
    rate = engaged + math.log(2.0) / kinetics.recovery_half_life
    steps = round(HOURS / STEP)
    hazard = 0.0
    for i in range(steps):
        inhibited = engaged / rate * (1.0 - math.exp(-rate * (i + 0.5) * STEP))
        hazard += STEP * proteasome.rate.py_func(inhibited, sensitivity, adherence, block, 0)
    return math.exp(-hazard)


def ec50(drug, adherence, sensitivity):
    low, high = 1e-6, 1e3
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if surviving(drug, middle, adherence, sensitivity) > 0.5 else (low, middle)
    return math.sqrt(low * high)


BUT = pytest.mark.xfail(
    strict=True,
    reason="at the rate that bortezomib has from trials (0.006 an hour) no concentration kills half of the adherent cells within 48 h",
)


@pytest.mark.parametrize(("name", "most"), [pytest.param("bortezomib", 3.0, marks=BUT), ("carfilzomib", math.inf)])
def test_an_adherent_cell_needs_more(name, most, record_property):
    drug = load_drug(name)
    sensitivity = load_preset("lines", "nci_h929").traits.drug_sensitivity
    fold = ec50(drug, 1.0, sensitivity) / ec50(drug, 0.0, sensitivity)
    record_property("S34", f"{name}: EC50 of an adherent cell {fold:.1f} times that of a free one")
    assert 1.5 <= fold <= most


# ---- in the marrow ---------------------------------------------------------------------------------------------------

# Cells that touch stroma when carfilzomib begins and those that do not are followed by their identity: who is lost within a week. Where the
# survivors stand after four weeks tells nothing (their share in the niche is higher by 0.007, SE 0.009, than without protection): till
# then they have moved between niche and marrow.


def lost(simulation, drug):
    """Share of the plasma cells that a week of a drug takes, of those that stood free and of those that touched stroma."""
    marrow = simulation.marrow
    plasma = marrow.cells.kind == CellType.PLASMA
    held = marrow.lattice.niche[plasma].astype(bool)
    who = marrow.cells.uid[plasma].copy()
    arm = simulation.fork(Regimen("k", "K", 28, (Dose(drug.name, 56.0, "mg/m2", (1, 2)),)), {drug.name: drug})
    arm.advance(4 * 7)
    gone = ~np.isin(who, arm.marrow.cells.uid)
    return gone[~held].mean(), gone[held].mean()


def spared(cohort, gain, drug):
    """How many more of those that stood free are lost (the criterion of S34 is that it is clear)."""
    return gain(*np.array([lost(marrow, drug) for marrow in cohort.grown]).T)


def test_s34_those_that_the_niche_holds_are_spared(cohort, gain, record_property):
    more = spared(cohort, gain, load_drug("carfilzomib"))
    record_property(
        "S34", f"plasma cells lost in a week of carfilzomib: of those that stood free more than of those that touched stroma by {more}"
    )
    assert more.is_clear


def test_s34_a_drug_that_spares_nobody_takes_all_alike(cohort, gain):
    drug = load_drug("carfilzomib")
    effect = drug.effects["proteasome"]
    even = replace(drug, effects={"proteasome": effect._replace(params=effect.params._replace(adhesion_fold=1.0))})
    assert not spared(cohort, gain, even).is_clear
