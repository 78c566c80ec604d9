"""Measure the page in headless Chromium: frame rates, and thirty visitors on one server.

    python viz/measure.py frames            # frames a second, two marrows, by size of the patch
    python viz/measure.py visitors 30       # a class: time of a step, memory before, during and after

Prints a table, and a line of JSON for a record. What else runs on the machine counts: it gives the load too.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from browser import FRAMES, browsing, frame_rate, missing, ready, serving

SIZES = (64, 128, 256)
SECONDS = 5.0
FRESH_SECONDS = 30.0  # seconds to wait for the memory of closed tabs


def memory_mb(process: int) -> float:
    """Resident memory of a process [MB]."""
    import psutil

    return float(psutil.Process(process).memory_info().rss / 1e6)


def threads(process: int) -> int:
    """Threads of a process: each visitor's session has one."""
    import psutil

    return int(psutil.Process(process).num_threads())


def frames() -> dict[str, float]:
    """Frames a second at each size, one step of 6 h a picture, both marrows shown."""
    rates = {}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as (address, _), browsing() as browser:
        for size in SIZES:
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.goto(f"{address}/?size={size}")
            ready(page)
            page.keyboard.press(" ")
            page.wait_for_timeout(1500)
            rates[f"{size}x{size}"] = round(frame_rate(page, SECONDS), 1)
            page.close()
            print(f"{size} x {size}: {rates[f'{size}x{size}']} frames/s")
    return rates


def visitors(n: int) -> dict[str, float]:
    """A class of `n`: each has a page; one plays; a step of each is timed; memory is read before, during and after."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SOLARA_KERNEL_CULL_TIMEOUT"] = "5s"  # so that the end of the measurement need not wait for minutes
        with serving(Path(folder)) as (address, process), browsing() as browser:
            first = browser.new_page(viewport={"width": 1200, "height": 800})
            first.goto(f"{address}/?size=64")
            ready(first)
            before = memory_mb(process)
            pages = []
            for _ in range(n - 1):
                page = browser.new_page(viewport={"width": 1200, "height": 800})
                page.goto(f"{address}/?size=64")
                ready(page)
                pages.append(page)
            during, busy = memory_mb(process), threads(process)
            first.bring_to_front()
            first.keyboard.press(" ")
            first.wait_for_timeout(1000)
            rate = frame_rate(first, SECONDS)
            waits = []
            for page in pages:
                drawn = page.evaluate(FRAMES)
                start = time.monotonic()
                page.keyboard.press("ArrowRight")
                page.wait_for_function(f"({FRAMES}) > {drawn}")
                waits.append(time.monotonic() - start)
            first.keyboard.press(" ")
            for page in pages:
                page.close()
            end = time.monotonic() + FRESH_SECONDS
            while time.monotonic() < end and threads(process) > busy - len(pages):
                time.sleep(1.0)
            after, idle = memory_mb(process), threads(process)
    result = {
        "visitors": n,
        "frames_per_s_of_the_one_who_plays": round(rate, 1),
        "step_median_ms": round(1000 * statistics.median(waits)),
        "step_worst_ms": round(1000 * max(waits)),
        "memory_one_mb": round(before),
        "memory_all_mb": round(during),
        "memory_after_closing_mb": round(after),
        "threads_all": busy,
        "threads_after_closing": idle,
    }
    for name, value in result.items():
        print(f"{name}: {value}")
    return result


def main() -> None:
    """Run what is asked for."""
    if reason := missing():
        sys.exit(reason)
    what = sys.argv[1] if len(sys.argv) > 1 else "frames"
    found = visitors(int(sys.argv[2]) if len(sys.argv) > 2 else 30) if what == "visitors" else frames()
    print(json.dumps({what: found, "load": os.getloadavg(), "cores": os.cpu_count()}))


if __name__ == "__main__":
    main()
