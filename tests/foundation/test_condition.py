"""Conditions as a protocol puts them."""

import pytest

from tme_abm.foundation.condition import Words, parse_condition
from tme_abm.foundation.errors import InputError

KINDS = {
    "age": float,
    "clearance": float,
    "high_risk": bool,
    "sex": Words(("female", "male")),
    "response": Words(("NE", "SD", "PR", "VGPR"), True),
}
FACTS = {"age": 76.0, "clearance": 45.0, "high_risk": False, "sex": "female", "response": "PR"}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("clearance < 60", True),
        ("clearance >= 45 and age >= 75", True),
        ("clearance < 30 and age >= 75", False),
        ("high_risk", False),
        ("not high_risk and sex == female", True),
        ("sex != female", False),
        ("response >= PR", True),
        ("response > PR", False),
        ("response < VGPR", True),
    ],
)
def test_what_holds(text, holds):
    assert parse_condition(text, KINDS).holds(FACTS) is holds


def test_nothing_holds_of_what_is_not_known():
    for text in ("age < 200", "age >= 0", "not high_risk", "response != PR"):
        unknown = {"age": float("nan"), "high_risk": None, "response": None}
        assert parse_condition(text, KINDS).holds(unknown) is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cleerance < 60", "here: unknown word 'cleerance'; did you mean 'clearance'?"),
        ("age", "here: 'age' is neither true nor false"),
        ("age >= old", "here: expected a number"),
        ("not age >= 75", "here: cannot read"),
        ("high_risk == 1", "here: cannot read"),
        ("sex > female", "have no order"),
        ("response >= VGRP", "unknown word 'VGRP' for response; did you mean 'VGPR'?"),
        ("", "here: cannot read"),
        ("age >= 75 and", "here: "),
    ],
)
def test_what_is_no_condition(text, message):
    with pytest.raises(InputError) as caught:
        parse_condition(text, KINDS, "here")
    assert message in str(caught.value)
