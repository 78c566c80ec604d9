"""S28: adenosine in the marrow towards normal, split into the block of the enzyme and the death of plasma cells."""

import pytest

from tme_abm.laboratory.course import percent
from tme_abm.scenario.kinds import load_scenario
from tme_abm.trial.execution import Silence


@pytest.fixture(scope="module")
def course():
    """A dozen patients on smaller patches, and their table."""
    changes = ["marrow.shape=[56, 56]", "sampling.hours=[6]", "sampling.days=[28, 84]"]
    found = load_scenario("adenosine_restored", changes, patients=12)
    return found, found.measure(2, Silence())


def test_s28_adenosine_falls_towards_normal(course, record_property):
    found, table = course
    line = found.line(table, "isa", "adenosine")
    early, late = line.at(28.0).relative, line.at(84.0).relative
    record_property(
        "S28",
        f"adenosine under isatuximab, of the baseline: {100 * early.value:.0f} % ({100 * early.low:.0f} to {100 * early.high:.0f}) "
        f"at week 4, {100 * late.value:.0f} % at week 12",
    )
    assert early.high < 1.0


def test_s28_block_and_debulking_both_lower_it(course, record_property):
    found, table = course
    parts = found.parts(table)
    shown = ", ".join(f"{name} {percent(part)}" for name, part in parts.items() if name != "all")
    record_property("S28", f"isatuximab against untreated at week 12: {percent(parts['all'])} of the baseline; lost without {shown}")
    assert parts["all"].high < 0.0
    assert parts["block of the ectoenzyme"].high < 0.0
    assert parts["death of plasma cells"].high < 0.0


def test_s28_the_block_works_within_hours(course, record_property):
    """Before anything has died for it: at hour 6 the marrow that lacks the block has more adenosine in every patient."""
    _, table = course
    now = table[table["hour"] == 6.0].set_index(["patient", "course"])["adenosine"].unstack()
    share = now["isa"] / now["isa-no-block"]
    record_property("S28", f"adenosine at hour 6, isatuximab over isatuximab without the block: mean {100 * share.mean():.0f} %")
    assert (share < 1.0).all()
