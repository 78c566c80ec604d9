"""A study, resolved: everything that a run needs, and nothing that it would have to look up."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

from tme_abm.foundation.clock import Rhythm
from tme_abm.foundation.declare import Filled, fill
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.outcomes import clinic
from tme_abm.patients.population import Population
from tme_abm.pharmacology.drug import Drug
from tme_abm.pharmacology.regimen import Dose, Regimen, parse_dose
from tme_abm.simulation.settings import Settings
from tme_abm.trial.recording_plan import RecordingPlan


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
        visit_days: Days between assessments; between the last ones, where that changes.
        ci_level: Level of the intervals of hazard ratios, e.g. 0.95.
        published: Published figures for the report to print; the model never reads them.
        resolved: The scenario as resolved, for run.json.
        first_visits: Number of visits and days between them that come first, where the interval changes.
        record: What is recorded of each patient, and how often.
        clinic: What the clinic gets to see of a disease, each number with its origin.
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
    first_visits: tuple[tuple[int, float], ...] = ()
    record: RecordingPlan = field(default_factory=RecordingPlan)
    clinic: Filled = field(default_factory=lambda: fill(clinic.Params))

    @property
    def visits(self) -> Rhythm:
        """The intervals that end with a visit."""
        return Rhythm(self.visit_days, self.first_visits)

    def with_dose(self, arm: str, drug: str, dose: str, instead_of: str | None = None, name: str | None = None) -> "Study":
        """The same study, seed and patients included, with another dose of one drug in one arm.

        A dose of the elderly that the line gives in the same unit changes in proportion.

        Args:
            arm: Key of the arm.
            drug: Name of the drug.
            dose: The new dose, such as "20 mg/kg".
            instead_of: Which dose it replaces, where the arm gives the drug in several.
            name: Of the new study; made of the old one's and of the dose where it is left out.

        Raises:
            InputError: For an unknown arm or drug, no dose, or several doses where none is chosen.
        """
        keys = [regimen.key for regimen in self.arms]
        if arm not in keys:
            raise InputError(f"study '{self.name}': there is no arm '{arm}'{did_you_mean(arm, keys)}")
        regimen = self.arms[keys.index(arm)]
        if drug not in regimen.drugs:
            raise InputError(f"arm '{arm}' of study '{self.name}' gives no '{drug}'{did_you_mean(drug, regimen.drugs)}")
        amount, unit = parse_dose(dose, "dose")
        given = list(dict.fromkeys((line.amount, line.unit) for line in regimen.doses if line.drug == drug))
        in_words = [f"{a:g} {u}" for a, u in given]
        if instead_of is not None:
            chosen = parse_dose(instead_of, "instead_of")
            if chosen not in given:
                raise InputError(f"arm '{arm}' gives no {instead_of} of {drug}{did_you_mean(instead_of, in_words)}")
        elif len(given) > 1:
            raise InputError(f"arm '{arm}' gives {drug} in doses of {' and '.join(in_words)}; say with instead_of which one changes")
        else:
            chosen = given[0]
        resolved = deepcopy(dict(self.resolved))
        rows = resolved.get("arms", {}).get(arm, {}).get("doses", [{} for _ in regimen.doses])
        lines: list[Dose] = []
        for line, row in zip(regimen.doses, rows, strict=True):
            if line.drug != drug or (line.amount, line.unit) != chosen:
                lines.append(line)
                continue
            elderly = line.elderly_amount
            if elderly is not None:
                if unit != line.unit:
                    raise InputError(f"{drug} of arm '{arm}' has a dose for the elderly in {line.unit}; give the new one in it too")
                elderly *= amount / line.amount
                row["elderly_dose"] = f"{elderly:g} {unit}"
            row["dose"] = f"{amount:g} {unit}"
            lines.append(replace(line, amount=amount, unit=unit, elderly_amount=elderly))
        arms = tuple(replace(r, doses=tuple(lines)) if r.key == arm else r for r in self.arms)
        resolved["title"] = title = f"{self.title}, with {drug} {amount:g} {unit} in {regimen.label}"
        called = name or f"{self.name}-{drug}-{amount:g}-{unit.replace('/', '-')}".replace(" ", "-")
        return replace(self, name=called, title=title, arms=arms, resolved=resolved)
