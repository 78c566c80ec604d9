"""Doses and M-protein as one long table, in the manner of NONMEM: a row for each dose and for each measurement.

A virtual patient under an arm is one individual (`ID`). Doses are those that were given: up to the last visit of the patient, and to the
visit at which treatment was stopped. A measurement on the day of a dose stands before it, as at a visit. In the CSV a missing number is
a dot; the columns of words stand last, where `$INPUT` can drop them.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.columns import Heading, count, truth, word
from tme_abm.foundation.errors import InputError
from tme_abm.pharmacology.body import Body
from tme_abm.pharmacology.regimen import Calendar, Regimen
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    import pandas as pd

M_PROTEIN = 1  # DVID
SUBCUTANEOUS, OWN = "SUBCUTANEOUS", "OWN"  # routes: by choice of the regimen, and as the drug's file says
HEADINGS = (
    count("ID", "-", "individual: a patient under an arm"),
    count("PATIENT", "-", "number of the virtual patient; the same patient has it in every arm"),
    count("ARM", "-", "number of the arm, from 1 in the order of the scenario"),
    Heading("TIME", "h", "hours since the first day of the regimen", low=0.0),
    Heading("EVID", "-", "0 a measurement, 1 a dose", "whole number", 0, 1),
    Heading("MDV", "-", "1 where DV is missing", "whole number", 0, 1),
    Heading("CMT", "-", "compartment: number of the drug of a dose, in the order of the list of drugs; 0 of M-protein", "whole number", 0),
    Heading("AMT", "mg", "dose", low=0.0, missing="of a measurement"),
    Heading("RATE", "mg/h", "rate of an infusion, 0 of a dose that is given at once", low=0.0, missing="of a measurement"),
    Heading("DVID", "-", "what DV is: 1 serum M-protein", "whole number", 1, 1, missing="of a dose"),
    Heading("DV", "g/L", "serum M-protein as reported", low=0.0, missing="of a dose"),
    Heading("BLQ", "-", "1 where M-protein lay below the limit of electrophoresis, and DV is 0", "whole number", 0, 1),
    Heading("AGE", "year", "age", low=0.0),
    Heading("SEX", "-", "1 female, 0 male", "whole number", 0, 1),
    Heading("WT", "kg", "body weight", low=0.0),
    Heading("BSA", "m2", "body surface", low=0.0),
    Heading("ALB", "g/L", "albumin", low=0.0),
    Heading("B2M", "mg/L", "beta-2 microglobulin", low=0.0),
    Heading("CRCL", "mL/min", "creatinine clearance", low=0.0),
    Heading("IGG", "-", "1 where the M-protein is an IgG", "whole number", 0, 1),
    truth("STOPPED", "whether treatment was stopped for adverse events before the end of follow-up"),
    word("DRUG", "name of the drug of a dose", missing="of a measurement"),
    word("ROUTE", "SUBCUTANEOUS or, as the drug itself is given, OWN", missing="of a measurement"),
    word("ARMKEY", "key of the arm"),
)


def body_of(row: Mapping[str, Any]) -> Body:
    """What doses need to know of a patient, from the patient's row."""
    return Body(
        age=float(row["age"]),
        weight_kg=float(row["weight_kg"]),
        bsa_m2=float(row["bsa_m2"]),
        is_female=row["sex"] == "female",
        albumin_g_per_l=float(row["albumin_g_per_l"]),
        b2m_mg_per_l=float(row["b2m_mg_per_l"]),
        creatinine_clearance_ml_per_min=float(row["creatinine_clearance_ml_per_min"]),
        is_igg=row["ig_type"] == "IgG",
        m_protein_g_per_l=float(row["m_protein_g_per_l"]),
    )


def doses(regimen: Regimen, row: Mapping[str, Any], end_day: float, infusion_hours: Mapping[str, float] | None = None) -> Calendar:
    """The doses that a patient was given before a day.

    Raises:
        InputError: Where rules hold or reduce doses on the way: what was given then stands in no table.
    """
    if regimen.rules:
        raise InputError(f"the doses of '{regimen.key}' follow rules that are asked at visits; no doses can be exported of such an arm")
    return regimen.calendar(body_of(row), end_day, infusion_hours)


def make(study: Study, patients: "pd.DataFrame", trajectory: "pd.DataFrame") -> "pd.DataFrame":
    """The long table of a finished study; failed runs are not in it.

    Args:
        study: What has run.
        patients: A row for each patient and arm.
        trajectory: A row for each patient, arm and visit.
    """
    import pandas as pd

    drugs = sorted(study.drugs)
    hours = {name: drug.infusion_hours for name, drug in study.drugs.items()}
    visits = {key: part for key, part in trajectory.sort_values("visit").groupby(["patient", "arm"], sort=False)}
    arms = {regimen.key: (number, regimen) for number, regimen in enumerate(study.arms, 1)}
    rows: list[dict[str, Any]] = []
    completed: list[Any] = patients[patients["status"] == "completed"].to_dict("records")
    for number, row in enumerate(sorted(completed, key=lambda r: (r["patient"], arms[r["arm"]][0])), 1):
        arm, regimen = arms[row["arm"]]
        seen = visits[row["patient"], row["arm"]]
        stopped = row.get("treatment_stopped_days")
        is_stopped = stopped is not None and not math.isnan(stopped)
        last = float(seen["day"].max())
        given = doses(regimen, row, min(last, stopped) if is_stopped and stopped is not None else last, hours)
        own = {
            "ID": number,
            "PATIENT": row["patient"],
            "ARM": arm,
            "AGE": row["age"],
            "SEX": int(row["sex"] == "female"),
            "WT": row["weight_kg"],
            "BSA": row["bsa_m2"],
            "ALB": row["albumin_g_per_l"],
            "B2M": row["b2m_mg_per_l"],
            "CRCL": row["creatinine_clearance_ml_per_min"],
            "IGG": int(row["ig_type"] == "IgG"),
            "ARMKEY": row["arm"],
            "STOPPED": is_stopped,
        }
        records = []
        for day, value in zip(seen["day"], seen["m_protein_measured_g_per_l"], strict=True):
            measured = {"TIME": HOURS_PER_DAY * day, "EVID": 0, "MDV": 0, "CMT": 0, "DVID": M_PROTEIN, "DV": value}
            records.append({**own, **measured, "BLQ": int(value == 0.0)})
        for start, duration, drug, amount, is_subcutaneous in zip(
            given.start_h.tolist(),
            given.duration_h.tolist(),
            given.drug.tolist(),
            given.amount_mg.tolist(),
            given.is_subcutaneous.tolist(),
            strict=True,
        ):
            name = regimen.drugs[drug]
            rate = amount / duration if duration > 0.0 else 0.0
            route = SUBCUTANEOUS if is_subcutaneous else OWN
            dose = {"TIME": start, "EVID": 1, "MDV": 1, "CMT": drugs.index(name) + 1, "AMT": amount, "RATE": rate}
            records.append({**own, **dose, "BLQ": 0, "DRUG": name, "ROUTE": route})
        rows += sorted(records, key=lambda r: (r["TIME"], r["EVID"], r["CMT"]))
    table = pd.DataFrame(rows, columns=[heading.name for heading in HEADINGS])
    return table.astype({"DVID": "Int64"})


def write(table: "pd.DataFrame", folder: Path) -> list[Path]:
    """Write the long table as Parquet, and as CSV in which a missing number is a dot.

    Returns:
        The files.
    """
    from tme_abm import tables

    folder.mkdir(parents=True, exist_ok=True)
    parquet, csv = folder / "doses_and_m_protein.parquet", folder / "doses_and_m_protein.csv"
    tables.write(table, parquet, HEADINGS)
    table.astype({"STOPPED": int}).to_csv(csv, index=False, na_rep=".", lineterminator="\n")
    return [parquet, csv]
