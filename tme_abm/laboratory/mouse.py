"""A mouse that bears a human myeloma xenograft: the marrow of `simulation` in another host.

The lattice is the central section of a nodule under the skin. Plasma cells of a line fill a disc in the middle of an otherwise empty
patch; stroma, NK cells and macrophages of the mouse stand in it and around it. There are no T and no B cells, no M-protein and no
reservoir of cells elsewhere: what the patch shows is the tumour. Mechanisms, their kernels and the drugs' coefficients are those
of the trials; the mouse brings its body and its effectors (`hosts/*.toml`), the line its CD38, its division and its sensitivity
to drugs (`lines/*.toml`), and each drug its kinetics in a mouse (`pharmacology/drugs/mouse/*.toml`).

Volume. A disc of n cells has a radius of sqrt(n / pi) sites, and the tumour is the sphere of that radius at `rim` for a site:

    V = 4/3 pi (rim sqrt(n / pi))^3

The section is thus drawn to a scale. On the lattice a tumour grows where a cell has a free neighbour: in a layer of about one site
at its rim, and wherever a death makes room. In a mouse that layer is the well-supplied rim, 100 to 300 um deep, and a site stands for
it (grade A). So most cells of a packed tumour could divide and have no room to, and what a drug kills inside is made good at once: a
reserve that one drug may leave intact and two exhaust.
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.declare import Filled, Param, fill
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.rng import Stream, normal, stream_key, subkey
from tme_abm.marrow import roster
from tme_abm.marrow.cells import N_TYPES, CellType
from tme_abm.marrow.clones import N_CLONES, Clones
from tme_abm.marrow.lattice import SITE_UM, density_for, make_lattice
from tme_abm.marrow.secretion import balanced_source
from tme_abm.marrow.seeding import lay_niche, scatter
from tme_abm.marrow.state import Body, Marrow, make_marrow
from tme_abm.marrow.state import Host as Bearer
from tme_abm.marrow.traits import load_traits
from tme_abm.mechanisms import adenosine
from tme_abm.pharmacology.body import Body as Physique
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation
from tme_abm.simulation.treatment import UNTREATED

FOLDER = Path(__file__).parent
SPECIES = "mouse"
FOUNDERS: Annotated[int, Param("cells", "plasma cells of the disc when it is made, long before treatment", "tme_abm", "A")] = 60
LONGEST_GROWTH_DAYS: Annotated[float, Param("d", "time within which the tumour must reach its volume", "tme_abm", "A")] = 120.0
PLASMA, NK, MACROPHAGE, STROMA = CellType.PLASMA, CellType.NK, CellType.MACROPHAGE, CellType.STROMA

# Murine interleukin-6 does not drive human cells, which make do without (grade M); nothing flows in from elsewhere in the body.
SWITCHED_OFF = frozenset({"interleukin6"})
CLOSED: Mapping[str, Mapping[str, Any]] = {
    "burden": {"seeding": {"value": 0.0, "unit": "1/h", "source": "tme_abm: a nodule has no reservoir", "grade": "A"}},
    "inheritance": {"switching": {"value": 0.0, "unit": "1/division", "source": "tme_abm: weeks are too short", "grade": "A"}},
}


class HostTraits(NamedTuple):
    """What a strain of mice brings."""

    weight_kg: Annotated[float, Param("kg", "body weight", "tme_abm", "A", low=0.005, high=0.1)]
    surface_m2: Annotated[float, Param("m2", "body surface", "tme_abm", "A", low=0.001, high=0.05)]
    nk_density: Annotated[float, Param("1/site", "NK cells in and around the tumour", "tme_abm", "A", high=0.3)]
    macrophage_density: Annotated[float, Param("1/site", "macrophages in and around the tumour", "tme_abm", "A", high=0.3)]
    nk_renewal: Annotated[float, Param("1/d", "turnover of NK cells", "tme_abm", "A")]
    fc_efficiency: Annotated[
        float, Param("1", "ADCC and ADCP through murine effectors, relative to a median patient's", "tme_abm", "A", high=20.0)
    ]
    complement: Annotated[float, Param("1", "CDC relative to human serum", "tme_abm", "A", high=1.0)]
    niche: Annotated[float, Param("1", "share of the sites that touch stroma, where there is stroma", "tme_abm", "A", high=0.9)]
    adenosine_suppression: Annotated[
        float, Param("1", "adenosine / (adenosine + half-effective adenosine) inside the tumour", "tme_abm", "A", high=0.95)
    ]


class LineTraits(NamedTuple):
    """What a line of human myeloma cells brings."""

    cd38_sites: Annotated[float, Param("sites/cell", "median CD38", "tme_abm", "A", low=1e3, high=2e6)]
    cd38_spread: Annotated[float, Param("1", "standard deviation of log CD38", "tme_abm", "A")]
    complement_inhibitors: Annotated[float, Param("1", "CD55 and CD59 relative to a typical plasma cell", "tme_abm", "A", low=0.01)]
    division: Annotated[float, Param("1/d", "rate of division where there is room", "tme_abm", "A", low=0.01)]
    drug_sensitivity: Annotated[float, Param("1", "kill by small molecules relative to a patient's plasma cell", "tme_abm", "A")]
    cd38_share: Annotated[float, Param("1", "share of CD38 in the making of adenosine", "tme_abm", "A", high=1.0)]
    rim: Annotated[float, Param("um", "depth of the growing rim, for which a site of the section stands", "tme_abm", "A", low=SITE_UM)]


@dataclass(frozen=True)
class Preset:
    """A strain or a line as its TOML file describes it."""

    name: str
    label: str
    filled: Filled

    @property
    def traits(self) -> Any:
        """Its numbers: `HostTraits` or `LineTraits`."""
        return self.filled.params


@dataclass(frozen=True)
class Mouse:
    """One mouse.

    Attributes:
        index: Place in its group.
        host: Its strain.
        line: The tumour that it bears.
        has_stroma: Whether stroma has grown into the tumour.
        vigour: Division of its tumour relative to the line's.
    """

    index: int
    host: Preset
    line: Preset
    has_stroma: bool = True
    vigour: float = 1.0


def presets(kind: str) -> tuple[str, ...]:
    """Names of the strains ("hosts") or lines ("lines") that come with the package."""
    return tuple(sorted(file.stem for file in (FOLDER / kind).glob("*.toml")))


def load_preset(kind: str, name: str, changes: Mapping[str, Any] | None = None) -> Preset:
    """Read a strain or a line.

    Args:
        kind: "hosts" or "lines".
        name: Of the preset.
        changes: Values that a study chooses otherwise.

    Raises:
        InputError: For an unknown preset or a wrong value.
    """
    if name not in presets(kind):
        raise InputError(f"unknown {kind[:-1]} '{name}'{did_you_mean(name, presets(kind))}")
    label, given = _inherited(kind, name)
    block = HostTraits if kind == "hosts" else LineTraits
    return Preset(name, label, fill(block, {**given, **(changes or {})}, f"{kind[:-1]} {name}"))


def _inherited(kind: str, name: str) -> tuple[str, dict[str, Any]]:
    table = tomllib.loads((FOLDER / kind / f"{name}.toml").read_text(encoding="utf-8"))
    before = _inherited(kind, table["inherits"])[1] if "inherits" in table else {}
    return str(table["label"]), {**before, **table["traits"]}


class Xenograft(Simulation):
    """One mouse under one regimen; `patient` is the `Mouse`."""

    patient: Any

    def __init__(self, mouse: Mouse, settings: Settings, key: int) -> None:
        """Make the nodule of an untreated mouse.

        Args:
            mouse: Who.
            settings: The patch and the rules (`closed`).
            key: The mouse's key.
        """
        self.patient = mouse
        self.settings = settings
        self.key = int(key)
        self.step = 0
        self.treated_from = 0
        self._pins = {}
        self._filled = settings.fill()
        self._take(UNTREATED, {}, SWITCHED_OFF)
        self.marrow = make_nodule(mouse, settings, self._filled, self.key)
        roster.index_cells(self.pinned)

    def _body(self) -> Physique:
        """The body of the mouse for pharmacokinetics: its weight and surface; no kinetics in a mouse depend on the rest."""
        host = self.patient.host.traits
        return Physique(0.2, host.weight_kg, host.surface_m2, True, 30.0, 1.0, 1.0, False, 0.0)

    @property
    def cells(self) -> int:
        """Plasma cells of the section."""
        return int(np.count_nonzero(self.marrow.cells.kind == PLASMA))

    @property
    def divisions(self) -> int:
        """Divisions of plasma cells of the section since the regimen began."""
        return int(self.marrow.body.births[PLASMA])

    @property
    def volume(self) -> float:
        """Volume of the tumour [mm3]."""
        return volume(self.cells, self.patient.line.traits.rim)

    @property
    def adenosine(self) -> float:
        """Mean adenosine where there are plasma cells [K(A2A)]; not a number where there are none."""
        inside = self.marrow.fields.adenosine[self.marrow.cells.kind == PLASMA]
        return float(inside.mean()) if inside.size else math.nan

    def grow_to(self, start_mm3: float) -> None:
        """Let the untreated tumour grow to a volume, day by day.

        Raises:
            InputError: Where it does not reach it.
        """
        per_day = round(HOURS_PER_DAY / self.settings.step_h)
        while self.volume < start_mm3:
            if self.hour > LONGEST_GROWTH_DAYS * HOURS_PER_DAY or self.cells == 0:
                raise InputError(f"the tumour of mouse {self.patient.index} does not grow to {start_mm3:g} mm3")
            self.advance(per_day)


def volume(n_cells: float, rim: float) -> float:
    """Volume [mm3] of the tumour whose central section holds `n_cells` plasma cells, at `rim` [um] for a site."""
    return 4.0 / 3.0 * math.pi * (rim * 1e-3) ** 3 * (n_cells / math.pi) ** 1.5


def closed(settings: Settings) -> Settings:
    """The settings of a nodule: the rules of the trials, closed to the rest of a body."""
    blocks = {*CLOSED, *settings.parameters}
    given = {block: {**CLOSED.get(block, {}), **settings.parameters.get(block, {})} for block in blocks}
    return replace(settings, without=settings.without | SWITCHED_OFF, parameters=given)


def draw_mouse(seed: int, index: int, host: Preset, line: Preset, has_stroma: bool = True, spread: float = 0.1) -> tuple[Mouse, int]:
    """One mouse of a group and the key of its chance.

    Args:
        seed: Of the study.
        index: Place in the group.
        host: Its strain.
        line: The tumour that it bears.
        has_stroma: Whether stroma has grown into the tumour.
        spread: Standard deviation of the log of division between mice.
    """
    key = int(subkey(subkey(seed, 0x30E), index))
    vigour = math.exp(spread * float(normal(stream_key(key, int(Stream.PATIENT), 0), 0)))
    return Mouse(index, host, line, has_stroma, vigour), key


def make_nodule(mouse: Mouse, settings: Settings, filled: Mapping[str, Filled], key: int) -> Marrow:
    """A disc of plasma cells in the middle of a patch that holds stroma, NK cells and macrophages of the mouse."""
    host = mouse.host.traits
    n_sites = settings.height * settings.width
    target = np.zeros(N_TYPES)
    target[NK] = host.nk_density * n_sites
    target[MACROPHAGE] = host.macrophage_density * n_sites
    if mouse.has_stroma:
        target[STROMA] = density_for(host.niche) * n_sites
    # no murine cell carries human CD38
    table: Any = load_traits().traits
    human = np.arange(N_TYPES) == PLASMA
    traits = table._replace(cd38=np.where(human, table.cd38, 0.0))

    lattice, own = make_lattice(settings.height, settings.width), settings.catalogue.own
    marrow = make_marrow(lattice, line_clones(mouse), traits, bearer(mouse, filled), [], own)
    body: Body = marrow.body
    body.target[:] = target
    body.clone_niche[:] = host.niche if mouse.has_stroma else 0.0
    place = int(stream_key(key, int(Stream.PLACEMENT), 0))
    scatter(marrow, int(STROMA), round(target[STROMA]), int(subkey(place, int(STROMA))))
    lay_niche(marrow)
    put_disc(marrow, FOUNDERS, int(subkey(place, int(PLASMA))))
    for kind in (NK, MACROPHAGE):
        scatter(marrow, int(kind), round(target[kind]), int(subkey(place, int(kind))))
    body.burden[0] = FOUNDERS
    is_nk = marrow.cells.kind == NK
    marrow.cells.activity[is_nk] = 1.0
    marrow.cells.granzyme[is_nk] = 1.0
    return marrow


def put_disc(marrow: Marrow, n: int, key: int) -> None:
    """Put `n` plasma cells on the free sites nearest to the middle of the patch."""
    cells, height, width = marrow.cells, marrow.lattice.height, marrow.lattice.width
    y, x = np.divmod(np.arange(height * width), width)
    distance = (y - 0.5 * height) ** 2 + (x - 0.5 * width) ** 2
    distance[cells.kind != CellType.EMPTY] = np.inf
    for site in np.argsort(distance, kind="stable")[:n]:
        uid = int(subkey(key, int(site)))
        cells.kind[site], cells.clone[site], cells.uid[site] = PLASMA, 0, uid
        cells.cd38[site] = marrow.clones.cd38[0] * math.exp(marrow.host.cd38_spread * float(normal(uid, 1)))
        cells.complement_inhibitors[site] = marrow.clones.complement_inhibitors[0]


def line_clones(mouse: Mouse) -> Clones:
    """The line as the only clone. A weak complement counts as so much more CD55 and CD59."""
    host, line = mouse.host.traits, mouse.line.traits
    ones = np.ones(N_CLONES)
    weakness = -math.log(max(host.complement, 1e-6))
    return Clones(
        division=ones * line.division * mouse.vigour / HOURS_PER_DAY,
        cd38=ones * line.cd38_sites,
        complement_inhibitors=ones * (line.complement_inhibitors + weakness),
        imid_response=ones.copy(),
        proteasome_response=ones.copy(),
        escaped=np.zeros(N_CLONES, np.uint8),
        imid_sensitivity=ones * line.drug_sensitivity,
        proteasome_sensitivity=ones * line.drug_sensitivity,
        glucocorticoid_sensitivity=ones * line.drug_sensitivity,
        tp53_mutated=np.zeros(N_CLONES, np.uint8),
    )


def bearer(mouse: Mouse, filled: Mapping[str, Filled]) -> Bearer:
    """What belongs to the mouse and does not change; fields are those of the packed tumour."""
    host, line = mouse.host.traits, mouse.line.traits
    level = adenosine.level(host.adenosine_suppression)
    packed = np.where(np.arange(N_TYPES) == PLASMA, 1.0, 0.0)  # plasma cells a site, and nothing else
    cd38 = packed * line.cd38_sites * math.exp(0.5 * line.cd38_spread**2)
    through_cd38, other = adenosine.sources(level, line.cd38_share, (packed, cd38, packed), 1, filled["adenosine"].params)
    return Bearer(
        burden_per_cell=1.0,
        secretion=0.0,
        m_protein_half_life_low=HOURS_PER_DAY,
        m_protein_half_life_high=HOURS_PER_DAY,
        effector_fitness=host.fc_efficiency,
        nk_renewal=host.nk_renewal / HOURS_PER_DAY,
        adenosine_cd38=through_cd38,
        adenosine_other=other,
        il6_source=0.0,
        chemokine_source=balanced_source(filled["chemokine"].params.clearance, packed, packed, 1),
        cd38_spread=line.cd38_spread,
        exhaustion=0.0,
        t_cell_division=0.0,
        is_perfused=0.0,  # what antibodies do in mice was set on their plasma (`fc_efficiency`)
    )
