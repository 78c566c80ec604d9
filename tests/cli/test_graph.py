"""The graph of the mechanisms: everything stands after what it needs, nothing stands on something else, and nobody is left out."""

from dataclasses import replace
from itertools import combinations
from xml.etree import ElementTree

import pytest

from tme_abm.cli import graph
from tme_abm.mechanisms import BY_NAME, MECHANISMS
from tme_abm.mechanisms.declared import edges

SVG = "{http://www.w3.org/2000/svg}"


RECALLED = {  # what a mechanism reads of the step before
    ("gauge.SURFACE_CD38", "binding drugs"),
    ("gauge.ESCAPED_CD38", "binding drugs"),
    ("contacts.suppressor", "suppression effectors"),
}


@pytest.fixture(scope="module")
def laid_out():
    nodes, recalls = graph.build(MECHANISMS)
    graph.lay_out(nodes)
    return nodes, recalls


def reached(node):
    """Keys of all to which lines lead from a node, past what lies between."""
    return {key for n in node.after for key in (reached(n) if n.runs_past else {n.key})}


def test_every_mechanism_stands_there_once_for_each_time_that_it_acts(laid_out):
    found = sorted(n.key for n in laid_out[0] if n.act is not None)
    assert found == sorted(act.key for m in MECHANISMS for act in graph.acts(m))
    assert "imid drugs" in found and "imid cells at risk" in found and "binding drugs" in found and "adcc cells at risk" in found


def test_every_dependence_is_a_way_from_one_to_the_other(laid_out):
    nodes, recalls = laid_out
    starts = [n for n in nodes if not n.runs_past]
    to = {n.key: reached(n) for n in starts}
    ways = {(a.split()[0], b.split()[0]) for a in to for q in to[a] for b in to.get(q, ()) if " " in a and " " in b}
    ways |= {(a.split()[0], b.split()[0]) for a in to for b in to[a] if " " in a and " " in b}
    ways |= {(a.split()[0], reader.key.split()[0]) for quantity, reader in recalls for a in to if quantity.key in to[a]}
    assert ways == {(e.maker, e.reader) for e in edges(MECHANISMS)}


def test_everything_stands_after_what_it_needs_and_apart(laid_out):
    nodes = laid_out[0]
    assert all(b.layer == a.layer + 1 for a in nodes for b in a.after)
    for a, b in combinations(nodes, 2):
        assert a.layer != b.layer or abs(a.y - b.y) >= (a.size[1] + b.size[1]) / 2 + graph.GAP - 1e-6


def test_what_is_recalled_from_the_step_before_does_not_turn_the_order(laid_out):
    recalled = laid_out[1]
    assert {(quantity.key, reader.key) for quantity, reader in recalled} == RECALLED
    assert all(reader.layer < quantity.layer for quantity, reader in recalled)


def test_the_picture_is_whole_and_lies_inside_its_frame(tmp_path):
    graph.write_svg(MECHANISMS, tmp_path / "graph.svg")
    root = ElementTree.parse(tmp_path / "graph.svg").getroot()
    words = [text.text for text in root.iter(f"{SVG}text")]
    for m in MECHANISMS:
        assert words.count(m.name) == len(graph.acts(m))
        assert m.summary in [title.text for title in root.iter(f"{SVG}title")]
    width, height = float(root.get("width")), float(root.get("height"))
    for box in root.iter(f"{SVG}rect"):
        x, y, w, h = (float(box.get(k, 0)) for k in ("x", "y", "width", "height"))
        assert 0 <= x <= x + w <= width and 0 <= y <= y + h <= height
    assert sum("stroke-dasharray" in line.attrib for line in root.iter(f"{SVG}path")) == len(RECALLED)


def test_a_new_mechanism_stands_in_the_graph():
    more = replace(BY_NAME["growth"], name="dendritic_priming", summary="a < b & c.", reads=("fields.il6",))
    text = graph.as_svg([*MECHANISMS, more])
    assert "dendritic_priming" in text and "a &lt; b &amp; c." in text
    assert "dendritic_priming needs fields.il6 from interleukin6" in graph.as_lines([*MECHANISMS, more], {"dendritic_priming"})


def test_lines_say_who_needs_what_from_whom():
    lines = graph.as_lines(MECHANISMS, {"growth", "suppression"})
    assert lines[1] == "growth needs fields.il6 from interleukin6"
    assert "contacts.suppressor of the step before from motility" in lines[0] and len(lines) == 2
