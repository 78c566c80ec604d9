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
    lines = [f"# {population.label}", "", md.cell(population.summary), "", f'In a scenario: `population = "{name}"`.', ""]
    if used:
        lines += ["Studies with it: " + ", ".join(f"[{s}](site:catalogue/scenarios/{s}.md)" for s in used) + ".", ""]
    if population.at_median:
        others = [name for name in population.presets if population.presets[name]]
        lines += [
            "Every patient of it is this one: those of a trial differ by their dice and in the kinetics of drugs, in nothing else.",
            "",
        ]
        if others:
            named = ", ".join(map(md.code, others))
            lines += [f"Its presets, for the live page and for Mesa, change a quantity and what follows from it: {named}.", ""]
        lines += ["## What it amounts to", ""]
    else:
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
    lines += ["## Its numbers", ""]
    if population.at_median:
        lines += ["The distributions are those that the medians are taken of; nothing is drawn from them here.", ""]
    lines += [md.table(("place", "value", "unit", "meaning", "source", "grade"), rows), ""]
    return "\n".join([*lines, sources.cited([str(row[4]) for row in rows])]) + "\n"


def made() -> dict[str, str | bytes]:
    """All pages of populations, by their places."""
    rows = [(f"[{load_population(name).label}]({name}.md)", md.code(name), load_population(name).summary) for name in populations()]
    told = 'A scenario names one by its key, as in `population = "icaria"`, or gives a table that changes it (`inherits`).'
    table = md.table(("population", "key", "who"), rows)
    found: dict[str, str | bytes] = {f"{PLACE}/index.md": f"# Populations\n\n{told}\n\n{table}\n"}
    return found | {f"{PLACE}/{name}.md": page(name) for name in populations()}
