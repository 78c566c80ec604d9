"""What there is to run, and what it says: list, new, validate, show, describe."""

import re
from pathlib import Path
from typing import Annotated

import typer

from tme_abm.cli import variation
from tme_abm.cli.options import (
    MechanismOption,
    PatientsOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    WithoutOption,
    in_plain_words,
    make_console,
)
from tme_abm.cli.words import chosen, print_lines, print_numbers, print_wrapped
from tme_abm.foundation.errors import InputError

MOST_ARMS, WIDEST_ARMS = 4, 48  # of a row of the list
LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")  # of a page, which a terminal does not show


def list_() -> None:
    """List the bundled scenarios."""
    with in_plain_words():
        from rich.table import Table

        from tme_abm.scenario.kinds import check
        from tme_abm.scenario.reading import questions, read, scenarios

        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("scenario", "kind", "size", "arms", "title"):
            table.add_column(name, justify="right" if name == "size" else "left", no_wrap=name in ("scenario", "kind", "size"))
        for name in (*scenarios(), *questions()):
            given = check(read(name))
            table.add_row(name, given.kind.replace("_", " "), given.size(), _shortened(given.labels()), given.title)
        make_console().print(table)


def _shortened(labels: list[str]) -> str:
    """The first arms of a scenario, and how many more there are: a row of the list fits a screen."""
    shown = labels if len(labels) <= MOST_ARMS else [*labels[: MOST_ARMS - 1], f"{len(labels) - MOST_ARMS + 1} more"]
    text = ", ".join(shown)
    return text if len(text) <= WIDEST_ARMS else f"{text[: WIDEST_ARMS - 3].rstrip(' ,')}..."


def new(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="Where the copy is written.")],
    like: Annotated[str, typer.Option("--from", metavar="SCENARIO|DRUG", help="Name of a bundled scenario, or of a drug.")],
) -> None:
    """Begin a scenario or a drug of your own: a copy of a bundled one; editors can complete and check a scenario."""
    with in_plain_words():
        from tme_abm.scenario.reading import copy_bundled

        written = copy_bundled(like, file)
        if len(written) > 1:
            typer.echo(f"{file} is a copy of {like}; `tme validate {file}` checks it. {written[1]} is for editors, share it along or not")
        else:
            typer.echo(f'{file} is a copy of {like}; a scenario finds it by [drugs] folder = "..." and gives it as "{file.stem}"')


def validate(
    scenario: ScenarioArgument,
    set_: SetOption = None,
    mechanism: MechanismOption = None,
) -> None:
    """Check a scenario; run nothing."""
    with in_plain_words():
        from tme_abm.scenario.kinds import COMMANDS, check, resolve, running_of
        from tme_abm.scenario.reading import read

        source = read(scenario, set_ or (), mechanisms=mechanism or ())
        study, given = resolve(source), check(source)
        labels = ", ".join(given.labels())
        if given.kind in COMMANDS:
            variation.check(study, mechanism or ())
            typer.echo(f"{scenario} is a valid scenario: {given.kind} of {given.size()}, {labels}")
            return
        typer.echo(f"{scenario} is a valid scenario: {running_of(study).kind_in_words(study, given.size())}, {labels}")


def show(
    scenario: ScenarioArgument,
    patients: PatientsOption = None,
    seed: SeedOption = None,
    without: WithoutOption = None,
    set_: SetOption = None,
    mechanism: MechanismOption = None,
    parameters: Annotated[bool, typer.Option("--parameters/--no-parameters", help="Print every number with its source.")] = True,
    only: Annotated[
        str | None, typer.Option("--only", metavar="WORD", help="Only numbers of a mechanism, of a drug, or with this word in them.")
    ] = None,
) -> None:
    """Show a scenario as it would run: arms in words, population, every number with unit, source and grade."""
    with in_plain_words():
        from rich.text import Text

        from tme_abm.scenario.kinds import COMMANDS, kind_of, load_scenario, running_of
        from tme_abm.scenario.reading import read

        if kind_of(read(scenario)) in COMMANDS and not without and not mechanism:
            _show_question(scenario, set_ or (), patients, seed)
            return
        study = load_scenario(scenario, set_ or (), patients, seed, without or (), mechanism or ())
        console = make_console()
        if only is not None:
            print_numbers(console, chosen(running_of(study).numbers(study), only))
            return
        console.print(Text(study.title, "bold"))
        print_wrapped(console, study.summary)
        kind = running_of(study)
        for name, text in kind.facts(study).items():
            print_wrapped(console, text, f"{name:<13}", " " * 13)
        for label, key, sentences in kind.details(study):
            console.print()
            console.print(Text.assemble((label, "bold"), f" ({key})"))
            for sentence in sentences:
                print_wrapped(console, sentence, "  ", "    ")
        if parameters:
            console.print()
            print_numbers(console, kind.numbers(study))


def _show_question(scenario: str, overrides: list[str] | tuple[str, ...], patients: int | None, seed: int | None) -> None:
    """What a sweep, a sensitivity analysis or a design asks, key by key, and of which trial."""
    from rich.text import Text

    from tme_abm.foundation.toml import to_toml
    from tme_abm.scenario.kinds import COMMANDS, kind_of, resolve
    from tme_abm.scenario.reading import read

    source = read(scenario, overrides, patients, seed)
    question = resolve(source)
    console = make_console()
    console.print(Text(question.title, "bold"))
    console.print(Text(question.summary))
    console.print()
    console.print(Text(to_toml({key: value for key, value in source.table.items() if key not in ("title", "summary")}).rstrip()))
    console.print()
    of_trial = f"; `tme show {source.table['scenario']}` shows its trial" if isinstance(source.table.get("scenario"), str) else ""
    console.print(Text(f"`{COMMANDS[kind_of(source)]} {scenario}` runs it{of_trial}."))


def describe(
    mechanism: Annotated[str | None, typer.Argument(metavar="[MECHANISM]", help="One mechanism only.")] = None,
    graph: Annotated[Path | None, typer.Option("--graph", metavar="FILE.svg", help="Draw who depends on whom into a file.")] = None,
    along: MechanismOption = None,
    columns: Annotated[bool, typer.Option("--columns", help="Describe the columns of all tables instead.")] = False,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="With --columns: write a page of Markdown.")] = None,
) -> None:
    """Describe the model: the step in its order, who depends on whom, then the parameters; or the columns of all tables."""
    with in_plain_words():
        if columns:
            _describe_columns(mechanism, to)
            return
        if to is not None:
            raise InputError("--to goes with --columns")
        from rich.text import Text

        from tme_abm.cli.graph import acts, as_lines, write_svg
        from tme_abm.foundation.declare import notes
        from tme_abm.mechanisms.outside.loading import load
        from tme_abm.simulation.settings import Settings

        catalogue = load(along or ())
        shown = list(catalogue.mechanisms) if mechanism is None else [catalogue.find(mechanism)]
        console = make_console()
        if graph is not None:
            write_svg(catalogue.mechanisms, graph)
            console.print(Text(f"The graph of the mechanisms stands in {graph}."))
            return
        print_wrapped(console, "The step: the marrow changes, hazards add up on cells at risk, one draw settles the fate of each.")
        for number, m in enumerate(catalogue.mechanisms, 1):
            if m not in shown:
                continue
            when = " and ".join(act.when for act in acts(m)) + (", under a drug" if m.by_drug else "")
            left = [f"{name} at rest" for name in m.rest] if isinstance(m.rest, tuple) else [f"{act} as its file says" for act in m.rest]
            print_wrapped(console, m.summary, f"{number:>2}  {m.name}  ", "    ")
            about = {"when": when, "reads": ", ".join(m.reads), "writes": ", ".join(m.writes), "switched off": ", ".join(left)}
            print_lines(console, {name: text for name, text in about.items() if text}, 4)
        console.print()
        console.print(Text.assemble(("Who depends on whom", "bold"), " within a step (`--graph FILE.svg` draws it):"))
        for line in as_lines(catalogue.mechanisms, {m.name for m in shown}):
            print_wrapped(console, line, "", "    ")
        console.print()
        rows = [{"name": name, **origin._asdict()} for name, origin in Settings(catalogue=catalogue).origins().items()]
        for m in shown:
            if m.by_drug:
                defaults = getattr(m.Params, "_field_defaults", {})
                for name, note in notes(m.Params).items():
                    value = float(defaults[name]) if name in defaults else "by drug"
                    rows.append({"name": f"{m.name}.{name}", "value": value, **note._asdict()})
        if mechanism is not None:
            rows = [row for row in rows if row["name"].startswith(f"{mechanism}.")]
        print_wrapped(console, "Parameters: the defaults; drugs, populations and scenarios bring their own (`tme show`).")
        print_numbers(console, rows)


def _describe_columns(table: str | None, to: Path | None) -> None:
    """The columns of all tables, or of one, on the terminal or as a page."""
    from rich.table import Table
    from rich.text import Text

    from tme_abm.analysis.headings import sections as of_analyses
    from tme_abm.export.folder import sections
    from tme_abm.foundation.errors import did_you_mean
    from tme_abm.tables import page

    found = sections() | of_analyses()
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
        console.print(Text.assemble((title, "bold"), ": ", LINK.sub(r"\1", rows)))
        shown = Table(box=None, pad_edge=False, header_style="bold")
        for name in ("column", "unit", "meaning", "allowed"):
            shown.add_column(name)
        for heading in headings:
            shown.add_row(*(Text(text) for text in (heading.name, heading.unit, heading.meaning, heading.allowed)))
        console.print(shown)
        console.print()
