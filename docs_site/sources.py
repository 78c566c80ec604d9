"""The bibliography as readers know it: what the keys of sources stand for."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tme_abm.foundation.references import BIBLIOGRAPHY, keys

DOCS = Path(__file__).parents[1] / "docs"
MARKS = {"'": "\u0301", "`": "\u0300", '"': "\u0308", "~": "\u0303", "^": "\u0302"}


@cache
def entries() -> dict[str, dict[str, str]]:
    """Key -> the fields of its entry."""
    found = {}
    for key, body in re.findall(r"^@\w+\{([^,]+),\n(.*?)^\}", BIBLIOGRAPHY.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        fields = re.findall(r"^\s*(\w+)\s*=\s*\{(.*)\},?\s*$", body, re.MULTILINE)
        found[key] = {name: plain(value) for name, value in fields}
    return found


def plain(text: str) -> str:
    """BibTeX as plain words."""
    text = re.sub(r"\{\\(['`\"~^])\{?\\?(\w)\}?\}", lambda m: _accented(m[1], m[2]), text)
    text = re.sub(r"\\(['`\"~^])\{?(\w)\}?", lambda m: _accented(m[1], m[2]), text)
    text = text.replace("``", "\u201c").replace("''", "\u201d").replace("--", "\u2013")
    return text.replace("{", "").replace("}", "").replace("\\", "")


def _accented(accent: str, letter: str) -> str:
    return unicodedata.normalize("NFC", letter + MARKS[accent])


def sentence(key: str) -> str:
    """One entry as a sentence."""
    entry = entries()[key]
    authors = entry.get("author", "").split(" and ")
    named = [author for author in authors if author != "others"]
    who = ", ".join(filter(None, named[:3])) + (" and others" if len(authors) > len(named[:3]) else "")
    where = ", ".join(filter(None, (entry.get(k, "") for k in ("journal", "booktitle", "publisher", "howpublished", "volume", "pages"))))
    told = f" {note}." if not who and (note := entry.get("note", "").rstrip(".")) else ""  # how to find what no author names
    return f"{who}{'. ' if who else ''}{entry.get('title', '')}. {where}{', ' if where else ''}{entry.get('year', '')}.{told}"


CALIBRATION = re.compile(r"docs/calibration\.md(?:, round (\d+))?")


@cache
def fitted_in(number: str = "") -> str:
    """The anchor of a round of docs/calibration.md; of the last fit where none is named."""
    heads = re.findall(r"^## (.+)$", (DOCS / "calibration.md").read_text(encoding="utf-8"), re.MULTILINE)
    found = [h for h in heads if (h.startswith(f"Round {number}:") if number else re.search(r"\bfit\b(?!\))", h))]
    if not found:
        return ""
    return "#" + re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", found[-1 if not number else 0].lower())).strip("-")


def linked(page: str) -> str:
    """A page with links where it names docs/calibration.md."""

    def link(found: re.Match[str]) -> str:
        words = "calibration" + (f", round {found[1]}" if found[1] else "")
        return f"[{words}](site:calibration.md{fitted_in(found[1] or '')})"

    return CALIBRATION.sub(link, page)


def keys_in(source: str) -> list[str]:
    """The keys that a source names."""
    return [key for part in source.split("; ") if (key := part.split(":")[0].strip()) in keys() and key != "tme_abm"]


def cited(given: Iterable[str]) -> str:
    """The sources of a table, one to a line."""
    found = list(dict.fromkeys(key for source in given for key in keys_in(source)))
    own = "`tme_abm`: what this model assumes or derives. Grades: see [where numbers come from](site:catalogue/index.md)."
    return "\n".join([*(f"- `{key}`: {sentence(key)}" for key in sorted(found)), f"- {own}"])
