"""What a step of the full model costs: nanoseconds per cell-update, seconds per patient-year, and what each mechanism takes.

A cell-update is one live cell carried over one step with all mechanisms and fields. CPU time of one thread, median over rounds that
visit all cases in turn, so that a slow moment of the machine meets all alike.

Run: python benchmarks/bench_step.py [--sides 64 128 256] [--rounds 5] [--json FILE]
"""

import argparse
import json
import statistics
import time
from dataclasses import replace

from bench_field import machine

from tme_abm.mechanisms import MECHANISMS
from tme_abm.patient import draw_patient
from tme_abm.scenario import load_scenario
from tme_abm.simulation import Settings, Simulation, make_patient_key
from tme_abm.trial.study import Study

PATIENT = 11
WARM_DAYS = 10
ARMS = ("untreated", "pd", "isa-pd")


def prepared(study: Study, settings: Settings, arm: str) -> Simulation:
    """A marrow ten days into an arm."""
    marrow = Simulation(draw_patient(study.population, study.seed, PATIENT), settings, make_patient_key(study.seed, PATIENT))
    per_day = round(24.0 / settings.step_h)
    marrow.advance(WARM_DAYS * per_day)
    if arm != "untreated":
        regimen = next(r for r in study.arms if r.key == arm)
        marrow = marrow.fork(regimen, study.drugs)
        marrow.advance(WARM_DAYS * per_day)
    return marrow


def timed(marrow: Simulation, n_steps: int) -> tuple[float, float]:
    """CPU seconds per step and cells per step of a copy of a marrow."""
    twin = marrow.copy()
    before = int(twin.marrow.body.updates[0])
    start = time.process_time()
    twin.advance(n_steps)
    seconds = time.process_time() - start
    return seconds / n_steps, (int(twin.marrow.body.updates[0]) - before) / n_steps


def by_size(study: Study, sides: list[int], rounds: int) -> list[dict[str, float | str]]:
    """A row per size of the patch and arm."""
    rows = []
    for side in sides:
        settings = replace(study.settings, height=side, width=side)
        marrows = {arm: prepared(study, settings, arm) for arm in ARMS}
        n_steps = max(8, int(2e6 / side**2))
        samples: dict[str, list[tuple[float, float]]] = {arm: [] for arm in ARMS}
        for _ in range(rounds):
            for arm, marrow in marrows.items():
                samples[arm].append(timed(marrow, n_steps))
        for arm, pairs in samples.items():
            step = statistics.median(s for s, _ in pairs)
            cells = statistics.median(c for _, c in pairs)
            year = step * 365.25 * 24.0 / settings.step_h
            rows.append(
                {"side": side, "arm": arm, "cells": cells, "us_per_step": 1e6 * step, "ns_per_cell": 1e9 * step / cells, "s_per_year": year}
            )
            print(f"{side:5d} {arm:10s} {cells:9.0f} {1e6 * step:12.1f} {1e9 * step / cells:12.1f} {year:14.2f}", flush=True)
    return rows


def by_mechanism(study: Study, rounds: int) -> list[dict[str, float | str]]:
    """Microseconds of a step that each mechanism takes: with it and without it, from the same marrow, for a short while."""
    marrow = prepared(study, study.settings, "isa-pd")
    without = {m.name: marrow.copy() for m in MECHANISMS}
    for name, twin in without.items():
        twin.switch(name, False)
    saved: dict[str, list[float]] = {m.name: [] for m in MECHANISMS}
    for _ in range(rounds):
        for name, twin in without.items():
            saved[name].append(timed(marrow, 40)[0] - timed(twin, 40)[0])
    rows: list[dict[str, float | str]] = []
    for name, values in sorted(saved.items(), key=lambda item: -statistics.median(item[1])):
        rows.append({"mechanism": name, "us_per_step": 1e6 * statistics.median(values)})
        print(f"{name:18s} {1e6 * statistics.median(values):8.1f}", flush=True)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", default="", help="write the result to this file too")
    options = parser.parse_args()
    study = load_scenario("icaria")
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print(f"\n{'side':>5s} {'arm':10s} {'cells':>9s} {'us a step':>12s} {'ns a cell':>12s} {'s a patient-year':>14s}")
    sizes = by_size(study, options.sides, options.rounds)
    print("\nwhat a step of Isa-Pd saves without a mechanism [us], 64 x 64; the marrow itself changes a little without it")
    mechanisms = by_mechanism(study, options.rounds)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine(), "rounds": options.rounds, "sizes": sizes, "mechanisms": mechanisms}, file, indent=2)


if __name__ == "__main__":
    main()
