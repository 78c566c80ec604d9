"""A bank as arrays: who is in it, and what became of each patient under each arm."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tme_abm.analysis.bank.draw import Sitting, read_sitting
from tme_abm.analysis.bank.record import AFTER, PATIENT_HEADINGS, RUN_HEADINGS, VISIT_HEADINGS
from tme_abm.batch.results import read_json
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.toml import dotted
from tme_abm.outcomes.imwg import NOT_EVALUABLE, RESPONSES
from tme_abm.patients.patient import TRAITS
from tme_abm.patients.reading import load_population
from tme_abm.tables import read_checked

Floats = np.ndarray[Any, np.dtype[np.float64]]
Counts = np.ndarray[Any, np.dtype[np.int64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]

DAMAGED = "the bank is damaged, or another version of tme has written it"
MOST_VISITS = 10_000  # of a run; more are no bank
RANKS = {NOT_EVALUABLE: -1, **{word: rank for rank, word in enumerate(RESPONSES)}}  # depth of a response


@dataclass(frozen=True)
class ArmRuns:
    """What became of n patients under one arm, and of each at up to v visits.

    Attributes:
        key: Of the arm.
        who: Place of each among the patients of the bank (n,).
        progression_day: Day of confirmed progression (n,) [d]; infinite without.
        known_day: Day of the visit that confirmed it (n,) [d]; infinite without.
        response_day: First of the two visits that confirmed a response (n,) [d]; infinite without.
        days: Of the visits (n, v) [d], the baseline first; infinite after the last.
        rank: Best confirmed response until then as reported, as a place in `RESPONSES` (n, v); -1 where nothing could be said.
        own_rank: The same after mass spectrometry (n, v).
        mrd_negative: Whether a test for residual disease has been negative until then (n, v).
        m_protein: As reported (n, v) [g/L]; NaN after the last.
    """

    key: str
    who: Counts
    progression_day: Floats
    known_day: Floats
    response_day: Floats
    days: Floats
    rank: Counts
    own_rank: Counts
    mrd_negative: Truths
    m_protein: Floats


@dataclass(frozen=True)
class Bank:
    """A bank that has been drawn.

    Attributes:
        folder: Where it stands.
        sittings: How its patients were drawn.
        patients: All candidates, whose attributes are their traits (n,).
        sitting: Number of the sitting of each (n,).
        cohort: Place of her cohort in it (n,).
        is_eligible: Whether her disease became eligible (n,).
        stop_draw: Uniform draw of the end of treatment for adverse events (n,).
        runs: Arm -> what became of those who were run under it.
        until_days: Arm -> how long patients were followed [d].
        arms: Arm -> facts (`run.described_arms`).
    """

    folder: Path
    sittings: tuple[Sitting, ...]
    patients: tuple[Any, ...]
    sitting: Counts
    cohort: Counts
    is_eligible: Truths
    stop_draw: Floats
    runs: Mapping[str, ArmRuns]
    until_days: Mapping[str, float]
    arms: Mapping[str, Mapping[str, Any]]

    def __getitem__(self, arm: str) -> ArmRuns:
        """The runs of an arm.

        Raises:
            InputError: Where there are none.
        """
        if arm not in self.runs:
            raise InputError(f"{self.folder}: the bank has no runs of the arm '{arm}'{did_you_mean(arm, self.runs)}")
        return self.runs[arm]


def read_bank(folder: Path, arms: Iterable[str] | None = None) -> Bank:
    """Read a bank.

    Args:
        folder: Where `tme bank` has written it.
        arms: Only the runs of these arms, so that a fit does not even read the others; all where it is left out.

    Raises:
        InputError: Where there is none.
    """
    if not (folder / "runs.parquet").is_file():
        raise InputError(f"{folder} holds no bank; `tme bank --out {folder}` draws one")
    chosen = None if arms is None else [("arm", "in", list(arms))]
    facts = read_facts(folder)
    sittings = tuple(read_sitting(table) for table in facts["sittings"])
    patients = read_checked(folder / "patients.parquet", PATIENT_HEADINGS)
    runs = read_checked(folder / "runs.parquet", RUN_HEADINGS, chosen)
    visits = read_checked(folder / "visits.parquet", VISIT_HEADINGS, chosen)
    _refuse_unlike(folder, sittings, facts["arms"], patients, runs, visits)
    place = {number: i for i, number in enumerate(patients["patient"])}
    people = people_of(patients)
    found = {}
    for arm, own in runs[runs["status"] == "completed"].groupby("arm", sort=False):
        found[str(arm)] = _arm_runs(str(arm), own, visits[visits["arm"] == arm], place)
    return Bank(
        folder,
        sittings,
        people,
        patients["sitting"].to_numpy(np.int64),
        patients["cohort_number"].to_numpy(np.int64),
        patients["is_eligible"].to_numpy(bool),
        patients["stop_draw"].to_numpy(np.float64),
        found,
        {key: float(facts["arms"][key]["until_days"]) for key in found},
        facts["arms"],
    )


class _Strict(BaseModel):
    """What this program has written down itself, of which nothing needs to be converted."""

    model_config = ConfigDict(strict=True)


class _Cohort(_Strict):
    """As `draw.Sitting.table` writes it down."""

    population: str
    share: float = Field(gt=0.0, le=1.0)
    arms: list[str]
    table: dict[str, Any]


class _Sitting(_Strict):
    """The same."""

    number: int = Field(ge=0)
    patients: int = Field(ge=0)
    cohorts: list[_Cohort] = Field(min_length=1)
    widen: dict[str, float]


class _Arm(_Strict):
    """As `run.described_arms` writes it down."""

    label: str
    scenario: str
    regimen: str
    acts: list[str]
    rates: dict[str, Annotated[float, Field(gt=0.0, allow_inf_nan=False)]] = {}
    until_days: float = Field(gt=0.0, allow_inf_nan=False)
    is_combination: bool


class _Facts(_Strict):
    """The file sittings.json."""

    sittings: list[_Sitting]
    arms: dict[str, _Arm]


def read_facts(folder: Path) -> dict[str, Any]:
    """How the patients of a bank were drawn, and what must be known of its arms: `sittings` and `arms`, as sittings.json holds them.

    Raises:
        InputError: Where there is no bank, or the file is damaged.
    """
    file = folder / "sittings.json"
    if not file.is_file():
        raise InputError(f"{folder} holds no bank; `tme bank --out {folder}` draws one")
    facts = read_json(file)
    try:
        _Facts.model_validate(facts)
        for sitting in facts["sittings"]:
            for cohort in sitting["cohorts"]:
                if cohort["table"]:
                    load_population(cohort["table"])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"{file}: {dotted(first['loc'])}: {first['msg'].lower()}; {DAMAGED}") from None
    except InputError as error:
        raise InputError(f"{file}: {error}; {DAMAGED}") from None
    return facts


def _refuse_unlike(folder: Path, sittings: Sequence[Sitting], arms: Mapping[str, Any], patients: Any, runs: Any, visits: Any) -> None:
    """Refuse tables of a bank that do not fit each other.

    Raises:
        InputError: With the file, and what is wrong with it.
    """
    cohorts = {(sitting.number, c) for sitting in sittings for c in range(len(sitting.cohorts))}
    drawn = set(zip(patients["sitting"], patients["cohort_number"], strict=True))
    known, completed = set(patients["patient"]), runs[runs["status"] == "completed"]
    followed = set(zip(completed["patient"], completed["arm"], strict=True))
    for name, is_wrong, what in (
        ("sittings.json", [one.number for one in sittings] != list(range(len(sittings))), "its sittings are not numbered from 0"),
        ("patients.parquet", not patients["patient"].is_unique, "a patient stands there twice"),
        ("patients.parquet", not drawn <= cohorts, "a patient is of a cohort that sittings.json has not got"),
        ("runs.parquet", not set(runs["arm"]) <= set(arms), "a run is of an arm that sittings.json has not got"),
        ("runs.parquet", not set(runs["patient"]) <= known, "a run is of nobody in patients.parquet"),
        ("runs.parquet", len(followed) < len(completed), "a patient was run twice under one arm"),
        ("visits.parquet", not set(zip(visits["patient"], visits["arm"], strict=True)) <= followed, "a visit is of no run"),
        ("visits.parquet", (visits["visit"] > MOST_VISITS).any(), f"a visit has a number above {MOST_VISITS}"),
    ):
        if is_wrong:
            raise InputError(f"{folder / name}: {what}; {DAMAGED}")


def people_of(table: Any) -> tuple[Any, ...]:
    """The candidates with their traits as attributes, of the types that a patient has."""
    columns = {}
    for name, trait in TRAITS.items():
        values = table[trait.column or name].tolist()
        columns[name] = [trait.kind(value) for value in values]
    return tuple(SimpleNamespace(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True))


def _arm_runs(arm: str, runs: Any, visits: Any, place: Mapping[int, int]) -> ArmRuns:
    """The runs of one arm as arrays."""
    who = np.array([place[number] for number in runs["patient"]], np.int64)
    row = {number: i for i, number in enumerate(runs["patient"])}
    n, width = len(who), int(visits["visit"].max()) + 1 if len(visits) else 1
    i, j = visits["patient"].map(row).to_numpy(np.int64), visits["visit"].to_numpy(np.int64)
    days, protein = np.full((n, width), np.inf), np.full((n, width), np.nan)
    rank, own_rank, negative = np.full((n, width), -1, np.int64), np.full((n, width), -1, np.int64), np.zeros((n, width), bool)
    days[i, j] = visits["day"].to_numpy(np.float64)
    protein[i, j] = visits["m_protein_g_per_l"].to_numpy(np.float64)
    rank[i, j] = visits["best_response"].map(RANKS).to_numpy(np.int64)
    own_rank[i, j] = visits[AFTER].map(RANKS).to_numpy(np.int64)
    negative[i, j] = visits["mrd_negative"].to_numpy(bool)

    def day(name: str) -> Floats:
        values: Floats = runs[name].to_numpy(np.float64)
        return np.where(np.isnan(values), np.inf, values)

    return ArmRuns(arm, who, day("progression_day"), day("known_day"), day("response_day"), days, rank, own_rank, negative, protein)
