"""Paths that a user gives: where they lead, and where nothing is written."""

import os
from pathlib import Path

from tme_abm.foundation.errors import InputError


def real(path: Path) -> Path:
    """A path without links, from the root on. Of links that lead in a circle, `Path.resolve` raises an error on some Pythons."""
    return Path(os.path.realpath(path))


def standing(path: Path) -> Path:
    """A path itself or, where there is none yet, the nearest one above it that there is: what decides whether it can be made."""
    return next(place for place in (path, *real(path).parents) if os.path.lexists(place))


def refuse_tilde(path: Path) -> None:
    """Refuse to write below a `~` that the shell has not written out (`--out=~/runs`).

    pyarrow and pandas would take it for the home folder, everybody else for a folder called so, which is dangerous to remove.

    Raises:
        InputError: For such a path.
    """
    if str(path).startswith("~"):
        raise InputError(f"{path}: the ~ for a home folder is not written out here; give the path in full")
