"""What an experiment of the laboratory gives back."""

import html
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.laboratory.experiment import Experiment
from tme_abm.trial.result import Result

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

    import pandas as pd
    from matplotlib.figure import Figure


class ExperimentResult(Result):
    """The result of an experiment: one tidy table, the findings in words, the figures of the report."""

    def __init__(
        self, experiment: Experiment, content: Mapping[str, Any], folder: Path, keeper: "TemporaryDirectory[str] | None" = None
    ) -> None:
        """Take what `laboratory.results.run_experiment` has made of an experiment."""
        super().__init__(experiment.name, experiment.title, content, folder, keeper)
        self.experiment = experiment

    @cached_property
    def table(self) -> "pd.DataFrame":
        """What was measured."""
        return self.read("table.parquet")

    @property
    def findings(self) -> list[str]:
        """What is seen, a sentence each."""
        return list(self["findings"])

    def draw(self, name: str | None = None) -> "Figure":
        """A figure of the report; the first where no name is given.

        Raises:
            InputError: For a figure that the experiment does not have.
        """
        drawn = self.experiment.draw(self.table)
        chosen = next(iter(drawn)) if name is None else name
        if chosen not in drawn:
            raise InputError(f"'{self.name}' has no figure '{chosen}'{did_you_mean(chosen, drawn)}")
        return drawn[chosen].figure

    def __repr__(self) -> str:
        """The findings."""
        return "\n".join([f"{self.name}: {self.title}", *(f"  {sentence}" for sentence in self.findings)])

    def _repr_html_(self) -> str:
        """The findings as a list."""
        items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in self.findings)
        return f"<b>{html.escape(self.title)}</b><ul>{items}</ul>"
