"""Calendars counted by hand."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tme_abm.foundation.errors import InputError
from tme_abm.pharmacology.regimen import Dose, Regimen, parse_days, parse_dose

ISA = (
    Dose("isatuximab", 10.0, "mg/kg", (1, 8, 15, 22), 1, 1),
    Dose("isatuximab", 10.0, "mg/kg", (1, 15), 2),
)
ISA_PD = Regimen(
    "isa-pd",
    "Isa-Pd",
    28,
    (
        *ISA,
        Dose("pomalidomide", 4.0, "mg", tuple(range(1, 22))),
        Dose("dexamethasone", 40.0, "mg", (1, 8, 15, 22), elderly_amount=20.0),
    ),
)
ISA_KD = Regimen(
    "isa-kd",
    "Isa-Kd",
    28,
    (
        *ISA,
        Dose("carfilzomib", 20.0, "mg/m2", (1, 2), 1, 1),
        Dose("carfilzomib", 56.0, "mg/m2", (8, 9, 15, 16), 1, 1),
        Dose("carfilzomib", 56.0, "mg/m2", (1, 2, 8, 9, 15, 16), 2),
        Dose("dexamethasone", 20.0, "mg", (1, 2, 8, 9, 15, 16, 22, 23)),
    ),
)


def days_of(calendar, regimen, drug):
    return (calendar.start_h[calendar.drug == regimen.drugs.index(drug)] / 24.0 + 1.0).tolist()


def amounts_of(calendar, regimen, drug):
    return calendar.amount_mg[calendar.drug == regimen.drugs.index(drug)]


def test_isa_pd_over_two_cycles(typical):
    calendar = ISA_PD.calendar(typical, 56.0, {"isatuximab": 1.0})
    assert ISA_PD.drugs == ("isatuximab", "pomalidomide", "dexamethasone")
    assert days_of(calendar, ISA_PD, "isatuximab") == [1, 8, 15, 22, 29, 43]
    assert days_of(calendar, ISA_PD, "pomalidomide") == [*range(1, 22), *range(29, 50)]
    assert days_of(calendar, ISA_PD, "dexamethasone") == [1, 8, 15, 22, 29, 36, 43, 50]
    assert amounts_of(calendar, ISA_PD, "isatuximab") == pytest.approx([756.0] * 6)
    assert amounts_of(calendar, ISA_PD, "pomalidomide") == pytest.approx([4.0] * 42)
    assert set(calendar.duration_h[calendar.drug == 0]) == {1.0}
    assert set(calendar.duration_h[calendar.drug != 0]) == {0.0}


def test_isa_kd_steps_carfilzomib_up_on_day_8(typical):
    calendar = ISA_KD.calendar(typical, 56.0)
    assert days_of(calendar, ISA_KD, "carfilzomib") == [1, 2, 8, 9, 15, 16, 29, 30, 36, 37, 43, 44]
    assert amounts_of(calendar, ISA_KD, "carfilzomib") == pytest.approx([36.0] * 2 + [100.8] * 10)
    assert days_of(calendar, ISA_KD, "dexamethasone")[:9] == [1, 2, 8, 9, 15, 16, 22, 23, 29]


@pytest.mark.parametrize(("age", "amount"), [(40.0, 40.0), (74.9, 40.0), (75.0, 20.0), (90.0, 20.0)])
def test_dexamethasone_is_halved_from_75_years(typical, age, amount):
    calendar = ISA_PD.calendar(typical._replace(age=age), 28.0)
    assert amounts_of(calendar, ISA_PD, "dexamethasone") == pytest.approx([amount] * 4)


def test_calendar_is_sorted_and_starts_at_hour_zero(typical):
    calendar = ISA_KD.calendar(typical, 365.0)
    assert calendar.start_h[0] == 0.0
    assert np.all(np.diff(calendar.start_h) >= 0.0)
    assert np.all(np.diff(calendar.drug)[np.diff(calendar.start_h) == 0.0] > 0)


def test_stop_day_is_the_last_day(typical):
    induction = Regimen("rvd", "RVd", 42, (Dose("bortezomib", 1.3, "mg/m2", (1, 4, 8, 11, 22, 25, 29, 32)),), 126.0)
    last_day_given = Regimen("daily", "Daily", 28, (Dose("x", 1.0, "mg", tuple(range(1, 29))),), 126.0)
    assert induction.calendar(typical, 1000.0).start_h.size == 24
    assert days_of(last_day_given.calendar(typical, 1000.0), last_day_given, "x")[-1] == 126


def test_no_treatment_has_an_empty_calendar(typical):
    calendar = Regimen("none", "None", 28).calendar(typical, 365.0)
    assert [column.size for column in calendar] == [0, 0, 0, 0, 0]


@given(st.lists(st.integers(1, 60), min_size=1, unique=True))
def test_days_read_the_same_as_list_and_as_text(days):
    assert parse_days(days) == parse_days(",".join(map(str, days))) == tuple(sorted(days))


@given(st.floats(0.001, 5000.0), st.sampled_from(["mg", "mg/kg", "mg/m2"]))
def test_dose_reads_back(amount, unit):
    assert parse_dose(f"{amount!r} {unit}") == (amount, unit)


def test_ways_to_write_days_and_doses():
    assert parse_days("1-21") == tuple(range(1, 22))
    assert parse_days("1-3, 8") == (1, 2, 3, 8)
    assert parse_days(15) == (15,)
    assert parse_dose("1.3 mg/m²") == (1.3, "mg/m2")
    assert parse_dose("40mg") == (40.0, "mg")


@pytest.mark.parametrize("text", ["10 g/kg", "-10 mg/kg", "0 mg", "ten mg", "10", "", "1.2.3 mg", None, 10])
def test_wrong_doses_are_refused(text):
    with pytest.raises(InputError, match="arm A"):
        parse_dose(text, "arm A")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("20", 'the unit is missing in \'20\'; write "20 mg", "20 mg/kg" or "20 mg/m2"'),
        (" 1e2 ", 'write "1e2 mg"'),
        ("20mg/kg/kg", "unknown unit 'mg/kg/kg' in '20mg/kg/kg'; did you mean 'mg/kg'?"),
        ("", "write an amount and a unit, such as \"10 mg/kg\", not ''"),
        ("mg", "write an amount and a unit, such as \"10 mg/kg\", not 'mg'"),
    ],
)
def test_what_a_dose_lacks_is_told(text, said):
    with pytest.raises(InputError, match=re.escape(said)):
        parse_dose(text)


def test_a_wrong_unit_gets_a_hint():
    with pytest.raises(InputError, match="did you mean 'mg/kg'"):
        parse_dose("10 mg/kgs")


@pytest.mark.parametrize(
    "days", ["21-1", "0", "1-999999", "1-99999999999999", "1,,2", "a", "", [], [0], [1, 1], [1.5], [True], None, "1-3,2"]
)
def test_wrong_days_are_refused(days):
    with pytest.raises(InputError, match="arm A"):
        parse_days(days, "arm A")


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": -1.0},
        {"amount": float("nan")},
        {"unit": "mg/kgs"},
        {"days": ()},
        {"days": (0,)},
        {"first_cycle": 0},
        {"first_cycle": 3, "last_cycle": 2},
        {"elderly_amount": -1.0},
    ],
)
def test_wrong_lines_are_refused(wrong):
    with pytest.raises(InputError, match="dose of x"):
        Dose(**{"drug": "x", "amount": 1.0, "unit": "mg", "days": (1,), **wrong})


def test_contradicting_regimens_are_refused():
    with pytest.raises(InputError, match="day 22 of a cycle of 21 days"):
        Regimen("r", "R", 21, (Dose("x", 1.0, "mg", (1, 22)),))
    with pytest.raises(InputError, match="two lines give x on day 8 of cycle 2"):
        Regimen("r", "R", 28, (Dose("x", 1.0, "mg", (1, 8)), Dose("x", 2.0, "mg", (8,), 2)))
    with pytest.raises(InputError, match="stop_day"):
        Regimen("r", "R", 28, (), -1.0)
    with pytest.raises(InputError, match="cycle_days"):
        Regimen("r", "R", 0)
