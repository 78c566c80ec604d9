"""The example for those who know Mesa's own page: it is drawn, steps, and shows the model's cells."""

import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("altair", reason="Mesa's own page needs altair, which is not installed")

EXAMPLE = Path(__file__).parents[2] / "viz" / "examples" / "solaraviz.py"


@pytest.fixture(scope="module")
def example():
    return runpy.run_path(str(EXAMPLE))


def test_the_page_is_drawn_with_the_cells_and_the_curve(example):
    import ipyvuetify
    import solara

    _box, context = solara.render(example["Page"](), handle_error=False)
    try:
        titles = [str(child) for widget in context.find(ipyvuetify.AppBar).widgets for child in widget.children]
        assert len(context.find(solara.widgets.VegaLite).widgets) + len(context.find(ipyvuetify.Btn).widgets) > 3, titles
        labels = {str(widget.label) for widget in context.find(ipyvuetify.Select).widgets}
        assert {"Patient", "Arm"} <= labels
    finally:
        context.close()


def test_a_cell_has_the_colour_of_its_type(example):
    from tme_viz.picture import COLOURS

    from tme_abm.model import TumourModel

    model = TumourModel(regimen="icaria/isa-pd", height=32, width=32, seed=1)
    assert {example["portrayal"](agent).color for agent in model.agents} == set(COLOURS.values())
    assert "mesa" in sys.modules
