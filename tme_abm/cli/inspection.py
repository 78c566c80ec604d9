"""What there is to run, and what it says: list, validate, show, describe."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tme_abm.cli.options import (
    PatientsOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    WithoutOption,
    in_plain_words,
    make_console,
)
from tme_abm.cli.words import print_numbers, regimen_in_words
from tme_abm.foundation.errors import InputError

if TYPE_CHECKING:
    pass


def list_() -> None:
    """List the bundled scenarios."""
    with in_plain_words():
        from rich.table import Table

        from tme_abm.scenario.kinds import check
        from tme_abm.scenario.reading import read, scenarios

        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("scenario", "kind", "size", "arms", "title"):
            table.add_column(name, justify="right" if name == "size" else "left", no_wrap=name in ("scenario", "kind", "size"))
        for name in scenarios():
            given = check(read(name))
            table.add_row(name, given.kind.replace("_", " "), given.size(), ", ".join(given.labels()), given.title)
        make_console().print(table)


def validate(
    scenario: ScenarioArgument,
    set_: SetOption = None,
) -> None:
    """Check a scenario; run nothing."""
    with in_plain_words():
        from tme_abm.scenario.kinds import check, resolve
        from tme_abm.scenario.reading import read

        source = read(scenario, set_ or ())
        study, given = resolve(source), check(source)
        labels = ", ".join(given.labels())
        if given.kind == "trial":
            typer.echo(f"{scenario} is a valid scenario: {given.size()} patients of {study.population.label}, {labels}")
        else:
            typer.echo(f"{scenario} is a valid scenario: {given.kind.replace('_', ' ')} of {given.size()}, {labels}")


def show(
    scenario: ScenarioArgument,
    patients: PatientsOption = None,
    seed: SeedOption = None,
    without: WithoutOption = None,
    set_: SetOption = None,
    parameters: Annotated[bool, typer.Option("--parameters/--no-parameters", help="Print every number with its source.")] = True,
) -> None:
    """Show a scenario as it would run: arms in words, population, every number with unit, source and grade."""
    with in_plain_words():
        from rich.text import Text

        from tme_abm.foundation.clock import months
        from tme_abm.scenario.kinds import load_scenario
        from tme_abm.trial.provenance import describe_run
        from tme_abm.trial.study import Study

        study = load_scenario(scenario, set_ or (), patients, seed, without or ())
        console = make_console()
        console.print(Text(study.title, "bold"))
        console.print(Text(study.summary))
        if not isinstance(study, Study):
            for name, text in study.facts().items():
                console.print(Text.assemble((f"{name:<13}", "bold"), text))
            if parameters:
                console.print()
                print_numbers(console, study.origins())
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
            print_numbers(console, describe_run(study)["parameters"])


def describe(
    mechanism: Annotated[str | None, typer.Argument(metavar="[MECHANISM]", help="One mechanism only.")] = None,
    columns: Annotated[bool, typer.Option("--columns", help="Describe the columns of all tables instead.")] = False,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="With --columns: write a page of Markdown.")] = None,
) -> None:
    """Describe the model: the step in its order, then the parameters; or the columns of all tables."""
    with in_plain_words():
        if columns:
            _describe_columns(mechanism, to)
            return
        if to is not None:
            raise InputError("--to goes with --columns")
        from rich.table import Table
        from rich.text import Text

        from tme_abm.foundation.declare import notes
        from tme_abm.foundation.errors import did_you_mean
        from tme_abm.mechanisms import BY_NAME, MECHANISMS
        from tme_abm.simulation.settings import Settings

        if mechanism is not None and mechanism not in BY_NAME:
            raise InputError(f"unknown mechanism '{mechanism}'{did_you_mean(mechanism, BY_NAME)}")
        chosen = [m for m in MECHANISMS if mechanism in (None, m.name)]
        console = make_console()
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
        print_numbers(console, rows)


def _describe_columns(table: str | None, to: Path | None) -> None:
    """The columns of all tables, or of one, on the terminal or as a page."""
    from rich.table import Table
    from rich.text import Text

    from tme_abm.export.folder import sections
    from tme_abm.foundation.errors import did_you_mean
    from tme_abm.tables import page

    found = sections()
    if table is not None:
        short = {title.split(".")[0].split(" ")[0]: title for title in found if title.count(".") < 2 and "kind" not in title} | {
            title.rpartition(" ")[2]: title for title in found if "kind" in title
        }
        if table not in short:
            raise InputError(f"there is no table '{table}'{did_you_mean(table, short)}")
        found = {short[table]: found[short[table]]}
    if to is not None:
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(page(found), encoding="utf-8")
        typer.echo(str(to))
        return
    console = make_console()
    for title, (rows, headings) in found.items():
        console.print(Text.assemble((title, "bold"), f": {rows}"))
        shown = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("column", "unit", "meaning", "allowed"):
            shown.add_column(name)
        for heading in headings:
            shown.add_row(*(Text(text) for text in (heading.name, heading.unit, heading.meaning, heading.allowed)))
        console.print(shown)
        console.print()
