"""Convergence: does the length of the step, or the size of the patch, move what a study says?

The same patients run with each choice of step and patch under both arms of a comparison; each choice is set against the finest of its
kind. Patients are the same, so the difference between two choices has a far smaller error than either of them: it is bootstrapped over
patients, both choices resampled alike. Beside the endpoints stand early and sharper measures: the tumour burden after three visits, and
deaths by cause until then, which say which mechanism depends on the step. How many patients an interval of a given width takes
follows from the error of the endpoints.
"""

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tme_abm.foundation.clock import DAYS_PER_MONTH, HOURS_PER_DAY
from tme_abm.foundation.errors import InputError
from tme_abm.trial.execution import Progress, Silence, model_digest
from tme_abm.trial.experiment import (
    BOOK,
    EARLY_VISITS,
    Point,
    RunBook,
    Say,
    carry_out,
    make_stamp,
    silent,
    whole_visits,
)
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

STEPS_H = (6.0, 2.0, 1.0)
SIDES = (64, 128, 256)
RESAMPLES = 1000
LEVEL = 0.95
BY_HAND = "<!-- what follows is written by hand and stays -->\n"
TARGETS = {  # half widths of an interval for which the number of patients is worked out
    "hazard ratio": (0.20, 0.10, 0.05),  # relative
    "median PFS": (1.0, 0.5, 0.25),  # [month]
    "mean PFS": (1.0, 0.5, 0.25),  # [month]
}


class Choice(NamedTuple):
    """A step [h] and the side of a square patch [sites]."""

    step_h: float
    side: int

    @property
    def words(self) -> str:
        """As a table says it."""
        return f"{self.step_h:g} h, {self.side} x {self.side}"


class Axis(NamedTuple):
    """Choices that differ in one thing, from coarse to fine."""

    name: str
    choices: tuple[Choice, ...]

    @property
    def finest(self) -> Choice:
        """The one that the others are set against."""
        return self.choices[-1]


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


def axes_of(steps_h: Sequence[float], sides: Sequence[int], base: Choice) -> list[Axis]:
    """The axes on which a study varies its numerics, the study's own choice among them.

    Args:
        steps_h: Steps to try on the base patch [h].
        sides: Patches to try with the base step [sites].
        base: The study's own choice.

    Raises:
        InputError: Where there is nothing to compare, or a step or patch cannot be.
    """
    from tme_abm.marrow.lattice import make_lattice

    for step_h in steps_h:
        if step_h <= 0.0 or abs(HOURS_PER_DAY / step_h % 1.0) > 1e-9:
            raise InputError(f"a step of {step_h:g} h does not divide a day")
    for side in sides:
        make_lattice(side, side)
    by_step = Axis("step", tuple(Choice(h, base.side) for h in sorted({*steps_h, base.step_h}, reverse=True)))
    by_side = Axis("patch", tuple(Choice(base.step_h, side) for side in sorted({*sides, base.side})))
    found = [axis for axis in (by_step, by_side) if len(axis.choices) > 1]
    if not found:
        raise InputError("nothing to compare: give at least one step or patch other than the study's own")
    return found


def converge(
    study: Study,
    folder: Path,
    axes: Sequence[Axis],
    horizon_days: float | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    say: Say = silent,
) -> dict[str, Any]:
    """Run a study with each choice of numerics and compare; what stands in the folder is not run again.

    Args:
        study: What to run; its first comparison is the one that is looked at.
        folder: Where runs, tables and the summary are written.
        axes: What is varied.
        horizon_days: How long patients are watched [d]; the longest follow-up where it is left out.
        workers: Patients at a time; the number of cores where it is left out.
        progress: Who is told how far it has come.
        say: Who is told how long it will take.

    Returns:
        The summary, as summary.json holds it.

    Raises:
        InputError: For a study without a comparison, or a folder that holds runs of something else.
    """
    arm, reference = first_comparison(study)
    horizon_days = whole_visits(study, study.follow_up.longest_days if horizon_days is None else horizon_days)
    progress = progress or Silence()
    book = RunBook(folder / BOOK, make_stamp(study, horizon_days, ("marrow",)))
    start = time.perf_counter()
    plan = points(axes, (arm, reference))
    carry_out(study, lambda index: plan, book, horizon_days, (workers or os.cpu_count() or 1, progress, say))
    summary = {
        "scenario": study.name,
        "title": study.title,
        "seed": study.seed,
        "model": model_digest(),
        "patients": study.patients,
        "arm": arm,
        "reference": reference,
        "labels": {a.key: a.label for a in study.arms},
        "horizon_months": horizon_days / DAYS_PER_MONTH,
        "level": LEVEL,
        **summarise(book, study.patients, axes, (arm, reference)),
        "wall_seconds": round(time.perf_counter() - start, 1),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    tables(summary).to_csv(folder / "convergence.csv", index=False)
    return summary


def first_comparison(study: Study) -> tuple[str, str]:
    """Keys of arm and reference.

    Raises:
        InputError: For a study that compares no arms.
    """
    if not study.comparisons:
        raise InputError(f"{study.name} compares no arms: `trial.compare` is empty")
    return study.comparisons[0]


def points(axes: Sequence[Axis], arms: Sequence[str]) -> list[Point]:
    """All conditions of one patient, each once."""
    choices = dict.fromkeys(choice for axis in axes for choice in axis.choices)
    return [Point(arm, frozenset(), c.side, c.side, c.step_h) for c in choices for arm in arms]


# ---- statistics ------------------------------------------------------------------------------------------------------


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


def log_hazard_ratio(months: Floats, event: NDArray[np.bool_], treated: Floats) -> float:
    """Estimate of the Cox model with one binary covariate, ties by Efron; NaN where there is none.

    Args:
        months: Times (n,).
        event: Whether each is an event (n,).
        treated: 1 in the arm, 0 in the reference (n,).
    """
    if not event.any():
        return float("nan")
    grid, at = np.unique(months, return_inverse=True)
    size = len(grid)

    def from_here(weights: Floats) -> Floats:
        return np.bincount(at, weights, size)[::-1].cumsum()[::-1]

    risk1, risk0 = from_here(treated), from_here(1.0 - treated)
    fell1, fell = np.bincount(at, treated * event, size), np.bincount(at, event, size).astype(np.int64)
    here = np.repeat(np.arange(size), fell)
    turn = np.concatenate([np.arange(d) / d for d in fell if d])
    a = risk1[here] - turn * fell1[here]
    b = risk0[here] - turn * (fell - fell1)[here]
    wanted = float(fell1.sum())
    if not (np.minimum(a, b) > 0.0).any() or wanted in (0.0, float(fell.sum())):
        return float("nan")
    value = 0.0
    for _ in range(50):
        share = a * np.exp(value) / (a * np.exp(value) + b)
        information = float((share * (1.0 - share)).sum())
        if information < 1e-12:
            return float("nan")
        change = (wanted - float(share.sum())) / information
        value += float(np.clip(change, -2.0, 2.0))
        if abs(change) < 1e-10:
            break
    return value if abs(value) < 15.0 else float("nan")


def median(months: Floats, event: NDArray[np.bool_]) -> float:
    """Median time where everybody is watched to the horizon; NaN where half of them have no event by then."""
    times = np.sort(np.where(event, months, np.inf))
    middle = times[(len(times) - 1) // 2]  # the first time by which half had an event, as the Kaplan-Meier curve reads
    return float(middle) if np.isfinite(middle) else float("nan")


ENDPOINTS: dict[str, Callable[[Sample], float]] = {
    "log hazard ratio": lambda s: log_hazard_ratio(s.months.T.ravel(), s.event.T.ravel(), np.repeat([1.0, 0.0], len(s.months))),
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
                "other_candidates": sum(
                    found[choice][i][0]["screened_out"] != found[axis.finest][i][0]["screened_out"] for i in everyone
                ),
                "seconds_per_patient": round(float(np.mean([sum(r["seconds"] for r in found[choice][i]) for i in everyone])), 3),
                "estimates": {name: interval(values[:, k, e])._asdict() for e, name in enumerate(ENDPOINTS)},
                "differences": {},
                "causes": {},
            }
            if choice != axis.finest:
                entry["differences"] = {
                    name: interval(values[:, k, e] - values[:, -1, e])._asdict() for e, name in enumerate(ENDPOINTS)
                }
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


# ---- what is written -------------------------------------------------------------------------------------------------


def tables(summary: dict[str, Any]) -> "pd.DataFrame":
    """Every estimate and difference as a row."""
    import pandas as pd

    rows = []
    for axis in summary["axes"]:
        for entry in axis["choices"]:
            for name in ENDPOINTS:
                row = {"axis": axis["name"], "step_h": entry["step_h"], "side": entry["side"], "n": entry["n"], "endpoint": name}
                row |= entry["estimates"][name]
                row |= {f"difference_{k}": v for k, v in entry["differences"].get(name, {}).items()}
                rows.append(row)
    return pd.DataFrame(rows)


def figure(summary: dict[str, Any]) -> "Figure":
    """Differences of each choice to the finest of its axis, with their intervals."""
    from tme_abm.trial import figures

    names = {
        "log hazard ratio": "Log hazard ratio",
        "mean PFS, arm": f"Mean PFS, {summary['labels'][summary['arm']]} [month]",
        "mean PFS, reference": f"Mean PFS, {summary['labels'][summary['reference']]} [month]",
    }

    def draw() -> "Figure":
        from matplotlib.figure import Figure

        fig = Figure((11.0, 1.2 + 2.6 * len(summary["axes"])), layout="constrained", facecolor="white")
        panels = fig.subplots(len(summary["axes"]), len(names), squeeze=False)
        for row, axis in zip(panels, summary["axes"], strict=True):
            entries = axis["choices"]
            ticks = [f"{e['step_h']:g} h" if axis["name"] == "step" else f"{e['side']}\N{SUPERSCRIPT TWO}" for e in entries]
            for axes, (name, title) in zip(row, names.items(), strict=True):
                axes.axhline(0.0, color=figures.GREY, lw=1.0)
                for x, entry in enumerate(entries):
                    difference = entry["differences"].get(name, {"value": 0.0, "low": None, "high": None})
                    if difference["value"] is None:
                        continue
                    ink = figures.VERMILLION if entry["differences"] and is_apart(difference) else figures.BLUE
                    if difference["low"] is not None:
                        axes.plot([x, x], [difference["low"], difference["high"]], color=ink, lw=2.2)
                    axes.plot(x, difference["value"], "o", color=ink, ms=7)
                axes.set_xticks(range(len(entries)), ticks)
                axes.set_xlim(-0.5, len(entries) - 0.5)
                axes.set_title(title, fontsize=11)
            row[0].set_ylabel(f"{axis['name']}: minus the finest")
        return fig

    return figures.styled(draw)()


def document(summary: dict[str, Any], command: str, image: str) -> str:
    """The page docs/convergence.md.

    Args:
        summary: As `converge` returns it.
        command: That repeats it.
        image: Path of the figure as seen from the page.
    """
    label = summary["labels"]
    arm, reference = label[summary["arm"]], label[summary["reference"]]
    horizon = f"{summary['horizon_months']:.1f}"
    lines = [
        "# Convergence: step, patch, number of patients",
        "",
        f"Written by `{command}`, model {summary['model']}.",
        f"{summary['patients']} patients of `{summary['scenario']}` (seed {summary['seed']}), {arm} against {reference},",
        f"watched for {horizon} months without drop-out. The same patients run with every choice, so a difference has a smaller error than",
        "the values; errors, in brackets, are standard errors by bootstrap over patients. A difference whose 95 % interval leaves out zero",
        "is **bold**; of twenty that are nothing but chance, one is.",
        "",
        f"![Differences to the finest choice]({image})",
        "",
    ]
    for axis in summary["axes"]:
        lines += [f"## {axis['name'].capitalize()}", "", *_value_table(axis, arm, reference), ""]
        lines += [f"Difference to {axis['finest']}:", "", *_difference_table(axis, arm, reference), ""]
        lines += [f"Deaths of plasma cells in the first {EARLY_VISITS} visits, relative to {axis['finest']} [%]:", ""]
        lines += [*_cause_table(axis, arm, reference), "", verdict(axis), ""]
    lines += ["## How many patients an interval takes", ""]
    lines += ["Errors fall with the root of the number of patients; each is in both arms.", ""]
    lines += ["| endpoint | half width of the 95 % interval | patients |", "| --- | --- | --- |"]
    for row in summary["patients_needed"]:
        width = f"{100 * row['half_width']:g} % of the ratio" if row["endpoint"].startswith("log") else f"{row['half_width']:g} months"
        who = row["endpoint"].removeprefix("log ").replace(", arm", f", {arm}").replace(", reference", f", {reference}")
        lines.append(f"| {who} | {width} | {row['patients'] if row['patients'] is not None else '-'} |")
    if summary["failed"]:
        lines += ["", "Patients that failed: " + ", ".join(f"{n} with {words}" for words, n in summary["failed"].items()) + "."]
    return "\n".join(lines) + "\n"


def _cell(estimate: dict[str, Any], digits: int = 2, mark: bool = False) -> str:
    if estimate.get("value") is None:
        return "-"
    text = f"{estimate['value']:+.{digits}f}" if mark else f"{estimate['value']:.{digits}f}"
    if estimate["error"] is not None:
        text += f" ({estimate['error']:.{digits}f})"
    return f"**{text}**" if mark and is_apart(estimate) else text


_COLUMNS = (
    ("log HR", "log hazard ratio", 3),
    ("median PFS, {arm}", "median PFS, arm", 2),
    ("median PFS, {reference}", "median PFS, reference", 2),
    ("mean PFS, {arm}", "mean PFS, arm", 2),
    ("mean PFS, {reference}", "mean PFS, reference", 2),
    ("log10 burden, visit 3, {arm}", "early burden, arm", 3),
    ("log10 burden, visit 3, {reference}", "early burden, reference", 3),
)


def _head(first: str, titles: Sequence[str]) -> list[str]:
    return [f"| {first} | " + " | ".join(titles) + " |", "| --- |" + " --- |" * len(titles)]


def _value_table(axis: dict[str, Any], arm: str, reference: str) -> list[str]:
    titles = [title.format(arm=arm, reference=reference) for title, _, _ in _COLUMNS]
    lines = _head("choice", [*titles, "s a patient"])
    for entry in axis["choices"]:
        cells = [_cell(entry["estimates"][name], digits) for _, name, digits in _COLUMNS]
        lines.append(f"| {entry['choice']} | " + " | ".join([*cells, f"{entry['seconds_per_patient']:.2f}"]) + " |")
    return lines


def _difference_table(axis: dict[str, Any], arm: str, reference: str) -> list[str]:
    titles = [title.format(arm=arm, reference=reference) for title, _, _ in _COLUMNS]
    lines = _head("choice", [*titles, "other candidate in"])
    for entry in axis["choices"]:
        if entry["differences"]:
            cells = [_cell(entry["differences"][name], digits, True) for _, name, digits in _COLUMNS]
            lines.append(f"| {entry['choice']} | " + " | ".join([*cells, f"{entry['other_candidates']} patients"]) + " |")
    return lines


def _cause_table(axis: dict[str, Any], arm: str, reference: str) -> list[str]:
    entries = [entry for entry in axis["choices"] if entry["causes"]]
    names = list(dict.fromkeys(name for entry in entries for name in entry["causes"]))
    lines = _head("cause", [entry["choice"] for entry in entries])
    for name in names:
        cells = []
        for entry in entries:
            found = entry["causes"].get(name, {"relative": None})
            if found["relative"] is None:
                cells.append("-")
                continue
            text = f"{100 * found['relative']:+.1f} ({100 * found['error']:.1f})"
            cells.append(f"**{text}**" if abs(found["relative"]) > 1.96 * found["error"] else text)
        words = name.replace("_", " ").replace(", arm", f", {arm}").replace(", reference", f", {reference}")
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return lines


def verdict(axis: dict[str, Any]) -> str:
    """One sentence on an axis: which choices agree with the finest in hazard ratio and PFS, and how small a difference could be told."""
    watched = ("log hazard ratio", "median PFS, arm", "median PFS, reference", "mean PFS, arm", "mean PFS, reference")
    parts = []
    for entry in axis["choices"]:
        if not entry["differences"]:
            continue
        apart = [name for name in watched if is_apart(entry["differences"][name])]
        error = entry["differences"]["log hazard ratio"]["error"]
        scale = "" if error is None else f" (the error of the difference of log HR is {error:.3f})"
        if apart:
            parts.append(f"{entry['choice']} differs from {axis['finest']} in {', '.join(apart)}{scale}")
        else:
            parts.append(f"{entry['choice']} agrees with {axis['finest']} within the Monte-Carlo error{scale}")
    return "; ".join(parts) + "."


def write_page(summary: dict[str, Any], folder: Path, command: str) -> list[Path]:
    """Write convergence.md and images/convergence.png into a folder; the paths of both.

    What was written by hand below `BY_HAND` in an earlier convergence.md stays.
    """
    from tme_abm.trial import figures

    picture = figures.save(figure(summary), folder / "images", "convergence", "png")
    text = folder / "convergence.md"
    _, mark, kept = text.read_text(encoding="utf-8").partition(BY_HAND) if text.is_file() else ("", "", "")
    page = document(summary, command, "images/convergence.png")
    text.write_text(f"{page}\n{mark}{kept}" if mark else page, encoding="utf-8")
    return [text, picture]


def own_choice(study: Study) -> Choice:
    """The step and the patch of a study.

    Raises:
        InputError: For a patch that is not square.
    """
    settings = study.settings
    if settings.height != settings.width:
        raise InputError(f"{study.name}: convergence is studied on square patches, not {settings.height} x {settings.width} sites")
    return Choice(settings.step_h, settings.height)
