"""Virtual trials from a bank: a population's patients by their weights, its ways out, its follow-up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.analysis.bank.outcomes import Outcomes, Rates, draw_exits, rates, seen
from tme_abm.analysis.bank.rates import RATES
from tme_abm.analysis.bank.run import rates_of, regimen_digest
from tme_abm.analysis.bank.store import ArmRuns, Bank, Floats
from tme_abm.analysis.bank.weights import Target, Weigher, effective
from tme_abm.analysis.numbers import home, parse
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError
from tme_abm.outcomes.imwg import NOT_EVALUABLE, RESPONSES
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.trial.study import FollowUp, Study

if TYPE_CHECKING:
    import pandas as pd

WORDS = np.array([*RESPONSES, NOT_EVALUABLE])  # by rank; -1 is the last


@dataclass(frozen=True)
class TrialArm:
    """One arm of a trial, played by patients of a bank.

    Attributes:
        key: Its key in the trial.
        label: As people write it.
        bank_arm: Its key in the bank.
        runs: What became of the patients.
        weighed: The trial's population beside them.
        rates: At which they leave the trial.
        places: (path, quantity, name of the number) of numbers that act on the population.
    """

    key: str
    label: str
    bank_arm: str
    runs: ArmRuns
    weighed: Target
    rates: Rates
    places: tuple[tuple[str, str, str], ...]

    def weights(self, values: Mapping[str, float] | None = None) -> Floats:
        """Weights of the patients (n,) at some values of numbers, by path; as the files have it where there are none."""
        numbers: dict[str, dict[str, float]] = {}
        for path, quantity, name in self.places if values else ():
            if quantity in self.weighed.free and values is not None and path in values:
                numbers.setdefault(quantity, {})[name] = values[path]
        return self.weighed.weights(numbers)

    def worth(self, values: Mapping[str, float] | None = None) -> float:
        """How many patients of equal weight that is."""
        return effective(self.weights(values))

    def draw(self, n: int, weights: Floats, follow_up: FollowUp, chance: np.random.Generator) -> Outcomes:
        """What a trial of n patients sees of the arm.

        Args:
            n: Patients, drawn with replacement.
            weights: Of the patients of the bank.
            follow_up: Until the cut-off.
            chance: Where the draws come from.
        """
        who = np.minimum(np.searchsorted(np.cumsum(weights), chance.random(n) * weights.sum(), "right"), len(weights) - 1)
        return seen(self.runs, who, draw_exits(Rates(*(rate[who] for rate in self.rates)), follow_up, chance))


@dataclass(frozen=True)
class VirtualTrial:
    """A trial whose arms are played by patients of a bank.

    Attributes:
        study: The trial.
        arms: Those of its arms that the bank has run.
        bank: The bank.
        folder: Where it stands.
        members: Subgroup -> which patients of the bank belong to it (n,), of those that were asked for.
    """

    study: Study
    arms: Mapping[str, TrialArm]
    bank: Bank
    folder: Path
    members: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def covariates(self) -> "pd.DataFrame":
        """What is known of each patient of the bank before treatment."""
        import pandas as pd

        return pd.read_parquet(self.folder.absolute() / "patients.parquet")

    def table(self, outcomes: Mapping[str, Outcomes]) -> "pd.DataFrame":
        """What was seen, as the patient table of a trial: a row for each patient and arm."""
        import pandas as pd

        pieces, first = [], 0
        for key, own in outcomes.items():
            piece = self.covariates.iloc[self.arms[key].runs.who[own.who]].reset_index(drop=True)
            piece = piece.assign(
                patient=np.arange(first, first + len(own.who)),
                arm=key,
                status="completed",
                pfs_days=own.months * DAYS_PER_MONTH,
                pfs_event=own.event,
                best_response=WORDS[own.rank],
                best_response_after_mass_spectrometry=WORDS[own.own_rank],
                responder=own.rank >= RESPONSES.index("PR"),
                mrd_negative=own.mrd_negative,
                time_to_response_days=np.where(np.isfinite(own.response_months), own.response_months * DAYS_PER_MONTH, np.nan),
            )
            pieces.append(piece)
            first += len(own.who)
        return pd.concat(pieces, ignore_index=True)


def bank_arm(study: Study, arm: str, facts: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The arm of a bank that gives what an arm of a trial gives; None where there is none."""
    regimen = next(a for a in study.arms if a.key == arm)
    own = regimen_digest(study, regimen)
    return next((key for key, entry in facts.items() if entry["regimen"] == own), None)


def refuse_unrun(study: Study, bank: Bank, arms: Iterable[str]) -> None:
    """Refuse a bank that has not run some arms of a trial.

    Raises:
        InputError: Naming the first of them, and what would run it.
    """
    for arm in arms:
        key = bank_arm(study, arm, bank.arms)
        if key is None or key not in bank.runs:
            raise InputError(f"{bank.folder}: the bank has not run the arm '{arm}' of {study.name}; {way_to_run(bank, study, arm)}")


def way_to_run(bank: Bank, study: Study, arm: str) -> str:
    """What has a bank run an arm: the plan names it, or must."""
    if bank_arm(study, arm, bank.arms) is not None:
        return f"its plan has it: `tme bank [PLAN.toml] --arms all --out {bank.folder}` runs it"
    return (
        f"its plan names no arm that is given so: write one that does ([arms.{arm}], and '{arm}' in the arms of a cohort) and run "
        "`tme bank PLAN.toml --arms all --out FOLDER`; docs/bank.md shows such a plan"
    )


def acting(paths: Iterable[str], study: Study, regimen: Regimen) -> tuple[tuple[str, str, str], ...]:
    """Which numbers act in an arm of a trial: path, quantity that they change, name of the number (a rate goes by its path)."""
    found, given, own = [], study.resolved["population"], rates_of(study, regimen)
    for path in paths:
        kind, *rest = parse(path)
        if kind == "population" and home(given, rest[1]) == rest[0]:
            found.append((path, rest[1], rest[2]))
        elif path in own:
            found.append((path, RATES[rest[1]][1], path))
    return tuple(found)


def play(study: Study, bank: Bank, weigher: Weigher, paths: Sequence[str] = (), arms: Iterable[str] | None = None) -> VirtualTrial:
    """A trial played by patients of a bank.

    Args:
        study: The trial.
        bank: The bank, with the runs of its arms.
        weigher: Weighs them.
        paths: Numbers that may change from one call to the next.
        arms: Only these of its arms.

    Raises:
        InputError: Where the bank has run none of its arms.
    """
    found = {}
    for regimen in study.arms:
        key = bank_arm(study, regimen.key, bank.arms)
        if key is None or key not in bank.runs or (arms is not None and regimen.key not in set(arms)):
            continue
        runs, places = bank[key], acting(paths, study, regimen)
        weighed = weigher.against(study.population, key, [(q, name) for _, q, name in places], rates_of(study, regimen))
        people = [bank.patients[i] for i in runs.who]
        found[regimen.key] = TrialArm(regimen.key, regimen.label, key, runs, weighed, rates(study.population, people), places)
    if not found:
        raise InputError(f"{bank.folder}: the bank has run none of the arms of {study.name}; {way_to_run(bank, study, study.arms[0].key)}")
    return VirtualTrial(study, found, bank, bank.folder)
