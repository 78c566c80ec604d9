"""Every tutorial is followed as it stands, block by block in an empty folder, with fewer patients.

Blocks that need another program (`<!-- run: Rscript -->`) are followed by tests of their own, which are skipped where it is missing.
"""

import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest

TUTORIALS = sorted((Path(__file__).parents[2] / "docs" / "tutorials").glob("[0-9]*.md"))
FEWER = (
    (re.compile(r"--patients \d+"), "--patients 2"),
    (re.compile(r"\bpatients ?= ?\d+"), "patients = 2"),
    (re.compile(r'"\d month"'), '"2 month"'),
)
PROGRAMS = {"10_space.md": ["squidpy"], "11_r.md": ["Rscript"]}  # what a page has blocks for and the package does not bring


def shorter(text):
    for pattern, instead in FEWER:
        text = pattern.sub(instead, text)
    return text


def needs(block):
    return block.path if block.act == "run" else ""


@pytest.fixture(scope="module")
def followed(blocks_of, tmp_path_factory):
    """Follows the blocks of a page that need nothing else, once, and then those of a program: the folder and what was printed."""

    @functools.cache
    def follow(name, program=""):
        folder = follow(name)[0] if program else tmp_path_factory.mktemp(Path(name).stem)
        printed = {}
        for block in blocks_of(TUTORIALS[0].parent / name):
            if needs(block) == program and (block.act == "run" or not program):
                printed |= block._replace(text=shorter(block.text)).follow(folder)
        return folder, printed

    return follow


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_can_be_followed(page, followed):
    _, printed = followed(page.name)
    assert printed and all(text.strip() for text in printed.values())


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_no_block_of_a_tutorial_is_left_out(page, blocks_of):
    blocks = blocks_of(page)
    assert page.read_text(encoding="utf-8").count("\n```") / 2 == len(blocks)
    assert [needs(block) for block in blocks if needs(block)] == PROGRAMS.get(page.name, [])


def test_squidpy_joins_the_cells_that_touch(squidpy, followed):
    import anndata

    folder, printed = followed("10_space.md", "squidpy")
    marrow = anndata.read_h5ad(folder / "marrow.h5ad")
    width = marrow.uns["marrow"]["width"]
    row, column = np.divmod(marrow.obs["site"].to_numpy(), width)
    apart = np.maximum(np.abs(row[:, None] - row), np.abs(column[:, None] - column))
    assert printed["python neighbours.py"].splitlines()[-1] == f"{(np.triu(apart, 1) == 1).sum()} pairs of cells touch"
    assert (folder / "figures" / "neighbours.png").read_bytes().startswith(b"\x89PNG")


def test_r_reads_the_trial(rscript, followed):
    folder, printed = followed("11_r.md", "Rscript")
    summary = json.loads((folder / "results/forr/summary.json").read_text(encoding="utf-8"))
    made, told = summary["comparisons"][0], printed["Rscript survival.R"]
    for arm, n, events in (("isa-pd", made["n_arm"], made["n_events_arm"]), ("pd", made["n_reference"], made["n_events_reference"])):
        assert re.search(rf"^arm={arm} +{n} +{events} ", told, re.MULTILINE), told
    ratio = re.search(r"^armisa-pd +\S+ +(\S+)", told, re.MULTILINE)[1]
    assert float(ratio) == pytest.approx(made["hazard_ratio"], rel=1e-3)
    assert (folder / "survival.png").read_bytes().startswith(b"\x89PNG")
    assert len(printed["Rscript visits.R"].splitlines()) > 2
