"""How much a treatment inhibits the growth of tumours, and how much two of them inhibit together: tables in, numbers out.

TGI   = 100 (1 - (T - T0) / (C - C0))          T, C: mean volumes of treated and control mice on the day; 0: at the start
Bliss = a + b - a b                            inhibition expected of two treatments that know nothing of each other
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from tme_abm.foundation.errors import InputError

if TYPE_CHECKING:  # listing the scenarios imports this module
    import numpy as np
    import pandas as pd

WHOLE = "all mechanisms"  # name of the variant that is the experiment itself
RESAMPLES = 1000  # of the mice, for the intervals
LEVEL = 0.95


class Readings(NamedTuple):
    """Volumes [mm3] of the mice of a variant, in the same order in every arm."""

    start: dict[str, "np.ndarray"]
    end: dict[str, "np.ndarray"]


def readings(table: "pd.DataFrame", variant: str = WHOLE, day: float | None = None) -> Readings:
    """The volumes at the start and on a day, the last one where none is named."""
    rows = table[table["variant"] == variant]
    last = float(rows["day"].max()) if day is None else day
    found = Readings({}, {})
    for arm, part in rows.groupby("arm", sort=False):
        by_day = part.pivot(index="mouse", columns="day", values="volume_mm3")
        found.start[str(arm)], found.end[str(arm)] = by_day[0.0].to_numpy(float), by_day[last].to_numpy(float)
    return found


def tgi(read: Readings, arm: str, control: str) -> float:
    """Inhibition of growth [%]: 100 where a tumour does not grow, above where it shrinks."""
    grown = float(read.end[control].mean() - read.start[control].mean())
    if grown <= 0.0:
        raise InputError("the tumours of the control do not grow, so nothing can be said of inhibition")
    return 100.0 * (1.0 - float(read.end[arm].mean() - read.start[arm].mean()) / grown)


def bliss(one: float, other: float) -> float:
    """Inhibition [%] of two drugs that act independently of each other, of which neither can take back more than all growth."""
    a, b = (min(max(x, 0.0), 100.0) / 100.0 for x in (one, other))
    return 100.0 * (a + b - a * b)


def beyond_bliss(read: Readings, combination: tuple[str, str, str], control: str) -> float:
    """Inhibition by a combination over that which Bliss expects [points]."""
    both, one, other = combination
    return tgi(read, both, control) - bliss(tgi(read, one, control), tgi(read, other, control))


def replaced(table: "pd.DataFrame", variant: str, arm: str, control: str) -> float:
    """Share of the cells killed by treatment that more divisions make good: divisions over deaths, both beyond those of the control.

    The control's are taken for each cell that a tumour held in the mean, as a smaller tumour has fewer of both.
    """
    rows = table[table["variant"] == variant]
    causes = [name for name in rows.columns if name.startswith("deaths_")]
    sums = {}
    for key in (arm, control):
        part = rows[rows["arm"] == key]
        end = part[part["day"] == part["day"].max()]
        exposed = float(part.groupby("day")["plasma_cells"].mean().mean())
        sums[key] = float(end["divisions"].mean()), float(end[causes].to_numpy().sum(axis=1).mean()), exposed
    scale = sums[arm][2] / sums[control][2]
    killed = sums[arm][1] - scale * sums[control][1]
    return (sums[arm][0] - scale * sums[control][0]) / killed if killed > 0.0 else math.nan


def with_interval(read: Readings, statistic: Any, seed: int) -> tuple[float, float, float]:
    """A statistic of the mice and its interval from resampling them, whole mice at a time, as every mouse is in every arm."""
    import numpy as np

    n = next(iter(read.end.values())).size
    chance = np.random.default_rng(seed)
    values = []
    for _ in range(RESAMPLES):
        who = chance.integers(0, n, n)
        values.append(statistic(Readings({k: v[who] for k, v in read.start.items()}, {k: v[who] for k, v in read.end.items()})))
    low, high = np.quantile(values, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return float(statistic(read)), float(low), float(high)


def doubling_days(table: "pd.DataFrame", arm: str, first: float, last: float, variant: str = WHOLE) -> float:
    """Time in which the mean volume doubles between two days of measurement [d]; infinite where it does not grow."""
    rows = table[(table["variant"] == variant) & (table["arm"] == arm)]
    mean = rows.groupby("day")["volume_mm3"].mean()
    days = [float(min(mean.index, key=lambda d: abs(d - wanted))) for wanted in (first, last)]
    gain = math.log(mean[days[1]] / mean[days[0]]) if mean[days[1]] > 0.0 else 0.0
    return (days[1] - days[0]) * math.log(2.0) / gain if gain > 0.0 else math.inf
