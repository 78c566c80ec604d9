"""Time courses: some tens of patients under several courses of treatment, looked at in chosen hours and weeks.

The kind `time_course` of a scenario. Every patient is grown untreated until eligible, as in a trial, and then goes through every course
from that same marrow and with the same chance. A course is a regimen, with mechanisms switched off where the question asks for it; it
may stop, and is watched on. Nobody leaves: what is asked is what the drug does, not for how long a patient stays on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tme_abm.forms import (
    LONGEST_H,
    Arm,
    Drugs,
    Marrow,
    Source,
    Table,
    Value,
    as_resolved,
    check_mechanisms,
    check_routes,
    drug_places,
    hours,
    load_drugs,
    make_population,
    make_regimen,
    make_settings,
    refuse_rules,
)
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.foundation.errors import did_you_mean
from tme_abm.foundation.toml import Keys
from tme_abm.laboratory import estimates
from tme_abm.laboratory.course import Line, Point, percent, when
from tme_abm.laboratory.experiment import Answer, Drawing, Experiment
from tme_abm.laboratory.vocabulary import OBSERVED

if TYPE_CHECKING:
    import pandas as pd

    from tme_abm.pharmacology.regimen import Regimen
    from tme_abm.simulation.simulation import Simulation


class CourseArm(Arm):
    """A course: a regimen, and mechanisms that are off in it."""

    without: list[str] = Field([], description="mechanisms that are switched off in this course")


class Sampling(Table):
    """When the marrow is looked at; before the first dose always."""

    hours: list[float] = Field([], description="hours after the first dose")
    days: list[float] = Field([], description="days after the first dose")


class Split(Table):
    """A change, split into parts by courses that each lack something."""

    quantity: str = Field(description="what is split")
    whole: str = Field(description="the course with everything")
    reference: str = Field(description="the course without any of it")
    at: str = Field(description='time at which it is split, such as "12 week"')
    parts: dict[str, str] = Field(min_length=1, description="what a course is left without, in words -> that course")


class Question(Table):
    """What the course is asked, for a small table of the report."""

    text: str = Field(description="the question, in a sentence")
    quantities: list[str] = Field(min_length=1, description="those of the course's quantities that answer it")


class Form(Table):
    """One time course."""

    kind: Literal["time_course"]
    title: str
    summary: str
    population: str | dict[str, Any] = Field(description='a name, the path of a TOML file, or a table with inherits = "..."')
    patients: int = Field(ge=1, le=100_000)
    seed: int = Field(ge=0, lt=2**62)
    without: list[str] = Field([], description="mechanisms that are switched off in every course")
    quantities: list[str] = Field(min_length=1, description="what is followed, a panel each")
    relative: bool = Field(True, description="whether figures show change from baseline, in per cent of it")
    marrow: Marrow = Marrow()
    sampling: Sampling
    courses: dict[str, CourseArm] = Field(min_length=1)
    split: Split | None = None
    questions: list[Question] = Field([], description="under which the report shows what is seen; a sentence a line where there are none")
    parameters: dict[str, dict[str, Value]] = Field({}, description="mechanism -> parameter -> value of this study")
    drugs: Drugs = Drugs()

    def size(self) -> str:
        """How much is simulated, for the list of scenarios."""
        return f"{self.patients} patients"

    def labels(self) -> list[str]:
        """What is compared, for the list of scenarios."""
        return [course.label for course in self.courses.values()]


@dataclass(frozen=True, kw_only=True)
class TimeCourse(Experiment):
    """A time course, resolved.

    Attributes:
        form: What the scenario says.
        regimens: Of each course, by key.
        sampled: Hours after the first dose at which the marrow is looked at, from 0, rising [h].
        split_hour: When the change is split [h]; None where it is not.
    """

    form: Form
    regimens: "Mapping[str, Regimen]"
    sampled: tuple[float, ...]
    split_hour: float | None = None

    def facts(self) -> dict[str, str]:
        """What would be run, in words."""
        settings = self.settings
        shown = {
            "population": f"{self.population.label}: {self.population.summary}",
            "patients": f"{self.form.patients}, each through every course from the same grown marrow; seed {self.seed}",
            "patch": f"{settings.height} x {settings.width} sites, a step of {settings.step_h:g} h",
            "looked at": f"{len(self.sampled)} times, up to day {self.sampled[-1] / HOURS_PER_DAY:g}",
            "followed": estimates.listed([OBSERVED[name].words for name in self.form.quantities]),
            "without": ", ".join(sorted(settings.without)) or "nothing: all mechanisms act",
        }
        for key, regimen in self.regimens.items():
            lines = [f"{d.drug} {d.amount:g} {d.unit} on days {', '.join(map(str, d.days))}" for d in regimen.doses]
            text = "; ".join(lines) or "nothing is given"
            text += f", {regimen.rhythm.in_words('cycles')}" if lines else ""
            text += f", until day {regimen.stop_day:g}" if regimen.stop_day is not None else ""
            off = self.form.courses[key].without
            text += f"; without {estimates.listed(off)}" if off else ""
            shown[f"course {key}"] = f"{regimen.label}: {text}"
        return shown

    @property
    def pieces(self) -> tuple[str, int]:
        """A piece is a patient."""
        return "patients", self.form.patients

    def carry_out(self, index: int) -> list[dict[str, Any]]:
        """Grow a patient and follow every course: a row for each course and time."""
        from tme_abm.simulation.simulation import enrol

        grown, _ = enrol(self.population, self.settings, self.seed, index)
        rows = []
        for key, regimen in self.regimens.items():
            without = self.settings.without | frozenset(self.form.courses[key].without)
            treated = grown.fork(regimen, self.drugs, without)
            before: dict[str, float] = {}
            hour = 0.0
            for now in self.sampled:
                if now > hour:
                    treated.advance(round((now - hour) / self.settings.step_h))
                seen = look(treated, before, now - hour)
                rows.append({"patient": index, "course": key, "hour": now, "day": now / HOURS_PER_DAY, **seen})
                before, hour = seen, now
        return rows

    # ---- what is seen ----

    def line(self, table: "pd.DataFrame", key: str, name: str) -> "Line":
        """A quantity of a course over time."""
        column = OBSERVED[name].column
        own = table[table["course"] == key]
        base = own[own["hour"] == 0.0].set_index("patient")[column]
        points = []
        for _, rows in own.groupby("hour", sort=True):
            values = rows.set_index("patient")[column]
            both = values.notna() & base.notna()
            compared = estimates.ratio(values[both], base[both])
            points.append(Point(float(rows["hour"].iloc[0]), estimates.mean(values[values.notna()]), compared))
        regimen = self.regimens[key]
        return Line(key, regimen.label, name, regimen.stop_day, tuple(points))

    def lines(self, table: "pd.DataFrame") -> "list[Line]":
        """Every quantity of every course."""
        return [self.line(table, key, name) for name in self.form.quantities for key in self.regimens]

    def parts(self, table: "pd.DataFrame") -> "dict[str, estimates.Estimate]":
        """The effect of the whole course and what each part contributes to it, as shares of the baseline, with intervals over patients.

        The effect is the difference from the reference course, a part the difference from the course that lacks it: patients are
        compared with themselves at the same time.
        """
        split = self.form.split
        if split is None or self.split_hour is None:
            return {}
        column = OBSERVED[split.quantity].column

        def at_hour(key: str, hour: float) -> "pd.Series[float]":
            return table[(table["course"] == key) & (table["hour"] == hour)].set_index("patient")[column]

        base = at_hour(split.whole, 0.0)
        at = {key: at_hour(key, self.split_hour) for key in self.regimens}
        found = {"all": estimates.ratio(at[split.whole] - at[split.reference], base)}
        return found | {name: estimates.ratio(at[split.whole] - at[key], base) for name, key in split.parts.items()}

    def summarise(self, table: "pd.DataFrame") -> dict[str, Any]:
        """Means relative to baseline at every time, and the parts of the split."""
        found: dict[str, Any] = {"lines": {f"{line.key}.{line.name}": line.numbers() for line in self.lines(table)}}
        if self.form.split is not None:
            found["split"] = {name: part._asdict() for name, part in self.parts(table).items()}
        return found

    def answers(self, table: "pd.DataFrame") -> list[Answer]:
        """A table for each question: its quantities, and what they did in each course, in per cent of the baseline where there is one."""
        heads = ("", *(regimen.label for regimen in self.regimens.values()))
        return [
            Answer(
                question.text,
                heads,
                tuple(
                    (OBSERVED[name].words, *(self.line(table, key, name).cell() for key in self.regimens)) for name in question.quantities
                ),
            )
            for question in self.form.questions
        ]

    def findings(self, table: "pd.DataFrame") -> list[str]:
        """A sentence for each quantity and course, and one for the split."""
        return self._told(table, self.form.quantities)

    def remarks(self, table: "pd.DataFrame") -> list[str]:
        """The sentences about what no question asks for."""
        asked = {name for question in self.form.questions for name in question.quantities}
        return self._told(table, [name for name in self.form.quantities if name not in asked])

    def _told(self, table: "pd.DataFrame", names: Sequence[str]) -> list[str]:
        sentences = [self.line(table, key, name).sentence() for name in names for key in self.regimens]
        parts = self.parts(table)
        if self.form.split is not None:
            words = [f"{name} {percent(part)}" for name, part in parts.items() if name != "all"]
            split = self.form.split
            label, reference = self.regimens[split.whole].label, self.regimens[split.reference].label
            sentences.append(
                f"At {when(self.split_hour or 0.0)}, {label} against {reference} changes {OBSERVED[split.quantity].words} by "
                f"{percent(parts['all'])} of the baseline; of this is lost without a part: {estimates.listed(words)}."
            )
        return sentences

    def draw(self, table: "pd.DataFrame") -> dict[str, Drawing]:
        """A panel for each quantity; a second figure for the split."""
        from tme_abm.drawing import MOST_BANDS
        from tme_abm.laboratory.plots import course_figure, split_figure

        what = "Relative to the marrow before the first dose" if self.form.relative else "Level"
        spread = " and its 95 % interval" if len(self.regimens) <= MOST_BANDS else ""
        caption = f"{what}: mean of {self.form.patients} patients{spread}. Time stands on a square-root scale."
        if any(regimen.stop_day is not None for regimen in self.regimens.values()):
            caption += " Dotted: end of treatment."
        drawn = {self.name: Drawing(course_figure(self.lines(table), self.form.relative), caption)}
        if self.form.split is not None:
            words = OBSERVED[self.form.split.quantity].words
            split = self.form.split
            caption = f"Difference of {words} between {self.regimens[split.whole].label} and {self.regimens[split.reference].label} at "
            caption += f"{when(self.split_hour or 0.0)}, and how much of it is lost without each part, with 95 % intervals."
            drawn[f"{self.name}_split"] = Drawing(split_figure(self.parts(table), words), caption)
        return drawn


def look(treated: "Simulation", before: Mapping[str, float], passed: float) -> dict[str, float]:
    """The marrow as a row of a table, with what follows from it.

    Args:
        treated: The marrow.
        before: The row before, for what is counted between two looks; empty at the first.
        passed: Hours since then [h].
    """
    from tme_abm.marrow.state import Gauge

    row = treated.observe()
    row["treg_per_100_t_cells"] = 100.0 * row["treg_cells"] / row["t_cells"] if row["t_cells"] else float("nan")
    row["reactive_share"] = row["reactive_t_cells"] / row["t_cells"] if row["t_cells"] else float("nan")
    row["nk_potency"] = row["nk_granzyme"] * row["nk_armed"] if row["nk_cells"] else float("nan")
    row["surface_cd38"] = float(treated.marrow.body.gauge[Gauge.SURFACE_CD38])
    for cause in ("fratricide", "depletion"):
        row.pop(f"deaths_{cause}")  # of plasma cells: none
    cells = 0.5 * (row["nk_cells"] + before["nk_cells"]) if before else 0.0
    kills = row["deaths_adcc"] - before["deaths_adcc"] if before else 0.0
    row["adcc_per_nk_cell_and_day"] = kills / cells / passed * HOURS_PER_DAY if cells else float("nan")
    return row


def build(form: Form, source: Source) -> TimeCourse:
    """The time course that a scenario describes.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    settings = make_settings(form.marrow, form.without, form.parameters, source)
    drugs = load_drugs(drug_places(form.courses, ("courses",)), form.drugs, source)
    check_routes(form.courses, drugs, ("courses",), source)
    refuse_rules(form.courses, ("courses",), source)
    regimens = {key: make_regimen(key, course, ("courses", key), source) for key, course in form.courses.items()}
    for key, course in form.courses.items():
        check_mechanisms(course.without, ("courses", key, "without"), source)
    for i, name in enumerate(form.quantities):
        if name not in OBSERVED:
            raise source.error(("quantities", i), f"unknown quantity '{name}'{did_you_mean(name, OBSERVED)}")
    for i, question in enumerate(form.questions):
        for j, name in enumerate(question.quantities):
            if name not in form.quantities:
                text = f"the course does not follow '{name}'{did_you_mean(name, form.quantities)}"
                raise source.error(("questions", i, "quantities", j), text)
    split_hour = None
    sampled = _times(form.sampling, settings.step_h, source)
    if form.split is not None:
        split_hour = _check_split(form, form.split, sampled, source)
    return TimeCourse(
        name=source.name,
        title=form.title,
        summary=form.summary,
        seed=form.seed,
        population=make_population(form.population, source),
        settings=settings,
        drugs=drugs,
        resolved=as_resolved(form, source),
        form=form,
        regimens=regimens,
        sampled=sampled,
        split_hour=split_hour,
    )


def _times(sampling: Sampling, step_h: float, source: Source) -> tuple[float, ...]:
    """Hours at which the marrow is looked at."""
    found = {0.0}
    for name, values, unit in (("hours", sampling.hours, 1.0), ("days", sampling.days, HOURS_PER_DAY)):
        for i, value in enumerate(values):
            hour = value * unit
            at = ("sampling", name, i)
            if hour < 0.0:
                raise source.error(at, f"sampling.{name}: no look before the first dose but the baseline, got {value:g}")
            if hour > LONGEST_H:
                raise source.error(at, f"sampling.{name}: {value:g} lies beyond 100 years, the limit")
            if abs(hour / step_h - round(hour / step_h)) > 1e-9:
                raise source.error(at, f"sampling.{name}: {value:g} falls between two steps of {step_h:g} h")
            found.add(round(hour / step_h) * step_h)
    if len(found) < 2:
        raise source.error(("sampling",), "sampling: give hours or days after the first dose")
    return tuple(sorted(found))


def _check_split(form: Form, split: Split, sampled: Sequence[float], source: Source) -> float:
    """The hour of the split."""
    base: Keys = ("split",)
    if split.quantity not in OBSERVED:
        raise source.error((*base, "quantity"), f"unknown quantity '{split.quantity}'{did_you_mean(split.quantity, OBSERVED)}")
    named: list[tuple[Keys, str]] = [((*base, "whole"), split.whole), ((*base, "reference"), split.reference)]
    for path, key in [*named, *(((*base, "parts", name), key) for name, key in split.parts.items())]:
        if key not in form.courses:
            raise source.error(path, f"there is no course '{key}'{did_you_mean(key, form.courses)}")
    hour = hours(split.at, (*base, "at"), source)
    if hour not in sampled:
        raise source.error((*base, "at"), f'split.at: the marrow is not looked at "{split.at}" after the first dose; add it to sampling')
    return hour
