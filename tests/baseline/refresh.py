"""The frozen numbers of a few short runs. Refresh them with

    python -m tests.baseline.refresh

after a change that is meant to change results, and say in the changelog which numbers moved and why.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from tme_abm.marrow.state import Gauge
from tme_abm.patients.population import draw_patient
from tme_abm.patients.presets import preset
from tme_abm.patients.reading import load_population
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation, make_patient_key
from tme_abm.simulation.treatment import UNTREATED

PATH = Path(__file__).with_name("baseline.json")
SEED = 2024
DEX = Dose("dexamethasone", 40.0, "mg", (1, 8, 15, 22), elderly_amount=20.0)
POM = Dose("pomalidomide", 4.0, "mg", tuple(range(1, 22)))
ISA = (Dose("isatuximab", 10.0, "mg/kg", (1, 8, 15, 22), 1, 1), Dose("isatuximab", 10.0, "mg/kg", (1, 15), 2))
DARA = (Dose("daratumumab", 16.0, "mg/kg", (1, 8, 15, 22), 1, 2), Dose("daratumumab", 16.0, "mg/kg", (1, 15), 3))
CAR = Dose("carfilzomib", 56.0, "mg/m2", (1, 2, 8, 9, 15, 16))
REGIMENS = (
    UNTREATED,
    Regimen("isa", "Isa", 28, ISA),
    Regimen("pd", "Pd", 28, (POM, DEX)),
    Regimen("isa-pd", "Isa-Pd", 28, (*ISA, POM, DEX)),
    Regimen("dara-kd", "Dara-Kd", 28, (*DARA, CAR, DEX)),
)
DAYS = 84


def summarise(simulation: Simulation) -> dict[str, Any]:
    """What is frozen of one run: counts that must agree exactly, and quantities that agree but for rounding."""
    body, cells = simulation.marrow.body, simulation.marrow.cells
    digest = hashlib.blake2b(digest_size=8)
    for column in (cells.kind, cells.clone, cells.uid):
        digest.update(column.tobytes())
    seen = simulation.observe()
    quantities = ("m_protein_g_per_l", "tumour_cells_total", "adenosine", "il6", "chemokine", "t_cell_granzyme", "nk_granzyme")
    return {
        "counts": {
            "cells": np.bincount(cells.kind, minlength=9).tolist(),
            "births": body.births.tolist(),
            "deaths_by_cause": body.ledger.sum(axis=0).tolist(),
            "plasma_cells_by_clone": np.bincount(cells.clone[cells.kind == 1], minlength=8).tolist(),
            "who_stands_where": digest.hexdigest(),
        },
        "quantities": {name: seen[name] for name in quantities} | {"surface_cd38": float(body.gauge[Gauge.SURFACE_CD38])},
    }


def compute() -> dict[str, Any]:
    """All runs: the typical patient under each regimen, and three drawn ones as they become eligible."""
    runs: dict[str, Any] = {}
    start = Simulation(preset("typical"), Settings(32, 32), make_patient_key(SEED, 0))
    start.advance(28)
    for regimen in REGIMENS:
        arm = start.fork(regimen, {name: load_drug(name) for name in regimen.drugs})
        arm.advance(4 * DAYS)
        runs[f"typical, {regimen.key}"] = summarise(arm)
    population = load_population("icaria")
    for index in range(3):
        grown = Simulation(draw_patient(population, SEED, index), Settings(32, 32), make_patient_key(SEED, index))
        is_eligible = grown.grow()
        runs[f"icaria {index}, grown"] = summarise(grown)
        runs[f"icaria {index}, grown"]["counts"] |= {"steps": grown.step, "is_eligible": is_eligible}
    return runs


if __name__ == "__main__":
    PATH.write_text(json.dumps(compute(), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {PATH}")
