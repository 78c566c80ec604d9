"""The patch, the step and the rules of a study, with the origin of every number that holds for all patients and drugs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.declare import Filled, Origin, Param, constants, fill, notes
from tme_abm.foundation.errors import InputError
from tme_abm.marrow import burden, clones, fate
from tme_abm.marrow.traits import load_traits
from tme_abm.mechanisms.outside.catalogue import PLAIN, Catalogue, or_from_outside

__all__ = ["PLAIN", "Catalogue", "Settings"]

START: Annotated[float, Param("1", "burden at eligibility over that at which disease is made", "tme_abm", "A")] = 1.4
RISE: Annotated[float, Param("1", "M-protein at eligibility over that at the start: measurable and progressing", "kumar2016", "M")] = 1.25
FLOORS = {"inheritance": fate.Params, "burden": burden.Params, "clones": clones.Params}  # parameters that no mechanism owns
ROOMS = tuple(
    f"tme_abm.{room}" for room in ("marrow", "mechanisms", "patients", "pharmacology", "simulation")
)  # whose constants shape a marrow


@dataclass(frozen=True)
class Settings:
    """The patch, the step and the rules of a study.

    Attributes:
        height: Rows of the patch [sites].
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
            fixed = next((n for n in self.parameters[name] if f"{name}.{n}" in constants(*ROOMS)), None)
            if fixed is not None and (name not in blocks or fixed not in notes(blocks[name])):
                raise InputError(f"parameters.{name}.{fixed}: a constant, which no study changes")
            if name not in blocks:
                of_a_drug = name in self.catalogue.by_name
                hint = " (its coefficients belong to a drug)" if of_a_drug else or_from_outside(name, blocks)
                raise InputError(f"parameters.{name}: no such block of parameters{hint}")
        return {name: fill(block, self.parameters.get(name), f"parameters.{name}") for name, block in blocks.items()}

    def origins(self) -> dict[str, Origin]:
        """Every parameter and constant that holds for all patients and drugs, by name, with its origin."""
        rows = {f"{block}.{name}": o for block, filled in self.fill().items() for name, o in filled.origins.items()}
        return rows | {f"cell_types.{name}": o for name, o in load_traits().origins.items()} | constants(*ROOMS)
