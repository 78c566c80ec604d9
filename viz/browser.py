"""Drive the page in headless Chromium: for its tests, its measurements and its screenshots."""

import hashlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DAY = "Number(document.querySelector('.tme-time b').textContent.replace(/[^0-9]/g, ''))"  # the day that the page names
PANELS = "[...document.querySelectorAll('.tme-panel')].map(p => p.__vue__)"  # both marrows
FRAMES = "window.tmeFrames ? window.tmeFrames[1] : 0"
START = 240  # seconds within which a server starts, on a computer with much else to do
END = 60  # seconds within which it ends
HERE = Path(__file__).resolve().parent


@cache
def chromium() -> str | None:
    """Path of the system's Chromium or Chrome, else of the one that playwright has installed; None where there is none."""
    if found := next((found for name in NAMES if (found := shutil.which(name))), None):
        return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        own = driver.chromium.executable_path
    return own if Path(own).is_file() else None


def missing() -> str:
    """Why the page cannot be driven here; empty where it can."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed: pip install playwright"
    return "" if chromium() else f"no browser found ({', '.join(NAMES)}; or: playwright install chromium)"


@contextmanager
def serving(
    folder: Path,
    scenario: str | None = None,
    before: str = "",
    app: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    more: str = "",
) -> Iterator[tuple[str, int]]:
    """A server of the page with `folder/results` as its results; gives its address and process number.

    Args:
        folder: Where the server runs.
        scenario: What `tme view` is given.
        before: Python that the server's process runs first, for instance to let something fail.
        app: File of another Solara page, which is served instead.
        host: Address on which it listens.
        port: Port on which it listens; any free one by default.
        more: Further arguments of `launch.main`, as Python.

    Raises:
        RuntimeError: Where it does not start within four minutes.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        port = probe.getsockname()[1]
    code = f"{before}\nfrom tme_viz.launch import main; main({scenario!r}, {host!r}, {port}, False, {more})"
    if app is not None:
        quiet = "os.environ['SOLARA_TELEMETRY_MIXPANEL_ENABLE'] = 'False'"
        start = f"uvicorn.run('solara.server.starlette:app', port={port}, log_level='warning')"
        code = f"import os, uvicorn; os.environ['SOLARA_APP'] = {str(app)!r}; {quiet}; {start}"
    paths = [str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    if os.environ.get("PYTHONPATH"):
        paths = [paths[2], *paths[:2]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    log = folder / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT)
    name = {"::": "::1", "0.0.0.0": "127.0.0.1"}.get(host, host)
    address = f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
    try:
        for _ in range(4 * START):
            if process.poll() is not None:
                break
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except urllib.error.HTTPError:  # an answer all the same
                break
            except OSError:
                time.sleep(0.25)
        else:
            raise RuntimeError(f"the server did not start within {START} s: {log.read_text()}")
        if process.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()}")
        yield address, process.pid
    finally:
        process.terminate()
        try:
            process.wait(END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


@contextmanager
def browsing() -> Iterator[Any]:
    """A headless browser of playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--headless=new"])
        try:
            yield browser
        finally:
            browser.close()


def ready(page: Any, seconds: float = 240.0) -> None:
    """Wait until both marrows are drawn; the first time, that includes compiling the model."""
    page.wait_for_function(f"({FRAMES}) > 0 && !document.querySelector('.tme-busy')", timeout=1000 * seconds)


def frame_rate(page: Any, seconds: float) -> float:
    """Frames a second of the right marrow while it plays."""
    clock = f"[{FRAMES}, performance.now()]"
    n, start = page.evaluate(clock)
    page.wait_for_timeout(1000 * seconds)
    m, end = page.evaluate(clock)
    return float((m - n) / (end - start) * 1000)


def settle(page: Any, truth: str, seconds: float = 60.0) -> None:
    """Wait until something holds on the page."""
    page.wait_for_function(truth, timeout=1000 * seconds)


SCROLLERS = "const all = []; for (let e = document.querySelector('.tme-page'); e; e = e.parentElement) all.push(e);"


def scrolled(page: Any) -> float:
    """How far down the page is scrolled; what scrolls is a part of Solara's shell, not the window."""
    return float(page.evaluate(f"(() => {{ {SCROLLERS} return Math.max(...all.map(e => e.scrollTop)) }})()"))


def scroll(page: Any, down: float) -> None:
    """Scroll the page."""
    page.evaluate(f"(() => {{ {SCROLLERS} all.forEach(e => {{ e.scrollTop = {down} }}) }})()")


def bring(part: Any) -> None:
    """Scroll to a part, until nothing above it moves it any more: a chart that is drawn meanwhile does."""
    part.scroll_into_view_if_needed()
    part.evaluate(
        """e => new Promise(done => {
          const at = () => e.getBoundingClientRect().y;
          let last = at(), still = 0;
          const look = () => { still = at() === last ? still + 1 : 0; last = at(); still > 2 ? done() : requestAnimationFrame(look); };
          requestAnimationFrame(look);
        })"""
    )
    part.scroll_into_view_if_needed()


def too_wide(page: Any) -> float:
    """By how much the page is wider than its window, which is then scrolled sideways."""
    return float(page.evaluate(f"(() => {{ {SCROLLERS} return Math.max(...all.map(e => e.scrollWidth - e.clientWidth)) }})()"))


def key(page: Any, name: str) -> None:
    """Press a key."""
    page.keyboard.press(name)


def picture(page: Any, side: int = 0) -> str:
    """A digest of the marrow that is drawn; pictures themselves would make an unreadable message."""
    drawn = page.evaluate(f"document.querySelectorAll('.tme-marrow canvas')[{side}].toDataURL()")
    return hashlib.sha256(drawn.encode()).hexdigest()[:12]


if __name__ == "__main__":
    if reason := missing():
        sys.exit(reason)
    with browsing() as opened:
        print(opened.version)
