"""The command `tme`: run, calibrate, predict, list, check, show and describe.

Whatever takes time to import is imported by the command that needs it.
"""

import atexit
import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tme_abm import __version__
from tme_abm.foundation.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from tme_abm.pharmacology.regimen import Dose, Regimen
    from tme_abm.trial.study import Study

app = typer.Typer(
    name="tme",
    help="Virtual trials of anti-CD38 antibodies in the bone marrow of patients with multiple myeloma.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ScenarioArgument = Annotated[str, typer.Argument(metavar="SCENARIO", help="Name of a bundled scenario, or the path of a TOML file.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Change one entry of the scenario, e.g. parameters.motility.chemotaxis=0.5; repeat for more."
    ),
]
WithoutOption = Annotated[list[str] | None, typer.Option(metavar="MECHANISM", help="Switch a mechanism off; repeat for more.")]
PatientsOption = Annotated[int | None, typer.Option(help="Another number of patients.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Patients at a time; the number of cores by default.")]
SeedOption = Annotated[int | None, typer.Option(help="Another seed.")]

WIDTH_IN_FILES = 1000  # columns where the output is no terminal: a row is a line, for grep
INPUT_ERROR, FAILURE, INTERRUPTED = 2, 1, 130
USUAL_COLLECTION = gc.get_threshold()


def main() -> None:
    """Entry point of the command `tme`."""
    # Imports make a million objects that stay: to look through them for cycles at every 700th takes a sixth of a short run, and
    # once more at the end, when all memory goes back to the system anyway, another sixth.
    gc.set_threshold(50_000, 10, 10)
    atexit.register(gc.freeze)
    app()


def _console() -> "Console":
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDTH_IN_FILES, highlight=False)


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """Turn failures that are no bug into one line on stderr and an exit code."""
    try:
        yield
    except InputError as error:
        typer.echo(f"tme: {error}", err=True)
        raise typer.Exit(INPUT_ERROR) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        typer.echo(f"tme: {place}{error.strerror or error}", err=True)
        raise typer.Exit(FAILURE) from None
    except MemoryError:
        typer.echo("tme: out of memory; run fewer patients at a time (--workers) or a smaller patch (--set marrow.shape=[64,64])", err=True)
        raise typer.Exit(FAILURE) from None


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tme_abm {__version__}")
        raise typer.Exit


VersionOption = Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")]


@app.callback()
def _app(version: VersionOption = False) -> None:
    pass


# ---- run and report --------------------------------------------------------------------------------------------------


@app.command()
def run(
    scenario: ScenarioArgument,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; results/<scenario> by default.")] = None,
    patients: PatientsOption = None,
    seed: SeedOption = None,
    workers: WorkersOption = None,
    without: WithoutOption = None,
    set_: SetOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace earlier results in the folder.")] = False,
) -> None:
    """Run a study and write its tables and its report."""
    with _in_plain_words():
        from tme_abm import scenario as source
        from tme_abm.trial.study import Study

        study = source.load_scenario(scenario, set_ or (), patients, seed, without or ())
        folder = out if out is not None else Path("results") / study.name
        source.refuse_to_overwrite(folder, force)
        console = _console()
        console.print(study.title, style="bold", markup=False)
        if isinstance(study, Study):
            console.print(f"{study.patients} patients, {len(study.arms)} arm{'s' * (len(study.arms) > 1)}, seed {study.seed}")
        try:
            with Progress(console) as progress:
                summary = source.run(study, folder, workers, force, progress)
        except KeyboardInterrupt:
            typer.echo(f"tme: stopped before the end; {folder} holds no complete results, and --force replaces them", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except RuntimeError as error:
            typer.echo(f"tme: {error}", err=True)
            raise typer.Exit(FAILURE) from None
        if isinstance(study, Study):
            _print_headline(console, study, summary)
        else:
            for sentence in summary["findings"]:
                console.print(sentence, markup=False)
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            console.print(f"  {path}", soft_wrap=True)


HorizonOption = Annotated[
    str | None, typer.Option(metavar="TIME", help='How long patients are watched, e.g. "24 month"; the longest follow-up by default.')
]


@app.command()
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
    force: Annotated[bool, typer.Option("--force", help="Run anew what the folder already holds.")] = False,
) -> None:
    """Find the mechanisms that an arm owes its benefit to; the same command goes on where it was stopped."""
    with _in_plain_words():
        from tme_abm import scenario as source
        from tme_abm.trial import attribution, experiment

        study = source.load_trial(scenario, set_ or (), patients, seed, without or ())
        names = [name.strip() for name in (mechanisms or "").split(",") if name.strip()]
        question = attribution.pose(study, names, samples, _days(horizon))
        folder = experiment.open_folder(out or Path("results") / f"{study.name}_attribution", study, force)
        console = _console()
        console.print(study.title, style="bold", markup=False)
        with _going_on(console, folder) as (progress, say):
            summary = attribution.attribute(question, folder, workers or source.cores(), progress, say)
        for line in attribution.in_words(summary):
            console.print(line, markup=False)
        console.print(f"  {folder / 'report.html'}", soft_wrap=True)


@app.command()
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
    with _in_plain_words():
        from tme_abm import scenario as source
        from tme_abm.trial import convergence, experiment

        study = source.load_trial(scenario, set_ or (), patients, seed)
        sides = [int(side) for side in _numbers(patches, "--patches")]
        axes = convergence.axes_of(_numbers(steps, "--steps"), sides, convergence.own_choice(study))
        convergence.first_comparison(study)
        days = experiment.whole_visits(study, _days(horizon) or study.follow_up.longest_days)
        folder = experiment.open_folder(out or Path("results") / f"{study.name}_convergence", study, force)
        console = _console()
        console.print(study.title, style="bold", markup=False)
        with _going_on(console, folder) as (progress, say):
            summary = convergence.converge(study, folder, axes, days, workers or source.cores(), progress, say)
        for axis in summary["axes"]:
            console.print(convergence.verdict(axis), markup=False, soft_wrap=True)
        command = f"tme converge {scenario} --patients {study.patients} --steps {steps} --patches {patches}"
        command += f' --horizon "{horizon}"' * (horizon is not None) + " --docs docs"
        for path in convergence.write_page(summary, docs or folder, command):
            console.print(f"  {path}", soft_wrap=True)


@contextmanager
def _going_on(console: "Console", folder: Path) -> "Iterator[tuple[Progress, Callable[[str], None]]]":
    """Bars and voice of a command that goes on where it was stopped, and what it says when it is."""
    with Progress(console) as progress:
        try:
            yield progress, lambda words: console.print(words, markup=False)
        except KeyboardInterrupt:
            typer.echo(f"tme: stopped before the end; the same command goes on from what {folder} holds", err=True)
            raise typer.Exit(INTERRUPTED) from None


def _days(duration: str | None) -> float | None:
    """A length of time as a user writes it [d]."""
    from tme_abm.foundation.clock import HOURS_PER_DAY
    from tme_abm.scenario import parse_duration

    return None if duration is None else parse_duration(duration, "--horizon") / HOURS_PER_DAY


def _numbers(text: str, option: str) -> list[float]:
    """Numbers with commas between them; none of "none".

    Raises:
        InputError: Where something else stands there.
    """
    if text.strip() in ("", "none"):
        return []
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"{option}: expected numbers with commas between them, got '{text}'") from None


@app.command()
def view(
    scenario: Annotated[str | None, typer.Argument(metavar="SCENARIO", help="Bundled name or path; a choice on the page.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8765,
    host: Annotated[str, typer.Option(help="Address to listen on; by default this computer only.")] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page in a browser.")] = False,
) -> None:
    """Watch two marrows side by side in the browser, change doses, switch mechanisms."""
    with _in_plain_words():
        from tme_viz.launch import main as serve

        gc.set_threshold(*USUAL_COLLECTION)  # visitors come and go for days, and leave whole marrows behind
        serve(scenario, host, port, not no_browser)


@app.command()
def report(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of results that `tme run` has written.")]) -> None:
    """Write the report of a finished run again."""
    with _in_plain_words():
        if not folder.is_dir():
            raise InputError(f"there is no folder '{folder}'")
        if not (folder / "run.json").is_file():
            raise InputError(f"{folder} holds no finished run: run.json is missing")
        from tme_abm.scenario import MARK, load_scenario, read
        from tme_abm.trial.report import write_report

        if (folder / MARK).is_file() and read(folder / MARK).table.get("kind", "trial") != "trial":
            from tme_abm.laboratory import results

            experiment: Any = load_scenario(folder / MARK)
            typer.echo(str(results.write_report(experiment, folder, results.read_table(folder))))
            return
        typer.echo(str(write_report(folder) or folder / "report.html"))


class Progress:
    """A bar for each phase of a run."""

    def __init__(self, console: "Console") -> None:
        """Draw on a console."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._bars = Bars(*columns, console=console)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> "Progress":
        """Start drawing."""
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bars as they stand."""
        self._bars.stop()

    def phase(self, name: str, total: int | None) -> None:
        """A phase of a length begins; phases may run side by side."""
        if name in self._tasks:
            self._bars.update(self._tasks[name], total=total)
        else:
            self._tasks[name] = self._bars.add_task(name, total=total)

    def advance(self, n: float = 1, phase: str | None = None) -> None:
        """So much more of a phase is done, of the one that began last where none is named."""
        self._bars.advance(self._tasks[phase] if phase is not None else list(self._tasks.values())[-1], n)

    def stop(self) -> None:
        """Leave the bars as they stand."""
        self._bars.stop()


def _print_headline(console: "Console", study: "Study", summary: Mapping[str, Any]) -> None:
    from rich.table import Table

    table = Table(title=None, box=None, pad_edge=False, header_style="bold")
    for name in ("arm", "patients", "median PFS [month]", "ORR", ">= VGPR", ">= CR", "MRD-negative"):
        table.add_column(name, justify="left" if name == "arm" else "right", no_wrap=True)
    for arm in study.arms:
        row = summary["arms"].get(arm.key, {})
        shares = [_percent(row.get(name)) for name in ("orr", "vgpr_or_better", "cr_or_better", "mrd_negative")]
        table.add_row(arm.label, str(row.get("n", "-")), _median(row), *shares)
    console.print(table)
    labels = {arm.key: arm.label for arm in study.arms}
    for row in summary.get("comparisons", ()):
        pair = f"{labels.get(row['arm'], row['arm'])} against {labels.get(row['reference'], row['reference'])}"
        if row.get("hazard_ratio") is None:
            console.print(f"{pair}: no hazard ratio ({row.get('note') or 'too few events'})")
            continue
        level, low, high = row.get("ci_level", study.ci_level), _plain(row.get("ci_low")), _plain(row.get("ci_high"))
        console.print(f"{pair}: hazard ratio {row['hazard_ratio']:.2f} ({100.0 * level:g} % interval {low} to {high})")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100.0 * share:.1f} %"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _median(row: Mapping[str, Any]) -> str:
    if row.get("median_pfs_months") is None:
        return "not reached"
    low, high = row.get("pfs_ci") or (None, None)
    return f"{row['median_pfs_months']:.1f} ({'-' if low is None else f'{low:.1f}'} to {'-' if high is None else f'{high:.1f}'})"


# ---- calibrate and predict -------------------------------------------------------------------------------------------


@app.command()
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
    with _in_plain_words():
        from tme_abm.scenario import cores, load_trial
        from tme_abm.trial import calibration
        from tme_abm.trial import calibration_report as results

        chosen = calibration.read_plan(plan or calibration.PLAN)
        if only is not None:
            chosen = chosen.only(name.strip() for name in only.split(","))
        chosen = calibration.arrange(chosen, free or (), set_ or (), start, hold)
        fit = calibration.prepare(chosen, load_trial, out, patients, replicates, workers or cores())
        typer.echo(f"{len(fit.plan.free)} free numbers, {len(fit.goals)} targets in {', '.join(fit.plan.targets)}; {out}")
        try:
            study = calibration.search(fit, trials, typer.echo)
        except KeyboardInterrupt:
            typer.echo("tme: stopped; the same command goes on", err=True)
            raise typer.Exit(INTERRUPTED) from None
        outcome = results.conclude(fit, study)
        check = calibration.fresh(fit, outcome.best)
        written = results.write(fit, outcome, study, check)
        typer.echo(results.report(fit, outcome, check))
        if doc is not None:
            results.put(doc, "calibration", results.report(fit, outcome, check))
            written.append(doc)
        for path in written:
            typer.echo(f"  {path}")


@app.command()
def predict(
    scenarios: Annotated[str | None, typer.Option(metavar="SCENARIO,...", help="Those with a role to predict by default.")] = None,
    patients: Annotated[int, typer.Option(min=2, help="Virtual patients of each scenario, all in every arm.")] = 400,
    trials: Annotated[int, typer.Option(min=2, help="Virtual trials of the published size, for the intervals.")] = 500,
    workers: WorkersOption = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs; finished ones are taken up.")] = Path("results/prediction"),
    doc: Annotated[Path | None, typer.Option(help="Document whose table of predictions is replaced.")] = None,
) -> None:
    """Predict the published results that the model was not fitted to, and say which it misses."""
    with _in_plain_words():
        from tme_abm import scenario as source
        from tme_abm.trial import prediction
        from tme_abm.trial.calibration_report import put
        from tme_abm.trial.execution import model_digest

        names = [name.strip() for name in scenarios.split(",")] if scenarios else None
        names = prediction.chosen(names, source.scenarios("trial"), source.load_trial)
        studies = [source.load_trial(name, patients=patients) for name in names]
        try:
            table = prediction.predict(studies, lambda s, to: source.run(s, to, workers, force=True), out, trials, typer.echo)
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


# ---- list, validate, show --------------------------------------------------------------------------------------------


@app.command("list")
def list_() -> None:
    """List the bundled scenarios."""
    with _in_plain_words():
        from rich.table import Table

        from tme_abm.scenario import check, read, scenarios

        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("scenario", "kind", "size", "arms", "title"):
            table.add_column(name, justify="right" if name == "size" else "left", no_wrap=name in ("scenario", "kind", "size"))
        for name in scenarios():
            given = check(read(name))
            table.add_row(name, given.kind.replace("_", " "), given.size(), ", ".join(given.labels()), given.title)
        _console().print(table)


@app.command()
def validate(
    scenario: ScenarioArgument,
    set_: SetOption = None,
) -> None:
    """Check a scenario; run nothing."""
    with _in_plain_words():
        from tme_abm.scenario import check, read, resolve

        source = read(scenario, set_ or ())
        study, given = resolve(source), check(source)
        labels = ", ".join(given.labels())
        if given.kind == "trial":
            typer.echo(f"{scenario} is a valid scenario: {given.size()} patients of {study.population.label}, {labels}")
        else:
            typer.echo(f"{scenario} is a valid scenario: {given.kind.replace('_', ' ')} of {given.size()}, {labels}")


@app.command()
def show(
    scenario: ScenarioArgument,
    patients: PatientsOption = None,
    seed: SeedOption = None,
    without: WithoutOption = None,
    set_: SetOption = None,
    parameters: Annotated[bool, typer.Option("--parameters/--no-parameters", help="Print every number with its source.")] = True,
) -> None:
    """Show a scenario as it would run: arms in words, population, every number with unit, source and grade."""
    with _in_plain_words():
        from rich.text import Text

        from tme_abm.foundation.clock import months
        from tme_abm.scenario import load_scenario
        from tme_abm.trial.execution import describe_run
        from tme_abm.trial.study import Study

        study = load_scenario(scenario, set_ or (), patients, seed, without or ())
        console = _console()
        console.print(Text(study.title, "bold"))
        console.print(Text(study.summary))
        if not isinstance(study, Study):
            for name, text in study.facts().items():
                console.print(Text.assemble((f"{name:<13}", "bold"), text))
            if parameters:
                console.print()
                _print_numbers(console, study.origins())
            return
        follow_up, settings = study.follow_up, study.settings
        how = "every patient under every arm" if study.design == "paired" else f"randomised {':'.join(map(str, study.allocation))}"
        if len(study.arms) == 1:
            how = "one arm"
        facts = {
            "population": f"{study.population.label}: {study.population.summary}",
            "patients": f"{study.patients}, {how}; seed {study.seed}",
            "follow-up": f"{months(follow_up.shortest_days):.1f} to {months(follow_up.longest_days):.1f} months",
            "visits": f"every {study.visit_days:g} days",
            "patch": f"{settings.height} x {settings.width} sites, a step of {settings.step_h:g} h",
            "comparisons": "; ".join(f"{a} against {b}" for a, b in study.comparisons) or "none",
            "without": ", ".join(sorted(settings.without)) or "nothing: all mechanisms act",
        }
        for name, text in facts.items():
            console.print(Text.assemble((f"{name:<13}", "bold"), text))
        for arm in study.arms:
            console.print()
            console.print(Text.assemble((arm.label, "bold"), f" ({arm.key})"))
            for sentence in regimen_in_words(arm):
                console.print(Text(f"  {sentence}"))
        if parameters:
            console.print()
            _print_numbers(console, describe_run(study)["parameters"])


def _print_numbers(console: "Console", rows: list[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("name", "value", "unit", "meaning", "source", "grade"):
        table.add_column(name, justify="right" if name == "value" else "left", overflow="fold")
    for row in rows:
        value = row["value"]
        words = f"{value:g}" if isinstance(value, float) else str(value)
        table.add_row(*(Text(text) for text in (row["name"], words, row["unit"], row["meaning"], row["source"], row["grade"])))
    console.print(table)


def regimen_in_words(regimen: "Regimen") -> list[str]:
    """A sentence for each line of a regimen, as a protocol would put it."""
    if not regimen.doses:
        return ["nothing is given"]
    sentences = [_dose_in_words(dose) for dose in regimen.doses]
    end = "" if regimen.stop_day is None else f", until day {regimen.stop_day:g}"
    return [f"cycles of {regimen.cycle_days} days{end}", *sentences]


def _dose_in_words(dose: "Dose") -> str:
    elderly = "" if dose.elderly_amount is None else f" ({dose.elderly_amount:g} {dose.unit} from 75 years of age)"
    if dose.last_cycle is None:
        cycles = "of every cycle" if dose.first_cycle == 1 else f"from cycle {dose.first_cycle} on"
    elif dose.first_cycle == dose.last_cycle:
        cycles = f"of cycle {dose.first_cycle}"
    else:
        cycles = f"of cycles {dose.first_cycle} to {dose.last_cycle}"
    return f"{dose.drug} {dose.amount:g} {dose.unit}{elderly} on day{'s' * (len(dose.days) > 1)} {_days_in_words(dose.days)} {cycles}"


def _days_in_words(days: tuple[int, ...]) -> str:
    """Days in ascending order, runs of three or more as "1 to 21"."""
    runs: list[list[int]] = []
    for day in days:
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    parts = [[f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(day) for day in run] for run in runs]
    return ", ".join(text for part in parts for text in part)


# ---- describe --------------------------------------------------------------------------------------------------------


@app.command()
def describe(
    mechanism: Annotated[str | None, typer.Argument(metavar="[MECHANISM]", help="One mechanism only.")] = None,
) -> None:
    """Describe the model: the step in its order, then the parameters."""
    with _in_plain_words():
        from rich.table import Table
        from rich.text import Text

        from tme_abm.foundation.declare import notes
        from tme_abm.foundation.errors import did_you_mean
        from tme_abm.mechanisms import BY_NAME, MECHANISMS
        from tme_abm.simulation import Settings

        if mechanism is not None and mechanism not in BY_NAME:
            raise InputError(f"unknown mechanism '{mechanism}'{did_you_mean(mechanism, BY_NAME)}")
        chosen = [m for m in MECHANISMS if mechanism in (None, m.name)]
        console = _console()
        console.print("[bold]The step[/bold]: the marrow changes, hazards add up on cells at risk, one draw settles the fate of each.")
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("", "mechanism", "what happens", "reads", "writes", "acts"):
            table.add_column(name, justify="right" if not name else "left")
        for number, m in enumerate(MECHANISMS, 1):
            if m not in chosen:
                continue
            parts = [words for kernel, words in ((m.prepare, "on the marrow"), (m.hazard, "on cells at risk")) if kernel is not None]
            when = " and ".join(parts) + (", under a drug" if m.by_drug else "")
            table.add_row(*(Text(text) for text in (str(number), m.name, m.summary, ", ".join(m.reads), ", ".join(m.writes), when)))
        console.print(table)
        console.print()
        rows = [{"name": name, **origin._asdict()} for name, origin in Settings().origins().items()]
        for m in chosen:
            if m.by_drug:
                defaults = getattr(m.Params, "_field_defaults", {})
                for name, note in notes(m.Params).items():
                    value = float(defaults[name]) if name in defaults else "by drug"
                    rows.append({"name": f"{m.name}.{name}", "value": value, **note._asdict()})
        if mechanism is not None:
            rows = [row for row in rows if row["name"].startswith(f"{mechanism}.")]
        console.print("[bold]Parameters[/bold]: the defaults; drugs, populations and scenarios bring their own (`tme show`).")
        _print_numbers(console, rows)


if __name__ == "__main__":
    main()
