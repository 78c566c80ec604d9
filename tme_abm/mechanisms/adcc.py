"""Antibody-dependent cellular cytotoxicity (ADCC): NK cells lyse the plasma cell whose bound antibody engages their CD16.

    hazard = lysis_rate * fitness * NK cells in contact * hill(bound antigen, half_density, steepness) * eased(stress, stressed_fold)

NK cells count by their granzyme and by how far CD16 is armed, so adenosine, suppressors, exhaustion and depletion all tell. ADCC is
the first mode to work as CD38 rises: some at low density (Moreno 2019), most above 100 thousand sites (quantitative cytometry
2018). If NK cells alone carried the effect in patients, they would lyse 15-40 times less than in vitro; here macrophages carry
most of it, and the rate is lower still. Its ratio to that of ADCP is an assumption (docs/calibration.md, round 3).
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Words
from tme_abm.foundation.response import hill
from tme_abm.marrow.attack import by_contact
from tme_abm.marrow.cells import Cause
from tme_abm.marrow.state import Effector


class Params(NamedTuple):
    """Of each antibody."""

    lysis_rate: Annotated[
        float,
        Param(
            "1/h",
            "lysis rate for each NK cell in contact, fresh and with all antigen bound",
            "tme_abm: set near the fit to control arms and single agents, docs/calibration.md",
            "C",
        ),
    ] = 0.0046
    half_density: Annotated[float, Param("sites/cell", "bound antigen that gives half the rate", "moreno2019", "M-low")] = 50e3
    steepness: Annotated[float, Param("1", "Hill exponent", "tme_abm", "A")] = 2.0
    stressed_fold: Annotated[
        float,
        Param(
            "1",
            "lysis of a cell under full stress by a proteasome inhibitor",
            "shi2008: NK lysis without antibody, about doubled with 60 % less HLA class I, from memory; "
            "yang2015: the same with carfilzomib (that ADCC gains alike is assumed)",
            "A",
            needs=("proteasome",),
        ),
    ] = 2.0


@part
def rate(contact, bound, p, i):
    """Death hazard [1/h] of a plasma cell with `contact` (NK cells in contact, by potency) and `bound` antibodies, for antibody `i`."""
    return p.lysis_rate[i] * contact * hill(bound, p.half_density[i], p.steepness[i])


@part
def met(risk, row):
    """NK cells in contact with the cell of a row, by potency."""
    return risk.nk[row]


ceiling, hazard = by_contact(rate, met, Effector.NK, Cause.ADCC)


ADCC = Mechanism(
    name="adcc",
    Params=Params,
    label="ADCC",
    summary="NK cells lyse antibody-coated plasma cells through CD16.",
    group=Group.ANTIBODY,
    reads=("drugs.occupancy", "drugs.antigen", "at_risk.cd38", "traits.sites", "at_risk.nk", "body.clone_stress", "host.effector_fitness"),
    writes=("hazard.ADCC",),
    by_drug=True,
    ceiling=ceiling,
    hazard=hazard,
    italian=Words("ADCC", "Le cellule NK uccidono attraverso il CD16 le plasmacellule rivestite di anticorpo."),
)
