"""What can be read off a marrow, as a row of a table."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tme_abm.foundation.columns import Heading, count
from tme_abm.marrow import antigen
from tme_abm.marrow.cell_types import records
from tme_abm.marrow.cells import N_CAUSES, N_TYPES, Cause, CellType
from tme_abm.marrow.clones import CLONE_NAMES, N_CLONES, N_CLONOTYPES, N_REACTIVE
from tme_abm.marrow.seeding import NUCLEATED_CELLS
from tme_abm.marrow.state import Gauge, Marrow


def observe(marrow: Marrow, causes: Mapping[str, int]) -> dict[str, float]:
    """What can be read off a marrow, as a row of a table.

    Args:
        marrow: The marrow.
        causes: Cause of death -> its column of the ledger (`Catalogue.causes`).
    """
    body, cells, gauge = marrow.body, marrow.cells, marrow.body.gauge
    by_type = np.bincount(cells.kind, minlength=N_TYPES)
    row: dict[str, float] = {f"{t.name.lower()}_cells": int(by_type[t]) for t in CellType if t is not CellType.EMPTY}
    tumour = float(body.burden.sum())
    row["plasma_fraction"] = min(1.0, tumour / NUCLEATED_CELLS)
    row["tumour_cells_total"] = tumour
    for clone, name in enumerate(CLONE_NAMES):
        row[f"clone_{name}"] = float(body.burden[clone])
    row["adenosine"] = float(marrow.fields.adenosine.mean())
    row["il6"] = float(marrow.fields.il6.mean())
    row["chemokine"] = float(marrow.fields.chemokine.mean())
    row["m_protein_g_per_l"] = float(gauge[Gauge.M_PROTEIN])
    is_t, is_nk = cells.kind == CellType.T, cells.kind == CellType.NK
    for name, chosen in (("t_cell", is_t), ("nk", is_nk)):
        n = max(int(chosen.sum()), 1)
        row[f"{name}_activity"] = float(cells.activity[chosen].sum()) / n
        row[f"{name}_granzyme"] = float(cells.granzyme[chosen].sum()) / n
    row["t_cell_clonality"] = clonality(cells.clone[is_t])
    row["reactive_t_cells"] = int((cells.clone[is_t] < N_REACTIVE).sum())
    row["nk_armed"] = float(gauge[Gauge.NK_ARMED])
    is_plasma = cells.kind == CellType.PLASMA
    row["cd38_sites_per_cell"] = float(np.median(surface_cd38(marrow, is_plasma))) if is_plasma.any() else math.nan
    for cause, column in causes.items():
        row[f"deaths_{cause}"] = int(body.ledger[CellType.PLASMA, column])
    for t, record in records().items():
        if record.panel:
            row[f"{t.name.lower()}_lost_to_antibody"] = int(body.ledger[t, Cause.DEPLETION] + body.ledger[t, Cause.FRATRICIDE])
    return row


def surface_cd38(marrow: Marrow, sites: Any) -> np.ndarray:
    """CD38 on the surface of the cells of some sites now [sites/cell], after trogocytosis and what their clones make of a drug."""
    cells, rule = marrow.cells, antigen.surface_cd38.py_func  # type: ignore[attr-defined]
    share = np.array([[rule(marrow, kind, clone, 1.0) for clone in range(N_CLONES)] for kind in range(N_TYPES)])
    kind = cells.kind[sites]
    return np.asarray(cells.cd38[sites] * share[kind, np.where(kind == CellType.PLASMA, cells.clone[sites], 0)])


def clonality(clonotypes: np.ndarray) -> float:
    """Clonality of T cells: 1 minus the normalised Shannon entropy of their clonotypes, 0 even to 1 a single one.

    Args:
        clonotypes: (n_cells,) clonotype of each T cell.
    """
    share = np.bincount(clonotypes, minlength=N_CLONOTYPES) / max(clonotypes.size, 1)
    share = share[share > 0.0]
    if share.size < 2:
        return 0.0 if share.size == 0 else 1.0
    return float(1.0 + (share * np.log(share)).sum() / math.log(min(N_CLONOTYPES, clonotypes.size)))


def _cause(cause: Cause) -> str:
    """A cause of death in words."""
    words = {
        Cause.DIRECT: "antibodies directly",
        Cause.T_CELL: "T cells",
        Cause.IMID: "IMiDs",
        Cause.PROTEASOME: "proteasome inhibitors",
        Cause.GLUCOCORTICOID: "glucocorticoids",
        Cause.TURNOVER: "turnover, without any treatment",
    }
    return words.get(cause, cause.name if cause in (Cause.ADCC, Cause.ADCP, Cause.CDC) else cause.name.lower())


def _resistances(name: str) -> str:
    """What the cells of a clone resist, in words."""
    if name == "sensitive":
        return "no resistance"
    words = {"imid": "IMiDs", "proteasome": "proteasome inhibitors", "antibody": "antibodies"}
    return f"resistance to {' and '.join(words[part] for part in name.split('_'))}"


HEADINGS = (  # of the columns that `observe` makes
    *(count(f"{t.name.lower()}_cells", "cells", f"{record.plural} in the patch") for t, record in records().items()),
    Heading("plasma_fraction", "1", "plasma cells among the nucleated cells of the whole marrow", low=0.0, high=1.0),
    Heading("tumour_cells_total", "cells", "plasma cells of the whole marrow", low=0.0),
    *(Heading(f"clone_{name}", "cells", f"plasma cells of the whole marrow with {_resistances(name)}", low=0.0) for name in CLONE_NAMES),
    Heading("adenosine", "K(A2A)", "extracellular adenosine over the level that halves effector function, mean of the patch", low=0.0),
    Heading("il6", "1", "interleukin-6 over the patient's mean at eligibility, mean of the patch", low=0.0),
    Heading("chemokine", "1", "CCL3 over the patient's mean at eligibility, mean of the patch", low=0.0),
    Heading("m_protein_g_per_l", "g/L", "serum M-protein as it is, without the error of the assay", low=0.0),
    Heading("t_cell_activity", "1", "functional capacity of T cells, 0 exhausted to 1 fresh; mean", low=0.0),
    Heading("t_cell_granzyme", "1", "lytic granules of T cells, 1 = a fresh cell; mean", low=0.0),
    Heading("nk_activity", "1", "functional capacity of NK cells, 0 exhausted to 1 fresh; mean", low=0.0),
    Heading("nk_granzyme", "1", "lytic granules of NK cells, 1 = a fresh cell; mean", low=0.0),
    Heading("t_cell_clonality", "1", "clonality: 1 minus the normalised Shannon entropy of clonotypes", low=0.0, high=1.0),
    count("reactive_t_cells", "cells", "T cells whose clonotype sees the tumour, in the patch"),
    Heading("nk_armed", "1", "potency of NK cells whose CD16 or SLAMF7 is engaged, 1 = undisturbed", low=0.0),
    Heading(
        "cd38_sites_per_cell",
        "sites/cell",
        "CD38 on the surface of plasma cells, median",
        low=0.0,
        missing="without any",
    ),
    *(count(f"deaths_{c.name.lower()}", "cells", f"plasma cells of the patch killed by {_cause(c)}") for c in Cause if c < N_CAUSES),
    count("deaths_<mechanism>", "cells", "plasma cells of the patch killed by a mechanism from outside of the package"),
    *(
        count(
            f"{t.name.lower()}_lost_to_antibody", "cells", f"{record.plural} of the patch lost to antibodies since the start of treatment"
        )
        for t, record in records().items()
        if record.panel
    ),
)
