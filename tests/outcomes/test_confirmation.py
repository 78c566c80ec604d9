"""Confirmed responses, held to the published example of admiralonco and to the assessor of this package.

The cases are those of the vignette "Creating ADRS with IMWG Criteria" of admiralonco (Apache License 2.0), with its results as its page
prints them: the table of pairs, and the best confirmed response (CBOR) of each subject of the data set `rs_onco_imwg` of
pharmaversesdtm. Subject 01-701-1097, whom the page does not print, has no assessment before another therapy.
"""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tme_abm.foundation.errors import InputError
from tme_abm.outcomes.confirmation import MISSING, TimePoint, best_confirmed, confirmed
from tme_abm.outcomes.imwg import RESPONSES, Assessor, Reading

# subject, (month-day or full date, response), ..., start of another therapy or None, marks of a progression, CBOR
SUBJECTS = [
    ("1015", "2014-02-12 PD", None, "fatal", "PD"),
    ("1028", "2013-08-31 sCR, 2013-10-09 sCR, 2013-11-20 CR", None, "", "sCR"),
    ("1034", "2014-08-11 CR, 2014-09-25 CR, 2014-11-04 sCR", None, "", "CR"),
    ("1115", "2013-01-10 PD", None, "imaging", "PD"),
    ("1118", "2014-04-23 sCR, 2014-06-05 VGPR, 2014-07-16 CR, 2014-08-27 VGPR", None, "", "VGPR"),
    ("1130", "2014-03-29 VGPR, 2014-05-16 sCR, 2014-06-21 VGPR, 2014-08-02 VGPR", None, "", "VGPR"),
    ("1133", "2012-12-11 sCR, 2013-01-22 PR, 2013-03-04 CR, 2013-04-18 PR", None, "", "PR"),
    ("1146", "2013-06-30 PD", None, "", "NE"),
    ("1148", "2013-10-03 VGPR, 2013-11-17 PR, 2013-12-27 PR, 2014-02-08 PR", "2014-02-07", "", "PR"),
    ("1153", "2013-11-04 sCR, 2013-12-16 MR, 2013-12-30 SD, 2014-01-08 sCR, 2014-03-11 MR", None, "", "MR"),
    ("1203", "2013-03-16 CR, 2013-05-09 MR, 2013-06-08 CR, 2013-07-22 SD", None, "", "MR"),
    ("1211", "2012-12-25 VGPR, 2013-01-14 MR", None, "", "MR"),
    ("1239", "2014-02-19 PR, 2014-04-02 MR, 2014-05-14 MR, 2014-06-27 VGPR", None, "", "MR"),
    ("1275", "2014-03-22 MR, 2014-05-03 PR", None, "", "MR"),
    ("1287", "2014-03-06 PR, 2014-04-17 PR, 2014-05-29 PD, 2014-07-12 PD", "2014-05-30", "", "PR"),
    ("1294", "2013-05-08 PR, 2013-06-14 SD", None, "", "SD"),
    ("1302", "2013-10-08 PD, 2013-11-05 CR", None, "imaging", "PD"),
    ("1345", "2013-11-19 MR, 2013-12-31 MR, 2014-02-11 PD, 2014-03-18 PR", None, "", "MR"),
    ("1363", "2013-07-10 NE, 2013-08-21 CR", None, "", "SD"),
    ("1415", "2013-11-04 PR, 2013-12-21 NE, 2014-01-27 MR, 2014-03-10 MR", None, "", "MR"),
    ("1082", "2013-09-06 PD, 2013-11-17 CR", None, "", "SD"),
    ("1076", "2013-12-04 PR, 2013-12-24 NE", None, "", "SD"),
]


def day_of(text):
    return float(date.fromisoformat(text).toordinal())


def points_of(text, mark=""):
    pairs = [part.split() for part in text.split(", ")]
    return [TimePoint(day_of(day), word, mark == "imaging" and word == "PD", mark == "fatal" and word == "PD") for day, word in pairs]


@pytest.mark.parametrize(("subject", "text", "therapy", "mark", "expected"), SUBJECTS, ids=[row[0] for row in SUBJECTS])
def test_best_confirmed_response_of_the_published_subjects(subject, text, therapy, mark, expected):
    assert best_confirmed(points_of(text, mark), None if therapy is None else day_of(therapy)) == expected


GOOD = ("sCR", "CR", "VGPR", "PR", "MR")
PAIRS = [
    *((first, second, min(first, second, key=RESPONSES.index)) for first in GOOD for second in GOOD),
    *((first, second, "SD") for first in GOOD for second in ("SD", "PD", None)),
    *(("SD", second, "SD") for second in (*RESPONSES, "NE", None)),
    *(("NE", second, "NE") for second in (*RESPONSES, "NE", None)),
    ("PD", "PD", "PD"),
    *(("PD", second, "NE") for second in (*GOOD, "SD", "NE", None)),
]


@pytest.mark.parametrize(("first", "second", "expected"), PAIRS)
def test_the_published_table_of_pairs(first, second, expected):
    points = [TimePoint(42.0, first)] + ([] if second is None else [TimePoint(84.0, second)])
    assert confirmed(points)[0] == expected


@pytest.mark.parametrize("lasting", [*GOOD, "SD"])
@pytest.mark.parametrize("now", ["SD", "NE", "MR"])
def test_patients_stay_in_the_best_response_confirmed_so_far(lasting, now):
    points = [TimePoint(1.0, lasting), TimePoint(2.0, lasting), TimePoint(3.0, now), TimePoint(4.0, "SD")]
    assert confirmed(points)[-1] == lasting


def test_without_an_assessment_the_response_is_missing():
    assert best_confirmed([]) == MISSING
    assert best_confirmed([TimePoint(10.0, "PD")], new_therapy_day=9.0) == MISSING  # subject 01-701-1097


def test_a_word_that_is_no_response_is_refused():
    with pytest.raises(InputError, match="did you mean 'VGPR'"):
        confirmed([TimePoint(1.0, "VGRP")])
    with pytest.raises(InputError, match="ascend"):
        confirmed([TimePoint(2.0, "PR"), TimePoint(2.0, "PR")])


def assessor_of(levels):
    """Best confirmed response and unconfirmed ones of a patient whose M-protein takes these levels, by the assessor of the trials."""
    assessor = Assessor(Reading(0.0, 50.0, 0.2, 50.0))
    seen = [assessor.assess(Reading(28.0 * n, level, 0.2, level)) for n, level in enumerate(levels, 1)]
    end = next((n for n, a in enumerate(seen, 1) if a.is_progression_confirmed), len(seen))
    return seen[end - 1].best_confirmed_response, [a.response for a in seen[:end]]


@given(st.lists(st.sampled_from([4.0, 20.0, 33.0, 45.0, 70.0]), min_size=1, max_size=9))
def test_read_backwards_the_rule_is_the_one_that_trials_follow_forwards(levels):
    best, responses = assessor_of(levels)
    points = [TimePoint(28.0 * n, word) for n, word in enumerate(responses, 1)]
    derived = best_confirmed(points)
    if derived == "NE":  # nothing but a progression that nobody confirmed, which the assessor reports as it is
        assert best == "PD" and set(responses) == {"PD"}
    else:
        assert derived == best
