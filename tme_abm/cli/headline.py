"""The result of an experiment on the terminal."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from tme_abm.trial.headline import Headline


def print_headline(console: "Console", headline: "Headline") -> None:
    """The table, then the sentences."""
    from rich.table import Table
    from rich.text import Text

    if headline.rows:
        table = Table(title=None, box=None, pad_edge=False, header_style="bold")
        for number, name in enumerate(headline.columns):
            table.add_column(name, justify="right" if number else "left", no_wrap=True)
        for row in headline.rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
    for sentence in headline.sentences:
        console.print(sentence)
