"""The fit: what it may be held against, its loss by hand, a search that goes on, what the trials say about a number."""

import csv
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tme_abm.analysis.calibration.search import Fit
from typer.testing import CliRunner

from tme_abm.analysis import numbers, prediction
from tme_abm.analysis.calibration import report as results
from tme_abm.analysis.calibration import search, simulator, targets
from tme_abm.analysis.calibration.plan import STUDY_FILE, Free, Plan, Unfit, read_plan
from tme_abm.analysis.calibration.targets import Residual, Target
from tme_abm.batch.desk import Desk
from tme_abm.batch.executors import Threads
from tme_abm.batch.journal import Journal
from tme_abm.cli.app import app
from tme_abm.foundation.errors import InputError
from tme_abm.scenario.kinds import load_scenario
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
            interval = (float(row["ci_low"]), float(row["ci_high"])) if row["ci_level"] else None
            found[key] = (row["role"], float(row["value"]), interval, int(row["n"]) if row["n"] and not subgroup else None)
    return found


def written():
    """The same, as the scenarios say."""
    found = {}
    for name in scenarios("trial"):
        for row in load_scenario(name).published:
            who = row.get("arm") or " vs ".join(row["comparison"])
            key = (name, who, row["endpoint"], row.get("subgroup", ""), row.get("ci_level", 0.95))
            interval = (row["ci_low"], row["ci_high"]) if "ci_low" in row else None
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
    wanted = {(name, who) for (name, who, *_), (role, *_) in collected().items() if role == "calibration"}
    assert {(name, arm) for name, arms in plan.targets.items() for arm in arms} == wanted


@pytest.mark.parametrize(("name", "arm"), [("icaria", "isa-pd"), ("newly_diagnosed_induction", "rvd"), ("elotuzumab_monotherapy", "elo")])
def test_a_row_for_prediction_is_refused(name, arm):
    with pytest.raises(InputError, match="has the role 'prediction'"):
        targets.targets(load_scenario(name), name, [arm], {"median_pfs": 0.0, "share": 0.0})


def test_a_row_without_a_role_is_refused():
    table = load_scenario("icaria").resolved
    rows = [{k: v for k, v in row.items() if k != "role"} for row in table["published"]]
    with pytest.raises(InputError, match="has no role"):
        targets.targets(load_scenario({**table, "published": rows}), "icaria", ["pd"], {"median_pfs": 0.0, "share": 0.0})


def test_an_arm_without_a_figure_is_refused():
    with pytest.raises(InputError, match="no published figure"):
        targets.targets(load_scenario("combinations"), "combinations", ["isa"], {"median_pfs": 0.0, "share": 0.0})


# ---- the plan --------------------------------------------------------------------------------------------------------


def test_the_plan_of_the_package_can_be_fitted(tmp_path):
    fit = search.prepare(read_plan(), load_scenario, tmp_path, 10, 1, Desk(Threads(1)))
    assert len(fit.goals) == 17
    assert set(fit.start) == {free.path for free in fit.plan.free}
    assert all(0.0 < free.place(fit.start[free.path]) < 1.0 for free in fit.plan.free)


def test_a_part_of_the_plan_keeps_its_dice_and_what_acts_there():
    plan = read_plan()
    part = plan.only(["ikema"])
    assert list(part.targets) == ["ikema"]
    assert "parameters.proteasome.kill_rate" in {f.path for f in part.free}
    assert "parameters.imid.kill_rate" not in {f.path for f in part.free}
    assert part.dice("ikema", 0) == plan.dice("ikema", 0) != plan.dice("icaria", 0)
    with pytest.raises(InputError, match="did you mean 'ikema'"):
        plan.only(["ikem"])


def test_the_command_line_holds_and_frees(tmp_path):
    plan = read_plan()
    (tmp_path / "before.toml").write_text('[values]\n"parameters.imid.kill_rate" = 0.001\n"parameters.proteasome.kill_rate" = 0.02\n')
    free = ["parameters.imid.kill_rate", "parameters.glucocorticoid.kill_rate"]
    arranged = search.arrange(plan, free, ["parameters.glucocorticoid.kill_rate=0.001"], tmp_path / "before.toml")
    assert [f.path for f in arranged.free] == ["parameters.imid.kill_rate"]
    assert arranged.fixed == {"parameters.glucocorticoid.kill_rate": 0.001, "parameters.proteasome.kill_rate": 0.02}
    fit = search.prepare(arranged, load_scenario, tmp_path, 10, 1, Desk(Threads(1)))
    assert fit.start == {"parameters.imid.kill_rate": 0.001}
    study = fit.simulate.study("mm002", {"parameters.imid.kill_rate": 0.003}, 0)
    assert study.drugs["pomalidomide"].effects["imid"].params.kill_rate == 0.003
    assert study.drugs["dexamethasone"].effects["glucocorticoid"].params.kill_rate == 0.001
    assert [arm.key for arm in study.arms] == ["pom", "pd"]
    # a stage after another: what the first has fitted is held
    stage = search.arrange(plan.only(["ikema"]), start=tmp_path / "before.toml", hold=True)
    assert stage.fixed == {"parameters.imid.kill_rate": 0.001, "parameters.proteasome.kill_rate": 0.02}
    assert "parameters.glucocorticoid.kill_rate" in {f.path for f in stage.free}
    but = search.arrange(plan.only(["ikema"]), ["parameters.proteasome.kill_rate"], start=tmp_path / "before.toml", hold=True)
    assert (but.start, but.fixed) == ({"parameters.proteasome.kill_rate": 0.02}, {"parameters.imid.kill_rate": 0.001})
    with pytest.raises(InputError, match="with a number"):
        search.arrange(plan, settings=["parameters.imid.kill_rate"])
    with pytest.raises(InputError, match="no such free number; did you mean"):
        search.arrange(plan, free=["parameters.imid.kill_rat"])


PLAN = """\
seed = 3
[targets]
icaria = ["pd"]
[tolerance]
median_pfs = 0.0
share = 0.0
[[free]]
path = "parameters.imid.kill_rate"
range = [1e-4, 1e-2]
scale = "log"
acts = ["icaria"]
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed = 3", "seed = 3\ntrials = 5", "unknown key 'trials'"),
        ('scale = "log"', 'scale = "logg"', "did you mean 'log'"),
        ("[1e-4, 1e-2]", "[0.0, 1e-2]", "from above zero"),
        ('acts = ["icaria"]', 'acts = ["ikema"]', "has no targets"),
        ('acts = ["icaria"]', "", "the key 'acts' is missing"),
        ("seed = 3", "seed = -3", "whole number from 0"),
    ],
)
def test_a_plan_with_a_mistake_is_refused(tmp_path, old, new, said):
    assert old in PLAN
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_plan(path)


def test_without_optuna_a_search_is_refused_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = CliRunner().invoke(app, ["calibrate", "--out", str(tmp_path / "search")])
    assert done.exit_code == 2 and done.stderr == "tme: a search needs Optuna, which is not installed: pip install 'optuna>=4.1'\n"
    assert not (tmp_path / "search").exists()


def test_a_start_outside_of_its_range_is_refused(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(PLAN.replace("[1e-4, 1e-2]", "[1.0, 2.0]"), encoding="utf-8")
    with pytest.raises(InputError, match="outside of its range"):
        search.prepare(read_plan(path), load_scenario, tmp_path, 10, 1, Desk(Threads(1)))


def test_places_in_a_range():
    by_ten = Free("x", 0.01, 1.0, "log", ())
    assert by_ten.place(0.1) == pytest.approx(0.5)
    assert by_ten.value(0.5) == pytest.approx(0.1)
    plain = Free("x", -4.0, 0.0, "linear", ())
    assert plain.place(-1.0) == pytest.approx(0.75)
    assert plain.value(0.75) == pytest.approx(-1.0)


# ---- the loss --------------------------------------------------------------------------------------------------------


def target(endpoint="orr", value=0.25, error=0.05, tolerance=0.03, scenario="a"):
    return Target(scenario, "x", endpoint, value, error, tolerance, "X", "")


def test_errors_by_hand():
    assert targets.standard_error("orr", 100) == pytest.approx(0.05)
    assert targets.standard_error("median_pfs", 123) == pytest.approx(0.1301, abs=1e-4)
    kd, pd_ = targets.targets(load_scenario("ikema"), "ikema", ["kd"], {"median_pfs": 0.05, "share": 0.03})[:2]
    assert kd.error == pytest.approx(math.log(25.0 / 15.8) / (2 * 1.959964), rel=1e-6)
    assert (kd.value, kd.tolerance, kd.label) == (19.2, 0.05, "Kd")
    assert (pd_.endpoint, pd_.value, pd_.tolerance) == ("orr", pytest.approx(0.829), 0.03)
    assert pd_.error == pytest.approx(0.5 / math.sqrt(123))


def test_the_loss_by_hand():
    # asin(sqrt(1/4)) = 30 degrees, asin(sqrt(1/2)) = 45: a difference of pi / 12
    share = Residual(target(), 0.5, 0.04)
    assert share.total == pytest.approx(math.sqrt(0.0025 + 0.0009 + 0.0016))
    assert share.z == pytest.approx(math.pi / 12 / math.sqrt(0.005))
    months = Residual(target("median_pfs", 5.0, 0.3, 0.0), 10.0, 0.4)
    assert months.z == pytest.approx(math.log(2.0) / 0.5)
    assert targets.loss([share, months]) == pytest.approx((math.pi / 12) ** 2 / 0.005 + 4.0 * math.log(2.0) ** 2)
    assert targets.noise([months]) == pytest.approx(math.sqrt(4 * months.z**2 * 0.64 + 2 * 0.64**2))


def test_the_noise_is_the_spread_of_the_loss():
    chance = np.random.default_rng(1)
    goals = [target(value=0.3, error=0.03, tolerance=0.0), target("median_pfs", 6.0, 0.1, 0.0)]
    truth = [0.4, 8.0]
    losses = []
    for _ in range(4000):
        seen = [
            targets.unscaled(g.endpoint, targets.scaled(g.endpoint, v) + s * chance.standard_normal())
            for g, v, s in zip(goals, truth, (0.05, 0.1), strict=True)
        ]
        losses.append(targets.loss([Residual(g, v, s) for g, v, s in zip(goals, seen, (0.05, 0.1), strict=True)]))
    expected = targets.noise([Residual(g, v, s) for g, v, s in zip(goals, truth, (0.05, 0.1), strict=True)])
    assert np.std(losses) == pytest.approx(expected, rel=0.05)


def test_a_smooth_median_by_hand():
    # steps at 1, 2, 3, 4 from 1 to 3/4, 1/2, 1/4, 0: the middle of the step at 2 is 5/8, of that at 3 it is 3/8
    assert targets.smooth_median(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4, bool)) == pytest.approx(2.5)
    # two of four at 2: the step from 1 to 1/2 has its middle at 3/4, the next, at 4 to 0, at 1/4
    assert targets.smooth_median(np.array([2.0, 2.0, 4.0, 4.0]), np.ones(4, bool)) == pytest.approx(3.0)
    # all followed for 10 months, one of four with an event at 5: 7/8 in its middle, and so on with that hazard
    never = targets.smooth_median(np.array([5.0, 10.0, 10.0, 10.0]), np.array([True, False, False, False]))
    assert never == pytest.approx(10.0 * math.log(0.5) / math.log(0.875))
    assert math.isfinite(targets.smooth_median(np.array([10.0, 10.0]), np.zeros(2, bool)))


def test_a_smooth_median_is_the_usual_one_on_average():
    chance = np.random.default_rng(2)
    differences = []
    for _ in range(300):
        months = np.ceil(chance.exponential(chance.uniform(4.0, 12.0), 200))  # visits every month
        ours = targets.smooth_median(months, np.ones(200, bool))
        usual = prediction.median(months, np.ones(200, bool))
        differences.append(ours - usual)
        assert abs(ours - usual) <= 1.0
    assert abs(np.mean(differences)) < 4.0 * np.std(differences) / math.sqrt(300) + 0.02


def patients(responders, n=20, months=6.0, arm="x", failed=0):
    return pd.DataFrame(
        {
            "patient": range(n),
            "arm": arm,
            "status": ["failed"] * failed + ["completed"] * (n - failed),
            "failure": ["it broke"] * failed + [""] * (n - failed),
            "pfs_days": [np.nan] * failed + list(np.linspace(0.5, 1.5, n - failed) * months * 30.4375),
            "pfs_event": True,
            "best_response": ["PR"] * responders + ["SD"] * (n - responders),
            "mrd_negative": False,
        }
    )


def test_replicates_are_averaged_on_the_scale_of_the_loss():
    found = targets.measure(target(), [patients(5), patients(10)])
    assert targets.scaled("orr", found.value) == pytest.approx((math.pi / 6 + math.pi / 4) / 2)
    assert found.error == pytest.approx(0.5 / math.sqrt(40))


def test_too_many_failures_are_no_result():
    assert targets.measure(target(), [patients(10, failed=1)]).value == pytest.approx(9 / 19)
    with pytest.raises(Unfit, match="2 of 20 patients failed: it broke"):
        targets.measure(target(), [patients(10, failed=2)])


# ---- the search ------------------------------------------------------------------------------------------------------


class Fake:
    """A model of two numbers: the rate of responses in scenario a, the median in b."""

    def __init__(self):
        self.asked = []

    def __call__(self, scenario, values, replicate):
        self.asked.append((scenario, replicate))
        n = 400
        if scenario == "a":
            return patients(round(n * values["rate"]), n)
        return patients(0, n, values["months"])


def fit(folder, simulate=None, n=400, seed=5):
    free = (Free("rate", 0.05, 0.95, "linear", ("a",)), Free("months", 2.0, 40.0, "log", ("b",)))
    plan = Plan({"a": ("x",), "b": ("x",)}, {}, free, seed, places={"a": 0, "b": 1})
    goals = (target("orr", 0.3, 0.03, 0.0, "a"), target("median_pfs", 12.0, 0.05, 0.0, "b"))
    return Fit(plan, goals, {"rate": 0.8, "months": 4.0}, simulate or Fake(), folder, n)


def losses(study):
    return [(trial.state.name, trial.value, trial.params) for trial in study.get_trials()]


def test_the_first_trial_is_the_model_as_it_stands_and_the_search_finds_better(tmp_path):
    study = search.search(fit(tmp_path), 60)
    first = study.get_trials()[0]
    assert first.params == {"rate": 0.8, "months": 4.0}
    outcome = results.conclude(fit(tmp_path), study)
    assert outcome.start_loss == first.value > 100.0 > 5.0 > outcome.loss
    assert outcome.best["rate"] == pytest.approx(0.3, abs=0.08)
    assert outcome.best["months"] == pytest.approx(12.0, rel=0.15)
    assert outcome.near[0][1] == outcome.best
    assert all(at <= outcome.loss + outcome.noise for at, _ in outcome.near)
    assert sum(outcome.counts.values()) == 60


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(tmp_path):
    whole = losses(search.search(fit(tmp_path / "whole"), 20))
    search.search(fit(tmp_path / "parts"), 7)
    parts = losses(search.search(fit(tmp_path / "parts"), 20))
    assert parts == whole
    simulate = Fake()
    assert losses(search.search(fit(tmp_path / "parts", simulate), 20)) == whole
    assert simulate.asked == []


class Crash(BaseException):
    """The process dies."""


def test_a_search_that_died_in_a_trial_goes_on_with_the_same_values(tmp_path):
    """Killed after the first scenario of the ninth trial: that scenario is not run again, and all trials are those of a search in peace."""
    whole = losses(search.search(fit(tmp_path / "whole"), 20))

    class Dying(Fake):
        def __call__(self, scenario, values, replicate):
            if self.asked.count(("b", 0)) == 8 and scenario == "b":
                raise Crash
            return super().__call__(scenario, values, replicate)

    dying = replace(fit(tmp_path / "died", Dying()), journal=Journal(tmp_path / "journal"))
    with pytest.raises(Crash):
        search.search(dying, 20)
    dying.journal.close()
    simulate = Fake()
    after = search.search(replace(fit(tmp_path / "died", simulate), journal=Journal(tmp_path / "journal")), 20)
    again = [trial for trial in after.get_trials() if search.INTERRUPTED not in trial.user_attrs]
    assert len(after.get_trials()) == 21 and len(again) == 20
    assert [(t.state.name, t.value, t.params) for t in again] == whole
    assert simulate.asked.count(("a", 0)) == 11 and simulate.asked[0] == ("b", 0)


@pytest.mark.parametrize("torn", [b'{"op_code": 4, "work', b'{"op_code": 4, "wo{"op_code": 5}\n', b"\x00" * 40])
def test_a_torn_line_of_the_study_file_costs_that_line_only(tmp_path, torn):
    whole = losses(search.search(fit(tmp_path / "whole"), 12))
    search.search(fit(tmp_path / "torn"), 7)
    with (tmp_path / "torn" / STUDY_FILE).open("ab") as file:
        file.write(torn)
    assert losses(search.search(fit(tmp_path / "torn"), 12)) == whole


def test_hopeless_trials_are_given_up_early(tmp_path):
    simulate = Fake()
    study = search.search(fit(tmp_path, simulate), 40)
    pruned = [trial for trial in study.get_trials() if trial.state.name == "PRUNED"]
    assert pruned
    assert simulate.asked.count(("b", 0)) == 40 - len(pruned)
    done = [trial for trial in study.get_trials() if trial.state.name == "COMPLETE"]
    assert all(t.intermediate_values[0] > min(d.intermediate_values[0] for d in done) for t in pruned)
    assert pruned[0].number >= search.STARTUP


def test_a_search_for_something_else_is_refused(tmp_path):
    search.search(fit(tmp_path), 1)
    with pytest.raises(InputError, match=r"other settings \(patients\)"):
        search.search(fit(tmp_path, n=500), 1)
    with pytest.raises(InputError, match=r"other settings \(seed\)"):
        search.search(fit(tmp_path, seed=6), 1)


def test_values_that_do_not_run_are_passed_over(tmp_path):
    class Brittle(Fake):
        def __call__(self, scenario, values, replicate):
            if scenario == "a" and values["rate"] < 0.5:
                return patients(5, 20, failed=10)
            return super().__call__(scenario, values, replicate)

    study = search.search(fit(tmp_path / "some", Brittle()), 15)
    states = [trial.state.name for trial in study.get_trials()]
    assert len(states) == 15 and "FAIL" in states and states[0] == "COMPLETE"

    class Broken(Fake):
        def __call__(self, scenario, values, replicate):
            return patients(5, 20, failed=10)

    with pytest.raises(InputError, match="does not run with the values that it has"):
        search.search(fit(tmp_path / "none", Broken()), 15)


def test_nothing_free_is_refused(tmp_path):
    whole = fit(tmp_path)
    with pytest.raises(InputError, match="nothing is free"):
        search.search(replace(whole, plan=replace(whole.plan, free=())), 3)


def test_what_a_search_leaves_on_disk(tmp_path):
    ours = fit(tmp_path)
    study = search.search(ours, 30)
    outcome = results.conclude(ours, study)
    check = search.fresh(ours, outcome.best)
    assert {replicate for _, replicate in ours.simulate.asked} == {0, search.FRESH}
    written = results.write(ours, outcome, study, check)
    assert [path.name for path in written] == ["calibrated.toml", "calibration.md", "trials.csv", "profiles.svg"]
    assert all(path.stat().st_size > 0 for path in written)
    assert search.read_values(written[0]) == pytest.approx(outcome.best, rel=1e-5)
    assert len(pd.read_csv(written[2])) == 30
    assert "on dice that the fit has not seen" in written[1].read_text().lower()


# ---- what the trials say about a number ------------------------------------------------------------------------------


def free(*names):
    return [Free(name, 0.0, 1.0, "linear", ()) for name in names]


def test_verdicts_on_a_quadratic():
    points = np.random.default_rng(3).uniform(size=(120, 4))
    a, b, c, _ = points.T
    # a has its best inside, b at the lower end, c at the upper; nothing depends on d
    at = 10.0 + 200.0 * (a - 0.4) ** 2 + 50.0 * b + 50.0 * (1.0 - c)
    found = results.profiles(free("a", "b", "c", "d"), points, at, 3.84)
    assert [p.verdict for p in found] == ["identified", "bounded above", "bounded below", "not identified"]
    half = math.sqrt(3.84 / 200.0)  # the profile of a rises by 3.84 so far from 0.4; places are 0.05 apart
    assert found[0].low == pytest.approx(0.4 - half, abs=0.05) and found[0].high == pytest.approx(0.4 + half, abs=0.05)
    assert (found[3].low, found[3].high) == (0.0, 1.0)


def test_numbers_that_make_up_for_each_other_are_not_identified():
    points = np.random.default_rng(4).uniform(size=(120, 2))
    at = 300.0 * (points.sum(axis=1) - 1.0) ** 2  # only the sum matters
    assert [p.verdict for p in results.profiles(free("a", "b"), points, at, 3.84)] == ["not identified"] * 2


def test_too_few_trials_say_nothing():
    points = np.random.default_rng(5).uniform(size=(7, 2))
    found = results.profiles(free("a", "b"), points, points.sum(axis=1), 3.84)
    assert [p.verdict for p in found] == ["too few trials"] * 2


def test_a_table_between_marks_is_replaced_and_nothing_else():
    text = "before\n\n<!-- fit -->\nold\n<!-- end of fit -->\n\nafter\n"
    assert results.between(text, "fit", "new\n") == "before\n\n<!-- fit -->\nnew\n<!-- end of fit -->\n\nafter\n"
    added = results.between("before\n", "fit", "new")
    assert added == "before\n\n<!-- fit -->\nnew\n<!-- end of fit -->\n"
    assert results.between(added, "fit", "new") == added


# ---- the model itself ------------------------------------------------------------------------------------------------


def test_the_same_values_give_the_same_loss_and_others_another(tmp_path):
    plan = search.arrange(read_plan().only(["mm002"]))
    ours = search.prepare(plan, load_scenario, tmp_path, 4, 1, Desk(Threads(2)))
    quick = replace(ours.simulate.studies["mm002"], resolved={**ours.simulate.studies["mm002"].resolved, "marrow": {"shape": [32, 32]}})
    ours.simulate.studies["mm002"] = quick
    once, again = (ours.residuals("mm002", ours.start) for _ in range(2))
    assert once == again
    assert [r.target.arm for r in once] == ["pom", "pom", "pd", "pd"]
    after = ours.residuals("mm002", {**ours.start, "parameters.imid.kill_rate": 2e-4, "population.imid_resistant_fraction.mean": -0.2})
    assert sum(r.value for r in after if r.target.endpoint == "orr") < sum(r.value for r in once if r.target.endpoint == "orr")
    assert ours.residuals("mm002", ours.start, first=search.FRESH) != once


def test_paths_of_the_plan_act_where_it_says():
    plan = read_plan()
    studies = {name: load_scenario(name) for name in plan.targets}
    for number in plan.free:
        acts = {name for name in studies if numbers.current(studies[name], number.path) is not None}
        assert set(number.acts) <= acts, number.path


# ---- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def tme(tmp_path, monkeypatch):
    """Call `tme` in an empty folder, with patients that nobody simulates: their responses follow the rate of an IMiD's kill."""
    monkeypatch.chdir(tmp_path)

    def simulated(self, scenario, values, replicate):
        study = self.study(scenario, values, replicate)
        rate = study.drugs["pomalidomide"].effects["imid"].params.kill_rate
        tables = [patients(round(40 * min(1.0, rate / 6e-3)), 40, 2000.0 * rate, arm.key) for arm in study.arms]
        return pd.concat(tables, ignore_index=True)

    monkeypatch.setattr(simulator.Simulator, "__call__", simulated)

    def call(*arguments):
        return CliRunner().invoke(app, list(arguments))

    return call


def test_tme_calibrate_from_the_first_trial_to_the_document(tme, tmp_path, check_crate):
    Path("notes.md").write_text("# Notes\n", encoding="utf-8")
    told = tme("calibrate", "--only", "mm002", "--free", "parameters.imid.kill_rate", "--trials", "14", "--doc", "notes.md")
    assert told.exit_code == 0, told.output
    assert "1 free numbers, 4 targets in mm002" in told.output
    assert "trial 13: loss" in told.output
    folder = tmp_path / "results" / "calibration"
    values = search.read_values(folder / "calibrated.toml")
    assert list(values) == ["parameters.imid.kill_rate"]
    check_crate(folder, "calibration")
    notes = Path("notes.md").read_text(encoding="utf-8")
    assert notes.startswith("# Notes\n") and "<!-- calibration -->" in notes and "`parameters.imid.kill_rate`" in notes
    more = tme("calibrate", "--only", "mm002", "--free", "parameters.imid.kill_rate", "--trials", "15")
    assert more.exit_code == 0 and "trial 14: loss" in more.output and "trial 13: loss" not in more.output


def test_tme_calibrate_begins_anew_when_told(tme):
    call = ("calibrate", "--only", "mm002", "--free", "parameters.imid.kill_rate", "--trials", "12")
    nothing = tme(*call, "--resume")
    assert nothing.exit_code == 2 and "no folder" in nothing.stderr
    assert tme(*call).exit_code == 0
    other = (*call, "--patients", "50")
    refused = tme(*other)
    assert refused.exit_code == 2 and "begin anew with --force" in refused.stderr
    anew = tme(*other, "--force")
    assert anew.exit_code == 0 and "trial 0: loss" in anew.output
    assert tme(*other, "--force", "--resume").exit_code == 2


def test_tme_calibrate_refuses_what_it_cannot_do(tme):
    wrong = tme("calibrate", "--only", "icarai")
    assert wrong.exit_code == 2 and "did you mean 'icaria'" in wrong.output
    assert tme("calibrate", "plan.toml").exit_code == 2
    Path("plan.toml").write_text(PLAN.replace('["pd"]', '["isa-pd"]'), encoding="utf-8")
    refused = tme("calibrate", "plan.toml")
    assert refused.exit_code == 2 and "has the role 'prediction'" in refused.output


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('["pd"]', '["pdd"]', "plan.toml, line {line}: targets.icaria: icaria: there is no arm 'pdd'; did you mean 'pd'?"),
        ("icaria", "icarai", "plan.toml, line {line}: targets.icarai: there is no scenario 'icarai'; did you mean 'icaria'?"),
        ('acts = ["icaria"]', 'acts = ["ikema"]', "plan.toml, line {line}: free[0].acts: 'ikema' has no targets"),
        ("seed = ", "seed = -", "plan.toml, line {line}: seed must be a whole number from 0"),
        ("range = [", "range = [2e9, ", "plan.toml, line {line}: free[0].range: write [least, largest], got [2000000000.0, "),
    ],
)
def test_what_is_wrong_with_a_plan_is_told_with_its_line(tme, old, new, said):
    assert PLAN.count(old)
    text = PLAN.replace(old, new)
    Path("plan.toml").write_text(text, encoding="utf-8")
    line = text[: text.index(new)].count("\n") + 1
    refused = tme("calibrate", "plan.toml")
    assert refused.exit_code == 2 and refused.stderr.startswith(f"tme: {said.format(line=line)}")
