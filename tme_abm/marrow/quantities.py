"""The quantities of a marrow by name, as mechanisms declare what they read and write, and how each is put back to rest.

A name is what a kernel says after `marrow.`: "cells.granzyme", "body.clone_stress", "host.exhaustion". A gauge goes by its own name
("gauge.NK_ARMED") and a hazard by its cause ("hazard.ADCC"); "cells" alone means whole rows. Where things stand and how they are found
(geometry, roster, memory of the solver, which rows are at risk) is known to everybody and has no name here.
"""

import math
from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from tme_abm.foundation.declare import Column, Param, notes
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Phase
from tme_abm.marrow.cells import Cause, Cells
from tme_abm.marrow.clones import Clones
from tme_abm.marrow.lattice import Lattice
from tme_abm.marrow.state import AtRisk, Body, Contacts, Drugs, Fields, Gauge, Host
from tme_abm.marrow.traits import Traits

BUNDLES: dict[str, Any] = {
    "cells": Cells,
    "fields": Fields,
    "contacts": Contacts,
    "drugs": Drugs,
    "clones": Clones,
    "traits": Traits,
    "host": Host,
    "lattice": Lattice,
    "at_risk": AtRisk,
    "body": Body,
}
WHOLE = "cells"  # rows of cells that come, go or move
UNNAMED = {
    "grid": "memory of the solver, lent to others between two solves",
    "lattice.inner": "geometry",
    "lattice.offsets": "geometry",
    "fields.source": "scratch of a solve",
    "fields.uptake": "scratch of a solve",
    "at_risk.site": "which cell it is",
    "at_risk.kind": "which cell it is",
    "at_risk.clone": "which cell it is",
    "at_risk.draw": "chance, for fate alone",
    **{f"traits.{name}": "what a cell is" for name in Traits._fields if name.startswith("is_") or name == "contact"},
    "body.gauge": "gauges go by their own names",
    "body.ceiling": "what the act `ceiling` is for",
    "body.contact_ceiling": "what the act `ceiling` is for",
}

# What the marrow itself makes of some quantities between the acts of mechanisms: how cells at risk are written down (fate.enrol,
# contact.meet), and when fields are due (field_age.follow).
MADE_OF = {
    "at_risk.cd38": ("cells.cd38", "gauge.SURFACE_CD38", "body.clone_cd38"),
    "at_risk.complement_inhibitors": ("cells.complement_inhibitors",),
    "at_risk.nk": ("contacts.nk", "gauge.NK_ARMED"),
    "at_risk.t_cell": ("contacts.t_cell",),
    "at_risk.phagocyte": ("contacts.phagocyte", "gauge.FC_RECEPTORS"),
    "gauge.FIELD_AGE": ("gauge.ENZYME_ACTIVITY", "gauge.SURFACE_CD38", "body.clone_cd38"),
}

# What lasts for a step only and is read by the marrow itself, once events have happened (burden.follow); hazards are read by fate.decide.
READ_AFTER_EVENTS = ("body.clone_births", "body.clone_deaths")
# What lasts and tells nothing later: the clones' sensitivities were made of it before the first step, or a table shows it.
READ_BY_NOBODY = ("clones.tp53_mutated", "traits.slamf7", "gauge.VIOLATIONS", "body.updates")
# By roster.index_cells and step.advance, at the head of every step:
WRITTEN_ANEW = ("body.count", "body.clone_count", "drugs.concentration", "drugs.effect")
CLEARED = ("contacts.nk", "contacts.t_cell", "contacts.phagocyte")  # by contact.clear, where cells begin to move


class Quantity(NamedTuple):
    """What is declared of a quantity."""

    unit: str
    meaning: str
    rest: float = 0.0
    lasts: bool = True


@cache
def quantities() -> dict[str, Quantity]:
    """All quantities by name."""
    found = {WHOLE: Quantity("-", "whole rows of cells, that come, go or move")}
    for bundle, table in BUNDLES.items():
        for member, note in notes(table).items():
            name = f"{bundle}.{member}"
            if name in UNNAMED:
                continue
            if isinstance(note, Column):
                found[name] = Quantity(note.unit, note.meaning, note.rest, note.lasts and bundle != "at_risk")
            elif isinstance(note, Param):
                found[name] = Quantity(note.unit, note.meaning)
    found |= {f"gauge.{g.name}": Quantity(g.unit, g.meaning, g.rest, g.lasts) for g in Gauge}
    return found | {f"hazard.{c.name}": Quantity("1/h", f"hazard of {c.name.lower()}", 0.0, False) for c in Cause}


def made_anew(name: str) -> Phase | None:
    """At the head of which phase a quantity is made anew, so that nothing written before it is left; None for what lasts."""
    if name in CLEARED:
        return Phase.MOTION
    return Phase.DRUGS if name in WRITTEN_ANEW or not quantities()[name].lasts else None


def passing() -> tuple[str, ...]:
    """Gauges and columns of the body and of drugs that last for a step only; contacts are cleared where they are made."""
    names = [name for name, q in quantities().items() if not q.lasts and name.split(".")[0] in ("gauge", "body", "drugs")]
    return (*names, *(name for name in UNNAMED if name.startswith("body.") and not _body(name).lasts))


def resting(names: Iterable[str], further: Any = None, own: Mapping[str, tuple[int, float]] = MappingProxyType({})) -> Any:
    """A kernel (marrow, parameters, tick) that puts gauges, fields and columns back to their rest values.

    Args:
        names: Of what goes back.
        further: A kernel (marrow, parameters, tick) that puts back more.
        own: Gauges from outside by name, their places and rest values.
    """
    lines = ["def rest(marrow, p, tick):", "    pass"]
    for name in names:
        bundle, member = name.split(".")
        if name in own:
            value, place = own[name][1], f"marrow.body.gauge[{own[name][0]}]"
        elif bundle == "gauge":
            value, place = Gauge[member].rest, f"marrow.body.gauge[{int(Gauge[member])}]"
        else:
            value, place = (_body(name) if bundle == "body" else quantities()[name]).rest, f"marrow.{name}[:]"
        lines.append(f"    {place} = {'math.inf' if math.isinf(value) else float(value)}")
    if further is not None:
        lines.append("    further(marrow, p, tick)")
    scope: dict[str, Any] = {"math": math, "further": further}
    exec("\n".join(lines), scope)
    return part(scope["rest"])


def _body(name: str) -> Column:
    note: Column = notes(Body)[name.removeprefix("body.")]
    return note
