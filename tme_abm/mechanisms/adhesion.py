"""Adhesion: a plasma cell that touches stroma is held by the niche, and held cells resist drugs (cell-adhesion-mediated resistance).

`adherence` is 1 for a cell with a stromal cell among its neighbours. How much resistance that gives is a coefficient of each drug
(bortezomib 1.3-3 fold, dexamethasone 3-10, IMiD 1-1.5); ADCC and CDC are not hindered (de Weers 2011). Stroma comes
with the patient's marrow; switching this mechanism off leaves the stroma and takes its protection away.
"""

from typing import NamedTuple

from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Words
from tme_abm.marrow.cells import CellType

PLASMA = int(CellType.PLASMA)


class Params(NamedTuple):
    """None of its own: the share of adherent cells belongs to the patient, the resistance to each drug."""


@part
def hazard(marrow, p, tick):
    """Mark the plasma cells at risk that the niche holds."""
    risk = marrow.at_risk
    for k in range(marrow.n_at_risk[1]):
        if risk.kind[k] == PLASMA:
            risk.adherence[k] = float(marrow.lattice.niche[risk.site[k]])


ADHESION = Mechanism(
    name="adhesion",
    Params=Params,
    label="Niche protection",
    summary="Plasma cells that touch stroma are protected from proteasome inhibitor, dexamethasone and partly IMiD.",
    group=Group.NICHE,
    reads=("lattice.niche",),
    writes=("at_risk.adherence",),
    hazard=hazard,
    italian=Words(
        "Protezione della nicchia",
        "Le plasmacellule a contatto con lo stroma sono protette da inibitore del proteasoma, desametasone e in parte IMiD.",
    ),
)
