"""A population as weights on the patients of a bank, and how many patients they are worth.

The weight of a patient under an arm is the density of the population over that of all cohorts whose patients were run under it, each in
the share in which they were and over the share of its candidates who became eligible. Both densities leave out what the arm cannot
depend on (`IDLE`): the sensitivity for a class of drugs that it does not give. The end of treatment for adverse events, which a run holds,
is weighed by its waiting time.

Weights above the mean times the square root of the number of patients are cut off there (ionides2008): no single patient carries a
population, at the price of a bias that vanishes with the size of the bank.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp

from tme_abm.analysis.bank.draw import population_of
from tme_abm.analysis.bank.rates import IDLE, RATES
from tme_abm.analysis.bank.store import Bank, Counts
from tme_abm.analysis.numbers import BY, reference_of, tilt_of
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.patients.density import Floats, Term, rate_of, terms
from tme_abm.patients.distributions import Log10Odds, LogNormal
from tme_abm.patients.population import Population

STOPPING = "discontinuation_rate_per_month"
Numbers = Mapping[str, Mapping[str, float]]  # quantity -> number of its distribution, by_<trait>, or path of a rate -> value


class Rate(NamedTuple):
    """A rate of a drug that a trait multiplies.

    Attributes:
        trait: Which.
        value: In the trial that is asked for.
        drawn: In the runs of the bank.
    """

    trait: str
    value: float
    drawn: float


def normalised(log_weights: Floats, is_cut: bool = True) -> Floats:
    """Weights that make 1 (n,).

    Args:
        log_weights: Their logarithms, up to a constant; minus infinity for nothing.
        is_cut: Whether the largest are cut off at the mean times the root of n.
    """
    top = float(np.max(log_weights, initial=-np.inf))
    if not math.isfinite(top):
        return np.full(len(log_weights), np.nan)
    weights = np.exp(log_weights - top)
    if is_cut:
        weights = np.minimum(weights, weights.mean() * math.sqrt(len(weights)))
    found: Floats = weights / weights.sum()
    return found


def effective(weights: Floats) -> float:
    """How many patients of equal weight tell as much about a mean (Kish): 1 over the sum of the squares; 0 of none."""
    total = float((weights**2).sum())
    return 1.0 / total if total > 0.0 else 0.0


@dataclass(frozen=True)
class Target:
    """A population beside the patients who were run under one arm.

    Attributes:
        population: With the numbers that it has where none are given.
        fixed: Logarithm of the weights but for the free quantities (n,).
        free: Quantity -> its term in these patients.
        ratios: (quantity, trait) -> logarithm of the trait over its reference (n,), with the exponent that the population has.
        rates: Path -> rate of a drug of the arm.
    """

    population: Population
    fixed: Floats
    free: Mapping[str, Term]
    ratios: Mapping[tuple[str, str], tuple[Floats, float]]
    rates: Mapping[str, Rate]

    def log_weights(self, numbers: Numbers | None = None) -> Floats:
        """Logarithms of the weights, up to a constant (n,).

        Args:
            numbers: Values of free quantities that differ from those of the population.
        """
        found = self.fixed
        for name, term in self.free.items():
            given = (numbers or {}).get(name, {})
            centre, spread = _centre_and_spread(term, given)
            own = ((path, rate) for path, rate in self.rates.items() if rate.trait == name)
            tilt: Floats | float = sum(math.log(given.get(path, rate.value) / rate.drawn) for path, rate in own)
            for key, value in given.items():
                if key.startswith(BY):
                    ratio, before = self.ratios[name, key.removeprefix(BY)]
                    tilt = tilt + (value - before) * ratio
            found = found + term.log_density(centre, spread, tilt)
        return found

    def weights(self, numbers: Numbers | None = None) -> Floats:
        """Weights that make 1 (n,)."""
        return normalised(self.log_weights(numbers))


def _centre_and_spread(term: Term, given: Mapping[str, float]) -> tuple[float | None, float | None]:
    """Where a quantity's numbers put its middle and its spread, on the scale of its density."""
    match term.quantity.distribution:
        case LogNormal():
            median = given.get("median")
            return None if median is None else math.log(median), given.get("sigma")
        case Log10Odds():
            return given.get("mean"), given.get("sd")
    return given.get("mean"), given.get("sd")


class Weigher:
    """Weighs the patients of a bank."""

    def __init__(self, bank: Bank, acts: Mapping[str, Iterable[str]]) -> None:
        """Work out under which densities the patients were drawn.

        Args:
            bank: The bank.
            acts: Arm -> mechanisms that come with its drugs.
        """
        self.bank = bank
        self.acts = {key: frozenset(names) for key, names in acts.items()}
        self.parts = [
            (s.number, c) for s in bank.sittings for c in range(len(s.cohorts)) if ((bank.sitting == s.number) & (bank.cohort == c)).any()
        ]
        self._populations = {
            (s.number, c): population_of(cohort, s.widen)
            for s in bank.sittings
            for c, cohort in enumerate(s.cohorts)
            if (s.number, c) in self.parts
        }
        self._known: dict[str, dict[str, Term]] = {}
        self._rates: dict[str, Floats] = {}

    @cached_property
    def _drawn(self) -> dict[tuple[int, int], dict[str, Floats]]:
        """Part -> trait -> logarithm of the density of each candidate."""
        people = self.bank.patients
        return {
            part: {name: term.log_density() for name, term in terms(population, people).items()}
            for part, population in self._populations.items()
        }

    @cached_property
    def _stopping(self) -> dict[tuple[int, int], Floats]:
        """Part -> rate of the end of treatment in each candidate [1/month]."""
        return {part: rate_of(population, STOPPING, self.bank.patients) for part, population in self._populations.items()}

    @cached_property
    def _waiting(self) -> Floats:
        """Months until treatment would end for adverse events (n,); infinite where it never would."""
        rate = np.array([patient.discontinuation_rate_per_month for patient in self.bank.patients])
        with np.errstate(divide="ignore"):
            return np.where(rate > 0.0, -np.log1p(-self.bank.stop_draw) / rate, np.inf)

    def idle(self, arm: str, tilted: Iterable[str] = ()) -> frozenset[str]:
        """Traits on which an arm cannot depend, and with which no other trait goes.

        Args:
            arm: Its key.
            tilted: Traits with which others go, in a population that is asked for.
        """
        depended = set(tilted)
        for population in self._populations.values():
            for quantity in population.quantities:
                depended |= {e.text.split()[1] for e in quantity.effects if e.text.startswith("by ")}
        return frozenset(trait for trait, by in IDLE.items() if not by & self.acts[arm] and trait not in depended)

    def log_drawn(self, arm: str, without: Iterable[str]) -> Floats:
        """Logarithm of the density under which the patients of an arm came to it (n,), but for some traits."""
        runs, bank = self.bank[arm], self.bank
        left_out = set(without)
        logs = []
        for part in self.parts:
            there = (bank.sitting == part[0]) & (bank.cohort == part[1])
            n_runs = int(there[runs.who].sum())
            if not n_runs:
                continue
            eligible = float(bank.is_eligible[there].mean())
            log_q = sum((found for name, found in self._drawn[part].items() if name not in left_out), np.zeros(len(bank.patients)))
            log_q = log_q + self._log_stopping(self._stopping[part], arm)
            logs.append(log_q[runs.who] + math.log(n_runs / len(runs.who) / eligible))
        found: Floats = logsumexp(logs, axis=0)
        return found

    def _log_stopping(self, rate: Floats, arm: str) -> Floats:
        """Logarithm of the density of the end of treatment, or of the probability that it came after the end of watching."""
        end = self.bank.until_days[arm] / DAYS_PER_MONTH
        with np.errstate(divide="ignore", invalid="ignore"):
            stopped = np.log(rate) - rate * self._waiting
        return np.where(self._waiting < end, stopped, -rate * end)

    def against(
        self, population: Population, arm: str, free: Sequence[tuple[str, str]] = (), rates: Mapping[str, float] | None = None
    ) -> Target:
        """A population beside the patients of an arm.

        Args:
            population: Which.
            arm: Key of the arm in the bank.
            free: (quantity, number) of what may change from one call of `Target.log_weights` to the next; the number may be the path of
                a rate.
            rates: Path -> rate of a drug in the trial that is asked for; those of the bank where they are left out.
        """
        drawn = self.bank.arms[arm].get("rates", {})
        known_rates = {
            path: Rate(RATES[path.split(".")[2]][1], float((rates or {}).get(path, value)), float(value)) for path, value in drawn.items()
        }
        name = population.name if not free else population.name + "*"
        key = f"{name} {hash(tuple(row[:2] for q in population.quantities for row in q.numbers))}"
        if key not in self._known:
            self._known[key] = terms(population, self.bank.patients)
            self._rates[key] = rate_of(population, STOPPING, self.bank.patients)
        known, who = self._known[key], self.bank[arm].who
        without = self.idle(arm, [number.removeprefix(BY) for _, number in free if number.startswith(BY)])
        changing = ({quantity for quantity, _ in free} | {r.trait for r in known_rates.values() if r.value != r.drawn}) - without
        fixed = sum(
            (t.log_density() for n, t in known.items() if n not in changing and n not in without), np.zeros(len(self.bank.patients))
        )
        fixed = (fixed + self._log_stopping(self._rates[key], arm))[who] - self.log_drawn(arm, without)
        ratios: dict[tuple[str, str], tuple[Floats, float]] = {}
        for quantity, number in free:
            if number.startswith(BY) and quantity in changing:
                trait = number.removeprefix(BY)
                before = tilt_of(population, quantity, trait, f"{quantity}.{number}")
                relative = reference_of(population, trait) if before is None else before.relative_to
                values = np.array([getattr(self.bank.patients[i], trait) for i in who])
                ratios[quantity, trait] = np.log(values / relative), 0.0 if before is None else before.amount
        return Target(population, fixed, {n: known[n].take(who) for n in changing}, ratios, known_rates)


def values_of(patients: Sequence[Any], trait: str) -> Floats:
    """A trait of some patients (n,)."""
    return np.array([getattr(patient, trait) for patient in patients], np.float64)


def rows(weights: Floats, index: Counts) -> Floats:
    """Weights of rows of which patients have several, so that they make 1 again."""
    found: Floats = weights[index]
    return found / found.sum()
