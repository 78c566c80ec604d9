"""Fate: the one place where hazards become births and deaths, and where a death gets its cause.

Mechanisms add hazards [1/h] to the rows of the cells at risk. Here one draw per cell and step decides whether an event comes at all,
with probability 1 - exp(-sum of hazards * dt), and a second one which of the competing events it is, in proportion to the hazards.
So the order of the mechanisms does not matter, and how many deaths were ADCC is counted, not guessed.
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.arrays import total
from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.response import happens, probability
from tme_abm.foundation.rng import Stream, again, below, bits, normal, stream_key, subkey, unit
from tme_abm.marrow import contact
from tme_abm.marrow.antigen import surface_cd38
from tme_abm.marrow.cells import EMPTY, N_EVENTS, N_TYPES, Cause, CellType, clear
from tme_abm.marrow.clones import N_RESISTANCES
from tme_abm.marrow.lattice import FAIR, find_free_neighbour, index
from tme_abm.marrow.prefetch import read_for_fate
from tme_abm.marrow.roster import end_of, first_of
from tme_abm.marrow.state import CROWD, TILE, Gauge

PLASMA = int(CellType.PLASMA)
DIVISION = int(Cause.DIVISION)
ROUNDING = 1e-9  # by which the sum of hazards may exceed their ceiling


class Params(NamedTuple):
    """What daughters have of their mothers, and for how long."""

    cd38_memory: Annotated[
        float, Param("1", "correlation of log CD38 between mother and daughter plasma cell", "tme_abm", "A", high=1.0)
    ] = 0.95
    cd38_renewal: Annotated[
        float,
        Param(
            "1/h",
            "rate at which a plasma cell's CD38 is drawn anew around the median of its clone (once in 90 d)",
            "tme_abm: so that CD38 of surviving cells is back by six months after the last dose (nijhof2016, on daratumumab)",
            "A",
        ),
    ] = 4.6e-4
    switching: Annotated[float, Param("1/division", "chance that a daughter gains or loses one resistance", "tme_abm", "A", high=1.0)] = (
        2e-6
    )


@part
def enrol(marrow, row, site, draw):
    """Put the cell of a site into a row of the risk set."""
    risk, cells = marrow.at_risk, marrow.cells
    kind = int(cells.kind[site])
    risk.site[row] = site
    risk.kind[row] = kind
    risk.clone[row] = cells.clone[site]
    risk.cd38[row] = surface_cd38(marrow, kind, cells.clone[site], cells.cd38[site])
    risk.complement_inhibitors[row] = cells.complement_inhibitors[site]
    risk.draw[row] = draw
    reset(marrow, row)
    if kind != PLASMA:
        risk.nk[row] = 0.0
        risk.t_cell[row] = 0.0
        risk.phagocyte[row] = 0.0


@part
def reset(marrow, row):
    """Nothing acts on a row yet."""
    risk = marrow.at_risk
    risk.adherence[row] = 0.0
    for e in range(N_EVENTS):
        marrow.hazard[row, e] = 0.0
    for e in range(N_EVENTS, marrow.hazard.shape[1]):
        marrow.hazard[row, e] = 0.0


@part
def renew_cd38(marrow, site, key):
    """Draw the CD38 of a plasma cell anew: what it has expressed is forgotten."""
    cells, clone = marrow.cells, marrow.cells.clone[site]
    cells.cd38[site] = marrow.clones.cd38[clone] * math.exp(marrow.host.cd38_spread * normal(key, cells.uid[site]))


@part
def draw_at_risk(marrow, p, tick):
    """Draw for the cells that can divide or die, and enrol those for which something may happen, as many as a tile has room for.

    For a plasma cell in two stages: could anything happen in a crowd of effectors, and, if so, with those that are there? Events lie at the
    lower end of the draw; its upper end tells when a plasma cell's CD38 is drawn anew, whatever attacks it.

    Returns:
        Whether this tile is the last.
    """
    cells, body, events, risk = marrow.cells, marrow.body, marrow.events, marrow.at_risk
    site, start = marrow.roster.site, marrow.roster.start
    key = stream_key(tick.key, Stream.EVENT, tick.step)
    anew = stream_key(tick.key, Stream.CD38_RENEWAL, tick.step)
    kept = 1.0 - probability(p.cd38_renewal, tick.dt)
    room = min(cells.kind.size, TILE)
    n = 0
    for b in range(events.n[1], marrow.roster.block.shape[0]):
        if events.n[2] == 0:
            read_for_fate(marrow, b)
        for kind in range(EMPTY + 1, N_TYPES):
            if marrow.traits.is_stromal[kind]:  # stays for good
                continue
            crowded = CROWD * total(body.contact_ceiling) if kind == PLASMA else 0.0
            threshold = probability(body.ceiling[kind] + crowded, tick.dt)
            i, end = max(first_of(marrow.roster, b, kind), events.n[2]), end_of(marrow.roster, b, kind)
            while i < end:
                if n == room:
                    events.n[1], events.n[2] = b, i
                    marrow.n_at_risk[:] = n
                    return False
                # as many cells as there is room for, those that come into question in the next rows: counted without a branch
                last, listed = min(end, i + room - n), n
                for j in range(i, last):
                    s = index(site[j])
                    draw = unit(bits(key, cells.uid[s]))
                    risk.site[listed], risk.draw[listed] = s, draw
                    listed += int(draw < threshold)
                    if draw >= kept and kind == PLASMA:
                        renew_cd38(marrow, s, anew)
                i = last
                for row in range(n, listed):
                    s, draw = index(risk.site[row]), risk.draw[row]
                    if kind == PLASMA:
                        risk.site[n] = s
                        contact.meet(marrow, n)
                        if not happens(draw, body.ceiling[PLASMA] + contact.reach(marrow, n), tick.dt):
                            continue
                    enrol(marrow, n, s, draw)
                    n += 1
        events.n[2] = 0
    body.updates[0] += start[N_TYPES] - start[EMPTY + 1]
    events.n[1] = marrow.roster.block.shape[0]
    marrow.n_at_risk[:] = n
    return True


@part
def decide(marrow, tick):
    """Turn the hazards of the cells at risk into events: nothing, a division, or a death with its cause."""
    risk, body, events = marrow.at_risk, marrow.body, marrow.events
    key = stream_key(tick.key, Stream.CAUSE, tick.step)
    for row in range(marrow.n_at_risk[0]):
        all_hazards = 0.0
        for e in range(N_EVENTS):
            all_hazards += marrow.hazard[row, e]
        for e in range(N_EVENTS, marrow.hazard.shape[1]):
            all_hazards += marrow.hazard[row, e]
        kind = int(risk.kind[row])
        ceiling = body.ceiling[kind] + contact.reach(marrow, row)
        if not all_hazards <= ceiling * (1.0 + ROUNDING):  # also where it is no number
            body.gauge[Gauge.VIOLATIONS] += 1.0
        if not happens(risk.draw[row], all_hazards, tick.dt):
            continue
        site = risk.site[row]
        mark = unit(bits(key, marrow.cells.uid[site])) * all_hazards
        event = -1
        for e in range(marrow.hazard.shape[1]):
            if marrow.hazard[row, e] > 0.0:
                event = e
                mark -= marrow.hazard[row, e]
                if mark < 0.0:
                    break
        events.site[events.n[0]] = site
        events.event[events.n[0]] = event
        events.n[0] += 1


def refuse_violations(marrow) -> None:
    """Stop where a hazard was found above the ceiling that its mechanism declares, which makes the draws wrong.

    Raises:
        RuntimeError: Where `decide` counted one.
    """
    if marrow.body.gauge[Gauge.VIOLATIONS] > 0.0:
        raise RuntimeError("a hazard exceeded the ceiling that its mechanism declares; it is one of the package's own")


@part
def apply_events(marrow, p, tick):
    """Let what was decided happen, cell by cell."""
    cells, events = marrow.cells, marrow.events
    key = stream_key(tick.key, Stream.CAUSE, tick.step)
    for j in range(events.n[0]):
        site, event = int(events.site[j]), int(events.event[j])
        if event == DIVISION:
            word = again(bits(key, cells.uid[site]))  # the first word told the event
            target = find_free_neighbour(cells.kind, site, below(word, FAIR), marrow.lattice)
            if target >= 0:
                divide(marrow, site, target, p, tick)
        else:
            die(marrow, site, event)


@part
def die(marrow, site, cause):
    """Remove the cell of a site and write its death into the ledger."""
    cells, body = marrow.cells, marrow.body
    kind = int(cells.kind[site])
    body.ledger[kind, cause] += 1
    if kind == PLASMA:
        clone = int(cells.clone[site])
        body.clone_ledger[clone, cause] += 1
        body.clone_deaths[clone] += 1
    clear(cells, site)


@part
def divide(marrow, site, target, p, tick):
    """A daughter on the free site `target`, like her mother but for the variation of inheritance."""
    cells, body = marrow.cells, marrow.body
    kind = int(cells.kind[site])
    mother = cells.uid[site]
    # identity by descent: it does not depend on the order of births
    daughter = subkey(mother, tick.step)
    key = stream_key(tick.key, Stream.DAUGHTER_TRAITS, tick.step)
    clone = int(cells.clone[site])
    cells.kind[target] = kind
    cells.uid[target] = daughter
    cells.cd38[target] = cells.cd38[site]
    cells.complement_inhibitors[target] = cells.complement_inhibitors[site]
    cells.activity[target] = cells.activity[site]
    cells.granzyme[target] = cells.granzyme[site]
    cells.born[target] = tick.step * tick.dt
    if kind == PLASMA:
        u = unit(bits(key, mother))
        if u < p.switching:
            clone ^= 1 << int(N_RESISTANCES * u / p.switching)
            cells.complement_inhibitors[target] = marrow.clones.complement_inhibitors[clone]
        spread = marrow.host.cd38_spread
        median = marrow.clones.cd38[int(cells.clone[site])]
        deviation = math.log(float(cells.cd38[site]) / median)
        fresh = spread * math.sqrt(1.0 - p.cd38_memory**2) * normal(key, daughter)
        cells.cd38[target] = marrow.clones.cd38[clone] * math.exp(p.cd38_memory * deviation + fresh)
        body.clone_births[clone] += 1
    cells.clone[target] = clone
    body.births[kind] += 1
