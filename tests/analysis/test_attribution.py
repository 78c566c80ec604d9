"""Attribution: the Shapley value by hand and by its laws, the question that a study is asked, and a small real run."""

import json
import math
import shutil
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tme_abm.analysis import headings, run_book
from tme_abm.analysis.attribution import tables
from tme_abm.analysis.attribution.question import HOUSEKEEPING, MEASURES, acts_in, pose
from tme_abm.analysis.attribution.run import attribute
from tme_abm.analysis.attribution.shapley import draw_orders, is_exact, shapley_exact, shapley_sampled
from tme_abm.analysis.run_book import BOOK, open_book
from tme_abm.batch.desk import Desk
from tme_abm.batch.executors import Threads
from tme_abm.batch.results import MARKER, WORK
from tme_abm.export.crate import CODE, CRATE
from tme_abm.foundation.errors import InputError
from tme_abm.scenario.kinds import load_scenario, load_trial

ANTIBODY = {
    *("trogocytosis", "antigen_loss", "direct_killing", "adcc", "adcp", "fc_receptors", "cdc", "ectoenzyme", "niche_release"),
    *("nk_activation", "depletion"),
}


# ---- the game --------------------------------------------------------------------------------------------------------


def gloves(coalition):
    """Two left gloves and one right: a pair is worth 1 (a textbook game; the shares are 1/6, 1/6 and 4/6)."""
    return float("right" in coalition and bool(coalition & {"left", "other_left"}))


def test_the_glove_game_by_hand():
    players = ("left", "other_left", "right")
    assert shapley_exact(players, gloves) == pytest.approx([1 / 6, 1 / 6, 4 / 6])
    added = shapley_sampled(players, list(permutations(players)), gloves)
    assert added.mean(0) == pytest.approx([1 / 6, 1 / 6, 4 / 6])  # all orders are the definition


def test_two_that_stand_in_for_each_other_share_what_neither_knock_out_shows():
    def either(coalition):
        return 3.0 if coalition else 0.0

    assert either(frozenset({"a", "b"})) - either(frozenset({"a"})) == 0.0
    assert shapley_exact(("a", "b"), either) == pytest.approx([1.5, 1.5])


PLAYERS = ("a", "b", "c", "d")
COALITIONS = [frozenset(c) for size in range(5) for c in combinations(PLAYERS, size)]
games = st.lists(st.floats(-5.0, 5.0), min_size=16, max_size=16).map(lambda values: dict(zip(COALITIONS, values, strict=True)))


@given(games)
def test_shares_sum_to_the_whole_gain(game):
    whole = game[frozenset(PLAYERS)] - game[frozenset()]
    assert shapley_exact(PLAYERS, game.__getitem__).sum() == pytest.approx(whole, abs=1e-9)
    orders = draw_orders(PLAYERS, 3, 1, 2)
    assert shapley_sampled(PLAYERS, orders, game.__getitem__).sum(1) == pytest.approx([whole] * 3, abs=1e-9)


@given(games)
def test_exact_is_the_mean_over_all_orders(game):
    added = shapley_sampled(PLAYERS, list(permutations(PLAYERS)), game.__getitem__)
    assert added.mean(0) == pytest.approx(shapley_exact(PLAYERS, game.__getitem__), abs=1e-9)


@given(games)
def test_who_adds_nothing_gets_nothing_and_equals_get_the_same(game):
    def blind(coalition):  # d adds nothing, b and c are alike
        return game[frozenset({"a"} & coalition)] + len(coalition & {"b", "c"}) ** 2

    shares = dict(zip(PLAYERS, shapley_exact(PLAYERS, blind), strict=True))
    assert shares["d"] == pytest.approx(0.0, abs=1e-9)
    assert shares["b"] == pytest.approx(shares["c"], abs=1e-9)
    assert (shapley_sampled(PLAYERS, draw_orders(PLAYERS, 4, 7, 0), blind)[:, 3] == 0.0).all()


def test_shares_of_a_sum_of_games_are_the_sums_of_shares():
    rng = np.random.default_rng(3)
    one, two = ({c: float(v) for c, v in zip(COALITIONS, rng.normal(size=16), strict=True)} for _ in range(2))
    both = shapley_exact(PLAYERS, lambda c: one[c] + two[c])
    assert both == pytest.approx(shapley_exact(PLAYERS, one.__getitem__) + shapley_exact(PLAYERS, two.__getitem__))


def test_orders_come_in_reversed_pairs_and_every_player_takes_every_place_equally_often():
    players = tuple("abcde")
    drawn = [order for index in range(40) for order in draw_orders(players, 4, 11, index)]
    assert all(sorted(order) == list(players) for order in drawn)
    assert all(a == b[::-1] for a, b in zip(drawn[::2], drawn[1::2], strict=True))
    for place in range(5):
        assert [sum(order[place] == p for order in drawn) for p in players] == [len(drawn) / 5] * 5
    assert len(set(drawn)) > 40
    assert draw_orders(players, 4, 11, 3) == draw_orders(players, 4, 11, 3) != draw_orders(players, 4, 12, 3)
    assert draw_orders(players, 3, 11, 3) == draw_orders(players, 4, 11, 3)[:3]


def test_sampling_converges_to_the_exact_shares():
    """Within four standard errors, on a game with interactions."""
    game = dict(zip(COALITIONS, np.random.default_rng(5).normal(size=16), strict=True))
    added = np.concatenate([shapley_sampled(PLAYERS, draw_orders(PLAYERS, 2, 9, i), game.__getitem__).mean(0)[None] for i in range(400)])
    error = added.std(0, ddof=1) / math.sqrt(len(added))
    assert (np.abs(added.mean(0) - shapley_exact(PLAYERS, game.__getitem__)) < 4.0 * error + 1e-12).all()


@pytest.mark.parametrize(("n", "samples", "exact"), [(1, 4, True), (2, 4, True), (4, 4, False), (3, 4, True), (9, 4, False), (4, 5, True)])
def test_all_coalitions_are_run_where_that_costs_no_more(n, samples, exact):
    """By hand: 2^n - 2 coalitions between nothing and all, against samples (n - 1) of the orders."""
    assert is_exact(n, samples) is exact


# ---- the question ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study():
    """Three patients of ICARIA-MM on small patches."""
    return load_scenario("icaria", ["marrow.shape=[32, 32]"], patients=3, seed=5)


def test_players_are_the_mechanisms_of_the_drug_that_is_added(study):
    (comparison,) = pose(study).comparisons
    assert set(comparison.players) == ANTIBODY  # binding is how it gets there
    assert (comparison.arm, comparison.reference) == ("isa-pd", "pd")


@pytest.mark.parametrize(
    ("name", "arm", "players"),
    [
        ("elotuzumab", "elo-rd", {"adcc", "nk_activation", "glucocorticoid"}),  # there is less dexamethasone beside elotuzumab
        ("combinations", "isa-kd", {"proteasome", "glucocorticoid"}),  # the last of its comparisons, over the antibody alone
        ("isatuximab_monotherapy", "isa-d", {"glucocorticoid"}),
        ("daratumumab_swap", "isa-pd", ANTIBODY),
    ],
)
def test_players_of_other_studies(name, arm, players):
    comparisons = {c.arm: c for c in pose(load_scenario(name, patients=1)).comparisons}
    assert set(comparisons[arm].players) == players


def test_a_changed_dose_has_players_too():
    study = load_scenario("icaria", ['arms.pd.doses[1].dose="20 mg"'], patients=1)
    (comparison,) = pose(study).comparisons
    assert set(comparison.players) == ANTIBODY | {"glucocorticoid"}


def test_a_player_that_is_not_in_the_reference_arm_leaves_it_alone(study):
    question = pose(study)
    (comparison,) = question.comparisons
    for coalition in question.coalitions(0, comparison):
        arm, reference = question.sides(comparison, coalition)
        assert reference.without == frozenset()
        assert arm.without == ANTIBODY - coalition


def test_a_bystander_is_off_in_both_arms(study):
    question = pose(study, ["adcc", "t_cell_killing"])
    (comparison,) = question.comparisons
    assert comparison.players == ("t_cell_killing", "adcc")
    arm, reference = question.sides(comparison, frozenset({"adcc"}))
    assert arm.without == reference.without == {"t_cell_killing"}


def test_knock_outs_are_all_that_acts_or_what_is_asked_for(study):
    question = pose(study)
    off = {name for group in question.knock_outs["isa-pd"] for name in group}
    assert ANTIBODY | {"binding", "imid", "t_cell_killing", "suppression"} <= off
    assert not off & {*HOUSEKEEPING, "proteasome"}
    assert not {name for group in question.knock_outs["pd"] for name in group} & (ANTIBODY | {"binding"})
    question = pose(study, ["adcc", "ectoenzyme+suppression"])
    assert question.knock_outs["isa-pd"] == (frozenset({"adcc"}), frozenset({"ectoenzyme", "suppression"}))
    assert question.knock_outs["pd"] == (frozenset({"suppression"}),)
    assert question.comparisons[0].players == ("adcc",)


def test_no_run_is_wanted_twice(study):
    for index in range(3):
        points = pose(study).points(index)
        assert len(points) == len(set(points))
        assert all(point.without <= acts_in(study, next(a for a in study.arms if a.key == point.arm)) for point in points)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mechanisms": ["adccc"]}, "unknown mechanism 'adccc'; did you mean 'adcc'?"),
        ({"mechanisms": ["proteasome"]}, "'proteasome' acts in none of the arms isa-pd, pd"),
        ({"samples": -1}, "the number of samples must be zero or more, got -1"),
        ({"horizon_days": 20.0}, "a horizon of 0.66 months ends before the first visit on day 28"),
    ],
)
def test_what_cannot_be_asked(study, changes, message):
    with pytest.raises(InputError) as refused:
        pose(study, **changes)
    assert str(refused.value) == message


def test_a_study_without_a_comparison_has_no_gain():
    with pytest.raises(InputError, match="untreated compares no arms, so there is no gain to attribute"):
        pose(load_scenario("untreated", patients=1))


def test_what_is_switched_off_is_no_player(study):
    off = replace(study, settings=replace(study.settings, without=frozenset({"adcc"})))
    assert set(pose(off).comparisons[0].players) == ANTIBODY - {"adcc"}
    with pytest.raises(InputError, match="'adcc' is switched off in this study"):
        pose(off, ["adcc"])


# ---- a run -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def question(study):
    """Few runs: two players, exactly, and one bystander knocked out."""
    return pose(study, ["adcc", "nk_activation", "adcc+t_cell_killing"], 4, 140.0)


@pytest.fixture(scope="module")
def ran(question, tmp_path_factory):
    folder = tmp_path_factory.mktemp("attribution")
    return folder, attribute(question, folder, Desk(Threads(2)))


def test_what_a_run_leaves_on_disk(ran, check_crate):
    names = {path.name for path in ran[0].iterdir()}
    tables = {f"{table}.{kind}" for table in ("attribution", "knockout", "deaths") for kind in ("parquet", "csv")}
    assert names == {*tables, BOOK, "summary.json", "run.json", "report.html", "figures", "scenario.toml", CRATE, CODE, MARKER, WORK}
    check_crate(ran[0], "icaria")
    assert json.loads((ran[0] / "summary.json").read_text()) == json.loads(json.dumps(ran[1]))
    assert {path.stem for path in (ran[0] / "figures").iterdir()} == {"shares_1", "knock_outs_1", "deaths_by_cause"}


def test_its_tables_are_as_declared(ran, assert_as_declared):
    for name, declared in (("attribution", headings.ATTRIBUTION), ("knockout", headings.KNOCKOUT), ("deaths", headings.DEATHS)):
        assert_as_declared(ran[0] / f"{name}.parquet", declared)


def test_the_page_stands_by_itself(ran):
    page = (ran[0] / "report.html").read_text(encoding="utf-8")
    assert "Isa-Pd over Pd" in page and page.count("<img") == page.count("data:image/svg+xml") == 3
    assert 'src="http' not in page and "{{" not in page


def test_shares_of_every_patient_sum_to_her_gain(question, ran):
    (comparison,) = question.comparisons
    with open_book(ran[0], question.study, run_book.make_stamp(question.study, question.horizon_days)) as book:
        for measure in MEASURES:
            who, values, spread = tables.patient_shares(question, book, comparison, measure)
            assert len(who) >= 2 and (spread == 0.0).all()
            for index, row in zip(who, values, strict=True):
                gains = tables.gains(question, book, comparison, index, measure)
                assert row.sum() == pytest.approx(gains[frozenset(comparison.players)] - gains[frozenset()], abs=1e-12)


def test_shares_and_the_rest_sum_to_the_gain(ran):
    table = pd.read_parquet(ran[0] / "attribution.parquet")
    (comparison,) = ran[1]["comparisons"]
    for measure, found in comparison["measures"].items():
        rows = table[table["measure"] == measure]
        assert rows["value"].sum() + found["other"] == pytest.approx(found["gain"], abs=1e-12)
        assert ((rows["low"] <= rows["value"] + 1e-12) & (rows["value"] <= rows["high"] + 1e-12)).all()
        assert (rows["method"] == "all coalitions").all() and (rows["error_orders"] == 0.0).all()


def test_the_antibody_without_all_its_mechanisms_is_the_reference_arm(study, tmp_path):
    """The same months and the same burden, patient by patient; with the door shut as well as with all that is behind it."""
    question = replace(pose(study, [*ANTIBODY], 0, 112.0), knock_outs={"isa-pd": (frozenset(ANTIBODY), frozenset({"binding"}))})
    summary = attribute(question, tmp_path, Desk(Threads(2)))
    (comparison,) = summary["comparisons"]
    for found in comparison["measures"].values():
        assert found["other"] == 0.0 and found["other_ci"] == [0.0, 0.0]
    assert comparison["measures"]["burden_log10"]["gain"] != 0.0
    table = pd.read_parquet(tmp_path / "knockout.parquet").set_index(["arm", "without"])
    bare = table.loc["isa-pd"].drop("nothing")
    assert len(bare) == 2
    assert (bare["mean_pfs_months"] == table.loc[("pd", "nothing"), "mean_pfs_months"]).all()
    assert (bare["gain_months"] == 0.0).all()


def test_the_ledger_counts_only_what_can_kill_in_an_arm(ran):
    deaths = pd.read_parquet(ran[0] / "deaths.parquet")
    assert set(deaths["arm"]) == {"isa-pd", "pd"}
    assert not set(deaths.loc[deaths["arm"] == "pd", "cause"]) & {"adcc", "adcp", "cdc", "direct"}
    assert deaths.groupby("arm")["share"].sum().to_numpy() == pytest.approx([1.0, 1.0])


def test_a_knock_out_has_none_of_the_deaths_that_it_takes_away(question, ran):
    rows = [json.loads(line) for line in (ran[0] / BOOK).read_text().splitlines()[1:]]
    without = [row for row in rows if "adcc" in row["without"]]
    assert without and all(row["deaths_adcc"] == 0 for row in without)
    assert sum(row["deaths_adcc"] for row in rows if row["arm"] == "isa-pd") > 0
    assert {row["arm"] for row in rows if row["without"] == ["t_cell_killing"]} == {"pd"}


def test_the_knock_out_matrix_is_that_of_the_runs(question, ran):
    table = pd.read_parquet(ran[0] / "knockout.parquet")
    rows = pd.DataFrame([json.loads(line) for line in (ran[0] / BOOK).read_text().splitlines()[1:]])
    rows["key"] = ["+".join(sorted(names)) or "nothing" for names in rows["without"]]
    entries = table.to_dict("records")
    assert {(e["arm"], e["without"]) for e in entries} == {
        *(("isa-pd", name) for name in ("nothing", "adcc", "nk_activation", "t_cell_killing+adcc")),
        *(("pd", name) for name in ("nothing", "t_cell_killing")),
    }
    for entry in entries:
        key = "+".join(sorted(entry["without"].split("+")))
        mine = rows[(rows["arm"] == entry["arm"]) & (rows["key"] == key)]
        assert len(mine) == entry["n"] == 3
        assert entry["mean_pfs_months"] == pytest.approx(mine["pfs_days"].mean() / 30.4375)
        assert entry["orr"] == pytest.approx(mine["responder"].mean())
    assert table.loc[table["without"] == "nothing", "hr_full"].tolist() == [1.0, 1.0]


def test_the_same_call_goes_on_where_it_was_stopped(question, ran, tmp_path):
    """From half a book, the last line cut short: only what is missing is run, and the tables are the same."""
    shutil.copytree(ran[0] / WORK, tmp_path / WORK)
    (shard,) = (tmp_path / WORK / "journal").iterdir()
    lines = shard.read_bytes().splitlines(keepends=True)
    kept = lines[: len(lines) // 2]
    shard.write_bytes(b"".join(kept) + lines[len(kept)][:40])
    told = []
    desk = Desk(Threads(1), say=told.append)
    again = attribute(question, tmp_path, desk)
    assert told[0].startswith(f"{len(lines) - len(kept)} runs of ")
    assert again["comparisons"] == ran[1]["comparisons"]
    for name in ("attribution", "knockout", "deaths"):
        pd.testing.assert_frame_equal(
            pd.read_parquet(tmp_path / f"{name}.parquet"), pd.read_parquet(ran[0] / f"{name}.parquet"), check_exact=True
        )
    told.clear()
    attribute(question, tmp_path, desk)
    assert told == ["all runs stand on disk"]


def test_a_book_of_another_study_is_refused(question, ran):
    other = replace(question, study=replace(question.study, seed=6))
    with pytest.raises(InputError, match=r"holds an unfinished run with seed 5 instead of 6; begin anew with --force"):
        attribute(other, ran[0])


def test_a_patient_who_fails_is_left_out_and_tried_again(question, tmp_path, monkeypatch):
    honest = run_book.enrol

    def raising(population, settings, seed, index):
        if index == 1:
            raise ZeroDivisionError("no cells")
        return honest(population, settings, seed, index)

    monkeypatch.setattr(run_book, "enrol", raising)
    summary = attribute(question, tmp_path, Desk(Threads(2)))
    assert summary["completed"] == 2
    failed = [row for row in map(json.loads, (tmp_path / BOOK).read_text().splitlines()[1:]) if row["status"] == "failed"]
    assert failed and all((row["patient"], row["failure"]) == (1, "ZeroDivisionError: no cells") for row in failed)
    monkeypatch.setattr(run_book, "enrol", honest)
    assert attribute(question, tmp_path, Desk(Threads(2)))["completed"] == 3


def test_antigen_loss_acts_only_beside_an_antibody_on_its_antigen():
    icaria, elotuzumab = load_trial("icaria"), load_trial("elotuzumab")
    acting = {arm.key: acts_in(study, arm) for study in (icaria, elotuzumab) for arm in study.arms}
    assert {key for key, mechanisms in acting.items() if "antigen_loss" in mechanisms} == {"isa-pd"}
