"""The words of the page, in English and Italian."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from tme_abm.marrow.cell_types import records

LANGUAGES = {"en": "English", "it": "Italiano"}
FROM_OUTSIDE = {  # what is said of every unknown mechanism
    " (one from a file of your own comes with --mechanism FILE)": " (uno da un tuo file si porta con --mechanism FILE)"
}


@cache
def words(language: str) -> dict[str, Any]:
    """Words by key, the types of cells among them; tables of words under `scale`, `ends`, `preset` and `cause`."""
    with Path(__file__).with_name("words.toml").open("rb") as file:
        table: dict[str, Any] = tomllib.load(file)[language]
    named = {kind.name: record.italian if language == "it" else record.english for kind, record in records().items()}
    return table | named


def drug(name: str, language: str) -> str:
    """What a drug is called."""
    return str(_italian()["drug"].get(name, name)) if language == "it" else name


def phrase(text: str, language: str) -> str:
    """A text of a figure, its known phrases in the language of the page."""
    if language != "it":
        return text
    table = _italian()["phrase"]
    return _pattern().sub(lambda found: table[found[0]], text)


def message(text: str, language: str) -> str:
    """What went wrong, in the language of the page; where the model says something that is not known here, its English words."""
    if language != "it":
        return text
    said, hint, tail = text, "", ""
    for english, italian in FROM_OUTSIDE.items():
        if said.endswith(english):
            said, tail = said.removesuffix(english), italian
    for english, italian in (("; did you mean ", "; forse "), ("; known: ", "; possibili: ")):
        if english in said:
            said, _, rest = said.rpartition(english)
            hint = italian + rest
            break
    for pattern, template in _messages():
        if found := pattern.fullmatch(said):
            return template.format(*found.groups()) + hint + tail
    return f"{text} (messaggio del modello, in inglese)"


@cache
def _messages() -> list[tuple[re.Pattern[str], str]]:
    table = _italian()["message"].items()
    return [(re.compile("(.*)".join(map(re.escape, english.split("{}"))), re.DOTALL), italian) for english, italian in table]


@cache
def _italian() -> dict[str, dict[str, str]]:
    with Path(__file__).with_name("italian.toml").open("rb") as file:
        return tomllib.load(file)


@cache
def _pattern() -> re.Pattern[str]:
    known = sorted(_italian()["phrase"], key=len, reverse=True)
    return re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, known)) + r")(?!\w)")
