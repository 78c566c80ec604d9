"""What users, pages and batch runs give to the model, read: seeds, regimens, arms of scenarios."""

import operator
import secrets
import traceback
from dataclasses import replace
from inspect import unwrap
from typing import Any

import numpy as np

from tme_abm.foundation.errors import InputError, did_you_mean, first_line
from tme_abm.marrow.lattice import make_lattice
from tme_abm.mechanisms.outside.catalogue import Rule, listed
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.treatment import UNTREATED

LARGEST_SEED = 2**62


def read_seed(seed: Any, rng: Any) -> int:
    """The seed that a user means: a whole number, the text of one, or one drawn from a generator or from the system.

    Raises:
        InputError: Where both are given, or what is given is no whole number from 0 to 2**62.
    """
    if seed is not None and rng is not None:
        raise InputError("give either seed or rng, not both")
    given = rng if seed is None else seed
    if given is None:
        return secrets.randbits(32)
    if isinstance(given, np.random.Generator):
        return int(given.integers(2**32))
    value = _whole(given)
    if value is None or not 0 <= value < LARGEST_SEED:
        raise InputError(f"a seed is a whole number from 0 to 2**62, not {given!r}")
    return value


def _whole(given: Any) -> int | None:
    """A whole number, which boxes and sliders of a page give as a text or a float; None for all else."""
    if isinstance(given, bool):
        return None
    try:
        return int(given) if isinstance(given, str) or (isinstance(given, float) and given.is_integer()) else operator.index(given)
    except (TypeError, ValueError):
        return None


def read_sides(height: Any, width: Any) -> tuple[int, int]:
    """Rows and columns of a patch, refused before anything is made of them.

    Raises:
        InputError: For what is no whole number, or a side that no patch has.
    """
    rows, columns = _whole(height), _whole(width)
    if rows is None or columns is None:
        name, wrong = ("height", height) if rows is None else ("width", width)
        raise InputError(f"{name} must be a whole number of sites, got {wrong!r}")
    make_lattice(rows, columns)  # says which sides a patch may have
    return rows, columns


def add_rules(settings: Settings, rules: Any) -> Settings:
    """Settings with rules in plain Python, where any are given.

    Raises:
        InputError: For what is no rule.
    """
    given = listed(rules)
    return replace(settings, catalogue=settings.catalogue.with_rules(given)) if given else settings


def tell_failure(rule: Rule, day: float, error: Exception) -> str:
    """What to say of a rule that failed: file and line of it, and of what."""
    frames = traceback.extract_tb(error.__traceback__)
    code = getattr(unwrap(rule.function), "__code__", None)
    own = [frame for frame in frames if code is not None and frame.filename == code.co_filename]
    at = (own or frames)[-1]
    what = first_line(error) if isinstance(error, InputError) else f"{type(error).__name__}: {first_line(error)}"
    return f"{at.filename}, line {at.lineno}: rule '{rule.name}' failed on day {day:g}: {what}"


def find_regimen(given: str | Regimen | None) -> tuple[Regimen, dict[str, Any]]:
    """A regimen and its drugs.

    Raises:
        InputError: For an unknown scenario, arm or drug.
    """
    if given is None:
        return UNTREATED, {}
    if isinstance(given, Regimen):
        return given, {name: load_drug(name) for name in given.drugs}
    scenario, slash, arm = given.rpartition("/")
    if not slash:
        raise InputError(f"write a regimen as scenario/arm, such as 'icaria/isa-pd', not '{given}'")
    study = load_study(scenario)
    return find_arm(study, arm), dict(study.drugs)


def load_study(scenario: Any) -> Any:
    """A study by name or path; one that is resolved already is taken as it is."""
    if hasattr(scenario, "arms"):
        return scenario
    from tme_abm import load_trial  # by its public name: files are read on a floor above this one

    return load_trial(scenario)


def find_arm(study: Any, key: str) -> Regimen:
    """The arm of a study with a key.

    Raises:
        InputError: Where there is none.
    """
    arms: dict[str, Regimen] = {regimen.key: regimen for regimen in study.arms}
    if key not in arms:
        raise InputError(f"scenario '{study.name}': there is no arm '{key}'{did_you_mean(key, arms)}")
    return arms[key]
