"""The data sets of ADaM that are made of a run: their variables, with labels and values (cdisc2021)."""

import math
from typing import NamedTuple

from tme_abm.foundation.columns import Heading
from tme_abm.outcomes.imwg import NOT_EVALUABLE, RANK

AVAL_RESPONSE = {**{name: float(rank + 1) for name, rank in RANK.items()}, NOT_EVALUABLE: 8.0, "MISSING": math.nan}
ELDERLY = 65.0  # border of the age groups of ICARIA-MM's forest plot


class Variable(NamedTuple):
    """A variable of a data set: its label of at most 40 characters, and whether it is text, a number, or a date."""

    name: str
    label: str
    kind: str = "text"


class DataSet(NamedTuple):
    """A data set of ADaM."""

    name: str
    label: str
    keys: tuple[str, ...]
    variables: tuple[Variable, ...]


_SUBJECT = (
    Variable("STUDYID", "Study Identifier"),
    Variable("USUBJID", "Unique Subject Identifier"),
    Variable("SUBJID", "Subject Identifier for the Study"),
)
_TREATMENT = (
    Variable("TRT01P", "Planned Treatment for Period 01"),
    Variable("TRT01PN", "Planned Treatment for Period 01 (N)", "number"),
)
_PARAMETER = (
    Variable("PARAM", "Parameter"),
    Variable("PARAMCD", "Parameter Code"),
)
_VISIT = (
    Variable("ADT", "Analysis Date", "date"),
    Variable("ADY", "Analysis Relative Day", "number"),
    Variable("AVISIT", "Analysis Visit"),
    Variable("AVISITN", "Analysis Visit (N)", "number"),
)
ADSL = DataSet(
    "ADSL",
    "Subject-Level Analysis Dataset",
    ("USUBJID",),
    (
        *_SUBJECT,
        Variable("PAIRID", "Virtual Patient, the Same in Every Arm", "number"),
        Variable("AGE", "Age", "number"),
        Variable("AGEU", "Age Units"),
        Variable("AGEGR1", "Pooled Age Group 1"),
        Variable("SEX", "Sex"),
        Variable("ARM", "Description of Planned Arm"),
        Variable("ARMCD", "Planned Arm Code"),
        Variable("ACTARM", "Description of Actual Arm"),
        *_TREATMENT,
        Variable("TRT01A", "Actual Treatment for Period 01"),
        Variable("TRT01AN", "Actual Treatment for Period 01 (N)", "number"),
        Variable("RANDDT", "Date of Randomization", "date"),
        Variable("TRTSDT", "Date of First Exposure to Treatment", "date"),
        Variable("TRTEDT", "Date of Last Exposure to Treatment", "date"),
        Variable("DCUTDT", "Date of Data Cut-Off", "date"),
        Variable("DTHDT", "Date of Death", "date"),
        Variable("DTHFL", "Subject Death Flag"),
        Variable("EOSSTT", "End of Study Status"),
        Variable("EOSDT", "End of Study Date", "date"),
        Variable("DCSREAS", "Reason for Discontinuation from Study"),
        Variable("ITTFL", "Intent-To-Treat Population Flag"),
        Variable("SAFFL", "Safety Population Flag"),
        Variable("HEIGHTBL", "Baseline Height (cm)", "number"),
        Variable("WEIGHTBL", "Baseline Weight (kg)", "number"),
        Variable("BSABL", "Baseline Body Surface Area (m2)", "number"),
        Variable("EGFRBL", "Baseline eGFR (mL/min/1.73 m2)", "number"),
        Variable("B2MBL", "Baseline Beta-2 Microglobulin (mg/L)", "number"),
        Variable("ALBBL", "Baseline Albumin (g/L)", "number"),
        Variable("ISSBL", "Baseline ISS Stage", "number"),
        Variable("IGTYPE", "Type of M-Protein"),
        Variable("LGTCHAIN", "Light Chain of M-Protein"),
        Variable("PRIORLN", "Prior Lines of Therapy", "number"),
        Variable("LENRFL", "Refractory to Lenalidomide Flag"),
        Variable("PIRFL", "Refractory to Proteasome Inhibitor Flag"),
        Variable("HRCYTFL", "High-Risk Cytogenetics Flag"),
        Variable("GAIN1QFL", "Gain of 1q21 Flag"),
        Variable("RENALFL", "Renal Impairment Flag"),
    ),
)
ADTTE = DataSet(
    "ADTTE",
    "Time-to-Event Analysis Dataset",
    ("USUBJID", "PARAMCD"),
    (
        *_SUBJECT,
        *_TREATMENT,
        *_PARAMETER,
        Variable("STARTDT", "Time-to-Event Origin Date for Subject", "date"),
        Variable("ADT", "Analysis Date", "date"),
        Variable("ADY", "Analysis Relative Day", "number"),
        Variable("AVAL", "Analysis Value", "number"),
        Variable("AVALU", "Analysis Value Unit"),
        Variable("CNSR", "Censor", "number"),
        Variable("EVNTDESC", "Event or Censoring Description"),
        Variable("CNSDTDSC", "Censor Date Description"),
        Variable("SRCDOM", "Source Data"),
        Variable("SRCVAR", "Source Variable"),
    ),
)
ADRS = DataSet(
    "ADRS",
    "Disease Response Analysis Dataset",
    ("USUBJID", "PARAMCD", "AVISITN"),
    (
        *_SUBJECT,
        *_TREATMENT,
        *_PARAMETER,
        Variable("PARCAT1", "Parameter Category 1"),
        *_VISIT,
        Variable("AVALC", "Analysis Value (C)"),
        Variable("AVAL", "Analysis Value", "number"),
        Variable("ANL01FL", "Analysis Flag 01"),
    ),
)
ADLB = DataSet(
    "ADLB",
    "Laboratory Test Results Analysis Dataset",
    ("USUBJID", "PARAMCD", "AVISITN"),
    (
        *_SUBJECT,
        *_TREATMENT,
        *_PARAMETER,
        *_VISIT,
        Variable("AVAL", "Analysis Value", "number"),
        Variable("AVALU", "Analysis Value Unit"),
        Variable("BASE", "Baseline Value", "number"),
        Variable("CHG", "Change from Baseline", "number"),
        Variable("PCHG", "Percent Change from Baseline", "number"),
        Variable("ABLFL", "Baseline Record Flag"),
        Variable("ANL01FL", "Analysis Flag 01"),
    ),
)
DATA_SETS = (ADSL, ADTTE, ADRS, ADLB)
TESTS = {  # PARAMCD -> PARAM, unit, column of the visits, factor
    "MPROT": ("M-Protein, Serum (g/L)", "g/L", "m_protein_measured_g_per_l", 1.0),
    "PLASMAPC": ("Plasma Cells, Bone Marrow (%)", "%", "plasma_fraction", 100.0),
}
TIMES = {
    "PFS": "Progression-Free Survival (Days)",
    "TTP": "Time to Progression (Days)",
    "TTR": "Time to Response (Days)",
    "DOR": "Duration of Response (Days)",
}
_YES_NO = ("Y", "N")
_VALUES: dict[str, tuple[str, ...]] = {  # of a variable, or of one in a data set: all its values, with what a number stands for
    "AGEU": ("YEARS",),
    "AGEGR1": (f"<{ELDERLY:g}", f">={ELDERLY:g}"),
    "SEX": ("F", "M"),
    "EOSSTT": ("ONGOING", "DISCONTINUED"),
    "CNSR": ("0 = event", "1 = censored"),
    "AVALU": ("DAYS", *(unit for _, unit, _, _ in TESTS.values())),
    **dict.fromkeys(("DTHFL", "ITTFL", "ABLFL", "ANL01FL"), ("Y",)),
    **dict.fromkeys(("SAFFL", "LENRFL", "PIRFL", "HRCYTFL", "GAIN1QFL", "RENALFL"), _YES_NO),
    "ADTTE.PARAMCD": tuple(TIMES),
    "ADRS.PARAMCD": ("OVR", "COVR", "BOR", "CBOR", "RSP", "CVGPR", "CCR", "PD", "MRDNEG"),
    "ADLB.PARAMCD": tuple(TESTS),
    "ADRS.AVALC": (*AVAL_RESPONSE, *_YES_NO),
    "ADRS.AVAL": (*(f"{value:g} = {name}" for name, value in AVAL_RESPONSE.items() if value == value), "of flags 1 = Y", "0 = N"),
}


def values(given: DataSet, variable: Variable) -> tuple[str, ...]:
    """All values of a variable of few; empty where there are many."""
    return _VALUES.get(f"{given.name}.{variable.name}", _VALUES.get(variable.name, ()))


def headings(given: DataSet) -> tuple[Heading, ...]:
    """The variables of a data set as the dictionary of columns has them; dates are told to be such."""
    made = []
    for v in given.variables:
        words = values(given, v) or (("date",) if v.kind == "date" else ())
        made.append(Heading(v.name, "-", v.label, "number" if v.kind == "number" and not words else "word", words=words))
    return tuple(made)
