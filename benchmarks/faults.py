"""What can happen to a run over night, done to it on purpose: no finished patient may be lost, and the hash stays the same.

    python benchmarks/faults.py [--patients 24] [--kills 20] [--workers 2] [--out docs/faults.md]

A run in peace gives the hash. Then the same study is run on threads and on processes and killed (-9) at random moments, after each of
which the same command goes on; told to end by each signal; its journal is cut short; a worker process is killed in the middle, and three
workers of a Dask cluster one after the other; its disk is full (a small file system in memory, where this user may mount one); and a
patient is poisoned, so that her run fails each time. The table says what happened. Exit code 1 where anything was lost.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from loopback import Loopback

from tme_abm.batch.journal import Journal
from tme_abm.batch.results import WORK

STUDY = """
title = "Faults"
summary = "Two arms on a small patch."
population = "icaria"
patients = {patients}
seed = 7
[marrow]
shape = [32, 32]
[trial]
compare = [["b", "a"]]
follow_up = ["6 month", "8 month"]
[arms.a]
label = "Control"
doses = [{{ drug = "pomalidomide", dose = "4 mg", days = "1-21" }}]
[arms.b]
label = "Antibody"
doses = [{{ drug = "isatuximab", dose = "10 mg/kg", days = [1, 8, 15, 22] }}]
"""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POISON = """
import sys
from tme_abm.trial import execution
honest = execution.enrol
def enrol(population, settings, seed, index):
    if index == 1:
        raise ZeroDivisionError("poisoned")
    return honest(population, settings, seed, index)
execution.enrol = enrol
sys.argv = sys.argv[1:]
from tme_abm.cli.app import main
main()
"""


class Bench:
    """A study and the runs of it."""

    def __init__(self, patients: int, workers: int) -> None:
        """Write the study into a folder of its own."""
        self.top = Path(tempfile.mkdtemp(prefix="tme-faults-"))
        self.patients, self.workers = patients, workers
        self.study = self.top / "faults.toml"
        self.study.write_text(STUDY.format(patients=patients))
        self.chance = random.Random(1)
        self.rows: list[tuple[str, str, str, bool]] = []

    def command(self, folder: Path, *options: str) -> list[str]:
        """`tme run` of the study."""
        return [
            *(sys.executable, "-m", "tme_abm.cli", "run", str(self.study), "--out", str(folder), "--workers", str(self.workers)),
            *options,
        ]

    def begin(self, folder: Path, *options: str) -> "subprocess.Popen[str]":
        """A run that goes on beside this process, and hears signals even where this process is deaf to them, as in the background."""

        def listen() -> None:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)

        command = self.command(folder, *options)
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen)

    def run(self, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
        """A run to its end."""
        return subprocess.run(self.command(folder, *options), capture_output=True, text=True, check=False)

    def state_hash(self, folder: Path) -> str:
        """The hash of a finished run; empty where there is none."""
        path = folder / "summary.json"
        return json.loads(path.read_text())["state_hash"] if path.is_file() else ""

    def note(self, what: str, happened: str, is_well: bool) -> None:
        """A row of the table."""
        self.rows.append((what, happened, "yes" if is_well else "NO", is_well))
        print(f"{what}: {happened}: {'well' if is_well else 'LOST'}", flush=True)


def done(folder: Path) -> set[str]:
    """Who stands on disk."""
    return set(Journal(folder / WORK / "journal"))


def wait_for(folder: Path, number: int, process: "subprocess.Popen[str]") -> None:
    """Wait until so many patients stand on disk."""
    while process.poll() is None and len(done(folder)) < number:
        time.sleep(0.05)


def killed(bench: Bench, peace: str, kills: int, *options: str) -> None:
    """Kill -9 at random moments; a run that came to its end in between is looked at, and another one begins."""
    kind = "processes" if "--processes" in options else "threads"
    folder, before, lost, times, runs, is_same = bench.top / f"{kind}1", set(), 0, 0, 1, True
    while times < kills and runs <= kills:
        process = bench.begin(folder, *options)
        wait_for(folder, min(bench.patients, len(before) + bench.chance.choice((0, 1, 2))), process)
        time.sleep(bench.chance.random())
        if process.poll() is not None:
            is_same &= bench.state_hash(folder) == peace
            runs += 1
            folder, before = bench.top / f"{kind}{runs}", set()
            continue
        process.kill()
        process.communicate()
        times += 1
        now = done(folder)  # nobody, where it was killed before it began or while it cleared up
        lost += len(before - now) * (folder / WORK / "journal").exists()
        before = now
    ended = bench.run(folder, *options)
    is_same &= bench.state_hash(folder) == peace
    happened = f"{times} of {kills} kills, {runs} run{'s' * (runs > 1)}, {lost} finished patients lost, exit code {ended.returncode}"
    bench.note(f"kill -9, {kind}", happened, is_same and not lost and times == kills)


def signalled(bench: Bench, peace: str, number: signal.Signals) -> None:
    """Told to end."""
    folder = bench.top / number.name
    process = bench.begin(folder)
    wait_for(folder, 2, process)
    start = time.monotonic()
    process.send_signal(number)
    _, error = process.communicate()
    seconds, kept = time.monotonic() - start, len(done(folder))
    bench.run(folder)
    well = seconds < 10.0 and process.returncode == 128 + number and number.name in error and bench.state_hash(folder) == peace
    bench.note(number.name, f"{seconds:.1f} s to the end, exit code {process.returncode}, {kept} patients kept", well)


def torn(bench: Bench, peace: str) -> None:
    """The journal cut short."""
    folder = bench.top / "torn"
    process = bench.begin(folder)
    wait_for(folder, 3, process)
    process.kill()
    process.communicate()
    shard = sorted((folder / WORK / "journal").iterdir())[-1]
    shard.write_bytes(shard.read_bytes()[:-200])
    said = bench.run(folder).stdout
    bench.note(
        "shard cut short", "told" if "1 damaged line" in said else "not told", bench.state_hash(folder) == peace and "damaged" in said
    )


def worker_killed(bench: Bench, peace: str) -> None:
    """A worker process dies."""
    folder = bench.top / "worker"
    process = bench.begin(folder, "--processes")
    wait_for(folder, 1, process)
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout.split()
    if found:
        os.kill(int(found[0]), signal.SIGKILL)
    process.communicate()
    bench.note("worker process killed", f"exit code {process.returncode}", bench.state_hash(folder) == peace and bool(found))


def cluster_workers_killed(bench: Bench, peace: str, kills: int = 3) -> None:
    """Workers of a Dask cluster die one after the other, each with patients at work; others come."""
    folder, lost, before, times = bench.top / "cluster", 0, set[str](), 0
    with Loopback(2) as cluster:
        process = bench.begin(folder, "--scheduler", cluster.address)
        while times < kills:
            wait_for(folder, len(before) + 2, process)
            time.sleep(bench.chance.random())
            if process.poll() is not None:
                break
            cluster.kill_worker()
            cluster.add_worker()
            times += 1
            if (folder / WORK).exists():
                now = done(folder)
                lost += len(before - now)
                before = now
        said, error = process.communicate()
    told = said.count("of the cluster lost, whose work is run again")
    happened = f"{times} of {kills} killed, told {told} times, {lost} patients lost, exit code {process.returncode}"
    bench.note(
        f"{kills} workers of a Dask cluster killed",
        happened,
        bench.state_hash(folder) == peace and not lost and not error and times == kills,
    )


def full_disk(bench: Bench, peace: str) -> None:
    """A file system that is too small."""
    place = bench.top / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode:
        bench.rows.append(("full disk", "not tried: this user may mount nothing", "not tried", False))
        return
    try:
        first = bench.run(place / "r")
        kept = done(place / "r")
        subprocess.run(["mount", "-o", "remount,size=100m", str(place)], check=True)
        second = bench.run(place / "r")
        well = first.returncode == 1 and first.stderr.count("\n") == 1 and "No space left" in first.stderr
        well = well and f"{len(kept)} of {bench.patients} patients stand on disk" in second.stdout
        bench.note("full disk", f"{len(kept)} patients kept; {first.stderr.strip()}", well and bench.state_hash(place / "r") == peace)
    finally:
        subprocess.run(["umount", str(place)], check=False)


def poisoned(bench: Bench, peace: str) -> None:
    """A patient whose run fails each time."""
    folder = bench.top / "poison"
    arguments = bench.command(folder)[3:]
    ended = subprocess.run([sys.executable, "-c", POISON, "tme", *arguments], capture_output=True, text=True, check=False)
    summary = json.loads((folder / "summary.json").read_text()) if (folder / "summary.json").is_file() else {}
    well = ended.returncode == 3 and summary.get("failed") == 1 and "poisoned" in ended.stdout
    well = well and "poisoned" in (folder / "report.html").read_text()
    bench.note(
        "poisoned patient", f"exit code {ended.returncode}, {summary.get('failed')} failed, told on the terminal and in the report", well
    )


def main() -> None:
    """Do it all."""
    parser = argparse.ArgumentParser(description="Fault injection.")
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    bench = Bench(given.patients, given.workers)
    try:
        bench.run(bench.top / "peace")
        peace = bench.state_hash(bench.top / "peace")
        steps: list[Callable[[], None]] = [
            lambda: killed(bench, peace, given.kills),
            lambda: killed(bench, peace, given.kills, "--processes"),
            *(lambda n=number: signalled(bench, peace, n) for number in SIGNALS),
            lambda: torn(bench, peace),
            lambda: worker_killed(bench, peace),
            lambda: cluster_workers_killed(bench, peace),
            lambda: full_disk(bench, peace),
            lambda: poisoned(bench, peace),
        ]
        for step in steps:
            step()
    finally:
        shutil.rmtree(bench.top, ignore_errors=True)
    lines = ["| what was done | what happened | same hash, nothing lost |", "| --- | --- | --- |"]
    lines += [f"| {what} | {happened.replace(str(bench.top), '...')} | {well} |" for what, happened, well, _ in bench.rows]
    text = f"{given.patients} patients, {given.workers} workers, `python benchmarks/faults.py`.\n\n" + "\n".join(lines) + "\n"
    print(text)
    if given.out is not None:
        given.out.write_text(f"# Faults\n\n{text}", encoding="utf-8")
    sys.exit(0 if all(well for *_, well in bench.rows) else 1)


if __name__ == "__main__":
    main()
