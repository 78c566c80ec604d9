"""Immunomodulatory drugs (IMiD): bound to cereblon they have Ikaros and Aiolos degraded, in plasma cells and in lymphocytes.

    kill hazard   = kill_rate * E * sensitivity of the clone * shielded(adherence, adhesion_fold)
    T and NK      supply x (1 + (supply_fold - 1) E), lytic capacity x (1 + (stimulation_fold - 1) E), exhaustion taken back by revival * E
    IL-6 output   x (1 - il6_inhibition * E)
    CD38          on plasma cells with cereblon moves towards x (1 + (cd38_fold - 1) E) with a lag of one to three days

E is the fraction of Ikaros and Aiolos degraded. A cereblon-low clone escapes the kill and does not raise its CD38 (Fedele 2018); the
host's own lymphocytes keep what they gain (Lu 2014, Kronke 2014). Pomalidomide raises CD38 (Jiang 2016) and with it every effect of an
anti-CD38 antibody.
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.foundation.response import relax, shielded
from tme_abm.marrow.attack import by_small_molecule
from tme_abm.marrow.cells import Cause
from tme_abm.marrow.clones import IMID_RESISTANT, N_CLONES
from tme_abm.marrow.state import Gauge


class Params(NamedTuple):
    """Of each IMiD."""

    kill_rate: Annotated[
        float,
        Param(
            "1/h",
            "death rate of a typical sensitive plasma cell at full effect",
            "tme_abm: set near the fit to control arms and single agents, docs/calibration.md",
            "C",
        ),
    ] = 6.5e-4
    kept_in_resistant: Annotated[
        float,
        Param(
            "1",
            "kill kept in a clone that resists IMiDs, of that of a sensitive clone, at least",
            "tme_abm: lenalidomide's own resistance is the measure",
            "A",
            high=1.0,
        ),
    ] = 0.0
    adhesion_fold: Annotated[
        float, Param("1", "resistance of a cell fully held by the niche", "tme_abm: 1-1.5 fold, from memory", "M-low")
    ] = 1.25
    supply_fold: Annotated[
        float, Param("1", "supply of T and NK cells at full effect", "montefusco2022: direction, the size from memory", "M-low")
    ] = 1.4
    stimulation_fold: Annotated[
        float, Param("1", "lytic capacity of T and NK cells at full effect", "montefusco2022: direction, the size from memory", "M-low")
    ] = 1.25
    revival: Annotated[
        float, Param("1", "share of exhaustion taken back at full effect", "montefusco2022: direction, the size is assumed", "A", high=1.0)
    ] = 0.15
    il6_inhibition: Annotated[
        float, Param("1", "interleukin-6 output lost at full effect", "montefusco2022: direction, the size from memory", "M-low", high=1.0)
    ] = 0.6
    cd38_fold: Annotated[float, Param("1", "CD38 of plasma cells at full effect", "jiang2016: 1.2 to 2, from memory", "M-low")] = 1.5
    cd38_lag: Annotated[float, Param("h", "time constant of the rise in CD38", "jiang2016: one to three days", "M-low")] = 36.0


@part
def rate(effect, sensitivity, adherence, p, i):
    """Death hazard [1/h] of a plasma cell, for drug `i`."""
    return p.kill_rate[i] * effect * sensitivity * shielded(adherence, p.adhesion_fold[i])


@part
def prepare(marrow, rows, tick):
    """What the drug does to the host's cells and to CD38."""
    gauge = marrow.body.gauge
    if rows.drug.size == 0:  # also where the regimen before had one
        gauge[Gauge.CD38_INDUCTION] = 1.0
        return
    target, lag = 1.0, 0.0
    for i in range(rows.drug.size):
        effect = marrow.drugs.effect[rows.drug[i]]
        supply = 1.0 + (rows.p.supply_fold[i] - 1.0) * effect
        gauge[Gauge.NK_SUPPLY] *= supply
        gauge[Gauge.T_SUPPLY] *= supply
        gauge[Gauge.STIMULATION] *= 1.0 + (rows.p.stimulation_fold[i] - 1.0) * effect
        gauge[Gauge.REVIVAL] = 1.0 - (1.0 - gauge[Gauge.REVIVAL]) * (1.0 - rows.p.revival[i] * effect)
        gauge[Gauge.IL6_OUTPUT] *= 1.0 - rows.p.il6_inhibition[i] * effect
        target *= 1.0 + (rows.p.cd38_fold[i] - 1.0) * effect
        lag += rows.p.cd38_lag[i] / rows.drug.size
    gauge[Gauge.CD38_INDUCTION] = relax(gauge[Gauge.CD38_INDUCTION], target, 1.0 / lag, tick.dt)
    for clone in range(N_CLONES):
        marrow.body.clone_cd38[clone] *= 1.0 + (gauge[Gauge.CD38_INDUCTION] - 1.0) * marrow.clones.imid_response[clone]


@part
def sensitivity(clones, clone, p, i):
    """How sensitive the cells of a clone are to drug `i`; a resistant one at least as far as the drug reaches beyond resistance."""
    return max(clones.imid_sensitivity[clone], p.kept_in_resistant[i] * clones.imid_sensitivity[clone ^ (clone & IMID_RESISTANT)])


ceiling, hazard = by_small_molecule(rate, sensitivity, Cause.IMID)


IMID = Mechanism(
    name="imid",
    Params=Params,
    label="IMiD",
    summary="Through cereblon, Ikaros and Aiolos: kills plasma cells, raises T and NK cells, lowers IL-6, raises CD38.",
    group=Group.DRUG,
    reads=("drugs.effect", "clones.imid_response", "clones.imid_sensitivity", "at_risk.adherence"),
    writes=(
        "gauge.CD38_INDUCTION",
        "gauge.NK_SUPPLY",
        "gauge.T_SUPPLY",
        "gauge.STIMULATION",
        "gauge.REVIVAL",
        "gauge.IL6_OUTPUT",
        "body.clone_cd38",
        "hazard.IMID",
    ),
    by_drug=True,
    prepare=prepare,
    ceiling=ceiling,
    hazard=hazard,
    phase=Phase.DRUGS,
    rest=("gauge.CD38_INDUCTION",),
    italian=Words(
        "IMiD",
        "Attraverso cereblon, Ikaros e Aiolos: uccide le plasmacellule, stimola T e NK, riduce l'IL-6, aumenta il CD38.",
    ),
)
