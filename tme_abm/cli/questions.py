"""Questions over many trials: attribution, convergence, calibration, prediction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tme_abm.cli.options import (
    INTERRUPTED,
    HorizonOption,
    MechanismOption,
    PatientsOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    WithoutOption,
    WorkersOption,
    in_plain_words,
    make_console,
    parse_days,
    parse_numbers,
)
from tme_abm.cli.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console


def attribute(
    scenario: ScenarioArgument,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; results/<scenario>_attribution by default.")] = None,
    patients: PatientsOption = None,
    mechanisms: Annotated[str | None, typer.Option(metavar="A,B,...", help="Only these mechanisms; a+b are off together.")] = None,
    samples: Annotated[int, typer.Option(min=0, help="Orders of mechanisms for each patient; 0 for knock-outs alone.")] = 4,
    horizon: HorizonOption = None,
    seed: SeedOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Patients at a time; the number of cores by default.")] = None,
    without: WithoutOption = None,
    set_: SetOption = None,
    mechanism: MechanismOption = None,
    force: Annotated[bool, typer.Option("--force", help="Run anew what the folder already holds.")] = False,
) -> None:
    """Find the mechanisms that an arm owes its benefit to; the same command goes on where it was stopped."""
    with in_plain_words():
        from tme_abm.analysis import run_book
        from tme_abm.analysis.attribution import page, run
        from tme_abm.analysis.attribution.question import pose
        from tme_abm.scenario import kinds, running

        study = kinds.load_trial(scenario, set_ or (), patients, seed, without or (), mechanism or ())
        names = [name.strip() for name in (mechanisms or "").split(",") if name.strip()]
        question = pose(study, names, samples, parse_days(horizon))
        folder = run_book.open_folder(out or Path("results") / f"{study.name}_attribution", study, force)
        console = make_console()
        console.print(study.title, style="bold", markup=False)
        with _going_on(console, folder) as (progress, say):
            summary = run.attribute(question, folder, workers or running.cores(), progress, say)
        for line in page.in_words(summary):
            console.print(line, markup=False)
        console.print(f"  {folder / 'report.html'}", soft_wrap=True)


def converge(
    scenario: ScenarioArgument,
    out: Annotated[Path | None, typer.Option(help="Folder of the runs; results/<scenario>_convergence by default.")] = None,
    patients: PatientsOption = None,
    steps: Annotated[str, typer.Option(metavar="H,H,...", help="Steps to compare [h]; or none.")] = "6,2,1",
    patches: Annotated[str, typer.Option(metavar="N,N,...", help="Patches to compare, by their side [sites]; or none.")] = "64,128,256",
    horizon: HorizonOption = None,
    docs: Annotated[Path | None, typer.Option(help="Folder of convergence.md and its image; that of the runs by default.")] = None,
    seed: SeedOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Patients at a time; the number of cores by default.")] = None,
    set_: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Run anew what the folder already holds.")] = False,
) -> None:
    """Compare steps and patches with the finest; the same command goes on where it was stopped."""
    with in_plain_words():
        from tme_abm.analysis import run_book
        from tme_abm.analysis.convergence import page, run
        from tme_abm.analysis.convergence.axes import axes_of, first_comparison, own_choice
        from tme_abm.scenario import kinds, running

        study = kinds.load_trial(scenario, set_ or (), patients, seed)
        sides = [int(side) for side in parse_numbers(patches, "--patches")]
        axes = axes_of(parse_numbers(steps, "--steps"), sides, own_choice(study))
        first_comparison(study)
        days = run_book.whole_visits(study, parse_days(horizon) or study.follow_up.longest_days)
        folder = run_book.open_folder(out or Path("results") / f"{study.name}_convergence", study, force)
        console = make_console()
        console.print(study.title, style="bold", markup=False)
        with _going_on(console, folder) as (progress, say):
            summary = run.converge(study, folder, axes, days, workers or running.cores(), progress, say)
        for axis in summary["axes"]:
            console.print(page.verdict(axis), markup=False, soft_wrap=True)
        command = f"tme converge {scenario} --patients {study.patients} --steps {steps} --patches {patches}"
        command += f' --horizon "{horizon}"' * (horizon is not None) + " --docs docs"
        for path in page.write_page(summary, docs or folder, command):
            console.print(f"  {path}", soft_wrap=True)


def calibrate(
    plan: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Targets and free numbers; the package's by default.")] = None,
    trials: Annotated[int, typer.Option(min=1, help="Sets of values to try in all, those of earlier calls included.")] = 200,
    patients: Annotated[int, typer.Option(min=2, help="Virtual patients of each scenario.")] = 100,
    replicates: Annotated[int, typer.Option(min=1, help="Runs of each scenario, of which the mean counts.")] = 1,
    workers: WorkersOption = None,
    out: Annotated[Path, typer.Option(help="Folder of the search; the same command goes on.")] = Path("results/calibration"),
    only: Annotated[str | None, typer.Option(metavar="SCENARIO,...", help="Fit to these alone, and only what acts there.")] = None,
    free: Annotated[list[str] | None, typer.Option(metavar="PATH", help="Change only this number; repeat for more.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Hold a number; repeat for more.")] = None,
    start: Annotated[Path | None, typer.Option("--from", metavar="FILE", help="A calibrated.toml to set out from.")] = None,
    hold: Annotated[bool, typer.Option("--hold", help="Hold what that file has fitted, but for --free.")] = False,
    doc: Annotated[Path | None, typer.Option(help="Document whose table of the calibration is replaced.")] = None,
) -> None:
    """Fit the free numbers of the model to control arms and single agents."""
    with in_plain_words():
        from tme_abm.analysis.calibration import report as results
        from tme_abm.analysis.calibration import search
        from tme_abm.analysis.calibration.plan import PLAN, read_plan
        from tme_abm.scenario.kinds import load_trial
        from tme_abm.scenario.running import cores

        chosen = read_plan(plan or PLAN)
        if only is not None:
            chosen = chosen.only(name.strip() for name in only.split(","))
        chosen = search.arrange(chosen, free or (), set_ or (), start, hold)
        fit = search.prepare(chosen, load_trial, out, patients, replicates, workers or cores())
        typer.echo(f"{len(fit.plan.free)} free numbers, {len(fit.goals)} targets in {', '.join(fit.plan.targets)}; {out}")
        try:
            study = search.search(fit, trials, typer.echo)
        except KeyboardInterrupt:
            typer.echo("tme: stopped; the same command goes on", err=True)
            raise typer.Exit(INTERRUPTED) from None
        outcome = results.conclude(fit, study)
        check = search.fresh(fit, outcome.best)
        written = results.write(fit, outcome, study, check)
        typer.echo(results.report(fit, outcome, check))
        if doc is not None:
            results.put(doc, "calibration", results.report(fit, outcome, check))
            written.append(doc)
        for path in written:
            typer.echo(f"  {path}")


def predict(
    scenarios: Annotated[str | None, typer.Option(metavar="SCENARIO,...", help="Those with a role to predict by default.")] = None,
    patients: Annotated[int, typer.Option(min=2, help="Virtual patients of each scenario, all in every arm.")] = 400,
    trials: Annotated[int, typer.Option(min=2, help="Virtual trials of the published size, for the intervals.")] = 500,
    workers: WorkersOption = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs; finished ones are taken up.")] = Path("results/prediction"),
    doc: Annotated[Path | None, typer.Option(help="Document whose table of predictions is replaced.")] = None,
) -> None:
    """Predict the published results that the model was not fitted to, and say which it misses."""
    with in_plain_words():
        from tme_abm.analysis import prediction
        from tme_abm.analysis.calibration.report import put
        from tme_abm.scenario import kinds, reading, running
        from tme_abm.trial.provenance import model_digest

        names = [name.strip() for name in scenarios.split(",")] if scenarios else None
        names = prediction.chosen(names, reading.scenarios("trial"), kinds.load_trial)
        studies = [kinds.load_trial(name, patients=patients) for name in names]
        try:
            table = prediction.predict(studies, lambda s, to: running.run(s, to, workers, force=True), out, trials, typer.echo)
        except KeyboardInterrupt:
            typer.echo("tme: stopped; the same command goes on after the last finished run", err=True)
            raise typer.Exit(INTERRUPTED) from None
        facts = f"{patients} virtual patients in each study, {trials} virtual trials, model {model_digest()}."
        typer.echo(prediction.report(table, facts))
        written = prediction.write(table, out, facts)
        if doc is not None:
            put(doc, "predictions", prediction.report(table, facts))
            written.append(doc)
        for path in written:
            typer.echo(f"  {path}")


@contextmanager
def _going_on(console: "Console", folder: Path) -> "Iterator[tuple[Progress, Callable[[str], None]]]":
    """Bars and voice of a command that goes on where it was stopped, and what it says when it is."""
    with Progress(console) as progress:
        try:
            yield progress, lambda words: console.print(words, markup=False)
        except KeyboardInterrupt:
            typer.echo(f"tme: stopped before the end; the same command goes on from what {folder} holds", err=True)
            raise typer.Exit(INTERRUPTED) from None
