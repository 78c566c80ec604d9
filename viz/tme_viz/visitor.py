"""What one visitor's page holds: the session, and what is looked at."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import solara

from tme_abm.foundation.errors import InputError
from tme_abm.marrow.cells import CellType
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice, values_by_name
from tme_viz.lessons import lessons
from tme_viz.memory import give_back_soon
from tme_viz.picture import LAYERS
from tme_viz.session import Session, Status
from tme_viz.trials import SmallTrial
from tme_viz.twins import Twins
from tme_viz.words import LANGUAGES, words

VIEWS = ("live", "lessons", "trials", "about")
PLAIN_LAYER = "adenosine"
CYCLE = 28.0  # days


class Visitor:
    """One visitor's page.

    Attributes:
        places: Where scenarios and results are.
        session: The pair of marrows.
        status: The latest of the session, whose day the page is told only where it waits for it (`hear`).
        language: "en" or "it".
        view: One of `VIEWS`.
        layer: Quantity that is shown.
        hidden: Numbers of the types of cells that are not shown.
        lesson: Key of the lesson that is open, empty for none.
        predicted: Lesson -> number of the prediction that was made.
        step: Number of the steps of the open lesson that were begun.
        twins: The twins of the marrows that are shown, once they were asked for.
        lives: Side and recorded life of a followed cell.
        trial: Name of the results that are open.
        small: The small trial that was begun last; it goes on whatever is looked at.
        beat: Counts its signs of life.
        moves: Counts the times that several things were changed at once.
    """

    def __init__(self, places: Places, query: str, plain: Choice) -> None:
        """Begin with what a link asks for."""
        self.places = places
        self.language = solara.reactive("en")
        self.view = solara.reactive("live")
        self.layer = solara.reactive(PLAIN_LAYER)
        self.hidden: solara.Reactive[frozenset[int]] = solara.reactive(frozenset())
        self.lesson = solara.reactive("")
        self.predicted: solara.Reactive[dict[str, int]] = solara.reactive({})
        self.step = solara.reactive(0)
        self.twins: solara.Reactive[Twins | None] = solara.reactive(None)
        self.lives: solara.Reactive[tuple[int, list[tuple[float, list[tuple[str, str]]]]]] = solara.reactive((0, []))
        self.trial = solara.reactive("")
        self.small: solara.Reactive[SmallTrial | None] = solara.reactive(None)
        self.beat = solara.reactive(0)
        self.status: solara.Reactive[Status] = solara.reactive(Status())
        self.moves = solara.reactive(0)
        self._depth = 0
        self._readers: list[Callable[[tuple[str, str]], None]] = []
        self._saying = threading.RLock()
        self.session = Session(places, self.hear)
        self.plain = plain
        self.open(query, is_first=True)

    def hear(self, status: Status) -> None:
        """Take a status of the session.

        At a step nothing but the day changes, and to look through the whole page for what depends on it takes longer than all else that a
        step costs: only the link of the moment is handed on then, unless this is the day on which the open lesson has its answer.
        """
        before = self.status.value
        if status.at(before.day) != before or self._is_due(before.day, status.day):
            self.status.value = status
        self.say_link()

    def _is_due(self, before: float, now: float) -> bool:
        lesson = lessons().get(self.lesson.value)
        return lesson is not None and before < lesson.day <= now

    def read_link(self, reader: Callable[[tuple[str, str]], None]) -> Callable[[], None]:
        """Tell a part of the page the link of what is seen and its place, now and as they change; returns what ends it."""
        self._readers.append(reader)
        self.say_link()
        return lambda: self._readers.remove(reader)

    def say_link(self) -> None:
        """Tell those who read the link; not while only some of the things are changed that are changed at once."""
        if self._depth:
            return
        with self._saying:  # the page and the session both tell it: what was worked out first must not be told last
            seen = self.link(), self.place()
            for reader in tuple(self._readers):
                reader(seen)

    @contextmanager
    def moving(self) -> Iterator[None]:
        """Change several things at once: the address waits until all of them are changed."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self.moves.value += 1

    @property
    def is_moving(self) -> bool:
        """Whether only some of the things are changed that are changed at once."""
        return self._depth > 0

    def open(self, query: str, is_first: bool = False) -> None:
        """Show what the address says: at the beginning, and where the visitor goes back or forth in the browser's history."""
        with self.moving():
            self._open(query, is_first)

    def _open(self, query: str, is_first: bool) -> None:
        plain = self.plain
        try:
            given = {key: values[0] for key, values in values_by_name(query).items()}
        except InputError:
            given = {}  # told below, where the choice is read
        language, view, layer = given.get("language", "en"), given.get("view", "live"), given.get("layer", PLAIN_LAYER)
        self.look_at(layer if layer in LAYERS else PLAIN_LAYER)  # before the marrows are made: their first picture shows it
        try:
            choice = Choice.read(query, plain, self.places.catalogue)
        except InputError as error:
            message = str(error)
            if is_first:
                self.session.prepare(plain, plain)
            self.session.complain(message)
        else:
            self._make(choice, is_first)
        self.language.value = language if language in LANGUAGES else "en"
        self.view.value = view if view in VIEWS else "live"
        if given.get("lesson", "") != self.lesson.value:
            self.lesson.value, self.step.value = given.get("lesson", ""), 0
        self.trial.value = given.get("trial", "")
        names = set(given.get("hidden", "").split(","))
        self.hidden.value = frozenset(int(kind) for kind in CellType if kind.name.lower() in names and kind is not CellType.EMPTY)

    def _make(self, choice: Choice, is_first: bool) -> None:
        """Make what the address describes, unless it stands already."""
        if is_first or not self._stands(choice):
            self.forget_twins()
            self.session.prepare(choice, self.plain if is_first else None)

    def _stands(self, choice: Choice) -> bool:
        """Whether what is shown is what a choice describes."""
        now = self.session.asked or self.session.status.choice
        shown = replace(choice, arms=(choice.arms[0] or now.arms[0], choice.arms[1] or now.arms[1]))
        return shown == now

    def look_at(self, layer: str) -> None:
        """Show another layer."""
        self.layer.value = layer
        self.session.layer(layer)

    @property
    def w(self) -> dict[str, Any]:
        """The words, in the visitor's language."""
        return words(self.language.value)

    def change(self, **fields: Any) -> None:
        """Choose something else; the marrows are made anew, from day 0. What was chosen before and is not yet made still holds."""
        self.forget_twins()
        self.session.prepare(replace(self.session.asked or self.session.status.choice, **{"events": (), "day": 0.0, **fields}))

    def restart(self) -> None:
        """The same again from day 0, as it was before anything was changed."""
        self.change()

    def begin_twins(self, whose: str, day: float | None = None) -> None:
        """Run twins of what is shown up to its day, or another, and lay them over the curves.

        Args:
            whose: One of `twins.SOMEBODY`.
            day: Day up to which they are treated; that of the marrows, at least a cycle, by default.
        """
        self.forget_twins()
        choice = self.session.status.choice
        until = max(choice.day, CYCLE) if day is None else day

        def tell() -> None:
            self.beat.value += 1

        self.twins.value = Twins(choice, self.places, whose, until, tell)

    def forget_twins(self) -> None:
        """The twins are those of other marrows now."""
        if self.twins.value is not None:
            self.twins.value.cancel()
            self.twins.value = None

    def begin_trial(self, scenario: str, patients: int) -> None:
        """Run a small trial; its results are opened when it is done.

        Raises:
            InputError: For an unknown scenario or a wrong number of patients.
        """

        def tell() -> None:
            made = self.small.value
            if made is not None and made.state == "done":
                self.trial.value = made.name
            self.beat.value += 1

        self.small.value = None
        self.small.value = SmallTrial(self.places, scenario, patients, tell)

    def leave(self) -> None:
        """The tab is gone: end what runs for it."""
        if self.small.value is not None:
            self.small.value.on_change = lambda: None
            self.small.value.cancel()
        self.forget_twins()
        self.session.close()
        give_back_soon()

    def link(self) -> str:
        """The query string of a link to what is seen now: the view, the marrows, their moment, and how they are looked at."""
        more = {"view": self.view.value} if self.view.value != "live" else {}
        if self.language.value != "en":
            more["language"] = self.language.value
        if self.lesson.value:
            more["lesson"] = self.lesson.value
        if self.trial.value:
            more["trial"] = self.trial.value
        if self.layer.value != PLAIN_LAYER:
            more["layer"] = self.layer.value
        if self.hidden.value:
            more["hidden"] = ",".join(CellType(kind).name.lower() for kind in sorted(self.hidden.value))
        choice = self.session.asked or self.session.status.choice
        return choice.query(**more)

    def place(self) -> str:
        """What a step back in the browser leads away from: another view, lesson, trial or pair of marrows, but not another moment."""
        choice = self.session.asked or self.session.status.choice
        return "|".join((self.view.value, self.lesson.value, self.trial.value, choice.scenario, choice.patient, str(choice.size)))
