"""Differences between choices of step and patch, and their errors."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tme_abm.analysis.convergence.axes import Axis, Choice
from tme_abm.analysis.run_book import EARLY_VISITS, Point, RunBook
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError
from tme_abm.trial import cox

Floats = NDArray[np.float64]
RESAMPLES = 1000
LEVEL = 0.95
TARGETS = {  # half widths of an interval for which the number of patients is worked out
    "hazard ratio": (0.20, 0.10, 0.05),  # relative
    "median PFS": (1.0, 0.5, 0.25),  # [month]
    "mean PFS": (1.0, 0.5, 0.25),  # [month]
}


class Estimate(NamedTuple):
    """A value with its bootstrap standard error and interval; None where it is not reached."""

    value: float | None
    error: float | None
    low: float | None
    high: float | None


class Sample(NamedTuple):
    """What the patients of one choice gave: a row per patient, a column per arm (arm, reference)."""

    months: Floats  # (n, 2) time to progression, death or the horizon
    event: NDArray[np.bool_]  # (n, 2)
    responder: Floats  # (n, 2)
    burden: Floats  # (n, 2) log10 of the burden over that at the start, after `EARLY_VISITS` visits
    early: dict[str, Floats]  # cause -> (n, 2) deaths until then for each plasma cell at the start


def collect(book: RunBook, patients: int, choice: Choice, arms: Sequence[str]) -> dict[int, list[dict[str, Any]]]:
    """Rows of the patients who completed both arms of a choice: index -> a row per arm."""
    where = [Point(arm, frozenset(), choice.side, choice.side, choice.step_h) for arm in arms]
    found = {i: [book.rows.get((i, point)) for point in where] for i in range(patients)}
    return {i: rows for i, rows in found.items() if all(row is not None for row in rows)}  # type: ignore[misc]


def make_sample(rows: Sequence[Sequence[dict[str, Any]]]) -> Sample:
    """The arrays of some patients of one choice."""

    def table(name: str) -> Floats:
        return np.array([[np.nan if row.get(name) is None else float(row[name]) for row in pair] for pair in rows]).reshape(-1, 2)

    causes = sorted({name for pair in rows for row in pair for name in row if name.startswith("early_deaths_")})
    return Sample(
        table("pfs_days") / DAYS_PER_MONTH,
        table("pfs_event") > 0.5,
        table("responder"),
        table(f"log10_burden_visit_{EARLY_VISITS}"),
        {name.removeprefix("early_deaths_"): table(name) for name in causes},
    )


def log_hazard_ratio(sample: Sample) -> float:
    """Estimate of the Cox model, the arm against its reference; NaN where there is none."""
    months, event = sample.months.T, sample.event.T
    estimate = cox.fit(cox.risk_sets((months[0], months[1]), (event[0], event[1])))
    return float("nan") if estimate is None else estimate.log_ratio


def median(months: Floats, event: NDArray[np.bool_]) -> float:
    """Median time where everybody is watched to the horizon; NaN where half of them have no event by then."""
    times = np.sort(np.where(event, months, np.inf))
    middle = times[(len(times) - 1) // 2]  # the first time by which half had an event, as the Kaplan-Meier curve reads
    return float(middle) if np.isfinite(middle) else float("nan")


ENDPOINTS: dict[str, Callable[[Sample], float]] = {
    "log hazard ratio": log_hazard_ratio,
    "median PFS, arm": lambda s: median(s.months[:, 0], s.event[:, 0]),
    "median PFS, reference": lambda s: median(s.months[:, 1], s.event[:, 1]),
    "mean PFS, arm": lambda s: float(s.months[:, 0].mean()),
    "mean PFS, reference": lambda s: float(s.months[:, 1].mean()),
    "mean PFS, difference": lambda s: float((s.months[:, 0] - s.months[:, 1]).mean()),
    "response, arm": lambda s: float(s.responder[:, 0].mean()),
    "response, reference": lambda s: float(s.responder[:, 1].mean()),
    "early burden, arm": lambda s: _mean(s.burden[:, 0]),
    "early burden, reference": lambda s: _mean(s.burden[:, 1]),
}
UNITS = {"log": "log", "median": "month", "mean": "month", "response": "fraction", "early": "log10"}


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def pick(sample: Sample, who: NDArray[np.int64]) -> Sample:
    """The sample of some of its patients, with repeats."""
    early = {name: column[who] for name, column in sample.early.items()}
    return Sample(sample.months[who], sample.event[who], sample.responder[who], sample.burden[who], early)


def resampled(samples: Sequence[Sample], resamples: int = RESAMPLES) -> Floats:
    """All endpoints of some samples of the same patients: as they are (row 0), and with patients resampled alike in all samples.

    Returns:
        Endpoints (1 + resamples, n_samples, n_endpoints) in the order of `ENDPOINTS`.
    """
    n = len(samples[0].months)
    rng = np.random.default_rng(20240)
    rows = [np.arange(n), *(rng.integers(0, n, n) for _ in range(resamples))]
    return np.array([[[measure(drawn) for measure in ENDPOINTS.values()] for drawn in (pick(s, who) for s in samples)] for who in rows])


def interval(column: Floats, level: float = LEVEL) -> Estimate:
    """A value (first) with its standard error and interval over the resamples (the others).

    Resamples without a value (a median that is not reached) are left out; where they are more than a tenth there is no interval.
    """
    value, draws = float(column[0]), column[1:]
    if not np.isfinite(value):
        return Estimate(None, None, None, None)
    known = draws[np.isfinite(draws)]
    if known.size < 0.9 * draws.size or known.size < 2:
        return Estimate(value, None, None, None)
    low, high = np.quantile(known, [0.5 - level / 2.0, 0.5 + level / 2.0])
    return Estimate(value, float(known.std(ddof=1)), float(low), float(high))


def summarise(book: RunBook, patients: int, axes: Sequence[Axis], arms: Sequence[str]) -> dict[str, Any]:
    """Every choice with its errors, its difference to the finest of its axis, and the patients that intervals take."""
    found = {choice: collect(book, patients, choice, arms) for axis in axes for choice in axis.choices}
    result: dict[str, Any] = {"axes": [], "failed": {}}
    for choice, rows in found.items():
        if len(rows) < patients:
            result["failed"][choice.words] = patients - len(rows)
    for axis in axes:
        everyone = sorted(set.intersection(*(set(found[c]) for c in axis.choices)))
        if len(everyone) < 2:
            raise InputError(f"fewer than two patients completed all choices of the {axis.name}")
        samples = {c: make_sample([found[c][i] for i in everyone]) for c in axis.choices}
        seen = np.all([np.isfinite(s.burden) for s in samples.values()], axis=0)  # early burdens only of whom all choices still saw
        samples = {c: s._replace(burden=np.where(seen, s.burden, np.nan)) for c, s in samples.items()}
        finest = samples[axis.finest]
        values = resampled(list(samples.values()))
        rows_out = []
        for k, choice in enumerate(axis.choices):
            one = samples[choice]
            entry: dict[str, Any] = {
                "choice": choice.words,
                "step_h": choice.step_h,
                "side": choice.side,
                "n": len(everyone),
                "other_candidates": sum(found[choice][i][0]["screened_out"] != found[axis.finest][i][0]["screened_out"] for i in everyone),
                "seconds_per_patient": round(float(np.mean([sum(r["seconds"] for r in found[choice][i]) for i in everyone])), 3),
                "estimates": {name: interval(values[:, k, e])._asdict() for e, name in enumerate(ENDPOINTS)},
                "differences": {},
                "causes": {},
            }
            if choice != axis.finest:
                entry["differences"] = {name: interval(values[:, k, e] - values[:, -1, e])._asdict() for e, name in enumerate(ENDPOINTS)}
                entry["causes"] = {
                    f"{cause}, {side}": _cause(one, finest, cause, column)
                    for cause in one.early
                    for column, side in enumerate(("arm", "reference"))
                    if np.nansum(one.early[cause][:, column]) + np.nansum(finest.early[cause][:, column]) > 0.0
                }
            rows_out.append(entry)
        result["axes"].append({"name": axis.name, "finest": axis.finest.words, "choices": rows_out})
    result["patients_needed"] = patients_needed(result["axes"][0]["choices"])
    return result


def _cause(one: Sample, finest: Sample, cause: str, column: int) -> dict[str, Any]:
    """Early deaths of a cause: with this choice, with the finest, and their ratio less 1 with its error (delta method)."""
    a, b = one.early[cause][:, column], finest.early[cause][:, column]
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if a.size < 2 or b.mean() <= 0.0:
        return {"value": _mean(a), "finest": _mean(b), "relative": None, "error": None}
    ratio = a.mean() / b.mean()
    error = float(np.std(a - ratio * b, ddof=1) / np.sqrt(a.size) / b.mean())
    return {"value": float(a.mean()), "finest": float(b.mean()), "relative": float(ratio - 1.0), "error": error}


def patients_needed(choices: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many patients, each in both arms, give an interval of some half width; errors fall with the root of their number.

    Read off the study's own, coarsest choice.
    """
    z = 1.959964
    own = choices[0]
    rows = []
    for target, half_widths in TARGETS.items():
        names = ["log hazard ratio"] if target == "hazard ratio" else [f"{target}, arm", f"{target}, reference"]
        for name in names:
            error = own["estimates"][name]["error"]
            for half in half_widths:
                wanted = np.log1p(half) if target == "hazard ratio" else half
                n = None if error is None else int(np.ceil(own["n"] * (z * error / wanted) ** 2))
                rows.append({"endpoint": name, "half_width": half, "patients": n})
    return rows


def is_apart(difference: dict[str, Any]) -> bool:
    """Whether a difference lies outside its Monte-Carlo error."""
    return difference["low"] is not None and not difference["low"] <= 0.0 <= difference["high"]
