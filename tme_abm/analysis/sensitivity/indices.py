"""Samples and indices: Morris's elementary effects, Sobol's shares of the variance, partial rank correlations.

Morris (1991): each trajectory moves one number (or one group) at a time; mu* is the mean size of what that does to the outcome, scaled to
the whole range, sigma how much it depends on where the others stand. A screen: it ranks, in few runs.
Sobol (2001), Saltelli (2010): the share of the variance of the outcome that a number explains by itself (S1), and with all others
(ST). They say how much, and take many runs.
Partial rank correlations (Marino 2008): monotone relations, each cleared of all others.
"""

from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.analysis.sensitivity.inputs import Input, least_samples
from tme_abm.foundation.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Floats = np.ndarray[Any, np.dtype[np.float64]]
LEVELS = 4  # places on each range that Morris's trajectories visit
LEVEL = 0.95
RESAMPLES = 1000
MISSING = "{} indices need SALib, which is not installed: pip install 'tme-abm[sensitivity]'"


def need_salib(method: str) -> None:
    """Say in one line that SALib is missing, where a method needs it.

    Raises:
        InputError: Where it is.
    """
    if method == "latin_hypercube":
        return
    try:
        import SALib  # noqa: F401
    except ImportError:
        raise InputError(MISSING.format(method.capitalize())) from None


def problem_of(inputs: Sequence[Input], together: bool) -> dict[str, Any]:
    """The numbers as SALib wants them, each as a share of its range."""
    problem = {"num_vars": len(inputs), "names": [put.path for put in inputs], "bounds": [[0.0, 1.0]] * len(inputs)}
    return problem | ({"groups": [put.group for put in inputs]} if together else {})


def draw_samples(method: str, samples: int, inputs: Sequence[Input], seed: int, together: bool = False) -> Floats:
    """Shares of the ranges, a row per sample and a column per number."""
    if method == "latin_hypercube":
        from scipy.stats import qmc

        return np.asarray(qmc.LatinHypercube(len(inputs), rng=np.random.default_rng(seed)).random(samples), np.float64)
    need_salib(method)
    problem = problem_of(inputs, together)
    own = seed % 2**32  # SALib takes the seeds of numpy's old generator
    if method == "morris":
        from SALib.sample import morris

        return np.asarray(morris.sample(problem, samples, num_levels=LEVELS, seed=own), np.float64)
    from SALib.sample import sobol

    return np.asarray(sobol.sample(problem, samples, calc_second_order=False, seed=own), np.float64)


def index_table(
    method: str, shares: Floats, outcomes: dict[str, Floats], inputs: Sequence[Input], together: bool = False
) -> "pd.DataFrame":
    """A row per outcome and number, or group: `outcome, input, <indices>`, the strongest first within an outcome.

    Args:
        method: As `draw_samples` took it.
        shares: What that returned.
        outcomes: Name -> value in each sample.
        inputs: What was varied.
        together: Whether by groups.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for name, values in outcomes.items():
        if not np.isfinite(values).all():
            continue
        found = {"morris": _morris, "sobol": _sobol}.get(method, _correlations)(shares, values, inputs, together)
        rows += [{"outcome": name, **row} for row in found]
        if method == "sobol" and not together:
            by_input = {row["input"]: row for row in _correlations(shares, values, inputs, together)}
            for row in rows[-len(found) :]:
                row |= {key: value for key, value in by_input[row["input"]].items() if key != "input"}
    return pd.DataFrame(rows)


def without_effect(table: "pd.DataFrame") -> list[str]:
    """Numbers that moved no outcome in any trajectory of Morris's, to the last digit; the other methods do not tell."""
    if "mu_star" not in table:
        return []
    most = table.groupby("input")["mu_star"].max()
    return [str(name) for name in most.index[most == 0.0]]


def strength(method: str) -> str:
    """The index by which numbers are ranked."""
    return {"morris": "mu_star", "sobol": "total"}.get(method, "correlation_size")


def _morris(shares: Floats, values: Floats, inputs: Sequence[Input], together: bool) -> list[dict[str, Any]]:
    from SALib.analyze import morris

    problem = problem_of(inputs, together)
    found = morris.analyze(
        problem, shares, values, num_levels=LEVELS, num_resamples=RESAMPLES, conf_level=LEVEL, print_to_console=False, seed=1
    )
    names = [str(name) for name in found["names"]]
    rows = []
    for i, name in enumerate(names):
        row = {"input": name, "mu_star": float(found["mu_star"][i]), "mu_star_error": float(found["mu_star_conf"][i])}
        if not together:  # a group has no direction
            row |= {"mu": float(found["mu"][i]), "sigma": float(found["sigma"][i])}
        rows.append(row)
    return sorted(rows, key=lambda row: -row["mu_star"])


def _sobol(shares: Floats, values: Floats, inputs: Sequence[Input], together: bool) -> list[dict[str, Any]]:
    from SALib.analyze import sobol

    problem = problem_of(inputs, together)
    names = list(dict.fromkeys(problem.get("groups", problem["names"])))
    if values.std() == 0.0:
        return [{"input": name, "first": 0.0, "first_error": 0.0, "total": 0.0, "total_error": 0.0} for name in names]
    found = sobol.analyze(
        problem, values, calc_second_order=False, num_resamples=RESAMPLES, conf_level=LEVEL, print_to_console=False, seed=1
    )
    rows = [
        {
            "input": name,
            "first": float(found["S1"][i]),
            "first_error": float(found["S1_conf"][i]),
            "total": float(found["ST"][i]),
            "total_error": float(found["ST_conf"][i]),
        }
        for i, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: -row["total"])


def _correlations(shares: Floats, values: Floats, inputs: Sequence[Input], together: bool) -> list[dict[str, Any]]:
    """Partial rank correlations with intervals by Fisher's transformation."""
    n, k = shares.shape
    if n < least_samples(k):
        raise InputError(f"partial rank correlations of {k} numbers take {least_samples(k)} samples, got {n}")
    found = partial_rank_correlations(shares, values)
    reach = NormalDist().inv_cdf(0.5 + LEVEL / 2.0) / np.sqrt(n - k - 2.0)
    rows = []
    for put, r in zip(inputs, found.tolist(), strict=True):
        z = np.arctanh(np.clip(r, -0.999999, 0.999999))
        row = {
            "input": put.path,
            "correlation": r,
            "correlation_low": float(np.tanh(z - reach)),
            "correlation_high": float(np.tanh(z + reach)),
        }
        rows.append(row | {"correlation_size": abs(r)})
    return sorted(rows, key=lambda row: -row["correlation_size"])


def partial_rank_correlations(shares: Floats, values: Floats) -> Floats:
    """Correlation of the ranks of each column (n, k) with those of the values (n,), both cleared of all other columns."""
    from scipy.stats import rankdata

    ranks = np.column_stack([rankdata(column) for column in shares.T])
    outcome = rankdata(values)
    found = np.zeros(ranks.shape[1])
    for i in range(ranks.shape[1]):
        others = np.column_stack([np.ones(len(outcome)), np.delete(ranks, i, axis=1)])
        left, right = (y - others @ np.linalg.lstsq(others, y, rcond=None)[0] for y in (ranks[:, i], outcome))
        size = np.sqrt((left @ left) * (right @ right))
        found[i] = float(left @ right / size) if size > 1e-12 else 0.0
    return found
