"""Survival of each fitted arm over the sets of a posterior."""

from collections.abc import Sequence

import numpy as np

from tme_abm.analysis.bank.weights import rows
from tme_abm.analysis.calibration.found import Found
from tme_abm.analysis.calibration.plan import Floats


def survivals(found: Found, months: Sequence[float], most: int = 100) -> list[Floats]:
    """Survival of each arm at some months at some of the sets: (sets, months) of each."""
    chosen = np.unique(np.linspace(0, len(found.beside) - 1, min(most, len(found.beside))).round().astype(int))
    plan = found.fit.plan
    names = list(found.posterior.names)
    at = [names.index(free.name) for free in plan.free]
    out = []
    for group in found.fit.groups:
        curves = []
        for s in chosen:
            weights = rows(group.weights([float(x) for x in found.posterior.sets[s, at]]), group.index)
            curves.append([group.sample.pfs.at(weights, month) for month in months])
        out.append(np.array(curves))
    return out
