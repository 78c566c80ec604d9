"""The roster: who stands where, by type and block of the lattice, so that kernels go over the cells of a type without a search."""

from tme_abm.foundation.jit import kernel, part
from tme_abm.marrow.cells import N_TYPES, CellType
from tme_abm.marrow.clones import N_CLONES

PLASMA = int(CellType.PLASMA)


@kernel
def index_cells(marrow):
    """Write down who stands where, by type and block of the lattice, and count; nothing is drawn or decided yet."""
    kinds, count, width = marrow.cells.kind, marrow.body.count, marrow.lattice.width
    start, site, cursor, blocks = marrow.roster.start, marrow.roster.site, marrow.roster.cursor, marrow.roster.block
    # both halves of a block in turn: a count depends on the one before of the same type, and the processor can do two at once
    for b in range(blocks.shape[0]):
        first, rows, left, columns = blocks[b, 0], blocks[b, 1], blocks[b, 2], blocks[b, 3]
        half = (rows + 1) // 2
        for k in range(N_TYPES):
            cursor[b, 0, k] = 0
            cursor[b, 1, k] = 0
        for y in range(first, first + rows - half):
            for s in range(y * width + left, y * width + left + columns):
                cursor[b, 0, kinds[s]] += 1
                cursor[b, 1, kinds[s + half * width]] += 1
        if half > rows - half:
            for s in range((first + half - 1) * width + left, (first + half - 1) * width + left + columns):
                cursor[b, 0, kinds[s]] += 1
    n = 0
    for k in range(N_TYPES):
        start[k] = n
        for b in range(blocks.shape[0]):
            for h in range(2):
                here = cursor[b, h, k]
                cursor[b, h, k] = n
                n += here
        count[k] = n - start[k]
    start[N_TYPES] = n
    for b in range(blocks.shape[0]):
        first, rows, left, columns = blocks[b, 0], blocks[b, 1], blocks[b, 2], blocks[b, 3]
        half = (rows + 1) // 2
        for y in range(first, first + rows - half):
            for s in range(y * width + left, y * width + left + columns):
                k = int(kinds[s])
                site[cursor[b, 0, k]] = s
                cursor[b, 0, k] += 1
                k = int(kinds[s + half * width])
                site[cursor[b, 1, k]] = s + half * width
                cursor[b, 1, k] += 1
        if half > rows - half:
            for s in range((first + half - 1) * width + left, (first + half - 1) * width + left + columns):
                k = int(kinds[s])
                site[cursor[b, 0, k]] = s
                cursor[b, 0, k] += 1
    marrow.events.n[:] = 0
    clone_count = marrow.body.clone_count
    for c in range(N_CLONES):
        clone_count[c] = 0
    for i in range(start[PLASMA], start[PLASMA + 1]):
        clone_count[marrow.cells.clone[site[i]]] += 1


@part
def first_of(roster, block, kind):
    """Where the cells of a kind in a block begin in the roster."""
    return roster.cursor[block - 1, 1, kind] if block > 0 else roster.start[kind]


@part
def end_of(roster, block, kind):
    """Where the cells of a kind in a block end in the roster."""
    return roster.cursor[block, 1, kind]
