"""Pieces of Markdown that several pages are made of."""

from collections.abc import Iterable, Sequence
from typing import Any


def cell(text: Any) -> str:
    """What a cell of a table says, in one line, without what Markdown or HTML would take for its own."""
    if isinstance(text, bool):
        return "yes" if text else "no"
    if isinstance(text, float):
        text = number(text)
    return " ".join(str(text).split()).replace("|", r"\|").replace("<", "&lt;").replace("*", r"\*").replace("_", r"\_")


def number(value: float) -> str:
    """A number to six digits, without a needless point."""
    return f"{value:.6g}"


def code(text: str) -> str:
    """Words of the program."""
    return f"`{text}`"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; what begins with a backtick, a bracket or a formula stands as it is."""
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in rows:
        lines.append("| " + " | ".join(str(x) if isinstance(x, str) and x.startswith(("`", "[", "<math")) else cell(x) for x in row) + " |")
    return "\n".join(lines)


def figure(place: str, words: str) -> str:
    """A picture with what it shows."""
    return f"![{words}]({place}){{ .figure }}\n"
