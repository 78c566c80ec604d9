"""No rule decides by the number of a type of cell or by its place in the list: it asks what the cell is, or names one type."""

import ast
from pathlib import Path

import pytest

from tme_abm.marrow.cells import CellType

ROOT = Path(__file__).parents[1]
ROOMS = ("marrow", "mechanisms", "laboratory", "simulation", "mesa_model", "patients", "trial")
FILES = [p for room in ROOMS for p in sorted((ROOT / "tme_abm" / room).rglob("*.py"))] + sorted((ROOT / "viz" / "tme_viz").glob("*.py"))
TYPES = {t.name for t in CellType} - {"EMPTY"}
ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def is_type(node):
    """Whether an expression is a type of cell: `CellType.NK`, a name like NK, or one of them in int(...) or a sum."""
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.value.id == "CellType" and node.attr in TYPES
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "int" and any(map(is_type, node.args))
    if isinstance(node, ast.BinOp):
        return is_type(node.left) or is_type(node.right)
    return isinstance(node, ast.Name) and node.id in TYPES


def is_kind(node):
    """Whether an expression is called a kind: `kind`, `cells.kind`, `risk.kind[k]`."""
    if isinstance(node, ast.Subscript):
        return is_kind(node.value)
    return getattr(node, "id", getattr(node, "attr", "")) == "kind"


def is_number(node):
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value != CellType.EMPTY


def by_number(tree):
    """Lines that decide by the number or the order of types: ranges and slices of them, `<` between them, a kind against a number."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("range", "arange"):
            found = any(map(is_type, node.args))
        elif isinstance(node, ast.Slice):
            found = any(is_type(end) for end in (node.lower, node.upper) if end is not None)
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            found = any(isinstance(op, ORDERED) for op in node.ops) and any(map(is_type, sides))
            found |= any(map(is_kind, sides)) and any(map(is_number, sides))
        else:
            continue
        if found:
            yield node.lineno if hasattr(node, "lineno") else node.lower.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_nobody_counts_types(path):
    assert list(by_number(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "line",
    [
        "for kind in range(T, STROMA): pass",
        "for kind in range(PLASMA + 1, int(CellType.STROMA)): pass",
        "if TREG <= kind <= MDSC: pass",
        "if risk.kind[k] >= CellType.T: pass",
        "if kind == 2: pass",
        "if cells.kind[s] > 3: pass",
        "n = counts[CellType.T : CellType.STROMA].sum()",
    ],
)
def test_who_counts_types_is_found(line):
    assert list(by_number(ast.parse(line))) == [1]


@pytest.mark.parametrize(
    "line",
    [
        "for kind in range(N_TYPES): pass",
        "if kind == NK: pass",
        "if cells.kind[s] > 0: pass",
        "if traits.is_mobile[kind] == 1: pass",
    ],
)
def test_who_names_a_type_or_asks_what_it_is_is_not(line):
    assert list(by_number(ast.parse(line))) == []
