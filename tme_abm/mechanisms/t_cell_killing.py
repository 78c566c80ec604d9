"""Killing by T cells: tumour-reactive CD8 cells lyse the plasma cells that they touch.

    hazard = lysis_rate * tumour-reactive T cells in contact, by their granzyme

In untreated disease it is a small toll, suppressed and exhausted; what it becomes under treatment follows from suppression and exhaustion.
In vivo 0.5-4 kills per cell and day, exhausted cells 0.1-0.5 of that (Halle 2016 as an upper bound).
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
            "tme_abm: set near the fit to control arms and single agents, docs/calibration.md",
            "C",
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
