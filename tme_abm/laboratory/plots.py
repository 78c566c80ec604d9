"""Figures of the laboratory: curves along a sweep, and courses over time.

Style and colours are those of the trials' figures (`tme_abm.trial.figures`): Okabe and Ito, told apart by colour-blind readers.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.drawing import ARM_COLOURS, GREY, MOST_BANDS, empty_figure, styled
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.laboratory.vocabulary import OBSERVED, READOUTS, SWEEPS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tme_abm.laboratory.course import Line
    from tme_abm.laboratory.curve import Curve
    from tme_abm.laboratory.estimates import Estimate

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
ZERO_GAP = 4.0  # where a sweep starts at zero, it stands at the first value over this on a logarithmic axis


@styled
def sweep_figure(curves: "Sequence[Curve]", samples: "pd.DataFrame") -> "Figure":
    """Curves with intervals, a panel for each panel and readout, and the samples of patients as dots.

    Args:
        curves: All curves of an assay.
        samples: Rows of the patients' samples; may be empty.
    """
    panels = list(dict.fromkeys((c.panel, c.readout) for c in curves))
    labels = list(dict.fromkeys(c.label for c in curves))
    n_columns = min(len(panels), 2)
    n_rows = -(-len(panels) // n_columns)
    figure = empty_figure(5.2 * n_columns + (0.6 if n_columns == 1 else 0.0), 4.2 * n_rows + 0.5)
    grid = figure.subplots(n_rows, n_columns, squeeze=False, sharey=len({readout for _, readout in panels}) == 1)
    for axes in list(grid.ravel())[len(panels) :]:
        axes.set_visible(False)
    for place, (axes, (panel, readout)) in enumerate(zip(grid.ravel(), panels, strict=False)):
        own = [c for c in curves if (c.panel, c.readout) == (panel, readout)]
        for curve in own:
            _curve(axes, curve, labels.index(curve.label))
        _dots(axes, samples, own, labels)
        if place % n_columns == 0 or len({r for _, r in panels}) > 1:
            axes.set_ylabel(_capital(READOUTS[readout].label))
        if panel:
            axes.set_title(panel)
        _sweep_axis(axes, own[0])
    handles, names = [], []
    for axes in grid.ravel():
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            if name not in names:
                handles.append(handle)
                names.append(name)
    figure.legend(handles, names, loc="outside upper center", ncols=columns(figure, names))
    return figure


def _curve(axes: "Axes", curve: "Curve", place: int) -> None:
    x = _shown(curve.x, curve)
    low, high = ([getattr(e, end) for _, e in curve.points] for end in ("low", "high"))
    colour = ARM_COLOURS[place % len(ARM_COLOURS)]
    axes.fill_between(x, low, high, color=colour, alpha=0.16, lw=0)
    axes.plot(x, curve.y, color=colour, ls=DASHES[place % len(DASHES)], marker=MARKERS[place % len(MARKERS)], ms=5.5, label=curve.label)


def _dots(axes: "Axes", samples: "pd.DataFrame", own: "Sequence[Curve]", labels: Sequence[str]) -> None:
    """Patients' samples of the conditions of a panel."""
    for curve in own:
        column = SWEEPS[curve.sweep.over].column
        rows = samples[samples["condition"] == curve.key] if len(samples) else samples
        if len(rows) and rows[column].notna().any():
            place = labels.index(curve.label)
            colour, marker = ARM_COLOURS[place % len(ARM_COLOURS)], MARKERS[place % len(MARKERS)]
            axes.plot(rows[column], rows[READOUTS[curve.readout].column], marker, color=colour, ms=3.2, alpha=0.45, mew=0, zorder=1)


def _shown(values: Sequence[float], curve: "Curve") -> list[float]:
    """Where values stand on the axis: zero has a place of its own on a logarithmic one."""
    positive = [v for v in curve.x if v > 0.0]
    if not SWEEPS[curve.sweep.over].is_log or not positive:
        return list(values)
    return [v if v > 0.0 else positive[0] / ZERO_GAP for v in values]


def _sweep_axis(axes: "Axes", curve: "Curve") -> None:
    """Scale, ticks, label and mark of the horizontal axis."""
    swept = SWEEPS[curve.sweep.over]
    axes.set_xlabel(_capital(swept.label))
    if swept.is_log:
        from matplotlib.ticker import FuncFormatter, NullFormatter

        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        if curve.x[0] == 0.0:
            first = _shown([0.0], curve)[0]
            positive = [v for v in curve.x if v > 0.0]
            decades = [10.0**k for k in range(int(np.ceil(np.log10(positive[0]))), int(np.floor(np.log10(positive[-1]))) + 1)]
            axes.set_xticks([first, *decades], ["0", *(_plain(v) for v in decades)])
    low, high = axes.get_ylim()
    axes.set_ylim(min(0.0, low), max(high, 5.0))
    if curve.sweep.mark is not None:
        axes.axvline(curve.sweep.mark, color=GREY, lw=1.0, ls=(0, (4, 4)), zorder=0)
        if curve.sweep.mark_label:
            place = axes.get_xaxis_transform()
            axes.text(curve.sweep.mark, 0.99, f" {curve.sweep.mark_label}", transform=place, color=GREY, va="top", fontsize=10)


def _plain(value: float) -> str:
    """A number on an axis: thousands as k, millions as M."""
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    return f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# ---- over time -------------------------------------------------------------------------------------------------------

TIME_TICKS = ((0.0, "0"), (1.0, "1 d"), (7.0, "1 wk"), (28.0, "4 wk"), (84.0, "12 wk"), (168.0, "24 wk"), (364.0, "1 y"), (728.0, "2 y"))


@styled
def course_figure(lines: "Sequence[Line]", is_relative: bool) -> "Figure":
    """Quantities over time, a panel each and a line per course, with the intervals of up to three courses.

    Args:
        lines: Every quantity of every course.
        is_relative: Whether to show per cent of the baseline instead of levels.
    """
    names = list(dict.fromkeys(line.name for line in lines))
    labels = list(dict.fromkeys(line.label for line in lines))
    n_columns = min(len(names), 3)
    n_rows = -(-len(names) // n_columns)
    figure = empty_figure(4.3 * n_columns + 0.8 * (n_columns == 1), 3.0 * n_rows + 0.7)
    grid = figure.subplots(n_rows, n_columns, squeeze=False)
    for axes in list(grid.ravel())[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(grid.ravel(), names, strict=False):
        own = [line for line in lines if line.name == name]
        compared = is_relative and any(line.is_relative for line in own)
        for line in own:
            _line(axes, line, labels.index(line.label), compared, len(own) <= MOST_BANDS)
        axes.set_title(_capital(OBSERVED[name].label))
        if compared:
            axes.axhline(100.0, color=GREY, lw=0.8, zorder=0)
        axes.set_ylabel("% of baseline" if compared else OBSERVED[name].unit)
        _time_axis(axes, own)
    handles, shown = grid.ravel()[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, shown, loc="outside upper center", ncols=columns(figure, shown))
    return figure


def _line(axes: "Axes", line: "Line", place: int, is_relative: bool, has_band: bool) -> None:
    """One course in one panel."""
    seen = [(p.hour / HOURS_PER_DAY, p.relative if is_relative else p.level) for p in line.points]
    scale = 100.0 if is_relative else 1.0
    x = [day for day, _ in seen]
    colour = ARM_COLOURS[place % len(ARM_COLOURS)]
    if has_band:
        axes.fill_between(x, [scale * e.low for _, e in seen], [scale * e.high for _, e in seen], color=colour, alpha=0.16, lw=0)
    axes.plot(x, [scale * e.value for _, e in seen], color=colour, ls=DASHES[place % len(DASHES)], label=line.label)
    if line.stop_day is not None and line.stop_day < x[-1]:
        axes.axvline(line.stop_day, color=GREY, lw=1.2, ls=(0, (1.5, 1.5)), zorder=0)


def _time_axis(axes: "Axes", own: "Sequence[Line]") -> None:
    """Days on a square-root scale, so that the first week and the last months can both be seen; the vertical axis starts at zero."""
    last = max(line.points[-1].hour for line in own) / HOURS_PER_DAY
    axes.set_xscale("function", functions=(lambda day: np.sqrt(np.maximum(day, 0.0)), np.square))
    ticks = [(day, name) for day, name in TIME_TICKS if day <= last * 1.01 and (day == 0.0 or day >= last / 60.0)]
    axes.set_xticks([day for day, _ in ticks], [name for _, name in ticks])
    axes.set_xlim(0.0, last)
    axes.set_ylim(bottom=0.0)


@styled
def split_figure(parts: "Mapping[str, Estimate]", words: str) -> "Figure":
    """A change and its parts as bars from the baseline, with intervals."""
    figure = empty_figure(7.4, 1.3 + 0.75 * len(parts))
    axes = figure.add_subplot()
    for place, (name, part) in enumerate(parts.items()):
        colour = GREY if name == "all" else ARM_COLOURS[(place - 1) % len(ARM_COLOURS)]
        axes.barh(place, 100.0 * part.value, color=colour, height=0.6)
        if part.low == part.low:
            axes.plot([100.0 * part.low, 100.0 * part.high], [place, place], color="black", lw=1.6)
        beside, side = (0.6, "left") if part.value <= 0.0 else (-0.6, "right")  # on the empty side of zero
        axes.text(beside, place, f"{100.0 * part.value:+.0f} %", va="center", ha=side)
    axes.axvline(0.0, color="black", lw=1.0)
    axes.set_yticks(range(len(parts)), ["whole" if name == "all" else name for name in parts])
    axes.set_ylim(len(parts) - 0.5, -0.5)
    low, high = axes.get_xlim()
    axes.set_xlim(low - 2.0, max(high, 8.0))
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"Effect on {words} (% of baseline)")
    return figure


def columns(figure: "Figure", names: Sequence[str]) -> int:
    """How many columns of a legend fit above a figure."""
    inches = 0.105 * max(len(name) for name in names) + 0.85
    return max(1, min(len(names), int(figure.get_figwidth() / inches)))
