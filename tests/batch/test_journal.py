"""The journal: what was added is there, whatever was torn; floats come back to the last bit."""

import json
import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tme_abm.batch import journal as module
from tme_abm.batch.journal import Journal

TEXT = "Müller\t[x]\n"
RECORDS = {str(i): {"x": i / 7, "name": TEXT, "none": None, "nan": math.nan, "n": np.int64(i), "yes": np.bool_(True)} for i in range(9)}


@pytest.fixture
def folder(tmp_path):
    """A journal of nine records."""
    journal = Journal(tmp_path / "journal")
    for key, record in RECORDS.items():
        journal.add(key, record)
    journal.close()
    return tmp_path / "journal"


def test_what_was_added_is_there_in_any_order(folder):
    journal = Journal(folder)
    assert len(journal) == 9 and list(journal) == list(RECORDS) and journal.damaged == 0
    found = list(journal.read_all(["8", "0", "3"]))
    assert [record["n"] for record in found] == [8, 0, 3]
    assert found[2]["x"] == 3 / 7 and found[0]["name"] == TEXT and found[0]["yes"] is True and math.isnan(found[0]["nan"])


@given(st.floats(allow_nan=False))
def test_a_float_comes_back_to_the_last_bit(value):
    assert json.loads(json.dumps({"x": value}, default=module.plain))["x"].hex() == value.hex()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_end_costs_one_record(folder, cut):
    (shard,) = folder.iterdir()
    shard.write_bytes(shard.read_bytes()[:-cut])
    journal = Journal(folder)
    assert list(journal) == list(RECORDS)[:-1] and journal.damaged == 1
    journal.add("8", RECORDS["8"])
    journal.add("9", {"x": 1})
    journal.close()
    again = Journal(folder)
    assert len(again) == 10 and again.damaged == 1 and again.read("8")["n"] == 8


def test_a_wrong_byte_costs_its_record_only(folder):
    (shard,) = folder.iterdir()
    content = bytearray(shard.read_bytes())
    lines = shard.read_bytes().splitlines(keepends=True)
    content[sum(map(len, lines[:4])) + 30] ^= 1
    shard.write_bytes(bytes(content))
    journal = Journal(folder)
    assert set(RECORDS) - set(journal) == {"4"} and journal.damaged == 1


def test_the_last_record_of_a_key_counts(folder):
    journal = Journal(folder)
    journal.add("3", {"n": 33})
    assert journal.read("3") == Journal(folder).read("3") == {"n": 33}
    assert len(journal) == 9


def test_shards_are_of_limited_size(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_BYTES", 200)
    journal = Journal(tmp_path)
    for key, record in RECORDS.items():
        journal.add(key, record)
    assert len(list(tmp_path.iterdir())) > 3
    assert [record["n"] for record in Journal(tmp_path).read_all(RECORDS)] == list(range(9))


def test_a_disk_that_is_full_for_a_while_costs_nothing_that_was_added(folder, monkeypatch):
    journal = Journal(folder)
    honest = module.os.fsync

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        journal.add("9", {"x": 1})
    assert caught.value.filename.endswith(".shard") and "9" not in journal
    monkeypatch.setattr(module.os, "fsync", honest)
    journal.add("9", {"x": 2})
    assert Journal(folder).read("9") == {"x": 2}


def test_threads_may_add_at_once(tmp_path):
    journal = Journal(tmp_path)

    def add(first):
        for i in range(first, first + 50):
            journal.add(str(i), {"i": i})

    threads = [threading.Thread(target=add, args=(50 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = Journal(tmp_path)
    assert again.damaged == 0 and sorted(record["i"] for record in again.read_all(again)) == list(range(200))
