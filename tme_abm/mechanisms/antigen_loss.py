"""Antigen loss: escaped clones lower their CD38 while an anti-CD38 antibody is there, and put it back within months after it.

    dA/dt = -loss * occupancy * (A - floor) + recovery * (1 - A)

A is the CD38 that an escaped clone expresses over that of the same clone undisturbed. On surviving myeloma cells CD38 stays low while
daratumumab is given and is back at its first level about six months after the last dose; what rises at progression is CD55 and CD59
(Nijhof 2016, Krejcik 2017; taken alike for isatuximab). So the loss is reversible; the escape is inherited (clones.py), and so are the
inhibitors.
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.foundation.response import relax
from tme_abm.marrow.antigen import Antigen
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.state import Gauge


class Params(NamedTuple):
    """Of escaped clones."""

    loss: Annotated[
        float,
        Param(
            "1/h",
            "rate at which CD38 is lowered where all of it is bound: days",
            "nijhof2016: CD38 is low at the first look (the rate is assumed)",
            "A",
        ),
    ] = 0.01
    floor: Annotated[
        float,
        Param(
            "1",
            "CD38 that is left however long the exposure",
            "nijhof2016: 10-20 % over all cells, from memory (that an escaped clone ends at 7-12 %, with trogocytosis, is assumed)",
            "A",
            high=1.0,
        ),
    ] = 0.05
    recovery: Annotated[
        float,
        Param(
            "1/h",
            "rate at which CD38 comes back without antibody: half of it in four weeks",
            "nijhof2016: baseline by six months after the last dose, from memory",
            "M-low",
        ),
    ] = 0.00103


@part
def prepare(marrow, p, tick):
    """Loss and recovery over one step."""
    drugs, body = marrow.drugs, marrow.body
    bound = 0.0
    for d in range(drugs.antigen.size):
        if drugs.antigen[d] == Antigen.CD38:
            bound += drugs.occupancy[d]
    rate = p.loss * bound + p.recovery
    if rate > 0.0:
        end = (p.loss * bound * p.floor + p.recovery) / rate
        body.gauge[Gauge.ESCAPED_CD38] = relax(body.gauge[Gauge.ESCAPED_CD38], end, rate, tick.dt)
    for clone in range(N_CLONES):
        if marrow.clones.escaped[clone] == 1:
            body.clone_cd38[clone] *= body.gauge[Gauge.ESCAPED_CD38]


ANTIGEN_LOSS = Mechanism(
    name="antigen_loss",
    Params=Params,
    label="Antigen loss",
    summary="Clones that escape the antibody lower their CD38 while it is there and put it back after it.",
    group=Group.ANTIBODY,
    reads=("drugs.occupancy", "drugs.antigen", "clones.escaped"),
    writes=("gauge.ESCAPED_CD38", "body.clone_cd38"),
    answers="CD38",
    prepare=prepare,
    phase=Phase.DRUGS,
    rest=("gauge.ESCAPED_CD38",),
    italian=Words(
        "Perdita dell'antigene",
        "I cloni che sfuggono all'anticorpo riducono il loro CD38 finché esso è presente e poi lo ripristinano.",
    ),
)
