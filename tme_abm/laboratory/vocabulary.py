"""The words of the laboratory: what an experiment can set, sweep and read, each with its unit. Imported to check scenarios; light."""

from typing import NamedTuple

from tme_abm.marrow.cell_types import records


class Quantity(NamedTuple):
    """A quantity: its column in tables (the unit in its name), and how a figure and a sentence call it."""

    column: str
    unit: str
    label: str  # on an axis
    words: str  # in a sentence
    is_log: bool = False


CELLS = tuple(kind.name.lower() for kind in records())
CAUSES = ("adcc", "adcp", "cdc", "direct", "t_cell", "imid", "proteasome", "glucocorticoid", "turnover")

LINE = {  # what an experiment can say of its plasma cells
    "cd38_sites": Quantity("cd38_sites_per_cell", "sites/cell", "CD38 on a plasma cell (sites)", "CD38", True),
    "cd38_spread": Quantity("cd38_spread", "1", "spread of CD38 between cells (SD of the log)", "the spread of CD38"),
    "complement_inhibitor_level": Quantity("complement_inhibitor_level", "1", "CD55 and CD59 (typical = 1)", "CD55 and CD59", True),
    "effector_fitness": Quantity("effector_fitness", "1", "fitness of the effectors (typical = 1)", "the fitness of effectors", True),
    "tp53_mutated": Quantity("tp53_mutated", "-", "TP53 mutated", "mutated TP53"),
    "cd38_share": Quantity("cd38_share", "1", "share of CD38 in the making of adenosine", "the share of CD38"),
}

SWEEPS = {
    "concentration": Quantity("concentration_ug_per_ml", "ug/mL", "antibody (µg/mL)", "concentration", True),
    **LINE,
    **{name: Quantity(f"{name}_cells", "cells", f"{name.replace('_', ' ')} cells in the well", f"{name} cells", True) for name in CELLS},
}

READOUTS = {
    "specific_lysis": Quantity("specific_lysis_percent", "%", "specific lysis (%)", "specific lysis"),
    "dead": Quantity("dead_percent", "%", "plasma cells dead (%)", "death of plasma cells"),
    "adenosine_made": Quantity("adenosine_made_percent", "%", "adenosine made (% of the well without drug)", "adenosine made"),
    "adenosine": Quantity("adenosine_percent", "%", "adenosine (% of the well without drug)", "adenosine"),
    "surface_cd38": Quantity("surface_cd38_sites_per_cell", "sites/cell", "CD38 on living plasma cells (sites)", "CD38 on the surface"),
    "nk_left": Quantity("nk_left_percent", "%", "NK cells left (%)", "NK cells"),
    **{
        f"dead_by_{cause}": Quantity(f"dead_by_{cause}_percent", "%", f"dead by {cause.replace('_', ' ')} (%)", f"death by {cause}")
        for cause in CAUSES
    },
}

OBSERVED = {  # what a time course can follow
    **{
        f"{kind.name.lower()}_cells": Quantity(f"{kind.name.lower()}_cells", "cells", record.plural, record.plural)
        for kind, record in records().items()
        if "mobile" in record.properties
    },
    "plasma_cells": Quantity("plasma_cells", "cells", "plasma cells in the patch", "plasma cells"),
    "reactive_t_cells": Quantity("reactive_t_cells", "cells", "tumour-reactive T cells", "tumour-reactive T cells"),
    "t_cell_granzyme": Quantity("t_cell_granzyme", "1", "granzyme of T cells", "the granzyme of T cells"),
    "t_cell_activity": Quantity("t_cell_activity", "1", "activity of T cells (1 = fresh)", "the activity of T cells"),
    "t_cell_clonality": Quantity("t_cell_clonality", "1", "clonality of T cells", "the clonality of T cells"),
    "reactive_share": Quantity("reactive_share", "1", "tumour-reactive share of T cells", "the reactive share of T cells"),
    "treg_per_100_t_cells": Quantity("treg_per_100_t_cells", "1", "Treg per 100 T cells", "the number of Treg per 100 T cells"),
    "nk_potency": Quantity("nk_potency", "1", "killing power of an NK cell", "the killing power of an NK cell"),
    "nk_armed": Quantity("nk_armed", "1", "arming of NK cells through CD16", "the arming of NK cells"),
    "nk_granzyme": Quantity("nk_granzyme", "1", "granzyme of NK cells", "the granzyme of NK cells"),
    "adenosine": Quantity("adenosine", "K(A2A)", "adenosine", "adenosine"),
    "il6": Quantity("il6", "1", "interleukin-6", "interleukin-6"),
    "cd38_sites_per_cell": Quantity("cd38_sites_per_cell", "sites/cell", "CD38 on plasma cells", "CD38 on plasma cells"),
    "surface_cd38": Quantity("surface_cd38", "1", "CD38 left on the surface of a cell", "the CD38 left on the surface"),
    "plasma_fraction": Quantity("plasma_fraction", "1", "plasma cells in the marrow", "the burden of plasma cells"),
    "m_protein_g_per_l": Quantity("m_protein_g_per_l", "g/L", "M-protein", "M-protein"),
    "adcc_per_nk_cell_and_day": Quantity("adcc_per_nk_cell_and_day", "per day", "ADCC kills by an NK cell (per day)", "killing by ADCC"),
}
