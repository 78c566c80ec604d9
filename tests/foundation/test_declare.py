"""Declarations: what a block says of itself, and what filling it accepts and refuses."""

from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest

from tme_abm.foundation.declare import GRADES, Column, Param, allocate, fill, notes, number, stack
from tme_abm.foundation.errors import InputError


class Block(NamedTuple):
    """A block of parameters as mechanisms have them."""

    lysis_rate: Annotated[float, Param("1/h", "lysis rate", "moreno2019", "V")] = 0.5
    steepness: Annotated[float, Param("1", "Hill exponent", "catalogue 2d")] = 2
    weight: Annotated[float, Param("kg", "weight", "-", "M")] = 70.0


class Demanding(NamedTuple):
    """A block without a default."""

    volume: Annotated[float, Param("L", "central volume", "fau2020", "V")]


class Table(NamedTuple):
    """Columns, and a member without a note."""

    kind: Annotated[Any, Column("u1", "-", "kind")]
    hazard: Annotated[Any, Column("f8", "1/h", "hazard")]


def test_notes_in_order_of_declaration():
    assert list(notes(Block)) == ["lysis_rate", "steepness", "weight"]
    assert notes(Block)["steepness"] == Param("1", "Hill exponent", "catalogue 2d", "A")


def test_defaults_become_floats_with_their_origins():
    filled = fill(Block)
    assert filled.params == Block(0.5, 2.0, 70.0)
    assert all(type(value) is float for value in filled.params)
    assert filled.origins["lysis_rate"] == (0.5, "1/h", "lysis rate", "moreno2019", "V")
    assert set(filled.origins) == set(Block._fields)


def test_a_given_value_replaces_the_default_and_its_origin():
    given = {"lysis_rate": {"value": 1, "unit": "1/h", "source": "fau2020", "grade": "D"}}
    filled = fill(Block, given, "drug [mechanisms.adcc]")
    assert filled.params.lysis_rate == 1.0 and type(filled.params.lysis_rate) is float
    assert filled.origins["lysis_rate"] == (1.0, "1/h", "lysis rate", "fau2020", "D")
    assert filled.params.steepness == 2.0


def test_a_value_of_a_study_says_so():
    origin = fill(Block, {"weight": {"value": 80.0}}).origins["weight"]
    assert (origin.value, origin.unit, origin.source, origin.grade) == (80.0, "kg", "this study", "A")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lysis_rat": {"value": 1.0}}, "here: unknown parameter 'lysis_rat'; did you mean 'lysis_rate'?"),
        ({"zzz": {"value": 1.0}}, "known: lysis_rate, steepness, weight"),
        ({"lysis_rate": {"value": 1.0, "unit": "1/d"}}, "here.lysis_rate: the unit must be '1/h', not '1/d'"),
        ({"lysis_rate": {"value": 1.0, "grade": "v"}}, "here.lysis_rate: unknown grade 'v'; did you mean 'V'?"),
        ({"lysis_rate": {"value": 1.0, "sourc": "x"}}, "unknown key 'sourc'; did you mean 'source'?"),
        ({"lysis_rate": {"unit": "1/h"}}, 'here.lysis_rate: write { value = ..., unit = "1/h"'),
        ({"lysis_rate": 1.0}, 'here.lysis_rate: write { value = ..., unit = "1/h"'),
        ({"lysis_rate": {"value": "fast"}}, "here.lysis_rate: expected a number, got 'fast'"),
        ({"lysis_rate": {"value": True}}, "expected a number, got True"),
        ({"lysis_rate": {"value": float("nan")}}, "expected a number, got nan"),
        ({"lysis_rate": {"value": float("inf")}}, "expected a number, got inf"),
        ({"lysis_rate": {"value": None}}, "expected a number, got None"),
    ],
)
def test_what_is_wrong_is_refused_in_one_sentence(given, said):
    with pytest.raises(InputError) as refused:
        fill(Block, given, "here")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_has_no_default_must_be_given():
    with pytest.raises(InputError, match=r"here: parameter 'volume' \[L\] is missing \(central volume\)"):
        fill(Demanding, {}, "here")
    assert fill(Demanding, {"volume": {"value": 4}}).params == Demanding(4.0)


def test_all_grades_are_accepted():
    for grade in GRADES:
        assert fill(Block, {"weight": {"value": 1.0, "grade": grade}}).origins["weight"].grade == grade


@pytest.mark.parametrize("value", [3, 3.0, -1e300, 0])
def test_a_number_is_a_float(value):
    assert number(value, "x") == float(value)
    assert type(number(value, "x")) is float


@pytest.mark.parametrize("value", [True, "3", None, float("nan"), -float("inf"), [1.0], 1j])
def test_what_is_no_number(value):
    with pytest.raises(InputError, match="place: expected a number"):
        number(value, "place")


def test_allocate_gives_zeros_of_the_declared_types():
    table = allocate(Table, 5)
    assert isinstance(table, Table)
    assert (table.kind.dtype, table.hazard.dtype) == (np.uint8, np.float64)
    assert table.kind.shape == table.hazard.shape == (5,)
    assert not table.kind.any() and not table.hazard.any()


def test_stack_turns_blocks_into_columns():
    stacked = stack(Block, [Block(1.0, 2.0, 3.0), Block(4, 5, 6)])
    np.testing.assert_array_equal(stacked.lysis_rate, [1.0, 4.0])
    np.testing.assert_array_equal(stacked.weight, [3.0, 6.0])
    assert all(column.dtype == np.float64 for column in stacked)
    assert all(column.shape == (0,) for column in stack(Block, []))
