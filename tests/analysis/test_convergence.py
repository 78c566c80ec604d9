"""Convergence: its statistics against lifelines and by hand, its machinery, and what a few patients can say with its error."""

import json

import numpy as np
import pandas as pd
import pytest

from tme_abm.analysis.convergence import axes, statistics
from tme_abm.analysis.convergence.axes import Axis, Choice, axes_of
from tme_abm.analysis.convergence.page import BY_HAND, document, verdict, write_page
from tme_abm.analysis.convergence.run import converge
from tme_abm.analysis.convergence.statistics import Sample, interval, log_hazard_ratio, median, patients_needed, resampled
from tme_abm.analysis.run_book import BOOK
from tme_abm.batch.desk import Desk
from tme_abm.batch.executors import Threads
from tme_abm.foundation.errors import InputError
from tme_abm.scenario.kinds import load_scenario
from tme_abm.trial.comparison import hazard_ratio
from tme_abm.trial.survival import Survival, quantile_time


@pytest.mark.parametrize("seed", range(4))
def test_the_hazard_ratio_is_that_of_the_cox_model(seed):
    """With heavy ties, as visits every 28 days give them."""
    rng = np.random.default_rng(seed)
    months = np.ceil(np.concatenate((rng.exponential(6.0, 40), rng.exponential(9.0, 40)))).clip(max=14.0)
    event = months < 14.0
    none = np.zeros((40, 2))
    own = log_hazard_ratio(Sample(months.reshape(2, 40).T, event.reshape(2, 40).T, none, none, {}))
    who = np.arange(40)
    other = hazard_ratio(Survival(months[:40], event[:40], who), Survival(months[40:], event[40:], who))
    assert own == pytest.approx(np.log(other.value), abs=1e-6)


def test_there_is_no_hazard_ratio_without_events_or_under_separation():
    none = np.zeros((3, 2))
    assert np.isnan(log_hazard_ratio(Sample(np.ones((3, 2)), np.zeros((3, 2), bool), none, none, {})))
    late, early = np.full(3, 9.0), np.array([1.0, 2.0, 3.0])
    event = np.repeat([[False, True]], 3, axis=0)
    assert np.isnan(log_hazard_ratio(Sample(np.stack((late, early), axis=1), event, none, none, {})))


@pytest.mark.parametrize("n", [5, 6, 11, 40])
def test_the_median_is_that_of_kaplan_and_meier(n):
    rng = np.random.default_rng(n)
    months = np.ceil(rng.exponential(6.0, n)).clip(max=12.0)
    event = months < 12.0
    assert median(months, event) == pytest.approx(quantile_time(Survival(months, event, np.arange(n)))[0])


def test_a_median_beyond_the_horizon_is_none():
    assert np.isnan(median(np.array([1.0, 5.0, 5.0]), np.array([True, False, False])))


def test_the_bootstrap_error_is_that_of_theory():
    """The standard error of a mean, and of the difference of two means of the same patients; 400 resamples know it to about 4 %."""
    rng = np.random.default_rng(1)
    one = rng.exponential(size=(200, 2))
    other = one + 0.1 * rng.normal(size=(200, 2))
    event = np.ones((200, 2), bool)
    values = resampled([Sample(months, event, months, months, {}) for months in (one, other)], 400)
    place = list(statistics.ENDPOINTS).index("mean PFS, arm")
    found = interval(values[:, 0, place])
    assert found.value == pytest.approx(one[:, 0].mean())
    assert found.error == pytest.approx(one[:, 0].std() / np.sqrt(200), rel=0.15)
    assert found.low == pytest.approx(found.value - 1.96 * found.error, abs=0.3 * found.error)
    difference = interval(values[:, 0, place] - values[:, 1, place])
    assert difference.error == pytest.approx((one - other)[:, 0].std() / np.sqrt(200), rel=0.15)


def test_there_is_no_interval_where_values_are_missing():
    assert interval(np.array([np.nan, 1.0, 2.0])) == (None, None, None, None)
    assert interval(np.array([1.0, np.nan, 2.0, 3.0])) == (1.0, None, None, None)


def test_patients_needed_by_hand():
    """An error of 0.2 with 100 patients: 10 % of a hazard ratio takes 100 (1.96 0.2 / log 1.1)^2 = 1692 patients."""
    blank = {"value": 1.0, "error": None, "low": None, "high": None}
    estimates = dict.fromkeys(statistics.ENDPOINTS, blank) | {"log hazard ratio": blank | {"error": 0.2}}
    rows = patients_needed([{"n": 100, "estimates": estimates}])
    found = {(row["endpoint"], row["half_width"]): row["patients"] for row in rows}
    assert found["log hazard ratio", 0.10] == 1692
    assert found["median PFS, arm", 1.0] is None


def test_axes_hold_the_study_s_own_choice():
    own = Choice(6.0, 64)
    assert axes_of((2, 1), (128,), own) == [
        Axis("step", (Choice(6.0, 64), Choice(2.0, 64), Choice(1.0, 64))),
        Axis("patch", (Choice(6.0, 64), Choice(6.0, 128))),
    ]
    assert [axis.name for axis in axes_of((), (128, 64), own)] == ["patch"]


@pytest.mark.parametrize(
    ("steps", "sides", "message"),
    [
        ((), (), "nothing to compare"),
        ((6.0,), (64,), "nothing to compare"),
        ((5.0,), (), "a step of 5 h does not divide a day"),
        ((0.0,), (), "a step of 0 h does not divide a day"),
    ],
)
def test_what_cannot_be_compared(steps, sides, message):
    with pytest.raises(InputError, match=message):
        axes_of(steps, sides, Choice(6.0, 64))


def test_a_study_that_compares_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="untreated compares no arms"):
        converge(load_scenario("untreated", patients=2), tmp_path, axes_of((2,), (), Choice(6.0, 64)))


def test_a_patch_that_is_not_square_is_refused():
    with pytest.raises(InputError, match="square patches, not 32 x 64 sites"):
        axes.own_choice(load_scenario("icaria", ["marrow.shape=[32, 64]"]))


# ---- a run -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study():
    """Eight patients of ICARIA-MM."""
    return load_scenario("icaria", ["marrow.shape=[32, 32]"], patients=8, seed=5)


@pytest.fixture(scope="module")
def ran(study, tmp_path_factory):
    """Steps of 6 and 3 hours, patches of 32 and 48 sites, for four months."""
    folder = tmp_path_factory.mktemp("convergence")
    return folder, converge(study, folder, axes_of((3.0,), (48,), Choice(6.0, 32)), 112.0, Desk(Threads(2)))


def test_every_choice_runs_the_same_patients(ran, check_crate):
    check_crate(ran[0], "icaria")
    rows = pd.DataFrame([json.loads(line) for line in (ran[0] / BOOK).read_text().splitlines()[1:]])
    assert len(rows) == 8 * 3 * 2 and (rows["status"] == "completed").all()
    died = rows[rows["event_kind"] == "death"]
    assert died.groupby("patient")["pfs_days"].nunique().le(1).all()  # deaths of other causes are on the same day
    assert set(zip(rows["step_h"], rows["height"], strict=True)) == {(6.0, 32), (3.0, 32), (6.0, 48)}


def test_a_difference_to_itself_is_nothing_and_errors_are_smaller_than_those_of_the_values(ran):
    for axis in ran[1]["axes"]:
        assert [entry["choice"] for entry in axis["choices"] if not entry["differences"]] == [axis["finest"]]
        coarse = axis["choices"][0]
        for name in ("early burden, arm", "early burden, reference", "mean PFS, arm"):
            assert coarse["differences"][name]["error"] < coarse["estimates"][name]["error"]


def test_a_step_of_six_hours_is_as_good_as_one_of_three_within_the_error_of_eight_patients(ran):
    """Burden of Pd after three visits: the paired difference lies within four standard errors, and those are below 0.1 (26 %)."""
    step = next(axis for axis in ran[1]["axes"] if axis["name"] == "step")
    difference = step["choices"][0]["differences"]["early burden, reference"]
    assert difference["error"] < 0.1
    assert abs(difference["value"]) < 4.0 * difference["error"]


def test_what_stands_on_disk_is_not_run_again(study, ran):
    told = []
    again = converge(study, ran[0], axes_of((3.0,), (48,), Choice(6.0, 32)), 112.0, Desk(Threads(1), say=told.append))
    assert told == ["all runs stand on disk"]
    seconds = {"wall_seconds"}
    assert {k: v for k, v in again.items() if k not in seconds} == {k: v for k, v in ran[1].items() if k not in seconds}


def test_the_page_says_what_was_found(ran, tmp_path):
    text, picture = write_page(ran[1], tmp_path, "tme converge icaria")
    page = text.read_text(encoding="utf-8")
    assert page == document(ran[1], "tme converge icaria", "images/convergence.png")
    assert page.startswith("# Convergence") and f"`tme converge icaria`, model {ran[1]['model']}." in page
    for axis in ran[1]["axes"]:
        assert verdict(axis) in page
        assert all(f"| {entry['choice']} |" in page for entry in axis["choices"])
    assert picture.read_bytes().startswith(b"\x89PNG")
    table = pd.read_csv(ran[0] / "convergence.csv")
    assert set(table["endpoint"]) == set(statistics.ENDPOINTS)


def test_what_was_written_by_hand_stays(ran, tmp_path):
    text, _ = write_page(ran[1], tmp_path, "tme converge icaria")
    generated = text.read_text(encoding="utf-8")
    text.write_text(f"old\n{BY_HAND}## Why\n", encoding="utf-8")
    write_page(ran[1], tmp_path, "tme converge icaria")
    assert text.read_text(encoding="utf-8") == f"{generated}\n{BY_HAND}## Why\n"
