"""Figures of a trial: tables in, matplotlib figures out, without any global state.

Colours are those of Okabe and Ito, told apart by colour-blind readers; an arm keeps its colour in every figure. Text is
sized to be read on a slide.
"""

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.trial import statistics

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import Formatter

P = ParamSpec("P")
Labels = Mapping[str, str]

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT = "#6B6B6B", "#D9D9D9"
ARM_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
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
SPARE_COLOURS = ("#999999", "#4D4D4D", "#BFBFBF")
LIKE_A_CURVE = 0.25  # share of the arm's patients who must still be seen for a median to be drawn
SPIDER_LINES = 100
MOST_BANDS = 3  # arms whose bands can lie over each other and still be told apart

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "svg.hashsalt": "tme_abm",  # the same figure gives the same file
    "figure.dpi": 100,
}


def styled(draw: Callable[P, "Figure"]) -> Callable[P, "Figure"]:
    """Draw with the style of this module, leaving the caller's alone."""

    @wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> "Figure":
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapped


def colour(arms: Sequence[str], arm: str) -> str:
    """Colour of an arm, by its place."""
    return ARM_COLOURS[list(arms).index(arm) % len(ARM_COLOURS)]


@styled
def kaplan_meier(
    patients: "pd.DataFrame",
    arms: Sequence[str],
    labels: Labels | None = None,
    level: float = 0.95,
    note: str = "",
) -> "Figure":
    """Progression-free survival with confidence bands (of up to three arms), censoring marks and patients at risk.

    Args:
        patients: A row per patient and arm.
        arms: Names, in order.
        labels: What to call them.
        level: Of the bands [1].
        note: Text in the upper right corner, such as a hazard ratio.

    Raises:
        InputError: As `statistics.survival`; where no patient completed.
    """
    followed = {arm: times for arm in arms if len((times := statistics.survival(patients, arm)).months)}
    if not followed:
        raise InputError("Kaplan-Meier: no patient completed")
    figure = empty_figure(9.0, 5.2 + 0.34 * len(arms))
    grid = figure.add_gridspec(2, 1, height_ratios=(4.6, 0.5 + 0.34 * len(arms)))
    axes = figure.add_subplot(grid[0])
    longest = max(float(times.months.max()) for times in followed.values())
    ticks = _month_ticks(longest)
    for arm, times in followed.items():
        curve = statistics.kaplan_meier(times, level)
        line = colour(arms, arm)
        if len(arms) <= MOST_BANDS:
            axes.fill_between(
                curve["month"], 100 * curve["ci_low"], 100 * curve["ci_high"], step="post", color=line, alpha=0.16, lw=0
            )
        axes.step(curve["month"], 100 * curve["survival"], where="post", color=line, label=_name(labels, arm))
        lost = curve[curve["n_censored"] > 0]
        axes.plot(lost["month"], 100 * lost["survival"], "|", color=line, ms=7, mew=1.2)
    axes.axhline(50, color=GREY, lw=0.8, ls=(0, (4, 4)), zorder=0)
    axes.set(ylim=(0, 102), xlim=(0, max(longest * 1.02, ticks[-1])), ylabel="Progression-free survival (%)")
    axes.set_xticks(ticks)
    axes.set_xlabel("Months since randomisation")
    axes.legend(loc="lower left" if _is_high(followed) else "upper right", title=note or None, alignment="left")
    below = figure.add_subplot(grid[1], sharex=axes)
    _at_risk(below, followed, arms, labels, ticks)
    return figure


def _is_high(followed: Mapping[str, statistics.Survival]) -> bool:
    """Whether the curves stay so high that the lower left corner is free."""
    ends = [statistics.kaplan_meier(times)["survival"].iloc[-1] for times in followed.values()]
    return bool(min(ends) > 0.45)


def _at_risk(
    axes: "Axes",
    followed: Mapping[str, statistics.Survival],
    arms: Sequence[str],
    labels: Labels | None,
    ticks: Sequence[float],
) -> None:
    """Numbers of patients at risk, a line per arm."""
    axes.set(ylim=(len(arms) - 0.4, -0.9))
    axes.text(0, 1.0, "Patients at risk", transform=axes.transAxes, weight="bold", fontsize=11, va="top")
    for row, arm in enumerate(arms):
        counts = statistics.at_risk(followed[arm], ticks) if arm in followed else [0] * len(ticks)
        for tick, count in zip(ticks, counts, strict=True):
            axes.text(tick, row + 0.15, str(count), ha="center", va="center", fontsize=11)
    axes.set_yticks([row + 0.15 for row in range(len(arms))], [_name(labels, arm) for arm in arms])
    for label, arm in zip(axes.get_yticklabels(), arms, strict=True):
        label.set_color(colour(arms, arm))
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelbottom=False)
    axes.tick_params(axis="y", pad=20)


@styled
def responses(patients: "pd.DataFrame", arms: Sequence[str], labels: Labels | None = None) -> "Figure":
    """Best confirmed responses, a bar of 100 % per arm; overall response at its end.

    Raises:
        InputError: As `statistics.response_table`.
    """
    table = statistics.response_table(patients, arms)
    figure = empty_figure(9.5, 1.7 + 0.72 * len(arms))
    axes = figure.add_subplot()
    shown = [name for name in statistics.RESPONSES if table.loc[table["response"] == name, "n"].sum() > 0]
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
        overall = 100 * part.loc[part["response"].isin(statistics.DEPTHS["orr"]), "fraction"].sum()
        text = f"ORR {overall:.0f} %" if part["n"].sum() else "no patient"
        axes.text(101.5, row, text, va="center", weight="bold")
    names = [f"{_name(labels, arm)}\nn = {table.loc[table['arm'] == arm, 'n'].sum()}" for arm in arms]
    axes.set_yticks(range(len(arms)), names)
    axes.set(xlim=(0, 100), ylim=(len(arms) - 0.5, -0.5), xlabel="Patients (%)")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(shown), handlelength=1.0, columnspacing=1.3)
    return figure


@styled
def waterfall(
    trajectory: "pd.DataFrame", patients: "pd.DataFrame", arms: Sequence[str], labels: Labels | None = None
) -> "Figure":
    """Best change of measured M-protein of every patient, coloured by best confirmed response.

    Raises:
        InputError: Where a column is missing.
    """
    change = m_protein_change(trajectory)
    best = change[change["month"] > 0].groupby(["patient", "arm"], observed=True)["change"].min().reset_index()
    done = statistics.completed(patients)[["patient", "arm", "best_response"]]
    best = best.merge(done, on=["patient", "arm"], how="inner")
    figure, panels = _panels(arms, 4.4, share_y=True)
    for axes, arm in zip(panels, arms, strict=True):
        part = best[best["arm"] == arm].sort_values("change", ascending=False, kind="stable")
        colours = [RESPONSE_COLOURS.get(str(name), LIGHT) for name in part["best_response"]]
        axes.bar(
            range(len(part)), 100 * part["change"].clip(upper=1.0), width=1.0, color=colours, edgecolor=colours, lw=0.4
        )
        _marks(axes)
        axes.set_title(f"{_name(labels, arm)} (n = {len(part)})", color=colour(arms, arm))
        axes.set(xlim=(-0.5, max(len(part), 1) - 0.5), ylim=(-105, 105), xlabel="Patients, sorted")
        axes.set_xticks([])
    panels[0].set_ylabel("Best change of M-protein (%)")
    from matplotlib.patches import Patch

    seen = [name for name in statistics.RESPONSES if (best["best_response"] == name).any()]
    handles = [Patch(facecolor=RESPONSE_COLOURS[name], edgecolor=GREY, lw=0.5, label=name) for name in seen]
    figure.legend(handles=handles, loc="outside upper center", ncols=max(len(seen), 1), handlelength=1.0)
    return figure


@styled
def spider(
    trajectory: "pd.DataFrame", patients: "pd.DataFrame", arms: Sequence[str], labels: Labels | None = None
) -> "Figure":
    """Change of measured M-protein of each patient over time; at most 100 patients of an arm, evenly picked.

    Raises:
        InputError: Where a column is missing.
    """
    change = m_protein_change(trajectory)
    done = statistics.completed(patients)[["patient", "arm", "best_response"]]
    change = change.merge(done, on=["patient", "arm"], how="inner")
    figure, panels = _panels(arms, 4.4, share_y=True)
    for axes, arm in zip(panels, arms, strict=True):
        part = change[change["arm"] == arm]
        everyone = np.sort(part["patient"].unique())
        chosen = everyone[np.unique(np.linspace(0, len(everyone) - 1, min(len(everyone), SPIDER_LINES)).astype(int))]
        for _, line in part[part["patient"].isin(chosen)].groupby("patient", observed=True):
            is_response = line["best_response"].iloc[0] in statistics.DEPTHS["orr"]
            axes.plot(
                line["month"],
                100 * line["change"].clip(upper=1.5),
                color=BLUE if is_response else VERMILLION,
                lw=0.9,
                alpha=0.55,
                rasterized=True,
            )
        _marks(axes)
        title = f"{len(chosen)} of {len(everyone)}" if len(chosen) < len(everyone) else f"n = {len(everyone)}"
        axes.set_title(f"{_name(labels, arm)} ({title})", color=colour(arms, arm))
        axes.set(xlabel="Months since randomisation", ylim=(-105, 155))
        axes.set_xlim(left=0)
    panels[0].set_ylabel("Change of M-protein (%)")
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=BLUE, label="PR or better"), Line2D([], [], color=VERMILLION, label="less than PR")]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def m_protein_change(trajectory: "pd.DataFrame") -> "pd.DataFrame":
    """Relative change of the measured M-protein since each patient's first visit: `patient, arm, month, change`.

    Patients whose first visit shows no M-protein are left out.

    Raises:
        InputError: Where a column is missing.
    """
    need(trajectory, "patient", "arm", "day", "m_protein_measured_g_per_l")
    table = trajectory[["patient", "arm", "day", "m_protein_measured_g_per_l"]].sort_values("day", kind="stable")
    first = table.groupby(["patient", "arm"], observed=True)["m_protein_measured_g_per_l"].transform("first")
    table = table.assign(month=table["day"] / DAYS_PER_MONTH)[first > 0]
    return table.assign(change=table["m_protein_measured_g_per_l"] / first[first > 0] - 1.0)[
        ["patient", "arm", "month", "change"]
    ]


@styled
def forest(table: "pd.DataFrame", arm: str, reference: str, level: float = 0.95) -> "Figure":
    """Hazard ratios of subgroups as `statistics.subgroup_table` gives them.

    Args:
        table: Subgroups.
        arm: Label of the arm.
        reference: Label of the arm that it is compared with.
        level: Of the intervals, for the heading [1].
    """
    rows: list[tuple[str, Any]] = []
    previous = ""
    entries: list[Any] = list(table.itertuples(index=False))
    for entry in entries:
        if entry.group and entry.group != previous:
            rows.append((str(entry.group), None))
        previous = str(entry.group)
        rows.append((str(entry.label), entry))
    figure = empty_figure(10.5, 1.5 + 0.36 * len(rows))
    grid = figure.add_gridspec(1, 3, width_ratios=(4.3, 4.2, 2.2), wspace=0.0)
    left, axes, right = (figure.add_subplot(grid[i]) for i in range(3))
    ends = table[["ci_low", "ci_high", "hazard_ratio"]].to_numpy(np.float64)
    low = max(0.1, 0.8 * float(np.nanmin(ends, initial=0.5)))
    high = min(10.0, 1.25 * float(np.nanmax(ends, initial=2.0)))
    largest = max(int((table["n_events_arm"] + table["n_events_reference"]).max()), 1)
    for y, (text, entry) in enumerate(rows):
        is_all = entry is not None and not entry.group
        left.text(
            0.0 if entry is None or is_all else 0.05,
            y,
            text,
            va="center",
            weight="bold" if entry is None or is_all else None,
        )
        if entry is None:
            continue
        left.text(0.80, y, f"{entry.n_events_arm}/{entry.n_arm}", va="center", ha="right")
        left.text(1.0, y, f"{entry.n_events_reference}/{entry.n_reference}", va="center", ha="right")
        if np.isnan(entry.hazard_ratio):
            axes.text((low * high) ** 0.5, y, "no estimate", va="center", ha="center", color=GREY, fontsize=10)
            continue
        inside = min(max(entry.hazard_ratio, low), high)
        size = 5.0 + 7.0 * ((entry.n_events_arm + entry.n_events_reference) / largest) ** 0.5
        axes.plot(inside, y, "D" if is_all else "s", color=VERMILLION if is_all else BLUE, ms=size, zorder=3)
        if np.isnan(entry.ci_low):
            right.text(0.05, y, f"{entry.hazard_ratio:.2f}", va="center")
            continue
        a, b = max(entry.ci_low, low), min(entry.ci_high, high)
        axes.plot([a, b], [y, y], color=BLACK, lw=1.5, solid_capstyle="butt", zorder=2)
        for end, is_cut, mark in ((low, entry.ci_low < low, "<"), (high, entry.ci_high > high, ">")):
            if is_cut:
                axes.plot(end, y, mark, color=BLACK, ms=6)
        right.text(0.05, y, f"{entry.hazard_ratio:.2f} ({entry.ci_low:.2f} to {entry.ci_high:.2f})", va="center")
    axes.axvline(1.0, color=GREY, lw=1.0, zorder=0)
    axes.set_xscale("log")
    axes.set_xlim(low * 0.93, high * 1.07)
    marks = [tick for tick in (0.125, 0.25, 0.5, 1, 2, 4, 8) if low <= tick <= high]
    axes.set_xticks(marks, [f"{tick:g}" for tick in marks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("Hazard ratio")
    axes.spines["left"].set_visible(False)
    for panel in (left, axes, right):
        panel.set_ylim(len(rows) - 0.3, -1.4)
        panel.set_yticks([])
        if panel is not axes:
            panel.set_axis_off()
            panel.set_xlim(0, 1)
    left.text(0.0, -1.0, "Subgroup", weight="bold", va="center")
    left.text(0.80, -1.0, arm, weight="bold", va="center", ha="right", fontsize=11)
    left.text(1.0, -1.0, reference, weight="bold", va="center", ha="right", fontsize=11)
    left.text(0.92, len(rows) - 0.1, "events/patients", va="top", ha="right", fontsize=10, color=GREY)
    axes.annotate(
        f"\N{LEFTWARDS ARROW} {arm} better", (1.0, -1.0), (-6, 0), textcoords="offset points", ha="right", va="center"
    )
    right.text(0.05, -1.0, f"HR ({100 * level:g} % CI)", weight="bold", va="center")
    return figure


@styled
def deaths_by_cause(trajectory: "pd.DataFrame", arms: Sequence[str], labels: Labels | None = None) -> "Figure":
    """What killed the plasma cells of the simulated marrow: a bar of 100 % of their deaths per arm.

    Args:
        trajectory: Columns `deaths_<cause>` count the deaths since the visit before.
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
    sums = trajectory.groupby("arm", observed=True)[columns].sum()
    counts = sums.reindex(list(arms)).fillna(0.0).to_numpy(np.float64)
    n_patients = trajectory.groupby("arm", observed=True)["patient"].nunique()
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
    axes.set_yticks(range(len(arms)), [_name(labels, arm) for arm in arms])
    axes.set(xlim=(0, 100), ylim=(len(arms) - 0.5, -0.5), xlabel="Deaths of plasma cells in the simulated marrow (%)")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    figure.legend(loc="outside upper center", ncols=min(max(n_shown, 1), 4), handlelength=1.0, columnspacing=1.3)
    return figure


class Panel:
    """One panel of `marrow`: a title, the unit on its axis, and the columns that are added up."""

    def __init__(
        self, title: str, unit: str, columns: Sequence[Sequence[str]], scale: float = 1.0, is_log: bool = False
    ) -> None:
        """Take `columns` as alternatives: of each group the first name that the table has."""
        self.title, self.unit, self.columns, self.scale, self.is_log = title, unit, columns, scale, is_log

    def values(self, trajectory: "pd.DataFrame") -> "pd.Series[float] | None":
        """Sum of the columns; None where the table has none of them."""
        found = [next((name for name in names if name in trajectory.columns), None) for names in self.columns]
        present = [name for name in found if name is not None]
        return trajectory[present].sum(axis=1, min_count=1) * self.scale if present else None


PANELS = (
    Panel("Plasma cells", "% of marrow cells", [["plasma_fraction"]], 100.0, True),
    Panel("M-protein", "g/L", [["m_protein_g_per_l"]]),
    Panel("T cells", "cells", [["t_cells"]]),
    Panel("NK cells", "cells", [["nk_cells"]]),
    Panel(
        "Suppressors (Treg, Breg, MDSC)",
        "cells",
        [["tregs", "treg_cells"], ["bregs", "breg_cells"], ["mdscs", "mdsc_cells"]],
    ),
    Panel("Adenosine", "relative concentration", [["adenosine"]]),
)


@styled
def marrow(trajectory: "pd.DataFrame", arms: Sequence[str], labels: Labels | None = None) -> "Figure":
    """What happens in the marrow: median and, of up to three arms, interquartile range over patients.

    A line ends where fewer than a quarter of the arm's patients are still followed: those who are left are the ones who
    do best, and their median would mislead.

    Raises:
        InputError: Where the table has none of the quantities.
    """
    need(trajectory, "patient", "arm", "day")
    drawn = [(panel, values) for panel in PANELS if (values := panel.values(trajectory)) is not None]
    if not drawn:
        raise InputError("visit table: it holds none of the quantities to be drawn")
    n_columns = min(3, len(drawn))
    n_rows = -(-len(drawn) // n_columns)
    figure = empty_figure(4.1 * n_columns, 3.3 * n_rows + 0.5)
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True).ravel()
    keys = trajectory[["patient", "arm"]].assign(month=trajectory["day"] / DAYS_PER_MONTH)
    for axes, (panel, values) in zip(panels, drawn, strict=False):
        for arm in arms:
            part = keys.assign(value=values)[keys["arm"] == arm].dropna(subset=["value"])
            grouped = part.groupby("month")["value"]
            n_everyone = part["patient"].nunique()
            band = grouped.quantile(np.array([0.25, 0.5, 0.75])).unstack()
            band = band[(grouped.size() >= max(LIKE_A_CURVE * n_everyone, 1)).to_numpy()]
            if len(band) == 0:
                continue
            if len(arms) <= MOST_BANDS:
                axes.fill_between(band.index, band[0.25], band[0.75], color=colour(arms, arm), alpha=0.16, lw=0)
            axes.plot(band.index, band[0.5], color=colour(arms, arm), label=_name(labels, arm))
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


@styled
def published(table: "pd.DataFrame") -> "Figure":
    """Published beside simulated results, as `statistics.compare_published` gives them: a dot and an interval each.

    Raises:
        InputError: For an empty table.
    """
    kinds = [
        ("months", "Months", 1.0),
        ("rate", "Patients (%)", 100.0),
        ("ratio", "Hazard ratio of PFS", 1.0),
    ]
    drawn = [kind for kind in kinds if (table["kind"] == kind[0]).any()]
    if not drawn:
        raise InputError("published results: the table is empty")
    sizes = [int((table["kind"] == kind[0]).sum()) for kind in drawn]
    figure = empty_figure(10.0, 0.8 + sum(0.52 * size + 0.95 for size in sizes))
    panels = figure.subplots(
        len(drawn), 1, squeeze=False, gridspec_kw={"height_ratios": [0.52 * s + 0.5 for s in sizes]}
    )
    for axes, (kind, unit, scale), size in zip(panels[:, 0], drawn, sizes, strict=True):
        part = table[table["kind"] == kind]
        entries: list[Any] = list(part.itertuples(index=False))
        open_ends: list[tuple[float, float, str]] = []
        for y, entry in enumerate(entries):
            for name, offset, mark, ink in (("published", -0.16, "D", BLACK), ("simulated", 0.16, "o", BLUE)):
                value, low, high = (scale * getattr(entry, column) for column in (name, f"{name}_low", f"{name}_high"))
                if np.isnan(high) and not np.isnan(low):  # the upper end is not reached
                    open_ends.append((low if np.isnan(value) else value, y + offset, ink))
                low, high = (value if np.isnan(low) else low), (value if np.isnan(high) else high)
                axes.plot([low, high], [y + offset] * 2, color=ink, lw=2.2, solid_capstyle="butt")
                face = "white" if name == "published" else ink
                axes.plot(value, y + offset, mark, color=ink, mfc=face, mew=1.8, ms=8, zorder=3)
            if np.isnan(entry.simulated) and entry.note:  # below the row, where nothing is drawn
                axes.text(
                    1.0,
                    y + 0.27,
                    f"simulated: {entry.note}",
                    transform=axes.get_yaxis_transform(),
                    color=BLUE,
                    ha="right",
                    va="top",
                    fontsize=9,
                )
        axes.set_yticks(
            range(size), [e.who if e.endpoint == "hazard_ratio_pfs" else f"{e.who}: {e.what}" for e in entries]
        )
        axes.set_ylim(size - 0.35, -0.6)
        axes.set_xlabel(unit)
        axes.grid(axis="x", color="#EAEAEA")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        if kind == "ratio":
            axes.set_xscale("log")
            axes.axvline(1.0, color=GREY, lw=1.0, zorder=0)
            low, high = axes.get_xlim()
            low, high = min(low, 0.4), max(high, 1.3)
            marks = [tick for tick in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10) if low <= tick <= high]
            axes.set_xticks(marks, [f"{tick:g}" for tick in marks])
            axes.set_xticks([], minor=True)
            axes.set_xlim(low, high)
        else:
            axes.set_xlim(left=0, right=min(axes.get_xlim()[1] * 1.05, 101.5) if kind == "rate" else None)
        left, right = axes.get_xlim()
        for value, height, ink in open_ends:
            axes.plot([value, right], [height] * 2, color=ink, lw=2.2, solid_capstyle="butt")
            axes.plot(right, height, ">", color=ink, ms=8, clip_on=False)
        axes.set_xlim(left, right)
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=BLACK, marker="D", mfc="white", mew=1.8, ms=8, label="published"),
        Line2D([], [], color=BLUE, marker="o", ms=8, label="simulated"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def save(figure: "Figure | bytes", folder: Path, name: str, kind: str = "svg") -> Path:
    """Write a figure to `folder/name.kind`, making the folder.

    Args:
        figure: What to write; also as `rendered` has given it.
        folder: Where.
        name: File name without ending.
        kind: "svg", "png" or "pdf".

    Raises:
        InputError: For another kind.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{kind}"
    path.write_bytes(figure if isinstance(figure, bytes) else rendered(figure, kind))
    return path


def rendered(figure: "Figure", kind: str = "svg") -> bytes:
    """A figure as the bytes of an "svg", "png" or "pdf" file, the same for the same figure.

    Raises:
        InputError: For another kind.
    """
    import matplotlib

    if kind not in ("svg", "png", "pdf"):
        raise InputError(f"figure: unknown kind '{kind}'{did_you_mean(kind, ('svg', 'png', 'pdf'))}")
    undated = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE), _laid_out(figure, kind):
        figure.savefig(buffer, format=kind, dpi=160, facecolor="white", metadata=undated[kind])
    return buffer.getvalue()


@contextmanager
def _laid_out(figure: "Figure", kind: str) -> Iterator[None]:
    """Lay out a figure that is to become an "svg"; matplotlib by itself draws the whole figure once more to come to the same places."""
    layout = figure.get_layout_engine()
    if kind != "svg" or layout is None:
        yield
        return
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    canvas, dpi = figure.canvas, figure.dpi
    try:
        FigureCanvasSVG(figure)
        figure.dpi = FigureCanvasSVG.fixed_dpi
        layout.execute(figure)
        figure.set_layout_engine(None)
        yield
    finally:
        figure.set_layout_engine(layout)
        figure.set_canvas(canvas)
        figure.dpi = dpi


def data_address(figure: "Figure | bytes", kind: str = "svg") -> str:
    """A figure, or the bytes that `rendered` has given of it, as a `data:` address, for a page that needs no other file."""
    types = {"svg": "image/svg+xml", "png": "image/png"}
    content = figure if isinstance(figure, bytes) else rendered(figure, kind)
    return f"data:{types[kind]};base64,{base64.b64encode(content).decode()}"


def need(table: "pd.DataFrame", *names: str) -> None:
    """Refuse a visit table without a column.

    Raises:
        InputError: Naming it.
    """
    for name in names:
        if name not in table.columns:
            raise InputError(f"visit table: column '{name}' is missing{did_you_mean(name, table.columns)}")


def empty_figure(width: float, height: float) -> "Figure":
    """An empty figure that lays itself out [inch]."""
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained", facecolor="white")


def _panels(arms: Sequence[str], height: float, share_y: bool = False) -> tuple["Figure", list["Axes"]]:
    """A panel per arm, at most three in a row [inch]."""
    n_columns = min(3, len(arms)) or 1
    n_rows = -(-len(arms) // n_columns) or 1
    figure = empty_figure(max(4.2 * n_columns, 6.0), height * n_rows + 0.4)
    panels = list(figure.subplots(n_rows, n_columns, squeeze=False, sharey=share_y).ravel())
    for axes in panels[len(arms) :]:
        axes.set_visible(False)
    return figure, panels[: len(arms)]


def _marks(axes: "Axes") -> None:
    """Lines of no change, of a partial and of a very good partial response."""
    axes.axhline(0, color=BLACK, lw=0.8)
    for level in (-50, -90):
        axes.axhline(level, color=GREY, lw=0.8, ls=(0, (4, 4)))


def _month_ticks(longest: float) -> list[float]:
    """About six to ten round numbers of months from 0."""
    step = next((s for s in (1, 2, 3, 6, 12, 24) if longest / s <= 9), 48)
    return [float(tick) for tick in np.arange(0, longest + 1e-9, step)]


def _name(labels: Labels | None, arm: str) -> str:
    """Label of an arm."""
    return (labels or {}).get(arm, arm)
