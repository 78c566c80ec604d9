"""Lessons: a list to choose from, and the card that stands above the marrows while one is open."""

import solara

from tme_viz.lessons import Lesson, lessons
from tme_viz.visitor import Visitor


def begin(visitor: Visitor, lesson: Lesson) -> None:
    """Open the prepared experiment of a lesson."""
    visitor.lesson.value = lesson.key
    visitor.layer.value = lesson.layer
    visitor.session.layer(lesson.layer)
    visitor.session.prepare(lesson.choice)
    visitor.view.value = "live"


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
    """The lesson that is open: the experiment and what to look for; folded, it leaves the room to the marrows."""
    folded, set_folded = solara.use_state(False)
    lesson = lessons().get(visitor.lesson.value)
    if lesson is None:
        return
    w, text = visitor.w, lesson.texts[visitor.language.value]
    made = visitor.predicted.value.get(lesson.key, -1)
    with solara.Div(classes=["tme-card", "tme-lesson"]):
        with solara.Div(classes=["tme-foot"]):
            solara.HTML(tag="h2", unsafe_innerHTML=f"{w['lesson']}: {text.title}")
            fold = w["unfold"] if folded else w["fold"]
            solara.Button(fold, on_click=lambda: set_folded(not folded), text=True, classes=["tme-fold"])
            solara.Button(w["all_lessons"], on_click=lambda: visitor.view.set("lessons"), text=True)
            solara.Button(w["leave_lesson"], on_click=lambda: visitor.lesson.set(""), text=True)
        if folded:
            return
        with solara.Div(classes=["tme-lesson-body"]):
            with solara.Div():
                solara.Text(text.question, classes=["tme-question"])
                if made >= 0:
                    solara.Text(f"{w['predicted']} {text.options[made]}", classes=["tme-label"])
                else:
                    solara.Text(w["prediction"], classes=["tme-label"])
                    Predict(visitor, lesson)
            with solara.Div():
                solara.Text(w["experiment"], classes=["tme-label"])
                solara.Text(text.experiment)
                solara.Text(w["look"], classes=["tme-label"])
                solara.HTML(tag="ol", unsafe_innerHTML="".join(f"<li>{item}</li>" for item in text.look))
                solara.Text(f"{w['source']}: {lesson.source}", classes=["tme-small"])
