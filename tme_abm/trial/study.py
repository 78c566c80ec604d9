"""A study, resolved: everything that a run needs, and nothing that it would have to look up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tme_abm.patients.population import Population
from tme_abm.pharmacology.drug import Drug
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.simulation.settings import Settings


@dataclass(frozen=True)
class FollowUp:
    """How long patients are watched before the cut-off [d]: those who entered first `longest`, those who entered last `shortest`."""

    shortest_days: float
    longest_days: float

    def days(self, entry_fraction: float) -> float:
        """Days from randomisation to the cut-off for a patient who entered at a fraction (0 first, 1 last) of accrual."""
        return self.longest_days - entry_fraction * (self.longest_days - self.shortest_days)


@dataclass(frozen=True)
class Study:
    """One virtual trial.

    Attributes:
        name: Name of the scenario.
        title: One line for the head of the report.
        summary: What the study asks, in a sentence or two.
        seed: From which all chance derives.
        patients: Number of virtual patients.
        population: Whom they are drawn from.
        arms: The regimens; arms differ in nothing else.
        comparisons: Pairs of keys (arm, reference).
        design: "paired" (every patient under every arm) or "parallel" (randomised).
        allocation: Weights of the arms in a parallel design.
        settings: The marrow and its rules.
        drugs: The drugs of all arms by name.
        follow_up: Until the cut-off.
        visit_days: Days between assessments.
        ci_level: Level of the intervals of hazard ratios, e.g. 0.95.
        published: Published figures for the report to print; the model never reads them.
        resolved: The scenario as resolved, for run.json.
    """

    name: str
    title: str
    summary: str
    seed: int
    patients: int
    population: Population
    arms: tuple[Regimen, ...]
    comparisons: tuple[tuple[str, str], ...]
    design: str
    allocation: tuple[int, ...]
    settings: Settings
    drugs: Mapping[str, Drug]
    follow_up: FollowUp
    visit_days: float = 28.0
    ci_level: float = 0.95
    published: tuple[Mapping[str, Any], ...] = ()
    resolved: Mapping[str, Any] = field(default_factory=dict)
