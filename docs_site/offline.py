"""Whether a built site needs the network: `python -m docs_site.offline site` names every page that would load something from it."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

# What a browser fetches by itself; links that a reader may follow are none of it.
LOADED = re.compile(r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["']?((?:https?:)?//[^"'\s>]+)""", re.IGNORECASE)
STYLED = re.compile(
    r"""<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon))[^>]*\bhref=["']?((?:https?:)?//[^"'\s>]+)""", re.IGNORECASE
)
IN_STYLES = re.compile(r"""(?:url\(|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")


def loads(folder: Path) -> Iterator[tuple[str, str]]:
    """Page or style of a site, and an address in the network that it loads."""
    for path in sorted(folder.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        for address in (*LOADED.findall(text), *STYLED.findall(text)):
            yield path.relative_to(folder).as_posix(), address
    for path in sorted(folder.rglob("*.css")):
        for address in IN_STYLES.findall(path.read_text(encoding="utf-8")):
            yield path.relative_to(folder).as_posix(), address


if __name__ == "__main__":
    site = Path(sys.argv[1])
    if not (site / "index.html").is_file():
        sys.exit(f"{site}: there is no site")
    found = list(loads(site))
    for page, address in found:
        print(f"{page} loads {address}", file=sys.stderr)
    sys.exit(1 if found else 0)
