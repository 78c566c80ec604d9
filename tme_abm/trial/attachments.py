"""What a scenario reads from files of the user, gathered so that it can stand beside the results and be read from there."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tme_abm.foundation.toml import parse_toml

SOURCES = "sources"  # folder of the copies, in a folder of results
INHERITS = re.compile(r"""^(\s*inherits\s*=\s*)(["'])(?P<path>[^"'\n]+\.toml)\2""", re.MULTILINE)


def gather(resolved: Mapping[str, Any], asked: Any = None) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A scenario whose paths lead to copies, and the copies.

    Args:
        resolved: A scenario as `Study.resolved` holds it, with absolute paths.
        asked: What else may name drugs of the scenario's folder: changes that a sweep makes.

    Returns:
        The scenario with paths relative to the folder of results; name in that folder -> content.
    """
    table: dict[str, Any] = dict(resolved)
    copies: dict[str, bytes] = {}
    population = table.get("population")
    if isinstance(population, str) and population.endswith(".toml"):
        table["population"] = _copy_population(Path(population), copies)
    elif isinstance(population, Mapping) and str(population.get("inherits", "")).endswith(".toml"):
        table["population"] = {**population, "inherits": _copy_population(Path(population["inherits"]), copies)}
    drugs = table.get("drugs")
    if isinstance(drugs, Mapping) and "folder" in drugs:
        folder = Path(drugs["folder"])
        for path in sorted(_named(folder, set(_words([resolved, asked])))):
            copies[f"{SOURCES}/drugs/{path.relative_to(folder).as_posix()}"] = path.read_bytes()
        table["drugs"] = {**drugs, "folder": f"{SOURCES}/drugs"}
        copies.setdefault(f"{SOURCES}/drugs/README", b"Drug files that the scenario reads before those of the package.\n")
    return table, copies


def _copy_population(path: Path, copies: dict[str, bytes]) -> str:
    """Copy a population and what it inherits from; its name among the copies."""
    name, number = f"{SOURCES}/{path.name}", 1
    content = path.read_text(encoding="utf-8-sig")
    while name in copies:
        number += 1
        name = f"{SOURCES}/{path.stem}_{number}.toml"
    copies[name] = b""  # the name is taken
    above = str(parse_toml(content, path.name).get("inherits", ""))
    if above.endswith(".toml"):
        other = Path(_copy_population(path.parent / above, copies)).name
        content = INHERITS.sub(lambda found: f"{found[1]}{found[2]}{other}{found[2]}", content, count=1)
    copies[name] = content.encode()
    return name


def _words(value: Any) -> Iterator[str]:
    """All keys and texts of a table."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _words(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _words(inner)
    elif isinstance(value, str):
        yield value


def _named(folder: Path, words: set[str]) -> Iterator[Path]:
    """The drug files of a folder, and of its folders for other hosts, whose drug is among some words."""
    return (path for pattern in ("*.toml", "*/*.toml") for path in folder.glob(pattern) if path.stem in words)
