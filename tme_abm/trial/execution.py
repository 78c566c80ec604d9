"""Run a study: grow every patient, fork the arms, follow them to the event or the cut-off, write the tables.

Patients run on threads: the kernels let go of Python's lock, share their compiled code, and results do not depend on how many
threads there are, because every draw is addressed. A patient whose run fails is a row with a status, never a hole in the batch;
rows go to disk as they come.
"""

import hashlib
import json
import math
import os
import platform
import shutil
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from tme_abm.foundation.clock import DAYS_PER_MONTH, HOURS_PER_DAY, months
from tme_abm.foundation.declare import fill
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.rng import Stream, normal, stream_key, uniform
from tme_abm.marrow.cells import N_CAUSES, Cause
from tme_abm.outcomes import imwg, mrd, pfs
from tme_abm.outcomes.imwg import Assessment, Assessor, Reading, is_at_least, is_hidden, measure
from tme_abm.patient import VirtualPatient, covariates, draw_patient, provenance
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.simulation import Simulation, enrol, make_patient_key
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

MRD_EVERY = 6  # visits between tests for residual disease while the response is deep enough
PART = 20  # patients whose rows go to disk together
CODE = (  # from which a simulated patient follows
    *("foundation", "marrow", "mechanisms", "pharmacology", "outcomes", "populations"),
    *("patient.py", "simulation.py", "trial/execution.py"),
)
PACKAGES = ("tme-abm", "numpy", "numba", "pandas", "scipy", "lifelines", "mesa")


class Progress(Protocol):
    """Who is told how far a run has come."""

    def phase(self, name: str, total: int | None) -> None:
        """A phase of a length begins; phases may run side by side."""

    def advance(self, n: float = 1, phase: str | None = None) -> None:
        """So much more of a phase is done."""


class Silence:
    """Nobody is told."""

    def phase(self, name: str, total: int | None) -> None:
        """Nothing."""

    def advance(self, n: float = 1, phase: str | None = None) -> None:
        """Nothing."""


class Exits(NamedTuple):
    """The ways out of a study other than progression, the same in every arm of a patient."""

    death_day: float
    dropout_day: float
    cutoff_day: float
    discontinuation_day: float = math.inf  # treatment ends, follow-up goes on

    @property
    def last_day(self) -> float:
        """The end of follow-up."""
        return min(self.death_day, self.dropout_day, self.cutoff_day)


@dataclass
class Case:
    """What one patient's run gave."""

    index: int
    patients: list[dict[str, Any]]
    visits: list[dict[str, Any]]
    hashes: list[str]
    cell_updates: int
    killing: dict[str, list[int]]


def draw_exits(patient: VirtualPatient, study: Study, key: int) -> Exits:
    """When a patient would leave the study by other doors."""

    def waiting_days(which: int, rate_per_month: float) -> float:
        if rate_per_month <= 0.0:
            return math.inf
        u = float(uniform(stream_key(key, int(Stream.EXIT), 0), which))
        return -math.log1p(-u) / rate_per_month * DAYS_PER_MONTH

    return Exits(
        waiting_days(0, patient.death_rate_per_month),
        waiting_days(1, patient.dropout_rate_per_month),
        study.follow_up.days(patient.entry_fraction),
        waiting_days(2, patient.discontinuation_rate_per_month),
    )


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


class Visit(NamedTuple):
    """One assessment."""

    number: int
    reading: Reading
    antibody_ug_per_ml: float


class Arm:
    """One patient under one regimen, visit by visit."""

    def __init__(self, simulation: Simulation, regimen: Regimen, exits: Exits, study: Study) -> None:
        """Take a simulation that is about to begin the regimen."""
        self.simulation, self.regimen, self.exits, self.study = simulation, regimen, exits, study
        self.patient = simulation.patient
        self.rows: list[dict[str, Any]] = []
        self.days: list[float] = []
        self.mrd_negative = False
        self.mrd_tested = False
        self._deaths = {name: 0 for name in DEATHS}
        interference = float(uniform(stream_key(simulation.key, int(Stream.INTERFERENCE), 0), 0))
        first = self._read(0, 0.0)
        self.assessor = Assessor(first.reading, interference)
        self._note(first, {d.name: 0.0 for d in simulation.course.drugs})
        self.last: Assessment | None = None

    def follow(self) -> pfs.Record:
        """Run to confirmed progression, another exit or the cut-off."""
        step_h = self.simulation.settings.step_h
        per_visit = round(self.study.visit_days * HOURS_PER_DAY / step_h)
        number = 0
        while True:
            number += 1
            if self.simulation.day + self.study.visit_days > self.exits.last_day:
                break
            if self.simulation.day >= self.exits.discontinuation_day:  # decided at a visit
                self.simulation.course.stop_all()
            exposure = self.simulation.advance(per_visit)
            levels = {d.name: float(exposure.concentration[-1, i]) for i, d in enumerate(self.simulation.course.drugs)}
            antibody = sum(levels[d.name] for d in self.simulation.course.drugs if d.drug_class == "antibody")
            visit = self._read(number, antibody)
            self.last = self.assessor.assess(visit.reading)
            self._test_residual_disease(number)
            self._note(visit, levels)
            if self.last.is_progression_confirmed:
                break
        progression = self.last.progression_day if self.last is not None and self.last.is_progression_confirmed else None
        return pfs.record(
            self.days,
            self.exits.cutoff_day,
            progression,
            self.exits.death_day if math.isfinite(self.exits.death_day) else None,
            self.exits.dropout_day if math.isfinite(self.exits.dropout_day) else None,
        )

    def _read(self, number: int, antibody: float) -> Visit:
        z = float(normal(stream_key(self.simulation.key, int(Stream.ASSAY), number), 0))
        true = self.simulation.m_protein
        hidden = is_hidden(self.patient.ig_type, self.patient.light_chain, antibody)
        reading = Reading(self.simulation.day, measure(true, z), self.simulation.plasma_fraction, true, hidden)
        return Visit(number, reading, antibody)

    def _test_residual_disease(self, number: int) -> None:
        """Test where the response first is deep enough, every few visits from then on, and at the end of a regimen that ends."""
        if self.mrd_negative or self.last is None or not is_at_least(self.last.best_confirmed_response, "VGPR"):
            return
        stop = self.regimen.stop_day
        ends_now = stop is not None and self.simulation.day - self.study.visit_days < stop <= self.simulation.day
        if self.mrd_tested and number % MRD_EVERY != 0 and not ends_now:
            return
        u = float(uniform(stream_key(self.simulation.key, int(Stream.MRD_SAMPLE), number), 0))
        result = mrd.sample(self.last.best_confirmed_response, self.simulation.plasma_fraction, u)
        self.mrd_tested = True
        self.mrd_negative = result.is_negative

    def _note(self, visit: Visit, levels: Mapping[str, float]) -> None:
        seen = self.simulation.observe()
        row: dict[str, Any] = {
            "patient": self.patient.index,
            "arm": self.regimen.key,
            "visit": visit.number,
            "day": visit.reading.day,
            "month": months(visit.reading.day),
        }
        for name, value in seen.items():
            if name in self._deaths:
                row[name] = value - self._deaths[name]
                self._deaths[name] = int(value)
            else:
                row[name] = value
        row["m_protein_measured_g_per_l"] = visit.reading.m_protein
        row["effector_activity"] = seen["t_cell_granzyme"] * seen["reactive_t_cells"] + seen["nk_granzyme"] * seen["nk_cells"]
        row |= {f"concentration_{name}_ug_per_ml": value for name, value in levels.items()}
        self.rows.append(row)
        self.days.append(visit.reading.day)

    def result(self, record: pfs.Record, screened_out: int) -> dict[str, Any]:
        """The patient's row of this arm."""
        best = self.last.best_confirmed_response if self.last is not None else self.assessor.best
        return {
            **covariates(self.patient),
            "arm": self.regimen.key,
            "status": "completed",
            "failure": "",
            "screened_out": screened_out,
            "pfs_days": record.days,
            "pfs_event": record.event,
            "event_kind": record.kind,
            "censoring_reason": record.reason,
            "best_response": best,
            "responder": is_at_least(best, "PR"),
            "mrd_negative": self.mrd_negative,
            "time_to_response_days": self.assessor.response_day if self.assessor.response_day is not None else math.nan,
            "baseline_m_protein_g_per_l": self.assessor.baseline.m_protein,
            "nadir_m_protein_g_per_l": self.assessor.nadir,
            "grown_days": self.simulation.treated_from * self.simulation.settings.step_h / HOURS_PER_DAY,
            "state_hash": self.simulation.state_hash(),
        }


DEATHS = tuple(f"deaths_{c.name.lower()}" for c in Cause if c < N_CAUSES)


def treat(
    grown: Simulation, regimen: Regimen, exits: Exits, study: Study, without: frozenset[str] | None = None
) -> tuple[Arm, pfs.Record]:
    """Follow one arm of a grown patient to its end; `without` as `Simulation.fork` takes it."""
    arm = Arm(grown.fork(regimen, study.drugs, without), regimen, exits, study)
    return arm, arm.follow()


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
    from tme_abm.trial.statistics import summarise

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
    patients.to_parquet(folder / "patients.parquet", index=False)
    trajectory.to_parquet(folder / "trajectory.parquet", index=False)
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


def describe_run(study: Study) -> dict[str, Any]:
    """All that is needed to run a study again, and every number with its origin."""
    rows = [{"name": name, **origin._asdict()} for name, origin in study.settings.origins().items()]
    for name in sorted({drug for arm in study.arms for drug in arm.drugs}):
        rows += [{"name": f"drugs.{name}.{n}", **origin._asdict()} for n, origin in study.drugs[name].origins().items()]
    rows += [{**row._asdict(), "name": f"population.{row.name}"} for row in provenance(study.population)]
    for name, block in (("response", imwg.Params), ("mrd", mrd.Params)):
        rows += [{"name": f"{name}.{n}", **origin._asdict()} for n, origin in fill(block).origins.items()]
    return {
        "name": study.name,
        "seed": study.seed,
        "patients": study.patients,
        "scenario": study.resolved,
        "parameters": rows,
        "model": model_digest(),
        **describe_machine(),
    }


def describe_machine() -> dict[str, Any]:
    """With what and where a run was made."""
    return {
        "versions": {**versions(), "python": platform.python_version()},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def model_digest(root: Path | None = None) -> str:
    """Short digest of all files of the package from which a simulated patient follows."""
    top = root or Path(__file__).parents[1]
    digest = hashlib.sha256()
    found = [top / name for name in CODE]
    for path in sorted(p for f in found for p in (f.rglob("*") if f.is_dir() else [f]) if p.suffix in (".py", ".toml")):
        digest.update(path.relative_to(top).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of installed packages."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except Exception:
            continue
    return found


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
