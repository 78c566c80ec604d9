"""The only files that the page may open: the bundled scenarios, the one named at the start, and the folder of results."""

import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tme_abm.foundation.errors import InputError, did_you_mean
from tme_abm.foundation.paths import real
from tme_abm.scenario.reading import MARK, scenarios
from tme_abm.simulation.settings import PLAIN as OF_THE_PACKAGE
from tme_abm.simulation.settings import Catalogue

RESULTS = "results:"  # before the name of a folder of results, where a scenario is named
KIND = "trial"  # of the scenarios that the page shows: patients under arms; laboratory experiments have no marrow of a patient
LIVE = "live"  # of a file that holds what was done live, with the trial that it was done in
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]*")


@dataclass(frozen=True)
class Places:
    """Where scenarios and results are.

    Attributes:
        results: Folder that holds folders of results.
        given: A scenario file named on the command line, if any.
        catalogue: The mechanisms that there are, those from outside that were named on the command line among them.
    """

    results: Path = Path("results")
    given: Path | None = None
    catalogue: Catalogue = OF_THE_PACKAGE

    def scenarios(self) -> dict[str, Path]:
        """Name -> file of every scenario that the page offers: the trials."""
        found = scenarios(KIND)
        if self.given is not None:
            is_result = self.given.name == MARK  # a scenario in a folder of results is named by the folder
            found[real(self.given).parent.name if is_result else self.given.stem] = self.given
        return {name: path for name, path in found.items() if kind(path) in (KIND, LIVE)}

    def runs(self) -> dict[str, Path]:
        """Name -> folder of every finished run, newest first."""
        if not self.results.is_dir():
            return {}
        root = real(self.results)
        inside = [p for p in self.results.iterdir() if PLAIN.fullmatch(p.name) and real(p).parent == root]
        folders = [p for p in inside if (p / "summary.json").is_file() and kind(p / MARK) == KIND]
        return {p.name: p for p in sorted(folders, key=lambda p: (p / "summary.json").stat().st_mtime, reverse=True)}

    def run(self, name: str) -> Path:
        """Folder of a finished run.

        Raises:
            InputError: Where there is no such run.
        """
        runs = self.runs()
        if name not in runs:
            raise InputError(f"there are no results '{name}'{did_you_mean(name, runs)}")
        return runs[name]

    def scenario(self, name: str) -> Path:
        """File of a scenario: a bundled name, the given one, or "results:<run>".

        Raises:
            InputError: Where there is none; paths are never taken.
        """
        if name.startswith(RESULTS):
            return self.run(name.removeprefix(RESULTS)) / MARK
        known = self.scenarios()
        if name not in known:
            raise InputError(f"there is no scenario '{name}'{did_you_mean(name, known)}")
        return known[name]


def kind(path: Path) -> str:
    """What kind of study a scenario file holds, a trial where it does not say; empty where it cannot be read."""
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return ""
    return _kind(path, changed)


@lru_cache(maxsize=512)
def _kind(path: Path, changed: int) -> str:
    try:
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("kind", KIND))
    except (OSError, ValueError):
        return ""
