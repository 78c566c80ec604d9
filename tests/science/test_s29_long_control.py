"""S29, X14: what immune recovery, and what only isatuximab can do, contribute to how long the disease is controlled."""

import numpy as np
import pytest

from tme_abm.scenario.reading import read
from tme_abm.trial.comparison import hazard_ratio
from tme_abm.trial.survival import survival

RECOVERY = ("depletion", "ectoenzyme", "t_cell_recovery")  # suppressors removed, adenosine lowered, reactive T cells expanding
LONG = 96  # months of follow-up
ISATUXIMAB_ONLY = ("direct_killing", "ectoenzyme")
PUBLISHED_ERROR = np.log(0.814 / 0.436) / 3.92  # standard error of the log hazard ratio of ICARIA-MM


@pytest.fixture(scope="module")
def long_icaria(follow, full):
    """ICARIA-MM for eight years without death, drop-out and discontinuation: PFS [d] under Pd and versions of Isa-Pd, and tables."""
    table = {name: entry for name, entry in read("icaria").table.items() if name != "published"}
    none = {"fixed": {"value": 0.0}, "unit": "1/month", "source": "tme_abm", "grade": "A"}
    exits = ("death_rate_per_month", "dropout_rate_per_month", "discontinuation_rate_per_month")
    table["population"] = {"inherits": "icaria", "quantities": {name: none | {"effects": []} for name in exits}}
    table["trial"] = {**table["trial"], "follow_up": [f"{LONG} month", f"{LONG} month"]}
    table["marrow"] = {"shape": [32, 32]}
    table["patients"] = 512 if full else 64
    alone = {**table, "arms": {"isa-pd": table["arms"]["isa-pd"]}, "trial": {**table["trial"], "compare": []}}
    return {
        "all": follow(table),
        "without recovery": follow(alone, without=RECOVERY),
        "without isatuximab's own": follow(alone, without=ISATUXIMAB_ONLY),
    }


def months(table):
    """PFS [month] of each patient under Isa-Pd (n_patients,); the follow-up where she did not progress."""
    rows = table[table["arm"] == "isa-pd"].sort_values("patient")
    return rows["pfs_days"].to_numpy() / 30.4375


def longer(whole, without):
    """Log of the ratio of each patient's PFS with and without, meaned over the half that is early to progress and the half that is late.

    The halves are told by both arms together, so that neither is chosen for its chance. Were every PFS shortened by one factor, both
    would be alike.
    """
    ratio, both = np.log(whole / without), np.log(whole * without)
    is_late = both > np.median(both)
    return ratio[~is_late].mean(), ratio[is_late].mean()


def test_s29_without_immune_recovery_the_late_half_loses_more(long_icaria, record_property):
    """Same patients, same dice; errors from 1000 resamplings. The full form has 512 patients."""
    whole, without = months(long_icaria["all"]), months(long_icaria["without recovery"])
    chance = np.random.default_rng(29)
    draws = [np.arange(whole.size)] + [chance.integers(whole.size, size=whole.size) for _ in range(1000)]
    early, late = np.array([longer(whole[i], without[i]) for i in draws]).T
    excess, error = (late - early)[0], (late - early)[1:].std(ddof=1)
    record_property(
        "S29",
        f"without immune recovery the median PFS under Isa-Pd is {np.median(without):.1f} in place of {np.median(whole):.1f} "
        f"months; it is shorter by the factor {np.exp(early[0]):.2f} in the early half and {np.exp(late[0]):.2f} in the late "
        f"half; difference of the logs {excess:.3f} (SE {error:.3f}, n = {whole.size})",
    )
    assert late[0] > 2.0 * late[1:].std(ddof=1)
    assert excess > 2.0 * error


def log_hazard_ratio(isatuximab, control, keep):
    """Of the patients in `keep`."""
    rows = [table[table["patient"].isin(keep)] for table in (isatuximab, control)]
    return np.log(hazard_ratio(survival(rows[0], "isa-pd"), survival(rows[1], "pd"), "paired").value)


def test_x14_what_only_isatuximab_can_do_moves_the_hazard_ratio_little(long_icaria, record_property):
    """Two one-sided tests of equivalence at 5 %, with the jackknife over patients for the error."""
    whole, without = long_icaria["all"], long_icaria["without isatuximab's own"]
    patients = np.unique(whole["patient"])
    size = max(1, patients.size // 12)  # patients left out at a time
    left_out = [np.empty(0)] + [patients[i : i + size] for i in range(0, patients.size, size)]
    moved = np.array(
        [
            log_hazard_ratio(without, whole, keep) - log_hazard_ratio(whole, whole, keep)
            for keep in (np.setdiff1d(patients, out) for out in left_out)
        ]
    )
    n = len(moved) - 1
    error = np.sqrt((n - 1) / n * ((moved[1:] - moved[1:].mean()) ** 2).sum())
    record_property(
        "X14",
        f"log hazard ratio of Isa-Pd against Pd moves by {moved[0]:.3f} (SE {error:.3f}, n = {patients.size}) without direct "
        "killing and the block of the enzyme",
    )
    assert abs(moved[0]) + 1.645 * error < PUBLISHED_ERROR
