"""A study run over sets of a posterior: its patients, dealt out to the sets, tell of every set by their weights.

Each set has a run of its own, with its share of the patients, in a folder of its own, as any run. A patient of one set is one of another
with the weight that its population gives her over the mixture of all, as in a bank; so the intervals hold the chance of the patients and
that of the parameters, at the price of one run of the study.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp

from tme_abm.analysis import bank_prediction
from tme_abm.analysis.bank.outcomes import Outcomes
from tme_abm.analysis.bank.rates import RATES
from tme_abm.analysis.bank.record import AFTER
from tme_abm.analysis.bank.run import rates_of
from tme_abm.analysis.bank.store import RANKS, Floats, people_of
from tme_abm.analysis.bank.weights import effective, normalised
from tme_abm.analysis.calibration.plan import Load
from tme_abm.analysis.calibration.posterior import Posterior
from tme_abm.analysis.numbers import apply
from tme_abm.batch.files import write_json
from tme_abm.export.crate import Subject
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError
from tme_abm.patients.density import Term, terms
from tme_abm.trial.provenance import describe_machine, model_digest
from tme_abm.trial.study import FollowUp, Study

if TYPE_CHECKING:
    import pandas as pd

TABLE, REPORT = "draws.csv", "draws.md"
SUBJECT = Subject(
    "draws", "A study over sets of the posterior", "The same study at several sets of numbers, so that intervals hold their doubt too."
)
IDENTITY = {"command": "tme run --draws"}  # of the folder in which the sets have folders of their own
FEWEST = 2  # patients of a set
SEED_STEP = 1_000_003  # between the seeds of two sets, so that no patient comes twice
Run = Callable[[Study, Path], Any]  # `scenario.running.run`, which stands a floor higher


@dataclass(frozen=True)
class RunArm:
    """One arm of a study that has run over several sets.

    Attributes:
        key: Its key.
        label: As people write it.
        runs: `who`: rows of its patients in the table of all.
        seen: What was seen of them.
        of_sets: Logarithm of their weights at each set (s, n).
        number: Set -> its place, by its values.
    """

    key: str
    label: str
    runs: Any
    seen: Outcomes
    of_sets: Floats
    number: Mapping[tuple[float, ...], int]

    def weights(self, values: Mapping[str, float]) -> Floats:
        """Weights of the patients at a set (n,)."""
        return normalised(self.of_sets[self.number[tuple(values.values())]])

    def worth(self, values: Mapping[str, float]) -> float:
        """How many patients of equal weight that is."""
        return effective(self.weights(values))

    def draw(self, n: int, weights: Floats, follow_up: FollowUp, chance: np.random.Generator) -> Outcomes:
        """N of the patients, drawn with replacement; what was seen of each stays as it was."""
        who = np.minimum(np.searchsorted(np.cumsum(weights), chance.random(n) * weights.sum(), "right"), len(weights) - 1)
        return self.seen.take(who, who)


@dataclass(frozen=True)
class RunTrial:
    """A study that has run over several sets, as `bank_prediction` asks a trial.

    Attributes:
        study: The study.
        arms: By key.
        covariates: A row for each patient and arm.
        members: Subgroup -> who belongs to it, of those that were asked for.
    """

    study: Study
    arms: Mapping[str, RunArm]
    covariates: "pd.DataFrame"
    members: dict[str, Any]

    def table(self, outcomes: Mapping[str, Outcomes]) -> "pd.DataFrame":
        """What was drawn, as the patient table of a trial."""
        import pandas as pd

        pieces = [self.covariates.iloc[self.arms[key].runs.who[own.who]] for key, own in outcomes.items()]
        table = pd.concat(pieces, ignore_index=True)
        return table.assign(patient=np.arange(len(table)))


def studies(study: Study, posterior: Posterior, load: Load) -> list[Study]:
    """The study at each set, with its share of the patients.

    Raises:
        InputError: Where a set would have too few of them.
    """
    n = len(posterior.sets)
    if study.patients < FEWEST * n:
        raise InputError(f"--draws {n}: {study.patients} patients are too few; give {FEWEST * n} at least, or fewer draws")
    found = []
    for s in range(n):
        share = study.patients // n + (s < study.patients % n)
        table = {**apply(study, posterior.values(s)), "patients": share, "seed": (study.seed + SEED_STEP * s) % 2**62}
        found.append(load(table))
    return found


def run(study: Study, posterior: Posterior, load: Load, run_one: Run, folder: Path, n_trials: int) -> tuple["pd.DataFrame", str]:
    """Run a study over sets, or take up the runs that stand in the folder.

    Args:
        study: The study.
        posterior: The sets.
        load: `scenario.kinds.load_trial`.
        run_one: Runs a study into a folder, or leaves the finished run that stands there.
        folder: Where the sets have folders of their own.
        n_trials: Virtual trials, for the intervals.

    Returns:
        The study's published rows beside what was found (`bank_prediction.COLUMNS`), and the facts in a sentence.
    """
    own = studies(study, posterior, load)
    tables = []
    for s, one in enumerate(own):
        place = folder / f"set-{s + 1:03d}"
        run_one(one, place)
        import pandas as pd

        tables.append(pd.read_parquet(place / "patients.parquet").assign(set=s))
    trial = _trial(study, posterior, own, tables)
    worth = min(arm.worth(posterior.values(s)) for arm in trial.arms.values() for s in range(len(own)))
    facts = f"{study.patients} patients over {len(own)} sets of the posterior, {n_trials} virtual trials, model {model_digest()}. "
    facts += f"A set is told of by {worth:.0f} effective patients at least."
    table = bank_prediction.beside(trial, posterior, n_trials)  # type: ignore[arg-type]
    return table, facts


def _trial(study: Study, posterior: Posterior, own: Sequence[Study], tables: Sequence[Any]) -> RunTrial:
    """The patients of all sets together, with their weights at each."""
    import pandas as pd

    whole = pd.concat(tables, ignore_index=True)
    whole = whole[whole["status"] == "completed"].reset_index(drop=True)
    people = people_of(whole)
    known = [terms(one.population, people) for one in own]
    shares = np.array([one.patients for one in own], np.float64) / sum(one.patients for one in own)
    of_set = whole["set"].to_numpy(np.int64)
    number = {tuple(posterior.values(s).values()): s for s in range(len(own))}
    arms = {}
    for regimen in study.arms:
        rows = np.flatnonzero((whole["arm"] == regimen.key).to_numpy())
        if not len(rows):
            continue
        part = whole.iloc[rows]
        logs = np.array([_log_density(known[s], own, s, regimen.key, of_set)[rows] for s in range(len(own))])
        relative = logs - logsumexp(logs + np.log(shares)[:, None], axis=0)
        response = part["time_to_response_days"].to_numpy(np.float64) / DAYS_PER_MONTH
        seen = Outcomes(
            np.arange(len(rows)),
            part["pfs_days"].to_numpy(np.float64) / DAYS_PER_MONTH,
            part["pfs_event"].to_numpy(bool),
            part["best_response"].map(RANKS).to_numpy(np.int64),
            part[AFTER].map(RANKS).to_numpy(np.int64),
            part["mrd_negative"].eq(True).to_numpy(bool),
            np.where(np.isnan(response), math.inf, response),
        )
        arms[regimen.key] = RunArm(regimen.key, regimen.label, SimpleNamespace(who=rows), seen, relative, number)
    return RunTrial(study, arms, whole, {})


def _log_density(known: Mapping[str, Term], own: Sequence[Study], at: int, arm: str, of_set: Any) -> Floats:
    """Logarithm of the density of all patients at a set (n,); a rate of a drug that differs between sets is a shift of sensitivity."""
    each = [rates_of(one, next(a for a in one.arms if a.key == arm)) for one in own]
    shifts: dict[str, Floats] = {}
    for path, value in each[at].items():
        trait = RATES[path.split(".")[2]][1]
        shift = np.array([math.log(value / other[path]) for other in each])[of_set]
        shifts[trait] = shifts.get(trait, np.zeros(len(of_set))) + shift
    return sum((term.log_density(tilt=shifts.get(name, 0.0)) for name, term in known.items()), np.zeros(len(of_set)))


def write(table: "pd.DataFrame", folder: Path, facts: str) -> list[Path]:
    """Write draws.csv, draws.md and run.json."""
    table.to_csv(folder / TABLE, index=False)
    (folder / REPORT).write_text(report(table, facts), encoding="utf-8")
    write_json(folder / "run.json", {"draws": facts, **describe_machine()})
    return [folder / TABLE, folder / REPORT, folder / "run.json"]


def report(table: "pd.DataFrame", facts: str) -> str:
    """What was found, in Markdown."""
    lines = [
        facts,
        "",
        "Intervals: of virtual trials of the published size, parameters included (95 %); of the parameters alone (90 %).",
        "",
    ]
    return "\n".join([*lines, *bank_prediction.rows_in_words(table)]) + "\n"
