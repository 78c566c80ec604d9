"""Half-lives from clearance and volumes, and back by the formula of the tutorial on drugs."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from tme_abm.pharmacology.compartments import Antibody
from tme_abm.pharmacology.drug import FOLDER, load_drug
from tme_abm.pharmacology.half_life import half_life, half_life_in_words, in_words

TUTORIAL = (Path(__file__).parents[2] / "docs" / "tutorials" / "04_drug.md").read_text(encoding="utf-8")


def test_the_half_lives_are_those_of_the_matrix_of_rates():
    """Eigenvalues of the two compartments; one compartment alone."""
    p = Antibody(0.01, 3.5, 0.02, 2.8)
    rates = np.array([[-(p.clearance + 0.02) / 3.5, 0.02 / 2.8], [0.02 / 3.5, -0.02 / 2.8]])
    slow, fast = sorted(-np.linalg.eigvals(rates).real)
    assert (half_life(p).slow, half_life(p).fast) == pytest.approx((math.log(2) / slow, math.log(2) / fast))
    assert half_life(p._replace(intercompartmental_clearance=0.0)).slow == pytest.approx(math.log(2) * 3.5 / 0.01)


def test_the_formula_of_the_tutorial_gives_the_clearance_back():
    assert "CL = Vc \u03bb (k12 + k21 - \u03bb) / (k21 - \u03bb)" in TUTORIAL
    days, vc, vp, q, cl = map(
        float, re.search(r"With ([\d.]+) days, ([\d.]+) L, ([\d.]+) L and ([\d.]+) L/h it gives ([\d.]+) L/h", TUTORIAL).groups()
    )
    rate, k12, k21 = math.log(2) / (24 * days), q / vc, q / vp
    assert vc * rate * (k12 + k21 - rate) / (k21 - rate) == pytest.approx(cl, rel=0.01)
    assert half_life(Antibody(cl, vc, q, vp)).slow / 24 == pytest.approx(days, rel=0.01)


def test_saturable_elimination_is_said():
    isatuximab, dexamethasone = load_drug("isatuximab"), load_drug("dexamethasone")
    assert "saturable" in half_life_in_words(isatuximab) and "saturable" not in half_life_in_words(dexamethasone)
    p = isatuximab.kinetics.params
    assert half_life_in_words(isatuximab).startswith(f"isatuximab {in_words(half_life(p).fast)}, then {in_words(half_life(p).slow)} (")
    assert half_life_in_words(dexamethasone) == f"dexamethasone {in_words(half_life(dexamethasone.kinetics.params).slow)}"


def test_the_tutorial_lists_what_daratumumab_has_of_its_own():
    said = TUTORIAL.split("Daratumumab's own file sets ")[1].split("so with its sections")[0]
    mechanisms = FOLDER.joinpath("daratumumab.toml").read_text(encoding="utf-8").split("[mechanisms.binding]")[1]
    assert set(re.findall(r"^(\w+) = ", mechanisms, re.MULTILINE)) == set(re.findall(r"`(\w+)`", said)) - {"adcc", "adcp", "cdc"}
