"""Patients for teaching: the typical one, and those who differ from her in one thing."""

from typing import Any

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.patients.patient import VirtualPatient
from tme_abm.patients.population import draw_patient
from tme_abm.patients.reading import load_population


def preset(name: str, **given: Any) -> VirtualPatient:
    """A patient for teaching: the typical one, or one who differs in what the name says and in what follows from it.

    Args:
        name: One of `presets()`.
        given: Further quantities to set.

    Raises:
        InputError: For an unknown name, quantity or value.
    """
    population = load_population("typical")
    if name not in population.presets:
        raise InputError(f"unknown preset '{name}'{did_you_mean(name, population.presets)}")
    return draw_patient(population, 0, 0, given={**population.presets[name], **given})


def presets() -> tuple[str, ...]:
    """Names that `preset` knows."""
    return tuple(load_population("typical").presets)
