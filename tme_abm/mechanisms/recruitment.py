"""Recruitment: immune cells arrive from the blood, as many as turnover takes from a marrow at its own balance.

Of T cells fewer arrive, for some divide in the marrow.

    arrivals per hour = target * turnover * supply * (1 - drive + drive * tumour load relative to that at eligibility)

Supply is what an IMiD does for T and NK cells; `drive` is the share of Treg, Breg and MDSC that the tumour calls, so that suppressors
fade with debulking. Arrivals land on a free site; T and NK cells on that with more chemokine of two.
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.foundation.rng import Stream, below, bits, normal, poisson, stream_key, subkey, unit
from tme_abm.marrow.cells import N_TYPES, CellType
from tme_abm.marrow.clones import N_CLONOTYPES
from tme_abm.marrow.renewal import renewal
from tme_abm.marrow.state import Gauge

PLASMA, T, NK = int(CellType.PLASMA), int(CellType.T), int(CellType.NK)
TRIES = 12  # places looked at for each arrival
PORTION = 400.0  # arrivals expected at most of one draw: what inversion of a Poisson draw bears


class Params(NamedTuple):
    """Of the supply from the blood."""

    tumour_drive: Annotated[float, Param("1", "share of Treg, Breg and MDSC that the tumour calls", "tme_abm", "A", high=1.0)] = 0.4
    most_load: Annotated[
        float, Param("1", "tumour load, relative to that at eligibility, beyond which it calls no more of them", "tme_abm", "A")
    ] = 2.0
    granzyme: Annotated[float, Param("1", "granzyme of a T or NK cell that arrives", "tme_abm", "A", high=1.5)] = 0.5


@part
def supply(marrow, kind, p):
    """Arrivals of a kind relative to what turnover takes from an undisturbed marrow."""
    gauge = marrow.body.gauge
    if kind == T:
        return gauge[Gauge.T_SUPPLY]
    if kind == NK:
        return gauge[Gauge.NK_SUPPLY]
    if marrow.traits.is_suppressor[kind]:
        load = marrow.body.count[PLASMA] / max(1.0, marrow.body.target[PLASMA])
        return 1.0 - p.tumour_drive + p.tumour_drive * min(load, p.most_load)
    return 1.0


@part
def find_place(marrow, key, prefers):
    """A free site, or -1 where the marrow is packed."""
    best = -1
    for attempt in range(TRIES):
        s = below(bits(key, attempt), marrow.cells.kind.size)
        if marrow.cells.kind[s] == 0:
            if not prefers:
                return s
            if best >= 0:
                return s if marrow.fields.chemokine[s] > marrow.fields.chemokine[best] else best
            best = s
    return best


@part
def arrive(marrow, kind, site, key, p, hour):
    """A new immune cell on a free site."""
    cells, traits = marrow.cells, marrow.traits
    cells.kind[site] = kind
    cells.uid[site] = key
    own = subkey(key, TRIES)  # apart from the draws that found the site
    cells.clone[site] = below(bits(own, 0), N_CLONOTYPES) if traits.is_clonotypic[kind] else 0
    cells.cd38[site] = traits.cd38[kind] * math.exp(traits.cd38_spread[kind] * normal(own, 1))
    cells.complement_inhibitors[site] = 1.0
    cells.activity[site] = 1.0 if traits.is_exhaustible[kind] else 0.0
    cells.granzyme[site] = p.granzyme if traits.is_lytic[kind] else 0.0
    cells.born[site] = hour
    marrow.body.births[kind] += 1


@part
def draw_arrivals(key, mean):
    """How many arrive where `mean` are expected: a Poisson number, that of a large patch as a sum of several."""
    arrivals, drawn = 0, 0
    while drawn * PORTION < mean:
        arrivals += poisson(min(mean - drawn * PORTION, PORTION), unit(bits(key, drawn)))
        drawn += 1
    return arrivals


@part
def prepare(marrow, p, tick):
    """The arrivals of one step."""
    key = stream_key(tick.key, Stream.RECRUITMENT, tick.step)
    for kind in range(N_TYPES):
        if not marrow.traits.is_renewed[kind]:
            continue
        own = subkey(key, kind)
        mean = marrow.body.target[kind] * renewal(marrow, kind) * supply(marrow, kind, p) * tick.dt
        for j in range(draw_arrivals(own, mean)):
            one = subkey(own, j + 1)
            s = find_place(marrow, one, marrow.traits.is_chemotactic[kind])
            if s >= 0:
                arrive(marrow, kind, s, one, p, tick.step * tick.dt)


RECRUITMENT = Mechanism(
    name="recruitment",
    Params=Params,
    label="Recruitment",
    summary="Immune cells arrive from the blood and keep the marrow at its balance.",
    group=Group.IMMUNE,
    reads=(
        "body.count",
        "body.target",
        "gauge.NK_SUPPLY",
        "gauge.T_SUPPLY",
        "fields.chemokine",
        "cells.kind",
        "host.nk_renewal",
        "traits.renewal",
        "traits.cd38",
        "traits.cd38_spread",
    ),
    writes=("cells", "body.births"),
    prepare=prepare,
    phase=Phase.ARRIVAL,
    italian=Words("Reclutamento", "Le cellule immunitarie arrivano dal sangue e mantengono il midollo in equilibrio."),
)
