"""What benchmarks write, and the tables that are made of it."""

import argparse
import importlib
import json

import numpy as np
import pytest

machine = importlib.import_module("machine")
tables = importlib.import_module("tables")


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
