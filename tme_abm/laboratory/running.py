"""An experiment of the laboratory as the command line sees every kind (`scenario.kinds.Running`)."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tme_abm.batch.desk import Desk
from tme_abm.batch.results import Results
from tme_abm.laboratory.experiment import Experiment
from tme_abm.trial.headline import Headline

WHEN = "farthest from the baseline, at the end of treatment, at the end; on which days, and under which question, says report.html"


def run(experiment: Experiment, results: Results, desk: Desk) -> dict[str, Any]:
    """Run it, or go on with it, and write its results."""
    from tme_abm.laboratory.results import run_experiment

    return run_experiment(experiment, results, desk)


def report(folder: Path, load: Callable[[], Experiment], to: Path) -> Path:
    """Write the report of a finished run again, into the folder `to`, from which it takes its place in `folder`."""
    from tme_abm.laboratory.results import read_table, write_report

    return write_report(load(), to, read_table(folder), folder)


def size(experiment: Experiment) -> str:
    """How much is run, in words."""
    name, number = experiment.pieces
    return f"{number} {name}"


def kind_in_words(experiment: Experiment, size: str) -> str:
    """What it is, in words."""
    return f"{experiment.resolved['kind'].replace('_', ' ')} of {size}"


def headline(experiment: Experiment, summary: Mapping[str, Any]) -> Headline:
    """What came out, in a few lines."""
    told = tuple(summary.get("remarks", summary["findings"]))
    asked = summary.get("answers", ())
    if not asked:
        return Headline(sentences=told)
    rows = [
        (row[0], *(re.sub(r" \([^)]*\)", "", cell).replace("; ", ", ") for cell in row[1:])) for answer in asked for row in answer["rows"]
    ]
    return Headline(tuple(asked[0]["columns"]), tuple(rows), (WHEN, *told))


def facts(experiment: Experiment) -> dict[str, str]:
    """What would be run, in words: name of a fact -> the fact."""
    return experiment.facts()


def details(experiment: Experiment) -> list[tuple[str, str, list[str]]]:
    """Nothing that the facts leave out."""
    return []


def numbers(experiment: Experiment) -> list[dict[str, Any]]:
    """Every number that the run uses, with unit, meaning, source and grade."""
    return experiment.origins()
