"""Pinned bundles: a kernel reads from an address what it would read from the tuple."""

import copy
import pickle
from typing import NamedTuple

import numba
import numpy as np
import pytest

from tme_abm.foundation import pinned
from tme_abm.foundation.jit import COMPILED, kernel
from tme_abm.foundation.pinned import Pinned, pin

needs_compiler = pytest.mark.skipif(not COMPILED, reason="nothing is pinned where kernels are interpreted")


class Numbers(NamedTuple):
    """Members of one type, which numba lays out in its own way."""

    low: np.ndarray
    high: np.ndarray


class Others(NamedTuple):
    """The same members under other names."""

    first: np.ndarray
    second: np.ndarray


class Nothing(NamedTuple):
    """A bundle without members."""


class Bundle(NamedTuple):
    """Members of every kind that can be pinned."""

    rate: float
    is_on: bool
    numbers: Numbers
    table: np.ndarray
    nothing: Nothing
    n: int
    others: Others


def make() -> Bundle:
    numbers = Numbers(np.arange(4.0), np.arange(4.0) + 10.0)
    table = np.arange(12, dtype=np.float32).reshape(3, 4)
    return Bundle(0.25, True, numbers, table, Nothing(), -7, Others(numbers.high, numbers.low))


@kernel
def scale(numbers, factor):
    """Multiply a column and hand back its sum."""
    total = 0.0
    for i in range(numbers.low.size):
        numbers.low[i] *= factor
        total += numbers.low[i]
    return total


@kernel
def read(bundle):
    """A number to which every member contributes."""
    result = scale(bundle.numbers, 2.0) + bundle.others.second[3] + bundle.rate + bundle.n
    for y in range(bundle.table.shape[0]):
        for x in range(bundle.table.shape[1]):
            result += bundle.table[y, x]
    return result if bundle.is_on else -1.0


def test_a_kernel_reads_and_writes_what_is_pinned():
    bundle = make()
    # 2 (0 + 1 + 2 + 3) + 6 (the column is doubled by then) + 0.25 - 7 + 66
    assert read(pin(bundle)) == 77.25
    assert bundle.numbers.low.tolist() == [0.0, 2.0, 4.0, 6.0]
    assert read(pin(bundle._replace(is_on=False))) == -1.0


def test_a_pinned_bundle_shows_its_members():
    bundle = make()
    assert pin(bundle).numbers is bundle.numbers
    with pytest.raises(AttributeError, match="nowhere"):
        _ = pin(bundle).nowhere


@needs_compiler
def test_tuples_of_like_members_are_different_types():
    types = {pin(block(np.zeros(2), np.zeros(2)))._numba_type_ for block in (Numbers, Others, Numbers)}
    assert len(types) == 2


@needs_compiler
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_a_copy_has_memory_of_its_own(duplicate):
    pinned = pin(make())
    twin = duplicate(pinned)
    assert isinstance(twin, Pinned) and twin.address != pinned.address
    del pinned
    assert read(twin) == 77.25


@needs_compiler
def test_what_cannot_be_written_down_is_refused():
    for member in ("text", 1j):
        with pytest.raises(TypeError, match="cannot hold"):
            pin(Numbers(member, np.zeros(1)))


class Form(NamedTuple):
    """One array."""

    table: np.ndarray


def locked(array):
    array.flags.writeable = False
    return array


@needs_compiler
@pytest.mark.parametrize(
    ("one", "other", "are_alike"),
    [
        (np.zeros(3), np.ones(5), True),
        (np.zeros(3), np.zeros(3, np.float32), False),
        (np.zeros(3), np.zeros((3, 1)), False),
        (np.zeros((3, 4)), np.zeros((3, 4), order="F"), False),
        (np.zeros(6), np.zeros(6)[::2], False),
        (np.zeros(3), locked(np.zeros(3)), False),
    ],
)
def test_bundles_of_one_form_have_one_type(one, other, are_alike):
    kinds = [pin(Form(array))._numba_type_ for array in (one, other)]
    assert (kinds[0] is kinds[1]) is are_alike and (pinned.form_of(Form(one)) == pinned.form_of(Form(other))) is are_alike
    assert [kind.bundle for kind in kinds] == [numba.typeof(Form(array)) for array in (one, other)]


@needs_compiler
def test_the_type_of_a_bundle_is_the_one_that_numba_says():
    assert pinned.kind_of(make()) is numba.typeof(make())
