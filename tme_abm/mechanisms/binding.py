"""Binding: an antibody comes from the blood into the marrow and occupies its antigen there, in competition with others on the same one.

    dM/dt       = exchange (partition C - M) - turnover A theta(M)
    theta(M)    = (M / K) / (1 + sum over the antibodies of that antigen of M_j / K_j)
    occupancy_d = accessible_d theta(M_d)

C is the concentration in plasma and M that of free antibody around the cells. A is the antibody that the antigen of the plasma cells holds
when it is full, and the cells replace their antigen with its turnover: a packed marrow eats what a small dose brings, a large dose outruns
it, and as the tumour goes less is needed. What is lost here is the loss that plasma knows as its saturable path; it is not taken from
plasma a second time. Bound antibody is in balance with free one, so that what first fills the antigen is neglected. In a well the cells
lie in the medium: M = C.

What is accessible levels off at about 80 % (Martin 2019).
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.marrow.antigen import Antigen
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.lattice import SITE_UM
from tme_abm.marrow.state import Gauge

PLASMA = int(CellType.PLASMA)
MOLAR_MASS: Annotated[float, Param("kg/mol", "mass of an IgG1", "tme_abm: 150 kDa", "M")] = 150.0
AVOGADRO: Annotated[float, Param("1/mol", "molecules in a mole", "tme_abm: the SI", "M")] = 6.02214076e23
UG_PER_KG, UM3_PER_ML = 1e9, 1e12
HELD = MOLAR_MASS * UG_PER_KG / AVOGADRO * UM3_PER_ML / SITE_UM**3  # [ug/mL] by an antigen a site of the lattice, one antibody each


class Params(NamedTuple):
    """Of each antibody."""

    binding_constant: Annotated[float, Param("ug/mL", "concentration at which half of the accessible antigen is bound", "fau2020", "V")] = (
        0.3
    )
    accessible: Annotated[float, Param("1", "fraction of the antigen that can be bound in the marrow", "martin2019bcj", "V", high=1.0)] = (
        0.8
    )
    partition: Annotated[
        float,
        Param(
            "1", "free antibody in the marrow over plasma, where no antigen takes it", "shah2013: 0.0727 in bone", "M", low=1e-3, high=1.0
        ),
    ] = 0.0727
    exchange: Annotated[
        float,
        Param(
            "1/h",
            "rate at which the marrow follows plasma",
            "fau2020: 0.0432 / 3.62, as the tissues of isatuximab do (that the marrow does so is assumed)",
            "D",
            low=1e-4,
        ),
    ] = 0.0119
    turnover: Annotated[float, Param("1/h", "rate at which cells replace bound antigen", "li2021: turnover of CD38", "V")] = 0.0082


@part
def occupancy(concentration, competition, binding_constant, accessible):
    """Fraction of an antigen bound by one antibody; `competition` is the sum of C/K over all that bind it, itself included."""
    return accessible * concentration / binding_constant / (1.0 + competition)


@part
def held(marrow, antigen):
    """Antibody [ug/mL] that the antigen of the plasma cells of the patch holds when it is full."""
    body = marrow.body
    if antigen != Antigen.CD38:
        sites = body.count[PLASMA] * marrow.traits.sites[PLASMA, antigen]
    else:
        sites = 0.0
        for clone in range(body.clone_count.size):
            share = body.gauge[Gauge.ESCAPED_CD38] if marrow.clones.escaped[clone] == 1 else 1.0
            sites += body.clone_count[clone] * marrow.clones.cd38[clone] * share
        # of a log-normal distribution, the mean over the median
        sites *= body.gauge[Gauge.SURFACE_CD38] * math.exp(0.5 * marrow.host.cd38_spread**2)
    return HELD * sites / marrow.cells.kind.size


@part
def delivered(now, plasma, half, eaten, rates):
    """Free antibody [ug/mL] after a step: the implicit solution, which stays above zero at every length of step.

    `half` is the concentration at half of the binding beside all competitors, `eaten` what full antigen takes in the step [ug/mL], and
    `rates` are the partition and the exchange over the step [1].
    """
    partition, exchange = rates
    b = (1.0 + exchange) * half + eaten - now - exchange * partition * plasma
    c = half * (now + exchange * partition * plasma)
    a = 1.0 + exchange
    root = math.sqrt(b * b + 4.0 * a * c)
    return 2.0 * c / (b + root) if b > 0.0 else 0.5 * (root - b) / a


@part
def prepare(marrow, rows, tick):
    """Free antibody in the marrow, and the occupancy of every antibody, at this step's concentrations."""
    drugs = marrow.drugs
    for i in range(rows.drug.size):
        d = rows.drug[i]
        if marrow.host.is_perfused == 0.0:
            drugs.marrow[d] = drugs.concentration[d]
            continue
        others = 0.0
        for j in range(rows.drug.size):
            if j != i and drugs.antigen[rows.drug[j]] == drugs.antigen[d]:
                others += drugs.marrow[rows.drug[j]] / rows.p.binding_constant[j]
        half = rows.p.binding_constant[i] * (1.0 + others)
        eaten = rows.p.turnover[i] * tick.dt * held(marrow, drugs.antigen[d])
        rates = (rows.p.partition[i], rows.p.exchange[i] * tick.dt)
        drugs.marrow[d] = delivered(drugs.marrow[d], drugs.concentration[d], half, eaten, rates)
    for i in range(rows.drug.size):
        d = rows.drug[i]
        competition = 0.0
        for j in range(rows.drug.size):
            if drugs.antigen[rows.drug[j]] == drugs.antigen[d]:
                competition += drugs.marrow[rows.drug[j]] / rows.p.binding_constant[j]
        drugs.occupancy[d] = occupancy(drugs.marrow[d], competition, rows.p.binding_constant[i], rows.p.accessible[i])


BINDING = Mechanism(
    name="binding",
    Params=Params,
    label="Binding",
    summary="The antibody comes into the marrow and occupies its antigen; antibodies against the same antigen compete.",
    group=Group.ANTIBODY,
    reads=(
        "drugs.concentration",
        "drugs.antigen",
        "drugs.marrow",
        "body.count",
        "body.clone_count",
        "clones.cd38",
        "clones.escaped",
        "gauge.SURFACE_CD38",
        "gauge.ESCAPED_CD38",
        "host.cd38_spread",
        "host.is_perfused",
        "traits.sites",
    ),
    writes=("drugs.marrow", "drugs.occupancy"),
    recalls=("gauge.SURFACE_CD38", "gauge.ESCAPED_CD38"),
    by_drug=True,
    prepare=prepare,
    phase=Phase.DRUGS,
    italian=Words("Legame", "L'anticorpo entra nel midollo e occupa il suo antigene; anticorpi contro lo stesso antigene competono."),
)
