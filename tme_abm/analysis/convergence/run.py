"""Run a study with each choice of step and patch, and compare."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tme_abm.analysis.convergence.axes import Axis, first_comparison, points
from tme_abm.analysis.convergence.page import tables
from tme_abm.analysis.convergence.statistics import LEVEL, summarise
from tme_abm.analysis.run_book import BOOK, RunBook, Say, carry_out, make_stamp, silent, whole_visits
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.trial.progress import Progress, Silence
from tme_abm.trial.provenance import model_digest
from tme_abm.trial.study import Study


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
