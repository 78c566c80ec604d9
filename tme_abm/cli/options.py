"""Options that commands share, and failures in plain words."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tme_abm.foundation.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

ScenarioArgument = Annotated[str, typer.Argument(metavar="SCENARIO", help="Name of a bundled scenario, or the path of a TOML file.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="PATH=VALUE", help="Change one entry of the scenario, e.g. parameters.motility.chemotaxis=0.5; repeat for more."
    ),
]
WithoutOption = Annotated[list[str] | None, typer.Option(metavar="MECHANISM", help="Switch a mechanism off; repeat for more.")]
MechanismOption = Annotated[
    list[str] | None,
    typer.Option("--mechanism", metavar="FILE", help="Bring a mechanism along: a Python file, or an installed one by name."),
]
PatientsOption = Annotated[int | None, typer.Option(help="Another number of patients.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Patients at a time; the number of cores by default.")]
SeedOption = Annotated[int | None, typer.Option(help="Another seed.")]
ProcessesOption = Annotated[bool, typer.Option("--processes", help="Run patients in processes of their own instead of threads.")]
SchedulerOption = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Run patients on a Dask cluster: tcp://HOST:PORT, or slurm with --workers jobs."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Begin anew; earlier results are replaced once the new ones are complete.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Only go on with a run that was stopped; refuse to begin one.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print failures only.")]
LogJsonOption = Annotated[bool, typer.Option("--log-json", help="Print progress as lines of JSON.")]
WIDTH_IN_FILES = 1000  # columns where the output is no terminal: a row is a line, for grep
LONGEST = 2000  # characters of a message
INPUT_ERROR, FAILURE, FAILED_PATIENTS = 2, 1, 3
OUT_OF_MEMORY = "out of memory; run fewer patients at a time (--workers) or a smaller patch (--set marrow.shape=[64,64])"


def make_console(is_quiet: bool = False) -> "Console":
    """A terminal, or a file in which every row is a line; what the user's words hold is no markup."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDTH_IN_FILES
    return Console(width=width, highlight=False, markup=False, emoji=False, quiet=is_quiet)


def refuse_processes_and_scheduler(processes: bool, scheduler: str | None) -> None:
    """Raise an `InputError` where both are asked for, or a scheduler of which no kind is known."""
    if scheduler is None:
        return
    from tme_abm.batch.cluster import check_scheduler

    if processes:
        raise InputError("--processes are of this machine and --scheduler of a cluster; give one of them")
    check_scheduler(scheduler)


def refuse_force_and_resume(force: bool, resume: bool) -> None:
    """Raise an `InputError` where both are asked for."""
    if force and resume:
        raise InputError("--resume goes on with a run and --force begins anew; give one of them")


def tell(words: str) -> None:
    """Say something on stderr, in one line whatever the user's own words in it hold."""
    if len(words) > LONGEST:
        words = f"{words[: LONGEST // 2]} ... {words[-LONGEST // 2 :]}"
    typer.echo("tme: " + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words), err=True)


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Turn failures that are no bug into one line on stderr and an exit code."""
    try:
        yield
    except InputError as error:
        tell(str(error))
        raise typer.Exit(INPUT_ERROR) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        tell(f"{place}{error.strerror or error}")
        raise typer.Exit(FAILURE) from None
    except MemoryError:
        tell(OUT_OF_MEMORY)
        raise typer.Exit(FAILURE) from None


@contextmanager
def reading_results(*folders: Path) -> Iterator[None]:
    """Within, an error over files that are not as `tme` wrote them is bad input, and names one of them; any other is one of ours.

    Args:
        folders: Of results, banks or parts; what is no folder is passed over.
    """
    try:
        yield
    except (InputError, OSError, MemoryError, typer.Exit, typer.Abort):
        raise
    except Exception as error:
        from jinja2 import UndefinedError

        from tme_abm.batch.results import changed, read_marker
        from tme_abm.foundation.errors import first_line

        if files := [file for folder in folders if folder.is_dir() for file in changed(folder)]:
            raise InputError(f"{files[0]} is damaged: it is not as it was written ({type(error).__name__}: {first_line(error)})") from None
        if any(read_marker(folder) is not None for folder in folders):
            raise
        if isinstance(error, KeyError):  # of a folder of an earlier version, which kept no digests
            raise InputError(
                f"{folders[0]}: a table has no column {error}; it is damaged, or another version of tme has written it"
            ) from None
        if isinstance(error, UndefinedError):
            raise InputError(f"{folders[0]}: run.json or summary.json lacks an entry ({error}); it is damaged") from None
        raise


HorizonOption = Annotated[
    str | None, typer.Option(metavar="TIME", help='How long patients are watched, e.g. "24 month"; the longest follow-up by default.')
]


def parse_days(duration: str | None) -> float | None:
    """A length of time as a user writes it [d]."""
    from tme_abm.forms import parse_duration
    from tme_abm.foundation.clock import HOURS_PER_DAY

    return None if duration is None else parse_duration(duration, "--horizon") / HOURS_PER_DAY


def parse_numbers(text: str, option: str, are_whole: bool = False) -> list[float]:
    """Numbers with commas between them; none of "none".

    Raises:
        InputError: Where something else stands there.
    """
    if text.strip() in ("", "none"):
        return []
    what = "whole numbers" if are_whole else "numbers"
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = [math.nan]
    if not all(math.isfinite(number) and (number == int(number) or not are_whole) for number in found):
        raise InputError(f"{option}: expected {what} with commas between them, got '{text}'")
    return found
