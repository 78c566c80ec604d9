"""Figures of a calibration: what the figures say of each number, survival with its published median, M-protein by visit."""

import math
from typing import TYPE_CHECKING

import numpy as np

from tme_abm.analysis.calibration.curves import survivals
from tme_abm.analysis.calibration.fit import Group
from tme_abm.analysis.calibration.found import Found
from tme_abm.analysis.calibration.plan import FARTHEST
from tme_abm.analysis.calibration.posterior import weighted_quantile
from tme_abm.drawing import BLACK, BLUE, GREY, LIGHT, ORANGE, VERMILLION, empty_figure, month_ticks, styled
from tme_abm.foundation.clock import DAYS_PER_MONTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SETS_DRAWN = 60  # of the posterior, for bands
LONGEST = 24.0  # months of M-protein that are drawn
QUANTILES = (0.1, 0.5, 0.9)  # of the patients' M-protein
BAND = (0.05, 0.95)


def draw(found: Found) -> "dict[str, Figure]":
    """All figures: name -> figure."""
    return {"numbers": numbers(found), "survival": survival(found), "m_protein": m_protein(found)}


@styled
def numbers(found: Found) -> "Figure":
    """The prior of each number and what the figures leave of it, in standard deviations of the prior."""
    plan = found.fit.plan
    figure = empty_figure(9.5, 1.4 + 0.36 * len(plan.free))
    axes = figure.add_subplot()
    names = list(found.posterior.names)
    for row, free in enumerate(plan.free):
        column = np.array([free.place(value) for value in found.posterior.sets[:, names.index(free.name)]])
        ends = [weighted_quantile(column, found.posterior.weights, q) for q in (0.05, 0.25, 0.5, 0.75, 0.95)]
        best = free.place(found.posterior.values(found.posterior.best)[free.name])
        axes.plot([-1.645, 1.645], [row, row], color=LIGHT, lw=9, solid_capstyle="butt", label="prior, 90 %" if not row else None)
        axes.plot([ends[0], ends[4]], [row, row], color=BLUE, lw=2, label="posterior, 90 %" if not row else None)
        axes.plot([ends[1], ends[3]], [row, row], color=BLUE, lw=5, solid_capstyle="butt", label="posterior, 50 %" if not row else None)
        axes.plot(best, row, "o", color=VERMILLION, ms=6, label="best set" if not row else None)
    axes.set_yticks(range(len(plan.free)), [free.name.removeprefix("population.").replace("_", " ") for free in plan.free], fontsize=10)
    axes.set(ylim=(len(plan.free) - 0.4, -0.6), xlim=(-FARTHEST, FARTHEST), xlabel="Standard deviations of the prior from its middle")
    axes.axvline(0.0, color=GREY, lw=0.8, zorder=0)
    axes.grid(axis="x", color=LIGHT, lw=0.6)
    figure.legend(loc="outside upper right", ncols=4, fontsize=10)
    return figure


def _head(axes: "Axes", group: Group) -> None:
    """The arm and the scenario of a panel; smaller where both are long."""
    axes.set_title(f"{group.targets[0].label}, {group.scenario.replace('_', ' ')}", fontsize=11 if len(group.targets[0].label) > 8 else 13)


@styled
def survival(found: Found) -> "Figure":
    """Progression-free survival of each fitted arm: the sets' band, the best set, and the published figures."""
    n = len(found.fit.groups)
    columns = min(3, n)
    figure = empty_figure(4.3 * columns, 0.7 + 3.3 * math.ceil(n / columns))
    panels = figure.subplots(math.ceil(n / columns), columns, squeeze=False)
    longest = [float(group.sample.pfs.times.max(initial=1.0)) for group in found.fit.groups]
    grid = np.linspace(0.0, 1.0, 121)
    curves = survivals(found, list(grid * max(longest)), SETS_DRAWN)
    for axes, group, curve, end, one in zip(panels.flat, found.fit.groups, curves, longest, found.best, strict=False):
        months = grid * max(longest)
        inside = months <= end
        low, middle, high = np.quantile(100.0 * curve, (BAND[0], 0.5, BAND[1]), axis=0)
        axes.fill_between(months[inside], low[inside], high[inside], step="post", color=BLUE, alpha=0.2, lw=0, label="90 % of the sets")
        axes.step(months[inside], middle[inside], where="post", color=BLUE, label="median of the sets")
        drawn: set[str] = set()
        for target in group.targets:
            at = _point(target.endpoint, target.value)
            if at is not None and at[0] <= end * 1.05:
                axes.plot(*at, "D", color=ORANGE, mec=BLACK, ms=7, label=None if drawn else "published", zorder=5)
                drawn.add(target.endpoint)
        axes.set(ylim=(0, 102), xlim=(0, end))
        _head(axes, group)
        axes.set_xticks(month_ticks(end))
        axes.text(
            0.98, 0.97, f"{one.effective:.0f} effective patients", transform=axes.transAxes, ha="right", va="top", fontsize=10, color=GREY
        )
    for axes in list(panels.flat)[n:]:
        axes.set_axis_off()
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=11)
    figure.supxlabel("Months since the first dose", fontsize=12)
    figure.supylabel("Progression-free (%)", fontsize=12)
    return figure


def _point(endpoint: str, value: float) -> tuple[float, float] | None:
    """Where a published figure lies on a curve of survival; None where it is none of it."""
    if endpoint == "median_pfs":
        return value, 50.0
    if endpoint.startswith("pfs_"):
        return float(endpoint.split("_")[1]), 100.0 * value
    return None


@styled
def m_protein(found: Found) -> "Figure":
    """M-protein of those still followed, as quantiles of the patients by visit, with the band of the sets: a visual predictive check.

    No trial has published M-protein by visit, so the check is of what the fit leaves open and of what it makes of the disease.
    """
    n = len(found.fit.groups)
    columns = min(3, n)
    figure = empty_figure(4.3 * columns, 0.7 + 3.3 * math.ceil(n / columns))
    panels = figure.subplots(math.ceil(n / columns), columns, squeeze=False)
    names = list(found.posterior.names)
    places = [names.index(free.name) for free in found.fit.plan.free]
    chosen = np.unique(np.linspace(0, len(found.posterior.sets) - 1, min(SETS_DRAWN, len(found.posterior.sets))).round().astype(int))
    colours = (GREY, BLUE, GREY)
    for axes, group in zip(panels.flat, found.fit.groups, strict=False):
        runs = found.fit.bank[group.bank_arm]
        all_days = np.unique(runs.days[np.isfinite(runs.days)])
        days = all_days[all_days <= LONGEST * DAYS_PER_MONTH]
        change = 100.0 * (runs.m_protein / np.maximum(runs.m_protein[:, :1], 1e-9) - 1.0)
        every = np.full((len(chosen), len(days), len(QUANTILES)), np.nan)
        for k, s in enumerate(chosen):
            weights = group.weights([float(x) for x in found.posterior.sets[s, places]])
            for d, day in enumerate(days):
                here = np.isclose(runs.days, day)
                who = here.any(axis=1)
                if weights[who].sum() > 0.05:
                    own = change[here]
                    every[k, d] = [weighted_quantile(own, weights[who], q) for q in QUANTILES]
        _bands(axes, days / DAYS_PER_MONTH, every, colours)
        axes.set(ylim=(-105, 105))
        _head(axes, group)
        axes.axhline(-50, color=LIGHT, lw=0.8, zorder=0)
        axes.axhline(-90, color=LIGHT, lw=0.8, zorder=0)
        axes.axhline(25, color=LIGHT, lw=0.8, ls="--", zorder=0)
    for axes in list(panels.flat)[n:]:
        axes.set_axis_off()
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=11)
    figure.supxlabel("Months since the first dose", fontsize=12)
    figure.supylabel("Change of M-protein of those followed (%)", fontsize=12)
    return figure


def _bands(axes: "Axes", months: "np.ndarray", every: "np.ndarray", colours: tuple[str, ...]) -> None:
    """Quantiles of the patients, each with the band of the sets."""
    with np.errstate(all="ignore"):
        known = np.isfinite(every).any(axis=(0, 2))
    for i, (quantile, line) in enumerate(zip(QUANTILES, colours, strict=True)):
        column = every[:, known, i]
        low, middle, high = np.nanquantile(column, (BAND[0], 0.5, BAND[1]), axis=0)
        axes.fill_between(months[known], low, high, color=line, alpha=0.25, lw=0)
        axes.plot(
            months[known],
            middle,
            color=line,
            lw=2 if quantile == 0.5 else 1.4,
            ls="-" if quantile == 0.5 else "--",
            label=f"{100 * quantile:.0f} % of patients below",
        )
