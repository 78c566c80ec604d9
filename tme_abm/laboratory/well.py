"""A well: cells in given numbers at constant drug concentrations for given hours, under the very kernels and parameters of a marrow.

A well is closed: nothing arrives from the blood or goes back to it, T cells do not divide, and plasma cells only where the
experiment says so. What the cells are is the donor's, a virtual patient; what the experiment wants otherwise of the plasma cells
(`vocabulary.LINE`) replaces it. Sources of adenosine and the like stay the donor's for each cell, so a line with more CD38 makes
more adenosine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, NamedTuple

import numpy as np

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.declare import Filled, Param
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.jit import kernel
from tme_abm.foundation.pinned import pin
from tme_abm.foundation.rng import Stream, stream_key, subkey
from tme_abm.marrow import roster
from tme_abm.marrow.cell_types import records
from tme_abm.marrow.cells import Cause, CellType
from tme_abm.marrow.lattice import make_lattice
from tme_abm.marrow.seeding import lay_niche, scatter
from tme_abm.marrow.state import Gauge, Host, Marrow, Tick, make_marrow
from tme_abm.marrow.traits import having, load_traits
from tme_abm.mechanisms import adenosine, growth
from tme_abm.mechanisms.step import advance
from tme_abm.patients.patient import VirtualPatient
from tme_abm.pharmacology.compartments import Exposure
from tme_abm.pharmacology.drug import Drug
from tme_abm.simulation.observation import surface_cd38
from tme_abm.simulation.onset import balance_at_eligibility, describe_host, inherit
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import check_ceilings, make_rules
from tme_abm.simulation.treatment import antigens

# mechanisms that a well does not have, growth unless asked for
CLOSED = frozenset({"recruitment", "turnover", "growth", "t_cell_recovery"})
PLASMA = int(CellType.PLASMA)
MOST_FILLED: Annotated[float, Param("1", "share of the sites of a well that cells may take", "tme_abm", "A")] = 0.9


@dataclass(frozen=True)
class Well:
    """What is pipetted together.

    Attributes:
        cells: Name of a cell type -> number of cells.
        line: What the plasma cells are, where not the donor's: a quantity of `vocabulary.LINE` -> value.
        drugs: Drug -> concentration of an antibody [ug/mL], or engaged fraction of the target of a small molecule.
        hours: How long [h].
        without: Mechanisms that are not at work.
        is_growing: Whether plasma cells divide and die by themselves.
    """

    cells: Mapping[str, int]
    hours: float
    line: Mapping[str, float] = field(default_factory=dict)
    drugs: Mapping[str, float] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    is_growing: bool = False


class Outcome(NamedTuple):
    """What is read off a well at the end."""

    plasma_cells_start: int
    plasma_cells_end: int
    deaths: np.ndarray  # (n_causes,) plasma cells that died, by cause
    adenosine_made: float  # by all cells of the well in an hour, relative units
    adenosine: float  # mean level of the well, relative to that which halves effector function
    cd38_sites: float  # median CD38 on the surface of a living plasma cell, and 0 where none lives [sites/cell]
    nk_cells_end: int

    @property
    def dead(self) -> float:
        """Share of the plasma cells of the start that died."""
        return float(self.deaths.sum()) / self.plasma_cells_start

    def dead_by(self, cause: str) -> float:
        """Share of the plasma cells of the start that died of a cause."""
        return float(self.deaths[Cause[cause.upper()]]) / self.plasma_cells_start


def donor_host(donor: VirtualPatient, settings: Settings, filled: Mapping[str, Filled]) -> Host:
    """What the donor's cells make and suffer, each for itself, as in the donor's marrow at eligibility."""
    return describe_host(donor, balance_at_eligibility(donor, settings.height * settings.width, filled), filled)


def plate(donor: VirtualPatient, host: Host, settings: Settings, well: Well, key: int, drugs: Mapping[str, Drug]) -> Marrow:
    """Put the cells of a well together.

    Args:
        donor: Whose cells.
        host: Of the donor (`donor_host`).
        settings: Size of the well, step and rules.
        well: What is pipetted together.
        key: Of the chance of this well.
        drugs: At least the drugs of the well, by name.

    Raises:
        InputError: Where the cells do not fit.
    """
    n_sites = settings.height * settings.width
    wanted = sum(well.cells.values())
    if wanted > MOST_FILLED * n_sites:
        raise InputError(f"{wanted} cells do not fit into a well of {settings.height} x {settings.width} sites")
    line = dict(well.line)
    share = line.pop("cd38_share", None)
    mutated = line.pop("tp53_mutated", None)
    changes: dict[str, Any] = {name: float(value) for name, value in line.items()}
    if mutated is not None:
        changes["del17p"] = bool(mutated)
    plated = replace(donor, **changes)
    if share is not None:  # of what a typical plasma cell makes
        made = host.adenosine_cd38 + host.adenosine_other
        host = host._replace(adenosine_cd38=share * made, adenosine_other=(1.0 - share) * made)
    host = host._replace(effector_fitness=float(plated.effector_fitness), cd38_spread=float(plated.cd38_spread), is_perfused=0.0)
    filled = settings.fill()
    clones = inherit(plated, filled["clones"].params)
    clones.division[:] = growth.gross(plated.growth_rate / HOURS_PER_DAY, 0.0, filled["growth"].params)
    chosen = [drugs[name] for name in well.drugs]
    traits, own = load_traits().traits, settings.catalogue.own
    marrow = make_marrow(make_lattice(settings.height, settings.width), clones, traits, host, antigens(chosen), own)
    place = int(stream_key(key, int(Stream.PLACEMENT), 0))
    stroma = having(traits.is_stromal)
    for kind in (*stroma, *(int(k) for k in records() if k not in stroma)):
        scatter(marrow, kind, int(well.cells.get(CellType(kind).name.lower(), 0)), int(subkey(place, kind)))
    lay_niche(marrow)
    # fresh: what the well does to them, its adenosine and suppressors do
    marrow.cells.activity[np.isin(marrow.cells.kind, having(traits.is_exhaustible))] = 1.0
    marrow.cells.granzyme[np.isin(marrow.cells.kind, having(traits.is_lytic))] = 1.0
    roster.index_cells(marrow)
    return marrow


def incubate(donor: VirtualPatient, host: Host, settings: Settings, well: Well, key: int, drugs: Mapping[str, Drug]) -> Outcome:
    """Plate a well and read it after its hours; arguments as `plate`.

    Raises:
        InputError: Where the cells do not fit, or the hours are no whole number of steps.
    """
    n_steps = round(well.hours / settings.step_h)
    if n_steps < 1 or abs(n_steps * settings.step_h - well.hours) > 1e-9:
        raise InputError(f"{well.hours:g} h are no whole number of steps of {settings.step_h:g} h")
    marrow = plate(donor, host, settings, well, key, drugs)
    start = int(marrow.body.count[PLASMA])
    chosen = [drugs[name] for name in well.drugs]
    without = well.without | settings.without | (CLOSED - {"growth"} if well.is_growing else CLOSED)
    rules, held = make_rules(settings, settings.fill(), chosen, without)
    level = np.array([float(amount) for amount in well.drugs.values()])
    is_antibody = np.array([drug.drug_class == "antibody" for drug in chosen], bool)
    steps = np.ones((n_steps, 1))
    exposure = Exposure(steps * np.where(is_antibody, level, 0.0), steps * np.where(is_antibody, 0.0, level))
    last = Exposure(exposure.concentration[-1:], exposure.effect[-1:])
    bundles = pin(marrow), pin(rules)
    if n_steps > 1:
        first = Exposure(exposure.concentration[:-1], exposure.effect[:-1])
        advance(*bundles, first, Tick(float(settings.step_h), 0, key))
    marrow.body.gauge[Gauge.FIELD_AGE] = np.inf  # so that the fields are solved in the step in which they are read
    advance(*bundles, last, Tick(float(settings.step_h), n_steps - 1, key))
    check_ceilings(settings.catalogue, marrow, rules)
    del held  # until here
    return read(marrow, start)


@kernel
def output(marrow: Marrow) -> float:
    """Adenosine made by all cells now [1/h]."""
    made = 0.0
    for s in range(marrow.cells.kind.size):
        kind = int(marrow.cells.kind[s])
        if kind != 0:
            made += adenosine.output(marrow, s, kind)
    return made


def read(marrow: Marrow, start: int) -> Outcome:
    """What is read off a well that had `start` plasma cells."""
    is_plasma = marrow.cells.kind == CellType.PLASMA
    return Outcome(
        plasma_cells_start=start,
        plasma_cells_end=int(is_plasma.sum()),
        deaths=marrow.body.ledger[PLASMA].copy(),
        adenosine_made=float(output(marrow)),
        adenosine=float(marrow.fields.adenosine.mean()),
        cd38_sites=float(np.median(surface_cd38(marrow, is_plasma))) if is_plasma.any() else 0.0,
        nk_cells_end=int((marrow.cells.kind == CellType.NK).sum()),
    )
