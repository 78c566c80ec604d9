"""Bytes that a marrow takes for each site of its patch, bundle by bundle.

    python benchmarks/bench_memory.py [--sides 64 128 512] [--json FILE]

All arrays of a running simulation under Isa-Pd are counted once, whoever else looks at them. Hot is what a step reads or writes for many
sites: all but the levels of the multigrid solver, which are touched when a field is solved (once a day at most).
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from machine import add_json, headline, write

from tme_abm.patients.population import draw_patient
from tme_abm.scenario.kinds import load_scenario
from tme_abm.simulation.simulation import Simulation, make_patient_key

SOLVER = "grid"
MOST_BYTES = 120.0  # a site, of a patch of 128 x 128: a test holds it, so that memory grows by decision only


def arrays(bundle: Any) -> Iterator[np.ndarray]:
    """All arrays of a bundle of bundles."""
    if isinstance(bundle, np.ndarray):
        yield bundle
    elif isinstance(bundle, tuple):
        for part in bundle:
            yield from arrays(part)


def owner(array: np.ndarray) -> np.ndarray:
    """The array that holds the memory which an array looks at."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def bytes_by_bundle(simulation: Simulation) -> dict[str, int]:
    """Bytes of each bundle of a marrow; memory that two of them share counts for the first."""
    seen: set[int] = set()
    found = {}
    for name, part in simulation.marrow._asdict().items():
        owners = {id(memory): memory for memory in map(owner, arrays(part))}
        found[name] = sum(memory.nbytes for key, memory in owners.items() if key not in seen)
        seen |= set(owners)
    return found


def bytes_per_site(simulation: Simulation) -> float:
    """Bytes of all arrays of a marrow for each site of its patch."""
    return sum(bytes_by_bundle(simulation).values()) / simulation.marrow.cells.kind.size


def example(side: int) -> Simulation:
    """A marrow under Isa-Pd."""
    study = load_scenario("icaria")
    settings = replace(study.settings, height=side, width=side)
    marrow = Simulation(draw_patient(study.population, study.seed, 0), settings, make_patient_key(study.seed, 0))
    return marrow.fork(next(arm for arm in study.arms if arm.key == "isa-pd"), study.drugs)


def measure(sides: list[int]) -> list[dict[str, Any]]:
    """A row for each size and bundle, then the totals."""
    rows = []
    for side in sides:
        counted = bytes_by_bundle(example(side))
        total = sum(counted.values())
        parts = {**counted, "all": total, "hot": total - counted.get(SOLVER, 0)}
        rows += [{"side": side, "bundle": name, "bytes_per_site": n / side**2, "mib": n / 2**20} for name, n in parts.items()]
    return rows


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description="Count the bytes of a marrow.")
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128, 512])
    add_json(parser)
    options = parser.parse_args()
    print(headline())
    rows = measure(options.sides)
    for row in rows:
        print(f"{row['side']:5d} {row['bundle']:10} {row['bytes_per_site']:8.1f} B a site {row['mib']:9.3f} MiB")
    write(options.json, "memory", {"bundles": rows})


if __name__ == "__main__":
    main()
