"""The real page in headless Chromium: play, switch, dose, scrub, lessons, trials, two visitors at once."""

import hashlib
import http.client
import json

import browser as driver
import pytest

from tme_abm.scenario.kinds import load_scenario
from tme_abm.scenario.running import run

pytestmark = pytest.mark.skipif(bool(driver.missing()), reason=f"the page is not tested here: {driver.missing()}")
DAY = "Number(document.querySelector('.tme-time b').textContent.replace(/[^0-9]/g, ''))"


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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    study = load_scenario("icaria", ["marrow.shape=[32,32]", 'trial.follow_up=["3 month","4 month"]', "published=[]"], 4)
    run(study, folder / "results" / "small", 2)
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


def settle(page, truth, seconds=60):
    page.wait_for_function(truth, timeout=1000 * seconds)


def key(page, name):
    page.keyboard.press(name)


def picture(page, side=0):
    """A digest of what is drawn; pictures themselves would make an unreadable message."""
    return hashlib.sha256(page.evaluate(f"document.querySelectorAll('.tme-marrow canvas')[{side}].toDataURL()").encode()).hexdigest()[:12]


def same(page):
    """Wait until both marrows show the same."""
    settle(page, "new Set(Array.from(document.querySelectorAll('.tme-marrow canvas')).map(c => c.toDataURL())).size == 1")


def test_play_step_and_rewind_by_keys(visit):
    page = visit()
    assert page.evaluate(DAY) == 0
    same(page)
    key(page, " ")
    settle(page, f"{DAY} >= 5")
    key(page, " ")
    settle(page, "!!document.querySelector('#tme-play .mdi-play')")
    page.wait_for_timeout(300)
    day, present = page.evaluate(DAY), picture(page)
    assert present != picture(page, 1)
    for _ in range(4):
        key(page, "ArrowRight")
    settle(page, f"{DAY} == {day + 1}")
    page.wait_for_timeout(300)
    after = picture(page)
    key(page, "Home")
    settle(page, f"{DAY} == 0")
    same(page)
    assert "past" in page.locator(".tme-note").inner_text()
    key(page, "End")
    settle(page, f"{DAY} == {day + 1}")
    page.wait_for_timeout(300)
    assert picture(page) == after
    key(page, "r")
    settle(page, f"{DAY} == 0 && document.querySelector('#tme-scrub').max == 1")


def test_the_scrubber_shows_a_day(visit):
    page = visit("size=32&day=20")
    assert page.evaluate(DAY) == 20
    page.evaluate("(() => { const s = document.querySelector('#tme-scrub'); s.value = 7; s.dispatchEvent(new Event('input')) })()")
    settle(page, f"{DAY} == 7")


def test_a_switch_and_a_dose_act_and_stand_on_the_axis(visit):
    page = visit("size=32&day=3")
    page.click("input[data-mechanism=adcc][data-side='0']")
    settle(page, "document.querySelectorAll('.tme-mark').length == 1")
    settle(page, "document.querySelector('.tme-head').textContent.includes('ADCC off')")
    page.fill("input.tme-dose[data-drug=pomalidomide][data-side='1']", "50")
    page.keyboard.press("Enter")
    settle(page, "document.querySelectorAll('.tme-mark.tme-side1').length == 1")
    page.click("#tme-link")
    settle(page, "location.search.includes('event=')")
    assert "3~a~switch~adcc~0" in page.url.replace("%7E", "~") and "3~b~dose~pomalidomide~0.5" in page.url.replace("%7E", "~")


def test_a_link_reopens_the_same_picture(visit, chrome):
    query = "size=32&day=9&event=4~b~dose~pomalidomide~0&arms=isa-pd,isa-pd"
    first, second = visit(query), visit(query)
    assert [picture(first, side) for side in (0, 1)] == [picture(second, side) for side in (0, 1)]
    assert picture(first, 0) != picture(first, 1)


def test_a_link_keeps_what_is_looked_at(visit):
    page = visit("size=32&layer=cd38&hidden=stroma,t&language=it")
    settle(page, "document.querySelectorAll('.tme-off').length == 2")
    assert page.evaluate("document.querySelector('.tme-panel').__vue__.frame.layer") == "cd38"
    assert "1\u202f000\u202f000 siti per cellula" in page.locator(".tme-scale").inner_text().replace("\n", " ")
    link = page.evaluate("document.querySelector('.tme-souvenir').dataset.link")
    assert "layer=cd38" in link and "hidden=t%2Cstroma" in link and "language=it" in link


def test_two_visitors_have_marrows_of_their_own(visit):
    one, other = visit(), visit()
    for _ in range(4):
        key(one, "ArrowRight")
    settle(one, f"{DAY} == 1")
    assert other.evaluate(DAY) == 0


def test_the_legend_hides_and_a_cell_tells_about_itself(visit):
    page = visit()
    before = picture(page)
    page.get_by_role("button", name="plasma cell").click()
    page.locator(".tme-off").wait_for()
    page.wait_for_timeout(300)
    assert picture(page) != before
    assert page.locator(".tme-off").inner_text().lower() == "plasma cell"
    frame = page.evaluate("Array.from(document.querySelector('.tme-panel').__vue__.frame.kind)")
    site = frame.index(8)
    box = page.locator(".tme-marrow canvas").first.bounding_box()
    size = box["width"] / 32
    page.mouse.click(box["x"] + (site % 32 + 0.5) * size, box["y"] + (site // 32 + 0.5) * size)
    settle(page, "!!document.querySelector('.tme-cell')")
    assert "stromal cell" in page.locator(".tme-cell").inner_text()
    page.locator(".tme-cell a").click()
    settle(page, "!!document.querySelector('.tme-table')")


def test_bad_input_gets_a_message_beside_the_field(visit):
    page = visit("size=32&patient=1")
    field = page.get_by_label("Number of the patient")
    field.fill("one")
    field.press("Enter")
    page.get_by_text("Write a whole number").wait_for()
    page.get_by_text("Doses and schedule").click()
    dose = page.get_by_label("Dose", exact=True).first
    dose.fill("10 mg/kgg")
    page.get_by_text("unknown unit 'mg/kgg'").wait_for()
    assert page.get_by_role("button", name="Apply and start again").is_disabled()
    dose.fill("20 mg/kg")
    page.get_by_role("button", name="Apply and start again").click()
    settle(page, "decodeURIComponent(document.querySelector('.tme-souvenir').dataset.link).includes('20+mg/kg')")


def test_a_bad_link_is_told_and_the_page_stays_usable(visit):
    page = visit("size=32&patient=typcal")
    page.get_by_text("did you mean 'typical'").wait_for()
    for _ in range(4):
        key(page, "ArrowRight")
    settle(page, f"{DAY} == 1")
    assert page.locator(".tme-marrow canvas").count() == 2


def test_a_failing_model_is_told_and_the_page_stays_usable(visit):
    page = visit(f"size=32&patient={FAILS}")
    key(page, " ")
    page.get_by_text("This cannot run: RuntimeError: a hazard exceeded").wait_for()
    settle(page, f"!!document.querySelector('#tme-play .mdi-play') && {DAY} == 1")
    key(page, "Home")
    settle(page, f"{DAY} == 0")
    field = page.get_by_label("Number of the patient")
    field.fill("12")
    field.press("Enter")
    settle(page, "document.querySelector('.tme-souvenir').dataset.link.includes('patient=12')", 60)
    assert page.locator(".tme-error").count() == 0
    field.blur()  # else the arrows move in the text
    driver.ready(page)
    for _ in range(8):
        key(page, "ArrowRight")
    settle(page, f"{DAY} == 2")


def test_no_other_file_can_be_opened_through_the_page(visit, site):
    for name in ("../secret", "results:..", "/etc/passwd", "results:../results/small"):
        page = visit(f"size=32&scenario={name}")
        page.get_by_text("there is no scenario").or_(page.get_by_text("there are no results")).wait_for()
        assert SECRET not in page.content()
    host, port = site.removeprefix("http://").split(":")
    passwd = "../" * 12 + "etc/passwd"
    ways = (passwd, passwd.replace("/", "%2f"), passwd.replace(".", "%2e"), "../secret.toml", "secret.toml")
    for head in ("/", "/static/", "/static/public/", "/static/assets/", "/static/nbextensions/", "/_solara/cdn/", "/results/"):
        for way in ways:
            connection = http.client.HTTPConnection(host, int(port), timeout=30)
            connection.request("GET", head + way)
            body = connection.getresponse().read().decode(errors="replace")
            connection.close()
            assert "root:" not in body and SECRET not in body, head + way


def test_a_lesson_opens_its_experiment_in_both_languages(visit):
    page = visit("view=lessons")
    page.get_by_text("The adenosine brake").wait_for()
    page.get_by_role("button", name="Within days").click()
    page.click(".tme-open-adenosine")
    page.get_by_text("You predict: Within days").wait_for()
    settle(page, "Array.from(document.querySelectorAll('.tme-head')).some(head => head.textContent.includes('Enzyme block off'))")
    page.click(".tme-language")
    page.get_by_text("Il freno dell'adenosina").wait_for()
    page.click(".tme-fold")
    page.get_by_text("Esperimento preparato").wait_for(state="detached")
    page.click(".tme-fold")
    page.get_by_text("Esperimento preparato").wait_for()
    assert page.get_by_text("Prepared experiment").count() == 0


def test_the_trial_page_opens_the_marrow_of_a_patient(visit):
    page = visit("view=trials")
    page.locator("img[data-figure=survival]").wait_for(timeout=60_000)
    page.locator(".tme-waterfall [data-pick='2']").first.click()
    driver.ready(page, 60)
    page.click("#tme-link")
    settle(page, "location.search.includes('results%3Asmall')")
    assert "patient=2" in page.url


def test_a_small_trial_goes_on_while_one_looks_elsewhere_and_can_be_cancelled(visit):
    page = visit("view=trials")
    page.locator(".tme-run").wait_for()
    page.get_by_label("Patients (2 to 200)").fill("1")
    page.get_by_text("Write a whole number from 2 to 200.").wait_for()
    page.get_by_label("Patients (2 to 200)").fill("150")
    page.click(".tme-run")
    page.locator(".tme-cancel").wait_for()
    page.click(".tme-view-lessons")  # looking elsewhere does not end it
    page.get_by_text("The adenosine brake").wait_for()
    page.wait_for_timeout(300)
    page.click(".tme-view-trials")
    page.locator(".tme-cancel").wait_for()
    settle(page, "/Running: [1-9]/.test(document.querySelector('.tme-small-trial').innerText)", 120)
    page.click(".tme-cancel")
    page.get_by_text("Cancelled; nothing was kept.").wait_for(timeout=60_000)
    assert page.locator(".tme-cancel").count() == 0


def test_it_fits_a_tablet(visit):
    page = visit("size=32", width=800)
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    boxes = [page.locator(".tme-marrow canvas").nth(i).bounding_box() for i in (0, 1)]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[1]["x"] + boxes[1]["width"] <= 800
    tops = [page.locator(part).first.bounding_box()["y"] for part in (".tme-curves", ".tme-marrow", ".tme-whatif")]
    assert tops == sorted(tops)


def test_the_theme_is_the_systems_until_one_is_chosen(site, chrome):
    context = chrome.new_context(color_scheme="dark")
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    look = "!!document.querySelector('.v-application.theme--dark') && document.querySelector('.tme-panel').__vue__.look.dark"
    for _ in range(2):  # the second time the shell knows it from the start
        page.goto(f"{site}/?size=32")
        driver.ready(page)
        settle(page, look)
    page.click("#tme-theme")
    settle(page, f"!({look})")
    page.goto(f"{site}/?size=32")
    driver.ready(page)
    page.wait_for_timeout(300)
    settle(page, f"!({look})")
    page.emulate_media(color_scheme="light")
    page.evaluate("localStorage.clear()")
    page.goto(f"{site}/?size=32&language=it")
    driver.ready(page)
    settle(page, f"!({look}) && document.documentElement.lang == 'it'")
    context.close()
    assert errors == []


def test_nothing_leaves_for_other_hosts(site, chrome):
    page = chrome.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site}/?size=32")
    driver.ready(page)
    page.close()
    assert [url for url in asked if not url.startswith((site, site.replace("http", "ws"), "data:", "blob:"))] == []
    assert json.dumps(asked).count(site) > 3


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
    settle(page, f"!location.search.includes('view=') && {DAY} == 1")
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
    assert "trial=small" in page.url or "results" in page.url


def test_a_change_is_undone_by_a_key(visit):
    page = visit("size=32&day=3")
    page.click("input[data-mechanism=adcc][data-side='0']")
    settle(page, "document.querySelectorAll('.tme-mark').length == 1")
    key(page, "u")
    settle(page, "document.querySelectorAll('.tme-mark').length == 0 && document.querySelector('input[data-mechanism=adcc]').checked")


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


def test_a_recorded_marrow_is_shown_while_the_model_compiles(visit, site):
    """The very frame of that page, which the gate serves to this page alone."""
    page = visit()
    headers = page.request.get(f"{site}/tme/recorded.html").headers
    assert headers["x-frame-options"] == "SAMEORIGIN" and "frame-ancestors 'self'" in headers["content-security-policy"]
    address = "/tme/recorded.html?play&language=it"
    page.evaluate(
        f"(() => {{ const f = document.createElement('iframe'); f.id = 'rec'; f.src = '{address}'; document.body.prepend(f) }})()"
    )
    frame = page.frame_locator("#rec")
    frame.locator("#day").get_by_text("Giorno").wait_for()
    settle(page, "Number(document.querySelector('#rec').contentDocument.querySelector('#scrub').value) > 3")
    page.close()
