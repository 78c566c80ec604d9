"""Run a study, watch one, write its report again."""

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tme_abm.cli import banking
from tme_abm.cli.desk import tell_aside, working
from tme_abm.cli.headline import print_headline
from tme_abm.cli.options import (
    FAILED_PATIENTS,
    ForceOption,
    LogJsonOption,
    MechanismOption,
    PatientsOption,
    ProcessesOption,
    QuietOption,
    ResumeOption,
    ScenarioArgument,
    SchedulerOption,
    SeedOption,
    SetOption,
    WithoutOption,
    WorkersOption,
    in_plain_words,
    make_console,
    reading_results,
    refuse_force_and_resume,
    tell,
)
from tme_abm.foundation.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

USUAL_COLLECTION = gc.get_threshold()


def run(
    scenario: ScenarioArgument,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; results/<scenario> by default.")] = None,
    patients: PatientsOption = None,
    seed: SeedOption = None,
    workers: WorkersOption = None,
    processes: ProcessesOption = False,
    scheduler: SchedulerOption = None,
    draws: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="Deal the patients out to N sets of the posterior: its doubt in every interval.")
    ] = None,
    posterior: Annotated[
        Path, typer.Option(metavar="DIR", help="Posterior (`tme calibrate`), for --draws; that of the package, where there is none.")
    ] = Path("results/calibration"),
    part: Annotated[str | None, typer.Option(metavar="K/N", help="Run this part of the patients only; `tme merge` joins all N.")] = None,
    without: WithoutOption = None,
    set_: SetOption = None,
    mechanism: MechanismOption = None,
    force: ForceOption = False,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
) -> None:
    """Run a study and write its tables and its report; the same command goes on where it was stopped."""
    with in_plain_words():
        from tme_abm.batch.results import refuse_foreign
        from tme_abm.scenario import kinds, parts, running

        refuse_force_and_resume(force, resume)
        if draws is not None:
            if part is not None:
                raise InputError("--draws and --part do not go together")
            trial = kinds.load_trial(scenario, set_ or (), patients, seed, without or (), mechanism or ())
            banking.run_over_sets(
                trial, (posterior, draws), mechanism or (), (workers, processes, scheduler), (force, resume, quiet, log_json), out
            )
            return
        study = kinds.load_scenario(scenario, set_ or (), patients, seed, without or (), mechanism or ())
        kind = kinds.running_of(study)
        own = None if part is None else parts.part_of(study, part)
        folder = out or Path("results") / (study.name if own is None else f"{study.name}-part-{own.number}-of-{own.of}")
        refuse_foreign(folder)
        console = make_console(quiet or log_json)
        console.print(study.title, style="bold")
        console.print(f"{kind.size(study)}, seed {study.seed}" + f", part {own} of it" * (own is not None))
        summary: Mapping[str, Any]
        with working(folder, workers, processes, scheduler, quiet=quiet, log_json=log_json, resume=resume) as desk:
            if own is None:
                summary = running.run(study, folder, force=force, desk=desk)
            else:
                summary = parts.run_part(study, own, folder, force=force, desk=desk)
        if own is None:
            with reading_results(folder):
                print_headline(console, kind.headline(study, summary))
        else:
            console.print(f"part {own}: {summary['patients']} patients; `tme merge` puts all {own.of} parts together")
        _close(console, folder, summary)


def merge(
    parts: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of all parts, in any order; they stay as they are.")],
    out: Annotated[Path | None, typer.Option(help="Folder of the results; results/<scenario> by default.")] = None,
    mechanism: MechanismOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
) -> None:
    """Put the parts of a study together (`tme run --part K/N`): the same results as of a run in one piece."""
    with in_plain_words():
        from tme_abm.batch.results import refuse_foreign
        from tme_abm.scenario import kinds
        from tme_abm.scenario.parts import merge as join
        from tme_abm.scenario.parts import read_parts

        folder = out or Path("results") / read_parts(parts)[0].summary["scenario"]
        refuse_foreign(folder)
        console = make_console(quiet or log_json)
        with reading_results(*parts, folder), working(folder, 1, quiet=quiet, log_json=log_json) as desk:
            result = join(parts, folder, force, mechanism or (), desk=desk)
        console.print(result.title, style="bold")
        print_headline(console, kinds.running_of(result.study).headline(result.study, result))
        _close(console, folder, result)


def _close(console: "Console", folder: Path, summary: Mapping[str, Any]) -> None:
    """Where the results are, and whether patients failed."""
    from tme_abm.batch.results import written

    for path in sorted({folder / path.relative_to(folder).parts[0] for path in written(folder)}):
        if path.is_file() or path.suffix == ".parquet":
            console.print(f"  {path}", soft_wrap=True)
    if failed := summary.get("failed"):
        tell(f"{failed} patient{'s' * (failed != 1)} failed; every denominator counts the others only")
        raise typer.Exit(FAILED_PATIENTS)


def report(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of results that `tme run` has written.")]) -> None:
    """Write the report of a finished run again."""
    with in_plain_words():
        from tme_abm.batch.lock import Lock
        from tme_abm.batch.results import write_again, written
        from tme_abm.export.crate import CRATE, describe_folder
        from tme_abm.trial.part import refuse_part

        if not folder.is_dir():
            raise InputError(f"there is no folder '{folder}'")
        refuse_part(folder)
        if not (folder / "run.json").is_file():
            raise InputError(f"{folder} holds no finished run: run.json is missing")
        from tme_abm.scenario.kinds import kind_of, load_scenario, running_of_kind
        from tme_abm.scenario.reading import MARK, read
        from tme_abm.scenario.running import kept_mechanisms

        def load() -> Any:
            return load_scenario(folder / MARK, mechanisms=kept_mechanisms(folder))

        kind = kind_of(read(folder / MARK)) if (folder / MARK).is_file() else "trial"
        lock = Lock(folder)
        try:
            with reading_results(folder):
                aside = write_again(folder, lambda to: running_of_kind(kind).report(folder, load, to))
            if folder / CRATE in (ours := written(folder)):  # whose digests were those of the old report
                aside += write_again(folder, lambda to: describe_folder(folder, load(), ours, to))
        finally:
            lock.release()
        tell_aside(aside)
        typer.echo(str(folder / "report.html"))


def view(
    scenario: Annotated[str | None, typer.Argument(metavar="SCENARIO", help="Bundled name or path; a choice on the page.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8765,
    host: Annotated[str, typer.Option(help="Address to listen on; by default this computer only.")] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")] = False,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Site whose pages may drive this one, such as a reverse proxy: https://marrow.example.org."),
    ] = None,
    root_path: Annotated[str, typer.Option(metavar="PATH", help="Path below which a reverse proxy serves the page: /marrow.")] = "",
    mechanism: MechanismOption = None,
) -> None:
    """Watch two marrows side by side in the browser, change doses, switch mechanisms."""
    with in_plain_words():
        from tme_viz.launch import main as serve

        gc.set_threshold(*USUAL_COLLECTION)  # visitors come and go for days, and leave whole marrows behind
        serve(scenario, host, port, not no_browser, mechanism or (), allow_origin or (), root_path)
