"""What differs between cell types: one record per type, read from cell_types.toml."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from tme_abm.foundation.clock import HOURS_PER_DAY, MINUTES_PER_HOUR
from tme_abm.foundation.declare import Origin, Param, fill
from tme_abm.foundation.errors import InputError
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.lattice import in_sites


class Traits(NamedTuple):
    """One cell type as floats; all types as arrays (N_TYPES,) indexed by `CellType` (see `load_traits`)."""

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


class TypeTable(NamedTuple):
    """The traits of all types, for kernels and for readers."""

    traits: Traits
    origins: dict[str, Origin]


FILE = Path(__file__).with_name("cell_types.toml")


@cache
def load_traits(path: Path = FILE) -> TypeTable:
    """Read the table of cell types.

    Returns:
        Traits of arrays (N_TYPES,), rates in [1/h] and motility in [sites^2/h], as kernels use them, and the origins of the
        values as written in the file.

    Raises:
        InputError: Where the file and `CellType` differ, or a value is wrong.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    expected = {t.name for t in CellType if t is not CellType.EMPTY}
    if set(tables) != expected:
        raise InputError(f"{path.name}: the tables must be {sorted(expected)}, not {sorted(tables)}")
    filled = {t: fill(Traits, tables.get(t.name), f"{path.name}: {t.name}") for t in CellType}
    origins = {
        f"{t.name.lower()}.{name}": origin
        for t, f in filled.items()
        if t is not CellType.EMPTY
        for name, origin in f.origins.items()
        if name in tables[t.name]
    }
    arrays: Any = (np.array(column) for column in zip(*(filled[t].params for t in CellType), strict=True))
    columns = Traits(*arrays)
    return TypeTable(
        columns._replace(
            renewal=columns.renewal / HOURS_PER_DAY,
            motility=in_sites.py_func(columns.motility, MINUTES_PER_HOUR),  # type: ignore[attr-defined]
        ),
        origins,
    )
