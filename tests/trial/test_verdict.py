"""The rule by which a simulated result passes beside a published one: by hand, and said alike wherever it is said."""

import math
from pathlib import Path

import pytest

from tme_abm.trial.verdict import FEWEST_PATIENTS, MISS, NONE, PASS, RULE, Beside, verdict

NOTHING = math.nan


def row(kind, endpoint, published, simulated, low=NOTHING, high=NOTHING, is_subgroup=False, n=0, known_months=NOTHING):
    return Beside(kind, endpoint, is_subgroup, published, low, high, simulated, n, known_months)


@pytest.mark.parametrize(
    ("beside", "wanted"),
    [
        (row("ratio", "hazard_ratio_pfs", 0.60, 0.66, 0.44, 0.81), PASS),
        (row("ratio", "hazard_ratio_pfs", 0.60, 0.46, 0.44, 0.81), MISS),  # inside, 0.14 from the point
        (row("ratio", "hazard_ratio_pfs", 0.60, 0.67, 0.55, 0.65), MISS),  # outside of the interval
        (row("ratio", "hazard_ratio_pfs", 0.60, 0.67), PASS),  # no interval was published: the point decides
        (row("ratio", "hazard_ratio_pfs", 0.60, 0.80, 0.44, 0.81, True), PASS),  # a subgroup needs its interval only
        (row("ratio", "hazard_ratio_pfs", 0.60, 0.82, 0.44, 0.81, True), MISS),
        (row("ratio", "hazard_ratio_pfs", 0.60, 0.60, is_subgroup=True), NONE),
        (row("ratio", "hazard_ratio_pfs", 0.60, NOTHING, 0.44, 0.81), NONE),
        (row("months", "median_pfs", 10.0, 11.5), PASS),
        (row("months", "median_pfs", 10.0, 8.4), MISS),
        (row("months", "median_pfs", 10.0, NOTHING, known_months=11.5), MISS),  # not reached where it would have had to be
        (row("months", "median_pfs", 10.0, NOTHING, known_months=11.4), NONE),  # not followed so long
        (row("months", "median_pfs", 10.0, NOTHING), NONE),
        (row("months", "median_pfs_difference", 0.5, 2.4, -1.0, 2.5), PASS),  # by the published interval alone
        (row("months", "median_pfs_difference", 0.5, 2.6, -1.0, 2.5), MISS),
        (row("months", "median_pfs_difference", 0.5, NOTHING, -1.0, 2.5), NONE),
        (row("months", "median_pfs_difference", NOTHING, 2.4, -1.0, 2.5), PASS),
        (row("months", "median_pfs_difference", 5.0, 5.1), NONE),
        (row("rate", "orr", 0.60, 0.66), PASS),
        (row("rate", "orr", 0.60, 0.67), MISS),
        (row("rate", "cr_or_better", 0.60, 0.67), PASS),
        (row("rate", "cr_or_better_after_mass_spectrometry", 0.458, 0.54), MISS),
        (row("rate", "mrd_negative", 0.60, 0.51), MISS),
        (row("rate", "pfs_36_months", NOTHING, 0.5), NONE),
        (row("rate", "orr", 0.0, 0.02, n=34), PASS),  # nobody in 0.98^34 = 50.3 % of such trials
        (row("rate", "orr", 0.0, 0.02, n=35), MISS),  # 49.3 %
    ],
)
def test_the_rule_by_hand(beside, wanted):
    assert verdict(beside) == wanted


def test_a_run_too_small_to_tell_has_no_verdict():
    """One standard error of a response of one half in 70 patients is 5.98 points, in 69 it is 6.02; overall response may differ by 6."""
    assert FEWEST_PATIENTS == 70
    orr = row("rate", "orr", 0.353, 0.50)
    never = row("months", "median_pfs", 10.0, NOTHING, known_months=20.0)
    ratio = row("ratio", "hazard_ratio_pfs", 0.60, 0.90, 0.44, 0.81)
    for beside in (orr, never, ratio):
        assert [verdict(beside._replace(n_run=n)) for n in (None, 70, 69, 6)] == [MISS, MISS, NONE, NONE]
        assert verdict(beside._replace(n_run=400)) == MISS
    for one in (ratio, ratio._replace(is_subgroup=True), ratio._replace(simulated=0.60)):
        assert verdict(one._replace(n_run=400, has_own_interval=False)) == NONE
    assert verdict(orr._replace(n_run=400, has_own_interval=False)) == MISS


def test_the_rule_is_said_in_the_same_words_in_the_record_of_the_fits():
    text = (Path(__file__).parents[2] / "docs" / "calibration.md").read_text(encoding="utf-8")
    assert f"fewer than {FEWEST_PATIENTS} patients" in RULE
    assert RULE in " ".join(text.replace("\n> ", "\n").split())
