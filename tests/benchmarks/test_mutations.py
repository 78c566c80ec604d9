"""Wrong scenarios, drugs, populations, results and command lines: a reduced set of those of `benchmarks/mutations.py`, and its judge."""

import importlib
from collections import Counter

import pytest

from tme_abm.cli.app import app

mutants, mutations = importlib.import_module("mutants"), importlib.import_module("mutations")
CASES = 150
BOX = "Usage: tme run [OPTIONS]\n\n╭─ Error ───╮\n│ No such option: --x │\n╰───────────╯\n"


def test_whatever_is_wrong_is_told_in_one_message_and_leaves_nothing(small_trial):
    outcomes = mutations.Crew("reduced", small_trial.folder, 1).run(list(range(CASES)))
    faults = {number: outcome["faults"] for number, outcome in outcomes.items() if outcome["faults"]}
    assert not faults, f"python benchmarks/mutations.py --seed reduced --only {next(iter(faults))}"
    assert sorted(outcomes) == list(range(CASES))
    came = Counter("begun" if outcome["has_begun"] else outcome["code"] for outcome in outcomes.values())
    assert came["begun"] >= 5 and came[0] >= 5 and came[2] >= 80  # some are no mistakes, most are


def test_cases_are_the_same_again_and_ask_every_command_and_every_kind_of_file():
    cases = [mutants.make_case("reduced", number) for number in range(1500)]
    assert cases[:50] == [mutants.make_case("reduced", number) for number in range(50)]
    names = {command.name or command.callback.__name__.rstrip("_") for command in app.registered_commands}
    assert {f"command line, {name}" for name in names} <= {case.family for case in cases}
    assert {make.__name__.removesuffix("_case") for make, _ in mutants.FAMILIES} == {
        *("scenario", "drug", "mouse", "population", "plan", "sweep", "results", "command")
    }
    assert names == set(mutants.options())


CASE = mutants.Case(1, "scenario", "", {}, ("validate", "study.toml"), "study.toml")
RIGHT = "tme: study.toml, line 3: unknown key 'x'\n"


@pytest.mark.parametrize(
    ("outcome", "found"),
    [
        ({"code": 2, "err": RIGHT}, ""),
        ({"code": 2, "err": RIGHT + "again\n"}, "not one message"),
        ({"code": 2, "err": ""}, "not one message"),
        ({"code": 2, "err": "tme: study.toml, line 3: unknown key '\x1b[31m'\n"}, "not one message"),
        ({"code": 2, "err": "tme: unknown key 'x'\n"}, "does not name study.toml"),
        ({"code": 2, "err": "tme: study.toml: unknown key 'x'\n"}, "names no line"),
        ({"code": 2, "err": "tme: study.toml: the key 'arms' is missing\n"}, ""),
        ({"code": 2, "err": RIGHT, "left": ["out/half.parquet"]}, "left behind"),
        ({"code": 0, "left": ["results"]}, "left behind"),
        ({"code": 4, "err": RIGHT}, "exit code 4"),
        ({"code": 0, "out": "Traceback (most recent call last)"}, "traceback"),
        ({"trace": "Traceback\nKeyError: 'x'"}, "traceback: KeyError"),
        ({"code": 0, "seconds": 31.0}, "31 s"),
        ({"code": 0, "grown_mb": 2000.0}, "memory"),
        ({"code": 1, "err": "tme: study.toml: out of memory\n"}, "memory"),
        ({"has_begun": True}, ""),
    ],
)
def test_the_judge(outcome, found):
    faults = mutations.judge(CASE, mutations.Outcome(**outcome))
    assert bool(faults) is bool(found) and all(found in fault for fault in faults[:1])


def test_the_box_of_a_command_line_is_one_message():
    case = CASE._replace(command=("run", "--x"), mutated="")
    assert not mutations.judge(case, mutations.Outcome(2, err=BOX))
    assert mutations.judge(case, mutations.Outcome(2, err=BOX + BOX)) == ["not one message"]


def test_a_process_that_dies_or_says_nothing_is_a_finding(small_trial, monkeypatch, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import json, os, sys, time\nprint(json.dumps({'begins': json.load(sys.stdin)[0]}), flush=True)\n{what}\n")
    text = program.read_text()
    for what, found in (
        ("os.kill(os.getpid(), 11)", "the process died, exit code -11"),
        ("time.sleep(60)", "nothing was heard for 2 s"),
    ):
        program.write_text(text.replace("{what}", what))
        monkeypatch.setattr(mutations, "__file__", str(program))
        monkeypatch.setattr(mutations, "PATIENCE_S", 2.0)
        outcomes = mutations.Crew("reduced", small_trial.folder, 1).run([7])
        assert outcomes[7]["faults"][0].startswith(found)
