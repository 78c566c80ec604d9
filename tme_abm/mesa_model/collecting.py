"""What Mesa's data collector collects, and all cells as a table."""

from functools import partial
from typing import Any

import numpy as np

from tme_abm.marrow.cells import CellType
from tme_abm.marrow.clones import CLONE_NAMES
from tme_abm.mesa_model.agents import AGENT_TYPES
from tme_abm.mesa_model.contract import Array, MarrowModel

FRAME_COLUMNS = {  # attribute -> its name in a table
    "cd38": "cd38_sites_per_cell",
    "surface_cd38": "surface_cd38_sites_per_cell",
    "complement_inhibitors": "complement_inhibitors",
    "activity": "activity",
    "granzyme": "granzyme",
    "clone": "clone",
    "clone_name": "clone_name",
    "clonotype": "clonotype",
    "is_adherent": "is_adherent",
    "is_reactive": "is_reactive",
}


def with_gaps(values: Array, has: Array) -> Any:
    """A column of a table that holds `values` where `has` is true, in order, and is missing elsewhere."""
    import pandas as pd

    full = np.zeros(has.size, values.dtype)
    full[has] = values
    if values.dtype == np.bool_:
        return pd.arrays.BooleanArray(full, ~has)
    if values.dtype.kind in "iu":
        return pd.arrays.IntegerArray(full, ~has)
    if values.dtype.kind == "f":
        full[~has] = np.nan
        return full
    words = full.astype(object)
    words[~has] = None
    return pd.Categorical(words, categories=list(CLONE_NAMES))


def count(kind: CellType, model: MarrowModel) -> int:
    """Cells of a kind."""
    return int(model.counts[kind])


def reporters() -> dict[str, Any]:
    """What the data collector collects, by the names that `observe` uses; counts and sums only, so that it costs little."""
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
