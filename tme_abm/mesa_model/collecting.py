"""What Mesa's data collector collects."""

from functools import partial
from typing import Any

from tme_abm.marrow.cells import CellType
from tme_abm.mesa_model.agents import AGENT_TYPES
from tme_abm.mesa_model.contract import MarrowModel


def count(kind: CellType, model: MarrowModel) -> int:
    """Cells of a kind."""
    return int(model.counts[kind])


def reporters() -> dict[str, Any]:
    """What the data collector collects, by the names of trajectory.parquet; counts and sums only, so that it costs little."""
    named: dict[str, Any] = {"day": "day"}
    named |= {f"{t.kind.name.lower()}_cells": partial(count, t.kind) for t in AGENT_TYPES}
    return named | {"m_protein_g_per_l": m_protein, "plasma_fraction": plasma_fraction, "adenosine": mean_adenosine}


def m_protein(model: MarrowModel) -> float:
    """Serum M-protein [g/L]."""
    return model.simulation.m_protein


def plasma_fraction(model: MarrowModel) -> float:
    """Plasma cells among the nucleated cells of the whole marrow."""
    return model.simulation.plasma_fraction


def mean_adenosine(model: MarrowModel) -> float:
    """Mean adenosine of the patch, over the level that halves effector function."""
    return float(model.simulation.marrow.fields.adenosine.mean())
