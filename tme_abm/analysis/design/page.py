"""A design answered: its table in words, its figure, its files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tme_abm import drawing
from tme_abm.analysis.bank.trials import VirtualTrial
from tme_abm.analysis.calibration.fit import LEAST_EFFECTIVE
from tme_abm.analysis.calibration.posterior import Posterior
from tme_abm.analysis.design.form import Design
from tme_abm.analysis.design.power import HIGH, LOW, Answer, table
from tme_abm.batch.files import write_json
from tme_abm.drawing import BLACK, BLUE, GREY, LIGHT, VERMILLION, empty_figure, styled
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.toml import to_toml
from tme_abm.trial.provenance import describe_machine
from tme_abm.trial.study import Study

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE, REPORT, FIGURE = "design.csv", "design.md", "design"
WORTH = 0.95  # share of the sets in which an arm is worth its effective patients or more


def effective_patients(trial: VirtualTrial, posterior: Posterior) -> dict[str, float]:
    """Label of each arm -> patients of equal weight that its runs are worth in most sets of the posterior."""
    values = [posterior.values(s) for s in range(len(posterior.sets))]
    return {arm.label: float(np.quantile([arm.worth(one) for one in values], 1.0 - WORTH)) for arm in trial.arms.values()}


def write(design: Design, study: Study, answers: Sequence[Answer], folder: Path, facts: str, worth: Mapping[str, float]) -> list[Path]:
    """Write design.csv, design.md, the figure, the design itself and run.json."""
    table(design, answers).to_csv(folder / TABLE, index=False)
    (folder / REPORT).write_text(report(design, study, answers, facts, worth), encoding="utf-8")
    (folder / "design.toml").write_text(to_toml(dict(design.resolved)), encoding="utf-8")
    paths = [folder / TABLE, folder / REPORT, folder / "design.toml"]
    paths += [drawing.save(draw(design, answers), folder, FIGURE, kind) for kind in ("svg", "png")]
    write_json(
        folder / "run.json", {"design": dict(design.resolved), "facts": facts, "effective_patients": dict(worth), **describe_machine()}
    )
    return [*paths, folder / "run.json"]


def warning(worth: Mapping[str, float]) -> str:
    """Too few patients behind an answer, in a sentence; empty where there are enough."""
    least = min(worth.values())
    if least >= LEAST_EFFECTIVE:
        return ""
    return (
        f"**Not to be relied on: behind this stand {least:.0f} effective patients of the bank, and {LEAST_EFFECTIVE:.0f} are asked for "
        "in each arm; draw more (`tme bank --patients`).** "
    )


def report(design: Design, study: Study, answers: Sequence[Answer], facts: str, worth: Mapping[str, float]) -> str:
    """The answer in Markdown.

    Args:
        design: What was asked.
        study: Its trial.
        answers: One for each size.
        facts: How they were made, in a sentence.
        worth: Label of each arm -> its effective patients.
    """
    form = design.form
    labels = {arm.key: arm.label for arm in study.arms}
    looks = ", ".join(f"{look * design.end_days / DAYS_PER_MONTH:.1f}" for look in form.looks)
    lines = [
        f"{warning(worth)}{form.title} {answer_in_words(design, answers)}",
        "",
        f"{labels[form.compare[0]]} against {labels[form.compare[1]]}, {form.allocation[0]}:{form.allocation[1]}; accrual {form.accrual}, "
        f"follow-up {form.follow_up} after the last one; looks at month {looks}; log-rank, one-sided {form.alpha:g}. {facts} Effective "
        f"patients in {100 * WORTH:.0f} % of the sets: {', '.join(f'{label} {n:.0f}' for label, n in worth.items())}.",
        "",
        "Power is at the best set of the posterior, with the patients of the bank as they are; assurance is the mean over all sets, and",
        "the range holds 90 % of them, each trial with the patients of the bank weighed anew by chance. The best set fits best and need",
        "not lie in the middle, and its trials know nothing of the chance of the bank: so its power may lie outside of the range. The",
        "hazard ratio is that of the final look over all sets and trials, with the range of 95 % of the trials.",
        "",
        "| patients | events | power | assurance | range of the power | hazard ratio | positive by look |",
        "| --- " * 7 + "|",
    ]
    for row, one in zip(table(design, answers).to_dict("records"), answers, strict=True):
        ratio = f"{row['hazard_ratio']:.2f} ({row['hazard_ratio_low']:.2f} to {row['hazard_ratio_high']:.2f})"
        stops = ", ".join(f"{100 * s:.0f} %" for s in np.cumsum(one.stops))
        cells = [
            f"{row['patients']}",
            f"{row['events']:.0f}",
            f"{100 * row['power_best']:.0f} %",
            f"{100 * row['assurance']:.0f} %",
            f"{100 * row['power_low']:.0f} to {100 * row['power_high']:.0f} %",
            ratio,
            stops,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def answer_in_words(design: Design, answers: Sequence[Answer]) -> str:
    """The answer for the size about which the design asks."""
    one = next(a for a in answers if a.patients == design.asked)
    return (
        f"With {one.patients} patients a trial is positive in {100 * one.assurance:.0f} of 100 (power at the best set "
        f"{100 * one.best:.0f} %), after {one.events[-1]:.0f} events."
    )


@styled
def draw(design: Design, answers: Sequence[Answer]) -> "Figure":
    """Assurance and power by size, and the hazard ratios that trials of the size asked about would report."""
    figure = empty_figure(10.5, 4.6)
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1.0))
    sizes = [one.patients for one in answers]
    ends: list[Any] = [[100 * float(np.quantile(one.power, q)) for one in answers] for q in (LOW, HIGH)]
    left.fill_between(sizes, ends[0], ends[1], color=BLUE, alpha=0.18, lw=0, label="power at 90 % of the sets")
    left.plot(sizes, [100 * one.best for one in answers], "o--", color=GREY, ms=5, label="power at the best set")
    left.plot(sizes, [100 * one.assurance for one in answers], "o-", color=BLUE, ms=6, label="assurance")
    left.axhline(90, color=LIGHT, lw=1.0, zorder=0)
    left.axhline(80, color=LIGHT, lw=1.0, zorder=0)
    if len(sizes) > 1:
        left.axvline(design.asked, color=BLACK, lw=0.8, ls=(0, (4, 4)), zorder=0)
    left.set(ylim=(0, 102), xlabel="Patients, both arms", ylabel="Positive trials (%)", title="How many patients?")
    left.set_xticks(sizes)
    left.legend(loc="lower right")
    one = next(a for a in answers if a.patients == design.asked)
    known = np.isfinite(one.ratios)
    edges = np.linspace(0.2, 1.4, 37)
    shown = np.clip(one.ratios[known], edges[0], edges[-1])
    for chosen, colour, label in ((one.positive[known], BLUE, "positive"), (~one.positive[known], VERMILLION, "not positive")):
        right.hist(shown[chosen], edges, color=colour, alpha=0.75, label=label)
    right.axvline(1.0, color=BLACK, lw=0.8)
    right.set(xlabel="Hazard ratio at the final look", ylabel="Virtual trials", title=f"Trials of {one.patients} patients")
    right.legend(loc="upper right")
    return figure
