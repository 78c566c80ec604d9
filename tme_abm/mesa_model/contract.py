"""What agents, their sets and the grid ask of the model that they belong to.

The model imports all three to put itself together; they know it by this contract alone, so that imports do not go in a circle.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from tme_abm.marrow.cells import CellType
from tme_abm.simulation.simulation import Simulation

Array = np.ndarray
Coordinate = tuple[int, int]


class MarrowModel(Protocol):
    """A model that looks at a simulation; `mesa_model.model.TumourModel` is the only one.

    Attributes:
        simulation: The engine behind it.
        lock: Held while much is read or anything is written.
        version: Changes as soon as a cell may be elsewhere, or another one.
        counts: (N_TYPES,) cells by type, free sites first.
        grid: The lattice as a Mesa grid.
        agents: All cells of the marrow.
        random: The model's source of chance for Mesa's own methods.
        width: Columns of the patch [sites].
        height: Rows of the patch [sites].
    """

    simulation: Simulation
    lock: AbstractContextManager[Any]
    grid: Any
    random: Any

    @property
    def version(self) -> Any:
        """Changes as soon as a cell may be elsewhere."""

    @property
    def counts(self) -> Array:
        """Cells by type."""

    @property
    def agents(self) -> Any:
        """All cells."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def height(self) -> int:
        """Rows."""

    def locate(self, agent: Any) -> int:
        """Site of an agent, -1 once it is gone."""

    def coordinate(self, site: int) -> Coordinate:
        """Place (x, y) of a site."""

    def site(self, where: Any) -> int:
        """Number of the site of a cell of the grid or of (x, y)."""

    def sites(self, kind: CellType | None = None) -> Array:
        """Sites of all cells, or of those of one kind, in order of birth."""

    def agents_at(self, sites: Array) -> list[Any]:
        """The agents on some sites, all of which are taken."""

    def add_cell(self, agent: Any, where: Any, values: Mapping[str, float]) -> None:
        """Put a new cell into the marrow."""

    def remove_cell(self, agent: Any) -> None:
        """Take a cell out of the marrow."""

    def move_cell(self, agent: Any, where: Any) -> None:
        """Move a cell to a free site."""

    def write(self, agent: Any, column: str, value: float) -> None:
        """Write one value of a cell."""
