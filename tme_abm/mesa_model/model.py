"""One patient's marrow under one regimen, as a Mesa model."""

import operator
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn
from zlib import crc32

import mesa
import numpy as np
from mesa.datacollection import DataCollector

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.rng import stream_key
from tme_abm.mechanisms.outside.catalogue import BrokenMechanism, Rule
from tme_abm.mesa_model.agent_set import LiveAgents
from tme_abm.mesa_model.agents import AGENT_TYPES, MarrowCell, attributes
from tme_abm.mesa_model.arguments import (
    LARGEST_SEED,
    add_rules,
    find_arm,
    find_regimen,
    load_study,
    read_seed,
    read_sides,
    tell_failure,
)
from tme_abm.mesa_model.collecting import reporters
from tme_abm.mesa_model.frame import FRAME_COLUMNS, FRAME_HEADINGS, with_gaps
from tme_abm.mesa_model.grid import LatticeGrid
from tme_abm.mesa_model.registry import CellRegistry
from tme_abm.mesa_model.section import lay_out
from tme_abm.patients.patient import VirtualPatient
from tme_abm.patients.presets import preset
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation, enrol, make_patient_key
from tme_abm.spatial import read_section
from tme_abm.tables import annotate

if TYPE_CHECKING:
    import pandas as pd

    from tme_abm.simulation.tissue import Placement


class TumourModel(CellRegistry, mesa.Model):
    """One patient's marrow under one regimen, as a Mesa model.

    Attributes:
        simulation: The engine behind it.
        grid: The lattice, with the fields as property layers.
        lock: Hold it while reading much from another thread than that which steps.
        datacollector: What is collected at the start, after each step and at the end of `advance`; another may be put in its place.
        is_collecting: Whether anything is collected.
        seed: The seed really used.
        placement: How the cells of a section came onto the lattice; None where the marrow was not founded on one.
    """

    grid: LatticeGrid
    datacollector: DataCollector
    is_collecting: bool
    seed: int
    placement: "Placement | None" = None

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
        rules: Callable[["TumourModel"], Any] | Iterable[Callable[["TumourModel"], Any]] = (),
    ) -> None:
        """Make a patient's marrow, grow the untreated disease until it is eligible, and stand before the first dose.

        Args:
            patient: A patient, or the name of one for teaching (`patients.presets`).
            regimen: What is given: a regimen of the package's drugs, the arm of a scenario as "icaria/isa-pd", or nothing.
            height: Rows of the patch [sites of 12 um].
            width: Columns of the patch [sites].
            step_h: Length of a step [h]; divides a day.
            without: Names of mechanisms that are switched off from the start of treatment; a text holds them between blanks.
            is_grown: False to begin at once, with the disease below the level at which it is eligible.
            collect: Whether the data collector collects.
            seed: A whole number, or the text of one; the same gives the same run. Drawn, and kept in `seed`, where it is left out.
            rng: The same, by the name that newer versions of Mesa use.
            rules: A function of the model, or several, each called once a day of treatment; plasma cells that one removes die of its name.

        Raises:
            InputError: For whatever cannot be, or a patient whose disease is not eligible within two years.
        """
        chosen = read_seed(seed, rng)
        switched_off = frozenset(without.split() if isinstance(without, str) else without)
        who = preset(patient) if isinstance(patient, str) else patient
        given, drugs = find_regimen(regimen)
        settings = add_rules(Settings(*read_sides(height, width), step_h, switched_off), rules)
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
        rules: Callable[["TumourModel"], Any] | Iterable[Callable[["TumourModel"], Any]] = (),
    ) -> "TumourModel":
        """One patient of a study, grown until eligible and about to be treated: the very run of the study.

        Args:
            scenario: Name of a bundled scenario, path of a file, or a study as `load_scenario` gives it.
            arm: Key of the arm; the first one where it is left out.
            patient: Number of the patient, from 0.
            collect: Whether the data collector collects.
            seed: Another seed than the study's.
            rng: The same, by the name that newer versions of Mesa use.
            rules: As for the model itself.

        Raises:
            InputError: For an unknown scenario, arm or patient.
            RuntimeError: Where no candidate for the place has eligible disease.
        """
        study = load_study(scenario)
        study = replace(study, settings=add_rules(study.settings, rules))
        regimen = find_arm(study, study.arms[0].key if arm is None else arm)
        if not 0 <= operator.index(patient) < LARGEST_SEED:
            raise InputError(f"patient must be a whole number from 0, got {patient!r}")
        chosen = study.seed if seed is None and rng is None else read_seed(seed, rng)
        grown, _ = enrol(study.population, study.settings, chosen, int(patient))
        return cls.from_simulation(grown.fork(regimen, study.drugs), collect, chosen)

    @classmethod
    def from_anndata(  # noqa: PLR0913 - what a section and what a model need
        cls,
        cells: Any,
        patient: str | VirtualPatient = "typical",
        regimen: str | Regimen | None = None,
        types: Mapping[str, str | None] | None = None,
        column: str = "cell_type",
        scale_um: float = 1.0,
        shape: tuple[int, int] | None = None,
        step_h: float = 6.0,
        without: str | Iterable[str] = (),
        collect: bool = True,
        seed: int | str | None = None,
    ) -> "TumourModel":
        """A marrow founded on the cells of a tissue section, about to be treated.

        Types and places are the section's; clones and CD38 too, where it has the columns `clone` and `cd38_sites_per_cell` that
        `to_anndata` writes. All else is the patient's. `placement` tells how the cells came onto the lattice, and a warning says so where
        some moved.

        Args:
            cells: An AnnData with the places in `obsm["spatial"]`, or the path of an .h5ad file.
            patient: As for the model itself; the composition of the marrow is the section's.
            regimen: As for the model itself.
            types: Type of cell in the section -> kind of cell of the model, or None to leave such cells out.
            column: Of `obs`, with the types.
            scale_um: Length of one unit of the coordinates [um].
            shape: Rows and columns of the patch; the smallest that holds the section where it is left out.
            step_h: As for the model itself.
            without: As for the model itself.
            collect: As for the model itself.
            seed: As for the model itself.

        Raises:
            InputError: For what the section lacks, a type that nobody knows, or a composition that is no marrow's.
        """
        chosen = read_seed(seed, None)
        given, drugs = find_regimen(regimen)
        reading = read_section(cells, column, types, scale_um, shape)
        simulation, placement = lay_out(reading, patient, step_h, without, chosen)
        model = cls.from_simulation(simulation.fork(given, drugs), collect, chosen)
        model.placement = placement
        return model

    def _begin(self, simulation: Simulation, seed: int, collect: bool) -> None:
        self.lock = threading.RLock()
        super().__init__(rng=seed)
        # Mesa has put its own step, which counts, over the one below; the lock goes around both
        self._count_and_step, self.step = self.step, self._step_locked  # type: ignore[method-assign]
        self.seed = seed
        self.simulation = simulation
        self.is_collecting = collect
        self._is_counting = False  # whether the engine has made its steps already and Mesa only counts them
        self._is_collecting_later = False
        self._know_cells()
        self._forget()
        self._live = LiveAgents(self)
        self._live_by_type: dict[type[MarrowCell], LiveAgents] = {t: LiveAgents(self, t) for t in AGENT_TYPES}
        self.grid = LatticeGrid(self)
        self.datacollector = DataCollector(model_reporters=reporters())
        self._collect()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock = threading.RLock()

    # ---- time

    def step(self) -> None:
        """Let one step pass (`simulation.settings.step_h` hours), and at the end of a day the rules in plain Python."""
        if self._is_counting:
            return
        with self.lock:
            self.simulation.advance(1)
            self._call_rules()
            if not self._is_collecting_later:
                self._collect()

    def _step_locked(self) -> None:
        with self.lock:
            self._count_and_step()

    def advance(self, hours: float) -> None:
        """Let many steps pass in one compiled call, or in one a day where there are rules in plain Python.

        Data are collected once, at the end. What has been scheduled on Mesa's own clock in the meantime runs at its time, but meets the
        marrow of the end. A model whose class has a `step` of its own is asked for it until the time has passed.

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
            if type(self).step is not TumourModel.step:
                self._make_each(n_steps)
            else:
                for n in self._days(n_steps) if self.rules else (n_steps,):
                    self.simulation.advance(n)
                    self._count(n)
                    self._call_rules()
            self._collect()

    def _make_each(self, n_steps: int) -> None:
        """Call a `step` that somebody has written until so many steps of the engine have passed, and collect nothing meanwhile.

        Raises:
            InputError: Where as many calls as that let no step pass.
        """
        end = self.simulation.step + n_steps
        self._is_collecting_later = True
        try:
            idle = 0
            while self.simulation.step < end:
                before = self.simulation.step
                self.step()
                idle = idle + 1 if self.simulation.step == before else 0
                if idle > n_steps:
                    raise InputError(
                        f"{type(self).__name__}.step was called {idle} times and no time has passed; let it call super().step()"
                    )
        finally:
            self._is_collecting_later = False

    def _days(self, n_steps: int) -> Iterator[int]:
        """Steps to the end of each day, the rest last."""
        while n_steps > 0:
            n = min(n_steps, self._per_day - self._steps_treated % self._per_day)
            yield n
            n_steps -= n

    def _count(self, n_steps: int) -> None:
        """Let Mesa count steps that the engine has made."""
        self._is_counting = True
        try:
            for _ in range(n_steps):
                self.step()
        finally:
            self._is_counting = False

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Rules in plain Python, each called with the model at the end of every day of treatment."""
        return self.simulation.settings.catalogue.rules

    @property
    def _per_day(self) -> int:
        return round(HOURS_PER_DAY / self.simulation.settings.step_h)

    @property
    def _steps_treated(self) -> int:
        return self.simulation.step - self.simulation.treated_from

    def _call_rules(self) -> None:
        """Call the rules where a day has just ended, each with dice of its own for that day, whatever was thrown before."""
        if not self.rules or self._steps_treated % self._per_day:
            return
        causes = self.simulation.settings.catalogue.causes
        before: Any = self.random.getstate(), getattr(self, "rng")  # noqa: B009 - Mesa makes it without a type
        try:
            for rule in self.rules:
                seed = int(stream_key(self.simulation.key, crc32(rule.name.encode()), self.simulation.step))
                self.random.seed(seed)
                self.rng = np.random.default_rng(seed)
                self._cause = causes[rule.name]
                try:
                    rule.function(self)
                except MemoryError:
                    raise
                except Exception as error:  # the fault of the rule, in whichever patient it shows
                    raise BrokenMechanism(tell_failure(rule, self.day, error)) from error
        finally:
            self._cause = None
            self.random.setstate(before[0])
            self.rng = before[1]

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
    def agents(self) -> LiveAgents:
        """All cells."""
        return self._live

    @property
    def agents_by_type(self) -> dict[type[MarrowCell], LiveAgents]:
        """The cells of each type; all types are there, whether or not a cell is."""
        return self._live_by_type

    @property
    def agent_types(self) -> list[type[MarrowCell]]:
        """The classes of all types of cells."""
        return list(AGENT_TYPES)

    def observe(self, *signal: Any) -> Any:
        """The marrow now, as a row of a table (`simulation.observe`); names carry their units.

        With arguments it is Mesa's own method of that name, which subscribes to signals (from version 3.5 on).
        """
        if signal:
            return super().observe(*signal)
        with self.lock:
            return self.simulation.observe()

    def cells_frame(self) -> "pd.DataFrame":
        """All cells as a table, one row each in order of birth; what a type does not have is missing.

        Units and meanings stand in `attrs`, and in docs/columns.md under `cells_frame()`.
        """
        import pandas as pd

        with self.lock:
            marrow, agents = self.simulation.marrow, self._live
            sites, kind = agents.sites(), agents.column("kind")
            codes: Any = (kind.astype(np.int8) - 1).tolist()
            names: Any = [t.__name__ for t in AGENT_TYPES]
            types: Any = pd.Categorical.from_codes(codes, names)
            columns: dict[str, Any] = {"unique_id": agents.column("unique_id"), "type": types}
            columns |= {"x": agents.column("x"), "y": agents.column("y"), "born_h": agents.column("born")}
            for name, title in FRAME_COLUMNS.items():
                rules = {t.kind: attributes(t)[name] for t in AGENT_TYPES if name in attributes(t)}
                has = np.isin(kind, list(rules))
                columns[title] = with_gaps(next(iter(rules.values())).read(marrow, sites[has]), has)
            return annotate(pd.DataFrame(columns), FRAME_HEADINGS)

    # ---- Mesa's own registry, which has nothing to register

    def register_agent(self, agent: Any) -> NoReturn:
        """Refuse: cells are made by their classes and stand in the marrow."""
        raise TypeError("a marrow holds cells of its own types only; make one of them")

    def deregister_agent(self, agent: MarrowCell) -> None:
        """Take a cell out of the marrow."""
        agent.remove()

    def remove_all_agents(self) -> None:
        """Take all cells out of the marrow."""
        self._live.do("remove")
