"""Ectoenzyme: an antibody that blocks the catalytic activity of CD38 lowers the adenosine made through it.

    activity = product over antibodies of (1 - max_inhibition * occupancy)

The block is partial and not competitive (allosteric: Deckert 2014). Isatuximab has it, daratumumab hardly (Martin 2019).
Adenosine made by other routes is untouched (Costa 2019).
"""

from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.marrow.state import Gauge


class Params(NamedTuple):
    """Of each antibody."""

    max_inhibition: Annotated[float, Param("1", "enzyme activity lost at full occupancy", "martin2019cells", "M-low", high=1.0)] = 0.65


@part
def activity(occupancy, max_inhibition):
    """Enzyme activity that one antibody leaves."""
    return 1.0 - max_inhibition * occupancy


@part
def prepare(marrow, rows, tick):
    """Enzyme activity left by all antibodies."""
    left = 1.0
    for i in range(rows.drug.size):
        left *= activity(marrow.drugs.occupancy[rows.drug[i]], rows.p.max_inhibition[i])
    marrow.body.gauge[Gauge.ENZYME_ACTIVITY] = left


ECTOENZYME = Mechanism(
    name="ectoenzyme",
    Params=Params,
    label="Enzyme block",
    summary="The antibody blocks the CD38 ectoenzyme, so that less adenosine is made.",
    group=Group.ANTIBODY,
    reads=("drugs.occupancy",),
    writes=("gauge.ENZYME_ACTIVITY",),
    by_drug=True,
    prepare=prepare,
    phase=Phase.DRUGS,
    italian=Words("Blocco dell'enzima", "L'anticorpo blocca l'ectoenzima CD38, così si produce meno adenosina."),
)
