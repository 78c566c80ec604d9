"""Confirmed response at every time point, as clinical data sets derive it from unconfirmed ones (admiralonco, after kumar2016).

A response is confirmed by the next assessment that can be evaluated: where that is at least as good, the response itself holds, where it
is worse, the worse one does. Progression by serum needs a second one, progression by imaging or with fatal outcome does not. Patients
stay in the best response confirmed so far until progression is confirmed. `imwg.Assessor` follows the same rule forwards, visit by
visit; here it is read backwards from a table, with what a model of the marrow alone has not: imaging, death of the disease, another
therapy, assessments that failed.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.outcomes.imwg import NOT_EVALUABLE, RANK, RESPONSES

MISSING = "MISSING"  # no assessment at all
_PLACE = {NOT_EVALUABLE: 0, **{name: rank + 1 for name, rank in RANK.items() if name != "PD"}, "PD": len(RESPONSES) + 1}  # what lasts


class TimePoint(NamedTuple):
    """One assessment.

    Attributes:
        day: Of the assessment [d].
        response: Unconfirmed; "NE" where it could not be evaluated.
        is_imaging: Whether progression was seen on images, which need no second look.
        is_fatal: Whether the patient died of this progression before it could be confirmed.
    """

    day: float
    response: str
    is_imaging: bool = False
    is_fatal: bool = False


def confirmed(points: Sequence[TimePoint], new_therapy_day: float | None = None) -> list[str]:
    """The confirmed response at each time point.

    Args:
        points: In the order of their days.
        new_therapy_day: Start of another therapy [d]; later assessments confirm progression, but no response.

    Raises:
        InputError: For a word that is no response, or days that do not ascend.
    """
    known = (*RESPONSES, NOT_EVALUABLE)
    for point in points:
        if point.response not in known:
            raise InputError(f"confirmation: unknown response '{point.response}'{did_you_mean(point.response, known)}")
    if any(b.day <= a.day for a, b in pairwise(points)):
        raise InputError("confirmation: the days of the assessments must ascend")
    found: list[str] = []
    lasting = NOT_EVALUABLE
    for i, point in enumerate(points):
        following = next((later for later in points[i + 1 :] if later.response != NOT_EVALUABLE), None)
        now = _of_pair(point, following, new_therapy_day)
        lasting = max(lasting, now, key=_PLACE.__getitem__)
        found.append(lasting)
    return found


def _of_pair(point: TimePoint, following: TimePoint | None, new_therapy_day: float | None) -> str:
    """What an assessment and the one that follows it confirm."""
    if point.response in (NOT_EVALUABLE, "SD"):
        return point.response
    if point.response == "PD":
        is_seen_again = following is not None and following.response == "PD"
        return "PD" if point.is_imaging or point.is_fatal or is_seen_again else NOT_EVALUABLE
    is_late = following is not None and new_therapy_day is not None and following.day > new_therapy_day
    if following is None or is_late or following.response == "PD":
        return "SD"
    return min(point.response, following.response, key=RANK.__getitem__)


def best_confirmed(points: Sequence[TimePoint], new_therapy_day: float | None = None) -> str:
    """Best confirmed overall response: up to confirmed progression, and before another therapy; `MISSING` without any assessment."""
    best = MISSING
    order = (MISSING, NOT_EVALUABLE, "PD", *RESPONSES[1:])
    for point, response in zip(points, confirmed(points, new_therapy_day), strict=True):
        if new_therapy_day is not None and point.day >= new_therapy_day:
            break
        best = max(best, response, key=order.index)
        if response == "PD":
            break
    return best
