"""Questions over many trials: attribution, convergence, prediction."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tme_abm.cli import banking
from tme_abm.cli.desk import end_on_failures, working
from tme_abm.cli.options import (
    FAILED_PATIENTS,
    ForceOption,
    HorizonOption,
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
    parse_days,
    parse_numbers,
    refuse_force_and_resume,
    tell,
)

if TYPE_CHECKING:
    from tme_abm.trial.study import Study


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
    processes: ProcessesOption = False,
    scheduler: SchedulerOption = None,
    force: ForceOption = False,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
) -> None:
    """Find the mechanisms that an arm owes its benefit to; the same command goes on where it was stopped."""
    with in_plain_words():
        from tme_abm.analysis.attribution import page, run
        from tme_abm.analysis.attribution.question import pose
        from tme_abm.batch.results import refuse_foreign
        from tme_abm.scenario import kinds

        refuse_force_and_resume(force, resume)
        study = kinds.load_trial(scenario, set_ or (), patients, seed, without or (), mechanism or ())
        names = [name.strip() for name in (mechanisms or "").split(",") if name.strip()]
        question = pose(study, names, samples, parse_days(horizon))
        folder = out or Path("results") / f"{study.name}_attribution"
        refuse_foreign(folder)
        console = make_console(quiet or log_json)
        console.print(study.title, style="bold")
        with working(folder, workers, processes, scheduler, quiet=quiet, log_json=log_json, resume=resume) as desk:
            summary = run.attribute(question, folder, desk, force)
        for line in page.in_words(summary):
            console.print(line)
        console.print(f"  {folder / 'report.html'}", soft_wrap=True)
        end_on_failures(summary["failed"], folder)


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
    mechanism: MechanismOption = None,
    processes: ProcessesOption = False,
    scheduler: SchedulerOption = None,
    force: ForceOption = False,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
) -> None:
    """Compare steps and patches with the finest; the same command goes on where it was stopped."""
    with in_plain_words():
        from tme_abm.analysis import run_book
        from tme_abm.analysis.convergence import page, run
        from tme_abm.analysis.convergence.axes import axes_of, first_comparison, own_choice
        from tme_abm.batch.results import refuse_foreign
        from tme_abm.scenario import kinds

        refuse_force_and_resume(force, resume)
        study = kinds.load_trial(scenario, set_ or (), patients, seed, mechanisms=mechanism or ())
        sides = [int(side) for side in parse_numbers(patches, "--patches", are_whole=True)]
        axes = axes_of(parse_numbers(steps, "--steps"), sides, own_choice(study))
        first_comparison(study)
        days = run_book.whole_visits(study, parse_days(horizon) or study.follow_up.longest_days)
        folder = out or Path("results") / f"{study.name}_convergence"
        refuse_foreign(folder)
        page.check(docs)
        console = make_console(quiet or log_json)
        console.print(study.title, style="bold")
        command = f"tme converge {scenario} --patients {study.patients} --steps {steps} --patches {patches}"
        command += "".join(f" --mechanism {name}" for name in mechanism or ())
        command += f' --horizon "{horizon}"' * (horizon is not None) + " --docs docs"
        with working(folder, workers, processes, scheduler, quiet=quiet, log_json=log_json, resume=resume) as desk:
            summary = run.converge(study, folder, axes, days, desk, force, command)
        for axis in summary["axes"]:
            console.print(page.verdict(axis), soft_wrap=True)
        for path in page.pages(folder) if docs is None else page.write_page(summary, docs, command):
            console.print(f"  {path}", soft_wrap=True)
        end_on_failures(sum(summary["failed"].values()), folder)


def predict(
    scenarios: Annotated[str | None, typer.Option(metavar="SCENARIO,...", help="Those with a role to predict by default.")] = None,
    patients: Annotated[int, typer.Option(min=2, help="Virtual patients of each scenario, all in every arm.")] = 400,
    trials: Annotated[int, typer.Option(min=2, help="Virtual trials of the published size, for the intervals.")] = 500,
    mechanism: MechanismOption = None,
    workers: WorkersOption = None,
    processes: ProcessesOption = False,
    scheduler: SchedulerOption = None,
    force: ForceOption = False,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
    out: Annotated[Path, typer.Option(help="Folder of the runs; finished ones are taken up.")] = Path("results/prediction"),
    doc: Annotated[Path | None, typer.Option(help="Document whose table of predictions is replaced.")] = None,
    from_bank: Annotated[
        Path | None, typer.Option("--bank", metavar="DIR", help="Weigh a bank (`tme bank`) instead of simulating.")
    ] = None,
    posterior: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Sets of numbers (`tme calibrate`), for their part of the intervals; with --bank.")
    ] = None,
    sets: Annotated[int, typer.Option(min=2, help="Sets of the posterior that are asked; with --bank.")] = 200,
) -> None:
    """Predict the published results that the model was not fitted to, and say which it misses."""
    if from_bank is not None or posterior is not None:
        banking.predict_from_bank(scenarios, from_bank, posterior, (sets, trials), mechanism or (), force, quiet, log_json, out, doc)
        return
    with in_plain_words():
        from tme_abm.analysis import documents, prediction
        from tme_abm.batch.results import open_results, refuse_foreign
        from tme_abm.export.crate import describe_folder
        from tme_abm.mechanisms.outside.loading import load
        from tme_abm.scenario import kinds, reading, running
        from tme_abm.trial.provenance import model_digest

        refuse_force_and_resume(force, resume)
        names = [name.strip() for name in scenarios.split(",")] if scenarios else None
        names = prediction.chosen(names, reading.scenarios("trial"), kinds.load_trial)
        catalogue = load(mechanism or ())
        studies = [kinds.load_trial(name, patients=patients, mechanisms=[catalogue]) for name in names]
        refuse_foreign(out)
        documents.check(doc, "predictions")
        for study in studies:
            if not force:
                running.refuse_another_run(study, out / study.name)
        failed: dict[str, int] = {}
        with (
            working(out, workers, processes, scheduler, quiet=quiet, log_json=log_json, resume=resume) as desk,
            open_results(out, prediction.IDENTITY, force, resume) as place,
        ):
            place.say = desk.warn
            place.before_publishing = partial(describe_folder, study=prediction.SUBJECT)

            def run(study: "Study", to: Path) -> dict[str, Any]:
                summary = dict(running.run(study, to, force=force, desk=replace(desk, resume=False)))
                failed.update({study.name: summary["failed"]} if summary.get("failed") else {})
                return summary

            table = prediction.predict(studies, run, out, trials, desk.say)
            facts = f"{patients} virtual patients in each study, {trials} virtual trials, model {model_digest()}."
            if catalogue.outside:
                facts += f" With {', '.join(one.mechanism.name for one in catalogue.outside)}, from outside of the package."
            if failed:
                facts += f" Patients who failed and count nowhere: {', '.join(f'{n} of {name}' for name, n in failed.items())}."
            written = [out / path.relative_to(place.new) for path in prediction.write(table, place.new, facts)]
            place.publish(is_final=False)
        typer.echo(prediction.report(table, facts))
        if doc is not None:
            documents.put(doc, "predictions", prediction.report(table, facts))
            written.append(doc)
        for path in written:
            typer.echo(f"  {path}")
        if failed:
            number = sum(failed.values())
            tell(f"{number} patient{'s' * (number != 1)} failed; every denominator counts the others only")
            raise typer.Exit(FAILED_PATIENTS)
