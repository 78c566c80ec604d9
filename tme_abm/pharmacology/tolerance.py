"""What a patient is given instead: doses by body and kidney, and doses that are held or reduced on the way, by rules of the protocol."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tme_abm.foundation.condition import Condition, Kind, Words, parse_condition
from tme_abm.pharmacology.body import Body

OF_THE_BODY = {  # word in a scenario -> member of `Body`
    "age": "age",
    "creatinine_clearance": "creatinine_clearance_ml_per_min",
    "weight": "weight_kg",
    "body_surface": "bsa_m2",
    "albumin": "albumin_g_per_l",
    "female": "is_female",
}
BODY_KINDS: dict[str, Kind] = {word: bool if word == "female" else float for word in OF_THE_BODY}
RESPONSES = ("NE", "PD", "SD", "MR", "PR", "VGPR", "CR", "sCR")
VISIT_KINDS: dict[str, Kind] = {  # what a visit knows
    **BODY_KINDS,
    "visit": float,
    "month": float,
    "m_protein": float,  # measured [g/L]
    "m_protein_change": float,  # from baseline [%]
    "response": Words(RESPONSES, True),
    "best_response": Words(RESPONSES, True),
    "mrd_negative": bool,
}


@dataclass(frozen=True)
class Adjustment:
    """What a line of a regimen gives instead to those of whom a condition holds at the start.

    Attributes:
        condition: On the body.
        amount: In the unit of the line; 0 for nothing.
        days: Days of the cycle; those of the line where it is None.
    """

    condition: Condition
    amount: float
    days: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Rule:
    """When a drug is held or reduced, and for how long; asked at every visit.

    Attributes:
        drugs: Whose doses change.
        condition: What must hold at the visit; None for nothing but chance.
        chance: Probability at each visit at which the condition holds [1].
        give: Share of the protocol's dose the first time, the second time ...; 0 holds it. The last one counts for all further times.
        for_days: After which the full dose is given again [d]; None for never.
    """

    drugs: tuple[str, ...]
    condition: Condition | None
    chance: float
    give: tuple[float, ...]
    for_days: float | None = None


class Doses(Protocol):
    """Whose doses a rule changes: the regimen running (`course.Course`)."""

    def change_dose(self, drug: str, factor: float) -> None:
        """Multiply the doses of a drug from now on, relative to what the regimen says."""


class _Standing(NamedTuple):
    """Where a rule stands in a patient: how often it has been applied, and until which day it holds."""

    times: int = 0
    until_day: float = -1.0


class RuleKeeper:
    """Applies the rules of a regimen to the course of one patient.

    Attributes:
        rules: In the order of the scenario.
    """

    def __init__(self, rules: tuple[Rule, ...], draw: Callable[[str, int, int], float]) -> None:
        """Begin with full doses.

        Args:
            rules: Of the regimen.
            draw: (drug, number of the rule among those of the drug, visit) -> uniform draw in [0, 1), the same in every arm.
        """
        self.rules = rules
        self._draw = draw
        # counted within its drug: what other drugs an arm gives, and with which rules, does not change the dice of this one
        self._numbers = [sum(other.drugs[0] == rule.drugs[0] for other in rules[:i]) for i, rule in enumerate(rules)]
        self._standing = [_Standing() for _ in rules]
        self._given = dict.fromkeys((drug for rule in rules for drug in rule.drugs), 1.0)

    def apply(self, course: Doses, day: float, visit: int, facts: Mapping[str, Any]) -> None:
        """What changes at a visit.

        Args:
            course: The regimen running.
            day: Since its start [d].
            visit: Number of the visit.
            facts: What is known then, by the words of `VISIT_KINDS`.
        """
        for i, rule in enumerate(self.rules):
            times, until = self._standing[i]
            if rule.for_days is not None and day < until:
                continue  # still held
            if rule.condition is not None and not rule.condition.holds(facts):
                continue
            # nothing has been given yet at the first visit, so there is nothing that chance could have done
            if rule.chance < 1.0 and (visit == 0 or self._draw(rule.drugs[0], self._numbers[i], visit) >= rule.chance):
                continue
            self._standing[i] = _Standing(times + 1, float("inf") if rule.for_days is None else day + rule.for_days)
        for drug, before in self._given.items():
            now = 1.0
            for rule, (times, until) in zip(self.rules, self._standing, strict=True):
                if drug in rule.drugs and times and day < until:
                    now *= rule.give[min(times, len(rule.give)) - 1]
            if now != before:
                course.change_dose(drug, now)
                self._given[drug] = now


def body_condition(text: str, where: str) -> Condition:
    """A condition on the body at the start of treatment.

    Raises:
        InputError: As `parse_condition`.
    """
    return parse_condition(text, BODY_KINDS, where)


def visit_condition(text: str, where: str) -> Condition:
    """A condition on what a visit knows.

    Raises:
        InputError: As `parse_condition`.
    """
    return parse_condition(text, VISIT_KINDS, where)


def body_facts(body: Body) -> dict[str, Any]:
    """What conditions may ask of a body."""
    return {word: getattr(body, name) for word, name in OF_THE_BODY.items()}
