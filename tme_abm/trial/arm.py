"""One patient under one regimen, visit by visit, to progression or another exit."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from tme_abm.foundation.clock import DAYS_PER_MONTH, HOURS_PER_DAY, months
from tme_abm.foundation.rng import Stream, normal, stream_key, uniform
from tme_abm.marrow.cells import N_CAUSES, Cause
from tme_abm.outcomes import mrd, pfs
from tme_abm.outcomes.imwg import Assessment, Assessor, Reading, is_at_least, is_hidden, measure
from tme_abm.patients.patient import VirtualPatient, covariates
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.simulation.simulation import Simulation
from tme_abm.trial.study import Study

MRD_EVERY = 6  # visits between tests for residual disease while the response is deep enough


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


class Visit(NamedTuple):
    """One assessment."""

    number: int
    reading: Reading
    antibody_ug_per_ml: float


class Arm:
    """One patient under one regimen, visit by visit."""

    def __init__(self, simulation: Simulation, regimen: Regimen, exits: Exits, study: Study) -> None:
        """Take a simulation that is about to begin the regimen."""
        self.simulation, self.regimen, self.exits, self.study = simulation, regimen, exits, study
        self.patient = simulation.patient
        self.rows: list[dict[str, Any]] = []
        self.days: list[float] = []
        self.mrd_negative = False
        self.mrd_tested = False
        self._deaths = {name: 0 for name in DEATHS}
        interference = float(uniform(stream_key(simulation.key, int(Stream.INTERFERENCE), 0), 0))
        first = self._read(0, 0.0)
        self.assessor = Assessor(first.reading, interference)
        self._note(first, {d.name: 0.0 for d in simulation.course.drugs})
        self.last: Assessment | None = None

    def follow(self) -> pfs.Record:
        """Run to confirmed progression, another exit or the cut-off."""
        step_h = self.simulation.settings.step_h
        per_visit = round(self.study.visit_days * HOURS_PER_DAY / step_h)
        number = 0
        while True:
            number += 1
            if self.simulation.day + self.study.visit_days > self.exits.last_day:
                break
            if self.simulation.day >= self.exits.discontinuation_day:  # decided at a visit
                self.simulation.course.stop_all()
            exposure = self.simulation.advance(per_visit)
            levels = {d.name: float(exposure.concentration[-1, i]) for i, d in enumerate(self.simulation.course.drugs)}
            antibody = sum(levels[d.name] for d in self.simulation.course.drugs if d.drug_class == "antibody")
            visit = self._read(number, antibody)
            self.last = self.assessor.assess(visit.reading)
            self._test_residual_disease(number)
            self._note(visit, levels)
            if self.last.is_progression_confirmed:
                break
        progression = self.last.progression_day if self.last is not None and self.last.is_progression_confirmed else None
        return pfs.record(
            self.days,
            self.exits.cutoff_day,
            progression,
            self.exits.death_day if math.isfinite(self.exits.death_day) else None,
            self.exits.dropout_day if math.isfinite(self.exits.dropout_day) else None,
        )

    def _read(self, number: int, antibody: float) -> Visit:
        z = float(normal(stream_key(self.simulation.key, int(Stream.ASSAY), number), 0))
        true = self.simulation.m_protein
        hidden = is_hidden(self.patient.ig_type, self.patient.light_chain, antibody)
        reading = Reading(self.simulation.day, measure(true, z), self.simulation.plasma_fraction, true, hidden)
        return Visit(number, reading, antibody)

    def _test_residual_disease(self, number: int) -> None:
        """Test where the response first is deep enough, every few visits from then on, and at the end of a regimen that ends."""
        if self.mrd_negative or self.last is None or not is_at_least(self.last.best_confirmed_response, "VGPR"):
            return
        stop = self.regimen.stop_day
        ends_now = stop is not None and self.simulation.day - self.study.visit_days < stop <= self.simulation.day
        if self.mrd_tested and number % MRD_EVERY != 0 and not ends_now:
            return
        u = float(uniform(stream_key(self.simulation.key, int(Stream.MRD_SAMPLE), number), 0))
        result = mrd.sample(self.last.best_confirmed_response, self.simulation.plasma_fraction, u)
        self.mrd_tested = True
        self.mrd_negative = result.is_negative

    def _note(self, visit: Visit, levels: Mapping[str, float]) -> None:
        seen = self.simulation.observe()
        row: dict[str, Any] = {
            "patient": self.patient.index,
            "arm": self.regimen.key,
            "visit": visit.number,
            "day": visit.reading.day,
            "month": months(visit.reading.day),
        }
        for name, value in seen.items():
            if name in self._deaths:
                row[name] = value - self._deaths[name]
                self._deaths[name] = int(value)
            else:
                row[name] = value
        row["m_protein_measured_g_per_l"] = visit.reading.m_protein
        row["effector_activity"] = seen["t_cell_granzyme"] * seen["reactive_t_cells"] + seen["nk_granzyme"] * seen["nk_cells"]
        row |= {f"concentration_{name}_ug_per_ml": value for name, value in levels.items()}
        self.rows.append(row)
        self.days.append(visit.reading.day)

    def result(self, record: pfs.Record, screened_out: int) -> dict[str, Any]:
        """The patient's row of this arm."""
        best = self.last.best_confirmed_response if self.last is not None else self.assessor.best
        return {
            **covariates(self.patient),
            "arm": self.regimen.key,
            "status": "completed",
            "failure": "",
            "screened_out": screened_out,
            "pfs_days": record.days,
            "pfs_event": record.event,
            "event_kind": record.kind,
            "censoring_reason": record.reason,
            "best_response": best,
            "responder": is_at_least(best, "PR"),
            "mrd_negative": self.mrd_negative,
            "time_to_response_days": self.assessor.response_day if self.assessor.response_day is not None else math.nan,
            "baseline_m_protein_g_per_l": self.assessor.baseline.m_protein,
            "nadir_m_protein_g_per_l": self.assessor.nadir,
            "grown_days": self.simulation.treated_from * self.simulation.settings.step_h / HOURS_PER_DAY,
            "state_hash": self.simulation.state_hash(),
        }


DEATHS = tuple(f"deaths_{c.name.lower()}" for c in Cause if c < N_CAUSES)


def treat(grown: Simulation, regimen: Regimen, exits: Exits, study: Study, without: frozenset[str] | None = None) -> tuple[Arm, pfs.Record]:
    """Follow one arm of a grown patient to its end; `without` as `Simulation.fork` takes it."""
    arm = Arm(grown.fork(regimen, study.drugs, without), regimen, exits, study)
    return arm, arm.follow()
