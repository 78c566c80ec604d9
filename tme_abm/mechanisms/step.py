"""The step of the model: the order of its lines is the order of events.

One compiled call runs as many steps as there are rows of drug exposure, so a month of a marrow costs one passage from Python. First what
drugs and the neighbourhood do to the cells (`prepare`, phase by phase), then who is at risk (`ceiling`, and one draw per cell), then
what acts on those at risk (`hazard`), of which `fate` makes births and deaths. Which mechanism acts where follows from what each
declares, and the order among them is that of `MECHANISMS`; so does what is left of a mechanism that is switched off.

The step consists of pieces. Each is compiled by itself and called by its address, so two processes can compile them side by side
(`simulation.compiling`).
"""

from typing import Any, NamedTuple

from tme_abm.foundation.calling import call
from tme_abm.foundation.jit import kernel, part
from tme_abm.foundation.mechanism import Kernel, Mechanism, Phase, in_order
from tme_abm.marrow import burden, contact, fate, field_age, probes, roster, serum
from tme_abm.marrow.quantities import passing, resting
from tme_abm.marrow.state import Tick
from tme_abm.mechanisms import MECHANISMS
from tme_abm.mechanisms.outside import hooks

Switches = NamedTuple("Switches", [(m.name, bool) for m in MECHANISMS])  # type: ignore[misc]
FURTHER = ("inheritance", "burden", "outside", "on", "pieces")  # rules that no mechanism owns, what is called from outside, and the step
Rules = NamedTuple("Rules", [*((m.name, Any) for m in MECHANISMS), *((name, Any) for name in FURTHER)])  # type: ignore[misc]
PIECES: dict[str, Kernel] = {}  # (marrow, rules, tick), in the order of their places in `Rules.pieces`


def piece(function: Kernel) -> Kernel:
    """A piece of the step: what calls it finds it at its address, and is compiled without it."""
    place = len(PIECES)
    PIECES[function.__name__] = part(function)

    @part
    def run(marrow, rules, tick):
        call(rules.pieces[place], marrow, rules, tick)

    return run


def at_rest(m: Mechanism, act: str) -> Kernel | None:
    """What runs instead of an act of a mechanism that is switched off."""
    if isinstance(m.rest, tuple):
        return resting(m.rest) if m.rest and act == "prepare" else None
    return m.rest.get(act)


def in_phase(phase: Phase) -> Kernel:
    """What mechanisms prepare in a phase, in their order."""
    return in_order("prepare", [m for m in MECHANISMS if m.phase is phase], at_rest, hooks.prepare(hooks.Hook[phase.name]))


prepare_drugs, prepare_fields, prepare_effectors, prepare_motion, prepare_arrival = map(in_phase, Phase)
add_ceilings = in_order("ceiling", MECHANISMS, at_rest, hooks.raise_ceilings)
add_hazards = in_order("hazard", MECHANISMS, at_rest, hooks.add_hazards)
forget_last_step = resting(passing(), hooks.forget)


@piece
def drugs_act(marrow, rules, tick):
    """Drugs bind, and antigens, clones and the host respond."""
    forget_last_step(marrow, rules.outside, tick)
    prepare_drugs(marrow, rules, rules.on, tick)
    field_age.follow(marrow, tick)


@piece
def fields_spread(marrow, rules, tick):
    """Substances are made, spread and are taken up, where that is due."""
    prepare_fields(marrow, rules, rules.on, tick)


@piece
def effectors_respond(marrow, rules, tick):
    """T and NK cells take after what surrounds them."""
    prepare_effectors(marrow, rules, rules.on, tick)


@piece
def cells_move(marrow, rules, tick):
    """Cells move and leave their contacts where they stop."""
    contact.clear(marrow, tick)
    prepare_motion(marrow, rules, rules.on, tick)


@piece
def raise_ceilings(marrow, rules, tick):
    """The highest hazard that a cell of each type can meet."""
    add_ceilings(marrow, rules, rules.on, tick)


@piece
def draw_fates(marrow, rules, tick):
    """Who divides and who dies, of what: a tile of cells at risk at a time, the last one with the probes of rare clones."""
    is_last = False
    while not is_last:
        is_last = fate.draw_at_risk(marrow, rules.inheritance, tick)
        if is_last:
            probes.place(marrow, tick)
        add_hazards(marrow, rules, rules.on, tick)
        fate.decide(marrow, tick)
    probes.read(marrow)


@piece
def deaths_and_divisions_happen(marrow, rules, tick):
    """Events are carried out, in the patch and in the burden of the whole body."""
    fate.apply_events(marrow, rules.inheritance, tick)
    burden.follow(marrow, rules.inheritance, tick)
    burden.reseed(marrow, rules.burden, tick)


@piece
def cells_arrive(marrow, rules, tick):
    """Immune cells come from the blood, and M-protein goes into it."""
    prepare_arrival(marrow, rules, rules.on, tick)
    serum.follow(marrow, tick)


@part
def step(marrow, rules, tick):
    """One step of `tick.dt` hours; the drugs' exposure stands in `marrow.drugs`."""
    roster.list_cells(marrow)
    drugs_act(marrow, rules, tick)
    fields_spread(marrow, rules, tick)
    effectors_respond(marrow, rules, tick)
    cells_move(marrow, rules, tick)
    raise_ceilings(marrow, rules, tick)
    draw_fates(marrow, rules, tick)
    deaths_and_divisions_happen(marrow, rules, tick)
    cells_arrive(marrow, rules, tick)


@kernel
def advance(marrow, rules, exposure, tick):
    """Run one step for each row of `exposure` (pharmacology.Exposure), from `tick.step` on."""
    drugs = marrow.drugs
    for i in range(exposure.concentration.shape[0]):
        for d in range(drugs.concentration.size):
            drugs.concentration[d] = exposure.concentration[i, d]
            drugs.effect[d] = exposure.effect[i, d]
        step(marrow, rules, Tick(tick.dt, tick.step + i, tick.key))
