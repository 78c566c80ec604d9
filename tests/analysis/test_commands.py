"""`tme attribute` and `tme converge`: what they print, what they refuse, and that they go on where they were stopped."""

import pytest
from typer.testing import CliRunner

from tme_abm.analysis import run_book
from tme_abm.cli.app import app


@pytest.fixture
def tme(tmp_path, monkeypatch):
    """Call `tme` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


SMALL = ("--patients", "2", "--horizon", "84 d", "--set", "marrow.shape=[32,32]", "--workers", "1")


def test_attribute_prints_the_gain_and_where_the_page_is(tme, tmp_path):
    result = tme("attribute", "icaria", "--mechanisms", "adcc,adcp", *SMALL)
    assert result.exit_code == 0, result.output
    assert "runs of 2 patients, 0 runs stand on disk; about" in result.output
    assert "Isa-Pd over Pd: " in result.output and "powers of ten of tumour burden" in result.output
    assert "all else" in result.output  # what other mechanisms than the two bring
    assert "icaria_attribution/report.html" in result.output
    assert (tmp_path / "results" / "icaria_attribution" / "report.html").is_file()
    again = tme("attribute", "icaria", "--mechanisms", "adcc,adcp", *SMALL)
    assert "all runs stand on disk" in again.output
    assert again.output.split("Isa-Pd over Pd: ")[1:] == result.output.split("Isa-Pd over Pd: ")[1:]


def test_converge_prints_a_verdict_for_each_axis(tme, tmp_path):
    result = tme("converge", "icaria", "--steps", "6,12", "--patches", "none", *SMALL)
    assert result.exit_code == 0, result.output
    assert "12 h, 32 x 32 " in result.output
    assert (tmp_path / "results" / "icaria_convergence" / "convergence.md").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("attribute", "icarai"), "tme: there is no scenario 'icarai'; did you mean 'icaria'?"),
        (("attribute", "icaria", "--mechanisms", "adccc"), "tme: unknown mechanism 'adccc'; did you mean 'adcc'?"),
        (("attribute", "icaria", "--mechanisms", "proteasome"), "tme: 'proteasome' acts in none of the arms isa-pd, pd"),
        (("attribute", "untreated"), "tme: untreated compares no arms, so there is no gain to attribute: `trial.compare` is empty"),
        (("attribute", "icaria", "--horizon", "soon"), 'tme: --horizon: write a number and a unit, such as "28 d", not "soon"'),
        (("attribute", "icaria", "--horizon", "20 d"), "tme: a horizon of 0.66 months ends before the first visit on day 28"),
        (("converge", "icaria", "--steps", "6,x"), "tme: --steps: expected numbers with commas between them, got '6,x'"),
        (("converge", "icaria", "--steps", "7"), "tme: a step of 7 h does not divide a day"),
        (("converge", "icaria", "--steps", "none", "--patches", "none"), "tme: nothing to compare"),
        (("converge", "icaria", "--patches", "64.5"), "tme: --patches: expected whole numbers with commas between them, got '64.5'"),
        (("converge", "icaria", "--patches", "nan"), "tme: --patches: expected whole numbers with commas between them, got 'nan'"),
        (("converge", "icaria", "--patches", "inf"), "tme: --patches: expected whole numbers with commas between them, got 'inf'"),
        (("converge", "icaria", "--steps", "inf"), "tme: --steps: expected numbers with commas between them, got 'inf'"),
        (("converge", "icaria", "--docs", "page.txt"), "tme: page.txt is no folder; choose another with --docs"),
        (("converge", "icaria", "--docs", "old"), "tme: old/convergence.md: no text in UTF-8 that could be written anew"),
        (("converge", "icaria", "--horizon", "20 d"), "tme: a horizon of 0.66 months ends before the first visit on day 28"),
        (("converge", "untreated"), "tme: untreated compares no arms"),
    ],
)
def test_bad_input_is_one_line(tme, tmp_path, arguments, message):
    (tmp_path / "page.txt").write_text("")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "convergence.md").write_bytes(b"\xff")
    result = tme(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message) and result.stderr.count("\n") == 1
    assert not (tmp_path / "results").exists()


def test_a_folder_with_something_else_is_left_alone(tme, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("1")
    for command in ("attribute", "converge"):
        result = tme(command, "icaria", "--out", "thesis", "--force")
        assert result.exit_code == 2 and "holds something else than results, which is never replaced" in result.stderr
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


def test_stopped_is_said_and_nothing_is_lost(tme, monkeypatch):
    honest = run_book.watch
    seen = []

    def watch(*arguments):
        if len(seen) == 3:
            raise KeyboardInterrupt
        seen.append(1)
        return honest(*arguments)

    monkeypatch.setattr(run_book, "watch", watch)
    result = tme("attribute", "icaria", "--mechanisms", "adcc", *SMALL)
    assert result.exit_code == 130
    assert "the same command goes on from what results/icaria_attribution holds" in result.stderr
    monkeypatch.setattr(run_book, "watch", honest)
    again = tme("attribute", "icaria", "--mechanisms", "adcc", *SMALL)
    assert again.exit_code == 0 and "3 runs stand on disk" in again.output


@pytest.mark.parametrize(
    ("command", "module", "answer", "page"),
    [
        (("sweep", "isatuximab_monthly"), "sweep.run.sweep", {"failed": 2}, "sweep.run.in_words"),
        (("attribute", "icaria"), "attribution.run.attribute", {"failed": 2}, "attribution.page.in_words"),
        (("converge", "icaria"), "convergence.run.converge", {"failed": {"6 h": 1, "2 h": 1}, "axes": []}, "convergence.page.pages"),
    ],
)
def test_runs_that_failed_end_in_a_line_and_an_exit_code_of_their_own(tme, monkeypatch, command, module, answer, page):
    monkeypatch.setattr(f"tme_abm.analysis.{module}", lambda *_: answer)
    monkeypatch.setattr(f"tme_abm.analysis.{page}", lambda *_: [])
    monkeypatch.setattr("tme_abm.cli.variation._table", lambda path: None)
    result = tme(*command)
    assert result.exit_code == 3, result.output
    assert result.stderr.startswith("tme: 2 runs failed and count nowhere; ") and result.stderr.count("\n") == 1
