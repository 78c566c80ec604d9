"""Interleukin-6: made by stroma, macrophages and MDSC; it drives the growth of plasma cells.

    D lap(c) - u c + s(site) = 0,  s = source * relative output of the cell type

Relative to the patient's mean when the disease becomes eligible. IMiDs lower the output; the field
stands for the pro-inflammatory cytokines of monocytes, TNF among them.
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
    clearance: Annotated[float, Param("1/h", "clearance, which gives a reach of about 100 um", "tme_abm", "A")] = 16.0


def source(count, relative, n_sites, p):
    """Interleukin-6 made by a macrophage [1/h] where the cells of a marrow keep its mean at 1, by balance of what is made and cleared.

    Args:
        count: Cells of each kind (N_TYPES,).
        relative: Output of a cell of each kind (N_TYPES,), relative to a macrophage.
        n_sites: Sites on which they live.
        p: Parameters.
    """
    return p.clearance * n_sites / float((count * relative).sum())


@part
def lay_out(marrow, p):
    """Sources and clearance of every site."""
    fields = marrow.fields
    strength = marrow.host.il6_source * marrow.body.gauge[Gauge.IL6_OUTPUT]
    for s in range(fields.source.size):
        fields.source[s] = strength * marrow.traits.il6[marrow.cells.kind[s]]
        fields.uptake[s] = p.clearance


@part
def prepare(marrow, p, tick):
    """Solve the field where it is due."""
    if marrow.body.gauge[Gauge.FIELD_AGE] == 0.0:
        lay_out(marrow, p)
        fields = marrow.fields
        solve_steady(fields.il6, fields.source, fields.uptake, p.diffusivity, marrow.grid, FIELD_TOLERANCE)


INTERLEUKIN6 = Mechanism(
    name="interleukin6",
    Params=Params,
    label="Interleukin-6",
    summary="Interleukin-6 is made by stroma, macrophages and MDSC; it drives the growth of plasma cells.",
    group=Group.NICHE,
    reads=("cells.kind", "gauge.IL6_OUTPUT", "gauge.FIELD_AGE", "host.il6_source", "traits.il6"),
    writes=("fields.il6",),
    prepare=prepare,
    phase=Phase.FIELDS,
    rest=("fields.il6",),
    italian=Words(
        "Interleuchina-6",
        "L'interleuchina-6 è prodotta da stroma, macrofagi e MDSC; sostiene la crescita delle plasmacellule.",
    ),
)
