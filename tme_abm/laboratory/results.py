"""The results folder of an experiment: table.parquet and .csv, summary.json, run.json, figures and the report."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tme_abm import drawing, tables
from tme_abm.batch.desk import Desk
from tme_abm.batch.files import write_json
from tme_abm.batch.results import Results
from tme_abm.foundation.declare import GRADES
from tme_abm.foundation.errors import InputError
from tme_abm.laboratory.experiment import Experiment
from tme_abm.laboratory.headings import HEADINGS
from tme_abm.trial.provenance import describe_machine, describe_outside, model_digest
from tme_abm.trial.report import command, page

if TYPE_CHECKING:
    import pandas as pd


def run_experiment(experiment: Experiment, results: Results, desk: Desk) -> dict[str, Any]:
    """Run an experiment, or go on with it, and write its results.

    Args:
        experiment: What to run.
        results: The folder of results, in which an earlier command may have begun.
        desk: Who does the work and who is told.

    Returns:
        The summary, as summary.json holds it.
    """
    start = time.perf_counter()
    if results.resumed:
        desk.say(f"{results.resumed} of {experiment.pieces[1]} {experiment.pieces[0]} stand on disk; going on with the others")
    table = experiment.run_kept(results.journal, desk.executor, desk.progress, desk.stop)
    folder = results.new
    tables.write(table, folder / "table.parquet", HEADINGS[experiment.resolved["kind"]])
    table.to_csv(folder / "table.csv", index=False, lineterminator="\n")
    write_json(folder / "run.json", describe_experiment(experiment) | {"sources": results.sources()})
    desk.stop.check()
    summary = {
        "scenario": experiment.name,
        "seed": experiment.seed,
        "findings": experiment.findings(table),
        "remarks": experiment.remarks(table),
        "answers": [answer._asdict() for answer in experiment.answers(table)],
        **without_nan(experiment.summarise(table)),
        "wall_seconds": round(time.perf_counter() - start, 2),
    }
    write_json(folder / "summary.json", summary)
    write_report(experiment, folder, table, results.folder)
    desk.stop.check()
    results.publish()
    return summary


def without_nan(content: Any) -> Any:
    """The same with None where a number is none, as JSON has no word for that."""
    if isinstance(content, Mapping):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    return None if isinstance(content, float) and math.isnan(content) else content


def describe_experiment(experiment: Experiment) -> dict[str, Any]:
    """All that is needed to run an experiment again, and every number with its origin."""
    return {
        "name": experiment.name,
        "seed": experiment.seed,
        "scenario": experiment.resolved,
        "parameters": experiment.origins(),
        "model": model_digest(),
        **describe_outside(experiment.settings.catalogue),
        **describe_machine(),
    }


def read_table(folder: Path) -> "pd.DataFrame":
    """The table of a finished experiment.

    Raises:
        InputError: Where there is none.
    """
    import pandas as pd

    path = folder / "table.parquet"
    if not path.is_file():
        raise InputError(f"{folder} holds no finished experiment: table.parquet is missing")
    return pd.read_parquet(path.absolute())


def write_report(experiment: Experiment, folder: Path, table: "pd.DataFrame", home: Path | None = None) -> Path:
    """Write report.html and the files of its figures into a results folder.

    The same experiment and table give the same page: it holds no date.

    Args:
        experiment: What was run.
        folder: Where to write.
        table: What was measured.
        home: Where the report will stand, if not there.
    """
    drawn = experiment.draw(table)
    for key, made in drawn.items():
        for kind in ("png", "svg"):
            drawing.save(made.figure, folder / "figures", key, kind)
    text = page(
        "experiment.html.j2",
        (Path(__file__).parent / "templates",),
        title=experiment.title,
        summary_text=experiment.summary,
        facts=experiment.facts(),
        findings=experiment.remarks(table),
        answers=experiment.answers(table),
        figures={key: (drawing.data_address(d.figure), d.caption) for key, d in drawn.items()},
        parameters=experiment.origins(),
        grades=GRADES,
        versions=describe_machine()["versions"],
        command=command(folder, home),
    )
    target = folder / "report.html"
    target.write_text(text, encoding="utf-8")
    return target
