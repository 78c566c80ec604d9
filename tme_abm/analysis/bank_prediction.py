"""Published results beside what a bank predicts of them, with both sources of chance: the patients of a trial, and the parameters.

For each set of the posterior the patients of the bank are weighed as each trial's population; a large virtual trial gives what that set
expects of a row, and many virtual trials of the published size, each at a set drawn by its weight, what a trial would see. The patients of
the bank are few themselves, so each virtual trial weighs them anew by chance (the Bayesian bootstrap, rubin1981). Nothing is simulated.

Skill is stated against a rival that knows nothing: a hazard ratio of 0.60 for every antibody in every trial.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm.analysis import prediction
from tme_abm.analysis.bank.outcomes import Outcomes
from tme_abm.analysis.bank.store import Bank
from tme_abm.analysis.bank.trials import VirtualTrial, play
from tme_abm.analysis.bank.weights import Weigher
from tme_abm.analysis.calibration.posterior import Posterior
from tme_abm.batch.files import write_json
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError
from tme_abm.trial import published, subgroups, summary
from tme_abm.trial.provenance import describe_machine
from tme_abm.trial.study import Study
from tme_abm.trial.verdict import NEAR_MEDIAN, NEAR_ORR, NEAR_RATIO, NEAR_SHARE, NONE, PASS, Beside, verdict

if TYPE_CHECKING:
    import pandas as pd

Floats = np.ndarray[Any, np.dtype[np.float64]]

CONSTANT = 0.60  # hazard ratio of the rival that knows nothing
LARGE = 3000  # patients of each arm of the virtual trial that tells what a set expects
OF_PARAMETERS = 0.90  # level of the interval of the parameters alone
LARGEST_ERROR = 0.15  # of the logarithm of the hazard ratio, RMS over all predicted trials, that counts as success
APART = 0.08  # between two published hazard ratios whose order must be kept
HELD = 0.90  # share of the rows whose published value must lie in its predicted interval
COLUMNS = (*prediction.COLUMNS, "parameters_low", "parameters_high", "effective")


class Goal(NamedTuple):
    """What would count as success, and whether it did."""

    words: str
    found: str
    is_met: bool | None  # None where there is nothing to judge


def people(trial: VirtualTrial, outcomes: Mapping[str, Outcomes]) -> dict[str, prediction.Patients]:
    """What was seen in a virtual trial, as the statistics of published rows want it."""
    found, rows = {}, {i: row["subgroup"] for i, row in enumerate(trial.study.published) if "subgroup" in row}
    for key, own in outcomes.items():
        shares = {name: np.asarray(own.share(name), bool) for name in (*summary.SHARES, "mrd_negative")}
        groups = {}
        if rows:
            who = trial.arms[key].runs.who
            for i, words in rows.items():
                groups[i] = _members(trial, str(words))[who[own.who]]
        found[key] = prediction.Patients(own.months, np.asarray(own.event, bool), shares, groups, own.response_months)
    return found


def _members(trial: VirtualTrial, words: str) -> Any:
    """Which patients of the bank belong to a subgroup (n,)."""
    if words not in trial.members:
        chosen = subgroups.find_subgroup(words)
        missing = set(chosen.columns) - set(trial.covariates.columns)
        if missing:
            raise InputError(f"the subgroup '{words}' is told by {', '.join(sorted(missing))}, which a bank knows only after treatment")
        trial.members[words] = np.asarray(chosen.holds(trial.covariates), bool)
    return trial.members[words]


def statistics(trial: VirtualTrial, outcomes: Mapping[str, Outcomes], chosen: Sequence[int]) -> Floats:
    """The statistic of some published rows in a virtual trial (k,)."""
    patients = people(trial, outcomes)
    everyone = {key: np.arange(len(own.months)) for key, own in outcomes.items()}
    return np.array([prediction.statistic(trial.study.published[i], i, patients, everyone) for i in chosen])


def beside(trial: VirtualTrial, posterior: Posterior, n_trials: int, role: str | None = None) -> "pd.DataFrame":
    """Each published row of a trial beside what the bank predicts.

    Args:
        trial: Played by patients of the bank.
        posterior: Sets of numbers.
        n_trials: Virtual trials of the published size.
        role: Only rows of this role; all where it is left out.

    Returns:
        `COLUMNS`; rates as fractions, NaN where a number is missing, infinite where a median is not reached.
    """
    import pandas as pd

    study, chance = trial.study, np.random.default_rng([trial.study.seed, n_trials])
    chosen = [
        i
        for i, row in enumerate(study.published)
        if set(row.get("comparison") or [row["arm"]]) <= set(trial.arms) and role in (None, row.get("role"))
    ]
    if not chosen:
        return pd.DataFrame(columns=list(COLUMNS))
    sizes = prediction.arm_sizes(study)
    expected, worth = [], []
    for s in range(len(posterior.sets)):
        values = posterior.values(s)
        weights = {key: arm.weights(values) for key, arm in trial.arms.items()}
        worth.append({key: 1.0 / float((w**2).sum()) for key, w in weights.items()})
        outcomes = {key: arm.draw(LARGE, weights[key], study.follow_up, chance) for key, arm in trial.arms.items()}
        expected.append(statistics(trial, outcomes, chosen))
    at = np.array(expected)
    values_of_trials = np.empty((n_trials, len(chosen)))
    for k in range(n_trials):
        values = posterior.values(int(chance.choice(len(posterior.sets), p=posterior.weights)))
        outcomes = {}
        for key, arm in trial.arms.items():
            weights_now = arm.weights(values)
            anew = weights_now * chance.standard_exponential(len(weights_now))
            outcomes[key] = arm.draw(sizes[key], anew / anew.sum(), study.follow_up, chance)
        values_of_trials[k] = statistics(trial, outcomes, chosen)
    best = posterior.values(posterior.best)
    drawn = {key: arm.draw(LARGE, arm.weights(best), study.follow_up, chance) for key, arm in trial.arms.items()}
    labels = {key: arm.label for key, arm in trial.arms.items()}
    given = [study.published[i] for i in chosen]
    compared = published.compare_published(given, trial.table(drawn), "parallel", prediction.LEVEL, labels)
    rows = []
    for j, (row, entry) in enumerate(zip(given, compared.to_dict("records"), strict=True)):
        column = at[:, j]
        middle = _median(column, posterior.weights)
        low, high = prediction.interval(values_of_trials[:, j])
        ends = prediction.interval(np.repeat(column, _times(posterior.weights)), OF_PARAMETERS)
        arms = row.get("comparison") or [row["arm"]]
        found: dict[str, Any] = {str(key): value for key, value in entry.items()}
        found |= {
            "is_subgroup": "subgroup" in row,
            "simulated": middle,
            "simulated_low": low,
            "simulated_high": high,
            "parameters_low": ends[0],
            "parameters_high": ends[1],
            "effective": float(np.quantile([min(w[arm] for arm in arms) for w in worth], 0.05)),
        }
        known = (found["published_low"], found["published_high"])
        rows.append(
            {
                **found,
                "scenario": study.name,
                "role": row.get("role", ""),
                "is_inside_published": None if math.isnan(known[0]) else bool(known[0] <= middle <= known[1]),
                "holds_published": None if math.isnan(low) else bool(low <= found["published"] <= high),
                "verdict": _verdict(row, found, study.follow_up.longest_days / DAYS_PER_MONTH),
                "note": "" if math.isfinite(middle) else published.NOT_REACHED,
                "remark": str(row.get("note", "")),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _verdict(row: Mapping[str, Any], found: Mapping[str, Any], followed_months: float) -> str:
    """By the rule of `trial.verdict`; a median beyond the follow-up is one that is not reached."""
    simulated = found["simulated"] if math.isfinite(found["simulated"]) else math.nan
    numbers = (found["published"], found["published_low"], found["published_high"], simulated)
    known = followed_months if math.isinf(found["simulated"]) else math.nan
    return verdict(Beside(found["kind"], found["endpoint"], found["is_subgroup"], *numbers, int(row.get("n") or 0), known))


def _times(weights: Floats) -> Any:
    """How often each set counts where weights become numbers."""
    return np.maximum(np.round(weights / weights.max() * 10.0).astype(int), 0)


def _median(values: Floats, weights: Floats) -> float:
    """Weighted median; NaN of nothing, infinite where half of the weight is."""
    known = ~np.isnan(values)
    if not known.any():
        return math.nan
    order = np.argsort(values[known], kind="stable")
    edges = np.cumsum(weights[known][order])
    return float(values[known][order][int(np.searchsorted(edges, edges[-1] / 2.0))])


def predict(
    studies: Iterable[Study], bank: Bank, posterior: Posterior, n_trials: int, tell: Callable[[str], None] = lambda text: None
) -> "pd.DataFrame":
    """Put the published rows of some trials beside what a bank predicts of them.

    Raises:
        InputError: Where the bank has run no arm of any of them.
    """
    import pandas as pd

    weigher = Weigher(bank, {key: facts["acts"] for key, facts in bank.arms.items()})
    tables = []
    for study in studies:
        try:
            trial = play(study, bank, weigher, posterior.names)
        except InputError as error:
            tell(f"{study.name} is left out: {error}")
            continue
        tell(f"{study.name}: {', '.join(f'{key} worth {arm.worth():.0f} patients' for key, arm in trial.arms.items())}")
        table = beside(trial, posterior, n_trials)
        if len(table):
            tables.append(table)
    if not tables:
        raise InputError(f"{bank.folder}: the bank has run no arm of these trials of which something is published")
    return pd.concat(tables, ignore_index=True)


# ---- judging ---------------------------------------------------------------------------------------------------------


def goals(table: "pd.DataFrame") -> list[Goal]:
    """What would count as success (docs/calibration.md), and whether it did; of predicted rows alone."""
    rows = table[table["role"] == "prediction"]
    ratios = rows[(rows["kind"] == "ratio") & ~rows["is_subgroup"].astype(bool)]
    found = [_error(ratios), _order(ratios), _skill(ratios)]
    for scenario in ("icaria", "ikema"):
        own = ratios[ratios["scenario"] == scenario]
        found.append(_all_pass(own, f"{scenario}: hazard ratio inside the published interval and within {NEAR_RATIO:g}"))
    for words, names in (
        (f"median PFS within {100 * NEAR_MEDIAN:g} %", ("median_pfs",)),
        (f"ORR within {100 * NEAR_ORR:g} points", ("orr",)),
        (
            f"VGPR, CR and residual disease within {100 * NEAR_SHARE:g} points",
            ("vgpr_or_better", "cr_or_better", "mrd_negative"),
        ),
    ):
        found.append(_all_pass(rows[rows["endpoint"].isin(names)], words))
    held = rows[rows["holds_published"].notna()]["holds_published"].astype(bool)
    share = float(held.mean()) if len(held) else math.nan
    words = f"{100 * HELD:g} % of the rows inside the predicted {100 * prediction.LEVEL:g} % intervals"
    found.append(Goal(words, f"{int(held.sum())} of {len(held)}", None if not len(held) else share >= HELD))
    return found


def _errors(ratios: "pd.DataFrame", constant: float | None = None) -> Floats:
    """Of the logarithm of each hazard ratio."""
    said = np.log(ratios["published"].to_numpy(np.float64))
    found: Floats = (math.log(constant) if constant else np.log(ratios["simulated"].to_numpy(np.float64))) - said
    return found


def _rms(values: Floats) -> float:
    return math.sqrt(float(np.mean(values**2))) if len(values) else math.nan


def _error(ratios: "pd.DataFrame") -> Goal:
    rms = _rms(_errors(ratios))
    return Goal(
        f"error of the log hazard ratio at most {LARGEST_ERROR:g} (RMS)", f"{rms:.3f}", None if math.isnan(rms) else rms <= LARGEST_ERROR
    )


def _order(ratios: "pd.DataFrame") -> Goal:
    """The order of hazard ratios that were published clearly apart."""
    pairs = [
        (a, b)
        for a, b in combinations(ratios.to_dict("records"), 2)
        if abs(a["published"] - b["published"]) > APART and a["scenario"] + a["who"] != b["scenario"] + b["who"]
    ]
    right = sum((a["published"] < b["published"]) == (a["simulated"] < b["simulated"]) for a, b in pairs)
    return Goal(
        f"order kept of hazard ratios more than {APART:g} apart",
        f"{right} of {len(pairs)} pairs",
        None if not pairs else right == len(pairs),
    )


def _skill(ratios: "pd.DataFrame") -> Goal:
    """Against one hazard ratio for all."""
    own, rival = _rms(_errors(ratios)), _rms(_errors(ratios, CONSTANT))
    return Goal(
        f"a smaller error than one hazard ratio of {CONSTANT:.2f} for all",
        f"{own:.3f} against {rival:.3f}",
        None if math.isnan(own) else own < rival,
    )


def _all_pass(rows: "pd.DataFrame", words: str) -> Goal:
    judged = rows[rows["verdict"] != NONE]
    n = int((judged["verdict"] == PASS).sum())
    return Goal(words, f"{n} of {len(judged)}", None if not len(judged) else n == len(judged))


# ---- telling ---------------------------------------------------------------------------------------------------------


def write(table: "pd.DataFrame", folder: Path, facts: str) -> list[Path]:
    """Write the predictions as a table, in words, as a figure, and run.json."""
    from tme_abm import drawing
    from tme_abm.trial import figures

    table.to_csv(folder / prediction.TABLE, index=False)
    (folder / prediction.REPORT).write_text(report(table, facts), encoding="utf-8")
    drawn = table[table["role"] != "calibration"].replace([np.inf, -np.inf], np.nan)
    drawn = drawn.assign(who=drawn["scenario"].str.replace("_", " ") + ", " + drawn["who"])
    written = [folder / prediction.TABLE, folder / prediction.REPORT]
    if len(drawn):
        written += [drawing.save(figures.published(drawn), folder, prediction.FIGURE, kind) for kind in ("svg", "png")]
    write_json(folder / "run.json", {"prediction": facts, **describe_machine()})
    return [*written, folder / "run.json"]


def report(table: "pd.DataFrame", facts: str) -> str:
    """The predictions in Markdown: the goals, what was predicted, what was fitted."""
    predicted, fitted = table[table["role"] != "calibration"], table[table["role"] == "calibration"]
    judged = predicted[predicted["verdict"] != NONE]
    lines = [
        f"{int((judged['verdict'] == PASS).sum())} of {len(judged)} predictions pass. {facts}",
        "",
        "Beside a simulated value stand the interval of virtual trials of the published size, parameters included (95 %), and that of the",
        "parameters alone (90 %). Effective: patients that the weights are worth in 95 % of the sets.",
        "",
    ]
    if len(predicted):
        lines += ["| goal | found | met |", "| --- | --- | --- |"]
        lines += [
            f"| {goal.words} | {goal.found} | {'' if goal.is_met is None else 'yes' if goal.is_met else 'no'} |" for goal in goals(table)
        ]
        lines += ["", *rows_in_words(predicted)]
    if len(fitted):
        lines += ["", "What was fitted, by the same rules:", "", *rows_in_words(fitted)]
    return "\n".join(lines) + "\n"


def rows_in_words(table: "pd.DataFrame") -> list[str]:
    """Rows of a table in Markdown."""
    lines = ["| study | who | endpoint | published | simulated | of the parameters | holds | effective | verdict |", "| --- " * 9 + "|"]
    units = {"months": (1.0, " [month]", 1), "rate": (100.0, " [%]", 1), "ratio": (1.0, "", 2)}
    for row in table.to_dict("records"):
        scale, unit, digits = units[row["kind"]]
        texts = []
        for name in ("published", "simulated"):
            value, low, high = (scale * float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
            texts.append(prediction.in_words(value, low, high, digits))
        low, high = (scale * float(row[f"parameters_{end}"]) for end in ("low", "high"))
        ends = [f"{end:.{digits}f}" if math.isfinite(end) else "-" for end in (low, high)]
        holds = {True: "yes", False: "no"}.get(row["holds_published"], "")
        cells = [
            row["scenario"],
            row["who"],
            row["what"] + unit,
            *texts,
            " to ".join(ends),
            holds,
            f"{row['effective']:.0f}",
            row["verdict"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
