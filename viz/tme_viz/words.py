"""The words of the page, in English and Italian."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

LANGUAGES = {"en": "English", "it": "Italiano"}


@cache
def words(language: str) -> dict[str, Any]:
    """Words by key; tables of words under `mechanism`, `preset` and `cause`."""
    with Path(__file__).with_name("words.toml").open("rb") as file:
        table: dict[str, Any] = tomllib.load(file)[language]
    return table


def mechanism(name: str, language: str) -> str:
    """What a mechanism is called; its own name where it is new."""
    return str(words(language)["mechanism"].get(name, name.replace("_", " ").capitalize()))
