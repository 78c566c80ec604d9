"""Subgroups of patients by what is known at baseline, as trials report them, and the hazard ratio in each."""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm.foundation.condition import Condition, Kind, Words, parse_condition
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.outcomes.imwg import RESPONSES
from tme_abm.patients.patient import TRAITS
from tme_abm.trial.comparison import hazard_ratio
from tme_abm.trial.survival import Survival, completed, survival

if TYPE_CHECKING:
    import pandas as pd


class Subgroup(NamedTuple):
    """Patients picked from the table by what is known at baseline.

    Attributes:
        group: Heading in the forest plot.
        label: Line in the forest plot.
        columns: What the rule reads; a table without them has no such subgroup.
        holds: The rule, table to booleans.
    """

    group: str
    label: str
    columns: tuple[str, ...]
    holds: Callable[["pd.DataFrame"], Any]


def _split(group: str, column: str, labels: tuple[str, str], holds: Callable[["pd.DataFrame"], Any]) -> tuple[Subgroup, Subgroup]:
    """Those of whom a rule holds, and those of whom it does not."""
    return (
        Subgroup(group, labels[0], (column,), holds),
        Subgroup(group, labels[1], (column,), lambda t: ~holds(t) & t[column].notna()),
    )


SUBGROUPS: tuple[Subgroup, ...] = (
    *_split("Age", "age", ("65 years or older", "below 65 years"), lambda t: t["age"] >= 65),
    *_split("Age", "age", ("75 years or older", "below 75 years"), lambda t: t["age"] >= 75),
    *_split("Renal impairment", "egfr", ("eGFR below 60", "eGFR 60 or more"), lambda t: t["egfr"] < 60),
    *_split("Cytogenetics", "high_risk", ("high risk", "standard risk"), lambda t: t["high_risk"].eq(True)),
    *_split("Lenalidomide", "len_refractory", ("refractory", "not refractory"), lambda t: t["len_refractory"].eq(True)),
    Subgroup("Prior lines", "none", ("prior_lines",), lambda t: t["prior_lines"] == 0),
    Subgroup("Prior lines", "1", ("prior_lines",), lambda t: t["prior_lines"] == 1),
    Subgroup("Prior lines", "2 to 3", ("prior_lines",), lambda t: t["prior_lines"].between(2, 3)),
    Subgroup("Prior lines", "more than 3", ("prior_lines",), lambda t: t["prior_lines"] > 3),
    Subgroup("ISS stage", "I", ("iss",), lambda t: t["iss"] == 1),
    Subgroup("ISS stage", "II", ("iss",), lambda t: t["iss"] == 2),
    Subgroup("ISS stage", "III", ("iss",), lambda t: t["iss"] == 3),
    Subgroup("Immunoglobulin", "IgG", ("ig_type",), lambda t: t["ig_type"] == "IgG"),
    Subgroup("Immunoglobulin", "other", ("ig_type",), lambda t: t["ig_type"] != "IgG"),
)


SHORT_NAMES = {  # as articles call them -> group and label
    "age>=75": ("Age", "75 years or older"),
    "age>=65": ("Age", "65 years or older"),
    "renal impairment": ("Renal impairment", "eGFR below 60"),
    "high risk": ("Cytogenetics", "high risk"),
    "high-risk cytogenetics": ("Cytogenetics", "high risk"),
    "standard risk": ("Cytogenetics", "standard risk"),
    "lenalidomide-refractory": ("Lenalidomide", "refractory"),
}
_NOBODY = Survival(np.empty(0), np.empty(0, bool), np.empty(0))


def subgroup_table(
    patients: "pd.DataFrame",
    arm: str,
    reference: str,
    design: str = "paired",
    level: float = 0.95,
    subgroups: Sequence[Subgroup] = SUBGROUPS,
) -> "pd.DataFrame":
    """Hazard ratio in all patients and in each subgroup.

    A subgroup whose columns the table lacks, or which holds nobody or everybody, is left out.

    Returns:
        `group, label, n_arm, n_reference, n_events_arm, n_events_reference, hazard_ratio, ci_low, ci_high, note`, the
        first row being all patients. Missing numbers are NaN, with the reason in `note`.
    """
    import pandas as pd

    everyone = completed(patients)
    both = everyone[everyone["arm"].isin([arm, reference])]
    rows = []
    for subgroup in (Subgroup("", "All patients", (), lambda t: np.ones(len(t), bool)), *subgroups):
        if not set(subgroup.columns) <= set(both.columns):
            continue
        mask = np.asarray(subgroup.holds(both), bool)
        if subgroup.columns and (not mask.any() or mask.all()):
            continue
        part = both[mask]
        times = [survival(part, name) if (part["arm"] == name).any() else _NOBODY for name in (arm, reference)]
        ratio = hazard_ratio(times[0], times[1], design, level)
        rows.append(
            (
                subgroup.group,
                subgroup.label,
                len(times[0].months),
                len(times[1].months),
                int(times[0].event.sum()),
                int(times[1].event.sum()),
                ratio.value,
                ratio.ci_low,
                ratio.ci_high,
                ratio.note,
            )
        )
    columns = ["group", "label", "n_arm", "n_reference", "n_events_arm", "n_events_reference"]
    table = pd.DataFrame(rows, columns=[*columns, "hazard_ratio", "ci_low", "ci_high", "note"])
    return table.astype({"hazard_ratio": "float64", "ci_low": "float64", "ci_high": "float64"})


def find_subgroup(name: str, where: str = "subgroup") -> Subgroup:
    """The subgroup of a label, of a short name, or of a condition on columns of the patient table.

    Raises:
        InputError: For a name that is none, or a condition that cannot be read.
    """
    folded = re.sub(r"\s*(>=|<=|>|<|:)\s*", r"\1", name.lower().strip())
    target = SHORT_NAMES.get(folded)
    for subgroup in SUBGROUPS:
        if (subgroup.group, subgroup.label) == target or folded in (
            subgroup.label.lower(),
            f"{subgroup.group}:{subgroup.label}".lower(),
        ):
            return subgroup
    known = [*SHORT_NAMES, *(f"{s.group}: {s.label}".lower() for s in SUBGROUPS)]
    first = re.match(r"\s*(?:not\s+)?(\w+)", name)
    if (first and first[1] in patient_columns()) or re.search(r"[<>=]", name):
        condition = parse_condition(name, patient_columns(), where)
        return Subgroup("Patients", condition.text, condition.names, lambda t: hold_in(condition, t))
    raise InputError(f"{where}: unknown subgroup '{name}'{did_you_mean(name, [*known, *patient_columns()])}")


def hold_in(condition: Condition, table: "pd.DataFrame") -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Of whom in the table a condition holds."""
    rows = table[list(dict.fromkeys(condition.names))].to_dict("records")
    return np.array([condition.holds({str(key): value for key, value in row.items()}) for row in rows], bool)


@cache
def patient_columns() -> dict[str, Kind]:
    """Columns of the patient table that a condition may ask for: what was known at the start, and how the patient responded."""
    found: dict[str, Kind] = {}
    for name, trait in TRAITS.items():
        found[trait.column or name] = Words(trait.words) if trait.words else bool if trait.kind is bool else float
    found |= dict.fromkeys(("bsa_m2", "creatinine_clearance_ml_per_min", "iss", "baseline_m_protein_g_per_l"), float)
    found |= dict.fromkeys(("renal_impairment", "high_risk", "tp53_mutated", "responder", "mrd_negative"), bool)
    return found | {"best_response": Words(("NE", *RESPONSES), True)}
