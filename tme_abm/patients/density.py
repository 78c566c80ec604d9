"""How probable patients are under a population, quantity by quantity: what makes one population's patients those of another, by weights.

A quantity is drawn from its distribution, effects of what was drawn before shift it, and a clip bounds it. On the scale on which the
effects only shift - the logarithm of a log-normal quantity, the odds of a fraction, the quantity itself where it is normal - the density
is that of the distribution at the value less the shifts. Values at the ends of the clip have a probability instead of a density; so
have words, truths and whole numbers. Two populations are compared value by value on the same scale, so that each ratio is right.

The ways out (`EXITS`) are left out: they end the watching, not the disease, and are drawn when a trial is put together.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.special import special
from tme_abm.patients.distributions import Bernoulli, Beta, Categorical, Fixed, Log10Odds, LogNormal, Normal, Uniform
from tme_abm.patients.population import Population, Quantity

Floats = np.ndarray[Any, np.dtype[np.float64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]

EXITS = ("death_rate_per_month", "discontinuation_rate_per_month", "dropout_rate_per_month", "entry_fraction")
LN_10 = math.log(10.0)
LOG_ROOT_2_PI = math.log(2.0 * math.pi) / 2.0
SLACK = 1e-9  # of a value at the end of its range, where effects were taken back from it


def normal_log_density(z: Floats, sd: float) -> Floats:
    """Of a normal value `z` standard deviations `sd` from its mean."""
    return -(z**2) / 2.0 - LOG_ROOT_2_PI - math.log(sd)


def log_mass(low: Floats | float, high: Floats | float) -> Floats:
    """Logarithm of the probability of a standard normal value from `low` to `high`, exact in both tails."""
    a, b = np.asarray(low, np.float64), np.asarray(high, np.float64)
    is_upper = a > 0.0
    a, b = np.where(is_upper, -b, a), np.where(is_upper, -a, b)
    log_ndtr = special("log_ndtr")
    with np.errstate(divide="ignore", invalid="ignore"):
        mass = log_ndtr(b) + np.log1p(-np.exp(log_ndtr(a) - log_ndtr(b)))
    found: Floats = np.where(b > a, mass, -np.inf)
    return found


@dataclass(frozen=True)
class Term:
    """One quantity of n patients under a population.

    Attributes:
        quantity: How it varies.
        at: The values on the scale on which effects shift, less these shifts (n,); of words, truths and fixed values unused.
        low: Likewise the lower end of the clip (n,).
        high: Likewise the upper end (n,).
        is_low: Whether a value lies at the lower end (n,).
        is_high: Whether at the upper end (n,).
        stretch: Logarithm of the change of the scale with the value (n,).
        plain: Logarithm of the probability of words, truths and fixed values (n,); None for numbers that vary.
        bounds: Truncation on the scale.
    """

    quantity: Quantity
    at: Floats
    low: Floats
    high: Floats
    is_low: Truths
    is_high: Truths
    stretch: Floats
    plain: Floats | None
    bounds: tuple[float, float]

    def log_density(self, centre: float | None = None, spread: float | None = None, tilt: Floats | float = 0.0) -> Floats:
        """Logarithm of the density of each value, at the ends of the clip of its probability (n,).

        Args:
            centre: Another logarithm of the median of a log-normal quantity, or mean exponent of odds; the population's where left out.
            spread: Another standard deviation on that scale.
            tilt: A further shift of each patient on the scale, natural logarithm (n,): what another trait adds.

        Raises:
            InputError: Where centre or spread are given for a quantity of another distribution.
        """
        if self.plain is not None:
            return self.plain
        match self.quantity.distribution:
            case LogNormal(median, sigma):
                own, unit = (math.log(median), sigma), 1.0
            case Log10Odds(mean, sd):
                own, unit = (mean, sd), LN_10
            case Normal(mean, sd):
                own, unit = (mean, sd), 1.0
            case Beta(a, b):
                return self._of_beta(a, b)
            case Uniform(low, high):
                inside = (self.at >= low - SLACK) & (self.at <= high + SLACK)
                return np.where(inside, -math.log(high - low), -np.inf)
            case other:
                raise InputError(f"{self.quantity.name}: nothing is known of the density of {type(other).__name__}")
        middle, sd = own[0] if centre is None else centre, own[1] if spread is None else spread
        shift = np.asarray(tilt) / unit
        z = (self.at - shift - middle) / sd
        ends = [(np.asarray(end) - middle) / sd for end in self.bounds]
        whole = 0.0 if not any(np.isfinite(end) for end in self.bounds) else log_mass(ends[0], ends[1])
        found = normal_log_density(z, sd) - whole + self.stretch
        inside = (self.at - shift >= self.bounds[0] - SLACK) & (self.at - shift <= self.bounds[1] + SLACK)
        found = np.where(inside, found, -np.inf)
        for is_there, edge, is_upper in ((self.is_low, self.low, False), (self.is_high, self.high, True)):
            if is_there.any():  # of these alone: the mass of a tail costs more than all the rest
                further = shift[is_there] if shift.ndim else shift
                at = np.clip((edge[is_there] - further - middle) / sd, *ends)
                found[is_there] = (log_mass(at, ends[1]) if is_upper else log_mass(ends[0], at)) - whole
        return np.asarray(found, np.float64)

    def take(self, who: Any) -> "Term":
        """The same of some of the patients."""
        plain = None if self.plain is None else self.plain[who]
        arrays = (self.at[who], self.low[who], self.high[who], self.is_low[who], self.is_high[who], self.stretch[who])
        return Term(self.quantity, *arrays, plain, self.bounds)

    def _of_beta(self, a: float, b: float) -> Floats:
        """Of a fraction whose odds the effects multiply: `at` is the logarithm of the odds before them."""
        base = 1.0 / (1.0 + np.exp(-self.at))
        found: Floats = a * np.log(base) + b * np.log1p(-base) - special("betaln")(a, b) + self.stretch
        return found


def terms(population: Population, patients: Sequence[Any], names: Iterable[str] | None = None) -> dict[str, Term]:
    """The quantities of some patients under a population: name -> term, without the ways out.

    Args:
        population: Under which.
        patients: Whose attributes are read.
        names: Only these quantities; all where it is left out.

    Raises:
        InputError: For an effect that is no shift on the scale of its quantity.
    """
    chosen = None if names is None else set(names)
    return {
        quantity.name: _term(quantity, patients)
        for quantity in population.quantities
        if quantity.name not in EXITS and (chosen is None or quantity.name in chosen)
    }


def rate_of(population: Population, name: str, patients: Sequence[Any]) -> Floats:
    """A rate of one of the ways out in each patient (n,), which follows from what else is known of her.

    Raises:
        InputError: Where the population draws it instead.
    """
    quantity = population[name]
    if not isinstance(quantity.distribution, Fixed):
        raise InputError(f"population {population.name}: {name} is drawn; a bank needs it fixed, with effects of covariates")
    return np.array([quantity.draw(0.0, patient) for patient in patients], np.float64)


def _term(quantity: Quantity, patients: Sequence[Any]) -> Term:
    values = [getattr(patient, quantity.name) for patient in patients]
    n = len(values)
    nothing, nowhere = np.zeros(n), np.zeros(n, bool)
    distribution = quantity.distribution
    if isinstance(distribution, Bernoulli | Categorical | Fixed):
        with np.errstate(divide="ignore"):
            plain = np.log(np.array([_probability(quantity, value, p) for value, p in zip(values, patients, strict=True)], np.float64))
        return Term(quantity, nothing, nothing, nothing, nowhere, nowhere, nothing, plain, (-math.inf, math.inf))
    value = np.array(values, np.float64)
    shift = np.zeros(n)
    for effect in quantity.effects:
        known = np.array([effect.covariate(p) for p in patients], np.float64)
        shift += _shift(quantity, effect, known)
    low, high = quantity.clip
    is_low, is_high = value <= low, value >= high
    with np.errstate(divide="ignore", invalid="ignore"):
        scale, stretch = _scale(distribution)
        at, bottom, top = (scale(np.asarray(x, np.float64)) - shift for x in (value, low, high))
        slope = stretch(value)
    if isinstance(distribution, Beta | Uniform):
        is_low, is_high = nowhere, nowhere
    cut = next((row.value for row in quantity.numbers if row.name == f"{quantity.name}.truncate"), None)
    bounds = (-math.inf, math.inf) if cut is None else tuple(float(scale(np.asarray(end, np.float64))) for end in cut)
    return Term(quantity, at, bottom + nothing, top + nothing, is_low, is_high, slope, None, (bounds[0], bounds[1]))


def _probability(quantity: Quantity, value: Any, patient: Any) -> float:
    """Of a word, a truth, a whole number or a fixed value."""
    distribution = quantity.distribution
    if isinstance(distribution, Bernoulli):
        p = distribution.p
        for effect in quantity.effects:
            p = effect.on(p, patient)
        return p if value else 1.0 - p
    if isinstance(distribution, Categorical):
        edges = (0.0, *distribution.cumulative)
        return next((b - a for word, a, b in zip(distribution.values, edges, edges[1:], strict=False) if word == value), 0.0)
    wanted = quantity.draw(0.0, patient)
    return float(math.isclose(wanted, value, rel_tol=SLACK) if isinstance(wanted, float) else wanted == value)


def _scale(distribution: Any) -> tuple[Any, Any]:
    """The scale on which effects shift a value, and the logarithm of its slope."""
    if isinstance(distribution, LogNormal):
        return np.log, lambda x: -np.log(x)
    if isinstance(distribution, Log10Odds):
        return lambda x: np.log10(x / (1.0 - x)), lambda x: -np.log(LN_10 * x * (1.0 - x))
    if isinstance(distribution, Beta):
        return lambda x: np.log(x / (1.0 - x)), lambda x: -np.log(x * (1.0 - x))
    return lambda x: x, lambda x: np.zeros_like(x)


def _shift(quantity: Quantity, effect: Any, known: Floats) -> Floats:
    """What an effect adds on the scale of its quantity (n,)."""
    distribution, action = quantity.distribution, effect.action
    ratio = effect.amount * np.log(known / effect.relative_to) if action in ("exponent", "odds_exponent") else known
    if isinstance(distribution, LogNormal) and action in ("times", "exponent"):
        return ratio if action == "exponent" else math.log(effect.amount) * known
    if isinstance(distribution, Log10Odds) and action in ("plus_log10_odds", "odds_exponent"):
        return ratio / LN_10 if action == "odds_exponent" else effect.amount * known
    if isinstance(distribution, Beta) and action in ("plus_log10_odds", "odds_exponent"):
        return ratio if action == "odds_exponent" else LN_10 * effect.amount * known
    if isinstance(distribution, Normal) and action in ("plus", "slope"):
        return effect.amount * (known - effect.relative_to) if action == "slope" else effect.amount * known
    raise InputError(f"{quantity.name}: an effect by {action} is no shift on the scale of its distribution, so patients cannot be weighed")
