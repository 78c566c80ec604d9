"""The tables and the summary of a study, made from the journal of its patients."""

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tme_abm import tables
from tme_abm.batch.files import write_json
from tme_abm.batch.journal import Journal
from tme_abm.batch.progress import FAILED
from tme_abm.batch.results import Results
from tme_abm.batch.stopping import Stop
from tme_abm.foundation.errors import InputError
from tme_abm.simulation.simulation import make_patient_key
from tme_abm.trial.arm import PATIENT_HEADINGS, TRAJECTORY_HEADINGS
from tme_abm.trial.provenance import describe_run
from tme_abm.trial.recording import CELL_HEADINGS, DAY_HEADINGS, headings_of, unpack
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

PIECE = 100  # patients whose visits and days are in memory at a time
MOST_FAILURES = 100  # of which the summary tells


def keys(journal: Journal, study: Study) -> Iterator[str]:
    """Where the journal holds each patient, in the order of the patients."""
    return (key if (key := str(index)) in journal else f"{FAILED}-{index}" for index in range(study.patients))


def write_results(study: Study, results: Results, stop: Stop, start: float) -> dict[str, Any]:
    """Write tables, summary, run.json and report, and let them take the place of earlier ones.

    Args:
        study: What has run.
        results: The folder, whose journal holds all patients.
        stop: Looked at between two of these.
        start: When the command began (`time.perf_counter`).

    Returns:
        The summary, as summary.json holds it.

    Raises:
        InputError: Where every patient failed.
    """
    from tme_abm.trial.report import write_report
    from tme_abm.trial.summary import summarise

    folder = results.new
    totals = write_tables(study, results.journal, folder)
    patients = tables.read_bare(folder / "patients.parquet")
    failed = patients[patients["status"] == "failed"]
    if len(failed) == len(patients):
        raise InputError(f"every patient of {study.name} failed; the first: {failed['failure'].iloc[0]}")
    stop.check()
    summary = {
        "scenario": study.name,
        "seed": study.seed,
        "patients": study.patients,
        "failed": int(failed["patient"].nunique()),
        "failures": describe_failures(study, failed),
        **summarise(patients, [arm.key for arm in study.arms], list(study.comparisons), study.design, study.ci_level),
        **totals,
        "wall_seconds": round(time.perf_counter() - start, 2),
    }
    write_json(folder / "summary.json", summary)
    write_json(folder / "run.json", describe_run(study) | {"sources": results.sources()})
    stop.check()
    write_report(folder, results.folder)
    stop.check()
    results.publish()
    return summary


def schemas(study: Study) -> dict[str, "pa.Schema"]:
    """The tables that a study writes beside that of its patients: name -> columns."""
    record, found = study.record, {}
    if record.visits:
        found["trajectory"] = tables.make_schema(headings_of(study, TRAJECTORY_HEADINGS))
    if record.days is not None:
        found["days"] = tables.make_schema(headings_of(study, DAY_HEADINGS))
    if record.cells is not None:
        found["cells"] = tables.make_schema(CELL_HEADINGS, is_narrow=True)
    return found


def write_tables(study: Study, journal: Journal, folder: Path) -> dict[str, Any]:
    """Write what a journal holds as tables, in the order of the patients; only a few patients are in memory at a time.

    A row for each patient and arm stands in one file, as all statistics need it whole; the other tables are data sets.

    Args:
        study: What has run.
        journal: Holds all its patients.
        folder: Where to write.

    Returns:
        What adds up over patients: `killing`, `cell_updates`, `state_hash`.
    """
    import pyarrow.parquet as pq

    digest = hashlib.blake2b(digest_size=16)
    updates = 0
    causes = study.settings.catalogue.causes
    killing = {arm.key: [0] * (1 + max(causes.values())) for arm in study.arms}
    of_patients, patients = tables.make_schema(PATIENT_HEADINGS), []
    with ExitStack() as stack:
        sets = {n: stack.enter_context(tables.DataSet(folder / f"{n}.parquet", schema)) for n, schema in schemas(study).items()}

        def read() -> Iterator[dict[str, Any]]:
            for case in journal.read_all(keys(journal, study)):
                if packed := case.pop("cells"):  # too many to wait for other patients
                    sets["cells"].add_table(unpack(packed))
                yield case

        cases = read()
        while piece := list(islice(cases, PIECE)):
            for case in piece:
                updates += case["cell_updates"]
                for name in case["hashes"]:
                    digest.update(name.encode())
                for arm, deaths in case["killing"].items():
                    killing[arm] = [a + b for a, b in zip(killing[arm], deaths, strict=True)]
            patients.append(tables.as_table([row for case in piece for row in case["patients"]], of_patients))
            for name, kind in (("trajectory", "visits"), ("days", "days")):
                if name in sets:
                    sets[name].add([row for case in piece for row in case[kind]])
    pq.write_table(tables.joined(patients, of_patients), folder / "patients.parquet")
    return {
        "killing": {arm: _shares(deaths, causes) for arm, deaths in killing.items()},
        "cell_updates": updates,
        "state_hash": digest.hexdigest(),
    }


def describe_failures(study: Study, failed: "pd.DataFrame") -> list[dict[str, Any]]:
    """Who failed and why, with the seeds from which the failure comes again."""
    rows: dict[int, list[dict[str, Any]]] = {}
    for row in failed.to_dict("records"):
        rows.setdefault(int(row["patient"]), []).append({str(name): value for name, value in row.items()})
    return [
        {
            "patient": index,
            "arms": [row["arm"] for row in own],
            "error": own[0]["failure"],
            "seed": study.seed,
            "key": str(make_patient_key(study.seed, index)),
        }
        for index, own in islice(rows.items(), MOST_FAILURES)
    ]


def _shares(deaths: list[int], causes: Mapping[str, int]) -> dict[str, float]:
    total = sum(deaths)
    return {name: deaths[column] / total for name, column in causes.items() if total and deaths[column]}
