"""Every point that makes the page one that can be followed, at four sizes of the window: a page is loaded once a size and walked through.

Where a test begins is opened by the address, as a step in the browser's history does it, without loading the page again (`turn`).
"""

import time
import tomllib
from dataclasses import replace

import browser as driver
import pytest
from browser import DAY, PANELS, key, settle
from tme_viz.choice import Choice
from tme_viz.lessons import lessons
from tme_viz.session import SETTLED

pytestmark = pytest.mark.skipif(bool(driver.missing()), reason=f"the page is not tested here: {driver.missing()}")
SIZES = ((1440, 900), (1920, 1080), (1024, 768), (390, 844))
PLAIN = "size=32&arms=isa-pd,pd"
TRANSPORT = "document.querySelector('.tme-transport').parentElement.__vue__"
ADDRESS = "document.querySelector('.tme-address').__vue__"
SAID = f"""(() => {{
  const said = new URLSearchParams({ADDRESS}.link), now = {TRANSPORT}.state;
  return Number(said.get('day') || 0) === now.last && said.getAll('event').length === now.events.length;
}})()"""  # the address has heard of what was done last
BESIDE = """e => {
  const words = document.createRange(); words.selectNodeContents(e.lastChild);
  const word = words.getClientRects()[0], dot = e.querySelector('i').getBoundingClientRect();
  return [word.left - dot.right, Math.abs(word.top + word.bottom - dot.top - dot.bottom) / 2];
}"""  # px from a dot to the first line of its name, and by how much one is higher than the other
LEFT = "Cannot send"  # what a page says that is loaded again while it answers
STEPS = 4  # of the keys in a day


@pytest.fixture(scope="module", params=SIZES, ids=[f"{w}x{h}" for w, h in SIZES])
def window(site, chrome, request):
    """A page at one size, loaded once."""
    width, height = request.param
    page = chrome.new_page(viewport={"width": width, "height": height}, color_scheme="light")
    page.set_default_timeout(60_000)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)) if str(error) != LEFT else None)
    page.goto(f"{site}/?{PLAIN}")
    driver.ready(page)
    yield page, errors
    page.close()


@pytest.fixture
def page(window):
    opened, errors = window
    key(opened, "Escape")  # out of the theatre, where a test before ended there
    driver.scroll(opened, 0)
    yield opened
    assert errors == []


def choice(query):
    """The pair of marrows that a link means."""
    return Choice.read(query)


def turn(page, query=PLAIN):
    """Open what a link says as the browser's history does, and wait until it is drawn."""
    if not page.locator(".tme-transport").count():
        page.click(".tme-view-live")
        page.locator(".tme-transport").wait_for()
        driver.ready(page)
    settle(page, SAID)
    generation = page.evaluate(f"{TRANSPORT}.generation")
    is_new = choice(query) != choice(page.evaluate(f"{ADDRESS}.link"))
    page.evaluate("q => { history.pushState({}, '', '?' + q); window.dispatchEvent(new PopStateEvent('popstate')) }", query)
    settle(page, f"{ADDRESS}.answered === {ADDRESS}.asked")
    if is_new:
        are_drawn = f"{PANELS}.every(panel => panel.frame && panel.frame.generation > {generation})"  # not one of before
        settle(page, f"{TRANSPORT}.generation > {generation} && {TRANSPORT}.ready && {are_drawn}", 120)
    settle(page, f"{DAY} == {int(choice(query).day)}")


def in_sight(page, selector, n=0):
    """The box of a part, which nobody has to scroll to and nothing covers."""
    part = page.locator(selector).nth(n)
    part.wait_for(state="visible")
    box, size = part.bounding_box(), page.viewport_size
    assert box["width"] > 0 and box["height"] > 0, selector
    assert box["x"] >= 0 and box["x"] + box["width"] <= size["width"] + 0.5, (selector, box)
    assert box["y"] >= 0 and box["y"] + box["height"] <= size["height"] + 0.5, (selector, box)
    above = """e => {
      const b = e.getBoundingClientRect(), t = document.elementFromPoint(b.x + b.width / 2, b.y + Math.min(b.height / 2, 20));
      const is_seen = getComputedStyle(e).pointerEvents === 'none' || (t && (e.contains(t) || t.contains(e)));
      return is_seen ? '' : t ? `${t.tagName} ${t.id} ${t.className}` : 'nothing';
    }"""
    assert not (over := part.evaluate(above)), f"{over} lies over {selector}"
    return box


def reach(page, selector, n=0):
    """A part that can be used here, after scrolling down at most: never sideways, and not covered."""
    part = page.locator(selector).nth(n)
    driver.bring(part)
    in_sight(page, selector, n)
    return part


def fits(page):
    """Nothing is wider than the window."""
    assert driver.too_wide(page) <= 0


def at_the_top(page):
    """Wait until nothing is scrolled."""
    page.wait_for_function(f"(() => {{ {driver.SCROLLERS} return all.every(e => e.scrollTop === 0) }})()")


def step_to(page, day):
    """Step by the key up to a day."""
    for _ in range(STEPS * (day - page.evaluate(DAY))):
        key(page, "ArrowRight")
    settle(page, f"{DAY} == {day}")


def test_the_first_minute_says_what_a_dot_is_and_what_to_press(page):
    turn(page)
    in_sight(page, ".tme-hint")
    said = page.locator(".tme-hint").inner_text()
    assert "dot is one cell" in said and "A and B" in said and "Press play" in said
    in_sight(page, "#tme-play")
    fits(page)
    generation = page.evaluate(f"{TRANSPORT}.generation")
    key(page, "r")  # other marrows at day 0
    settle(page, f"{PANELS}.every(panel => panel.frame.generation > {generation})")
    stands = page.locator(".tme-marrow").first.bounding_box()
    key(page, "ArrowRight")
    page.locator(".tme-hint").wait_for(state="hidden")
    if page.viewport_size["width"] > 760:  # a phone has no room to spare
        assert page.locator(".tme-marrow").first.bounding_box() == stands  # what is looked at does not jump
    turn(page, f"{PLAIN}&day=2")
    assert not page.locator(".tme-hint").count() and page.locator(".tme-marrow").first.bounding_box()["y"] < stands["y"]  # no empty line


def test_curves_stand_beside_the_marrows(page):
    """Both marrows whole and the first curve whole, before anybody scrolls; nothing is wider than the window."""
    for language in ("", "&language=it"):
        turn(page, f"{PLAIN}&day=28{language}")
        settle(page, "!!document.querySelector('[data-chart=m_protein] canvas').width")
        width = page.viewport_size["width"]
        left, right = (in_sight(page, ".tme-marrow canvas", i) for i in (0, 1))
        curve = in_sight(page, "[data-chart=m_protein] canvas")
        assert left["y"] == pytest.approx(right["y"], abs=1) and left["width"] > 0.25 * min(width, 1000)
        fits(page)
        if width > 760:
            assert curve["x"] >= right["x"] + right["width"]  # beside them


def test_the_head_names_the_best_confirmed_response_and_the_present_one(page):
    turn(page, f"{PLAIN}&day=56")
    for side in (0, 1):
        in_sight(page, ".tme-head .tme-response", side)
        head = page.locator(".tme-head").nth(side).inner_text()
        given = page.evaluate(f"{PANELS}[{side}].figures")
        assert f"best confirmed response {given['best']}, at the last visit {given['now']}" in " ".join(head.split())
    turn(page)
    assert "first visit on day 28" in page.locator(".tme-head").first.inner_text()


def test_progression_is_said_with_what_becomes_of_the_treatment(page):
    turn(page, "size=32&arms=isa,untreated&patient=high_risk&day=84")
    in_sight(page, ".tme-panel[data-side='1'] .tme-pd")
    day = page.evaluate(f"{PANELS}[1].figures.progression")
    said = " ".join(page.locator(".tme-panel[data-side='1'] .tme-pd").inner_text().split())
    assert said == f"progressed on day {day:.0f}; here treatment goes on; a trial would end it"
    fits(page)


def test_the_ledger_gives_deaths_per_thousand_plasma_cells_and_day(page):
    turn(page, f"{PLAIN}&day=28")
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
    for row in page.locator(".tme-ledger tr").all():  # a name is not cut off, nor pushed away from its dot
        row.scroll_into_view_if_needed()
        name, bars = (row.locator(part).bounding_box() for part in ("th", "td"))
        gap, off = row.locator("th").evaluate(BESIDE)
        assert 0 <= gap < 14 and off < 8 and name["x"] + name["width"] <= bars["x"] + 0.5
        assert row.locator("th").evaluate("e => e.scrollWidth <= e.clientWidth + 1")


def test_the_theatre_shows_marrows_day_m_protein_and_ledger_and_nothing_else(page):
    turn(page, f"{PLAIN}&day=28")
    key(page, "f")
    settle(page, "document.body.classList.contains('tme-theatre')")
    settle(page, "Math.abs(document.querySelector('.tme-page').offsetWidth - document.documentElement.clientWidth) < 2")
    seen = "e => [...document.querySelectorAll(e)].filter(x => x.offsetParent && x.getBoundingClientRect().width).length"
    shown = {part: page.evaluate(seen, part) for part in (".tme-panel", ".tme-time", ".tme-curves figure")}
    assert shown == {".tme-panel": 2, ".tme-time": 1, ".tme-curves figure": 2}
    for gone in (".tme-top *", ".tme-side *", ".tme-legend *", ".tme-take *", "button", ".tme-twins *", ".tme-small"):
        assert page.evaluate(seen, gone) == 0, gone
    assert page.evaluate("[...document.querySelectorAll('.tme-curves figure')].filter(f => f.offsetParent).map(f => f.dataset.chart)") == [
        "m_protein",
        "ledger",
    ]
    assert "per 1,000 plasma cells and day" in page.locator(".tme-ledger figcaption").inner_text()
    for part, n in ((".tme-time", 0), (".tme-marrow canvas", 0), (".tme-marrow canvas", 1), ("[data-chart=m_protein] canvas", 0)):
        in_sight(page, part, n)
    in_sight(page, ".tme-ledger tr:last-child")  # on a projector nobody scrolls
    step_to(page, 29)  # the keys still act
    key(page, "Escape")
    settle(page, "!document.body.classList.contains('tme-theatre')")
    in_sight(page, ".tme-top")


def test_a_step_of_a_lesson_acts_by_itself_by_a_key_in_the_theatre_too(page):
    page.click(".tme-view-lessons")
    reach(page, ".tme-open-resistance").click()  # far down the list
    settle(page, "location.search.includes('lesson=resistance') && !location.search.includes('view=')")
    driver.ready(page)
    at_the_top(page)
    reach(page, ".tme-next")
    turn(page, "size=32&arms=isa,isa&without_b=nk_activation&lesson=nk_cells")
    fits(page)
    key(page, "f")
    settle(page, "document.body.classList.contains('tme-theatre')")
    key(page, "n")
    settle(page, f"{DAY} == 1 && !!document.querySelector('#tme-play .mdi-play')")
    key(page, "Escape")
    settle(page, "!document.body.classList.contains('tme-theatre') && document.querySelectorAll('.tme-off').length == 6")
    settle(page, "document.querySelector('.tme-step').innerText.includes('1/4')")
    assert page.evaluate(DAY) == 1 and page.locator(".tme-off").count() == 6  # NK and plasma cells are left


@pytest.mark.parametrize("name", ["killing", "resistance", "trial"])
def test_the_question_of_a_lesson_stands_with_both_marrows_and_the_first_curve(page, name):
    """Before the first step, without scrolling; on a phone the marrows come right after the question, before all else of the lesson."""
    for language in ("en", "it"):
        turn(page, replace(lessons()[name].choice, size=32).query(lesson=name, language=language))
        settle(page, f"document.querySelector('.tme-lesson .tme-question')?.innerText === {lessons()[name].texts[language].question!r}")
        settle(page, "!!document.querySelector('[data-chart=m_protein] canvas').width")
        question = in_sight(page, ".tme-lesson-body .tme-question")
        marrows = [in_sight(page, ".tme-marrow canvas", side) for side in (0, 1)]
        assert question["y"] + question["height"] <= marrows[0]["y"] and marrows[0]["width"] > 0.22 * min(page.viewport_size["width"], 1000)
        fits(page)
        if page.viewport_size["width"] > 760:
            in_sight(page, "[data-chart=m_protein] canvas")
            in_sight(page, ".tme-next")
            assert page.locator(".tme-lesson-body").evaluate("e => e.scrollHeight <= e.clientHeight + 1")  # all of its text is seen
        else:
            others = [page.locator(part).bounding_box()["y"] for part in (".tme-predict", ".tme-experiment", ".tme-step")]
            assert marrows[0]["y"] + marrows[0]["height"] < others[0] < others[1] < others[2]
    if name == "killing":
        key(page, "n")
        settle(page, f"{DAY} == {lessons()[name].steps[0].day} && !!document.querySelector('#tme-play .mdi-play')")
        driver.scroll(page, 0)
        for side in (0, 1):
            in_sight(page, ".tme-marrow canvas", side)


RECORDER = """() => {
  window.tmePainted = [];
  document.querySelectorAll('.tme-panel').forEach((panel, side) => {
    const p = panel.__vue__;
    p.plain_paint = p.paint;
    p.paint = () => {
      p.plain_paint();
      const c = p.$refs.over, g = c.getContext('2d'), unit = c.width / p.frame.size;
      const size = p.frame.size, middle = site => [(site % size + 0.5) * unit, (Math.floor(site / size) + 0.5) * unit];
      const ink = (x, y) => [...g.getImageData(x, y, 1, 1).data];
      const now = performance.now(), age = d => (now - d.born) / 1350, arrow = 2.25;  // ms, px
      const rim = d => unit * (0.7 + 1.1 * age(d)) - 0.5;
      const spot = d => {  // 60 degrees beside the tip of the arrow, where that is least wide; across the torus' rim is none
        const [x, y] = middle(d.site), [u, v] = middle(d.killer), far = Math.hypot(x - u, y - v), is_near = far < c.width / 2;
        const to = Math.atan2(y - v, x - u) + Math.PI / 3, out = (arrow + rim(d)) / 2;
        const rim_of_arrow = [...Array(49).keys()].map(i => ink(u + i % 7 - 3, v + Math.floor(i / 7) - 3));  // about the killer
        return { side, cause: d.cause, ink: ink(x + out * Math.cos(to), y + out * Math.sin(to)), from: is_near ? rim_of_arrow : null };
      };
      // Once the other flashes of the step are over, and while the disc is wide enough to be seen beside the arrow.
      const is_clear = d => d.long && age(d) > 0.4 && rim(d) > arrow + 3;
      if (!p.slow) window.tmePainted.push(...p.flashes.filter(is_clear).map(spot));
    };
  });
}"""
FORGET = f"{PANELS}.forEach(p => {{ p.paint = p.plain_paint }})"


def test_flashes_end_with_the_marrow_in_which_they_flashed(page):
    """Where time stands still, so that they do not fade by themselves."""
    blank = """panel => {
      const over = panel.$refs.over;
      return !over.getContext('2d').getImageData(0, 0, over.width, over.height).data.some(Boolean);
    }"""
    turn(page)
    page.evaluate(
        f"""(() => {{
          const now = performance.now(); performance.now = () => now;
          for (const p of {PANELS}) {{ p.flashes.push({{ site: 40, cause: 0, killer: -1, born: now }}); p.paint() }}
        }})()"""
    )
    try:
        assert page.evaluate(f"{PANELS}.map({blank})") == [False, False]
        turn(page, f"{PLAIN}&patient=elderly")
        assert page.evaluate(f"{PANELS}.map({blank})") == [True, True]
    finally:
        page.evaluate("delete performance.now")


def test_a_kill_is_seen_slowly_and_flashes_in_the_colour_of_its_cause_with_an_arrow(page):
    turn(page)
    step_to(page, 1)
    page.evaluate(RECORDER)
    for _ in range(5):  # a computer with much else to do may miss a flash
        key(page, "k")
        settle(page, "!!document.querySelector('.tme-kill')")
        label = page.locator(".tme-kill").first.inner_text()
        assert any(word in label for word in ("NK cells", "macrophages", "T cells"))
        in_sight(page, ".tme-kill")
        settle(page, f"{PANELS}.every(p => !p.slow && p.flashes.length === 0)")
        if painted := page.evaluate("window.tmePainted.filter(x => x.ink[3] > 60)"):
            break
    page.evaluate(FORGET)
    causes = page.evaluate(f"{PANELS}[0].look.causes")
    for flash in painted:
        colour = causes[str(flash["cause"])]["colour"].lstrip("#")
        drawn = [int(colour[i : i + 2], 16) for i in (0, 2, 4)]
        assert flash["ink"][:3] == pytest.approx(drawn, abs=8)
        if flash["from"] is not None:  # the arrow begins at the killer: its white rim is seen over a disc that covers both cells too
            assert any(alpha > 60 and sum(ink) > sum(drawn) + 40 for *ink, alpha in flash["from"])
    assert any(flash["from"] for flash in painted)
    named = page.locator(".tme-causes span").all_inner_texts()
    assert {causes[str(flash["cause"])]["label"] for flash in painted} <= set(named) and "Background" not in named
    for n in range(len(named)):
        reach(page, ".tme-causes span", n)


def test_a_layer_is_drawn_in_colour_with_a_scale_and_none_is_one(page):
    """The picture differs from layer to layer; where space is coloured, it is between the two ends of the scale that stands below."""
    pictures = {}
    turn(page)
    between = """() => {
      const f = document.querySelector('.tme-panel').__vue__.frame, c = document.querySelector('.tme-marrow canvas');
      const zoom = c.width / f.size, g = c.getContext('2d'), seen = new Set();
      const ink = site => g.getImageData(site % f.size * zoom, Math.floor(site / f.size) * zoom, 1, 1).data.slice(0, 3).join();
      f.kind.forEach((kind, site) => { if (!kind) seen.add(ink(site)) });
      return [...seen];
    }"""
    for layer in ("adenosine", "il6", "chemokine", "cd38", "activity", "clone", "none"):
        turn(page, f"{PLAIN}&layer={layer}")
        settle(page, f"{PANELS}.every(p => p.frame.layer === '{layer}')")
        pictures[layer] = driver.picture(page)
        shades = page.evaluate(f"{PANELS}[0].look.fields['{layer}']")
        drawn = {tuple(map(int, ink.split(","))) for ink in page.evaluate(between)}
        low, high = ([int(end[i : i + 2], 16) for i in (1, 3, 5)] for end in shades)
        if layer in ("adenosine", "il6", "chemokine"):
            assert len(drawn) > 5 and all(min(a, b) <= x <= max(a, b) for ink in drawn for x, a, b in zip(ink, low, high, strict=True))
        else:
            assert drawn == {tuple(low)}
        if layer == "none":
            assert not page.locator(".tme-scale").inner_text().strip()
            continue
        box = reach(page, ".tme-scale")
        assert page.locator(".tme-scale").evaluate("e => parseFloat(getComputedStyle(e).fontSize)") >= 13
        if layer == "clone":
            assert page.locator(".tme-scale span").count() == 5
        else:
            bar = reach(page, ".tme-scale b")
            assert bar.bounding_box()["width"] >= 80
            ends = page.locator(".tme-scale").inner_text().split()
            assert len(ends) >= 3 and box is not None
    assert len(set(pictures.values())) == len(pictures)
    turn(page)
    page.locator(".tme-layer .v-select").click()
    page.get_by_role("option", name="CD38 sites").click()
    settle(page, f"{PANELS}[0].frame.layer === 'cd38' && location.search.includes('layer=cd38')")
    step_to(page, 1)  # the keys act at once, without a click elsewhere


def test_the_address_is_the_state_and_reload_keeps_it(page):
    turn(page)
    step_to(page, 2)
    page.get_by_role("button", name="stromal cell").click()
    reach(page, "input[data-mechanism=adcc][data-side='1']").click()
    settle(page, "document.querySelectorAll('.tme-mark').length == 1")
    driver.scroll(page, 0)
    page.click(".tme-language")
    settle(page, "['language=it', 'hidden=stroma', 'day=2', 'b~switch~adcc~0'].every(x => decodeURIComponent(location.search).includes(x))")
    address, drawn = page.url, [driver.picture(page, side) for side in (0, 1)]
    heads = page.locator(".tme-head").all_inner_texts()
    page.reload()
    driver.ready(page)
    settle(page, f"{DAY} == 2 && document.querySelectorAll('.tme-mark').length == 1")
    settle(page, "document.querySelectorAll('.tme-off').length == 1")
    assert page.url == address and page.locator(".tme-head").all_inner_texts() == heads
    settle(page, "document.querySelector('.tme-panel').__vue__.look.hidden.length == 1")
    assert [driver.picture(page, side) for side in (0, 1)] == drawn
    page.click(".tme-view-about")
    settle(page, "location.search.includes('view=about')")
    page.click(".tme-view-lessons")
    settle(page, "location.search.includes('view=lessons')")
    page.go_back()
    settle(page, "location.search.includes('view=about') && !!document.querySelector('.tme-about')")
    page.go_back()
    settle(page, f"!!document.querySelector('.tme-time b') && {DAY} == 2")


def test_no_panel_shows_another_state_than_the_marrow(page):
    """Patient, arms, doses, switches, layer, day and curves are those of the marrows, whatever the way to them."""

    shown = f"""() => {{
      const all = (which, read) => [...document.querySelectorAll(which)].map(read), curves = document.querySelector('.tme-curves').__vue__;
      const chosen = Object.fromEntries(all('.tme-new .v-select', e => [e.__vue__.label, e.__vue__.value]));
      const column = curves.charts.find(c => c.key === 'm_protein').series[0].column, is = (a, b) => Math.abs(a - b) <= 1e-6 * Math.abs(b);
      return {{
        patient: chosen.Patient, arms: [chosen['Arm A'], chosen['Arm B']],
        heads: all('.tme-head > b', e => e.innerText.split(' · ')[1].split('\\n')[0]),
        doses: all('input.tme-dose[data-drug=pomalidomide]', e => e.value),
        slides: all('input.tme-slide[data-drug=pomalidomide]', e => e.value),
        adcc: all('input[data-mechanism=adcc]', e => e.checked), day: {DAY}, days: curves.rows.map(rows => rows.length),
        curves_meet_figures: {PANELS}.every(({{ figures }}, i) =>
          is(curves.rows[i][0]?.[column], figures.m_protein_before) && is(curves.rows[i].at(-1)?.[column], figures.m_protein)),
        layer: document.querySelector('.tme-layer .v-select').__vue__.value, layers: {PANELS}.map(panel => panel.frame.layer),
        marks: all('.tme-mark', e => e.className).length,
      }};
    }}"""

    def settles(**expected):
        """Each panel hears of a new pair by a message of its own: they agree in the end, and still do a while later."""
        expected |= {"slides": expected["doses"], "curves_meet_figures": True}
        ends = time.monotonic() + 60.0
        while page.evaluate(shown) != expected and time.monotonic() < ends:
            page.wait_for_timeout(50)
        page.wait_for_timeout(1000 * 2 * SETTLED)  # the page says its state again after that long
        assert page.evaluate(shown) == expected

    turn(page, f"{PLAIN}&patient=elderly&layer=cd38&day=5&event=2~a~dose~pomalidomide~0.5&event=3~b~switch~adcc~0")
    settles(
        patient="Elderly, 80 years",
        arms=["Isa-Pd", "Pd"],
        heads=["Isa-Pd", "Pd - ADCC off"],
        doses=["50", "100"],
        adcc=[True, False],
        day=5,
        days=[6, 6],
        layer="CD38 sites",
        layers=["cd38", "cd38"],
        marks=2,
    )
    turn(page, "size=32&arms=pd,isa-pd&day=1")
    settles(
        patient="Typical",
        arms=["Pd", "Isa-Pd"],
        heads=["Pd", "Isa-Pd"],
        doses=["100", "100"],
        adcc=[True, True],
        day=1,
        days=[2, 2],
        layer="Adenosine",
        layers=["adenosine", "adenosine"],
        marks=0,
    )


def test_a_patient_of_a_trial_opens_at_the_top(page):
    turn(page)
    page.click(".tme-view-trials")
    page.locator("img[data-figure=survival]").wait_for(timeout=180_000)
    fits(page)
    reach(page, ".tme-waterfall [data-pick='2']")
    assert driver.scrolled(page) > 300
    page.locator(".tme-waterfall [data-pick='2']").first.click()
    settle(page, "location.search.includes('results') && location.search.includes('patient=2')")
    driver.ready(page)
    at_the_top(page)
    in_sight(page, ".tme-marrow canvas")
    assert page.get_by_label("Number of the patient").input_value() == "2"


def test_a_change_is_undone_by_its_button_and_its_key(page):
    for undo in ("#tme-undo", "u"):
        turn(page, f"{PLAIN}&day=3")
        before = [driver.picture(page, side) for side in (0, 1)]
        assert page.locator("#tme-undo").is_disabled()
        reach(page, "input[data-mechanism=adcp][data-side='0']").click()
        settle(page, "document.querySelectorAll('.tme-mark').length == 1")
        if undo == "u":
            key(page, undo)
        else:
            reach(page, undo).click()
        settle(page, "document.querySelectorAll('.tme-mark').length == 0 && document.querySelector('input[data-mechanism=adcp]').checked")
        settle(page, f"{DAY} == 3")
        assert [driver.picture(page, side) for side in (0, 1)] == before


def test_a_dose_is_given_by_a_slider_or_typed_within_limits(page):
    turn(page, f"{PLAIN}&day=1")
    field = reach(page, "input.tme-dose[data-drug=isatuximab][data-side='0']")
    for wrong in ("5000", "-1", ""):
        field.fill(wrong)
        field.press("Enter")
        page.get_by_text("Write a number from 0 to 1000 per cent.").wait_for()
        assert field.input_value() == "100"
    assert page.locator(".tme-mark").count() == 0
    field.fill("40")
    field.press("Enter")
    settle(page, f"{TRANSPORT}.state.events.length == 1 && Math.abs({TRANSPORT}.state.events[0][4] - 0.4) < 1e-9")
    slider = reach(page, ".tme-slide[data-drug=isatuximab]")
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 6, box["y"] + box["height"] / 2)
    settle(page, "document.querySelector('input.tme-dose[data-drug=isatuximab]').value == '400'")
    settle(page, f"Math.abs({TRANSPORT}.state.events.at(-1)[4] - 4.0) < 1e-9")  # the marrow comes after the word that it was changed


def test_what_was_done_is_saved_and_the_picture_holds_the_curves(page):
    """The curves of the picture are drawn, those that were never scrolled to as well."""
    from PIL import Image

    turn(page, f"{PLAIN}&day=7&event=3~a~switch~adcp~0")
    reach(page, "#tme-png")
    with page.expect_download() as held:
        page.click("#tme-png")
    picture = Image.open(held.value.path()).convert("RGB")
    width, height = picture.size
    side = (width - 24) / 2
    names = page.locator(".tme-curves figure:has(canvas)").count()
    rows = -(-names // 3)
    high = (height - side - 68) / rows
    for n in range(names):  # each place of a curve holds ink
        left, top = int(n % 3 * (width - 48) / 3 + n % 3 * 24), int(side + 68 + n // 3 * high + 42)
        part = picture.crop((left, top, left + int((width - 48) / 3), min(height, top + int(high) - 46)))
        assert len(part.getcolors(1 << 20)) > 5, n
    with page.expect_download() as held:
        reach(page, ".tme-take .v-btn:has-text('What I did')").click()
    saved = tomllib.loads(held.value.path().read_text(encoding="utf-8"))
    assert saved["kind"] == "live" and saved["until"] == 7.0


@pytest.mark.parametrize("language", ["en", "it"])
def test_every_view_fits_and_the_model_is_described(page, language):
    turn(page, f"{PLAIN}&language={language}")
    fits(page)
    for view in ("lessons", "about"):
        page.click(f".tme-view-{view}")
        page.locator(".tme-cards" if view == "lessons" else ".tme-about").wait_for()
        fits(page)
        in_sight(page, ".tme-view-live")
        in_sight(page, ".tme-language")
    told = {
        "en": ("What it is", "Its scales", "Its limits", "How sure its numbers are", "How to cite", "version 0.1"),
        "it": ("Come citarlo", "0.1"),
    }
    text = page.locator(".tme-about").inner_text()
    assert [part for part in told[language] if part not in text] == []
