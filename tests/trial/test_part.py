"""Parts of a trial: dealt out evenly, run apart, and merged into what one run gives; parts that do not fit are refused."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tme_abm
from tme_abm.batch.journal import Journal
from tme_abm.batch.results import WORK
from tme_abm.cli.app import app
from tme_abm.foundation.errors import InputError
from tme_abm.trial.part import JOURNAL, PART_FILE, Part, make_part
from tme_abm.trial.provenance import code_versions

SMALL = ["marrow.shape=[32, 32]", 'trial.follow_up=["2 month", "3 month"]']


@pytest.fixture(scope="module")
def study():
    return tme_abm.load_trial("icaria", SMALL, patients=5, seed=7)


@pytest.fixture(scope="module")
def whole(study, tmp_path_factory):
    """A run in one piece."""
    return tme_abm.run(study, tmp_path_factory.mktemp("whole") / "r", 2)


@pytest.fixture(scope="module")
def parts(study, tmp_path_factory):
    """The two parts of the same trial."""
    folder = tmp_path_factory.mktemp("parts")
    for number in (1, 2):
        tme_abm.run_part(study, (number, 2), folder / str(number), 2)
    return [folder / "1", folder / "2"]


@pytest.mark.parametrize(("patients", "of"), [(307, 16), (5, 2), (7, 7), (1, 1)])
def test_each_patient_is_in_one_part_and_parts_differ_by_one_at_most(patients, of):
    dealt = [list(Part(k, of).patients(patients)) for k in range(1, of + 1)]
    assert sorted(index for own in dealt for index in own) == list(range(patients))
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


@pytest.mark.parametrize("given", ["0/3", "4/3", "3", "a/b", "1/2/3", "-1/3", "1.0/3", (0, 3), (4, 3), (1,), (1.0, 3), ""])
def test_what_is_no_part_is_refused(given):
    with pytest.raises(InputError, match=r"^part .*: write K/N, such as 3/16, with K from 1 to N$"):
        make_part(given, 100)


def test_more_parts_than_patients_are_refused(study):
    assert make_part(" 2 / 5", 5) == make_part((2, 5), 5) == Part(2, 5)
    with pytest.raises(InputError, match=r"^part 1/6: the trial has 5 patients, so 6 parts would leave some empty$"):
        tme_abm.run_part(study, "1/6", "nowhere")
    assert not Path("nowhere").exists()


def test_an_experiment_of_the_laboratory_has_no_parts(tmp_path):
    lab = next(name for name, text in scenarios() if 'kind = "assay"' in text)
    with pytest.raises(InputError, match=rf"'{lab}' is an experiment of the laboratory; only trials are run in parts"):
        tme_abm.run_part(lab, "1/2", tmp_path / "r")


def scenarios():
    from tme_abm.scenario.reading import scenarios

    return [(name, path.read_text(encoding="utf-8")) for name, path in scenarios().items()]


def test_merged_parts_are_what_one_run_gives(whole, parts, tmp_path):
    before = {path: path.read_bytes() for part in parts for path in part.rglob("*") if path.is_file()}
    merged = tme_abm.merge(parts[::-1], tmp_path / "r")
    parts_of_table = [path.relative_to(whole.folder) for path in (whole.folder / "trajectory.parquet").iterdir()]
    for name in ("patients.parquet", *parts_of_table, "scenario.toml", "report.html"):
        assert (merged.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    assert parts_of_table
    one, other = ({k: v for k, v in dict(result).items() if k != "wall_seconds"} for result in (merged, whole))
    assert one == other and merged.title == whole.title
    assert {path: path.read_bytes() for part in parts for path in part.rglob("*") if path.is_file()} == before
    names = {path.name for path in merged.folder.iterdir()} ^ {path.name for path in whole.folder.iterdir()}
    assert not names
    assert tme_abm.merge(parts, tmp_path / "r") == merged  # which is finished


def test_a_part_holds_its_own_patients_and_is_not_run_again(study, parts):
    told = json.loads((parts[1] / PART_FILE).read_text())
    assert (told["part"], told["patients"], told["failed"], told["scenario"]) == ("2/2", 2, 0, "icaria")
    assert set(Journal(parts[1] / JOURNAL)) == {"1", "3"}
    assert tme_abm.run_part(study, "2/2", parts[1]) == told
    with pytest.raises(InputError, match=r"holds a finished run with part 2/2 instead of 1/2"):
        tme_abm.run_part(study, "1/2", parts[1])


def test_a_part_is_no_whole_trial(parts):
    message = r"2 holds part 2/2 of a trial, which has no tables; `tme merge` puts the parts together"
    with pytest.raises(InputError, match=message):
        tme_abm.load_results(parts[1])
    for command in (["report"], ["export", "--to", "csv"]):
        told = CliRunner().invoke(app, [command[0], str(parts[1]), *command[1:]])
        assert told.exit_code == 2 and re.search(message, told.stderr), command


@pytest.fixture
def changed(parts, tmp_path):
    """Copies of the parts, whose part.json a test may change."""

    def change(number, **content):
        path = tmp_path / str(number) / PART_FILE
        told = json.loads(path.read_text())
        identity = told["identity"] | content.pop("identity", {})
        path.write_text(json.dumps(told | {"identity": identity} | content))
        return own

    own = [Path(shutil.copytree(part, tmp_path / part.name)) for part in parts]
    return change


@pytest.mark.parametrize(
    ("number", "content", "message"),
    [
        (2, {"identity": {"seed": 8}}, r"2 \(part 2/2\) does not fit \S+1 \(part 1/2\): seed 8 instead of 7"),
        (2, {"identity": {"model": "abc"}}, r"does not fit .*: model abc instead of \w{12}"),
        (2, {"identity": {"version": "9"}}, r"does not fit .*: version 9 instead of"),
        (2, {"identity": {"size": "6 patients, 2 arms"}}, r"does not fit .*: size 6 patients, 2 arms instead of 5 patients, 2 arms"),
        (2, {"identity": {"mechanisms": [1]}}, r"does not fit .*: mechanisms \[1\] instead of nothing"),
        (2, {"code": {**code_versions(), "numba": "9"}}, r"2 \(part 2/2\) does not fit \S+1 \(part 1/2\): numba 9 instead of \d"),
        (2, {"part": "1/2"}, r"part 1/2 is there twice: \S+1 and \S+2"),
        (2, {"part": "2/3"}, r"\S+2 is part 2/3, but \S+1 is part 1/2"),
    ],
)
def test_parts_that_do_not_fit_are_told_by_name(changed, tmp_path, number, content, message):
    with pytest.raises(InputError, match=message):
        tme_abm.merge(changed(number, **content), tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_parts_of_another_model_are_merged_by_nobody_else(changed, tmp_path):
    changed(1, identity={"model": "abc"})
    with pytest.raises(
        InputError, match=r"the parts were run with model abc instead of \w{12} here; merge them with what they were run with"
    ):
        tme_abm.merge(changed(2, identity={"model": "abc"}), tmp_path / "r")


def test_a_part_that_is_missing_or_unfinished_or_none_is_named(parts, changed, tmp_path):
    with pytest.raises(InputError, match=r"^part 2/2 is missing$"):
        tme_abm.merge(parts[:1], tmp_path / "r")
    first, second = changed(1)
    with pytest.raises(InputError, match=r"there is no folder '.*3'"):
        tme_abm.merge([first, tmp_path / "3"], tmp_path / "r")
    (tmp_path / "4").mkdir()
    with pytest.raises(InputError, match=r"4 holds no part of a trial; `tme run --part K/N` makes one"):
        tme_abm.merge([first, tmp_path / "4"], tmp_path / "r")
    with pytest.raises(InputError, match=r"1 holds part 1/2; choose another folder with --out"):
        tme_abm.merge([first, second], first, force=True)
    (second / WORK).mkdir()
    (second / WORK / "identity.json").write_text('{"part": "2/2"}')
    with pytest.raises(InputError, match=r"2 holds part 2/2 that is not finished; the same command goes on with it"):
        tme_abm.merge([first, second], tmp_path / "r")


def test_a_damaged_part_is_named(changed, tmp_path):
    first, second = changed(1)
    (shard,) = (second / JOURNAL).iterdir()
    lines = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(lines[0] + lines[1][:-50])
    with pytest.raises(
        InputError, match=r"2 \(part 2/2\) has lost 1 patient since it was finished, the first number [13]; run the part again"
    ):
        tme_abm.merge([first, second], tmp_path / "r")
    assert not (tmp_path / "r").exists()  # nothing was begun


@pytest.mark.parametrize(
    ("content", "entry"),
    [
        ({"part": "two of two"}, "part"),
        ({"part": "3/2"}, "part"),
        ({"part": None}, "part"),
        ({"scenario": 7}, "scenario"),
        ({"failed": "none"}, "failed"),
        ({"wall_seconds": None}, "wall_seconds"),
        ({"code": "x"}, "code"),
    ],
)
def test_a_part_whose_own_words_are_damaged_is_named(changed, tmp_path, content, entry):
    with pytest.raises(InputError, match=rf"part\.json: the entry '{entry}' is damaged; run the part again with --force"):
        tme_abm.merge(changed(1, **content), tmp_path / "r")
    told = CliRunner().invoke(app, ["merge", str(tmp_path / "1"), str(tmp_path / "2")])
    assert told.exit_code == 2 and told.stderr.count("\n") == 1


def test_a_patient_whose_second_run_was_damaged_is_not_merged_as_failed(changed, tmp_path):
    """Her first run failed and stands in the journal too."""
    first, second = changed(1)
    (shard,) = (second / JOURNAL).iterdir()
    lines = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(lines[0])
    key = next(key for key in ("1", "3") if key not in Journal(second / JOURNAL))
    journal = Journal(second / JOURNAL)
    journal.add(f"failed-{key}", {"patients": []})
    journal.close()
    message = r"2 \(part 2/2\) has 1 failed patient instead of 0 when it was finished; its journal was damaged: run the part again"
    with pytest.raises(InputError, match=message):
        tme_abm.merge([first, second], tmp_path / "r")


def test_the_command_runs_a_part_and_merges(study, whole, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tme_abm.trial.report.write_report", lambda *_: None)
    sets = [word for text in SMALL for word in ("--set", text)]
    ran = CliRunner().invoke(app, ["run", "icaria", *sets, "--patients", "5", "--seed", "7", "--part", "2/2", "--workers", "2"])
    assert ran.exit_code == 0, ran.output
    assert "5 patients, 2 arms, seed 7, part 2/2 of it" in ran.output
    assert "part 2/2: 2 patients; `tme merge` puts all 2 parts together" in ran.output
    merged = CliRunner().invoke(app, ["merge", "results/icaria-part-2-of-2", str(parts[0])])
    assert merged.exit_code == 0, merged.output
    assert "hazard ratio" in merged.output and "results/icaria/summary.json" in merged.output
    assert json.loads(Path("results/icaria/summary.json").read_text())["state_hash"] == whole["state_hash"]
    alone = CliRunner().invoke(app, ["merge", str(parts[0])])
    assert (alone.exit_code, alone.stderr) == (2, "tme: part 2/2 is missing\n")


def test_the_job_script_of_the_page_asks_for_a_part(tmp_path):
    page = Path(__file__).parents[2] / "docs" / "cluster.md"
    script = next(text for text in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL) if text.startswith("#!"))
    (tmp_path / "tme").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "tme").chmod(0o755)
    set_by_slurm = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_CPUS_PER_TASK": "4", "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    ran = subprocess.run(["bash", "-c", script], env={**os.environ, **set_by_slurm}, capture_output=True, text=True, check=True)
    words = ran.stdout.split()
    assert words[:2] == ["run", "icaria"] and words[words.index("--out") + 1] == "results/part-3"
    part = make_part(words[words.index("--part") + 1], int(words[words.index("--patients") + 1]))
    assert f"#SBATCH --array=1-{part.of}\n" in script and part.number == 3
    assert words[words.index("--workers") + 1] == "4"
