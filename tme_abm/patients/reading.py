"""Populations read from TOML: every distribution, effect and source checked before a patient is drawn.

A population may inherit from another and then says only what differs. What is wrong ends with one sentence that names the population, the
quantity and the nearest right word.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from operator import attrgetter, eq, ge, gt, le, lt, ne
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from tme_abm.foundation.declare import GRADES, number
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.paths import real
from tme_abm.foundation.references import check_source
from tme_abm.foundation.toml import Keys, naming_lines, parse_toml, read_text
from tme_abm.patients.distributions import (
    ALLOWED,
    DISTRIBUTIONS,
    PARAMETERS,
    Bernoulli,
    Beta,
    Categorical,
    Distribution,
    Fixed,
    Log10Odds,
    LogNormal,
    Normal,
    Uniform,
)
from tme_abm.patients.patient import DERIVED, ORDER, TRAITS, check
from tme_abm.patients.population import Condition, Effect, Population, Quantity, Sourced

FOLDER = Path(__file__).with_name("populations")
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {">=": ge, "<=": le, "==": eq, "!=": ne, ">": gt, "<": lt}
CONDITION = re.compile(r"\s*(?:(not)\s+)?(\w+)\s*(?:(>=|<=|==|!=|>|<)\s*([^\s<>=!].*?))?\s*")
WHEN_ACTIONS = ("times", "plus", "plus_log10_odds")
BY_ACTIONS = ("exponent", "slope", "odds_exponent")
HEAD_KEYS = ("name", "label", "summary", "inherits", "draw", "presets", "quantities")
QUANTITY_KEYS = (*DISTRIBUTIONS, "unit", "source", "grade", "truncate", "clip", "effects")
SOURCE_KEYS = ("source", "grade")
TABLES: tuple[Keys, ...] = (("quantities",), ("presets",))  # in which a name may stand that a message begins with
HERE = {"source": "this study", "grade": "A"}


def populations() -> tuple[str, ...]:
    """Names of the populations that come with the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml") if not path.stem.startswith("_")))


def load_population(source: str | Path | Mapping[str, Any]) -> Population:
    """Read a population.

    Args:
        source: Name of one that comes with the package, path of a TOML file, or the table that such a file holds. It
            may say `inherits = "icaria"` and give only what differs: a distribution given replaces the inherited one
            with its truncation and source; effects and clip stay unless they are given too.

    Raises:
        InputError: Naming file and key, for anything unknown, missing or impossible.
    """
    if isinstance(source, Mapping):
        return _build(_inherit(source, "population", Path(), ()), "population")
    path = _locate(source, Path(), "population")
    return _load_shipped(path) if path.parent == FOLDER else _load_file(path)


def whole_table(source: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """A population as one table that inherits nothing, as `load_population` takes it: what stands in the files later changes nothing in it.

    Raises:
        InputError: As `load_population`.
    """
    if isinstance(source, Mapping):
        table = _inherit(source, "population", Path(), ())
    else:
        path = _locate(source, Path(), "population")
        with naming_lines(path.name, path, *TABLES):
            table = _inherit(_read(path), path.name, path.parent, (path,))
    return {key: value for key, value in table.items() if key != "inherits"}


def _load_file(path: Path) -> Population:
    with naming_lines(path.name, path, *TABLES):
        return _build(_inherit(_read(path), path.name, path.parent, (path,)), path.name)


_load_shipped = cache(_load_file)


def _locate(source: str | Path, folder: Path, where: str) -> Path:
    """The file of a population that is given by name or by path."""
    text = str(source)
    if isinstance(source, Path) or text.endswith(".toml"):
        path = folder / text
        if not path.is_file():
            raise InputError(f"{where}: there is no file '{path}'")
        return real(path)
    path = FOLDER / f"{text}.toml"
    if not re.fullmatch(r"\w+", text) or not path.is_file():
        raise InputError(f"{where}: unknown population '{text}'{did_you_mean(text, populations())}")
    return path


def _read(path: Path) -> dict[str, Any]:
    return parse_toml(read_text(path, path.name), path.name)


def _inherit(table: Mapping[str, Any], where: str, folder: Path, chain: tuple[Path, ...]) -> dict[str, Any]:
    """The table with what it inherits filled in."""
    _known_keys(table, HEAD_KEYS, where)
    quantities = _table(table.get("quantities", {}), f"{where}: quantities")
    base: dict[str, Any] = {}
    if "inherits" in table:
        path = _locate(table["inherits"], folder, f"{where}: inherits")
        if path in chain:
            raise InputError(f"{where}: inherits '{table['inherits']}', which inherits it in turn")
        with naming_lines(path.name, path, *TABLES):
            base = _inherit(_read(path), path.name, path.parent, (*chain, path))
    merged = dict(base.get("quantities", {}))
    for name, entry in quantities.items():
        place = f"{where}: {name}"
        if name not in TRAITS:
            raise InputError(f"{where}: unknown quantity '{name}'{did_you_mean(name, TRAITS)}")
        entry = _table(entry, place)
        _known_keys(entry, QUANTITY_KEYS, place)
        kept = dict(merged.get(name, {}))
        if any(key in entry for key in DISTRIBUTIONS):
            kept = {key: kept[key] for key in ("effects", "clip") if key in kept} | HERE
        if "effects" in entry:  # say where they come from before the tables are merged
            ground = {key: entry.get(key, HERE[key]) for key in SOURCE_KEYS}
            effects = entry["effects"] if isinstance(entry["effects"], list) else [entry["effects"]]
            entry = {**entry, "effects": [{**ground, **_table(e, f"{place}: effects[{i}]")} for i, e in enumerate(effects)]}
        merged[name] = kept | dict(entry)
    if quantities:  # it is another population now
        base = {key: value for key, value in base.items() if key not in ("name", "label")}
    return {**base, **table, "quantities": merged}


def _build(table: Mapping[str, Any], where: str) -> Population:
    given = table["quantities"]
    if missing := [name for name in TRAITS if name not in given]:
        trait = TRAITS[missing[0]]
        raise InputError(
            f"{where}: quantity '{missing[0]}' [{trait.unit}] is missing ({trait.meaning}); "
            'write inherits = "icaria" to start from a population that is complete'
        )
    how = table.get("draw", "random")
    if how not in ("random", "median"):
        raise InputError(f"{where}: draw is '{how}'{did_you_mean(str(how), ('random', 'median'))}")
    patients = {
        key: _table(values, f"{where}: presets.{key}") for key, values in _table(table.get("presets", {}), f"{where}: presets").items()
    }
    name = str(table.get("name", Path(where).stem))
    return Population(
        name=name,
        label=str(table.get("label", name)),
        summary=str(table.get("summary", "")),
        quantities=tuple(_quantity(key, given[key], f"{where}: {key}") for key in TRAITS),
        at_median=how == "median",
        presets={
            key: {name: check(name, value, f"{where}: presets.{key}") for name, value in values.items()} for key, values in patients.items()
        },
    )


def _quantity(name: str, entry: Mapping[str, Any], where: str) -> Quantity:
    trait = TRAITS[name]
    kinds = [key for key in DISTRIBUTIONS if key in entry]
    if len(kinds) != 1:
        got = f"got {' and '.join(kinds)}" if kinds else f"known: {', '.join(DISTRIBUTIONS)}"
        raise InputError(f"{where}: give one distribution; {got}")
    kind = kinds[0]
    if kind not in ALLOWED[trait.kind]:
        raise InputError(f"{where}: a quantity of this kind takes {' or '.join(ALLOWED[trait.kind])}, not {kind}")
    if entry.get("unit", trait.unit) != trait.unit:
        raise InputError(f"{where}: the unit must be '{trait.unit}', not '{entry['unit']}'")
    origin = _origin(entry, where, HERE)
    numbers: list[Sourced] = []

    def note(part: str, value: Any, unit: str, meaning: str, source: Mapping[str, str]) -> None:
        numbers.append(Sourced(f"{name}.{part}", value, unit, meaning, source["source"], source["grade"]))

    values: dict[str, Any] = {}
    table = _table(entry[kind], f"{where}: {kind}")
    if kind == "categorical":
        distribution: Distribution = _categorical(name, table, where)
        for word, share in table.items():
            note(f"{kind}.{word}", share, "1", f"{trait.meaning}: probability of {word}", origin)
    else:
        _known_keys(table, PARAMETERS[kind], f"{where}: {kind}")
        for key, unit in PARAMETERS[kind].items():
            if key not in table:
                raise InputError(f"{where}: {kind} needs {' and '.join(PARAMETERS[kind])}; '{key}' is missing")
            value, source = table[key], origin
            if isinstance(value, Mapping):
                _known_keys(value, ("value", *SOURCE_KEYS), f"{where}: {kind}.{key}")
                source = _origin(value, f"{where}: {kind}.{key}", origin)
                value = value.get("value")
            values[key] = check(name, value, where) if kind == "fixed" else number(value, f"{where}: {kind}.{key}")
            note(f"{kind}.{key}", values[key], unit or trait.unit, f"{trait.meaning}: {key} of the {kind}", source)
        distribution = _distribution(kind, values, _range(entry, "truncate", where), where)
    if "truncate" in entry:
        note("truncate", tuple(entry["truncate"]), trait.unit, f"{trait.meaning}: range of the distribution", origin)
    clip = (trait.low, trait.high)
    if bounds := _range(entry, "clip", where):
        clip = (max(clip[0], bounds[0]), min(clip[1], bounds[1]))
        note("clip", bounds, trait.unit, f"{trait.meaning}: range after the effects", origin)
    given = entry.get("effects", [])
    if given and trait.kind not in (float, bool):
        raise InputError(f"{where}: effects act on numbers and probabilities only")
    if given and isinstance(distribution, Fixed) and trait.kind is bool:
        raise InputError(f"{where}: effects need bernoulli; a fixed truth has no probability")
    effects = tuple(_effect(name, each, f"{where}: effects[{i}]") for i, each in enumerate(given))
    for effect in effects:
        units = {"plus": trait.unit, "plus_log10_odds": "log10", "slope": f"{trait.unit} per unit of the covariate"}
        meaning = f"{trait.meaning}: {effect.action} {effect.text}"
        note(f"effects.{effect.text}", effect.amount, units.get(effect.action, "1"), meaning, effect._asdict())
    return Quantity(name, trait.kind, distribution, effects, clip, tuple(numbers))


def _distribution(kind: str, values: dict[str, Any], cut: tuple[float, float] | None, where: str) -> Distribution:
    """The distribution with its parameters checked."""

    def require(truth: bool, rule: str) -> None:
        if not truth:
            raise InputError(f"{where}: {kind}: {rule}")

    if cut is not None and kind not in ("normal", "lognormal"):
        raise InputError(f"{where}: truncate goes with normal and lognormal only; use clip")
    if kind == "fixed":
        return Fixed(values["value"])
    if kind == "bernoulli":
        require(0.0 <= values["p"] <= 1.0, "p must lie in 0 to 1")
        return Bernoulli(values["p"])
    if kind == "beta":
        require(values["a"] > 0.0 and values["b"] > 0.0, "a and b must be above 0")
        return Beta(values["a"], values["b"])
    if kind == "uniform":
        require(values["low"] < values["high"], "low must be below high")
        return Uniform(values["low"], values["high"])
    if kind == "log10odds":
        require(values["sd"] >= 0.0, "sd must not be negative")
        return Log10Odds(values["mean"], values["sd"])
    if kind == "normal":
        require(values["sd"] > 0.0, "sd must be above 0")
        shape = NormalDist(values["mean"], values["sd"])
        low, high = (shape.cdf(cut[0]), shape.cdf(cut[1])) if cut else (0.0, 1.0)
        require(high - low > 1e-6, "nothing of it lies within truncate")
        return Normal(values["mean"], values["sd"], low, high)
    require(values["median"] > 0.0 and values["sigma"] > 0.0, "median and sigma must be above 0")
    shape = NormalDist(math.log(values["median"]), values["sigma"])
    low, high = 0.0, 1.0
    if cut:
        require(cut[0] > 0.0, "truncate must start above 0")
        low, high = shape.cdf(math.log(cut[0])), shape.cdf(math.log(cut[1]))
    require(high - low > 1e-6, "nothing of it lies within truncate")
    return LogNormal(values["median"], values["sigma"], low, high)


def _categorical(name: str, table: Mapping[str, Any], where: str) -> Categorical:
    trait = TRAITS[name]
    shares = [number(share, f"{where}: categorical.{word}") for word, share in table.items()]
    if not shares or min(shares) < 0.0 or abs(sum(shares) - 1.0) > 1e-9:
        raise InputError(f"{where}: the probabilities of categorical must make 1, not {sum(shares):g}")
    values: list[Any] = []
    for word in table:
        if trait.kind is int and not word.isdecimal():
            raise InputError(f"{where}: categorical: expected a whole number, got '{word}'")
        values.append(check(name, int(word) if trait.kind is int else word, where))
    return Categorical(tuple(values), tuple(float(edge) for edge in np.cumsum(shares)))


def _effect(name: str, entry: Mapping[str, Any], place: str) -> Effect:
    _known_keys(entry, ("when", "by", "relative_to", *WHEN_ACTIONS, *BY_ACTIONS, *SOURCE_KEYS), place)
    if ("when" in entry) == ("by" in entry):
        raise InputError(f"{place}: give either when (a condition) or by (a covariate)")
    actions = WHEN_ACTIONS if "when" in entry else BY_ACTIONS
    chosen = [key for key in (*WHEN_ACTIONS, *BY_ACTIONS) if key in entry]
    if len(chosen) != 1 or chosen[0] not in actions:
        raise InputError(f"{place}: with '{'when' if 'when' in entry else 'by'}' give one of {', '.join(actions)}")
    action = chosen[0]
    if ("by" in entry) != ("relative_to" in entry):
        raise InputError(f"{place}: relative_to goes with by, and by needs it")
    amount = number(entry[action], f"{place}.{action}")
    origin = _origin(entry, place, HERE)
    relative_to = 0.0
    if "when" in entry:
        covariate: Callable[[Any], Any] = _condition(name, str(entry["when"]), place)
        text = f"when {entry['when']}"
    else:
        covariate, kind = _covariate(name, str(entry["by"]), place)
        relative_to = number(entry["relative_to"], f"{place}.relative_to")
        text = f"by {entry['by']} relative to {relative_to:g}"
        if kind not in (float, int):
            raise InputError(f"{place}: by needs a number, and '{entry['by']}' is none; use when")
        if action != "slope" and relative_to <= 0.0:
            raise InputError(f"{place}: relative_to must be above 0")
    return Effect(action, amount, covariate, relative_to, text, origin["source"], origin["grade"])


def _covariate(name: str, word: str, where: str) -> tuple[Callable[[Any], Any], type]:
    """Reader of a covariate, and its kind, where it is known by the time that `name` is drawn."""
    if word not in TRAITS and word not in DERIVED:
        raise InputError(f"{where}: unknown covariate '{word}'{did_you_mean(word, [*TRAITS, *DERIVED])}")
    needs = DERIVED[word].needs if word in DERIVED else (word,)
    if any(ORDER[need] >= ORDER[name] for need in needs):
        raise InputError(f"{where}: '{word}' is drawn after '{name}' and cannot act on it")
    if word in DERIVED:
        return DERIVED[word].rule, DERIVED[word].kind
    return attrgetter(word), TRAITS[word].kind


def _condition(name: str, text: str, where: str) -> Condition:
    """A condition such as `high_risk`, `not pi_exposed`, `age >= 75` or `sex == female`."""
    match = CONDITION.fullmatch(text)
    if match is None:
        raise InputError(f"{where}: cannot read the condition '{text}'; write it like 'age >= 75'")
    negated, word, sign, right = match.groups()
    covariate, kind = _covariate(name, word, where)
    if sign is None:
        if kind is not bool:
            raise InputError(f"{where}: '{word}' is neither true nor false; write it like '{word} >= 1'")
        return Condition(covariate, eq, not negated)
    if negated or kind is bool:
        raise InputError(f"{where}: cannot read the condition '{text}'; write '{word}' or 'not {word}'")
    compare = COMPARISONS[sign]
    if kind is str:
        if sign not in ("==", "!="):
            raise InputError(f"{where}: '{word}' is a word; compare it with == or !=")
        operand: Any = check(word, right, where)
    else:
        try:
            operand = float(right)
        except ValueError:
            raise InputError(f"{where}: expected a number in the condition '{text}', got '{right}'") from None
    return Condition(covariate, compare, operand)


def _range(entry: Mapping[str, Any], key: str, where: str) -> tuple[float, float] | None:
    if key not in entry:
        return None
    bounds = entry[key]
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        raise InputError(f"{where}: {key} must be [lowest, highest]")
    low, high = number(bounds[0], f"{where}: {key}"), number(bounds[1], f"{where}: {key}")
    if low >= high:
        raise InputError(f"{where}: {key}: the lowest value must be below the highest")
    return low, high


def _origin(entry: Mapping[str, Any], where: str, default: Mapping[str, str]) -> dict[str, str]:
    grade = str(entry.get("grade", default["grade"]))
    if grade not in GRADES:
        raise InputError(f"{where}: unknown grade '{grade}'{did_you_mean(grade, GRADES)}")
    return {"source": check_source(str(entry.get("source", default["source"])), where), "grade": grade}


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected a table {{ ... }}, got {value!r}")
    return value


def _known_keys(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise InputError(f"{where}: unknown key '{key}'{did_you_mean(key, known)}")
