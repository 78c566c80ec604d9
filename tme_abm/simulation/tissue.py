"""A marrow founded on the cells of a tissue section: who stands where is given, the rest of the patient is made around it.

Cells of a section lie at any distance from each other, those of the lattice one to a site. Each cell takes the site that its place falls
on or, where that is taken, the nearest free one; how many had to move, and how far, is told. All that a section does not show (clones,
CD38 where it was not stained, exhaustion, the sources of the fields) is that of the patient.
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from tme_abm.foundation.errors import InputError
from tme_abm.foundation.rng import Stream, stream_key, subkey, uniform
from tme_abm.marrow import roster
from tme_abm.marrow.cell_types import N_TYPES, CellType, records
from tme_abm.marrow.clones import N_CLONES
from tme_abm.marrow.lattice import NEIGHBOURS, SITE_UM, mark_niche
from tme_abm.marrow.seeding import CELLULARITY, deal_clones, deal_clonotypes, put
from tme_abm.marrow.state import Gauge, Marrow
from tme_abm.patients.patient import VirtualPatient
from tme_abm.simulation import onset
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation

Array = np.ndarray
FARTHEST = 5  # sites that a cell may be moved to find a free one; beyond, the section is denser than a lattice of such sites can be


class Section(NamedTuple):
    """Cells of a tissue section.

    Attributes:
        kind: (n_cells,) uint8, a `CellType` each.
        x_um: (n_cells,) place, x: along a row of the lattice, from column to column [um].
        y_um: (n_cells,) place, y: down a column, from row to row [um].
        clone: (n_cells,) clone of each plasma cell, -1 where unknown; None where it is of none.
        cd38: (n_cells,) CD38 [sites/cell], NaN where unknown; None where it is of none.
    """

    kind: Array
    x_um: Array
    y_um: Array
    clone: Array | None = None
    cd38: Array | None = None


class Placement(NamedTuple):
    """How the cells of a section came onto the lattice.

    Attributes:
        site: (n_cells,) site of each cell.
        moved: Cells whose own site was taken.
        farthest_um: Longest way that a cell was moved [um].
    """

    site: Array
    moved: int
    farthest_um: float

    def sentence(self) -> str:
        """The placement in words."""
        n = self.site.size
        if not self.moved:
            return f"{n} cells, each on the site that it lay on"
        return f"{n} cells, of which {self.moved} moved to the nearest free site, by {self.farthest_um:.0f} um at most"


def place(section: Section, height: int, width: int) -> Placement:
    """Give every cell of a section a site of its own.

    Cells take their sites in the order in which they are given; one that finds its own site taken goes to the nearest free one.

    Raises:
        InputError: For a place that is no number or outside of the lattice, or cells that lie denser than sites.
    """
    x, y = np.asarray(section.x_um, np.float64), np.asarray(section.y_um, np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError(f"cell {int(np.argmin(np.isfinite(x) & np.isfinite(y)))} has no place: its coordinates are no finite numbers")
    column, row = np.floor(x / SITE_UM).astype(np.int64), np.floor(y / SITE_UM).astype(np.int64)
    outside = (column < 0) | (column >= width) | (row < 0) | (row >= height)
    if outside.any():
        i = int(np.argmax(outside))
        size = f"{width * SITE_UM:g} x {height * SITE_UM:g} um"
        raise InputError(f"cell {i} at ({x[i]:g}, {y[i]:g}) um lies outside of a patch of {size}; {int(outside.sum())} cells do")
    ways = [(dy, dx) for dy in range(-FARTHEST, FARTHEST + 1) for dx in range(-FARTHEST, FARTHEST + 1) if dy or dx]
    taken = np.zeros((height, width), bool)
    site = np.zeros(x.size, np.int64)
    moved, farthest = 0, 0.0
    for i, (r, c) in enumerate(zip(row.tolist(), column.tolist(), strict=True)):
        if taken[r, c]:
            free = [
                (math.hypot((r + dy + 0.5) * SITE_UM - y[i], (c + dx + 0.5) * SITE_UM - x[i]), r + dy, c + dx)
                for dy, dx in ways
                if 0 <= r + dy < height and 0 <= c + dx < width and not taken[r + dy, c + dx]
            ]
            if not free:
                raise InputError(
                    f"cell {i} at ({x[i]:g}, {y[i]:g}) um finds no free site of {SITE_UM:g} um within {FARTHEST} sites; "
                    "the section is denser than one cell to a site: give a larger scale, or fewer cells"
                )
            way, r, c = min(free)
            moved, farthest = moved + 1, max(farthest, way)
        taken[r, c] = True
        site[i] = r * width + c
    return Placement(site, moved, farthest)


def on_tissue(patient: VirtualPatient, settings: Settings, key: int, section: Section) -> tuple[Simulation, Placement]:
    """A patient's untreated marrow whose cells are those of a section; it stands where treatment would begin.

    The section takes the place of what chance would lay out: the patient gets its composition and its share of the niche, so that the
    blood keeps it and the fields have the patient's means over it. The M-protein and all rates are the patient's.

    Args:
        patient: Whose marrow this is, but for its composition.
        settings: The patch, the step and the rules.
        key: The patient's key (`foundation.rng.patient_key`).
        section: The cells.

    Returns:
        The marrow, and how the cells came onto its lattice.

    Raises:
        InputError: As `place`; for an unknown kind or clone, a negative CD38, a section without plasma cells, or one so full that no
            marrow is like it.
    """
    kinds = np.asarray(section.kind, np.int64)
    known = [int(k) for k in CellType if k is not CellType.EMPTY]
    if not np.isin(kinds, known).all():
        i = int(np.argmax(~np.isin(kinds, known)))
        raise InputError(f"cell {i} is of kind {kinds[i]}, which does not exist")
    placement = place(section, settings.height, settings.width)
    count = np.bincount(kinds, minlength=N_TYPES)
    own = _composed(patient, count, settings.height * settings.width)
    simulation = Simulation(own, settings, key)
    marrow = simulation.marrow
    cells, body = marrow.cells, marrow.body
    filled = settings.fill()
    balance = onset.balance_at_eligibility(own, cells.kind.size, filled)
    shares = body.burden / body.burden.sum()
    for column in cells:
        column[:] = 0
    clones = np.zeros(kinds.size, np.int64)
    is_plasma = kinds == CellType.PLASMA
    clones[is_plasma] = _clones(section, is_plasma, shares, int(stream_key(key, int(Stream.CLONES), 1)))
    chance, rule = int(stream_key(key, int(Stream.PLACEMENT), 2)), put.py_func  # type: ignore[attr-defined]
    for site, kind, clone in zip(placement.site.tolist(), kinds.tolist(), clones.tolist(), strict=True):
        rule(marrow, site, kind, clone, subkey(chance, site))
    _stain(marrow, section, placement)
    onset.prime_effectors(marrow, balance)
    deal_clonotypes(simulation.pinned, balance.reactive, int(stream_key(key, int(Stream.PLACEMENT), 3)))
    mark_niche(marrow.lattice, cells.kind == CellType.STROMA)
    body.burden[:] = marrow.host.burden_per_cell * np.bincount(clones[is_plasma], minlength=N_CLONES)
    body.gauge[Gauge.M_PROTEIN] = own.m_protein_g_per_l
    for kind, record in records().items():
        if not isinstance(record.amount, str):  # of which all patients have alike: here as many as the section
            body.target[kind] = count[kind]
    onset.set_division(marrow, own, filled)
    roster.index_cells(simulation.pinned)
    return simulation, placement


def _composed(patient: VirtualPatient, count: Array, n_sites: int) -> VirtualPatient:
    """The patient with the composition of a section."""
    nucleated = CELLULARITY * n_sites
    n_plasma = int(count[CellType.PLASMA])
    if n_plasma == 0:
        raise InputError("the section holds no plasma cell, so that there is no disease to follow")
    full = sum(int(count[kind]) for kind, record in records().items() if record.of != "neighbourhoods") / nucleated
    if full > 1.0:
        raise InputError(
            f"the section fills {100.0 * CELLULARITY * full:.0f} % of the sites of the patch, a marrow {100.0 * CELLULARITY:g} % at most, "
            "the rest being fat and sinus; give a larger patch or a larger scale"
        )
    of = {"nucleated cells": nucleated, "plasma cells": n_plasma}
    quantities: dict[str, Any] = {}
    for kind, record in records().items():
        if isinstance(record.amount, str):
            if record.of == "neighbourhoods":
                share = 1.0 - (1.0 - count[kind] / n_sites) ** NEIGHBOURS  # the inverse of `lattice.density_for`
                quantities[record.amount] = min(onset.MOST_ADHERENT, share)
            else:
                quantities[record.amount] = count[kind] / of[record.of]
    try:
        own: dict[str, Any] = {name: float(value) for name, value in quantities.items()}
        return replace(patient, **own)
    except InputError as error:
        raise InputError(f"the composition of the section is no marrow's: {error}") from None


def _clones(section: Section, is_plasma: Array, shares: Array, key: int) -> Array:
    """The clone of each plasma cell: that of the section or, where it is unknown, one dealt by the patient's shares."""
    n = int(is_plasma.sum())
    given = np.full(n, -1) if section.clone is None else np.asarray(section.clone, np.int64)[is_plasma]
    if ((given < -1) | (given >= N_CLONES)).any():
        wrong = int(given[(given < -1) | (given >= N_CLONES)][0])
        raise InputError(f"a plasma cell is of clone {wrong}; there are 0 to {N_CLONES - 1}, and -1 for an unknown one")
    unknown = np.flatnonzero(given < 0)
    dealt = np.repeat(np.arange(N_CLONES), deal_clones(shares, unknown.size, key)) if unknown.size else np.zeros(0, np.int64)
    order = np.argsort([float(uniform(key, N_CLONES + int(i))) for i in unknown], kind="stable")
    clones = given.copy()
    clones[unknown[order]] = dealt
    return clones


def _stain(marrow: Marrow, section: Section, placement: Placement) -> None:
    """Write the CD38 of the cells for which the section tells it."""
    if section.cd38 is None:
        return
    cd38 = np.asarray(section.cd38, np.float64)
    given = np.isfinite(cd38)
    if (cd38[given] < 0.0).any():
        i = int(np.flatnonzero(given & (cd38 < 0.0))[0])
        raise InputError(f"cell {i} has a CD38 of {cd38[i]:g} sites; there are none below zero")
    marrow.cells.cd38[placement.site[given]] = cd38[given]
