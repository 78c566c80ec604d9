"""Interpreted twins: the same numbers as compiled, parts included, and no compiled code on the way."""

import sys

import numpy as np
import pytest

from tme_abm.foundation import jit, response, rng
from tme_abm.foundation.jit import kernel, part
from tme_abm.foundation.twin import Twins


@part
def doubled(x):
    return 2.0 * x


@kernel
def through_a_part(x):
    return doubled(x) + response.hill(x, 1.0, 2.0)


def a_sum(rule):
    @part
    def run(x):
        return rule(x) + rule(x + 1.0)

    return run


def test_a_twin_gives_what_the_kernel_gives():
    twin = Twins().of(through_a_part)
    for x in (0.0, 0.5, 3.0):
        assert twin(x) == through_a_part(x) == 2.0 * x + (x**2 / (1.0 + x**2) if x else 0.0)


def test_a_part_that_only_kernels_call_can_be_called():
    assert Twins().of(doubled)(4.0) == 8.0


def test_what_a_kernel_closes_over_is_a_twin_too():
    assert Twins().of(a_sum(doubled))(1.0) == 6.0


def test_whole_numbers_wrap_round_in_silence():
    key, step = np.uint64(2**64 - 3), np.uint64(2**63 + 11)
    with np.errstate(over="raise"):
        assert Twins().of(rng.bits)(key, step) == rng.bits(key, step)


@pytest.mark.skipif(not jit.COMPILED, reason="there is nothing compiled")
def test_everything_on_the_way_is_plain_python():
    """Each call is seen by the interpreter, which compiled code hides."""
    called = set()

    def look(frame, event, argument):
        called.add(frame.f_code.co_name)

    twin = Twins().of(through_a_part)
    sys.setprofile(look)
    try:
        twin(2.0)
    finally:
        sys.setprofile(None)
    assert {"through_a_part", "doubled", "hill"} <= called
