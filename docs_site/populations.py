"""The page of each population: what it amounts to among patients drawn from it, and every quantity with its source."""

from typing import Any

from docs_site import markdown as md
from docs_site import sources
from tme_abm.patients.population import provenance
from tme_abm.patients.portrait import portray
from tme_abm.patients.reading import load_population, populations
from tme_abm.scenario.kinds import load_trial
from tme_abm.scenario.reading import scenarios

PLACE = "catalogue/populations"
SEED, DRAWN = 1, 1000


def page(name: str) -> str:
    """The page of a population."""
    population = load_population(name)
    used = [s for s in scenarios("trial") if load_trial(s).population.name == name]
    lines = [f"# {population.label}", "", md.cell(population.summary), ""]
    if used:
        lines += ["Studies with it: " + ", ".join(f"[{s}](site:catalogue/scenarios/{s}.md)" for s in used) + ".", ""]
    lines += ["## What it amounts to", "", f"Among {DRAWN:,} patients drawn, before screening; medians with their middle halves.", ""]
    for words, text in portray(population, SEED, DRAWN).items():
        lines += [f"**{words.capitalize()}**", "", *(f"- {md.cell(part)}" for part in text.split("; ")), ""]
    rows: list[Any] = []
    for one in provenance(population):
        rows.append(
            [
                md.code(str(getattr(one, "name", one[0]))),
                *[getattr(one, key, "") for key in ("value", "unit", "meaning", "source", "grade")],
            ]
        )
    lines += ["## Its numbers", "", md.table(("place", "value", "unit", "meaning", "source", "grade"), rows), ""]
    return "\n".join([*lines, sources.cited([str(row[4]) for row in rows])]) + "\n"


def made() -> dict[str, str | bytes]:
    """All pages of populations, by their places."""
    rows = [(f"[{load_population(name).label}]({name}.md)", load_population(name).summary) for name in populations()]
    found: dict[str, str | bytes] = {f"{PLACE}/index.md": f"# Populations\n\n{md.table(('population', 'who'), rows)}\n"}
    return found | {f"{PLACE}/{name}.md": page(name) for name in populations()}
