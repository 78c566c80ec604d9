"""Trials: what a folder of results shows, and a small trial run from the page."""

from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any

import solara
import solara.lab

from tme_abm.foundation.errors import InputError
from tme_viz import trials
from tme_viz.choice import DIGITS
from tme_viz.controls import Choose
from tme_viz.visitor import Visitor
from tme_viz.words import message, phrase

FIGURES = ("survival", "responses", "published", "subgroups", "deaths")


@solara.component_vue("vue/plot.vue")
def Plot(svg: str = "", event_pick: Callable[[int], None] | None = None) -> None:
    """An SVG whose patients can be clicked."""


@solara.component
def Trials(visitor: Visitor) -> None:
    """The page."""
    w = visitor.w
    SmallTrial(visitor)
    runs = list(visitor.places.runs())
    if not runs:
        solara.Info(w["no_results"])
        return
    name = visitor.trial.value if visitor.trial.value in runs else runs[0]
    with solara.Div(classes=["tme-narrow"]):
        Choose(w["results"], {run: run for run in runs}, name, visitor.trial.set)
    Results(visitor, name).key(name)


@solara.component
def Results(visitor: Visitor, name: str) -> None:
    """One finished run."""
    w = visitor.w

    def read() -> tuple[trials.Run, dict[str, str]]:
        opened = trials.open_run(visitor.places, name)
        return opened, trials.figures_of(opened, language)

    language = visitor.language.value
    task = solara.lab.use_task(read, dependencies=[name, language], raise_error=False)
    if task.error:
        solara.Error(message(str(task.exception), language))
        return
    if not task.finished or task.value is None:
        solara.ProgressLinear(True)
        return
    opened, drawn = task.value
    solara.HTML(tag="h2", unsafe_innerHTML=escape(str(opened.run["scenario"].get("title", name))))
    Summary(visitor, opened)
    with solara.Div(classes=["tme-figures"]):
        for key in FIGURES:
            if key in drawn:
                with solara.Div(classes=["tme-figure"]):
                    solara.HTML(tag="h3", unsafe_innerHTML=w[key])
                    solara.HTML(tag="img", attributes={"src": drawn[key], "alt": w[key], "data-figure": key})
    for key, plot in (("waterfall", trials.waterfall), ("spider", trials.spider)):
        solara.HTML(tag="h3", unsafe_innerHTML=w[key])
        with solara.Div(classes=["tme-figures"]):
            for arm in opened.arms:
                with solara.Div(classes=["tme-figure", "tme-own", f"tme-{key}"]):
                    solara.Text(opened.labels[arm], style={"font-weight": "600"})
                    Plot(svg=plot(opened, arm), event_pick=partial(visit, visitor, opened, arm))


def visit(visitor: Visitor, opened: trials.Run, arm: str, patient: int) -> None:
    """Open the marrow of a patient: the arm that was clicked, beside the one that it is compared with."""
    other = next((a for a in opened.arms if a != arm), arm)
    for pair in opened.summary["comparisons"]:
        if arm in (pair["arm"], pair["reference"]):
            other = pair["reference"] if arm == pair["arm"] else pair["arm"]
            break
    arms = (arm, other) if opened.arms.index(arm) <= opened.arms.index(other) else (other, arm)
    with visitor.moving():
        visitor.forget_twins()
        visitor.session.prepare(trials.marrow_of(opened, patient, arms))
        visitor.lesson.value, visitor.trial.value = "", opened.name
        visitor.view.value = "live"


@solara.component
def Summary(visitor: Visitor, opened: trials.Run) -> None:
    """Numbers of each arm and each comparison."""
    w, rows = visitor.w, []
    from tme_abm.trial.report import number, percent

    for key, arm in opened.summary["arms"].items():
        median = number(arm.get("median_pfs_months")) if arm.get("median_pfs_months") is not None else w["not_reached"]
        rows.append(
            f"<tr><th>{escape(opened.labels[key])}</th><td>{arm['n']}</td><td>{median}</td>"
            f"<td>{percent(arm.get('orr'))}</td><td>{percent(arm.get('mrd_negative'))}</td></tr>"
        )
    head = f"<tr><th></th><th>{w['patients']}</th><th>{w['median_pfs']} ({w['month_unit']})</th><th>{w['orr']}</th><th>{w['mrd']}</th></tr>"
    ratios = "".join(
        f"<p><b>{escape(opened.labels[pair['arm']])} / {escape(opened.labels[pair['reference']])}</b>: {w['hazard_ratio']} "
        f"{number(pair['hazard_ratio'], 2)}{how_sure(visitor, pair)}</p>"
        for pair in opened.summary["comparisons"]
    )
    solara.HTML(tag="div", unsafe_innerHTML=f"<table class='tme-table'>{head}{''.join(rows)}</table>{ratios}")


def how_sure(visitor: Visitor, pair: dict[str, Any]) -> str:
    """The interval of a hazard ratio in brackets; where there is none, why."""
    from tme_abm.trial.report import interval

    language = visitor.language.value
    if ends := interval((pair["ci_low"], pair["ci_high"]), 2):
        return f" ({visitor.w['ci'].format(100 * float(pair['ci_level']))}: {phrase(ends, language)})"
    return f" ({escape(phrase(pair['note'], language))})" if pair.get("note") else ""


@solara.component
def SmallTrial(visitor: Visitor) -> None:
    """A small trial with progress and cancel."""
    w = visitor.w
    offered = list(visitor.places.scenarios())
    scenario, set_scenario = solara.use_state("icaria" if "icaria" in offered else offered[0])
    text, set_text = solara.use_state("20")
    error, set_error = solara.use_state("")
    trial, _ = visitor.small.value, visitor.beat.value  # drawn anew at each sign of life
    is_good = text.isascii() and text.isdigit() and len(text) <= DIGITS and 2 <= int(text) <= trials.MOST_PATIENTS
    is_running = trial is not None and trial.state == "running"

    def cancel() -> None:
        if trial is not None:
            trial.cancel()

    def run() -> None:
        set_error("")
        try:
            visitor.begin_trial(scenario, int(text))
        except InputError as wrong:
            set_error(str(wrong))

    with solara.Div(classes=["tme-card", "tme-small-trial"]):
        solara.HTML(tag="h2", unsafe_innerHTML=w["new_trial"])
        with solara.Div(classes=["tme-three"]):
            Choose(w["scenario"], {n: n.replace("_", " ") for n in offered}, scenario, set_scenario)
            error_text = False if is_good else w["patients_error"]
            solara.InputText(w["patients_wanted"], value=text, on_value=set_text, error=error_text, continuous_update=True)
            with solara.Div():
                if is_running:
                    solara.Button(w["cancel"], on_click=cancel, classes=["tme-cancel"])
                else:
                    solara.Button(w["run"], on_click=run, color="primary", disabled=not is_good, classes=["tme-run"])
        if trial is not None and is_running:
            solara.ProgressLinear(100 * trial.share if trial.share else True)
            solara.Text(w["compiling"] if trial.phase_name == "compiling" else f"{w['running']}: {100 * trial.share:.0f} %")
        elif trial is not None and trial.state == "cancelled":
            solara.Info(w["cancelled"])
        elif trial is not None and trial.state == "failed":
            solara.Error(message(trial.message, visitor.language.value))
        if error:
            solara.Error(message(error, visitor.language.value))
