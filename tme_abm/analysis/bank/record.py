"""One run of a patient of the bank under one arm, and what is kept of it for any population and any trial."""

import math
from typing import Any

from tme_abm.foundation.columns import Heading, count, truth, word
from tme_abm.outcomes.imwg import NOT_EVALUABLE, PROGRESSION_KINDS, RESPONSES, Reading
from tme_abm.patients.patient import HEADINGS as COVARIATES
from tme_abm.simulation.simulation import Simulation
from tme_abm.trial.arm import Arm, Exits
from tme_abm.trial.study import Study

DIGITS = 6  # of numbers that are kept of a visit
AFTER = "best_response_after_mass_spectrometry"
VISIT_COLUMNS = ("visit", "day", "m_protein_g_per_l", "tumour_cells", "response", "best_response", AFTER, "mrd_negative")


class WatchedArm(Arm):
    """An arm that notes at each visit what the clinic holds to be the best response so far."""

    def _note(self, number: int, reading: Reading) -> None:
        super()._note(number, reading)
        last = self.clinic.last
        self.rows[-1]["best_response"] = NOT_EVALUABLE if last is None else last.best_confirmed_response
        self.rows[-1][AFTER] = NOT_EVALUABLE if last is None else self.clinic.without_antibody.best
        self.rows[-1]["mrd_negative"] = self.clinic.mrd_negative


def watch(grown: Simulation, arm: Any, exits: Exits, study: Study) -> dict[str, Any]:
    """Follow a grown patient under an arm of the bank, to confirmed progression or the end of what the bank asks for.

    Args:
        grown: Her marrow.
        arm: The arm (`plan.BankArm`).
        exits: No way out but the end of treatment.
        study: The trial that the arm comes from.

    Returns:
        What the journal keeps: `run` (a row of runs.parquet) and `visits` (column -> values).
    """
    watched = WatchedArm(grown.fork(arm.regimen, study.drugs), arm.regimen, exits, study)
    record = watched.follow()
    rows = watched.rows
    progressed = record.kind == "progression"
    responded = watched.clinic.assessor.response_day
    run = {
        "progression_day": record.days if progressed else None,
        "known_day": max(float(record.days), float(rows[-1]["day"])) if progressed else None,
        "progression_kind": watched.clinic.assessor.progression_kind if progressed else "",
        "watched_days": float(rows[-1]["day"]),
        "response_day": None if responded is None else float(responded),
        "treatment_stopped_day": watched.stopped_day if math.isfinite(watched.stopped_day) else None,
        "state_hash": watched.simulation.state_hash(),
    }
    visits: dict[str, list[Any]] = {
        "visit": [row["visit"] for row in rows],
        "day": [row["day"] for row in rows],
        "m_protein_g_per_l": [_short(row["m_protein_measured_g_per_l"]) for row in rows],
        "tumour_cells": [_short(row["tumour_cells_total"]) for row in rows],
        "response": [row["response"] for row in rows],
        "best_response": [row["best_response"] for row in rows],
        AFTER: [row[AFTER] for row in rows],
        "mrd_negative": [bool(row["mrd_negative"]) for row in rows],
    }
    return {"run": run, "visits": visits}


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


_WHO = (count("patient", "-", "number of the candidate in the bank"), word("arm", "key of the arm in the bank"))
PATIENT_HEADINGS = (
    *(heading for heading in COVARIATES if heading.name != "patient"),
    count("patient", "-", "number of the candidate in the bank"),
    count("sitting", "-", "sitting at which she was drawn, from 0"),
    count("place", "-", "her number in the sitting"),
    word("cohort", "population whose covariates she was drawn with"),
    count("cohort_number", "-", "place of that cohort in its sitting"),
    word("key", "key of all her chance"),
    truth("is_eligible", "whether her disease became measurable and progressed before treatment"),
    Heading("stop_draw", "1", "uniform draw of the end of treatment for adverse events", low=0.0, high=1.0),
)
RUN_HEADINGS = (
    *_WHO,
    word("status", "whether the run came to its end", ("completed", "failed")),
    word("failure", "why the run failed; empty where it did not"),
    Heading("progression_day", "d", "day of confirmed progression", low=0.0, missing="without progression"),
    Heading("known_day", "d", "day of the visit that confirmed it", low=0.0, missing="without progression"),
    word("progression_kind", "of what kind progression was; empty without", PROGRESSION_KINDS, "in a failed run"),
    Heading("watched_days", "d", "day of the last visit", low=0.0, missing="in a failed run"),
    Heading("response_day", "d", "first of the two visits that confirmed a partial response", low=0.0, missing="without a response"),
    Heading("treatment_stopped_day", "d", "visit from which on nothing more was given", low=0.0, missing="where treatment was not stopped"),
    word("state_hash", "digest of all cells and of the systemic state at the end", missing="in a failed run"),
    Heading("core_seconds", "s", "processor time of the run", low=0.0),
)
VISIT_HEADINGS = (
    *_WHO,
    count("visit", "-", "number of the visit; 0 is the baseline"),
    Heading("day", "d", "days since the first dose", low=0.0),
    Heading("m_protein_g_per_l", "g/L", "serum M-protein as reported; 0 below the limit of electrophoresis", low=0.0),
    Heading("tumour_cells", "cells", "plasma cells of the tumour in the whole body", low=0.0),
    word("response", "response at this visit, confirmed or not (IMWG)", RESPONSES, "at the baseline"),
    word("best_response", "best confirmed response until then (IMWG), as the laboratory reports it", (*RESPONSES, NOT_EVALUABLE)),
    word(AFTER, "the same, with the band of an antibody told from the patient's own", (*RESPONSES, NOT_EVALUABLE)),
    truth("mrd_negative", "whether a test for residual disease has been negative until then"),
)
