"""A file of an analysis, read into its form: what is unknown, missing or of the wrong kind is told with its line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from tme_abm.forms import Source, Table
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.toml import Lines, parse_toml, read_text

F = TypeVar("F", bound=Table)


def read_form(path: Path, form: type[F], inner: Mapping[str, type[Table]], changes: Mapping[str, Any] | None = None) -> tuple[F, Source]:
    """Read a file of an analysis.

    Args:
        path: Where it is.
        form: What it may say.
        inner: Key of the form -> what the tables below it may say.
        changes: Entries that take the place of the file's.

    Raises:
        InputError: With file and line, and the nearest right word.
    """
    if not path.is_file():
        raise InputError(f"there is no file '{path}'")
    text = read_text(path)
    table = {**parse_toml(text, str(path)), **(changes or {})}
    source = Source(path.stem, str(path), path.parent, table, Lines(text).found)
    try:
        return form.model_validate(table), source
    except ValidationError as error:
        order = {"extra_forbidden": 0, "missing": 2}
        first = min(error.errors(include_url=False), key=lambda e: order.get(e["type"], 1))
    place = tuple(first["loc"])
    name = str(place[-1]) if place else ""
    if first["type"] == "extra_forbidden":
        raise source.error(place, f"unknown key '{name}'{did_you_mean(name, _known(place[:-1], form, inner))}")
    if first["type"] == "missing":
        raise source.error(place[:-1], f"the key '{name}' is missing")
    shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    raise source.error(place, f"{shown}: {first['msg'][:1].lower()}{first['msg'][1:]}")


def _known(place: Sequence[Any], form: type[Table], inner: Mapping[str, type[Table]]) -> list[str]:
    """The keys of the table at a place."""
    own = inner.get(str(place[0])) if place else None
    return list((own or form).model_fields)
