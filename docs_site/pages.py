"""All pages that are made, and the navigation of the site."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from docs_site import drugs, links, mechanisms, populations, reference, scenarios, seminar, sources
from tme_abm import __version__
from tme_abm.foundation.declare import GRADES

ROOT = Path(__file__).parents[1]
ASSETS = Path(__file__).with_name("assets")
Nav = list[Any]
# Title of a tab -> its pages: those of docs/ by their names, whole families by their folders.
TABS: dict[str, tuple[str, ...]] = {
    "Learn": ("tutorials/", "seminar/en/", "seminar/it/", "live_page", "lessons"),
    "Run": (
        "regimens",
        "sweeps",
        "attribution",
        "sensitivity",
        "convergence",
        "bank",
        "mouse",
        "clinic",
        "other_tools",
        "columns",
        "durable",
        "cluster",
        "faults",
    ),
    "Catalogue": ("catalogue/", "catalogue/mechanisms/", "catalogue/drugs/", "catalogue/populations/", "catalogue/scenarios/"),
    "Judge": ("context_of_use", "limits", "odd_summary", "odd", "evidence", "calibration", "benchmarks"),
    "Extend": ("mechanism_of_your_own", "contributing", "architecture", "reference/"),
    "About": ("glossary", "changelog", "cite"),
}
FAMILIES = {
    "tutorials/": "Tutorials",
    "seminar/en/": "Seminar kit",
    "seminar/it/": "Kit per seminari",
    "catalogue/mechanisms/": "Mechanisms",
    "catalogue/drugs/": "Drugs",
    "catalogue/populations/": "Populations",
    "catalogue/scenarios/": "Scenarios",
    "reference/": "Reference",
}


def catalogue() -> str:
    """The first page of the catalogue, with what grades mean."""
    lines = ["# Catalogue", "", "What the model is made of, from the declarations that it runs by; no page here is written by hand.", ""]
    lines += [f"- [{FAMILIES[f'catalogue/{name}/']}]({name}/index.md)" for name in ("mechanisms", "drugs", "populations", "scenarios")]
    lines += [
        "",
        "## Where numbers come from",
        "",
        "Every number carries unit, meaning, source and a grade.",
        "",
        "| grade | |",
        "| --- | --- |",
    ]
    return "\n".join([*lines, *(f"| **{grade}** | {words} |" for grade, words in GRADES.items())]) + "\n"


def cite() -> str:
    """How to cite, from CITATION.cff, and the whole bibliography."""
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")

    def entry(key: str) -> str:
        found = re.search(rf'^{key}: "?([^"\n]*)"?$', text, re.MULTILINE)
        return found[1] if found else ""

    lines = ["# How to cite", "", entry("message"), "", f"> {entry('title')}. Version {__version__}. Licence {entry('license')}.", ""]
    if "doi" not in text:
        none_yet = "There is no article about it, and no archived release with a DOI"
        lines += [f"{none_yet}: name the version, and the commit of the clone that you used.", ""]
    lines += ["The file, for reference managers:", "", "```yaml", text.rstrip(), "```", "", "## The bibliography", ""]
    lines += ["All sources of the numbers, by the keys under which parameters, populations, drugs and scenarios name them.", ""]
    return "\n".join([*lines, *(f"- `{key}`: {sources.sentence(key)}" for key in sorted(sources.entries()) if key != "tme_abm")]) + "\n"


@cache
def made() -> dict[str, str | bytes]:
    """All pages and files that are made, by their places on the site."""
    found: dict[str, str | bytes] = {"catalogue/index.md": catalogue(), "cite.md": cite()}
    for page, file in links.ORIGINS.items():
        if page != "cite.md":
            found[page] = (ROOT / file).read_text(encoding="utf-8")
    for family in (mechanisms, drugs, populations, scenarios, reference, seminar):
        found |= {
            place: sources.linked(page) if isinstance(page, str) and place.endswith(".md") else page
            for place, page in family.made().items()
        }
    found |= {f"site/{path.name}": path.read_text(encoding="utf-8") for path in sorted(ASSETS.iterdir())}
    return found


def navigation(written: list[str]) -> Nav:
    """The navigation: every page once; those of which `TABS` says nothing under "More"."""
    pages = [*written, *(place for place in made() if place.endswith(".md"))]
    nav: Nav = [{"Home": "index.md"}]
    left = [page for page in dict.fromkeys(pages) if page != "index.md"]
    for title, names in TABS.items():
        inside: Nav = []
        for name in names:
            if not name.endswith("/"):
                found = [page for page in left if page == f"{name}.md"]
                inside += found
            else:
                found = [page for page in left if page.startswith(name) and "/" not in page.removeprefix(name)]
                found.sort(key=lambda page: not page.endswith("/index.md"))
                inside += [{FAMILIES[name]: found}] if found and name in FAMILIES else found
            left = [page for page in left if page not in found]
        if inside:
            nav.append({title: inside})
    return [*nav, *([{"More": left}] if left else [])]
