"""The only file that configures numba; `compiler`, `compiler_memory` and `lowering` beside it make it quicker.

Every compiled function of the package is decorated with `kernel`. Compiled code is cached on disk in a folder that carries a
digest of all sources that compiled code may come from, because numba does not notice an edit in an imported helper (numba issue
1833) and would hand back an old result. `NUMBA_CACHE_DIR` is respected; where no folder can be written the code is compiled afresh in
each process.

`parallel=True` is deliberately not offered: inside `prange` numba silently loses writes to arrays held in a NamedTuple (issues
5872, 7135, 10338). This package runs patients in parallel instead, on threads, which `nogil=True` makes worthwhile.

Kernels are compiled without `fastmath`, so that the interpreted twin (`NUMBA_DISABLE_JIT=1`, or `f.py_func`) takes the same
decisions as the compiled one.
"""

import functools
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

import numba
import numpy as np
from numba.core import sigutils, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher

from tme_abm.foundation.compile_cache import CheckedCache, private, temporary
from tme_abm.foundation.compiler import Compiler, PartCompiler

F = TypeVar("F", bound=Callable[..., Any])

# Rooms that run, ask, draw and talk: compiled code comes from their files only where they say so.
TALKS = (
    *("analysis", "batch", "cli", "export", "laboratory", "mesa_model", "outcomes", "scenario", "simulation", "trial"),
    *("drawing.py", "drawing_memory.py", "forms.py", "spatial.py", "tables.py"),
)
SAYS_SO = b"foundation.jit"
COMPILED = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]


def source_digest(root: Path) -> str:
    """Short digest of the Python sources below the package folder `root` that compiled code may come from.

    That is every file, wherever it has moved to, but those without a kernel in rooms that kernels never ask.
    """
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name, text = path.relative_to(root).as_posix(), path.read_bytes()
        if name.split("/")[0] not in TALKS or SAYS_SO in text:
            digest.update(name.encode())
            digest.update(text)
    return digest.hexdigest()[:12]


def _cache_folder() -> str | None:
    """A folder for compiled code that only this user can write, or None where there is none."""
    name = f"tme_abm-{source_digest(Path(__file__).parents[1])}"
    if given := os.environ.get("NUMBA_CACHE_DIR"):
        return str(Path(given) / name) if private(Path(given) / name) else None
    if private(Path.home() / ".cache" / "tme_abm" / name):
        return str(Path.home() / ".cache" / "tme_abm" / name)
    # the folder of temporary files belongs to all: there the folder above must be this user's own too
    return str(temporary() / name) if private(temporary()) and private(temporary() / name) else None


CACHE_FOLDER = _cache_folder()


@contextmanager
def caching_in(name: str) -> Iterator[None]:
    """Compiled code of what is decorated meanwhile goes into a folder of its own, named by all that it comes from."""
    global CACHE_FOLDER
    before = CACHE_FOLDER
    if before is not None:
        CACHE_FOLDER = str(Path(before) / f"outside-{name}")
    try:
        yield
    finally:
        CACHE_FOLDER = before


def kernel(function: F) -> F:
    """Compile `function` with numba in nopython mode, once per machine and version of the sources.

    Where other kernels call it, it becomes a part of them, and is not compiled by itself for their sake.
    """
    return _kernel(function, {})


def inlined(function: F) -> F:
    """Compile a kernel that is written out wherever another one calls it.

    For short ones in the hottest loops: to hand over an array means seven values, which takes longer than to add up nine numbers of it.
    """
    return _kernel(function, {"forceinline": True})


def _kernel(function: F, options: dict[str, Any]) -> F:
    compiled: Any = _compile(function, options)
    if COMPILED:
        compiled.__class__ = Kernel
    return cast(F, compiled)


def part(function: F) -> F:
    """Compile a function that only other kernels call: it becomes machine code only as a part of them.

    A test calls `f.py_func`.
    """
    return _part(function, {})


def _part(function: F, options: dict[str, Any]) -> F:
    compiled: Any = _compile(function, {"no_cpython_wrapper": True, "pipeline_class": PartCompiler, **options})
    if COMPILED:
        compiled.__class__ = Part
    return cast(F, compiled)


def entry(function: Any) -> Any:
    """A kernel or a part, compiled so that compiled code can call it by its address (`foundation.calling`); Python cannot call it."""
    known = _ENTRIES.get(function)
    if known is None:
        try:
            known = _compile(function.py_func, {"no_cpython_wrapper": True})
        except RuntimeError:  # numba finds no place to keep what stands in no file
            known = _compile(function.py_func, {"no_cpython_wrapper": True, "cache": False})
        _ENTRIES[function] = known
    return known


def index_of(function: Any) -> str:
    """The file that numba's cache keeps of what `entry` makes of a part; "" where it keeps none."""
    kept: Any = getattr(entry(function), "_cache", None)
    return str(kept._cache_file._index_path) if isinstance(kept, CheckedCache) else ""


_ENTRIES: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


class Part(CPUDispatcher):
    """What only compiled code calls."""

    def compile(self, sig: Any) -> Any:
        """Translate it for some types, where that is not done; numba would look into its cache and have every caller's clocks told."""
        this: Any = self
        given, returned = sigutils.normalize_signature(sig)
        with global_compiler_lock, this._compiling_counter:
            known = this.overloads.get(given)
            if known is None:
                known = this._compiler.compile(given, returned)
                this.add_overload(known)
            return known.entry_point

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """How compiled code calls it: one version for whole numbers of every size, written out or not, rather than one for each."""
        return super().get_call_template(tuple(map(_plain, args)), {name: _plain(kind) for name, kind in kws.items()})


def _plain(kind: Any) -> Any:
    kind = types.unliteral(kind)
    return types.int64 if kind in types.integer_domain and kind != types.uint64 else kind


class Kernel(CPUDispatcher):
    """What Python calls by itself, while compiled code that calls it gets it as a part."""

    def _compilation_chain_init_hook(self) -> None:
        """Look for no extensions of numba before reading a kernel from the cache, for which all that is installed is asked.

        Whoever compiles asks them (`load_additional_registries`), and what kernels of this package are called with is known to numba.
        """

    @functools.cached_property
    def as_part(self) -> Any:
        """The same function as a part."""
        return _part(self.py_func, {name: value for name, value in self.targetoptions.items() if name == "forceinline"})

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """How compiled code calls it."""
        return self.as_part.get_call_template(args, kws)

    def get_overload(self, sig: Any) -> Any:
        """What compiled code calls."""
        return self.as_part.get_overload(sig)


def tell_apart(function: Callable[..., Any]) -> None:
    """Name a function that another function has made after its content, so that no two of the same name differ.

    Numba tells such functions apart by counting them. Two processes count differently, and where code of both is read from the cache into a
    third, the linker takes one for the other without a word: symbols of one name are thought to be one function.
    """
    code = function.__code__
    if hasattr(function, "made_of") or not ("<locals>" in function.__qualname__ or code.co_filename.startswith("<")):
        return
    names = {name: function.__globals__[name] for name in code.co_names if name in function.__globals__}
    cells = dict(zip(code.co_freevars, (cell.cell_contents for cell in function.__closure__ or ()), strict=True))
    held = {name: _content_of(value) for name, value in sorted({**names, **cells}.items())}
    content = repr((code.co_code, code.co_consts, code.co_names, held)).encode()
    made: Any = function
    made.made_of = hashlib.sha256(content).hexdigest()[:12]
    made.__qualname__ = f"{made.__qualname__.replace('<locals>.', '')}_{made.made_of}"


def _content_of(value: Any) -> Any:
    """What tells a value that a function refers to from another, alike in every process."""
    if isinstance(value, np.ndarray):  # of which `repr` leaves out the middle
        return value.dtype.str, value.shape, value.tobytes()
    function = getattr(value, "py_func", value)
    return (function.__module__, function.__qualname__) if hasattr(function, "__qualname__") else repr(value)


def _compile(function: F, options: dict[str, Any]) -> F:
    tell_apart(function)
    if not COMPILED:
        return cast(F, _interpreted(function))
    config: Any = numba.config
    before = config.CACHE_DIR
    try:
        if CACHE_FOLDER is not None:
            config.CACHE_DIR = CACHE_FOLDER
        # no memory manager (_nrt): kernels allocate nothing, and counting references to every array of a bundle at every call
        # doubles the code to compile
        flags: dict[str, Any] = {"nogil": True, "_nrt": False, "no_cfunc_wrapper": True, "pipeline_class": Compiler, **options}
        is_kept = flags.pop("cache", True) and CACHE_FOLDER is not None and flags["pipeline_class"] is Compiler
        compiled = numba.njit(error_model="numpy", **flags)(function)
        if is_kept:
            compiled._cache = CheckedCache(function)
    finally:
        config.CACHE_DIR = before
    return cast(F, compiled)


_silence = threading.local()


def _interpreted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The plain Python function, silent where unsigned integers wrap round as they do in compiled code."""

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        if getattr(
            _silence, "is_kept", False
        ):  # by the function that calls this one; to begin it anew at every site takes most of the time
            return function(*args)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            _silence.is_kept = True
            try:
                return function(*args)
            finally:
                _silence.is_kept = False

    run.py_func = function  # type: ignore[attr-defined]
    return run
