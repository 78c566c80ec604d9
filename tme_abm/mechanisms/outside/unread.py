"""What is written too late: a write that nobody reads any more in the step, and that the next step does not begin with, does nothing.

Mechanisms from outside come after those of the package in every phase and act, so it is easy to change what all have read by then: the
contacts that cells at risk were written down with, or a gauge of a step whose reader came first. Such a file would run, and say nothing.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.mechanism import Phase
from tme_abm.marrow.quantities import MADE_OF, READ_AFTER_EVENTS, READ_BY_NOBODY, made_anew, quantities
from tme_abm.mechanisms import MECHANISMS
from tme_abm.mechanisms.declared import AT_RISK, PHASES, Touched
from tme_abm.mechanisms.outside.catalogue import Outside

Moment = tuple[int, float]  # twice the number of the phase, at risk between motion and arrival; and the place of the mechanism in it
AFTER_EVENTS = (AT_RISK, math.inf)  # when the marrow carries out what was decided: behind everybody who is at work


def moments(name: str, further: Iterable[tuple[Moment, Mapping[str, Touched]]] = ()) -> list[Moment]:
    """When in the step a quantity is read, by itself or by way of what the marrow makes of it (`MADE_OF`).

    Args:
        name: Of the quantity.
        further: Acts from outside: when they come, and what they touch.
    """
    made = {name, *(of for of, sources in MADE_OF.items() if name in sources)}
    found: list[Moment] = []
    for place, m in enumerate(MECHANISMS):
        for read in made.intersection(m.reads):
            if m.ceiling is not None or m.hazard is not None:
                found.append((AT_RISK, place))
            if m.phase is not None and not read.startswith("at_risk."):
                found.append((2 * PHASES.index(m.phase), place))
    found += [moment for moment, touched in further for t in touched.values() if made.intersection(t.reads)]
    if name.startswith("hazard.") or name in READ_AFTER_EVENTS:
        found.append(AFTER_EVENTS)
    return found


def is_read(name: str, written: Moment, readers: Sequence[Moment]) -> bool:
    """Whether somebody reads a quantity after it was written at a moment, before it is made anew."""
    again = made_anew(name)
    if again is None:
        return name not in READ_BY_NOBODY
    wiped = (2 * PHASES.index(again) - 1, 0) if again is not Phase.DRUGS else (-1, 0)
    return any(written < reading and not written < wiped < reading for reading in readers)


def last_phase(name: str) -> Phase | None:
    """The last phase in which it still tells to write a quantity from outside; None for none."""
    readers = moments(name)
    outside = len(MECHANISMS)
    return next((phase for phase in reversed(PHASES) if is_read(name, (2 * PHASES.index(phase), outside), readers)), None)


def check_used(ordered: Sequence[Outside], seen: Mapping[str, Mapping[str, Touched]]) -> None:
    """Refuse a mechanism that writes what nobody reads after it.

    Args:
        ordered: Mechanisms from outside in the order in which they act.
        seen: What their acts touch, by act.

    Raises:
        InputError: For the first such write, with its line and where it would tell.
    """
    acts: list[tuple[Moment, Outside, str, Touched]] = []
    for place, o in enumerate(ordered, len(MECHANISMS)):
        for act, touched in seen[o.mechanism.name].items():
            if act.startswith("rest "):
                continue
            phase = o.mechanism.phase
            acts.append(((2 * PHASES.index(phase) if act == "prepare" and phase else AT_RISK, place), o, act, touched))
    known = quantities()
    for moment, o, act, touched in acts:
        for name, where in touched.writes.items():
            if name not in known:  # its own, or no quantity with a name
                continue
            readers = moments(name, [(m, {a: t}) for m, _, a, t in acts if m > moment])
            if not is_read(name, moment, readers):
                at = f"{o.file.shown}, line {where.line}" if o.file.path is not None and where.file == str(o.file.path) else o.place(act)
                when = f"in Phase.{o.mechanism.phase.name}" if act == "prepare" and o.mechanism.phase else "on cells at risk"
                said = f"'{o.mechanism.name}' writes {name} {when}, which nobody reads after it, so it does nothing"
                raise InputError(f"{at}: {said}; {_better(name)}")


def _better(name: str) -> str:
    """Where a write would tell instead."""
    sources = MADE_OF.get(name, (name,))
    places = [(source, phase) for source in sources if (phase := last_phase(source)) is not None]
    if (name.startswith("at_risk.") and not places) or name == "at_risk.adherence":
        return "the package's own hazards are added by then; change these, marrow.hazard[k, cause]"
    if not places:
        readers = [m.name for m in MECHANISMS if name in m.reads]
        return f"{' and '.join(readers)} has read it by then" if readers else "nothing in the model depends on it"
    source, phase = places[0]
    if made_anew(source) is Phase.MOTION:
        return f"write {source} in Phase.MOTION, where it is made"
    return f"write {source} in Phase.{phase.name}" + (" or before" if phase is not Phase.DRUGS else "")
