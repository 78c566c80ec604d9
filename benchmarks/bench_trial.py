"""What a trial costs: seconds a trial and a patient-year with one worker and with two, and the most memory that a run takes.

    python benchmarks/bench_trial.py [--studies icaria ikema] [--patients N] [--rounds 2] [--workers 1 2] [--once STUDY] [--json FILE]

Each run is a process of its own, `tme run STUDY`, as a user starts it: imports, tables, statistics, figures and the report are in its
time, compiling is not (a short run before warms the cache). Rounds go through the numbers of workers in turn, and a ratio is taken
within a round; a study under `--once` is run once, with the last number of workers only. Seconds are of the clock, so they are good on a
quiet machine only; processor seconds are given beside them. Patient-years are those simulated: the growth of the disease and every arm,
until the patient leaves it. Without `--patients` a study has its own number of patients; with fewer, the seconds of the whole trial are
scaled up with the patients, fixed costs and all.

Runs with different numbers of workers must end in the same state, or the benchmark stops.

What keeps threads from scaling is Python's lock, which compiled calls let go of. So the share of a patient's processor time outside of them
is measured too, in one thread of this process: a figure that a busy machine does not blur.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from machine import add_json, headline, ratio, spread, write

DAYS_PER_YEAR = 365.25
MOST_IN_PROCESS = 30  # patients whose calls are timed one by one


class Run(NamedTuple):
    """What one process took."""

    wall_s: float
    cpu_s: float
    peak_mib: float  # resident; nan where the system does not tell


def run(*arguments: str, environment: dict[str, str] | None = None) -> Run:
    """Run a command of this Python to its end.

    Raises:
        SystemExit: Where it fails, with what it said.
    """
    return execute([sys.executable, *arguments], environment)


def execute(command: Sequence[str], environment: dict[str, str] | None = None, folder: Path | None = None) -> Run:
    """Run a command to its end; what it took, all processes that it waited for included.

    Args:
        command: With its arguments.
        environment: Added to that of this process.
        folder: In which it runs; this one where none is given.

    Raises:
        SystemExit: Where it fails, with what it said.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ, **(environment or {})}, cwd=folder
    )
    assert process.stderr is not None
    said = process.stderr.read()
    if hasattr(os, "wait4"):
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = used.ru_utime + used.ru_stime
        peak = used.ru_maxrss / (1024.0 if sys.platform != "darwin" else 1024.0**2)
    else:
        process.wait()
        cpu = peak = float("nan")
    wall = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: {said.decode()[-2000:]}")
    return Run(wall, cpu, peak)


def trial(study: str, patients: int | None, workers: int, folder: Path) -> tuple[Run, dict[str, Any]]:
    """Run a study; what it took, and its summary."""
    number = [] if patients is None else ["--patients", str(patients)]
    taken = run("-m", "tme_abm.cli", "run", study, *number, "--workers", str(workers), "--out", str(folder), "--force")
    return taken, json.loads((folder / "summary.json").read_text())


def patient_years(folder: Path) -> float:
    """Years simulated in a finished run."""
    import pandas as pd

    patients, visits = pd.read_parquet(folder / "patients.parquet"), pd.read_parquet(folder / "trajectory.parquet")
    treated = visits.groupby(["patient", "arm"])["day"].max().sum()
    return float(treated + patients.groupby("patient")["grown_days"].first().sum()) / DAYS_PER_YEAR


def measure_study(study: str, patients: int | None, workers: list[int], rounds: int) -> list[dict[str, Any]]:
    """A row for each number of workers."""
    from tme_abm.scenario.kinds import load_scenario

    full = load_scenario(study).patients
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / study
        trial(study, 1, 1, folder)
        taken: dict[int, list[Run]] = {n: [] for n in workers}
        hashes, updates, years = set(), 0, 0.0
        for _ in range(rounds):
            for n in workers:
                used, summary = trial(study, patients, n, folder)
                taken[n].append(used)
                hashes.add(summary["state_hash"])
                updates, years = summary["cell_updates"], patient_years(folder)
        if len(hashes) != 1:
            raise SystemExit(f"{study}: runs with {workers} workers do not end in the same state")
    rows = []
    asked = patients or full
    for n, runs in taken.items():
        wall, cpu = (spread([getattr(r, name) for r in runs]) for name in ("wall_s", "cpu_s"))
        faster = ratio([r.wall_s for r in taken[workers[0]]], [r.wall_s for r in runs])
        rows.append(
            {
                "study": study,
                "patients": asked,
                "workers": n,
                "wall_s": wall.median,
                "cpu_s": cpu.median,
                "whole_trial_s": wall.median * full / asked,
                "ms_per_patient_year": 1e3 * cpu.median / years,
                "patient_years": years,
                "ns_per_cell_update": 1e9 * cpu.median / updates,
                "times_faster": faster.median,
                "faster_low": faster.low,
                "faster_high": faster.high,
                "peak_mib": max(r.peak_mib for r in runs),
            }
        )
        print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in rows[-1].items()), flush=True)
    return rows


def outside_kernels(study: str, patients: int) -> dict[str, Any]:
    """Processor seconds of patients in one thread, and how much of them compiled calls take."""
    from tme_abm.pharmacology import course
    from tme_abm.scenario.kinds import load_scenario
    from tme_abm.simulation import simulation
    from tme_abm.trial.execution import Silence, compile_kernels, run_patient

    loaded = load_scenario(study)
    compile_kernels(loaded)
    compiled = 0.0

    def clocked(kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            nonlocal compiled
            start = time.process_time()
            result = kernel(*arguments)
            compiled += time.process_time() - start
            return result

        return call

    before = simulation.advance, course.run
    simulation.advance, course.run = clocked(before[0]), clocked(before[1])  # type: ignore[assignment]
    try:
        start = time.process_time()
        for index in range(patients):
            run_patient(loaded, index, Silence())
        whole = time.process_time() - start
    finally:
        simulation.advance, course.run = before  # type: ignore[assignment]
    outside = 100.0 * (1.0 - compiled / whole)
    return {"study": study, "patients": patients, "ms_per_patient": 1e3 * whole / patients, "percent_outside": outside}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time whole trials.")
    parser.add_argument("--studies", nargs="+", default=["icaria", "ikema"])
    parser.add_argument("--patients", type=int, help="fewer patients than the study has")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--once", nargs="*", default=[], help="studies to run once, with the last number of workers")
    add_json(parser)
    options = parser.parse_args()
    print(headline())
    outside = [outside_kernels(study, min(options.patients or MOST_IN_PROCESS, MOST_IN_PROCESS)) for study in options.studies]
    for row in outside:
        print(f"{row['study']}: {row['ms_per_patient']:.0f} ms a patient, {row['percent_outside']:.1f} % of it outside of compiled calls")
    rows = []
    for study in options.studies:
        workers, rounds = (options.workers[-1:], 1) if study in options.once else (options.workers, options.rounds)
        rows += measure_study(study, options.patients, workers, rounds)
    write(options.json, "trial", {"trials": rows, "lock": outside}, rounds=options.rounds)


if __name__ == "__main__":
    main()
