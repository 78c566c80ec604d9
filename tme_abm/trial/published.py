"""Published results beside the same quantities of the simulation. Printed for the reader; the model never reads them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.trial.comparison import hazard_ratio
from tme_abm.trial.medians import median_difference
from tme_abm.trial.subgroups import find_subgroup
from tme_abm.trial.summary import arm_summary
from tme_abm.trial.survival import (
    RESPONSE_DAYS,
    Interval,
    check_level,
    completed,
    duration_of_response,
    known_until,
    quantile_time,
    rate,
    survival,
    survival_at,
    time_to_response,
)
from tme_abm.trial.verdict import Beside, verdict

if TYPE_CHECKING:
    import pandas as pd

NOT_REACHED = "not reached"
WORDS = {  # endpoint -> its words; "pfs_12_months" and the like are known too
    "median_pfs_difference": "difference of median PFS",  # before the shorter one, of which it begins
    "median_pfs": "median PFS",
    "median_duration_of_response": "median duration of response",
    "median_time_to_response": "median time to response",
    "orr": "overall response",
    "vgpr_or_better": "VGPR or better",
    "cr_or_better_after_mass_spectrometry": "CR or better after mass spectrometry",  # before that of which it begins
    "cr_or_better": "CR or better",
    "mrd_negative": "MRD negative",
    "hazard_ratio_pfs": "hazard ratio of PFS",
}

TIMES = {  # endpoint -> the times of which it is the median
    "median_pfs": survival,
    "median_duration_of_response": duration_of_response,
    "median_time_to_response": time_to_response,
}


def compare_published(
    published: Sequence[Mapping[str, Any]],
    patients: "pd.DataFrame",
    design: str = "paired",
    level: float = 0.95,
    labels: Mapping[str, str] | None = None,
) -> "pd.DataFrame":
    """Each published result beside the same quantity of the simulation.

    Args:
        published: Entries `{arm | comparison: [arm, reference], endpoint, value?, ci_low?, ci_high?, ci_level?, unit?,
            n?, subgroup?, source?}`. Endpoints: `median_pfs`, `median_duration_of_response` and `median_time_to_response` (of the
            responders), `orr`, `vgpr_or_better`, `cr_or_better`, `cr_or_better_after_mass_spectrometry`, `mrd_negative`,
            `pfs_<n>_months` and, of a comparison, `hazard_ratio_pfs` and `median_pfs_difference`; a further word at their end
            (`_months`, `_1e-5`, `_final`) says nothing to the calculation. A rate above 1 or with the unit "percent" is read as
            per cent; one with the number of patients `n` and no interval gets Wilson's. A subgroup is the label of one in
            `SUBGROUPS`, a short name in `SHORT_NAMES`, or a condition on columns of `patients`. An entry of any other endpoint
            brings the simulated value along: `simulated, simulated_low?, simulated_high?`, in its own unit.
        patients: A row per patient and arm.
        design: `"paired"` or `"parallel"`.
        level: Of the simulated intervals [1], where an entry does not say its own.
        labels: What to call the arms.

    Returns:
        `kind ("months" | "rate" | "ratio"), who, what, endpoint, published, published_low, published_high, simulated,
        simulated_low, simulated_high, verdict, source, note`; rates as fractions. The verdict is that of `trial.verdict`.

    Raises:
        InputError: For an entry that cannot be read.
    """
    import pandas as pd

    rows = []
    for number, entry in enumerate(published, 1):
        where = f"published result {number}"
        kind, name, what = _read_endpoint(entry, where)
        own = float(entry.get("ci_level") or level)
        own = own / 100.0 if own > 1.0 else own
        check_level(own)
        given = _read_published(entry, kind, own)
        who = " vs ".join((labels or {}).get(arm, arm) for arm in entry.get("comparison") or [entry.get("arm", "")])
        table = patients
        if subgroup := entry.get("subgroup"):
            chosen = find_subgroup(str(subgroup), where)
            if not set(chosen.columns) <= set(patients.columns):
                raise InputError(f"{where}: the patient table has no column '{chosen.columns[0]}'")
            table = patients[np.asarray(chosen.holds(patients), bool)]
            who = f"{who}, {chosen.group.lower()}: {chosen.label}"
        if abs(own - level) > 1e-9:
            who = f"{who} ({100 * own:g} % interval)"
        value, interval, note = _simulated(entry, table, kind, name, design, own)
        point, low, high, simulated = (math.nan if x is None else x for x in (*given, value))
        n = int(entry.get("n") or (completed(table)["patient"].nunique() if "arm" in entry else 0))
        known, is_told = _known_months(entry, table, note), "simulated" in entry or interval[0] is not None
        judged = verdict(Beside(kind, name, bool(subgroup), point, low, high, simulated, n, known, _run_size(entry, patients), is_told))
        rows.append((kind, who, what, name, *given, value, *interval, judged, entry.get("source", ""), note))
    columns = ["kind", "who", "what", "endpoint", "published", "published_low", "published_high"]
    columns += ["simulated", "simulated_low", "simulated_high", "verdict", "source", "note"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype(dict.fromkeys(columns[4:10], "float64"))


def given_word(sources: Iterable[Any]) -> str:
    """What the results of a scenario are called beside the simulated ones: those of a study of one's own were not published."""
    own = [str(source).startswith("this study") for source in sources]
    return "given" if own and all(own) else "published"


def _run_size(entry: Mapping[str, Any], patients: "pd.DataFrame") -> int | None:
    """Completed patients of the smaller arm of an entry; None where it brings its simulated value along."""
    if "simulated" in entry:
        return None
    arms = list(entry.get("comparison") or [entry["arm"]])
    return min(len(completed(patients, arm)) for arm in arms)


def _known_months(entry: Mapping[str, Any], table: "pd.DataFrame", note: str) -> float:
    """Up to when a median is known not to be reached; NaN where that is not what is missing."""
    if note != NOT_REACHED:
        return math.nan
    return known_until(TIMES[str(entry["endpoint"])](table, str(entry["arm"])))


def _read_endpoint(entry: Mapping[str, Any], where: str) -> tuple[str, str, str]:
    """Kind, endpoint and wording of a published result."""
    if "endpoint" not in entry:
        raise InputError(f"{where}: 'endpoint' is missing")
    if entry.get("value") is None and (entry.get("ci_low") is None or entry.get("ci_high") is None):
        raise InputError(f"{where}: give a value, or both ci_low and ci_high")
    given = str(entry["endpoint"])
    if "simulated" in entry:
        kind = "ratio" if "ratio" in given else "months" if given.endswith("_months") else "rate"
        return kind, given, given.replace("_", " ")
    words = given.split("_")
    if words[0] == "pfs" and len(words) == 3 and words[1].replace(".", "", 1).isdigit() and words[2] == "months":
        name, label = given, f"PFS at {words[1]} months"
    else:
        stem = "hazard_ratio_pfs" if given == "hazard_ratio" else given
        found = [known for known in WORDS if stem == known or stem.startswith(known + "_")]
        if not found:
            raise InputError(f"{where}: unknown endpoint '{given}'{did_you_mean(given, WORDS)}")
        name, label = found[0], WORDS[found[0]]
    kind = {"median_pfs_difference": "months", "hazard_ratio_pfs": "ratio"}.get(name, "months" if name in TIMES else "rate")
    if name in ("hazard_ratio_pfs", "median_pfs_difference"):
        pair = entry.get("comparison")
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise InputError(f"{where}: a {WORDS[name].removesuffix(' of PFS')} needs comparison = [arm, reference]")
        return kind, name, label
    if "arm" not in entry:
        raise InputError(f"{where}: '{given}' needs an arm")
    return kind, name, label


def _read_published(entry: Mapping[str, Any], kind: str, level: float) -> tuple[float | None, float | None, float | None]:
    """Value and interval of a published result; rates as fractions."""
    value, low, high = (None if entry.get(key) is None else float(entry[key]) for key in ("value", "ci_low", "ci_high"))
    if kind != "rate":
        return value, low, high
    largest = max(number for number in (value, low, high, 0.0) if number is not None)
    scale = 0.01 if entry.get("unit") in ("percent", "%") or largest > 1.0 else 1.0
    value, low, high = (None if number is None else number * scale for number in (value, low, high))
    if low is None and high is None and value is not None and entry.get("n"):
        n = int(entry["n"])
        low, high = rate(round(value * n), n, level)[1]
    return value, low, high


def _simulated(
    entry: Mapping[str, Any], table: "pd.DataFrame", kind: str, name: str, design: str, level: float
) -> tuple[float | None, Interval, str]:
    """The simulated quantity, its interval, and why it is missing."""
    if "simulated" in entry:
        scaled = _read_published(
            {
                "value": entry["simulated"],
                "ci_low": entry.get("simulated_low"),
                "ci_high": entry.get("simulated_high"),
                "unit": entry.get("unit"),
            },
            kind,
            level,
        )
        return scaled[0], scaled[1:], "" if scaled[0] is not None else "not recorded"
    wanted = list(entry["comparison"]) if entry.get("comparison") else [entry["arm"]]
    for arm in wanted:
        if not (table["arm"] == arm).any():
            return None, (None, None), f"no patient in arm '{arm}'"
    if kind == "ratio":
        ratio = hazard_ratio(survival(table, wanted[0]), survival(table, wanted[1]), design, level)
        return ratio.value, (ratio.ci_low, ratio.ci_high), ratio.note
    if name == "median_pfs_difference":
        return median_difference(survival(table, wanted[0]), survival(table, wanted[1]), design, level)
    return _one_arm(table, wanted[0], name, level)


def _one_arm(table: "pd.DataFrame", arm: str, name: str, level: float) -> tuple[float | None, Interval, str]:
    """A quantity of one arm, its interval, and why it is missing."""
    times = survival(table, arm)
    if len(times.months) == 0:
        return None, (None, None), "no patient completed"
    if name in TIMES:
        if name != "median_pfs" and RESPONSE_DAYS not in table.columns:  # of an earlier version
            return None, (None, None), "not recorded"
        if len((times := TIMES[name](table, arm)).months) == 0:
            return None, (None, None), "nobody responded"
        value, interval = quantile_time(times, level)
        return value, interval, "" if value is not None else NOT_REACHED
    if name.startswith("pfs_"):
        value, interval = survival_at(times, float(name.split("_")[1]), level)
        return value, interval, "" if value is not None else "not followed so long"
    value, interval = getattr(summary := arm_summary(table, arm, level), name), getattr(summary, f"{name}_ci")
    return value, interval, "" if value is not None else "not recorded"
