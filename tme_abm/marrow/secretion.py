"""Secretion: how what cells make becomes a field; the loops that the mechanisms of the fields share.

Each field says what a cell makes and how it is cleared; here sources and clearance are laid out, and the field is solved when it is due.
The kernels are made anew for each field, so the compiler takes in what is particular to it.
"""

from collections.abc import Callable
from typing import Any

from tme_abm.foundation.clock import SECONDS_PER_HOUR
from tme_abm.foundation.jit import part
from tme_abm.marrow.cells import N_TYPES
from tme_abm.marrow.diffusion import solve_steady
from tme_abm.marrow.lattice import in_sites
from tme_abm.marrow.roster import end_of, first_of
from tme_abm.marrow.state import FIELD_TOLERANCE, Gauge


@part
def balance(field, marrow, diffusivity):
    """Bring a field that spreads with a diffusivity [um2/s] into balance with the sources and the clearance laid out."""
    fields = marrow.fields
    solve_steady(field, fields.source, fields.uptake, in_sites(diffusivity, SECONDS_PER_HOUR), marrow.grid, FIELD_TOLERANCE)


def by_type(output: Callable[..., Any]) -> Callable[..., Any]:
    """Layout of a factor that cells make by their type alone and that is cleared alike everywhere, at the rate `p.clearance`.

    Args:
        output: (marrow, kind) -> what a cell of a kind, or an empty site, makes now [1/h].
    """

    @part
    def lay_out(marrow, p):
        """Sources and clearance of every site."""
        source, site = marrow.fields.source, marrow.roster.site
        marrow.fields.uptake[:] = p.clearance
        source[:] = 0.0
        for block in range(marrow.roster.block.shape[0]):
            for kind in range(N_TYPES):
                made = output(marrow, kind)
                if made == 0.0:  # of most types
                    continue
                for i in range(first_of(marrow.roster, block, kind), end_of(marrow.roster, block, kind)):
                    source[site[i]] = made

    return lay_out


def balanced_source(clearance: float, count: Any, relative: Any, n_sites: int) -> float:
    """What a cell of relative output 1 makes [1/h] where the cells of a marrow keep its mean at 1, by balance of what is made and cleared.

    Args:
        clearance: Of the factor [1/h].
        count: Cells of each kind (N_TYPES,).
        relative: Output of a cell of each kind (N_TYPES,).
        n_sites: Sites on which they live.
    """
    return clearance * n_sites / float((count * relative).sum())


def when_due(lay_out: Callable[..., Any], solve: Callable[..., Any]) -> Callable[..., Any]:
    """What a mechanism does in each step to keep its field in balance with its sources.

    Args:
        lay_out: (marrow, p) writes sources and clearance of every site.
        solve: (marrow, p) brings the field into balance with them.
    """

    @part
    def prepare(marrow, p, tick):
        """Solve the field where it is due."""
        if marrow.body.gauge[Gauge.FIELD_AGE] == 0.0:
            lay_out(marrow, p)
            solve(marrow, p)

    return prepare
