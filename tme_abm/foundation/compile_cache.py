"""Where compiled code is kept: a folder that nobody else can write, and files that are compiled anew where they are damaged.

Numba takes what it finds in its cache as it is. A file that a full disk or a power cut left short would end every later run, and one that
somebody else has put there would run as this user. So each file carries a digest of its content, and a folder is used only if it is the
user's own.
"""

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llvmlite import binding
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile

from tme_abm.foundation.compiler_memory import remembering

DIGEST_BYTES = 32


def private(folder: Path) -> bool:
    """Make a folder that only this user can write, or say whether one that is there is such a folder.

    Returns:
        False where it cannot be made or written, or belongs to somebody else, or others may write it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_own(folder):
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def is_own(folder: Path) -> bool:
    """Whether a folder is no link, belongs to this user, and can be written by nobody else."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return False
    return os.name == "nt" or (found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def temporary() -> Path:
    """A folder of this user among the temporary files, whose name tells users apart."""
    return Path(tempfile.gettempdir()) / f"tme_abm-{os.getuid() if hasattr(os, 'getuid') else os.environ.get('USERNAME', 'user')}"


class CheckedFile(IndexDataCacheFile):
    """Numba's index and data files, with a digest at the end of each."""

    def _load_index(self) -> Any:
        """The index; empty where it is damaged, so that it is written anew."""
        if not _is_whole(self._index_path):
            return {}
        try:
            return super()._load_index()
        except Exception:  # whole, but of another numba or Python
            return {}

    def _load_data(self, name: str) -> Any:
        """The code.

        Raises:
            OSError: Where the file is damaged, which numba takes for a file that is missing.
        """
        path = self._data_path(name)
        if not _is_whole(path):
            raise OSError(f"{path} is damaged")
        return super()._load_data(name)

    @contextlib.contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[Any]:
        with super()._open_for_write(filepath) as file:
            yield file
            file.flush()
            file.write(_digest(Path(file.name).read_bytes()))


class MachineCode(CompileResultCacheImpl):
    """What is kept of a compiled function: its machine code.

    Numba keeps the code before that as well, most of a file, and reads it each time, for kernels into which the function is linked. Ours
    get those that they call as parts, never from the cache. So of the code before only the names are kept, by which numba finds the
    function.
    """

    def reduce(self, made: Any) -> Any:
        """What is kept."""
        kept = super().reduce(made)
        try:
            (name, kind, (code, _)), *others = kept
            known = {function.name for function in made.library._get_module_for_linking().functions if not function.is_declaration}
            called = (made.fndesc.llvm_func_name, made.fndesc.llvm_cpython_wrapper_name)
            empty = "".join(f'define void @"{function}"() {{ ret void }}\n' for function in called if function in known)
            return ((name, kind, (code, binding.parse_assembly(empty).as_bitcode())), *others)
        except (AttributeError, RuntimeError, TypeError, ValueError):  # another numba, which keeps other things
            return kept

    def rebuild(self, target_context: Any, payload: Any) -> Any:
        """The function; numba refuses to link what has no code but that of the machine."""
        made = super().rebuild(target_context, payload)
        made.library._shared_module = None
        return made


class CheckedCache(FunctionCache):
    """Numba's cache of a function, which never ends a run: what cannot be read is compiled, what cannot be written is not kept."""

    _impl_class = MachineCode

    def __init__(self, function: Any) -> None:
        """Keep the code of `function`."""
        super().__init__(function)
        locator = self._impl.locator
        self._cache_file = CheckedFile(self._cache_path, self._impl.filename_base, locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The code for a signature; None where there is none that could be used.

        Numba first asks all its registries what it could compile, for which it imports forty modules and scipy's linear algebra. Code that
        is compiled needs none of it, and whoever does compile asks them then.
        """
        try:
            with remembering():
                return self._load_overload(sig, target_context)
        except Exception:
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code for a signature, if that is possible."""
        with contextlib.suppress(OSError):
            super().save_overload(sig, data)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _is_whole(path: str) -> bool:
    """Whether a file ends in the digest of what stands before it; true where there is none, as nothing is damaged then."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return len(content) > DIGEST_BYTES and _digest(content[:-DIGEST_BYTES]) == content[-DIGEST_BYTES:]
