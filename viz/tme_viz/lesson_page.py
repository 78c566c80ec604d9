"""Lessons: a list to choose from, the card that stands above marrows and curves while one is open, and its answer."""

from html import escape

import solara

from tme_abm.marrow.cells import CellType
from tme_viz.answer import answered
from tme_viz.lessons import Lesson, Step, lessons
from tme_viz.trial_lesson import KEY as TRIAL_LESSON
from tme_viz.trial_lesson_page import TrialGrows
from tme_viz.visitor import Visitor


def begin(visitor: Visitor, lesson: Lesson) -> None:
    """Open the prepared experiment of a lesson, from its first day."""
    with visitor.moving():
        visitor.forget_twins()
        visitor.look_at(lesson.layer)  # before the marrows are made: their first picture shows it
        visitor.session.prepare(lesson.choice)
        visitor.hidden.value = frozenset()
        visitor.lesson.value, visitor.step.value = lesson.key, 0
        visitor.view.value = "live"


def next_step(visitor: Visitor) -> None:
    """Begin the next step of the open lesson, which acts by itself; the first one again after the last."""
    lesson = lessons().get(visitor.lesson.value)
    if lesson is None:
        return
    if visitor.step.value >= len(lesson.steps):
        begin(visitor, lesson)
        return
    act(visitor, lesson.steps[visitor.step.value])
    visitor.step.value += 1


def act(visitor: Visitor, step: Step) -> None:
    """Do what a step says."""
    if step.layer:
        visitor.look_at(step.layer)
    if step.alone:
        shown = {int(CellType[name.upper()]) for name in step.alone if name != "all"}
        visitor.hidden.value = frozenset(int(kind) for kind in CellType if shown and kind is not CellType.EMPTY and int(kind) not in shown)
    for side, kind, name, value in step.change:
        visitor.session.act(side, kind, name, value)
    if step.day is not None:
        visitor.session.play_to(step.day, step.pace)


@solara.component
def Lessons(visitor: Visitor) -> None:
    """All lessons: question and prediction; the experiment opens beside the marrows."""
    w = visitor.w
    with solara.Div(classes=["tme-cards"]):
        for number, lesson in enumerate(lessons().values(), 1):
            text = lesson.texts[visitor.language.value]
            with solara.Div(classes=["tme-card"]):
                solara.HTML(tag="h2", unsafe_innerHTML=f"{number}. {text.title}")
                solara.Text(text.question, classes=["tme-question"])
                solara.Text(w["prediction"], classes=["tme-label"])
                Predict(visitor, lesson)
                with solara.Div(classes=["tme-foot"]):
                    solara.Button(
                        w["open_experiment"],
                        color="primary",
                        on_click=lambda lesson=lesson: begin(visitor, lesson),
                        classes=[f"tme-open-{lesson.key}"],
                    )
                    solara.Text(f"{w['source']}: {lesson.source}", classes=["tme-small"])


@solara.component
def Predict(visitor: Visitor, lesson: Lesson) -> None:
    """The predictions, of which one can be chosen."""
    made = visitor.predicted.value.get(lesson.key, -1)
    with solara.Div(classes=["tme-options"]):
        for i, option in enumerate(lesson.texts[visitor.language.value].options):
            solara.Button(
                option,
                on_click=lambda i=i: visitor.predicted.set({**visitor.predicted.value, lesson.key: i}),
                text=True,
                icon_name="mdi-radiobox-marked" if i == made else "mdi-radiobox-blank",
                classes=["tme-option"],
            )


@solara.component
def LessonCard(visitor: Visitor) -> None:
    """The lesson that is open: first question and experiment, then the step that was begun and how to begin the next."""
    at = visitor.step.value
    wish, set_wish = solara.use_state((-1, False))  # at which step the text was wished to be shown or hidden
    is_open = wish[1] if wish[0] == at else at == 0
    lesson = lessons().get(visitor.lesson.value)
    if lesson is None:
        return
    w, text = visitor.w, lesson.texts[visitor.language.value]
    made = visitor.predicted.value.get(lesson.key, -1)
    with solara.Div(classes=["tme-card", "tme-lesson"]):
        if is_open:
            solara.HTML(tag="h2", unsafe_innerHTML=f"{w['lesson']}: {text.title}")
            with solara.Div(classes=["tme-lesson-body"]):
                solara.Text(text.question, classes=["tme-question"])
                with solara.Div(classes=["tme-predict"]):
                    if made >= 0:
                        solara.Text(f"{w['predicted']} {text.options[made]}", classes=["tme-label"])
                    else:
                        solara.Text(w["prediction"], classes=["tme-label"])
                        Predict(visitor, lesson)
                with solara.Div(classes=["tme-experiment"]):
                    solara.Text(w["experiment"], classes=["tme-label"])
                    solara.Text(text.experiment)
                    solara.Text(f"{w['source']}: {lesson.source}", classes=["tme-small"])
        with solara.Div(classes=["tme-step"]):
            label = w["next_step"] if at < len(text.steps) else w["reset"]
            solara.Button(f"{label} (N)", on_click=lambda: next_step(visitor), color="primary", classes=["tme-next"])
            with solara.Div():
                said = text.steps[at - 1] if at else text.steps[0]
                kind = ["tme-question"] if at else ["tme-question", "tme-coming"]
                solara.Text(f"{max(at, 1)}/{len(text.steps)}  {said}", classes=kind)
            fold = w["fold"] if is_open else w["unfold"]
            solara.Button(fold, on_click=lambda: set_wish((at, not is_open)), text=True, classes=["tme-plain", "tme-fold"])
            solara.Button(w["all_lessons"], on_click=lambda: visitor.view.set("lessons"), text=True, classes=["tme-plain"])
            solara.Button(w["leave_lesson"], on_click=lambda: visitor.lesson.set(""), text=True, classes=["tme-plain"])
        if lesson.key == TRIAL_LESSON:
            TrialGrows(visitor, lesson)


@solara.component
def Answer(visitor: Visitor) -> None:
    """What was predicted and what this very run shows, why, and what is known otherwise."""
    lesson = lessons().get(visitor.lesson.value)
    if lesson is None or lesson.key == TRIAL_LESSON:  # which has its answer beside its curves
        return
    w, status, pair = visitor.w, visitor.status.value, visitor.session.pair
    if pair is None or status.phase != "ready" or visitor.session.status.day < lesson.day or len(pair.sides[0].rows) <= lesson.day:
        solara.Text(w["answer_due"].format(lesson.day), classes=["tme-small"])
        return
    measured = lesson.measure((pair.table(0), pair.table(1)), pair.columns)
    body, shown = answered(visitor, lesson, measured)
    with solara.Div(classes=["tme-card", "tme-answer"]):
        solara.HTML(tag="h3", unsafe_innerHTML=escape(w["answer"]))
        solara.HTML(tag="div", unsafe_innerHTML=body)
        LessonTwins(visitor, lesson, shown)


@solara.component
def LessonTwins(visitor: Visitor, lesson: Lesson, shown: int) -> None:
    """Whether twins show the same."""
    w, twins, _ = visitor.w, visitor.twins.value, visitor.beat.value
    if twins is None or twins.day < lesson.day:
        solara.Button(
            w["check_twins"], on_click=lambda: visitor.begin_twins(lesson.whose, float(lesson.day)), classes=["tme-plain", "tme-check"]
        )
        return
    agree = sum(lesson.outcome(lesson.measure(tables, twins.columns)) == shown for tables in twins.tables)
    solara.Text(w["twins_agree"].format(agree, len(twins.tables)), classes=["tme-agree"])
