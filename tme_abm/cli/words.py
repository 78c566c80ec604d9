"""Numbers in words."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def print_numbers(console: "Console", rows: list[dict[str, Any]]) -> None:
    """Numbers with unit, source and grade, a row each."""
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
