"""Run all benchmarks one after another, write their results to `benchmarks/results/` and the tables to README.md.

    python benchmarks/run_all.py [--quick] [--only peers field ...] [--no-tables]
    python benchmarks/run_all.py --against REF [--quick] [--only compile step start trial] [--rounds 9] [--no-tables]

On two quiet cores the whole takes about half an hour, a third of it the full trials; `--quick` takes two minutes of smaller cases,
enough to see that everything runs, and writes to `results/quick/` without touching README.md.

With `--against` another commit is checked out into a temporary folder, and both run in turn, each with a cache of compiled code of its own
(`against.py`): compiling, steps, starts and ICARIA, as ratios with their quartiles. It takes some twenty minutes.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from against import PARTS, compare

HERE = Path(__file__).parent


class Case(NamedTuple):
    """A benchmark with its arguments."""

    whole: tuple[str, ...] = ()
    quick: tuple[str, ...] | None = ()  # None: not a matter of minutes


CASES = {
    "step": Case(("--large", "--rounds", "5"), ("--sides", "64", "--rounds", "2")),
    "peers": Case(("--rounds", "5", "--seeds", "30"), ("--cells", "2000", "--rounds", "1", "--seeds", "4")),
    "field": Case(("--rounds", "7"), ("--sizes", "64", "--rounds", "3")),
    "memory": Case((), ("--sides", "64", "128")),
    "start": Case(("--rounds", "3"), ("--rounds", "1", "--no-first")),
    "page": Case((), ("--sides", "64", "--visitors", "2", "--seconds", "1")),
    "large": Case((), ("--side", "300", "--days", "1")),
    "first": Case(("--rounds", "1"), None),
    "trial": Case(("--rounds", "1", "--once", "ikema"), ("--studies", "icaria", "--patients", "4", "--rounds", "1")),
    "scale": Case(("--rounds", "3"), ("--patients", "6", "--rounds", "1", "--long", "60")),
}
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")}


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description="Run all benchmarks.")
    parser.add_argument("--quick", action="store_true", help="small cases, a few minutes")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join(CASES)}; with --against, of {', '.join(PARTS)}")
    parser.add_argument("--no-tables", action="store_true", help="leave README.md alone")
    parser.add_argument("--against", metavar="REF", help="compare with another commit instead")
    parser.add_argument("--rounds", type=int, default=9, help="of a comparison with another commit")
    options = parser.parse_args()
    known = PARTS if options.against else tuple(CASES)
    options.only = options.only or known
    if unknown := [name for name in options.only if name not in known]:
        parser.error(f"--only: there is no '{unknown[0]}' among {', '.join(known)}")
    results = HERE / "results" / ("quick" if options.quick else "")
    results.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []
    if options.against:
        os.environ.update(ONE_THREAD)
        compare(options.against, options.only, options.rounds, options.quick, results / "against.json")
    else:
        failed = run_cases(options, results)
    if not options.quick and not options.no_tables:
        subprocess.run([sys.executable, str(HERE / "tables.py")], check=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def run_cases(options: argparse.Namespace, results: Path) -> list[str]:
    """Run benchmarks one after another; the names of those that failed."""
    failed = []
    for name in options.only:
        arguments = CASES[name].quick if options.quick else CASES[name].whole
        if arguments is None:
            print(f"\n==== {name}: left out, it takes minutes whatever its size", flush=True)
            continue
        print(f"\n==== {name} {' '.join(arguments)}", flush=True)
        start = time.perf_counter()
        command = [sys.executable, str(HERE / f"bench_{name}.py"), *arguments, "--json", str(results / f"{name}.json")]
        if subprocess.run(command, env={**os.environ, **ONE_THREAD}).returncode:
            failed.append(name)
        print(f"==== {name}: {time.perf_counter() - start:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    main()
