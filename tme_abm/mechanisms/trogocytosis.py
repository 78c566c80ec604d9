"""Trogocytosis: monocytes and granulocytes nibble antibody and CD38 off the cells, within hours of the first infusion.

    dS/dt = -loss * crew * occupancy * (S - floor) + recovery * (1 - S)
    crew  = phagocytes per site / (phagocytes per site + HALF_CREW)

S is the CD38 left on the surface, on all cells alike: the nibbling cells are many and mobile, so within a step every cell
meets them, whatever becomes of the disease. Without them nothing is lost. It recovers with the turnover of CD38 once the antibody is
gone (Krejcik 2017, Nijhof 2016). Macrophages stand for all cells that nibble.
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.foundation.response import relax, saturation
from tme_abm.marrow.cells import N_TYPES
from tme_abm.marrow.state import Effector, Gauge

PHAGOCYTE = int(Effector.PHAGOCYTE)

RECOVERY: Annotated[float, Param("1/h", "turnover of CD38", "li2021", "V")] = 0.0082
HALF_CREW: Annotated[
    float,
    Param(
        "1/site",
        "phagocytes that make half of the loss",
        "krejcik2017: no loss without effector cells or complement (that a few suffice is assumed)",
        "A",
    ),
] = 0.002


class Params(NamedTuple):
    """Of each antibody."""

    loss: Annotated[
        float, Param("1/h", "loss of CD38 from the surface at full occupancy", "krejcik2017: within hours (the rate is assumed)", "A")
    ] = 0.1
    floor: Annotated[float, Param("1", "CD38 that stays on the surface however long the exposure", "nijhof2016", "M-low", high=1.0)] = 0.2


@part
def crew(marrow):
    """How far the nibbling cells of the marrow suffice, 0 to 1."""
    phagocytes = 0.0
    for kind in range(N_TYPES):
        if marrow.traits.contact[kind] == PHAGOCYTE:
            phagocytes += marrow.body.count[kind]
    return saturation(phagocytes / marrow.cells.kind.size, HALF_CREW)


@part
def surface(now, loss, stripped, dt):
    """CD38 left after `dt` [h]: exact solution for a total rate of loss `loss` [1/h] and its product with the floors `stripped` [1/h]."""
    rate = loss + RECOVERY
    return relax(now, (stripped + RECOVERY) / rate, rate, dt)


@part
def nibbled(before, after, loss, stripped, dt):
    """CD38 stripped in an hour, in the mean over `dt` [h] in which the surface went from `before` to `after`; rates as in `surface`."""
    rate = loss + RECOVERY
    mean = (stripped + RECOVERY) / rate + (before - after) / (rate * dt)
    return max(0.0, loss * mean - stripped)


@part
def prepare(marrow, rows, tick):
    """Loss and recovery over one step."""
    loss, stripped, share = 0.0, 0.0, crew(marrow)
    for i in range(rows.drug.size):
        rate = rows.p.loss[i] * share * marrow.drugs.occupancy[rows.drug[i]]
        loss += rate
        stripped += rate * rows.p.floor[i]
    gauge = marrow.body.gauge
    before = gauge[Gauge.SURFACE_CD38]
    gauge[Gauge.SURFACE_CD38] = surface(before, loss, stripped, tick.dt)
    gauge[Gauge.NIBBLED] = nibbled(before, gauge[Gauge.SURFACE_CD38], loss, stripped, tick.dt)


TROGOCYTOSIS = Mechanism(
    name="trogocytosis",
    Params=Params,
    label="Trogocytosis",
    summary="CD38 is stripped from the surface within hours of the antibody and returns after it is stopped.",
    group=Group.ANTIBODY,
    reads=("body.count", "drugs.occupancy"),
    writes=("gauge.SURFACE_CD38", "gauge.NIBBLED"),
    by_drug=True,
    prepare=prepare,
    phase=Phase.DRUGS,
    rest=("gauge.SURFACE_CD38",),
    italian=Words("Trogocitosi", "Il CD38 viene strappato dalla superficie entro ore dall'anticorpo e ritorna quando questo è sospeso."),
)
