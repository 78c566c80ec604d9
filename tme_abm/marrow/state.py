"""The state of one patient's marrow, as the kernels receive it: one bundle of bundles, named by what they hold."""

import math
from enum import IntEnum
from typing import Annotated, Any, NamedTuple

import numpy as np

from tme_abm.foundation.declare import Column, Param, allocate, at_rest
from tme_abm.marrow.cell_types import Effector as Effector
from tme_abm.marrow.cells import N_CAUSES, N_EVENTS, N_TYPES, Array, Cells
from tme_abm.marrow.clones import N_CLONES, Clones
from tme_abm.marrow.diffusion import Grid, allocate_grid
from tme_abm.marrow.lattice import Lattice
from tme_abm.marrow.traits import Traits

CROWD: Annotated[float, Param("1", "most effectors of a kind, by potency, that can engage one plasma cell at once", "tme_abm", "A")] = 2.0
FIELD_TOLERANCE: Annotated[
    float,
    Param(
        "1",
        "relative residual to which a field is solved",
        "tme_abm: leaves 0.1 to 0.7 % of the field in error, while cells that moved since the day's solution put it 1 to 10 % off",
        "D",
    ),
] = 5e-2
BLOCK_SIDE = 128  # sites a side of the blocks in which cells take their turns: what they touch there stays in the near caches
BANDS = 4  # of the rows of a block, which are indexed side by side (`roster`)
TILE = 128  # cells at risk whose hazards are worked out at a time: they stay in the cache, and their number bounds the memory
OF_TYPES, OF_CLONES = (N_TYPES,), (N_CLONES,)  # shapes
N_PROBES: Annotated[int, Param("1", "places a step at which the rates of a clone too rare for the patch are measured", "tme_abm", "A")] = 4


class Fields(NamedTuple):
    """Concentrations of substances, relative to a reference, each of shape (n_sites,)."""

    adenosine: Annotated[Array, Column("f4", "K(A2A)", "extracellular adenosine over the level that halves effector function")]
    il6: Annotated[Array, Column("f4", "1", "interleukin-6 over the patient's mean when the disease becomes eligible", 1.0)]
    chemokine: Annotated[Array, Column("f4", "1", "CCL3 over the patient's mean when the disease becomes eligible", 1.0)]
    source: Annotated[Array, Column("f4", "1/h", "production, while a field is solved")]
    uptake: Annotated[Array, Column("f4", "1/h", "clearance, while a field is solved")]


class Contacts(NamedTuple):
    """Where effectors spent this step, each of shape (n_sites,): share of the step times potency, at sites visited (`share_memory`)."""

    nk: Annotated[Array, Column("f4", "1", "NK cells, by their granzyme", 0.0, False)]
    t_cell: Annotated[Array, Column("f4", "1", "tumour-reactive T cells, by their granzyme", 0.0, False)]
    phagocyte: Annotated[Array, Column("f4", "1", "macrophages", 0.0, False)]
    suppressor: Annotated[Array, Column("f4", "1", "Treg, Breg and MDSC, by their strength")]


class Roster(NamedTuple):
    """Who stands where, by type: sites of type k are `site[start[k]:start[k + 1]]`, block by block of the lattice."""

    site: Array  # (n_sites,) int32
    start: Array  # (N_TYPES + 1,) int64
    block: Array  # (n_blocks, 4) int64, first row, rows, first column and columns of each block
    cursor: Array  # (n_blocks, BANDS, N_TYPES) int64, where the sites of a type in each band of a block end
    ahead: Array  # (1,) float64, what `prefetch` made of what it read; means nothing


class AtRisk(NamedTuple):
    """The cells of a tile for which something may happen in this step, and with the last tile the probes of rare clones.

    A uniform number is drawn for each cell first. Only where it falls below the chance that the highest hazards possible would
    give (the ceiling) can anything happen, and only there are the hazards worked out: thinning, as Lewis and Shedler (1979) sample a
    point process. The outcome has the very distribution that working out all hazards would give.
    """

    site: Annotated[Array, Column("i4", "-", "site")]
    kind: Annotated[Array, Column("u1", "-", "a CellType")]
    clone: Annotated[Array, Column("u1", "-", "clone")]
    cd38: Annotated[Array, Column("f8", "sites/cell", "CD38 on the surface now")]
    complement_inhibitors: Annotated[Array, Column("f8", "1", "CD55 and CD59")]
    adherence: Annotated[Array, Column("f8", "1", "how firmly the niche holds the cell: 0 free to 1 adherent")]
    nk: Annotated[Array, Column("f8", "1", "NK cells in contact, by potency")]
    t_cell: Annotated[Array, Column("f8", "1", "tumour-reactive T cells in contact, by potency")]
    phagocyte: Annotated[Array, Column("f8", "1", "macrophages in contact, by the Fc receptors that they have left")]
    draw: Annotated[Array, Column("f8", "1", "the uniform number; probes have none (2)")]


class Events(NamedTuple):
    """What the hazards decided in this step, in the order of the cells; it happens once all is decided (see `share_memory`)."""

    site: Array  # (n_sites,) int32
    event: Array  # (n_sites,) int8, a Cause
    n: Array  # (3,) int64: events so far; block of the roster, and line in it or 0, with which the next cells at risk begin


class Drugs(NamedTuple):
    """The drugs of the regimen in this step, each of shape (n_drugs,)."""

    antigen: Annotated[Array, Column("i8", "-", "an Antigen, -1 for small molecules")]
    concentration: Annotated[Array, Column("f8", "ug/mL", "mean over the step")]
    effect: Annotated[Array, Column("f8", "1", "target engagement of a small molecule, mean over the step")]
    occupancy: Annotated[Array, Column("f8", "1", "fraction of the antigen bound by this antibody", 0.0, False)]
    marrow: Annotated[Array, Column("f8", "ug/mL", "free antibody around the cells of the marrow")]


class Gauge(IntEnum):
    """Quantities of the whole marrow that change with time; indices of `Body.gauge`."""

    unit: str
    meaning: str
    rest: float  # while nothing disturbs it
    lasts: bool  # longer than the step; what does not is put back to rest at the head of every step

    def __new__(cls, unit: str, meaning: str, rest: float = 1.0, lasts: bool = False) -> "Gauge":
        """A member with the next number."""
        member = int.__new__(cls, len(cls.__members__))
        member._value_ = len(cls.__members__)
        member.unit, member.meaning, member.rest, member.lasts = unit, meaning, rest, lasts
        return member

    SURFACE_CD38 = ("1", "CD38 left on the surface after trogocytosis", 1.0, True)
    CD38_INDUCTION = ("1", "CD38 of plasma cells with cereblon under an IMiD", 1.0, True)
    ENZYME_ACTIVITY = ("1", "activity of the CD38 ectoenzyme")
    NK_ARMED = ("1", "potency of NK cells whose CD16 or SLAMF7 is engaged")
    CD16 = ("1", "CD16 left on NK cells", 1.0, True)
    NK_SUPPLY = ("1", "supply of NK cells under an IMiD")
    T_SUPPLY = ("1", "supply and division of T cells under an IMiD")
    STIMULATION = ("1", "lytic capacity of T and NK cells under an IMiD and a glucocorticoid")
    REVIVAL = ("1", "share of exhaustion that an IMiD takes back", 0.0)
    IL6_OUTPUT = ("1", "interleukin-6 made under an IMiD")
    M_PROTEIN = ("g/L", "serum M-protein", 0.0, True)
    FIELD_AGE = ("h", "time since the fields were solved, endless before the first time", math.inf, True)
    SOLVED_OUTPUT = ("1/h", "adenosine production of the patch when the fields were last solved", 0.0, True)
    VIOLATIONS = ("1", "hazards found above their ceiling: must stay 0", 0.0, True)
    ESCAPED_CD38 = ("1", "CD38 that escaped clones express under an anti-CD38 antibody", 1.0, True)
    CRAWL_BLOCK = ("1", "share of the crawl of CD38-rich plasma cells that antibodies on CD38 take", 0.0)
    NIBBLED = ("1/h", "CD38 stripped off the surface with its antibody, over all that a cell expresses undisturbed", 0.0)
    FC_RECEPTORS = ("1", "Fc receptors that macrophages have left for coated cells", 1.0, True)
    ENGULFED = ("cells", "plasma cells engulfed by the last step, endless before the first", math.inf, True)


class Body(NamedTuple):
    """Counters and quantities of the whole patient."""

    gauge: Annotated[Array, Column("f8", "-", "a number for each Gauge, which says its unit and meaning", shape=(len(Gauge),))]
    count: Annotated[Array, Column("i8", "cells", "in the patch", shape=OF_TYPES)]  # type: ignore[assignment]
    target: Annotated[Array, Column("f8", "cells", "that the blood alone would keep in the patch", shape=OF_TYPES)]
    clone_count: Annotated[Array, Column("i8", "cells", "in the patch", shape=OF_CLONES)]
    clone_births: Annotated[Array, Column("i8", "cells", "born in this step", 0.0, False, OF_CLONES)]
    clone_deaths: Annotated[Array, Column("i8", "cells", "died in this step", 0.0, False, OF_CLONES)]
    burden: Annotated[Array, Column("f8", "cells", "in the whole marrow", shape=OF_CLONES)]
    clone_rates: Annotated[Array, Column("f8", "1/h", "division and death of a mean cell, from the probes", shape=(N_CLONES, 2))]
    clone_niche: Annotated[Array, Column("f8", "1", "share of the clone in the niche, last seen", shape=OF_CLONES)]
    clone_cd38: Annotated[Array, Column("f8", "1", "CD38 that the clone expresses, relative to no drug", 1.0, False, OF_CLONES)]
    clone_stress: Annotated[Array, Column("f8", "1", "how far a proteasome inhibitor stresses the clone, 0 to 1", 0.0, False, OF_CLONES)]
    ledger: Annotated[Array, Column("i8", "cells", "deaths since the start", shape=(N_TYPES, N_CAUSES))]
    clone_ledger: Annotated[Array, Column("i8", "cells", "deaths of plasma cells since the start", shape=(N_CLONES, N_CAUSES))]
    births: Annotated[Array, Column("i8", "cells", "divisions and arrivals since the start", shape=OF_TYPES)]
    ceiling: Annotated[Array, Column("f8", "1/h", "highest hazard possible without effectors in contact", 0.0, False, OF_TYPES)]
    contact_ceiling: Annotated[
        Array, Column("f8", "1/h", "what each unit of contact can add to that of a plasma cell", 0.0, False, (len(Effector),))
    ]
    updates: Annotated[Array, Column("i8", "cells", "advanced by one step since the start", shape=(1,))]


class Host(NamedTuple):
    """What belongs to the patient and does not change."""

    burden_per_cell: Annotated[float, Column("f8", "cells", "plasma cells of the body for one in the patch")]
    secretion: Annotated[float, Column("f8", "g/L/h", "M-protein made by one plasma cell of the body")]
    m_protein_half_life_low: Annotated[float, Column("f8", "h", "half-life of the M-protein when there is little")]
    m_protein_half_life_high: Annotated[float, Column("f8", "h", "half-life of the M-protein when there is much")]
    effector_fitness: Annotated[float, Column("f8", "1", "multiplies ADCC and ADCP")]
    nk_renewal: Annotated[float, Column("f8", "1/h", "turnover of NK cells")]
    adenosine_cd38: Annotated[float, Column("f8", "1/h", "adenosine made through CD38 by a typical plasma cell")]
    adenosine_other: Annotated[float, Column("f8", "1/h", "adenosine made by other routes by a plasma cell")]
    il6_source: Annotated[float, Column("f8", "1/h", "interleukin-6 made by a macrophage")]
    chemokine_source: Annotated[float, Column("f8", "1/h", "chemokine made by a plasma cell")]
    cd38_spread: Annotated[float, Column("f8", "1", "standard deviation of log CD38 between plasma cells of a clone")]
    exhaustion: Annotated[float, Column("f8", "1", "exhaustion of T cells per plasma cell a site, of this patient")]
    t_cell_division: Annotated[float, Column("f8", "1/h", "division of a reactive T cell at eligibility, for a full share of cytokines")]
    is_perfused: Annotated[float, Column("f8", "1", "1 where antibodies come through the walls of vessels, 0 in a medium")] = 1.0


class Marrow(NamedTuple):
    """One patient's marrow."""

    cells: Cells
    fields: Fields
    contacts: Contacts
    lattice: Lattice
    grid: Grid
    clones: Clones
    traits: Traits
    roster: Roster
    at_risk: AtRisk
    hazard: Array  # (tile + probes, N_EVENTS) float64 [1/h], a row per cell at risk; wider where there are causes from outside (`Own`)
    events: Events
    drugs: Drugs
    body: Body
    host: Host
    n_at_risk: Array  # (2,) int64: rows of cells in the tile, rows of cells and probes


class Tick(NamedTuple):
    """What a kernel may know about now."""

    dt: float  # [h]
    step: int
    key: int  # of the patient's chance


class Own(NamedTuple):
    """What mechanisms from outside have of their own, behind what the package has: columns of hazards and ledger, and gauges."""

    causes: int = 0
    gauges: tuple[float, ...] = ()  # their values at rest

    @property
    def n_events(self) -> int:
        """Columns of the hazards."""
        return N_EVENTS + self.causes

    @property
    def n_causes(self) -> int:
        """Columns of the ledger; a cause has the same in the ledger and in the hazards, so that of `DIVISION` stays empty."""
        return self.n_events if self.causes else N_CAUSES


NOTHING = Own()


def make_body(own: Own = NOTHING) -> Body:
    """A body with nothing in it and nothing that disturbs it."""
    body = at_rest(Body)
    for gauge in Gauge:
        body.gauge[gauge] = gauge.rest
    return body._replace(
        gauge=np.concatenate([body.gauge, own.gauges]),
        ledger=np.zeros((N_TYPES, own.n_causes), body.ledger.dtype),
        clone_ledger=np.zeros((N_CLONES, own.n_causes), body.clone_ledger.dtype),
    )


def make_drugs(antigens: list[int]) -> Drugs:
    """The drugs of a regimen, none of them given yet."""
    drugs = allocate(Drugs, len(antigens))
    drugs.antigen[:] = antigens
    return drugs


def rows_at_risk(n_sites: int) -> int:
    """Rows of cells at risk: those of a tile, and the probes of all clones."""
    return min(n_sites, TILE) + N_CLONES * N_PROBES


def make_roster(height: int, width: int) -> Roster:
    """A roster of a lattice, not taken yet."""

    def cuts(side: int) -> list[tuple[int, int]]:
        n = max(1, round(side / BLOCK_SIDE))
        return [(i * side // n, (i + 1) * side // n - i * side // n) for i in range(n)]

    blocks = np.array([(*rows, *columns) for rows in cuts(height) for columns in cuts(width)], np.int64)
    cursor = np.zeros((len(blocks), BANDS, N_TYPES), np.int64)
    return Roster(np.zeros(height * width, np.int32), np.zeros(N_TYPES + 1, np.int64), blocks, cursor, np.zeros(1))


def share_memory(grid: Grid, contacts: Contacts, events: Events) -> tuple[Contacts, Events]:
    """Contacts (suppressors excepted) and events, in the memory of the solver.

    To the solver, what stands in its sheets between two solves means nothing; the fields are solved before the contacts of a step are
    made and its events decided, so that a sixth of the memory of a marrow serves both.
    """
    n = contacts.nk.size

    def moved(column: Array, sheet: Array) -> Array:
        place = sheet.reshape(-1).view(column.dtype)[:n]
        place[:] = column
        return place

    sheets = grid.finest
    effectors = (moved(contacts.nk, sheets.field), moved(contacts.t_cell, sheets.spare), moved(contacts.phagocyte, sheets.source))
    return (
        Contacts(*effectors, suppressor=contacts.suppressor),
        Events(moved(events.site, sheets.diagonal), moved(events.event, sheets.inverse), events.n),
    )


def copy_marrow(marrow: Marrow) -> Marrow:
    """The same marrow in memory of its own."""
    grid = allocate_grid(marrow.lattice.height, marrow.lattice.width)  # not a copy: its rows start on cache lines
    contacts, events = share_memory(grid, marrow.contacts, marrow.events)
    kept: dict[str, Any] = {
        "grid": grid,
        "contacts": contacts._replace(suppressor=contacts.suppressor.copy()),
        "events": events._replace(n=events.n.copy()),
    }
    return Marrow(**kept, **{name: _copied(part) for name, part in marrow._asdict().items() if name not in kept})


def _copied(bundle: Any) -> Any:
    if isinstance(bundle, np.ndarray):
        return bundle.copy()
    return type(bundle)(*map(_copied, bundle)) if isinstance(bundle, tuple) else bundle


def make_marrow(lattice: Lattice, clones: Clones, traits: Traits, host: Host, antigens: list[int], own: Own = NOTHING) -> Marrow:
    """An empty marrow."""
    n = lattice.height * lattice.width
    rows = rows_at_risk(n)
    grid = allocate_grid(lattice.height, lattice.width)
    contacts, events = share_memory(grid, allocate(Contacts, n), Events(np.zeros(n, np.int32), np.zeros(n, np.int8), np.zeros(3, np.int64)))
    return Marrow(
        cells=allocate(Cells, n),
        fields=allocate(Fields, n),
        contacts=contacts,
        lattice=lattice,
        grid=grid,
        clones=clones,
        traits=traits,
        roster=make_roster(lattice.height, lattice.width),
        at_risk=allocate(AtRisk, rows),
        hazard=np.zeros((rows, own.n_events)),
        events=events,
        drugs=make_drugs(antigens),
        body=make_body(own),
        host=host,
        n_at_risk=np.zeros(2, np.int64),
    )
