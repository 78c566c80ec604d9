"""The lattice: square sites of 12 um on a torus, each with eight neighbours.

Sites are numbered row by row: `site = y * width + x`. Almost every site has its neighbours at fixed distances in that numbering;
only those on the rim need the arithmetic of the torus, and one byte a site tells which they are.

Lengths are in um everywhere else; here alone they become sites (`in_sites`).
"""

from typing import Annotated, NamedTuple

import numpy as np

from tme_abm.foundation.declare import Column, Param
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.jit import inlined, kernel

SITE_UM: Annotated[
    float,
    Param(
        "um",
        "side of a site, which holds one cell",
        "wadsworth: a plasma cell measures 8-15 um, of which 12 is about the middle; tme_abm: taken for cells of every kind",
        "D",
    ),
] = 12.0
NEIGHBOURS = 8  # of a site on a square lattice, corners included
NEIGHBOURHOOD = NEIGHBOURS + 1.0  # sites in reach of a cell: its own and the eight around it
FAIR = 840  # divisible by every number of free neighbours, so that a draw below it makes each of them as likely as the others
SMALLEST_SIDE, LARGEST_SIDE = 8, 8192  # [sites] what the solver of the fields needs, and what memory bears (7 GB)
LARGEST_INDEX = 0x7FFFFFFF  # that a site may have
Array = np.ndarray


class Lattice(NamedTuple):
    """Geometry of a patch; `n_sites = height * width`."""

    height: int
    width: int
    offsets: Array  # (8,) distance of each neighbour in the numbering of the sites, away from the rim
    inner: Annotated[Array, Column("u1", "-", "1 away from the rim, where `offsets` hold")]
    niche: Annotated[Array, Column("u1", "-", "1 where a stromal cell is among the eight neighbours")]


def make_lattice(height: int, width: int) -> Lattice:
    """A lattice without stroma.

    Raises:
        InputError: For a side below 8 or above 8192 sites.
    """
    for side in (height, width):
        if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
            raise InputError(f"a patch has sides of {SMALLEST_SIDE} to {LARGEST_SIDE} sites, not {height} x {width}")
    inner = np.zeros((height, width), np.uint8)
    inner[1:-1, 1:-1] = 1
    offsets = np.array([dy * width + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx], np.int64)
    return Lattice(int(height), int(width), offsets, inner.ravel(), np.zeros(height * width, np.uint8))


@kernel
def in_sites(diffusivity, per_hour):
    """A diffusivity in [site2/h], of one given in um2 per second (`per_hour` 3600) or per minute (60)."""
    return diffusivity * per_hour / SITE_UM**2


@kernel
def index(site):
    """A site as an index that the compiler knows not to be negative, so that it does not look whether it counts from the end."""
    return int(site) & LARGEST_INDEX


@kernel
def wrapped(position, length):
    """A row or column carried round the torus; cheaper than a remainder for the short ways that cells go."""
    # once round without a branch, which the processor would often guess wrong, and farther where somebody goes farther
    position += length if position < 0 else 0
    position -= length if position >= length else 0
    while position < 0:
        position += length
    while position >= length:
        position -= length
    return position


@kernel
def displaced(site, dy, dx, lattice):
    """The site `dy` rows and `dx` columns away on the torus."""
    y = wrapped(site // lattice.width + dy, lattice.height)
    return y * lattice.width + wrapped(site % lattice.width + dx, lattice.width)


@kernel
def neighbour(site, k, lattice):
    """The `k`-th (0 to 7) of the eight neighbours of a site."""
    if lattice.inner[site] == 1:
        return index(site + lattice.offsets[k])
    j = k if k < NEIGHBOURS // 2 else k + 1
    return displaced(site, j // 3 - 1, j % 3 - 1, lattice)


@inlined
def ways(site, lattice):
    """From a site up and down a row, and left and right a column, in the numbering of the sites on the torus."""
    height, width = lattice.height, lattice.width
    up, down, left, right = -width, width, -1, 1
    if lattice.inner[site] == 0:
        y, x = site // width, site % width
        up = up if y > 0 else (height - 1) * width
        down = down if y < height - 1 else -(height - 1) * width
        left = left if x > 0 else width - 1
        right = right if x < width - 1 else 1 - width
    return up, down, left, right


@inlined
def neighbourhood_sum(column, site, lattice):
    """Sum of a column over a site and its eight neighbours."""
    up, down, left, right = ways(site, lattice)
    # one at a time: compiled, the sum of two 32-bit numbers is rounded to 32 bits
    total = 0.0
    total += float(column[site])
    total += float(column[index(site + up + left)])
    total += float(column[index(site + up)])
    total += float(column[index(site + up + right)])
    total += float(column[index(site + left)])
    total += float(column[index(site + right)])
    total += float(column[index(site + down + left)])
    total += float(column[index(site + down)])
    total += float(column[index(site + down + right)])
    return total


@kernel
def count_neighbours(kinds, kind, site, lattice):
    """How many of the eight neighbours are of a `kind`."""
    n = 0
    for k in range(NEIGHBOURS):
        if kinds[neighbour(site, k, lattice)] == kind:
            n += 1
    return n


@kernel
def has_free_neighbour(kinds, site, lattice):
    """Whether one of the eight neighbours of a site is free."""
    for k in range(NEIGHBOURS):
        if kinds[neighbour(site, k, lattice)] == 0:
            return True
    return False


@kernel
def find_free_neighbour(kinds, site, start, lattice):
    """A free neighbour of a site, or -1; `start` (0 to 7) says where the search begins, so that a random start is fair."""
    free = 0
    for k in range(NEIGHBOURS):
        if kinds[neighbour(site, k, lattice)] == 0:
            free += 1
    if free == 0:
        return -1
    skip = start % free
    for k in range(NEIGHBOURS):
        target = neighbour(site, k, lattice)
        if kinds[target] == 0:
            if skip == 0:
                return target
            skip -= 1
    return -1


def density_for(share: float) -> float:
    """Stromal cells a site, scattered by chance, that make a `share` of the sites touch at least one of them (see `mark_niche`)."""
    return 1.0 - (1.0 - share) ** (1.0 / NEIGHBOURS)


def mark_niche(lattice: Lattice, is_stroma: np.ndarray) -> None:
    """Write into `lattice.niche` which sites touch one of the stromal cells, given as (n_sites,) truth values."""
    stroma = is_stroma.reshape(lattice.height, lattice.width)
    near = np.zeros_like(stroma)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dy or dx:
                near |= np.roll(stroma, (dy, dx), (0, 1))
    lattice.niche[:] = near.ravel()
