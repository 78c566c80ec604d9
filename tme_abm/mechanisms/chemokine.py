"""Chemokine (CCL3): made by plasma cells and macrophages; it draws T and NK cells.

    D lap(c) - u c + s(site) = 0,  s = source * relative output of the cell type

Relative to the patient's mean when the disease becomes eligible. Its gradient biases the walk of T and NK cells and their arrival from the blood.
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.marrow.diffusion import solve_steady
from tme_abm.marrow.state import FIELD_TOLERANCE, Gauge


class Params(NamedTuple):
    """Of the tissue."""

    diffusivity: Annotated[float, Param("site2/h", "diffusion in marrow, 40 um2/s", "tme_abm", "A")] = 1000.0
    clearance: Annotated[float, Param("1/h", "clearance, which gives a reach of about 120 um", "tme_abm", "A")] = 10.0


def source(count, relative, n_sites, p):
    """Chemokine made by a plasma cell [1/h] where the cells of a marrow keep its mean at 1, by balance of what is made and cleared.

    Args:
        count: Cells of each kind (N_TYPES,).
        relative: Output of a cell of each kind (N_TYPES,), relative to a plasma cell.
        n_sites: Sites on which they live.
        p: Parameters.
    """
    return p.clearance * n_sites / float((count * relative).sum())


@part
def lay_out(marrow, p):
    """Sources and clearance of every site."""
    fields = marrow.fields
    strength = marrow.host.chemokine_source
    for s in range(fields.source.size):
        fields.source[s] = strength * marrow.traits.chemokine[marrow.cells.kind[s]]
        fields.uptake[s] = p.clearance


@part
def prepare(marrow, p, tick):
    """Solve the field where it is due."""
    if marrow.body.gauge[Gauge.FIELD_AGE] == 0.0:
        lay_out(marrow, p)
        fields = marrow.fields
        solve_steady(fields.chemokine, fields.source, fields.uptake, p.diffusivity, marrow.grid, FIELD_TOLERANCE)


CHEMOKINE = Mechanism(
    name="chemokine",
    Params=Params,
    label="Chemokine",
    summary="Chemokine (CCL3) is made by plasma cells and macrophages; it draws T and NK cells.",
    group=Group.IMMUNE,
    reads=("cells.kind", "gauge.FIELD_AGE", "host.chemokine_source", "traits.chemokine"),
    writes=("fields.chemokine",),
    prepare=prepare,
    phase=Phase.FIELDS,
    rest=("fields.chemokine",),
    italian=Words("Chemochina", "La chemochina (CCL3) è prodotta da plasmacellule e macrofagi; attira le cellule T e NK."),
)
