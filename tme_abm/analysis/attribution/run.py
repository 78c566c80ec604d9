"""Answer a question of attribution: run every patient under every condition that it asks for, and write the tables."""

import json
import os
import time
from pathlib import Path
from typing import Any

from tme_abm.analysis.attribution.page import write_page
from tme_abm.analysis.attribution.question import Question
from tme_abm.analysis.attribution.tables import completed, death_table, knock_out_table, share_table, summarise
from tme_abm.analysis.run_book import BOOK, RunBook, Say, carry_out, make_stamp, silent
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.trial.progress import Progress, Silence
from tme_abm.trial.provenance import describe_run


def attribute(
    question: Question,
    folder: Path,
    workers: int | None = None,
    progress: Progress | None = None,
    say: Say = silent,
) -> dict[str, Any]:
    """Answer a question; what stands in the folder is not run again.

    Writes runs.jsonl (as runs finish), attribution, knockout and deaths as .parquet and .csv, summary.json, run.json, figures/ and
    report.html.

    Args:
        question: What is asked.
        folder: Where to write.
        workers: Patients at a time; the number of cores where it is left out.
        progress: Who is told how far it has come.
        say: Who is told how long it will take.

    Returns:
        The summary, as summary.json holds it.

    Raises:
        InputError: For a folder that holds runs of another study, or where too few patients completed.
    """
    study = question.study
    progress = progress or Silence()
    book = RunBook(folder / BOOK, make_stamp(study, question.horizon_days))
    start = time.perf_counter()
    carry_out(study, question.points, book, question.horizon_days, (workers or os.cpu_count() or 1, progress, say))

    shares, knock_outs, deaths = share_table(question, book), knock_out_table(question, book), death_table(question, book)
    for name, table in (("attribution", shares), ("knockout", knock_outs), ("deaths", deaths)):
        table.to_parquet(folder / f"{name}.parquet", index=False)
        table.to_csv(folder / f"{name}.csv", index=False)
    summary = {
        "scenario": study.name,
        "title": study.title,
        "seed": study.seed,
        "patients": study.patients,
        "completed": len(completed(question, book)),
        "horizon_months": question.horizon_days / DAYS_PER_MONTH,
        "samples": question.samples,
        "level": study.ci_level,
        "labels": {arm.key: arm.label for arm in study.arms},
        "comparisons": [summarise(question, comparison, book, shares) for comparison in question.comparisons],
        "runs": len(book.rows),
        "wall_seconds": round(time.perf_counter() - start, 1),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (folder / "run.json").write_text(json.dumps(describe_run(study), indent=2, default=str) + "\n", encoding="utf-8")
    write_page(folder, summary, (shares, knock_outs, deaths))
    return summary
