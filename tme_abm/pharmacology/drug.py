"""A drug is data: one TOML file with its kinetics, how they vary between patients, and the mechanisms by which it acts.

Adding a drug means adding a file, here or in a folder of one's own; no code knows a drug by its name.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from tme_abm.foundation.declare import GRADES, Filled, Origin, Param, fill, notes, number
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.references import check_source
from tme_abm.foundation.toml import Keys, naming_lines, parse_toml, read_text
from tme_abm.marrow.antigen import Antigen
from tme_abm.pharmacology.body import Body
from tme_abm.pharmacology.compartments import FASTEST, GIBALDI, Antibody, SmallMolecule, fastest_rate
from tme_abm.pharmacology.salvage import catabolism

FOLDER = Path(__file__).parent / "drugs"
CLASSES = ("antibody", "imid", "proteasome_inhibitor", "glucocorticoid")
ANTIGENS = tuple(a.name for a in Antigen)
ROUTES = ("infusion", "bolus", "oral", "subcutaneous")
MODELS: dict[str, type] = {"antibody": Antibody, "small_molecule": SmallMolecule}
OF_THE_TARGET = ("onset_rate", "ec50", "steepness", "recovery_half_life", "saturable_half")  # the same in every host
TABLES: tuple[Keys, ...] = (("drug",), ("kinetics",), ("mechanisms",))  # in which a name may stand that a message begins with
FORMS = ("power", "exponential", "linear", "factor", "salvage")
COVARIATES = (*Body._fields, "is_with_imid", "igg_g_per_l")
OF_THE_DISEASE = frozenset({"m_protein_g_per_l", "igg_g_per_l", "disease"})  # covariates that change under treatment
WIDEST = {"%": 1000.0, "log variance": 5.0}  # spread between patients; more is a slip of the pen
MAY_BE_NEGATIVE = ("clearance_change",)
MAY_BE_ZERO = (
    "clearance_change",
    "intercompartmental_clearance",
    "saturable_rate",
    "saturable_rate_per_volume",
    "saturable_decay",
    "target_pool",
    "target_binding",
    "absorption_rate",
)


class Subcutaneous(NamedTuple):
    """How a dose under the skin reaches the blood, of a drug that is else given into a vein."""

    absorption_rate: Annotated[float, Param("1/h", "first-order absorption from under the skin", "gibaldi1982", low=1e-6)]
    bioavailability: Annotated[float, Param("1", "fraction of such a dose that reaches the blood", "gibaldi1982", high=1.0)] = 1.0


class Infusion(NamedTuple):
    """How long it takes to give a dose."""

    infusion_hours: Annotated[float, Param("h", "duration of an infusion; 0 where a dose is given at once", GIBALDI)] = 0.0


@dataclass(frozen=True)
class Variability:
    """How one parameter of the kinetics differs between patients.

    Attributes:
        parameter: Its name.
        spread: Standard deviation of its log, or of itself where it is normal.
        is_normal: Whether it is normal rather than log-normal.
        origin: The published number.
    """

    parameter: str
    spread: float
    is_normal: bool
    origin: Origin


@dataclass(frozen=True)
class Covariate:
    """How one parameter of the kinetics depends on one trait `x` of the patient.

    Attributes:
        parameter: Name of the parameter.
        covariate: Name of the trait: a field of `Body`, "is_with_imid" (another drug of the regimen is an IMiD) or "igg_g_per_l" (IgG in
            the serum, the M-protein with it where that is an IgG).
        form: "power" (x / reference) ** value; "exponential" exp(value * (x - reference)); "linear" 1 + value *
            (x / reference - 1); "factor" value from `reference` upwards, else 1; "salvage" (catabolism of IgG at x g/L relative to that at
            the reference) ** value, by `pharmacology.salvage`.
        reference: Where the effect is 1 (for a factor: where it sets in).
        value: The coefficient.
        origin: Where it comes from.
    """

    parameter: str
    covariate: str
    form: str
    reference: float
    value: float
    origin: Origin

    def multiplier(self, x: float) -> float:
        """What the parameter is multiplied by at `x`; infinite where no number is large enough."""
        try:
            if self.form == "power":
                return (x / self.reference) ** self.value
            if self.form == "exponential":
                return math.exp(self.value * (x - self.reference))
            if self.form == "salvage":
                return (catabolism(x) / catabolism(self.reference)) ** self.value
        except (OverflowError, ZeroDivisionError):
            return math.inf
        if self.form == "linear":
            return 1.0 + self.value * (x / self.reference - 1.0)
        return self.value if x >= self.reference else 1.0


@dataclass(frozen=True)
class Drug:
    """A drug as its TOML file describes it.

    Attributes:
        name: INN, lower case.
        label: Short name as regimens use it.
        drug_class: "antibody", "imid", "proteasome_inhibitor" or "glucocorticoid".
        antigen: What an antibody binds, None for a small molecule.
        route: "infusion", "bolus", "oral" or "subcutaneous".
        infusion: Duration of an infusion.
        model: "antibody" or "small_molecule".
        kinetics: `Antibody` or `SmallMolecule` of the typical patient at the reference covariates.
        variability: What differs between patients.
        covariates: What depends on the patient.
        effects: Mechanism name -> its parameters for this drug.
        file: The TOML file.
        subcutaneous: Absorption from under the skin, where the drug's own route is another one; None where nothing is known of it.
    """

    name: str
    label: str
    drug_class: str
    antigen: str | None
    route: str
    infusion: Filled
    model: str
    kinetics: Filled
    variability: tuple[Variability, ...] = ()
    covariates: tuple[Covariate, ...] = ()
    effects: dict[str, Filled] = field(default_factory=dict)
    file: Path = Path()
    subcutaneous: Filled | None = None

    @property
    def is_absorbed(self) -> bool:
        """Whether by its own route it is swallowed or put under the skin."""
        return self.route in ("oral", "subcutaneous")

    @property
    def goes_under_the_skin(self) -> bool:
        """Whether a regimen may give it under the skin."""
        return self.route == "subcutaneous" or self.subcutaneous is not None

    @property
    def infusion_hours(self) -> float:
        """Duration of an infusion [h]."""
        return float(self.infusion.params.infusion_hours)

    @cached_property
    def follows_disease(self) -> bool:
        """Whether its kinetics change with the disease under treatment."""
        return any(effect.covariate in OF_THE_DISEASE for effect in self.covariates)

    def origins(self) -> dict[str, Origin]:
        """Every number of the drug, by its place in the file, with unit, meaning, source and grade."""
        found = {f"drug.{name}": origin for name, origin in self.infusion.origins.items()}
        skin = {} if self.subcutaneous is None else self.subcutaneous.origins  # stands where the kinetics have no number of their own
        found |= {f"kinetics.{name}": origin for name, origin in self.kinetics.origins.items() if name not in skin}
        found |= {f"subcutaneous.{name}": origin for name, origin in skin.items()}
        found |= {f"kinetics.variability.{v.parameter}": v.origin for v in self.variability}
        for c in self.covariates:
            place = f"kinetics.covariates.{c.parameter}.{c.covariate}"
            found[f"{place}.{c.reference:g}" if place in found else place] = c.origin
        for mechanism, filled in self.effects.items():
            found |= {f"mechanisms.{mechanism}.{name}": origin for name, origin in filled.origins.items()}
        return found

    @cached_property
    def _of_the_disease(self) -> frozenset[str]:
        """Parameters that change with the disease under treatment."""
        return frozenset(effect.parameter for effect in self.covariates if effect.covariate in OF_THE_DISEASE)

    def individual(self, traits: Mapping[str, float], deviates: Mapping[str, float], before: Any = None) -> Any:
        """The kinetics of one patient.

        Args:
            traits: Value of every name in `COVARIATES`.
            deviates: Standard normal deviate of each parameter that varies; one that is missing counts as 0.
            before: The patient's kinetics when only the disease was another; looks at it every week take less work with them.

        Raises:
            InputError: Where a trait takes a parameter out of its range.
        """
        values: dict[str, float] = self.kinetics.params._asdict()
        if before is not None:
            values = {name: values[name] for name in self._of_the_disease}
        for effect in self.covariates:
            if effect.parameter not in values:
                continue
            values[effect.parameter] *= effect.multiplier(float(traits[effect.covariate]))
        for vary in self.variability:
            if vary.parameter not in values:
                continue
            shift = vary.spread * deviates.get(vary.parameter, 0.0)
            if vary.is_normal:
                values[vary.parameter] += shift
            else:
                values[vary.parameter] *= math.exp(shift)
        for name, value in values.items():
            if not _is_in_range(name, value):  # the message is written where there is one
                _check_range(name, value, f"{self.file.name}: {self.name} in this patient")
        found = MODELS[self.model](**values) if before is None else before._replace(**values)
        if isinstance(found, Antibody) and not fastest_rate(found) <= FASTEST:
            rate = f"{fastest_rate(found):.3g} times an hour, more than {FASTEST:g}"
            raise InputError(f"{self.file.name}: {self.name} in this patient leaves a compartment {rate}: check clearances and volumes")
        return found


def catalogue(folders: Iterable[Path | str] = ()) -> tuple[str, ...]:
    """Names of the drugs that come with the package and of those in `folders`, in alphabetical order."""
    return tuple(sorted({file.stem for folder in (*folders, FOLDER) for file in Path(folder).glob("*.toml")}))


def load_drug(
    name: str, folders: Iterable[Path | str] = (), mechanisms: Mapping[str, type] | None = None, species: str | None = None
) -> Drug:
    """Read one drug.

    Args:
        name: INN, the name of its file without ".toml".
        folders: Folders that are searched before the package's own.
        mechanisms: Mechanism name -> its block of parameters; by default all mechanisms that a drug can have.
        species: Another host than man, "mouse". `<folder>/mouse/<drug>.toml` then says how the drug spreads through that host, and
            which of its effects on the host's own cells differ; what it does to the tumour is what the drug's own file says.

    Raises:
        InputError: For an unknown drug, or a file that does not describe one.
    """
    searched = (*folders, FOLDER)
    file = _find(name, searched)
    if file is None:
        raise InputError(f"unknown drug '{name}'{did_you_mean(str(name), catalogue(searched))}")
    known = _registered() if mechanisms is None else mechanisms
    table = _read(file)
    with naming_lines(str(file), file, *TABLES):
        drug = _drug(table, file, known)
    if species is None:
        return drug
    other = _find(name, [Path(folder) / species for folder in searched])
    if other is None:
        raise InputError(f"nothing is known of '{name}' in the {species}: there is no {species}/{name}.toml beside the drug's own file")
    there = _read(other)
    with naming_lines(str(other), other, *TABLES):  # the drug's own file has passed: whatever is wrong now is wrong there
        return replace(_drug(_transferred(table, there, other), other, known), file=file)


def _find(name: str, folders: Iterable[Path | str]) -> Path | None:
    return next((Path(folder) / f"{name}.toml" for folder in folders if (Path(folder) / f"{name}.toml").is_file()), None)


def _read(file: Path) -> dict[str, Any]:
    return parse_toml(read_text(file), str(file))


def _transferred(table: Mapping[str, Any], other: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The table of a drug in another host: its way through that host, its hold on the target as in man."""
    _known(other, ("drug", "kinetics", "mechanisms"), str(file), "table")
    head = _table(other, "drug", str(file), {})
    _known(head, ("route", "infusion_hours"), f"{file} [drug]", "key")
    own = {key: value for key, value in _table(table, "drug", str(file)).items() if key not in ("route", "infusion_hours")}
    human = _table(table, "kinetics", str(file))
    kept = {key: human[key] for key in ("model", *OF_THE_TARGET) if key in human}
    effects = {name: dict(given) for name, given in _table(table, "mechanisms", str(file), {}).items()}
    for name, given in _table(other, "mechanisms", str(file), {}).items():
        if name not in effects:
            raise InputError(f"{file}: the drug's own file has no mechanism '{name}'{did_you_mean(name, effects)}")
        effects[name] |= given
    return {"drug": {**own, **head}, "kinetics": {**kept, **_table(other, "kinetics", str(file))}, "mechanisms": effects}


def _registered() -> dict[str, type]:
    """The mechanisms of the package that a drug can have. Imported late, because the registry compiles what it holds."""
    from tme_abm.mechanisms.outside.catalogue import PLAIN

    return PLAIN.of_drugs


def _drug(table: Mapping[str, Any], file: Path, mechanisms: Mapping[str, type]) -> Drug:
    _known(table, ("drug", "kinetics", "subcutaneous", "mechanisms"), str(file), "table")
    head = _table(table, "drug", str(file))
    where = f"{file} [drug]"
    _known(head, ("name", "label", "class", "antigen", "route", "infusion_hours"), where, "key")
    name, label = (_text(head, key, where) for key in ("name", "label"))
    if name != file.stem:
        raise InputError(f"{where}: the name '{name}' must be that of the file, '{file.stem}'")
    drug_class = _choice(head, "class", CLASSES, where)
    route = _choice(head, "route", ROUTES, where)
    antigen = None
    if drug_class == "antibody":
        antigen = _choice(head, "antigen", ANTIGENS, where)
    elif "antigen" in head:
        raise InputError(f"{where}: only an antibody has an antigen")
    infusion = fill(Infusion, {k: v for k, v in head.items() if k == "infusion_hours"}, where)

    rates = dict(_table(table, "kinetics", str(file)))
    where = f"{file} [kinetics]"
    model = _choice(rates, "model", tuple(MODELS), where)
    del rates["model"]
    varied = rates.pop("variability", {})
    depends = rates.pop("covariates", [])
    kinetics = fill(MODELS[model], rates, where)
    for parameter, value in kinetics.params._asdict().items():
        _check_range(parameter, value, where)
    hours, absorption = infusion.params.infusion_hours, kinetics.params.absorption_rate
    if (route == "infusion") != (hours > 0.0) or hours < 0.0:
        raise InputError(f"{file}: route '{route}' and infusion_hours {hours:g} do not fit; only an infusion takes time")
    if (route in ("oral", "subcutaneous")) != (absorption > 0.0):
        raise InputError(
            f"{file}: route '{route}' and absorption_rate {absorption:g} do not fit; only what is swallowed or "
            "injected under the skin is absorbed"
        )

    subcutaneous = None
    if "subcutaneous" in table:
        if route in ("oral", "subcutaneous"):
            raise InputError(f"{file}: [subcutaneous] is for a drug whose own route is another one; this is {route}")
        subcutaneous = fill(Subcutaneous, _table(table, "subcutaneous", str(file)), f"{file} [subcutaneous]")
        kinetics = Filled(kinetics.params._replace(**subcutaneous.params._asdict()), kinetics.origins)

    effects: dict[str, Filled] = {}
    for mechanism, given in _table(table, "mechanisms", str(file), {}).items():
        if mechanism not in mechanisms:
            raise InputError(f"{file}: '{mechanism}' is no mechanism of a drug{did_you_mean(mechanism, mechanisms)}")
        if not isinstance(given, Mapping):
            raise InputError(f"{file}: write [mechanisms.{mechanism}] as a table")
        effects[mechanism] = fill(mechanisms[mechanism], given, f"{file} [mechanisms.{mechanism}]")
    return Drug(
        name=name,
        label=label,
        drug_class=drug_class,
        antigen=antigen,
        route=route,
        infusion=infusion,
        model=model,
        kinetics=kinetics,
        variability=_variability(varied, MODELS[model], kinetics.params, file),
        covariates=_covariates(depends, MODELS[model], file),
        effects=effects,
        file=file,
        subcutaneous=subcutaneous,
    )


def _variability(given: Any, block: type, typical: Any, file: Path) -> tuple[Variability, ...]:
    """Spreads from coefficients of variation ("%") or from variances of the log ("log variance")."""
    where = f"{file} [kinetics.variability]"
    if not isinstance(given, Mapping):
        raise InputError(f"{where}: write a table")
    found = []
    for name, entry in given.items():
        place = f"{where}.{name}"
        if name not in notes(block):
            raise InputError(f"{where}: unknown parameter '{name}'{did_you_mean(name, notes(block))}")
        if not isinstance(entry, Mapping):
            raise InputError(f'{place}: write {{ value = ..., unit = "%", source = "..." }}')
        _known(entry, ("value", "unit", "source", "grade", "distribution"), place, "key")
        unit = _choice(entry, "unit", ("%", "log variance"), place)
        shape = _choice({"distribution": "log-normal", **entry}, "distribution", ("log-normal", "normal"), place)
        is_normal = shape == "normal"
        value = number(entry.get("value"), place)
        if not 0.0 <= value <= WIDEST[unit]:
            raise InputError(f"{place}: a spread is from 0 to {WIDEST[unit]:g} {unit}, got {value:g}")
        if is_normal and unit != "%":
            raise InputError(f"{place}: the spread of a normal parameter is given in %")
        if is_normal:
            spread = abs(getattr(typical, name)) * value / 100.0
        else:
            spread = math.sqrt(value if unit == "log variance" else math.log1p((value / 100.0) ** 2))
        origin = _origin(entry, value, unit, f"{shape} spread of {name} between patients", place)
        found.append(Variability(name, spread, is_normal, origin))
    return tuple(found)


def _covariates(given: Any, block: type, file: Path) -> tuple[Covariate, ...]:
    if not isinstance(given, list) or not all(isinstance(entry, Mapping) for entry in given):
        raise InputError(f"{file} [[kinetics.covariates]]: write an array of tables")
    found = []
    for i, entry in enumerate(given):
        where = f"{file} kinetics.covariates[{i}]"
        _known(entry, ("parameter", "covariate", "form", "reference", "value", "source", "grade"), where, "key")
        parameter = _choice(entry, "parameter", tuple(notes(block)), where)
        covariate = _choice(entry, "covariate", COVARIATES, where)
        form = _choice(entry, "form", FORMS, where)
        place = f"{where} {parameter} by {covariate}"
        value, reference = number(entry.get("value"), place), number(entry.get("reference"), place)
        if form in ("power", "linear", "salvage") and reference <= 0.0:
            raise InputError(f"{place}: the reference must be above zero, got {reference:g}")
        if form == "salvage" and covariate != "igg_g_per_l":
            raise InputError(f"{place}: the form 'salvage' is for the covariate 'igg_g_per_l'")
        meaning = f"{form} effect of {covariate} on {parameter}, reference {reference:g}"
        origin = _origin(entry, value, "1", meaning, place)
        found.append(Covariate(parameter, covariate, form, reference, value, origin))
    return tuple(found)


def _origin(entry: Mapping[str, Any], value: float, unit: str, meaning: str, where: str) -> Origin:
    grade = str(entry.get("grade", "A"))
    if grade not in GRADES:
        raise InputError(f"{where}: unknown grade '{grade}'{did_you_mean(grade, GRADES)}")
    return Origin(value, unit, meaning, check_source(str(entry.get("source", "this study")), where), grade)


def _is_in_range(name: str, value: float) -> bool:
    return name in MAY_BE_NEGATIVE or 0.0 < value < math.inf or (value == 0.0 and name in MAY_BE_ZERO)


def _check_range(name: str, value: float, where: str) -> None:
    if not _is_in_range(name, value):
        raise InputError(f"{where}: '{name}' cannot be {value:g}")


def _known(table: Mapping[str, Any], names: Iterable[str], where: str, what: str) -> None:
    for name in table:
        if name not in tuple(names):
            raise InputError(f"{where}: unknown {what} '{name}'{did_you_mean(name, names)}")


def _table(table: Mapping[str, Any], name: str, where: str, default: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    found = table.get(name, default)
    if not isinstance(found, Mapping):
        raise InputError(f"{where}: the table [{name}] is missing")
    return found


def _text(table: Mapping[str, Any], name: str, where: str) -> str:
    found = table.get(name)
    if not isinstance(found, str) or not found:
        raise InputError(f'{where}: write {name} = "..."')
    return found


def _choice(table: Mapping[str, Any], name: str, allowed: tuple[str, ...], where: str) -> str:
    found = _text(table, name, where)
    if found not in allowed:
        raise InputError(f"{where}: unknown {name} '{found}'{did_you_mean(found, allowed)}")
    return found
