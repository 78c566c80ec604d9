"""Time courses: what a scenario becomes, what is said where it is wrong, and that they are the model and nothing else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import to_toml
from tme_abm.laboratory.course import Line, Point, percent, when
from tme_abm.laboratory.estimates import Estimate
from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.running import run
from tme_abm.simulation.simulation import enrol


def line(*shares, name="nk_cells", stop_day=None, hours=(0.0, 168.0, 336.0, 672.0)):
    points = [Point(h, Estimate(s, s, s), Estimate(s, s - 0.1, s + 0.1)) for h, s in zip(hours, shares, strict=True)]
    return Line("isa", "isatuximab", name, stop_day, tuple(points))


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The small time course, measured once."""
    from importlib.util import module_from_spec, spec_from_file_location
    from pathlib import Path

    spec = spec_from_file_location("laboratory_scenarios", Path(__file__).with_name("conftest.py"))
    scenarios = module_from_spec(spec)
    spec.loader.exec_module(scenarios)
    path = tmp_path_factory.mktemp("course") / "time_course.toml"
    path.write_text(scenarios.COURSE, encoding="utf-8")
    found = load_scenario(path)
    return found, found.measure(1, scenarios.Quiet())


def test_a_table_has_a_row_for_each_patient_course_and_time(course):
    found, table = course
    assert found.sampled == (0.0, 6.0, 24.0, 168.0, 672.0)
    assert len(table) == 3 * 3 * 5
    first = table[table["hour"] == 0.0].groupby("patient")
    for name in ("nk_cells", "adenosine", "plasma_cells", "cd38_sites_per_cell"):
        assert (first[name].nunique() == 1).all()  # every course starts from the same marrow


def test_a_course_is_the_simulation_of_the_trials(course):
    found, table = course
    grown, _ = enrol(found.population, found.settings, found.seed, 1)
    treated = grown.fork(found.regimens["isa"], found.drugs, frozenset())
    treated.advance(28 * 4)
    row = table[(table["patient"] == 1) & (table["course"] == "isa") & (table["day"] == 28.0)].iloc[0]
    for name, value in treated.observe().items():
        if name in row.index:
            assert row[name] == value, name
    assert treated.m_protein == row["m_protein_g_per_l"]


def test_a_mechanism_that_is_off_in_a_course_is_off(course):
    _, table = course
    hours = table[table["hour"] == 6.0].groupby("course")["adenosine"].mean()
    assert hours["isa"] < hours["no-block"]
    assert hours["no-block"] == pytest.approx(hours["untreated"], rel=0.15)


def test_treatment_stops_where_the_course_says(course):
    found, _ = course
    assert found.regimens["isa"].stop_day == 7.0
    kept = found.line(course[1], "isa", "nk_cells")
    assert [p.hour for p in kept.treated] == [6.0, 24.0, 168.0]


def test_kills_by_an_nk_cell_are_counted_between_two_looks(course):
    _, table = course
    own = table[(table["patient"] == 0) & (table["course"] == "isa")].set_index("hour")
    cells = (own.loc[24.0, "nk_cells"] + own.loc[6.0, "nk_cells"]) / 2.0
    kills = own.loc[24.0, "deaths_adcc"] - own.loc[6.0, "deaths_adcc"]
    assert own.loc[24.0, "adcc_per_nk_cell_and_day"] == pytest.approx(kills / cells / 0.75)
    assert np.isnan(own.loc[0.0, "adcc_per_nk_cell_and_day"])


def test_results_do_not_depend_on_the_number_of_workers(course, quiet):
    found, table = course
    pd.testing.assert_frame_equal(found.measure(3, quiet), table)


def test_a_split_by_hand(course):
    found, _ = course
    rows = []
    for patient, base in enumerate((1.0, 2.0, 3.0)):
        for key, share in (("untreated", 1.2), ("isa", 0.6), ("no-block", 0.9)):
            rows += [{"patient": patient, "course": key, "hour": h, "adenosine": base * s} for h, s in ((0.0, 1.0), (672.0, share))]
    parts = found.parts(pd.DataFrame(rows))
    assert parts["all"].value == pytest.approx(-0.6)
    assert parts["block"] == pytest.approx((-0.3, -0.3, -0.3))


def test_a_line_in_words():
    assert line(1.0, 0.4, 0.2, 0.3).sentence() == "isatuximab: NK cells fall to 20 % of the baseline by day 14; 30 % at week 4."
    stopped = line(1.0, 0.4, 0.2, 0.9, stop_day=14.0).sentence()
    assert stopped == "isatuximab: NK cells fall to 20 % of the baseline by day 14; 90 % at week 4, after it."
    assert line(1.0, 0.4, 0.2, 0.3).cell() == "20 % (day 14); 30 % (week 4)"
    assert line(1.0, 0.4, 0.2, 0.9, stop_day=14.0).cell() == "20 % (day 14); 90 % (week 4)"
    assert line(1.0, 1.01, 0.99, 1.02).sentence() == "isatuximab: NK cells stay within 5 % of the baseline."
    assert "adenosine rises to 150 %" in line(1.0, 1.2, 1.5, 1.1, name="adenosine").sentence()
    assert (when(6.0), when(240.0), when(672.0), when(696.0)) == ("hour 6", "day 10", "week 4", "day 29")
    assert percent(Estimate(-0.25, -0.31, -0.2)) == "-25 % (-31 to -20)"


def test_a_run_draws_its_figures_and_says_what_is_seen(write, tmp_path):
    summary = run(write("time_course"), tmp_path / "out", workers=2)
    assert {p.stem for p in (tmp_path / "out" / "figures").iterdir()} == {"time_course", "time_course_split"}
    assert set(summary["split"]) == {"all", "block"}
    assert any(text.startswith("isatuximab: NK cells fall to") for text in summary["findings"])
    assert any(text.startswith("At week 4, isatuximab against untreated changes adenosine by -") for text in summary["findings"])
    assert any("killing by ADCC is" in text for text in summary["findings"])


def test_questions_are_answered_in_small_tables_instead_of_a_sentence_a_line(write, tmp_path):
    """The cell says where the quantity was farthest, and how it ended; what nobody asked for stays a sentence."""
    asked = "\n[[questions]]\ntext = 'Are NK cells lost?'\nquantities = ['nk_cells']\n"
    path = Path(write("time_course"))
    path.write_text(path.read_text(encoding="utf-8") + asked, encoding="utf-8")
    summary = run(path, tmp_path / "out", workers=2)
    (answer,) = summary["answers"]
    assert answer["question"] == "Are NK cells lost?" and answer["rows"][0][0] == "NK cells"
    assert len(answer["columns"]) == len(answer["rows"][0]) and "% (" in answer["rows"][0][1]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<h3>Are NK cells lost?</h3>" in page and "isatuximab: NK cells" not in page
    assert any(text.startswith("isatuximab: NK cells") for text in summary["findings"])  # the sentences stand in summary.json as before
    path.write_text(path.read_text(encoding="utf-8").replace("['nk_cells']", "['nk_cell']"), encoding="utf-8")
    with pytest.raises(InputError, match="does not follow 'nk_cell'; did you mean 'nk_cells'"):
        load_scenario(path)


def test_a_resolved_time_course_reads_back_the_same(write, tmp_path):
    found = load_scenario(write("time_course"))
    path = tmp_path / "again.toml"
    path.write_text(to_toml(found.resolved), encoding="utf-8")
    assert load_scenario(path).resolved == found.resolved


WRONG = {
    "quantity": ('"nk_cells", "adcc', '"nk_cell", "adcc', "line 7: unknown quantity 'nk_cell'; did you mean 'nk_cells'"),
    "hour": ("hours = [6, 24]", "hours = [6, 20]", "line 14: sampling.hours: 20 falls between two steps of 6 h"),
    "before": ("days = [7, 28]", "days = [-7, 28]", "line 15: sampling.days: no look before the first dose but the baseline, got -7"),
    "never": ("hours = [6, 24]\ndays = [7, 28]\n", "", "line 13: sampling: give hours or days after the first dose"),
    "split": ('whole = "isa"', 'whole = "iso"', "line 19: there is no course 'iso'; did you mean 'isa'?"),
    "part": ('"block" = "no-block"', '"block" = "no-blok"', "line 24: there is no course 'no-blok'; did you mean 'no-block'?"),
    "at": ('at = "4 week"', 'at = "3 week"', 'line 21: split.at: the marrow is not looked at "3 week" after the first dose'),
    "mechanism": ('["ectoenzyme"]', '["ectoenzim"]', "line 36: unknown mechanism 'ectoenzim'; did you mean 'ectoenzyme'?"),
    "key": ('stop = "1 week"', 'stops = "1 week"', "line 31: unknown key 'stops' in courses.isa; did you mean 'stop'?"),
    "drug": ('drug = "isatuximab", dose = "10 mg/kg"', 'drug = "isatuximad", dose = "10 mg/kg"', "line 32: unknown drug 'isatuximad'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_error_names_file_line_and_the_right_word(case, write):
    old, new, message = WRONG[case]
    name = write("time_course", (old, new))
    with pytest.raises(InputError) as error:
        load_scenario(name)
    assert str(error.value).startswith("time_course.toml, ")
    assert message in str(error.value)
