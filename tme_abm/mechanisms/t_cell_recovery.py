"""T-cell recovery: tumour-reactive T cells that touch a plasma cell, and are not held down, divide.

    hazard of division = expansion * share of neighbours that are plasma cells * granzyme * supply (IMiD)

So relief from suppression lets the reactive clonotypes expand: the number of T cells, their clonality and their granzyme rise after the
suppressors have gone, in this order of cause and effect (Krejcik 2016).
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Mechanism
from tme_abm.marrow.cells import Cause, CellType
from tme_abm.marrow.clones import N_REACTIVE
from tme_abm.marrow.contact import MOST_GRANZYME
from tme_abm.marrow.lattice import count_neighbours
from tme_abm.marrow.state import Gauge

PLASMA, T = int(CellType.PLASMA), int(CellType.T)


class Params(NamedTuple):
    """Of tumour-reactive T cells."""

    expansion: Annotated[float, Param("1/h", "division rate amid plasma cells with full granzyme", "tme_abm: set near the fit to control arms and single agents, docs/calibration.md", "C")] = 0.003


@part
def ceiling(marrow, p, tick):
    """The highest hazard is that of a cell surrounded by plasma cells, with full granzyme."""
    marrow.body.ceiling[T] += p.expansion * MOST_GRANZYME * marrow.body.gauge[Gauge.T_SUPPLY]


@part
def hazard(marrow, p, tick):
    """Add the rate of division to every tumour-reactive T cell at risk."""
    risk = marrow.at_risk
    supply = marrow.body.gauge[Gauge.T_SUPPLY]
    for k in range(marrow.n_at_risk[0]):
        if risk.kind[k] == T and risk.clone[k] < N_REACTIVE:
            s = risk.site[k]
            antigen = count_neighbours(marrow.cells.kind, PLASMA, s, marrow.lattice) / 8.0
            granzyme = float(marrow.cells.granzyme[s])
            marrow.hazard[k, Cause.DIVISION] += p.expansion * antigen * granzyme * supply


T_CELL_RECOVERY = Mechanism(
    name="t_cell_recovery",
    Params=Params,
    summary="Tumour-reactive T cells expand on contact with plasma cells when they are not suppressed.",
    reads=("plasma contact", "granzyme", "T-cell supply"),
    writes=("hazard",),
    ceiling=ceiling,
    hazard=hazard,
)
