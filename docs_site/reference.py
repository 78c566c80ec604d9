"""The API reference: every public name, from its docstring, by mkdocstrings."""

import ast
import inspect
import textwrap
from importlib import import_module
from typing import Any

import tme_abm

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
    return "\n".join(lines) + "\n"


def made() -> dict[str, str | bytes]:
    """All pages of the reference, by their places."""
    found: dict[str, str | bytes] = {f"{PLACE}/{file}": page(title, names) for file, (title, names) in groups().items()}
    return found | {f"{PLACE}/{KIT}": kit()}
