"""A trial that grows before one's eyes: patient by patient, with its survival curves and its hazard ratio as they stand."""

import math
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm.batch.progress import Silence
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.scenario.kinds import load_trial
from tme_abm.trial.execution import run_patient
from tme_abm.trial.study import Study
from tme_viz.allowed_files import Places
from tme_viz.pair import compile_first

if TYPE_CHECKING:
    from tme_abm.trial.comparison import Comparison

KEY = "trial"  # of the lesson
SCENARIO = "icaria"
PATIENTS, FEW = 60, 20  # how many are treated, and after how many the interval is looked at first: fewer have none
SIDE = 32  # rows of a patch [sites]: many small marrows rather than few large ones
WIDTH, HEIGHT, LEFT, FOOT = 560, 300, 56, 40
Row = dict[str, Any]
Ends = tuple[float, float, float]  # hazard ratio, lower and upper end of its interval
NO_ENDS: Ends = (math.nan, math.nan, math.nan)


def small_study(places: Places, seed: int | None = None) -> Study:
    """The trial of the lesson."""
    return load_trial(places.scenario(SCENARIO), [f"marrow.shape=[{SIDE},{SIDE}]"], PATIENTS, seed, mechanisms=[places.catalogue])


def rows_of(study: Study) -> Iterator[list[Row]]:
    """The rows of a patient under both arms, one patient after the other."""
    for index in range(study.patients):
        case = run_patient(study, index, Silence())
        if not case.has_failed:
            yield case.patients


def compared(study: Study, rows: list[Row]) -> "Comparison | None":
    """The first comparison of the trial, of the patients so far; None where nothing can be said yet."""
    import pandas as pd

    from tme_abm.trial.comparison import compare

    if len(rows) < 4:  # two patients
        return None
    arm, reference = study.comparisons[0]
    return compare(pd.DataFrame(rows), arm, reference, study.design, study.ci_level)


def ratio_so_far(w: dict[str, Any], n: int, comparison: "Comparison | None") -> str:
    """The hazard ratio of `n` patients with its interval, alone while events are too few for one; empty where there is none."""
    if comparison is None or comparison.hazard_ratio is None:
        return ""
    interval = interval_of(n, comparison)
    if interval is None:
        return str(w["ratio_alone"]).format(n, comparison.hazard_ratio)
    return str(w["ratio_so_far"]).format(n, comparison.hazard_ratio, interval.low, interval.high)


class Interval(NamedTuple):
    """The interval of a hazard ratio as it stood after `n` patients."""

    n: int
    low: float
    high: float


def interval_of(n: int, comparison: "Comparison | None") -> Interval | None:
    """The interval of `n` patients; None while they are too few for one."""
    if comparison is None or comparison.ci_low is None or comparison.ci_high is None:
        return None
    return Interval(n, comparison.ci_low, comparison.ci_high)


class Grown(NamedTuple):
    """A trial as it stands.

    Attributes:
        rows: Of the patients who are done, each under both arms.
        comparison: Of these rows; None where nothing can be said yet.
        first: The interval with which it began to have one.
    """

    rows: list[Row]
    comparison: "Comparison | None" = None
    first: Interval | None = None

    @property
    def n(self) -> int:
        """How many patients are done."""
        return len(self.rows) // 2

    def joined(self, study: Study, patient: list[Row]) -> "Grown":
        """The same with one patient more."""
        rows = [*self.rows, *patient]
        comparison = compared(study, rows)
        return Grown(rows, comparison, self.first or interval_of(len(rows) // 2, comparison))

    def said(self, w: dict[str, Any]) -> tuple[str, str]:
        """The hazard ratio so far, and with how many patients its interval first appeared; each empty while there is none."""
        return ratio_so_far(w, self.n, self.comparison), "" if self.first is None else str(w["first_interval"]).format(*self.first)


def ends_of(comparison: "Comparison | None") -> Ends:
    """A hazard ratio and both ends of its interval; no number where there is none."""
    given = NO_ENDS if comparison is None else (comparison.hazard_ratio, comparison.ci_low, comparison.ci_high)
    ratio, low, high = (math.nan if end is None else float(end) for end in given)
    return ratio, low, high


def width(ends: Ends) -> float:
    """Of an interval, on the log scale; no number where it has no end."""
    _, low, high = ends
    return math.log(high / low) if low > 0.0 and math.isfinite(high) else math.nan


def measures(study: Study, rows: list[Row]) -> dict[str, float]:
    """What the lesson asks of the trial.

    The hazard ratio with its interval of the first `FEW` patients and of all; the width of that interval on the log scale, of all and as
    the mean over every `FEW` patients of the trial by themselves, since luck makes one interval of so few wide and another narrow; the
    least and the greatest hazard ratio of these; and how much longer patients went without progression with the first arm than with the
    second: the tenth and the ninetieth of a hundred [month], and the share who gained nothing. What there is not is no number, and no
    condition holds on it.
    """
    arm, reference = study.comparisons[0]
    every = [ends_of(compared(study, rows[i : i + 2 * FEW])) for i in range(0, len(rows) - 2 * FEW + 1, 2 * FEW)] or [NO_ENDS]
    whole = ends_of(compared(study, rows))
    found: dict[str, float] = {}
    for name, ends in (("few", every[0]), ("all", whole)):
        found |= dict(zip((f"ratio_{name}", f"low_{name}", f"high_{name}"), ends, strict=True))
    found["width_each"], found["width_all"] = float(np.mean([width(ends) for ends in every])), width(whole)
    found["wider"] = found["width_each"] / found["width_all"]
    ratios = [ratio for ratio, _, _ in every]
    found["ratio_least"], found["ratio_most"] = float(np.min(ratios)), float(np.max(ratios))
    by_patient: dict[int, dict[str, Row]] = {}
    for row in rows:
        by_patient.setdefault(int(row["patient"]), {})[str(row["arm"])] = row
    gains = [(pair[arm]["pfs_days"] - pair[reference]["pfs_days"]) / DAYS_PER_MONTH for pair in by_patient.values() if len(pair) == 2]
    found["gain_low"], found["gain_high"] = (float(end) for end in np.percentile(gains or [0.0], (10.0, 90.0)))
    found["patients"], found["nothing"] = float(len(gains)), sum(gain <= 0.0 for gain in gains) / max(len(gains), 1)
    return found


class GrowingTrial:
    """A trial that runs in the background.

    Attributes:
        study: The trial.
        grown: How far it is.
        state: "compiling", "running", "done", "cancelled" or "failed".
        message: Why it failed.
    """

    def __init__(self, places: Places, on_change: Callable[[], None] = lambda: None) -> None:
        """Begin."""
        self.study = small_study(places)
        self.grown = Grown([])
        self.state, self.message = "compiling", ""
        self.on_change = on_change
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="growing-trial", daemon=True)
        self._thread.start()

    @property
    def share(self) -> float:
        """How much is done, 0 to 1."""
        return self.grown.n / self.study.patients

    def cancel(self) -> None:
        """Stop after the present patient."""
        self.on_change = lambda: None
        self._cancelled.set()

    def wait(self, timeout: float | None = None) -> None:
        """Return when it has ended."""
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            compile_first(self.study, lambda _: None)
            self.state = "running"
            for rows in rows_of(self.study):
                if self._cancelled.is_set():
                    self.state = "cancelled"
                    return
                self.grown = self.grown.joined(self.study, rows)
                self.on_change()
            self.state = "done"
        except Exception as error:
            traceback.print_exc()
            self.state, self.message = "failed", f"{error}"
        self.on_change()


def curves(study: Study, rows: list[Row], colours: tuple[str, str], months_word: str) -> str:
    """Kaplan-Meier curves of both arms as an SVG, with a tick for each patient who left without an event."""
    import pandas as pd

    from tme_abm.trial.survival import kaplan_meier, survival

    patients = pd.DataFrame(rows)
    last = max(24.0, max((row["pfs_days"] for row in rows), default=0.0) / DAYS_PER_MONTH)

    def x(month: float) -> float:
        return LEFT + (WIDTH - LEFT - 10) * month / last

    def y(share: float) -> float:
        return 8 + (HEIGHT - FOOT - 8) * (1.0 - share)

    parts = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(
            f"<line x1='{LEFT}' x2='{WIDTH - 10}' y1='{y(share):.1f}' y2='{y(share):.1f}' stroke='currentColor' opacity='.15'/>"
            f"<text x='{LEFT - 6}' y='{y(share) + 5:.1f}' text-anchor='end'>{100 * share:.0f} %</text>"
        )
    for month in range(0, int(last) + 1, 6):
        parts.append(f"<text x='{x(month):.0f}' y='{HEIGHT - FOOT + 18}' text-anchor='middle'>{month}</text>")
    parts.append(f"<text x='{(LEFT + WIDTH) / 2:.0f}' y='{HEIGHT - 4}' text-anchor='middle'>{months_word}</text>")
    for side, arm in enumerate(study.comparisons[0]):
        if not rows:
            break
        table = kaplan_meier(survival(patients, arm), study.ci_level)
        points, before = [f"{x(0):.1f},{y(1):.1f}"], 1.0
        for month, share, censored in zip(table["month"], table["survival"], table["n_censored"], strict=True):
            points += [f"{x(month):.1f},{y(before):.1f}", f"{x(month):.1f},{y(share):.1f}"]
            before = share
            if censored and month > 0:
                ends = f"x1='{x(month):.1f}' x2='{x(month):.1f}' y1='{y(share) - 5:.1f}' y2='{y(share) + 5:.1f}'"
                parts.append(f"<line {ends} stroke='{colours[side]}'/>")
        dash = " stroke-dasharray='8 5'" if side else ""
        parts.append(f"<polyline points='{' '.join(points)}' fill='none' stroke='{colours[side]}' stroke-width='2.6'{dash}/>")
    return (
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' class='tme-km' style='width:100%;max-width:{WIDTH}px' font-size='14' "
        f"fill='currentColor'>{''.join(parts)}</svg>"
    )
