"""Folders of runs of many variants: which sweep they are of, that they run elsewhere, and what becomes of runs that fail."""

import shutil

import pytest

from tme_abm.analysis import conditions, run_book
from tme_abm.analysis.run_book import Run
from tme_abm.analysis.sweep import run
from tme_abm.analysis.sweep.points import lay_out
from tme_abm.batch.executors import Crashed
from tme_abm.cli.variation import loader
from tme_abm.foundation.errors import InputError
from tme_abm.scenario import kinds

SWEEP = """kind = "sweep"
title = "Dose"
summary = "A test."
scenario = "{trial}"
patients = 2
[axes.dose]
label = "dose [mg]"
path = "arms.own.doses[0].dose"
write = "{{}} mg"
values = {values}
"""
TRIAL = """title = "Own"
summary = "A test."
population = "people.toml"
patients = 4
seed = 3
[trial]
follow_up = ["6 month", "8 month"]
[arms.own]
label = "Own"
doses = [{ drug = "pomalidomide", dose = "4 mg", days = "1-21" }]
"""


@pytest.fixture
def given(tmp_path):
    """Read a sweep over a trial of the user's, in a folder of its own."""
    place = tmp_path / "mine"
    place.mkdir()
    (place / "trial_of_mine.toml").write_text(TRIAL, encoding="utf-8")
    (place / "people.toml").write_text('inherits = "icaria"\n', encoding="utf-8")

    def given(values="[2, 4]", trial="trial_of_mine.toml", **changes):
        text = SWEEP.format(trial=trial, values=values)
        (place / "dose.toml").write_text(text, encoding="utf-8")
        return kinds.load_question("sweep", place / "dose.toml", [f"{key}={value}" for key, value in changes.items()])

    return given


def opened(sweep, folder, force=False):
    return conditions.open_book(folder, sweep.resolved, loader(sweep)((), (), 0), 84.0, force)


def test_a_folder_is_of_one_sweep_which_may_grow(given, tmp_path):
    with opened(given(), tmp_path / "out"):
        pass
    with opened(given(patients=3), tmp_path / "out"):
        pass
    with pytest.raises(InputError, match=r"values .* begin anew with --force"), opened(given(values="[2, 3]"), tmp_path / "out"):
        pass
    shutil.copy(tmp_path / "mine" / "trial_of_mine.toml", tmp_path / "mine" / "another.toml")
    with pytest.raises(InputError, match=r"trial another instead of|trial trial_of_mine instead of"):
        with opened(given(trial="another.toml"), tmp_path / "out"):
            pass


def test_results_of_an_earlier_call_do_not_stay_beside_those_of_this_one(given, tmp_path):
    out = tmp_path / "out"
    for name in ("cloud_old.svg", "cloud_new.svg"):
        with opened(given(), out) as book:
            (book.results.new / name).write_text(name, encoding="utf-8")
            book.results.publish(is_final=False)
    assert {path.name for path in out.glob("cloud_*")} == {"cloud_new.svg"}


def test_the_folder_runs_elsewhere(given, tmp_path):
    sweep = given()
    with opened(sweep, tmp_path / "out") as book:
        book.results.publish(is_final=False)
    shutil.move(tmp_path / "out", tmp_path / "moved")
    wanted = [{arm: c.key for arm, c in point.replicates[0].items()} for point in lay_out(sweep, loader(sweep))[1]]
    shutil.rmtree(tmp_path / "mine")
    again = kinds.load_question("sweep", tmp_path / "moved" / "scenario.toml")
    found = [{arm: c.key for arm, c in point.replicates[0].items()} for point in lay_out(again, loader(again))[1]]
    assert found == wanted and len(found) == 2
    assert str(tmp_path) not in (tmp_path / "moved" / "scenario.toml").read_text(encoding="utf-8")
    with opened(again, tmp_path / "moved"):  # the same sweep
        pass


def test_too_few_patients_who_complete_are_told_in_a_line(given, tmp_path, monkeypatch):
    def carry_out(wanted, patients, book, horizon_days, desk):
        for condition in wanted:
            row = run_book._row(0, condition.point) | {"pfs_days": 56.0, "pfs_event": True, "event_kind": "progression", "seconds": 0.1}
            book.add(row | {"best_response": "PR", "mrd_negative": False, "log10_burden_visit_2": -1.0})
            book.add(run_book._row(1, condition.point) | {"status": "failed", "failure": "of a test", "seconds": 0.1})

    monkeypatch.setattr(run, "carry_out", carry_out)
    sweep = given()
    with pytest.raises(InputError, match="at no point did two patients complete every arm"):
        run.sweep(sweep, loader(sweep), tmp_path / "out")


def test_a_group_that_kills_its_workers_fails_alone(given):
    sweep = given()
    group = [Run(c.point, c.study, c.arm) for point in lay_out(sweep, loader(sweep))[1] for c in point.replicates[0].values()]
    runs = run_book.Runs([(0, group), (1, group)], 84.0)
    rows = runs.give_up(1, Crashed("the worker process died"))
    assert [(row["patient"], row["arm"], row["status"]) for row in rows] == [
        (1, run.point.arm, "failed") for run in group
    ] and "died" in rows[0]["failure"]
    with pytest.raises(OSError, match="full"):
        runs.give_up(1, OSError("full"))


def test_no_memory_ends_the_work_and_is_no_failed_patient(given, monkeypatch):
    def enrol(*_):
        raise MemoryError

    sweep = given()
    group = [Run(c.point, c.study, c.arm) for c in lay_out(sweep, loader(sweep))[1][0].replicates[0].values()]
    kept = []
    monkeypatch.setattr(run_book, "enrol", enrol)
    with pytest.raises(MemoryError):
        run_book.follow(0, group, 84.0, kept.append)
    assert not kept
