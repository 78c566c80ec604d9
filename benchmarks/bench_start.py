"""How long a user waits before anything happens: help, import, a short run, and the first run ever, which compiles the model.

    python benchmarks/bench_start.py [--rounds 5] [--no-first] [--json FILE]

Every row is a process of its own, started as a user would start it; processor seconds and those of the clock. For the first run ever, the
cache of compiled code is empty: what a study compiles before its first patient is timed, and its files are counted. Then a run with two
workers, a study with other drugs and one without any must find all that they need: a file more, and the benchmark stops.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

from bench_trial import Run, run
from machine import add_json, headline, spread, write

SHORT = ("-m", "tme_abm.cli", "run", "untreated", "--patients", "1", "--force", "--out")
COMPILE = (
    "from tme_abm.scenario.kinds import load_scenario; from tme_abm.trial.execution import compile_kernels; "
    "compile_kernels(load_scenario('icaria'))"
)
LATER = {
    "by_workers": ("then icaria, 4 patients, two workers", ("-m", "tme_abm.cli", "run", "icaria", "--patients", "4", "--workers", "2")),
    "by_other_drugs": ("then ikema, 2 patients", ("-m", "tme_abm.cli", "run", "ikema", "--patients", "2")),
    "by_no_drugs": ("then untreated, 1 patient", ("-m", "tme_abm.cli", "run", "untreated", "--patients", "1")),
}


def row(what: str, runs: list[Run]) -> dict[str, Any]:
    """One line of the table."""
    wall, cpu = spread([r.wall_s for r in runs]), spread([r.cpu_s for r in runs])
    found = {"what": what, "wall_s": wall.median, "cpu_s": cpu.median, "cpu_low": cpu.low, "cpu_high": cpu.high}
    print(f"{what:44} {wall.median:8.2f} {cpu!s:>28}", flush=True)
    return found


def warm(rounds: int, folder: str) -> list[dict[str, Any]]:
    """What is done every day, in turn in every round."""
    commands = {
        "python -c pass": ("-c", "pass"),
        "python -c 'import tme_abm'": ("-c", "import tme_abm"),
        "tme --help": ("-m", "tme_abm.cli", "--help"),
        "tme list": ("-m", "tme_abm.cli", "list"),
        "tme run untreated --patients 1, warm": (*SHORT, str(Path(folder) / "untreated")),
    }
    # as where the package was installed: Python's own code is compiled once, not at every start
    installed = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(Path(folder) / "bytecode")}
    for arguments in commands.values():
        run(*arguments, environment=installed)
    taken: dict[str, list[Run]] = {what: [] for what in commands}
    for _ in range(rounds):
        for what, arguments in commands.items():
            taken[what].append(run(*arguments, environment=installed))
    return [row(what, runs) for what, runs in taken.items()]


def files(folder: Path) -> dict[str, int]:
    """Files of compiled code and their sizes."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*.nb?")}


def first(folder: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The first run ever, and what later processes add to its cache."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {"NUMBA_CACHE_DIR": cache}
        rows = [row("compiling everything, empty cache", [run("-c", COMPILE, environment=environment)])]
        made = files(Path(cache))
        counted: dict[str, Any] = {"cache_files": len(made), "cache_mib": sum(made.values()) / 2**20}
        for name, (what, arguments) in LATER.items():
            before = set(files(Path(cache)))
            rows.append(row(what, [run(*arguments, "--force", "--out", str(Path(folder) / "later"), environment=environment)]))
            more = sorted(set(files(Path(cache))) - before)
            counted[name] = len(more)
            if more:
                print(f"compiled again: {', '.join(more)}")
    print(", ".join(f"{name} {value:.4g}" for name, value in counted.items()))
    if any(counted[name] for name in LATER):
        raise SystemExit("a later process compiled what the first one should have compiled")
    return rows, counted


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time the start of everything.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-first", action="store_true", help="leave out the first run ever")
    add_json(parser)
    options = parser.parse_args()
    print(headline())
    print(f"{'':44} {'clock s':>8} {'processor s (quartiles)':>28}")
    with tempfile.TemporaryDirectory() as folder:
        rows = warm(options.rounds, folder)
        once, counted = ([], {}) if options.no_first else first(folder)
    write(options.json, "start", {"times": rows + once, "cache": [counted] if counted else []}, rounds=options.rounds)


if __name__ == "__main__":
    main()
