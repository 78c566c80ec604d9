"""What benchmarks write, and the tables that are made of it."""

import argparse
import importlib
import json
import subprocess
import sys

import numpy as np
import pytest

machine = importlib.import_module("machine")
tables = importlib.import_module("tables")
against = importlib.import_module("against")
trees = importlib.import_module("trees")


def test_record_has_the_stated_keys(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "field.json"
    monkeypatch.setattr("sys.argv", ["/somewhere/bench_field.py", "--sizes", "64", "--json", str(path), "--rounds", "3"])
    machine.write(path, "field", {"solves": [{"side": np.int64(64), "us": np.float32(1.5)}]}, rounds=3)
    record = json.loads(path.read_text())
    assert list(record) == ["benchmark", "command", "date", "machine", "rounds", "solves"]
    assert record["command"] == "python benchmarks/bench_field.py --sizes 64 --rounds 3"
    assert record["solves"] == [{"side": 64, "us": 1.5}]
    assert {"processor", "cores", "system", "python", "numpy", "numba"} <= set(record["machine"])


def test_nothing_is_written_unasked(tmp_path):
    parser = argparse.ArgumentParser()
    machine.add_json(parser)
    machine.write(parser.parse_args([]).json, "field", {})
    assert list(tmp_path.iterdir()) == []


def test_median_and_quartiles_by_hand():
    assert machine.spread([5.0, 1.0, 2.0, 4.0, 3.0]) == (3.0, 2.0, 4.0)
    assert machine.ratio([2.0, 6.0, 20.0], [1.0, 2.0, 4.0]) == (3.0, 2.5, 4.0)


def test_every_contestant_runs_in_every_round():
    calls = []
    taken = machine.measure({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=4)
    assert {name: len(seconds) for name, seconds in taken.items()} == {"a": 4, "b": 4}
    assert min(calls.count("a"), calls.count("b")) >= 4 + 2


def record(**lists):
    about = {"processor": "a processor", "cores": "2", "python": "3.11", "numpy": "2.0", "numba": "0.61"}
    return {"benchmark": "x", "command": "python benchmarks/bench_x.py", "date": "2026-01-01", "machine": about, **lists}


def test_a_table_is_drawn_from_results(tmp_path):
    row = {"what": "tme --help", "wall_s": 0.25, "cpu_s": 0.2, "cpu_low": 0.19, "cpu_high": 0.21}
    (tmp_path / "start.json").write_text(json.dumps(record(times=[row], cache=[])))
    page = tables.fill("before\n<!-- table: start -->\nold\n<!-- end -->\nafter\n", tmp_path)
    assert "| tme --help | 0.25 | 0.20 (0.19 to 0.21) |" in page
    assert "`python benchmarks/bench_x.py`, 2026-01-01; a processor, cores 2; python 3.11, numpy 2.0, numba 0.61" in page
    assert "old" not in page and page.startswith("before\n") and page.endswith("after\n")
    assert tables.fill(page, tmp_path) == page


def test_a_table_without_results_stays(tmp_path):
    page = "<!-- table: peers -->\nold\n<!-- end -->\n"
    assert tables.fill(page, tmp_path) == page


def test_a_page_without_a_browser_does_not_pass_for_an_older_one(tmp_path, monkeypatch, capsys):
    page = importlib.import_module("bench_page")
    path = tmp_path / "page.json"
    row = {"patch": "64 x 64", "frames_per_s": 31.0, "slowest": 30.0, "fastest": 32.0}
    path.write_text(json.dumps(record(frames=[row], memory=[], **{"class": []})))
    text = tables.fill("<!-- table: frames -->\n<!-- end -->\n", tmp_path)
    assert "| 64 x 64 | 31.0 | 30.0 | 32.0 |" in text
    monkeypatch.setattr(page, "missing", lambda: "no browser found")
    monkeypatch.setattr("sys.argv", ["bench_page.py", "--json", str(path)])
    page.main()
    assert capsys.readouterr().out == "left out: no browser found\n"
    after = tables.fill(text, tmp_path)
    assert "Left out: no browser found" in after and "64 x 64" not in after
    assert tables.fill(after, tmp_path) == after


def test_an_unknown_table_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="no table is called 'speed'"):
        tables.fill("<!-- table: speed -->\n<!-- end -->\n", tmp_path)


@pytest.mark.parametrize(
    ("value", "text"), [(12345.6, "12,346"), (45.67, "45.7"), (1.234, "1.23"), (None, "-"), (float("nan"), "-"), ("x", "x")]
)
def test_numbers_have_three_digits(value, text):
    assert tables.number(value) == text


def test_the_page_shows_only_tables_that_exist():
    page = (tables.HERE / "README.md").read_text(encoding="utf-8")
    names = [match["name"] for match in tables.BLOCK.finditer(page)]
    assert names and set(names) <= set(tables.TABLES)
    assert page.count("<!-- table:") == len(names)


def test_all_benchmarks_are_run_and_stand_alone():
    """Every benchmark in the list of `run_all` is a script that takes --json, and its tables name keys that it writes."""
    cases = importlib.import_module("run_all").CASES
    for name in cases:
        text = (tables.HERE / f"bench_{name}.py").read_text(encoding="utf-8")
        assert "--json" in text, name
        for table in tables.TABLES.values():
            if table.benchmark == name:
                for column in table.columns:
                    if isinstance(column.key, str):
                        assert f'"{column.key}"' in text, f"{name}: {column.key}"


def test_peers_write_the_keys_that_tables_show(tmp_path):
    peers = importlib.import_module("bench_peers")
    raced = peers.race({}, 400, 2)
    assert [row["variant"] for row in raced] == ["tme_abm"]
    agreed = peers.agreement({"numpy": importlib.import_module("tme7_numpy").Vectorised}, 5)
    shown = record(race=raced, agreement=agreed, work=[{"variant": "tme_abm", "turns": "one at a time"}])
    for name in ("peers", "agreement", "turns"):
        assert tables.draw(tables.TABLES[name], shown).count("\n") > 4


def test_bytes_of_a_marrow_are_counted_once():
    memory = importlib.import_module("bench_memory")
    marrow = memory.example(64)
    counted = memory.bytes_by_bundle(marrow)
    cells = marrow.marrow.cells
    assert counted["cells"] == sum(column.nbytes for column in cells)
    assert memory.bytes_per_site(marrow) == pytest.approx(sum(counted.values()) / 64**2)
    shared = marrow.marrow._replace(roster=cells)  # the same memory twice
    marrow.marrow = shared
    assert memory.bytes_by_bundle(marrow)["roster"] == 0


def test_a_marrow_keeps_within_its_memory():
    memory = importlib.import_module("bench_memory")
    assert memory.bytes_per_site(memory.example(128)) < memory.MOST_BYTES


def test_two_commits_take_turns_and_who_begins_changes():
    calls = []

    def contestant(name, value):
        def run():
            calls.append(name)
            return value

        return run

    there, here = against.in_turn(3, (contestant("there", 2.0), contestant("here", 1.0)))
    assert calls == ["there", "here", "here", "there", "there", "here"]
    assert (there, here) == ([2.0] * 3, [1.0] * 3)


def test_a_ratio_is_here_divided_by_there_round_by_round(capsys):
    row = against.row("a step", "us", [10.0, 20.0, 40.0], [5.0, 20.0, 10.0])
    assert (row["there"], row["here"]) == (20.0, 10.0)
    assert (row["times_low"], row["times_median"], row["times_high"]) == (0.375, 0.5, 0.75)
    shown = tables.draw(tables.TABLES["against"], record(ratios=[row]))
    assert "| a step | us | 20.0 | 10.0 | 0.50 (0.38 to 0.75) | 3 |" in shown


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a commit `old`, and a change and a file of which git knows nothing yet."""
    top = tmp_path / "repository"
    top.mkdir()

    def git(*arguments):
        who = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
        subprocess.run(["git", "-C", str(top), *who, *arguments], check=True, capture_output=True)

    git("init", "--quiet")
    (top / "a.py").write_text("old")
    (top / ".gitignore").write_text("left_out\n")
    git("add", "-A")
    git("commit", "--quiet", "-m", "first")
    git("tag", "old")
    (top / "a.py").write_text("new")
    (top / "b.py").write_text("new too")
    (top / "left_out").write_text("not ours")
    monkeypatch.setattr(trees, "TOP", top)
    return top


def test_another_commit_stands_beside_as_it_was(repository, tmp_path):
    other, here = trees.pair("old", tmp_path / "beside")
    assert sorted(path.name for path in other.root.iterdir()) == [".gitignore", "a.py"]
    assert (other.root / "a.py").read_text() == "old"
    assert {path.name: path.read_text() for path in here.root.glob("*.py")} == {"a.py": "new", "b.py": "new too"}
    assert not (here.root / "left_out").exists()
    assert other.cache != here.cache
    assert other.environment()["PYTHONPATH"].startswith(str(other.root))
    listed = subprocess.run(["git", "-C", str(repository), "worktree", "list"], capture_output=True, text=True, check=True).stdout
    assert len(listed.splitlines()) == 1  # nothing is left in the repository


def test_an_unknown_commit_is_told(repository, tmp_path):
    with pytest.raises(SystemExit, match="--against: git knows no commit 'older'"):
        trees.pair("older", tmp_path / "beside")
    assert not (tmp_path / "beside").exists()


def test_a_worker_that_would_measure_other_sources_stops(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    done = subprocess.run([sys.executable, str(trees.WORKER), str(tmp_path), "compile"], capture_output=True, text=True)
    assert done.returncode == 1
    assert f"not below {tmp_path}" in done.stderr


def test_an_unknown_part_of_a_comparison_is_told(monkeypatch, capsys):
    run_all = importlib.import_module("run_all")
    monkeypatch.setattr("sys.argv", ["run_all.py", "--against", "HEAD", "--only", "peers"])
    with pytest.raises(SystemExit) as stopped:
        run_all.main()
    assert stopped.value.code == 2
    assert "there is no 'peers' among compile, step, start, trial" in capsys.readouterr().err


def test_sizes_are_those_of_packages_without_pip(tmp_path):
    """Each file counts once: for the package that claims it, or for none."""
    first = importlib.import_module("bench_first")
    for name in ("large", "pip"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "code.py").write_bytes(b"x" * 40_000)
        about = tmp_path / f"{name}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (about / "RECORD").write_text(f"{name}/code.py,,\n{name}-1.0.dist-info/METADATA,,\n../../../bin/{name},,\n")
    (tmp_path / "nobody.py").write_bytes(b"x" * 9_000)
    sizes = first.sizes_of(tmp_path)
    assert set(sizes) == {"large", "other files"}

    def blocks(*paths):
        return sum(first.on_disk(tmp_path / path) for path in paths) / 2**20

    assert sizes["large"] == blocks("large/code.py", "large-1.0.dist-info/METADATA")
    assert sizes["other files"] == blocks("nobody.py", "large-1.0.dist-info/RECORD", "pip-1.0.dist-info/RECORD")
    rows = first.rows_of_sizes(sizes, {"large": 1.0, "older": 2.0})
    assert [row["package"] for row in rows[:2]] == ["older", "large"]
    assert rows[-1]["package"] == "all" and rows[-1]["there_mib"] == 3.0
    assert rows[-1]["mib"] == pytest.approx(sum(sizes.values()))


def test_parts_of_the_way_add_up_without_the_second_run():
    first = importlib.import_module("bench_first")
    run = importlib.import_module("bench_trial").Run
    taken = {
        who: [{"clone": run(1.0, 1.0, 0.0), "first run": run(by, by, 0.0), "the same run again": run(9.0, 9.0, 0.0)}]
        for who, by in (("a", 3.0), ("b", 7.0))
    }
    rows = {row["part"]: row for row in first.rows_of_parts(taken, "a", "b")}
    assert rows["clone to report"]["wall_s"] == 4.0
    assert rows["clone to report"]["there_s"] == 8.0
    assert rows["clone to report"]["times"] == "0.5 (0.5 to 0.5)"


def test_a_large_marrow_is_followed_by_the_day():
    large = importlib.import_module("bench_large")
    rows = large.week(64, 2)
    assert [row["day"] for row in rows] == [0, 1, 2]
    assert rows[0]["ns_per_cell"] is None and rows[2]["ns_per_cell"] > 0.0
    assert all(row["cells"] > 1000 for row in rows)
