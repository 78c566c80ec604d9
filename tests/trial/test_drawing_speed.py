"""What figures and reports are spared: nothing of it shows."""

import json
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
from matplotlib.axis import Axis
from matplotlib.lines import Line2D
from matplotlib.text import Text

from tme_abm import drawing, tables
from tme_abm.drawing_memory import remembering
from tme_abm.trial import report, template_cache
from tme_abm.trial.result import Figures

METHODS = ((Text, "_get_layout"), (Axis, "_update_ticks"), (Text, "update_from"), (Line2D, "update_from"))


@pytest.fixture(scope="module")
def plots(small_trial):
    return small_trial.plot


@pytest.mark.parametrize("name", [name for name, value in vars(Figures).items() if callable(value) and not name.startswith("_")])
@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_figure_is_drawn_alike_with_and_without_memory(plots, monkeypatch, name, kind):
    quick = drawing.rendered(getattr(plots, name)(), kind)
    monkeypatch.setattr(drawing, "remembering", nullcontext)
    assert drawing.rendered(getattr(plots, name)(), kind) == quick


def test_matplotlib_places_ticks_less_often(plots, monkeypatch):
    placed, original = [], Axis._update_ticks
    monkeypatch.setattr(Axis, "_update_ticks", lambda axis: placed.append(axis) or original(axis))
    drawing.rendered(plots.marrow())
    quick = len(placed)
    monkeypatch.setattr(drawing, "remembering", nullcontext)
    drawing.rendered(plots.marrow())
    assert quick <= (len(placed) - quick) / 2


def test_matplotlib_is_as_it_was_before_and_after(plots):
    before = [getattr(*method) for method in METHODS]
    with pytest.raises(ZeroDivisionError), remembering():
        assert all(getattr(*method) is not known for method, known in zip(METHODS, before, strict=True))
        with remembering():
            pass
        assert all(getattr(*method) is not known for method, known in zip(METHODS, before, strict=True))
        raise ZeroDivisionError
    assert [getattr(*method) for method in METHODS] == before


def test_another_thread_is_remembered_nothing(plots):
    """A text that has changed its size has changed it for a thread that draws nothing, and for the one that draws as well."""
    text = plots.responses().axes[0].xaxis.label

    def sizes():
        found = [text.get_window_extent().height]
        text.set_fontsize(30)
        found.append(text.get_window_extent().height)
        text.set_fontsize(12)
        return found

    elsewhere = []
    with remembering():
        here = sizes()
        thread = threading.Thread(target=lambda: elsewhere.extend(sizes()))
        thread.start()
        thread.join()
    assert here == elsewhere == sizes() and here[0] < here[1]


@pytest.mark.parametrize("forgone", [False, True])
def test_docstrings_are_left_out_where_nobody_reads_them(forgone):
    code = (
        "import json; from tme_abm import drawing\n"
        f"{'drawing.forgo_docstrings()' if forgone else ''}\n"
        "drawing.import_matplotlib(); from matplotlib import artist, patches\n"
        "print(json.dumps(['edgecolor or ec' in patches.Patch.__init__.__doc__, 'edgecolor or ec' in artist.kwdoc(patches.Patch)]))"
    )
    found = json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    assert found == [not forgone, True]


def test_who_reckons_with_a_table_gets_it_without_notes(small_trial):
    path = small_trial.folder / "patients.parquet"
    bare, noted = tables.read_bare(path), tables.read(path)
    assert bare.attrs == {} and set(noted.attrs) == {"units", "meanings", "allowed"}
    noted.attrs = {}
    assert bare.equals(noted)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A folder of compiled templates of its own, and how often one is compiled."""
    from jinja2 import Environment

    monkeypatch.setattr(template_cache, "template_cache", lambda: template_cache.TemplateCache(str(tmp_path / "kept")))
    compiled, compile_ = [], Environment.compile

    def count(self, source, name=None, *args, **kwargs):
        compiled.append(name)
        return compile_(self, source, name, *args, **kwargs)

    monkeypatch.setattr(Environment, "compile", count)
    return tmp_path / "kept", compiled


def show(folder: Path, words: str):
    (folder / "page.html").write_text("{{ value }} " + words)
    return report.page("page.html", [folder], value=1.5)


def test_a_template_is_compiled_once_for_each_text(kept, tmp_path):
    _, compiled = kept
    assert [show(tmp_path, "g/L"), show(tmp_path, "g/L"), len(compiled)] == ["1.5 g/L", "1.5 g/L", 1]
    assert [show(tmp_path, "mg/L"), len(compiled)] == ["1.5 mg/L", 2]


@pytest.mark.parametrize("content", [b"", b"short", None])
def test_a_damaged_template_is_compiled_anew(kept, tmp_path, content):
    folder, compiled = kept
    show(tmp_path, "g/L")
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-3] if content is None else content)
    assert [show(tmp_path, "g/L"), show(tmp_path, "g/L"), len(compiled)] == ["1.5 g/L", "1.5 g/L", 2]


def test_where_templates_cannot_be_kept_they_are_compiled(kept, tmp_path):
    (tmp_path / "kept").write_text("a file")
    assert show(tmp_path, "g/L") == "1.5 g/L"
