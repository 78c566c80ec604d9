"""Walking: a random word as a displacement, and a place as one number.

Half a word tells a row or a column without a remainder, and a cell that goes there or stays chooses between two numbers, which costs
no branch.
"""

from numba import int64, uint64

from tme_abm.foundation.jit import part
from tme_abm.marrow.lattice import index, wrapped


@part
def displacement(word, side):
    """Rows and columns [sites] to go, even over a square of `side` sites a side (an odd number), from the upper half of a random word."""
    rows = (word >> uint64(32)) * uint64(side)
    columns = (rows & uint64(0xFFFFFFFF)) * uint64(side)  # what is left of the draw once the row is known
    return int64(rows >> uint64(32)) - side // 2, int64(columns >> uint64(32)) - side // 2


@part
def place(y, x):
    """Row and column in one number, so that a cell goes there or stays by a choice between two numbers, which costs no branch."""
    return y << 32 | x


@part
def site_of(there, width):
    """The site of a `place`."""
    return index((there >> 32) * width + (there & 0xFFFFFFFF))


@part
def carried(at, word, side, lattice):
    """The place that a displacement from the place `at` leads to on the torus."""
    rows, columns = displacement(word, side)
    return place(wrapped((at >> 32) + rows, lattice.height), wrapped((at & 0xFFFFFFFF) + columns, lattice.width))
