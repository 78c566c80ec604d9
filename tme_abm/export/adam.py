"""Results as CDISC ADaM data sets (cdisc2021): ADSL, ADTTE, ADRS and ADLB.

What a virtual trial has not, is not made up. Its time has no date: `ANCHOR` stands for the day on which the first patient enters, and
who enters later has a later date of randomisation, so that the data cut-off is the same day for all. In a paired design a virtual
patient is a subject in every arm, with a USUBJID for each; `PAIRID` tells which subjects are the same patient. Days count from
randomisation as CDISC wants it, without a day 0; `AVAL` of ADTTE is the time that the model's own statistics use, to all digits, and
`ADT` the day on which it ends. ADRS derives its confirmed responses from the unconfirmed ones of the visits (`outcomes.confirmation`).
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm.export.adam_variables import AVAL_RESPONSE, DATA_SETS, ELDERLY, TESTS, TIMES, DataSet, values
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.outcomes.confirmation import TimePoint, best_confirmed, confirmed
from tme_abm.outcomes.imwg import NOT_EVALUABLE, RANK, is_at_least
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import pandas as pd

ANCHOR = "2000-01-01"  # the day on which the first patient enters
_CENSORED = {"cut-off": "DATA CUT-OFF", "drop-out": "LOST TO FOLLOW-UP", "new therapy": "NEW ANTI-CANCER THERAPY"}


def make(study: Study, patients: "pd.DataFrame", trajectory: "pd.DataFrame") -> dict[str, "pd.DataFrame"]:
    """The data sets of a finished study, by name; failed runs are in none of them.

    Args:
        study: What has run.
        patients: A row for each patient and arm.
        trajectory: A row for each patient, arm and visit.

    Raises:
        InputError: Where a column is missing, as in results of an older version.
    """
    for table, what, names in ((patients, "patients", ("treatment_stopped_days", "pfs_days")), (trajectory, "trajectory", ("response",))):
        for name in names:
            if name not in table.columns:
                hint = did_you_mean(name, table.columns)
                raise InputError(f"{what}.parquet has no column '{name}'{hint}; results of older versions must be run again")
    rows: list[Any] = patients[patients["status"] == "completed"].to_dict("records")
    visits = {key: part for key, part in trajectory.sort_values("visit").groupby(["patient", "arm"], sort=False)}
    made: dict[str, list[dict[str, Any]]] = {name: [] for name in ("ADSL", "ADTTE", "ADRS", "ADLB")}
    for row in sorted(rows, key=lambda r: (r["patient"], _number(study, r["arm"]))):
        subject = _Subject(study, row, visits.get((row["patient"], row["arm"])))
        made["ADSL"].append(subject.level())
        made["ADTTE"] += subject.times()
        made["ADRS"] += subject.responses()
        made["ADLB"] += subject.tests()
    return {given.name: _framed(given, made[given.name]) for given in DATA_SETS}


def write(sets: Mapping[str, "pd.DataFrame"], folder: Path) -> list[Path]:
    """Write data sets as Parquet, whose fields carry the labels, and as CSV, and a list of all variables.

    Returns:
        The files.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for given in DATA_SETS:
        table = sets[given.name]
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        labels = {v.name: v for v in given.variables}
        fields = []
        for field in arrow.schema:
            kind = {"text": pa.string(), "number": pa.float64(), "date": pa.date32()}[labels[field.name].kind]
            fields.append(pa.field(field.name, kind, metadata={"label": labels[field.name].label}))
        schema = pa.schema(fields, {"label": given.label, "keys": " ".join(given.keys)})
        stem = folder / given.name.lower()
        pq.write_table(arrow.cast(schema), stem.with_suffix(".parquet"))
        table.to_csv(stem.with_suffix(".csv"), index=False, date_format="%Y-%m-%d", lineterminator="\n")
        written += [stem.with_suffix(".parquet"), stem.with_suffix(".csv")]
    listed = [(d.name, v.name, v.label, v.kind, v.name in d.keys, "; ".join(values(d, v))) for d in DATA_SETS for v in d.variables]
    path = folder / "variables.csv"
    pd.DataFrame(listed, columns=["dataset", "variable", "label", "type", "key", "values"]).to_csv(path, index=False, lineterminator="\n")
    return [*written, path]


def subject_id(study: Study, patient: int, arm: str) -> str:
    """Unique identifier of a patient under an arm."""
    return f"{study.name}-{_number(study, arm):02d}-{patient:05d}".upper()


def _number(study: Study, arm: str) -> int:
    return [regimen.key for regimen in study.arms].index(arm) + 1


class _Subject:
    """One patient under one arm."""

    def __init__(self, study: Study, row: Mapping[str, Any], visits: "pd.DataFrame | None") -> None:
        self.study, self.row, self.visits = study, row, visits
        self.arm = study.arms[_number(study, row["arm"]) - 1]
        follow_up = study.follow_up
        entered = math.floor(row["entry_fraction"] * (follow_up.longest_days - follow_up.shortest_days))
        self.randomised = np.datetime64(ANCHOR) + np.timedelta64(entered, "D")
        self.cut_off_day = follow_up.days(row["entry_fraction"])
        self.own = {
            "STUDYID": study.name.upper(),
            "USUBJID": subject_id(study, row["patient"], row["arm"]),
            "SUBJID": f"{_number(study, row['arm']):02d}-{row['patient']:05d}",
        }
        self.treatment = {"TRT01P": self.arm.label, "TRT01PN": float(_number(study, row["arm"]))}

    def date(self, day: float) -> Any:
        """The date of a day since randomisation; none of a day that never was."""
        return np.datetime64("NaT") if math.isnan(day) else self.randomised + np.timedelta64(math.floor(day), "D")

    def level(self) -> dict[str, Any]:
        """The row of ADSL."""
        row = self.row
        is_dead = row["event_kind"] == "death"
        reason = "" if row["pfs_event"] else _CENSORED[row["censoring_reason"]]
        is_out = reason == "LOST TO FOLLOW-UP" or row["pfs_event"]
        ended = "DEATH" if is_dead else "PROGRESSIVE DISEASE" if row["pfs_event"] else reason if is_out else ""
        last_visit = float(self.visits["day"].max()) if self.visits is not None else 0.0
        end = row["pfs_days"] if is_dead else last_visit
        flags = {
            "LENRFL": "len_refractory",
            "PIRFL": "pi_refractory",
            "HRCYTFL": "high_risk",
            "GAIN1QFL": "gain_1q",
            "RENALFL": "renal_impairment",
        }
        numbers = {
            "AGE": "age",
            "HEIGHTBL": "height_cm",
            "WEIGHTBL": "weight_kg",
            "BSABL": "bsa_m2",
            "EGFRBL": "egfr",
            "B2MBL": "b2m_mg_per_l",
            "ALBBL": "albumin_g_per_l",
            "ISSBL": "iss",
            "PRIORLN": "prior_lines",
        }
        return {
            **self.own,
            **self.treatment,
            "PAIRID": float(row["patient"]),
            "AGEU": "YEARS",
            "AGEGR1": f"<{ELDERLY:g}" if row["age"] < ELDERLY else f">={ELDERLY:g}",
            "SEX": {"female": "F", "male": "M"}[row["sex"]],
            "ARM": self.arm.label,
            "ARMCD": self.arm.key.upper() if len(self.arm.key) <= 20 else f"ARM{self.treatment['TRT01PN']:g}",
            "ACTARM": self.arm.label,
            "TRT01A": self.treatment["TRT01P"],
            "TRT01AN": self.treatment["TRT01PN"],
            "RANDDT": self.date(0.0),
            "TRTSDT": self.date(0.0 if self.arm.doses else math.nan),
            "TRTEDT": self.date(self._last_dose_day(end)),
            "DCUTDT": self.date(self.cut_off_day),
            "DTHDT": self.date(row["pfs_days"] if is_dead else math.nan),
            "DTHFL": "Y" if is_dead else "",
            "EOSSTT": "DISCONTINUED" if is_out else "ONGOING",
            "EOSDT": self.date(end if is_out else math.nan),
            "DCSREAS": ended,
            "ITTFL": "Y",
            "SAFFL": "Y" if self.arm.doses else "N",
            "IGTYPE": row["ig_type"],
            "LGTCHAIN": row["light_chain"],
            **{name: float(row[column]) for name, column in numbers.items()},
            **{name: "Y" if row[column] else "N" for name, column in flags.items()},
        }

    def _last_dose_day(self, end: float) -> float:
        from tme_abm.export.dosing import doses

        given = doses(self.arm, self.row, min(end, _or_inf(self.row["treatment_stopped_days"])))
        return float(given.start_h[-1]) / HOURS_PER_DAY if given.start_h.size else math.nan

    def times(self) -> list[dict[str, Any]]:
        """The rows of ADTTE."""
        row = self.row
        end, kind = float(row["pfs_days"]), str(row["event_kind"])
        is_censored = not row["pfs_event"]
        no_event = (_CENSORED.get(row["censoring_reason"], ""), "LAST DISEASE ASSESSMENT", "ADRS", "ADT")
        seen = {
            "progression": (f"{'CLINICAL ' * (row.get('progression_kind') == 'clinical')}DISEASE PROGRESSION", "", "ADRS", "ADT"),
            "death": ("DEATH", "", "ADSL", "DTHDT"),
            "censored": no_event,
        }
        response_day = _or_nan(row["time_to_response_days"])
        last = float(self.visits["day"].max()) if self.visits is not None else 0.0
        made = [self._time("PFS", 0.0, end, is_censored, seen[kind])]
        if kind == "death":
            made.append(self._time("TTP", 0.0, min(last, end), True, ("DEATH", "LAST DISEASE ASSESSMENT", "ADRS", "ADT")))
        else:
            made.append(self._time("TTP", 0.0, end, is_censored, seen[kind]))
        if math.isnan(response_day):
            made.append(self._time("TTR", 0.0, end, True, ("NO RESPONSE", seen[kind][1] or seen[kind][0], *seen[kind][2:])))
        else:
            made.append(self._time("TTR", 0.0, response_day, False, ("RESPONSE", "", "ADRS", "ADT")))
            made.append(self._time("DOR", response_day, end, is_censored, seen[kind]))
        return made

    def _time(self, code: str, start: float, end: float, is_censored: bool, why: tuple[str, str, str, str]) -> dict[str, Any]:
        return {
            **self.own,
            **self.treatment,
            "PARAM": TIMES[code],
            "PARAMCD": code,
            "STARTDT": self.date(start),
            "ADT": self.date(end),
            "ADY": math.floor(end) + 1.0,
            "AVAL": end - start,
            "AVALU": "DAYS",
            "CNSR": float(is_censored),
            "EVNTDESC": why[0],
            "CNSDTDSC": why[1] if is_censored else "",
            "SRCDOM": why[2],
            "SRCVAR": why[3],
        }

    def responses(self) -> list[dict[str, Any]]:
        """The rows of ADRS: unconfirmed and confirmed response at every visit, and what follows from them."""
        seen = [v for v in self._visits() if isinstance(v["response"], str)]
        # what symptoms tell needs no second look; it is the last that is seen of a patient
        is_clinical = self.row.get("progression_kind") == "clinical"
        points = [TimePoint(float(v["day"]), v["response"], is_clinical and v is seen[-1]) for v in seen]
        holding = confirmed(points)
        made = []
        for code, label, words in (
            ("OVR", "Overall Response", [p.response for p in points]),
            ("COVR", "Confirmed Response at Time Point", holding),
        ):
            made += [self._response(code, label, word, v) for word, v in zip(words, seen, strict=True)]
        best = max((p.response for p in points), key=[NOT_EVALUABLE, *RANK].index, default="MISSING")
        made.append(self._response("BOR", "Best Overall Response", best, _first(seen, [p.response == best for p in points])))
        best = best_confirmed(points)
        made.append(self._response("CBOR", "Best Confirmed Overall Response", best, _first(seen, [w == best for w in holding])))
        flags: dict[str, tuple[str, Callable[[str], bool]]] = {
            "RSP": ("Confirmed Response (PR or Better)", lambda word: word != "PD" and is_at_least(word, "PR")),
            "CVGPR": ("Confirmed VGPR or Better", lambda word: word != "PD" and is_at_least(word, "VGPR")),
            "CCR": ("Confirmed CR or Better", lambda word: word != "PD" and is_at_least(word, "CR")),
            "PD": ("Confirmed Disease Progression", lambda word: word == "PD"),
        }
        for code, (label, is_met) in flags.items():
            met = [is_met(word) for word in holding]
            when = self._progression(seen) if code == "PD" and any(met) else _first(seen, met)
            made.append(self._flag(code, label, any(met), when))
        made.append(self._flag("MRDNEG", "Negative for Minimal Residual Disease", bool(self.row["mrd_negative"]), None))
        return made

    def _progression(self, seen: list[dict[str, Any]]) -> dict[str, Any]:
        """The visit that dates progression; symptoms may have come between two."""
        day = float(self.row["pfs_days"])
        return next((v for v in seen if float(v["day"]) == day), {**seen[-1], "day": day, "visit": None})

    def _response(self, code: str, label: str, word: str, visit: Mapping[str, Any] | None) -> dict[str, Any]:
        return {**self._finding(code, label, visit), "AVALC": word, "AVAL": AVAL_RESPONSE[word]}

    def _flag(self, code: str, label: str, is_met: bool, visit: Mapping[str, Any] | None) -> dict[str, Any]:
        row = self._finding(code, label, visit if is_met else None)
        return {**row, "AVALC": "Y" if is_met else "N", "AVAL": float(is_met)}

    def _finding(self, code: str, label: str, visit: Mapping[str, Any] | None) -> dict[str, Any]:
        return {**self.own, **self.treatment, "PARAM": label, "PARAMCD": code, "PARCAT1": "IMWG", **self._when(visit), "ANL01FL": "Y"}

    def tests(self) -> list[dict[str, Any]]:
        """The rows of ADLB."""
        made = []
        for code, (label, unit, column, factor) in TESTS.items():
            visits = self._visits()
            base = factor * float(visits[0][column]) if visits else math.nan
            for visit in visits:
                value = factor * float(visit[column])
                is_base = visit["visit"] == 0
                change = math.nan if is_base else value - base
                made.append(
                    {
                        **self.own,
                        **self.treatment,
                        "PARAM": label,
                        "PARAMCD": code,
                        **self._when(visit),
                        "AVAL": value,
                        "AVALU": unit,
                        "BASE": base,
                        "CHG": change,
                        "PCHG": 100.0 * change / base if base else math.nan,
                        "ABLFL": "Y" if is_base else "",
                        "ANL01FL": "Y",
                    }
                )
        return made

    def _visits(self) -> list[dict[str, Any]]:
        return [] if self.visits is None else self.visits.to_dict("records")  # type: ignore[return-value]

    def _when(self, visit: Mapping[str, Any] | None) -> dict[str, Any]:
        if visit is None:
            return {"ADT": np.datetime64("NaT"), "ADY": math.nan, "AVISIT": "", "AVISITN": math.nan}
        day = float(visit["day"])
        name = "UNSCHEDULED" if visit["visit"] is None else "BASELINE" if visit["visit"] == 0 else f"VISIT {visit['visit']}"
        return {"ADT": self.date(day), "ADY": math.floor(day) + 1.0, "AVISIT": name, "AVISITN": _or_nan(visit["visit"])}


def _first(visits: list[dict[str, Any]], met: list[bool]) -> dict[str, Any] | None:
    """The first visit at which something holds."""
    return next((visit for visit, is_met in zip(visits, met, strict=True) if is_met), None)


def _or_inf(day: float | None) -> float:
    return math.inf if day is None or math.isnan(day) else float(day)


def _or_nan(day: float | None) -> float:
    return math.nan if day is None else float(day)


def _framed(given: DataSet, rows: list[dict[str, Any]]) -> "pd.DataFrame":
    """Rows as a table with all variables in their order; an empty text is missing, as CDISC has it."""
    import pandas as pd

    table = pd.DataFrame(rows, columns=[v.name for v in given.variables])
    for variable in given.variables:
        if variable.kind == "text":
            column = table[variable.name].astype(object)
            table[variable.name] = column.where(column != "", None)
        else:
            table[variable.name] = table[variable.name].astype("float64" if variable.kind == "number" else "datetime64[s]")
    table.attrs["label"] = given.label
    table.attrs["labels"] = {v.name: v.label for v in given.variables}
    return table
