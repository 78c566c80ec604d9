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
