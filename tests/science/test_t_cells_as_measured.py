"""What is measured of T cells against myeloma bounds what they do here: how often they kill, and what they can do alone.

No figure of an antibody or of a combination has a part in it. Kill: of the CD8 cells of the marrow 0 to 6.4 % see one antigen of the
tumour, and a cell in a tumour kills 0.5-4 times a day (Halle 2016: 2-16 in virus infection). Freed of exhaustion they do not bring a
response: under pembrolizumab alone none of 30 patients responded (KEYNOTE-013), so at most one in ten does.
"""

import numpy as np
import pytest

from tme_abm.marrow.cells import Cause, CellType

LEAST, MOST = 0.0003 * 0.5, 0.064 * 4.0  # kills a day by the mean T cell of the marrow


@pytest.fixture(scope="module")
def untreated(cohort):
    """Four weeks without treatment, and with T cells freed of exhaustion."""
    return {"as it is": cohort.treat(days=28), "freed": cohort.treat(days=84, without=frozenset({"exhaustion"}))}


def kills_of_a_t_cell(marrow, days):
    """Plasma cells that the mean T cell of a marrow killed in a day."""
    body = marrow.marrow.body
    return body.ledger[CellType.PLASMA, Cause.T_CELL] / (days * body.count[CellType.T])


def test_a_t_cell_kills_as_often_as_is_measured(untreated):
    kills = np.array([kills_of_a_t_cell(marrow, 28) for marrow in untreated["as it is"]])
    assert LEAST < kills.mean() < MOST


def test_t_cells_freed_of_exhaustion_bring_hardly_a_response(untreated, cohort):
    shrunk = [marrow.m_protein < 0.5 * before.m_protein for marrow, before in zip(untreated["freed"], cohort.grown, strict=True)]
    assert np.mean(shrunk) <= 0.1


def test_t_cells_freed_of_exhaustion_kill_more(untreated):
    """Else the bound above says nothing."""
    freed = np.mean([kills_of_a_t_cell(marrow, 84) for marrow in untreated["freed"]])
    assert freed > 1.2 * np.mean([kills_of_a_t_cell(marrow, 28) for marrow in untreated["as it is"]])
