"""Make the screenshots of the README and of docs/live_page.md.

    python viz/screenshots.py [docs/images] [results/icaria]

The trial page shows the folder of results that is given, else a trial of 60 patients that is run first.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

from browser import browsing, missing, ready, serving

COLOURS = 128  # of a picture: enough for the page, and a third of the bytes
PATIENTS = 60


class Shot(NamedTuple):
    """One picture: what is asked of the page, and the window."""

    query: str
    width: int
    height: int
    is_dark: bool = False


SHOTS = {
    "live": Shot("arms=isa-pd,pd&day=84", 1600, 1470),
    "live_dark": Shot("arms=isa-kd,kd&day=140&layer=cd38&event=56~a~switch~adcc~0&event=84~b~dose~carfilzomib~0.5", 1600, 1000, True),
    "lesson": Shot("arms=isa,isa&without_b=ectoenzyme&day=7&lesson=adenosine", 1600, 1100),
    "lessons": Shot("view=lessons&language=it", 1600, 1000),
    "trials": Shot("view=trials", 1600, 1900),
    "tablet": Shot("arms=isa-pd,pd&day=84", 820, 1180),
}


def shrink(path: Path) -> None:
    """Write a picture again in fewer colours."""
    from PIL import Image

    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def main() -> None:
    """Make them."""
    if reason := missing():
        sys.exit(reason)
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images").resolve()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results" / "icaria"
        if len(sys.argv) > 2:
            shutil.copytree(sys.argv[2], results)
        else:
            from tme_abm.scenario import load_scenario, run

            run(load_scenario("icaria", patients=PATIENTS), results)
        with serving(Path(folder)) as (address, _), browsing() as browser:
            for name, shot in SHOTS.items():
                context = browser.new_context(
                    viewport={"width": shot.width, "height": shot.height}, color_scheme="dark" if shot.is_dark else "light"
                )
                page = context.new_page()
                page.goto(f"{address}/?{shot.query}")
                if name == "trials":
                    page.locator("img[data-figure=survival]").wait_for(timeout=120_000)
                elif "view=" not in shot.query:
                    ready(page)
                page.wait_for_timeout(3000)
                file = target / f"{name}.png"
                page.screenshot(path=str(file))
                context.close()
                shrink(file)
                print(f"{file}: {file.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
