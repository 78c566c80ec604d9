"""An experiment: what all kinds of them can be asked, so that the command line, the results folder and the report need to know no kind.

A kind is a module with a pydantic model `Form` (what its scenario may say) and a function `build` (form, source -> `Experiment`); it
stands in `tme_abm.scenario.KINDS`. Such a module is imported to list and check scenarios: what compiles kernels it imports in functions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from tme_abm.batch.executors import Executor
    from tme_abm.batch.journal import Journal
    from tme_abm.batch.progress import Progress
    from tme_abm.batch.stopping import Stop
    from tme_abm.patients.population import Population
    from tme_abm.pharmacology.drug import Drug
    from tme_abm.simulation.settings import Settings


class Drawing(NamedTuple):
    """A figure with what stands below it."""

    figure: "Figure"
    caption: str


class Answer(NamedTuple):
    """What is seen of one question, as a small table.

    Attributes:
        question: In a sentence.
        columns: Heads of the columns; the first is of words.
        rows: The cells.
    """

    question: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


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

    @property
    @abstractmethod
    def pieces(self) -> tuple[str, int]:
        """Into which pieces the work falls, such as "wells", and how many there are."""

    @abstractmethod
    def carry_out(self, index: int) -> list[dict[str, Any]]:
        """Do one piece of the work, whichever pieces were done before: rows of the table."""

    def tabulate(self, rows: list[dict[str, Any]]) -> "pd.DataFrame":
        """One tidy table of the rows of all pieces; a column carries its unit in its name."""
        import pandas as pd

        return pd.DataFrame(rows)

    def measure(self, workers: int, progress: "Progress") -> "pd.DataFrame":
        """Run everything, kept nowhere.

        Returns:
            One tidy table; a column carries its unit in its name.
        """
        from tme_abm.batch.executors import Threads
        from tme_abm.batch.stopping import Stop

        found: dict[int, list[dict[str, Any]]] = {}
        self.run_pieces(Threads(workers), progress, Stop(), range(self.pieces[1]), found.__setitem__)
        return self.tabulate([row for index in sorted(found) for row in found[index]])

    def run_pieces(
        self,
        executor: "Executor",
        progress: "Progress",
        stop: "Stop",
        todo: Iterable[int],
        keep: Callable[[int, list[dict[str, Any]]], None],
        n_done: int = 0,
    ) -> None:
        """Have pieces carried out, each kept as soon as it is there; some may have been done before."""
        name, number = self.pieces
        progress.phase(name, number)
        if n_done:
            progress.advance(n_done, name)
        for index, rows in executor.run(self.carry_out, todo, stop):
            keep(index, rows)
            progress.advance(1, name)

    def run_kept(self, journal: "Journal", executor: "Executor", progress: "Progress", stop: "Stop") -> "pd.DataFrame":
        """Run what a journal does not hold yet; the table of all."""
        number = self.pieces[1]
        todo = [index for index in range(number) if str(index) not in journal]
        self.run_pieces(executor, progress, stop, todo, lambda index, rows: journal.add(str(index), {"rows": rows}), number - len(todo))
        return self.tabulate([row for record in journal.read_all(map(str, range(number))) for row in record["rows"]])

    @abstractmethod
    def summarise(self, table: "pd.DataFrame") -> dict[str, Any]:
        """The numbers that the figures show, for summary.json; no more of them than a reader would look at."""

    @abstractmethod
    def findings(self, table: "pd.DataFrame") -> list[str]:
        """What is seen, a sentence each, computed from the table."""

    def answers(self, table: "pd.DataFrame") -> list[Answer]:
        """What is seen under the questions that the scenario asks; nothing where it asks none."""
        return []

    def remarks(self, table: "pd.DataFrame") -> list[str]:
        """The findings that are in no answer."""
        return self.findings(table)

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
