"""An attribution as a page, as sentences and as figures."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.analysis.attribution.question import MEASURES

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def write_page(folder: Path, summary: Mapping[str, Any], tables: tuple["pd.DataFrame", "pd.DataFrame", "pd.DataFrame"]) -> Path:
    """Write report.html and figures/ from the tables (shares, knock-outs, deaths)."""
    from tme_abm import drawing
    from tme_abm.trial.report import page

    shares, knock_outs, deaths = tables
    drawn = dict(draw(summary, shares, knock_outs, deaths))
    for key, figure in drawn.items():
        drawing.save(figure, folder / "figures", key)
    text = page(
        "attribution.html.j2",
        title=f"Where the benefit comes from: {summary['title']}",
        summary=summary,
        labels=summary["labels"],
        shares=shares.to_dict("records"),
        knock_outs=knock_outs.to_dict("records"),
        figures={key: drawing.data_address(figure) for key, figure in drawn.items()},
        words=partial(words, labels=summary["mechanisms"]),
    )
    target = folder / "report.html"
    target.write_text(text, encoding="utf-8")
    return target


def words(name: str, labels: Mapping[str, str]) -> str:
    """A mechanism, or several that are off together, as a reader would call it.

    Args:
        name: Names with a plus between them.
        labels: Name -> label of the mechanisms of the study, those from outside among them.
    """
    labels = {"nothing": "nothing (the whole arm)", **labels}
    return " + ".join(labels.get(part, part.replace("_", " ")) for part in name.split("+"))


def in_words(summary: Mapping[str, Any]) -> list[str]:
    """The gains and their shares, a line for each."""
    lines = []
    names = summary["mechanisms"]
    labels, level = summary["labels"], f"{100.0 * summary['level']:g} %"
    for comparison in summary["comparisons"]:
        for measure, found in comparison["measures"].items():
            low, high = found["gain_ci"]
            text = f"{labels[comparison['arm']]} over {labels[comparison['reference']]}: {found['gain']:+.2f} {MEASURES[measure].words}"
            text += f" within {summary['horizon_months']:.1f} months" if measure == "pfs_months" else ""
            lines.append(f"{text} ({level} interval {low:+.2f} to {high:+.2f})")
            for row in found["shares"]:
                text = f"  {words(row['mechanism'], names):<28}{row['value']:+7.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
                if row["share"] is not None:
                    text += f"  {round(100.0 * row['share'])} %"
                lines.append(text)
            if found["shares"] and abs(found["other"]) > 1e-9:
                lines.append(f"  {'all else':<28}{found['other']:+7.3f}")
    return lines


def draw(
    summary: Mapping[str, Any], shares: "pd.DataFrame", knock_outs: "pd.DataFrame", deaths: "pd.DataFrame"
) -> Iterator[tuple[str, "Figure"]]:
    """The figures, by name."""
    from tme_abm import drawing
    from tme_abm.trial import marrow_figures

    for i, comparison in enumerate(summary["comparisons"], 1):
        is_here = (shares["arm"] == comparison["arm"]) & (shares["reference"] == comparison["reference"])
        if is_here.any():
            yield f"shares_{i}", drawing.styled(draw_shares)(shares[is_here], comparison, summary)
        is_here = (knock_outs["arm"] == comparison["arm"]) & (knock_outs["reference"] == comparison["reference"])
        if is_here.any():
            yield f"knock_outs_{i}", drawing.styled(draw_knock_outs)(knock_outs[is_here], summary)
    if len(deaths):
        wide = deaths.assign(column="deaths_" + deaths["cause"]).pivot(index="arm", columns="column", values="deaths").fillna(0.0)
        # one row per patient is what the figure of the trial report divides by
        table = wide.reset_index().assign(patient=0)
        for name in wide.columns:
            table[name] = table[name] / max(summary["completed"], 1)
        yield "deaths_by_cause", marrow_figures.deaths_by_cause(table, list(summary["labels"]), summary["labels"])


def draw_shares(table: "pd.DataFrame", comparison: Mapping[str, Any], summary: Mapping[str, Any]) -> "Figure":
    """What each mechanism adds, a panel for each measure, the largest share of the last measure on top, with intervals."""
    from matplotlib.figure import Figure

    from tme_abm import drawing

    titles = {
        "pfs_months": f"Mean PFS within {summary['horizon_months']:.1f} months [month]",
        "burden_log10": "Tumour burden at visit 2 [powers of ten less]",
    }
    names = table[table["measure"] == "burden_log10"].sort_values("value", ascending=False)["mechanism"].tolist()
    fig = Figure((12.0, 1.9 + 0.46 * len(names)), layout="constrained", facecolor="white")
    for axes, measure in zip(fig.subplots(1, 2, sharey=True), titles, strict=True):
        rows = table[table["measure"] == measure].set_index("mechanism").loc[names]
        axes.barh(range(len(names)), rows["value"], color=drawing.BLUE, height=0.62, alpha=0.85)
        axes.hlines(range(len(names)), rows["low"], rows["high"], color=drawing.BLACK, lw=1.8)
        right, left = float(max(rows["high"].max(), 0.0)), float(min(rows["low"].min(), 0.0))
        span = max(right - left, 1e-6)
        for y, (value, share) in enumerate(zip(rows["value"], rows["share"], strict=True)):
            text = f"{value:+.2f}" + (f"  ({round(100 * share)} %)" if share == share else "")
            axes.text(right + 0.03 * span, y, text, va="center", fontsize=11)
        axes.axvline(0.0, color=drawing.BLACK, lw=0.8)
        axes.set_yticks(range(len(names)), [words(name, summary["mechanisms"]) for name in names])
        axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(left - 0.02 * span, right + 0.3 * span))
        axes.set_xlabel(titles[measure])
        axes.set_title(f"gain {comparison['measures'][measure]['gain']:+.2f}")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    labels = summary["labels"]
    fig.suptitle(f"{labels[comparison['arm']]} over {labels[comparison['reference']]}", fontsize=14, weight="bold")
    return fig


def draw_knock_outs(table: "pd.DataFrame", summary: Mapping[str, Any]) -> "Figure":
    """The knock-out matrix as a table coloured by how far each number lies from that of the whole arm."""
    from matplotlib.figure import Figure

    columns = {  # column -> heading, decimals, factor, whether small numbers are the better ones
        "median_pfs_months": ("median PFS\n[month]", 1, 1.0, False),
        "mean_pfs_months": ("mean PFS\n[month]", 2, 1.0, False),
        "orr": ("ORR\n[%]", 0, 100.0, False),
        "hr_reference": ("HR against the\nwhole reference", 2, 1.0, True),
        "hr_same": ("HR against the\nreference without", 2, 1.0, True),
        "hr_full": ("HR, whole arm\nagainst this", 2, 1.0, False),
        "gain_kept": ("gain kept\n[%]", 0, 100.0, False),
    }
    rows = table.reset_index(drop=True)
    shade = np.zeros((len(rows), len(columns)))
    for j, (name, (_, _, _, is_low_better)) in enumerate(columns.items()):
        values = rows[name].to_numpy(np.float64)
        values = np.log(values) if name.startswith("hr_") else values
        away = (values - values[0]) * (-1.0 if is_low_better else 1.0)
        most = np.nanmax(np.abs(away)) if np.isfinite(away).any() else 0.0
        shade[:, j] = np.nan_to_num(away / most) if most > 0.0 else 0.0
    fig = Figure((11.5, 1.8 + 0.4 * len(rows)), layout="constrained", facecolor="white")
    axes = fig.add_subplot()
    axes.imshow(shade, cmap="RdBu", vmin=-1.6, vmax=1.6, aspect="auto")
    for j, (name, (_, digits, factor, _)) in enumerate(columns.items()):
        for y, value in enumerate(rows[name].to_numpy(np.float64)):
            text = f"{factor * value:.{digits}f}" if value == value else "not reached" if name.startswith("median") else "-"
            axes.text(j, y, text, ha="center", va="center", fontsize=11)
    axes.set_yticks(range(len(rows)), [fill(words(name, summary["mechanisms"]), 34) for name in rows["without"]])
    axes.set_xticks(range(len(columns)), [heading for heading, *_ in columns.values()], fontsize=9.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_ylabel("without")
    for spine in axes.spines.values():
        spine.set_visible(False)
    return fig
