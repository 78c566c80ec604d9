"""Figures that compare arms: survival curves, subgroups, published beside simulated. Tables in, matplotlib figures out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.drawing import BLACK, BLUE, GREY, MOST_BANDS, VERMILLION, colour, empty_figure, month_ticks, styled
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.tables import Stored
from tme_abm.trial import survival
from tme_abm.trial.comparison import FEWEST_EVENTS
from tme_abm.trial.published import given_word
from tme_abm.trial.verdict import MISS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Labels = Mapping[str, str]
FEW_PATIENTS = 3  # of an arm in a subgroup, below which their number is drawn instead of an estimate
MOST_IN_A_ROW = 4  # arms in a legend
FAINT = 0.4  # of a curve where few patients are at risk


@styled
def kaplan_meier(
    patients: "pd.DataFrame",
    arms: Sequence[str],
    labels: Labels | None = None,
    level: float = 0.95,
    note: str = "",
) -> "Figure":
    """Progression-free survival with confidence bands (of up to three arms), censoring marks and patients at risk.

    A curve is faint where fewer than `survival.FEW_AT_RISK` patients are at risk: one event there is a long way down.

    Args:
        patients: A row per patient and arm.
        arms: Names, in order.
        labels: What to call them.
        level: Of the bands [1].
        note: Text above the curves, such as a hazard ratio.

    Raises:
        InputError: As `survival.survival`; where no patient completed.
    """
    followed = {arm: times for arm in arms if len((times := survival.survival(patients, arm)).months)}
    if not followed:
        raise InputError("Kaplan-Meier: no patient completed")
    figure = empty_figure(9.0, 5.2 + 0.34 * len(arms))
    grid = figure.add_gridspec(2, 1, height_ratios=(4.6, 0.5 + 0.34 * len(arms)))
    axes = figure.add_subplot(grid[0])
    longest = max(float(times.months.max()) for times in followed.values())
    ticks = month_ticks(longest)
    if len(ticks) > 1 and ticks[-1] < longest:  # up to where nobody is followed any longer
        ticks.append(2 * ticks[-1] - ticks[-2])
    for arm, times in followed.items():
        curve = survival.kaplan_meier(times, level)
        line = colour(arms, arm)
        if len(arms) <= MOST_BANDS:
            axes.fill_between(curve["month"], 100 * curve["ci_low"], 100 * curve["ci_high"], step="post", color=line, alpha=0.16, lw=0)
        axes.step(curve["month"], 100 * curve["survival"], where="post", color=line, alpha=FAINT, lw=1.2)
        firm = curve[curve["at_risk"] >= survival.FEW_AT_RISK]
        axes.step(firm["month"], 100 * firm["survival"], where="post", color=line, label=arm_name(labels, arm))
        lost = curve[curve["n_censored"] > 0]
        axes.plot(lost["month"], 100 * lost["survival"], "|", color=line, ms=7, mew=1.2)
    axes.axhline(50, color=GREY, lw=0.8, ls=(0, (4, 4)), zorder=0)
    axes.set(ylim=(0, 102), xlim=(0, max(longest * 1.02, ticks[-1])), ylabel="Progression-free survival (%)")
    axes.set_xticks(ticks)
    axes.set_xlabel("Months since randomisation")
    figure.legend(loc="outside upper left", ncols=min(len(followed), MOST_IN_A_ROW), title=note or None, alignment="left")
    below = figure.add_subplot(grid[1], sharex=axes)
    _at_risk(below, followed, arms, labels, ticks)
    return figure


def _at_risk(
    axes: "Axes",
    followed: Mapping[str, survival.Survival],
    arms: Sequence[str],
    labels: Labels | None,
    ticks: Sequence[float],
) -> None:
    """Numbers of patients at risk, a line per arm."""
    axes.set(ylim=(len(arms) - 0.4, -0.9))
    axes.text(0, 1.0, "Patients at risk", transform=axes.transAxes, weight="bold", fontsize=11, va="top")
    for row, arm in enumerate(arms):
        counts = survival.at_risk(followed[arm], ticks) if arm in followed else [0] * len(ticks)
        for tick, count in zip(ticks, counts, strict=True):
            axes.text(tick, row + 0.15, str(count), ha="center", va="center", fontsize=11)
    axes.set_yticks([row + 0.15 for row in range(len(arms))], [arm_name(labels, arm) for arm in arms])
    for label, arm in zip(axes.get_yticklabels(), arms, strict=True):
        label.set_color(colour(arms, arm))
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0, labelbottom=False)
    axes.tick_params(axis="y", pad=20)


@styled
def forest(table: "pd.DataFrame", arm: str, reference: str, level: float = 0.95) -> "Figure":
    """Hazard ratios of subgroups as `subgroups.subgroup_table` gives them.

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
        if min(entry.n_arm, entry.n_reference) < FEW_PATIENTS and not is_all:
            axes.text((low * high) ** 0.5, y, _few(entry.n_arm, entry.n_reference), va="center", ha="center", color=GREY, fontsize=10)
            continue
        if np.isnan(entry.hazard_ratio):
            axes.text((low * high) ** 0.5, y, "no estimate", va="center", ha="center", color=GREY, fontsize=10)
            continue
        inside = min(max(entry.hazard_ratio, low), high)
        size = 5.0 + 7.0 * ((entry.n_events_arm + entry.n_events_reference) / largest) ** 0.5
        ink, has_interval = VERMILLION if is_all else BLUE, not np.isnan(entry.ci_low)
        axes.plot(inside, y, "D" if is_all else "s", color=ink, mfc=ink if has_interval else "white", ms=size, zorder=3)
        if not has_interval:
            is_rare = entry.n_events_arm + entry.n_events_reference < FEWEST_EVENTS
            right.text(0.05, y, f"{entry.hazard_ratio:.2f} ({'few events' if is_rare else 'few patients'})", va="center", color=GREY)
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
    axes.annotate(f"\N{LEFTWARDS ARROW} {arm} better", (1.0, -1.0), (-6, 0), textcoords="offset points", ha="right", va="center")
    right.text(0.05, -1.0, f"HR ({100 * level:g} % CI)", weight="bold", va="center")
    return figure


def _few(n_arm: int, n_reference: int) -> str:
    """How few patients a subgroup has, in place of an estimate."""
    if n_arm == n_reference:
        return f"{n_arm} patient{'s' * (n_arm != 1)}"
    return f"{n_arm} and {n_reference} patients"


@styled
def published(table: "pd.DataFrame") -> "Figure":
    """Published beside simulated results, as `published.compare_published` gives them: a dot and an interval each.

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
    panels = figure.subplots(len(drawn), 1, squeeze=False, gridspec_kw={"height_ratios": [0.52 * s + 0.5 for s in sizes]})
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
            if getattr(entry, "verdict", ""):
                axes.annotate(
                    entry.verdict,
                    (1.0, y),
                    (8, 0),
                    xycoords=axes.get_yaxis_transform(),
                    textcoords="offset points",
                    va="center",
                    color=VERMILLION if entry.verdict == MISS else GREY,
                    fontsize=10,
                )
        axes.set_yticks(range(size), [e.who if e.endpoint == "hazard_ratio_pfs" else f"{e.who}: {e.what}" for e in entries])
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
        Line2D([], [], color=BLACK, marker="D", mfc="white", mew=1.8, ms=8, label=given_word(table.get("source", ()))),
        Line2D([], [], color=BLUE, marker="o", ms=8, label="simulated"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def need(table: "pd.DataFrame | Stored", *names: str) -> None:
    """Refuse a visit table without a column.

    Raises:
        InputError: Naming it.
    """
    for name in names:
        if name not in table.columns:
            raise InputError(f"visit table: column '{name}' is missing{did_you_mean(name, table.columns)}")


def arm_name(labels: Labels | None, arm: str) -> str:
    """Label of an arm."""
    return (labels or {}).get(arm, arm)
