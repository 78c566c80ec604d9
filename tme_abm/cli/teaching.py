"""The lessons of the live page: written as files that need no server, and checked against the model."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tme_abm.cli.options import in_plain_words
from tme_abm.foundation.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from tme_viz.lessons import Lesson

UNTRUE = 1  # exit code where a lesson is not what the model shows

lesson = typer.Typer(name="lesson", help="The lessons of the live page: as files, and whether the model shows them.", no_args_is_help=True)

KeysArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[LESSON...]", help="Lessons by name (`tme lesson list`); all by default.")
]


@lesson.command("list")
def list_() -> None:
    """Name the lessons."""
    with in_plain_words():
        from tme_viz.lessons import lessons

        for number, (key, one) in enumerate(lessons().items(), 1):
            typer.echo(f"{number:2d}  {key:14s} {one.texts['en'].title}")


@lesson.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the files; made where it is not there.")],
    lessons: Annotated[list[str] | None, typer.Option("--lesson", metavar="NAME", help="This lesson; all by default.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> None:
    """Write each lesson as one HTML file with its recorded run, which opens from disk in any browser and needs no server."""
    with in_plain_words():
        from tme_viz.allowed_files import Places
        from tme_viz.recording import export as write

        chosen = _chosen(lessons)
        targets = [folder / f"{one.key}.html" for one in chosen]
        there = next((target for target in targets if target.exists() and not force), None)
        if there is not None:
            raise InputError(f"{there} is there already; --force writes over it")
        folder.mkdir(parents=True, exist_ok=True)
        for one, target in zip(chosen, targets, strict=True):
            n = write(one, Places(), target)
            typer.echo(f"{target}: {n / 1e6:.2f} MB")


@lesson.command()
def check(
    lessons: KeysArgument = None,
    full: Annotated[
        bool, typer.Option("--full", help="Twenty twins of each instead of five: minutes instead of seconds a lesson.")
    ] = False,
    table: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the table into this document, between its marks.")] = None,
) -> None:
    """Whether the model shows what each lesson says, in the prepared pair and in its twins; exit code 1 where it does not."""
    with in_plain_words():
        from tme_viz.allowed_files import Places
        from tme_viz.lesson_check import FEW, MANY, MARK, check, write_table

        from tme_abm.analysis import documents

        chosen, checked = _chosen(lessons), []
        documents.check(table, MARK)
        for one in chosen:
            found = check(one, Places(), MANY if full else FEW)
            checked.append(found)
            verdict = "true" if found.is_true else "NOT TRUE"
            typer.echo(f"{one.key:14s} {verdict}: {found.agree} of {found.of} agree, {found.needed} needed")
            if one.measures or not found.is_true:
                typer.echo(f"               {one.answer(found.measured, 'en')}")
        if table is not None:
            write_table(checked, table)
        if not all(found.is_true for found in checked):
            raise typer.Exit(UNTRUE)


def _chosen(names: list[str] | None) -> "list[Lesson]":
    from tme_viz.lessons import lessons

    known = lessons()
    for name in names or ():
        if name not in known:
            raise InputError(f"there is no lesson '{name}'{did_you_mean(name, known)}")
    return [one for key, one in known.items() if not names or key in names]
