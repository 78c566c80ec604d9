"""What a trial found, as summary.json holds it: the results of each arm and of each comparison."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.outcomes import imwg
from tme_abm.trial.comparison import compare
from tme_abm.trial.survival import Interval, as_json, completed, quantile_time, rate, survival, with_arms

if TYPE_CHECKING:
    import pandas as pd

RESPONSES = (*reversed(imwg.RESPONSES), imwg.NOT_EVALUABLE)
DEPTHS = {
    name: tuple(response for response in RESPONSES if imwg.is_at_least(response, least))
    for name, least in {"orr": "PR", "vgpr_or_better": "VGPR", "cr_or_better": "CR"}.items()
}
AFTER_MASS_SPECTROMETRY = "cr_or_better_after_mass_spectrometry"
SHARES = {  # share of the patients -> column of the patient table, and the responses that count
    **{name: ("best_response", depths) for name, depths in DEPTHS.items()},
    AFTER_MASS_SPECTROMETRY: ("best_response_after_mass_spectrometry", DEPTHS["cr_or_better"]),
}


@dataclass(frozen=True)
class ArmSummary:
    """One arm of a trial; fractions are of the patients who completed.

    Attributes:
        n: Patients with status "completed": every denominator.
        n_started: Patients in the table, whatever became of them.
        n_events: Progressions and deaths.
        n_clinical: Clinical progressions among them; None where the table does not tell.
        median_pfs_months: None where less than half of the patients had an event.
        pfs_ci: Interval of the median; an end is None where it is not reached [month].
        median_follow_up_months: By the reverse Kaplan-Meier estimate [month].
        orr: Partial response or better [1]; each fraction is followed by its Wilson interval.
        vgpr_or_better: Very good partial response or better [1].
        cr_or_better: Complete response or better [1].
        cr_or_better_after_mass_spectrometry: The same, with the band of an antibody told from the patient's own [1].
        mrd_negative: Tested and negative; a missing test counts as positive [1].
        median_time_to_response_months: Among responders [month].
        note: Why something is missing; empty where nothing is.
    """

    n: int
    n_started: int
    n_events: int
    n_clinical: int | None
    median_pfs_months: float | None
    pfs_ci: Interval
    median_follow_up_months: float | None
    orr: float | None
    orr_ci: Interval
    vgpr_or_better: float | None
    vgpr_or_better_ci: Interval
    cr_or_better: float | None
    cr_or_better_ci: Interval
    cr_or_better_after_mass_spectrometry: float | None
    cr_or_better_after_mass_spectrometry_ci: Interval
    mrd_negative: float | None
    mrd_negative_ci: Interval
    median_time_to_response_months: float | None
    note: str


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
    started = int((patients["arm"] == arm).sum())
    if n == 0:
        notes.append("no patient completed" if started else "no patient in this arm")
    else:
        median, ci = quantile_time(times, level)
        follow_up = quantile_time(times._replace(event=~times.event))[0]
        if median is None:
            notes.append("median PFS not reached")
    shares: dict[str, tuple[float | None, Interval]] = {}
    for name, (column, depths) in SHARES.items():
        if column in rows.columns:
            shares[name] = rate(int(rows[column].isin(depths).sum()), n, level)
        else:
            shares[name] = (None, (None, None))
    if "mrd_negative" in rows.columns:
        shares["mrd_negative"] = rate(int(rows["mrd_negative"].eq(True).sum()), n, level)  # missing is positive
    else:
        shares["mrd_negative"] = (None, (None, None))
    response_days = rows["time_to_response_days"].dropna() if "time_to_response_days" in rows.columns else rows.iloc[:0]
    return ArmSummary(
        n=n,
        n_started=started,
        n_events=int(times.event.sum()),
        n_clinical=int(rows["progression_kind"].eq("clinical").sum()) if "progression_kind" in rows.columns else None,
        median_pfs_months=median,
        pfs_ci=ci,
        median_follow_up_months=follow_up,
        orr=shares["orr"][0],
        orr_ci=shares["orr"][1],
        vgpr_or_better=shares["vgpr_or_better"][0],
        vgpr_or_better_ci=shares["vgpr_or_better"][1],
        cr_or_better=shares["cr_or_better"][0],
        cr_or_better_ci=shares["cr_or_better"][1],
        cr_or_better_after_mass_spectrometry=shares[AFTER_MASS_SPECTROMETRY][0],
        cr_or_better_after_mass_spectrometry_ci=shares[AFTER_MASS_SPECTROMETRY][1],
        mrd_negative=shares["mrd_negative"][0],
        mrd_negative_ci=shares["mrd_negative"][1],
        median_time_to_response_months=float(np.median(response_days.to_numpy(np.float64))) / DAYS_PER_MONTH
        if len(response_days)
        else None,
        note="; ".join(notes),
    )


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
    patients = with_arms(patients, arms)
    return {
        "design": design,
        "level": level,
        "arms": {arm: as_json(asdict(arm_summary(patients, arm, level))) for arm in arms},
        "comparisons": [as_json(asdict(compare(patients, a, b, design, level))) for a, b in comparisons],
    }
