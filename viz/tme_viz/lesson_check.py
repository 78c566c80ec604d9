"""Whether every lesson is true: the model shows the prediction that the lesson calls right, in the prepared pair and in its twins.

    tme lesson check [LESSON ...] [--full] [--table docs/lessons.md]

A quick check runs the prepared pair and five twins: at least five of the six must agree. A full one runs twenty twins: at least sixteen of
them must. Twins are other patients of the population, or the same patient with other dice, as the lesson says.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tme_abm.analysis import documents
from tme_viz.allowed_files import Places
from tme_viz.lessons import NEITHER, Lesson
from tme_viz.pair import Pair
from tme_viz.trial_lesson import KEY as TRIAL
from tme_viz.trial_lesson import measures, rows_of, small_study
from tme_viz.twins import run_all

FEW, MANY = 5, 20  # twins of a quick and of a full check
NEEDED = {FEW: 5, MANY: 16}  # of the six of a quick check, of the twenty twins of a full one
MARK = "lessons"  # of the part of the document that is the table
HEAD = "# Are the lessons true?\n"  # of a new one
WHOSE = {"dice": "other dice", "patients": "other patients"}


@dataclass(frozen=True)
class Checked:
    """What a lesson showed.

    Attributes:
        lesson: The lesson.
        own: Number of the prediction that the prepared pair bears out.
        agree: How many bear out the right one: of the twins of a full check, of twins and pair of a quick one.
        of: Of how many.
        needed: How many are needed.
        measured: What was measured in the prepared pair.
    """

    lesson: Lesson
    own: int
    agree: int
    of: int
    needed: int
    measured: dict[str, float]

    @property
    def is_true(self) -> bool:
        """Whether the lesson may be given."""
        return self.own == self.lesson.right and self.agree >= self.needed


def check(lesson: Lesson, places: Places, n: int = FEW, tell: Callable[[int, int], None] = lambda done, of: None) -> Checked:
    """Run a lesson and its twins.

    Args:
        lesson: The lesson.
        places: Where scenarios are.
        n: `FEW` or `MANY` twins.
        tell: Is told how many runs are done, and of how many.
    """
    measured, shown = {}, []
    for i, one in enumerate(_runs(lesson, places, n)):
        if i == 0:
            measured = one
        shown.append(lesson.outcome(one))
        tell(i + 1, n + 1)
    counted = shown[1:] if n == MANY else shown
    return Checked(lesson, shown[0], sum(one == lesson.right for one in counted), len(counted), NEEDED[n], measured)


def _runs(lesson: Lesson, places: Places, n: int) -> Iterator[dict[str, float]]:
    """Measures of the prepared experiment, then of its twins."""
    if lesson.key == TRIAL:
        seed = small_study(places).seed
        for i in range(n + 1):  # a twin of a trial is one with other patients
            study = small_study(places, seed + i)
            yield measures(study, [row for patient in rows_of(study) for row in patient])
        return
    pair = Pair(lesson.choice, places)
    pair.go_to(lesson.day, lesson.choice.events)
    yield _measured(lesson, pair)
    for twin in run_all(lesson.choice, places, lesson.whose, lesson.day, n):
        yield _measured(lesson, twin)


def _measured(lesson: Lesson, pair: Pair) -> dict[str, float]:
    measured = lesson.measure((pair.table(0), pair.table(1)), pair.columns)
    pair.close()
    return measured


def table(checked: list[Checked]) -> str:
    """The results as a Markdown table."""
    lines = ["| lesson | what the model shows | day | in the prepared pair | twins | agree |", "| --- | --- | --- | --- | --- | --- |"]
    for number, one in enumerate(checked, 1):
        text = one.lesson.texts["en"]
        said = "none of these" if one.own == NEITHER else "yes" if one.own == one.lesson.right else f"no: {text.options[one.own]}"
        whose = "other trials" if one.lesson.key == TRIAL else WHOSE[one.lesson.whose]
        agree = f"{one.agree} of {one.of}" + ("" if one.is_true else " (too few)" if one.agree < one.needed else " (not in the pair)")
        lines.append(f"| {number}. {text.title} | {text.options[one.lesson.right]} | {one.lesson.day} | {said} | {whose} | {agree} |")
    return "\n".join(lines)


def write_table(checked: list[Checked], document: Path) -> None:
    """Put the table into its place in a document, which is made where there is none."""
    documents.put(document, MARK, table(checked), HEAD)
