"""What holds for all tests: figures need no screen, and hypothesis draws the same examples on every machine."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("MPLBACKEND", "Agg")

settings.register_profile("tme_abm", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tme_abm")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes():
    """Compile what trials need, before several workers would each do it."""
    code = "from tme_abm import load_trial; from tme_abm.trial.execution import compile_kernels; compile_kernels(load_trial('icaria'))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.fixture(scope="session")
def lifelines():
    """What statistics are held to, and its data sets. It asks for pandas below 3; where it is missing, comparisons are skipped."""
    package = pytest.importorskip("lifelines")
    for part in ("datasets", "statistics", "utils"):
        pytest.importorskip(f"lifelines.{part}")
    return package


@pytest.fixture(scope="session")
def rscript():
    """R with its package survival; where it is missing, what asks for it is skipped."""
    found = shutil.which("Rscript")
    if found is None or subprocess.run([found, "-e", "library(survival)"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no Rscript with the package survival here (apt-get install r-base-core r-cran-survival)")
    return found


@pytest.fixture(scope="session")
def squidpy():
    """The squidpy of the tutorials; where it is missing, what asks for it is skipped."""
    return pytest.importorskip("squidpy", "1.8.2")


@pytest.fixture(scope="session")
def small_trial(tmp_path_factory):
    """Twelve patients of ICARIA-MM on small patches in a folder, of whom some leave by every door: run once for all who read results."""
    from tme_abm import load_trial, run

    small = ["marrow.shape=[32, 32]", 'trial.follow_up=["5 month", "9 month"]']
    return run(load_trial("icaria", small, patients=12, seed=5), tmp_path_factory.mktemp("results") / "icaria", 2)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """The first three of those patients, run in a worker process, with days between visits and the cells of two of them; no report."""
    from tme_abm import load_trial, run
    from tme_abm.batch.desk import Desk
    from tme_abm.batch.executors import Processes

    small = ["marrow.shape=[32, 32]", 'trial.follow_up=["5 month", "9 month"]']
    asked = ["record.days=7 d", "record.cells={days=[0, 28, 30], patients=2}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tme_abm.trial.report.write_report", lambda *_: None)
        study = load_trial("icaria", small + asked, patients=3, seed=5)
        return run(study, tmp_path_factory.mktemp("recorded") / "icaria", desk=Desk(Processes(1)))


@pytest.fixture(scope="session")
def assert_as_declared():
    """Checks that every column of a table is declared and holds what is allowed."""
    import numpy as np
    import pandas as pd
    import pyarrow.parquet as pq

    from tme_abm.foundation.columns import find

    def check(table, headings):
        """A table, or the path of one, whose fields must carry the notes too."""
        if isinstance(table, Path):
            for field in pq.read_schema(table):
                notes = {k.decode(): v.decode() for k, v in field.metadata.items() if not k.startswith(b"PARQUET")}
                assert notes == find(field.name, headings).notes, field.name
            table = pd.read_parquet(table)
        for name in table.columns:
            heading = find(name, headings)
            assert heading is not None, name
            column = table[name]
            present = column.dropna()
            if heading.missing == "":
                assert len(present) == len(column), name
            if heading.kind == "word":
                assert not heading.words or set(present) <= set(heading.words), name
            elif heading.kind == "truth":
                assert set(present.unique()) <= {True, False}, name
            else:
                assert present.between(heading.low, heading.high).all(), name
                if heading.kind == "whole number":
                    np.testing.assert_array_equal(present, np.round(present.astype(float)), name)

    return check


@pytest.fixture(scope="session")
def check_crate():
    """Holds a results folder against its manifest: the RO-Crate library opens it, and what it lists is what was written, byte for byte."""
    from rocrate.rocrate import ROCrate

    from tme_abm.batch.results import written
    from tme_abm.export.crate import CODE, CRATE

    def check(folder, name):
        crate = ROCrate(folder)
        files = {entity.id: entity["sha256"] for entity in crate.data_entities if not entity.id.endswith("/")}
        ours = {path.relative_to(folder).as_posix(): path for path in written(folder)}
        assert set(files) == set(ours) - {CRATE} and {CODE, "run.json"} <= set(files)
        assert files == {at: hashlib.sha256(ours[at].read_bytes()).hexdigest() for at in files}
        assert crate.root_dataset["identifier"] == name and crate.root_dataset["description"]
        assert json.loads((folder / CODE).read_text(encoding="utf-8"))["softwareRequirements"]

    return check


ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^<!-- (file|edit|append|run|recipe)(?:: ([^>]+?))? -->\n(?:```(\w+)\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A marked block of CONTRIBUTING.md or of a tutorial."""

    act: str  # file, edit, append, run
    path: str  # of a run: the program that it needs beside the package, if any
    text: str

    def follow(self, folder, env=None):
        """Do in a folder what the block says; of commands, what each has printed."""
        path = folder / self.path
        if self.act == "file":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.text, encoding="utf-8")
        elif self.act == "append":
            path.write_text(path.read_text(encoding="utf-8") + self.text, encoding="utf-8")
        elif self.act == "edit":
            lines = self.text.splitlines(keepends=True)
            old, new = ("".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +"))
            text = path.read_text(encoding="utf-8")
            assert text.count(old) == 1, f"{self.path}: {old!r} stands there {text.count(old)} times"
            path.write_text(text.replace(old, new), encoding="utf-8")
        else:
            return {command: _run(command, folder, env) for command in self.text.splitlines()}
        return {}


def _run(command, folder, env):
    """Run a command with the interpreter and the package of the tests, or those that `env` leads to."""
    names = f'python() {{ "{sys.executable}" "$@"; }}\ntme() {{ python -m tme_abm.cli "$@"; }}\n'
    env = os.environ | {"COLUMNS": "200"} | (env or {})
    done = subprocess.run(["bash", "-c", names + command], cwd=folder, env=env, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def blocks_of():
    """Reads the marked blocks of a page in their order."""

    def read(page):
        found = BLOCK.findall(page.read_text(encoding="utf-8"))
        return [Block(act, what, text) for act, what, language, text in found if language]

    return read


@pytest.fixture(scope="session")
def recipes():
    """The recipes of CONTRIBUTING.md: name -> its blocks in their order."""
    found = {}
    for act, what, language, text in BLOCK.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")):
        if act == "recipe":
            blocks = found[what] = []
        else:
            assert language, f"{act} {what}: no block follows"
            blocks.append(Block(act, what, text))
    return found


@pytest.fixture(scope="session")
def clone():
    """Makes a copy of the clone in a folder, and gives the environment in which the copy is what is imported."""

    def make(folder):
        ignored = shutil.ignore_patterns("__pycache__", "results", "images")
        for name in ("tme_abm", "viz", "scenarios", "tests", "docs"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md", "Makefile"):
            shutil.copy(ROOT / name, folder / name)
        return {"PYTHONPATH": os.pathsep.join((str(folder), str(folder / "viz"))), "NUMBA_CACHE_DIR": str(folder / "cache")}

    return make
