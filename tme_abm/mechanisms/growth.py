"""Growth: plasma cells divide into a free neighbouring site, faster with interleukin-6, and die at a low background rate.

    division = rate of the clone * (1 - dependence + dependence * 2 c / (1 + c))      c: interleukin-6 relative to the patient's own
    death    = apoptosis

A clone that resists a drug depends on interleukin-6 less: to block it hardly slowed what regrew under bortezomib (Orlowski 2015).
The rate of a clone is set so that untreated disease grows, net of apoptosis and of the toll of T cells, at the patient's own rate
(0.006-0.0085 a day in the median). Without a free neighbour there is no division: space is the limit.
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.arrays import largest
from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Words
from tme_abm.marrow.cells import Cause, CellType
from tme_abm.marrow.clones import IMID_RESISTANT, PROTEASOME_RESISTANT

PLASMA = int(CellType.PLASMA)
DRUG_RESISTANT = IMID_RESISTANT | PROTEASOME_RESISTANT


class Params(NamedTuple):
    """Of plasma cells."""

    apoptosis: Annotated[
        float,
        Param(
            "1/h",
            "background death: labelling index above 2 % against a net doubling time of months",
            "tme_abm: from a labelling index above 2 % at relapse",
            "D",
        ),
    ] = 2.5e-4
    il6_dependence: Annotated[
        float, Param("1", "share of division that interleukin-6 drives in a clone that resists no drug", "tme_abm", "A", high=1.0)
    ] = 0.15
    il6_residual: Annotated[
        float,
        Param(
            "1",
            "what a clone that resists an IMiD or a proteasome inhibitor keeps of that dependence",
            "orlowski2015: with interleukin-6 blocked the hazard of progression under bortezomib is 0.869 of what it is (0.65 to 1.16), so "
            "what regrows grows 13 % slower, by 0.07 of a division about twice as fast as its net growth, and 0.07 / 0.15 is 0.45",
            "D",
            high=1.0,
        ),
    ] = 0.45


def gross(net, toll, p):
    """Division [1/h] of cells with room, of which a growth of `net` [1/h] is left after apoptosis and a `toll` [1/h] of T cells."""
    return net + p.apoptosis + toll


@part
def drive(il6, dependence):
    """Factor on division at a level of interleukin-6; 1 at the patient's usual level."""
    return 1.0 - dependence + dependence * 2.0 * il6 / (1.0 + il6)


@part
def dependence(clone, p):
    """Share of the division of a clone that interleukin-6 drives."""
    return p.il6_dependence * (p.il6_residual if clone & DRUG_RESISTANT else 1.0)


@part
def ceiling(marrow, p, tick):
    """The highest hazards are those of the fastest clone under very much interleukin-6."""
    marrow.body.ceiling[PLASMA] += p.apoptosis + largest(marrow.clones.division) * (1.0 + p.il6_dependence)


@part
def hazard(marrow, p, tick):
    """Add division and background death to every plasma cell at risk."""
    risk = marrow.at_risk
    for k in range(marrow.n_at_risk[1]):
        if risk.kind[k] == PLASMA:
            il6 = float(marrow.fields.il6[risk.site[k]])
            clone = risk.clone[k]
            marrow.hazard[k, Cause.DIVISION] += marrow.clones.division[clone] * drive(il6, dependence(clone, p))
            marrow.hazard[k, Cause.TURNOVER] += p.apoptosis


GROWTH = Mechanism(
    name="growth",
    Params=Params,
    label="Growth",
    summary="Plasma cells divide where there is room, driven by interleukin-6, and die at a low background rate.",
    group=Group.NICHE,
    reads=("clones.division", "fields.il6"),
    writes=("hazard.DIVISION", "hazard.TURNOVER"),
    ceiling=ceiling,
    hazard=hazard,
    italian=Words(
        "Crescita",
        "Le plasmacellule si dividono dove c'è spazio, spinte dall'interleuchina-6, e muoiono con un basso ritmo di fondo.",
    ),
)
