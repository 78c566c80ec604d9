"""Measurable residual disease (MRD) as an assay: clonal cells counted among a stated number of nucleated marrow cells.

The number of clonal cells that the assay finds is binomial(n cells read, true fraction). A sample is negative when it
finds fewer than 1 in 100,000 (kumar2016). A trial tests only patients in very good partial response or better and
counts a patient who was not tested as positive (intention to treat).
"""

import math
from typing import Annotated, NamedTuple

from tme_abm.foundation.declare import Param
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.special import special
from tme_abm.outcomes.imwg import is_at_least


class Params(NamedTuple):
    """The assay."""

    n_cells: Annotated[
        float,
        Param(
            "1",
            "nucleated marrow cells that sequencing or next-generation flow reads",
            "floresmontero2017",
            "M",
        ),
    ] = 2e6
    negative_below: Annotated[float, Param("1", "fraction of clonal cells below which a sample is negative", "kumar2016", "M")] = 1e-5


class Sample(NamedTuple):
    """Result of one patient's test.

    Attributes:
        is_tested: Whether the response was deep enough for a test.
        n_clonal: Clonal cells found; None without a test.
        is_negative: False without a test.
    """

    is_tested: bool
    n_clonal: int | None
    is_negative: bool


def cumulative(k: int, n_cells: int, fraction: float) -> float:
    """Probability that at most `k` of `n_cells` cells are clonal."""
    return 0.0 if k < 0 else 1.0 if k >= n_cells else float(special("bdtr")(k, n_cells, fraction))


def n_found(fraction: float, n_cells: int, uniform: float) -> int:
    """Clonal cells that the assay finds: the binomial quantile of a uniform draw.

    More disease never gives fewer cells for the same draw, so two arms that share it are compared fairly.

    Args:
        fraction: True fraction of clonal cells among nucleated marrow cells [1].
        n_cells: Cells read.
        uniform: Draw in [0, 1).

    Raises:
        InputError: For a fraction or draw outside its range or less than one cell.
    """
    check(fraction, n_cells, uniform)
    low, high = -1, n_cells  # cumulative(low) <= uniform < cumulative(high)
    while high - low > 1:
        middle = (low + high) // 2
        if cumulative(middle, n_cells, fraction) > uniform:
            high = middle
        else:
            low = middle
    return high


def is_negative(fraction: float, n_cells: int, uniform: float, negative_below: float = Params().negative_below) -> bool:
    """Whether the assay finds a smaller fraction than `negative_below`; arguments and errors as `n_found`."""
    check(fraction, n_cells, uniform)
    most = math.ceil(negative_below * n_cells * (1.0 - 1e-12)) - 1
    return cumulative(most, n_cells, fraction) > uniform


def sample(best_response: str, fraction: float, uniform: float, p: Params = Params()) -> Sample:  # noqa: B008
    """Test one patient as a trial does.

    Args:
        best_response: Confirmed response; tested from VGPR.
        fraction: True fraction of clonal cells among nucleated marrow cells [1].
        uniform: Draw in [0, 1).
        p: The assay.

    Raises:
        InputError: As `n_found`, and for a word that is no response.
    """
    if not is_at_least(best_response, "VGPR"):
        return Sample(False, None, False)
    n_cells = round(p.n_cells)
    return Sample(True, n_found(fraction, n_cells, uniform), is_negative(fraction, n_cells, uniform, p.negative_below))


def check(fraction: float, n_cells: int, uniform: float) -> None:
    """Refuse what no assay can be given."""
    if not 0.0 <= fraction <= 1.0:
        raise InputError(f"MRD: the fraction of clonal cells must lie in [0, 1], got {fraction:g}")
    if n_cells < 1:
        raise InputError(f"MRD: at least one cell must be read, got {n_cells}")
    if not 0.0 <= uniform < 1.0:
        raise InputError(f"MRD: the draw must lie in [0, 1), got {uniform:g}")
