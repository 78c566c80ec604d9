"""A results folder in another format."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tme_abm import tables
from tme_abm.foundation.columns import Heading
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.laboratory.headings import HEADINGS as OF_EXPERIMENTS
from tme_abm.laboratory.headings import ROWS
from tme_abm.trial.arm import PATIENT_HEADINGS, TRAJECTORY_HEADINGS
from tme_abm.trial.recording import CELL_HEADINGS, DAY_HEADINGS
from tme_abm.trial.study import Study

FORMATS = {  # of whole runs
    "adam": "CDISC ADaM: ADSL, ADTTE, ADRS, ADLB as Parquet and CSV",
    "nonmem": "doses and M-protein as one long table, as Parquet and CSV",
    "csv": "the tables and their columns as CSV",
}


OF_PATIENTS = (
    "A row for each patient and arm of a trial; the patient as at eligibility. Responses by the IMWG: sCR stringent complete, CR complete, "
    "VGPR very good partial, PR partial, MR minimal response, SD stable, PD progressive disease, NE not evaluable; [what each "
    "takes](clinic.md#responses). The nadir counts the baseline, as the rule of progression does; the best change of the waterfall "
    "is that of the visits after it, and can be a rise."
)


def sections() -> dict[str, tuple[str, tuple[Heading, ...]]]:
    """All tables of results folders: title -> a sentence on the rows, and the columns."""
    from tme_abm.export.adam_variables import DATA_SETS, headings
    from tme_abm.export.dosing import HEADINGS as OF_DOSES
    from tme_abm.mesa_model.frame import FRAME_HEADINGS
    from tme_abm.spatial import DEATH_HEADINGS
    from tme_abm.spatial import HEADINGS as OF_CELLS
    from tme_abm.trial.result import COMPARISON_HEADINGS, SUMMARY_HEADINGS

    found: dict[str, tuple[str, tuple[Heading, ...]]] = {
        "patients.parquet": (
            OF_PATIENTS,
            PATIENT_HEADINGS,
        ),
        "trajectory.parquet": ("A row for each patient, arm and visit of a trial.", TRAJECTORY_HEADINGS),
        "days.parquet": ("A row for each patient, arm and day that the scenario records (`[record]`).", DAY_HEADINGS),
        "cells.parquet": ("A row for each cell of the patch on each day that the scenario records cells of.", CELL_HEADINGS),
        "cells_frame()": ("A row for each cell that is in the marrow now, in Python (`TumourModel.cells_frame`).", FRAME_HEADINGS),
        "summary": ("A row for each arm, in Python (`result.summary`) and as `arms.csv` of `tme export --to csv`.", SUMMARY_HEADINGS),
        "comparisons": ("A row for each comparison of two arms, in Python and as `comparisons.csv`.", COMPARISON_HEADINGS),
    }
    found |= {f"table.parquet of kind {kind}": (ROWS[kind], headings) for kind, headings in OF_EXPERIMENTS.items()}
    found |= {f"{given.name.lower()} of ADaM": (f"{given.label} (`tme export --to adam`).", headings(given)) for given in DATA_SETS}
    return found | {
        "doses_and_m_protein": ("A row for each dose and each measurement (`tme export --to nonmem`).", OF_DOSES),
        "obs of an .h5ad": ("A row for each cell of a marrow (`tme export --to h5ad`).", OF_CELLS),
        'uns["deaths"] of an .h5ad': ("A row for each cell that died in the last days.", DEATH_HEADINGS),
    }


def write(result: Any, to: str, out: Path) -> list[Path]:
    """Write the results of a run in another format: all files, or none where that fails.

    Args:
        result: A `TrialResult` or `ExperimentResult`.
        to: One of `FORMATS`.
        out: Folder of the files.

    Returns:
        The files.

    Raises:
        InputError: For an unknown format, or one in which the run cannot be said.
    """
    if to not in FORMATS:
        raise InputError(f"unknown format '{to}'{did_you_mean(to, [*FORMATS, 'h5ad'])}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".tme-export-", dir=out.parent) as scratch:
        names = [path.relative_to(scratch) for path in _write(result, to, Path(scratch))]
        for name in names:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(scratch) / name).replace(out / name)
    return [out / name for name in names]


def _write(result: Any, to: str, out: Path) -> list[Path]:
    if to == "csv":
        return _as_csv(result, out)
    study = getattr(result, "study", None)
    if not isinstance(study, Study):
        raise InputError(f"'{result.name}' is an experiment of the laboratory, which has no {to} data sets; export it --to csv")
    if to == "adam":
        from tme_abm.export import adam

        return adam.write(adam.make(study, result.patients, result.trajectory), out)
    from tme_abm.export import dosing

    return dosing.write(dosing.make(study, result.patients, result.trajectory), out)


def _as_csv(result: Any, out: Path) -> list[Path]:
    """Every table as CSV, a piece at a time where it stands on disk, and the dictionary of their columns as one more."""
    import pandas as pd

    if hasattr(result, "study"):
        stored = [name for name in ("patients", "trajectory", "days", "cells") if (result.folder / f"{name}.parquet").exists()]
        made = {"arms": result.summary, "comparisons": result.comparisons}
    else:
        stored, made = ["table"], {}
    out.mkdir(parents=True, exist_ok=True)
    written, listed = [], []
    for name in (*stored, *made):
        path = out / f"{name}.csv"
        pieces = tables.Stored(result.folder / f"{name}.parquet").pieces() if name in stored else [made[name]]
        for i, piece in enumerate(pieces):
            piece.to_csv(path, index=False, lineterminator="\n", mode="a" if i else "w", header=not i)
        table = tables.read_notes(result.folder / f"{name}.parquet") if name in stored else made[name]
        table = table if table.attrs.get("units") else tables.annotate(table, _headings(result, name))
        written.append(path)
        notes = table.attrs
        listed += [
            (name, column, notes["units"].get(column, ""), notes["meanings"].get(column, ""), notes["allowed"].get(column, ""))
            for column in table.columns
        ]
    path = out / "columns.csv"
    pd.DataFrame(listed, columns=["table", "column", "unit", "meaning", "allowed"]).to_csv(path, index=False, lineterminator="\n")
    return [*written, path]


def _headings(result: Any, name: str) -> tuple[Heading, ...]:
    """The headings of a table whose file tells none, as of an older version."""
    if name == "table":
        return OF_EXPERIMENTS[result.experiment.resolved["kind"]]
    return {"patients": PATIENT_HEADINGS, "trajectory": TRAJECTORY_HEADINGS}.get(name, ())
