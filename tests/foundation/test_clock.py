"""Time and small sums."""

import numpy as np
import pytest

from tme_abm.foundation import clock
from tme_abm.foundation.arrays import largest, total


def test_a_year_has_twelve_months():
    assert 12 * clock.DAYS_PER_MONTH == clock.DAYS_PER_YEAR
    assert clock.HOURS_PER_MONTH == 30.4375 * 24
    assert clock.months(365.25) == pytest.approx(12.0)


def test_reductions_agree_with_numpy():
    values = np.random.default_rng(1).normal(size=37)
    assert total(values) == pytest.approx(values.sum(), rel=1e-12)
    assert largest(values) == values.max()
    assert largest(-np.ones(3)) == -1.0
    assert total(np.zeros(0)) == 0.0


def test_a_rhythm_counts_intervals_of_changing_length():
    """Eight of 21 days, then 28: by hand, and each interval ends where the next begins."""
    rhythm = clock.Rhythm(28.0, ((8, 21.0),))
    assert [rhythm.length(n) for n in (1, 8, 9, 100)] == [21.0, 21.0, 28.0, 28.0]
    assert [rhythm.start(n) for n in (1, 2, 8, 9, 10)] == [0.0, 21.0, 147.0, 168.0, 196.0]
    assert [rhythm.begun(day) for day in (0.0, 0.5, 21.0, 21.5, 168.0, 168.5, 196.0, 196.5)] == [0, 1, 1, 2, 8, 9, 9, 10]
    assert all(rhythm.start(n + 1) == rhythm.start(n) + rhythm.length(n) for n in range(1, 30))
    assert rhythm.in_words("cycles") == "8 cycles of 21 days, then cycles of 28 days"
    assert clock.Rhythm(28.0).begun(56.0) == 2
