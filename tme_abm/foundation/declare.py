"""Declare a quantity once: value, unit, meaning, source and grade.

A block of parameters and a table of columns are both NamedTuples whose members carry an `Annotated` note. The tuple that a
reader reads is the tuple that a kernel receives; nothing is converted or said twice.

A number that shapes a result is written in one of two places, with the same note in the same words:

    class Params(NamedTuple):                                            what a study, a drug or a population may set
        pace: Annotated[float, Param("1/h", "meaning", "source", "A")] = 0.004

    LINGER_H: Annotated[float, Param("h", "meaning", "source", "A")] = 12.0      what holds in every study: a constant

A constant stands in the module of its rule and is a plain number there, which numba compiles into the code. `constants` finds all of
them, so that run.json and `tme describe` list them as "contact.linger_h" and nobody keeps a second table.
"""

import math
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple, TypeVar, cast, get_type_hints

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.references import check_source

T = TypeVar("T")

GRADES = {
    "V": "read in a stored page of the source",
    "V-art": "stated in the article on isatuximab",
    "D": "derived, with the calculation shown",
    "M": "from memory, with the citation that is believed to hold it",
    "M-low": "from memory and weak: a wide prior, never a target",
    "A": "assumption of this model, to be varied in sensitivity analyses",
    "C": "calibrated here, to control arms and single agents only",
}


class Param(NamedTuple):
    """Note on a parameter; values outside of `low` to `high` are refused.

    `needs` names the mechanisms without any of which the number does nothing: that of ADCC on stressed cells, "proteasome".
    """

    unit: str
    meaning: str
    source: str
    grade: str = "A"
    low: float = 0.0
    high: float = math.inf
    needs: tuple[str, ...] = ()


class Column(NamedTuple):
    """Note on an array: its dtype, unit and meaning, what it holds while nothing disturbs it, and whether it lasts longer than a step.

    What does not last is put back to `rest` at the head of every step; what lasts is put back where its mechanism is switched off.
    """

    dtype: str
    unit: str
    meaning: str
    rest: float = 0.0
    lasts: bool = True
    shape: tuple[int, ...] = ()  # () for the length of its table


class Origin(NamedTuple):
    """A resolved value with all that a reader needs to judge it."""

    value: Any
    unit: str
    meaning: str
    source: str
    grade: str


class Filled(NamedTuple):
    """A block of parameters and where each of its values comes from."""

    params: Any
    origins: dict[str, Origin]


@cache
def notes(block: type) -> dict[str, Any]:
    """Member name -> note (`Param` or `Column`) in order of declaration."""
    hints = get_type_hints(block, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}


@cache
def constants(*rooms: str) -> dict[str, Origin]:
    """The declared constants of some modules and of all modules of some packages, as "module.name" -> origin.

    Args:
        rooms: Full names, "tme_abm.marrow" or "tme_abm.trial.arm".
    """
    found: dict[str, Origin] = {}
    for room in rooms:
        top = import_module(room)
        inside = [info.name for info in pkgutil.walk_packages(getattr(top, "__path__", []), f"{room}.")]
        for module in (room, *inside):
            members = vars(import_module(module))
            for name, hint in members.get("__annotations__", {}).items():
                note = next((n for n in getattr(hint, "__metadata__", ()) if isinstance(n, Param)), None)
                if note is not None:
                    place = f"{module.rpartition('.')[2]}.{name.lower()}"
                    found[place] = Origin(members[name], note.unit, note.meaning, note.source, note.grade)
    return found


def fill(block: type, given: Mapping[str, Any] | None = None, where: str = "") -> Filled:
    """Build `block` from a table `{name: {value, unit, source, grade}}`; what is not given keeps its default.

    Args:
        block: A NamedTuple whose members are annotated with `Param`; other members keep their defaults.
        given: Table as read from TOML. `source` and `grade` may be left out where a study overrides a value (then the source
            is "this study" and the grade "A").
        where: Name of the table, for messages.

    Returns:
        The block, every value a float (an int would make numba compile a second version), and the origins of its values.

    Raises:
        InputError: For an unknown name, a wrong unit, an unknown grade, a missing value, or a value that is not a finite number.
    """
    declared = {name: note for name, note in notes(block).items() if isinstance(note, Param)}
    defaults: dict[str, Any] = getattr(block, "_field_defaults", {})
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for name in given or {}:
        if name not in declared:
            raise InputError(f"{where}: unknown parameter '{name}'{did_you_mean(name, declared)}")
    for name, note in declared.items():
        entry = (given or {}).get(name)
        if entry is None:
            if name not in defaults:
                raise InputError(f"{where}: parameter '{name}' [{note.unit}] is missing ({note.meaning})")
            values[name] = float(defaults[name])
            origins[name] = Origin(values[name], note.unit, note.meaning, note.source, note.grade)
            continue
        if not isinstance(entry, Mapping) or "value" not in entry:
            raise InputError(f'{where}.{name}: write {{ value = ..., unit = "{note.unit}", source = "..." }}')
        if unknown := set(entry) - {"value", "unit", "source", "grade"}:
            word = sorted(unknown)[0]
            raise InputError(f"{where}.{name}: unknown key '{word}'{did_you_mean(word, ('value', 'unit', 'source', 'grade'))}")
        if entry.get("unit", note.unit) != note.unit:
            raise InputError(f"{where}.{name}: the unit must be '{note.unit}', not '{entry['unit']}'")
        grade = entry.get("grade", "A")
        if not isinstance(grade, str) or grade not in GRADES:
            raise InputError(f"{where}.{name}: unknown grade '{grade}'{did_you_mean(str(grade), GRADES)}")
        values[name] = number(entry["value"], f"{where}.{name}")
        if not note.low <= values[name] <= note.high:
            raise InputError(f"{where}.{name} = {values[name]:g} [{note.unit}] is outside of {note.low:g} to {note.high:g}")
        origins[name] = Origin(
            values[name], note.unit, note.meaning, check_source(str(entry.get("source", "this study")), f"{where}.{name}"), grade
        )
    return Filled(block(**values), origins)


def number(value: Any, where: str) -> float:
    """`value` as a finite float.

    Raises:
        InputError: Where it is not one (a truth value counts as none).
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{where}: expected a number, got {value!r}")
    return float(value)


def allocate(table: type[T], n: int) -> T:
    """A `table` of zeroed arrays of length `n` with the declared dtypes."""
    import numpy as np  # only here and below: what is declared is light to read

    return table(**{name: np.zeros(n, note.dtype) for name, note in notes(cast(Any, table)).items()})


def at_rest(table: type[T]) -> T:
    """A `table` of arrays that have the declared shapes and hold their rest values."""
    import numpy as np

    return table(**{name: np.full(note.shape, note.rest, note.dtype) for name, note in notes(cast(Any, table)).items()})


def stack(block: type[T], tuples: list[Any]) -> T:
    """Several parameter blocks as one whose members are float64 arrays of shape (len(tuples),)."""
    import numpy as np

    return block(**{name: np.array([getattr(t, name) for t in tuples], np.float64) for name in notes(cast(Any, block))})
