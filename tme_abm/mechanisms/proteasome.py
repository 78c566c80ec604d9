"""Proteasome inhibition: plasma cells, full of immunoglobulin to be cleared, die when most of their proteasomes are blocked.

    hazard = kill_rate * hill(E, half_inhibition, steepness) * sensitivity of the clone * shielded(adherence, adhesion_fold)
    stress = hill(E, half_inhibition, steepness) * response of the clone, read by ADCC and ADCP

E is the fraction of proteasomes inhibited. It recovers by resynthesis after carfilzomib, which binds irreversibly, and by dissociation
after bortezomib. How long it lasts tells the two apart: at the same inhibition one kills as fast as the other (Demo 2007), unless its
file says otherwise. Carfilzomib, which blocks a second site, also reaches some of the cells that resist bortezomib (Besse 2019).
Adherent cells are 1.2-3 times less sensitive. Cells under stress lose HLA class I (Shi 2008, Yang 2015) and show calreticulin
(Gulla 2021).
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.foundation.response import hill, shielded
from tme_abm.marrow.attack import by_small_molecule
from tme_abm.marrow.cells import Cause
from tme_abm.marrow.clones import N_CLONES, PROTEASOME_RESISTANT


class Params(NamedTuple):
    """Of each proteasome inhibitor."""

    kill_rate: Annotated[
        float,
        Param(
            "1/h",
            "death rate of a typical sensitive plasma cell at full inhibition",
            # 0.0205 while half of the activity was thought back 24 h after carfilzomib. With 60 h the Hill function of the inhibition is
            # 0.37 in place of 0.19 in the mean over a cycle of 56 mg/m2, so that the kill of a cycle is the same (0.094 a day).
            "tme_abm: of carfilzomib, set near the fit to control arms and single agents, docs/calibration.md",
            "C",
        ),
    ] = 0.0107
    half_inhibition: Annotated[float, Param("1", "inhibition that gives half of it", "tme_abm", "A", high=1.0)] = 0.5
    steepness: Annotated[float, Param("1", "Hill exponent", "tme_abm", "A")] = 3.0
    kept_in_resistant: Annotated[
        float,
        Param(
            "1",
            "kill kept in a clone that resists proteasome inhibitors, of that of a sensitive clone, at least",
            "besse2019: to block the beta5 site alone does not kill cells that resist the class (that bortezomib does no more is assumed)",
            "A",
            high=1.0,
        ),
    ] = 0.0
    adhesion_fold: Annotated[
        float, Param("1", "resistance of a cell fully held by the niche", "azab2009: direction, 1.3-3 fold from memory", "M-low")
    ] = 2.0


@part
def rate(effect, sensitivity, adherence, p, i):
    """Death hazard [1/h] of a plasma cell, for drug `i`."""
    return p.kill_rate[i] * hill(effect, p.half_inhibition[i], p.steepness[i]) * sensitivity * shielded(adherence, p.adhesion_fold[i])


@part
def prepare(marrow, rows, tick):
    """Stress of each clone: what is left unstressed by one drug can be stressed by another."""
    for clone in range(N_CLONES):
        calm = 1.0
        for i in range(rows.drug.size):
            stress = hill(marrow.drugs.effect[rows.drug[i]], rows.p.half_inhibition[i], rows.p.steepness[i])
            calm *= 1.0 - stress * marrow.clones.proteasome_response[clone]
        marrow.body.clone_stress[clone] = 1.0 - calm


@part
def sensitivity(clones, clone, p, i):
    """How sensitive the cells of a clone are to drug `i`; a resistant one at least as far as the drug reaches beyond resistance."""
    return max(
        clones.proteasome_sensitivity[clone], p.kept_in_resistant[i] * clones.proteasome_sensitivity[clone ^ (clone & PROTEASOME_RESISTANT)]
    )


ceiling, hazard = by_small_molecule(rate, sensitivity, Cause.PROTEASOME)


PROTEASOME = Mechanism(
    name="proteasome",
    Params=Params,
    label="Proteasome inhibitor",
    summary="Plasma cells die while most of their proteasomes are inhibited, and those that live are easier prey.",
    group=Group.DRUG,
    reads=("drugs.effect", "clones.proteasome_response", "clones.proteasome_sensitivity", "at_risk.adherence"),
    writes=("body.clone_stress", "hazard.PROTEASOME"),
    by_drug=True,
    prepare=prepare,
    ceiling=ceiling,
    hazard=hazard,
    phase=Phase.DRUGS,
    italian=Words(
        "Inibitore del proteasoma",
        "Le plasmacellule muoiono mentre la maggior parte dei loro proteasomi è inibita; quelle che sopravvivono sono prede più facili.",
    ),
)
