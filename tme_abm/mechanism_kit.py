"""All that a file with a mechanism of one's own needs, from one place.

The example to begin with is docs/examples/pd1_blockade.py; docs/mechanism_of_your_own.md leads through it.
"""

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.foundation.response import eased, happens, hill, probability, relax, saturation, shielded
from tme_abm.foundation.rng import again, below, bits, lower, normal, poisson, stream_key, subkey, uniform, unit
from tme_abm.marrow.antigen import density
from tme_abm.marrow.cells import Cause, CellType
from tme_abm.marrow.lattice import neighbourhood_sum
from tme_abm.marrow.state import Effector, Gauge
from tme_abm.mechanisms.outside.own import own_cause, own_gauge, own_stream

__all__ = [
    "Cause",
    "CellType",
    "Effector",
    "Gauge",
    "Group",
    "Mechanism",
    "Param",
    "Phase",
    "Words",
    "again",
    "below",
    "bits",
    "density",
    "eased",
    "happens",
    "hill",
    "lower",
    "neighbourhood_sum",
    "normal",
    "own_cause",
    "own_gauge",
    "own_stream",
    "part",
    "poisson",
    "probability",
    "relax",
    "saturation",
    "shielded",
    "stream_key",
    "subkey",
    "uniform",
    "unit",
]
