"""Run what a scenario describes, and write its results into a folder."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tme_abm import __version__
from tme_abm.batch.desk import Desk, cores, silent
from tme_abm.batch.executors import Threads
from tme_abm.batch.progress import Progress, Silence
from tme_abm.batch.results import Results, open_results, read_json, refuse_another, refuse_foreign
from tme_abm.export.crate import describe_folder
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.paths import real
from tme_abm.foundation.toml import to_toml
from tme_abm.mechanisms.outside.catalogue import listed
from tme_abm.scenario.kinds import load_scenario, running_of
from tme_abm.scenario.notebook import notebook_progress
from tme_abm.scenario.reading import MARK
from tme_abm.trial import attachments
from tme_abm.trial.part import PART_FILE, refuse_part
from tme_abm.trial.provenance import describe_outside, model_digest

if TYPE_CHECKING:
    from tme_abm.laboratory.experiment import Experiment
    from tme_abm.laboratory.result import ExperimentResult
    from tme_abm.mechanisms.outside.loading import Wish
    from tme_abm.trial.result import Compared, TrialResult
    from tme_abm.trial.study import Study


def run(  # noqa: PLR0913 - what a study is, and who does the work, are the arguments
    scenario: "str | Path | Mapping[str, Any] | Study | Experiment",
    folder: str | Path | None = None,
    workers: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    patients: int | None = None,
    seed: int | None = None,
    rules: Callable[[Any], Any] | Iterable[Callable[[Any], Any]] = (),
    desk: Desk | None = None,
) -> "TrialResult | ExperimentResult":
    """Run a study; with a folder, write its tables, its report, the scenario and what it read there.

    A run that was stopped or killed goes on where it was: patients that were finished stand on disk. A run that is finished is not run
    again; its results are read.

    Args:
        scenario: As `load_scenario` takes it, or what that has returned.
        folder: Folder of the results; without one nothing is left on the disk (`Result.save` keeps what was found).
        workers: Patients at a time; the number of cores by default.
        force: Whether to begin anew; earlier results are replaced once the new ones are complete.
        progress: Who is told how far it has come; in a notebook, a line below the cell by default.
        patients: Another number of patients than the scenario's.
        seed: Another seed than the scenario's.
        rules: Functions of the `TumourModel`, each called once a day of treatment; plasma cells that one removes die of its name.
        desk: Who does the work, instead of `workers` and `progress`.

    Returns:
        The result: tables with units, figures, and as a mapping the summary.

    Raises:
        InputError: For a scenario that cannot run, a folder that holds something else or another run, or one that is in use.
        Stopped: Where the desk was told to stop.
    """
    study = with_rules(choose(scenario, patients, seed), rules)
    keeper = TemporaryDirectory(prefix="tme-") if folder is None else None
    target = Path(keeper.name if keeper is not None else folder or "")
    desk = desk or desk_of(workers, progress)
    with opened(study, target, identify(study), force, desk) as (results, kept):
        if results.is_finished:
            return as_result(study, read_json(target / "summary.json"), target, keeper)
        results.before_publishing = partial(describe_folder, study=study)
        return as_result(study, running_of(study).run(kept, results, desk), target, keeper)


def desk_of(workers: int | None, progress: Progress | None) -> Desk:
    """What a call from Python brings to long work."""
    return Desk(Threads(workers or cores()), progress or notebook_progress() or Silence(), silent)


def with_rules(study: "Study | Experiment", rules: Callable[[Any], Any] | Iterable[Callable[[Any], Any]]) -> "Study | Experiment":
    """A study with rules in plain Python, where any are given.

    Raises:
        InputError: For an experiment of the laboratory.
    """
    given = listed(rules)
    if not given:
        return study
    if study.resolved["kind"] != "trial":
        raise InputError(f"{study.name} is an experiment of the laboratory; rules in plain Python are called in trials")
    return replace(study, settings=replace(study.settings, catalogue=study.settings.catalogue.with_rules(given)))


@contextmanager
def opened(
    study: "Study | Experiment", folder: Path, identity: Mapping[str, Any], force: bool, desk: Desk
) -> "Iterator[tuple[Results, Any]]":
    """Work in a folder of results, in which the scenario and what it reads from elsewhere are laid down.

    Yields:
        The folder, and the study with paths that lead to the copies there.
    """
    table, copies = attachments.gather(study.resolved)
    with open_results(folder, identity, force, desk.resume) as results:
        results.say = desk.warn
        if results.took_over:
            desk.say(f"the lock of {results.took_over}, which has ended, was taken over")
        if results.is_finished:
            desk.say(f"{folder} holds this very run, finished; --force runs it anew")
        else:
            for name, content in (copies | study.settings.catalogue.copies()).items():
                results.attach(name, content)
            (results.new / MARK).write_text(to_toml(table), encoding="utf-8")
        yield results, replace(study, resolved=table)


def as_result(
    study: "Study | Experiment", summary: Mapping[str, Any], folder: Path, keeper: "TemporaryDirectory[str] | None" = None
) -> "TrialResult | ExperimentResult":
    """A finished run as the object that Python users get."""
    from tme_abm.trial.study import Study

    if isinstance(study, Study):
        from tme_abm.trial.result import TrialResult

        return TrialResult(study, summary, folder, keeper)
    from tme_abm.laboratory.result import ExperimentResult

    return ExperimentResult(study, summary, folder, keeper)


def load_results(folder: str | Path) -> "TrialResult | ExperimentResult":
    """The result of an earlier run, read from its folder.

    Raises:
        InputError: For a folder without a finished run.
    """
    place = Path(folder)
    refuse_part(place)
    for name in (MARK, "summary.json"):
        if not (place / name).is_file():
            raise InputError(f"{place} holds no finished run: {name} is missing")
    study = load_scenario(place / MARK, mechanisms=kept_mechanisms(place))
    return as_result(study, read_json(place / "summary.json"), place)


def kept_mechanisms(place: Path) -> list["Wish"]:
    """Mechanisms from outside that a run had along: of each copy that its folder keeps, those that run.json names, or part.json."""
    from tme_abm.mechanisms.outside.loading import Wish

    found = next((path for path in (place / "run.json", place / PART_FILE) if path.is_file()), None)
    rows = read_json(found).get("mechanisms", []) if found is not None else []
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and {type(row.get("file")), type(row.get("name"))} == {str} for row in rows
    ):
        raise InputError(f"{found}: the entry 'mechanisms' is damaged")
    return [Wish(str(place / row["file"]), real(place / row["file"]), only=frozenset({row["name"]})) for row in rows]


def compare(
    studies: "Sequence[str | Path | Mapping[str, Any] | Study | TrialResult]",
    workers: int | None = None,
    progress: Any = None,
    patients: int | None = None,
    seed: int | None = None,
) -> "Compared":
    """Put several studies side by side; those that have not run yet are run, and leave nothing on the disk.

    Args:
        studies: Results, or whatever `run` takes.
        workers: As `run` takes it.
        progress: As `run` takes it.
        patients: As `run` takes it.
        seed: As `run` takes it.

    Raises:
        InputError: For two studies of one name, or an experiment of the laboratory.
    """
    from tme_abm.trial.result import Compared, TrialResult

    found: dict[str, TrialResult] = {}
    for given in studies:
        ran = given if isinstance(given, TrialResult) else run(given, None, workers, False, progress, patients, seed)
        if not isinstance(ran, TrialResult):
            raise InputError(f"'{ran.name}' is an experiment of the laboratory; only trials have arms to compare")
        if ran.name in found:
            raise InputError(f"two of the studies are called '{ran.name}'; give one another name (`Study.with_dose(..., name=...)`)")
        found[ran.name] = ran
    return Compared(found)


def choose(scenario: "str | Path | Mapping[str, Any] | Study | Experiment", patients: int | None, seed: int | None) -> "Study | Experiment":
    """What is to run: a scenario resolved, or a study that is resolved already, with another number of patients or another seed.

    Raises:
        InputError: For an experiment of the laboratory, whose scenario says how many there are.
    """
    from tme_abm.trial.study import Study

    if isinstance(scenario, str | Path | Mapping):
        return load_scenario(scenario, patients=patients, seed=seed)
    study = scenario
    if patients is None and seed is None:
        return study
    if not isinstance(study, Study):
        raise InputError(f"'{study.name}' is an experiment of the laboratory; give patients and seed to load_scenario")
    changed = {name: value for name, value in (("patients", patients), ("seed", seed)) if value is not None}
    for name, value in changed.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < (1 if name == "patients" else 0):
            raise InputError(f"{name} must be a whole number from {1 if name == 'patients' else 0}, got {value!r}")
    return replace(study, **changed, resolved={**study.resolved, **changed})  # type: ignore[arg-type]


def refuse_another_run(study: "Study | Experiment", folder: Path) -> None:
    """Raise an `InputError` where a folder holds something else than runs of this study, finished or not, with the model as it stands."""
    refuse_foreign(folder)
    refuse_another(folder, identify(study))


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
