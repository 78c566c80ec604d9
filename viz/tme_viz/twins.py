"""Twins: the pair that is shown, again in others or with other dice, to tell a signal from luck.

They run in the background, one after the other, and what is shown of them grows with each: the median and the range that holds eight of
ten of them, over every curve.
"""

import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tme_abm.foundation.rng import Stream, stream_key
from tme_abm.patients.presets import preset, presets
from tme_abm.simulation.simulation import Simulation, enrol, make_patient_key
from tme_abm.trial.study import Study
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice
from tme_viz.pair import Pair

NUMBER = 20
QUANTILES = (10.0, 50.0, 90.0)  # per cent
SOMEBODY = ("dice", "patients")  # the same patient with other dice, or other patients
FIRST_DICE = 1  # number of the first dice that are not those of the patient who is shown
Tables = tuple[np.ndarray, np.ndarray]  # rows of the left and the right marrow, (n_days, n_columns)


class Stopped(Exception):
    """Nobody wants to see them any more."""


def other_dice(study: Study, choice: Choice, number: int) -> Simulation | None:
    """The same patient grown with other dice; None where the disease is held."""
    if choice.patient in presets():
        patient, index = preset(choice.patient), 0
    else:
        index = int(choice.patient)
        patient = enrol(study.population, study.settings, study.seed, index)[0].patient
    key = int(stream_key(make_patient_key(study.seed, index), int(Stream.SCREENING), FIRST_DICE + number + 100))
    simulation = Simulation(patient, study.settings, key)
    return simulation if simulation.grow() else None


def run_one(choice: Choice, places: Places, whose: str, number: int, day: float, pause: Callable[[], None] = lambda: None) -> Pair | None:
    """One twin of a pair, treated up to a day; None where there is none of this number.

    Args:
        choice: The pair.
        places: Where scenarios are.
        whose: One of `SOMEBODY`.
        number: From 0.
        day: Day of treatment.
        pause: Called once a day.
    """
    if whose == "patients":
        pair = Pair(replace(choice, patient=str(number), events=(), day=0.0), places, grow=lambda study: _enrolled(study, number))
    else:
        grown: list[Simulation | None] = []

        def grow(study: Study) -> Simulation:
            grown.append(other_dice(study, choice, number))
            if grown[0] is None:
                raise LookupError("the disease is held")
            return grown[0]

        try:
            pair = Pair(replace(choice, events=(), day=0.0), places, grow=grow)
        except LookupError:
            return None
    pair.go_to(day, [event for event in choice.events if event.day <= day], pause)
    return pair


def _enrolled(study: Study, number: int) -> Simulation:
    return enrol(study.population, study.settings, study.seed, number)[0]


def run_all(choice: Choice, places: Places, whose: str, day: float, n: int, pause: Callable[[], None] = lambda: None) -> Iterator[Pair]:
    """Twins of a pair, one after the other, until there are `n`."""
    number = found = 0
    while found < n and number < 2 * n:
        pair = run_one(choice, places, whose, number, day, pause)
        number += 1
        if pair is not None:
            found += 1
            yield pair


class Twins:
    """Twins that run in the background.

    Attributes:
        choice: The pair whose twins they are.
        whose: One of `SOMEBODY`.
        day: Day up to which they are treated.
        n: How many are wanted.
        tables: Of those that are done.
        columns: Of the tables.
        state: "running", "done", "cancelled" or "failed".
        message: Why it failed.
        share: How much is done, 0 to 1.
    """

    def __init__(
        self,
        choice: Choice,
        places: Places,
        whose: str,
        day: float,
        on_change: Callable[[], None] = lambda: None,
        n: int = NUMBER,
    ) -> None:
        """Begin."""
        self.choice, self.places, self.whose, self.day, self.n = choice, places, whose, day, n
        self.tables: list[Tables] = []
        self.columns: tuple[str, ...] = ()
        self.state, self.message, self.share = "running", "", 0.0
        self.bands: dict[str, Any] = {}
        self.on_change = on_change
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="twins", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Stop as soon as the present day of the present twin is over."""
        self.on_change = lambda: None
        self._cancelled.set()

    def wait(self, timeout: float | None = None) -> None:
        """Return when they have ended."""
        self._thread.join(timeout)

    def _pause(self) -> None:
        if self._cancelled.is_set():
            raise Stopped

    def _run(self) -> None:
        try:
            for pair in run_all(self.choice, self.places, self.whose, self.day, self.n, self._pause):
                self._pause()
                self.columns = pair.columns
                self.tables.append((pair.table(0), pair.table(1)))
                pair.close()
                self.share = len(self.tables) / self.n
                self.bands = bands(self.tables)
                self.on_change()
            self.state = "done"
        except Stopped:
            self.state = "cancelled"
        except Exception as error:
            traceback.print_exc()
            self.state, self.message = "failed", f"{error}"
        self.on_change()


def bands(tables: list[Tables]) -> dict[str, Any]:
    """Of each column on each day the lower end, the median and the upper end, as bytes of (n_days, n_columns, 3) float32."""
    found: dict[str, Any] = {"n_columns": tables[0][0].shape[1], "n": len(tables)}
    for name, side in (("left", 0), ("right", 1)):
        stacked = np.stack([table[side] for table in tables]).astype(np.float64)
        with np.errstate(all="ignore"):
            ends = np.nanpercentile(np.where(np.isnan(stacked).all(axis=0), 0.0, stacked), QUANTILES, axis=0)
        found[name] = np.ascontiguousarray(np.moveaxis(ends, 0, -1).astype(np.float32)).tobytes()
    return found
