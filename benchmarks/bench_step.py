"""What a step of the full model costs: nanoseconds per cell-update, seconds per patient-year, and what each mechanism takes.

A cell-update is one live cell carried over one step with all mechanisms and fields. CPU time of one thread, median over rounds that
visit all cases in turn, so that a slow moment of the machine meets all alike. Beside it stand the memory of a marrow, the bytes that
a cell-update moves at least (`bytes_per_step`, an estimate) and the memory bandwidth measured by a copy. The fixed cost of a step is
what a smallest patch, all but empty, still takes: inside a batch of steps, for a batch of one, and through Mesa.

Run: python benchmarks/bench_step.py [--sides 64 128 256] [--large] [--rounds 5] [--json FILE]
"""

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
from bench_memory import bytes_per_site
from machine import add_json, headline, write

from tme_abm.marrow.cells import CellType
from tme_abm.mechanisms import MECHANISMS
from tme_abm.patients.population import draw_patient
from tme_abm.scenario.kinds import load_scenario
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation, make_patient_key
from tme_abm.trial.study import Study

PATIENT = 11
WARM_DAYS = 10
MOST_STEPS = 112  # four weeks: after more it would be another marrow
ARMS = ("untreated", "pd", "isa-pd")
LARGE = {500: 2, 512: 2, 1500: 1}  # side of the patch -> days of warming up; the largest one holds about a million cells

Row = dict[str, float | str]


def prepared(study: Study, settings: Settings, arm: str, days: int = WARM_DAYS) -> Simulation:
    """A marrow some days into an arm."""
    marrow = Simulation(draw_patient(study.population, study.seed, PATIENT), settings, make_patient_key(study.seed, PATIENT))
    per_day = round(24.0 / settings.step_h)
    marrow.advance(days * per_day)
    if arm != "untreated":
        regimen = next(r for r in study.arms if r.key == arm)
        marrow = marrow.fork(regimen, study.drugs)
        marrow.advance(days * per_day)
    return marrow


def timed(marrow: Simulation, n_steps: int) -> tuple[float, float]:
    """CPU seconds per step and cells per step of a copy of a marrow."""
    twin = marrow.copy()
    twin.advance(0)  # all bundles are written down once for an arm, not once a step
    before = int(twin.marrow.body.updates[0])
    start = time.process_time()
    twin.advance(n_steps)
    seconds = time.process_time() - start
    return seconds / n_steps, (int(twin.marrow.body.updates[0]) - before) / n_steps


def bytes_per_step(marrow: Simulation) -> float:
    """Bytes that a step moves at least, each column counted once for each pass over it.

    A byte of type and four of roster for a site, twice; four columns of contact cleared; for a cell that can die its identity;
    for an immune cell all of its columns read and written, four stops of 8 bytes (contact) and 1 (is it free), and for T and
    NK cells activity, granzyme and nine sites of suppressors; a quarter (once a day) of three fields of 30 passes of 4 bytes.
    """
    kinds = np.bincount(marrow.marrow.cells.kind, minlength=len(CellType))
    n_sites, immune = int(kinds.sum()), int(kinds[CellType.T : CellType.STROMA].sum())
    cell = sum(column.itemsize for column in marrow.marrow.cells)
    lymphocytes = int(kinds[CellType.T] + kinds[CellType.NK])
    passes = 2 * 5 + 16 + 30 * 3 * 4 * marrow.settings.step_h / 24.0
    return float(n_sites * passes + 8 * (immune + kinds[CellType.PLASMA]) + immune * (2 * cell + 4 * 9) + lymphocytes * (16 + 36))


def bandwidth() -> float:
    """Bytes a second that one thread copies, both ways counted, of arrays beyond all caches."""
    source = np.ones(16_000_000)
    target = np.empty_like(source)
    best = np.inf
    for _ in range(5):
        start = time.process_time()
        np.copyto(target, source)
        best = min(best, time.process_time() - start)
    return 2 * source.nbytes / best


def by_size(study: Study, cases: dict[int, int], arms: tuple[str, ...], rounds: int) -> list[Row]:
    """A row per size of the patch and arm; `cases` gives the days of warming up for each side."""
    rows: list[Row] = []
    for side, days in cases.items():
        settings = replace(study.settings, height=side, width=side)
        marrows = {arm: prepared(study, settings, arm, days) for arm in arms}
        n_steps = min(max(4, int(2e6 / side**2)), MOST_STEPS)
        samples: dict[str, list[tuple[float, float]]] = {arm: [] for arm in arms}
        for _ in range(rounds):
            for arm, marrow in marrows.items():
                samples[arm].append(timed(marrow, n_steps))
        for arm, pairs in samples.items():
            step = statistics.median(s for s, _ in pairs)
            cells = statistics.median(c for _, c in pairs)
            row: Row = {
                "side": side,
                "arm": arm,
                "cells": cells,
                "us_per_step": 1e6 * step,
                "ns_per_cell": 1e9 * step / cells,
                "s_per_year": step * 365.25 * 24.0 / settings.step_h,
                "memory_bytes_per_site": bytes_per_site(marrows[arm]),
                "bytes_per_cell_update": bytes_per_step(marrows[arm]) / cells,
            }
            rows.append(row)
            print(
                f"{side:5d} {arm:10s} {cells:9.0f} {row['us_per_step']:12.1f} {row['ns_per_cell']:12.1f} {row['s_per_year']:16.2f}"
                f" {row['memory_bytes_per_site']:14.0f} {row['bytes_per_cell_update']:14.0f}",
                flush=True,
            )
    return rows


def fixed_cost(study: Study, rounds: int) -> list[Row]:
    """Microseconds of a step of the smallest patch: inside a batch, as a batch of one, and through Mesa."""
    from tme_abm.mesa_model.model import TumourModel

    settings = replace(study.settings, height=16, width=16)
    marrow = prepared(study, settings, "isa-pd", 1)
    marrow.marrow.cells.kind[:] = 0
    model = TumourModel(patient="typical", height=16, width=16)
    samples: dict[str, list[float]] = {"inside a batch": [], "a batch of one": [], "Mesa's step()": []}
    n = MOST_STEPS
    for _ in range(rounds + 1):
        samples["inside a batch"].append(timed(marrow, n)[0])
        for name, step in (("a batch of one", lambda: marrow.advance(1)), ("Mesa's step()", model.step)):
            start = time.process_time()
            for _ in range(n):
                step()
            samples[name].append((time.process_time() - start) / n)
    rows: list[Row] = []
    for name, values in samples.items():
        rows.append({"passage": name, "us_per_step": 1e6 * statistics.median(values[1:])})
        print(f"{name:18s} {rows[-1]['us_per_step']:8.1f}", flush=True)
    return rows


def by_mechanism(study: Study, rounds: int) -> list[Row]:
    """Microseconds of a step that each mechanism takes: with it and without it, from the same marrow, for a short while."""
    marrow = prepared(study, study.settings, "isa-pd")
    without = {m.name: marrow.copy() for m in MECHANISMS}
    for name, twin in without.items():
        twin.switch(name, False)
    saved: dict[str, list[float]] = {m.name: [] for m in MECHANISMS}
    for _ in range(rounds):
        for name, twin in without.items():
            saved[name].append(timed(marrow, 40)[0] - timed(twin, 40)[0])
    rows: list[Row] = []
    for name, values in sorted(saved.items(), key=lambda item: -statistics.median(item[1])):
        rows.append({"mechanism": name, "us_per_step": 1e6 * statistics.median(values)})
        print(f"{name:18s} {1e6 * statistics.median(values):8.1f}", flush=True)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--large", action="store_true", help="also patches of 500, 512 and 1,500 sites a side (a million cells), untreated")
    parser.add_argument("--rounds", type=int, default=5)
    add_json(parser)
    options = parser.parse_args()
    study = load_scenario("icaria")
    print(headline())
    copied = bandwidth()
    print(f"one thread copies {copied / 1e9:.1f} GB/s")
    head = f"{'us a step':>12s} {'ns a cell':>12s} {'s a patient-year':>16s} {'bytes a site':>14s} {'bytes a cell':>14s}"
    print(f"\n{'side':>5s} {'arm':10s} {'cells':>9s} {head}")
    sizes = by_size(study, dict.fromkeys(options.sides, WARM_DAYS), ARMS, options.rounds)
    if options.large:
        sizes += by_size(study, LARGE, ("untreated",), min(options.rounds, 3))
    print("\nfixed cost of a step [us], a patch of 16 x 16 without cells (Mesa: with them)")
    fixed = fixed_cost(study, options.rounds)
    print("\nwhat a step of Isa-Pd saves without a mechanism [us], 64 x 64; the marrow itself changes a little without it")
    mechanisms = by_mechanism(study, options.rounds)
    tables = {"sizes": sizes, "fixed": fixed, "mechanisms": mechanisms}
    write(options.json, "step", tables, rounds=options.rounds, copy_gb_per_s=copied / 1e9)


if __name__ == "__main__":
    main()
