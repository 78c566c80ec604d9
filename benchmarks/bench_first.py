"""From a fresh clone to the report of a study, as a newcomer waits for it: clone, environment, install, first run. And its size.

    python benchmarks/bench_first.py [--against REF] [--study icaria] [--patients N] [--rounds 1] [--json FILE]
        [--no-compile] [--wheels FOLDER]

The commit at hand is cloned (what is not committed is not measured), installed from a folder of packages on this machine, which is filled
before the clock starts, and the study is run with nothing compiled and no cache of fonts; once more with both, so that the difference is
what the first time takes. With `--against` another commit takes its turn in every round, and ratios are taken within a round.

Sizes are those of the files below `site-packages`, by the package that brought them, compiled Python included, without pip and setuptools,
which every environment has; they are taken after the runs.
"""

import argparse
import importlib.metadata
import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from bench_trial import Run, execute
from machine import add_json, headline, ratio, spread, write
from trees import TOP, commit_of

NOT_COUNTED = ("pip", "setuptools")
LARGEST = 15  # packages that are named
MIB = 2**20

Row = dict[str, Any]


def python_of(folder: Path) -> Path:
    """The interpreter of a clone."""
    return folder / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def clone(commit: str, folder: Path) -> Run:
    """Clone the repository and check a commit out."""
    taken = execute(["git", "clone", "--quiet", "--no-hardlinks", "--no-checkout", str(TOP), str(folder)])
    checked = execute(["git", "-C", str(folder), "checkout", "--quiet", commit])
    return Run(taken.wall_s + checked.wall_s, taken.cpu_s + checked.cpu_s, max(taken.peak_mib, checked.peak_mib))


def gather(commits: list[str], wheels: Path, folder: Path) -> None:
    """Fill a folder with all packages that installing these commits takes, and those that build them."""
    wheels.mkdir(parents=True, exist_ok=True)
    before = set(wheels.glob("tme_abm-*.whl"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(wheels), "--find-links", str(wheels)]
    for commit in commits:
        clone(commit, folder / commit)
        execute([*pip, *tomllib.loads((folder / commit / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]])
        execute([*pip, str(folder / commit)])
        shutil.rmtree(folder / commit)
    for own in set(wheels.glob("tme_abm-*.whl")) - before:  # what stood there is the user's
        own.unlink()


def first(commit: str, wheels: Path, folder: Path, options: argparse.Namespace) -> tuple[dict[str, Run], dict[str, float]]:
    """What each part of the way took, and the size of each package [MiB]."""
    at, kept = folder / "clone", folder / "caches"
    parts = {"clone": clone(commit, at), "environment": execute([sys.executable, "-m", "venv", str(at / ".venv")])}
    pip = [str(python_of(at)), "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(wheels), "."]
    pip += ["--no-compile"] * options.no_compile
    parts["install"] = execute(pip, {"PYTHONPATH": ""}, at)
    environment = {"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": ""}
    environment |= {"NUMBA_CACHE_DIR": str(kept / "numba"), "MPLCONFIGDIR": str(kept / "matplotlib")}
    number = () if options.patients is None else ("--patients", str(options.patients))
    for part, out in (("first run", "first"), ("the same run again", "again")):
        command = [str(python_of(at)), "-m", "tme_abm.cli", "run", options.study, *number, "--out", str(folder / out)]
        parts[part] = execute(command, environment, folder)  # not in the clone, whose sources would come before what is installed
    sizes = sizes_of(next((at / ".venv").rglob("site-packages")))
    shutil.rmtree(at)
    return parts, sizes


def sizes_of(site: Path) -> dict[str, float]:
    """Package -> MiB on disk of its files in `site-packages`; what no package claims stands under "other files"."""
    found: dict[str, float] = {}
    sizes = {os.path.join(at, name): on_disk(Path(at, name)) for at, _, names in os.walk(site) for name in names}
    for package in importlib.metadata.distributions(path=[str(site)]):
        files = {os.path.normpath(str(package.locate_file(file))) for file in package.files or ()}
        own = [sizes.pop(file) for file in files if file in sizes]
        found[str(package.metadata["Name"]).lower()] = sum(own) / MIB
    found["other files"] = sum(sizes.values()) / MIB
    return {name: size for name, size in found.items() if name not in NOT_COUNTED}


def on_disk(path: Path) -> int:
    """Bytes that a file takes on disk, as `du` counts; its length where the system does not tell."""
    about = path.stat()
    return int(getattr(about, "st_blocks", 0) * 512 or about.st_size)


def rows_of_parts(taken: dict[str, list[dict[str, Run]]], here: str, there: str | None) -> list[Row]:
    """The parts, and their sum without the second run."""

    def totals(rounds: list[dict[str, Run]], name: str) -> list[float]:
        return [sum(getattr(run, name) for part, run in parts.items() if part != "the same run again") for parts in rounds]

    rows = []
    for part in (*taken[here][0], "clone to report"):
        is_whole = part == "clone to report"
        wall = {who: totals(all_, "wall_s") if is_whole else [parts[part].wall_s for parts in all_] for who, all_ in taken.items()}
        cpu = totals(taken[here], "cpu_s") if is_whole else [parts[part].cpu_s for parts in taken[here]]
        row: Row = {"part": part, "wall_s": spread(wall[here]).median, "cpu_s": spread(cpu).median, "there_s": None, "times": "-"}
        if there is not None:
            row |= {"there_s": spread(wall[there]).median, "times": str(ratio(wall[here], wall[there]))}
        rows.append(row)
        print(f"{part:20} {row['wall_s']:8.2f} s  processor {row['cpu_s']:8.2f} s  here / there {row['times']}", flush=True)
    return rows


def rows_of_sizes(here: dict[str, float], there: dict[str, float] | None) -> list[Row]:
    """The largest packages, those that only the other commit has included, the rest, and all."""
    other = there or {}
    names = sorted(here | other, key=lambda name: -max(here.get(name, 0.0), other.get(name, 0.0)))
    named = names[:LARGEST]

    def row(name: str, parts: list[str]) -> Row:
        mib = [sum(sizes.get(part, 0.0) for part in parts) for sizes in (here, other)]
        print(f"{name:24} {mib[0]:8.1f} MiB" + (f", there {mib[1]:8.1f}" if there is not None else ""), flush=True)
        return {"package": name, "mib": mib[0], "there_mib": mib[1] if there is not None else None}

    rows = [row(name, [name]) for name in named]
    return [*rows, row(f"{len(names) - len(named)} others", names[LARGEST:]), row("all", names)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Time the way from a fresh clone to a report.")
    parser.add_argument("--against", metavar="REF", help="another commit to take turns with")
    parser.add_argument("--study", default="icaria")
    parser.add_argument("--patients", type=int, help="fewer patients than the study has")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--no-compile", action="store_true", help="leave compiling Python's files to the first import")
    parser.add_argument(
        "--wheels", type=Path, help="folder of packages to install from, filled where it lacks some (default: a temporary one)"
    )
    add_json(parser)
    options = parser.parse_args()
    print(headline())
    here = commit_of("HEAD")
    there = None if options.against is None else commit_of(options.against)
    commits = [here] if there in (None, here) else [there, here]
    taken: dict[str, list[dict[str, Run]]] = {commit: [] for commit in commits}
    sizes: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheels = (options.wheels or folder / "wheels").resolve()
        gather(commits, wheels, folder)
        for k in range(options.rounds):
            for commit in commits[:: 1 if k % 2 == 0 else -1]:
                place = folder / f"{k}-{commit}"
                place.mkdir()
                parts, sizes[commit] = first(commit, wheels, place, options)
                taken[commit].append(parts)
                shutil.rmtree(place)
    parts = rows_of_parts(taken, here, there if there != here else None)
    of_sizes = rows_of_sizes(sizes[here], sizes.get(there) if there and there != here else None)
    write(options.json, "first", {"parts": parts, "sizes": of_sizes}, rounds=options.rounds, commit=here, other=there)


if __name__ == "__main__":
    main()
