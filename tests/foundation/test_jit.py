"""Compilation: the interpreted twin, the digest of the sources, and where compiled code is kept."""

import gc
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numba.core.caching import NullCache

import tme_abm
from tme_abm.foundation import jit
from tme_abm.foundation.compile_cache import private
from tme_abm.foundation.jit import COMPILED, inlined, kernel, source_digest
from tme_abm.foundation.response import hill, probability, relax, shielded
from tme_abm.foundation.rng import bits, normal, poisson, subkey, uniform
from tme_abm.mechanisms import BY_NAME, step

PACKAGE = Path(tme_abm.__file__).parent
needs_compiler = pytest.mark.skipif(not COMPILED, reason="runs interpreted")

TWIN = """
import json
from tme_abm.foundation.jit import COMPILED
from tme_abm.foundation.response import hill, probability, relax
from tme_abm.foundation.rng import bits, normal, poisson, stream_key, subkey, uniform
exact, rounded = [], []
for i in range(200):
    key = int(stream_key(subkey(7, i), 3, 2**20 + i))
    exact += [key, int(bits(key, i)), float(uniform(key, i)), int(poisson(0.3 * i, uniform(key, i)))]
    rounded += [float(normal(key, i)), float(hill(i, 50.0, 2.5)), float(relax(i, 3.0, 0.1, 6.0)), float(probability(1e-3 * i, 6.0))]
print(json.dumps([COMPILED, exact, rounded]))
"""


def twin(disabled):
    environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", TWIN], check=True, env=environment, capture_output=True, text=True)
    assert done.stderr == ""  # unsigned numbers wrap round in silence
    return json.loads(done.stdout)


def test_interpreted_and_compiled_kernels_agree():
    compiled, interpreted = twin("0"), twin("1")
    assert (compiled[0], interpreted[0]) == (True, False)
    assert compiled[1] == interpreted[1]
    np.testing.assert_allclose(interpreted[2], compiled[2], rtol=1e-13)


@needs_compiler
@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (hill, (30.0, 50.0, 2.5)),
        (probability, (0.01, 6.0)),
        (relax, (3.0, 1.0, 0.2, 6.0)),
        (shielded, (0.4, 3.0)),
        (subkey, (12345, 6)),
        (uniform, (12345, 6)),
        (normal, (12345, 6)),
        (poisson, (3.0, 0.7)),
    ],
)
def test_every_kernel_keeps_its_python_twin(function, arguments):
    with np.errstate(over="ignore"):
        plain = function.py_func(*arguments)
    assert float(function(*arguments)) == pytest.approx(float(plain), rel=1e-14)


def test_division_by_zero_is_infinite_as_in_numpy():
    @kernel
    def divide(a, b):
        return a / b

    with np.errstate(divide="ignore"):
        assert divide(np.float64(1.0), np.float64(0.0)) == math.inf


def test_a_kernel_wraps_round_in_silence(recwarn):
    bits(2**61, 2**61)
    assert not recwarn.list


def test_interpreted_functions_are_the_plain_ones():
    def add(a, b):
        """Sum."""
        return a + b

    run = jit._interpreted(add)
    assert run(1, 2) == 3
    assert run.py_func is add
    assert (run.__name__, run.__doc__) == ("add", "Sum.")


@needs_compiler
def test_compiling_leaves_numba_as_it_was():
    import numba

    before = numba.config.CACHE_DIR

    @kernel
    def one():
        return 1.0

    assert one() == 1.0
    assert numba.config.CACHE_DIR == before


# ---- the folder of compiled code -------------------------------------------------------------------------------------


@pytest.fixture
def sources(tmp_path):
    """A small tree of sources."""
    root = tmp_path / "sources"
    (root / "marrow" / "below").mkdir(parents=True)
    (root / "marrow" / "a.py").write_text("x = 1\n")
    (root / "marrow" / "below" / "b.py").write_text("y = 2\n")
    (root / "marrow" / "note.txt").write_text("no source")
    (root / "cli").mkdir()
    (root / "cli" / "app.py").write_text("z = 3\n")
    return root


def test_the_digest_changes_with_every_source(sources):
    seen = {source_digest(sources)}
    (sources / "marrow" / "below" / "b.py").write_text("y = 3\n")
    seen.add(source_digest(sources))
    (sources / "marrow" / "a.py").rename(sources / "marrow" / "c.py")
    seen.add(source_digest(sources))
    (sources / "marrow" / "c.py").unlink()
    seen.add(source_digest(sources))
    assert len(seen) == 4


def test_the_digest_changes_with_nothing_else(sources):
    before = source_digest(sources)
    (sources / "marrow" / "note.txt").write_text("other words")
    (sources / "cli" / "app.py").write_text("z = 4\n")
    os.utime(sources / "marrow" / "a.py", (0, 0))
    assert source_digest(sources) == before


def test_a_kernel_counts_wherever_it_has_moved_to(sources):
    seen = {source_digest(sources)}
    text = "from tme_abm.foundation.jit import kernel\nx = 1\n"
    for place in ("marrow/a.py", "a_room_of_its_own/deep/a.py", "analysis/a.py", "cli/a.py"):
        path = sources / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        seen.add(source_digest(sources))
        path.write_text(text + "y = 2\n")
        seen.add(source_digest(sources))
        path.unlink()
    assert len(seen) == 9


def test_kernels_ask_no_room_that_is_left_out():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        if "foundation.jit import" in text and path.relative_to(PACKAGE).parts[0] not in jit.TALKS:
            asked = set(re.findall(r"^\s*from tme_abm\.(\w+)", text, re.MULTILINE))
            assert not asked & set(jit.TALKS), path


def test_the_cache_is_named_by_the_digest_of_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    folder = jit._cache_folder()
    assert folder == str(tmp_path / f"tme_abm-{source_digest(PACKAGE)}")
    assert Path(folder).is_dir()


def test_a_changed_source_gets_another_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    before = jit._cache_folder()
    monkeypatch.setattr(jit, "source_digest", lambda root: "0123456789ab")
    assert jit._cache_folder() == str(tmp_path / "tme_abm-0123456789ab") != before


def test_the_home_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    folder = jit._cache_folder()
    assert folder is not None and Path(folder).parent == tmp_path / "home" / ".cache" / "tme_abm"


def test_the_folder_of_temporary_files_comes_next(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    blocked = tmp_path / "file"
    blocked.write_text("no folder can be made below a file")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(Path, "home", lambda: blocked)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    folder = jit._cache_folder()
    assert folder is not None and Path(folder).parent == tmp_path / "temporary" / f"tme_abm-{os.getuid()}"


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_a_folder_that_others_can_write_is_no_cache(tmp_path, monkeypatch, mode):
    """A folder among the temporary files, made by somebody before, would let her code run as this user."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(Path, "home", lambda: blocked)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    folder = tmp_path / f"tme_abm-{os.getuid()}"
    folder.mkdir()
    folder.chmod(mode)
    assert jit._cache_folder() is None
    folder.chmod(0o700)
    assert jit._cache_folder() is not None


def test_a_folder_of_somebody_else_or_a_link_is_no_cache(tmp_path, monkeypatch):
    own = tmp_path / "own"
    assert private(own)
    (tmp_path / "link").symlink_to(own)
    assert not private(tmp_path / "link")
    monkeypatch.setattr(os, "getuid", lambda: own.stat().st_uid + 1)
    assert not private(own)


RUN = "from tme_abm.foundation.rng import bits; print(int(bits(2**40 + 1, 7)), sum(bits.stats.cache_hits.values()))"


@needs_compiler
@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_a_damaged_file_of_the_cache_is_compiled_anew(tmp_path, kind):
    """Empty, cut short, or a block of zeros: what a full disk and a power cut leave."""

    def run():
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(PACKAGE.parent)}
        done = subprocess.run([sys.executable, "-c", RUN], check=False, env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return [int(word) for word in done.stdout.split()]

    value, hits = run()
    assert hits == 0 and run() == [value, 1]
    for damage in (lambda b: b"", lambda b: b[:60], lambda b: b[:-1], lambda b: b[:99] + bytes(len(b) - 99)):
        (path,) = (path for path in tmp_path.rglob(f"rng.bits*.{kind}"))
        before = path.read_bytes()
        path.write_bytes(damage(before))
        assert run() == [value, 0]
        assert len(path.read_bytes()) == len(before)  # written anew
    assert run() == [value, 1]


def test_a_folder_that_takes_no_file_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(temporary))
    honest = tempfile.TemporaryFile

    def refuse(*args, dir, **options):
        if Path(dir).is_relative_to(home):
            raise PermissionError(dir)
        return honest(*args, dir=dir, **options)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    folder = jit._cache_folder()
    assert folder is not None and Path(folder).is_relative_to(temporary)


@needs_compiler
def test_without_any_folder_code_is_compiled_afresh(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(blocked))
    assert jit._cache_folder() is None
    monkeypatch.setattr(jit, "CACHE_FOLDER", None)

    @kernel
    def double(x):
        return 2.0 * x

    assert double(4.0) == 8.0
    assert isinstance(double._cache, NullCache)


def factory(value):
    @jit.part
    def made(x):
        return x + value

    return made


def test_functions_that_a_function_makes_have_names_of_their_own_alike_in_every_process():
    """The linker takes functions of one name for one: two that differ must not share a name, whatever was made before them."""
    one, other, again = factory(1.0), factory(2.0), factory(1.0)
    names = [kernel.py_func.__qualname__ for kernel in (one, other, again)]
    assert names[0] == names[2] != names[1]
    code = "from tme_abm.mechanisms import BY_NAME, step; made = (step.prepare_drugs, step.add_hazards, BY_NAME['depletion'].hazard)\n"
    code += "print([kernel.py_func.__qualname__ for kernel in made])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    made = (step.prepare_drugs, step.add_hazards, BY_NAME["depletion"].hazard)
    here = [kernel.py_func.__qualname__ for kernel in made]
    assert found == f"{here}\n" and len(set(here)) == 3


NAMES = """
from tme_abm.foundation import jit

made, honest = {}, jit._compile

def noted(function, options):
    kernel = honest(function, options)
    kind = function.__code__.co_code, getattr(function, "made_of", "")
    made.setdefault((function.__module__, function.__qualname__), set()).add(kind)
    return kernel

jit._compile = noted
import tme_abm.simulation.simulation, tme_abm.laboratory.mouse
print(len(made), [name for name, kinds in made.items() if len(kinds) > 1 or "<locals>" in name[1]])
"""


def test_no_two_kernels_of_the_package_share_a_name_and_differ():
    found = subprocess.run([sys.executable, "-c", NAMES], capture_output=True, text=True, check=True).stdout
    assert int(found.split()[0]) > 200 and found.endswith(" []\n")


@needs_compiler
def test_what_compiled_code_calls_is_compiled_once_for_whole_numbers_of_all_kinds_and_never_by_itself():
    @kernel
    def doubled(x):
        return 2 * x

    @kernel
    def asks(x, small):
        return doubled(x) + doubled(3) + doubled(small)

    assert asks(4, np.uint8(200)) == 8 + 6 + 400
    assert doubled.signatures == []
    assert [str(s[0]) for s in doubled.as_part.signatures] == ["int64"]
    assert asks(4.5, np.uint8(1)) == 9.0 + 6 + 2  # numbers with a fraction have a version of their own
    assert doubled(2.5) == 5.0


@needs_compiler
def test_an_inlined_kernel_is_written_out_in_those_that_call_it_and_called_by_python_as_any():
    def long(x):
        for k in range(12):  # too long to be written out unasked
            x = math.sin(x) * math.cos(x + k) if x > k else math.exp(-x) + math.log(x + 3.0 + k) * math.tan(x)
        return x

    calls = {}
    for decorator in (kernel, inlined):
        callee = decorator(long)
        assert callee(5.0) == pytest.approx(long(5.0))

        @kernel
        def caller(values):
            total = 0.0
            for x in values:
                total += callee(x) * callee(x + 1.0)  # noqa: B023
            return total

        assert caller(np.arange(2.0)) == pytest.approx(sum(long(x) * long(x + 1.0) for x in (0.0, 1.0)))
        (text,) = caller.inspect_llvm().values()
        calls[decorator] = len(re.findall(r"call [^\n]*long", text))
    assert calls[kernel] >= 2 and calls[inlined] == 0


@needs_compiler
def test_a_compilation_leaves_the_search_for_garbage_as_it_was():
    @kernel
    def looks(x):
        return x + 1

    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            looks(1 if enabled else 1.0)
            assert gc.isenabled() is enabled
        finally:
            gc.enable()
