"""The live page: two marrows side by side, with transport, legend, curves and what can be taken away."""

import contextlib
from collections.abc import Callable
from typing import Any

import solara
import solara.lab

from tme_abm.marrow.cell_types import records, types_that_are
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.clones import N_CLONES
from tme_viz import charts, takeaway
from tme_viz.controls import Controls, off_now
from tme_viz.lesson_page import LessonCard
from tme_viz.picture import ACTIVE, CLONE_COLOURS, COLOURS, LAYERS, SHADES
from tme_viz.room import Room
from tme_viz.screen import THIN_SPACE
from tme_viz.session import SPEEDS
from tme_viz.words import message

TRANSPORT_WORDS = ("play", "pause", "step", "back", "reset", "speed", "day", "month", "rewind", "past", "present", "on", "off")
KINDS = [kind.name for kind in CellType]
LIFE_ROWS = 12  # days of a followed cell that are told


@solara.component_vue("vue/marrow.vue")
def MarrowCanvas(  # noqa: PLR0913 - the traits of a widget
    moment: Any = None,
    side: int = 0,
    title: str = "",
    label: str = "",
    look: dict[str, Any] = {},  # noqa: B006
    words: dict[str, Any] = {},  # noqa: B006
    event_drawn: Callable[[int], None] | None = None,
    event_pick: Callable[[int], None] | None = None,
    event_life: Callable[[Any], None] | None = None,
) -> None:
    """A marrow; `moment` is pushed by the session."""


@solara.component_vue("vue/transport.vue")
def TransportBar(  # noqa: PLR0913 - the traits of a widget
    now: Any = None,
    ready: bool = False,
    generation: int = 0,
    message: str = "",
    speeds: list[Any] = [],  # noqa: B006
    words: dict[str, Any] = {},  # noqa: B006
    names: dict[str, str] = {},  # noqa: B006
    event_play: Callable[[bool], None] | None = None,
    event_command: Callable[[str], None] | None = None,
    event_seek: Callable[[float], None] | None = None,
    event_speed: Callable[[int], None] | None = None,
) -> None:
    """Play, step and rewind; `now` is pushed by the session."""


@solara.component_vue("vue/curves.vue")
def CurvesFrame(
    update: Any = None,
    charts: list[Any] = [],  # noqa: B006
    causes: list[Any] = [],  # noqa: B006
    dark: bool = False,
    words: dict[str, Any] = {},  # noqa: B006
) -> None:
    """Curves of both arms; `update` is pushed by the session."""


def use_push(room: Room, element: solara.Element, name: str, trait: str) -> None:
    """Let the session write a trait of a widget directly, without a pass through the component tree."""
    start: list[solara.Element] = []
    elements = solara.use_ref(start)
    elements.current = [element, *elements.current[:3]]

    def bind() -> Callable[[], None]:
        widget = find_widget(elements.current)
        return room.session.attach(name, lambda content: setattr(widget, trait, content))

    solara.use_effect(bind, [room])


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


@solara.component
def Live(room: Room) -> None:
    """The page."""
    solara.use_effect(room.session.mounted, [])
    with solara.Div(classes=["tme-live"]):
        with solara.Div(classes=["tme-main"]):
            if room.lesson.value:
                LessonCard(room)
            Notice(room)
            Transport(room)
            Legend(room)
            with solara.Div(classes=["tme-pair"]):
                for side in (0, 1):
                    Marrow(room, side).key(f"marrow{side}")
            Life(room)
            with solara.Div(classes=["tme-below"]):
                Curves(room)
                takeaway.TakeAway(room)
        with solara.Div(classes=["tme-side"]):
            Controls(room)


@solara.component
def Notice(room: Room) -> None:
    """What the session is busy with, or why it failed."""
    status, w = room.status.value, room.w
    if status.message:
        with solara.Error(f"{w['failed']}: {message(status.message, room.language.value)}", classes=["tme-error"]):
            pass
    if status.phase not in ("ready", "failed"):
        with solara.Div(classes=["tme-busy"]):
            solara.ProgressLinear(100.0 * status.share if status.share else True)
            solara.Text(f"{w[status.phase]} ...")


@solara.component
def Transport(room: Room) -> None:
    """Play, step, rewind."""
    status, w, session = room.status.value, room.w, room.session

    def command(what: str) -> None:
        {"step": session.step, "back": lambda: session.step(-1), "reset": room.restart}[what]()

    def pace(steps: int) -> str:
        hours = steps * 6
        return f"{hours} h" if hours < 24 else f"{hours // 24} d"

    bar = TransportBar(
        ready=status.phase == "ready",
        generation=status.generation,
        message=status.message,
        speeds=[[s, f"{pace(s)} {w['a_frame']}"] for s in SPEEDS],
        words={k: w[k] for k in TRANSPORT_WORDS},
        names={m.name: m.words(room.language.value).label for m in room.places.catalogue.mechanisms},
        event_play=session.play,
        event_command=command,
        event_seek=session.seek,
        event_speed=session.speed,
    )
    use_push(room, bar, "transport", "now")


@solara.component
def Legend(room: Room) -> None:
    """A chip for each type of cell, which shows or hides it, and the layer with its scale."""
    dark = solara.lab.use_dark_effective()
    w = room.w

    def toggle(kind: int) -> None:
        room.hidden.value = room.hidden.value ^ {kind}

    def choose(name: str) -> None:
        room.layer.value = name
        room.session.layer(name)

    with solara.Div(classes=["tme-legend"]):
        for kind in CellType:
            if kind is CellType.EMPTY:
                continue
            is_off = int(kind) in room.hidden.value
            with solara.Div(classes=["tme-chip-box"]):
                solara.Button(
                    w[kind.name],
                    on_click=lambda kind=int(kind): toggle(kind),
                    text=True,
                    classes=["tme-chip", "tme-off" if is_off else "tme-on"],
                    style={"--dot": COLOURS[kind.name] if LAYERS[room.layer.value].is_field else "transparent"},
                )
        names = {name: w[name] for name in LAYERS}
        with solara.Div(classes=["tme-layer"]):
            solara.Select(
                w["layer"],
                values=list(names.values()),
                value=names[room.layer.value],
                dense=True,
                on_value=lambda text: choose(next(n for n, word in names.items() if word == text)),
            )
            solara.HTML(tag="div", classes=["tme-scale"], unsafe_innerHTML=scale(room, bool(dark)))


def scale(room: Room, dark: bool) -> str:
    """What the colours of the layer mean, as HTML."""
    w, name = room.w, room.layer.value

    def dot(colour: str) -> str:
        return f"<i style='background:{colour}'></i>"

    if name == "clone":
        single = {0: "sensitive", 1: "carrying_imid", 2: "carrying_proteasome", 4: "carrying_antibody"}
        rest = [clone for clone in range(N_CLONES) if clone not in single]
        named = [f"<span>{dot(CLONE_COLOURS[clone])}{w[word]}</span>" for clone, word in single.items()]
        return "".join([*named, f"<span>{''.join(dot(CLONE_COLOURS[clone]) for clone in rest)}{w['several']}</span>"])
    layer = LAYERS[name]
    low, high = w["ends"].get(name) or (f"{end:,.10g}".replace(",", THIN_SPACE) for end in (layer.low, layer.high))
    shades = SHADES[dark].field if layer.is_field else SHADES[dark].ramp
    return f"{low}<b style='background:linear-gradient(to right,{','.join(shades)})'></b>{high} <em>{w['scale'][name]}</em>"


def clone_words(room: Room) -> list[str]:
    """What each clone is called, by its number."""
    w = room.w
    carry = {0: w["sensitive"], 1: w["carrying_imid"], 2: w["carrying_proteasome"], 4: w["carrying_antibody"]}
    return [", ".join(word for bit, word in carry.items() if (c & bit if bit else c == 0)) for c in range(N_CLONES)]


def look(room: Room, dark: bool) -> dict[str, Any]:
    """Colours and scales for marrow.vue."""
    return {
        "dark": dark,
        "kinds": KINDS,
        "colours": ["", *(record.colour for record in records().values())],
        "radii": [0.0, *(record.radius for record in records().values())],
        "stromal": types_that_are("stromal"),
        "active": ACTIVE,
        "plasma": int(CellType.PLASMA),
        "clones": list(CLONE_COLOURS),
        "clone_words": clone_words(room),
        "field": list(SHADES[dark].field),
        "ramp": list(SHADES[dark].ramp),
        "layers": {name: layer._asdict() for name, layer in LAYERS.items()},
        "hidden": sorted(room.hidden.value),
    }


def heading(room: Room, side: int) -> str:
    """The arm, and what is off in it."""
    pair = room.session.pair
    assert pair is not None
    off = off_now(pair, room.status.value.choice, side) - pair.study.settings.without
    names = ", ".join(sorted(pair.study.settings.catalogue.by_name[name].words(room.language.value).label for name in off))
    extra = f" - {names} {room.w['off']}" if names else ""
    return f"{pair.regimens[side].label}{extra}"


@solara.component
def Marrow(room: Room, side: int) -> None:
    """One marrow."""
    dark = solara.lab.use_dark_effective()
    w, session = room.w, room.session
    is_there = room.status.value.generation > 0
    title = heading(room, side) if is_there and session.pair is not None else ""
    names = ("close", "lost", "life", "m_protein", "plasma_cells", "response", "progressed", *LAYERS, *KINDS)
    names += ("type", "age", "clonotype", "granzyme")

    def life(_: Any = None) -> None:
        session.post(lambda: room.lives.set((side, session.life(side))))

    canvas = MarrowCanvas(
        side=side,
        title=title,
        label=f"{title}: {', '.join(w[k] for k in KINDS[1:])}",
        look=look(room, bool(dark)),
        words={k: w[k] for k in names},
        event_drawn=session.drawn if side == 1 else None,
        event_pick=lambda site: session.pick(side, None if site < 0 else int(site)),
        event_life=life,
    )
    use_push(room, canvas, f"marrow{side}", "moment")


@solara.component
def Life(room: Room) -> None:
    """The recorded life of the cell that is followed."""
    side, lived = room.lives.value
    if not lived:
        return
    w = room.w
    with solara.Details(f"{w['life']} · {'AB'[side]}", expand=True):
        told = [*lived[: -1 : -(-len(lived) // LIFE_ROWS)], lived[-1]]
        heads = [key for key, _ in lived[0][1] if key not in ("type", "age")]
        named = clone_words(room)

        def cell(key: str, value: str) -> str:
            return f"<td>{named[int(value)] if key == 'clone' else value}</td>"

        rows = "".join(
            f"<tr><td>{day:.0f}</td>{''.join(cell(key, value) for key, value in state if key in heads)}</tr>" for day, state in told
        )
        head = "".join(f"<th>{w[key]}</th>" for key in heads)
        kind = w[lived[0][1][0][1]]
        table = f"<table class='tme-table'><caption>{kind}</caption><tr><th>{w['day']}</th>{head}</tr>{rows}</table>"
        solara.HTML(tag="div", unsafe_innerHTML=table)
        solara.Button(w["close"], on_click=lambda: room.lives.set((0, [])), text=True)


@solara.component
def Curves(room: Room) -> None:
    """The curves of both arms."""
    dark = solara.lab.use_dark_effective()
    is_there, language = room.status.value.generation > 0, room.language.value
    pair = room.session.pair
    solara.Text(room.w["month_axis"], classes=["tme-small"])
    frame = CurvesFrame(
        charts=charts.charts(pair, language) if is_there and pair is not None else [],
        causes=charts.causes(pair, language) if is_there and pair is not None else [],
        dark=bool(dark),
        words={k: room.w[k] for k in ("ledger", "ledger_unit")},
    )
    use_push(room, frame, "curves", "update")
