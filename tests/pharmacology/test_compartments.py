"""Every drug against an independent solver, with the published equations written a second time."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from tme_abm.foundation.declare import Filled
from tme_abm.pharmacology.compartments import (
    Amounts,
    Antibody,
    Flow,
    clearance_factor,
    engage,
    engagement_rate,
    linear_step,
    propagator,
)
from tme_abm.pharmacology.course import Course
from tme_abm.pharmacology.regimen import Dose, Regimen

WEEKLY_THEN_TWO = ((1, 8, 15, 22), (1, 15))


def reference(rhs, y0, doses, compartment, n_steps, dt, n_extra=1):
    """Step means of the last `n_extra` members, which integrate what is compared.

    Doses are (start, duration, amount) into `compartment`.
    """
    edges = {k * dt for k in range(n_steps + 1)}
    for start, duration, _ in doses:
        edges |= {start, start + duration}
    edges = sorted(e for e in edges if e <= n_steps * dt)
    y = np.array(y0, float)
    totals = {0.0: np.zeros(n_extra)}
    for left, right in pairwise(edges):
        for start, duration, amount in doses:
            if duration == 0.0 and start == left:
                y[compartment] += amount
        running = [d for d in doses if d[0] <= left < d[0] + d[1]]
        rate = sum(amount / duration for _, duration, amount in running)
        y = solve_ivp(rhs, (left, right), y, "LSODA", rtol=1e-9, atol=1e-12, args=(rate,)).y[:, -1]
        totals[right] = y[-n_extra:].copy()
    ends = np.array([totals[k * dt] for k in range(n_steps + 1)])
    return np.diff(ends, axis=0) / dt


def assert_close(found, expected, within=0.005, floor=1e-5):
    assert found.shape == expected.shape
    assert found.max() > 0.0
    allowed = within * expected + floor * expected.max()
    assert np.all(np.abs(found - expected) <= allowed), float(np.max(np.abs(found - expected) / allowed))


@pytest.mark.parametrize("mg_per_kg", [1.0, 10.0])
def test_isatuximab_as_published(drug, typical, mg_per_kg):
    """The population model of fau2020 with its empirical function of time, a form that a drug of one's own may use."""
    kinetics = Antibody(0.00955, 4.4732, 0.0432, 3.62, 0.664, 1055.0, 3.91, saturable_rate_per_volume=0.136, saturable_half=0.300)
    published = replace(drug("isatuximab"), kinetics=Filled(kinetics, {}), covariates=(), variability=())
    v1, v2, q = 4.4732, 3.62, 0.0432

    def rhs(t, y, rate):
        linear = 0.00955 * math.exp(0.664 * (1.0 - t**3.91 / (1055.0**3.91 + t**3.91)))
        c = y[0] / v1
        return [
            rate - linear * c - v1 * 0.136 * c / (0.300 + c) - q * c + q * y[1] / v2,
            q * c - q * y[1] / v2,
            c,
        ]

    first, later = WEEKLY_THEN_TWO
    doses = [(24.0 * (d - 1), 1.0, 75.6 * mg_per_kg) for d in first]
    doses += [(24.0 * (28 * cycle + d - 1), 1.0, 75.6 * mg_per_kg) for cycle in (1, 2) for d in later]
    expected = reference(rhs, [0.0, 0.0, 0.0], doses, 0, 4 * 28 * 3, 6.0)[:, 0]
    lines = (Dose("isatuximab", mg_per_kg, "mg/kg", first, 1, 1), Dose("isatuximab", mg_per_kg, "mg/kg", later, 2))
    course = Course(Regimen("r", "R", 28, lines), [published], typical, 1, False)
    assert_close(course.advance(4 * 28 * 3, 6.0).concentration[:, 0], expected)


@pytest.mark.parametrize("is_igg", [True, False])
@pytest.mark.parametrize("mg_per_kg", [1.0, 10.0])
def test_isatuximab_follows_the_disease(start, typical, is_igg, mg_per_kg):
    """Eight weeks of the disease as it was, then eight with a fifth of it and of the M-protein."""
    body = typical._replace(is_igg=is_igg, weight_kg=90.0, b2m_mg_per_l=6.0, is_female=True, m_protein_g_per_l=30.0)
    v1 = 5.13 * math.exp(-0.137) * (90 / 75.6) ** 0.472 * math.exp(-0.126)
    v2, q = 3.62 * (90 / 75.6) ** 0.719, 0.0432 * (90 / 75.6) ** 0.477
    change = 56 * 24.0

    def rhs(t, y, rate):
        disease = 1.0 if t < change else 0.2
        igg = 6.1 + (30.0 * disease if is_igg else 0.0)
        salvaged = ((2.42 - 1.42 * 33.1 / (21.0 + igg)) / (2.42 - 1.42 * 33.1 / 40.9)) ** 1.22
        linear = 0.01855 * (90 / 75.6) ** 0.621 * (6.0 / 3.90) ** 0.343 * salvaged * math.exp(0.8 * (disease - 1.0))
        c = y[0] / v1
        return [
            rate - linear * c - v1 * 0.136 * (0.875 + 0.125 * disease) * c / (0.300 + c) - q * c + q * y[1] / v2,
            q * c - q * y[1] / v2,
            c,
        ]

    first, later = WEEKLY_THEN_TWO
    doses = [(24.0 * (d - 1), 1.0, 90 * mg_per_kg) for d in first]
    doses += [(24.0 * (28 * cycle + d - 1), 1.0, 90 * mg_per_kg) for cycle in (1, 2, 3) for d in later]
    expected = reference(rhs, [0.0, 0.0, 0.0], doses, 0, 4 * 28 * 4, 6.0)[:, 0]
    course = start(Dose("isatuximab", mg_per_kg, "mg/kg", first, 1, 1), Dose("isatuximab", mg_per_kg, "mg/kg", later, 2), body=body)
    before = course.advance(4 * 56, 6.0).concentration[:, 0]
    course.change_body(m_protein_g_per_l=6.0, disease=0.2)
    assert_close(np.concatenate([before, course.advance(4 * 56, 6.0).concentration[:, 0]]), expected)


@pytest.mark.parametrize("is_igg", [True, False])
def test_daratumumab_against_its_publication(start, typical, is_igg):
    body = typical._replace(is_igg=is_igg, weight_kg=60.0, albumin_g_per_l=32.0, is_female=True)
    clearance = 0.00485 * (60 / 78.6) ** 0.451 * (32 / 37) ** -1.149 * (1.806 if is_igg else 1.0)
    v1 = 4.09 * (60 / 78.6) ** 0.375 * (1 - 0.205)

    def rhs(t, y, rate):
        c = y[0] / v1
        exchange = 0.0642 * (c - y[1] / 3.06)
        return [rate - clearance * c - 2.08 * math.exp(-0.0013 * t) * c / (0.93 + c) - exchange, exchange, c]

    # One dose of 1 mg/kg, which falls through the saturable range, then full doses.
    doses = [(0.0, 3.5, 60.0)]
    doses += [(24.0 * (28 * cycle + d), 3.5, 960.0) for cycle in (1, 2) for d in (0, 7, 14, 21)]
    expected = reference(rhs, [0.0, 0.0, 0.0], doses, 0, 28 * 24 * 3, 1.0)[:, 0]
    course = start(Dose("daratumumab", 1.0, "mg/kg", (1,), 1, 1), Dose("daratumumab", 16.0, "mg/kg", (1, 8, 15, 22), 2), body=body)
    assert_close(course.advance(28 * 24 * 3, 1.0).concentration[:, 0], expected)


@pytest.mark.parametrize("with_imid", [True, False])
def test_elotuzumab_against_its_publication(start, typical, with_imid):
    """In days, as published, at a serum M-protein of 2 g/dL."""
    body = typical._replace(weight_kg=60.0, age=70.0, b2m_mg_per_l=3.0)
    clearance = 0.0806 * (60 / 75) ** 1.33 * (70 / 65) ** 0.179 * (37 / 35) ** -0.346 * 1.11
    clearance /= 1.0 if with_imid else 0.74
    v1, v2, q = 3.94 * (60 / 75) ** 0.348 * 1.05, 2.01 * (60 / 75) ** 0.623, 0.515 * (60 / 75) ** 0.75
    vmax, kint = 12.2 * math.exp(0.277 * 2.0), 0.207e-3 / (1.0 if with_imid else 10.1)

    def rhs(hours, y, rate):
        c = y[0] / v1
        per_day = [
            24.0 * rate - clearance * c - q * c + q * y[1] / v2 - vmax * y[0] / (c + 298.0),
            q * c - q * y[1] / v2 - kint * y[1] * y[2],
            -kint * y[1] / v2 * y[2],
            24.0 * c,
        ]
        return np.array(per_day) / 24.0

    first, later = WEEKLY_THEN_TWO
    doses = [(24.0 * (28 * cycle + d - 1), 1.0, 600.0) for cycle in (0, 1) for d in first]
    doses += [(24.0 * (56 + d - 1), 1.0, 600.0) for d in later]
    expected = reference(rhs, [0.0, 0.0, 832.0, 0.0], doses, 0, 4 * 28 * 3, 6.0)[:, 0]
    lines = [Dose("elotuzumab", 10.0, "mg/kg", first, 1, 2), Dose("elotuzumab", 10.0, "mg/kg", later, 3)]
    if with_imid:
        lines.append(Dose("pomalidomide", 4.0, "mg", (1,)))
    assert_close(start(*lines, body=body).advance(4 * 28 * 3, 6.0).concentration[:, 0], expected)


SMALL = {
    "pomalidomide": (Dose("pomalidomide", 4.0, "mg", tuple(range(1, 22))), 28),
    "lenalidomide": (Dose("lenalidomide", 25.0, "mg", tuple(range(1, 22))), 28),
    "carfilzomib": (Dose("carfilzomib", 56.0, "mg/m2", (1, 2, 8, 9, 15, 16)), 28),
    "bortezomib": (Dose("bortezomib", 1.3, "mg/m2", (1, 4, 8, 11)), 21),
    "dexamethasone": (Dose("dexamethasone", 40.0, "mg", (1, 8, 15, 22)), 28),
}


@pytest.mark.parametrize("dt", [1.0, 6.0])
@pytest.mark.parametrize("name", SMALL)
def test_small_molecules_against_an_independent_solver(start, typical, name, dt):
    dose, cycle_days = SMALL[name]
    course = start(dose, cycle_days=cycle_days)
    p = course.kinetics(name)
    is_absorbed = p.absorption_rate > 0.0

    def rhs(t, y, rate):
        gut, blood, tissue, engaged = y[:4]
        c = blood / p.central_volume
        grip = p.onset_rate * (max(c, 0.0) ** p.steepness / (max(c, 0.0) ** p.steepness + p.ec50**p.steepness))
        exchange = p.intercompartmental_clearance * (c - tissue / p.peripheral_volume)
        return [
            -p.absorption_rate * gut,
            p.absorption_rate * gut + rate - p.clearance * c - exchange,
            exchange,
            grip * (1.0 - engaged) - math.log(2.0) / p.recovery_half_life * engaged,
            c,
            engaged,
        ]

    n_steps = int(2 * cycle_days * 24 / dt)
    given = [
        (24.0 * (cycle * cycle_days + day - 1), course.drugs[0].infusion_hours, dose.milligrams(typical))
        for cycle in (0, 1)
        for day in dose.days
    ]
    expected = reference(rhs, [0.0] * 6, given, 0 if is_absorbed else 1, n_steps, dt, 2)
    exposure = course.advance(n_steps, dt)
    assert_close(exposure.concentration[:, 0], expected[:, 0])
    assert_close(exposure.effect[:, 0], expected[:, 1], floor=1e-4)


def test_linear_step_is_the_matrix_exponential():
    flow = Flow(1.1, 0.3, 0.5, 0.02, 0.0, 1.0, 0.0, 2.0, 50.0, 7.0)
    x = linear_step(Amounts(10.0, 4.0, 30.0, 0.0, 0.0), flow, propagator(flow, 2.5))
    assert tuple(x) == pytest.approx(exact(flow, (10.0, 4.0, 30.0), 2.5), rel=1e-12)


def test_one_compartment_and_equal_rates_are_no_special_cases():
    alone = Flow(0.0, 0.3, 0.0, 0.0, 0.0, 1.0, 0.0, 2.0, 1.0, 7.0)
    x = linear_step(Amounts(0.0, 4.0, 0.0, 0.0, 0.0), alone, propagator(alone, 2.5))
    assert tuple(x) == pytest.approx(exact(alone, (0.0, 4.0, 0.0), 2.5), rel=1e-12)
    flip = Flow(0.3, 0.3, 0.0, 0.0, 0.0, 1.0, 0.0, 2.0, 1.0, 0.0)
    # Bateman's function where both rates are the same: dose k t exp(-k t).
    x = linear_step(Amounts(10.0, 0.0, 0.0, 0.0, 0.0), flip, propagator(flip, 2.5))
    assert x.central == pytest.approx(10.0 * 0.3 * 2.5 * math.exp(-0.75), rel=1e-9)


def exact(flow, x, h):
    """Depot, central, peripheral, (no target), area; the fifth unknown is the constant 1."""
    m = np.zeros((5, 5))
    m[0, 0] = -flow.absorption
    m[1] = [flow.absorption, -flow.elimination - flow.outward, flow.inward, 0.0, flow.infusion]
    m[2, 1], m[2, 2] = flow.outward, -flow.inward
    m[3, 1] = 1.0 / flow.volume
    y = expm(m * h) @ np.array([*x, 0.0, 1.0])
    return y[0], y[1], y[2], 0.0, y[3]


def test_clearance_factor_by_hand():
    assert clearance_factor(0.0, 0.664, 1055.0, 3.91) == pytest.approx(math.exp(0.664))
    assert clearance_factor(1055.0, 0.664, 1055.0, 3.91) == pytest.approx(math.exp(0.332))
    assert clearance_factor(1e9, 0.664, 1055.0, 60.0) == pytest.approx(1.0)
    assert clearance_factor(500.0, 0.0, 1055.0, 3.91) == 1.0


def test_engagement_by_hand():
    assert engagement_rate(0.0, 3.0, 0.1, 2.0) == 0.0
    assert engagement_rate(0.1, 3.0, 0.1, 2.0) == pytest.approx(1.5)
    assert engagement_rate(0.3, 3.0, 0.1, 1.0) == pytest.approx(3.0 * 0.75)
    # No drug: half is left after one half-life, and its mean is (1 - 1/2) / ln 2 of the start.
    after, area = engage(0.8, (0.0, 0.0, 0.0), math.log(2.0) / 24.0, 24.0)
    assert after == pytest.approx(0.4)
    assert area / 24.0 == pytest.approx(0.8 * 0.5 / math.log(2.0), rel=2e-3)
    # A constant rate r: towards r / (r + recovery) at r + recovery.
    after, _ = engage(0.0, (0.3, 0.3, 0.3), 0.1, 5.0)
    assert after == pytest.approx(0.75 * (1.0 - math.exp(-2.0)))
