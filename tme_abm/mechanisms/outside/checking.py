"""What a mechanism from outside must keep to, each refusal with the file and the line where it stands."""

import ast
import re
import traceback
from collections.abc import Mapping, Sequence
from enum import EnumMeta
from pathlib import Path
from typing import Any, cast

from tme_abm.foundation.calling import is_kernel
from tme_abm.foundation.declare import GRADES, Param, fill, notes
from tme_abm.foundation.errors import FEW, InputError, did_you_mean
from tme_abm.foundation.mechanism import Mechanism
from tme_abm.foundation.pinned import pin
from tme_abm.foundation.references import check_source
from tme_abm.foundation.twin import Twins
from tme_abm.marrow.cells import N_EVENTS, CellType
from tme_abm.marrow.clones import N_CLONES, Clones
from tme_abm.marrow.lattice import make_lattice
from tme_abm.marrow.quantities import resting
from tme_abm.marrow.state import Gauge, Host, Own, make_marrow
from tme_abm.marrow.traits import load_traits
from tme_abm.mechanisms import MECHANISMS
from tme_abm.mechanisms.declared import NOW, Touched, check_names, check_order, measure, rules_of, specimen, undeclared
from tme_abm.mechanisms.outside.catalogue import NAME, Catalogue, File, Outside
from tme_abm.mechanisms.outside.hooks import Hook
from tme_abm.mechanisms.step import Rules

ACTS = {"prepare": None, "ceiling": Hook.CEILING, "hazard": Hook.HAZARD}  # act -> its hook; that of `prepare` is its phase


def lines_of(text: str) -> dict[str, int]:
    """Names that a text defines at its top -> line."""
    found: dict[str, int] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node.lineno
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    found[target.id] = node.lineno
    return found


def line_of(kernel: Any, path: Path, places: Mapping[str, int]) -> int:
    """Line of a kernel in a file; 0 where it stands elsewhere."""
    code = getattr(getattr(kernel, "py_func", None), "__code__", None)
    if code is None or Path(code.co_filename) != path:
        return 0
    return places.get(code.co_name, code.co_firstlineno)


def check(m: Mechanism, place: str) -> None:
    """Refuse a mechanism that does not hold together.

    Raises:
        InputError: For the first thing that is wrong.
    """
    if not isinstance(m.name, str) or not NAME.fullmatch(m.name):
        raise InputError(f"{place}: '{m.name}' is no name of a mechanism; write it with small letters, digits and _")
    if m.name in Rules._fields:
        raise InputError(f"{place}: the name '{m.name}' is taken; choose another")
    for act in ACTS:
        for kernel in (getattr(m, act), None if isinstance(m.rest, tuple) else m.rest.get(act)):
            if kernel is not None and not is_kernel(kernel):
                raise InputError(f"{place}: {act} of '{m.name}' is no kernel; put @part above its function")
    if all(getattr(m, act) is None for act in ACTS):
        raise InputError(f"{place}: '{m.name}' does nothing; give it prepare, or ceiling and hazard")
    if (m.hazard is None) != (m.ceiling is None):
        raise InputError(f"{place}: '{m.name}' needs both hazard and ceiling, the highest hazard that it can give")
    try:
        known = notes(m.Params)
        bare = [name for name in m.Params._fields if not isinstance(known.get(name), Param)]  # type: ignore[attr-defined]
    except Exception:
        raise InputError(f"{place}: Params of '{m.name}' must be a NamedTuple") from None
    if bare:
        raise InputError(f"{place}: the parameter '{bare[0]}' of '{m.name}' has no Param with unit, meaning, source and grade")
    for name, note in known.items():
        if isinstance(note, Param):
            defaults = getattr(m.Params, "_field_defaults", {})
            check_parameter(f"{place}: parameter '{name}' of '{m.name}'", note, defaults.get(name))
    if not m.by_drug:
        try:
            fill(m.Params)
        except InputError as error:
            raise InputError(f"{place}: '{m.name}': {error}") from None


def check_parameter(where: str, note: Param, default: float | None) -> None:
    """Refuse a parameter whose grade nobody knows, whose source nobody finds, or whose default it would not take itself.

    Raises:
        InputError: For the first thing that is wrong.
    """
    if note.grade not in GRADES:
        raise InputError(f"{where}: unknown grade '{note.grade}'{did_you_mean(str(note.grade), GRADES)}")
    check_source(str(note.source), where)
    if default is not None and not note.low <= default <= note.high:
        raise InputError(f"{where}: the default {default:g} [{note.unit}] is outside of {note.low:g} to {note.high:g}")


def check_declared(o: Outside) -> dict[str, Touched]:
    """Refuse a mechanism that names what there is not, or that reads or writes what it does not name.

    Its acts are run as plain Python on marrows that write down who touches what.

    Returns:
        By act what it reads and writes.

    Raises:
        InputError: For the first thing that is wrong, with the line of the read or write.
    """
    m, own = o.mechanism, own_numbers(o.file)
    try:
        check_names(m, own.values())
    except InputError as error:
        raise InputError(f"{o.place()}: {error}") from None
    try:
        found = measure(m, own=own)
    except Exception as error:  # of whatever kind: it is the file's own code that runs here
        here = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == o.file.path]
        place = f"{o.file.shown}, line {here[-1]}" if here else o.place()
        raise InputError(f"{place}: '{m.name}' fails on a marrow: {in_words(error)}") from None
    for finding in undeclared(m, found):
        is_here = o.file.path is not None and Path(finding.place.file) == o.file.path
        place = f"{o.file.shown}, line {finding.place.line}" if is_here else o.place()
        raise InputError(f"{place}: '{m.name}' {finding.verb} {finding.name}, which it does not declare")
    check_spared(o)
    return found


def check_spared(o: Outside) -> None:
    """Refuse a ceiling of a stromal type: stromal cells stay for good and are never at risk, so a hazard on them would do nothing.

    Raises:
        InputError: Naming the type.
    """
    if o.mechanism.ceiling is None:
        return
    twins = Twins()
    marrow = specimen(0, twins, own_numbers(o.file))
    before, stromal = marrow.body.ceiling.copy(), cast(Any, marrow.traits.is_stromal)
    twins.of(o.mechanism.ceiling)(marrow, rules_of(o.mechanism, marrow.drugs.antigen.size), NOW)
    for kind in CellType:
        if stromal[kind] and marrow.body.ceiling[kind] != before[kind]:
            what = f"raises the ceiling of {kind.name}, a stromal type; stromal cells are never at risk"
            raise InputError(f"{o.place('ceiling')}: '{o.mechanism.name}' {what}")


def check_turns(ordered: Sequence[Outside], seen: Mapping[str, Mapping[str, Touched]]) -> None:
    """Refuse a mechanism that reads what is made only after it, or makes what others have read by then.

    Raises:
        InputError: For the first that does, with its line.
    """
    for n, o in enumerate(ordered, 1):
        lasting = {f"gauge.{gauge.name}": gauge.lasts for other in ordered for gauge in other.file.gauges}
        try:
            check_order([*MECHANISMS, *(other.mechanism for other in ordered[:n])], seen, lasting)
        except InputError as error:
            raise InputError(f"{o.place()}: {error}") from None


def own_numbers(file: File) -> dict[tuple[str, int], str]:
    """Gauges and causes of a file, as the check of declarations takes them: path and number -> name."""
    gauges = {("body.gauge", len(Gauge) + file.first[1] + i): f"gauge.{gauge.name}" for i, gauge in enumerate(file.gauges)}
    return gauges | {("hazard", N_EVENTS + file.first[0] + i): f"hazard.{name}" for i, name in enumerate(file.causes)}


def instead(m: Mechanism, act: str, file: File) -> Any:
    """The kernel that runs instead of an act while a mechanism is switched off; None for none."""
    if not isinstance(m.rest, tuple):
        return m.rest.get(act)
    own = {f"gauge.{gauge.name}": (len(Gauge) + file.first[1] + i, gauge.rest) for i, gauge in enumerate(file.gauges)}
    return resting(m.rest, own=own) if m.rest and act == "prepare" else None


def check_taken(groups: Sequence[Sequence[Outside]]) -> None:
    """Refuse the second mechanism of a name."""
    seen: dict[str, Outside] = {}
    for o in (o for group in groups for o in group):
        if o.mechanism.name in seen:
            first = seen[o.mechanism.name]
            raise InputError(f"{o.place()}: the name '{o.mechanism.name}' is taken by {first.place()}")
        seen[o.mechanism.name] = o


def check_own(catalogue: Catalogue) -> None:
    """Refuse a second cause, gauge or stream of a name; two streams of one name would draw the same."""
    for what, names in (
        ("cause of death", [(name, file) for file in catalogue.files for name in file.causes]),
        ("gauge", [(gauge.name, file) for file in catalogue.files for gauge in file.gauges]),
        ("stream of chance", [(name, file) for file in catalogue.files for name in file.streams]),
    ):
        seen: dict[str, File] = {}
        for name, file in names:
            if name in seen and (file.path or seen[name].path):  # what is written where no file is has its numbers together
                raise InputError(f"{file.shown}: the {what} '{name}' is taken by {seen[name].shown}")
            seen[name] = file


def in_order(found: Sequence[Outside]) -> list[Outside]:
    """Mechanisms of which each comes after those that write, in the same phase, what it reads."""

    def waits_for(one: Outside, other: Outside) -> bool:
        a, b = one.mechanism, other.mechanism
        return a.phase == b.phase and bool(set(a.reads) & set(b.writes)) and not set(b.reads) & set(a.writes)

    ordered: list[Outside] = []
    waiting = list(found)
    while waiting:
        free = [o for o in waiting if not any(waits_for(o, other) for other in waiting if other is not o)]
        ordered.append((free or waiting)[0])
        waiting.remove(ordered[-1])
    return ordered


def sample_marrow(own: Own) -> Any:
    """A small empty marrow, pinned, of the very types that kernels meet."""
    from numpy import ones, uint8, zeros

    flags = {name: zeros(N_CLONES, uint8) for name in ("escaped", "tp53_mutated")}
    clones = Clones(**{name: flags.get(name, ones(N_CLONES)) for name in Clones._fields})
    host = Host(**{name: 1.0 for name in Host._fields})
    return pin(make_marrow(make_lattice(16, 16), clones, load_traits().traits, host, [], own))


def in_words(error: Exception) -> str:
    """What Python says of an error, and of a member that an enumeration has not got the nearest that it has."""
    members = error.obj if isinstance(error, AttributeError) and isinstance(error.obj, EnumMeta) else None
    if members is None:
        return f"{type(error).__name__}: {error}"
    word = str(error.name)  # type: ignore[attr-defined]
    return f"{members.__name__} has no {word}{did_you_mean(word, members.__members__, FEW)}"


def boiled_down(error: Exception, path: Path | None) -> tuple[int, str]:
    """Line and one sentence of what numba says in forty lines."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    lines = [int(n) for file, n in re.findall(r'File "([^"]+)", line (\d+)', text) if path is not None and Path(file).name == path.name]
    said = [line.strip() for line in text.splitlines()]
    noise = (
        "Failed in",
        "During:",
        "File ",
        "def ",
        "<source",
        "^",
        "-",
        "There are",
        "- Of which",
        "With argument",
        "* ",
        ">>>",
        "raised",
    )
    plain = [line for line in said if line and not line.startswith(noise)]
    what = plain[0] if plain else type(error).__name__
    if "NRT required" in what:
        what = "it makes an array, a list or a text, and kernels make nothing new; write into the columns of the marrow"
    return (lines[-1] if lines else 0), re.sub(r"Pinned\(.*", "the marrow", what)[:200].rstrip(" .:")
