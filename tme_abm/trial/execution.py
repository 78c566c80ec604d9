"""Run a study: grow every patient, fork the arms, follow them to the event or the cut-off, write the tables.

Results do not depend on who carries the patients out, nor in which order, because every draw is addressed. A patient counts once her
case stands in the journal of the results folder; a run that was stopped or killed goes on from there. One whose run fails is tried once
more, and is then a row with a status, never a hole in the batch.
"""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import import_module
from threading import Thread
from typing import Any

from tme_abm.batch.desk import Desk
from tme_abm.batch.executors import Threads
from tme_abm.batch.journal import Journal
from tme_abm.batch.progress import FAILED, Progress, Silence
from tme_abm.batch.results import Results
from tme_abm.foundation.rng import Stream, stream_key, uniform
from tme_abm.mechanisms.outside.catalogue import BrokenMechanism
from tme_abm.patients.population import draw_patient
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.simulation.compiling import addresses
from tme_abm.simulation.simulation import Simulation, enrol, make_patient_key
from tme_abm.trial.arm import draw_exits, treat
from tme_abm.trial.recording import Recorder, pack
from tme_abm.trial.study import Study

ATTEMPTS = 2  # at a patient, the first included, before she counts as failed


@dataclass
class Case:
    """What one patient's run gave; all of it can stand in a line of the journal.

    Attributes:
        index: Number of the patient.
        patients: Her row of each arm.
        visits: Rows of the visits.
        hashes: Digest of the end of each arm.
        cell_updates: Cells times steps.
        killing: Deaths of clones by cause, of each arm.
        days: Rows of the recorded days.
        cells: The recorded cells, as `trial.recording.pack` packs them.
    """

    index: int
    patients: list[dict[str, Any]]
    visits: list[dict[str, Any]]
    hashes: list[str]
    cell_updates: int
    killing: dict[str, list[int]]
    days: list[dict[str, Any]] = field(default_factory=list)
    cells: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether an arm of the patient has."""
        return any(row["status"] == "failed" for row in self.patients)


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
    """Grow one patient and follow every arm that she is in; once more where that fails, as a machine may have been at fault."""
    case = Case(index, [], [], [], 0, {})
    for attempt in range(ATTEMPTS):
        case = _attempt(study, index, progress if attempt == 0 else Silence())
        if not case.has_failed:
            break
    progress.advance(1, "treating")
    return case


def _attempt(study: Study, index: int, progress: Progress) -> Case:
    case = Case(index, [], [], [], 0, {})
    arms = allocated(study, index)
    cells: list[Any] = []
    try:
        grown, screened_out = enrol(study.population, study.settings, study.seed, index)
        progress.advance(1, "growing")
        exits = draw_exits(grown.patient, study, grown.key)
        for regimen in arms:
            recorder = Recorder(study, index, regimen.key)
            arm, record = treat(grown, regimen, exits, study, recorder=recorder)
            result = arm.result(record, screened_out)
            case.patients.append(result)
            case.visits.extend(arm.rows if study.record.visits else ())
            case.days.extend(recorder.days)
            cells.extend(recorder.cells)
            case.hashes.append(result["state_hash"])
            case.cell_updates += int(arm.simulation.marrow.body.updates[0] - grown.marrow.body.updates[0])
            case.killing[regimen.key] = [int(x) for x in arm.simulation.marrow.body.clone_ledger.sum(axis=0)]
        case.cell_updates += int(grown.marrow.body.updates[0])
    except (BrokenMechanism, MemoryError):  # the fault of no patient: the others would fail as well, or be wrong
        raise
    except Exception as failure:  # one failed run neither ends nor silently thins a batch
        place = traceback.extract_tb(failure.__traceback__)[-1].name
        _fail(case, arms, f"{type(failure).__name__}: {failure} ({place})")
    case.cells = pack(cells)
    return case


def _fail(case: Case, arms: tuple[Regimen, ...], reason: str) -> None:
    """Give a case the rows of the arms that it lacks."""
    done = {row["arm"] for row in case.patients}
    case.patients.extend(
        {"patient": case.index, "arm": arm.key, "status": "failed", "failure": reason} for arm in arms if arm.key not in done
    )


def given_up(study: Study, index: int, error: Exception) -> Case:
    """The case of a patient whose worker did not live to tell what happened.

    Raises:
        Exception: The error, where it is no patient's fault.
    """
    from tme_abm.batch.executors import Crashed

    if not isinstance(error, Crashed):
        raise error
    case = Case(index, [], [], [], 0, {})
    _fail(case, allocated(study, index), f"{type(error).__name__}: {error}")
    return case


def compile_kernels(study: Study) -> None:
    """Compile what a run needs, on a patch of the smallest size, so that no patient waits for it."""
    from dataclasses import replace

    addresses()
    patient = draw_patient(study.population, study.seed, 0)
    small = Simulation(patient, replace(study.settings, height=32, width=32), 1)
    small.advance(1)
    for regimen in study.arms:
        small.fork(regimen, study.drugs).advance(1)


def run_alone(study: Study, index: int) -> Case:
    """A patient in another process, which tells nobody how far it has come."""
    return run_patient(study, index, Silence())


def import_ahead() -> None:
    """Import what tables, statistics and figures will need, beside the patients: most of a second that nobody then waits for.

    Not beside kernels that are read from the cache, nor one patient alone: most of that is Python too, and two threads that take turns
    at its lock need a third longer than one after the other.
    """
    for name in ("pandas", "pyarrow.parquet"):
        import_module(name)
    import_module("tme_abm.drawing").import_matplotlib()


def run_patients(study: Study, journal: Journal, desk: Desk, own: range | None = None) -> None:
    """Run the patients that a journal does not hold yet; each is on disk before she counts.

    Args:
        study: What to run.
        journal: Where patients are kept.
        desk: Who does the work and who is told.
        own: Which patients, where these are not all.

    Raises:
        Stopped: Where that was asked for; the journal holds who was finished.
    """
    progress = desk.progress
    journal.forget(lambda key: key.startswith(FAILED))  # they have another chance
    own = range(study.patients) if own is None else own
    n_done = len(journal)
    if n_done:
        desk.say(f"{n_done} of {len(own)} patients stand on disk; going on with the others")
    if journal.damaged:
        desk.say(f"{journal.damaged} damaged line{'s' * (journal.damaged > 1)} of the journal left out; what they held is run again")
    if n_done >= len(own):
        return
    progress.phase("compiling", 1)
    compile_kernels(study)
    progress.advance(1, "compiling")
    desk.stop.check()
    with importing() if len(own) - n_done > 1 else nullcontext():
        _run(study, journal, desk, own, n_done)


def _run(study: Study, journal: Journal, desk: Desk, own: range, n_done: int) -> None:
    """Run those who are not on disk, once all is compiled."""
    progress = desk.progress
    for phase in ("growing", "treating"):
        progress.phase(phase, len(own))
        if n_done:
            progress.advance(n_done, phase)
    is_here = isinstance(desk.executor, Threads)
    work: Callable[[int], Case] = partial(run_patient, study, progress=progress) if is_here else partial(run_alone, study)
    todo = (index for index in own if str(index) not in journal)
    n_failed = 0
    for index, case in desk.executor.run(work, todo, desk.stop, partial(given_up, study)):
        journal.add(f"{FAILED}-{index}" if case.has_failed else str(index), asdict(case))
        if not is_here:
            progress.advance(1, "growing")
            progress.advance(1, "treating")
        if case.has_failed:
            n_failed += 1
            if n_failed == 1:
                progress.phase(FAILED, None)
            progress.advance(1, FAILED)


@contextmanager
def importing() -> Iterator[None]:
    """Meanwhile, `import_ahead` on a thread of its own."""
    thread = Thread(target=import_ahead, name="imports", daemon=True)
    thread.start()
    try:
        yield
    finally:  # a program that ends in the middle of an import may not end in peace
        thread.join()


def run_study(study: Study, results: Results, desk: Desk) -> dict[str, Any]:
    """Run a study and write its results: its tables, summary.json, run.json, report.html, figures/.

    Args:
        study: What to run.
        results: The folder of results, in which an earlier command may have begun.
        desk: Who does the work and who is told.

    Returns:
        The summary, as summary.json holds it.

    Raises:
        InputError: Where every patient failed.
        Stopped: Where that was asked for.
    """
    from tme_abm.trial.tables import write_results

    start = time.perf_counter()
    run_patients(study, results.journal, desk)
    desk.stop.check()
    return write_results(study, results, desk.stop, start)
