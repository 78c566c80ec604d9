"""MRD as an assay, against scipy's binomial distribution and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from tme_abm.foundation.errors import InputError
from tme_abm.outcomes.mrd import Params, is_negative, n_found, sample

fractions = st.one_of(st.just(0.0), st.floats(1e-8, 0.5))
draws = st.floats(0.0, 1.0, exclude_max=True)


def test_one_cell_read_by_hand():
    """A tenth of the cells is clonal and one is read: none found with probability 0.9."""
    assert n_found(0.1, 1, 0.899) == 0
    assert n_found(0.1, 1, 0.901) == 1
    assert n_found(0.0, 1_000_000, 0.999999) == 0
    assert n_found(1.0, 50, 0.0) == 50


@given(fractions, st.integers(1, 2_000_000), draws)
def test_cells_found_are_the_binomial_quantile(fraction, n_cells, uniform):
    """P(fewer) <= draw < P(at most as many), by scipy."""
    k = n_found(fraction, n_cells, uniform)
    assert 0 <= k <= n_cells
    assert binom.cdf(k - 1, n_cells, fraction) <= uniform + 1e-9
    assert binom.cdf(k, n_cells, fraction) >= uniform - 1e-9


@given(fractions, fractions, st.integers(1, 1_000_000), draws)
def test_more_disease_never_gives_fewer_cells(a, b, n_cells, uniform):
    """Arms that share a draw are compared fairly."""
    low, high = sorted((a, b))
    assert n_found(low, n_cells, uniform) <= n_found(high, n_cells, uniform)


@given(st.floats(0.0, 1e-4), st.sampled_from([100_000, 250_000, 1_000_000, 2_000_000]), draws)
def test_negative_is_fewer_than_one_in_100_000_of_the_cells_read(fraction, n_cells, uniform):
    """With 2,000,000 cells that is fewer than 20."""
    assert is_negative(fraction, n_cells, uniform) == (n_found(fraction, n_cells, uniform) * 100_000 < n_cells)


def test_chance_of_a_negative_sample():
    """True fraction 1e-5, 2,000,000 cells: P(at most 19 | mean 20) = 0.470; at 5e-6 0.997; at 2e-5 0.0001."""
    grid = (np.arange(2000) + 0.5) / 2000
    share = {f: np.mean([is_negative(f, 2_000_000, u) for u in grid]) for f in (5e-6, 1e-5, 2e-5)}
    assert share[1e-5] == pytest.approx(0.470, abs=0.002)
    assert share[5e-6] == pytest.approx(0.9965, abs=0.001)
    assert share[2e-5] < 0.001


def test_only_deep_responses_are_tested_and_the_rest_count_as_positive():
    """A partial responder without a single clonal cell is not negative."""
    assert sample("PR", 0.0, 0.5) == (False, None, False)
    assert sample("NE", 0.0, 0.5) == (False, None, False)
    assert sample("VGPR", 0.0, 0.5) == (True, 0, True)
    assert sample("sCR", 1e-3, 0.5, Params(n_cells=1e5)) == (True, 100, False)


def test_what_no_assay_can_be_given_is_refused():
    """Fraction, cells, draw, response."""
    for fraction, n_cells, uniform in [(1.1, 10, 0.5), (float("nan"), 10, 0.5), (0.1, 0, 0.5), (0.1, 10, 1.0)]:
        with pytest.raises(InputError, match="MRD"):
            n_found(fraction, n_cells, uniform)
    with pytest.raises(InputError, match="did you mean"):
        sample("vgpr", 0.0, 0.5)
