"""Runs that are remembered on disk: the book, what makes two studies the same, folders, and times in words."""

from dataclasses import replace

import pytest

from tme_abm.analysis.run_book import Point, duration, make_stamp, open_book, relative_cost, whole_visits, with_numerics
from tme_abm.foundation.errors import InputError
from tme_abm.scenario.kinds import load_scenario

STAMP = {"scenario": "abc", "seed": 1}


def row(patient, arm, without=(), **more):
    numerics = {"height": 0, "width": 0, "step_h": 0.0}
    return {"patient": patient, "arm": arm, "without": sorted(without), **numerics, "status": "completed"} | more


@pytest.fixture(scope="module")
def study():
    return load_scenario("icaria", patients=2)


@pytest.fixture
def opened(study, tmp_path):
    """Open the book in a folder of this test."""
    return lambda stamp=STAMP, force=False: open_book(tmp_path / "runs", study, stamp, force)


def test_a_book_remembers(opened):
    with opened() as book:
        book.add(row(0, "pd", pfs_days=28.0))
        book.add(row(0, "isa-pd", ("cdc", "adcc"), pfs_days=56.0))
        book.add(row(1, "pd", pfs_days=3.0) | {"status": "failed"})
    with opened() as again:
        assert again.rows == book.rows
        assert set(again.rows) == {(0, Point("pd")), (0, Point("isa-pd", frozenset({"adcc", "cdc"})))}
        assert set(again.failed) == {(1, Point("pd"))}
        again.add(row(1, "pd", pfs_days=84.0))
        assert not again.failed and again.rows[1, Point("pd")]["pfs_days"] == 84.0


def test_a_line_that_was_cut_short_is_forgotten_and_the_book_goes_on(opened, tmp_path):
    with opened() as book:
        book.add(row(0, "pd", pfs_days=28.0))
        book.add(row(1, "pd", pfs_days=56.0))
    (shard,) = (tmp_path / "runs" / ".tme-run" / "journal").iterdir()
    shard.write_bytes(shard.read_bytes()[:-9])
    with opened() as again:
        again.add(row(2, "pd", pfs_days=84.0))
    with opened() as last:
        assert [patient for patient, _ in last.rows] == [0, 2]


def test_a_book_of_something_else_is_refused(opened):
    with opened():
        pass
    with pytest.raises(InputError, match="with seed 1 instead of 2; begin anew with --force"), opened(STAMP | {"seed": 2}):
        pass
    with opened(STAMP | {"seed": 2}, force=True) as book:
        assert not book.rows


def test_the_stamp_tells_studies_apart_but_not_their_size(study):
    own = make_stamp(study, 84.0)
    assert make_stamp(replace(study, patients=7), 84.0) == own
    assert make_stamp(load_scenario("icaria", patients=9), 84.0) == own
    assert make_stamp(study, 112.0) != own
    assert make_stamp(load_scenario("icaria", ["drugs.isatuximab.adcc.lysis_rate.value=0.07"]), 84.0) != own
    other = load_scenario("icaria", ["marrow.shape=[96, 96]"])
    assert make_stamp(other, 84.0) != own
    assert make_stamp(other, 84.0, ("marrow",)) == make_stamp(study, 84.0, ("marrow",))


def test_the_scenario_stands_beside_the_runs(study, opened, tmp_path):
    with opened() as book:
        book.results.publish(is_final=False)
    assert load_scenario(tmp_path / "runs" / "scenario.toml").arms == study.arms


def test_a_horizon_is_a_visit(study):
    assert whole_visits(study, 100.0) == 84.0
    assert whole_visits(study, 84.0) == 84.0


@pytest.mark.parametrize(("numerics", "cost"), [((0, 0, 0.0), 1.0), ((128, 128, 6.0), 4.0), ((64, 64, 2.0), 3.0)])
def test_what_a_run_costs_relative_to_the_study_s_own(study, numerics, cost):
    assert relative_cost(study, with_numerics(study, Point("pd", frozenset(), *numerics))) == pytest.approx(cost)


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (42.4, "42 s"), (90.0, "2 min"), (1800.0, "30 min"), (9000.0, "2.5 h")])
def test_a_length_of_time_in_words(seconds, words):
    assert duration(seconds) == words
