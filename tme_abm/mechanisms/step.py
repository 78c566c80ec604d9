"""The step of the model: the order of its lines is the order of events.

One compiled call runs as many steps as there are rows of drug exposure, so a month of a marrow costs one passage from Python. Three
phases: what the drugs and the neighbourhood do to the cells (`prepare`), who is at risk (`ceiling`, then one draw per cell), and what
acts on those at risk (`hazard`), which `fate` settles. Mechanisms that are switched off leave their quantities undisturbed.
"""

from typing import Any, NamedTuple

from tme_abm.foundation.jit import kernel, part
from tme_abm.marrow import burden, contact, fate, serum
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.state import Gauge, Tick
from tme_abm.mechanisms import (
    MECHANISMS,
    adcc,
    adcp,
    adenosine,
    adhesion,
    antigen_loss,
    binding,
    cdc,
    chemokine,
    depletion,
    direct_killing,
    ectoenzyme,
    exhaustion,
    glucocorticoid,
    growth,
    imid,
    interleukin6,
    motility,
    niche_release,
    nk_activation,
    proteasome,
    recruitment,
    suppression,
    t_cell_killing,
    t_cell_recovery,
    trogocytosis,
    turnover,
)

FIELD_LIFE = 24.0  # h after which the fields are solved anew
FIELD_CHANGE = 0.05  # change of the output of adenosine at which they are solved at once

Switches = NamedTuple("Switches", [(m.name, bool) for m in MECHANISMS])  # type: ignore[misc]
Rules = NamedTuple("Rules", [*((m.name, Any) for m in MECHANISMS), ("inheritance", Any), ("burden", Any)])  # type: ignore[misc]


@part
def undisturb(marrow, on):
    """Set back what the mechanisms of this step may disturb, and the memory of those that are switched off."""
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
    if not on.trogocytosis:
        gauge[Gauge.SURFACE_CD38] = 1.0
    if not on.antigen_loss:
        gauge[Gauge.ESCAPED_CD38] = 1.0
    if not on.nk_activation:
        gauge[Gauge.CD16] = 1.0
    if not on.imid:
        gauge[Gauge.CD38_INDUCTION] = 1.0
    if not on.adenosine:
        marrow.fields.adenosine[:] = 0.0
    if not on.interleukin6:
        marrow.fields.il6[:] = 1.0
    if not on.chemokine:
        marrow.fields.chemokine[:] = 1.0


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
    undisturb(marrow, on)

    # what the drugs do at once
    if on.binding:
        binding.prepare(marrow, rules.binding, tick)
    if on.trogocytosis:
        trogocytosis.prepare(marrow, rules.trogocytosis, tick)
    if on.antigen_loss:
        antigen_loss.prepare(marrow, rules.antigen_loss, tick)
    if on.ectoenzyme:
        ectoenzyme.prepare(marrow, rules.ectoenzyme, tick)
    if on.niche_release:
        niche_release.prepare(marrow, rules.niche_release, tick)
    if on.nk_activation:
        nk_activation.prepare(marrow, rules.nk_activation, tick)
    if on.imid:
        imid.prepare(marrow, rules.imid, tick)
    if on.proteasome:
        proteasome.prepare(marrow, rules.proteasome, tick)
    if on.glucocorticoid:
        glucocorticoid.prepare(marrow, rules.glucocorticoid, tick)

    # what the neighbourhood does to the effectors, and where they go
    age_fields(marrow, tick)
    if on.adenosine:
        adenosine.prepare(marrow, rules.adenosine, tick)
    if on.interleukin6:
        interleukin6.prepare(marrow, rules.interleukin6, tick)
    if on.chemokine:
        chemokine.prepare(marrow, rules.chemokine, tick)
    if on.exhaustion:
        exhaustion.prepare(marrow, rules.exhaustion, tick)
    else:
        exhaustion.relieve(marrow, rules.exhaustion, tick)
    if on.suppression:
        suppression.prepare(marrow, rules.suppression, tick)
    else:
        suppression.relieve(marrow, rules.suppression, tick)
    contact.clear(marrow, tick)
    if on.motility:
        motility.prepare(marrow, rules.motility, tick)
    else:
        contact.stand(marrow)

    # who is at risk
    marrow.body.ceiling[:] = 0.0
    marrow.body.contact_ceiling[:] = 0.0
    if on.growth:
        growth.ceiling(marrow, rules.growth, tick)
    if on.turnover:
        turnover.ceiling(marrow, rules.turnover, tick)
    if on.t_cell_killing:
        t_cell_killing.ceiling(marrow, rules.t_cell_killing, tick)
    if on.t_cell_recovery:
        t_cell_recovery.ceiling(marrow, rules.t_cell_recovery, tick)
    else:
        t_cell_recovery.rest_ceiling(marrow, rules.t_cell_recovery, tick)
    if on.adcc:
        adcc.ceiling(marrow, rules.adcc, tick)
    if on.adcp:
        adcp.ceiling(marrow, rules.adcp, tick)
    if on.cdc:
        cdc.ceiling(marrow, rules.cdc, tick)
    if on.direct_killing:
        direct_killing.ceiling(marrow, rules.direct_killing, tick)
    if on.imid:
        imid.ceiling(marrow, rules.imid, tick)
    if on.proteasome:
        proteasome.ceiling(marrow, rules.proteasome, tick)
    if on.glucocorticoid:
        glucocorticoid.ceiling(marrow, rules.glucocorticoid, tick)
    if on.nk_activation:
        nk_activation.ceiling(marrow, rules.nk_activation, tick)
    if on.depletion:
        depletion.ceiling(marrow, rules.depletion, tick)

    # what acts on them, a tile of cells at a time; with the last one come the probes of clones too rare for the patch
    is_last = False
    while not is_last:
        is_last = fate.draw_at_risk(marrow, rules.inheritance, tick)
        if is_last:
            fate.place_probes(marrow, tick)
        if on.adhesion:
            adhesion.hazard(marrow, rules.adhesion, tick)
        if on.niche_release:
            niche_release.hazard(marrow, rules.niche_release, tick)
        if on.growth:
            growth.hazard(marrow, rules.growth, tick)
        if on.turnover:
            turnover.hazard(marrow, rules.turnover, tick)
        if on.t_cell_killing:
            t_cell_killing.hazard(marrow, rules.t_cell_killing, tick)
        if on.t_cell_recovery:
            t_cell_recovery.hazard(marrow, rules.t_cell_recovery, tick)
        else:
            t_cell_recovery.rest_hazard(marrow, rules.t_cell_recovery, tick)
        if on.adcc:
            adcc.hazard(marrow, rules.adcc, tick)
        if on.adcp:
            adcp.hazard(marrow, rules.adcp, tick)
        if on.cdc:
            cdc.hazard(marrow, rules.cdc, tick)
        if on.direct_killing:
            direct_killing.hazard(marrow, rules.direct_killing, tick)
        if on.imid:
            imid.hazard(marrow, rules.imid, tick)
        if on.proteasome:
            proteasome.hazard(marrow, rules.proteasome, tick)
        if on.glucocorticoid:
            glucocorticoid.hazard(marrow, rules.glucocorticoid, tick)
        if on.nk_activation:
            nk_activation.hazard(marrow, rules.nk_activation, tick)
        if on.depletion:
            depletion.hazard(marrow, rules.depletion, tick)
        fate.decide(marrow, tick)

    # who lives, who dies, who comes, and what that means for the whole body
    fate.read_probes(marrow)
    fate.settle(marrow, rules.inheritance, tick)
    burden.follow(marrow, rules.inheritance, tick)
    burden.reseed(marrow, rules.burden, tick)
    if on.recruitment:
        recruitment.prepare(marrow, rules.recruitment, tick)
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
