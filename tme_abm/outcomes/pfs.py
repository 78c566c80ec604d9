"""Progression-free survival (PFS): days from randomisation to confirmed progression or death, whichever is first.

Rules, in order:

1. Progression counts on the first of the two visits that confirmed it, death on its day; the earlier one is the event.
2. Follow-up for PFS ends with the first of the data cut-off, drop-out and the start of another anti-myeloma therapy. An
   event on that day or before it counts; a later one is not seen.
3. Without an event the patient is censored at the last assessment of the disease on or before the end of follow-up, or
   at randomisation where there was none.
4. Unlike the stricter rule of the American agency, missed visits before an event do not censor it.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from tme_abm.foundation.errors import InputError

EVENT_KINDS = ("progression", "death", "censored")


class Record(NamedTuple):
    """PFS of one patient under one arm.

    Attributes:
        days: Time to the event or to censoring [d].
        event: Whether there was an event.
        kind: `"progression"`, `"death"` or `"censored"`.
        reason: Why follow-up ended without an event: `"cut-off"`, `"drop-out"`, `"new therapy"`; empty after an event.
    """

    days: float
    event: bool
    kind: str
    reason: str


def record(
    assessment_days: Iterable[float],
    cutoff_day: float,
    progression_day: float | None = None,
    death_day: float | None = None,
    dropout_day: float | None = None,
    new_therapy_day: float | None = None,
) -> Record:
    """PFS by the rules above.

    Args:
        assessment_days: Days on which the disease was assessed [d].
        cutoff_day: End of the study for this patient [d].
        progression_day: Date of confirmed progression [d].
        death_day: Of any cause [d].
        dropout_day: Withdrawal or loss [d].
        new_therapy_day: Start of another anti-myeloma therapy [d].

    Raises:
        InputError: For a day that is negative or no number.
    """
    given = {
        "cutoff_day": cutoff_day,
        "progression_day": progression_day,
        "death_day": death_day,
        "dropout_day": dropout_day,
        "new_therapy_day": new_therapy_day,
    }
    for name, day in given.items():
        if day is not None and (math.isnan(day) or day < 0.0):
            raise InputError(f"PFS: {name} must be a day from 0, got {day:g}")
    ends = [(cutoff_day, "cut-off"), (dropout_day, "drop-out"), (new_therapy_day, "new therapy")]
    end, reason = min(((day, why) for day, why in ends if day is not None), key=lambda pair: pair[0])
    events = [(day, kind) for day, kind in ((progression_day, "progression"), (death_day, "death")) if day is not None]
    if events:
        day, kind = min(events, key=lambda pair: pair[0])
        if day <= end:
            return Record(float(day), True, kind, "")
    last = max((day for day in assessment_days if 0.0 <= day <= end), default=0.0)
    return Record(float(last), False, "censored", reason)
