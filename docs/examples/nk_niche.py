"""NK cells next to stroma kill less: what an NK cell leaves of its potency where it stops beside a stromal cell is a share lower.

    contact with NK cells = (1 - loss) * contact,   at sites with a stromal cell among their eight neighbours

ADCC reads the contacts when cells are at risk, which is after cells have moved. So an effector is weakened in `Phase.MOTION`: what a
`hazard` act writes of the contacts comes after ADCC has read them.
"""

from typing import Annotated, NamedTuple

from tme_abm.mechanism_kit import Group, Mechanism, Param, Phase, Words, part


class Params(NamedTuple):
    """Of the niche."""

    loss: Annotated[float, Param("1", "share of their potency that NK cells lack next to stroma", "this study: assumed", "A", high=1.0)] = (
        0.5
    )


@part
def prepare(marrow, p, tick):
    """Take the share away where a stromal cell is next to the site."""
    for i in range(marrow.cells.kind.size):  # columns, fields and contacts are flat: a number for each site
        if marrow.lattice.niche[i] == 1:
            marrow.contacts.nk[i] *= 1.0 - p.loss


NK_NICHE = Mechanism(
    name="nk_niche",
    Params=Params,
    label="NK cells in the niche",
    summary="NK cells next to stroma kill less.",
    group=Group.NICHE,
    reads=("lattice.niche",),
    writes=("contacts.nk",),
    phase=Phase.MOTION,
    prepare=prepare,
    italian=Words("Cellule NK nella nicchia", "Accanto allo stroma le cellule NK uccidono di meno."),
)
