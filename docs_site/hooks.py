"""What mkdocs asks while it builds: the pages that are made, the navigation, and links that hold on the site."""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "viz")]  # a hook is no part of a package, and mkdocs knows no folder but its own

from mkdocs.structure.files import File, Files  # noqa: E402

from docs_site import links, pages  # noqa: E402


def on_config(config: Any) -> Any:
    """The navigation: every page has its place, those of which nothing is said under "More"."""
    written = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md"))
    config.nav = pages.navigation(written)
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are made."""
    for place, content in pages.made().items():
        files.append(File.generated(config, place, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let links lead from page to page."""
    return links.rewrite(markdown, page.file.src_uri, {file.src_uri for file in files})
