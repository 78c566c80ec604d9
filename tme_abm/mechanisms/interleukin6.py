"""Interleukin-6: made by stroma, macrophages and MDSC; it drives the growth of plasma cells.

    D lap(c) - u c + s(site) = 0,  s = source * relative output of the cell type

Relative to the patient's mean when the disease becomes eligible. IMiDs lower the output; the field
stands for the pro-inflammatory cytokines of monocytes, TNF among them.
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.marrow.secretion import balance, by_type, when_due
from tme_abm.marrow.state import Gauge


class Params(NamedTuple):
    """Of the tissue."""

    diffusivity: Annotated[float, Param("um2/s", "diffusion in marrow", "tme_abm", "A")] = 40.0
    clearance: Annotated[float, Param("1/h", "clearance, which gives a reach of about 100 um", "tme_abm", "A")] = 16.0


@part
def output(marrow, kind):
    """Interleukin-6 made by a cell of a kind [1/h]."""
    return marrow.host.il6_source * marrow.body.gauge[Gauge.IL6_OUTPUT] * marrow.traits.il6[kind]


@part
def solve(marrow, p):
    """Bring the field into balance with its sources."""
    balance(marrow.fields.il6, marrow, p.diffusivity)


lay_out = by_type(output)
prepare = when_due(lay_out, solve)


INTERLEUKIN6 = Mechanism(
    name="interleukin6",
    Params=Params,
    label="Interleukin-6",
    summary="Interleukin-6 is made by stroma, macrophages and MDSC; it drives the growth of plasma cells.",
    group=Group.NICHE,
    reads=("gauge.IL6_OUTPUT", "gauge.FIELD_AGE", "host.il6_source", "traits.il6"),
    writes=("fields.il6",),
    prepare=prepare,
    phase=Phase.FIELDS,
    rest=("fields.il6",),
    italian=Words(
        "Interleuchina-6",
        "L'interleuchina-6 è prodotta da stroma, macrofagi e MDSC; sostiene la crescita delle plasmacellule.",
    ),
)
