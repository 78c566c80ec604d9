"""Contact: who could touch whom during a step.

A lymphocyte crosses several sites an hour, so within a step it meets many cells. It leaves its potency, divided by the number of its
stops, at each stop; what a plasma cell meets is the sum over its own site and the eight around it.
"""

import math
from typing import Annotated

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.marrow.cells import N_TYPES
from tme_abm.marrow.clones import N_REACTIVE
from tme_abm.marrow.lattice import index, neighbourhood_sum
from tme_abm.marrow.state import CROWD, Effector, Gauge
from tme_abm.marrow.traits import NOBODY, SUPPRESSOR

NK, T_CELL, PHAGOCYTE = int(Effector.NK), int(Effector.T_CELL), int(Effector.PHAGOCYTE)

LINGER_H: Annotated[
    float,
    Param(
        "h",
        "time in which what suppressor cells leave behind fades",
        "tme_abm: longer than a step, so that the step does not matter",
        "A",
    ),
] = 12.0
MOST_GRANZYME: Annotated[
    float, Param("1", "granzyme of a fresh cell stimulated by an IMiD; 1 is a fresh cell in peace", "tme_abm", "A")
] = 1.5


@part
def fading(tick):
    """Share of what suppressor cells have left behind that is gone after a step."""
    return 1.0 - math.exp(-tick.dt / LINGER_H)


@part
def clear(marrow, tick):
    """Forget the contacts of the last step; what suppressor cells have left behind fades."""
    contacts = marrow.contacts
    contacts.nk[:] = 0.0
    contacts.t_cell[:] = 0.0
    contacts.phagocyte[:] = 0.0
    left = 1.0 - fading(tick)
    for s in range(contacts.suppressor.size):
        contacts.suppressor[s] *= left


@part
def goes_by_granzyme(traits, kind):
    """Whether what a cell can do to those it touches depends on its own granzyme."""
    return traits.is_lytic[kind] and not traits.is_suppressor[kind]


@part
def common_potency(traits, kind):
    """What every cell of a kind that does not go by its granzyme can do to those it touches."""
    return traits.suppression[kind] if traits.is_suppressor[kind] else 1.0


@part
def potency(marrow, kind, site):
    """What the cell of a site can do to those it touches; one whose clonotype does not see the tumour can do nothing."""
    traits, cells = marrow.traits, marrow.cells
    if not goes_by_granzyme(traits, kind):
        return common_potency(traits, kind)
    if traits.is_clonotypic[kind] and cells.clone[site] >= N_REACTIVE:
        return 0.0
    return float(cells.granzyme[site])


@part
def leave(marrow, contact, stop, share):
    """Write down that a cell spent time at a stop, weighted by its potency; `contact` is that of its type (`Traits`)."""
    contacts = marrow.contacts
    if contact == NK:
        contacts.nk[stop] += share
    elif contact == T_CELL:
        contacts.t_cell[stop] += share
    elif contact == PHAGOCYTE:
        contacts.phagocyte[stop] += share
    elif contact == SUPPRESSOR:
        contacts.suppressor[stop] += share


@part
def stand(marrow):
    """Contacts of cells that stay where they are for the whole step."""
    site, start = marrow.roster.site, marrow.roster.start
    for kind in range(N_TYPES):
        contact = marrow.traits.contact[kind]
        if contact != NOBODY:
            for i in range(start[kind], start[kind + 1]):
                leave(marrow, contact, site[i], potency(marrow, kind, site[i]))


@part
def meet(marrow, row):
    """Effectors in contact with the plasma cell of a row at risk; no more of a kind than can crowd around one cell."""
    risk, contacts, lattice = marrow.at_risk, marrow.contacts, marrow.lattice
    s = index(risk.site[row])
    risk.nk[row] = min(CROWD, marrow.body.gauge[Gauge.NK_ARMED] * neighbourhood_sum(contacts.nk, s, lattice))
    risk.t_cell[row] = min(CROWD, neighbourhood_sum(contacts.t_cell, s, lattice))
    risk.phagocyte[row] = min(CROWD, marrow.body.gauge[Gauge.FC_RECEPTORS] * neighbourhood_sum(contacts.phagocyte, s, lattice))


@part
def reach(marrow, row):
    """Highest hazard that the effectors in contact can give to the plasma cell of a row [1/h]."""
    risk, most = marrow.at_risk, marrow.body.contact_ceiling
    return most[Effector.NK] * risk.nk[row] + most[Effector.T_CELL] * risk.t_cell[row] + most[Effector.PHAGOCYTE] * risk.phagocyte[row]
