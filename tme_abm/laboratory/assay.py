"""Assays: wells of a few conditions over a sweep of one quantity, and over the plasma cells of patients, in replicates.

The kind `assay` of a scenario. Every well has a twin without drug and with the same chance, against which specific lysis and the like
are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tme_abm.forms import (
    ARM_KEY,
    Drugs,
    Marrow,
    Source,
    Table,
    Value,
    as_resolved,
    check_mechanisms,
    hours,
    load_drugs,
    make_population,
    make_settings,
)
from tme_abm.foundation.declare import constants
from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.toml import Keys, dotted
from tme_abm.laboratory import estimates
from tme_abm.laboratory.curve import SHOWN, Curve, Positives, Sweep
from tme_abm.laboratory.experiment import Drawing, Experiment
from tme_abm.laboratory.vocabulary import CAUSES, CELLS, LINE, READOUTS, SWEEPS

if TYPE_CHECKING:
    import pandas as pd

    from tme_abm.laboratory.well import Outcome, Well
    from tme_abm.patients.patient import VirtualPatient
    from tme_abm.patients.population import Population


class Condition(Table):
    """One kind of well: drugs, and what differs from the other conditions."""

    label: str = Field(min_length=1, description="in the legend; conditions of the same label share a colour")
    panel: str = Field("", description="panel of the figure; conditions of the same panel share one")
    drugs: dict[str, float] = Field({}, description="antibody: ug/mL, small molecule: engaged fraction of its target; swept or as given")
    cells: dict[str, int] = Field({}, description="cells of this condition where they differ")
    line: dict[str, Value] = Field({}, description="what the plasma cells of this condition are, where they differ")
    without: list[str] = Field([], description="mechanisms that are not at work in these wells")


class Samples(Table):
    """Plasma cells of patients in the same wells."""

    population: str = Field(description="whose")
    patients: int = Field(ge=1, le=100_000)
    positive_from: float = Field(
        20.0, gt=0.0, le=100.0, description="per cent of the greatest readout of the sweep from which on a sample is positive"
    )


class Form(Table):
    """One assay."""

    kind: Literal["assay"]
    title: str
    summary: str
    population: str | dict[str, Any] = Field("typical", description="the median patient of it gives the cells")
    seed: int = Field(ge=0, lt=2**62)
    replicates: int = Field(ge=1, le=1000)
    duration: str = Field(description="how long a well stands")
    growing: bool = Field(False, description="whether plasma cells divide and die by themselves")
    without: list[str] = Field([], description="mechanisms that are not at work in any well")
    readouts: list[str] = Field([SHOWN], min_length=1, description="what figures and sentences show")
    marrow: Marrow = Marrow(shape=[40, 40], step="1 h")
    cells: dict[str, int] = Field(description="cells of each type in a well")
    line: dict[str, Value] = Field({}, description="what the plasma cells are, where not the donor's")
    sweep: Sweep
    conditions: dict[str, Condition] = Field(min_length=1)
    samples: Samples | None = None
    parameters: dict[str, dict[str, Value]] = Field({}, description="mechanism -> parameter -> value of this study")
    drugs: Drugs = Drugs()

    def size(self) -> str:
        """How much is run, for the list of scenarios."""
        swept = len(self.conditions) * len(self.sweep.values) * self.replicates
        return f"{swept + len(self.conditions) * (self.samples.patients if self.samples else 0)} wells"

    def labels(self) -> list[str]:
        """What is compared, for the list of scenarios."""
        return [f"{c.panel}: {c.label}" if c.panel else c.label for c in self.conditions.values()]


@dataclass(frozen=True, kw_only=True)
class Assay(Experiment):
    """An assay, resolved.

    Attributes:
        form: What the scenario says.
        hours: How long a well stands [h].
        samples_from: Population of the patients' samples, if any.
    """

    form: Form
    hours: float
    samples_from: "Population | None" = None

    def facts(self) -> dict[str, str]:
        """What would be run, in words."""
        form, sweep = self.form, self.form.sweep
        cells = estimates.listed([f"{n} {name}" for name, n in form.cells.items() if n] or ["no cells"])
        shown = {
            "cells": f"{cells}, of the median patient of {self.population.label}, for {form.duration}",
            "plasma cells": "; ".join(_said(form.line)) or "as in the patient",
            "sweep": f"{SWEEPS[sweep.over].words} at {', '.join(f'{v:g}' for v in sweep.values)} {sweep.unit}",
            "wells": f"{form.size()}, {form.replicates} of each; seed {self.seed}; every one with a twin without drug",
            "without": ", ".join([*sorted(self.settings.without), "recruitment", "turnover"] + ["growth"] * (not form.growing)),
        }
        if form.samples is not None and self.samples_from is not None:
            shown["samples"] = f"plasma cells of {form.samples.patients} patients of {self.samples_from.label} in the same wells"
        for key, condition in form.conditions.items():
            parts = [f"{name} {level:g}" for name, level in condition.drugs.items()] or ["no drug"]
            parts += [f"{n} {name}" for name, n in condition.cells.items()] + _said(condition.line)
            parts += [f"without {estimates.listed(condition.without)}"] * bool(condition.without)
            shown[f"condition {key}"] = f"{condition.panel or ''}{': ' * bool(condition.panel)}{condition.label}: {'; '.join(parts)}"
        return shown

    def origins(self) -> list[dict[str, Any]]:
        """Every number that the run uses, those of the cell line and of the wells too."""
        rows = super().origins() + [{"name": name, **origin._asdict()} for name, origin in constants("tme_abm.laboratory.well").items()]
        lines = [("line", self.form.line)] + [(f"conditions.{key}.line", c.line) for key, c in self.form.conditions.items()]
        for place, line in lines:
            for name, value in line.items():
                row = {"name": f"{place}.{name}", "value": value.value, "unit": LINE[name].unit, "meaning": LINE[name].label}
                rows.append({**row, "source": value.source or "this study", "grade": value.grade or "A"})
        return rows

    @cached_property
    def donor(self) -> "tuple[VirtualPatient, Any]":
        """The median patient whose cells are plated, and what her cells make."""
        from tme_abm.laboratory.well import donor_host
        from tme_abm.patients.population import draw_patient

        patient = draw_patient(replace(self.population, at_median=True), self.seed, 0)
        return patient, donor_host(patient, self.settings, self.settings.fill())

    @property
    def pieces(self) -> tuple[str, int]:
        """A piece is a well and its twin."""
        _ = self.donor  # once, not in every thread
        return "wells", len(self._wells)

    def carry_out(self, index: int) -> list[dict[str, Any]]:
        """The row of a well."""
        return [self._row(self._wells[index])]

    @cached_property
    def _wells(self) -> "list[_Plan]":
        """Every well of the assay, in the order of the table."""
        from tme_abm.patients.population import draw_patient

        sweep, plans = self.form.sweep, []
        for key, condition in self.form.conditions.items():
            line = {name: value.value for name, value in (self.form.line | condition.line).items()}
            cells = self.form.cells | condition.cells
            for x in sweep.values:
                drugs, own_line, own_cells = dict(condition.drugs), dict(line), dict(cells)
                if sweep.over == "concentration":
                    drugs |= {name: x for name in drugs if self.drugs[name].drug_class == "antibody"}
                elif sweep.over in LINE:
                    own_line[sweep.over] = x
                else:
                    own_cells[sweep.over] = int(x)
                plans += [_Plan(key, x, None, replicate, own_cells, own_line, drugs) for replicate in range(self.form.replicates)]
            if self.form.samples is not None and self.samples_from is not None:
                for index in range(self.form.samples.patients):
                    patient = draw_patient(self.samples_from, self.seed, index)
                    own = {
                        "cd38_sites": patient.cd38_sites,
                        "cd38_spread": patient.cd38_spread,
                        "complement_inhibitor_level": patient.complement_inhibitor_level,
                    }
                    own = line | own | {"tp53_mutated": float(patient.tp53_mutated)}
                    x = own.get(sweep.over, float("nan"))
                    plans.append(_Plan(key, x, index, index, dict(cells), own, dict(condition.drugs)))
        return plans

    def _row(self, plan: "_Plan") -> dict[str, Any]:
        from tme_abm.laboratory.well import Well, incubate
        from tme_abm.simulation.simulation import make_patient_key

        condition = self.form.conditions[plan.condition]
        donor, host = self.donor
        without = frozenset(condition.without)
        well = Well(plan.cells, self.hours, plan.line, plan.drugs, without, self.form.growing)
        key = make_patient_key(self.seed, plan.replicate)
        treated = incubate(donor, host, self.settings, well, key, self.drugs)
        untreated = treated
        if any(plan.drugs.values()):
            twin = replace(well, drugs=dict.fromkeys(well.drugs, 0.0))
            untreated = incubate(donor, host, self.settings, twin, key, self.drugs)
        return {
            "condition": plan.condition,
            "panel": condition.panel,
            "label": condition.label,
            "is_sample": plan.sample is not None,
            "sample": -1 if plan.sample is None else plan.sample,
            SWEEPS[self.form.sweep.over].column: plan.x,
            "replicate": plan.replicate,
            "cd38_line_sites_per_cell": plan.line.get("cd38_sites", donor.cd38_sites),
            **readouts(well, treated, untreated),
        }

    def summarise(self, table: "pd.DataFrame") -> dict[str, Any]:
        """Start, end, half and rank correlation of every curve, and the positive samples."""
        curves = {f"{c.key}.{c.readout}": c.numbers() for c in self.curves(table)}
        return {"curves": curves, "samples": [count._asdict() for count in self.positives(table)]}

    def curves(self, table: "pd.DataFrame") -> "list[Curve]":
        """A curve for each condition and readout: means and intervals along the sweep."""
        swept = table[~table["is_sample"]]
        found = []
        for readout in self.form.readouts:
            for key, condition in self.form.conditions.items():
                own = swept[swept["condition"] == key]
                swept_column = own[SWEEPS[self.form.sweep.over].column]
                values = own[READOUTS[readout].column]
                points = [(x, estimates.mean(values[swept_column == x])) for x in self.form.sweep.values]
                found.append(Curve(key, condition.panel, condition.label, readout, self.form.sweep, tuple(points)))
        return found

    def positives(self, table: "pd.DataFrame") -> "list[Positives]":
        """Of each condition and readout, how many samples reach the threshold of the scenario."""
        given = self.form.samples
        if given is None:
            return []
        found = []
        for curve in self.curves(table):
            own = table[table["is_sample"] & (table["condition"] == curve.key)]
            threshold = given.positive_from / 100.0 * max(curve.y)
            reached = 0 if curve.is_flat else int((own[READOUTS[curve.readout].column] >= threshold).sum())
            found.append(Positives(curve.key, curve.panel, curve.label, curve.readout, reached, len(own), threshold))
        return found

    def findings(self, table: "pd.DataFrame") -> list[str]:
        """A sentence for each curve, the order of the halves, and the samples."""
        curves = self.curves(table)
        sentences = [curve.sentence() for curve in curves]
        for readout in self.form.readouts:
            for panel in dict.fromkeys(c.panel for c in curves):
                own = [c for c in curves if c.readout == readout and c.panel == panel and c.half == c.half]
                if len(own) > 2:
                    own.sort(key=lambda c: c.half)
                    steps = estimates.listed([f"{c.label} ({estimates.words(c.half, c.sweep.unit)})" for c in own])
                    sentences.append(f"{panel + ': ' if panel else ''}half of the greatest effect is reached first by {steps}.")
        given = self.form.samples
        for count in self.positives(table):
            share, name = 100.0 * count.positive / max(count.n, 1), f"{count.panel}, {count.label}" if count.panel else count.label
            at_least = f"{READOUTS[count.readout].words} of at least {given.positive_from if given else 0.0:g} % of the greatest"
            sentences.append(f"{name}: {count.positive} of {count.n} patients' samples ({share:.0f} %) show {at_least}.")
        return sentences

    def draw(self, table: "pd.DataFrame") -> dict[str, Drawing]:
        """The curves, a panel for each panel of the scenario and readout, with the patients' samples as dots."""
        from tme_abm.laboratory.plots import sweep_figure

        figure = sweep_figure(self.curves(table), table[table["is_sample"]])
        caption = f"Mean of {self.form.replicates} wells and its 95 % interval after {self.form.duration}."
        if self.form.samples is not None:
            caption += " Dots: plasma cells of single patients."
        return {self.name: Drawing(figure, caption)}


@dataclass(frozen=True)
class _Plan:
    """One well to be run."""

    condition: str
    x: float
    sample: int | None
    replicate: int
    cells: Mapping[str, int]
    line: Mapping[str, float]
    drugs: Mapping[str, float]


def readouts(well: "Well", treated: "Outcome", untreated: "Outcome") -> dict[str, float]:
    """What is read off a well beside its twin without drug, by column.

    Specific lysis is 100 (dead - spontaneously dead) / (1 - spontaneously dead).
    """
    spontaneous = untreated.dead
    lysis = (treated.dead - spontaneous) / (1.0 - spontaneous) if spontaneous < 1.0 else 0.0
    nk = max(int(well.cells.get("nk", 0)), 1)
    values = {
        "specific_lysis": 100.0 * lysis,
        "dead": 100.0 * treated.dead,
        "adenosine_made": 100.0 * (treated.adenosine_made / untreated.adenosine_made),
        "adenosine": 100.0 * (treated.adenosine / untreated.adenosine),
        "surface_cd38": treated.cd38_sites,
        "nk_left": 100.0 * treated.nk_cells_end / nk,
        **{f"dead_by_{cause}": 100.0 * treated.dead_by(cause) for cause in CAUSES},
    }
    return {READOUTS[name].column: value for name, value in values.items()}


def _said(line: Mapping[str, Value]) -> list[str]:
    """The quantities of a line in words."""
    units = {name: "" if LINE[name].unit in ("1", "-") else f" {LINE[name].unit}" for name in line}
    return [f"{LINE[name].words} {value.value:g}{units[name]}" for name, value in line.items()]


def build(form: Form, source: Source) -> Assay:
    """The assay that a scenario describes.

    Raises:
        InputError: One sentence with the place, what is wrong and the nearest right word.
    """
    settings = make_settings(form.marrow, form.without, form.parameters, source)
    places: dict[str, Keys] = {}
    for key, condition in form.conditions.items():
        base: Keys = ("conditions", key)
        if not ARM_KEY.fullmatch(key):
            raise source.error(base, f"'{key}' is no key of a condition; write it with small letters, digits, - and _")
        check_mechanisms(condition.without, (*base, "without"), source)
        check_cells(condition.cells, (*base, "cells"), source)
        check_line(condition.line, (*base, "line"), source)
        if form.sweep.over != "plasma" and not (form.cells | condition.cells).get("plasma"):
            raise source.error(base, f"the wells of {dotted(base)} hold no plasma cells; write plasma = 400 under [cells]")
        for name, level in condition.drugs.items():
            places.setdefault(name, (*base, "drugs", name))
            if level < 0.0:
                raise source.error((*base, "drugs", name), f"{dotted((*base, 'drugs', name))} must not be negative, got {level:g}")
    check_cells(form.cells, ("cells",), source)
    check_line(form.line, ("line",), source)
    drugs = load_drugs(places, form.drugs, source)
    for key, condition in form.conditions.items():
        for name, level in condition.drugs.items():
            if drugs[name].drug_class != "antibody" and level > 1.0:
                text = f"the level of {name}, a small molecule, is the engaged fraction of its target, at most 1, not {level:g}"
                raise source.error(("conditions", key, "drugs", name), text)
    _check_sweep(form, source)
    for i, name in enumerate(form.readouts):
        if name not in READOUTS:
            raise source.error(("readouts", i), f"unknown readout '{name}'{did_you_mean(name, READOUTS)}")
    total_hours = hours(form.duration, ("duration",), source)
    if abs(total_hours / settings.step_h % 1.0) > 1e-9:
        raise source.error(("duration",), f'duration "{form.duration}" is no whole number of steps of "{form.marrow.step}"')
    samples_from = None
    if form.samples is not None:
        from tme_abm.patients.reading import load_population

        try:
            samples_from = load_population(form.samples.population)
        except InputError as error:
            raise source.error(("samples", "population"), str(error)) from None
    return Assay(
        name=source.name,
        title=form.title,
        summary=form.summary,
        seed=form.seed,
        population=make_population(form.population, source),
        settings=settings,
        drugs=drugs,
        resolved=as_resolved(form, source),
        form=form,
        hours=total_hours,
        samples_from=samples_from,
    )


def _check_sweep(form: Form, source: Source) -> None:
    sweep = form.sweep
    if sweep.over not in SWEEPS:
        raise source.error(("sweep", "over"), f"unknown quantity '{sweep.over}' to sweep over{did_you_mean(sweep.over, SWEEPS)}")
    if sweep.unit != SWEEPS[sweep.over].unit:
        raise source.error(("sweep", "unit"), f"the unit of {sweep.over} must be '{SWEEPS[sweep.over].unit}', not '{sweep.unit}'")
    if any(later <= earlier for earlier, later in zip(sweep.values, sweep.values[1:], strict=False)):
        raise source.error(("sweep", "values"), "sweep.values must rise")
    least = 1.0 if sweep.over == "plasma" else 0.0
    if sweep.values[0] < least:
        raise source.error(("sweep", "values"), f"sweep.values must be at least {least:g}, got {sweep.values[0]:g}")
    if sweep.over in CELLS and any(value % 1.0 for value in sweep.values):
        raise source.error(("sweep", "values"), f"sweep.values are numbers of {sweep.over} cells, so whole numbers")
    if sweep.over in LINE:
        for value in sweep.values:
            check_line({sweep.over: Value(value=value)}, ("sweep", "values"), source)


def check_cells(cells: Mapping[str, int], path: Keys, source: Source) -> None:
    """Refuse a type of cell that does not exist, and negative numbers."""
    for name, n in cells.items():
        if name not in CELLS:
            raise source.error((*path, name), f"unknown type of cell '{name}' in {dotted(path)}{did_you_mean(name, CELLS)}")
        if n < 0:
            raise source.error((*path, name), f"{dotted((*path, name))} must be at least 0, got {n}")


def check_line(line: Mapping[str, Value], path: Keys, source: Source) -> None:
    """Refuse a quantity that a line does not have, a wrong unit, and a value that no plasma cell can have."""
    from tme_abm.foundation.declare import GRADES
    from tme_abm.patients.patient import check

    for name, entry in line.items():
        at: Keys = (*path, name) if path[-1] != "values" else path
        if name not in LINE:
            raise source.error(at, f"unknown quantity '{name}' in {dotted(path)}{did_you_mean(name, LINE)}")
        if entry.unit is not None and entry.unit != LINE[name].unit:
            raise source.error(at, f"the unit of {name} must be '{LINE[name].unit}', not '{entry.unit}'")
        if entry.grade is not None and entry.grade not in GRADES:
            raise source.error(at, f"{dotted(at)}: unknown grade '{entry.grade}'{did_you_mean(entry.grade, GRADES)}")
        if name == "tp53_mutated":
            if entry.value not in (0.0, 1.0):
                raise source.error(at, f"{dotted(at)} is 1 where TP53 is mutated and 0 where not, got {entry.value:g}")
            continue
        try:
            check(name, entry.value, dotted(path))
        except InputError as error:
            raise source.error(at, str(error)) from None
