"""Renewal: how fast the immune cells of a type turn over, which takes cells from the marrow and calls as many from the blood."""

from tme_abm.foundation.jit import part
from tme_abm.marrow.cells import CellType

NK = int(CellType.NK)


@part
def renewal(marrow, kind):
    """Rate of turnover of a type of cell [1/h]: that of NK cells is the patient's, which age slows."""
    return marrow.host.nk_renewal if kind == NK else marrow.traits.renewal[kind]
