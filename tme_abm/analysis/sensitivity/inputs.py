"""The numbers of a trial that are varied: chosen by their grade, each between two ends.

A number is divided and multiplied by the factor of its grade. Of a fold change, such as `armed_fold` = 1.5, the excess over one is, so
that what strengthens never weakens. Of a share or factor between 0 and 1 (`Param.low`, `Param.high`) that is nearer to one than to zero,
its distance from one is: 0.99 goes from 0.98 to 0.995. What the declaration allows bounds all of them. A number that is zero has no
factor and is left out, as is one that has nothing to act on in the arms: its mechanism is off, or no drug of theirs brings what it
needs (`Param.needs`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tme_abm.analysis.conditions import Load
from tme_abm.analysis.sensitivity.form import Sensitivity
from tme_abm.analysis.sweep.form import overrides_of
from tme_abm.foundation.declare import Origin, Param, notes
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.simulation.settings import FLOORS
from tme_abm.trial.study import Study

FACTOR = 2.0
FOLD = "_fold"
HALF = 0.5  # a share above it is nearer to one than to zero
ELSEWHERE = {  # numbers of a run that no sample changes, by how their names begin
    "population.": "distributions of patients",
    "cell_types.": "facts of the types of cells",
    "drugs.": "kinetics and doses of drugs",
    "": "constants, and numbers of the clinic",
}


class Input(NamedTuple):
    """A number that is varied.

    Attributes:
        path: As `tme run --set` takes it.
        value: In the trial as it stands.
        low: Least value.
        high: Largest value.
        scale: "log", "linear", "fold" (the excess over one is varied on a log scale) or "share" (the distance from one is).
        grade: How well it is known.
        unit: Its unit.
        meaning: In words.
        group: The mechanism that it belongs to.
    """

    path: str
    value: float
    low: float
    high: float
    scale: str
    grade: str
    unit: str
    meaning: str
    group: str

    def at(self, share: float) -> float:
        """The number at a share of the way from low to high."""
        if self.scale == "linear":
            return self.low + share * (self.high - self.low)
        one = 1.0 if self.scale in ("fold", "share") else 0.0
        low, high = self.low - one, self.high - one  # both below zero of a share
        return float(one + low * (high / low) ** share)


def find_inputs(given: Sensitivity, load: Load) -> tuple[Study, list[Input]]:
    """The trial as it stands, and what is varied in it.

    Raises:
        InputError: For a change that the trial refuses, an arm that it lacks, a range of what is no number of it, or nothing to vary.
    """
    form, source = given.form, given.source
    try:
        study = load(overrides_of(form.set), (), 0)
    except InputError as error:
        raise source.error(("scenario",), str(error)) from None
    known = [arm.key for arm in study.arms]
    for i, key in enumerate(form.compare):
        if key not in known:
            raise source.error(("compare", i), f"the trial has no arm '{key}'{did_you_mean(key, known)}")
    numbers = numbers_of(study, form.compare)
    for path in form.ranges:
        if path not in numbers:
            raise source.error(("ranges", path), f"the trial has no number '{path}'{did_you_mean(path, numbers)}")
    for word in ("only", "leave_out"):
        for i, start in enumerate(getattr(form, word)):
            if not any(path.startswith(start) for path in numbers):
                raise source.error((word, i), f"no number of the trial begins with '{start}'{did_you_mean(start, numbers)}")
    inputs = []
    for path, (origin, note, group) in numbers.items():
        if path in form.ranges:
            own = form.ranges[path]
            inputs.append(Input(path, origin.value, own.low, own.high, own.scale, origin.grade, origin.unit, origin.meaning, group))
            continue
        is_named = not form.only or any(path.startswith(start) for start in form.only)
        if origin.grade not in form.grades or not is_named or any(path.startswith(start) for start in form.leave_out):
            continue
        found = _spread(path, origin, note, form.spread.get(origin.grade, FACTOR), group)
        if found is not None:
            inputs.append(found)
    if len(inputs) < 2:
        raise source.error(("grades",), f"only {len(inputs)} number of the grades {', '.join(form.grades)} can be varied; name more grades")
    if form.method == "latin_hypercube" and form.samples < least_samples(len(inputs)):
        least = least_samples(len(inputs))
        raise source.error(("samples",), f"partial rank correlations of {len(inputs)} numbers take {least} samples, got {form.samples}")
    for put in inputs:  # the ends are values that the trial takes, or nothing runs
        for end in (put.low, put.high):
            try:
                load((*overrides_of(form.set), f"{put.path}={end!r}"), (), 0)
            except InputError as error:
                raise source.error(("ranges", put.path) if put.path in form.ranges else ("spread",), str(error)) from None
    return study, inputs


def least_samples(numbers: int) -> int:
    """Samples from which partial rank correlations have intervals."""
    return numbers + 4


def numbers_of(study: Study, arms: Sequence[str]) -> dict[str, tuple[Origin, Param, str]]:
    """Every number that a trial may set and that acts in some arms: path -> (origin, declaration, mechanism)."""
    idle = set(idle_numbers(study, arms))
    return {path: about for path, about in settable_numbers(study, arms).items() if path not in idle}


def settable_numbers(study: Study, arms: Sequence[str]) -> dict[str, tuple[Origin, Param, str]]:
    """Every number that a trial may set, of its rules and of the drugs of some arms: path -> (origin, declaration, mechanism)."""
    by_name = study.settings.catalogue.by_name
    found: dict[str, tuple[Origin, Param, str]] = {}
    for block, filled in study.settings.fill().items():
        declared = notes(FLOORS[block] if block in FLOORS else by_name[block].Params)
        found |= {f"parameters.{block}.{name}": (origin, declared[name], block) for name, origin in filled.origins.items()}
    for drug in given_in(study, arms):
        for mechanism, filled in study.drugs[drug].effects.items():
            declared = notes(by_name[mechanism].Params)
            places = {f"drugs.{drug}.{mechanism}.{name}": name for name in filled.origins}
            found |= {path: (filled.origins[name], declared[name], f"{drug}: {mechanism}") for path, name in places.items()}
    return found


def given_in(study: Study, arms: Sequence[str]) -> list[str]:
    """The drugs of some arms of a trial."""
    return list(dict.fromkeys(name for arm in study.arms if arm.key in arms for name in arm.drugs))


def idle_numbers(study: Study, arms: Sequence[str]) -> dict[str, str]:
    """Numbers that have nothing to act on in some arms: path -> what is missing there."""
    off, by_name = study.settings.without, study.settings.catalogue.by_name
    drugs = [study.drugs[name] for name in given_in(study, arms)]
    antigens = {drug.antigen for drug in drugs if drug.antigen is not None}
    at_work = {m.name for m in by_name.values() if not m.by_drug} | {mechanism for drug in drugs for mechanism in drug.effects}
    found: dict[str, str] = {}
    for path, (_, note, group) in settable_numbers(study, arms).items():
        name = group.rpartition(": ")[2]
        mechanism = by_name.get(name)
        if name in off:
            found[path] = f"{name} is off"
        elif mechanism is not None and mechanism.answers and mechanism.answers not in antigens:
            found[path] = f"no antibody on {mechanism.answers}"
        elif note.needs and not (at_work - off).intersection(note.needs):
            found[path] = f"no {' or '.join(by_name[need].label for need in note.needs)}"
    return found


def not_varied(study: Study, given: Sensitivity, inputs: Sequence[Input], all_numbers: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """What an analysis leaves as it is, by why.

    Args:
        study: The trial as it stands.
        given: What is asked.
        inputs: What is varied.
        all_numbers: Every number of a run, as run.json lists them.

    Returns:
        Why -> names of the numbers.
    """
    form, varied = given.form, {put.path for put in inputs}
    idle = idle_numbers(study, form.compare)
    found: dict[str, list[str]] = {}
    for path, (origin, note, _) in settable_numbers(study, form.compare).items():
        if path in varied:
            continue
        if path in idle:
            why = f"nothing to act on in these arms ({idle[path]})"
        elif origin.grade not in form.grades:
            why = f"of grade {origin.grade}"
        elif _spread(path, origin, note, form.spread.get(origin.grade, FACTOR), "") is None:
            why = "zero, or at their limit, so without a factor"
        else:
            why = "left out by `only` and `leave_out`"
        found.setdefault(why, []).append(path)
    ours = {path.removeprefix("parameters.") for path in settable_numbers(study, form.compare)}
    for row in all_numbers:
        name = str(row["name"])
        if name in ours or (name.startswith("drugs.") and ".mechanisms." in name):  # told above, or of a drug that neither arm gets
            continue
        why = next(words for start, words in ELSEWHERE.items() if name.startswith(start))
        found.setdefault(why, []).append(str(row["name"]))
    return found


def _spread(path: str, origin: Origin, note: Param, factor: float, group: str) -> Input | None:
    """A number between its value over the factor and its value times the factor, as far as its declaration lets it."""
    value = float(origin.value)
    is_fold = path.endswith(FOLD)
    if (note.low, note.high) == (0.0, 1.0) and value > HALF:
        rest = 1.0 - value
        low, high = max(1.0 - rest * factor, note.low), 1.0 - rest / factor
        return Input(path, value, low, high, "share", origin.grade, origin.unit, origin.meaning, group) if low < high else None
    own = value - 1.0 if is_fold else value
    if own <= 0.0:
        return None
    low, high = own / factor + is_fold, own * factor + is_fold
    low, high = max(low, note.low), min(high, note.high)
    if not float(is_fold) < low < high:  # an excess so small that its part is lost beside one has no factor either
        return None
    return Input(path, value, low, high, "fold" if is_fold else "log", origin.grade, origin.unit, origin.meaning, group)
