"""Adenosine: made by cells through CD38 and by other routes, spread by diffusion, taken up; it is what brakes the effectors.

    D lap(a) - u(site) a + s(site) = 0
    s = cd38_route * CD38 on the surface / 130,000 * enzyme activity + other_routes * relative output of the cell type

The CD38 route (CD38, CD203a, CD73) makes it from NAD+, the other (CD39, CD73) from ATP (Horenstein 2016, Costa 2019). It spreads 3-11 sites
and lives for seconds, so it is in balance with its sources at every step; it is solved anew once a day, or when the sources have
changed. Concentrations are relative to the level that halves effector function through the A2A receptor.
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.marrow.antigen import surface_cd38
from tme_abm.marrow.cells import EMPTY, N_TYPES
from tme_abm.marrow.lattice import index
from tme_abm.marrow.roster import end_of, first_of
from tme_abm.marrow.secretion import balance, when_due
from tme_abm.marrow.state import Gauge

MOST_SUPPRESSED: Annotated[float, Param("1", "share of effector function that adenosine takes in a patient, at most", "tme_abm", "A")] = (
    0.95
)
TYPICAL_CD38: Annotated[
    float,
    Param("sites/cell", "CD38 of the plasma cell that makes one unit of adenosine", "cytometry2018: the median plasma cell", "V"),
] = 130e3


class Params(NamedTuple):
    """Of the tissue."""

    diffusivity: Annotated[float, Param("um2/s", "diffusion in marrow", "tme_abm: 7e-6 cm2/s in water and a tortuosity of 1.6", "D")] = (
        270.0
    )
    clearance_free: Annotated[
        float,
        Param("1/h", "clearance on a site without a cell (lifetime 20 s)", "tme_abm: lifetime of 5-60 s in tissue, from memory", "M-low"),
    ] = 180.0
    clearance_cell: Annotated[
        float,
        Param("1/h", "clearance on a site with a cell (lifetime 7.5 s)", "tme_abm: lifetime of 5-60 s in tissue, from memory", "M-low"),
    ] = 480.0


def level(suppressed):
    """Concentration [K(A2A)] that takes the share `suppressed` of what it can take of effector function."""
    suppressed = min(suppressed, MOST_SUPPRESSED)
    return suppressed / (1.0 - suppressed)


def sources(mean, through_cd38, cells, n_sites, p):
    """What a plasma cell makes where the cells of a marrow keep its mean level, by balance of what is made and cleared.

    Args:
        mean: Level to be kept [K(A2A)].
        through_cd38: Share that is made through CD38.
        cells: Of each kind, three of (N_TYPES,): their number, their mean CD38 [sites/cell], and what one makes by other routes relative
            to a plasma cell.
        n_sites: Sites on which they live.
        p: Parameters.

    Returns:
        Adenosine made through CD38 by a cell of typical CD38, and by other routes by a plasma cell, two numbers [1/h].
    """
    count, cd38, other = cells
    occupied = float(count.sum())
    made = mean * (occupied * p.clearance_cell + (n_sites - occupied) * p.clearance_free)
    by_cd38 = made * through_cd38 / float((count * cd38 / TYPICAL_CD38).sum())
    return by_cd38, made * (1.0 - through_cd38) / float((count * other).sum())


@part
def output(marrow, site, kind):
    """Adenosine made by the cell of a site [1/h]."""
    host = marrow.host
    cd38 = surface_cd38(marrow, kind, marrow.cells.clone[site], marrow.cells.cd38[site]) / TYPICAL_CD38
    through_cd38 = host.adenosine_cd38 * cd38 * marrow.body.gauge[Gauge.ENZYME_ACTIVITY]
    return through_cd38 + host.adenosine_other * marrow.traits.adenosine_other[kind]


@part
def lay_out(marrow, p):
    """Sources and clearance of every site, kind by kind: who stands on the next site would be guessed wrong every third time."""
    source, uptake, site = marrow.fields.source, marrow.fields.uptake, marrow.roster.site
    source[:], uptake[:] = 0.0, p.clearance_free
    for block in range(marrow.roster.block.shape[0]):
        for kind in range(EMPTY + 1, N_TYPES):
            for i in range(first_of(marrow.roster, block, kind), end_of(marrow.roster, block, kind)):
                s = index(site[i])
                source[s] = output(marrow, s, kind)
                uptake[s] = p.clearance_cell


@part
def solve(marrow, p):
    """Bring the field into balance with its sources."""
    balance(marrow.fields.adenosine, marrow, p.diffusivity)


prepare = when_due(lay_out, solve)


ADENOSINE = Mechanism(
    name="adenosine",
    Params=Params,
    label="Adenosine",
    summary="Plasma, suppressor and other cells make adenosine, through CD38 and by other routes; it spreads a few cells far.",
    group=Group.NICHE,
    reads=(
        "cells.clone",
        "cells.cd38",
        "gauge.SURFACE_CD38",
        "body.clone_cd38",
        "gauge.ENZYME_ACTIVITY",
        "gauge.FIELD_AGE",
        "host.adenosine_cd38",
        "host.adenosine_other",
        "traits.adenosine_other",
    ),
    writes=("fields.adenosine",),
    prepare=prepare,
    phase=Phase.FIELDS,
    rest=("fields.adenosine",),
    italian=Words(
        "Adenosina",
        "Plasmacellule, cellule soppressive e altre producono adenosina, con il CD38 e per altre vie; si diffonde per poche cellule.",
    ),
)
