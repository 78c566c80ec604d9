"""Release from the niche: antibody on CD38 loosens the hold of the stroma on plasma cells rich in CD38.

    adherence = adherence * (1 - max_release * occupancy * hill(CD38, half_density, steepness))
    crawl = crawl * (1 - block * hill(CD38)), in motility; block = 1 - product over antibodies of (1 - max_slowing * occupancy)

CD38 binds CD31 and hyaluronic acid; isatuximab interferes with adhesion and migration, and sensitises CD38-rich cells only to bortezomib
and dexamethasone in the presence of stroma (Moreno 2019). Size 20-50 % (M-low).
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.foundation.response import hill
from tme_abm.marrow.antigen import Antigen
from tme_abm.marrow.state import Gauge


class Params(NamedTuple):
    """Of each antibody."""

    max_release: Annotated[
        float, Param("1", "hold lost by a cell rich in CD38 at full occupancy", "pharmaceutics2025", "M-low", high=1.0)
    ] = 0.5
    max_slowing: Annotated[
        float, Param("1", "crawl lost by a cell rich in CD38 at full occupancy", "pharmaceutics2025", "M-low", high=1.0)
    ] = 0.35
    half_density: Annotated[
        float,
        Param("sites/cell", "CD38 that gives half of the release", "moreno2019: seen in CD38-rich cells only (the number is assumed)", "A"),
    ] = 100e3
    steepness: Annotated[float, Param("1", "Hill exponent", "moreno2019: seen in CD38-rich cells only (the exponent is assumed)", "A")] = (
        2.0
    )


@part
def kept(cd38, occupancy, p, i):
    """Share of its hold that the niche keeps on a cell, under antibody `i`."""
    return 1.0 - p.max_release[i] * occupancy * hill(cd38, p.half_density[i], p.steepness[i])


@part
def prepare(marrow, rows, tick):
    """Take from the crawl of plasma cells what the antibodies cover."""
    left = 1.0
    for i in range(rows.drug.size):
        d = rows.drug[i]
        if marrow.drugs.antigen[d] == Antigen.CD38:
            left *= 1.0 - rows.p.max_slowing[i] * marrow.drugs.occupancy[d]
    marrow.body.gauge[Gauge.CRAWL_BLOCK] = 1.0 - left


@part
def hazard(marrow, rows, tick):
    """Loosen the hold on the plasma cells at risk."""
    risk = marrow.at_risk
    for i in range(rows.drug.size):
        d = rows.drug[i]
        if marrow.drugs.antigen[d] != Antigen.CD38 or marrow.drugs.occupancy[d] <= 0.0:
            continue
        for k in range(marrow.n_at_risk[1]):
            if risk.adherence[k] > 0.0:
                risk.adherence[k] *= kept(risk.cd38[k], marrow.drugs.occupancy[d], rows.p, i)


NICHE_RELEASE = Mechanism(
    name="niche_release",
    Params=Params,
    label="Release from niche",
    summary="The antibody loosens the hold of the niche on CD38-rich plasma cells and slows them.",
    group=Group.ANTIBODY,
    reads=("drugs.occupancy", "drugs.antigen", "at_risk.adherence", "at_risk.cd38"),
    writes=("gauge.CRAWL_BLOCK", "at_risk.adherence"),
    by_drug=True,
    prepare=prepare,
    hazard=hazard,
    phase=Phase.DRUGS,
    italian=Words(
        "Distacco dalla nicchia",
        "L'anticorpo allenta la presa della nicchia sulle plasmacellule ricche di CD38 e le rallenta.",
    ),
)
