"""What matplotlib works out again and again, remembered while it lays out and draws one figure of this package.

To find room for the labels of an axis it places its ticks and measures each of them five times, all of that twice, and once more to draw
them. Where the limits and the size of the axis are as before, so are the ticks, and a text that looks the same is as large. Matplotlib is
as it was before and after, and meanwhile for other threads.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LOCK = threading.Lock()
_before: list[tuple[Any, str, Any]] = []  # whose method, its name and what it was, while any figure is drawn
_n_figures = [0]  # that are being drawn


class _Memory(threading.local):
    """Of the figure that a thread draws: None where it draws none."""

    texts: dict[Any, Any] | None = None
    ticks: dict[Any, tuple[Any, Any]] | None = None


_memory = _Memory()


@contextmanager
def remembering() -> Iterator[None]:
    """Matplotlib remembers within, in this thread; nothing may change the figure but its layout."""
    kept = _memory.texts, _memory.ticks
    _begin()
    _memory.texts, _memory.ticks = {}, {}
    try:
        yield
    finally:
        _memory.texts, _memory.ticks = kept
        _end()


def _begin() -> None:
    from matplotlib.axis import Axis
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    changed = [
        (Text, "_get_layout", _sized),
        (Axis, "_update_ticks", _placed),
        (Text, "update_from", _seen),
        (Line2D, "update_from", _seen),
    ]
    with _LOCK:
        if _n_figures[0] == 0:
            for owner, name, made in changed:
                original = getattr(owner, name, None)
                if original is not None:  # what a matplotlib has no more, it works out as it likes
                    _before.append((owner, name, original))
                    setattr(owner, name, made(original))
        _n_figures[0] += 1


def _end() -> None:
    with _LOCK:
        _n_figures[0] -= 1
        if _n_figures[0] == 0:
            for owner, name, original in _before:
                setattr(owner, name, original)
            _before.clear()


def _sized(original: Any) -> Any:
    """How large a text is and where its lines stand in it, which all that stands in `key` decides."""

    def get_layout(text: Any, renderer: Any) -> Any:
        known = _memory.texts
        if known is None or text.get_wrap():  # in lines as long as there is room for
            return original(text, renderer)
        key = (
            text.get_text(),
            text.get_fontproperties(),
            text.get_rotation(),
            text.get_rotation_mode(),
            text.get_horizontalalignment(),
            text.get_verticalalignment(),
            text._get_multialignment(),
            text._linespacing,
            text.get_usetex(),
            text.get_parse_math(),
            text.figure.dpi,
            type(renderer),
        )
        if key not in known:
            kept = (key[0], key[1].copy(), *key[2:])
            known[kept] = original(text, renderer)
        return known[key]

    return get_layout


def _seen(original: Any) -> Any:
    """What is copied to a new tick from the first of its axis: not the lines and labels of either that nobody sees."""

    def update_from(artist: Any, other: Any) -> None:
        if _memory.ticks is None or artist.get_visible() or other.get_visible():
            original(artist, other)

    return update_from


def _placed(original: Any) -> Any:
    """The ticks of an axis as it has placed them last, unless another axis has used what formats them, or there is other room for them."""

    def update_ticks(axis: Any) -> Any:
        known = _memory.ticks
        if known is None:
            return original(axis)
        low, high = axis.get_view_interval()
        key = (id(axis), float(low), float(high), *axis.axes.bbox.size, axis.figure.dpi)
        formatter = id(axis.major.formatter)
        last = known.get(formatter)
        if last is None or last[0] != key:
            known[formatter] = last = key, original(axis)
        return last[1]

    return update_ticks
