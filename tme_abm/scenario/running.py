"""Run what a scenario describes, and write its results into a folder."""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import to_toml
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.reading import MARK

if TYPE_CHECKING:
    from tme_abm.laboratory.experiment import Experiment
    from tme_abm.trial.study import Study


def run(
    scenario: "str | Path | Mapping[str, Any] | Study | Experiment",
    folder: str | Path | None = None,
    workers: int | None = None,
    force: bool = False,
    progress: Any = None,
    rules: Iterable[Callable[[Any], Any]] = (),
) -> dict[str, Any]:
    """Run a study and write its tables, its report and the scenario itself into a folder.

    Args:
        scenario: As `load_scenario` takes it, or what that has returned.
        folder: Folder of the results; results/<name of the scenario> by default.
        workers: Patients at a time; the number of cores by default.
        force: Whether to replace earlier results in the folder.
        progress: Who is told how far it has come (`trial.progress.Progress`).
        rules: Functions of the `TumourModel`, each called once a day of treatment; what one removes dies of its name.

    Returns:
        The summary: of a trial, a row for each arm and each comparison.

    Raises:
        InputError: For a scenario that cannot run, or a folder that holds something else.
    """
    study = load_scenario(scenario) if isinstance(scenario, str | Path | Mapping) else scenario
    if given := tuple(rules):
        if study.resolved["kind"] != "trial":
            raise InputError(f"{study.name} is an experiment of the laboratory; rules in plain Python are called in trials")
        study = replace(study, settings=replace(study.settings, catalogue=study.settings.catalogue.with_rules(given)))
    target = Path("results") / study.name if folder is None else Path(folder)
    refuse_to_overwrite(target, force)
    _empty(target)
    (target / MARK).write_text(to_toml(study.resolved), encoding="utf-8")
    for name, content in study.settings.catalogue.copies().items():
        (target / name).parent.mkdir(exist_ok=True)
        (target / name).write_bytes(content)
    if study.resolved["kind"] == "trial":
        from tme_abm.trial.execution import run_study as run_it
    else:
        from tme_abm.laboratory.results import run_experiment as run_it  # type: ignore[assignment]
    return run_it(study, target, workers or cores(), progress)  # type: ignore[arg-type]


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
