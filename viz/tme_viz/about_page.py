"""The tab on the model: what it is, its scales and limits, how sure its numbers are, its version, how to cite it."""

import tomllib
from functools import cache
from html import escape
from pathlib import Path

import solara

from tme_abm import __version__
from tme_abm.simulation.settings import PLAIN
from tme_abm.trial.provenance import model_digest
from tme_viz.visitor import Visitor

CITATION = "tme_abm authors. tme_abm: an agent-based model of the bone marrow in multiple myeloma under anti-CD38 therapy, version {}."


@cache
def text(language: str) -> tuple[str, list[tuple[str, str]]]:
    """Title, and paragraphs with their first words apart."""
    with Path(__file__).with_name("about.toml").open("rb") as file:
        table = tomllib.load(file)[language]
    filled = {"mechanisms": len(PLAIN.mechanisms), "version": f"{__version__} ({model_digest()})", "citation": CITATION.format(__version__)}
    parts = [paragraph.format(**filled).partition(": ") for paragraph in table["paragraphs"]]
    return str(table["title"]), [(head, rest) for head, _, rest in parts]


@solara.component
def About(visitor: Visitor) -> None:
    """The page."""
    title, paragraphs = text(visitor.language.value)
    body = "".join(f"<p><b>{escape(head)}:</b> {escape(rest)}</p>" for head, rest in paragraphs)
    solara.HTML(tag="div", classes=["tme-about"], unsafe_innerHTML=f"<h2>{escape(title)}</h2>{body}")
