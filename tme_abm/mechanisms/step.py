"""The step of the model: the order of its lines is the order of events.

One compiled call runs as many steps as there are rows of drug exposure, so a month of a marrow costs one passage from Python. Three
phases: what the drugs and the neighbourhood do to the cells (`prepare`), who is at risk (`ceiling`, then one draw per cell), and what
acts on those at risk (`hazard`), which `fate` settles. Mechanisms that are switched off leave their quantities undisturbed.
"""

from typing import Any, NamedTuple

from tme_abm.foundation.jit import kernel, part
from tme_abm.foundation.mechanism import in_order
from tme_abm.marrow import burden, contact, fate, serum
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.state import Gauge, Tick
from tme_abm.mechanisms import BY_NAME, MECHANISMS

FIELD_LIFE = 24.0  # h after which the fields are solved anew
FIELD_CHANGE = 0.05  # change of the output of adenosine at which they are solved at once

Switches = NamedTuple("Switches", [(m.name, bool) for m in MECHANISMS])  # type: ignore[misc]
Rules = NamedTuple("Rules", [*((m.name, Any) for m in MECHANISMS), ("inheritance", Any), ("burden", Any)])  # type: ignore[misc]


def phase(name):
    """The mechanisms that prepare in a phase, in their order."""
    return in_order("prepare", [m for m in MECHANISMS if m.phase == name])


AT_RISK = [
    BY_NAME[n]
    for n in (
        "adhesion",
        "niche_release",
        "growth",
        "turnover",
        "t_cell_killing",
        "t_cell_recovery",
        "adcc",
        "adcp",
        "cdc",
        "direct_killing",
        "imid",
        "proteasome",
        "glucocorticoid",
        "nk_activation",
        "depletion",
    )
]
drugs_act, fields_spread, effectors_respond, cells_move, cells_arrive = map(phase, ("drugs", "fields", "effectors", "motion", "arrival"))
raise_ceilings, add_hazards = (in_order(act, AT_RISK) for act in ("ceiling", "hazard"))


@part
def forget(marrow):
    """What drugs do lasts for a step only."""
    gauge = marrow.body.gauge
    marrow.drugs.occupancy[:] = 0.0
    gauge[Gauge.ENZYME_ACTIVITY] = 1.0
    gauge[Gauge.NK_ARMED] = 1.0
    gauge[Gauge.NK_SUPPLY] = 1.0
    gauge[Gauge.T_SUPPLY] = 1.0
    gauge[Gauge.STIMULATION] = 1.0
    gauge[Gauge.REVIVAL] = 0.0
    gauge[Gauge.IL6_OUTPUT] = 1.0
    gauge[Gauge.CREEP_BLOCK] = 0.0
    marrow.body.clone_cd38[:] = 1.0
    marrow.body.clone_stress[:] = 0.0
    marrow.body.ceiling[:] = 0.0
    marrow.body.contact_ceiling[:] = 0.0


@part
def age_fields(marrow, tick):
    """Fields are due (age 0) after a day, or when the output of adenosine has changed."""
    gauge = marrow.body.gauge
    output = 0.0
    for clone in range(N_CLONES):
        output += marrow.body.clone_count[clone] * marrow.body.clone_cd38[clone]
    output *= gauge[Gauge.ENZYME_ACTIVITY] * gauge[Gauge.SURFACE_CD38]
    change = abs(output - gauge[Gauge.SOLVED_OUTPUT])
    if gauge[Gauge.FIELD_AGE] + tick.dt >= FIELD_LIFE or change > FIELD_CHANGE * gauge[Gauge.SOLVED_OUTPUT]:
        gauge[Gauge.FIELD_AGE] = 0.0
        gauge[Gauge.SOLVED_OUTPUT] = output
    else:
        gauge[Gauge.FIELD_AGE] += tick.dt


@part
def step(marrow, rules, on, tick):
    """One step of `tick.dt` hours; the drugs' exposure stands in `marrow.drugs`."""
    fate.take_roster(marrow)
    forget(marrow)
    drugs_act(marrow, rules, on, tick)
    age_fields(marrow, tick)
    fields_spread(marrow, rules, on, tick)
    effectors_respond(marrow, rules, on, tick)
    contact.clear(marrow, tick)
    cells_move(marrow, rules, on, tick)
    raise_ceilings(marrow, rules, on, tick)
    is_last = False
    while not is_last:
        is_last = fate.draw_at_risk(marrow, rules.inheritance, tick)
        if is_last:
            fate.place_probes(marrow, tick)
        add_hazards(marrow, rules, on, tick)
        fate.decide(marrow, tick)
    fate.read_probes(marrow)
    fate.settle(marrow, rules.inheritance, tick)
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
