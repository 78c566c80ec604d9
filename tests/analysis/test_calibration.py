"""The fit: what it may be held against, its likelihood by hand, a posterior that finds what is known, what it leaves on disk."""

import csv
import json
import math
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from typer.testing import CliRunner

from tme_abm.analysis import documents, numbers
from tme_abm.analysis.calibration import posterior as stored
from tme_abm.analysis.calibration import recovery, report, run, targets
from tme_abm.analysis.calibration.found import Found
from tme_abm.analysis.calibration.plan import read_plan
from tme_abm.analysis.calibration.posterior import keep, sample
from tme_abm.batch.desk import Desk
from tme_abm.cli.app import app
from tme_abm.foundation.errors import InputError
from tme_abm.patients.population import draw_patient
from tme_abm.patients.reading import load_population
from tme_abm.scenario.kinds import load_scenario, load_trial
from tme_abm.scenario.reading import scenarios

CSV = Path(__file__).parents[1] / "data" / "trials.csv"
TRIALS = {  # trial and arm as the table names them -> scenario and arms
    ("ICARIA-MM", "Pd"): ("icaria", "pd"),
    ("ICARIA-MM", "Isa-Pd"): ("icaria", "isa-pd"),
    ("ICARIA-MM", "Isa-Pd vs Pd"): ("icaria", "isa-pd vs pd"),
    ("IKEMA", "Kd"): ("ikema", "kd"),
    ("IKEMA", "Isa-Kd"): ("ikema", "isa-kd"),
    ("IKEMA", "Isa-Kd vs Kd"): ("ikema", "isa-kd vs kd"),
    ("Isa monotherapy phase 2", "Isa"): ("isatuximab_monotherapy", "isa"),
    ("Isa monotherapy phase 2", "Isa-d"): ("isatuximab_monotherapy", "isa-d"),
    ("MM-002", "Pom"): ("mm002", "pom"),
    ("MM-002", "Pd"): ("mm002", "pd"),
    ("Isa dose finding", "Isa 3 mg/kg Q2W"): ("isatuximab_by_dose", "isa-3"),
    ("Isa dose finding", "Isa 10 mg/kg Q2W then Q4W"): ("isatuximab_by_dose", "isa-10-q4w"),
    ("Isa dose finding", "Isa 10 mg/kg Q2W"): ("isatuximab_by_dose", "isa-10"),
    ("Isa dose finding", "Isa 20 mg/kg QW x4 then Q2W"): ("isatuximab_by_dose", "isa-20"),
    ("MM-003", "Pd"): ("mm003", "pd"),
    ("ENDEAVOR", "Kd"): ("endeavor", "kd"),
    ("ENDEAVOR", "Vd"): ("endeavor", "vd"),
    ("ENDEAVOR", "Kd vs Vd"): ("endeavor", "kd vs vd"),
    ("ELOQUENT-2", "Rd"): ("elotuzumab", "rd"),
    ("ELOQUENT-2", "Elo-Rd vs Rd"): ("elotuzumab", "elo-rd vs rd"),
    ("ELOQUENT-3", "Elo-Pd vs Pd"): ("elotuzumab", "elo-pd vs pd"),
    ("Elotuzumab monotherapy phase 1", "Elo"): ("elotuzumab_monotherapy", "elo"),
    ("GMMG-HD7", "Isa-RVd"): ("newly_diagnosed_induction", "isa-rvd"),
    ("GMMG-HD7", "RVd"): ("newly_diagnosed_induction", "rvd"),
}
NOT_MODELLED = ("GRIFFIN", "Mouse carfilzomib (Fig. 5 right)")  # transplantation; the figures of the article
ENDPOINTS = {"mrd_negative_1e-5": "mrd_negative", "hazard_ratio_pfs_final": "hazard_ratio_pfs"}
SUBGROUPS = {"high-risk cytogenetics", "renal impairment", "lenalidomide-refractory", "age>=75", "age>=65"}


# ---- every published figure and its role -----------------------------------------------------------------------------


def collected():
    """Key -> (role, value) as the table of trials says."""
    found = {}
    with CSV.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["trial"] in NOT_MODELLED:
                continue
            arm, _, subgroup = row["arm"].partition(" (")
            assert subgroup == "" or subgroup.rstrip(")") in SUBGROUPS
            level = float(row["ci_level"] or 95.0) / 100.0
            key = (*TRIALS[row["trial"], arm], ENDPOINTS.get(row["endpoint"], row["endpoint"]), subgroup.rstrip(")"), round(level, 4))
            assert key not in found
            interval = (float(row["ci_low"]), float(row["ci_high"])) if row["ci_level"] and row["ci_high"] else None
            found[key] = (row["role"], float(row["value"]), interval, int(row["n"]) if row["n"] and not subgroup else None)
    return found


def written():
    """The same, as the scenarios say."""
    found = {}
    for name in scenarios("trial"):
        for row in load_scenario(name).published:
            who = row.get("arm") or " vs ".join(row["comparison"])
            key = (name, who, row["endpoint"], row.get("subgroup", ""), row.get("ci_level", 0.95))
            interval = (row["ci_low"], row["ci_high"]) if "ci_high" in row else None
            found[key] = (row.get("role"), row["value"], interval, row.get("n"))
    return found


def test_the_scenarios_say_what_the_table_of_trials_says():
    ours, theirs = written(), collected()
    assert set(ours) == set(theirs)
    for key, (role, value, interval, n) in theirs.items():
        assert ours[key][:3] == (role, value, interval), key
        if n is not None and (" vs " not in key[1] or key[0] == "elotuzumab"):
            assert ours[key][3] == n, key


def test_only_control_arms_and_single_agents_are_targets():
    plan = read_plan()
    wanted = {(name, who) for (name, who, *_), (role, *_) in collected().items() if role == "calibration" and " vs " not in who}
    assert {(name, arm) for name, arms in plan.targets.items() for arm in arms} == wanted


@pytest.mark.parametrize(("name", "arm"), [("icaria", "isa-pd"), ("newly_diagnosed_induction", "rvd"), ("elotuzumab_monotherapy", "elo")])
def test_a_row_for_prediction_is_refused(name, arm):
    with pytest.raises(InputError, match="has the role 'prediction'"):
        targets.targets(load_scenario(name), name, [arm])


def test_a_row_without_a_role_is_refused():
    table = load_scenario("icaria").resolved
    rows = [{k: v for k, v in row.items() if k != "role"} for row in table["published"]]
    with pytest.raises(InputError, match="has no role"):
        targets.targets(load_scenario({**table, "published": rows}), "icaria", ["pd"])


def test_an_arm_without_a_figure_is_refused():
    with pytest.raises(InputError, match="no published figure"):
        targets.targets(load_scenario("combinations"), "combinations", ["isa"])


# ---- the plan --------------------------------------------------------------------------------------------------------

PLAN = """\
seed = 3
[targets]
icaria = ["pd"]
[tolerance]
time = 0.0
share = 0.0
[[free]]
path = "population.imid_sensitivity.median"
prior = [0.6, 1.7]
scale = "log"
"""


def test_a_part_of_the_plan():
    plan = read_plan()
    assert list(plan.only(["ikema"]).targets) == ["ikema"]
    with pytest.raises(InputError, match="did you mean 'ikema'"):
        plan.only(["ikem"])


def test_places_in_a_prior():
    free = next(f for f in read_plan().free if f.name == "population.imid_sensitivity.median")
    assert free.value(0.0) == pytest.approx(math.sqrt(free.low * free.high))
    assert free.value(1.959964) == pytest.approx(free.high)
    assert free.place(free.value(0.7)) == pytest.approx(0.7)


# ---- the fit ---------------------------------------------------------------------------------------------------------


def test_the_likelihood_by_hand(toy_fit):
    fit = toy_fit(endpoints=("orr", "pfs_12_months"))
    at = np.array([0.3, -0.5, 0.2, 0.1])
    group, beside = fit.groups[0], fit.beside(at)[0]
    total = group.published + group.one / beside.effective
    difference = beside.simulated - np.array([t.at for t in group.targets])
    wanted = stats.multivariate_normal(np.zeros(2), total).logpdf(difference) + math.log(2.0 * math.pi)
    assert fit.log_likelihood(at) == pytest.approx(wanted, rel=1e-9)
    assert fit.log_posterior(at) == pytest.approx(wanted - 0.5 * at @ at, rel=1e-9)
    assert fit.log_posterior(np.array([3.5, 0.0, 0.0, 0.0])) == -math.inf


def test_published_errors_are_those_of_a_trial_of_that_size(toy_fit):
    small, large = toy_fit(n_patients=50), toy_fit(n_patients=200)
    np.testing.assert_allclose(small.groups[0].published, 4.0 * large.groups[0].published, rtol=1e-9)
    share = next(i for i, t in enumerate(large.groups[0].targets) if t.endpoint == "orr")
    assert math.sqrt(large.groups[0].published[share, share]) == pytest.approx(0.5 / math.sqrt(200), rel=0.02)
    # responses of one trial go together: who has a very good one has a response
    both = [i for i, t in enumerate(large.groups[0].targets) if t.endpoint in ("orr", "vgpr_or_better")]
    table = large.groups[0].published
    assert table[both[0], both[1]] > 0.3 * math.sqrt(table[both[0], both[0]] * table[both[1], both[1]])


def test_a_number_that_is_turned_moves_what_it_should(toy_fit):
    fit = toy_fit()
    names = [t.endpoint for t in fit.groups[0].targets]
    at = dict(zip(names, fit.beside(np.zeros(4))[0].simulated, strict=True))
    kill = dict(zip(names, fit.beside(np.array([0.0, 1.0, 0.0, 0.0]))[0].simulated, strict=True))
    growth = dict(zip(names, fit.beside(np.array([1.0, 0.0, 0.0, 0.0]))[0].simulated, strict=True))
    assert kill["orr"] > at["orr"] + 0.03 and kill["vgpr_or_better"] > at["vgpr_or_better"] + 0.03  # a deeper response may end sooner
    assert growth["median_pfs"] < at["median_pfs"] - 0.05


def test_the_posterior_finds_a_population_and_not_another(toy, toy_fit):
    fit = toy_fit(toy(1500), n_patients=2000)
    truth = np.array([0.8, 1.0, 0.0, 0.0])
    aimed = fit.with_figures([fit.beside(truth)[0].simulated])
    chain = sample(aimed, 160)
    posterior, places = keep(aimed, chain, 200)
    low, high = np.quantile(places, (0.05, 0.95), axis=0)
    assert ((low < truth) & (truth < high)).all()
    spread = places.std(axis=0)
    assert spread[1] < 0.5  # the median of the sensitivity is identified, by trials of two thousand
    assert places[:, 1].mean() > 0.25
    assert posterior.weights.sum() == pytest.approx(1.0)
    assert posterior.log_posterior.max() == posterior.log_posterior[posterior.best]
    # the same seed, the same sets; another figure, others
    again, _ = keep(aimed, sample(aimed, 160), 200)
    np.testing.assert_array_equal(again.sets, posterior.sets)
    other = fit.with_figures([fit.beside(-truth)[0].simulated])
    assert keep(other, sample(other, 160), 200)[1][:, 1].mean() < -0.25


def test_known_populations_are_found_again(toy, toy_fit):
    """Reduced: twelve made-up cases of four numbers. In full: `tme calibrate --recover 20`."""
    found = recovery.recover_fit(toy_fit(toy(900)), (160, 150), 12)
    assert found.truth.shape == (12, 4)
    assert found.share >= recovery.ASKED
    assert "intervals hold the number that is known, as asked" in recovery.report(found)
    # intervals of half the width would not do
    middle, half = (found.low + found.high) / 2.0, (found.high - found.low) / 4.0
    narrow = replace(found, low=middle - half, high=middle + half)
    assert narrow.share < recovery.ASKED
    assert "fewer than the 85 %" in recovery.report(narrow)


def test_the_truth_comes_from_patients_whom_the_fit_has_not_seen(toy_fit):
    fit = toy_fit()
    one, other = recovery.half(fit, 0), recovery.half(fit, 1)
    n = len(fit.groups[0].weighed.fixed)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([one.groups[0].weighed.fixed, other.groups[0].weighed.fixed])), np.sort(fit.groups[0].weighed.fixed)
    )
    assert len(one.groups[0].weighed.fixed) == n // 2
    own = one.beside(np.zeros(4))[0]
    assert own.effective < 0.75 * fit.beside(np.zeros(4))[0].effective
    assert own.simulated == pytest.approx(fit.beside(np.zeros(4))[0].simulated, abs=0.25)


def test_patients_are_drawn_anew_where_too_few_tell_of_an_arm(toy, toy_fit):
    from tme_abm.analysis.bank.plan import read_plan as read_bank_plan

    fit = toy_fit(toy(200))
    chain = sample(fit, 60)
    posterior, places = keep(fit, chain, 40)
    beside = [fit.beside(at) for at in places]
    worth = np.array([[b.effective for b in row] for row in beside])
    found = Found(fit, chain, posterior, beside, beside, worth, 1.0)
    sitting = run.further_sitting(found, read_bank_plan(load_trial), load_trial)
    assert sitting is not None and sitting.number == 1
    assert [c.population for c in sitting.cohorts] == ["icaria"]
    assert sitting.patients == pytest.approx((300.0 - found.low_worth()[0]) / run.WORTH, abs=2)
    assert {"pd", "isa-pd"} <= set(sitting.cohorts[0].arms)  # so that the combinations can be run for them too
    drawn = load_population(sitting.cohorts[0].table)
    middle = dict(zip(posterior.names, posterior.quantile(0.5), strict=True))
    assert drawn["imid_sensitivity"].distribution.median == pytest.approx(middle["population.imid_sensitivity.median"])
    rich = replace(found, worth=np.full_like(worth, 400.0))
    assert run.further_sitting(rich, read_bank_plan(load_trial), load_trial) is None


def test_what_a_calibration_leaves_on_disk(toy_fit, tmp_path, check_crate):
    fit = toy_fit()
    chain = sample(fit, 60)
    posterior, places = keep(fit, chain, 40)
    beside = [fit.beside(at) for at in places]
    worth = np.array([[b.effective for b in row] for row in beside])
    found = Found(fit, chain, posterior, beside, beside, worth, 1.0)
    written = run.write_results(found, tmp_path / "out", {"fit": fit.plan.settings()}, Desk(), False)
    assert {path.name for path in written} >= {
        "posterior.parquet",
        "calibrated.toml",
        "calibration.md",
        "fit.csv",
        "numbers.png",
        "m_protein.svg",
    }
    check_crate(tmp_path / "out", "calibration")
    again = stored.read(tmp_path / "out")
    np.testing.assert_array_equal(again.sets, posterior.sets)
    assert again.names == posterior.names
    values = report.read_values(tmp_path / "out" / "calibrated.toml")
    assert values == pytest.approx(posterior.values(posterior.best), rel=1e-5)
    # its values can be taken up by the files of the model, as `tme run` has them
    study = load_trial(numbers.apply(load_trial("icaria"), values))
    for path, value in values.items():
        assert numbers.current(study, path) in (None, pytest.approx(value)), path
    thin = again.thinned(7)
    assert len(thin.sets) == 7 and thin.weights.sum() == pytest.approx(1.0)
    table = pd.read_csv(tmp_path / "out" / "fit.csv")
    assert list(table["endpoint"]) == [t.endpoint for t in fit.groups[0].targets]
    assert "| `population.imid_sensitivity.median` |" in (tmp_path / "out" / "calibration.md").read_text()


def test_verdicts_say_what_the_figures_leave_of_the_prior(toy_fit):
    fit = toy_fit()
    places = np.random.default_rng(1).normal(0.0, [0.3, 0.7, 1.0, 0.95], (500, 4))
    sets = np.array([fit.values(at) for at in places])
    names = tuple(free.name for free in fit.plan.free)
    posterior = stored.Posterior(names, sets, np.full(500, 1 / 500), np.zeros(500))
    found = Found(fit, None, posterior, [], [], np.zeros((1, 1)), 0.0)
    assert report.verdicts(found) == ["identified", "informed", "not identified", "not identified"]


def test_a_posterior_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        stored.read(tmp_path)
    (tmp_path / "posterior.parquet").write_bytes(b"nothing")
    with pytest.raises(InputError, match="holds no sets of a posterior"):
        stored.read(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"weight": ["x", "y"]}, "posterior.parquet holds no sets"),
        ({"weight": [0.0, 0.0]}, "posterior.parquet holds no sets"),
        ({"weight": [-1.0, 2.0]}, "posterior.parquet holds no sets"),
        ({"log_posterior": [math.nan, 0.0]}, "posterior.parquet holds no sets"),
        ({"population.icaria.growth_rate.median": [None, 0.007]}, "posterior.parquet holds no sets"),
        ({"population.icaria.growth_rate.median": [], "weight": [], "log_posterior": []}, "posterior.parquet holds no sets"),
        ({"growth": [1.0, 2.0]}, "posterior.parquet: .*growth"),
        ({"population.growth_rat.median": [1.0, 2.0]}, "posterior.parquet: .*unknown quantity 'growth_rat'; did you mean 'growth_rate'"),
        ({"population.growth_rate.medianx": [1.0, 2.0]}, "posterior.parquet: .*no distribution has such a number; did you mean 'median'"),
        ({"population.imid_sensitivity.by_growth_ratex": [1.0, 2.0]}, "posterior.parquet: .*unknown trait 'growth_ratex'; did you mean"),
    ],
)
def test_a_damaged_posterior_is_refused_by_name(tmp_path, changes, said):
    sets = {"weight": [0.5, 0.5], "log_posterior": [0.0, 0.0], "population.icaria.growth_rate.median": [0.007, 0.008]}
    pd.DataFrame(sets).to_parquet(tmp_path / "posterior.parquet")
    assert len(stored.read(tmp_path).sets) == 2
    pd.DataFrame(sets | changes).to_parquet(tmp_path / "posterior.parquet")
    with pytest.raises(InputError, match=said):
        stored.read(tmp_path)


def test_without_emcee_a_calibration_is_refused_in_a_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "emcee", None)
    with pytest.raises(InputError, match="needs emcee, which is not installed"):
        stored.need_emcee()


def test_paths_of_the_plan_act_where_it_says_and_have_their_value_in_the_prior():
    plan = read_plan()
    studies = {name: load_trial(name) for name in plan.targets}
    for free in plan.free:
        acting = {name: numbers.current(study, path) for name, study in studies.items() for path in free.paths}
        known = {value for value in acting.values() if value is not None}
        assert known, free.name
        for value in known:
            assert free.low < value < free.high, free.name


def test_a_trait_that_goes_with_another_is_written_into_the_population():
    study = load_trial("icaria")
    path = "population.imid_sensitivity.by_growth_rate"
    own = numbers.tilt_of(study.population, "imid_sensitivity", "growth_rate", path)
    assert numbers.current(study, path) == own.amount
    assert numbers.current(load_trial("newly_diagnosed_induction"), path) == 0.0
    changed = load_trial(numbers.apply(study, {path: 0.3, "population.imid_resistant_fraction.by_growth_rate": -0.4}))
    effect = numbers.tilt_of(changed.population, "imid_sensitivity", "growth_rate", path)
    assert (effect.action, effect.amount) == ("exponent", 0.3)
    assert effect.relative_to == own.relative_to
    median = study.population["growth_rate"].distribution.quantile(0.5)
    before, after = (s.population["imid_resistant_fraction"].effects for s in (study, changed))
    assert [e[:2] for e in after[:-1]] == [e[:2] for e in before[:-1]] and before[-1].text.startswith("by growth_rate")
    assert after[-1][:2] == ("odds_exponent", -0.4)
    fast = draw_patient(study.population, 3, 1, given={"growth_rate": 2.0 * median})
    other = draw_patient(changed.population, 3, 1, given={"growth_rate": 2.0 * median})
    assert other.imid_sensitivity == pytest.approx(fast.imid_sensitivity * (2.0 * median / own.relative_to) ** (0.3 - own.amount))
    for wrong, said in (
        ("by_growth_rat", "did you mean 'growth_rate'"),
        ("by_effector_fitness", "drawn before it"),
        ("by_sex", "drawn before it"),
    ):
        with pytest.raises(InputError, match=said):
            numbers.current(study, f"population.imid_sensitivity.{wrong}")


def test_a_table_between_marks_is_replaced_and_nothing_else(tmp_path):
    text = "Before.\n\n<!-- calibration -->\nold\n<!-- end of calibration -->\n\nAfter.\n"
    new = documents.between(text, "calibration", "| a |\n")
    assert new == text.replace("old", "| a |")
    assert documents.between("Before.\n", "calibration", "x").startswith("Before.\n\n<!-- calibration -->\nx\n")
    documents.put(tmp_path / "new.md", "calibration", "x", "# Head\n")
    assert (tmp_path / "new.md").read_text() == "# Head\n\n<!-- calibration -->\nx\n<!-- end of calibration -->\n"
    (tmp_path / "link.md").symlink_to("new.md")
    documents.put(tmp_path / "link.md", "calibration", "y")
    assert (tmp_path / "link.md").is_symlink() and "y" in (tmp_path / "new.md").read_text()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"Mine.\n<!-- calibration -->\nold\n\nWhat must stay.\n", "belong together"),
        (b"Mine.\n<!-- end of calibration -->\n", "belong together"),
        (b"<!-- end of calibration -->\n<!-- calibration -->\n<!-- end of calibration -->\n", "belong together"),
        (b"\xff\xfe", "not a text in UTF-8"),
        (None, "is no file"),
    ],
)
def test_a_document_that_cannot_be_changed_is_refused_before_the_work_and_stays(tmp_path, content, said):
    document = tmp_path / "doc.md"
    document.mkdir() if content is None else document.write_bytes(content)
    for attempt in (lambda: documents.check(document, "calibration"), lambda: documents.put(document, "calibration", "x")):
        with pytest.raises(InputError, match=said):
            attempt()
    assert document.is_dir() if content is None else document.read_bytes() == content
    with pytest.raises(InputError, match="there is no folder"):
        documents.check(tmp_path / "nowhere" / "doc.md", "calibration")


@pytest.mark.parametrize(
    "words",
    [
        ("calibrate", "--bank", "nowhere"),
        ("predict", "--scenarios", "icaria", "--patients", "2"),
        ("predict", "--scenarios", "icaria", "--bank", "nowhere", "--posterior", "nowhere"),
        ("sensitivity", "icaria_conclusion"),
    ],
)
def test_no_command_begins_its_work_with_a_document_that_it_could_not_write(tmp_path, monkeypatch, words):
    from tme_abm.analysis.bank import store

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(store, "read_bank", lambda *_: None)
    monkeypatch.setattr(stored, "read", lambda *_: stored.Posterior((), np.ones((1, 1)), np.ones(1), np.ones(1)))
    (tmp_path / "doc.md").write_bytes(b"\xff")
    done = CliRunner().invoke(app, [*words, "--doc", "doc.md"])
    assert done.exit_code == 2 and done.stderr == "tme: doc.md: not a text in UTF-8\n"
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("prior = [0.6, 1.7]", "prior = [1.7, 0.6]", r"line 9: free\[0\].prior: the range must rise, from above zero; got 1.7 to 0.6"),
        ("imid_sensitivity", "imid_sensitivit", "acts on none|no such|unknown"),
        ('"population.imid_sensitivity.median"', '"parameters.imid.kill_rate"', "is a rate and no patient's trait"),
        ("scale", "scal", r"unknown key 'scal'; did you mean 'scale'"),
        ('icaria = ["pd"]', 'icaria = ["isa-pd"]', "plan.toml, line 3: .* has the role 'prediction'"),
        ('icaria = ["pd"]', 'icari = ["pd"]', "plan.toml, line 3: there is no scenario 'icari'; did you mean 'icaria'"),
        ('icaria = ["pd"]', 'icaria = ["pd",\n"p"]', "plan.toml, line 4: icaria: there is no arm 'p'; did you mean 'pd'"),
        ('icaria = ["pd"]', 'figure1_adenosine = ["pd"]', "plan.toml, line 3: .*figure1_adenosine.* is an experiment of the laboratory"),
        ('icaria = ["pd"]', 'elotuzumab = ["rd"]', "plan.toml, line 3: .*: the bank has no arm that gives what 'rd' of elotuzumab gives"),
        ("imid_sensitivity.median", "imid_sensitivity.by_growth_rat", r"line 8: .*unknown trait 'growth_rat'; did you mean 'growth_rate'"),
        ("seed = 3", "sed = 3", "unknown key 'sed'; did you mean 'seed'"),
        ("time = 0.0\n", "", "the key 'time' is missing"),
    ],
)
def test_what_is_wrong_with_a_plan_is_told(tmp_path, toy, monkeypatch, old, new, said):
    from tme_abm.analysis.calibration import fit as fitting

    bank = toy(40)
    (tmp_path / "sittings.json").write_text(json.dumps({"sittings": [], "arms": bank.arms}))
    monkeypatch.setattr(fitting, "read_bank", lambda *_: bank)
    (tmp_path / "plan.toml").write_text(PLAN.replace(old, new))
    with pytest.raises(InputError, match=said):
        fitting.prepare(read_plan(tmp_path / "plan.toml"), tmp_path, load_trial)


def test_a_combination_is_fitted_to_nothing_whatever_its_role(tmp_path, toy, monkeypatch):
    """Not even a row that somebody calls calibration lets a fit read the runs of a combination."""
    from tme_abm.analysis.calibration import fit as fitting

    bank = toy(40)
    (tmp_path / "sittings.json").write_text(json.dumps({"sittings": [], "arms": bank.arms}))
    monkeypatch.setattr(fitting, "read_bank", lambda *_: bank)
    table = load_trial("icaria").resolved
    rows = [{**row, "role": "calibration"} for row in table["published"]]
    (tmp_path / "plan.toml").write_text(PLAN.replace('icaria = ["pd"]', 'icaria = ["isa-pd"]'))
    with pytest.raises(InputError, match="is a combination, and nothing is fitted to those"):
        fitting.prepare(read_plan(tmp_path / "plan.toml"), tmp_path, lambda name: load_trial({**table, "published": rows}))


BANK = """\
seed = 78
[marrow]
shape = [32, 32]
[widen]
imid_sensitivity = 1.3
[arms.pd]
scenario = "icaria"
until = "4 month"
[[cohorts]]
population = "icaria"
share = 1.0
arms = ["pd"]
"""


def test_tme_bank_and_tme_calibrate_with_patients_drawn_anew(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bank.toml").write_text(BANK)
    (tmp_path / "plan.toml").write_text(PLAN.replace("time = 0.0", "time = 0.5").replace("share = 0.0", "share = 0.5"))
    tme = partial(CliRunner().invoke, app)
    assert tme(["bank", "bank.toml", "--patients", "14", "--workers", "2", "--out", "bank"]).exit_code == 0
    monkeypatch.setattr(run, "LEAST_EFFECTIVE", 15.0)
    asked = ["calibrate", "plan.toml", "--bank", "bank", "--steps", "60", "--sets", "30", "--out", "cal", "--workers", "2"]
    done = tme([*asked, "--redraw", "1", "--bank-plan", "bank.toml"])
    assert done.exit_code == 0, done.output
    assert "patients are drawn anew from ICARIA-MM" in done.output or "patients are drawn anew from icaria" in done.output
    sittings = json.loads((tmp_path / "bank" / "sittings.json").read_text())["sittings"]
    assert [s["number"] for s in sittings] == [0, 1] and sittings[1]["patients"] >= 2
    patients = pd.read_parquet(tmp_path / "bank" / "patients.parquet")
    assert (patients["sitting"] == 1).sum() == sittings[1]["patients"]
    assert "| `population.imid_sensitivity.median` |" in done.output
    assert (tmp_path / "cal" / "posterior.parquet").is_file()
    # the same command again replaces what is its own; another one is refused
    assert tme(asked).exit_code in (0, 2)
    (tmp_path / "plan.toml").write_text(PLAN.replace("time = 0.0", "time = 0.4").replace("share = 0.0", "share = 0.5"))
    refused = tme(asked)
    assert refused.exit_code == 2 and "begin anew with --force" in refused.stderr
    assert tme([*asked, "--force"]).exit_code == 0
