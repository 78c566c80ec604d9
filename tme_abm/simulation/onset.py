"""Onset: a patient's marrow when the disease is made, such that at eligibility it is the patient's.

The patient says what a clinic would find: cells of each kind, M-protein, growth, how far T cells are exhausted and adenosine suppresses
them. What a kernel needs (sources of the fields, secretion of a plasma cell, division of T cells and of clones) follows from it by the
mechanisms' own steady states: each mechanism says in its file where its rule comes to rest, and this pipeline only asks, from top to
bottom of `make`. All that belongs to the patient is set at the composition of eligibility; the tumour itself starts at 1 / START of it.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.declare import Filled, Param, notes
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.pinned import pin
from tme_abm.foundation.rng import Stream, stream_key
from tme_abm.marrow import clones, serum
from tme_abm.marrow.cell_types import N_TYPES, CellType, records
from tme_abm.marrow.clones import N_CLONES, Clones, clone_fractions
from tme_abm.marrow.lattice import density_for, make_lattice
from tme_abm.marrow.secretion import balanced_source
from tme_abm.marrow.seeding import CELLULARITY, NUCLEATED_CELLS, Composition, deal_clones, deal_clonotypes, populate, share_with_space
from tme_abm.marrow.state import Gauge, Host, Marrow, make_marrow
from tme_abm.marrow.traits import having, load_traits
from tme_abm.mechanisms import adenosine, exhaustion, growth, suppression, t_cell_killing, t_cell_recovery
from tme_abm.patients.composition import amount
from tme_abm.patients.patient import VirtualPatient
from tme_abm.simulation.settings import START, Settings

MOST_FILLED: Annotated[float, Param("1", "share of the sites of a patch that cells may take, at most", "tme_abm", "A")] = 0.97
MOST_ADHERENT: Annotated[float, Param("1", "share of the sites that touch stroma, at most", "tme_abm", "A")] = 0.9
LEAST_ROOM: Annotated[
    float, Param("1", "share of the plasma cells with a free neighbour, as far as division makes up for the others", "tme_abm", "A")
] = 0.2


class Balance(NamedTuple):
    """The composition at eligibility, and where the mechanisms come to rest with it, in the mean."""

    n_sites: int  # of the patch
    target: np.ndarray  # (N_TYPES,) cells of each kind in the patch
    load: float  # plasma cells per site
    adenosine: float  # mean level [K(A2A)]
    exhaustion: float  # of T cells per plasma cell a site
    activity_t: float  # of a T cell, 0 to 1
    activity_nk: float  # of an NK cell, 0 to 1
    restraint: float  # share of their lytic capacity that effectors keep under adenosine and suppressors
    t_cell_division: float  # of a reactive T cell at its full share of cytokines [1/h]
    t_cell_fold: float  # T cells over what the blood alone would keep
    reactive: float  # share of the T cells that see the tumour


def make(patient: VirtualPatient, settings: Settings, filled: Mapping[str, Filled], key: int) -> Marrow:
    """Make a patient's marrow.

    Args:
        patient: Whose.
        settings: Size of the patch.
        filled: The parameters of all mechanisms (`Settings.fill`).
        key: Of the patient's chance.

    Raises:
        InputError: Where the patch cannot hold what the patient's marrow contains.
    """
    balance = balance_at_eligibility(patient, settings.height * settings.width, filled)
    host = describe_host(patient, balance, filled)
    fractions = divide_tumour(patient, filled["clones"].params)
    composition = count_cells(patient, balance, fractions, key)
    lattice = make_lattice(settings.height, settings.width)
    own = settings.catalogue.own
    marrow = make_marrow(lattice, inherit(patient, filled["clones"].params), load_traits().traits, host, [], own)
    set_body(marrow, patient, fractions, balance)
    populate(marrow, composition, key)
    deal_clonotypes(pin(marrow), balance.reactive, int(stream_key(key, int(Stream.PLACEMENT), 1)))
    prime_effectors(marrow, balance)
    set_division(marrow, patient, filled)
    return marrow


def compose(patient: VirtualPatient, n_sites: int) -> np.ndarray:
    """Say how many cells of each kind a patch holds at eligibility, (N_TYPES,), as their records count them."""
    nucleated = CELLULARITY * n_sites
    of = {"nucleated cells": nucleated, "plasma cells": amount(CellType.PLASMA, patient) * nucleated}
    target = np.zeros(N_TYPES)
    for kind, record in records().items():
        many = amount(kind, patient)
        target[kind] = density_for(min(many, MOST_ADHERENT)) * n_sites if record.of == "neighbourhoods" else many * of[record.of]
    return target


def balance_at_eligibility(patient: VirtualPatient, n_sites: int, filled: Mapping[str, Filled]) -> Balance:
    """Ask each mechanism where it comes to rest with what a patch of `n_sites` holds at eligibility."""
    target = compose(patient, n_sites)
    traits: Any = load_traits().traits
    load = float(target[CellType.PLASMA] / n_sites)
    level = adenosine.level(patient.adenosine_suppression)
    restraint = suppression.typical(level, target, traits.suppression, n_sites, filled["suppression"].params)
    per_cell = exhaustion.per_cell(patient.t_cell_exhaustion, load)
    activity_t, activity_nk = exhaustion.typical(load, per_cell, filled["exhaustion"].params)
    division = float(t_cell_recovery.rate(activity_t * restraint, load, 1.0, filled["t_cell_recovery"].params))
    fold, reactive = t_cell_recovery.settled(division, float(traits.renewal[CellType.T]))
    return Balance(n_sites, target, load, level, per_cell, activity_t, activity_nk, restraint, division, fold, reactive)


def describe_host(patient: VirtualPatient, balance: Balance, filled: Mapping[str, Filled]) -> Host:
    """What belongs to the patient and does not change: sources that keep the fields at their means, and secretion the M-protein."""
    traits: Any = load_traits().traits
    target, n_sites = balance.target, balance.n_sites
    slow, fast = (HOURS_PER_DAY * days for days in serum.HALF_LIFE_DAYS[patient.ig_type])
    cd38 = traits.cd38 * np.exp(0.5 * traits.cd38_spread**2)  # means of log-normal distributions
    cd38[CellType.PLASMA] = patient.cd38_sites * math.exp(0.5 * patient.cd38_spread**2)
    through_cd38, other = adenosine.sources(
        balance.adenosine, patient.cd38_share, (target, cd38, traits.adenosine_other), n_sites, filled["adenosine"].params
    )
    host = Host(
        burden_per_cell=NUCLEATED_CELLS / (CELLULARITY * n_sites),
        secretion=0.0,
        m_protein_half_life_low=slow,
        m_protein_half_life_high=fast,
        effector_fitness=float(patient.effector_fitness),
        nk_renewal=patient.nk_renewal_per_day / HOURS_PER_DAY,
        adenosine_cd38=through_cd38,
        adenosine_other=other,
        il6_source=balanced_source(filled["interleukin6"].params.clearance, target, traits.il6, n_sites),
        chemokine_source=balanced_source(filled["chemokine"].params.clearance, target, traits.chemokine, n_sites),
        cd38_spread=float(patient.cd38_spread),
        exhaustion=balance.exhaustion,
        t_cell_division=balance.t_cell_division,
    )
    tumour = host.burden_per_cell * target[CellType.PLASMA]
    return host._replace(secretion=serum.secretion(patient.m_protein_g_per_l, tumour, patient.growth_rate / HOURS_PER_DAY, host))


def divide_tumour(patient: VirtualPatient, p: clones.Params) -> np.ndarray:
    """Fractions of the tumour (N_CLONES,)."""
    resistant = patient.imid_resistant_fraction, patient.pi_resistant_fraction, patient.antibody_escape_fraction
    return clone_fractions(*resistant, p.cross_resistance)


def count_cells(patient: VirtualPatient, balance: Balance, fractions: np.ndarray, key: int) -> Composition:
    """Whole cells with which the patch starts, with a tumour smaller than at eligibility.

    Raises:
        InputError: Where they do not fit.
    """
    count = np.round(balance.target).astype(np.int64)
    n_plasma = count[CellType.PLASMA] = max(1, round(balance.target[CellType.PLASMA] / START))
    if count.sum() > MOST_FILLED * balance.n_sites:
        raise InputError(f"patient {patient.index}: {count.sum()} cells do not fit on a patch of {balance.n_sites} sites")
    return Composition(count, deal_clones(fractions, n_plasma, int(stream_key(key, int(Stream.CLONES), 0))))


def inherit(patient: VirtualPatient, p: clones.Params) -> Clones:
    """What the clones of a patient pass on; their division is set once the marrow stands (`set_division`)."""
    table = Clones(**{name: np.ones(N_CLONES, note.dtype) for name, note in notes(Clones).items()})
    table.cd38[:] = patient.cd38_sites
    table.complement_inhibitors[:] = patient.complement_inhibitor_level
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


def set_body(marrow: Marrow, patient: VirtualPatient, fractions: np.ndarray, balance: Balance) -> None:
    """Set what concerns the whole patient: what the blood keeps, the tumour's burden, and the M-protein that goes with it."""
    body, host = marrow.body, marrow.host
    body.target[:] = balance.target
    body.target[CellType.T] /= balance.t_cell_fold  # the rest divides in the marrow
    body.burden[:] = fractions * (host.burden_per_cell * balance.target[CellType.PLASMA]) / START
    rate = serum.turnover(patient.m_protein_g_per_l, patient.growth_rate / HOURS_PER_DAY, host)
    body.gauge[Gauge.M_PROTEIN] = host.secretion * body.burden.sum() / rate
    body.clone_niche[:] = patient.adherent_fraction


def prime_effectors(marrow: Marrow, balance: Balance) -> None:
    """Give T and NK cells the activity and the granzyme that such a marrow lets them keep."""
    cells = marrow.cells
    for kind in having(marrow.traits.is_exhaustible):
        cells.activity[cells.kind == kind] = balance.activity_nk if kind == CellType.NK else balance.activity_t
    lytic = np.isin(cells.kind, having(marrow.traits.is_lytic))
    cells.granzyme[lytic] = cells.activity[lytic] * balance.restraint


def set_division(marrow: Marrow, patient: VirtualPatient, filled: Mapping[str, Filled]) -> None:
    """Set the division of the clones so that, with the room that there is now, the disease grows at the patient's rate.

    Division makes up for apoptosis, for the toll of T cells at the composition of eligibility, and for the plasma cells that have
    no free neighbour. Later, the room may change: fast disease in a packed marrow slows down.
    """
    balance = balance_at_eligibility(patient, marrow.cells.kind.size, filled)
    toll = t_cell_killing.toll(
        marrow.body.target[CellType.T],
        (balance.t_cell_fold, balance.reactive, balance.activity_t, balance.restraint),
        balance.n_sites,
        filled["t_cell_killing"].params,
    )
    gross = growth.gross(patient.growth_rate / HOURS_PER_DAY, toll, filled["growth"].params)
    marrow.clones.division[:] = clones.fitness(filled["clones"].params) * gross / max(share_with_space(pin(marrow)), LEAST_ROOM)
