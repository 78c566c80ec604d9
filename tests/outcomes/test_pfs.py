"""PFS date rules."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tme_abm.foundation.errors import InputError
from tme_abm.outcomes.pfs import Record, record

VISITS = (28.0, 56.0, 84.0, 112.0)


@pytest.mark.parametrize(
    ("given_days", "expected"),
    [
        ({}, Record(84.0, False, "censored", "cut-off")),
        ({"progression_day": 56.0}, Record(56.0, True, "progression", "")),
        ({"death_day": 70.0}, Record(70.0, True, "death", "")),
        ({"progression_day": 84.0, "death_day": 70.0}, Record(70.0, True, "death", "")),
        ({"progression_day": 56.0, "death_day": 70.0}, Record(56.0, True, "progression", "")),
        ({"progression_day": 56.0, "death_day": 56.0}, Record(56.0, True, "progression", "")),
        ({"dropout_day": 60.0}, Record(56.0, False, "censored", "drop-out")),
        ({"dropout_day": 20.0}, Record(0.0, False, "censored", "drop-out")),
        ({"dropout_day": 60.0, "death_day": 70.0}, Record(56.0, False, "censored", "drop-out")),
        ({"dropout_day": 70.0, "death_day": 70.0}, Record(70.0, True, "death", "")),
        ({"new_therapy_day": 30.0, "progression_day": 56.0}, Record(28.0, False, "censored", "new therapy")),
        ({"new_therapy_day": 80.0, "dropout_day": 57.0}, Record(56.0, False, "censored", "drop-out")),
        ({"progression_day": 112.0}, Record(84.0, False, "censored", "cut-off")),
        ({"progression_day": 100.0}, Record(100.0, True, "progression", "")),
    ],
)
def test_date_rules(given_days, expected):
    """Visits on days 28, 56, 84 and 112, cut-off on day 100."""
    assert record(VISITS, 100.0, **given_days) == expected


days = st.none() | st.floats(0.0, 1000.0)


@given(st.lists(st.floats(0.0, 1000.0)), st.floats(0.0, 1000.0), days, days, days, days)
def test_follow_up_never_passes_its_end(visits, cutoff, progression, death, dropout, therapy):
    """No record lies after the cut-off, and an event is one of the days given."""
    result = record(visits, cutoff, progression, death, dropout, therapy)
    ends = [day for day in (cutoff, dropout, therapy) if day is not None]
    assert 0.0 <= result.days <= min(ends)
    assert result.event == (result.kind != "censored") == (result.reason == "")
    assert result.days in ((progression, death) if result.event else (0.0, *visits))


def test_impossible_days_are_refused():
    """Negative or no number."""
    with pytest.raises(InputError, match="death_day"):
        record(VISITS, 100.0, death_day=-1.0)
    with pytest.raises(InputError, match="cutoff_day"):
        record(VISITS, math.nan)
