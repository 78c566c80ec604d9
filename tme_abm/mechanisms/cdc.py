"""Complement-dependent cytotoxicity (CDC): a dense carpet of antibody fires complement, against the cell's CD55 and CD59.

    hazard = max_rate * hill(bound antigen, half_density, steepness) * exp(-protection * CD55/CD59)

The last mode to join as CD38 rises; fewer than half of patients' samples show any with isatuximab (Moreno 2019), and
daratumumab needs less CD38 for it (de Weers 2011). CD55 and CD59 rise at progression (Nijhof 2016).
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import kernel, part
from tme_abm.foundation.mechanism import Group, Mechanism, Words
from tme_abm.foundation.response import hill
from tme_abm.marrow.antigen import density
from tme_abm.marrow.cells import Cause, CellType

PLASMA = int(CellType.PLASMA)


class Params(NamedTuple):
    """Of each antibody."""

    max_rate: Annotated[float, Param("1/h", "lysis rate under a full carpet, without CD55 and CD59", "tme_abm", "A")] = 0.004
    half_density: Annotated[float, Param("sites/cell", "bound antigen that gives half the rate", "moreno2019", "M-low")] = 250e3
    steepness: Annotated[float, Param("1", "Hill exponent of hexamer formation", "tme_abm", "A")] = 4.0
    protection: Annotated[
        float,
        Param(
            "1",
            "protection by the CD55 and CD59 of a typical plasma cell",
            "nijhof2016: they rise at progression (how much they protect is assumed)",
            "A",
        ),
    ] = 1.0


@kernel
def unprotected(complement_inhibitors, p, i):
    """Share of the rate that CD55 and CD59 leave, for antibody `i`."""
    return math.exp(-p.protection[i] * complement_inhibitors)


@kernel
def carpet(bound, p, i):
    """Death hazard [1/h] of a plasma cell with `bound` antibodies and without CD55 and CD59, for antibody `i`."""
    return p.max_rate[i] * hill(bound, p.half_density[i], p.steepness[i])


@part
def rate(bound, complement_inhibitors, p, i):
    """Death hazard [1/h] of a plasma cell with `bound` antibodies, for antibody `i`."""
    return carpet(bound, p, i) * unprotected(complement_inhibitors, p, i)


@part
def ceiling(marrow, rows, tick):
    """The highest rate is that of an unprotected cell under a full carpet."""
    for i in range(rows.drug.size):
        if marrow.drugs.occupancy[rows.drug[i]] > 0.0:
            marrow.body.ceiling[PLASMA] += rows.p.max_rate[i]


@part
def hazard(marrow, rows, tick):
    """Add the hazard to every plasma cell at risk."""
    risk = marrow.at_risk
    for i in range(rows.drug.size):
        occupancy = marrow.drugs.occupancy[rows.drug[i]]
        antigen = marrow.drugs.antigen[rows.drug[i]]
        if occupancy <= 0.0:
            continue
        inhibitors, left = -1.0, 0.0
        for k in range(marrow.n_at_risk[1]):
            if risk.kind[k] == PLASMA:
                if risk.complement_inhibitors[k] != inhibitors:  # the same in most rows, for they go by the clone
                    inhibitors = risk.complement_inhibitors[k]
                    left = unprotected(inhibitors, rows.p, i)
                bound = density(marrow, k, antigen) * occupancy
                marrow.hazard[k, Cause.CDC] += carpet(bound, rows.p, i) * left


CDC = Mechanism(
    name="cdc",
    Params=Params,
    label="CDC",
    summary="A dense carpet of antibody fires complement, unless CD55 and CD59 stop it.",
    group=Group.ANTIBODY,
    reads=("drugs.occupancy", "drugs.antigen", "at_risk.cd38", "traits.sites", "at_risk.complement_inhibitors"),
    writes=("hazard.CDC",),
    by_drug=True,
    ceiling=ceiling,
    hazard=hazard,
    italian=Words("CDC", "Un tappeto denso di anticorpo innesca il complemento, se CD55 e CD59 non lo fermano."),
)
