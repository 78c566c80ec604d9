"""FcRn: how much faster antibodies go where there is much IgG."""

import pytest

from tme_abm.pharmacology.drug import Covariate
from tme_abm.pharmacology.salvage import OTHER_IGG, catabolism, igg


def test_by_hand():
    assert catabolism(12.1) == pytest.approx(1.0)  # a normal level
    # 2.42 - 1.42 x 33.1 / (21 + 29) with 29 g/L, and half of 21 + 21 = 42
    assert catabolism(29.0) == pytest.approx(2.42 - 1.42 * 33.1 / 50.0)
    assert catabolism(21.0) == pytest.approx(2.42 - 1.42 * 33.1 / 42.0)


def test_catabolism_rises_with_igg_between_none_and_all():
    levels = [catabolism(x) for x in (0.0, 1.0, 5.0, 10.0, 20.0, 50.0, 1e6)]
    assert levels == sorted(levels)
    assert 0.0 < levels[0] < 0.2
    assert levels[-1] == pytest.approx(2.42, abs=1e-3)  # nothing is salvaged


def test_only_an_igg_counts():
    assert igg(0.0, 40.0) == OTHER_IGG
    assert igg(1.0, 40.0) == OTHER_IGG + 40.0


def test_as_a_covariate(drug):
    """Of the reference itself 1, and with an IgG M-protein the published 2.12 of a patient without one (fau2020)."""
    (effect,) = (c for c in drug("isatuximab").covariates if c.form == "salvage")
    assert effect.multiplier(effect.reference) == 1.0
    assert effect.multiplier(19.9) / effect.multiplier(OTHER_IGG) == pytest.approx(2.12, rel=0.01)
    assert isinstance(effect, Covariate)
    none = Covariate("clearance", "igg_g_per_l", "salvage", 19.9, 0.0, effect.origin)
    assert none.multiplier(60.0) == 1.0  # a drug that FcRn does not hold
