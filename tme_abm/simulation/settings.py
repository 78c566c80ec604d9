"""The patch, the step and the rules of a study, with the origin of every number that holds for all patients and drugs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.declare import Filled, Origin, fill
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.marrow import burden, clones, fate, serum
from tme_abm.marrow.antigen import SLAMF7_SITES
from tme_abm.marrow.clones import N_CLONOTYPES, N_REACTIVE
from tme_abm.marrow.contact import MOST_GRANZYME
from tme_abm.marrow.probes import VISIBLE
from tme_abm.marrow.seeding import CELLULARITY, INTERSTITIAL, NUCLEATED_CELLS
from tme_abm.marrow.state import CROWD
from tme_abm.marrow.traits import load_traits
from tme_abm.mechanisms import nk_activation, trogocytosis
from tme_abm.mechanisms.outside.catalogue import FROM_OUTSIDE, PLAIN, Catalogue

__all__ = ["PLAIN", "Catalogue", "Settings"]

START = 1.4  # disease is made at 1 / START of the burden at which it becomes eligible
RISE = 1.25  # M-protein at eligibility over that at the start: measurable and progressing
M_PROTEIN_HALF_LIFE_DAYS = {"IgG": (21.0, 11.0), "IgA": (5.5, 5.5), "light chain": (0.25, 0.25)}  # [d] willrich2016, grade M
FLOORS = {"inheritance": fate.Params, "burden": burden.Params, "clones": clones.Params}  # parameters that no mechanism owns
FIXED = {  # numbers that no study changes
    f"fixed.{name}": Origin(value, unit, meaning, source, grade)
    for name, value, unit, meaning, source, grade in (
        ("cellularity", CELLULARITY, "1", "sites of the patch that marrow cells can fill", "tme_abm", "M"),
        ("nucleated_cells", NUCLEATED_CELLS, "cells", "nucleated cells of the whole marrow", "poels2025", "V"),
        ("interstitial", INTERSTITIAL, "1", "plasma cells that lie scattered at the start, the others in nests", "tme_abm", "M"),
        ("start", START, "1", "burden at eligibility over that at which disease is made", "tme_abm", "A"),
        ("rise", RISE, "1", "M-protein at eligibility over that at the start", "kumar2016", "M"),
        ("igg_half_life_low", M_PROTEIN_HALF_LIFE_DAYS["IgG"][0], "d", "half-life of IgG where there is little", "willrich2016", "M"),
        ("igg_half_life_high", M_PROTEIN_HALF_LIFE_DAYS["IgG"][1], "d", "half-life of IgG where there is much", "willrich2016", "M"),
        ("iga_half_life", M_PROTEIN_HALF_LIFE_DAYS["IgA"][0], "d", "half-life of IgA", "willrich2016", "M"),
        ("light_chain_half_life", M_PROTEIN_HALF_LIFE_DAYS["light chain"][0], "d", "half-life of free light chains", "willrich2016", "M"),
        ("igg_half_saturation", serum.HALF_SATURATION, "g/L", "IgG at which its rescue by FcRn is half saturated", "willrich2016", "M"),
        ("slamf7_sites", SLAMF7_SITES, "sites/cell", "SLAMF7 of a plasma cell", "hsi2008: alike in all, the number from memory", "M-low"),
        ("cd38_recovery", trogocytosis.RECOVERY, "1/h", "turnover of CD38", "li2021", "V"),
        ("cd16_recovery", nk_activation.RECOVERY, "1/h", "return of CD16 after shedding", "tme_abm", "M-low"),
        ("crowd", CROWD, "1", "most effectors of a kind, by potency, that can engage one plasma cell at once", "tme_abm", "A"),
        ("most_granzyme", MOST_GRANZYME, "1", "granzyme of a fresh cell stimulated by an IMiD", "tme_abm", "A"),
        ("reactive_t_cells", N_REACTIVE / N_CLONOTYPES, "1", "clonotypes that see the tumour", "tme_abm", "A"),
        ("burden_correction", burden.CORRECTION_H, "h", "time constant with which a visible clone corrects its burden", "tme_abm", "A"),
        ("visible", VISIBLE, "cells", "cells of a clone in the patch from which on its rates are read off the patch", "tme_abm", "A"),
    )
}


@dataclass(frozen=True)
class Settings:
    """The patch, the step and the rules of a study.

    Attributes:
        height: Rows of the patch [sites of 12 um].
        width: Columns of the patch [sites].
        step_h: Length of a step [h]; divides a day.
        without: Names of mechanisms that are switched off from the start of treatment.
        parameters: Values of this study, mechanism -> parameter -> {value, unit, source, grade}.
        catalogue: The mechanisms that there are.

    Raises:
        InputError: For a step that does not divide a day, an unknown mechanism, or a wrong parameter.
    """

    height: int = 64
    width: int = 64
    step_h: float = 6.0
    without: frozenset[str] = frozenset()
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    catalogue: Catalogue = PLAIN

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        if not 0.0 < self.step_h <= HOURS_PER_DAY or abs(HOURS_PER_DAY / self.step_h % 1.0) > 1e-9:
            raise InputError(f"a step of {self.step_h:g} h does not divide a day")
        for name in self.without:
            self.catalogue.find(name)
        self.fill()

    def fill(self) -> dict[str, Filled]:
        """The parameters that hold for all patients and drugs: mechanism -> Filled."""
        blocks = {m.name: m.Params for m in self.catalogue.mechanisms if not m.by_drug} | FLOORS
        for name in self.parameters:
            if name not in blocks:
                of_a_drug = name in self.catalogue.by_name
                hint = " (its coefficients belong to a drug)" if of_a_drug else did_you_mean(name, blocks) + FROM_OUTSIDE
                raise InputError(f"parameters.{name}: no such block of parameters{hint}")
        return {name: fill(block, self.parameters.get(name), f"parameters.{name}") for name, block in blocks.items()}

    def origins(self) -> dict[str, Origin]:
        """Every parameter that holds for all patients and drugs, by name, with its origin."""
        rows = {f"{block}.{name}": o for block, filled in self.fill().items() for name, o in filled.origins.items()}
        return rows | {f"cell_types.{name}": o for name, o in load_traits().origins.items()} | FIXED
