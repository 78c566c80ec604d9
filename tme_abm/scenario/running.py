"""Run what a scenario describes, and write its results into a folder."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tme_abm import __version__
from tme_abm.batch.desk import Desk, cores, silent
from tme_abm.batch.executors import Threads
from tme_abm.batch.progress import Progress, Silence
from tme_abm.batch.results import holds, open_results, read_json
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import to_toml
from tme_abm.scenario.kinds import load_scenario, running_of
from tme_abm.scenario.reading import MARK
from tme_abm.trial import attachments
from tme_abm.trial.provenance import describe_outside, model_digest

if TYPE_CHECKING:
    from tme_abm.laboratory.experiment import Experiment
    from tme_abm.trial.study import Study

__all__ = ["cores", "run"]


def run(
    scenario: "str | Path | Mapping[str, Any] | Study | Experiment",
    folder: str | Path | None = None,
    workers: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    rules: Iterable[Callable[[Any], Any]] = (),
    desk: Desk | None = None,
) -> dict[str, Any]:
    """Run a study and write its tables, its report, the scenario and what it read into a folder.

    A run that was stopped or killed goes on where it was: patients that were finished stand on disk. A run that is finished is not run
    again; its summary is read.

    Args:
        scenario: As `load_scenario` takes it, or what that has returned.
        folder: Folder of the results; results/<name of the scenario> by default.
        workers: Patients at a time; the number of cores by default.
        force: Whether to begin anew; earlier results are replaced once the new ones are complete.
        progress: Who is told how far it has come.
        rules: Functions of the `TumourModel`, each called once a day of treatment; what one removes dies of its name.
        desk: Who does the work, instead of `workers` and `progress`.

    Returns:
        The summary: of a trial, a row for each arm and each comparison.

    Raises:
        InputError: For a scenario that cannot run, a folder that holds something else or another run, or one that is in use.
        Stopped: Where the desk was told to stop.
    """
    study = load_scenario(scenario) if isinstance(scenario, str | Path | Mapping) else scenario
    if given := tuple(rules):
        if study.resolved["kind"] != "trial":
            raise InputError(f"{study.name} is an experiment of the laboratory; rules in plain Python are called in trials")
        study = replace(study, settings=replace(study.settings, catalogue=study.settings.catalogue.with_rules(given)))
    target = Path("results") / study.name if folder is None else Path(folder)
    desk = desk or Desk(Threads(workers or cores()), progress or Silence(), silent)
    table, copies = attachments.gather(study.resolved)
    with open_results(target, identify(study), force, desk.resume) as results:
        if results.took_over:
            desk.say(f"taken over from {results.took_over}, which has ended")
        if results.is_finished:
            desk.say(f"{target} holds this very run, finished; --force runs it anew")
            return read_json(target / "summary.json")
        for name, content in (copies | study.settings.catalogue.copies()).items():
            results.attach(name, content)
        (results.new / MARK).write_text(to_toml(table), encoding="utf-8")
        return running_of(study).run(replace(study, resolved=table), results, desk)


def is_of(study: "Study | Experiment", folder: Path) -> bool:
    """Whether a folder holds no run, or one of this study, finished or not, with the model as it stands."""
    return holds(folder, identify(study))


def identify(study: "Study | Experiment") -> dict[str, Any]:
    """What the results of an experiment depend on; where it is the same, so are they."""
    kind = running_of(study)
    table, copies = attachments.gather(study.resolved)
    values = json.dumps([(row["name"], row["value"]) for row in kind.numbers(study)], default=str)
    return {
        "seed": study.seed,
        "size": kind.size(study),
        "scenario": {key: value for key, value in table.items() if key not in ("seed", "patients")},
        "sources": {name: _digest(content) for name, content in copies.items()},
        **describe_outside(study.settings.catalogue),
        "set of parameters": _digest(values.encode()),
        "model": model_digest(),
        "version": __version__,
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
