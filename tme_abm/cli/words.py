"""Numbers and long lists in words, no wider than the terminal; in a file as wide as COLUMNS says, or 100."""

import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tme_abm.foundation.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 100  # of what goes into a file, where nothing else says
INDENT = 4


def width_of(console: "Console") -> int:
    """Columns that a line may have."""
    return console.width if console.is_terminal else shutil.get_terminal_size((WIDTH, 0)).columns


def print_numbers(console: "Console", rows: Iterable[Mapping[str, Any]]) -> None:
    """Numbers with unit and grade, a line each, and below it what each means and where it comes from."""
    from rich.text import Text

    for row in rows:
        value = row["value"]
        words = f"{value:g}" if isinstance(value, float) else str(value)
        unit = "" if row["unit"] in ("1", "-") else f" {row['unit']}"
        console.print(Text.assemble((row["name"], "bold"), f" = {words}{unit} [{row['grade']}]"), soft_wrap=True)
        print_wrapped(console, f"{row['meaning']} ({row['source']})", " " * INDENT, " " * INDENT)


def print_lines(console: "Console", texts: Mapping[str, str], indent: int) -> None:
    """Texts with what they are about before them, wrapped below each other."""
    left = max(map(len, texts), default=0) + 2
    for name, text in texts.items():
        print_wrapped(console, text, " " * indent + name.ljust(left), " " * (indent + left))


def print_wrapped(console: "Console", text: str, first: str = "", others: str = "") -> None:
    """A text in lines that fit."""
    from rich.text import Text

    told = textwrap.fill(text, width_of(console), initial_indent=first, subsequent_indent=others, break_on_hyphens=False)
    console.print(Text(told), soft_wrap=True)


def chosen(rows: Sequence[Mapping[str, Any]], word: str) -> list[Mapping[str, Any]]:
    """The numbers of a mechanism or of a drug, or those that have a word in their name, meaning or source.

    Raises:
        InputError: Where there are none, with the nearest name.
    """
    wanted = word.lower()
    parts = {part for row in rows for part in str(row["name"]).lower().split(".")}
    if wanted in parts:
        return [row for row in rows if wanted in str(row["name"]).lower().split(".")]
    found = [row for row in rows if any(wanted in str(row[key]).lower() for key in ("name", "meaning", "source"))]
    if not found:
        hint = did_you_mean(wanted, parts)
        raise InputError(f"--only {word}: no number has this in its name or meaning{hint if 'did you mean' in hint else ''}")
    return found
