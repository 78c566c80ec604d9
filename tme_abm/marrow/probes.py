"""Probes: cells that are not there, which measure the rates of a clone too rare for the patch as they would be in the present marrow."""

import math
from typing import Annotated

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.rng import Stream, below, bits, normal, stream_key, subkey, unit
from tme_abm.marrow import contact
from tme_abm.marrow.antigen import surface_cd38
from tme_abm.marrow.cells import N_CAUSES, N_EVENTS, Cause, CellType
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.fate import reset
from tme_abm.marrow.lattice import has_free_neighbour
from tme_abm.marrow.state import N_PROBES

PLASMA = int(CellType.PLASMA)
DIVISION = int(Cause.DIVISION)
VISIBLE: Annotated[
    int, Param("cells", "plasma cells of a clone in the patch from which on its rates are read off the patch", "tme_abm", "A")
] = 50


@part
def place(marrow, tick):
    """Add rows that measure the rates of each clone too rare for the patch: cells as they would stand now.

    In every step, for drugs come and go within a day. As many stand in the niche as the clone did: a share that is no whole number of
    probes is met in the mean of many steps. Two and two have CD38 as far above the median of their clone as below it, so few tell its
    mean rates.
    """
    risk, body, lattice = marrow.at_risk, marrow.body, marrow.lattice
    row = marrow.n_at_risk[1]
    for c in range(N_CLONES):
        if body.burden[c] <= 0.0 or body.clone_count[c] >= VISIBLE:
            continue
        key = subkey(stream_key(tick.key, Stream.PROBE, tick.step), c)
        ahead = unit(bits(key, 2 * N_PROBES))
        z = 0.0
        for j in range(N_PROBES):
            in_niche = (j + ahead) / N_PROBES < body.clone_niche[c]
            s = below(bits(key, j), lattice.niche.size)
            for _ in range(lattice.niche.size):  # to the next such place
                if not marrow.traits.is_stromal[marrow.cells.kind[s]] and (lattice.niche[s] == 1) == in_niche:
                    break
                s = s + 1 if s + 1 < lattice.niche.size else 0
            risk.site[row] = s
            risk.kind[row] = PLASMA
            risk.clone[row] = c
            z = normal(key, N_PROBES + j // 2) if j % 2 == 0 else -z
            risk.cd38[row] = surface_cd38(marrow, PLASMA, c, marrow.clones.cd38[c] * math.exp(marrow.host.cd38_spread * z))
            risk.complement_inhibitors[row] = marrow.clones.complement_inhibitors[c]
            risk.draw[row] = 2.0
            reset(marrow, row)
            contact.meet(marrow, row)
            row += 1
    marrow.n_at_risk[1] = row


@part
def read(marrow):
    """Mean rates of division and death of each clone that was probed."""
    risk, body = marrow.at_risk, marrow.body
    row = marrow.n_at_risk[0]
    while row < marrow.n_at_risk[1]:
        clone = int(risk.clone[row])
        division, death = 0.0, 0.0
        for _ in range(N_PROBES):
            if has_free_neighbour(marrow.cells.kind, risk.site[row], marrow.lattice):
                division += marrow.hazard[row, DIVISION]
            for e in range(N_CAUSES):
                death += marrow.hazard[row, e]
            for e in range(N_EVENTS, marrow.hazard.shape[1]):
                death += marrow.hazard[row, e]
            row += 1
        body.clone_rates[clone, 0] = division / N_PROBES
        body.clone_rates[clone, 1] = death / N_PROBES
