"""Answer a question of attribution: run every patient under every condition that it asks for, and write the tables."""

import time
from pathlib import Path
from typing import Any

from tme_abm import tables
from tme_abm.analysis.attribution.page import write_page
from tme_abm.analysis.attribution.question import Question
from tme_abm.analysis.attribution.tables import completed, death_table, knock_out_table, share_table, summarise
from tme_abm.analysis.run_book import BOOK, RunBook, carry_out, make_stamp, open_book
from tme_abm.batch.desk import Desk
from tme_abm.batch.files import write_json
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.trial.provenance import describe_run


def attribute(question: Question, folder: Path, desk: Desk | None = None, force: bool = False) -> dict[str, Any]:
    """Answer a question; what stands in the folder is not run again.

    Writes runs.jsonl, attribution, knockout and deaths as .parquet and .csv, summary.json, run.json, figures/ and
    report.html.

    Args:
        question: What is asked.
        folder: Where to write.
        desk: Who does the work, and who is told.
        force: Whether to run anew what the folder already holds.

    Returns:
        The summary, as summary.json holds it.

    Raises:
        InputError: For a folder that holds runs of another study, or where too few patients completed.
    """
    start, desk = time.perf_counter(), desk or Desk()
    with open_book(folder, question.study, make_stamp(question.study, question.horizon_days), force, desk.resume) as book:
        return _answer(question, book, desk, start)


def _answer(question: Question, book: RunBook, desk: Desk, start: float) -> dict[str, Any]:
    """Run what the book lacks, and write the answer."""
    study, folder = question.study, book.results.new
    carry_out(study, question.points, book, question.horizon_days, desk)
    desk.stop.check()
    shares, knock_outs, deaths = share_table(question, book), knock_out_table(question, book), death_table(question, book)
    from tme_abm.analysis import headings

    written = {
        "attribution": (shares, headings.ATTRIBUTION),
        "knockout": (knock_outs, headings.KNOCKOUT),
        "deaths": (deaths, headings.DEATHS),
    }
    for name, (table, declared) in written.items():
        tables.write(table, folder / f"{name}.parquet", declared)
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
        "mechanisms": {m.name: m.label for m in study.settings.catalogue.mechanisms},
        "labels": {arm.key: arm.label for arm in study.arms},
        "comparisons": [summarise(question, comparison, book, shares) for comparison in question.comparisons],
        "runs": len(book.rows),
        "failed": sum((i, point) not in book.rows for i in range(study.patients) for point in question.points(i)),
        "wall_seconds": round(time.perf_counter() - start, 1),
    }
    write_json(folder / "summary.json", summary)
    write_json(folder / "run.json", describe_run(study) | {"sources": book.results.sources()})
    write_page(folder, summary, (shares, knock_outs, deaths))
    book.write(folder / BOOK)
    desk.stop.check()
    book.results.publish(is_final=False)
    return summary
