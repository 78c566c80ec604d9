"""Folders of results: known by a marker, changed all at once, one command at a time, and nobody else's file is lost."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tme_abm.batch import results as module
from tme_abm.batch.lock import LOCK, Lock
from tme_abm.batch.results import MARKER, WORK, open_results, refuse_another, refuse_foreign, write_again, written
from tme_abm.foundation.errors import InputError

ONE, TWO = {"seed": 1, "scenario": {"dose": "10 mg"}}, {"seed": 2, "scenario": {"dose": "20 mg"}}


def make(folder, identity=ONE, files=("a.txt", "figures/b.svg"), **options):
    """A finished run."""
    with open_results(folder, identity, **options) as results:
        for name in files:
            path = results.new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} of {identity['seed']}")
        results.publish()
    return results


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file() and p.name != MARKER}


def test_a_run_leaves_its_files_and_a_marker(tmp_path):
    make(tmp_path / "r")
    assert contents(tmp_path / "r") == {"a.txt": "a.txt of 1", "figures/b.svg": "figures/b.svg of 1"}
    assert not (tmp_path / "r" / WORK).exists() and not (tmp_path / "r" / LOCK).exists()
    assert {p.name for p in written(tmp_path / "r")} == {"a.txt", "b.svg"}


def test_what_is_finished_is_known_and_another_run_is_refused(tmp_path):
    make(tmp_path / "r")
    with open_results(tmp_path / "r", ONE) as results:
        assert results.is_finished
    with pytest.raises(InputError) as refused, open_results(tmp_path / "r", TWO):
        pass
    said = f"{tmp_path / 'r'} holds a finished run with dose 10 mg instead of 20 mg, seed 1 instead of 2; begin anew with --force"
    assert str(refused.value).startswith(said)
    for folder, identity in ((tmp_path / "r", ONE), (tmp_path / "none", TWO)):
        refuse_another(folder, identity)
    with pytest.raises(InputError, match="begin anew with --force"):
        refuse_another(tmp_path / "r", TWO)


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_without_the_marker_is_never_touched(tmp_path, force):
    (tmp_path / ".git").mkdir()
    for name in ("scenario.toml", "thesis.txt", ".git/HEAD"):
        (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(InputError, match="holds something else than results, which is never replaced"):
        make(tmp_path, force=force)
    assert contents(tmp_path) == before and set(os.listdir(tmp_path)) == {".git", "scenario.toml", "thesis.txt"}
    with pytest.raises(InputError, match="is a file, not a folder"):
        refuse_foreign(tmp_path / "thesis.txt")


def test_force_replaces_only_what_was_written_and_only_at_the_end(tmp_path):
    folder = tmp_path / "r"
    make(folder, files=("a.txt", "old/c.txt"))
    (folder / ".git").mkdir()
    for name in ("thesis.txt", ".git/HEAD", "old/mine.txt"):
        (folder / name).write_text("mine")
    with pytest.raises(RuntimeError), open_results(folder, TWO, force=True) as results:
        (results.new / "a.txt").write_text("half")
        raise RuntimeError
    kept = {"thesis.txt": "mine", ".git/HEAD": "mine", "old/mine.txt": "mine"}
    stand = {name: text for name, text in contents(folder).items() if not name.startswith(WORK)}
    assert stand == {"a.txt": "a.txt of 1", "old/c.txt": "old/c.txt of 1", **kept}  # the old ones, whole
    with pytest.raises(InputError, match="holds an unfinished run with dose 20 mg instead of 10 mg"), open_results(folder, ONE):
        pass
    make(folder, TWO, ("a.txt", "b.txt"))
    assert contents(folder) == {"a.txt": "a.txt of 2", "b.txt": "b.txt of 2", **kept}


def test_what_somebody_else_laid_in_the_way_is_set_aside(tmp_path):
    folder = tmp_path / "r"
    make(folder)
    (folder / "a.txt").write_text("edited by hand")
    (folder / "new.txt").write_text("mine")
    (folder / "table").write_text("a file where a folder is to be")
    said = []
    with open_results(folder, TWO, force=True) as results:
        results.say = said.append
        (results.new / "table").mkdir()
        for name in ("a.txt", "new.txt", "table/t.csv"):
            (results.new / name).write_text(f"{name} of 2")
        results.publish()
    names = ("a.kept1.txt", "new.kept1.txt", "table.kept1")
    assert said == [f"a file of yours was in the way of the results; it is kept as {folder / name}" for name in names]
    assert {p.name for p in results.set_aside} == {"a.kept1.txt", "new.kept1.txt", "table.kept1"}
    assert contents(folder) == {
        **{"a.txt": "a.txt of 2", "new.txt": "new.txt of 2", "table/t.csv": "table/t.csv of 2"},
        **{"a.kept1.txt": "edited by hand", "new.kept1.txt": "mine", "table.kept1": "a file where a folder is to be"},
    }


@pytest.mark.parametrize("change", ["edited", "surplus", "added", "gone"])
@pytest.mark.parametrize("dies", [False, True])
def test_a_table_in_parts_of_which_one_is_not_ours_is_set_aside_whole(tmp_path, monkeypatch, change, dies):
    """Whoever reads it takes every file of the folder: two runs must not mix. Also where the process dies in the midst of the change."""
    folder, table = tmp_path / "r", "t.parquet"
    make(folder, files=[f"{table}/part-{i}.parquet" for i in range(3)])
    edited = {"edited": "part-1.parquet", "surplus": "part-2.parquet", "added": "mine.parquet", "gone": "part-0.parquet"}[change]
    (folder / table / edited).write_text("by hand")
    before = {path.name: path.read_text() for path in (folder / table).iterdir()}
    new = ["a.txt"] if change == "gone" else [f"{table}/part-0.parquet", f"{table}/part-1.parquet"]
    with monkeypatch.context() as patch, open_results(folder, TWO, force=True) as results:
        for name in new:
            (results.new / name).parent.mkdir(exist_ok=True)
            (results.new / name).write_text(f"{name} of 2")
        if dies:
            patch.setattr(module, "_move", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                results.publish()
        else:
            results.publish()
            said = "a table with a file of yours in it, or with an edited one, was in the way of the results; it is kept as "
            assert [module.aside_in_words(path) for path in results.set_aside] == [f"{said}{folder / 't.kept1.parquet'}"]
    with open_results(folder, TWO) as results:
        assert results.is_finished
    kept = {f"t.kept1.parquet/{name}": text for name, text in before.items()}
    assert contents(folder) == {name: f"{name} of 2" for name in new} | kept


def test_a_part_that_was_edited_after_a_crash_takes_no_new_part_with_it(tmp_path, monkeypatch):
    folder = tmp_path / "r"
    names = [f"t.parquet/part-{i}.parquet" for i in range(2)]
    make(folder, files=names)
    honest = os.replace

    def replace(source, target):
        if str(target) == str(folder / names[1]):
            raise ZeroDivisionError
        honest(source, target)

    with monkeypatch.context() as patch, open_results(folder, TWO, force=True) as results:
        (results.new / "t.parquet").mkdir()
        for name in names:
            (results.new / name).write_text(f"{name} of 2")
        patch.setattr(module.os, "replace", replace)
        with pytest.raises(ZeroDivisionError):
            results.publish()
    assert contents(folder)[names[0]] == f"{names[0]} of 2"
    (folder / names[1]).write_text("by hand")
    with open_results(folder, TWO) as results:
        assert results.is_finished
    assert contents(folder) == {name: f"{name} of 2" for name in names} | {"t.kept1.parquet/part-1.parquet": "by hand"}


def test_a_link_leads_nobody_out_of_the_folder(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "b.svg").write_text("mine")
    make(tmp_path / "r", files=("a.txt",))
    (tmp_path / "r" / "figures").symlink_to(tmp_path / "home")
    make(tmp_path / "r", TWO, force=True)
    assert (tmp_path / "home" / "b.svg").read_text() == "mine"
    assert contents(tmp_path / "r")["figures/b.svg"] == "figures/b.svg of 2"


@pytest.mark.parametrize("died_after", range(6))
def test_a_crash_in_the_midst_of_the_change_is_mended(tmp_path, monkeypatch, died_after):
    """The process dies before any one of the moves: the next to open the folder carries them through."""
    folder = tmp_path / "r"
    make(folder, files=("a.txt", "b.txt", "gone.txt"))
    moves = []

    class Died(BaseException):
        pass

    def dying(honest, is_of_interest):
        def call(*arguments, **options):
            if is_of_interest(*map(str, arguments)):
                moves.append(1)
                if len(moves) > died_after:
                    raise Died
            return honest(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        try:
            with open_results(folder, TWO, force=True) as results:
                for name in ("a.txt", "b.txt", "c.txt"):
                    (results.new / name).write_text(f"{name} of 2")
                patch.setattr(module.os, "replace", dying(os.replace, lambda old, new: f"{WORK}/new" in old or MARKER in new))
                patch.setattr(Path, "unlink", dying(Path.unlink, lambda path: "gone.txt" in path))
                patch.setattr(module.shutil, "rmtree", dying(module.shutil.rmtree, lambda path: True))
                results.publish()
        except Died:
            pass
    assert len(moves) == died_after + 1
    with open_results(folder, TWO) as results:
        assert results.is_finished
    assert contents(folder) == {name: f"{name} of 2" for name in ("a.txt", "b.txt", "c.txt")}


def test_a_crash_while_a_finished_run_is_cleared_up_costs_nothing(tmp_path, monkeypatch):
    """The process dies after each of the files and folders that are removed at the very end: the run is finished all the same."""

    class Died(BaseException):
        pass

    has_died, removed = True, 0
    while has_died:
        folder, left, has_died = tmp_path / f"r{removed}", removed, False

        def dying(honest):
            def last_breath(path, *arguments, **options):
                nonlocal left
                if LOCK in str(path):
                    return honest(path, *arguments, **options)
                if left == 0:
                    raise Died
                left -= 1
                return honest(path, *arguments, **options)

            return last_breath

        with monkeypatch.context() as patch:
            try:
                with open_results(folder, ONE) as results:
                    (results.new / "figures").mkdir()
                    for name in ("a.txt", "figures/b.svg"):
                        (results.new / name).write_text(name)
                    results.journal.add("0", {"x": 1})
                    for function in ("unlink", "rmdir"):
                        patch.setattr(module.os, function, dying(getattr(os, function)))
                    results.publish()
            except Died:
                has_died = True
        with open_results(folder, ONE) as results:
            assert results.is_finished, removed
        assert contents(folder) == {"a.txt": "a.txt", "figures/b.svg": "figures/b.svg"} and not (folder / WORK).exists()
        removed += 1
    assert removed > 6  # identity, shard, journal, figures, new, commit, work


def test_a_run_goes_on_from_its_journal_and_resume_asks_for_it(tmp_path):
    folder = tmp_path / "r"
    with pytest.raises(InputError, match="no folder"), open_results(folder, ONE, resume=True):
        pass
    assert not folder.exists()
    with open_results(folder, ONE) as results:
        results.journal.add("0", {"x": 1})
    with pytest.raises(InputError, match="an unfinished run with dose 10 mg instead of 20 mg"), open_results(folder, TWO):
        pass
    with open_results(folder, ONE, resume=True) as results:
        assert results.resumed == 1 and results.journal.read("0") == {"x": 1}
    with open_results(folder, ONE, force=True) as results:
        assert results.resumed == 0
        results.publish()
    with pytest.raises(InputError, match="a finished run with"), open_results(folder, TWO, resume=True):
        pass


@pytest.mark.parametrize("place", ["r", "results/of/r"])
def test_a_run_that_is_refused_before_anything_was_done_leaves_nothing(tmp_path, place):
    folder = tmp_path / place
    with pytest.raises(InputError, match="too few"), open_results(folder, ONE) as results:
        (results.new / "a.txt").write_text("begun")
        raise InputError("too few")
    assert not list(tmp_path.iterdir())
    make(folder)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for force in (False, True):
        with pytest.raises(InputError), open_results(folder, ONE if force else TWO, force=force):
            raise InputError("too few")
        assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before and not (folder / WORK).exists()


def test_a_run_of_which_something_was_done_is_kept_when_it_is_refused(tmp_path):
    with pytest.raises(InputError, match="too few"), open_results(tmp_path / "r", ONE) as results:
        results.journal.add("0", {"x": 1})
        raise InputError("too few")
    with open_results(tmp_path / "outer", ONE), pytest.raises(InputError):
        make(tmp_path / "outer" / "set-001")
        with open_results(tmp_path / "outer" / "set-002", ONE):
            raise InputError("too few")
    assert sorted(p.name for p in (tmp_path / "outer").iterdir()) == [MARKER, WORK, "set-001"]
    with pytest.raises(InputError), open_results(tmp_path / "outer" / "set-003", ONE):
        make(tmp_path / "outer" / "set-003" / "inside")
        raise InputError("too few")
    make(tmp_path / "again")
    with pytest.raises(InputError), open_results(tmp_path / "again", ONE, force=True):  # what stands there is of the run before
        make(tmp_path / "again" / "set-001")
        raise InputError("too few")
    with open_results(tmp_path / "again", ONE, resume=True) as results:
        assert not results.is_finished
    for folder in (tmp_path / "r", tmp_path / "outer" / "set-003"):  # what is done stays, and so does what says whose it is
        refuse_foreign(folder)
        assert (folder / WORK / "identity.json").is_file()


def test_files_that_have_gone_to_their_places_leave_no_empty_folders(tmp_path):
    with open_results(tmp_path / "r", ONE) as results:
        (results.new / "t.parquet").mkdir()
        (results.new / "t.parquet" / "part-00000.parquet").write_text("1")
        results.publish(is_final=False)
        assert not list(results.new.iterdir())
    assert (tmp_path / "r" / "t.parquet" / "part-00000.parquet").is_file()


def test_a_folder_in_the_place_of_a_shard_is_refused_before_anything_goes(tmp_path):
    with open_results(tmp_path / "r", ONE) as results:
        results.journal.add("0", {"x": 1})
        (results.new / "t.parquet").mkdir()
        (results.new / "t.parquet" / "part-00000.parquet").write_text("1")
    shard = tmp_path / "r" / WORK / "journal" / "00001.shard"
    shard.unlink()
    shard.mkdir()
    with pytest.raises(InputError, match=r"00001.shard is a folder where a file of the journal belongs"), open_results(tmp_path / "r", ONE):
        pass
    assert (tmp_path / "r" / WORK / "new" / "t.parquet" / "part-00000.parquet").is_file()


@pytest.mark.parametrize("damage", ["", '{"seed": 1', None])
def test_work_whose_identity_cannot_be_read_is_kept_until_force(tmp_path, damage):
    folder = tmp_path / "r"
    with open_results(folder, ONE) as results:
        results.journal.add("0", {"x": 1})
    identity = folder / WORK / "identity.json"
    honest = identity.read_text()
    identity.unlink() if damage is None else identity.write_text(damage)
    for options in ({}, {"resume": True}):
        with pytest.raises(InputError, match=r"identity\.json, which says of what, cannot be read"), open_results(folder, ONE, **options):
            pass
    identity.write_text(honest)
    with open_results(folder, ONE) as results:
        assert results.journal.read("0") == {"x": 1}
    identity.write_text("")
    with open_results(folder, ONE, force=True) as results:
        assert results.resumed == 0


def test_attachments_are_published_with_their_digests(tmp_path):
    with open_results(tmp_path / "r", ONE) as results:
        results.attach("sources/drugs/mine.toml", b"x = 1\n")
        (entry,) = results.sources()
        results.publish()
    assert entry["file"] == "sources/drugs/mine.toml" and len(entry["sha256"]) == 64
    assert (tmp_path / "r" / "sources" / "drugs" / "mine.toml").read_bytes() == b"x = 1\n"


def test_a_later_format_is_refused(tmp_path):
    make(tmp_path / "r")
    marker = json.loads((tmp_path / "r" / MARKER).read_text())
    (tmp_path / "r" / MARKER).write_text(json.dumps({**marker, "format": 99}))
    with pytest.raises(InputError, match="written by a later version of tme"):
        make(tmp_path / "r", force=True)


def test_a_report_that_is_written_again_stays_replaceable(tmp_path):
    folder = tmp_path / "r"
    make(folder)
    (folder / "figures" / "thesis.pdf").write_text("mine")
    assert not write_again(folder, lambda to: (to / "a.txt").write_text("written again"))
    assert {p.name for p in written(folder)} == {"a.txt", "b.svg"}
    assert not make(folder, TWO, force=True).set_aside
    assert contents(folder) == {"a.txt": "a.txt of 2", "figures/b.svg": "figures/b.svg of 2", "figures/thesis.pdf": "mine"}


def test_what_was_edited_is_set_aside_when_it_is_written_again(tmp_path):
    folder = tmp_path / "r"
    make(folder)
    (folder / "a.txt").write_text("edited by hand")
    (aside,) = write_again(folder, lambda to: (to / "a.txt").write_text("written again"))
    assert (aside.name, aside.read_text()) == ("a.kept1.txt", "edited by hand")
    assert (folder / "a.txt").read_text() == "written again" and set(os.listdir(folder)) == {MARKER, "a.txt", aside.name, "figures"}


# ---- one at a time ---------------------------------------------------------------------------------------------------

HOLD = """
import sys, time
from pathlib import Path
from tme_abm.batch.lock import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_command_is_told_who_holds_the_folder(tmp_path, holder):
    with pytest.raises(InputError, match=rf"is in use by process {holder.pid} on .*, since \d\d\d\d-.* UTC; wait for its end"):
        Lock(tmp_path)


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (tmp_path / LOCK).exists()
    lock = Lock(tmp_path)
    assert f"process {holder.pid} on" in lock.took_over
    lock.release()
    assert not (tmp_path / LOCK).exists()
    assert Lock(tmp_path).took_over == ""


def compete(folder, barrier, queue):
    barrier.wait()
    try:
        Lock(Path(folder))
        queue.put(True)
        time.sleep(1.0)
    except InputError:
        queue.put(False)


def test_of_many_only_one_gets_a_stale_lock(tmp_path):
    (tmp_path / LOCK).write_text('{"pid": 999999, "host": "elsewhere", "started": "once"}')
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(8), context.Queue()
    processes = [context.Process(target=compete, args=(str(tmp_path), barrier, queue)) for _ in range(8)]
    for process in processes:
        process.start()
    assert sorted(queue.get() for _ in processes) == [False] * 7 + [True]
    for process in processes:
        process.join()
