"""One patient's marrow under one regimen: made, grown until the disease is eligible, forked into arms, advanced.

This is the engine without a face: arrays and compiled steps. `model.TumourModel` shows it to Mesa, `trial` runs many of them.
"""

import hashlib
import math
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.declare import Filled, Origin, fill, notes
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.mechanism import by_drug
from tme_abm.foundation.pinned import pin
from tme_abm.foundation.rng import Stream, patient_key, stream_key
from tme_abm.marrow import burden, clones, fate, serum
from tme_abm.marrow.antigen import SLAMF7_SITES, Antigen
from tme_abm.marrow.cells import N_CAUSES, N_TYPES, Cause, CellType
from tme_abm.marrow.clones import CLONE_NAMES, N_CLONES, N_CLONOTYPES, N_REACTIVE, Clones, clone_fractions
from tme_abm.marrow.contact import MOST_GRANZYME
from tme_abm.marrow.fate import VISIBLE
from tme_abm.marrow.genesis import CELLULARITY, INTERSTITIAL, NUCLEATED_CELLS, Composition, deal_clones, deal_clonotypes, populate, room
from tme_abm.marrow.lattice import make_lattice
from tme_abm.marrow.state import CROWD, Gauge, Host, Marrow, Tick, copy_marrow, make_drugs, make_marrow
from tme_abm.marrow.traits import load_traits
from tme_abm.mechanisms import BY_NAME, MECHANISMS, nk_activation, suppression, t_cell_recovery, trogocytosis
from tme_abm.mechanisms.adenosine import TYPICAL_CD38
from tme_abm.mechanisms.step import Rules, Switches, advance
from tme_abm.patient import Population, VirtualPatient, draw_patient
from tme_abm.pharmacology.body import Body as Physique
from tme_abm.pharmacology.course import Course, Exposure
from tme_abm.pharmacology.drug import Drug
from tme_abm.pharmacology.regimen import Regimen

UNTREATED = Regimen("untreated", "untreated", 28, ())
START = 1.4  # disease is made at 1 / START of the burden at which it becomes eligible
RISE = 1.25  # M-protein at eligibility over that at the start: measurable and progressing
LONGEST_GROWTH_DAYS = 730.0
MOST_SCREENED = 25  # candidates for one place in a study, before it is given up
M_PROTEIN_HALF_LIFE_DAYS = {"IgG": (21.0, 11.0), "IgA": (5.5, 5.5), "light chain": (0.25, 0.25)}  # [d] willrich2016, grade M
FLOORS = {"inheritance": fate.Params, "burden": burden.Params, "clones": clones.Params}  # parameters that no mechanism owns

FIXED = {  # numbers that no study changes
    f"fixed.{name}": Origin(value, unit, meaning, source, grade)
    for name, value, unit, meaning, source, grade in (
        ("cellularity", CELLULARITY, "1", "sites of the patch that marrow cells can fill", "tme_abm", "M"),
        ("nucleated_cells", NUCLEATED_CELLS, "cells", "nucleated cells of the whole marrow", "poels2025", "V"),
        ("interstitial", INTERSTITIAL, "1", "plasma cells that lie scattered at the start, the others in nests", "tme_abm", "M"),
        ("start", START, "1", "burden at eligibility over that at which disease is made", "tme_abm", "A"),
        ("rise", RISE, "1", "M-protein at eligibility over that at the start", "kumar2016", "M"),
        ("igg_half_life_low", M_PROTEIN_HALF_LIFE_DAYS["IgG"][0], "d", "half-life of IgG where there is little", "willrich2016", "M"),
        ("igg_half_life_high", M_PROTEIN_HALF_LIFE_DAYS["IgG"][1], "d", "half-life of IgG where there is much", "willrich2016", "M"),
        ("iga_half_life", M_PROTEIN_HALF_LIFE_DAYS["IgA"][0], "d", "half-life of IgA", "willrich2016", "M"),
        ("light_chain_half_life", M_PROTEIN_HALF_LIFE_DAYS["light chain"][0], "d", "half-life of free light chains", "willrich2016", "M"),
        ("igg_half_saturation", serum.HALF_SATURATION, "g/L", "IgG at which its rescue by FcRn is half saturated", "willrich2016", "M"),
        ("slamf7_sites", SLAMF7_SITES, "sites/cell", "SLAMF7 of a plasma cell", "hsi2008: alike in all, the number from memory", "M-low"),
        ("cd38_recovery", trogocytosis.RECOVERY, "1/h", "turnover of CD38", "li2021", "V"),
        ("cd16_recovery", nk_activation.RECOVERY, "1/h", "return of CD16 after shedding", "tme_abm", "M-low"),
        ("crowd", CROWD, "1", "most effectors of a kind, by potency, that can engage one plasma cell at once", "tme_abm", "A"),
        ("most_granzyme", MOST_GRANZYME, "1", "granzyme of a fresh cell stimulated by an IMiD", "tme_abm", "A"),
        ("reactive_t_cells", N_REACTIVE / N_CLONOTYPES, "1", "clonotypes that see the tumour", "tme_abm", "A"),
        ("burden_correction", burden.CORRECTION_H, "h", "time constant with which a visible clone corrects its burden", "tme_abm", "A"),
        ("visible", VISIBLE, "cells", "cells of a clone in the patch from which on its rates are read off the patch", "tme_abm", "A"),
    )
}


@dataclass(frozen=True)
class Settings:
    """The patch, the step and the rules of a study.

    Attributes:
        height: Rows of the patch [sites of 12 um].
        width: Columns of the patch [sites].
        step_h: Length of a step [h]; divides a day.
        without: Names of mechanisms that are switched off from the start of treatment.
        parameters: Values of this study, mechanism -> parameter -> {value, unit, source, grade}.

    Raises:
        InputError: For a step that does not divide a day, an unknown mechanism, or a wrong parameter.
    """

    height: int = 64
    width: int = 64
    step_h: float = 6.0
    without: frozenset[str] = frozenset()
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot run."""
        if not 0.0 < self.step_h <= HOURS_PER_DAY or abs(HOURS_PER_DAY / self.step_h % 1.0) > 1e-9:
            raise InputError(f"a step of {self.step_h:g} h does not divide a day")
        for name in self.without:
            if name not in BY_NAME:
                raise InputError(f"unknown mechanism '{name}'{did_you_mean(name, BY_NAME)}")
        self.fill()

    def fill(self) -> dict[str, Filled]:
        """The parameters that hold for all patients and drugs: mechanism -> Filled."""
        blocks = {m.name: m.Params for m in MECHANISMS if not m.by_drug} | FLOORS
        for name in self.parameters:
            if name not in blocks:
                hint = " (its coefficients belong to a drug)" if name in BY_NAME else did_you_mean(name, blocks)
                raise InputError(f"parameters.{name}: no such block of parameters{hint}")
        return {name: fill(block, self.parameters.get(name), f"parameters.{name}") for name, block in blocks.items()}

    def origins(self) -> dict[str, Origin]:
        """Every parameter that holds for all patients and drugs, by name, with its origin."""
        rows = {f"{block}.{name}": o for block, filled in self.fill().items() for name, o in filled.origins.items()}
        return rows | {f"cell_types.{name}": o for name, o in load_traits().origins.items()} | FIXED


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
        self.marrow = found(patient, settings, self._filled, self.key)
        fate.take_roster(self.pinned)

    def _take(self, regimen: Regimen, drugs: Mapping[str, Drug], without: frozenset[str]) -> None:
        self.regimen = regimen
        self.without = without
        self.course = Course(regimen, tuple(drugs.values()), self._body(), self.key)
        self.rules = make_rules(self._filled, self.course.drugs)
        self.on = make_switches(without)

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
        """The one who is treated, as pharmacology sees her."""
        return physique(self.patient)

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
            RuntimeError: Where a hazard exceeded its declared ceiling, which would make the draws wrong.
        """
        exposure = self.course.advance(n_steps, self.settings.step_h)
        advance(self.pinned, self._pin("rules"), self._pin("on"), exposure, Tick(float(self.settings.step_h), self.step, self.key))
        self.step += n_steps
        if self.marrow.body.gauge[Gauge.VIOLATIONS] > 0.0:
            raise RuntimeError("a hazard exceeded the ceiling that its mechanism declares")
        return exposure

    def grow(self) -> bool:
        """Let the untreated disease grow until it is eligible: M-protein at the patient's level and risen by a quarter.

        Returns:
            False where it is not eligible within two years, as in a patient whose T cells hold it (a screen failure).
        """
        per_week = round(7 * HOURS_PER_DAY / self.settings.step_h)
        start = self.m_protein
        while self.hour < LONGEST_GROWTH_DAYS * HOURS_PER_DAY:
            self.advance(per_week)
            if self.m_protein >= max(self.patient.m_protein_g_per_l, RISE * start):
                set_division(self.marrow, self.patient, self._filled)  # there is less room now than at the start
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
        return twin

    def switch(self, mechanism: str, is_on: bool) -> None:
        """Switch a mechanism on or off from now on.

        Raises:
            InputError: For an unknown mechanism.
        """
        if mechanism not in BY_NAME:
            raise InputError(f"unknown mechanism '{mechanism}'{did_you_mean(mechanism, BY_NAME)}")
        self.without = self.without - {mechanism} if is_on else self.without | {mechanism}
        self.on = self.on._replace(**{mechanism: is_on})

    def state_hash(self) -> str:
        """Digest of all cells and of the systemic state."""
        digest = hashlib.blake2b(digest_size=16)
        for column in self.marrow.cells:
            digest.update(column.tobytes())
        body = self.marrow.body
        for array in (body.burden, body.gauge, body.ledger):
            digest.update(array.tobytes())
        return digest.hexdigest()

    def observe(self) -> dict[str, float]:
        """The marrow now, as a row of a table; names carry their units, deaths count from the start of the regimen."""
        return observe(self.marrow)


def make_rules(filled: Mapping[str, Filled], drugs: Sequence[Drug]) -> Rules:
    """The parameters of all mechanisms as the kernels take them; those that drugs bring, in the order of `drugs`."""
    blocks: dict[str, Any] = {name: block.params for name, block in filled.items()}
    for m in MECHANISMS:
        if m.by_drug:
            blocks[m.name] = by_drug(m, [(i, d.effects[m.name].params) for i, d in enumerate(drugs) if m.name in d.effects])
    fields: tuple[str, ...] = Rules._fields
    return Rules._make(blocks[name] for name in fields)


def make_switches(without: Collection[str]) -> Switches:
    """Which mechanisms act: all but those named."""
    return Switches._make(m.name not in without for m in MECHANISMS)


def antigens(drugs: Sequence[Drug]) -> list[int]:
    """What each drug binds, as `make_drugs` takes it."""
    return [int(Antigen[d.antigen]) if d.antigen else -1 for d in drugs]


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


def observe(marrow: Marrow) -> dict[str, float]:
    """What can be read off a marrow, as a row of a table."""
    body, cells, gauge = marrow.body, marrow.cells, marrow.body.gauge
    by_type = np.bincount(cells.kind, minlength=N_TYPES)
    row: dict[str, float] = {f"{t.name.lower()}_cells": int(by_type[t]) for t in CellType if t is not CellType.EMPTY}
    tumour = float(body.burden.sum())
    row["plasma_fraction"] = min(1.0, tumour / NUCLEATED_CELLS)
    row["tumour_cells_total"] = tumour
    for clone, name in enumerate(CLONE_NAMES):
        row[f"clone_{name}"] = float(body.burden[clone])
    row["adenosine"] = float(marrow.fields.adenosine.mean())
    row["il6"] = float(marrow.fields.il6.mean())
    row["chemokine"] = float(marrow.fields.chemokine.mean())
    row["m_protein_g_per_l"] = float(gauge[Gauge.M_PROTEIN])
    is_t, is_nk = cells.kind == CellType.T, cells.kind == CellType.NK
    for name, chosen in (("t_cell", is_t), ("nk", is_nk)):
        n = max(int(chosen.sum()), 1)
        row[f"{name}_activity"] = float(cells.activity[chosen].sum()) / n
        row[f"{name}_granzyme"] = float(cells.granzyme[chosen].sum()) / n
    row["t_cell_clonality"] = clonality(cells.clone[is_t])
    row["reactive_t_cells"] = int((cells.clone[is_t] < N_REACTIVE).sum())
    row["nk_armed"] = float(gauge[Gauge.NK_ARMED])
    is_plasma = cells.kind == CellType.PLASMA
    row["cd38_sites_per_cell"] = float(np.median(surface_cd38(marrow, is_plasma))) if is_plasma.any() else math.nan
    for cause in Cause:
        if cause < N_CAUSES:
            row[f"deaths_{cause.name.lower()}"] = int(body.ledger[CellType.PLASMA, cause])
    for t in (CellType.NK, CellType.TREG, CellType.BREG, CellType.MDSC, CellType.T):
        row[f"{t.name.lower()}_lost_to_antibody"] = int(body.ledger[t, Cause.DEPLETION] + body.ledger[t, Cause.FRATRICIDE])
    return row


def surface_cd38(marrow: Marrow, sites: Any) -> np.ndarray:
    """CD38 on the surface of the cells of some sites now [sites/cell], after trogocytosis and what their clones make of a drug."""
    cells, rule = marrow.cells, fate.surface_cd38.py_func  # type: ignore[attr-defined]
    share = np.array([[rule(marrow, kind, clone, 1.0) for clone in range(N_CLONES)] for kind in range(N_TYPES)])
    kind = cells.kind[sites]
    return np.asarray(cells.cd38[sites] * share[kind, np.where(kind == CellType.PLASMA, cells.clone[sites], 0)])


def clonality(clonotypes: np.ndarray) -> float:
    """Clonality of T cells: 1 minus the normalised Shannon entropy of their clonotypes, 0 even to 1 a single one.

    Args:
        clonotypes: (n_cells,) clonotype of each T cell.
    """
    share = np.bincount(clonotypes, minlength=N_CLONOTYPES) / max(clonotypes.size, 1)
    share = share[share > 0.0]
    if share.size < 2:
        return 0.0 if share.size == 0 else 1.0
    return float(1.0 + (share * np.log(share)).sum() / math.log(min(N_CLONOTYPES, clonotypes.size)))


def physique(patient: VirtualPatient) -> Physique:
    """The patient as pharmacology sees her."""
    return Physique(
        age=float(patient.age),
        weight_kg=float(patient.weight_kg),
        bsa_m2=float(patient.bsa_m2),
        is_female=patient.sex == "female",
        albumin_g_per_l=float(patient.albumin_g_per_l),
        b2m_mg_per_l=float(patient.b2m_mg_per_l),
        creatinine_clearance_ml_per_min=float(patient.creatinine_clearance),
        is_igg=patient.ig_type == "IgG",
        m_protein_g_per_l=float(patient.m_protein_g_per_l),
    )


def found(patient: VirtualPatient, settings: Settings, filled: Mapping[str, Filled], key: int) -> Marrow:
    """Make a patient's marrow: composition, clones, fields and rates such that it is hers at eligibility.

    Raises:
        InputError: Where the patch cannot hold what the patient's marrow contains.
    """
    traits = load_traits().traits
    lattice = make_lattice(settings.height, settings.width)
    n_sites = settings.height * settings.width
    nucleated = CELLULARITY * n_sites
    target = np.zeros(N_TYPES)
    target[CellType.PLASMA] = patient.plasma_fraction * nucleated
    target[CellType.T] = patient.t_cell_fraction * nucleated
    target[CellType.NK] = patient.nk_to_plasma_ratio * target[CellType.PLASMA]
    target[CellType.TREG] = patient.treg_fraction * nucleated
    target[CellType.BREG] = patient.breg_fraction * nucleated
    target[CellType.MDSC] = patient.mdsc_fraction * nucleated
    target[CellType.MACROPHAGE] = patient.macrophage_fraction * nucleated
    # so many stromal cells that the patient's share of sites has one among its eight neighbours
    target[CellType.STROMA] = (1.0 - (1.0 - min(patient.adherent_fraction, 0.9)) ** 0.125) * n_sites
    fractions = clone_fractions(
        patient.imid_resistant_fraction,
        patient.pi_resistant_fraction,
        patient.antibody_escape_fraction,
        filled["clones"].params.cross_resistance,
    )
    count = np.round(target).astype(np.int64)
    count[CellType.PLASMA] = max(1, round(target[CellType.PLASMA] / START))
    if count.sum() > 0.97 * n_sites:
        raise InputError(f"patient {patient.index}: {count.sum()} cells do not fit on a patch of {n_sites} sites")
    composition = Composition(count, deal_clones(fractions, int(count[CellType.PLASMA]), int(stream_key(key, int(Stream.CLONES), 0))))

    per_cell = NUCLEATED_CELLS / nucleated
    eligible_burden = per_cell * target[CellType.PLASMA]
    slow, fast = (HOURS_PER_DAY * d for d in M_PROTEIN_HALF_LIFE_DAYS[patient.ig_type])
    growth = patient.growth_rate / HOURS_PER_DAY
    load = target[CellType.PLASMA] / n_sites
    exhaustion = min(patient.t_cell_exhaustion, 0.95)
    host = Host(
        burden_per_cell=per_cell,
        secretion=0.0,
        m_protein_half_life_low=slow,
        m_protein_half_life_high=fast,
        effector_fitness=float(patient.effector_fitness),
        nk_renewal=patient.nk_renewal_per_day / HOURS_PER_DAY,
        adenosine_cd38=0.0,
        adenosine_other=0.0,
        il6_source=0.0,
        chemokine_source=0.0,
        cd38_spread=float(patient.cd38_spread),
        exhaustion=exhaustion / (1.0 - exhaustion) / load,
        t_cell_division=0.0,
    )
    clearance = serum.clearance(patient.m_protein_g_per_l, host) + growth
    host = host._replace(secretion=patient.m_protein_g_per_l * clearance / eligible_burden)
    host = scale_fields(host, patient, target, filled, n_sites)

    marrow = make_marrow(lattice, inherit(patient, filled["clones"].params), traits, host, [])
    body = marrow.body
    body.target[:] = target
    body.burden[:] = fractions * eligible_burden / START
    body.gauge[Gauge.M_PROTEIN] = host.secretion * body.burden.sum() / clearance
    body.clone_niche[:] = patient.adherent_fraction
    populate(marrow, composition, key)
    activity = 1.0 / (1.0 + host.exhaustion * load)
    granzyme = activity * typical_restraint(patient, target, filled, n_sites)
    division = float(t_cell_recovery.rate(granzyme, load, 1.0, filled["t_cell_recovery"].params))
    fold, reactive = t_cell_recovery.settled(division, float(np.asarray(traits.renewal)[CellType.T]))
    marrow = marrow._replace(host=host._replace(t_cell_division=division))
    body.target[CellType.T] /= fold  # the rest divides in the marrow
    deal_clonotypes(pin(marrow), reactive, int(stream_key(key, int(Stream.PLACEMENT), 1)))
    equip(marrow, patient, filled, target, n_sites)
    return marrow


def inherit(patient: VirtualPatient, p: clones.Params) -> Clones:
    """What the clones of a patient pass on; their division is set once the marrow stands (`equip`)."""
    table = Clones(**{name: np.ones(N_CLONES, note.dtype) for name, note in notes(Clones).items()})
    table.cd38[:] = patient.cd38_sites
    table.complement_inhibitors[:] = patient.cip_level
    table.tp53_mutated[:] = patient.tp53_mutated
    by_tp53 = np.where(table.tp53_mutated == 1, p.tp53_drug_factor, 1.0)
    table.glucocorticoid_sensitivity[:] = patient.glucocorticoid_sensitivity
    table.escaped[:] = 0
    for clone in range(N_CLONES):
        if clone & clones.IMID_RESISTANT:
            table.imid_response[clone] = p.imid_residual
        if clone & clones.PROTEASOME_RESISTANT:
            table.proteasome_response[clone] = p.proteasome_residual
        if clone & (clones.IMID_RESISTANT | clones.PROTEASOME_RESISTANT):
            table.glucocorticoid_sensitivity[clone] *= p.glucocorticoid_residual
        if clone & clones.ANTIBODY_ESCAPED:
            table.escaped[clone] = 1
            table.complement_inhibitors[clone] *= p.escape_inhibitors
    table.imid_sensitivity[:] = patient.imid_sensitivity * by_tp53 * table.imid_response
    table.proteasome_sensitivity[:] = patient.proteasome_sensitivity * by_tp53 * table.proteasome_response
    return table


def scale_fields(
    host: Host, patient: VirtualPatient, target: np.ndarray, filled: Mapping[str, Filled], n_sites: int
) -> Host:
    """Set the sources so that the fields have the patient's means at eligibility: what is made equals what is cleared."""
    traits = load_traits().traits
    p = filled["adenosine"].params
    occupied = float(target.sum())
    cleared = occupied * p.clearance_cell + (n_sites - occupied) * p.clearance_free
    suppressed = min(patient.adenosine_suppression, 0.95)
    made = suppressed / (1.0 - suppressed) * cleared
    cd38 = traits.cd38 * np.exp(0.5 * traits.cd38_spread**2)
    cd38[CellType.PLASMA] = patient.cd38_sites * math.exp(0.5 * patient.cd38_spread**2)
    il6 = filled["interleukin6"].params.clearance * n_sites / float((target * traits.il6).sum())
    chemokine = filled["chemokine"].params.clearance * n_sites / float((target * traits.chemokine).sum())
    return host._replace(
        adenosine_cd38=made * patient.cd38_share / float((target * cd38 / TYPICAL_CD38).sum()),
        adenosine_other=made * (1.0 - patient.cd38_share) / float((target * traits.adenosine_other).sum()),
        il6_source=il6,
        chemokine_source=chemokine,
    )


def equip(
    marrow: Marrow, patient: VirtualPatient, filled: Mapping[str, Filled], target: np.ndarray, n_sites: int
) -> None:
    """Fill the effectors as far as this marrow lets them, and set division so that the disease grows at the patient's rate."""
    cells = marrow.cells
    load = target[CellType.PLASMA] / n_sites
    restraint = typical_restraint(patient, target, filled, n_sites)
    for kind, share in ((CellType.T, 1.0), (CellType.NK, filled["exhaustion"].params.nk_share)):
        chosen = cells.kind == kind
        cells.activity[chosen] = 1.0 / (1.0 + marrow.host.exhaustion * share * load)
        cells.granzyme[chosen] = cells.activity[chosen] * restraint
    set_division(marrow, patient, filled)


def set_division(marrow: Marrow, patient: VirtualPatient, filled: Mapping[str, Filled]) -> None:
    """Set the division of the clones so that, with the room that there is now, the disease grows at the patient's rate.

    Division makes up for apoptosis, for the toll of T cells at the composition of eligibility, and for the plasma cells that have
    no free neighbour. Later, the room may change: fast disease in a packed marrow slows down.
    """
    target = marrow.body.target
    n_sites = marrow.cells.kind.size
    load = target[CellType.PLASMA] / n_sites
    restraint = typical_restraint(patient, target, filled, n_sites)
    activity = 1.0 / (1.0 + marrow.host.exhaustion * load)
    fold, reactive = t_cell_recovery.settled(marrow.host.t_cell_division, float(np.asarray(marrow.traits.renewal)[CellType.T]))
    toll = filled["t_cell_killing"].params.lysis_rate * 9.0 / n_sites * target[CellType.T] * fold * reactive * activity * restraint
    gross = patient.growth_rate / HOURS_PER_DAY + filled["growth"].params.apoptosis + toll
    cost = filled["clones"].params.fitness_cost
    fitness = np.array([cost ** clone.bit_count() for clone in range(N_CLONES)])
    marrow.clones.division[:] = fitness * gross / max(room(pin(marrow)), 0.2)


def typical_restraint(patient: VirtualPatient, target: np.ndarray, filled: Mapping[str, Filled], n_sites: int) -> float:
    """Share of their lytic capacity that the effectors of a marrow of composition `target` (N_TYPES,) keep, in the mean."""
    suppressed = min(patient.adenosine_suppression, 0.95)
    suppressors = 9.0 / n_sites * float((target * load_traits().traits.suppression).sum())
    return float(suppression.restraint(suppressed / (1.0 - suppressed), suppressors, filled["suppression"].params))


def make_patient_key(seed: int, index: int) -> int:
    """Key of all chance of one patient of a study."""
    return int(patient_key(seed, index))
