"""Figures of an experiment on mice: tables in, matplotlib figures out, in the style and the colours of the trials."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.drawing import BLACK, BLUE, GREEN, GREY, LIGHT, ORANGE, PURPLE, SKY, VERMILLION, styled
from tme_abm.foundation.errors import InputError
from tme_abm.trial.marrow_figures import deaths_by_cause

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from tme_abm.pharmacology.regimen import Regimen

ARM_COLOURS = (GREY, BLUE, ORANGE, VERMILLION, GREEN, PURPLE, SKY, BLACK)
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)))
WIDE_BAR = 12.0  # inhibition from which a bar has room for its number [%]
MARKS = ("o", "s", "^")  # with the dashes: doses of the same drugs


def look(arms: Sequence["Regimen"]) -> dict[str, tuple[str, Any, str]]:
    """Colour, dash and mark of each arm: arms of the same drugs at several doses share the colour and differ in the others."""
    colours: dict[tuple[str, ...], str] = {}
    seen: dict[tuple[str, ...], int] = {}
    found = {}
    for arm in arms:
        colour = colours.setdefault(arm.drugs, ARM_COLOURS[len(colours) % len(ARM_COLOURS)])
        dose = seen.get(arm.drugs, 0) % len(DASHES)
        found[arm.key] = (colour, DASHES[dose], MARKS[dose])
        seen[arm.drugs] = seen.get(arm.drugs, 0) + 1
    return found


@styled
def growth(table: "pd.DataFrame", arms: Sequence["Regimen"]) -> "Figure":
    """Median volume with its median absolute deviation against time, and the days of treatment below.

    Args:
        table: Rows of one variant: `arm, mouse, day, volume_mm3`.
        arms: The regimens, the control among them.
    """
    drugs = list(dict.fromkeys(drug for arm in arms for drug in arm.drugs))
    figure = empty(9.0, 5.2 + 0.34 * len(drugs))
    grid = figure.add_gridspec(2, 1, height_ratios=(4.6, 0.25 + 0.34 * max(len(drugs), 1)))
    axes = figure.add_subplot(grid[0])
    looks = look(arms)
    last = float(table["day"].max())
    for arm in arms:
        by_day = table[table["arm"] == arm.key].groupby("day")["volume_mm3"]
        median = by_day.median()
        spread = by_day.agg(lambda volumes: (volumes - volumes.median()).abs().median())
        colour, dash, mark = looks[arm.key]
        axes.errorbar(
            median.index, median, yerr=spread, color=colour, ls=dash, marker=mark, ms=5.5, capsize=3, elinewidth=1.2, label=arm.label
        )
    axes.set(ylim=(0, None), xlim=(-0.4, last + 0.4), ylabel="Tumour volume (mm\N{SUPERSCRIPT THREE})")
    axes.tick_params(labelbottom=False)
    axes.legend(loc="upper left", handlelength=3.4)
    below = figure.add_subplot(grid[1], sharex=axes)
    for row, drug in enumerate(drugs):
        days = given_days(arms, drug, last)
        below.plot(days, [row] * len(days), "|", color=BLACK, ms=12, mew=2)
    below.set_yticks(range(len(drugs)), drugs)
    below.set_xticks(np.arange(0, last + 1, 7 if last > 14 else 2))
    below.set(ylim=(len(drugs) - 0.4, -0.6), xlabel="Days since the start of treatment")
    below.spines["left"].set_visible(False)
    below.tick_params(axis="y", length=0)
    return figure


def given_days(arms: Sequence["Regimen"], drug: str, last: float) -> list[int]:
    """Days since the start (0 is the first) on which any arm gives a drug."""
    days = {
        int(arm.rhythm.start(cycle)) + day - 1
        for arm in arms
        for dose in arm.doses
        if dose.drug == drug
        for cycle in range(1, 1 + arm.rhythm.begun(last + 1.0))
        if dose.holds_in(cycle)
        for day in dose.days
        if arm.stop_day is None or arm.rhythm.start(cycle) + day - 1 < arm.stop_day
    }
    return sorted(day for day in days if day <= last)


@styled
def inhibition(variant: Mapping[str, Any], shown: Sequence[str]) -> "Figure":
    """Inhibition of growth by each treated arm, with intervals, the expectation of Bliss and what was published."""
    from matplotlib.lines import Line2D

    rows = variant["arms"]
    expected = {pair["arm"]: pair["bliss_percent"] for pair in variant["combinations"]}
    figure = empty(9.0, 1.6 + 0.62 * len(shown))
    axes = figure.add_subplot()
    for y, key in enumerate(shown):
        row = rows[key]
        colour = VERMILLION if key in expected else BLUE
        value = row["tgi_percent"]
        axes.barh(y, value, height=0.56, color=colour, alpha=0.75)
        axes.plot([row["tgi_low"], row["tgi_high"]], [y, y], color=BLACK, lw=1.6)
        is_wide = value >= WIDE_BAR  # the number of a bar stands at its root, where no published point is
        axes.text(
            1.5 if is_wide else max(row["tgi_high"], value) + 2.0, y, f"{value:.0f} %", va="center", color="white" if is_wide else BLACK
        )
        if key in expected:
            axes.plot([expected[key]] * 2, [y - 0.36, y + 0.36], color=BLACK, lw=3)
        if "published_tgi_percent" in row:
            point = row["published_tgi_percent"]
            axes.plot(point, y, "D", mfc="white", mec=BLACK, ms=9, mew=1.6)
            axes.annotate(f"{point:.0f}", (point, y - 0.3), (0, 2), textcoords="offset points", ha="center", va="bottom", fontsize=9)
    axes.axvline(100, color=GREY, lw=0.8, ls=(0, (4, 4)))
    axes.set_yticks(range(len(shown)), [rows[key]["label"] for key in shown])
    right = max(122.0, *(rows[key]["tgi_high"] + 14.0 for key in shown))
    left = min(0.0, *(rows[key]["tgi_low"] for key in shown))
    axes.set(ylim=(len(shown) - 0.4, -0.6), xlim=(left, right), xlabel="Inhibition of growth (%); above 100 % tumours shrink")
    axes.tick_params(axis="y", length=0)
    handles = [Line2D([], [], color=BLACK, lw=1.6, label="95 % interval")]
    if expected:
        handles.append(Line2D([], [], color=BLACK, lw=0, marker="|", ms=16, mew=3, label="expected after Bliss"))
    if any("published_tgi_percent" in rows[key] for key in shown):
        handles.append(Line2D([], [], color=BLACK, lw=0, marker="D", mfc="white", ms=9, mew=1.6, label="published"))
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


@styled
def waterfall(table: "pd.DataFrame", arms: Sequence["Regimen"], day: float) -> "Figure":
    """Change of the volume of each mouse's tumour, sorted within its arm; a logarithmic scale of folds."""
    figure = empty(max(7.0, 0.9 + 1.35 * len(arms)), 4.8)
    axes = figure.add_subplot()
    looks = look(arms)
    at, ticks = 0.0, []
    folds = {}
    for arm in arms:
        part = table[table["arm"] == arm.key].pivot(index="mouse", columns="day", values="volume_mm3")
        folds[arm.key] = np.sort((part[day] / part[0.0]).to_numpy(float))[::-1]
    least = min(float(fold.min()) for fold in folds.values())
    low = 0.02 if least < 0.1 else 0.1
    for arm in arms:
        fold = folds[arm.key]
        x = at + np.arange(fold.size)
        fill = looks[arm.key][0]
        axes.bar(x, np.log10(np.maximum(fold, low)), width=0.9, color=fill, ec="white")
        axes.plot(x[fold <= low], [np.log10(low) - 0.06] * int((fold <= low).sum()), "v", color=fill, ms=5)
        ticks.append((float(x.mean()), arm.label))
        at += fold.size + 2.0
    axes.axhline(0, color=BLACK, lw=0.8)
    marks = [f for f in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if f >= low]
    axes.set_yticks(np.log10(marks), [f"\N{LESS-THAN OR EQUAL TO}{f:g}" if f == low else f"{f:g}" for f in marks])
    axes.set_xticks([x for x, _ in ticks], [broken(label) for _, label in ticks])
    axes.tick_params(axis="x", length=0)
    axes.set(ylabel=f"Volume on day {day:g} over that at the start", xlabel="Each bar a mouse, sorted within its arm")
    return figure


@styled
def variants(summary: Mapping[str, Any], labels: Mapping[str, str]) -> "Figure":
    """The combination and the expectation of Bliss, for the experiment and each of its variants; a panel per combination."""
    pairs = summary["variants"][0]["combinations"]
    names = [variant["label"] for variant in summary["variants"]]
    figure = empty(4.6 + 3.6 * len(pairs), 1.9 + 0.62 * len(names))
    panels = figure.subplots(1, len(pairs), squeeze=False, sharey=True)[0]
    words = []
    for place in (0, 1):
        named = {labels[pair["singles"][place]] for pair in pairs}
        words.append(f"{named.pop() if len(named) == 1 else 'the partner'} alone")
    for i, axes in enumerate(panels):
        for y, variant in enumerate(summary["variants"]):
            pair = variant["combinations"][i]
            together, expected = pair["tgi_percent"], pair["bliss_percent"]
            axes.plot([expected, together], [y, y], color=VERMILLION if together >= expected else GREY, lw=3, zorder=1)
            axes.plot(expected, y, "|", color=BLACK, ms=18, mew=3, label="expected after Bliss" if y == 0 else None)
            axes.plot(together, y, "o", color=VERMILLION, ms=10, label="together" if y == 0 else None)
            for offset, key in ((-0.17, pair["singles"][0]), (0.17, pair["singles"][1])):
                colour = BLUE if offset < 0 else SKY
                name = words[key == pair["singles"][1]] if y == 0 else None
                axes.plot(variant["arms"][key]["tgi_percent"], y + offset, "o", color=colour, ms=6, label=name)
        axes.axvline(100, color=GREY, lw=0.8, ls=(0, (4, 4)))
        axes.set(xlabel="Inhibition of growth (%)", ylim=(len(names) - 0.4, -0.6))
        axes.set_xlim(min(0.0, axes.get_xlim()[0]), 118)
        axes.set_title(labels[pairs[i]["arm"]])
        axes.grid(axis="y", color=LIGHT, lw=0.6)
        axes.tick_params(axis="y", length=0)
    panels[0].set_yticks(range(len(names)), names)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def deaths(table: "pd.DataFrame", arms: Sequence[str], labels: Mapping[str, str], day: float) -> "Figure":
    """Of what the tumour cells of each arm died up to a day."""
    rows = table[table["day"] == day].rename(columns={"mouse": "patient"})
    if not len(rows):
        raise InputError(f"no measurement on day {day:g}")
    figure = deaths_by_cause(rows, arms, labels)
    axes = figure.axes[0]
    axes.set_xlabel("Deaths of tumour cells in the section (%)")
    for text in axes.texts:
        text.set_text(text.get_text().replace("per patient", "per mouse"))
    return figure


def broken(label: str) -> str:
    """A label over several lines."""
    return label if len(label) < 10 else label.replace(" + ", " +\n")


def empty(width: float, height: float) -> "Figure":
    """An empty figure that lays itself out [inch]."""
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained", facecolor="white")
