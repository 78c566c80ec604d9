"""One worker process, two, and a Dask cluster of two: how much faster a trial is, and whether the memory of a long one is flat.

    python benchmarks/bench_scale.py [--study icaria] [--patients N] [--rounds 3] [--long 1000] [--json FILE]

Each run is a process of its own, `tme run STUDY`, as a user starts it: imports, tables, figures and the report are in its time, compiling
is not. Rounds go through the contestants in turn, and a ratio is taken within a round. The Dask scheduler and its two workers run on this
machine all the while, idle when it is not their turn. All must end in the same state, or the benchmark stops.

Memory is the resident set of the process that holds the run, not of its workers, looked at twice a second while the patients of a long
trial on small patches run: its median over the first tenth of the patients, but for the first fifth of these (when imports come), over the
last tenth, and the difference.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from bench_trial import Run, run
from loopback import Loopback
from machine import add_json, headline, ratio, spread, write

SMALL = ("--set", "marrow.shape=[32, 32]", "--set", 'trial.follow_up=["2 month", "3 month"]')
LOOK_S = 0.5  # between two looks at the memory [s]


def contestants(address: str) -> dict[str, tuple[str, ...]]:
    """Name -> options of the command."""
    return {
        "1 process": ("--processes", "--workers", "1"),
        "2 processes": ("--processes", "--workers", "2"),
        "Dask, 2 workers": ("--scheduler", address),
    }


def trial(study: str, options: tuple[str, ...], folder: Path) -> tuple[Run, str]:
    """Run a study; what it took, and its state hash."""
    taken = run("-m", "tme_abm.cli", "run", study, "--out", str(folder), "--force", "--quiet", *options)
    return taken, str(json.loads((folder / "summary.json").read_text())["state_hash"])


def measure_speed(study: str, patients: int | None, rounds: int, address: str) -> list[dict[str, Any]]:
    """A row for each contestant."""
    number = () if patients is None else ("--patients", str(patients))
    taken: dict[str, list[float]] = {name: [] for name in contestants(address)}
    hashes = set()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / study
        for options in contestants(address).values():
            trial(study, (*options, "--patients", "4"), folder)  # all workers have compiled, or read what is
        for _ in range(rounds):
            for name, options in contestants(address).items():
                used, state = trial(study, (*options, *number), folder)
                taken[name].append(used.wall_s)
                hashes.add(state)
        asked = json.loads((folder / "summary.json").read_text())["patients"]
    if len(hashes) != 1:
        raise SystemExit(f"{study}: the contestants do not end in the same state")
    rows = []
    for name, seconds in taken.items():
        faster, of_two = ratio(taken["1 process"], seconds), ratio(taken["2 processes"], seconds)
        rows.append(
            {
                "study": study,
                "patients": asked,
                "executor": name,
                "wall_s": spread(seconds).median,
                "times_faster": faster.median,
                "faster_low": faster.low,
                "faster_high": faster.high,
                "of_two_processes": of_two.median,
            }
        )
    return rows


def measure_memory(study: str, patients: int, executor: str, options: tuple[str, ...]) -> dict[str, Any]:
    """The memory of a long trial, early and late."""
    import psutil

    from tme_abm.batch.journal import Journal
    from tme_abm.batch.results import WORK

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "r"
        command = [sys.executable, "-m", "tme_abm.cli", "run", study, "--out", str(folder), "--quiet", *options, *SMALL]
        process = subprocess.Popen([*command, "--patients", str(patients)], stdout=subprocess.DEVNULL, env=dict(os.environ))
        seen: list[tuple[int, float]] = []  # patients on disk, MiB
        held = psutil.Process(process.pid)
        while process.poll() is None:
            time.sleep(LOOK_S)
            try:
                done, mib = len(Journal(folder / WORK / "journal")), held.memory_info().rss / 2**20
            except (OSError, psutil.Error):
                break
            if 0 < done < patients:
                seen.append((done, mib))
        if process.wait():
            raise SystemExit(f"{executor}: exit code {process.returncode}")
    early = [mib for done, mib in seen if 0.02 * patients <= done <= 0.1 * patients]
    late = [mib for done, mib in seen if done >= 0.9 * patients]
    if not early or not late:
        raise SystemExit(f"{executor}: {patients} patients are over too soon to be looked at; ask for more (--long)")
    first, last = median(early), median(late)
    return {"executor": executor, "patients": patients, "early_mib": first, "late_mib": last, "growth_mib": last - first}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Compare worker processes with a Dask cluster.")
    parser.add_argument("--study", default="icaria")
    parser.add_argument("--patients", type=int, help="fewer patients than the study has")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", type=int, default=1000, help="patients of the trial whose memory is looked at")
    add_json(parser)
    options = parser.parse_args()
    print(headline())
    with Loopback(2) as cluster:
        speed = measure_speed(options.study, options.patients, options.rounds, cluster.address)
        for row in speed:
            print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()), flush=True)
        memory = []
        for name, chosen in list(contestants(cluster.address).items())[1:]:
            memory.append(measure_memory(options.study, options.long, name, chosen))
            print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in memory[-1].items()), flush=True)
    write(options.json, "scale", {"speed": speed, "memory": memory}, rounds=options.rounds)


if __name__ == "__main__":
    main()
