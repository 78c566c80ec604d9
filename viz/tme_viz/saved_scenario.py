"""The scenario with all that a visitor changed, as a file that `tme run` takes; what no scenario can hold stands in its head as a comment.

A dose that was changed at a day becomes lines of its own from that day on, so the file gives the very same doses. A switch on one side
alone, or in the middle of a run, has no place in a scenario: arms of a trial differ in what is given and in nothing else.
"""

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tme_abm.forms import parse_cycles
from tme_abm.foundation.clock import Rhythm
from tme_abm.foundation.toml import to_toml
from tme_abm.pharmacology.regimen import parse_days, parse_dose
from tme_viz.allowed_files import LIVE
from tme_viz.choice import SIDES, Event
from tme_viz.pair import Pair
from tme_viz.words import words

Change = tuple[float, float]  # day from which on, factor on the regimen's dose


def scenario_toml(pair: Pair, language: str = "en") -> str:
    """The scenario as the visitor has it now."""
    resolved = deepcopy(dict(pair.study.resolved))
    shared, left_out = switches(pair)
    resolved["without"] = sorted(shared)
    resolved["marrow"] = {**resolved.get("marrow", {}), "shape": [pair.choice.size, pair.choice.size]}
    arms: dict[str, Any] = resolved["arms"]
    keys = list(pair.choice.arms)
    for side, name in enumerate("ab"):
        changes = dose_changes(pair.events, side)
        if changes:
            before = arms[keys[side]]
            keys[side] = unused(f"{keys[side]}-{name}", arms)
            arms[keys[side]] = changed_arm(before, pair.regimens[side].rhythm, changes) | {"label": new_label(before, name, arms)}
    trial = resolved["trial"] = dict(resolved["trial"])
    if "allocation" in trial:
        trial["allocation"] = [*trial["allocation"], *[1] * (len(arms) - len(trial["allocation"]))]
    if keys[0] != keys[1] and keys not in trial.get("compare", []):
        trial["compare"] = [*trial.get("compare", []), keys]
    return head(pair, left_out, language) + to_toml(resolved)


def live_toml(pair: Pair, language: str = "en") -> str:
    """All that was chosen and changed, as a file that `tme view` opens and `tme run` runs."""
    w = words(language)
    changes: list[dict[str, Any]] = []
    for event in pair.events:
        change: dict[str, Any] = {"day": event.day, "side": SIDES[event.side]}
        changes.append(
            change
            | ({"drug": event.name, "factor": event.value} if event.kind == "dose" else {"mechanism": event.name, "on": bool(event.value)})
        )
    who = w["preset"].get(pair.choice.patient, f"{w['patient']} {pair.choice.patient}")
    table = {
        "kind": LIVE,
        "title": w["live_title"],
        "summary": f"{who}; {' / '.join(regimen.label for regimen in pair.regimens)}",
        "patient": pair.choice.patient,
        "arms": list(pair.choice.arms),
        "patch": pair.choice.size,
        "until": pair.day,
        **{f"without_{side}": sorted(off) for side, off in zip(SIDES, pair.choice.without, strict=True)},
        "changes": changes,
        "study": dict(pair.study.resolved),
    }
    return to_toml(table)


def head(pair: Pair, left_out: Sequence[Event], language: str) -> str:
    """The comment above the scenario."""
    w = words(language)
    who = w["preset"].get(pair.choice.patient, f"{w['patient']} {pair.choice.patient}")
    arms = ", ".join(f"{name} {regimen.label}" for name, regimen in zip("AB", pair.regimens, strict=True))
    now = replace(pair.choice, events=tuple(pair.events), day=pair.day)
    lines = [f"{w['saved_from']}: {who}; {arms}; {w['day'].lower()} {pair.day:g}.", f"{w['saved_link']}: ?{now.query()}"]
    if left_out:
        lines += [f"{w['saved_not']}:", *(f"  {line}" for line in spoken(left_out, w))]
    return "".join(f"# {' '.join(line.splitlines())}\n" if line else "#\n" for line in lines) + "\n"


def spoken(left_out: Sequence[Event], w: dict[str, Any]) -> list[str]:
    """The switches that no scenario holds, in words."""
    return [f"{w['day'].lower()} {e.day:g}, {'AB'[e.side]}: {e.name} {w['on' if e.value else 'off']}" for e in left_out]


def switches(pair: Pair) -> tuple[frozenset[str], list[Event]]:
    """Mechanisms that are off on both sides from the first day on, and the switches that this does not tell."""
    base = pair.study.settings.without
    start = [set(base | off) for off in pair.choice.without]
    later = []
    for event in pair.events:
        if event.kind != "switch":
            continue
        if event.day <= 0.0:
            (start[event.side].discard if event.value else start[event.side].add)(event.name)
        else:
            later.append(event)
    shared = frozenset(start[0] & start[1])
    alone = [Event(0.0, side, "switch", name, 0.0) for side in (0, 1) for name in sorted(start[side] - shared)]
    return shared, [*alone, *later]


def dose_changes(events: Sequence[Event], side: int) -> dict[str, list[Change]]:
    """Drug -> its changes of dose on one side, in order of time."""
    found: dict[str, list[Change]] = {}
    for event in events:
        if event.kind == "dose" and event.side == side:
            found.setdefault(event.name, []).append((event.day, event.value))
    return found


def unused(key: str, arms: dict[str, Any]) -> str:
    """A key that no arm has."""
    n, found = 2, key
    while found in arms:
        found, n = f"{key}{n}", n + 1
    return found


def new_label(arm: dict[str, Any], name: str, arms: dict[str, Any]) -> str:
    """A label that no arm has."""
    labels = {str(other["label"]) for other in arms.values()}
    n, found = 2, f"{arm['label']} ({name.upper()})"
    while found in labels:
        found, n = f"{arm['label']} ({name.upper()} {n})", n + 1
    return found


def changed_arm(arm: dict[str, Any], cycles: Rhythm, changes: dict[str, list[Change]]) -> dict[str, Any]:
    """An arm as the table of a scenario, with doses that change at a day."""
    lines: list[dict[str, Any]] = []
    for line in arm.get("doses", ()):
        given = changes.get(line["drug"])
        lines += changed_line(line, cycles, given) if given else [line]
    return {**arm, "doses": lines}


def changed_line(line: dict[str, Any], cycles: Rhythm, changes: list[Change]) -> list[dict[str, Any]]:
    """One line of a regimen as the lines that give the same until the dose changes, and the changed dose from then on."""
    days = parse_days(line["days"])
    first, last = parse_cycles(line.get("cycles", "1-"))
    starts = [0, *(math.ceil(day - 1e-9) for day, _ in changes)]  # a dose is given at the beginning of its day
    factors = [1.0, *(factor for _, factor in changes)]
    stops = [*starts[1:], None]
    found = []
    for start, stop, factor in zip(starts, stops, factors, strict=True):
        if factor <= 0.0 or start == stop:
            continue
        for days_now, low, high in spans(days, cycles, start, stop):
            low, high = max(low, first), high if last is None else last if high is None else min(high, last)
            if high is not None and low > high:
                continue
            held = f"{low}-" if high is None else f"{low}" if low == high else f"{low}-{high}"
            new = {**line, "days": line["days"] if days_now == days else list(days_now), "cycles": held}
            for name in ("dose", "elderly_dose"):
                if name in line and factor != 1.0:
                    new[name] = _times(line[name], factor)
            if "adjust" in line and factor != 1.0:
                new["adjust"] = [{**other, "dose": _times(other["dose"], factor)} for other in line["adjust"]]
            found.append(new)
    return found


def _times(dose: str, factor: float) -> str:
    amount, unit = parse_dose(dose, may_be_zero=True)
    return f"{amount * factor:.12g} {unit}"


def spans(days: tuple[int, ...], cycles: Rhythm, start: int, stop: int | None) -> list[tuple[tuple[int, ...], int, int | None]]:
    """The days of a line that fall between two days of treatment: (days of the cycle, first cycle, last cycle).

    Args:
        days: Days of the cycle, from 1.
        cycles: Their lengths.
        start: First day of treatment, from 0.
        stop: Day of treatment before which it ends; None for an open end.
    """
    low, rest = _cycle_at(start, cycles)
    begun = tuple(day for day in days if day > rest)  # what of the first cycle is still to come
    low += 1
    found: list[tuple[tuple[int, ...], int, int | None]] = []
    if stop is None:
        if begun != days:
            found, low = [(begun, low, low)] if begun else [], low + 1
        return [*found, (days, low, None)]
    high, rest_high = _cycle_at(stop, cycles)
    ended = tuple(day for day in days if day <= rest_high)  # what of the last cycle came before
    high += 1
    if low == high:
        both = tuple(day for day in begun if day in ended)
        return [(both, low, low)] if both else []
    if begun != days:
        found, low = [(begun, low, low)] if begun else [], low + 1
    if ended == days:
        tail: list[tuple[tuple[int, ...], int, int | None]] = []
    else:
        tail, high = [(ended, high, high)] if ended else [], high - 1
    return [*found, *([(days, low, high)] if low <= high else []), *tail]


def _cycle_at(day: int, cycles: Rhythm) -> tuple[int, int]:
    """Cycles that have ended before a day of treatment, from 0, and days since."""
    ended = cycles.begun(day + 1) - 1
    return ended, day - int(cycles.start(ended + 1))
