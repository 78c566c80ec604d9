"""The column dictionary: every column of every table is declared, holds what is allowed, and stands in its file and in docs/columns.md."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tme_abm import tables
from tme_abm.analysis.headings import sections as of_analyses
from tme_abm.batch.progress import Silence
from tme_abm.export.folder import sections
from tme_abm.foundation.columns import find
from tme_abm.foundation.errors import InputError
from tme_abm.laboratory.headings import HEADINGS
from tme_abm.scenario.kinds import load_scenario
from tme_abm.trial.arm import PATIENT_HEADINGS, TRAJECTORY_HEADINGS
from tme_abm.trial.recording import CELL_HEADINGS, DAY_HEADINGS
from tme_abm.trial.result import COMPARISON_HEADINGS, SUMMARY_HEADINGS

DOCS = Path(__file__).parents[1] / "docs" / "columns.md"
EXPERIMENTS = {
    "figure1_adenosine": ["replicates=1"],
    "immune_recovery": ["patients=1", "marrow.shape=[32, 32]"],
    "figure5_bortezomib": ["mice=2", "marrow.shape=[48, 48]", 'tumour.watch="3 d"', "tumour.start_mm3=20"],
}


def test_the_tables_of_a_trial_are_as_declared(small_trial, assert_as_declared):
    assert_as_declared(small_trial.patients, PATIENT_HEADINGS)
    assert_as_declared(small_trial.trajectory, TRAJECTORY_HEADINGS)
    assert_as_declared(small_trial.summary.assign(study="icaria"), SUMMARY_HEADINGS)
    assert_as_declared(small_trial.comparisons.assign(study="icaria"), COMPARISON_HEADINGS)


def test_recorded_days_and_cells_are_as_declared(recorded, assert_as_declared):
    assert_as_declared(recorded.days, DAY_HEADINGS)
    assert_as_declared(recorded.cells, CELL_HEADINGS)


def test_nothing_is_declared_that_no_table_has(small_trial, recorded):
    of_trial = (small_trial.patients, PATIENT_HEADINGS), (small_trial.trajectory, TRAJECTORY_HEADINGS)
    for table, headings in (*of_trial, (recorded.days, DAY_HEADINGS), (recorded.cells, CELL_HEADINGS)):
        unused = [h.name for h in headings if not any(h.covers(name) for name in table.columns)]
        assert unused == [], unused


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_the_tables_of_the_laboratory_are_as_declared(name, assert_as_declared):
    experiment = load_scenario(name, EXPERIMENTS[name])
    assert_as_declared(experiment.measure(2, Silence()), HEADINGS[experiment.resolved["kind"]])


def test_a_response_is_recorded_at_every_visit(small_trial):
    visits = small_trial.trajectory
    assert visits[visits["visit"] == 0]["response"].isna().all()
    assert visits[visits["visit"] > 0]["response"].notna().all()
    last = visits.sort_values("visit").groupby(["patient", "arm"]).last()
    ended = small_trial.patients.set_index(["patient", "arm"])["event_kind"] == "progression"
    assert (last.loc[ended[ended].index, "response"] == "PD").all()
    assert visits["response"].nunique() > 3


def test_the_notes_stand_in_the_files(small_trial):
    for name, headings in (("patients.parquet", PATIENT_HEADINGS), ("trajectory.parquet", TRAJECTORY_HEADINGS)):
        for field in pq.read_schema(tables.parts(small_trial.folder / name)[0]):
            notes = {key.decode(): value.decode() for key, value in field.metadata.items() if not key.startswith(b"PARQUET")}
            assert notes == find(field.name, headings).notes


def test_a_table_comes_back_as_it_was(tmp_path):
    table = pd.DataFrame({"patient": [0, 1], "response": [None, "PR"], "unheard_of": [1.5, np.nan]})
    tables.write(table, tmp_path / "t.parquet", TRAJECTORY_HEADINGS)
    again = tables.read(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(again, table, check_exact=True)
    assert again.attrs["units"] == {"patient": "-", "response": "-"}  # what nobody declares is written without notes
    with pytest.raises(InputError, match="no such table"):
        tables.read(tmp_path / "u.parquet")


def test_a_damaged_table_is_told(tmp_path):
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "folder.parquet").mkdir()
    for name, what in (("cut", "not a Parquet table"), ("folder", "there is no such table"), ("none", "there is no such table")):
        with pytest.raises(InputError, match=rf"{name}\.parquet: .*{what}"):
            tables.read(tmp_path / f"{name}.parquet")


def test_the_page_is_up_to_date():
    # refreshed by: tme describe --columns --to docs/columns.md
    assert DOCS.read_text(encoding="utf-8") == tables.page(sections() | of_analyses())
