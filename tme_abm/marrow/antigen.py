"""Antigens: what an antibody binds, and how many sites of it a plasma cell carries."""

from enum import IntEnum

from tme_abm.foundation.jit import part

SLAMF7_SITES = 20e3  # sites on a plasma cell, a sixth of CD38 (from memory) and much the same in all (Hsi 2008); grade M-low


class Antigen(IntEnum):
    """What an antibody binds."""

    CD38 = 0
    SLAMF7 = 1


@part
def density(risk, row, antigen):
    """Sites of an antigen on the plasma cell of a row of the risk set [sites/cell]."""
    return risk.cd38[row] if antigen == Antigen.CD38 else SLAMF7_SITES
