"""A trial as a scenario says it, and the study that this means."""

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tme_abm.forms import (
    MOST_PATIENTS,
    Arm,
    Drugs,
    Marrow,
    Source,
    Table,
    Value,
    as_resolved,
    check_routes,
    drug_places,
    hours,
    load_drugs,
    make_population,
    make_regimen,
    make_settings,
    rhythm_at,
)
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.references import check_source
from tme_abm.foundation.toml import Keys, dotted

if TYPE_CHECKING:
    from tme_abm.foundation.declare import Filled
    from tme_abm.simulation.settings import Settings
    from tme_abm.trial.recording_plan import Days, RecordingPlan
    from tme_abm.trial.study import Study

ENDPOINTS = {  # endpoint -> unit in which it is published; "pfs_36_months" and the like are known too
    "median_pfs": "month",
    "median_duration_of_response": "month",
    "median_time_to_response": "month",
    "orr": "percent",
    "vgpr_or_better": "percent",
    "cr_or_better": "percent",
    "cr_or_better_after_mass_spectrometry": "percent",
    "mrd_negative": "percent",
    "hazard_ratio_pfs": "ratio",
    "median_pfs_difference": "month",
}
OF_COMPARISONS = ("hazard_ratio_pfs", "median_pfs_difference")
PFS_AT = re.compile(r"pfs_\d+_months")


class Trial(Table):
    """How the arms are compared."""

    design: Literal["paired", "parallel"] = Field("paired", description="every patient under every arm, or randomised to one")
    allocation: list[int] | None = Field(None, description="weights of the arms in a parallel design; alike where not given")
    compare: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field([], description="pairs of arm and reference")
    follow_up: Annotated[list[str], Field(min_length=2, max_length=2)] = Field(description="shortest and longest at the cut-off")
    visits: str | list[str] = Field("28 d", description='time between assessments: "28 d", or ["12 x 28 d", "84 d"] where it changes')
    ci_level: float = Field(0.95, gt=0.0, lt=1.0, description="level of the intervals of hazard ratios")


class Cells(Table):
    """Which cells are written down, one by one."""

    days: str | list[int] = Field(description='"28 d" for every 28 days from day 0, or days such as [0, 28, 84]')
    patients: Annotated[int, Field(ge=1)] | str = Field(10, description='of the first so many, or of a share, "5 %", evenly spread')


class Record(Table):
    """What is recorded of each patient beside her row in the patient table, and how often; all else is the same with it and without."""

    visits: bool = Field(True, description="every visit: trajectory.parquet")
    days: str | list[int] | None = Field(
        None, description='the marrow in numbers: "7 d" for every 7 days from day 0, or days such as [0, 7, 28]: days.parquet'
    )
    cells: Cells | None = Field(None, description="every cell of the patch on some days: cells.parquet")


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
    subgroup: str | None = Field(None, description='where it is not of all: "high risk", or a condition, "age >= 65 and not mrd_negative"')
    source: str
    grade: str | None = None
    note: str | None = None


class Scenario(Table):
    """One study."""

    kind: Literal["trial"] = "trial"
    title: str
    summary: str
    population: str | dict[str, Any] = Field(description='a name, the path of a TOML file, or a table with inherits = "..."')
    patients: int = Field(ge=1, le=MOST_PATIENTS)
    seed: int = Field(ge=0, lt=2**62)
    without: list[str] = Field([], description="mechanisms that are switched off")
    marrow: Marrow = Marrow()
    trial: Trial
    arms: dict[str, Arm] = Field(min_length=1)
    parameters: dict[str, dict[str, Value]] = Field({}, description="mechanism -> parameter -> value of this study")
    clinic: dict[str, Value] = Field({}, description="what the clinic gets to see: number -> value of this study")
    drugs: Drugs = Drugs()
    record: Record = Record()
    published: list[Published] = Field([], description="figures for the report to print")

    def size(self) -> str:
        """How much is simulated, for the list of scenarios."""
        return str(self.patients)

    def labels(self) -> list[str]:
        """What is compared, for the list of scenarios."""
        return [arm.label for arm in self.arms.values()]


Form = Scenario


def build(scenario: Scenario, source: Source) -> "Study":
    """The study that a trial's scenario describes.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    from tme_abm.trial.study import FollowUp, Study

    arms = tuple(make_regimen(key, arm, ("arms", key), source) for key, arm in scenario.arms.items())
    drugs = load_drugs(drug_places(scenario.arms, ("arms",)), scenario.drugs, source)
    check_routes(scenario.arms, drugs, ("arms",), source)
    _check_arms(scenario, source)
    trial = scenario.trial
    shortest, longest = (hours(text, ("trial", "follow_up", i), source) / HOURS_PER_DAY for i, text in enumerate(trial.follow_up))
    visits = rhythm_at(trial.visits, ("trial", "visits"), source)
    if longest < shortest:
        raise source.error(("trial", "follow_up"), f'the longest follow-up comes second, not "{trial.follow_up[1]}"')
    if visits.length(1) > shortest:
        text = f'no visit "{trial.visits}" after the last fits into a follow-up of "{trial.follow_up[0]}"'
        raise source.error(("trial", "visits"), text)
    settings = make_settings(scenario.marrow, scenario.without, scenario.parameters, source)
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
        settings=settings,
        drugs=drugs,
        follow_up=FollowUp(shortest, longest),
        visit_days=visits.days,
        first_visits=visits.first,
        record=_make_record(scenario, longest, settings, source),
        ci_level=trial.ci_level,
        published=tuple(row.model_dump(exclude_none=True) for row in scenario.published),
        resolved=as_resolved(scenario, source),
        clinic=_make_clinic(scenario, source),
    )


def _make_clinic(scenario: Scenario, source: Source) -> "Filled":
    """What the clinic gets to see, with what the study changes of it."""
    from tme_abm.foundation.declare import fill
    from tme_abm.outcomes import clinic

    try:
        return fill(clinic.Params, {name: value.model_dump(exclude_none=True) for name, value in scenario.clinic.items()}, "clinic")
    except InputError as error:
        raise source.wrap(("clinic",), error) from None


def _make_record(scenario: Scenario, longest: float, settings: "Settings", source: Source) -> "RecordingPlan":
    """What the patients of a trial leave behind, of a size that a disk can hold.

    Args:
        scenario: The trial.
        longest: Follow-up of the patients who entered first [d].
        settings: With the patch.
        source: Where it stands.
    """
    from tme_abm.trial.recording_plan import MOST_CELLS_OF_A_PATIENT, MOST_ROWS, RecordingPlan

    given, of_first, percent = scenario.record, 0, 0.0
    days = None if given.days is None else _make_days(given.days, ("record", "days"), longest, source)
    cells = None
    if given.cells is not None:
        cells = _make_days(given.cells.days, ("record", "cells", "days"), longest, source)
        if isinstance(given.cells.patients, int):
            of_first = given.cells.patients
        else:
            percent = _percent(given.cells.patients, ("record", "cells", "patients"), source)
    made = RecordingPlan(given.visits, days, cells, of_first, percent)
    n_arms = 1 if scenario.trial.design == "parallel" else len(scenario.arms)
    if days is not None and (n := scenario.patients * n_arms * days.count(longest)) > MOST_ROWS:
        raise source.error(("record", "days"), f"record.days: up to {n:.2g} rows, and the limit is {MOST_ROWS:.2g}; choose fewer days")
    if cells is not None:
        of_one = n_arms * cells.count(longest) * settings.height * settings.width
        n = made.patients_with_cells(scenario.patients) * of_one
        for number, most, whose in ((of_one, MOST_CELLS_OF_A_PATIENT, " of one patient"), (n, MOST_ROWS, "")):
            if number > most:
                text = f"record.cells: up to {number:.2g} cells{whose}, and the limit is {most:.2g}; choose fewer days or patients"
                raise source.error(("record", "cells"), text)
    return made


def _make_days(given: str | list[int], path: Keys, longest: float, source: Source) -> "Days":
    """The days that stand at a place of a scenario: "7 d" for every 7 days, or a list."""
    from tme_abm.trial.recording_plan import Days

    if isinstance(given, str):
        every = hours(given, path, source) / HOURS_PER_DAY
        if every % 1.0:
            raise source.error(path, f'{dotted(path)} must be whole days, not "{given}"')
        return Days(every=int(every))
    if not given:
        raise source.error(path, f"{dotted(path)} names no day")
    seen: set[int] = set()
    for i, day in enumerate(given):
        if day < 0:
            raise source.error((*path, i), f"{dotted(path)}: days count from the first dose, 0, got {day}")
        if day in seen:
            raise source.error((*path, i), f"{dotted(path)}: day {day} stands twice")
        seen.add(day)
        if day > longest:
            raise source.error((*path, i), f"{dotted(path)}: day {day} comes after the longest follow-up of {longest:g} days")
    return Days(listed=tuple(sorted(given)))


def _percent(given: str, path: Keys, source: Source) -> float:
    """The share of the patients that stands at a place of a scenario, of each hundred."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", given)
    if found is None or not 0.0 < float(found[1]) <= 100.0:
        raise source.error(path, f'{dotted(path)}: write a number such as 10, or a share such as "5 %", not "{given}"')
    return float(found[1])


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
    from tme_abm.trial.subgroups import find_subgroup

    if (row.arm is None) == (row.comparison is None):
        raise source.error(at, f"{dotted(at)}: give either arm or comparison")
    if row.arm is not None:
        _check_arm(row.arm, (*at, "arm"), scenario, source)
    unit = "percent" if PFS_AT.fullmatch(row.endpoint) else ENDPOINTS.get(row.endpoint)
    if unit is None:
        raise source.error((*at, "endpoint"), f"unknown endpoint '{row.endpoint}'{did_you_mean(row.endpoint, ENDPOINTS)}")
    if row.unit != unit:
        raise source.error((*at, "unit"), f"the unit of {row.endpoint} must be '{unit}', not '{row.unit}'")
    if (row.endpoint in OF_COMPARISONS) != (row.comparison is not None):
        text = "hazard ratios and differences belong to a comparison, and other endpoints to an arm"
        raise source.error(at, f"{dotted(at)}: {text}")
    try:
        check_source(row.source, f"{dotted(at)}.source")
    except InputError as error:
        raise source.error((*at, "source"), str(error)) from None
    if row.subgroup is not None:
        try:
            find_subgroup(row.subgroup, f"{dotted(at)}.subgroup")
        except InputError as error:
            raise source.error((*at, "subgroup"), str(error)) from None


def _check_arm(key: str, path: Keys, scenario: Scenario, source: Source) -> None:
    if key not in scenario.arms:
        raise source.error(path, f"{dotted(path)}: there is no arm '{key}'{did_you_mean(key, scenario.arms)}")
