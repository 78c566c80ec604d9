"""Make the screenshots of the README and the docs.

    python viz/screenshots.py docs/images results/icaria

Runs nothing but the page; the folder of results, if one is given, is shown on the trial page.
"""

import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from browser import browsing, missing, ready, serving

PAGES = {  # file -> query, height of the window, dark
    "live": ("arms=isa-pd,pd&day=84", 1420, False),
    "live_dark": ("arms=isa-pd,pd&day=84", 1000, True),
    "lesson": ("arms=isa,isa&without_b=ectoenzyme&day=7&lesson=adenosine", 1200, False),
    "lessons": ("view=lessons", 1000, False),
    "trials": ("view=trials", 1900, False),
}


def main() -> None:
    """Make them."""
    if reason := missing():
        sys.exit(reason)
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    target.mkdir(parents=True, exist_ok=True)
    results = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    with tempfile.TemporaryDirectory() as folder:
        if results is not None:
            shutil.copytree(results, Path(folder) / "results" / results.name)
        with serving(Path(folder)) as (address, _), browsing() as browser:
            for name, (query, height, dark) in PAGES.items():
                if name == "trials" and results is None:
                    continue
                page = browser.new_page(viewport={"width": 1600, "height": height})
                page.add_init_script(f"localStorage.setItem(':solara:theme.variant', '\"{'dark' if dark else 'light'}\"')")
                page.goto(f"{address}/?{query}")
                if name == "trials":
                    page.locator("img[data-figure=survival]").wait_for(timeout=120_000)
                elif "view=" not in query:
                    ready(page)
                page.wait_for_timeout(2500)
                page.screenshot(path=str(target / f"{name}.png"))
                page.close()
                print(target / f"{name}.png")


if __name__ == "__main__":
    main()
