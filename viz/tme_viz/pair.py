"""Two marrows of one patient, under the same dice, in lockstep: the logic behind the live page, without the page."""

import math
import os
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy, deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.laboratory.live import carry_out_change, grow_patient
from tme_abm.marrow.cell_types import CellType, records
from tme_abm.marrow.clones import ANTIBODY_ESCAPED, CLONE_NAMES, IMID_RESISTANT, PROTEASOME_RESISTANT
from tme_abm.patients.patient import VirtualPatient
from tme_abm.simulation.simulation import Simulation
from tme_abm.simulation.treatment import physique
from tme_abm.trial.execution import compile_kernels
from tme_abm.trial.study import Study
from tme_abm.trial.visit import Clinic, Visit
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice, Event
from tme_viz.history import FASTEST, Place, Shelf
from tme_viz.live_file import study_of

T = TypeVar("T")
Tell = Callable[[str], None]

GROWN_KEPT = 6  # patients kept ready for the next visitor who chooses them
MARK_DAYS = 28  # days between moments from which the past is made again
LARGE = 128  # rows from which the two marrows are worth a thread each
RESISTANCES = {"imid": IMID_RESISTANT, "proteasome": PROTEASOME_RESISTANT, "antibody": ANTIBODY_ESCAPED}
OBSERVED = (
    "m_protein_g_per_l",
    "plasma_cells",
    *(f"{kind.name.lower()}_cells" for kind, record in records().items() if record.panel),
    "t_cell_activity",
    "nk_activity",
    "t_cell_granzyme",
    "nk_granzyme",
    "adenosine",
    "il6",
    "chemokine",
    "cd38_sites_per_cell",
    "tumour_cells_total",
    "clone_sensitive",
)


class Running:
    """One of the two marrows.

    Attributes:
        simulation: The marrow.
        rows: A row a day, in the order of `Pair.columns`.
        visits: What the clinic says every 28 days.
    """

    def __init__(self, simulation: Simulation, drugs: tuple[str, ...], study: Study) -> None:
        """Begin treatment.

        Args:
            simulation: Forked, with its regimen.
            drugs: Drugs of both arms, in the order of the columns.
            study: With the intervals that end with a visit, and what the clinic gets to see.
        """
        self.simulation = simulation
        self.drugs = drugs
        self.rows: list[list[float]] = []
        self.visits: list[Visit] = []
        self.factor = {drug.name: 1.0 for drug in simulation.course.drugs}
        body = physique(simulation.patient)
        hours = {drug.name: drug.infusion_hours for drug in simulation.course.drugs}
        calendar = simulation.regimen.calendar(body, 3700.0, hours)
        self._doses: dict[tuple[int, str], float] = {}
        for start, drug, amount in zip(calendar.start_h, calendar.drug, calendar.amount_mg, strict=True):
            key = (int(start // HOURS_PER_DAY), simulation.regimen.drugs[drug])
            self._doses[key] = self._doses.get(key, 0.0) + float(amount)
        self.clinic = Clinic(simulation, study.visits, study.clinic.params)
        self.note()

    @property
    def progression_day(self) -> float | None:
        """First of the two visits that confirmed progression."""
        return self.clinic.assessor.progression_day

    def note(self) -> None:
        """Write down the day that begins now; a visit where one is due."""
        seen = self.simulation.observe()
        day = self.simulation.day
        row = [day, *(float(seen[name]) for name in (*OBSERVED, *self.simulation.settings.catalogue.deaths))]
        row.append(share_in_niche(self.simulation))
        burden = self.simulation.marrow.body.burden
        row += [sum(float(burden[c]) for c in range(len(CLONE_NAMES)) if c & bit) for bit in RESISTANCES.values()]
        levels = {drug.name: float(x) for drug, x in zip(self.simulation.course.drugs, self.simulation.course.concentration, strict=True)}
        row += [levels.get(name, np.nan) for name in self.drugs]
        today = round(day)
        row += [self._doses.get((today, name), 0.0) * self.factor.get(name, 0.0) for name in self.drugs]
        self.rows.append(row)
        number = self.clinic.visits.begun(day + 1e-6) - 1
        if number > 0 and abs(day - self.clinic.visits.start(number + 1)) < 1e-6:
            self.visits.append(self.clinic.see(self.simulation, number))


class Saved(NamedTuple):
    """One of the two marrows as it stood at a mark."""

    shell: Simulation  # all but its arrays
    arrays: Place
    n_rows: int
    n_visits: int
    clinic: Clinic
    factor: dict[str, float]


class Mark(NamedTuple):
    """A moment from which a pair can go on as it did."""

    step: int  # since the regimens began
    events: tuple[Event, ...]
    sides: tuple[Saved, ...]


class Replay(NamedTuple):
    """Copies of both marrows on their way through the past."""

    step: int
    n_done: int  # of the events
    simulations: tuple[Simulation, ...]


class Pair:
    """Two marrows of one patient.

    Attributes:
        choice: What was chosen, with the arms filled in.
        study: The scenario.
        sides: The marrows, left and right.
        columns: Names of the columns of the rows.
        events: What was changed while they ran.
        marks: Moments from which the past is made again, every four weeks.
    """

    def __init__(
        self, choice: Choice, places: Places, tell: Tell = lambda text: None, grow: Callable[[Study], Simulation] | None = None
    ) -> None:
        """Grow the patient's disease, or take it grown, and begin both treatments.

        Args:
            choice: What is wanted.
            places: Where scenarios are.
            tell: Is told what takes time, in a word: "compiling", "growing", "treating".
            grow: Grows somebody else than the patient of the choice.

        Raises:
            InputError: Where the choice cannot be.
        """
        choice.check(places.catalogue)
        study = study_of(places, choice)
        self.study = replace(study, settings=replace(study.settings, height=choice.size, width=choice.size))
        self.choice = replace(choice, arms=pick_arms(choice, study))
        self.grown = grown(self.study, choice, tell) if grow is None else grow(self.study)
        arms = {arm.key: arm for arm in study.arms}
        self.regimens = tuple(arms[key] for key in self.choice.arms)
        self.drugs = tuple(dict.fromkeys(name for regimen in self.regimens for name in regimen.drugs))
        self.columns = (
            "day",
            *OBSERVED,
            *study.settings.catalogue.deaths,
            "plasma_in_niche",
            *(f"clone_with_{name}" for name in RESISTANCES),
            *(f"concentration_{name}_ug_per_ml" for name in self.drugs),
            *(f"dose_{name}_mg" for name in self.drugs),
        )
        self.events: list[Event] = []
        self.marks: list[Mark] = []
        self._shelf = Shelf()
        self._replay: Replay | None = None
        for event in choice.events:
            self.check(event)
        self._begin()

    def _begin(self) -> None:
        self.sides = self._fork()
        self.marks, self._replay = [], None
        self._shelf.cut(0)

    def _fork(self) -> tuple[Running, ...]:
        return tuple(
            Running(self.grown.fork(regimen, self.study.drugs, self.study.settings.without | off), self.drugs, self.study)
            for regimen, off in zip(self.regimens, self.choice.without, strict=True)
        )

    def close(self) -> None:
        """Let go of the marks."""
        self.marks, self._replay = [], None
        self._shelf.close()

    @property
    def patient(self) -> VirtualPatient:
        """Who is treated."""
        return self.grown.patient

    @property
    def day(self) -> float:
        """Days of treatment."""
        return self.sides[0].simulation.day

    @property
    def step(self) -> int:
        """Steps since the regimens began."""
        simulation = self.sides[0].simulation
        return simulation.step - simulation.treated_from

    @property
    def per_day(self) -> int:
        """Steps a day."""
        return round(HOURS_PER_DAY / self.study.settings.step_h)

    def advance(self, n_steps: int, pause: Callable[[], None] = lambda: None) -> None:
        """Let time pass in both marrows; a row is written at each full day.

        Args:
            n_steps: Number of steps.
            pause: Called at the end of each day, for instance to take a picture.
        """
        while n_steps > 0:
            n = min(n_steps, self.per_day - self.step % self.per_day)
            together([partial(side.simulation.advance, n) for side in self.sides], self.choice.size)
            if self.step % self.per_day == 0:
                for side in self.sides:
                    side.note()
                if self.step % (MARK_DAYS * self.per_day) == 0:
                    self._mark()
                pause()
            n_steps -= n

    def _mark(self) -> None:
        packed = together([partial(freeze, side.simulation) for side in self.sides], self.choice.size)
        saved = tuple(
            Saved(shell, self._shelf.put(arrays), len(side.rows), len(side.visits), deepcopy(side.clinic), dict(side.factor))
            for side, (shell, arrays) in zip(self.sides, packed, strict=True)
        )
        self.marks.append(Mark(self.step, tuple(self.events), saved))

    def _thaw(self, mark: Mark) -> list[Simulation]:
        sides = zip(self.sides, mark.sides, strict=True)
        return [thaw(saved.shell, self._shelf.get(saved.arrays), side.simulation) for side, saved in sides]

    def _return(self, mark: Mark) -> None:
        """Stand at a mark, as if nothing had come after it."""
        for side, saved, simulation in zip(self.sides, mark.sides, self._thaw(mark), strict=True):
            side.simulation, side.clinic, side.factor = simulation, deepcopy(saved.clinic), dict(saved.factor)
            del side.rows[saved.n_rows :], side.visits[saved.n_visits :]
        self.events, self._replay = list(mark.events), None
        self.marks = [one for one in self.marks if one.step <= mark.step]
        last = self.marks[-1].sides[-1].arrays
        self._shelf.cut(last.start + last.size)

    def look(self, step: int) -> tuple[Simulation, ...]:
        """Both marrows as they were at a step, made again from the nearest mark; to be looked at, not to be changed."""
        if step >= self.step:
            return tuple(side.simulation for side in self.sides)
        mark = next((one for one in reversed(self.marks) if one.step <= step), None)
        start = mark.step if mark else 0
        now = self._replay
        if now is None or not start <= now.step <= step:
            begun = self._thaw(mark) if mark else [side.simulation for side in self._fork()]
            now = Replay(start, len(mark.events) if mark else 0, tuple(begun))
        at, n_done, simulations = now
        while True:
            while n_done < len(self.events) and round(self.events[n_done].day * self.per_day) <= at:
                carry_out_change(simulations[self.events[n_done].side], self.events[n_done])
                n_done += 1
            if at >= step:
                break
            n = min([step, *(round(e.day * self.per_day) for e in self.events[n_done : n_done + 1])]) - at
            together([partial(simulation.advance, n) for simulation in simulations], self.choice.size)
            at += n
        self._replay = Replay(at, n_done, simulations)
        return simulations

    def check(self, event: Event) -> None:
        """Raise an `InputError` for an event that cannot be."""
        event.check(self.study.settings.catalogue)
        regimen = self.regimens[event.side]
        if event.kind == "dose" and event.name not in regimen.drugs:
            raise InputError(f"{regimen.label} holds no '{event.name}'{did_you_mean(event.name, regimen.drugs)}")

    def act(self, event: Event) -> None:
        """Change something from now on, and write it down.

        Raises:
            InputError: For an event that cannot be.
        """
        self.check(event)
        side = self.sides[event.side]
        carry_out_change(side.simulation, event)
        if event.kind == "dose":
            side.factor[event.name] = event.value
        self._replay = None
        self.events = [e for e in self.events if (e.day, *e[1:4]) != (event.day, *event[1:4])] + [event]

    def go_to(self, day: float, events: list[Event] | tuple[Event, ...], pause: Callable[[], None] = lambda: None) -> None:
        """Stand at a day with the events up to it having happened, from the beginning where that day has passed.

        Args:
            day: Day of treatment.
            events: In order of time; those after the day are left out.
            pause: Called at the beginning and at the end of each day, for instance to take a picture.
        """
        target = round(day * self.per_day)
        waiting = [e for e in events if e.day <= day + 1e-9]
        if target < self.step or not self._leads(self.step, self.events, waiting):
            mark = next((m for m in reversed(self.marks) if m.step <= target and self._leads(m.step, m.events, waiting)), None)
            if mark is not None:
                self._return(mark)
            else:
                self.events = []
                self._begin()
        n_done = len(self.events)
        pause()
        while True:
            while n_done < len(waiting) and round(waiting[n_done].day * self.per_day) <= self.step:
                self.act(waiting[n_done])
                n_done += 1
            if self.step >= target:
                break
            coming = [target, *(round(e.day * self.per_day) for e in waiting[n_done : n_done + 1])]
            self.advance(min(coming) - self.step, pause)

    def _leads(self, step: int, happened: Sequence[Event], wanted: Sequence[Event]) -> bool:
        """Whether a moment with what has happened before it lies on the way to what is wanted."""
        n = len(happened)
        return list(happened) == list(wanted[:n]) and all(round(e.day * self.per_day) >= step for e in wanted[n:])

    def table(self, side: int, start: int = 0) -> np.ndarray:
        """Rows of one marrow from a place on, (n, n_columns) float32."""
        rows = self.sides[side].rows[start:]
        return np.array(rows, np.float32).reshape(len(rows), len(self.columns))

    def off(self, side: int) -> frozenset[str]:
        """Mechanisms that are off now."""
        return self.sides[side].simulation.without


def share_in_niche(simulation: Simulation) -> float:
    """Share of the plasma cells of the patch that touch a stromal cell; nan where there are none."""
    cells, niche = simulation.marrow.cells, simulation.marrow.lattice.niche
    is_plasma = cells.kind == CellType.PLASMA
    return float(niche[is_plasma].mean()) if is_plasma.any() else math.nan


def arrays_of(bundle: object) -> Iterator[np.ndarray]:
    """The arrays of a bundle of bundles, in order."""
    if isinstance(bundle, np.ndarray):
        yield bundle
    elif isinstance(bundle, tuple):
        for part in bundle:
            yield from arrays_of(part)


def freeze(simulation: Simulation) -> tuple[Simulation, bytes]:
    """A simulation as it stands now: a copy without its arrays, and those compressed."""
    shell: Any = copy(simulation)
    shell.marrow, shell._pins, shell.course = None, {}, simulation.course.fork()
    return shell, zlib.compress(b"".join(array.tobytes() for array in arrays_of(simulation.marrow)), FASTEST)


def thaw(shell: Simulation, packed: bytes, like: Simulation) -> Simulation:
    """A frozen simulation that goes on.

    Args:
        shell: All but its arrays.
        packed: The arrays.
        like: One with arrays of the same sizes.
    """
    twin = copy(shell)
    twin.marrow = like.marrow
    twin = twin.copy()
    raw, start = zlib.decompress(packed), 0
    for array in arrays_of(twin.marrow):
        array[...] = np.frombuffer(raw[start : start + array.nbytes], array.dtype).reshape(array.shape)
        start += array.nbytes
    if start != len(raw):
        raise ValueError(f"a mark of {len(raw)} bytes for arrays of {start}")
    return twin


def pick_arms(choice: Choice, study: Study) -> tuple[str, str]:
    """The two arms: those chosen, else the scenario's first comparison, else its first two (or the only one twice).

    Raises:
        InputError: For an arm that the scenario does not have.
    """
    keys = [arm.key for arm in study.arms]
    first = study.comparisons[0] if study.comparisons else (keys[0], keys[min(1, len(keys) - 1)])
    chosen = tuple(key or plain for key, plain in zip(choice.arms, first, strict=True))
    for key in chosen:
        if key not in keys:
            raise InputError(f"there is no arm '{key}'{did_you_mean(key, keys)}")
    return chosen[0], chosen[1]


def together(work: Sequence[Callable[[], T]], size: int) -> list[T]:
    """The results of work on both sides, side by side where the patch is large: kernels and compression let go of Python's lock."""
    if size < LARGE:
        return [one() for one in work]
    return list(_pool.map(lambda one: one(), work))


_pool = ThreadPoolExecutor(max(2, os.cpu_count() or 2), thread_name_prefix="side")
_ready: OrderedDict[object, Simulation] = OrderedDict()
_lock = threading.Lock()
_compiled = threading.Event()
_compiling = threading.Lock()


def compile_first(study: Study, tell: Tell) -> None:
    """Compile the kernels once in this process; who comes meanwhile waits for the same compilation."""
    if _compiled.is_set():
        return
    tell("compiling")
    with _compiling:
        if not _compiled.is_set():
            compile_kernels(study)
            _compiled.set()


def grown(study: Study, choice: Choice, tell: Tell) -> Simulation:
    """The untreated marrow of the patient at eligibility; the newest few are kept for whoever asks for them next.

    Raises:
        InputError: Where the disease of a preset never becomes eligible.
    """
    key = (choice.scenario, choice.changes, choice.patient, choice.size, _stamp(study.resolved))
    with _lock:
        if key in _ready:
            _ready.move_to_end(key)
            return _ready[key]
    compile_first(study, tell)
    tell("growing")
    simulation = grow_patient(study, choice.patient)
    with _lock:
        _ready[key] = simulation
        while len(_ready) > GROWN_KEPT:
            _ready.popitem(last=False)
    return simulation


def _stamp(resolved: Mapping[str, object]) -> int:
    return hash(repr(resolved))
