"""Figures of what happened in the marrows: causes of death, cells and serum over time. Tables in, matplotlib figures out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tme_abm.drawing import (
    BLUE,
    GREEN,
    LIGHT,
    MOST_BANDS,
    ORANGE,
    PURPLE,
    SKY,
    SPARE_COLOURS,
    VERMILLION,
    YELLOW,
    colour,
    empty_figure,
    styled,
)
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError
from tme_abm.marrow.cell_types import records
from tme_abm.tables import Stored, piecewise
from tme_abm.trial.figures import Labels, arm_name, need
from tme_abm.trial.patient_figures import LIKE_A_CURVE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Formatter

CAUSES = {  # column deaths_<key> of the visit table -> label, colour
    "adcc": ("ADCC (NK cells)", BLUE),
    "adcp": ("ADCP (macrophages)", SKY),
    "cdc": ("CDC (complement)", PURPLE),
    "direct": ("direct killing", VERMILLION),
    "t_cell": ("T cells", GREEN),
    "imid": ("immunomodulator", ORANGE),
    "proteasome": ("proteasome inhibitor", YELLOW),
    "glucocorticoid": ("glucocorticoid", "#8C6D31"),
    "depletion": ("depletion", "#A6761D"),
    "fratricide": ("fratricide", "#7A0177"),
    "turnover": ("turnover", LIGHT),
}


@styled
def deaths_by_cause(trajectory: "pd.DataFrame | Stored", arms: Sequence[str], labels: Labels | None = None) -> "Figure":
    """What killed the plasma cells of the simulated marrow: a bar of 100 % of their deaths per arm.

    Args:
        trajectory: Columns `deaths_<cause>` count the deaths since the visit before; in memory or on disk.
        arms: Names, in order.
        labels: What to call them.

    Raises:
        InputError: Where there is no such column.
    """
    columns = [name for name in trajectory.columns if name.startswith("deaths_")]
    if not columns:
        raise InputError("visit table: no column 'deaths_<cause>'")
    order = {name: i for i, name in enumerate(CAUSES)}
    columns.sort(key=lambda name: order.get(name.removeprefix("deaths_"), len(order)))
    who = ["patient", "arm"]
    of_patients = piecewise(trajectory, [*who, *columns], lambda visits: visits.groupby(who, observed=True)[columns].sum().reset_index())
    sums = of_patients.groupby("arm", observed=True)[columns].sum()
    counts = sums.reindex(list(arms)).fillna(0.0).to_numpy(np.float64)
    n_patients = of_patients.groupby("arm", observed=True)["patient"].nunique()
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(100 * counts, totals, out=np.zeros_like(counts), where=totals > 0)
    figure = empty_figure(9.5, 2.3 + 0.72 * len(arms))
    axes = figure.add_subplot()
    left = np.zeros(len(arms))
    spare = iter(SPARE_COLOURS * len(columns))
    n_shown = 0
    for j, column in enumerate(columns):
        key = column.removeprefix("deaths_")
        text, fill = CAUSES.get(key) or (key.replace("_", " "), next(spare))
        if not shares[:, j].any():
            continue
        n_shown += 1
        axes.barh(range(len(arms)), shares[:, j], left=left, color=fill, edgecolor="white", height=0.62, label=text)
        for row, value in enumerate(shares[:, j]):
            if value >= 4.5:
                ink = "white" if fill in (BLUE, VERMILLION, GREEN, "#8C6D31", "#7A0177") else "black"
                axes.text(left[row] + value / 2, row, f"{value:.0f}", ha="center", va="center", color=ink)
        left += shares[:, j]
    for row, arm in enumerate(arms):
        n = int(n_patients.get(arm, 0))
        text = f"{totals[row, 0] / n:,.0f} deaths\nper patient" if n else "no patient"
        axes.text(101.5, row, text, va="center", fontsize=11)
    axes.set_yticks(range(len(arms)), [arm_name(labels, arm) for arm in arms])
    axes.set(xlim=(0, 100), ylim=(len(arms) - 0.5, -0.5), xlabel="Deaths of plasma cells in the simulated marrow (%)")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper center", ncols=min(max(n_shown, 1), 4), handlelength=1.0, columnspacing=1.3)
    return figure


class Panel:
    """One panel of `marrow`: a title, the unit on its axis, and the columns that are added up."""

    def __init__(self, title: str, unit: str, columns: Sequence[Sequence[str]], scale: float = 1.0, is_log: bool = False) -> None:
        """Take `columns` as alternatives: of each group the first name that the table has."""
        self.title, self.unit, self.columns, self.scale, self.is_log = title, unit, columns, scale, is_log

    def of(self, trajectory: "pd.DataFrame | Stored") -> list[str]:
        """Those of the columns that a table has."""
        found = [next((name for name in names if name in trajectory.columns), None) for names in self.columns]
        return [name for name in found if name is not None]

    def values(self, trajectory: "pd.DataFrame | Stored") -> "pd.DataFrame":
        """The sum of the columns: `patient, arm, month, value`."""

        def add_up(visits: "pd.DataFrame") -> "pd.DataFrame":
            value = visits[columns].sum(axis=1, min_count=1) * self.scale
            return visits[["patient", "arm"]].assign(month=visits["day"] / DAYS_PER_MONTH, value=value)

        columns = self.of(trajectory)
        return piecewise(trajectory, ["patient", "arm", "day", *columns], add_up)


def of_cells() -> list[Panel]:
    """The panels of the types of cells, as their records group them: lymphocytes one by one, the others of a panel added up."""
    groups: dict[str, dict[str, str]] = {}  # title of a panel -> column -> short name
    for kind, record in records().items():
        if record.panel:
            title = record.plural if record.panel == "lymphocytes" else record.panel
            groups.setdefault(title, {})[kind.name.lower()] = record.agent
    return [
        Panel(
            f"{title[0].upper()}{title[1:]} ({', '.join(group.values())})" if len(group) > 1 else f"{title[0].upper()}{title[1:]}",
            "cells",
            [[f"{name}_cells", f"{name}s"] for name in group],
        )
        for title, group in groups.items()
    ]


PANELS = (
    Panel("Plasma cells", "% of marrow cells", [["plasma_fraction"]], 100.0, True),
    Panel("M-protein", "g/L", [["m_protein_g_per_l"]]),
    *of_cells(),
    Panel("Adenosine", "relative concentration", [["adenosine"]]),
)


@styled
def marrow(trajectory: "pd.DataFrame | Stored", arms: Sequence[str], labels: Labels | None = None) -> "Figure":
    """What happens in the marrow: median and, of up to three arms, interquartile range over patients.

    A line ends where fewer than a quarter of the arm's patients are still followed: those who are left are the ones who
    do best, and their median would mislead.

    Raises:
        InputError: Where the table has none of the quantities.
    """
    need(trajectory, "patient", "arm", "day")
    drawn = [panel for panel in PANELS if panel.of(trajectory)]
    if not drawn:
        raise InputError("visit table: it holds none of the quantities to be drawn")
    n_columns = min(3, len(drawn))
    n_rows = -(-len(drawn) // n_columns)
    figure = empty_figure(4.1 * n_columns, 3.3 * n_rows + 0.5)
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True).ravel()
    for axes, panel in zip(panels, drawn, strict=False):
        values = panel.values(trajectory)
        for arm in arms:
            part = values[values["arm"] == arm].dropna(subset=["value"])
            grouped = part.groupby("month")["value"]
            n_everyone = part["patient"].nunique()
            band = grouped.quantile(np.array([0.25, 0.5, 0.75])).unstack()
            band = band[(grouped.size() >= max(LIKE_A_CURVE * n_everyone, 1)).to_numpy()]
            if len(band) == 0:
                continue
            if len(arms) <= MOST_BANDS:
                axes.fill_between(band.index, band[0.25], band[0.75], color=colour(arms, arm), alpha=0.16, lw=0)
            axes.plot(band.index, band[0.5], color=colour(arms, arm), label=arm_name(labels, arm))
        axes.set_title(panel.title, fontsize=12)
        axes.set_ylabel(panel.unit)
        if panel.is_log and _is_positive(axes):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.yaxis.set_minor_formatter(_plain_between_decades())
        else:
            axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
    for i, axes in enumerate(panels):
        axes.set_visible(i < len(drawn))
        if i + n_columns >= len(drawn):
            axes.set_xlabel("Months since randomisation")
            axes.tick_params(labelbottom=True)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=min(max(len(names), 1), 6))
    return figure


def _plain_between_decades() -> "Formatter":
    """Labels the same ticks between decades as matplotlib does, by plain numbers: typesetting 6 x 10^1 takes longer than the figure."""
    from matplotlib.ticker import LogFormatter

    class Plain(LogFormatter):
        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}" if super().__call__(x, pos) else ""

    return Plain()


def _is_positive(axes: "Axes") -> bool:
    """Whether all that is drawn can stand on a logarithmic axis."""
    return all(np.all(np.asarray(line.get_ydata(), np.float64) > 0) for line in axes.lines)
