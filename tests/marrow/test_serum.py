"""The serum M-protein: half-lives of its classes, and its course against a solver."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tme_abm.marrow import serum
from tme_abm.marrow.state import Gauge, Tick

IGG = {"m_protein_half_life_low": 21.0 * 24.0, "m_protein_half_life_high": 11.0 * 24.0}
IGA = {"m_protein_half_life_low": 5.5 * 24.0, "m_protein_half_life_high": 5.5 * 24.0}


def course(marrow, tumour, hours, dt, start=30.0):
    """M-protein after a time in which the tumour (cells at hour t) changes stepwise."""
    marrow.body.gauge[Gauge.M_PROTEIN] = start
    for i in range(round(hours / dt)):
        marrow.body.burden[0] = tumour((i + 0.5) * dt)
        serum.follow(marrow, Tick(dt, i, 0))
    return marrow.body.gauge[Gauge.M_PROTEIN]


def test_half_life_of_igg_falls_with_its_concentration(bare):
    host = bare(**IGG).host
    assert math.log(2.0) / serum.clearance(0.0, host) / 24.0 == pytest.approx(21.0, rel=1e-12)
    assert math.log(2.0) / serum.clearance(1e9, host) / 24.0 == pytest.approx(11.0, rel=1e-6)
    half_way = (math.log(2.0) / 504.0 + math.log(2.0) / 264.0) / 2.0
    assert serum.clearance(20.0, host) == pytest.approx(half_way, rel=1e-12)


def test_half_life_of_iga_is_the_same_at_all_concentrations(bare):
    host = bare(**IGA).host
    for m_protein in (0.0, 20.0, 90.0):
        assert math.log(2.0) / serum.clearance(m_protein, host) == pytest.approx(132.0, rel=1e-12)


@pytest.mark.usefixtures("interpreted")
def test_without_a_tumour_half_is_gone_after_a_half_life(bare):
    assert course(bare(**IGA), lambda t: 0.0, 132.0, 6.0) == pytest.approx(15.0, rel=1e-12)
    assert course(bare(**IGG), lambda t: 0.0, 504.0, 6.0, start=1e-6) == pytest.approx(5e-7, rel=1e-6)


@pytest.mark.usefixtures("interpreted")
def test_a_steady_tumour_keeps_a_steady_m_protein(bare):
    marrow = bare(**IGG)
    tumour = 30.0 * serum.clearance(30.0, marrow.host) / marrow.host.secretion
    assert course(marrow, lambda t: tumour, 2400.0, 6.0) == pytest.approx(30.0, rel=1e-9)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("growth", [0.0, 4e-4])
def test_secretion_makes_the_m_protein_pass_its_level_with_the_growing_tumour(bare, growth):
    """IgA, whose clearance is one number: M-protein and tumour then grow in step, so that the level stands when the tumour does."""
    host = bare(**IGA).host
    rate = serum.secretion(30.0, 2e11, growth, host)
    marrow = bare(secretion=rate, **IGA)
    hours = 500.0 / 0.5
    end = course(marrow, lambda t: 2e11 * math.exp(growth * (t - hours)), hours, 0.5, start=30.0 * math.exp(-growth * hours))
    assert end == pytest.approx(30.0, rel=1e-6)


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("kind", [IGG, IGA], ids=["IgG", "IgA"])
def test_course_against_a_solver(bare, kind):
    marrow = bare(secretion=1e-13, **kind)
    host = marrow.host

    def tumour(t):
        return 8e11 * np.exp(-t / 300.0) + 5e10 * np.exp(t / 2000.0)

    def slope(t, m):
        slow, fast = math.log(2.0) / host.m_protein_half_life_low, math.log(2.0) / host.m_protein_half_life_high
        return host.secretion * tumour(t) - (slow + (fast - slow) * m / (m + 20.0)) * m

    exact = solve_ivp(slope, (0.0, 2400.0), [30.0], rtol=1e-10, atol=1e-12, method="LSODA").y[0, -1]
    errors = [abs(course(marrow, tumour, 2400.0, dt) / exact - 1.0) for dt in (6.0, 1.0)]
    assert errors[0] < 2e-3
    assert errors[1] < max(errors[0] / 3.0, 1e-5)


@pytest.mark.usefixtures("interpreted")
def test_every_clone_secretes(bare):
    marrow = bare(**IGA)
    marrow.body.burden[:] = 1e10
    serum.follow(marrow, Tick(6.0, 0, 0))
    rate = math.log(2.0) / 132.0
    assert marrow.body.gauge[Gauge.M_PROTEIN] == pytest.approx(1e-13 * 8e10 / rate * (1.0 - math.exp(-6.0 * rate)), rel=1e-12)
