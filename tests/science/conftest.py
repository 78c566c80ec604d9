"""Marrows of a few virtual patients, grown once for all tests of this folder."""

from dataclasses import dataclass

import numpy as np
import pytest

from tme_abm.patient import draw_patient, load_population
from tme_abm.pharmacology.drug import catalogue, load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation import Settings, Simulation, make_patient_key

DRUGS = {name: load_drug(name) for name in catalogue()}
CYCLE = 28
STEPS_PER_DAY = 4

LINES = {
    "isatuximab": (Dose("isatuximab", 10.0, "mg/kg", (1, 8, 15, 22)),),
    "daratumumab": (Dose("daratumumab", 16.0, "mg/kg", (1, 8, 15, 22)),),
    "elotuzumab": (Dose("elotuzumab", 10.0, "mg/kg", (1, 8, 15, 22)),),
    "pomalidomide": (Dose("pomalidomide", 4.0, "mg", tuple(range(1, 22))),),
    "lenalidomide": (Dose("lenalidomide", 25.0, "mg", tuple(range(1, 22))),),
    "carfilzomib": (Dose("carfilzomib", 56.0, "mg/m2", (1, 2, 8, 9, 15, 16)),),
    "bortezomib": (Dose("bortezomib", 1.3, "mg/m2", (1, 4, 8, 11)),),
    "dexamethasone": (Dose("dexamethasone", 40.0, "mg", (1, 8, 15, 22)),),
}


@dataclass(frozen=True)
class Cohort:
    """Grown marrows of several patients."""

    grown: tuple[Simulation, ...]

    def burden(self, *drugs: str, days: int = 84, without: frozenset[str] = frozenset()) -> np.ndarray:
        """Natural logarithm of the tumour burden of each patient (n_patients,) after `days` of these drugs, on the same dice."""
        regimen = Regimen("given", "given", CYCLE, tuple(line for drug in drugs for line in LINES[drug]))
        result = []
        for marrow in self.grown:
            treated = marrow.fork(regimen, DRUGS, without)
            treated.advance(days * STEPS_PER_DAY)
            result.append(np.log(max(treated.marrow.body.burden.sum(), 1.0)))
        return np.array(result)


@pytest.fixture(scope="session")
def cohort() -> Cohort:
    """A dozen patients as in ICARIA-MM, on patches of 48 x 48 sites."""
    population = load_population("icaria")
    grown, index = [], 0
    while len(grown) < 12:
        marrow = Simulation(draw_patient(population, 31, index), Settings(48, 48), make_patient_key(31, index))
        index += 1
        if marrow.grow():
            grown.append(marrow)
    return Cohort(tuple(grown))
