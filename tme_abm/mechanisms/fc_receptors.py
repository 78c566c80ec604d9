"""Fc receptors of macrophages: what they take up with them costs them, and they are made anew within days (hypophagia).

    dF/dt = -spent * F + recovery * (1 - F)
    spent = (cell_cost * cells engulfed + nibbling_share * antibodies stripped off the living / receptors) / macrophages

F is the share of its Fc receptors that a macrophage has left, and what it can still do to a coated cell (ADCP). After a burst of less than
an hour phagocytosis falls and stays low for days, because the receptors go in with what they hold and are degraded; it was seen
where there were many targets for each macrophage (Pinto 2020). So a large tumour under antibody that is always there feels it
most, and it passes as the tumour shrinks.
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import kernel, part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.foundation.response import relax
from tme_abm.marrow.cells import N_TYPES, Cause, CellType
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.state import Effector, Gauge

PLASMA, PHAGOCYTE = int(CellType.PLASMA), int(Effector.PHAGOCYTE)


class Params(NamedTuple):
    """Of macrophages."""

    cell_cost: Annotated[
        float,
        Param(
            "1",
            "share of its receptors that a macrophage loses with a cell that it engulfs, however densely that is coated",
            "pinto2020: a burst of a few cells exhausts a macrophage (that it takes three is assumed)",
            "A",
            high=1.0,
            needs=("adcp",),
        ),
    ] = 0.33
    receptors: Annotated[
        float,
        Param(
            "sites/cell",
            "antibodies whose nibbling costs a macrophage as many receptors as it has",
            "pinto2020: receptors go in with what they hold (their number is assumed)",
            "A",
            low=1.0,
            needs=("adcp",),
        ),
    ] = 3e5
    recovery: Annotated[
        float,
        Param(
            "1/h",
            "rate at which receptors are made anew: half of them in 48 h",
            "pinto2020: low for days (the half-life is assumed)",
            "A",
            needs=("adcp",),
        ),
    ] = 0.0144
    nibbling_share: Annotated[
        float,
        Param(
            "1",
            "share of the antibodies stripped off living plasma cells that macrophages take",
            "krejcik2017: monocytes and granulocytes strip CD38 (the share of the macrophages of the marrow is assumed)",
            "A",
            high=1.0,
            needs=("adcp",),
        ),
    ] = 0.3


@kernel
def left(now, spent, p, dt):
    """Receptors left after `dt` [h] in which a macrophage spends the share `spent` of them in an hour (exact)."""
    rate = spent + p.recovery
    return relax(now, p.recovery / rate, rate, dt) if rate > 0.0 else now


@part
def expressed(marrow):
    """CD38 that all plasma cells of the patch express, were none of it stripped [sites]."""
    body, clones = marrow.body, marrow.clones
    sites = 0.0
    for clone in range(N_CLONES):
        sites += body.clone_count[clone] * clones.cd38[clone] * body.clone_cd38[clone]
    return sites * math.exp(0.5 * marrow.host.cd38_spread**2)  # from the medians of log-normal distributions to their means


@part
def prepare(marrow, p, tick):
    """Take from the receptors what the last step took up."""
    body = marrow.body
    phagocytes = 0.0
    for kind in range(N_TYPES):
        if marrow.traits.contact[kind] == PHAGOCYTE:
            phagocytes += body.count[kind]
    # of the last step; nothing where the count began anew, as for a new regimen
    engulfed = max(0.0, body.ledger[PLASMA, Cause.ADCP] - body.gauge[Gauge.ENGULFED]) / tick.dt
    body.gauge[Gauge.ENGULFED] = body.ledger[PLASMA, Cause.ADCP]
    spent = p.cell_cost * engulfed + p.nibbling_share * body.gauge[Gauge.NIBBLED] * expressed(marrow) / p.receptors
    body.gauge[Gauge.FC_RECEPTORS] = left(body.gauge[Gauge.FC_RECEPTORS], spent / max(1.0, phagocytes), p, tick.dt)


FC_RECEPTORS = Mechanism(
    name="fc_receptors",
    Params=Params,
    label="Fc-receptor capacity",
    summary="Macrophages lose Fc receptors with what they engulf and nibble, and make them anew within days.",
    group=Group.ANTIBODY,
    reads=(
        "body.clone_count",
        "body.clone_cd38",
        "body.count",
        "body.ledger",
        "clones.cd38",
        "gauge.NIBBLED",
        "host.cd38_spread",
    ),
    writes=("gauge.FC_RECEPTORS", "gauge.ENGULFED"),
    answers="CD38",
    prepare=prepare,
    phase=Phase.DRUGS,
    rest=("gauge.FC_RECEPTORS", "gauge.ENGULFED"),
    italian=Words(
        "Recettori Fc",
        "I macrofagi perdono recettori Fc con ciò che inglobano e strappano, e li rifanno in alcuni giorni.",
    ),
)
