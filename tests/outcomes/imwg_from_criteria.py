"""The response criteria of the International Myeloma Working Group, written a second time from their text alone (Kumar 2016, table 4;
Rajkumar 2011 for the footnotes), in the units of that text, g/dL and per cent. Nothing is imported from the package.

What a visit may show: the spike on serum electrophoresis (0 for none), whether serum immunofixation is positive, the share of plasma
cells in the marrow and in the last marrow that was taken, and whether there are new lesions or other signs of clinical progression.
Urine, free light chains and plasmacytomas are left out, as the patients of the model have none.
"""

from itertools import pairwise
from typing import NamedTuple

GRADES = ["PD", "SD", "MR", "PR", "VGPR", "CR", "sCR"]


class Visit(NamedTuple):
    day: float
    spike: float  # g/dL
    is_fixation_positive: bool
    plasma_percent: float
    marrow_percent: float | None = None  # of the last marrow that was taken under treatment
    clinical_day: float | None = None  # of clinical progression since the visit before


class Course(NamedTuple):
    grades: list[str]  # as at each visit, confirmed or not
    best: str  # confirmed
    progression_day: float | None
    progression_kind: str
    response_day: float | None


def has_progressed(visits: list[Visit], i: int) -> bool:
    """Increase of 25 % from the lowest value: serum, at least 0.5 g/dL, or 1 g/dL where the lowest is 5 g/dL or more; marrow, 10 %, in
    patients who cannot be measured in the serum (below 0.5 g/dL in the trials of isatuximab)."""
    first, now, before = visits[0], visits[i], visits[:i]
    if first.spike < 0.5:
        return now.plasma_percent - min(v.plasma_percent for v in before) >= 10.0
    lowest = min(v.spike for v in before)
    if lowest >= 5.0:
        return now.spike >= lowest + 1.0
    return now.spike >= lowest + 0.5 and now.spike >= lowest + lowest / 4.0


def grade(visits: list[Visit], i: int) -> str:
    """The grade at visit i > 0, of all that have been until then; 0 is the baseline."""
    first, now = visits[0], visits[i]
    if has_progressed(visits, i):
        return "PD"
    if now.spike == 0.0 and not now.is_fixation_positive and now.marrow_percent is not None and now.marrow_percent < 5.0:
        return "sCR" if now.marrow_percent < 0.01 else "CR"  # no clonal cells by flow cytometry: fewer than 1 in 10,000
    if first.spike >= 0.05 and now.spike == 0.0:  # seen by immunofixation at most; what was never seen cannot be lost
        return "VGPR"
    if first.spike >= 0.5:  # measurable
        left = now.spike / first.spike
        return "VGPR" if left <= 0.1 else "PR" if left <= 0.5 else "MR" if left <= 0.75 else "SD"
    if first.plasma_percent >= 30.0 and now.plasma_percent <= first.plasma_percent / 2.0:
        return "PR"
    return "SD"


def judge(visits: list[Visit]) -> Course:
    """A whole course: every category needs two assessments in a row, clinical progression one; nothing counts after progression."""
    grades = ["PD" if v.clinical_day is not None else grade(visits, i) for i, v in enumerate(visits) if i]
    serum = [grade(visits, i) for i in range(1, len(visits))]
    ends: list[tuple[float, int, str]] = []  # day, index of the grade with which it was known, kind
    for k in range(len(grades)):
        if k and serum[k] == "PD" and grades[k - 1] == "PD":
            ends.append((visits[k].day, k, "biochemical"))
        if visits[k + 1].clinical_day is not None:
            ends.append((visits[k + 1].clinical_day, k, "clinical"))
    known = min((k for _, k, _ in ends), default=None)
    then = [(day, kind) for day, k, kind in ends if k == known]
    end = (
        (min(day for day, _ in then), "clinical" if any(kind == "clinical" for _, kind in then) else "biochemical") if then else (None, "")
    )
    counted = grades if known is None else grades[: known + 1]
    pairs = [min(a, b, key=GRADES.index) for a, b in pairwise(counted)]
    floor = "SD" if any(g != "PD" for g in counted) else "PD"
    best = max([floor, *pairs], key=GRADES.index) if counted else "NE"
    responses = [visits[k + 1].day for k, g in enumerate(pairs) if GRADES.index(g) >= GRADES.index("PR")]
    return Course(grades, best, end[0], end[1], responses[0] if responses else None)
