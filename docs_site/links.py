"""Links that lead from file to file in a clone, turned into links from page to page, and into plain words where the site has no page."""

import posixpath
import re
from collections.abc import Callable, Container

ELSEWHERE = re.compile(r"<!-- not on the site -->\n.*?<!-- end -->\n+", re.DOTALL)  # of use in a clone only
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "cite.md",
    "benchmarks/README.md": "benchmarks.md",
}
ORIGINS = {page: file for file, page in PAGES.items()}  # page of the site -> file of the repository
MADE = {  # what pages are made of -> the page that shows it
    "scenarios": "catalogue/scenarios/index.md",
    "tme_abm/mechanisms": "catalogue/mechanisms/index.md",
    "tme_abm/pharmacology/drugs": "catalogue/drugs/index.md",
    "tme_abm/patients/populations": "catalogue/populations/index.md",
    "tme_abm/mesa_model/model.py": "reference/mesa.md",
    "tme_abm/mesa_model/agents.py": "reference/mesa.md",
    "tme_abm/__init__.py": "reference/run.md",
    "tme_abm/mechanism_kit.py": "reference/mechanism_kit.md",
    "viz/tme_viz/lessons": "seminar/en/index.md",
}
FAMILIES = (
    (re.compile(r"scenarios/(?:\w+/)?(\w+)\.toml"), "catalogue/scenarios/{}.md"),
    (re.compile(r"tme_abm/mechanisms/(\w+)\.py"), "catalogue/mechanisms/{}.md"),
    (re.compile(r"tme_abm/pharmacology/drugs/(\w+)\.toml"), "catalogue/drugs/{}.md"),
    (re.compile(r"tme_abm/patients/populations/(\w+)\.toml"), "catalogue/populations/{}.md"),
)


def page_of(file: str) -> str:
    """Page of the site that a file of the repository becomes; "" where that is told by its pattern alone and there is none."""
    if known := (PAGES | MADE).get(file):
        return known
    for pattern, page in FAMILIES:
        if found := pattern.fullmatch(file):
            return page.format(found[1])
    return file.removeprefix("docs/") if file.startswith("docs/") else ""


def rewrite(markdown: str, page: str, there: Container[str]) -> str:
    """The text of a page with links that hold on the site.

    Args:
        markdown: As it stands in the repository, or as it was made for the site.
        page: Its place on the site.
        there: Places of all pages and files of the site.
    """
    origin = ORIGINS.get(page, f"docs/{page}")

    def lead(found: re.Match[str]) -> str:
        mark, text, target = found.groups()
        path, hash_, anchor = target.partition("#")
        path, asked, query = path.partition("?")
        hash_ = f"{asked}{query}{hash_}"
        if path.startswith("site:"):  # from a page that is made, wherever it stands
            place = path.removeprefix("site:")
            return f"{mark}[{text}]({posixpath.relpath(place, posixpath.dirname(page) or '.')}{hash_}{anchor})"
        if not path or "://" in path or path.startswith("mailto:"):
            return found[0]
        if posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) in there and page not in ORIGINS:
            return found[0]
        file = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
        place = page_of(file)
        if place in there:
            return f"{mark}[{text}]({posixpath.relpath(place, posixpath.dirname(page) or '.')}{hash_}{anchor})"
        return text if file in text or mark else f"{text} (`{file}` in the source)"

    return outside_of_code(ELSEWHERE.sub("", markdown), lambda part: LINK.sub(lead, part))


def outside_of_code(markdown: str, change: Callable[[str], str]) -> str:
    """`markdown` with `change` applied to all that stands in no fenced block."""
    done, at = [], 0
    for block in FENCE.finditer(markdown):
        done += [change(markdown[at : block.start()]), block[0]]
        at = block.end()
    return "".join([*done, change(markdown[at:])])
