"""Chemokine (CCL3): made by plasma cells and macrophages; it draws T and NK cells.

    D lap(c) - u c + s(site) = 0,  s = source * relative output of the cell type

Relative to the patient's mean when the disease becomes eligible. Its gradient biases the walk of T and NK cells and their arrival from
the blood.
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.marrow.secretion import balance, by_type, when_due


class Params(NamedTuple):
    """Of the tissue."""

    diffusivity: Annotated[float, Param("um2/s", "diffusion in marrow", "tme_abm", "A")] = 40.0
    clearance: Annotated[float, Param("1/h", "clearance, which gives a reach of about 120 um", "tme_abm", "A")] = 10.0


@part
def output(marrow, kind):
    """Chemokine made by a cell of a kind [1/h]."""
    return marrow.host.chemokine_source * marrow.traits.chemokine[kind]


@part
def solve(marrow, p):
    """Bring the field into balance with its sources."""
    balance(marrow.fields.chemokine, marrow, p.diffusivity)


lay_out = by_type(output)
prepare = when_due(lay_out, solve)


CHEMOKINE = Mechanism(
    name="chemokine",
    Params=Params,
    label="Chemokine",
    summary="Chemokine (CCL3) is made by plasma cells and macrophages; it draws T and NK cells.",
    group=Group.IMMUNE,
    reads=("gauge.FIELD_AGE", "host.chemokine_source", "traits.chemokine"),
    writes=("fields.chemokine",),
    prepare=prepare,
    phase=Phase.FIELDS,
    rest=("fields.chemokine",),
    italian=Words("Chemochina", "La chemochina (CCL3) è prodotta da plasmacellule e macrofagi; attira le cellule T e NK."),
)
