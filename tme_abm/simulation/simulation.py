"""One patient's marrow under one regimen, and how a patient comes into a study."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import Annotated, Any, Self

import numpy as np

from tme_abm.batch import stopping
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.declare import Filled, Param
from tme_abm.foundation.pinned import pin
from tme_abm.foundation.rng import Stream, patient_key, stream_key
from tme_abm.marrow import fate, roster
from tme_abm.marrow.cells import N_CAUSES, N_EVENTS
from tme_abm.marrow.seeding import NUCLEATED_CELLS
from tme_abm.marrow.state import Gauge, Marrow, Tick, copy_marrow, make_drugs
from tme_abm.mechanisms.outside.catalogue import Catalogue
from tme_abm.mechanisms.step import Rules, Switches, advance
from tme_abm.patients.patient import VirtualPatient
from tme_abm.patients.population import Population, draw_patient
from tme_abm.pharmacology.body import Body as Physique
from tme_abm.pharmacology.course import Course, Exposure
from tme_abm.pharmacology.drug import Drug
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.simulation import compiling, onset
from tme_abm.simulation.observation import observe
from tme_abm.simulation.rules import gather_rules
from tme_abm.simulation.settings import RISE, Settings
from tme_abm.simulation.treatment import UNTREATED, antigens, physique

LONGEST_GROWTH_DAYS: Annotated[float, Param("d", "time within which the disease must become eligible", "tme_abm: two years", "A")] = 730.0
SCREENING_DAYS: Annotated[int, Param("d", "time between two looks whether the disease is eligible", "tme_abm: a week", "A")] = 7
MOST_SCREENED: Annotated[int, Param("1", "candidates for one place in a study, before it is given up", "tme_abm", "A")] = 25


class Simulation:
    """One patient's marrow under one regimen.

    Attributes:
        patient: Who.
        settings: The patch, the step and the rules.
        regimen: What is given.
        course: The regimen running, with the state of its kinetics.
        marrow: All arrays.
        step: Steps since the marrow was made.
        treated_from: Step at which the regimen began.
        levels: Drug -> plasma concentration, mean over the last step [ug/mL]; 0 before the first.
    """

    def __init__(self, patient: VirtualPatient, settings: Settings, key: int) -> None:
        """Make the marrow of an untreated patient, below the burden at which the disease is eligible.

        Args:
            patient: Who.
            settings: The patch, the step and the rules.
            key: The patient's key (`foundation.rng.patient_key`).
        """
        self.patient = patient
        self.settings = settings
        self.key = int(key)
        self.step = 0
        self.treated_from = 0
        self._pins: dict[str, tuple[Any, Any]] = {}
        self._filled = settings.fill()
        self._take(UNTREATED, {}, frozenset())
        self.marrow = onset.make(patient, settings, self._filled, self.key)
        roster.index_cells(self.pinned)

    def __getstate__(self) -> dict[str, Any]:
        """Without what holds addresses of this process."""
        return {name: value for name, value in vars(self).items() if name not in ("rules", "_held")} | {"_pins": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._take_rules()

    def _take(self, regimen: Regimen, drugs: Mapping[str, Drug], without: frozenset[str]) -> None:
        self.regimen = regimen
        self.without = without
        self.course = Course(regimen, tuple(drugs.values()), self._body(), self.key)
        self.levels = {drug.name: 0.0 for drug in self.course.drugs}
        self._take_rules()

    def _take_rules(self) -> None:
        """Write down the parameters of all mechanisms, and what the step calls of those from outside, for this marrow alone."""
        self.rules, self._held = make_rules(self.settings, self._filled, self.course.drugs, self.without)

    @property
    def pinned(self) -> Any:
        """The marrow as kernels are to get it."""
        return self._pin("marrow")

    def _pin(self, name: str) -> Any:
        """The bundle of an attribute as kernels are to get it, pinned once for each bundle."""
        bundle = getattr(self, name)
        known = self._pins.get(name)
        if known is None or known[0] is not bundle:
            known = self._pins[name] = (bundle, pin(bundle))
        return known[1]

    def _body(self) -> Physique:
        """What pharmacokinetics depend on in the patient."""
        return physique(self.patient)

    @property
    def on(self) -> Switches:
        """Which of the package's mechanisms are on."""
        switches: Switches = self.rules.on  # type: ignore[attr-defined]
        return switches

    @property
    def hour(self) -> float:
        """Hours since the marrow was made."""
        return self.step * self.settings.step_h

    @property
    def day(self) -> float:
        """Days since the regimen began."""
        return (self.step - self.treated_from) * self.settings.step_h / HOURS_PER_DAY

    @property
    def m_protein(self) -> float:
        """Serum M-protein [g/L]."""
        return float(self.marrow.body.gauge[Gauge.M_PROTEIN])

    @property
    def plasma_fraction(self) -> float:
        """Plasma cells among the nucleated cells of the whole marrow."""
        return min(1.0, float(self.marrow.body.burden.sum()) / NUCLEATED_CELLS)

    def advance(self, n_steps: int) -> Exposure:
        """Let `n_steps` steps pass.

        Returns:
            What the drugs reached in these steps.

        Raises:
            BrokenMechanism: Where a hazard of a mechanism from outside exceeded its ceiling, which would make the draws wrong.
            RuntimeError: Where one of the package did.
        """
        stopping.check()
        pieces: list[Exposure] = []
        left = n_steps
        while left > 0 or not pieces:
            pieces.append(self._advance(self.course.steps_to_look(left, self.settings.step_h)))
            left -= len(pieces[-1].concentration)
        exposure = pieces[0] if len(pieces) == 1 else Exposure(*map(np.concatenate, zip(*pieces, strict=True)))
        if n_steps > 0:
            self.levels = {drug.name: float(exposure.concentration[-1, i]) for i, drug in enumerate(self.course.drugs)}
        return exposure

    def _advance(self, n_steps: int) -> Exposure:
        """Let `n_steps` steps pass with kinetics that know of the disease as it is at their head."""
        step_h = self.settings.step_h
        self.course.look(self.m_protein, float(self.marrow.body.burden.sum()), step_h)
        exposure = self.course.advance(n_steps, step_h)
        advance(self.pinned, self._pin("rules"), exposure, Tick(float(step_h), self.step, self.key))
        self.step += n_steps
        check_ceilings(self.settings.catalogue, self.marrow, self.rules)
        return exposure

    def grow(self) -> bool:
        """Let the untreated disease grow until it is eligible: M-protein at the patient's level and risen by a quarter.

        Returns:
            False where it is not eligible within two years, as in a patient whose T cells hold it (a screen failure).
        """
        per_look = round(SCREENING_DAYS * HOURS_PER_DAY / self.settings.step_h)
        start = self.m_protein
        while self.hour < LONGEST_GROWTH_DAYS * HOURS_PER_DAY:
            self.advance(per_look)
            if self.m_protein >= max(self.patient.m_protein_g_per_l, RISE * start):
                onset.set_division(self.marrow, self.patient, self._filled)  # there is less room now than at the start
                return True
        return False

    def fork(self, regimen: Regimen, drugs: Mapping[str, Drug], without: frozenset[str] | None = None) -> Self:
        """The same marrow, about to begin a regimen; this one is untouched.

        Args:
            regimen: What is given from now on.
            drugs: At least the drugs of the regimen, by name.
            without: Mechanisms that are switched off from now on; those of the settings where it is left out.
        """
        twin = object.__new__(type(self))
        twin.patient, twin.settings, twin.key, twin.step = self.patient, self.settings, self.key, self.step
        twin.treated_from = self.step
        twin._pins, twin._filled = {}, self._filled
        twin._take(regimen, {name: drugs[name] for name in regimen.drugs}, self.settings.without if without is None else without)
        twin.marrow = copy_marrow(self.marrow)._replace(drugs=make_drugs(antigens(twin.course.drugs)))
        ledger = twin.marrow.body
        for counter in (ledger.ledger, ledger.clone_ledger, ledger.births):
            counter[:] = 0
        return twin

    def copy(self) -> "Simulation":
        """A simulation that stands where this one does, drugs included, and goes its own way from now on."""
        twin = copy(self)
        twin._pins = {}
        twin.marrow = copy_marrow(self.marrow)
        twin.course = self.course.fork()
        twin._take_rules()
        return twin

    def switch(self, mechanism: str, is_on: bool) -> None:
        """Switch a mechanism on or off from now on.

        Raises:
            InputError: For an unknown mechanism.
        """
        self.settings.catalogue.find(mechanism)
        self.without = self.without - {mechanism} if is_on else self.without | {mechanism}
        self._take_rules()

    def state_hash(self) -> str:
        """Digest of all cells and of the systemic state."""
        digest = hashlib.blake2b(digest_size=16)
        for column in self.marrow.cells:
            digest.update(column.tobytes())
        body = self.marrow.body
        inside, outside = slice(len(Gauge)), slice(len(Gauge), None)
        for array in (body.burden, body.gauge[inside], body.ledger[:, :N_CAUSES]):
            digest.update(array.tobytes())
        for array in (body.gauge[outside], body.ledger[:, N_EVENTS:]):  # of mechanisms from outside; nothing where there are none
            digest.update(array.tobytes())
        return digest.hexdigest()

    def observe(self) -> dict[str, float]:
        """The marrow now, as a row of a table; names carry their units, deaths count from the start of the regimen."""
        return observe(self.marrow, self.settings.catalogue.causes)


def make_rules(
    settings: Settings, filled: Mapping[str, Filled], drugs: Sequence[Drug], without: Collection[str]
) -> tuple[Rules, list[Any]]:
    """What a step is told (`rules.gather_rules`), and where its pieces are."""
    rules, held = gather_rules(settings, filled, drugs, without)
    return rules._replace(pieces=compiling.addresses()), held  # type: ignore[call-arg]


def check_ceilings(catalogue: Catalogue, marrow: Marrow, rules: Any) -> None:
    """Refuse a marrow in which a hazard exceeded its declared ceiling, which would make the draws wrong.

    Raises:
        BrokenMechanism: For one of a mechanism from outside.
        RuntimeError: For one of the package's own.
    """
    catalogue.blame(rules.outside)
    fate.refuse_violations(marrow)


def enrol(population: Population, settings: Settings, seed: int, index: int) -> tuple[Simulation, int]:
    """Draw candidates for one place in a study until one has measurable, progressing disease.

    Returns:
        The grown marrow and the number of candidates screened out before.

    Raises:
        RuntimeError: Where none of `MOST_SCREENED` candidates is eligible.
    """
    key = make_patient_key(seed, index)
    for attempt in range(MOST_SCREENED):
        patient = draw_patient(population, seed, index, attempt)
        simulation = Simulation(patient, settings, int(stream_key(key, int(Stream.SCREENING), attempt)) if attempt else key)
        if simulation.grow():
            return simulation, attempt
    raise RuntimeError(f"none of {MOST_SCREENED} candidates for place {index} has eligible disease")


def make_patient_key(seed: int, index: int) -> int:
    """Key of all chance of one patient of a study."""
    return int(patient_key(seed, index))
