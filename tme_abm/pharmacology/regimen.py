"""Regimens: which drug, how much, on which days of which cycles, as the trials give them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tme_abm.foundation.clock import HOURS_PER_DAY, Rhythm
from tme_abm.foundation.declare import Param, number
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.pharmacology.body import Body
from tme_abm.pharmacology.tolerance import Adjustment, Rule, body_facts

LONGEST_CYCLE = 36_525  # days, of 100 years
UNITS = ("mg/kg", "mg/m2", "mg")
ELDERLY_AGE: Annotated[float, Param("a", "age from which the dose for the elderly is given", "attal2019: of dexamethasone", "M")] = 75.0


def parse_dose(text: str, where: str = "dose", may_be_zero: bool = False) -> tuple[float, str]:
    """Amount and unit of a dose as people write it.

    Args:
        text: For example "10 mg/kg", "56 mg/m2" or "40 mg".
        where: Name of the place, for messages.
        may_be_zero: Whether "0 mg" is a dose, as where a group of patients gets none.

    Raises:
        InputError: Where the text is no positive amount with one of these units.
    """
    found = re.fullmatch(r"\s*([-+]?[0-9.]++(?:[eE][-+]?[0-9]++)?+)\s*(\S*)\s*", text) if isinstance(text, str) else None
    if found is None:
        raise InputError(f'{where}: write an amount and a unit, such as "10 mg/kg", not {text!r}')
    if not found[2]:
        given = found[1]
        raise InputError(f'{where}: the unit is missing in {text!r}; write "{given} mg", "{given} mg/kg" or "{given} mg/m2"')
    unit = found[2].replace("²", "2")
    if unit not in UNITS:
        raise InputError(f"{where}: unknown unit '{found[2]}' in {text!r}{did_you_mean(found[2], UNITS)}")
    try:
        amount = float(found[1])
    except ValueError:
        raise InputError(f"{where}: '{found[1]}' in {text!r} is not a number") from None
    return _amount(amount, where, may_be_zero), unit


def parse_days(given: str | int | Iterable[int], where: str = "days") -> tuple[int, ...]:
    """Days of a cycle in ascending order: "1-21", "1-21/2" (every second of them), "1,8,15", a whole number, a list of whole numbers.

    Raises:
        InputError: Where a day is no whole number from 1, comes twice, or a range runs backwards.
    """
    days: list[int] = []
    if isinstance(given, str):
        for part in given.split(","):
            found = re.fullmatch(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*(?:/\s*([1-9]\d{0,8})\s*)?)?", part)
            if found is None:
                raise InputError(f'{where}: write days as "1-21", "1,8,15" or [1, 8, 15], not {given!r}')
            first, last = int(found[1]), int(found[2] or found[1])
            if last < first:
                raise InputError(f"{where}: the range {part.strip()!r} runs backwards")
            if last > LONGEST_CYCLE:
                raise InputError(f"{where}: a cycle has at most {LONGEST_CYCLE} days, and the range {part.strip()!r} goes beyond")
            days.extend(range(first, last + 1, int(found[3] or 1)))
    else:
        listed = (given,) if isinstance(given, int) else given
        try:
            days = list(listed)
        except TypeError:
            raise InputError(f'{where}: write days as "1-21", "1,8,15" or [1, 8, 15], not {given!r}') from None
    return _days(days, where)


def _amount(amount: float, where: str, may_be_zero: bool = False) -> float:
    value = number(amount, where)
    if value < 0.0 or (value == 0.0 and not may_be_zero):
        raise InputError(f"{where}: a dose must be above zero, got {value:g}")
    return value


def _days(days: list[int], where: str) -> tuple[int, ...]:
    for day in days:
        if isinstance(day, bool) or not isinstance(day, int | np.integer) or day < 1:
            raise InputError(f"{where}: the days of a cycle are whole numbers from 1, got {day!r}")
    if not days:
        raise InputError(f"{where}: give at least one day")
    if len(set(days)) < len(days):
        twice = next(day for day in days if days.count(day) > 1)
        raise InputError(f"{where}: day {twice} is listed twice")
    return tuple(sorted(int(day) for day in days))


@dataclass(frozen=True)
class Dose:
    """One line of a regimen.

    Attributes:
        drug: Name of the drug.
        amount: Amount in `unit`.
        unit: "mg/kg" of body weight, "mg/m2" of body surface, or "mg".
        days: Days of the cycle, from 1.
        first_cycle: First cycle in which the line holds.
        last_cycle: Last one; None for all that follow.
        elderly_amount: Amount in `unit` from `ELDERLY_AGE` on, where it differs; 0 for nothing.
        elderly_days: Days of the cycle from `ELDERLY_AGE` on, where they differ.
        adjustments: What others get instead, by body and kidney; the first that holds counts, before what the elderly get.
        route: "subcutaneous", where it is not the drug's own.
    """

    drug: str
    amount: float
    unit: str
    days: tuple[int, ...]
    first_cycle: int = 1
    last_cycle: int | None = None
    elderly_amount: float | None = None
    elderly_days: tuple[int, ...] | None = None
    adjustments: tuple[Adjustment, ...] = ()
    route: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be given."""
        where = f"dose of {self.drug}"
        if self.unit not in UNITS:
            raise InputError(f"{where}: unknown unit '{self.unit}'{did_you_mean(self.unit, UNITS)}")
        object.__setattr__(self, "amount", _amount(self.amount, where))
        object.__setattr__(self, "days", _days(list(self.days), where))
        if self.elderly_amount is not None:
            object.__setattr__(self, "elderly_amount", _amount(self.elderly_amount, f"{where}, elderly_amount", True))
        if self.elderly_days is not None:
            object.__setattr__(self, "elderly_days", _days(list(self.elderly_days), f"{where}, elderly_days"))
        for adjustment in self.adjustments:
            _amount(adjustment.amount, f"{where}, adjust", True)
        for name in ("first_cycle", "last_cycle"):
            cycle = getattr(self, name)
            if cycle is None and name == "last_cycle":
                continue
            if isinstance(cycle, bool) or not isinstance(cycle, int) or cycle < 1:
                raise InputError(f"{where}: {name} must be a whole number from 1, got {cycle!r}")
        if self.last_cycle is not None and self.last_cycle < self.first_cycle:
            raise InputError(f"{where}: last_cycle {self.last_cycle} comes before first_cycle {self.first_cycle}")

    @property
    def every_day(self) -> tuple[int, ...]:
        """Days of the cycle on which it may be given to anybody."""
        others = [adjustment.days or () for adjustment in self.adjustments]
        return tuple(sorted({*self.days, *(self.elderly_days or ()), *(day for days in others for day in days)}))

    def milligrams(self, body: Body) -> float:
        """Amount [mg] for one patient."""
        return self._own(body)[0] * {"mg/kg": body.weight_kg, "mg/m2": body.bsa_m2, "mg": 1.0}[self.unit]

    def days_of(self, body: Body) -> tuple[int, ...]:
        """Days of the cycle for one patient."""
        return self._own(body)[1]

    def _own(self, body: Body) -> tuple[float, tuple[int, ...]]:
        """Amount in `unit` and days of the cycle for one patient."""
        for adjustment in self.adjustments:
            if adjustment.condition.holds(body_facts(body)):
                return adjustment.amount, adjustment.days or self.days
        if body.age < ELDERLY_AGE:
            return self.amount, self.days
        return self.amount if self.elderly_amount is None else self.elderly_amount, self.elderly_days or self.days

    def holds_in(self, cycle: int) -> bool:
        """Whether the line holds in a cycle, counted from 1."""
        return self.first_cycle <= cycle and (self.last_cycle is None or cycle <= self.last_cycle)


class Calendar(NamedTuple):
    """Doses in order of time; those given at the same hour in the order of the regimen's drugs."""

    start_h: NDArray[np.float64]
    duration_h: NDArray[np.float64]
    drug: NDArray[np.int64]
    amount_mg: NDArray[np.float64]
    is_subcutaneous: NDArray[np.bool_]  # by choice of the regimen


@dataclass(frozen=True)
class Regimen:
    """A treatment as its protocol gives it.

    Attributes:
        key: Lower case, "isa-pd".
        label: As people write it, "Isa-Pd".
        cycle_days: Length of a cycle [d]; of the last ones, where it changes.
        doses: Lines; none at all is no treatment.
        stop_day: Last day [d] on which anything is given; None without end.
        first_cycles: Number and length [d] of cycles of another length that come first.
        rules: By which doses are held or reduced on the way.
    """

    key: str
    label: str
    cycle_days: int
    doses: tuple[Dose, ...] = ()
    stop_day: float | None = None
    first_cycles: tuple[tuple[int, float], ...] = ()
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a calendar that contradicts itself."""
        where = f"regimen '{self.key}'"
        if isinstance(self.cycle_days, bool) or not isinstance(self.cycle_days, int) or self.cycle_days < 1:
            raise InputError(f"{where}: cycle_days must be a whole number from 1, got {self.cycle_days!r}")
        object.__setattr__(self, "doses", tuple(self.doses))
        edges = np.cumsum([0, *(n for n, _ in self.first_cycles)])  # lengths change after these cycles
        for dose in self.doses:
            last_day = dose.every_day[-1]
            for cycle in (int(edge) + 1 for edge in edges):
                days = self.rhythm.length(max(cycle, dose.first_cycle))
                if dose.holds_in(max(cycle, dose.first_cycle)) and last_day > days:
                    raise InputError(f"{where}: {dose.drug} on day {last_day} of a cycle of {days:g} days")
        for i, one in enumerate(self.doses):
            for other in self.doses[:i]:
                shared = set(one.every_day) & set(other.every_day)
                cycle = max(one.first_cycle, other.first_cycle)
                if one.drug == other.drug and shared and one.holds_in(cycle) and other.holds_in(cycle):
                    raise InputError(f"{where}: two lines give {one.drug} on day {min(shared)} of cycle {cycle}")
        if self.stop_day is not None:
            stop_day = number(self.stop_day, f"{where}, stop_day")
            if stop_day <= 0.0:
                raise InputError(f"{where}: stop_day must be above zero, got {self.stop_day!r}")

        for rule in self.rules:
            for name in rule.drugs:
                if name not in self.drugs:
                    raise InputError(f"{where}: a rule for '{name}', which it does not give{did_you_mean(name, self.drugs)}")

    @property
    def rhythm(self) -> Rhythm:
        """The cycles."""
        return Rhythm(self.cycle_days, self.first_cycles)

    @property
    def drugs(self) -> tuple[str, ...]:
        """Names of the drugs in order of first appearance."""
        return tuple(dict.fromkeys(dose.drug for dose in self.doses))

    def calendar(self, body: Body, horizon_days: float, infusion_hours: Mapping[str, float] | None = None) -> Calendar:
        """All doses that start before a horizon; day 1 of cycle 1 starts at hour 0.

        Args:
            body: The patient, for doses by weight, by surface and by age.
            horizon_days: Length of the calendar [d].
            infusion_hours: Duration [h] of an infusion of each drug; one that is not listed is given at once.
        """
        durations = infusion_hours or {}
        end_day = horizon_days if self.stop_day is None else min(horizon_days, self.stop_day)
        n_cycles = self.rhythm.begun(end_day)
        starts = np.array([self.rhythm.start(cycle) for cycle in range(1, n_cycles + 1)], np.int64)
        names = self.drugs
        day_parts: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        drug_parts: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
        amount_parts: list[NDArray[np.float64]] = [np.zeros(0)]
        route_parts: list[NDArray[np.bool_]] = [np.zeros(0, np.bool_)]
        for dose in self.doses:
            last_cycle = n_cycles if dose.last_cycle is None else min(n_cycles, dose.last_cycle)
            amount = dose.milligrams(body)
            if amount == 0.0:
                continue
            days = (starts[dose.first_cycle - 1 : last_cycle, None] + np.array(dose.days_of(body), np.int64)[None, :] - 1).ravel()
            days = days[days < end_day]
            day_parts.append(days)
            drug_parts.append(np.full(days.size, names.index(dose.drug), np.int64))
            amount_parts.append(np.full(days.size, amount))
            route_parts.append(np.full(days.size, dose.route == "subcutaneous"))
        day, drug, given = np.concatenate(day_parts), np.concatenate(drug_parts), np.concatenate(amount_parts)
        order = np.lexsort((drug, day))
        duration = np.array([float(durations.get(name, 0.0)) for name in names] or [0.0])
        start = (day[order] * HOURS_PER_DAY).astype(np.float64)
        is_subcutaneous = np.concatenate(route_parts)[order]
        return Calendar(start, np.where(is_subcutaneous, 0.0, duration[drug[order]]), drug[order], given[order], is_subcutaneous)
