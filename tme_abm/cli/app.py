"""The command `tme`.

Whatever takes time to import is imported by the command that needs it.
"""

import atexit
import gc
import os
from typing import Annotated

import typer

from tme_abm import __version__
from tme_abm.cli import banking, exporting, inspection, questions, running, teaching, variation
from tme_abm.cli.output import outlast_readers

app = typer.Typer(
    name="tme",
    help="Virtual trials of anti-CD38 antibodies in the bone marrow of patients with multiple myeloma.",
    epilog="Exit codes: 0 done; 1 failed (disk, memory); 2 bad input; 3 done, but some patients failed; 128 + n ended by signal n.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point of the command `tme`."""
    # Imports make half a million objects that stay: to look through them for cycles at every 700th takes a sixth of a short run, and
    # once more at the end, when all memory goes back to the system anyway, another sixth.
    gc.set_threshold(500_000, 10, 10)
    gc.callbacks.append(_collect_as_usual)
    atexit.register(gc.freeze)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # pydantic would ask all that is installed whether it looks at forms
    outlast_readers()
    app()


def _collect_as_usual(phase: str, _: dict[str, int]) -> None:
    """After the first collection: what is there then stays, and a long command looks through what has come since, more often."""
    if phase == "stop" and _collect_as_usual in gc.callbacks:
        gc.callbacks.remove(_collect_as_usual)
        gc.freeze()
        if gc.get_threshold()[0] == 500_000:
            gc.set_threshold(50_000, 10, 10)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tme_abm {__version__}")
        raise typer.Exit


VersionOption = Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")]


@app.callback()
def _app(version: VersionOption = False) -> None:
    pass


# In the order in which a user needs them.
STUDIES, OWN, QUESTIONS, MODEL = "Studies", "Studies of your own", "Questions over many runs", "The model"
app.command("list", rich_help_panel=STUDIES)(inspection.list_)
app.command(rich_help_panel=STUDIES)(inspection.show)
app.command(rich_help_panel=STUDIES)(running.run)
app.command(rich_help_panel=STUDIES)(running.merge)
app.command(rich_help_panel=STUDIES)(running.view)
app.add_typer(teaching.lesson, rich_help_panel=STUDIES)
app.command(rich_help_panel=STUDIES)(running.report)
app.command(rich_help_panel=STUDIES)(exporting.export)
app.command(rich_help_panel=OWN)(inspection.new)
app.command(rich_help_panel=OWN)(inspection.validate)
app.command(rich_help_panel=QUESTIONS)(variation.sweep)
app.command(rich_help_panel=QUESTIONS)(questions.attribute)
app.command(rich_help_panel=QUESTIONS)(variation.sensitivity)
app.command(rich_help_panel=QUESTIONS)(banking.design)
app.command(rich_help_panel=MODEL)(inspection.describe)
app.command(rich_help_panel=MODEL)(banking.bank)
app.command(rich_help_panel=MODEL)(questions.predict)
app.command(rich_help_panel=MODEL)(banking.calibrate)
app.command(rich_help_panel=MODEL)(questions.converge)

if __name__ == "__main__":
    main()
