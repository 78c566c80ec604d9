"""What the trial page draws itself, and the figures of the report in the language of the page."""

import re
import threading
from types import SimpleNamespace

import pandas as pd
import pytest
from matplotlib.figure import Figure
from tme_viz import trials
from tme_viz.allowed_files import Places
from tme_viz.trial_lesson import ratio_so_far
from tme_viz.words import words


def run_of(values):
    """A run of one arm: (patient, month, M-protein) and a response each."""
    rows = [{"patient": p, "arm": "pd", "visit": int(m), "day": 28 * m, "month": m, "m_protein_g_per_l": v} for p, m, v in values]
    trajectory = pd.DataFrame(rows)
    trajectory["m_protein_measured_g_per_l"] = trajectory["m_protein_g_per_l"]
    patients = pd.DataFrame({"patient": [0, 1], "arm": "pd", "best_response": ["PR", "PD"]})
    return SimpleNamespace(trajectory=trajectory, patients=patients)


RUN = run_of([(0, 0.0, 20.0), (0, 1.0, 10.0), (0, 4.0, 5.0), (1, 0.0, 10.0), (1, 1.0, 40.0)])


def heights(drawn):
    """Height of each tick by its label."""
    found = re.findall(r"y='([\d.]+)' text-anchor='end'>([^<]+)<", drawn)
    return {label: float(y) for y, label in found}


def test_the_spider_has_one_scale_up_and_down():
    drawn = trials.spider(RUN, "pd")
    at = heights(drawn)
    steps = [at[a] - at[b] for a, b in (("+50 %", "≥ +100 %"), ("0 %", "+50 %"), ("-50 %", "0 %"), ("-100 %", "-50 %"))]
    assert max(steps) - min(steps) < 0.2
    end = float(re.search(r"data-pick='0'.*?points='([^']+)'", drawn)[1].split(",")[-1])
    assert abs(end + 5 - (at["-50 %"] + at["-100 %"]) / 2) < 0.2  # from 20 to 5 g/L: -75 %


def test_months_are_whole():
    assert re.findall(r"text-anchor='middle'>([^<]+)<", trials.spider(RUN, "pd")) == ["0", "1", "2", "3"]  # the last visit is on day 112


def test_the_waterfall_stops_at_the_top():
    drawn = trials.waterfall(RUN, "pd")
    assert "<title>1: +300 %, PD</title>" in drawn
    bar = re.search(r"data-pick='1'.*?<rect .*?<rect x='[\d.]+' y='([\d.]+)'", drawn)
    assert abs(float(bar[1]) + 5 - heights(drawn)["≥ +100 %"]) < 0.2


def test_named_ticks_are_translated_too():
    figure = Figure()
    axes = figure.subplots()
    axes.set_yticks([0, 1], ["Isa-Pd: median PFS", "Pd: overall response"])
    axes.set_xlabel("Months")
    trials.translate(figure, "it")
    figure.draw_without_rendering()
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["Isa-Pd: PFS mediana", "Pd: risposta globale"]
    assert axes.get_xlabel() == "Mesi" and axes.get_xticklabels()[0].get_text() == "0.0"


def test_a_small_trial_tells_how_far_it_is_from_the_thread_of_its_page(tmp_path):
    told = []

    def tell():
        told.append((threading.get_ident(), begun[0].share if begun else 0.0, begun[0].state if begun else ""))

    begun = []
    begun.append(trials.SmallTrial(Places(tmp_path), "icaria", 2, tell))
    begun[0].wait(300)
    assert begun[0].state == "done" and told[-1][1:] == (1.0, "done")
    assert {thread for thread, _, _ in told} == {begun[0].reporter.ident}
    assert any(0.0 < share < 1.0 for _, share, _ in told)
    assert list(Places(tmp_path).runs()) == [begun[0].name]


@pytest.mark.parametrize(("ends", "said"), [((0.4, 0.9), "95 % interval 0.40 to 0.90"), ((None, None), "too early for an interval")])
def test_a_growing_trial_says_its_ratio_before_it_has_an_interval(ends, said):
    comparison = SimpleNamespace(hazard_ratio=0.6, ci_low=ends[0], ci_high=ends[1])
    told = ratio_so_far(words("en"), 3, comparison)
    assert told.startswith("After 3 patients: hazard ratio 0.60, ") and said in told
    assert not ratio_so_far(words("en"), 1, None)
    assert not ratio_so_far(words("en"), 2, SimpleNamespace(hazard_ratio=None, ci_low=None, ci_high=None))
