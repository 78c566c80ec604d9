"""The types of cells: the list of them, and what each is, as `cell_types.toml` says.

A new type is a name here, its record there, and what it does (a mechanism). Kernels ask what a cell is (`traits.Traits`), never which
number its type has; agents, tables, wells, reports and the page take its words and colour from the record. Light to import.
"""

import re
import tomllib
from collections.abc import Mapping
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from tme_abm.foundation.declare import Origin, Param, fill
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.toml import Lines

FILE = Path(__file__).with_name("cell_types.toml")


class CellType(IntEnum):
    """What stands on a site. The numbers are only names: what a type is stands in its record."""

    EMPTY = 0
    PLASMA = 1
    T = 2
    NK = 3
    TREG = 4
    BREG = 5
    MDSC = 6
    MACROPHAGE = 7
    STROMA = 8


N_TYPES = len(CellType)
EMPTY = int(CellType.EMPTY)


class Antigen(IntEnum):
    """What an antibody binds; a new one is a name here and a number of that name in `traits.Traits`, for cells whose record gives it."""

    CD38 = 0
    SLAMF7 = 1


class Effector(IntEnum):
    """Who kills by contact; indices of `Body.contact_ceiling`."""

    NK = 0
    T_CELL = 1
    PHAGOCYTE = 2


EFFECTORS = tuple(e.name.lower() for e in Effector)
BASES = (  # what the amount of a type counts
    "nucleated cells",  # its share of them
    "plasma cells",  # cells for each of them
    "neighbourhoods",  # share of the sites that have one among their eight neighbours
)


class Amount(NamedTuple):
    """Of a type of cell of which all patients have alike."""

    amount: Annotated[float, Param("1", "how many a patient has, of what the record counts", "tme_abm", "A", high=20.0)]


class Record(NamedTuple):
    """What a type of cell is, for people; what kernels read of it stands in `traits.Traits`.

    Attributes:
        english: What one is called, in the middle of a sentence.
        plural: What many are called.
        italian: What one is called in Italian.
        agent: Name of its class for Mesa; also the short name in figures.
        colour: On the page, as "#RRGGBB".
        radius: Of its disc on the page, at most 0.5 [sites].
        panel: Name of the panel of curves in which its number is drawn, in the report and on the page; "" for none.
        amount: How many a patient has: the name of a quantity of the patient, or a number where all are alike.
        of: What that counts, one of `BASES`.
        effector: By what it kills, one of `EFFECTORS`; "" for what does not kill.
        properties: What it is, as `traits.Traits` says (without "is_").
        numbers: In what it differs from other types, name -> {value, unit, source, grade}; a number of `traits.Traits`.
    """

    english: str
    plural: str
    italian: str
    agent: str
    colour: str
    radius: float
    panel: str
    amount: str | Origin
    of: str
    effector: str
    properties: tuple[str, ...]
    numbers: Mapping[str, Mapping[str, Any]]


WORDS = ("english", "plural", "italian", "agent", "colour")
KEYS = (*WORDS, "radius", "panel", "amount", "of", "effector", "is")


class RecordTable(NamedTuple):
    """The records of all types, and where in the file each thing stands."""

    records: dict[CellType, Record]
    place: dict[tuple[str | int, ...], str]  # ("NK", "colour") -> "cell_types.toml:24"


@cache
def read_records(path: Path = FILE) -> RecordTable:
    """Read the records of all types but EMPTY, in the order of `CellType`.

    Raises:
        InputError: Where the file and `CellType` differ, or a record lacks or misspells something.
    """
    text = path.read_text(encoding="utf-8")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path.name}: {error}") from None
    place = {keys: f"{path.name}:{line}" for keys, line in Lines(text).found.items()}
    expected = [t.name for t in CellType if t is not CellType.EMPTY]
    for name in tables:
        if name not in expected:
            raise InputError(f"{place[(name,)]}: there is no type of cell '{name}'{did_you_mean(name, expected)}")
    for name in expected:
        if not isinstance(tables.get(name), dict):
            raise InputError(f"{path.name}: the record [{name}] is missing")
    records = {CellType[name]: _read(name, tables[name], place) for name in expected}
    for key in ("agent", "english"):
        seen: dict[str, str] = {}
        for kind, record in records.items():
            word = getattr(record, key)
            if word in seen:
                raise InputError(f"{place[(kind.name, key)]}: {seen[word]} is called '{word}' already")
            seen[word] = kind.name
    return RecordTable(records, place)


def records() -> dict[CellType, Record]:
    """The records of the package's types, in the order of `CellType`."""
    return read_records().records


def types_that_are(word: str) -> list[int]:
    """Numbers of the types of which the record says `word`, in the order of `CellType`; of such as ask no kernel."""
    return [int(kind) for kind, record in records().items() if word in record.properties]


def _read(name: str, table: Mapping[str, Any], place: Mapping[tuple[str | int, ...], str]) -> Record:
    def fail(key: str, text: str) -> InputError:
        return InputError(f"{place.get((name, key), place[(name,)])}: {name}: {text}")

    def choose(key: str, known: tuple[str, ...], usual: str) -> str:
        word = table.get(key, usual)
        if word not in (*known, usual):
            raise fail(key, f"{key}: unknown word '{word}'{did_you_mean(str(word), known)}")
        return str(word)

    for key in WORDS:
        if not isinstance(table.get(key), str) or not table[key]:
            raise fail(key, f'write {key} = "..."')
    if not table["agent"].isidentifier():
        raise fail("agent", f"agent '{table['agent']}' cannot be the name of a class")
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", table["colour"]):
        raise fail("colour", f"colour '{table['colour']}' is not of the form #RRGGBB")
    radius = table.get("radius", 0.42)
    if isinstance(radius, bool) or not isinstance(radius, int | float) or not 0.0 < radius <= 0.5:
        raise fail("radius", f"radius is a number above 0, 0.5 [sites] at most, not {radius!r}")
    panel = table.get("panel", "")
    if not isinstance(panel, str):
        raise fail("panel", f"panel is a word, not {panel!r}")
    amount = table.get("amount")
    if not isinstance(amount, str | dict):
        raise fail("amount", 'write amount = "a quantity of the patient", or { value = ..., unit = "1", source = "..." }')
    if isinstance(amount, dict):
        amount = fill(Amount, {"amount": amount}, f"{place[(name, 'amount')]}: {name}").origins["amount"]
    words = table.get("is", [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise fail("is", f"write is = [words], not {words!r}")
    numbers = {key: value for key, value in table.items() if key not in KEYS}
    for key, value in numbers.items():
        if not isinstance(value, dict):
            raise fail(key, f"unknown key '{key}'{did_you_mean(key, KEYS)}")
    return Record(
        **{key: table[key] for key in WORDS},
        radius=float(radius),
        panel=panel,
        amount=amount,
        of=choose("of", BASES, BASES[0]),
        effector=choose("effector", EFFECTORS, ""),
        properties=tuple(words),
        numbers=numbers,
    )
