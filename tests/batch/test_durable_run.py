"""A run that is killed, stopped or torn goes on, loses no finished patient, and ends with the hash and the tables of one in peace."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tme_abm.batch.journal import Journal
from tme_abm.batch.results import WORK

ROOT = Path(__file__).parents[2]
STUDY = """
title = "Durable"
summary = "Two arms on a small patch."
population = "icaria"
patients = {patients}
seed = 7
[marrow]
shape = [32, 32]
[trial]
compare = [["b", "a"]]
follow_up = ["3 month", "4 month"]
[record]
days = "7 d"
cells = {{ days = [0, 30], patients = 4 }}
[arms.a]
label = "Control"
doses = [{{ drug = "pomalidomide", dose = "4 mg", days = "1-21" }}]
[arms.b]
label = "Antibody"
doses = [{{ drug = "isatuximab", dose = "10 mg/kg", days = [1, 8, 15, 22] }}]
"""
PATIENTS = int(os.environ.get("TME_FAULT_PATIENTS", "6"))
ROOM = 400_000  # bytes of a file where the disk is all but full: two patients with their cells, some 175 kB each
KILLS = int(os.environ.get("TME_FAULT_KILLS", "2"))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    path = tmp_path_factory.mktemp("study") / "durable.toml"
    path.write_text(STUDY.format(patients=PATIENTS))
    return path


def command(study, out, *options):
    return [sys.executable, "-m", "tme_abm.cli", "run", str(study), "--out", str(out), *options]


def hears_signals():
    """A suite in the background ignores Ctrl-C, one under `nohup` that the terminal is gone, and so would what they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def begin(study, out, *options):
    return subprocess.Popen(
        command(study, out, *options),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hears_signals,
    )


def finish(study, out, *options):
    done = subprocess.run(command(study, out, *options), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def peace(study, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("peace") / "r"
    finish(study, folder, "--workers", "2")
    return folder


def check_same(folder, peace):
    for name in ("patients", "trajectory", "days", "cells"):
        pd.testing.assert_frame_equal(
            pd.read_parquet(folder / f"{name}.parquet"), pd.read_parquet(peace / f"{name}.parquet"), check_exact=True
        )
    found = [json.loads((path / "summary.json").read_text()) for path in (folder, peace)]
    one, other = ({k: v for k, v in summary.items() if k not in ("wall_seconds", "scenario")} for summary in found)
    assert one == other
    assert not (folder / WORK).exists()


def done_on_disk(folder):
    return set(Journal(folder / WORK / "journal"))


def wait_for(folder, number, process):
    """Wait until so many patients stand on disk."""
    while process.poll() is None and len(done_on_disk(folder)) < number:
        time.sleep(0.05)


@pytest.mark.parametrize("options", [("--workers", "2"), ("--workers", "2", "--processes")], ids=["threads", "processes"])
def test_kill_at_random_moments_loses_no_finished_patient(study, peace, tmp_path, options):
    folder, chance, before = tmp_path / "r", random.Random(11), set()
    for k in range(KILLS):
        process = begin(study, folder, *options)
        wait_for(folder, min(PATIENTS - 1, len(before) + 1 + k % 2), process)
        time.sleep(chance.random() * 0.5)
        process.kill()
        process.communicate()
        if not (folder / WORK).exists():
            break  # it had ended
        now = done_on_disk(folder)
        assert before <= now and now
        before = now
    said = finish(study, folder, *options)
    assert f"{len(before)} of {PATIENTS} patients stand on disk; going on with the others" in said
    check_same(folder, peace)


def test_a_lost_worker_of_a_cluster_costs_no_patient(study, peace, tmp_path, cluster):
    process = begin(study, tmp_path / "r", "--scheduler", cluster.address)
    wait_for(tmp_path / "r", 1, process)
    cluster.kill_worker()
    said, error = process.communicate()
    cluster.add_worker()
    assert (process.returncode, error) == (0, "")
    assert "1 worker of the cluster lost, whose work is run again; 1 worker, 1 at a time" in said
    check_same(tmp_path / "r", peace)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_answered_and_the_run_goes_on(study, peace, tmp_path, number):
    folder = tmp_path / "r"
    process = begin(study, folder, "--workers", "1")
    wait_for(folder, 1, process)
    process.send_signal(number)
    _, error = process.communicate()
    assert process.returncode == 128 + number
    first, last = error.splitlines()
    assert first == f"tme: {number.name}: stopping at the next visit"
    assert last == f"tme: stopped before the end; the same command goes on from what {folder} holds"
    assert done_on_disk(folder)
    finish(study, folder, "--resume")
    check_same(folder, peace)


def test_a_truncated_shard_costs_what_was_cut(study, peace, tmp_path):
    folder = tmp_path / "r"
    process = begin(study, folder, "--workers", "1")
    wait_for(folder, 2, process)
    process.kill()
    process.communicate()
    (shard,) = (folder / WORK / "journal").iterdir()
    shard.write_bytes(shard.read_bytes()[:-100])
    said = finish(study, folder)
    assert "1 damaged line of the journal left out; what they held is run again" in said
    check_same(folder, peace)


def test_a_full_disk_costs_no_finished_patient(study, peace, tmp_path):
    """A limit on the size of files stands for it: a shard of the journal can take no more after a few patients."""
    resource = pytest.importorskip("resource")

    def nearly_full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))

    folder = tmp_path / "r"
    call = command(study, folder, "--workers", "1")
    full = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=nearly_full)
    kept = done_on_disk(folder)
    assert full.returncode == 1 and 0 < len(kept) < PATIENTS
    assert re.fullmatch(
        r"tme: \S+\.shard: File too large; what was finished is kept: the same command goes on from what \S+ holds\n", full.stderr
    )
    assert f"{len(kept)} of {PATIENTS} patients stand on disk; going on with the others" in finish(study, folder)
    check_same(folder, peace)


def test_a_patient_whose_run_fails_is_told_and_the_others_are_whole(study, peace, tmp_path):
    folder = tmp_path / "r"
    code = (
        "import sys\n"
        "from tme_abm.trial import execution\n"
        "honest = execution.enrol\n"
        "def enrol(population, settings, seed, index):\n"
        "    assert index != 1, 'poisoned'\n"
        "    return honest(population, settings, seed, index)\n"
        "execution.enrol = enrol\n"
        "from tme_abm.cli.app import main\n"
        "sys.argv = ['tme', *sys.argv[1:]]\n"
        "main()\n"
    )
    call = [sys.executable, "-c", code, *command(study, folder)[3:]]
    ended = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 3 and "tme: 1 patient failed" in ended.stderr
    for told in (ended.stdout, (folder / "report.html").read_text(encoding="utf-8")):
        assert "AssertionError: poisoned" in told
    found, whole = (pd.read_parquet(place / "patients.parquet") for place in (folder, peace))
    assert set(found.loc[found["status"] == "failed", "patient"]) == {1}
    same = found[found["patient"] != 1].reset_index(drop=True), whole[whole["patient"] != 1].reset_index(drop=True)
    assert list(same[0]["state_hash"]) == list(same[1]["state_hash"])


def test_another_seed_is_refused_and_a_second_run_told_who_holds_the_folder(study, tmp_path):
    folder = tmp_path / "r"
    process = begin(study, folder, "--workers", "1")
    wait_for(folder, 1, process)
    second = subprocess.run(command(study, folder), cwd=ROOT, capture_output=True, text=True, check=False)
    assert second.returncode == 2 and f"is in use by process {process.pid} on " in second.stderr
    process.kill()
    process.communicate()
    other = subprocess.run(command(study, folder, "--seed", "8"), cwd=ROOT, capture_output=True, text=True, check=False)
    assert other.returncode == 2 and "holds an unfinished run with seed 7 instead of 8" in other.stderr


def test_a_reader_who_leaves_ends_no_run(study, peace, tmp_path):
    with begin(study, tmp_path / "r") as process:
        process.stdout.close()
        error = process.stderr.read()
        assert (process.wait(), error) == (0, "")
    check_same(tmp_path / "r", peace)


def test_a_study_takes_its_files_along(study, peace, tmp_path):
    """Own population and own drugs: the folder runs again when the first files are gone, and notices when they have changed."""
    import tme_abm

    package, here = Path(tme_abm.__file__).parent, tmp_path / "here"
    (here / "dr").mkdir(parents=True)
    (here / "base.toml").write_bytes((package / "patients" / "populations" / "icaria.toml").read_bytes())
    (here / "mine.toml").write_text('name = "mine"\nlabel = "Mine"\nsummary = "Mine."\ninherits = "base.toml"\n')
    drug = (package / "pharmacology" / "drugs" / "pomalidomide.toml").read_text().replace('name = "pomalidomide"', 'name = "mydrug"')
    (here / "dr" / "mydrug.toml").write_text(drug)
    text = STUDY.format(patients=1).replace('"icaria"', '"mine.toml"').replace('"pomalidomide"', '"mydrug"')
    (here / "own.toml").write_text(text + '\n[drugs]\nfolder = "dr"\n')
    finish(here / "own.toml", tmp_path / "r")
    scenario = (tmp_path / "r" / "scenario.toml").read_text()
    assert 'population = "sources/mine.toml"' in scenario and 'folder = "sources/drugs"' in scenario
    (here / "dr" / "mydrug.toml").write_text(drug + "\n# changed\n")
    changed = subprocess.run(command(here / "own.toml", tmp_path / "r"), cwd=ROOT, capture_output=True, text=True, check=False)
    assert changed.returncode == 2 and "sources.sources/drugs/mydrug.toml" in changed.stderr
    here.rename(tmp_path / "gone")
    (tmp_path / "r").rename(tmp_path / "elsewhere")
    finish(tmp_path / "elsewhere" / "scenario.toml", tmp_path / "again")
    hashes = [json.loads((tmp_path / name / "summary.json").read_text())["state_hash"] for name in ("elsewhere", "again")]
    assert hashes[0] == hashes[1]
    files = {entry["file"] for entry in json.loads((tmp_path / "again" / "run.json").read_text())["sources"]}
    assert files == {f"sources/{name}" for name in ("mine.toml", "base.toml", "drugs/mydrug.toml", "drugs/README")}
