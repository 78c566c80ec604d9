"""Progression-free survival of one group of patients, from the patient table of a trial.

Kaplan-Meier curves and their intervals are those of `lifelines` (davidsonpilon2019), to which the tests hold them. The standard error
of the restricted mean survival time (royston2013) is one contribution per patient, so that two arms with the same patients can be
compared pair by pair.

Where a quantity has no finite estimate the answer is None, never NaN.
"""

from collections.abc import Iterable, Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Floats = np.ndarray[Any, np.dtype[np.float64]]
Interval = tuple[float | None, float | None]

FEW_AT_RISK = 5  # patients below whom an event is a step too large to read a median from
RESPONSE_DAYS = "time_to_response_days"  # column of the patient table


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
        known = patients["arm"].cat.categories if hasattr(patients["arm"], "cat") else patients["arm"].unique()
        if arm not in known:
            raise InputError(f"patient table: no patient in arm '{arm}'{did_you_mean(arm, known)}")
        rows = rows[rows["arm"] == arm]
    return rows[rows["status"] == "completed"] if "status" in rows.columns else rows


def with_arms(patients: "pd.DataFrame", arms: Iterable[str]) -> "pd.DataFrame":
    """The patient table, knowing also the arms that chance has left empty: its column `arm` is then a categorical one."""
    import pandas as pd

    names = list(arms)
    if set(names) <= set(patients["arm"]):
        return patients
    words = [*names, *(name for name in patients["arm"].unique() if name not in names)]
    return patients.assign(arm=pd.Categorical(patients["arm"], words))


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


def duration_of_response(patients: "pd.DataFrame", arm: str) -> Survival:
    """From the first visit that was confirmed as a response to progression or death, of the responders among one arm's completed patients.

    Raises:
        InputError: As `survival`; where the table has no column of the time to response.
    """
    times, response = survival(patients, arm), _response_months(patients, arm)
    chosen = np.isfinite(response)
    return Survival(np.maximum(times.months - response, 0.0)[chosen], times.event[chosen], times.patient[chosen])


def time_to_response(patients: "pd.DataFrame", arm: str) -> Survival:
    """To the first visit that was confirmed as a response, of the responders, in whom it is always seen.

    Raises:
        InputError: As `duration_of_response`.
    """
    times, response = survival(patients, arm), _response_months(patients, arm)
    chosen = np.isfinite(response)
    return Survival(response[chosen], np.ones(int(chosen.sum()), np.bool_), times.patient[chosen])


def _response_months(patients: "pd.DataFrame", arm: str) -> Floats:
    rows = completed(patients, arm)
    if RESPONSE_DAYS not in rows.columns:
        raise InputError(f"patient table: column '{RESPONSE_DAYS}' is missing")
    return np.asarray(rows[RESPONSE_DAYS].to_numpy(np.float64, na_value=np.nan) / DAYS_PER_MONTH, np.float64)


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

    check_level(level)
    if len(times.months) == 0:
        raise InputError("Kaplan-Meier: the arm has no completed patient")
    # as lifelines has it (the tests compare)
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


def at_risk_at(times: Survival, quantile: float = 0.5) -> int | None:
    """Patients at risk where `quantile_time` is read; None where the curve does not come down so far."""
    curve = kaplan_meier(times)
    reached = curve.loc[curve["survival"] <= quantile + 1e-12, "at_risk"]
    return int(reached.iloc[0]) if len(reached) and times.event.any() else None


def survival_at(times: Survival, month: float, level: float = 0.95) -> tuple[float | None, Interval]:
    """Survival at one time with its interval [1]; None where follow-up is shorter and the curve has not ended."""
    curve = kaplan_meier(times, level)
    row = curve[curve["month"] <= month].iloc[-1]
    if month > times.months.max() and row["survival"] > 0.0:
        return None, (None, None)
    return float(row["survival"]), (finite(row["ci_low"]), finite(row["ci_high"]))


def rate(k: int, n: int, level: float = 0.95) -> tuple[float | None, Interval]:
    """A fraction and its Wilson interval; None of nobody."""
    check_level(level)
    if n == 0:
        return None, (None, None)
    z = NormalDist().inv_cdf(0.5 + level / 2.0)
    share = k / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return share, (max(0.0, centre - half) if k else 0.0, min(1.0, centre + half) if k < n else 1.0)


def restricted_mean(times: Survival, horizon: float) -> tuple[float, Floats]:
    """Mean survival time up to a horizon and what each patient contributes to its error.

    Args:
        times: Of one arm, not empty.
        horizon: Where the mean is cut [month].

    Returns:
        The mean [month] and the influence of each patient (n,) [month]; the sum of its squares estimates the variance.
    """
    inside = times._replace(event=times.event & (times.months <= horizon))
    steps = event_times(inside)
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
    return mean, sum_first(steps.hazard * weight, steps.seen) - own


class EventTimes(NamedTuple):
    """Distinct event times with what happens there, and where each patient stands among them.

    Attributes:
        months: When (t,) [month].
        at_risk: Patients at risk (t,).
        hazard: Share of them who have the event (t,).
        own: Index of each patient's own time, or where it would stand (n,).
        seen: At how many event times each patient was at risk (n,).
    """

    months: Floats
    at_risk: Floats
    hazard: Floats
    own: Any
    seen: Any


def event_times(times: Survival) -> EventTimes:
    """The event times of a group."""
    grid, failed = np.unique(times.months[times.event], return_counts=True)
    at_risk = count_from(times.months, grid)
    own, seen = (np.searchsorted(grid, times.months, side) for side in ("left", "right"))
    return EventTimes(grid, at_risk, failed / at_risk, own, seen)


def count_from(months: Floats, grid: Floats) -> Floats:
    """How many of `months` (n,) are at least each of `grid` (t,)."""
    return (len(months) - np.searchsorted(np.sort(months), grid, "left")).astype(np.float64)


def sum_first(values: Floats, seen: Any) -> Floats:
    """Sum of the first `seen` (n,) of `values` (t,)."""
    return np.append(0.0, np.cumsum(values))[seen]


def known_until(times: Survival) -> float:
    """Longest time up to which the curve is known: without end where its last patient had an event [month]."""
    last = times.months.max()
    return float("inf") if bool(np.all(times.event[times.months == last])) else float(last)


def finite(value: Any) -> float | None:
    """A plain float, or None where it is none."""
    number = float(value)
    return number if np.isfinite(number) else None


def as_json(value: Any) -> Any:
    """`value` as JSON can hold it: lists for tuples, None for what is not finite."""
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    if isinstance(value, float | np.floating):
        return finite(value)
    if isinstance(value, np.generic):
        return value.item()
    return value


def check_level(level: float) -> None:
    """Refuse a level of an interval that is none."""
    if not 0.0 < level < 1.0:
        raise InputError(f"statistics: the level of an interval must lie in (0, 1), got {level:g}")
