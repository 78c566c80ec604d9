"""What makes the page one that can be followed, at four sizes of the window: curves, theatre, kills, address, lessons that act."""

import browser as driver
import pytest
from browser import DAY, key, picture, settle

pytestmark = pytest.mark.skipif(bool(driver.missing()), reason=f"the page is not tested here: {driver.missing()}")
SIZES = ((1440, 900), (1920, 1080), (1024, 768), (390, 844))


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_curves_stand_beside_the_marrows_on_every_screen(visit, width, height):
    """Both marrows whole and the first curve whole, before anybody scrolls; nothing is wider than the window."""
    page = visit("size=32&day=28", width, height)
    settle(page, "!!document.querySelector('[data-chart=m_protein] canvas').width")
    boxes = [page.locator(".tme-marrow canvas").nth(i).bounding_box() for i in (0, 1)]
    boxes.append(page.locator("[data-chart=m_protein] canvas").bounding_box())
    for box in boxes:
        assert box["y"] >= 0 and box["y"] + box["height"] <= height and box["x"] >= 0 and box["x"] + box["width"] <= width, box
    assert boxes[0]["y"] == pytest.approx(boxes[1]["y"], abs=1) and boxes[0]["width"] > 0.25 * min(width, 1000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width > 760:
        assert boxes[2]["x"] >= boxes[1]["x"] + boxes[1]["width"]  # beside them


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_theatre_shows_marrows_day_m_protein_and_ledger_and_nothing_else(visit, width, height):
    page = visit("size=32&day=28", width, height)
    key(page, "f")
    settle(page, "document.body.classList.contains('tme-theatre')")
    page.wait_for_timeout(500)
    seen = "e => [...document.querySelectorAll(e)].filter(x => x.offsetParent && x.getBoundingClientRect().width).length"
    shown = {part: page.evaluate(seen, part) for part in (".tme-panel", ".tme-time", ".tme-curves figure")}
    assert shown == {".tme-panel": 2, ".tme-time": 1, ".tme-curves figure": 2}
    for gone in (".tme-top *", ".tme-side *", ".tme-legend *", ".tme-take *", "button", ".tme-twins *", ".tme-small"):
        assert page.evaluate(seen, gone) == 0, gone
    assert page.evaluate("[...document.querySelectorAll('.tme-curves figure')].filter(f => f.offsetParent).map(f => f.dataset.chart)") == [
        "m_protein",
        "ledger",
    ]
    for _ in range(4):
        key(page, "ArrowRight")  # the keys still act
    settle(page, f"{DAY} == 29")
    key(page, "Escape")
    settle(page, "!document.body.classList.contains('tme-theatre')")
    assert page.locator(".tme-top").is_visible()


def test_the_ledger_gives_deaths_per_thousand_plasma_cells_and_day(visit):
    page = visit("size=32&day=28")
    settle(page, "document.querySelectorAll('.tme-ledger tr').length > 3")
    assert "per 1,000 plasma cells and day" in page.locator(".tme-ledger figcaption").inner_text()
    told = page.evaluate(
        """() => {
          const c = document.querySelector('.tme-curves').__vue__, cause = c.causes.find(x => x.name === 'imid');
          const days = c.rows.map(rows => rows.slice(1).reduce((n, r) => n + r[c.plasma], 0));
          const n = c.rows.map(rows => rows[rows.length - 1][cause.column]);
          return [c.ledger.find(r => r.name === 'imid').n, n.map((x, i) => 1000 * x / days[i])];
        }"""
    )
    assert told[0] == pytest.approx(told[1]) and told[0][0] > 0


def test_a_death_flashes_and_the_next_kill_is_slow(visit):
    page = visit("size=32&arms=isa-pd,pd")
    for _ in range(8):
        key(page, "ArrowRight")
    settle(page, f"{DAY} == 2")
    flashed = "[...document.querySelectorAll('.tme-panel')].some(p => p.__vue__.flashes.length > 0)"
    settle(page, flashed + f" || {DAY} == 2")
    key(page, "k")
    settle(page, "!!document.querySelector('.tme-kill')")
    said = page.locator(".tme-kill").first.inner_text()
    assert any(word in said for word in ("NK cells", "macrophages", "T cells"))
    slow = "[...document.querySelectorAll('.tme-panel')].map(p => !!p.__vue__.slow)"
    before, drawn = page.evaluate(slow), picture(page, 0)
    settle(page, f"({slow}).every(x => !x)", 10)
    page.wait_for_timeout(100)
    assert any(before) and (picture(page, 0) != drawn)
    over = "const c = document.querySelector('.tme-over'), pixels = c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
    ink = page.evaluate(f"(() => {{ {over}; return pixels.some(x => x) }})()")
    assert ink or page.evaluate("document.querySelectorAll('.tme-panel')[1].__vue__.flashes.length") > 0
    causes = page.locator(".tme-causes span").all_inner_texts()
    assert "ADCP (macrophages)" in causes and "Background" not in causes


def test_layers_have_colour_and_none_is_one(visit):
    page = visit("size=32&layer=none")
    frame = "document.querySelector('.tme-panel').__vue__"
    assert page.evaluate(f"{frame}.frame.layer") == "none" and page.locator(".tme-scale b").count() == 0
    plain = page.evaluate(f"{frame}.look.fields")
    assert plain["none"][0] == plain["none"][1] and len({tuple(ends) for ends in plain.values()}) > 3
    page.goto(page.url.replace("layer=none", "layer=adenosine"))
    driver.ready(page)
    assert page.locator(".tme-scale b").count() == 1 and page.evaluate(f"{frame}.frame.layer") == "adenosine"


def test_the_first_minute_says_what_is_seen(visit):
    page = visit()
    said = page.locator(".tme-hint").inner_text()
    assert "dot is one cell" in said and "A and B" in said and "Press play" in said
    key(page, "ArrowRight")
    page.locator(".tme-hint").wait_for(state="detached")


def test_response_is_named_best_confirmed_and_at_the_last_visit(visit):
    page = visit("size=32&day=56")
    head = page.locator(".tme-head").first.inner_text()
    assert "best confirmed response" in head and "at the last visit" in head
    page.goto(page.url.replace("day=56", "day=0"))
    driver.ready(page)
    assert "first visit on day 28" in page.locator(".tme-head").first.inner_text()


def test_progression_is_said_with_what_becomes_of_the_treatment(visit):
    page = visit("size=32&arms=isa,untreated&patient=high_risk&day=140")
    said = page.locator(".tme-pd").first.inner_text()
    assert "progressed on day" in said and "treatment goes on" in said


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


def test_a_patient_of_a_trial_opens_at_the_top(visit):
    page = visit("view=trials")
    page.locator("img[data-figure=survival]").wait_for(timeout=60_000)
    page.evaluate("window.scrollTo(0, 4000)")
    page.locator(".tme-waterfall [data-pick='1']").first.click()
    driver.ready(page, 60)
    settle(page, "window.scrollY == 0")
    settle(page, "location.search.includes('results') && location.search.includes('patient=1')")
    assert page.evaluate("window.scrollY") == 0
    assert page.get_by_label("Number of the patient").input_value() == "1"


def test_a_change_is_undone_by_a_key(visit):
    page = visit("size=32&day=3")
    page.click("input[data-mechanism=adcc][data-side='0']")
    settle(page, "document.querySelectorAll('.tme-mark').length == 1")
    key(page, "u")
    settle(page, "document.querySelectorAll('.tme-mark').length == 0 && document.querySelector('input[data-mechanism=adcc]').checked")
    assert page.locator("input[data-mechanism=adcc][data-side='0']").is_checked()


def test_a_dose_has_limits_and_a_slider(visit):
    page = visit("size=32&day=1")
    field = page.locator("input.tme-dose[data-drug=isatuximab][data-side='0']")
    for wrong in ("5000", "-1", ""):
        field.fill(wrong)
        field.press("Enter")
        page.get_by_text("Write a number from 0 to 1000 per cent.").wait_for()
        assert field.input_value() == "100"
    assert page.locator(".tme-mark").count() == 0
    slide = "const s = document.querySelector('.tme-slide[data-drug=isatuximab]')"
    page.evaluate(f"(() => {{ {slide}; s.value = 250; s.dispatchEvent(new Event('change')) }})()")
    settle(page, "document.querySelectorAll('.tme-mark').length == 1")
    settle(page, "document.querySelector('input.tme-dose[data-drug=isatuximab]').value == '250'")
    page.get_by_text("Doses and schedule").click()
    dose = page.get_by_label("Dose", exact=True).first
    dose.fill("1e9 mg/kg")
    page.get_by_text("at most 200 mg/kg").wait_for()
    dose.fill("10")
    page.get_by_text("the unit is missing").wait_for()


def test_the_picture_holds_the_curves(visit):
    page = visit("size=32&day=28")
    with page.expect_download() as held:
        page.click("#tme-png")
    from PIL import Image

    picture_ = Image.open(held.value.path())
    assert picture_.size[1] > 0.9 * picture_.size[0]  # below the marrows come rows of curves


def test_the_model_is_described(visit):
    page = visit("view=about&language=it")
    page.get_by_text("Come citarlo").wait_for()
    page.click(".tme-language")
    page.get_by_text("How to cite").wait_for()
    text = page.locator(".tme-about").inner_text()
    for part in ("What it is", "Its scales", "Its limits", "How sure its numbers are", "How to cite", "version 0.1"):
        assert part in text


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


def test_a_recorded_marrow_is_shown_while_the_model_compiles(chrome, tmp_path):
    slow = """
import threading
import tme_viz.pair as pair
plain, go = pair.compile_first, threading.Event()
def waiting(study, tell):
    tell("compiling")
    go.wait(25.0)
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
        headers = page.request.get(f"{address}/tme/recorded.html").headers
        assert headers["x-frame-options"] == "SAMEORIGIN" and "frame-ancestors 'self'" in headers["content-security-policy"]
        driver.ready(page)  # and then the marrows are there
        assert page.locator(".tme-recorded").count() == 0
        page.close()
