"""The figures of a sweep: response curves with bands, heat maps, and clouds where the points were drawn."""

from collections.abc import Collection, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.analysis.sweep.form import Axis, Sweep
from tme_abm.analysis.sweep.tables import OF_ARMS, OF_COMPARISONS, OUTCOMES
from tme_abm.drawing import ARM_COLOURS, BLACK, GREY, MOST_BANDS, empty_figure, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pair = tuple[str, str]  # arm and reference
SHADES = "cividis"  # read alike with any colour vision, and in print
SEVERAL = 4  # values of the second axis that get a curve of their own
COLUMNS = 3
LINE = 56  # characters of the words below an axis that stand beside each other in a panel


def draw(sweep: Sweep, table: "pd.DataFrame", labels: Mapping[str, str]) -> dict[str, "Figure"]:
    """The figures by name."""
    axes = sweep.form.axes
    if sweep.form.design != "grid":
        return {f"cloud_{key}": _cloud(table, key, axes[key], labels, sweep.title) for key in axes}
    figures = {}
    first, *others = sorted(axes, key=lambda key: axes[key].choices is not None)  # numbers make the better x-axis
    if not others or int(table[others[0]].nunique()) <= SEVERAL:
        figures["response"] = _response(table, (first, *others), axes, labels, sweep.title)
    if len(others) == 1:
        figures["heat_map"] = _heat_maps(table, (first, others[0]), axes, labels, sweep.title)
    return figures


def _panels(table: "pd.DataFrame", only_comparisons: bool = False) -> list[str]:
    """Outcomes that vary, in the order of `OUTCOMES`; all that are known where none does, which is an answer too."""
    names = (() if only_comparisons else OF_ARMS) + OF_COMPARISONS
    places = {name: table.loc[table["outcome"] == name, "value"].nunique() for name in names}  # without NaN
    known = [name for name in names if places[name]]
    return [name for name in known if OUTCOMES[name].is_comparison or places[name] > 1] or known


def _frame(n: int, title: str) -> tuple["Figure", list["Axes"]]:
    columns = min(COLUMNS, n)
    rows = -(-n // columns)
    figure = empty_figure(max(4.6 * columns, 6.0), 3.5 * rows + 1.1)
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for spare in panels[n:]:
        spare.set_visible(False)
    figure.suptitle(title, fontsize=14, fontweight="bold", x=0.01, ha="left")
    return figure, panels[:n]


def _positions(values: Sequence[Any]) -> tuple[list[float], list[str] | None]:
    """Where the places of an axis stand, and their words where they are no numbers."""
    if all(isinstance(value, int | float | np.number) for value in values):
        return [float(value) for value in values], None
    return [float(i) for i in range(len(values))], [str(value) for value in values]


def _order(axis: Axis, key: str, table: "pd.DataFrame") -> list[Any]:
    """The places of an axis in the order of its file."""
    if axis.choices is not None:
        return [choice.label for choice in axis.choices]
    if axis.values is not None:
        return list(axis.values)
    return sorted(table[key].unique())


@styled
def _response(table: "pd.DataFrame", keys: Sequence[str], axes: Mapping[str, Axis], labels: Mapping[str, str], title: str) -> "Figure":
    """Each outcome over the first axis, a curve with its band for each arm and each value of the second axis."""
    names = _panels(table)
    figure, panels = _frame(len(names), title)
    key, other = keys[0], keys[1] if len(keys) > 1 else None
    order = _order(axes[key], key, table)
    x, words = _positions(order)
    is_log = words is None and _is_geometric(x)
    untouched = _untouched(table, other)
    handles: dict[str, Any] = {}
    for panel, name in zip(panels, names, strict=True):
        part, outcome = table[table["outcome"] == name], OUTCOMES[name]
        curves = _curves(part, other, untouched)
        for number, (at, group) in enumerate(curves):
            label = _curve_label(at, labels)
            ink = ARM_COLOURS[(list(handles).index(label) if label in handles else len(handles)) % len(ARM_COLOURS)]
            found = group.set_index(key).reindex(order)
            value, low, high = (found[c].to_numpy(np.float64) * outcome.factor for c in ("value", "low", "high"))
            if words is None and len(curves) <= MOST_BANDS:
                panel.fill_between(x, low, high, color=ink, alpha=0.18, lw=0)
                handles.setdefault(label, panel.plot(x, value, "o-", color=ink, ms=5)[0])
                continue
            place = _beside(np.array(x), number, len(curves), is_log)
            panel.vlines(place, low, high, color=ink, lw=2, alpha=0.6)
            handles.setdefault(label, panel.plot(place, value, "o-" if words is None else "o", color=ink, ms=6, lw=1.4)[0])
        _dress(panel, name, axes[key].label, words, x)
        if is_log:
            panel.set_xscale("log")
            panel.set_xticks(x, [f"{value:g}" for value in x], minor=False)
            panel.set_xticks([], minor=True)
    figure.legend(list(handles.values()), list(handles), loc="outside lower left", ncols=min(len(handles), 3))
    return figure


def _curves(part: "pd.DataFrame", other: str | None, untouched: Collection[Pair]) -> list[tuple[tuple[str, str, str], "pd.DataFrame"]]:
    """(arm, reference, place on the second axis) -> its rows; an arm that the second axis does not touch is one curve."""
    found = []
    for (arm, reference), group in part.groupby(["arm", "reference"], sort=False):
        if other is None:
            found.append(((str(arm), str(reference), ""), group))
            continue
        places = list(group.groupby(other, sort=False))
        if (arm, reference) in untouched:
            found.append(((str(arm), str(reference), ""), places[0][1]))
        else:
            found += [((str(arm), str(reference), str(place)), rows) for place, rows in places]
    return found


def _untouched(table: "pd.DataFrame", other: str | None) -> set[Pair]:
    """Pairs of arm and reference whose every outcome is the same at all places of the second axis."""
    if other is None:
        return set()
    found = set()
    for (arm, reference), group in table.groupby(["arm", "reference"], sort=False):
        values = [rows.sort_values(["outcome", "point"])["value"].to_numpy() for _, rows in group.groupby(other, sort=False)]
        if all(np.array_equal(values[0], own, equal_nan=True) for own in values):
            found.add((str(arm), str(reference)))
    return found


def _beside(x: np.ndarray[Any, Any], number: int, n: int, is_log: bool) -> np.ndarray[Any, Any]:
    """Places a little beside each other, so that intervals can be told apart."""
    shift = number - (n - 1) / 2.0
    if is_log:
        return np.asarray(x * 1.035**shift)
    gap = float(np.diff(np.sort(x)).min()) if len(x) > 1 else 1.0
    return np.asarray(x + 0.6 * gap / max(n, 5) * shift)


def _curve_label(at: tuple[str, str, str], labels: Mapping[str, str]) -> str:
    arm, reference, place = at
    text = labels[arm] if not reference else f"{labels[arm]} against {labels[reference]}"
    return f"{text}, {place}" if place else text


def _is_geometric(x: Sequence[float]) -> bool:
    """Whether numbers span so much that a log scale shows them better."""
    return len(x) > 2 and min(x) > 0.0 and max(x) / min(x) >= 8.0


def _dress(panel: "Axes", name: str, label: str, words: Sequence[str] | None, x: Sequence[float]) -> None:
    """Title, axes and the line of no difference."""
    outcome = OUTCOMES[name]
    panel.set_title(outcome.words, fontsize=11.5)
    panel.set_xlabel(label)
    if words is not None:
        room = LINE // max(len(words), 1)
        lines = [fill(word, room, break_long_words=False, break_on_hyphens=False) for word in words]
        fits = all(len(line) <= room for text in lines for line in text.split("\n"))
        panel.set_xticks(
            list(x), lines if fits else list(words), rotation=0 if fits else 25, ha="center" if fits else "right", fontsize=9.5
        )
        panel.set_xlim(min(x) - 0.6, max(x) + 0.6)
    if outcome.nothing is not None:
        panel.axhline(outcome.nothing, color=GREY, lw=1.0, ls=(0, (4, 4)), zorder=0)
    if name in ("hazard_ratio", "mean_pfs_ratio"):
        _log_ratio(panel)


def _round_ticks(panel: "Axes", low: float, high: float) -> None:
    """Round numbers along a log scale."""
    ticks = [m * 10.0**e for e in range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1) for m in (1, 2, 5)]
    ticks = [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    panel.set_xticks([], minor=True)


def _log_ratio(panel: "Axes") -> None:
    """A log scale with round ratios where something is seen."""
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    ticks = [t for t in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0) if low <= t <= high]
    panel.set_yticks(ticks, [f"{t:g}" for t in ticks], minor=False)
    panel.set_yticks([], minor=True)


@styled
def _heat_maps(table: "pd.DataFrame", keys: tuple[str, str], axes: Mapping[str, Axis], labels: Mapping[str, str], title: str) -> "Figure":
    """Each outcome over two axes: of the comparisons, or of the arms where nothing is compared."""
    compared = bool((table["reference"] != "").any())
    jobs = []
    for name in _panels(table):
        part = table[table["outcome"] == name]
        for (arm, reference), group in part.groupby(["arm", "reference"], sort=False):
            if group["value"].nunique() > 1 and (not compared or reference or name in ("mean_pfs_months", "vgpr_or_better")):
                jobs.append((name, str(arm), str(reference), group))
    figure, panels = _frame(max(len(jobs), 1), title)
    columns, rows = (_order(axes[key], key, table) for key in keys)
    for panel, (name, arm, reference, group) in zip(panels, jobs, strict=False):
        grid = group.pivot(index=keys[1], columns=keys[0], values="value").reindex(index=rows, columns=columns)
        values = grid.to_numpy(np.float64) * OUTCOMES[name].factor
        image = panel.imshow(values, cmap=SHADES, aspect="auto", origin="lower")
        middle = (np.nanmin(values) + np.nanmax(values)) / 2.0
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                ink = "white" if value < middle else BLACK
                panel.text(column, row, _in_cell(value, name), ha="center", va="center", color=ink, fontsize=10)
        who = labels[arm] if not reference else f"{labels[arm]} against {labels[reference]}"
        panel.set_title(f"{OUTCOMES[name].words}\n{who}", fontsize=10.5)
        panel.set_xticks(range(len(columns)), [_word(value) for value in columns], fontsize=9.5)
        panel.set_yticks(range(len(rows)), [_word(value) for value in rows], fontsize=9.5)
        panel.set_xlabel(axes[keys[0]].label)
        panel.set_ylabel(axes[keys[1]].label)
        panel.spines[:].set_visible(False)
        panel.tick_params(length=0)
        figure.colorbar(image, ax=panel, shrink=0.9).outline.set_visible(False)
    return figure


def _in_cell(value: float, name: str) -> str:
    return f"{value:.0f}" if OUTCOMES[name].factor == 100.0 else f"{value:.2f}"


def _word(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


@styled
def _cloud(table: "pd.DataFrame", key: str, axis: Axis, labels: Mapping[str, str], title: str) -> "Figure":
    """Each outcome over one axis, all points with a running median and the middle half."""
    names = _panels(table)
    figure, panels = _frame(len(names), title)
    order = _order(axis, key, table) if axis.low is None else []
    handles: dict[str, Any] = {}
    for panel, name in zip(panels, names, strict=True):
        part = table[table["outcome"] == name]
        words = None
        x: list[float] = []
        for at, group in _curves(part, None, ()):
            label = _curve_label(at, labels)
            ink = handles[label].get_color() if label in handles else ARM_COLOURS[len(handles) % 8]
            if axis.low is None:
                places, words = _positions(order)
                x = [places[order.index(value)] for value in group[key]]
            else:
                x = group[key].to_numpy(np.float64).tolist()
            y = group["value"].to_numpy(np.float64) * OUTCOMES[name].factor
            handles.setdefault(label, panel.plot(x, y, "o", color=ink, ms=4, alpha=0.6, mew=0)[0])
            centre, low, middle, high = _running(np.array(x), y)
            panel.fill_between(centre, low, high, color=ink, alpha=0.18, lw=0)
            panel.plot(centre, middle, "-", color=ink)
        _dress(panel, name, axis.label, words, list(range(len(order))) if words else x)
        if axis.scale == "log" and axis.low is not None and axis.high is not None:
            panel.set_xscale("log")
            _round_ticks(panel, axis.low, axis.high)
    figure.legend(list(handles.values()), list(handles), loc="outside lower left", ncols=min(len(handles), 3))
    return figure


def _running(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
    """Quartiles of the points in bins of alike many."""
    order = np.argsort(x, kind="stable")
    bins = np.array_split(order, max(min(8, len(order) // 4), 1))
    found = [(np.median(x[b]), *np.nanquantile(y[b], [0.25, 0.5, 0.75])) for b in bins if np.isfinite(y[b]).any()]
    return tuple(np.array(column) for column in zip(*found, strict=True)) if found else (np.empty(0),) * 4
