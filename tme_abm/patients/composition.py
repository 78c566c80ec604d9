"""Composition: how many cells of each type a patient has, as the record of the type says (cell_types.toml)."""

from typing import Any

from tme_abm.foundation.declare import Origin
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.marrow.cell_types import CellType, read_records, records


def amount(kind: CellType, patient: Any) -> float:
    """How many cells of a type a patient has, in what its record counts: a quantity of the patient, or the number that all share.

    Raises:
        InputError: Where the record names no quantity of the patient.
    """
    given = records()[kind].amount
    if isinstance(given, Origin):
        return float(given.value)
    value = getattr(patient, given, None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        known = [name for name, held in vars(patient).items() if type(held) is float]
        where = read_records().place[(kind.name, "amount")]
        raise InputError(f"{where}: {kind.name}: patients have no quantity '{given}'{did_you_mean(given, known)}")
    return float(value)


def nucleated_share(patient: Any) -> float:
    """Share of the nucleated cells that the types of cells make together; stroma is not counted among them."""
    plasma = amount(CellType.PLASMA, patient)
    per = {"nucleated cells": 1.0, "plasma cells": plasma, "neighbourhoods": 0.0}
    return sum(amount(kind, patient) * per[record.of] for kind, record in records().items())
