"""The shell of the page: Solara's scripts, styles, fonts and icons, which come with this package, so that no network is needed.

`viz/cut_shell.py` cuts them out of the package solara-assets; `shell_licences.md` says under which licences they stand.
"""

import gzip
import mimetypes
import zipfile
from functools import cache
from pathlib import Path

ARCHIVE = Path(__file__).with_name("shell.zip")
ASKED_AT = "/_solara/cdn/"  # where Solara's page asks for them
TYPES = {".woff2": "font/woff2", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
LARGE = 1000  # bytes from which a text is worth compressing


@cache
def names() -> frozenset[str]:
    """Names of the files, as the page asks for them."""
    with zipfile.ZipFile(ARCHIVE) as archive:
        return frozenset(archive.namelist())


@cache
def content(name: str) -> bytes:
    """A file of the shell.

    Raises:
        KeyError: Where there is none of this name.
    """
    with zipfile.ZipFile(ARCHIVE) as archive:
        return archive.read(name)


@cache
def compressed(name: str) -> bytes:
    """The same, compressed."""
    return gzip.compress(content(name), 6, mtime=0)


def media_type(name: str) -> str:
    """What a file is."""
    return TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def is_worth_compressing(name: str) -> bool:
    """Whether a file shrinks: fonts are compressed already."""
    return not name.endswith(".woff2") and len(content(name)) > LARGE
