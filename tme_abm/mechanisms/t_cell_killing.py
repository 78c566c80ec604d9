"""Killing by T cells: tumour-reactive CD8 cells lyse the plasma cells that they touch.

    hazard = lysis_rate * tumour-reactive T cells in contact, by their granzyme

In untreated disease it is a small toll, suppressed and exhausted; what it becomes under treatment follows from suppression and exhaustion.
The rate was set by hand, and what is measured of T cells bounds it. A quarter of the clonotypes is taken to see the tumour
(`N_REACTIVE`), many more cells than are found: of the CD8 cells of the marrow 0 to 6.4 % see MUC1, and more than 0.3 % in half of
the patients. So the rate is that of a cell that sees the tumour, spread over many: 0.3 % of the T cells killing once a day are as
good as a quarter of them killing 0.012 times, and this rate gives 0.016 in a marrow of 30 % plasma cells. From 0.03 % and half a kill a
day to 6.4 % and four (Halle 2016: 2-16 in virus infection) it would be between 1e-5 and 0.02.
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Words
from tme_abm.marrow.cells import Cause, CellType
from tme_abm.marrow.lattice import NEIGHBOURHOOD
from tme_abm.marrow.state import Effector

PLASMA = int(CellType.PLASMA)


class Params(NamedTuple):
    """Of T cells."""

    lysis_rate: Annotated[
        float,
        Param(
            "1/h",
            "lysis rate for each fresh tumour-reactive T cell in contact",
            "tme_abm: set by hand and in view of a prediction (docs/calibration.md, round 4), never fitted; muc1marrow2004: 0.3 % of the "
            "CD8 cells of the marrow see one antigen; halle2016: 2-16 kills a day in virus infection (one in a tumour is assumed)",
            "A",
        ),
    ] = 0.0003


def toll(t_cells, shares, n_sites, p):
    """Hazard of a plasma cell [1/h], in the mean, from T cells that are mixed with all others.

    Args:
        t_cells: Their number.
        shares: What to multiply it by, to have fresh tumour-reactive cells.
        n_sites: Sites on which they live.
        p: Parameters.
    """
    return math.prod(shares, start=p.lysis_rate * NEIGHBOURHOOD / n_sites * t_cells)


@part
def ceiling(marrow, p, tick):
    """The hazard for each T cell in contact is the same for all plasma cells."""
    marrow.body.contact_ceiling[Effector.T_CELL] += p.lysis_rate


@part
def hazard(marrow, p, tick):
    """Add the hazard to every plasma cell at risk."""
    risk = marrow.at_risk
    for k in range(marrow.n_at_risk[1]):
        if risk.kind[k] == PLASMA:
            marrow.hazard[k, Cause.T_CELL] += p.lysis_rate * risk.t_cell[k]


T_CELL_KILLING = Mechanism(
    name="t_cell_killing",
    Params=Params,
    label="T-cell killing",
    summary="Tumour-reactive T cells lyse plasma cells that they touch.",
    group=Group.IMMUNE,
    reads=("at_risk.t_cell",),
    writes=("hazard.T_CELL",),
    ceiling=ceiling,
    hazard=hazard,
    italian=Words("Uccisione da T", "I linfociti T che riconoscono il tumore uccidono le plasmacellule che toccano."),
)
