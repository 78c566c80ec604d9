"""Distributions: what a uniform draw in [0, 1) becomes in a patient, and what each of them may be given."""

import math
from statistics import NormalDist
from typing import Any, NamedTuple

from tme_abm.foundation.special import special

STANDARD_NORMAL = NormalDist()
SMALLEST_TAIL = 2.0**-54  # half a step of a uniform draw: keeps quantiles finite


class Fixed(NamedTuple):
    """The same value in every patient."""

    value: Any

    def quantile(self, u: float) -> Any:
        """The value."""
        return self.value


class Normal(NamedTuple):
    """Normal distribution, cut off where `truncate` says. `p_low` and `p_high`: its probability below the cuts."""

    mean: float
    sd: float
    p_low: float = 0.0
    p_high: float = 1.0

    def quantile(self, u: float) -> float:
        """Value below which the share `u` lies."""
        return self.mean + self.sd * _normal_quantile(self.p_low + u * (self.p_high - self.p_low))


class LogNormal(NamedTuple):
    """Log-normal distribution by its median and the standard deviation of the natural logarithm."""

    median: float
    sigma: float
    p_low: float = 0.0
    p_high: float = 1.0

    def quantile(self, u: float) -> float:
        """Value below which the share `u` lies."""
        return self.median * math.exp(self.sigma * _normal_quantile(self.p_low + u * (self.p_high - self.p_low)))


class Log10Odds(NamedTuple):
    """A fraction whose odds are a power of ten with a normal exponent: from one cell in a million to nearly all."""

    mean: float
    sd: float

    def quantile(self, u: float) -> float:
        """Value below which the share `u` lies."""
        odds = 10.0 ** (self.mean + self.sd * _normal_quantile(u))
        return float(odds / (1.0 + odds))


class Beta(NamedTuple):
    """Beta distribution on 0 to 1."""

    a: float
    b: float

    def quantile(self, u: float) -> float:
        """Value below which the share `u` lies."""
        return float(special("betaincinv")(self.a, self.b, u))


class Uniform(NamedTuple):
    """Every value from `low` to below `high` alike."""

    low: float
    high: float

    def quantile(self, u: float) -> float:
        """Value below which the share `u` lies."""
        return self.low + u * (self.high - self.low)


class Bernoulli(NamedTuple):
    """True with probability `p`; effects act on `p`, before the draw."""

    p: float


class Categorical(NamedTuple):
    """One of several values; `cumulative` holds the running sums of their probabilities."""

    values: tuple[Any, ...]
    cumulative: tuple[float, ...]

    def quantile(self, u: float) -> Any:
        """The value in whose share of [0, 1) `u` lies."""
        for value, edge in zip(self.values, self.cumulative, strict=True):
            if u < edge:
                return value
        return self.values[-1]


Distribution = Fixed | Normal | LogNormal | Log10Odds | Beta | Uniform | Bernoulli | Categorical

# parameters of each distribution that are numbers, with their unit: "" stands for the unit of the quantity
PARAMETERS: dict[str, dict[str, str]] = {
    "fixed": {"value": ""},
    "normal": {"mean": "", "sd": ""},
    "lognormal": {"median": "", "sigma": "ln"},
    "log10odds": {"mean": "log10", "sd": "log10"},
    "beta": {"a": "1", "b": "1"},
    "uniform": {"low": "", "high": ""},
    "bernoulli": {"p": "1"},
}
DISTRIBUTIONS = (*PARAMETERS, "categorical")
ALLOWED: dict[type, tuple[str, ...]] = {
    float: ("fixed", "normal", "lognormal", "log10odds", "beta", "uniform"),
    int: ("fixed", "categorical"),
    bool: ("fixed", "bernoulli"),
    str: ("fixed", "categorical"),
}


def _normal_quantile(p: float) -> float:
    return STANDARD_NORMAL.inv_cdf(min(max(p, SMALLEST_TAIL), 1.0 - 2.0**-53))
