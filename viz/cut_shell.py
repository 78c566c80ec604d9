"""Cut the shell of the page out of the package solara-assets: the few files that a browser asks for, as one archive.

    pip install solara-assets && python viz/cut_shell.py

Solara's shell (scripts, styles, fonts, icons) comes from a content network unless it is on the computer. The package that brings it takes
239 MB, of which this page uses three. The archive is written the same way each time, so that a second cut can be compared.
"""

import importlib.metadata
import re
import sys
import zipfile
from pathlib import Path

TARGET = Path(__file__).resolve().parent / "tme_viz" / "shell.zip"
SHARED = "share/solara/cdn/"  # where the package keeps its files, below the prefix of the environment
WEIGHTS = ("300", "400", "500", "700")  # of Roboto: those that Vuetify and the page use
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def wanted(files: dict[str, Path]) -> list[str]:
    """Names of the files that the page needs, as the browser asks for them."""
    app = next(name.rpartition("/")[0] for name in files if re.fullmatch(r"@widgetti/solara-vuetify-app@[\d.]+/dist/main8\.css", name))
    fonts = files[f"{app}/fonts.css"].read_text(encoding="utf-8")
    names = [f"{app}/{name}" for name in ("main8.css", "fonts.css", "solara-vuetify-app8.min.js", "solara-vuetify-app8.min.js.LICENSE.txt")]
    for face in re.findall(r"@font-face\s*{([^}]*)}", fonts):
        is_icons = "Material Design Icons" in face
        is_text = "Roboto" in face and any(f"font-weight: {weight};" in face for weight in WEIGHTS)
        if is_icons or is_text:
            names += [f"{app}/{found}" for found in re.findall(r"url\((\w+\.woff2)", face)]
    return sorted([*names, *(name for name in files if re.fullmatch(r"requirejs@[\d.]+/require\.js", name))])


def main() -> None:
    """Write the archive."""
    try:
        listed = importlib.metadata.files("solara-assets") or []
    except importlib.metadata.PackageNotFoundError:
        sys.exit("solara-assets is not installed: pip install solara-assets")
    files = {str(path).partition(SHARED)[2]: Path(str(path.locate())) for path in listed if SHARED in str(path)}
    with zipfile.ZipFile(TARGET, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in wanted(files):
            archive.writestr(zipfile.ZipInfo(name, LONG_AGO), files[name].read_bytes(), zipfile.ZIP_DEFLATED, 9)
            print(f"{name}: {files[name].stat().st_size / 1e3:.0f} kB")
    print(f"{TARGET}: {TARGET.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
