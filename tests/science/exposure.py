"""Exposure to isatuximab and occupancy of CD38 by dose, beside what was published; draws docs/images/exposure.svg.

    python -m tests.science.exposure [--patients 40] [--out docs/images/exposure.svg]

What was published stands in exposure.toml. Kinetics here are those of a simulated marrow: they follow its disease.
"""

import argparse
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tme_abm import drawing
from tme_abm.patients.population import draw_patient
from tme_abm.patients.reading import load_population
from tme_abm.pharmacology.drug import Drug, load_drug
from tme_abm.pharmacology.regimen import Dose, Regimen
from tme_abm.simulation.settings import Settings
from tme_abm.simulation.simulation import Simulation, make_patient_key

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS = Path(__file__).with_name("exposure.toml")
FIGURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "exposure.svg"
STEPS_PER_DAY = 4
CYCLE = 28
FIRST_WEEK, SECOND_CYCLE, SIXTH_CYCLE, STEADY = 7, 28, 140, 336  # days: before the second dose, before cycles 2, 6 and 13
INFUSION = 12, 0.25  # steps and their length [h] in which a peak is looked for


def weekly_then(mg_per_kg: float) -> tuple[Dose, ...]:
    """Four weekly doses, then one every two weeks."""
    return Dose("isatuximab", mg_per_kg, "mg/kg", (1, 8, 15, 22), 1, 1), Dose("isatuximab", mg_per_kg, "mg/kg", (1, 15), 2)


def every_two_weeks(mg_per_kg: float) -> tuple[Dose, ...]:
    """One dose every two weeks from the start."""
    return (Dose("isatuximab", mg_per_kg, "mg/kg", (1, 15)),)


PD = (
    Dose("pomalidomide", 4.0, "mg", tuple(range(1, 22))),
    Dose("dexamethasone", 40.0, "mg", (1, 8, 15, 22), elderly_amount=20.0),
)
KD = (
    Dose("carfilzomib", 20.0, "mg/m2", (1, 2), 1, 1),
    Dose("carfilzomib", 56.0, "mg/m2", (8, 9, 15, 16), 1, 1),
    Dose("carfilzomib", 56.0, "mg/m2", (1, 2, 8, 9, 15, 16), 2),
    Dose("dexamethasone", 20.0, "mg", (1, 2, 8, 9, 15, 16, 22, 23)),
)
DOSES = (1.0, 3.0, 5.0, 10.0, 20.0)  # [mg/kg]
REGIMENS: dict[str, tuple[Dose, ...]] = {
    "isa-pd": (*weekly_then(10.0), *PD),
    "isa-kd": (*weekly_then(10.0), *KD),
    "none": (),
    "isa-10": weekly_then(10.0),
    "isa-20": weekly_then(20.0),
    **{f"isa-{dose:g}-q2w": every_two_weeks(dose) for dose in DOSES},
}


class Seen(NamedTuple):
    """What is seen in each patient; concentrations in ug/mL, areas in mg h/mL, each (n_patients,)."""

    first_peak: np.ndarray
    first_area: np.ndarray  # over the first week
    second_area: np.ndarray  # over weeks 3 and 4
    peak: np.ndarray  # of the last two weeks of the first year, when clearance has settled
    area: np.ndarray  # over them
    trough: np.ndarray  # before cycle 6
    accumulation: np.ndarray  # trough before cycle 2 over that before day 8
    occupancy: np.ndarray  # of CD38 in the marrow, mean of the first cycle's last week
    first_cycle: np.ndarray  # the same, mean of the first cycle


def grow(population: str, patients: int, side: int = 48, seed: int = 77) -> list[Simulation]:
    """Marrows of the first eligible patients of a population."""
    known, grown, index = load_population(population), [], 0
    while len(grown) < patients:
        marrow = Simulation(draw_patient(known, seed, index), Settings(side, side), make_patient_key(seed, index))
        index += 1
        if marrow.grow():
            grown.append(marrow)
    return grown


def follow(
    grown: Sequence[Simulation],
    regimen: str,
    days: int = STEADY,
    change: Callable[[Drug], Drug] | None = None,
    without: frozenset[str] = frozenset(),
) -> Seen:
    """Treat grown marrows, whether they progress or not, and read their exposure.

    Args:
        grown: Untreated.
        regimen: A key of `REGIMENS`.
        days: For how long; what lies beyond is not a number.
        change: Makes another drug of each.
        without: Mechanisms that are switched off.
    """
    lines = REGIMENS[regimen]
    drugs = {line.drug: load_drug(line.drug) for line in lines}
    drugs = {name: change(drug) if change else drug for name, drug in drugs.items()}
    given = Regimen(regimen, regimen, CYCLE, lines)
    rows = [_follow(marrow.fork(given, drugs, without), days) for marrow in grown]
    return Seen(*np.array(rows).T)


def _follow(marrow: Simulation, days: int) -> Seen:
    concentration, occupancy, peaks = [], [], {}
    for day in range(days):
        if day in (0, STEADY - 14):  # finer than the steps of the cells
            peaks[day] = float(marrow.course.fork().advance(*INFUSION).concentration[:, 0].max())
        concentration.append(marrow.advance(STEPS_PER_DAY).concentration[:, 0])
        occupancy.append(float(marrow.marrow.drugs.occupancy[0]))
    c, hours = np.concatenate(concentration), 24.0 / STEPS_PER_DAY
    before = [c[day * STEPS_PER_DAY - 1] if day <= days else np.nan for day in (FIRST_WEEK, SECOND_CYCLE, SIXTH_CYCLE)]
    last = c[(STEADY - 14) * STEPS_PER_DAY :] if days >= STEADY else np.array([np.nan])
    return Seen(
        peaks[0],
        c[: FIRST_WEEK * STEPS_PER_DAY].sum() * hours / 1e3,
        c[14 * STEPS_PER_DAY : SECOND_CYCLE * STEPS_PER_DAY].sum() * hours / 1e3,
        peaks.get(STEADY - 14, np.nan),
        last.sum() * hours / 1e3,
        before[2],
        before[1] / before[0],
        float(np.mean(occupancy[SECOND_CYCLE - 7 : SECOND_CYCLE])),
        float(np.mean(occupancy[:SECOND_CYCLE])),
    )


def published() -> list[dict[str, Any]]:
    """The rows of exposure.toml."""
    return list(tomllib.loads(ROWS.read_text(encoding="utf-8"))["row"])


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=40)
    parser.add_argument("--out", type=Path, default=FIGURE)
    asked = parser.parse_args()
    rows = published()
    grown: dict[str, list[Simulation]] = {}
    seen: dict[tuple[str, str], Seen] = {}

    def of(population: str, regimen: str) -> Seen:
        if population not in grown:
            grown[population] = grow(population, asked.patients)
        if (population, regimen) not in seen:
            is_long = regimen in ("isa-pd", "isa-kd")
            seen[population, regimen] = follow(grown[population], regimen, STEADY if is_long else SECOND_CYCLE)
        return seen[population, regimen]

    for row in rows:
        values = getattr(of(row["population"], row["regimen"]), row["what"])
        name = f"{row['regimen']:10s} {row['population']:24s} {row['what']:13s} [{row['unit']}]"
        spread = 100.0 * values.std() / values.mean()
        print(f"{name}: published {row['value']:.4g} ({row.get('cv', float('nan')):.1f} %), simulated {values.mean():.4g} ({spread:.1f} %)")
    alone = "isatuximab_monotherapy"
    for dose in DOSES:
        values = of(alone, f"isa-{dose:g}-q2w")
        means = {name: float(value.mean()) for name, value in values._asdict().items()}
        print(
            f"{dose:4g} mg/kg Q2W: "
            + ", ".join(f"{name} {means[name]:.3g}" for name in ("first_area", "second_area", "occupancy", "first_cycle"))
        )
    print(drawing.save(draw(of, rows), asked.out.parent, asked.out.stem, asked.out.suffix[1:]))


@drawing.styled
def draw(of: Callable[[str, str], Seen], rows: list[dict[str, Any]]) -> "Figure":
    """Exposure by trial, exposure by dose, occupancy by dose."""
    from matplotlib.figure import Figure

    alone = "isatuximab_monotherapy"
    figure = Figure(figsize=(15.0, 5.2), layout="constrained")
    by_trial, by_dose, bound = figure.subplots(1, 3)

    chosen = [row for row in rows if row["what"] in ("peak", "area", "trough", "first_peak", "first_area")]
    labels = {"peak": "peak", "area": "AUC", "trough": "trough", "first_peak": "first peak", "first_area": "first AUC"}
    names = {"isa-pd": "Isa-Pd", "isa-kd": "Isa-Kd", "isa-20": "Isa 20"}
    where = {"icaria": "ICARIA-MM", "ikema": "IKEMA", alone: "phase 1"}
    for i, row in enumerate(chosen):
        values = getattr(of(row["population"], row["regimen"]), row["what"]) / row["value"]
        low, high = np.quantile(values, (0.25, 0.75))
        by_trial.plot([low, high], [-i, -i], color=drawing.BLUE, linewidth=5, alpha=0.35, solid_capstyle="butt")
        by_trial.plot(values.mean(), -i, "o", color=drawing.BLUE, label="simulated: mean and quartiles" if i == 0 else None)
        if "cv" in row:
            spread = row["cv"] / 100.0
            by_trial.errorbar(
                1.0,
                -i - 0.25,
                xerr=spread,
                color=drawing.BLACK,
                fmt="D",
                markersize=4,
                capsize=2,
                label="published: mean and SD" if i == 0 else None,
            )
        else:
            by_trial.plot(1.0, -i - 0.25, "D", color=drawing.BLACK, markersize=4)
    by_trial.axvspan(0.8, 1.2, color="0.92", zorder=0)
    by_trial.set_yticks([-i for i in range(len(chosen))])
    source = {"ailawadhi2025": "IRAKLIA", "chinese2024": "NCT03733717"}
    by_trial.set_yticklabels(
        [f"{names[r['regimen']]}, {labels[r['what']]} ({source.get(r['source'], where[r['population']])})" for r in chosen], fontsize=9
    )
    by_trial.set_xlabel("relative to the published mean")
    by_trial.set_title("Exposure by trial")
    by_trial.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.08), frameon=False, ncols=2)

    doses = np.array(DOSES)
    for what, colour, label in (("first_area", drawing.SKY, "first week"), ("second_area", drawing.BLUE, "weeks 3 and 4")):
        areas = np.array([getattr(of(alone, f"isa-{dose:g}-q2w"), what) for dose in DOSES])
        by_dose.plot(doses, areas.mean(axis=1), "o-", color=colour, label=f"Q2W, {label}")
        proportional = areas.mean(axis=1)[-1] * doses / doses[-1]
        by_dose.plot(doses, proportional, ":", color=colour, label="in proportion to dose" if what == "second_area" else None)
    (first,) = (row for row in rows if row["what"] == "first_area")
    by_dose.plot(20.0, first["value"], "D", color=drawing.BLACK, markersize=5, label="published (first week, NCT03733717)")
    by_dose.set(xscale="log", yscale="log", xlabel="dose [mg/kg]", ylabel="AUC [mg h/mL]")
    by_dose.set_title("Exposure by dose, alone")

    for keys, marker, colour, label in (
        ([f"isa-{dose:g}-q2w" for dose in DOSES], "o-", drawing.BLUE, "simulated, every 2 weeks"),
        (["isa-10", "isa-20"], "s--", drawing.VERMILLION, "simulated, weekly"),
    ):
        x = doses if len(keys) == len(DOSES) else np.array([10.0, 20.0])
        values = np.array([of(alone, key).occupancy for key in keys])
        low, high = np.quantile(values, (0.25, 0.75), axis=1)
        bound.plot(x, values.mean(axis=1), marker, color=colour, label=label)
        bound.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    (full,) = (row for row in rows if row["what"] == "occupancy")
    bound.plot(20.0, full["value"], "D", color=drawing.BLACK, markersize=6, label="published: plateau at 20 mg/kg")
    bound.set(xscale="log", xlabel="dose [mg/kg]", ylabel="CD38 occupied in the marrow", ylim=(0.0, 1.0))
    bound.set_title("Occupancy by dose, week 4")
    for axes in (by_dose, bound):
        axes.set_xticks(doses, [f"{dose:g}" for dose in DOSES])
        axes.minorticks_off()
        axes.legend(fontsize=9, frameon=False)
    return figure


if __name__ == "__main__":
    main()
