"""The lessons: a TOML file each, in the order of their numbers."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tme_abm.foundation.errors import InputError
from tme_viz.choice import Choice

FOLDER = Path(__file__).with_name("lessons")
KEYS = {"title", "question", "options", "experiment", "look"}


@dataclass(frozen=True)
class Text:
    """A lesson in one language.

    Attributes:
        title: What it is about.
        question: Asked before anything runs.
        options: Predictions to choose from.
        experiment: What is prepared on either side, and what to do.
        look: What to look for, in order.
    """

    title: str
    question: str
    options: tuple[str, ...]
    experiment: str
    look: tuple[str, ...]


@dataclass(frozen=True)
class Expectation:
    """What the model must show for the lesson to be worth giving; a test runs it.

    Attributes:
        column: Of the rows of a pair.
        day: Day of treatment.
        factor: The left arm's value is below `factor` times the right arm's.
    """

    column: str
    day: int
    factor: float


@dataclass(frozen=True)
class Lesson:
    """One lesson.

    Attributes:
        key: Name of its file without the number.
        choice: The prepared experiment.
        layer: What is shown at first.
        source: Where the reader finds more.
        expect: What must come out.
        texts: By language.
    """

    key: str
    choice: Choice
    layer: str
    source: str
    expect: Expectation
    texts: dict[str, Text]


@cache
def lessons() -> dict[str, Lesson]:
    """All lessons by key.

    Raises:
        InputError: Where a file lacks something.
    """
    found = {}
    for path in sorted(FOLDER.glob("*.toml")):
        with path.open("rb") as file:
            table = tomllib.load(file)
        key = path.stem.partition("_")[2]
        texts = {}
        for language in ("en", "it"):
            words = table[language]
            if set(words) != KEYS:
                raise InputError(f"{path.name}: [{language}] needs {', '.join(sorted(KEYS))}")
            texts[language] = Text(words["title"], words["question"], tuple(words["options"]), words["experiment"], tuple(words["look"]))
        expect = Expectation(**table["expect"])
        found[key] = Lesson(key, Choice.read(table["link"]), table["layer"], table["source"], expect, texts)
    return found
