"""Means, ratios, halves and ranks, by hand and against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tme_abm.laboratory import estimates

NUMBERS = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=20)


def test_a_mean_by_hand():
    # mean 3, SD 1, so an error of 1 / sqrt(3) and a quantile of Student's distribution of 4.3027 with two degrees of freedom
    value, low, high = estimates.mean([2.0, 3.0, 4.0])
    assert value == 3.0
    assert high - value == pytest.approx(4.302653 / math.sqrt(3.0), rel=1e-5)
    assert value - low == pytest.approx(high - value)


def test_one_value_has_no_interval():
    assert estimates.mean([2.5])[0] == 2.5
    assert math.isnan(estimates.mean([2.5]).low)
    assert math.isnan(estimates.mean([]).value)


@given(NUMBERS)
def test_the_interval_of_a_mean_is_that_of_scipy(values):
    found = estimates.mean(values)
    error = float(stats.sem(values))
    if error > 1e-9:
        low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=error)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-9)


def test_a_ratio_by_hand():
    # residuals of y - 2 x are -1, 0, 1: SD 1, error 1 / sqrt(3) / mean x
    value, low, _ = estimates.ratio([1.0, 4.0, 7.0], [1.0, 2.0, 3.0])
    assert value == 2.0
    assert value - low == pytest.approx(4.302653 / math.sqrt(3.0) / 2.0, rel=1e-5)


def test_a_ratio_without_a_base_is_none():
    assert math.isnan(estimates.ratio([1.0, 2.0], [0.0, 0.0]).value)


@given(NUMBERS, st.floats(0.1, 10.0))
def test_proportional_values_have_their_factor_for_a_ratio_and_no_spread(values, factor):
    base = np.abs(values) + 1.0
    value, low, high = estimates.ratio(factor * base, base)
    assert (value, low, high) == pytest.approx((factor, factor, factor))


def test_half_of_an_effect_by_hand():
    assert estimates.half_effect([1.0, 10.0, 100.0], [0.0, 0.0, 10.0]) == pytest.approx(10.0**1.5)
    assert estimates.half_effect([0.0, 1.0, 10.0, 100.0], [100.0, 80.0, 60.0, 20.0]) == pytest.approx(10.0)
    assert math.isnan(estimates.half_effect([1.0, 10.0], [3.0, 3.0]))
    assert math.isnan(estimates.half_effect([0.0, 1.0], [0.0, 5.0]))  # between nothing and the first dose


def test_half_of_a_hill_function_is_its_half_effect():
    x = np.geomspace(1e-3, 1e4, 400)
    assert estimates.half_effect(x, x / (2.5 + x)) == pytest.approx(2.5, rel=0.01)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=30))
def test_rank_correlation_is_that_of_scipy(pairs):
    x, y = zip(*pairs, strict=True)
    if len(set(x)) > 1 and len(set(y)) > 1:
        assert estimates.rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    else:
        assert math.isnan(estimates.rank_correlation(x, y))


def test_numbers_in_words():
    assert [estimates.words(v, "%") for v in (0.1234, 12.34, 1234.5)] == ["0.123 %", "12 %", "1,234 %"]
    assert estimates.words(float("nan")) == "none"
    assert [estimates.listed(list("abc"[:n])) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
