"""Who is in the marrow now, as Mesa's sets of agents."""

import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn, SupportsIndex

from mesa.agent import AgentSet

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.mesa_model.agents import CellColumn, Derived, MarrowCell, attributes
from tme_abm.mesa_model.contract import Array, MarrowModel


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

    def __init__(self, model: MarrowModel, agent_type: type[MarrowCell] | None = None) -> None:
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
