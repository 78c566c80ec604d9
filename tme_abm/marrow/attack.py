"""Attack: the loops of killing that several mechanisms share; each mechanism brings its own rule.

A mechanism says in `rate` how fast a cell dies. From here it gets the two kernels that walk: `ceiling`, the highest hazard that the rule
can give, and `hazard`, which adds the rule to the cells at risk. They are made anew for each mechanism, so the compiler takes a rule in
as if it stood in the loop.
"""

import math
from collections.abc import Callable
from typing import Any

from tme_abm.foundation.arrays import largest
from tme_abm.foundation.jit import part
from tme_abm.foundation.response import eased
from tme_abm.marrow.antigen import Antigen, density
from tme_abm.marrow.cells import N_TYPES, Cause, CellType
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.state import Effector

PLASMA = int(CellType.PLASMA)
COATED = math.inf  # antibodies on a cell that no cell can exceed
Acts = tuple[Callable[..., Any], Callable[..., Any]]


def by_contact(rate: Callable[..., Any], met: Callable[..., Any], effector: Effector, cause: Cause) -> Acts:
    """Ceiling and hazard of effectors that kill the coated plasma cells that they touch.

    Args:
        rate: (contact, bound antibodies, p, drug) -> hazard [1/h].
        met: (cells at risk, row) -> effectors in contact with the cell of a row, by potency.
        effector: Who kills.
        cause: Under which the deaths are counted.

    The Params of the mechanism have a `stressed_fold`: what a cell under full stress suffers, relative to one at ease.
    """
    who, why = int(effector), int(cause)

    @part
    def ceiling(marrow, rows, tick):
        """The highest hazard for each effector in contact is that of a fully coated cell."""
        for i in range(rows.drug.size):
            if marrow.drugs.occupancy[rows.drug[i]] > 0.0:
                most = max(1.0, eased(largest(marrow.body.clone_stress), rows.p.stressed_fold[i]))
                marrow.body.contact_ceiling[who] += rate(1.0, COATED, rows.p, i) * most * marrow.host.effector_fitness

    @part
    def hazard(marrow, rows, tick):
        """Add the hazard to every plasma cell at risk."""
        risk, fitness = marrow.at_risk, marrow.host.effector_fitness
        for i in range(rows.drug.size):
            occupancy = marrow.drugs.occupancy[rows.drug[i]]
            antigen = marrow.drugs.antigen[rows.drug[i]]
            if occupancy <= 0.0:
                continue
            for k in range(marrow.n_at_risk[1]):
                if risk.kind[k] == PLASMA and met(risk, k) > 0.0:
                    bound = density(marrow, k, antigen) * occupancy
                    ease = eased(marrow.body.clone_stress[risk.clone[k]], rows.p.stressed_fold[i])
                    marrow.hazard[k, why] += fitness * ease * rate(met(risk, k), bound, rows.p, i)

    return ceiling, hazard


def by_bound_cd38(rate: Callable[..., Any], suffers: Callable[..., Any], cause: Cause) -> Acts:
    """Ceiling and hazard of an antibody that kills the cells that it binds, by how much of their CD38 it covers.

    Args:
        rate: (bound antibodies, p, drug) -> hazard [1/h].
        suffers: (traits, kind) -> whether cells of a kind die of it.
        cause: Under which the deaths are counted.
    """
    why = int(cause)

    @part
    def ceiling(marrow, rows, tick):
        """The highest hazard is that of a cell with very much CD38."""
        for i in range(rows.drug.size):
            if marrow.drugs.occupancy[rows.drug[i]] > 0.0:
                for kind in range(N_TYPES):
                    if suffers(marrow.traits, kind):
                        marrow.body.ceiling[kind] += rate(COATED, rows.p, i)

    @part
    def hazard(marrow, rows, tick):
        """Add the hazard to every cell at risk that suffers from it."""
        risk = marrow.at_risk
        for i in range(rows.drug.size):
            occupancy = marrow.drugs.occupancy[rows.drug[i]]
            if marrow.drugs.antigen[rows.drug[i]] != Antigen.CD38 or occupancy <= 0.0:
                continue
            for k in range(marrow.n_at_risk[1]):
                if suffers(marrow.traits, risk.kind[k]):
                    marrow.hazard[k, why] += rate(risk.cd38[k] * occupancy, rows.p, i)

    return ceiling, hazard


def by_small_molecule(rate: Callable[..., Any], sensitivity: Callable[..., Any], cause: Cause) -> Acts:
    """Ceiling and hazard of a small molecule that kills plasma cells by its effect, the sensitivity of their clone and their niche.

    Args:
        rate: (effect, sensitivity, how far the niche holds the cell, p, drug) -> hazard [1/h].
        sensitivity: (clones, clone, p, drug) -> how sensitive the cells of a clone are.
        cause: Under which the deaths are counted.
    """
    why = int(cause)

    @part
    def ceiling(marrow, rows, tick):
        """The highest hazard is that of the most sensitive clone, free of the niche."""
        for i in range(rows.drug.size):
            most = sensitivity(marrow.clones, 0, rows.p, i)
            for clone in range(1, N_CLONES):
                most = max(most, sensitivity(marrow.clones, clone, rows.p, i))
            marrow.body.ceiling[PLASMA] += rate(marrow.drugs.effect[rows.drug[i]], most, 0.0, rows.p, i)

    @part
    def hazard(marrow, rows, tick):
        """Add the kill to every plasma cell at risk."""
        risk = marrow.at_risk
        for i in range(rows.drug.size):
            effect = marrow.drugs.effect[rows.drug[i]]
            if effect <= 0.0:
                continue
            for k in range(marrow.n_at_risk[1]):
                if risk.kind[k] == PLASMA:
                    sensitive = sensitivity(marrow.clones, risk.clone[k], rows.p, i)
                    marrow.hazard[k, why] += rate(effect, sensitive, risk.adherence[k], rows.p, i)

    return ceiling, hazard
