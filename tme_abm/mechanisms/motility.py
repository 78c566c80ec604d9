"""Motility: immune cells walk several sites an hour through the marrow; a plasma cell crawls while the niche does not hold it.

An immune cell makes a displacement every `stop` hours, as far in mean square as its diffusion coefficient gives in that time, squeezing
past others on the way. It touches those around the place that it comes to; it stays there where the site is free, and goes back where
not. T and NK cells prefer, of two places, the one with more chemokine, the oftener the longer the way, so that their drift does not
depend on the step. A plasma cell moves to a free neighbouring site; one that crawls by its CD38, the less the more of that antibodies
cover.
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.foundation.response import hill, probability
from tme_abm.foundation.rng import Stream, again, below, bits, lower_half, lower_until, stream_key, unit
from tme_abm.marrow.antigen import surface_cd38
from tme_abm.marrow.cells import N_TYPES, CellType, move
from tme_abm.marrow.contact import NK, T_CELL, common_potency, goes_by_granzyme, potency, stand
from tme_abm.marrow.lattice import FAIR, find_free_neighbour, index
from tme_abm.marrow.prefetch import read_for_walks
from tme_abm.marrow.roster import end_of, first_of
from tme_abm.marrow.state import Gauge
from tme_abm.marrow.traits import NOBODY, SUPPRESSOR
from tme_abm.marrow.walking import carried

STEP_VARIANCE = 0.75  # [site2] along each axis of a step to one of eight neighbours: six of them are a site away
PLASMA = int(CellType.PLASMA)


class Params(NamedTuple):
    """Of the walk."""

    stop: Annotated[
        float, Param("h", "time between two displacements of an immune cell; the step, where that is shorter", "tme_abm", "A", low=0.1)
    ] = 2.0
    crawl_density: Annotated[
        float,
        Param(
            "sites/cell",
            "CD38 with which half of the crawl of a plasma cell can be blocked on it",
            "tme_abm: as for the release from the niche",
            "A",
            needs=("niche_release",),
        ),
    ] = 100e3
    crawl_steepness: Annotated[
        float, Param("1", "Hill exponent", "tme_abm: as for the release from the niche", "A", needs=("niche_release",))
    ] = 2.0
    chemotaxis: Annotated[
        float,
        Param("1", "how often a T or NK cell compares two places a stop apart and goes for more chemokine", "tme_abm", "A", high=0.5),
    ] = 0.29


@part
def squares(diffusivity, dt):
    """Half width [sites] of the smaller of two squares from which a displacement is drawn, and how often it is the one a site wider.

    A square of half width n has the variance n (n + 1) / 3 along each axis; of the two the mean is 2 D dt, also for cells that
    are slower than a site in a stop.
    """
    variance = 2.0 * diffusivity * dt
    small = math.floor(math.sqrt(3.0 * variance + 0.25) - 0.5)
    return small, (3.0 * variance - small * (small + 1.0)) / (2.0 * (small + 1.0))


class Gait(NamedTuple):
    """How cells of a kind walk through a step; chances as numbers of the 2**32 that half a random word can be, below which it happens."""

    stops: int  # at which they touch those around them
    small: int  # [sites] half width of the smaller of two squares that a displacement is from
    is_wider: int  # it is from the wider one
    wide_compares: int  # the cell compares two places on such a wide way
    narrow_compares: int  # the same on another way, whose numbers begin at `is_wider`


@part
def gait(marrow, kind, stops, p, tick):
    """How cells walk that stop so often in a step."""
    small, often_wider = squares(marrow.traits.motility[kind], tick.dt / stops)
    # drift is chance times stride over time, and the stride goes with the root of the time
    follows = p.chemotaxis * math.sqrt(tick.dt / stops / p.stop) if marrow.traits.is_chemotactic[kind] else 0.0
    narrow_until = often_wider + (1.0 - often_wider) * follows
    return Gait(stops, small, lower_until(often_wider), lower_until(often_wider * follows), lower_until(narrow_until))


@part
def part_by_touch(marrow, kind, begin, end):
    """Write the lines `begin` to `end` of the roster into `events.site`, where nothing stands yet: first those who can do something.

    Returns:
        How many can; all of a kind that does not go by its clonotype.
    """
    site, order, is_clonotypic = marrow.roster.site, marrow.events.site, marrow.traits.is_clonotypic[kind]
    first, last = 0, end - begin - 1
    for i in range(begin, end):
        can = not is_clonotypic or potency(marrow, kind, index(site[i])) > 0.0
        order[first if can else last] = i  # a choice of two numbers: a branch would be guessed wrong for every third T cell
        first += int(can)
        last -= int(not can)
    return first


@part
def wander(marrow, kind, listed, contact, how, tick_key):
    """Take cells of a kind through a step, leaving their contact at each stop.

    One random word makes a displacement: its upper half says where to, its lower half which square it is from and whether the cell
    compares with another place, which takes a second word.

    Args:
        marrow: Its arrays.
        kind: Of the cells.
        listed: First and last but one of the lines of the roster in `events.site`.
        contact: Where they leave it (`Traits`).
        how: Their gait.
        tick_key: Of the stream in this step.
    """
    site, kinds, chemokine, granzyme = marrow.roster.site, marrow.cells.kind, marrow.fields.chemokine, marrow.cells.granzyme
    width = index(marrow.lattice.width)
    # what is alike for all of the kind is looked up once: the walk takes half of a step, and each instruction in its loops tells
    contacts = marrow.contacts
    # the choice of `contact.leave` again, as numba hands back no array of a bundle; where there is no contact, nothing is written
    left = contacts.nk if contact == NK else contacts.t_cell if contact == T_CELL else contacts.phagocyte
    left = contacts.suppressor if contact == SUPPRESSOR else left
    touches = contact != NOBODY
    by_granzyme = touches and goes_by_granzyme(marrow.traits, kind)
    share = common_potency(marrow.traits, kind) / how.stops
    for j in range(listed[0], listed[1]):
        line = index(marrow.events.site[index(j)])
        s = index(site[line])
        if by_granzyme:  # of T cells only those that see the tumour touch anybody, and are listed here (`part_by_touch`)
            share = float(granzyme[s]) / how.stops
        own = bits(tick_key, marrow.cells.uid[s])
        y, x = s // width, s % width
        for stop in range(how.stops):
            word = bits(own, stop)
            mark = lower_half(word)
            is_wide = mark < how.is_wider
            compares = mark < (how.wide_compares if is_wide else how.narrow_compares)
            side = 2 * how.small + 1 + 2 * int(is_wide)
            to_y, to_x = carried(y, x, word, side, marrow.lattice)
            if compares:
                other_y, other_x = carried(y, x, bits(own, how.stops + stop), side, marrow.lattice)
                is_better = chemokine[index(other_y * width + other_x)] > chemokine[index(to_y * width + to_x)]
                to_y, to_x = other_y if is_better else to_y, other_x if is_better else to_x
            here = index(to_y * width + to_x)
            if touches:
                left[here] += share
            is_free = kinds[here] == 0  # two numbers chosen by it, which costs no branch
            y, x = to_y if is_free else y, to_x if is_free else x
        here = index(y * width + x)
        if here != s:
            move(marrow.cells, s, here)
            site[line] = here


@part
def walk(marrow, kind, begin, end, p, tick):
    """Move the immune cells of one kind in the lines `begin` to `end` of the roster.

    T cells whose clonotype does not see the tumour touch nobody to any effect and need not stop for it: they make the way of a step at
    once, or in as many displacements as their drift takes, of which one covers a limited part.
    """
    key = stream_key(tick.key, Stream.WALK, tick.step)
    often = max(1, int(tick.dt / p.stop + 0.5))
    seldom = min(often, max(1, math.ceil(p.chemotaxis**2 * tick.dt / p.stop)))
    n_felt = part_by_touch(marrow, kind, begin, end)
    wander(marrow, kind, (0, n_felt), marrow.traits.contact[kind], gait(marrow, kind, often, p, tick), key)
    wander(marrow, kind, (n_felt, end - begin), NOBODY, gait(marrow, kind, seldom, p, tick), key)


@part
def crawl(marrow, p, tick):
    """Move plasma cells that the niche does not hold, at most one site."""
    site, start, cells = marrow.roster.site, marrow.roster.start, marrow.cells
    key = stream_key(tick.key, Stream.PLASMA_MOTION, tick.step)
    chance = probability(2.0 * marrow.traits.motility[PLASMA] / STEP_VARIANCE, tick.dt)
    block = marrow.body.gauge[Gauge.CRAWL_BLOCK]
    for i in range(start[PLASMA], start[PLASMA + 1]):
        s = index(site[i])
        if marrow.lattice.niche[s] == 1:
            continue
        word = bits(key, cells.uid[s])
        mark = unit(word)
        if mark < chance:
            if block > 0.0:
                cd38 = surface_cd38(marrow, PLASMA, cells.clone[s], cells.cd38[s])
                if mark >= chance * (1.0 - block * hill(cd38, p.crawl_density, p.crawl_steepness)):
                    continue
            end = find_free_neighbour(cells.kind, s, below(again(word), FAIR), marrow.lattice)
            if end >= 0:
                move(cells, s, end)
                site[i] = end


@part
def prepare(marrow, p, tick):
    """Everybody moves, effectors first, block by block."""
    for block in range(marrow.roster.block.shape[0]):
        read_for_walks(marrow, block)
        for kind in range(N_TYPES):
            if marrow.traits.is_mobile[kind]:
                walk(marrow, kind, first_of(marrow.roster, block, kind), end_of(marrow.roster, block, kind), p, tick)
    crawl(marrow, p, tick)


@part
def stay(marrow, p, tick):
    """Everybody stays."""
    stand(marrow)


MOTILITY = Mechanism(
    name="motility",
    Params=Params,
    label="Motility",
    summary="Immune cells walk, T and NK cells towards chemokine; plasma cells crawl where the niche does not hold them.",
    group=Group.IMMUNE,
    reads=(
        "cells",
        "cells.granzyme",
        "fields.chemokine",
        "lattice.niche",
        "gauge.CRAWL_BLOCK",
        "gauge.SURFACE_CD38",
        "body.clone_cd38",
        "traits.motility",
        "traits.suppression",
    ),
    writes=("cells", "contacts.nk", "contacts.t_cell", "contacts.phagocyte", "contacts.suppressor"),
    prepare=prepare,
    phase=Phase.MOTION,
    rest={"prepare": stay},
    italian=Words(
        "Motilità",
        "Le cellule immunitarie camminano, T e NK verso la chemochina; le plasmacellule strisciano dove la nicchia non le trattiene.",
    ),
)
