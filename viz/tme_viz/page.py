"""The page: its head, and one of three views. Each browser tab is a visitor of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas  # noqa: F401 - Solara looks for its types at every change, and fails where another thread is still importing it
import solara
import solara.lab

from tme_viz.about_page import About
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice
from tme_viz.lesson_page import Lessons
from tme_viz.live import Live
from tme_viz.push import use_link
from tme_viz.trial_page import Trials
from tme_viz.visitor import VIEWS, Visitor
from tme_viz.words import LANGUAGES

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")

_start: dict[str, Places | Choice] = {"places": Places(), "choice": Choice()}


def open_with(places: Places, choice: Choice) -> None:
    """What a page shows whose link says nothing; set once, before the server starts."""
    _start.update(places=places, choice=choice)


@solara.component_vue("vue/theme.vue")
def ThemeButton(
    language: str = "en",
    words: dict[str, Any] = {},  # noqa: B006
    event_sync: Callable[[bool], None] | None = None,
) -> None:
    """Light or dark."""


@solara.component_vue("vue/address.vue")
def AddressBar(seen: list[str] | None = None, answered: int = 0, event_went: Callable[[list[Any]], None] | None = None) -> None:
    """Keeps the address of the browser; `seen`, the link and its place, is pushed by the visitor."""


@solara.component
def Page() -> None:
    """The page of one tab."""
    router = solara.use_router()
    places, plain = _start["places"], _start["choice"]
    assert isinstance(places, Places) and isinstance(plain, Choice)
    visitor = solara.use_memo(lambda: Visitor(places, router.search or "", plain), [])

    def leave() -> Callable[[], None]:
        return visitor.leave

    solara.use_effect(leave, [])
    solara.Style(STYLE)
    solara.Title(visitor.w["title"])
    with solara.Div(classes=["tme-page"]):
        Head(visitor)
        if visitor.view.value == "live":
            Live(visitor)
        elif visitor.view.value == "lessons":
            Lessons(visitor)
        elif visitor.view.value == "trials":
            Trials(visitor)
        else:
            About(visitor)
        Address(visitor)


@solara.component
def Address(visitor: Visitor) -> None:
    """What is seen, in the address; where the visitor goes back, what she saw before."""
    _ = visitor.status.value, visitor.view.value, visitor.moves.value
    answered, set_answered = solara.use_state(0)

    def went(given: list[Any]) -> None:
        visitor.open(str(given[1]))
        set_answered(int(given[0]))

    use_link(visitor, AddressBar(answered=answered, event_went=went), "seen", list)
    _ = visitor.link(), visitor.place()  # drawn again when what they say changes
    solara.use_effect(visitor.say_link)


@solara.component
def Head(visitor: Visitor) -> None:
    """Title, views, language and theme."""
    w = visitor.w

    def show(view: str) -> None:
        visitor.session.play(False)
        visitor.view.value = view

    with solara.Div(classes=["tme-top"]):
        solara.HTML(tag="h1", unsafe_innerHTML=w["title"])
        for view in VIEWS:
            solara.Button(
                w[view],
                on_click=lambda view=view: show(view),
                text=visitor.view.value != view,
                color="primary" if visitor.view.value == view else None,
                classes=[f"tme-view-{view}"],
            )
        with solara.Div(classes=["tme-right"]):
            other = next(key for key in LANGUAGES if key != visitor.language.value)
            solara.Button(LANGUAGES[other], on_click=lambda: visitor.language.set(other), text=True, classes=["tme-language"])
            ThemeButton(
                language=visitor.language.value,
                words={k: w[k] for k in ("to_light", "to_dark")},
                event_sync=lambda dark: setattr(solara.lab.theme, "dark", bool(dark)),
            )
