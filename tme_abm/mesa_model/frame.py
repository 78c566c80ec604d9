"""All cells of a model as a table: what its columns mean, and how gaps are filled. Imports no Mesa."""

from typing import Any

import numpy as np

from tme_abm.foundation.columns import Heading, count, truth, word
from tme_abm.marrow.cell_types import records
from tme_abm.marrow.clones import CLONE_NAMES, N_CLONES, N_CLONOTYPES
from tme_abm.marrow.contact import MOST_GRANZYME

NOT_PLASMA = "in other cells than plasma cells"
NOT_T = "in other cells than T cells"
NOT_LYTIC = "in other cells than T and NK cells"
ATTRIBUTES = {  # attribute of an agent -> its column
    "cd38": Heading("cd38_sites_per_cell", "sites/cell", "CD38 that the cell expresses when undisturbed", low=0.0),
    "surface_cd38": Heading("surface_cd38_sites_per_cell", "sites/cell", "CD38 on the surface now", low=0.0),
    "complement_inhibitors": Heading(
        "complement_inhibitors", "1", "CD55 and CD59, relative to a typical plasma cell", low=0.0, missing=NOT_PLASMA
    ),
    "activity": Heading("activity", "1", "functional capacity, 0 exhausted to 1 fresh", low=0.0, high=1.0, missing=NOT_LYTIC),
    "granzyme": Heading("granzyme", "1", "lytic granules, 1 = a fresh cell", low=0.0, high=MOST_GRANZYME, missing=NOT_LYTIC),
    "clone": Heading(
        "clone",
        "-",
        "clone: one bit each for resistance to IMiDs (1), to proteasome inhibitors (2), escape from antibodies (4)",
        "whole number",
        0.0,
        N_CLONES - 1.0,
        missing=NOT_PLASMA,
    ),
    "clone_name": word("clone_name", "the same in words", CLONE_NAMES, NOT_PLASMA),
    "clonotype": Heading("clonotype", "-", "T-cell receptor", "whole number", 0.0, N_CLONOTYPES - 1.0, missing=NOT_T),
    "is_adherent": truth("is_adherent", "whether a stromal cell is among the eight neighbours", NOT_PLASMA),
    "is_reactive": truth("is_reactive", "whether the clonotype sees the tumour", NOT_T),
}
FRAME_COLUMNS = {attribute: heading.name for attribute, heading in ATTRIBUTES.items()}
FRAME_HEADINGS = (
    count("unique_id", "-", "identity of the cell for its whole life, of the agent too"),
    word("type", "class of the agent", (record.agent for record in records().values())),
    count("x", "-", "column of the lattice: the first of the agent's `pos`"),
    count("y", "-", "row of the lattice: the second of the agent's `pos`"),
    Heading("born_h", "h", "hour of birth, on the clock that began when the marrow was made; 0 for founding cells", low=0.0),
    *ATTRIBUTES.values(),
)


def with_gaps(values: np.ndarray, has: np.ndarray) -> Any:
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
