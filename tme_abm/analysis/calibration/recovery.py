"""Does the fit find what is known? Made-up trials of populations drawn from the prior, fitted as if they were published.

For each made-up case the numbers are drawn from the prior and the published figures are replaced by those of trials of their sizes, drawn
from one half of the bank with the weights of that population; the other half is what the fit may use. So the truth comes from patients
that the fit has never seen; that these patients are few is an error of the made-up figures, which the fit is told as one of theirs. A
number is found where it lies in its 90 % interval; of intervals that are right nine in ten hold it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tme_abm.analysis.bank.weighted import Sample
from tme_abm.analysis.bank.weights import Target as Weighed
from tme_abm.analysis.bank.weights import effective, normalised, rows
from tme_abm.analysis.calibration.fit import Fit, Group, prepare
from tme_abm.analysis.calibration.plan import Floats, Load, Plan
from tme_abm.analysis.calibration.posterior import keep, sample, weighted_quantile
from tme_abm.batch.desk import Desk
from tme_abm.batch.files import write_json
from tme_abm.batch.results import open_results
from tme_abm.export.crate import Subject, describe_folder

SUBJECT = Subject("recovery", "Recovery", "Known populations, fitted as if their trials had been published.")
INTERVAL = (0.05, 0.95)
ASKED = 0.85  # share of the intervals that must hold the number that is known
FARTHEST_TRUTH = 2.0  # standard deviations of the prior from its middle within which a population is drawn


@dataclass(frozen=True)
class Recovery:
    """Cases that were fitted.

    Attributes:
        names: Of the free numbers (p,).
        truth: Places of the known numbers in their priors (c, p).
        low: Lower end of each interval (c, p).
        high: Upper end of each interval (c, p).
        worth: Least effective patients of an arm at the truth (c,).
    """

    names: tuple[str, ...]
    truth: Floats
    low: Floats
    high: Floats
    worth: Floats

    @property
    def inside(self) -> Any:
        """Whether each known number lies in its interval (c, p)."""
        return (self.low <= self.truth) & (self.truth <= self.high)

    @property
    def share(self) -> float:
        """Share of the intervals that hold the number."""
        return float(self.inside.mean())


def recover(plan: Plan, bank: Path, load: Load, sizes: tuple[int, int], cases: int, desk: Desk) -> Recovery:
    """Fit made-up cases with the patients of a bank.

    Args:
        plan: What is fitted; its published figures lend their endpoints and sizes only.
        bank: Folder of the bank.
        load: `scenario.kinds.load_trial`.
        sizes: Steps of the sampler, and sets that are kept.
        cases: How many.
        desk: Who is told.
    """
    fit = prepare(plan, bank, load)
    desk.progress.phase("sampling", cases * sizes[0])
    return recover_fit(fit, sizes, cases, desk)


def recover_fit(fit: Fit, sizes: tuple[int, int], cases: int, desk: Desk | None = None) -> Recovery:
    """The same with a fit that is prepared."""
    desk = desk or Desk()
    told, fitting = half(fit, 0), half(fit, 1)
    truths, lows, highs, worths = [], [], [], []
    for case in range(cases):
        chance = np.random.default_rng([fit.plan.seed, 7, case])
        truth = np.clip(chance.standard_normal(len(fit.plan.free)), -FARTHEST_TRUTH, FARTHEST_TRUTH)
        figures, worth = made_up(told, truth, chance)
        groups = tuple(replace(g, published=g.published + g.one / w) for g, w in zip(fitting.groups, worth, strict=True))
        chain = sample(
            replace(fitting, groups=groups).with_figures(figures),
            sizes[0],
            desk.stop,
            lambda n: desk.progress.advance(n, "sampling"),
            fit.plan.seed + 1 + case,
        )
        _, places = keep(fitting, chain, sizes[1])
        even = np.full(len(places), 1.0 / len(places))
        ends = [[weighted_quantile(column, even, q) for column in places.T] for q in INTERVAL]
        truths.append(truth)
        lows.append(ends[0])
        highs.append(ends[1])
        worths.append(min(worth))
    names = tuple(free.name for free in fit.plan.free)
    return Recovery(names, np.array(truths), np.array(lows), np.array(highs), np.array(worths))


def half(fit: Fit, which: int) -> Fit:
    """A fit with every other patient of each arm, from the first or from the second on."""
    return replace(fit, groups=tuple(_half(group, which) for group in fit.groups))


def _half(group: Group, which: int) -> Group:
    seen = group.sample.outcomes
    n = len(group.weighed.fixed)
    kept = np.arange(which, n, 2)
    place = np.full(n, -1)
    place[kept] = np.arange(len(kept))
    chosen = place[seen.who] >= 0
    outcomes = seen.take(chosen, place[seen.who[chosen]])
    old = group.weighed
    ratios = {key: (ratio[kept], before) for key, (ratio, before) in old.ratios.items()}
    weighed = Weighed(old.population, old.fixed[kept], {name: term.take(kept) for name, term in old.free.items()}, ratios, old.rates)
    return replace(group, weighed=weighed, sample=Sample(outcomes), index=outcomes.who)


def made_up(fit: Fit, truth: Floats, chance: np.random.Generator) -> tuple[list[Floats], list[float]]:
    """The figures of a made-up trial of each arm, and the effective patients that each was drawn from.

    Args:
        fit: Whose patients are drawn.
        truth: Places of the numbers in their priors (p,).
        chance: Where the draws come from.
    """
    values, figures, worth = fit.values(truth), [], []
    for group in fit.groups:
        weights = normalised(group.weighed.log_weights(group.numbers(values)), is_cut=False)
        worth.append(effective(weights))
        share = rows(weights, group.index)
        n = max(target.n for target in group.targets)
        drawn = chance.choice(len(share), n, p=share)
        own, even = Sample(group.sample.outcomes.take(drawn, np.arange(n))), np.full(n, 1.0 / n)
        figures.append(np.array([own.scaled(target.endpoint, even) for target in group.targets]))
    return figures, worth


def report(found: Recovery) -> str:
    """In Markdown: how often each number was found."""
    n = len(found.truth)
    verdict = "as asked" if found.share >= ASKED else f"fewer than the {100 * ASKED:.0f} % that are asked for"
    lines = [
        f"{n} made-up cases of {len(found.names)} numbers: {100 * found.share:.1f} % of the 90 % intervals hold the number that is known, "
        f"{verdict}.",
        f"Made-up trials were drawn from populations worth {np.median(found.worth):.0f} patients in the median.",
        "",
        "| number | inside | mean width over the prior's |",
        "| --- | --- | --- |",
    ]
    widths = (found.high - found.low).mean(axis=0) / (2.0 * 1.645)
    for name, inside, width in zip(found.names, found.inside.sum(axis=0), widths, strict=True):
        lines.append(f"| `{name}` | {inside} of {n} | {width:.2f} |")
    return "\n".join(lines) + "\n"


def write_results(found: Recovery, folder: Path, desk: Desk, force: bool) -> list[Path]:
    """Write recovery.md and recovery.json into a folder."""
    facts = {"recovery": list(found.names), "cases": len(found.truth)}
    with open_results(folder, facts, force) as place:
        place.say = desk.warn
        place.before_publishing = partial(describe_folder, study=SUBJECT)
        place.new.mkdir(parents=True, exist_ok=True)
        (place.new / "recovery.md").write_text(report(found), encoding="utf-8")
        table: dict[str, Sequence[Any]] = {name: getattr(found, name).tolist() for name in ("truth", "low", "high", "worth")}
        write_json(place.new / "recovery.json", {"names": list(found.names), **table, "share": found.share})
        place.publish(is_final=False)
    return [folder / "recovery.md", folder / "recovery.json"]
