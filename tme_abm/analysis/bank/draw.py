"""Who is drawn into a bank: cohorts in their shares, each with a population whose traits spread wider than those of any trial."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tme_abm.analysis.bank.plan import Cohort, Plan
from tme_abm.analysis.numbers import BY, changed_population, distribution_of, home, parse
from tme_abm.foundation.errors import InputError
from tme_abm.patients.population import Population
from tme_abm.patients.reading import load_population, whole_table

SPREADS = {"lognormal": "sigma", "normal": "sd", "log10odds": "sd"}  # distribution -> its number that is a spread


@dataclass(frozen=True)
class Sitting:
    """Patients that were drawn at one time from one set of cohorts.

    Attributes:
        number: From 0; the dice are those of the plan's seed and this number.
        patients: How many candidates.
        cohorts: From which they come.
        widen: Trait -> factor on its spread.
    """

    number: int
    patients: int
    cohorts: tuple[Cohort, ...]
    widen: Mapping[str, float]

    def table(self) -> dict[str, Any]:
        """As it is written down."""
        return {**asdict(self), "widen": dict(self.widen), "cohorts": [asdict(cohort) for cohort in self.cohorts]}

    def cohort_of(self) -> list[int]:
        """The cohort of each candidate: the one that is furthest behind its share, so that each part of a sitting holds all of them."""
        counts = [0] * len(self.cohorts)
        found = []
        for i in range(self.patients):
            behind = [cohort.share * (i + 1) - count for cohort, count in zip(self.cohorts, counts, strict=True)]
            chosen = behind.index(max(behind))
            counts[chosen] += 1
            found.append(chosen)
        return found


def read_sitting(table: Mapping[str, Any]) -> Sitting:
    """A sitting that was written down."""
    cohorts = tuple(Cohort(c["population"], c["share"], tuple(c["arms"]), dict(c["table"])) for c in table["cohorts"])
    return Sitting(table["number"], table["patients"], cohorts, dict(table["widen"]))


def first_sitting(plan: Plan, patients: int, before: Sitting | None = None) -> Sitting:
    """The sitting that a plan describes; one that was begun keeps the populations with which it began.

    Raises:
        InputError: Where cohorts or spreads are others than those with which it began.
    """
    if before is None:
        cohorts = tuple(replace(cohort, table=whole_table(cohort.population)) for cohort in plan.cohorts)
        return Sitting(0, patients, cohorts, plan.widen)
    asked, there = ([(c.population, c.share) for c in cohorts] for cohorts in (plan.cohorts, before.cohorts))
    if asked != there or dict(plan.widen) != dict(before.widen):
        raise InputError(
            f"{plan.file}: the bank was begun with other cohorts, shares or spreads; begin anew with --force, or choose another --out"
        )
    cohorts = tuple(replace(old, arms=new.arms) for new, old in zip(plan.cohorts, before.cohorts, strict=True))
    return replace(before, patients=max(patients, before.patients), cohorts=cohorts)


def population_of(cohort: Cohort, widen: Mapping[str, float]) -> Population:
    """The population from which a cohort is drawn.

    Raises:
        InputError: For a trait that has no spread, or does not vary.
    """
    table = cohort.table or whole_table(cohort.population)
    own = load_population(table)
    changes: dict[str, dict[str, float]] = {}
    for trait, factor in widen.items():
        kind, numbers = distribution_of(own, trait)
        if kind not in SPREADS:
            raise InputError(f"widen.{trait}: in population {cohort.population} it is {kind}, which cannot be made wider")
        changes[trait] = {SPREADS[kind]: numbers[SPREADS[kind]] * factor}
    return load_population(changed_population(own, table, changes)) if changes else own


def changes_in(given: str | Mapping[str, Any], values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """What some numbers of the model change in a population: quantity -> number of its distribution -> value.

    Args:
        given: The population by name, path or table.
        values: Path -> value; what stands in no file of the population is passed over.
    """
    found: dict[str, dict[str, float]] = {}
    for path, value in values.items():
        kind, *rest = parse(path)
        if kind != "population":
            continue
        file, quantity, name = rest
        if home(given, quantity) == file:
            found.setdefault(quantity, {})[name] = value
    return found


def with_values(name: str, values: Mapping[str, float]) -> tuple[str | Mapping[str, Any], Population]:
    """A population with some numbers changed: as a scenario would give it, and read."""
    population = load_population(name)
    changes = changes_in(name, values)
    if not changes:
        return name, population
    table = changed_population(population, name, changes)
    return table, load_population(table)


def tilted_by(values: Sequence[str]) -> dict[str, str]:
    """Quantity -> trait that it goes with, of the paths that say so."""
    parts = [parse(path) for path in values]
    return {part[2]: part[3].removeprefix(BY) for part in parts if part[0] == "population" and part[3].startswith(BY)}
