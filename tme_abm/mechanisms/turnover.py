"""Turnover: immune cells leave or die at the rate of their type; arrivals from the blood make it good (recruitment).

NK cells turn over in weeks, more slowly in the elderly (Zhang 2007); MDSC live for days, macrophages for months.
"""

from typing import NamedTuple

from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Words
from tme_abm.marrow.cells import N_TYPES, Cause
from tme_abm.marrow.renewal import renewal


class Params(NamedTuple):
    """None of its own: the rates stand with the cell types, that of NK cells with the patient."""


@part
def ceiling(marrow, p, tick):
    """The hazard is the same for all cells of a type."""
    for kind in range(N_TYPES):
        if marrow.traits.is_renewed[kind]:
            marrow.body.ceiling[kind] += renewal(marrow, kind)


@part
def hazard(marrow, p, tick):
    """Add the hazard to every immune cell at risk."""
    risk = marrow.at_risk
    for k in range(marrow.n_at_risk[0]):
        if marrow.traits.is_renewed[risk.kind[k]]:
            marrow.hazard[k, Cause.TURNOVER] += renewal(marrow, int(risk.kind[k]))


TURNOVER = Mechanism(
    name="turnover",
    Params=Params,
    label="Turnover",
    summary="Immune cells leave or die at the rate of their type.",
    group=Group.IMMUNE,
    reads=("traits.renewal", "host.nk_renewal"),
    writes=("hazard.TURNOVER",),
    ceiling=ceiling,
    hazard=hazard,
    italian=Words("Ricambio", "Le cellule immunitarie se ne vanno o muoiono al ritmo del loro tipo."),
)
