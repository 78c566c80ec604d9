"""The systemic burden: the patch is a sample of the marrow, and a clone that is absent from it is not extinct.

Each clone has a number of cells in the whole marrow. While it is visible in the patch (probes.VISIBLE cells) its burden grows and
shrinks by the factor that the patch shows; below that by the rates that probes of the clone meet in the present marrow, or met
last. A clone whose burden says that the patch should hold cells of it, and does not, comes back into the patch: relapse from residual
disease. Below one cell in the body a clone is extinct; the body never holds fewer cells than the patch shows.
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.rng import Stream, below, bits, stream_key, subkey, unit
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.clones import N_CLONES, N_RESISTANCES
from tme_abm.marrow.probes import VISIBLE
from tme_abm.marrow.seeding import put

PLASMA = int(CellType.PLASMA)
CORRECTION_H: Annotated[
    float, Param("h", "time constant with which a visible clone corrects the estimate of its burden", "tme_abm: two weeks", "A")
] = 336.0
MOST_ARRIVALS, TRIES = 64, 16  # of a clone in a step, and places looked at for each: what still misses comes in later steps


class Params(NamedTuple):
    """How a clone returns to the patch."""

    seeding: Annotated[
        float, Param("1/h", "arrival in the patch for each plasma cell that it should hold of a clone and does not", "tme_abm", "A")
    ] = 0.02
    shortfall: Annotated[
        float, Param("1", "share of the cells of a clone that the patch must lack before any arrive", "tme_abm", "A", high=1.0)
    ] = 0.5


@part
def follow(marrow, p, tick):
    """Carry the burden of each clone over the step whose events were just applied; `p` is the inheritance (fate.Params)."""
    body, cells = marrow.body, marrow.cells
    for c in range(N_CLONES):
        if body.burden[c] <= 0.0:
            continue
        n = body.clone_count[c]
        if n >= VISIBLE:
            body.burden[c] *= (n + body.clone_births[c] - body.clone_deaths[c]) / n
        else:
            body.burden[c] *= math.exp((body.clone_rates[c, 0] - body.clone_rates[c, 1]) * tick.dt)
        shown = body.clone_count[c] + body.clone_births[c] - body.clone_deaths[c]
        if n >= VISIBLE and shown > 0:
            # what the patch goes on showing corrects the estimate, which it drifted from while the clone was rare
            seen = shown * marrow.host.burden_per_cell
            body.burden[c] *= (seen / body.burden[c]) ** (1.0 - math.exp(-tick.dt / CORRECTION_H))
        elif shown > 0:
            body.burden[c] = max(body.burden[c], shown)
        elif body.burden[c] < 1.0 and body.clone_rates[c, 0] <= body.clone_rates[c, 1]:
            body.burden[c] = 0.0
    for c in range(N_CLONES):
        # switching in the whole body is a flow, in the patch a rare event (fate.divide)
        switched = p.switching * marrow.clones.division[c] * body.burden[c] * tick.dt
        for bit in range(N_RESISTANCES):
            body.burden[c ^ (1 << bit)] += switched / N_RESISTANCES
        body.burden[c] -= switched
    if tick.step % max(1, int(HOURS_PER_DAY / tick.dt)) == 0:
        remember_niche(marrow, cells)


@part
def remember_niche(marrow, cells):
    """Share of each visible clone that stands in the niche, for the probes of the days when it is visible no longer."""
    site, start = marrow.roster.site, marrow.roster.start
    body = marrow.body
    for c in range(N_CLONES):
        if body.clone_count[c] >= VISIBLE:
            body.clone_niche[c] = 0.0
    for i in range(start[PLASMA], start[PLASMA + 1]):
        s = site[i]
        if cells.kind[s] == PLASMA and marrow.lattice.niche[s] == 1:
            c = int(cells.clone[s])
            if body.clone_count[c] >= VISIBLE:
                body.clone_niche[c] += 1.0 / body.clone_count[c]


@part
def reseed(marrow, p, tick):
    """Bring back into the patch a clone that the body holds and the patch lacks."""
    body, cells = marrow.body, marrow.cells
    for c in range(N_CLONES):
        expected = body.burden[c] / marrow.host.burden_per_cell
        missing = expected - body.clone_count[c]
        if expected < 1.0 or missing < p.shortfall * expected:
            continue
        key = subkey(stream_key(tick.key, Stream.RESEEDING, tick.step), c)
        arrivals = min(int(p.seeding * missing * tick.dt + unit(bits(key, 0))), MOST_ARRIVALS)
        for j in range(arrivals):
            for attempt in range(TRIES):
                s = below(bits(key, 1 + TRIES * j + attempt), cells.kind.size)
                if cells.kind[s] == 0:
                    put(marrow, s, PLASMA, c, subkey(subkey(key, 1), j))
                    cells.activity[s] = 0.0
                    cells.granzyme[s] = 0.0
                    cells.born[s] = tick.step * tick.dt
                    body.births[PLASMA] += 1
                    break
