"""The page of each drug: how it is given, its half-life worked out, its kinetics beside published exposure, its numbers, how it acts."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from docs_site import markdown as md
from docs_site import sources
from docs_site.mechanisms import drugs
from docs_site.scenarios import arms
from tme_abm import drawing
from tme_abm.foundation.clock import HOURS_PER_DAY
from tme_abm.mechanisms import MECHANISMS
from tme_abm.patients.population import draw_patient
from tme_abm.patients.reading import load_population
from tme_abm.pharmacology.body import Body
from tme_abm.pharmacology.course import Course
from tme_abm.pharmacology.drug import Drug
from tme_abm.pharmacology.half_life import half_life, in_words
from tme_abm.pharmacology.regimen import Dose, Regimen, parse_dose
from tme_abm.pharmacology.words import regimen_in_words
from tme_abm.simulation.treatment import physique

PLACE = "catalogue/drugs"
PUBLISHED = Path(__file__).with_name("exposure.toml")
WEEK = 7 * HOURS_PER_DAY
FINE = 0.05  # [h] step in which peaks are looked for


@cache
def typical() -> Body:
    """The typical patient, as pharmacokinetics know her."""
    return physique(draw_patient(load_population("typical"), 1, 0))


def alone(drug: Drug) -> list[tuple[str, str, Regimen]]:
    """The drug's own lines of all arms that give it, each schedule once: scenario, label of the arm, the drug's part of it."""
    found: list[tuple[str, str, Regimen]] = []
    for scenario, arm in arms():
        lines = tuple(dose for dose in arm.doses if dose.drug == drug.name)
        if lines and all(lines != other.doses for _, _, other in found):
            part = Regimen(arm.key, arm.label, arm.cycle_days, lines, arm.stop_day, arm.first_cycles)
            found.append((scenario, arm.label, part))
    return found


def course(drug: Drug, regimen: Regimen, disease: float | None = None) -> Course:
    """A course of the drug alone in the typical patient, whose disease is as at the start, or another share of it."""
    found = Course(regimen, [drug], typical(), 1, is_varied=False)
    if disease is not None:
        found.change_body(disease=disease, m_protein_g_per_l=typical().m_protein_g_per_l * disease)
    return found


def follows_disease(drug: Drug) -> bool:
    """Whether its kinetics change with the disease."""
    return bool(getattr(drug, "follows_disease", False)) and "disease" in Body._fields


@drawing.styled
def picture(drug: Drug) -> Any:
    """Concentration, and the effect of a small molecule, over the first weeks, with what was published."""
    figure = drawing.empty_figure(7.6, 4.2)
    given = alone(drug)
    if not given:
        return None
    regimen = given[0][2]
    weeks = 40 if drug.model == "antibody" else 4
    dt = 6.0 if drug.model == "antibody" else 0.25
    n = round(weeks * WEEK / dt)
    days = (np.arange(n) + 0.5) * dt / HOURS_PER_DAY
    axes = figure.add_subplot()
    cases = [("typical patient, the disease stays", None)]
    if follows_disease(drug):
        cases.append(("typical patient, the disease gone from the start", 0.0))
    for i, (label, disease) in enumerate(cases):
        seen = course(drug, regimen, disease).advance(n, dt)
        axes.plot(
            days, seen.concentration[:, 0], color=drawing.ARM_COLOURS[i], lw=1.2, label=label if len(cases) > 1 else "typical patient"
        )
    for row in published(drug):
        if row["what"] in ("peak", "trough"):
            at = row.get("late", 0) * 7 or 0.5
            axes.plot([at], [row["value"]], "o", color=drawing.BLACK, label=f"published {row['what']}: {row['who']}")
    axes.set(xlabel="day", ylabel="concentration in plasma [ug/mL]")
    axes.set_ylim(bottom=0.0)
    if drug.model != "antibody":
        other = axes.twinx()
        other.plot(days, course(drug, regimen).advance(n, dt).effect[:, 0], color=drawing.VERMILLION, lw=1.2)
        other.set_ylabel("engagement of the target [1]", color=drawing.VERMILLION)
        other.set_ylim(0.0, 1.0)
    figure.legend(loc="outside lower center", fontsize=9)
    return figure


@cache
def _rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))["row"]
    return found


def published(drug: Drug) -> list[dict[str, Any]]:
    """What was published of the exposure to a drug."""
    return [row for row in _rows() if row["drug"] == drug.name]


def simulated(drug: Drug, row: dict[str, Any], disease: float | None = None) -> float:
    """The same in the typical patient."""
    if "dose" in row:
        amount, unit = parse_dose(row["dose"])
        regimen = Regimen("once", "once", 28, (Dose(drug.name, amount, unit, (1,), 1, 1),))
    else:
        regimen = alone(drug)[0][2]
    hours, dt = (336.0, 1.0) if "late" in row else (row.get("hours", 24.0), FINE)
    at = course(drug, regimen, disease)
    if "late" in row:
        at.advance(round(row["late"] * WEEK), 1.0)
    seen = at.advance(round(hours / dt), dt).concentration[:, 0]
    return float({"peak": seen.max(), "trough": seen[-1], "area": seen.sum() * dt}[row["what"]])


def page(drug: Drug) -> str:
    """The page of a drug."""
    kind = drug.drug_class.replace("_", " ") + (f" on {drug.antigen}" if drug.antigen else "")
    comment = [line.removeprefix("#").strip() for line in drug.file.read_text(encoding="utf-8").split("[drug]")[0].splitlines()]
    lines = [f"# {drug.name.capitalize()}", "", f"*{kind}, {drug.route}; in regimens **{drug.label}***", "", " ".join(comment), ""]
    lines += ["## As it is given", "", "Doses of the bundled studies, which give it as its trials or its label do.", ""]
    for scenario, label, regimen in alone(drug):
        words = "; ".join(md.cell(sentence) for sentence in regimen_in_words(regimen))
        lines.append(f"- {label} in [{scenario}](site:catalogue/scenarios/{scenario}.md): {words}")
    lines += ["", "## Half-life, worked out", "", *worked_out(drug), "", "## Kinetics", ""]
    if alone(drug):
        lines += [md.figure(f"{drug.name}.svg", f"{drug.name} in the typical patient, the drug alone"), ""]
    rows = []
    for row in published(drug):
        cases = [simulated(drug, row), *([simulated(drug, row, 0.0)] if follows_disease(drug) else [])]
        rows.append(
            (
                row["what"],
                row["who"],
                row["value"],
                " to ".join(f"{float(f'{case:.3g}'):,g}" for case in cases),
                row["unit"],
                row["source"],
                row["grade"],
            )
        )
    if rows:
        lines += [
            "Published exposure, and the typical patient's"
            + (", from a disease that stays to one that is gone" if follows_disease(drug) else "")
            + ":",
            "",
        ]
        lines += [md.table(("what", "of whom", "published", "typical patient", "unit", "source", "grade"), rows), ""]
    else:
        lines += ["No published exposure is collected for this drug.", ""]
    lines += ["## How it acts", ""]
    names = {m.name: m for m in MECHANISMS}
    lines += [f"- [{names[name].label}](site:catalogue/mechanisms/{name}.md): {md.cell(names[name].summary)}" for name in drug.effects]
    lines += ["", "## Its numbers", ""]
    rows = [(md.code(place), md.number(o.value), o.unit, o.meaning, o.source, o.grade) for place, o in drug.origins().items()]
    lines += [md.table(("place in its file", "value", "unit", "meaning", "source", "grade"), rows), ""]
    return "\n".join([*lines, sources.cited([str(row[4]) for row in rows])]) + "\n"


def worked_out(drug: Drug) -> list[str]:
    """The half-lives from clearance and volumes, with the arithmetic."""
    p = (
        course(drug, alone(drug)[0][2] if alone(drug) else Regimen("none", "none", 28)).kinetics(drug.name)
        if alone(drug)
        else drug.kinetics.params
    )
    h = half_life(p)
    out = f"k10 = CL / Vc = {p.clearance:.4g} / {p.central_volume:.4g} = {h.out:.4g} 1/h"
    if p.intercompartmental_clearance <= 0.0:
        return [f"One compartment, in the typical patient: {out}; half-life ln 2 / k10 = **{in_words(h.slow)}**."]
    over = f"k12 = Q / Vc = {p.intercompartmental_clearance:.4g} / {p.central_volume:.4g} = {h.over:.4g} 1/h"
    back = f"k21 = Q / Vp = {p.intercompartmental_clearance:.4g} / {p.peripheral_volume:.4g} = {h.back:.4g} 1/h"
    told = [
        f"Two compartments, in the typical patient at the first dose, linear path alone: {out}; {over}; {back}.",
        "",
        "The rates of decline are the roots of s² - (k10 + k12 + k21) s + k10 k21 = 0, so the half-lives are "
        f"**{in_words(h.fast)}** at first and **{in_words(h.slow)}** in the end.",
    ]
    if drug.model == "antibody":
        told += ["", "Saturable elimination, and clearance that changes under treatment, shorten or lengthen it."]
    else:
        told += ["", f"The target outlasts the drug: without drug it recovers with a half-life of {p.recovery_half_life:g} h."]
    return told


def made() -> dict[str, str | bytes]:
    """All pages and figures of drugs, by their places."""
    rows = [
        (f"[{d.name}]({d.name}.md)", d.label, d.drug_class.replace("_", " "), d.antigen or "-", d.route, ", ".join(d.effects))
        for d in drugs()
    ]
    head = ("drug", "short", "class", "antigen", "route", "acts by")
    found: dict[str, str | bytes] = {f"{PLACE}/index.md": f"# Drugs\n\nEach is one TOML file and no code.\n\n{md.table(head, rows)}\n"}
    for drug in drugs():
        found[f"{PLACE}/{drug.name}.md"] = page(drug)
        figure = picture(drug)
        if figure is not None:
            found[f"{PLACE}/{drug.name}.svg"] = drawing.rendered(figure)
    return found
