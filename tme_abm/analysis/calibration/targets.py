"""Published figures as targets: what was found, on the scale of its endpoint, and how exactly."""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

from tme_abm.analysis.bank.weighted import kind_of, scaled
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.trial.study import Study


class Target(NamedTuple):
    """A published figure.

    Attributes:
        scenario: Its scenario.
        arm: Its arm.
        endpoint: Such as "median_pfs" or "orr".
        value: As published, a time in months, a share as a fraction.
        error: Standard error on the scale of the endpoint, where an interval was published; None to take it from `n`.
        n: Patients of the arm.
        label: The arm as people write it.
        source: Key of the publication.
    """

    scenario: str
    arm: str
    endpoint: str
    value: float
    error: float | None
    n: int
    label: str
    source: str

    @property
    def at(self) -> float:
        """The value on its scale."""
        return scaled(self.endpoint, self.value)


def targets(study: Study, name: str, arms: Sequence[str]) -> list[Target]:
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
        found += [_target(row, name, labels[arm]) for row in rows]
    return found


def _target(row: Mapping[str, Any], name: str, label: str) -> Target:
    endpoint = str(row["endpoint"])
    if row.get("role") != "calibration":
        role = f"has the role '{row['role']}'" if row.get("role") else "has no role"
        raise InputError(f"{name}: {endpoint} of the arm '{row['arm']}' {role}; only rows with role = \"calibration\" may be fitted")
    kind = kind_of(endpoint)
    value = float(row["value"]) * (0.01 if kind == "share" else 1.0)
    error = None
    if row.get("ci_low") and row.get("ci_high"):
        z = NormalDist().inv_cdf(0.5 + float(row.get("ci_level", 0.95)) / 2.0)
        ends = [float(row[key]) * (0.01 if kind == "share" else 1.0) for key in ("ci_low", "ci_high")]
        error = (scaled(endpoint, ends[1]) - scaled(endpoint, ends[0])) / (2.0 * z)
    if not row.get("n"):
        raise InputError(f"{name}: {endpoint} of the arm '{row['arm']}' does not say of how many patients (n)")
    if error is not None and not math.isfinite(error):
        raise InputError(f"{name}: the interval of {endpoint} of the arm '{row['arm']}' has no width")
    return Target(name, row["arm"], endpoint, value, error, int(row["n"]), label, str(row.get("source", "")))
