"""All that a file with a mechanism of one's own needs, from one place.

The example to begin with is docs/examples/pd1_blockade.py; docs/mechanism_of_your_own.md leads through it.
"""

from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import part
from tme_abm.foundation.mechanism import Group, Mechanism, Phase, Words
from tme_abm.foundation.response import eased, happens, hill, probability
from tme_abm.foundation.rng import bits, normal, stream_key, subkey, uniform
from tme_abm.marrow.antigen import density
from tme_abm.marrow.cells import Cause, CellType
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
    "bits",
    "density",
    "eased",
    "happens",
    "hill",
    "normal",
    "own_cause",
    "own_gauge",
    "own_stream",
    "part",
    "probability",
    "stream_key",
    "subkey",
    "uniform",
]
