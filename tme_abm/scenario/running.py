"""Run what a scenario describes, and write its results into a folder."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tme_abm.export.crate import describe_folder
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import to_toml
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.notebook import notebook_progress
from tme_abm.scenario.reading import MARK

if TYPE_CHECKING:
    from tme_abm.laboratory.experiment import Experiment
    from tme_abm.laboratory.result import ExperimentResult
    from tme_abm.trial.result import Compared, TrialResult
    from tme_abm.trial.study import Study


def run(
    scenario: "str | Path | Mapping[str, Any] | Study | Experiment",
    folder: str | Path | None = None,
    workers: int | None = None,
    force: bool = False,
    progress: Any = None,
    patients: int | None = None,
    seed: int | None = None,
) -> "TrialResult | ExperimentResult":
    """Run a study; with a folder, write its tables, its report and the scenario itself there.

    Args:
        scenario: As `load_scenario` takes it, or what that has returned.
        folder: Folder of the results; without one nothing is left on the disk (`Result.save` keeps what was found).
        workers: Patients at a time; the number of cores by default.
        force: Whether to replace earlier results in the folder.
        progress: Who is told how far it has come (`trial.progress.Progress`); in a notebook, a line below the cell by default.
        patients: Another number of patients than the scenario's.
        seed: Another seed than the scenario's.

    Returns:
        The result: tables with units, figures, and as a mapping the summary.

    Raises:
        InputError: For a scenario that cannot run, or a folder that holds something else.
    """
    if isinstance(scenario, str | Path | Mapping):
        study = load_scenario(scenario, patients=patients, seed=seed)
    elif patients is None and seed is None:
        study = scenario
    else:
        study = _again(scenario, patients, seed)
    keeper = TemporaryDirectory(prefix="tme-") if folder is None else None
    target = Path(keeper.name if keeper is not None else folder or "")
    progress = progress or notebook_progress()
    refuse_to_overwrite(target, force)
    _empty(target)
    (target / MARK).write_text(to_toml(study.resolved), encoding="utf-8")
    if study.resolved["kind"] == "trial":
        from tme_abm.trial.execution import run_study as run_it
    else:
        from tme_abm.laboratory.results import run_experiment as run_it  # type: ignore[assignment]
    summary = run_it(study, target, workers or cores(), progress)  # type: ignore[arg-type]
    describe_folder(target, study)
    return as_result(study, summary, target, keeper)


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


def open_results(folder: str | Path) -> "TrialResult | ExperimentResult":
    """The result of an earlier run, read from its folder.

    Raises:
        InputError: For a folder without a finished run.
    """
    import json

    place = Path(folder)
    for name in (MARK, "summary.json"):
        if not (place / name).is_file():
            raise InputError(f"{place} holds no finished run: {name} is missing")
    return as_result(load_scenario(place / MARK), json.loads((place / "summary.json").read_text(encoding="utf-8")), place)


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


def _again(study: "Study | Experiment", patients: int | None, seed: int | None) -> "Study | Experiment":
    """A study that is resolved already, with another number of patients or another seed.

    Raises:
        InputError: For an experiment of the laboratory, whose scenario says how many there are.
    """
    from dataclasses import replace

    from tme_abm.trial.study import Study

    if not isinstance(study, Study):
        raise InputError(f"'{study.name}' is an experiment of the laboratory; give patients and seed to load_scenario")
    changed = {name: value for name, value in (("patients", patients), ("seed", seed)) if value is not None}
    for name, value in changed.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < (1 if name == "patients" else 0):
            raise InputError(f"{name} must be a whole number from {1 if name == 'patients' else 0}, got {value!r}")
    return replace(study, **changed, resolved={**study.resolved, **changed})  # type: ignore[arg-type]


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def refuse_to_overwrite(folder: Path, force: bool) -> None:
    """Raise an `InputError` where writing results into a folder would destroy anything that the user has not given up."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder; choose another")
    if folder.is_dir() and any(folder.iterdir()):
        if not force:
            raise InputError(f"{folder} is not empty; replace what is in it with --force, or choose another folder with --out")
        if not (folder / MARK).is_file():
            raise InputError(f"{folder} holds something else than results, which is never replaced; choose another folder with --out")


def _empty(folder: Path) -> None:
    """Make the folder, without earlier results."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
