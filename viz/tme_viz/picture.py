"""A marrow as bytes: a few numbers a site, each on a fixed scale, so that a picture of today and one of last year compare."""

from typing import NamedTuple

import numpy as np

from tme_abm.marrow.cell_types import types_that_are
from tme_abm.marrow.cells import CellType
from tme_abm.simulation.observation import surface_cd38
from tme_abm.simulation.simulation import Simulation
from tme_viz.colours import CLONES, COLOURS, SHADES, field_colours

LEVELS = 255


class Layer(NamedTuple):
    """A quantity that can be shown.

    Attributes:
        name: Of the member of `Picture`.
        unit: Unit, empty for a pure number.
        low: Value of byte 0.
        high: Value of byte 255.
        is_log: Whether the scale is logarithmic.
        is_field: Whether it fills space; otherwise it belongs to cells and colours them.
    """

    name: str
    unit: str
    low: float
    high: float
    is_log: bool
    is_field: bool


LAYERS = {
    layer.name: layer
    for layer in (
        Layer("none", "", 0.0, 1.0, False, True),
        Layer("adenosine", "K(A2A)", 0.0, 1.5, False, True),
        Layer("il6", "", 0.0, 2.0, False, True),
        Layer("chemokine", "", 0.0, 2.0, False, True),
        Layer("cd38", "/cell", 1e3, 1e6, True, False),
        Layer("activity", "", 0.0, 1.0, False, False),
        Layer("granzyme", "", 0.0, 1.0, False, False),
        Layer("clone", "", 0.0, 255.0, False, False),
    )
}

ACTIVE, LYTIC = types_that_are("exhaustible"), types_that_are("lytic")  # numbers of the types that have an activity, and granzyme


class Picture(NamedTuple):
    """What is recorded of a marrow, each array of shape (n_sites,), row by row."""

    kind: np.ndarray  # uint8, a CellType
    clone: np.ndarray  # uint8
    cd38: np.ndarray  # uint8, on the scale of LAYERS, as are the next
    activity: np.ndarray
    granzyme: np.ndarray
    adenosine: np.ndarray
    il6: np.ndarray
    chemokine: np.ndarray
    born: np.ndarray  # int16, day of treatment
    name: np.ndarray  # uint32, tells cells apart


DTYPES = ("u1",) * 8 + ("i2", "u4")


def to_bytes(values: np.ndarray, layer: Layer) -> np.ndarray:
    """Values on the scale of a layer, as uint8; what lies outside takes the end of the scale."""
    if layer.is_log:
        share = np.log(np.maximum(values, layer.low) / layer.low) / np.log(layer.high / layer.low)
    else:
        share = (values - layer.low) / (layer.high - layer.low)
    return (np.clip(share, 0.0, 1.0) * LEVELS + 0.5).astype(np.uint8)


def from_byte(level: int, layer: Layer) -> float:
    """The value of a byte."""
    share = level / LEVELS
    if layer.is_log:
        return float(layer.low * (layer.high / layer.low) ** share)
    return layer.low + share * (layer.high - layer.low)


def take(simulation: Simulation) -> Picture:
    """The marrow now, copied."""
    cells, fields = simulation.marrow.cells, simulation.marrow.fields
    is_there = cells.kind != CellType.EMPTY
    is_active = np.isin(cells.kind, ACTIVE)
    day = (cells.born - simulation.treated_from * simulation.settings.step_h) / 24.0
    unit = LAYERS["activity"]
    return Picture(
        kind=cells.kind.copy(),
        clone=np.where(is_there, cells.clone, 0).astype(np.uint8),
        cd38=np.where(is_there, to_bytes(surface_cd38(simulation.marrow, slice(None)), LAYERS["cd38"]), 0).astype(np.uint8),
        activity=np.where(is_active, to_bytes(cells.activity, unit), 0).astype(np.uint8),
        granzyme=np.where(np.isin(cells.kind, LYTIC), to_bytes(cells.granzyme, unit), 0).astype(np.uint8),
        adenosine=to_bytes(fields.adenosine, LAYERS["adenosine"]),
        il6=to_bytes(fields.il6, LAYERS["il6"]),
        chemokine=to_bytes(fields.chemokine, LAYERS["chemokine"]),
        born=np.where(is_there, np.clip(np.floor(day), -32000, 32000), 0).astype(np.int16),
        name=np.where(is_there, cells.uid & 0xFFFFFFFF, 0).astype(np.uint32),
    )


def level(simulation: Simulation, layer: str) -> np.ndarray:
    """One layer of the marrow now, as `take` has it; much cheaper where nothing else is needed."""
    cells = simulation.marrow.cells
    shown = LAYERS[layer]
    if layer == "none":
        return np.zeros(cells.kind.size, np.uint8)
    if shown.is_field:
        return to_bytes(getattr(simulation.marrow.fields, layer), shown)
    if layer == "clone":
        return np.where(cells.kind != CellType.EMPTY, cells.clone, 0).astype(np.uint8)
    is_meant = cells.kind != CellType.EMPTY if layer == "cd38" else np.isin(cells.kind, bearers(layer))
    return np.where(is_meant, to_bytes(getattr(cells, layer), shown), 0).astype(np.uint8)


def bearers(layer: str) -> list[int]:
    """Numbers of the types of cells that have what a layer shows."""
    return list(LYTIC if layer == "granzyme" else ACTIVE)


def of_layer(picture: Picture, layer: str) -> np.ndarray:
    """A layer of a picture."""
    levels: np.ndarray = np.zeros_like(picture.kind) if layer == "none" else getattr(picture, layer)
    return levels


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of "#RRGGBB"."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def blend(colours: tuple[str, ...]) -> np.ndarray:
    """The colours of all levels between evenly spaced ones, (256, 3)."""
    at = np.linspace(0.0, len(colours) - 1.0, LEVELS + 1)
    return np.stack([np.interp(at, range(len(colours)), part) for part in zip(*map(rgb, colours), strict=True)], axis=1)


def image(picture: Picture, layer: str, width: int, zoom: int = 1) -> np.ndarray:
    """A picture as an RGB image (height * zoom, width * zoom, 3), in the colours of a light page."""
    table = np.array([(255, 255, 255), *(rgb(COLOURS[t.name]) for t in CellType if t is not CellType.EMPTY)], np.float64)
    shown = LAYERS[layer]
    if shown.is_field:
        colours = np.where((picture.kind > 0)[:, None], table[picture.kind], blend(field_colours(layer, False))[of_layer(picture, layer)])
    elif layer == "clone":
        clones = np.array([rgb(c) for c in CLONES], np.float64)
        is_plasma = picture.kind == CellType.PLASMA
        colours = np.where(is_plasma[:, None], clones[picture.clone % len(clones)], np.where(picture.kind > 0, 190.0, 245.0)[:, None])
    else:
        is_meant = picture.kind > 0 if layer == "cd38" else np.isin(picture.kind, bearers(layer))
        plain = np.where(picture.kind > 0, 190.0, 250.0)[:, None]
        colours = np.where(is_meant[:, None], blend(SHADES[False].ramp)[of_layer(picture, layer)], plain)
    square = colours.astype(np.uint8).reshape(-1, width, 3)
    return square.repeat(zoom, axis=0).repeat(zoom, axis=1)
