"""Runs that are remembered on disk: the book, what makes two studies the same, folders, and times in words."""

import json
from dataclasses import replace

import pytest

from tme_abm.analysis.run_book import BOOK, Point, RunBook, duration, make_stamp, open_folder, relative_cost, whole_visits
from tme_abm.foundation.errors import InputError
from tme_abm.scenario.kinds import load_scenario

STAMP = {"scenario": "abc", "seed": 1}


def row(patient, arm, without=(), **more):
    numerics = {"height": 0, "width": 0, "step_h": 0.0}
    return {"patient": patient, "arm": arm, "without": sorted(without), **numerics, "status": "completed"} | more


@pytest.fixture(scope="module")
def study():
    return load_scenario("icaria", patients=2)


def test_a_book_remembers(tmp_path):
    book = RunBook(tmp_path / BOOK, STAMP)
    book.add(row(0, "pd", pfs_days=28.0))
    book.add(row(0, "isa-pd", ("cdc", "adcc"), pfs_days=56.0))
    book.add(row(1, "pd", pfs_days=3.0) | {"status": "failed"})
    again = RunBook(tmp_path / BOOK, STAMP)
    assert again.rows == book.rows
    assert set(again.rows) == {(0, Point("pd")), (0, Point("isa-pd", frozenset({"adcc", "cdc"})))}


def test_a_line_that_was_cut_short_is_forgotten_and_the_book_goes_on(tmp_path):
    book = RunBook(tmp_path / BOOK, STAMP)
    book.add(row(0, "pd", pfs_days=28.0))
    with (tmp_path / BOOK).open("a") as file:
        file.write('{"patient": 1, "arm": "p')
    again = RunBook(tmp_path / BOOK, STAMP)
    again.add(row(2, "pd", pfs_days=84.0))
    assert [patient for patient, _ in RunBook(tmp_path / BOOK, STAMP).rows] == [0, 2]
    assert all(json.loads(line) for line in (tmp_path / BOOK).read_text().splitlines())


def test_a_book_of_something_else_is_refused(tmp_path):
    RunBook(tmp_path / BOOK, STAMP)
    with pytest.raises(InputError, match="holds runs of another seed; replace them with --force"):
        RunBook(tmp_path / BOOK, STAMP | {"seed": 2})
    (tmp_path / "other").write_text("no book\n")
    with pytest.raises(InputError, match="is no book of runs"):
        RunBook(tmp_path / "other", STAMP)


def test_the_stamp_tells_studies_apart_but_not_their_size(study):
    own = make_stamp(study, 84.0)
    assert make_stamp(replace(study, patients=7), 84.0) == own
    assert make_stamp(load_scenario("icaria", patients=9), 84.0) == own
    assert make_stamp(study, 112.0) != own
    assert make_stamp(load_scenario("icaria", ["drugs.isatuximab.adcc.lysis_rate.value=0.07"]), 84.0) != own
    other = load_scenario("icaria", ["marrow.shape=[96, 96]"])
    assert make_stamp(other, 84.0) != own
    assert make_stamp(other, 84.0, ("marrow",)) == make_stamp(study, 84.0, ("marrow",))


def test_a_folder_is_made_gone_on_in_or_refused(study, tmp_path):
    folder = open_folder(tmp_path / "new", study)
    assert load_scenario(folder / "scenario.toml").arms == study.arms
    (folder / BOOK).write_text("kept\n")
    assert (open_folder(folder, study) / BOOK).read_text() == "kept\n"
    open_folder(folder, study, force=True)
    assert not (folder / BOOK).exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    for force in (False, True):
        with pytest.raises(InputError, match="holds something else than runs of this command"):
            open_folder(tmp_path / "mine", study, force)
    with pytest.raises(InputError, match="is a file, not a folder"):
        open_folder(tmp_path / "mine" / "thesis.txt", study)


def test_a_horizon_is_a_visit(study):
    assert whole_visits(study, 100.0) == 84.0
    assert whole_visits(study, 84.0) == 84.0


@pytest.mark.parametrize(("numerics", "cost"), [((0, 0, 0.0), 1.0), ((128, 128, 6.0), 4.0), ((64, 64, 2.0), 3.0)])
def test_what_a_run_costs_relative_to_the_study_s_own(study, numerics, cost):
    assert relative_cost(study, Point("pd", frozenset(), *numerics)) == pytest.approx(cost)


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (42.4, "42 s"), (90.0, "2 min"), (1800.0, "30 min"), (9000.0, "2.5 h")])
def test_a_length_of_time_in_words(seconds, words):
    assert duration(seconds) == words
