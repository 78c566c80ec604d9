"""The same patients under many variants of a trial: what sweeps and sensitivity analyses share.

A condition is one arm of one variant. Two variants that differ in nothing that an arm is touched by have that condition in common, and
it is run once: a sweep over the dose of an antibody runs its control arm once. Whoever grows alike is grown once and forked into all
conditions. All variants meet the same patients, marrows and dice, so differences between them have far smaller errors than the
values. As in an attribution, nobody drops out and no cut-off comes before the horizon.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tme_abm.analysis.run_book import Point, Run, RunBook, digest, run_groups
from tme_abm.batch.desk import Desk
from tme_abm.batch.results import open_results
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.toml import to_toml
from tme_abm.patients.population import provenance
from tme_abm.pharmacology.regimen import Regimen
from tme_abm.trial import attachments
from tme_abm.trial.provenance import describe_outside, model_digest
from tme_abm.trial.study import Study

MAY_DIFFER = ("title", "summary", "scenario", "patients", "replicates")  # from one call to the next, in one folder
Load = Callable[[Sequence[str], Sequence[str], int], Study]  # (PATH=VALUE ..., mechanisms off, seed) -> the trial so changed


class Condition(NamedTuple):
    """One arm of one variant of a trial.

    Attributes:
        study: The variant.
        arm: The arm.
        growth: Digest of what a patient has grown from when the arm begins.
        key: Digest of all that a run of it follows from.
    """

    study: Study
    arm: Regimen
    growth: str
    key: str

    @property
    def point(self) -> Point:
        """Its place in a book of runs."""
        return Point(self.key)


def conditions_of(study: Study, arms: Iterable[str] | None = None) -> dict[str, Condition]:
    """The conditions of a variant by arm; of some arms, or of all."""
    settings = study.settings
    patients = (study.population.at_median, [row[:3] for row in provenance(study.population)])
    numbers = [(name, origin.value) for name, origin in settings.origins().items()]
    outside = describe_outside(settings.catalogue)
    growth = digest([study.seed, outside, patients, settings.height, settings.width, settings.step_h, numbers])
    chosen = None if arms is None else set(arms)
    found = {}
    for arm in study.arms:
        if chosen is not None and arm.key not in chosen:
            continue
        drugs = [repr(replace(study.drugs[name], file=Path())) for name in arm.drugs]
        given = [growth, repr(replace(arm, key="", label="")), drugs, sorted(settings.without), study.visits]
        found[arm.key] = Condition(study, arm, growth, digest(given))
    return found


@contextmanager
def open_book(
    folder: Path, resolved: Mapping[str, Any], trial: Study, horizon_days: float, force: bool = False, resume: bool = False
) -> Iterator[RunBook]:
    """Make a folder for the runs of some variants, or go on in one; the key of a condition says what a run depends on.

    A trial that is no bundled one is copied beside the results, with the populations, drugs and mechanisms that it reads, and the
    folder's scenario.toml leads there: the folder runs again elsewhere. More patients or replicates may be added to what stands there.

    Args:
        folder: Where.
        resolved: What the file asks.
        trial: The trial that it names, without changes.
        horizon_days: How long patients are watched [d].
        force: Whether to begin anew where it holds runs.
        resume: Whether there must be runs to go on with.

    Raises:
        InputError: For a file, a folder that holds something else, another question, runs over another time or of another version of
            the model, or one that is in use.
    """
    asked = {key: value for key, value in resolved.items() if key not in MAY_DIFFER}
    stamp = {"trial": trial.name, "scenario": asked, "horizon_days": horizon_days, "version_of_the_model": model_digest()}
    copies = trial.settings.catalogue.copies()
    table = dict(resolved)
    if str(resolved["scenario"]).endswith(".toml"):
        own, read = attachments.gather(trial.resolved, resolved)
        table["scenario"] = "trial.toml" if trial.name == "scenario" else f"{trial.name}.toml"
        copies = copies | read | {table["scenario"]: to_toml(own).encode()}
    with open_results(folder, stamp, force, resume) as results:
        for name, content in copies.items():
            results.attach(name, content)
        (results.new / "scenario.toml").write_text(to_toml(table), encoding="utf-8")
        yield RunBook(results)


def carry_out(conditions: Sequence[Condition], patients: int, book: RunBook, horizon_days: float, desk: Desk) -> None:
    """Run every patient under every condition that the book does not hold yet, and say first how long that will take.

    Args:
        conditions: Where one comes twice, it is run once.
        patients: How many of each.
        book: Where runs are written.
        horizon_days: How long patients are watched; a whole number of visits [d].
        desk: Who does the work, and who is told of each run (under "running") and how long it will take.
    """
    wanted = {c.key: c for c in conditions}
    groups: dict[tuple[int, str], list[Run]] = {}
    for index in range(patients):
        for condition in wanted.values():
            if (index, condition.point) not in book.rows:
                groups.setdefault((index, condition.growth), []).append(Run(condition.point, condition.study, condition.arm))
    run_groups([(index, group) for (index, _), group in groups.items()], conditions[0].study, book, horizon_days, desk)


def rows_of(condition: Condition, patients: int, book: RunBook) -> list[Mapping[str, Any] | None]:
    """The runs of a condition in the order of the patients; None for one that failed."""
    return [book.rows.get((index, condition.point)) for index in range(patients)]


def check_completed(conditions: Iterable[Condition], patients: int, book: RunBook) -> int:
    """How many runs failed.

    Raises:
        InputError: Where all did.
    """
    rows = [row for condition in {c.key: c for c in conditions}.values() for row in rows_of(condition, patients, book)]
    failed = sum(row is None for row in rows)
    if failed == len(rows):
        reason = next((row["failure"] for row in book.failed.values()), "no patient")
        raise InputError(f"every run failed; the first: {reason}")
    return failed
