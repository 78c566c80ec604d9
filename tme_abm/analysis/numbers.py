"""Where a number of the model stands, by its path: read in a study, and changed in its scenario.

parameters.<mechanism>.<name>                    a default beside a rule, for all drugs whose own files do not say otherwise
drugs.<drug>.<mechanism>.<name>                  a fact of one drug
population.<quantity>.<parameter>                what stands in populations/_myeloma.toml, in every population that inherits it
population.<population>.<quantity>.<parameter>   what stands in the file of that population, in it and in those that inherit it

The last part may be `by_<trait>`: how a quantity goes with another trait that is drawn before it, as an exponent on the ratio of that
trait to its median (of a fraction, on its odds). Between log-normal traits that is their correlation, but for the ratio of their spreads.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tme_abm.foundation.declare import Origin, notes
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.patients.distributions import DISTRIBUTIONS, PARAMETERS
from tme_abm.patients.patient import ORDER, TRAITS
from tme_abm.patients.population import Effect, Population
from tme_abm.patients.reading import FOLDER
from tme_abm.trial.study import Study

BASE = "_myeloma"  # the file that all populations of patients inherit
BY = "by_"  # begins the name of a number that says how a quantity goes with another trait
POWERS = ("exponent", "odds_exponent")  # actions of such effects


def parse(path: str) -> tuple[str, ...]:
    """Parts of a path: (kind, ...), with the file of a population in the second place.

    Raises:
        InputError: Where it is none.
    """
    parts = tuple(path.split("."))
    kinds = {"parameters": (3,), "drugs": (4,), "population": (3, 4)}
    if parts[0] not in kinds:
        raise InputError(f"'{path}': a free number stands in parameters, drugs or population{did_you_mean(parts[0], kinds)}")
    if len(parts) not in kinds[parts[0]]:
        example = {"parameters": "imid.kill_rate", "drugs": "isatuximab.adcc.lysis_rate", "population": "growth_rate.median"}
        raise InputError(f"'{path}' is no whole path; write it like {parts[0]}.{example[parts[0]]}")
    if parts[0] == "population":
        _check_number(path, *parts[-2:])
    if parts[0] == "population" and len(parts) == 3:
        return ("population", BASE, *parts[1:])
    return parts


def _check_number(path: str, quantity: str, name: str) -> None:
    """Refuse a number that no population could have: what weighs patients by it would take no notice of it."""
    if quantity not in TRAITS:
        raise InputError(f"'{path}': unknown quantity '{quantity}'{did_you_mean(quantity, TRAITS)}")
    known = {number for numbers in PARAMETERS.values() for number in numbers}
    if name.startswith(BY):
        _check_tilt(path, quantity, name.removeprefix(BY))
    elif name not in known:
        raise InputError(f"'{path}': no distribution has such a number{did_you_mean(name, known)}")


def _check_tilt(where: str, quantity: str, trait: str) -> None:
    """Refuse a trait with which a quantity cannot go."""
    if trait not in TRAITS:
        raise InputError(f"'{where}': unknown trait '{trait}'{did_you_mean(trait, TRAITS)}")
    if TRAITS[trait].kind is not float or ORDER[trait] >= ORDER[quantity]:
        raise InputError(f"'{where}': {quantity} can go with a number that is drawn before it, and '{trait}' is none")


def home(given: str | Mapping[str, Any], quantity: str) -> str:
    """The file of populations in which the distribution of a quantity stands; "" where the scenario gives it itself."""
    if isinstance(given, Mapping):
        if any(key in given.get("quantities", {}).get(quantity, {}) for key in DISTRIBUTIONS):
            return ""
        return home(given["inherits"], quantity)
    table = _population_file(given)
    if any(key in table.get("quantities", {}).get(quantity, {}) for key in DISTRIBUTIONS):
        return Path(given).stem
    above = str(table.get("inherits", ""))
    if not above:
        raise InputError(f"population {given}: unknown quantity '{quantity}'")
    return home(str(Path(given).parent / above) if above.endswith(".toml") else above, quantity)


@cache
def _population_file(name: str) -> dict[str, Any]:
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def current(study: Study, path: str) -> float | None:
    """The value of a number in a study; None where nothing in the study reads it.

    Raises:
        InputError: For a path that leads nowhere.
    """
    match parse(path):
        case ("parameters", mechanism, name):
            block = study.settings.catalogue.by_name.get(mechanism)
            if block is None or not block.by_drug:
                origin = study.settings.origins().get(f"{mechanism}.{name}")
                if origin is None:
                    raise InputError(f"'{path}': no such parameter{did_you_mean(f'{mechanism}.{name}', study.settings.origins())}")
                return float(origin.value)
            default = _default(study, path)
            return float(default.value) if _without_own(study, mechanism, name, default) else None
        case ("drugs", drug, mechanism, name):
            if drug not in study.drugs:
                return None
            effect = study.drugs[drug].effects.get(mechanism)
            if effect is None or name not in effect.origins:
                known = [f"{m}.{n}" for m, filled in study.drugs[drug].effects.items() for n in filled.origins]
                raise InputError(f"'{path}': no such number{did_you_mean(f'{mechanism}.{name}', known)}")
            return float(effect.origins[name].value)
        case (_, file, quantity, name) if name.startswith(BY):
            if home(study.resolved["population"], quantity) != file:
                return None
            tilt = tilt_of(study.population, quantity, name.removeprefix(BY), path)
            return 0.0 if tilt is None else float(tilt.amount)
        case (_, file, quantity, name):
            _, numbers = distribution_of(study.population, quantity)
            if name not in numbers:
                raise InputError(f"'{path}': the distribution of {quantity} has no such number{did_you_mean(name, numbers)}")
            return float(numbers[name]) if home(study.resolved["population"], quantity) == file else None
    raise AssertionError(path)


def _default(study: Study, path: str) -> Origin:
    """The default of a coefficient beside its rule."""
    _, mechanism, name = parse(path)
    block = study.settings.catalogue.by_name[mechanism].Params
    defaults = getattr(block, "_field_defaults", {})
    if name not in defaults:
        raise InputError(f"'{path}': no such default{did_you_mean(name, defaults)}")
    return Origin(float(defaults[name]), *notes(block)[name][:4])


def _without_own(study: Study, mechanism: str, name: str, default: Origin) -> list[str]:
    """The drugs of a study that take a coefficient from its default."""
    return [drug for drug, d in study.drugs.items() if mechanism in d.effects and d.effects[mechanism].origins[name] == default]


def apply(study: Study, values: Mapping[str, float]) -> dict[str, Any]:
    """The scenario of a study with other numbers of the model, as a table that `load_scenario` takes.

    Numbers that nothing in the study reads are left out.

    Raises:
        InputError: For a path that leads nowhere.
    """
    table: dict[str, Any] = json.loads(json.dumps(study.resolved))  # a deep copy of plain values
    quantities: dict[str, dict[str, float]] = {}
    for path, value in values.items():
        if current(study, path) is None:
            continue
        entry = {"value": float(value), "source": "this study: calibration", "grade": "C"}
        match parse(path):
            case ("parameters", mechanism, name):
                block = study.settings.catalogue.by_name.get(mechanism)
                if block is None or not block.by_drug:
                    table.setdefault("parameters", {}).setdefault(mechanism, {})[name] = entry
                    continue
                for drug in _without_own(study, mechanism, name, _default(study, path)):
                    table.setdefault("drugs", {}).setdefault(drug, {}).setdefault(mechanism, {})[name] = entry
            case ("drugs", drug, mechanism, name):
                table.setdefault("drugs", {}).setdefault(drug, {}).setdefault(mechanism, {})[name] = entry
            case (_, _, quantity, name):
                quantities.setdefault(quantity, {})[name] = float(value)
    if quantities:
        table["population"] = changed_population(study.population, study.resolved["population"], quantities)
    return table


def changed_population(
    population: Population, given: str | Mapping[str, Any], quantities: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """A population with other numbers, as the table that a scenario gives it in.

    Args:
        population: The population as it is.
        given: The same as a scenario says it: a name, a path or a table.
        quantities: Quantity -> number of its distribution, or `by_<trait>` -> value.
    """
    named = {"inherits": given, "name": population.name, "label": population.label}
    inner: dict[str, Any] = dict(given) if isinstance(given, Mapping) else named
    inner["quantities"] = {**inner.get("quantities", {})}
    for quantity, changed in quantities.items():
        inner["quantities"][quantity] = {**inner["quantities"].get(quantity, {}), **_entry(population, quantity, changed)}
    return inner


def distribution_of(population: Population, quantity: str) -> tuple[str, dict[str, Any]]:
    """Kind and numbers of the distribution of a quantity."""
    heads = [(row.name.split(".", 2), row.value) for row in population[quantity].numbers if row.name.count(".") > 1]
    kind = next(parts[1] for parts, _ in heads if parts[1] in DISTRIBUTIONS)
    return kind, {parts[2]: value for parts, value in heads if parts[1] == kind}


def tilt_of(population: Population, quantity: str, trait: str, where: str) -> Effect | None:
    """The effect by which a quantity goes with another trait; None where there is none.

    Raises:
        InputError: For a trait that is unknown, no number, or drawn after the quantity.
    """
    _check_tilt(where, quantity, trait)
    found = [e for e in population[quantity].effects if e.action in POWERS and e.text.startswith(f"by {trait} ")]
    return found[-1] if found else None


def reference_of(population: Population, trait: str) -> float:
    """The value of a trait at which an effect by it changes nothing: its median before effects."""
    return float(population[trait].distribution.quantile(0.5))  # type: ignore[union-attr]


def _entry(population: Population, quantity: str, changed: Mapping[str, float]) -> dict[str, Any]:
    """A quantity as a population file says it, with other numbers; truncation and effects go with it."""
    kind, numbers = distribution_of(population, quantity)
    tilts = {name.removeprefix(BY): value for name, value in changed.items() if name.startswith(BY)}
    own = {name: value for name, value in changed.items() if not name.startswith(BY)}
    entry: dict[str, Any] = {kind: {**numbers, **own}, "source": "this study: calibration", "grade": "C"}
    for row in population[quantity].numbers:
        if row.name == f"{quantity}.truncate":
            entry["truncate"] = list(row.value)
    if tilts:
        kept = [e for e in population[quantity].effects if not (e.action in POWERS and any(e.text.startswith(f"by {t} ") for t in tilts))]
        entry["effects"] = [_effect_entry(effect) for effect in kept]
        for trait, value in tilts.items():
            before = tilt_of(population, quantity, trait, f"population.{quantity}.{BY}{trait}")
            relative = reference_of(population, trait) if before is None else before.relative_to
            action = "odds_exponent" if kind == "log10odds" else "exponent"
            given = {"by": trait, "relative_to": relative, action: value, "source": "this study: calibration", "grade": "C"}
            entry["effects"].append(given)
    return entry


def _effect_entry(effect: Effect) -> dict[str, Any]:
    """An effect as a population file says it."""
    entry: dict[str, Any] = {effect.action: effect.amount, "source": effect.source, "grade": effect.grade}
    if effect.text.startswith("by "):
        return {"by": effect.text.split()[1], "relative_to": effect.relative_to, **entry}
    return {"when": effect.text.removeprefix("when "), **entry}


def restrict(table: Mapping[str, Any], arms: Sequence[str], patients: int, seed: int) -> dict[str, Any]:
    """A scenario with some of its arms only, on another number of patients and other dice."""
    kept = {key: table["arms"][key] for key in arms}
    given = {line["drug"] for arm in kept.values() for line in arm.get("doses", ())}
    trial = {key: value for key, value in table["trial"].items() if key != "allocation"}
    drugs = {key: value for key, value in table.get("drugs", {}).items() if key == "folder" or key in given}
    trial |= {"design": "paired", "compare": []}
    return {**table, "arms": kept, "trial": trial, "drugs": drugs, "published": [], "patients": patients, "seed": seed}
