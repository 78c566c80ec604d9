"""The floors: a module imports from floors below its own, never in a circle, Mesa stays in one room, and no file holds too much.

Read from the sources and from the contracts in pyproject.toml, so that the suite holds them without import-linter too.
"""

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tme_abm"
CONTRACTS = {c["id"]: c for c in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]}
FLOORS = [[name.strip(" ()") for name in layer.split("|")] for layer in CONTRACTS["floors"]["layers"]]
FILES = sorted(PACKAGE.rglob("*.py"))
PAGE = sorted((ROOT / "viz" / "tme_viz").rglob("*.py"))
MOST_LINES = 500
LONG = {}  # module with more lines than that -> why they belong together


def module(path):
    folder = ROOT / "viz" if path.is_relative_to(ROOT / "viz") else ROOT
    return ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")


def imported(path, with_types=False):
    """Names of all modules that a file imports, wherever the import stands; those for type checkers alone only `with_types`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unseen = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in unseen and not with_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor(name):
    """Height and member of the floor that a module belongs to; None for the package itself and what is no part of it."""
    for height, members in enumerate(reversed(FLOORS)):
        for member in members:
            if name == member or name.startswith(member + "."):
                return height, member
    return None


def test_every_module_stands_on_a_floor():
    assert [module(path) for path in FILES if floor(module(path)) is None] == ["tme_abm"]


@pytest.mark.parametrize("path", FILES, ids=module)
def test_a_module_imports_from_lower_floors_only(path):
    own = floor(module(path))
    wrong = []
    for name in imported(path):
        other = floor(name)
        if own is not None and other is not None and other != own and other[0] >= own[0]:
            wrong.append(name)
    assert wrong == []


def circle(graph):
    """Modules that import each other in a circle, the first found; none where there is none."""
    done = set()

    def follow(name, way):
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph[name]):
            if found := follow(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := follow(name, []))), [])


def graph_of(files):
    """Module -> the modules among `files` that it imports, for types too; a package stands for what its `__init__` imports."""
    names = {module(path) for path in files}
    return {module(path): {name for name in imported(path, with_types=True) if name in names} - {module(path)} for path in files}


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_module_imports_itself_by_a_detour_not_even_for_its_types():
    assert circle(graph_of([*FILES, *PAGE])) == []


def test_no_file_holds_too_much():
    """A file over five hundred lines usually holds two subjects; one that does not is listed with the reason."""
    assert all(reason for reason in LONG.values())
    long = {module(path) for path in [*FILES, *PAGE] if len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES}
    assert long == set(LONG)


def test_only_the_model_knows_mesa_and_nothing_knows_solara():
    knows = {(module(path), name.split(".")[0]) for path in FILES for name in imported(path)}
    assert {m.rpartition(".")[0] for m, name in knows if name == "mesa"} <= {"tme_abm.mesa_model"}
    assert {m for m, name in knows if name in ("solara", "ipyvue", "ipyvuetify", "reacton")} == set()


def test_the_numeric_floors_know_no_tables():
    sources = CONTRACTS["numeric"]["source_modules"]
    heavy = set(CONTRACTS["numeric"]["forbidden_modules"])
    for path in FILES:
        if any(module(path) == s or module(path).startswith(s + ".") for s in sources):
            assert not {name.split(".")[0] for name in imported(path)} & heavy, path


def test_mechanisms_do_not_know_each_other():
    listed = CONTRACTS["mechanisms"]["modules"]
    others = ("__init__", "step", "declared", "equations")
    present = [module(path) for path in FILES if path.parent.name == "mechanisms" and path.stem not in others]
    assert listed == present
    for path in FILES:
        if module(path) in listed:
            assert {name for name in imported(path) if name in listed} <= {module(path)}
