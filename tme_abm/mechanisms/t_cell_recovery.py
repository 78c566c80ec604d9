"""T-cell recovery: tumour-reactive T cells divide as far as they are not held down, while there is antigen of the tumour to see.

    hazard of division = expansion * granzyme^steepness * antigen * supply (IMiD) * target of T cells / T cells
    antigen            = plasma cells per site / (plasma cells per site + half_antigen)

Granzyme stands for how far a cell is free to act; adenosine and suppressors hold proliferation down more than lysis. Antigen is carried by
presenting cells through the whole patch, so that little tumour is enough. T cells are taken to compete for interleukin-7 and -15, so that a
crowd of them slows itself. Relief from suppression lets the reactive clonotypes expand: the number of T cells, their
clonality and their granzyme rise after the suppressors have gone, in this order of cause and effect (Krejcik 2016).
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import kernel, part
from tme_abm.foundation.mechanism import Group, Mechanism, Words
from tme_abm.foundation.response import saturation
from tme_abm.marrow.cells import Cause, CellType
from tme_abm.marrow.clones import N_CLONOTYPES, N_REACTIVE
from tme_abm.marrow.contact import MOST_GRANZYME
from tme_abm.marrow.state import Gauge

PLASMA, T = int(CellType.PLASMA), int(CellType.T)


class Params(NamedTuple):
    """Of tumour-reactive T cells."""

    expansion: Annotated[
        float,
        Param(
            "1/h",
            "division rate with full granzyme and much antigen",
            "tme_abm: so that CD8 cells rise 1.3-2 fold within 2-6 months where the disease responds (krejcik2016, from memory)",
            "A",
        ),
    ] = 0.005
    steepness: Annotated[
        float,
        Param("1", "exponent of granzyme", "tme_abm: 50-80 % of proliferation lost to adenosine, 40-60 % of lysis, from memory", "M-low"),
    ] = 2.0
    half_antigen: Annotated[float, Param("1/site", "plasma cells that make half of the stimulus", "tme_abm", "A")] = 0.01


@kernel
def rate(granzyme, load, share, p):
    """Rate of division [1/h] of a reactive T cell amid `load` plasma cells per site.

    `share` is its share of cytokines, 1 at the number of T cells that the blood alone would keep.
    """
    return p.expansion * granzyme**p.steepness * saturation(load, p.half_antigen) * share


def settled(division, renewal):
    """T cells and their tumour-reactive share where arrivals, division and turnover balance.

    Args:
        division: Rate of division of a reactive cell at its share of cytokines of 1 [1/h].
        renewal: Turnover, and what the blood sends to make it good [1/h].

    Returns:
        T cells over what the blood alone would keep, and the share of them that is reactive, two numbers.
    """
    reactive, k = N_REACTIVE / N_CLONOTYPES, division / renewal
    fold = 0.5 * (1.0 + k + math.sqrt((1.0 + k) ** 2 - 4.0 * (1.0 - reactive) * k))  # of fold = 1 - reactive + reactive fold / (fold - k)
    return fold, 1.0 - (1.0 - reactive) / fold


@part
def stimulus(marrow):
    """Plasma cells per site, and what an IMiD and the number of T cells make of the cytokines for one of them."""
    body = marrow.body
    share = body.gauge[Gauge.T_SUPPLY] * body.target[T] / max(1.0, body.count[T])
    return body.count[PLASMA] / marrow.cells.kind.size, share


@part
def ceiling(marrow, p, tick):
    """The highest hazard is that of a cell with full granzyme."""
    load, share = stimulus(marrow)
    marrow.body.ceiling[T] += rate(MOST_GRANZYME, load, share, p)


@part
def hazard(marrow, p, tick):
    """Add the rate of division to every tumour-reactive T cell at risk."""
    risk = marrow.at_risk
    load, share = stimulus(marrow)
    for k in range(marrow.n_at_risk[0]):
        if risk.kind[k] == T and risk.clone[k] < N_REACTIVE:
            marrow.hazard[k, Cause.DIVISION] += rate(float(marrow.cells.granzyme[risk.site[k]]), load, share, p)


@part
def rest_ceiling(marrow, p, tick):
    """As `ceiling` without this mechanism."""
    marrow.body.ceiling[T] += marrow.host.t_cell_division * stimulus(marrow)[1]


@part
def rest_hazard(marrow, p, tick):
    """Without this mechanism T cells divide as when the disease became eligible: relief is taken away, the balance is not."""
    risk = marrow.at_risk
    share = stimulus(marrow)[1]
    for k in range(marrow.n_at_risk[0]):
        if risk.kind[k] == T and risk.clone[k] < N_REACTIVE:
            marrow.hazard[k, Cause.DIVISION] += marrow.host.t_cell_division * share


T_CELL_RECOVERY = Mechanism(
    name="t_cell_recovery",
    Params=Params,
    label="T-cell recovery",
    summary="Tumour-reactive T cells expand while there is tumour to see and they are not suppressed.",
    group=Group.IMMUNE,
    reads=("body.count", "body.target", "gauge.T_SUPPLY", "cells.granzyme", "host.t_cell_division"),
    writes=("hazard.DIVISION",),
    ceiling=ceiling,
    hazard=hazard,
    rest={"ceiling": rest_ceiling, "hazard": rest_hazard},
    italian=Words(
        "Recupero dei T",
        "I linfociti T che riconoscono il tumore si espandono finché c'è tumore da vedere e non sono soppressi.",
    ),
)
