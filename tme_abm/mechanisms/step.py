"""The step of the model: the order of its lines is the order of events.

One compiled call runs as many steps as there are rows of drug exposure, so a month of a marrow costs one passage from Python. First what
drugs and the neighbourhood do to the cells (`prepare`, phase by phase), then who is at risk (`ceiling`, and one draw per cell), then
what acts on those at risk (`hazard`), of which `fate` makes births and deaths. Which mechanism acts where follows from what each
declares, and the order among them is that of `MECHANISMS`; so does what is left of a mechanism that is switched off.
"""

from typing import Any, NamedTuple

from tme_abm.foundation.jit import kernel, part
from tme_abm.foundation.mechanism import Kernel, Mechanism, Phase, in_order
from tme_abm.marrow import burden, contact, fate, field_age, probes, roster, serum
from tme_abm.marrow.quantities import passing, resting
from tme_abm.marrow.state import Tick
from tme_abm.mechanisms import MECHANISMS
from tme_abm.mechanisms.outside import hooks

Switches = NamedTuple("Switches", [(m.name, bool) for m in MECHANISMS])  # type: ignore[misc]
Rules = NamedTuple("Rules", [*((m.name, Any) for m in MECHANISMS), ("inheritance", Any), ("burden", Any), ("outside", Any)])  # type: ignore[misc]


def at_rest(m: Mechanism, act: str) -> Kernel | None:
    """What runs instead of an act of a mechanism that is switched off."""
    if isinstance(m.rest, tuple):
        return resting(m.rest) if m.rest and act == "prepare" else None
    return m.rest.get(act)


def in_phase(phase: Phase) -> Kernel:
    """What mechanisms prepare in a phase, in their order."""
    return in_order("prepare", [m for m in MECHANISMS if m.phase is phase], at_rest, hooks.prepare(hooks.Hook[phase.name]))


drugs_act, fields_spread, effectors_respond, cells_move, cells_arrive = map(in_phase, Phase)
raise_ceilings = in_order("ceiling", MECHANISMS, at_rest, hooks.raise_ceilings)
add_hazards = in_order("hazard", MECHANISMS, at_rest, hooks.add_hazards)
forget_last_step = resting(passing(), hooks.forget)


@part
def draw_fates(marrow, rules, on, tick):
    """Who divides and who dies, of what: a tile of cells at risk at a time, the last one with the probes of rare clones."""
    is_last = False
    while not is_last:
        is_last = fate.draw_at_risk(marrow, rules.inheritance, tick)
        if is_last:
            probes.place(marrow, tick)
        add_hazards(marrow, rules, on, tick)
        fate.decide(marrow, tick)
    probes.read(marrow)


@part
def step(marrow, rules, on, tick):
    """One step of `tick.dt` hours; the drugs' exposure stands in `marrow.drugs`."""
    roster.index_cells(marrow)
    forget_last_step(marrow, rules.outside, tick)
    drugs_act(marrow, rules, on, tick)
    field_age.follow(marrow, tick)
    fields_spread(marrow, rules, on, tick)
    effectors_respond(marrow, rules, on, tick)
    contact.clear(marrow, tick)
    cells_move(marrow, rules, on, tick)
    raise_ceilings(marrow, rules, on, tick)
    draw_fates(marrow, rules, on, tick)
    fate.apply_events(marrow, rules.inheritance, tick)
    burden.follow(marrow, rules.inheritance, tick)
    burden.reseed(marrow, rules.burden, tick)
    cells_arrive(marrow, rules, on, tick)
    serum.follow(marrow, tick)


@kernel
def advance(marrow, rules, on, exposure, tick):
    """Run one step for each row of `exposure` (pharmacology.Exposure), from `tick.step` on."""
    drugs = marrow.drugs
    for i in range(exposure.concentration.shape[0]):
        for d in range(drugs.concentration.size):
            drugs.concentration[d] = exposure.concentration[i, d]
            drugs.effect[d] = exposure.effect[i, d]
        step(marrow, rules, on, Tick(tick.dt, tick.step + i, tick.key))
