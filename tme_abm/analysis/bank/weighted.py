"""Endpoints of weighted patients, and how far each patient moves them.

An endpoint stands on the scale on which its error is about normal and does not depend on its value: the logarithm of a time or a hazard
ratio, the arcsine of the root of a share. Medians are read off a line through the middles of the steps of the Kaplan-Meier curve, so that
they do not jump from visit to visit.
"""

import math
import re
from functools import cached_property
from typing import Any

import numpy as np

from tme_abm.analysis.bank.outcomes import DEPTHS, Outcomes
from tme_abm.analysis.bank.store import Floats, Truths
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.trial.summary import AFTER_MASS_SPECTROMETRY

SHARES = (*DEPTHS, AFTER_MASS_SPECTROMETRY, "mrd_negative")
TIMES = ("median_pfs", "median_duration_of_response", "median_time_to_response")
ENDPOINTS = (*TIMES, *SHARES)
AT = re.compile(r"pfs_(\d+)_months")
LEAST_SHARE = 1e-3  # of patients, on the scale of the arcsine: where nobody reached an endpoint its slope has no end
SLOPE = 0.25  # of a median, on either side of it, over which the slope of the curve is taken
FLAT = 1e-6  # of a curve, per month, below which a median is not placed


def kind_of(endpoint: str) -> str:
    """Whether an endpoint is a "time" or a "share".

    Raises:
        InputError: For one that cannot be weighed.
    """
    if endpoint in TIMES:
        return "time"
    if endpoint in SHARES or AT.fullmatch(endpoint):
        return "share"
    raise InputError(f"{endpoint} cannot be worked out of a bank{did_you_mean(endpoint, ENDPOINTS)}")


def scaled(endpoint: str, value: float) -> float:
    """A value (a time in months, a share as a fraction) on the scale of its endpoint."""
    if kind_of(endpoint) == "time":
        return math.log(max(value, 1.0 / DAYS_PER_MONTH))
    return math.asin(math.sqrt(min(max(value, 0.0), 1.0)))


def unscaled(endpoint: str, at: float) -> float:
    """The value at a place of the scale."""
    return math.exp(at) if kind_of(endpoint) == "time" else math.sin(min(max(at, 0.0), math.pi / 2.0)) ** 2


class Curve:
    """A Kaplan-Meier curve whose patients may be weighed again and again.

    Args:
        months: Of each patient (m,).
        event: Whether it was an event (m,).
    """

    def __init__(self, months: Floats, event: Truths) -> None:
        """Sort once."""
        self.order = np.argsort(months, kind="stable")
        ordered = months[self.order]
        self.event = event[self.order].astype(np.float64)
        starts = np.flatnonzero(np.concatenate(([True], ordered[1:] > ordered[:-1]))) if len(ordered) else np.array([], np.int64)
        self.starts: Any = starts
        self.times: Floats = np.asarray(ordered[starts], np.float64)

    def steps(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Times at which somebody left (t,), share of the weight at risk there (t,), and the hazard (t,)."""
        own = weights[self.order]
        at_risk = np.cumsum(own[::-1])[::-1][self.starts]
        failed = np.add.reduceat(own * self.event, self.starts) if len(self.starts) else np.array([])
        with np.errstate(divide="ignore", invalid="ignore"):
            hazard: Floats = np.where(at_risk > 0.0, failed / at_risk, 0.0)
        return self.times, np.asarray(at_risk, np.float64), np.minimum(hazard, 1.0)

    def survival(self, weights: Floats) -> Floats:
        """Survival from each of `times` on (t,)."""
        return np.asarray(np.cumprod(1.0 - self.steps(weights)[2]), np.float64)

    def at(self, weights: Floats, months: float) -> float:
        """Survival at a time; of the last time on, where nobody was followed longer."""
        place = int(np.searchsorted(self.times, months, "right")) - 1
        return 1.0 if place < 0 else float(self.survival(weights)[place])

    def median(self, weights: Floats) -> float:
        """Median on the line through the middles of the steps [month]; beyond the last step the mean hazard goes on."""
        survival = self.survival(weights)
        before = np.concatenate(([1.0], survival[:-1]))
        falls = before - survival > 0.0
        times = np.concatenate(([0.0], self.times[falls]))
        heights = np.concatenate(([1.0], (before[falls] + survival[falls]) / 2.0))
        below = np.flatnonzero(heights <= 0.5)
        if len(below):
            i = int(below[0])
            share = (heights[i - 1] - 0.5) / (heights[i - 1] - heights[i])
            return float(times[i - 1] + share * (times[i] - times[i - 1]))
        last = max(float(self.times[-1]) if len(self.times) else 0.0, 1.0 / DAYS_PER_MONTH)
        height = min(max(float(survival[-1]) if len(survival) else 1.0, 0.5), 1.0 - LEAST_SHARE)
        return last * math.log(0.5) / math.log(height)

    def pulls(self, weights: Floats, months: float) -> Floats:
        """How the survival at a time changes with the share of each patient (m,): the influence function of Kaplan and Meier."""
        times, at_risk, hazard = self.steps(weights)
        until = times <= months
        height = self.at(weights, months)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(at_risk > 0.0, 1.0 / at_risk, 0.0)
        summed = np.concatenate(([0.0], np.cumsum(np.where(until, hazard * each, 0.0))))
        place = np.repeat(np.arange(len(times)), np.diff(np.concatenate((self.starts, [len(self.order)]))))
        jump = np.where(until[place], self.event * each[place], 0.0)
        found = np.empty(len(self.order))
        found[self.order] = -height * (jump - summed[place + 1])
        return found


class Sample:
    """What was seen of the patients of one arm, ready to be weighed."""

    def __init__(self, outcomes: Outcomes) -> None:
        """Take what was seen."""
        self.outcomes = outcomes
        self.pfs = Curve(outcomes.months, outcomes.event)

    @cached_property
    def responders(self) -> Any:
        """Places of those who responded."""
        return np.flatnonzero(np.isfinite(self.outcomes.response_months))

    @cached_property
    def duration(self) -> Curve:
        """Of the response, of responders."""
        chosen, seen = self.responders, self.outcomes
        return Curve(np.maximum(seen.months[chosen] - seen.response_months[chosen], 0.0), seen.event[chosen])

    @cached_property
    def time_to_response(self) -> Curve:
        """Of responders, in whom it is always seen."""
        chosen = self.responders
        return Curve(self.outcomes.response_months[chosen], np.ones(len(chosen), bool))

    def value(self, endpoint: str, weights: Floats) -> float:
        """An endpoint of the patients weighed: a time in months, or a share as a fraction.

        Args:
            endpoint: One of `ENDPOINTS`, or such as pfs_12_months.
            weights: Of all of them (m,), which make 1.
        """
        if endpoint in SHARES:
            return float(weights @ self.outcomes.share(endpoint))
        if found := AT.fullmatch(endpoint):
            return self.pfs.at(weights, float(found[1]))
        curve, chosen = self._curve(endpoint)
        own = weights if chosen is None else weights[chosen]
        return curve.median(own) if own.sum() > 0.0 else math.nan

    def _curve(self, endpoint: str) -> tuple[Curve, Any]:
        if endpoint == "median_pfs":
            return self.pfs, None
        if endpoint == "median_duration_of_response":
            return self.duration, self.responders
        if endpoint == "median_time_to_response":
            return self.time_to_response, self.responders
        raise InputError(f"{endpoint} cannot be worked out of a bank{did_you_mean(endpoint, ENDPOINTS)}")

    def scaled(self, endpoint: str, weights: Floats) -> float:
        """The same on its scale."""
        return scaled(endpoint, self.value(endpoint, weights))

    def pulls(self, endpoint: str, weights: Floats) -> Floats:
        """How the endpoint on its scale changes with the share of each patient (m,).

        Their covariance, over the number of patients, is that of the endpoints of a trial.
        """
        n = len(self.outcomes.months)
        if kind_of(endpoint) == "share":
            share = self.value(endpoint, weights)
            if endpoint in SHARES:
                pull = self.outcomes.share(endpoint) - share
            else:
                found = AT.fullmatch(endpoint)
                assert found is not None
                pull = self.pfs.pulls(weights, float(found[1]))
            inner = min(max(share, LEAST_SHARE), 1.0 - LEAST_SHARE)
            return np.asarray(pull / (2.0 * math.sqrt(inner * (1.0 - inner))), np.float64)
        curve, chosen = self._curve(endpoint)
        own = weights if chosen is None else weights[chosen]
        whole = float(own.sum())
        out = np.zeros(n)
        if whole <= 0.0:
            return out
        own = own / whole
        middle = curve.median(own)
        width = SLOPE * middle
        slope = max((curve.at(own, middle - width) - curve.at(own, middle + width)) / (2.0 * width), FLAT)
        pull = curve.pulls(own, middle) / (slope * middle)
        if chosen is None:
            return pull
        out[chosen] = pull / whole  # only a part of the patients tells of responders
        return out


def covariance(sample: Sample, endpoints: tuple[str, ...], weights: Floats) -> Any:
    """Covariance of some endpoints on their scales, of one patient (k, k); that of n patients is an n-th of it."""
    pulls = np.array([sample.pulls(endpoint, weights) for endpoint in endpoints])
    centred = pulls - (pulls @ weights)[:, None]
    return (centred * weights) @ centred.T
