"""What mechanisms declare, held against what they do: names, the order of who makes and who needs, and every read and write.

Each act of a mechanism is run as plain Python on a marrow that writes down who touches what (`measure`), so a declaration is not believed
but seen. The graph of who depends on whom (`edges`) is drawn from the same declarations.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tme_abm.foundation.declare import notes
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.mechanism import ACTS, Mechanism, Phase, by_drug
from tme_abm.foundation.twin import Twins
from tme_abm.marrow import roster
from tme_abm.marrow.antigen import Antigen
from tme_abm.marrow.cells import N_EVENTS, Cause, Cells, CellType
from tme_abm.marrow.clones import N_CLONES, N_CLONOTYPES, Clones
from tme_abm.marrow.lattice import make_lattice
from tme_abm.marrow.quantities import BUNDLES, MADE_OF, UNNAMED, WHOLE, quantities
from tme_abm.marrow.state import AtRisk, Gauge, Host, Marrow, Own, Tick, make_marrow
from tme_abm.marrow.traits import load_traits

SIDE = 12  # sites a side of the marrow on which acts are watched
NOW = Tick(6.0, 3, 17)
PHASES = tuple(Phase)
AT_RISK = 2 * PHASES.index(Phase.ARRIVAL) - 1  # what acts on cells at risk comes between the phases of motion and of arrival
MAY_WRITE: dict[str, Callable[[str], bool]] = {
    "prepare": lambda name: not name.startswith(("at_risk.", "hazard.")) and name not in ("body.ceiling", "body.contact_ceiling"),
    "ceiling": lambda name: name in ("body.ceiling", "body.contact_ceiling"),
    "hazard": lambda name: name.startswith(("at_risk.", "hazard.")),
}


# ---- names -----------------------------------------------------------------------------------------------------------


def check_names(m: Mechanism, extra: Iterable[str] = ()) -> None:
    """See that all that a mechanism declares is the name of a quantity, and what it puts to rest one that it writes.

    Args:
        m: The mechanism.
        extra: Names of quantities that somebody brings along.

    Raises:
        InputError: With the nearest right word.
    """
    known = {*quantities(), *extra}
    for what, names in (("reads", m.reads), ("writes", m.writes)):
        for name in names:
            if name not in known:
                raise InputError(f"mechanism '{m.name}' {what} '{name}', which is no quantity of a marrow{did_you_mean(name, known)}")
    if isinstance(m.rest, tuple):
        for name in m.rest:
            if name not in m.writes:
                hint = did_you_mean(name, m.writes)
                raise InputError(f"mechanism '{m.name}' puts '{name}' to rest, which it does not write{hint}")
    for act in () if isinstance(m.rest, tuple) else m.rest:
        if act not in ACTS:
            raise InputError(f"mechanism '{m.name}' rests in '{act}', which is no act{did_you_mean(act, ACTS)}")
    if (m.phase is None) != (m.prepare is None):
        raise InputError(f"mechanism '{m.name}' has {'no phase in which it prepares' if m.prepare else 'a phase and prepares nothing'}")


# ---- order -----------------------------------------------------------------------------------------------------------


def moment(m: Mechanism, name: str, acts: Iterable[str]) -> int:
    """When in the step a mechanism first touches a quantity in one of its acts: twice the number of its phase; at risk before arrivals."""
    prepares = "prepare" in acts and not name.startswith(("at_risk.", "hazard.")) and m.phase is not None
    return 2 * PHASES.index(m.phase) if prepares and m.phase is not None else AT_RISK


def check_order(
    mechanisms: Sequence[Mechanism],
    seen: Mapping[str, Mapping[str, "Touched"]] | None = None,
    lasting: Mapping[str, bool] | None = None,
) -> None:
    """See that who needs what another makes in the same step comes after it.

    What lasts for a step only must be complete before anybody reads it; of what lasts, somebody must have written it before in the step.
    Who reads what the step before has left says so (`recalls`). Rows of cells are there before the step begins.

    Args:
        mechanisms: In their order.
        seen: Of mechanisms what their acts touch (`measure`); one that is not in it is taken to read all from its first act on.
        lasting: Of quantities that mechanisms from outside bring along, whether they outlive a step.

    Raises:
        InputError: Naming who would read too early what whom writes.
    """
    place = {m.name: i for i, m in enumerate(mechanisms)}
    lasts = {name: quantity.lasts for name, quantity in quantities().items()} | dict(lasting or {})
    for reader in mechanisms:
        acts = (
            seen[reader.name]
            if seen is not None and reader.name in seen
            else {act: None for act in ACTS if getattr(reader, act) is not None}
        )
        for name in reader.reads:
            if name in (WHOLE, "cells.kind"):
                continue
            reading = [act for act, touched in acts.items() if touched is None or name in touched.reads]
            now = (moment(reader, name, [act.removeprefix("rest ") for act in reading]), place[reader.name])
            for source in MADE_OF.get(name, (name,)):
                if source in reader.recalls:
                    continue
                makers = [w for w in mechanisms if source in w.writes and w is not reader]
                late = [w for w in makers if (moment(w, source, ACTS), place[w.name]) > now]
                if late and (len(late) == len(makers) or not lasts.get(source, True)):
                    raise InputError(f"mechanism '{reader.name}' reads {name} before '{late[0].name}' writes {source} in the step")


# ---- what is really read and written ---------------------------------------------------------------------------------


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int


@dataclass
class Touched:
    """What was read and written, and where first."""

    reads: dict[str, Place] = field(default_factory=dict)
    writes: dict[str, Place] = field(default_factory=dict)

    def add(self, other: "Touched") -> None:
        """Join what another has touched."""
        self.reads = other.reads | self.reads
        self.writes = other.writes | self.writes


class Finding(NamedTuple):
    """A read or write that a mechanism does not declare."""

    name: str
    verb: str
    place: Place


class WatchedArray(np.ndarray):
    """An array that tells of every read and write of its elements."""

    tell: Callable[[str, Any], None] | None

    def __array_finalize__(self, origin: Any) -> None:
        """A view tells as its origin does."""
        self.tell = getattr(origin, "tell", None)

    def __getitem__(self, index: Any) -> Any:
        """Tell, and read."""
        if self.tell is not None:
            self.tell("reads", index)
        return super().__getitem__(index)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Tell, and write."""
        if self.tell is not None:
            self.tell("writes", index)
        super().__setitem__(index, value)


class Watch:
    """A marrow, or a bundle of it, whose quantities tell who touches them."""

    def __init__(self, bundle: Any, touched: Touched, file: str, own: Mapping[tuple[str, int], str], path: str = "") -> None:
        """Watch `bundle`, that stands under `path` in the marrow; places are lines of `file` where that is among the callers."""
        self._bundle, self._touched, self._file, self._own, self._path = bundle, touched, file, own, path
        self._seen: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        """A member, watched."""
        value = getattr(self._bundle, name)
        path = f"{self._path}.{name}".lstrip(".")
        if path == "grid":
            self._tell("reads", (path,))
        if path.split(".")[0] not in (*BUNDLES, "hazard"):
            return value
        if isinstance(value, np.ndarray):
            if path not in self._seen:
                array = value.view(WatchedArray)
                array.tell = lambda verb, index: self._tell(verb, names_in(path, index, self._own))
                self._seen[path] = array
            return self._seen[path]
        if isinstance(value, tuple):
            return Watch(value, self._touched, self._file, self._own, path)
        if not path.startswith("lattice."):
            self._tell("reads", (path,))
        return value

    def _tell(self, verb: str, names: Iterable[str]) -> None:
        found: dict[str, Place] = getattr(self._touched, verb)
        for name in names:
            if name not in found:
                found[name] = self._caller()

    def _caller(self) -> Place:
        frame = sys._getframe(2)
        while frame.f_code.co_filename == __file__ and frame.f_back is not None:
            frame = frame.f_back
        innermost = frame
        at: Any = frame
        while at is not None and at.f_code.co_filename != self._file:
            at = at.f_back
        chosen = at or innermost
        return Place(chosen.f_code.co_filename, chosen.f_lineno)


def names_in(path: str, index: Any, own: Mapping[tuple[str, int], str]) -> tuple[str, ...]:
    """Names of the quantities that an index of an array means: of the gauges and hazards one or all, of the others the array's own.

    Args:
        path: Of the array in the marrow.
        index: Into the array.
        own: Gauges and hazards of mechanisms from outside: path and number -> name.
    """
    members: Any = {"body.gauge": Gauge, "hazard": Cause}.get(path)
    if members is None:
        return (path,)
    which = index[-1] if isinstance(index, tuple) else index
    prefix = "gauge" if members is Gauge else "hazard"
    is_one = isinstance(which, int | np.integer) and (members is Gauge or isinstance(index, tuple))
    if is_one:
        return (own.get((path, int(which))) or f"{prefix}.{members(int(which)).name}",)
    return (*(f"{prefix}.{m.name}" for m in members), *(name for (where, _), name in own.items() if where == path))


NONE: Mapping[tuple[str, int], str] = {}


def measure(m: Mechanism, marrows: Sequence[Marrow] | None = None, own: Mapping[tuple[str, int], str] = NONE) -> dict[str, Touched]:
    """Run every act of a mechanism, and what runs while it is off, as plain Python on marrows, and see what is touched.

    Args:
        m: The mechanism.
        marrows: On which to run it, each on a copy; specimens of all kinds where left out.
        own: Gauges and hazards of mechanisms from outside, as `names_in` takes them.

    Returns:
        By act what it reads and writes; those of rest under "rest prepare" and so on.
    """
    twins, found = Twins(), {}
    acts = {act: getattr(m, act) for act in ACTS}
    if not isinstance(m.rest, tuple):
        acts |= {f"rest {act}": kernel for act, kernel in m.rest.items()}
    for act, kernel in acts.items():
        if kernel is None:
            continue
        touched = found[act] = Touched()
        run, file = twins.of(kernel), kernel.py_func.__code__.co_filename
        for seed in range(4):
            for marrow in marrows or (specimen(seed, twins, own),):
                one = Touched()
                run(Watch(marrow, one, file, own), rules_of(m, marrow.drugs.antigen.size), NOW)
                touched.add(one)
    return found


def undeclared(m: Mechanism, found: dict[str, Touched]) -> list[Finding]:
    """Reads and writes that a mechanism does not declare, and writes that are not for the act in which they happen."""
    reads, writes = set(expanded(m.reads)), set(expanded(m.writes))
    wrong = []
    for act, touched in found.items():
        for name, place in touched.reads.items():
            if name not in UNNAMED and name not in reads | writes:
                wrong.append(Finding(name, "reads", place))
        for name, place in touched.writes.items():
            if not MAY_WRITE[act.removeprefix("rest ")](name):
                wrong.append(Finding(name, f"in {act} writes", place))
            elif name not in UNNAMED and name not in writes:
                wrong.append(Finding(name, "writes", place))
    return wrong


def unused(m: Mechanism, found: dict[str, Touched]) -> list[str]:
    """What a mechanism declares and never reads or writes."""
    read = {name for touched in found.values() for name in touched.reads}
    written = {name for touched in found.values() for name in touched.writes}
    return [f"reads {name}" for name in expanded(m.reads) if name not in read] + [
        f"writes {name}" for name in expanded(m.writes) if name not in written
    ]


def check_acts(m: Mechanism) -> None:
    """Refuse a mechanism that touches what it does not declare.

    Raises:
        InputError: With the file and line of the first such read or write.
    """
    for finding in undeclared(m, measure(m)):
        known = [n for n in quantities() if n.split(".")[0] == finding.name.split(".")[0]]
        what = f"{finding.verb} {finding.name}" + ("" if finding.name in known else " (no quantity with a name)")
        raise InputError(f"{finding.place.file}:{finding.place.line}: mechanism '{m.name}' {what}, which it does not declare")


def expanded(names: Iterable[str]) -> tuple[str, ...]:
    """Names, those of whole rows as the columns that they have."""
    return tuple(n for name in names for n in ((f"cells.{c}" for c in Cells._fields) if name == WHOLE else (name,)))


def rules_of(m: Mechanism, n_drugs: int) -> Any:
    """Parameters of a mechanism as its acts take them: the defaults, 1 where there is none, for every drug."""
    given = getattr(m.Params, "_field_defaults", {})
    p = m.Params(**{name: given.get(name, min(max(1.0, note.low), note.high)) for name, note in notes(m.Params).items()})
    return by_drug(m, [(i, p) for i in range(n_drugs)]) if m.by_drug else p


def specimen(seed: int, twins: Twins, own: Mapping[tuple[str, int], str] = NONE) -> Marrow:
    """A marrow at random in which everything can happen: cells of all kinds, some at risk, under antibodies on every antigen."""
    random = np.random.default_rng(seed)

    def column(note: Any, n: int) -> Any:
        return random.integers(0, 2, n).astype("u1") if note.dtype == "u1" else random.uniform(0.2, 2.0, n)

    clones = Clones(**{name: column(note, N_CLONES) for name, note in notes(Clones).items()})
    host = Host(**{name: float(random.uniform(0.02, 0.2)) for name in Host._fields})
    marrow = make_marrow(make_lattice(SIDE, SIDE), clones, load_traits().traits, host, [int(a) for a in Antigen], room_for(own))
    n, cells, body, risk = SIDE * SIDE, marrow.cells, marrow.body, marrow.at_risk
    cells.kind[:] = random.integers(0, len(CellType), n)
    cells.clone[:] = random.integers(0, N_CLONES, n)
    cells.clone[cells.kind == CellType.T] = random.integers(0, N_CLONOTYPES, int((cells.kind == CellType.T).sum()))
    cells.uid[:] = np.where(cells.kind > 0, np.arange(n) + 1, 0)
    for values in (cells.activity, cells.granzyme, *marrow.contacts, *marrow.fields):
        values[:] = random.uniform(0.1, 1.0, n)
    cells.cd38[:] = random.uniform(5e4, 2e5, n)
    cells.complement_inhibitors[:] = random.uniform(0.5, 2.0, n)
    marrow.lattice.niche[:] = random.integers(0, 2, n)
    body.gauge[:] = random.uniform(0.1, 0.9, body.gauge.size)
    body.gauge[Gauge.FIELD_AGE] = 0.0
    body.target[:] = 50.0
    body.clone_cd38[:] = random.uniform(0.5, 2.0, N_CLONES)
    body.clone_stress[:] = random.uniform(0.1, 0.9, N_CLONES)
    for values in (marrow.drugs.concentration, marrow.drugs.effect, marrow.drugs.occupancy, marrow.drugs.marrow):
        values[:] = random.uniform(0.2, 0.8, len(Antigen))
    twins.of(roster.index_cells)(marrow)
    for name, note in notes(AtRisk).items():
        getattr(risk, name)[:n] = random.uniform(0.1, 1.0, n).astype(note.dtype)
    risk.site[:n], risk.kind[:n], risk.clone[:n] = np.arange(n), cells.kind, cells.clone
    risk.cd38[:n] *= 1e5
    marrow.n_at_risk[:] = n
    return marrow


def room_for(own: Mapping[tuple[str, int], str]) -> Own:
    """Room in a marrow for gauges and hazards of mechanisms from outside."""
    gauges = [1 + number - len(Gauge) for path, number in own if path == "body.gauge"]
    causes = [1 + number - N_EVENTS for path, number in own if path == "hazard"]
    return Own(max(causes, default=0), (1.0,) * max(gauges, default=0))


# ---- who depends on whom ---------------------------------------------------------------------------------------------


class Edge(NamedTuple):
    """A quantity that one mechanism makes and another needs in the same step."""

    maker: str
    reader: str
    name: str


def edges(mechanisms: Sequence[Mechanism]) -> list[Edge]:
    """Who needs what whom has made, also by way of what the marrow makes of it (`MADE_OF`); whole rows of cells left out.

    Of several quantities that one makes for the same reader each is an edge, named as the maker writes it.
    """
    found: dict[Edge, None] = {}
    for maker in mechanisms:
        for reader in mechanisms:
            for name in reader.reads:
                for source in MADE_OF.get(name, (name,)):
                    if maker is not reader and source in maker.writes and source != WHOLE:
                        found[Edge(maker.name, reader.name, source)] = None
    return list(found)
