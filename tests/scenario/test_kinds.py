"""Every kind answers what it is asked, or says in one line which command answers."""

import inspect

import pytest
from typer.testing import CliRunner

from tme_abm.cli.app import app
from tme_abm.foundation.errors import InputError
from tme_abm.scenario import reading
from tme_abm.scenario.kinds import COMMANDS, KINDS, Running, running_of_kind
from tme_abm.scenario.reading import scenarios

ASKED = [name for name, _ in inspect.getmembers(Running, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_answers_or_names_its_command(kind):
    assert len(ASKED) == 8
    if kind in COMMANDS:
        with pytest.raises(InputError, match=COMMANDS[kind]):
            running_of_kind(kind)
    else:
        module = running_of_kind(kind)
        assert not [name for name in ASKED if not callable(getattr(module, name, None))]


@pytest.mark.parametrize("command", [("converge", "lab.toml"), ("attribute", "lab.toml"), ("run", "lab.toml", "--draws", "2")])
def test_an_experiment_in_the_place_of_a_trial_is_refused_with_the_line_that_makes_it_one(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    text = scenarios()["figure1_adenosine"].read_text(encoding="utf-8")
    line = next(i for i, words in enumerate(text.splitlines(), 1) if words.startswith("kind"))
    (tmp_path / "lab.toml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, list(command))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"tme: lab.toml, line {line}: 'lab' is an experiment of the laboratory, not a trial; run it with `tme run lab.toml`\n"
    )


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_report_of_a_question_is_refused_in_one_line(kind, tmp_path):
    (tmp_path / "scenario.toml").write_text(f'kind = "{kind}"\n', encoding="utf-8")
    (tmp_path / "run.json").write_text("{}", encoding="utf-8")
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"is run by `tme {kind}`" in result.stderr and result.stderr.count("\n") == 1


def test_lines_are_looked_for_once_a_message_asks(tmp_path, monkeypatch):
    looked, find = [], reading.find_lines
    monkeypatch.setattr(reading, "find_lines", lambda text: looked.append(text) or find(text))
    (tmp_path / "study.toml").write_text('title = "A"\n\n[marrow]\nshape = [32, 32]\n')
    source = reading.read(tmp_path / "study.toml", ["marrow.step=6 h"], seed=3)
    assert not looked
    assert source.place(("marrow", "shape")).endswith("study.toml, line 4")
    assert source.place(("marrow", "step")) == "--set marrow.step=6 h"
    assert len(looked) == 1 and dict(source.lines)[("title",)] == 1 and len(source.lines) == len(list(source.lines))
