"""What a run gives back: tables with units, figures, the summary by key, doses changed, studies side by side."""

import gc
import json
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import tme_abm
from tme_abm.foundation.errors import InputError
from tme_abm.scenario.kinds import load_scenario
from tme_abm.trial.result import Compared, TrialResult


def test_the_tables_are_those_of_the_folder_and_carry_their_units(small_trial):
    assert small_trial.is_kept
    pd.testing.assert_frame_equal(small_trial.patients, pd.read_parquet(small_trial.folder / "patients.parquet"), check_exact=True)
    assert small_trial.patients.attrs["units"]["weight_kg"] == "kg"
    assert small_trial.trajectory.attrs["units"]["concentration_isatuximab_ug_per_ml"] == "ug/mL"
    assert "IMWG" in small_trial.trajectory.attrs["meanings"]["response"]
    for table in (small_trial.patients, small_trial.trajectory, small_trial.summary, small_trial.comparisons):
        assert set(table.attrs["units"]) == set(table.columns)


def test_as_a_mapping_it_is_the_summary(small_trial):
    written = json.loads((small_trial.folder / "summary.json").read_text(encoding="utf-8"))
    assert dict(small_trial) == written or json.loads(json.dumps(dict(small_trial), default=float)) == written
    assert small_trial["arms"]["isa-pd"]["n"] == 12
    assert list(small_trial) == list(written)


def test_summary_and_comparisons_say_what_the_mapping_says(small_trial):
    summary, comparisons = small_trial.summary.set_index("arm"), small_trial.comparisons
    for arm, row in small_trial["arms"].items():
        assert summary.loc[arm, "orr"] == row["orr"]
        assert summary.loc[arm, ["orr_ci_low", "orr_ci_high"]].tolist() == list(row["orr_ci"])
    assert comparisons["hazard_ratio"].tolist() == [row["hazard_ratio"] for row in small_trial["comparisons"]]
    assert comparisons["hazard_ratio"].dtype == "float64"
    assert comparisons.attrs["units"]["rmst_ci_low"] == "month"


@pytest.mark.parametrize("name", ["kaplan_meier", "responses", "waterfall", "spider", "deaths_by_cause", "marrow", "forest"])
def test_every_figure_is_drawn(small_trial, name):
    assert isinstance(getattr(small_trial.plot, name)(), Figure)


def test_a_figure_of_an_unknown_arm_is_refused(small_trial):
    with pytest.raises(InputError, match="did you mean 'isa-pd'"):
        small_trial.plot.kaplan_meier(["isa_pd"])


def test_it_shows_itself_in_a_notebook(small_trial):
    page = small_trial._repr_html_()
    assert page.count("<tr>") == 3
    assert f"{100 * small_trial['arms']['pd']['orr']:.1f} %" in page
    assert "Isa-Pd" in repr(small_trial) and "hazard ratio" in repr(small_trial)
    named = replace(small_trial.study, title="<script>")
    assert "<script>" not in TrialResult(named, dict(small_trial), small_trial.folder)._repr_html_()


def test_a_folder_is_opened_again(small_trial):
    again = tme_abm.load_results(small_trial.folder)
    assert again.study.arms == small_trial.study.arms
    assert again.patients.equals(small_trial.patients)
    with pytest.raises(InputError, match="no finished run"):
        tme_abm.load_results(small_trial.folder / "figures")


def test_a_run_without_a_folder_leaves_nothing_behind(tmp_path, monkeypatch, small_trial):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tme_abm.trial.report.write_report", lambda *_: None)
    result = tme_abm.run(small_trial.study, workers=2, patients=2)
    assert not result.is_kept
    assert os.listdir(tmp_path) == ["tmp"]
    two = small_trial.patients["patient"] < 2
    pd.testing.assert_frame_equal(result.patients, small_trial.patients[two].reset_index(drop=True), check_exact=True)
    kept = result.save(tmp_path / "kept")
    with pytest.raises(InputError, match="holds something already"):
        result.save(kept)
    place = result.folder
    assert place.is_dir()
    del result
    gc.collect()
    assert not place.exists()
    assert os.listdir(tmp_path / "tmp") == []
    assert len(tme_abm.load_results(kept).patients) == 4


# ---- doses changed ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def icaria():
    return load_scenario("icaria", patients=3)


def test_with_dose_changes_every_line_of_the_drug_and_nothing_else(icaria):
    changed = icaria.with_dose("isa-pd", "isatuximab", "20 mg/kg")
    before, after = icaria.arms[0].doses, changed.arms[0].doses
    for old, new in zip(before, after, strict=True):
        assert new == (replace(old, amount=20.0) if old.drug == "isatuximab" else old)
    assert changed.arms[1] == icaria.arms[1]
    assert (changed.seed, changed.population, changed.settings) == (icaria.seed, icaria.population, icaria.settings)
    assert changed.name == "icaria-isatuximab-20-mg-kg" and "20 mg/kg" in changed.title
    assert icaria.arms[0].doses[0].amount == 10.0  # the old one is untouched, as is what it was made from
    assert icaria.resolved["arms"]["isa-pd"]["doses"][0]["dose"] == "10 mg/kg"


def test_the_scenario_of_the_changed_study_is_the_changed_study(icaria):
    changed = icaria.with_dose("isa-pd", "isatuximab", "20 mg/kg").with_dose("pd", "dexamethasone", "20 mg")
    again = load_scenario(changed.resolved)
    assert again.arms == changed.arms
    assert [dose.elderly_amount for dose in changed.arms[1].doses if dose.drug == "dexamethasone"] == [10.0]  # in proportion


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("isa_pd", "isatuximab", "20 mg/kg"), "did you mean 'isa-pd'"),
        (("isa-pd", "isatuximob", "20 mg/kg"), "did you mean 'isatuximab'"),
        (("isa-pd", "isatuximab", "20"), "the unit is missing"),
        (("isa-pd", "dexamethasone", "20 mg/m2"), "for the elderly in mg"),
        (("isa-pd", "isatuximab", "20 mg/kg", "5 mg/kg"), "gives no 5 mg/kg"),
    ],
)
def test_a_dose_that_cannot_be_changed_is_refused(icaria, given, message):
    with pytest.raises(InputError, match=message):
        icaria.with_dose(*given)


def test_of_several_doses_one_must_be_chosen():
    ikema = load_scenario("ikema", patients=3)
    with pytest.raises(InputError, match="20 mg/m2 and 56 mg/m2; say with instead_of"):
        ikema.with_dose("isa-kd", "carfilzomib", "70 mg/m2")
    changed = ikema.with_dose("isa-kd", "carfilzomib", "70 mg/m2", instead_of="56 mg/m2")
    amounts = {dose.amount for dose in changed.arms[0].doses if dose.drug == "carfilzomib"}
    assert amounts == {20.0, 70.0}


# ---- side by side ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def both(small_trial):
    """The same results under two names, the second without isatuximab's lead: its arms are exchanged."""
    study = replace(small_trial.study, name="other")
    return Compared({"icaria": small_trial, "other": TrialResult(study, dict(small_trial), small_trial.folder)})


def test_studies_side_by_side(both, small_trial):
    assert both.arms == ["icaria/isa-pd", "icaria/pd", "other/isa-pd", "other/pd"]
    assert len(both.patients) == 2 * len(small_trial.patients)
    assert both.patients.attrs["units"] | {"study": "-"} == small_trial.patients.attrs["units"] | {"study": "-"}
    assert both.summary["study"].tolist() == ["icaria", "icaria", "other", "other"]
    assert isinstance(both.plot.kaplan_meier(), Figure)
    assert both._repr_html_().count("<tr>") == 5


def test_arms_of_two_studies_are_compared_as_those_of_one(both, small_trial):
    within, between = small_trial["comparisons"][0], both.compare("icaria/isa-pd", "other/pd").iloc[0]
    for name in ("hazard_ratio", "n_events_arm"):
        assert between[name] == within[name]  # the patients are the same, so the design is paired here too
    for name in ("ci_low", "ci_high", "p_value"):  # none below ten events or twenty patients
        assert np.isnan(between[name]) if within[name] is None else between[name] == within[name]
    with pytest.raises(InputError, match="did you mean 'other/pd'"):
        both.compare("icaria/isa-pd", "other/p-d")


def test_studies_with_other_patients_are_compared_as_independent(small_trial):
    other = TrialResult(replace(small_trial.study, name="other", seed=6), dict(small_trial), small_trial.folder)
    compared = Compared({"icaria": small_trial, "other": other})
    assert compared._design(["icaria", "other"]) == "parallel"
    assert compared._design(["icaria"]) == "paired"


def test_two_studies_of_one_name_are_refused(small_trial):
    with pytest.raises(InputError, match="two of the studies are called 'icaria'"):
        tme_abm.compare([small_trial, small_trial])


# ---- progress --------------------------------------------------------------------------------------------------------


def test_progress_is_told_below_the_cell_of_a_notebook():
    from tme_abm.scenario.notebook import NotebookProgress

    told = []

    class Handle:
        def update(self, text):
            told.append(repr(text))

    progress = NotebookProgress(lambda text, display_id: Handle())
    progress.phase("growing", 2)
    progress.phase("treating", 2)
    progress.advance(1, "growing")
    progress.advance(1, "growing")
    progress.advance(1, "treating")
    progress.advance(1, "treating")
    assert told[0] == "growing 0 of 2"
    assert told[-1] == "growing 2 of 2, treating 2 of 2"


def test_only_a_notebook_has_such_a_line(monkeypatch):
    import sys
    import types

    from tme_abm.scenario.notebook import NotebookProgress, notebook_progress

    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert notebook_progress() is None
    shell = types.SimpleNamespace(kernel=object())
    shown = types.SimpleNamespace(display=lambda text, display_id: types.SimpleNamespace(update=lambda text: None))
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    assert isinstance(notebook_progress(), NotebookProgress)
