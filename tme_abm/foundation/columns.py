"""What the columns of a table mean: declared once beside the code that makes them, read by whoever writes, documents or exports a table."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple


class Heading(NamedTuple):
    """One column of a table.

    A name may hold a blank to fill, `concentration_<drug>_ug_per_ml`: it then stands for a column of each drug.

    Attributes:
        name: In the table.
        unit: "1" for a ratio, "-" for words, truths and numbers that only name something.
        meaning: What the number is.
        kind: "number", "whole number", "truth" or "word".
        low: Lowest value that it can have.
        high: Highest value that it can have.
        words: All values of a column of words; empty where any text may stand.
        missing: When a value is missing; empty where it never is.
    """

    name: str
    unit: str
    meaning: str
    kind: str = "number"
    low: float = -math.inf
    high: float = math.inf
    words: tuple[str, ...] = ()
    missing: str = ""

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if self.kind == "word":
            values = ", ".join(self.words) or "text"
        elif self.kind == "truth":
            values = "true, false"
        else:
            low, high = (f"{end:g}" if math.isfinite(end) else "" for end in (self.low, self.high))
            span = f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}" if high else "any"
            values = span if self.kind == "number" else f"whole numbers {span}".removesuffix(" any")
        return f"{values}; missing {self.missing}" if self.missing else values

    @property
    def notes(self) -> dict[str, str]:
        """Unit, meaning and allowed values, as the metadata of a file hold them."""
        return {"unit": self.unit, "meaning": self.meaning, "allowed": self.allowed}

    def covers(self, column: str) -> bool:
        """Whether the heading declares a column of this name."""
        if "<" not in self.name:
            return self.name == column
        return re.fullmatch(re.sub(r"<\w+>", r"\\w+", self.name), column) is not None


def truth(name: str, meaning: str, missing: str = "") -> Heading:
    """A column of true and false."""
    return Heading(name, "-", meaning, "truth", missing=missing)


def word(name: str, meaning: str, words: Iterable[str] = (), missing: str = "") -> Heading:
    """A column of words."""
    return Heading(name, "-", meaning, "word", words=tuple(words), missing=missing)


def count(name: str, unit: str, meaning: str, missing: str = "") -> Heading:
    """A column of whole numbers from zero."""
    return Heading(name, unit, meaning, "whole number", low=0.0, missing=missing)


def find(column: str, headings: Iterable[Heading]) -> Heading | None:
    """The heading that declares a column: that of its very name before one with a blank; None where none does."""
    fitting = [heading for heading in headings if heading.covers(column)]
    return min(fitting, key=lambda heading: "<" in heading.name, default=None)


def fill_in(headings: Iterable[Heading], columns: Iterable[str]) -> tuple[Heading, ...]:
    """The headings of a table whose columns are known: one with a blank gives way to one of each of these columns that it declares.

    Args:
        headings: As declared.
        columns: Those that fill the blanks, in their order.
    """
    declared = tuple(headings)
    of = {name: find(name, declared) for name in columns}
    return tuple(
        filled
        for heading in declared
        for filled in ([heading._replace(name=name) for name, own in of.items() if own is heading] if "<" in heading.name else [heading])
    )
