"""The trial of a lesson: begun by a button, its curves and its hazard ratio grow as patients are done."""

from collections.abc import Callable
from html import escape

import solara
import solara.lab

from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_viz.answer import answered
from tme_viz.colours import ARMS
from tme_viz.lessons import Lesson
from tme_viz.trial_lesson import FEW, GrowingTrial, curves, measures
from tme_viz.visitor import Visitor
from tme_viz.words import message


@solara.component
def TrialGrows(visitor: Visitor, lesson: Lesson) -> None:
    """The page's part."""
    w, language, dark = visitor.w, visitor.language.value, bool(solara.lab.use_dark_effective())
    trial, set_trial = solara.use_state(none_yet())
    _, set_beat = solara.use_state(0)

    def leave() -> Callable[[], None]:
        return lambda: trial.cancel() if trial is not None else None

    solara.use_effect(leave, [trial])

    def begin() -> None:
        set_trial(GrowingTrial(visitor.places, lambda: set_beat(lambda n: n + 1)))

    with solara.Div(classes=["tme-trial-lesson"]):
        if trial is None:
            solara.Button(w["grow_trial"], on_click=begin, color="primary", classes=["tme-grow"])
            return
        if trial.state == "failed":
            solara.Error(message(trial.message, language))
        grown = trial.grown
        n, rows = grown.n, grown.rows
        if trial.state in ("compiling", "running"):
            solara.ProgressLinear(100.0 * trial.share if n else True)
        labels = {arm.key: arm.label for arm in trial.study.arms}
        arms = trial.study.comparisons[0]
        keys = " · ".join(
            f"<span style='color:{ARMS[dark][side]}'><b>{'AB'[side]} {escape(labels[arm])}</b></span>" for side, arm in enumerate(arms)
        )
        last = ""
        if rows:
            of = {row["arm"]: row for row in rows[-2:]}
            ends = [
                f"{'AB'[side]} {of[arm]['pfs_days'] / DAYS_PER_MONTH:.1f}{'' if of[arm]['pfs_event'] else '+'}"
                for side, arm in enumerate(arms)
            ]
            last = w["last_patient"].format(n, *ends)
        ratio, first = grown.said(w)
        drawn = curves(trial.study, rows, ARMS[dark], escape(w["km_months"]))
        solara.HTML(
            tag="div",
            classes=["tme-growing"],
            attributes={"data-patients": str(n)},
            unsafe_innerHTML=f"<p>{keys}</p>{drawn}<p>{escape(last)}</p><p><b>{escape(ratio)}</b> {escape(first)}</p>",
        )
        if trial.state == "done":
            measured = measures(trial.study, rows)
            body, _ = answered(visitor, lesson, measured)
            solara.HTML(tag="div", classes=["tme-trial-answer"], unsafe_innerHTML=body)
        elif n < FEW:
            solara.Text(w["few_patients"], classes=["tme-small"])


def none_yet() -> GrowingTrial | None:
    """No trial has been begun."""
    return None
