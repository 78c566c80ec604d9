"""Figures and the report page: what they show is read back from them."""

import base64
import json
import re
from html.parser import HTMLParser
from itertools import count

import numpy as np
import pandas as pd
import pytest

from tme_abm import drawing
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError
from tme_abm.trial import figures, marrow_figures, patient_figures, published, report, subgroups, survival
from tme_abm.trial.headline import SAME_PATIENTS
from tme_abm.trial.summary import arm_summary, summarise
from tme_abm.trial.verdict import RULE

ARMS = ["isa-pd", "pd"]
LABELS = {"isa-pd": "Isa-Pd", "pd": "Pd"}


def tables(n=24):
    """Patients who respond for a while and relapse, later in the first arm; the last one failed in it."""
    visits, patients = [], []
    for i in range(n):
        for arm, keeps in (("isa-pd", 5 + i % 7), ("pd", 3 + i % 5)):
            baseline = 10.0 + i
            depth = (0.02, 0.4, 0.95)[i % 3] + (0.1 if arm == "pd" else 0.0)
            for visit in range(keeps + 2):
                m = baseline * (1.0 if visit == 0 else depth if visit < keeps else 1.3)
                visits.append(
                    {
                        "patient": i,
                        "arm": arm,
                        "visit": visit,
                        "day": 28.0 * visit,
                        "m_protein_g_per_l": m,
                        "m_protein_measured_g_per_l": m,
                        "plasma_fraction": 0.01 * m,
                        "t_cells": 100 + i,
                        "nk_cells": 20,
                        "tregs": 4,
                        "bregs": 1,
                        "mdscs": 15,
                        "adenosine": 0.5,
                        "deaths_adcc": 30 if arm == "isa-pd" else 0,
                        "deaths_imid": 10,
                    }
                )
            patients.append(
                {
                    "patient": i,
                    "arm": arm,
                    "age": 60.0 + i,
                    "egfr": 40.0 + 2 * i,
                    "high_risk": i % 4 == 0,
                    "pfs_days": 28.0 * keeps,
                    "pfs_event": i % 6 != 0,
                    "event_kind": "progression" if i % 6 else "censored",
                    "best_response": ("CR", "PR", "SD")[i % 3],
                    "mrd_negative": False,
                    "time_to_response_days": 28.0 if i % 3 < 2 else np.nan,
                    "status": "failed" if arm == "isa-pd" and i == n - 1 else "completed",
                }
            )
    return pd.DataFrame(visits), pd.DataFrame(patients)


@pytest.fixture(scope="module")
def trial():
    """Visit and patient table."""
    return tables()


def run_json():
    """What a run leaves, its regimens in both forms."""
    doses = [
        {"drug": "isatuximab", "dose": "10 mg/kg", "days": [1, 8, 15, 22], "cycles": "1"},
        {"drug": "isatuximab", "dose": "10 mg/kg", "days": [1, 15], "cycles": "2-"},
        {"drug": "dexamethasone", "dose": "40 mg", "elderly_dose": "20 mg", "days": [1, 8, 15, 22]},
    ]
    pd_doses = [{"drug": "pomalidomide", "amount": 4.0, "unit": "mg", "days": list(range(1, 22)), "first_cycle": 1}]
    return {
        "name": "icaria",
        "seed": 20181,
        "scenario": {
            "title": "Isatuximab <in> myeloma",
            "summary": "Does it help?",
            "patients": 25,
            "arms": {
                "isa-pd": {"label": "Isa-Pd", "cycle": "28 d", "doses": doses},
                "pd": {"label": "Pd", "cycle_days": 28, "doses": pd_doses},
            },
            "published": [
                {"arm": "pd", "endpoint": "median_pfs", "value": 6.47, "source": "attal2019"},
                {"comparison": ARMS, "endpoint": "hazard_ratio_pfs", "value": 0.6, "ci_low": 0.4, "ci_high": 0.8},
            ],
        },
        "parameters": [
            {
                "name": "adcc.lysis_rate",
                "value": 0.25,
                "unit": "1/h",
                "meaning": "rate",
                "source": "bhat2007",
                "grade": "V",
            }
        ],
        "versions": {"tme_abm": "0.1.0"},
    }


@pytest.fixture
def folder(trial, tmp_path):
    """A results folder."""
    visits, patients = trial
    visits.to_parquet(tmp_path / "trajectory.parquet")
    patients.to_parquet(tmp_path / "patients.parquet")
    summary = summarise(patients, ARMS, [("isa-pd", "pd")])
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "run.json").write_text(json.dumps(run_json()))
    return tmp_path


class Page(HTMLParser):
    """Text, sources of images and open tags of a page."""

    def __init__(self):
        super().__init__()
        self.words, self.images, self.links, self.open = [], [], [], []
        self.ids = set()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids.add(found.get("id"))
        if tag == "img":
            self.images.append(found["src"])
            assert found["alt"]
        if tag == "a":
            self.links.append(found["href"])
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read(path):
    """A page, its text with single spaces."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page, re.sub(r"\s+", " ", " ".join(page.words))


def test_report_says_what_was_run_and_what_came_out(folder):
    """The numbers of the summary stand in the page, and the page is well formed."""
    page, text = read(report.write_report(folder))
    summary = json.loads((folder / "summary.json").read_text())
    assert "Isatuximab <in> myeloma" in text
    assert "23 of 25 patients completed" in text
    assert "The others: 1 failed, 1 not run." in text
    assert "isatuximab 10 mg/kg, days 1, 15, from cycle 2" in text
    assert "dexamethasone 40 mg (20 mg from 75 years of age), days 1, 8, 15, 22" in text
    assert "pomalidomide 4 mg, days 1\u201321" in text
    ratio = summary["comparisons"][0]
    assert f"{ratio['hazard_ratio']:.2f}" in text
    assert f"{ratio['ci_low']:.2f} to {ratio['ci_high']:.2f}" in text
    assert f"{100 * summary['arms']['isa-pd']['orr']:.1f} %" in text
    assert "6.5 months" in text
    assert "adcc.lysis_rate" in text
    assert f"tme run {folder.name}/scenario.toml" in text
    assert {link.removeprefix("#") for link in page.links} <= page.ids


def test_report_needs_no_network(folder):
    """Every image is inside the page, and it names no address but those of namespaces."""
    path = report.write_report(folder)
    page, _ = read(path)
    assert len(page.images) == 8
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.images)
    assert "http" not in re.sub('base64,[^"]*', "", path.read_text(encoding="utf-8"))
    assert sorted(p.stem for p in (folder / "figures").glob("*.svg")) == sorted(
        ["kaplan_meier", "responses", "waterfall", "spider", "published", "subgroups_1", "deaths_by_cause", "marrow"]
    )


def test_a_figure_is_the_same_wherever_its_parts_lie_in_memory(monkeypatch):
    from matplotlib.backends import backend_svg
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle

    from tme_abm.drawing import rendered

    def draw(first):
        addresses = count(first)
        monkeypatch.setattr(backend_svg, "id", lambda _: next(addresses), raising=False)
        figure = Figure()
        axes = figure.add_subplot()
        axes.axhline(1.0).set_clip_path(Circle((0.5, 1.0), 0.3, transform=axes.transData))
        return rendered(figure)

    assert draw(1) == draw(1000) and b"url(#clip_" in draw(1)


def test_the_same_folder_gives_the_same_page(folder):
    """No date, no random identifier."""
    first = report.write_report(folder).read_bytes()
    assert report.write_report(folder).read_bytes() == first


def test_report_of_a_run_that_recorded_little(folder, trial):
    """No visit table, no published figures, no parameters, an untreated arm, no comparison."""
    (folder / "trajectory.parquet").unlink()
    patients = trial[1][trial[1]["arm"] == "pd"]
    patients.to_parquet(folder / "patients.parquet")
    (folder / "summary.json").write_text(json.dumps(summarise(patients, ["pd"], [])))
    (folder / "run.json").write_text(json.dumps({"arms": [{"key": "pd", "label": "Untreated", "doses": []}]}))
    page, text = read(report.write_report(folder))
    assert len(page.images) == 2
    assert "no treatment" in text
    assert "24 of 24 patients completed" in text


def test_report_of_an_arm_in_which_nobody_completed(folder, trial):
    """The page still comes, with the reason."""
    patients = trial[1].assign(status=np.where(trial[1]["arm"] == "isa-pd", "failed", "completed"))
    patients.to_parquet(folder / "patients.parquet")
    (folder / "summary.json").write_text(json.dumps(summarise(patients, ARMS, [("isa-pd", "pd")])))
    _, text = read(report.write_report(folder))
    assert "0 of 25 patients completed" in text
    assert "an arm has no completed patient" in text


def test_files_that_are_missing_or_broken_are_named(folder, tmp_path):
    """With the place."""
    (folder / "run.json").write_text("{\n broken")
    with pytest.raises(InputError, match=r"run\.json, line 2"):
        report.write_report(folder)
    (folder / "run.json").write_text("{}")
    (folder / "patients.parquet").write_text("no table")
    with pytest.raises(InputError, match="not a Parquet table"):
        report.write_report(folder)
    (folder / "patients.parquet").unlink()
    (folder / "patients.parquet").mkdir()
    with pytest.raises(InputError, match=r"patients\.parquet: there is no such table; is '.*' a results folder\?"):
        report.write_report(folder)
    with pytest.raises(InputError, match="no such file"):
        report.write_report(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("dose", "expected"),
    [
        ({"drug": "a", "dose": "1 mg", "days": [1], "cycles": "1"}, "a 1 mg, day 1, cycle 1"),
        ({"drug": "a", "dose": "1 mg", "days": "1-21", "cycles": "3-6"}, "a 1 mg, days 1\u201321, cycles 3\u20136"),
        ({"drug": "a", "dose": "1 mg", "days": [1, 2, 8, 9, 10]}, "a 1 mg, days 1, 2, 8\u201310"),
        (
            {"drug": "a", "amount": 1.3, "unit": "mg/m2", "days": (1, 4), "first_cycle": 1, "last_cycle": 8},
            "a 1.3 mg/m2, days 1, 4, cycles 1\u20138",
        ),
        (
            {
                "drug": "a",
                "amount": 40,
                "unit": "mg",
                "days": [1],
                "elderly_amount": 20.0,
                "first_cycle": 2,
                "last_cycle": None,
            },
            "a 40 mg (20 mg from 75 years of age), day 1, from cycle 2",
        ),
    ],
)
def test_doses_in_words(dose, expected):
    """As a scenario writes them and as the regimen holds them."""
    assert report.dose_words(dose) == expected


def test_numbers_in_words():
    """Not reached, missing, and small p values."""
    assert report.interval([9.19, None]) == "9.2 to not reached"
    assert report.interval([None, None]) == ""
    assert report.interval([0.1, 0.256], 1, 100) == "10.0 to 25.6"
    assert report.percent(0.0404) == "4.0 %"
    assert report.number(None, 1, "not reached") == "not reached"
    assert [report.p_value(p) for p in (0.0004, 0.012, 0.4567, None)] == ["< 0.001", "0.012", "0.46", "\u2013"]


def texts(figure):
    """All words of a figure."""
    import matplotlib.text

    return [t.get_text() for t in figure.findobj(matplotlib.text.Text) if t.get_text()]


def test_kaplan_meier_figure_draws_the_estimate(trial):
    """The steps of the first curve, and the patients at risk."""
    figure = figures.kaplan_meier(trial[1], ARMS, LABELS, note="HR 0.5")
    times = survival.survival(trial[1], "isa-pd")
    curve = survival.kaplan_meier(times)
    line = figure.axes[0].lines[0]
    assert np.allclose(line.get_xdata(), curve["month"])
    assert np.allclose(line.get_ydata(), 100 * curve["survival"])
    assert line.get_color() == drawing.BLUE
    assert str(len(times.months)) in texts(figure)
    assert "HR 0.5" in texts(figure)


def few():
    """Six patients whose events come one a month: at the median four are at risk."""
    return pd.DataFrame(
        [
            {"patient": i, "arm": arm, "pfs_days": (i + 1.4) * DAYS_PER_MONTH, "pfs_event": True, "status": "completed"}
            for i in range(6)
            for arm in ARMS
        ]
    )


def test_few_patients_at_risk_are_seen_and_told():
    """The curve is firm while five are at risk, the table runs to the end, and the report says how few there were at the median."""
    figure = figures.kaplan_meier(few(), ARMS, LABELS, note="HR 0.5")
    whole, firm = figure.axes[0].lines[:2]
    assert list(whole.get_xdata()) == pytest.approx([0.0, 1.4, 2.4, 3.4, 4.4, 5.4, 6.4]) and whole.get_alpha() < 0.5
    assert list(firm.get_xdata()) == pytest.approx([0.0, 1.4, 2.4]) and firm.get_alpha() is None  # 6 and 5 at risk, then 4
    last = max(text.get_position()[0] for text in figure.axes[1].texts if text.get_text().isdigit())
    assert last >= 6.4 and [t.get_text() for t in figure.axes[1].texts if t.get_position()[0] == last] == ["0", "0"]
    assert survival.at_risk_at(survival.survival(few(), "pd")) == 4
    run = {"scenario": {"arms": {arm: {"label": LABELS[arm]} for arm in ARMS}, "patients": 6}}
    page = report.render(run, summarise(few(), ARMS, [("isa-pd", "pd")]), few(), pd.DataFrame())
    assert page.count("<small>read with 4 at risk</small>") == 2 and "Isa-Pd (4 at risk), Pd (4 at risk)." in page


def test_enough_patients_at_risk_are_not_remarked_on(trial):
    page = report.render(run_json(), summarise(trial[1], ARMS, [("isa-pd", "pd")]), trial[1], trial[0])
    assert "at risk</small>" not in page and "say little" not in page


def test_nothing_is_drawn_over_the_curves(trial):
    """Neither the legend nor the hazard ratio."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = figures.kaplan_meier(trial[1], ARMS, LABELS, note="HR 0.5 (95 % CI 0.3 to 0.8), p = 0.01\nthe same patients in both arms")
    FigureCanvasAgg(figure).draw()
    (legend,) = figure.legends
    assert figure.axes[0].get_legend() is None
    assert not legend.get_window_extent().overlaps(figure.axes[0].get_window_extent())


def test_a_difference_of_nothing_reads_as_one():
    assert report.difference(2.34, [-0.04, 4.7]) == ("+2.3", "0.0 to 4.7")
    assert report.difference(0.004, [-0.021, 0.018]) == ("+0.00", "-0.02 to 0.02")
    assert report.difference(-0.0001, [None, None]) == ("+0.00", "")


def test_one_patient_many_times_is_said_to_be_one():
    run = {"scenario": {"arms": {arm: {"label": LABELS[arm]} for arm in ARMS}, "patients": 6, "population": "typical"}}
    summary = summarise(few(), ARMS, [("isa-pd", "pd")])
    assert '<p class="note">The same patient 6 times over: only' in report.render(run, summary, few(), pd.DataFrame())
    for other in ("icaria", "gone.toml", {"inherits": "typical", "draw": "random"}):
        run["scenario"]["population"] = other
        assert "times over" not in report.render(run, summary, few(), pd.DataFrame())


def test_response_bars_add_up_to_all_patients(trial):
    """100 % for each arm; overall response at the end of the bar."""
    figure = patient_figures.responses(trial[1], ARMS, LABELS)
    widths = {row: 0.0 for row in range(2)}
    for bar in figure.axes[0].patches:
        widths[round(bar.get_y() + bar.get_height() / 2)] += bar.get_width()
    assert widths == pytest.approx({0: 100.0, 1: 100.0})
    share = arm_summary(trial[1], "pd").orr
    assert f"ORR {100 * share:.0f} %" in texts(figure)


def test_deaths_are_shared_out_by_cause(trial):
    """30 of 40 by ADCC under the antibody, none without."""
    figure = marrow_figures.deaths_by_cause(trial[0], ARMS, LABELS)
    bars = [(bar.get_y() > 0.5, bar.get_width()) for bar in figure.axes[0].patches]
    assert bars == [(False, 75.0), (True, 0.0), (False, 25.0), (True, 100.0)]
    with pytest.raises(InputError, match="deaths_"):
        marrow_figures.deaths_by_cause(trial[0][["patient", "arm", "day"]], ARMS)


def test_best_change_and_spider_follow_the_measured_m_protein(trial):
    """The first patient falls from 10 g/L to 0.2 g/L: 98 % less, and back to 30 % more."""
    change = patient_figures.m_protein_change(trial[0])
    one = change[(change["patient"] == 0) & (change["arm"] == "isa-pd")]["change"]
    assert one.min() == pytest.approx(-0.98)
    assert one.iloc[-1] == pytest.approx(0.3)
    figure = patient_figures.waterfall(trial[0], trial[1], ARMS, LABELS)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert len(heights) == 23
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] == pytest.approx(-98.0)
    spider = patient_figures.spider(trial[0], trial[1], ARMS)
    assert len(spider.axes[0].lines) == 23 + 3
    for axes, arm in zip(spider.axes, ARMS, strict=True):  # an arm has one colour, in its title and in the lines of its responders
        own = axes.get_title(loc="left") and axes._left_title.get_color()
        assert own == drawing.colour(ARMS, arm)
        assert {line.get_color() for line in axes.lines[:-3]} == {own, drawing.GREY}


def test_marrow_figure_draws_medians_and_stops_when_patients_are_few(trial):
    """Median of T cells 100 + 0..23; the line of the second arm is the shorter one."""
    figure = marrow_figures.marrow(trial[0], ARMS, LABELS)
    panel = next(axes for axes in figure.axes if axes.get_title(loc="left") == "T cells")
    first, second = panel.lines
    assert first.get_ydata()[0] == pytest.approx(111.5)
    visits = trial[0][trial[0]["arm"] == "pd"].groupby("day")["patient"].nunique()
    last = max(visits[visits >= 6].index) / DAYS_PER_MONTH
    assert second.get_xdata()[-1] == pytest.approx(last)
    assert second.get_xdata()[-1] < first.get_xdata()[-1]
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert "Suppressors (Treg, Breg, MDSC)" in titles


def test_forest_figure_prints_every_estimate(trial):
    """Each ratio with its interval, and events of patients."""
    table = subgroups.subgroup_table(trial[1], *ARMS)
    words = texts(figures.forest(table, "Isa-Pd", "Pd"))
    first = table.iloc[0]
    assert f"{first['hazard_ratio']:.2f} ({first['ci_low']:.2f} to {first['ci_high']:.2f})" in words
    assert f"{first['n_events_arm']}/{first['n_arm']}" in words
    assert "75 years or older" in words


def test_forest_figure_survives_estimates_that_do_not_exist():
    """Only reasons, no numbers."""
    table = pd.DataFrame(
        [("", "All patients", 3, 3, 0, 0, np.nan, np.nan, np.nan, "no event in either arm")],
        columns=[
            *("group", "label", "n_arm", "n_reference", "n_events_arm", "n_events_reference"),
            *("hazard_ratio", "ci_low", "ci_high", "note"),
        ],
    )
    assert "no estimate" in texts(figures.forest(table, "a", "b"))


def test_published_figure_has_a_dot_for_each_result(trial):
    """Diamonds for what was published, dots for what was simulated."""
    table = published.compare_published(run_json()["scenario"]["published"], trial[1], labels=LABELS)
    figure = figures.published(table)
    dots = [line.get_xdata()[0] for axes in figure.axes for line in axes.lines if line.get_marker() == "D"]
    assert dots == pytest.approx([6.47, 0.6])
    assert "Isa-Pd vs Pd" in texts(figure)


def test_a_note_of_the_published_figure_stands_clear_of_every_line_and_mark():
    """What has no estimate is said below its row, inside the figure."""
    columns = ("kind", "endpoint", "who", "what", *(f"{name}{end}" for name in ("published", "simulated") for end in ("", "_low", "_high")))
    rows = [
        ("months", "median_pfs", "Isa-Pd", "median PFS", 11.5, 8.9, 13.9, np.nan, 10.1, np.nan, "not reached"),
        ("months", "median_pfs", "Pd", "median PFS", 6.5, 4.5, 8.3, 6.4, 4.6, np.nan, ""),
        ("ratio", "hazard_ratio_pfs", "A vs B", "", 0.6, 0.4, 0.8, *3 * [np.nan], "no event in the arm: the hazard ratio tends to 0"),
    ]
    figure = figures.published(pd.DataFrame(rows, columns=[*columns, "note"]))
    figure.draw_without_rendering()
    for axes in (axes for axes in figure.axes if axes.texts):
        note = axes.texts[0].get_window_extent()
        box = axes.get_window_extent()
        assert box.x0 <= note.x0 and note.x1 <= box.x1 + 1 and box.y0 <= note.y0
        heights = [y for line in axes.lines if line.get_marker() != "None" for y in line.get_ydata() if np.isfinite(y)]
        for height in heights:
            assert not note.y0 < axes.transData.transform((1.0, height))[1] < note.y1
    assert sum(len(axes.texts) for axes in figure.axes) == 2


def test_figures_are_saved_the_same_twice_and_leave_the_style_alone(trial, tmp_path):
    """SVG and PNG; another kind is refused; matplotlib's own settings are untouched."""
    import matplotlib

    size = matplotlib.rcParams["font.size"]
    figure = patient_figures.responses(trial[1], ARMS)
    again = patient_figures.responses(trial[1], ARMS)
    assert matplotlib.rcParams["font.size"] == size
    assert drawing.rendered(figure) == drawing.rendered(again)
    assert drawing.save(figure, tmp_path / "new", "responses", "png").read_bytes().startswith(b"\x89PNG")
    picture = base64.b64decode(drawing.data_address(figure).split(",")[1])
    assert picture.lstrip().startswith(b"<?xml")
    with pytest.raises(InputError, match="did you mean 'svg'"):
        drawing.rendered(figure, "svgz")


def test_titles_stand_where_matplotlib_would_move_them(trial, monkeypatch):
    """Which it is spared, because that takes a quarter of the time of a figure: the same bytes."""

    def drawn():
        return [
            drawing.rendered(marrow_figures.marrow(trial[0], ARMS)),
            drawing.rendered(patient_figures.spider(trial[0], trial[1], ARMS)),
            drawing.rendered(patient_figures.waterfall(trial[0], trial[1], ARMS)),
        ]

    quick = drawn()
    monkeypatch.setitem(drawing.STYLE, "axes.titley", None)
    assert drawn() == quick
    monkeypatch.setitem(drawing.STYLE, "axes.titley", 1.01)
    assert all(a != b for a, b in zip(drawn(), quick, strict=True))


def test_importing_the_report_loads_nothing_heavy():
    """pandas, matplotlib, lifelines, jinja2 and numba come when they are needed."""
    import subprocess
    import sys

    heavy = "{'pandas', 'matplotlib', 'lifelines', 'jinja2', 'numba', 'scipy', 'mesa'}"
    code = f"import sys, tme_abm.trial.report, tme_abm.outcomes.mrd; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_few_patients_are_drawn_as_such_and_few_events_without_an_interval():
    """One patient is said to be one; with nine events there is a hollow mark and no interval."""
    columns = ("group", "label", "n_arm", "n_reference", "n_events_arm", "n_events_reference", "hazard_ratio", "ci_low", "ci_high", "note")
    rows = [
        ("", "All patients", 30, 30, 20, 25, 0.6, 0.4, 0.9, ""),
        ("Age", "75 years or older", 1, 1, 1, 1, 0.5, np.nan, np.nan, "few"),
        ("Age", "below 65 years", 2, 1, 2, 1, 0.5, np.nan, np.nan, "few"),
        ("Age", "below 75 years", 8, 8, 4, 5, 0.7, np.nan, np.nan, "few"),
        ("Age", "65 years or older", 12, 12, 7, 8, 0.9, np.nan, np.nan, "few"),
    ]
    figure = figures.forest(pd.DataFrame(rows, columns=columns), "a", "b")
    words = texts(figure)
    assert "1 patient" in words and "2 and 1 patients" in words and "0.70 (few events)" in words
    assert "0.90 (few patients)" in words
    marks = {line.get_xdata()[0]: line.get_markerfacecolor() for line in figure.axes[1].lines if line.get_marker() in "sD"}
    assert set(marks) == {0.6, 0.7, 0.9} and marks[0.7] == marks[0.9] == "white" and marks[0.6] != "white"


def test_a_paired_result_says_so_with_its_p_value(trial):
    """In the heading of the curves, in the report, and nowhere in a parallel trial."""
    page = report.render(run_json(), summarise(trial[1], ARMS, [("isa-pd", "pd")]), trial[1], trial[0])
    assert SAME_PATIENTS in report.headline(summarise(trial[1], ARMS, [("isa-pd", "pd")])["comparisons"][0], "paired")
    assert ", p " in report.headline(summarise(trial[1], ARMS, [("isa-pd", "pd")])["comparisons"][0], "paired")
    assert SAME_PATIENTS not in report.headline(summarise(trial[1], ARMS, [("isa-pd", "pd")])["comparisons"][0], "parallel")
    assert "The same patients are in both arms" in page and "of the Wald test of the Cox model with that same error" in page
    apart = report.render(run_json(), summarise(trial[1], ARMS, [("isa-pd", "pd")], "parallel"), trial[1], trial[0])
    assert "p is two-sided, of the log-rank test." in apart and "Wald" not in apart


def test_results_of_a_study_of_ones_own_are_not_called_published(trial):
    own, theirs = "this study: a registry", "attal2019"
    assert [published.given_word(sources) for sources in ([own], [own, theirs], [theirs], [])] == [
        "given",
        "published",
        "published",
        "published",
    ]
    run = run_json()
    run["scenario"]["published"] = [{"arm": "pd", "endpoint": "orr", "value": 50.0, "source": "this study: a registry"}]
    page = report.render(run, summarise(trial[1], ARMS, [("isa-pd", "pd")]), trial[1], trial[0])
    beside = published.compare_published(run["scenario"]["published"], trial[1])
    [legend] = figures.published(beside).legends
    assert [text.get_text() for text in legend.get_texts()] == ["given", "simulated"]
    assert "Given results (diamonds)" in page and "<h2>Given and simulated</h2>" in page and "Published" not in page


def test_the_report_judges_by_the_rule_of_the_predictions(trial):
    """A median that is not reached, and a hazard ratio inside the interval but far from the point, are misses."""
    times = tables(75)[1].assign(pfs_event=lambda t: t["pfs_event"] & (t["patient"] % 5 == 0))
    run = run_json()
    run["scenario"]["published"] = [
        {"arm": "isa-pd", "endpoint": "median_pfs", "value": 1.0, "unit": "month", "source": "attal2019"},
        {
            **{"comparison": ["isa-pd", "pd"], "endpoint": "hazard_ratio_pfs", "value": 50.0, "ci_low": 0.001, "ci_high": 99.0},
            **{"unit": "ratio", "source": "attal2019"},
        },
    ]
    page = report.render(run, summarise(times, ARMS, [("isa-pd", "pd")]), times, trial[0])
    assert page.count("<td>miss</td>") == 2 and RULE.replace("'", "&#39;") in page
    few = times[times["patient"] < 60]
    assert "<td>miss</td>" not in report.render(run, summarise(few, ARMS, [("isa-pd", "pd")]), few, trial[0])
