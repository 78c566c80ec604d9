"""One marrow of ten million cells over a week of model time: how long it takes, and whether its memory is bounded.

    python benchmarks/bench_large.py [--side 5000] [--days 7] [--json FILE]

5,000 x 5,000 sites of 12 um are a plane of 6 cm a side. The marrow is made, then taken through the week day by day, untreated; after each
day the cells are counted and the memory of the process is read. Making it is a row of its own (day 0), its peak included: that is where
most memory is taken for a moment. Bounded means that no day takes more than the one before, which the last line says.

For trials 64 x 64 sites are enough (docs/convergence.md): this says how far the same code goes, for those who ask about places (rare
clones, nests of plasma cells, distances).
"""

import argparse
import resource
import sys
import time
from dataclasses import replace
from typing import Any

from machine import add_json, headline, write

from tme_abm.patients.population import draw_patient
from tme_abm.scenario.kinds import load_scenario
from tme_abm.simulation.simulation import Simulation, make_patient_key
from tme_abm.trial.execution import compile_kernels

PATIENT = 11  # as in bench_step.py
MIB = 2**20

Row = dict[str, Any]


def peak_mib() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024.0 if sys.platform != "darwin" else MIB)


def resident_mib() -> float:
    """The memory that this process holds now."""
    import psutil

    return float(psutil.Process().memory_info().rss / MIB)


def week(side: int, days: int) -> list[Row]:
    """A row for the making, and one for each day."""
    study = load_scenario("icaria")
    compile_kernels(study)
    before = resident_mib()
    print(f"python, packages and compiled code: {before:.0f} MiB", flush=True)
    settings = replace(study.settings, height=side, width=side)
    per_day = round(24.0 / settings.step_h)
    rows: list[Row] = []

    def note(day: int, start: tuple[float, float], updates: int) -> None:
        wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
        cells = int(marrow.marrow.body.count[1:].sum())
        rows.append(
            {
                "side": side,
                "day": day,
                "cells": cells,
                "wall_s": wall,
                "cpu_s": cpu,
                "ns_per_cell": 1e9 * cpu / updates if updates else None,
                "resident_mib": resident_mib(),
                "peak_mib": peak_mib(),
                "bytes_per_site": (resident_mib() - before) * MIB / side**2,
            }
        )
        print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in rows[-1].items()), flush=True)

    start = time.perf_counter(), time.process_time()
    marrow = Simulation(draw_patient(study.population, study.seed, PATIENT), settings, make_patient_key(study.seed, PATIENT))
    note(0, start, 0)
    for day in range(1, days + 1):
        start, updates = (time.perf_counter(), time.process_time()), int(marrow.marrow.body.updates[0])
        marrow.advance(per_day)
        note(day, start, int(marrow.marrow.body.updates[0]) - updates)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Take one marrow of ten million cells through a week.")
    parser.add_argument("--side", type=int, default=5000)
    parser.add_argument("--days", type=int, default=7)
    add_json(parser)
    options = parser.parse_args()
    print(headline())
    rows = week(options.side, options.days)
    grown = rows[-1]["resident_mib"] - rows[1]["resident_mib"]
    print(
        f"memory from the end of the first day to that of the last: {grown:+.0f} MiB; the most at any moment {rows[-1]['peak_mib']:.0f} MiB"
    )
    write(options.json, "large", {"days": rows}, growth_mib=grown)


if __name__ == "__main__":
    main()
