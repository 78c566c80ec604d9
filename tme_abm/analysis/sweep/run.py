"""Run a sweep: every patient at every point."""

import time
from functools import partial
from pathlib import Path
from typing import Any

from tme_abm import tables
from tme_abm.analysis.conditions import Load, carry_out, check_completed, open_book
from tme_abm.analysis.run_book import BOOK, RunBook, whole_visits
from tme_abm.analysis.sweep.form import Sweep
from tme_abm.analysis.sweep.points import Point, comparisons_of, lay_out
from tme_abm.analysis.sweep.tables import OUTCOMES, point_table, run_table
from tme_abm.batch.desk import Desk
from tme_abm.batch.files import write_json
from tme_abm.export.crate import describe_folder
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError
from tme_abm.trial.provenance import describe_run
from tme_abm.trial.study import Study


def sweep(given: Sweep, load: Load, folder: Path, desk: Desk | None = None, force: bool = False) -> dict[str, Any]:
    """Run a sweep; what stands in the folder is not run again.

    Writes runs.jsonl, sweep.parquet (a row per point, replicate, patient and arm), points.parquet and points.csv (a
    row per point, arm or comparison, and outcome), summary.json, run.json and figures/.

    Args:
        given: What is varied.
        load: Reads the trial with changes.
        folder: Where to write.
        desk: Who does the work, and who is told.
        force: Whether to begin anew what the folder already holds.

    Returns:
        The summary, as summary.json holds it.

    Raises:
        InputError: For a change that the trial refuses, a folder that holds another sweep, or too few patients who complete.
    """
    base, points = lay_out(given, load)
    horizon = whole_visits(base, given.horizon_days or base.follow_up.longest_days)
    desk = desk or Desk()
    with open_book(folder, given.resolved, load((), (), 0), horizon, force, desk.resume) as book:
        return _answer(given, (base, points), book, horizon, desk)


def _answer(given: Sweep, laid_out: tuple[Study, list[Point]], book: RunBook, horizon: float, desk: Desk) -> dict[str, Any]:
    """Run what the book lacks, and write tables and figures."""
    from tme_abm.analysis import headings
    from tme_abm.analysis.sweep.figures import draw
    from tme_abm.drawing import save

    (base, points), form, folder = laid_out, given.form, book.results.new
    book.results.before_publishing = partial(describe_folder, study=given)
    start = time.perf_counter()
    conditions = [condition for point in points for trial in point.replicates for condition in trial.values()]
    carry_out(conditions, form.patients, book, horizon, desk)
    desk.stop.check()

    failed = check_completed(conditions, form.patients, book)
    labels = {arm.key: arm.label for arm in base.arms}
    runs = run_table(points, form.patients, labels, book)
    arms = list(dict.fromkeys(runs["arm"]))
    comparisons = comparisons_of(form, base, arms)
    table = point_table(runs, list(form.axes), comparisons, base.ci_level)
    if not len(table):
        raise InputError("at no point did two patients complete every arm; more patients would help")
    tables.write(runs, folder / "sweep.parquet", headings.of_axes(headings.SWEEP, form.axes))
    tables.write(table, folder / "points.parquet", headings.of_axes(headings.POINTS, form.axes))
    table.to_csv(folder / "points.csv", index=False)
    for name, figure in draw(given, table, labels).items():
        for kind in ("svg", "png"):
            save(figure, folder / "figures", name, kind)
    summary = {
        "sweep": given.name,
        "title": given.title,
        "scenario": given.scenario,
        "seed": base.seed,
        "patients": form.patients,
        "replicates": form.replicates,
        "points": len(points),
        "runs": len({c.key for c in conditions}) * form.patients,
        "failed": failed,
        "horizon_months": horizon / DAYS_PER_MONTH,
        "axes": {key: axis.label for key, axis in form.axes.items()},
        "labels": {arm: labels[arm] for arm in arms},
        "outcomes": {name: outcome.words for name, outcome in OUTCOMES.items()},
        "wall_seconds": round(time.perf_counter() - start, 1),
    }
    write_json(folder / "summary.json", summary)
    facts = describe_run(base) | {"sweep": dict(given.resolved)}
    write_json(folder / "run.json", facts)
    book.write(folder / BOOK)
    desk.stop.check()
    book.results.publish(is_final=False)
    return summary


def in_words(summary: dict[str, Any], table: Any) -> list[str]:
    """The points between which the first comparison, or else the first arm, differs most."""
    rows = table[(table["outcome"] == "mean_pfs_ratio")]
    if not len(rows):
        rows = table[(table["outcome"] == "mean_pfs_months")]
    rows = rows[(rows["arm"] == rows["arm"].iloc[0]) & (rows["reference"] == rows["reference"].iloc[0])]
    arm, reference, labels = rows["arm"].iloc[0], rows["reference"].iloc[0], summary["labels"]
    who = labels[arm] if not reference else f"{labels[arm]} against {labels[reference]}"
    what = summary["outcomes"][rows["outcome"].iloc[0]].replace(" [month]", "").lower().replace("pfs", "PFS")
    lines = []
    for word, row in (("least", rows.loc[rows["value"].idxmin()]), ("most", rows.loc[rows["value"].idxmax()])):
        at = ", ".join(f"{label} {_plain(row[key])}" for key, label in summary["axes"].items())
        lines.append(f"{who}: {what} is {word}, {row['value']:.2f} ({row['low']:.2f} to {row['high']:.2f}), at {at}")
    return lines


def _plain(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
