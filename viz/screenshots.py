"""Make the screenshots of the README and of docs/live_page.md.

    python viz/screenshots.py [--to docs/images] [--results results/icaria]

The trial page shows the folder of results that is given, else a trial of 60 patients that is run first.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

from browser import browsing, missing, ready, serving

PATIENTS = 60


class Shot(NamedTuple):
    """One picture: what is asked of the page, and the window."""

    query: str
    width: int
    height: int
    is_dark: bool = False


SHOTS = {
    "live": Shot("arms=isa-pd,pd&day=84", 1600, 1000),
    "live_dark": Shot("arms=isa-kd,kd&day=140&layer=cd38&event=56~a~switch~adcc~0&event=84~b~dose~carfilzomib~0.5", 1600, 1000, True),
    "lesson": Shot("arms=isa,isa&without_b=ectoenzyme&day=56&lesson=adenosine", 1600, 1100),
    "lessons": Shot("view=lessons&language=it", 1600, 1000),
    "trials": Shot("view=trials", 1600, 1900),
    "tablet": Shot("arms=isa-pd,pd&day=84", 1024, 768),
}


def shrink(path: Path) -> None:
    """Write a picture again in 256 colours, among them those that must not be lost because they are rare: of cells and their rims."""
    from PIL import Image
    from tme_viz.colours import CLONES, COLOURS
    from tme_viz.picture import rgb

    named = [rgb(colour) for colour in {*COLOURS.values(), *CLONES}]
    kept = [*named, *((r // 2, g // 2, b // 2) for r, g, b in named), (255, 255, 255), (34, 34, 34), (25, 118, 210)]
    with Image.open(path) as picture:
        full = picture.convert("RGB")
    common = full.quantize(256 - len(kept), Image.Quantize.MEDIANCUT, kmeans=2).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*common[: 3 * (256 - len(kept))], *(level for colour in kept for level in colour)])
    full.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--to", type=Path, default=Path("docs/images"), help="folder of the pictures")
    parser.add_argument("--results", type=Path, help="folder of results for the trial page; without it a trial is run")
    given = parser.parse_args()
    if reason := missing():
        sys.exit(reason)
    target = given.to.resolve()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results" / "icaria"
        if given.results:
            shutil.copytree(given.results, results)
        else:
            from tme_abm.scenario.kinds import load_scenario
            from tme_abm.scenario.running import run

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
