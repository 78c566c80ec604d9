"""The bank of virtual patients, and what is asked of it: a fit, a design."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tme_abm.cli.desk import working
from tme_abm.cli.options import (
    FAILED_PATIENTS,
    ForceOption,
    LogJsonOption,
    MechanismOption,
    ProcessesOption,
    QuietOption,
    ResumeOption,
    SchedulerOption,
    WorkersOption,
    in_plain_words,
    make_console,
    reading_results,
    refuse_force_and_resume,
    tell,
)

if TYPE_CHECKING:
    from tme_abm.analysis.bank.plan import Plan
    from tme_abm.analysis.design.form import Design
    from tme_abm.trial.study import Study

BankOption = Annotated[Path, typer.Option("--bank", metavar="DIR", help="Folder of the bank (`tme bank`).")]
BANK = Path("results/bank")
VIRTUAL_TRIALS = 500  # for the intervals of a study over sets


def bank(
    plan: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Cohorts, arms and spreads; the package's by default.")] = None,
    patients: Annotated[int, typer.Option(min=2, help="Candidates in all; more than before are added.")] = 300,
    arms: Annotated[str, typer.Option(metavar="GROUP", help="controls (with single agents), combinations, or all.")] = "controls",
    shape: Annotated[str | None, typer.Option(metavar="ROWS,COLUMNS", help="Another patch than the file's.")] = None,
    mechanism: MechanismOption = None,
    workers: WorkersOption = None,
    processes: ProcessesOption = False,
    scheduler: SchedulerOption = None,
    force: ForceOption = False,
    resume: ResumeOption = False,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
    out: Annotated[Path, typer.Option(help="Folder of the bank; the same command goes on.")] = BANK,
) -> None:
    """Draw a bank of virtual patients wider than any population, and run each under many arms."""
    with in_plain_words(), reading_results(out):
        from tme_abm.analysis.bank.run import draw_bank
        from tme_abm.batch.results import refuse_foreign

        refuse_force_and_resume(force, resume)
        chosen = load_plan(plan, mechanism or (), shape)
        chosen.only(arms)
        refuse_foreign(out)
        console = make_console(quiet or log_json)
        with working(out, workers, processes, scheduler, quiet=quiet, log_json=log_json, resume=resume) as desk:
            summary = draw_bank(chosen, out, patients, arms, desk, force)
        for line in in_words(summary):
            console.print(line)
        console.print(f"  {out}", soft_wrap=True)
        if summary["failed"]:
            tell(f"{summary['failed']} runs failed and count nowhere; {out / 'summary.json'} says why")
            raise typer.Exit(FAILED_PATIENTS)


def in_words(summary: dict[str, Any]) -> list[str]:
    """What a bank holds and what it took."""
    lines = [
        f"{summary['candidates']} candidates, {summary['eligible']} eligible, {summary['runs']} runs; "
        f"{summary['core_hours']:.2f} core-hours"
    ]
    lines.append(f"  rules {summary['model']}")
    lines.append(f"  growing: {summary['core_seconds_of_growing']:.2f} core-seconds a candidate")
    for arm, n in summary["runs_of_arms"].items():
        if n:
            lines.append(f"  {arm}: {n} runs, {summary['core_seconds_of_arms'][arm]:.2f} core-seconds each")
    return lines


def load_plan(path: Path | None, mechanisms: Any, shape: str | None = None) -> "Plan":
    """The plan of a bank, with its scenarios read."""
    from tme_abm.analysis.bank.plan import PLAN, read_plan
    from tme_abm.foundation.errors import InputError
    from tme_abm.mechanisms.outside.loading import load
    from tme_abm.scenario.kinds import load_trial

    sides = None
    if shape is not None:
        parts = shape.split(",")
        if len(parts) != 2 or not all(part.strip().isdecimal() for part in parts):
            raise InputError(f"--shape {shape}: write rows and columns, such as 64,64")
        sides = [int(part) for part in parts]
    catalogue = load(mechanisms)
    return read_plan(partial(load_trial, mechanisms=[catalogue]), path or PLAN, sides)


def calibrate(
    plan: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Targets and free numbers; the package's by default.")] = None,
    from_bank: BankOption = BANK,
    steps: Annotated[int, typer.Option(min=50, help="Steps of the sampler.")] = 1500,
    sets: Annotated[int, typer.Option(min=10, help="Sets of numbers that are kept.")] = 400,
    only: Annotated[str | None, typer.Option(metavar="SCENARIO,...", help="Fit to these alone.")] = None,
    redraw: Annotated[int, typer.Option(min=0, help="Times that patients may be drawn anew where too few tell of an arm.")] = 0,
    recover: Annotated[
        int, typer.Option(min=0, help="Instead: fit so many made-up trials of known populations, and see whether they are found.")
    ] = 0,
    bank_plan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Plan of the bank, for --redraw; the package's by default.")
    ] = None,
    mechanism: MechanismOption = None,
    workers: WorkersOption = None,
    processes: ProcessesOption = False,
    scheduler: SchedulerOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
    out: Annotated[Path, typer.Option(help="Folder of the posterior.")] = Path("results/calibration"),
    doc: Annotated[Path | None, typer.Option(help="Document whose table of the calibration is replaced.")] = None,
) -> None:
    """Fit what differs between patients to control arms and single agents, by weights on a bank."""
    with in_plain_words(), reading_results(from_bank):
        from tme_abm.analysis import documents
        from tme_abm.analysis.calibration import recovery, report, run
        from tme_abm.analysis.calibration.plan import PLAN, read_plan
        from tme_abm.analysis.calibration.posterior import need_emcee
        from tme_abm.batch.results import refuse_another, refuse_foreign
        from tme_abm.mechanisms.outside.loading import load
        from tme_abm.scenario.kinds import load_trial

        need_emcee()
        chosen = read_plan(plan or PLAN)
        if only is not None:
            chosen = chosen.only(name.strip() for name in only.split(","))
        catalogue = load(mechanism or ())
        by_name = partial(load_trial, mechanisms=[catalogue])
        refuse_foreign(out)
        documents.check(doc, "calibration")
        with working(out, workers, processes, scheduler, quiet=quiet, log_json=log_json) as desk:
            if recover:
                found = recovery.recover(chosen, from_bank, by_name, (steps, sets), recover, desk)
                typer.echo(recovery.report(found))
                written = recovery.write_results(found, out, desk, force)
            else:
                again = (load_plan(bank_plan, mechanism or ()), redraw) if redraw else None
                facts = {"fit": chosen.settings(), "bank": what_it_holds(from_bank)}
                if not force and again is None:
                    refuse_another(out, facts)
                fitted = run.calibrate(chosen, from_bank, by_name, (steps, sets), desk, again)
                if again is not None:  # patients may have come to the bank
                    facts["bank"] = what_it_holds(from_bank)
                    if not force:
                        refuse_another(out, facts)
                written = run.write_results(fitted, out, facts, desk, force)
                typer.echo(report.report(fitted))
                if doc is not None:
                    documents.put(doc, "calibration", report.report(fitted))
                    written.append(doc)
        for path in written:
            typer.echo(f"  {path}")


def what_it_holds(bank: Path) -> dict[str, Any]:
    """How many patients and runs a bank holds, and by which rules they were run.

    Raises:
        InputError: Where there is no bank, or its summary is damaged.
    """
    from tme_abm.analysis.bank.store import read_facts
    from tme_abm.batch.results import read_json
    from tme_abm.foundation.errors import InputError

    read_facts(bank)
    summary = read_json(bank / "summary.json")
    keys = ("candidates", "eligible", "runs", "model")
    if missing := [key for key in keys if key not in summary]:
        raise InputError(f"{bank / 'summary.json'}: the key '{missing[0]}' is missing; `tme bank --out {bank}` writes it again")
    return {key: summary[key] for key in keys}


def design(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Name of a bundled design, or the path of a TOML file.")],
    from_bank: BankOption = BANK,
    posterior: Annotated[Path, typer.Option(metavar="DIR", help="Posterior (`tme calibrate`): its folder, or its file.")] = Path(
        "results/calibration"
    ),
    sets: Annotated[int, typer.Option(min=2, help="Sets of the posterior that are asked.")] = 60,
    trials: Annotated[int, typer.Option(min=2, help="Virtual trials at each set and size.")] = 60,
    mechanism: MechanismOption = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
    log_json: LogJsonOption = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; results/<name> by default.")] = None,
) -> None:
    """Work out the power of a trial of two arms and its assurance, from a bank and a posterior."""
    with in_plain_words(), reading_results(from_bank, posterior):
        from tme_abm.analysis.bank.store import read_bank
        from tme_abm.analysis.bank.trials import play, refuse_unrun
        from tme_abm.analysis.bank.weights import Weigher
        from tme_abm.analysis.calibration import posterior as stored
        from tme_abm.analysis.design import page
        from tme_abm.analysis.design.power import answer
        from tme_abm.batch.results import open_results, refuse_foreign
        from tme_abm.export.crate import describe_folder
        from tme_abm.mechanisms.outside.loading import load
        from tme_abm.scenario.kinds import load_question

        catalogue = load(mechanism or ())
        asked = load_question("design", file)
        study = trial_of(asked, [catalogue])
        known = stored.read(posterior).thinned(sets)
        patients = read_bank(from_bank)
        refuse_unrun(study, patients, asked.form.compare)
        weigher = Weigher(patients, {key: facts["acts"] for key, facts in patients.arms.items()})
        trial = play(study, patients, weigher, known.names, asked.form.compare)
        worth = page.effective_patients(trial, known)
        facts = f"{len(known.sets)} sets, {trials} virtual trials at each."
        folder = out or Path("results") / asked.name
        refuse_foreign(folder)
        with working(folder, 1, quiet=quiet, log_json=log_json) as desk:
            desk.progress.phase("sampling", len(known.sets) * len(asked.form.patients))
            found = answer(asked, trial, known, trials, desk.stop, lambda n: desk.progress.advance(n, "sampling"))
            identity = {"design": dict(asked.resolved), "sets": len(known.sets), "trials": trials}
            with open_results(folder, identity, force) as place:
                place.say = desk.warn
                place.before_publishing = partial(describe_folder, study=asked)
                place.new.mkdir(parents=True, exist_ok=True)
                names = [path.name for path in page.write(asked, study, found, place.new, facts, worth)]
                place.publish(is_final=False)
        typer.echo(page.report(asked, study, found, facts, worth))
        for name in names:
            typer.echo(f"  {folder / name}")


def trial_of(design: "Design", mechanisms: Any) -> "Study":
    """The trial of a design, which must have its arms.

    Raises:
        InputError: Where there is no such trial, or it has not got them, with the place in the file.
    """
    from tme_abm.scenario.kinds import load_trial

    with design.source.naming(("scenario",)):
        study = load_trial(design.scenario, mechanisms=mechanisms)
    design.check_arms(study)
    return study


def predict_from_bank(
    scenarios: str | None,
    folder: Path | None,
    posterior: Path | None,
    sizes: tuple[int, int],
    mechanisms: Any,
    force: bool,
    quiet: bool,
    log_json: bool,
    out: Path,
    doc: Path | None,
) -> None:
    """`tme predict --bank`: published results beside what the patients of a bank predict, over the sets of a posterior."""
    with in_plain_words(), reading_results(*(place for place in (folder, posterior) if place is not None)):
        from tme_abm.analysis import bank_prediction, documents, prediction
        from tme_abm.analysis.bank.run import rules_digest
        from tme_abm.analysis.bank.store import read_bank
        from tme_abm.analysis.calibration import posterior as stored
        from tme_abm.batch.results import open_results, refuse_foreign
        from tme_abm.export.crate import describe_folder
        from tme_abm.foundation.errors import InputError
        from tme_abm.mechanisms.outside.loading import load
        from tme_abm.scenario import kinds, reading

        if folder is None or posterior is None:
            raise InputError("--bank and --posterior go together: patients, and the sets of numbers by which they are weighed")
        names = [name.strip() for name in scenarios.split(",")] if scenarios else None
        names = prediction.chosen(names, reading.scenarios("trial"), kinds.load_trial)
        catalogue = load(mechanisms)
        studies = [kinds.load_trial(name, mechanisms=[catalogue]) for name in names]
        known = stored.read(posterior).thinned(sizes[0])
        patients = read_bank(folder)
        refuse_foreign(out)
        documents.check(doc, "predictions")
        own, now = what_it_holds(folder)["model"], rules_digest()
        with working(out, 1, quiet=quiet, log_json=log_json) as desk:
            table = bank_prediction.predict(studies, patients, known, sizes[1], desk.say)
            facts = f"{len(patients.patients)} candidates in the bank, {len(known.sets)} sets of the posterior, {sizes[1]} virtual trials"
            facts += f", rules {own}" + ("." if own == now else f" (the files of the model have others now: {now}).")
            identity = {"command": "tme predict --bank", "bank": len(patients.patients), "sets": len(known.sets), "trials": sizes[1]}
            with open_results(out, identity, force) as place:
                place.say = desk.warn
                place.before_publishing = partial(describe_folder, study=prediction.SUBJECT)
                place.new.mkdir(parents=True, exist_ok=True)
                written = [out / path.relative_to(place.new) for path in bank_prediction.write(table, place.new, facts)]
                place.publish(is_final=False)
        typer.echo(bank_prediction.report(table, facts))
        if doc is not None:
            documents.put(doc, "predictions", bank_prediction.report(table, facts))
            written.append(doc)
        for path in written:
            typer.echo(f"  {path}")


def run_over_sets(
    study: "Study",
    asked: tuple[Path, int],
    mechanisms: Any,
    who: tuple[int | None, bool, str | None],
    how: tuple[bool, bool, bool, bool],
    out: Path | None,
) -> None:
    """`tme run --draws`: a study over sets of the posterior.

    Args:
        study: The study.
        asked: Where the posterior is, and how many of its sets are asked.
        mechanisms: From outside.
        who: Workers, whether these are processes, and the scheduler.
        how: Whether to begin anew, to resume, to be quiet, to tell progress as JSON.
        out: Folder of the results.
    """
    from tme_abm.analysis import draws
    from tme_abm.analysis.calibration import posterior as stored
    from tme_abm.batch.results import open_results, refuse_foreign
    from tme_abm.export.crate import describe_folder
    from tme_abm.mechanisms.outside.loading import load
    from tme_abm.scenario import kinds, running

    force, resume, quiet, log_json = how
    known = stored.read(asked[0]).thinned(asked[1])
    catalogue = load(mechanisms)
    folder = out or Path("results") / f"{study.name}-draws"
    refuse_foreign(folder)
    console = make_console(quiet or log_json)
    console.print(study.title, style="bold")
    console.print(f"{study.patients} patients over {len(known.sets)} sets of the posterior, seed {study.seed}")
    failed = 0
    with (
        working(folder, *who, quiet=quiet, log_json=log_json, resume=resume) as desk,
        open_results(folder, draws.IDENTITY, force, resume) as place,
    ):
        place.say = desk.warn
        place.before_publishing = partial(describe_folder, study=draws.SUBJECT)

        def run_one(one: "Study", to: Path) -> None:
            nonlocal failed
            failed += int(running.run(one, to, force=force, desk=replace(desk, resume=False)).get("failed") or 0)

        place.new.mkdir(parents=True, exist_ok=True)
        table, facts = draws.run(study, known, partial(kinds.load_trial, mechanisms=[catalogue]), run_one, folder, VIRTUAL_TRIALS)
        names = [path.name for path in draws.write(table, place.new, facts)]
        place.publish(is_final=False)
    for line in draws.report(table, facts).splitlines():
        console.print(line, soft_wrap=True)
    for name in names:
        console.print(f"  {folder / name}", soft_wrap=True)
    if failed:
        tell(f"{failed} patient{'s' * (failed != 1)} failed; every denominator counts the others only")
        raise typer.Exit(FAILED_PATIENTS)
