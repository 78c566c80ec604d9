"""Calibrate: draw from the posterior, draw patients anew where too few tell of an arm, and write down what was found."""

import math
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tme_abm.analysis.bank.draw import Sitting, changes_in
from tme_abm.analysis.bank.plan import Cohort
from tme_abm.analysis.bank.plan import Plan as BankPlan
from tme_abm.analysis.bank.run import add_sitting
from tme_abm.analysis.calibration.fit import LEAST_EFFECTIVE, prepare
from tme_abm.analysis.calibration.found import Found
from tme_abm.analysis.calibration.plan import Load, Plan
from tme_abm.analysis.calibration.posterior import SETS, keep, sample, write
from tme_abm.analysis.numbers import changed_population
from tme_abm.batch.desk import Desk
from tme_abm.batch.results import open_results
from tme_abm.export.crate import Subject, describe_folder
from tme_abm.patients.reading import load_population, whole_table

SUBJECT = Subject(
    "calibration", "Calibration", "What differs between patients, fitted to control arms and single agents by weights on a bank."
)
REDRAWN_WIDER = 1.1  # factor on the spreads of a population that is drawn anew where the posterior has led
WORTH = 0.5  # effective patients for each one drawn there, as a first guess
MOST_DRAWN = 2000  # patients of one further sitting


def calibrate(plan: Plan, bank: Path, load: Load, sizes: tuple[int, int], desk: Desk, redraw: tuple[BankPlan, int] | None = None) -> Found:
    """Fit a plan with the patients of a bank.

    Args:
        plan: What is fitted to what.
        bank: Folder of the bank.
        load: `scenario.kinds.load_trial`.
        sizes: Steps of the sampler, and sets that are kept.
        desk: Who is told, and who draws patients where that is asked for.
        redraw: Plan of the bank and how many times patients may be drawn anew; not at all where it is left out.

    Raises:
        InputError: As `fit.prepare` and `posterior.sample`.
        Stopped: Where that was asked for.
    """
    found = _once(plan, bank, load, sizes, desk)
    for _ in range(redraw[1] if redraw else 0):
        assert redraw is not None
        sitting = further_sitting(found, redraw[0], load)
        if sitting is None:
            break
        desk.say(f"{sitting.patients} patients are drawn anew from {', '.join(c.population for c in sitting.cohorts)}")
        add_sitting(redraw[0], bank, sitting, desk)
        found = _once(plan, bank, load, sizes, desk)
    return found


def _once(plan: Plan, bank: Path, load: Load, sizes: tuple[int, int], desk: Desk) -> Found:
    """Draw from the posterior with the bank as it is."""
    fit = prepare(plan, bank, load)
    plan = fit.plan
    n = sum(len(group.targets) for group in fit.groups)
    desk.say(f"{len(plan.free)} free numbers, {n} published figures in {len(fit.groups)} arms, {len(fit.bank.patients)} candidates")
    desk.progress.phase("sampling", sizes[0])
    start = time.perf_counter()
    chain = sample(fit, sizes[0], desk.stop, lambda done: desk.progress.advance(done, "sampling"))
    seconds = time.perf_counter() - start
    posterior, places = keep(fit, chain, sizes[1])
    beside = [fit.beside(at) for at in places]
    chance = np.random.default_rng([plan.seed, 1])
    priors = np.clip(chance.standard_normal((min(sizes[1], 200), len(plan.free))), -2.5, 2.5)
    prior = [fit.beside(at) for at in priors]
    worth = np.array([[one.effective for one in row] for row in beside])
    return Found(fit, chain, posterior, beside, prior, worth, seconds)


def further_sitting(found: Found, plan: BankPlan, load: Load) -> Sitting | None:
    """Patients of the populations as the posterior has them, where its sets leave an arm too few; None where none is short.

    Args:
        found: What was found so far.
        plan: Of the bank, which says under which arms a population's patients run.
        load: `scenario.kinds.load_trial`.
    """
    short: dict[str, int] = {}
    low = found.low_worth()
    for group, worth in zip(found.fit.groups, low, strict=True):
        if worth < LEAST_EFFECTIVE:
            missing = math.ceil((LEAST_EFFECTIVE - float(worth)) / WORTH)
            short[group.scenario] = max(short.get(group.scenario, 0), missing)
    if not short:
        return None
    middle = {name: float(value) for name, value in zip(found.posterior.names, found.posterior.quantile(0.5), strict=True)}
    total = min(sum(short.values()), MOST_DRAWN)
    cohorts = []
    for scenario, n in short.items():
        study = load(scenario)
        given = study.resolved["population"]
        changes = changes_in(given, middle)
        table = whole_table(changed_population(study.population, given, changes)) if changes else whole_table(given)
        load_population(table)
        own = {group.bank_arm for group in found.fit.groups if group.scenario == scenario}
        also = {arm for cohort in plan.cohorts if cohort.population == given for arm in cohort.arms}
        arms = tuple(key for key in plan.arms if key in own | also)
        cohorts.append(Cohort(study.population.name, n / sum(short.values()), arms, table))
    widen = {trait: REDRAWN_WIDER for trait in plan.widen}
    return Sitting(len(found.fit.bank.sittings), total, tuple(cohorts), widen)


def write_results(found: Found, folder: Path, identity: Mapping[str, Any], desk: Desk, force: bool) -> list[Path]:
    """Write the posterior, its best set, report and figures into a folder.

    Args:
        found: What was found.
        folder: Where; what it holds of an earlier calibration is replaced.
        identity: What was fitted to what, and with which bank.
        desk: Who is told of files that were in the way.
        force: Whether another calibration that stands there may be replaced.
    """
    from tme_abm.analysis.calibration import report

    with open_results(folder, identity, force) as place:
        place.say = desk.warn
        place.before_publishing = partial(describe_folder, study=SUBJECT)
        if place.is_finished:
            place.new.mkdir(parents=True, exist_ok=True)
        write(found.posterior, place.new / SETS, identity)
        written = report.write(found, place.new)
        place.publish(is_final=False)
    return [folder / SETS, *(folder / path.name for path in written)]
