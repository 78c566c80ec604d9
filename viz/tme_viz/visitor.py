"""What one visitor's page holds: the session, and what is looked at."""

from dataclasses import replace
from typing import Any

import solara

from tme_abm.foundation.errors import InputError
from tme_abm.marrow.cells import CellType
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice, values_by_name
from tme_viz.memory import give_back_soon
from tme_viz.picture import LAYERS
from tme_viz.session import Session, Status
from tme_viz.trials import SmallTrial
from tme_viz.words import words


class Visitor:
    """One visitor's page.

    Attributes:
        places: Where scenarios and results are.
        session: The pair of marrows.
        status: The latest of the session.
        language: "en" or "it".
        view: "live", "lessons" or "trials".
        layer: Quantity that is shown.
        hidden: Numbers of the types of cells that are not shown.
        lesson: Key of the lesson that is open, empty for none.
        predicted: Lesson -> number of the prediction that was made.
        lives: Side and recorded life of a followed cell.
        trial: Name of the results that are open.
        small: The small trial that was begun last; it goes on whatever is looked at.
        beat: Counts its signs of life.
    """

    def __init__(self, places: Places, query: str, plain: Choice) -> None:
        """Begin with what a link asks for."""
        self.places = places
        self.language = solara.reactive("en")
        self.view = solara.reactive("live")
        self.layer = solara.reactive("adenosine")
        self.hidden: solara.Reactive[frozenset[int]] = solara.reactive(frozenset())
        self.lesson = solara.reactive("")
        self.predicted: solara.Reactive[dict[str, int]] = solara.reactive({})
        self.lives: solara.Reactive[tuple[int, list[tuple[float, list[tuple[str, str]]]]]] = solara.reactive((0, []))
        self.trial = solara.reactive("")
        self.small: solara.Reactive[SmallTrial | None] = solara.reactive(None)
        self.beat = solara.reactive(0)
        self.status: solara.Reactive[Status] = solara.reactive(Status())
        self.session = Session(places, self.status.set)
        self._open(query, plain)

    def _open(self, query: str, plain: Choice) -> None:
        try:
            given = {key: values[0] for key, values in values_by_name(query).items()}
        except InputError:
            given = {}  # told below, where the choice is read
        if given.get("language") in ("en", "it"):
            self.language.value = given["language"]
        if given.get("view") in ("live", "lessons", "trials"):
            self.view.value = given["view"]
        self.lesson.value = given.get("lesson", "")
        if given.get("layer") in LAYERS:
            self.layer.value = given["layer"]
            self.session.layer(given["layer"])
        names = set(given.get("hidden", "").split(","))
        self.hidden.value = frozenset(int(kind) for kind in CellType if kind.name.lower() in names and kind is not CellType.EMPTY)
        try:
            choice = Choice.read(query, plain, self.places.catalogue)
        except InputError as error:
            self.session.prepare(plain, plain)
            message = str(error)
            self.session.complain(message)
            return
        self.session.prepare(choice, plain)

    @property
    def w(self) -> dict[str, Any]:
        """The words, in the visitor's language."""
        return words(self.language.value)

    def change(self, **fields: Any) -> None:
        """Choose something else; the marrows are made anew, from day 0. What was chosen before and is not yet made still holds."""
        self.session.prepare(replace(self.session.asked or self.status.value.choice, **{"events": (), "day": 0.0, **fields}))

    def restart(self) -> None:
        """The same again from day 0, as it was before anything was changed."""
        self.change()

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
        self.session.close()
        give_back_soon()

    def link(self) -> str:
        """The query string of a link to what is seen now: the marrows, their moment, and how they are looked at."""
        more = {"language": self.language.value} if self.language.value != "en" else {}
        if self.lesson.value:
            more["lesson"] = self.lesson.value
        if self.layer.value != "adenosine":
            more["layer"] = self.layer.value
        if self.hidden.value:
            more["hidden"] = ",".join(CellType(kind).name.lower() for kind in sorted(self.hidden.value))
        return self.status.value.choice.query(**more)
