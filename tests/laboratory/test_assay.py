"""Assays: what a scenario becomes, what is said where it is wrong, and what is read off the wells."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tme_abm.cli.app import app
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import to_toml
from tme_abm.laboratory.assay import readouts
from tme_abm.laboratory.curve import Curve, Sweep
from tme_abm.laboratory.estimates import Estimate
from tme_abm.laboratory.well import Outcome, Well
from tme_abm.marrow.cells import N_CAUSES, Cause
from tme_abm.scenario.kinds import load_scenario, schema
from tme_abm.scenario.running import run

DONORS = (  # NK cells of healthy donors, as in scenarios/cd38_density.toml; those of a patient's marrow lyse too few to be told from none
    "[line]\n",
    '[line]\neffector_fitness = { value = 7.0, unit = "1", source = "tme_abm", grade = "A" }\n',
)


def outcome(dead=0, start=100, made=8.0, **causes):
    deaths = np.zeros(N_CAUSES, np.int64)
    deaths[Cause.ADCC] = dead
    for cause, n in causes.items():
        deaths[Cause[cause.upper()]] = n
    return Outcome(start, start - int(deaths.sum()), deaths, made, 0.5, 1e5, 20)


def curve(*means, readout="specific_lysis", x=(1e4, 1e5, 1e6), mark=None):
    sweep = Sweep(over="cd38_sites", values=list(x), unit="sites/cell", mark=mark)
    return Curve("isa", "", "isatuximab", readout, sweep, tuple((a, Estimate(m, m - 1.0, m + 1.0)) for a, m in zip(x, means, strict=True)))


def test_readouts_by_hand():
    well = Well({"plasma": 100, "nk": 40}, 24.0)
    row = readouts(well, outcome(30, direct=10, made=6.0), outcome(20))
    assert row["specific_lysis_percent"] == pytest.approx(100.0 * (0.4 - 0.2) / 0.8)
    assert row["dead_percent"] == pytest.approx(40.0)
    assert row["dead_by_direct_percent"] == pytest.approx(10.0)
    assert row["adenosine_made_percent"] == pytest.approx(75.0)
    assert row["nk_left_percent"] == pytest.approx(50.0)


def test_a_curve_in_words():
    assert curve(0.0, 20.0, 40.0, mark=1e5).sentence() == (
        "isatuximab: specific lysis rises from 0 to 40 % as CD38 goes from 10,000 sites/cell to 1,000,000 sites/cell, "
        "half of it by 100,000 sites/cell; it is 20.0 % at 100,000 sites/cell."
    )
    assert "does not change with CD38 (3.0 to 4.5 %" in curve(3.0, 4.5, 4.0).sentence()
    assert "falls from 100 to 50 %" in curve(100.0, 60.0, 50.0, readout="adenosine_made").sentence()


def test_a_curve_is_read_between_its_points():
    assert curve(0.0, 20.0, 40.0).at(10.0**4.5) == pytest.approx(10.0)
    assert curve(0.0, 20.0, 40.0).half == pytest.approx(1e5)
    assert np.isnan(curve(0.0, 1.0, 0.5).half)


def test_a_table_has_a_row_for_each_well(write, quiet):
    assay = load_scenario(write("assay"))
    table = assay.measure(1, quiet)
    assert len(table) == 2 * 3 * 2 + 2 * 3
    assert set(table.loc[~table["is_sample"], "cd38_sites_per_cell"]) == {20e3, 100e3, 500e3}
    isa, nothing = (table[table["condition"] == key] for key in ("isa", "nothing"))
    assert (nothing[["specific_lysis_percent", "dead_percent"]] == 0.0).all(axis=None)
    assert (nothing["adenosine_made_percent"] == 100.0).all()
    assert isa["specific_lysis_percent"].max() > 10.0
    swept = isa[~isa["is_sample"]]
    assert swept.groupby("cd38_sites_per_cell")["dead_percent"].nunique().max() == 2  # replicates have dice of their own
    pd.testing.assert_frame_equal(table, assay.measure(2, quiet))  # whatever the number of workers


def test_samples_are_patients_of_their_population(write, quiet):
    from tme_abm.patients.population import draw_patient
    from tme_abm.patients.reading import load_population

    table = load_scenario(write("assay")).measure(1, quiet)
    samples = table[table["is_sample"] & (table["condition"] == "isa")]
    patients = [draw_patient(load_population("icaria"), 3, i) for i in range(3)]
    assert samples["cd38_sites_per_cell"].tolist() == [p.cd38_sites for p in patients]


def test_samples_count_against_the_greatest_of_the_sweep(write):
    assay = load_scenario(write("assay"))
    swept = {"condition": "isa", "is_sample": False, "sample": -1, "adenosine_made_percent": 100.0}
    rows = [{**swept, "cd38_sites_per_cell": x, "specific_lysis_percent": y} for x, y in ((20e3, 0.0), (100e3, 20.0), (500e3, 60.0))]
    rows += [
        {**swept, "is_sample": True, "sample": i, "cd38_sites_per_cell": 1e5, "specific_lysis_percent": y}
        for i, y in enumerate((11.9, 12.0, 50.0))
    ]
    rows += [{**row, "condition": "nothing", "specific_lysis_percent": 0.0} for row in rows]
    isa, nothing = (count for count in assay.positives(pd.DataFrame(rows)) if count.readout == "specific_lysis")
    assert (isa.positive, isa.n, isa.threshold) == (2, 3, pytest.approx(12.0))
    assert nothing.positive == 0


def test_a_sweep_of_concentration_moves_the_antibodies(write, quiet):
    swept = 'over = "cd38_sites"\nvalues = [20e3, 100e3, 500e3]\nunit = "sites/cell"\nmark = 130e3'
    changes = (swept, 'over = "concentration"\nvalues = [0.0, 1.0]\nunit = "ug/mL"'), ('mark_label = "median"\n', ""), DONORS
    table = load_scenario(write("assay", *changes), ["samples.patients=1"]).measure(1, quiet)
    lysis = table[table["condition"] == "isa"].groupby("concentration_ug_per_ml")["specific_lysis_percent"].mean()
    assert lysis[0.0] == 0.0
    assert lysis[1.0] > 15.0


def test_a_sweep_of_effectors_moves_their_number(write, quiet):
    swept = 'over = "cd38_sites"\nvalues = [20e3, 100e3, 500e3]\nunit = "sites/cell"\nmark = 130e3'
    name = write("assay", (swept, 'over = "nk"\nvalues = [0, 20, 80]\nunit = "cells"'), ('mark_label = "median"\n', ""))
    table = load_scenario(name, ["samples.patients=1"]).measure(1, quiet)
    lysis = table[(table["condition"] == "isa") & ~table["is_sample"]].groupby("nk_cells")["specific_lysis_percent"].mean()
    assert lysis.is_monotonic_increasing
    assert lysis[80.0] > lysis[20.0] > lysis[0.0]


def test_a_run_leaves_all_that_a_reader_needs(write, tmp_path):
    summary = run(write("assay"), tmp_path / "out")
    folder = tmp_path / "out"
    assert {p.name for p in folder.iterdir()} >= {"table.parquet", "table.csv", "report.html", "run.json", "scenario.toml", "summary.json"}
    assert {p.name for p in (folder / "figures").iterdir()} == {"assay.png", "assay.svg"}
    written = (folder / "summary.json").read_text(encoding="utf-8")
    assert summary["findings"] == json.loads(written)["findings"]
    assert "NaN" not in written
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert summary["findings"][0] in page
    described = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    names = {row["name"] for row in described["parameters"]}
    assert {"line.cd38_spread", "adenosine.diffusivity", "population.cd38_sites.lognormal.median"} <= names
    assert "drugs.isatuximab.mechanisms.binding.accessible" in names
    again = run(folder / "scenario.toml", tmp_path / "again")
    assert again["curves"] == summary["curves"]
    before = page
    (folder / "report.html").unlink()
    result = CliRunner().invoke(app, ["report", str(folder)])
    assert result.exit_code == 0
    assert (folder / "report.html").read_text(encoding="utf-8") == before


def test_a_resolved_assay_reads_back_the_same(write, tmp_path):
    assay = load_scenario(write("assay"))
    path = tmp_path / "again.toml"
    path.write_text(to_toml(assay.resolved), encoding="utf-8")
    assert load_scenario(path).resolved == load_scenario(assay.resolved).resolved == assay.resolved


WRONG = {
    "kind": ('kind = "assay"', 'kind = "asay"', "line 1: unknown kind 'asay'; did you mean 'assay'?"),
    "key": ("replicates = 2", "replicate = 2", "line 5: unknown key 'replicate'; did you mean 'replicates'?"),
    "cell": ("nk = 30", "nkc = 30", "line 16: unknown type of cell 'nkc' in cells; did you mean 'nk'?"),
    "cells below": ("nk = 30", "nk = -3", "line 16: cells.nk must be at least 0, got -3"),
    "no plasma": ("plasma = 120", "plasma = 0", "line 32: the wells of conditions.isa hold no plasma cells; write plasma = 400"),
    "line": ("cd38_spread = {", "cd38_spred = {", "line 19: unknown quantity 'cd38_spred' in line; did you mean 'cd38_spread'?"),
    "line unit": ('unit = "1", source', 'unit = "%", source', "line 19: the unit of cd38_spread must be '1', not '%'"),
    "line value": ("value = 0.3", "value = 30.0", "line 19: line: cd38_spread = 30 [1] is outside of 0 to 2"),
    "over": ('over = "cd38_sites"', 'over = "cd38_site"', "line 22: unknown quantity 'cd38_site' to sweep over; did you mean 'cd38_sites'"),
    "unit": ('unit = "sites/cell"\nmark', 'unit = "ug/mL"\nmark', "line 24: the unit of cd38_sites must be 'sites/cell', not 'ug/mL'"),
    "values": ("[20e3, 100e3, 500e3]", "[20e3, 20e3]", "line 23: sweep.values must rise"),
    "range": ("[20e3, 100e3, 500e3]", "[20.0, 20e3]", "line 23: sweep.values: cd38_sites = 20 [sites/cell] is outside of"),
    "drug": ("isatuximab = 10.0", "isatuximb = 10.0", "line 34: unknown drug 'isatuximb'; did you mean 'isatuximab'"),
    "level": ("isatuximab = 10.0", "isatuximab = -1.0", "line 34: conditions.isa.drugs.isatuximab must not be negative, got -1"),
    "fraction": (
        "isatuximab = 10.0",
        "pomalidomide = 4.0",
        "line 34: the level of pomalidomide, a small molecule, is the engaged fraction of its target, at most 1, not 4",
    ),
    "readout": ('"adenosine_made"]', '"adenosin"]', "line 8: unknown readout 'adenosin'; did you mean 'adenosine'"),
    "mechanism": ('without = ["trogocytosis"]', 'without = ["trogo"]', "line 7: unknown mechanism 'trogo'"),
    "duration": ('duration = "24 h"', 'duration = "25 h"', 'line 6: duration "25 h" is no whole number of steps of "2 h"'),
    "population": ('population = "icaria"', 'population = "ikaria"', "line 29: population: unknown population 'ikaria'; did you"),
    "nested": ('label = "no drug"', 'lable = "no drug"', "line 37: unknown key 'lable' in conditions.nothing; did you mean 'label'?"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_error_names_file_line_and_the_right_word(case, write):
    old, new, message = WRONG[case]
    name = write("assay", (old, new))
    with pytest.raises(InputError) as error:
        load_scenario(name)
    assert str(error.value).startswith("assay.toml, ")
    assert message in str(error.value)


def test_the_command_line_knows_the_kind(write):
    name = write("assay")
    runner = CliRunner()
    assert runner.invoke(app, ["validate", name]).output == "assay.toml is a valid scenario: assay of 18 wells, isatuximab, no drug\n"
    shown = " ".join(runner.invoke(app, ["show", name, "--no-parameters"]).output.split())  # lines are wrapped
    assert "120 plasma and 30 nk, of the median patient of Typical patient, for 24 h" in shown
    assert "isatuximab: isatuximab 10" in shown
    assert "conditions.isa" not in shown
    listed = runner.invoke(app, ["list"]).output
    assert "figure1_adenosine" in listed
    assert "time course" in listed


def test_the_schema_knows_every_kind():
    written = schema()
    assert {"Scenario", "tme_abm__laboratory__assay__Form", "tme_abm__laboratory__time_course__Form"} <= set(written["$defs"])
