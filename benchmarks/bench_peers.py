"""The same simple model, TME-7, on this package's machinery, in plain Mesa, in mesa-frames and in vectorised numpy.

    python benchmarks/bench_peers.py [--cells 2000 10000 40000 100000] [--rounds 7] [--seeds 40] [--json FILE]

A cell-step is one live cell carried over one step, the field included; `tme7.py` states the rules, and what each variant takes turns in.
Before anything is timed, the variants have to agree: figures of the tissue after 30 steps, over many seeds, by the difference of their
means in standard errors and by the test of Kolmogorov and Smirnov. mesa-frames takes part where it is installed.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from machine import Spread, add_json, headline, ratio, spread, write
from scipy.stats import ttest_ind
from tme7 import FIGURES_OF_ORDER, TURNS, Variant, differences, distances
from tme7_engine import Engine

OURS = "tme_abm"
HOMES = {"Mesa": ("tme7_mesa", "PlainMesa"), "mesa-frames": ("tme7_frames", "Frames"), "numpy": ("tme7_numpy", "Vectorised")}
LARGEST = {"Mesa": 10_000, "mesa-frames": 10_000, "numpy": 100_000}  # cells; a larger tissue would take minutes
STEPS = {"Mesa": 2, "mesa-frames": 1, "numpy": 4}  # in a round
OUR_STEPS = 20
WARM_STEPS = 3
ENOUGH = 400_000  # cell-steps of ours in a round: as many tissues as that takes
COMPARED_CELLS, COMPARED_STEPS = 1000, 30
OUR_SEEDS = 10  # times as many as the others
LEAST_P = 1e-5  # of Welch's test of the means, below which two variants do not have the same rules

Make = Callable[[int, int], Variant]


def variants() -> dict[str, Make]:
    """The other variants that can be had here."""
    found: dict[str, Make] = {}
    for name, (module, attribute) in HOMES.items():
        try:
            found[name] = getattr(importlib.import_module(module), attribute)
        except ImportError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return found


def sample(make: Make, seeds: range, cells: int = COMPARED_CELLS, steps: int = COMPARED_STEPS) -> list[dict[str, float]]:
    """Censuses of a tissue after some steps, one for each seed."""
    found = []
    for seed in seeds:
        tissue = make(cells, seed)
        tissue.advance(steps)
        found.append(tissue.census())
    return found


def agreement(others: dict[str, Make], seeds: int) -> list[dict[str, Any]]:
    """A row for each variant and figure of the census."""
    ours = sample(Engine, range(1000, 1000 + OUR_SEEDS * seeds))
    rows = []
    for name, make in others.items():
        theirs = sample(make, range(1, seeds + 1))
        apart, alike = differences(ours, theirs), distances(ours, theirs)
        for figure in ours[0]:
            means = [float(np.mean([row[figure] for row in rows_])) for rows_ in (ours, theirs)]
            rows.append(
                {
                    "variant": name,
                    "figure": figure,
                    "ours": means[0],
                    "theirs": means[1],
                    "standard_errors": apart[figure],
                    "ks_p": None if figure in FIGURES_OF_ORDER else alike[figure],
                    "seeds": seeds,
                }
            )
            if ttest_ind(*([row[figure] for row in rows_] for rows_ in (ours, theirs)), equal_var=False).pvalue < LEAST_P:
                raise SystemExit(f"{name} does not agree with {OURS} in '{figure}': {means[1]:.4g} against {means[0]:.4g}")
    return rows


def ours_once(cells: int, seed: int) -> tuple[float, float]:
    """Seconds a cell-step of fresh tissues, in all and of the field."""
    seconds, field, updates, count = 0.0, 0.0, 0, max(1, ENOUGH // (cells * OUR_STEPS))
    tissues = [Engine(cells, seed * 1000 + i) for i in range(count)]
    for tissue in tissues:
        tissue.advance(WARM_STEPS)
    before = sum(tissue.updates for tissue in tissues)
    start = time.process_time()
    for tissue in tissues:
        tissue.advance(OUR_STEPS)
    seconds = time.process_time() - start
    updates = sum(tissue.updates for tissue in tissues) - before
    for tissue in tissues:
        field += tissue.time_field(OUR_STEPS)
    return seconds / updates, field / updates


def theirs_once(tissue: Variant, steps: int) -> tuple[float, float]:
    """The same of a variant that is running already."""
    updates, field = tissue.updates, tissue.field_seconds
    start = time.process_time()
    tissue.advance(steps)
    seconds = time.process_time() - start
    updates = tissue.updates - updates
    return seconds / updates, (tissue.field_seconds - field) / updates


def race(others: dict[str, Make], cells: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each variant at one size."""
    running = {name: make(cells, 1) for name, make in others.items() if cells <= LARGEST[name]}
    for tissue in running.values():
        tissue.advance(WARM_STEPS)
    ours_once(cells, 0)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in (OURS, *running)}
    for number in range(rounds):
        taken[OURS].append(ours_once(cells, number + 1))
        for name, tissue in running.items():
            taken[name].append(theirs_once(tissue, STEPS[name]))
    reference = [whole for whole, _ in taken[OURS]]
    rows = []
    for name, pairs in taken.items():
        whole: Spread = spread([1e9 * s for s, _ in pairs])
        times = ratio([s for s, _ in pairs], reference)
        rows.append(
            {
                "cells": cells,
                "variant": name,
                "ns_per_cell": whole.median,
                "ns_low": whole.low,
                "ns_high": whole.high,
                "ns_field": spread([1e9 * f for _, f in pairs]).median,
                "times_ours": times.median,
                "times_low": times.low,
                "times_high": times.high,
            }
        )
        field = rows[-1]["ns_field"]
        print(f"{cells:7d} {name:12} {whole!s:>28} {field:8.1f}   {times}", flush=True)
    return rows


def main() -> None:
    """Compare, time, print."""
    parser = argparse.ArgumentParser(description="Time TME-7 on this package's machinery against other ways of writing it.")
    parser.add_argument("--cells", type=int, nargs="+", default=[2000, 10_000, 40_000, 100_000])
    parser.add_argument("--rounds", type=int, default=7, help="paired measurements")
    parser.add_argument("--seeds", type=int, default=40, help="runs of each variant that are compared; ours ten times as many")
    add_json(parser)
    options = parser.parse_args()
    print(headline())
    others = variants()
    print(f"\n{COMPARED_CELLS} cells after {COMPARED_STEPS} steps: means of ours and theirs, standard errors apart, Kolmogorov-Smirnov")
    agreed = agreement(others, options.seeds)
    for row in agreed:
        p = "" if row["ks_p"] is None else f"p {row['ks_p']:.2f}"
        print(f"{row['variant']:12} {row['figure']:14} {row['ours']:9.3f} {row['theirs']:9.3f} {row['standard_errors']:7.2f}  {p}")
    print(f"\n{'cells':>7} {'variant':12} {'ns a cell-step':>28} {'field':>8}   times {OURS} (quartiles)")
    timed = [row for cells in options.cells for row in race(others, cells, options.rounds)]
    work = [{"variant": name, "turns": turns} for name, turns in TURNS.items() if name == OURS or name in others]
    write(options.json, "peers", {"race": timed, "agreement": agreed, "work": work}, rounds=options.rounds, seeds=options.seeds)


if __name__ == "__main__":
    main()
