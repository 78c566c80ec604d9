"""Attribution: which mechanism an arm owes its benefit to.

Three answers, from the same patients on the same dice:

- the ledger: what the plasma cells died of;
- the knock-out matrix: what is left of PFS, response and hazard ratio with a mechanism off from the start of treatment;
- the Shapley share of each mechanism in the gain of PFS over the reference arm.

A knock-out says what a mechanism adds to all the others; where two can stand in for each other, both look idle. The Shapley value
(Shapley 1953) is the mean of what a mechanism adds, over all orders in which the mechanisms could be added one by one; the shares of a
patient sum to her whole gain. The players are the mechanisms of the drugs in which the two arms differ. The gain of a coalition is

    v(S) = PFS of the arm - PFS of the reference, in both of which the players outside S are off,

PFS being the time to progression, death or the horizon: the mean over patients is the difference of restricted means, which adds up,
as medians do not. Events are few and visits far apart, so the same is asked of the tumour burden at the second visit, by how many
powers of ten it is lower; that takes far fewer patients, and every patient who lives then has it in every run.

A player that is not in the reference arm changes nothing there. So one rule holds for a drug that is added, a drug that is swapped, a
changed dose, and a bystander such as the T cell, in both arms, through which a drug works.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.rng import subkey, uniform
from tme_abm.mechanisms import BY_NAME
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.trial.execution import DEATHS, Progress, Silence, describe_run
from tme_abm.trial.experiment import (
    BOOK,
    Point,
    RunBook,
    Say,
    acts_in,
    carry_out,
    come_with,
    make_stamp,
    silent,
    whole_visits,
)
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Coalition = frozenset[str]

DOOR = "binding"  # through which an antibody comes to all its mechanisms; no way of acting by itself
HOUSEKEEPING = ("motility", "growth", "turnover", "recruitment")  # without which there is no marrow
SAMPLES = 4
ORDERS = 0x5A9  # address of the orders below the seed
RESAMPLES = 2000


class Measure(NamedTuple):
    """A quantity of a run whose difference between two arms is a gain."""

    column: str
    factor: float
    words: str


MEASURES = {
    "pfs_months": Measure("pfs_days", 1.0 / DAYS_PER_MONTH, "months of mean PFS"),
    "burden_log10": Measure("log10_burden_visit_2", -1.0, "powers of ten of tumour burden at the second visit"),
}


class Comparison(NamedTuple):
    """Two arms and the mechanisms among which the gain of the one over the other is shared out."""

    arm: str
    reference: str
    players: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """What is asked of a study.

    Attributes:
        study: Who is treated, and how.
        comparisons: Pairs of arms with their players.
        knock_outs: Arm -> sets of mechanisms that are switched off in it together.
        samples: Orders that are drawn for each patient and comparison; 0 for no Shapley shares.
        horizon_days: How long patients are watched; a whole number of visits [d].
    """

    study: Study
    comparisons: tuple[Comparison, ...]
    knock_outs: Mapping[str, tuple[Coalition, ...]]
    samples: int
    horizon_days: float

    def __post_init__(self) -> None:
        """Look up what acts in which arm."""
        object.__setattr__(self, "_acting", {arm.key: acts_in(self.study, arm) for arm in self.study.arms})

    def point(self, arm: str, off: Iterable[str]) -> Point:
        """An arm with some mechanisms off, those left out that do nothing there."""
        acting: Mapping[str, Coalition] = getattr(self, "_acting")  # noqa: B009
        return Point(arm, frozenset(off) & acting[arm])

    def orders(self, index: int, comparison: Comparison) -> list[tuple[str, ...]]:
        """The orders drawn for a patient; empty where all coalitions are run instead."""
        players = comparison.players
        return [] if is_exact(len(players), self.samples) else draw_orders(players, self.samples, self.study.seed, index)

    def coalitions(self, index: int, comparison: Comparison) -> list[Coalition]:
        """The coalitions whose gain is wanted of a patient, the whole and the empty one first."""
        players = comparison.players
        found = {frozenset(players): None, frozenset[str](): None}
        if self.samples and is_exact(len(players), self.samples):
            found |= {frozenset(c): None for size in range(len(players)) for c in combinations(players, size)}
        elif self.samples:
            for order in self.orders(index, comparison):
                found |= {frozenset(order[:size]): None for size in range(len(order))}
        return list(found)

    def sides(self, comparison: Comparison, coalition: Coalition) -> tuple[Point, Point]:
        """The runs whose difference is the gain of a coalition."""
        off = frozenset(comparison.players) - coalition
        return self.point(comparison.arm, off), self.point(comparison.reference, off)

    def points(self, index: int) -> list[Point]:
        """All runs of one patient, each once, the whole arms first."""
        wanted: dict[Point, None] = {self.point(arm.key, ()): None for arm in self.study.arms}
        for comparison in self.comparisons:
            for off in self.knock_outs.get(comparison.arm, ()):
                wanted |= {self.point(comparison.arm, off): None, self.point(comparison.reference, off): None}
            for off in self.knock_outs.get(comparison.reference, ()):
                wanted[self.point(comparison.reference, off)] = None
        for comparison in self.comparisons:
            for coalition in self.coalitions(index, comparison):
                wanted |= dict.fromkeys(self.sides(comparison, coalition))
        return list(wanted)


# ---- the game --------------------------------------------------------------------------------------------------------


def is_exact(n_players: int, samples: int) -> bool:
    """Whether all coalitions cost no more runs than orders would."""
    return 2**n_players - 2 <= samples * (n_players - 1)


def draw_orders(players: Sequence[str], samples: int, seed: int, index: int) -> list[tuple[str, ...]]:
    """Orders in which a patient's players join, in pairs of an order and its reverse.

    Orders of successive pairs are rotations of one drawn order, so that over patients every player takes every place equally often;
    each order by itself is as likely as any other.
    """
    n, pairs = len(players), -(-samples // 2)
    orders: list[tuple[str, ...]] = []
    for j in range(pairs):
        block, turn = divmod(index * pairs + j, n)
        key = subkey(subkey(seed, ORDERS), block)
        drawn = sorted(range(n), key=lambda player, key=key: float(uniform(key, player)))  # type: ignore[misc]
        order = tuple(players[i] for i in (*drawn[turn:], *drawn[:turn]))
        orders += [order, order[::-1]]
    return orders[:samples]


def shapley_exact(players: Sequence[str], value: Callable[[Coalition], float]) -> Floats:
    """Shapley value of each player (n_players,) from the values of all coalitions."""
    n = len(players)
    shares = np.zeros(n)
    for i, player in enumerate(players):
        others = [p for p in players if p != player]
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for chosen in combinations(others, size):
                shares[i] += weight * (value(frozenset((*chosen, player))) - value(frozenset(chosen)))
    return shares


def shapley_sampled(players: Sequence[str], orders: Sequence[Sequence[str]], value: Callable[[Coalition], float]) -> Floats:
    """What each player adds in each of some orders (n_orders, n_players); a row sums to the whole gain."""
    added = np.zeros((len(orders), len(players)))
    place = {player: i for i, player in enumerate(players)}
    for row, order in zip(added, orders, strict=True):
        before = value(frozenset())
        for size, player in enumerate(order, 1):
            after = value(frozenset(order[:size]))
            row[place[player]] = after - before
            before = after
    return added


# ---- asking ----------------------------------------------------------------------------------------------------------


def pose(
    study: Study, mechanisms: Sequence[str] = (), samples: int = SAMPLES, horizon_days: float | None = None
) -> Question:
    """The question of a study: players and knock-outs.

    Args:
        study: Who is treated, and how.
        mechanisms: Only these: the players, and what is knocked out; "a+b" is knocked out together and is no player. Where it is
            left out, the players are the mechanisms of the drugs in which the arms differ, and everything that acts is knocked out.
        samples: Orders for each patient and comparison; 0 for knock-outs alone.
        horizon_days: How long patients are watched [d]; the longest follow-up where it is left out.

    Raises:
        InputError: For a study without a comparison, a mechanism that does not exist or acts in no arm, or a horizon without a visit.
    """
    if not study.comparisons:
        raise InputError(f"{study.name} compares no arms, so there is no gain to attribute: `trial.compare` is empty")
    if samples < 0:
        raise InputError(f"the number of samples must be zero or more, got {samples}")
    arms = {arm.key: arm for arm in study.arms}
    compared = list(dict.fromkeys(key for pair in study.comparisons for key in pair))
    acting = {key: acts_in(study, arms[key]) for key in compared}
    chosen = [frozenset(part.strip() for part in name.split("+")) for name in mechanisms]
    for name in (n for group in chosen for n in sorted(group)):
        if name not in BY_NAME:
            raise InputError(f"unknown mechanism '{name}'{did_you_mean(name, BY_NAME)}")
        if not any(name in names for names in acting.values()):
            why = "is switched off in this study" if name in study.settings.without else f"acts in none of the arms {', '.join(compared)}"
            raise InputError(f"'{name}' {why}")
    singles = {name for group in chosen if len(group) == 1 for name in group}
    comparisons = []
    for arm, reference in study.comparisons:
        players = own_mechanisms(study, arms[arm], arms[reference])
        if singles:
            players = tuple(name for name in BY_NAME if name in singles and name in acting[arm] | acting[reference])
        comparisons.append(Comparison(arm, reference, players))
    if samples and not any(comparison.players for comparison in comparisons):
        raise InputError(f"{study.name}: no mechanism tells the arms apart that could have a share in the gain")
    knock_outs = {}
    for key in compared:
        everything = [frozenset({name}) for name in BY_NAME if name in acting[key] and name not in HOUSEKEEPING]
        groups = [group & acting[key] for group in chosen] if chosen else everything
        knock_outs[key] = tuple(dict.fromkeys(group for group in groups if group))
    days = study.follow_up.longest_days if horizon_days is None else horizon_days
    return Question(study, tuple(comparisons), knock_outs, samples, whole_visits(study, days))


def own_mechanisms(study: Study, arm: Regimen, reference: Regimen) -> tuple[str, ...]:
    """Mechanisms that come with the drugs that two arms give differently, in the order of the step; binding is the door."""

    def lines(regimen: Regimen, drug: str) -> tuple[Any, ...]:
        given = tuple(dose for dose in regimen.doses if dose.drug == drug)
        return (given, regimen.cycle_days, regimen.stop_day) if given else ()

    differing = [drug for drug in {*arm.drugs, *reference.drugs} if lines(arm, drug) != lines(reference, drug)]
    owned = {name for drug in differing for name in come_with(study.drugs[drug])}
    return tuple(name for name in BY_NAME if name in owned and name != DOOR and name not in study.settings.without)


def attribute(
    question: Question,
    folder: Path,
    workers: int | None = None,
    progress: Progress | None = None,
    say: Say = silent,
) -> dict[str, Any]:
    """Answer a question; what stands in the folder is not run again.

    Writes runs.jsonl (as runs finish), attribution, knockout and deaths as .parquet and .csv, summary.json, run.json, figures/ and
    report.html.

    Args:
        question: What is asked.
        folder: Where to write.
        workers: Patients at a time; the number of cores where it is left out.
        progress: Who is told how far it has come.
        say: Who is told how long it will take.

    Returns:
        The summary, as summary.json holds it.

    Raises:
        InputError: For a folder that holds runs of another study, or where too few patients completed.
    """
    study = question.study
    progress = progress or Silence()
    book = RunBook(folder / BOOK, make_stamp(study, question.horizon_days))
    start = time.perf_counter()
    carry_out(study, question.points, book, question.horizon_days, (workers or os.cpu_count() or 1, progress, say))

    shares, knock_outs, deaths = share_table(question, book), knock_out_table(question, book), death_table(question, book)
    for name, table in (("attribution", shares), ("knockout", knock_outs), ("deaths", deaths)):
        table.to_parquet(folder / f"{name}.parquet", index=False)
        table.to_csv(folder / f"{name}.csv", index=False)
    summary = {
        "scenario": study.name,
        "title": study.title,
        "seed": study.seed,
        "patients": study.patients,
        "completed": len(completed(question, book)),
        "horizon_months": question.horizon_days / DAYS_PER_MONTH,
        "samples": question.samples,
        "level": study.ci_level,
        "labels": {arm.key: arm.label for arm in study.arms},
        "comparisons": [summarise(question, comparison, book, shares) for comparison in question.comparisons],
        "runs": len(book.rows),
        "wall_seconds": round(time.perf_counter() - start, 1),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    (folder / "run.json").write_text(json.dumps(describe_run(study), indent=2, default=str) + "\n", encoding="utf-8")
    write_page(folder, summary, (shares, knock_outs, deaths))
    return summary


# ---- tables ----------------------------------------------------------------------------------------------------------


def completed(question: Question, book: RunBook) -> list[int]:
    """Patients all of whose runs completed."""
    return [i for i in range(question.study.patients) if all((i, point) in book.rows for point in question.points(i))]


def months(book: RunBook, who: Sequence[int], point: Point) -> Floats:
    """Time to progression, death or the horizon of each of some patients under one condition (n,) [month]."""
    return np.array([book.rows[i, point]["pfs_days"] for i in who]) / DAYS_PER_MONTH


def gains(question: Question, book: RunBook, comparison: Comparison, index: int, measure: str) -> dict[Coalition, float]:
    """Gain of each coalition in one patient; NaN where a run lacks the measure."""
    column, factor, _ = MEASURES[measure]
    found = {}
    for coalition in question.coalitions(index, comparison):
        ours, theirs = (book.rows[index, point][column] for point in question.sides(comparison, coalition))
        found[coalition] = math.nan if ours is None or theirs is None else float(ours - theirs) * factor
    return found


def patient_shares(
    question: Question, book: RunBook, comparison: Comparison, measure: str = "pfs_months"
) -> tuple[list[int], Floats, Floats]:
    """Shapley values of each patient who has the measure in all runs.

    Returns:
        The patients, their values (n, n_players), and the variance of each value by the drawing of orders (n, n_players);
        zero where all coalitions were run, NaN where one pair of orders cannot tell.
    """
    found = {i: gains(question, book, comparison, i, measure) for i in completed(question, book)}
    who = [i for i, known in found.items() if all(map(math.isfinite, known.values()))]
    players = comparison.players
    values, spread = np.zeros((len(who), len(players))), np.zeros((len(who), len(players)))
    for row, index in enumerate(who):
        known = found[index]
        orders = question.orders(index, comparison)
        if not orders:
            values[row] = shapley_exact(players, known.__getitem__)
            continue
        added = shapley_sampled(players, orders, known.__getitem__)
        values[row] = added.mean(0)
        pairs = np.array([added[i : i + 2].mean(0) for i in range(0, len(added), 2)])
        spread[row] = pairs.var(0, ddof=1) / len(pairs) if len(pairs) > 1 else np.nan
    return who, values, spread


def resample(values: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """Bootstrap over rows: resampled means (RESAMPLES, n_columns), and the lower and upper ends of the interval of each column."""
    n = len(values)
    weights = np.random.default_rng(1953).multinomial(n, np.full(n, 1.0 / n), RESAMPLES) / n
    means = weights @ values
    low, high = np.quantile(means, [0.5 - level / 2.0, 0.5 + level / 2.0], axis=0)
    return means, low, high


def share_table(question: Question, book: RunBook) -> "pd.DataFrame":
    """The share of each mechanism in each gain: a row per comparison, measure and player, intervals by bootstrap over patients.

    Columns: `arm, reference, measure, mechanism, value, low, high, share, share_low, share_high, error, error_orders, method, n`;
    values and errors in the unit that the name of the measure ends with. The interval holds both the choice of patients and that of
    orders; `error_orders` is the part of `error` that more orders would take away. Shares are missing where the gain is not
    clearly above zero.
    """
    import pandas as pd

    rows = []
    asked = [(c, m) for c in question.comparisons for m in MEASURES if c.players and question.samples]
    for comparison, measure in asked:
        who, values, spread = patient_shares(question, book, comparison, measure)
        if len(who) < 2:
            raise InputError(f"{question.study.name}: {len(who)} of {question.study.patients} patients completed; shares take two")
        method = "all coalitions" if is_exact(len(comparison.players), question.samples) else f"{question.samples} orders a patient"
        means, low, high = resample(values, question.study.ci_level)
        whole = means.sum(1, keepdims=True)
        is_gain = bool((whole > 0.0).mean() > 0.5 + question.study.ci_level / 2.0)
        total = float(values.mean(0).sum())
        part = np.divide(means, whole, out=np.full_like(means, np.nan), where=whole > 0.0)
        ends = np.nanquantile(part, [0.5 - question.study.ci_level / 2.0, 0.5 + question.study.ci_level / 2.0], axis=0) if is_gain else None
        order_error = np.sqrt(spread.sum(0)) / len(who)
        for i, name in enumerate(comparison.players):
            rows.append(
                {
                    "arm": comparison.arm,
                    "reference": comparison.reference,
                    "measure": measure,
                    "mechanism": name,
                    "value": float(values[:, i].mean()),
                    "low": float(low[i]),
                    "high": float(high[i]),
                    "share": float(values[:, i].mean()) / total if is_gain else math.nan,
                    "share_low": float(ends[0][i]) if ends is not None else math.nan,
                    "share_high": float(ends[1][i]) if ends is not None else math.nan,
                    "error": float(values[:, i].std(ddof=1)) / math.sqrt(len(who)),
                    "error_orders": float(order_error[i]),
                    "method": method,
                    "n": len(who),
                }
            )
    columns = ["arm", "reference", "measure", "mechanism", "value", "low", "high", "share", "share_low", "share_high"]
    return pd.DataFrame(rows, columns=[*columns, "error", "error_orders", "method", "n"])


def summarise(question: Question, comparison: Comparison, book: RunBook, shares: "pd.DataFrame") -> dict[str, Any]:
    """Each gain of a comparison, what of it was shared out, and what else the arms differ in."""
    mine = shares[(shares["arm"] == comparison.arm) & (shares["reference"] == comparison.reference)]
    whole, nothing = frozenset(comparison.players), frozenset[str]()
    measures: dict[str, Any] = {}
    for measure in MEASURES:
        found = (gains(question, book, comparison, i, measure) for i in completed(question, book))
        ends = np.array([(known[whole], known[nothing]) for known in found if all(map(math.isfinite, known.values()))]).reshape(-1, 2)
        if len(ends) < 2:
            raise InputError(f"{question.study.name}: {len(ends)} of {question.study.patients} patients can be compared; it takes two")
        _, low, high = resample(ends, question.study.ci_level)
        rows = mine[mine["measure"] == measure].sort_values("value", ascending=False).to_dict("records")
        measures[measure] = {
            "n": len(ends),
            "gain": float(ends[:, 0].mean()),
            "gain_ci": [float(low[0]), float(high[0])],
            "other": float(ends[:, 1].mean()),
            "other_ci": [float(low[1]), float(high[1])],
            "shares": [
                {key: _finite(row[key]) for key in ("value", "low", "high", "share", "share_low", "share_high")}
                | {"mechanism": row["mechanism"]}
                for row in rows
            ],
        }
    return {"arm": comparison.arm, "reference": comparison.reference, "players": list(comparison.players), "measures": measures}


def knock_out_table(question: Question, book: RunBook) -> "pd.DataFrame":
    """What is left without a mechanism: a row per comparison, arm and knock-out, the whole arm first ("nothing").

    Columns: `arm, reference, without, n, median_pfs_months, mean_pfs_months, orr`, then hazard ratios with their intervals,
    `hr_reference` of the arm without it against the whole reference, `hr_same` against the reference that lacks it too, `hr_full` of the
    whole arm against the arm without it, then `gain_months`, the mean PFS gained over a reference that lacks it too,
    and `gain_kept`, that gain over the whole one, with intervals by bootstrap.
    """
    import pandas as pd

    level = question.study.ci_level
    who = completed(question, book)
    rows = []
    for comparison in question.comparisons:
        for arm in (comparison.arm, comparison.reference):
            whole_arm, whole_reference = question.point(arm, ()), question.point(comparison.reference, ())
            whole_gain = months(book, who, whole_arm) - months(book, who, whole_reference)
            for off in (frozenset[str](), *question.knock_outs.get(arm, ())):
                here, there = question.point(arm, off), question.point(comparison.reference, off)
                ours = months(book, who, here)
                row: dict[str, Any] = {
                    "arm": arm,
                    "reference": comparison.reference,
                    "without": "+".join(name for name in BY_NAME if name in off) or "nothing",
                    "n": len(who),
                    "median_pfs_months": middle(book, who, here),
                    "mean_pfs_months": float(ours.mean()) if who else math.nan,
                    "orr": float(np.mean([book.rows[i, here]["responder"] for i in who])) if who else math.nan,
                }
                pairs = {"reference": (here, whole_reference), "same": (here, there), "full": (whole_arm, here)}
                for name, (one, other) in pairs.items():
                    row |= {f"hr_{name}{end}": value for end, value in ratio(book, who, one, other, level).items()}
                is_arm = arm == comparison.arm and len(who) > 1
                kept = ours - months(book, who, there)
                row |= {f"gain_{name}": math.nan for name in ("months", "low", "high", "kept", "kept_low", "kept_high")}
                if is_arm:
                    means, low, high = resample(np.column_stack([kept, whole_gain]), level)
                    row |= {"gain_months": float(kept.mean()), "gain_low": float(low[0]), "gain_high": float(high[0])}
                    if (means[:, 1] > 0.0).mean() > 0.5 + level / 2.0:
                        part = means[:, 0] / np.maximum(means[:, 1], 1e-12)
                        row["gain_kept"] = float(kept.mean() / whole_gain.mean())
                        row["gain_kept_low"], row["gain_kept_high"] = map(float, np.quantile(part, [0.5 - level / 2.0, 0.5 + level / 2.0]))
                rows.append(row)
    return pd.DataFrame(rows).drop_duplicates(["arm", "reference", "without"], ignore_index=True)


def middle(book: RunBook, who: Sequence[int], point: Point) -> float:
    """Median PFS [month]; NaN where it lies beyond the horizon."""
    rows = [book.rows[i, point] for i in who]
    times = sorted(row["pfs_days"] if row["pfs_event"] else math.inf for row in rows)
    value = times[(len(times) - 1) // 2] / DAYS_PER_MONTH if times else math.nan
    return value if math.isfinite(value) else math.nan


def ratio(book: RunBook, who: Sequence[int], one: Point, other: Point, level: float) -> dict[str, float]:
    """Hazard ratio with the ends of its interval, by the ending of the column's name; NaN where there is none."""
    from tme_abm.trial.statistics import Survival, hazard_ratio

    if one == other or len(who) < 2:
        return {"": 1.0 if one == other else math.nan, "_low": math.nan, "_high": math.nan}

    def survival(point: Point) -> Survival:
        events = np.array([book.rows[i, point]["pfs_event"] for i in who], bool)
        return Survival(months(book, who, point), events, np.array(who))

    found = hazard_ratio(survival(one), survival(other), "paired", level)
    return {end: math.nan if v is None else v for end, v in (("", found.value), ("_low", found.ci_low), ("_high", found.ci_high))}


def death_table(question: Question, book: RunBook) -> "pd.DataFrame":
    """The ledger of each whole arm: deaths of plasma cells of the patch by cause, `arm, cause, deaths, share, per_patient_month`."""
    import pandas as pd

    who = completed(question, book)
    rows = []
    for arm in question.study.arms:
        point = question.point(arm.key, ())
        counts = {name.removeprefix("deaths_"): sum(book.rows[i, point][name] for i in who) for name in DEATHS}
        total, followed = sum(counts.values()), float(months(book, who, point).sum())
        for cause, n in counts.items():
            if n:
                rows.append({"arm": arm.key, "cause": cause, "deaths": n, "share": n / total, "per_patient_month": n / max(followed, 1e-9)})
    return pd.DataFrame(rows, columns=["arm", "cause", "deaths", "share", "per_patient_month"])


# ---- page ------------------------------------------------------------------------------------------------------------


def write_page(folder: Path, summary: Mapping[str, Any], tables: tuple["pd.DataFrame", "pd.DataFrame", "pd.DataFrame"]) -> Path:
    """Write report.html and figures/ from the tables (shares, knock-outs, deaths)."""
    from tme_abm.trial import figures
    from tme_abm.trial.report import page

    shares, knock_outs, deaths = tables
    drawn = dict(draw(summary, shares, knock_outs, deaths))
    for key, figure in drawn.items():
        figures.save(figure, folder / "figures", key)
    text = page(
        "attribution.html.j2",
        title=f"Where the benefit comes from: {summary['title']}",
        summary=summary,
        labels=summary["labels"],
        shares=shares.to_dict("records"),
        knock_outs=knock_outs.to_dict("records"),
        figures={key: figures.data_address(figure) for key, figure in drawn.items()},
        words=words,
    )
    target = folder / "report.html"
    target.write_text(text, encoding="utf-8")
    return target


def words(name: str) -> str:
    """A mechanism, or several that are off together, as a reader would call it."""
    from tme_abm.trial.figures import CAUSES

    known = {"imid": CAUSES["imid"][0], "adcc": "ADCC", "adcp": "ADCP", "cdc": "CDC", "nk_activation": "NK activation"}
    known |= {"t_cell_killing": "T-cell killing", "t_cell_recovery": "T-cell recovery", "ectoenzyme": "CD38 enzyme block"}
    known |= {"proteasome": "proteasome inhibition", "interleukin6": "interleukin-6", "depletion": "depletion of suppressors"}
    known |= {"niche_release": "release from the niche", "nothing": "nothing (the whole arm)"}
    return " + ".join(known.get(part, part.replace("_", " ")) for part in name.split("+"))


def in_words(summary: Mapping[str, Any]) -> list[str]:
    """The gains and their shares, a line for each."""
    lines = []
    labels, level = summary["labels"], f"{100.0 * summary['level']:g} %"
    for comparison in summary["comparisons"]:
        for measure, found in comparison["measures"].items():
            low, high = found["gain_ci"]
            text = f"{labels[comparison['arm']]} over {labels[comparison['reference']]}: {found['gain']:+.2f} {MEASURES[measure].words}"
            text += f" within {summary['horizon_months']:.1f} months" if measure == "pfs_months" else ""
            lines.append(f"{text} ({level} interval {low:+.2f} to {high:+.2f})")
            for row in found["shares"]:
                text = f"  {words(row['mechanism']):<28}{row['value']:+7.3f} ({row['low']:+.3f} to {row['high']:+.3f})"
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
    from tme_abm.trial import figures

    for i, comparison in enumerate(summary["comparisons"], 1):
        is_here = (shares["arm"] == comparison["arm"]) & (shares["reference"] == comparison["reference"])
        if is_here.any():
            yield f"shares_{i}", figures.styled(draw_shares)(shares[is_here], comparison, summary)
        is_here = (knock_outs["arm"] == comparison["arm"]) & (knock_outs["reference"] == comparison["reference"])
        if is_here.any():
            yield f"knock_outs_{i}", figures.styled(draw_knock_outs)(knock_outs[is_here])
    if len(deaths):
        wide = deaths.assign(column="deaths_" + deaths["cause"]).pivot(index="arm", columns="column", values="deaths").fillna(0.0)
        # one row per patient is what the figure of the trial report divides by
        table = wide.reset_index().assign(patient=0)
        for name in wide.columns:
            table[name] = table[name] / max(summary["completed"], 1)
        yield "deaths_by_cause", figures.deaths_by_cause(table, list(summary["labels"]), summary["labels"])


def draw_shares(table: "pd.DataFrame", comparison: Mapping[str, Any], summary: Mapping[str, Any]) -> "Figure":
    """What each mechanism adds, a panel for each measure, the largest share of the last measure on top, with intervals."""
    from matplotlib.figure import Figure

    from tme_abm.trial import figures

    titles = {
        "pfs_months": f"Mean PFS within {summary['horizon_months']:.1f} months [month]",
        "burden_log10": "Tumour burden at visit 2 [powers of ten less]",
    }
    names = table[table["measure"] == "burden_log10"].sort_values("value", ascending=False)["mechanism"].tolist()
    fig = Figure((12.0, 1.9 + 0.46 * len(names)), layout="constrained", facecolor="white")
    for axes, measure in zip(fig.subplots(1, 2, sharey=True), titles, strict=True):
        rows = table[table["measure"] == measure].set_index("mechanism").loc[names]
        axes.barh(range(len(names)), rows["value"], color=figures.BLUE, height=0.62, alpha=0.85)
        axes.hlines(range(len(names)), rows["low"], rows["high"], color=figures.BLACK, lw=1.8)
        right, left = float(max(rows["high"].max(), 0.0)), float(min(rows["low"].min(), 0.0))
        span = max(right - left, 1e-6)
        for y, (value, share) in enumerate(zip(rows["value"], rows["share"], strict=True)):
            text = f"{value:+.2f}" + (f"  ({round(100 * share)} %)" if share == share else "")
            axes.text(right + 0.03 * span, y, text, va="center", fontsize=11)
        axes.axvline(0.0, color=figures.BLACK, lw=0.8)
        axes.set_yticks(range(len(names)), [words(name) for name in names])
        axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(left - 0.02 * span, right + 0.3 * span))
        axes.set_xlabel(titles[measure])
        axes.set_title(f"gain {comparison['measures'][measure]['gain']:+.2f}")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
    labels = summary["labels"]
    fig.suptitle(f"{labels[comparison['arm']]} over {labels[comparison['reference']]}", fontsize=14, weight="bold")
    return fig


def draw_knock_outs(table: "pd.DataFrame") -> "Figure":
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
    axes.set_yticks(range(len(rows)), [fill(words(name), 34) for name in rows["without"]])
    axes.set_xticks(range(len(columns)), [heading for heading, *_ in columns.values()], fontsize=9.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set_ylabel("without")
    for spine in axes.spines.values():
        spine.set_visible(False)
    return fig


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
