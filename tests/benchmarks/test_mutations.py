"""Wrong scenarios, drugs, plans, banks, results and command lines: a reduced set of those of `benchmarks/mutations.py`, and its judge."""

import importlib
import subprocess
import sys
import time
from collections import Counter

import pytest

from tme_abm.cli.app import app

mutants, mutations = importlib.import_module("mutants"), importlib.import_module("mutations")
CASES = 150
BOX = "Usage: tme run [OPTIONS]\n\n╭─ Error ───╮\n│ No such option: --x │\n╰───────────╯\n"


@pytest.fixture(scope="module")
def stock(small_trial, tmp_path_factory):
    """What cases take copies of."""
    return mutations.make_stock(tmp_path_factory.mktemp("stock"), small_trial.folder)


def test_whatever_is_wrong_is_told_in_one_message_and_leaves_nothing(stock):
    outcomes = mutations.Crew("reduced", stock, 1).run(list(range(CASES)))
    faults = {number: outcome["faults"] for number, outcome in outcomes.items() if outcome["faults"]}
    assert not faults, f"python benchmarks/mutations.py --seed reduced --only {next(iter(faults))}"
    assert sorted(outcomes) == list(range(CASES))
    came = Counter("begun" if outcome["has_begun"] else outcome["code"] for outcome in outcomes.values())
    assert came["begun"] >= 5 and came[0] >= 5 and came[2] >= 80  # some are no mistakes, most are


def test_cases_are_the_same_again_and_ask_every_command_and_every_kind_of_file():
    cases = [mutants.make_case("reduced", number) for number in range(1500)]
    assert cases[:50] == [mutants.make_case("reduced", number) for number in range(50)]
    groups = [("", app), *((f"{group.name or group.typer_instance.info.name} ", group.typer_instance) for group in app.registered_groups)]
    names = {f"{before}{c.name or c.callback.__name__.rstrip('_')}" for before, group in groups for c in group.registered_commands}
    assert {"lesson list", "lesson check", "lesson export", "merge", "bank", "calibrate", "design", "predict", "new"} <= names
    assert {f"command line, {name}" for name in names} <= {case.family for case in cases}
    assert {make.__name__.removesuffix("_case") for make, _ in mutants.FAMILIES} == {
        *("scenario", "drug", "mouse", "population", "plan", "bank_plan", "live", "sweep", "damage", "command")
    }
    assert {f"damaged {name}" for name in mutants.STOCK} <= {case.family for case in cases}
    words = [" ".join(case.command) for case in cases]
    for asked in ("--draws", "--part", "--posterior", "predict --scenarios icaria --bank", "merge parts/1 parts/2", "lesson check"):
        assert any(asked in line for line in words), asked
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


def test_the_judge_of_what_was_done_in_earnest():
    """A message about what makes a case small names that option; a bank that holds all that was asked for stays as it was."""
    refused = mutations.Outcome(2, err="tme: --patients 2: unknown key 'patients'\n")
    assert not mutations.judge(CASE, refused, is_real=True) and mutations.judge(CASE, refused)
    bank = CASE._replace(command=("bank", "bank.toml", "--out", "bank"), mutated="bank/run.json")
    assert not mutations.judge(bank, mutations.Outcome(0), is_real=True)
    elsewhere = bank._replace(command=("bank", "bank.toml", "--out", "other"))
    assert mutations.judge(elsewhere, mutations.Outcome(0), is_real=True) == ["ran, but left no results"]
    assert not mutations.judge(elsewhere, mutations.Outcome(0, left=["here/other/summary.json 9"]), is_real=True)


def test_a_plan_whose_bank_is_a_stub_is_not_carried_out():
    numbers = [n for n in range(300) if mutants.make_case("reduced", n).family in ("plan", "command line, calibrate")]
    plans = [n for n in numbers if mutants.make_case("reduced", n).family == "plan"]
    chosen = mutations.in_earnest("reduced", {n: {"has_begun": True} for n in numbers}, 1000)
    assert plans and sorted(chosen) == [n for n in numbers if n not in plans]


def test_the_box_of_a_command_line_is_one_message():
    case = CASE._replace(command=("run", "--x"), mutated="")
    assert not mutations.judge(case, mutations.Outcome(2, err=BOX))
    assert mutations.judge(case, mutations.Outcome(2, err=BOX + BOX)) == ["not one message"]


def test_every_file_that_a_case_damages_is_in_the_stock_and_every_damage_changes_it(stock, tmp_path):
    for folder, names in mutants.PATHS_OF_STOCK.items():
        assert not [name for name in names if not (stock / folder / name).is_file() and not name.startswith(".tme-run")]
    case = CASE._replace(family="damaged bank", mutated="bank/sittings.json", needs=("bank",), files={})
    for what in dict.fromkeys(mutants.DAMAGES):  # some are listed twice, to come oftener
        changed = set()
        for number in range(8):
            place = tmp_path / f"{what}-{number}"
            place.mkdir()
            mutants.lay_out(case._replace(number=number, what=f"sittings.json: {what}"), place, stock, "reduced")
            path = place / "bank" / "sittings.json"
            changed.add(path.read_bytes() if path.is_file() else b"")
        assert changed != {(stock / "bank" / "sittings.json").read_bytes()} or what in ("another value", "a line left out"), what


def test_waiting_for_its_turn_is_no_fault_and_sleeping_is(monkeypatch):
    monkeypatch.setattr(mutations, "LOOK_S", 60.0)  # what each look counts for; the looks themselves follow at once
    program = "import sys, time\nprint(1, flush=True)\n{what}\n"

    def looks(what):
        process = subprocess.Popen([sys.executable, "-c", program.format(what=what)], stdout=subprocess.PIPE)
        try:
            process.stdout.readline()
            time.sleep(0.2)  # it goes to sleep, or to work
            watch = mutations.Watch(process.pid)
            return [watch.why_end() for _ in range(4)]
        finally:
            process.kill()
            process.wait()

    assert looks("time.sleep(600)")[-1].startswith("asleep for")
    assert looks("while True: pass") == [""] * 4


def test_a_process_that_is_deaf_to_its_alarm_is_ended_by_its_processor_time(monkeypatch):
    watch = mutations.Watch(mutations.os.getpid())
    assert watch.why_end() == ""
    watch.begun -= mutations.ENOUGH * mutations.SECONDS + 1.0
    assert "deaf to its alarm" in watch.why_end()


def test_a_process_that_dies_or_says_nothing_is_a_finding(stock, monkeypatch, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import json, os, sys, time\nprint(json.dumps({'begins': json.load(sys.stdin)[0]}), flush=True)\n{what}\n")
    text = program.read_text()
    for what, found in (
        ("os.kill(os.getpid(), 11)", "the process died, exit code -11"),
        ("time.sleep(600)", "asleep for"),
    ):
        program.write_text(text.replace("{what}", what))
        monkeypatch.setattr(mutations, "__file__", str(program))
        monkeypatch.setattr(mutations, "LOOK_S", 0.2)
        monkeypatch.setattr(mutations, "PATIENCE_S", 1.0)
        outcomes = mutations.Crew("reduced", stock, 1).run([7])
        assert outcomes[7]["faults"][0].startswith(found)
