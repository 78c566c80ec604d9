"""Predictions from a bank: both sources of chance in every interval, goals by the rule, skill against a rival that knows nothing."""

import math

import numpy as np
import pandas as pd
import pytest

from tme_abm.analysis import bank_prediction, draws
from tme_abm.analysis.bank.trials import play
from tme_abm.analysis.bank.weights import Weigher
from tme_abm.analysis.calibration.posterior import Posterior
from tme_abm.batch.desk import Desk
from tme_abm.batch.executors import Threads
from tme_abm.foundation.errors import InputError
from tme_abm.scenario import running
from tme_abm.scenario.kinds import load_trial

NAME = "population.imid_sensitivity.median"


def posterior(spread, n=12):
    medians = np.exp(np.linspace(-spread, spread, n))
    return Posterior((NAME,), medians[:, None], np.full(n, 1.0 / n), -np.abs(np.log(medians)))


@pytest.fixture(scope="module")
def trial(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    bank = toy(900, folder=folder)
    from tme_abm.analysis.bank.draw import population_of
    from tme_abm.patients.patient import covariates
    from tme_abm.patients.population import draw_patient

    sitting = bank.sittings[0]
    populations = [population_of(cohort, sitting.widen) for cohort in sitting.cohorts]
    rows = [covariates(draw_patient(populations[c], 31, i)) for i, c in enumerate(bank.cohort)]
    pd.DataFrame(rows).to_parquet(folder / "patients.parquet")
    weigher = Weigher(bank, {key: facts["acts"] for key, facts in bank.arms.items()})
    study = load_trial("icaria", ['trial.follow_up=["20 month", "24 month"]'])
    return play(study, bank, weigher, [NAME])


def test_every_row_has_an_interval_and_wider_where_the_parameters_are_not_known(trial):
    sure, unsure = (bank_prediction.beside(trial, posterior(spread), 60) for spread in (0.01, 0.6))
    assert list(sure.columns) == list(bank_prediction.COLUMNS)
    assert len(sure) == len(trial.study.published)
    main = next(i for i, row in enumerate(trial.study.published) if row["endpoint"] == "orr" and row.get("arm") == "pd")

    def width(table, name):
        return table.loc[main, f"{name}_high"] - table.loc[main, f"{name}_low"]

    assert width(unsure, "parameters") > 3.0 * width(sure, "parameters")
    assert width(unsure, "simulated") > 1.2 * width(sure, "simulated")
    assert width(sure, "simulated") == pytest.approx(2 * 1.96 * math.sqrt(0.3 * 0.7 / 153), rel=0.6)  # a trial's own chance stays
    for table in (sure, unsure):
        known = table[np.isfinite(table["simulated"]) & np.isfinite(table["simulated_high"])]
        assert (known["simulated_low"] <= known["simulated"]).all() and (known["simulated"] <= known["simulated_high"]).all()
    assert (sure["effective"] > 100).all()
    assert "effective" in bank_prediction.report(sure, "Facts.")


def test_the_patients_of_a_subgroup_are_those_who_belong_to_it(trial):
    chance = np.random.default_rng(1)
    drawn = {key: arm.draw(400, arm.weights(), trial.study.follow_up, chance) for key, arm in trial.arms.items()}
    table = trial.table(drawn)
    people = bank_prediction.people(trial, drawn)
    number = next(i for i, row in enumerate(trial.study.published) if row.get("subgroup") == "age>=75")
    aged = table[table["arm"] == "pd"]["age"].to_numpy() >= 75
    np.testing.assert_array_equal(people["pd"].groups[number], aged)
    assert table["status"].eq("completed").all() and table["patient"].is_unique


def rows(*ratios):
    """Predicted hazard ratios: (scenario, published, simulated)."""
    table = pd.DataFrame([{"scenario": s, "who": s, "published": p, "simulated": x} for s, p, x in ratios])
    return table.assign(
        role="prediction", kind="ratio", is_subgroup=False, endpoint="hazard_ratio_pfs", holds_published=True, verdict="pass"
    )


def test_the_goals_by_hand():
    good = {goal.words: goal for goal in bank_prediction.goals(rows(("icaria", 0.6, 0.63), ("ikema", 0.5, 0.52), ("other", 0.8, 0.78)))}
    error = next(g for w, g in good.items() if w.startswith("error of the log"))
    wanted = math.sqrt(np.mean([math.log(0.63 / 0.6) ** 2, math.log(0.52 / 0.5) ** 2, math.log(0.78 / 0.8) ** 2]))
    assert error.found == f"{wanted:.3f}" and error.is_met
    skill = next(g for w, g in good.items() if w.startswith("a smaller error"))
    assert skill.is_met and skill.found.endswith(f"{math.sqrt(np.mean([0.0, math.log(0.6 / 0.5) ** 2, math.log(0.6 / 0.8) ** 2])):.3f}")
    order = next(g for w, g in good.items() if w.startswith("order"))
    assert (order.found, order.is_met) == ("3 of 3 pairs", True)
    # one that says 0.60 for all has no skill and no order
    blind = {goal.words: goal for goal in bank_prediction.goals(rows(("icaria", 0.6, 0.6), ("ikema", 0.5, 0.6), ("other", 0.8, 0.6)))}
    assert not next(g for w, g in blind.items() if w.startswith("a smaller error")).is_met
    assert not next(g for w, g in blind.items() if w.startswith("order")).is_met
    # rows that were fitted count for nothing, and nothing to judge is no success
    fitted = rows(("icaria", 0.6, 0.6)).assign(role="calibration")
    assert all(goal.is_met is None for goal in bank_prediction.goals(fitted))
    held = rows(("icaria", 0.6, 0.6), ("ikema", 0.5, 0.6)).assign(holds_published=[True, False])
    assert bank_prediction.goals(held)[-1].found == "1 of 2" and not bank_prediction.goals(held)[-1].is_met


def test_a_bank_without_the_arms_predicts_nothing(trial):
    with pytest.raises(InputError, match="has run no arm of these trials"):
        bank_prediction.predict([load_trial("ikema")], trial.bank, posterior(0.1), 4)


def test_a_study_over_sets_of_a_posterior(tmp_path):
    """Its patients are dealt out, each set has a run of its own, and the effective patients of a set are more than its share."""
    small = ["marrow.shape=[32, 32]", 'trial.follow_up=["2 month", "3 month"]']
    study = load_trial("icaria", small, patients=14, seed=3)
    path = "drugs.pomalidomide.imid.kill_rate"
    medians = np.array([0.9, 1.1])
    rate = study.drugs["pomalidomide"].effects["imid"].params.kill_rate
    known = Posterior((NAME, path), np.column_stack([medians, rate * np.array([1.0, 1.1])]), np.full(2, 0.5), np.zeros(2))
    own = draws.studies(study, known, load_trial)
    assert [one.patients for one in own] == [7, 7] and own[0].seed != own[1].seed
    assert own[1].population["imid_sensitivity"].distribution.median == pytest.approx(1.1)
    assert own[1].drugs["pomalidomide"].effects["imid"].params.kill_rate == pytest.approx(1.1 * rate)
    table, facts = draws.run(study, known, load_trial, lambda one, to: running.run(one, to, desk=Desk(Threads(2))), tmp_path, 20)
    assert len(table) == len(study.published) and "14 patients over 2 sets" in facts
    assert (table["effective"] > 8.0).all()  # of seven, with the help of the other set's
    assert table["note"].isin(["", "not reached"]).all() and table["remark"].str.contains("secondary source").any()
    with pytest.raises(InputError, match="14 patients are too few; give 40 at least"):
        draws.studies(study, Posterior((NAME,), np.ones((20, 1)), np.full(20, 0.05), np.zeros(20)), load_trial)
