"""What was done live: one patient under two treatments, with all that was changed in either marrow, and when.

The kind `live` of a scenario, which the live page saves and opens again. It holds the trial that the page showed, whole; unlike a trial's
arms, its two sides may differ in mechanisms too, and change in the middle of a run. Run again, it gives the same numbers to the last bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from tme_abm.forms import Source, Table, check_mechanisms
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.laboratory.experiment import Drawing, Experiment
from tme_abm.messages import first_wrong

if TYPE_CHECKING:
    import pandas as pd

    from tme_abm.simulation.simulation import Simulation
    from tme_abm.trial.study import Study

SIDES = ("a", "b")
LONGEST_DAYS = 3660.0
MOST_FACTOR = 10.0  # of a dose
MOST_PATIENTS = 1_000_000
SIZES = (32, 64, 128, 256)  # rows and columns of a patch that the page offers [sites]


class Change(Table):
    """Something that was changed in one of the marrows."""

    day: float = Field(ge=0.0, le=LONGEST_DAYS, description="day of treatment from which on it holds")
    side: Literal["a", "b"] = Field(description="a is the left marrow, b the right one")
    drug: str | None = Field(None, description="drug whose doses are changed")
    factor: float | None = Field(None, ge=0.0, le=MOST_FACTOR, description="on the doses of the regimen; 0 stops them")
    mechanism: str | None = Field(None, description="mechanism that is switched")
    on: bool | None = Field(None, description="whether it is on from then on")


class Form(Table):
    """What was done live."""

    kind: Literal["live"]
    title: str
    summary: str
    patient: str = Field(description="name of a preset, or the number of a patient of the study's population")
    arms: list[str] = Field(min_length=2, max_length=2, description="keys of the study's arms, left and right")
    patch: int = Field(64, description="rows and columns of the patch [sites]")
    until: float = Field(ge=0.0, le=LONGEST_DAYS, description="day of treatment that was reached")
    without_a: list[str] = Field([], description="mechanisms that are off on the left from the start")
    without_b: list[str] = Field([], description="mechanisms that are off on the right from the start")
    changes: list[Change] = Field([], description="what was changed, in order of time")
    study: dict[str, Any] = Field(description="the trial that was shown, as a scenario of its own")

    def size(self) -> str:
        """How much is simulated."""
        return f"1 patient, {self.until:g} days"

    def labels(self) -> list[str]:
        """What is compared, for the list of scenarios."""
        return list(self.arms)


class Act(NamedTuple):
    """A change as a marrow takes it; members as the page's own events."""

    day: float
    side: int
    kind: str  # "dose" or "switch"
    name: str
    value: float


def grow_patient(study: "Study", patient: str) -> "Simulation":
    """The untreated marrow of a preset, or of a numbered patient of the study's population, at eligibility.

    Raises:
        InputError: Where the disease never becomes eligible.
    """
    from tme_abm.patients.presets import preset, presets
    from tme_abm.simulation.simulation import Simulation, enrol, make_patient_key

    if patient in presets():
        simulation = Simulation(preset(patient), study.settings, make_patient_key(study.seed, 0))
        if not simulation.grow():
            raise InputError(f"patient '{patient}': the immune system holds the disease for two years, there is nothing to treat")
        return simulation
    try:
        return enrol(study.population, study.settings, study.seed, int(patient))[0]
    except RuntimeError as error:
        raise InputError(f"patient: {error}") from None


def carry_out_change(simulation: "Simulation", act: Any) -> None:
    """Let a change happen in a marrow, from now on.

    Args:
        simulation: The marrow.
        act: With the members of `Act`.
    """
    if act.kind == "switch":
        simulation.switch(act.name, act.value > 0.0)
    else:
        simulation.course.change_dose(act.name, act.value)


@dataclass(frozen=True, kw_only=True)
class Live(Experiment):
    """What was done live, resolved.

    Attributes:
        form: What the file says.
        trial: The trial that was shown, with the patch of the page.
        acts: What was changed, in order.
    """

    form: Form
    trial: "Study"
    acts: tuple[Act, ...]

    def facts(self) -> dict[str, str]:
        """What would be run, in words."""
        labels = {arm.key: arm.label for arm in self.trial.arms}
        shown = {
            "patient": f"{self.form.patient}, of {self.population.label}",
            "patch": f"{self.settings.height} x {self.settings.width} sites, a step of {self.settings.step_h:g} h",
            "until": f"day {self.form.until:g}",
        }
        for i, side in enumerate(SIDES):
            off = self.form.without_a if side == "a" else self.form.without_b
            lines = [labels[self.form.arms[i]], *(f"without {name}" for name in off)]
            lines += [f"day {act.day:g}: {act.name} {_in_words(act)}" for act in self.acts if act.side == i]
            shown[f"side {side.upper()}"] = "; ".join(lines)
        return shown

    @property
    def pieces(self) -> tuple[str, int]:
        """A piece is a side."""
        return "sides", len(SIDES)

    def carry_out(self, index: int) -> list[dict[str, Any]]:
        """Grow the patient and follow one side: a row a day."""
        grown = grow_patient(self.trial, self.form.patient)
        regimen = next(arm for arm in self.trial.arms if arm.key == self.form.arms[index])
        off = frozenset(self.form.without_a if index == 0 else self.form.without_b)
        treated = grown.fork(regimen, self.drugs, self.settings.without | off)
        per_day = round(HOURS_PER_DAY / self.settings.step_h)
        waiting = [act for act in self.acts if act.side == index and act.day <= self.form.until + 1e-9]
        end, step, rows = round(self.form.until * per_day), 0, []
        while True:
            if step % per_day == 0:
                rows.append({"side": SIDES[index], "arm": regimen.key, "day": treated.day, **treated.observe(), "state_hash": ""})
            while waiting and round(waiting[0].day * per_day) <= step:
                carry_out_change(treated, waiting.pop(0))
            if step >= end:
                break
            stops = [end, (step // per_day + 1) * per_day, *(round(act.day * per_day) for act in waiting[:1])]
            treated.advance(min(stops) - step)
            step = min(stops)
        rows[-1]["state_hash"] = treated.state_hash()
        return rows

    def summarise(self, table: "pd.DataFrame") -> dict[str, Any]:
        """Each side at its end."""
        found = {}
        for side in SIDES:
            own = table[table["side"] == side]
            first, last = own.iloc[0], own.iloc[-1]
            found[side] = {
                "arm": str(last["arm"]),
                "day": float(last["day"]),
                "m_protein_g_per_l": float(last["m_protein_g_per_l"]),
                "m_protein_change": float(last["m_protein_g_per_l"] / first["m_protein_g_per_l"] - 1.0),
                "tumour_cells_total": float(last["tumour_cells_total"]),
                "state_hash": str(last["state_hash"]),
            }
        return found

    def findings(self, table: "pd.DataFrame") -> list[str]:
        """A sentence a side."""
        labels = {arm.key: arm.label for arm in self.trial.arms}
        return [
            f"{side.upper()}, {labels[one['arm']]}: on day {one['day']:g} the M-protein is {one['m_protein_g_per_l']:.1f} g/L "
            f"({100.0 * one['m_protein_change']:+.0f} %), and {one['tumour_cells_total']:.2g} plasma cells are left in the whole marrow."
            for side, one in self.summarise(table).items()
        ]

    def draw(self, table: "pd.DataFrame") -> dict[str, Drawing]:
        """M-protein and plasma cells of both sides."""
        from tme_abm.drawing import ARM_COLOURS, empty_figure

        figure = empty_figure(8.6, 3.4)
        left, right = figure.subplots(1, 2)
        for axes, column, label in (
            (left, "m_protein_g_per_l", "M-protein (g/L)"),
            (right, "tumour_cells_total", "plasma cells of the body"),
        ):
            for i, side in enumerate(SIDES):
                own = table[table["side"] == side]
                axes.plot(own["day"], own[column], color=ARM_COLOURS[i], ls="-" if i == 0 else "--", label=side.upper())
            axes.set_xlabel("days of treatment")
            axes.set_ylabel(label)
        right.set_yscale("log")
        left.set_ylim(bottom=0.0)
        left.legend(frameon=False)
        caption = "Both sides as they were on the live page: A solid, B dashed."
        return {self.name: Drawing(figure, caption)}


def _in_words(act: Act) -> str:
    return f"at {100.0 * act.value:g} % of the dose" if act.kind == "dose" else "on" if act.value else "off"


def build(form: Form, source: Source) -> Live:
    """What was done live, as the file describes it.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    from tme_abm.patients.presets import presets

    study = load_study(form.study, source)
    if form.patch not in SIZES:
        raise source.error(("patch",), f"patch: choose one of {', '.join(map(str, SIZES))}, not {form.patch}")
    study = replace(study, settings=replace(study.settings, height=form.patch, width=form.patch))
    arms = {arm.key: arm for arm in study.arms}
    for i, key in enumerate(form.arms):
        if key not in arms:
            raise source.error(("arms", i), f"there is no arm '{key}'{did_you_mean(key, arms)}")
    is_number = form.patient.isascii() and form.patient.isdigit() and int(form.patient) < MOST_PATIENTS
    if form.patient not in presets() and not is_number:
        text = f"patient: '{form.patient}' is neither a preset nor a number{did_you_mean(form.patient, presets())}"
        raise source.error(("patient",), text)
    for side in SIDES:
        check_mechanisms(form.without_a if side == "a" else form.without_b, (f"without_{side}",), source)
    acts = tuple(_act(change, i, arms[form.arms[SIDES.index(change.side)]].drugs, source) for i, change in enumerate(form.changes))
    if list(acts) != sorted(acts, key=lambda act: act.day):
        raise source.error(("changes",), "changes: write them in order of their days")
    return Live(
        name=source.name,
        title=form.title,
        summary=form.summary,
        seed=study.seed,
        population=study.population,
        settings=study.settings,
        drugs=study.drugs,
        resolved={**form.model_dump(mode="json", exclude_none=True), "study": dict(study.resolved)},
        form=form,
        trial=study,
        acts=acts,
    )


def load_study(table: Mapping[str, Any], source: Source) -> "Study":
    """The trial inside.

    Raises:
        InputError: Where it is none.
    """
    from tme_abm.trial import form as trial

    lines = {at[1:]: line for at, line in source.lines.items() if at[:1] == ("study",)}
    options = {at[1:]: option for at, option in source.options.items() if at[:1] == ("study",)}
    inner = replace(source, table=table, lines=lines, options=options)
    try:
        scenario = trial.Form.model_validate(table)
    except ValidationError as error:
        raise inner.error(*first_wrong(error, table, inner.lines, trial.Form)) from None
    return trial.build(scenario, inner)


def _act(change: Change, i: int, drugs: Sequence[str], source: Source) -> Act:
    at = ("changes", i)
    side = SIDES.index(change.side)
    if change.drug is not None and change.factor is not None and change.mechanism is None and change.on is None:
        if change.drug not in drugs:
            raise source.error((*at, "drug"), f"side {change.side} gives no '{change.drug}'{did_you_mean(change.drug, drugs)}")
        return Act(change.day, side, "dose", change.drug, change.factor)
    if change.mechanism is not None and change.on is not None and change.drug is None and change.factor is None:
        check_mechanisms([change.mechanism], (*at, "mechanism"), source)
        return Act(change.day, side, "switch", change.mechanism, float(change.on))
    raise source.error(at, "a change says drug and factor, or mechanism and on")
