"""Run a study, watch one, write its report again."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tme_abm.cli.headline import print_headline
from tme_abm.cli.options import (
    FAILURE,
    INTERRUPTED,
    MechanismOption,
    PatientsOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    WithoutOption,
    WorkersOption,
    in_plain_words,
    make_console,
)
from tme_abm.cli.progress import Progress
from tme_abm.foundation.errors import InputError

if TYPE_CHECKING:
    pass


USUAL_COLLECTION = gc.get_threshold()


def run(
    scenario: ScenarioArgument,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; results/<scenario> by default.")] = None,
    patients: PatientsOption = None,
    seed: SeedOption = None,
    workers: WorkersOption = None,
    without: WithoutOption = None,
    set_: SetOption = None,
    mechanism: MechanismOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace earlier results in the folder.")] = False,
) -> None:
    """Run a study and write its tables and its report."""
    with in_plain_words():
        from tme_abm.scenario import kinds, running
        from tme_abm.trial.study import Study

        study = kinds.load_scenario(scenario, set_ or (), patients, seed, without or (), mechanism or ())
        folder = out if out is not None else Path("results") / study.name
        running.refuse_to_overwrite(folder, force)
        console = make_console()
        console.print(study.title, style="bold", markup=False)
        if isinstance(study, Study):
            console.print(f"{study.patients} patients, {len(study.arms)} arm{'s' * (len(study.arms) > 1)}, seed {study.seed}")
        try:
            with Progress(console) as progress:
                summary = running.run(study, folder, workers, force, progress)
        except KeyboardInterrupt:
            typer.echo(f"tme: stopped before the end; {folder} holds no complete results, and --force replaces them", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except RuntimeError as error:
            typer.echo(f"tme: {error}", err=True)
            raise typer.Exit(FAILURE) from None
        if isinstance(study, Study):
            print_headline(console, study, summary)
        else:
            for sentence in summary["findings"]:
                console.print(sentence, markup=False)
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            console.print(f"  {path}", soft_wrap=True)


def report(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of results that `tme run` has written.")]) -> None:
    """Write the report of a finished run again."""
    with in_plain_words():
        if not folder.is_dir():
            raise InputError(f"there is no folder '{folder}'")
        if not (folder / "run.json").is_file():
            raise InputError(f"{folder} holds no finished run: run.json is missing")
        from tme_abm.scenario.kinds import load_scenario
        from tme_abm.scenario.reading import MARK, read
        from tme_abm.trial.report import write_report

        if (folder / MARK).is_file() and read(folder / MARK).table.get("kind", "trial") != "trial":
            from tme_abm.laboratory import results

            experiment: Any = load_scenario(folder / MARK)
            typer.echo(str(results.write_report(experiment, folder, results.read_table(folder))))
            return
        typer.echo(str(write_report(folder) or folder / "report.html"))


def view(
    scenario: Annotated[str | None, typer.Argument(metavar="SCENARIO", help="Bundled name or path; a choice on the page.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8765,
    host: Annotated[str, typer.Option(help="Address to listen on; by default this computer only.")] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")] = False,
    mechanism: MechanismOption = None,
) -> None:
    """Watch two marrows side by side in the browser, change doses, switch mechanisms."""
    with in_plain_words():
        from tme_viz.launch import main as serve

        gc.set_threshold(*USUAL_COLLECTION)  # visitors come and go for days, and leave whole marrows behind
        serve(scenario, host, port, not no_browser, mechanism or ())
