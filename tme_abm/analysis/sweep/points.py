"""The points of a sweep, and the trial at each."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from tme_abm.analysis.conditions import Condition, Load, conditions_of
from tme_abm.analysis.sweep.form import Form, Step, Sweep, steps_of
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.toml import Keys
from tme_abm.trial.study import Study


@dataclass(frozen=True)
class Point:
    """One combination of what is varied.

    Attributes:
        number: From 0.
        values: Axis -> its number, or the label of its choice.
        replicates: The trial of each replicate: arm -> condition.
    """

    number: int
    values: dict[str, float | int | str]
    replicates: tuple[dict[str, Condition], ...]


def combinations(form: Form, seed: int) -> list[dict[str, Step]]:
    """Axis -> place, for every point: all of a grid, a Latin hypercube, or Sobol's sequence (scrambled), drawn from `seed`."""
    if form.design == "grid":
        every = [steps_of(axis) for axis in form.axes.values()]
        return [dict(zip(form.axes, steps, strict=True)) for steps in product(*every)]
    from scipy.stats import qmc

    assert form.samples is not None
    engine = (qmc.LatinHypercube if form.design == "latin_hypercube" else qmc.Sobol)(len(form.axes), rng=np.random.default_rng(seed))
    drawn = engine.random(form.samples)
    columns = [steps_of(axis, drawn[:, i].tolist()) for i, axis in enumerate(form.axes.values())]
    return [dict(zip(form.axes, steps, strict=True)) for steps in zip(*columns, strict=True)]


def lay_out(sweep: Sweep, load: Load) -> tuple[Study, list[Point]]:
    """The trial as it stands, and every point.

    Args:
        sweep: What is varied.
        load: Reads the trial with changes; it stands a floor higher.

    Raises:
        InputError: For a change that the trial refuses, with its place in the sweep.
    """
    form = sweep.form
    try:
        base = load(sweep.changes(), form.without, 0)
    except InputError as error:
        raise sweep.source.error(("scenario",), str(error)) from None
    arms = _checked_arms(form, base, sweep)
    points = []
    for number, combination in enumerate(combinations(form, base.seed)):
        overrides = [*sweep.changes(), *(text for step in combination.values() for text in step.overrides)]
        without = [*form.without, *(name for step in combination.values() for name in step.without)]
        trials = []
        for replicate in range(form.replicates):
            try:
                study = load(overrides, without, replicate)
            except InputError as error:
                raise sweep.source.error(_place(combination, str(error)), str(error)) from None
            trials.append(conditions_of(study, arms))
        values = {key: step.name for key, step in combination.items()}
        points.append(Point(number, values, tuple(trials)))
    return base, points


def _place(combination: dict[str, Step], text: str) -> Keys:
    """The axis whose change an error names."""
    for key, step in combination.items():
        if any(override.split("=", 1)[0] in text for override in step.overrides) or any(name in text for name in step.without):
            return ("axes", key)
    return ("axes", next(iter(combination)))


def _checked_arms(form: Form, base: Study, sweep: Sweep) -> list[str]:
    """The arms that are run: all of the trial, or those that the sweep names."""
    known = [arm.key for arm in base.arms]
    named: list[tuple[Keys, str]] = [(("arms", i), key) for i, key in enumerate(form.arms or ())]
    named += [(("compare", i), key) for i, pair in enumerate(form.compare or ()) for key in pair]
    for at, key in named:
        if key not in known:
            raise sweep.source.error(at, f"the trial has no arm '{key}'{did_you_mean(key, known)}")
    return known if form.arms is None else [key for key in known if key in {name for _, name in named}]


def comparisons_of(form: Form, base: Study, arms: list[str]) -> list[tuple[str, str]]:
    """Pairs of arm and reference."""
    pairs = [(pair[0], pair[1]) for pair in form.compare] if form.compare is not None else list(base.comparisons)
    return [pair for pair in pairs if set(pair) <= set(arms)]
