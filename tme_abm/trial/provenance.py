"""What a run rests on: every number with its source, the code, the packages, the machine."""

import ast
import hashlib
import os
import platform
import re
import time
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tme_abm.foundation.declare import constants, fill
from tme_abm.mechanisms.outside.catalogue import Catalogue
from tme_abm.outcomes import imwg, mrd
from tme_abm.patients.population import provenance
from tme_abm.trial.study import Study

# The module by which a patient is followed, and that which reads who is drawn: all that they import shapes what comes out.
FOLLOWED = ("trial.arm", "patients.reading")
APART = ("mesa_model", "batch")  # rooms that shape no patient: Mesa's counts where a study has rules, and who does the work never does
RUN = "trial.execution"  # that by which a study is run, with what it imports at its top; what it imports later writes reports
PACKAGE = "tme_abm"
AT_TOP = re.compile(rb"^from (tme_abm(?:\.\w+)*) import (\([^)]*\)|.*)", re.MULTILINE)
ANYWHERE = re.compile(rb"\bfrom\s+tme_abm\b")
COMMENT = re.compile(rb"#.*")
SHAPING = ("numpy", "numba", "scipy")  # packages whose versions may show in a patient; scipy's draw her, and decide on her residual disease
PACKAGES = ("tme-abm", "numpy", "numba", "pandas", "scipy", "mesa")


def describe_run(study: Study) -> dict[str, Any]:
    """All that is needed to run a study again, and every number with its origin."""
    rows = [{"name": name, **origin._asdict()} for name, origin in study.settings.origins().items()]
    for name in sorted({drug for arm in study.arms for drug in arm.drugs}):
        rows += [{"name": f"drugs.{name}.{n}", **origin._asdict()} for n, origin in study.drugs[name].origins().items()]
    rows += [{**row._asdict(), "name": f"population.{row.name}"} for row in provenance(study.population)]
    for name, block in (("response", imwg.Params), ("mrd", mrd.Params)):
        rows += [{"name": f"{name}.{n}", **origin._asdict()} for n, origin in fill(block).origins.items()]
    rows += [{"name": f"clinic.{n}", **origin._asdict()} for n, origin in study.clinic.origins.items()]
    outside = constants("tme_abm.outcomes", "tme_abm.trial.visit")
    rows += [{"name": name, **origin._asdict()} for name, origin in outside.items()]
    return {
        "name": study.name,
        "seed": study.seed,
        "patients": study.patients,
        "scenario": study.resolved,
        "parameters": rows,
        "model": model_digest(),
        **describe_outside(study.settings.catalogue),
        **describe_machine(),
    }


def describe_outside(catalogue: Catalogue) -> dict[str, Any]:
    """The mechanisms and rules that came along from outside, with digests; nothing where none did."""
    by = room_digest("mesa_model") if catalogue.rules else ""  # what they call the model by
    rules = [{"name": rule.name, "digest": rule.digest, "called_by": by} for rule in catalogue.rules]
    return {name: rows for name, rows in (("mechanisms", catalogue.describe()), ("rules", rules)) if rows}


def describe_machine() -> dict[str, Any]:
    """With what and where a run was made."""
    return {
        "versions": {**versions(), "python": platform.python_version()},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def code_versions() -> dict[str, str]:
    """What must be the same wherever patients of one run are simulated, or the machine would show in the numbers."""
    from tme_abm import __version__

    own = {"tme_abm": __version__, "model": model_digest(), "mesa_model": room_digest("mesa_model")}
    return {**own, "python": ".".join(platform.python_version_tuple()[:2]), **versions(SHAPING)}


@cache
def model_digest(root: Path | None = None) -> str:
    """Short digest of all files of the package from which a simulated patient follows, wherever they stand."""
    top = root or Path(__file__).parents[1]
    return _digest(top, model_files(top))


@cache
def room_digest(room: str, root: Path | None = None) -> str:
    """Short digest of all modules of a room of the package."""
    top = root or Path(__file__).parents[1]
    return _digest(top, sorted((top / room).rglob("*.py")))


def _digest(top: Path, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(top).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def model_files(top: Path) -> list[Path]:
    """The modules that a patient's run imports, one from the other, and the tables (TOML) that stand below their folders.

    Imports for type checkers alone count for nothing, nor do the rooms that shape no patient.
    """
    found: set[Path] = set()
    files = source_files(top)
    waiting = [*((module_file(top, name, files), True) for name in FOLLOWED), (module_file(top, RUN, files), False)]
    while waiting:
        path, is_whole = waiting.pop()
        if path is None or path in found:
            continue
        found.add(path)
        for name in imports_of(path, is_whole):
            if name.split(".")[0] not in APART:
                waiting.append((module_file(top, name, files), True))
    folders = {path.parent for path in found} - {top}
    return sorted(found | {path for folder in folders for path in folder.rglob("*.toml")})


def source_files(top: Path) -> dict[str, Path]:
    """The Python files below a folder, by their names with slashes below it."""
    found = {}
    for folder, _, names in os.walk(top):
        below = Path(folder).relative_to(top).as_posix()
        for name in names:
            if name.endswith(".py"):
                found[name if below == "." else f"{below}/{name}"] = Path(folder, name)
    return found


def module_file(top: Path, name: str, files: Mapping[str, Path] | None = None) -> Path | None:
    """The file of a module of the package by its dotted name below `top`, or of a name within one; None for none.

    Args:
        top: The package's folder.
        name: With dots.
        files: What `source_files` gives, for those who look for many.
    """
    known = source_files(top) if files is None else files
    stem = name.replace(".", "/")
    for place in (stem, stem.rpartition("/")[0]):
        for file in (f"{place}.py", f"{place}/__init__.py"):
            if place and file in known:
                return known[file]
    return None


def imports_of(path: Path, is_whole: bool) -> set[str]:
    """Dotted names below the package of what a module imports.

    Args:
        path: The module's file.
        is_whole: Whether imports within functions count too.
    """
    text = path.read_bytes()
    if b"TYPE_CHECKING" not in text and (at_top := imports_at_top(text)) is not None:
        return at_top
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, ast.FunctionDef) and not is_whole:
            return
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == PACKAGE:
            base = node.module.split(".")[1:]
            found.update(".".join([*base, alias.name]) for alias in node.names)
        for block in ("body", "orelse", "handlers", "finalbody"):
            for statement in getattr(node, block, ()):
                visit(statement)

    visit(ast.parse(text))
    return found


def imports_at_top(text: bytes) -> set[str] | None:
    """The same where all imports stand at the top, read without parsing the module, as a run waits for more than a hundred of them.

    None where more is imported from the package than the pattern finds.
    """
    text = COMMENT.sub(b"", text)
    imports = AT_TOP.findall(text)
    if len(imports) != len(ANYWHERE.findall(text)):
        return None
    found: set[str] = set()
    for base, names in imports:
        for name in names.strip(b"()").split(b","):
            if name.strip():
                found.add(b".".join([*base.split(b".")[1:], name.split()[0]]).decode())
    return found


@cache
def versions(packages: tuple[str, ...] = PACKAGES) -> Mapping[str, str]:
    """Versions of installed packages."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except Exception:
            continue
    return found
