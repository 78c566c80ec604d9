"""What a calibration has found, written down: the best set, what is identified, the fit of every figure, and what is not fitted."""

from pathlib import Path
from typing import Any

import numpy as np

from tme_abm import drawing
from tme_abm.analysis.bank.weighted import kind_of, unscaled
from tme_abm.analysis.calibration import figures
from tme_abm.analysis.calibration.curves import survivals
from tme_abm.analysis.calibration.fit import LEAST_EFFECTIVE
from tme_abm.analysis.calibration.found import Found
from tme_abm.analysis.calibration.plan import Floats
from tme_abm.batch.files import write_json
from tme_abm.foundation.declare import number
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import naming_lines, parse_toml, read_text, to_toml
from tme_abm.trial.provenance import describe_machine, versions

RESULT, REPORT, FITTED = "calibrated.toml", "calibration.md", "fit.csv"
MONTHS = (3, 6, 12, 18, 24)  # at which curves are told
IDENTIFIED, INFORMED = 0.5, 0.8  # spread of the posterior over that of the prior, below which a number is called so
INTERVAL = (0.05, 0.95)  # quantiles of what is told with an interval
WORDS = {
    "median_pfs": "median PFS [month]",
    "median_duration_of_response": "median duration of response [month]",
    "median_time_to_response": "median time to response [month]",
    "orr": "ORR [%]",
    "vgpr_or_better": "VGPR or better [%]",
    "cr_or_better": "CR or better [%]",
    "cr_or_better_after_mass_spectrometry": "CR or better after mass spectrometry [%]",
    "mrd_negative": "MRD-negative [%]",
}


def in_words(endpoint: str) -> str:
    """An endpoint in words, with its unit."""
    return WORDS.get(endpoint) or f"PFS at {endpoint.split('_')[1]} months [%]"


def write(found: Found, folder: Path) -> list[Path]:
    """Write calibrated.toml, calibration.md, fit.csv, run.json and the figures."""
    (folder / RESULT).write_text(to_toml(result(found)), encoding="utf-8")
    (folder / REPORT).write_text(report(found), encoding="utf-8")
    table(found).to_csv(folder / FITTED, index=False)
    write_json(folder / "run.json", {"calibration": found.fit.plan.settings(), **describe_machine()})
    paths = [folder / name for name in (RESULT, REPORT, FITTED, "run.json")]
    for name, figure in figures.draw(found).items():
        paths.append(drawing.save(figure, folder, name))
        paths.append(drawing.save(figure, folder, name, "png"))
    return paths


def read_values(path: Path) -> dict[str, float]:
    """The values of a calibrated.toml.

    Raises:
        InputError: Where it is none.
    """
    if not path.is_file():
        raise InputError(f"there is no file '{path}'")
    content = parse_toml(read_text(path), str(path))
    if "values" not in content:
        raise InputError(f"{path}: no table [values]; a file that `tme calibrate` has written holds one")
    found: dict[str, float] = {}
    with naming_lines(str(path), path):
        for name in ("held", "values"):
            if not isinstance(given := content.get(name, {}), dict):
                raise InputError(f"{path}: {name}: write a table of paths and numbers")
            found |= {key: number(value, f"{path}: {name}.{key}") for key, value in given.items()}
    return found


def result(found: Found) -> dict[str, Any]:
    """The best set with what it comes near to, as calibrated.toml holds it."""
    low = found.low_worth()
    targets = []
    for one, worth in zip(found.best, low, strict=True):
        for i, target in enumerate(one.group.targets):
            value = unscaled(target.endpoint, float(one.simulated[i]))
            row = {"scenario": target.scenario, "arm": target.arm, "endpoint": target.endpoint, "published": _round(target.value)}
            targets.append(row | {"simulated": _round(value), "z": _round(float(one.z[i]), 3), "effective": round(float(worth))})
    free = [
        {"path": name, "median": _round(float(m)), "low": _round(float(a)), "high": _round(float(b)), "verdict": verdict}
        for name, m, a, b, verdict in zip(
            found.posterior.names, *(found.posterior.quantile(q) for q in (0.5, *INTERVAL)), verdicts(found), strict=True
        )
    ]
    fit: dict[str, Any] = {
        "log_posterior": _round(float(found.posterior.log_posterior[found.posterior.best])),
        "candidates": len(found.fit.bank.patients),
        "sets": len(found.posterior.sets),
        "steps": found.chain.steps,
        "acceptance": _round(found.chain.acceptance, 3),
        "seed": found.fit.plan.seed,
        "tolerance": {"time": found.fit.plan.time, "share": found.fit.plan.share},
        "versions": versions(("tme-abm", "emcee", "numpy", "numba", "scipy", "pandas")),
    }
    values = {name: _round(value, 6) for name, value in found.posterior.values(found.posterior.best).items()}
    return {"values": values, "fit": fit, "targets": targets, "posterior": free}


def shrinkage(found: Found) -> Floats:
    """Spread of the posterior of each number over that of its prior, on the prior's scale (p,)."""
    columns, out = dict(zip(found.posterior.names, found.posterior.sets.T, strict=True)), []
    for free in found.fit.plan.free:
        places = np.array([free.place(value) for value in columns[free.name]])
        middle = np.average(places, weights=found.posterior.weights)
        spread = float(np.sqrt(np.average((places - middle) ** 2, weights=found.posterior.weights)))
        out += [spread] * len(free.paths)
    return np.array(out)


def verdicts(found: Found) -> list[str]:
    """What the figures say of each number: "identified", "informed" or "not identified"."""
    return ["identified" if s < IDENTIFIED else "informed" if s < INFORMED else "not identified" for s in shrinkage(found)]


def table(found: Found) -> Any:
    """Each published figure beside the fit: a row of fit.csv."""
    import pandas as pd

    low, out = found.low_worth(), []
    for g, group in enumerate(found.fit.groups):
        at = np.array([row[g].simulated for row in found.beside])
        before = np.array([row[g].simulated for row in found.prior])
        for i, target in enumerate(group.targets):
            ends = [unscaled(target.endpoint, float(np.quantile(at[:, i], q))) for q in (0.5, *INTERVAL)]
            known = before[:, i][np.isfinite(before[:, i])]
            priors = [unscaled(target.endpoint, float(np.quantile(known, q))) for q in (0.5, *INTERVAL)]
            best = found.best[g]
            out.append(
                {
                    "scenario": target.scenario,
                    "arm": target.label,
                    "endpoint": target.endpoint,
                    "published": target.value,
                    "best": unscaled(target.endpoint, float(best.simulated[i])),
                    "z": float(best.z[i]),
                    "posterior": ends[0],
                    "posterior_low": ends[1],
                    "posterior_high": ends[2],
                    "prior": priors[0],
                    "prior_low": priors[1],
                    "prior_high": priors[2],
                    "effective": float(low[g]),
                }
            )
    return pd.DataFrame(out)


def report(found: Found) -> str:
    """The calibration in Markdown."""
    fit, chain = found.fit, found.chain
    eligible = int(fit.bank.is_eligible.sum())
    worst = float(found.low_worth().min())
    length = f"{chain.autocorrelation:.0f}" if np.isfinite(chain.autocorrelation) else "unknown"
    lines = [
        f"{len(fit.plan.free)} free numbers, {sum(len(g.targets) for g in fit.groups)} published figures of {len(fit.groups)} arms, "
        f"{len(fit.bank.patients)} candidates ({eligible} eligible). {len(found.posterior.sets)} sets from a chain of {chain.steps} steps "
        f"(acceptance {chain.acceptance:.2f}, longest autocorrelation {length} steps), {found.seconds:.0f} s.",
        "",
        f"Effective patients: at least {worst:.0f} in every arm in 95 % of the sets"
        + (f", fewer than the {LEAST_EFFECTIVE:.0f} that are asked for: draw more." if worst < LEAST_EFFECTIVE else "."),
        "",
        "The fit. Intervals hold 90 % of the sets; they are of the parameters, without the chance of a trial's patients. z: best set less",
        "published over the error of both. Effective: patients that the weights are worth in 95 % of the sets.",
        "",
        *fit_rows(found),
        "",
        "The numbers. The posterior's spread over that of the prior tells what the figures say: below a half a number is identified, below",
        "0.8 informed.",
        "",
        *number_rows(found),
        "",
        f"Progression-free at {', '.join(map(str, MONTHS))} months [%], with the ways out of each trial:",
        "",
        *curve_rows(found),
    ]
    return "\n".join(lines) + "\n"


def fit_rows(found: Found) -> list[str]:
    """Every figure beside the fit."""
    lines = ["| scenario | arm | endpoint | published | prior | best | posterior | z | effective |", "| --- " * 9 + "|"]
    for row in table(found).to_dict("records"):
        scale = 100.0 if kind_of(row["endpoint"]) == "share" else 1.0
        value, best, middle, a, b, before = (
            f"{scale * row[name]:.1f}" for name in ("published", "best", "posterior", "posterior_low", "posterior_high", "prior")
        )
        prior = f"{before} ({scale * row['prior_low']:.1f} to {scale * row['prior_high']:.1f})"
        cells = [row["scenario"], row["arm"], in_words(row["endpoint"]), value, prior, best, f"{middle} ({a} to {b})"]
        lines.append(f"| {' | '.join(cells)} | {row['z']:+.1f} | {row['effective']:.0f} |")
    return lines


def number_rows(found: Found) -> list[str]:
    """Every number: prior, posterior, verdict."""
    lines = ["| number | prior (95 %) | best | posterior (90 %) | spread kept | verdict |", "| --- " * 6 + "|"]
    values = found.posterior.values(found.posterior.best)
    middle, low, high = (found.posterior.quantile(q) for q in (0.5, *INTERVAL))
    kept, said, i = shrinkage(found), verdicts(found), 0
    for free in found.fit.plan.free:
        cells = [" = ".join(f"`{path}`" for path in free.paths), f"{free.low:.3g} to {free.high:.3g}", f"{values[free.name]:.3g}"]
        lines.append(f"| {' | '.join(cells)} | {middle[i]:.3g} ({low[i]:.3g} to {high[i]:.3g}) | {kept[i]:.2f} | {said[i]} |")
        i += len(free.paths)
    return lines


def curve_rows(found: Found) -> list[str]:
    """Kaplan-Meier of each arm at fixed months."""
    lines = [f"| scenario | arm | {' | '.join(f'{m}' for m in MONTHS)} |", "| --- " * (2 + len(MONTHS)) + "|"]
    for group, curves in zip(found.fit.groups, survivals(found, MONTHS), strict=True):
        followed = float(group.sample.pfs.times.max(initial=0.0))
        cells = []
        for month, column in zip(MONTHS, curves.T, strict=True):
            middle, low, high = np.quantile(100.0 * column, (0.5, *INTERVAL))
            cells.append(f"{middle:.0f} ({low:.0f} to {high:.0f})" if month <= followed else "")
        lines.append(f"| {group.scenario} | {group.targets[0].label} | {' | '.join(cells)} |")
    return lines


def _round(value: float, digits: int = 5) -> float:
    return float(f"{value:.{digits}g}")
