"""Suppression: adenosine and the suppressor cells nearby keep T and NK cells from filling up with granzyme.

    restraint = (1 - max_adenosine * a / (1 + a)) / (1 + neighbour_strength * suppressors nearby)
    granzyme moves towards  activity * restraint * stimulation (IMiD, less dexamethasone)  within about half a day

Adenosine acts through the A2A receptor (40-80 % at most), Treg, Breg and MDSC by contact and cytokines. So when the
suppressors are depleted and adenosine falls, granzyme and killing rise: the effect follows, as it should, from depletion.
Suppressors nearby are a mean over the last half day: restraint is convex in them, so that a mean over a single step, of whatever
length, would make T cells kill the more the shorter it is.
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import kernel, part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.marrow.cells import N_TYPES
from tme_abm.marrow.contact import MOST_GRANZYME, fading
from tme_abm.marrow.lattice import NEIGHBOURHOOD, index, neighbourhood_sum
from tme_abm.marrow.prefetch import read_for_granzyme
from tme_abm.marrow.roster import end_of, first_of
from tme_abm.marrow.state import Gauge


class Params(NamedTuple):
    """Of T and NK cells."""

    max_adenosine: Annotated[
        float,
        Param(
            "1",
            "lytic capacity lost under very much adenosine",
            "tme_abm: 40-80 % through the A2A receptor, from memory",
            "M-low",
            high=1.0,
        ),
    ] = 0.7
    neighbour_strength: Annotated[float, Param("1", "suppression by one MDSC nearby all the time", "tme_abm", "A")] = 0.8
    refill: Annotated[
        float,
        Param(
            "1/h",
            "rate at which granzyme follows",
            "bhat2007: NK cells empty as they kill in series (the rate of refilling is assumed)",
            "A",
        ),
    ] = 0.06


@kernel
def restraint(adenosine, suppressors, p):
    """Share of its lytic capacity that an effector keeps, 0 to 1."""
    return (1.0 - p.max_adenosine * adenosine / (1.0 + adenosine)) / (1.0 + p.neighbour_strength * suppressors)


def typical(adenosine, count, strength, n_sites, p):
    """Restraint in a marrow where all are mixed: the mean for an effector that meets whoever comes.

    Args:
        adenosine: Mean level [K(A2A)].
        count: Cells of each kind (N_TYPES,).
        strength: Of the suppression by a cell of each kind, relative to an MDSC (N_TYPES,).
        n_sites: Sites on which they live.
        p: Parameters.
    """
    return float(restraint(adenosine, NEIGHBOURHOOD / n_sites * float((count * strength).sum()), p))


@part
def follow(marrow, p, tick, is_on):
    """Carry the column of every T and NK cell over one step, with the mechanism or without it."""
    cells, site = marrow.cells, marrow.roster.site
    kept = math.exp(-p.refill * tick.dt)
    stimulation = marrow.body.gauge[Gauge.STIMULATION]
    recent = fading(tick)  # turns what has piled up over the last half day into its mean
    for block in range(marrow.roster.block.shape[0]):
        read_for_granzyme(marrow, block)
        for kind in range(N_TYPES):
            if not marrow.traits.is_lytic[kind]:
                continue
            is_restrained = is_on and marrow.traits.is_suppressed[kind] == 1
            for i in range(first_of(marrow.roster, block, kind), end_of(marrow.roster, block, kind)):
                s = index(site[i])
                full = float(cells.activity[s]) * stimulation
                if is_restrained:
                    near = recent * neighbourhood_sum(marrow.contacts.suppressor, s, marrow.lattice)
                    full *= restraint(float(marrow.fields.adenosine[s]), near, p)
                target = min(full, MOST_GRANZYME)
                cells.granzyme[s] = target + (float(cells.granzyme[s]) - target) * kept


@part
def prepare(marrow, p, tick):
    """Let the granzyme of every T and NK cell follow."""
    follow(marrow, p, tick, True)


@part
def relieve(marrow, p, tick):
    """Let the granzyme follow where nothing restrains it, as without this mechanism."""
    follow(marrow, p, tick, False)


SUPPRESSION = Mechanism(
    name="suppression",
    Params=Params,
    label="Suppression",
    summary="Adenosine, Treg, Breg and MDSC hold down the lytic capacity of T and NK cells.",
    group=Group.IMMUNE,
    reads=("cells.activity", "gauge.STIMULATION", "contacts.suppressor", "fields.adenosine"),
    writes=("cells.granzyme",),
    prepare=prepare,
    phase=Phase.EFFECTORS,
    rest={"prepare": relieve},
    recalls=("contacts.suppressor",),
    italian=Words("Soppressione", "Adenosina, Treg, Breg e MDSC frenano la capacità litica di T e NK."),
)
