"""The command `tme`: what it prints, what it refuses, and what it leaves behind."""

import json
import re
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tme_abm
from tme_abm.batch.executors import Crashed
from tme_abm.cli.app import app
from tme_abm.cli.progress import Lines, in_words
from tme_abm.export.crate import CRATE
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.pharmacology.words import regimen_in_words
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.reading import questions, scenarios

SUMMARY = {
    "arms": {
        "isa-pd": {"n": 2, "median_pfs_months": 11.5, "pfs_ci": [9.0, None], "orr": 0.6, "vgpr_or_better": 0.3, "cr_or_better": 0.0},
        "pd": {"n": 2, "median_pfs_months": None, "pfs_ci": [None, None], "orr": 0.35, "vgpr_or_better": None, "mrd_negative": 0.5},
    },
    "comparisons": [
        {"arm": "isa-pd", "reference": "pd", "hazard_ratio": 0.6, "ci_low": 0.44, "ci_high": 0.81, "ci_level": 0.95},
        {"arm": "pd", "reference": "isa-pd", "hazard_ratio": None, "note": "no events"},
    ],
}


@pytest.fixture
def tme(tmp_path, monkeypatch):
    """Call `tme` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return CliRunner().invoke(app, list(arguments))

    return call


@pytest.fixture
def pretend(monkeypatch):
    """Let a function stand for the executor, which tests/trial holds to account."""

    def pretend(function):
        monkeypatch.setitem(sys.modules, "tme_abm.trial.execution", types.SimpleNamespace(run_study=function))

    return pretend


def written(study, results, desk):
    progress = desk.progress
    progress.phase("compiling", 1)
    progress.advance()
    progress.phase("growing", study.patients)
    progress.phase("treating", study.patients)
    for _ in range(study.patients):
        progress.advance(1, "growing")
    (results.new / "run.json").write_text("{}", encoding="utf-8")
    (results.new / "summary.json").write_text(json.dumps(SUMMARY), encoding="utf-8")
    results.publish()
    return SUMMARY


# ---- help, version, import -------------------------------------------------------------------------------------------


def test_help_names_every_command(tme):
    result = tme("--help")
    assert result.exit_code == 0
    needed = ("list", "show", "run", "report", "export", "new", "validate", "sweep", "attribute", "design", "describe", "bank", "predict")
    needed = (*needed, "calibrate")
    places = [result.output.index(f"│ {command} ") for command in needed]
    assert places == sorted(places)  # in the order in which a user needs them
    assert "2 bad input; 3 done, but some patients failed" in " ".join(result.output.split())


def test_version(tme):
    assert tme("--version").output == f"tme_abm {tme_abm.__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["--version"]])
def test_a_look_at_the_command_imports_nothing_heavy(arguments):
    code = (
        "import sys\n"
        "from tme_abm.cli.app import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        "heavy = {'numba', 'pandas', 'mesa', 'matplotlib', 'lifelines', 'solara', 'scipy', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr


def test_the_package_imports_nothing_until_it_is_used():
    code = "import sys, tme_abm\nassert not {'numba', 'numpy', 'pydantic'} & set(sys.modules)\nassert callable(tme_abm.load_scenario)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Tumor'"):
        tme_abm.__getattr__("Tumor")
    assert {"TumourModel", "NKCell", "load_scenario", "run"} <= set(dir(tme_abm))


# ---- list, validate, show, describe ----------------------------------------------------------------------------------


def test_list_names_every_scenario(tme):
    result = tme("list")
    assert result.exit_code == 0
    for name in scenarios():
        assert name in result.output
    assert "307" in result.output


def test_a_row_of_the_list_fits_a_wide_screen(tme):
    """Off a terminal, too, where nothing is folded: the combinations have six arms, and some arms have long names."""
    rows = tme("list").output.splitlines()
    assert max(len(row.rstrip()) for row in rows) <= 220
    assert any("Untreated, Isa, Pd, 3 more" in row for row in rows) and any("Elo-Rd, Rd, Elo-Pd, Pd" in row for row in rows)


@pytest.mark.parametrize(
    ("name", "command"), [("icaria_200", "tme design"), ("order_of_drugs", "tme sweep"), ("icaria_conclusion", "tme sensitivity")]
)
def test_show_says_what_a_question_asks_and_what_runs_it(tme, name, command):
    """Whatever `tme list` offers can be shown."""
    result = tme("show", name)
    assert result.exit_code == 0, result.output
    assert questions()[name].read_text(encoding="utf-8").split('title = "')[1].split('"')[0] in result.output
    assert 'scenario = "icaria"' in result.output
    assert f"`{command} {name}` runs it; `tme show icaria` shows its trial." in result.output
    assert tme("show", name, "--set", "scenarioo=1").exit_code == 2


def test_validate_a_good_and_a_bad_file(tme, tmp_path):
    good = tmp_path / "mine.toml"
    good.write_text(scenarios()["icaria"].read_text(encoding="utf-8"), encoding="utf-8")
    assert tme("validate", "mine.toml").output.startswith("mine.toml is a valid scenario: 307 patients of ICARIA-MM, Isa-Pd, Pd")
    good.write_text(good.read_text(encoding="utf-8").replace("patients = 307", "patient = 307"), encoding="utf-8")
    result = tme("validate", "mine.toml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == "tme: mine.toml, line 5: unknown key 'patient'; did you mean 'patients'?\n"


def test_one_patient_many_times_is_said_to_be_one(tme, tmp_path):
    text = scenarios()["icaria"].read_text(encoding="utf-8").replace('population = "icaria"', 'population = "typical"')
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    told = "the same patient 307 times over: only the dice and the kinetics of drugs differ, so intervals say nothing of other patients"
    assert told in tme("validate", "mine.toml").output
    assert told in " ".join(tme("show", "mine.toml", "--no-parameters").output.split())
    assert "times over" not in tme("validate", "icaria").output


def test_a_message_is_one_line_whatever_the_words_of_the_user_hold(tme):
    wrong = tme("validate", "icaria", "--set", 'kind="a\\nb\\u001b[31m"')
    assert wrong.exit_code == 2 and wrong.stderr.count("\n") == 1 and "unknown kind 'a\\nb\\x1b[31m'" in wrong.stderr
    deep = tme("validate", "icaria", "--set", f"marrow.shape={'[' * 3000}")
    assert deep.exit_code == 2 and deep.stderr == "tme: --set marrow.shape: brackets stand more than 50 deep in one another\n"
    long = tme("validate", "x" * 4000)
    assert long.exit_code == 1 and len(long.stderr) < 2100 and long.stderr.endswith("name too long\n")


def test_what_is_no_finite_number_is_refused(tme):
    for name, change in (("immune_recovery", "sampling.hours=[nan]"), ("icaria", "parameters.motility.chemotaxis=inf")):
        refused = tme("validate", name, "--set", change)
        assert refused.exit_code == 2 and "expected a finite number, got" in refused.stderr, refused.output
    beyond = tme("validate", "immune_recovery", "--set", "sampling.days=[1e308]")
    assert beyond.exit_code == 2 and "sampling.days: 1e+308 lies beyond 100 years, the limit" in beyond.stderr


def test_show_says_it_in_words(tme):
    result = tme("show", "icaria", "--without", "adcc", "--seed", "5", "--set", "trial.design=parallel")
    assert result.exit_code == 0
    shown = " ".join(result.output.split())  # lines are wrapped
    assert "isatuximab 10 mg/kg on days 1, 8, 15, 22 of cycle 1" in shown
    assert "isatuximab 10 mg/kg on days 1, 15 from cycle 2 on" in shown
    assert "pomalidomide 4 mg on days 1 to 21 of every cycle" in shown
    assert "dexamethasone 40 mg (20 mg from 75 years of age) on days 1, 8, 15, 22 of every cycle" in shown
    assert "307, randomised 1:1; seed 5" in shown
    assert "without      adcc" in result.output
    assert "isatuximab.kinetics.clearance" in result.output
    assert "isatuximab.kinetics.clearance" not in tme("show", "icaria", "--no-parameters").output


@pytest.mark.parametrize("call", [("show", "icaria"), ("describe",), ("describe", "adcc"), ("show", "icaria", "--only", "adcc")])
def test_lines_are_no_wider_than_asked_for(tme, monkeypatch, call):
    """All but those of a name with its value, which nothing divides."""
    monkeypatch.setenv("COLUMNS", "90")
    lines = tme(*call).output.splitlines()
    assert len(lines) > 5 and [line for line in lines if len(line) > 90 and " = " not in line] == []


def test_show_filters_by_mechanism_drug_or_word(tme):
    one = tme("show", "icaria", "--only", "adcc").output
    assert "drugs.isatuximab.mechanisms.adcc.half_density = 50000 sites/cell [M-low]\n" in one and "adcp" not in one
    drug = tme("show", "icaria", "--only", "pomalidomide").output
    assert {line.split(".")[1] for line in drug.splitlines() if " = " in line} == {"pomalidomide"}
    assert "clones.fitness_cost = 0.99 [A]" in tme("show", "icaria", "--only", "division of a clone").output
    wrong = tme("show", "icaria", "--only", "adccc")
    assert wrong.exit_code == 2 and wrong.stderr == "tme: --only adccc: no number has this in its name or meaning; did you mean 'adcc'?\n"


def test_show_prints_every_number_of_the_study(tme):
    from tme_abm.trial.provenance import describe_run

    result = tme("show", "untreated")
    names = {line.split(" ")[0] for line in result.output.splitlines() if line}
    rows = [row["name"] for row in describe_run(load_scenario("untreated"))["parameters"] if " " not in row["name"]]
    assert len(rows) > 100
    assert set(rows) <= names


def test_a_regimen_in_words():
    doses = (
        Dose("bortezomib", 1.3, "mg/m2", (1, 4, 8, 11), last_cycle=8),
        Dose("dexamethasone", 20.0, "mg", (1, 2, 4, 5, 8), first_cycle=2, last_cycle=2),
    )
    assert regimen_in_words(Regimen("vd", "Vd", 21, doses, 126.0)) == [
        "cycles of 21 days, until day 126",
        "bortezomib 1.3 mg/m2 on days 1, 4, 8, 11 of cycles 1 to 8",
        "dexamethasone 20 mg on days 1, 2, 4, 5, 8 of cycle 2",
    ]
    assert regimen_in_words(Regimen("none", "None", 28)) == ["nothing is given"]


def test_describe_says_and_draws_who_depends_on_whom(tme):
    text = tme("describe", "growth").output
    assert "\nWho depends on whom within a step (`--graph FILE.svg` draws it):\n" in text
    assert "growth needs fields.il6 from interleukin6" in text and "adcc needs" not in text
    assert tme("describe", "--graph", "step.svg").output.strip() == "The graph of the mechanisms stands in step.svg."
    assert "t_cell_recovery" in Path("step.svg").read_text(encoding="utf-8")
    for file, message in (
        ("step.png", "--graph step.png: the graph is drawn as SVG"),
        ("no/step.svg", "--graph no/step.svg: No such file"),
    ):
        result = tme("describe", "--graph", file)
        assert result.exit_code == 2 and message in result.stderr and "Traceback" not in result.stderr


def test_describe_gives_the_step_in_its_order(tme):
    from tme_abm.mechanisms import MECHANISMS

    result = tme("describe")
    assert result.exit_code == 0
    step = result.output[: result.output.index("Parameters")]
    places = [step.index(f"{number:>2}  {m.name} ") for number, m in enumerate(MECHANISMS, 1)]
    assert places == sorted(places)
    assert "lysis rate" in result.output


def test_describe_one_mechanism(tme):
    result = tme("describe", "adcc")
    assert "adcc.half_density" in result.output
    assert "adcp" not in result.output
    wrong = tme("describe", "bindin")
    assert wrong.exit_code == 2
    assert wrong.stderr == "tme: unknown mechanism 'bindin'; did you mean 'binding'?\n"


# ---- run -------------------------------------------------------------------------------------------------------------


def test_run_prints_the_headline_and_the_paths(tme, pretend, tmp_path):
    pretend(written)
    result = tme("run", "icaria", "--patients", "2")
    assert result.exit_code == 0, result.output
    assert "2 patients, 2 arms, seed 20181" in result.output
    assert "11.5 (9.0 to -)" in result.output
    assert "not reached" in result.output
    assert "60.0 %" in result.output
    assert "Isa-Pd against Pd: hazard ratio 0.60 (95 % interval 0.44 to 0.81)" in result.output
    assert "Pd against Isa-Pd: no hazard ratio (no events)" in result.output
    folder = tmp_path / "results" / "icaria"
    for name in ("run.json", "scenario.toml", "summary.json"):
        assert str(Path("results") / "icaria" / name) in result.output
    assert load_scenario(folder / "scenario.toml").patients == 2


def test_run_hands_over_what_was_asked_for(tme, pretend, tmp_path):
    seen = {}

    def executor(study, results, desk):
        seen.update(study=study, folder=results.folder, workers=desk.executor.workers)
        return SUMMARY

    pretend(executor)
    options = ["--out", "here", "--workers", "3", "--seed", "9", "--without", "cdc", "--set", "parameters.motility.chemotaxis=0.5"]
    assert tme("run", "icaria", *options).exit_code == 0
    assert (seen["folder"], seen["workers"], seen["study"].seed) == (Path("here"), 3, 9)
    assert seen["study"].settings.without == {"cdc"}
    assert seen["study"].settings.parameters["motility"]["chemotaxis"]["value"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["icari"], "tme: there is no scenario 'icari'; did you mean 'icaria'?"),
        (["icaria", "--patients", "0"], "tme: --patients 0: patients must be at least 1, got 0"),
        (["icaria", "--patients", "1000000000000"], "tme: --patients 1000000000000: patients must be at most 10000000, got 1000000000000"),
        (
            ["icaria", "--set", 'marrow.step="0.000001 h"'],
            'tme: --set marrow.step="0.000001 h": marrow.step: "0.000001 h" is below 0.05 h, the limit',
        ),
        (
            ["icaria", "--set", 'trial.follow_up=["99999999 year", "99999999 year"]'],
            'tme: --set trial.follow_up=["99999999 year", "99999999 year"]: '
            'trial.follow_up[0]: "99999999 year" is longer than 100 years, the limit',
        ),
        (["icaria", "--without", "bindin"], "tme: --without bindin: unknown mechanism 'bindin'; did you mean 'binding'?"),
        (["icaria", "--set", "trial.desgin=x"], "tme: --set trial.desgin=x: unknown key 'desgin' in trial; did you mean 'design'?"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_written(arguments, message, tme, pretend, tmp_path):
    pretend(written)
    result = tme("run", *arguments)
    assert result.exit_code == 2
    assert result.stderr == f"{message}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_finished_run_is_not_run_again(tme, pretend):
    pretend(written)
    first = tme("run", "icaria", "--out", "here")

    def executor(study, results, desk):
        raise AssertionError("run again")

    pretend(executor)
    again = tme("run", "icaria", "--out", "here")
    assert again.exit_code == 0
    assert "here holds this very run, finished; --force runs it anew" in again.output
    assert again.output.splitlines()[-3:] == first.output.splitlines()[-3:]


def test_what_was_in_the_way_of_results_is_told(tme, pretend, tmp_path):
    pretend(written)
    assert tme("run", "icaria", "--patients", "2").exit_code == 0
    summary = tmp_path / "results" / "icaria" / "summary.json"
    summary.write_text("with notes", encoding="utf-8")
    again = tme("run", "icaria", "--patients", "2", "--force")
    assert again.exit_code == 0 and "a file of yours was in the way of the results; it is kept as results" in again.output
    summary.write_text("with more notes", encoding="utf-8")
    silent = tme("run", "icaria", "--patients", "2", "--force", "--quiet")
    assert silent.stdout == "" and silent.stderr.startswith("tme: a file of yours was in the way of the results; it is kept as results")
    assert summary.with_name("summary.kept2.json").read_text(encoding="utf-8") == "with more notes"
    assert summary.with_name("summary.kept1.json").read_text(encoding="utf-8") == "with notes"


def test_a_bug_is_no_line_and_a_crash_is_one(tme, pretend):
    """What nobody foresaw keeps its traceback; a worker that died is told with how to go on."""
    for error, code in ((RuntimeError("a hazard exceeded"), None), (Crashed("the worker process died (signal SIGKILL)"), 1)):

        def executor(study, results, desk, error=error):
            raise error

        pretend(executor)
        result = tme("run", "icaria")
        if code is None:
            assert result.exception is error
        else:
            assert result.exit_code == code and "the worker process died (signal SIGKILL); what was finished is kept" in result.stderr


def test_what_is_resumed_must_be_there(tme, pretend):
    pretend(written)
    assert "there is no folder 'here' to resume a run in" in tme("run", "icaria", "--out", "here", "--resume").stderr
    assert "give one of them" in tme("run", "icaria", "--force", "--resume").stderr


def test_failed_patients_are_told_and_the_exit_code_is_three(tme, pretend):
    failures = [{"patient": 1, "arms": ["pd"], "error": "ZeroDivisionError: no cells", "seed": 20181, "key": "7"}]

    def executor(study, results, desk):
        (results.new / "summary.json").write_text(json.dumps(SUMMARY | {"failed": 1, "failures": failures}), encoding="utf-8")
        results.publish()
        return SUMMARY | {"failed": 1, "failures": failures}

    pretend(executor)
    result = tme("run", "icaria")
    assert result.exit_code == 3
    assert "patient 1 failed in pd: ZeroDivisionError: no cells; seed 20181" in result.stdout
    assert result.stderr == "tme: 1 patient failed; every denominator counts the others only\n"


@pytest.mark.parametrize("words", ["run [v2]", "a[b]c", "[red]x", ":smile:"])
def test_the_user_s_brackets_are_no_markup(tme, pretend, tmp_path, words):
    pretend(written)
    result = tme("run", "icaria", "--out", words, "--set", f"title={words}", "--set", f"arms.pd.label={words}")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == words and any(line.startswith(words) for line in lines[2:])
    assert f"  {Path(words) / 'summary.json'}" in lines


def test_earlier_results_are_kept_without_force(tme, pretend, tmp_path):
    pretend(written)
    assert tme("run", "icaria", "--out", "here").exit_code == 0
    (tmp_path / "here" / "mine.txt").write_text("notes", encoding="utf-8")
    before = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    refused = tme("run", "icaria", "--out", "here", "--seed", "2")
    assert refused.exit_code == 2
    assert "here holds a finished run with seed 20181 instead of 2; begin anew with --force" in refused.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()} == before
    assert tme("run", "icaria", "--out", "here", "--seed", "2", "--force").exit_code == 0
    assert load_scenario(tmp_path / "here" / "scenario.toml").seed == 2
    assert (tmp_path / "here" / "mine.txt").read_text(encoding="utf-8") == "notes"


def test_force_replaces_results_only(tme, pretend, tmp_path):
    pretend(written)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work", encoding="utf-8")
    result = tme("run", "icaria", "--out", "thesis", "--force")
    assert result.exit_code == 2
    assert "thesis holds something else than results" in result.stderr
    assert (tmp_path / "thesis" / "chapter.txt").read_text(encoding="utf-8") == "years of work"
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "file is a file, not a folder" in tme("run", "icaria", "--out", "file").stderr


def test_an_interrupted_run_says_so(tme, pretend):
    def executor(study, results, desk):
        raise KeyboardInterrupt

    pretend(executor)
    result = tme("run", "icaria")
    assert result.exit_code == 130
    assert "stopped before the end; the same command goes on from what results/icaria holds" in result.stderr.replace("\\", "/")


def test_a_full_disk_is_one_line(tme, pretend):
    def executor(study, results, desk):
        raise OSError(28, "No space left on device", str(results.folder / "run.json"))

    pretend(executor)
    result = tme("run", "icaria")
    assert result.exit_code == 1
    assert result.stderr.replace("\\", "/") == (
        "tme: results/icaria/run.json: No space left on device; what was finished is kept: "
        "the same command goes on from what results/icaria holds\n"
    )


def test_report_needs_a_finished_run(tme, tmp_path):
    assert tme("report", "none").stderr == "tme: there is no folder 'none'\n"
    (tmp_path / "half").mkdir()
    result = tme("report", "half")
    assert result.exit_code == 2
    assert result.stderr == "tme: half holds no finished run: run.json is missing\n"


# ---- how far it has come ---------------------------------------------------------------------------------------------


def test_a_line_says_how_far_the_work_has_come():
    shown = Lines()
    shown.phase("compiling", 1)
    assert in_words(shown.state()) == "compiling"
    shown.advance(1, "compiling")
    shown.phase("growing", 10)
    shown.phase("treating", 10)
    shown.advance(4, "treating")  # stood on disk: no measure of the speed
    assert in_words(shown.state()) == "treating 4 of 10, 0 a minute, 0 failed"
    shown.phase("failed", None)
    shown.advance(1, "failed")
    shown._start["treating"] = (time.monotonic() - 60.0, 4.0)
    shown.advance(1, "treating")
    shown.advance(1, "treating")
    state = shown.state()
    assert state["phase"] == "treating" and state["failed"] == 1 and state["per_minute"] == pytest.approx(2.0, abs=0.05)
    assert in_words(state).startswith("treating 6 of 10, ") and in_words(state).endswith(" left, 1 failed")
    assert state["seconds_left"] == pytest.approx(120, abs=3)


def test_progress_for_another_program_is_a_json_object_a_line(tme, pretend):
    pretend(written)
    result = tme("run", "icaria", "--patients", "2", "--log-json")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert [e["phase"] for e in events if e["event"] == "phase"] == ["compiling", "growing", "treating"]
    assert events[-1]["event"] == "progress" and events[-1]["total"] == 2
    assert all(e["time"].endswith("Z") for e in events)


def test_quiet_says_nothing(tme, pretend):
    pretend(written)
    result = tme("run", "icaria", "--patients", "2", "--quiet")
    assert (result.exit_code, result.output) == (0, "")


# ---- the project around the command ----------------------------------------------------------------------------------


def between(text, mark):
    """The line of code between <!-- mark --> and <!-- end --> in the README."""
    part = text.split(f"<!-- {mark} -->")[1].split("<!-- end -->")[0]
    lines = [line for line in part.strip().splitlines() if not line.startswith("```")]
    assert len(lines) == 1
    return lines[0]


def test_the_readme_has_one_command_to_run_and_one_to_test():
    root = Path(__file__).parents[2]
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert between(readme, "run") == "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/tme run icaria"
    test = between(readme, "test")
    assert test == "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest -n auto --dist loadfile"
    script = (root / ".ci" / "run").read_text(encoding="utf-8")
    assert "<!-- test -->" in script and 'eval "$command"' in script


def test_every_command_of_the_readme_exists(tme):
    import re

    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    commands = set(re.findall(r"`tme (\w+)", readme))
    assert {"run", "list", "show", "describe"} <= commands
    for command in commands:
        assert tme(command, "--help").exit_code == 0


def test_a_small_study_runs_to_its_report(tme, tmp_path):
    small = ["--patients", "1", "--set", "marrow.shape=[32,32]", "--set", "trial.follow_up=['2 month','2 month']", "--workers", "1"]
    result = tme("run", "untreated", *small)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "results" / "untreated"
    for name in ("patients.parquet", "trajectory.parquet", "summary.json", "run.json", "report.html", "scenario.toml"):
        assert (folder / name).stat().st_size > 0
        assert name in result.output
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert run["scenario"] == load_scenario(folder / "scenario.toml").resolved
    page = (folder / "report.html").read_text(encoding="utf-8")
    crate = (folder / CRATE).read_text(encoding="utf-8")
    (folder / "report.html").unlink()
    assert tme("report", str(folder)).exit_code == 0
    assert (folder / "report.html").read_text(encoding="utf-8") == page
    (folder / "figures" / "thesis.pdf").write_text("years of work")
    (folder / "report.html").write_text("with notes", encoding="utf-8")
    told = tme("report", str(folder))
    kept = folder / "report.kept1.html"
    assert told.exit_code == 0 and "a file of yours was in the way of the results; it is kept as" in told.stderr
    assert (folder / "report.html").read_text(encoding="utf-8") == page
    assert (folder / CRATE).read_text(encoding="utf-8") == crate  # which lists what is ours, as it is now
    other = tme("run", "untreated", *small, "--seed", "9", "--force")
    assert other.exit_code == 0, other.output
    assert (folder / "figures" / "thesis.pdf").read_text() == "years of work" and kept.read_text(encoding="utf-8") == "with notes"


def test_show_says_what_a_population_amounts_to(tme):
    """Medians and shares of many draws: those that the files state are found again."""
    output = " ".join(tme("show", "icaria", "--no-parameters").output.split())
    shares = dict(re.findall(r"(refractory to lenalidomide|renal impairment|high risk) (\d+) %", output))
    assert 90 <= int(shares["refractory to lenalidomide"]) <= 96  # bernoulli 0.93
    assert 34 <= int(shares["renal impairment"]) <= 48  # 55 of 142
    assert 17 <= int(shares["high risk"]) <= 25
    age = re.search(r"age (\d+\.?\d*) \(", output)
    assert 65 <= float(age[1]) <= 69
    assert "the patient" in tme("show", "untreated", "--no-parameters", "--set", "population=typical").output


def test_show_says_a_regimen_as_trials_have_them(tme):
    changes = ['arms.pd.cycle=["8 x 21 d", "28 d"]', 'arms.pd.doses=[{drug="pomalidomide", dose="4 mg", days="1-14"}]']
    changes += ['arms.pd.doses[0].adjust=[{when="creatinine_clearance < 30", dose="3 mg", days="1-14/2"}]']
    changes += ['arms.pd.rules=[{drug="pomalidomide", chance=0.1, give=[0.5, 0], duration="28 d"}]', 'trial.visits=["6 x 28 d", "84 d"]']
    output = " ".join(tme("show", "icaria", "--no-parameters", *(word for change in changes for word in ("--set", change))).output.split())
    assert "8 cycles of 21 days, then cycles of 28 days" in output
    assert "pomalidomide 4 mg (3 mg on days 1, 3, 5, 7, 9, 11, 13 where creatinine_clearance < 30) on days 1 to 14 of every cycle" in output
    assert "pomalidomide reduced to 50 %, then held for 28 days, with a chance of 10 % at each visit" in output
    assert "6 every 28 days, then every 84 days" in output
