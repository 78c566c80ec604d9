"""Rows read off one patient's marrow on the way: at visits, on chosen days, and of every cell. Who looks changes nothing."""

import base64
from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm import tables
from tme_abm.foundation.clock import HOURS_PER_DAY, months
from tme_abm.foundation.columns import Heading, count, fill_in, word
from tme_abm.simulation.observation import HEADINGS as OBSERVED
from tme_abm.simulation.simulation import Simulation
from tme_abm.spatial import HEADINGS as OF_CELLS
from tme_abm.spatial import cells_of
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import pyarrow as pa


def _since(moment: str) -> tuple[Heading, ...]:
    """The columns that are read off a marrow; deaths count from the row before."""
    return tuple(h._replace(meaning=f"{h.meaning}, since {moment}") if h.name.startswith("deaths_") else h for h in OBSERVED)


_WHO = (
    count("patient", "-", "number of the virtual patient; the same patient has it in every arm"),
    word("arm", "key of the arm"),
)
_WHEN = (
    Heading("day", "d", "days since randomisation and the first dose", low=0.0),
    Heading("month", "month", "the same in months of 30.4375 days", low=0.0),
)
_EFFECTORS = Heading(
    "effector_activity", "cells", "reactive T cells and NK cells of the patch, each counted by its lytic granules", low=0.0
)
_CONCENTRATION = Heading(
    "concentration_<drug>_ug_per_ml",
    "ug/mL",
    "plasma concentration of a drug in the step before",
    low=0.0,
    missing="in arms without the drug",
)


def visit_headings(measured: Sequence[Heading]) -> tuple[Heading, ...]:
    """The columns of the visits, with those that the clinic measures."""
    number = count("visit", "-", "number of the visit; 0 is the baseline, before treatment")
    concentration = _CONCENTRATION._replace(meaning=f"{_CONCENTRATION.meaning} the visit")
    return (*_WHO, number, *_WHEN, *_since("the visit before"), *measured, _EFFECTORS, concentration)


DAY_HEADINGS = (*_WHO, *_WHEN, *_since("the day recorded before"), _EFFECTORS, _CONCENTRATION)
CELL_HEADINGS = (
    *_WHO,
    count("day", "d", "days since randomisation and the first dose"),
    word("cell", "identity of the cell for its whole life, as in an .h5ad"),
    Heading("x_um", "um", "place of its site: x, along a row; 12 um times (column + 0.5)", low=0.0),
    Heading("y_um", "um", "place of its site: y, down a column; 12 um times (row + 0.5)", low=0.0),
    *OF_CELLS,
)


def headings_of(study: Study, declared: Iterable[Heading]) -> tuple[Heading, ...]:
    """The headings of a table of a study: with its drugs, and its mechanisms from outside."""
    drugs = dict.fromkeys(drug for arm in study.arms for drug in arm.drugs)
    return fill_in(declared, (*study.settings.catalogue.deaths, *(f"concentration_{drug}_ug_per_ml" for drug in drugs)))


class Observer:
    """Reads rows off one marrow, in which deaths count from the row before."""

    def __init__(self, study: Study) -> None:
        """Begin to count."""
        self._deaths = dict.fromkeys(study.settings.catalogue.deaths, 0)

    def read(self, simulation: Simulation) -> dict[str, float]:
        """The marrow now, effectors and concentrations included."""
        seen, row = simulation.observe(), {}
        for name, value in seen.items():
            if name in self._deaths:
                row[name] = value - self._deaths[name]
                self._deaths[name] = int(value)
            else:
                row[name] = value
        row["effector_activity"] = seen["t_cell_granzyme"] * seen["reactive_t_cells"] + seen["nk_granzyme"] * seen["nk_cells"]
        return row | {f"concentration_{name}_ug_per_ml": value for name, value in simulation.levels.items()}


class Recorder:
    """Writes down what a study records of one patient under one arm between visits, and at them.

    Attributes:
        days: Rows of the recorded days.
        cells: A table of the cells for each day on which they are recorded.
    """

    def __init__(self, study: Study, index: int, arm: str) -> None:
        """Record of one arm."""
        self.days: list[dict[str, Any]] = []
        self.cells: list[pa.Table] = []
        self._who = {"patient": index, "arm": arm}
        self._of_days, self._of_cells = study.record.days, study.record.cells if study.record.has_cells_of(index) else None
        self._per_day = round(HOURS_PER_DAY / study.settings.step_h)
        self._observer = Observer(study)

    def steps_to_next(self, simulation: Simulation, n_steps: int) -> int:
        """Of some steps to come, how many pass until something is to be written down; all where nothing is."""
        passed = simulation.step - simulation.treated_from
        due = min((days.after(passed // self._per_day) for days in (self._of_days, self._of_cells) if days), default=float("inf"))
        return int(min(n_steps, due * self._per_day - passed))

    def look(self, simulation: Simulation) -> None:
        """Write down what is due now."""
        passed = simulation.step - simulation.treated_from
        day = passed // self._per_day
        if passed % self._per_day:
            return
        if self._of_days and self._of_days.includes(day):
            when = {"day": float(day), "month": months(day)}
            self.days.append({**self._who, **when, **self._observer.read(simulation)})
        if self._of_cells and self._of_cells.includes(day):
            self.cells.append(_cell_table(self._who, day, simulation))


def _cell_table(who: dict[str, Any], day: int, simulation: Simulation) -> "pa.Table":
    import pyarrow as pa

    columns, schema = cells_of(simulation), tables.make_schema(CELL_HEADINGS, is_narrow=True)
    n = len(columns["cell"])
    columns |= {name: np.full(n, value, object if isinstance(value, str) else np.int32) for name, value in {**who, "day": day}.items()}
    arrays = [pa.array(columns[field.name], from_pandas=True).cast(field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def pack(cells: Sequence["pa.Table"]) -> str:
    """Tables of cells in few characters, as a line of the journal can hold them: a Parquet file in base64; empty where there are none."""
    if not cells:
        return ""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = BytesIO()
    pq.write_table(pa.concat_tables(cells), target, compression="zstd")
    return base64.b64encode(target.getbuffer()).decode()


def unpack(packed: str) -> "pa.Table":
    """What `pack` has packed."""
    import pyarrow.parquet as pq

    return pq.read_table(BytesIO(base64.b64decode(packed)))
