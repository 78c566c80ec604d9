"""What counts as survived in the fault injection."""

import importlib
from types import SimpleNamespace

import pytest

faults = importlib.import_module("faults")


class Pretended(faults.Bench):
    """A bench whose study has always ended already."""

    def begin(self, folder, *options):
        return SimpleNamespace(poll=lambda: 0, communicate=lambda: ("", ""), returncode=0)

    def run(self, folder, *options):
        return SimpleNamespace(returncode=0)

    def state_hash(self, folder):
        return "peace"


@pytest.mark.parametrize(("kills", "is_well"), [(0, True), (3, False)])
def test_a_study_that_ends_before_it_was_killed_often_enough_is_no_pass(kills, is_well):
    bench = Pretended(2, 1)
    faults.killed(bench, "peace", kills)
    assert bench.rows[-1][-1] is is_well


def test_a_study_that_ends_before_the_workers_of_its_cluster_were_killed_is_no_pass(monkeypatch):
    class Cluster:
        address = "tcp://nowhere:1"

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(faults, "Loopback", lambda workers: Cluster())
    bench = Pretended(2, 1)
    faults.cluster_workers_killed(bench, "peace")
    assert bench.rows[-1][-1] is False and "0 of 3 killed" in bench.rows[-1][1]


def test_what_was_not_tried_is_no_pass(monkeypatch):
    bench = Pretended(2, 1)
    monkeypatch.setattr(faults.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=1))
    faults.full_disk(bench, "peace")
    assert bench.rows[-1][-1] is False and "not tried" in bench.rows[-1][1]
