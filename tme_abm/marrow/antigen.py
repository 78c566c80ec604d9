"""Antigens: what an antibody binds, and how many sites of it a cell carries."""

from tme_abm.foundation.jit import part
from tme_abm.marrow.cell_types import Antigen as Antigen
from tme_abm.marrow.cell_types import CellType
from tme_abm.marrow.state import Gauge

PLASMA = int(CellType.PLASMA)


@part
def density(marrow, row, antigen):
    """Sites of an antigen on the cell of a row of the risk set [sites/cell]: its own CD38, of others the median of its type."""
    risk = marrow.at_risk
    return risk.cd38[row] if antigen == Antigen.CD38 else marrow.traits.sites[risk.kind[row], antigen]


@part
def surface_cd38(marrow, kind, clone, cd38):
    """CD38 on the surface of a cell now [sites/cell], after trogocytosis and, on plasma cells, what its clone makes of a drug."""
    now = float(cd38) * marrow.body.gauge[Gauge.SURFACE_CD38]
    return now * marrow.body.clone_cd38[clone] if kind == PLASMA else now
