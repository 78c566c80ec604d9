"""S29, X14: what immune recovery, and what only isatuximab can do, contribute to how long the disease is controlled."""

import numpy as np
import pytest

from tme_abm.scenario import read
from tme_abm.trial.statistics import hazard_ratio, survival

RECOVERY = ("depletion", "ectoenzyme", "t_cell_recovery")  # suppressors removed, adenosine lowered, reactive T cells expanding
LONG = 96  # months of follow-up
ISATUXIMAB_ONLY = ("direct_killing", "ectoenzyme")
PUBLISHED_ERROR = np.log(0.814 / 0.436) / 3.92  # standard error of the log hazard ratio of ICARIA-MM


@pytest.fixture(scope="module")
def long_icaria(follow, full):
    """ICARIA-MM without death, drop-out and discontinuation, followed for eight years: PFS [d] of each patient under Pd and under versions of Isa-Pd, and the tables."""
    table = {name: entry for name, entry in read("icaria").table.items() if name != "published"}
    none = {"fixed": {"value": 0.0}, "unit": "1/month", "source": "tme_abm", "grade": "A"}
    exits = ("death_rate_per_month", "dropout_rate_per_month", "discontinuation_rate_per_month")
    table["population"] = {"inherits": "icaria", "quantities": {name: none | {"effects": []} for name in exits}}
    table["trial"] = {**table["trial"], "follow_up": [f"{LONG} month", f"{LONG} month"]}
    table["marrow"] = {"shape": [64, 64] if full else [32, 32]}
    table["patients"] = 200 if full else 64
    alone = {**table, "arms": {"isa-pd": table["arms"]["isa-pd"]}, "trial": {**table["trial"], "compare": []}}
    return {
        "all": follow(table),
        "without recovery": follow(alone, without=RECOVERY),
        "without isatuximab's own": follow(alone, without=ISATUXIMAB_ONLY),
    }


def course(table):
    """PFS [month] and whether it ended in an event, of each patient under Isa-Pd, each (n_patients,)."""
    rows = table[table["arm"] == "isa-pd"].sort_values("patient")
    return rows["pfs_days"].to_numpy() / 30.4375, rows["pfs_event"].to_numpy(bool)


def free(months, event, start, end):
    """Mean months free of progression between two months: the area under the Kaplan-Meier curve."""
    order = np.argsort(months, kind="stable")
    share = np.cumprod(1.0 - event[order] / np.arange(months.size, 0, -1))
    edges = np.concatenate([[0.0], months[order], [np.inf]])
    spans = np.clip(edges[1:], start, end) - np.clip(edges[:-1], start, end)
    return float((np.concatenate([[1.0], share]) * spans).sum())


def test_s29_without_immune_recovery_the_tail_shortens_more_than_the_median(long_icaria, record_property):
    """Months free of progression that are lost after the median of the whole arm, over those lost before it; errors from 500 resamplings of the patients."""
    (whole, ended), (without, ended_without) = course(long_icaria["all"]), course(long_icaria["without recovery"])
    median = np.median(whole)
    chance = np.random.default_rng(29)
    lost = []
    for i in [np.arange(whole.size)] + [chance.integers(whole.size, size=whole.size) for _ in range(500)]:
        lost.append([free(whole[i], ended[i], *span) - free(without[i], ended_without[i], *span) for span in ((0.0, median), (median, LONG))])
    early, late = np.array(lost).T
    excess, error = (late - early)[0], (late - early)[1:].std(ddof=1)
    record_property(
        "S29",
        f"without immune recovery the median PFS under Isa-Pd is {np.median(without):.1f} in place of {median:.1f} months; {early[0]:.1f} months free of "
        f"progression are lost before that median and {late[0]:.1f} after it, within eight years; difference {excess:.1f} (SE {error:.1f}, n = {whole.size})",
    )
    assert early[0] > 0.0
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
        f"log hazard ratio of Isa-Pd against Pd moves by {moved[0]:.3f} (SE {error:.3f}, n = {patients.size}) without direct killing and the block of the enzyme",
    )
    assert abs(moved[0]) + 1.645 * error < PUBLISHED_ERROR
