"""Cells, one to a site: a column holds one quantity of all sites, and the row of a cell is the site that it stands on.

So neighbours in space are neighbours in memory, no list of cells has to be kept in step with the lattice, and an empty site is a
row of kind EMPTY. A cell that moves takes its row along (`move`).
"""

from enum import IntEnum
from typing import Annotated, NamedTuple

import numpy as np

from tme_abm.foundation.declare import Column
from tme_abm.foundation.jit import kernel
from tme_abm.marrow.cell_types import EMPTY as EMPTY
from tme_abm.marrow.cell_types import N_TYPES as N_TYPES
from tme_abm.marrow.cell_types import CellType as CellType

Array = np.ndarray


class Cause(IntEnum):
    """Why a cell died; the columns of the ledger. `DIVISION` shares the draw, being the competing event that is no death."""

    ADCC = 0
    ADCP = 1
    CDC = 2
    DIRECT = 3
    T_CELL = 4
    IMID = 5
    PROTEASOME = 6
    GLUCOCORTICOID = 7
    DEPLETION = 8
    FRATRICIDE = 9
    TURNOVER = 10
    DIVISION = 11


N_CAUSES = int(Cause.DIVISION)
N_EVENTS = len(Cause)


class Cells(NamedTuple):
    """Columns, each of shape (n_sites,)."""

    kind: Annotated[Array, Column("u1", "-", "a CellType")]
    clone: Annotated[Array, Column("u1", "-", "plasma cells: clone; T cells: clonotype")]
    uid: Annotated[Array, Column("i8", "-", "identity of the cell for its whole life, 0 where the site is empty")]
    cd38: Annotated[Array, Column("f4", "sites/cell", "CD38 molecules that the cell expresses when undisturbed")]
    complement_inhibitors: Annotated[Array, Column("f4", "1", "CD55 and CD59, relative to a typical plasma cell")]
    activity: Annotated[Array, Column("f4", "1", "T and NK cells: functional capacity, 0 exhausted to 1 fresh")]
    granzyme: Annotated[Array, Column("f4", "1", "T and NK cells: lytic granules; 1 a fresh cell in peace, up to 1.5 under an IMiD")]
    born: Annotated[Array, Column("f4", "h", "hour of birth, of the model's clock")]


@kernel
def clear(cells, site):
    """Empty a site."""
    cells.kind[site] = EMPTY
    cells.uid[site] = 0


@kernel
def move(cells, site, target):
    """Carry the cell of `site` to the empty site `target`."""
    cells.kind[target] = cells.kind[site]
    cells.clone[target] = cells.clone[site]
    cells.uid[target] = cells.uid[site]
    cells.cd38[target] = cells.cd38[site]
    cells.complement_inhibitors[target] = cells.complement_inhibitors[site]
    cells.activity[target] = cells.activity[site]
    cells.granzyme[target] = cells.granzyme[site]
    cells.born[target] = cells.born[site]
    clear(cells, site)
