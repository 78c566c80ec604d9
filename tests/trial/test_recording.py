"""What a scenario records: days and cells are those of the run, the run is the same with them and without, and no run needs much memory."""

import json
import tracemalloc
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tme_abm import load_results, load_trial, run, tables
from tme_abm.batch.files import digest
from tme_abm.batch.journal import Journal
from tme_abm.batch.results import MARKER
from tme_abm.cli.app import app
from tme_abm.export.marrow import marrow_of
from tme_abm.foundation.errors import InputError
from tme_abm.spatial import HEADINGS as OF_CELLS
from tme_abm.spatial import to_anndata
from tme_abm.trial import tables as trial_tables
from tme_abm.trial.execution import Silence, run_patient
from tme_abm.trial.recording import DAY_HEADINGS
from tme_abm.trial.recording_plan import Days, RecordingPlan
from tme_abm.trial.result import Figures

RECORDED = ("record.days=7 d", "record.cells={days=[0, 28, 30], patients=2}")


@pytest.fixture(scope="module")
def without_pages():
    """The report has its own tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tme_abm.trial.report.write_report", lambda *_: None)
        yield


# ---- what is recorded ------------------------------------------------------------------------------------------------


def test_the_run_is_the_same_with_and_without(recorded, small_trial):
    mine, theirs = (table[table["patient"] < 3].reset_index(drop=True) for table in (recorded.patients, small_trial.patients))
    pd.testing.assert_frame_equal(mine, theirs, check_exact=True)  # state_hash among the columns
    visits = small_trial.trajectory
    pd.testing.assert_frame_equal(recorded.trajectory, visits[visits["patient"] < 3].reset_index(drop=True), check_exact=True)


def test_a_day_is_what_the_visit_of_that_day_saw(recorded):
    days, visits = recorded.days, recorded.trajectory
    assert (days["day"] % 7 == 0).all() and days["day"].nunique() > visits["day"].nunique()
    deaths = [name for name in days if name.startswith("deaths_")]
    key = ["patient", "arm", "day"]
    both = visits[key].merge(days, on=key)
    assert len(both) == len(visits)
    same = [name for name in days if name in visits.columns and name not in deaths]
    pd.testing.assert_frame_equal(both[same], visits[same], check_exact=True)
    last = visits.groupby(key[:2])["day"].transform("max")
    until = days.merge(visits[visits["day"] == last][key], on=key[:2], suffixes=("", "_last"))
    assert (until["day"] <= until["day_last"]).all()
    assert days[deaths].sum().tolist() == visits[deaths].sum().tolist() and days[deaths].sum().sum() > 0


def test_cells_are_those_of_the_marrow_of_that_day(recorded):
    cells = recorded.cells
    assert set(cells["patient"]) == {0, 1} and set(cells["day"]) == {0, 28, 30}
    counted = cells.groupby(["patient", "arm", "day", "cell_type"]).size().unstack(fill_value=0)
    visits = recorded.trajectory.set_index(["patient", "arm", "day"])
    for at, row in counted.drop(30, level="day").iterrows():
        assert {f"{kind}_cells": n for kind, n in row.items()} == {f"{kind}_cells": visits.loc[at, f"{kind}_cells"] for kind in row.index}
    there = to_anndata(marrow_of(recorded.study, "isa-pd", 1, 30.0, 0.0).simulation)  # between two visits
    here = cells[(cells["patient"] == 1) & (cells["arm"] == "isa-pd") & (cells["day"] == 30)]
    assert here["cell"].tolist() == there.obs_names.tolist()
    np.testing.assert_array_equal(here[["x_um", "y_um"]], there.obsm["spatial"])
    for heading in OF_CELLS:
        mine, theirs = here[heading.name].to_numpy(), there.obs[heading.name].astype(object).to_numpy()
        if heading.kind == "word":
            assert [w for w in mine if isinstance(w, str)] == [w for w in theirs if isinstance(w, str)]
        else:
            np.testing.assert_array_equal(mine, theirs.astype(mine.dtype))


def test_nothing_is_written_that_was_not_asked_for(recorded, tmp_path, small_trial, without_pages):
    with pytest.raises(InputError, match="no days were recorded"):
        _ = small_trial.days
    with pytest.raises(InputError, match="no cells were recorded"):
        _ = small_trial.cells
    quiet = run(replace(small_trial.study, patients=1, record=RecordingPlan(visits=False)), tmp_path / "r", 1)
    assert not list(quiet.folder.glob("t*.parquet"))
    with pytest.raises(InputError, match="visits were not recorded"):
        _ = quiet.trajectory
    with pytest.raises(InputError, match="visits were not recorded"):
        quiet.plot.spider()
    assert quiet.plot.kaplan_meier() and quiet["state_hash"]
    assert json.loads((recorded.folder / "run.json").read_text())["scenario"]["record"]["cells"]["days"] == [0, 28, 30]


def test_days_in_words_and_numbers():
    weekly, listed = Days(every=7), Days(listed=(0, 28, 84))
    assert [weekly.after(day) for day in (0, 6, 7)] == [7, 7, 14] and weekly.count(28.5) == 5 and weekly.includes(14)
    assert [listed.after(day) for day in (0, 27, 28, 84)] == [28, 28, 84, np.inf] and listed.count(28) == 2 and not listed.includes(7)
    assert (weekly.in_words(), listed.in_words()) == ("every 7 days", "on days 0, 28 and 84")


def test_a_share_of_the_patients_is_spread_evenly():
    some = RecordingPlan(cells=Days(1), cells_of_percent=29.0)
    chosen = [i for i in range(100) if some.has_cells_of(i)]
    assert len(chosen) == some.patients_with_cells(100) == 29
    assert chosen[0] == 0 and set(np.diff(chosen)) == {3, 4}
    assert [i for i in range(9) if RecordingPlan(cells=Days(1), cells_of_first=2).has_cells_of(i)] == [0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("record.day=7 d", "unknown key 'day' in record; did you mean 'days'?"),
        ("record.days=7", 'record.days: expected days such as "7 d" (every 7 days) or [0, 7, 28], got 7'),
        ("record.days=7", "--set record.days=7: "),
        ("record.days=36 h", 'record.days must be whole days, not "36 h"'),
        ("record.days=[]", "record.days names no day"),
        ("record.days=[0, -7]", "record.days: days count from the first dose, 0, got -7"),
        ("record.days=[0, 7, 7]", "record.days: day 7 stands twice"),
        ("record.days=[0, 700]", "record.days: day 700 comes after the longest follow-up of "),
        ("record.cells.days=[0, 700]", "record.cells.days: day 700 comes after the longest follow-up of "),
        ("record.cells={patients=3}", "the key 'days' is missing in record.cells"),
        ('record.cells={days=[0], patients="3"}', 'record.cells.patients: write a number such as 10, or a share such as "5 %", not "3"'),
        ('record.cells={days=[0], patients="200 %"}', 'or a share such as "5 %", not "200 %"'),
        ('record.cells={days="1 d", patients=1}', "record.cells: up to 1.4e+08 cells of one patient, and the limit is 2e+07; choose fewer"),
        ('record.cells={days=[0, 28], patients="100 %"}', "up to 5.4e+09 cells, and the limit is 2e+09"),
    ],
)
def test_what_cannot_be_recorded_is_refused(change, message):
    size = ["marrow.shape=[512, 512]"] if "cells" in change else []
    with pytest.raises(InputError) as error:
        load_trial("icaria", [*size, 'trial.follow_up=["5 month", "9 month"]', change], patients=5120)
    assert message in str(error.value) and str(error.value).startswith("--set")


def test_its_size_is_shown():
    done = CliRunner().invoke(app, ["show", "icaria", "--no-parameters", *(x for text in RECORDED for x in ("--set", text))])
    assert done.exit_code == 0
    shown = " ".join(done.output.split())  # lines are wrapped
    assert "the marrow in numbers every 7 days: at most " in shown and "cells of 2 patients on days 0, 28 and 30" in shown
    assert "at most 49,152 rows, 1.7 MB" in shown


# ---- the tables ------------------------------------------------------------------------------------------------------


def test_the_tables_hold_the_rows_of_the_cases(recorded):
    case = run_patient(recorded.study, 2, Silence())
    for table, rows in ((recorded.patients, case.patients), (recorded.trajectory, case.visits), (recorded.days, case.days)):
        mine = table[table["patient"] == 2].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, pd.DataFrame(rows)[list(mine.columns)], check_exact=True)
        assert set(mine.columns) == {name for row in rows for name in row}


def test_every_part_has_the_same_columns_whatever_is_in_it(tmp_path):
    schema = tables.make_schema(DAY_HEADINGS[:4])
    with tables.DataSet(tmp_path / "t.parquet", schema, part_rows=2) as data:
        for day in (0.0, 7.0, None):
            data.add([{"patient": 0, "arm": None if day else "a", "day": day}, {"patient": 1, "day": np.nan}])
    parts = tables.parts(tmp_path / "t.parquet")
    assert [part.name for part in parts] == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    assert all(pq.read_schema(part).equals(schema, check_metadata=True) for part in parts)
    whole = tables.read(tmp_path / "t.parquet")
    assert whole["day"].tolist()[::2][:2] == [0.0, 7.0] and whole["day"].isna().sum() == 4 and whole.attrs["units"]["day"] == "d"
    assert pq.read_table(parts[0])["day"].null_count == 1  # missing, not a NaN
    with tables.DataSet(tmp_path / "none.parquet", schema):
        pass
    assert list(tables.read(tmp_path / "none.parquet").columns) == schema.names
    assert len(tables.Stored(tmp_path / "none.parquet")) == 0 and len(list(tables.Stored(tmp_path / "none.parquet").pieces())) == 1


def test_a_column_that_nobody_declared_is_in_every_part(tmp_path):
    """Also one that begins late, is whole at first and fractional later, or becomes a word; what was read together still is."""
    with tables.DataSet(tmp_path / "t.parquet", tables.make_schema(DAY_HEADINGS[:2])) as data:
        data.add([{"patient": 0, "arm": "a"}])
        data.add([{"patient": 1, "arm": "a", "unheard_of": 1, "odd": 1}, {"patient": 1, "arm": "b", "unheard_of": None}])
        data.add([{"patient": 2, "arm": "a", "unheard_of": 1.5, "odd": "one"}])
        data.add([{"patient": 3, "arm": "a", "unheard_of": 2}])
    parts = tables.parts(tmp_path / "t.parquet")
    assert len(parts) == 3 and len(list((tmp_path / "t.parquet").iterdir())) == 3
    assert all(pq.read_schema(part).equals(data.schema, check_metadata=True) for part in parts)
    stored = tables.Stored(tmp_path / "t.parquet")
    assert stored.columns == ["patient", "arm", "unheard_of", "odd"]
    assert [piece["patient"].tolist() for piece in stored.pieces(["patient", "odd"])] == [[0], [1, 1], [2], [3]]
    whole = pq.read_table(tmp_path / "t.parquet")
    assert whole["unheard_of"].to_pylist() == [None, 1.0, None, 1.5, 2.0] and whole["odd"].to_pylist() == [None, "1", None, "one", None]


def test_patients_of_whom_one_piece_has_whole_numbers_and_another_has_not_are_one_table():
    schema = tables.make_schema(DAY_HEADINGS[:2])
    pieces = [tables.as_table([{"patient": i, "arm": "a", **more}], schema) for i, more in enumerate(({"x": 1}, {"x": 1.5}, {}))]
    table = tables.joined(pieces, schema)
    assert table["x"].to_pylist() == [1.0, 1.5, None] and table.schema.field("arm").metadata == schema.field("arm").metadata


def test_writing_the_tables_takes_no_more_memory_for_more_patients(recorded, tmp_path, monkeypatch):
    """A case with ten times the visits, over and over: what is in memory is the visits of one piece."""
    monkeypatch.setattr(trial_tables, "PIECE", 2)
    case = asdict(run_patient(recorded.study, 2, Silence()))
    case["visits"] *= 6
    most = {}
    for n in (4, 24):
        journal = Journal(tmp_path / f"journal-{n}")
        for i in range(n):
            journal.add(str(i), case)
        tracemalloc.start()
        try:
            trial_tables.write_tables(replace(recorded.study, patients=n), journal, tmp_path_of(tmp_path, n))
            most[n] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    stored = tables.Stored(tmp_path / "24" / "trajectory.parquet")
    assert len(stored) == 24 * len(case["visits"]) and len(list(stored.pieces(["day"]))) == 12
    assert most[24] < 1.2 * most[4]


def tmp_path_of(folder, n):
    (folder / str(n)).mkdir()
    return folder / str(n)


# ---- read by figures, and from older folders ---------------------------------------------------------------------------


@pytest.fixture
def cut(small_trial, tmp_path):
    """A folder of the small trial whose visits stand in pieces of two patients, and parts of one piece."""
    folder = small_trial.save(tmp_path / "cut")
    visits = small_trial.trajectory
    whole = pq.read_table(small_trial.folder / "trajectory.parquet")
    for part in tables.parts(folder / "trajectory.parquet"):
        part.unlink()
    (folder / "trajectory.parquet").rmdir()
    with tables.DataSet(folder / "trajectory.parquet", whole.schema, part_rows=1) as data:
        for first in range(0, 12, 2):
            data.add_table(whole.filter(visits["patient"].isin([first, first + 1]).to_numpy()))
    return folder


def drawn(figure):
    """All that stands in a figure."""
    for axes in figure.axes:
        yield axes.get_title(), [text.get_text() for text in axes.texts]
        yield from (line.get_xydata().tolist() for line in axes.lines)
        yield from (bar.get_bbox().bounds for bar in axes.patches)
        yield from (path.vertices.tolist() for band in axes.collections for path in band.get_paths())


@pytest.mark.parametrize("name", ["waterfall", "spider", "deaths_by_cause", "marrow"])
def test_a_figure_is_the_same_from_pieces_and_from_memory(small_trial, cut, monkeypatch, name):
    """And the visits are never whole in memory."""
    monkeypatch.setattr("tme_abm.trial.patient_figures.SPIDER_LINES", 5)
    honest, seen = tables.Stored.pieces, []

    def watched(self, columns=None):
        for piece in honest(self, columns):
            seen.append(piece.shape)
            yield piece

    monkeypatch.setattr(tables.Stored, "pieces", watched)
    from_memory, from_pieces = (
        getattr(Figures(small_trial.patients, visits, small_trial.arms, small_trial.labels), name)()
        for visits in (small_trial.trajectory, tables.Stored(cut / "trajectory.parquet"))
    )
    for one, other in zip(drawn(from_memory), drawn(from_pieces), strict=True):
        np.testing.assert_equal(one, other)
    n_rows, n_columns = small_trial.trajectory.shape
    assert max(rows for rows, _ in seen) < n_rows / 3 and max(columns for _, columns in seen) < n_columns / 3


def test_results_of_older_versions_are_read_and_replaced(small_trial, tmp_path, without_pages):
    """They have one file of visits."""
    study = replace(small_trial.study, patients=1)
    old = run(study, tmp_path / "r", 1).folder
    table = tables.read(old / "trajectory.parquet")
    marker = json.loads((old / MARKER).read_text())
    (part,) = tables.parts(old / "trajectory.parquet")
    part.unlink()
    part.parent.rmdir()
    table.to_parquet(old / "trajectory.parquet")
    del marker["files"]["trajectory.parquet/part-00000.parquet"]
    marker["files"]["trajectory.parquet"] = digest(old / "trajectory.parquet")
    (old / MARKER).write_text(json.dumps(marker))
    result = load_results(old)
    pd.testing.assert_frame_equal(result.trajectory, table, check_exact=True)
    assert result.plot.spider() and result.plot.deaths_by_cause()
    again = run(study, old, 1, force=True)
    assert (old / "trajectory.parquet").is_dir() and not list(old.glob("*kept*"))
    pd.testing.assert_frame_equal(again.trajectory, table, check_exact=True)
