"""The same patients under many conditions, remembered on disk: what all questions over many runs share.

A condition (`Point`) is an arm, the mechanisms that are off in it, and the numerics. A patient is grown once for each choice of
numerics and forked into all conditions, so they share patient, marrow and dice. Nobody drops out and no cut-off comes before the
horizon: a virtual patient can be watched to its end, so the mean over patients of the time to progression, death or the horizon is
the restricted mean PFS itself, without an estimator. Each run is a line on disk as soon as it is finished.
"""

import hashlib
import json
import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from tme_abm.batch.desk import Desk
from tme_abm.batch.executors import Crashed, Threads
from tme_abm.batch.results import Results, open_results
from tme_abm.export.crate import describe_folder
from tme_abm.foundation.clock import DAYS_PER_MONTH, HOURS_PER_DAY
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import to_toml
from tme_abm.mechanisms.outside.catalogue import BrokenMechanism, Catalogue
from tme_abm.pharmacology.drug import Drug
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.simulation.simulation import Simulation, enrol
from tme_abm.trial import attachments
from tme_abm.trial.arm import Exits, draw_exits, treat
from tme_abm.trial.execution import compile_kernels
from tme_abm.trial.provenance import describe_outside, describe_run, model_digest
from tme_abm.trial.study import Study

EARLY_VISITS = 3  # visits of which each run keeps the burden, and whose deaths it counts apart
FOLLOWED = 0.7  # share of the horizon that a patient is followed, for the guess of the time that a run takes
BOOK = "runs.jsonl"  # all runs, for people to read


class Point(NamedTuple):
    """One condition of a patient."""

    arm: str
    without: frozenset[str] = frozenset()
    height: int = 0  # of the patch [sites]; 0 is that of the study
    width: int = 0
    step_h: float = 0.0  # [h]; 0 is that of the study

    @property
    def numerics(self) -> tuple[int, int, float]:
        """Patch and step."""
        return self.height, self.width, self.step_h


class RunBook:
    """Runs that stand in the journal of a folder of results, written down as they finish; what stands there is not run again.

    Attributes:
        rows: (patient, point) -> row, of runs that were completed.
        failed: The same of runs that have failed, which are tried again next time.
    """

    def __init__(self, results: Results) -> None:
        """Read what stands there."""
        self.results = results
        self.rows: dict[tuple[int, Point], dict[str, Any]] = {}
        self.failed: dict[tuple[int, Point], dict[str, Any]] = {}
        for row in results.journal.read_all(results.journal):
            self._enter(row)

    def _enter(self, row: dict[str, Any]) -> None:
        key = row["patient"], point_of(row)
        if row["status"] == "completed":
            self.rows[key] = row
            self.failed.pop(key, None)
        elif key not in self.rows:
            self.failed[key] = row

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a run down."""
        key = digest([row["patient"], row["arm"], row["without"], row["height"], row["width"], row["step_h"]])
        self.results.journal.add(key, row)
        self._enter(self.results.journal.read(key))

    def write(self, path: Path) -> None:
        """Write all runs as lines of JSON, the first of what they have in common."""
        rows = sorted(chain(self.rows.values(), self.failed.values()), key=lambda row: (row["patient"], row["arm"], row["without"]))
        lines = [json.dumps(line) for line in (self.results.identity, *rows)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def values(self, patient: int, points: Sequence[Point], name: str) -> list[float] | None:
        """A quantity of one patient under each of some conditions; None where a run is missing."""
        rows = [self.rows.get((patient, point)) for point in points]
        return None if any(row is None for row in rows) else [float(row[name]) for row in rows]  # type: ignore[index]


def point_of(row: Mapping[str, Any]) -> Point:
    """The condition of a run that was written down."""
    return Point(row["arm"], frozenset(row["without"]), row["height"], row["width"], row["step_h"])


@contextmanager
def open_book(folder: Path, study: Study, stamp: Mapping[str, Any], force: bool = False, resume: bool = False) -> Iterator[RunBook]:
    """Make a folder for runs, or go on in one; its scenario.toml is the study as resolved.

    Args:
        folder: Where.
        study: What will run there.
        stamp: What all its runs have in common.
        force: Whether to begin anew where it holds runs.
        resume: Whether there must be runs to go on with.

    Raises:
        InputError: For a file, a folder that holds something else or other runs, or one that is in use.
    """
    table, copies = attachments.gather(study.resolved)
    with open_results(folder, stamp, force, resume) as results:
        results.before_publishing = partial(describe_folder, study=study)
        for name, content in (copies | study.settings.catalogue.copies()).items():
            results.attach(name, content)
        (results.new / "scenario.toml").write_text(to_toml(table), encoding="utf-8")
        yield RunBook(results)


def make_stamp(study: Study, horizon_days: float, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    """What makes the runs of two studies comparable: the study but for its size, every number, the horizon and the sources.

    Args:
        study: What is run.
        horizon_days: How long patients are watched [d].
        leave_out: Keys of the scenario that may differ from run to run.
    """
    omitted = {"seed", "patients", "title", "summary", "published", "record", *leave_out}
    table, copies = attachments.gather(study.resolved)
    scenario = {key: value for key, value in table.items() if key not in omitted}
    numbers = [(row["name"], row["value"]) for row in describe_run(study)["parameters"]]
    return {
        "scenario": scenario,
        "seed": study.seed,
        "sources": {name: digest(content.decode()) for name, content in copies.items()},
        "set_of_parameters": digest(numbers),
        "horizon_days": horizon_days,
        "version_of_the_model": model_digest(),
        **({"mechanisms_from_outside": outside} if (outside := describe_outside(study.settings.catalogue)) else {}),
    }


def digest(content: Any) -> str:
    """Short digest of what JSON can hold."""
    return hashlib.blake2b(json.dumps(content, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()


def acts_in(study: Study, arm: Regimen) -> frozenset[str]:
    """Mechanisms that act in an arm: those of the disease, and those that come with a drug of the arm."""
    given = {name for drug in arm.drugs for name in come_with(study.drugs[drug], study.settings.catalogue)}
    of_disease = {m.name for m in study.settings.catalogue.mechanisms if not m.by_drug and not m.answers}
    return frozenset((given | of_disease) - study.settings.without)


def come_with(drug: Drug, catalogue: Catalogue) -> frozenset[str]:
    """Mechanisms by which a drug acts, and those by which the tumour answers it."""
    return frozenset(drug.effects) | {m.name for m in catalogue.mechanisms if m.answers and m.answers == drug.antigen}


def whole_visits(study: Study, days: float) -> float:
    """The last visit on or before a day [d], so that who has no event was seen at the horizon.

    Raises:
        InputError: Where there is no visit before it.
    """
    first = study.visits.length(1)
    if days < first - 1e-9:
        raise InputError(f"a horizon of {days / DAYS_PER_MONTH:.2g} months ends before the first visit on day {first:g}")
    visits = study.visits.begun(days + 1e-9)
    end = study.visits.start(visits + 1)
    return end if end <= days + 1e-9 else study.visits.start(visits)


class Run(NamedTuple):
    """A run that is wanted of a patient."""

    point: Point  # its place in the book
    study: Study  # with the numerics of the point
    arm: Regimen


Group = tuple[int, Sequence[Run]]  # a patient, and runs of hers that grow alike


def carry_out(study: Study, plan: Callable[[int], Sequence[Point]], book: RunBook, horizon_days: float, desk: Desk) -> None:
    """Run what the plan wants of each patient and the book does not hold yet, and say first how long that will take.

    Args:
        study: Who and what.
        plan: Conditions of a patient, by index.
        book: Where runs are written.
        horizon_days: How long patients are watched; a whole number of visits [d].
        desk: Who does the work, and who is told of each run (under "running") and how long it will take.
    """
    known: dict[tuple[int, int, float], Study] = {}
    arms = {arm.key: arm for arm in study.arms}
    groups: list[Group] = []
    for index in range(study.patients):
        alike: dict[tuple[int, int, float], list[Run]] = {}
        for point in plan(index):
            if (index, point) not in book.rows:
                at = known.setdefault(point.numerics, with_numerics(study, point))
                alike.setdefault(point.numerics, []).append(Run(point, at, arms[point.arm]))
        groups += [(index, runs) for runs in alike.values()]
    run_groups(groups, study, book, horizon_days, desk)


def run_groups(groups: Sequence[Group], probe: Study, book: RunBook, horizon_days: float, desk: Desk) -> None:
    """Make runs that the book does not hold yet, and say first how long that will take.

    Args:
        groups: Whose runs, and which.
        probe: The study of which a month is run to see how fast this machine is.
        book: Where runs are written.
        horizon_days: How long patients are watched; a whole number of visits [d].
        desk: Who does the work, and who is told of each run (under "running") and how long it will take.
    """
    book.results.say = desk.warn
    if not groups:
        desk.say("all runs stand on disk")
        return
    progress, workers = desk.progress, desk.executor.workers
    progress.phase("compiling", 1)
    compile_kernels(probe)
    progress.advance(1, "compiling")
    desk.stop.check()
    n = sum(len(group) for _, group in groups)
    cost = sum(relative_cost(probe, run.study) for _, group in groups for run in group)
    seconds = cost * probe_seconds(probe) * FOLLOWED * horizon_days / DAYS_PER_MONTH / workers
    of_whom = f"{n} runs of {len({index for index, _ in groups})} patients, {len(book.rows)} runs stand on disk"
    desk.say(f"{of_whom}; about {duration(seconds)} with {workers} at a time")
    progress.phase("running", n)
    runs = Runs(groups, horizon_days)

    def keep(row: Mapping[str, Any]) -> None:
        book.add(row)
        progress.advance(1, "running")

    is_here = isinstance(desk.executor, Threads)
    work: Callable[[int], Any] = partial(runs.carry_out, keep=keep) if is_here else runs.collect
    for done in desk.executor.run(work, range(len(groups)), desk.stop, runs.give_up):
        for row in done.result or ():
            keep(row)


@dataclass(frozen=True)
class Runs:
    """Runs that are to be made.

    Attributes:
        groups: Whose, and which.
        horizon_days: How long patients are watched [d].
    """

    groups: Sequence[Group]
    horizon_days: float

    def carry_out(self, number: int, keep: Callable[[Mapping[str, Any]], None]) -> None:
        """The runs of a group, each kept as it ends."""
        index, group = self.groups[number]
        follow(index, group, self.horizon_days, keep)

    def collect(self, number: int) -> list[Mapping[str, Any]]:
        """The runs of a group, together: in another process."""
        rows: list[Mapping[str, Any]] = []
        self.carry_out(number, rows.append)
        return rows

    def give_up(self, number: int, error: Exception) -> list[Mapping[str, Any]]:
        """The runs of a group over which worker processes died, as failed; any other error is raised."""
        if not isinstance(error, Crashed):
            raise error
        index, group = self.groups[number]
        failed = {"screened_out": 0, "status": "failed", "failure": f"{type(error).__name__}: {error}", "seconds": 0.0}
        return [_row(index, run.point) | failed for run in group]


def follow(index: int, group: Sequence[Run], horizon_days: float, keep: Callable[[Mapping[str, Any]], None]) -> None:
    """Grow a patient once and follow her under conditions that grow alike, keeping each run as it ends."""
    own = group[0].study
    grown, exits, screened_out, failure = None, None, 0, ""
    for run in group:
        row = _row(index, run.point)
        start = time.perf_counter()
        try:
            if failure:
                raise RuntimeError(failure)
            if grown is None or exits is None:
                try:
                    grown, screened_out = enrol(own.population, own.settings, own.seed, index)
                except (BrokenMechanism, MemoryError):
                    raise
                except Exception as error:
                    failure = f"{type(error).__name__}: {error}"
                    raise
                exits = draw_exits(grown.patient, own, grown.key)._replace(dropout_day=math.inf, cutoff_day=horizon_days)
            row |= watch(grown, run.arm, exits, run.study, run.point.without) | {"screened_out": screened_out}
        except (BrokenMechanism, MemoryError):  # every run would fail of it, or be wrong
            raise
        except Exception as error:  # one failed run neither ends nor silently thins a batch
            where = traceback.extract_tb(error.__traceback__)[-1].name
            row |= {"status": "failed", "failure": failure or f"{type(error).__name__}: {error} ({where})"}
        row["seconds"] = round(time.perf_counter() - start, 3)
        keep(row)


def _row(index: int, point: Point) -> dict[str, Any]:
    """The beginning of a row: which run it is, and that it went well."""
    row: dict[str, Any] = {"patient": index, "arm": point.arm, "without": sorted(point.without)}
    return row | {"height": point.height, "width": point.width, "step_h": point.step_h, "status": "completed", "failure": ""}


def watch(grown: Simulation, regimen: Regimen, exits: Exits, study: Study, without: frozenset[str]) -> dict[str, Any]:
    """One run of a grown patient, in numbers."""
    plasma_cells = int(grown.observe()["plasma_cells"])
    arm, record = treat(grown, regimen, exits, study, study.settings.without | without)
    result = arm.result(record, 0)
    row: dict[str, Any] = {
        "pfs_days": result["pfs_days"],
        "pfs_event": bool(result["pfs_event"]),
        "event_kind": result["event_kind"],
        "best_response": result["best_response"],
        "responder": bool(result["responder"]),
        "mrd_negative": bool(result["mrd_negative"]),
        "grown_days": result["grown_days"],
        "plasma_cells": plasma_cells,
    }
    start = max(arm.rows[0]["tumour_cells_total"], 1.0)
    for visit in range(1, EARLY_VISITS + 1):
        seen = arm.rows[visit]["tumour_cells_total"] if visit < len(arm.rows) else math.nan
        row[f"log10_burden_visit_{visit}"] = math.log10(max(seen, 1.0) / start) if seen == seen else None
    followed_early = len(arm.rows) > EARLY_VISITS
    for name in study.settings.catalogue.deaths:
        deaths = [visit[name] for visit in arm.rows]
        row[name] = int(sum(deaths))
        row[f"early_{name}"] = int(sum(deaths[: EARLY_VISITS + 1])) / max(plasma_cells, 1) if followed_early else None
    return row


def with_numerics(study: Study, point: Point) -> Study:
    """The study on the patch and with the step of a point."""
    settings = study.settings
    height, width, step_h = point.height or settings.height, point.width or settings.width, point.step_h or settings.step_h
    return replace(study, settings=replace(settings, height=height, width=width, step_h=step_h))


def relative_cost(study: Study, other: Study) -> float:
    """What a run of another study costs relative to one with a study's own patch and step."""
    own, at = study.settings, other.settings
    return at.height * at.width / (own.height * own.width) * own.step_h / at.step_h


def probe_seconds(study: Study) -> float:
    """Seconds that this machine takes for a month of one patient under the study's first arm, with its numerics; compiled before."""
    grown, _ = enrol(study.population, study.settings, study.seed, 0)
    simulation = grown.fork(study.arms[0], study.drugs)
    per_visit = round(28.0 * HOURS_PER_DAY / study.settings.step_h)
    start = time.perf_counter()
    simulation.advance(per_visit)
    return (time.perf_counter() - start) * DAYS_PER_MONTH / 28.0


def duration(seconds: float) -> str:
    """A length of time in words."""
    if seconds < 90.0:
        return f"{max(seconds, 1.0):.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 5400.0 else f"{seconds / 3600.0:.1f} h"
