"""The age of the fields: how long ago they were solved, and whether what makes adenosine has changed so much that they are due at once."""

from typing import Annotated

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.state import Gauge

FIELD_LIFE: Annotated[float, Param("h", "time after which the fields are solved anew", "tme_abm", "A")] = 24.0
FIELD_CHANGE: Annotated[
    float, Param("1", "relative change of the output of adenosine at which the fields are solved at once", "tme_abm", "A")
] = 0.05


@part
def follow(marrow, tick):
    """Fields are due (age 0) after a day, or when the output of adenosine has changed."""
    gauge = marrow.body.gauge
    output = 0.0
    for clone in range(N_CLONES):
        output += marrow.body.clone_count[clone] * marrow.body.clone_cd38[clone]
    output *= gauge[Gauge.ENZYME_ACTIVITY] * gauge[Gauge.SURFACE_CD38]
    change = abs(output - gauge[Gauge.SOLVED_OUTPUT])
    if gauge[Gauge.FIELD_AGE] + tick.dt >= FIELD_LIFE or change > FIELD_CHANGE * gauge[Gauge.SOLVED_OUTPUT]:
        gauge[Gauge.FIELD_AGE] = 0.0
        gauge[Gauge.SOLVED_OUTPUT] = output
    else:
        gauge[Gauge.FIELD_AGE] += tick.dt
