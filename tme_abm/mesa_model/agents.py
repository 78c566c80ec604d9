"""The cells of the marrow as Mesa agents: objects that look at columns and hold nothing themselves."""

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import numpy as np
from mesa.discrete_space import CellAgent

from tme_abm.foundation.errors import InputError
from tme_abm.marrow.cell_types import CellType, records
from tme_abm.marrow.clones import CLONE_NAMES, N_CLONES, N_CLONOTYPES, N_REACTIVE
from tme_abm.marrow.contact import MOST_GRANZYME
from tme_abm.marrow.state import Marrow
from tme_abm.marrow.traits import load_traits
from tme_abm.mesa_model.contract import Array, Coordinate, MarrowModel
from tme_abm.simulation.observation import surface_cd38


class RemovedAgentError(AttributeError):
    """The cell is no longer alive, so it has no columns."""


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
    """A cell of the marrow; the base class of all types, whose attributes all of them have.

    Making one by hand puts a new cell into the marrow: `NKCell(model)` on a random free site, typical of its clone or type, fresh and
    fully armed; `NKCell(model, cell=(3, 5), activity=0.5)` in column 3 and row 5, and less active.

    Attributes:
        unique_id: Identity for its whole life, a whole number below 2**62.
        type: A `CellType`.
        alive: Whether it is still there.
        pos: Where it stands, (x, y): column and row of the lattice; assigning another moves it there. None once it is gone.
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

    def __init__(self, model: MarrowModel, cell: Any = None, **values: float) -> None:
        """Put a new cell into the marrow.

        Args:
            model: The model.
            cell: A free site, as a cell of the grid or as (x, y); a random free one where it is left out.
            values: Attributes of the type that are not to be typical.

        Raises:
            InputError: For a site that is taken, an unknown attribute or a wrong value.
        """
        if self.kind is CellType.EMPTY:
            raise InputError(f"make one of the types of cells, not a {type(self).__name__}")
        self._model, self._uid, self._site = model, 0, -1
        model.add_cell(self, cell, values)

    @classmethod
    def view(cls, model: MarrowModel, uid: int, site: int = 0) -> "MarrowCell":
        """The object for a cell that is in the marrow already, last seen on a site; `model.agent` keeps it unique."""
        agent = cls.__new__(cls)
        agent._model, agent._uid, agent._site = model, uid, site
        return agent

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and copy as model, identity and whatever else was written onto the object."""
        extra = {name: value for name, value in self.__dict__.items() if name not in ("_model", "_uid", "_site")}
        return type(self).view, (self._model, self._uid, self._site), extra or None

    @property
    def model(self) -> MarrowModel:
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
            self._model.move_cell(self, value)

    def remove(self) -> None:
        """Take the cell out of the marrow; nothing happens where it is gone already."""
        if self.alive:
            self._model.remove_cell(self)

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


def agent_type(kind: CellType) -> type[MarrowCell]:
    """The class of a type of cell: the one above that is about it, else one made of its record."""
    record, traits = records()[kind], load_traits().traits
    declared: type[MarrowCell] | None = globals().get(record.agent)
    if declared is not None:
        if getattr(declared, "kind", None) is not kind:
            raise InputError(f"cell_types.toml: {kind.name}: the name '{record.agent}' is taken; give another agent")
        return declared
    meaning = f"A cell of the type '{record.english}'; see `MarrowCell` for its attributes."
    body: dict[str, Any] = {"kind": kind, "__module__": __name__, "__doc__": meaning}
    if traits.is_exhaustible[kind]:  # type: ignore[index]
        body["activity"] = CellColumn("activity", high=1.0)
    if traits.is_lytic[kind]:  # type: ignore[index]
        body["granzyme"] = CellColumn("granzyme", high=MOST_GRANZYME)
    if traits.is_clonotypic[kind]:  # type: ignore[index]
        body |= {"clonotype": CellColumn("clone", high=N_CLONOTYPES - 1), "is_reactive": Derived(are_reactive)}
    made: type[MarrowCell] = type(record.agent, (MarrowCell,), body)
    globals()[record.agent] = made  # where pickle and `from tme_abm import ...` look for it
    return made


AGENT_TYPES: tuple[type[MarrowCell], ...] = tuple(agent_type(kind) for kind in records())
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
