"""Fit the free numbers of the model to control arms and single agents, and to nothing else.

What may change and what it is held against stands in `calibration.toml`. Published figures come from the scenarios; one whose role is
not "calibration" is refused, and the arms of combinations are not even run. The loss is a sum of squares

    z = (g(simulated) - g(published)) / sqrt(published error^2 + error of the simulation^2 + tolerance^2)

with g the logarithm of a median PFS and the arcsine of the root of a share. The endpoints of an arm come from the same patients, so the
weights are working weights and the loss is no log-likelihood. Every trial meets the same dice (common random numbers): the same values give
the same loss. The search is Optuna's TPE (akiba2019) in a study file that survives an interruption and that several processes may share.
"""

import hashlib
import json
import math
import tomllib
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from tme_abm.foundation.declare import Origin, notes
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.toml import to_toml
from tme_abm.mechanisms import BY_NAME
from tme_abm.patient import DISTRIBUTIONS, FOLDER
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import optuna
    import pandas as pd

Floats = np.ndarray[Any, np.dtype[np.float64]]
Load = Callable[[Mapping[str, Any]], Study]  # `scenario.load_scenario`, which stands a floor higher

PLAN = Path(__file__).with_name("calibration.toml")
STUDY_FILE = "optuna.log"
RESULT, REPORT, TRIALS, FIGURE = "calibrated.toml", "calibration.md", "trials.csv", "profiles.svg"
BASE = "_myeloma"  # the file that all populations of patients inherit
SCALES = ("log", "linear")
SHARES = ("orr", "vgpr_or_better", "cr_or_better", "mrd_negative")
MOST_FAILED = 0.05  # share of patients whose runs may fail before a set of values is given up
STARTUP = 12  # trials at random before the sampler learns
RISE = 3.84  # rise of the loss that tells a value from the best one: the 95 % point of chi-squared with one degree of freedom
FRESH = 500  # number of the first replicate whose dice no search uses
MOST_NEAR = 20  # sets near the best that are written out
CODE = (  # from which a simulated patient follows
    *("foundation", "marrow", "mechanisms", "pharmacology", "outcomes", "populations"),
    *("patient.py", "simulation.py", "trial/execution.py"),
)


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


# ---- where a number stands -------------------------------------------------------------------------------------------


def parse(path: str) -> tuple[str, ...]:
    """Parts of a path: (kind, ...), with the file of a population in the second place.

    Raises:
        InputError: Where it is none.
    """
    parts = tuple(path.split("."))
    kinds = {"parameters": (3,), "drugs": (4,), "population": (3, 4)}
    if parts[0] not in kinds:
        raise InputError(f"'{path}': a free number stands in parameters, drugs or population{did_you_mean(parts[0], kinds)}")
    if len(parts) not in kinds[parts[0]]:
        example = {"parameters": "imid.kill_rate", "drugs": "isatuximab.adcc.lysis_rate", "population": "growth_rate.median"}
        raise InputError(f"'{path}' is no whole path; write it like {parts[0]}.{example[parts[0]]}")
    if parts[0] == "population" and len(parts) == 3:
        return ("population", BASE, *parts[1:])
    return parts


def home(given: str | Mapping[str, Any], quantity: str) -> str:
    """The file of populations in which the distribution of a quantity stands; "" where the scenario gives it itself."""
    if isinstance(given, Mapping):
        if any(key in given.get("quantities", {}).get(quantity, {}) for key in DISTRIBUTIONS):
            return ""
        return home(given["inherits"], quantity)
    table = _population_file(given)
    if any(key in table.get("quantities", {}).get(quantity, {}) for key in DISTRIBUTIONS):
        return Path(given).stem
    above = str(table.get("inherits", ""))
    if not above:
        raise InputError(f"population {given}: unknown quantity '{quantity}'")
    return home(str(Path(given).parent / above) if above.endswith(".toml") else above, quantity)


@cache
def _population_file(name: str) -> dict[str, Any]:
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def current(study: Study, path: str) -> float | None:
    """The value of a number in a study; None where nothing in the study reads it.

    Raises:
        InputError: For a path that leads nowhere.
    """
    match parse(path):
        case ("parameters", mechanism, name):
            block = BY_NAME.get(mechanism)
            if block is None or not block.by_drug:
                origin = study.settings.origins().get(f"{mechanism}.{name}")
                if origin is None:
                    raise InputError(f"'{path}': no such parameter{did_you_mean(f'{mechanism}.{name}', study.settings.origins())}")
                return float(origin.value)
            default = _default(path, mechanism, name)
            return float(default.value) if _without_own(study, mechanism, name, default) else None
        case ("drugs", drug, mechanism, name):
            if drug not in study.drugs:
                return None
            effect = study.drugs[drug].effects.get(mechanism)
            if effect is None or name not in effect.origins:
                known = [f"{m}.{n}" for m, filled in study.drugs[drug].effects.items() for n in filled.origins]
                raise InputError(f"'{path}': no such number{did_you_mean(f'{mechanism}.{name}', known)}")
            return float(effect.origins[name].value)
        case (_, file, quantity, name):
            _, numbers = _distribution(study, quantity)
            if name not in numbers:
                raise InputError(f"'{path}': the distribution of {quantity} has no such number{did_you_mean(name, numbers)}")
            return float(numbers[name]) if home(study.resolved["population"], quantity) == file else None
    raise AssertionError(path)


def _default(path: str, mechanism: str, name: str) -> Origin:
    """The default of a coefficient beside its rule."""
    block = BY_NAME[mechanism].Params
    defaults = getattr(block, "_field_defaults", {})
    if name not in defaults:
        raise InputError(f"'{path}': no such default{did_you_mean(name, defaults)}")
    return Origin(float(defaults[name]), *notes(block)[name][:4])


def _without_own(study: Study, mechanism: str, name: str, default: Origin) -> list[str]:
    """The drugs of a study that take a coefficient from its default."""
    return [drug for drug, d in study.drugs.items() if mechanism in d.effects and d.effects[mechanism].origins[name] == default]


def apply(study: Study, values: Mapping[str, float]) -> dict[str, Any]:
    """The scenario of a study with other numbers of the model, as a table that `load_scenario` takes.

    Numbers that nothing in the study reads are left out.

    Raises:
        InputError: For a path that leads nowhere.
    """
    table: dict[str, Any] = json.loads(json.dumps(study.resolved))  # a deep copy of plain values
    quantities: dict[str, dict[str, float]] = {}
    for path, value in values.items():
        if current(study, path) is None:
            continue
        entry = {"value": float(value), "source": "this study: calibration", "grade": "C"}
        match parse(path):
            case ("parameters", mechanism, name):
                block = BY_NAME.get(mechanism)
                if block is None or not block.by_drug:
                    table.setdefault("parameters", {}).setdefault(mechanism, {})[name] = entry
                    continue
                for drug in _without_own(study, mechanism, name, _default(path, mechanism, name)):
                    table.setdefault("drugs", {}).setdefault(drug, {}).setdefault(mechanism, {})[name] = entry
            case ("drugs", drug, mechanism, name):
                table.setdefault("drugs", {}).setdefault(drug, {}).setdefault(mechanism, {})[name] = entry
            case (_, _, quantity, name):
                quantities.setdefault(quantity, {})[name] = float(value)
    if quantities:
        given = table["population"]
        named = {"inherits": given, "name": study.population.name, "label": study.population.label}
        inner = dict(given) if isinstance(given, dict) else named
        inner["quantities"] = {**inner.get("quantities", {})}
        for quantity, changed in quantities.items():
            inner["quantities"][quantity] = {**inner["quantities"].get(quantity, {}), **_entry(study, quantity, changed)}
        table["population"] = inner
    return table


def _distribution(study: Study, quantity: str) -> tuple[str, dict[str, Any]]:
    """Kind and numbers of the distribution of a quantity."""
    heads = [(row.name.split(".", 2), row.value) for row in study.population[quantity].numbers if row.name.count(".") > 1]
    kind = next(parts[1] for parts, _ in heads if parts[1] in DISTRIBUTIONS)
    return kind, {parts[2]: value for parts, value in heads if parts[1] == kind}


def _entry(study: Study, quantity: str, changed: Mapping[str, float]) -> dict[str, Any]:
    """The distribution of a quantity as a population file says it, with other numbers; its truncation goes with it."""
    kind, numbers = _distribution(study, quantity)
    entry: dict[str, Any] = {kind: {**numbers, **changed}, "source": "this study: calibration", "grade": "C"}
    for row in study.population[quantity].numbers:
        if row.name == f"{quantity}.truncate":
            entry["truncate"] = list(row.value)
    return entry


def restrict(table: Mapping[str, Any], arms: Sequence[str], patients: int, seed: int) -> dict[str, Any]:
    """A scenario with some of its arms only, on another number of patients and other dice."""
    kept = {key: table["arms"][key] for key in arms}
    given = {line["drug"] for arm in kept.values() for line in arm.get("doses", ())}
    trial = {key: value for key, value in table["trial"].items() if key != "allocation"}
    drugs = {key: value for key, value in table.get("drugs", {}).items() if key == "folder" or key in given}
    trial |= {"design": "paired", "compare": []}
    return {**table, "arms": kept, "trial": trial, "drugs": drugs, "published": [], "patients": patients, "seed": seed}


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


def arrange(plan: Plan, free: Sequence[str] = (), settings: Sequence[str] = (), start: Path | None = None) -> Plan:
    """A plan as the command line asks for it.

    Args:
        plan: From which to set out.
        free: The numbers that may change; all of the plan where none is named.
        settings: "PATH=VALUE" of numbers to hold.
        start: A calibrated.toml; the search sets out from its values, and what is not free is held at them.

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
    names = {f.path for f in plan.free}
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
    if not any(_is_at(trial, fit.start) for trial in study.get_trials(deepcopy=False, states=begun)):
        study.enqueue_trial(dict(fit.start))
    return study


def _is_at(trial: "optuna.trial.FrozenTrial", values: Mapping[str, float]) -> bool:
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
    while (number := len(_finished(study))) < n_trials:
        study.optimize(lambda trial: _objective(fit, trial, tell), n_trials=1, catch=(Unfit,))
        if number == 0 and not _complete(study):
            reason = study.get_trials(deepcopy=False)[-1].user_attrs.get("unfit", "")
            if reason:
                raise InputError(f"the model does not run with the values that it has: {reason}")
    return study


def _finished(study: "optuna.Study") -> list["optuna.trial.FrozenTrial"]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]


def _complete(study: "optuna.Study") -> list["optuna.trial.FrozenTrial"]:
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
            others = [t.intermediate_values[step] for t in _complete(study) if step in t.intermediate_values]
            return step is not None and len(others) >= STARTUP and bool(trial.intermediate_values[step] > float(np.median(others)))

    return Rising()


# ---- what was found --------------------------------------------------------------------------------------------------


def fresh(fit: Fit, values: Mapping[str, float]) -> list[Residual]:
    """The targets beside a set of values on dice that the search has not seen."""
    return [r for scenario in fit.plan.targets for r in fit.residuals(scenario, values, first=FRESH)]


class Profile(NamedTuple):
    """What the trials say about one number.

    Attributes:
        free: The number.
        verdict: "identified", "bounded below", "bounded above", "not identified" or "too few trials".
        low: Least value whose profile is no more than the rise above its minimum; the end of the range where it is not bounded.
        high: Largest such value.
        curve: Profile of the quadratic surface (n_places, 2): place in the range, loss; empty with too few trials.
    """

    free: Free
    verdict: str
    low: float
    high: float
    curve: Floats


class Outcome(NamedTuple):
    """The result of a search.

    Attributes:
        best: Path -> value.
        loss: Of the best.
        start_loss: Of the values from which the search set out.
        noise: Standard deviation of the best loss from the chance of the virtual patients.
        residuals: The targets beside the best.
        start_residuals: The targets beside the start.
        near: Sets within the noise of the best: (loss, values), best first.
        profiles: One per free number.
        counts: State -> number of trials.
    """

    best: dict[str, float]
    loss: float
    start_loss: float | None
    noise: float
    residuals: list[Residual]
    start_residuals: list[Residual]
    near: list[tuple[float, dict[str, float]]]
    profiles: list[Profile]
    counts: dict[str, int]


def conclude(fit: Fit, study: "optuna.Study") -> Outcome:
    """What a search has found so far.

    Raises:
        InputError: Where no trial is complete.
    """
    done = sorted(_complete(study), key=lambda trial: (trial.value, trial.number))
    if not done:
        raise InputError(f"{fit.folder} holds no complete trial")

    def residuals(trial: "optuna.trial.FrozenTrial") -> list[Residual]:
        return [Residual(*parts) for parts in zip(fit.goals, trial.user_attrs["simulated"], trial.user_attrs["errors"], strict=True)]

    losses = np.array([trial.value for trial in done], np.float64)
    found = residuals(done[0])
    chance = noise(found)
    near = [(float(t.value or 0.0), dict(t.params)) for t in done if (t.value or 0.0) <= losses[0] + chance]
    points = np.array([[free.place(trial.params[free.path]) for free in fit.plan.free] for trial in done], np.float64)
    first = next((trial for trial in done if _is_at(trial, fit.start)), None)
    counts: dict[str, int] = {}
    for trial in _finished(study):
        counts[trial.state.name.lower()] = counts.get(trial.state.name.lower(), 0) + 1
    return Outcome(
        best=dict(done[0].params),
        loss=float(losses[0]),
        start_loss=None if first is None else first.value,
        noise=chance,
        residuals=found,
        start_residuals=[] if first is None else residuals(first),
        near=near[:MOST_NEAR],
        profiles=profiles(fit.plan.free, points, losses, max(RISE, chance)),
        counts=counts,
    )


def profiles(free: Sequence[Free], points: Floats, losses: Floats, rise: float) -> list[Profile]:
    """Loss against each number, the others at their best, on a quadratic surface through the trials near the best.

    The surface has all products where there are trials enough for it, else the squares alone; trials count by one over their distance in
    loss from the best. A number is identified where its profile rises by `rise` on both sides within its range, bounded where it does on
    one, not identified where it does on neither.

    Args:
        free: The numbers (p,).
        points: Trials as places in the ranges (n, p).
        losses: Of the trials (n,).
        rise: What counts.
    """
    from scipy.optimize import minimize

    n, p = points.shape
    whole, plain = 1 + p + p * (p + 1) // 2, 1 + 2 * p
    size = whole if n >= 1.5 * whole else plain
    if n < 1.5 * size:
        return [Profile(f, "too few trials", f.low, f.high, np.empty((0, 2))) for f in free]
    chosen = np.argsort(losses, kind="stable")[: 4 * size]
    centre = points[chosen[0]]
    pairs = [(i, j) for i in range(p) for j in range(i, p) if size == whole or i == j]
    x, y = points[chosen] - centre, losses[chosen]
    columns = np.column_stack([np.ones(len(x)), x, *(x[:, i] * x[:, j] for i, j in pairs)])
    weight = np.sqrt(1.0 / (rise + y - y[0]))
    fitted = np.linalg.lstsq(columns * weight[:, None], y * weight, rcond=None)[0]
    slope, curvature = fitted[1 : 1 + p], np.zeros((p, p))
    for (i, j), c in zip(pairs, fitted[1 + p :], strict=True):
        curvature[i, j] += c
        curvature[j, i] += c
    values, vectors = np.linalg.eigh(curvature)
    curvature = (vectors * np.maximum(values, 0.0)) @ vectors.T  # a loss has a floor: downward directions are noise

    def surface(d: Floats) -> tuple[float, Floats]:
        return float(slope @ d + 0.5 * d @ curvature @ d), slope + curvature @ d

    found = []
    grid = np.linspace(0.0, 1.0, 21)
    for i, number in enumerate(free):
        curve = []
        for place in grid:
            bounds = [(-c, 1.0 - c) if j != i else (place - c, place - c) for j, c in enumerate(centre)]
            guess = np.clip(np.zeros(p), [b[0] for b in bounds], [b[1] for b in bounds])
            curve.append(float(minimize(surface, guess, jac=True, bounds=bounds, method="L-BFGS-B").fun))
        profile = np.array(curve)
        profile -= profile.min()
        inside = np.flatnonzero(profile <= rise)
        is_left, is_right = bool(inside[0] > 0), bool(inside[-1] < len(grid) - 1)
        verdict = {(1, 1): "identified", (1, 0): "bounded below", (0, 1): "bounded above", (0, 0): "not identified"}[is_left, is_right]
        low, high = number.value(grid[inside[0]]), number.value(grid[inside[-1]])
        found.append(Profile(number, verdict, low, high, np.column_stack([grid, profile + losses[chosen[0]]])))
    return found


def model_digest(root: Path | None = None) -> str:
    """Short digest of all files of the package from which a simulated patient follows."""
    top = root or Path(__file__).parents[1]
    digest = hashlib.sha256()
    found = [top / name for name in CODE]
    for path in sorted(p for f in found for p in (f.rglob("*") if f.is_dir() else [f]) if p.suffix in (".py", ".toml")):
        digest.update(path.relative_to(top).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


# ---- writing ---------------------------------------------------------------------------------------------------------


def write(fit: Fit, outcome: Outcome, study: "optuna.Study", check: Sequence[Residual] = ()) -> list[Path]:
    """Write the result of a search: calibrated.toml, a report, the trials as a table, profile plots.

    Args:
        fit: What was searched.
        outcome: What was found.
        study: All trials.
        check: The targets beside the best values on dice that the fit has not seen.
    """
    table = result_table(fit, outcome, check)
    head = "# Written by `tme calibrate`. The model's own files hold the numbers; this file says how they were found.\n"
    (fit.folder / RESULT).write_text(head + to_toml(table), encoding="utf-8")
    (fit.folder / REPORT).write_text(report(fit, outcome, check), encoding="utf-8")
    keep = ("number", "value", "state", *(f"params_{free.path}" for free in fit.plan.free))
    frame = study.trials_dataframe()
    frame[[name for name in keep if name in frame.columns]].to_csv(fit.folder / TRIALS, index=False)
    draw(fit, outcome, study, fit.folder / FIGURE)
    return [fit.folder / name for name in (RESULT, REPORT, TRIALS, FIGURE)]


def result_table(fit: Fit, outcome: Outcome, check: Sequence[Residual] = ()) -> dict[str, Any]:
    """What calibrated.toml holds."""
    from tme_abm.trial.execution import versions

    fresh = {r.target: r for r in check}
    before = {r.target: r for r in outcome.start_residuals}
    rows = []
    for r in outcome.residuals:
        row: dict[str, Any] = {"scenario": r.target.scenario, "arm": r.target.arm, "endpoint": r.target.endpoint, "source": r.target.source}
        row |= {"published": _round(r.target.value), "simulated": _round(r.value), "z": _round(r.z), "loss": _round(r.z**2)}
        for name, other in (("at_start", before), ("on_fresh_dice", fresh)):
            if r.target in other:
                row[name] = _round(other[r.target].value)
        rows.append(row)
    fit_table: dict[str, Any] = {
        "loss": _round(outcome.loss),
        "noise": _round(outcome.noise),
        "loss_at_start": None if outcome.start_loss is None else _round(outcome.start_loss),
        "loss_on_fresh_dice": _round(loss(check)) if check else None,
        "trials": sum(outcome.counts.values()),
        **{f"trials_{state}": n for state, n in sorted(outcome.counts.items())},
        "patients_per_scenario": fit.patients,
        "replicates": fit.replicates,
        "seed": fit.plan.seed,
        "seeds": {name: [fit.plan.dice(name, r) for r in range(fit.replicates)] for name in fit.plan.targets},
        "tolerance": dict(fit.plan.tolerance),
        "sampler": f"TPE, multivariate, chance addressed by seed and number of the trial, {STARTUP} trials at random first",
        "model": model_digest(),
        "versions": versions(("tme-abm", "optuna", "numpy", "numba", "scipy", "pandas", "lifelines")),
    }
    return {
        "values": {path: _round(value, 6) for path, value in outcome.best.items()},
        "held": dict(fit.plan.fixed),
        "start": dict(fit.start),
        "fit": {key: value for key, value in fit_table.items() if value is not None},
        "targets": rows,
        "profiles": [
            {"path": free.path, "verdict": verdict, "low": _round(low), "high": _round(high), "range": [free.low, free.high]}
            for free, verdict, low, high, _ in outcome.profiles
        ],
        "near_best": [{"loss": _round(at), **{path: _round(value) for path, value in values.items()}} for at, values in outcome.near],
    }


def _round(value: float, digits: int = 5) -> float:
    return float(f"{value:.{digits}g}")


def report(fit: Fit, outcome: Outcome, check: Sequence[Residual] = ()) -> str:
    """A short report, in Markdown."""
    start = "" if outcome.start_loss is None else f", from {outcome.start_loss:.1f} with the values before"
    fresh = f" On dice that the fit has not seen it is {loss(check):.1f}." if check else ""
    lines = [
        f"Loss {outcome.loss:.1f}{start}; its standard deviation from the chance of the virtual patients is {outcome.noise:.1f}.{fresh}",
        f"{sum(outcome.counts.values())} trials ({', '.join(f'{n} {state}' for state, n in sorted(outcome.counts.items()))}), "
        f"{fit.replicates} x {fit.patients} virtual patients per scenario, seed {fit.plan.seed}, model {model_digest()}.",
        "",
        "The loss is a sum of squared differences over their errors (published, simulated, and a tolerance), medians as logarithms, shares as",
        "arcsines of roots. Endpoints of one arm come from the same patients: the weights are working weights.",
        "",
        *target_rows(outcome, check),
        "",
        *profile_rows(outcome),
        "",
        f"A number is identified where the loss rises by {max(RISE, outcome.noise):.1f} on both sides of its best value within the range "
        "searched, all other numbers moving with it;",
        "bounded where it does so on one side only. The surface is a quadratic through the trials near the best.",
    ]
    return "\n".join(lines) + "\n"


def target_rows(outcome: Outcome, check: Sequence[Residual] = ()) -> list[str]:
    """The targets beside the simulation as a table in Markdown."""
    before = {r.target: r for r in outcome.start_residuals}
    fresh = {r.target: r for r in check}
    rows = ["| scenario | arm | endpoint | published | before | fitted | on fresh dice | z |", "| --- " * 8 + "|"]
    for r in outcome.residuals:
        cells = [r.target.scenario, r.target.label, WORDS[r.target.endpoint], _plain(r.target.endpoint, r.target.value)]
        cells.append(_plain(r.target.endpoint, before[r.target].value) if r.target in before else "")
        cells.append(_plain(r.target.endpoint, r.value))
        cells.append(_plain(r.target.endpoint, fresh[r.target].value) if r.target in fresh else "")
        rows.append(f"| {' | '.join(cells)} | {r.z:+.1f} |")
    return rows


WORDS = {
    "median_pfs": "median PFS [month]",
    "orr": "ORR [%]",
    "vgpr_or_better": "VGPR or better [%]",
    "cr_or_better": "CR or better [%]",
    "mrd_negative": "MRD-negative [%]",
}


def _plain(endpoint: str, value: float) -> str:
    return f"{value:.1f}" if endpoint == "median_pfs" else f"{100.0 * value:.1f}"


def profile_rows(outcome: Outcome) -> list[str]:
    """The free numbers with their verdicts as a table in Markdown."""
    rows = ["| number | best | range searched | within the rise | verdict |", "| --- | --- | --- | --- | --- |"]
    for p in outcome.profiles:
        within = "" if p.verdict == "too few trials" else f"{p.low:.3g} to {p.high:.3g}"
        cells = [f"`{p.free.path}`", f"{outcome.best[p.free.path]:.4g}", f"{p.free.low:g} to {p.free.high:g}", within, p.verdict]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def draw(fit: Fit, outcome: Outcome, study: "optuna.Study", path: Path) -> None:
    """Loss against each free number: the trials, their lower envelope, the profile of the quadratic surface."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    done = _complete(study)
    losses = np.array([trial.value for trial in done], np.float64)
    columns = 3
    rows = math.ceil(len(outcome.profiles) / columns)
    figure, axes = plt.subplots(rows, columns, figsize=(11, 2.6 * rows), squeeze=False, layout="constrained")
    top = outcome.loss + max(8.0 * max(RISE, outcome.noise), 1.2 * (float(np.median(losses)) - outcome.loss))
    for ax, p in zip(axes.flat, outcome.profiles, strict=False):
        values = np.array([trial.params[p.free.path] for trial in done])
        ax.plot(values, losses, ".", color="0.6", ms=3)
        places = np.array([p.free.place(v) for v in values])
        bins = np.minimum((places * 10).astype(int), 9)
        lowest = [(int(np.flatnonzero(bins == b)[np.argmin(losses[bins == b])])) for b in np.unique(bins)]
        ax.plot(values[lowest], losses[lowest], "-", color="tab:blue", lw=1.0)
        if len(p.curve):
            ax.plot([p.free.value(place) for place in p.curve[:, 0]], p.curve[:, 1], "--", color="tab:orange", lw=1.2)
        ax.axvline(outcome.best[p.free.path], color="k", lw=0.8)
        ax.axhline(outcome.loss + max(RISE, outcome.noise), color="0.7", lw=0.8)
        ax.set_xscale("log" if p.free.scale == "log" else "linear")
        ax.set_xlim(p.free.low, p.free.high)
        ax.set_ylim(outcome.loss - 0.05 * (top - outcome.loss), top)
        ax.set_title(f"{p.free.path}\n{p.verdict}", fontsize=7)
        ax.tick_params(labelsize=7)
    for ax in list(axes.flat)[len(outcome.profiles) :]:
        ax.set_axis_off()
    figure.supylabel("loss", fontsize=8)
    figure.savefig(path)
    plt.close(figure)


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


def put(document: Path, mark: str, content: str) -> None:
    """Replace what stands between the marks of a document."""
    before = document.read_text(encoding="utf-8") if document.is_file() else ""
    document.write_text(between(before, mark, content), encoding="utf-8")


def between(text: str, mark: str, content: str) -> str:
    """A document with other content between `<!-- mark -->` and `<!-- end of mark -->`, which are added at the end where they are missing."""
    first, last = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    if first not in text or last not in text:
        text = f"{text.rstrip()}\n\n{first}\n{last}\n"
    head, rest = text.split(first, 1)
    return f"{head}{first}\n{content.strip()}\n{last}{rest.split(last, 1)[1]}"
