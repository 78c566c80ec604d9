"""Response and progression of serum-measurable myeloma by the criteria of the International Myeloma Working Group.

A patient is judged at each visit from the M-protein and the marrow alone (kumar2016); urine, imaging and soft-tissue
disease are not modelled. The free light chains that a stringent complete response asks for live for hours, so they
follow the clone and add nothing that the marrow criterion does not say.

Clinical progression (`outcomes.clinic`) needs no second look; progression is called clinical where symptoms had come by the visit that
established it, and has the earlier of the two dates. The order of responses is
`PD < SD < MR < PR < VGPR < CR < sCR`. A response is confirmed by two consecutive assessments that are both at least that
good; progression by two consecutive assessments that both meet its rule. The date is the first of the two.
"""

import math
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.errors import InputError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

RESPONSES = ("PD", "SD", "MR", "PR", "VGPR", "CR", "sCR")
NOT_EVALUABLE = "NE"
RANK = {name: rank for rank, name in enumerate(RESPONSES)}
PROGRESSION_KINDS = ("biochemical", "clinical", "")


class Params(NamedTuple):
    """Limits of the assays and thresholds of the criteria."""

    assay_cv: Annotated[
        float,
        Param(
            "1",
            "coefficient of variation of serum protein electrophoresis between visits",
            "willrich2016",
            "M",
        ),
    ] = 0.06
    electrophoresis_limit: Annotated[
        float,
        Param(
            "g/L",
            "lowest M-protein that electrophoresis shows (reported range 0.5 to 1)",
            "willrich2016",
            "M",
        ),
    ] = 0.5
    immunofixation_limit: Annotated[
        float,
        Param(
            "g/L",
            "lowest M-protein that immunofixation shows (reported range 0.1 to 0.2)",
            "willrich2016",
            "M",
        ),
    ] = 0.1
    measurable_m_protein: Annotated[
        float,
        Param(
            "g/L",
            "lowest baseline M-protein by which a patient is followed (trials of isatuximab)",
            "attal2019",
            "M",
        ),
    ] = 5.0
    very_good_reduction: Annotated[float, Param("1", "fall of the M-protein that is a very good partial response", "kumar2016", "M")] = 0.9
    partial_reduction: Annotated[float, Param("1", "fall of the M-protein that is a partial response", "kumar2016", "M")] = 0.5
    minimal_reduction: Annotated[float, Param("1", "fall of the M-protein that is a minimal response", "kumar2016", "M")] = 0.25
    progression_increase: Annotated[float, Param("1", "relative increase over the lowest value that is progression", "kumar2016", "M")] = (
        0.25
    )
    progression_m_protein: Annotated[float, Param("g/L", "least absolute increase of M-protein that goes with it", "kumar2016", "M")] = 5.0
    high_m_protein: Annotated[
        float, Param("g/L", "lowest value from which a fixed increase is enough for progression", "kumar2016", "M")
    ] = 50.0
    high_progression_m_protein: Annotated[float, Param("g/L", "increase of M-protein that is then progression", "kumar2016", "M")] = 10.0
    progression_plasma_fraction: Annotated[
        float,
        Param(
            "1",
            "absolute increase of marrow plasma cells that is progression without measurable M-protein",
            "kumar2016",
            "M",
        ),
    ] = 0.10
    complete_plasma_fraction: Annotated[
        float, Param("1", "marrow plasma cells below which a complete response is possible", "kumar2016", "M")
    ] = 0.05
    stringent_plasma_fraction: Annotated[
        float,
        Param(
            "1",
            "clonal marrow cells below which flow cytometry of two to four colours finds none: ten events in the 100,000 that it reads",
            "kumar2016: no clonal cells by flow cytometry (its limit is assumed)",
            "A",
        ),
    ] = 1e-4
    substitute_plasma_fraction: Annotated[
        float,
        Param(
            "1",
            "baseline marrow plasma cells from which they stand in for an M-protein that cannot be measured",
            "kumar2016",
            "M",
        ),
    ] = 0.30


class Reading(NamedTuple):
    """What one visit shows of one patient.

    Attributes:
        day: Days since randomisation [d].
        m_protein: M-protein as measured, 0 where electrophoresis shows none [g/L].
        plasma_fraction: Clonal plasma cells as a fraction of the nucleated cells of the marrow [1].
        true_m_protein: M-protein as it is, which immunofixation judges [g/L].
        hidden_by_antibody: Whether the band of a therapeutic antibody lies where a negative immunofixation would show nothing.
        examined_fraction: Clonal plasma cells in the last marrow that was taken under treatment; None where none was [1].
    """

    day: float
    m_protein: float
    plasma_fraction: float
    true_m_protein: float
    hidden_by_antibody: bool = False
    examined_fraction: float | None = None


class Assessment(NamedTuple):
    """What is known of a patient after one visit.

    Attributes:
        day: Of the visit [d].
        response: At this visit, confirmed or not.
        is_confirmed_response: Whether this and the visit before both showed this response or a better one.
        is_progression_confirmed: Whether progression has been confirmed by now.
        progression_day: First of the two visits that confirmed progression, or the day of clinical progression [d].
        progression_kind: One of `PROGRESSION_KINDS`; empty without progression.
        nadir: Lowest measured M-protein so far, the baseline included [g/L].
        best_confirmed_response: `"NE"` before the first visit after the baseline; `"SD"`, `"PD"` need no confirmation.
        response_day: First of the two visits that confirmed the first partial response or better [d].
    """

    day: float
    response: str
    is_confirmed_response: bool
    is_progression_confirmed: bool
    progression_day: float | None
    progression_kind: str
    nadir: float
    best_confirmed_response: str
    response_day: float | None


def standard_normal(uniform: float) -> float:
    """A uniform draw in [0, 1) as a standard normal deviate (finite for 0 too)."""
    return NormalDist().inv_cdf(min(max(uniform, 2.0**-54), 1.0 - 2.0**-53))


def measure(true_g_per_l: float, z: float, p: Params = Params()) -> float:  # noqa: B008  (a tuple is never changed)
    """M-protein as the laboratory reports it.

    The error is log-normal with mean 1, so that the assay is unbiased and never negative.

    Args:
        true_g_per_l: M-protein in the serum [g/L].
        z: Standard normal deviate of this measurement; see `standard_normal`.
        p: Coefficient of variation and detection limit.

    Returns:
        The reported value, 0 where it lies below the limit of electrophoresis [g/L].
    """
    variance = math.log1p(p.assay_cv**2)
    value = true_g_per_l * math.exp(math.sqrt(variance) * z - 0.5 * variance)
    return value if value >= p.electrophoresis_limit else 0.0


def is_measurable(baseline: Reading, p: Params) -> bool:
    """Whether the patient can be followed by serum M-protein."""
    return baseline.m_protein >= p.measurable_m_protein


def is_progression(reading: Reading, baseline: Reading, nadir: float, plasma_nadir: float, p: Params) -> bool:
    """Whether a visit meets the rule of progression.

    With measurable M-protein: at least 25 % and 5 g/L above the lowest value or, from a lowest value of 50 g/L, at
    least 10 g/L above it. Without: at least 10 points more plasma cells in the marrow than at their lowest.

    Args:
        reading: The visit.
        baseline: Before treatment.
        nadir: Lowest measured M-protein before this visit [g/L].
        plasma_nadir: Lowest fraction of plasma cells before this visit [1].
        p: Thresholds.
    """
    if not is_measurable(baseline, p):
        return reading.plasma_fraction - plasma_nadir >= p.progression_plasma_fraction
    increase = reading.m_protein - nadir
    if nadir >= p.high_m_protein:
        return increase >= p.high_progression_m_protein
    return increase >= p.progression_m_protein and increase >= p.progression_increase * nadir


def reduction(reading: Reading, baseline: Reading, p: Params) -> float:
    """Fall since the baseline by which a patient is graded [1].

    That of the M-protein or, where it cannot be measured, of the plasma cells if there were at least 30 % of them;
    else 0.
    """
    if is_measurable(baseline, p):
        return 1.0 - reading.m_protein / baseline.m_protein
    if baseline.plasma_fraction >= p.substitute_plasma_fraction:
        return 1.0 - reading.plasma_fraction / baseline.plasma_fraction
    return 0.0


def is_serum_negative(reading: Reading, p: Params) -> bool:
    """Whether electrophoresis and immunofixation show nothing, so that a complete response is to be suspected."""
    is_shown = reading.m_protein >= p.electrophoresis_limit or reading.true_m_protein >= p.immunofixation_limit
    return not (is_shown or reading.hidden_by_antibody)


def response(reading: Reading, baseline: Reading, nadir: float, plasma_nadir: float, p: Params) -> str:
    """Response at one visit.

    Args:
        reading: The visit.
        baseline: Before treatment.
        nadir: Lowest measured M-protein before this visit [g/L].
        plasma_nadir: Lowest fraction of plasma cells before this visit [1].
        p: Limits and thresholds.

    Returns:
        One of `RESPONSES`.
    """
    if is_progression(reading, baseline, nadir, plasma_nadir, p):
        return "PD"
    is_band_gone = reading.m_protein < p.electrophoresis_limit
    marrow = reading.examined_fraction
    if is_serum_negative(reading, p) and marrow is not None and marrow < p.complete_plasma_fraction:
        return "sCR" if marrow < p.stringent_plasma_fraction else "CR"
    fall = reduction(reading, baseline, p)
    if (is_measurable(baseline, p) and fall >= p.very_good_reduction) or (is_band_gone and baseline.m_protein >= p.electrophoresis_limit):
        return "VGPR"
    if fall >= p.partial_reduction:
        return "PR"
    return "MR" if fall >= p.minimal_reduction and is_measurable(baseline, p) else "SD"


def is_at_least(response: str, level: str) -> bool:
    """Whether a response is `level` or better; `"NE"` never is.

    Raises:
        InputError: For a word that is no response.
    """
    known = (*RESPONSES, NOT_EVALUABLE)
    for word in (response, level):
        if word not in known:
            raise InputError(f"response: unknown response '{word}'{did_you_mean(str(word), known)}")
    return response in RANK and level in RANK and RANK[response] >= RANK[level]


class Assessor:
    """Follows one patient under one arm, visit by visit.

    Attributes:
        baseline: Reading before treatment.
        nadir: Lowest measured M-protein so far [g/L].
        best: Best confirmed response so far.
        progression_day: Date of confirmed progression [d].
        progression_kind: One of `PROGRESSION_KINDS`; empty without progression.
        response_day: Date of the first confirmed partial response or better [d].
    """

    def __init__(self, baseline: Reading, p: Params = Params()) -> None:  # noqa: B008
        """Start at the baseline.

        Args:
            baseline: Reading at randomisation.
            p: Limits and thresholds.

        Raises:
            InputError: Where the baseline holds a negative value or none at all.
        """
        check(baseline)
        self.baseline = baseline
        self.p = p
        self.nadir = baseline.m_protein
        self.plasma_nadir = baseline.plasma_fraction
        self.best = NOT_EVALUABLE
        self.progression_day: float | None = None
        self.progression_kind = ""
        self.response_day: float | None = None
        self._last: tuple[float, str] | None = None

    def assess(self, reading: Reading, clinical_day: float | None = None) -> Assessment:
        """Judge one visit.

        Confirmed progression is final: later visits are graded but change neither its date nor the best response.

        Args:
            reading: The visit.
            clinical_day: Of clinical progression, where it has come since the visit before [d].

        Raises:
            InputError: Where the visit does not come after the one before or holds a negative value or none at all.
        """
        check(reading)
        since = self._last[0] if self._last else self.baseline.day
        if reading.day <= since:
            raise InputError(f"assessment: day {reading.day:g} does not come after day {since:g}")
        now = response(reading, self.baseline, self.nadir, self.plasma_nadir, self.p)
        before = self._last[1] if self._last else None
        is_confirmed = before == "PD" if now == "PD" else before is not None and RANK[before] >= RANK[now]
        if self.progression_day is None:
            self._count(now, clinical_day)
        if clinical_day is not None:
            now, is_confirmed = "PD", True
        self.nadir = min(self.nadir, reading.m_protein)
        self.plasma_nadir = min(self.plasma_nadir, reading.plasma_fraction)
        self._last = (reading.day, now)
        return Assessment(
            reading.day,
            now,
            is_confirmed,
            self.progression_day is not None,
            self.progression_day,
            self.progression_kind,
            self.nadir,
            self.best,
            self.response_day,
        )

    def _count(self, now: str, clinical_day: float | None) -> None:
        """Take the response of a visit, with that of the visit before, into the best response and the dates."""
        is_confirmed = now == "PD" and self._last is not None and self._last[1] == "PD"
        if clinical_day is not None:
            first = self._last[0] if is_confirmed and self._last is not None else clinical_day
            self.progression_day, self.progression_kind = min(first, clinical_day), "clinical"
            now = "PD"
        unconfirmed = "PD" if now == "PD" else "SD"
        if self.best == NOT_EVALUABLE or RANK[unconfirmed] > RANK[self.best]:
            self.best = unconfirmed
        if self._last is None:
            return
        day, before = self._last
        if before == now == "PD":
            if self.progression_day is None:
                self.progression_day, self.progression_kind = day, "biochemical"
            return
        confirmed = min(before, now, key=RANK.__getitem__)
        if RANK[confirmed] > RANK[self.best]:
            self.best = confirmed
        if self.response_day is None and RANK[confirmed] >= RANK["PR"]:
            self.response_day = day


def check(reading: Reading) -> None:
    """Refuse a reading that no patient can have.

    Raises:
        InputError: For a value that is not finite, a negative M-protein or a fraction outside [0, 1].
    """
    day, measured, plasma, true, _, examined = reading
    if not all(map(math.isfinite, (day, measured, plasma, true))):
        raise InputError(f"assessment on day {day}: expected finite numbers, got {tuple(reading)[1:4]}")
    if measured < 0.0 or true < 0.0:
        raise InputError(f"assessment on day {day:g}: M-protein cannot be negative, got {min(measured, true):g} g/L")
    for fraction in (plasma, 0.0 if examined is None else examined):
        if not 0.0 <= fraction <= 1.0:
            raise InputError(f"assessment on day {day:g}: the fraction of plasma cells must lie in [0, 1], got {fraction:g}")


def assess_table(
    visits: "pd.DataFrame",
    p: Params = Params(),  # noqa: B008
) -> "pd.DataFrame":
    """Judge every visit of a table.

    Args:
        visits: A row per patient, arm and visit with `patient, arm, day, m_protein_g_per_l, m_protein_measured_g_per_l,
            plasma_fraction` and, where antibody interference counts, `hidden_by_antibody`. The first day of a patient
            under an arm is the baseline. A marrow counts as taken at every visit; with a column `examined_fraction`, only
            where it holds what the last one showed.
        p: Limits and thresholds.

    Returns:
        A row per visit after the baseline: `patient, arm`, then the members of `Assessment` with units in their names.

    Raises:
        InputError: Where a column is missing or a visit cannot be judged.
    """
    import pandas as pd

    needed = ["patient", "arm", "day", "m_protein_measured_g_per_l", "plasma_fraction", "m_protein_g_per_l"]
    for name in needed:
        if name not in visits.columns:
            raise InputError(f"visit table: column '{name}' is missing{did_you_mean(name, visits.columns)}")
    table = visits[needed].copy()
    table["hidden"] = visits["hidden_by_antibody"].astype(bool) if "hidden_by_antibody" in visits.columns else False
    table["examined"] = visits["examined_fraction" if "examined_fraction" in visits.columns else "plasma_fraction"]
    rows: list[tuple[Any, ...]] = []
    in_order = table.sort_values("day", kind="stable")
    for (patient, arm), group in in_order.groupby(["patient", "arm"], sort=True, observed=True):
        columns = (group.iloc[:, position].tolist() for position in range(2, 7))
        marrows = [None if math.isnan(value) else value for value in group["examined"].astype(float)]
        readings = [Reading(*values) for values in zip(*columns, marrows, strict=True)]
        assessor = Assessor(readings[0], p)
        rows += [(patient, arm, *assessor.assess(reading)) for reading in readings[1:]]
    result = pd.DataFrame(rows, columns=["patient", "arm", *Assessment._fields]).rename(columns={"nadir": "nadir_g_per_l"})
    return result.astype({"progression_day": "float64", "response_day": "float64"})
