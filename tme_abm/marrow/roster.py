"""The roster: who stands where, by type and block of the lattice, so that kernels go over the cells of a type without a search."""

import numpy as np

from tme_abm.foundation.jit import kernel, part
from tme_abm.marrow.cells import N_TYPES, CellType
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.lattice import index
from tme_abm.marrow.state import BANDS

PLASMA = int(CellType.PLASMA)
BITS = 64 // N_TYPES  # of a word, for the number of sites of each type
MOST_COUNTED = 2**BITS - 1  # sites that such a number bears


@part
def count_kinds(kinds, begin, end, count):
    """Add the sites from `begin` to `end` to the `count` of their types; all numbers side by side in one word, which is quick."""
    for first in range(begin, end, MOST_COUNTED):
        word, start = np.uint64(0), np.uint64(first)
        for i in range(np.uint64(min(MOST_COUNTED, end - first))):
            word += np.uint64(1) << np.uint64(BITS * np.int64(kinds[start + i]))
        for k in range(N_TYPES):
            count[k] += np.int64(word >> np.uint64(BITS * k)) & MOST_COUNTED


@part
def put(roster, kinds, block, band, s):
    """Write a site down as the next one of its type in a band of a block."""
    site, kind = index(s), kinds[index(s)]
    i = index(roster.cursor[block, band, kind])
    roster.site[i] = site
    roster.cursor[block, band, kind] = i + 1


@part
def list_cells(marrow):
    """Write down who stands where, by type and block of the lattice, and count; nothing is drawn or decided yet."""
    kinds, count, width = marrow.cells.kind, marrow.body.count, marrow.lattice.width
    start, site, cursor, blocks = marrow.roster.start, marrow.roster.site, marrow.roster.cursor, marrow.roster.block
    for b in range(blocks.shape[0]):
        first, rows, left, columns = blocks[b, 0], blocks[b, 1], blocks[b, 2], blocks[b, 3]
        for h in range(BANDS):
            for k in range(N_TYPES):
                cursor[b, h, k] = 0
            for y in range(first + h * (rows // BANDS), first + (h + 1) * (rows // BANDS) if h < BANDS - 1 else first + rows):
                count_kinds(kinds, y * width + left, y * width + left + columns, cursor[b, h])
    n = 0
    for k in range(N_TYPES):
        start[k] = n
        for b in range(blocks.shape[0]):
            for h in range(BANDS):
                here = cursor[b, h, k]
                cursor[b, h, k] = n
                n += here
        count[k] = n - start[k]
    start[N_TYPES] = n
    for b in range(blocks.shape[0]):
        first, rows, left, columns = blocks[b, 0], blocks[b, 1], blocks[b, 2], blocks[b, 3]
        # all bands of a block in turn: a place depends on the one before of the same type, and the processor can do several at once
        band = rows // BANDS * width
        for y in range(first, first + rows // BANDS):
            for s in range(y * width + left, y * width + left + columns):
                for h in range(BANDS):
                    put(marrow.roster, kinds, b, h, s + h * band)
        for y in range(first + rows // BANDS * BANDS, first + rows):
            for s in range(y * width + left, y * width + left + columns):
                put(marrow.roster, kinds, b, BANDS - 1, s)
    marrow.events.n[:] = 0
    clone_count = marrow.body.clone_count
    for c in range(N_CLONES):
        clone_count[c] = 0
    for i in range(start[PLASMA], start[PLASMA + 1]):
        clone_count[marrow.cells.clone[site[i]]] += 1


@part
def first_of(roster, block, kind):
    """Where the cells of a kind in a block begin in the roster."""
    return roster.cursor[block - 1, BANDS - 1, kind] if block > 0 else roster.start[kind]


@part
def end_of(roster, block, kind):
    """Where the cells of a kind in a block end in the roster."""
    return roster.cursor[block, BANDS - 1, kind]


@kernel
def index_cells(marrow):
    """`list_cells`, for Python."""
    list_cells(marrow)
