"""Antibody-dependent cellular phagocytosis (ADCP): macrophages engulf plasma cells coated densely enough with antibody.

    hazard = engulfment_rate * fitness * macrophages in contact * hill(bound antigen, half_density, steepness)
             * eased(stress, stressed_fold)

Macrophages count by the Fc receptors that they have left (fc_receptors). It joins ADCC at intermediate CD38 and is seen with
CD38-rich cells only (Moreno 2019; Overdijk 2015).
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

    engulfment_rate: Annotated[
        float,
        Param(
            "1/h",
            "engulfment rate for each macrophage in contact, at full coating",
            "tme_abm: set near the fit to control arms and single agents, docs/calibration.md",
            "C",
        ),
    ] = 0.0127
    half_density: Annotated[
        float,
        Param(
            "sites/cell",
            "bound antigen that gives half the rate",
            "moreno2019: joins at intermediate density (the number is assumed)",
            "M-low",
        ),
    ] = 100e3
    steepness: Annotated[float, Param("1", "Hill exponent", "tme_abm", "A")] = 3.0
    stressed_fold: Annotated[
        float,
        Param(
            "1",
            "engulfment of a cell under full stress by a proteasome inhibitor",
            "gulla2021: calreticulin shown under bortezomib (the size is assumed)",
            "A",
            needs=("proteasome",),
        ),
    ] = 1.5


@part
def rate(contact, bound, p, i):
    """Death hazard [1/h] of a plasma cell with `contact` (macrophages in contact) and `bound` antibodies, for antibody `i`."""
    return p.engulfment_rate[i] * contact * hill(bound, p.half_density[i], p.steepness[i])


@part
def met(risk, row):
    """Macrophages in contact with the cell of a row, by their Fc receptors."""
    return risk.phagocyte[row]


ceiling, hazard = by_contact(rate, met, Effector.PHAGOCYTE, Cause.ADCP)


ADCP = Mechanism(
    name="adcp",
    Params=Params,
    label="ADCP",
    summary="Macrophages engulf plasma cells that carry enough antibody.",
    group=Group.ANTIBODY,
    reads=(
        "drugs.occupancy",
        "drugs.antigen",
        "at_risk.cd38",
        "traits.sites",
        "at_risk.phagocyte",
        "body.clone_stress",
        "host.effector_fitness",
    ),
    writes=("hazard.ADCP",),
    by_drug=True,
    ceiling=ceiling,
    hazard=hazard,
    italian=Words("ADCP", "I macrofagi inglobano le plasmacellule che portano abbastanza anticorpo."),
)
