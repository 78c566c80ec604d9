"""Draw a bank, or go on with one: each patient grown once, each of her runs on disk as it ends."""

import hashlib
import math
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import tme_abm
from tme_abm import tables
from tme_abm.analysis.bank.draw import Sitting, first_sitting, population_of, read_sitting
from tme_abm.analysis.bank.plan import BankArm, Plan
from tme_abm.analysis.bank.rates import RATES
from tme_abm.analysis.bank.record import PATIENT_HEADINGS, RUN_HEADINGS, VISIT_COLUMNS, VISIT_HEADINGS, watch
from tme_abm.analysis.run_book import FOLLOWED, digest, duration, probe_seconds
from tme_abm.batch.desk import Desk
from tme_abm.batch.executors import Crashed, Threads
from tme_abm.batch.files import write_json
from tme_abm.batch.journal import Journal
from tme_abm.batch.results import Results, open_results
from tme_abm.export.crate import Subject, describe_folder
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.rng import Stream, stream_key, uniform
from tme_abm.foundation.toml import to_toml
from tme_abm.mechanisms.outside.catalogue import BrokenMechanism
from tme_abm.patients.patient import covariates
from tme_abm.patients.population import Population, draw_patient
from tme_abm.patients.reading import FOLDER as POPULATIONS
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.simulation.simulation import Simulation, make_patient_key
from tme_abm.trial.arm import draw_exits
from tme_abm.trial.execution import compile_kernels
from tme_abm.trial.provenance import describe_machine, describe_outside, describe_run, model_files
from tme_abm.trial.study import Study

SUBJECT = Subject("bank", "Bank of virtual patients", "Patients drawn wider than any population, each grown once and run under many arms.")
STOP_DRAW = 2  # which of the dice of the ways out ends treatment (`trial.arm.draw_exits`)
PIECE = 200  # runs whose visits are in memory at a time


@dataclass(frozen=True)
class Candidate:
    """One candidate and the runs that are wanted of her."""

    sitting: int
    place: int
    cohort: int
    arms: tuple[str, ...]

    @property
    def key(self) -> str:
        """Her name in the journal."""
        return f"{self.sitting}:{self.place}"


@dataclass(frozen=True)
class Work:
    """Runs that are to be made.

    Attributes:
        plan: Arms by key.
        candidates: Whose.
        populations: (sitting, cohort) -> from which she is drawn.
    """

    plan: Plan
    candidates: Sequence[Candidate]
    populations: Mapping[tuple[int, int], Population]

    def carry_out(self, number: int, keep: Callable[[str, Mapping[str, Any]], None]) -> None:
        """Grow a candidate and follow her under her arms, each run kept as it ends."""
        one = self.candidates[number]
        follow(one, self.populations[one.sitting, one.cohort], [self.plan.arms[key] for key in one.arms], self.plan.seed, keep)

    def collect(self, number: int) -> list[tuple[str, Mapping[str, Any]]]:
        """The same, together: in another process."""
        lines: list[tuple[str, Mapping[str, Any]]] = []
        self.carry_out(number, lambda key, line: lines.append((key, line)))
        return lines

    def give_up(self, number: int, error: Exception) -> list[tuple[str, Mapping[str, Any]]]:
        """The runs of a candidate over which worker processes died, as failed; any other error is raised."""
        if not isinstance(error, Crashed):
            raise error
        one = self.candidates[number]
        return [(f"{one.key}:{arm}", _failed(f"{type(error).__name__}: {error}", 0.0)) for arm in one.arms]


def follow(
    one: Candidate, population: Population, arms: Sequence[BankArm], seed: int, keep: Callable[[str, Mapping[str, Any]], None]
) -> None:
    """Grow a candidate once and follow her under some arms.

    Nobody takes her place where her disease does not become eligible: that she was drawn, and is none of those who are treated, is what
    the weights rest on.
    """
    own = seed + one.sitting
    key = make_patient_key(own, one.place)
    start = time.thread_time()
    patient = draw_patient(population, own, one.place)
    grown: Simulation | None = None
    failure, is_eligible = "", False
    try:
        grown = Simulation(patient, arms[0].study.settings, key)
        is_eligible = grown.grow()
    except (BrokenMechanism, MemoryError):
        raise
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
    row = covariates(patient) | {
        "sitting": one.sitting,
        "place": one.place,
        "cohort_number": one.cohort,
        "key": str(key),
        "is_eligible": is_eligible,
        "stop_draw": float(uniform(stream_key(key, int(Stream.EXIT), 0), STOP_DRAW)),
    }
    keep(one.key, {"patient": row, "core_seconds": round(time.thread_time() - start, 4)})
    if not is_eligible and not failure:
        return
    for arm in arms:
        start = time.thread_time()
        try:
            if grown is None:
                raise RuntimeError(failure)
            ways_out = draw_exits(patient, arm.study, key)
            ways_out = ways_out._replace(death_day=math.inf, dropout_day=math.inf, cutoff_day=arm.until_days)
            line = watch(grown, arm, ways_out, arm.study)
            line["run"] |= {"status": "completed", "failure": "", "core_seconds": round(time.thread_time() - start, 4)}
        except (BrokenMechanism, MemoryError):
            raise
        except Exception as error:  # one failed run neither ends nor silently thins a bank
            where = traceback.extract_tb(error.__traceback__)[-1].name
            line = _failed(failure or f"{type(error).__name__}: {error} ({where})", time.thread_time() - start)
        keep(f"{one.key}:{arm.key}", line)


def _failed(reason: str, seconds: float) -> dict[str, Any]:
    return {"run": {"status": "failed", "failure": reason, "core_seconds": round(seconds, 3)}, "visits": {n: [] for n in VISIT_COLUMNS}}


def identity(plan: Plan) -> dict[str, Any]:
    """What makes patients of two commands those of one bank: its dice, its marrow and the model but for the populations.

    Which populations its cohorts were drawn from is written down with each sitting; a fit may change the files afterwards.
    """
    catalogue = next(iter(plan.arms.values())).study.settings.catalogue
    outside = describe_outside(catalogue)
    return {
        "seed": plan.seed,
        "marrow": plan.form.marrow.model_dump(mode="json"),
        "version_of_the_model": rules_digest(),
        **({"mechanisms_from_outside": outside} if outside else {}),
    }


@cache
def rules_digest() -> str:
    """Short digest of all files from which the run of a patient follows who has been drawn."""
    top = Path(tme_abm.__file__).parent
    found = hashlib.sha256()
    for path in model_files(top):
        if path.parent != POPULATIONS:
            found.update(path.relative_to(top).as_posix().encode())
            found.update(path.read_bytes())
    return found.hexdigest()[:12]


def arm_digest(arm: BankArm) -> str:
    """Short digest of all that a run follows from, but for the patient and the model."""
    study, settings = arm.study, arm.study.settings
    drugs = [repr(replace(study.drugs[name], file=Path())) for name in arm.regimen.drugs]
    numbers = [(name, origin.value) for name, origin in settings.origins().items()]
    given = [repr(replace(arm.regimen, key="", label="")), drugs, sorted(settings.without), study.visits, arm.until_days, numbers]
    return digest(given)


def regimen_digest(study: Study, regimen: Regimen) -> str:
    """Short digest of what is given and when it is judged, by which arms of different scenarios are known to be the same.

    Rates that a trait multiplies (`weights.RATES`) are left out: patients are weighed for them.
    """
    drugs = []
    for name in regimen.drugs:
        drug = study.drugs[name]
        effects = {}
        for mechanism, filled in drug.effects.items():
            numbers = filled.params._asdict()
            numbers.pop(RATES[mechanism][0] if mechanism in RATES else "", None)
            effects[mechanism] = numbers
        drugs.append([repr(replace(drug, file=Path(), effects={})), sorted(effects.items())])
    return digest([repr(replace(regimen, key="", label="")), drugs, study.visits])


def rates_of(study: Study, regimen: Regimen) -> dict[str, float]:
    """The rates of an arm's drugs that a trait multiplies: path -> value."""
    return {
        f"drugs.{name}.{mechanism}.{rate}": float(getattr(study.drugs[name].effects[mechanism].params, rate))
        for name in regimen.drugs
        for mechanism, (rate, _) in RATES.items()
        if mechanism in study.drugs[name].effects
    }


def described_arms(plan: Plan) -> dict[str, Any]:
    """What must be known of the arms to weigh their patients: arm -> facts."""
    return {
        key: {
            "label": arm.regimen.label,
            "scenario": arm.study.name,
            "regimen": regimen_digest(arm.study, arm.regimen),
            "acts": sorted(arm.acts),
            "rates": rates_of(arm.study, arm.regimen),
            "until_days": arm.until_days,
            "is_combination": arm.is_combination,
        }
        for key, arm in plan.arms.items()
    }


def refuse_other_arms(plan: Plan, journal: Journal) -> None:
    """Note what each arm is, and refuse one that is another than before.

    Raises:
        InputError: For such an arm.
    """
    for key, arm in plan.arms.items():
        own, name = {"digest": arm_digest(arm)}, f"arm-{key}"
        if name not in journal:
            journal.add(name, own)
        elif journal.read(name) != own:
            raise InputError(f"{plan.file}: arms.{key} is another than in the bank; give it another key, or begin anew with --force")


@contextmanager
def open_bank(folder: Path, plan: Plan, force: bool = False, resume: bool = False) -> Iterator[Results]:
    """Make the folder of a bank, or go on in one.

    Raises:
        InputError: For arms that do not go together, a file, a folder that holds something else or another bank, or one that is in use.
    """
    _refuse_other_rules(plan)
    with open_results(folder, identity(plan), force, resume) as results:
        results.before_publishing = partial(describe_folder, study=SUBJECT)
        for name, content in next(iter(plan.arms.values())).study.settings.catalogue.copies().items():
            results.attach(name, content)
        (results.new / "bank.toml").write_text(to_toml(plan.form.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
        yield results


def sittings_of(journal: Journal) -> list[Sitting]:
    """The sittings of a bank so far."""
    found: list[Sitting] = []
    while f"sitting-{len(found)}" in journal:
        found.append(read_sitting(journal.read(f"sitting-{len(found)}")))
    return found


def draw_bank(plan: Plan, folder: Path, patients: int, group: str, desk: Desk, force: bool = False) -> dict[str, Any]:
    """Draw the first sitting of a bank, or go on with it; what stands in the folder is not run again.

    Args:
        plan: What is drawn and run.
        folder: Where.
        patients: Candidates of the sitting; more than before adds to it.
        group: Which arms: "controls", "combinations" or "all".
        desk: Who does the work, and who is told.
        force: Whether to begin anew.

    Returns:
        The summary, as summary.json holds it.
    """
    with open_bank(folder, plan, force, desk.resume) as results:
        results.say = desk.warn
        refuse_other_arms(plan, results.journal)
        before = sittings_of(results.journal)
        sitting = first_sitting(plan, patients, before[0] if before else None)
        results.journal.add("sitting-0", sitting.table())
        return _carry_out(plan, results, [sitting, *before[1:]], group, desk)


def add_sitting(plan: Plan, folder: Path, sitting: Sitting, desk: Desk, group: str = "controls") -> dict[str, Any]:
    """Add another sitting to a bank and run it.

    Raises:
        InputError: Where it does not follow on those that stand there.
    """
    with open_bank(folder, plan) as results:
        results.say = desk.warn
        refuse_other_arms(plan, results.journal)
        before = sittings_of(results.journal)
        if sitting.number > len(before) or not before:
            raise InputError(f"{folder}: sitting {sitting.number} cannot come after {len(before)} sittings")
        results.journal.add(f"sitting-{sitting.number}", sitting.table())
        return _carry_out(plan, results, [*before[: sitting.number], sitting, *before[sitting.number + 1 :]], group, desk)


def _carry_out(plan: Plan, results: Results, sittings: Sequence[Sitting], group: str, desk: Desk) -> dict[str, Any]:
    """Run what the journal lacks and write the tables."""
    wanted = plan.only(group)
    journal = results.journal
    todo, populations = [], {}
    for sitting in sittings:
        for c, cohort in enumerate(sitting.cohorts):
            populations[sitting.number, c] = population_of(cohort, sitting.widen)
        for place, c in enumerate(sitting.cohort_of()):
            one = Candidate(sitting.number, place, c, tuple(arm for arm in sitting.cohorts[c].arms if arm in wanted))
            known = journal.read(one.key) if one.key in journal else None
            if not one.arms or (known is not None and not known["patient"]["is_eligible"]):
                continue
            missing = tuple(arm for arm in one.arms if f"{one.key}:{arm}" not in journal)
            if missing:
                todo.append(Candidate(one.sitting, one.place, one.cohort, missing))
    if todo:
        _run(Work(plan, todo, populations), journal, desk)
    desk.stop.check()
    summary = write_tables(plan, sittings, journal, results.new)
    probe = next(iter(plan.arms.values())).study
    write_json(results.new / "summary.json", summary)
    write_json(results.new / "sittings.json", {"sittings": [sitting.table() for sitting in sittings], "arms": described_arms(plan)})
    write_json(results.new / "run.json", describe_run(probe) | {"sources": results.sources(), **describe_machine()})
    results.publish(is_final=False)
    return summary


def _refuse_other_rules(plan: Plan) -> None:
    """A patient is grown once, so all arms must share what she grows under."""
    first, *others = plan.arms.values()
    for arm in others:
        a, b = first.study.settings, arm.study.settings
        if (a.parameters, a.without) != (b.parameters, b.without):
            raise InputError(f"{plan.file}: the scenarios of the arms {first.key} and {arm.key} set different numbers or mechanisms")


def _run(work: Work, journal: Journal, desk: Desk) -> None:
    progress, probe = desk.progress, next(iter(work.plan.arms.values())).study
    progress.phase("compiling", 1)
    compile_kernels(probe)
    for arm in work.plan.arms.values():
        if arm.study is not probe:
            compile_kernels(arm.study)
    progress.advance(1, "compiling")
    desk.stop.check()
    n = sum(len(one.arms) for one in work.candidates)
    months = sum(work.plan.arms[key].until_days for one in work.candidates for key in one.arms) / DAYS_PER_MONTH
    seconds = probe_seconds(probe) * FOLLOWED * months
    desk.say(
        f"{n} runs of {len(work.candidates)} candidates; at most about {duration(seconds)} of one core, "
        f"{duration(seconds / desk.executor.workers)} with {desk.executor.workers} at a time"
    )
    progress.phase("running", len(work.candidates))

    def keep(key: str, line: Mapping[str, Any]) -> None:
        journal.add(key, line)

    is_here = isinstance(desk.executor, Threads)
    task: Callable[[int], Any] = partial(work.carry_out, keep=keep) if is_here else work.collect
    for done in desk.executor.run(task, range(len(work.candidates)), desk.stop, work.give_up):
        for key, line in done.result or ():
            keep(key, line)
        progress.advance(1, "running")


def write_tables(plan: Plan, sittings: Sequence[Sitting], journal: Journal, folder: Path) -> dict[str, Any]:
    """Write what a journal holds as tables: patients, runs, visits.

    Returns:
        The summary: how many, and what they took.
    """
    import pyarrow.parquet as pq

    patients: list[dict[str, Any]] = []
    runs: list[dict[str, Any]] = []
    grown_seconds, number = 0.0, 0
    with tables.DataSet(folder / "visits.parquet", tables.make_schema(VISIT_HEADINGS)) as visits:
        piece: list[dict[str, Any]] = []
        for sitting in sittings:
            for place, c in enumerate(sitting.cohort_of()):
                key = f"{sitting.number}:{place}"
                if key in journal:
                    line = journal.read(key)
                    grown_seconds += line["core_seconds"]
                    own = {**line["patient"], "patient": number, "cohort": sitting.cohorts[c].population}
                    patients.append(own)
                    for arm in plan.arms:
                        if f"{key}:{arm}" in journal:
                            found = journal.read(f"{key}:{arm}")
                            who = {"patient": number, "arm": arm}
                            runs.append(who | found["run"])
                            columns = found["visits"]
                            piece += [who | dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
                    if len(piece) > PIECE * 10:
                        visits.add(piece)
                        piece = []
                number += 1
        if piece:
            visits.add(piece)
    pq.write_table(tables.as_table(patients, tables.make_schema(PATIENT_HEADINGS)), folder / "patients.parquet")
    pq.write_table(tables.as_table(runs, tables.make_schema(RUN_HEADINGS)), folder / "runs.parquet")
    done = [run for run in runs if run["status"] == "completed"]
    seconds = grown_seconds + sum(run["core_seconds"] for run in runs)
    return {
        "candidates": len(patients),
        "eligible": sum(bool(row["is_eligible"]) for row in patients),
        "runs": len(done),
        "failed": len(runs) - len(done),
        "failures": [f"{run['patient']} {run['arm']}: {run['failure']}" for run in runs if run["status"] == "failed"][:20],
        "runs_of_arms": {key: sum(run["arm"] == key for run in done) for key in plan.arms},
        "core_seconds_of_growing": _short(grown_seconds / max(len(patients), 1)),
        "core_seconds_of_arms": {
            key: _short(sum(r["core_seconds"] for r in done if r["arm"] == key) / max(sum(r["arm"] == key for r in done), 1))
            for key in plan.arms
        },
        "core_hours": _short(seconds / 3600.0),
        "model": rules_digest(),
    }


def _short(value: float) -> float:
    return float(f"{value:.4g}")
