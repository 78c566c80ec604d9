"""Survival and response statistics of a trial, from its patient table.

Fits are those of `lifelines` (davidsonpilon2019). What it lacks is written here: the standard error of the restricted
mean survival time (royston2013) and, for the same virtual patient in both arms, the variance of the log-rank test and
of the Cox model clustered on the patient (lin1989). Each sums one contribution per patient, so that a pair counts as
one observation. (`lifelines` clusters too, but without ties in its residuals, and visits every 28 days make ties the
rule.)

Where a quantity has no finite estimate the answer is None with a reason in `note`, never NaN.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.outcomes import imwg

if TYPE_CHECKING:
    import pandas as pd

Floats = np.ndarray[Any, np.dtype[np.float64]]
Interval = tuple[float | None, float | None]

DESIGNS = ("paired", "parallel")
RESPONSES = (*reversed(imwg.RESPONSES), imwg.NOT_EVALUABLE)
DEPTHS = {
    name: tuple(response for response in RESPONSES if imwg.is_at_least(response, least))
    for name, least in {"orr": "PR", "vgpr_or_better": "VGPR", "cr_or_better": "CR"}.items()
}


@dataclass(frozen=True)
class ArmSummary:
    """One arm of a trial; fractions are of the patients who completed.

    Attributes:
        n: Patients with status "completed": every denominator.
        n_started: Patients in the table, whatever became of them.
        n_events: Progressions and deaths.
        median_pfs_months: None where less than half of the patients had an event.
        pfs_ci: Interval of the median; an end is None where it is not reached [month].
        median_follow_up_months: By the reverse Kaplan-Meier estimate [month].
        orr: Partial response or better [1]; each fraction is followed by its Wilson interval.
        vgpr_or_better: Very good partial response or better [1].
        cr_or_better: Complete response or better [1].
        mrd_negative: Tested and negative; a missing test counts as positive [1].
        median_time_to_response_months: Among responders [month].
        note: Why something is missing; empty where nothing is.
    """

    n: int
    n_started: int
    n_events: int
    median_pfs_months: float | None
    pfs_ci: Interval
    median_follow_up_months: float | None
    orr: float | None
    orr_ci: Interval
    vgpr_or_better: float | None
    vgpr_or_better_ci: Interval
    cr_or_better: float | None
    cr_or_better_ci: Interval
    mrd_negative: float | None
    mrd_negative_ci: Interval
    median_time_to_response_months: float | None
    note: str


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
        p_value: Two-sided, of the log-rank test; paired: of its score with a variance clustered on the patient.
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


class Survival(NamedTuple):
    """Times and events of one arm, a row per completed patient.

    Attributes:
        months: Time to event or censoring (n,) [month].
        event: Whether it was an event (n,).
        patient: Who (n,).
    """

    months: Floats
    event: np.ndarray[Any, np.dtype[np.bool_]]
    patient: np.ndarray[Any, np.dtype[Any]]


class HazardRatio(NamedTuple):
    """Estimate of the Cox model; members as in `Comparison`."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    ph_test_p: float | None
    note: str


class MeanDifference(NamedTuple):
    """Difference of restricted mean survival times [month]."""

    value: float | None
    ci: Interval
    horizon: float | None
    note: str


class Subgroup(NamedTuple):
    """Patients picked from the table by what is known at baseline.

    Attributes:
        group: Heading in the forest plot.
        label: Line in the forest plot.
        columns: What the rule reads; a table without them has no such subgroup.
        holds: The rule, table to booleans.
    """

    group: str
    label: str
    columns: tuple[str, ...]
    holds: Callable[["pd.DataFrame"], Any]


def _split(
    group: str, column: str, labels: tuple[str, str], holds: Callable[["pd.DataFrame"], Any]
) -> tuple[Subgroup, Subgroup]:
    """Those of whom a rule holds, and those of whom it does not."""
    return (
        Subgroup(group, labels[0], (column,), holds),
        Subgroup(group, labels[1], (column,), lambda t: ~holds(t) & t[column].notna()),
    )


SUBGROUPS: tuple[Subgroup, ...] = (
    *_split("Age", "age", ("65 years or older", "below 65 years"), lambda t: t["age"] >= 65),
    *_split("Age", "age", ("75 years or older", "below 75 years"), lambda t: t["age"] >= 75),
    *_split("Renal impairment", "egfr", ("eGFR below 60", "eGFR 60 or more"), lambda t: t["egfr"] < 60),
    *_split("Cytogenetics", "high_risk", ("high risk", "standard risk"), lambda t: t["high_risk"].eq(True)),
    *_split("Lenalidomide", "len_refractory", ("refractory", "not refractory"), lambda t: t["len_refractory"].eq(True)),
    Subgroup("Prior lines", "none", ("prior_lines",), lambda t: t["prior_lines"] == 0),
    Subgroup("Prior lines", "1", ("prior_lines",), lambda t: t["prior_lines"] == 1),
    Subgroup("Prior lines", "2 to 3", ("prior_lines",), lambda t: t["prior_lines"].between(2, 3)),
    Subgroup("Prior lines", "more than 3", ("prior_lines",), lambda t: t["prior_lines"] > 3),
    Subgroup("ISS stage", "I", ("iss",), lambda t: t["iss"] == 1),
    Subgroup("ISS stage", "II", ("iss",), lambda t: t["iss"] == 2),
    Subgroup("ISS stage", "III", ("iss",), lambda t: t["iss"] == 3),
    Subgroup("Immunoglobulin", "IgG", ("ig_type",), lambda t: t["ig_type"] == "IgG"),
    Subgroup("Immunoglobulin", "other", ("ig_type",), lambda t: t["ig_type"] != "IgG"),
)


def completed(patients: "pd.DataFrame", arm: str | None = None) -> "pd.DataFrame":
    """Rows with status "completed" (all rows where there is no such column), of one arm or of all.

    Raises:
        InputError: Where a column is missing or no patient belongs to the arm.
    """
    for name in ("patient", "arm", "pfs_days", "pfs_event"):
        if name not in patients.columns:
            raise InputError(f"patient table: column '{name}' is missing{did_you_mean(name, patients.columns)}")
    rows = patients
    if arm is not None:
        known = patients["arm"].unique()
        if arm not in known:
            raise InputError(f"patient table: no patient in arm '{arm}'{did_you_mean(arm, known)}")
        rows = rows[rows["arm"] == arm]
    return rows[rows["status"] == "completed"] if "status" in rows.columns else rows


def survival(patients: "pd.DataFrame", arm: str) -> Survival:
    """PFS of one arm's completed patients.

    Raises:
        InputError: As `completed`; where a time is missing or negative; where a patient stands twice in the arm.
    """
    rows = completed(patients, arm)
    days = rows["pfs_days"].to_numpy(np.float64, na_value=np.nan)
    if not np.all(np.isfinite(days) & (days >= 0.0)):
        who = rows["patient"].to_numpy()[~(np.isfinite(days) & (days >= 0.0))][0]
        raise InputError(f"patient table: pfs_days of patient {who} in arm '{arm}' is missing or negative")
    if rows["pfs_event"].isna().any():
        who = rows.loc[rows["pfs_event"].isna(), "patient"].iloc[0]
        raise InputError(f"patient table: pfs_event of patient {who} in arm '{arm}' is missing")
    if rows["patient"].duplicated().any():
        who = rows.loc[rows["patient"].duplicated(), "patient"].iloc[0]
        raise InputError(f"patient table: patient {who} stands twice in arm '{arm}'")
    return Survival(days / DAYS_PER_MONTH, rows["pfs_event"].to_numpy(np.bool_), rows["patient"].to_numpy())


def kaplan_meier(times: Survival, level: float = 0.95) -> "pd.DataFrame":
    """Kaplan-Meier estimate with log-log intervals.

    Args:
        times: Of one arm.
        level: Of the interval [1].

    Returns:
        A row per distinct time, from 0: `month, survival, ci_low, ci_high, at_risk, n_events, n_censored`.

    Raises:
        InputError: For an empty arm or a level outside (0, 1).
    """
    import pandas as pd

    _check_level(level)
    if len(times.months) == 0:
        raise InputError("Kaplan-Meier: the arm has no completed patient")
    # lifelines says the same (the tests compare), but importing it takes longer than a short run
    months = np.unique(np.append(0.0, times.months))
    n_events = np.searchsorted(np.sort(times.months[times.event]), [months, np.nextafter(months, np.inf)])
    n_left = np.searchsorted(np.sort(times.months), [months, np.nextafter(months, np.inf)])
    n, died, left = len(times.months) - n_left[0], n_events[1] - n_events[0], n_left[1] - n_left[0]
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_survival = np.cumsum(np.log(n - died) - np.log(n))
        greenwood = np.cumsum(np.where(died < n, died / (n * np.maximum(n - died, 1)), 0.0))
        half = z * np.sqrt(greenwood) / log_survival
        band = [np.exp(-np.exp(np.log(-log_survival) + side * half)) for side in (-1.0, 1.0)]
    return pd.DataFrame(
        {
            "month": months,
            "survival": np.exp(log_survival),
            "ci_low": np.where(np.isnan(band[0]), 1.0, band[0]),
            "ci_high": np.where(np.isnan(band[1]), 1.0, band[1]),
            "at_risk": n.astype(np.int64),
            "n_events": died.astype(np.int64),
            "n_censored": (left - died).astype(np.int64),
        }
    )


def at_risk(times: Survival, months: Iterable[float]) -> list[int]:
    """Patients still followed and without an event just before each of `months`."""
    return [int(np.sum(times.months >= month)) for month in months]


def quantile_time(times: Survival, level: float = 0.95, quantile: float = 0.5) -> tuple[float | None, Interval]:
    """Time by which a share of patients had an event, with its interval (Brookmeyer and Crowley on the log-log band).

    Args:
        times: Of one arm.
        level: Of the interval [1].
        quantile: Survival to be reached; 0.5 for the median.

    Returns:
        Time and interval [month]; None where the curve or its band does not come down so far.
    """
    curve = kaplan_meier(times, level)

    def first(column: str) -> float | None:
        reached = curve.loc[curve[column] <= quantile + 1e-12, "month"]
        return float(reached.iloc[0]) if len(reached) and times.event.any() else None

    return first("survival"), (first("ci_low"), first("ci_high"))


def survival_at(times: Survival, month: float, level: float = 0.95) -> tuple[float | None, Interval]:
    """Survival at one time with its interval [1]; None where follow-up is shorter and the curve has not ended."""
    curve = kaplan_meier(times, level)
    row = curve[curve["month"] <= month].iloc[-1]
    if month > times.months.max() and row["survival"] > 0.0:
        return None, (None, None)
    return float(row["survival"]), (_finite(row["ci_low"]), _finite(row["ci_high"]))


def rate(k: int, n: int, level: float = 0.95) -> tuple[float | None, Interval]:
    """A fraction and its Wilson interval; None of nobody."""
    _check_level(level)
    if n == 0:
        return None, (None, None)
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    share = k / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return share, (max(0.0, centre - half) if k else 0.0, min(1.0, centre + half) if k < n else 1.0)


def arm_summary(patients: "pd.DataFrame", arm: str, level: float = 0.95) -> ArmSummary:
    """Summary of one arm.

    Raises:
        InputError: As `survival`.
    """
    rows = completed(patients, arm)
    times = survival(patients, arm)
    n = len(rows)
    notes = []
    median: float | None = None
    follow_up: float | None = None
    ci: Interval = (None, None)
    if n == 0:
        notes.append("no patient completed")
    else:
        median, ci = quantile_time(times, level)
        follow_up = quantile_time(times._replace(event=~times.event))[0]
        if median is None:
            notes.append("median PFS not reached")
    shares: dict[str, tuple[float | None, Interval]] = {}
    for name, depths in DEPTHS.items():
        if "best_response" in rows.columns:
            shares[name] = rate(int(rows["best_response"].isin(depths).sum()), n, level)
        else:
            shares[name] = (None, (None, None))
    if "mrd_negative" in rows.columns:
        shares["mrd_negative"] = rate(int(rows["mrd_negative"].eq(True).sum()), n, level)  # missing is positive
    else:
        shares["mrd_negative"] = (None, (None, None))
    response_days = rows["time_to_response_days"].dropna() if "time_to_response_days" in rows.columns else rows.iloc[:0]
    return ArmSummary(
        n=n,
        n_started=int((patients["arm"] == arm).sum()),
        n_events=int(times.event.sum()),
        median_pfs_months=median,
        pfs_ci=ci,
        median_follow_up_months=follow_up,
        orr=shares["orr"][0],
        orr_ci=shares["orr"][1],
        vgpr_or_better=shares["vgpr_or_better"][0],
        vgpr_or_better_ci=shares["vgpr_or_better"][1],
        cr_or_better=shares["cr_or_better"][0],
        cr_or_better_ci=shares["cr_or_better"][1],
        mrd_negative=shares["mrd_negative"][0],
        mrd_negative_ci=shares["mrd_negative"][1],
        median_time_to_response_months=float(np.median(response_days.to_numpy(np.float64))) / DAYS_PER_MONTH
        if len(response_days)
        else None,
        note="; ".join(notes),
    )


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
    import warnings

    import pandas as pd
    from lifelines import CoxPHFitter
    from lifelines.exceptions import ConvergenceError
    from lifelines.statistics import proportional_hazard_test

    _check_design(design)
    _check_level(level)
    if note := separation(arm, reference):
        return HazardRatio(None, None, None, None, note)
    table = pd.DataFrame(
        {
            "month": np.concatenate((arm.months, reference.months)),
            "event": np.concatenate((arm.event, reference.event)),
            "arm": np.repeat((1.0, 0.0), (len(arm.months), len(reference.months))),
        }
    )
    # ranks of time depend on the order of the rows wherever times are tied; the Kaplan-Meier transform does not
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they warn of is checked here
        try:
            fit = CoxPHFitter(alpha=1.0 - level).fit(table, "month", "event")
        except ConvergenceError:
            return HazardRatio(None, None, None, None, "the Cox model did not converge")
        log_ratio, error = float(fit.params_["arm"]), float(fit.standard_errors_["arm"])
        ph = float(np.ravel(proportional_hazard_test(fit, table, time_transform="km").p_value)[0])
    if design == "paired":
        residuals = score_residuals(arm, reference, log_ratio)
        clustered = by_patient(residuals, np.concatenate((arm.patient, reference.patient)))
        error = error**2 * float(np.sum(clustered**2)) ** 0.5
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    value = float(np.exp(log_ratio))
    if not np.isfinite(error) or error < 1e-9:
        note = "the arms are the same patient by patient: no interval" if abs(log_ratio) < 1e-9 else "no standard error"
        return HazardRatio(value, None, None, None, note)
    low, high = float(np.exp(log_ratio - z * error)), float(np.exp(log_ratio + z * error))
    return HazardRatio(value, low, high, _finite(ph), "")


def score_residuals(arm: Survival, reference: Survival, log_ratio: float) -> Floats:
    """What each patient contributes to the score of the Cox model, ties by Efron.

    Where d patients fail at once, Efron lets them fail one after the other: the k-th (from 0) meets a risk set in which
    each of the d counts 1 - k/d. A patient who fails there is spread over the d turns; one who lives on meets them all.

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
    grid, failed = np.unique(months[event], return_counts=True)
    treated_failed = np.array([np.sum(arm.event & (arm.months == month)) for month in grid])
    ratio = float(np.exp(log_ratio))
    turn = np.concatenate([np.arange(d) / d for d in failed])  # k/d, all times in a row
    at = np.repeat(np.arange(len(grid)), failed)
    risk_treated = ratio * (_n_from(arm.months, grid)[at] - turn * treated_failed[at])
    total = risk_treated + _n_from(reference.months, grid)[at] - turn * (failed - treated_failed)[at]
    mean, hazard = risk_treated / total, 1.0 / total

    def per_time(values: Floats) -> Floats:
        return np.bincount(at, values, len(grid)).astype(np.float64)

    own, seen = (np.searchsorted(grid, months, side) for side in ("left", "right"))
    here = np.minimum(own, len(grid) - 1)
    met = treated * _up_to(per_time(hazard), seen) - _up_to(per_time(mean * hazard), seen)
    spared = treated * per_time(turn * hazard)[here] - per_time(turn * mean * hazard)[here]
    fell = treated - (per_time(mean) / failed)[here]
    return event * fell - risk * (met - event * spared)


def log_rank(arm: Survival, reference: Survival, design: str = "parallel") -> float | None:
    """Two-sided p value that the arms differ; None where no event tells.

    Parallel arms: the log-rank test. Paired: its score over a variance that is clustered on the patient (lin1989).

    Raises:
        InputError: For an unknown design.
    """
    _check_design(design)
    if len(arm.months) == 0 or len(reference.months) == 0:
        return None
    if design == "parallel":
        from lifelines.statistics import logrank_test

        if not (arm.event.any() or reference.event.any()):
            return None
        return _finite(logrank_test(arm.months, reference.months, arm.event, reference.event).p_value)
    months = np.concatenate((arm.months, reference.months))
    event = np.concatenate((arm.event, reference.event))
    treated = np.repeat((1.0, 0.0), (len(arm.months), len(reference.months)))
    steps = _steps(Survival(months, event, months))
    if len(steps.months) == 0:
        return None
    share = _n_from(arm.months, steps.months) / steps.at_risk
    score = event * (treated - share[np.minimum(steps.own, len(share) - 1)])
    score -= treated * _up_to(steps.hazard, steps.seen) - _up_to(share * steps.hazard, steps.seen)
    clustered = by_patient(score, np.concatenate((arm.patient, reference.patient)))
    variance = float(np.sum(clustered**2))
    if variance < 1e-12:
        return None
    return float(2.0 * NormalDist().cdf(-abs(float(score.sum())) / variance**0.5))


def restricted_mean(times: Survival, horizon: float) -> tuple[float, Floats]:
    """Mean survival time up to a horizon and what each patient contributes to its error.

    Args:
        times: Of one arm, not empty.
        horizon: Where the mean is cut [month].

    Returns:
        The mean [month] and the influence of each patient (n,) [month]; the sum of its squares estimates the variance.
    """
    inside = times._replace(event=times.event & (times.months <= horizon))
    steps = _steps(inside)
    curve = np.append(1.0, np.cumprod(1.0 - steps.hazard))
    areas = curve * np.diff(np.concatenate(([0.0], steps.months, [horizon])))
    mean = float(areas.sum())
    if len(steps.months) == 0:
        return mean, np.zeros(len(times.months))
    rest = mean - np.cumsum(areas)[:-1]  # area from each event to the horizon
    left = steps.at_risk * (1.0 - steps.hazard)
    # one patient more changes log S(t) by -sum dM(u) / (Y(u) - dN(u)); where the last one fails no area is left
    weight = np.divide(rest, left, out=np.zeros(len(left)), where=steps.hazard < 1.0)
    own = inside.event * weight[np.minimum(steps.own, len(weight) - 1)]
    return mean, _up_to(steps.hazard * weight, steps.seen) - own


class _Steps(NamedTuple):
    """Distinct event times (t,) with what happens there, and where each patient (n,) stands among them."""

    months: Floats
    at_risk: Floats
    hazard: Floats
    own: Any
    seen: Any


def _steps(times: Survival) -> _Steps:
    """Event times of a group; `own` is the index of a patient's time, `seen` at how many event times he was at risk."""
    grid, failed = np.unique(times.months[times.event], return_counts=True)
    at_risk = _n_from(times.months, grid)
    own, seen = (np.searchsorted(grid, times.months, side) for side in ("left", "right"))
    return _Steps(grid, at_risk, failed / at_risk, own, seen)


def _n_from(months: Floats, grid: Floats) -> Floats:
    """How many of `months` (n,) are at least each of `grid` (t,)."""
    return (len(months) - np.searchsorted(np.sort(months), grid, "left")).astype(np.float64)


def _up_to(values: Floats, seen: Any) -> Floats:
    """Sum of the first `seen` (n,) of `values` (t,)."""
    return np.append(0.0, np.cumsum(values))[seen]


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
    _check_level(level)
    if len(arm.months) == 0 or len(reference.months) == 0:
        return MeanDifference(None, (None, None), None, "an arm has no completed patient")
    longest = min(_reach(arm), _reach(reference))
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


def compare(
    patients: "pd.DataFrame", arm: str, reference: str, design: str = "paired", level: float = 0.95
) -> Comparison:
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
        p_value=log_rank(a, b, design),
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


def subgroup_table(
    patients: "pd.DataFrame",
    arm: str,
    reference: str,
    design: str = "paired",
    level: float = 0.95,
    subgroups: Sequence[Subgroup] = SUBGROUPS,
) -> "pd.DataFrame":
    """Hazard ratio in all patients and in each subgroup.

    A subgroup whose columns the table lacks, or which holds nobody or everybody, is left out.

    Returns:
        `group, label, n_arm, n_reference, n_events_arm, n_events_reference, hazard_ratio, ci_low, ci_high, note`, the
        first row being all patients. Missing numbers are NaN, with the reason in `note`.
    """
    import pandas as pd

    everyone = completed(patients)
    both = everyone[everyone["arm"].isin([arm, reference])]
    rows = []
    for subgroup in (Subgroup("", "All patients", (), lambda t: np.ones(len(t), bool)), *subgroups):
        if not set(subgroup.columns) <= set(both.columns):
            continue
        mask = np.asarray(subgroup.holds(both), bool)
        if subgroup.columns and (not mask.any() or mask.all()):
            continue
        part = both[mask]
        times = [survival(part, name) if (part["arm"] == name).any() else _NOBODY for name in (arm, reference)]
        ratio = hazard_ratio(times[0], times[1], design, level)
        rows.append(
            (
                subgroup.group,
                subgroup.label,
                len(times[0].months),
                len(times[1].months),
                int(times[0].event.sum()),
                int(times[1].event.sum()),
                ratio.value,
                ratio.ci_low,
                ratio.ci_high,
                ratio.note,
            )
        )
    columns = ["group", "label", "n_arm", "n_reference", "n_events_arm", "n_events_reference"]
    table = pd.DataFrame(rows, columns=[*columns, "hazard_ratio", "ci_low", "ci_high", "note"])
    return table.astype({"hazard_ratio": "float64", "ci_low": "float64", "ci_high": "float64"})


def response_table(patients: "pd.DataFrame", arms: Sequence[str]) -> "pd.DataFrame":
    """Best confirmed responses of the completed patients.

    Returns:
        A row per arm and response, deepest first: `arm, response, n, fraction` (NaN of nobody).

    Raises:
        InputError: For a response that is none of `RESPONSES`; as `completed`.
    """
    import pandas as pd

    rows = []
    for arm in arms:
        best = completed(patients, arm)["best_response"].fillna("NE")
        for word in best.unique():
            if word not in RESPONSES:
                raise InputError(f"patient table: unknown response '{word}'{did_you_mean(str(word), RESPONSES)}")
        for response in RESPONSES:
            n = int((best == response).sum())
            rows.append((arm, response, n, n / len(best) if len(best) else np.nan))
    return pd.DataFrame(rows, columns=["arm", "response", "n", "fraction"])


def summarise(
    patients: "pd.DataFrame",
    arms: Sequence[str],
    comparisons: Sequence[tuple[str, str]],
    design: str = "paired",
    level: float = 0.95,
) -> dict[str, Any]:
    """The `arms` and `comparisons` parts of summary.json.

    Args:
        patients: A row per patient and arm.
        arms: Names, in order.
        comparisons: Pairs (arm, reference).
        design: `"paired"` or `"parallel"`.
        level: Of every interval [1].

    Returns:
        `{"design", "level", "arms": {name: ArmSummary as a dict}, "comparisons": [Comparison as a dict]}`; ready for
        JSON, without NaN.

    Raises:
        InputError: As `arm_summary` and `compare`.
    """
    return {
        "design": design,
        "level": level,
        "arms": {arm: _plain(asdict(arm_summary(patients, arm, level))) for arm in arms},
        "comparisons": [_plain(asdict(compare(patients, a, b, design, level))) for a, b in comparisons],
    }


def compare_published(
    published: Sequence[Mapping[str, Any]],
    patients: "pd.DataFrame",
    design: str = "paired",
    level: float = 0.95,
    labels: Mapping[str, str] | None = None,
) -> "pd.DataFrame":
    """Each published result beside the same quantity of the simulation.

    Args:
        published: Entries `{arm | comparison: [arm, reference], endpoint, value?, ci_low?, ci_high?, ci_level?, unit?,
            n?, subgroup?, source?}`. Endpoints: `median_pfs`, `orr`, `vgpr_or_better`, `cr_or_better`, `mrd_negative`,
            `pfs_<n>_months` and, of a comparison, `hazard_ratio_pfs`; a further word at their end (`_months`, `_1e-5`,
            `_final`) says nothing to the calculation. A rate above 1 or with the unit "percent" is read as per
            cent; one with the number of patients `n` and no interval gets Wilson's. A subgroup is the label of one in
            `SUBGROUPS` or a short name in `SHORT_NAMES`. An entry of any other endpoint brings the simulated value
            along: `simulated, simulated_low?, simulated_high?`, in its own unit.
        patients: A row per patient and arm.
        design: `"paired"` or `"parallel"`.
        level: Of the simulated intervals [1], where an entry does not say its own.
        labels: What to call the arms.

    Returns:
        `kind ("months" | "rate" | "ratio"), who, what, endpoint, published, published_low, published_high, simulated,
        simulated_low, simulated_high, is_inside, source, note`; rates as fractions. `is_inside` is whether the
        simulated value lies within the published interval or, where none was published, the published value within the
        simulated one; None where there is no interval.

    Raises:
        InputError: For an entry that cannot be read.
    """
    import pandas as pd

    rows = []
    for number, entry in enumerate(published, 1):
        where = f"published result {number}"
        kind, name, what = _read_endpoint(entry, where)
        own = float(entry.get("ci_level") or level)
        own = own / 100.0 if own > 1.0 else own
        _check_level(own)
        given = _read_published(entry, kind, own)
        who = " vs ".join((labels or {}).get(arm, arm) for arm in entry.get("comparison") or [entry.get("arm", "")])
        table = patients
        if subgroup := entry.get("subgroup"):
            chosen = find_subgroup(str(subgroup), where)
            if not set(chosen.columns) <= set(patients.columns):
                raise InputError(f"{where}: the patient table has no column '{chosen.columns[0]}'")
            table = patients[np.asarray(chosen.holds(patients), bool)]
            who = f"{who}, {chosen.group.lower()}: {chosen.label}"
        if abs(own - level) > 1e-9:
            who = f"{who} ({100 * own:g} % interval)"
        value, interval, note = _simulated(entry, table, kind, name, design, own)
        is_inside = _is_inside(given, value, interval)
        rows.append((kind, who, what, name, *given, value, *interval, is_inside, entry.get("source", ""), note))
    columns = ["kind", "who", "what", "endpoint", "published", "published_low", "published_high"]
    columns += ["simulated", "simulated_low", "simulated_high", "is_inside", "source", "note"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype(dict.fromkeys(columns[4:10], "float64"))


SHORT_NAMES = {
    "age>=75": ("Age", "75 years or older"),
    "age>=65": ("Age", "65 years or older"),
    "renal impairment": ("Renal impairment", "eGFR below 60"),
    "high risk": ("Cytogenetics", "high risk"),
    "high-risk cytogenetics": ("Cytogenetics", "high risk"),
    "standard risk": ("Cytogenetics", "standard risk"),
    "lenalidomide-refractory": ("Lenalidomide", "refractory"),
}
ENDPOINTS = ("median_pfs", "orr", "vgpr_or_better", "cr_or_better", "mrd_negative", "hazard_ratio_pfs")
WORDS = {
    "median_pfs": "median PFS",
    "orr": "overall response",
    "vgpr_or_better": "VGPR or better",
    "cr_or_better": "CR or better",
    "mrd_negative": "MRD negative",
    "hazard_ratio_pfs": "hazard ratio of PFS",
}
_NOBODY = Survival(np.empty(0), np.empty(0, bool), np.empty(0))


def _read_endpoint(entry: Mapping[str, Any], where: str) -> tuple[str, str, str]:
    """Kind, endpoint and wording of a published result."""
    if "endpoint" not in entry:
        raise InputError(f"{where}: 'endpoint' is missing")
    if entry.get("value") is None and (entry.get("ci_low") is None or entry.get("ci_high") is None):
        raise InputError(f"{where}: give a value, or both ci_low and ci_high")
    given = str(entry["endpoint"])
    if "simulated" in entry:
        kind = "ratio" if "ratio" in given else "months" if given.endswith("_months") else "rate"
        return kind, given, given.replace("_", " ")
    words = given.split("_")
    if words[0] == "pfs" and len(words) == 3 and words[1].replace(".", "", 1).isdigit() and words[2] == "months":
        name, label = given, f"PFS at {words[1]} months"
    else:
        stem = "hazard_ratio_pfs" if given == "hazard_ratio" else given
        found = [known for known in ENDPOINTS if stem == known or stem.startswith(known + "_")]
        if not found:
            raise InputError(f"{where}: unknown endpoint '{given}'{did_you_mean(given, ENDPOINTS)}")
        name, label = found[0], WORDS[found[0]]
    kind = {"median_pfs": "months", "hazard_ratio_pfs": "ratio"}.get(name, "rate")
    if kind == "ratio":
        pair = entry.get("comparison")
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise InputError(f"{where}: a hazard ratio needs comparison = [arm, reference]")
        return kind, name, label
    if "arm" not in entry:
        raise InputError(f"{where}: '{given}' needs an arm")
    return kind, name, label


def _read_published(
    entry: Mapping[str, Any], kind: str, level: float
) -> tuple[float | None, float | None, float | None]:
    """Value and interval of a published result; rates as fractions."""
    value, low, high = (None if entry.get(key) is None else float(entry[key]) for key in ("value", "ci_low", "ci_high"))
    if kind != "rate":
        return value, low, high
    largest = max(number for number in (value, low, high, 0.0) if number is not None)
    scale = 0.01 if entry.get("unit") in ("percent", "%") or largest > 1.0 else 1.0
    value, low, high = (None if number is None else number * scale for number in (value, low, high))
    if low is None and high is None and value is not None and entry.get("n"):
        n = int(entry["n"])
        low, high = rate(round(value * n), n, level)[1]
    return value, low, high


def _simulated(
    entry: Mapping[str, Any], table: "pd.DataFrame", kind: str, name: str, design: str, level: float
) -> tuple[float | None, Interval, str]:
    """The simulated quantity, its interval, and why it is missing."""
    if "simulated" in entry:
        scaled = _read_published(
            {
                "value": entry["simulated"],
                "ci_low": entry.get("simulated_low"),
                "ci_high": entry.get("simulated_high"),
                "unit": entry.get("unit"),
            },
            kind,
            level,
        )
        return scaled[0], scaled[1:], "" if scaled[0] is not None else "not recorded"
    wanted = list(entry["comparison"]) if kind == "ratio" else [entry["arm"]]
    for arm in wanted:
        if not (table["arm"] == arm).any():
            return None, (None, None), f"no patient in arm '{arm}'"
    if kind == "ratio":
        ratio = hazard_ratio(survival(table, wanted[0]), survival(table, wanted[1]), design, level)
        return ratio.value, (ratio.ci_low, ratio.ci_high), ratio.note
    return _one_arm(table, wanted[0], name, level)


def _one_arm(table: "pd.DataFrame", arm: str, name: str, level: float) -> tuple[float | None, Interval, str]:
    """A quantity of one arm, its interval, and why it is missing."""
    times = survival(table, arm)
    if len(times.months) == 0:
        return None, (None, None), "no patient completed"
    if name == "median_pfs":
        value, interval = quantile_time(times, level)
        return value, interval, "" if value is not None else "not reached"
    if name.startswith("pfs_"):
        value, interval = survival_at(times, float(name.split("_")[1]), level)
        return value, interval, "" if value is not None else "not followed so long"
    value, interval = getattr(summary := arm_summary(table, arm, level), name), getattr(summary, f"{name}_ci")
    return value, interval, "" if value is not None else "not recorded"


def find_subgroup(name: str, where: str = "subgroup") -> Subgroup:
    """The subgroup of a label or short name."""
    folded = re.sub(r"\s*(>=|<=|>|<|:)\s*", r"\1", name.lower().strip())
    target = SHORT_NAMES.get(folded)
    for subgroup in SUBGROUPS:
        if (subgroup.group, subgroup.label) == target or folded in (
            subgroup.label.lower(),
            f"{subgroup.group}:{subgroup.label}".lower(),
        ):
            return subgroup
    known = [*SHORT_NAMES, *(f"{s.group}: {s.label}".lower() for s in SUBGROUPS)]
    raise InputError(f"{where}: unknown subgroup '{name}'{did_you_mean(name, known)}")


def _is_inside(published: Sequence[float | None], value: float | None, interval: Interval) -> bool | None:
    """Whether published and simulated agree within the interval of one of them; None where there is none.

    An end that is not reached has no limit.
    """
    centre, low, high = published
    if value is None or centre is None:
        return None
    if low is not None and high is not None:
        return low <= value <= high
    if interval[0] is None:
        return None
    return interval[0] <= centre and (interval[1] is None or centre <= interval[1])


def _reach(times: Survival) -> float:
    """Longest time up to which the curve is known: without end where its last patient had an event [month]."""
    last = times.months.max()
    return float("inf") if bool(np.all(times.event[times.months == last])) else float(last)


def _finite(value: Any) -> float | None:
    """A plain float, or None where it is none."""
    number = float(value)
    return number if np.isfinite(number) else None


def _plain(value: Any) -> Any:
    """`value` as JSON can hold it: lists for tuples, None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return _finite(value)
    if isinstance(value, np.generic):
        return value.item()
    return value


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise InputError(f"statistics: the level of an interval must lie in (0, 1), got {level:g}")


def _check_design(design: str) -> None:
    if design not in DESIGNS:
        raise InputError(f"statistics: unknown design '{design}'{did_you_mean(design, DESIGNS)}")
