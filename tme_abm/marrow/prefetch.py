"""Memory read ahead: a block of a large lattice is read in the order of its addresses before cells are visited in a random order.

What random visits would fetch line by line from main memory, each by itself, the processor foresees where it is read in order. Nothing
of this changes a result. A small marrow stays in the caches, and nothing is read ahead.
"""

from tme_abm.foundation.jit import part

LINE = 64  # bytes that the processor fetches at once
FAR = 9  # blocks from which on a marrow is read ahead


@part
def is_far(roster):
    """Whether a marrow does not fit into the caches, so that a block is worth reading ahead."""
    return roster.block.shape[0] >= FAR


@part
def read_lines(column, step, block, width):
    """Read every `step`-th number of a column over the rows of a block.

    Returns:
        The sum, to be kept in `roster.ahead`, or the compiler would leave it all out.
    """
    total = 0.0
    for y in range(block[0], block[0] + block[1]):
        for s in range(y * width + block[2], y * width + block[2] + block[3], step):
            total += float(column[s])
    return total


@part
def read_for_fate(marrow, block):
    """Read ahead what tells the draws of the cells of a block apart."""
    if is_far(marrow.roster):
        marrow.roster.ahead[0] = read_lines(marrow.cells.uid, LINE // 8, marrow.roster.block[block], marrow.lattice.width)


@part
def read_for_granzyme(marrow, block):
    """Read ahead what the granzyme of the cells of a block follows from."""
    if is_far(marrow.roster):
        cells, where, width = marrow.cells, marrow.roster.block[block], marrow.lattice.width
        total = read_lines(cells.activity, LINE // 4, where, width) + read_lines(cells.granzyme, LINE // 4, where, width)
        total += read_lines(marrow.fields.adenosine, LINE // 4, where, width)
        marrow.roster.ahead[0] = total + read_lines(marrow.contacts.suppressor, LINE // 4, where, width)


@part
def read_for_walks(marrow, block):
    """Read ahead all that walkers of a block carry along, look at and leave behind."""
    if is_far(marrow.roster):
        cells, contacts, where, width = marrow.cells, marrow.contacts, marrow.roster.block[block], marrow.lattice.width
        total = read_lines(cells.kind, LINE, where, width) + read_lines(cells.clone, LINE, where, width)
        total += read_lines(cells.uid, LINE // 8, where, width) + read_lines(cells.cd38, LINE // 4, where, width)
        total += read_lines(cells.complement_inhibitors, LINE // 4, where, width) + read_lines(cells.activity, LINE // 4, where, width)
        total += read_lines(cells.granzyme, LINE // 4, where, width) + read_lines(cells.born, LINE // 4, where, width)
        total += read_lines(marrow.fields.chemokine, LINE // 4, where, width)
        total += read_lines(contacts.nk, LINE // 4, where, width) + read_lines(contacts.t_cell, LINE // 4, where, width)
        total += read_lines(contacts.phagocyte, LINE // 4, where, width) + read_lines(contacts.suppressor, LINE // 4, where, width)
        marrow.roster.ahead[0] = total
