"""Clones: what is inherited. Eight, one for each combination of three resistances.

A clone may be resistant to IMiDs (cereblon-low), to proteasome inhibitors (PSMB5 or XBP1-low), and may have escaped from
anti-CD38 antibodies (rich in complement inhibitors, and CD38-low while such an antibody is there: antigen_loss). The
resistances are there before treatment, at fractions that belong to the patient. In part they come together: cells of refractory
myeloma often resist several classes of drug at once (Cohen 2021, Walker 2020). Division switches one of them rarely.
"""

import math
from typing import Annotated, NamedTuple

import numpy as np

from tme_abm.foundation.declare import Column, Param

Array = np.ndarray

IMID_RESISTANT, PROTEASOME_RESISTANT, ANTIBODY_ESCAPED = 1, 2, 4  # bits of the number of a clone
N_RESISTANCES = 3
N_CLONES = 1 << N_RESISTANCES

CLONE_NAMES = (
    "sensitive",
    "imid",
    "proteasome",
    "imid_proteasome",
    "antibody",
    "imid_antibody",
    "proteasome_antibody",
    "imid_proteasome_antibody",
)

N_CLONOTYPES: Annotated[int, Param("1", "clonotypes of T cells", "tme_abm", "A")] = 200
N_REACTIVE: Annotated[
    int, Param("1", "clonotypes that see the tumour, the first ones; of the T cells more do, for these divide", "tme_abm", "A")
] = 50


class Clones(NamedTuple):
    """What a clone passes on, each of shape (N_CLONES,)."""

    division: Annotated[Array, Column("f8", "1/h", "rate of division with room, at the patient's usual interleukin-6")]
    cd38: Annotated[Array, Column("f8", "sites/cell", "median CD38")]
    complement_inhibitors: Annotated[Array, Column("f8", "1", "median CD55 and CD59, relative to typical plasma cells")]
    imid_response: Annotated[Array, Column("f8", "1", "loss of Ikaros and Aiolos to an IMiD, relative to a cell with cereblon")]
    proteasome_response: Annotated[Array, Column("f8", "1", "stress by a proteasome inhibitor, relative to a cell without resistance")]
    escaped: Annotated[Array, Column("u1", "-", "1 where the clone escapes anti-CD38 antibodies")]
    imid_sensitivity: Annotated[Array, Column("f8", "1", "multiplies the kill of an IMiD")]
    proteasome_sensitivity: Annotated[Array, Column("f8", "1", "multiplies the kill of a proteasome inhibitor")]
    glucocorticoid_sensitivity: Annotated[Array, Column("f8", "1", "multiplies the kill of a glucocorticoid")]
    tp53_mutated: Annotated[Array, Column("u1", "-", "1 where TP53 is lost")]


class Params(NamedTuple):
    """How the clones of a patient differ from each other."""

    imid_residual: Annotated[
        float,
        Param(
            "1",
            "response to an IMiD that remains in a cereblon-low clone: kill, rise of CD38",
            "kronke2014; lu2014: no degradation without cereblon (the little that is left is assumed)",
            "A",
            high=1.0,
            needs=("imid",),
        ),
    ] = 0.01
    proteasome_residual: Annotated[
        float,
        Param(
            "1",
            "response to a proteasome inhibitor that remains in a resistant clone: kill, stress",
            "tme_abm",
            "A",
            high=1.0,
            needs=("proteasome",),
        ),
    ] = 0.01
    glucocorticoid_residual: Annotated[
        float,
        Param(
            "1",
            "dexamethasone kill left in a clone selected by an IMiD or proteasome inhibitor with it",
            "kervoelen2015: lines without enough glucocorticoid receptor do not die of it; heuck2012: little receptor at relapse; "
            "harrison2015: yet it doubles the time to progression beside bortezomib, which, were it all due to such clones, would take "
            "0.17 (that about half of that is kept is assumed)",
            "A",
            high=1.0,
            needs=("glucocorticoid",),
        ),
    ] = 0.1
    escape_inhibitors: Annotated[
        float,
        Param(
            "1",
            "CD55 and CD59 of an escaped clone relative to the others",
            "nijhof2016: they rise at progression (the fold is assumed)",
            "A",
            needs=("cdc",),
        ),
    ] = 3.0
    tp53_drug_factor: Annotated[
        float,
        Param("1", "kill by IMiD and proteasome inhibitor where TP53 is lost", "tme_abm", "A", high=1.0, needs=("imid", "proteasome")),
    ] = 0.6
    cross_resistance: Annotated[
        float,
        Param(
            "1",
            "share of the tumour whose resistances are nested in each other",
            "cohen2021; walker2020: direction, the size is assumed",
            "A",
            high=1.0,
        ),
    ] = 0.25
    fitness_cost: Annotated[
        float, Param("1", "division of a clone for each resistance that it carries, relative to none", "tme_abm", "A", high=1.0)
    ] = 0.99


def fitness(p: Params) -> np.ndarray:
    """Division of each clone (N_CLONES,) relative to one without resistance."""
    return np.array([p.fitness_cost ** clone.bit_count() for clone in range(N_CLONES)])


def clone_fractions(imid: float, proteasome: float, antibody: float, shared: float) -> np.ndarray:
    """Fractions (N_CLONES,) of the tumour.

    A mixture of two tumours with the same fraction of each resistance: the share `shared` has them nested, so that the cells with the
    rarest resistance have all, the rest has each independent of the others.
    """
    resistances = ((IMID_RESISTANT, imid), (PROTEASOME_RESISTANT, proteasome), (ANTIBODY_ESCAPED, antibody))
    fractions = np.zeros(N_CLONES)
    for clone in range(N_CLONES):
        independent = math.prod(p if clone & bit else 1.0 - p for bit, p in resistances)
        rarest = min((p for bit, p in resistances if clone & bit), default=1.0)
        commonest = max((p for bit, p in resistances if not clone & bit), default=0.0)
        fractions[clone] = shared * max(rarest - commonest, 0.0) + (1.0 - shared) * independent
    return fractions
