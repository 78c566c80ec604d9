"""What a visitor has chosen: scenario, patient, the two arms, and what was changed when. All of it fits into a link."""

import re
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import parse_qs, urlencode

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.patients.presets import presets
from tme_abm.simulation.settings import PLAIN, Catalogue

SIDES = ("a", "b")
SIZES = (32, 64, 128, 256)
MOST_PATIENTS = 1_000_000
DIGITS = 20  # of a number that is read at all
LONGEST_DAYS = 3660.0
MOST_EVENTS = 500
NAMING = {
    "scenario",
    "patient",
    "arms",
    "without_a",
    "without_b",
    "event",
}  # of a link: that say whose marrows are meant, and what was changed in them
MOST_FIELDS = MOST_EVENTS + 50
CHANGE = re.compile(r'arms\.[a-z0-9_-]+\.doses\[\d{1,2}\]\.(dose|days|cycles)="[^"\\]{1,60}"')  # all that a link may change in a file


class Event(NamedTuple):
    """Something that the visitor changed in a running marrow.

    Attributes:
        day: Day of treatment.
        side: 0 left, 1 right.
        kind: "switch" of a mechanism or "dose" of a drug.
        name: Of the mechanism or drug.
        value: 1 on and 0 off for a switch, the factor on the regimen's dose for a dose.
    """

    day: float
    side: int
    kind: str
    name: str
    value: float

    def text(self) -> str:
        """As the link holds it."""
        return f"{self.day:g}~{SIDES[self.side]}~{self.kind}~{self.name}~{self.value:g}"

    @staticmethod
    def read(text: str, catalogue: Catalogue = PLAIN) -> "Event":
        """From a link, which may name mechanisms of a catalogue.

        Raises:
            InputError: Where it is no event.
        """
        try:
            day, side, kind, name, value = text.split("~")
            event = Event(float(day), SIDES.index(side), kind, name, float(value))
        except ValueError:
            raise InputError(f"link: '{text}' is no event") from None
        event.check(catalogue)
        return event

    def check(self, catalogue: Catalogue = PLAIN) -> None:
        """Raise an `InputError` where it cannot happen; a drug is checked by the regimen that holds it."""
        if not 0.0 <= self.day <= LONGEST_DAYS:
            raise InputError(f"link: day {self.day:g} is not between 0 and {LONGEST_DAYS:g}")
        if self.kind not in ("switch", "dose"):
            raise InputError(f"link: unknown event '{self.kind}'{did_you_mean(self.kind, ('switch', 'dose'))}")
        if self.kind == "switch":
            catalogue.find(self.name)
        if not 0.0 <= self.value <= 10.0:
            raise InputError(f"{self.name}: a factor is between 0 and 10, got {self.value:g}")


@dataclass(frozen=True)
class Choice:
    """All that is needed to make the pair of marrows again.

    Attributes:
        scenario: Name of a scenario, or "results:<run>".
        patient: A preset's name, or the number of a patient of the scenario's population.
        arms: Keys of the arms, left and right; empty for the scenario's first comparison.
        without: Mechanisms that are off from the start, left and right.
        size: Rows and columns of the patch [sites].
        changes: "PATH=VALUE" changes of the lines of regimens, as `tme run --set` takes them; nothing else of a scenario, so that no
            link makes the server read another file.
        events: What was changed while it ran, in order of time.
        day: Day of treatment to which a link leads.
    """

    scenario: str = "combinations"
    patient: str = "typical"
    arms: tuple[str, str] = ("", "")
    without: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    size: int = 64
    changes: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    day: float = 0.0

    def check(self, catalogue: Catalogue = PLAIN) -> None:
        """Raise an `InputError` where something cannot be; the scenario's reader judges the rest."""
        if self.patient not in presets():
            if not self.patient.isascii() or not self.patient.isdigit():
                raise InputError(f"patient: '{self.patient}' is neither a preset nor a number{did_you_mean(self.patient, presets())}")
            if len(self.patient) > DIGITS or int(self.patient) >= MOST_PATIENTS:
                raise InputError(f"patient: the number must be below {MOST_PATIENTS}, got {self.patient}")
        if self.size not in SIZES:
            raise InputError(f"size: choose one of {', '.join(map(str, SIZES))}, not {self.size}")
        for name in self.without[0] | self.without[1]:
            catalogue.find(name)
        for change in self.changes:
            if not CHANGE.fullmatch(change):
                raise InputError(f"link: '{change}' changes neither dose nor days nor cycles of an arm")
        if not 0.0 <= self.day <= LONGEST_DAYS:
            raise InputError(f"day {self.day:g} is not between 0 and {LONGEST_DAYS:g}")
        if len(self.events) > MOST_EVENTS:
            raise InputError(f"a link holds at most {MOST_EVENTS} events, got {len(self.events)}")

    def query(self, **more: str) -> str:
        """The query string of a link to this choice; what is as usual is left out."""
        plain = Choice()
        fields: dict[str, str | list[str]] = {"scenario": self.scenario}
        if self.patient != plain.patient:
            fields["patient"] = self.patient
        if any(self.arms):
            fields["arms"] = ",".join(self.arms)
        for side, off in zip(SIDES, self.without, strict=True):
            if off:
                fields[f"without_{side}"] = ",".join(sorted(off))
        if self.size != plain.size:
            fields["size"] = str(self.size)
        if self.changes:
            fields["set"] = list(self.changes)
        if self.events:
            fields["event"] = [event.text() for event in self.events]
        if self.day:
            fields["day"] = f"{self.day:g}"
        return urlencode({**fields, **more}, doseq=True)

    @staticmethod
    def read(query: str, plain: "Choice | None" = None, catalogue: Catalogue = PLAIN) -> "Choice":
        """The choice that a query string holds.

        Args:
            query: Without the question mark.
            plain: What holds where the query is silent.
            catalogue: The mechanisms that it may name.

        Raises:
            InputError: Where a value cannot be.
        """
        given = values_by_name(query)
        choice = plain or Choice()
        first = {key: values[0] for key, values in given.items()}
        if "scenario" in first and first["scenario"] != choice.scenario:
            choice = replace(choice, scenario=first["scenario"], arms=("", ""))
        if "patient" in first:
            choice = replace(choice, patient=first["patient"])
        if "arms" in first:
            arms = first["arms"].split(",")
            if len(arms) != len(SIDES):
                raise InputError(f"link: arms are two names with a comma between, not '{first['arms']}'")
            choice = replace(choice, arms=(arms[0], arms[1]))
        if first.keys() & NAMING:  # a link to a pair says all that was done; another leaves it
            off = tuple(frozenset(filter(None, first.get(f"without_{s}", "").split(","))) for s in SIDES)
            choice = replace(choice, without=(off[0], off[1]), events=(), day=0.0)
        if "size" in first:
            if first["size"] not in map(str, SIZES):
                raise InputError(f"size: choose one of {', '.join(map(str, SIZES))}, not {first['size']}")
            choice = replace(choice, size=int(first["size"]))
        if "day" in first:
            try:
                choice = replace(choice, day=float(first["day"]))
            except ValueError:
                raise InputError(f"link: day is a number, not '{first['day']}'") from None
        if "event" in given:
            choice = replace(choice, events=tuple(sorted((Event.read(text, catalogue) for text in given["event"]), key=lambda e: e.day)))
        choice = replace(choice, changes=tuple(given.get("set", choice.changes)))
        choice.check(catalogue)
        return choice


def values_by_name(query: str) -> dict[str, list[str]]:
    """The values of a query string by name.

    Raises:
        InputError: Where there are more than any link of the page has.
    """
    try:
        return parse_qs(query.removeprefix("?"), max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InputError(f"a link holds at most {MOST_EVENTS} events") from None
