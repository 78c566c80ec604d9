"""Scenarios: one TOML file is one study that anyone can rerun. This module is their only reader.

A scenario says who is treated (a population), how (arms), for how long, and which numbers of the model this study chooses otherwise.
It is checked whole before anything runs: a key that nobody knows, a wrong unit or an arm that does not exist ends with one sentence
that names the file, the line and the nearest right word.
"""

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tme_abm.foundation.clock import DAYS_PER_MONTH, DAYS_PER_YEAR, HOURS_PER_DAY
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.toml import Keys, Lines, dotted, parse_path, to_toml

if TYPE_CHECKING:  # these compile kernels when they are imported, and `tme list` needs none
    from tme_abm.patient import Population
    from tme_abm.pharmacology.drug import Drug
    from tme_abm.pharmacology.regimen import Regimen
    from tme_abm.simulation import Settings
    from tme_abm.trial.study import Study

DURATIONS = {  # unit -> hours
    "h": 1.0,
    "d": HOURS_PER_DAY,
    "week": 7.0 * HOURS_PER_DAY,
    "month": DAYS_PER_MONTH * HOURS_PER_DAY,
    "year": DAYS_PER_YEAR * HOURS_PER_DAY,
}
ENDPOINTS = {  # endpoint -> unit in which it is published; "pfs_36_months" and the like are known too
    "median_pfs": "month",
    "orr": "percent",
    "vgpr_or_better": "percent",
    "cr_or_better": "percent",
    "mrd_negative": "percent",
    "hazard_ratio_pfs": "ratio",
}
PFS_AT = re.compile(r"pfs_\d+_months")
MARK = "scenario.toml"  # a folder that holds it is a folder of results
ARM_KEY = re.compile(r"[a-z0-9][a-z0-9_-]*")


# ---- what a scenario may say -----------------------------------------------------------------------------------------


class Table(BaseModel):
    """A table of a scenario: no unknown keys, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Value(Table):
    """A number that this study chooses."""

    value: float
    unit: str | None = None
    source: str | None = None
    grade: str | None = None


class Marrow(Table):
    """The patch of marrow."""

    shape: list[int] = Field([64, 64], min_length=2, max_length=2, description="rows and columns of sites of 12 um")
    step: str = Field("6 h", description="length of a step; divides a day")


class Trial(Table):
    """How the arms are compared."""

    design: Literal["paired", "parallel"] = Field("paired", description="every patient under every arm, or randomised to one")
    allocation: list[int] | None = Field(None, description="weights of the arms in a parallel design; alike where not given")
    compare: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field([], description="pairs of arm and reference")
    follow_up: Annotated[list[str], Field(min_length=2, max_length=2)] = Field(description="shortest and longest at the cut-off")
    visits: str = Field("28 d", description="time between assessments")
    ci_level: float = Field(0.95, gt=0.0, lt=1.0, description="level of the intervals of hazard ratios")


class DoseLine(Table):
    """One line of a regimen."""

    drug: str = Field(description="INN, lower case")
    dose: str = Field(description='"10 mg/kg", "56 mg/m2" or "40 mg"')
    days: str | int | list[int] = Field(description='days of the cycle: [1, 8, 15] or "1-21"')
    cycles: str | int = Field("1-", description='"1", "2-" or "3-6"')
    elderly_dose: str | None = Field(None, description="from 75 years of age, where it differs")


class Arm(Table):
    """A regimen; arms differ in nothing else."""

    label: str = Field(min_length=1)
    cycle: str = "28 d"
    doses: list[DoseLine] = []
    stop: str | None = Field(None, description="when treatment ends, if it ends before the disease progresses")


class Published(Table):
    """A published figure for the report to print; the model never reads it."""

    arm: str | None = None
    comparison: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
    endpoint: str
    role: Literal["calibration", "prediction"] | None = Field(None, description="what `tme calibrate` may fit, or `tme predict` tests")
    value: float
    unit: str
    ci_low: float | None = None
    ci_high: float | None = None
    ci_level: float | None = Field(None, gt=0.0, lt=1.0)
    n: int | None = Field(None, ge=1, description="patients of the arm, from whom an interval follows where none was published")
    subgroup: str | None = Field(None, description="where the figure is not of all patients")
    source: str
    grade: str | None = None
    note: str | None = None


class Drugs(BaseModel):
    """Changes to drugs: drug -> mechanism -> coefficient."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, dict[str, dict[str, Value]]]

    folder: str | None = Field(None, description="folder of drug files that are read before those of the package")


class Scenario(Table):
    """One study."""

    title: str
    summary: str
    population: str | dict[str, Any] = Field(description='a name, the path of a TOML file, or a table with inherits = "..."')
    patients: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**62)
    without: list[str] = Field([], description="mechanisms that are switched off")
    marrow: Marrow = Marrow()
    trial: Trial
    arms: dict[str, Arm] = Field(min_length=1)
    parameters: dict[str, dict[str, Value]] = {}
    drugs: Drugs = Drugs()
    published: list[Published] = []


MODELS: tuple[tuple[tuple[str, ...], type[BaseModel]], ...] = (  # "*" stands for any key
    ((), Scenario),
    (("marrow",), Marrow),
    (("trial",), Trial),
    (("arms", "*"), Arm),
    (("arms", "*", "doses", "*"), DoseLine),
    (("parameters", "*", "*"), Value),
    (("drugs", "*", "*", "*"), Value),
    (("published", "*"), Published),
)


def schema() -> dict[str, Any]:
    """The JSON schema of a scenario, for editors that complete and check TOML files."""
    return {"$schema": "http://json-schema.org/draft-07/schema#", **Scenario.model_json_schema()}


# ---- finding and reading ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A scenario as it was given.

    Attributes:
        name: Name of the scenario.
        shown: The file as messages name it.
        folder: From which relative paths in the scenario count.
        table: What the file says, with what the command line changes.
        lines: Line of each key and element of the file.
        options: Place -> the option of the command line that set it.
    """

    name: str
    shown: str
    folder: Path
    table: Mapping[str, Any]
    lines: Mapping[Keys, int] = field(default_factory=dict)
    options: Mapping[Keys, str] = field(default_factory=dict)

    def place(self, path: Keys) -> str:
        """Where something stands, for the head of a message."""
        if path not in self.lines and path:  # a table that only the command line has made
            for option, text in self.options.items():
                if option[: len(path)] == path:
                    return text
        for size in range(len(path), -1, -1):
            if path[:size] in self.options:
                return self.options[path[:size]]
            if path[:size] in self.lines:
                return f"{self.shown}, line {self.lines[path[:size]]}"
        return self.shown

    def error(self, path: Keys, text: str) -> InputError:
        """An error at a place."""
        return InputError(f"{self.place(path)}: {text}")

    def wrap(self, path: Keys, error: InputError) -> InputError:
        """An error that was raised elsewhere, with its place; a path at the head of its message makes the place more exact."""
        head = re.match(r"([A-Za-z0-9_.\[\]-]+): ", str(error))
        if head and re.fullmatch(r"[A-Za-z0-9_-]+([.\[][A-Za-z0-9_\]-]+)*", head[1]):
            named = parse_path(head[1])
            word = re.search(r"unknown \w+ '([^']+)'", str(error))
            if named[: len(path)] == path:
                path = (*named, word[1]) if word else named
        return self.error(path, str(error))


def scenarios() -> dict[str, Path]:
    """The scenarios that come with the package, by name."""
    installed = Path(__file__).with_name("scenarios")
    folder = installed if installed.is_dir() else Path(__file__).parents[1] / "scenarios"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read(
    given: str | Path | Mapping[str, Any],
    overrides: Iterable[str] = (),
    patients: int | None = None,
    seed: int | None = None,
    without: Sequence[str] = (),
) -> Source:
    """Read a scenario without judging what it says.

    Args:
        given: Name of a bundled scenario, path of a file, or the table that such a file holds.
        overrides: "PATH=VALUE", as `tme run --set` takes them.
        patients: Another number of patients.
        seed: Another seed.
        without: Further mechanisms to switch off.

    Raises:
        InputError: Where there is no such file, or it is not TOML, or an override is not PATH=VALUE.
    """
    found: dict[Keys, int] = {}
    if isinstance(given, Mapping):
        name, shown, folder, table = "scenario", "scenario", Path.cwd(), deepcopy(dict(given))
    else:
        path, shown = _find(given)
        table, found = _parse(path, shown)
        # the scenario in a folder of results is named by the folder
        name, folder = path.resolve().parent.name if path.name == MARK else path.stem, path.resolve().parent
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
    lines = {at: line for at, line in found.items() if not any(at[: len(keys)] == keys for keys in options)}
    return Source(name, shown, folder, table, lines, options)


def _find(given: str | Path) -> tuple[Path, str]:
    """The file of a scenario, and how messages name it."""
    bundled, text = scenarios(), str(given)
    if text in bundled:
        return bundled[text], f"scenarios/{text}.toml"
    path = Path(text)
    if not path.is_file():
        what = "file" if path.suffix == ".toml" else "scenario"
        raise InputError(f"there is no {what} '{text}'{did_you_mean(path.stem, bundled)}")
    return path, text


def _parse(path: Path, shown: str) -> tuple[dict[str, Any], dict[Keys, int]]:
    """The table of a file and the lines of its keys."""
    try:
        content = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{shown}: not a text in UTF-8") from error
    try:
        return tomllib.loads(content), Lines(content).found
    except tomllib.TOMLDecodeError as error:
        raise InputError(_syntax(shown, content, str(error))) from error


def _syntax(shown: str, content: str, error: str) -> str:
    """What tomllib says, with the place first."""
    what, at = error, re.search(r" \(at line (\d+), column \d+\)$", error)
    line = content.count("\n") + 1
    if at:
        what, line = error[: at.start()], int(at[1])
    elif error.endswith(" (at end of document)"):
        what = f"{error[: -len(' (at end of document)')]} at the end of the file"
    if twice := re.match(r"Cannot declare \((.*)\) twice", what):
        what = f"the table [{'.'.join(re.findall(r'[^, ]+', twice[1].replace(chr(39), '')))}] stands twice"
    return f"{shown}, line {line}: not valid TOML: {what[0].lower()}{what[1:]}"


def _override(text: str) -> tuple[Keys, Any]:
    """Place and value of "PATH=VALUE". A value that is not TOML is taken as words."""
    name, equals, given = text.partition("=")
    if not equals:
        raise InputError(f"--set {text}: write PATH=VALUE, for example trial.design=parallel")
    try:
        keys = parse_path(name.strip())
    except InputError as error:
        raise InputError(f"--set {text}: {error}") from None
    try:
        value = tomllib.loads(f"value = {given}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        value = given.strip()
    is_number = (keys[0] == "parameters" and len(keys) == 3) or (keys[0] == "drugs" and len(keys) == 4)
    return keys, {"value": value} if is_number and not isinstance(value, dict) else value


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


# ---- judging ---------------------------------------------------------------------------------------------------------


def check(source: Source) -> Scenario:
    """The scenario, with every key known and every value of its kind.

    Raises:
        InputError: For the first thing that is wrong; unknown keys first, as they are what is behind a missing one.
    """
    try:
        return Scenario.model_validate(source.table)
    except ValidationError as error:
        found = [(_walk(source.table, e["loc"], e["type"]), e) for e in error.errors(include_url=False)]
        order = {"extra_forbidden": 0, "missing": 2}
        line = {path: next((source.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in source.lines), 0) for path, _ in found}
        path, first = min(found, key=lambda pair: (order.get(pair[1]["type"], 1), line[pair[0]]))
        raise source.error(path, _sentence(path, first)) from None


def _walk(table: Mapping[str, Any], loc: tuple[str | int, ...], kind: str) -> Keys:
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


def _known(path: Keys) -> list[str]:
    """Keys that may stand in the table at a path."""
    for pattern, model in MODELS:
        if len(pattern) == len(path) and all(p in ("*", key) for p, key in zip(pattern, path, strict=True)):
            return list(model.model_fields)
    return []


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
    "list_type": "a list [...]",
    "dict_type": "a table {...}",
    "model_type": "a table {...}",
    "model_attributes_type": "a table {...}",
}
WANTED_AT = {  # where more than one type will do
    "days": 'days such as "1-21" or [1, 8, 15]',
    "cycles": 'cycles such as "1" or "2-"',
    "population": "a name, a path or a table",
}


def _sentence(path: Keys, error: Mapping[str, Any]) -> str:
    """What pydantic found, in plain words."""
    name, kind, given, context = dotted(path), error["type"], error.get("input"), error.get("ctx", {})
    where = f" in {dotted(path[:-1])}" if path[:-1] else ""
    if kind == "missing":
        return f"the key '{path[-1]}' is missing{where}"
    if kind == "extra_forbidden":
        return f"unknown key '{path[-1]}'{where}{did_you_mean(str(path[-1]), _known(path[:-1]))}"
    if kind == "literal_error":
        words = re.findall(r"'([^']+)'", context["expected"])
        return f"unknown word '{given}' for {name}{did_you_mean(str(given), words)}"
    if kind in LIMITS:
        relation, limit = LIMITS[kind]
        return f"{name} must be {relation} {context[limit]:g}, got {given}"
    if kind == "string_too_short":
        return f"{name} is empty"
    if kind in ("too_short", "too_long"):
        wanted = context.get("max_length", context.get("min_length"))
        return f"{name} needs {wanted} element{'s' * (wanted != 1)}, got {context['actual_length']}"
    shown = json.dumps(given, default=str)
    needed = next((WANTED_AT[str(key)] for key in path[-2:] if key in WANTED_AT), "") or WANTED.get(kind, "")
    return f"{name}: expected {needed}, got {shown}" if needed else f"{name}: {error['msg'][0].lower()}{error['msg'][1:]}, got {shown}"


def parse_duration(text: str, where: str = "duration") -> float:
    """Hours of a duration as people write it, such as "6 h", "28 d" or "15 month".

    Raises:
        InputError: Where the text is no positive number with one of these units.
    """
    found = re.fullmatch(r"\s*([-+]?[0-9.]+)\s*([A-Za-z]+)\s*", text)
    if found is None:
        raise InputError(f'{where}: write a number and a unit, such as "28 d", not "{text}"')
    if found[2] not in DURATIONS:
        raise InputError(f"{where}: unknown unit '{found[2]}' in \"{text}\"{did_you_mean(found[2], DURATIONS)}")
    try:
        amount = float(found[1])
    except ValueError:
        raise InputError(f"{where}: '{found[1]}' is not a number") from None
    if amount <= 0.0:
        raise InputError(f'{where}: a duration must be above zero, got "{text}"')
    return amount * DURATIONS[found[2]]


def parse_cycles(given: str | int, where: str = "cycles") -> tuple[int, int | None]:
    """First and last cycle of "1", "2-", "3-6" or 1; None for a last one that is open.

    Raises:
        InputError: Where the text is none of these, or runs backwards.
    """
    found = re.fullmatch(r"\s*(\d+)\s*(-\s*(\d+)?)?\s*", str(given))
    if found is None or int(found[1]) < 1:
        raise InputError(f'{where}: write cycles as "1", "2-" or "3-6", counted from 1, not {json.dumps(given)}')
    first = int(found[1])
    last = int(found[3]) if found[3] else None if found[2] else first
    if last is not None and last < first:
        raise InputError(f'{where}: the cycles "{given}" run backwards')
    return first, last


def load_scenario(
    given: str | Path | Mapping[str, Any],
    overrides: Iterable[str] = (),
    patients: int | None = None,
    seed: int | None = None,
    without: Sequence[str] = (),
) -> "Study":
    """Read a scenario and resolve it into a study that can run.

    Args:
        given: Name of a bundled scenario, path of a file, or the table that such a file holds (`Study.resolved`).
        overrides: "PATH=VALUE", as `tme run --set` takes them.
        patients: Another number of patients.
        seed: Another seed.
        without: Further mechanisms to switch off.

    Raises:
        InputError: One sentence with file, line, what is wrong and the nearest right word.
    """
    return resolve(read(given, overrides, patients, seed, without))


def resolve(source: Source) -> "Study":
    """The study that a scenario describes, with everything that it names looked up and checked.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    from tme_abm.trial.study import FollowUp, Study

    scenario = check(source)
    folders = _folders(scenario, source)
    arms = tuple(_regimen(key, arm, source) for key, arm in scenario.arms.items())
    drugs = _drugs(scenario, arms, folders, source)
    _check_arms(scenario, source)
    trial = scenario.trial
    shortest, longest = (_hours(text, ("trial", "follow_up", i), source) / HOURS_PER_DAY for i, text in enumerate(trial.follow_up))
    visit_days = _hours(trial.visits, ("trial", "visits"), source) / HOURS_PER_DAY
    if longest < shortest:
        raise source.error(("trial", "follow_up"), f'the longest follow-up comes second, not "{trial.follow_up[1]}"')
    if visit_days % 1.0:
        raise source.error(("trial", "visits"), f'trial.visits must be whole days, not "{trial.visits}"')
    if visit_days > shortest:
        raise source.error(("trial", "visits"), f'no visit "{trial.visits}" after the last fits into a follow-up of "{trial.follow_up[0]}"')
    resolved = scenario.model_dump(mode="json", exclude_none=True)
    if isinstance(scenario.population, str) and scenario.population.endswith(".toml"):
        resolved["population"] = str(source.folder / scenario.population)
    if scenario.drugs.folder is not None:
        resolved["drugs"]["folder"] = str(folders[0])
    return Study(
        name=source.name,
        title=scenario.title,
        summary=scenario.summary,
        seed=scenario.seed,
        patients=scenario.patients,
        population=_population(scenario, source),
        arms=arms,
        comparisons=tuple((pair[0], pair[1]) for pair in trial.compare),
        design=trial.design,
        allocation=tuple(trial.allocation or [1] * len(arms)),
        settings=_settings(scenario, source),
        drugs=drugs,
        follow_up=FollowUp(shortest, longest),
        visit_days=visit_days,
        ci_level=trial.ci_level,
        published=tuple(row.model_dump(exclude_none=True) for row in scenario.published),
        resolved=resolved,
    )


def _hours(text: str, path: Keys, source: Source) -> float:
    try:
        return parse_duration(text, dotted(path))
    except InputError as error:
        raise source.error(path, str(error)) from None


def _folders(scenario: Scenario, source: Source) -> tuple[Path, ...]:
    if scenario.drugs.folder is None:
        return ()
    folder = (source.folder / scenario.drugs.folder).resolve()
    if not folder.is_dir():
        raise source.error(("drugs", "folder"), f"there is no folder '{folder}'")
    return (folder,)


def _regimen(key: str, arm: Arm, source: Source) -> "Regimen":
    from tme_abm.pharmacology.regimen import Dose, Regimen, parse_days, parse_dose

    base: Keys = ("arms", key)
    if not ARM_KEY.fullmatch(key):
        raise source.error(base, f"'{key}' is no key of an arm; write it with small letters, digits, - and _")
    days = _hours(arm.cycle, (*base, "cycle"), source) / HOURS_PER_DAY
    if days % 1.0:
        raise source.error((*base, "cycle"), f'{dotted(base)}.cycle must be whole days, not "{arm.cycle}"')
    lines = []
    for i, line in enumerate(arm.doses):
        at: Keys = (*base, "doses", i)
        part = "dose"
        try:
            amount, unit = parse_dose(line.dose, dotted((*at, part)))
            part = "elderly_dose"
            elderly = None if line.elderly_dose is None else parse_dose(line.elderly_dose, dotted((*at, part)))
            part = "days"
            when = parse_days(line.days, dotted((*at, part)))
            part = "cycles"
            first, last = parse_cycles(line.cycles, dotted((*at, part)))
        except InputError as error:
            raise source.error((*at, part), str(error)) from None
        if elderly is not None and elderly[1] != unit:
            raise source.error((*at, "elderly_dose"), f"{dotted(at)}: dose and elderly_dose have different units, {unit} and {elderly[1]}")
        lines.append(Dose(line.drug, amount, unit, when, first, last, None if elderly is None else elderly[0]))
    stop = None if arm.stop is None else _hours(arm.stop, (*base, "stop"), source) / HOURS_PER_DAY
    try:
        return Regimen(key, arm.label, int(days), tuple(lines), stop)
    except InputError as error:
        raise source.error(base, str(error)) from None


def _drugs(scenario: Scenario, arms: Sequence["Regimen"], folders: tuple[Path, ...], source: Source) -> dict[str, "Drug"]:
    from tme_abm.pharmacology.drug import load_drug

    drugs: dict[str, Drug] = {}
    for key, arm in scenario.arms.items():
        for i, line in enumerate(arm.doses):
            if line.drug not in drugs:
                try:
                    drugs[line.drug] = load_drug(line.drug, folders)
                except InputError as error:
                    raise source.error(("arms", key, "doses", i, "drug"), str(error)) from None
    for name, changes in (scenario.drugs.model_extra or {}).items():
        if name not in drugs:
            raise source.error(("drugs", name), f"drugs.{name}: no arm gives such a drug{did_you_mean(name, drugs)}")
        for mechanism, values in changes.items():
            drugs[name] = _changed(drugs[name], mechanism, values, source)
    return drugs


def _changed(drug: "Drug", mechanism: str, values: Mapping[str, Value], source: Source) -> "Drug":
    """A drug with some coefficients of a mechanism as this study wants them."""
    from tme_abm.foundation.declare import fill
    from tme_abm.mechanisms import MECHANISMS

    path: Keys = ("drugs", drug.name, mechanism)
    blocks = {m.name: m.Params for m in MECHANISMS if m.by_drug}
    if mechanism not in blocks:
        raise source.error(path, f"'{mechanism}' is no mechanism of a drug{did_you_mean(mechanism, blocks)}")
    before = drug.effects[mechanism].origins if mechanism in drug.effects else {}
    given = {name: {"value": o.value, "unit": o.unit, "source": o.source, "grade": o.grade} for name, o in before.items()}
    given |= {name: value.model_dump(exclude_none=True) for name, value in values.items()}
    try:
        filled = fill(blocks[mechanism], given, dotted(path))
    except InputError as error:
        raise source.wrap(path, error) from None
    return replace(drug, effects={**drug.effects, mechanism: filled})


def _population(scenario: Scenario, source: Source) -> "Population":
    from tme_abm.patient import load_population

    given: Any = scenario.population
    if isinstance(given, str) and given.endswith(".toml"):
        given = source.folder / given
    elif isinstance(given, dict) and str(given.get("inherits", "")).endswith(".toml"):
        given = {**given, "inherits": str(source.folder / given["inherits"])}
    try:
        return load_population(given)
    except InputError as error:
        path: Keys = ("population",)
        named = re.match(r"population: (\w+)", str(error))
        if named and isinstance(given, dict):
            path = ("population", "quantities", named[1])
        word = re.search(r"unknown (?:quantity|key) '([^']+)'", str(error))
        if word:
            path = max(((*path, word[1]), ("population", "quantities", word[1]), path), key=lambda p: p in source.lines)
        raise source.error(path, str(error)) from None


def _settings(scenario: Scenario, source: Source) -> "Settings":
    from tme_abm.marrow.lattice import make_lattice
    from tme_abm.mechanisms import BY_NAME
    from tme_abm.simulation import Settings

    height, width = scenario.marrow.shape
    try:
        make_lattice(height, width)
    except InputError as error:
        raise source.error(("marrow", "shape"), f"marrow.shape: {error}") from None
    step_h = _hours(scenario.marrow.step, ("marrow", "step"), source)
    for i, name in enumerate(scenario.without):
        if name not in BY_NAME:
            raise source.error(("without", i), f"unknown mechanism '{name}'{did_you_mean(name, BY_NAME)}")
    try:
        Settings(step_h=step_h)
    except InputError as error:
        raise source.error(("marrow", "step"), f"marrow.step: {error}") from None
    chosen = {block: {n: v.model_dump(exclude_none=True) for n, v in values.items()} for block, values in scenario.parameters.items()}
    try:
        return Settings(height, width, step_h, frozenset(scenario.without), chosen)
    except InputError as error:
        raise source.wrap(("parameters",), error) from None


def _check_arms(scenario: Scenario, source: Source) -> None:
    """Arms, comparisons, allocation and published figures fit together."""
    labels: dict[str, str] = {}
    for key, arm in scenario.arms.items():
        if arm.label in labels:
            raise source.error(("arms", key, "label"), f"the arms '{labels[arm.label]}' and '{key}' have the same label '{arm.label}'")
        labels[arm.label] = key
    trial = scenario.trial
    pairs: list[tuple[Keys, list[str]]] = [(("trial", "compare", i), pair) for i, pair in enumerate(trial.compare)]
    pairs += [(("published", i, "comparison"), row.comparison) for i, row in enumerate(scenario.published) if row.comparison]
    for place, pair in pairs:
        for key in pair:
            _check_arm(key, place, scenario, source)
        if pair[0] == pair[1]:
            raise source.error(place, f"{dotted(place)}: the arm '{pair[0]}' is compared with itself")
    if len({tuple(pair) for pair in trial.compare}) < len(trial.compare):
        raise source.error(("trial", "compare"), "trial.compare: a comparison stands twice")
    if trial.allocation is not None:
        path: Keys = ("trial", "allocation")
        if len(trial.allocation) != len(scenario.arms):
            raise source.error(path, f"trial.allocation has {len(trial.allocation)} weights for {len(scenario.arms)} arms")
        if min(trial.allocation) < 1:
            raise source.error(path, f"the weights of trial.allocation are whole numbers from 1, got {min(trial.allocation)}")
    for i, row in enumerate(scenario.published):
        _check_published(row, ("published", i), scenario, source)


def _check_published(row: Published, at: Keys, scenario: Scenario, source: Source) -> None:
    from tme_abm.trial.statistics import SHORT_NAMES, SUBGROUPS

    if (row.arm is None) == (row.comparison is None):
        raise source.error(at, f"{dotted(at)}: give either arm or comparison")
    if row.arm is not None:
        _check_arm(row.arm, (*at, "arm"), scenario, source)
    unit = "percent" if PFS_AT.fullmatch(row.endpoint) else ENDPOINTS.get(row.endpoint)
    if unit is None:
        raise source.error((*at, "endpoint"), f"unknown endpoint '{row.endpoint}'{did_you_mean(row.endpoint, ENDPOINTS)}")
    if row.unit != unit:
        raise source.error((*at, "unit"), f"the unit of {row.endpoint} must be '{unit}', not '{row.unit}'")
    if (unit == "ratio") != (row.comparison is not None):
        raise source.error(at, f"{dotted(at)}: a hazard ratio belongs to a comparison, and other endpoints to an arm")
    subgroups = [*SHORT_NAMES, *(f"{s.group}: {s.label}" for s in SUBGROUPS)]
    if row.subgroup is not None and row.subgroup not in subgroups:
        raise source.error((*at, "subgroup"), f"unknown subgroup '{row.subgroup}'{did_you_mean(row.subgroup, subgroups)}")


def _check_arm(key: str, path: Keys, scenario: Scenario, source: Source) -> None:
    if key not in scenario.arms:
        raise source.error(path, f"{dotted(path)}: there is no arm '{key}'{did_you_mean(key, scenario.arms)}")


# ---- running ---------------------------------------------------------------------------------------------------------


def run(
    scenario: "str | Path | Mapping[str, Any] | Study",
    folder: str | Path | None = None,
    workers: int | None = None,
    force: bool = False,
    progress: Any = None,
) -> dict[str, Any]:
    """Run a study and write its tables, its report and the scenario itself into a folder.

    Args:
        scenario: As `load_scenario` takes it, or what that has returned.
        folder: Folder of the results; results/<name of the scenario> by default.
        workers: Patients at a time; the number of cores by default.
        force: Whether to replace earlier results in the folder.
        progress: Who is told how far it has come (`trial.execution.Progress`).

    Returns:
        The summary: a row for each arm and each comparison.

    Raises:
        InputError: For a scenario that cannot run, or a folder that holds something else.
    """
    study = load_scenario(scenario) if isinstance(scenario, str | Path | Mapping) else scenario
    target = Path("results") / study.name if folder is None else Path(folder)
    refuse_to_overwrite(target, force)
    from tme_abm.trial.execution import run_study

    _empty(target)
    (target / MARK).write_text(to_toml(study.resolved), encoding="utf-8")
    return run_study(study, target, workers or cores(), progress)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def refuse_to_overwrite(folder: Path, force: bool) -> None:
    """Raise an `InputError` where writing results into a folder would destroy anything that the user has not given up."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder; choose another")
    if folder.is_dir() and any(folder.iterdir()):
        if not force:
            raise InputError(f"{folder} is not empty; replace what is in it with --force, or choose another folder with --out")
        if not (folder / MARK).is_file():
            raise InputError(f"{folder} holds something else than results, which is never replaced; choose another folder with --out")


def _empty(folder: Path) -> None:
    """Make the folder, without earlier results."""
    if folder.is_dir():
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    folder.mkdir(parents=True, exist_ok=True)
