"""The address says all that is seen, and what it says is shown again."""

import time
from dataclasses import replace

import ipyvuetify
import pytest
import solara
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice
from tme_viz.lesson_page import begin
from tme_viz.lessons import lessons
from tme_viz.page import Address
from tme_viz.visitor import PLAIN_LAYER, Visitor

SMALL = Choice(scenario="combinations", arms=("isa-pd", "pd"), size=32)


@pytest.fixture
def visitor():
    made = Visitor(Places(), "size=32&arms=isa-pd,pd", SMALL)
    made.session.wait(300)
    yield made
    made.leave()


def settled(visitor):
    visitor.session.wait(120)
    end = time.monotonic() + 30
    while visitor.session.asked is not None and time.monotonic() < end:
        time.sleep(0.01)
    return visitor


def test_what_is_seen_is_seen_again(visitor):
    visitor.language.value, visitor.view.value, visitor.trial.value = "it", "trials", "icaria-1"
    visitor.lesson.value = "niche"
    visitor.look_at("cd38")
    visitor.hidden.value = frozenset({1, 3})
    visitor.session.step()
    visitor.session.act(0, "switch", "adcc", 0.0)
    visitor.session.wait(60)
    link = visitor.link()
    other = settled(Visitor(Places(), link, SMALL))
    assert other.link() == link and other.place() == visitor.place()
    assert (other.view.value, other.language.value, other.trial.value, other.lesson.value) == ("trials", "it", "icaria-1", "niche")
    left, right = ([side.simulation.state_hash() for side in v.session.pair.sides] for v in (visitor, other))
    assert left == right
    other.leave()


def test_going_back_to_the_same_marrows_makes_no_new_ones(visitor):
    visitor.session.step()
    visitor.session.wait(60)
    generation, link = visitor.status.value.generation, visitor.link()
    visitor.view.value = "lessons"
    visitor.open(link)
    settled(visitor)
    assert visitor.view.value == "live" and visitor.status.value.generation == generation
    visitor.open(replace(SMALL, patient="elderly").query())
    assert settled(visitor).status.value.choice.patient == "elderly"
    visitor.open(link)
    assert settled(visitor).status.value.choice.patient == "typical" and visitor.status.value.day == 0.25


def test_the_first_picture_of_other_marrows_has_their_layer(visitor):
    """Whether a link or a lesson brings it; and a layer that is shown already is not drawn again."""
    seen = []
    visitor.session.attach("marrow1", lambda shown: seen.append((shown["generation"], shown["layer"])))
    lesson = next(one for one in lessons().values() if one.layer not in (PLAIN_LAYER, "cd38"))
    settled(visitor)
    first = seen[-1][0]
    visitor.open(replace(SMALL, patient="elderly").query(layer="cd38"))
    settled(visitor)
    begin(visitor, lesson)
    settled(visitor)
    assert {layer for generation, layer in seen if generation == first + 1} == {"cd38", lesson.layer}
    assert next(layer for generation, layer in seen if generation == first + 1) == "cd38"
    assert {layer for generation, layer in seen if generation == first + 2} == {lesson.layer}
    n = len(seen)
    visitor.look_at(lesson.layer)
    settled(visitor)
    assert len(seen) == n


def test_another_moment_is_no_other_place(visitor):
    place = visitor.place()
    visitor.session.step()
    visitor.session.wait(60)
    assert visitor.place() == place
    visitor.view.value = "about"
    assert visitor.place() != place


def test_a_step_tells_the_link_and_draws_no_page_anew(visitor):
    """Only where the open lesson has its answer at that day does the page hear of it."""
    links, drawn = [], []
    visitor.read_link(lambda seen: links.append(seen[0]))
    visitor.status.subscribe(lambda status: drawn.append(status.day))
    visitor.session.step()
    visitor.session.wait(60)
    assert "day=0.25" in links[-1] and links[-1] == visitor.link() and drawn == []
    visitor.session.act(0, "switch", "adcc", 0.0)
    visitor.session.wait(60)
    assert drawn == [0.25]
    visitor.lesson.value = "niche"
    due = lessons()["niche"].day
    visitor.session.prepare(replace(SMALL, day=due - 0.5))
    settled(visitor)
    drawn.clear()
    for _ in range(3):
        visitor.session.step()
    visitor.session.wait(60)
    assert drawn == [due]


def test_the_address_bar_says_what_is_seen_whatever_was_told_in_between(visitor):
    """A choice that fails before anything is made of it, and a return to the day of the page's last drawing."""
    _, drawn = solara.render(Address(visitor), handle_error=False)

    def said():
        visitor.session.wait(60)
        return drawn.find(ipyvuetify.VuetifyTemplate).widget.seen[0]

    assert said() == visitor.link()
    visitor.session.prepare(replace(SMALL, patient="nobody"))
    assert said() == visitor.link() and "nobody" not in said()
    for _ in range(4):
        visitor.session.step()
    assert said() == visitor.link() and "day=1" in said()
    visitor.session.prepare(SMALL)
    settled(visitor)
    assert said() == visitor.link() and "day=" not in said()


def test_a_wrong_address_is_told_and_leaves_what_is_shown(visitor):
    visitor.open("patient=nobody")
    visitor.session.wait(60)
    status = visitor.status.value
    assert "nobody" in status.message and status.choice.patient == "typical" and status.phase == "ready"


def test_the_address_names_what_was_asked_for_while_it_is_made(visitor):
    visitor.session.prepare(replace(SMALL, day=900.0))
    assert "day=900" in visitor.link()
    visitor.session.prepare(SMALL)
