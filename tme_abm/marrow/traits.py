"""What a kernel may ask of a type of cell: its numbers and what it is, an array over all types for each (cell_types.toml)."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from tme_abm.foundation.clock import HOURS_PER_DAY, MINUTES_PER_HOUR
from tme_abm.foundation.declare import Column, Origin, Param, fill, notes
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.marrow.cell_types import EFFECTORS, FILE, Antigen, CellType, Record, RecordTable, read_records
from tme_abm.marrow.lattice import in_sites

NOBODY, SUPPRESSOR = -1, len(EFFECTORS)  # of `Traits.contact`


class Traits(NamedTuple):
    """One cell type; all types as arrays (N_TYPES,) indexed by `CellType` (see `load_traits`)."""

    cd38: Annotated[float, Param("sites/cell", "median CD38 of a cell", "tme_abm", "A")] = 1.0
    cd38_spread: Annotated[float, Param("1", "standard deviation of log CD38 between cells", "tme_abm", "A")] = 0.5
    renewal: Annotated[float, Param("1/d", "turnover: leaving or dying, made good by new cells from the blood", "tme_abm", "A")] = 0.0
    motility: Annotated[float, Param("um2/min", "effective diffusion coefficient of the migrating cell", "tme_abm", "A")] = 0.0
    adenosine_other: Annotated[float, Param("1", "adenosine made by routes other than CD38, relative to a plasma cell", "tme_abm", "A")] = (
        0.0
    )
    suppression: Annotated[float, Param("1", "suppression of effectors nearby, relative to an MDSC", "tme_abm", "A")] = 0.0
    il6: Annotated[float, Param("1", "interleukin-6 made, relative to a macrophage", "tme_abm", "A")] = 0.0
    chemokine: Annotated[float, Param("1", "chemokine (CCL3) made, relative to a plasma cell", "tme_abm", "A")] = 0.0
    slamf7: Annotated[float, Param("sites/cell", "SLAMF7 of a cell", "tme_abm", "A")] = 0.0

    # what a cell is: the words of `is` in its record
    is_lymphocyte: Annotated[bool, Column("u1", "-", "a lymphocyte, which a glucocorticoid thins out")] = False
    is_mobile: Annotated[bool, Column("u1", "-", "walks through the marrow")] = False
    is_chemotactic: Annotated[bool, Column("u1", "-", "goes for more chemokine, walking and arriving")] = False
    is_renewed: Annotated[bool, Column("u1", "-", "turns over: it leaves or dies, and the blood makes it good")] = False
    is_lytic: Annotated[bool, Column("u1", "-", "has granzyme, by which its potency counts")] = False
    is_clonotypic: Annotated[bool, Column("u1", "-", "has a clonotype, and sees the tumour with some clonotypes only")] = False
    is_exhaustible: Annotated[bool, Column("u1", "-", "has an activity, which chronic antigen wears out")] = False
    is_suppressor: Annotated[bool, Column("u1", "-", "holds down the `suppressed` nearby; the tumour calls a share of them")] = False
    is_suppressed: Annotated[bool, Column("u1", "-", "adenosine and suppressors nearby hold down its granzyme")] = False
    is_depleted: Annotated[bool, Column("u1", "-", "an antibody on its CD38 depletes it (NK cells have fratricide instead)")] = False
    is_stromal: Annotated[bool, Column("u1", "-", "stays for good, and its neighbours are the niche")] = False

    # what follows from the rest
    contact: Annotated[int, Column("i8", "-", "where it leaves its potency: an Effector, SUPPRESSOR or NOBODY")] = NOBODY
    sites: Annotated[float, Column("f8", "sites/cell", "(N_TYPES, antigens) median of each Antigen")] = 0.0


PROPERTIES = tuple(name.removeprefix("is_") for name in Traits._fields if name.startswith("is_"))
NUMBERS = tuple(name for name, note in notes(Traits).items() if isinstance(note, Param))


class TypeTable(NamedTuple):
    """The traits of all types, for kernels and for readers."""

    traits: Traits
    origins: dict[str, Origin]


@cache
def load_traits(path: Path = FILE) -> TypeTable:
    """Read what kernels need of the records of cell types.

    Returns:
        Traits of arrays (N_TYPES,), rates in [1/h] and motility in [sites^2/h], as kernels use them, and the origins of the
        values as written in the file.

    Raises:
        InputError: Where the file and `CellType` differ, or a record is wrong.
    """
    table = read_records(path)
    rows = [Traits()]  # an empty site is nothing
    origins: dict[str, Origin] = {}
    for kind, record in table.records.items():
        _check(kind, record, table)
        filled = fill(Traits, record.numbers, f"{table.place[(kind.name,)]}: {kind.name}")
        rows.append(filled.params._replace(contact=_contact(record), **{f"is_{word}": True for word in record.properties}))
        found = {name: filled.origins[name] for name in record.numbers}
        if isinstance(record.amount, Origin):
            found["amount"] = record.amount
        origins |= {f"{kind.name.lower()}.{name}": origin for name, origin in found.items()}
    dtypes = {name: note.dtype if isinstance(note, Column) else "f8" for name, note in notes(Traits).items()}
    by_name: Any = zip(Traits._fields, zip(*rows, strict=True), strict=True)
    columns: Any = Traits._make(np.array(column, dtypes[name]) for name, column in by_name)
    sites: Any = np.stack([getattr(columns, antigen.name.lower()) for antigen in Antigen], axis=1)
    renewal = columns.renewal / HOURS_PER_DAY
    motility = in_sites.py_func(columns.motility, MINUTES_PER_HOUR)  # type: ignore[attr-defined]
    return TypeTable(columns._replace(renewal=renewal, motility=motility, sites=sites), origins)


def having(flags: Any) -> list[int]:
    """Numbers of the types that have a property, a column `is_...` of the traits, in the order of `CellType`."""
    return [int(kind) for kind in np.flatnonzero(flags)]


def _contact(record: Record) -> int:
    """Where the cells of a type leave their potency."""
    if record.effector:
        return EFFECTORS.index(record.effector)
    return SUPPRESSOR if "suppressor" in record.properties else NOBODY


def _check(kind: CellType, record: Record, table: RecordTable) -> None:
    """Refuse words and numbers that nobody knows, and what excludes each other."""
    for i, word in enumerate(record.properties):
        if word not in PROPERTIES:
            raise InputError(f"{table.place[(kind.name, 'is', i)]}: {kind.name}: unknown property '{word}'{did_you_mean(word, PROPERTIES)}")
    for name in record.numbers:
        if name not in NUMBERS:
            raise InputError(f"{table.place[(kind.name, name)]}: {kind.name}: unknown number '{name}'{did_you_mean(name, NUMBERS)}")
    if record.effector and "suppressor" in record.properties:
        raise InputError(f"{table.place[(kind.name, 'is')]}: {kind.name}: a cell kills or suppresses by contact, not both")
    if "suppressed" in record.properties and "lytic" not in record.properties:
        raise InputError(f"{table.place[(kind.name, 'is')]}: {kind.name}: what is suppressed is granzyme, so say that it is 'lytic' too")
