"""What a visitor can take home: the scenario, the picture, the film, the curves and a link."""

import io
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import solara

from tme_viz.history import History
from tme_viz.pair import Pair
from tme_viz.picture import image
from tme_viz.push import use_link
from tme_viz.saved_scenario import live_toml, scenario_toml
from tme_viz.session import Session
from tme_viz.visitor import Visitor

if TYPE_CHECKING:
    from PIL import Image

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


def film_frame(history: History, place: int, layer: str, size: int, word: str = "Day", arms: tuple[str, ...] = ()) -> "Image.Image":
    """One picture of a film.

    Args:
        history: The past.
        place: Of the moment in it.
        layer: Quantity that is shown.
        size: Rows and columns of the patch [sites].
        word: Stands before the number of the day.
        arms: What stands above each marrow.
    """
    import numpy as np
    from PIL import Image, ImageDraw

    zoom = max(1, FILM_PIXELS // size)
    day, pictures = history.at(place)
    halves = [image(picture, layer, size, zoom) for picture in pictures]
    gap = np.full((halves[0].shape[0], 8, 3), 255, np.uint8)
    both = np.concatenate([halves[0], gap, halves[1]], axis=1)
    head = np.full((28, both.shape[1], 3), 255, np.uint8)
    frame = Image.fromarray(np.concatenate([head, both]))
    draw = ImageDraw.Draw(frame)
    for i, text in enumerate((f"{arms[0] if arms else ''}   {word} {day:.0f}".strip(), *arms[1:])):
        draw.text((8 + i * (halves[0].shape[1] + gap.shape[1]), 4), text, fill=(0, 0, 0), font_size=18)
    return frame.quantize(64)


def film_places(history: History) -> list[int]:
    """Places of the moments of a film: all, or `FILM_FRAMES` evenly spaced ones."""
    import numpy as np

    return [int(place) for place in np.unique(np.linspace(0, len(history) - 1, min(len(history), FILM_FRAMES)).astype(int))]


def joined(frames: "list[Image.Image]") -> bytes:
    """Pictures as an animated GIF."""
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0)
    return out.getvalue()


class Film:
    """A film of the recorded past, made a picture at a time between the session's other work.

    Attributes:
        share: How much is done, 0 to 1.
        data: The film, once it is done.
        generation: Of the pair whose past it shows.
        has_failed: Whether the past was forgotten on the way.
    """

    def __init__(self, session: Session, layer: str, word: str, arms: tuple[str, ...], on_change: Callable[[], None]) -> None:
        """Begin."""
        self.session, self.layer, self.word, self.arms, self.on_change = session, layer, word, arms, on_change
        self.share, self.data, self.has_failed = 0.0, b"", False
        self.generation = session.status.generation
        self._frames: list[Image.Image] = []
        session.post(self._begin)

    def _begin(self) -> None:
        self._history, self._size = self.session.history, need(self.session).choice.size
        self._places = film_places(self._history)
        self._next()

    def _next(self) -> None:
        if self.session.history is not self._history or self._places[-1] >= len(self._history):
            self.has_failed = True
            self.on_change()
            return
        place = self._places[len(self._frames)]
        self._frames.append(film_frame(self._history, place, self.layer, self._size, self.word, self.arms))
        self.share = len(self._frames) / (len(self._places) + 1)
        if len(self._frames) < len(self._places):
            self.session.post(self._next)
        else:
            threading.Thread(target=self._join, name="film", daemon=True).start()
        if len(self._frames) % 5 == 0:
            self.on_change()

    def _join(self) -> None:
        self.data = joined(self._frames)
        self.share = 1.0
        self.on_change()


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
    """A picture and a link, which the browser makes; `link` is pushed by the visitor."""


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
                lambda: ask(session, lambda: live_toml(need(session), visitor.language.value)), f"{name}-live.toml", label=w["save_live"]
            )
            solara.FileDownload(
                lambda: ask(session, lambda: scenario_toml(need(session), visitor.language.value)), f"{name}.toml", label=w["save_toml"]
            )
            solara.FileDownload(lambda: ask(session, lambda: table_csv(need(session))), f"{name}.csv", label=w["save_csv"])
            TakeFilm(visitor, labels, name)
        Moment(visitor, labels)


@solara.component
def Moment(visitor: Visitor, labels: tuple[str, ...]) -> None:
    """A picture and a link of what is seen now."""
    words = {key: visitor.w[key] for key in ("save_png", "link", "copied")}
    use_link(visitor, Souvenir(words=words, title=" / ".join(labels)), "link", lambda seen: seen[0])


@solara.component
def TakeFilm(visitor: Visitor, labels: tuple[str, ...], name: str) -> None:
    """A film: begun by a button, then how far it is, then the button that saves it, and the one for another."""
    w, session = visitor.w, visitor.session
    film, set_film = solara.use_state(no_film())
    _ = visitor.beat.value

    def tell() -> None:
        visitor.beat.value += 1

    def begin() -> None:
        set_film(Film(session, visitor.layer.value, w["day"], labels, tell))

    if film is not None and (film.has_failed or film.generation != visitor.status.value.generation):
        film = None
    if film is not None and not film.data:
        solara.Button(w["making_film"].format(100.0 * film.share), disabled=True, classes=["tme-film"])
        return
    if film is not None:
        solara.FileDownload(film.data, f"{name}.gif", label=w["film_ready"])
    solara.Button(w["make_film"], on_click=begin, classes=["tme-film"])


def no_film() -> Film | None:
    """None has been asked for."""
    return None


def need(session: Session) -> Pair:
    """The pair, which is there by now."""
    assert session.pair is not None
    return session.pair
