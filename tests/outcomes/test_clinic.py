"""What a clinic gets to see: bands, marrows and symptoms, by hand."""

import math

import pytest

from tme_abm.foundation.declare import GRADES, notes
from tme_abm.outcomes import clinic, imwg
from tme_abm.outcomes.clinic import Params, Symptoms, comigrates, is_visible

P = Params()


def test_only_an_igg_kappa_protein_can_lie_under_the_band():
    share = P.comigrating_share
    assert comigrates("IgG", "kappa", share - 1e-9, P) and not comigrates("IgG", "kappa", share, P)
    assert not comigrates("IgA", "kappa", 0.0, P) and not comigrates("IgG", "lambda", 0.0, P)
    assert not comigrates("IgG", "kappa", 0.0, P._replace(comigrating_share=0.0))


def test_the_share_is_that_of_the_patients_whose_bands_ran_together():
    """13 of 40 patients, over 0.65 x 0.65 with IgG-kappa."""
    assert pytest.approx(13 / 40 / (0.65 * 0.65), abs=0.005) == P.comigrating_share


def test_a_band_is_seen_from_its_limit_on():
    """100 ug/mL is 0.1 g/L; and one gel has one limit, whoever's protein it is."""
    assert is_visible(100.0, P) and not is_visible(99.0, P)
    assert P.antibody_limit == imwg.Params().immunofixation_limit


def symptoms(uniform, rate=0.1, start=0.3):
    return Symptoms(0.0, start, uniform, P._replace(clinical_rate=rate))


def test_symptoms_come_when_the_hazard_met_reaches_the_threshold():
    """At the burden of the start 0.1 a month: ln 2 is met after 6.93 months of 30.4375 days, day 210.98."""
    one = symptoms(0.5)
    assert one.by(196.0, 0.3) is None
    assert one.by(224.0, 0.3) == pytest.approx(10.0 * math.log(2.0) * 30.4375)
    assert symptoms(0.5).by(224.0, 0.3) == pytest.approx(10.0 * math.log(2.0) * 30.4375)  # in one leap as well


def test_symptoms_follow_the_burden():
    """A hundredth of the burden gives a tenth of the hazard, its root; from all to nothing between two visits counts as half."""
    one = symptoms(0.5, start=0.3)
    one.by(0.001, 0.003)
    assert one.by(2000.0, 0.003) is None and one.by(2200.0, 0.003) == pytest.approx(2109.8, abs=0.5)
    in_proportion = Symptoms(0.0, 0.3, 0.5, P._replace(clinical_rate=0.1, clinical_exponent=1.0))
    in_proportion.by(0.001, 0.03)
    assert in_proportion.by(2200.0, 0.03) == pytest.approx(2109.8, abs=0.5)
    assert symptoms(0.5).by(400.0, 0.0) is None
    assert symptoms(0.5).by(430.0, 0.0) == pytest.approx(2 * 210.98, abs=0.05)


def test_without_a_rate_or_a_disease_there_are_none():
    assert symptoms(0.999, rate=0.0).by(1e6, 0.9) is None
    assert symptoms(0.999, start=0.0).by(1e6, 0.9) is None


def test_who_draws_higher_waits_longer():
    days = [symptoms(u).by(1e5, 0.3) for u in (0.1, 0.5, 0.9)]
    assert days == sorted(days) and days[0] < days[2]


def test_every_number_is_described():
    described = notes(clinic.Params)
    assert list(described) == list(Params._fields)
    assert all(n.unit and n.meaning and n.source and n.grade in GRADES for n in described.values())
