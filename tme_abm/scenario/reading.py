"""Scenarios found and read, with the line of every entry, before anybody judges what they say."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from tme_abm.forms import Source
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.paths import real
from tme_abm.foundation.toml import Keys, dotted, find_depth, find_lines, parse_path, parse_toml, read_text

MARK = "scenario.toml"  # a folder that holds it is a folder of results
AMOUNT = re.compile(r"([-+]?[0-9][0-9_]*(?:\.[0-9_]+)?(?:[eE][-+]?[0-9]+)?)\s+(\S.*)")  # a number with its unit
SCHEMA_LINE = "#:schema "  # by which editors find what a scenario may say


def scenarios(kind: str | None = None) -> dict[str, Path]:
    """The scenarios that come with the package, by name; all, or those of one kind."""
    found = {path.stem: path for path in sorted(_folder().glob("*.toml"))}
    return found if kind is None else {name: path for name, path in found.items() if _declared(path) == kind}


def questions() -> dict[str, Path]:
    """The sweeps and sensitivity analyses that come with the package, by name."""
    return {path.stem: path for path in sorted(_folder().glob("*/*.toml"))}


def schema_file() -> Path:
    """The JSON schema of scenarios, beside those of the package."""
    return _folder() / "scenario.schema.json"


def copy_bundled(name: str, target: Path) -> list[Path]:
    """Write a copy of a scenario or a drug of the package that belongs to the user.

    The schema of scenarios is laid beside a scenario, so that an editor finds it wherever the folder goes. A drug takes the name of its
    file.

    Returns:
        What was written.

    Raises:
        InputError: For a name that nothing in the package has, a file that is there, or one that cannot be written.
    """
    from tme_abm.pharmacology.drug import FOLDER as DRUGS  # compiles kernels, which nothing else here needs

    bundled, drugs = scenarios() | questions(), {file.stem: file for file in sorted(DRUGS.glob("*.toml"))}
    if name not in bundled | drugs:
        raise InputError(f"no scenario or drug of the package is called '{name}'{did_you_mean(name, bundled | drugs)}")
    if target.suffix != ".toml":
        raise InputError(f"{target}: a {'scenario' if name in bundled else 'drug'} is a .toml file")
    if name in bundled:
        lines = bundled[name].read_text(encoding="utf-8").splitlines(keepends=True)
        if lines[0].startswith(SCHEMA_LINE):
            del lines[0]
        lines.insert(0, f"{SCHEMA_LINE}./{schema_file().name}\n")
    else:
        lines = drugs[name].read_text(encoding="utf-8").splitlines(keepends=True)
        lines[lines.index(f'name = "{name}"\n')] = f'name = "{target.stem}"\n'
    try:
        with target.open("x", encoding="utf-8") as file:
            file.writelines(lines)
    except FileExistsError:
        raise InputError(f"{target} is there already") from None
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}") from None
    return [target, *([_lay_schema(target.parent)] if name in bundled else [])]


def _lay_schema(folder: Path) -> Path:
    """Copy the schema of scenarios into a folder; an older copy is renewed, a file that is none is left alone."""
    own, there = schema_file(), folder / schema_file().name
    try:
        if not there.exists() or '"$schema"' in there.read_text(encoding="utf-8"):
            there.write_bytes(own.read_bytes())
    except (OSError, UnicodeDecodeError):
        pass  # a convenience for editors: the scenario runs without it
    return there


def _folder() -> Path:
    """Where the scenarios of the package stand."""
    package = Path(__file__).parents[1]
    installed = package / "scenarios"
    return installed if installed.is_dir() else package.parent / "scenarios"


@cache
def _declared(path: Path) -> str:
    """The kind that a bundled scenario declares."""
    return str(tomllib.loads(path.read_text(encoding="utf-8")).get("kind", "trial"))


def read(
    given: str | Path | Mapping[str, Any],
    overrides: Iterable[str] = (),
    patients: int | None = None,
    seed: int | None = None,
    without: Sequence[str] = (),
    mechanisms: Iterable[Any] = (),
) -> Source:
    """Read a scenario without judging what it says.

    Args:
        given: Name of a bundled scenario, path of a file, or the table that such a file holds.
        overrides: "PATH=VALUE", as `tme run --set` takes them.
        patients: Another number of patients.
        seed: Another seed.
        without: Further mechanisms to switch off.
        mechanisms: Where mechanisms from outside come from (`mechanisms.outside.loading.load`).

    Raises:
        InputError: Where there is no such file, or it is not TOML, or an override is not PATH=VALUE.
    """
    content = ""
    if isinstance(given, Mapping):
        name, shown, folder, table = "scenario", "scenario", Path.cwd(), deepcopy(dict(given))
    else:
        path, shown = _find(given)
        content = read_text(path, shown)
        table = parse_toml(content, shown)
        # the scenario in a folder of results is named by the folder
        folder = real(path).parent
        name = folder.name if path.name == MARK else path.stem
    options: dict[Keys, str] = {}
    for override in overrides:
        keys, value = _override(override)
        _put(table, keys, value, override)
        options[keys] = f"--set {override}"
    for key, number in (("patients", patients), ("seed", seed)):
        if number is not None:
            table[key] = number
            options[(key,)] = f"--{key} {number}"
    if without:
        before = table.get("without", [])
        table["without"] = [*(before if isinstance(before, list) else []), *without]
        first = len(table["without"]) - len(without)
        options |= {("without", first + i): f"--without {name}" for i, name in enumerate(without)}
    return Source(name, shown, folder, table, LinesOf(content, tuple(options)), options, tuple(mechanisms))


class LinesOf(Mapping[Keys, int]):
    """The line of each key and element of a text, but of those that options have set; looked for once a message asks."""

    def __init__(self, text: str, options: tuple[Keys, ...]) -> None:
        """Of a valid TOML text, and the places of the options."""
        self._text, self._options = text, options

    @cached_property
    def _found(self) -> dict[Keys, int]:
        return {at: line for at, line in find_lines(self._text).items() if not any(at[: len(keys)] == keys for keys in self._options)}

    def __getitem__(self, at: Keys) -> int:
        """The line."""
        return self._found[at]

    def __iter__(self) -> Iterator[Keys]:
        """The places."""
        return iter(self._found)

    def __len__(self) -> int:
        """Number of places."""
        return len(self._found)


def _find(given: str | Path) -> tuple[Path, str]:
    """The file of a scenario, and how messages name it."""
    bundled, text = scenarios() | questions(), str(given)
    if text in bundled:
        return bundled[text], f"scenarios/{bundled[text].relative_to(_folder()).as_posix()}"
    path = Path(text)
    if not path.is_file():
        what = "file" if path.suffix == ".toml" else "scenario"
        raise InputError(f"there is no {what} '{text}'{did_you_mean(path.stem, bundled)}")
    return path, text


def _override(text: str) -> tuple[Keys, Any]:
    """Place and value of "PATH=VALUE". A value that is not TOML is taken as words."""
    name, equals, given = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: write PATH=VALUE, for example trial.design=parallel")
    try:
        keys = parse_path(name.strip())
    except InputError as error:
        raise InputError(f"--set {text}: {error}") from None
    if deep := find_depth(given):
        raise InputError(f"--set {name.strip()}: {deep[1]}")
    try:
        value = tomllib.loads(f"value = {given}")["value"]
    except (ValueError, KeyError):
        value = given.strip()
    keys = as_set(keys)
    is_number = (keys[0], len(keys)) in (("parameters", 3), ("drugs", 4), ("clinic", 2))
    if not is_number or isinstance(value, dict):
        return keys, value
    if isinstance(value, str) and (amount := AMOUNT.fullmatch(value)):
        return keys, {"value": float(amount[1]), "unit": amount[2]}  # the unit is checked where the number is declared
    return keys, {"value": value}


def as_set(keys: Keys) -> Keys:
    """The place in a scenario of a number as `tme show` and run.json name it: "drugs.X.mechanisms.adcc.steepness", "motility.stop"."""
    from tme_abm.mechanisms import BY_NAME
    from tme_abm.simulation.settings import FLOORS

    if len(keys) == 5 and keys[0] == "drugs" and keys[2] == "mechanisms":
        return (*keys[:2], *keys[3:])
    return ("parameters", *keys) if len(keys) == 2 and (keys[0] in BY_NAME or keys[0] in FLOORS) else keys


def _put(table: dict[str, Any], keys: Keys, value: Any, text: str) -> None:
    """Set a value deep in a table; tables on the way are made, elements of lists are not."""
    node: Any = table
    for depth, key in enumerate(keys):
        is_last = depth == len(keys) - 1
        where = dotted(keys[:depth]) or "the scenario"
        if isinstance(key, int):
            if not isinstance(node, list) or key >= len(node):
                n = len(node) if isinstance(node, list) else 0
                raise InputError(f"--set {text}: {where} has {n} elements, counted from 0; there is no [{key}]")
        elif not isinstance(node, dict):
            raise InputError(f"--set {text}: {where} is not a table and has no '{key}'")
        elif not is_last and key not in node:
            node[key] = {}
        if is_last:
            node[key] = value
        else:
            node = node[key]
