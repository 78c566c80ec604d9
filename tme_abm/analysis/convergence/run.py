"""Run a study with each choice of step and patch, and compare."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tme_abm.analysis.convergence.axes import Axis, first_comparison, points
from tme_abm.analysis.convergence.page import pages, tables, write_page
from tme_abm.analysis.convergence.statistics import LEVEL, summarise
from tme_abm.analysis.run_book import BOOK, RunBook, carry_out, make_stamp, open_book, whole_visits
from tme_abm.batch.desk import Desk
from tme_abm.batch.files import write_json
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.trial.provenance import describe_run, model_digest
from tme_abm.trial.study import Study


def converge(
    study: Study,
    folder: Path,
    axes: Sequence[Axis],
    horizon_days: float | None = None,
    desk: Desk | None = None,
    force: bool = False,
    command: str = "",
) -> dict[str, Any]:
    """Run a study with each choice of numerics and compare; what stands in the folder is not run again.

    Args:
        study: What to run; its first comparison is the one that is looked at.
        folder: Where runs, tables and the summary are written.
        axes: What is varied.
        horizon_days: How long patients are watched [d]; the longest follow-up where it is left out.
        desk: Who does the work, and who is told.
        force: Whether to run anew what the folder already holds.
        command: What a reader would type; the page is written into the folder too where it is given.

    Returns:
        The summary, as summary.json holds it.

    Raises:
        InputError: For a study without a comparison, or a folder that holds runs of something else.
    """
    arm, reference = first_comparison(study)
    horizon_days = whole_visits(study, study.follow_up.longest_days if horizon_days is None else horizon_days)
    desk = desk or Desk()
    start = time.perf_counter()
    plan = points(axes, (arm, reference))
    with open_book(folder, study, make_stamp(study, horizon_days, ("marrow",)), force, desk.resume) as book:
        carry_out(study, lambda index: plan, book, horizon_days, desk)
        desk.stop.check()
        summary = describe(study, book, axes, horizon_days, start)
        new = book.results.new
        write_json(new / "summary.json", summary)
        write_json(new / "run.json", describe_run(study) | {"sources": book.results.sources()})
        tables(summary).to_csv(new / "convergence.csv", index=False)
        book.write(new / BOOK)
        if command:
            for page in filter(Path.is_file, pages(folder)[:1]):  # what was written into it by hand stays
                (new / page.name).write_bytes(page.read_bytes())
            write_page(summary, new, command)
        book.results.publish(is_final=False)
    return summary


def describe(study: Study, book: RunBook, axes: Sequence[Axis], horizon_days: float, start: float) -> dict[str, Any]:
    """The summary, as summary.json holds it; `start` is when the command began (`time.perf_counter`)."""
    arm, reference = first_comparison(study)
    return {
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
