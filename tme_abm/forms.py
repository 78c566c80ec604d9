"""What scenarios of every kind share: the tables that they may hold, where each entry stands in its file, and what it means.

A scenario is checked in two passes: pydantic knows every key (`Table`), the functions below look up what the entries name. Both
give up at the first thing that is wrong, with one sentence that names the place and the nearest right word.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tme_abm.foundation.clock import DAYS_PER_MONTH, DAYS_PER_YEAR, HOURS_PER_DAY, Rhythm
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.paths import real
from tme_abm.foundation.toml import Keys, dotted, parse_path

if TYPE_CHECKING:  # these compile kernels when they are imported, and `tme list` needs none
    from tme_abm.mechanisms.outside.catalogue import Catalogue
    from tme_abm.patients.population import Population
    from tme_abm.pharmacology.drug import Drug
    from tme_abm.pharmacology.regimen import Regimen
    from tme_abm.pharmacology.tolerance import Rule
    from tme_abm.simulation.settings import Settings

DURATIONS = {  # unit -> hours
    "h": 1.0,
    "d": HOURS_PER_DAY,
    "week": 7.0 * HOURS_PER_DAY,
    "month": DAYS_PER_MONTH * HOURS_PER_DAY,
    "year": DAYS_PER_YEAR * HOURS_PER_DAY,
}
MOST_PATIENTS = 10_000_000  # of a study; more would run for years
LONGEST_H = 100.0 * DURATIONS["year"]  # of anything that is simulated
SHORTEST_STEP_H = 0.05
ARM_KEY = re.compile(r"[a-z0-9][a-z0-9_-]*")


# ---- tables -----------------------------------------------------------------------------------------------------------


class Table(BaseModel):
    """A table of a scenario: no unknown keys, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


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


class AdjustedDose(Table):
    """What some patients get instead, from the start."""

    when: str = Field(description='"creatinine_clearance < 60" [mL/min], "age >= 80", "weight < 50 and age >= 75"')
    dose: str = Field(description='in the unit of the line; "0 mg" for nothing')
    days: str | int | list[int] | None = Field(None, description="days of the cycle, where they differ")


class DoseRule(Table):
    """When doses are held or reduced on the way; asked at every visit."""

    drug: str | list[str] = Field(description="whose doses change")
    when: str | None = Field(None, description='"response >= VGPR", "month >= 9", "m_protein_change <= -50 and visit >= 3"')
    chance: float | None = Field(None, gt=0.0, le=1.0, description="probability at each visit, as of an adverse event")
    give: float | list[float] = Field(description="share of the protocol's dose, 0 holds it; a list for the first time, the second ...")
    duration: str | None = Field(None, description='for how long, "28 d"; for good where it is left out')


class DoseLine(Table):
    """One line of a regimen."""

    drug: str = Field(description="INN, lower case")
    dose: str = Field(description='"10 mg/kg", "56 mg/m2" or "40 mg"')
    days: str | int | list[int] = Field(description='days of the cycle: [1, 8, 15], "1-21", or "1-21/2" for every second of them')
    cycles: str | int = Field("1-", description='"1", "2-" or "3-6"')
    elderly_dose: str | None = Field(None, description='from 75 years of age, where it differs; "0 mg" for nothing')
    elderly_days: str | int | list[int] | None = Field(None, description="days of the cycle from 75 years of age, where they differ")
    adjust: list[AdjustedDose] | None = Field(None, description="doses by kidney, age or body; the first that holds counts")
    route: Literal["subcutaneous"] | None = Field(None, description="where it is not the drug's own")


class Arm(Table):
    """A regimen; arms differ in nothing else."""

    label: str = Field(min_length=1)
    cycle: str | list[str] = Field("28 d", description='"28 d", or ["8 x 21 d", "28 d"] where the length changes')
    doses: list[DoseLine] = []
    rules: list[DoseRule] | None = Field(None, description="by which doses are held or reduced on the way")
    stop: str | None = Field(None, description="when treatment ends, if it ends before the disease progresses")


class Drugs(BaseModel):
    """Changes to drugs: drug -> mechanism -> coefficient."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, dict[str, dict[str, Value]]]

    folder: str | None = Field(None, description="folder of drug files that are read before those of the package")


# ---- places -----------------------------------------------------------------------------------------------------------


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
        mechanisms: Where mechanisms from outside come from; never what the scenario itself says.
    """

    name: str
    shown: str
    folder: Path
    table: Mapping[str, Any]
    lines: Mapping[Keys, int] = field(default_factory=dict)
    options: Mapping[Keys, str] = field(default_factory=dict)
    mechanisms: tuple[Any, ...] = ()

    @cached_property
    def catalogue(self) -> "Catalogue":
        """The mechanisms that the scenario may name."""
        from tme_abm.mechanisms.outside.loading import load

        return load(self.mechanisms)

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

    @contextmanager
    def naming(self, path: Keys) -> Iterator[None]:
        """Within, what is refused is refused at a place of this file, which has asked for it."""
        try:
            yield
        except InputError as error:
            raise self.error(path, str(error)) from None

    def wrap(self, path: Keys, error: InputError) -> InputError:
        """An error that was raised elsewhere, with its place; a path at the head of its message makes the place more exact."""
        head = re.match(r"([A-Za-z0-9_.\[\]-]+): ", str(error))
        if head and re.fullmatch(r"[A-Za-z0-9_-]+([.\[][A-Za-z0-9_\]-]+)*", head[1]):
            named = parse_path(head[1])
            word = re.search(r"unknown \w+ '([^']+)'", str(error))
            if named[: len(path)] == path:
                path = (*named, word[1]) if word else named
        return self.error(path, str(error))


# ---- meanings ---------------------------------------------------------------------------------------------------------


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
    if amount * DURATIONS[found[2]] > LONGEST_H:
        raise InputError(f'{where}: "{text}" is longer than 100 years, the limit')
    return amount * DURATIONS[found[2]]


def parse_rhythm(given: str | Sequence[str], where: str = "cycle") -> Rhythm:
    """Intervals of whole days, from "28 d" or ["8 x 21 d", "28 d"]; the last one goes on.

    Raises:
        InputError: Where the text is none of these, or an interval is no whole number of days.
    """
    parts = [given] if isinstance(given, str) else list(given)
    if not parts:
        raise InputError(f'{where}: write "28 d", or ["8 x 21 d", "28 d"] where the length changes')
    first: list[tuple[int, float]] = []
    for i, part in enumerate(parts):
        place = where if len(parts) == 1 else f"{where}[{i}]"
        match = re.fullmatch(r"\s*(?:(\d{1,9})\s*x\s*)?(.*)", part, re.DOTALL)
        assert match is not None
        is_last = i == len(parts) - 1
        if is_last and match[1]:
            raise InputError(f'{place}: the last length goes on; write "{match[2]}" without a number of times')
        if not is_last and not (match[1] and int(match[1])):
            raise InputError(f'{place}: say how many times, as in "8 x {match[2]}"')
        days = parse_duration(match[2], place) / HOURS_PER_DAY
        if days % 1.0:
            raise InputError(f'{place} must be whole days, not "{part}"')
        first.append((int(match[1] or 0), days))
    return Rhythm(first[-1][1], tuple(first[:-1]))


def parse_cycles(given: str | int, where: str = "cycles") -> tuple[int, int | None]:
    """First and last cycle of "1", "2-", "3-6" or 1; None for a last one that is open.

    Raises:
        InputError: Where the text is none of these, or runs backwards.
    """
    found = re.fullmatch(r"\s*(\d{1,9})\s*(-\s*(\d{1,9})?)?\s*", str(given))
    if found is None or int(found[1]) < 1:
        raise InputError(f'{where}: write cycles as "1", "2-" or "3-6", counted from 1, not {json.dumps(given)}')
    first = int(found[1])
    last = int(found[3]) if found[3] else None if found[2] else first
    if last is not None and last < first:
        raise InputError(f'{where}: the cycles "{given}" run backwards')
    return first, last


def hours(text: str, path: Keys, source: Source) -> float:
    """Hours of a duration that stands at a place of a scenario."""
    with source.naming(path):
        return parse_duration(text, dotted(path))


def drug_folders(drugs: Drugs, source: Source) -> tuple[Path, ...]:
    """The folders that are searched for drugs before that of the package."""
    if drugs.folder is None:
        return ()
    folder = real(source.folder / drugs.folder)
    if not folder.is_dir():
        raise source.error(("drugs", "folder"), f"there is no folder '{folder}'")
    return (folder,)


def make_regimen(key: str, arm: Arm, base: Keys, source: Source) -> "Regimen":
    """The regimen of the arm that stands at `base`, for instance ("arms", "isa-pd")."""
    from tme_abm.pharmacology.regimen import Dose, Regimen, parse_days, parse_dose
    from tme_abm.pharmacology.tolerance import Adjustment, body_condition

    if not ARM_KEY.fullmatch(key):
        raise source.error(base, f"'{key}' is no key of an arm; write it with small letters, digits, - and _")
    rhythm = rhythm_at(arm.cycle, (*base, "cycle"), source)
    lines = []
    for i, line in enumerate(arm.doses):
        at: Keys = (*base, "doses", i)
        part = "dose"
        try:
            amount, unit = parse_dose(line.dose, dotted((*at, part)))
            part = "elderly_dose"
            elderly = None if line.elderly_dose is None else parse_dose(line.elderly_dose, dotted((*at, part)), True)
            part = "elderly_days"
            elderly_days = None if line.elderly_days is None else parse_days(line.elderly_days, dotted((*at, part)))
            part = "days"
            when = parse_days(line.days, dotted((*at, part)))
            part = "cycles"
            first, last = parse_cycles(line.cycles, dotted((*at, part)))
        except InputError as error:
            raise source.error((*at, part), str(error)) from None
        if elderly is not None and elderly[1] != unit:
            raise source.error((*at, "elderly_dose"), f"{dotted(at)}: dose and elderly_dose have different units, {unit} and {elderly[1]}")
        adjustments = []
        for j, other in enumerate(line.adjust or ()):
            place: Keys = (*at, "adjust", j)
            part = "when"
            try:
                condition = body_condition(other.when, dotted((*place, part)))
                part = "dose"
                instead = parse_dose(other.dose, dotted((*place, part)), True)
                part = "days"
                on = None if other.days is None else parse_days(other.days, dotted((*place, part)))
            except InputError as error:
                raise source.error((*place, part), str(error)) from None
            if instead[1] != unit:
                raise source.error((*place, "dose"), f"{dotted(place)}: its dose has another unit than its line, {instead[1]} and {unit}")
            adjustments.append(Adjustment(condition, instead[0], on))
        own = None if elderly is None else elderly[0]
        lines.append(Dose(line.drug, amount, unit, when, first, last, own, elderly_days, tuple(adjustments), line.route))
    stop = None if arm.stop is None else hours(arm.stop, (*base, "stop"), source) / HOURS_PER_DAY
    rules = tuple(make_rule(rule, (*base, "rules", i), arm, source) for i, rule in enumerate(arm.rules or ()))
    with source.naming(base):
        return Regimen(key, arm.label, int(rhythm.days), tuple(lines), stop, rhythm.first, rules)


def rhythm_at(given: str | Sequence[str], path: Keys, source: Source) -> Rhythm:
    """The intervals that stand at a place of a scenario."""
    try:
        return parse_rhythm(given, dotted(path))
    except InputError as error:
        at = re.search(r"\[(\d+)\]", str(error).split(":")[0].split(" must")[0])
        raise source.error((*path, int(at[1])) if at and not isinstance(given, str) else path, str(error)) from None


def make_rule(rule: DoseRule, at: Keys, arm: Arm, source: Source) -> "Rule":
    """The rule that stands at a place of a scenario."""
    from tme_abm.pharmacology.tolerance import Rule, visit_condition

    drugs = [rule.drug] if isinstance(rule.drug, str) else list(rule.drug)
    known = list(dict.fromkeys(line.drug for line in arm.doses))
    for name in drugs:
        if name not in known:
            raise source.error((*at, "drug"), f"{dotted(at)}: the arm gives no '{name}'{did_you_mean(name, known)}")
    if rule.when is None and rule.chance is None:
        raise source.error(at, f"{dotted(at)}: give when (a condition), chance (a probability), or both")
    with source.naming((*at, "when")):
        condition = None if rule.when is None else visit_condition(rule.when, dotted((*at, "when")))
    give = [rule.give] if isinstance(rule.give, float | int) else list(rule.give)
    if not give or min(give) < 0.0 or max(give) > 1.0:
        raise source.error((*at, "give"), f"{dotted(at)}.give: shares of the protocol's dose are from 0 to 1, got {json.dumps(rule.give)}")
    duration = None if rule.duration is None else hours(rule.duration, (*at, "duration"), source) / HOURS_PER_DAY
    return Rule(tuple(drugs), condition, 1.0 if rule.chance is None else rule.chance, tuple(float(x) for x in give), duration)


def check_routes(arms: Mapping[str, Arm], drugs: Mapping[str, "Drug"], base: Keys, source: Source) -> None:
    """Refuse a dose under the skin of a drug of which nothing is known there."""
    for key, arm in arms.items():
        for i, line in enumerate(arm.doses):
            if line.route is not None and not drugs[line.drug].goes_under_the_skin:
                text = f"nothing is known of {line.drug} under the skin; {drugs[line.drug].file.name} has no table [subcutaneous]"
                raise source.error((*base, key, "doses", i, "route"), text)


def refuse_rules(arms: Mapping[str, Arm], base: Keys, source: Source) -> None:
    """Refuse rules where nobody visits a clinic."""
    for key, arm in arms.items():
        if arm.rules:
            raise source.error(
                (*base, key, "rules"), f"{dotted((*base, key))}: rules are asked at the visits of a trial, and there are none here"
            )


def load_drugs(places: Mapping[str, Keys], given: Drugs, source: Source, species: str | None = None) -> dict[str, "Drug"]:
    """The drugs of a study as it wants them.

    Args:
        places: Name of each drug -> where the scenario names it first.
        given: What the study changes of them.
        source: The scenario.
        species: Another host than man (`pharmacology.drug.load_drug`).
    """
    from tme_abm.pharmacology.drug import load_drug

    folders, of_drugs = drug_folders(given, source), source.catalogue.of_drugs
    drugs: dict[str, Drug] = {}
    for name, path in places.items():
        with source.naming(path):
            drugs[name] = load_drug(name, folders, of_drugs, species)
    for name, changes in (given.model_extra or {}).items():
        if name not in drugs:
            raise source.error(("drugs", name), f"drugs.{name}: no arm gives such a drug{did_you_mean(name, drugs)}")
        for mechanism, values in changes.items():
            drugs[name] = change_drug(drugs[name], mechanism, values, source)
    return drugs


def change_drug(drug: "Drug", mechanism: str, values: Mapping[str, Value], source: Source) -> "Drug":
    """A drug with some coefficients of a mechanism as this study wants them."""
    from tme_abm.foundation.declare import fill
    from tme_abm.mechanisms.outside.catalogue import or_from_outside

    path: Keys = ("drugs", drug.name, mechanism)
    blocks = source.catalogue.of_drugs
    if mechanism not in blocks:
        raise source.error(path, f"'{mechanism}' is no mechanism of a drug{or_from_outside(mechanism, blocks)}")
    before = drug.effects[mechanism].origins if mechanism in drug.effects else {}
    given = {name: {"value": o.value, "unit": o.unit, "source": o.source, "grade": o.grade} for name, o in before.items()}
    given |= {name: value.model_dump(exclude_none=True) for name, value in values.items()}
    try:
        filled = fill(blocks[mechanism], given, dotted(path))
    except InputError as error:
        raise source.wrap(path, error) from None
    return replace(drug, effects={**drug.effects, mechanism: filled})


def drug_places(arms: Mapping[str, Arm], base: Keys) -> dict[str, Keys]:
    """Each drug of some arms -> where it stands first."""
    places: dict[str, Keys] = {}
    for key, arm in arms.items():
        for i, line in enumerate(arm.doses):
            places.setdefault(line.drug, (*base, key, "doses", i, "drug"))
    return places


def make_population(population: str | dict[str, Any], source: Source) -> "Population":
    """The population that a scenario names, or describes."""
    from tme_abm.patients.reading import load_population

    given: Any = population
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


def make_settings(marrow: Marrow, without: Sequence[str], parameters: Mapping[str, Mapping[str, Value]], source: Source) -> "Settings":
    """The patch, the step and the rules of a study."""
    from tme_abm.marrow.lattice import make_lattice
    from tme_abm.simulation.settings import Settings

    height, width = marrow.shape
    try:
        make_lattice(height, width)
    except InputError as error:
        raise source.error(("marrow", "shape"), f"marrow.shape: {error}") from None
    step_h = hours(marrow.step, ("marrow", "step"), source)
    check_mechanisms(without, ("without",), source)
    if step_h < SHORTEST_STEP_H:
        raise source.error(("marrow", "step"), f'marrow.step: "{marrow.step}" is below {SHORTEST_STEP_H:g} h, the limit')
    try:
        Settings(step_h=step_h)
    except InputError as error:
        raise source.error(("marrow", "step"), f"marrow.step: {error}") from None
    refuse_of_drugs(parameters, source)
    chosen = {block: {n: v.model_dump(exclude_none=True) for n, v in values.items()} for block, values in parameters.items()}
    try:
        return Settings(height, width, step_h, frozenset(without), chosen, source.catalogue)
    except InputError as error:
        raise source.wrap(("parameters",), error) from None


def refuse_of_drugs(parameters: Mapping[str, Mapping[str, Value]], source: Source) -> None:
    """Refuse a number that each drug has of its own, with the path under which it can be set."""
    from tme_abm.pharmacology.drug import load_drug

    of_drugs, folders = source.catalogue.of_drugs, [source.folder / f for f in (source.table.get("drugs", {}).get("folder"),) if f]
    for block, name in ((block, name) for block, values in parameters.items() for name in values):
        if name in getattr(of_drugs.get(block), "_fields", ()):
            given = sorted(set(re.findall(r'"drug": "([^"]+)"', json.dumps(source.table, default=str))))
            acting = [drug for drug in given if block in load_drug(drug, folders, of_drugs).effects]
            paths = " or ".join(f"drugs.{drug}.{block}.{name}" for drug in acting or ("DRUG",))
            raise source.error(("parameters", block, name), f"parameters.{block}.{name}: each drug has its own; write {paths}")


def check_mechanisms(names: Sequence[str], path: Keys, source: Source) -> None:
    """Refuse the first name in a list that is no mechanism."""
    for i, name in enumerate(names):
        if name not in source.catalogue.by_name:
            raise source.error((*path, i), source.catalogue.unknown(name))


def as_resolved(form: Any, source: Source) -> dict[str, Any]:
    """A scenario as it is written beside its results: whole, and with paths that hold from any folder."""
    resolved: dict[str, Any] = form.model_dump(mode="json", exclude_none=True)
    population = resolved.get("population")
    if isinstance(population, str) and population.endswith(".toml"):
        resolved["population"] = str(source.folder / population)
    elif isinstance(population, dict) and str(population.get("inherits", "")).endswith(".toml"):
        resolved["population"] = {**population, "inherits": str(source.folder / population["inherits"])}
    if form.drugs.folder is not None:
        resolved["drugs"]["folder"] = str(drug_folders(form.drugs, source)[0])
    return resolved
