"""The marrow as a Mesa model: agents, their sets and the grid are views on the arrays of the engine.

    >>> from tme_abm import PlasmaCell, TumourModel
    >>> model = TumourModel(regimen="icaria/isa-pd", seed=1)
    >>> model.step()  # 6 hours
    >>> len(model.agents_by_type[PlasmaCell])  # doctest: +SKIP
    1082

The engine (`simulation`) keeps one column per quantity, and the row of a cell is the site that it stands on. Here a cell becomes an
object when somebody looks at it: a handle that knows the model and the cell's identity, and reads and writes the columns. So nothing
is paid while nobody looks, and a run through Mesa is the run without it.

What differs from other Mesa models: behaviour lives in compiled kernels, not in `agent.step()`, and the order of events is that of
`mechanisms.step`; births and deaths inside a step neither call `__init__` or `remove` nor emit signals; the attributes of an agent that
has died raise `RemovedAgentError`; `model.agents` and `model.agents_by_type[...]` are live and refuse operations in place (take a
`.copy()` first). `model.random` and `model.rng` serve Python code alone: the engine has its own, addressed randomness.

Coordinates are (x, y), column and row of the lattice, which is a torus: `site = y * width + x`.

This is the only module that imports Mesa.
"""

import operator
import secrets
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, SupportsIndex

import mesa
import numpy as np
from mesa.agent import AgentSet
from mesa.datacollection import DataCollector
from mesa.discrete_space import Cell, CellAgent, OrthogonalMooreGrid
from mesa.discrete_space.cell_collection import CellCollection
from mesa.discrete_space.discrete_space import DiscreteSpace
from mesa.discrete_space.property_layer import PropertyLayer

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.rng import subkey
from tme_abm.marrow import fate
from tme_abm.marrow.cells import EMPTY, N_TYPES, CellType, clear, move
from tme_abm.marrow.clones import CLONE_NAMES, N_CLONES, N_CLONOTYPES, N_REACTIVE
from tme_abm.marrow.contact import MOST_GRANZYME
from tme_abm.marrow.lattice import mark_niche
from tme_abm.marrow.state import Fields, Marrow
from tme_abm.patient import VirtualPatient, preset
from tme_abm.pharmacology.drug import load_drug
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.simulation import UNTREATED, Settings, Simulation, enrol, make_patient_key, surface_cd38

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray
Coordinate = tuple[int, int]
LARGEST_SEED = 2**62
BY_HAND = 0x68616E64  # address of the identities of cells that Python code makes


class RemovedAgentError(AttributeError):
    """The cell is no longer alive, so it has no columns."""


# ---- agents ----------------------------------------------------------------------------------------------------------


class CellColumn:
    """An attribute of an agent that is a column of the engine."""

    def __init__(self, column: str, high: float = np.inf, is_positive: bool = False) -> None:
        """Name the column and the range of its values, from zero (or above it) to `high`."""
        self.column = column
        self.high = high
        self.is_positive = is_positive

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the name of the attribute."""
        self.name = name

    def __get__(self, agent: "MarrowCell | None", owner: type | None = None) -> Any:
        """The value of a living agent as a Python number."""
        if agent is None:
            return self
        return getattr(agent.model.simulation.marrow.cells, self.column).item(agent.site)

    def __set__(self, agent: "MarrowCell", value: float) -> None:
        """Write into the column."""
        agent.model.write(agent, self.column, self.check(value))

    def check(self, value: float) -> float:
        """The value, if it can stand in the column."""
        try:
            right = (0.0 < value if self.is_positive else 0.0 <= value) and value <= self.high and np.isfinite(value)
        except TypeError:
            right = False
        if not right:
            low = "above 0" if self.is_positive else "from 0"
            high = f" to {self.high:g}" if np.isfinite(self.high) else ""
            raise InputError(f"{self.name} must be a number {low}{high}, got {value!r}")
        return value

    def read(self, marrow: Marrow, sites: Array) -> Array:
        """Values of the cells on some sites."""
        values: Array = getattr(marrow.cells, self.column)[sites]
        return values


class Derived:
    """An attribute of an agent that follows from columns: a rule from (marrow, sites) to values."""

    def __init__(self, rule: Callable[[Marrow, Array], Array]) -> None:
        """Take the rule."""
        self.read = rule

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the name of the attribute."""
        self.name = name

    def __get__(self, agent: "MarrowCell | None", owner: type | None = None) -> Any:
        """The value of a living agent as a Python number, truth or word."""
        if agent is None:
            return self
        return self.read(agent.model.simulation.marrow, np.array([agent.site])).item()

    def __set__(self, agent: "MarrowCell", value: Any) -> NoReturn:
        """Refuse."""
        raise AttributeError(f"{self.name} follows from other quantities and cannot be set")


def clone_names(marrow: Marrow, sites: Array) -> Array:
    """Names of the clones of plasma cells."""
    return np.array(CLONE_NAMES)[marrow.cells.clone[sites]]


def are_adherent(marrow: Marrow, sites: Array) -> Array:
    """Whether stroma is among the neighbours."""
    return np.asarray(marrow.lattice.niche[sites] == 1)


def are_reactive(marrow: Marrow, sites: Array) -> Array:
    """Whether the clonotype sees the tumour."""
    return np.asarray(marrow.cells.clone[sites] < N_REACTIVE)


class MarrowCell(CellAgent):
    """A cell of the marrow; the base class of the eight types.

    Making one by hand puts a new cell into the marrow: typical of its clone or type, fresh and fully armed, but for what is given.

    Attributes:
        unique_id: Identity for its whole life, a whole number below 2**62.
        type: A `CellType`.
        alive: Whether it is still there.
        pos: Where it stands (x, y); None once it is gone.
        cell: The site where it stands, as a cell of `model.grid`; assigning another moves it there. None once it is gone.
        site: Number of its site, `y * width + x`.
        cd38: CD38 that it expresses when undisturbed [sites/cell].
        surface_cd38: CD38 on its surface now [sites/cell].
        born: Hour of birth, on the clock that began when the marrow was made [h]; 0 for founding cells.
    """

    kind: ClassVar[CellType] = CellType.EMPTY
    cd38 = CellColumn("cd38", is_positive=True)
    born = CellColumn("born")
    surface_cd38 = Derived(surface_cd38)

    def __init__(self, model: "TumourModel", cell: Any = None, **values: float) -> None:
        """Put a new cell into the marrow.

        Args:
            model: The model.
            cell: A free site, as a cell of the grid or as (x, y); a random free one where it is left out.
            values: Attributes of the type that are not to be typical.

        Raises:
            InputError: For a site that is taken, an unknown attribute or a wrong value.
        """
        if self.kind is CellType.EMPTY:
            raise InputError(f"make one of the eight types, not a {type(self).__name__}")
        self._model, self._uid, self._site = model, 0, -1
        model.bear(self, cell, values)

    @classmethod
    def view(cls, model: "TumourModel", uid: int, site: int = 0) -> "MarrowCell":
        """The object for a cell that is in the marrow already, last seen on a site; `model.agent` keeps it unique."""
        agent = cls.__new__(cls)
        agent._model, agent._uid, agent._site = model, uid, site
        return agent

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as model, identity and whatever else was written onto the object."""
        extra = {name: value for name, value in self.__dict__.items() if name not in ("_model", "_uid", "_site")}
        return type(self).view, (self._model, self._uid, self._site), extra or None

    @property
    def model(self) -> "TumourModel":
        """The model."""
        return self._model

    @property
    def unique_id(self) -> int:
        """Identity."""
        return self._uid

    @property
    def type(self) -> CellType:
        """A `CellType`."""
        return self.kind

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        return self._model.locate(self) >= 0

    @property
    def site(self) -> int:
        """Number of its site.

        Raises:
            RemovedAgentError: Where it is no longer alive.
        """
        site = self._model.locate(self)
        if site < 0:
            raise RemovedAgentError(f"{self!r} is no longer alive")
        return site

    @property
    def pos(self) -> Coordinate | None:
        """Where it stands (x, y); None once it is gone."""
        site = self._model.locate(self)
        return None if site < 0 else self._model.coordinate(site)

    @pos.setter
    def pos(self, value: Any) -> None:
        self.cell = value

    @property
    def cell(self) -> Any:
        """The site where it stands, as a cell of the grid; None once it is gone."""
        pos = self.pos
        return None if pos is None else self._model.grid[pos]

    @cell.setter
    def cell(self, value: Any) -> None:
        if value is None:
            self.remove()
        else:
            self._model.carry(self, value)

    def remove(self) -> None:
        """Take the cell out of the marrow; nothing happens where it is gone already."""
        if self.alive:
            self._model.bury(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._uid}>"


class PlasmaCell(MarrowCell):
    """A malignant plasma cell.

    Attributes:
        cd38: CD38 that it expresses when undisturbed [sites/cell]; drawn anew within months, a value written by hand too.
        surface_cd38: CD38 on its surface now [sites/cell].
        complement_inhibitors: CD55 and CD59, relative to a typical plasma cell [1].
        clone: Its clone, 0 to 7: one bit each for resistance to IMiDs (1), to proteasome inhibitors (2), escape from antibodies (4).
        clone_name: The same in words.
        is_adherent: Whether it touches stroma, which protects it from drugs.
        born: Hour of birth [h].
    """

    kind = CellType.PLASMA
    complement_inhibitors = CellColumn("complement_inhibitors")
    clone = CellColumn("clone", high=N_CLONES - 1)
    clone_name = Derived(clone_names)
    is_adherent = Derived(are_adherent)


class TCell(MarrowCell):
    """A T cell.

    Attributes:
        cd38: CD38 that it expresses when undisturbed [sites/cell].
        surface_cd38: CD38 on its surface now [sites/cell].
        activity: Functional capacity, 0 exhausted to 1 fresh [1].
        granzyme: Lytic granules, 1 in a fresh cell, up to 1.5 under an IMiD [1].
        clonotype: Its T-cell receptor, 0 to 199.
        is_reactive: Whether the clonotype sees the tumour (the first fifty do).
        born: Hour of birth [h].
    """

    kind = CellType.T
    activity = CellColumn("activity", high=1.0)
    granzyme = CellColumn("granzyme", high=MOST_GRANZYME)
    clonotype = CellColumn("clone", high=N_CLONOTYPES - 1)
    is_reactive = Derived(are_reactive)


class NKCell(MarrowCell):
    """A natural killer cell.

    Attributes:
        cd38: CD38 that it expresses when undisturbed [sites/cell].
        surface_cd38: CD38 on its surface now [sites/cell].
        activity: Functional capacity, 0 exhausted to 1 fresh [1].
        granzyme: Lytic granules, 1 in a fresh cell, up to 1.5 under an IMiD [1].
        born: Hour of birth [h].
    """

    kind = CellType.NK
    activity = CellColumn("activity", high=1.0)
    granzyme = CellColumn("granzyme", high=MOST_GRANZYME)


class Treg(MarrowCell):
    """A regulatory T cell; see `MarrowCell` for its attributes."""

    kind = CellType.TREG


class Breg(MarrowCell):
    """A regulatory B cell; see `MarrowCell` for its attributes."""

    kind = CellType.BREG


class MDSC(MarrowCell):
    """A myeloid-derived suppressor cell; see `MarrowCell` for its attributes."""

    kind = CellType.MDSC


class Macrophage(MarrowCell):
    """A macrophage; see `MarrowCell` for its attributes."""

    kind = CellType.MACROPHAGE


class StromalCell(MarrowCell):
    """A stromal cell, which makes the niche around it; see `MarrowCell` for its attributes."""

    kind = CellType.STROMA


AGENT_TYPES: tuple[type[MarrowCell], ...] = (PlasmaCell, TCell, NKCell, Treg, Breg, MDSC, Macrophage, StromalCell)
BY_KIND: dict[int, type[MarrowCell]] = {int(t.kind): t for t in AGENT_TYPES}


ATTRIBUTES: dict[type[MarrowCell], dict[str, CellColumn | Derived]] = {}  # filled as types are asked for


def attributes(agent_type: type[MarrowCell]) -> dict[str, CellColumn | Derived]:
    """The attributes of a type of agent that come from columns, those of all types first."""
    if agent_type not in ATTRIBUTES:
        found: dict[str, CellColumn | Derived] = {}
        for base in reversed(agent_type.__mro__):
            found |= {name: value for name, value in vars(base).items() if isinstance(value, CellColumn | Derived)}
        ATTRIBUTES[agent_type] = found
    return ATTRIBUTES[agent_type]


# ---- sets of agents --------------------------------------------------------------------------------------------------


class Handles(dict[MarrowCell, Any]):
    """An ordered set of agents, held strongly, with the one method of a WeakKeyDictionary that AgentSet relies on."""

    def keyrefs(self) -> list[Any]:
        """Weak references to all agents."""
        return [weakref.ref(agent) for agent in self]


class LiveAgents(AgentSet):
    """The cells that are in the marrow now, all or those of one type, in order of birth.

    It answers like any AgentSet. `get` and `agg` of an attribute read its column and make no objects; so does `column`. What would
    change the set itself is refused: make or remove cells instead, or work on a `.copy()`.
    """

    def __init__(self, model: "TumourModel", agent_type: type[MarrowCell] | None = None) -> None:
        """Look at all cells of a model, or at those of one type."""
        self._model = model
        self._type = agent_type
        self._seen: Any = None
        self._cache = Handles()

    def __reduce__(self) -> tuple[Any, ...]:
        return LiveAgents, (self._model, self._type)

    @property
    def random(self) -> Any:
        """The model's `random`."""
        return self._model.random

    @property
    def _agents(self) -> Handles:  # the one private name of AgentSet that its methods build upon
        with self._model.lock:
            if self._seen != self._model.version:
                self._cache = Handles((agent, None) for agent in self._model.agents_at(self.sites()))
                self._seen = self._model.version
            return self._cache

    def sites(self) -> Array:
        """Sites of the cells, in order of birth."""
        return self._model.sites(None if self._type is None else self._type.kind)

    def __len__(self) -> int:
        counts = self._model.counts
        return int(counts[1:].sum() if self._type is None else counts[self._type.kind])

    def __iter__(self) -> Iterator[MarrowCell]:
        return iter(list(self._agents))

    def __contains__(self, agent: object) -> bool:
        kind = self._type or MarrowCell
        return isinstance(agent, kind) and agent.model is self._model and agent.alive

    def __getitem__(self, item: SupportsIndex | slice) -> Any:
        return self.to_list()[item]

    def to_list(self) -> list[MarrowCell]:
        """The agents as a list."""
        return list(self._agents)

    def copy(self) -> AgentSet:
        """An AgentSet of the agents that are here now."""
        return AgentSet(self._agents, self.random)

    __copy__ = copy

    def column(self, name: str) -> Array:
        """One attribute of all agents as a new array, in the order of iteration; no objects are made.

        Args:
            name: An attribute that all of them have, or "unique_id", "site", "x", "y" or "kind" (a `CellType`).

        Raises:
            InputError: For any other name.
        """
        with self._model.lock:
            marrow, sites = self._model.simulation.marrow, self.sites()
            known = self._attributes()
            if name in known:
                return known[name].read(marrow, sites)
            places = {"unique_id": marrow.cells.uid, "kind": marrow.cells.kind}
            if name in places:
                return places[name][sites]
            if name in ("site", "x", "y"):
                width = marrow.lattice.width
                return {"site": sites, "x": sites % width, "y": sites // width}[name].copy()
        raise InputError(f"these agents have no column '{name}'{did_you_mean(name, [*known, *places, 'site', 'x', 'y'])}")

    def _attributes(self) -> dict[str, CellColumn | Derived]:
        return attributes(self._type or MarrowCell)

    def get(self, attr_names: Any, handle_missing: str = "error", default_value: Any = None) -> list[Any]:
        """Values of one attribute, or lists of values of several, of each agent; see `AgentSet.get`."""
        if isinstance(attr_names, str) and attr_names in self._attributes():
            return list(self.column(attr_names).tolist())
        return list(super().get(attr_names, handle_missing, default_value))

    def select(
        self,
        filter_func: Callable[[Any], bool] | None = None,
        at_most: int | float = float("inf"),
        inplace: bool = False,
        agent_type: type | None = None,
    ) -> AgentSet:
        """An AgentSet of some agents; see `AgentSet.select`."""
        return self._copy_unless(inplace).select(filter_func, at_most, False, agent_type)

    def shuffle(self, inplace: bool = False) -> AgentSet:
        """An AgentSet in random order."""
        return self._copy_unless(inplace).shuffle(inplace=True)

    def sort(self, key: Any, ascending: bool = False, inplace: bool = False) -> AgentSet:
        """An AgentSet in the order of a key."""
        return self._copy_unless(inplace).sort(key, ascending, inplace=True)

    def groupby(self, by: Any, result_type: str = "agentset") -> Any:
        """Agents grouped by an attribute or a function; see `AgentSet.groupby`."""
        return self.copy().groupby(by, result_type)

    def do(self, method: Any, *args: Any, **kwargs: Any) -> "LiveAgents":
        """Call a method of each agent, or a function with each agent."""
        self.copy().do(method, *args, **kwargs)
        return self

    def shuffle_do(self, method: Any, *args: Any, **kwargs: Any) -> "LiveAgents":
        """The same in random order."""
        self.copy().shuffle_do(method, *args, **kwargs)
        return self

    def _from_iterable(self, agents: Iterable[Any]) -> AgentSet:
        """What a union or another operation of sets gives."""
        return AgentSet(agents, self.random)

    def _copy_unless(self, inplace: bool) -> AgentSet:
        if inplace:
            self._refuse()
        return self.copy()

    def _refuse(self, *args: Any) -> NoReturn:
        """Refuse to change the set."""
        raise TypeError("this set shows who is in the marrow: make or remove cells, or take a .copy() first")

    add = discard = remove = _update = _refuse


# ---- the grid --------------------------------------------------------------------------------------------------------


class FieldLayer(PropertyLayer):
    """A property layer that shows an array of the engine: `data[x, y]`, not a copy.

    The engine solves its fields anew once a day or when their sources change, so what is written into one lasts until then.
    """

    def __init__(self, name: str, model: "TumourModel") -> None:
        """Show the field, or other array per site, of that name."""
        self.name = name
        self.dimensions = (model.width, model.height)
        self._model = model

    @property
    def data(self) -> Array:
        """The array, of shape (width, height)."""
        marrow = self._model.simulation.marrow
        is_field = self.name in Fields._fields
        flat = getattr(marrow.fields, self.name) if is_field else SITE_LAYERS[self.name](marrow)
        view: Array = flat.reshape(self.dimensions[::-1]).T
        if not is_field:  # these follow from the cells
            view.flags.writeable = False
        return view

    @data.setter
    def data(self, value: Any) -> None:
        self.data[...] = value

    _mesa_data = data  # Mesa 3.3 changes layers under this name

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.data, dtype, copy=True) if copy or dtype is not None else self.data


def empty_sites(marrow: Marrow) -> Array:
    """Where no cell stands."""
    return np.asarray(marrow.cells.kind == EMPTY)


def niche_sites(marrow: Marrow) -> Array:
    """Where a stromal cell is among the neighbours."""
    return marrow.lattice.niche.view(np.bool_)


def kinds(marrow: Marrow) -> Array:
    """What stands on each site, as `CellType`."""
    return marrow.cells.kind[:]


SITE_LAYERS: dict[str, Callable[[Marrow], Array]] = {"empty": empty_sites, "kind": kinds, "niche": niche_sites}
FIELD_LAYERS = ("adenosine", "il6", "chemokine")


class LayerValue:
    """The value of a property layer on one site."""

    def __init__(self, layer: PropertyLayer) -> None:
        """Take the layer."""
        self.layer = layer

    def __get__(self, cell: "LatticeCell | None", owner: type | None = None) -> Any:
        """The value as a Python number."""
        return self if cell is None else self.layer.data[cell.coordinate].item()

    def __set__(self, cell: "LatticeCell", value: Any) -> None:
        """Write into the layer."""
        self.layer.data[cell.coordinate] = value


class Occupant:
    """The one cell of a site, or none, as a list that is always up to date."""

    __slots__ = ("_model", "_site")

    def __init__(self, model: "TumourModel", site: int) -> None:
        """Look at a site."""
        self._model, self._site = model, site

    def copy(self) -> list[MarrowCell]:
        """The cell that stands here now, in a list."""
        is_taken = self._model.simulation.marrow.cells.kind[self._site] != EMPTY
        return self._model.agents_at(np.array([self._site])) if is_taken else []

    def __len__(self) -> int:
        return int(self._model.simulation.marrow.cells.kind[self._site] != EMPTY)

    def __iter__(self) -> Iterator[MarrowCell]:
        return iter(self.copy())

    def __getitem__(self, item: SupportsIndex | slice) -> Any:
        return self.copy()[item]

    def __contains__(self, agent: object) -> bool:
        return agent in self.copy()


class LatticeCell(Cell):
    """A site of the lattice, made when it is first asked for."""

    def __init__(self, coordinate: Coordinate, grid: "LatticeGrid") -> None:
        """Make the site (x, y) of a grid."""
        self.coordinate, self.capacity, self.random = coordinate, 1, grid.random
        self.properties: dict[Any, Any] = {}
        self._position = None
        self._grid = grid

    def __reduce__(self) -> tuple[Any, ...]:
        return operator.getitem, (self._grid, self.coordinate)

    @property
    def _agents(self) -> Occupant:
        model = self._grid.model
        return Occupant(model, model.site(self.coordinate))

    @property
    def connections(self) -> dict[Coordinate, "LatticeCell"]:
        """The eight neighbours by their distance (dx, dy), in the order of `marrow.lattice.neighbour`."""
        offsets = [(dx, dy) for dy, dx in product((-1, 0, 1), repeat=2) if dx or dy]
        return {offset: self._grid.wrapped(self.coordinate, *offset) for offset in offsets}

    @property
    def neighborhood(self) -> CellCollection:
        """The eight neighbours."""
        return self.get_neighborhood()

    def get_neighborhood(self, radius: int = 1, include_center: bool = False) -> CellCollection:
        """The sites at most `radius` rows and columns away on the torus."""
        if radius < 1:
            raise ValueError("radius must be at least one")
        reach = range(-radius, radius + 1)
        cells = dict.fromkeys(self._grid.wrapped(self.coordinate, dx, dy) for dy, dx in product(reach, repeat=2))
        if not include_center:
            del cells[self]
        return CellCollection(list(cells), random=self.random)

    def add_agent(self, agent: Any) -> None:
        """Move an agent here."""
        agent.cell = self

    def remove_agent(self, agent: Any) -> None:
        """Take an agent out of the marrow."""
        agent.remove()


class Sites(Mapping[Coordinate, LatticeCell]):
    """The sites of a grid by (x, y), made on demand."""

    def __init__(self, grid: "LatticeGrid") -> None:
        """Make none yet."""
        self._grid = grid
        self._made: dict[Coordinate, LatticeCell] = {}

    def __getitem__(self, key: Any) -> LatticeCell:
        cell = self._made.get(key)
        if cell is None:
            x, y = (operator.index(part) for part in key)
            if not (0 <= x < self._grid.width and 0 <= y < self._grid.height):
                raise KeyError(key)
            cell = self._made[x, y] = self._grid.cell_klass((x, y), self._grid)
        return cell

    def __iter__(self) -> Iterator[Coordinate]:
        return product(range(self._grid.width), range(self._grid.height))

    def __len__(self) -> int:
        return int(self._grid.width * self._grid.height)


class LatticeGrid(OrthogonalMooreGrid):
    """A Moore grid on a torus, one cell to a site, that shows the lattice of the engine.

    Its property layers are the fields `adenosine`, `il6`, `chemokine`, and, to be read only, `empty`, `kind` (a `CellType`) and
    `niche`. Further ones can be added.
    """

    def __init__(self, model: "TumourModel") -> None:
        """Look at the lattice of a model."""
        DiscreteSpace.__init__(self, capacity=1, cell_klass=LatticeCell, random=model.random)
        self.model = model
        self.torus = True
        self.dimensions = (model.width, model.height)
        self._ndims = 2
        self._try_random = True
        self._validate_parameters()
        self._furnish([FieldLayer(name, model) for name in (*SITE_LAYERS, *FIELD_LAYERS)])

    def _furnish(self, layers: Iterable[PropertyLayer]) -> None:
        # the class carries the layers as attributes, so each grid has its own
        self.cell_klass: Any = type("GridCell", (LatticeCell,), {"_mesa_properties": set()})
        self._cells = Sites(self)
        for layer in layers:
            self.add_property_layer(layer)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("cell_klass", "all_cells", "_cells")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        layers = state.pop("_mesa_property_layers")
        self.__dict__.update(state)
        self.__dict__["_mesa_property_layers"] = {}
        self._furnish(layers.values())

    def add_property_layer(self, layer: PropertyLayer) -> None:
        """Add a layer of shape (width, height); each site shows its value as an attribute."""
        if isinstance(layer, FieldLayer):  # Mesa would ask for its array, which a model that is being unpickled does not have yet
            self._mesa_property_layers[layer.name] = layer
            self.cell_klass._mesa_properties.add(layer.name)
        else:
            super().add_property_layer(layer)
        setattr(self.cell_klass, layer.name, LayerValue(layer))

    def wrapped(self, coordinate: Coordinate, dx: int, dy: int) -> LatticeCell:
        """The site `dx` columns and `dy` rows away on the torus."""
        (x, y), (width, height) = coordinate, self.dimensions
        return self._cells[(x + dx) % width, (y + dy) % height]

    @property
    def _celllist(self) -> list[LatticeCell]:  # Mesa 3.5 keeps the sites in a list too
        return list(self._cells.values())

    @property
    def agents(self) -> LiveAgents:
        """All cells of the marrow."""
        return self.model.agents

    @property
    def empties(self) -> CellCollection:
        """All free sites."""
        free = np.argwhere(self.empty.data).tolist()
        return CellCollection([self._cells[x, y] for x, y in free], random=self.random)

    def select_random_empty_cell(self) -> LatticeCell:
        """A random free site.

        Raises:
            IndexError: Where there is none.
        """
        free = np.flatnonzero(self.model.simulation.marrow.cells.kind == EMPTY)
        return self._cells[self.model.coordinate(self.random.choice(free.tolist()))]


# ---- the model -------------------------------------------------------------------------------------------------------


class TumourModel(mesa.Model):
    """One patient's marrow under one regimen, as a Mesa model.

    Attributes:
        simulation: The engine behind it.
        grid: The lattice, with the fields as property layers.
        lock: Hold it while reading much from another thread than that which steps.
        datacollector: What is collected at the start, after each step and at the end of `advance`; another may be put in its place.
        is_collecting: Whether anything is collected.
        seed: The seed really used.
    """

    def __init__(  # noqa: PLR0913 - Mesa's pages and batch runs read the parameters off this list
        self,
        patient: str | VirtualPatient = "typical",
        regimen: str | Regimen | None = None,
        height: int = 64,
        width: int = 64,
        step_h: float = 6.0,
        without: str | Iterable[str] = (),
        is_grown: bool = True,
        collect: bool = True,
        seed: int | str | None = None,
        rng: int | str | None = None,
    ) -> None:
        """Make a patient's marrow, grow the untreated disease until it is eligible, and stand before the first dose.

        Args:
            patient: A patient, or the name of one for teaching (`patient.presets`).
            regimen: What is given: a regimen of the package's drugs, the arm of a scenario as "icaria/isa-pd", or nothing.
            height: Rows of the patch [sites of 12 um].
            width: Columns of the patch [sites].
            step_h: Length of a step [h]; divides a day.
            without: Names of mechanisms that are switched off from the start of treatment; a text holds them between blanks.
            is_grown: False to begin at once, with the disease below the level at which it is eligible.
            collect: Whether the data collector collects.
            seed: A whole number, or one in words; the same gives the same run. Drawn, and kept in `seed`, where it is left out.
            rng: The same, by the name that newer versions of Mesa use.

        Raises:
            InputError: For whatever cannot be, or a patient whose disease is not eligible within two years.
        """
        chosen = read_seed(seed, rng)
        switched_off = frozenset(without.split() if isinstance(without, str) else without)
        who = preset(patient) if isinstance(patient, str) else patient
        given, drugs = find_regimen(regimen)
        settings = Settings(height, width, step_h, switched_off)
        simulation = Simulation(who, settings, make_patient_key(chosen, who.index))
        if is_grown and not simulation.grow():
            raise InputError(f"seed {chosen}: the disease is not eligible within two years; take another seed, or is_grown=False")
        self._begin(simulation.fork(given, drugs), chosen, collect)

    @classmethod
    def from_simulation(cls, simulation: Simulation, collect: bool = True, seed: int | None = None) -> "TumourModel":
        """Look at a simulation through Mesa; it stays the same object and goes on from where it is.

        Args:
            simulation: What to look at.
            collect: Whether the data collector collects.
            seed: For `model.random` and `model.rng`; the simulation has its own key.
        """
        model = cls.__new__(cls)
        model._begin(simulation, simulation.key if seed is None else seed, collect)
        return model

    @classmethod
    def from_scenario(
        cls,
        scenario: Any,
        arm: str | None = None,
        patient: int = 0,
        collect: bool = True,
        seed: int | str | None = None,
        rng: int | str | None = None,
    ) -> "TumourModel":
        """One patient of a study, grown until eligible and about to be treated: the very run of the study.

        Args:
            scenario: Name of a bundled scenario, path of a file, or a study as `load_scenario` gives it.
            arm: Key of the arm; the first one where it is left out.
            patient: Number of the patient, from 0.
            collect: Whether the data collector collects.
            seed: Another seed than the study's.
            rng: The same, by the name that newer versions of Mesa use.

        Raises:
            InputError: For an unknown scenario, arm or patient.
            RuntimeError: Where no candidate for the place has eligible disease.
        """
        study = load_study(scenario)
        regimen = find_arm(study, study.arms[0].key if arm is None else arm)
        if not 0 <= operator.index(patient) < LARGEST_SEED:
            raise InputError(f"patient must be a whole number from 0, got {patient!r}")
        chosen = study.seed if seed is None and rng is None else read_seed(seed, rng)
        grown, _ = enrol(study.population, study.settings, chosen, int(patient))
        return cls.from_simulation(grown.fork(regimen, study.drugs), collect, chosen)

    def _begin(self, simulation: Simulation, seed: int, collect: bool) -> None:
        self.lock = threading.RLock()
        super().__init__(rng=seed)
        # Mesa has put its own step, which counts, over the one below; the lock goes around both
        self._count_and_step, self.step = self.step, self._step_locked  # type: ignore[method-assign]
        self.seed = seed
        self.simulation = simulation
        self.is_collecting = collect
        self._is_counting = False  # whether the engine has made its steps already and Mesa only counts them
        self._changes = 0  # births, deaths and moves by hand
        self._births = 0  # by hand
        self._handles: dict[int, MarrowCell] = {}
        self._forget()
        self._live = LiveAgents(self)
        self._live_by_type: dict[type[MarrowCell], LiveAgents] = {t: LiveAgents(self, t) for t in AGENT_TYPES}
        self.grid = LatticeGrid(self)
        self.datacollector = DataCollector(model_reporters=reporters())
        self._collect()

    def _forget(self) -> None:
        """Know nothing of where cells are."""
        self._seen: Any = None
        self._index: dict[int, int] | None = None
        self._sites: dict[int | None, Array] = {}
        self._counts: Array | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock = threading.RLock()

    # ---- time

    def step(self) -> None:
        """Let one step pass (`simulation.settings.step_h` hours)."""
        if self._is_counting:
            return
        with self.lock:
            self.simulation.advance(1)
            self._collect()

    def _step_locked(self) -> None:
        with self.lock:
            self._count_and_step()

    def advance(self, hours: float) -> None:
        """Let many steps pass in one compiled call.

        Data are collected once, at the end. What has been scheduled on Mesa's own clock in the meantime runs at its time, but meets the
        marrow of the end.

        Args:
            hours: A multiple of the step [h].

        Raises:
            InputError: For a time that is no positive multiple of the step.
        """
        step_h = self.simulation.settings.step_h
        n_steps = round(hours / step_h)
        if n_steps < 1 or abs(n_steps * step_h - hours) > 1e-9 * step_h:
            raise InputError(f"advance takes a multiple of the step of {step_h:g} h, got {hours:g} h")
        with self.lock:
            self.simulation.advance(n_steps)
            self._is_counting = True
            try:
                for _ in range(n_steps):
                    self.step()
            finally:
                self._is_counting = False
            self._collect()

    @property
    def day(self) -> float:
        """Days since the regimen began [d]."""
        return self.simulation.day

    def _collect(self) -> None:
        if self.is_collecting:
            self.datacollector.collect(self)

    # ---- what is given, and which rules hold

    @property
    def patient(self) -> VirtualPatient:
        """Who."""
        return self.simulation.patient

    @property
    def regimen(self) -> Regimen:
        """What is given."""
        return self.simulation.regimen

    def switch(self, mechanism: str, is_on: bool) -> None:
        """Switch a mechanism on or off from now on.

        Raises:
            InputError: For an unknown mechanism.
        """
        with self.lock:
            self.simulation.switch(mechanism, is_on)

    def change_dose(self, drug: str, factor: float) -> None:
        """Give `factor` times the regimen's dose of a drug from now on; 0 stops it, 1 restores it.

        Raises:
            InputError: For a drug that is not in the regimen, or a factor that is negative or no number.
        """
        with self.lock:
            self.simulation.course.change_dose(drug, factor)

    # ---- what is there

    @property
    def width(self) -> int:
        """Columns of the lattice."""
        return self.simulation.marrow.lattice.width

    @property
    def height(self) -> int:
        """Rows of the lattice."""
        return self.simulation.marrow.lattice.height

    @property
    def agents(self) -> LiveAgents:
        """All cells."""
        return self._live

    @property
    def agents_by_type(self) -> dict[type[MarrowCell], LiveAgents]:
        """The cells of each type; all eight types are there, whether or not a cell is."""
        return self._live_by_type

    @property
    def agent_types(self) -> list[type[MarrowCell]]:
        """The eight types."""
        return list(AGENT_TYPES)

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

    def observe(self, *signal: Any) -> Any:
        """The marrow now, as a row of a table (`simulation.observe`); names carry their units.

        With arguments it is Mesa's own method of that name, which subscribes to signals (from version 3.5 on).
        """
        if signal:
            return super().observe(*signal)
        with self.lock:
            return self.simulation.observe()

    def cells_frame(self) -> "pd.DataFrame":
        """All cells as a table, one row each in order of birth; what a type does not have is missing."""
        import pandas as pd

        with self.lock:
            marrow, agents = self.simulation.marrow, self._live
            sites, kind = agents.sites(), agents.column("kind")
            types: Any = pd.Categorical.from_codes((kind.astype(np.int8) - 1).tolist(), [t.__name__ for t in AGENT_TYPES])  # type: ignore[call-overload]
            columns: dict[str, Any] = {"unique_id": agents.column("unique_id"), "type": types}
            columns |= {"x": agents.column("x"), "y": agents.column("y"), "born_h": agents.column("born")}
            for name, title in FRAME_COLUMNS.items():
                rules = {t.kind: attributes(t)[name] for t in AGENT_TYPES if name in attributes(t)}
                has = np.isin(kind, list(rules))
                columns[title] = with_gaps(next(iter(rules.values())).read(marrow, sites[has]), has)
            return pd.DataFrame(columns)

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
                    agent = handles[uid] = BY_KIND[kind].view(self, uid, site)
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

    def _refresh(self) -> None:
        """Forget where cells were as soon as they may be elsewhere, and drop the objects of most that have died."""
        if self._seen != self.version:
            with self.lock:
                self._forget()
                self._seen = self.version
                if len(self._handles) > 2 * self.counts[1:].sum():
                    alive = set(self.simulation.marrow.cells.uid.tolist())
                    self._handles = {uid: agent for uid, agent in self._handles.items() if uid in alive}

    # ---- births, deaths, moves and changes by hand

    def bear(self, agent: MarrowCell, where: Any, values: Mapping[str, float]) -> None:
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
            is_armed = kind in (CellType.T, CellType.NK)
            columns: dict[str, Any] = {
                "kind": kind,
                "clone": 0,
                "uid": self._new_identity(),
                "cd38": np.asarray(marrow.traits.cd38)[kind],
                "complement_inhibitors": 1.0,
                "activity": float(is_armed),
                "granzyme": float(is_armed),
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

    def bury(self, agent: MarrowCell) -> None:
        """Take a cell out of the marrow, as `agent.remove()` does; it counts as no death, having no cause."""
        with self.lock:
            marrow, site = self.simulation.marrow, agent.site
            if agent.kind is CellType.PLASMA:
                self._lighten(int(marrow.cells.clone[site]))
            clear(marrow.cells, site)
            self._handles.pop(agent._uid, None)
            self._account(agent.kind)

    def carry(self, agent: MarrowCell, where: Any) -> None:
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
        fate.take_roster(self.simulation.pinned)
        if kind is CellType.STROMA:
            mark_niche(marrow.lattice, marrow.cells.kind == CellType.STROMA)
        self._changes += 1

    # ---- Mesa's own registry, which has nothing to register

    def register_agent(self, agent: Any) -> NoReturn:
        """Refuse: cells are made by their classes and stand in the marrow."""
        raise TypeError("a marrow holds cells of its eight types only; make one of them")

    def deregister_agent(self, agent: MarrowCell) -> None:
        """Take a cell out of the marrow."""
        agent.remove()

    def remove_all_agents(self) -> None:
        """Take all cells out of the marrow."""
        self._live.do("remove")


FRAME_COLUMNS = {  # attribute -> its name in a table
    "cd38": "cd38_sites_per_cell",
    "surface_cd38": "surface_cd38_sites_per_cell",
    "complement_inhibitors": "complement_inhibitors",
    "activity": "activity",
    "granzyme": "granzyme",
    "clone": "clone",
    "clone_name": "clone_name",
    "clonotype": "clonotype",
    "is_adherent": "is_adherent",
    "is_reactive": "is_reactive",
}


def with_gaps(values: Array, has: Array) -> Any:
    """A column of a table that holds `values` where `has` is true, in order, and is missing elsewhere."""
    import pandas as pd

    full = np.zeros(has.size, values.dtype)
    full[has] = values
    if values.dtype == np.bool_:
        return pd.arrays.BooleanArray(full, ~has)
    if values.dtype.kind in "iu":
        return pd.arrays.IntegerArray(full, ~has)
    if values.dtype.kind == "f":
        full[~has] = np.nan
        return full
    words = full.astype(object)
    words[~has] = None
    return pd.Categorical(words, categories=list(CLONE_NAMES))


# ---- what is collected -----------------------------------------------------------------------------------------------


def count(kind: CellType, model: TumourModel) -> int:
    """Cells of a kind."""
    return int(model.counts[kind])


def reporters() -> dict[str, Any]:
    """What the data collector collects, by the names that `observe` uses; counts and sums only, so that it costs little."""
    named: dict[str, Any] = {"day": "day"}
    named |= {f"{t.kind.name.lower()}_cells": partial(count, t.kind) for t in AGENT_TYPES}
    return named | {"m_protein_g_per_l": m_protein, "plasma_fraction": plasma_fraction, "adenosine": mean_adenosine}


def m_protein(model: TumourModel) -> float:
    """Serum M-protein [g/L]."""
    return model.simulation.m_protein


def plasma_fraction(model: TumourModel) -> float:
    """Plasma cells among the nucleated cells of the whole marrow."""
    return model.simulation.plasma_fraction


def mean_adenosine(model: TumourModel) -> float:
    """Mean adenosine of the patch, over the level that halves effector function."""
    return float(model.simulation.marrow.fields.adenosine.mean())


# ---- reading what users give -----------------------------------------------------------------------------------------


def read_seed(seed: Any, rng: Any) -> int:
    """The seed that a user means: a whole number, one in words, or one drawn from a generator or from the system.

    Raises:
        InputError: Where both are given, or what is given is no whole number from 0 to 2**62.
    """
    if seed is not None and rng is not None:
        raise InputError("give either seed or rng, not both")
    given = rng if seed is None else seed
    if given is None:
        return secrets.randbits(32)
    if isinstance(given, np.random.Generator):
        return int(given.integers(2**32))
    try:  # boxes and sliders of a page give texts and floats
        value = int(given) if isinstance(given, str) or (isinstance(given, float) and given.is_integer()) else operator.index(given)
    except (TypeError, ValueError):
        value = -1
    if isinstance(given, bool) or not 0 <= value < LARGEST_SEED:
        raise InputError(f"a seed is a whole number from 0 to 2**62, not {given!r}")
    return value


def find_regimen(given: str | Regimen | None) -> tuple[Regimen, dict[str, Any]]:
    """A regimen and its drugs.

    Raises:
        InputError: For an unknown scenario, arm or drug.
    """
    if given is None:
        return UNTREATED, {}
    if isinstance(given, Regimen):
        return given, {name: load_drug(name) for name in given.drugs}
    scenario, slash, arm = given.rpartition("/")
    if not slash:
        raise InputError(f"write a regimen as scenario/arm, such as 'icaria/isa-pd', not '{given}'")
    study = load_study(scenario)
    return find_arm(study, arm), dict(study.drugs)


def load_study(scenario: Any) -> Any:
    """A study by name or path; one that is resolved already is taken as it is."""
    if hasattr(scenario, "arms"):
        return scenario
    from tme_abm import load_trial  # by its public name: files are read on a floor above this one

    return load_trial(scenario)


def find_arm(study: Any, key: str) -> Regimen:
    """The arm of a study with a key.

    Raises:
        InputError: Where there is none.
    """
    arms: dict[str, Regimen] = {regimen.key: regimen for regimen in study.arms}
    if key not in arms:
        raise InputError(f"scenario '{study.name}': there is no arm '{key}'{did_you_mean(key, arms)}")
    return arms[key]
