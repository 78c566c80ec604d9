"""Dose-response shapes by hand arithmetic, at their limits and against a solver."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from tme_abm.foundation.response import eased, happens, hill, probability, relax, saturation, shielded

rates = st.floats(0.0, 5.0)
spans = st.floats(0.0, 100.0)


def test_hill_by_hand():
    assert hill(50.0, 50.0, 2.0) == 0.5
    assert hill(100.0, 50.0, 2.0) == pytest.approx(4.0 / 5.0, rel=1e-15)
    assert hill(25.0, 50.0, 3.0) == pytest.approx(1.0 / 9.0, rel=1e-15)


def test_hill_at_its_limits():
    assert hill(0.0, 50.0, 2.0) == 0.0
    assert hill(-1.0, 50.0, 2.0) == 0.0
    assert hill(math.inf, 50.0, 2.0) == 1.0
    assert hill(1e12, 50.0, 2.0) == pytest.approx(1.0, abs=1e-15)
    assert hill(1e-12, 50.0, 4.0) == pytest.approx((1e-12 / 50.0) ** 4, rel=1e-9)


@given(st.floats(0.0, 1e6), st.floats(0.0, 1e6), st.floats(1.0, 1e5), st.floats(0.5, 6.0))
def test_hill_rises_and_stays_between_zero_and_one(a, b, half, steepness):
    low, high = hill(min(a, b), half, steepness), hill(max(a, b), half, steepness)
    assert 0.0 <= low <= high <= 1.0


@given(st.floats(1e-3, 1e6), st.floats(1.0, 1e5))
def test_saturation_is_the_hill_function_of_steepness_one(x, half):
    assert saturation(x, half) == pytest.approx(hill(x, half, 1.0), rel=1e-12)


def test_saturation_by_hand():
    assert saturation(0.0, 3.0) == 0.0
    assert saturation(1.0, 3.0) == 0.25


def test_probability_by_hand():
    assert probability(0.0, 6.0) == 0.0
    assert probability(math.log(2.0), 1.0) == pytest.approx(0.5, rel=1e-15)
    assert probability(0.1, 6.0) == pytest.approx(1.0 - math.exp(-0.6), rel=1e-14)
    assert probability(1e4, 6.0) == 1.0


def test_probability_of_a_rare_event_is_not_rounded_away():
    assert probability(1e-20, 6.0) == pytest.approx(6e-20, rel=1e-12)


@given(rates, spans, spans)
def test_probability_does_not_depend_on_how_time_is_cut(hazard, a, b):
    escaped = (1.0 - probability(hazard, a)) * (1.0 - probability(hazard, b))
    assert 1.0 - probability(hazard, a + b) == pytest.approx(escaped, abs=1e-12)


@given(rates, rates, spans)
def test_competing_hazards_add(one, other, dt):
    escaped = (1.0 - probability(one, dt)) * (1.0 - probability(other, dt))
    assert 1.0 - probability(one + other, dt) == pytest.approx(escaped, abs=1e-12)


@given(st.floats(0.0, 30.0), st.integers(-40, 40), st.floats(0.0, 1.0, exclude_max=True))
def test_an_event_comes_where_the_draw_is_below_its_probability_to_the_last_digit(hazard, steps, far):
    """Also for draws a few steps of floating point, or just beyond rounding, off the probability."""
    p = probability(hazard, 6.0)
    near = math.ldexp(math.floor(math.ldexp(p, 53)) + steps, -53)
    for draw in (near, p * (1.0 + steps * 1e-13), p * (1.0 + steps * 1e-3), far):
        if 0.0 <= draw < 1.0:
            assert happens(draw, hazard, 6.0) == (draw < p)


@pytest.mark.parametrize(("hazard", "draw"), [(math.nan, 0.5), (0.0, 0.0), (math.inf, 0.5), (1e300, 0.5), (-0.1, 0.0), (5e-324, 0.0)])
def test_an_event_at_the_edge_of_numbers(hazard, draw):
    assert happens(draw, hazard, 6.0) == (draw < probability(hazard, 6.0))


def test_eased_by_hand():
    assert eased(0.0, 1.5) == 1.0
    assert eased(1.0, 1.5) == 1.5
    assert eased(0.4, 1.5) == pytest.approx(1.2, rel=1e-15)
    assert eased(0.4, 1.0) == 1.0


def test_relax_by_hand():
    assert relax(3.0, 1.0, 0.5, 0.0) == 3.0
    assert relax(3.0, 1.0, math.log(2.0), 1.0) == pytest.approx(2.0, rel=1e-15)
    assert relax(3.0, 1.0, 0.0, 6.0) == 3.0
    assert relax(3.0, 1.0, 1e6, 6.0) == 1.0


def test_relax_against_a_solver():
    solution = solve_ivp(lambda t, y: -0.13 * (y - 2.5), (0.0, 6.0), [9.0], rtol=1e-11, atol=1e-13)
    assert relax(9.0, 2.5, 0.13, 6.0) == pytest.approx(solution.y[0, -1], rel=1e-9)


@given(st.floats(-10.0, 10.0), st.floats(-10.0, 10.0), rates, spans, spans)
def test_relax_does_not_depend_on_how_time_is_cut(value, target, rate, a, b):
    halfway = relax(value, target, rate, a)
    assert relax(halfway, target, rate, b) == pytest.approx(relax(value, target, rate, a + b), abs=1e-9)


def test_shielded_by_hand():
    assert shielded(0.0, 4.0) == 1.0
    assert shielded(1.0, 4.0) == 0.25
    assert shielded(0.5, 4.0) == 0.625
    assert shielded(1.0, 1.0) == 1.0


@given(st.floats(0.0, 1.0), st.floats(1.0, 20.0))
def test_shielding_never_helps_a_drug(adherence, fold):
    assert 1.0 / fold - 1e-12 <= shielded(adherence, fold) <= 1.0
