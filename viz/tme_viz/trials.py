"""Results of trials for the page: the tables of a folder, the figures, and a small trial run from the page."""

import json
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tme_abm.foundation.errors import InputError
from tme_viz.allowed_files import RESULTS, Places
from tme_viz.choice import Choice
from tme_viz.words import phrase

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST_PATIENTS = 200
WIDTH, HEIGHT = 560, 300
LEFT = 78  # room for the ticks
FOOT = 22  # room for the months
TICKS = {1.0: "≥ +100 %", 0.0: "0 %"}  # what rises by more is drawn at the top
RESPONSE_COLOURS = {
    "sCR": "#08306B",
    "CR": "#1F5FA8",
    "VGPR": "#4F9BD0",
    "PR": "#9CCBE8",
    "MR": "#C9CFD6",
    "SD": "#A9A9A9",
    "PD": "#D55E00",
}


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        name: Of its folder.
        folder: Where it is.
        run: Contents of run.json.
        summary: Contents of summary.json.
        patients: A row per patient and arm.
        trajectory: A row per patient, arm and visit, with the columns that the page draws; empty where visits were not recorded.
    """

    name: str
    folder: Path
    run: Mapping[str, Any]
    summary: Mapping[str, Any]
    patients: "pd.DataFrame"
    trajectory: "pd.DataFrame"

    @property
    def arms(self) -> list[str]:
        """Keys of the arms."""
        return list(self.summary["arms"])

    @property
    def labels(self) -> dict[str, str]:
        """What to call each arm."""
        arms = self.run["scenario"]["arms"]
        return {key: str(arms.get(key, {}).get("label", key)) for key in self.arms}


def open_run(places: Places, name: str) -> Run:
    """Read a finished run.

    Raises:
        InputError: Where there is none, or its files cannot be read.
    """
    import pandas as pd

    folder = places.run(name)
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        patients = pd.read_parquet(folder.absolute() / "patients.parquet")
        trajectory = _visits(folder / "trajectory.parquet")
    except (OSError, ValueError) as error:
        raise InputError(f"results '{name}': {error}") from None
    return Run(name, folder, run, summary, patients, trajectory)


def _visits(path: Path) -> "pd.DataFrame":
    """What the page draws of the visits; an empty table where they were not recorded."""
    import pandas as pd

    from tme_abm.tables import Stored
    from tme_abm.trial.patient_figures import CHANGE_NEEDS

    if not path.exists():
        return pd.DataFrame(columns=list(CHANGE_NEEDS))
    columns = [name for name in Stored(path).columns if name in CHANGE_NEEDS or name.startswith("deaths_")]
    return pd.read_parquet(path.absolute(), columns=columns)


def figures_of(opened: Run, language: str = "en") -> dict[str, str]:
    """The figures of a run as addresses of SVGs: those of the report, from the same tables by the same functions.

    One that cannot be drawn is left out and told on the server's console; the others are still worth seeing.
    """
    from tme_abm import drawing
    from tme_abm.trial import figures, marrow_figures, patient_figures, published, report, subgroups

    patients, arms, labels, summary = opened.patients, opened.arms, opened.labels, opened.summary
    design, level = summary.get("design", "paired"), float(summary.get("level", 0.95))
    followed = [arm for arm in arms if summary["arms"][arm]["n"]]
    drawn: dict[str, Any] = {}
    if followed:
        pairs = summary["comparisons"]
        drawn["survival"] = figures.kaplan_meier(
            patients, followed, labels, level, report.headline(pairs[0], design) if len(pairs) == 1 else ""
        )
        drawn["responses"] = patient_figures.responses(patients, followed, labels)
    for pair in summary["comparisons"][:1]:
        table = subgroups.subgroup_table(patients, pair["arm"], pair["reference"], design, pair["ci_level"])
        if len(table) > 1 and table["hazard_ratio"].notna().any():
            drawn["subgroups"] = figures.forest(table, labels[pair["arm"]], labels[pair["reference"]], level=pair["ci_level"])
    rows = list(opened.run["scenario"].get("published") or ())
    if rows:
        beside = published.compare_published(rows, patients, design, level, labels)
        if len(beside):
            drawn["published"] = figures.published(beside)
    if len(opened.trajectory):
        drawn["deaths"] = marrow_figures.deaths_by_cause(opened.trajectory, arms, labels)
    shown = {}
    for name, figure in drawn.items():
        try:
            translate(figure, language)
            shown[name] = drawing.data_address(figure)
        except Exception:
            traceback.print_exc()
    return shown


def translate(figure: "Figure", language: str) -> None:
    """Write the known phrases of a figure in the language of the page."""
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter

    for written in figure.findobj(Text):
        written.set_text(phrase(written.get_text(), language))
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if isinstance(axis.get_major_formatter(), FuncFormatter):  # named ticks are written anew when the figure is drawn
            axis.set_ticklabels([phrase(tick.get_text(), language) for tick in axis.get_ticklabels()])


def waterfall(opened: Run, arm: str) -> str:
    """Best change of M-protein, a bar a patient; a bar carries its patient's number for the page to open."""
    from tme_abm.trial.patient_figures import m_protein_change

    change = m_protein_change(opened.trajectory)
    part = change[(change["arm"] == arm) & (change["month"] > 0)].groupby("patient")["change"].min().sort_values(ascending=False)
    rows = opened.patients[opened.patients["arm"] == arm]
    best = dict(zip(rows["patient"], rows["best_response"], strict=True)) if "best_response" in rows else {}
    width, middle = (WIDTH - LEFT - 4) / max(len(part), 1), HEIGHT / 2
    bars = []
    for i, (patient, value) in enumerate(part.items()):
        share = max(-1.0, min(1.0, float(value)))
        top, height = (middle - share * (middle - 12), abs(share) * (middle - 12)) if share > 0 else (middle, -share * (middle - 12))
        colour = RESPONSE_COLOURS.get(str(best.get(patient)), "#A9A9A9")
        x, wide, high = f"{LEFT + i * width:.1f}", f"{max(width - 1, 0.8):.2f}", f"{max(height, 1.5):.1f}"
        bars.append(
            f"<g data-pick='{patient}' tabindex='0'><title>{patient}: {100 * float(value):+.0f} %, {best.get(patient, '')}</title>"
            f"<rect x='{x}' y='4' width='{width:.2f}' height='{HEIGHT - 8}' fill='transparent'/>"
            f"<rect x='{x}' y='{top:.1f}' width='{wide}' height='{high}' fill='{colour}'/></g>"
        )
    return svg(axis([-1.0, -0.5, 0.0, 0.5, 1.0], lambda v: middle - v * (middle - 12)) + "".join(bars))


def spider(opened: Run, arm: str) -> str:
    """Change of M-protein over time, a line a patient, each with its patient's number."""
    from tme_abm.trial.patient_figures import m_protein_change

    change = m_protein_change(opened.trajectory)
    part = change[change["arm"] == arm]
    last = max(float(part["month"].max()) if len(part) else 1.0, 1.0)

    middle = (HEIGHT - FOOT) / 2

    def y(value: float) -> float:
        return middle - max(-1.0, min(1.0, value)) * (middle - 12)

    def x(month: float) -> float:
        return LEFT + (WIDTH - LEFT - 14) * month / last

    lines = []
    for patient, line in part.groupby("patient"):
        points = " ".join(f"{x(m):.1f},{y(c):.1f}" for m, c in zip(line["month"], line["change"], strict=True))
        colour = "#0072B2" if float(line["change"].min()) <= -0.5 else "#D55E00"
        lines.append(
            f"<g data-pick='{patient}'><title>{patient}</title>"
            f"<polyline points='{points}' fill='none' stroke='transparent' stroke-width='9'/>"
            f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='1.6' opacity='.75'/></g>"
        )
    by = next((step for step in (1, 2, 3, 6, 12) if last / step <= 8), 24)
    months = "".join(f"<text x='{x(m):.0f}' y='{HEIGHT - 2}' text-anchor='middle'>{m}</text>" for m in range(0, int(last) + 1, by))
    return svg(axis([-1.0, -0.5, 0.0, 0.5, 1.0], y) + "".join(lines) + months)


def axis(values: list[float], y: Callable[[float], float]) -> str:
    """Ticks in percent at the left."""
    return "".join(
        f"<line x1='{LEFT - 2}' x2='{WIDTH}' y1='{y(v):.1f}' y2='{y(v):.1f}' opacity='.15' stroke='currentColor'/>"
        f"<text x='{LEFT - 6}' y='{y(v) + 5:.1f}' text-anchor='end'>{TICKS.get(v, f'{100 * v:+.0f} %')}</text>"
        for v in values
    )


def svg(content: str) -> str:
    """An SVG in the page's own colours."""
    return f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' style='width:100%' font-size='15' fill='currentColor'>{content}</svg>"


def marrow_of(opened: Run, patient: int, arms: tuple[str, str]) -> Choice:
    """The choice that opens the marrow of a patient of a run, as the run had it."""
    shape = opened.run["scenario"].get("marrow", {}).get("shape", [64, 64])
    size = min((32, 64, 128, 256), key=lambda s: abs(s - int(shape[0])))
    return Choice(scenario=f"{RESULTS}{opened.name}", patient=str(patient), arms=arms, size=size)


class Cancelled(BaseException):
    """The visitor has cancelled the trial. No `Exception`, so that nothing on the way takes it for a failed patient."""


class SmallTrial:
    """A trial run from the page, on a thread of its own.

    Attributes:
        name: Folder of its results.
        state: "running", "done", "cancelled" or "failed".
        message: Why it failed.
        share: How much is done, 0 to 1.
        reporter: The thread that calls `on_change`.
    """

    def __init__(self, places: Places, scenario: str, patients: int, on_change: Callable[[], None] = lambda: None) -> None:
        """Begin.

        Raises:
            InputError: For an unknown scenario, or a number of patients that is not between 2 and `MOST_PATIENTS`.
        """
        from tme_abm.scenario.kinds import load_trial

        if not 2 <= patients <= MOST_PATIENTS:
            raise InputError(f"patients: from 2 to {MOST_PATIENTS}, got {patients}")
        self.study = load_trial(places.scenario(scenario), (), patients, mechanisms=[places.catalogue])
        n = 1
        while (places.results / f"{self.study.name}-{n}").exists():
            n += 1
        self.name = f"{self.study.name}-{n}"
        self.folder = places.results / self.name
        self.state, self.message, self.share, self.phase_name = "running", "", 0.0, "compiling"
        self.on_change = on_change
        self._total, self._done = float(2 * patients), 0.0
        self._cancel = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trial", daemon=True)
        self.reporter = threading.Thread(target=self._report, name="trial-reporter", daemon=True)
        self._thread.start()
        self.reporter.start()

    def cancel(self) -> None:
        """Stop as soon as the patients that are running are done; nothing is kept."""
        self._cancel.set()

    def wait(self, timeout: float | None = None) -> None:
        """Return when it has ended."""
        self._thread.join(timeout)
        self.reporter.join(timeout)

    def phase(self, name: str, total: int | None) -> None:
        """A phase begins (`batch.progress.Progress`)."""
        self._check()

    def advance(self, n: float = 1, phase: str | None = None) -> None:
        """So much more is done (`batch.progress.Progress`)."""
        self._check()
        if phase != "compiling":
            self._done += n
        self.phase_name = "running"
        self.share = min(1.0, self._done / self._total)
        self._news.set()

    def _check(self) -> None:
        if self._cancel.is_set():
            raise Cancelled

    def _run(self) -> None:
        import shutil

        from tme_abm.scenario.running import run

        try:
            run(self.study, self.folder, workers=1, progress=self)
            self.state, self.share = "done", 1.0
        except Cancelled:
            self.state = "cancelled"
            shutil.rmtree(self.folder, ignore_errors=True)
        except Exception as error:
            self.state, self.message = "failed", f"{error}"
            shutil.rmtree(self.folder, ignore_errors=True)
        self._news.set()

    def _report(self) -> None:
        """Call `on_change` when something has happened.

        On a thread that was begun with the page's own: those that treat the patients are begun elsewhere, and belong to no page, so that
        what they set would not be seen on any.
        """
        is_over = False
        while not is_over:
            self._news.wait()
            self._news.clear()
            is_over = self.state != "running"
            self.on_change()
