"""What docs/architecture.md and CONTRIBUTING.md say of places is there: floors in their order, files, modules, commands of make."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("docs/architecture.md", "CONTRIBUTING.md")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_floors_are_those_of_the_contract():
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = next(c["layers"] for c in contracts if c["id"] == "floors")
    asked = [{name.strip().removeprefix("tme_abm.") for name in layer.split("|")} for layer in layers]
    table = read("docs/architecture.md").partition("| floor |")[2].partition("\n\n")[0]
    told = [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in table.splitlines()[2:]]
    assert told == asked


@pytest.mark.parametrize("page", PAGES)
def test_links_and_files_are_there(page):
    text, folder = read(page), (ROOT / page).parent
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text) if not link.startswith("http")]
    assert links and [link for link in links if not (folder / link).exists()] == []
    made = set(re.findall(r"<!-- file: (.+) -->", text)) | set(
        re.findall(r"^cp \S+ (\S+)$", text, re.MULTILINE)
    )  # by the recipes themselves
    files = {name for name in re.findall(r"`([\w/.]+\.(?:py|toml|md|bib|json))`", text) if "/" in name} - made
    files -= {name for name in files if name.startswith(".tme")}
    assert [name for name in sorted(files) if not any((ROOT / top / name).exists() for top in (".", "tme_abm"))] == []


def test_modules_of_the_way_of_the_data_are_there():
    way = read("docs/architecture.md").partition("scenarios/icaria.toml\n")[2].partition("```")[0]
    names = re.findall(r"^  -> (\w+(?:\.\w+)+)", way, re.MULTILINE)
    assert len(names) > 8
    for name in names:
        parts = name.split(".")
        if parts[0] == "Simulation":
            assert f"    def {parts[1]}(" in read("tme_abm/simulation/simulation.py")
            continue
        path, inner = ROOT / "tme_abm" / parts[0] / f"{parts[1]}.py", parts[2:]
        if not path.exists():
            path, inner = ROOT / "tme_abm" / parts[0] / f"{parts[0]}.py", parts[1:]
        assert path.exists(), name
        for thing in inner:
            assert re.search(rf"^(def|class) {thing}\b", path.read_text(encoding="utf-8"), re.MULTILINE), name


def test_commands_of_make_are_there():
    targets = set(re.findall(r"^(\w+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"`make (\w+)`", read("CONTRIBUTING.md"))) | {"setup"} == targets
