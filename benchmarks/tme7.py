"""TME-7: seven kinds of cells under simple rules, made to compare ways of writing the same model.

One step is an hour. Every variant (`tme7_engine`, `tme7_mesa`, `tme7_numpy`, `tme7_frames`) has these rules:

lattice
:   side x side sites, one cell a site, eight neighbours, closed edges; 60 % of the sites are taken at the start.
turns
:   Every live cell acts once in a step; what it does counts at once. A cell born in a step does not act in it, one that was killed
    before its turn does not act any more.
deposit
:   The first thing in its turn, a cell adds its secretion to the adenosine of its site.
plasma cell
:   Held where a stromal cell is among its neighbours. Dies (half as often when held), or else divides: a daughter goes to a random
    empty neighbouring site, and none is born where there is no room; or else, when not held, moves to a random empty neighbouring site
    in a share of the steps.
T and NK cell
:   With plasma cells among the neighbours, kills a random one of them with a chance times (1 - suppression) / (1 + adenosine here / K).
    Otherwise moves to a random empty neighbouring site in a share of the steps. In the end its suppression is halved.
Treg, Breg, MDSC
:   Raise the suppression of every T and NK cell among the neighbours, to 1 at most, then move in a share of the steps.
stroma
:   Stays and secretes.
field
:   After the cells, ten explicit substeps of diffusion and decay, no flux across the edges.

The order of turns is the only liberty: `TURNS` says what each variant does. That it does not matter is measured by `differences` and
`distances` between censuses of many seeds. One figure keeps a trace of it: where suppressors come last in a step, the suppression seen at
its end is not halved yet, so between seeds it spreads more where kinds take turns as blocks than where all cells are shuffled. Its mean is
the same, and so is all that follows from it.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from tme_abm.marrow.cells import CellType

FILL = 0.60
START_ADENOSINE = 10.0
SUBSTEPS = 10
SHARES = {
    CellType.PLASMA: 0.40,
    CellType.T: 0.12,
    CellType.NK: 0.06,
    CellType.TREG: 0.05,
    CellType.BREG: 0.03,
    CellType.MDSC: 0.06,
    CellType.STROMA: 0.28,
}
FIGURES_OF_ORDER = ("suppression",)  # whose spread between seeds depends on the order of turns, see above


class Rules(NamedTuple):
    """Chances in a step, amounts, and rates of the field."""

    death: float = 0.002
    divide: float = 0.006
    move_plasma: float = 0.20
    move_effector: float = 0.90
    move_suppressor: float = 0.50
    kill_t: float = 0.020
    kill_nk: float = 0.015
    half_t: float = 10.0  # adenosine that halves the killing
    half_nk: float = 20.0
    suppress_treg: float = 0.30
    suppress_breg: float = 0.15
    suppress_mdsc: float = 0.25
    secrete_plasma: float = 1.0
    secrete_treg: float = 0.6
    secrete_breg: float = 0.4
    secrete_mdsc: float = 0.8
    secrete_stroma: float = 0.2
    diffusion: float = 0.2  # a substep
    decay: float = 0.2 / 64.0  # a substep; spreads eight sites


RULES = Rules()
KILL = {CellType.T: (RULES.kill_t, RULES.half_t), CellType.NK: (RULES.kill_nk, RULES.half_nk)}
SUPPRESS = {CellType.TREG: RULES.suppress_treg, CellType.BREG: RULES.suppress_breg, CellType.MDSC: RULES.suppress_mdsc}
SECRETE = {
    CellType.PLASMA: RULES.secrete_plasma,
    CellType.TREG: RULES.secrete_treg,
    CellType.BREG: RULES.secrete_breg,
    CellType.MDSC: RULES.secrete_mdsc,
    CellType.STROMA: RULES.secrete_stroma,
}

AT_ONCE = "kinds in a random order, all cells of a kind at once; who finds a site taken tries again; of two that hit one target one kills"
TURNS = {
    "tme_abm": "one at a time; kinds in a random order, cells of a kind along the lattice, from a random start in a random direction",
    "Mesa": "one at a time, in a random order of all cells",
    "mesa-frames": AT_ONCE,
    "numpy": AT_ONCE,
}


class Variant(Protocol):
    """One way of writing TME-7."""

    updates: int  # live cells at the start of each step, summed over the steps
    field_seconds: float  # processor time of the field, where the variant can tell it apart

    def advance(self, n_steps: int) -> None:
        """Let steps pass."""

    def census(self) -> dict[str, float]:
        """Figures that all variants have to agree on."""


def side_of(cells: int) -> int:
    """Sites along a side for a number of cells."""
    return round((cells / FILL) ** 0.5)


def numbers(cells: int) -> dict[CellType, int]:
    """How many cells of each kind there are at the start; stroma takes the rest."""
    found = {kind: round(share * cells) for kind, share in SHARES.items() if kind is not CellType.STROMA}
    return found | {CellType.STROMA: cells - sum(found.values())}


def place(cells: int, random: np.random.Generator) -> np.ndarray:
    """Kinds on the lattice at the start, (side, side) uint8."""
    side = side_of(cells)
    kinds = np.zeros(side * side, np.uint8)
    sites = random.permutation(side * side)[:cells]
    kinds[sites] = np.repeat([int(kind) for kind in numbers(cells)], list(numbers(cells).values()))
    return kinds.reshape(side, side)


def differences(samples: Sequence[dict[str, float]], others: Sequence[dict[str, float]]) -> dict[str, float]:
    """Difference of the means of two samples of censuses, in its standard errors (Welch)."""
    found = {}
    for name in samples[0]:
        a, b = (np.array([row[name] for row in rows], float) for rows in (samples, others))
        error = np.sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
        found[name] = 0.0 if error == 0.0 and a.mean() == b.mean() else float((a.mean() - b.mean()) / max(error, 1e-12))
    return found


def distances(samples: Sequence[dict[str, float]], others: Sequence[dict[str, float]]) -> dict[str, float]:
    """P value of the two-sample test of Kolmogorov and Smirnov for each figure of the census."""
    from scipy.stats import ks_2samp

    return {name: float(ks_2samp([r[name] for r in samples], [r[name] for r in others]).pvalue) for name in samples[0]}
