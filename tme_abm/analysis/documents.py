"""A part of a document that a command replaces."""

import os
from pathlib import Path

from tme_abm.batch.files import write_whole
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.paths import real


def check(document: Path | None, mark: str) -> None:
    """Refuse a document that could not be changed, before the work whose result it is to hold; None, where nobody asked for one, will do.

    Raises:
        InputError: For what is no text, what nobody may write, and marks of which one is missing.
    """
    if document is not None:
        _read(document, mark)


def put(document: Path, mark: str, content: str, head: str = "") -> None:
    """Replace what stands between the marks of a document, all at once.

    Args:
        document: The file; made where there is none.
        mark: Of the part.
        content: What is to stand there.
        head: With what a new document begins.

    Raises:
        InputError: As `check`.
    """
    before = _read(document, mark) or head
    write_whole(real(document), between(before, mark, content))  # a link goes on leading where it led


def between(text: str, mark: str, content: str) -> str:
    """A document with other content between `<!-- mark -->` and `<!-- end of mark -->`, which are added where they are missing."""
    first, last = _marks(mark)
    if first not in text:
        text = f"{text.rstrip()}\n\n{first}\n{last}\n".lstrip()
    head, rest = text.split(first, 1)
    return f"{head}{first}\n{content.strip()}\n{last}{rest.split(last, 1)[1]}"


def _marks(mark: str) -> tuple[str, str]:
    return f"<!-- {mark} -->", f"<!-- end of {mark} -->"


def _read(document: Path, mark: str) -> str:
    """The text of a document that can be changed; empty where there is none yet."""
    try:
        if not document.exists() and not document.is_symlink():
            if not document.parent.is_dir():
                raise InputError(f"{document}: there is no folder '{document.parent}'")
            if not os.access(document.parent, os.W_OK):
                raise InputError(f"{document} cannot be written: nobody may write into its folder")
            return ""
        if not document.is_file():
            raise InputError(f"{document} is no file, so it holds no part that could be replaced")
        text = document.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{document}: not a text in UTF-8") from None
    except OSError as error:
        raise InputError(f"{document} cannot be read: {error.strerror}") from None
    if not os.access(document, os.W_OK):
        raise InputError(f"{document} cannot be written: it is for reading only")
    first, last = _marks(mark)
    before, begins, after = text.partition(first)
    if bool(begins) != (last in after) or last in before:
        raise InputError(f"{document}: {first} and {last} belong together, in this order; what stands between them is replaced")
    return text
