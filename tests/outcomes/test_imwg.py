"""IMWG response and progression: each rule by hand, then whole courses against a second reading of the criteria."""

import math
from statistics import NormalDist, fmean, pstdev

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tme_abm.foundation.declare import GRADES, notes
from tme_abm.foundation.errors import InputError
from tme_abm.outcomes import imwg
from tme_abm.outcomes.imwg import RANK, RESPONSES, Assessor, Params, Reading, assess_table, is_at_least, measure

P = Params()
BASELINE = Reading(0.0, 20.0, 0.30, 20.0)


def at(m_protein, plasma=0.2, true=None, hidden=False, day=28.0):
    """A visit; the true M-protein is the measured one unless given."""
    return Reading(day, m_protein, plasma, m_protein if true is None else true, hidden)


def call(reading, baseline=BASELINE, nadir=None, plasma_nadir=None, uniform=1.0):
    """Response at one visit, the baseline being the lowest before it unless given."""
    nadir = baseline.m_protein if nadir is None else nadir
    plasma_nadir = baseline.plasma_fraction if plasma_nadir is None else plasma_nadir
    return imwg.response(reading, baseline, nadir, plasma_nadir, uniform, P)


@pytest.mark.parametrize(
    ("m_protein", "expected"),
    [
        (20.0, "SD"),
        (15.01, "SD"),
        (15.0, "MR"),
        (10.01, "MR"),
        (10.0, "PR"),
        (2.01, "PR"),
        (2.0, "VGPR"),
        (0.5, "VGPR"),
    ],
)
def test_reduction_from_a_baseline_of_20_g_per_l(m_protein, expected):
    """25 % is 15 g/L, 50 % is 10 g/L, 90 % is 2 g/L."""
    assert call(at(m_protein)) == expected


@pytest.mark.parametrize(
    ("true", "plasma", "expected"),
    [
        (0.3, 0.00, "VGPR"),  # seen by immunofixation only
        (0.1, 0.00, "VGPR"),  # at the limit it is seen
        (0.05, 0.20, "VGPR"),  # no band, but plasma cells in the marrow
        (0.05, 0.05, "VGPR"),
        (0.05, 0.049, "CR"),
        (0.05, 1e-4, "CR"),
        (0.05, 9e-5, "sCR"),
    ],
)
def test_without_a_band_on_electrophoresis(true, plasma, expected):
    """Immunofixation and the marrow tell VGPR, CR and sCR apart."""
    assert call(at(0.0, plasma, true)) == expected


def test_a_band_gone_from_electrophoresis_is_vgpr_even_from_a_low_baseline():
    """5 g/L down to 0.4 g/L, which electrophoresis misses: 92 %; from 0.9 g/L it is VGPR by the band alone."""
    low = Reading(0.0, 0.9, 0.2, 0.9)
    assert call(at(0.0, 0.2, 0.4), low) == "VGPR"


@pytest.mark.parametrize(
    ("m_protein", "nadir", "expected"),
    [
        (9.99, 5.0, False),  # below 5 g/L
        (10.0, 5.0, True),
        (5.0, 0.0, True),  # from nothing, 25 % is met by any increase
        (4.99, 0.0, False),
        (37.4, 30.0, False),  # 7.4 g/L but 24.7 %
        (37.5, 30.0, True),
        (60.0, 50.0, True),  # 20 % only, but 10 g/L from 50 g/L
        (59.9, 50.0, False),
        (61.2, 49.0, False),  # 12.2 g/L, below 25 % (61.25)
    ],
)
def test_progression_by_m_protein(m_protein, nadir, expected):
    """25 % and 5 g/L, or 10 g/L from a nadir of 50 g/L."""
    assert imwg.is_progression(at(m_protein), BASELINE, nadir, 0.3, P) is expected


def test_plasma_cells_are_progression_only_without_measurable_m_protein():
    """Ten points: 0.20 to 0.31 counts at a baseline of 4.9 g/L, not at 20 g/L."""
    silent = Reading(0.0, 4.9, 0.25, 4.9)
    assert imwg.is_progression(at(4.0, 0.31), silent, 4.0, 0.20, P)
    assert not imwg.is_progression(at(4.0, 0.29), silent, 4.0, 0.20, P)
    assert not imwg.is_progression(at(20.0, 0.60), BASELINE, 20.0, 0.20, P)


def test_plasma_cells_stand_in_for_a_silent_m_protein():
    """From 40 % to 20 % is a partial response; below a baseline of 30 % they do not count."""
    assert call(at(0.0, 0.20, 0.4), Reading(0.0, 0.0, 0.40, 0.3)) == "PR"
    assert call(at(0.0, 0.21, 0.4), Reading(0.0, 0.0, 0.40, 0.3)) == "SD"
    assert call(at(0.0, 0.10, 0.4), Reading(0.0, 0.0, 0.28, 0.3)) == "SD"


def test_antibody_interference_turns_complete_response_into_vgpr_below_the_probability():
    """Only complete responses, only with the band there, only below the probability."""
    gone = at(0.0, 0.0, 0.0, hidden=True)
    p = P.undercalled_probability
    assert call(gone, uniform=p - 1e-9) == "VGPR"
    assert call(gone, uniform=p) == "sCR"
    assert call(gone._replace(hidden_by_antibody=False), uniform=0.0) == "sCR"
    assert call(at(8.0, hidden=True), uniform=0.0) == "PR"


def test_undercalled_probability_is_what_ikema_lost():
    """45.8 - 39.7 points over 0.55 x 0.65 x 45.8 points of IgG-kappa complete responses."""
    assert P.undercalled_probability == pytest.approx((45.8 - 39.7) / (0.55 * 0.65 * 45.8), abs=0.005)


def test_only_igg_kappa_under_enough_antibody_is_hidden():
    """100 ug/mL is 0.1 g/L, the limit of immunofixation."""
    assert imwg.is_hidden("IgG", "kappa", 100.0)
    assert not imwg.is_hidden("IgG", "kappa", 99.0)
    assert not imwg.is_hidden("IgA", "kappa", 300.0)
    assert not imwg.is_hidden("IgG", "lambda", 300.0)


def test_measured_m_protein_has_the_stated_error_and_limit():
    """At 20 g/L a CV of 6 %, no bias; below 0.5 g/L nothing."""
    zs = [NormalDist().inv_cdf((i + 0.5) / 4000) for i in range(4000)]
    values = [measure(20.0, z) for z in zs]
    assert fmean(values) == pytest.approx(20.0, rel=1e-4)
    assert pstdev(values) / fmean(values) == pytest.approx(0.06, rel=0.01)
    assert measure(0.49, 0.0) == 0.0
    assert measure(0.51, 0.0) == pytest.approx(0.51, rel=0.005)
    assert measure(0.0, 3.0) == 0.0
    assert measure(7.0, 2.0, P._replace(assay_cv=0.0)) == 7.0


def test_uniform_draws_become_finite_normal_deviates():
    """Median 0, the 97.5th percentile 1.96, and 0 is finite."""
    assert imwg.standard_normal(0.5) == 0.0
    assert imwg.standard_normal(0.975) == pytest.approx(1.959964, abs=1e-6)
    assert math.isfinite(imwg.standard_normal(0.0))
    assert math.isfinite(imwg.standard_normal(1.0 - 2.0**-53))


def course(*m_proteins, plasma=0.2):
    """An assessor that has seen visits every 28 days, and its last assessment."""
    assessor = Assessor(BASELINE)
    last = None
    for i, m in enumerate(m_proteins):
        last = assessor.assess(at(m, plasma, day=28.0 * (i + 1)))
    return last


def test_response_needs_two_visits_and_counts_from_the_first():
    """18, 9, 8: partial response on day 56, confirmed on day 84."""
    assert course(18.0, 9.0).best_confirmed_response == "SD"
    last = course(18.0, 9.0, 8.0)
    assert (last.best_confirmed_response, last.response_day, last.is_confirmed_response) == ("PR", 56.0, True)


def test_a_deeper_visit_confirms_the_shallower_one():
    """PR then VGPR then PR: VGPR was never confirmed."""
    last = course(9.0, 1.5, 4.0)
    assert (last.response, last.best_confirmed_response, last.is_confirmed_response) == ("PR", "PR", True)


def test_progression_is_dated_on_the_first_of_two_visits_and_is_final():
    """Nadir 4: 9 and 10 are both 5 g/L above it; a later fall changes nothing."""
    last = course(4.0, 4.0, 9.0, 10.0, 1.0, 1.0)
    assert last.is_progression_confirmed
    assert last.progression_day == 84.0
    assert last.best_confirmed_response == "PR"


def test_progression_at_the_last_visit_alone_is_not_confirmed():
    """Nor is one that the next visit does not bear out."""
    assert not course(4.0, 4.0, 9.5).is_progression_confirmed
    assert not course(4.0, 9.5, 8.0, 9.5, 8.0).is_progression_confirmed


def test_best_response_of_a_patient_who_only_progresses():
    """26 and 27 from 20: progression from the start."""
    last = course(26.0, 27.0)
    assert (last.best_confirmed_response, last.progression_day) == ("PD", 28.0)
    assert Assessor(BASELINE).best == "NE"
    assert not course(26.0).is_confirmed_response


def oracle(baseline, readings, uniform):
    """The criteria read a second time, over a whole course at once with array arithmetic."""
    m = np.array([baseline.m_protein] + [r.m_protein for r in readings])
    plasma = np.array([baseline.plasma_fraction] + [r.plasma_fraction for r in readings])
    true = np.array([r.true_m_protein for r in readings])
    hidden = np.array([r.hidden_by_antibody for r in readings])
    lowest, lowest_plasma = np.minimum.accumulate(m)[:-1], np.minimum.accumulate(plasma)[:-1]
    m1, plasma1, measurable = m[1:], plasma[1:], m[0] >= 5
    if measurable:
        rule = (m1 >= lowest + 5) & (m1 >= 1.25 * lowest) & (lowest < 50)
        progressed = rule | ((lowest >= 50) & (m1 >= lowest + 10))
        fall = (m[0] - m1) / m[0]
    else:
        progressed = plasma1 - lowest_plasma >= 0.1
        fall = (plasma[0] - plasma1) / plasma[0] if plasma[0] >= 0.3 else np.zeros(len(m1))
    ranks = np.full(len(m1), RANK["SD"])
    if measurable:
        ranks[fall >= 0.25] = RANK["MR"]
    ranks[fall >= 0.5] = RANK["PR"]
    if measurable:
        ranks[fall >= 0.9] = RANK["VGPR"]
    gone = m1 < 0.5
    if m[0] >= 0.5:
        ranks[gone] = RANK["VGPR"]
    complete = gone & (true < 0.1) & (plasma1 < 0.05) & ~(hidden & (uniform < 0.37))
    ranks[complete] = RANK["CR"]
    ranks[complete & (plasma1 < 1e-4)] = RANK["sCR"]
    ranks[progressed] = RANK["PD"]
    twice = (ranks[:-1] == 0) & (ranks[1:] == 0)
    end = int(np.argmax(twice)) if twice.any() else None
    counted = ranks if end is None else ranks[: end + 2]
    pairs = np.minimum(counted[:-1], counted[1:])
    alone = RANK["SD"] if (counted > 0).any() else RANK["PD"]
    best = max([alone, *pairs.tolist()])
    responders = np.flatnonzero(pairs >= RANK["PR"])
    return {
        "responses": [RESPONSES[r] for r in ranks],
        "best": RESPONSES[best],
        "progression_day": None if end is None else readings[end].day,
        "response_day": readings[responders[0]].day if len(responders) else None,
        "nadir": float(m.min()),
    }


values = st.one_of(st.just(0.0), st.floats(0.5, 80.0))
visits = st.lists(
    st.tuples(values, st.sampled_from([0.0, 5e-5, 0.01, 0.2, 0.35, 0.5]), st.booleans(), st.booleans()),
    min_size=1,
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(values, st.sampled_from([0.02, 0.2, 0.4]), visits, st.sampled_from([0.0, 0.5]))
def test_assessor_and_table_agree_with_a_second_reading_of_the_criteria(base, base_plasma, course, uniform):
    """Any course of up to twelve visits: visit by visit, over a table, and over arrays."""
    baseline = Reading(0.0, base, base_plasma, base)
    readings = [
        Reading(28.0 * (i + 1), m, plasma, m if m > 0 else (0.3 if is_seen else 0.0), hidden)
        for i, (m, plasma, is_seen, hidden) in enumerate(course)
    ]
    expected = oracle(baseline, readings, uniform)
    assessor = Assessor(baseline, uniform)
    seen = [assessor.assess(reading) for reading in readings]
    assert [a.response for a in seen] == expected["responses"]
    assert seen[-1].best_confirmed_response == expected["best"]
    assert seen[-1].progression_day == expected["progression_day"]
    assert seen[-1].response_day == expected["response_day"]
    assert seen[-1].nadir == expected["nadir"]

    table = pd.DataFrame(
        [("p7", "a", r.day, r.m_protein, r.plasma_fraction, r.true_m_protein, r.hidden_by_antibody) for r in [baseline, *readings]],
        columns=[
            "patient",
            "arm",
            "day",
            "m_protein_measured_g_per_l",
            "plasma_fraction",
            "m_protein_g_per_l",
            "hidden_by_antibody",
        ],
    )
    result = assess_table(table.sample(frac=1.0, random_state=1), interference_uniform={"p7": uniform})
    assert result["response"].tolist() == expected["responses"]
    assert result["best_confirmed_response"].iloc[-1] == expected["best"]
    day = result["progression_day"].iloc[-1]
    assert (None if np.isnan(day) else day) == expected["progression_day"]


def test_a_table_keeps_patients_and_arms_apart():
    """Two patients under two arms, one visit each: a patient's baseline is his own."""
    rows = [(p, a, d, m) for p, a, b, f in [(1, "x", 10, 5), (1, "y", 20, 5), (2, "x", 40, 5)] for d, m in [(0, b), (28, f)]]
    table = pd.DataFrame(rows, columns=["patient", "arm", "day", "m_protein_g_per_l"])
    table["m_protein_measured_g_per_l"] = table["m_protein_g_per_l"]
    table["plasma_fraction"] = 0.2
    result = assess_table(table)
    assert result[["patient", "arm", "response"]].values.tolist() == [[1, "x", "PR"], [1, "y", "PR"], [2, "x", "PR"]]
    assert result["nadir_g_per_l"].tolist() == [5.0, 5.0, 5.0]
    with pytest.raises(InputError, match="column 'day' is missing"):
        assess_table(table.drop(columns="day"))


def test_bad_readings_are_refused():
    """Negative, missing, out of range, out of order, unknown."""
    with pytest.raises(InputError, match="cannot be negative"):
        Assessor(at(-1.0))
    with pytest.raises(InputError, match="finite"):
        Assessor(BASELINE).assess(at(math.nan))
    with pytest.raises(InputError, match="must lie in"):
        Assessor(BASELINE).assess(at(1.0, 1.5))
    assessor = Assessor(BASELINE)
    assessor.assess(at(19.0))
    with pytest.raises(InputError, match="does not come after"):
        assessor.assess(at(19.0))
    with pytest.raises(InputError, match="did you mean 'VGPR'"):
        is_at_least("VGRP", "PR")


def test_order_of_responses():
    """NE is never a response."""
    assert is_at_least("sCR", "CR")
    assert is_at_least("PR", "PR")
    assert not is_at_least("MR", "PR")
    assert not is_at_least("NE", "PD")


def test_every_parameter_is_described():
    """Unit, meaning, source and a known grade."""
    described = notes(Params)
    assert list(described) == list(Params._fields)
    assert all(n.unit and n.meaning and n.source and n.grade in GRADES for n in described.values())
