"""Direct killing: bound antibody alone kills plasma cells that carry very much CD38 (caspases and lysosomes), whatever their TP53.

    hazard = max_rate * hill(CD38 on the surface * occupancy, half_density, steepness)

Strong in CD38-rich lines, near zero at the CD38 of patients (Moreno 2019 against Deckert 2014).
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Words
from tme_abm.foundation.response import hill
from tme_abm.marrow.attack import by_bound_cd38
from tme_abm.marrow.cells import Cause, CellType

PLASMA = int(CellType.PLASMA)


class Params(NamedTuple):
    """Of each antibody."""

    max_rate: Annotated[float, Param("1/h", "death rate at very high CD38: 10-40 % in 48-72 h", "jiang2016", "M-low")] = 0.006
    half_density: Annotated[float, Param("sites/cell", "bound CD38 that gives half the rate", "moreno2019", "M-low")] = 400e3
    steepness: Annotated[
        float, Param("1", "Hill exponent", "jiang2016: CD38-rich lines die, CD38-poor ones do not (the exponent is assumed)", "A")
    ] = 4.0


@part
def rate(bound, p, i):
    """Death hazard [1/h] of a plasma cell with `bound` antibodies, for antibody `i`."""
    return p.max_rate[i] * hill(bound, p.half_density[i], p.steepness[i])


@part
def suffers(traits, kind):
    """Plasma cells alone."""
    return kind == PLASMA


ceiling, hazard = by_bound_cd38(rate, suffers, Cause.DIRECT)


DIRECT_KILLING = Mechanism(
    name="direct_killing",
    Params=Params,
    label="Direct killing",
    summary="Bound antibody alone kills plasma cells with very much CD38, independently of TP53.",
    group=Group.ANTIBODY,
    reads=("drugs.occupancy", "drugs.antigen", "at_risk.cd38"),
    writes=("hazard.DIRECT",),
    by_drug=True,
    ceiling=ceiling,
    hazard=hazard,
    italian=Words(
        "Uccisione diretta",
        "L'anticorpo legato uccide da solo le plasmacellule con moltissimo CD38, indipendentemente da TP53.",
    ),
)
