"""Binding: an antibody occupies its antigen, in competition with the other antibodies that bind the same one.

    occupancy_d = accessible_d * (C_d / K_d) / (1 + sum over the antibodies of that antigen of C_j / K_j)

In patients occupancy is limited by access, not by affinity: it levels off at about 80 % (Martin 2019) while troughs are more than
150 times the binding constant.
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words


class Params(NamedTuple):
    """Of each antibody."""

    binding_constant: Annotated[float, Param("ug/mL", "concentration at which half of the accessible antigen is bound", "fau2020", "V")] = (
        0.3
    )
    accessible: Annotated[float, Param("1", "fraction of the antigen that can be bound in the marrow", "martin2019bcj", "V", high=1.0)] = (
        0.8
    )


@part
def occupancy(concentration, competition, binding_constant, accessible):
    """Fraction of an antigen bound by one antibody; `competition` is the sum of C/K over all that bind it, itself included."""
    return accessible * concentration / binding_constant / (1.0 + competition)


@part
def prepare(marrow, rows, tick):
    """Occupancy of every antibody at this step's concentration."""
    drugs = marrow.drugs
    for i in range(rows.drug.size):
        d = rows.drug[i]
        competition = 0.0
        for j in range(rows.drug.size):
            if drugs.antigen[rows.drug[j]] == drugs.antigen[d]:
                competition += drugs.concentration[rows.drug[j]] / rows.p.binding_constant[j]
        drugs.occupancy[d] = occupancy(drugs.concentration[d], competition, rows.p.binding_constant[i], rows.p.accessible[i])


BINDING = Mechanism(
    name="binding",
    Params=Params,
    label="Binding",
    summary="The antibody occupies its antigen; antibodies against the same antigen compete.",
    group=Group.ANTIBODY,
    reads=("drugs.concentration", "drugs.antigen"),
    writes=("drugs.occupancy",),
    by_drug=True,
    prepare=prepare,
    phase=Phase.DRUGS,
    italian=Words("Legame", "L'anticorpo occupa il suo antigene; anticorpi contro lo stesso antigene competono."),
)
