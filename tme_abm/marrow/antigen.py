"""Antigens: what an antibody binds, and how many sites of it a cell carries."""

from enum import IntEnum
from typing import Annotated

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.state import Gauge

PLASMA = int(CellType.PLASMA)
SLAMF7_SITES: Annotated[
    float,
    Param("sites/cell", "SLAMF7 of a plasma cell, a sixth of its CD38", "hsi2008: much the same in all, the number from memory", "M-low"),
] = 20e3


class Antigen(IntEnum):
    """What an antibody binds."""

    CD38 = 0
    SLAMF7 = 1


@part
def density(risk, row, antigen):
    """Sites of an antigen on the plasma cell of a row of the risk set [sites/cell]."""
    return risk.cd38[row] if antigen == Antigen.CD38 else SLAMF7_SITES


@part
def surface_cd38(marrow, kind, clone, cd38):
    """CD38 on the surface of a cell now [sites/cell], after trogocytosis and, on plasma cells, what its clone makes of a drug."""
    now = float(cd38) * marrow.body.gauge[Gauge.SURFACE_CD38]
    return now * marrow.body.clone_cd38[clone] if kind == PLASMA else now
