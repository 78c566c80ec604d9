"""The live page: two marrows side by side, with transport, legend, curves and what can be taken away."""

from collections.abc import Callable
from html import escape
from typing import Any

import solara
import solara.lab

from tme_abm.marrow.cell_types import records, types_that_are
from tme_abm.marrow.cells import CellType
from tme_abm.marrow.clones import N_CLONES
from tme_viz import charts, takeaway
from tme_viz.colours import ARMS, CLONES, COLOURS, SEVERAL, SHADES, field_colours
from tme_viz.controls import Controls, off_now
from tme_viz.lesson_page import Answer, LessonCard, next_step
from tme_viz.picture import ACTIVE, LAYERS
from tme_viz.push import use_push
from tme_viz.screen import THIN_SPACE
from tme_viz.session import SPEEDS
from tme_viz.twins import SOMEBODY
from tme_viz.visitor import Visitor
from tme_viz.words import message

TRANSPORT_WORDS = (
    *("play", "pause", "step", "back", "reset", "speed", "day", "month", "rewind", "past", "present", "on", "off"),
    *("next_kill", "undo", "theatre"),
)
MARROW_WORDS = (
    *("close", "lost", "life", "m_protein", "plasma_cells", "best_confirmed", "response_now", "not_yet_seen", "progressed"),
    *("treatment_goes_on", "progression_note", "type", "age", "clonotype", "granzyme"),
)
RENEWAL = "turnover"  # a cause of death that does not flash: cells are renewed all the time
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
    hint: str = "",
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
def CurvesFrame(  # noqa: PLR0913 - the traits of a widget
    update: Any = None,
    charts: list[Any] = [],  # noqa: B006
    causes: list[Any] = [],  # noqa: B006
    plasma: int = 0,
    bands: dict[str, Any] = {},  # noqa: B006
    arms: list[str] = [],  # noqa: B006
    dark: bool = False,
    words: dict[str, Any] = {},  # noqa: B006
) -> None:
    """Curves of both arms; `update` is pushed by the session."""


@solara.component
def Live(visitor: Visitor) -> None:
    """The page: the lesson, below it marrows, beside them the curves, beside those what can be changed."""
    solara.use_effect(visitor.session.mounted, [])
    with solara.Div(classes=["tme-live"]):
        if visitor.lesson.value:
            LessonCard(visitor)
        with solara.Div(classes=["tme-main"]):
            Notice(visitor)
            Transport(visitor)
            with solara.Div(classes=["tme-pair"]):
                for side in (0, 1):
                    Marrow(visitor, side).key(f"marrow{side}")
            Legend(visitor)
            Life(visitor)
        with solara.Div(classes=["tme-curve-column"]):
            if visitor.lesson.value:
                Answer(visitor)
            TwinsBar(visitor)
            Curves(visitor)
        with solara.Div(classes=["tme-side"]):
            Controls(visitor)
            takeaway.TakeAway(visitor)


@solara.component
def Notice(visitor: Visitor) -> None:
    """What the session is busy with, or why it failed."""
    status, w = visitor.status.value, visitor.w
    if status.message:
        with solara.Error(f"{w['failed']}: {message(status.message, visitor.language.value)}", classes=["tme-error"]):
            pass
    if status.phase not in ("ready", "failed"):
        with solara.Div(classes=["tme-busy"]):
            solara.ProgressLinear(100.0 * status.share if status.share else True)
            solara.Text(f"{w[status.phase]} ...")
        if status.phase == "compiling":
            Recorded(visitor)


@solara.component
def Recorded(visitor: Visitor) -> None:
    """A recorded marrow, to be looked at while the model is compiled."""
    w = visitor.w
    solara.Text(w["recorded"], classes=["tme-small"])
    solara.HTML(
        tag="iframe",
        attributes={"src": f"{solara_root()}/tme/recorded.html?play&language={visitor.language.value}", "title": w["recorded"]},
        classes=["tme-recorded"],
    )


def solara_root() -> str:
    """Path below which the page is served."""
    from solara.server import settings

    return settings.main.root_path or ""


@solara.component
def Transport(visitor: Visitor) -> None:
    """Play, step, rewind."""
    status, w, session = visitor.status.value, visitor.w, visitor.session

    def command(what: str) -> None:
        acts: dict[str, Callable[[], None]] = {
            "step": session.step,
            "back": lambda: session.step(-1),
            "reset": visitor.restart,
            "kill": session.next_kill,
            "undo": session.undo,
            "next": lambda: next_step(visitor),
        }
        acts[what]()

    def pace(steps: int) -> str:
        hours = steps * 6
        return f"{hours} h" if hours < 24 else f"{hours // 24} d"

    bar = TransportBar(
        ready=status.phase == "ready",
        generation=status.generation,
        message=status.message,
        hint="" if visitor.lesson.value or status.phase != "ready" else w["hint"],
        speeds=[[s, f"{pace(s)} {w['a_frame']}"] for s in SPEEDS],
        words={k: w[k] for k in TRANSPORT_WORDS},
        names={m.name: m.words(visitor.language.value).label for m in visitor.places.catalogue.mechanisms},
        event_play=session.play,
        event_command=command,
        event_seek=session.seek,
        event_speed=session.speed,
    )
    use_push(visitor, bar, "transport", "now")


@solara.component
def Legend(visitor: Visitor) -> None:
    """A chip for each type of cell, which shows or hides it, and the layer with its scale."""
    dark = solara.lab.use_dark_effective()
    w = visitor.w

    def toggle(kind: int) -> None:
        visitor.hidden.value = visitor.hidden.value ^ {kind}

    with solara.Div(classes=["tme-legend"]):
        for kind in CellType:
            if kind is CellType.EMPTY:
                continue
            is_off = int(kind) in visitor.hidden.value
            with solara.Div(classes=["tme-chip-box"]):
                solara.Button(
                    w[kind.name],
                    on_click=lambda kind=int(kind): toggle(kind),
                    text=True,
                    classes=["tme-chip", "tme-off" if is_off else "tme-on"],
                    style={"--dot": COLOURS[kind.name] if LAYERS[visitor.layer.value].is_field else "transparent"},
                )
        names = {name: w[name] for name in LAYERS}
        with solara.Div(classes=["tme-layer"]):
            solara.Select(
                w["layer"],
                values=list(names.values()),
                value=names[visitor.layer.value],
                dense=True,
                on_value=lambda text: visitor.look_at(next(n for n, word in names.items() if word == text)),
            )
            solara.HTML(tag="div", classes=["tme-scale"], unsafe_innerHTML=scale(visitor, bool(dark)))
        known = visitor.places.catalogue.causes
        shown = [cause for cause in charts.cause_words(known, visitor.language.value) if cause["name"] != RENEWAL]
        dots = "".join(f"<span><i style='background:{cause['colour']}'></i>{escape(cause['label'])}</span>" for cause in shown)
        solara.HTML(tag="div", classes=["tme-causes"], unsafe_innerHTML=f"<em>{w['flashes']}</em> {dots}")


def scale(visitor: Visitor, dark: bool) -> str:
    """What the colours of the layer mean, as HTML."""
    w, name = visitor.w, visitor.layer.value

    def dot(colour: str) -> str:
        return f"<i style='background:{colour}'></i>"

    if name == "clone":
        single = {0: "sensitive", 1: "carrying_imid", 2: "carrying_proteasome", 4: "carrying_antibody"}
        named = [f"<span>{dot(CLONES[clone])}{w[word]}</span>" for clone, word in single.items()]
        return "".join([*named, f"<span>{dot(SEVERAL)}{w['several']}</span>"])
    if name == "none":
        return ""
    layer = LAYERS[name]
    low, high = w["ends"].get(name) or (f"{end:,.10g}".replace(",", THIN_SPACE) for end in (layer.low, layer.high))
    shades = field_colours(name, dark) if layer.is_field else SHADES[dark].ramp
    return f"{low}<b style='background:linear-gradient(to right,{','.join(shades)})'></b>{high} <em>{w['scale'][name]}</em>"


def clone_words(visitor: Visitor) -> list[str]:
    """What each clone is called, by its number."""
    w = visitor.w
    carry = {0: w["sensitive"], 1: w["carrying_imid"], 2: w["carrying_proteasome"], 4: w["carrying_antibody"]}
    return [", ".join(word for bit, word in carry.items() if (c & bit if bit else c == 0)) for c in range(N_CLONES)]


def look(visitor: Visitor, dark: bool) -> dict[str, Any]:
    """Colours and scales for marrow.vue."""
    return {
        "dark": dark,
        "kinds": KINDS,
        "colours": ["", *(record.colour for record in records().values())],
        "radii": [0.0, *(record.radius for record in records().values())],
        "stromal": types_that_are("stromal"),
        "active": ACTIVE,
        "plasma": int(CellType.PLASMA),
        "clones": list(CLONES),
        "clone_words": clone_words(visitor),
        "fields": {name: list(field_colours(name, dark)) for name in LAYERS},
        "ramp": list(SHADES[dark].ramp),
        "layers": {name: layer._asdict() for name, layer in LAYERS.items()},
        "hidden": sorted(visitor.hidden.value),
        "causes": {str(column): cause for column, cause in numbered_causes(visitor).items()},
    }


def numbered_causes(visitor: Visitor) -> dict[int, dict[str, Any]]:
    """Each cause of death by its column of the ledger, with its name and colour."""
    known = visitor.places.catalogue.causes
    return {known[cause["name"]]: cause for cause in charts.cause_words(known, visitor.language.value)}


def heading(visitor: Visitor, side: int) -> str:
    """The arm, and what is off in it."""
    pair = visitor.session.pair
    assert pair is not None
    off = off_now(pair, visitor.status.value.choice, side) - pair.study.settings.without
    names = ", ".join(sorted(pair.study.settings.catalogue.by_name[name].words(visitor.language.value).label for name in off))
    extra = f" - {names} {visitor.w['off']}" if names else ""
    return f"{pair.regimens[side].label}{extra}"


@solara.component
def Marrow(visitor: Visitor, side: int) -> None:
    """One marrow."""
    dark = solara.lab.use_dark_effective()
    w, session = visitor.w, visitor.session
    is_there = visitor.status.value.generation > 0
    title = heading(visitor, side) if is_there and session.pair is not None else ""

    def life(_: Any = None) -> None:
        session.post(lambda: visitor.lives.set((side, session.life(side))))

    canvas = MarrowCanvas(
        side=side,
        title=title,
        label=f"{title}: {', '.join(w[k] for k in KINDS[1:])}",
        look=look(visitor, bool(dark)),
        words={k: w[k] for k in (*MARROW_WORDS, *LAYERS, *KINDS)},
        event_drawn=session.drawn if side == 1 else None,
        event_pick=lambda site: session.pick(side, None if site < 0 else int(site)),
        event_life=life,
    )
    use_push(visitor, canvas, f"marrow{side}", "moment")


@solara.component
def Life(visitor: Visitor) -> None:
    """The recorded life of the cell that is followed."""
    side, lived = visitor.lives.value
    if not lived:
        return
    w = visitor.w
    with solara.Details(f"{w['life']} · {'AB'[side]}", expand=True):
        told = [*lived[: -1 : -(-len(lived) // LIFE_ROWS)], lived[-1]]
        heads = [key for key, _ in lived[0][1] if key not in ("type", "age")]
        named = clone_words(visitor)

        def cell(key: str, value: str) -> str:
            return f"<td>{named[int(value)] if key == 'clone' else value}</td>"

        rows = "".join(
            f"<tr><td>{day:.0f}</td>{''.join(cell(key, value) for key, value in state if key in heads)}</tr>" for day, state in told
        )
        head = "".join(f"<th>{w[key]}</th>" for key in heads)
        kind = w[lived[0][1][0][1]]
        table = f"<table class='tme-table'><caption>{kind}</caption><tr><th>{w['day']}</th>{head}</tr>{rows}</table>"
        solara.HTML(tag="div", unsafe_innerHTML=table)
        solara.Button(w["close"], on_click=lambda: visitor.lives.set((0, [])), text=True)


@solara.component
def TwinsBar(visitor: Visitor) -> None:
    """Twenty twins of the pair: begin, how far they are, and what they say."""
    w, twins, _ = visitor.w, visitor.twins.value, visitor.beat.value
    is_ready = visitor.status.value.phase == "ready"
    with solara.Div(classes=["tme-twins"]):
        if twins is None or twins.state in ("cancelled", "failed"):
            for whose in SOMEBODY:
                solara.Button(
                    w[f"twins_{whose}"],
                    on_click=lambda whose=whose: visitor.begin_twins(whose),
                    disabled=not is_ready,
                    text=True,
                    classes=["tme-plain", f"tme-twins-{whose}"],
                )
            if twins is not None and twins.state == "failed":
                solara.Error(message(twins.message, visitor.language.value))
            return
        if twins.state == "running":
            solara.ProgressLinear(100.0 * twins.share if twins.share else True)
        said = w[f"twins_of_{twins.whose}"].format(len(twins.tables), twins.n, twins.day)
        solara.Text(said, classes=["tme-small"])
        solara.Button(w["twins_away"], on_click=visitor.forget_twins, text=True, classes=["tme-plain"])


@solara.component
def Curves(visitor: Visitor) -> None:
    """The curves of both arms."""
    dark = solara.lab.use_dark_effective()
    is_there, language = visitor.status.value.generation > 0, visitor.language.value
    pair = visitor.session.pair
    twins, _ = visitor.twins.value, visitor.beat.value
    bands = twins.bands if twins is not None and pair is not None and twins.columns == pair.columns else {}
    solara.Text(visitor.w["month_axis"], classes=["tme-small"])
    frame = CurvesFrame(
        charts=charts.charts(pair, language) if is_there and pair is not None else [],
        causes=charts.causes(pair, language) if is_there and pair is not None else [],
        plasma=pair.columns.index("plasma_cells") if pair is not None else 0,
        bands=bands,
        arms=list(ARMS[bool(dark)]),
        dark=bool(dark),
        words={k: visitor.w[k] for k in ("ledger", "ledger_unit")},
    )
    use_push(visitor, frame, "curves", "update")
