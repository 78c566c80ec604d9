"""Each kind of table opened by the tools that it is meant for, without any of our code, and statistics made again by R."""

import math
import subprocess
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars
import pyarrow.dataset
import pytest

from tme_abm.export.folder import write
from tme_abm.trial import comparison
from tme_abm.trial.comparison import compare

TABLES = ("trajectory", "days", "cells")


@pytest.mark.parametrize("name", TABLES)
def test_pandas(recorded, name):
    pd.testing.assert_frame_equal(pd.read_parquet(recorded.folder / f"{name}.parquet"), getattr(recorded, name), check_exact=True)


@pytest.mark.parametrize("name", TABLES)
def test_duckdb(recorded, name):
    files = f"{recorded.folder}/{name}.parquet/*.parquet"
    table = getattr(recorded, name)
    found = duckdb.sql(f"select arm, day, count(*), sum(adenosine) from '{files}' where patient = 1 group by arm, day order by arm, day")
    wanted = table[table["patient"] == 1].groupby(["arm", "day"])["adenosine"].agg(["size", "sum"]).reset_index()
    assert [row[:3] for row in found.fetchall()] == list(wanted[["arm", "day", "size"]].itertuples(index=False, name=None))
    np.testing.assert_allclose([row[3] for row in found.fetchall()], wanted["sum"], rtol=1e-6)
    missing = duckdb.sql(f"select count(*) from '{files}' where {table.columns[-1]} is null").fetchall()
    assert missing == [(int(table.iloc[:, -1].isna().sum()),)]  # in arms without the drug: missing, not NaN


@pytest.mark.parametrize("name", TABLES)
def test_polars(recorded, name):
    table = getattr(recorded, name)
    lazy = polars.scan_parquet(f"{recorded.folder}/{name}.parquet/**/*.parquet")
    some = lazy.filter(polars.col("arm") == "pd").group_by("patient").agg(polars.col("il6").mean()).sort("patient").collect()
    np.testing.assert_allclose(some["il6"].to_numpy(), table[table["arm"] == "pd"].groupby("patient")["il6"].mean(), rtol=1e-6)
    whole = polars.read_parquet(recorded.folder / f"{name}.parquet")
    assert whole.columns == list(table.columns) and whole.shape == table.shape
    for column in table.columns:
        ours = table[column].to_numpy()
        assert whole[column].null_count() == table[column].isna().sum()
        if ours.dtype.kind in "fiub":
            np.testing.assert_array_equal(whole[column].fill_null(math.nan).to_numpy() if ours.dtype.kind == "f" else whole[column], ours)


@pytest.mark.parametrize("name", TABLES)
def test_pyarrow_tells_units(recorded, name):
    data = pyarrow.dataset.dataset(recorded.folder / f"{name}.parquet")
    notes = data.schema.field("adenosine").metadata
    assert notes[b"unit"] == b"K(A2A)" and b"adenosine" in notes[b"meaning"]
    found = data.to_table(columns=["patient", "day"], filter=pyarrow.dataset.field("arm") == "pd")
    assert found.num_rows == (getattr(recorded, name)["arm"] == "pd").sum() > 0


def test_the_page_reads_them_as_it_says(recorded, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "other_tools.md").read_text(encoding="utf-8")
    code = page.split("<!-- read -->\n```python\n")[1].split("```")[0]
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "icaria").symlink_to(recorded.folder)
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(code.replace("duckdb.sql(", "found = duckdb.sql("), scope)
    assert len(scope["found"].fetchall()) == recorded.trajectory.groupby(["arm", "month"]).ngroups
    assert scope["data"].count_rows() == len(recorded.days)


def test_csv(recorded, tmp_path):
    write(recorded, "csv", tmp_path)
    for name in ("patients", *TABLES):
        text, table = pd.read_csv(tmp_path / f"{name}.csv", float_precision="round_trip", keep_default_na=name != "patients"), None
        table = getattr(recorded, name)
        assert list(text.columns) == list(table.columns) and len(text) == len(table)
        assert text["arm"].tolist() == table["arm"].tolist()
    columns = pd.read_csv(tmp_path / "columns.csv")
    assert set(columns["table"]) == {"patients", *TABLES, "arms", "comparisons"}
    assert columns[(columns["table"] == "cells") & (columns["column"] == "x_um")]["unit"].tolist() == ["um"]


# ---- R -----------------------------------------------------------------------------------------------------------------


def test_r_finds_the_same_statistics(small_trial, tmp_path, rscript, monkeypatch):
    for least in ("FEWEST_PAIRS", "FEWEST_EVENTS"):  # twelve patients, of whom the package would give no interval
        monkeypatch.setattr(comparison, least, 0)
    write(small_trial, "csv", tmp_path)
    script = Path(__file__).with_name("survival.R")
    done = subprocess.run([rscript, script, tmp_path / "patients.csv", "isa-pd", "pd"], capture_output=True, text=True, check=True)
    found = {name: math.nan if value == "NA" else float(value) for name, value in map(str.split, done.stdout.splitlines())}
    ours = {}
    for arm in ("isa-pd", "pd"):
        row = small_trial["arms"][arm]
        ours |= {f"median_{arm}": row["median_pfs_months"], f"low_{arm}": row["pfs_ci"][0], f"high_{arm}": row["pfs_ci"][1]}
    for design in ("paired", "parallel"):
        made = compare(small_trial.patients, "isa-pd", "pd", design)
        ours |= {f"{name}_{design}": getattr(made, name) for name in ("hazard_ratio", "ci_low", "ci_high", "p_value")}
        ours["ph_test_p"] = made.ph_test_p
    assert ours["hazard_ratio_paired"] == small_trial["comparisons"][0]["hazard_ratio"]
    assert set(found) == set(ours) and len(found) == 15
    for name, value in found.items():
        assert (math.nan if ours[name] is None else ours[name]) == pytest.approx(value, rel=1e-9, nan_ok=True), name
