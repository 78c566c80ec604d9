"""What the page shows of a pair of marrows: a moment, a layer and the followed cells, sent to the parts of the page that listen.

A screen belongs to the thread of its session; only the browser's answer (`answer`) may come from another.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tme_abm.marrow.cell_types import CellType, types_that_are
from tme_abm.marrow.cells import Cause
from tme_abm.marrow.clones import N_CLONES, N_REACTIVE
from tme_abm.simulation.simulation import Simulation
from tme_viz.colours import KILLERS
from tme_viz.history import History
from tme_viz.pair import Pair
from tme_viz.picture import ACTIVE, LAYERS, LYTIC, Picture, from_byte, of_layer, take
from tme_viz.picture import level as level_now

THIN_SPACE = "\u202f"  # between thousands: a comma there is a decimal sign to an Italian
REACH = 3  # sites around a dying cell in which its killer is looked for: a lymphocyte has gone on since
FLASHES, ARROWS = 60, 40  # deaths of a step that flash, and up to how many with an arrow from the killer
CURVES_EVERY = 0.25  # seconds between updates of the curves while playing

Sink = Callable[[dict[str, Any]], None]


class Screen:
    """What one visitor sees of a pair.

    Attributes:
        pair: The marrows.
        generation: Counts the pairs shown.
        history: Their past.
        sinks: Who is sent what: part of the page -> its listener.
        layer: Quantity that is shown.
        view: Step that is shown; None for the present.
        is_playing: Whether time passes.
        until: Day at which play stops by itself; None where it does not.
    """

    pair: Pair

    def __init__(self) -> None:
        """Begin with nothing to show."""
        self.generation = 0
        self.history = History()
        self.sinks: dict[str, Sink] = {}
        self.layer = "adenosine"
        self.view: int | None = None
        self.is_playing = False
        self.until: float | None = None
        self._picked: list[tuple[int, int] | None] = [None, None]  # name and site of a followed cell
        self._sent_rows = 0
        self._curves_at = 0.0
        self._curves_stand: object = None  # what the curves show that were sent last
        self._n = 0
        self._drawn = threading.Event()

    def turn_to(self, pair: Pair, history: History) -> None:
        """Show another pair, at its present, with its curves from the beginning."""
        self.pair, self.history = pair, history
        self.generation += 1
        self._picked = [None, None]
        self.return_to_present()

    def return_to_present(self) -> None:
        """Show the present, with the curves from the beginning: what came after a moment of the past may have been forgotten."""
        self.view = None
        self.send_all_curves()

    def send_all_curves(self) -> None:
        """Let the next frame bring the curves from the beginning."""
        self._sent_rows = 0
        self.send_curves()

    def send_curves(self) -> None:
        """Let the next frame bring the curves, however short ago they were sent."""
        self._curves_at = 0.0

    def answer(self, n: int) -> None:
        """The browser has drawn frame `n`."""
        if n >= self._n:
            self._drawn.set()

    def wait(self, patience: float) -> bool:
        """Whether the browser has drawn the last frame within so many seconds."""
        return self._drawn.wait(patience)

    def let_go(self) -> None:
        """End all waiting."""
        self._drawn.set()

    def pictures(self) -> tuple[float, list[Picture]]:
        """Day and pictures of the moment that is shown."""
        if self.view is None:
            return self.pair.day, [take(side.simulation) for side in self.pair.sides]
        day = self.view / self.pair.per_day
        if self.history.holds(day):
            return self.history.at(self.history.find(day))
        return day, [take(simulation) for simulation in self.pair.look(self.view)]

    def show(self, before: list[bytes] | None = None) -> None:
        """Send the moment to the page: curves first, as the left and right marrow are answered for.

        Args:
            before: Types of the cells of both marrows a step ago, where the page is to show slowly who killed whom.
        """
        pair = self.pair
        is_present = self.view is None
        day, pictures = self.pictures() if not is_present or any(self._picked) else (pair.day, None)
        self._n += 1
        self._drawn.clear()
        self._send("transport", self._transport(day))
        if time.monotonic() - self._curves_at > CURVES_EVERY or not self.is_playing:
            self._show_curves(day)
        for i, side in enumerate(pair.sides):
            if pictures is None:
                kind, level = side.simulation.marrow.cells.kind, level_now(side.simulation, self.layer)
                shown = self._marrow(i, kind, level, day)
            else:
                picture = pictures[i]
                shown = self._marrow(i, picture.kind, of_layer(picture, self.layer), day) | self._followed(i, picture, day)
            if is_present and pair.step:
                shown |= {"deaths": deaths(side.simulation, None if before else FLASHES), "before": before[i] if before else None}
            self._send(f"marrow{i}", shown)
        if "marrow1" not in self.sinks:
            self._drawn.set()

    def _send(self, name: str, content: dict[str, Any]) -> None:
        sink = self.sinks.get(name)
        if sink is not None:
            sink(content)

    def _transport(self, day: float) -> dict[str, Any]:
        events = [[e.day, e.side, e.kind, e.name, e.value] for e in self.pair.events]
        past = self.view is not None
        return {
            "generation": self.generation,
            "day": day,
            "last": self.pair.day,
            "past": past,
            "events": events,
            "playing": self.is_playing,
            "until": self.until,
        }

    def _show_curves(self, day: float) -> None:
        """Send the curves, unless they and what is drawn into them stand as they were sent: a row is a day, a step a quarter of it."""
        self._curves_at, sides = time.monotonic(), self.pair.sides
        marks = [(len(side.rows), len(side.visits), side.progression_day) for side in sides], tuple(self.pair.events)
        stand = (*marks, None if self.view is None else day)
        if self._sent_rows and stand == self._curves_stand:
            return
        self._curves_stand = stand
        self._send("curves", self._curves(day))

    def _curves(self, day: float) -> dict[str, Any]:
        start = self._sent_rows
        tables = [self.pair.table(i, start).tobytes() for i in (0, 1)]
        self._sent_rows = len(self.pair.sides[0].rows)
        sides = self.pair.sides
        return {
            "start": start,
            "left": tables[0],
            "right": tables[1],
            "n_columns": len(self.pair.columns),
            "day": day,
            "events": [[e.day, e.side, e.kind, e.name, e.value] for e in self.pair.events],
            "responses": [[[v.reading.day, v.assessment.response] for v in side.visits] for side in sides],
            "progression": [side.progression_day for side in sides],
        }

    def _marrow(self, side: int, kind: np.ndarray, level: np.ndarray, day: float) -> dict[str, Any]:
        return {
            "n": self._n,
            "generation": self.generation,
            "size": self.pair.choice.size,
            "kind": kind.tobytes(),
            "level": level.tobytes(),
            "layer": self.layer,
            "picked": -1,
            "cell": [],
            "figures": self._figures(side, day),
        }

    def _followed(self, side: int, picture: Picture, day: float) -> dict[str, Any]:
        """Where the followed cell is and how it does."""
        site = self._follow(side, picture)
        return {"picked": site, "cell": [] if site < 0 else describe(picture, site, day)}

    def _figures(self, side: int, day: float) -> dict[str, Any]:
        """What the head of a marrow says: M-protein, plasma cells and response at the day that is shown."""
        running = self.pair.sides[side]
        row = running.rows[min(int(day + 1e-9), len(running.rows) - 1)]
        seen = [visit for visit in running.visits if visit.reading.day <= day + 1e-9]
        progression = running.progression_day
        is_over = progression is not None and bool(seen) and seen[-1].assessment.is_progression_confirmed
        return {
            "m_protein": row[self.pair.columns.index("m_protein_g_per_l")],
            "m_protein_before": running.rows[0][self.pair.columns.index("m_protein_g_per_l")],
            "plasma": row[self.pair.columns.index("plasma_cells")],
            "best": seen[-1].assessment.best_confirmed_response if seen else "",
            "now": seen[-1].assessment.response if seen else "",
            "progression": progression if is_over else None,
        }

    def pick(self, side: int, site: int | None) -> None:
        """Follow the cell on a site, or none."""
        _, pictures = self.pictures()
        picture = pictures[side]
        is_cell = site is not None and 0 <= site < picture.kind.size and picture.kind[site] != CellType.EMPTY
        self._picked[side] = (int(picture.name[site]), int(site)) if is_cell and site is not None else None
        self.show()

    def _follow(self, side: int, picture: Picture) -> int:
        """Where the followed cell stands now; -1 where there is none."""
        picked = self._picked[side]
        if picked is None:
            return -1
        found = np.flatnonzero((picture.name == picked[0]) & (picture.kind != CellType.EMPTY))
        return int(found[0]) if found.size else -2

    def life(self, side: int) -> list[tuple[float, list[tuple[str, str]]]]:
        """The recorded states of the followed cell, a row a recorded day."""
        picked = self._picked[side]
        if picked is None:
            return []
        lived = []
        for place in range(len(self.history)):
            day, pictures = self.history.at(place)
            site = self._follow(side, pictures[side])
            if site >= 0:
                lived.append((day, describe(pictures[side], site, day)))
        return lived


def deaths(simulation: Simulation, most: int | None = None) -> list[list[int]]:
    """Who died in the last step: site, cause (its column of the ledger) and the site of the killer, -1 where none is near.

    Cells that leave as others are renewed are left out. The killer is the nearest cell of the type to which the cause belongs: which one of
    several in reach it was, the model does not say.

    Args:
        simulation: The marrow.
        most: How many the page can show, evenly chosen among more; beyond `ARROWS` nobody can tell one arrow from the other, and killers
        are not looked for. All, with their killers, by default.
    """
    events, lattice, kind = simulation.marrow.events, simulation.marrow.lattice, simulation.marrow.cells.kind
    site, cause = events.site[: events.n[0]], events.event[: events.n[0]]
    is_shown = (cause != Cause.DIVISION) & (cause != Cause.TURNOVER)
    site, cause = site[is_shown], cause[is_shown]
    if most is not None and site.size > ARROWS:
        chosen = np.unique(np.linspace(0, site.size - 1, min(most, site.size)).astype(int))
        return [[s, c, -1] for s, c in zip(site[chosen].tolist(), cause[chosen].tolist(), strict=True)]
    killers = {int(Cause[name.upper()]): int(CellType[cell]) for name, cell in KILLERS.items()}
    found = []
    for s, c in zip(site.tolist(), cause.tolist(), strict=True):
        found.append([s, c, _nearest(kind, s, killers[c], lattice.height, lattice.width) if c in killers else -1])
    return found


def _nearest(kind: np.ndarray, site: int, wanted: int, height: int, width: int) -> int:
    """The nearest site within `REACH` that holds a cell of a type, on the torus; -1 where there is none."""
    y, x = divmod(site, width)
    ys, xs = np.arange(y - REACH, y + REACH + 1) % height, np.arange(x - REACH, x + REACH + 1) % width
    dy, dx = np.nonzero(kind.reshape(height, width)[np.ix_(ys, xs)] == wanted)
    if not dy.size:
        return -1
    first = int(np.argmin((dy - REACH) ** 2 + (dx - REACH) ** 2))
    return int(ys[dy[first]]) * width + int(xs[dx[first]])


def describe(picture: Picture, site: int, day: float) -> list[tuple[str, str]]:
    """A cell's state as pairs of a word (of words.toml) and a value; its type and clone are named by the page, in its language."""
    kind = CellType(int(picture.kind[site]))
    rows = [("type", kind.name), ("age", f"{max(day - int(picture.born[site]), 0):.0f} d")]
    rows.append(("cd38", f"{from_byte(int(picture.cd38[site]), LAYERS['cd38']):,.0f}".replace(",", THIN_SPACE)))
    if kind is CellType.PLASMA:
        rows.append(("clone", str(int(picture.clone[site]) % N_CLONES)))
    if kind in types_that_are("clonotypic"):
        rows.append(("clonotype", f"{picture.clone[site]}{' *' if picture.clone[site] < N_REACTIVE else ''}"))
    if kind in ACTIVE:
        rows.append(("activity", f"{from_byte(int(picture.activity[site]), LAYERS['activity']):.2f}"))
    if kind in LYTIC:
        rows.append(("granzyme", f"{from_byte(int(picture.granzyme[site]), LAYERS['activity']):.2f}"))
    rows.append(("adenosine", f"{from_byte(int(picture.adenosine[site]), LAYERS['adenosine']):.2f}"))
    return rows
