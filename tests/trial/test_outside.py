"""Trials with mechanisms from outside and with rules in plain Python."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import tme_abm
from tme_abm.analysis import run_book
from tme_abm.analysis.attribution.question import pose
from tme_abm.analysis.attribution.run import attribute
from tme_abm.batch.desk import Desk
from tme_abm.batch.executors import Threads
from tme_abm.batch.results import open_results
from tme_abm.cli.app import app
from tme_abm.foundation.errors import InputError
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.running import load_results, run
from tme_abm.trial import execution

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
PD1 = EXAMPLES / "pd1_blockade.py"
SMALL = ["marrow.shape=[32, 32]", 'trial.follow_up=["3 month", "4 month"]']

TOXIN = """
from typing import Annotated, NamedTuple

from tme_abm.mechanism_kit import CellType, Group, Mechanism, Param, own_cause, part

CAUSE, PLASMA = own_cause("toxin"), int(CellType.PLASMA)


class Params(NamedTuple):
    rate: Annotated[float, Param("1/h", "death under the toxin", "this study: a test", "A")] = 0.002


@part
def ceiling(marrow, p, tick):
    marrow.body.ceiling[PLASMA] += p.rate


@part
def hazard(marrow, p, tick):
    for k in range(marrow.n_at_risk[1]):
        if marrow.at_risk.kind[k] == PLASMA and marrow.drugs.antigen.size > 0:
            marrow.hazard[k, CAUSE] += p.rate


SUMMARY = "A toxin kills plasma cells."
TOXIN = Mechanism("toxin", Params, "Toxin", SUMMARY, Group.NICHE, (), ("hazard.toxin",), ceiling=ceiling, hazard=hazard)
"""


@pytest.fixture(scope="module", autouse=True)
def without_figures():
    """The report has its own tests; drawing it would take most of the time of these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tme_abm.trial.report.write_report", lambda *_: None)
        yield


def run_study(study, folder, workers):
    """Run a study into a folder, with nothing of it beside."""
    with open_results(folder, {"seed": study.seed}) as results:
        return execution.run_study(study, results, Desk(Threads(workers)))


@pytest.fixture(scope="module")
def toxin(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "toxin.py"
    path.write_text(TOXIN, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def ran(toxin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "toxic"
    study = load_scenario("icaria", SMALL, patients=3, seed=11, mechanisms=[toxin])
    return folder, run(study, folder, 2)


def test_any_number_of_workers_gives_the_same(ran, toxin, tmp_path):
    study = load_scenario("icaria", SMALL, patients=3, seed=11, mechanisms=[toxin])
    assert run_study(study, tmp_path, 1)["state_hash"] == ran[1]["state_hash"]


def test_without_it_a_trial_is_what_it_was(ran, toxin, tmp_path):
    plain = run_study(load_scenario("icaria", SMALL, patients=3, seed=11), tmp_path / "plain", 2)
    assert plain["state_hash"] != ran[1]["state_hash"]
    off = load_scenario("icaria", SMALL, patients=3, seed=11, without=["toxin"], mechanisms=[toxin])
    run_study(off, tmp_path / "off", 2)
    one, other = (pd.read_parquet(tmp_path / name / "trajectory.parquet") for name in ("plain", "off"))
    assert (other.pop("deaths_toxin") == 0).all()
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_its_deaths_reach_the_tables_and_the_summary(ran):
    trajectory = pd.read_parquet(ran[0] / "trajectory.parquet")
    assert (trajectory.groupby("arm")["deaths_toxin"].sum() > 0).all()
    for arm in ("isa-pd", "pd"):
        shares = ran[1]["killing"][arm]
        assert shares["toxin"] > 0 and sum(shares.values()) == pytest.approx(1.0)


def test_the_results_say_what_came_along_and_hold_a_copy(ran, toxin, tmp_path):
    run_json = json.loads((ran[0] / "run.json").read_text())
    (told,) = run_json["mechanisms"]
    assert told["name"] == "toxin" and told["file"] == "mechanisms/toxin.py" and len(told["digest"]) == 12
    assert (ran[0] / told["file"]).read_text() == TOXIN
    assert [row["value"] for row in run_json["parameters"] if row["name"] == "toxin.rate"] == [0.002]
    again = load_scenario(ran[0] / "scenario.toml", mechanisms=[ran[0] / told["file"]])
    assert run_study(again, tmp_path, 2)["state_hash"] == ran[1]["state_hash"]


def test_its_results_can_be_read_again(ran):
    result = load_results(ran[0])
    assert [o.mechanism.name for o in result.study.settings.catalogue.outside] == ["toxin"]
    assert result["state_hash"] == ran[1]["state_hash"]


def test_the_report_prints_the_command_that_runs_it_again(ran):
    from tme_abm.trial.report import command

    assert command(ran[0]) == "tme run toxic/scenario.toml --mechanism toxic/mechanisms/toxin.py --out toxic_again"


def test_an_edited_file_is_another_run_to_go_on_with(toxin, tmp_path):
    path = tmp_path / "toxin.py"
    shutil.copy(toxin, path)
    stamps = []
    for text in (TOXIN, TOXIN + "\n# another\n"):
        path.write_text(text, encoding="utf-8")
        stamps.append(run_book.make_stamp(load_scenario("icaria", SMALL, mechanisms=[path]), 84.0))
    assert stamps[0] != stamps[1]
    study = load_scenario("icaria", SMALL, mechanisms=[path])
    with run_book.open_book(tmp_path / "runs", study, stamps[0]) as book:
        book.results.publish(is_final=False)
    assert (tmp_path / "runs" / "mechanisms" / "toxin.py").is_file()
    with pytest.raises(InputError, match="holds an unfinished run with mechanisms_from_outside"):
        with run_book.open_book(tmp_path / "runs", study, stamps[1]):
            pass


def test_attribution_can_ask_what_it_does(toxin):
    study = load_scenario("icaria", SMALL, patients=2, mechanisms=[toxin])
    question = pose(study, ["toxin"], 0, 84.0)
    assert question.knock_outs == {"isa-pd": (frozenset({"toxin"}),), "pd": (frozenset({"toxin"}),)}
    assert frozenset({"toxin"}) in pose(study, [], 0, 84.0).knock_outs["pd"]


def test_an_attribution_calls_it_by_its_label(toxin, tmp_path):
    question = pose(load_scenario("icaria", SMALL, patients=2, mechanisms=[toxin]), ["adcc", "adcp+toxin"], 0, 84.0)
    summary = attribute(question, tmp_path / "out", Desk(Threads(2)))
    assert '<th scope="row">ADCP + Toxin</th>' in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert summary["mechanisms"]["toxin"] == "Toxin"


# ---- the command line ------------------------------------------------------------------------------------------------


def tme(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_the_report_of_a_run_that_sets_its_numbers_is_written_again(toxin, tmp_path):
    run(load_scenario("icaria", [*SMALL, "parameters.toxin.rate=0.003"], patients=1, mechanisms=[toxin]), tmp_path / "r", 1)
    done = tme("report", tmp_path / "r")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("command", ["converge icaria --patches none", "calibrate", "predict --scenarios icaria"])
def test_the_questions_over_many_runs_take_it_along(toxin, tmp_path, monkeypatch, command):
    seen = []

    def stop(*arguments):
        for one in arguments:
            for given in one if isinstance(one, list) else [one]:
                study = given("icaria") if callable(given) and "load_trial" in repr(given) else given
                if catalogue := getattr(getattr(study, "settings", None), "catalogue", None):
                    seen.append("toxin" in catalogue.by_name)
        raise InputError("enough")

    for place in ("convergence.run.converge", "calibration.run.calibrate", "prediction.predict"):
        monkeypatch.setattr(f"tme_abm.analysis.{place}", stop)
    monkeypatch.setattr("tme_abm.cli.banking.what_it_holds", lambda bank: {})  # no bank is asked for what it holds
    done = tme(*command.split(), "--mechanism", toxin, "--out", tmp_path / "out")
    assert done.exit_code == 2 and "enough" in done.stderr
    assert seen == [True]


def test_a_bank_with_it_is_another_bank(toxin):
    from functools import partial

    from tme_abm.analysis.bank.plan import read_plan
    from tme_abm.analysis.bank.run import identity
    from tme_abm.scenario.kinds import load_trial

    with_it, without = (identity(read_plan(partial(load_trial, mechanisms=taken))) for taken in ([toxin], []))
    assert [row["name"] for row in with_it.pop("mechanisms_from_outside")["mechanisms"]] == ["toxin"]
    assert with_it == without


def test_the_commands_know_it(toxin):
    assert "toxin.rate" in tme("describe", "toxin", "--mechanism", toxin).output
    assert "toxin.rate" in tme("show", "icaria", "--mechanism", toxin).output
    assert tme("validate", "icaria", "--mechanism", toxin, "--set", "parameters.toxin.rate=0.1").exit_code == 0
    gone = tme("describe", "toxin")
    assert gone.exit_code == 2 and "--mechanism FILE" in gone.output


def test_a_run_from_the_command_line(toxin, tmp_path):
    done = tme("run", "icaria", "--mechanism", toxin, "--patients", 1, "--out", tmp_path / "out", *(x for s in SMALL for x in ("--set", s)))
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "mechanisms" / "toxin.py").is_file()


@pytest.mark.parametrize(
    ("old", "new", "at", "said"),
    [
        ("+= p.rate\n\n\nSUMMARY", "+= 2.0 * p.rate\n\n\nSUMMARY", "def hazard", "hazard of 'toxin' is higher than"),
        ("marrow.body.ceiling[PLASMA] +=", "marrow.body.ceilings[PLASMA] +=", "marrow.body.ceilings", "'ceilings'"),
        ('"toxin", Params', '"adcc", Params', "TOXIN = Mech", "the name 'adcc' is taken"),
    ],
)
def test_a_bad_file_ends_with_one_line_and_code_2(old, new, at, said, tmp_path):
    path = tmp_path / "bad.py"
    assert old in TOXIN
    text = TOXIN.replace(old, new)
    path.write_text(text, encoding="utf-8")
    line = 1 + text[: text.index(at)].count("\n")
    done = tme("run", "icaria", "--mechanism", path, "--patients", 2, "--out", tmp_path / "out", *(x for s in SMALL for x in ("--set", s)))
    assert done.exit_code == 2
    told = [line for line in done.output.splitlines() if line.startswith("tme: ")]
    assert len(told) == 1 and told[0].startswith(f"tme: {path}, line {line}: ") and said in told[0]


# ---- rules in plain Python -------------------------------------------------------------------------------------------


def cull(model):
    """Each day the oldest T cell dies, and a plasma cell at random."""
    cells = sorted(model.agents_by_type[tme_abm.TCell], key=lambda cell: cell.born)
    for cell in [*cells[:1], *list(model.agents_by_type[tme_abm.PlasmaCell])[:1]]:
        cell.remove()


def test_a_rule_is_called_once_a_day_in_every_arm_and_answers_for_its_deaths(tmp_path):
    calls, killed = [], {"isa-pd": 0, "pd": 0}

    def counted(model):
        calls.append((model.regimen.key, round(model.day), model.random.random(), float(model.rng.random())))
        killed[model.regimen.key] += len(model.agents_by_type[tme_abm.PlasmaCell]) > 0
        cull(model)

    study = load_scenario("icaria", SMALL, patients=1, seed=11)
    summary = run(study, tmp_path / "with", 1, rules=[counted])
    by_arm = {arm: [call[1:] for call in calls if call[0] == arm] for arm in ("isa-pd", "pd")}
    trajectory = pd.read_parquet(tmp_path / "with" / "trajectory.parquet")
    for arm, seen in by_arm.items():
        days = trajectory.loc[trajectory["arm"] == arm, "day"].max()
        assert [day for day, *_ in seen] == list(range(1, round(days) + 1))
        assert trajectory.loc[trajectory["arm"] == arm, "deaths_counted"].sum() == killed[arm] > 10  # of plasma cells
    n = min(map(len, by_arm.values()))
    assert by_arm["isa-pd"][:n] == by_arm["pd"][:n]  # the same dice
    assert len({dice for _, dice, _ in by_arm["pd"]}) == len(by_arm["pd"])
    assert summary["killing"]["pd"]["counted"] > 0
    assert [rule["name"] for rule in json.loads((tmp_path / "with" / "run.json").read_text())["rules"]] == ["counted"]
    assert "def counted(model)" in (tmp_path / "with" / "mechanisms" / "rule_counted.py").read_text()


def test_rules_give_the_same_for_any_number_of_workers(tmp_path):
    study = load_scenario("icaria", SMALL, patients=3, seed=11)
    hashes = {run(study, tmp_path / str(n), n, rules=[cull])["state_hash"] for n in (1, 2)}
    assert len(hashes) == 1
    assert run(study, tmp_path / "none", 2)["state_hash"] not in hashes


def test_a_rule_that_does_nothing_changes_nothing(tmp_path):
    def idle(model):
        list(model.agents)
        model.random.random()

    study = load_scenario("icaria", SMALL, patients=2, seed=11)
    run(study, tmp_path / "idle", 2, rules=[idle])
    run(study, tmp_path / "none", 2)
    one, other = (pd.read_parquet(tmp_path / name / "trajectory.parquet") for name in ("none", "idle"))
    assert (other.pop("deaths_idle") == 0).all()
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_a_rule_needs_a_name_of_its_own_and_a_trial(tmp_path):
    study = load_scenario("icaria", SMALL, patients=1)

    def adcc(model):
        """Its name is that of a cause of death."""

    with pytest.raises(InputError, match="the name is taken by a cause of death"):
        run(study, tmp_path / "a", rules=[adcc])
    with pytest.raises(InputError, match="a rule is a function with a name"):
        run(study, tmp_path / "b", rules=[lambda model: None])
    with pytest.raises(InputError, match="rules in plain Python are called in trials"):
        run("adenosine_restored", tmp_path / "c", rules=[cull])


def test_a_trial_without_rules_needs_no_mesa(tmp_path):
    code = f"""
import sys
sys.modules["tme_abm.trial.report"] = type(sys)("report"); sys.modules["tme_abm.trial.report"].write_report = lambda folder, home=None: None
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.running import run
from pathlib import Path
run(load_scenario("icaria", {SMALL!r}, patients=1, seed=11), Path({str(tmp_path)!r}) / "r", 1)
print("mesa" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"


# ---- the examples of the documentation -------------------------------------------------------------------------------


def test_pd1_blockade_wakes_t_cells_which_kill_more_under_isatuximab(tmp_path):
    """At full occupancy, all exhaustion by PD-1: with it over without it, for the same patients on the same dice."""
    given = ["marrow.shape=[32, 32]", 'trial.follow_up=["2 month", "2 month"]', "clinic.clinical_rate=0"]
    given += [f"parameters.pd1_blockade.{name}=1.0" for name in ("by_pd1", "occupancy")]
    activity, kills = {}, {}
    for name, off in (("with", []), ("without", ["pd1_blockade"])):
        ran = run(load_scenario("icaria", given, patients=24, seed=3, without=off, mechanisms=[PD1]), tmp_path / name, 2)
        table = ran.trajectory
        activity[name] = table[table["visit"] == 1].set_index(["patient", "arm"])["t_cell_activity"]
        kills[name] = table[table["arm"] == "isa-pd"]["deaths_t_cell"].sum()
    assert (activity["with"] > activity["without"] + 0.002).all()
    assert kills["with"] > 1.15 * kills["without"]  # as many without the effect: the same patients on the same dice


def test_the_rule_of_the_example_is_called(tmp_path):
    code = (EXAMPLES / "boost_nk.py").read_text(encoding="utf-8")
    scope = {"__name__": "boost_nk_example"}
    exec(compile(code, str(EXAMPLES / "boost_nk.py"), "exec"), scope)
    study = load_scenario("icaria", SMALL, patients=1, seed=11)
    run(study, tmp_path / "boosted", 1, rules=[scope["boost_nk"]])
    run(study, tmp_path / "plain", 1)
    boosted, plain = (pd.read_parquet(tmp_path / name / "trajectory.parquet") for name in ("boosted", "plain"))
    late = boosted["visit"] == 2
    assert boosted.loc[late, "nk_cells"].mean() > 1.2 * plain.loc[plain["visit"] == 2, "nk_cells"].mean()


def test_the_deaths_of_the_example_that_kills_stand_in_its_column(tmp_path):
    scope = {"__name__": "irradiate_example"}
    exec(compile((EXAMPLES / "irradiate.py").read_text(encoding="utf-8"), str(EXAMPLES / "irradiate.py"), "exec"), scope)
    killed = []

    def irradiate(model):
        before = len(model.agents_by_type[tme_abm.PlasmaCell])
        scope["irradiate"](model)
        killed.append(before - len(model.agents_by_type[tme_abm.PlasmaCell]))

    study = load_scenario("icaria", SMALL, patients=1, seed=11)
    run(study, tmp_path / "irradiated", 1, rules=[irradiate])
    table = pd.read_parquet(tmp_path / "irradiated" / "trajectory.parquet")
    assert table["deaths_irradiate"].sum() == sum(killed) > 0
    first = table[table["visit"] == 1]
    assert (first["deaths_irradiate"] > 0).all() and table[table["visit"] > 1]["deaths_irradiate"].sum() == 0


def test_a_rule_that_fails_ends_the_run_with_its_line(tmp_path):
    def broken(model):
        return model.no_such_thing

    study = load_scenario("icaria", SMALL, patients=2, seed=11)
    line = broken.__code__.co_firstlineno + 1
    with pytest.raises(InputError, match=rf"^{re.escape(__file__)}, line {line}: rule 'broken' failed on day 1: AttributeError: "):
        run(study, tmp_path / "broken", 2, rules=broken)
