"""The contract of a mechanism."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tme_abm.foundation.declare import stack
from tme_abm.foundation.jit import part


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
        phase: When it prepares: "drugs", "fields", "effectors", "motion" or "arrival".
        idle: act -> what happens instead while it is switched off, a kernel with the same arguments.
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
    phase: str = ""
    idle: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


def by_drug(mechanism: Mechanism, given: list[tuple[int, Any]]) -> ByDrug:
    """The parameters of a mechanism for the drugs of a regimen, given as (position in the regimen, Params)."""
    return ByDrug(np.array([i for i, _ in given], np.int64), stack(mechanism.Params, [p for _, p in given]))


def in_order(act: str, mechanisms: Sequence[Mechanism]) -> Any:
    """One kernel (marrow, rules, on, tick) that runs an act of several mechanisms in their order, or what each does while idle."""
    names: dict[str, Any] = {}
    lines = ["def run(marrow, rules, on, tick):", "    pass"]
    for m in mechanisms:
        for test, kernel in (("if", getattr(m, act)), ("if not", m.idle.get(act))):
            if kernel is not None:
                name = f"{m.name}_{len(names)}"
                names[name] = kernel
                lines += [f"    {test} on.{m.name}:", f"        {name}(marrow, rules.{m.name}, tick)"]
    exec("\n".join(lines), names)
    return part(names["run"])
