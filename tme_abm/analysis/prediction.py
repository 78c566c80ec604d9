"""Published results beside predicted ones, with the chance of a trial of the published size.

The model runs as it stands, every virtual patient under every arm. From that table many virtual trials are drawn: as many patients
in each arm as the trial had, with replacement, the arms independently of each other, so that none profits from the pairing. What statistics
do from one virtual trial to the next is the interval beside a prediction; it holds the chance of the patients, those of the simulation
included, not the doubt about the parameters.

A row passes by the rule of `trial.verdict`, which was set before.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm.batch.files import write_json
from tme_abm.export.crate import Subject
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError
from tme_abm.trial import cox, published, subgroups, summary, survival
from tme_abm.trial.provenance import describe_machine, model_digest
from tme_abm.trial.study import Study
from tme_abm.trial.verdict import NONE, PASS, RULE

if TYPE_CHECKING:
    import pandas as pd

Floats = np.ndarray[Any, np.dtype[np.float64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]
Run = Callable[[Study, Path], Any]  # `scenario.running.run`, which stands a floor higher

SUBJECT = Subject("prediction", "Predictions", "Published results that the model was not fitted to, beside its own.")
IDENTITY = {"command": "tme predict"}  # of the folder in which the studies have folders of their own
TABLE, REPORT, FIGURE = "predictions.csv", "predictions.md", "predictions"
LEVEL = 0.95  # of the intervals of virtual trials
COLUMNS = (
    *("scenario", "role", "kind", "who", "what", "endpoint", "is_subgroup", "published", "published_low", "published_high"),
    *("simulated", "simulated_low", "simulated_high", "is_inside_published", "holds_published", "verdict", "source", "note", "remark"),
)


class Patients(NamedTuple):
    """The completed patients of one arm as arrays (n,).

    Attributes:
        months: Time to event or censoring [month].
        event: Whether it was an event.
        shares: Endpoint -> whether a patient reached it.
        groups: Row of the published results -> whether a patient belongs to its subgroup.
        response_months: To the first visit of a confirmed response [month]; infinite without one.
    """

    months: Floats
    event: Truths
    shares: Mapping[str, Truths]
    groups: Mapping[int, Truths]
    response_months: Floats


# ---- statistics that are needed thousands of times -------------------------------------------------------------------


def survival_curve(months: Floats, event: Truths) -> tuple[Floats, Floats]:
    """Kaplan-Meier estimate: times of events (k,) [month] and the survival from each on (k,)."""
    times, inverse = np.unique(months, return_inverse=True)
    leaving = np.bincount(inverse, minlength=len(times))
    deaths = np.bincount(inverse, weights=event, minlength=len(times))
    at_risk = len(months) - np.concatenate(([0], np.cumsum(leaving)[:-1]))
    survival = np.cumprod(1.0 - deaths / at_risk)
    return times[deaths > 0], survival[deaths > 0]


def median(months: Floats, event: Truths) -> float:
    """Kaplan-Meier median [month]; infinite where it is not reached."""
    times, survival = survival_curve(months, event)
    reached = np.flatnonzero(survival <= 0.5 + 1e-12)
    return float(times[reached[0]]) if len(reached) else math.inf


def survival_at(months: Floats, event: Truths, month: float) -> float:
    """Kaplan-Meier survival at a time; NaN where nobody was followed so long."""
    times, survival = survival_curve(months, event)
    before = np.flatnonzero(times <= month)
    height = float(survival[before[-1]]) if len(before) else 1.0
    return height if len(months) and (month <= months.max() or height <= 0.0) else math.nan


def hazard_ratio(months: tuple[Floats, Floats], event: tuple[Truths, Truths]) -> float:
    """Cox hazard ratio of the first arm against the second; NaN where it has no finite estimate."""
    estimate = cox.fit(cox.risk_sets(months, event))
    return math.nan if estimate is None else math.exp(estimate.log_ratio)


# ---- virtual trials --------------------------------------------------------------------------------------------------


def arm_sizes(study: Study) -> dict[str, int]:
    """Patients of each arm in the published trial: as its rows say, or its share of a comparison's, or those of the study."""
    sizes: dict[str, int] = {}
    weights = {arm.key: weight for arm, weight in zip(study.arms, study.allocation, strict=True)}
    for row in study.published:
        if "comparison" in row and row.get("n") and "subgroup" not in row:
            first, second = row["comparison"]
            sizes[first] = round(row["n"] * weights[first] / (weights[first] + weights[second]))
            sizes[second] = row["n"] - sizes[first]
    for row in study.published:
        if "arm" in row and row.get("n") and "subgroup" not in row:
            sizes[row["arm"]] = int(row["n"])
    return {arm.key: sizes.get(arm.key, study.patients) for arm in study.arms}


def gather(study: Study, table: "pd.DataFrame") -> dict[str, Patients]:
    """The completed patients of each arm, with what the published rows ask of them."""
    found = {}
    for arm in study.arms:
        rows = survival.completed(table, arm.key)
        times = survival.survival(table, arm.key)
        shares = {
            name: rows[column].isin(depths).to_numpy(bool) for name, (column, depths) in summary.SHARES.items() if column in rows.columns
        }
        shares["mrd_negative"] = rows["mrd_negative"].eq(True).to_numpy(bool)
        groups = {
            i: np.asarray(subgroups.find_subgroup(row["subgroup"]).holds(rows), bool)
            for i, row in enumerate(study.published)
            if "subgroup" in row
        }
        response = np.full(len(rows), np.inf)
        if survival.RESPONSE_DAYS in rows.columns:
            response = rows[survival.RESPONSE_DAYS].fillna(np.inf).to_numpy(np.float64) / DAYS_PER_MONTH
        found[arm.key] = Patients(times.months, times.event, shares, groups, response)
    return found


def statistic(row: Mapping[str, Any], number: int, patients: Mapping[str, Patients], drawn: Mapping[str, Any]) -> float:
    """What a published row is about, in the patients drawn.

    Args:
        row: The published row.
        number: Its number among the rows of the scenario.
        patients: Arm -> all its patients.
        drawn: Arm -> places of the patients drawn.
    """
    arms = row.get("comparison") or [row["arm"]]
    chosen = []
    for arm in arms:
        places = drawn[arm]
        groups = patients[arm].groups
        chosen.append(places[groups[number][places]] if number in groups else places)
    if any(len(places) == 0 for places in chosen):
        return math.nan
    endpoint = row["endpoint"]
    people = [patients[arm] for arm in arms]
    months, event = ([getattr(p, name)[c] for p, c in zip(people, chosen, strict=True)] for name in ("months", "event"))
    if endpoint == "hazard_ratio_pfs":
        return hazard_ratio((months[0], months[1]), (event[0], event[1]))
    if endpoint == "median_pfs":
        return median(months[0], event[0])
    if endpoint in ("median_duration_of_response", "median_time_to_response"):
        response = people[0].response_months[chosen[0]]
        responded = np.isfinite(response)
        if not responded.any():
            return math.nan
        if endpoint == "median_time_to_response":
            return median(response[responded], np.ones(int(responded.sum()), np.bool_))
        return median(np.maximum(months[0] - response, 0.0)[responded], event[0][responded])
    if endpoint == "median_pfs_difference":
        first, second = (median(m, e) for m, e in zip(months, event, strict=True))
        return first - second if math.isfinite(second) else math.nan
    if endpoint in people[0].shares:
        return float(people[0].shares[endpoint][chosen[0]].mean())
    if endpoint in summary.SHARES:
        return math.nan  # the table of an earlier version has no column for it
    return survival_at(months[0], event[0], float(endpoint.split("_")[1]))


def virtual_trials(study: Study, table: "pd.DataFrame", n_trials: int) -> Floats:
    """The statistic of each published row in many virtual trials of the published size (n_trials, n_rows)."""
    patients = gather(study, table)
    sizes = arm_sizes(study)
    chance = np.random.default_rng([study.seed, n_trials])
    out = np.empty((n_trials, len(study.published)))
    for k in range(n_trials):
        drawn = {}
        for arm, p in patients.items():
            others = chance.integers(0, len(p.months), len(p.months))  # another simulation of the same size, and a trial out of it
            drawn[arm] = others[chance.integers(0, len(others), sizes[arm])]
        out[k] = [statistic(row, i, patients, drawn) for i, row in enumerate(study.published)]
    return out


def interval(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Range that holds a share of the values; NaN where there are none, infinite where a median is not reached."""
    known = np.sort(values[~np.isnan(values)])
    if len(known) == 0:
        return math.nan, math.nan
    tail = (1.0 - level) / 2.0
    return float(known[math.floor(tail * (len(known) - 1))]), float(known[math.ceil((1.0 - tail) * (len(known) - 1))])


# ---- beside what was published ---------------------------------------------------------------------------------------


def beside(study: Study, table: "pd.DataFrame", n_trials: int) -> "pd.DataFrame":
    """Each published row of a study beside its prediction.

    Args:
        study: What has run.
        table: Its patients.
        n_trials: Virtual trials from which the intervals come.

    Returns:
        `COLUMNS`; rates as fractions, NaN where a number is missing, infinite where the end of an interval is not reached.
    """
    import pandas as pd

    labels = {arm.key: arm.label for arm in study.arms}
    compared = published.compare_published(study.published, table, study.design, LEVEL, labels)
    values = virtual_trials(study, table, n_trials)
    rows = []
    records: list[dict[str, Any]] = [{str(key): value for key, value in record.items()} for record in compared.to_dict("records")]
    for i, (row, entry) in enumerate(zip(study.published, records, strict=True)):
        low, high = interval(values[:, i])
        found = {**entry, "is_subgroup": "subgroup" in row, "simulated_low": low, "simulated_high": high}
        given = (entry["published_low"], entry["published_high"])
        rows.append(
            {
                **found,
                "scenario": study.name,
                "role": row.get("role", ""),
                "is_inside_published": None if math.isnan(given[0]) else bool(given[0] <= entry["simulated"] <= given[1]),
                "holds_published": None if math.isnan(low) else bool(low <= entry["published"] <= high),
                "remark": str(row.get("note", "")),  # on the published figure; the note is on the simulated one
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


# ---- running ---------------------------------------------------------------------------------------------------------


def predict(
    studies: Iterable[Study], run: Run, folder: Path, n_trials: int, tell: Callable[[str], None] = lambda text: None
) -> "pd.DataFrame":
    """Run studies as they stand, or take up their finished runs, and put published and predicted results side by side.

    Args:
        studies: Those with published rows.
        run: Runs a study into a folder, or leaves the finished run that stands there.
        folder: Where the runs stand, each in a folder of its name.
        n_trials: Virtual trials from which the intervals come.
        tell: Who is told what happens.

    Returns:
        The rows of `beside` of all studies.

    Raises:
        InputError: Where no study has a published row.
    """
    import pandas as pd

    tables = []
    for study in studies:
        if not study.published:
            continue
        place = folder / study.name
        tell(f"{study.name}: {study.patients} patients, {len(study.arms)} arms")
        run(study, place)
        tables.append(beside(study, pd.read_parquet(place / "patients.parquet"), n_trials))
    if not tables:
        raise InputError("none of these scenarios has a published figure to predict")
    return pd.concat(tables, ignore_index=True)


def write(table: "pd.DataFrame", folder: Path, facts: str) -> list[Path]:
    """Write the predictions as a table, in words and as a figure, and run.json.

    Args:
        table: As `predict` returns it.
        folder: Where to write.
        facts: How they were made, in a sentence.
    """
    from tme_abm import drawing
    from tme_abm.trial import figures

    table.to_csv(folder / TABLE, index=False)
    (folder / REPORT).write_text(report(table, facts), encoding="utf-8")
    drawn = table[table["role"] != "calibration"].replace([np.inf, -np.inf], np.nan)
    drawn = drawn.assign(who=drawn["scenario"].str.replace("_", " ") + ", " + drawn["who"])
    picture = drawing.save(figures.published(drawn), folder, FIGURE)
    write_json(folder / "run.json", {"prediction": facts, "model": model_digest(), **describe_machine()})
    return [folder / TABLE, folder / REPORT, picture]


def report(table: "pd.DataFrame", facts: str) -> str:
    """The predictions in Markdown: those that were predicted, then those that the model was fitted to."""
    predicted, fitted = table[table["role"] != "calibration"], table[table["role"] == "calibration"]
    judged = predicted[predicted["verdict"] != NONE]
    lines = [
        f"{int((judged['verdict'] == PASS).sum())} of {len(judged)} predictions pass. {facts}",
        "",
        "Intervals beside simulated values are those of virtual trials of the published size; they do not hold the doubt about the",
        f"parameters. {RULE} Inside: the simulated value lies in the published interval; holds: the published value lies in that of the",
        "virtual trials.",
        "",
        *rows_in_words(predicted),
    ]
    if len(fitted):
        lines += ["", "What the model was fitted to, by the same rules:", "", *rows_in_words(fitted)]
    return "\n".join(lines) + "\n"


def rows_in_words(table: "pd.DataFrame") -> list[str]:
    """Rows of a table in Markdown."""
    lines = ["| study | who | endpoint | published | simulated | inside | holds | verdict |", "| --- " * 8 + "|"]
    units = {"months": (1.0, " [month]", 1), "rate": (100.0, " [%]", 1), "ratio": (1.0, "", 2)}
    for row in table.to_dict("records"):
        scale, unit, digits = units[row["kind"]]
        texts = []
        for name in ("published", "simulated"):
            value, low, high = (scale * float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
            texts.append(in_words(value, low, high, digits))
        marks = [{True: "yes", False: "no"}.get(row[name], "") for name in ("is_inside_published", "holds_published")]
        lines.append(f"| {' | '.join([row['scenario'], row['who'], row['what'] + unit, *texts, *marks, row['verdict']])} |")
    return lines


def in_words(value: float, low: float, high: float, digits: int) -> str:
    """A value with its interval."""

    def text(number: float, missing: str) -> str:
        return f"{number:.{digits}f}" if math.isfinite(number) else missing

    middle = text(value, "not reached")
    return middle if math.isnan(low) and math.isnan(high) else f"{middle} ({text(low, '-')} to {text(high, '-')})"


def chosen(names: Sequence[str] | None, known: Iterable[str], load: Callable[[str], Study]) -> list[str]:
    """The scenarios to predict: those named, or all that have a row with the role "prediction"."""
    if names:
        return list(names)
    return [name for name in known if any(row.get("role") == "prediction" for row in load(name).published)]
