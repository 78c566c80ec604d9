"""Diffusion with uptake on a torus: the concentration of a factor that cells secrete and tissue clears.

The lattice is periodic, its spacing one site, its arrays flat and row-major (site = y * width + x). Two questions are
answered:

    steady      D lap(a) - u a + s = 0                  `solve_steady`
    transient   da/dt = D lap(a) - u a + s              `advance`

with one diffusivity D [site^2/h], and an uptake u > 0 [1/h] and a source s >= 0 [conc/h] that differ from site to
site; lap(a) is the sum of the four neighbours - 4 a, second order in the spacing. A concentration spreads sqrt(D/u)
sites from its source. `solve_steady` improves what it is given, so a field that changed little costs little.

The method is multigrid (brandt1977, trottenberg2001). A sweep moves each site towards balance with its neighbours: an
error that varies from site to site is gone at once, a smooth one hardly changes. So after a sweep the residual is
handed to a lattice with half as many rows and columns, where the same error looks rougher, and so on down to a few
cells; the corrections come back up, and two sweeps smooth what each level receives. One such cycle costs about seven
sweeps and leaves less than a tenth of the residual, whatever the size of the lattice.

For speed, the finest level lives in five sheets, and all lower ones in five others of half their width, one below another.
A row repeats its last site before its first and its first after its last, so that loops know no border and compile to
vector instructions; its first site (column `HERE`) starts a cache line. A sweep reads one sheet and writes another.
Updating red and black sites in turn would take fewer sweeps, but strided ones.

Numbers are float32, which tells 4 D + u from 4 D to some 1e-7: where the concentration spreads 12 sites, residuals down
to 3e-5 of the source can be met, where it spreads 40 sites, 3e-4.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.jit import kernel, part

LINE = 16
"""float32 numbers in a cache line."""
LEFT, HERE, RIGHT = 0, 1, 2
"""Column of the left neighbour, of the site itself and of the right neighbour, for the site x = 0."""
SMALLEST = 8
"""Sites that each side of a lattice must have; also the length of side below which levels are not divided further."""
MAX_CYCLES = 60
STALLED = 0.9
"""A cycle that leaves more than this part of the residual has met the limits of float32: stop."""
STEP_TOLERANCE = 3e-6
"""Relative residual of the two solves in a step of time: below the error of the step itself."""

F = np.float32  # float32 times a Python number is float64 in compiled code, so every constant below is a float32
ZERO, QUARTER, HALF, THREE_QUARTERS, ONE, TWO, FOUR = F(0), F(0.25), F(0.5), F(0.75), F(1), F(2), F(4)
VANISHING = F(1e-30)
"""Concentrations below this are zero: it keeps arithmetic out of the slow range of denormal numbers."""

# Scaled by its diagonal, the operator has eigenvalues between 0 and 2, and between 0.5 and 2 for errors that the next
# level cannot see. Weights that are the reciprocals of the three Chebyshev nodes of [0.5, 2] leave the least of
# these (1/13).
AFTER_2, BEFORE, AFTER_1 = (F(1 / (1.25 + 0.75 * np.cos(angle))) for angle in (np.pi / 6, np.pi / 2, 5 * np.pi / 6))

OVERSHOOT = F(1.1)
"""How much larger the last correction of a cycle is made than asked for, as lower levels see a blurred, so too small,
error. Tuned: a cycle then leaves 7 % of the residual instead of 11 %. On every level it would spoil the mean."""

GAMMA = 1.0 - np.sqrt(0.5)
"""Part of a step of time that each of its two implicit stages covers (alexander1977: second order, L-stable)."""


class Sheets(NamedTuple):
    """Rows of one level or of several, each of shape (rows, padded width)."""

    field: NDArray[np.float32]  # concentration (finest level) or its correction (the others)
    spare: NDArray[np.float32]  # what a sweep writes while it reads `field`, and the reverse
    source: NDArray[np.float32]  # right-hand side: sources, on lower levels the residuals handed down
    diagonal: NDArray[np.float32]  # 2 (coupling to rows + to columns) + uptake
    inverse: NDArray[np.float32]  # 1 / diagonal


class Grid(NamedTuple):
    """Memory for solving on one lattice; the same types for every shape, so kernels compile once.

    A solve begins by writing its sheets anew and leaves nothing in them that is needed later, so others keep things there between two
    solves (`marrow.state.share_memory`), which the next one overwrites.
    """

    finest: Sheets
    lower: Sheets
    row: NDArray[np.float32]  # (padded width,) scratch
    coupling: NDArray[np.float32]  # (levels, 2) exchange with a neighbour row, a neighbour column [1/h]
    levels: NDArray[np.int64]  # (levels, 3) first row in its sheets, height, width


def allocate_grid(height: int, width: int) -> Grid:
    """Memory for a lattice of `height` rows and `width` columns, odd or even.

    Raises:
        InputError: For a side shorter than 8 sites.
    """
    if min(height, width) < SMALLEST:
        raise InputError(f"diffusion: a lattice needs at least {SMALLEST} x {SMALLEST} sites, got {height} x {width}")
    levels, first = [(0, height, width)], 0
    while max(levels[-1][1:]) >= SMALLEST and min(levels[-1][1:]) >= 2:
        levels.append((first, levels[-1][1] // 2, levels[-1][2] // 2))
        first += levels[-1][1]
    return Grid(
        finest=_allocate_sheets(height, width),
        lower=_allocate_sheets(first, width // 2),
        row=_aligned(1, width)[0],
        coupling=np.zeros((len(levels), 2), F),
        levels=np.array(levels, np.int64),
    )


def _allocate_sheets(rows: int, width: int) -> Sheets:
    """Sheets for rows of `width` sites."""
    return Sheets(*(_aligned(rows, width) for _ in Sheets._fields))


def _aligned(rows: int, width: int) -> NDArray[np.float32]:
    """A zeroed sheet for rows of `width` sites with a neighbour at each end; the first site of each starts a cache line."""
    shape = (rows, LINE * math.ceil((width + RIGHT) / LINE))
    n = math.prod(shape)
    memory = np.zeros(n + LINE, F)
    start = (-memory.ctypes.data // memory.itemsize - HERE) % LINE
    return memory[start : start + n].reshape(shape)


@kernel
def solve_steady(concentration, source, uptake, diffusivity, grid, tolerance):
    """Bring `concentration` into balance with its sources, starting from what it holds.

    Args:
        concentration: (sites,) float32, changed in place.
        source: (sites,) float32 [conc/h], not negative.
        uptake: (sites,) float32 [1/h], positive.
        diffusivity: float64 [site^2/h], positive.
        grid: From `allocate_grid` for this height and width.
        tolerance: The 2-norm of the residual over that of the source at which to stop.

    Returns:
        The number of cycles. Where float32 cannot meet the tolerance, it stops at what float32 can. As much is cleared in all
        as is made, whatever the tolerance.
    """
    scale = load(concentration, source, uptake, diffusivity, grid, 0.0)
    if scale == 0.0:
        concentration[:] = ZERO
        return 0
    cycles = iterate(grid, tolerance * scale)
    store(grid, concentration)
    balance(concentration, source, uptake, grid)
    return cycles


@kernel
def advance(concentration, source, uptake, diffusivity, grid, dt):
    """Move `concentration` forward by `dt` [h], with source and uptake as they stand.

    Arguments and result are those of `solve_steady`.

    Two implicit stages with the same operator, second order in time; stable for a step of any length, and a long step
    ends in the steady field.
    """
    rate = 1.0 / (GAMMA * dt)
    scale = load(concentration, source, uptake, diffusivity, grid, rate)
    cycles = iterate(grid, STEP_TOLERANCE * scale)
    height, width = grid.levels[0, 1], grid.levels[0, 2]
    before = concentration.reshape(height, width)
    stage, field, right = grid.finest.spare, grid.finest.field, grid.finest.source
    factor = F(rate * (1.0 - GAMMA) / GAMMA)
    for y in range(height):
        for x in range(width):
            right[y, x + HERE] += factor * (stage[y, x + HERE] - before[y, x])
            field[y, x + HERE] = stage[y, x + HERE]
        close_row(field, y, width)
    cycles += iterate(grid, STEP_TOLERANCE * scale)
    store(grid, concentration)
    return cycles


@kernel
def relative_residual(concentration, source, uptake, diffusivity, grid):
    """The 2-norm of D lap(a) - u a + s over that of s, in double precision.

    It is infinite where there is a field without any source.
    """
    height, width = grid.levels[0, 1], grid.levels[0, 2]
    rest, total = np.float64(0.0), np.float64(0.0)
    for y in range(height):
        here, up, down = y * width, (y - 1) % height * width, (y + 1) % height * width
        for x in range(width):
            a = np.float64(concentration[here + x])
            around = np.float64(concentration[up + x]) + np.float64(concentration[down + x])
            around += np.float64(concentration[here + (x - 1) % width])
            around += np.float64(concentration[here + (x + 1) % width])
            s = np.float64(source[here + x])
            rest += (diffusivity * (around - 4.0 * a) - np.float64(uptake[here + x]) * a + s) ** 2
            total += s**2
    if total == 0.0:
        return 0.0 if rest == 0.0 else np.inf
    return np.sqrt(rest / total)


@part
def iterate(grid, target):
    """Repeat cycles until the 2-norm of the residual is at most `target`; the result stands in `spare`.

    Returns:
        The number of cycles.
    """
    finest, lower, last = grid.finest, grid.lower, grid.levels.shape[0] - 1
    previous = np.inf
    for cycle in range(MAX_CYCLES):
        sweep(finest.field, finest.spare, finest, grid, 0, BEFORE)
        rest = residual(finest, grid, 0)
        if rest <= target or not rest <= STALLED * previous:  # "not": also where it is not a number
            return cycle
        previous = rest
        restrict(finest.field, lower.source, grid, 0)
        for level in range(1, last):
            first_guess(lower, grid, level)
            residual(lower, grid, level)
            restrict(lower.field, lower.source, grid, level)
        solve_coarsest(lower, grid)
        for level in range(last - 1, 0, -1):
            correct_and_smooth(lower, lower.field, grid, level)
        correct_and_smooth(finest, lower.field, grid, 0)
    sweep(finest.field, finest.spare, finest, grid, 0, BEFORE)
    return MAX_CYCLES


@part
def correct_and_smooth(sheets, below, grid, level):
    """Take over what the next level found, `below`, and smooth it."""
    correct(sheets, below, grid, level)
    sweep(sheets.field, sheets.spare, sheets, grid, level, AFTER_1)
    sweep(sheets.spare, sheets.field, sheets, grid, level, AFTER_2)


@part
def close_row(sheet, y, width):
    """Join the two ends of row `y`."""
    sheet[y, LEFT] = sheet[y, width + LEFT]
    sheet[y, width + HERE] = sheet[y, HERE]


@part
def sweep(old, new, sheets, grid, level, weight):
    """Move every site of a level by `weight` of the way to balance with its neighbours (damped Jacobi)."""
    first, height, width = grid.levels[level, 0], grid.levels[level, 1], grid.levels[level, 2]
    by_row, by_column = grid.coupling[level, 0], grid.coupling[level, 1]
    source, inverse = sheets.source, sheets.inverse
    keep = ONE - weight
    for i in range(height):
        y = first + i
        up = y - 1 if i > 0 else first + height - 1
        down = y + 1 if i < height - 1 else first
        for x in range(width):
            beside = by_column * (old[y, x + LEFT] + old[y, x + RIGHT])
            inflow = source[y, x + HERE] + beside + by_row * (old[up, x + HERE] + old[down, x + HERE])
            new[y, x + HERE] = keep * old[y, x + HERE] + weight * inverse[y, x + HERE] * inflow
        close_row(new, y, width)


@part
def first_guess(sheets, grid, level):
    """What a sweep makes of a zero correction."""
    first, height, width = grid.levels[level, 0], grid.levels[level, 1], grid.levels[level, 2]
    spare, source, inverse = sheets.spare, sheets.source, sheets.inverse
    for y in range(first, first + height):
        for x in range(width):
            spare[y, x + HERE] = BEFORE * inverse[y, x + HERE] * source[y, x + HERE]
        close_row(spare, y, width)


@part
def residual(sheets, grid, level):
    """Write the residual of `spare` to `field`, and return its 2-norm."""
    first, height, width = grid.levels[level, 0], grid.levels[level, 1], grid.levels[level, 2]
    by_row, by_column = grid.coupling[level, 0], grid.coupling[level, 1]
    a, out, source, diagonal, squares = sheets.spare, sheets.field, sheets.source, sheets.diagonal, grid.row
    for x in range(width):
        squares[x + HERE] = ZERO  # one sum a column: a single running sum could not be vectorised
    for i in range(height):
        y = first + i
        up = y - 1 if i > 0 else first + height - 1
        down = y + 1 if i < height - 1 else first
        for x in range(width):
            beside = by_column * (a[y, x + LEFT] + a[y, x + RIGHT])
            inflow = source[y, x + HERE] + beside + by_row * (a[up, x + HERE] + a[down, x + HERE])
            rest = inflow - diagonal[y, x + HERE] * a[y, x + HERE]
            out[y, x + HERE] = rest
            squares[x + HERE] += rest * rest
    return root_of_sum(squares, width)


@part
def root_of_sum(squares, width):
    """The root of the sum over columns."""
    total = np.float64(0.0)
    for x in range(width):
        total += squares[x + HERE]
    return np.sqrt(total)


@part
def restrict(fine, coarse, grid, level):
    """Average the sites of a level over the cells of the next one, half as many rows and columns of the same torus.

    With an odd number of sites, 2 n + 1, a cell is 2 + 1/n sites long: cell k takes the part 1 - k/n of site 2 k, all
    of the next and the part (k + 1)/n of the one after.
    """
    first, height, width = grid.levels[level, 0], grid.levels[level, 1], grid.levels[level, 2]
    start, rows, columns = grid.levels[level + 1, 0], grid.levels[level + 1, 1], grid.levels[level + 1, 2]
    row = grid.row
    extra_y = F(height - 2 * rows) / F(rows)
    extra_x = F(width - 2 * columns) / F(columns)
    share = ONE / ((TWO + extra_y) * (TWO + extra_x))
    for k in range(rows):
        y = first + 2 * k
        if extra_y == ZERO:
            for x in range(width):
                row[x + HERE] = share * (fine[y, x + HERE] + fine[y + 1, x + HERE])
        else:
            before, after = share * (ONE - F(k) * extra_y), share * F(k + 1) * extra_y
            for x in range(width):
                middle = share * fine[y + 1, x + HERE]
                row[x + HERE] = before * fine[y, x + HERE] + middle + after * fine[y + 2, x + HERE]
        if extra_x == ZERO:
            for x in range(columns):
                coarse[start + k, x + HERE] = row[2 * x + HERE] + row[2 * x + RIGHT]
        else:
            for x in range(columns):
                before, after = ONE - F(x) * extra_x, F(x + 1) * extra_x
                sides = before * row[2 * x + HERE] + after * row[2 * x + HERE + 2]
                coarse[start + k, x + HERE] = sides + row[2 * x + RIGHT]


@part
def correct(sheets, below, grid, level):
    """Add the next level's correction, `below`, interpolated linearly between its cells, to `spare`; the sum goes to `field`."""
    first, height, width = grid.levels[level, 0], grid.levels[level, 1], grid.levels[level, 2]
    start, rows, columns = grid.levels[level + 1, 0], grid.levels[level + 1, 1], grid.levels[level + 1, 2]
    field, spare, row = sheets.field, sheets.spare, grid.row
    ratio_y, ratio_x = F(rows) / F(height), F(columns) / F(width)
    gain = OVERSHOOT if level == 0 else ONE
    for i in range(height):
        y, k = first + i, i // 2
        offset = (F(i) + HALF) * ratio_y - HALF - F(k)  # of site i from the centre of cell k
        near = start + k % rows
        far = start + ((k - 1) % rows if offset < ZERO else (k + 1) % rows)
        far_part = gain * abs(offset)
        near_part = gain - far_part
        for x in range(columns + 2):
            row[x + LEFT] = near_part * below[near, x + LEFT] + far_part * below[far, x + LEFT]
        if width == 2 * columns:
            for x in range(columns):
                middle = THREE_QUARTERS * row[x + HERE]
                field[y, 2 * x + HERE] = spare[y, 2 * x + HERE] + (middle + QUARTER * row[x + LEFT])
                field[y, 2 * x + RIGHT] = spare[y, 2 * x + RIGHT] + (middle + QUARTER * row[x + RIGHT])
        else:
            for j in range(columns):  # sites 2 j, left of the centre of cell j, and 2 j + 1, on either side of it
                offset = HALF * (ratio_x - ONE) - F(j) * (ONE - TWO * ratio_x)
                here = row[j + HERE]
                to_left, to_right = row[j + LEFT] - here, row[j + RIGHT] - here
                field[y, 2 * j + HERE] = spare[y, 2 * j + HERE] + (here - offset * to_left)
                offset += ratio_x
                slope = max(offset, ZERO) * to_right - min(offset, ZERO) * to_left
                field[y, 2 * j + RIGHT] = spare[y, 2 * j + RIGHT] + (here + slope)
            offset = HALF * (ratio_x - ONE) - F(columns) * (ONE - TWO * ratio_x)
            here = row[columns + HERE]
            field[y, width + LEFT] = spare[y, width + LEFT] + (here - offset * (row[columns + LEFT] - here))
        close_row(field, y, width)


@part
def solve_coarsest(sheets, grid):
    """The last level: its mean from the balance of the whole (sources = uptake), the rest by sweeps, cheap here."""
    level = grid.levels.shape[0] - 1
    first, height, width = grid.levels[level, 0], grid.levels[level, 1], grid.levels[level, 2]
    field, spare, source, diagonal = sheets.field, sheets.spare, sheets.source, sheets.diagonal
    exchanged = TWO * (grid.coupling[level, 0] + grid.coupling[level, 1])
    supply, uptake = np.float64(0.0), np.float64(0.0)
    for y in range(first, first + height):
        for x in range(width):
            supply += source[y, x + HERE]
            uptake += diagonal[y, x + HERE] - exchanged
    mean = F(supply / uptake) if uptake > 0.0 else ZERO
    for y in range(first, first + height):
        for x in range(width + 2):
            field[y, x + LEFT] = mean
    for _ in range(2 + max(height, width) // SMALLEST):
        sweep(field, spare, sheets, grid, level, AFTER_1)
        sweep(spare, field, sheets, grid, level, AFTER_2)


@part
def load(concentration, source, uptake, diffusivity, grid, rate):
    """Fill the sheets for D lap(a) - (u + rate) a + (s + rate * concentration) = 0.

    Returns:
        The 2-norm of the right-hand side, s + rate * concentration.
    """
    levels, coupling, squares = grid.levels, grid.coupling, grid.row
    height, width = levels[0, 1], levels[0, 2]
    a, s, u = concentration.reshape(height, width), source.reshape(height, width), uptake.reshape(height, width)
    field, right, diagonal, inverse = grid.finest.field, grid.finest.source, grid.finest.diagonal, grid.finest.inverse
    lower_diagonal, lower_inverse = grid.lower.diagonal, grid.lower.inverse
    coupling[0, 0], coupling[0, 1] = F(diffusivity), F(diffusivity)
    base, old_part = F(4.0 * diffusivity + rate), F(rate)
    for x in range(width):
        squares[x + HERE] = ZERO
    for y in range(height):
        for x in range(width):
            field[y, x + HERE] = a[y, x]
        for x in range(width):
            value = s[y, x] + old_part * a[y, x]
            right[y, x + HERE] = value
            squares[x + HERE] += value * value
        for x in range(width):
            value = base + u[y, x]
            diagonal[y, x + HERE] = value
            inverse[y, x + HERE] = ONE / value
        close_row(field, y, width)
    scale = root_of_sum(squares, width)
    for level in range(1, levels.shape[0]):
        first, rows, columns = levels[level, 0], levels[level, 1], levels[level, 2]
        ratio_y, ratio_x = F(rows) / F(levels[level - 1, 1]), F(columns) / F(levels[level - 1, 2])
        coupling[level, 0] = coupling[level - 1, 0] * ratio_y * ratio_y
        coupling[level, 1] = coupling[level - 1, 1] * ratio_x * ratio_x
        restrict(diagonal if level == 1 else lower_diagonal, lower_diagonal, grid, level - 1)  # averages the uptake, not the exchange
        shift = TWO * (coupling[level, 0] + coupling[level, 1] - coupling[level - 1, 0] - coupling[level - 1, 1])
        for y in range(first, first + rows):
            for x in range(columns):
                value = lower_diagonal[y, x + HERE] + shift
                lower_diagonal[y, x + HERE] = value
                lower_inverse[y, x + HERE] = ONE / value
    return scale


@part
def store(grid, concentration):
    """Hand back the field; the last digits of a solve may fall below zero, a concentration does not."""
    height, width = grid.levels[0, 1], grid.levels[0, 2]
    a, result = concentration.reshape(height, width), grid.finest.spare
    for y in range(height):
        for x in range(width):
            value = result[y, x + HERE]
            a[y, x] = ZERO if value < VANISHING else value  # in this order, so that an invalid number stays visible


@part
def balance(concentration, source, uptake, grid):
    """Scale a steady field so that as much is cleared as is made, which holds exactly on a torus, however coarsely it was solved."""
    height, width = grid.levels[0, 1], grid.levels[0, 2]
    a, s, u = concentration.reshape(height, width), source.reshape(height, width), uptake.reshape(height, width)
    made, cleared = sum_of_columns(grid.row, s, s, False), sum_of_columns(grid.row, u, a, True)
    if cleared > 0.0:
        factor = F(made / cleared)
        for y in range(height):
            for x in range(width):
                a[y, x] *= factor


@part
def sum_of_columns(row, values, others, is_product):
    """Sum of `values` or of their products with `others`, one sum a column in `row` so that it can be vectorised."""
    height, width = values.shape
    for x in range(width):
        row[x + HERE] = ZERO
    for y in range(height):
        if is_product:
            for x in range(width):
                row[x + HERE] += values[y, x] * others[y, x]
        else:
            for x in range(width):
                row[x + HERE] += values[y, x]
    total = np.float64(0.0)
    for x in range(width):
        total += row[x + HERE]
    return total
