"""Means with their intervals, where a curve has half of its effect, and numbers in words: what figures and sentences need.

Scenarios are listed and checked with this module in memory, so what takes time to import is imported by the functions that need it.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tme_abm.foundation.special import special

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95


class Estimate(NamedTuple):
    """A mean and its interval; the ends are NaN where there is but one value."""

    value: float
    low: float
    high: float


def student(n: int, level: float = LEVEL) -> float:
    """Quantile of Student's distribution for a two-sided interval of a mean of `n` values."""
    return float(special("stdtrit")(n - 1, 0.5 + level / 2.0))


def mean(values: "ArrayLike", level: float = LEVEL) -> Estimate:
    """Mean of independent values with its interval (Student)."""
    import numpy as np

    given = np.asarray(values, np.float64)
    n = given.size
    centre = float(given.mean()) if n else math.nan
    if n < 2:
        return Estimate(centre, math.nan, math.nan)
    half = student(n, level) * float(given.std(ddof=1)) / math.sqrt(n)
    return Estimate(centre, centre - half, centre + half)


def ratio(values: "ArrayLike", bases: "ArrayLike", level: float = LEVEL) -> Estimate:
    """Ratio of the means of paired values, with its interval (linearised; Cochran, Sampling Techniques, 1977, chapter 6).

    Patients with few cells of a kind at the start weigh little, where a mean of ratios would let them rule.
    """
    import numpy as np

    y, x = np.asarray(values, np.float64), np.asarray(bases, np.float64)
    if x.size == 0 or x.sum() == 0.0:
        return Estimate(math.nan, math.nan, math.nan)
    r = float(y.sum() / x.sum())
    n = x.size
    if n < 2:
        return Estimate(r, math.nan, math.nan)
    error = float((y - r * x).std(ddof=1)) / math.sqrt(n) / float(x.mean())
    half = student(n, level) * error
    return Estimate(r, r - half, r + half)


def half_effect(x: "ArrayLike", y: "ArrayLike") -> float:
    """Where a curve first has half of its greatest change from its first point; log-linear in `x` between the points.

    NaN where the curve is flat, or the half lies between a first point at zero and the next.
    """
    import numpy as np

    at, value = np.asarray(x, np.float64), np.asarray(y, np.float64)
    change = value - value[0]
    far = int(np.argmax(np.abs(change)))
    if change[far] == 0.0:
        return math.nan
    share = change / change[far]
    for i in range(1, far + 1):
        if share[i] >= 0.5:
            if at[i - 1] <= 0.0:
                return math.nan
            part = (0.5 - share[i - 1]) / (share[i] - share[i - 1])
            return float(math.exp(math.log(at[i - 1]) + part * (math.log(at[i]) - math.log(at[i - 1]))))
    return math.nan


def rank_correlation(x: "ArrayLike", y: "ArrayLike") -> float:
    """Spearman's rank correlation; NaN where one of them does not vary."""
    import numpy as np

    a, b = _ranks(np.asarray(x, np.float64)), _ranks(np.asarray(y, np.float64))
    if a.std() == 0.0 or b.std() == 0.0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Ranks from 0, equal values sharing the mean of theirs."""
    import numpy as np

    ordered = np.sort(values)
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (low + high - 1) / 2.0


def words(value: float, unit: str = "") -> str:
    """A number to three digits, thousands apart, with its unit."""
    if not math.isfinite(value):
        return "none"
    text = f"{value:,.0f}" if abs(value) >= 1000.0 else f"{value:.3g}" if abs(value) < 10.0 else f"{value:.0f}"
    return f"{text} {unit}".strip()


def listed(parts: Sequence[str]) -> str:
    """Words with commas and a last "and"."""
    return "".join(parts) if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"
