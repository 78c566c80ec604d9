"""Mechanisms from outside on the page: their switches, their words, their line in the ledger; never from a link."""

from pathlib import Path

import pytest
from tme_viz import charts
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice
from tme_viz.colours import FROM_OUTSIDE
from tme_viz.pair import Pair
from tme_viz.words import message

from tme_abm.foundation.errors import InputError
from tme_abm.mechanisms.outside.loading import load

PD1 = Path(__file__).parents[2] / "docs" / "examples" / "pd1_blockade.py"
QUERY = "scenario=icaria&size=32&arms=isa-pd,isa-pd&without_b=pd1_blockade"


def starve(model):
    """A rule whose deaths have a line of the ledger."""


@pytest.fixture(scope="module")
def places():
    return Places(catalogue=load([PD1], [starve]))


def test_a_link_names_it_only_where_the_command_line_has_brought_it(places):
    assert Choice.read(QUERY, catalogue=places.catalogue).without == (frozenset(), frozenset({"pd1_blockade"}))
    event = "event=3~a~switch~pd1_blockade~0"
    assert Choice.read(event, catalogue=places.catalogue).events[0].name == "pd1_blockade"
    for query in (QUERY, event):
        with pytest.raises(InputError, match=r"unknown mechanism 'pd1_blockade'.*--mechanism FILE") as told:
            Choice.read(query)
        assert message(str(told.value), "it").endswith("(uno da un tuo file si porta con --mechanism FILE)")


def test_two_marrows_differ_by_it(places):
    two = Pair(Choice.read(QUERY, catalogue=places.catalogue), places)
    two.advance(4 * 28)
    at = two.columns.index("t_cell_activity")
    assert two.sides[0].rows[-1][at] > two.sides[1].rows[-1][at]
    assert charts.causes(two, "it")[-1] == {
        "name": "starve",
        "label": "starve",
        "colour": FROM_OUTSIDE,
        "column": two.columns.index("deaths_starve"),
    }
    assert two.study.settings.catalogue.by_name["pd1_blockade"].words("it").label == "Blocco di PD-1"
