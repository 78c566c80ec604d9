"""A trial as an experiment among others: what the command line asks of every kind (`scenario.kinds.Running`)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tme_abm.batch.desk import Desk
from tme_abm.batch.results import Results
from tme_abm.foundation.clock import months
from tme_abm.pharmacology.half_life import half_life_in_words
from tme_abm.pharmacology.words import regimen_in_words, visits_in_words
from tme_abm.trial.headline import Headline
from tme_abm.trial.headline import headline as _headline
from tme_abm.trial.recording_plan import BYTES_OF_A_CELL, BYTES_OF_A_DAY
from tme_abm.trial.study import Study


def run(study: Study, results: Results, desk: Desk) -> dict[str, Any]:
    """Run it, or go on with it, and write its results."""
    from tme_abm.trial.execution import run_study

    return run_study(study, results, desk)


def report(folder: Path, load: Callable[[], Study], to: Path) -> Path:
    """Write the report of a finished run again, into the folder `to`, from which it takes its place in `folder`."""
    from tme_abm.trial.report import write_report

    return write_report(to, folder, folder)


def size(study: Study) -> str:
    """How much is run, in words."""
    return f"{study.patients} patients, {len(study.arms)} arm{'s' * (len(study.arms) > 1)}"


def kind_in_words(study: Study, size: str) -> str:
    """What it is, in words."""
    from tme_abm.patients.portrait import repeats

    repeated = repeats(study.population, study.patients)
    return f"{size} patients of {study.population.label}" + (f" ({repeated})" if repeated else "")


def headline(study: Study, summary: Mapping[str, Any]) -> Headline:
    """What came out, in a few lines."""
    return _headline(study, summary)


def facts(study: Study) -> dict[str, str]:
    """What would be run, in words: name of a fact -> the fact."""
    from tme_abm.patients.portrait import portray, repeats

    follow_up, settings = study.follow_up, study.settings
    how = "every patient under every arm" if study.design == "paired" else f"randomised {':'.join(map(str, study.allocation))}"
    if len(study.arms) == 1:
        how = "one arm"
    return {
        "population": f"{study.population.label}: {study.population.summary}",
        **portray(study.population, study.seed),
        "patients": f"{study.patients}, {how}; seed {study.seed}",
        **({"note": said} if (said := repeats(study.population, study.patients)) else {}),
        "follow-up": f"{months(follow_up.shortest_days):.1f} to {months(follow_up.longest_days):.1f} months",
        "visits": visits_in_words(study.visits),
        "patch": f"{settings.height} x {settings.width} sites, a step of {settings.step_h:g} h",
        "half-lives": "; ".join(half_life_in_words(drug) for drug in study.drugs.values()) or "no drug",
        "comparisons": "; ".join(f"{a} against {b}" for a, b in study.comparisons) or "none",
        "recorded": record_in_words(study),
        "without": ", ".join(sorted(settings.without)) or "nothing: all mechanisms act",
    }


def details(study: Study) -> list[tuple[str, str, list[str]]]:
    """The arms: label, key and a sentence for each line of the regimen."""
    return [(arm.label, arm.key, regimen_in_words(arm)) for arm in study.arms]


def numbers(study: Study) -> list[dict[str, Any]]:
    """Every number that the run uses, with unit, meaning, source and grade."""
    from tme_abm.trial.provenance import describe_run

    rows: list[dict[str, Any]] = describe_run(study)["parameters"]
    return rows


def record_in_words(study: Study) -> str:
    """What is recorded, with how much of it there can be."""
    record, longest = study.record, study.follow_up.longest_days
    n_arms = 1 if study.design == "parallel" else len(study.arms)
    said = ["every visit"] if record.visits else []
    if record.days is not None:
        n = study.patients * n_arms * record.days.count(longest)
        said.append(f"the marrow in numbers {record.days.in_words()}: at most {n:,} rows, {size_in_words(n * BYTES_OF_A_DAY)}")
    if record.cells is not None:
        n_patients = record.patients_with_cells(study.patients)
        sites = study.settings.height * study.settings.width
        n = n_patients * n_arms * record.cells.count(longest) * sites
        who = "every patient" if n_patients == study.patients else f"{n_patients} patient{'s' * (n_patients > 1)}"
        said.append(f"the cells of {who} {record.cells.in_words()}: at most {n:,} rows, {size_in_words(n * BYTES_OF_A_CELL)}")
    return "; ".join(said) or "a row for each patient and arm, nothing else"


def size_in_words(n_bytes: float) -> str:
    """Room on a disk, to two digits."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{float(f'{n_bytes / size:.2g}'):g} {unit}"
    return f"{float(f'{max(n_bytes, 1000.0) / 1e3:.2g}'):g} kB"
