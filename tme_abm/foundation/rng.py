"""Addressed randomness: a draw is a function of where it is asked for, never of how many were made before.

The address of a draw is (study seed, patient, stream, step, cell). So both arms of a virtual patient meet the same dice, and
nothing depends on the order of cells, on the number of workers or on what other mechanisms drew. The generator is the finaliser
of splitmix64 (Steele, Lea and Flood, OOPSLA 2014; constants of Stafford's variant 13), applied to each part of the address in
turn; `tests/foundation/test_rng.py` holds a statistical battery against it.
"""

import math
from enum import IntEnum

from numba import int64, uint64

from tme_abm.foundation.jit import kernel


class Stream(IntEnum):
    """One name per independent source of chance. Append only: renumbering changes every result."""

    PATIENT = 1
    PLACEMENT = 2
    EVENT = 3
    CAUSE = 4
    DAUGHTER_SITE = 5
    DAUGHTER_TRAITS = 6
    WALK = 7
    RECRUITMENT = 8
    RESEEDING = 9
    PROBE = 10
    PLASMA_MOTION = 11
    ASSAY = 12
    EXIT = 13
    FOLLOW_UP = 14
    ALLOCATION = 15
    PHARMACOKINETICS = 16
    MRD_SAMPLE = 17
    INTERFERENCE = 18
    SCREENING = 19
    CLONES = 20
    CD38_RENEWAL = 21
    DOSE_RULE = 22
    MARROW_EXAMINATION = 23
    SYMPTOMS = 24


GOLDEN = 0x9E3779B97F4A7C15
TO_UNIT = 2.0**-53
TO_UNIT_32 = 2.0**-32


@kernel
def mix(z):
    """Scramble 64 bits into 64 bits."""
    z = (z ^ (z >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> uint64(27))) * uint64(0x94D049BB133111EB)
    return z ^ (z >> uint64(31))


@kernel
def subkey(key, part):
    """The key of one part of an address below `key`: 62 bits, so that it survives a passage through signed integers."""
    return int64(mix(uint64(key) + uint64(GOLDEN) * (uint64(part) + uint64(1))) >> uint64(2))


@kernel
def patient_key(seed, patient):
    """Key of all of one patient's chance, the same in every arm."""
    return subkey(subkey(seed, 0x7E5), patient)


@kernel
def stream_key(key, stream, step):
    """Key of one stream of a patient at one step."""
    return subkey(subkey(key, stream), step)


@kernel
def bits(key, cell):
    """64 random bits of one cell (or of any other part of an address that is not negative)."""
    return mix(uint64(key) + uint64(GOLDEN) * (uint64(cell) + uint64(1)))


@kernel
def again(word):
    """The next 64 random bits of the same address."""
    return mix(word + uint64(GOLDEN))


@kernel
def unit(word):
    """A word of 64 random bits as a number in [0, 1)."""
    return float(int64(word >> uint64(11))) * TO_UNIT


@kernel
def uniform(key, cell):
    """Uniform draw in [0, 1) of one cell."""
    return unit(bits(key, cell))


@kernel
def below(word, n):
    """A whole number in [0, n) from the upper 32 bits of a random word; `n` below 2**31."""
    return int64(((word >> uint64(32)) * uint64(n)) >> uint64(32))


@kernel
def upper(word):
    """The upper half of a random word as a number in [0, 1)."""
    return float(int64(word >> uint64(32))) * TO_UNIT_32


@kernel
def lower_half(word):
    """The lower half of a random word as a whole number below 2**32."""
    return int64(word & uint64(0xFFFFFFFF))


@kernel
def lower(word):
    """The lower half of a random word as a number in [0, 1), independent of the upper one."""
    return float(lower_half(word)) * TO_UNIT_32


@kernel
def lower_until(chance):
    """Where the whole numbers end that `lower_half` is below with a chance: exactly where `lower` is below the chance."""
    return int64(math.ceil(chance / TO_UNIT_32))


@kernel
def normal(key, cell):
    """Standard normal draw of one cell (Box and Muller, Ann Math Stat 1958)."""
    word = bits(key, cell)
    return math.sqrt(-2.0 * math.log(1.0 - upper(word))) * math.cos(2.0 * math.pi * lower(word))


@kernel
def poisson(mean, u):
    """Poisson count of a `mean` below about 500 by inversion of one uniform draw `u` in [0, 1)."""
    term = math.exp(-mean)
    total = term
    count = 0
    # beyond the mean the terms fall; one that rounding would lose ends the sum, which may stay short of the largest draws
    while u > total and (count < mean or term > 1e-17):
        count += 1
        term *= mean / count
        total += term
    return count
