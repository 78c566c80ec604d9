"""The digest of the model: it follows the code to wherever it stands."""

import ast
import re
import shutil
import sys

import numba
import numpy as np
import pytest
import scipy

from tme_abm.mechanisms.outside.catalogue import PLAIN
from tme_abm.trial import provenance
from tme_abm.trial.provenance import (
    FOLLOWED,
    PACKAGE,
    RUN,
    code_versions,
    describe_outside,
    imports_of,
    model_digest,
    model_files,
    module_file,
    room_digest,
)


@pytest.fixture
def package(tmp_path):
    """A copy of the package that may be edited."""
    import tme_abm

    root = tmp_path / PACKAGE
    shutil.copytree(tme_abm.__path__[0], root, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def names(root):
    return {path.relative_to(root).as_posix() for path in model_files(root)}


def digest(root):
    return model_digest.__wrapped__(root)


def test_all_that_a_patient_is_made_of_is_in_it(package):
    found = names(package)
    for module in (*FOLLOWED, RUN):
        assert module_file(package, module) is not None
    wanted = {"mechanisms/adcc.py", "mechanisms/step.py", "marrow/fate.py", "marrow/cell_types.toml", "outcomes/imwg.py", "outcomes/mrd.py"}
    wanted |= {"patients/populations/_myeloma.toml", "pharmacology/drugs/isatuximab.toml", "pharmacology/compartments.py"}
    wanted |= {"simulation/onset.py", "foundation/rng.py", "trial/arm.py", "patients/reading.py", "mechanisms/outside/hooks.py"}
    assert wanted <= found
    assert not [name for name in found if name.startswith(("cli/", "analysis/", "laboratory/", "mesa_model/", "batch/", "scenario/"))]
    assert "trial/report.py" not in found and "trial/figures.py" not in found


def test_imports_are_read_alike_with_and_without_parsing(package, tmp_path, monkeypatch):
    one = "from tme_abm.a import (\n    b,  # why\n    c as d,\n)\nfrom tme_abm import e, f\nimport tme_abm_other\n"
    two = "from tme_abm.a import b\n\n\ndef g():\n    from tme_abm.c import d\n"
    (tmp_path / "one.py").write_text(one)
    (tmp_path / "two.py").write_text(two)
    (tmp_path / "three.py").write_text("from tme_abm.a import (  # why (really)\n    b,\n)\nimport os; from tme_abm.c import d\n")
    paths = [*(tmp_path / f"{name}.py" for name in ("one", "two", "three")), *sorted(package.rglob("*.py"))]
    parsed = []
    parse = ast.parse
    monkeypatch.setattr(provenance.ast, "parse", lambda text: parsed.append(1) or parse(text))
    found = [[imports_of(path, is_whole) for is_whole in (False, True)] for path in paths]
    assert found[0] == [{"a.b", "a.c", "e", "f"}] * 2
    assert found[1] == [{"a.b"}, {"a.b", "c.d"}]
    assert found[2] == [{"a.b", "c.d"}] * 2
    assert 0 < len(parsed) < len(paths)  # half as often as without
    monkeypatch.setattr(provenance, "imports_at_top", lambda text: None)
    assert found == [[imports_of(path, is_whole) for is_whole in (False, True)] for path in paths]


def test_an_edit_of_a_moved_file_is_seen(package):
    seen = {digest(package)}
    (package / "blood").mkdir()
    (package / "marrow" / "serum.py").rename(package / "blood" / "serum.py")
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        new = text.replace("tme_abm.marrow.serum", "tme_abm.blood.serum")
        new = re.sub(r"from tme_abm\.marrow import (.*), serum\b", r"from tme_abm.marrow import \1\nfrom tme_abm.blood import serum", new)
        if new != text:
            path.write_text(new, encoding="utf-8")
    assert "blood/serum.py" in names(package)
    seen.add(digest(package))
    with (package / "blood" / "serum.py").open("a", encoding="utf-8") as file:
        file.write("\nLATER = 1\n")
    seen.add(digest(package))
    assert len(seen) == 3


def test_an_edit_of_a_report_is_none_of_the_model(package):
    before = digest(package)
    for name in ("trial/report.py", "cli/app.py", "analysis/run_book.py", "drawing.py", "batch/executors.py"):
        with (package / name).open("a", encoding="utf-8") as file:
            file.write("\nLATER = 1\n")
    assert digest(package) == before


def test_what_calls_a_rule_in_plain_python_counts_where_there_is_one(package):
    def boost_nk(model):
        """Nothing."""

    before = room_digest.__wrapped__("mesa_model", package)
    assert describe_outside(PLAIN) == {}
    (row,) = describe_outside(PLAIN.with_rules((boost_nk,)))["rules"]
    assert row["name"] == "boost_nk" and row["called_by"] == before
    with (package / "mesa_model" / "model.py").open("a", encoding="utf-8") as file:
        file.write("\nLATER = 1\n")
    assert room_digest.__wrapped__("mesa_model", package) != before


def test_what_shapes_the_numbers_of_a_patient_is_compared_between_machines():
    """Scipy draws patients and decides on residual disease; the code of rules is that of one minor version of Python."""
    found = code_versions()
    assert found["python"] == f"{sys.version_info.major}.{sys.version_info.minor}" and found["scipy"] == scipy.__version__
    assert found["numpy"] == np.__version__ and found["numba"] == numba.__version__
