"""The lattice as a Mesa grid, with the fields as property layers."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, SupportsIndex

import numpy as np
from mesa.discrete_space import Cell, OrthogonalMooreGrid
from mesa.discrete_space.cell_collection import CellCollection
from mesa.discrete_space.discrete_space import DiscreteSpace
from mesa.discrete_space.property_layer import PropertyLayer

from tme_abm.marrow.cells import EMPTY
from tme_abm.marrow.state import Fields, Marrow
from tme_abm.mesa_model.agent_set import LiveAgents
from tme_abm.mesa_model.agents import MarrowCell
from tme_abm.mesa_model.contract import Array, Coordinate, MarrowModel


class FieldLayer(PropertyLayer):
    """A property layer that shows an array of the engine: `data[x, y]`, not a copy.

    The engine solves its fields anew once a day or when their sources change, so what is written into one lasts until then.
    """

    def __init__(self, name: str, model: MarrowModel) -> None:
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

    def __init__(self, model: MarrowModel, site: int) -> None:
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

    def __init__(self, model: MarrowModel) -> None:
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
