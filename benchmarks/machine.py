"""What all benchmarks share: the record of the machine, timing in pairs, medians with their spread, and the JSON that tables are made of.

A benchmark is a script `bench_<name>.py` with an option `--json FILE`. To take part in `run_all.py` and in the tables of README.md:

    from machine import measure, write

    seconds = measure({"ours": run, "theirs": other}, rounds=15)   # name -> processor seconds of each round
    write(options.json, "name", {"sizes": rows}, rounds=15)        # rows: a list of dicts, the same keys in each

`write` makes {"benchmark", "command", "date", "machine", **tables, **facts}; `tables.py` says which columns of which table are shown. A
benchmark that cannot run here writes no table but the fact `left_out`, which says why and stands in the place of its tables.

Times are processor time of the process, all threads together. Every round times each contestant once, in turn, so that a slow moment
of the machine meets all alike; a time is the median over rounds, a ratio is taken within a round and given with its quartiles.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PACKAGES = ("tme-abm", "numpy", "scipy", "numba", "mesa", "mesa-frames", "polars", "pyamg", "py-pde", "pandas", "lifelines", "matplotlib")
SHORT_RUN = 0.004  # s; what takes less is repeated within a round
MOST_REPEATS = 50


class Spread(NamedTuple):
    """Median and quartiles."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        """The median and its quartiles, three digits each."""
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of a sample."""
    low, median, high = np.quantile(np.asarray(values, float), [0.25, 0.5, 0.75])
    return Spread(float(median), float(low), float(high))


def ratio(values: Sequence[float], reference: Sequence[float]) -> Spread:
    """Spread of the ratios taken round by round."""
    return spread(np.asarray(values, float) / np.asarray(reference, float))  # type: ignore[arg-type]


def timed(run: Callable[[], Any]) -> float:
    """Processor seconds of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def measure(contest: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Processor seconds a run, for each contestant and round; a short run is repeated within the round."""
    repeats = {}
    for name, run in contest.items():
        run()
        repeats[name] = max(1, min(MOST_REPEATS, int(SHORT_RUN / max(timed(run), 1e-6))))
    seconds: dict[str, list[float]] = {name: [] for name in contest}
    for _ in range(rounds):
        for name, run in contest.items():
            start = time.process_time()
            for _ in range(repeats[name]):
                run()
            seconds[name].append((time.process_time() - start) / repeats[name])
    return seconds


def machine() -> dict[str, str]:
    """Processor, cores, load and versions."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    found = {"processor": model, "cores": str(os.cpu_count()), "system": platform.system(), "python": platform.python_version()}
    if hasattr(os, "getloadavg"):
        found["load"] = f"{os.getloadavg()[0]:.1f}"
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option that every benchmark has."""
    parser.add_argument("--json", type=Path, help="also write the results to this file")


def headline() -> str:
    """The machine in one line."""
    return ", ".join(f"{key} {value}" for key, value in machine().items())


def write(path: Path | str | None, benchmark: str, tables: Mapping[str, Sequence[Mapping[str, Any]]], **facts: Any) -> None:
    """Write the results of a benchmark; nothing where no file is asked for."""
    if not path:
        return
    arguments = [a for i, a in enumerate(sys.argv[1:]) if not a.startswith("--json") and sys.argv[i] != "--json"]
    record = {
        "benchmark": benchmark,
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *arguments]),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        **facts,
        **tables,
    }
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(record, indent=1, default=float) + "\n", encoding="utf-8")
