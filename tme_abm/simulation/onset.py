"""Onset: a patient's marrow at eligibility, with its composition, clones, fields and rates."""

import math
from collections.abc import Mapping

import numpy as np

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.declare import Filled, notes
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.pinned import pin
from tme_abm.foundation.rng import Stream, stream_key
from tme_abm.marrow import clones, serum
from tme_abm.marrow.cells import N_TYPES, CellType
from tme_abm.marrow.clones import N_CLONES, Clones, clone_fractions
from tme_abm.marrow.lattice import make_lattice
from tme_abm.marrow.seeding import CELLULARITY, NUCLEATED_CELLS, Composition, deal_clones, deal_clonotypes, populate, room
from tme_abm.marrow.state import Gauge, Host, Marrow, make_marrow
from tme_abm.marrow.traits import load_traits
from tme_abm.mechanisms import suppression, t_cell_recovery
from tme_abm.mechanisms.adenosine import TYPICAL_CD38
from tme_abm.patients.patient import VirtualPatient
from tme_abm.simulation.settings import M_PROTEIN_HALF_LIFE_DAYS, START, Settings


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


def scale_fields(host: Host, patient: VirtualPatient, target: np.ndarray, filled: Mapping[str, Filled], n_sites: int) -> Host:
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


def equip(marrow: Marrow, patient: VirtualPatient, filled: Mapping[str, Filled], target: np.ndarray, n_sites: int) -> None:
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
