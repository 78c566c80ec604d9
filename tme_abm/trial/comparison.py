"""Two arms compared: hazard ratio, p value, difference of restricted means.

The hazard ratio is that of the Cox model (`cox`). Where the same virtual patient is in both arms, the variances are clustered on the
patient (lin1989): each sums one contribution per patient, so that a pair counts as one observation. Residuals are those of tied times, as
visits every 28 days make ties the rule.

The p value of a paired comparison is that of the Wald test with the clustered standard error, from which the interval comes too: p is below
0.05 where the interval of 95 % excludes 1, and only there. The log-rank test would take the two arms for different patients. In parallel
arms p is that of the log-rank test, as trials report it, beside the interval of the Cox model; near 0.05 these two may disagree.

Below ten events, or twenty patients in pairs, a hazard ratio has neither an interval nor a p value. Where a quantity has no finite
estimate the answer is None with a reason in `note`, never NaN.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.trial import cox
from tme_abm.trial.survival import (
    Floats,
    Interval,
    Survival,
    check_level,
    count_from,
    finite,
    known_until,
    restricted_mean,
    sum_first,
    survival,
)

if TYPE_CHECKING:
    import pandas as pd

DESIGNS = ("paired", "parallel")
# Below these an interval is too narrow and p too small. In pairs six or seven events left the truth outside of 10 % of intervals of 95 %,
# six to fifteen patients with more events than ten outside of 7 to 12 %; from twenty patients on of 7 % at most.
FEWEST_EVENTS = 10
FEWEST_PAIRS = 20


@dataclass(frozen=True)
class Comparison:
    """One arm against a reference.

    Attributes:
        arm: Name of the arm.
        reference: Name of the arm that it is compared with.
        hazard_ratio: Of progression or death, below 1 where `arm` does better; Cox model, ties by Efron.
        ci_low: Lower end of its interval.
        ci_high: Upper end of its interval.
        ci_level: Level of every interval here [1].
        p_value: Two-sided that the arms differ; paired: of the Wald test with the standard error of the interval, clustered on the
            patient; parallel: of the log-rank test.
        ph_test_p: Test of proportional hazards by scaled Schoenfeld residuals against the Kaplan-Meier transform of
            time; small where the hazard ratio changes with time. It takes the arms for independent, in either design.
        rmst_difference_months: Restricted mean survival time, `arm` minus `reference` [month].
        rmst_ci: Its interval [month].
        rmst_horizon_months: The shorter of the two arms' longest follow-ups [month].
        n_arm: Completed patients of the arm.
        n_reference: Completed patients of the reference.
        n_events_arm: Events in the arm.
        n_events_reference: Events in the reference.
        note: Why something is missing; empty where nothing is.
    """

    arm: str
    reference: str
    hazard_ratio: float | None
    ci_low: float | None
    ci_high: float | None
    ci_level: float
    p_value: float | None
    ph_test_p: float | None
    rmst_difference_months: float | None
    rmst_ci: Interval
    rmst_horizon_months: float | None
    n_arm: int
    n_reference: int
    n_events_arm: int
    n_events_reference: int
    note: str


class HazardRatio(NamedTuple):
    """Estimate of the Cox model; members as in `Comparison`."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    p_value: float | None
    ph_test_p: float | None
    note: str


class MeanDifference(NamedTuple):
    """Difference of restricted mean survival times [month]."""

    value: float | None
    ci: Interval
    horizon: float | None
    note: str


def separation(arm: Survival, reference: Survival) -> str:
    """Why the hazard ratio has no finite estimate, or an empty string where it has one.

    It has one only if, while both arms have patients at risk, both arms have events: else the likelihood rises without
    end towards 0 or infinity.
    """
    if len(arm.months) == 0 or len(reference.months) == 0:
        return "an arm has no completed patient"
    if not arm.event.any() and not reference.event.any():
        return "no event in either arm"
    if not arm.event.any():
        return "no event in the arm: the hazard ratio tends to 0"
    if not reference.event.any():
        return "no event in the reference: the hazard ratio tends to infinity"
    end = min(arm.months.max(), reference.months.max())
    is_up = bool(np.any(arm.event & (arm.months <= end)))
    is_down = bool(np.any(reference.event & (reference.months <= end)))
    if is_up and is_down:
        return ""
    if is_up:
        return "complete separation, no event of the reference while the arm is at risk: the ratio tends to infinity"
    if is_down:
        return "complete separation, no event of the arm while the reference is at risk: the ratio tends to 0"
    return "no event while both arms have patients at risk"


def hazard_ratio(arm: Survival, reference: Survival, design: str = "parallel", level: float = 0.95) -> HazardRatio:
    """Cox hazard ratio of `arm` against `reference`.

    Args:
        arm: Treated patients.
        reference: Patients that they are compared with.
        design: `"paired"` (the same patients in both arms: robust variance clustered on the patient) or `"parallel"`.
        level: Of the interval [1].

    Returns:
        The estimate; None with a reason where there is none.

    Raises:
        InputError: For an unknown design or a level outside (0, 1).
    """
    _check_design(design)
    check_level(level)
    few = too_few(arm, reference, design)
    ranked = log_rank(arm, reference) if design == "parallel" and not few else None
    if note := separation(arm, reference):
        return HazardRatio(None, None, None, ranked, None, note)
    estimate = cox.fit(_risk_sets(arm, reference))
    if estimate is None:
        return HazardRatio(None, None, None, ranked, None, "the Cox model did not converge")
    log_ratio, error = estimate.log_ratio, estimate.information**-0.5
    if design == "paired":
        residuals = score_residuals(arm, reference, log_ratio)
        clustered = by_patient(residuals, np.concatenate((arm.patient, reference.patient)))
        error = error**2 * float(np.sum(clustered**2)) ** 0.5
    value = float(np.exp(log_ratio))
    if not np.isfinite(error) or error < 1e-9:
        note = "the arms are the same patient by patient: no interval" if abs(log_ratio) < 1e-9 else "no standard error"
        return HazardRatio(value, None, None, ranked, None, note)
    if few:
        return HazardRatio(value, None, None, None, None, few)
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    low, high = float(np.exp(log_ratio - z * error)), float(np.exp(log_ratio + z * error))
    p_value = two_sided(log_ratio / error) if design == "paired" else ranked
    return HazardRatio(value, low, high, p_value, proportionality(arm, reference, log_ratio), "")


def too_few(arm: Survival, reference: Survival, design: str) -> str:
    """Why a comparison has neither an interval nor a p value, or an empty string where it has both."""
    if int(arm.event.sum()) + int(reference.event.sum()) < FEWEST_EVENTS:
        return "fewer than ten events: no interval"
    if design == "paired" and len(np.union1d(arm.patient, reference.patient)) < FEWEST_PAIRS:
        return "fewer than twenty patients: no interval"
    return ""


def _risk_sets(arm: Survival, reference: Survival) -> cox.RiskSets:
    return cox.risk_sets((arm.months, reference.months), (arm.event, reference.event))


def proportionality(arm: Survival, reference: Survival, log_ratio: float) -> float | None:
    """Two-sided p value that the hazard ratio changes with time; None where the events cannot tell.

    The score test of a second term, the arm times g(t), with g(t) = 1 - S(t-): the pooled Kaplan-Meier estimate just before t, which
    does not depend on the order of tied times. Ties by Efron; the same as `cox.zph` of R's package survival (grambsch1994).

    Args:
        arm: Treated patients.
        reference: Patients that they are compared with.
        log_ratio: Log of the hazard ratio, at its estimate.
    """
    sets = _risk_sets(arm, reference)
    at_risk = count_from(np.concatenate((arm.months, reference.months)), sets.months)
    before = np.concatenate(([1.0], np.cumprod(1.0 - sets.failed / at_risk)[:-1]))
    at, mean = sets.at, sets.share(log_ratio)
    variance = mean * (1.0 - mean)
    g = 1.0 - before
    score = float(g @ sets.treated_failed) - float(g[at] @ mean)
    information = float(g[at] ** 2 @ variance) - float(g[at] @ variance) ** 2 / float(variance.sum())
    if information < 1e-12:
        return None
    return finite(two_sided(score / information**0.5))


def score_residuals(arm: Survival, reference: Survival, log_ratio: float) -> Floats:
    """What each patient contributes to the score of the Cox model.

    A patient who fails along with others is spread over their turns (`cox`); one who lives on meets them all.

    Args:
        arm: Treated patients.
        reference: Patients that they are compared with.
        log_ratio: Log of the hazard ratio.

    Returns:
        Residuals, the arm's first (n,); their sum is 0 at the estimate.
    """
    months = np.concatenate((arm.months, reference.months))
    event = np.concatenate((arm.event, reference.event))
    treated = np.repeat((1.0, 0.0), (len(arm.months), len(reference.months)))
    risk = np.exp(log_ratio * treated)
    sets = _risk_sets(arm, reference)
    grid, at, turn = sets.months, sets.at, sets.turn
    mean = sets.share(log_ratio)
    hazard = 1.0 / (sets.treated * float(np.exp(log_ratio)) + sets.reference)

    def per_time(values: Floats) -> Floats:
        return np.bincount(at, values, len(grid)).astype(np.float64)

    own, seen = (np.searchsorted(grid, months, side) for side in ("left", "right"))
    here = np.minimum(own, len(grid) - 1)
    met = treated * sum_first(per_time(hazard), seen) - sum_first(per_time(mean * hazard), seen)
    spared = treated * per_time(turn * hazard)[here] - per_time(turn * mean * hazard)[here]
    fell = treated - (per_time(mean) / sets.failed)[here]
    return event * fell - risk * (met - event * spared)


def two_sided(z: float) -> float:
    """Two-sided p value of a standard normal; the error function's complement keeps its digits where 1 - cdf has none left."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def log_rank(arm: Survival, reference: Survival) -> float | None:
    """Two-sided p value of the log-rank test of parallel arms; None where no event tells.

    Events of the arm less those expected, over the variance of a hypergeometric draw at each time (mantel1966).
    """
    if len(arm.months) == 0 or len(reference.months) == 0:
        return None
    sets = _risk_sets(arm, reference)
    treated, others = count_from(arm.months, sets.months), count_from(reference.months, sets.months)
    whole = treated + others
    share = treated / whole
    more = np.maximum(whole - 1.0, 1.0)  # who is left alone is drawn for certain: no variance
    variance = float((sets.failed * share * (1.0 - share) * (whole - sets.failed) / more).sum())
    if variance < 1e-12:
        return None
    score = float(sets.treated_failed.sum() - (sets.failed * share).sum())
    return two_sided(score / variance**0.5)


def rmst_difference(
    arm: Survival, reference: Survival, design: str = "parallel", level: float = 0.95, horizon: float | None = None
) -> MeanDifference:
    """Difference of restricted mean survival times.

    Args:
        arm: Treated patients.
        reference: Patients that they are compared with.
        design: `"paired"` or `"parallel"`.
        level: Of the interval [1].
        horizon: Where the means are cut [month]; the shorter of the longest follow-ups unless given.

    Returns:
        The estimate; None with a reason where there is none.

    Raises:
        InputError: For an unknown design, a level outside (0, 1), or a horizon beyond what was followed.
    """
    _check_design(design)
    check_level(level)
    if len(arm.months) == 0 or len(reference.months) == 0:
        return MeanDifference(None, (None, None), None, "an arm has no completed patient")
    longest = min(known_until(arm), known_until(reference))
    if horizon is not None and not 0.0 < horizon <= longest:
        raise InputError(f"restricted mean: the horizon must lie within (0, {longest:.2f}] months, got {horizon:g}")
    cut = float(min(arm.months.max(), reference.months.max())) if horizon is None else horizon
    if cut <= 0.0:
        return MeanDifference(None, (None, None), None, "no follow-up")
    mean_arm, influence_arm = restricted_mean(arm, cut)
    mean_reference, influence_reference = restricted_mean(reference, cut)
    influence = np.concatenate((influence_arm, -influence_reference))
    if design == "paired":
        influence = by_patient(influence, np.concatenate((arm.patient, reference.patient)))
    error = float(np.sum(influence**2)) ** 0.5
    value = mean_arm - mean_reference
    if error < 1e-9:
        return MeanDifference(value, (None, None), cut, "the restricted mean has no measurable error: no interval")
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    return MeanDifference(value, (value - z * error, value + z * error), cut, "")


def by_patient(values: Floats, patient: np.ndarray[Any, np.dtype[Any]]) -> Floats:
    """Sum of `values` (n,) over the rows of each patient."""
    _, index = np.unique(patient, return_inverse=True)
    return np.bincount(index, values).astype(np.float64)


def compare(patients: "pd.DataFrame", arm: str, reference: str, design: str = "paired", level: float = 0.95) -> Comparison:
    """Compare two arms of a patient table.

    Raises:
        InputError: As `survival` and `hazard_ratio`.
    """
    a, b = survival(patients, arm), survival(patients, reference)
    ratio = hazard_ratio(a, b, design, level)
    means = rmst_difference(a, b, design, level)
    return Comparison(
        arm=arm,
        reference=reference,
        hazard_ratio=ratio.value,
        ci_low=ratio.ci_low,
        ci_high=ratio.ci_high,
        ci_level=level,
        p_value=ratio.p_value,
        ph_test_p=ratio.ph_test_p,
        rmst_difference_months=means.value,
        rmst_ci=means.ci,
        rmst_horizon_months=means.horizon,
        n_arm=len(a.months),
        n_reference=len(b.months),
        n_events_arm=int(a.event.sum()),
        n_events_reference=int(b.event.sum()),
        note="; ".join(dict.fromkeys(note for note in (ratio.note, means.note) if note)),
    )


def _check_design(design: str) -> None:
    if design not in DESIGNS:
        raise InputError(f"statistics: unknown design '{design}'{did_you_mean(design, DESIGNS)}")
