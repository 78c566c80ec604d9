"""What a bank draws and runs, as its file says it: how much wider than each population, which arms, which cohorts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field

from tme_abm.analysis.own_file import read_form
from tme_abm.forms import Marrow, Source, Table, hours
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.patients.density import EXITS
from tme_abm.patients.patient import TRAITS
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.trial.study import Study

PLAN = Path(__file__).with_name("bank.toml")
Load = Callable[[Any], Study]  # `scenario.kinds.load_trial`, which stands a floor higher
GROUPS = ("controls", "combinations", "all")


class ArmForm(Table):
    """An arm of a scenario that the bank runs."""

    scenario: str = Field(description="a bundled trial, or the path of one")
    arm: str | None = Field(None, description="its key there; that of the table where it is left out")
    until: str = Field(description="how long patients are followed without progression")
    combination: bool = Field(False, description="kept apart from what a fit may read")


class CohortForm(Table):
    """Patients of one population under some arms."""

    population: str
    share: float = Field(gt=0.0, le=1.0, description="of the patients of the bank")
    arms: list[str] = Field(min_length=1)


class Form(Table):
    """The file of a bank."""

    seed: int = Field(ge=0, lt=2**61)
    marrow: Marrow = Marrow()
    widen: dict[str, float] = Field({}, description="trait -> factor on its spread")
    arms: dict[str, ArmForm] = Field(min_length=1)
    cohorts: list[CohortForm] = Field(min_length=1)


@dataclass(frozen=True)
class BankArm:
    """An arm of the bank, resolved.

    Attributes:
        key: Its name in the bank.
        study: The trial that it comes from, on the marrow of the bank.
        regimen: What is given.
        until_days: How long patients are followed [d]; a whole number of visits.
        is_combination: Whether it is kept apart.
    """

    key: str
    study: Study
    regimen: Regimen
    until_days: float
    is_combination: bool

    @cached_property
    def acts(self) -> frozenset[str]:
        """Mechanisms that come with its drugs."""
        return frozenset(name for drug in self.regimen.drugs for name in self.study.drugs[drug].effects)


@dataclass(frozen=True)
class Cohort:
    """A part of a sitting.

    Attributes:
        population: Name of the population whose covariates are drawn.
        share: Of the patients of the sitting.
        arms: Keys of the arms.
        table: The population itself, before it is made wider; that of the files where it is empty.
    """

    population: str
    share: float
    arms: tuple[str, ...]
    table: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """What a bank draws and runs.

    Attributes:
        seed: Of the first sitting; each further one has the next.
        form: The file.
        arms: By key.
        cohorts: Of the first sitting.
        file: Where it stands.
    """

    seed: int
    form: Form
    arms: Mapping[str, BankArm]
    cohorts: tuple[Cohort, ...]
    file: Path

    @property
    def widen(self) -> Mapping[str, float]:
        """Trait -> factor on its spread."""
        return self.form.widen

    def only(self, group: str) -> dict[str, BankArm]:
        """The arms of a group: controls (and single agents), combinations, or all.

        Raises:
            InputError: For a group that is none.
        """
        if group not in GROUPS:
            raise InputError(f"--arms {group}: choose one of {', '.join(GROUPS)}{did_you_mean(group, GROUPS)}")
        return {key: arm for key, arm in self.arms.items() if group == "all" or arm.is_combination == (group == "combinations")}


def read_plan(load: Load, path: Path = PLAN, shape: Sequence[int] | None = None) -> Plan:
    """Read the plan of a bank.

    Args:
        load: Reads a trial from a scenario's name or table.
        path: The file.
        shape: Rows and columns of another patch than that of the file.

    Raises:
        InputError: For anything unknown or impossible, with file and line.
    """
    form, source = read_form(path, Form, {"arms": ArmForm, "cohorts": CohortForm, "marrow": Marrow})
    if shape is not None:
        form = form.model_copy(update={"marrow": form.marrow.model_copy(update={"shape": list(shape)})})
        source = replace(source, options={("marrow", "shape"): f"--shape {','.join(map(str, shape))}"})
    return build(form, source, load, path)


def build(form: Form, source: Source, load: Load, path: Path) -> Plan:
    """The plan that a file describes."""
    from tme_abm.patients.reading import load_population

    arms: dict[str, BankArm] = {}
    studies: dict[str, Study] = {}
    for trait in form.widen:
        if trait not in TRAITS or trait in EXITS:
            raise source.error(("widen", trait), f"unknown trait '{trait}'{did_you_mean(trait, set(TRAITS) - set(EXITS))}")
        if not 0.5 <= form.widen[trait] <= 4.0:
            raise source.error(("widen", trait), f"widen.{trait}: a factor from 0.5 to 4, got {form.widen[trait]:g}")
    for key, entry in form.arms.items():
        at = ("arms", key)
        if entry.scenario not in studies:
            with source.naming((*at, "scenario")):
                whole = load(source.folder / entry.scenario if entry.scenario.endswith(".toml") else entry.scenario)
            studies[entry.scenario] = on_marrow(whole, form.marrow, load, source)
        study, wanted = studies[entry.scenario], entry.arm or key
        found = {arm.key: arm for arm in study.arms}
        if wanted not in found:
            raise source.error((*at, "arm") if entry.arm else at, f"{entry.scenario} has no arm '{wanted}'{did_you_mean(wanted, found)}")
        days = hours(entry.until, (*at, "until"), source) / HOURS_PER_DAY
        first = study.visits.length(1)
        if days < first:
            raise source.error((*at, "until"), f"arms.{key}.until: ends before the first visit on day {first:g}")
        visits = study.visits.begun(days + 1e-9)
        end = study.visits.start(visits + 1)
        arms[key] = BankArm(key, study, found[wanted], end if end <= days + 1e-9 else study.visits.start(visits), entry.combination)
    cohorts = []
    for i, cohort in enumerate(form.cohorts):
        for j, arm in enumerate(cohort.arms):
            if arm not in arms:
                raise source.error(("cohorts", i, "arms", j), f"cohorts[{i}]: there is no arm '{arm}'{did_you_mean(arm, arms)}")
        with source.naming(("cohorts", i, "population")):
            load_population(source.folder / cohort.population if cohort.population.endswith(".toml") else cohort.population)
        cohorts.append(Cohort(cohort.population, cohort.share, tuple(cohort.arms)))
    total = sum(cohort.share for cohort in cohorts)
    if abs(total - 1.0) > 1e-6:
        raise source.error(("cohorts",), f"the shares of the cohorts must make 1, not {total:g}")
    return Plan(form.seed, form, arms, tuple(cohorts), path)


def on_marrow(study: Study, marrow: Marrow, load: Load, source: Source) -> Study:
    """A trial on the patch that a plan asks for, with nothing recorded beside the visits.

    Raises:
        InputError: For a patch that cannot be, with its place in the plan.
    """
    table = {**study.resolved, "marrow": marrow.model_dump(mode="json"), "published": []}
    table.pop("record", None)
    try:
        own = load(table)
    except InputError as error:  # the trial has passed by itself: whatever is wrong now is the marrow of the plan
        raise source.wrap(("marrow",), InputError(str(error).removeprefix("scenario: "))) from None
    return replace(own, name=study.name, published=study.published)
