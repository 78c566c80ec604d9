"""Figures that show every patient: responses, waterfall, spider. Tables in, matplotlib figures out."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.drawing import BLACK, GREY, LIGHT, VERMILLION, colour, empty_figure, styled
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.tables import Stored, piecewise
from tme_abm.trial import summary, survival
from tme_abm.trial.figures import Labels, arm_name, need

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RESPONSE_COLOURS = {
    "sCR": "#08306B",
    "CR": "#1F5FA8",
    "VGPR": "#4F9BD0",
    "PR": "#9CCBE8",
    "MR": "#DCEBF6",
    "SD": LIGHT,
    "PD": VERMILLION,
    "NE": "#FFFFFF",
}
LIKE_A_CURVE = 0.25  # share of the arm's patients who must still be seen for a median to be drawn
SPIDER_LINES = 100


@styled
def responses(patients: "pd.DataFrame", arms: Sequence[str], labels: Labels | None = None) -> "Figure":
    """Best confirmed responses, a bar of 100 % per arm; overall response at its end.

    Raises:
        InputError: As `summary.response_table`.
    """
    table = summary.response_table(patients, arms)
    figure = empty_figure(9.5, 1.7 + 0.72 * len(arms))
    axes = figure.add_subplot()
    shown = [name for name in summary.RESPONSES if table.loc[table["response"] == name, "n"].sum() > 0]
    left = np.zeros(len(arms))
    for name in shown:
        share = 100 * table.loc[table["response"] == name, "fraction"].fillna(0.0).to_numpy(np.float64)
        edge = GREY if name == "NE" else "white"
        bars = axes.barh(range(len(arms)), share, left=left, color=RESPONSE_COLOURS[name], edgecolor=edge, height=0.62)
        bars.set_label(name)
        dark = name in ("sCR", "CR", "PD")
        for row, value in enumerate(share):
            if value >= 4.5:
                x = left[row] + value / 2
                axes.text(x, row, f"{value:.0f}", ha="center", va="center", color="white" if dark else "black")
        left += share
    for row, arm in enumerate(arms):
        part = table[table["arm"] == arm]
        overall = 100 * part.loc[part["response"].isin(summary.DEPTHS["orr"]), "fraction"].sum()
        text = f"ORR {overall:.0f} %" if part["n"].sum() else "no patient"
        axes.text(101.5, row, text, va="center", weight="bold")
    names = [f"{arm_name(labels, arm)}\nn = {table.loc[table['arm'] == arm, 'n'].sum()}" for arm in arms]
    axes.set_yticks(range(len(arms)), names)
    axes.set(xlim=(0, 100), ylim=(len(arms) - 0.5, -0.5), xlabel="Patients (%)")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(shown), handlelength=1.0, columnspacing=1.3)
    return figure


@styled
def waterfall(trajectory: "pd.DataFrame | Stored", patients: "pd.DataFrame", arms: Sequence[str], labels: Labels | None = None) -> "Figure":
    """Best change of measured M-protein of every patient, coloured by best confirmed response.

    Raises:
        InputError: Where a column is missing.
    """
    best = best_change(trajectory)
    done = survival.completed(patients)[["patient", "arm", "best_response"]]
    best = best.merge(done, on=["patient", "arm"], how="inner")
    figure, panels = _panels(arms, 4.4, share_y=True)
    for axes, arm in zip(panels, arms, strict=True):
        part = best[best["arm"] == arm].sort_values("change", ascending=False, kind="stable")
        colours = [RESPONSE_COLOURS.get(str(name), LIGHT) for name in part["best_response"]]
        axes.bar(range(len(part)), 100 * part["change"].clip(upper=1.0), width=1.0, color=colours, edgecolor=colours, lw=0.4)
        _response_lines(axes)
        axes.set_title(f"{arm_name(labels, arm)} (n = {len(part)})", color=colour(arms, arm))
        axes.set(xlim=(-0.5, max(len(part), 1) - 0.5), ylim=(-105, 105), xlabel="Patients, sorted")
        axes.set_xticks([])
    panels[0].set_ylabel("Best change of M-protein (%)")
    from matplotlib.patches import Patch

    seen = [name for name in summary.RESPONSES if (best["best_response"] == name).any()]
    handles = [Patch(facecolor=RESPONSE_COLOURS[name], edgecolor=GREY, lw=0.5, label=name) for name in seen]
    figure.legend(handles=handles, loc="outside upper center", ncols=max(len(seen), 1), handlelength=1.0)
    return figure


@styled
def spider(trajectory: "pd.DataFrame | Stored", patients: "pd.DataFrame", arms: Sequence[str], labels: Labels | None = None) -> "Figure":
    """Change of measured M-protein of each patient over time, grey where none responded; at most 100 patients of an arm, evenly picked.

    Raises:
        InputError: Where a column is missing.
    """
    import pandas as pd

    done = survival.completed(patients)[["patient", "arm", "best_response"]]
    seen = _of_changes(trajectory, lambda change: change[["patient", "arm"]].drop_duplicates())
    seen = seen.merge(done, on=["patient", "arm"], how="inner").sort_values("patient", kind="stable")
    n_seen = {arm: int((seen["arm"] == arm).sum()) for arm in arms}
    chosen = pd.concat([_evenly(seen[seen["arm"] == arm], SPIDER_LINES) for arm in arms])
    lines = _of_changes(trajectory, lambda change: change.merge(chosen, on=["patient", "arm"], how="inner"))
    figure, panels = _panels(arms, 4.4, share_y=True)
    for axes, arm in zip(panels, arms, strict=True):
        part = lines[lines["arm"] == arm]
        for _, line in part.groupby("patient", observed=True):
            is_response = line["best_response"].iloc[0] in summary.DEPTHS["orr"]
            axes.plot(
                line["month"],
                100 * line["change"].clip(upper=1.5),
                color=colour(arms, arm) if is_response else GREY,
                lw=0.9,
                alpha=0.55,
                rasterized=True,
            )
        _response_lines(axes)
        n = int(part["patient"].nunique())
        title = f"{n} of {n_seen[arm]}" if n < n_seen[arm] else f"n = {n}"
        axes.set_title(f"{arm_name(labels, arm)} ({title})", color=colour(arms, arm))
        axes.set(xlabel="Months since randomisation", ylim=(-105, 155))
        axes.set_xlim(left=0)
    panels[0].set_ylabel("Change of M-protein (%)")
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D

    handles: list[Any] = [tuple(Line2D([], [], color=colour(arms, arm)) for arm in arms), Line2D([], [], color=GREY)]
    words = ["PR or better, in the colour of the arm", "less than PR"]
    figure.legend(handles, words, loc="outside upper center", ncols=2, handler_map={tuple: HandlerTuple(ndivide=None)})
    return figure


CHANGE_NEEDS = ("patient", "arm", "day", "m_protein_measured_g_per_l")  # columns of the visit table


def m_protein_change(trajectory: "pd.DataFrame") -> "pd.DataFrame":
    """Relative change of the measured M-protein since each patient's first visit: `patient, arm, month, change`.

    Patients whose first visit shows no M-protein are left out.

    Raises:
        InputError: Where a column is missing.
    """
    need(trajectory, *CHANGE_NEEDS)
    table = trajectory[list(CHANGE_NEEDS)].sort_values("day", kind="stable")
    first = table.groupby(["patient", "arm"], observed=True)["m_protein_measured_g_per_l"].transform("first")
    table = table.assign(month=table["day"] / DAYS_PER_MONTH)[first > 0]
    return table.assign(change=table["m_protein_measured_g_per_l"] / first[first > 0] - 1.0)[["patient", "arm", "month", "change"]]


def best_change(trajectory: "pd.DataFrame | Stored") -> "pd.DataFrame":
    """The best change of each patient after the first visit, as `m_protein_change` has it: `patient, arm, change`."""
    who = ["patient", "arm"]
    return _of_changes(trajectory, lambda c: c[c["month"] > 0].groupby(who, observed=True)["change"].min().reset_index())


def _of_changes(trajectory: "pd.DataFrame | Stored", reduce: Callable[["pd.DataFrame"], "pd.DataFrame"]) -> "pd.DataFrame":
    """What a function makes of the changes of M-protein, a piece of the visit table at a time."""
    need(trajectory, *CHANGE_NEEDS)
    return piecewise(trajectory, CHANGE_NEEDS, lambda visits: reduce(m_protein_change(visits)))


def _evenly(rows: "pd.DataFrame", most: int) -> "pd.DataFrame":
    """At most so many rows, evenly picked."""
    return rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int))]


def _panels(arms: Sequence[str], height: float, share_y: bool = False) -> tuple["Figure", list["Axes"]]:
    """A panel per arm, at most three in a row [inch]."""
    n_columns = min(3, len(arms)) or 1
    n_rows = -(-len(arms) // n_columns) or 1
    figure = empty_figure(max(4.2 * n_columns, 6.0), height * n_rows + 0.4)
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False, sharey=share_y).ravel())
    for axes in panels[len(arms) :]:
        axes.set_visible(False)
    return figure, panels[: len(arms)]


def _response_lines(axes: "Axes") -> None:
    """Lines of no change, of a partial and of a very good partial response."""
    axes.axhline(0, color=BLACK, lw=0.8)
    for level in (-50, -90):
        axes.axhline(level, color=GREY, lw=0.8, ls=(0, (4, 4)))
