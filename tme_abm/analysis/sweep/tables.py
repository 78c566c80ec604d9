"""The tables of a sweep: one row per patient and arm, and one per point and outcome."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm.analysis.conditions import rows_of
from tme_abm.analysis.run_book import RunBook
from tme_abm.analysis.sweep.points import Point
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.outcomes.imwg import is_at_least
from tme_abm.trial.comparison import hazard_ratio
from tme_abm.trial.survival import Survival

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES, SEED = 1000, 1979
MISSING = -1  # a patient of the sweep who does not count at a point


class Outcome(NamedTuple):
    """What is read of an arm, or of an arm against its reference.

    Attributes:
        words: As a figure names it.
        factor: From the unit of the table to that of the figure.
        is_comparison: Whether it is of two arms.
        nothing: The value that stands for no difference; None where there is none.
    """

    words: str
    factor: float = 1.0
    is_comparison: bool = False
    nothing: float | None = None


OUTCOMES = {
    "mean_pfs_months": Outcome("Mean PFS to the horizon [month]"),
    "orr": Outcome("PR or better [%]", 100.0),
    "vgpr_or_better": Outcome("VGPR or better [%]", 100.0),
    "cr_or_better": Outcome("CR or better [%]", 100.0),
    "mrd_negative": Outcome("MRD negative [%]", 100.0),
    "log10_burden_visit_2": Outcome("Tumour burden at visit 2 [powers of ten]"),
    "hazard_ratio": Outcome("Hazard ratio of PFS", 1.0, True, 1.0),
    "mean_pfs_ratio": Outcome("Ratio of mean PFS", 1.0, True, 1.0),
    "burden_gain_log10": Outcome("Gain in burden at visit 2 [powers of ten]", 1.0, True, 0.0),
}
OF_ARMS = tuple(name for name, outcome in OUTCOMES.items() if not outcome.is_comparison)
OF_COMPARISONS = tuple(name for name, outcome in OUTCOMES.items() if outcome.is_comparison)


def run_table(points: Sequence[Point], patients: int, labels: dict[str, str], book: RunBook) -> "pd.DataFrame":
    """The tidy data set: a row per point, replicate, patient and arm, with every axis as a column."""
    import pandas as pd

    rows = []
    for point in points:
        for replicate, conditions in enumerate(point.replicates):
            for arm, condition in conditions.items():
                for index, run in enumerate(rows_of(condition, patients, book)):
                    row: dict[str, Any] = {"point": point.number, **point.values, "replicate": replicate, "seed": condition.study.seed}
                    row |= {"patient": index, "arm": arm, "label": labels[arm], "condition": condition.key}
                    if run is None:
                        rows.append(row | {"status": "failed"})
                        continue
                    row |= {"status": "completed", "pfs_months": run["pfs_days"] / DAYS_PER_MONTH, "pfs_event": run["pfs_event"]}
                    row |= {"event_kind": run["event_kind"], "best_response": run["best_response"]}
                    row |= {"orr": is_at_least(run["best_response"], "PR"), "vgpr_or_better": is_at_least(run["best_response"], "VGPR")}
                    row |= {"cr_or_better": is_at_least(run["best_response"], "CR"), "mrd_negative": run["mrd_negative"]}
                    row |= {name: run[name] for name in run if name.startswith(("log10_burden", "deaths_"))}
                    rows.append(row)
    table = pd.DataFrame(rows)
    numbers = [name for name in table.columns if name.startswith("log10_burden")]
    return table.astype(dict.fromkeys(numbers, "float64"))


def point_table(runs: "pd.DataFrame", axes: Sequence[str], comparisons: Sequence[tuple[str, str]], level: float = 0.95) -> "pd.DataFrame":
    """A row per point, arm or comparison, and outcome: `point, <axes>, arm, reference, outcome, value, low, high, n`.

    Only patients who completed in every arm of a point count there, so that arms are compared in the same patients. Intervals are
    bootstrapped over patients, a patient with all her arms; that of a hazard ratio is the Cox model's, clustered on the patient. The same
    patients of the sweep are drawn at every point, so an arm that is the same at two points has the same interval at both.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    runs = runs.assign(who=runs["replicate"].to_numpy(np.int64) * 10**9 + runs["patient"].to_numpy(np.int64))
    everyone = np.unique(runs["who"])
    drawn = np.random.default_rng(SEED).integers(0, len(everyone), (RESAMPLES, len(everyone)))
    for number in sorted(int(n) for n in runs["point"].unique()):
        group = runs[runs["point"] == number]
        at = {"point": number, **{axis: group[axis].iloc[0] for axis in axes}}
        done = group.groupby("who")["status"].transform(lambda s: bool((s == "completed").all()))
        wide = group[done.to_numpy(bool)].sort_values(["arm", "who"])
        arms = {str(arm): part for arm, part in wide.groupby("arm", sort=False)}
        n = len(next(iter(arms.values()))) if arms else 0
        if n < 2:
            continue
        here = np.unique(wide["who"])
        draws = np.where(np.isin(everyone, here), np.searchsorted(here, everyone), MISSING)[drawn]
        for arm, part in arms.items():
            for name in OF_ARMS:
                values = _column(part, name)
                rows.append({**at, "arm": arm, "reference": "", "outcome": name, **_mean(values, draws, level), "n": n})
        for arm, reference in comparisons:
            if arm not in arms or reference not in arms:
                continue
            for name, found in _compare(arms[arm], arms[reference], draws, level).items():
                rows.append({**at, "arm": arm, "reference": reference, "outcome": name, **found, "n": n})
    table = pd.DataFrame(rows)
    return table.astype(dict.fromkeys(("value", "low", "high"), "float64")) if len(table) else table


def _column(part: "pd.DataFrame", name: str) -> np.ndarray[Any, Any]:
    return part["pfs_months" if name == "mean_pfs_months" else name].to_numpy(np.float64, na_value=np.nan)


def _mean(values: np.ndarray[Any, Any], draws: np.ndarray[Any, Any], level: float) -> dict[str, float]:
    """Mean over those in whom it was seen, with its interval."""
    if not np.isfinite(values).any():
        return {"value": np.nan, "low": np.nan, "high": np.nan}
    with np.errstate(invalid="ignore"):
        return {"value": float(np.nanmean(values)), **_interval(_means(values, draws), level)}


def _means(values: np.ndarray[Any, Any], draws: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Means of resampled patients, missing values and `MISSING` patients left out."""
    values = np.append(values, np.nan)  # the last one is that of a patient who is missing
    seen = np.isfinite(values)
    n = seen[draws].sum(axis=1)
    return np.where(n > 0, np.where(seen, values, 0.0)[draws].sum(axis=1) / np.maximum(n, 1), np.nan)


def _interval(resampled: np.ndarray[Any, Any], level: float) -> dict[str, float]:
    kept = resampled[np.isfinite(resampled)]
    if kept.size == 0:
        return {"low": np.nan, "high": np.nan}
    low, high = np.quantile(kept, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return {"low": float(low), "high": float(high)}


def _compare(arm: "pd.DataFrame", reference: "pd.DataFrame", draws: np.ndarray[Any, Any], level: float) -> dict[str, dict[str, Any]]:
    """The outcomes of an arm against its reference, in the same patients."""
    times = [Survival(p["pfs_months"].to_numpy(np.float64), p["pfs_event"].to_numpy(bool), p["who"].to_numpy()) for p in (arm, reference)]
    ratio = hazard_ratio(times[0], times[1], "paired", level)
    missing = {"value": np.nan, "low": np.nan, "high": np.nan}
    found: dict[str, dict[str, Any]] = {
        "hazard_ratio": missing if ratio.value is None else {"value": ratio.value, "low": ratio.ci_low, "high": ratio.ci_high}
    }
    means = [_means(t.months, draws) for t in times]
    found["mean_pfs_ratio"] = {"value": times[0].months.mean() / times[1].months.mean(), **_interval(means[0] / means[1], level)}
    gain = _column(reference, "log10_burden_visit_2") - _column(arm, "log10_burden_visit_2")
    found["burden_gain_log10"] = _mean(gain, draws, level)
    return found
