"""Doses by body, kidney and age, cycles that change their length, rules that hold or reduce, and the way under the skin."""

import math

import numpy as np
import pytest

from tme_abm.foundation.errors import InputError
from tme_abm.pharmacology.course import Course
from tme_abm.pharmacology.regimen import Dose, Regimen, parse_days, parse_dose
from tme_abm.pharmacology.tolerance import Adjustment, Rule, RuleKeeper, body_condition, visit_condition

KIDNEY = (
    Adjustment(body_condition("creatinine_clearance < 30", "x"), 15.0, parse_days("1-21/2")),
    Adjustment(body_condition("creatinine_clearance < 60", "x"), 10.0),
)


def days_of(calendar):
    return (calendar.start_h / 24.0 + 1.0).tolist()


def test_eight_cycles_of_21_days_then_28(typical):
    """CASTOR: bortezomib in the first eight cycles, daratumumab weekly, then every three weeks, then every four."""
    dara = (
        Dose("daratumumab", 16.0, "mg/kg", (1, 8, 15), 1, 3),
        Dose("daratumumab", 16.0, "mg/kg", (1,), 4),
    )
    castor = Regimen("d-vd", "D-Vd", 28, (*dara, Dose("bortezomib", 1.3, "mg/m2", (1, 4, 8, 11), 1, 8)), None, ((8, 21),))
    calendar = castor.calendar(typical, 300.0)
    given = days_of(calendar)
    antibody = [day for day, drug in zip(given, calendar.drug, strict=True) if drug == 0]
    assert antibody == [1, 8, 15, 22, 29, 36, 43, 50, 57, 64, 85, 106, 127, 148, 169, 197, 225, 253, 281]
    inhibitor = [day for day, drug in zip(given, calendar.drug, strict=True) if drug == 1]
    assert inhibitor == [21 * cycle + day for cycle in range(8) for day in (1, 4, 8, 11)]


def test_a_day_must_fit_into_every_cycle_in_which_it_is_given():
    with pytest.raises(InputError, match="x on day 22 of a cycle of 21 days"):
        Regimen("r", "R", 28, (Dose("x", 1.0, "mg", (1, 22)),), None, ((8, 21),))
    Regimen("r", "R", 28, (Dose("x", 1.0, "mg", (1, 22), 9),), None, ((8, 21),))
    with pytest.raises(InputError, match="x on day 22 of a cycle of 21 days"):
        Regimen("r", "R", 21, (Dose("x", 1.0, "mg", (1, 22), 9),), None, ((8, 28),))


@pytest.mark.parametrize(("clearance", "amount", "n"), [(100.0, 25.0, 21), (60.0, 25.0, 21), (59.9, 10.0, 21), (29.9, 15.0, 11)])
def test_lenalidomide_by_creatinine_clearance(typical, clearance, amount, n):
    """As its label has it: 25 mg, 10 mg below 60 mL/min, 15 mg every other day below 30."""
    line = Dose("lenalidomide", 25.0, "mg", parse_days("1-21"), adjustments=KIDNEY)
    calendar = Regimen("r", "R", 28, (line,)).calendar(typical._replace(creatinine_clearance_ml_per_min=clearance), 28.0)
    assert calendar.amount_mg.tolist() == [amount] * n
    if n == 11:
        assert days_of(calendar) == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21]


@pytest.mark.parametrize(("age", "days"), [(74.0, [1, 2, 8, 9]), (75.0, [1, 8])])
def test_days_and_doses_differ_in_the_elderly(typical, age, days):
    halved = Dose("dexamethasone", 20.0, "mg", (1, 2, 8, 9), elderly_days=(1, 8))
    assert days_of(Regimen("r", "R", 28, (halved,)).calendar(typical._replace(age=age), 28.0)) == days
    none = Dose("dexamethasone", 20.0, "mg", (1, 2, 8, 9), elderly_amount=0.0)
    assert Regimen("r", "R", 28, (none,)).calendar(typical._replace(age=age), 28.0).start_h.size == (4 if age < 75 else 0)


def test_the_kidney_counts_before_age(typical):
    line = Dose("lenalidomide", 25.0, "mg", (1,), elderly_amount=20.0, adjustments=KIDNEY)
    assert line.milligrams(typical._replace(age=80.0)) == 20.0
    assert line.milligrams(typical._replace(age=80.0, creatinine_clearance_ml_per_min=50.0)) == 10.0


def test_nothing_is_a_dose_only_where_a_group_gets_none():
    assert parse_dose("0 mg", may_be_zero=True) == (0.0, "mg")
    with pytest.raises(InputError, match="above zero"):
        parse_dose("0 mg")
    with pytest.raises(InputError, match="above zero"):
        parse_dose("-1 mg", may_be_zero=True)


def test_two_lines_may_not_meet_on_an_adjusted_day():
    other = Dose("lenalidomide", 5.0, "mg", (28,), adjustments=(Adjustment(body_condition("age >= 80", "x"), 5.0, (3,)),))
    with pytest.raises(InputError, match="two lines give lenalidomide on day 3"):
        Regimen("r", "R", 28, (Dose("lenalidomide", 25.0, "mg", (1, 2, 3)), other))


# ---- rules ------------------------------------------------------------------------------------------------------------


class Recorder:
    """A course that remembers which factors it was given."""

    def __init__(self):
        self.changes = []

    def change_dose(self, drug, factor):
        self.changes.append((drug, factor))


def keep(rule, facts, visits=8, dice=0.5):
    """Factors of a rule's drug by visit, 28 days apart."""
    keeper, course, factor, found = RuleKeeper((rule,), lambda drug, number, visit: dice), Recorder(), 1.0, []
    for visit in range(visits):
        before = len(course.changes)
        keeper.apply(course, 28.0 * visit, visit, facts(visit))
        factor = course.changes[-1][1] if len(course.changes) > before else factor
        found.append(factor)
    return found


def test_a_dose_is_reduced_for_good_from_a_visit_on():
    rule = Rule(("x",), visit_condition("visit >= 3", "when"), 1.0, (0.5,))
    assert keep(rule, lambda visit: {"visit": visit}) == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5]


def test_a_dose_is_held_for_a_time_and_given_again():
    rule = Rule(("x",), visit_condition("visit == 2", "when"), 1.0, (0.0,), 56.0)
    assert keep(rule, lambda visit: {"visit": visit}) == [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0]


def test_levels_go_down_step_by_step():
    rule = Rule(("x",), visit_condition("visit >= 1 and visit <= 4", "when"), 1.0, (0.6, 0.4, 0.0))
    assert keep(rule, lambda visit: {"visit": visit}) == [1.0, 0.6, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_a_rule_by_response():
    rule = Rule(("x",), visit_condition("best_response >= VGPR", "when"), 1.0, (0.0,))
    responses = ["NE", "PR", "PR", "VGPR", "CR", "CR", "CR", "CR"]
    assert keep(rule, lambda visit: {"best_response": responses[visit]}) == [1.0] * 3 + [0.0] * 5


def test_chance_decides_where_a_rule_says_so():
    never, always = (keep(Rule(("x",), None, 0.3, (0.0,)), lambda visit: {}, dice=dice) for dice in (0.31, 0.29))
    assert never == [1.0] * 8 and always == [1.0] + [0.0] * 7  # at the first visit nothing has been given yet


def test_rules_on_one_drug_multiply():
    rules = (
        Rule(("x",), visit_condition("visit >= 1", "w"), 1.0, (0.5,)),
        Rule(("x", "y"), visit_condition("visit >= 2", "w"), 1.0, (0.5,)),
    )
    keeper, course = RuleKeeper(rules, lambda drug, number, visit: 0.0), Recorder()
    for visit in range(3):
        keeper.apply(course, 28.0 * visit, visit, {"visit": visit})
    assert course.changes == [("x", 0.5), ("x", 0.25), ("y", 0.5)]


# ---- under the skin ---------------------------------------------------------------------------------------------------


def test_under_the_skin_the_stated_share_arrives_at_the_stated_rate(drug, typical):
    """With linear clearance alone: area = F dose / CL; the depot empties at ka."""
    dara = drug("daratumumab")
    linear = dara.kinetics.params._replace(saturable_rate=0.0)
    from dataclasses import replace

    plain = replace(dara, kinetics=dara.kinetics._replace(params=linear), covariates=(), variability=())
    dose = {route: Dose("daratumumab", 1800.0, "mg", (1,), 1, 1, route=route) for route in ("subcutaneous", None)}
    hours = 24 * 2000
    areas = {}
    for route, line in dose.items():
        course = Course(Regimen("r", "R", 28, (line,)), [plain], typical, 1, is_varied=False)
        course.advance(240, 1.0)
        if route == "subcutaneous":
            assert course._state.depot[0] == pytest.approx(0.69 * 1800.0 * math.exp(-0.012 * 240.0), rel=1e-4)
        course = Course(Regimen("r", "R", 28, (line,)), [plain], typical, 1, is_varied=False)
        areas[route] = float(course.advance(hours, 1.0).concentration.sum())
    assert areas["subcutaneous"] == pytest.approx(0.69 * 1800.0 / linear.clearance, rel=0.01)
    assert areas["subcutaneous"] / areas[None] == pytest.approx(0.69, rel=0.01)


def test_1800_mg_under_the_skin_is_like_16_mg_per_kg_into_a_vein(start):
    """COLUMBA (usmani2022): mean trough after eight weekly doses 581 and 496 ug/mL, ratio 1.17; the peak is lower and days away."""
    trough, peak = {}, {}
    for route, line in (
        ("skin", Dose("daratumumab", 1800.0, "mg", (1, 8, 15, 22), 1, 2, route="subcutaneous")),
        ("vein", Dose("daratumumab", 16.0, "mg/kg", (1, 8, 15, 22), 1, 2)),
    ):
        concentration = start(line).advance(56 * 24, 1.0).concentration[:, 0]
        trough[route], peak[route] = float(concentration[-1]), int(np.argmax(concentration[: 7 * 24]))
    assert 1.0 < trough["skin"] / trough["vein"] < 1.35
    assert peak["vein"] <= 5 and 48 <= peak["skin"] <= 120


def test_the_route_may_change_within_a_course(start):
    """From the vein to the skin in cycle 2: nothing is lost on the way, and cycle 1 is as without the change."""
    vein = Dose("daratumumab", 16.0, "mg/kg", (1, 8, 15, 22), 1, 1)
    skin = Dose("daratumumab", 1800.0, "mg", (1, 8, 15, 22), 2, route="subcutaneous")
    both, only = start(vein, skin).advance(56 * 24, 1.0).concentration[:, 0], start(vein).advance(28 * 24, 1.0).concentration[:, 0]
    assert np.array_equal(both[: 28 * 24], only)
    assert both[28 * 24 + 60] > both[28 * 24] > 0.0


def test_a_drug_of_which_nothing_is_known_under_the_skin_is_refused(start):
    with pytest.raises(InputError, match="nothing is known of isatuximab under the skin"):
        start(Dose("isatuximab", 1400.0, "mg", (1,), route="subcutaneous"))


# ---- the same dice in every arm ------------------------------------------------------------------------------------------


def test_rules_of_other_drugs_do_not_change_the_dice_of_a_drug():
    asked = []

    def note(drug, number, visit):
        asked.append((drug, number, visit))
        return 0.99

    own = (Rule(("lenalidomide",), None, 0.1, (0.5,)), Rule(("lenalidomide",), None, 0.2, (0.0,)))
    for rules in (own, (Rule(("isatuximab",), None, 0.3, (0.0,)), *own)):
        asked.clear()
        RuleKeeper(rules, note).apply(Recorder(), 28.0, 1, {})
        assert [a for a in asked if a[0] == "lenalidomide"] == [("lenalidomide", 0, 1), ("lenalidomide", 1, 1)]


def test_chance_does_nothing_before_the_first_dose_and_a_condition_does():
    chance, condition = Rule(("x",), None, 0.5, (0.5,)), Rule(("x",), visit_condition("visit >= 0", "x"), 1.0, (0.5,))
    for rule, expected in ((chance, []), (condition, [("x", 0.5)])):
        keeper, course = RuleKeeper((rule,), lambda drug, number, visit: 0.0), Recorder()
        keeper.apply(course, 0.0, 0, {"visit": 0})
        assert course.changes == expected
    keeper, course = RuleKeeper((chance,), lambda drug, number, visit: 0.0), Recorder()
    keeper.apply(course, 28.0, 1, {"visit": 1})
    assert course.changes == [("x", 0.5)]
