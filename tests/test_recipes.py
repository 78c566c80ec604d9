"""The recipes of CONTRIBUTING.md that need no change of the package, followed as written: a drug, and a mechanism of one's own.

Those that change it are followed in test_new_cell_type.py, in a copy that is compiled once for both.
"""

import json
import re
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]


def test_a_made_up_antibody_runs_from_its_toml(recipes, tmp_path):
    printed = {}
    for block in recipes["drug"]:
        printed |= block.follow(tmp_path)
    results = tmp_path / "results" / "imaginumab"
    summary = json.loads((results / "summary.json").read_text(encoding="utf-8"))
    assert summary["failed"] == 0
    assert summary["killing"]["imag"]["adcp"] > 0.05
    assert "adcp" not in summary["killing"]["untreated"]
    assert {"adcc", "cdc"}.isdisjoint(summary["killing"]["imag"])
    named = {row["name"]: row["value"] for row in json.loads((results / "run.json").read_text(encoding="utf-8"))["parameters"]}
    assert named["drugs.imaginumab.mechanisms.adcp.engulfment_rate"] == 0.2
    assert "drugs.imaginumab.mechanisms.adcp.engulfment_rate" in printed["tme show study.toml"]


def test_a_mechanism_runs_from_its_file(recipes, tmp_path):
    printed = {}
    for block in recipes["mechanism of one's own"]:
        printed |= block.follow(tmp_path)
    [described] = (" ".join(text.split()) for command, text in printed.items() if "describe" in command)
    assert "Plasma cells die where the marrow is full of them." in described
    assert pd.read_parquet(tmp_path / "results" / "outside" / "trajectory.parquet")["deaths_starvation"].sum() > 0


def test_every_block_of_a_recipe_is_followed(recipes):
    """A block without its mark would be a step that nobody executes."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## A drug")[2]
    assert sum(map(len, recipes.values())) == text.count("\n```") / 2
    assert set(recipes) == {"drug", "mechanism of one's own", "mechanism of the package", "cell type"}


def test_every_file_of_a_recipe_is_named_where_a_reader_sees_it(recipes):
    """The marks that the tests read are comments, which no page shows."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    marks = re.findall(r"^(.*)\n\n<!-- (?:file|edit|append): (.+?) -->$", text, re.MULTILINE)
    assert len(marks) == sum(block.act != "run" for blocks in recipes.values() for block in blocks) > 10
    for caption, path in marks:
        assert caption in (f"`{path}`:", f"`{path}`, at its end:")
