"""What a search has found: the best values and those near them, what the trials say about each number, and all of it written down."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm import drawing
from tme_abm.analysis.calibration.plan import Floats, Free
from tme_abm.analysis.calibration.search import STARTUP, Fit, complete, finished, is_at
from tme_abm.analysis.calibration.targets import Residual, loss, noise
from tme_abm.batch.files import write_json
from tme_abm.export.crate import Subject
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import to_toml
from tme_abm.trial.provenance import describe_machine, model_digest, versions

if TYPE_CHECKING:
    import optuna
    from matplotlib.figure import Figure

RESULT, REPORT, TRIALS, FIGURE = "calibrated.toml", "calibration.md", "trials.csv", "profiles"
SUBJECT = Subject("calibration", "Calibration", "The free numbers of the model, fitted to control arms and single agents.")
RISE = 3.84  # rise of the loss that tells a value from the best one: the 95 % point of chi-squared with one degree of freedom
N_BINS = 10  # of a range, in each of which the lowest loss is drawn
MOST_NEAR = 20  # sets near the best that are written out


class Profile(NamedTuple):
    """What the trials say about one number.

    Attributes:
        free: The number.
        verdict: "identified", "bounded below", "bounded above", "not identified" or "too few trials".
        low: Least value whose profile is no more than the rise above its minimum; the end of the range where it is not bounded.
        high: Largest such value.
        curve: Profile of the quadratic surface (n_places, 2): place in the range, loss; empty with too few trials.
    """

    free: Free
    verdict: str
    low: float
    high: float
    curve: Floats


class Outcome(NamedTuple):
    """The result of a search.

    Attributes:
        best: Path -> value.
        loss: Of the best.
        start_loss: Of the values from which the search set out.
        noise: Standard deviation of the best loss from the chance of the virtual patients.
        residuals: The targets beside the best.
        start_residuals: The targets beside the start.
        near: Sets within the noise of the best: (loss, values), best first.
        profiles: One per free number.
        counts: State -> number of trials.
    """

    best: dict[str, float]
    loss: float
    start_loss: float | None
    noise: float
    residuals: list[Residual]
    start_residuals: list[Residual]
    near: list[tuple[float, dict[str, float]]]
    profiles: list[Profile]
    counts: dict[str, int]


def conclude(fit: Fit, study: "optuna.Study") -> Outcome:
    """What a search has found so far.

    Raises:
        InputError: Where no trial is complete.
    """
    done = sorted(complete(study), key=lambda trial: (trial.value, trial.number))
    if not done:
        raise InputError(f"{fit.folder} holds no complete trial")

    def residuals(trial: "optuna.trial.FrozenTrial") -> list[Residual]:
        return [Residual(*parts) for parts in zip(fit.goals, trial.user_attrs["simulated"], trial.user_attrs["errors"], strict=True)]

    losses = np.array([trial.value for trial in done], np.float64)
    found = residuals(done[0])
    chance = noise(found)
    near = [(float(t.value or 0.0), dict(t.params)) for t in done if (t.value or 0.0) <= losses[0] + chance]
    points = np.array([[free.place(trial.params[free.path]) for free in fit.plan.free] for trial in done], np.float64)
    first = next((trial for trial in done if is_at(trial, fit.start)), None)
    counts: dict[str, int] = {}
    for trial in finished(study):
        counts[trial.state.name.lower()] = counts.get(trial.state.name.lower(), 0) + 1
    return Outcome(
        best=dict(done[0].params),
        loss=float(losses[0]),
        start_loss=None if first is None else first.value,
        noise=chance,
        residuals=found,
        start_residuals=[] if first is None else residuals(first),
        near=near[:MOST_NEAR],
        profiles=profiles(fit.plan.free, points, losses, max(RISE, chance)),
        counts=counts,
    )


def profiles(free: Sequence[Free], points: Floats, losses: Floats, rise: float) -> list[Profile]:
    """Loss against each number, the others at their best, on a quadratic surface through the trials near the best.

    The surface has all products where there are trials enough for it, else the squares alone; trials count by one over their distance in
    loss from the best. A number is identified where its profile rises by `rise` on both sides within its range, bounded where it does on
    one, not identified where it does on neither.

    Args:
        free: The numbers (p,).
        points: Trials as places in the ranges (n, p).
        losses: Of the trials (n,).
        rise: What counts.
    """
    from scipy.optimize import minimize

    n, p = points.shape
    whole, plain = 1 + p + p * (p + 1) // 2, 1 + 2 * p
    size = whole if n >= 1.5 * whole else plain
    if n < 1.5 * size:
        return [Profile(f, "too few trials", f.low, f.high, np.empty((0, 2))) for f in free]
    chosen = np.argsort(losses, kind="stable")[: 4 * size]
    centre = points[chosen[0]]
    pairs = [(i, j) for i in range(p) for j in range(i, p) if size == whole or i == j]
    x, y = points[chosen] - centre, losses[chosen]
    columns = np.column_stack([np.ones(len(x)), x, *(x[:, i] * x[:, j] for i, j in pairs)])
    weight = np.sqrt(1.0 / (rise + y - y[0]))
    fitted = np.linalg.lstsq(columns * weight[:, None], y * weight, rcond=None)[0]
    slope, curvature = fitted[1 : 1 + p], np.zeros((p, p))
    for (i, j), c in zip(pairs, fitted[1 + p :], strict=True):
        curvature[i, j] += c
        curvature[j, i] += c
    values, vectors = np.linalg.eigh(curvature)
    curvature = (vectors * np.maximum(values, 0.0)) @ vectors.T  # a loss has a floor: downward directions are noise

    def surface(d: Floats) -> tuple[float, Floats]:
        return float(slope @ d + 0.5 * d @ curvature @ d), slope + curvature @ d

    found = []
    grid = np.linspace(0.0, 1.0, 21)
    for i, number in enumerate(free):
        curve = []
        for place in grid:
            bounds = [(-c, 1.0 - c) if j != i else (place - c, place - c) for j, c in enumerate(centre)]
            guess = np.clip(np.zeros(p), [b[0] for b in bounds], [b[1] for b in bounds])
            curve.append(float(minimize(surface, guess, jac=True, bounds=bounds, method="L-BFGS-B").fun))
        profile = np.array(curve)
        profile -= profile.min()
        inside = np.flatnonzero(profile <= rise)
        is_left, is_right = bool(inside[0] > 0), bool(inside[-1] < len(grid) - 1)
        verdict = {(1, 1): "identified", (1, 0): "bounded below", (0, 1): "bounded above", (0, 0): "not identified"}[is_left, is_right]
        low, high = number.value(grid[inside[0]]), number.value(grid[inside[-1]])
        found.append(Profile(number, verdict, low, high, np.column_stack([grid, profile + losses[chosen[0]]])))
    return found


# ---- writing ---------------------------------------------------------------------------------------------------------


def write(fit: Fit, outcome: Outcome, study: "optuna.Study", check: Sequence[Residual] = ()) -> list[Path]:
    """Write the result of a search: calibrated.toml, a report, the trials as a table, profile plots, run.json.

    Args:
        fit: What was searched.
        outcome: What was found.
        study: All trials.
        check: The targets beside the best values on dice that the fit has not seen.
    """
    table = result_table(fit, outcome, check)
    head = "# Written by `tme calibrate`. The model's own files hold the numbers; this file says how they were found.\n"
    (fit.folder / RESULT).write_text(head + to_toml(table), encoding="utf-8")
    (fit.folder / REPORT).write_text(report(fit, outcome, check), encoding="utf-8")
    keep = ("number", "value", "state", *(f"params_{free.path}" for free in fit.plan.free))
    frame = study.trials_dataframe()
    frame[[name for name in keep if name in frame.columns]].to_csv(fit.folder / TRIALS, index=False)
    picture = drawing.save(draw(outcome, study), fit.folder, FIGURE)
    write_json(fit.folder / "run.json", {"calibration": fit.settings(), "model": model_digest(), **describe_machine()})
    return [*(fit.folder / name for name in (RESULT, REPORT, TRIALS)), picture]


def result_table(fit: Fit, outcome: Outcome, check: Sequence[Residual] = ()) -> dict[str, Any]:
    """What calibrated.toml holds."""
    fresh = {r.target: r for r in check}
    before = {r.target: r for r in outcome.start_residuals}
    rows = []
    for r in outcome.residuals:
        row: dict[str, Any] = {"scenario": r.target.scenario, "arm": r.target.arm, "endpoint": r.target.endpoint, "source": r.target.source}
        row |= {"published": _round(r.target.value), "simulated": _round(r.value), "z": _round(r.z), "loss": _round(r.z**2)}
        for name, other in (("at_start", before), ("on_fresh_dice", fresh)):
            if r.target in other:
                row[name] = _round(other[r.target].value)
        rows.append(row)
    fit_table: dict[str, Any] = {
        "loss": _round(outcome.loss),
        "noise": _round(outcome.noise),
        "loss_at_start": None if outcome.start_loss is None else _round(outcome.start_loss),
        "loss_on_fresh_dice": _round(loss(check)) if check else None,
        "trials": sum(outcome.counts.values()),
        **{f"trials_{state}": n for state, n in sorted(outcome.counts.items())},
        "patients_per_scenario": fit.patients,
        "replicates": fit.replicates,
        "seed": fit.plan.seed,
        "seeds": {name: [fit.plan.dice(name, r) for r in range(fit.replicates)] for name in fit.plan.targets},
        "tolerance": dict(fit.plan.tolerance),
        "sampler": f"TPE, multivariate, chance addressed by seed and number of the trial, {STARTUP} trials at random first",
        "model": model_digest(),
        "versions": versions(("tme-abm", "optuna", "numpy", "numba", "scipy", "pandas")),
    }
    return {
        "values": {path: _round(value, 6) for path, value in outcome.best.items()},
        "held": dict(fit.plan.fixed),
        "start": dict(fit.start),
        "fit": {key: value for key, value in fit_table.items() if value is not None},
        "targets": rows,
        "profiles": [
            {"path": free.path, "verdict": verdict, "low": _round(low), "high": _round(high), "range": [free.low, free.high]}
            for free, verdict, low, high, _ in outcome.profiles
        ],
        "near_best": [{"loss": _round(at), **{path: _round(value) for path, value in values.items()}} for at, values in outcome.near],
    }


def _round(value: float, digits: int = 5) -> float:
    return float(f"{value:.{digits}g}")


def report(fit: Fit, outcome: Outcome, check: Sequence[Residual] = ()) -> str:
    """A short report, in Markdown."""
    start = "" if outcome.start_loss is None else f", from {outcome.start_loss:.1f} with the values before"
    fresh = f" On dice that the fit has not seen it is {loss(check):.1f}." if check else ""
    lines = [
        f"Loss {outcome.loss:.1f}{start}; its standard deviation from the chance of the virtual patients is {outcome.noise:.1f}.{fresh}",
        f"{sum(outcome.counts.values())} trials ({', '.join(f'{n} {state}' for state, n in sorted(outcome.counts.items()))}), "
        f"{fit.replicates} x {fit.patients} virtual patients per scenario, seed {fit.plan.seed}, model {model_digest()}.",
        "",
        "The loss is a sum of squared differences over their errors (published, simulated, and a tolerance), medians as logarithms, shares",
        "as arcsines of roots. Endpoints of one arm come from the same patients: the weights are working weights. Medians are read off",
        "a smoothed curve.",
        "",
        *target_rows(outcome, check),
        "",
        *profile_rows(outcome),
        "",
        f"A number is identified where the loss rises by {max(RISE, outcome.noise):.1f} on both sides of its best value within the range",
        "searched, all other numbers moving with it; bounded where it does so on one side only. The surface is a quadratic through the",
        "trials near the best.",
    ]
    return "\n".join(lines) + "\n"


def target_rows(outcome: Outcome, check: Sequence[Residual] = ()) -> list[str]:
    """The targets beside the simulation as a table in Markdown."""
    before = {r.target: r for r in outcome.start_residuals}
    fresh = {r.target: r for r in check}
    rows = ["| scenario | arm | endpoint | published | before | fitted | on fresh dice | z |", "| --- " * 8 + "|"]
    for r in outcome.residuals:
        cells = [r.target.scenario, r.target.label, WORDS[r.target.endpoint], _plain(r.target.endpoint, r.target.value)]
        cells.append(_plain(r.target.endpoint, before[r.target].value) if r.target in before else "")
        cells.append(_plain(r.target.endpoint, r.value))
        cells.append(_plain(r.target.endpoint, fresh[r.target].value) if r.target in fresh else "")
        rows.append(f"| {' | '.join(cells)} | {r.z:+.1f} |")
    return rows


WORDS = {
    "median_pfs": "median PFS [month]",
    "orr": "ORR [%]",
    "vgpr_or_better": "VGPR or better [%]",
    "cr_or_better": "CR or better [%]",
    "mrd_negative": "MRD-negative [%]",
}


def _plain(endpoint: str, value: float) -> str:
    return f"{value:.1f}" if endpoint == "median_pfs" else f"{100.0 * value:.1f}"


def profile_rows(outcome: Outcome) -> list[str]:
    """The free numbers with their verdicts as a table in Markdown."""
    rows = ["| number | best | range searched | within the rise | verdict |", "| --- | --- | --- | --- | --- |"]
    for p in outcome.profiles:
        within = "" if p.verdict == "too few trials" else f"{p.low:.3g} to {p.high:.3g}"
        cells = [f"`{p.free.path}`", f"{outcome.best[p.free.path]:.4g}", f"{p.free.low:g} to {p.free.high:g}", within, p.verdict]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def draw(outcome: Outcome, study: "optuna.Study") -> "Figure":
    """Loss against each free number: the trials, their lower envelope, the profile of the quadratic surface."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    done = complete(study)
    losses = np.array([trial.value for trial in done], np.float64)
    columns = min(3, len(outcome.profiles))
    rows = math.ceil(len(outcome.profiles) / columns)
    figure = Figure(figsize=(4.2 * columns, 0.5 + 3.0 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    rise = max(RISE, outcome.noise)
    top = outcome.loss + max(8.0 * rise, 1.2 * (float(np.median(losses)) - outcome.loss))
    for axes, (free, verdict, _, _, curve) in zip(panels.flat, outcome.profiles, strict=False):
        values = np.array([trial.params[free.path] for trial in done])
        axes.plot(values, losses, ".", color=drawing.GREY, ms=4, label="trial")
        bins = np.minimum((np.array([free.place(v) for v in values]) * N_BINS).astype(int), N_BINS - 1)
        lowest = [int(np.flatnonzero(bins == b)[np.argmin(losses[bins == b])]) for b in np.unique(bins)]
        axes.plot(values[lowest], losses[lowest], "-", color=drawing.BLUE, lw=1.2, label="lowest of the trials")
        if len(curve):
            axes.plot([free.value(x) for x in curve[:, 0]], curve[:, 1], "--", color=drawing.VERMILLION, lw=1.5, label="profile")
        axes.axvline(outcome.best[free.path], color=drawing.BLACK, lw=0.8)
        axes.axhline(outcome.loss + rise, color=drawing.LIGHT, lw=0.8)
        axes.set_xscale(free.scale)
        ticks = [free.value(x) for x in (0.0, 0.5, 1.0)]
        axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(free.low, free.high)
        axes.set_ylim(outcome.loss - 0.05 * (top - outcome.loss), top)
        axes.set_title(f"{free.path}\n{verdict}", fontsize=9)
        axes.tick_params(labelsize=9)
    for axes in list(panels.flat)[len(outcome.profiles) :]:
        axes.set_axis_off()
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    figure.supylabel("loss", fontsize=9)
    return figure


def put(document: Path, mark: str, content: str) -> None:
    """Replace what stands between the marks of a document."""
    before = document.read_text(encoding="utf-8") if document.is_file() else ""
    document.write_text(between(before, mark, content), encoding="utf-8")


def between(text: str, mark: str, content: str) -> str:
    """A document with other content between `<!-- mark -->` and `<!-- end of mark -->`, which are added where they are missing."""
    first, last = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    if first not in text or last not in text:
        text = f"{text.rstrip()}\n\n{first}\n{last}\n"
    head, rest = text.split(first, 1)
    return f"{head}{first}\n{content.strip()}\n{last}{rest.split(last, 1)[1]}"
