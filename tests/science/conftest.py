"""Marrows of virtual patients, grown once for all tests of this folder, and what became of them under drugs."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest

from tme_abm.marrow.cells import CellType
from tme_abm.marrow.state import CROWD, Gauge
from tme_abm.patients.population import draw_patient
from tme_abm.patients.reading import load_population
from tme_abm.pharmacology.drug import catalogue, load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation, make_patient_key

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


class Gain(NamedTuple):
    """Mean over patients of a paired difference, and its standard error."""

    mean: float
    error: float
    n: int

    @property
    def is_clear(self) -> bool:
        """Whether the mean lies more than two standard errors above zero."""
        return self.mean > 2.0 * self.error > 0.0

    def __str__(self) -> str:
        return f"{self.mean:.3g} (SE {self.error:.2g}, n = {self.n})"


def paired(more, less) -> Gain:
    """What `more` has over `less`, both (n_patients,) and on the same dice."""
    difference = np.asarray(more, float) - np.asarray(less, float)
    return Gain(float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(difference.size)), difference.size)


@dataclass(frozen=True)
class Cohort:
    """Grown marrows of several patients."""

    grown: tuple[Simulation, ...]
    seen: dict = field(default_factory=dict)

    def treat(self, *drugs: str, days: float = 84, without: frozenset[str] = frozenset(), stop: float | None = None) -> list[Simulation]:
        """Each patient after `days` of these drugs, on the same dice; doses end on day `stop`."""
        regimen = Regimen("given", "given", CYCLE, tuple(line for drug in drugs for line in LINES[drug]), stop)
        result = []
        for marrow in self.grown:
            treated = marrow.fork(regimen, DRUGS, without)
            treated.advance(round(days * STEPS_PER_DAY))
            result.append(treated)
        return result

    def after(self, *drugs: str, days: float = 84, without: frozenset[str] = frozenset()) -> dict[str, np.ndarray]:
        """What is observed in each patient after `days` of these drugs, by name (n_patients,); kept for the tests that ask again."""
        asked = (drugs, days, without)
        if asked not in self.seen:
            self.seen[asked] = read(self.treat(*drugs, days=days, without=without))
        return self.seen[asked]

    def burden(self, *drugs: str, days: float = 84, without: frozenset[str] = frozenset()) -> np.ndarray:
        """Natural logarithm of the tumour burden of each patient (n_patients,) after `days` of these drugs, on the same dice."""
        return self.after(*drugs, days=days, without=without)["log_burden"]


def read(marrows) -> dict[str, np.ndarray]:
    """What is observed in each of some marrows, with the logarithm of the burden and the births since the start of treatment."""
    rows = []
    for simulation in marrows:
        body = simulation.marrow.body
        births = {f"{t.name.lower()}_births": int(body.births[t]) for t in CellType}
        rows.append(simulation.observe() | births | {"log_burden": float(np.log(max(body.burden.sum(), 1.0)))})
    return {name: np.array([row[name] for row in rows], float) for name in rows[0]}


def contact(arm, effector: str) -> float:
    """Effectors of a kind ("nk", "t_cell") that the mean plasma cell met in the last step, by their potency; lysis is in proportion to it.

    What counting rare deaths would give in the long run, as no kill is counted.
    """
    left = getattr(arm.marrow.contacts, effector).reshape(arm.settings.height, arm.settings.width).astype(float)
    near = sum(np.roll(left, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
    armed = arm.marrow.body.gauge[Gauge.NK_ARMED] if effector == "nk" else 1.0
    plasma = (arm.marrow.cells.kind == CellType.PLASMA).reshape(near.shape)
    return float(np.minimum(CROWD, armed * near[plasma]).mean())


def is_full(config: pytest.Config) -> bool:
    """Whether the full sizes were asked for (`python -m tests.science.evidence --full`)."""
    return bool(config.getoption("full", default=False))


@pytest.fixture(scope="session")
def full(request) -> bool:
    """Whether tests that have a reduced form are to run at full size."""
    return is_full(request.config)


def grow(patients: int, side: int) -> Cohort:
    """The first patients of the population of ICARIA-MM whose marrow stands, on patches of side x side sites."""
    population = load_population("icaria")
    grown, index = [], 0
    while len(grown) < patients:
        marrow = Simulation(draw_patient(population, 31, index), Settings(side, side), make_patient_key(31, index))
        index += 1
        if marrow.grow():
            grown.append(marrow)
    return Cohort(tuple(grown))


@pytest.fixture(scope="session")
def cohort(full) -> Cohort:
    """A dozen patients as in ICARIA-MM, on patches of 48 x 48 sites; four dozen on 64 x 64 in the full form."""
    return grow(48, 64) if full else grow(12, 48)


@pytest.fixture(scope="session")
def large_cohort(full, cohort) -> Cohort:
    """Four dozen patients in the reduced form too, for what differs much between patients or is seen in few of them."""
    return cohort if full else grow(48, 48)


@pytest.fixture(scope="session")
def gain():
    """The function `paired`."""
    return paired


@pytest.fixture(scope="session")
def engaged():
    """The function `contact`."""
    return contact


@pytest.fixture(scope="session")
def follow():
    """A function that runs a study, with its exits and its assessments, and returns a row for each patient and arm.

    With `visits` it returns the rows of the visits as well.
    """
    import pandas as pd

    from tme_abm.scenario.kinds import load_scenario
    from tme_abm.trial.execution import run_alone

    def run(given, *overrides, patients=None, without=(), visits=False):
        study = load_scenario(given, overrides, patients=patients, without=without)
        cases = [run_alone(study, index) for index in range(study.patients)]
        table = pd.DataFrame([row for case in cases for row in case.patients])
        assert (table["status"] == "completed").all()
        return (table, pd.DataFrame([row for case in cases for row in case.visits])) if visits else table

    return run
