"""The question of an attribution: the two arms, the mechanisms among which the gain is shared out, and the runs that it takes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

from tme_abm.analysis.attribution.shapley import Coalition, draw_orders, is_exact
from tme_abm.analysis.run_book import Point, acts_in, come_with, whole_visits
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.trial.study import Study

DOOR = "binding"  # through which an antibody comes to all its mechanisms; no way of acting by itself
HOUSEKEEPING = ("motility", "growth", "turnover", "recruitment")  # without which there is no marrow
SAMPLES = 4


class Measure(NamedTuple):
    """A quantity of a run whose difference between two arms is a gain."""

    column: str
    factor: float
    words: str


MEASURES = {
    "pfs_months": Measure("pfs_days", 1.0 / DAYS_PER_MONTH, "months of mean PFS"),
    "burden_log10": Measure("log10_burden_visit_2", -1.0, "powers of ten of tumour burden at the second visit"),
}


class Comparison(NamedTuple):
    """Two arms and the mechanisms among which the gain of the one over the other is shared out."""

    arm: str
    reference: str
    players: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """What is asked of a study.

    Attributes:
        study: Who is treated, and how.
        comparisons: Pairs of arms with their players.
        knock_outs: Arm -> sets of mechanisms that are switched off in it together.
        samples: Orders that are drawn for each patient and comparison; 0 for no Shapley shares.
        horizon_days: How long patients are watched; a whole number of visits [d].
    """

    study: Study
    comparisons: tuple[Comparison, ...]
    knock_outs: Mapping[str, tuple[Coalition, ...]]
    samples: int
    horizon_days: float

    def __post_init__(self) -> None:
        """Look up what acts in which arm."""
        object.__setattr__(self, "_acting", {arm.key: acts_in(self.study, arm) for arm in self.study.arms})

    def point(self, arm: str, off: Iterable[str]) -> Point:
        """An arm with some mechanisms off, those left out that do nothing there."""
        acting: Mapping[str, Coalition] = getattr(self, "_acting")  # noqa: B009
        return Point(arm, frozenset(off) & acting[arm])

    def orders(self, index: int, comparison: Comparison) -> list[tuple[str, ...]]:
        """The orders drawn for a patient; empty where all coalitions are run instead."""
        players = comparison.players
        return [] if is_exact(len(players), self.samples) else draw_orders(players, self.samples, self.study.seed, index)

    def coalitions(self, index: int, comparison: Comparison) -> list[Coalition]:
        """The coalitions whose gain is wanted of a patient, the whole and the empty one first."""
        players = comparison.players
        found = {frozenset(players): None, frozenset[str](): None}
        if self.samples and is_exact(len(players), self.samples):
            found |= {frozenset(c): None for size in range(len(players)) for c in combinations(players, size)}
        elif self.samples:
            for order in self.orders(index, comparison):
                found |= {frozenset(order[:size]): None for size in range(len(order))}
        return list(found)

    def sides(self, comparison: Comparison, coalition: Coalition) -> tuple[Point, Point]:
        """The runs whose difference is the gain of a coalition."""
        off = frozenset(comparison.players) - coalition
        return self.point(comparison.arm, off), self.point(comparison.reference, off)

    def points(self, index: int) -> list[Point]:
        """All runs of one patient, each once, the whole arms first."""
        wanted: dict[Point, None] = {self.point(arm.key, ()): None for arm in self.study.arms}
        for comparison in self.comparisons:
            for off in self.knock_outs.get(comparison.arm, ()):
                wanted |= {self.point(comparison.arm, off): None, self.point(comparison.reference, off): None}
            for off in self.knock_outs.get(comparison.reference, ()):
                wanted[self.point(comparison.reference, off)] = None
        for comparison in self.comparisons:
            for coalition in self.coalitions(index, comparison):
                wanted |= dict.fromkeys(self.sides(comparison, coalition))
        return list(wanted)


def pose(study: Study, mechanisms: Sequence[str] = (), samples: int = SAMPLES, horizon_days: float | None = None) -> Question:
    """The question of a study: players and knock-outs.

    Args:
        study: Who is treated, and how.
        mechanisms: Only these: the players, and what is knocked out; "a+b" is knocked out together and is no player. Where it is
            left out, the players are the mechanisms of the drugs in which the arms differ, and everything that acts is knocked out.
        samples: Orders for each patient and comparison; 0 for knock-outs alone.
        horizon_days: How long patients are watched [d]; the longest follow-up where it is left out.

    Raises:
        InputError: For a study without a comparison, a mechanism that does not exist or acts in no arm, or a horizon without a visit.
    """
    if not study.comparisons:
        raise InputError(f"{study.name} compares no arms, so there is no gain to attribute: `trial.compare` is empty")
    if samples < 0:
        raise InputError(f"the number of samples must be zero or more, got {samples}")
    known = study.settings.catalogue
    arms = {arm.key: arm for arm in study.arms}
    compared = list(dict.fromkeys(key for pair in study.comparisons for key in pair))
    acting = {key: acts_in(study, arms[key]) for key in compared}
    chosen = [frozenset(part.strip() for part in name.split("+")) for name in mechanisms]
    for name in (n for group in chosen for n in sorted(group)):
        known.find(name)
        if not any(name in names for names in acting.values()):
            why = "is switched off in this study" if name in study.settings.without else f"acts in none of the arms {', '.join(compared)}"
            raise InputError(f"'{name}' {why}")
    singles = {name for group in chosen if len(group) == 1 for name in group}
    comparisons = []
    for arm, reference in study.comparisons:
        players = own_mechanisms(study, arms[arm], arms[reference])
        if singles:
            players = tuple(name for name in known.by_name if name in singles and name in acting[arm] | acting[reference])
        comparisons.append(Comparison(arm, reference, players))
    if samples and not any(comparison.players for comparison in comparisons):
        raise InputError(f"{study.name}: no mechanism tells the arms apart that could have a share in the gain")
    knock_outs = {}
    for key in compared:
        everything = [frozenset({name}) for name in known.by_name if name in acting[key] and name not in HOUSEKEEPING]
        groups = [group & acting[key] for group in chosen] if chosen else everything
        knock_outs[key] = tuple(dict.fromkeys(group for group in groups if group))
    days = study.follow_up.longest_days if horizon_days is None else horizon_days
    return Question(study, tuple(comparisons), knock_outs, samples, whole_visits(study, days))


def own_mechanisms(study: Study, arm: Regimen, reference: Regimen) -> tuple[str, ...]:
    """Mechanisms that come with the drugs that two arms give differently, in the order of the step; binding is the door."""

    def lines(regimen: Regimen, drug: str) -> tuple[Any, ...]:
        given = tuple(dose for dose in regimen.doses if dose.drug == drug)
        return (given, regimen.rhythm, regimen.stop_day, regimen.rules) if given else ()

    differing = [drug for drug in {*arm.drugs, *reference.drugs} if lines(arm, drug) != lines(reference, drug)]
    known = study.settings.catalogue
    owned = {name for drug in differing for name in come_with(study.drugs[drug], known)}
    return tuple(name for name in known.by_name if name in owned and name != DOOR and name not in study.settings.without)
