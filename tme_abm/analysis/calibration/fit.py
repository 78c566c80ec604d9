"""How well a set of numbers fits: each arm's endpoints of the weighted patients beside the published ones."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tme_abm.analysis.bank.outcomes import rates as rates_of
from tme_abm.analysis.bank.outcomes import repeated
from tme_abm.analysis.bank.run import rates_of as rates_in
from tme_abm.analysis.bank.store import Bank, Counts, read_bank, read_facts
from tme_abm.analysis.bank.trials import acting, bank_arm
from tme_abm.analysis.bank.weighted import Sample, covariance, kind_of
from tme_abm.analysis.bank.weights import Target as Weighed
from tme_abm.analysis.bank.weights import Weigher, effective, normalised, rows
from tme_abm.analysis.calibration.plan import FARTHEST, Floats, Load, Plan
from tme_abm.analysis.calibration.targets import Target, targets
from tme_abm.foundation.errors import InputError
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.trial.study import Study

ROWS, MOST_TIMES = 4000, 6  # of an arm, for which the ways out of its patients are drawn so many times; and how often at most
LEAST_EFFECTIVE = 300.0  # patients that the weights of an arm must be worth; below it the bank is drawn anew there
FEWEST = 5.0  # effective patients below which a set of numbers is not judged at all


@dataclass(frozen=True)
class Group:
    """The published figures of one arm beside the patients who stand for it.

    Attributes:
        scenario: Its scenario.
        arm: Its key there.
        bank_arm: Its key in the bank.
        targets: The figures (k,).
        weighed: Its population beside the patients of the bank.
        sample: What a trial sees of them, each patient several times with other ways out.
        index: Place of each row of the sample among the patients (m,).
        places: (place of a free number, quantity, its name there) of the numbers that act on the population.
        one: Covariance of the endpoints of one patient (k, k), where the fit sets out.
        published: Covariance of the published figures (k, k).
        tolerance: Error of the model that is allowed for (k,).
    """

    scenario: str
    arm: str
    bank_arm: str
    targets: tuple[Target, ...]
    weighed: Weighed
    sample: Sample
    index: Counts
    places: tuple[tuple[int, str, str], ...]
    one: Floats
    published: Floats
    tolerance: Floats

    def numbers(self, values: Sequence[float]) -> dict[str, dict[str, float]]:
        """What the free numbers' values change: quantity -> name -> value."""
        found: dict[str, dict[str, float]] = {}
        for place, quantity, name in self.places:
            if quantity in self.weighed.free:
                found.setdefault(quantity, {})[name] = values[place]
        return found

    def weights(self, values: Sequence[float]) -> Floats:
        """Weights of the patients (n,)."""
        return self.weighed.weights(self.numbers(values))

    def simulated(self, weights: Floats) -> Floats:
        """The endpoints of weighed patients on their scales (k,)."""
        own = rows(weights, self.index)
        return np.array([self.sample.scaled(target.endpoint, own) for target in self.targets])

    def total(self, n_effective: float) -> Floats:
        """Covariance of published less simulated (k, k)."""
        found: Floats = self.published + self.one / n_effective + np.diag(self.tolerance**2)
        return found


class Beside(NamedTuple):
    """One arm at a set of numbers."""

    group: Group
    simulated: Floats
    effective: float

    @property
    def z(self) -> Floats:
        """Published less simulated over its standard error, each by itself (k,)."""
        found: Floats = (self.simulated - np.array([t.at for t in self.group.targets])) / np.sqrt(np.diag(self.group.total(self.effective)))
        return found


@dataclass(frozen=True)
class Fit:
    """What is fitted, and with whom.

    Attributes:
        plan: The numbers and the figures.
        bank: The patients.
        groups: One for each arm.
    """

    plan: Plan
    bank: Bank
    groups: tuple[Group, ...]

    def values(self, places: Floats) -> list[float]:
        """The values of the free numbers (p,)."""
        return [free.value(float(at)) for free, at in zip(self.plan.free, places, strict=True)]

    def beside(self, places: Floats) -> list[Beside]:
        """All arms at a set of numbers, given as places in the priors (p,)."""
        values, found = self.values(places), []
        for group in self.groups:
            weights = group.weights(values)
            found.append(Beside(group, group.simulated(weights), effective(weights)))
        return found

    def log_prior(self, places: Floats) -> float:
        """Logarithm of the prior, up to a constant: normal, and nothing beyond three standard deviations."""
        return -math.inf if np.any(np.abs(places) > FARTHEST) else -float(places @ places) / 2.0

    def log_likelihood(self, places: Floats) -> float:
        """Logarithm of the likelihood of the published figures."""
        total, values = 0.0, self.values(places)
        for group in self.groups:
            weights = group.weights(values)
            worth = effective(weights)
            if not worth >= FEWEST:
                return -math.inf
            difference = group.simulated(weights) - np.array([target.at for target in group.targets])
            if not np.all(np.isfinite(difference)):
                return -math.inf
            found = group.total(worth)
            _, size = np.linalg.slogdet(found)
            total -= (float(difference @ np.linalg.solve(found, difference)) + float(size)) / 2.0
        return total

    def log_posterior(self, places: Floats) -> float:
        """Sum of the two, up to a constant."""
        prior = self.log_prior(places)
        return prior if prior == -math.inf else prior + self.log_likelihood(places)

    def with_figures(self, figures: Sequence[Floats]) -> "Fit":
        """The same fit to other figures, of the same endpoints and trials.

        Args:
            figures: Of each group (k,), on the scales of the endpoints.
        """
        from tme_abm.analysis.bank.weighted import unscaled

        groups = []
        for group, at in zip(self.groups, figures, strict=True):
            own = tuple(t._replace(value=unscaled(t.endpoint, float(x))) for t, x in zip(group.targets, at, strict=True))
            groups.append(replace(group, targets=own))
        return replace(self, groups=tuple(groups))


def prepare(plan: Plan, folder: Path, load: Load) -> Fit:
    """A fit to the published figures with the patients of a bank.

    Args:
        plan: What is fitted to what.
        folder: Of the bank; only the runs of the arms that are fitted are read.
        load: `scenario.kinds.load_trial`.

    Raises:
        InputError: For a target that is none, an arm that the bank has not run, or a number that acts nowhere.
    """
    facts = read_facts(folder)["arms"]
    wanted: list[tuple[str, Study, str, str, list[Target]]] = []
    for name, arms in plan.targets.items():
        with plan.naming("targets", name):
            study = load(name)
        for i, arm in enumerate(arms):
            with plan.naming("targets", name, i):
                found = targets(study, name, [arm])
                wanted.append((name, study, arm, _bank_arm(study, arm, facts, folder), found))
    if plan.is_part:
        acts = {place for _, study, arm, _, _ in wanted for place, _, _ in places_of(plan, study, _regimen(study, arm))}
        plan = replace(plan, free=tuple(free for i, free in enumerate(plan.free) if i in acts))
    bank = read_bank(folder, {key for _, _, _, key, _ in wanted})
    weigher = Weigher(bank, {key: entry["acts"] for key, entry in bank.arms.items()})
    groups = []
    for i, (name, study, arm, key, goals) in enumerate(wanted):
        with plan.naming("targets", name):
            if bank.arms[key]["is_combination"]:
                raise InputError(f"{name}: the arm '{arm}' is a combination, and nothing is fitted to those")
        groups.append(_group(plan, weigher, (name, study, arm, key), goals, i))
    for i, free in enumerate(plan.free):
        if not any(place == i for group in groups for place, _, _ in group.places):
            with plan.naming("free", i, "path"):
                raise InputError(f"{free.name} acts on none of the populations of {', '.join(plan.targets)}")
    return Fit(plan, bank, tuple(groups))


def _bank_arm(study: Study, arm: str, facts: Mapping[str, Mapping[str, Any]], folder: Path) -> str:
    """The arm of a bank that gives what an arm of a trial gives.

    Raises:
        InputError: Where there is none.
    """
    key = bank_arm(study, arm, facts)
    if key is None:
        raise InputError(f"{folder}: the bank has no arm that gives what '{arm}' of {study.name} gives; its arms are {', '.join(facts)}")
    return key


def _regimen(study: Study, arm: str) -> Regimen:
    return next(one for one in study.arms if one.key == arm)


def places_of(plan: Plan, study: Study, regimen: Regimen) -> list[tuple[int, str, str]]:
    """Which free numbers act in an arm of a trial: place, quantity, name of the number."""
    return [(i, quantity, name) for i, free in enumerate(plan.free) for _, quantity, name in acting(free.paths, study, regimen)]


def _group(plan: Plan, weigher: Weigher, who: tuple[str, Study, str, str], goals: Iterable[Target], number: int) -> Group:
    name, study, arm, key = who
    regimen = _regimen(study, arm)
    places = places_of(plan, study, regimen)
    weighed = weigher.against(study.population, key, [(q, named) for _, q, named in places], rates_in(study, regimen))
    runs = weigher.bank[key]
    people = [weigher.bank.patients[i] for i in runs.who]
    chance = np.random.default_rng([plan.seed, number])
    times = min(max(ROWS // len(people), 1), MOST_TIMES)
    seen = repeated(runs, rates_of(study.population, people), study.follow_up, times, chance)
    sample, found = Sample(seen), tuple(goals)
    start = rows(normalised(weighed.log_weights()), seen.who)
    one = covariance(sample, tuple(target.endpoint for target in found), start)
    one = (one + one.T) / 2.0
    deviations = np.sqrt(np.maximum(np.diag(one), 1e-12))
    own = np.array([d / math.sqrt(t.n) if t.error is None else t.error for t, d in zip(found, deviations, strict=True)])
    published = one / np.outer(deviations, deviations) * np.outer(own, own)
    tolerance = np.array([plan.time if kind_of(target.endpoint) == "time" else plan.share for target in found])
    return Group(name, arm, key, found, weighed, sample, seen.who, tuple(places), one, published, tolerance)
