"""What makes the page one that can be followed and needs no more than one size of the window; test_page_sizes.py has the rest."""

import browser as driver
import pytest
from browser import DAY, PANELS, key, picture, settle

from tme_abm import run

pytestmark = pytest.mark.skipif(bool(driver.missing()), reason=f"the page is not tested here: {driver.missing()}")
SIZES = ((1440, 900), (1920, 1080), (1024, 768), (390, 844))


def test_the_address_is_the_state_and_back_leads_back(visit):
    page = visit("size=32&arms=isa-pd,pd")
    for _ in range(4):
        key(page, "ArrowRight")
    settle(page, "location.search.includes('day=1')")
    page.click(".tme-view-lessons")
    settle(page, "location.search.includes('view=lessons')")
    page.click(".tme-open-dose")
    settle(page, "location.search.includes('lesson=dose') && !location.search.includes('view=')")
    driver.ready(page)
    settle(page, "decodeURIComponent(location.search).includes('dose~isatuximab~2')")
    page.go_back()
    settle(page, "location.search.includes('view=lessons')")
    page.get_by_text("The adenosine brake").wait_for()
    page.go_back()
    settle(page, f"!location.search.includes('view=') && !!document.querySelector('.tme-time b') && {DAY} == 1")
    page.go_forward()
    settle(page, "location.search.includes('view=lessons')")
    page.go_forward()
    settle(page, "location.search.includes('lesson=dose')", 90)
    page.reload()
    page.locator(".tme-next").wait_for(timeout=60_000)
    assert "lesson=dose" in page.url


def test_the_day_is_in_the_address_as_soon_as_somebody_is_about_to_use_it(visit):
    """Steps alone write nothing, as that takes the browser longer than to draw one."""
    page = visit("size=32&arms=isa-pd,pd")
    settle(page, "location.search.includes('arms=isa-pd')")
    said = "document.querySelector('.tme-address').__vue__.link.includes('day=1')"
    leaves = (
        lambda: page.keyboard.press("Control+Shift"),
        lambda: page.evaluate("window.dispatchEvent(new Event('blur'))"),
        lambda: page.evaluate("document.documentElement.dispatchEvent(new MouseEvent('mouseleave'))"),
    )
    counted = """() => {
      const plain = History.prototype.replaceState;
      window.tmeWritten = 0;
      history.replaceState = (...a) => { window.tmeWritten++; plain.apply(history, a) };
    }"""
    for leave in leaves:
        key(page, "r")
        settle(page, "!document.querySelector('.tme-busy') && !location.search.includes('day=')")
        page.evaluate(counted)
        for _ in range(4):
            key(page, "ArrowRight")
        settle(page, said)
        assert page.evaluate("window.tmeWritten") == 0
        leave()
        settle(page, "location.search.includes('day=1')", 3)  # s, where a visitor who rests waits for five


def test_a_step_back_leads_to_the_day_that_was_left(visit):
    """Also where the address had not yet been written."""
    page = visit("size=32&arms=isa-pd,pd")
    settle(page, "location.search.includes('arms=isa-pd')")
    for _ in range(4):
        key(page, "ArrowRight")
    settle(page, "document.querySelector('.tme-address').__vue__.link.includes('day=1')")
    assert "day=1" not in page.url
    page.click(".tme-view-lessons")
    settle(page, "location.search.includes('view=lessons')")
    page.go_back()
    settle(page, f"location.search.includes('day=1') && !!document.querySelector('.tme-time b') && {DAY} == 1")


def test_a_step_takes_few_frames_of_the_browser(visit):
    """Both marrows paint their flashes in the same frames, and the first with the cells; a page at rest draws nothing."""
    page = visit("size=32&arms=isa-pd,pd&day=2")
    deaths = f"Math.max(...{PANELS}.map(panel => panel.flashes.length))"
    count = """() => {
      window.tmeFramed = new Set(); window.tmeChanges = 0;
      const plain = window.requestAnimationFrame.bind(window);
      window.requestAnimationFrame = f => plain(now => { window.tmeFramed.add(now); f(now) });
      const all = { subtree: true, childList: true, attributes: true, characterData: true };
      new MutationObserver(changes => { window.tmeChanges += changes.length }).observe(document.body, all);
    }"""
    page.evaluate(count)
    drawn = None
    for _ in range(20):  # what the page draws when it is opened takes longer on a busy computer
        page.evaluate("window.tmeFramed.clear(); window.tmeChanges = 0")
        page.wait_for_timeout(1500)
        drawn = page.evaluate("[window.tmeFramed.size, window.tmeChanges]")
        if drawn == [0, 0]:
            break
    assert drawn == [0, 0]
    page.evaluate(f"window.tmeCame = []; {PANELS}.forEach(panel => panel.$watch('moment', () => tmeCame.push(performance.now())))")
    judged = f"{PANELS}.some(panel => panel.moment.deaths.length) && tmeCame[1] - tmeCame[0] < 50"
    for _ in range(30):  # not in every step a cell dies, and on a busy computer one marrow may come later, and flash on for as long
        page.evaluate("window.tmeFramed.clear(); tmeCame.length = 0")
        key(page, "ArrowRight")
        page.wait_for_function("tmeCame.length >= 2", polling=20)
        is_judged = page.evaluate(judged)
        page.wait_for_timeout(1500)
        if is_judged:
            break
    assert is_judged
    assert page.evaluate(deaths) == 0 and 1 <= page.evaluate("window.tmeFramed.size") <= 4


def test_no_panel_shows_another_state_than_the_marrow(visit):
    """After a patient by number, a lesson on the typical one names her."""
    page = visit("size=32&patient=16")
    assert page.get_by_label("Number of the patient").input_value() == "16"
    page.click(".tme-view-lessons")
    page.click(".tme-open-nk_cells")
    settle(page, "!location.search.includes('patient=')")
    driver.ready(page)
    settle(page, "!document.querySelector('.tme-busy')")
    page.get_by_label("Number of the patient").wait_for(state="detached")
    assert "Typical" in page.locator(".tme-new").inner_text()


def test_a_dose_of_the_regimen_has_limits(visit):
    page = visit("size=32&day=1")
    page.get_by_text("Doses and schedule").click()
    dose = page.get_by_label("Dose", exact=True).first
    dose.fill("1e9 mg/kg")
    page.get_by_text("at most 200 mg/kg").wait_for()
    dose.fill("10")
    page.get_by_text("the unit is missing").wait_for()
    assert page.get_by_text("at most 200 mg/kg").count() == 0  # what was wrong before is said no more


def test_a_lesson_acts_by_itself_and_ends_with_its_answer(visit):
    page = visit("size=32&lesson=nk_cells&arms=isa,isa&without_b=nk_activation")
    page.get_by_role("button", name="Fewer NK cells").click()
    key(page, "n")
    settle(page, f"{DAY} == 1 && !!document.querySelector('#tme-play .mdi-play')")
    assert page.locator(".tme-off").count() == 6  # NK and plasma cells are left
    for day in (7, 28):
        key(page, "n")
        settle(page, f"{DAY} == {day} && !!document.querySelector('#tme-play .mdi-play')", 60)
    page.get_by_text("You predicted:").wait_for()
    said = page.locator(".tme-answer").inner_text()
    assert "as you predicted" in said and "Casneuf" in said and "Why" in said and "On the first day NK cells killed" in said
    page.click(".tme-check")
    settle(page, "/[1-9]\\d* of [1-9]\\d* twins/.test(document.querySelector('.tme-agree')?.innerText || '')", 120)
    settle(page, "document.querySelector('.tme-curves').__vue__.band.length == 2")
    page.get_by_role("button", name="Take them away").click()
    settle(page, "document.querySelector('.tme-curves').__vue__.band.length == 0")


def test_a_trial_grows_live(visit):
    page = visit("lesson=trial&scenario=icaria&arms=isa-pd,pd&patient=0&size=32")
    page.click(".tme-grow")
    settle(page, "Number(document.querySelector('.tme-growing')?.dataset.patients || 0) >= 3", 120)
    text = page.locator(".tme-growing").inner_text()
    assert "hazard ratio" in text and "Patient" in text and page.locator(".tme-km polyline").count() == 2
    settle(page, "Number(document.querySelector('.tme-growing').dataset.patients) >= 21", 240)
    assert "Its interval first appeared after 20 patients: " in page.locator(".tme-growing").inner_text()


def saved(page, label):
    """The file that a button of the page gives."""
    with page.expect_download() as held:
        page.get_by_role("button", name=label).or_(page.get_by_role("link", name=label)).first.click()
    return held.value.path().read_text(encoding="utf-8")


def test_what_was_done_live_is_played_again_by_view_and_run_to_the_same_numbers(visit, chrome, tmp_path):
    page = visit("size=32&arms=isa-pd,pd&day=2")
    page.click("input[data-mechanism=adcp][data-side='0']")
    settle(page, "document.querySelectorAll('.tme-mark').length == 1")
    for _ in range(8):
        key(page, "ArrowRight")
    settle(page, f"{DAY} == 4")
    page.fill("input.tme-dose[data-drug=pomalidomide][data-side='1']", "50")
    page.keyboard.press("Enter")
    settle(page, "document.querySelectorAll('.tme-mark').length == 2")
    page.locator("body").click(position={"x": 2, "y": 2})
    for _ in range(4):
        key(page, "ArrowRight")
    settle(page, f"{DAY} == 5")
    path, curves = tmp_path / "mine.toml", saved(page, "Curves (CSV)")
    path.write_text(saved(page, "What I did (TOML)"), encoding="utf-8")
    drawn = [picture(page, side) for side in (0, 1)]

    run(path, tmp_path / "out", workers=1)
    import pandas as pd

    table = pd.read_parquet(tmp_path / "out" / "table.parquet")
    first, *rows = (line.split(",") for line in curves.splitlines())
    at = first.index("m_protein_g_per_l")
    assert len(rows) == len(table) == 12
    shown = [(row[0].lower(), float(row[first.index("day")]), row[at]) for row in rows]
    again = zip(table["side"], table["day"], (f"{m:.6g}" for m in table["m_protein_g_per_l"]), strict=True)
    assert shown == list(again)

    with driver.serving(tmp_path, scenario=str(path)) as (address, _):
        other = chrome.new_page(viewport={"width": 1400, "height": 900})
        other.goto(address)
        driver.ready(other)
        settle(other, f"{DAY} == 5 && document.querySelectorAll('.tme-mark').length == 2")
        assert [picture(other, side) for side in (0, 1)] == drawn
        assert saved(other, "Curves (CSV)") == curves
        other.close()


def test_a_film_says_how_far_it_is_and_holds_the_days(visit):
    from PIL import Image

    page = visit("size=32&day=20")
    page.evaluate(
        """() => {
          window.tmeSaid = [];
          const look = () => { const b = document.querySelector('.tme-film'); if (b) window.tmeSaid.push(b.innerText) };
          new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
        }"""
    )
    page.click(".tme-film")
    ready = page.get_by_role("button", name="Save the film").or_(page.get_by_role("link", name="Save the film")).first
    ready.wait_for(timeout=120_000)
    said = page.evaluate("window.tmeSaid.filter(x => /\\d+ %/.test(x)).map(x => Number(x.match(/(\\d+) %/)[1]))")
    assert said == sorted(said) and len(set(said)) > 1
    with page.expect_download() as held:
        ready.click()
    with Image.open(held.value.path()) as film:
        assert film.n_frames == 21


def test_a_recorded_marrow_is_shown_while_the_model_compiles(chrome, tmp_path):
    slow = """
import os, time
import tme_viz.pair as pair
plain = pair.compile_first
def waiting(study, tell):
    tell("compiling")
    while not os.path.exists("go"):
        time.sleep(0.1)
    plain(study, tell)
pair.compile_first = waiting
"""
    with driver.serving(tmp_path, before=slow) as (address, _):
        page = chrome.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{address}/?size=32&language=it")
        frame = page.frame_locator(".tme-recorded")
        frame.locator("#day").get_by_text("Giorno").wait_for(timeout=60_000)
        settle(page, "Number(document.querySelector('.tme-recorded').contentDocument.querySelector('#scrub').value) > 3")
        assert "Compilazione" in page.locator(".tme-busy").inner_text()
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            settle(page, f"document.documentElement.clientWidth == {width}")
            assert driver.too_wide(page) <= 0
            recorded, said = (page.locator(part).bounding_box() for part in (".tme-recorded", ".tme-busy"))
            marrow = frame.locator("canvas").first.bounding_box()
            assert said["y"] >= 0 and said["y"] + said["height"] <= recorded["y"]
            assert marrow["x"] >= 0 and marrow["x"] + marrow["width"] <= width and marrow["y"] + marrow["height"] <= height, width
        headers = page.request.get(f"{address}/tme/recorded.html").headers
        assert headers["x-frame-options"] == "SAMEORIGIN" and "frame-ancestors 'self'" in headers["content-security-policy"]
        (tmp_path / "go").touch()
        driver.ready(page)  # and then the marrows are there
        assert page.locator(".tme-recorded").count() == 0
        page.close()
