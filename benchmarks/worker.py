"""What a process does for `run_all.py --against`: it runs the benchmarks of the commit it is given, not those beside this file.

    python benchmarks/worker.py ROOT compile     compile all that a study needs, and end
    python benchmarks/worker.py ROOT serve CASE ...

`serve` prepares a marrow for each case SIDE:ARM (SIDE:empty is a patch without cells under Isa-Pd), says "ready", and then answers lines:
`step SIDE ARM N` with the nanoseconds of a cell-update (of a step where the patch is empty) over N steps of a copy, `memory SIDE` with
the bytes of a marrow for each site. Only names that older commits have too are used: those of their own `bench_step`, `bench_memory`
and `bench_start`, and public ones.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

EMPTY = "empty"


def serve(cases: list[str]) -> None:
    """Answer until the other end closes."""
    import bench_memory
    import bench_step

    import tme_abm

    study: Any = tme_abm.load_scenario("icaria")
    marrows: dict[tuple[int, str], Any] = {}
    for case in cases:
        side, arm = case.split(":")
        settings = replace(study.settings, height=int(side), width=int(side))
        if arm == EMPTY:
            marrows[int(side), arm] = bench_step.prepared(study, settings, "isa-pd", 1)
            marrows[int(side), arm].marrow.cells.kind[:] = 0
        else:
            days = bench_step.LARGE.get(int(side), bench_step.WARM_DAYS)
            marrows[int(side), arm] = bench_step.prepared(study, settings, arm, days)
    print("ready", flush=True)
    for line in sys.stdin:
        what, side, *rest = line.split()
        if what == "memory":
            print(bench_memory.bytes_per_site(bench_memory.example(int(side))), flush=True)
            continue
        arm, n = rest
        seconds, cells = bench_step.timed(marrows[int(side), arm], int(n))
        print(1e9 * seconds / (1.0 if arm == EMPTY else cells), flush=True)


def main() -> None:
    """Do what the arguments say."""
    root, what, *arguments = sys.argv[1:]
    beside = str(Path(__file__).resolve().parent)
    sys.path[:] = [str(Path(root) / "benchmarks"), *(path for path in sys.path if path != beside)]
    import tme_abm

    found = Path(str(tme_abm.__file__)).resolve()
    if not found.is_relative_to(Path(root).resolve()):
        sys.exit(f"this Python finds tme_abm at {found}, not below {root}")
    if what == "compile":
        import bench_start

        exec(bench_start.COMPILE, {})
    else:
        serve(arguments)


if __name__ == "__main__":
    main()
