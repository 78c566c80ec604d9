"""Whether a simulated result passes beside a published one: one rule for the report, the page and `tme predict`.

Of a difference of two medians, which may be nothing, no share says anything: the interval that was published decides. A median that is
not reached has failed only where patients were followed long enough to tell. A run of few patients misses by its own chance: it has no
verdict where one standard error of a response of one half is more than what overall response may differ by.
"""

import math
from typing import NamedTuple

NEAR_RATIO, NEAR_MEDIAN, NEAR_ORR, NEAR_SHARE = 0.08, 0.15, 0.06, 0.08
FEWEST_PATIENTS = math.ceil(0.25 / NEAR_ORR**2)  # of the run, in each arm
ROUNDING = 1e-12
PASS, MISS, NONE = "pass", "miss", ""
RULE = (
    f"A hazard ratio passes inside the published interval and within {NEAR_RATIO:g} of the published point, a subgroup's inside its "
    f"interval; a median within {100 * NEAR_MEDIAN:g} %; overall response within {100 * NEAR_ORR:g} points; deeper responses, residual "
    f"disease and PFS at a time within {100 * NEAR_SHARE:g}; where nobody responded, nobody does in most trials of that size; a "
    "difference of medians inside the published interval. A median that is not reached misses where patients were followed long enough "
    f"to tell. What cannot be told has no verdict: so of a run with fewer than {FEWEST_PATIENTS} patients in an arm, and of a hazard ratio "
    "without an interval of its own."
)


class Beside(NamedTuple):
    """A published result and the simulated one; rates as fractions, NaN where a number is missing.

    Attributes:
        kind: "months", "rate" or "ratio".
        endpoint: As `trial.published` names it.
        is_subgroup: Whether it is of a part of the patients.
        published: The published value.
        low: Lower end of its interval.
        high: Upper end of its interval.
        simulated: The simulated value.
        n: Patients of the published trial, of whom nobody may have responded.
        known_months: Time up to which a median that is not reached is known not to be; NaN where the value is missing for another reason.
        n_run: Patients of the simulated run in its smaller arm, in whole and not of the subgroup; None where no such run is behind it.
        has_own_interval: Whether the simulated value has an interval.
    """

    kind: str
    endpoint: str
    is_subgroup: bool
    published: float
    low: float
    high: float
    simulated: float
    n: int = 0
    known_months: float = math.nan
    n_run: int | None = None
    has_own_interval: bool = True


def verdict(row: Beside) -> str:
    """`PASS`, `MISS`, or `NONE` where nothing was published to compare with or the run cannot tell."""
    if (row.n_run is not None and row.n_run < FEWEST_PATIENTS) or (row.kind == "ratio" and not row.has_own_interval):
        return NONE
    is_known = not math.isnan(row.simulated)
    has_interval = not (math.isnan(row.low) or math.isnan(row.high))
    if row.endpoint == "median_pfs_difference":
        return _said(row.low <= row.simulated <= row.high) if has_interval and is_known else NONE
    if math.isnan(row.published):
        return NONE
    if not is_known:
        is_too_late = row.known_months >= (1.0 + NEAR_MEDIAN) * row.published
        return MISS if row.kind == "months" and is_too_late else NONE
    difference = abs(row.simulated - row.published)
    if row.kind == "ratio":
        if row.is_subgroup and not has_interval:
            return NONE
        is_inside = not has_interval or row.low <= row.simulated <= row.high
        return _said(is_inside and (row.is_subgroup or difference <= NEAR_RATIO + ROUNDING))
    if row.kind == "months":
        return _said(difference <= NEAR_MEDIAN * row.published + ROUNDING)
    if row.published == 0.0 and row.n:
        return _said((1.0 - row.simulated) ** row.n > 0.5)
    return _said(difference <= (NEAR_ORR if row.endpoint == "orr" else NEAR_SHARE) + ROUNDING)


def _said(is_met: bool) -> str:
    return PASS if is_met else MISS
