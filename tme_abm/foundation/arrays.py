"""Reductions of small arrays inside kernels (numba's own need its memory manager, which kernels do without: see jit.py)."""

from tme_abm.foundation.jit import kernel


@kernel
def total(values):
    """Sum of a one-dimensional array."""
    result = 0.0
    for i in range(values.size):
        result += values[i]
    return result


@kernel
def largest(values):
    """Largest value of a one-dimensional array that is not empty."""
    result = values[0]
    for i in range(1, values.size):
        result = max(result, values[i])
    return result
