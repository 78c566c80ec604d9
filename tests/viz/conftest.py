"""The page lives beside the package; a checkout that is not installed finds it too. And a server of it with a browser, for its tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "viz"))

import browser as driver

from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.running import run

SECRET = "the-very-secret"
FAILS = 13  # number of the patient whose marrow fails on its second day
BROKEN = f"""
from tme_abm.simulation.simulation import Simulation
advance = Simulation.advance
def broken(self, n_steps):
    if self.patient.index == {FAILS} and self.treated_from and self.day >= 1.0:
        raise RuntimeError("a hazard exceeded the ceiling that its mechanism declares")
    return advance(self, n_steps)
Simulation.advance = broken
"""


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    """A small trial that was run, in the folder of results of a page."""
    folder = tmp_path_factory.mktemp("page") / "results" / "small"
    study = load_scenario("icaria", ["marrow.shape=[32,32]", 'trial.follow_up=["3 month","4 month"]', "published=[]"], 4)
    run(study, folder, 2)
    return folder


@pytest.fixture(scope="session")
def site(results):
    folder = results.parents[1]
    (folder / "secret.toml").write_text(f"# {SECRET}")
    with driver.serving(folder, before=BROKEN) as (address, _):
        yield address


@pytest.fixture(scope="module")
def chrome():
    with driver.browsing() as browser:
        yield browser


@pytest.fixture
def visit(site, chrome):
    opened = []

    def go(query="size=32", width=1400, height=900):
        page = chrome.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(60_000)
        opened.append((page, []))
        page.on("pageerror", lambda error: opened[-1][1].append(str(error)))
        page.goto(f"{site}/?{query}")
        if "view=" not in query:
            driver.ready(page)
        return page

    yield go
    for page, errors in opened:
        if not page.is_closed():
            page.close()
        assert errors == []
