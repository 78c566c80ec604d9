"""The command `tme`.

Whatever takes time to import is imported by the command that needs it.
"""

import atexit
import gc
from typing import Annotated

import typer

from tme_abm import __version__
from tme_abm.cli import exporting, inspection, questions, running, variation
from tme_abm.cli.output import outlast_readers

app = typer.Typer(
    name="tme",
    help="Virtual trials of anti-CD38 antibodies in the bone marrow of patients with multiple myeloma.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point of the command `tme`."""
    # Imports make a million objects that stay: to look through them for cycles at every 700th takes a sixth of a short run, and
    # once more at the end, when all memory goes back to the system anyway, another sixth.
    gc.set_threshold(50_000, 10, 10)
    atexit.register(gc.freeze)
    outlast_readers()
    app()


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tme_abm {__version__}")
        raise typer.Exit


VersionOption = Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")]


@app.callback()
def _app(version: VersionOption = False) -> None:
    pass


app.command()(running.run)
app.command()(running.merge)
app.command()(questions.attribute)
app.command()(questions.converge)
app.command()(variation.sweep)
app.command()(variation.sensitivity)
app.command()(running.view)
app.command()(running.report)
app.command()(exporting.export)
app.command()(questions.calibrate)
app.command()(questions.predict)
app.command("list")(inspection.list_)
app.command()(inspection.new)
app.command()(inspection.validate)
app.command()(inspection.show)
app.command()(inspection.describe)

if __name__ == "__main__":
    main()
