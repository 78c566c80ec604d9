"""A marrow as AnnData, for squidpy and the like, and an AnnData of a tissue section as the start of a marrow.

`obs` holds a row for each cell, `obsm["spatial"]` its place (x, y) [um], `X` the CD38 of its surface, the activity and the granzyme, and
`uns` the fields as images (height, width), the patient, the deaths and what the columns mean. anndata (virshup2024) is asked for only
here: `pip install 'tme-abm[spatial]'`.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.columns import Heading, count, truth, word
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.marrow.cell_types import records
from tme_abm.marrow.cells import EMPTY, Cause, CellType
from tme_abm.marrow.clones import CLONE_NAMES, N_REACTIVE
from tme_abm.marrow.lattice import SITE_UM
from tme_abm.patients.patient import covariates
from tme_abm.simulation.observation import surface_cd38
from tme_abm.simulation.simulation import Simulation
from tme_abm.simulation.tissue import Section

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

Array = np.ndarray
KINDS = {kind.name.lower(): kind for kind in CellType if kind is not CellType.EMPTY}
VARIABLES = ("surface_cd38_sites_per_cell", "activity", "granzyme")
UNKNOWN = "unknown"  # clone of a plasma cell of which nobody knows
HEADINGS = (
    word("cell_type", "kind of the cell", KINDS),
    word("clone", "clone of a plasma cell", CLONE_NAMES, "in other cells"),
    Heading("clonotype", "-", "clonotype of a T cell; -1 in other cells", "whole number", -1.0),
    truth("is_reactive", "whether the clonotype of a T cell sees the tumour; false in other cells"),
    truth("is_adherent", "whether a stromal cell is among the eight neighbours"),
    Heading("cd38_sites_per_cell", "sites/cell", "CD38 that the cell expresses when undisturbed", low=0.0),
    Heading("surface_cd38_sites_per_cell", "sites/cell", "CD38 on the surface now", low=0.0),
    Heading("complement_inhibitors", "1", "CD55 and CD59 of a plasma cell, relative to a typical one; 1 in other cells", low=0.0),
    Heading("activity", "1", "functional capacity of T and NK cells, 0 exhausted to 1 fresh; 0 in other cells", low=0.0),
    Heading("granzyme", "1", "lytic granules of T and NK cells, 1 = a fresh cell; 0 in other cells", low=0.0),
    Heading("age_days", "d", "time since the birth of the cell; cells of the start are as old as the marrow", low=0.0),
    Heading("adenosine", "K(A2A)", "extracellular adenosine at the cell, over the level that halves effector function", low=0.0),
    Heading("il6", "1", "interleukin-6 at the cell, over the patient's mean at eligibility", low=0.0),
    Heading("chemokine", "1", "CCL3 at the cell, over the patient's mean at eligibility", low=0.0),
    count("site", "-", "site of the lattice, counted row by row: row * width + column"),
)
DEATH_HEADINGS = (
    Heading("day", "d", "end of the step in which the cell died, since the regimen began"),
    Heading("x_um", "um", "place where it died: x, along a row; 12 um times (column + 0.5)", low=0.0),
    Heading("y_um", "um", "place where it died: y, down a column; 12 um times (row + 0.5)", low=0.0),
    word("cell_type", "kind of the cell", KINDS),
    word("cause", "what killed it: a cause of the package, or one from outside"),
)


class Death(NamedTuple):
    """One cell that died, with the place and the cause."""

    day: float
    site: int
    kind: CellType
    cause: str


def advance_watched(simulation: Simulation, n_steps: int) -> list[Death]:
    """Let steps pass one by one, and note who dies where of what; the marrow ends where `Simulation.advance(n_steps)` leaves it."""
    deaths: list[Death] = []
    for _ in range(n_steps):
        cells, events, ledger = simulation.marrow.cells, simulation.marrow.events, simulation.marrow.body.ledger
        counted, uids, kinds = ledger.copy(), cells.uid.copy(), cells.kind.copy()
        simulation.advance(1)
        n = int(events.n[0])
        happened = [(int(s), int(e)) for s, e in zip(events.site[:n], events.event[:n], strict=True) if e != Cause.DIVISION]
        gone = np.flatnonzero((uids != 0) & ~np.isin(uids, cells.uid))
        left = [(int(site), int(kinds[site])) for site in gone]
        deaths += _matched(simulation, happened, left, ledger - counted)
    return deaths


def _matched(simulation: Simulation, happened: list[tuple[int, int]], left: list[tuple[int, int]], died: Array) -> list[Death]:
    """Deaths with the kind of the cell.

    The engine tells place and cause of a death, and how many of each kind died of each cause. Which of them it was is the cell that stood
    nearest at the start of the step, among those kinds; a cell walks a few sites in a step at most.

    Args:
        simulation: The marrow after the step.
        happened: Site and cause of each death.
        left: Site and kind of each cell that is gone, at the start of the step.
        died: (N_TYPES, N_CAUSES) deaths of the step.
    """
    lattice = simulation.marrow.lattice
    quota = died.copy()

    def way(a: int, b: int) -> int:
        dy, dx = abs(a // lattice.width - b // lattice.width), abs(a % lattice.width - b % lattice.width)
        return int(max(min(dy, lattice.height - dy), min(dx, lattice.width - dx)))

    pairs = sorted((way(site, at), i, j) for i, (site, _) in enumerate(happened) for j, (at, _) in enumerate(left))
    kinds: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in pairs:
        kind, cause = left[j][1], happened[i][1]
        if i not in kinds and j not in taken and quota[kind, cause] > 0:
            kinds[i] = kind
            taken.add(j)
            quota[kind, cause] -= 1
    for i, (_, cause) in enumerate(happened):  # a cell that came and died within the step was nowhere at its start
        if i not in kinds:
            kinds[i] = int(np.argmax(quota[:, cause]))
            quota[kinds[i], cause] -= 1
    names = {column: name for name, column in simulation.settings.catalogue.causes.items()}
    return [Death(simulation.day, site, CellType(kinds[i]), names[cause]) for i, (site, cause) in enumerate(happened)]


def cells_of(simulation: Simulation) -> dict[str, Array]:
    """All cells of a marrow, the oldest first: `cell` (16 hexadecimal digits), `x_um`, `y_um`, and the columns of `HEADINGS`.

    Args:
        simulation: With the marrow.
    """
    state = simulation.marrow
    cells, lattice = state.cells, state.lattice
    sites = np.flatnonzero(cells.kind != EMPTY)
    sites = sites[np.lexsort((cells.uid[sites], cells.born[sites]))]
    kind, clone = cells.kind[sites], cells.clone[sites].astype(np.int64)
    is_plasma, is_t = kind == CellType.PLASMA, kind == CellType.T
    kinds = np.array([CellType(k).name.lower() for k in range(len(CellType))], object)
    clones = np.array([*CLONE_NAMES, None], object)
    y, x = np.divmod(sites, lattice.width)
    return {
        "cell": np.array([f"{uid & (2**64 - 1):016x}" for uid in cells.uid[sites].tolist()], object),
        "x_um": SITE_UM * (x + 0.5),
        "y_um": SITE_UM * (y + 0.5),
        "cell_type": kinds[kind],
        "clone": clones[np.where(is_plasma, clone, len(CLONE_NAMES))],
        "clonotype": np.where(is_t, clone, -1),
        "is_reactive": is_t & (clone < N_REACTIVE),
        "is_adherent": lattice.niche[sites] == 1,
        "cd38_sites_per_cell": cells.cd38[sites],
        "surface_cd38_sites_per_cell": surface_cd38(state, sites),
        "complement_inhibitors": cells.complement_inhibitors[sites],
        "activity": cells.activity[sites],
        "granzyme": cells.granzyme[sites],
        "age_days": (simulation.hour - cells.born[sites].astype(np.float64)) / HOURS_PER_DAY,
        "adenosine": state.fields.adenosine[sites],
        "il6": state.fields.il6[sites],
        "chemokine": state.fields.chemokine[sites],
        "site": sites,
    }


def to_anndata(marrow: Any, deaths: list[Death] | None = None) -> "AnnData":
    """A marrow as AnnData.

    Args:
        marrow: A `TumourModel`, or the simulation behind one.
        deaths: Who died where, as `advance_watched` tells it.

    Raises:
        InputError: Where anndata is not installed.
    """
    anndata = _library()
    import pandas as pd

    simulation: Simulation = getattr(marrow, "simulation", marrow)
    state = simulation.marrow
    lattice = state.lattice
    columns = cells_of(simulation)
    words = {"cell_type": list(KINDS), "clone": list(CLONE_NAMES)}
    obs = pd.DataFrame(
        {h.name: pd.Categorical(columns[h.name], _words(words[h.name])) if h.name in words else columns[h.name] for h in HEADINGS},
        index=_words(columns["cell"], "cell"),
    )
    made = anndata.AnnData(
        X=obs[list(VARIABLES)].to_numpy(np.float32),
        obs=obs,
        var=pd.DataFrame({"unit": _words(["sites/cell", "1", "1"])}, index=_words(VARIABLES)),
    )
    made.obsm["spatial"] = np.column_stack([columns["x_um"], columns["y_um"]])
    shape = (lattice.height, lattice.width)
    made.uns["fields"] = {name: getattr(state.fields, name).reshape(shape).copy() for name in ("adenosine", "il6", "chemokine")}
    made.uns["columns"] = {heading.name: heading.notes for heading in HEADINGS}
    made.uns["patient"] = {name: value for name, value in covariates(simulation.patient).items()}
    made.uns["marrow"] = {
        "regimen": simulation.regimen.key,
        "day": float(simulation.day),
        "site_um": SITE_UM,
        "height": lattice.height,
        "width": lattice.width,
        "m_protein_g_per_l": simulation.m_protein,
        "plasma_fraction": simulation.plasma_fraction,
        "without": np.array(sorted(simulation.without), dtype=str),
        "state_hash": simulation.state_hash(),
    }
    ledger, causes = state.body.ledger, simulation.settings.catalogue.causes
    made.uns["deaths_since_start"] = pd.DataFrame(
        {name: [int(ledger[k, column]) for k in KINDS.values()] for name, column in causes.items()},
        index=_words(KINDS),
    )
    if deaths is not None:
        where = np.array([d.site for d in deaths], np.int64)
        made.uns["deaths"] = pd.DataFrame(
            {
                "day": np.array([d.day for d in deaths], np.float64),
                "x_um": SITE_UM * (where % lattice.width + 0.5),
                "y_um": SITE_UM * (where // lattice.width + 0.5),
                "cell_type": _words(d.kind.name.lower() for d in deaths),
                "cause": _words(d.cause for d in deaths),
            },
            index=_words(str(i) for i in range(len(deaths))),
        )
    return made


def _words(values: Iterable[str], name: str | None = None) -> "pd.Index":
    """Words as plain objects: those of pandas 3 are written by newer anndata only, and read by none of the older ones."""
    import pandas as pd

    return pd.Index(list(values), dtype=object, name=name)


class Reading(NamedTuple):
    """What was read of a section, and what was left out."""

    section: Section
    height: int
    width: int
    left_out: int  # cells whose type the user maps to None


def read_section(
    cells: "AnnData | str",
    column: str = "cell_type",
    types: Mapping[str, str | None] | None = None,
    scale_um: float = 1.0,
    shape: tuple[int, int] | None = None,
) -> Reading:
    """The cells of an AnnData, as a marrow can be founded on them.

    Args:
        cells: The AnnData, or the path of an .h5ad file; `obsm["spatial"]` holds the places.
        column: Of `obs`, with the type of each cell.
        types: Type in that column -> kind of cell of the model, or None to leave such cells out; types that bear the names of the model
            need no entry.
        scale_um: Length of one unit of the coordinates [um].
        shape: Rows and columns of the patch; the smallest that holds the section, with its lowest place at the corner, where it is left
            out. With a shape, places are taken as they are, from the corner of the patch.

    Raises:
        InputError: For a missing column, a type that nobody knows, places that are no pairs of numbers, or a scale that is none.
    """
    data = _library().read_h5ad(cells) if isinstance(cells, str) or hasattr(cells, "__fspath__") else cells
    if "spatial" not in data.obsm:
        raise InputError(f'the AnnData has no obsm["spatial"] with the places of its cells{did_you_mean("spatial", data.obsm)}')
    if column not in data.obs.columns:
        raise InputError(f"the AnnData has no column '{column}' with the types of its cells{did_you_mean(column, data.obs.columns)}")
    if not (np.isfinite(scale_um) and scale_um > 0.0):
        raise InputError(f"the scale must be a length above zero [um], got {scale_um!r}")
    places = np.asarray(data.obsm["spatial"], np.float64)
    if places.ndim != 2 or places.shape[1] < 2 or not np.isfinite(places[:, :2]).all():
        raise InputError('obsm["spatial"] must hold an x and a y for every cell, all of them finite numbers')
    words = data.obs[column].astype(object).to_numpy()
    kinds = _kinds_of(words, dict(types or {}), column)
    kept = kinds > 0
    if not kept.any():
        raise InputError("no cell of the section is left; the types of all of them are mapped to None")
    x, y = (scale_um * places[kept, i] for i in (0, 1))
    if shape is None:
        x, y = x - x.min() + 0.5 * SITE_UM, y - y.min() + 0.5 * SITE_UM
        height, width = (max(8, int(np.floor(v.max() / SITE_UM)) + 1) for v in (y, x))
    else:
        height, width = shape
    section = Section(kinds[kept], x, y, _clones_of(data, kept), _cd38_of(data, kept))
    return Reading(section, height, width, int((~kept).sum()))


def _kinds_of(words: Array, types: dict[str, str | None], column: str) -> Array:
    """The kind of each cell, 0 where it is to be left out."""
    known = {
        _folded(name): kind
        for kind, record in records().items()
        for name in (kind.name, f"{kind.name} cell", record.english, record.plural, record.agent)
    }
    of: dict[Any, int] = {}
    for word_ in dict.fromkeys(words.tolist()):
        meant = types.get(word_, word_) if isinstance(word_, str) else None
        if meant is None and word_ in types:
            of[word_] = 0
            continue
        if meant is None:
            i = int(np.flatnonzero([w is word_ or w != w for w in words])[0])
            raise InputError(f"column '{column}': cell {i} has no type; leave such cells out beforehand")
        if _folded(meant) not in known:
            said = f"the type '{word_}'" if meant == word_ else f"'{meant}', which the type '{word_}' is mapped to,"
            hint = did_you_mean(meant, KINDS)
            raise InputError(
                f"column '{column}': {said} is no kind of cell of the model{hint}; types says what it is, or None to leave it out"
            )
        of[word_] = int(known[_folded(meant)])
    for name in types:
        if name not in of:
            raise InputError(f"column '{column}': there is no cell of the type '{name}'{did_you_mean(name, [str(w) for w in of])}")
    return np.array([of[w] for w in words.tolist()], np.int64)


def _folded(name: str) -> str:
    """A name without what writers differ in: "Plasma cells", "plasma_cell", "PlasmaCells" are one."""
    return "".join(c for c in name.lower() if c.isalnum()).removesuffix("s")


def _clones_of(data: Any, kept: Array) -> Array | None:
    """Clones by their names, where the AnnData tells them."""
    if "clone" not in data.obs.columns:
        return None
    found = []
    for name in data.obs["clone"].astype(object).to_numpy()[kept].tolist():
        if not isinstance(name, str) or name == UNKNOWN:
            found.append(-1)
        elif name in CLONE_NAMES:
            found.append(CLONE_NAMES.index(name))
        else:
            raise InputError(f"column 'clone': unknown clone '{name}'{did_you_mean(name, [*CLONE_NAMES, UNKNOWN])}")
    return np.array(found, np.int64)


def _cd38_of(data: Any, kept: Array) -> Array | None:
    name = "cd38_sites_per_cell"
    return np.asarray(data.obs[name], np.float64)[kept] if name in data.obs.columns else None


def require_anndata() -> None:
    """Refuse before a long run what could not be written after it.

    Raises:
        InputError: Where anndata is not installed.
    """
    _library()


def _library() -> Any:
    try:
        import anndata
    except ModuleNotFoundError:
        raise InputError("AnnData needs the package anndata: pip install 'tme-abm[spatial]'") from None
    return anndata
