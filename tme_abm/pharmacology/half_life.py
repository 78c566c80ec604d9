"""Half-lives that follow from clearance and volumes: the arithmetic of two compartments (gibaldi1982)."""

import math
from typing import Any, NamedTuple

from tme_abm.foundation.clock import HOURS_PER_DAY


class HalfLife(NamedTuple):
    """Half-lives [h] of two compartments, with the constants that they come from [1/h]."""

    out: float
    over: float
    back: float
    fast: float
    slow: float


def half_life(p: Any) -> HalfLife:
    """Half-lives of the linear path: roots of s^2 - (k10 + k12 + k21) s + k10 k21.

    Args:
        p: Kinetics of a drug, `Antibody` or `SmallMolecule`.
    """
    out, over = p.clearance / p.central_volume, p.intercompartmental_clearance / p.central_volume
    back = p.intercompartmental_clearance / p.peripheral_volume
    total = out + over + back
    root = math.sqrt(total * total - 4.0 * out * back)
    slow = (total - root) / 2.0 if over > 0.0 else out
    return HalfLife(out, over, back, math.log(2.0) / ((total + root) / 2.0), math.log(2.0) / slow)


def in_words(hours: float) -> str:
    """A duration as people say it."""
    return f"{hours:.2g} h" if hours < 3 * HOURS_PER_DAY else f"{hours / HOURS_PER_DAY:.2g} days"


def half_life_in_words(drug: Any) -> str:
    """Half-lives of a drug at the references of its covariates: as it spreads and in the end, and what its file says beside them."""
    p = drug.kinetics.params
    found = half_life(p)
    spreads = f"{in_words(found.fast)}, then " if p.intercompartmental_clearance > 0.0 else ""
    text = f"{drug.name} {spreads}{in_words(found.slow)}"
    is_saturable = getattr(p, "saturable_rate", 0.0) > 0.0 or getattr(p, "saturable_rate_per_volume", 0.0) > 0.0
    return f"{text} (shorter where little drug is left: its saturable elimination)" if is_saturable else text
