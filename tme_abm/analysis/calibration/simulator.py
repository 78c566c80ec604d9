"""The trials that a set of values gives: each scenario run with it, in replicates, with the same dice for every set."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol

from tme_abm.analysis.calibration.plan import Load, Plan
from tme_abm.analysis.numbers import apply, restrict
from tme_abm.batch.desk import Desk
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import pandas as pd


class Simulate(Protocol):
    """Gives the patient table of the target arms of a scenario."""

    def __call__(self, scenario: str, values: Mapping[str, float], replicate: int) -> "pd.DataFrame":
        """A row per patient and arm."""


class Simulator:
    """Runs the target arms of a plan's scenarios with the model."""

    def __init__(self, plan: Plan, studies: Mapping[str, Study], load: Load, patients: int, desk: Desk) -> None:
        """Take what a run needs.

        Args:
            plan: Which arms, and the dice.
            studies: The scenarios as they are.
            load: `scenario.kinds.load_scenario`.
            patients: Of each scenario.
            desk: Who does the work.
        """
        self.plan, self.studies, self.load, self.patients, self.desk = plan, studies, load, patients, desk

    def study(self, scenario: str, values: Mapping[str, float], replicate: int) -> Study:
        """The study that runs."""
        table = apply(self.studies[scenario], {**self.plan.fixed, **values})
        return self.load(restrict(table, self.plan.targets[scenario], self.patients, self.plan.dice(scenario, replicate)))

    def __call__(self, scenario: str, values: Mapping[str, float], replicate: int) -> "pd.DataFrame":
        """A row per patient and arm."""
        import pandas as pd

        from tme_abm.trial.execution import given_up, run_alone

        study = self.study(scenario, values, replicate)
        run = self.desk.executor.run(partial(run_alone, study), range(study.patients), self.desk.stop, partial(given_up, study))
        return pd.DataFrame([row for _, case in sorted(run) for row in case.patients])
