"""Salvage of IgG by the neonatal Fc receptor (FcRn), for which antibodies given as drugs compete with the patient's own IgG.

    fractional catabolism = uptake - recycling,   uptake = 1 + R,   recycling = R (K + N) / (K + IgG)

in units of the catabolism at a normal level N of IgG, at which recycling is R times catabolism. The receptor saturates: where there is
much IgG, as with an IgG M-protein, a smaller part of all IgG is salvaged, drugs among it; where the M-protein falls under treatment, more
(Kim 2007 for healthy people; that a drug is salvaged as IgG is, is assumed).
"""

from typing import Annotated

from tme_abm.foundation.declare import Param

RECYCLED: Annotated[float, Param("1", "IgG recycled by FcRn over IgG catabolised, at a normal level of IgG", "kim2007", "V")] = 1.42
HALF_SALVAGE: Annotated[float, Param("g/L", "IgG at which FcRn recycles half of what it can", "kim2007", "M")] = 21.0
NORMAL_IGG: Annotated[float, Param("g/L", "IgG of healthy people", "kim2007", "M")] = 12.1
OTHER_IGG: Annotated[
    float,
    Param("g/L", "IgG of a patient with myeloma beside the M-protein, median", "ejhaem2024: at diagnosis (quartiles 3.9 and 10.1)", "V"),
] = 6.1


def igg(is_igg: float, m_protein: float) -> float:
    """IgG in the serum of a patient with myeloma [g/L].

    Args:
        is_igg: Whether the M-protein is an IgG, 0 or 1.
        m_protein: Serum M-protein [g/L].
    """
    return OTHER_IGG + is_igg * m_protein


def catabolism(level: float) -> float:
    """Fractional catabolism of IgG at a `level` of IgG [g/L], relative to that at a normal one; above zero at every level."""
    return 1.0 + RECYCLED - RECYCLED * (HALF_SALVAGE + NORMAL_IGG) / (HALF_SALVAGE + level)
