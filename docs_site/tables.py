"""The tables of hand-written pages that follow from the code: they stand in docs/ between two marks, and a test holds them up to date.

`python -m docs_site` writes them.
"""

import ast
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from docs_site import markdown as md
from docs_site import seminar
from tme_abm.cli.graph import acts
from tme_abm.foundation.declare import Column, Param, notes
from tme_abm.foundation.mechanism import Group, Phase
from tme_abm.foundation.rng import Stream
from tme_abm.marrow.cell_types import records
from tme_abm.marrow.cells import Cells
from tme_abm.marrow.clones import Clones
from tme_abm.marrow.lattice import SITE_UM, Lattice
from tme_abm.marrow.state import Body, Contacts, Drugs, Fields, Gauge
from tme_abm.mechanisms import MECHANISMS, step
from tme_abm.outcomes import imwg
from tme_abm.patients.patient import TRAITS
from tme_abm.pharmacology.body import Body as Physique
from tme_abm.simulation.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"
MARKED = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)
HEAD = ("name", "unit", "meaning")


def columns(block: type) -> list[Sequence[Any]]:
    """Members of a declared block, with unit and meaning."""
    return [(md.code(name), note.unit, note.meaning) for name, note in notes(block).items() if isinstance(note, Column | Param)]


def cells() -> str:
    """State of a cell."""
    return md.table(HEAD, columns(Cells))


def cell_types() -> str:
    """The types of cells, what they are and how many a patient has."""
    rows = []
    for kind, record in records().items():
        amount = record.amount if isinstance(record.amount, str) else f"{record.amount.value:g}, alike in all"
        rows.append((md.code(kind.name), record.english, ", ".join(record.properties) or "-", f"{amount} of {record.of.replace('_', ' ')}"))
    return md.table(("type", "in words", "is", "how many"), rows)


def surroundings() -> str:
    """State of a site beside its cell."""
    niche = [row for row in columns(Lattice) if row[0] == md.code("niche")]
    rows = [("field", *row) for row in columns(Fields)] + [("contact", *row) for row in columns(Contacts)]
    return md.table(("of", *HEAD), rows + [("lattice", *row) for row in niche])


def clones() -> str:
    """State of a clone."""
    return md.table(HEAD, columns(Clones))


def whole() -> str:
    """State of the whole marrow: gauges, counters, drugs."""
    rows: list[Sequence[Any]] = [("gauge", md.code(g.name), g.unit, g.meaning) for g in Gauge]
    rows += [("body", *row) for row in columns(Body)] + [("drug", *row) for row in columns(Drugs)]
    return md.table(("of", *HEAD), rows)


def patient() -> str:
    """State of a patient."""
    return md.table(HEAD, [(md.code(name), trait.unit, trait.meaning) for name, trait in TRAITS.items()])


def scales() -> str:
    """Space, time and numbers as they are by default."""
    settings = Settings()
    side = settings.width * SITE_UM / 1000.0
    rows = [
        ("site", f"{SITE_UM:g} um a side, at most one cell"),
        ("patch", f"{settings.height} x {settings.width} sites, {side:.2f} mm a side, a torus; a study may choose another"),
        ("step", f"{settings.step_h:g} h; a study may choose another that divides a day"),
        ("fields", "in balance with their sources, solved once a day or when the sources have changed"),
        ("visit", "as the study says, 28 days as it stands"),
        ("horizon", "from eligibility to the cut-off of the study's follow-up, months to years"),
        ("clones", f"{len(_clone_names())}: each combination of three resistances"),
        ("patient", "one patch, and the burden of the whole marrow that it stands for"),
    ]
    return md.table(("scale", "what"), rows)


def _clone_names() -> tuple[str, ...]:
    from tme_abm.marrow.clones import CLONE_NAMES

    return CLONE_NAMES


def process() -> str:
    """The order of a step, from the step itself, with the mechanisms of each part of it."""
    tree = ast.parse(Path(step.__file__).read_text(encoding="utf-8"))
    found = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    calls = [line.value.func for line in found["step"].body if isinstance(line, ast.Expr) and isinstance(line.value, ast.Call)]
    order = [call.id for call in calls if isinstance(call, ast.Name)]
    by_phase = {f"prepare_{phase.name.lower()}": [m.name for m in MECHANISMS if m.phase is phase] for phase in Phase}
    by_phase |= {"add_ceilings": [], "add_hazards": [m.name for m in MECHANISMS if m.hazard is not None]}
    rows = []
    for i, name in enumerate(order, 1):
        inside = {node.id for node in ast.walk(found[name]) if isinstance(node, ast.Name)}
        who = [m for act, names in by_phase.items() if act in inside for m in names]
        rows.append((i, md.code(name), ast.get_docstring(found[name]) or "", ", ".join(who) or "-"))
    return md.table(("", "piece", "what happens", "mechanisms, in their order"), rows)


def submodels() -> str:
    """The mechanisms, with links to their pages."""
    rows = [(md.code(m.name), m.group.label("en"), m.summary, " and ".join(a.when for a in acts(m))) for m in MECHANISMS]
    return md.table(("mechanism", "group", "what it does", "when"), rows)


def chance() -> str:
    """The sources of chance, in words."""
    return ", ".join(stream.name.lower().replace("_", " ") for stream in Stream) + "."


def parameters() -> str:
    """Every number that holds for all patients and drugs."""
    rows = [(md.code(name), md.number(float(o.value)), o.unit, o.meaning, o.source, o.grade) for name, o in Settings().origins().items()]
    return md.table(("name", "value", "unit", "meaning", "source", "grade"), rows)


def physique() -> str:
    """What kinetics depend on."""
    return ", ".join(md.code(name) for name in Physique._fields) + "."


def glossary_mechanisms() -> str:
    """Mechanisms in both languages."""
    return md.table(
        ("English", "Italiano", "what it is"),
        [(m.label, m.words("it").label, m.summary) for group in Group for m in MECHANISMS if m.group is group],
    )


def glossary_cells() -> str:
    """Types of cells in both languages."""
    return md.table(("English", "Italiano", "short"), [(r.english, r.italian, r.agent) for r in records().values()])


def predictions() -> str:
    """Every predicted row of docs/calibration.md, with what each round's prediction gave and its verdict, in their order."""
    found, rounds = read_predictions((DOCS / "calibration.md").read_text(encoding="utf-8"))
    head = ("study", "who", "endpoint", "published", *rounds, "verdicts")
    rows = []
    for (study, who, endpoint, published), seen in found.items():
        told = [f"{seen[name][0]} {seen[name][1]}".strip() if name in seen else "" for name in rounds]
        passed = sum(verdict == "pass" for _, verdict in seen.values())
        rows.append((study, who, endpoint, published, *told, f"{passed} of {sum(bool(v) for _, v in seen.values())}"))
    return md.table(head, rows)


Row = tuple[str, str, str, str]


def read_predictions(text: str) -> tuple[dict[Row, dict[str, tuple[str, str]]], list[str]]:
    """Tables of predictions: row -> prediction -> (simulated, verdict), and the names of the predictions in their order.

    A table that follows another under the same words belongs to the same prediction. Tables of fitted rows are told by their words.
    """
    found: dict[Row, dict[str, tuple[str, str]]] = {}
    names: list[str] = []
    title, is_fitted, rows = "", False, False
    counts: dict[str, int] = {}
    for line in text.splitlines():
        if line.startswith("## "):
            title = line[3:].partition(":")[0]
        elif re.search(r"\bfitted:|\bWhat was fitted", line):
            is_fitted = True
        elif re.search(r"prediction", line, re.IGNORECASE) and not line.startswith("|"):
            is_fitted = False
        if line.startswith("|") and "verdict" in line and "published" in line:
            rows = True
            counts[title] = counts.get(title, 0) + (not is_fitted)
            continue
        if not line.startswith("|"):
            rows = False
            continue
        if not rows or is_fitted or line.startswith("| ---"):
            continue
        cells_ = [c.strip() for c in line.strip("|").split("|")]
        name = f"{title}, {counts[title]}" if counts[title] > 1 else title
        if name not in names:
            names.append(name)
        found.setdefault((cells_[0], cells_[1], cells_[2], cells_[3]), {})[name] = (cells_[4], cells_[-1])
    return found, names


def sensitivity() -> str:
    """The numbers at the head of each table of docs/sensitivity.md, with what they carry."""
    lines = (DOCS / "sensitivity.md").read_text(encoding="utf-8").splitlines()
    rows: list[Sequence[Any]] = []
    outcome, taken = "", 0
    for line in lines:
        if line.startswith("### "):
            outcome, taken = line[4:], 0
        elif line.startswith("| ") and outcome and "mu*" not in line and not line.startswith("| ---") and taken < 5:
            c = [x.strip() for x in line.strip("|").split("|")]
            rows.append((outcome, md.code(c[0]), c[1], f"{c[2]} to {c[3]}", c[4]))
            taken += 1
    return md.table(("conclusion", "number", "grade", "range", "size of its effect, mu*"), rows)


def unvaried() -> str:
    """What `icaria_conclusion` varies of each grade, and what it leaves as it is."""
    from tme_abm.analysis.sensitivity.inputs import find_inputs, not_varied
    from tme_abm.analysis.sensitivity.page import unvaried as told
    from tme_abm.cli.variation import loader
    from tme_abm.scenario.kinds import load_question
    from tme_abm.trial.provenance import describe_run

    given = load_question("sensitivity", "icaria_conclusion")
    study, inputs = find_inputs(given, loader(given))
    grades = [put.grade for put in inputs]
    varied = ", ".join(f"{grades.count(grade)} of grade {grade}" for grade in given.form.grades)
    rest = told(not_varied(study, given, inputs, describe_run(study)["parameters"]))
    return "\n".join([f"Varied: {len(inputs)} numbers, {varied}.", "", *rest])


def assumed() -> str:
    """How many numbers have which grade."""
    grades = [o.grade for o in Settings().origins().values()]
    grades += [note.grade for m in MECHANISMS if m.by_drug for note in notes(m.Params).values()]
    counts = {grade: grades.count(grade) for grade in dict.fromkeys(grades)}
    return md.table(("grade", "numbers of the rules"), sorted(counts.items(), key=lambda pair: -pair[1]))


def responses() -> str:
    """What each response takes, with the thresholds by which the model judges."""
    p = imwg.Params()

    def percent(share: float) -> str:
        return f"{100.0 * share:g} %"

    seen = f"electrophoresis (limit {p.electrophoresis_limit:g} g/L) and immunofixation (limit {p.immunofixation_limit:g} g/L)"
    by_marrow = f"; without a measurable M-protein that of plasma cells, if there were {percent(p.substitute_plasma_fraction)} or more"
    rows = (
        ("sCR", "stringent complete response", f"as CR, and clonal cells below {percent(p.stringent_plasma_fraction)} of that marrow"),
        (
            "CR",
            "complete response",
            f"{seen} show nothing, and a marrow taken then has below {percent(p.complete_plasma_fraction)} plasma cells",
        ),
        (
            "VGPR",
            "very good partial response",
            f"M-protein {percent(p.very_good_reduction)} below the baseline, or seen by immunofixation only",
        ),
        ("PR", "partial response", f"M-protein {percent(p.partial_reduction)} lower{by_marrow}"),
        ("MR", "minimal response", f"M-protein {percent(p.minimal_reduction)} lower"),
        ("SD", "stable disease", "none of the others"),
        (
            "PD",
            "progressive disease",
            f"M-protein {percent(p.progression_increase)} and {p.progression_m_protein:g} g/L above the lowest measured, the baseline "
            f"included (from {p.high_m_protein:g} g/L on, {p.high_progression_m_protein:g} g/L); without a measurable M-protein, "
            f"plasma cells {100.0 * p.progression_plasma_fraction:g} points above their lowest; or symptoms",
        ),
        ("NE", "not evaluable", "no visit after the baseline"),
    )
    measurable = f"\n\nAn M-protein is measurable from {p.measurable_m_protein:g} g/L at the baseline on."
    return md.table(("code", "in words", "what it takes"), [(md.code(code), *words) for code, *words in rows]) + measurable


def phone() -> str:
    """The recorded lessons, each a file."""
    rows = []
    for number, (key, lesson) in enumerate(seminar.lessons().items(), 1):
        links = [f"[{lesson[language]['title']}](lessons/{key}.html?language={language})" for language in ("en", "it")]
        rows.append((str(number), *links))
    return md.table(("", "English", "Italiano"), rows)


MADE: dict[str, Callable[[], str]] = {
    f.__name__: f
    for f in (
        *(cells, cell_types, surroundings, clones, whole, patient, scales, process, submodels, chance, parameters, physique),
        *(glossary_mechanisms, glossary_cells, predictions, sensitivity, assumed, responses, phone, unvaried),
    )
}


def fill(text: str) -> str:
    """A page with its tables made anew."""
    return MARKED.sub(lambda found: f"{found[1]}{MADE[found[2]]()}\n{found[3]}", text)


def pages() -> list[Path]:
    """The pages that have such tables."""
    return [path for path in sorted(DOCS.rglob("*.md")) if MARKED.search(path.read_text(encoding="utf-8"))]
