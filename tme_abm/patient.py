"""Virtual patients: who they are, what disease and immune system they bring, and how a trial population varies.

A population is data (`populations/*.toml`): one distribution per quantity, and the effects of what was drawn before.
Covariates act through biology only (growth, resistance, renewal, exits of old age), never on a hazard ratio. Every draw
is addressed by the name of its quantity, so a new quantity changes no other, and a study that replaces one distribution
keeps the dice of all the others.
"""

import math
import re
import tomllib
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from operator import attrgetter, eq, ge, gt, le, lt, ne
from pathlib import Path
from statistics import NormalDist
from types import SimpleNamespace
from typing import Annotated, Any, NamedTuple

import numpy as np

from tme_abm.foundation.declare import GRADES, notes, number
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.jit import kernel
from tme_abm.foundation.rng import Stream, patient_key, stream_key, uniform

FOLDER = Path(__file__).with_name("populations")
MEDIAN = 0.5
STANDARD_NORMAL = NormalDist()
SMALLEST_TAIL = 2.0**-54  # half a step of a uniform draw: keeps quantiles finite


class Trait(NamedTuple):
    """Note on a quantity of a patient.

    `kind` is the Python type of its values, `low` to `high` the range outside which a value is nonsense, `words` the
    values of a quantity in words, `column` its name in a table where that is not the name of the field.
    """

    kind: type
    unit: str
    meaning: str
    low: float = 0.0
    high: float = math.inf
    words: tuple[str, ...] = ()
    column: str = ""


def _number(unit: str, meaning: str, low: float, high: float, column: str = "") -> Trait:
    return Trait(float, unit, meaning, low, high, (), column)


def _truth(meaning: str) -> Trait:
    return Trait(bool, "-", meaning, 0, 1)


def _word(meaning: str, *words: str) -> Trait:
    return Trait(str, "-", meaning, words=words)


@dataclass(frozen=True, kw_only=True)
class VirtualPatient:
    """One patient at the moment of eligibility. The effects of a quantity may use only quantities that stand before it.

    Raises:
        InputError: Where a value is of the wrong kind or outside of what a body can be.
    """

    index: int
    attempt: int = 0

    # who
    age: Annotated[float, _number("year", "age", 18.0, 100.0)]
    sex: Annotated[str, _word("sex", "female", "male")]
    height_cm: Annotated[float, _number("cm", "height", 120.0, 215.0)]
    weight_kg: Annotated[float, _number("kg", "weight", 30.0, 200.0)]
    ig_type: Annotated[str, _word("type of M-protein", "IgG", "IgA", "light chain")]
    light_chain: Annotated[str, _word("light chain of the M-protein", "kappa", "lambda")]
    egfr: Annotated[float, _number("mL/min/1.73 m2", "estimated glomerular filtration rate", 5.0, 150.0)]
    b2m_mg_per_l: Annotated[float, _number("mg/L", "beta-2 microglobulin", 0.5, 60.0)]
    albumin_g_per_l: Annotated[float, _number("g/L", "albumin", 15.0, 60.0)]
    del17p: Annotated[bool, _truth("deletion 17p")]
    t_4_14: Annotated[bool, _truth("translocation t(4;14)")]
    t_14_16: Annotated[bool, _truth("translocation t(14;16)")]
    gain_1q: Annotated[bool, _truth("gain of 1q21, at least three copies")]
    prior_lines: Annotated[int, Trait(int, "-", "lines of therapy before", 0, 20)]
    len_refractory: Annotated[bool, _truth("refractory to lenalidomide")]
    pi_exposed: Annotated[bool, _truth("has had a proteasome inhibitor")]
    pi_refractory: Annotated[bool, _truth("refractory to a proteasome inhibitor")]

    # the disease
    m_protein_g_per_l: Annotated[float, _number("g/L", "serum M-protein or its equivalent in light chains", 5.0, 150.0)]
    plasma_fraction: Annotated[float, _number("1", "plasma cells among the nucleated cells of the marrow", 0.01, 0.95)]
    growth_rate: Annotated[
        float, _number("1/d", "net growth of the untreated disease", 1e-4, 0.2, "growth_rate_per_day")
    ]
    cd38_sites: Annotated[float, _number("sites/cell", "median CD38 of plasma cells", 1e3, 2e6, "cd38_sites_per_cell")]
    cd38_spread: Annotated[float, _number("1", "standard deviation of log CD38 between plasma cells", 0.0, 2.0)]
    cip_level: Annotated[float, _number("1", "complement inhibitors CD55 and CD59, 1 = typical", 0.01, 100.0)]
    adherent_fraction: Annotated[float, _number("1", "plasma cells that adhere to stroma", 0.0, 1.0)]
    imid_resistant_fraction: Annotated[float, _number("1", "tumour cells resistant to IMiDs", 0.0, 1.0)]
    pi_resistant_fraction: Annotated[float, _number("1", "tumour cells resistant to proteasome inhibitors", 0.0, 1.0)]
    antibody_escape_fraction: Annotated[float, _number("1", "tumour cells that escape antibodies", 0.0, 1.0)]
    imid_sensitivity: Annotated[float, _number("1", "multiplies the kill of IMiDs", 0.0, 1e3)]
    proteasome_sensitivity: Annotated[float, _number("1", "multiplies the kill of proteasome inhibitors", 0.0, 1e3)]
    glucocorticoid_sensitivity: Annotated[float, _number("1", "multiplies the kill of glucocorticoids", 0.0, 1e3)]
    effector_fitness: Annotated[float, _number("1", "multiplies ADCC and ADCP", 0.0, 1e3)]

    # the immune system
    nk_to_plasma_ratio: Annotated[float, _number("1", "NK cells per plasma cell of the marrow", 0.0, 20.0)]
    nk_renewal_per_day: Annotated[float, _number("1/d", "renewal of NK cells", 0.0, 0.5)]
    t_cell_fraction: Annotated[float, _number("1", "T cells among the nucleated cells", 0.0, 0.9)]
    t_cell_exhaustion: Annotated[float, _number("1", "exhaustion of T cells, 0 = none", 0.0, 1.0)]
    treg_fraction: Annotated[float, _number("1", "regulatory T cells among the nucleated cells", 0.0, 0.2)]
    breg_fraction: Annotated[float, _number("1", "regulatory B cells among the nucleated cells", 0.0, 0.2)]
    mdsc_fraction: Annotated[
        float, _number("1", "myeloid-derived suppressor cells among the nucleated cells", 0.0, 0.6)
    ]
    macrophage_fraction: Annotated[float, _number("1", "macrophages among the nucleated cells", 0.0, 0.5)]
    adenosine_suppression: Annotated[
        float, _number("1", "adenosine / (adenosine + half-effective adenosine), mean of the marrow", 0.0, 1.0)
    ]
    cd38_share: Annotated[float, _number("1", "share of CD38 in the making of adenosine", 0.0, 1.0)]

    # the ways out
    death_rate_per_month: Annotated[float, _number("1/month", "death without progression", 0.0, 1.0)]
    discontinuation_rate_per_month: Annotated[
        float, _number("1/month", "end of treatment for adverse events; follow-up goes on", 0.0, 1.0)
    ]
    dropout_rate_per_month: Annotated[float, _number("1/month", "withdrawal or loss to follow-up", 0.0, 1.0)]
    entry_fraction: Annotated[float, _number("1", "place in the calendar of accrual, 0 = first patient in", 0.0, 1.0)]

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, trait in TRAITS.items():
            value = getattr(self, name)
            if trait.kind is float and type(value) is float and trait.low <= value <= trait.high:
                continue
            object.__setattr__(self, name, check(name, value, f"patient {self.index}"))
        cells = (
            self.plasma_fraction * (1.0 + self.nk_to_plasma_ratio)
            + (self.t_cell_fraction + self.treg_fraction + self.breg_fraction)
            + (self.mdsc_fraction + self.macrophage_fraction)
        )
        if cells > 1.0:
            raise InputError(
                f"patient {self.index}: plasma_fraction, the immune fractions and nk_to_plasma_ratio make {cells:.2f} "
                "of the nucleated cells of the marrow; lower them so that they make 1 at most"
            )

    @property
    def bsa_m2(self) -> float:
        """Body surface [m2] (Mosteller, NEJM 1987)."""
        return math.sqrt(self.height_cm * self.weight_kg / 3600.0)

    @property
    def creatinine_clearance(self) -> float:
        """Creatinine clearance [mL/min]: the filtration rate without its indexing to 1.73 m2."""
        return self.egfr * self.bsa_m2 / 1.73

    @property
    def renal_impairment(self) -> bool:
        """True below 60 mL/min/1.73 m2."""
        return is_renally_impaired(self)

    @property
    def high_risk(self) -> bool:
        """High-risk cytogenetics as in ICARIA-MM and IKEMA: deletion 17p, t(4;14) or t(14;16)."""
        return is_high_risk(self)

    @property
    def tp53_mutated(self) -> bool:
        """TP53 lost; follows the deletion of 17p."""
        return self.del17p

    @property
    def iss(self) -> int:
        """Stage of the International Staging System, 1 to 3 (Greipp, JCO 2005)."""
        return iss_stage(self)


def is_renally_impaired(patient: Any) -> bool:
    """True below 60 mL/min/1.73 m2."""
    return bool(patient.egfr < 60.0)


def is_high_risk(patient: Any) -> bool:
    """True with deletion 17p, t(4;14) or t(14;16)."""
    return bool(patient.del17p or patient.t_4_14 or patient.t_14_16)


def iss_stage(patient: Any) -> int:
    """III from 5.5 mg/L of beta-2 microglobulin; I below 3.5 mg/L with 35 g/L of albumin or more; else II."""
    if patient.b2m_mg_per_l >= 5.5:
        return 3
    return 1 if patient.b2m_mg_per_l < 3.5 and patient.albumin_g_per_l >= 35.0 else 2


def other_fraction(patient: Any) -> float:
    """Nucleated cells of the marrow that are not plasma cells [1]."""
    return 1.0 - float(patient.plasma_fraction)


def other_to_plasma(patient: Any) -> float:
    """Other nucleated cells per plasma cell [1]."""
    return (1.0 - float(patient.plasma_fraction)) / float(patient.plasma_fraction)


TRAITS: dict[str, Trait] = notes(VirtualPatient)
ORDER = {name: place for place, name in enumerate(TRAITS)}
ADDRESSES = np.array([zlib.crc32(name.encode()) for name in TRAITS], np.int64)


class Derived(NamedTuple):
    """A covariate that follows from others: its rule, what the rule needs, and its kind."""

    rule: Callable[[Any], Any]
    needs: tuple[str, ...]
    kind: type


DERIVED = {
    "high_risk": Derived(is_high_risk, ("del17p", "t_4_14", "t_14_16"), bool),
    "renal_impairment": Derived(is_renally_impaired, ("egfr",), bool),
    "iss": Derived(iss_stage, ("b2m_mg_per_l", "albumin_g_per_l"), int),
    "other_fraction": Derived(other_fraction, ("plasma_fraction",), float),
    "other_to_plasma": Derived(other_to_plasma, ("plasma_fraction",), float),
}


def check(name: str, value: Any, where: str) -> Any:
    """`value` as a value of the quantity `name`.

    Raises:
        InputError: For an unknown quantity, the wrong kind of value, an unknown word or a number out of range.
    """
    if name not in TRAITS:
        raise InputError(f"{where}: unknown quantity '{name}'{did_you_mean(name, TRAITS)}")
    trait = TRAITS[name]
    place = f"{where}: {name}"
    if trait.kind is str:
        if value not in trait.words:
            raise InputError(f"{place}: unknown word {value!r}{did_you_mean(str(value), trait.words)}")
        return value
    if trait.kind is bool:
        if not isinstance(value, bool | np.bool_):
            raise InputError(f"{place}: expected true or false, got {value!r}")
        return bool(value)
    if trait.kind is int and (isinstance(value, bool) or not isinstance(value, int)):
        raise InputError(f"{place}: expected a whole number, got {value!r}")
    checked = number(value, place)
    if not trait.low <= checked <= trait.high:
        raise InputError(f"{place} = {value:g} [{trait.unit}] is outside of {trait.low:g} to {trait.high:g}")
    return value if trait.kind is int else checked


# ---- distributions: what a uniform draw in [0, 1) becomes ------------------------------------------------------------


class Fixed(NamedTuple):
    """The same value in every patient."""

    value: Any

    def quantile(self, u: float) -> Any:
        """The value."""
        return self.value


class Normal(NamedTuple):
    """Normal distribution, cut off where `truncate` says. `p_low` and `p_high`: its probability below the cuts."""

    mean: float
    sd: float
    p_low: float = 0.0
    p_high: float = 1.0

    def quantile(self, u: float) -> float:
        """Value below which the share `u` lies."""
        return self.mean + self.sd * _normal_quantile(self.p_low + u * (self.p_high - self.p_low))


class LogNormal(NamedTuple):
    """Log-normal distribution by its median and the standard deviation of the natural logarithm."""

    median: float
    sigma: float
    p_low: float = 0.0
    p_high: float = 1.0

    def quantile(self, u: float) -> float:
        """Value below which the share `u` lies."""
        return self.median * math.exp(self.sigma * _normal_quantile(self.p_low + u * (self.p_high - self.p_low)))


class Log10Odds(NamedTuple):
    """A fraction whose odds are a power of ten with a normal exponent: from one cell in a million to nearly all."""

    mean: float
    sd: float

    def quantile(self, u: float) -> float:
        """Value below which the share `u` lies."""
        odds = 10.0 ** (self.mean + self.sd * _normal_quantile(u))
        return float(odds / (1.0 + odds))


class Beta(NamedTuple):
    """Beta distribution on 0 to 1."""

    a: float
    b: float

    def quantile(self, u: float) -> float:
        """Value below which the share `u` lies."""
        from scipy.special import betaincinv  # 0.4 s to import: not on the way to `tme --help`

        return float(betaincinv(self.a, self.b, u))


class Uniform(NamedTuple):
    """Every value from `low` to below `high` alike."""

    low: float
    high: float

    def quantile(self, u: float) -> float:
        """Value below which the share `u` lies."""
        return self.low + u * (self.high - self.low)


class Bernoulli(NamedTuple):
    """True with probability `p`; effects act on `p`, before the draw."""

    p: float


class Categorical(NamedTuple):
    """One of several values; `cumulative` holds the running sums of their probabilities."""

    values: tuple[Any, ...]
    cumulative: tuple[float, ...]

    def quantile(self, u: float) -> Any:
        """The value in whose share of [0, 1) `u` lies."""
        for value, edge in zip(self.values, self.cumulative, strict=True):
            if u < edge:
                return value
        return self.values[-1]


Distribution = Fixed | Normal | LogNormal | Log10Odds | Beta | Uniform | Bernoulli | Categorical


def _normal_quantile(p: float) -> float:
    return STANDARD_NORMAL.inv_cdf(min(max(p, SMALLEST_TAIL), 1.0 - 2.0**-53))


# parameters of each distribution that are numbers, with their unit: "" stands for the unit of the quantity
PARAMETERS: dict[str, dict[str, str]] = {
    "fixed": {"value": ""},
    "normal": {"mean": "", "sd": ""},
    "lognormal": {"median": "", "sigma": "ln"},
    "log10odds": {"mean": "log10", "sd": "log10"},
    "beta": {"a": "1", "b": "1"},
    "uniform": {"low": "", "high": ""},
    "bernoulli": {"p": "1"},
}
DISTRIBUTIONS = (*PARAMETERS, "categorical")
ALLOWED: dict[type, tuple[str, ...]] = {
    float: ("fixed", "normal", "lognormal", "log10odds", "beta", "uniform"),
    int: ("fixed", "categorical"),
    bool: ("fixed", "bernoulli"),
    str: ("fixed", "categorical"),
}


# ---- effects: how what was drawn before acts -------------------------------------------------------------------------

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {">=": ge, "<=": le, "==": eq, "!=": ne, ">": gt, "<": lt}
CONDITION = re.compile(r"\s*(?:(not)\s+)?(\w+)\s*(?:(>=|<=|==|!=|>|<)\s*([^\s<>=!].*?))?\s*")
WHEN_ACTIONS = ("times", "plus", "plus_log10_odds")
BY_ACTIONS = ("exponent", "slope", "odds_exponent")


@dataclass(frozen=True)
class Condition:
    """What a patient must be for an effect to act: `covariate` (not) true, or in the right relation to `operand`."""

    covariate: Callable[[Any], Any]
    compare: Callable[[Any, Any], bool]
    operand: Any

    def __call__(self, patient: Any) -> bool:
        """True where the effect acts."""
        return self.compare(self.covariate(patient), self.operand)


def with_odds(fraction: float, factor: float) -> float:
    """A fraction with its odds multiplied by `factor`."""
    return float(fraction * factor / (1.0 - fraction + fraction * factor))


class Effect(NamedTuple):
    """One effect of a covariate on a quantity.

    With `when` (a condition) the value is multiplied (`times`), shifted (`plus`) or its odds are multiplied by a power of ten
    (`plus_log10_odds`). With `by` (a number relative to `relative_to`) it is multiplied by the ratio to the power
    `exponent`, its odds are (`odds_exponent`), or it is shifted by `slope` times the difference.
    """

    action: str
    amount: float
    covariate: Callable[[Any], Any]
    relative_to: float
    text: str
    source: str
    grade: str

    def on(self, value: float, patient: Any) -> float:
        """`value` after the effect of what is known of `patient`."""
        known = self.covariate(patient)
        if self.action == "times":
            return value * self.amount if known else value
        if self.action == "plus":
            return value + self.amount if known else value
        if self.action == "plus_log10_odds":
            return with_odds(value, 10.0**self.amount) if known else value
        if self.action == "slope":
            return float(value + self.amount * (known - self.relative_to))
        factor = (known / self.relative_to) ** self.amount
        if self.action == "exponent":
            return float(value * factor)
        return with_odds(value, factor)


class Sourced(NamedTuple):
    """One number of a population and where it comes from: a row of `provenance`."""

    name: str
    value: Any
    unit: str
    meaning: str
    source: str
    grade: str


@dataclass(frozen=True)
class Quantity:
    """How one quantity varies between patients.

    Attributes:
        name: A field of `VirtualPatient`.
        kind: Type of its values.
        distribution: Before effects.
        effects: In the order in which they act.
        clip: Lowest and highest value after the effects.
        numbers: Every number above with its source.
    """

    name: str
    kind: type
    distribution: Distribution
    effects: tuple[Effect, ...]
    clip: tuple[float, float]
    numbers: tuple[Sourced, ...]

    def draw(self, u: float, patient: Any) -> Any:
        """Value in a `patient` of whom the quantities before this one are known, from a uniform draw `u` in [0, 1)."""
        distribution = self.distribution
        if isinstance(distribution, Bernoulli):
            p = distribution.p
            for effect in self.effects:
                p = effect.on(p, patient)
            return u < p
        value = distribution.quantile(u)
        if self.kind is float:
            for effect in self.effects:
                value = effect.on(value, patient)
            low, high = self.clip
            value = low if value < low else high if value > high else value
        return value


@dataclass(frozen=True)
class Population:
    """A population of patients.

    Attributes:
        name: As a scenario gives it.
        label: As a figure shows it.
        summary: Who they are, in one or two sentences.
        quantities: How each quantity varies, in order of drawing.
        at_median: True where every patient is the median one.
        presets: Name -> values that make a patient for teaching out of the median one.
    """

    name: str
    label: str
    summary: str
    quantities: tuple[Quantity, ...]
    at_median: bool
    presets: Mapping[str, Mapping[str, Any]]

    def __getitem__(self, name: str) -> Quantity:
        """The quantity of that name."""
        if name not in ORDER:
            raise InputError(f"population {self.name}: unknown quantity '{name}'{did_you_mean(name, TRAITS)}")
        return self.quantities[ORDER[name]]


# ---- drawing ---------------------------------------------------------------------------------------------------------


@kernel
def fill_uniforms(key, addresses, out):
    """One uniform draw per address into `out`, both of shape (n,)."""
    for i in range(addresses.size):
        out[i] = uniform(key, addresses[i])


def draw_patient(
    population: Population,
    key_seed: int,
    index: int,
    attempt: int = 0,
    given: Mapping[str, Any] | None = None,
) -> VirtualPatient:
    """One virtual patient, a function of the arguments alone.

    Args:
        population: As `load_population` returns it.
        key_seed: Seed of the study.
        index: Number of the patient in the study.
        attempt: 0, or how many candidates for this place failed screening before.
        given: Quantities that are set and not drawn; the effects on the others see them.

    Raises:
        InputError: For a value in `given` that cannot be, or where the cells of the marrow add up to more than all.
    """
    if population.at_median:
        draws = [MEDIAN] * len(population.quantities)
    else:
        out = np.empty(ADDRESSES.size)
        fill_uniforms(stream_key(patient_key(key_seed, index), int(Stream.PATIENT), attempt), ADDRESSES, out)
        draws = out.tolist()
    known = {name: check(name, value, f"patient {index}") for name, value in (given or {}).items()}
    patient = SimpleNamespace()
    for quantity, u in zip(population.quantities, draws, strict=True):
        name = quantity.name
        setattr(patient, name, known[name] if name in known else quantity.draw(u, patient))
    return VirtualPatient(index=index, attempt=attempt, **patient.__dict__)


def preset(name: str, **given: Any) -> VirtualPatient:
    """A patient for teaching: the typical one, or one who differs in what the name says and in what follows from it.

    Args:
        name: One of `presets()`.
        given: Further quantities to set.

    Raises:
        InputError: For an unknown name, quantity or value.
    """
    population = load_population("typical")
    if name not in population.presets:
        raise InputError(f"unknown preset '{name}'{did_you_mean(name, population.presets)}")
    return draw_patient(population, 0, 0, given={**population.presets[name], **given})


def presets() -> tuple[str, ...]:
    """Names that `preset` knows."""
    return tuple(load_population("typical").presets)


def covariates(patient: VirtualPatient) -> dict[str, Any]:
    """One row of the patient table: every quantity and what follows from it, with the unit in the name."""
    row: dict[str, Any] = {"patient": patient.index, "screening_attempt": patient.attempt}
    row |= {trait.column or name: getattr(patient, name) for name, trait in TRAITS.items()}
    row |= {
        "bsa_m2": patient.bsa_m2,
        "creatinine_clearance_ml_per_min": patient.creatinine_clearance,
        "renal_impairment": patient.renal_impairment,
        "iss": patient.iss,
        "high_risk": patient.high_risk,
        "tp53_mutated": patient.tp53_mutated,
    }
    return row


def provenance(population: Population) -> list[Sourced]:
    """Every number of a population as (name, value, unit, meaning, source, grade)."""
    return [row for quantity in population.quantities for row in quantity.numbers]


# ---- reading ---------------------------------------------------------------------------------------------------------

HEAD_KEYS = ("name", "label", "summary", "inherits", "draw", "presets", "quantities")
QUANTITY_KEYS = (*DISTRIBUTIONS, "unit", "source", "grade", "truncate", "clip", "effects")
SOURCE_KEYS = ("source", "grade")
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


def _load_file(path: Path) -> Population:
    return _build(_inherit(_read(path), path.name, path.parent, (path,)), path.name)


_load_shipped = cache(_load_file)


def _locate(source: str | Path, folder: Path, where: str) -> Path:
    """The file of a population that is given by name or by path."""
    text = str(source)
    if isinstance(source, Path) or text.endswith(".toml"):
        path = folder / text
        if not path.is_file():
            raise InputError(f"{where}: there is no file '{path}'")
        return path.resolve()
    path = FOLDER / f"{text}.toml"
    if not re.fullmatch(r"\w+", text) or not path.is_file():
        raise InputError(f"{where}: unknown population '{text}'{did_you_mean(text, populations())}")
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path.name}: not valid TOML ({error})") from error


def _inherit(table: Mapping[str, Any], where: str, folder: Path, chain: tuple[Path, ...]) -> dict[str, Any]:
    """The table with what it inherits filled in."""
    _known_keys(table, HEAD_KEYS, where)
    quantities = _table(table.get("quantities", {}), f"{where}: quantities")
    base: dict[str, Any] = {}
    if "inherits" in table:
        path = _locate(table["inherits"], folder, f"{where}: inherits")
        if path in chain:
            raise InputError(f"{where}: inherits '{table['inherits']}', which inherits it in turn")
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
            entry = {**entry, "effects": [{**ground, **_table(e, f"{place}: effects")} for e in effects]}
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
        key: _table(values, f"{where}: presets.{key}")
        for key, values in _table(table.get("presets", {}), f"{where}: presets").items()
    }
    name = str(table.get("name", Path(where).stem))
    return Population(
        name=name,
        label=str(table.get("label", name)),
        summary=str(table.get("summary", "")),
        quantities=tuple(_quantity(key, given[key], f"{where}: {key}") for key in TRAITS),
        at_median=how == "median",
        presets={
            key: {name: check(name, value, f"{where}: presets.{key}") for name, value in values.items()}
            for key, values in patients.items()
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
    effects = tuple(_effect(name, each, where) for each in given)
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


def _effect(name: str, entry: Mapping[str, Any], where: str) -> Effect:
    place = f"{where}: effects"
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
    return {"source": str(entry.get("source", default["source"])), "grade": grade}


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError(f"{where}: expected a table {{ ... }}, got {value!r}")
    return value


def _known_keys(table: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in table:
        if key not in known:
            raise InputError(f"{where}: unknown key '{key}'{did_you_mean(key, known)}")
