"""What a visitor can take home: the scenario, the picture, the film, the curves and a link."""

import io
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import solara

from tme_viz.history import History
from tme_viz.pair import Pair
from tme_viz.picture import image
from tme_viz.saved_scenario import scenario_toml
from tme_viz.session import Session
from tme_viz.visitor import Visitor

T = TypeVar("T")

FILM_FRAMES = 120
FILM_PIXELS = 384  # about the side of each marrow
FRAME_MS = 80
LONGEST_WAIT = 60.0


def table_csv(pair: Pair) -> str:
    """The curves of both arms, a row a day and arm."""
    out = io.StringIO()
    out.write(",".join(("side", "arm", *pair.columns)) + "\n")
    for name, side, regimen in zip("AB", pair.sides, pair.regimens, strict=True):
        for row in side.rows:
            out.write(",".join((name, regimen.key, *("" if x != x else f"{x:.6g}" for x in row))) + "\n")
    return out.getvalue()


def film_gif(history: History, layer: str, size: int, word: str = "Day", arms: tuple[str, ...] = ()) -> bytes:
    """The recorded past of both marrows side by side, as an animated GIF of at most `FILM_FRAMES` pictures.

    Args:
        history: The past.
        layer: Quantity that is shown.
        size: Rows and columns of the patch [sites].
        word: Stands before the number of the day.
        arms: What stands above each marrow.
    """
    import numpy as np
    from PIL import Image, ImageDraw

    places = np.unique(np.linspace(0, len(history) - 1, min(len(history), FILM_FRAMES)).astype(int))
    zoom = max(1, FILM_PIXELS // size)
    frames = []
    for place in places:
        day, pictures = history.at(int(place))
        halves = [image(picture, layer, size, zoom) for picture in pictures]
        gap = np.full((halves[0].shape[0], 8, 3), 255, np.uint8)
        both = np.concatenate([halves[0], gap, halves[1]], axis=1)
        head = np.full((28, both.shape[1], 3), 255, np.uint8)
        frame = Image.fromarray(np.concatenate([head, both]))
        draw = ImageDraw.Draw(frame)
        for i, text in enumerate((f"{arms[0] if arms else ''}   {word} {day:.0f}".strip(), *arms[1:])):
            draw.text((8 + i * (halves[0].shape[1] + gap.shape[1]), 4), text, fill=(0, 0, 0), font_size=18)
        frames.append(frame.quantize(64))
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0)
    return out.getvalue()


def ask(session: Session, make: Callable[[], T]) -> T:
    """Let the session's thread make something, and wait for it.

    Raises:
        TimeoutError: Where it takes longer than a minute.
    """
    done, made = threading.Event(), []

    def work() -> None:
        try:
            made.append(make())
        finally:
            done.set()

    session.post(work)
    if not done.wait(LONGEST_WAIT) or not made:
        raise TimeoutError("the marrow did not answer")
    return made[0]


@solara.component_vue("vue/souvenir.vue")
def Souvenir(link: str = "", words: dict[str, Any] = {}, title: str = "") -> None:  # noqa: B006
    """A picture and a link, which the browser makes."""


@solara.component
def TakeAway(visitor: Visitor) -> None:
    """Buttons."""
    session, w = visitor.session, visitor.w
    is_there, pair = visitor.status.value.generation > 0, session.pair
    if pair is None or not is_there:
        return
    labels = tuple(f"{side} · {regimen.label}" for side, regimen in zip("AB", pair.regimens, strict=True))
    name = pair.choice.scenario.replace(":", "_")
    with solara.Div(classes=["tme-take"]):
        solara.Text(w["take_away"], style={"font-size": "20px", "font-weight": "600"})
        with solara.Row(style={"flex-wrap": "wrap", "background": "transparent"}):
            solara.FileDownload(
                lambda: ask(session, lambda: scenario_toml(need(session), visitor.language.value)), f"{name}.toml", label=w["save_toml"]
            )
            solara.FileDownload(lambda: ask(session, lambda: table_csv(need(session))), f"{name}.csv", label=w["save_csv"])
            solara.FileDownload(
                lambda: ask(
                    session, lambda: film_gif(session.history, visitor.layer.value, need(session).choice.size, visitor.w["day"], labels)
                ),
                f"{name}.gif",
                label=w["save_gif"],
            )
        Souvenir(link=visitor.link(), words={k: w[k] for k in ("save_png", "link", "copied")}, title=" / ".join(labels))


def need(session: Session) -> Pair:
    """The pair, which is there by now."""
    assert session.pair is not None
    return session.pair
