"""A virtual patient: who she is, what disease and immune system she brings, and what follows from that."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np

from tme_abm.foundation.columns import Heading, count, truth
from tme_abm.foundation.declare import Param, notes, number
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.patients.composition import nucleated_share

RENAL_LIMIT: Annotated[
    float, Param("mL/min/1.73 m2", "filtration rate below which a kidney is impaired, as both trials count it", "attal2019", "M")
] = 60.0
B2M_OF_STAGE_3: Annotated[float, Param("mg/L", "beta-2 microglobulin from which the stage is III", "greipp2005", "V")] = 5.5
B2M_OF_STAGE_2: Annotated[float, Param("mg/L", "beta-2 microglobulin from which the stage is II at least", "greipp2005", "V")] = 3.5
ALBUMIN_OF_STAGE_1: Annotated[float, Param("g/L", "albumin below which the stage is II at least", "greipp2005", "V")] = 35.0
BODY_SURFACE: Annotated[float, Param("cm kg/m4", "height times weight of a body of 1 m2", "mosteller1987", "V")] = 3600.0
INDEXED_SURFACE: Annotated[float, Param("m2", "body surface to which a filtration rate is indexed", "tme_abm: by convention", "V")] = 1.73
AGED: Annotated[float, Param("a", "age from which the trials count a patient among the oldest", "attal2019", "M")] = 75.0


class Trait(NamedTuple):
    """Note on a quantity of a patient.

    `kind` is the Python type of its values, `low` to `high` the range outside which a value is nonsense, `words` the
    values of a quantity in words, `column` its name in a table where that is not the name of the field,
    `address` the name from which its dice come where the quantity was called otherwise once.
    """

    kind: type
    unit: str
    meaning: str
    low: float = 0.0
    high: float = math.inf
    words: tuple[str, ...] = ()
    column: str = ""
    address: str = ""


def _number(unit: str, meaning: str, low: float, high: float, column: str = "", address: str = "") -> Trait:
    return Trait(float, unit, meaning, low, high, (), column, address)


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
    growth_rate: Annotated[float, _number("1/d", "net growth of the untreated disease", 1e-4, 0.2, "growth_rate_per_day")]
    cd38_sites: Annotated[float, _number("sites/cell", "median CD38 of plasma cells", 1e3, 2e6, "cd38_sites_per_cell")]
    cd38_spread: Annotated[float, _number("1", "standard deviation of log CD38 between plasma cells", 0.0, 2.0)]
    complement_inhibitor_level: Annotated[
        float, _number("1", "complement inhibitors CD55 and CD59, 1 = typical", 0.01, 100.0, address="cip_level")
    ]
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
    mdsc_fraction: Annotated[float, _number("1", "myeloid-derived suppressor cells among the nucleated cells", 0.0, 0.6)]
    macrophage_fraction: Annotated[float, _number("1", "macrophages among the nucleated cells", 0.0, 0.5)]
    adenosine_suppression: Annotated[
        float, _number("1", "adenosine / (adenosine + half-effective adenosine), mean of the marrow", 0.0, 1.0)
    ]
    cd38_share: Annotated[float, _number("1", "share of CD38 in the making of adenosine", 0.0, 1.0)]

    # the ways out
    death_rate_per_month: Annotated[float, _number("1/month", "death without progression", 0.0, 1.0)]
    discontinuation_rate_per_month: Annotated[float, _number("1/month", "end of treatment for adverse events; follow-up goes on", 0.0, 1.0)]
    dropout_rate_per_month: Annotated[float, _number("1/month", "withdrawal or loss to follow-up", 0.0, 1.0)]
    entry_fraction: Annotated[float, _number("1", "place in the calendar of accrual, 0 = first patient in", 0.0, 1.0)]

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, trait in TRAITS.items():
            value = getattr(self, name)
            if trait.kind is float and type(value) is float and trait.low <= value <= trait.high:
                continue
            object.__setattr__(self, name, check(name, value, f"patient {self.index}"))
        cells = nucleated_share(self)
        if cells > 1.0:
            raise InputError(
                f"patient {self.index}: plasma_fraction, the immune fractions and nk_to_plasma_ratio make {cells:.2f} "
                "of the nucleated cells of the marrow; lower them so that they make 1 at most"
            )

    @property
    def bsa_m2(self) -> float:
        """Body surface [m2] (Mosteller, NEJM 1987)."""
        return math.sqrt(self.height_cm * self.weight_kg / BODY_SURFACE)

    @property
    def creatinine_clearance(self) -> float:
        """Creatinine clearance [mL/min]: the filtration rate without its indexing to 1.73 m2."""
        return self.egfr * self.bsa_m2 / INDEXED_SURFACE

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
    return bool(patient.egfr < RENAL_LIMIT)


def is_high_risk(patient: Any) -> bool:
    """True with deletion 17p, t(4;14) or t(14;16)."""
    return bool(patient.del17p or patient.t_4_14 or patient.t_14_16)


def iss_stage(patient: Any) -> int:
    """III from 5.5 mg/L of beta-2 microglobulin; I below 3.5 mg/L with 35 g/L of albumin or more; else II."""
    if patient.b2m_mg_per_l >= B2M_OF_STAGE_3:
        return 3
    return 1 if patient.b2m_mg_per_l < B2M_OF_STAGE_2 and patient.albumin_g_per_l >= ALBUMIN_OF_STAGE_1 else 2


def other_fraction(patient: Any) -> float:
    """Nucleated cells of the marrow that are not plasma cells [1]."""
    return 1.0 - float(patient.plasma_fraction)


def other_to_plasma(patient: Any) -> float:
    """Other nucleated cells per plasma cell [1]."""
    return (1.0 - float(patient.plasma_fraction)) / float(patient.plasma_fraction)


TRAITS: dict[str, Trait] = notes(VirtualPatient)
ORDER = {name: place for place, name in enumerate(TRAITS)}


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


def _heading(name: str, trait: Trait) -> Heading:
    kind = {float: "number", int: "whole number", bool: "truth", str: "word"}[trait.kind]
    low, high = (trait.low, trait.high) if kind in ("number", "whole number") else (-math.inf, math.inf)
    return Heading(trait.column or name, trait.unit, trait.meaning, kind, low, high, trait.words)


HEADINGS = (  # of the columns that `covariates` makes
    count("patient", "-", "number of the virtual patient; the same patient has it in every arm"),
    count("screening_attempt", "-", "candidates for this place who were screened out before"),
    *(_heading(name, trait) for name, trait in TRAITS.items()),
    Heading("bsa_m2", "m2", "body surface (Mosteller)", low=0.0),
    Heading("creatinine_clearance_ml_per_min", "mL/min", "creatinine clearance: the filtration rate without its indexing", low=0.0),
    truth("renal_impairment", "filtration below 60 mL/min/1.73 m2"),
    Heading("iss", "-", "stage of the International Staging System", "whole number", 1, 3),
    truth("high_risk", "deletion 17p, t(4;14) or t(14;16)"),
    truth("tp53_mutated", "TP53 lost; follows the deletion of 17p"),
)
