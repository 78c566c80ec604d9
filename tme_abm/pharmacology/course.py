"""A course of treatment: one regimen running in one patient."""

import copy
from collections.abc import Sequence
from statistics import NormalDist
from typing import Annotated, Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.declare import Param, number, stack
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.rng import Stream, stream_key, uniform
from tme_abm.pharmacology.body import Body
from tme_abm.pharmacology.compartments import (
    ANTIBODY,
    SMALL_MOLECULE,
    Antibody,
    Exposure,
    Plan,
    SmallMolecule,
    State,
    run,
)
from tme_abm.pharmacology.drug import Drug
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.pharmacology.salvage import igg

__all__ = ["Body", "Course", "Exposure"]

LOOK_DAYS: Annotated[float, Param("d", "time between two looks of the kinetics at the disease", "tme_abm: a week", "A")] = 7.0
MOST_DISEASE: Annotated[
    float,
    Param(
        "1",
        "plasma cells relative to the start of treatment beyond which kinetics follow them no further",
        "tme_abm: not measured beyond the start, where isatuximab's clearance rises by the factor by which it falls with all disease gone",
        "A",
    ),
] = 2.0
FIRST_HORIZON_DAYS = 728.0  # the calendar is written two years ahead and doubled whenever time comes near its end
TRUNCATION: Annotated[
    float, Param("1", "standard deviations from the typical patient beyond which no virtual patient's kinetics lie", "tme_abm", "A")
] = 3.0

_NORMAL = NormalDist()
_TAIL = _NORMAL.cdf(-TRUNCATION)


def deviate(key: int, drug: str, parameter: str) -> float:
    """Standard normal deviate, cut at three, of one parameter of one drug in one patient.

    It is drawn by address, so a patient has the same kinetics of a drug in every arm and under every regimen, and no
    new parameter moves an old one.
    """
    u = float(uniform(stream_key(key, int(Stream.PHARMACOKINETICS), crc32(drug.encode())), crc32(parameter.encode())))
    return _NORMAL.inv_cdf(_TAIL + u * (1.0 - 2.0 * _TAIL))


class Course:
    """One regimen running in one patient, from its first day on.

    Attributes:
        regimen: What is given.
        drugs: The drugs in order of first appearance in the regimen; the columns of every exposure.
        body: The patient.
        hour: Hours since day 1 of the regimen.
    """

    def __init__(self, regimen: Regimen, drugs: Sequence[Drug], body: Body, key: int, is_varied: bool = True) -> None:
        """Start a course.

        Args:
            regimen: What is given.
            drugs: At least the drugs of the regimen, in any order.
            body: The patient.
            key: The patient's key (`foundation.rng.patient_key`).
            is_varied: Whether kinetics vary beyond what covariates explain; False gives the typical patient.

        Raises:
            InputError: Where a drug of the regimen is missing, or a patient has no weight or surface.
        """
        known = {drug.name: drug for drug in drugs}
        for name in regimen.drugs:
            if name not in known:
                raise InputError(f"regimen '{regimen.key}': no drug '{name}' was loaded{did_you_mean(name, known)}")
        for dose in regimen.doses:
            if dose.route == "subcutaneous" and not known[dose.drug].goes_under_the_skin:
                raise InputError(
                    f"regimen '{regimen.key}': nothing is known of {dose.drug} under the skin: {known[dose.drug].file.name} says nothing"
                )
        self.regimen = regimen
        self.drugs = tuple(known[name] for name in regimen.drugs)
        self.hour = 0.0
        self._key = int(key)
        self._factor = np.ones(len(self.drugs))
        self._tumour: float | None = None  # at the first look
        self._follows = any(drug.follows_disease for drug in self.drugs)
        self._names = [drug.name for drug in self.drugs]
        self._deviates = [
            {vary.parameter: deviate(self._key, drug.name, vary.parameter) for vary in drug.variability if is_varied} for drug in self.drugs
        ]
        self.body = self._dosed_body = _checked(body)
        self._resolve()
        self._plan, self._full = self._schedule(FIRST_HORIZON_DAYS)
        self._horizon_days = FIRST_HORIZON_DAYS
        n = len(self.drugs)
        target = np.array([getattr(p, "target_pool", 0.0) for p in self._individual], np.float64)
        self._state = State(np.zeros(n), np.zeros(n), np.zeros(n), target, np.zeros(n))

    def advance(self, n_steps: int, dt_h: float) -> Exposure:
        """Let time pass.

        Args:
            n_steps: Number of steps.
            dt_h: Length of a step [h].

        Returns:
            Mean concentrations and engaged fractions over each step.
        """
        exposure = Exposure(np.zeros((n_steps, len(self.drugs))), np.zeros((n_steps, len(self.drugs))))
        if dt_h <= 0.0 or n_steps < 0:
            raise InputError(f"advance: expected a number of positive steps, got {n_steps} steps of {dt_h} h")
        end = self.hour + n_steps * float(dt_h)
        while end > self._horizon_days * HOURS_PER_DAY:
            self._extend()
        if self.drugs:
            run(self._kinetics, self._plan, self._state, exposure, (self.hour, float(dt_h)))
        self.hour = end
        return exposure

    def fork(self) -> "Course":
        """A course that stands where this one does and goes its own way from now on."""
        twin = copy.copy(self)
        twin._state = State(*(column.copy() for column in self._state))
        twin._plan = self._plan._replace(amount=self._plan.amount.copy())
        twin._factor = self._factor.copy()
        return twin

    def change_dose(self, drug: str, factor: float) -> None:
        """Give `factor` times the regimen's dose of one drug from now on; an infusion that runs is finished.

        The factor is relative to the regimen, so 1 restores the full dose.

        Raises:
            InputError: For a drug that is not in the regimen, or a factor that is negative or no number.
        """
        if drug not in self._names:
            raise InputError(f"regimen '{self.regimen.key}' holds no '{drug}'{did_you_mean(str(drug), self._names)}")
        value = number(factor, f"dose factor of {drug}")
        if value < 0.0:
            raise InputError(f"dose factor of {drug}: expected zero or more, got {value:g}")
        index = self._names.index(drug)
        self._factor[index] = value
        mine = slice(int(self._plan.first[index]), int(self._plan.first[index + 1]))
        coming = self._plan.start[mine] >= self.hour
        self._plan.amount[mine][coming] = value * self._full[mine][coming]

    def stop(self, drug: str) -> None:
        """Give no more of one drug; what is in the body leaves it in its own time."""
        self.change_dose(drug, 0.0)

    def stop_all(self) -> None:
        """Give no more of anything, as at progression."""
        for name in self._names:
            self.stop(name)

    def change_body(self, **changes: float) -> None:
        """Let the patient differ from now on, for instance in the M-protein that drives the clearance of an antibody.

        Doses stay those of the body at the start of the course.

        Raises:
            InputError: For a trait that `Body` does not have, or one out of its range.
        """
        for name in changes:
            if name not in Body._fields:
                raise InputError(f"unknown trait '{name}' of a patient{did_you_mean(name, Body._fields)}")
        self.body = _checked(Body(**{**self.body._asdict(), **changes}))
        self._resolve()

    def steps_to_look(self, n_steps: int, dt_h: float) -> int:
        """Steps that may pass before the kinetics look at the disease, `n_steps` at most; all of them where no drug follows it.

        Looks are due at fixed times of the course, whatever the calls into which it is cut.

        Args:
            n_steps: Number of steps that are to pass.
            dt_h: Length of a step [h].
        """
        if not self._follows:
            return n_steps
        per_look = max(1, round(LOOK_DAYS * HOURS_PER_DAY / dt_h))
        return min(n_steps, per_look - round(self.hour / dt_h) % per_look)

    def look(self, m_protein: float, tumour: float, dt_h: float) -> None:
        """Let the kinetics follow the disease, where a look is due and a drug follows it.

        Args:
            m_protein: Serum M-protein now [g/L].
            tumour: Plasma cells of the whole marrow now.
            dt_h: Length of a step [h].
        """
        if self._tumour is None:
            self._tumour = max(tumour, 1.0)
        per_look = max(1, round(LOOK_DAYS * HOURS_PER_DAY / dt_h))
        if self._follows and round(self.hour / dt_h) % per_look == 0:
            disease = number(tumour, "plasma cells") / self._tumour
            self.body = self.body._replace(m_protein_g_per_l=number(m_protein, "M-protein"), disease=disease)
            self._follow_disease()

    def kinetics(self, drug: str) -> Any:
        """The kinetics of one drug in this patient.

        Raises:
            InputError: For a drug that is not in the regimen.
        """
        if drug not in self._names:
            raise InputError(f"regimen '{self.regimen.key}' holds no '{drug}'{did_you_mean(str(drug), self._names)}")
        return self._individual[self._names.index(drug)]

    @property
    def concentration(self) -> NDArray[np.float64]:
        """Plasma concentrations right now (n_drugs) [ug/mL]."""
        return self._state.central / np.array([p.central_volume for p in self._individual], np.float64)

    @property
    def effect(self) -> NDArray[np.float64]:
        """Engaged fractions of the targets right now (n_drugs), 0 for antibodies."""
        return self._state.effect.copy()

    def _resolve(self) -> None:
        """Kinetics of all drugs in this patient, as the blocks of arrays that the kernel takes."""
        self._individual = [self._kinetics_of(index) for index in range(len(self.drugs))]
        self._kinetics = (
            stack(Antibody, [p for p in self._individual if isinstance(p, Antibody)]),
            stack(SmallMolecule, [p for p in self._individual if isinstance(p, SmallMolecule)]),
        )

    def _follow_disease(self) -> None:
        """The same of the drugs that follow the disease, with as little work as looks each week allow; forks share what is not replaced."""
        self._individual = list(self._individual)
        for index, drug in enumerate(self.drugs):
            if not drug.follows_disease:
                continue
            before = self._individual[index]
            now = self._kinetics_of(index, before)
            self._individual[index] = now
            row, model = int(self._plan.row[index]), int(self._plan.model[index])
            changed: dict[str, Any] = {}
            for name, old, new in zip(now._fields, before, now, strict=True):
                if old != new:
                    changed[name] = getattr(self._kinetics[model], name).copy()
                    changed[name][row] = new
            antibodies, small_molecules = self._kinetics
            if model == ANTIBODY:
                self._kinetics = antibodies._replace(**changed), small_molecules
            else:
                self._kinetics = antibodies, small_molecules._replace(**changed)

    def _kinetics_of(self, index: int, before: Any = None) -> Any:
        """Kinetics of one drug in this patient; those before, where only the disease has changed since."""
        drug, body = self.drugs[index], self.body
        with_imid = float(any(other.drug_class == "imid" for other in self.drugs if other is not drug))
        traits = {**body._asdict(), "igg_g_per_l": igg(body.is_igg, body.m_protein_g_per_l), "is_with_imid": with_imid}
        traits["disease"] = min(body.disease, MOST_DISEASE)
        return drug.individual(traits, self._deviates[index], before)

    def _schedule(self, horizon_days: float) -> tuple[Plan, NDArray[np.float64]]:
        """The regimen's doses drug by drug, and their full amounts [mg]."""
        infusion_hours = {drug.name: drug.infusion_hours for drug in self.drugs}
        calendar = self.regimen.calendar(self._dosed_body, horizon_days, infusion_hours)
        order = np.argsort(calendar.drug, kind="stable")
        model = np.array([ANTIBODY if drug.model == "antibody" else SMALL_MOLECULE for drug in self.drugs], np.int64)
        row = np.zeros(len(self.drugs), np.int64)
        for kind in (ANTIBODY, SMALL_MOLECULE):
            row[model == kind] = np.arange(int(np.sum(model == kind)))
        first = np.searchsorted(calendar.drug[order], np.arange(len(self.drugs) + 1)).astype(np.int64)
        full = calendar.amount_mg[order]
        by_mouth = np.array([drug.is_absorbed for drug in self.drugs] or [False], np.bool_)
        absorbed = (by_mouth[calendar.drug] | calendar.is_subcutaneous)[order]
        return Plan(first, calendar.start_h[order], calendar.duration_h[order], absorbed, full.copy(), model, row), full

    def _extend(self) -> None:
        """Write the calendar twice as far ahead; doses up to now stay as they were given."""
        before = self._plan
        self._horizon_days *= 2.0
        self._plan, self._full = self._schedule(self._horizon_days)
        for index, factor in enumerate(self._factor):
            old = slice(int(before.first[index]), int(before.first[index + 1]))
            new = slice(int(self._plan.first[index]), int(self._plan.first[index + 1]))
            given = before.start[old] < self.hour
            amounts = self._plan.amount[new]
            amounts *= factor
            amounts[: given.size][given] = before.amount[old][given]


def _checked(body: Body) -> Body:
    for name, value in body._asdict().items():
        if not name.startswith("is_"):
            number(float(value), f"patient, {name}")
            if value < 0.0 or (value == 0.0 and name not in ("m_protein_g_per_l", "disease")):
                raise InputError(f"patient: {name} must be above zero, got {value:g}")
    return body
