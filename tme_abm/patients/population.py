"""A population of patients, and one patient drawn from it.

Every draw is addressed by the name of its quantity, so a new quantity changes no other, and a study that replaces one distribution keeps
the dice of all the others.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.jit import kernel
from tme_abm.foundation.rng import Stream, patient_key, stream_key, uniform
from tme_abm.patients.distributions import Bernoulli, Distribution
from tme_abm.patients.patient import ORDER, TRAITS, VirtualPatient, check

MEDIAN = 0.5
ADDRESSES = np.array([zlib.crc32((trait.address or name).encode()) for name, trait in TRAITS.items()], np.int64)


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


def provenance(population: Population) -> list[Sourced]:
    """Every number of a population as (name, value, unit, meaning, source, grade)."""
    return [row for quantity in population.quantities for row in quantity.numbers]
