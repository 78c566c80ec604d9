"""The Cox model of two arms: one covariate, which is 1 in the arm and 0 in the reference, ties by Efron.

Where d patients fail at once, Efron lets them fail one after the other: the k-th (from 0) meets a risk set in which each of the d
counts 1 - k/d. So the partial likelihood has a term for every event, in which

    share = a exp(b) / (a exp(b) + r)

is the chance that the one who fails is of the arm, for a patients of the arm and r of the reference at risk and the log hazard ratio b.
It is concave in b and has one maximum, which Newton's method finds in a few steps, to the last digits; R's `coxph` and `lifelines`
stop earlier. The tests hold it to both.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Truths = NDArray[np.bool_]

ROUNDS, LONGEST_STEP = 50, 2.0  # of Newton's method
CONVERGED = 1e-12  # change of the log hazard ratio
LARGEST = 15.0  # log hazard ratio; what goes beyond has no maximum
UNKNOWN = 1e-12  # information below which events tell nothing


class RiskSets(NamedTuple):
    """Who was at risk when somebody failed.

    Attributes:
        months: Times of events (t,).
        failed: Events at each (t,).
        treated_failed: Those of the arm among them (t,).
        at: The time of each event, as its place in `months` (k,).
        turn: Share of those who fail at that time who have gone before (k,).
        treated: Patients of the arm at risk (k,).
        reference: Patients of the reference at risk (k,).
    """

    months: Floats
    failed: Counts
    treated_failed: Counts
    at: Counts
    turn: Floats
    treated: Floats
    reference: Floats

    def share(self, log_ratio: float) -> Floats:
        """The chance that an event is one of the arm (k,)."""
        weight = self.treated * math.exp(log_ratio)
        whole: Floats = weight / (weight + self.reference)
        return whole


class Estimate(NamedTuple):
    """Where the partial likelihood is highest."""

    log_ratio: float
    information: float  # minus its second derivative there; the variance is its inverse


def risk_sets(months: tuple[Floats, Floats], event: tuple[Truths, Truths]) -> RiskSets:
    """The risk sets of an arm and its reference.

    Args:
        months: Times of each (n,).
        event: Whether each is an event (n,).
    """
    failing = [m[e] for m, e in zip(months, event, strict=True)]
    grid = np.unique(np.concatenate(failing))
    at_risk = [len(m) - np.searchsorted(np.sort(m), grid, "left") for m in months]
    dead = [np.bincount(np.searchsorted(grid, m), minlength=len(grid)) for m in failing]
    failed = dead[0] + dead[1]
    at = np.repeat(np.arange(len(grid)), failed)
    turn = (np.arange(len(at)) - np.repeat(np.cumsum(failed) - failed, failed)) / failed[at]
    treated, reference = (n[at] - turn * d[at] for n, d in zip(at_risk, dead, strict=True))
    return RiskSets(grid, failed, dead[0], at, turn, treated, reference)


def fit(sets: RiskSets) -> Estimate | None:
    """The estimate; None where the likelihood has no maximum, as where one arm alone has events while both are at risk."""
    wanted = float(sets.treated_failed.sum())
    if wanted in (0.0, float(sets.failed.sum())):
        return None
    value = 0.0
    for _ in range(ROUNDS):
        share = sets.share(value)
        information = float((share * (1.0 - share)).sum())
        if information < UNKNOWN or abs(value) > LARGEST:
            return None
        change = (wanted - float(share.sum())) / information
        value += max(-LONGEST_STEP, min(LONGEST_STEP, change))
        if abs(change) < CONVERGED:
            return Estimate(value, information)
    return None
