"""S25, S26, S27: the immune system under half a year of an antibody and after it, in the patients of `immune_recovery`.

Every patient is compared with herself: with her marrow before the first dose, untreated at the same time, or without one mechanism.
"""

import numpy as np
import pytest

from tme_abm.laboratory.estimates import mean, ratio
from tme_abm.scenario.kinds import load_scenario
from tme_abm.trial.execution import Silence

DRUGS = ("isa", "dara")
NAMES = {"isa": "isatuximab", "dara": "daratumumab"}


class Patients:
    """The table of a time course, asked by course, quantity and day."""

    def __init__(self, table):
        self.table = table

    def at(self, course, name, day):
        """A quantity of each patient (n_patients,)."""
        rows = self.table[(self.table["course"] == course) & (self.table["day"] == day)]
        return rows.sort_values("patient")[name].to_numpy(float)

    def relative(self, course, name, day):
        """Its mean over that before the first dose, with an interval."""
        return ratio(self.at(course, name, day), self.at(course, name, 0.0))

    def against(self, course, other, name, day):
        """Its mean over that of the same patients in another course."""
        return ratio(self.at(course, name, day), self.at(other, name, day))


@pytest.fixture(scope="module")
def patients():
    """A dozen patients on smaller patches, with a course that spares the suppressors."""
    isa = '[{ drug = "isatuximab", dose = "10 mg/kg", days = [1, 8, 15, 22], cycles = "1" },'
    isa += ' { drug = "isatuximab", dose = "10 mg/kg", days = [1, 15], cycles = "2-" }]'
    changes = [
        "marrow.shape=[56, 56]",
        "sampling.hours=[6, 24]",
        "sampling.days=[7, 28, 84, 168, 364, 448]",
        f'courses.spared={{ label = "isatuximab, suppressors spared", stop = "24 week", without = ["depletion"], doses = {isa} }}',
    ]
    return Patients(load_scenario("immune_recovery", changes, patients=12).measure(2, Silence()))


def percent(estimate):
    return f"{100 * estimate.value:.0f} % ({100 * estimate.low:.0f} to {100 * estimate.high:.0f})"


@pytest.mark.parametrize("drug", DRUGS)
def test_s25_suppressors_fall(drug, patients, record_property):
    left = {name: patients.relative(drug, f"{name}_cells", 28.0) for name in ("treg", "breg", "mdsc")}
    shown = ", ".join(f"{name} {percent(e)}" for name, e in left.items())
    record_property("S25", f"left of the baseline after four weeks of {NAMES[drug]}: {shown}")
    assert all(e.high < 1.0 for e in left.values())
    untreated = [patients.against(drug, "untreated", f"{name}_cells", 28.0) for name in left]
    assert all(e.high < 1.0 for e in untreated)


def test_s25_the_fall_is_depletion(patients, record_property):
    left = {name: patients.against("isa", "spared", f"{name}_cells", 28.0) for name in ("treg", "breg", "mdsc")}
    shown = ", ".join(f"{name} {percent(e)}" for name, e in left.items())
    record_property("S25", f"isatuximab over isatuximab without depletion, after four weeks: {shown}")
    assert all(e.high < 1.0 for e in left.values())


@pytest.mark.parametrize("drug", DRUGS)
def test_s25_fewer_regulatory_cells_for_each_t_cell(drug, patients, record_property):
    """The ratio of CD8 to regulatory T cells rises; taken the other way round, for some patients have no regulatory T cell left."""
    fold = patients.against(drug, "untreated", "treg_per_100_t_cells", 28.0)
    record_property("S25", f"regulatory T cells for each T cell after four weeks of {NAMES[drug]}, of those untreated: {percent(fold)}")
    assert fold.high < 1.0


@pytest.mark.parametrize("drug", DRUGS)
def test_s26_t_cells_become_more(drug, patients, record_property):
    fold = {day: patients.relative(drug, "t_cells", day) for day in (84.0, 168.0)}
    untreated = patients.against(drug, "untreated", "t_cells", 84.0)
    record_property(
        "S26",
        f"T cells under {NAMES[drug]}, of the baseline: {percent(fold[84.0])} after 12 weeks, {percent(fold[168.0])} after 24; "
        f"of the untreated after 12 weeks: {percent(untreated)}",
    )
    assert fold[84.0].value > 1.0
    assert untreated.low > 1.0


@pytest.mark.parametrize("drug", DRUGS)
def test_s26_t_cells_fill_with_granzyme(drug, patients, record_property):
    fold = patients.relative(drug, "t_cell_granzyme", 28.0)
    spared = patients.against("isa", "spared", "t_cell_granzyme", 28.0)
    record_property(
        "S26",
        f"granzyme of T cells after four weeks of {NAMES[drug]}: {percent(fold)} of the baseline; "
        f"isatuximab over isatuximab that spares suppressors: {percent(spared)}",
    )
    assert fold.low > 1.0
    assert spared.low > 1.0  # the cause is depletion, and not the other way round (S26b)


def test_s26_reactive_clonotypes_expand(patients, record_property):
    """By the share of the clonotypes that see the tumour: an index of entropy would rise by the mere loss of T cells."""
    fold = {drug: patients.against(drug, "untreated", "reactive_share", 84.0) for drug in DRUGS}
    shown = ", ".join(f"{NAMES[drug]} {percent(e)}" for drug, e in fold.items())
    record_property("S26", f"tumour-reactive share of T cells after 12 weeks, of the untreated: {shown}")
    assert all(e.low > 1.0 for e in fold.values())


@pytest.mark.parametrize("drug", DRUGS)
def test_s27_nk_cells_are_armed_and_then_lost(drug, patients, record_property):
    armed = patients.relative(drug, "nk_potency", 0.25)
    left = {day: patients.relative(drug, "nk_cells", day) for day in (7.0, 28.0, 84.0, 168.0)}
    record_property(
        "S27",
        f"{NAMES[drug]}: killing power of an NK cell {percent(armed)} at hour 6; NK cells left {percent(left[7.0])} at the end of week 1, "
        f"{percent(left[28.0])} at week 4, {percent(left[168.0])} at week 24",
    )
    assert armed.low > 1.0
    assert 0.10 <= left[7.0].value <= 0.30
    assert max(left[day].value for day in (28.0, 84.0, 168.0)) <= 0.30


@pytest.mark.parametrize("drug", DRUGS)
def test_s27_nk_cells_recover_after_the_drug(drug, patients, record_property):
    """Forty weeks after the last dose: where little tumour is left to take it up, daratumumab stays on for half a year."""
    gain = patients.at(drug, "nk_cells", 448.0) - patients.at(drug, "nk_cells", 168.0)
    grown = mean(gain)
    after, end = (patients.relative(drug, "nk_cells", day) for day in (448.0, 168.0))
    record_property("S27", f"{NAMES[drug]}: NK cells {percent(end)} at the last dose and {percent(after)} 40 weeks later")
    assert grown.low > 0.0


@pytest.mark.parametrize("drug", DRUGS)
def test_s27_the_nk_cells_that_are_left_go_on_killing(drug, patients, record_property):
    kills = mean(patients.at(drug, "deaths_adcc", 168.0) - patients.at(drug, "deaths_adcc", 28.0))
    each = np.nanmean(patients.at(drug, "adcc_per_nk_cell_and_day", 84.0))
    record_property("S27", f"{NAMES[drug]}: an NK cell that is left kills {each:.2f} plasma cells a day between weeks 4 and 12")
    assert kills.low > 0.0
    assert each > 0.05
