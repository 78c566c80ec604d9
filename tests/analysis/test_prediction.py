"""Predictions: fast statistics against lifelines, virtual trials against theory, the rule of passing by hand, runs that are taken up."""

import json
import math
import sys
import types
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tme_abm.analysis import prediction
from tme_abm.cli.app import app
from tme_abm.foundation.errors import InputError
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.reading import scenarios
from tme_abm.trial import comparison, published, survival


@pytest.fixture(scope="module")
def icaria():
    return load_scenario("icaria", patients=300)


def people(study, seed=1, ratio=0.6):
    """A patient table of a study with responses, residual disease and exponential times, on visits every month."""
    chance = np.random.default_rng(seed)
    n = study.patients
    rows = []
    for i, arm in enumerate(study.arms):
        months = np.ceil(chance.exponential((8.0 if i else 8.0 / ratio), n) * 10.0) / 10.0
        end = chance.uniform(8.0, 15.0, n)
        rows.append(
            pd.DataFrame(
                {
                    "patient": np.arange(n),
                    "arm": arm.key,
                    "status": "completed",
                    "pfs_days": np.minimum(months, end) * 30.4375,
                    "pfs_event": months <= end,
                    "best_response": np.where(np.arange(n) % 5 < 2, "PR", np.where(np.arange(n) % 5 == 2, "VGPR", "SD")),
                    "mrd_negative": np.arange(n) % 10 == 0,
                    "age": np.where(np.arange(n) % 4 == 0, 78.0, 66.0),
                    "egfr": np.where(np.arange(n) % 3 == 0, 45.0, 80.0),
                    "high_risk": np.arange(n) % 5 == 0,
                    "len_refractory": np.arange(n) % 10 != 1,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


# ---- fast statistics -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_fast_statistics_are_those_of_lifelines(lifelines, seed):
    chance = np.random.default_rng(seed)
    sizes = (chance.integers(20, 200), chance.integers(20, 200))
    months = [np.ceil(chance.exponential(8.0 / (1 + i), n) / (0.1, 1.0)[seed % 2]) for i, n in enumerate(sizes)]
    event = [chance.uniform(size=n) < 0.75 for n in sizes]
    arms = [survival.Survival(m, e, np.arange(len(m))) for m, e in zip(months, event, strict=True)]
    ours = prediction.hazard_ratio((months[0], months[1]), (event[0], event[1]))
    table = pd.DataFrame({"month": np.concatenate(months), "event": np.concatenate(event), "arm": np.repeat([1.0, 0.0], sizes)})
    # its usual precision is 1e-7 of the likelihood
    fitted = lifelines.CoxPHFitter().fit(table, "month", "event", fit_options={"precision": 1e-12})
    assert ours == pytest.approx(float(np.exp(fitted.params_["arm"])), rel=1e-6)
    for m, e, arm in zip(months, event, arms, strict=True):
        usual = survival.quantile_time(arm)[0]
        assert prediction.median(m, e) == (math.inf if usual is None else usual)
        at = float(np.quantile(m, 0.4))
        assert prediction.survival_at(m, e, at) == pytest.approx(survival.survival_at(arm, at)[0], abs=1e-12)


def test_what_has_no_estimate_is_none():
    months, nobody = np.array([1.0, 2.0, 3.0]), np.zeros(3, bool)
    assert math.isinf(prediction.median(months, nobody))
    assert math.isnan(prediction.hazard_ratio((months, months), (nobody, ~nobody)))
    late, early = months + 10.0, months
    assert math.isnan(prediction.hazard_ratio((late, early), (~nobody, ~nobody)))  # complete separation
    assert math.isnan(prediction.survival_at(months, nobody, 5.0))


# ---- virtual trials --------------------------------------------------------------------------------------------------


def test_arms_have_their_published_size(icaria):
    assert prediction.arm_sizes(icaria) == {"isa-pd": 154, "pd": 153}
    assert prediction.arm_sizes(load_scenario("ikema")) == {"isa-kd": 179, "kd": 123}
    assert prediction.arm_sizes(load_scenario("elotuzumab")) == {"elo-rd": 323, "rd": 325, "elo-pd": 58, "pd": 59}
    assert prediction.arm_sizes(load_scenario("combinations", patients=7))["isa"] == 7


def test_virtual_trials_spread_as_theory_says(icaria):
    n = 2000
    large = replace(icaria, patients=n)
    table = people(large)
    values = prediction.virtual_trials(large, table, 400)
    assert values.shape == (400, len(icaria.published))
    where = {(row.get("arm"), row["endpoint"]): i for i, row in enumerate(icaria.published) if "subgroup" not in row}
    rates = values[:, where["pd", "orr"]]
    assert rates.mean() == pytest.approx(0.6, abs=0.01)
    assert rates.std() == pytest.approx(math.sqrt(0.24 * (1 / 153 + 1 / n)), rel=0.15)
    # the arms are drawn independently: var(log HR) = 1/events + 1/events, though the same patients are in both
    ratios = np.log(values[:, where[None, "hazard_ratio_pfs"]])
    events = [table.loc[table["arm"] == arm, "pfs_event"].mean() for arm in ("isa-pd", "pd")]
    expected = math.sqrt(sum(1 / (e * m) + 1 / (e * n) for e, m in zip(events, (154, 153), strict=True)))
    assert ratios.std() == pytest.approx(expected, rel=0.15)
    whole = comparison.compare(table, "isa-pd", "pd", "paired")
    assert np.median(ratios) == pytest.approx(math.log(whole.hazard_ratio), abs=4 * expected / math.sqrt(400))


def test_subgroups_are_drawn_with_their_trial(icaria):
    table = people(icaria)
    values = prediction.virtual_trials(icaria, table, 200)
    where = {row.get("subgroup"): i for i, row in enumerate(icaria.published) if row["endpoint"] == "hazard_ratio_pfs"}
    spread = {name: np.nanstd(np.log(values[:, i])) for name, i in where.items()}
    assert spread["age>=75"] == pytest.approx(spread[None] * 2.0, rel=0.25)  # a quarter of the patients
    assert spread["lenalidomide-refractory"] == pytest.approx(spread[None], rel=0.2)  # nine in ten of them


def test_a_difference_of_medians_is_that_of_the_two_medians(icaria):
    row = {"comparison": ["isa-pd", "pd"], "endpoint": "median_pfs_difference", "value": 5.0, "role": "prediction"}
    table = people(icaria)
    medians = [prediction.median(found.months, found.event) for found in prediction.gather(icaria, table).values()]
    difference = medians[0] - medians[1]
    around, beyond = ({"ci_low": difference + low, "ci_high": difference + 3.0} for low in (-1.0, 1.0))
    study = replace(icaria, published=(row, row | around, row | beyond))
    found = prediction.beside(study, table, 30)
    assert list(found["simulated"]) == pytest.approx([difference] * 3)
    assert (found["simulated_low"] < difference).all() and (found["simulated_high"] > difference).all()
    assert list(found["verdict"]) == ["", "pass", "miss"]


def test_the_size_of_a_subgroup_is_not_that_of_its_arm(icaria):
    of_some = {"arm": "pd", "endpoint": "orr", "subgroup": "age>=75", "n": 29, "value": 0.3}
    study = replace(icaria, published=(*icaria.published, of_some))
    assert prediction.arm_sizes(study) == {"isa-pd": 154, "pd": 153}


def test_virtual_trials_are_the_same_again(icaria):
    table = people(icaria)
    once, again = (prediction.virtual_trials(icaria, table, 20) for _ in range(2))
    np.testing.assert_array_equal(once, again)


def test_an_interval_by_hand():
    assert prediction.interval(np.arange(41.0), 0.95) == (1.0, 39.0)
    assert prediction.interval(np.array([1.0, 2.0, math.inf, math.nan])) == (1.0, math.inf)
    assert all(math.isnan(end) for end in prediction.interval(np.full(3, math.nan)))


# ---- judging ---------------------------------------------------------------------------------------------------------


def test_a_row_for_each_published_figure(icaria):
    table = people(icaria)
    rows = prediction.beside(icaria, table, 30)
    assert list(rows.columns) == list(prediction.COLUMNS)
    assert len(rows) == len(icaria.published)
    assert (rows["role"] == [row["role"] for row in icaria.published]).all()
    assert rows["is_subgroup"].sum() == 4
    usual = published.compare_published(icaria.published, table, icaria.design)
    pd.testing.assert_series_equal(rows["simulated"], usual["simulated"])
    orr = rows[(rows["endpoint"] == "orr") & (rows["role"] == "prediction")].iloc[0]
    assert orr["simulated"] == 0.6 and orr["verdict"] == "pass" and orr["is_inside_published"]
    assert orr["simulated_low"] < 0.6 < orr["simulated_high"]
    assert set(rows["verdict"]) <= {"pass", "miss", ""}
    pd.testing.assert_series_equal(rows["verdict"], usual["verdict"])  # one rule for the report, the page and the predictions


# ---- running ---------------------------------------------------------------------------------------------------------


def pretend(asked):
    """Stands for the run of a study."""

    def run(study, folder):
        asked.append(study.name)
        folder.mkdir(parents=True, exist_ok=True)
        people(study).to_parquet(folder / "patients.parquet")

    return run


def test_a_study_without_figures_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"none of these scenarios"):
        prediction.predict([load_scenario("combinations")], pretend([]), tmp_path, 20)


def test_what_is_written(icaria, tmp_path):
    table = prediction.predict([icaria, load_scenario("ikema", patients=60)], pretend([]), tmp_path, 20)
    written = prediction.write(table, tmp_path, "Made for a test.")
    assert [path.name for path in written] == ["predictions.csv", "predictions.md", "predictions.svg"]
    text = written[1].read_text(encoding="utf-8")
    judged = table[(table["role"] == "prediction") & (table["verdict"] != "")]
    assert text.startswith(f"{(judged['verdict'] == 'pass').sum()} of {len(judged)} predictions pass. Made for a test.")
    assert text.count("| icaria |") + text.count("| ikema |") == len(table)
    assert len(pd.read_csv(written[0])) == len(table)


def test_all_scenarios_with_something_to_predict_are_chosen():
    names = prediction.chosen(None, scenarios("trial"), load_scenario)
    assert names == ["elotuzumab", "elotuzumab_monotherapy", "icaria", "ikema", "newly_diagnosed_induction"]
    assert prediction.chosen(["ikema"], scenarios(), load_scenario) == ["ikema"]


def test_tme_predict_prints_and_writes(tmp_path, monkeypatch, check_crate):
    monkeypatch.chdir(tmp_path)
    asked, failed = [], 0

    def execute(study, results, desk):
        pretend(asked)(study, results.new)
        (results.new / "run.json").write_text("{}", encoding="utf-8")
        (results.new / "summary.json").write_text(json.dumps({"failed": failed}), encoding="utf-8")
        results.publish()
        return {"failed": failed}

    monkeypatch.setitem(sys.modules, "tme_abm.trial.execution", types.SimpleNamespace(run_study=execute))
    call = ("predict", "--scenarios", "icaria,ikema", "--patients", "80", "--trials", "20", "--doc", "notes.md")
    nothing = CliRunner().invoke(app, [*call, "--resume"])
    assert nothing.exit_code == 2 and "no folder" in nothing.stderr and not asked
    told = CliRunner().invoke(app, list(call))
    assert told.exit_code == 0, told.output
    assert asked == ["icaria", "ikema"]
    check_crate(tmp_path / "results" / "prediction", "prediction")
    assert "predictions pass. 80 virtual patients" in told.output
    assert "<!-- predictions -->" in (tmp_path / "notes.md").read_text(encoding="utf-8")
    again = CliRunner().invoke(app, [*call, "--resume"])
    assert asked == ["icaria", "ikema"] and again.exit_code == 0
    assert again.output.count("holds this very run, finished") == 2
    assert "give one of them" in CliRunner().invoke(app, [*call, "--resume", "--force"]).stderr
    before = {path: path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()}
    other = ("predict", "--scenarios", "icaria,ikema", "--patients", "90", "--trials", "20")
    refused = CliRunner().invoke(app, list(other))
    assert refused.exit_code == 2 and "holds a finished run with size 80 patients" in refused.stderr and "--force" in refused.stderr
    assert asked == ["icaria", "ikema"] and before == {path: path.read_bytes() for path in before}
    table = tmp_path / "results" / "prediction" / "predictions.csv"
    table.write_text("with notes", encoding="utf-8")  # what somebody has changed is no longer ours
    failed = 3
    anew = CliRunner().invoke(app, [*other, "--force"])
    assert asked == ["icaria", "ikema"] * 2 and anew.exit_code == 3
    assert table.with_name("predictions.kept1.csv").read_text(encoding="utf-8") == "with notes"
    assert "count nowhere: 3 of icaria, 3 of ikema." in anew.output and "tme: 6 patients failed" in anew.stderr
