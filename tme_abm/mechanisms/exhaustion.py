"""Exhaustion: chronic antigen wears T and NK cells out; with the tumour gone, or under an IMiD, they recover.

    activity moves towards  b + (1 - b) * revival,   b = 1 / (1 + exhaustion * plasma cells per site)

`exhaustion` belongs to the patient and is smaller for NK cells; `revival` is what an IMiD takes back (reversed senescence).
Exhausted T cells kill 0.1-0.5 times as much.
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import kernel, part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.marrow.cells import N_TYPES, CellType
from tme_abm.marrow.state import Gauge

PLASMA, NK = int(CellType.PLASMA), int(CellType.NK)
MOST_EXHAUSTED: Annotated[float, Param("1", "share of the activity of T cells that a patient's disease takes, at most", "tme_abm", "A")] = (
    0.95
)


class Params(NamedTuple):
    """Of T and NK cells; NK cells have a share of their own, all others that are `exhaustible` wear out as T cells do."""

    pace: Annotated[float, Param("1/h", "rate at which activity follows the tumour load (about ten days)", "tme_abm", "A")] = 0.004
    nk_share: Annotated[float, Param("1", "exhaustion of NK cells relative to T cells", "tme_abm", "A", high=1.0)] = 0.3


@kernel
def sustained(load, exhaustion, revival):
    """Activity that lasts under a load of plasma cells per site."""
    base = 1.0 / (1.0 + exhaustion * load)
    return base + (1.0 - base) * revival


def per_cell(exhausted, load):
    """Exhaustion of T cells per plasma cell a site of a patient who has lost the share `exhausted` of their activity under a `load`."""
    exhausted = min(exhausted, MOST_EXHAUSTED)
    return exhausted / (1.0 - exhausted) / load


def typical(load, exhaustion, p):
    """Activity of the T and of the NK cells, two numbers, that have lived under a load for long and had no drug."""
    return sustained(load, exhaustion, 0.0), sustained(load, exhaustion * p.nk_share, 0.0)


@part
def follow(marrow, p, tick, is_on):
    """Carry the column of every T and NK cell over one step, with the mechanism or without it."""
    cells, site, start = marrow.cells, marrow.roster.site, marrow.roster.start
    load = marrow.body.count[PLASMA] / cells.kind.size
    kept = math.exp(-p.pace * tick.dt)
    revival = marrow.body.gauge[Gauge.REVIVAL]
    for kind in range(N_TYPES):
        if not marrow.traits.is_exhaustible[kind]:
            continue
        share = p.nk_share if kind == NK else 1.0
        target = sustained(load, marrow.host.exhaustion * share, revival) if is_on else 1.0
        for i in range(start[kind], start[kind + 1]):
            cells.activity[site[i]] = target + (float(cells.activity[site[i]]) - target) * kept


@part
def prepare(marrow, p, tick):
    """Let the activity of every T and NK cell follow."""
    follow(marrow, p, tick, True)


@part
def relieve(marrow, p, tick):
    """Let the cells recover for good, as without this mechanism."""
    follow(marrow, p, tick, False)


EXHAUSTION = Mechanism(
    name="exhaustion",
    Params=Params,
    label="Exhaustion",
    summary="Chronic antigen exhausts T and NK cells; debulking and IMiDs let them recover.",
    group=Group.IMMUNE,
    reads=("body.count", "gauge.REVIVAL", "host.exhaustion"),
    writes=("cells.activity",),
    prepare=prepare,
    phase=Phase.EFFECTORS,
    rest={"prepare": relieve},
    italian=Words(
        "Esaurimento",
        "L'antigene cronico esaurisce T e NK; la riduzione della massa tumorale e gli IMiD le lasciano riprendere.",
    ),
)
