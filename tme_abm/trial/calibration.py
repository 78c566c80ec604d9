"""Fit the free numbers of the model to control arms and single agents, and to nothing else.

What may change and what it is held against stands in `calibration.toml`. Published figures come from the scenarios; one whose role is
not "calibration" is refused, and the arms of combinations are not even run. The loss is a sum of squares

    z = (g(simulated) - g(published)) / sqrt(published error^2 + error of the simulation^2 + tolerance^2)

with g the logarithm of a median PFS and the arcsine of the root of a share. The endpoints of an arm come from the same patients, so the
weights are working weights and the loss is no log-likelihood. Every trial meets the same dice (common random numbers): the same values give
the same loss. The search is Optuna's TPE (akiba2019) in a study file that survives an interruption and that several processes may share.
"""

import json
import math
import tomllib
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.trial.execution import model_digest
from tme_abm.trial.numbers import apply, current, parse, restrict
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import optuna
    import pandas as pd

Floats = np.ndarray[Any, np.dtype[np.float64]]
Load = Callable[[Mapping[str, Any]], Study]  # `scenario.load_scenario`, which stands a floor higher

PLAN = Path(__file__).with_name("calibration.toml")
STUDY_FILE = "optuna.log"
SCALES = ("log", "linear")
SHARES = ("orr", "vgpr_or_better", "cr_or_better", "mrd_negative")
MOST_FAILED = 0.05  # share of patients whose runs may fail before a set of values is given up
STARTUP = 12  # trials at random before the sampler learns
FRESH = 500  # number of the first replicate whose dice no search uses


class Unfit(Exception):
    """The model does not run with these values."""


# ---- the plan --------------------------------------------------------------------------------------------------------


class Free(NamedTuple):
    """A number that may change.

    Attributes:
        path: Where it stands, as in `calibration.toml`.
        low: Least value.
        high: Largest value.
        scale: "log" or "linear", on which it is searched.
        acts: Scenarios on which it acts.
    """

    path: str
    low: float
    high: float
    scale: str
    acts: tuple[str, ...]

    def place(self, value: float) -> float:
        """Where a value lies in the range, 0 to 1 on the scale of the search."""
        low, high, at = (math.log(x) if self.scale == "log" else x for x in (self.low, self.high, value))
        return (at - low) / (high - low)

    def value(self, place: float) -> float:
        """The value at a place of the range."""
        if self.scale == "log":
            return math.exp(math.log(self.low) + place * math.log(self.high / self.low))
        return self.low + place * (self.high - self.low)


@dataclass(frozen=True)
class Plan:
    """What is fitted to what.

    Attributes:
        targets: Scenario -> arms, in the order in which they are run.
        tolerance: "median_pfs" and "share" -> error of the model that is allowed for, on the scale of the loss.
        free: What may change.
        seed: Of all virtual patients of the fit.
        fixed: Path -> value of what does not change here, but differs from the files of the model.
        places: Scenario -> its place in the whole plan, from which its dice derive.
        start: Path -> value from which the search sets out, where that is not the model's own.
    """

    targets: Mapping[str, tuple[str, ...]]
    tolerance: Mapping[str, float]
    free: tuple[Free, ...]
    seed: int
    fixed: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)
    start: Mapping[str, float] = field(default_factory=dict)

    def only(self, scenarios: Iterable[str]) -> "Plan":
        """The part of the plan that is about some scenarios, with what acts on them.

        Raises:
            InputError: For a scenario that the plan does not name.
        """
        chosen = list(scenarios)
        for name in chosen:
            if name not in self.targets:
                raise InputError(f"--only {name}: the plan has no such scenario{did_you_mean(name, self.targets)}")
        targets = {name: arms for name, arms in self.targets.items() if name in chosen}
        return replace(self, targets=targets, free=tuple(f for f in self.free if set(f.acts) & set(targets)))

    def fix(self, values: Mapping[str, float]) -> "Plan":
        """The plan with some numbers held at values."""
        return replace(self, free=tuple(f for f in self.free if f.path not in values), fixed={**self.fixed, **values})

    def dice(self, scenario: str, replicate: int) -> int:
        """Seed of a scenario's virtual patients, the same in every trial."""
        return self.seed + 1000 * replicate + self.places[scenario]


def read_plan(path: Path = PLAN) -> Plan:
    """Read a plan.

    Raises:
        InputError: For anything unknown, missing or impossible.
    """
    if not path.is_file():
        raise InputError(f"there is no file '{path}'")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path.name}: not valid TOML: {error}") from None
    where = path.name
    _known(table, ("seed", "targets", "tolerance", "free"), where)
    seed = table["seed"]
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise InputError(f"{where}: seed must be a whole number from 0, got {seed!r}")
    _known(table["tolerance"], ("median_pfs", "share"), f"{where}: tolerance")
    targets = {name: tuple(arms) for name, arms in table["targets"].items()}
    free: dict[str, Free] = {}
    for number, entry in enumerate(table["free"], 1):
        place = f"{where}: free {number}"
        _known(entry, ("path", "range", "scale", "acts"), place)
        path_, (low, high), scale = entry["path"], map(float, entry["range"]), entry["scale"]
        if scale not in SCALES:
            raise InputError(f"{place}: unknown scale '{scale}'{did_you_mean(str(scale), SCALES)}")
        if not low < high or (scale == "log" and low <= 0.0):
            least = ", from above zero" if scale == "log" else ""
            raise InputError(f"{place}: the range of {path_} must rise{least}; got {low:g} to {high:g}")
        if path_ in free:
            raise InputError(f"{place}: {path_} stands twice")
        for name in entry["acts"]:
            if name not in targets:
                raise InputError(f"{place}: acts on '{name}', which has no targets{did_you_mean(name, targets)}")
        parse(path_)
        free[path_] = Free(path_, low, high, scale, tuple(entry["acts"]))
    return Plan(targets, table["tolerance"], tuple(free.values()), seed, places={name: i for i, name in enumerate(targets)})


def _known(table: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    for key in table:
        if key not in keys:
            raise InputError(f"{where}: unknown key '{key}'{did_you_mean(key, keys)}")
    for key in keys:
        if key not in table:
            raise InputError(f"{where}: the key '{key}' is missing")


# ---- targets and loss ------------------------------------------------------------------------------------------------


class Target(NamedTuple):
    """A published figure on the scale of the loss.

    Attributes:
        scenario: Its scenario.
        arm: Its arm.
        endpoint: "median_pfs" or one of `SHARES`.
        value: As published, a median in months, a share as a fraction.
        error: Standard error on the scale of the loss.
        tolerance: Error of the model that is allowed for, on the same scale.
        label: The arm as people write it.
        source: Key of the publication.
    """

    scenario: str
    arm: str
    endpoint: str
    value: float
    error: float
    tolerance: float
    label: str
    source: str


class Residual(NamedTuple):
    """A target beside the simulation.

    Attributes:
        target: What was published.
        value: Simulated, as `Target.value`; where there are replicates, the mean of them on the scale of the loss.
        error: Standard error of the simulated value on the scale of the loss.
    """

    target: Target
    value: float
    error: float

    @property
    def total(self) -> float:
        """What a difference is measured in."""
        return math.sqrt(self.target.error**2 + self.error**2 + self.target.tolerance**2)

    @property
    def z(self) -> float:
        """Difference over its error."""
        return (scaled(self.target.endpoint, self.value) - scaled(self.target.endpoint, self.target.value)) / self.total


def scaled(endpoint: str, value: float) -> float:
    """A value on the scale of the loss: logarithm of a median, arcsine of the root of a share."""
    return math.log(value) if endpoint == "median_pfs" else math.asin(math.sqrt(value))


def unscaled(endpoint: str, at: float) -> float:
    """The value at a place on the scale of the loss."""
    return math.exp(at) if endpoint == "median_pfs" else math.sin(min(max(at, 0.0), math.pi / 2)) ** 2


def standard_error(endpoint: str, n: float) -> float:
    """Of a share or of a median of `n` patients on the scale of the loss.

    That of a share does not depend on the share; that of a median is the one of the Kaplan-Meier estimate at a constant hazard:
    sqrt(1/4 / n) / (1/2 ln 2), relative to the median.
    """
    return 1.0 / (math.log(2.0) * math.sqrt(n)) if endpoint == "median_pfs" else 0.5 / math.sqrt(n)


def targets(study: Study, name: str, arms: Sequence[str], tolerance: Mapping[str, float]) -> list[Target]:
    """The published figures of some arms.

    Raises:
        InputError: For an arm that is none, has no figure, or has one that is not for calibration.
    """
    labels = {arm.key: arm.label for arm in study.arms}
    found = []
    for arm in arms:
        if arm not in labels:
            raise InputError(f"{name}: there is no arm '{arm}'{did_you_mean(arm, labels)}")
        rows = [row for row in study.published if row.get("arm") == arm and "subgroup" not in row]
        if not rows:
            raise InputError(f"{name}: the arm '{arm}' has no published figure to calibrate to")
        found += [_target(row, name, labels[arm], tolerance) for row in rows]
    return found


def _target(row: Mapping[str, Any], name: str, label: str, tolerance: Mapping[str, float]) -> Target:
    endpoint = row["endpoint"]
    if row.get("role") != "calibration":
        role = f"has the role '{row['role']}'" if row.get("role") else "has no role"
        raise InputError(f"{name}: {endpoint} of the arm '{row['arm']}' {role}; only rows with role = \"calibration\" may be fitted")
    if endpoint not in ("median_pfs", *SHARES):
        raise InputError(f"{name}: {endpoint} of the arm '{row['arm']}' cannot be fitted{did_you_mean(endpoint, ('median_pfs', *SHARES))}")
    value = float(row["value"]) * (1.0 if endpoint == "median_pfs" else 0.01)
    if endpoint == "median_pfs" and row.get("ci_low") and row.get("ci_high"):
        z = NormalDist().inv_cdf(0.5 + float(row.get("ci_level", 0.95)) / 2.0)
        error = math.log(row["ci_high"] / row["ci_low"]) / (2.0 * z)
    elif row.get("n"):
        error = standard_error(endpoint, row["n"])
    else:
        raise InputError(f"{name}: {endpoint} of the arm '{row['arm']}' has neither n nor an interval")
    allowed = tolerance["median_pfs" if endpoint == "median_pfs" else "share"]
    return Target(name, row["arm"], endpoint, value, error, float(allowed), label, row.get("source", ""))


def smooth_median(months: Floats, event: np.ndarray[Any, Any]) -> float:
    """Median of the Kaplan-Meier estimate, as a smooth function of what happened [month].

    The estimate falls in steps at visits, 28 days apart, and so its median jumps. Here the line through the middles of the steps is
    followed to one half; on average over where one half falls within a step that is the usual median. Beyond the last step the curve
    goes on with its mean hazard so far.
    """
    order = np.argsort(months, kind="stable")
    times, happened = months[order], event[order].astype(bool)
    at, survival = [0.0], [1.0]
    height = 1.0
    for time in np.unique(times[happened]):
        at_risk = int((times >= time).sum())
        below = height * (1.0 - int((happened & (times == time)).sum()) / at_risk)
        at.append(float(time))
        survival.append((height + below) / 2.0)
        height = below
        if survival[-1] <= 0.5:
            share = (survival[-2] - 0.5) / (survival[-2] - survival[-1])
            return at[-2] + share * (at[-1] - at[-2])
    last = max(float(times[-1]), 1e-9)
    height = min(max(survival[-1] if len(at) > 1 else 1.0, 0.5), 1.0 - 0.5 / len(times))
    return last * math.log(0.5) / math.log(height)


def measure(target: Target, tables: Sequence["pd.DataFrame"]) -> Residual:
    """A target beside replicates of its arm.

    Raises:
        Unfit: Where more patients failed than may.
    """
    from tme_abm.trial.statistics import DEPTHS, completed, survival

    places, n = [], 0
    for table in tables:
        rows = completed(table, target.arm)
        started = int((table["arm"] == target.arm).sum())
        if len(rows) < (1.0 - MOST_FAILED) * started:
            reason = next((str(text) for text in table.get("failure", ()) if isinstance(text, str) and text), "")
            raise Unfit(f"{target.scenario}: {started - len(rows)} of {started} patients failed: {reason}")
        n += len(rows)
        if target.endpoint == "median_pfs":
            times = survival(table, target.arm)
            value = smooth_median(times.months, times.event)
        elif target.endpoint == "mrd_negative":
            value = float(rows["mrd_negative"].eq(True).mean())
        else:
            value = float(rows["best_response"].isin(DEPTHS[target.endpoint]).mean())
        places.append(scaled(target.endpoint, value))
    return Residual(target, unscaled(target.endpoint, float(np.mean(places))), standard_error(target.endpoint, n))


def loss(residuals: Iterable[Residual]) -> float:
    """Sum of the squared differences."""
    return math.fsum(r.z**2 for r in residuals)


def noise(residuals: Iterable[Residual]) -> float:
    """Standard deviation of the loss from the chance of the virtual patients, as if the targets were independent.

    With z the difference and s the share of the simulation's error in it, z^2 varies by 4 z^2 s^2 + 2 s^4.
    """
    return math.sqrt(math.fsum(4.0 * r.z**2 * (r.error / r.total) ** 2 + 2.0 * (r.error / r.total) ** 4 for r in residuals))


# ---- simulating ------------------------------------------------------------------------------------------------------


class Simulate(Protocol):
    """Gives the patient table of the target arms of a scenario."""

    def __call__(self, scenario: str, values: Mapping[str, float], replicate: int) -> "pd.DataFrame":
        """A row per patient and arm."""


class Simulator:
    """Runs the target arms of a plan's scenarios with the model."""

    def __init__(self, plan: Plan, studies: Mapping[str, Study], load: Load, patients: int, workers: int) -> None:
        """Take what a run needs.

        Args:
            plan: Which arms, and the dice.
            studies: The scenarios as they are.
            load: `scenario.load_scenario`.
            patients: Of each scenario.
            workers: Patients at a time.
        """
        self.plan, self.studies, self.load, self.patients, self.workers = plan, studies, load, patients, workers

    def study(self, scenario: str, values: Mapping[str, float], replicate: int) -> Study:
        """The study that runs."""
        table = apply(self.studies[scenario], {**self.plan.fixed, **values})
        return self.load(restrict(table, self.plan.targets[scenario], self.patients, self.plan.dice(scenario, replicate)))

    def __call__(self, scenario: str, values: Mapping[str, float], replicate: int) -> "pd.DataFrame":
        """A row per patient and arm."""
        import pandas as pd

        from tme_abm.trial.execution import Silence, cases

        study = self.study(scenario, values, replicate)
        return pd.DataFrame([row for case in cases(study, self.workers, Silence()) for row in case.patients])


# ---- the search ------------------------------------------------------------------------------------------------------


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
    """

    plan: Plan
    goals: tuple[Target, ...]
    start: Mapping[str, float]
    simulate: Simulate
    folder: Path
    patients: int
    replicates: int = 1

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
        }

    def residuals(self, scenario: str, values: Mapping[str, float], first: int = 0) -> list[Residual]:
        """The targets of one scenario beside the simulation; `first` is the number of the first replicate."""
        tables = [self.simulate(scenario, values, first + r) for r in range(self.replicates)]
        return [measure(goal, tables) for goal in self.goals if goal.scenario == scenario]


def arrange(
    plan: Plan, free: Sequence[str] = (), settings: Sequence[str] = (), start: Path | None = None, hold: bool = False
) -> Plan:
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


def prepare(plan: Plan, load: Load, folder: Path, patients: int, replicates: int, workers: int) -> Fit:
    """A search with the model itself.

    Raises:
        InputError: For a target that is none, a path that acts nowhere, or a start outside of its range.
    """
    by_name: Callable[[Any], Study] = load
    studies = {name: by_name(name) for name in plan.targets}
    goals = tuple(goal for name, arms in plan.targets.items() for goal in targets(studies[name], name, arms, plan.tolerance))
    for path in plan.fixed:
        parse(path)
    start = {free.path: _within(free, plan.start.get(free.path, _start(free, studies))) for free in plan.free}
    return Fit(plan, goals, start, Simulator(plan, studies, load, patients, workers), folder, patients, replicates)


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
        raise InputError(f"{fit.folder / STUDY_FILE} holds a search with other settings ({key}); give another --out, or remove it")
    begun = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.WAITING
    if not any(is_at(trial, fit.start) for trial in study.get_trials(deepcopy=False, states=begun)):
        study.enqueue_trial(dict(fit.start))
    return study


def is_at(trial: "optuna.trial.FrozenTrial", values: Mapping[str, float]) -> bool:
    """Whether a trial is at a set of values."""
    given = trial.params or trial.system_attrs.get("fixed_params", {})
    return set(given) == set(values) and all(math.isclose(given[k], v, rel_tol=1e-9) for k, v in values.items())


def search(fit: Fit, n_trials: int, tell: Callable[[str], None] = lambda text: None) -> "optuna.Study":
    """Try sets of values until the study file holds so many trials.

    Args:
        fit: What is searched.
        n_trials: Trials in all, those of earlier calls and of other processes included.
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
    """Trials that have ended, in whichever way."""
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]


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
        def _at(self, trial: Any, name: str = "") -> TPESampler:
            address = zlib.crc32(f"{seed}/{trial.number}/{name}".encode())
            return TPESampler(multivariate=True, constant_liar=True, n_startup_trials=STARTUP, seed=address)

        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return self._at(trial).infer_relative_search_space(study, trial)

        def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
            return self._at(trial).sample_relative(study, trial, search_space)

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            return self._at(trial, param_name).sample_independent(study, trial, param_name, param_distribution)

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
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None
    if "values" not in table:
        raise InputError(f"{path}: no table [values]; a file that `tme calibrate` has written holds one")
    return {**{k: float(v) for k, v in table.get("held", {}).items()}, **{k: float(v) for k, v in table["values"].items()}}
