"""Seeding: founding cells put on an empty lattice, stroma first, plasma cells in nests of one clone, immune cells anywhere."""

import math
from typing import Annotated, NamedTuple

import numpy as np

from tme_abm.foundation.arrays import total
from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import kernel, part
from tme_abm.foundation.pinned import pin
from tme_abm.foundation.rng import Stream, again, below, bits, normal, stream_key, subkey, uniform, unit
from tme_abm.marrow.cells import EMPTY, N_TYPES, CellType
from tme_abm.marrow.clones import N_CLONES, N_CLONOTYPES, N_REACTIVE
from tme_abm.marrow.lattice import FAIR, find_free_neighbour, has_free_neighbour, mark_niche
from tme_abm.marrow.state import Marrow
from tme_abm.marrow.traits import having

PLASMA = int(CellType.PLASMA)
CELLULARITY: Annotated[float, Param("1", "sites of the patch that marrow cells can fill, the rest being fat and sinus", "tme_abm", "M")] = (
    0.8
)
NUCLEATED_CELLS: Annotated[float, Param("cells", "nucleated cells of the whole marrow, at most", "poels2025", "V")] = 8e11
INTERSTITIAL: Annotated[float, Param("1", "plasma cells that lie scattered at the start, the others in nests", "tme_abm", "M")] = 0.35
SCATTER_TRIES, NEST_TRIES, LEAST_TRIES = 200, 400, 1000  # places looked at for each cell to be put, and for few cells in all


class Composition(NamedTuple):
    """How many cells of each kind a patch starts with."""

    count: np.ndarray  # type: ignore[assignment]  # (N_TYPES,) int64
    clones: np.ndarray  # (N_CLONES,) int64, of the plasma cells


@part
def put(marrow, site, kind, clone, uid):
    """A cell of a type on a free site, with surface densities of its own."""
    cells = marrow.cells
    cells.kind[site] = kind
    cells.clone[site] = clone
    cells.uid[site] = uid
    z = normal(uid, 1)
    if kind == PLASMA:
        cells.cd38[site] = marrow.clones.cd38[clone] * math.exp(marrow.host.cd38_spread * z)
        cells.complement_inhibitors[site] = marrow.clones.complement_inhibitors[clone]
    else:
        cells.cd38[site] = marrow.traits.cd38[kind] * math.exp(marrow.traits.cd38_spread[kind] * z)
        cells.complement_inhibitors[site] = 1.0


@kernel
def scatter(marrow, kind, n, key):
    """Put `n` cells of an immune or stromal kind on free sites anywhere."""
    n_sites = marrow.cells.kind.size
    placed, j = 0, 0
    while placed < n and j < SCATTER_TRIES * n + LEAST_TRIES:
        s = below(bits(key, j), n_sites)
        j += 1
        if marrow.cells.kind[s] == EMPTY:
            clonotype = below(bits(key + 1, s), N_CLONOTYPES) if marrow.traits.is_clonotypic[kind] else 0
            put(marrow, s, kind, clonotype, subkey(key, s))
            placed += 1


@kernel
def nest(marrow, left, where, key):
    """Put plasma cells, some scattered, the others beside those that are there, so that nests form; a nest is of one clone.

    `left` (N_CLONES,) holds how many of each clone to put and is counted down, `where` (their sum,) receives their sites.
    """
    n_sites = marrow.cells.kind.size
    wanted = where.size
    placed, j = 0, 0
    while placed < wanted and j < NEST_TRIES * wanted + LEAST_TRIES:
        word = bits(key, j)
        j += 1
        clone, s = -1, -1
        if placed > 0 and unit(word) > INTERSTITIAL:
            mother = where[below(again(word), placed)]
            clone = int(marrow.cells.clone[mother])
            if left[clone] > 0:
                s = find_free_neighbour(marrow.cells.kind, mother, below(again(again(word)), FAIR), marrow.lattice)
        else:
            s = below(again(word), n_sites)
            mark = unit(again(again(word))) * total(left)
            for c in range(N_CLONES):
                mark -= left[c]
                if mark < 0.0:
                    clone = c
                    break
            if marrow.cells.kind[s] != EMPTY:
                s = -1
        if s >= 0 and clone >= 0:
            put(marrow, s, PLASMA, clone, subkey(key, s))
            left[clone] -= 1
            where[placed] = s
            placed += 1


@kernel
def deal_clonotypes(marrow, reactive, key):
    """Give every cell that has a clonotype a new one, so that the share `reactive` of them sees the tumour."""
    cells = marrow.cells
    for s in range(cells.kind.size):
        if marrow.traits.is_clonotypic[cells.kind[s]]:
            own = subkey(key, s)
            sees = unit(bits(own, 0)) < reactive
            cells.clone[s] = below(bits(own, 1), N_REACTIVE) if sees else N_REACTIVE + below(bits(own, 1), N_CLONOTYPES - N_REACTIVE)


def deal_clones(fractions: np.ndarray, n_plasma: int, key: int) -> np.ndarray:
    """Plasma cells of each clone in a patch of `n_plasma`, rounded by chance; the largest clone takes what is over.

    Returns:
        Counts (N_CLONES,) that sum to `n_plasma`.
    """
    expected = fractions * n_plasma
    counts = np.floor(expected).astype(np.int64)
    for c in range(N_CLONES):
        counts[c] += uniform(key, c) < expected[c] - counts[c]
    counts[int(np.argmax(fractions))] += n_plasma - int(counts.sum())
    return counts


def populate(marrow: Marrow, composition: Composition, key: int) -> None:
    """Fill an empty marrow: stroma first, then plasma cells in nests, then the others."""
    place, pinned = int(stream_key(key, int(Stream.PLACEMENT), 0)), pin(marrow)
    stroma = having(marrow.traits.is_stromal)
    for kind in stroma:
        scatter(pinned, kind, int(composition.count[kind]), int(subkey(place, kind)))
    lay_niche(marrow)
    nest(pinned, composition.clones.copy(), np.zeros(int(composition.clones.sum()), np.int64), int(subkey(place, PLASMA)))
    for kind in range(EMPTY + 1, N_TYPES):
        if kind != PLASMA and kind not in stroma:
            scatter(pinned, kind, int(composition.count[kind]), int(subkey(place, kind)))


def lay_niche(marrow: Marrow) -> None:
    """Mark the sites that are the niche: those beside stroma."""
    mark_niche(marrow.lattice, np.asarray(marrow.traits.is_stromal)[marrow.cells.kind] == 1)


@kernel
def share_with_space(marrow):
    """Share of the plasma cells that have a free neighbour."""
    n, free = 0, 0
    for s in range(marrow.cells.kind.size):
        if marrow.cells.kind[s] == PLASMA:
            n += 1
            if has_free_neighbour(marrow.cells.kind, s, marrow.lattice):
                free += 1
    return free / n if n > 0 else 1.0
