"""An experiment: what all kinds of them can be asked, so that the command line, the results folder and the report need to know no kind.

A kind is a module with a pydantic model `Form` (what its scenario may say) and a function `build` (form, source -> `Experiment`); it
stands in `tme_abm.scenario.KINDS`. Such a module is imported to list and check scenarios: what compiles kernels it imports in functions.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tme_abm.trial.progress import Progress

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from tme_abm.patients.population import Population
    from tme_abm.pharmacology.drug import Drug
    from tme_abm.simulation.settings import Settings


class Drawing(NamedTuple):
    """A figure with what stands below it."""

    figure: "Figure"
    caption: str


@dataclass(frozen=True, kw_only=True)
class Experiment(ABC):
    """One experiment, resolved.

    Attributes:
        name: Name of the scenario.
        title: One line for the head of the report.
        summary: What the experiment asks, in a sentence or two.
        seed: From which all chance derives.
        population: Whose cells are studied.
        settings: The patch, the step and the rules.
        drugs: The drugs of the experiment by name.
        resolved: The scenario as resolved, for run.json.
    """

    name: str
    title: str
    summary: str
    seed: int
    population: "Population"
    settings: "Settings"
    drugs: Mapping[str, "Drug"]
    resolved: Mapping[str, Any]

    @abstractmethod
    def facts(self) -> dict[str, str]:
        """What would be run, in words: name of a fact -> the fact."""

    @abstractmethod
    def measure(self, workers: int, progress: Progress) -> "pd.DataFrame":
        """Run everything.

        Returns:
            One tidy table; a column carries its unit in its name.
        """

    @abstractmethod
    def summarise(self, table: "pd.DataFrame") -> dict[str, Any]:
        """The numbers that the figures show, for summary.json; no more of them than a reader would look at."""

    @abstractmethod
    def findings(self, table: "pd.DataFrame") -> list[str]:
        """What is seen, a sentence each, computed from the table."""

    @abstractmethod
    def draw(self, table: "pd.DataFrame") -> dict[str, Drawing]:
        """The figures, by name of their files."""

    def origins(self) -> list[dict[str, Any]]:
        """Every number that the run uses, with unit, meaning, source and grade."""
        from tme_abm.patients.population import provenance

        rows = [{"name": name, **origin._asdict()} for name, origin in self.settings.origins().items()]
        for name, drug in sorted(self.drugs.items()):
            rows += [{"name": f"drugs.{name}.{n}", **origin._asdict()} for n, origin in drug.origins().items()]
        return rows + [{**row._asdict(), "name": f"population.{row.name}"} for row in provenance(self.population)]
