"""The dice: against the published generator, in a statistical battery, and the independence of neighbouring addresses.

Keys and seeds are fixed, so each test either always passes or never does; a p-value below 1e-4 counts as failure.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tme_abm.foundation.jit import kernel
from tme_abm.foundation.rng import (
    Stream,
    again,
    below,
    bits,
    lower,
    lower_half,
    lower_until,
    normal,
    patient_key,
    poisson,
    stream_key,
    subkey,
    uniform,
    unit,
    upper,
)

N = 1 << 16
LEAST_P = 1e-4
KEYS = [0, 1, 2**61 + 12345]
words_64 = st.integers(0, 2**64 - 1)
parts = st.integers(0, 2**31 - 1)


@kernel
def fill_words(key, out):
    """Random words of the cells 0, 1, 2 ... of one key."""
    for i in range(out.size):
        out[i] = bits(key, i)


@kernel
def fill_uniforms(key, axis, out):
    """Uniform draws along one part of the address: 0 cells, 1 steps, 2 streams, 3 patients, 4 seeds."""
    for i in range(out.size):
        if axis == 0:
            out[i] = uniform(stream_key(patient_key(key, 3), 3, 5), i)
        elif axis == 1:
            out[i] = uniform(stream_key(patient_key(key, 3), 3, i), 7)
        elif axis == 2:
            out[i] = uniform(stream_key(patient_key(key, 3), i, 5), 7)
        elif axis == 3:
            out[i] = uniform(stream_key(patient_key(key, i), 3, 5), 7)
        else:
            out[i] = uniform(stream_key(patient_key(i, 3), 3, 5), 7)


@kernel
def fill_normals(key, out):
    """Normal draws of the cells 0, 1, 2 ..."""
    for i in range(out.size):
        out[i] = normal(key, i)


@kernel
def fill_chain(word, out):
    """The words that follow each other at one address."""
    for i in range(out.size):
        word = again(word)
        out[i] = word


@kernel
def fill_halves(words, high, low):
    """Both halves of each word as numbers."""
    for i in range(words.size):
        high[i] = upper(words[i])
        low[i] = lower(words[i])


def random_words(key, n=N):
    out = np.empty(n, np.uint64)
    fill_words(key, out)
    return out


def along(axis, key=11, n=N):
    out = np.empty(n)
    fill_uniforms(key, axis, out)
    return out


def p_even(values, bins=256):
    """Chi-square of the values over equal bins of [0, 1)."""
    return stats.chisquare(np.bincount((values * bins).astype(np.int64), minlength=bins)).pvalue


def p_independent(a, b, bins=16):
    """Chi-square of pairs over the cells of a square grid, all equally likely."""
    at = (a * bins).astype(np.int64) * bins + (b * bins).astype(np.int64)
    return stats.chisquare(np.bincount(at, minlength=bins * bins)).pvalue


def splitmix64(seed, n):
    """The generator as published, with Python's own integers."""
    state, out = seed, []
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        out.append(z ^ (z >> 31))
    return out


def test_words_are_those_of_splitmix64():
    assert [int(w) for w in random_words(0, 3)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    for key in KEYS:
        assert [int(w) for w in random_words(key, 100)] == splitmix64(key, 100)


# ---- the battery -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", range(5), ids=["cells", "steps", "streams", "patients", "seeds"])
def test_draws_are_even_along_every_part_of_the_address(axis):
    values = along(axis)
    assert 0.0 <= values.min() and values.max() < 1.0
    assert p_even(values) > LEAST_P
    assert stats.kstest(values, "uniform").pvalue > LEAST_P


@pytest.mark.parametrize("axis", range(5), ids=["cells", "steps", "streams", "patients", "seeds"])
@pytest.mark.parametrize("lag", [1, 2, 8, 64])
def test_neighbours_along_every_part_of_the_address_are_independent(axis, lag):
    values = along(axis)
    assert p_independent(values[:-lag], values[lag:]) > LEAST_P
    assert abs(np.corrcoef(values[:-lag], values[lag:])[0, 1]) < 4.0 / np.sqrt(N)


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 3), (3, 4), (2, 4)])
def test_different_parts_of_the_address_are_independent(one, other):
    assert p_independent(along(one), along(other)) > LEAST_P


def test_neighbouring_keys_give_independent_sequences():
    for key in (0, 41, 2**40):
        a, b = random_words(key) / 2.0**64, random_words(key + 1) / 2.0**64
        assert p_independent(np.minimum(a, 1 - 2**-53), np.minimum(b, 1 - 2**-53)) > LEAST_P


@pytest.mark.parametrize("key", KEYS)
def test_every_bit_is_fair(key):
    words = random_words(key)
    share = np.array([int(((words >> np.uint64(b)) & np.uint64(1)).sum()) for b in range(64)])
    p = stats.binomtest(int(share.sum()), 64 * N).pvalue
    assert p > LEAST_P
    z = (share - N / 2) / np.sqrt(N / 4)
    assert stats.chi2.sf((z**2).sum(), 64) > LEAST_P


def test_one_bit_of_the_address_changes_half_of_the_word():
    changed = [
        (int(bits(key, cell)) ^ int(bits(key, cell ^ (1 << b)))).bit_count() for key in KEYS for cell in range(50) for b in range(31)
    ]
    z = (np.mean(changed) - 32.0) / (4.0 / np.sqrt(len(changed)))
    assert abs(z) < 4.0
    assert min(changed) > 8


def test_both_halves_of_a_word_are_even_and_independent():
    words = random_words(17)
    high, low = np.empty(N), np.empty(N)
    fill_halves(words, high, low)
    np.testing.assert_array_equal(high, (words >> np.uint64(32)) / 2.0**32)
    np.testing.assert_array_equal(low, (words & np.uint64(0xFFFFFFFF)) / 2.0**32)
    assert p_even(high) > LEAST_P
    assert p_even(low) > LEAST_P
    assert p_independent(high, low) > LEAST_P


def test_words_that_follow_at_one_address_are_even_and_independent():
    chain = np.empty(N, np.uint64)
    fill_chain(np.uint64(12345), chain)
    values = chain / 2.0**64
    assert p_even(np.minimum(values, 1 - 2**-53)) > LEAST_P
    assert p_independent(values[:-1], values[1:]) > LEAST_P
    assert np.unique(chain).size == N


def test_normal_draws_are_standard_normal():
    values = np.empty(N)
    fill_normals(stream_key(patient_key(1, 2), int(Stream.ASSAY), 3), values)
    assert stats.kstest(values, "norm").pvalue > LEAST_P
    error = 1.0 / np.sqrt(N)
    assert abs(values.mean()) < 4.0 * error
    assert abs(values.var() - 1.0) < 4.0 * np.sqrt(2.0) * error
    assert abs(stats.skew(values)) < 4.0 * np.sqrt(6.0) * error
    assert abs(stats.kurtosis(values)) < 4.0 * np.sqrt(24.0) * error
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 4.0 * error


# ---- numbers from words ----------------------------------------------------------------------------------------------


def test_ends_of_the_unit_interval():
    assert unit(np.uint64(0)) == upper(np.uint64(0)) == lower(np.uint64(0)) == 0.0
    most = np.uint64(2**64 - 1)
    assert unit(most) == 1.0 - 2.0**-53
    assert upper(most) == lower(most) == 1.0 - 2.0**-32


@given(words_64)
def test_a_word_as_a_number(word):
    assert unit(np.uint64(word)) == (word >> 11) / 2**53


@given(words_64, st.integers(1, 2**31 - 1))
def test_a_whole_number_below_a_bound(word, n):
    assert below(np.uint64(word), n) == (word >> 32) * n >> 32
    assert 0 <= below(np.uint64(word), n) < n


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 200, 840])
def test_whole_numbers_are_even(n):
    drawn = np.array([below(word, n) for word in random_words(5, 20_000)])
    counts = np.bincount(drawn, minlength=n)
    assert counts.size == n
    assert n == 1 or stats.chisquare(counts).pvalue > LEAST_P


@given(st.floats(1e-3, 400.0), st.floats(0.0, 1.0 - 1e-9))
def test_poisson_is_the_inverse_of_its_distribution(mean, u):
    count = poisson(mean, u)
    # on the step of the distribution where u lies, but for the rounding of two summations
    assert stats.poisson.cdf(count, mean) >= u - 1e-12
    assert count == 0 or stats.poisson.cdf(count - 1, mean) <= u + 1e-12


@pytest.mark.parametrize("mean", [0.02, 0.7, 6.0, 90.0])
def test_poisson_counts_have_their_mean_and_variance(mean):
    counts = np.array([poisson(mean, u) for u in along(0, key=3, n=20_000)])
    assert abs(counts.mean() - mean) < 4.0 * np.sqrt(mean / counts.size)
    assert abs(counts.var() - mean) < 4.0 * np.sqrt((mean + 2.0 * mean**2) / counts.size)


def test_poisson_of_nothing_is_nothing():
    assert poisson(0.0, 0.0) == poisson(0.0, 1.0 - 2.0**-53) == 0


def test_poisson_of_the_largest_draw_is_a_count_that_can_be():
    assert poisson(0.1, 1.0 - 2.0**-53) < 20


# ---- addresses -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**62 - 1), parts)
def test_keys_have_62_bits(key, part):
    assert 0 <= subkey(key, part) < 2**62


def test_addresses_do_not_collide():
    keys = {
        int(stream_key(patient_key(seed, patient), stream, step))
        for seed in range(6)
        for patient in range(10)
        for stream in range(1, 19)
        for step in range(40)
    }
    assert len(keys) == 6 * 10 * 18 * 40


def test_the_parts_of_an_address_cannot_be_exchanged():
    assert patient_key(1, 2) != patient_key(2, 1)
    assert stream_key(9, 3, 4) != stream_key(9, 4, 3)
    assert subkey(subkey(9, 3), 4) == stream_key(9, 3, 4)


def test_a_draw_depends_on_its_address_alone():
    forward = [uniform(77, cell) for cell in range(20)]
    assert [uniform(77, cell) for cell in reversed(range(20))] == forward[::-1]


def test_streams_keep_their_numbers():
    """Renumbering a stream changes every result: append only."""
    assert {s.name: int(s) for s in list(Stream)[:18]} == {
        "PATIENT": 1,
        "PLACEMENT": 2,
        "EVENT": 3,
        "CAUSE": 4,
        "DAUGHTER_SITE": 5,
        "DAUGHTER_TRAITS": 6,
        "WALK": 7,
        "RECRUITMENT": 8,
        "RESEEDING": 9,
        "PROBE": 10,
        "PLASMA_MOTION": 11,
        "ASSAY": 12,
        "EXIT": 13,
        "FOLLOW_UP": 14,
        "ALLOCATION": 15,
        "PHARMACOKINETICS": 16,
        "MRD_SAMPLE": 17,
        "INTERFERENCE": 18,
    }
    assert len(set(map(int, Stream))) == len(Stream)


@given(words_64, st.floats(0.0, 1.0))
def test_a_chance_of_whole_numbers_is_that_of_the_number_in_0_to_1(word, chance):
    word = np.uint64(word)
    for c in (chance, lower(word), lower(word) + 2.0**-60):
        assert (lower_half(word) < lower_until(c)) == (lower(word) < c)
