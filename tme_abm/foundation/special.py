"""Special functions of scipy by name, without importing `scipy.special`, which takes a quarter of a second.

They stand in a compiled module below that package. What else it imports (wrappers for arrays of other libraries, among them numpy's Fortran
compiler) none of them needs. While that module is loaded, a package of the same name and place stands in for it; who asks for it meanwhile
gets the real one. Where scipy keeps them elsewhere, or has imported them already, they come from the package.
"""

import importlib
import sys
import threading
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE, WITHIN = "scipy.special", "scipy.special._ufuncs"
_LOCK = threading.RLock()


@cache
def special(name: str) -> Any:
    """A function of `scipy.special`, as it stands there."""
    with _LOCK:
        if PACKAGE not in sys.modules:
            function = getattr(_compiled(), name, None)
            if function is not None:
                return function
    return getattr(importlib.import_module(PACKAGE), name)


def _compiled() -> ModuleType | None:
    """The compiled module alone; None where there is none that can be loaded alone."""
    import scipy

    if WITHIN in sys.modules:
        return sys.modules[WITHIN]
    sys.modules[PACKAGE] = _StandIn(Path(scipy.__file__).parent / "special")
    try:
        return importlib.import_module(WITHIN)
    except Exception:  # it wants more of its package than a stand-in has
        return None
    finally:
        del sys.modules[PACKAGE]


class _StandIn(ModuleType):
    """The package, for those who only need to know where it is."""

    def __init__(self, folder: Path) -> None:
        """Stand in for the package in `folder`."""
        super().__init__(PACKAGE)
        self.__path__ = [str(folder)]

    def __getattr__(self, name: str) -> Any:
        """Whatever another thread may want of the package, once the real one can be imported."""
        if name.startswith("_"):
            raise AttributeError(name)
        with _LOCK:
            package = importlib.import_module(PACKAGE)
        if package is self:
            raise AttributeError(name)
        return getattr(package, name)
