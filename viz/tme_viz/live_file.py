"""What was done live, read from a file of its own kind (`tme_abm.laboratory.live`): the page opens it on the same day."""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from tme_abm.scenario.kinds import load_scenario, load_trial
from tme_abm.simulation.settings import Catalogue
from tme_abm.trial.study import Study
from tme_viz.allowed_files import LIVE, Places, kind
from tme_viz.choice import Choice, Event


def study_of(places: Places, choice: Choice) -> Study:
    """The trial whose arms are shown: that of the scenario, or the one inside of what was done live.

    Raises:
        InputError: Where there is none, or it cannot be.
    """
    path = places.scenario(choice.scenario)
    if kind(path) != LIVE:
        return load_trial(path, choice.changes, mechanisms=[places.catalogue])
    study = load_trial(tomllib.loads(path.read_text(encoding="utf-8"))["study"], choice.changes, mechanisms=[places.catalogue])
    return replace(study, name=choice.scenario)


def choice_of(path: Path, mechanisms: Any = ()) -> tuple[Choice, Catalogue]:
    """What a file of what was done live opens with, and the mechanisms that it may name.

    Raises:
        InputError: Where the file is not in order.
    """
    found: Any = load_scenario(path, mechanisms=mechanisms)
    form = found.form
    choice = Choice(
        scenario=found.name,
        patient=form.patient,
        arms=(form.arms[0], form.arms[1]),
        without=(frozenset(form.without_a), frozenset(form.without_b)),
        size=form.patch,
        events=tuple(Event(*act) for act in found.acts),
        day=form.until,
    )
    return choice, found.settings.catalogue
