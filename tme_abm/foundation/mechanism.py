"""The contract of a mechanism."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tme_abm.foundation.declare import stack


class ByDrug(NamedTuple):
    """The parameters of a mechanism for each drug of a regimen that acts by it."""

    drug: np.ndarray  # (n,) int64, position of the drug in the regimen
    p: Any  # the mechanism's Params, each member an array (n,)


@dataclass(frozen=True)
class Mechanism:
    """A biological effect: its parameters and the kernels that apply it to the marrow.

    A mechanism acts in one or more of three ways, each a kernel with the arguments (marrow, parameters, tick):

    Attributes:
        name: As `--without` takes it.
        Params: NamedTuple of its parameters, each annotated with unit, meaning, source and grade.
        summary: One sentence in a haematologist's words.
        reads: Names of what it reads.
        writes: Names of what it writes.
        by_drug: True where each drug brings its own parameters; the kernels then get a `ByDrug`.
        answers: Antigen of the antibodies that the tumour answers by it, without numbers of the drug's own; "" for none.
        prepare: Changes columns, fields or gauges of the marrow, before anybody's fate is drawn.
        ceiling: Adds to `body.ceiling` the highest hazard that `hazard` can give to a cell of each type.
        hazard: Adds hazards to the cells at risk.
    """

    name: str
    Params: type
    summary: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    by_drug: bool = False
    answers: str = ""
    prepare: Callable[..., Any] | None = None
    ceiling: Callable[..., Any] | None = None
    hazard: Callable[..., Any] | None = None


def by_drug(mechanism: Mechanism, given: list[tuple[int, Any]]) -> ByDrug:
    """The parameters of a mechanism for the drugs of a regimen, given as (position in the regimen, Params)."""
    return ByDrug(np.array([i for i, _ in given], np.int64), stack(mechanism.Params, [p for _, p in given]))
