"""Run a part of a trial, and merge parts: for jobs that know nothing of each other, such as those of a job array."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tme_abm.batch.desk import Desk
from tme_abm.batch.results import differences, read_json
from tme_abm.export.crate import describe_folder
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.paths import real
from tme_abm.scenario.kinds import load_trial
from tme_abm.scenario.reading import MARK
from tme_abm.scenario.running import as_result, choose, desk_of, identify, kept_mechanisms, opened, with_rules
from tme_abm.trial.part import PART_FILE, Kept, Part, check_fit, make_part, merge_parts, read_part, whole_journals
from tme_abm.trial.result import TrialResult
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    from tme_abm.batch.progress import Progress
    from tme_abm.laboratory.experiment import Experiment


def run_part(  # noqa: PLR0913 - as `run`, whose part this is
    scenario: "str | Path | Mapping[str, Any] | Study | Experiment",
    part: str | Sequence[int],
    folder: str | Path,
    workers: int | None = None,
    force: bool = False,
    progress: "Progress | None" = None,
    patients: int | None = None,
    seed: int | None = None,
    rules: Callable[[Any], Any] | Iterable[Callable[[Any], Any]] = (),
    desk: Desk | None = None,
) -> dict[str, Any]:
    """Run a part of a trial into a folder of its own, for `merge` to put together with the others.

    A part that was stopped or killed goes on where it was.

    Args:
        scenario: As `run` takes it.
        part: Which part of how many, such as (3, 16) or "3/16"; every 16th patient from the third on.
        folder: Folder of the part.
        workers: As `run` takes it.
        force: As `run` takes it.
        progress: As `run` takes it.
        patients: Of the whole trial, where not the scenario's number.
        seed: As `run` takes it.
        rules: As `run` takes it.
        desk: As `run` takes it.

    Returns:
        What part.json says: `part`, `patients` and `failed` of it among others.

    Raises:
        InputError: As `run`, and for an experiment of the laboratory.
    """
    study = with_rules(choose(scenario, patients, seed), rules)
    which, target = part_of(study, part), Path(folder)
    desk = desk or desk_of(workers, progress)
    from tme_abm.trial.part import run_part as run

    with opened(study, target, identify(study) | {"part": str(which)}, force, desk) as (results, kept):
        return read_json(target / PART_FILE) if results.is_finished else run(kept, which, results, desk)


def merge(
    parts: Sequence[str | Path],
    folder: str | Path,
    force: bool = False,
    mechanisms: Iterable[Any] = (),
    rules: Callable[[Any], Any] | Iterable[Callable[[Any], Any]] = (),
    desk: Desk | None = None,
) -> TrialResult:
    """Put the parts of a trial together: the same tables, state hash and report as of a run in one piece.

    Args:
        parts: Their folders, in any order; they stay as they are.
        folder: Folder of the results.
        force: Whether earlier results there are replaced, once the new ones are complete.
        mechanisms: Mechanisms from outside, where the copies that the parts keep are not all there is, as of an installed package.
        rules: The rules in plain Python that the parts had along.
        desk: Who is told, and may ask for the end.

    Raises:
        InputError: For parts that do not fit: one is missing, there twice, not finished, or differs, with which and in what.
    """
    found = read_parts(parts)
    first, target = found[0], Path(folder)
    for one in found:
        if real(target) == real(one.folder):
            raise InputError(f"{target} holds part {one.part}; choose another folder with --out")
    whole = load_trial(first.folder / MARK, mechanisms=list(mechanisms) or kept_mechanisms(first.folder))
    study = with_rules(replace(whole, name=first.summary["scenario"]), rules)
    assert isinstance(study, Study)
    if unlike := list(differences(first.identity, identify(study))):
        raise InputError(f"the parts were run with {unlike[0]} here; merge them with what they were run with")
    whole_journals(study, found)  # before anything is begun in the folder of the results
    desk = desk or desk_of(1, None)
    with opened(study, target, identify(study), force, desk) as (results, kept):
        if results.is_finished:
            summary = read_json(target / "summary.json")
        else:
            results.before_publishing = partial(describe_folder, study=study)
            summary = merge_parts(kept, found, results, desk)
    result = as_result(study, summary, target)
    assert isinstance(result, TrialResult)
    return result


def read_parts(parts: Sequence[str | Path]) -> list[Kept]:
    """The parts in some folders, which are those of one trial.

    Raises:
        InputError: As `merge`.
    """
    found = [read_part(Path(one)) for one in parts]
    check_fit(found)
    return found


def part_of(study: Any, part: str | Sequence[int]) -> Part:
    """Which part of a study somebody asks for.

    Raises:
        InputError: For no part of it, or an experiment of the laboratory.
    """
    if not isinstance(study, Study):
        raise InputError(f"'{study.name}' is an experiment of the laboratory; only trials are run in parts")
    return make_part(part, study.patients)
