"""Colours and style of every figure, and how it becomes a file; nothing of it is global state of matplotlib.

Colours are those of Okabe and Ito, told apart by colour-blind readers; an arm keeps its colour in every figure. Text is sized to be read on
a slide.
"""

import base64
import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np

from tme_abm.drawing_memory import remembering
from tme_abm.foundation.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, LIGHT = "#6B6B6B", "#D9D9D9"
ARM_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
SPARE_COLOURS = ("#999999", "#4D4D4D", "#BFBFBF")
MOST_BANDS = 3  # arms whose bands can lie over each other and still be told apart
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "axes.titley": 1.0,  # where titles stand anyway; to find that out takes matplotlib a quarter of the time of a figure
    "lines.linewidth": 2.0,
    "svg.hashsalt": "tme_abm",  # the same figure gives the same file
    "figure.dpi": 100,
}


_has_readers = [True]


def forgo_docstrings() -> None:
    """Say that nobody will read matplotlib's docstrings in this process."""
    _has_readers[0] = False


def import_matplotlib() -> None:
    """Import what figures need of matplotlib.

    A third of the time it takes to write lists of what can be set into the docstrings of its classes; they are left out where nobody reads
    them.
    """
    from matplotlib import artist

    before = getattr(artist, "kwdoc", None)
    if before is not None and not _has_readers[0]:
        artist.kwdoc = lambda artist: ""
    try:
        import matplotlib.backends.backend_svg
        import matplotlib.figure  # noqa: F401
    finally:
        if before is not None:
            artist.kwdoc = before


def styled(draw: Callable[P, "Figure"]) -> Callable[P, "Figure"]:
    """Draw with the style of this module, leaving the caller's alone."""

    @wraps(draw)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> "Figure":
        import_matplotlib()
        import matplotlib

        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapped


def colour(arms: Sequence[str], arm: str) -> str:
    """Colour of an arm, by its place."""
    return ARM_COLOURS[list(arms).index(arm) % len(ARM_COLOURS)]


def save(figure: "Figure | bytes", folder: Path, name: str, kind: str = "svg") -> Path:
    """Write a figure to `folder/name.kind`, making the folder.

    Args:
        figure: What to write; also as `rendered` has given it.
        folder: Where.
        name: File name without ending.
        kind: "svg", "png" or "pdf".

    Raises:
        InputError: For another kind.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{kind}"
    path.write_bytes(figure if isinstance(figure, bytes) else rendered(figure, kind))
    return path


def rendered(figure: "Figure", kind: str = "svg") -> bytes:
    """A figure as the bytes of an "svg", "png" or "pdf" file, the same for the same figure.

    Raises:
        InputError: For another kind.
    """
    import matplotlib

    if kind not in ("svg", "png", "pdf"):
        raise InputError(f"figure: unknown kind '{kind}'{did_you_mean(kind, ('svg', 'png', 'pdf'))}")
    undated = {"svg": {"Date": None}, "png": {"Software": None}, "pdf": {"CreationDate": None}}
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE), remembering(), _laid_out(figure, kind):
        figure.savefig(buffer, format=kind, dpi=160, facecolor="white", metadata=undated[kind])
    return _renamed(buffer.getvalue()) if kind == "svg" else buffer.getvalue()


def _renamed(content: bytes) -> bytes:
    """An "svg" whose clip paths are numbered: matplotlib names some of them by where they lie in memory."""
    names = {name: f"clip_{n}".encode() for n, name in enumerate(dict.fromkeys(re.findall(rb'<clipPath id="(\w+)"', content)))}
    return re.sub(rb'(<clipPath id="|url\(#)(\w+)', lambda found: found[1] + names.get(found[2], found[2]), content)


@contextmanager
def _laid_out(figure: "Figure", kind: str) -> Iterator[None]:
    """Lay out a figure that is to become an "svg"; matplotlib by itself draws the whole figure once more to come to the same places."""
    layout = figure.get_layout_engine()
    if kind != "svg" or layout is None:
        yield
        return
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    canvas, dpi = figure.canvas, figure.dpi
    try:
        FigureCanvasSVG(figure)
        figure.dpi = FigureCanvasSVG.fixed_dpi
        layout.execute(figure)
        figure.set_layout_engine(None)
        yield
    finally:
        figure.set_layout_engine(layout)
        figure.set_canvas(canvas)
        figure.dpi = dpi


def data_address(figure: "Figure | bytes", kind: str = "svg") -> str:
    """A figure, or the bytes that `rendered` has given of it, as a `data:` address, for a page that needs no other file."""
    types = {"svg": "image/svg+xml", "png": "image/png"}
    content = figure if isinstance(figure, bytes) else rendered(figure, kind)
    return f"data:{types[kind]};base64,{base64.b64encode(content).decode()}"


def empty_figure(width: float, height: float) -> "Figure":
    """An empty figure that lays itself out [inch]."""
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained", facecolor="white")


def month_ticks(longest: float) -> list[float]:
    """About six to ten round numbers of months from 0."""
    step = next((s for s in (1, 2, 3, 6, 12, 24) if longest / s <= 9), 48)
    return [float(tick) for tick in np.arange(0, longest + 1e-9, step)]
