"""What changes at every step is written to its widget directly, without a pass through the component tree, which would cost more."""

import contextlib
from collections.abc import Callable
from typing import Any

import solara

from tme_viz.visitor import Visitor


def use_push(visitor: Visitor, element: solara.Element, name: str, trait: str) -> None:
    """Let the session write a trait of a widget."""
    _use_widget(visitor, element, lambda widget: visitor.session.attach(name, lambda content: setattr(widget, trait, content)))


def use_link(visitor: Visitor, element: solara.Element, trait: str, part: Callable[[tuple[str, str]], Any]) -> None:
    """Let the visitor write the link of what is seen, or the part of (link, place) that is wanted, to a trait of a widget."""
    _use_widget(visitor, element, lambda widget: visitor.read_link(lambda seen: setattr(widget, trait, part(seen))))


def _use_widget(visitor: Visitor, element: solara.Element, bind: Callable[[Any], Callable[[], None]]) -> None:
    start: list[solara.Element] = []
    elements = solara.use_ref(start)
    elements.current = [element, *elements.current[:3]]
    solara.use_effect(lambda: bind(find_widget(elements.current)), [visitor])


def find_widget(elements: list[solara.Element]) -> Any:
    """The widget of a component's element, given as the newest few.

    A status that changes on the session's thread while the page is first drawn draws it again: the newest element may have no widget
    yet, or an older one none any more; they all stand for the same widget.

    Raises:
        KeyError: Where none has a widget.
    """
    for element in elements[:-1]:
        with contextlib.suppress(KeyError):
            return solara.get_widget(element)
    return solara.get_widget(elements[-1])
