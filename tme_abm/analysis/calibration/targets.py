"""Published figures as targets, and how far a simulated trial is from them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm.analysis.calibration.plan import Floats, Unfit
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import pandas as pd

SHARES = ("orr", "vgpr_or_better", "cr_or_better", "mrd_negative")
MOST_FAILED = 0.05  # share of patients whose runs may fail before a set of values is given up


class Target(NamedTuple):
    """A published figure on the scale of the loss.

    Attributes:
        scenario: Its scenario.
        arm: Its arm.
        endpoint: "median_pfs" or one of `SHARES`.
        value: As published, a median in months, a share as a fraction.
        error: Standard error on the scale of the loss.
        tolerance: Error of the model that is allowed for, on the same scale.
        label: The arm as people write it.
        source: Key of the publication.
    """

    scenario: str
    arm: str
    endpoint: str
    value: float
    error: float
    tolerance: float
    label: str
    source: str


class Residual(NamedTuple):
    """A target beside the simulation.

    Attributes:
        target: What was published.
        value: Simulated, as `Target.value`; where there are replicates, the mean of them on the scale of the loss.
        error: Standard error of the simulated value on the scale of the loss.
    """

    target: Target
    value: float
    error: float

    @property
    def total(self) -> float:
        """What a difference is measured in."""
        return math.sqrt(self.target.error**2 + self.error**2 + self.target.tolerance**2)

    @property
    def z(self) -> float:
        """Difference over its error."""
        return (scaled(self.target.endpoint, self.value) - scaled(self.target.endpoint, self.target.value)) / self.total


def scaled(endpoint: str, value: float) -> float:
    """A value on the scale of the loss: logarithm of a median, arcsine of the root of a share."""
    return math.log(value) if endpoint == "median_pfs" else math.asin(math.sqrt(value))


def unscaled(endpoint: str, at: float) -> float:
    """The value at a place on the scale of the loss."""
    return math.exp(at) if endpoint == "median_pfs" else math.sin(min(max(at, 0.0), math.pi / 2)) ** 2


def standard_error(endpoint: str, n: float) -> float:
    """Of a share or of a median of `n` patients on the scale of the loss.

    That of a share does not depend on the share; that of a median is the one of the Kaplan-Meier estimate at a constant hazard:
    sqrt(1/4 / n) / (1/2 ln 2), relative to the median.
    """
    return 1.0 / (math.log(2.0) * math.sqrt(n)) if endpoint == "median_pfs" else 0.5 / math.sqrt(n)


def targets(study: Study, name: str, arms: Sequence[str], tolerance: Mapping[str, float]) -> list[Target]:
    """The published figures of some arms.

    Raises:
        InputError: For an arm that is none, has no figure, or has one that is not for calibration.
    """
    labels = {arm.key: arm.label for arm in study.arms}
    found = []
    for arm in arms:
        if arm not in labels:
            raise InputError(f"{name}: there is no arm '{arm}'{did_you_mean(arm, labels)}")
        rows = [row for row in study.published if row.get("arm") == arm and "subgroup" not in row]
        if not rows:
            raise InputError(f"{name}: the arm '{arm}' has no published figure to calibrate to")
        found += [_target(row, name, labels[arm], tolerance) for row in rows]
    return found


def _target(row: Mapping[str, Any], name: str, label: str, tolerance: Mapping[str, float]) -> Target:
    endpoint = row["endpoint"]
    if row.get("role") != "calibration":
        role = f"has the role '{row['role']}'" if row.get("role") else "has no role"
        raise InputError(f"{name}: {endpoint} of the arm '{row['arm']}' {role}; only rows with role = \"calibration\" may be fitted")
    if endpoint not in ("median_pfs", *SHARES):
        raise InputError(f"{name}: {endpoint} of the arm '{row['arm']}' cannot be fitted{did_you_mean(endpoint, ('median_pfs', *SHARES))}")
    value = float(row["value"]) * (1.0 if endpoint == "median_pfs" else 0.01)
    if endpoint == "median_pfs" and row.get("ci_low") and row.get("ci_high"):
        z = NormalDist().inv_cdf(0.5 + float(row.get("ci_level", 0.95)) / 2.0)
        error = math.log(row["ci_high"] / row["ci_low"]) / (2.0 * z)
    elif row.get("n"):
        error = standard_error(endpoint, row["n"])
    else:
        raise InputError(f"{name}: {endpoint} of the arm '{row['arm']}' has neither n nor an interval")
    allowed = tolerance["median_pfs" if endpoint == "median_pfs" else "share"]
    return Target(name, row["arm"], endpoint, value, error, float(allowed), label, row.get("source", ""))


def smooth_median(months: Floats, event: np.ndarray[Any, Any]) -> float:
    """Median of the Kaplan-Meier estimate, as a smooth function of what happened [month].

    The estimate falls in steps at visits, 28 days apart, and so its median jumps. Here the line through the middles of the steps is
    followed to one half; on average over where one half falls within a step that is the usual median. Beyond the last step the curve
    goes on with its mean hazard so far.
    """
    order = np.argsort(months, kind="stable")
    times, happened = months[order], event[order].astype(bool)
    at, survival = [0.0], [1.0]
    height = 1.0
    for time in np.unique(times[happened]):
        at_risk = int((times >= time).sum())
        below = height * (1.0 - int((happened & (times == time)).sum()) / at_risk)
        at.append(float(time))
        survival.append((height + below) / 2.0)
        height = below
        if survival[-1] <= 0.5:
            share = (survival[-2] - 0.5) / (survival[-2] - survival[-1])
            return at[-2] + share * (at[-1] - at[-2])
    last = max(float(times[-1]), 1e-9)
    height = min(max(survival[-1] if len(at) > 1 else 1.0, 0.5), 1.0 - 0.5 / len(times))
    return last * math.log(0.5) / math.log(height)


def measure(target: Target, tables: Sequence["pd.DataFrame"]) -> Residual:
    """A target beside replicates of its arm.

    Raises:
        Unfit: Where more patients failed than may.
    """
    from tme_abm.trial.summary import DEPTHS
    from tme_abm.trial.survival import completed, survival

    places, n = [], 0
    for table in tables:
        rows = completed(table, target.arm)
        started = int((table["arm"] == target.arm).sum())
        if len(rows) < (1.0 - MOST_FAILED) * started:
            reason = next((str(text) for text in table.get("failure", ()) if isinstance(text, str) and text), "")
            raise Unfit(f"{target.scenario}: {started - len(rows)} of {started} patients failed: {reason}")
        n += len(rows)
        if target.endpoint == "median_pfs":
            times = survival(table, target.arm)
            value = smooth_median(times.months, times.event)
        elif target.endpoint == "mrd_negative":
            value = float(rows["mrd_negative"].eq(True).mean())
        else:
            value = float(rows["best_response"].isin(DEPTHS[target.endpoint]).mean())
        places.append(scaled(target.endpoint, value))
    return Residual(target, unscaled(target.endpoint, float(np.mean(places))), standard_error(target.endpoint, n))


def loss(residuals: Iterable[Residual]) -> float:
    """Sum of the squared differences."""
    return math.fsum(r.z**2 for r in residuals)


def noise(residuals: Iterable[Residual]) -> float:
    """Standard deviation of the loss from the chance of the virtual patients, as if the targets were independent.

    With z the difference and s the share of the simulation's error in it, z^2 varies by 4 z^2 s^2 + 2 s^4.
    """
    return math.sqrt(math.fsum(4.0 * r.z**2 * (r.error / r.total) ** 2 + 2.0 * (r.error / r.total) ** 4 for r in residuals))
