"""The command `tme lesson`."""

import pytest
from typer.testing import CliRunner

from tme_abm.cli.app import app

KEYS = [
    "killing",
    "adenosine",
    "antibodies",
    "nk_cells",
    "niche",
    "pomalidomide",
    "triplet",
    "mrd",
    "resistance",
    "suppressors",
    "dose",
    "trial",
]


@pytest.fixture
def tme():
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def test_the_lessons_are_named_in_their_order(tme):
    said = tme("lesson", "list").stdout.splitlines()
    assert [line.split()[1] for line in said] == KEYS


def test_a_lesson_is_written_once_and_over_only_when_told(tme, tmp_path):
    folder = tmp_path / "new" / "lessons"
    first = tme("lesson", "export", folder, "--lesson", "nk_cells")
    assert first.exit_code == 0 and "nk_cells.html" in first.stdout and [p.name for p in folder.iterdir()] == ["nk_cells.html"]
    text = (folder / "nk_cells.html").read_text(encoding="utf-8")
    (folder / "nk_cells.html").write_text("mine", encoding="utf-8")
    again = tme("lesson", "export", folder, "--lesson", "nk_cells")
    assert again.exit_code == 2 and "is there already" in again.stderr and (folder / "nk_cells.html").read_text() == "mine"
    assert tme("lesson", "export", folder, "--lesson", "nk_cells", "--force").exit_code == 0
    assert (folder / "nk_cells.html").read_text(encoding="utf-8") == text  # the same run gives the same file


def test_an_unknown_lesson_is_told_before_anything_is_written(tme, tmp_path):
    for words in (("check", "nk_cell"), ("export", tmp_path / "out", "--lesson", "nk_cell")):
        said = tme("lesson", *words)
        assert said.exit_code == 2 and "did you mean 'nk_cells'" in said.stderr and said.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_check_says_what_agrees_and_writes_its_table(tme, tmp_path):
    said = tme("lesson", "check", "nk_cells", "--table", tmp_path / "table.md")
    assert said.exit_code == 0 and "nk_cells" in said.stdout and "6 of 6 agree, 5 needed" in said.stdout
    table = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert (
        "| 1. NK cells: first armed, then lost | Fewer NK cells; those that are left go on killing | 28 | yes | other patients | 6 of 6 |"
        in table
    )


def test_a_lesson_that_is_not_true_ends_with_an_exit_code(tme, monkeypatch):
    from dataclasses import replace

    from tme_viz import lessons

    one = lessons.lessons()["nk_cells"]
    monkeypatch.setattr(lessons, "lessons", lambda: {"nk_cells": replace(one, right=0)})
    said = tme("lesson", "check", "nk_cells")
    assert said.exit_code == 1 and "NOT TRUE: 0 of 6 agree" in said.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [(("--allow-origin", "marrow.example"), "is no origin"), (("--root-path", "marrow"), "is no path")],
)
def test_an_origin_or_path_that_is_none_is_told(tme, words, told):
    said = tme("view", "--no-browser", "--port", "8999", *words)
    assert said.exit_code == 2 and told in said.stderr and said.stderr.count("\n") == 1
