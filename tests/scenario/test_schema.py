"""The line by which an editor finds the schema of a scenario: in a clone, in an installed package, in a copy of the user's."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

import pytest
from typer.testing import CliRunner

from tme_abm.cli.app import app
from tme_abm.foundation.errors import InputError
from tme_abm.pharmacology.drug import load_drug
from tme_abm.scenario import kinds
from tme_abm.scenario.reading import copy_bundled, questions, scenarios, schema_file

ROOT = Path(__file__).parents[2]
BUNDLED = scenarios() | questions()
LINE = "#:schema "


def named(scenario):
    """The file that the first line of a scenario leads to, as an editor resolves it: a URL against that of the file itself."""
    first = scenario.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(LINE), f"{scenario}: no schema named in its first line"
    url = urlsplit(urljoin(scenario.resolve().as_uri(), first.removeprefix(LINE)))
    assert url.scheme == "file"
    return Path(url2pathname(url.path))


def is_the_schema(path):
    return json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(kinds.schema()))


def test_the_schema_file_is_up_to_date():
    assert is_the_schema(schema_file())  # `make schema` writes it


@pytest.mark.parametrize("name", BUNDLED)
def test_in_a_clone(name):
    assert named(BUNDLED[name]) == schema_file().resolve()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Where a wheel puts its files: the package, and what `force-include` lays into it."""
    site = tmp_path_factory.mktemp("site packages")
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    for package in wheel["packages"]:
        shutil.copytree(ROOT / package, site / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    for source, target in wheel["force-include"].items():
        shutil.copytree(ROOT / source, site / target)
    return site


def test_in_an_installed_package(installed):
    found = sorted((installed / "tme_abm" / "scenarios").rglob("*.toml"))
    assert len(found) == len(BUNDLED)
    for scenario in found:
        assert named(scenario).is_relative_to(installed) and is_the_schema(named(scenario))


@pytest.mark.parametrize("name", ["icaria", "order_of_drugs", "figure5_carfilzomib"])
def test_in_a_copy_of_the_users(name, tmp_path):
    mine = tmp_path / "far away" / "mine.toml"
    mine.parent.mkdir()
    done = CliRunner().invoke(app, ["new", str(mine), "--from", name])
    assert done.exit_code == 0, done.output
    assert is_the_schema(named(mine)) and named(mine).parent == mine.parent.resolve()
    assert str(tmp_path) not in mine.read_text(encoding="utf-8")  # it is for sharing: no path of this machine stands in it
    assert tomllib.loads(mine.read_text(encoding="utf-8")) == tomllib.loads(BUNDLED[name].read_text(encoding="utf-8"))
    assert CliRunner().invoke(app, ["validate", str(mine)]).exit_code == 0


def test_a_copy_from_an_installed_package_names_the_schema_there(installed, tmp_path):
    code = "from pathlib import Path; from tme_abm.scenario.reading import copy_bundled; copy_bundled('icaria', Path('mine.toml'))"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(installed)}, check=True)
    assert named(tmp_path / "mine.toml") == tmp_path.resolve() / "scenario.schema.json" and is_the_schema(named(tmp_path / "mine.toml"))


def test_an_older_schema_is_renewed_and_another_file_is_left_alone(tmp_path):
    there = tmp_path / "scenario.schema.json"
    there.write_text("{}", encoding="utf-8")
    copy_bundled("icaria", tmp_path / "a.toml")
    assert there.read_text(encoding="utf-8") == "{}"
    there.write_text('{"$schema": "old"}', encoding="utf-8")
    copy_bundled("icaria", tmp_path / "b.toml")
    assert is_the_schema(there)


def test_a_drug_of_ones_own_begins_as_a_copy_under_its_own_name(tmp_path):
    (tmp_path / "drugs").mkdir()
    done = CliRunner().invoke(app, ["new", str(tmp_path / "drugs" / "my_drug.toml"), "--from", "daratumumab"])
    assert done.exit_code == 0 and "[drugs] folder" in done.output
    assert [path.name for path in (tmp_path / "drugs").iterdir()] == ["my_drug.toml"]
    mine, theirs = load_drug("my_drug", [tmp_path / "drugs"]), load_drug("daratumumab")
    assert mine.name == "my_drug" and mine.kinetics == theirs.kinetics and mine.effects == theirs.effects
    with pytest.raises(InputError, match="did you mean 'daratumumab'"):
        copy_bundled("daratumumb", tmp_path / "other.toml")


def test_nothing_is_overwritten_and_a_slip_gets_a_hint(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text("precious", encoding="utf-8")
    with pytest.raises(InputError, match="is there already"):
        copy_bundled("icaria", mine)
    assert mine.read_text(encoding="utf-8") == "precious"
    with pytest.raises(InputError, match="did you mean 'icaria'"):
        copy_bundled("icarai", tmp_path / "other.toml")
    with pytest.raises(InputError, match=r"a scenario is a \.toml file"):
        copy_bundled("icaria", tmp_path / "other.json")
    with pytest.raises(InputError, match="cannot be written"):
        copy_bundled("icaria", tmp_path / "nowhere" / "other.toml")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]
    assert CliRunner().invoke(app, ["new", str(mine), "--from", "icaria"]).exit_code == 2
