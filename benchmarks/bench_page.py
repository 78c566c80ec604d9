"""The live page in headless Chromium: frames a second by size of the patch, and a class of visitors on one server.

Frames: two marrows shown, the full model stepping 6 h a picture, counted by the browser once it has drawn them. Visitors: each opens a
page of its own; one plays while every other one steps in turn; all close, and a second class comes, so that memory which is kept for
reuse can be told from memory that is lost. Wall clock, as a visitor sees it: what else runs on the machine counts.

Run: python benchmarks/bench_page.py [--only frames|visitors] [--sides 64 128 256] [--visitors 30] [--seconds 5] [--json FILE]
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from machine import add_json, headline, write

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "viz"))

from browser import FRAMES, browsing, frame_rate, missing, ready, serving

Row = dict[str, Any]
CULL = "5s"  # after which the server lets go of a closed page; two minutes otherwise
LONGEST_WAIT = 60.0  # s, for a class to be gone


def frames(sides: list[int], seconds: float) -> list[Row]:
    """A row per size of the patch."""
    rows = []
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as (address, _), browsing() as browser:
        for side in sides:
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.goto(f"{address}/?size={side}")
            ready(page)
            page.keyboard.press(" ")
            page.wait_for_timeout(1500)
            rates = [frame_rate(page, seconds) for _ in range(3)]
            page.close()
            median, slowest, fastest = statistics.median(rates), min(rates), max(rates)
            rows.append({"patch": f"{side} x {side}", "frames_per_s": median, "slowest": slowest, "fastest": fastest})
            print(f"{side} x {side}: {median:.1f} frames/s ({slowest:.1f} to {fastest:.1f})", flush=True)
    return rows


class Class:
    """Visitors of one server."""

    def __init__(self, address: str, process: int, browser: Any) -> None:
        """Nobody has come yet."""
        self.address, self.process, self.browser = address, psutil.Process(process), browser
        self.rows: list[Row] = []
        self.pages: list[Any] = []

    def come(self, n: int) -> None:
        """So many more open a page."""
        for _ in range(n):
            page = self.browser.new_page(viewport={"width": 1200, "height": 800})
            page.goto(f"{self.address}/?size=64")
            ready(page)
            self.pages.append(page)

    def go(self) -> None:
        """All but the first close their page; returns when the server has let go of them."""
        busy, leaving = self.process.num_threads(), len(self.pages) - 1
        for page in self.pages[1:]:
            page.close()
        del self.pages[1:]
        end = time.monotonic() + LONGEST_WAIT
        while time.monotonic() < end and self.process.num_threads() > busy - leaving:
            time.sleep(0.5)
        time.sleep(8.0)  # the server hands memory back some seconds later

    def note(self, moment: str) -> None:
        """Write down memory and threads."""
        self.rows.append({"moment": moment, "memory_mb": self.process.memory_info().rss / 1e6, "threads": self.process.num_threads()})
        print(f"{moment}: {self.rows[-1]['memory_mb']:.0f} MB, {self.rows[-1]['threads']} threads", flush=True)

    def steps(self) -> list[float]:
        """Seconds until each visitor but the first sees a step that she asked for, one after another."""
        waits = []
        for page in self.pages[1:]:
            drawn = page.evaluate(FRAMES)
            start = time.monotonic()
            page.keyboard.press("ArrowRight")
            page.wait_for_function(f"({FRAMES}) > {drawn}")
            waits.append(time.monotonic() - start)
        return waits


def visitors(n: int, seconds: float) -> tuple[list[Row], Row]:
    """Memory at each moment, and how quickly the server answers a class of `n`."""
    os.environ["SOLARA_KERNEL_CULL_TIMEOUT"] = CULL
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as (address, process), browsing() as browser:
        visitor = Class(address, process, browser)
        visitor.come(1)
        visitor.note("one page")
        visitor.come(n - 1)
        visitor.note(f"{n} pages")
        first = visitor.pages[0]
        first.bring_to_front()
        first.keyboard.press(" ")
        first.wait_for_timeout(1000)
        rate = frame_rate(first, seconds)
        waits = visitor.steps()
        first.keyboard.press(" ")
        visitor.note(f"{n} pages, used")
        visitor.go()
        visitor.note("one page again")
        visitor.come(n - 1)
        visitor.note(f"a second class of {n}")
        visitor.go()
        visitor.note("one page again, at last")
    facts = {
        "visitors": n,
        "frames_per_s_of_one_who_plays": rate,
        "step_median_ms": 1000 * statistics.median(waits),
        "step_worst_ms": 1000 * max(waits),
    }
    for name, value in facts.items():
        print(f"{name}: {value:.0f}")
    return visitor.rows, facts


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["frames", "visitors"])
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one count of frames, of which there are three")
    add_json(parser)
    options = parser.parse_args()
    if reason := missing():
        print(f"left out: {reason}")
        write(options.json, "page", {}, left_out=reason)  # or an older file would pass for this run's
        return
    print(headline())
    tables: dict[str, list[Row]] = {}
    if options.only != "visitors":
        tables["frames"] = frames(options.sides, options.seconds)
    if options.only != "frames":
        tables["memory"], facts = visitors(options.visitors, options.seconds)
        tables["class"] = [facts]
    write(options.json, "page", tables)


if __name__ == "__main__":
    main()
