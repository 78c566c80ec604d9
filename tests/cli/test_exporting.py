"""`tme export` and `tme describe --columns`."""

import json
import shutil

import anndata
import pandas as pd
import pytest
from typer.testing import CliRunner

from tme_abm.cli.app import app
from tme_abm.export.folder import sections


@pytest.fixture
def tme(tmp_path, monkeypatch):
    """Call `tme` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return CliRunner().invoke(app, [str(a) for a in arguments])

    return call


@pytest.mark.parametrize(
    ("to", "names"),
    [
        ("adam", {"adsl.parquet", "adsl.csv", "adtte.parquet", "adtte.csv", "adrs.parquet", "adrs.csv", "adlb.parquet", "adlb.csv"}),
        ("nonmem", {"doses_and_m_protein.parquet", "doses_and_m_protein.csv"}),
        ("csv", {"patients.csv", "trajectory.csv", "arms.csv", "comparisons.csv", "columns.csv"}),
    ],
)
def test_results_are_exported_into_a_folder_beside_them(tme, tmp_path, small_trial, to, names):
    shutil.copytree(small_trial.folder, tmp_path / "results" / "mine")
    done = tme("export", "results/mine", "--to", to)
    assert done.exit_code == 0, done.output
    written = {path.name for path in (tmp_path / "results" / f"mine_{to}").iterdir()}
    assert names <= written
    assert all(f"results/mine_{to}/{name}" in done.output for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    again = tme("export", "results/mine", "--to", to)
    assert again.exit_code == 2
    assert "--force" in again.output
    assert tme("export", "results/mine", "--to", to, "--force").exit_code == 0


def test_csv_holds_the_tables_and_the_dictionary_of_their_columns(tme, tmp_path, small_trial):
    assert tme("export", small_trial.folder, "--to", "csv", "--out", "here").exit_code == 0
    patients = pd.read_csv(tmp_path / "here" / "patients.csv", float_precision="round_trip")
    assert (patients["pfs_days"] == small_trial.patients["pfs_days"]).all()
    columns = pd.read_csv(tmp_path / "here" / "columns.csv", keep_default_na=False)
    listed = columns[columns["table"] == "patients"]
    assert listed["column"].tolist() == list(patients.columns)
    assert (columns["meaning"] != "").all()


def test_results_that_lack_a_column_are_told(tme, tmp_path, small_trial):
    folder = shutil.copytree(small_trial.folder, tmp_path / "damaged")
    patients = pd.read_parquet(folder / "patients.parquet")
    patients.rename(columns={"b2m_mg_per_l": "b2m_mg_per_m", "arm": "brm"}).to_parquet(folder / "patients.parquet")
    said = (
        "tme: damaged/patients.parquet is damaged: it is not as it was written (KeyError: 'arm')",
        "tme: damaged: a table has no column 'arm'; it is damaged, or another version of tme has written it",  # which kept no digests
    )
    for words in said:
        for call in (("export", "damaged", "--to", "adam"), ("report", "damaged")):
            refused = tme(*call)
            assert refused.exit_code == 2 and refused.stderr == f"{words}\n"
        assert not (tmp_path / "damaged_adam").exists()
        (folder / ".tme-results.json").unlink(missing_ok=True)


@pytest.mark.parametrize("entry", [5, None])
def test_results_whose_entries_are_of_another_kind_are_told(tme, tmp_path, small_trial, entry):
    folder = shutil.copytree(small_trial.folder, tmp_path / "damaged")
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps(summary | {"arms": entry, "comparisons": entry}))
    refused = tme("report", "damaged")
    assert refused.exit_code == 2 and refused.stderr.count("\n") == 1 and "summary.json" in refused.stderr


def test_an_error_over_results_that_are_as_they_were_written_is_ours_and_is_not_put_down_to_them(tme, small_trial, monkeypatch):
    from tme_abm.export import folder

    def broken(*_):
        raise TypeError("ours")

    monkeypatch.setattr(folder, "write", broken)
    failed = tme("export", small_trial.folder, "--to", "csv", "--out", "nowhere")
    assert isinstance(failed.exception, TypeError) and "damaged" not in failed.output


def test_a_marrow_is_exported_from_results(tme, tmp_path, small_trial):
    shutil.copytree(small_trial.folder, tmp_path / "results" / "mine")
    done = tme("export", "results/mine", "--to", "h5ad", "--patient", 2, "--arm", "pd", "--day", 7, "--deaths", 2)
    assert done.exit_code == 0, done.output
    [written] = (tmp_path / "results").glob("*.h5ad")
    assert written.name.endswith("_pd_patient2_day7.h5ad")
    data = anndata.read_h5ad(written)
    assert data.uns["marrow"]["regimen"] == "pd"
    assert data.uns["patient"]["patient"] == 2
    assert data.uns["deaths"]["day"].between(5.0, 7.0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--to", "adm"), "did you mean 'adam'"),
        (("--to", "h5ad", "--arm", "isa-pdd"), "did you mean 'isa-pd'"),
        (("--to", "h5ad", "--patient", 99), "patients 0 to 11"),
        (("--to", "csv", "--seed", 3), "--seed is for --to h5ad"),
    ],
)
def test_what_cannot_be_exported_is_said_in_a_line(tme, small_trial, arguments, message):
    done = tme("export", small_trial.folder, *arguments)
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output


def test_a_scenario_has_no_results_yet(tme):
    done = tme("export", "icaria", "--to", "adam")
    assert done.exit_code == 2
    assert "run the study with `tme run`" in done.output


def test_the_columns_are_described(tme, tmp_path):
    everything = tme("describe", "--columns").output
    for title, (_, headings) in sections().items():
        assert title in everything
        assert all(heading.name in everything for heading in headings)
    one = tme("describe", "trajectory", "--columns").output
    assert "m_protein_measured_g_per_l" in one and "weight_kg" not in one
    assert "did you mean 'trajectory'" in tme("describe", "trajectry", "--columns").output
    assert tme("describe", "--columns", "--to", "c.md").exit_code == 0
    assert (tmp_path / "c.md").read_text(encoding="utf-8").startswith("# Columns")
    assert tme("describe", "--to", "c.md").exit_code == 2


def test_a_damaged_table_leaves_no_half_of_an_export(small_trial, tmp_path):
    folder = tmp_path / "r"
    shutil.copytree(small_trial.folder, folder)
    (part,) = (folder / "trajectory.parquet").iterdir()
    part.write_bytes(part.read_bytes()[:2000])
    done = CliRunner().invoke(app, ["export", str(folder), "--to", "csv", "--out", str(tmp_path / "csv")])
    assert done.exit_code == 2 and done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["r"]


def test_a_run_json_that_lacks_an_entry_is_told(small_trial, tmp_path):
    folder = tmp_path / "r"
    shutil.copytree(small_trial.folder, folder)
    text = (folder / "run.json").read_text(encoding="utf-8")
    (folder / "run.json").write_text(text.replace('"meaning"', '"meening"'), encoding="utf-8")
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert done.exit_code == 2 and done.stderr.count("\n") == 1 and "meaning" in done.stderr
