"""What is read from the cache of compiled code, and what numba does not do for it."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tme_abm.foundation import jit
from tme_abm.foundation.calling import compile_for
from tme_abm.foundation.jit import COMPILED, kernel

pytestmark = pytest.mark.skipif(not COMPILED or jit.CACHE_FOLDER is None, reason="nothing is kept")

PROGRAM = """
from tme_abm.foundation.jit import kernel, part

@part
def twice(x):
    return 2.0 * x

@kernel
def add(x, y):
    return twice(x) + y

@kernel
def square(x):
    return add(x, x) ** 2.0
"""
USE = """
import sys
sys.path.insert(0, {folder!r})
import program
print(program.add(1.5, 0.25), len(program.add._cache_hits), "numba.np.arraymath" in sys.modules, "scipy.linalg" in sys.modules)
{more}
"""


@pytest.fixture
def use(tmp_path, monkeypatch):
    """Runs the program in a process of its own; what it prints."""
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))

    def run(more=""):
        code = USE.format(folder=str(tmp_path), more=more)
        return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()

    return run


def test_a_kernel_is_read_without_numbas_registries(use):
    assert use() == ["3.25", "0", "True", "True"]  # compiled, so numba has asked them
    assert use() == ["3.25", "1", "False", "False"]


def test_after_that_another_kernel_compiles_and_calls_it_as_a_part(use):
    use()
    assert use("print(program.square(2.0), len(program.square._cache_hits))")[-2:] == ["36.0", "0"]


def test_machine_code_alone_is_kept(use, tmp_path, monkeypatch):
    use()
    monkeypatch.syspath_prepend(tmp_path)
    (path,) = (tmp_path / "cache").rglob("program.add*.nbc")
    (_, kind, (code, before)), *_ = pickle.loads(path.read_bytes())
    assert kind == "object"
    assert len(before) < len(code)  # what numba keeps beside it is larger
    assert b"twice" not in before


def test_what_was_read_is_never_linked_into_other_code(use):
    use()
    more = (
        "(made,) = program.add.overloads.values()\n"
        "try:\n    made.library._get_module_for_linking()\nexcept RuntimeError as error:\n    print('unfit' in str(error))"
    )
    assert use(more)[-1] == "True"


def test_another_numbas_content_is_kept_as_it_is(monkeypatch):
    from tme_abm.foundation import compile_cache

    monkeypatch.setattr(compile_cache.CompileResultCacheImpl, "reduce", lambda self, made: "content of another numba")
    assert compile_cache.MachineCode.reduce(object.__new__(compile_cache.MachineCode), None) == "content of another numba"


def test_extensions_of_numba_are_looked_for_by_who_compiles(use, tmp_path):
    """What is installed is asked when a kernel is compiled, and not to read one."""
    watch = (
        "import numba.core.entrypoints as e; n = []; init = e.init_all; e.init_all = lambda: n.append(1) or init()\n"
        "from numba.core import dispatcher\n"
    )
    code = f"{watch}import sys; sys.path.insert(0, {str(tmp_path)!r}); import program; program.add(1.0, 2.0); print(len(n) > 0)"
    run = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() for _ in range(2)]
    assert run == ["True", "False"]


def test_a_kernel_has_its_own_file():
    @kernel
    def own(x):
        return x + 1.0

    assert own(1.0) == 2.0
    assert compile_for(own, 1.0).signature.args
    assert Path(own._cache._cache_file._index_path).name.startswith("test_compile_cache")
