"""One patient under one regimen, visit by visit, to progression or another exit."""

import math
from functools import partial
from typing import Any, NamedTuple
from zlib import crc32

from tme_abm.foundation.clock import DAYS_PER_MONTH, HOURS_PER_DAY, months
from tme_abm.foundation.columns import Heading, count, truth, word
from tme_abm.foundation.rng import Stream, stream_key, uniform
from tme_abm.outcomes import pfs
from tme_abm.outcomes.imwg import NOT_EVALUABLE, PROGRESSION_KINDS, RESPONSES, Reading, is_at_least
from tme_abm.patients.patient import HEADINGS as COVARIATES
from tme_abm.patients.patient import VirtualPatient, covariates
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.pharmacology.tolerance import RuleKeeper, body_facts
from tme_abm.simulation.simulation import Simulation
from tme_abm.trial.recording import Observer, Recorder, visit_headings
from tme_abm.trial.study import Study
from tme_abm.trial.visit import Clinic


class Exits(NamedTuple):
    """The ways out of a study other than progression, the same in every arm of a patient."""

    death_day: float
    dropout_day: float
    cutoff_day: float
    discontinuation_day: float = math.inf  # treatment ends, follow-up goes on

    @property
    def last_day(self) -> float:
        """The end of follow-up."""
        return min(self.death_day, self.dropout_day, self.cutoff_day)


def draw_exits(patient: VirtualPatient, study: Study, key: int) -> Exits:
    """When a patient would leave the study by other doors."""

    def waiting_days(which: int, rate_per_month: float) -> float:
        if rate_per_month <= 0.0:
            return math.inf
        u = float(uniform(stream_key(key, int(Stream.EXIT), 0), which))
        return -math.log1p(-u) / rate_per_month * DAYS_PER_MONTH

    return Exits(
        waiting_days(0, patient.death_rate_per_month),
        waiting_days(1, patient.dropout_rate_per_month),
        study.follow_up.days(patient.entry_fraction),
        waiting_days(2, patient.discontinuation_rate_per_month),
    )


def _draw(key: int, drug: str, rule: int, visit: int) -> float:
    """The dice of a rule at a visit, the same in every arm."""
    return float(uniform(stream_key(key, int(Stream.DOSE_RULE), crc32(f"{drug} {rule}".encode())), visit))


class Arm:
    """One patient under one regimen, visit by visit."""

    def __init__(self, simulation: Simulation, regimen: Regimen, exits: Exits, study: Study, recorder: Recorder | None = None) -> None:
        """Take a simulation that is about to begin the regimen, and who records between its visits, where somebody does."""
        self.simulation, self.regimen, self.exits, self.study = simulation, regimen, exits, study
        self.patient = simulation.patient
        self.rows: list[dict[str, Any]] = []
        self.days: list[float] = []
        self.stopped_day = math.inf  # day from which nothing was given for adverse events
        self._observer = Observer(study)
        self._recorder = recorder
        self._model: Any = None
        self.clinic = Clinic(simulation, study.visits, study.clinic.params)
        # not a method: an arm, and the marrow with it, is let go when nobody looks at it, without a search for cycles
        self.keeper = RuleKeeper(regimen.rules, partial(_draw, simulation.key))
        self._note(0, self.clinic.baseline)
        if recorder is not None:
            recorder.look(simulation)

    def follow(self) -> pfs.Record:
        """Run to confirmed progression, another exit or the cut-off."""
        step_h = self.simulation.settings.step_h
        visits, number = self.study.visits, 0
        while True:
            number += 1
            days = visits.length(number)
            if self.simulation.day + days > self.exits.last_day:
                break
            if self.simulation.day >= self.exits.discontinuation_day:  # decided at a visit
                self.simulation.course.stop_all()
                self.stopped_day = min(self.stopped_day, self.simulation.day)
            elif self.keeper.rules:
                self.keeper.apply(self.simulation.course, self.simulation.day, number - 1, self._facts(number - 1))
            self._advance(round(days * HOURS_PER_DAY / step_h))
            visit = self.clinic.see(self.simulation, number)
            self._note(number, visit.reading)
            if visit.assessment.is_progression_confirmed:
                break
        return pfs.record(
            self.days,
            self.exits.cutoff_day,
            self.clinic.assessor.progression_day,
            self.exits.death_day if math.isfinite(self.exits.death_day) else None,
            self.exits.dropout_day if math.isfinite(self.exits.dropout_day) else None,
        )

    def _facts(self, number: int) -> dict[str, Any]:
        """What is known at a visit, by the words of the rules."""
        m_protein, last = self.rows[-1]["m_protein_measured_g_per_l"], self.clinic.last
        return body_facts(self.simulation.course.body) | {
            "visit": number,
            "month": months(self.simulation.day),
            "m_protein": m_protein,
            "m_protein_change": 100.0 * (m_protein / self.clinic.baseline.m_protein - 1.0),
            "response": last.response if last is not None else None,  # none is known yet
            "best_response": last.best_confirmed_response if last is not None else None,
            "mrd_negative": self.clinic.mrd_negative,
        }

    def _advance(self, n_steps: int) -> None:
        """Let steps pass, and record on the way what is due."""
        while n_steps and self._recorder is not None:
            until = self._recorder.steps_to_next(self.simulation, n_steps)
            self._pass(until)
            self._recorder.look(self.simulation)
            n_steps -= until
        if n_steps:
            self._pass(n_steps)

    def _pass(self, n_steps: int) -> None:
        """Let steps pass, a day at a time where there are rules in plain Python to be called."""
        if not self.study.settings.catalogue.rules:
            self.simulation.advance(n_steps)
            return
        from tme_abm.mesa_model.model import TumourModel  # a trial needs Mesa for such rules alone

        if self._model is None:
            self._model = TumourModel.from_simulation(self.simulation, collect=False)
        self._model.advance(n_steps * self.simulation.settings.step_h)

    def _note(self, number: int, reading: Reading) -> None:
        row: dict[str, Any] = {
            "patient": self.patient.index,
            "arm": self.regimen.key,
            "visit": number,
            "day": reading.day,
            "month": months(reading.day),
            **self._observer.read(self.simulation),
            "m_protein_measured_g_per_l": reading.m_protein,
            "hidden_by_antibody": reading.hidden_by_antibody,
            "examined_fraction": math.nan if self.clinic.examined_fraction is None else self.clinic.examined_fraction,
            "response": None if self.clinic.last is None else self.clinic.last.response,
        }
        self.rows.append(row)
        self.days.append(reading.day)

    def result(self, record: pfs.Record, screened_out: int) -> dict[str, Any]:
        """The patient's row of this arm."""
        assessor = self.clinic.assessor
        return {
            **covariates(self.patient),
            "arm": self.regimen.key,
            "status": "completed",
            "failure": "",
            "screened_out": screened_out,
            "pfs_days": record.days,
            "pfs_event": record.event,
            "event_kind": record.kind,
            "progression_kind": assessor.progression_kind if record.kind == "progression" else "",
            "censoring_reason": record.reason,
            "best_response": assessor.best,
            "best_response_after_mass_spectrometry": self.clinic.without_antibody.best,
            "responder": is_at_least(assessor.best, "PR"),
            "mrd_negative": self.clinic.mrd_negative,
            "time_to_response_days": assessor.response_day if assessor.response_day is not None else math.nan,
            "baseline_m_protein_g_per_l": assessor.baseline.m_protein,
            "nadir_m_protein_g_per_l": assessor.nadir,
            "treatment_stopped_days": self.stopped_day if math.isfinite(self.stopped_day) else math.nan,
            "grown_days": self.simulation.treated_from * self.simulation.settings.step_h / HOURS_PER_DAY,
            "state_hash": self.simulation.state_hash(),
        }


def treat(
    grown: Simulation,
    regimen: Regimen,
    exits: Exits,
    study: Study,
    without: frozenset[str] | None = None,
    recorder: Recorder | None = None,
) -> tuple[Arm, pfs.Record]:
    """Follow one arm of a grown patient to its end; `without` as `Simulation.fork` takes it."""
    arm = Arm(grown.fork(regimen, study.drugs, without), regimen, exits, study, recorder)
    return arm, arm.follow()


_RESULT = (  # of the columns that `Arm.result` adds to the covariates, and of a failed run
    word("arm", "key of the arm"),
    word("status", "whether the run of the patient under the arm came to its end", ("completed", "failed")),
    word("failure", "why the run failed; empty where it did not"),
    count("screened_out", "-", "candidates for this place who were screened out before"),
    Heading("pfs_days", "d", "days from randomisation to confirmed progression, death or censoring", low=0.0),
    truth("pfs_event", "whether progression or death was seen"),
    word("event_kind", "what ended progression-free survival", pfs.EVENT_KINDS),
    word("progression_kind", "of what kind progression was; empty where it did not end progression-free survival", PROGRESSION_KINDS),
    word("censoring_reason", "why follow-up ended without an event; empty after an event", ("cut-off", "drop-out", "new therapy", "")),
    word("best_response", "best confirmed response (IMWG), as the laboratory reports it", (*RESPONSES, NOT_EVALUABLE)),
    word(
        "best_response_after_mass_spectrometry",
        "the same, with the band of an antibody told from the patient's own",
        (*RESPONSES, NOT_EVALUABLE),
    ),
    truth("responder", "best confirmed response is a partial response or better"),
    truth("mrd_negative", "a test for residual disease (10^-5) was negative; false where none was made"),
    Heading(
        "time_to_response_days",
        "d",
        "days to the first of the two visits that confirmed a partial response or better",
        low=0.0,
        missing="without a response",
    ),
    Heading("baseline_m_protein_g_per_l", "g/L", "serum M-protein measured before treatment", low=0.0),
    Heading("nadir_m_protein_g_per_l", "g/L", "lowest serum M-protein measured", low=0.0),
    Heading(
        "treatment_stopped_days",
        "d",
        "visit from which on nothing more was given for adverse events; follow-up goes on",
        low=0.0,
        missing="where treatment was not stopped",
    ),
    Heading("grown_days", "d", "time in which the untreated disease grew until it was eligible", low=0.0),
    word("state_hash", "digest of all cells and of the systemic state at the end"),
)
_UNRUN = "in a failed run"
PATIENT_HEADINGS = (
    *(heading if heading.name == "patient" else heading._replace(missing=_UNRUN) for heading in COVARIATES),
    *(
        heading
        if heading.name in ("arm", "status", "failure")
        else heading._replace(missing=f"{heading.missing} or {_UNRUN}" if heading.missing else _UNRUN)
        for heading in _RESULT
    ),
)
TRAJECTORY_HEADINGS = visit_headings(
    (
        Heading(
            "m_protein_measured_g_per_l",
            "g/L",
            "serum M-protein as reported, with an antibody whose band lies upon it; 0 below the limit of electrophoresis",
            low=0.0,
        ),
        truth("hidden_by_antibody", "immunofixation shows the band of an antibody where the patient's own would be"),
        Heading(
            "examined_fraction",
            "1",
            "plasma cells in the last marrow that was taken because a complete response was suspected",
            low=0.0,
            high=1.0,
            missing="where none was taken",
        ),
        word("response", "response at this visit, confirmed or not (IMWG)", RESPONSES, "at the baseline"),
    )
)
