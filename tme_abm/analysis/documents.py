"""A part of a document that a command replaces."""

from pathlib import Path


def put(document: Path, mark: str, content: str) -> None:
    """Replace what stands between the marks of a document."""
    before = document.read_text(encoding="utf-8") if document.is_file() else ""
    document.write_text(between(before, mark, content), encoding="utf-8")


def between(text: str, mark: str, content: str) -> str:
    """A document with other content between `<!-- mark -->` and `<!-- end of mark -->`, which are added where they are missing."""
    first, last = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    if first not in text or last not in text:
        text = f"{text.rstrip()}\n\n{first}\n{last}\n"
    head, rest = text.split(first, 1)
    return f"{head}{first}\n{content.strip()}\n{last}{rest.split(last, 1)[1]}"
