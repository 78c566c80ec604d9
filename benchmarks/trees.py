"""Two commits side by side: the sources of another one in a folder of its own, and processes that run in the one or the other.

Nothing is left in the repository: the other commit comes out of `git archive`, not as a worktree that somebody would have to remove. Both
commits run on the packages of this Python, each with a cache of compiled code of its own.
"""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

from bench_trial import Run, run

TOP = Path(__file__).resolve().parents[1]
WORKER = Path(__file__).with_name("worker.py")


class Tree(NamedTuple):
    """The sources of a commit, and where code that is compiled of them is kept."""

    name: str
    root: Path
    cache: Path

    def environment(self, cache: Path | None = None) -> dict[str, str]:
        """What a process needs to run these sources; with another cache where one is given."""
        kept = self.cache if cache is None else cache
        # the folder in which somebody happens to stand may hold the sources too, and must not come first
        safe = {"PYTHONSAFEPATH": "1"}
        compiled = {"PYTHONDONTWRITEBYTECODE": ""}  # as where it was installed: Python's own code is compiled once, not at every start
        return {"PYTHONPATH": os.pathsep.join([str(self.root), str(self.root / "viz")]), "NUMBA_CACHE_DIR": str(kept)} | safe | compiled

    def run(self, *arguments: str, cache: Path | None = None) -> Run:
        """Run a command of this Python on these sources to its end.

        Raises:
            SystemExit: Where it fails, with what it said.
        """
        try:
            return run(*arguments, environment=self.environment(cache))
        except SystemExit as error:
            raise SystemExit(f"{self.name}: {error}") from None

    def ask(self, what: str, *arguments: str, cache: Path | None = None) -> Run:
        """Have the worker do one thing (`worker.py`)."""
        return self.run(str(WORKER), str(self.root), what, *arguments, cache=cache)


def commit_of(ref: str) -> str:
    """The commit that a name of git's stands for, in a few characters.

    Raises:
        SystemExit: Where there is none.
    """
    found = subprocess.run(
        ["git", "-C", str(TOP), "rev-parse", "--verify", "--quiet", "--short", f"{ref}^{{commit}}"], capture_output=True, text=True
    )
    if found.returncode:
        raise SystemExit(f"--against: git knows no commit '{ref}' in {TOP}")
    return found.stdout.strip()


def check_out(ref: str, folder: Path) -> None:
    """Write the files of a commit into a folder, which is made."""
    packed = subprocess.run(["git", "-C", str(TOP), "archive", "--format=tar", commit_of(ref)], capture_output=True, check=True).stdout
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)


def copy_here(folder: Path) -> None:
    """Write the files as they stand here, without what git ignores, into a folder, which is made."""
    folder.mkdir(parents=True)
    listed = subprocess.run(
        ["git", "-C", str(TOP), "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (TOP / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((TOP / name).read_bytes())
            target.chmod((TOP / name).stat().st_mode)


def pair(ref: str, folder: Path) -> tuple[Tree, Tree]:
    """Another commit and the sources as they stand here now, changes that are not committed included, both below a folder.

    Who goes on working here meanwhile changes nothing.
    """
    other, here = Tree(commit_of(ref), folder / "other", folder / "cache-other"), Tree("here", folder / "here", folder / "cache-here")
    check_out(ref, other.root)
    copy_here(here.root)
    return other, here


class Worker:
    """A process that has marrows of one commit ready and takes bursts of steps when asked; use it in a `with` statement."""

    def __init__(self, tree: Tree, *arguments: str) -> None:
        """Start one; it makes its marrows meanwhile (`wait`)."""
        self.tree = tree
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), str(tree.root), "serve", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **tree.environment()},
        )

    def wait(self) -> None:
        """Return when it is ready."""
        self._answer()

    def ask(self, *words: Any) -> float:
        """A number, for a line of words."""
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.tree.name}: the worker ended with exit code {self._process.wait()}; its message stands above")
        return line

    def __enter__(self) -> "Worker":
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Have it end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
