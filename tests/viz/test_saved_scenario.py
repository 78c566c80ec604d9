"""The scenario that is taken home gives the very doses of the page, and says what it cannot hold."""

import tomllib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice, Event
from tme_viz.pair import Pair
from tme_viz.saved_scenario import changed_line, scenario_toml

from tme_abm.forms import parse_cycles
from tme_abm.foundation.clock import Rhythm
from tme_abm.pharmacology.regimen import Dose, parse_days, parse_dose
from tme_abm.scenario.kinds import load_scenario

SMALL = Choice(scenario="combinations", arms=("isa-pd", "pd"), size=32)
CYCLES = 8


def calendar(lines, cycle_days):
    """Day of treatment -> milligrams."""
    found = {}
    for line in lines:
        amount, unit = parse_dose(line["dose"])
        dose = Dose(line["drug"], amount, unit, parse_days(line["days"]), *parse_cycles(line["cycles"]))
        for cycle in range(1, CYCLES + 1):
            if dose.holds_in(cycle):
                for day in dose.days:
                    at = (cycle - 1) * cycle_days + day - 1
                    assert at not in found
                    found[at] = dose.amount
    return found


def test_a_change_in_the_middle_of_a_cycle_by_hand():
    line = {"drug": "x", "dose": "10 mg/kg", "days": [1, 15], "cycles": "1-"}
    found = changed_line(line, Rhythm(28.0), [(60.0, 0.5), (112.0, 0.0)])
    assert [(one["dose"], one["days"], one["cycles"]) for one in found] == [
        ("10 mg/kg", [1, 15], "1-2"),
        ("10 mg/kg", [1], "3"),  # day 56 is given in full
        ("5 mg/kg", [15], "3"),  # day 70 is not
        ("5 mg/kg", [1, 15], "4"),
    ]
    whole = changed_line(line, Rhythm(28.0), [(0.0, 2.0)])
    assert [(one["dose"], one["days"], one["cycles"]) for one in whole] == [("20 mg/kg", [1, 15], "1-")]


@given(
    days=st.sets(st.integers(1, 21), min_size=1, max_size=6),
    first=st.integers(1, 4),
    length=st.none() | st.integers(0, 3),
    changes=st.lists(st.tuples(st.integers(0, 4 * 21 * CYCLES).map(lambda n: n / 4), st.sampled_from([0.0, 0.5, 1.0, 2.0])), max_size=4),
)
def test_the_lines_give_what_the_changes_give(days, first, length, changes):
    changes.sort(key=lambda change: change[0])
    cycles = f"{first}-" if length is None else f"{first}-{first + length}"
    line = {"drug": "x", "dose": "8 mg", "days": sorted(days), "cycles": cycles}
    wanted = {}
    for day, amount in calendar([line], 21).items():
        factor = next((f for start, f in reversed(changes) if start <= day), 1.0)
        if factor:
            wanted[day] = amount * factor
    assert calendar(changed_line(line, Rhythm(21.0), changes), 21) == pytest.approx(wanted)


def test_the_file_reads_back_and_treats_as_the_page_did(tmp_path):
    two = Pair(replace(SMALL, arms=("isa-pd", "isa-pd")), Places())
    two.advance(4 * 10)
    two.act(Event(10.0, 0, "dose", "isatuximab", 0.0))
    two.act(Event(10.0, 1, "dose", "pomalidomide", 0.5))
    two.advance(4 * 25)
    two.act(Event(35.0, 0, "dose", "isatuximab", 2.0))
    two.advance(4 * 10)
    file = tmp_path / "saved.toml"
    file.write_text(scenario_toml(two), encoding="utf-8")
    study = load_scenario(file)
    assert study.comparisons[-1] == ("isa-pd-a", "isa-pd-b") and (study.settings.height, study.settings.width) == (32, 32)
    arms = {arm.key: arm for arm in study.arms}
    for key, side in zip(study.comparisons[-1], two.sides, strict=True):
        alone = two.grown.fork(arms[key], study.drugs, study.settings.without)
        alone.advance(4 * 45)
        assert alone.state_hash() == side.simulation.state_hash()


@pytest.mark.parametrize(("language", "off"), [("en", "off"), ("it", "spento")])
def test_what_the_file_cannot_hold_is_said(language, off):
    two = Pair(replace(SMALL, without=(frozenset({"cdc", "adcc"}), frozenset({"cdc"}))), Places())
    two.act(Event(0.0, 0, "switch", "growth", 0.0))
    two.act(Event(0.0, 1, "switch", "growth", 0.0))
    two.advance(8)
    two.act(Event(2.0, 1, "switch", "adcp", 0.0))
    text = scenario_toml(two, language)
    head = [line for line in text.splitlines() if line.startswith("#")]
    table = tomllib.loads(text)
    assert table["without"] == ["cdc", "growth"] and set(table["arms"]) == set(two.study.resolved["arms"])
    assert f"0, A: adcc {off}" in head[-2] and f"2, B: adcp {off}" in head[-1]
    link = head[1].partition("?")[2]
    assert Choice.read(link) == replace(two.choice, events=tuple(two.events), day=2.0)
    assert load_scenario(table).settings.without == {"cdc", "growth"}


def test_a_change_among_cycles_of_changing_length():
    """Two cycles of 21 days, then 28: half from day 42 on is from cycle 3 on; from day 30 on, it is day 15 of cycle 2 and what follows."""
    line = {"drug": "x", "dose": "10 mg", "days": [1, 15], "cycles": "1-", "adjust": [{"when": "age >= 80", "dose": "4 mg"}]}
    cycles = Rhythm(28.0, ((2, 21.0),))
    later = changed_line(line, cycles, [(42.0, 0.5)])
    assert [(one["dose"], one["days"], one["cycles"], one["adjust"][0]["dose"]) for one in later] == [
        ("10 mg", [1, 15], "1-2", "4 mg"),
        ("5 mg", [1, 15], "3-", "2 mg"),
    ]
    middle = changed_line(line, cycles, [(30.0, 0.5)])
    assert [(one["dose"], one["days"], one["cycles"]) for one in middle] == [
        ("10 mg", [1, 15], "1"),
        ("10 mg", [1], "2"),
        ("5 mg", [15], "2"),
        ("5 mg", [1, 15], "3-"),
    ]
