"""Serum M-protein: made by the plasma cells of the whole marrow, cleared with the half-life of its class of immunoglobulin.

IgG is rescued by the neonatal Fc receptor, which saturates: its half-life falls from about 21 days where there is little to about 11
where there is much. IgA and light chains have one half-life each. So the M-protein lags behind the tumour.
"""

import math
from typing import Annotated

from tme_abm.foundation.arrays import total
from tme_abm.foundation.declare import Param
from tme_abm.foundation.jit import kernel, part
from tme_abm.foundation.response import relax
from tme_abm.marrow.state import Gauge

HALF_SATURATION: Annotated[
    float, Param("g/L", "M-protein at which the rescue of IgG by FcRn is half-way to saturation", "willrich2016", "M")
] = 20.0
IGG_HALF_LIFE_LOW: Annotated[float, Param("d", "half-life of IgG where there is little", "willrich2016", "M")] = 21.0
IGG_HALF_LIFE_HIGH: Annotated[float, Param("d", "half-life of IgG where there is much", "willrich2016", "M")] = 11.0
IGA_HALF_LIFE: Annotated[float, Param("d", "half-life of IgA", "willrich2016", "M")] = 5.5
LIGHT_CHAIN_HALF_LIFE: Annotated[float, Param("d", "half-life of free light chains", "willrich2016", "M")] = 0.25
HALF_LIFE_DAYS = {  # M-protein -> half-life where there is little, and where there is much [d]
    "IgG": (IGG_HALF_LIFE_LOW, IGG_HALF_LIFE_HIGH),
    "IgA": (IGA_HALF_LIFE, IGA_HALF_LIFE),
    "light chain": (LIGHT_CHAIN_HALF_LIFE, LIGHT_CHAIN_HALF_LIFE),
}


@kernel
def clearance(m_protein, host):
    """Clearance of the M-protein [1/h] at a concentration [g/L]."""
    slow = math.log(2.0) / host.m_protein_half_life_low
    fast = math.log(2.0) / host.m_protein_half_life_high
    return slow + (fast - slow) * m_protein / (m_protein + HALF_SATURATION)


def turnover(m_protein, growth, host):
    """Rate [1/h] at which M-protein [g/L] must be made anew to keep step with a tumour of a growth [1/h]: what is cleared, and more."""
    return clearance(m_protein, host) + growth


def secretion(m_protein, tumour, growth, host):
    """M-protein made by one cell [g/L/h] of a growing `tumour` [cells] that keeps the serum at `m_protein` [g/L]."""
    return m_protein * turnover(m_protein, growth, host) / tumour


@part
def follow(marrow, tick):
    """Carry the M-protein over one step."""
    gauge = marrow.body.gauge
    rate = clearance(gauge[Gauge.M_PROTEIN], marrow.host)
    tumour = total(marrow.body.burden)
    gauge[Gauge.M_PROTEIN] = relax(gauge[Gauge.M_PROTEIN], marrow.host.secretion * tumour / rate, rate, tick.dt)
