"""Run a study: grow every patient, fork the arms, follow them to the event or the cut-off, write the tables.

Patients run on threads: the kernels let go of Python's lock, share their compiled code, and results do not depend on how many
threads there are, because every draw is addressed. A patient whose run fails is a row with a status, never a hole in the batch;
rows go to disk as they come.
"""

import hashlib
import json
import os
import shutil
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

from tme_abm import tables
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.rng import Stream, stream_key, uniform
from tme_abm.marrow.cells import N_CAUSES, Cause
from tme_abm.patients.population import draw_patient
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.simulation.simulation import Simulation, enrol, make_patient_key
from tme_abm.trial.arm import PATIENT_HEADINGS, TRAJECTORY_HEADINGS, draw_exits, treat
from tme_abm.trial.progress import Progress, Silence
from tme_abm.trial.provenance import describe_run
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")
PART = 20  # patients whose rows go to disk together


@dataclass
class Case:
    """What one patient's run gave."""

    index: int
    patients: list[dict[str, Any]]
    visits: list[dict[str, Any]]
    hashes: list[str]
    cell_updates: int
    killing: dict[str, list[int]]


def allocated(study: Study, index: int) -> tuple[Regimen, ...]:
    """The arms that a patient is in: all in a paired design, one drawn by the allocation in a parallel one."""
    if study.design == "paired":
        return study.arms
    mark = float(uniform(stream_key(make_patient_key(study.seed, index), int(Stream.ALLOCATION), 0), 0)) * sum(study.allocation)
    for arm, weight in zip(study.arms, study.allocation, strict=True):
        mark -= weight
        if mark < 0.0:
            return (arm,)
    return (study.arms[-1],)


def run_patient(study: Study, index: int, progress: Progress) -> Case:
    """Grow one patient and follow every arm that she is in."""
    case = Case(index, [], [], [], 0, {})
    arms = allocated(study, index)
    try:
        grown, screened_out = enrol(study.population, study.settings, study.seed, index)
        progress.advance(1, "growing")
        exits = draw_exits(grown.patient, study, grown.key)
        for regimen in arms:
            arm, record = treat(grown, regimen, exits, study)
            result = arm.result(record, screened_out)
            case.patients.append(result)
            case.visits.extend(arm.rows)
            case.hashes.append(result["state_hash"])
            case.cell_updates += int(arm.simulation.marrow.body.updates[0] - grown.marrow.body.updates[0])
            case.killing[regimen.key] = [int(x) for x in arm.simulation.marrow.body.clone_ledger.sum(axis=0)]
        case.cell_updates += int(grown.marrow.body.updates[0])
    except Exception as failure:  # one failed run neither ends nor silently thins a batch
        done = {row["arm"] for row in case.patients}
        reason = f"{type(failure).__name__}: {failure} ({traceback.extract_tb(failure.__traceback__)[-1].name})"
        case.patients.extend(
            {"patient": index, "arm": arm.key, "status": "failed", "failure": reason} for arm in arms if arm.key not in done
        )
    progress.advance(1, "treating")
    return case


def compile_kernels(study: Study) -> None:
    """Compile what a run needs, on a patch of the smallest size, so that no patient waits for it."""
    from dataclasses import replace

    patient = draw_patient(study.population, study.seed, 0)
    small = Simulation(patient, replace(study.settings, height=32, width=32), 1)
    small.advance(1)
    for regimen in study.arms:
        small.fork(regimen, study.drugs).advance(1)


def cases(study: Study, workers: int, progress: Progress) -> Iterator[Case]:
    """The cases of a study in the order of the patients."""
    return in_order(
        lambda index: run_patient(study, index, progress), range(study.patients), workers, meanwhile=lambda: import_ahead(study)
    )


def in_order(
    work: Callable[[int], T],
    indices: Iterable[int],
    workers: int,
    halt: Event | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> Iterator[T]:
    """What `work` makes of each of `indices`, in their order, on threads.

    Args:
        work: Called on a thread of its own with one index.
        indices: In this order.
        workers: Threads.
        halt: Set as soon as nobody takes further results, so that long work can stop early.
        meanwhile: Called on the caller's thread once the work has begun.
    """
    with ThreadPoolExecutor(max(1, workers)) as pool:
        running = deque(pool.submit(work, index) for index in indices)
        try:
            if meanwhile is not None:
                meanwhile()
            while running:
                yield running.popleft().result()  # and let go of it: rows go to disk as they come
        finally:
            if halt is not None:
                halt.set()
            for future in running:
                future.cancel()


def import_ahead(study: Study) -> None:
    """Import what tables, statistics and figures will need, while the patients run: a second or two that nobody then waits for."""
    for name in ("pandas", "pyarrow.parquet", "matplotlib.figure", *(["lifelines"] if study.comparisons else [])):
        import_module(name)


def run_study(study: Study, folder: Path, workers: int | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Run a study and write its results: patients.parquet, trajectory.parquet, summary.json, run.json, report.html, figures/.

    Args:
        study: What to run.
        folder: Where to write; made where it is missing.
        workers: Patients at a time; the number of cores where it is left out.
        progress: Who is told how far it has come.

    Returns:
        The summary, as summary.json holds it.

    Raises:
        InputError: Where every patient failed.
    """
    from tme_abm.trial.report import write_report
    from tme_abm.trial.summary import summarise

    progress = progress or Silence()
    start = time.perf_counter()
    progress.phase("compiling", 1)
    compile_kernels(study)
    progress.advance(1, "compiling")
    progress.phase("growing", study.patients)
    progress.phase("treating", study.patients)

    folder.mkdir(parents=True, exist_ok=True)
    parts = folder / "parts"
    shutil.rmtree(parts, ignore_errors=True)  # what an interrupted run may have left
    parts.mkdir()
    digest = hashlib.blake2b(digest_size=16)
    updates = 0
    killing = {arm.key: [0] * N_CAUSES for arm in study.arms}
    waiting: list[Case] = []
    for case in cases(study, workers or os.cpu_count() or 1, progress):
        updates += case.cell_updates
        for name in case.hashes:
            digest.update(name.encode())
        for arm, deaths in case.killing.items():
            killing[arm] = [a + b for a, b in zip(killing[arm], deaths, strict=True)]
        waiting.append(case)
        if len(waiting) == PART:
            _write_part(parts, waiting)
            waiting = []
    if waiting:
        _write_part(parts, waiting)
    patients, trajectory = _join(parts, "patients"), _join(parts, "trajectory")
    failed = patients[patients["status"] == "failed"]
    if len(failed) == len(patients):
        raise InputError(f"every patient of {study.name} failed; the first: {failed['failure'].iloc[0]}")
    tables.write(patients, folder / "patients.parquet", PATIENT_HEADINGS)
    tables.write(trajectory, folder / "trajectory.parquet", TRAJECTORY_HEADINGS)
    shutil.rmtree(parts)

    statistics = summarise(patients, [arm.key for arm in study.arms], list(study.comparisons), study.design, study.ci_level)
    summary = {
        "scenario": study.name,
        "seed": study.seed,
        "patients": study.patients,
        "failed": int(failed["patient"].nunique()),
        **statistics,
        "killing": {arm: _shares(deaths) for arm, deaths in killing.items()},
        "cell_updates": updates,
        "wall_seconds": round(time.perf_counter() - start, 2),
        "state_hash": digest.hexdigest(),
    }
    write_json(folder / "summary.json", summary)
    write_json(folder / "run.json", describe_run(study))
    write_report(folder)
    return summary


def _shares(deaths: list[int]) -> dict[str, float]:
    total = sum(deaths)
    return {c.name.lower(): deaths[c] / total for c in Cause if c < N_CAUSES and total and deaths[c]}


def _write_part(parts: Path, waiting: list[Case]) -> None:
    import pandas as pd

    name = f"{waiting[0].index:07d}.parquet"
    for kind, rows in (("patients", [r for c in waiting for r in c.patients]), ("trajectory", [r for c in waiting for r in c.visits])):
        target = parts / kind
        target.mkdir(exist_ok=True)
        pd.DataFrame(rows).to_parquet(target / name, index=False)


def _join(parts: Path, kind: str) -> "pd.DataFrame":
    import pandas as pd

    tables = [pd.read_parquet(path) for path in sorted((parts / kind).glob("*.parquet"))]
    tables = [table for table in tables if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of JSON; numbers of numpy become plain ones."""
    path.write_text(json.dumps(content, indent=2, default=_plain) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    convert: Callable[[], Any] | None = getattr(value, "item", None)
    return convert() if convert is not None else str(value)
