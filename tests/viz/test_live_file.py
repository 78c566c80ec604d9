"""What was done live is a file that runs again, on the page and from the command line, to the same numbers."""

import json
import tomllib
from dataclasses import replace

import pandas as pd
import pytest
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice, Event
from tme_viz.live_file import choice_of
from tme_viz.pair import Pair
from tme_viz.saved_scenario import live_toml

from tme_abm import run
from tme_abm.foundation.errors import InputError
from tme_abm.scenario.kinds import load_scenario

SMALL = Choice(scenario="combinations", arms=("isa-pd", "pd"), size=32, without=(frozenset({"cdc"}), frozenset()))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A pair with a dose changed, a switch on one side in mid-run, and an end between two days."""
    pair = Pair(SMALL, Places())
    events = (Event(2.25, 0, "switch", "adcp", 0.0), Event(3.0, 1, "dose", "pomalidomide", 0.5), Event(5.0, 0, "switch", "adcp", 1.0))
    pair.go_to(8.75, events)
    path = tmp_path_factory.mktemp("live") / "mine.toml"
    path.write_text(live_toml(pair, "it"), encoding="utf-8")
    return path, pair, [side.simulation.state_hash() for side in pair.sides]


def test_the_page_opens_it_on_the_same_day(done):
    path, pair, hashes = done
    choice, catalogue = choice_of(path)
    assert choice == replace(pair.choice, scenario="mine", events=tuple(pair.events), day=8.75)
    again = Pair(choice, Places(given=path, catalogue=catalogue))
    again.go_to(choice.day, choice.events)
    assert [side.simulation.state_hash() for side in again.sides] == hashes
    assert again.sides[0].rows[-1][1:3] == pair.sides[0].rows[-1][1:3]
    saved = tomllib.loads(live_toml(again, "it"))
    first = tomllib.loads(path.read_text(encoding="utf-8"))
    assert saved == first


def test_the_command_line_runs_it_to_the_same_numbers(done, tmp_path):
    path, pair, hashes = done
    run(path, tmp_path / "out", workers=1)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert [summary[side]["state_hash"] for side in "ab"] == hashes
    table = pd.read_parquet(tmp_path / "out" / "table.parquet")
    at = pair.columns.index("m_protein_g_per_l")
    for side, name in zip(pair.sides, "ab", strict=True):
        own = table[table["side"] == name]
        assert own["day"].tolist() == [float(day) for day in range(9)]
        assert own["m_protein_g_per_l"].tolist() == [row[at] for row in side.rows]
    assert "A, Isa-Pd: on day 8" in summary["findings"][0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('patient = "typical"', 'patient = "typcal"', "did you mean 'typical'"),
        ("patch = 32", "patch = 33", "choose one of 32, 64"),
        ('"isa-pd", "pd"]\npatch', '"isa-pd", "pq"]\npatch', "there is no arm 'pq'"),
        ('mechanism = "adcp"', 'mechanism = "adcq"', "did you mean 'adcp'"),
        ('drug = "pomalidomide"', 'drug = "pomalidomid"', "did you mean 'pomalidomide'"),
        ("factor = 0.5", "on = true", "drug and factor, or mechanism and on"),
        ("factor = 0.5", "factor = 50.0", "factor"),
        ("until = 8.75", "untill = 8.75", "until"),
    ],
)
def test_what_cannot_be_is_told_with_its_line(done, tmp_path, old, new, words):
    text = done[0].read_text(encoding="utf-8")
    assert old in text, text[:900]
    path = tmp_path / "broken.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=words) as told:
        load_scenario(path)
    assert f"{path}, line " in str(told.value)


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ('drug = "dexamethasone"', 'drug = "dexametasone"', "unknown drug 'dexametasone'; did you mean 'dexamethasone'"),
        ("[study.trial]", "[study.trail]", "unknown key 'trail'; did you mean 'trial'"),
        ("patients = ", 'patients = "x" #', "patients: expected a whole number"),
    ],
)
def test_what_is_wrong_with_the_trial_inside_is_told_with_the_line_of_the_file(done, tmp_path, line, instead, words):
    """Also where the key stands in the whole file's tables only, below [study]."""
    text = done[0].read_text(encoding="utf-8")
    at = text.index(line, text.index("[study]"))
    path = tmp_path / "broken.toml"
    path.write_text(text[:at] + instead + text[at + len(line) :], encoding="utf-8")
    with pytest.raises(InputError) as told:
        load_scenario(path)
    number = text.count("\n", 0, at) + 1
    assert f"{path}, line {number}: " in str(told.value) and words in str(told.value)


def test_changes_out_of_order_are_told(done, tmp_path):
    path = tmp_path / "broken.toml"
    path.write_text(done[0].read_text(encoding="utf-8").replace("day = 2.25", "day = 7.25", 1), encoding="utf-8")
    with pytest.raises(InputError, match="in order of their days"):
        load_scenario(path)
