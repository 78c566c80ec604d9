"""Scenarios: one TOML file is one study that anyone can rerun. This module is their only reader.

A trial says who is treated (a population), how (arms), for how long, and which numbers of the model this study chooses otherwise.
Other kinds of scenario (`KINDS`) are experiments of `tme_abm.laboratory`. Each is checked whole before anything runs: a key that
nobody knows, a wrong unit or an arm that does not exist ends with one sentence that names the file, the line and the nearest right
word.
"""

import json
import os
import re
import shutil
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Field, ValidationError
from pydantic.json_schema import models_json_schema

from tme_abm.forms import (
    DURATIONS,
    Arm,
    Drugs,
    Marrow,
    Source,
    Table,
    Value,
    as_resolved,
    drug_places,
    hours,
    load_drugs,
    make_population,
    make_regimen,
    make_settings,
    parse_cycles,
    parse_duration,
)
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.toml import Keys, Lines, dotted, parse_path, to_toml

if TYPE_CHECKING:  # these compile kernels when they are imported, and `tme list` needs none
    from tme_abm.laboratory.experiment import Experiment
    from tme_abm.trial.study import Study

__all__ = [
    "DURATIONS",
    "KINDS",
    "Scenario",
    "Source",
    "check",
    "load_scenario",
    "load_trial",
    "parse_cycles",
    "parse_duration",
    "read",
    "resolve",
    "run",
    "scenarios",
    "schema",
    "to_toml",
]

KINDS = {  # kind -> module with its `Form` (what the file may say) and `build` (what that means); light to import
    "trial": "tme_abm.scenario",
    "assay": "tme_abm.laboratory.assay",
    "time_course": "tme_abm.laboratory.time_course",
    "xenograft": "tme_abm.laboratory.xenograft",
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


# ---- what a scenario may say -----------------------------------------------------------------------------------------


class Trial(Table):
    """How the arms are compared."""

    design: Literal["paired", "parallel"] = Field("paired", description="every patient under every arm, or randomised to one")
    allocation: list[int] | None = Field(None, description="weights of the arms in a parallel design; alike where not given")
    compare: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field([], description="pairs of arm and reference")
    follow_up: Annotated[list[str], Field(min_length=2, max_length=2)] = Field(description="shortest and longest at the cut-off")
    visits: str = Field("28 d", description="time between assessments")
    ci_level: float = Field(0.95, gt=0.0, lt=1.0, description="level of the intervals of hazard ratios")


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


class Scenario(Table):
    """One study."""

    kind: Literal["trial"] = "trial"
    title: str
    summary: str
    population: str | dict[str, Any] = Field(description='a name, the path of a TOML file, or a table with inherits = "..."')
    patients: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**62)
    without: list[str] = Field([], description="mechanisms that are switched off")
    marrow: Marrow = Marrow()
    trial: Trial
    arms: dict[str, Arm] = Field(min_length=1)
    parameters: dict[str, dict[str, Value]] = Field({}, description="mechanism -> parameter -> value of this study")
    drugs: Drugs = Drugs()
    published: list[Published] = Field([], description="figures for the report to print")

    def size(self) -> str:
        """How much is simulated, for the list of scenarios."""
        return str(self.patients)

    def labels(self) -> list[str]:
        """What is compared, for the list of scenarios."""
        return [arm.label for arm in self.arms.values()]


Form = Scenario


def kind_of(source: Source) -> str:
    """The kind that a scenario declares; a trial where it declares none.

    Raises:
        InputError: For a kind that nobody knows.
    """
    kind = source.table.get("kind", "trial")
    if not isinstance(kind, str) or kind not in KINDS:
        raise source.error(("kind",), f"unknown kind '{kind}'{did_you_mean(str(kind), KINDS)}")
    return kind


def form_of(kind: str) -> type[Any]:
    """The table that a scenario of a kind is."""
    form: type[Any] = import_module(KINDS[kind]).Form
    return form


def schema() -> dict[str, Any]:
    """The JSON schema of a scenario of any kind, for editors that complete and check TOML files."""
    forms = {kind: form_of(kind) for kind in KINDS}
    places, shared = models_json_schema([(form, "validation") for form in forms.values()])
    chain: dict[str, Any] = places[forms["trial"], "validation"]  # also where no kind is declared
    for kind, form in forms.items():
        if kind != "trial":
            asked = {"properties": {"kind": {"const": kind}}, "required": ["kind"]}
            chain = {"if": asked, "then": places[form, "validation"], "else": chain}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **chain, **shared}


# ---- finding and reading ---------------------------------------------------------------------------------------------


def scenarios(kind: str | None = None) -> dict[str, Path]:
    """The scenarios that come with the package, by name; all, or those of one kind."""
    installed = Path(__file__).with_name("scenarios")
    folder = installed if installed.is_dir() else Path(__file__).parents[1] / "scenarios"
    found = {path.stem: path for path in sorted(folder.glob("*.toml"))}
    return found if kind is None else {name: path for name, path in found.items() if _declared(path) == kind}


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


def check(source: Source) -> Any:
    """The scenario as a `Form` of its kind, with every key known and every value of its type.

    Raises:
        InputError: For the first thing that is wrong; unknown keys first, as they are what is behind a missing one.
    """
    form = form_of(kind_of(source))
    try:
        return form.model_validate(source.table)
    except ValidationError as error:
        found = [(_walk(source.table, e["loc"], e["type"]), e) for e in error.errors(include_url=False)]
        order = {"extra_forbidden": 0, "missing": 2}
        line = {path: next((source.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in source.lines), 0) for path, _ in found}
        path, first = min(found, key=lambda pair: (order.get(pair[1]["type"], 1), line[pair[0]]))
        raise source.error(path, _sentence(path, first, form)) from None


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


def _sentence(path: Keys, error: Mapping[str, Any], form: type[BaseModel]) -> str:
    """What pydantic found, in plain words."""
    name, kind, given, context = dotted(path), error["type"], error.get("input"), error.get("ctx", {})
    where = f" in {dotted(path[:-1])}" if path[:-1] else ""
    if kind == "missing":
        return f"the key '{path[-1]}' is missing{where}"
    if kind == "extra_forbidden":
        return f"unknown key '{path[-1]}'{where}{did_you_mean(str(path[-1]), _known(form, path[:-1]))}"
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


def load_scenario(
    given: str | Path | Mapping[str, Any],
    overrides: Iterable[str] = (),
    patients: int | None = None,
    seed: int | None = None,
    without: Sequence[str] = (),
) -> "Study | Experiment":
    """Read a scenario and resolve it into a study, or an experiment of the laboratory, that can run.

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


def load_trial(
    given: str | Path | Mapping[str, Any],
    overrides: Iterable[str] = (),
    patients: int | None = None,
    seed: int | None = None,
    without: Sequence[str] = (),
) -> "Study":
    """`load_scenario` for what only a trial has: arms, visits, endpoints.

    Raises:
        InputError: As `load_scenario`, and for an experiment of the laboratory.
    """
    from tme_abm.trial.study import Study

    found = load_scenario(given, overrides, patients, seed, without)
    if not isinstance(found, Study):
        raise InputError(f"'{found.name}' is an experiment of the laboratory, not a trial; run it with `tme run {found.name}`")
    return found


def resolve(source: Source) -> "Study | Experiment":
    """What a scenario describes, with everything that it names looked up and checked.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    found: Study | Experiment = import_module(KINDS[kind_of(source)]).build(check(source), source)
    return found


def build(scenario: Scenario, source: Source) -> "Study":
    """The study that a trial's scenario describes.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    from tme_abm.trial.study import FollowUp, Study

    arms = tuple(make_regimen(key, arm, ("arms", key), source) for key, arm in scenario.arms.items())
    drugs = load_drugs(drug_places(scenario.arms, ("arms",)), scenario.drugs, source)
    _check_arms(scenario, source)
    trial = scenario.trial
    shortest, longest = (hours(text, ("trial", "follow_up", i), source) / HOURS_PER_DAY for i, text in enumerate(trial.follow_up))
    visit_days = hours(trial.visits, ("trial", "visits"), source) / HOURS_PER_DAY
    if longest < shortest:
        raise source.error(("trial", "follow_up"), f'the longest follow-up comes second, not "{trial.follow_up[1]}"')
    if visit_days % 1.0:
        raise source.error(("trial", "visits"), f'trial.visits must be whole days, not "{trial.visits}"')
    if visit_days > shortest:
        raise source.error(("trial", "visits"), f'no visit "{trial.visits}" after the last fits into a follow-up of "{trial.follow_up[0]}"')
    return Study(
        name=source.name,
        title=scenario.title,
        summary=scenario.summary,
        seed=scenario.seed,
        patients=scenario.patients,
        population=make_population(scenario.population, source),
        arms=arms,
        comparisons=tuple((pair[0], pair[1]) for pair in trial.compare),
        design=trial.design,
        allocation=tuple(trial.allocation or [1] * len(arms)),
        settings=make_settings(scenario.marrow, scenario.without, scenario.parameters, source),
        drugs=drugs,
        follow_up=FollowUp(shortest, longest),
        visit_days=visit_days,
        ci_level=trial.ci_level,
        published=tuple(row.model_dump(exclude_none=True) for row in scenario.published),
        resolved=as_resolved(scenario, source),
    )


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
    scenario: "str | Path | Mapping[str, Any] | Study | Experiment",
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
        The summary: of a trial, a row for each arm and each comparison.

    Raises:
        InputError: For a scenario that cannot run, or a folder that holds something else.
    """
    study = load_scenario(scenario) if isinstance(scenario, str | Path | Mapping) else scenario
    target = Path("results") / study.name if folder is None else Path(folder)
    refuse_to_overwrite(target, force)
    _empty(target)
    (target / MARK).write_text(to_toml(study.resolved), encoding="utf-8")
    if study.resolved["kind"] == "trial":
        from tme_abm.trial.execution import run_study as run_it
    else:
        from tme_abm.laboratory.results import run_experiment as run_it  # type: ignore[assignment]
    return run_it(study, target, workers or cores(), progress)  # type: ignore[arg-type]


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
