"""The page of each mechanism, from its declaration: words, equations, curve, parameters, evidence, what it touches, its switch."""

import re
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from docs_site import markdown as md
from docs_site import rules, sources, typesetting
from tme_abm import drawing
from tme_abm.cli.graph import acts, as_lines
from tme_abm.foundation.declare import Param, notes
from tme_abm.foundation.mechanism import Group, Mechanism
from tme_abm.marrow.quantities import quantities
from tme_abm.mechanisms import MECHANISMS
from tme_abm.mechanisms.equations import EQUATIONS
from tme_abm.pharmacology.drug import Drug, catalogue, load_drug
from tme_abm.scenario.kinds import load_trial
from tme_abm.scenario.reading import scenarios

EVIDENCE = Path(__file__).parents[1] / "docs" / "evidence.md"
PLACE = "catalogue/mechanisms"


@cache
def drugs() -> tuple[Drug, ...]:
    """The drugs of the package."""
    return tuple(load_drug(name) for name in catalogue())


def acting(mechanism: str) -> list[Drug]:
    """The drugs that act by a mechanism."""
    return [drug for drug in drugs() if mechanism in drug.effects]


def traces(m: Mechanism) -> list[tuple[str, np.ndarray, list[float]]]:
    """The curves of a mechanism: label, where on the axis, value; a line for each drug that acts by it."""
    curve, found = rules.CURVES[m.name], []
    constants = {name.lower(): getattr(rules.room(m.name), name) for name in vars(rules.room(m.name)).get("__annotations__", {})}
    blocks: list[tuple[str, Any]] = [(d.name, d.effects[m.name].params) for d in acting(m.name)] if m.by_drug else []
    for label, block in blocks or [("", rules.block(m.name, rules.Values()))]:
        for line, values in curve.lines.items():
            v = rules.Values(**{**rules.NEUTRAL, **constants, **block._asdict(), **values})
            ys = curve.of(curve.at, v) if curve.whole else [curve.of(float(x), v) for x in curve.at]
            found.append((", ".join(filter(None, (label, line))), curve.at, [float(y) for y in ys]))
    return merged(found)


def merged(found: Sequence[tuple[str, np.ndarray, list[float]]]) -> list[tuple[str, np.ndarray, list[float]]]:
    """Lines that lie on each other as one, with both names."""
    kept: list[tuple[str, np.ndarray, list[float]]] = []
    for label, xs, ys in found:
        same = next((i for i, (_, _, other) in enumerate(kept) if np.allclose(ys, other, rtol=1e-9)), None)
        if same is None:
            kept.append((label, xs, ys))
        else:
            kept[same] = (f"{kept[same][0]}; {label}", xs, kept[same][2])
    return kept


@drawing.styled
def picture(m: Mechanism) -> Any:
    """The figure of a mechanism."""
    figure = drawing.empty_figure(7.6, 4.4)
    axes = figure.add_subplot()
    if m.name not in rules.CURVES and m.name != "turnover":
        return None
    if m.name == "turnover":
        lives = rules.half_lives()
        axes.barh(list(lives), list(lives.values()), color=drawing.BLUE)
        axes.invert_yaxis()
        axes.set(xscale="log", xlabel="half-life in the marrow [d]")
        return figure
    curve = rules.CURVES[m.name]
    for i, (label, xs, ys) in enumerate(traces(m)):
        axes.plot(xs, ys, color=drawing.ARM_COLOURS[i % len(drawing.ARM_COLOURS)], label=label)
    axes.set(xlabel=curve.x, ylabel=textwrap.fill(curve.y, 34))
    if curve.is_log:
        axes.set_xscale("log")
    axes.set_ylim(bottom=0.0)
    if any(label for label, _, _ in traces(m)):
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def described(m: Mechanism) -> str:
    """What the file of a mechanism says above its code, without the first line and the equations, which the page typesets."""
    text = str(rules.room(m.name).__doc__)
    paragraphs = re.split(r"\n\s*\n", text.strip())
    kept = [" ".join(p.split()) for p in paragraphs if not all(line.startswith("    ") for line in p.splitlines())]
    return "\n\n".join(kept)


def evidence() -> list[list[str]]:
    """The rows of docs/evidence.md, a list of cells each; those of a statement's further tests carry its id."""
    rows, last = [], [""] * 7
    for line in EVIDENCE.read_text(encoding="utf-8").splitlines():
        cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) < 6 or (set(cells[0]) <= set("- ") and cells[0]) or cells[1] == "statement":
            continue
        if cells[0]:
            last = cells
        rows.append([last[0], last[1], *cells[2:]])
    return rows


def bearing_on(m: Mechanism) -> list[list[str]]:
    """The statements that bear on a mechanism: id, words, what its test is worth (built in, emergent), verdicts."""
    found: dict[str, list[str]] = {}
    for row in evidence():
        if row[0] in EVIDENCE_OF.get(m.name, ()):
            told = found.setdefault(row[0], [row[0], row[1], row[3], row[-1]])
            for place, text in ((2, row[3]), (3, row[-1])):
                if text not in told[place]:
                    told[place] += f"; {text}"
    return list(found.values())


# Which statements of docs/evidence.md bear on which mechanism, by their ids; () where none was collected.
EVIDENCE_OF: dict[str, tuple[str, ...]] = {
    "binding": ("S11", "S12", "S20"),
    "trogocytosis": ("X16",),
    "antigen_loss": ("X16",),
    "ectoenzyme": ("S18", "S20", "S28", "S30", "S38", "X9", "X10", "X14"),
    "adhesion": ("S14", "S33", "S34", "S35", "X15"),
    "niche_release": ("S14", "S33", "S34", "S35", "S38"),
    "nk_activation": ("S7", "S10", "S27"),
    "imid": ("S4", "S5", "S6", "S10", "S23", "S24", "S31"),
    "proteasome": ("S33", "S34", "S35", "S36", "S37", "S38", "S39"),
    "glucocorticoid": ("S35",),
    "fc_receptors": (),
    "adenosine": ("S15", "S17", "S18", "S20", "S28", "X9"),
    "interleukin6": ("S6",),
    "chemokine": (),
    "exhaustion": ("S4",),
    "suppression": ("S17", "S26b", "S29"),
    "motility": ("S14",),
    "growth": ("S6",),
    "turnover": ("S27",),
    "t_cell_killing": ("S17", "S29"),
    "t_cell_recovery": ("S26", "S26b", "S29"),
    "adcc": ("S7", "S10", "S12", "S13", "S17", "X7", "X15"),
    "adcp": ("S12", "S13"),
    "cdc": ("S12", "S13", "S30", "X7", "X15"),
    "direct_killing": ("S12", "S19", "S21", "S22", "S24", "S30", "X6", "X11"),
    "depletion": ("S11", "S25", "S26b", "X8"),
    "recruitment": ("S4", "S27"),
}


def page(m: Mechanism) -> str:
    """The page of a mechanism."""
    known = quantities()
    lines = [f"# {m.label}", "", f"*{m.summary}*", "", f"Italian: **{m.words('it').label}**. {m.words('it').summary}", ""]
    lines += [described(m), "", "## Equations", ""]
    explained: dict[str, str] = {}
    for equation in EQUATIONS[m.name]:
        lines += [f'<div class="equation">{typesetting.mathml(typesetting.latex(equation))}</div>', ""]
        for name in typesetting.names(equation.equals):
            explained.setdefault(name, equation.where.get(name, ""))
    declared = notes(m.Params)
    variables = [name for name, meaning in explained.items() if name not in declared and meaning]
    if variables:
        rows = []
        for name in variables:
            unit, _, meaning = explained[name].partition("] ")
            rows.append((typesetting.mathml(typesetting.symbol(name), False), name.replace("_", " "), unit.removeprefix("["), meaning))
        lines += ["| symbol | | unit | meaning |", "| --- | --- | --- | --- |"]
        lines += [f"| {a} | {md.cell(b)} | {md.cell(c)} | {d} |" for a, b, c, d in rows] + [""]
    if m.name in rules.CURVES or m.name == "turnover":
        lines += ["## Its rule, drawn from the code", "", md.figure(f"{m.name}.svg", f"{m.label}: the rule as the code has it"), ""]
    if m.by_drug and m.name in rules.CURVES:
        lines += ["A line for each drug that acts by it, with that drug's numbers.", ""]
    lines += ["## Parameters", "", parameters(m), ""]
    found = bearing_on(m)
    if found:
        lines += [
            "## Evidence\n\nStatements of [the evidence](../../evidence.md) that bear on it, with what their tests are worth and say."
        ]
        lines += ["Built in: a rule or a number says it, so that it holds tells only that the rule arrives.\n"]
        lines += ["| | statement | worth | verdict |", "| --- | --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in found), ""]
    lines += ["## What it touches", "", f"It acts: {' and '.join(act.when for act in acts(m))}."]
    if m.causes:
        lines += ["", f"Deaths by it are counted as {', '.join(md.code(c.lower()) for c in m.causes)}."]
    lines += ["", "| | quantity | unit | meaning |", "| --- | --- | --- | --- |"]
    for how, names in (("reads", m.reads), ("writes", m.writes)):
        for name in names:
            q = known[name]
            lines.append(f"| {how} | `{name}` | {md.cell(q.unit)} | {md.cell(q.meaning)} |")
    needs = as_lines(MECHANISMS, {m.name})
    if needs:
        lines += ["", "Within a step: " + md.cell("; ".join(needs)) + "."]
    lines += ["", "## Switched off", "", f"```sh\ntme run icaria --without {m.name}\n```", "", left(m)]
    if command := setting(m):
        lines += ["", "## Another number", "", f"```sh\n{command}\n```"]
    return "\n".join(lines) + "\n"


def setting(m: Mechanism) -> str:
    """A command that runs a bundled scenario with another value of the first number of a mechanism; "" where it has none."""
    for name, note in notes(m.Params).items():
        path, scenario, now = f"parameters.{m.name}.{name}", "icaria", getattr(m.Params, "_field_defaults", {}).get(name)
        if m.by_drug:
            drug, scenario = first_given(m.name)
            path, now = f"drugs.{drug}.{m.name}.{name}", getattr(load_drug(drug).effects[m.name].params, name)
        value = md.number(2.0 * float(now) if 2.0 * float(now) <= note.high else 0.5 * float(now))
        unit = "" if note.unit == "1" else f" {note.unit}"
        return f'tme run {scenario} --set "{path}={value}{unit}"'
    return ""


@cache
def first_given(mechanism: str) -> tuple[str, str]:
    """A drug that acts by a mechanism, and the first bundled trial whose arms give it."""
    acting_ = [drug.name for drug in acting(mechanism)]
    for scenario in ("icaria", "ikema", *scenarios("trial")):
        for drug in load_trial(scenario).drugs:
            if drug in acting_:
                return drug, scenario
    raise LookupError(mechanism)


def left(m: Mechanism) -> str:
    """What is left of it when it is off."""
    if isinstance(m.rest, tuple):
        names = [md.code(name) for name in m.rest]
        return (
            f"What it has made goes back to rest: {', '.join(names)}." if names else "Nothing of it is left: what it writes lasts a step."
        )
    return f"A rule of its own runs instead, in its file: {', '.join(m.rest)}."


def parameters(m: Mechanism) -> str:
    """The table of its parameters, and of the constants of its file."""
    defaults = getattr(m.Params, "_field_defaults", {})
    said = {name for equation in EQUATIONS[m.name] for name in typesetting.names(equation.equals)}
    rows: list[Sequence[Any]] = []
    for name, note in notes(m.Params).items():
        values = {d.name: getattr(d.effects[m.name].params, name) for d in acting(m.name)} if m.by_drug else {}
        default = defaults.get(name)
        other = [f"{drug} {md.number(value)}" for drug, value in values.items() if value != default]
        value = "by drug" if default is None else md.number(float(default))
        sign = typesetting.mathml(typesetting.symbol(name), False) if name in said else ""
        rows.append((md.code(name), sign, value, "; ".join(other), note.unit, note.meaning, note.source, note.grade))
    for name, hint in vars(rules.room(m.name)).get("__annotations__", {}).items():
        note = next((n for n in getattr(hint, "__metadata__", ()) if isinstance(n, Param)), None)
        if note is not None:
            value = md.number(float(getattr(rules.room(m.name), name)))
            sign = typesetting.mathml(typesetting.symbol(name.lower()), False) if name.lower() in said else ""
            rows.append((md.code(name.lower()), sign, value, "constant", note.unit, note.meaning, note.source, note.grade))
    if not rows:
        return "None of its own: they belong to the patient, the cell type or the drug."
    head = ("name", "symbol", "value", "drugs with their own", "unit", "meaning", "source", "grade")
    told = md.table(head, rows)
    return f"{told}\n\n{sources.cited([row[6] for row in rows])}"


def index() -> str:
    """The page that lists them, in the order in which they act."""
    lines = ["# Mechanisms", "", "In the order in which they act within a phase of the step. Each can be switched off by itself.", ""]
    for group in Group:
        lines += [f"## {group.label('en')} ({group.label('it')})", "", "| mechanism | what happens | when |", "| --- | --- | --- |"]
        for m in (m for m in MECHANISMS if m.group is group):
            when = " and ".join(act.when for act in acts(m)) + (", under a drug" if m.by_drug else "")
            lines.append(f"| [{m.label}]({m.name}.md) | {md.cell(m.summary)} | {when} |")
        lines += [""]
    return "\n".join([*lines, "## Who depends on whom", "", md.figure("graph.svg", "the graph of mechanisms and quantities")]) + "\n"


def made() -> dict[str, str | bytes]:
    """All pages and figures of mechanisms, by their places."""
    from tme_abm.cli.graph import as_svg

    found: dict[str, str | bytes] = {f"{PLACE}/index.md": index(), f"{PLACE}/graph.svg": as_svg(MECHANISMS)}
    for m in MECHANISMS:
        found[f"{PLACE}/{m.name}.md"] = page(m)
        if (figure := picture(m)) is not None:
            found[f"{PLACE}/{m.name}.svg"] = drawing.rendered(figure)
    return found
