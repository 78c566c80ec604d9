"""The real page in headless Chromium: play, switch, dose, scrub, lessons, trials, two visitors at once."""

import http.client
import json

import browser as driver
import pytest
from browser import DAY, key, picture, settle

pytestmark = pytest.mark.skipif(bool(driver.missing()), reason=f"the page is not tested here: {driver.missing()}")
SECRET = "the-very-secret"
FAILS = 13  # number of the patient whose marrow fails on its second day (conftest.py)


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
    settle(page, "location.search.includes('pomalidomide')")
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
    page.locator(".tme-error").wait_for(state="detached")  # another part of the page, which may hear of it later
    assert page.locator(".tme-error").count() == 0
    field.blur()  # else the arrows move in the text
    driver.ready(page)
    for _ in range(60):  # keys are passed over while one patient is exchanged for another
        if page.evaluate(f"{DAY} >= 2"):
            break
        key(page, "ArrowRight")
        page.wait_for_timeout(200)
    settle(page, f"{DAY} >= 2")
    assert page.locator(".tme-error").count() == 0


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
    assert driver.too_wide(page) <= 0
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


def test_the_reports_table_of_results_needs_no_scrolling(results, chrome):
    page = chrome.new_page(viewport={"width": 1200, "height": 900})
    page.goto((results / "report.html").as_uri())
    assert "after mass spectrometry" in page.locator("#results").inner_text()
    page.evaluate(  # the widest that these numbers can become
        """document.querySelector('#results .scroll').querySelectorAll('td.n').forEach((td, i) => {
          td.firstChild.textContent = i % 7 < 2 ? '300' : i % 7 === 2 ? 'not reached' : '100.0 %';
          const range = td.querySelector('small:not(.word)');
          if (range && i % 7 > 1) range.textContent = i % 7 === 2 ? '10.7 to not reached' : '45.6 to 100.0';
        })"""
    )
    wide = page.evaluate("[...document.querySelectorAll('#results .scroll')].map(e => e.scrollWidth - e.clientWidth)")
    page.close()
    assert wide and max(wide) <= 0
