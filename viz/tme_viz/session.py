"""One visitor's pair of marrows, on a thread of its own that does one thing after another.

The page only posts wishes; the thread steps, records, draws and answers. So nothing is ever drawn while it changes, a slow browser
slows the stepping instead of drowning in frames (each frame waits for the browser to say that the last one is drawn), and a tab that
is closed ends its thread.
"""

import contextlib
import queue
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from tme_abm.foundation.errors import InputError
from tme_abm.simulation.simulation import Simulation
from tme_viz.allowed_files import Places
from tme_viz.choice import Choice, Event
from tme_viz.history import History, pack
from tme_viz.pair import Pair, together
from tme_viz.picture import LAYERS, take
from tme_viz.screen import Screen, Sink, deaths

PATIENCE = 10.0  # seconds without an answer from the browser, after which play stops
FASTEST = 1.0 / 40.0  # seconds between frames
SETTLED = 0.5  # seconds after which a page that was mounted has surely subscribed to the status
SHARE_EVERY = 0.5  # seconds between signs of progress
SPEEDS = (1, 2, 4, 8, 28, 112)  # steps a frame
LONGEST_WAIT_FOR_A_KILL = 4 * 28  # steps


class Closed(Exception):
    """The tab has gone while something long was under way."""


class Overtaken(Exception):
    """Something else was chosen while something long was under way."""


@dataclass(frozen=True)
class Status:
    """What the page needs to know apart from the frames.

    Attributes:
        phase: "starting", "compiling", "growing", "treating", "ready" or "failed".
        message: Why it failed; empty otherwise.
        generation: Counts the pairs made; the curves start anew with each.
        playing: Whether time passes.
        choice: What stands, with arms filled in and events so far.
        day: Day that is reached.
        share: How much of the treatment up to a link's day is done, 0 to 1.
        told: Counts the repetitions of a status for a page that may have missed it.
    """

    phase: str = "starting"
    message: str = ""
    generation: int = 0
    playing: bool = False
    choice: Choice = field(default_factory=Choice)
    day: float = 0.0
    share: float = 0.0
    told: int = 0

    def at(self, day: float) -> "Status":
        """The same at another day."""
        return replace(self, day=day, choice=replace(self.choice, day=day))


class Session:
    """One visitor's pair of marrows.

    Attributes:
        status: The latest; `on_status` is called with each new one.
        pair: The marrows, None until the first are made. To be read only from work that was posted.
        screen: What the page shows of them.
        asked: The latest choice that was asked for, while it is not yet made; None else.
    """

    def __init__(self, places: Places, on_status: Callable[[Status], None] = lambda status: None) -> None:
        """Start the thread, which waits for work."""
        self.places = places
        self.on_status = on_status
        self.status = Status()
        self.pair: Pair | None = None
        self.screen = Screen()
        self.asked: Choice | None = None
        self._asking = threading.Lock()
        self._n_asked = 0
        self._making = 0  # which of the choices asked for is being made, 0 for none
        self._plain: Choice | None = None  # what is made where nothing that was asked for can be
        self._target = 0.0  # day to which it is treated
        self._told_at = 0.0
        self._steps_per_frame = 1
        self._work: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self._closed = threading.Event()
        self._is_mounting = False
        self._thread = threading.Thread(target=self._run, name="marrow", daemon=True)
        self._thread.start()

    # ---- what the page may ask for; each returns at once

    def post(self, work: Callable[[], None]) -> None:
        """Do something on the session's thread, after what was asked for before."""
        if not self._closed.is_set():
            self._work.put(work)

    def prepare(self, choice: Choice, otherwise: Choice | None = None) -> None:
        """Make the pair that a choice describes, up to the day that it names; what was asked for before is given up where it stands.

        Args:
            choice: What is wanted.
            otherwise: What is made where that cannot be, so that the page is not empty; the message stands all the same. It is kept for
            later choices, until the first pair is made.
        """
        with self._asking:
            self._n_asked += 1
            self.asked, number = choice, self._n_asked
        self._plain = otherwise or self._plain

        def make() -> None:
            if number != self._n_asked:
                return
            self._making = number
            try:
                self._prepare(choice)
            except InputError as error:
                instead = self._plain if self.pair is None else otherwise
                if instead is None:
                    raise
                self._ask(number, instead)
                self._prepare(instead)
                self._fail(str(error))
            finally:
                self._making = 0
                self._ask(number, None)

        self.post(make)

    def _ask(self, number: int, choice: Choice | None) -> None:
        """What is being made, unless something else has been asked for meanwhile."""
        with self._asking:
            if number == self._n_asked:
                self.asked = choice

    def play(self, playing: bool) -> None:
        """Let time pass, or hold it."""
        self.post(lambda: self._set_playing(playing))

    def step(self, n: int = 1) -> None:
        """One frame on or, with -1, one back."""
        self.post(lambda: self._step(n))

    def play_to(self, day: float, steps_per_frame: int = 1) -> None:
        """Let time pass up to a day; show that day where it has passed."""

        def begin() -> None:
            if self.pair is None or day <= self.pair.day:
                self._seek(day)
                return
            self.screen.view, self.screen.until = None, day
            self._set_pace(steps_per_frame)
            self._set_playing(True)

        self.post(begin)

    def next_kill(self) -> None:
        """Let time pass until an effector cell kills a plasma cell on either side, and show slowly how."""
        self.post(self._next_kill)

    def undo(self) -> None:
        """The same moment as if the last change had not been made."""
        self.post(self._undo)

    def seek(self, day: float) -> None:
        """Show the past at a day; the last day is the present."""
        self.post(lambda: self._seek(day))

    def speed(self, steps_per_frame: int) -> None:
        """Steps between two frames."""
        self.post(lambda: self._set_pace(steps_per_frame))

    def layer(self, name: str) -> None:
        """Which quantity is shown."""

        def change() -> None:
            if name in LAYERS and name != self.screen.layer:
                self.screen.layer = name
                self._show()

        self.post(change)

    def act(self, side: int, kind: str, name: str, value: float) -> None:
        """Change a dose or a switch, from the moment that is shown; what came after it is forgotten."""
        self.post(lambda: self._act(side, kind, name, value))

    def pick(self, side: int, site: int | None) -> None:
        """Follow the cell on a site, or none."""
        self.post(lambda: self._pick(side, site))

    def attach(self, name: str, sink: Sink) -> Callable[[], None]:
        """Send to a part of the page from now on; returns what ends it."""

        def begin() -> None:
            self.screen.sinks[name] = sink
            self.screen.send_all_curves()
            self._show()

        self.post(begin)
        return lambda: self.post(lambda: self._detach(name, sink))

    def mounted(self) -> None:
        """The page, or a view of it, was drawn anew: say the status again soon.

        A component reads the status while it is drawn and subscribes to it only afterwards; what changes in between on this thread would
        be missed, and the page would wait for ever.
        """
        self.post(lambda: setattr(self, "_is_mounting", True))

    def _detach(self, name: str, sink: Sink) -> None:
        if self.screen.sinks.get(name) is sink:
            del self.screen.sinks[name]

    def drawn(self, n: int) -> None:
        """The browser has drawn frame `n`."""
        self.screen.answer(n)

    def complain(self, message: str) -> None:
        """Show a message after what was asked for before."""
        self.post(lambda: self._fail(message))

    def close(self) -> None:
        """End the thread and let go of everything."""
        self._closed.set()
        self.screen.let_go()
        self._work.put(None)

    def wait(self, timeout: float | None = None) -> None:
        """Return when all that was asked for so far is done."""
        done = threading.Event()
        self.post(done.set)
        done.wait(timeout)

    # ---- the thread

    def _run(self) -> None:
        shown_at = 0.0
        while not self._closed.is_set():
            try:
                if self.screen.is_playing:
                    with contextlib.suppress(queue.Empty):
                        for _ in range(self._work.qsize()):  # what this work asks for comes after the next frame
                            if (work := self._work.get_nowait()) is not None:
                                work()
                    if self.screen.is_playing and not self._closed.is_set():
                        time.sleep(max(0.0, shown_at + FASTEST - time.monotonic()))
                        shown_at = time.monotonic()
                        self._frame()
                        if not self.screen.wait(PATIENCE):
                            self._set_playing(False)
                else:
                    try:
                        work = self._work.get(timeout=SETTLED if self._is_mounting else None)
                    except queue.Empty:
                        self._is_mounting = False
                        self._tell(told=self.status.told + 1)
                        continue
                    if work is not None:
                        work()
            except Closed:
                break
            except Overtaken:
                continue
            except InputError as error:
                self._fail_quietly(str(error))
            except Exception as error:  # a failure of the model shows on the page, which stays usable
                traceback.print_exc()
                self._fail_quietly(f"{type(error).__name__}: {error}")
        if self.pair is not None:
            self.pair.close()
        self.pair = None
        self.history.close()
        self.screen.sinks.clear()

    def _fail_quietly(self, message: str) -> None:
        """Tell a failure; where the page cannot be told, because a part of it fails itself, the thread goes on all the same."""
        try:
            self._fail(message)
        except Exception:
            traceback.print_exc()

    def _fail(self, message: str) -> None:
        self.screen.is_playing, self.screen.until = False, None
        self._tell(phase="ready" if self.pair is not None else "failed", message=message, playing=False, share=0.0)
        self._show()

    def _tell(self, **changes: Any) -> None:
        self.status = replace(self.status, **changes)
        self.on_status(self.status)

    def _prepare(self, choice: Choice) -> None:
        self.screen.is_playing, self.screen.until = False, None
        self._tell(playing=False, message="")
        pair, history = Pair(choice, self.places, lambda phase: self._tell(phase=phase)), History()
        if choice.day > 0.0:
            self._tell(phase="treating", share=0.0)
        self._target, self._told_at = choice.day, time.monotonic()
        try:
            pair.go_to(choice.day, choice.events, partial(self._record, pair, history))
        except BaseException:  # the pair that the page shows stays as it is
            pair.close()
            history.close()
            raise
        if self.pair is not None:
            self.pair.close()
        self.history.close()
        self.pair = pair
        self.screen.turn_to(pair, history)
        self._tell(phase="ready", message="", share=0.0, generation=self.screen.generation, choice=self._now(), day=pair.day)
        self._show()

    def _now(self) -> Choice:
        assert self.pair is not None
        return replace(self.pair.choice, events=tuple(self.pair.events), day=self.pair.day)

    def _set_pace(self, steps_per_frame: int) -> None:
        self._steps_per_frame = max(1, min(int(steps_per_frame), max(SPEEDS)))

    def _set_playing(self, playing: bool) -> None:
        if self.pair is None:
            return
        self.screen.is_playing = playing
        if not playing:
            self.screen.until = None
        self.screen.send_curves()
        self._tell(playing=playing, message="", choice=self._now(), day=self.pair.day)
        if not playing:
            self._show()

    def _record(self, pair: Pair, history: History) -> None:
        """Keep a picture of this day, unless there is one; say how far it is where that takes long."""
        if self._closed.is_set():
            raise Closed
        if self._making:
            if self._making != self._n_asked:
                raise Overtaken
            if self._target and time.monotonic() - self._told_at > SHARE_EVERY:
                self._told_at = time.monotonic()
                self._tell(share=pair.day / self._target)
        if pair.step % pair.per_day == 0 and pair.day > history.last_day + 1e-9:
            work = [partial(packed, side.simulation) for side in pair.sides]
            history.add(pair.day, together(work, pair.choice.size))

    def _frame(self) -> None:
        """The next moment: of the past while it is being replayed, else of the present."""
        if self.pair is None:
            return
        if self.screen.view is not None:
            onward = self.screen.view + self._steps_per_frame
            self.screen.view = onward if onward < self.pair.step else None
        else:
            n, until = self._steps_per_frame, self.screen.until
            if until is not None:
                n = min(n, max(round(until * self.pair.per_day) - self.pair.step, 0))
            self.pair.advance(n, partial(self._record, self.pair, self.history))
            if until is not None and self.pair.day >= until - 1e-9:
                self._set_playing(False)
                return
        self._show()

    def _next_kill(self) -> None:
        if self.pair is None:
            return
        self._set_playing(False)
        self.screen.view, before = None, None
        for _ in range(LONGEST_WAIT_FOR_A_KILL):
            kinds = [side.simulation.marrow.cells.kind.tobytes() for side in self.pair.sides]
            self.pair.advance(1, partial(self._record, self.pair, self.history))
            if any(killer >= 0 for side in self.pair.sides for _, _, killer in deaths(side.simulation)):
                before = kinds
                break
        self.screen.show(before)
        self._tell(choice=self._now(), day=self.pair.day)

    def _undo(self) -> None:
        if self.pair is None or not self.pair.events:
            return
        self._set_playing(False)
        day, last = self.pair.day, self.pair.events[-1]
        self._tell(phase="treating", share=0.0)
        self.history.forget_after(last.day)
        self.pair.go_to(day, self.pair.events[:-1], partial(self._record, self.pair, self.history))
        self.screen.return_to_present()
        self._tell(phase="ready", message="", choice=self._now(), day=self.pair.day)
        self._show()

    def _step(self, n: int) -> None:
        if self.pair is None:
            return
        if n < 0:
            shown = self.pair.step if self.screen.view is None else self.screen.view
            self.screen.view = max(shown - self._steps_per_frame, 0)
            self._show()
        else:
            self._frame()
        self._tell(choice=self._now(), day=self.pair.day)

    def _seek(self, day: float) -> None:
        if self.pair is None:
            return
        step = round(max(day, 0.0) * self.pair.per_day) if day < self.pair.day else self.pair.step
        self.screen.view = step if step < self.pair.step else None
        self._show()

    def _act(self, side: int, kind: str, name: str, value: float) -> None:
        if self.pair is None:
            return
        day = self.pair.day
        if self.screen.view is not None:
            day = self.screen.view / self.pair.per_day
            self._tell(phase="treating")
            kept = [e for e in self.pair.events if e.day <= day + 1e-9]
            self.pair.go_to(day, kept)
            self.history.forget_after(day)
            self.screen.return_to_present()
        self.pair.act(Event(day, side, kind, name, value))
        self.screen.send_curves()
        self._tell(phase="ready", message="", choice=self._now(), day=self.pair.day)
        self._show()

    def _pick(self, side: int, site: int | None) -> None:
        if self.pair is not None:
            self.screen.pick(side, site)

    def _show(self) -> None:
        if self.pair is not None:
            self.screen.show()

    def life(self, side: int) -> list[tuple[float, list[tuple[str, str]]]]:
        """The recorded states of the followed cell, a row a recorded day. Only from work that was posted."""
        return self.screen.life(side)

    @property
    def history(self) -> History:
        """The past of the marrows. Only from work that was posted."""
        return self.screen.history


def packed(simulation: Simulation) -> bytes:
    """The marrow now, ready to be kept."""
    return pack(take(simulation))
