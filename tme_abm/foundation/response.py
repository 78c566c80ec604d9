"""Dose-response shapes and the passage from a rate to a probability, each written once."""

import math

from tme_abm.foundation.jit import kernel

ROUNDING = 1e-12  # beyond what rounding does to a bound


@kernel
def hill(x, half, steepness):
    """Hill function of `x`, 0 to 1; one half at `x == half` (same unit)."""
    if x <= 1e-30 * half:  # nothing, and no overflow
        return 0.0
    return 1.0 / (1.0 + (half / x) ** steepness)


@kernel
def saturation(x, half):
    """Michaelis-Menten saturation, the Hill function of steepness 1."""
    return x / (half + x)


@kernel
def probability(hazard, dt):
    """Probability of at least one event within `dt` [h] at a constant `hazard` [1/h]."""
    return -math.expm1(-hazard * dt)


@kernel
def happens(draw, hazard, dt):
    """Whether an event of a constant `hazard` [1/h] comes within `dt` [h], for a uniform `draw` in [0, 1)."""
    # q / (1 + q) < probability < 2 x / (2 + x) decides most draws without an exponential, and as the exponential would
    x = hazard * dt
    q = x + x * x / 2.0  # e^x > 1 + q
    if draw * (2.0 + x) > 2.0 * x * (1.0 + ROUNDING):
        return False
    return draw * (1.0 + q) < q * (1.0 - ROUNDING) or draw < probability(hazard, dt)


@kernel
def relax(value, target, rate, dt):
    """Where `value` stands after `dt` [h] of first-order approach to `target` at `rate` [1/h] (exact)."""
    return target + (value - target) * math.exp(-rate * dt)


@kernel
def eased(stress, fold):
    """Factor on the attack on a cell under `stress` (0 to 1), where a cell fully stressed suffers `fold` times as much."""
    return 1.0 + (fold - 1.0) * stress


@kernel
def shielded(adherence, fold):
    """Effect of a drug on a cell of an `adherence` to the niche (0 to 1), where a fully adherent cell feels 1/`fold` of it."""
    return 1.0 - adherence * (1.0 - 1.0 / fold)
