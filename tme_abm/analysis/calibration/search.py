"""The search for the values of the free numbers whose trials come nearest to the published ones."""

import hashlib
import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.analysis.calibration.plan import STUDY_FILE, Free, Load, Plan, Unfit, placed
from tme_abm.analysis.calibration.simulator import Simulate, Simulator
from tme_abm.analysis.calibration.targets import Residual, Target, loss, measure, targets
from tme_abm.analysis.numbers import current, parse
from tme_abm.batch.desk import Desk
from tme_abm.batch.files import write_whole
from tme_abm.batch.journal import Journal
from tme_abm.foundation.declare import number
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.toml import naming_lines, parse_toml, read_text
from tme_abm.trial.provenance import describe_outside, model_digest
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import optuna

STARTUP = 12  # trials at random before the sampler learns
INTERRUPTED = "interrupted"  # marks trials that a crash has ended
FRESH = 500  # number of the first replicate whose dice no search uses


@dataclass(frozen=True)
class Fit:
    """A search: what is fitted, by whom, and where it is kept.

    Attributes:
        plan: What is fitted to what.
        goals: The published figures.
        start: Path -> value from which the search sets out.
        simulate: Who runs the model.
        folder: Where the study file and the results stand.
        patients: Of each scenario.
        replicates: Runs of each scenario, of which the mean counts.
        journal: What was simulated before, by scenario and values; what stands there is not run again.
        outside: The mechanisms that came along from outside, with digests.
    """

    plan: Plan
    goals: tuple[Target, ...]
    start: Mapping[str, float]
    simulate: Simulate
    folder: Path
    patients: int
    replicates: int = 1
    journal: Journal | None = None
    outside: Mapping[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """What makes losses comparable."""
        return {
            "patients": self.patients,
            "replicates": self.replicates,
            "seed": self.plan.seed,
            "tolerance": dict(self.plan.tolerance),
            "targets": [[*goal[:4]] for goal in self.goals],
            "free": [[*free[:4]] for free in self.plan.free],
            "held": dict(self.plan.fixed),
            "model": model_digest(),
            **self.outside,
        }

    def residuals(self, scenario: str, values: Mapping[str, float], first: int = 0) -> list[Residual]:
        """The targets of one scenario beside the simulation; `first` is the number of the first replicate."""
        goals = [goal for goal in self.goals if goal.scenario == scenario]
        key = hashlib.blake2b(json.dumps([scenario, dict(values), first], sort_keys=True).encode(), digest_size=12).hexdigest()
        if self.journal is not None and key in self.journal:
            told = self.journal.read(key)["residuals"]
            return [Residual(goal, *found) for goal, found in zip(goals, told, strict=True)]
        tables = [self.simulate(scenario, values, first + r) for r in range(self.replicates)]
        residuals = [measure(goal, tables) for goal in goals]
        if self.journal is not None:
            self.journal.add(key, {"residuals": [[*residual[1:]] for residual in residuals]})
        return residuals


def need_optuna() -> None:
    """Say in one line that Optuna is missing.

    Raises:
        InputError: Where it is.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise InputError("a search needs Optuna, which is not installed: pip install 'optuna>=4.1'") from None


def arrange(plan: Plan, free: Sequence[str] = (), settings: Sequence[str] = (), start: Path | None = None, hold: bool = False) -> Plan:
    """A plan as the command line asks for it.

    Args:
        plan: From which to set out.
        free: The numbers that may change; all of the plan where none is named.
        settings: "PATH=VALUE" of numbers to hold.
        start: A calibrated.toml; the search sets out from its values, and what is not free is held at them.
        hold: Whether what that file has fitted is held too, but for the numbers named in `free`.

    Raises:
        InputError: For a path that the plan does not free, or a setting that is none.
    """
    held: dict[str, float] = {}
    for text in settings:
        path, _, value = text.partition("=")
        try:
            held[path.strip()] = float(value)
        except ValueError:
            raise InputError(f"--set {text}: write PATH=VALUE with a number") from None
        parse(path.strip())
    known = [f.path for f in plan.free]
    for path in free:
        if path not in known:
            raise InputError(f"--free {path}: the plan has no such free number{did_you_mean(path, known)}")
    if free:
        plan = replace(plan, free=tuple(f for f in plan.free if f.path in free))
    plan = plan.fix(held)
    given = {} if start is None else {path: value for path, value in read_values(start).items() if path not in held}
    names = {f.path for f in plan.free} & (set(free) if hold else set(known))
    held_there = {path: value for path, value in given.items() if path not in names}
    return replace(plan.fix(held_there), start={path: value for path, value in given.items() if path in names})


def prepare(plan: Plan, load: Load, folder: Path, patients: int, replicates: int, desk: Desk) -> Fit:
    """A search with the model itself.

    Raises:
        InputError: For a target that is none, a path that acts nowhere, or a start outside of its range.
    """
    by_name: Callable[[Any], Study] = load
    studies: dict[str, Study] = {}
    goals: list[Target] = []
    for name, arms in plan.targets.items():
        with placed(plan, f"targets.{name}"):
            studies[name] = by_name(name)
            goals += targets(studies[name], name, arms, plan.tolerance)
    for path in plan.fixed:
        parse(path)
    start = {}
    for free in plan.free:
        with placed(plan, f"free[{free.at}]"):
            start[free.path] = _within(free, plan.start.get(free.path, _start(free, studies)))
    outside = describe_outside(next(iter(studies.values())).settings.catalogue) if studies else {}
    return Fit(plan, tuple(goals), start, Simulator(plan, studies, load, patients, desk), folder, patients, replicates, outside=outside)


def _start(free: Free, studies: Mapping[str, Study]) -> float:
    """The value of a free number as the model stands."""
    found = {name: current(studies[name], free.path) for name in free.acts if name in studies}
    for name, value in found.items():
        if value is None:
            raise InputError(f"{free.path} does not act on {name}, though the plan says so")
    values = {value for value in found.values() if value is not None}
    if len(values) != 1:
        raise InputError(f"{free.path} has several values: {', '.join(f'{v:g} in {n}' for n, v in found.items())}")
    return values.pop()


def _within(free: Free, value: float) -> float:
    if not free.low <= value <= free.high:
        raise InputError(f"{free.path} = {value:g} lies outside of its range, {free.low:g} to {free.high:g}")
    return value


def begin(fit: Fit) -> "optuna.Study":
    """Open the study file of a search, or make it.

    Raises:
        InputError: Where the file holds a search for something else.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if not fit.plan.free:
        raise InputError("nothing is free: every number is fixed or acts on none of the chosen scenarios")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    fit.folder.mkdir(parents=True, exist_ok=True)
    mend(fit.folder / STUDY_FILE)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(fit.folder / STUDY_FILE))),
        sampler=_sampler(fit.plan.seed),
        pruner=_pruner(),
        study_name="calibration",
        load_if_exists=True,
    )
    wanted = json.loads(json.dumps(fit.settings()))
    before = study.user_attrs.get("settings")
    if before is None:
        study.set_user_attr("settings", wanted)
    elif before != wanted:
        key = next(key for key in wanted if before.get(key) != wanted[key])
        raise InputError(
            f"{fit.folder / STUDY_FILE} holds a search with other settings ({key}); begin anew with --force, or give another --out"
        )
    take_up(study)
    begun = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.WAITING
    if not any(is_at(trial, fit.start) for trial in study.get_trials(deepcopy=False, states=begun)):
        study.enqueue_trial(dict(fit.start))
    return study


def mend(path: Path) -> int:
    """Take lines out of a study file that a crash has cut short, or that were written behind such a one.

    Returns:
        Lines that were lost.
    """
    if not path.is_file():
        return 0
    lines = path.read_bytes().splitlines(keepends=True)
    whole = [line for line in lines if line.endswith(b"\n") and _is_entry(line)]
    if len(whole) < len(lines):
        write_whole(path, b"".join(whole))
    return len(lines) - len(whole)


def _is_entry(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def take_up(study: "optuna.Study") -> None:
    """Try again what a crash has interrupted, with the same values; what was simulated of it stands in the journal."""
    import optuna

    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study._storage.set_trial_user_attr(trial._trial_id, INTERRUPTED, True)
        study._storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.FAIL)
        if trial.params:
            study.enqueue_trial(trial.params)


def is_at(trial: "optuna.trial.FrozenTrial", values: Mapping[str, float]) -> bool:
    """Whether a trial is at a set of values."""
    given = trial.params or trial.system_attrs.get("fixed_params", {})
    return set(given) == set(values) and all(math.isclose(given[k], v, rel_tol=1e-9) for k, v in values.items())


def search(fit: Fit, n_trials: int, tell: Callable[[str], None] = lambda text: None) -> "optuna.Study":
    """Try sets of values until the study file holds so many trials.

    Args:
        fit: What is searched.
        n_trials: Trials in all, those of earlier calls included.
        tell: Who is told, a line for each trial.

    Raises:
        InputError: As `begin`; where the model does not even run with the values that it has.
    """
    study = begin(fit)
    while (number := len(finished(study))) < n_trials:
        study.optimize(lambda trial: _objective(fit, trial, tell), n_trials=1, catch=(Unfit,))
        if number == 0 and not complete(study):
            reason = study.get_trials(deepcopy=False)[-1].user_attrs.get("unfit", "")
            if reason:
                raise InputError(f"the model does not run with the values that it has: {reason}")
    return study


def finished(study: "optuna.Study") -> list["optuna.trial.FrozenTrial"]:
    """Trials that have ended, in whichever way but by a crash."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished() and INTERRUPTED not in trial.user_attrs]


def complete(study: "optuna.Study") -> list["optuna.trial.FrozenTrial"]:
    """Trials that have a loss."""
    import optuna

    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def _objective(fit: Fit, trial: "optuna.Trial", tell: Callable[[str], None]) -> float:
    import optuna

    values = {f.path: trial.suggest_float(f.path, f.low, f.high, log=f.scale == "log") for f in fit.plan.free}
    found: list[Residual] = []
    for step, scenario in enumerate(fit.plan.targets):
        try:
            found += fit.residuals(scenario, values)
        except Unfit as unfit:
            trial.set_user_attr("unfit", str(unfit))
            tell(f"trial {trial.number}: {unfit}")
            raise
        trial.report(loss(found), step)
        if step < len(fit.plan.targets) - 1 and trial.should_prune():
            tell(f"trial {trial.number}: given up after {scenario} at a loss of {loss(found):.1f}")
            raise optuna.TrialPruned
    trial.set_user_attr("simulated", [r.value for r in found])
    trial.set_user_attr("errors", [r.error for r in found])
    tell(f"trial {trial.number}: loss {loss(found):.2f}")
    return loss(found)


def _sampler(seed: int) -> "optuna.samplers.BaseSampler":
    """TPE whose chance is addressed by the number of the trial: an interrupted search goes on as if it had not been."""
    from optuna.samplers import BaseSampler, TPESampler

    class Addressed(BaseSampler):
        def _at(self, study: Any, trial: Any, name: str = "") -> TPESampler:
            lost = sum(INTERRUPTED in t.user_attrs for t in study.get_trials(deepcopy=False) if t.number < trial.number)
            address = zlib.crc32(f"{seed}/{trial.number - lost}/{name}".encode())
            return TPESampler(multivariate=True, constant_liar=True, n_startup_trials=STARTUP, seed=address)

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return self._at(study, trial).infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
            return self._at(study, trial).sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return self._at(study, trial, param_name).sample_independent(study, trial, param_name, param_distribution)

    return Addressed()


def _pruner() -> "optuna.pruners.BasePruner":
    """Gives a trial up whose loss so far is above the median of the complete trials at the same place.

    Optuna's MedianPruner compares the best of a trial's values so far; the loss so far only rises, so its best is always the first.
    """
    from optuna.pruners import BasePruner

    class Rising(BasePruner):
        def prune(self, study: Any, trial: Any) -> bool:
            step = trial.last_step
            others = [t.intermediate_values[step] for t in complete(study) if step in t.intermediate_values]
            return step is not None and len(others) >= STARTUP and bool(trial.intermediate_values[step] > float(np.median(others)))

    return Rising()


def fresh(fit: Fit, values: Mapping[str, float]) -> list[Residual]:
    """The targets beside a set of values on dice that the search has not seen."""
    return [r for scenario in fit.plan.targets for r in fit.residuals(scenario, values, first=FRESH)]


def read_values(path: Path) -> dict[str, float]:
    """The values of a calibrated.toml, those that were held among them.

    Raises:
        InputError: Where it is none.
    """
    if not path.is_file():
        raise InputError(f"there is no file '{path}'")
    table = parse_toml(read_text(path), str(path))
    if "values" not in table:
        raise InputError(f"{path}: no table [values]; a file that `tme calibrate` has written holds one")
    found: dict[str, float] = {}
    with naming_lines(str(path), path):
        for name in ("held", "values"):
            if not isinstance(given := table.get(name, {}), dict):
                raise InputError(f"{path}: {name}: write a table of paths and numbers")
            found |= {key: number(value, f"{path}: {name}.{key}") for key, value in given.items()}
    return found
