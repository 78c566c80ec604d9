"""Sweeps: which points, common dice, each condition run once, the tables, the figures, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from tme_abm.analysis import headings
from tme_abm.analysis.sweep import figures, tables
from tme_abm.analysis.sweep import form as forms
from tme_abm.analysis.sweep import points as places
from tme_abm.cli.app import app
from tme_abm.cli.variation import loader
from tme_abm.foundation.errors import InputError
from tme_abm.scenario import kinds
from tme_abm.scenario.reading import questions

SWEEP = """kind = "sweep"
title = "Dose and ADCC"
summary = "A test."
scenario = "icaria"
patients = 2
horizon = "84 d"

[set]
"marrow.shape" = [32, 32]

[axes.dose]
label = "isatuximab [mg/kg]"
path = ["arms.isa-pd.doses[0].dose", "arms.isa-pd.doses[1].dose"]
write = "{} mg/kg"
values = [1, 10]

[axes.adcc]
label = "ADCC"
choices = [{ label = "on" }, { label = "off", without = ["adcc"] }]
"""


@pytest.fixture
def tme(tmp_path, monkeypatch):
    """Call `tme` in a folder that holds `sweep.toml`, with some texts replaced."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, changes=()):
        text = SWEEP
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "sweep.toml").write_text(text, encoding="utf-8")
        return CliRunner().invoke(app, list(arguments))

    return call


def lay_out(tmp_path, text):
    path = tmp_path / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    given = kinds.load_question("sweep", path)
    return places.lay_out(given, loader(given))


@pytest.mark.parametrize("name", [name for name, path in questions().items() if path.parent.name == "sweeps"])
def test_a_bundled_sweep_lays_out_and_every_point_differs(name):
    given = kinds.load_question("sweep", name)
    _, points = places.lay_out(given, loader(given))
    assert len(points) == forms.points_in(given.form) >= 3
    assert len({tuple(c.key for c in trial.values()) for point in points for trial in point.replicates}) == len(points)


def test_a_grid_holds_all_combinations_and_each_changes_what_it_says(tmp_path):
    _, points = lay_out(tmp_path, SWEEP)
    assert [tuple(point.values.values()) for point in points] == [(1, "on"), (1, "off"), (10, "on"), (10, "off")]
    for point in points:
        isa = point.replicates[0]["isa-pd"]
        assert {dose.amount for dose in isa.arm.doses if dose.drug == "isatuximab"} == {point.values["dose"]}
        assert isa.study.settings.without == ({"adcc"} if point.values["adcc"] == "off" else set())


def test_an_arm_that_the_dose_does_not_touch_is_one_condition_and_all_grow_alike(tmp_path):
    _, points = lay_out(tmp_path, SWEEP)
    by_adcc = {(p.values["adcc"], p.replicates[0]["pd"].key) for p in points}
    assert len(by_adcc) == 2  # one for each setting of ADCC, whatever the dose of an antibody that the arm lacks
    assert len({p.replicates[0]["isa-pd"].key for p in points}) == 4
    assert len({c.growth for p in points for c in p.replicates[0].values()}) == 1


def test_a_number_of_the_disease_changes_the_growth_and_a_seed_does(tmp_path):
    doses = 'path = ["arms.isa-pd.doses[0].dose", "arms.isa-pd.doses[1].dose"]\nwrite = "{} mg/kg"\nvalues = [1, 10]'
    assert doses in SWEEP
    varied = SWEEP.replace(doses, 'path = "parameters.motility.chemotaxis"\nvalues = [0.1, 0.2]')
    _, points = lay_out(tmp_path, varied.replace("patients = 2", "patients = 2\nreplicates = 2"))
    growth = {(p.values["dose"], r): trial["pd"].growth for p in points for r, trial in enumerate(p.replicates)}
    assert len(set(growth.values())) == 4
    assert {trial["pd"].study.seed for p in points for trial in p.replicates} == {20181, 20182}


@pytest.mark.parametrize("design", ["latin_hypercube", "sobol"])
def test_drawn_designs_fill_every_axis_evenly(tmp_path, design):
    text = SWEEP.replace("values = [1, 10]", 'low = 1\nhigh = 16\nscale = "log"').replace(
        "horizon", f'design = "{design}"\nsamples = 16\nhorizon'
    )
    path = tmp_path / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    found = places.combinations(kinds.load_question("sweep", path).form, 1)
    dose = np.log2([step["dose"].name for step in found])
    assert sorted((dose // 0.25).astype(int)) == list(range(16))  # one in each sixteenth, on the log scale
    assert [step["adcc"].name for step in found].count("off") == 8
    again = places.combinations(kinds.load_question("sweep", path).form, 1)
    assert found == again and found != places.combinations(kinds.load_question("sweep", path).form, 2)


def test_a_sweep_runs_goes_on_and_leaves_its_tables(tme, tmp_path, assert_as_declared, check_crate):
    assert "no folder" in (nothing := tme("sweep", "sweep.toml", "--resume")).stderr and nothing.exit_code == 2
    result = tme("sweep", "sweep.toml", "--workers", "1")
    assert result.exit_code == 0, result.output
    assert "12 runs of 2 patients, 0 runs stand on disk" in result.output  # 4 of the arm and 2 of the reference, for two patients
    assert "Isa-Pd against Pd: ratio of mean PFS is most" in result.output
    folder = tmp_path / "results" / "sweep"
    runs = pd.read_parquet(folder / "sweep.parquet")
    assert len(runs) == 4 * 2 * 2 and (runs["status"] == "completed").all()
    assert {"point", "dose", "adcc", "replicate", "patient", "arm", "pfs_months", "mrd_negative"} <= set(runs.columns)
    for _, group in runs[runs["arm"] == "pd"].groupby(["adcc", "patient"]):
        assert group["log10_burden_visit_2"].nunique() == 1  # the same dice at every dose
    points = pd.read_parquet(folder / "points.parquet")
    found = points[(points["outcome"] == "mean_pfs_months") & (points["arm"] == "isa-pd")].set_index("point")["value"]
    expected = runs[runs["arm"] == "isa-pd"].groupby("point")["pfs_months"].mean()
    assert found.to_numpy() == pytest.approx(expected.to_numpy())
    assert {path.name for path in (folder / "figures").iterdir()} == {f"{n}.{k}" for n in ("response", "heat_map") for k in ("svg", "png")}
    assert json.loads((folder / "summary.json").read_text())["points"] == 4
    before = (folder / "points.csv").read_text()
    axes = kinds.load_question("sweep", tmp_path / "sweep.toml").form.axes
    for name, declared in (("sweep", headings.SWEEP), ("points", headings.POINTS)):
        assert_as_declared(folder / f"{name}.parquet", headings.of_axes(declared, axes))
    check_crate(folder, "sweep")
    again = tme("sweep", "sweep.toml", "--workers", "1", "--resume")
    assert again.exit_code == 0 and "all runs stand on disk" in again.output
    assert (folder / "points.csv").read_text() == before


def test_means_differences_and_ratios_of_a_point():
    rows = []
    for patient, (isa, pd_) in enumerate([(10.0, 4.0), (12.0, 8.0), (8.0, 6.0), (14.0, 6.0)]):
        for arm, months in (("isa", isa), ("pd", pd_)):
            row = {"point": 0, "dose": 1, "replicate": 0, "patient": patient, "arm": arm, "status": "completed", "pfs_months": months}
            row |= {"pfs_event": True, "orr": arm == "isa", "vgpr_or_better": False, "cr_or_better": False, "mrd_negative": False}
            rows.append(row | {"log10_burden_visit_2": -1.0 if arm == "isa" else -0.25})
    rows.append(rows[0] | {"patient": 9, "status": "failed", "pfs_months": np.nan})
    rows.append(rows[1] | {"patient": 9, "pfs_months": 500.0})  # her other arm failed: she counts in neither
    both = pd.concat([pd.DataFrame(rows).assign(point=point, dose=1 + point) for point in (0, 1)])
    found = tables.point_table(both, ["dose"], [("isa", "pd")]).set_index(["arm", "reference", "outcome"])
    table, same = (found[found["point"] == point].drop(columns=["point", "dose"]) for point in (0, 1))
    pd.testing.assert_frame_equal(table, same)  # an arm that is the same at two points has the same interval at both
    whole = pd.DataFrame(rows[:8])
    lost = whole.assign(point=1, dose=2).assign(status=["failed", "completed"] + ["completed"] * 6)  # at one of the points
    apart = tables.point_table(pd.concat([whole, lost]), ["dose"], [("isa", "pd")]).set_index(["point", "arm", "outcome"])
    assert apart.loc[(1, "pd", "mean_pfs_months"), "n"] == 3 and apart.loc[(0, "pd", "mean_pfs_months"), "n"] == 4
    three = whole[whole["patient"] > 0]["pfs_months"].to_numpy()[1::2]
    drawn = np.random.default_rng(tables.SEED).integers(0, 4, (tables.RESAMPLES, 4))
    of_three = [np.mean([three[k - 1] for k in one if k > 0]) for one in drawn if (one > 0).any()]
    ends = apart.loc[(1, "pd", "mean_pfs_months"), ["low", "high"]].to_numpy(float)
    np.testing.assert_allclose(ends, np.quantile(of_three, [0.025, 0.975]))  # the patients drawn at the other point, but for her
    assert table.loc[("isa", "", "mean_pfs_months"), "value"] == 11.0 and table.loc[("isa", "", "mean_pfs_months"), "n"] == 4
    assert table.loc[("pd", "", "mean_pfs_months"), "value"] == 6.0
    assert table.loc[("isa", "", "orr"), "value"] == 1.0
    assert table.loc[("isa", "pd", "mean_pfs_ratio"), "value"] == pytest.approx(11.0 / 6.0)
    assert table.loc[("isa", "pd", "burden_gain_log10"), ["value", "low", "high"]].tolist() == [0.75, 0.75, 0.75]
    ratio = table.loc[("isa", "pd", "mean_pfs_ratio")]
    assert ratio["low"] < ratio["value"] < ratio["high"]


def test_a_sweep_over_which_nothing_varies_is_drawn_all_the_same(tmp_path):
    """One arm, compared with none, that is the same everywhere: what it is, is the answer."""
    (tmp_path / "sweep.toml").write_text(SWEEP, encoding="utf-8")
    axes = kinds.load_question("sweep", tmp_path / "sweep.toml").form.axes
    at = {"arm": "isa-pd", "reference": "", "low": 0.4, "high": 0.6, "n": 4}
    rows = [at | {"point": i, "dose": (1, 10)[i], "outcome": name, "value": 0.5} for i in (0, 1) for name in ("mean_pfs_months", "orr")]
    table = pd.DataFrame(rows)
    assert figures._panels(table) == ["mean_pfs_months", "orr"]
    assert figures._panels(pd.DataFrame([*rows, rows[0] | {"value": 0.7}])) == ["mean_pfs_months"]
    one = figures._response(table, ("dose",), axes, {"isa-pd": "Isa-Pd"}, "title")
    assert len([panel for panel in one.axes if panel.get_visible()]) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('scenario = "icaria"', 'scenario = "icarai"', "sweep.toml, line 4: there is no scenario 'icarai'; did you mean 'icaria'?"),
        ("patients = 2", "patiens = 2", "sweep.toml, line 5: unknown key 'patiens'; did you mean 'patients'?"),
        ("values = [1, 10]", "value = [1, 10]", "sweep.toml, line 15: unknown key 'value' in axes.dose; did you mean 'values'?"),
        ("values = [1, 10]", "low = 1", "sweep.toml, line 11: axes.dose: give either values, or low and high, or choices"),
        ("values = [1, 10]", "low = 2\nhigh = 1", "sweep.toml, line 16: axes.dose: high must be above low, got 2 and 1"),
        ("values = [1, 10]", 'values = [1, "ten"]', "sweep.toml, line 15: axes.dose: values are either numbers or words"),
        ("values = [1, 10]", "values = [1, 1]", "sweep.toml, line 15: axes.dose: a value stands twice"),
        ("{} mg/kg", "mg/kg", "sweep.toml, line 14: axes.dose.write needs one place for the number"),
        ("{} mg/kg", "{} mg/kgs", "sweep.toml, line 11: --set"),
        ("isa-pd.doses[1]", "isa-pd.doses[7]", "sweep.toml, line 11: --set"),
        ('["adcc"]', '["adccc"]', "sweep.toml, line 17: --without adccc: unknown mechanism 'adccc'; did you mean 'adcc'?"),
        ("[axes.adcc]", "[axes.patient]", "sweep.toml, line 17: 'patient' cannot be the key of an axis"),
        ('horizon = "84 d"', 'design = "sobol"', "sweep.toml, line 6: samples is missing"),
        ('horizon = "84 d"', 'design = "sobol"\nsamples = 12', "the points of Sobol's sequence are a power of two, 8 or 16, not 12"),
        ('horizon = "84 d"', "samples = 12", "sweep.toml, line 6: a grid has as many points as its axes make"),
        ('horizon = "84 d"', 'arms = ["isa"]', "the trial has no arm 'isa'; did you mean 'isa-pd'?"),
        ('horizon = "84 d"', 'horizon = "20 d"', "a horizon of 0.66 months ends before the first visit on day 28"),
    ],
)
def test_bad_input_is_one_line_with_its_place(tme, old, new, message):
    result = tme("sweep", "sweep.toml", changes=[(old, new)])
    assert result.exit_code == 2, result.output
    assert message in result.stderr and result.stderr.startswith("tme: ") and result.stderr.count("\n") == 1


def test_each_kind_has_its_command(tme):
    assert "a sweep is run by `tme sweep sweep.toml`" in tme("run", "sweep.toml").stderr
    assert "this is no sweep; a trial is run by `tme run icaria`" in tme("sweep", "icaria").stderr
    assert "this is no sensitivity; a sweep is run by `tme sweep sweep.toml`" in tme("sensitivity", "sweep.toml").stderr
    assert "sweep of 4 x 2, isatuximab [mg/kg], ADCC" in tme("validate", "sweep.toml").output
    with pytest.raises(InputError, match="a sweep is run by"):
        kinds.load_scenario("isatuximab_monthly")
