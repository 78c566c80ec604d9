"""The marrow of a patient of a study on one day of one arm, made again from the study: the very cells of the run."""

from typing import NamedTuple

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.simulation.simulation import Simulation, enrol
from tme_abm.spatial import Death, advance_watched
from tme_abm.trial.arm import draw_exits
from tme_abm.trial.study import Study


class Found(NamedTuple):
    """A marrow, who died in it lately, and whether the patient was still in the study on that day."""

    simulation: Simulation
    deaths: list[Death]
    left_day: float  # death, drop-out or cut-off, whichever is first [d]; progression is judged at visits and not looked at here


def marrow_of(study: Study, arm: str | None, patient: int, day: float, watched_days: float = 7.0) -> Found:
    """Run one patient under one arm to a day.

    Args:
        study: Which study.
        arm: Key of the arm; the first where it is left out.
        patient: Number of the patient, from 0.
        day: Days since the first dose; 0 stands before it.
        watched_days: The last days, in which every death is noted with its place and cause.

    Raises:
        InputError: For an unknown arm or patient, or a day that no step ends on.
    """
    keys = [regimen.key for regimen in study.arms]
    key = keys[0] if arm is None else arm
    if key not in keys:
        raise InputError(f"scenario '{study.name}': there is no arm '{key}'{did_you_mean(key, keys)}")
    if not 0 <= patient < study.patients:
        raise InputError(f"scenario '{study.name}' has patients 0 to {study.patients - 1}, there is no {patient}")
    for name, days in (("day", day), ("number of days in which deaths are noted", watched_days)):
        if not days >= 0.0 or days == float("inf"):
            raise InputError(f"the {name} must be a number from zero, got {days:g}")
    step_h = study.settings.step_h
    n_steps = round(day * HOURS_PER_DAY / step_h)
    if abs(n_steps * step_h - day * HOURS_PER_DAY) > 1e-6:
        raise InputError(f"no step of {step_h:g} h ends on day {day:g}; give a multiple of {step_h / HOURS_PER_DAY:g} days")
    if study.arms[keys.index(key)].rules:
        raise InputError(f"the doses of '{key}' follow rules that are asked at visits; no cells can be exported of such an arm")
    grown, _ = enrol(study.population, study.settings, study.seed, patient)
    exits = draw_exits(grown.patient, study, grown.key)
    simulation = grown.fork(study.arms[keys.index(key)], study.drugs)
    first_watched = n_steps - round(watched_days * HOURS_PER_DAY / step_h)
    deaths: list[Death] = []
    done = 0
    while done < n_steps:
        if simulation.day >= exits.discontinuation_day:  # decided at a visit, as in the trial
            simulation.course.stop_all()
        end = study.visits.start(study.visits.begun(simulation.day + 1e-6) + 1)  # of the interval between visits
        until = min(round(end * HOURS_PER_DAY / step_h), n_steps)
        unwatched = min(max(first_watched - done, 0), until - done)
        if unwatched:
            simulation.advance(unwatched)
        deaths += advance_watched(simulation, until - done - unwatched)
        done = until
    return Found(simulation, deaths, exits.last_day)
