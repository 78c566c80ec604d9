"""NK activation and depletion: antibody on CD38 engages CD16, which first arms NK cells and then costs them.

    armed potency  = 1 + (armed_fold - 1) * engagement * CD16 left
    dCD16/dt       = -shedding * engagement * CD16 + recovery * (1 - CD16)
    death hazard   = fratricide * hill(CD38 on the NK cell * occupancy, half_density, steepness)

Engagement is the occupancy of the antigen on the NK cell. Within hours NK cells are activated (Zhu 2020); by the end of the first week
70-90 % of the CD38-positive ones are gone, killed by their like, and CD38-low ones go on lysing (Casneuf 2017).
An antibody to SLAMF7 arms NK cells without that cost.
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.foundation.response import hill, relax
from tme_abm.marrow.attack import by_bound_cd38
from tme_abm.marrow.cells import Cause, CellType
from tme_abm.marrow.state import Gauge

NK = int(CellType.NK)
RECOVERY: Annotated[
    float, Param("1/h", "return of CD16 after shedding: half of it in 72 h", "tme_abm: within days, from memory", "M-low")
] = math.log(2.0) / 72.0


class Params(NamedTuple):
    """Of each antibody."""

    armed_fold: Annotated[
        float,
        Param(
            "1",
            "potency of an NK cell with its Fc receptor fully engaged",
            "zhu2020: NK cells are activated (the fold is assumed)",
            "A",
            needs=("adcc",),
        ),
    ] = 2.0
    shedding: Annotated[
        float,
        Param(
            "1/h",
            "loss of CD16 at full engagement",
            "zhu2020: NK cells are activated (that CD16 is shed, and how fast, is assumed)",
            "A",
            needs=("adcc",),
        ),
    ] = 0.01
    fratricide: Annotated[
        float,
        Param(
            "1/h",
            "death rate of NK cells rich in CD38 at full occupancy",
            "casneuf2017: most are gone in a week (the rate is assumed)",
            "A",
        ),
    ] = 0.024
    half_density: Annotated[float, Param("sites/cell", "bound CD38 that gives half that rate", "tme_abm", "A")] = 4e3
    steepness: Annotated[float, Param("1", "Hill exponent", "tme_abm", "A")] = 2.0


@part
def rate(bound, p, i):
    """Death hazard [1/h] of an NK cell with `bound` antibodies, for antibody `i`."""
    return p.fratricide[i] * hill(bound, p.half_density[i], p.steepness[i])


@part
def prepare(marrow, rows, tick):
    """How far the NK cells are armed, and how much CD16 they have left."""
    gauge = marrow.body.gauge
    shed, fold = 0.0, 1.0
    for i in range(rows.drug.size):
        engagement = marrow.drugs.occupancy[rows.drug[i]]
        shed += rows.p.shedding[i] * engagement
        fold += (rows.p.armed_fold[i] - 1.0) * engagement
    left = RECOVERY / (RECOVERY + shed)
    gauge[Gauge.CD16] = relax(gauge[Gauge.CD16], left, RECOVERY + shed, tick.dt)
    gauge[Gauge.NK_ARMED] = 1.0 + (fold - 1.0) * gauge[Gauge.CD16]


@part
def suffers(traits, kind):
    """NK cells alone."""
    return kind == NK


ceiling, hazard = by_bound_cd38(rate, suffers, Cause.FRATRICIDE)


NK_ACTIVATION = Mechanism(
    name="nk_activation",
    Params=Params,
    label="NK arming and loss",
    summary="CD16 engagement first arms NK cells, then the CD38-positive ones are lost.",
    group=Group.ANTIBODY,
    reads=("drugs.occupancy", "drugs.antigen", "at_risk.cd38"),
    writes=("gauge.CD16", "gauge.NK_ARMED", "hazard.FRATRICIDE"),
    by_drug=True,
    prepare=prepare,
    ceiling=ceiling,
    hazard=hazard,
    phase=Phase.DRUGS,
    rest=("gauge.CD16",),
    italian=Words(
        "NK: attivazione e perdita",
        "Il legame del CD16 prima arma le cellule NK; poi quelle positive per CD38 vanno perdute.",
    ),
)
