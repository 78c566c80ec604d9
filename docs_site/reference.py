"""The API reference: every public name, from its docstring, by mkdocstrings."""

import inspect

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
KIT = "mechanism_kit.md"


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
    lines = [f"# {title}", "", "All are imported from `tme_abm` itself.", ""]
    for name in names:
        kind = "class" if inspect.isclass(getattr(tme_abm, name)) else "function"
        options = "\n    options:\n      show_root_heading: false\n      show_bases: false"
        lines += [f"## `{name}`", "", f"*{kind} `tme_abm.{name}`*", "", f"::: {home(name)}{options}", ""]
    return "\n".join(lines)


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
