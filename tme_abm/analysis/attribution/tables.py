"""The runs of an attribution as tables: shares, knock-outs, deaths."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.analysis.attribution.question import MEASURES, Comparison, Question
from tme_abm.analysis.attribution.shapley import Coalition, Floats, is_exact, shapley_exact, shapley_sampled
from tme_abm.analysis.run_book import Point, RunBook
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES = 2000


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
    known = question.study.settings.catalogue.by_name
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
                    "without": "+".join(name for name in known if name in off) or "nothing",
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
    from tme_abm.trial.comparison import hazard_ratio
    from tme_abm.trial.survival import Survival

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
    columns = question.study.settings.catalogue.deaths
    rows = []
    for arm in question.study.arms:
        point = question.point(arm.key, ())
        counts = {name.removeprefix("deaths_"): sum(book.rows[i, point][name] for i in who) for name in columns}
        total, followed = sum(counts.values()), float(months(book, who, point).sum())
        for cause, n in counts.items():
            if n:
                rows.append({"arm": arm.key, "cause": cause, "deaths": n, "share": n / total, "per_patient_month": n / max(followed, 1e-9)})
    return pd.DataFrame(rows, columns=["arm", "cause", "deaths", "share", "per_patient_month"])


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
