"""A part of a trial: every n-th patient, run into a folder of its own, and all parts put together.

Patients are dealt out one by one, not in blocks: parts differ by one patient at most, and whatever changes along the numbers of patients
changes in all parts alike. What a part leaves is its journal, sealed; a merge reads those of all parts and writes what one run would have.
"""

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tme_abm.batch.desk import Desk
from tme_abm.batch.files import write_json
from tme_abm.batch.journal import Journal
from tme_abm.batch.progress import FAILED
from tme_abm.batch.results import WORK, Results, differences, read_json
from tme_abm.foundation.errors import InputError
from tme_abm.trial.study import Study

PART_FILE, JOURNAL = "part.json", "journal"  # of a folder that holds a part


class Part(NamedTuple):
    """Which part of how many, counted from 1."""

    number: int
    of: int

    def patients(self, number: int) -> range:
        """Its patients among so many."""
        return range(self.number - 1, number, self.of)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def make_part(given: str | Sequence[int], patients: int) -> Part:
    """A part as somebody writes it: "3/16", or (3, 16).

    Args:
        given: What was written.
        patients: Of the whole trial.

    Raises:
        InputError: Where it is none, or one without a patient.
    """
    found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", given) if isinstance(given, str) else None
    numbers = [int(text) for text in found.groups()] if found else [] if isinstance(given, str) else list(given)
    shown = given if isinstance(given, str) else "/".join(map(str, numbers))
    if len(numbers) != 2 or not all(isinstance(n, int) for n in numbers) or not 1 <= numbers[0] <= numbers[1]:
        raise InputError(f"part {shown}: write K/N, such as 3/16, with K from 1 to N")
    part = Part(*numbers)
    if part.of > patients:
        raise InputError(f"part {part}: the trial has {patients} patient{'s' * (patients != 1)}, so {part.of} parts would leave some empty")
    return part


def run_part(study: Study, part: Part, results: Results, desk: Desk) -> dict[str, Any]:
    """Run the patients of a part and seal what they gave.

    Args:
        study: The whole trial.
        part: Which part of it.
        results: The folder of the part, in which an earlier command may have begun.
        desk: Who does the work and who is told.

    Returns:
        What part.json says.

    Raises:
        Stopped: Where that was asked for.
    """
    from tme_abm.trial.execution import run_patients
    from tme_abm.trial.provenance import code_versions, describe_outside

    start = time.perf_counter()
    own = part.patients(study.patients)
    run_patients(study, results.journal, desk, own)
    desk.stop.check()
    summary = {
        "scenario": study.name,
        "part": str(part),
        "patients": len(own),
        "failed": len(_failed(own, results.journal)),
        "wall_seconds": round(time.perf_counter() - start, 2),
        "identity": results.identity,
        "code": code_versions(),
        **describe_outside(study.settings.catalogue),
    }
    results.journal.copy(results.new / JOURNAL)
    write_json(results.new / PART_FILE, summary)
    results.before_publishing = None
    results.publish()
    return summary


def _failed(own: range, journal: Journal) -> list[int]:
    """Of some patients, those of whom a journal holds no run that went well."""
    return [index for index in own if str(index) not in journal]


class Kept(NamedTuple):
    """A folder that holds a finished part."""

    folder: Path
    part: Part
    summary: Mapping[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """What the trial depends on, whichever part of it this is."""
        return {key: value for key, value in self.summary["identity"].items() if key != "part"}


def read_part(folder: Path) -> Kept:
    """The part in a folder.

    Raises:
        InputError: Where there is none, or it is not finished.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder '{folder}'")
    if (folder / WORK / "identity.json").is_file():
        begun = read_json(folder / WORK / "identity.json").get("part")
        what = f"part {begun}" if begun else "a run"
        raise InputError(f"{folder} holds {what} that is not finished; the same command goes on with it")
    if not (folder / PART_FILE).is_file():
        raise InputError(f"{folder} holds no part of a trial; `tme run --part K/N` makes one")
    summary = read_json(folder / PART_FILE)
    kinds = {"scenario": str, "part": str, "patients": int, "failed": int, "wall_seconds": int | float, "identity": dict, "code": dict}
    wrong = [name for name, kind in kinds.items() if not isinstance(summary.get(name), kind)]
    found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(summary.get("part")), re.ASCII)
    if wrong or found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"{folder / PART_FILE}: the entry '{[*wrong, 'part'][0]}' is damaged; run the part again with --force")
    return Kept(folder, Part(int(found[1]), int(found[2])), summary)


def refuse_part(folder: Path) -> None:
    """Raise an `InputError` for a folder that holds a part only, where a whole trial is wanted."""
    if (folder / PART_FILE).is_file():
        part = read_json(folder / PART_FILE).get("part", "")
        raise InputError(f"{folder} holds part {part} of a trial, which has no tables; `tme merge` puts the parts together")


def check_fit(parts: Sequence[Kept]) -> None:
    """Raise an `InputError` for parts that are not those of one trial, each once and none missing."""
    if not parts:
        raise InputError("give the folders of the parts")
    first, seen = parts[0], dict[int, Kept]()
    for one in parts:
        if one.part.of != first.part.of:
            raise InputError(f"{one.folder} is part {one.part}, but {first.folder} is part {first.part}")
        if found := [*differences(one.identity, first.identity), *differences(one.summary.get("code"), first.summary.get("code"))]:
            raise InputError(f"{one.folder} (part {one.part}) does not fit {first.folder} (part {first.part}): {found[0]}")
        if (other := seen.setdefault(one.part.number, one)) is not one:
            raise InputError(f"part {one.part} is there twice: {other.folder} and {one.folder}")
    missing = [str(Part(number, first.part.of)) for number in range(1, first.part.of + 1) if number not in seen]
    if missing:
        shown = ", ".join(missing[:5]) + f" and {len(missing) - 5} more" * (len(missing) > 5)
        raise InputError(f"part{'s' * (len(missing) > 1)} {shown} {'are' if len(missing) > 1 else 'is'} missing")


def merge_parts(study: Study, parts: Sequence[Kept], results: Results, desk: Desk) -> dict[str, Any]:
    """Write the results of a trial from those of its parts, which stay as they are.

    Args:
        study: The whole trial.
        parts: All its parts.
        results: The folder of the whole.
        desk: Who is told, and may ask for the end.

    Returns:
        The summary, as summary.json holds it.

    Raises:
        InputError: As `whole_journals`.
    """
    from tme_abm.trial.tables import write_results

    for journal in whole_journals(study, parts):
        results.journal.include(journal)
        desk.stop.check()
    taken = sum(float(one.summary["wall_seconds"]) for one in parts)
    return write_results(study, results, desk.stop, time.perf_counter() - taken)


def whole_journals(study: Study, parts: Sequence[Kept]) -> list[Journal]:
    """The journals of parts, which hold all that they held when the parts were finished.

    Raises:
        InputError: Where the journal of a part has been damaged.
    """
    journals = []
    for one in parts:
        journal = Journal(one.folder / JOURNAL)
        lost = [i for i in one.part.patients(study.patients) if str(i) not in journal and f"{FAILED}-{i}" not in journal]
        if lost:
            n = len(lost)
            raise InputError(
                f"{one.folder} (part {one.part}) has lost {n} patient{'s' * (n > 1)} since it was finished, the first number {lost[0]}; "
                "run the part again with --force"
            )
        failed = _failed(one.part.patients(study.patients), journal)
        if len(failed) != one.summary["failed"]:  # she failed, went well when tried again, and only the failure can still be read
            raise InputError(
                f"{one.folder} (part {one.part}) has {len(failed)} failed patient{'s' * (len(failed) != 1)} instead of "
                f"{one.summary['failed']} when it was finished; its journal was damaged: run the part again with --force"
            )
        journals.append(journal)
    return journals
