"""What a command of the terminal brings to long work: workers, progress, and an ear for signals."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tme_abm.cli.options import FAILED_PATIENTS, FAILURE, OUT_OF_MEMORY, refuse_processes_and_scheduler, tell

if TYPE_CHECKING:
    from tme_abm.batch.desk import Desk
    from tme_abm.batch.executors import Executor


@contextmanager
def working(
    folder: Path,
    workers: int | None = None,
    processes: bool = False,
    scheduler: str | None = None,
    *,
    quiet: bool = False,
    log_json: bool = False,
    resume: bool = False,
) -> "Iterator[Desk]":
    """A desk for the work within; what ends it early is said in a line, with what was kept and how to go on.

    Args:
        folder: Where the work is kept.
        workers: How many at a time; the number of cores where it is left out.
        processes: Whether these are processes instead of threads.
        scheduler: Of the cluster whose workers these are, where there is one (`batch.cluster.open_cluster`).
        quiet: Whether nothing is told but failures, and what nobody may miss.
        log_json: Whether progress is told as a line of JSON now and then.
        resume: Whether there must be something to go on with.
    """
    from tme_abm.batch.desk import Desk
    from tme_abm.batch.executors import Crashed
    from tme_abm.batch.signals import ending_on_signals
    from tme_abm.batch.stopping import Stop, Stopped
    from tme_abm.cli.progress import make_progress
    from tme_abm.drawing import forgo_docstrings

    forgo_docstrings()
    stop = Stop()
    refuse_processes_and_scheduler(processes, scheduler)
    with make_progress(quiet, log_json) as progress, ending_on_signals(stop, lambda name: tell(f"{name}: stopping at the next visit")):
        try:
            with _executor(workers, processes, scheduler, progress.say) as executor:
                yield Desk(executor, progress, progress.say, stop, resume, tell if quiet and not log_json else progress.say)
        except (Stopped, KeyboardInterrupt):
            progress.stop()
            tell(f"stopped before the end; the same command goes on from what {folder} holds")
            raise typer.Exit(stop.exit_code) from None
        except OSError as error:
            progress.stop()
            place = f"{error.filename}: " if error.filename else ""
            tell(f"{place}{error.strerror or error}; what was finished is kept: the same command goes on from what {folder} holds")
            raise typer.Exit(FAILURE) from None
        except MemoryError:
            progress.stop()
            tell(f"{OUT_OF_MEMORY}; what was finished is kept: the same command goes on from what {folder} holds")
            raise typer.Exit(FAILURE) from None
        except Crashed as error:
            progress.stop()
            tell(f"{error}; what was finished is kept: the same command goes on from what {folder} holds")
            raise typer.Exit(FAILURE) from None


def _executor(
    workers: int | None, processes: bool, scheduler: str | None, say: Callable[[str], None]
) -> "AbstractContextManager[Executor]":
    """Who does the work, as long as it takes."""
    from tme_abm.batch.desk import cores
    from tme_abm.batch.executors import Processes, Threads

    if scheduler is not None:
        from tme_abm.batch.cluster import open_cluster
        from tme_abm.trial.provenance import code_versions

        return open_cluster(scheduler, workers, code_versions, say)
    return Processes(workers or cores()) if processes else nullcontext(Threads(workers or cores()))


def tell_aside(paths: Iterable[Path]) -> None:
    """Say which files of the user's were in the way of results, and what they are called now."""
    from tme_abm.batch.results import aside_in_words

    for path in paths:
        tell(aside_in_words(path))


def end_on_failures(failed: int, folder: Path) -> None:
    """End a question over many runs with a line and its own exit code, where some failed."""
    if failed:
        tell(f"{failed} run{'s' * (failed != 1)} failed and count{'s' * (failed == 1)} nowhere; {folder / 'runs.jsonl'} says why")
        raise typer.Exit(FAILED_PATIENTS)
