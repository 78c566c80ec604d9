"""PD-1 blockade: an antibody on PD-1 takes back part of the exhaustion of T and NK cells while it is given.

    share of exhaustion that is taken back = by_pd1 * occupancy,   joined with what an IMiD takes back

PD-1 is one of several receptors (TIGIT, LAG-3, TIM-3) by which exhausted cells are held back, so its blockade gives back no more
than the part that PD-1 holds. The antibody is thought to be given along with the regimen: it acts from the first dose of any drug on.
"""

from typing import Annotated, NamedTuple

from tme_abm.mechanism_kit import Gauge, Group, Mechanism, Param, Phase, Words, part


class Params(NamedTuple):
    """Of the antibody on PD-1."""

    occupancy: Annotated[
        float,
        Param(
            "1",
            "PD-1 that the antibody holds from the first dose on",
            "this study: some 70 % on T cells (Brahmer 2010, J Clin Oncol 28:3167, from memory)",
            "M",
            high=1.0,
        ),
    ] = 0.7
    by_pd1: Annotated[
        float, Param("1", "part of exhaustion that goes by PD-1, the rest by other receptors", "this study: assumed", "A", high=1.0)
    ] = 0.5


@part
def is_treated(drugs):
    """Whether a drug of the regimen has come into the blood."""
    for i in range(drugs.concentration.size):
        if drugs.concentration[i] > 0.0:
            return True
    return False


@part
def joined(one, other):
    """What two that act side by side take back together of the same exhaustion."""
    return 1.0 - (1.0 - one) * (1.0 - other)


@part
def prepare(marrow, p, tick):
    """Take back some exhaustion on top of what an IMiD takes back."""
    if is_treated(marrow.drugs):
        gauge = marrow.body.gauge
        gauge[Gauge.REVIVAL] = joined(gauge[Gauge.REVIVAL], p.by_pd1 * p.occupancy)


PD1_BLOCKADE = Mechanism(
    name="pd1_blockade",
    Params=Params,
    label="PD-1 blockade",
    summary="An antibody on PD-1 takes back part of the exhaustion of T and NK cells.",
    group=Group.IMMUNE,
    reads=("drugs.concentration", "gauge.REVIVAL"),
    writes=("gauge.REVIVAL",),
    phase=Phase.DRUGS,
    prepare=prepare,
    italian=Words("Blocco di PD-1", "Un anticorpo anti-PD-1 annulla in parte l'esaurimento dei linfociti T e NK."),
)
