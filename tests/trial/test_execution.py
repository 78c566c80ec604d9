"""Running a study: the same for any number of workers, complete tables, failures as rows, ways out of the study."""

import gc
import json
import math
import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tme_abm.batch.desk import Desk
from tme_abm.batch.executors import Threads
from tme_abm.batch.progress import Silence
from tme_abm.batch.results import MARKER, open_results
from tme_abm.foundation.declare import GRADES
from tme_abm.foundation.errors import InputError
from tme_abm.marrow.cells import N_CAUSES, Cause
from tme_abm.outcomes import pfs
from tme_abm.outcomes.imwg import is_at_least
from tme_abm.patients.population import draw_patient
from tme_abm.scenario.kinds import load_scenario
from tme_abm.simulation.simulation import Simulation, enrol, make_patient_key
from tme_abm.trial import execution, tables
from tme_abm.trial.arm import Arm, Exits, draw_exits
from tme_abm.trial.execution import allocated, compile_kernels, run_patient
from tme_abm.trial.study import FollowUp

TRAJECTORY = {
    *("patient", "arm", "visit", "day", "month"),
    *("plasma_cells", "t_cells", "nk_cells", "treg_cells", "breg_cells", "mdsc_cells", "macrophage_cells", "stroma_cells"),
    *("plasma_fraction", "tumour_cells_total", "clone_sensitive", "clone_imid_proteasome_antibody"),
    *("adenosine", "il6", "chemokine", "m_protein_g_per_l", "m_protein_measured_g_per_l"),
    *("t_cell_activity", "nk_activity", "cd38_sites_per_cell", "deaths_adcc", "deaths_turnover"),
    *("concentration_isatuximab_ug_per_ml", "concentration_pomalidomide_ug_per_ml", "concentration_dexamethasone_ug_per_ml"),
}
PATIENTS = {
    *("patient", "arm", "status", "failure", "age", "weight_kg", "sex", "ig_type", "egfr", "high_risk", "prior_lines", "len_refractory"),
    *("pfs_days", "pfs_event", "event_kind", "best_response", "responder", "mrd_negative", "time_to_response_days"),
    *("nadir_m_protein_g_per_l", "state_hash"),
}


@pytest.fixture(scope="module")
def study():
    """Four patients of ICARIA-MM on small patches, for five to seven months."""
    overrides = ["marrow.shape=[32, 32]", 'trial.follow_up=["5 month", "7 month"]']
    return load_scenario("icaria", overrides, patients=4, seed=11)


@pytest.fixture(scope="module", autouse=True)
def without_report():
    """The report has its own tests; drawing it would take most of the time of these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tme_abm.trial.report.write_report", lambda *_: None)
        yield


def run_study(study, folder, workers=1, progress=None):
    """Run a study into a folder."""
    with open_results(folder, {"seed": study.seed, "patients": study.patients}) as results:
        return execution.run_study(study, results, Desk(Threads(workers), progress or Silence()))


@pytest.fixture(scope="module")
def ran(study, tmp_path_factory):
    """Folder and summary of a run with two workers."""
    folder = tmp_path_factory.mktemp("two")
    return folder, run_study(study, folder, 2)


@pytest.fixture(scope="module")
def patients(ran):
    return pd.read_parquet(ran[0] / "patients.parquet")


@pytest.fixture(scope="module")
def trajectory(ran):
    return pd.read_parquet(ran[0] / "trajectory.parquet")


# ---- the same for all ------------------------------------------------------------------------------------------------


def test_results_do_not_depend_on_the_number_of_workers(study, ran, patients, trajectory, tmp_path):
    alone = run_study(study, tmp_path, 1)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "patients.parquet"), patients, check_exact=True)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "trajectory.parquet"), trajectory, check_exact=True)
    timeless = [{k: v for k, v in summary.items() if k != "wall_seconds"} for summary in (alone, ran[1])]
    assert timeless[0] == timeless[1]


def test_another_seed_gives_another_study(study, ran):
    other = replace(study, seed=study.seed + 1, patients=1)
    case = run_patient(other, 0, execution.Silence())
    assert case.hashes[0] not in set(pd.read_parquet(ran[0] / "patients.parquet")["state_hash"])


def test_a_patient_does_not_depend_on_how_many_there_are(study, patients):
    case = run_patient(replace(study, patients=1), 2, execution.Silence())
    assert case.hashes == patients.loc[patients["patient"] == 2, "state_hash"].tolist()


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_what_a_run_leaves_on_disk(ran):
    assert {path.name for path in ran[0].iterdir()} == {"patients.parquet", "trajectory.parquet", "summary.json", "run.json", MARKER}


def test_a_row_for_each_patient_and_arm(study, patients):
    assert set(patients.columns) >= PATIENTS
    assert patients[["patient", "arm"]].to_records(index=False).tolist() == [(i, a.key) for i in range(4) for a in study.arms]
    assert (patients["status"] == "completed").all() and (patients["failure"] == "").all()
    assert patients["pfs_event"].dtype == patients["responder"].dtype == patients["mrd_negative"].dtype == bool
    assert patients["event_kind"].isin(pfs.EVENT_KINDS).all()
    assert ((patients["event_kind"] != "censored") == patients["pfs_event"]).all()
    assert (patients["responder"] == [is_at_least(best, "PR") for best in patients["best_response"]]).all()


def test_arms_of_a_patient_differ_in_nothing_else(patients):
    fixed = [c for c in patients.columns if c in set(patients.columns[: list(patients.columns).index("arm")])]
    for _, rows in patients.groupby("patient"):
        assert (rows[fixed].nunique(dropna=False) == 1).all()
        assert rows["grown_days"].nunique() == rows["screened_out"].nunique() == 1
        assert rows["baseline_m_protein_g_per_l"].nunique() == 1
        assert rows["state_hash"].nunique() == len(rows)


def test_a_row_for_each_visit(patients, trajectory):
    assert set(trajectory.columns) >= TRAJECTORY
    for (patient, arm), rows in trajectory.groupby(["patient", "arm"]):
        assert rows["visit"].tolist() == list(range(len(rows)))
        np.testing.assert_array_equal(rows["day"], 28.0 * rows["visit"])
        np.testing.assert_allclose(rows["month"], rows["day"] / 30.4375)
        outcome = patients[(patients["patient"] == patient) & (patients["arm"] == arm)].iloc[0]
        assert outcome["pfs_days"] <= max(rows["day"].iloc[-1] + 28.0, 28.0)
        assert rows["m_protein_measured_g_per_l"].min() == pytest.approx(outcome["nadir_m_protein_g_per_l"])
    drug_free = trajectory[trajectory["arm"] == "pd"]["concentration_isatuximab_ug_per_ml"]
    assert drug_free.isna().all() or (drug_free == 0.0).all()


def test_all_arms_stand_alike_at_the_first_visit(trajectory):
    first = trajectory[trajectory["visit"] == 0].drop(columns=["arm"])
    states = [c for c in first.columns if not c.startswith("concentration_")]
    for _, rows in first.groupby("patient"):
        assert (rows[states].nunique(dropna=False) == 1).all()
    deaths = [c for c in first.columns if c.startswith("deaths_")]
    assert (first[deaths] == 0).all(axis=None)


def test_deaths_of_the_visits_are_the_shares_of_the_summary(ran, trajectory):
    names = [f"deaths_{c.name.lower()}" for c in Cause if c < N_CAUSES]
    for arm, shares in ran[1]["killing"].items():
        totals = trajectory.loc[trajectory["arm"] == arm, names].sum()
        assert sum(shares.values()) == pytest.approx(1.0)
        for name in names:
            assert shares.get(name.removeprefix("deaths_"), 0.0) == pytest.approx(totals[name] / totals.sum())


# ---- summary and provenance ------------------------------------------------------------------------------------------


def test_summary_holds_what_readers_look_for(study, ran, patients):
    folder, summary = ran
    assert json.loads((folder / "summary.json").read_text()) == summary
    keys = {"scenario", "seed", "patients", "arms", "comparisons", "killing", "cell_updates", "wall_seconds", "state_hash"}
    assert keys <= set(summary)
    assert (summary["scenario"], summary["seed"], summary["patients"], summary["failed"]) == ("icaria", 11, 4, 0)
    assert list(summary["arms"]) == [arm.key for arm in study.arms]
    for arm, row in summary["arms"].items():
        assert {"n", "median_pfs_months", "pfs_ci", "orr", "vgpr_or_better", "cr_or_better", "mrd_negative"} <= set(row)
        assert row["n"] == 4
        assert row["orr"] == patients.loc[patients["arm"] == arm, "responder"].mean()
    (comparison,) = summary["comparisons"]
    assert {"arm", "reference", "hazard_ratio", "ci_low", "ci_high", "ci_level", "p_value"} <= set(comparison)
    assert (comparison["arm"], comparison["reference"], comparison["ci_level"]) == ("isa-pd", "pd", 0.95)
    assert summary["cell_updates"] > 0 and len(summary["state_hash"]) == 32


def test_every_number_of_a_run_has_unit_source_and_grade(study, ran):
    run = json.loads((ran[0] / "run.json").read_text())
    assert (run["name"], run["seed"], run["patients"]) == ("icaria", 11, 4)
    assert run["scenario"] == json.loads(json.dumps(study.resolved))
    names = [row["name"] for row in run["parameters"]]
    assert len(names) == len(set(names)) > 200
    for row in run["parameters"]:
        assert set(row) == {"name", "value", "unit", "meaning", "source", "grade"}
        assert row["unit"] and row["source"] and row["grade"] in GRADES, row["name"]
    for start in ("growth.", "cell_types.", "drugs.isatuximab.", "drugs.pomalidomide.", "drugs.dexamethasone.", "population.", "clones."):
        assert any(name.startswith(start) for name in names), start
    assert {"numpy", "numba", "pandas", "python"} <= set(run["versions"])


# ---- failures --------------------------------------------------------------------------------------------------------


def failing(monkeypatch, doomed, error):
    """Have the patients with these indices raise."""
    honest = execution.enrol

    def raising(population, rules, seed, index):
        if index in doomed:
            raise error
        return honest(population, rules, seed, index)

    monkeypatch.setattr(execution, "enrol", raising)


@pytest.mark.parametrize("piece", [100, 1], ids=["one piece", "a piece each"])
def test_one_failure_is_a_row_and_the_others_complete(study, patients, tmp_path, monkeypatch, piece):
    failing(monkeypatch, {1}, ZeroDivisionError("no cells"))
    monkeypatch.setattr(tables, "PIECE", piece)
    summary = run_study(study, tmp_path, 2)
    table = pd.read_parquet(tmp_path / "patients.parquet")
    failed = table[table["status"] == "failed"]
    assert failed[["patient", "arm"]].to_records(index=False).tolist() == [(1, "isa-pd"), (1, "pd")]
    assert failed["failure"].str.startswith("ZeroDivisionError: no cells").all()
    others = table[table["status"] == "completed"]
    assert others["state_hash"].tolist() == patients.loc[patients["patient"] != 1, "state_hash"].tolist()
    assert summary["failed"] == 1
    (failure,) = summary["failures"]
    assert (failure["patient"], failure["arms"], failure["seed"]) == (1, ["isa-pd", "pd"], study.seed)
    assert failure["error"].startswith("ZeroDivisionError: no cells") and failure["key"] == str(make_patient_key(study.seed, 1))
    assert all(row["n"] == 3 and row["n_started"] == 4 for row in summary["arms"].values())
    assert set(pd.read_parquet(tmp_path / "trajectory.parquet")["patient"]) == {0, 2, 3}


def test_a_failure_in_the_second_arm_keeps_the_first(study, patients, monkeypatch):
    honest = Arm.follow

    def follow(self):
        if self.regimen.key == "pd":
            raise FloatingPointError("lost")
        return honest(self)

    monkeypatch.setattr(Arm, "follow", follow)
    case = run_patient(study, 0, execution.Silence())
    assert [(row["arm"], row["status"]) for row in case.patients] == [("isa-pd", "completed"), ("pd", "failed")]
    assert case.hashes == [patients["state_hash"].iloc[0]]


def test_a_study_in_which_everybody_fails_is_an_error(study, tmp_path, monkeypatch):
    failing(monkeypatch, range(4), ZeroDivisionError("no cells"))
    with pytest.raises(InputError, match="every patient of icaria failed; the first: ZeroDivisionError: no cells"):
        run_study(study, tmp_path, 1)


def test_one_patient_who_cannot_be_is_a_row_too(study, tmp_path, monkeypatch):
    failing(monkeypatch, {2}, InputError("patient 2: no such marrow"))
    assert run_study(study, tmp_path, 2)["failed"] == 1
    table = pd.read_parquet(tmp_path / "patients.parquet")
    assert table.loc[table["patient"] == 2, "failure"].str.contains("no such marrow").all()


def test_nobody_eligible_is_told(study, monkeypatch):
    monkeypatch.setattr(Simulation, "grow", lambda self: False)
    monkeypatch.setattr("tme_abm.simulation.simulation.MOST_SCREENED", 3)
    with pytest.raises(RuntimeError, match="none of 3 candidates for place 7 has eligible disease"):
        enrol(study.population, study.settings, study.seed, 7)


def test_a_failure_of_the_moment_is_tried_once_more(study, patients, tmp_path, monkeypatch):
    honest, seen = execution.enrol, []

    def once(population, rules, seed, index):
        seen.append(index)
        if seen.count(1) == 1 and index == 1:
            raise OSError("the machine hiccuped")
        return honest(population, rules, seed, index)

    monkeypatch.setattr(execution, "enrol", once)
    assert run_study(study, tmp_path, 1)["failed"] == 0
    assert seen.count(1) == 2 and len(seen) == 5
    assert pd.read_parquet(tmp_path / "patients.parquet")["state_hash"].tolist() == patients["state_hash"].tolist()


def test_too_little_memory_is_no_patient_s_failure(study, tmp_path, monkeypatch):
    failing(monkeypatch, {2}, MemoryError())
    with pytest.raises(MemoryError):
        run_study(study, tmp_path, 1)


def test_an_arm_that_chance_left_empty_is_said_to_be_so(study, tmp_path):
    alone = replace(study, design="parallel", patients=1, allocation=(1, 1))
    empty = next(arm.key for arm in study.arms if arm not in allocated(alone, 0))
    summary = run_study(alone, tmp_path, 1)
    assert (summary["arms"][empty]["n"], summary["arms"][empty]["note"]) == (0, "no patient in this arm")
    assert summary["comparisons"][0]["hazard_ratio"] is None
    assert "an arm has no completed patient" in summary["comparisons"][0]["note"]


# ---- who, and for how long -------------------------------------------------------------------------------------------


def test_screening_draws_candidates_until_one_is_eligible(study, monkeypatch):
    tried = []
    honest = Simulation.grow

    def grow(self):
        tried.append((self.patient.attempt, self.key))
        return honest(self) if len(tried) > 2 else False

    monkeypatch.setattr(Simulation, "grow", grow)
    simulation, screened_out = enrol(study.population, study.settings, study.seed, 0)
    assert screened_out == simulation.patient.attempt >= 2
    assert [attempt for attempt, _ in tried] == list(range(len(tried)))
    assert len({key for _, key in tried}) == len(tried)
    assert simulation.patient.index == 0


def test_every_patient_is_in_every_arm_of_a_paired_study(study):
    assert all(allocated(study, i) == study.arms for i in range(10))


def test_a_parallel_study_allocates_by_weight(study):
    parallel = replace(study, design="parallel", allocation=(3, 1))
    arms = [allocated(parallel, i) for i in range(2000)]
    assert all(len(arm) == 1 for arm in arms)
    share = np.mean([arm[0].key == "isa-pd" for arm in arms])
    assert abs(share - 0.75) < 4.0 * math.sqrt(0.75 * 0.25 / 2000)
    assert arms == [allocated(parallel, i) for i in range(2000)]
    assert {allocated(replace(parallel, allocation=(1, 0)), i)[0].key for i in range(50)} == {"isa-pd"}


def test_a_parallel_study_runs(study, tmp_path):
    parallel = replace(study, design="parallel", patients=4)
    summary = run_study(parallel, tmp_path, 1)
    table = pd.read_parquet(tmp_path / "patients.parquet")
    assert table["arm"].tolist() == [allocated(parallel, i)[0].key for i in range(4)]
    assert sum(row["n"] for row in summary["arms"].values()) == 4


def test_follow_up_by_hand():
    follow_up = FollowUp(240.0, 450.0)
    assert follow_up.days(0.0) == 450.0  # first in
    assert follow_up.days(1.0) == 240.0
    assert follow_up.days(0.5) == 345.0


def exits(study, **given):
    patient = draw_patient(study.population, 1, 0, given=given)
    return [draw_exits(patient, study, make_patient_key(1, i)) for i in range(3000)]


def test_other_exits_come_at_their_rates(study):
    found = exits(study, death_rate_per_month=0.02, dropout_rate_per_month=0.05, discontinuation_rate_per_month=0.03, entry_fraction=0.5)
    assert {e.cutoff_day for e in found} == {study.follow_up.days(0.5)}
    for day, rate in (("death_day", 0.02), ("dropout_day", 0.05), ("discontinuation_day", 0.03)):
        months = np.array([getattr(e, day) for e in found]) / 30.4375
        assert abs(months.mean() * rate - 1.0) < 4.0 / math.sqrt(3000)
        assert abs((months < 1.0 / rate).mean() - (1.0 - math.exp(-1.0))) < 4.0 * math.sqrt(0.25 / 3000)
    assert abs(np.corrcoef([e.death_day for e in found], [e.dropout_day for e in found])[0, 1]) < 4.0 / math.sqrt(3000)
    assert all(e.last_day == min(e.death_day, e.dropout_day, e.cutoff_day) for e in found)


def test_no_rate_no_exit(study):
    found = exits(study, death_rate_per_month=0.0, dropout_rate_per_month=0.0, discontinuation_rate_per_month=0.0)
    assert all(math.isinf(day) for e in found for day in (e.death_day, e.discontinuation_day, e.dropout_day))
    assert all(e.last_day == e.cutoff_day for e in found)


@pytest.fixture(scope="module")
def grown(study):
    return enrol(study.population, study.settings, study.seed, 0)[0]


@pytest.mark.parametrize(
    ("ways_out", "visits", "record"),
    [
        (Exits(math.inf, math.inf, 100.0), 3, pfs.Record(84.0, False, "censored", "cut-off")),
        (Exits(70.0, math.inf, 100.0), 2, pfs.Record(70.0, True, "death", "")),
        (Exits(math.inf, 60.0, 100.0), 2, pfs.Record(56.0, False, "censored", "drop-out")),
        (Exits(90.0, 60.0, 100.0), 2, pfs.Record(56.0, False, "censored", "drop-out")),
        (Exits(10.0, math.inf, 100.0), 0, pfs.Record(10.0, True, "death", "")),
        (Exits(math.inf, 5.0, 100.0), 0, pfs.Record(0.0, False, "censored", "drop-out")),
        (Exits(math.inf, math.inf, 28.0), 1, pfs.Record(28.0, False, "censored", "cut-off")),
    ],
)
def test_how_patients_leave(study, grown, monkeypatch, ways_out, visits, record):
    """By hand, in a patient whose M-protein stays as it is, so that no progression comes first."""
    monkeypatch.setattr(Simulation, "m_protein", property(lambda self: 30.0))
    monkeypatch.setattr("tme_abm.trial.visit.measure", lambda true, z: true)
    regimen = study.arms[0]
    arm = Arm(grown.fork(regimen, study.drugs), regimen, ways_out, study)
    monkeypatch.setattr(Simulation, "plasma_fraction", property(lambda self: 0.2))
    assert arm.follow() == record
    assert [row["visit"] for row in arm.rows] == list(range(visits + 1))


# ---- how it goes ahead -----------------------------------------------------------------------------------------------


class Ear:
    """Listens to the progress of a run."""

    def __init__(self):
        self.phases, self.done = [], {}

    def phase(self, name, total):
        self.phases.append((name, total))

    def advance(self, n=1, phase=None):
        self.done[phase] = self.done.get(phase, 0) + n


def test_progress_is_told(study, tmp_path):
    ear = Ear()
    run_study(replace(study, patients=2), tmp_path, 1, ear)
    assert ear.phases == [("compiling", 1), ("growing", 2), ("treating", 2)]
    assert ear.done == {"compiling": 1, "growing": 2, "treating": 2}


@pytest.mark.parametrize("n", [1, 2])
def test_what_comes_after_the_patients_is_imported_beside_several(study, tmp_path, monkeypatch, n):
    """Not while kernels are read, nor beside one patient, with whom the thread would take turns."""
    began, seen = threading.Event(), []
    monkeypatch.setattr(execution, "import_ahead", began.set)
    monkeypatch.setattr(execution, "compile_kernels", lambda _: seen.append(began.wait(0.1)))
    run_patient = execution.run_patient
    monkeypatch.setattr(execution, "run_patient", lambda *a, **k: seen.append(began.wait(30.0 * (n > 1))) or run_patient(*a, **k))
    run_study(replace(study, patients=n), tmp_path)
    assert seen == [False] + [n > 1] * n


def test_kernels_are_compiled_on_a_small_patch(study):
    side = 4096
    tracemalloc.start()
    try:
        compile_kernels(replace(study, settings=replace(study.settings, height=side, width=side)))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 30 * side * side  # what the columns of the cells alone would take


# ---- rules and visits of changing intervals ---------------------------------------------------------------------------


def follow(grown, *overrides):
    """The rows of isatuximab's arm, with the trial changed, nobody leaving before six months."""
    base = ["marrow.shape=[32, 32]", 'trial.follow_up=["5 month", "7 month"]', *overrides]
    changed = load_scenario("icaria", base, patients=4, seed=11)
    arm = Arm(grown.fork(changed.arms[0], changed.drugs), changed.arms[0], Exits(math.inf, math.inf, 196.0), changed)
    arm.follow()
    return pd.DataFrame(arm.rows)


def test_a_rule_holds_the_doses_from_its_visit_on(grown):
    given = follow(grown)
    held = follow(grown, 'arms.isa-pd.rules=[{drug=["isatuximab","pomalidomide","dexamethasone"], when="visit >= 1", give=0}]')
    name = "concentration_pomalidomide_ug_per_ml"
    first = ["day", "concentration_isatuximab_ug_per_ml", name, "tumour_cells_total"]
    pd.testing.assert_frame_equal(given.loc[:1, first], held.loc[:1, first])  # nothing before the visit at which it is asked
    antibody = "concentration_isatuximab_ug_per_ml"
    assert held[antibody].iloc[2] < 0.5 * given[antibody].iloc[2]
    assert held[antibody].iloc[1:].is_monotonic_decreasing


def test_chance_has_the_same_dice_in_every_arm(grown, study):
    dice = {}
    for key in ("isa-pd", "pd"):
        regimen = next(arm for arm in study.arms if arm.key == key)
        arm = Arm(grown.fork(regimen, study.drugs), regimen, draw_exits(grown.patient, study, grown.key), study)
        dice[key] = [arm.keeper._draw("pomalidomide", 0, visit) for visit in range(20)]
    assert dice["isa-pd"] == dice["pd"] and len(set(dice["pd"])) == 20


def test_a_patient_who_is_done_leaves_nothing_for_the_collector(study):
    """A marrow in a circle of references stays until somebody looks for circles, which a long run does seldom."""

    def marrows():
        # not isinstance, which asks a proxy what it stands for, though that may be gone
        return {id(found) for found in gc.get_objects() if type(found) in (Simulation, Arm)}

    run_patient(study, 0, Silence())
    gc.collect()
    gc.disable()
    try:
        before = marrows()  # those of other tests
        done = run_patient(study, 1, Silence())
        assert len(done.patients) == 2 and not marrows() - before
    finally:
        gc.enable()


def test_visits_may_come_further_apart(grown):
    rows = follow(grown, 'trial.visits=["2 x 28 d", "56 d"]')
    assert rows["day"].tolist()[:3] == [0.0, 28.0, 56.0]
    assert set(np.diff(rows["day"].to_numpy()[2:])) <= {56.0} and len(rows) >= 4
    every = follow(grown)
    shared = every[every["day"].isin(rows["day"])].reset_index(drop=True)
    assert rows["tumour_cells_total"].tolist() == shared["tumour_cells_total"].tolist()  # who looks changes nothing
