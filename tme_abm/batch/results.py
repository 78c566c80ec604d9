"""A folder of results: known by a marker, changed all at once at the end, and never beyond what was written by this program.

While a command works, all that it makes stands in a hidden folder inside (`.tme-run`): the identity of the run, the journal of what is
done, and the new files. At the end these take the place of the old ones by way of a list that is on disk first, so a crash in between
is mended by whoever opens the folder next.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tme_abm.batch.desk import silent
from tme_abm.batch.files import digest, scratch_of, sync, sync_folder, write_json
from tme_abm.batch.journal import Journal
from tme_abm.batch.lock import LOCK, Lock
from tme_abm.foundation.errors import InputError
from tme_abm.foundation.paths import refuse_tilde, standing

MARKER = ".tme-results.json"  # what makes a folder one of results; nobody else writes it
WORK = ".tme-run"  # an unfinished run
AGAIN = ".tme-again"  # files that are made again, until they are complete
FORMAT = 1
SHOWN = 3  # differences that a refusal names
DATA_SET = ".parquet"  # ends the name of a folder whose files are one table, whatever they are called


class Results:
    """A folder of results in which a command works, its lock held.

    Attributes:
        folder: The folder.
        identity: What makes two runs the same: all that the results depend on.
        journal: What is done so far.
        new: Where new files are written until they take the place of the old ones.
        is_finished: Whether the folder holds just this run, finished.
        resumed: Pieces of work that an earlier command has done.
        took_over: Who held the folder before and died; empty where nobody did.
        set_aside: Files of somebody else that were in the way at the end, under their new names.
        say: Is told of these at the end; whoever carries the work out puts its own voice here.
        before_publishing: Called with the folder of new files once they are complete, to add what describes them.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], force: bool = False, resume: bool = False) -> None:
        """Take a folder that is known to be one of results, or empty.

        Raises:
            InputError: Where it holds another run, one of which nobody can tell what it is, or nothing to resume.
        """
        self.folder, self.identity = folder, _as_json(identity)
        self.set_aside = _mend(folder)
        self.took_over = ""
        self._sources: list[dict[str, str]] = []
        self.say: Callable[[str], Any] = silent
        self.before_publishing: Callable[[Path], Any] | None = None
        work = folder / WORK
        scratch_of(folder / MARKER).unlink(missing_ok=True)
        there = read_marker(folder)
        self.marker = there or {"format": FORMAT, "files": {}, "finished": None}
        begun, finished = _json(work / "identity.json"), self.marker["finished"]
        self.is_finished = finished == self.identity and begun is None and not force
        if force:
            begun = None
        else:
            refuse_another(folder, self.identity)
        if resume and begun is None and not self.is_finished:
            raise InputError(f"{folder} holds no run that could be resumed; leave out --resume to begin one")
        self._is_begun_here = begun is None and not self.is_finished
        self._is_marked_here, self._stood = there is None, self._standing()
        if self._is_begun_here:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            write_json(work / "identity.json", self.identity)
            write_json(folder / MARKER, self.marker)
        self.new = work / "new"
        self.journal = Journal(work / "journal")  # before anything goes: a damaged one is refused
        self.resumed = len(self.journal)
        shutil.rmtree(self.new, ignore_errors=True)
        if not self.is_finished:
            self.new.mkdir(parents=True)
        elif work.is_dir():
            work.rmdir()  # all that a crash at the very end has left

    def attach(self, name: str, content: bytes) -> None:
        """Lay a copy of what the run reads from elsewhere into the folder, to be published with the results.

        Args:
            name: Where, relative to the folder, such as "sources/drugs/mydrug.toml".
            content: The copy.
        """
        target = self.new / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        self._sources.append({"file": name, "sha256": digest(target)})

    def sources(self) -> list[dict[str, str]]:
        """What was attached, with digests, for run.json."""
        return list(self._sources)

    def publish(self, is_final: bool = True) -> None:
        """Let the new files take the place of the old ones.

        Args:
            is_final: Whether the run is over; the journal is then no longer needed.
        """
        if self.before_publishing is not None:
            self.before_publishing(self.new)
        files = _digests(self.new)
        for name in files:
            sync(self.new / name)
        plan = {
            "files": files,
            "keep": {},
            "old": self.marker["files"],
            "finished": self.identity if is_final else self.marker["finished"],
            "is_final": is_final,
        }
        self.journal.close()
        write_json(self.folder / WORK / "commit.json", plan)
        self.set_aside += _mend(self.folder)
        self.marker = read_marker(self.folder) or self.marker
        if not is_final:
            shutil.rmtree(self.new, ignore_errors=True)  # folders whose files have gone to their places
            self.new.mkdir(parents=True)

    def _standing(self) -> dict[str, int]:
        """What stands in the folder beside what a run lays down first, and when each was changed last [ns]."""
        return {path.name: path.lstat().st_mtime_ns for path in self.folder.iterdir() if path.name not in (MARKER, WORK, LOCK)}

    def withdraw(self) -> None:
        """Take away what was laid down for a run that is refused before anything of it was done, in its folder or in one below."""
        if not self._is_begun_here or len(self.journal) or self._standing() != self._stood:
            return
        shutil.rmtree(self.folder / WORK, ignore_errors=True)
        if self._is_marked_here:
            (self.folder / MARKER).unlink(missing_ok=True)


@contextmanager
def open_results(folder: Path, identity: Mapping[str, Any], force: bool = False, resume: bool = False) -> Iterator[Results]:
    """Work in a folder of results: the run that stands there unfinished goes on, or a new one begins.

    Args:
        folder: Where; made where it is missing.
        identity: What the results depend on; a run of another identity is refused.
        force: Whether to begin anew; old results stay until the new ones are complete.
        resume: Whether there must be something to go on with.

    Raises:
        InputError: For a file, a folder that holds something else, another run, or one that is in use.
    """
    refuse_foreign(folder)
    if resume and not folder.is_dir():
        raise InputError(f"there is no folder '{folder}' to resume a run in")
    made = [place for place in (folder, *folder.parents) if not place.is_dir()]  # the innermost first
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder)
    results = None
    try:
        refuse_foreign(folder)
        results = Results(folder, identity, force, resume)
        results.took_over = lock.took_over
        yield results
    except InputError:
        if results is not None:
            results.withdraw()
        raise
    finally:
        if results is not None:
            results.journal.close()
            for path in results.set_aside:
                results.say(aside_in_words(path))
        lock.release()
        for place in made:
            with suppress(OSError):
                place.rmdir()  # of a run that was refused before it left anything


def refuse_foreign(folder: Path) -> None:
    """Raise an `InputError` for a file, a link that leads nowhere, or a folder that holds something else than results."""
    refuse_tilde(folder)
    if os.path.lexists(folder) and not folder.is_dir():
        what = "a file, not a folder" if folder.exists() else "a link that leads to no folder"
        raise InputError(f"{folder} is {what}; choose another with --out")
    if not (there := standing(folder)).is_dir():
        raise InputError(f"{folder} cannot be made: {there} is no folder; choose another with --out")
    if not folder.is_dir() or read_marker(folder) is not None:
        return
    if {path.name for path in folder.iterdir()} - {LOCK, WORK, MARKER, scratch_of(folder / MARKER).name}:
        raise InputError(f"{folder} holds something else than results, which is never replaced; choose another folder with --out")


def read_marker(folder: Path) -> dict[str, Any] | None:
    """The marker of a folder of results; None where it is none.

    Raises:
        InputError: For one that a later version has written.
    """
    marker = _json(folder / MARKER)
    if marker is None:
        return None
    number = marker.get("format", 0)
    if not isinstance(number, int) or not _are_files(marker.get("files")) or not isinstance(marker.get("finished"), dict | None):
        return None  # nobody can tell what it is
    if number > FORMAT:
        raise InputError(f"{folder} was written by a later version of tme (format {number}); choose another folder with --out")
    return {**marker, "finished": marker.get("finished")}


def _are_files(table: Any) -> bool:
    """Whether a table holds names of files with their digests."""
    return isinstance(table, dict) and all(isinstance(value, str) for value in table.values())


def refuse_another(folder: Path, identity: Mapping[str, Any]) -> None:
    """Raise an `InputError` where a folder holds a run of another identity, or one whose identity cannot be read.

    An unfinished run counts before a finished one. What is done of a run stays until somebody says --force.
    """
    work = folder / WORK
    begun, finished = _json(work / "identity.json"), (read_marker(folder) or {"finished": None})["finished"]
    if begun is None and not (work / "commit.json").exists() and any((work / "journal").glob("*.shard")):
        raise InputError(
            f"{folder} holds an unfinished run, but {work / 'identity.json'}, which says of what, cannot be read; put it back, "
            "begin anew with --force, which discards what is done, or choose another folder with --out"
        )
    run = begun or finished
    found = [] if run is None else list(differences(run, _as_json(identity)))
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        what, told = "an unfinished run" if begun else "a finished run", ", ".join(found[:SHOWN])
        raise InputError(f"{folder} holds {what} with {told}{more}; begin anew with --force, or choose another folder with --out")


def aside_in_words(path: Path) -> str:
    """That a file of the user's was in the way, and what it is called now; of a table in parts, the whole folder is."""
    if path.is_dir() and not path.is_symlink():
        return f"a table with a file of yours in it, or with an edited one, was in the way of the results; it is kept as {path}"
    return f"a file of yours was in the way of the results; it is kept as {path}"


def write_again(folder: Path, write: Callable[[Path], Any]) -> list[Path]:
    """Have some files of a finished folder made again, such as its report; only these become this program's own.

    Args:
        folder: Of the results, its lock held.
        write: Writes them into the folder that it is given.

    Returns:
        Files of somebody else that were in the way, or files that somebody has edited, under their new names.
    """
    moved, new = _mend(folder), folder.absolute() / AGAIN
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        write(new)
        marker, files = read_marker(folder), _digests(new)
        old = (marker or {"files": {}})["files"]
        moved += _set_tables_aside(new, folder, files, files, old) + _move(new, folder, files, old)
        if marker is not None:
            write_json(folder / MARKER, {**marker, "files": {**marker["files"], **files}})
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return moved


def written(folder: Path) -> list[Path]:
    """The files of a folder that were written by this program."""
    return [folder / name for name in (read_marker(folder) or {"files": {}})["files"]]


def changed(folder: Path) -> list[Path]:
    """The files of a folder that this program wrote and that are gone or otherwise now."""
    return [folder / name for name, was in (read_marker(folder) or {"files": {}})["files"].items() if not _is_ours(folder / name, was)]


def _mend(folder: Path) -> list[Path]:
    """Carry the change of a folder through, where one was decided upon: now, or before a crash. Safe to repeat.

    Returns:
        Files of somebody else that were in the way, under their new names.
    """
    work = folder / WORK
    plan = _json(work / "commit.json")
    if (
        plan is None
        or not all(_are_files(plan.get(key)) for key in ("files", "keep", "old"))
        or not {"finished", "is_final"} <= plan.keys()
    ):
        return []
    moved = _set_tables_aside(work / "new", folder, {**plan["old"], **plan["files"]}, plan["files"], {**plan["old"], **plan["keep"]})
    moved += _move(work / "new", folder, plan["files"], plan["old"])
    for name, was in plan["old"].items():
        old = folder / name
        if name not in plan["files"] and name not in plan["keep"] and _is_ours(old, was):
            old.unlink()
            with suppress(OSError):
                old.parent.rmdir()  # where nothing else is in it
    for parent in {(folder / name).parent for name in plan["files"]} | {folder}:
        sync_folder(parent)
    write_json(folder / MARKER, {"format": FORMAT, "files": {**plan["keep"], **plan["files"]}, "finished": plan["finished"]})
    if plan["is_final"]:
        _clear(work)
    else:
        (work / "commit.json").unlink()
    return moved


def _clear(work: Path) -> None:
    """Remove a run that is over. The list of its files goes last: a crash in between leaves it to the next command to clear up."""
    (work / "identity.json").unlink(missing_ok=True)
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "commit.json":
            path.unlink()
    (work / "commit.json").unlink()
    work.rmdir()


def _set_tables_aside(new: Path, folder: Path, names: Iterable[str], files: Mapping[str, str], old: Mapping[str, str]) -> list[Path]:
    """Set each table in parts aside, whole, in whose folder a file is not as this program wrote it.

    Whoever reads such a table takes every file of its folder: one part that stayed would be read with those of another run, and so would
    one that got another name there. Safe to repeat: new parts that have come here already go back to where they came from first.

    Args:
        new: Where new files stand.
        folder: Where they go.
        names: Of the files whose tables are looked at, old and new ones.
        files: The new files with their digests.
        old: What this program wrote there before, with digests.

    Returns:
        What was set aside, under its new names.
    """
    places = {place.as_posix() for name in names for place in Path(name).parents if place.suffix == DATA_SET}
    moved = []
    for place in sorted(places):
        table = folder / place
        if not table.is_dir() or table.is_symlink():
            continue
        there = {path.relative_to(folder).as_posix(): path for path in table.rglob("*") if path.is_symlink() or not path.is_dir()}
        if all(_is_ours(path, old.get(name), files.get(name)) for name, path in there.items()):
            continue
        for name, path in there.items():
            if name in files and not (new / name).exists() and _is_ours(path, files[name]):
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, new / name)
        moved.append(_set_aside(table))
    return moved


def _move(new: Path, folder: Path, files: Mapping[str, str], old: Mapping[str, str]) -> list[Path]:
    """Let new files take their places; those that have moved already are passed over.

    Args:
        new: Where they stand.
        folder: Where they go.
        files: Their names with their digests.
        old: What this program wrote there before, with digests; whatever else is in the way is set aside.

    Returns:
        What was set aside, under its new names.
    """
    moved = []
    for name, wanted in files.items():
        source, target = new / name, folder / name
        if not source.exists():
            continue
        for place in reversed(list(target.relative_to(folder).parents)[:-1]):
            if _is_ours(folder / place, old.get(place.as_posix())):
                (folder / place).unlink()  # a table of one file, as earlier versions wrote it, where there is now a folder of parts
            elif (folder / place).is_symlink() or ((folder / place).exists() and not (folder / place).is_dir()):
                moved.append(_set_aside(folder / place))
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target) and not _is_ours(target, old.get(name), wanted):
            moved.append(_set_aside(target))
        os.replace(source, target)
    return moved


def _digests(folder: Path) -> dict[str, str]:
    """The files of a folder, by their names within, with digests."""
    return {path.relative_to(folder).as_posix(): digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _is_ours(path: Path, *digests: str | None) -> bool:
    """Whether a file is as this program wrote it."""
    return path.is_file() and not path.is_symlink() and digest(path) in digests


def _set_aside(path: Path) -> Path:
    """Give somebody else's file another name."""
    number = 1
    while os.path.lexists(other := path.with_name(f"{path.stem}.kept{number}{path.suffix}")):
        number += 1
    os.rename(path, other)
    return other


def differences(there: Any, here: Any, path: str = "") -> Iterator[str]:
    """In what two tables differ, in words: what is there instead of what is here."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for key in sorted({*there, *here}):
            yield from differences(there.get(key), here.get(key), f"{path}.{key}" if path else str(key))
    elif there != here:
        yield f"{path.removeprefix('scenario.')} {_shown(there)} instead of {_shown(here)}"


def _shown(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _as_json(content: Mapping[str, Any]) -> dict[str, Any]:
    """A table as it comes back from a file."""
    table: dict[str, Any] = json.loads(json.dumps(content, default=str))
    return table


def read_json(path: Path) -> dict[str, Any]:
    """A table in a file.

    Raises:
        InputError: Where there is none that could be read.
    """
    table = _json(path)
    if table is None:
        raise InputError(f"{path} is missing or no JSON; run the study anew with --force")
    return table


def _json(path: Path) -> dict[str, Any] | None:
    """A table in a file; None where there is none that could be read."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return content if isinstance(content, dict) else None
