"""The example for those who know Mesa's own page: it is drawn in a browser, steps, and shows the model's cells."""

import re
import runpy
from pathlib import Path

import browser as driver
import pytest

pytest.importorskip("altair", reason="Mesa's own page needs altair, which is not installed")

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "solaraviz.py"


@pytest.mark.skipif(bool(driver.missing()), reason=f"Mesa's own page is not tested here: {driver.missing()}")
def test_the_page_is_drawn_and_steps(tmp_path):
    with driver.serving(tmp_path, app=EXAMPLE) as (address, _), driver.browsing() as chrome:
        page = chrome.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(address)
        page.get_by_text("Bone marrow under anti-CD38 therapy").first.wait_for()
        page.get_by_role("button", name="Step", exact=True).wait_for()
        wide = "Array.from(document.querySelectorAll('img, svg')).filter(e => e.getBoundingClientRect().width > 300)"
        page.wait_for_function(f"{wide}.length == 2")
        page.get_by_role("button", name="Step", exact=True).click()
        page.get_by_text(re.compile(r"Step: 1|Time: [1-9]")).wait_for()  # steps up to Mesa 3.4, time from 3.5 on
        assert page.evaluate(f"{wide}.length") == 2
        page.close()


def test_a_cell_has_the_colour_of_its_type():
    from tme_viz.colours import COLOURS

    from tme_abm.mesa_model.model import TumourModel

    portrayal = runpy.run_path(str(EXAMPLE))["portrayal"]
    model = TumourModel(regimen="icaria/isa-pd", height=64, width=64, seed=1)  # large enough for every type
    assert {portrayal(agent).color for agent in model.agents} == set(COLOURS.values())
