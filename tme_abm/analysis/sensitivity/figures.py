"""The figures of a sensitivity analysis: the strongest numbers of each outcome, and Morris's plane."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.drawing import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, empty_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRONGEST = 15
NAMED = 6  # points of Morris's plane that carry their names
GRADE_COLOURS = {"A": VERMILLION, "M-low": ORANGE, "M": PURPLE, "C": GREEN, "D": SKY, "V": BLUE, "V-art": BLUE}


def draw(summary: Mapping[str, Any]) -> dict[str, "Figure"]:
    """The figures by name."""
    figures = {f"strongest_{name}": _bars(summary, outcome) for name, outcome in summary["outcomes"].items()}
    if summary["method"] == "morris" and not summary["together"]:
        figures["morris"] = _planes(summary)
    return figures


def shorten(path: str) -> str:
    """A path without its first word."""
    return path.removeprefix("parameters.").removeprefix("drugs.").replace(".", " \N{MIDDLE DOT} ")


@styled
def _bars(summary: Mapping[str, Any], outcome: Mapping[str, Any]) -> "Figure":
    """The strongest numbers of an outcome, coloured by grade."""
    method, key = summary["method"], summary["strength"]
    grades = {put["path"]: put["grade"] for put in summary["inputs"]}
    rows = outcome["indices"][:STRONGEST][::-1]
    figure = empty_figure(10.5, 0.36 * len(rows) + 2.0)
    axes = figure.subplots()
    at = np.arange(len(rows))
    inks = [GRADE_COLOURS.get(grades.get(row["input"], ""), GREY) for row in rows]
    if method == "latin_hypercube":
        value = [row["correlation"] for row in rows]
        low, high = ([row[f"correlation_{end}"] for row in rows] for end in ("low", "high"))
        axes.axvline(0.0, color=GREY, lw=1.0)
    else:
        value = [row[key] for row in rows]
        error = [row[f"{key}_error"] for row in rows]
        low, high = ([max(v - e, 0.0) for v, e in zip(value, error, strict=True)], [v + e for v, e in zip(value, error, strict=True)])
    axes.hlines(at, low, high, color=inks, lw=2.2, alpha=0.6)
    axes.scatter(value, at, color=inks, s=46, zorder=3)
    axes.set_yticks(at, [shorten(row["input"]) for row in rows], fontsize=10)
    axes.set_ylim(-0.8, len(rows) - 0.2)
    axes.grid(axis="y", color="#EEEEEE")
    words = {"morris": "mu*: mean size of the effect over the range", "sobol": "ST: share of the variance, with all interactions"}
    axes.set_xlabel(words.get(method, "partial rank correlation"))
    if method != "latin_hypercube":
        axes.set_xlim(left=0.0)
    pair = " against ".join(summary["comparison"])
    figure.suptitle(f"{pair}: {outcome['words']}", fontsize=13, fontweight="bold", x=0.01, ha="left")
    if not summary["together"]:
        _name_grades(figure, [g for g in summary["grades"] if g in grades.values()])
    return figure


def _name_grades(figure: "Figure", grades: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    dots = [Line2D([], [], ls="", marker="o", color=GRADE_COLOURS.get(grade, GREY), ms=7) for grade in grades]
    figure.legend(dots, [f"grade {grade}" for grade in grades], loc="outside lower left", ncols=len(grades))


@styled
def _planes(summary: Mapping[str, Any]) -> "Figure":
    """Morris's plane of each outcome: how strong an effect is, and how much it depends on the other numbers."""
    grades = {put["path"]: put["grade"] for put in summary["inputs"]}
    outcomes = list(summary["outcomes"].values())
    figure = empty_figure(5.2 * len(outcomes), 5.2)
    panels = figure.subplots(1, len(outcomes), squeeze=False)[0]
    for axes, outcome in zip(panels, outcomes, strict=True):
        rows = outcome["indices"]
        inks = [GRADE_COLOURS.get(grades[row["input"]], GREY) for row in rows]
        axes.scatter([row["mu_star"] for row in rows], [row["sigma"] for row in rows], color=inks, s=34, alpha=0.8)
        longest = max(row["mu_star"] for row in rows) or 1.0  # nothing acts: an empty plane
        axes.plot([0.0, longest], [0.0, longest], color=GREY, lw=1.0, ls=(0, (4, 4)), zorder=0)
        for number, row in enumerate(rows[:NAMED], 1):
            axes.annotate(str(number), (row["mu_star"], row["sigma"]), (5, 4), textcoords="offset points", fontsize=10)
        axes.text(
            0.02,
            0.98,
            "\n".join(f"{i}  {shorten(row['input'])}" for i, row in enumerate(rows[:NAMED], 1)),
            transform=axes.transAxes,
            va="top",
            fontsize=8.5,
            color="#333333",
        )
        axes.set_ylim(0.0, max(max(row["sigma"] for row in rows), longest) * 1.75)
        axes.set_xlim(0.0, longest * 1.12)
        axes.set_xlabel("mu*: mean size of the effect")
        axes.set_title(outcome["words"], fontsize=11)
    panels[0].set_ylabel("sigma: how far it depends on the others")
    _name_grades(figure, [g for g in summary["grades"] if g in grades.values()])
    return figure
