"""The session does what the page asks, on its own thread, one thing after another."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from tme_viz import takeaway
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice
from tme_viz.saved_scenario import scenario_toml
from tme_viz.screen import deaths
from tme_viz.session import Session
from tme_viz.takeaway import Film, ask, table_csv
from tme_viz.visitor import Visitor

from tme_abm.marrow.cells import CellType

SMALL = Choice(scenario="combinations", arms=("isa-pd", "pd"), size=32)


@pytest.fixture
def session():
    made = Session(Places())
    made.prepare(SMALL)
    made.wait(300)
    assert made.status.phase == "ready"
    yield made
    made.close()


def watch(session):
    """A browser that draws each frame at once."""
    seen = []
    for name in ("transport", "curves", "marrow0"):
        session.attach(name, lambda content: None)

    def draw(content):
        seen.append(content)
        session.drawn(content["n"])

    session.attach("marrow1", draw)
    session.wait(60)
    return seen


def until(truth, seconds=60):
    end = time.monotonic() + seconds
    while not truth() and time.monotonic() < end:
        time.sleep(0.01)
    assert truth()


def test_play_runs_until_paused(session):
    seen = watch(session)
    session.play(True)
    until(lambda: len(seen) > 12)
    session.play(False)
    session.wait(60)
    n, day = len(seen), session.status.day
    assert day >= 2.5 and not session.status.playing
    time.sleep(0.2)
    assert len(seen) == n and session.pair.day == day
    assert [content["n"] for content in seen] == sorted({content["n"] for content in seen})


def test_curves_that_stand_are_not_sent_again(session):
    """A row is a day: of four steps three bring the curves nothing. What is drawn into them does, and so does a look at the past."""
    watch(session)
    sent = []
    session.attach("curves", sent.append)
    session.wait(60)
    sent.clear()
    for _ in range(8):
        session.step()
    session.wait(60)
    assert [len(content["left"]) > 0 for content in sent] == [True, True] and [content["day"] for content in sent] == [1.0, 2.0]
    session.act(0, "switch", "adcc", 0.0)
    session.wait(60)
    assert [event[3] for event in sent[-1]["events"]] == ["adcc"] and len(sent) == 3
    session.seek(1.0)
    session.seek(0.5)
    session.seek(1e9)
    session.wait(60)
    assert [content["day"] for content in sent[3:]] == [1.0, 0.5, 2.0]


def test_it_waits_for_the_browser(session, monkeypatch):
    monkeypatch.setattr("tme_viz.session.PATIENCE", 0.3)
    arrived = []
    session.attach("marrow1", lambda content: arrived.append(content["n"]))  # a browser that never answers
    session.wait(60)
    n = len(arrived)
    session.play(True)
    until(lambda: not session.status.playing and len(arrived) > n)
    session.wait(60)
    assert session.pair.day <= 0.5  # one frame, then play stopped by itself


def test_rewind_shows_the_past_and_a_change_branches_there(session):
    seen = watch(session)
    for _ in range(48):
        session.step()
    session.wait(60)
    present, at_12 = seen[-1]["kind"], session.pair.day
    assert at_12 == 12.0
    session.seek(5.2)  # 5 days and 6 hours, a step that no picture was kept of
    session.wait(60)
    past = seen[-1]["kind"]
    assert past != present and session.pair.day == 12.0
    session.step(-1)
    session.step(1)
    session.wait(60)
    assert seen[-1]["kind"] == past
    session.seek(1e9)
    session.wait(60)
    assert seen[-1]["kind"] == present
    session.seek(5.0)
    session.act(0, "dose", "isatuximab", 0.0)
    session.wait(60)
    assert session.pair.day == 5.0 and session.history.days[-1] == 5.0
    assert [(e.day, e.name) for e in session.status.choice.events] == [(5.0, "isatuximab")]


def test_a_cell_is_followed_through_time(session):
    seen = watch(session)
    for _ in range(16):
        session.step()
    session.wait(60)
    site = seen[-1]["kind"].index(8)  # a stromal cell stays where it is
    session.pick(1, site)
    session.wait(60)
    assert seen[-1]["picked"] == site and seen[-1]["cell"][0] == ("type", "STROMA")
    lived = ask(session, lambda: session.life(1))
    assert [day for day, _ in lived] == [0.0, 1.0, 2.0, 3.0, 4.0]
    session.pick(1, None)
    session.wait(60)
    assert seen[-1]["picked"] == -1 and ask(session, lambda: session.life(1)) == []


def test_an_error_leaves_it_usable(session):
    session.act(1, "dose", "isatuximab", 0.5)
    session.wait(60)
    assert "Pd holds no 'isatuximab'" in session.status.message and session.status.phase == "ready"
    session.post(lambda: 1 / 0)
    session.wait(60)
    assert "ZeroDivisionError" in session.status.message
    session.prepare(Choice(scenario="nothing"))
    session.wait(60)
    assert "there is no scenario 'nothing'" in session.status.message
    session.step()
    session.wait(60)
    assert session.pair.day == 0.25


def test_a_new_choice_does_not_wait_for_a_long_treatment(session):
    heard = []
    session.on_status = heard.append
    session.prepare(replace(SMALL, day=3000.0))
    until(lambda: any(status.share > 0.0 for status in heard))
    assert session.status.phase == "treating" and session.pair.day < 3000.0
    session.prepare(replace(SMALL, day=1.0))
    session.wait(60)
    assert session.pair.day == session.status.day == 1.0 and session.history.days == [0.0, 1.0]
    assert session.status.phase == "ready" and session.status.share == 0.0 and session.asked is None
    assert max(status.day for status in heard) == 1.0


def test_two_quick_choices_both_hold():
    visitor = Visitor(Places(), "size=32&arms=isa-pd,pd&day=2000", SMALL)
    until(lambda: visitor.status.value.phase == "treating", 300)
    visitor.change(patient="elderly")
    visitor.change(arms=("isa", "isa"))
    visitor.session.wait(300)
    choice = visitor.status.value.choice
    assert (choice.patient, choice.arms, choice.day) == ("elderly", ("isa", "isa"), 0.0)
    visitor.change(patient="nobody")
    visitor.session.wait(300)
    assert "nobody" in visitor.status.value.message
    visitor.change(patient="typical")
    visitor.session.wait(300)
    assert (visitor.status.value.choice.patient, visitor.status.value.message) == ("typical", "")
    visitor.leave()


def test_what_cannot_be_made_leaves_the_pair_that_is_told(session):
    """Whatever was overtaken on the way to it: the marrows, their past and their curves stay those of the status."""
    seen, heard = watch(session), []
    for _ in range(9):
        session.step()
    session.wait(60)
    session.on_status = heard.append
    before, told, days = [side.simulation.state_hash() for side in session.pair.sides], session.status, list(session.history.days)
    session.prepare(replace(SMALL, patient="elderly", day=3000.0))
    until(lambda: any(status.share > 0.0 for status in heard))
    session.prepare(replace(SMALL, patient="nobody"))
    session.wait(60)
    assert "nobody" in session.status.message and session.status.phase == "ready"
    assert (session.status.choice, session.status.day, session.status.generation) == (told.choice, told.day, told.generation)
    assert session.pair.choice.patient == session.status.choice.patient == "typical" and session.history.days == days
    assert [side.simulation.state_hash() for side in session.pair.sides] == before
    assert seen[-1]["kind"] == ask(session, lambda: session.pair.sides[1].simulation.marrow.cells.kind.tobytes())
    session.step()
    session.wait(60)
    assert session.status.day == session.pair.day == 2.5


def test_a_page_that_has_nothing_yet_falls_back_on_the_plain_pair():
    visitor = Visitor(Places(), "size=32&arms=isa-pd,pd&day=3000&patient=elderly", SMALL)
    until(lambda: visitor.status.value.share > 0.0, 300)
    visitor.change(patient="nobody")
    visitor.session.wait(300)
    status = visitor.status.value
    assert (status.phase, status.choice.patient, status.generation) == ("ready", "typical", 1) and "nobody" in status.message
    visitor.leave()


def test_a_choice_made_while_the_fallback_is_made_builds_on_the_fallback():
    """And not on the choice that has failed."""
    made = Session(Places())
    asked = []
    made.on_status = lambda status: asked.append(made.asked)
    made.prepare(replace(SMALL, patient="nobody"), SMALL)
    made.wait(300)
    assert made.status.phase == "ready" and asked[0].patient == "nobody"
    assert SMALL in asked and made.asked is None
    made.close()


def test_a_link_of_the_status_leads_back(session):
    for _ in range(9):
        session.step()
    session.act(0, "switch", "adcc", 0.0)
    for _ in range(4):
        session.step()
    session.wait(60)
    other = Session(Places())
    other.prepare(Choice.read(session.status.choice.query()))
    other.wait(120)
    left, right = ([side.simulation.state_hash() for side in s.pair.sides] for s in (session, other))
    assert left == right and other.status.day == 3.25
    other.close()


def test_a_page_that_was_mounted_hears_the_status_again(session):
    heard = []
    session.on_status = heard.append
    session.mounted()
    until(lambda: len(heard) == 1)
    assert heard[0].told == 1 and heard[0].phase == "ready"


def test_closing_ends_the_thread_and_frees_the_marrows():
    made = Session(Places())
    made.prepare(SMALL)
    made.play(True)
    until(lambda: made.status.phase == "ready", 300)
    made.close()
    made._thread.join(30)
    assert not made._thread.is_alive() and made.pair is None and len(made.history) == 0
    assert "marrow" not in [t.name for t in threading.enumerate() if t is made._thread]


def test_what_is_taken_away(session):
    import io
    import tomllib

    from PIL import Image

    for _ in range(12):
        session.step()
    text = ask(session, lambda: scenario_toml(session.pair))
    assert tomllib.loads(text)["marrow"]["shape"] == [32, 32]
    lines = ask(session, lambda: table_csv(session.pair)).splitlines()
    assert lines[0].startswith("side,arm,day,m_protein_g_per_l") and len(lines) == 1 + 2 * 4
    told = []
    film = Film(session, "adenosine", "Day", ("A", "B"), lambda: told.append(film.share))
    until(lambda: film.data)
    shown = Image.open(io.BytesIO(film.data))
    assert shown.n_frames == 4 and shown.size == (2 * 384 + 8, 384 + 28)
    assert told[-1] == 1.0 and not film.has_failed


def test_a_film_takes_turns_with_other_work_and_ends_where_its_past_is_forgotten(session):
    session.speed(28)
    for _ in range(12):
        session.step()
    session.wait(60)
    shares = []
    film = Film(session, "adenosine", "Day", (), lambda: None)
    session.post(lambda: shares.append(film.share))
    session.prepare(replace(SMALL, patient="elderly"))
    session.wait(120)
    until(lambda: film.has_failed)
    assert 0.0 < shares[0] < 0.5 and not film.data


def test_a_film_may_take_longer_than_other_files(session, monkeypatch):
    monkeypatch.setattr(takeaway, "LONGEST_WAIT", 0.0)
    for _ in range(12):
        session.step()
    session.wait(60)
    with pytest.raises(TimeoutError):
        ask(session, lambda: time.sleep(0.2))
    film = Film(session, "adenosine", "Day", (), lambda: None)
    until(lambda: film.data or film.has_failed)
    assert film.data.startswith(b"GIF") and film.share == 1.0


def test_the_next_kill_is_shown_with_the_marrow_before_it(session):
    seen = watch(session)
    session.step()
    session.next_kill()
    session.wait(60)
    shown, pair = seen[-1], session.pair
    found = ask(session, lambda: [deaths(side.simulation) for side in pair.sides])
    assert any(killer >= 0 for side in found for *_, killer in side)
    assert shown["deaths"] == found[1] and shown["before"] != shown["kind"]
    for side, simulation in enumerate(side.simulation for side in pair.sides):
        kind = ask(session, lambda simulation=simulation: simulation.marrow.cells.kind.copy())
        for site, cause, killer in found[side]:
            wanted = {0: CellType.NK, 1: CellType.MACROPHAGE, 4: CellType.T}.get(cause)
            assert (killer < 0) or kind[killer] == wanted
            dy, dx = (abs(killer // 32 - site // 32), abs(killer % 32 - site % 32)) if killer >= 0 else (0, 0)
            assert min(dy, 32 - dy) <= 3 and min(dx, 32 - dx) <= 3


def test_the_deaths_that_flash_are_those_of_the_ledger(session):
    """Over some days, of every cause but renewal: as many flashes as deaths in the ledger, whatever died."""
    counted = np.zeros((2, 11))
    for _ in range(24):
        session.step()
        for side, found in enumerate(ask(session, lambda: [deaths(one.simulation) for one in session.pair.sides])):
            for _, cause, _ in found:
                counted[side, cause] += 1
    for side, seen in zip(session.pair.sides, counted, strict=True):
        ledger = side.simulation.marrow.body.ledger.sum(axis=0)
        assert seen[:10].tolist() == ledger[:10].tolist() and seen[:10].sum() > 20 and seen[10] == 0


def test_where_many_die_at_once_some_flash_without_arrows(monkeypatch, session):
    session.step()
    session.wait(60)
    simulation = session.pair.sides[0].simulation
    every = ask(session, lambda: deaths(simulation))
    monkeypatch.setattr("tme_viz.screen.ARROWS", 3)
    few = ask(session, lambda: deaths(simulation, 4))
    assert len(every) > 4 == len(few) and any(killer >= 0 for *_, killer in every)
    assert all([site, cause] in [death[:2] for death in every] and killer == -1 for site, cause, killer in few)


def test_a_change_is_undone_as_if_it_had_not_been_made(session):
    for _ in range(12):
        session.step()
    session.act(0, "dose", "isatuximab", 0.0)
    session.act(1, "switch", "imid", 0.0)
    for _ in range(20):
        session.step()
    session.undo()
    session.undo()
    session.wait(60)
    other = Session(Places())
    other.prepare(replace(SMALL, day=8.0))
    other.wait(120)
    left, right = ([side.simulation.state_hash() for side in s.pair.sides] for s in (session, other))
    assert left == right and session.status.choice.events == () and session.history.days == [float(day) for day in range(9)]
    other.close()


def test_play_stops_at_the_day_that_was_asked_for_and_shows_one_that_has_passed(session):
    watch(session)
    session.play_to(5.0, 8)
    until(lambda: session.status.day == 5.0 and not session.status.playing)
    session.play_to(3.0)
    session.wait(60)
    assert session.pair.day == 5.0 and session.screen.view == 12
    session.play_to(6.25)
    until(lambda: session.status.day == 6.25 and not session.status.playing)
    assert session.screen.view is None and session.screen.until is None


def test_the_head_names_the_best_and_the_present_response(session):
    seen = watch(session)
    session.step()
    session.wait(60)
    assert seen[-1]["figures"]["best"] == seen[-1]["figures"]["now"] == ""
    session.speed(112)
    for _ in range(3):
        session.step()
    session.wait(60)
    visit = ask(session, lambda: session.pair.sides[1].visits[-1])
    figures = seen[-1]["figures"]
    assert (figures["best"], figures["now"]) == (visit.assessment.best_confirmed_response, visit.assessment.response)
    assert figures["best"]


def test_two_years_of_a_64_by_64_patch_are_remembered_within_100_mb():
    made = Session(Places())
    made.prepare(Choice(scenario="combinations", arms=("isa-pd", "pd"), size=64))
    made.speed(28)
    for _ in range(104):
        made.step()
    made.wait(300)
    assert made.pair.day == 728.0 and len(made.history) == 729
    assert made.history.n_bytes + made.pair._shelf.n_bytes < 100e6
    assert made.history.shelf.memory_bytes + made.pair._shelf.memory_bytes < 20e6
    made.close()


def test_a_quick_play_keeps_every_day(session):
    seen = watch(session)
    session.speed(112)
    session.step()
    session.speed(1)
    session.seek(13.5)
    session.wait(60)
    assert session.history.days == [float(day) for day in range(29)]
    half = seen[-1]["kind"]
    for _ in range(2):
        session.step()
    session.wait(60)
    assert seen[-1]["kind"] == ask(session, lambda: session.history.at(14)[1][1].kind.tobytes()) != half
    session.step(-1)
    session.step(-1)
    session.wait(60)
    assert seen[-1]["kind"] == half
