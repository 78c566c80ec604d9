"""Walking: a random word as a displacement on the torus.

Half a word tells a row or a column without a remainder.
"""

from numba import int64, uint64

from tme_abm.foundation.jit import part
from tme_abm.marrow.lattice import wrapped


@part
def displacement(word, side):
    """Rows and columns [sites] to go, even over a square of `side` sites a side (an odd number), from the upper half of a random word."""
    rows = (word >> uint64(32)) * uint64(side)
    columns = (rows & uint64(0xFFFFFFFF)) * uint64(side)  # what is left of the draw once the row is known
    return int64(rows >> uint64(32)) - side // 2, int64(columns >> uint64(32)) - side // 2


@part
def carried(y, x, word, side, lattice):
    """Row and column that a displacement (see `displacement`) from row `y` and column `x` leads to."""
    rows, columns = displacement(word, side)
    return wrapped(y + rows, lattice.height), wrapped(x + columns, lattice.width)
