"""A marrow founded on a tissue section, as users of the model ask for it."""

import warnings
from collections.abc import Iterable

from tme_abm.patients.patient import VirtualPatient
from tme_abm.patients.presets import preset
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation, make_patient_key
from tme_abm.simulation.tissue import Placement, on_tissue
from tme_abm.spatial import Reading


def lay_out(
    reading: Reading, patient: str | VirtualPatient, step_h: float, without: str | Iterable[str], seed: int
) -> tuple[Simulation, Placement]:
    """An untreated marrow on the cells of a section; a warning says how many of them moved, where some did.

    Args:
        reading: What was read of the section.
        patient: A patient, or the name of one for teaching; the composition of the marrow is the section's.
        step_h: Length of a step [h].
        without: Mechanisms that are switched off from the start of treatment; a text holds them between blanks.
        seed: From which all chance derives.
    """
    who = preset(patient) if isinstance(patient, str) else patient
    switched_off = frozenset(without.split() if isinstance(without, str) else without)
    settings = Settings(reading.height, reading.width, step_h, switched_off)
    simulation, placement = on_tissue(who, settings, make_patient_key(seed, who.index), reading.section)
    if placement.moved:
        warnings.warn(placement.sentence(), stacklevel=3)
    return simulation, placement
