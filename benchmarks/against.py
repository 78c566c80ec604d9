"""Another commit against the sources as they stand here, in turn, as ratios: what `run_all.py --against REF` measures.

A ratio is here divided by there, taken within a round, so below 1 is better now; who begins changes from round to round. Steps are taken by
two processes that live all the while and are asked for bursts; everything else is a process each time. Times of steps are processor
seconds of one thread; all others are of the clock, with processor seconds in rows of their own, because work that a second core does
beside shortens the one and not the other.
"""

import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

from bench_step import MOST_STEPS
from bench_trial import Run
from machine import Spread, headline, ratio, spread, write
from trees import Tree, Worker, pair

ARMS = ("untreated", "pd", "isa-pd")
PARTS = ("compile", "step", "start", "trial")
SHORT = ("run", "untreated", "--patients", "1", "--workers", "1", "--force", "--out")
BURST = 4e6  # sites times steps that a marrow is asked for in a round, about a tenth of a second
LEAST_STEPS, MOST_BURSTS = 8, 9

Row = dict[str, Any]
Pair = tuple[Tree, Tree]


def row(what: str, unit: str, there: list[float], here: list[float]) -> Row:
    """One line of the table, printed too."""
    of_there, of_here, times = spread(there), spread(here), ratio(here, there)
    print(f"{what:52} {of_there.median:10.4g} {of_here.median:10.4g} {unit:24} {times!s:>28}", flush=True)
    return {
        "what": what,
        "unit": unit,
        "there": of_there.median,
        "here": of_here.median,
        **{f"times_{name}": getattr(times, name) for name in Spread._fields},
        "rounds": len(there),
    }


def in_turn(rounds: int, contest: tuple[Callable[[], Any], Callable[[], Any]]) -> tuple[list[Any], list[Any]]:
    """What both give in each round; who begins changes."""
    taken: tuple[list[Any], list[Any]] = ([], [])
    for k in range(rounds):
        for who in (0, 1) if k % 2 == 0 else (1, 0):
            taken[who].append(contest[who]())
    return taken


def seconds(what: str, taken: tuple[list[Run], list[Run]]) -> list[Row]:
    """The rows of processes: seconds of the clock, and of processors."""
    return [
        row(what, unit, *([getattr(run, name) for run in runs] for runs in taken))
        for name, unit in (("wall_s", "s"), ("cpu_s", "processor s"))
    ]


def compiling(trees: Pair, rounds: int, folder: Path) -> list[Row]:
    """Compile everything into an empty cache; the caches of the last round are those that all else uses."""
    for k in range(rounds - 1):
        for tree in trees:
            (folder / f"{k}-{tree.name}").mkdir()
    turn = {tree.name: iter(range(rounds)) for tree in trees}

    def compiled(tree: Tree) -> Run:
        k = next(turn[tree.name])
        return tree.ask("compile", cache=None if k == rounds - 1 else folder / f"{k}-{tree.name}")

    return seconds("compile everything, empty cache", in_turn(rounds, (lambda: compiled(trees[0]), lambda: compiled(trees[1]))))


def cases_of(sides: Iterable[int], is_large: bool) -> list[tuple[int, str]]:
    """Sides and arms of the marrows that take steps."""
    found = [(16, "empty"), *((side, arm) for side in sides for arm in ARMS)]
    return found + ([(256, "untreated"), (1500, "untreated")] if is_large else [])


def stepping(trees: Pair, rounds: int, sides: list[int], is_large: bool) -> list[Row]:
    """Bursts of steps of frozen marrows, and the bytes of a marrow."""
    cases = cases_of(sides, is_large)
    named = [f"{side}:{arm}" for side, arm in cases]
    rows, each = [], {}
    with Worker(trees[0], *named) as there, Worker(trees[1], *named) as here:
        there.wait()
        here.wait()
        taken: dict[tuple[int, str], tuple[list[float], list[float]]] = {case: ([], []) for case in cases}
        for k in range(rounds):
            for side, arm in cases:
                asked = BURST / side**2
                n = int(min(max(LEAST_STEPS, asked), MOST_STEPS))
                bursts = max(1, round(min(asked, MOST_BURSTS * n) / n))
                for who, worker in [(0, there), (1, here)][:: 1 if k % 2 == 0 else -1]:
                    taken[side, arm][who].append(median(worker.ask("step", side, arm, n) for _ in range(bursts)))
        for (side, arm), (a, b) in taken.items():
            each[side, arm] = (a, b)
            if arm == "empty":
                rows.append(row("fixed cost of a step inside a batch", "us", [1e-3 * v for v in a], [1e-3 * v for v in b]))
            else:
                rows.append(row(f"a step of {side} x {side}, {arm}", "ns a cell-update", a, b))
        if is_large and 128 in sides:  # 1500 x 1500 holds about a million cells, 128 x 128 about 10,000
            large, small = each[1500, "untreated"], each[128, "untreated"]
            quotients = [[x / y for x, y in zip(large[who], small[who], strict=True)] for who in (0, 1)]
            rows.append(row("a million cells against 10,000, per cell", "ratio", *quotients))
        for side in sides:
            rows.append(row(f"memory of {side} x {side}, isa-pd", "bytes a site", [there.ask("memory", side)], [here.ask("memory", side)]))
    return rows


def starting(trees: Pair, rounds: int, folder: Path) -> list[Row]:
    """Processes that start, do little and end."""
    commands = {
        "python -c 'import tme_abm'": ("-c", "import tme_abm"),
        "tme --help": ("-m", "tme_abm.cli", "--help"),
        "tme list": ("-m", "tme_abm.cli", "list"),
        "tme run untreated --patients 1, warm": ("-m", "tme_abm.cli", *SHORT),
    }
    rows = []
    for what, arguments in commands.items():

        def started(tree: Tree, arguments: tuple[str, ...] = arguments) -> Run:
            out = (str(folder / f"start-{tree.name}"),) if arguments[-1] == "--out" else ()
            return tree.run(*arguments, *out)

        for tree in trees:
            started(tree)
        rows += seconds(what, in_turn(rounds, (lambda f=started: f(trees[0]), lambda f=started: f(trees[1]))))
    return rows


def trying(trees: Pair, rounds: int, folder: Path, patients: int | None, workers: int) -> tuple[list[Row], str]:
    """A trial as a user runs it; also whether both end in the same state."""
    number = () if patients is None else ("--patients", str(patients))

    def tried(tree: Tree) -> Run:
        out = folder / f"trial-{tree.name}"
        arguments = ("run", "icaria", *number, "--workers", str(workers), "--force", "--out", str(out))
        return tree.run("-m", "tme_abm.cli", *arguments)

    taken = in_turn(rounds, (lambda: tried(trees[0]), lambda: tried(trees[1])))
    hashes = [json.loads((folder / f"trial-{tree.name}" / "summary.json").read_text())["state_hash"] for tree in trees]
    whole = "icaria whole" if patients is None else f"icaria, {patients} patients"
    return seconds(f"{whole}, warm, {workers} workers", taken), "the same" if hashes[0] == hashes[1] else "another"


def compare(ref: str, parts: Iterable[str], rounds: int, is_quick: bool, json_path: Path) -> None:
    """Measure, print and write down.

    Args:
        ref: The other commit, by any name that git knows.
        parts: Some of `PARTS`.
        rounds: Of starts and bursts; compiling and trials take a third of them, but two at least.
        is_quick: Small cases and few patients.
        json_path: Where the results go.
    """
    parts = list(parts)
    few = 1 if is_quick else max(2, rounds // 3)
    sides = [64] if is_quick else [64, 128]
    rows: list[Row] = []
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        trees = pair(ref, folder)
        print(headline())
        print(f"{'':52} {trees[0].name:>10} {trees[1].name:>10} {'':24} {'here / there (quartiles)':>28}")
        if "compile" in parts:
            rows += compiling(trees, few, folder)
        else:
            for tree in trees:
                tree.ask("compile")
        if "step" in parts:
            rows += stepping(trees, rounds, sides, not is_quick)
        if "start" in parts:
            rows += starting(trees, rounds, folder)
        if "trial" in parts:
            of_trial, state = trying(trees, few, folder, 4 if is_quick else None, 2)
            rows += of_trial
            facts["end_state"] = state
            print(f"end state of the trial: {state}")
    write(json_path, "against", {"ratios": rows}, other=trees[0].name, rounds=rounds, **facts)
