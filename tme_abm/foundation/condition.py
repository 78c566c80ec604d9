"""Conditions as a protocol puts them: "creatinine_clearance < 60", "age >= 75 and not high_risk", "response >= VGPR"."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NamedTuple

from tme_abm.foundation.errors import InputError, did_you_mean

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {">=": ge, "<=": le, "==": eq, "!=": ne, ">": gt, "<": lt}
CLAUSE = re.compile(r"\s*(?:(not)\s+)?([A-Za-z_]\w*)\s*(?:(>=|<=|==|!=|>|<)\s*([^\s<>=!].*?))?\s*")


class Words(NamedTuple):
    """What a fact in words may be; where it has an order, from the least to the most."""

    words: tuple[str, ...]
    is_ordered: bool = False


Kind = type | Words  # float, bool, or words


class Clause(NamedTuple):
    """One comparison: a fact, how it is compared, and with what."""

    name: str
    sign: str
    operand: Any
    kind: Any

    def holds(self, value: Any) -> bool:
        """Whether it is true of the value of the fact; never of one that is not known."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return False
        compare = COMPARISONS[self.sign]
        if isinstance(self.kind, Words):
            if not self.kind.is_ordered:
                return compare(str(value), self.operand)
            ranks = {word: rank for rank, word in enumerate(self.kind.words)}
            return str(value) in ranks and compare(ranks[str(value)], ranks[self.operand])
        return compare(bool(value) if self.kind is bool else float(value), self.operand)


@dataclass(frozen=True)
class Condition:
    """Comparisons that must all hold.

    Attributes:
        text: As it was written.
        clauses: The comparisons.
    """

    text: str
    clauses: tuple[Clause, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The facts that it asks for."""
        return tuple(clause.name for clause in self.clauses)

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Whether all comparisons hold."""
        return all(clause.holds(facts[clause.name]) for clause in self.clauses)


def parse_condition(text: str, kinds: Mapping[str, Kind], where: str = "when") -> Condition:
    """Read a condition.

    Args:
        text: Comparisons, with "and" between them.
        kinds: Each fact that may be asked for -> what it is.
        where: Name of the place, for messages.

    Raises:
        InputError: For what is no condition, an unknown fact, or a comparison that such a fact does not take.
    """
    return Condition(text.strip(), tuple(_clause(part, kinds, where) for part in re.split(r"\s+and\s+", text.strip())))


def _clause(text: str, kinds: Mapping[str, Kind], where: str) -> Clause:
    match = CLAUSE.fullmatch(text)
    if match is None:
        raise InputError(f"{where}: cannot read the condition '{text}'; write it like 'age >= 75'")
    negated, name, sign, right = match.groups()
    if name not in kinds:
        raise InputError(f"{where}: unknown word '{name}'{did_you_mean(name, kinds)}")
    kind = kinds[name]
    if sign is None:
        if kind is not bool:
            raise InputError(f"{where}: '{name}' is neither true nor false; compare it, as in 'age >= 75'")
        return Clause(name, "==", not negated, bool)
    if negated or kind is bool:
        raise InputError(f"{where}: cannot read the condition '{text}'; write '{name}' or 'not {name}'")
    if isinstance(kind, Words):
        if not kind.is_ordered and sign not in ("==", "!="):
            raise InputError(f"{where}: the words of '{name}' have no order; compare them with == or !=")
        if right not in kind.words:
            raise InputError(f"{where}: unknown word '{right}' for {name}{did_you_mean(right, kind.words)}")
        return Clause(name, sign, right, kind)
    try:
        return Clause(name, sign, float(right), float)
    except ValueError:
        raise InputError(f"{where}: expected a number in the condition '{text}', got '{right}'") from None
