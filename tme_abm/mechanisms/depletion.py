"""Depletion: an anti-CD38 antibody removes immune cells other than NK in proportion to their CD38.

    hazard = max_rate * hill(CD38 on the cell * occupancy, half_density, steepness)

No cell type is exempt: regulatory B cells go first, CD38-rich regulatory T cells and MDSC next, effector T cells and
macrophages, with little CD38, hardly (Krejcik 2016, Feng 2017).
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Words
from tme_abm.foundation.response import hill
from tme_abm.marrow.attack import by_bound_cd38
from tme_abm.marrow.cells import Cause


class Params(NamedTuple):
    """Of each antibody."""

    max_rate: Annotated[
        float,
        Param(
            "1/h",
            "death rate of immune cells rich in CD38 at full occupancy",
            "krejcik2016: Breg, Treg and MDSC go (the rate is assumed)",
            "A",
        ),
    ] = 0.03
    half_density: Annotated[
        float,
        Param("sites/cell", "bound CD38 that gives half that rate", "krejcik2016: CD38-rich cells go first (the number is assumed)", "A"),
    ] = 7e3
    steepness: Annotated[
        float, Param("1", "Hill exponent", "krejcik2016: T cells, poor in CD38, are spared (the exponent is assumed)", "A")
    ] = 4.0


@part
def rate(bound, p, i):
    """Death hazard [1/h] of an immune cell with `bound` antibodies, for antibody `i`."""
    return p.max_rate[i] * hill(bound, p.half_density[i], p.steepness[i])


@part
def suffers(traits, kind):
    """Immune cells that can be depleted; NK cells cannot, their loss having its own mechanism."""
    return traits.is_depleted[kind]


ceiling, hazard = by_bound_cd38(rate, suffers, Cause.DEPLETION)


DEPLETION = Mechanism(
    name="depletion",
    Params=Params,
    label="Suppressor depletion",
    summary="Immune cells other than NK are depleted in proportion to their CD38: Breg, Treg and MDSC, hardly T cells.",
    group=Group.ANTIBODY,
    reads=("drugs.occupancy", "drugs.antigen", "at_risk.cd38"),
    writes=("hazard.DEPLETION",),
    by_drug=True,
    ceiling=ceiling,
    hazard=hazard,
    italian=Words(
        "Deplezione dei soppressori",
        "Le cellule immunitarie diverse dalle NK si riducono in proporzione al loro CD38: Breg, Treg e MDSC, quasi mai i T.",
    ),
)
