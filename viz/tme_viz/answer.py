"""The answer of a lesson as the page shows it: what was predicted, what the model shows, why, and what is known otherwise."""

from collections.abc import Mapping
from html import escape

from tme_viz.lessons import NEITHER, Lesson
from tme_viz.visitor import Visitor


def answered(visitor: Visitor, lesson: Lesson, measured: Mapping[str, float]) -> tuple[str, int]:
    """The answer as HTML, and the number of the prediction that the model bears out (`lessons.NEITHER` for none)."""
    w, language = visitor.w, visitor.language.value
    text, shown = lesson.texts[language], lesson.outcome(measured)
    made = visitor.predicted.value.get(lesson.key, -1)
    judged = w["no_prediction"] if made < 0 else w["right_prediction"] if made == shown else w["wrong_prediction"]
    said = text.options[shown] if shown != NEITHER else w["model_shows_neither"]
    parts = [(w["you_predicted"], text.options[made])] if made >= 0 else []
    parts += [(w["model_shows"], f"{said} ({judged}). {lesson.answer(measured, language)}")]
    parts += [(w["why"], text.why), (w["in_literature"], text.literature)]
    return "".join(f"<p><b>{escape(head)}</b> {escape(body)}</p>" for head, body in parts), shown
