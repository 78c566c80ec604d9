"""The bank of a drug of one's own, followed as docs/bank.md has it, with fewer patients and a posterior that is made up."""

import re
from pathlib import Path

import numpy as np

from tme_abm.analysis.calibration import posterior as stored

ROOT = Path(__file__).parents[2]
FEWER = (
    ("--patients 3000", "--patients 12 --workers 1"),
    ("shape = [64, 64]", "shape = [32, 32]"),
    ('"24 month"', '"3 month"'),
    ("patients = [150, 250, 350]\nquestion = 250", "patients = [20]"),
    ('"9 month"', '"1 month"'),
    ("--posterior results/calibration", "--posterior posterior.parquet --sets 2 --trials 4"),
)


def test_the_bank_of_a_drug_of_ones_own_can_be_followed(blocks_of, recipes, tmp_path):
    recipes["drug"][0].follow(tmp_path)
    median = "population.imid_sensitivity.median"
    stored.write(stored.Posterior((median,), np.array([[0.9], [1.1]]), np.full(2, 0.5), np.zeros(2)), tmp_path / "posterior.parquet", {})
    printed = {}
    for block in blocks_of(ROOT / "docs" / "bank.md"):
        text = block.text
        for old, new in FEWER:
            text = text.replace(old, new)
        printed |= block._replace(text=text).follow(tmp_path)
    drawn, designed = printed.values()
    assert re.search(r"imag-pd: [1-9]\d* runs", drawn) and re.search(r" pd: [1-9]\d* runs", drawn)
    # its answer begins so; how far it is, it tells before where it takes long
    assert re.match(r"(sampling .*\n)*\*\*Not to be relied on", designed) and "Imag-Pd against Pd, 1:1" in designed
    report = tmp_path / "results" / "imag_power" / "design.md"
    assert report.read_text(encoding="utf-8").startswith("**Not to be relied on: behind this stand")


def test_every_change_is_of_something_that_stands_on_the_page():
    text = (ROOT / "docs" / "bank.md").read_text(encoding="utf-8")
    assert all(old in text for old, _ in FEWER)
