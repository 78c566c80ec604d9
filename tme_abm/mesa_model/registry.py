"""Who is where in the marrow, and what is changed by hand: cells put in, taken out, moved and written to."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.rng import subkey
from tme_abm.marrow import roster
from tme_abm.marrow.cells import EMPTY, N_TYPES, CellType, clear, move
from tme_abm.marrow.seeding import lay_niche
from tme_abm.marrow.traits import having
from tme_abm.mesa_model.agents import BY_KIND, CellColumn, MarrowCell, attributes
from tme_abm.mesa_model.contract import Array, Coordinate
from tme_abm.simulation.simulation import Simulation

BY_HAND = 0x68616E64  # address of the identities of cells that Python code makes


class CellRegistry:
    """The part of a model that knows its cells.

    Attributes:
        simulation: The engine.
        lock: Held while cells are looked up or changed.
        grid: The lattice as a Mesa grid.
    """

    simulation: Simulation
    lock: AbstractContextManager[Any]
    grid: Any

    def _know_cells(self) -> None:
        """Begin: no cell has been looked at, none changed by hand."""
        self._cause: int | None = None  # of the deaths by hand, while a rule is called
        self._changes = 0  # births, deaths and moves by hand
        self._births = 0  # by hand
        self._handles: dict[int, MarrowCell] = {}

    def _forget(self) -> None:
        """Know nothing of where cells are."""
        self._seen: Any = None
        self._index: dict[int, int] | None = None
        self._sites: dict[int | None, Array] = {}
        self._counts: Array | None = None

    @property
    def width(self) -> int:
        """Columns of the lattice."""
        return self.simulation.marrow.lattice.width

    @property
    def height(self) -> int:
        """Rows of the lattice."""
        return self.simulation.marrow.lattice.height

    @property
    def version(self) -> tuple[int, int]:
        """Changes whenever a cell may have been born, died or moved."""
        return self.simulation.step, self._changes

    @property
    def counts(self) -> Array:
        """Cells by type (N_TYPES,), indexed by `CellType`; the first entry counts the free sites."""
        self._refresh()
        if self._counts is None:
            self._counts = np.bincount(self.simulation.marrow.cells.kind, minlength=N_TYPES)
        return self._counts

    def _refresh(self) -> None:
        """Forget where cells were as soon as they may be elsewhere, and drop the objects of most that have died."""
        if self._seen != self.version:
            with self.lock:
                self._forget()
                self._seen = self.version
                if len(self._handles) > 2 * self.counts[1:].sum():
                    alive = set(self.simulation.marrow.cells.uid.tolist())
                    self._handles = {uid: agent for uid, agent in self._handles.items() if uid in alive}

    def site(self, where: Any) -> int:
        """Number of the site of a cell of the grid or of (x, y).

        Raises:
            InputError: For a place outside of the lattice.
        """
        x, y = getattr(where, "coordinate", where)
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise InputError(f"there is no site ({x}, {y}) on a lattice of {self.width} x {self.height}")
        return int(y) * self.width + int(x)

    def coordinate(self, site: int) -> Coordinate:
        """Place (x, y) of a site."""
        y, x = divmod(int(site), self.width)
        return x, y

    def sites(self, kind: CellType | None = None) -> Array:
        """Sites of all cells, or of those of one kind, in order of birth."""
        with self.lock:
            self._refresh()
            found = self._sites.get(kind)
            if found is None:
                cells = self.simulation.marrow.cells
                found = np.flatnonzero(cells.kind != EMPTY if kind is None else cells.kind == kind)
                found = found[np.lexsort((cells.uid[found], cells.born[found]))]
                self._sites[kind] = found
            return found

    def agents_at(self, sites: Array) -> list[MarrowCell]:
        """The agents on some sites, all of which are taken; the same cell is always the same object."""
        with self.lock:
            self._refresh()
            cells, handles = self.simulation.marrow.cells, self._handles
            agents = []
            for site, uid, kind in zip(sites.tolist(), cells.uid[sites].tolist(), cells.kind[sites].tolist(), strict=True):
                agent = handles.get(uid)
                if agent is None:
                    agent = handles[uid] = BY_KIND[kind].view(cast(Any, self), uid, site)
                else:
                    agent._site = site
                agents.append(agent)
            return agents

    def locate(self, agent: MarrowCell) -> int:
        """Site of an agent, -1 once it is gone."""
        uid = self.simulation.marrow.cells.uid
        if uid.item(agent._site) == agent._uid:
            return agent._site
        with self.lock:
            self._refresh()
            if self._index is None:
                taken = np.flatnonzero(uid)
                self._index = dict(zip(uid[taken].tolist(), taken.tolist(), strict=True))
            site = self._index.get(agent._uid, -1)
        if site >= 0:
            agent._site = site
        return site

    def add_cell(self, agent: MarrowCell, where: Any, values: Mapping[str, float]) -> None:
        """Put a new cell into the marrow, as `PlasmaCell(model, ...)` and its like do.

        A plasma cell of the patch stands for many of the body, so the burden, too, changes with it.

        Raises:
            InputError: For a site that is taken, an unknown attribute or a wrong value.
        """
        known = {name: a for name, a in attributes(type(agent)).items() if isinstance(a, CellColumn)}
        for name, value in values.items():
            if name not in known:
                raise InputError(f"{type(agent).__name__}: no attribute '{name}' can be given{did_you_mean(name, known)}")
            known[name].check(value)
        with self.lock:
            site = self.site(self.grid.select_random_empty_cell() if where is None else where)
            self._require_free(site)
            marrow, kind = self.simulation.marrow, agent.kind
            cells = marrow.cells
            traits = marrow.traits
            columns: dict[str, Any] = {
                "kind": kind,
                "clone": 0,
                "uid": self._new_identity(),
                "cd38": np.asarray(traits.cd38)[kind],
                "complement_inhibitors": 1.0,
                "activity": float(np.asarray(traits.is_exhaustible)[kind]),
                "granzyme": float(np.asarray(traits.is_lytic)[kind]),
                "born": self.simulation.hour,
            }
            if kind is CellType.PLASMA:
                clone = int(values.get("clone", 0))
                columns["cd38"] = marrow.clones.cd38[clone]
                columns["complement_inhibitors"] = marrow.clones.complement_inhibitors[clone]
                marrow.body.burden[clone] += marrow.host.burden_per_cell
            columns |= {known[name].column: value for name, value in values.items()}
            for name, value in columns.items():
                getattr(cells, name)[site] = value
            agent._uid, agent._site = int(cells.uid[site]), site
            self._handles[agent._uid] = agent
            self._account(kind)

    def remove_cell(self, agent: MarrowCell) -> None:
        """Take a cell out of the marrow, as `agent.remove()` does: a death of the rule that does it, else none, having no cause."""
        with self.lock:
            marrow, site = self.simulation.marrow, agent.site
            clone = int(marrow.cells.clone[site])
            if agent.kind is CellType.PLASMA:
                self._lighten(clone)
            if self._cause is not None:
                marrow.body.ledger[agent.kind, self._cause] += 1
                if agent.kind is CellType.PLASMA:
                    marrow.body.clone_ledger[clone, self._cause] += 1
            clear(marrow.cells, site)
            self._handles.pop(agent._uid, None)
            self._account(agent.kind)

    def move_cell(self, agent: MarrowCell, where: Any) -> None:
        """Move a cell to a free site, as `agent.cell = ...` does.

        Raises:
            InputError: For a site that is taken.
            RemovedAgentError: Where the cell is no longer alive.
        """
        with self.lock:
            site, target = agent.site, self.site(where)
            if site != target:
                self._require_free(target)
                move(self.simulation.marrow.cells, site, target)
                agent._site = target
                self._account(agent.kind)

    def write(self, agent: MarrowCell, column: str, value: float) -> None:
        """Write one value of a cell, as `agent.cd38 = ...` does; a plasma cell that changes its clone takes its burden along."""
        with self.lock:
            marrow, site = self.simulation.marrow, agent.site
            if column == "clone" and agent.kind is CellType.PLASMA:
                self._lighten(int(marrow.cells.clone[site]))
                marrow.body.burden[int(value)] += marrow.host.burden_per_cell
            getattr(marrow.cells, column)[site] = value
            if column in ("clone", "born"):  # on which counts and the order of the sets rest
                self._account(agent.kind)

    def _new_identity(self) -> int:
        """An identity that no cell has had: the address of a birth by hand."""
        of_step = subkey(subkey(self.simulation.key, BY_HAND), self.simulation.step)
        while True:
            uid = int(subkey(of_step, self._births))
            self._births += 1
            if not (self.simulation.marrow.cells.uid == uid).any():  # as after a fork of what another model has changed
                return uid

    def _lighten(self, clone: int) -> None:
        """One plasma cell less of a clone, and those of the body that it stands for."""
        marrow = self.simulation.marrow
        marrow.body.burden[clone] = max(0.0, marrow.body.burden[clone] - marrow.host.burden_per_cell)

    def _require_free(self, site: int) -> None:
        kind = int(self.simulation.marrow.cells.kind[site])
        if kind != EMPTY:
            raise InputError(f"the site {self.coordinate(site)} is taken by a {BY_KIND[kind].__name__}")

    def _account(self, kind: CellType) -> None:
        """Bring what the engine keeps about the cells up to date with them."""
        marrow = self.simulation.marrow
        roster.index_cells(self.simulation.pinned)
        if kind in having(marrow.traits.is_stromal):
            lay_niche(marrow)
        self._changes += 1
