"""What if the trial, or the model, were otherwise: sweeps and sensitivity analyses."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tme_abm.cli.desk import end_on_failures, working
from tme_abm.cli.options import (
    ForceOption,
    LogJsonOption,
    MechanismOption,
    PatientsOption,
    ProcessesOption,
    QuietOption,
    ResumeOption,
    SchedulerOption,
    SeedOption,
    WorkersOption,
    in_plain_words,
    make_console,
    refuse_force_and_resume,
)
from tme_abm.foundation.errors import InputError

if TYPE_CHECKING:
    from tme_abm.analysis.conditions import Load
    from tme_abm.analysis.sensitivity.form import Sensitivity
    from tme_abm.analysis.sweep.form import Sweep

FileArgument = Annotated[str, typer.Argument(metavar="FILE", help="Name of a bundled one (`tme list`), or the path of a TOML file.")]
OwnSetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help='Change one entry of the file, e.g. horizon="12 month"; repeat for more.'),
]
OutOption = Annotated[Path | None, typer.Option(help="Folder of the results; results/<name> by default.")]


def sweep(
    file: FileArgument,
    out: OutOption = None,
    patients: PatientsOption = None,
    seed: SeedOption = None,
    workers: WorkersOption = None,
    set_: OwnSetOption = None,
    mechanism: MechanismOption = None,
    processes: ProcessesOption = False,
    scheduler: SchedulerOption = None,
    force: ForceOption = False,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
) -> None:
    """Vary doses, schedules, mechanisms or numbers of a trial; the same command goes on where it was stopped."""
    with in_plain_words():
        from tme_abm.analysis.sweep import run
        from tme_abm.batch.results import refuse_foreign
        from tme_abm.scenario import kinds

        refuse_force_and_resume(force, resume)
        given = kinds.load_question("sweep", file, set_ or (), patients, seed)
        load = loader(given, mechanism or ())
        folder = out or Path("results") / given.name
        refuse_foreign(folder)
        console = make_console(quiet or log_json)
        console.print(given.title, style="bold")
        with working(folder, workers, processes, scheduler, quiet=quiet, log_json=log_json, resume=resume) as desk:
            summary = run.sweep(given, load, folder, desk, force)
        for line in run.in_words(summary, _table(folder / "points.parquet")):
            console.print(line)
        _close(summary, folder, console)


def sensitivity(
    file: FileArgument,
    out: OutOption = None,
    patients: PatientsOption = None,
    seed: SeedOption = None,
    workers: WorkersOption = None,
    set_: OwnSetOption = None,
    mechanism: MechanismOption = None,
    processes: ProcessesOption = False,
    scheduler: SchedulerOption = None,
    force: ForceOption = False,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
    doc: Annotated[Path | None, typer.Option(help="Document whose table of the analysis is replaced.")] = None,
) -> None:
    """Find the numbers of the model that carry a trial's conclusion; the same command goes on where it was stopped."""
    with in_plain_words():
        from tme_abm.analysis import documents
        from tme_abm.analysis.sensitivity import indices, page, run
        from tme_abm.batch.results import refuse_foreign
        from tme_abm.scenario import kinds

        refuse_force_and_resume(force, resume)
        given = kinds.load_question("sensitivity", file, set_ or (), patients, seed)
        indices.need_salib(given.form.method)
        load = loader(given, mechanism or ())
        folder = out or Path("results") / given.name
        refuse_foreign(folder)
        documents.check(doc, given.name)
        console = make_console(quiet or log_json)
        console.print(given.title, style="bold")
        with working(folder, workers, processes, scheduler, quiet=quiet, log_json=log_json, resume=resume) as desk:
            command = (
                f"tme sensitivity {file}" + f" --patients {patients}" * (patients is not None) + f" --seed {seed}" * (seed is not None)
            )
            summary = run.sensitivity(given, load, folder, desk, force, command)
        for line in page.in_words(summary):
            console.print(line, soft_wrap=True)
        if doc is not None:
            documents.put(doc, given.name, page.section(summary, command, is_whole=False))
        _close(summary, folder, console)


def loader(given: "Sweep | Sensitivity", mechanisms: Sequence[str] = ()) -> "Load":
    """What reads the trial of a sweep or an analysis with changes; a replicate has a seed of its own.

    Raises:
        InputError: Where there is no such trial, with the place in the file.
    """
    from tme_abm.scenario.kinds import load_trial
    from tme_abm.trial.study import Study

    try:
        seed = load_trial(given.scenario, mechanisms=mechanisms).seed if given.form.seed is None else given.form.seed
    except InputError as error:
        raise given.source.error(("scenario",), str(error)) from None

    def load(overrides: Sequence[str], without: Sequence[str], replicate: int) -> Study:
        return load_trial(given.scenario, overrides, given.form.patients, seed + replicate, without, mechanisms)

    return load


def check(given: Any, mechanisms: Sequence[str] = ()) -> None:
    """Refuse a sweep or an analysis whose trial refuses one of its changes, or a design whose trial has not got its arms; run nothing."""
    if given.form.kind == "design":
        from tme_abm.cli.banking import trial_of

        trial_of(given, mechanisms)
        return
    load = loader(given, mechanisms)
    if given.form.kind == "sweep":
        from tme_abm.analysis.sweep.points import lay_out

        lay_out(given, load)
    else:
        from tme_abm.analysis.sensitivity.inputs import find_inputs

        find_inputs(given, load)


def _table(path: Path) -> Any:
    import pandas as pd

    return pd.read_parquet(path.absolute())


def _close(summary: dict[str, Any], folder: Path, console: Any) -> None:
    """Where the results are, and whether any run failed."""
    for path in sorted(path for path in (*folder.glob("*"), *folder.glob("figures/*")) if path.is_file() and not path.name.startswith(".")):
        console.print(f"  {path}", soft_wrap=True)
    end_on_failures(summary["failed"], folder)
