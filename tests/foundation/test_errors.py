"""Hints: the nearest right word, or all of them."""

import pytest

from tme_abm.foundation.errors import InputError, did_you_mean

WORDS = ("isatuximab", "daratumumab", "elotuzumab", "IgG")


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("isatuximb", "isatuximab"), ("Isatuximab", "isatuximab"), ("daratumab", "daratumumab"), ("igg", "IgG"), ("ELOTUZUMAB", "elotuzumab")],
)
def test_the_nearest_word(word, nearest):
    assert did_you_mean(word, WORDS) == f"; did you mean '{nearest}'?"


def test_all_words_where_none_is_near():
    assert did_you_mean("xyz", WORDS) == "; known: IgG, daratumumab, elotuzumab, isatuximab"


def test_nothing_to_say_where_nothing_is_known():
    assert did_you_mean("xyz", ()) == ""


def test_words_of_any_kind_and_from_any_iterable():
    assert did_you_mean("28", (n for n in (28, 21))) == "; did you mean '28'?"


def test_bad_input_is_a_value_error():
    assert issubclass(InputError, ValueError)
