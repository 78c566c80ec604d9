"""The difference of two median times."""

from typing import Any

import numpy as np

from tme_abm.trial.survival import Interval, Survival, check_level, quantile_time

RESAMPLES = 1000
MOST_NOT_REACHED = 0.05  # share of resamples without a median above which an interval would be that of the others


def median_difference(
    arm: Survival, reference: Survival, design: str = "paired", level: float = 0.95
) -> tuple[float | None, Interval, str]:
    """Median of `arm` minus that of `reference`, with a bootstrap interval [month].

    Args:
        arm: Times of the arm.
        reference: Times of the reference.
        design: "paired" draws patients with both their times, "parallel" each arm by itself.
        level: Of the interval [1].

    Returns:
        Value, interval, and why either is missing.
    """
    check_level(level)
    medians = [quantile_time(times, level)[0] for times in (arm, reference)]
    if medians[0] is None or medians[1] is None:
        return None, (None, None), "a median is not reached"
    value = medians[0] - medians[1]
    chance = np.random.default_rng(0)
    if design == "paired":
        shared = np.intersect1d(arm.patient, reference.patient)
        orders = [np.argsort(times.patient) for times in (arm, reference)]
        both = zip((arm, reference), orders, strict=True)
        rows = [order[np.searchsorted(times.patient[order], shared)] for times, order in both]
        if len(shared) < 2:
            return value, (None, None), "too few patients in both arms"
        drawn = chance.integers(0, len(shared), (RESAMPLES, len(shared)))
        picks = [(rows[0][pick], rows[1][pick]) for pick in drawn]
    else:
        n, m = len(arm.months), len(reference.months)
        picks = [(chance.integers(0, n, n), chance.integers(0, m, m)) for _ in range(RESAMPLES)]
    differences = np.array([_median(arm, one) - _median(reference, other) for one, other in picks])
    seen = differences[np.isfinite(differences)]
    if len(seen) < (1.0 - MOST_NOT_REACHED) * RESAMPLES:
        return value, (None, None), "a median is often not reached in resampled patients"
    low, high = np.quantile(seen, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return value, (float(low), float(high)), ""


def _median(times: Survival, rows: "np.ndarray[Any, Any]") -> float:
    """Kaplan-Meier median of some rows; NaN where it is not reached."""
    order = rows[np.lexsort((~times.event[rows], times.months[rows]))]  # events come before censorings of the same time
    months, event = times.months[order], times.event[order]
    at_risk: Any = np.arange(len(months), 0, -1)
    alive: Any = np.cumprod(np.where(event, 1.0 - 1.0 / at_risk, 1.0))
    below = np.flatnonzero(alive <= 0.5 + 1e-12)
    return float(months[below[0]]) if below.size else float("nan")
