"""What users, pages and batch runs give to the model, read: seeds, regimens, arms of scenarios."""

import operator
import secrets
from typing import Any

import numpy as np

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.simulation.treatment import UNTREATED

LARGEST_SEED = 2**62


def read_seed(seed: Any, rng: Any) -> int:
    """The seed that a user means: a whole number, one in words, or one drawn from a generator or from the system.

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
    try:  # boxes and sliders of a page give texts and floats
        value = int(given) if isinstance(given, str) or (isinstance(given, float) and given.is_integer()) else operator.index(given)
    except (TypeError, ValueError):
        value = -1
    if isinstance(given, bool) or not 0 <= value < LARGEST_SEED:
        raise InputError(f"a seed is a whole number from 0 to 2**62, not {given!r}")
    return value


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
