"""Whatever is wrong with a scenario, a drug, a plan, a bank, a folder of results or a command line: one message, and nothing left behind.

    python benchmarks/mutations.py [--count 10000] [--seed 1] [--workers 2] [--real 40] [--out docs/mutations.md]
    python benchmarks/mutations.py --only 4711 --seed 1        # one case, with what it says

Every case (`mutants.py`) calls `tme` in an empty folder. A command that refuses nothing is stopped where its work would begin; `--real` of
the runs that came so far, and a few of each other command, are then carried out in earnest on a small patch, and told to end after ten
seconds of work. Cases run in processes of their own, without the rights that root has over others' files, with a limit of memory; a crash
of the process is a finding like any other. No limit is of the clock, on which a busy machine is slower: a case may take 30 s of processor
time, and is stuck where it has slept for two minutes without using any. Exit code 1 where anything was found.
"""

import argparse
import ctypes
import gc
import io
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NoReturn
from unittest.mock import patch

import mutants
import numpy as np
import psutil
from mutants import BANK, PARTS, POSTERIOR, RESULTS, STOCK, Case, contents, lay_out, make_case

SECONDS = 30.0  # of processor time that a case may take: the clock's depend on who else is at work
ENOUGH = 5  # times that, after which a process is ended that does not even hear its own alarm
LOOK_S = 2.0  # between two looks at a process that says nothing
PATIENCE_S = 120.0  # that it may sleep, seen at every look, without a moment of work
MEMORY = 6 << 30  # of a process, its reserved addresses included [byte]
GROWTH_MB = 600  # that one case may add to the largest size of its process
TOLD_AFTER_S = 10.0  # of processor time, after which a run in earnest is told to end
BATCH = 500  # cases of a process
CODES = (0, 1, 2, 3)
HEAVY = (
    *("tme_abm.analysis.calibration.run", "tme_abm.analysis.conditions", "tme_abm.export.marrow", "tme_viz.launch", "uvicorn"),
    *("tme_abm.analysis.calibration.recovery", "tme_abm.analysis.bank_prediction", "tme_abm.analysis.design.power"),
    *("tme_viz.lesson_check", "tme_viz.recording"),
    *("tme_abm.trial.form", "tme_abm.laboratory.assay", "tme_abm.laboratory.xenograft", "tme_abm.trial.report", "matplotlib.figure"),
)
WITHOUT_LINE = re.compile(
    r"is missing|stands twice|not a text in UTF-8|MB are too much|is empty|holds no |holds an? (?:un)?finished run|there is no|do not fit|"
    r"in this patient|needs? |must be that of|none of these|instead of|every number is fixed|this is no |no line"
)
SMALL = ("--patients", "2", "--workers", "1")
REAL = {  # command -> what makes it small enough to be carried out
    "run": (*SMALL, "--set", "marrow.shape=[32,32]"),
    "sweep": SMALL,
    "attribute": (*SMALL, "--set", "marrow.shape=[32,32]"),
    "bank": (*SMALL, "--shape", "32,32"),
    "calibrate": ("--steps", "50", "--sets", "10"),
    "design": ("--sets", "2", "--trials", "2"),
    "predict": ("--sets", "2", "--trials", "2", "--patients", "2"),
}
OF_REAL = ("--draws", *(word for words in REAL.values() for word in words if word.startswith("--")))
LEAVES = {"calibrate": "posterior.parquet", "design": "design", "predict": "predictions.csv"}  # command -> what it must have left


class Reached(BaseException):
    """The command refused nothing: its work would begin now."""


class TooLong(BaseException):
    """A case took longer than it may."""


@dataclass
class Outcome:
    """What a command did.

    Attributes:
        code: Its exit code; None where it had none.
        has_begun: Whether its work would have begun.
        out: What it wrote on the standard output.
        err: What it wrote on the standard error.
        trace: The error that nobody turned into words.
        left: What it left in its folder, or changed there.
        seconds: Processor time that it took.
        grown_mb: By how much the largest size of the process grew.
    """

    code: int | None = None
    has_begun: bool = False
    out: str = ""
    err: str = ""
    trace: str = ""
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0
    grown_mb: float = 0.0


# ---- judging -----------------------------------------------------------------------------------------------------------


def is_one_message(text: str) -> bool:
    """Whether a text is one message: a line of `tme`, or the box in which the command line says what is wrong with itself."""
    lines = text.strip("\n").split("\n")
    if lines[0].startswith(("Usage:", "╭─ Error ─")):
        return text.count("─ Error ─") == 1
    return len(lines) == 1 and lines[0].startswith("tme: ") and len(lines[0]) > len("tme: ") and all(c.isprintable() for c in lines[0])


def judge(case: Case, outcome: Outcome, is_real: bool = False) -> list[str]:
    """What is wrong with what a command did; nothing where all is well."""
    found = []
    if outcome.trace:
        found.append(f"traceback: {outcome.trace.strip().splitlines()[-1]}")
    elif "Traceback" in outcome.out + outcome.err:
        found.append("traceback printed")
    elif not outcome.has_begun and outcome.code not in (*CODES, *([130] if is_real else [])):
        found.append(f"exit code {outcome.code}")
    if outcome.seconds > SECONDS:
        found.append(f"{outcome.seconds:.0f} s")
    if outcome.grown_mb > GROWTH_MB or "out of memory" in outcome.err:
        found.append(f"memory: {outcome.grown_mb:.0f} MB")
    if "Warning" in outcome.err:
        found.append("a warning of Python")
    if outcome.code in (1, 2) and not outcome.trace:
        found += _judge_refusal(case, outcome, is_real)
    if outcome.code == 0 and not outcome.has_begun and case.command[:1] in (("validate",), ("show",), ("list",)) and outcome.left:
        found.append(f"left behind: {outcome.left[:3]}")
    # into a folder of the stock that holds all that was asked for, the same is written again, and nothing of it is another
    into = dict(zip(case.command, case.command[1:], strict=False)).get("--out")
    wanted = LEAVES.get(case.command[0], "summary.json")
    if is_real and outcome.code == 0 and into not in STOCK and not any(wanted in name for name in outcome.left):
        found.append("ran, but left no results")
    return found


def _judge_refusal(case: Case, outcome: Outcome, is_real: bool) -> list[str]:
    found = []
    if not is_one_message(outcome.err):
        found.append("not one message")
    name = case.mutated.rpartition("/")[2]
    stem = name.removesuffix(".toml")
    folder = case.mutated.partition("/")[0]
    named = (
        name,
        *([folder] if folder in STOCK else ()),
        f"'{stem}'",
        f"tme: {stem} ",
    )  # the file, its folder, or the scenario by its name
    # what makes a case small enough for earnest may be refused itself, and such a message names the option
    is_ours = is_real and outcome.err.startswith(tuple(f"tme: {word} " for word in OF_REAL))
    if case.mutated and not is_ours and not any(word in outcome.err for word in named):
        found.append(f"does not name {name}")
    if (
        outcome.code == 2
        and not is_ours
        and name.endswith(".toml")
        and f"{name}, line " not in outcome.err
        and not WITHOUT_LINE.search(outcome.err)
    ):
        found.append("names no line")
    if outcome.left:
        found.append(f"left behind: {outcome.left[:3]}")
    return found


# ---- one case ----------------------------------------------------------------------------------------------------------


def _begin(*_: object, **__: object) -> NoReturn:
    raise Reached


def _begin_without_runs(folder: Path, *given: Any) -> Any:
    """A bank of which a case has no more than the list of its arms, and no table, is as good as read."""
    from tme_abm.analysis.bank.store import read_bank

    if not any(folder.glob("*.parquet")):
        raise Reached
    return read_bank(folder, *given)


@contextmanager
def standing_in() -> Iterator[None]:
    """Where work would begin, a stand-in says so; nothing is compiled, nobody waits for a network or a browser."""
    places = (
        *("tme_abm.trial.execution.compile_kernels", "tme_abm.analysis.run_book.compile_kernels", "tme_abm.export.marrow.enrol"),
        *("tme_abm.batch.executors.Threads.run", "tme_abm.batch.executors.Processes.run", "uvicorn.Server.run"),
        *("tme_abm.analysis.bank.run.compile_kernels", "tme_abm.analysis.calibration.run.sample", "tme_abm.analysis.design.power.answer"),
        *("tme_abm.analysis.calibration.recovery.recover_fit", "tme_abm.analysis.bank_prediction.beside"),
        *("tme_viz.lesson_check.check", "tme_viz.recording.record"),
    )
    with ExitStack() as stack:
        for place in places:
            stack.enter_context(patch(place, _begin))
        stack.enter_context(patch("tme_abm.analysis.calibration.fit.read_bank", _begin_without_runs))
        stack.enter_context(patch("tme_viz.launch._open", lambda *_: None))
        yield


def call(arguments: Iterable[str], seconds: float = SECONDS) -> Outcome:
    """What `tme` does with some arguments, in the folder where this process is."""
    from tme_abm.cli.app import app

    outcome, streams = Outcome(), [io.BytesIO(), io.BytesIO()]
    errors = ("strict", "backslashreplace")  # as Python opens the two
    texts = [io.TextIOWrapper(stream, "utf-8", how, write_through=True) for stream, how in zip(streams, errors, strict=True)]
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()

    def too_long(*_: object) -> NoReturn:
        raise TooLong

    handler = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = texts
    try:
        app(list(arguments), prog_name="tme")
    except SystemExit as error:
        outcome.code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except Reached:
        outcome.has_begun = True
    except BaseException as error:
        outcome.trace = traceback.format_exc() or repr(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        sys.stdout, sys.stderr = kept
        signal.signal(signal.SIGPROF, handler)
    outcome.seconds = time.process_time() - start
    outcome.grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    outcome.out, outcome.err = (stream.getvalue().decode("utf-8", "replace") for stream in streams)
    return outcome


@contextmanager
def interrupting(seconds: float) -> Iterator[None]:
    """Within, this process is told to end once it has used so much processor time."""
    end, over = time.process_time() + seconds, threading.Event()

    def wait() -> None:
        while not over.wait(0.2):
            if time.process_time() >= end:
                os.kill(os.getpid(), signal.SIGINT)
                return

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def try_case(case: Case, stock: Path, seed: str, is_real: bool = False) -> Outcome:
    """Lay out a case and call `tme`."""
    with tempfile.TemporaryDirectory(prefix="tme-case-", ignore_cleanup_errors=True) as top:
        folder = Path(top) / "here"
        folder.mkdir()
        lay_out(case, folder, stock, seed)
        before = set(contents(Path(top)))
        os.chdir(folder)
        try:
            if is_real:
                with interrupting(TOLD_AFTER_S):
                    outcome = call((*case.command, *REAL[case.command[0]]), 2 * SECONDS)
            else:
                with standing_in():
                    outcome = call(case.command)
        finally:
            os.chdir("/")
        outcome.left = sorted(set(contents(Path(top))) ^ before)
        for place in folder.rglob("unreadable"):
            place.chmod(0o700)
        return outcome


# ---- processes ---------------------------------------------------------------------------------------------------------


def lay_down_rights() -> None:
    """Where this is root on Linux, give up the right to read and write what the rights of a file forbid."""
    if sys.platform == "linux" and os.geteuid() == 0:
        version_3, this_process = 0x20080522, 0
        ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(version_3, this_process), (ctypes.c_uint32 * 6)())


def child(seed: str, numbers: list[int], stock: Path, is_real: bool) -> None:
    """Try some cases and tell each as it begins and as it ends."""
    tell = os.fdopen(os.dup(1), "w", buffering=1)
    os.environ |= {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "MPLBACKEND": "Agg", "HOME": tempfile.gettempdir()}
    for place in HEAVY:  # in place before the memory of a case is measured
        import_module(place)
    if not is_real:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        lay_down_rights()
    gc.collect()
    for number in numbers:
        print(json.dumps({"begins": number}), file=tell)
        case = make_case(seed, number)
        outcome = try_case(case, stock, seed, is_real)
        found = {"faults": judge(case, outcome, is_real), **asdict(outcome), "left": outcome.left[:5], "out": outcome.out[-2000:]}
        print(json.dumps({"ends": number} | found), file=tell)


class Watch:
    """Whether a process that says nothing is still at work: by its processor time, and by how it waits, not by the clock alone."""

    def __init__(self, pid: int) -> None:
        """Begin to look."""
        self.process = psutil.Process(pid)
        self.begun = self.last = self._used()
        self.asleep_s = 0.0

    def _used(self) -> float:
        used = self.process.cpu_times()
        return float(used.user + used.system)

    def why_end(self) -> str:
        """Why it should be ended; empty where it should not. To be asked every `LOOK_S`."""
        try:
            used, state = self._used(), self.process.status()
        except psutil.NoSuchProcess:
            return ""
        is_asleep = used == self.last and state == psutil.STATUS_SLEEPING  # not in line for a processor, nor waiting for the disk
        self.asleep_s, self.last = self.asleep_s + LOOK_S if is_asleep else 0.0, used
        if used - self.begun > ENOUGH * SECONDS:
            return f"{used - self.begun:.0f} s of processor time, deaf to its alarm"
        return f"asleep for {self.asleep_s:.0f} s" if self.asleep_s >= PATIENCE_S else ""


class Crew:
    """Processes that try cases, replaced where one dies over a case or says nothing any more."""

    def __init__(self, seed: str, stock: Path, workers: int, is_real: bool = False) -> None:
        """So many at a time."""
        self.seed, self.stock, self.workers, self.is_real = seed, stock, workers, is_real
        self.outcomes: dict[int, dict[str, Any]] = {}

    def run(self, numbers: list[int]) -> dict[int, dict[str, Any]]:
        """The outcomes of cases by number."""
        waiting: SimpleQueue[list[int]] = SimpleQueue()
        for at in range(0, len(numbers), BATCH):
            waiting.put(numbers[at : at + BATCH])
        threads = [threading.Thread(target=self._feed, args=(waiting,)) for _ in range(self.workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.outcomes

    def _feed(self, waiting: "SimpleQueue[list[int]]") -> None:
        while True:
            try:
                batch = waiting.get_nowait()
            except Empty:
                return
            while batch:
                batch = self._try(batch)

    def _try(self, batch: list[int]) -> list[int]:
        """Try cases in one process; what is left of them when it has died."""
        command = [sys.executable, __file__, "--child", "--seed", self.seed, "--stock", str(self.stock)]
        command += ["--real", "1"] * self.is_real
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write(json.dumps(batch))
        process.stdin.close()
        lines: SimpleQueue[str] = SimpleQueue()
        errors: list[str] = []
        said = process.stdout

        def listen() -> None:
            for line in said:
                lines.put(line)
            lines.put("")

        readers = [
            threading.Thread(target=listen, daemon=True),
            threading.Thread(target=errors.extend, args=(process.stderr,), daemon=True),
        ]
        for reader in readers:
            reader.start()
        current: int | None = None
        ended = set()
        reason, watch = "the process died", Watch(process.pid)
        while True:
            try:
                line = lines.get(timeout=LOOK_S)
            except Empty:
                if why := watch.why_end():
                    reason = why
                    process.kill()
                    break
                continue
            if not line:
                break
            told, watch = json.loads(line), Watch(process.pid)
            if "begins" in told:
                current = told["begins"]
            else:
                self.outcomes[told["ends"]] = told
                ended.add(told["ends"])
                if told["faults"]:
                    print(f"case {told['ends']}: {'; '.join(told['faults'])}: {told['err'].strip()[-300:]!a}", flush=True)
                current = None
                if len(self.outcomes) % 500 == 0:
                    print(f"{len(self.outcomes)} cases, {sum(bool(o['faults']) for o in self.outcomes.values())} with a fault", flush=True)
        process.wait()
        readers[1].join(5.0)
        left = [number for number in batch if number not in ended]
        if not left:
            return []
        if current is None or process.returncode == 1:  # no fault of tme, whose every error is caught
            raise RuntimeError(f"a process could not begin: {''.join(errors)[-2000:]}")
        fault = f"{reason}, exit code {process.returncode}"
        self.outcomes[current] = {"faults": [fault], **asdict(Outcome(trace="".join(errors)[-2000:]))}
        return [number for number in left if number != current]


def make_stock(folder: Path, results: Path | None = None) -> Path:
    """What whoever reads results needs: a small finished run, the same in two parts, a small bank and the sets of a posterior.

    Args:
        folder: Where they are made.
        results: A finished run that is at hand.
    """
    folder.mkdir(exist_ok=True)
    study, plan = folder / "study.toml", folder / "bank.toml"
    study.write_text(mutants.STUDY.format(population="icaria", drug="pomalidomide", dose="4 mg", drugs=""), encoding="utf-8")
    plan.write_text(mutants.BANK_PLAN, encoding="utf-8")
    commands = [("run", study, "--part", f"{k}/2", "--out", folder / PARTS / str(k)) for k in (1, 2)]
    commands.append(("bank", plan, "--patients", "8", "--arms", "all", "--out", folder / BANK))
    if results is None:
        commands.append(("run", study, "--out", folder / RESULTS))
    else:
        (folder / RESULTS).symlink_to(results)
    for command in commands:
        subprocess.run([sys.executable, "-m", "tme_abm.cli", *map(str, command), "--quiet"], check=True, capture_output=True)
    make_posterior(folder / POSTERIOR)
    return folder


def make_posterior(folder: Path) -> None:
    """Sets of a posterior about the middle of their priors, as `tme calibrate` leaves them."""
    from tme_abm.analysis.calibration.plan import read_plan
    from tme_abm.analysis.calibration.posterior import SETS, Posterior, write

    plan, chance = read_plan(), np.random.default_rng(1)
    sets = np.array([list(plan.values(chance.normal(0.0, 0.1, len(plan.free))).values()) for _ in range(8)])
    folder.mkdir()
    write(Posterior(tuple(plan.values(np.zeros(len(plan.free)))), sets, np.full(8, 1.0 / 8), np.arange(8.0)), folder / SETS, {})


# ---- the table ---------------------------------------------------------------------------------------------------------


def table(seed: str, outcomes: dict[int, dict[str, Any]], facts: str) -> str:
    """What was tried and what came of it, in Markdown."""
    rows: dict[str, Counter[str]] = {}
    for number, outcome in sorted(outcomes.items()):
        row = rows.setdefault(make_case(seed, number).family, Counter())
        row["tried"] += 1
        row["begun" if outcome["has_begun"] else f"exit code {outcome['code']}" if outcome["code"] in CODES else "other"] += 1
        row["faults"] += bool(outcome["faults"])
    heads = ("tried", "begun", "exit code 0", "exit code 1", "exit code 2", "faults")
    lines = [facts, "", f"| what | {' | '.join(heads)} |", "| --- " * (len(heads) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(str(rows[name][head]) for head in heads)} |" for name in sorted(rows)]
    total: Counter[str] = sum(rows.values(), Counter())
    lines.append(f"| all | {' | '.join(str(total[head]) for head in heads)} |")
    slowest = max(outcomes.values(), key=lambda outcome: outcome["seconds"])["seconds"]
    return "\n".join([*lines, "", f"The slowest took {slowest:.1f} s of processor time.", ""])


def show_faults(seed: str, outcomes: dict[int, dict[str, Any]], most: int = 400) -> None:
    """Print what was found, alike together."""
    kinds: dict[str, list[int]] = {}
    for number, outcome in sorted(outcomes.items()):
        for fault in outcome["faults"]:
            kinds.setdefault(re.sub(r"[0-9]+|'[^']*'", "*", fault)[:150], []).append(number)
    for fault, numbers in sorted(kinds.items(), key=lambda pair: -len(pair[1]))[:most]:
        case = make_case(seed, numbers[0])
        print(f"\n{len(numbers)} x {fault}; cases {numbers[:8]}\n   {case.family}: {case.what}; tme {' '.join(case.command)[:200]!a}")
        outcome = outcomes[numbers[0]]
        print("   " + (outcome["trace"].strip() or outcome["err"].strip())[-700:].replace("\n", "\n   "))


def in_earnest(seed: str, outcomes: dict[int, dict[str, Any]], most: int) -> list[int]:
    """Cases that have begun and are carried out: so many runs, and a quarter as many of each other command that can be made small."""
    begun: dict[str, list[int]] = {}
    for number, outcome in sorted(outcomes.items()):
        case = make_case(seed, number)
        command = case.command[0]
        is_whole = "bank/summary.json" not in case.files  # others have only as much of a bank as is read before the work
        if outcome["has_begun"] and command in REAL and is_whole:
            begun.setdefault(command, []).append(number)
    return [number for command, numbers in begun.items() for number in numbers[: most if command == "run" else -(-most // 4)]]


def main() -> None:
    """Try them all."""
    parser = argparse.ArgumentParser(description="Mutated scenarios and command lines.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--real", type=int, default=40, help="runs in earnest, and a quarter as many of each other command")
    parser.add_argument("--family", help="only cases of what has this in its name (the first column of the table)")
    parser.add_argument("--only", type=int, action="append", help="a case by number, with what it says")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--json", type=Path, help="where all outcomes are written")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--stock", type=Path, help="folder of small results, of a bank and so on; made where it is not there")
    given = parser.parse_args()
    if given.child:
        child(given.seed, json.load(sys.stdin), given.stock, given.real == 1)
        return
    with tempfile.TemporaryDirectory(prefix="tme-mutations-", ignore_cleanup_errors=True) as top:
        stock = given.stock or Path(top) / "stock"
        if not (stock / POSTERIOR).is_dir():
            make_stock(stock)
        start = time.monotonic()
        numbers = given.only or [n for n in range(given.count) if not given.family or given.family in make_case(given.seed, n).family]
        outcomes = Crew(given.seed, stock, given.workers).run(numbers)
        chosen = in_earnest(given.seed, outcomes, given.real)
        real = Crew(given.seed, stock, 1, True).run(chosen) if chosen else {}
        minutes = (time.monotonic() - start) / 60.0
    if given.only:
        for number, outcome in outcomes.items():
            print(make_case(given.seed, number)._replace(files={}), json.dumps(outcome, indent=1), sep="\n")
    show_faults(given.seed, outcomes)
    show_faults(given.seed, real)
    codes = ", ".join(f"{n} with exit code {code}" for code, n in sorted(Counter(str(o["code"]) for o in real.values()).items()))
    facts = (
        f"`python benchmarks/mutations.py --count {len(outcomes)} --seed {given.seed}`: {minutes:.0f} minutes, {given.workers} processes."
    )
    facts += (
        f" {len(real)} of those that began were run in earnest: {codes or 'none'}; {sum(bool(o['faults']) for o in real.values())} faults."
    )
    text = table(given.seed, outcomes, facts)
    print(f"\n{text}")
    if given.json is not None:
        given.json.write_text(json.dumps({"outcomes": outcomes, "real": real}), encoding="utf-8")
    if given.out is not None:
        given.out.write_text(f"# Mutated scenarios and command lines\n\n{text}", encoding="utf-8")
    with suppress(KeyError):
        sys.exit(1 if any(o["faults"] for o in (*outcomes.values(), *real.values())) else 0)


if __name__ == "__main__":
    main()
