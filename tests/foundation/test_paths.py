"""Where the paths of a user lead, and what is written nowhere."""

import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import tme_abm
from tme_abm import tables
from tme_abm.batch.results import open_results
from tme_abm.cli.app import app
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.paths import real

PACKAGE = Path(tme_abm.__file__).parent
PAGE = Path(__file__).parents[2] / "viz" / "tme_viz"


def test_links_are_followed_and_a_circle_of_them_leads_to_itself(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "loop").symlink_to("loop")
    assert real(tmp_path / "link" / "x") == (tmp_path / "folder" / "x").resolve()
    assert real(tmp_path / "loop") == tmp_path.resolve() / "loop"


def test_no_path_is_resolved_by_what_fails_on_a_circle_of_links():
    own = PACKAGE / "foundation" / "installed.py"  # of packages, not of a user
    files = [*PACKAGE.rglob("*.py"), *PAGE.rglob("*.py")]
    assert len(files) > 100
    found = [file for file in files if file != own and re.search(r"(?<!self)\.resolve\(\)", file.read_text(encoding="utf-8"))]
    assert not found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("validate", "study.toml", "--set", "drugs.folder=loop"), "there is no folder"),
        (("run", "study.toml", "--out", "loop"), "loop is a link that leads to no folder; choose another with --out"),
        (("run", "study.toml", "--out", "dangling"), "dangling is a link that leads to no folder; choose another with --out"),
        (("run", "study.toml", "--out", "loop/x"), "loop/x cannot be made: "),
        (("run", "study.toml", "--out", "study.toml/x"), "study.toml is no folder; choose another with --out"),
        (("run", "study.toml", "--out=~/runs"), "~/runs: the ~ for a home folder is not written out here; give the path in full"),
        (("merge", "here", "there", "--out", "~"), "~: the ~ for a home folder is not written out here; give the path in full"),
        (("converge", "study.toml", "--docs", "loop/docs"), "loop/docs cannot be written; choose another with --docs"),
        (("converge", "study.toml", "--docs", "~"), "~: the ~ for a home folder is not written out here"),
    ],
)
def test_paths_that_lead_nowhere_are_refused_in_one_line(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert CliRunner().invoke(app, ["new", "study.toml", "--from", "icaria"]).exit_code == 0
    before = sorted(path.name for path in tmp_path.iterdir())
    done = CliRunner().invoke(app, list(words))
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_tilde_is_no_home_folder_to_whoever_reads(tmp_path, monkeypatch):
    """Of a folder that is called so, all is read, not one part here and the other in the home folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "~").mkdir()
    pd.DataFrame({"x": [1, 2]}).to_parquet(tmp_path / "~" / "t.parquet")
    path = Path("~") / "t.parquet"
    assert tables.read(path)["x"].tolist() == [1, 2]
    assert len(tables.Stored(path)) == 2 and [len(piece) for piece in tables.Stored(path).pieces()] == [2]
    assert tables.read_checked(path, ())["x"].tolist() == [1, 2]


def test_nothing_is_written_below_a_tilde(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^~x/runs: the ~ for a home folder"), open_results(Path("~x/runs"), {}):
        pass
    assert not list(tmp_path.iterdir())
