"""What is wrong with a scenario, as one sentence with the place and the nearest right word."""

import json
import re
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError

from tme_abm.foundation.errors import did_you_mean
from tme_abm.foundation.toml import Keys, dotted


def walk(table: Mapping[str, Any], loc: tuple[str | int, ...], kind: str) -> Keys:
    """The path in the table that an error of pydantic means, without the names of its types."""
    path: Keys = ()
    node: Any = table
    for key in loc:
        try:
            node = node[key]
            path = (*path, key)
        except (TypeError, KeyError, IndexError):
            if kind == "missing" and key == loc[-1]:
                path = (*path, key)
    return path


def first_wrong(error: ValidationError, table: Mapping[str, Any], lines: Mapping[Keys, int], form: type[BaseModel]) -> tuple[Keys, str]:
    """The first thing that is wrong with a table: its place, and a sentence. Unknown keys come first: they are behind a missing one.

    Args:
        error: What pydantic has found.
        table: What the file says.
        lines: Line of each key and element of the file.
        form: What the table should be.
    """
    found = [(walk(table, e["loc"], e["type"]), e) for e in error.errors(include_url=False)]
    order = {"extra_forbidden": 0, "missing": 2}
    line = {path: next((lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines), 0) for path, _ in found}
    path, first = min(found, key=lambda pair: (order.get(pair[1]["type"], 1), line[pair[0]]))
    return path, sentence(path, first, form)


def _known(form: Any, path: Keys) -> list[str]:
    """Keys that may stand in the table at a path of a form."""
    tables = [form]
    for key in path:
        tables = [inner for table in tables for inner in _inside(table, key)]
    return [name for table in tables if isinstance(table, type) and issubclass(table, BaseModel) for name in table.model_fields]


def _inside(kind: Any, key: str | int) -> list[Any]:
    """What may stand under a key of a value of a kind: the types of fields, of the elements of a list, of the values of a table."""
    if get_origin(kind) is Annotated:
        return _inside(get_args(kind)[0], key)
    if get_origin(kind) in (Union, UnionType):
        return [inner for one in get_args(kind) for inner in _inside(one, key)]
    if get_origin(kind) in (list, dict):
        return [bare for bare in _bare(get_args(kind)[-1])]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if key in kind.model_fields:
            return _bare(kind.model_fields[str(key)].annotation)
        extra = get_type_hints(kind).get("__pydantic_extra__")
        return [] if extra is None else _inside(extra, key)
    return []


def _bare(kind: Any) -> list[Any]:
    """The alternatives of a type, without notes."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [bare for one in get_args(kind) for bare in _bare(one)]
    return [kind]


MOST_WORDS = 3  # all of which a message names, beside the nearest: "unpaired" is nearest to its opposite
LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("above", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
}
WANTED = {
    "string_type": "words in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "list_type": "a list [...]",
    "dict_type": "a table {...}",
    "model_type": "a table {...}",
    "model_attributes_type": "a table {...}",
}
WANTED_AT = {  # where more than one type will do
    "days": 'days such as "1-21" or [1, 8, 15]',
    "cycles": 'cycles such as "1" or "2-"',
    "population": "a name, a path or a table",
    "record.days": 'days such as "7 d" (every 7 days) or [0, 7, 28]',
    "cells.days": 'days such as "28 d" (every 28 days) or [0, 28, 84]',
    "cells.patients": 'a number of patients such as 10, or a share such as "5 %"',
}


def sentence(path: Keys, error: Mapping[str, Any], form: type[BaseModel]) -> str:
    """What pydantic found, in plain words."""
    name, kind, given, context = dotted(path), error["type"], error.get("input"), error.get("ctx", {})
    where = f" in {dotted(path[:-1])}" if path[:-1] else ""
    if kind == "missing":
        return f"the key '{path[-1]}' is missing{where}"
    if kind == "extra_forbidden":
        return f"unknown key '{path[-1]}'{where}{did_you_mean(str(path[-1]), _known(form, path[:-1]))}"
    if kind == "literal_error":
        words = re.findall(r"'([^']+)'", context["expected"])
        hint = did_you_mean(str(given), words)
        both = f" (one of {', '.join(words)})" if len(words) <= MOST_WORDS and "did you mean" in hint else ""
        return f"unknown word '{given}' for {name}{hint}{both}"
    if kind in LIMITS:
        relation, limit = LIMITS[kind]
        bound = context[limit]
        return f"{name} must be {relation} {bound if isinstance(bound, int) else f'{bound:g}'}, got {given}"
    if kind == "string_too_short":
        return f"{name} is empty"
    if kind in ("too_short", "too_long"):
        wanted = context.get("max_length", context.get("min_length"))
        return f"{name} needs {wanted} element{'s' * (wanted != 1)}, got {context['actual_length']}"
    shown = json.dumps(given, default=str)
    words = [str(key) for key in path if isinstance(key, str)]
    at = (".".join(words[-2:]), *map(str, path[-2:]))
    needed = next((WANTED_AT[key] for key in at if key in WANTED_AT), "") or WANTED.get(kind, "")
    return f"{name}: expected {needed}, got {shown}" if needed else f"{name}: {error['msg'][0].lower()}{error['msg'][1:]}, got {shown}"
