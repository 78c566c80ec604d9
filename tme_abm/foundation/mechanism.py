"""The contract of a mechanism: what it declares, from which the step, its checks, its graph and the words about it all follow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np

from tme_abm.foundation.declare import stack
from tme_abm.foundation.jit import part

Kernel = Callable[..., Any]
ACTS = ("prepare", "ceiling", "hazard")  # in the order of a step


class Phase(Enum):
    """When in a step a mechanism prepares, in this order; what acts on cells at risk comes between `MOTION` and `ARRIVAL`."""

    DRUGS = "drugs bind, and antigens, clones and the host respond to them"
    FIELDS = "substances are made, spread and are taken up"
    EFFECTORS = "T and NK cells take after what surrounds them"
    MOTION = "cells move and leave their contacts where they stop"
    ARRIVAL = "cells come from the blood, once deaths and divisions have happened"


class Group(Enum):
    """Under which heading a reader finds a mechanism, in English and Italian."""

    ANTIBODY = ("Antibody", "Anticorpo")
    DRUG = ("Other drugs", "Altri farmaci")
    IMMUNE = ("Immune cells", "Cellule immunitarie")
    NICHE = ("Tumour and niche", "Tumore e nicchia")

    def label(self, language: str) -> str:
        """The heading in a language."""
        return self.value[language == "it"]


class Words(NamedTuple):
    """What a mechanism is called and what it does."""

    label: str
    summary: str


class ByDrug(NamedTuple):
    """The parameters of a mechanism for each drug of a regimen that acts by it."""

    drug: np.ndarray  # (n,) int64, position of the drug in the regimen
    p: Any  # the mechanism's Params, each member an array (n,)


@dataclass(frozen=True)
class Mechanism:
    """A biological effect: its parameters and the kernels that apply it to the marrow.

    A mechanism acts in one or more of three ways, each a kernel with the arguments (marrow, parameters, tick). What it reads and writes
    are names of what a kernel of it says after `marrow.`: "cells.granzyme", "fields.adenosine", "contacts.nk", "drugs.occupancy",
    "clones.division", "host.exhaustion", "traits.renewal", "at_risk.adherence", "body.clone_stress"; "cells" for whole rows that come or
    move, and beside it the columns whose content matters; a gauge by its name, "gauge.NK_ARMED", and a hazard by its cause,
    "hazard.ADCC". What it writes it may read without saying so. All this is checked (mechanisms/declared.py).

    Attributes:
        name: As `--without` takes it.
        Params: NamedTuple of its parameters, each annotated with unit, meaning, source and grade.
        label: What a reader calls it, in a word or two.
        summary: One sentence in a haematologist's words.
        group: Where a reader finds it.
        reads: Names of what it reads.
        writes: Names of what it writes.
        by_drug: True where each drug brings its own parameters; the kernels then get a `ByDrug`.
        answers: Antigen of the antibodies that the tumour answers by it, without numbers of the drug's own; "" for none.
        phase: When it prepares; None where it does not.
        prepare: Changes columns, fields or gauges of the marrow, before anybody's fate is drawn.
        ceiling: Adds to `body.ceiling` the highest hazard that `hazard` can give to a cell of each type.
        hazard: Adds hazards to the cells at risk. A mechanism of the package may change what is written down of them too, for those that
            come after it; one from outside comes after all of these, so it may only where another from outside reads it
            (mechanisms/outside/unread.py), and weakens an effector by its contacts in `Phase.MOTION`.
        rest: What is left of it while it is switched off: names of what goes back to its declared rest value, or act -> a kernel that runs
            instead. What lasts a step only goes back by itself.
        recalls: Names among `reads` that it reads as the step before left them, before another mechanism writes them in this one.
        italian: Its label and summary in Italian; English where it is left out.
    """

    name: str
    Params: type
    label: str
    summary: str
    group: Group
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    by_drug: bool = False
    answers: str = ""
    phase: Phase | None = None
    prepare: Kernel | None = None
    ceiling: Kernel | None = None
    hazard: Kernel | None = None
    rest: tuple[str, ...] | Mapping[str, Kernel] = ()
    recalls: tuple[str, ...] = ()
    italian: Words | None = None

    @property
    def causes(self) -> tuple[str, ...]:
        """Names of the causes of death that it brings."""
        return tuple(name.removeprefix("hazard.") for name in self.writes if name.startswith("hazard.") and name != "hazard.DIVISION")

    def words(self, language: str = "en") -> Words:
        """Its label and summary in a language, or in English."""
        return self.italian if language == "it" and self.italian is not None else Words(self.label, self.summary)


def by_drug(mechanism: Mechanism, given: list[tuple[int, Any]]) -> ByDrug:
    """The parameters of a mechanism for the drugs of a regimen, given as (position in the regimen, Params)."""
    return ByDrug(np.array([i for i, _ in given], np.int64), stack(mechanism.Params, [p for _, p in given]))


def in_order(act: str, mechanisms: Sequence[Mechanism], at_rest: Callable[[Mechanism, str], Kernel | None], outside: Kernel) -> Any:
    """One kernel (marrow, rules, on, tick) that runs an act of several mechanisms in their order.

    Args:
        act: One of `ACTS`.
        mechanisms: Those that may have the act.
        at_rest: Mechanism and act -> the kernel (marrow, parameters, tick) that runs while it is switched off, None for none.
        outside: The kernel (marrow, hooks, tick) that runs last: what mechanisms from outside do.
    """
    names: dict[str, Any] = {"outside": outside}
    lines = ["def run(marrow, rules, on, tick):", "    pass"]
    for m in mechanisms:
        for test, kernel in (("if", getattr(m, act)), ("if not", at_rest(m, act))):
            if kernel is not None:
                name = f"{m.name}_{len(names)}"
                names[name] = kernel
                lines += [f"    {test} on.{m.name}:", f"        {name}(marrow, rules.{m.name}, tick)"]
    lines += ["    outside(marrow, rules.outside, tick)"]
    exec("\n".join(lines), names)
    return part(names["run"])
