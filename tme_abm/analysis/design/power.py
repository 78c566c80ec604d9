"""Power and assurance: many virtual trials of each size at each set of the posterior."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm.analysis.bank.outcomes import Exits, Rates, draw_exits, seen
from tme_abm.analysis.bank.store import Counts, Floats, Truths
from tme_abm.analysis.bank.trials import TrialArm, VirtualTrial
from tme_abm.analysis.calibration.posterior import Posterior
from tme_abm.analysis.design.form import Design
from tme_abm.batch.stopping import Stop
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.trial import cox

if TYPE_CHECKING:
    import pandas as pd

NORMAL = NormalDist()
LOW, HIGH = 0.05, 0.95  # quantiles of the sets


class Look(NamedTuple):
    """What a trial finds at one look: z is positive where the arm does better.

    Attributes:
        z: Of the log-rank test.
        events: Of both arms.
        log_ratio: Cox estimate of the log hazard ratio; NaN where there is none.
    """

    z: float
    events: int
    log_ratio: float


def log_rank(months: tuple[Floats, Floats], event: tuple[Truths, Truths]) -> tuple[float, int]:
    """The log-rank statistic of an arm against its reference, positive where the arm has fewer events than expected, and all events.

    Args:
        months: Times of each (n,).
        event: Whether each is an event (n,).
    """
    if not event[0].any() and not event[1].any():
        return 0.0, 0
    sets = cox.risk_sets(months, event)
    _, first = np.unique(sets.at, return_index=True)  # the risk set of each time, before anybody fails
    arm, reference = sets.treated[first], sets.reference[first]
    whole, failed = arm + reference, sets.failed.astype(np.float64)
    expected = float((failed * arm / whole).sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.where(whole > 1.0, failed * arm * reference * (whole - failed) / (whole**2 * (whole - 1.0)), 0.0)
    variance = float(spread.sum())
    observed = float(sets.treated_failed.sum())
    return ((expected - observed) / math.sqrt(variance) if variance > 0.0 else 0.0), int(failed.sum())


def boundary(shares: Sequence[float], alpha: float) -> list[float]:
    """The value of z that each look must exceed, so that in all of them together a false one comes with probability `alpha`.

    Error is spent by the function of Lan and DeMets that is like O'Brien and Fleming's: 2 - 2 Phi(z / sqrt(t)).

    Args:
        shares: Of the events expected at the end, at each look; the last is 1.
        alpha: One-sided.
    """
    from scipy.optimize import brentq
    from scipy.stats import multivariate_normal

    quantile = NORMAL.inv_cdf(1.0 - alpha / 2.0)
    spent = [2.0 - 2.0 * NORMAL.cdf(quantile / math.sqrt(t)) for t in shares]
    spent[-1] = alpha
    bounds: list[float] = []
    for k in range(len(shares)):
        if k == 0:
            bounds.append(NORMAL.inv_cdf(1.0 - spent[0]))
            continue
        together = np.array([[math.sqrt(min(a, b) / max(a, b)) for b in shares[: k + 1]] for a in shares[: k + 1]])
        normal = multivariate_normal(np.zeros(k + 1), together, allow_singular=True, seed=1)

        def excess(at: float, normal: Any = normal, k: int = k) -> float:
            return 1.0 - float(normal.cdf(np.array([*bounds[:k], at]))) - spent[k]

        bounds.append(float(brentq(excess, 0.0, 8.0, xtol=1e-4)))
    return bounds


def cut(runs: Any, who: Counts, exits: Exits, entry: Floats, day: float) -> tuple[Floats, Truths]:
    """Times and events of those who have entered by a day of the calendar.

    Args:
        runs: Of the arm.
        who: Patients drawn (m,).
        exits: Their ways out; the cut-off is set here.
        entry: Days of the calendar on which they enter (m,).
        day: Of the look.
    """
    here = entry < day
    own = Exits(exits.death[here], exits.dropout[here], day - entry[here])
    found = seen(runs, who[here], own)
    return found.months, np.asarray(found.event, bool)


def one_trial(
    arms: tuple[TrialArm, TrialArm], weights: tuple[Floats, Floats], sizes: tuple[int, int], design: Design, chance: np.random.Generator
) -> list[Look]:
    """One virtual trial: what is found at each look."""
    drawn = []
    for arm, weight, n in zip(arms, weights, sizes, strict=True):
        who = np.minimum(np.searchsorted(np.cumsum(weight), chance.random(n) * weight.sum(), "right"), len(weight) - 1)
        exits = draw_exits(Rates(*(rate[who] for rate in arm.rates)), design.follow_up(), chance)
        drawn.append((arm.runs, who, exits, chance.random(n) * design.accrual_days))
    found = []
    for look in design.form.looks:
        (m1, e1), (m2, e2) = (cut(*one, look * design.end_days) for one in drawn)
        z, events = log_rank((m1, m2), (e1, e2))
        estimate = cox.fit(cox.risk_sets((m1, m2), (e1, e2))) if events else None
        found.append(Look(z, events, math.nan if estimate is None else estimate.log_ratio))
    return found


class Answer(NamedTuple):
    """What many virtual trials of one size have found.

    Attributes:
        patients: Of both arms.
        bounds: The value of z that each look must exceed (k,).
        events: Expected at each look (k,).
        power: Chance of a positive trial at each set (s,).
        weights: Of the sets (s,).
        stops: Chance that each look is the first that is positive, over all sets (k,).
        ratios: Hazard ratio at the end of each trial, over all sets (t,).
        positive: Whether each trial was positive (t,).
        best: Power at the best set.
    """

    patients: int
    bounds: list[float]
    events: Floats
    power: Floats
    weights: Floats
    stops: Floats
    ratios: Floats
    positive: Truths
    best: float

    @property
    def assurance(self) -> float:
        """Mean of the power over the sets."""
        return float(self.power @ self.weights)


def answer(
    design: Design,
    trial: VirtualTrial,
    posterior: Posterior,
    n_trials: int,
    stop: Stop | None = None,
    tell: Callable[[int], None] = lambda n: None,
) -> list[Answer]:
    """Power and assurance of each size.

    Args:
        design: What is asked.
        trial: Its arms, played by patients of a bank.
        posterior: Sets of numbers.
        n_trials: Virtual trials at each set; ten times as many at the best.
        stop: When set, the work ends.
        tell: Is told of each set that is done.
    """
    arms = (trial.arms[design.form.compare[0]], trial.arms[design.form.compare[1]])
    best = posterior.values(posterior.best)
    found = []
    for n in design.form.patients:
        chance = np.random.default_rng([trial.study.seed, n])
        first = round(n * design.form.allocation[0] / sum(design.form.allocation))
        sizes = (first, n - first)

        def trials(
            values: dict[str, float], times: int, is_bank_certain: bool, sizes: tuple[int, int] = sizes, chance: Any = chance
        ) -> list[list[Look]]:
            weights = (arms[0].weights(values), arms[1].weights(values))
            out = []
            for _ in range(times):
                drawn = weights if is_bank_certain else tuple(w * chance.standard_exponential(len(w)) for w in weights)
                out.append(one_trial(arms, (drawn[0] / drawn[0].sum(), drawn[1] / drawn[1].sum()), sizes, design, chance))
            return out

        at_best = trials(best, 10 * n_trials, True)
        events = np.array([[look.events for look in one] for one in at_best]).mean(axis=0)
        shares = [float(e / max(events[-1], 1.0)) for e in events[:-1]]
        bounds = boundary([*(max(s, 0.02) for s in shares), 1.0], design.form.alpha)
        power, stops, ratios, positive = [], np.zeros(len(bounds)), [], []
        for s in range(len(posterior.sets)):
            own = trials(posterior.values(s), n_trials, False)
            firsts = [_first(one, bounds) for one in own]
            power.append(float(np.mean([f is not None for f in firsts])))
            for f, one in zip(firsts, own, strict=True):
                if f is not None:
                    stops[f] += posterior.weights[s] / n_trials
                ratios.append(math.exp(one[-1].log_ratio))
                positive.append(f is not None)
            tell(1)
            if stop is not None:
                stop.check()
        at = float(np.mean([_first(one, bounds) is not None for one in at_best]))
        found.append(Answer(n, bounds, events, np.array(power), posterior.weights, stops, np.array(ratios), np.array(positive), at))
    return found


def _first(looks: Sequence[Look], bounds: Sequence[float]) -> int | None:
    """The first look that is positive; None where none is."""
    return next((k for k, (look, bound) in enumerate(zip(looks, bounds, strict=True)) if look.z > bound), None)


def table(design: Design, answers: Sequence[Answer]) -> "pd.DataFrame":
    """A row for each size: power, assurance, events, looks."""
    import pandas as pd

    rows = []
    for one in answers:
        spread = (
            [float(np.quantile(one.power, q)) for q in (LOW, HIGH)]
            if len(set(one.weights)) == 1
            else [_quantile(one.power, one.weights, q) for q in (LOW, HIGH)]
        )
        known = one.ratios[np.isfinite(one.ratios)]
        row: dict[str, Any] = {
            "patients": one.patients,
            "events": float(one.events[-1]),
            "power_best": one.best,
            "assurance": one.assurance,
            "power_low": spread[0],
            "power_high": spread[1],
            "hazard_ratio": float(np.median(known)) if len(known) else math.nan,
            "hazard_ratio_low": float(np.quantile(known, 0.025)) if len(known) else math.nan,
            "hazard_ratio_high": float(np.quantile(known, 0.975)) if len(known) else math.nan,
        }
        for k, (bound, share) in enumerate(zip(one.bounds, one.stops, strict=True)):
            look = design.form.looks[k] * design.end_days / DAYS_PER_MONTH
            row |= {f"look_{k + 1}_month": look, f"look_{k + 1}_bound": bound, f"look_{k + 1}_positive": float(share)}
        rows.append(row)
    return pd.DataFrame(rows)


def _quantile(values: Floats, weights: Floats, share: float) -> float:
    from tme_abm.analysis.calibration.posterior import weighted_quantile

    return weighted_quantile(values, weights, share)
