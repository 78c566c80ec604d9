"""Run a sensitivity analysis: the same patients in both arms under every sample of the numbers."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tme_abm import tables
from tme_abm.analysis.conditions import Condition, Load, carry_out, check_completed, conditions_of, open_book, rows_of
from tme_abm.analysis.run_book import BOOK, RunBook, whole_visits
from tme_abm.analysis.sensitivity.form import Sensitivity
from tme_abm.analysis.sensitivity.indices import Floats, draw_samples, index_table, strength, without_effect
from tme_abm.analysis.sensitivity.inputs import Input, find_inputs, not_varied
from tme_abm.analysis.sensitivity.outcomes import OUTCOMES
from tme_abm.analysis.sensitivity.page import PAGE, document
from tme_abm.analysis.sweep.form import overrides_of
from tme_abm.batch.desk import Desk
from tme_abm.batch.files import write_json
from tme_abm.export.crate import describe_folder
from tme_abm.foundation.clock import DAYS_PER_MONTH
from tme_abm.foundation.errors import InputError
from tme_abm.trial.comparison import hazard_ratio
from tme_abm.trial.provenance import describe_run, model_digest
from tme_abm.trial.study import Study
from tme_abm.trial.survival import Survival

Sampled = tuple[Study, list[Input], Floats, list[tuple[Condition, Condition]]]  # trial, numbers, shares of their ranges, arms


def sensitivity(
    given: Sensitivity, load: Load, folder: Path, desk: Desk | None = None, force: bool = False, command: str = ""
) -> dict[str, Any]:
    """Run an analysis; what stands in the folder is not run again.

    Writes runs.jsonl, samples.parquet (a row per sample: numbers and outcomes), inputs.csv, indices.parquet and
    indices.csv, sensitivity.md, summary.json, run.json and figures/.

    Args:
        given: What is asked.
        load: Reads the trial with changes.
        folder: Where to write.
        desk: Who does the work, and who is told.
        force: Whether to begin anew what the folder already holds.
        command: What the page says it was written by.

    Returns:
        The summary, as summary.json holds it.

    Raises:
        InputError: For a change that the trial refuses, a folder that holds runs of another kind, or a sample without a patient.
    """
    base, inputs = find_inputs(given, load)
    horizon = whole_visits(base, given.horizon_days or base.follow_up.longest_days)
    shares = draw_samples(given.form.method, given.form.samples, inputs, base.seed, given.form.together)
    trials = [_conditions(row, inputs, given, load) for row in shares]
    desk = desk or Desk()
    with open_book(folder, given.resolved, load((), (), 0), horizon, force, desk.resume) as book:
        return _answer(given, (base, inputs, shares, trials), book, horizon, desk, command or f"tme sensitivity {given.name}")


def _answer(given: Sensitivity, sampled: Sampled, book: RunBook, horizon: float, desk: Desk, command: str) -> dict[str, Any]:
    """Run what the book lacks, and write tables and figures."""
    import pandas as pd

    from tme_abm.analysis import headings
    from tme_abm.analysis.sensitivity.figures import draw
    from tme_abm.drawing import save

    (base, inputs, shares, trials), form, folder = sampled, given.form, book.results.new
    book.results.before_publishing = partial(describe_folder, study=given)
    start = time.perf_counter()
    desk.say(f"{len(inputs)} numbers of the grades {', '.join(form.grades)}, {len(shares)} samples")
    conditions = [condition for trial in trials for condition in trial]
    carry_out(conditions, form.patients, book, horizon, desk)
    desk.stop.check()

    failed = check_completed(conditions, form.patients, book)
    outcomes = _outcomes(trials, form.patients, book)
    table = pd.DataFrame({put.path: [put.at(u) for u in column] for put, column in zip(inputs, shares.T, strict=True)} | outcomes)
    indices = index_table(form.method, shares, outcomes, inputs, form.together)
    if not len(indices):
        raise InputError(f"no outcome was seen in every sample; more patients than {form.patients} or a longer horizon would help")
    rows = [put._asdict() for put in inputs]
    tables.write(table, folder / "samples.parquet", headings.of_samples(inputs))
    pd.DataFrame(rows).to_csv(folder / "inputs.csv", index=False)
    tables.write(indices, folder / "indices.parquet", headings.INDICES)
    indices.to_csv(folder / "indices.csv", index=False)
    labels = {arm.key: arm.label for arm in base.arms}
    facts = describe_run(base) | {"sensitivity": dict(given.resolved)}
    summary = {
        "analysis": given.name,
        "title": given.title,
        "scenario": given.scenario,
        "comparison": [labels[key] for key in form.compare],
        "method": form.method,
        "samples": form.samples,
        "evaluations": len(shares),
        "patients": form.patients,
        "seed": base.seed,
        "patch": [base.settings.height, base.settings.width],
        "horizon_months": horizon / DAYS_PER_MONTH,
        "grades": list(form.grades),
        "spread": {grade: form.spread.get(grade, 2.0) for grade in form.grades},
        "together": form.together,
        "inputs": rows,
        "strength": strength(form.method),
        "outcomes": {
            name: {
                "words": words,
                "mean": float(np.mean(outcomes[name])),
                "sd": float(np.std(outcomes[name])),
                "share_above_zero": float(np.mean(outcomes[name] > 0.0)),
                "indices": indices[indices["outcome"] == name].drop(columns="outcome").to_dict("records"),
            }
            for name, words in OUTCOMES.items()
            if name in set(indices["outcome"])
        },
        "not_seen": [
            {"words": words, "missing": int(np.sum(~np.isfinite(outcomes[name])))}
            for name, words in OUTCOMES.items()
            if name not in set(indices["outcome"])
        ],
        "without_effect": without_effect(indices),
        "not_varied": not_varied(base, given, inputs, facts["parameters"]),
        "runs": len({c.key for c in conditions}) * form.patients,
        "failed": failed,
        "run_seconds": round(sum(float(row["seconds"]) for row in book.rows.values()), 1),
        "wall_seconds": round(time.perf_counter() - start, 1),
        "model": model_digest(),
    }
    for name, figure in draw(summary).items():
        for kind in ("svg", "png"):
            save(figure, folder / "figures", name, kind)
    write_json(folder / "summary.json", summary)
    write_json(folder / "run.json", facts)
    (folder / PAGE).write_text(document(summary, command), encoding="utf-8")
    book.write(folder / BOOK)
    desk.stop.check()
    book.results.publish(is_final=False)
    return summary


def _conditions(row: Floats, inputs: Sequence[Input], given: Sensitivity, load: Load) -> tuple[Condition, Condition]:
    """Arm and reference of one sample."""
    changes = [f"{put.path}={put.at(float(u))!r}" for put, u in zip(inputs, row, strict=True)]
    arm, reference = given.form.compare
    found = conditions_of(load((*overrides_of(given.form.set), *changes), (), 0), (arm, reference))
    return found[arm], found[reference]


def _outcomes(trials: Sequence[tuple[Condition, Condition]], patients: int, book: RunBook) -> dict[str, Floats]:
    """Each outcome in each sample, over the patients who completed both arms; NaN where it was not seen."""
    found = {name: np.full(len(trials), np.nan) for name in OUTCOMES}
    for i, trial in enumerate(trials):
        arm, reference = (rows_of(condition, patients, book) for condition in trial)
        pairs = [(a, b) for a, b in zip(arm, reference, strict=True) if a is not None and b is not None]
        gains = [
            b["log10_burden_visit_2"] - a["log10_burden_visit_2"]
            for a, b in pairs
            if a["log10_burden_visit_2"] is not None and b["log10_burden_visit_2"] is not None
        ]
        if gains:
            found["burden_gain_log10"][i] = float(np.mean(gains))
        if not pairs:
            continue
        who = np.arange(len(pairs))
        times = [
            Survival(np.array([p[s]["pfs_days"] for p in pairs]) / DAYS_PER_MONTH, np.array([p[s]["pfs_event"] for p in pairs], bool), who)
            for s in (0, 1)
        ]
        found["log_mean_pfs_ratio"][i] = float(np.log(times[0].months.mean() / times[1].months.mean()))
        ratio = hazard_ratio(times[0], times[1], "paired").value
        if ratio is not None:
            found["log_hazard_ratio"][i] = float(np.log(ratio))
    return found
