"""The bank: weights that make populations, runs that a trial would have seen, patients that are drawn once."""

import json
import math
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tme_abm.analysis.bank import outcomes as seen
from tme_abm.analysis.bank.draw import Sitting, first_sitting, population_of
from tme_abm.analysis.bank.plan import read_plan
from tme_abm.analysis.bank.rates import IDLE, RATES
from tme_abm.analysis.bank.record import AFTER, PATIENT_HEADINGS, RUN_HEADINGS, VISIT_HEADINGS, watch
from tme_abm.analysis.bank.run import add_sitting, draw_bank
from tme_abm.analysis.bank.store import read_bank
from tme_abm.analysis.bank.trials import play
from tme_abm.analysis.bank.weighted import Curve, Sample, covariance, scaled, unscaled
from tme_abm.analysis.bank.weights import Weigher, effective, normalised
from tme_abm.batch.desk import Desk
from tme_abm.batch.executors import Processes, Threads
from tme_abm.cli.app import app
from tme_abm.foundation.errors import InputError
from tme_abm.patients.population import draw_patient
from tme_abm.patients.reading import load_population
from tme_abm.scenario.kinds import load_trial
from tme_abm.simulation.simulation import Simulation, enrol, make_patient_key
from tme_abm.trial.arm import draw_exits, treat

PLAN = """\
seed = 77
[marrow]
shape = [32, 32]
[widen]
growth_rate = 1.3
imid_sensitivity = 1.4
[arms.pd]
scenario = "icaria"
until = "3 month"
[arms.isa]
scenario = "isatuximab_monotherapy"
until = "3 month"
[arms.isa-pd]
scenario = "icaria"
until = "3 month"
combination = true
[[cohorts]]
population = "icaria"
share = 0.7
arms = ["pd", "isa-pd"]
[[cohorts]]
population = "mm002"
share = 0.3
arms = ["pd", "isa"]
"""
DESK = Desk(Threads(2))


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "bank.toml").write_text(PLAN)
    return read_plan(load_trial, tmp_path / "bank.toml")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A bank of eight candidates on small patches, controls and combinations."""
    folder = tmp_path_factory.mktemp("bank")
    (folder / "bank.toml").write_text(PLAN)
    plan = read_plan(load_trial, folder / "bank.toml")
    summary = draw_bank(plan, folder / "out", 8, "all", DESK)
    return plan, folder / "out", summary


# ---- weights ---------------------------------------------------------------------------------------------------------


def test_weights_make_a_population_of_the_patients_of_others(toy):
    bank = toy(3000)
    weigher = Weigher(bank, {key: facts["acts"] for key, facts in bank.arms.items()})
    for name in ("icaria", "mm002"):
        population = load_population(name)
        weights = weigher.against(population, "pd").weights()
        own = [draw_patient(population, 5, i) for i in range(3000)]
        for trait, scale in (("growth_rate", math.log), ("imid_sensitivity", math.log), ("age", float), ("b2m_mg_per_l", math.log)):
            here, there = (np.array([scale(getattr(p, trait)) for p in group]) for group in (bank.patients, own))
            error = there.std() * (1.0 / math.sqrt(len(there)) + 1.0 / math.sqrt(effective(weights)))
            assert abs(weights @ here - there.mean()) < 2.5 * error, (name, trait)
        assert 300 < effective(weights) < 3000
    # without weights the bank is neither
    assert abs(np.mean([p.age for p in bank.patients]) - np.mean([p.age for p in own])) > 1.0


def test_a_population_of_a_run_is_its_own(toy):
    narrow = toy(500, widen=1.0)
    alone = replace(
        narrow, sittings=(Sitting(0, 500, narrow.sittings[0].cohorts[:1], narrow.sittings[0].widen),), cohort=np.zeros(500, int)
    )
    keep = np.flatnonzero(narrow.cohort == 0)
    people = tuple(narrow.patients[i] for i in keep)
    n = len(keep)
    runs = {key: replace_rows(run, keep) for key, run in narrow.runs.items()}
    alone = replace(
        alone,
        patients=people,
        sitting=np.zeros(n, int),
        cohort=np.zeros(n, int),
        is_eligible=np.ones(n, bool),
        stop_draw=narrow.stop_draw[keep],
        runs=runs,
    )
    weigher = Weigher(alone, {key: facts["acts"] for key, facts in alone.arms.items()})
    weights = weigher.against(load_population("icaria"), "pd").weights()
    np.testing.assert_allclose(weights, 1.0 / n, rtol=1e-9)


def replace_rows(runs, keep):
    columns = {
        name: getattr(runs, name)[keep]
        for name in ("progression_day", "known_day", "response_day", "days", "rank", "own_rank", "mrd_negative", "m_protein")
    }
    return replace(runs, who=np.arange(len(keep)), **columns)


def test_free_numbers_weigh_as_a_population_that_has_them(toy):
    bank = toy(400)
    weigher = Weigher(bank, {key: facts["acts"] for key, facts in bank.arms.items()})
    free = [("imid_sensitivity", "median"), ("imid_sensitivity", "by_growth_rate"), ("growth_rate", "sigma")]
    target = weigher.against(load_population("icaria"), "pd", free)
    ours = target.weights({"imid_sensitivity": {"median": 1.3, "by_growth_rate": 0.4}, "growth_rate": {"sigma": 0.5}})
    median = load_population("icaria")["growth_rate"].distribution.median
    reference = next(e.relative_to for e in load_population("icaria")["imid_sensitivity"].effects if e.text.startswith("by growth_rate"))
    sigma = load_population("icaria")["imid_sensitivity"].distribution.sigma
    quantities = {
        "growth_rate": {"lognormal": {"median": median, "sigma": 0.5}, "truncate": [0.0008, 0.05]},
        "imid_sensitivity": {
            "lognormal": {"median": 1.3, "sigma": sigma},
            "truncate": [0.02, 30.0],
            "effects": [{"by": "growth_rate", "relative_to": reference, "exponent": 0.4}],
        },
    }
    theirs = weigher.against(load_population({"inherits": "icaria", "quantities": quantities}), "pd").weights()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_what_an_arm_cannot_depend_on_is_left_out_and_costs_no_patients(toy):
    bank = toy(800)
    acts = {key: facts["acts"] for key, facts in bank.arms.items()}
    weigher = Weigher(bank, acts)
    assert weigher.idle("pd") == {"proteasome_sensitivity", "effector_fitness"}
    assert weigher.idle("isa-pd") == {"proteasome_sensitivity"}
    # another trait that goes with it keeps it in
    assert weigher.idle("pd", ["effector_fitness"]) == {"proteasome_sensitivity"}
    target = load_population("icaria")
    all_in = Weigher(bank, {"pd": [*acts["pd"], "adcc", "proteasome"], "isa-pd": acts["isa-pd"]})
    assert effective(weigher.against(target, "pd").weights()) > 1.03 * effective(all_in.against(target, "pd").weights())


@pytest.mark.parametrize(
    ("arm", "scenario", "traits"),
    [
        ("pd", "icaria", ["proteasome_sensitivity", "effector_fitness"]),
        ("isa", "isatuximab_monotherapy", ["imid_sensitivity", "proteasome_sensitivity", "glucocorticoid_sensitivity"]),
    ],
)
def test_an_arm_does_not_depend_on_what_its_drugs_do_not_touch(arm, scenario, traits):
    assert set(traits) <= set(IDLE)
    study = load_trial(scenario, ["marrow.shape=[32, 32]", 'trial.follow_up=["2 month", "2 month"]'])
    regimen = next(a for a in study.arms if a.key == arm)

    def end(given):
        patient = draw_patient(study.population, 5, 0, given=given)
        one = Simulation(patient, study.settings, make_patient_key(5, 0)).fork(regimen, study.drugs)
        one.advance(120)
        return one.state_hash()

    plain = end({})
    for trait in traits:
        assert end({trait: 3.0}) == plain, trait
    touched = {"pd": "imid_sensitivity", "isa": "effector_fitness"}[arm]
    assert end({touched: 8.0}) != plain


@pytest.mark.parametrize(
    ("scenario", "arm", "drug", "mechanism"), [("icaria", "pd", "pomalidomide", "imid"), ("ikema", "kd", "carfilzomib", "proteasome")]
)
def test_half_the_rate_of_a_drug_is_a_patient_of_half_the_sensitivity(scenario, arm, drug, mechanism):
    """What lets weights stand for a drug's own rate."""
    number, trait = RATES[mechanism]
    small = ["marrow.shape=[32, 32]", 'trial.follow_up=["2 month", "2 month"]']
    study = load_trial(scenario, small)
    rate = getattr(study.drugs[drug].effects[mechanism].params, number)
    halved = load_trial(scenario, [*small, f"drugs.{drug}.{mechanism}.{number}={{ value = {rate / 2.0} }}"])

    def end(trial, sensitivity):
        patient = draw_patient(trial.population, 5, 0, given={trait: sensitivity})
        regimen = next(a for a in trial.arms if a.key == arm)
        one = Simulation(patient, trial.settings, make_patient_key(5, 0)).fork(regimen, trial.drugs)
        one.advance(120)
        return one.state_hash()

    assert end(halved, 2.0) == end(study, 1.0) != end(study, 2.0)


def test_a_rate_weighs_as_a_population_of_another_sensitivity(toy):
    bank = toy(400)
    bank = replace(bank, arms={key: {**facts, "rates": {"drugs.pomalidomide.imid.kill_rate": 0.0006}} for key, facts in bank.arms.items()})
    weigher = Weigher(bank, {key: facts["acts"] for key, facts in bank.arms.items()})
    path, population = "drugs.pomalidomide.imid.kill_rate", load_population("icaria")
    free = [("imid_sensitivity", path), ("imid_sensitivity", "median")]
    target = weigher.against(population, "pd", free)
    twice = target.weights({"imid_sensitivity": {path: 0.0012}})
    files = population["imid_sensitivity"].distribution
    wide = {
        "inherits": "icaria",
        "quantities": {"imid_sensitivity": {"lognormal": {"median": 2.0 * files.median, "sigma": files.sigma}, "truncate": [0.04, 60.0]}},
    }
    np.testing.assert_allclose(twice, weigher.against(load_population(wide), "pd").weights(), rtol=1e-6)
    np.testing.assert_allclose(
        target.weights({"imid_sensitivity": {"median": 1.3 * files.median}}),
        target.weights({"imid_sensitivity": {path: 0.0006 * 1.3}}),
        rtol=1e-3,
    )
    # a trial whose files have another rate than the bank's runs is weighed for it without being told
    there = weigher.against(population, "pd", [], {path: 0.0012})
    np.testing.assert_allclose(there.weights(), twice, rtol=1e-9)


def test_weights_by_hand():
    weights = normalised(np.log([1.0, 1.0, 2.0]))
    np.testing.assert_allclose(weights, [0.25, 0.25, 0.5])
    assert effective(weights) == pytest.approx(1.0 / (0.0625 + 0.0625 + 0.25))
    heavy = np.array([0.0] * 99 + [10.0])
    cut = normalised(heavy)
    assert 1.0 < effective(normalised(heavy, is_cut=False)) < effective(cut) - 0.05
    assert cut[-1] / cut[0] == pytest.approx(10.0 * (99 + math.exp(10.0)) / 100.0, rel=1e-6)
    assert np.isnan(normalised(np.array([-np.inf, -np.inf]))).all()


# ---- what a trial sees -----------------------------------------------------------------------------------------------


def test_a_run_that_goes_on_shows_what_a_trial_with_its_ways_out_has_seen():
    study = load_trial("icaria", ["marrow.shape=[32, 32]", 'trial.follow_up=["5 month", "9 month"]'], patients=12, seed=5)
    kinds = set()
    for index in range(8):
        grown, _ = enrol(study.population, study.settings, study.seed, index)
        ways_out = draw_exits(grown.patient, study, grown.key)
        dropout = 95.0 if index == 3 else ways_out.dropout_day
        death = 120.0 if index in (4, 5) else ways_out.death_day
        ways_out = ways_out._replace(dropout_day=dropout, death_day=death)
        for regimen in study.arms:
            arm, record = treat(grown, regimen, ways_out, study)
            wanted = arm.result(record, 0)
            until = replace_arm(study, regimen, 400.0)
            free = ways_out._replace(death_day=math.inf, dropout_day=math.inf, cutoff_day=400.0)
            found = as_runs(regimen.key, watch(grown, until, free, study))
            exits = seen.Exits(*(np.array([x]) for x in (death, dropout, ways_out.cutoff_day)))
            got = seen.seen(found, np.array([0]), exits)
            kinds.add(wanted["event_kind"])
            assert got.months[0] * 30.4375 == pytest.approx(wanted["pfs_days"])
            assert bool(got.event[0]) == wanted["pfs_event"]
            assert bool(got.rank[0] >= seen.DEPTHS["orr"]) == wanted["responder"]
            after = wanted["best_response_after_mass_spectrometry"]
            assert bool(got.own_rank[0] >= seen.DEPTHS["cr_or_better"]) == (after in ("CR", "sCR"))
            assert bool(got.mrd_negative[0]) == wanted["mrd_negative"]
            if wanted["responder"]:
                assert got.response_months[0] * 30.4375 == pytest.approx(wanted["time_to_response_days"])
            else:
                assert math.isinf(got.response_months[0])
    assert kinds == {"progression", "death", "censored"}


def replace_arm(study, regimen, until):
    from tme_abm.analysis.bank.plan import BankArm

    return BankArm(regimen.key, study, regimen, until, False)


def as_runs(key, line):
    from tme_abm.analysis.bank.store import RANKS, ArmRuns

    def day(name):
        return np.array([math.inf if line["run"][name] is None else line["run"][name]])

    visits = line["visits"]
    days = np.array([[*visits["day"], math.inf]])
    rank, own_rank = (np.array([[*(RANKS[word] for word in visits[name]), -1]]) for name in ("best_response", AFTER))
    negative = np.array([[*visits["mrd_negative"], False]])
    protein = np.array([[*visits["m_protein_g_per_l"], math.nan]])
    return ArmRuns(
        key, np.array([0]), day("progression_day"), day("known_day"), day("response_day"), days, rank, own_rank, negative, protein
    )


# ---- endpoints of weighted patients ----------------------------------------------------------------------------------


def outcomes(n=300, seed=1):
    chance = np.random.default_rng(seed)
    months = np.ceil(chance.exponential(9.0, n) * 2.0) / 2.0
    event = chance.random(n) < 0.75
    rank = chance.choice([1, 3, 4, 5], n, p=[0.5, 0.3, 0.15, 0.05])
    response = np.where(rank >= 3, np.minimum(chance.choice([1.0, 2.0, 3.0], n), months), np.inf)
    return seen.Outcomes(np.arange(n), months, event, rank, rank, chance.random(n) < 0.1, response)


def test_a_weighted_curve_is_that_of_lifelines(lifelines):
    got, chance = outcomes(), np.random.default_rng(2)
    weights = chance.exponential(1.0, len(got.months))
    weights /= weights.sum()
    theirs = lifelines.KaplanMeierFitter().fit(got.months, got.event, weights=weights)
    curve = Curve(got.months, got.event)
    for month in (1.0, 3.3, 8.0, 20.0):
        assert curve.at(weights, month) == pytest.approx(float(theirs.predict(month)), abs=1e-9)
    assert curve.median(weights) == pytest.approx(theirs.median_survival_time_, abs=0.5)  # on the middles of steps of half a month


@pytest.mark.parametrize(
    "endpoint",
    ["median_pfs", "orr", "vgpr_or_better", "mrd_negative", "pfs_6_months", "median_duration_of_response", "median_time_to_response"],
)
def test_the_covariance_of_the_endpoints_is_that_of_trials(endpoint):
    got = outcomes(4000)
    chance, n, even = np.random.default_rng(3), 200, np.full(4000, 1.0 / 4000)
    one = covariance(Sample(got), (endpoint, "orr"), even)
    values = []
    for _ in range(400):
        drawn = chance.integers(0, 4000, n)
        trial = Sample(seen.Outcomes(np.arange(n), *(column[drawn] for column in got[1:])))
        values.append([trial.scaled(name, np.full(n, 1.0 / n)) for name in (endpoint, "orr")])
    found = np.cov(np.array(values).T)
    # a median jumps between its ties, that of the time to response between three visits
    spread = 0.6 if endpoint == "median_time_to_response" else 0.35 if "median" in endpoint else 0.2
    assert one[0, 0] / n == pytest.approx(found[0, 0], rel=spread)
    if endpoint in ("vgpr_or_better", "median_pfs", "pfs_6_months"):
        limit = 4.0 / math.sqrt(400)
        both = one[0, 1] / math.sqrt(one[0, 0] * one[1, 1]) if endpoint != "orr" else 1.0
        assert abs(both - np.corrcoef(np.array(values).T)[0, 1]) < limit


def test_scales_go_back_and_forth():
    for endpoint, value in (("median_pfs", 6.5), ("orr", 0.35), ("pfs_12_months", 0.6), ("median_time_to_response", 1.2)):
        assert unscaled(endpoint, scaled(endpoint, value)) == pytest.approx(value)
    with pytest.raises(InputError, match="did you mean 'median_pfs'"):
        scaled("median_pf", 3.0)


def test_a_virtual_trial_is_one_of_its_population(toy):
    bank = toy(1500)
    weigher = Weigher(bank, {key: facts["acts"] for key, facts in bank.arms.items()})
    study = load_trial("icaria", ['trial.follow_up=["20 month", "24 month"]'])
    trial = play(study, bank, weigher, ["population.imid_sensitivity.median", "population.mm002.age.mean"])
    assert set(trial.arms) == {"isa-pd", "pd"}
    arm, chance = trial.arms["pd"], np.random.default_rng(1)
    assert [path for path, *_ in arm.places] == ["population.imid_sensitivity.median"]
    better, worse = ({"population.imid_sensitivity.median": x} for x in (1.5, 0.7))
    shares = [arm.draw(4000, arm.weights(v), study.follow_up, chance).share("orr").mean() for v in (better, worse)]
    assert shares[0] > shares[1] + 0.05
    own = arm.draw(4000, arm.weights(), study.follow_up, chance)
    weights = arm.weights()
    assert own.share("orr").mean() == pytest.approx(float(weights @ (arm.runs.rank.max(axis=1) >= 3)), abs=0.06)
    with pytest.raises(InputError, match="has run none of the arms of ikema"):
        play(load_trial("ikema"), bank, weigher)


# ---- drawing ---------------------------------------------------------------------------------------------------------


def test_what_a_bank_leaves_on_disk(drawn, assert_as_declared):
    _, folder, summary = drawn
    assert (summary["candidates"], summary["runs"], summary["failed"]) == (8, summary["runs"], 0)
    assert summary["core_hours"] > 0.0 and summary["core_seconds_of_arms"]["pd"] > 0.0
    for name, headings in (("patients", PATIENT_HEADINGS), ("runs", RUN_HEADINGS), ("visits", VISIT_HEADINGS)):
        table = pd.read_parquet(folder / f"{name}.parquet")
        assert len(table)
        assert_as_declared(table, headings)
    patients = pd.read_parquet(folder / "patients.parquet")
    assert patients["cohort"].value_counts().to_dict() == {"icaria": 6, "mm002": 2}
    bank = read_bank(folder)
    assert set(bank.runs) == {"pd", "isa", "isa-pd"}
    one = bank.patients[0]
    assert one.growth_rate == patients["growth_rate_per_day"][0] and isinstance(one.del17p, bool) and isinstance(one.prior_lines, int)
    weigher = Weigher(bank, {key: facts["acts"] for key, facts in bank.arms.items()})
    assert np.isfinite(weigher.against(load_population("icaria"), "pd").fixed).all()


def _json(path, change):
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def _column(path, change):
    table = pd.read_parquet(path)
    found = change(table)
    path.unlink() if path.is_file() else [part.unlink() for part in path.iterdir()]
    (table if found is None else found).to_parquet(path if path.suffix and not path.is_dir() else path / "part-00000.parquet")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("sittings.json", lambda t: t.pop("arms"), r"sittings\.json: arms: field required"),
        ("sittings.json", lambda t: t["arms"]["pd"].pop("regimen"), r"sittings\.json: arms\.pd\.regimen: field required"),
        ("sittings.json", lambda t: t["arms"]["pd"].update(until_days="long"), r"sittings\.json: arms\.pd\.until_days: "),
        ("sittings.json", lambda t: t["sittings"][0]["cohorts"].pop(), r"patients\.parquet: a patient is of a cohort"),
        ("sittings.json", lambda t: t["sittings"][0].update(number=1), r"sittings are not numbered from 0"),
        (
            "sittings.json",
            lambda t: t["sittings"][0]["cohorts"][0]["table"].pop("quantities"),
            r"sittings\.json: population: quantity 'age'.* is missing",
        ),
        ("runs.parquet", lambda t: t.drop(columns="status"), r"runs\.parquet: there is no column 'status'"),
        ("runs.parquet", lambda t: t.assign(known_day="late"), r"runs\.parquet: the column 'known_day' holds no numbers"),
        (
            "runs.parquet",
            lambda t: t.assign(status="done"),
            r"runs\.parquet: the column 'status' holds 'done', which is not completed, failed",
        ),
        ("runs.parquet", lambda t: t.assign(patient=t["patient"] + 100), r"runs\.parquet: a run is of nobody"),
        ("runs.parquet", lambda t: pd.concat([t, t]), r"runs\.parquet: a patient was run twice"),
        ("visits.parquet", lambda t: t.assign(arm="x"), r"visits\.parquet: a visit is of no run"),
        ("visits.parquet", lambda t: t.assign(day=-1.0), r"visits\.parquet: the column 'day' holds -1, which is not from 0"),
        ("visits.parquet", lambda t: t.assign(best_response=None), r"visits\.parquet: the column 'best_response' lacks values"),
        ("patients.parquet", lambda t: t.assign(stop_draw=np.nan), r"patients\.parquet: the column 'stop_draw' lacks values"),
        ("patients.parquet", lambda t: pd.concat([t, t]), r"patients\.parquet: a patient stands there twice"),
    ],
)
def test_what_is_wrong_with_a_bank_on_disk_is_told_with_its_file(drawn, tmp_path, name, change, said):
    folder = tmp_path / "bank"
    shutil.copytree(drawn[1], folder)
    (_json if name.endswith("json") else _column)(folder / name, change)
    with pytest.raises(InputError, match=said):
        read_bank(folder)
    if name != "sittings.json":
        (folder / name).unlink() if (folder / name).is_file() else shutil.rmtree(folder / name)
        (folder / name).write_bytes(b"nothing")
        with pytest.raises(InputError, match=rf"{name}: not a Parquet table"):
            read_bank(folder)


def test_more_patients_and_combinations_are_added_and_nothing_is_run_again(plan, tmp_path, drawn):
    folder = tmp_path / "out"
    draw_bank(plan, folder, 5, "controls", DESK)
    first = pd.read_parquet(folder / "runs.parquet")
    assert set(first["arm"]) == {"pd", "isa"}
    stamps = {path: path.stat().st_size for path in (folder / ".tme-run" / "journal").glob("*.shard")}
    draw_bank(plan, folder, 8, "controls", DESK)
    draw_bank(plan, folder, 8, "combinations", DESK)
    assert all(path.stat().st_size == size for path, size in stamps.items())
    keys = ["patient", "arm"]
    ours = pd.read_parquet(folder / "runs.parquet").sort_values(keys).drop(columns="core_seconds").reset_index(drop=True)
    theirs = pd.read_parquet(drawn[1] / "runs.parquet").sort_values(keys).drop(columns="core_seconds").reset_index(drop=True)
    pd.testing.assert_frame_equal(ours, theirs)
    again = draw_bank(plan, folder, 3, "all", DESK)  # fewer are asked for: those who are there stay
    assert again["candidates"] == 8


def test_processes_draw_the_same_bank(plan, tmp_path, drawn):
    draw_bank(plan, tmp_path / "out", 8, "all", Desk(Processes(2)))
    keys = ["patient", "arm"]
    ours, theirs = (pd.read_parquet(f / "runs.parquet").sort_values(keys).reset_index(drop=True) for f in (tmp_path / "out", drawn[1]))
    assert list(ours["state_hash"]) == list(theirs["state_hash"])


def test_a_further_sitting_is_weighed_with_the_first(plan, tmp_path):
    folder = tmp_path / "out"
    draw_bank(plan, folder, 4, "controls", DESK)
    cohort = replace(first_sitting(plan, 1).cohorts[0], share=1.0)
    add_sitting(plan, folder, Sitting(1, 3, (cohort,), {"growth_rate": 1.1}), DESK)
    bank = read_bank(folder)
    assert [s.patients for s in bank.sittings] == [4, 3] and len(bank.patients) == 7
    weigher = Weigher(bank, {key: facts["acts"] for key, facts in bank.arms.items()})
    assert weigher.parts == [(0, 0), (0, 1), (1, 0)]
    # the density under which all came is the mixture of the parts in their shares
    logs = weigher.log_drawn("pd", [])
    one = bank["pd"].who
    parts = [(part, ((bank.sitting == part[0]) & (bank.cohort == part[1]))[one].mean()) for part in weigher.parts]
    wanted = sum(
        share * np.exp(sum(weigher._drawn[part].values()) + weigher._log_stopping(weigher._stopping[part], "pd"))[one]
        for part, share in parts
    )
    np.testing.assert_allclose(logs, np.log(wanted), rtol=1e-9)


def test_a_population_that_the_files_change_later_stays_as_it_was_drawn(plan, tmp_path, drawn):
    kept = json.loads((drawn[1] / "sittings.json").read_text())["sittings"][0]["cohorts"][0]["table"]
    assert "inherits" not in kept
    assert (
        population_of(first_sitting(plan, 1).cohorts[0], {})["growth_rate"].distribution
        == load_population("icaria")["growth_rate"].distribution
    )


def test_another_bank_or_arm_is_refused(plan, tmp_path, drawn):
    other = tmp_path / "other.toml"
    for old, new, said in (
        ("seed = 77", "seed = 78", "seed 77 instead of 78"),
        ("share = 0.7", "share = 0.6", "other cohorts, shares or spreads"),
        ("growth_rate = 1.3", "growth_rate = 1.5", "other cohorts, shares or spreads"),
        ('until = "3 month"\n[arms.isa]', 'until = "4 month"\n[arms.isa]', "arms.pd is another than in the bank"),
    ):
        text = PLAN.replace(old, new)
        if "0.6" in new:
            text = text.replace("share = 0.3", "share = 0.4")
        other.write_text(text)
        with pytest.raises(InputError, match=said):
            draw_bank(read_plan(load_trial, other), drawn[1], 8, "all", DESK)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'scenario = "icaria"\nuntil = "3 month"\n[arms.isa]',
            'scenario = "icari"\nuntil = "3 month"\n[arms.isa]',
            r"line 8: .*did you mean 'icaria'",
        ),
        ("[arms.isa-pd]", "[arms.isa-p]", r"line 13: icaria has no arm 'isa-p'; did you mean 'isa-pd'"),
        ('arms = ["pd", "isa"]', 'arms = ["pd", "isb"]', "there is no arm 'isb'; did you mean 'isa'"),
        ("share = 0.3", "share = 0.2", "the shares of the cohorts must make 1, not 0.9"),
        ("imid_sensitivity = 1.4", "imid_sensitivit = 1.4", r"line 6: unknown trait 'imid_sensitivit'; did you mean 'imid_sensitivity'"),
        ("imid_sensitivity = 1.4", "imid_sensitivity = 9.0", "a factor from 0.5 to 4, got 9"),
        ("seed = 77", "sed = 77", r"line 1: unknown key 'sed'; did you mean 'seed'"),
        ('population = "mm002"', 'population = "mm009"', "unknown population 'mm009'"),
        ('until = "3 month"', 'until = "9 d"', "ends before the first visit on day 28"),
        ("combination = true", "combinatio = true", "unknown key 'combinatio'; did you mean 'combination'"),
        ("shape = [32, 32]", "shape = [32, 0]", r"^\S*bank.toml, line 3: marrow.shape: a patch has sides of 8 to 8192 sites, not 32 x 0"),
        ("shape = [32, 32]", 'step = "7 h"', r"^\S*bank.toml, line 3: "),
        ('scenario = "icaria"', 'scenario = "figure1_adenosine"', "bank.toml, line 8: .* is an experiment of the laboratory, not a trial"),
    ],
)
def test_what_is_wrong_with_a_plan_is_told_with_its_line(tmp_path, old, new, said):
    (tmp_path / "bank.toml").write_text(PLAN.replace(old, new, 1))
    with pytest.raises(InputError, match=said):
        read_plan(load_trial, tmp_path / "bank.toml")


def test_a_patch_of_the_command_line_is_refused_by_its_option(tmp_path):
    (tmp_path / "bank.toml").write_text(PLAN)
    with pytest.raises(InputError, match=r"^--shape 32,0: marrow.shape: a patch has sides"):
        read_plan(load_trial, tmp_path / "bank.toml", [32, 0])


def test_arms_that_do_not_go_together_leave_no_folder(tmp_path):
    """A plan that is refused by what its arms are leaves nothing to go on with."""
    from dataclasses import replace

    (tmp_path / "bank.toml").write_text(PLAN)
    plan = read_plan(load_trial, tmp_path / "bank.toml")
    arm = plan.arms["isa"]
    other = replace(arm, study=replace(arm.study, settings=replace(arm.study.settings, without=frozenset({"adcc"}))))
    with pytest.raises(InputError, match="set different numbers or mechanisms"):
        draw_bank(replace(plan, arms={**plan.arms, "isa": other}), tmp_path / "results" / "bank", 8, "all", DESK)
    assert not (tmp_path / "results").exists()


def test_the_plan_of_the_package_names_arms_that_there_are():
    plan = read_plan(load_trial)
    assert {key for key, arm in plan.arms.items() if arm.is_combination} == {"isa-pd", "isa-kd", "elo-rd", "elo-pd"}
    assert sum(cohort.share for cohort in plan.cohorts) == pytest.approx(1.0)
    counts = np.bincount(first_sitting(plan, 100).cohort_of())
    assert counts.tolist() == [round(100 * cohort.share) for cohort in plan.cohorts]


def test_tme_bank_from_the_command_line(tmp_path, monkeypatch, check_crate):
    (tmp_path / "bank.toml").write_text(PLAN)
    monkeypatch.chdir(tmp_path)
    run = partial(CliRunner().invoke, app)
    done = run(["bank", "bank.toml", "--patients", "3", "--workers", "1", "--out", "out"])
    assert done.exit_code == 0, done.output
    assert "core-hours" in done.output and "pd: 3 runs" in done.output
    check_crate(tmp_path / "out", "bank")
    refused = run(["bank", "bank.toml", "--arms", "control", "--out", "other"])
    assert refused.exit_code == 2 and "did you mean 'controls'" in refused.stderr
    empty = run(["calibrate", "--bank", "nowhere", "--out", "cal"])
    assert empty.exit_code == 2 and "nowhere holds no bank" in empty.stderr


def test_hazard_ratios_of_weighted_patients(toy, lifelines):
    """The sketch's question: does a weight do what another population does? Against lifelines with weights."""
    bank = toy(1200)
    weigher = Weigher(bank, {key: facts["acts"] for key, facts in bank.arms.items()})
    study = load_trial("icaria", ['trial.follow_up=["20 month", "24 month"]'])
    trial = play(study, bank, weigher)
    rows, chance = [], np.random.default_rng(9)
    drawn = {}
    for key, arm in trial.arms.items():
        got = seen.repeated(arm.runs, arm.rates, study.follow_up, 1, chance)
        rows.append(pd.DataFrame({"t": got.months, "e": got.event, "x": float(key == "isa-pd"), "w": arm.weights()}))
        drawn[key] = arm.draw(20000, arm.weights(), study.follow_up, chance)
    table = pd.concat(rows)
    table = table[(table["t"] > 0) & (table["w"] > 1e-12)]
    cox = lifelines.CoxPHFitter().fit(table, "t", "e", weights_col="w", robust=True)
    from tme_abm.analysis.prediction import hazard_ratio

    months, event = zip(*((drawn[k].months, drawn[k].event) for k in ("isa-pd", "pd")), strict=True)
    assert hazard_ratio(tuple(months), tuple(event)) == pytest.approx(float(np.exp(cox.params_["x"])), rel=0.08)
