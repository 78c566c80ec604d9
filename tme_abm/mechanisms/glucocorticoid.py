"""Glucocorticoid: dexamethasone kills plasma cells, thins lymphocytes and blunts those that stay.

    kill hazard of plasma cells = kill_rate * E * sensitivity of the clone * shielded(adherence, adhesion_fold)
    loss of lymphocytes         = lympholysis * E
    lytic capacity of T and NK  x (1 - lytic_loss * E)

E is the engagement of the glucocorticoid receptor, which outlasts the drug in plasma by days. Adherent plasma
cells are 3-10 times less sensitive. NK cells of patients on lenalidomide and dexamethasone lysed 28 % of their targets where they had
lysed 49 %, and in vitro dexamethasone took away all that lenalidomide had added (Hsu 2011).
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.foundation.response import shielded
from tme_abm.marrow.attack import by_small_molecule
from tme_abm.marrow.cells import N_TYPES, Cause
from tme_abm.marrow.state import Gauge


class Params(NamedTuple):
    """Of each glucocorticoid."""

    kill_rate: Annotated[
        float,
        Param(
            "1/h",
            "death rate of a typical sensitive plasma cell at full effect",
            "tme_abm: set near the fit to control arms and single agents, docs/calibration.md",
            "C",
        ),
    ] = 3.6e-3
    adhesion_fold: Annotated[
        float, Param("1", "resistance of a cell fully held by the niche", "damiano1999: direction, 3-10 fold from memory", "M-low")
    ] = 4.0
    lympholysis: Annotated[
        float, Param("1/h", "loss of lymphocytes at full effect", "czock2005: lymphopenia (the rate in the marrow is assumed)", "A")
    ] = 5e-4
    lytic_loss: Annotated[
        float,
        Param(
            "1",
            "lytic capacity of T and NK cells lost at full effect",
            "hsu2011: lysis by NK cells of patients from 48.9 to 27.6 %, beside lenalidomide (T cells taken alike)",
            "D",
            high=1.0,
        ),
    ] = 0.44


@part
def rate(effect, sensitivity, adherence, p, i):
    """Death hazard [1/h] of a plasma cell, for drug `i`."""
    return p.kill_rate[i] * effect * sensitivity * shielded(adherence, p.adhesion_fold[i])


@part
def prepare(marrow, rows, tick):
    """How much lytic capacity is left to T and NK cells."""
    for i in range(rows.drug.size):
        marrow.body.gauge[Gauge.STIMULATION] *= 1.0 - rows.p.lytic_loss[i] * marrow.drugs.effect[rows.drug[i]]


@part
def sensitivity(clones, clone, p, i):
    """How sensitive the cells of a clone are."""
    return clones.glucocorticoid_sensitivity[clone]


kill_ceiling, kill = by_small_molecule(rate, sensitivity, Cause.GLUCOCORTICOID)


@part
def ceiling(marrow, rows, tick):
    """That of the kill, and the loss of lymphocytes."""
    kill_ceiling(marrow, rows, tick)
    for i in range(rows.drug.size):
        for kind in range(N_TYPES):
            if marrow.traits.is_lymphocyte[kind]:
                marrow.body.ceiling[kind] += rows.p.lympholysis[i] * marrow.drugs.effect[rows.drug[i]]


@part
def hazard(marrow, rows, tick):
    """Add the kill to plasma cells and the loss to lymphocytes at risk."""
    kill(marrow, rows, tick)
    risk = marrow.at_risk
    for i in range(rows.drug.size):
        effect = marrow.drugs.effect[rows.drug[i]]
        if effect <= 0.0:
            continue
        for k in range(marrow.n_at_risk[0]):
            if marrow.traits.is_lymphocyte[risk.kind[k]]:
                marrow.hazard[k, Cause.GLUCOCORTICOID] += rows.p.lympholysis[i] * effect


GLUCOCORTICOID = Mechanism(
    name="glucocorticoid",
    Params=Params,
    label="Dexamethasone",
    summary="Dexamethasone kills plasma cells, thins lymphocytes and blunts T and NK cells.",
    group=Group.DRUG,
    reads=("drugs.effect", "clones.glucocorticoid_sensitivity", "at_risk.adherence"),
    writes=("gauge.STIMULATION", "hazard.GLUCOCORTICOID"),
    by_drug=True,
    prepare=prepare,
    ceiling=ceiling,
    hazard=hazard,
    phase=Phase.DRUGS,
    italian=Words("Desametasone", "Il desametasone uccide le plasmacellule, dirada i linfociti e smorza T e NK."),
)
