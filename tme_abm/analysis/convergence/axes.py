"""The choices that are compared: steps on one patch, and patches with one step."""

from collections.abc import Sequence
from typing import NamedTuple

from tme_abm.analysis.run_book import Point
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import InputError
from tme_abm.trial.study import Study

STEPS_H = (6.0, 2.0, 1.0)
SIDES = (64, 128, 256)


class Choice(NamedTuple):
    """A step [h] and the side of a square patch [sites]."""

    step_h: float
    side: int

    @property
    def words(self) -> str:
        """As a table says it."""
        return f"{self.step_h:g} h, {self.side} x {self.side}"


class Axis(NamedTuple):
    """Choices that differ in one thing, from coarse to fine."""

    name: str
    choices: tuple[Choice, ...]

    @property
    def finest(self) -> Choice:
        """The one that the others are set against."""
        return self.choices[-1]


def axes_of(steps_h: Sequence[float], sides: Sequence[int], base: Choice) -> list[Axis]:
    """The axes on which a study varies its numerics, the study's own choice among them.

    Args:
        steps_h: Steps to try on the base patch [h].
        sides: Patches to try with the base step [sites].
        base: The study's own choice.

    Raises:
        InputError: Where there is nothing to compare, or a step or patch cannot be.
    """
    from tme_abm.marrow.lattice import make_lattice

    for step_h in steps_h:
        if step_h <= 0.0 or abs(HOURS_PER_DAY / step_h % 1.0) > 1e-9:
            raise InputError(f"a step of {step_h:g} h does not divide a day")
    for side in sides:
        make_lattice(side, side)
    by_step = Axis("step", tuple(Choice(h, base.side) for h in sorted({*steps_h, base.step_h}, reverse=True)))
    by_side = Axis("patch", tuple(Choice(base.step_h, side) for side in sorted({*sides, base.side})))
    found = [axis for axis in (by_step, by_side) if len(axis.choices) > 1]
    if not found:
        raise InputError("nothing to compare: give at least one step or patch other than the study's own")
    return found


def first_comparison(study: Study) -> tuple[str, str]:
    """Keys of arm and reference.

    Raises:
        InputError: For a study that compares no arms.
    """
    if not study.comparisons:
        raise InputError(f"{study.name} compares no arms: `trial.compare` is empty")
    return study.comparisons[0]


def points(axes: Sequence[Axis], arms: Sequence[str]) -> list[Point]:
    """All conditions of one patient, each once."""
    choices = dict.fromkeys(choice for axis in axes for choice in axis.choices)
    return [Point(arm, frozenset(), c.side, c.side, c.step_h) for c in choices for arm in arms]


def own_choice(study: Study) -> Choice:
    """The step and the patch of a study.

    Raises:
        InputError: For a patch that is not square.
    """
    settings = study.settings
    if settings.height != settings.width:
        raise InputError(f"{study.name}: convergence is studied on square patches, not {settings.height} x {settings.width} sites")
    return Choice(settings.step_h, settings.height)
