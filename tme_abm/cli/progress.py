"""How far a run has come, on the terminal."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


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
