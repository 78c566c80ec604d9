"""The API reference: every public name, from its docstring, by mkdocstrings."""

import ast
import dataclasses
import inspect
import re
import textwrap
from importlib import import_module
from typing import Any

import tme_abm
from docs_site import markdown as md
from tme_abm.foundation.declare import Column, Param, notes
from tme_abm.foundation.mechanism import Mechanism, Phase
from tme_abm.marrow.cells import N_TYPES
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.quantities import BUNDLES, UNNAMED, made_anew
from tme_abm.marrow.state import Gauge
from tme_abm.mechanisms.outside.unread import last_phase

PLACE = "reference"
ORDER = {
    "run.md": (
        "Studies and results",
        (
            "load_scenario",
            "load_trial",
            "run",
            "run_part",
            "merge",
            "compare",
            "load_results",
            "Study",
            "TrialResult",
            "Compared",
            "ExperimentResult",
        ),
    ),
    "tables.md": ("Tables and exports", ("read_table", "export_results", "to_anndata", "InputError")),
    "mesa.md": (
        "The model for Mesa",
        ("TumourModel", "PlasmaCell", "TCell", "NKCell", "Treg", "Breg", "MDSC", "Macrophage", "StromalCell"),
    ),
}
BEHIND = {"TumourModel": ("tme_abm.mesa_model.agents.MarrowCell",)}  # public name -> what follows it, though it is not public itself
KIT = "mechanism_kit.md"
LONGEST = 100  # of a signature on one line


def groups() -> dict[str, tuple[str, tuple[str, ...]]]:
    """File -> title and names; a public name that nobody has placed comes last."""
    placed = {name for _, names in ORDER.values() for name in names}
    rest = tuple(name for name in tme_abm.__all__ if name not in placed and name != "__version__")
    public = {file: (title, tuple(name for name in names if name in tme_abm.__all__)) for file, (title, names) in ORDER.items()}
    return public | ({"other.md": ("Others", rest)} if rest else {})


def home(name: str) -> str:
    """Where a public name is defined."""
    thing = getattr(tme_abm, name)
    return f"{thing.__module__}.{thing.__qualname__}"


def page(title: str, names: tuple[str, ...]) -> str:
    """The reference of some names."""
    lines = [f"# {title}", "", "All are imported from `tme_abm` itself, unless it is said otherwise.", ""]
    for name in names:
        kind = "class" if inspect.isclass(getattr(tme_abm, name)) else "function"
        lines += section(f"{kind} `tme_abm.{name}`", name, getattr(tme_abm, name), home(name))
        for path in BEHIND.get(name, ()):
            module, _, own = path.rpartition(".")
            lines += section(f"base class, `{path}`; not to be made itself", own, getattr(import_module(module), own), path)
    return "\n".join(lines)


def section(what: str, name: str, thing: Any, path: str) -> list[str]:
    """The reference of one name, with what it is called with."""
    options = "\n    options:\n      show_root_heading: false\n      show_bases: false\n      merge_init_into_class: true"
    called = signature(name, thing)
    shown = ["```python", called, "```", ""] if called else []
    return [f"## `{name}`", "", f"*{what}*", "", *shown, f"::: {path}{options}", ""]


def signature(name: str, thing: Any) -> str:
    """How a function is called or an object is made; empty for a class that users do not make.

    The parameters are read off the source, where annotations are short; mkdocstrings shows them only below a heading of its own, with the
    name that a thing has at home.
    """
    function = thing.__init__ if inspect.isclass(thing) else thing
    if not inspect.isfunction(function) or not function.__doc__ or (inspect.isclass(thing) and issubclass(thing, Exception)):
        return ""
    [node] = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(node, ast.FunctionDef)
    args = node.args
    plain = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(plain) - len(args.defaults)) + list(args.defaults)
    parts = [_parameter(arg, default) for arg, default in zip(plain, defaults, strict=True)][1 if inspect.isclass(thing) else 0 :]
    parts += [f"*{_parameter(args.vararg)}"] if args.vararg else ["*"] if args.kwonlyargs else []
    parts += [_parameter(arg, default) for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    parts += [f"**{_parameter(args.kwarg)}"] if args.kwarg else []
    end = "" if inspect.isclass(thing) or node.returns is None else f" -> {_annotation(node.returns)}"
    line = f"{name}({', '.join(parts)}){end}"
    return line if len(line) <= LONGEST else "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){end}"])


def _annotation(node: ast.expr) -> str:
    """An annotation without the quotes that put its reading off."""
    return str(node.value) if isinstance(node, ast.Constant) and isinstance(node.value, str) else ast.unparse(node).replace("'", "")


def _parameter(arg: ast.arg, default: ast.expr | None = None) -> str:
    said = f"{arg.arg}: {_annotation(arg.annotation)}" if arg.annotation else arg.arg
    if default is None:
        return said
    return f"{said} = {ast.unparse(default)}" if arg.annotation else f"{said}={ast.unparse(default)}"


def kit() -> str:
    """What a mechanism from outside imports."""
    from tme_abm import mechanism_kit

    names = getattr(mechanism_kit, "__all__", [name for name in vars(mechanism_kit) if not name.startswith("_")])
    lines = [
        "# What a mechanism of your own imports",
        "",
        "`tme_abm.mechanism_kit` has all of it; [a mechanism of your own](site:mechanism_of_your_own.md) says how it is used.",
        "",
        "| name | what it is |",
        "| --- | --- |",
    ]
    for name in names:
        thing = getattr(mechanism_kit, name)
        words = (
            (inspect.getdoc(getattr(thing, "py_func", thing)) or "").splitlines()[:1]
            if callable(thing) or inspect.isclass(thing)
            else [repr(thing)]
        )
        lines.append(f"| `{name}` | {(words or [''])[0].replace('|', '/')} |")
    lines += ["", "## `Mechanism`", "", "*class `tme_abm.mechanism_kit.Mechanism`*", "", f"{fields(Mechanism)}", ""]
    lines += ["## The phases of a step", "", md.table(("member", "what happens"), [(f"`Phase.{p.name}`", p.value) for p in Phase])]
    lines += ["", "Acts on cells at risk (`ceiling`, `hazard`) come between `Phase.MOTION` and `Phase.ARRIVAL`.", ""]
    return "\n".join([*lines, "## What a marrow holds", "", SHAPES, "", marrow()]) + "\n"


SHAPES = """Columns of cells, fields, contacts and `lattice.niche` are flat, a value for each site, empty ones too: site `i` stands in row
`i // marrow.lattice.width` and column `i % marrow.lattice.width`. A loop over all of them is `for i in range(marrow.cells.kind.size)`, one
over cells at risk `for k in range(marrow.n_at_risk[1])`. The last column says in which act a mechanism of your own may write it, and up to
which phase somebody reads it afterwards; later it is refused. A dash: for reading."""


def fields(block: type) -> str:
    """The constructor of a declared class: each field with its default, from its docstring."""
    text = inspect.getdoc(block) or ""
    said = dict(re.findall(r"^    (\w+): ((?:.|\n(?!    \w+: |\n))*)", text.partition("Attributes:")[2], re.MULTILINE))
    rows = []
    for field in dataclasses.fields(block):
        default = "needed" if field.default is dataclasses.MISSING else f"`{field.default!r}`"
        rows.append((md.code(field.name), default, " ".join(said[field.name].split())))
    return md.table(("field", "default", "meaning"), rows)


def marrow() -> str:
    """Everything that kernels find in a marrow, with shape and unit, and the acts of a mechanism from outside that may write it."""
    rows: list[tuple[str, str, str, str, str]] = []
    for bundle, table in BUNDLES.items():
        for member, note in notes(table).items():
            name = f"{bundle}.{member}"
            if name != "body.gauge" and isinstance(note, Column | Param):
                rows.append((md.code(f"marrow.{name}"), shape_of(bundle, note), note.unit, note.meaning, written_in(name)))
    for g in Gauge:
        rows.append((md.code(f"marrow.body.gauge[Gauge.{g.name}]"), "number", g.unit, g.meaning, written_in(f"gauge.{g.name}")))
    every = md.code("marrow.hazard[row, Cause.NAME]")
    rows.append((every, "(rows at risk, causes)", "1/h", "hazard of each cause of death, and of division", written_in("hazard.ADCC")))
    return md.table(("name", "shape", "unit", "meaning", "may be written in"), rows)


def shape_of(bundle: str, note: Any) -> str:
    """Shape of a member of a marrow in words."""
    by_bundle = {"drugs": "(drugs,)", "clones": "(clones,)", "traits": "(types of cells,)", "host": "number", "at_risk": "(rows at risk,)"}
    if bundle == "body":
        return {(): "(1,)", (N_TYPES,): "(types of cells,)", (N_CLONES,): "(clones,)"}.get(note.shape, str(note.shape))
    return by_bundle.get(bundle, "(sites,)")


def written_in(name: str) -> str:
    """In which act, and until when, it tells that a mechanism from outside writes a quantity."""
    if name in ("body.ceiling", "body.contact_ceiling"):
        return "`ceiling`"
    if name.startswith("hazard."):
        return "`hazard`"
    if name in UNNAMED or name.split(".")[0] in ("at_risk", "host", "traits") or (last := last_phase(name)) is None:
        return "-"
    if made_anew(name) is Phase.MOTION:
        return f"`prepare` in `Phase.{Phase.MOTION.name}`"
    return "`prepare`" if last is Phase.ARRIVAL else f"`prepare`, up to `Phase.{last.name}`"


def made() -> dict[str, str | bytes]:
    """All pages of the reference, by their places."""
    found: dict[str, str | bytes] = {f"{PLACE}/{file}": page(title, names) for file, (title, names) in groups().items()}
    return found | {f"{PLACE}/{KIT}": kit()}
