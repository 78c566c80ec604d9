"""What is installed, and what lies in a folder of the user's: other machines have the former, of the latter only what they are sent."""

import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

OWN = ("tme_abm", "tme_viz", "__main__", "__mp_main__")  # there wherever this is, or sent by value anyway


def is_installed(module: str) -> bool:
    """Whether a module comes with Python or was installed; also where there is none, which its import says better."""
    try:
        spec = importlib.util.find_spec(module)
    except ValueError:  # as of __main__
        return False
    if spec is None:
        return True
    folders = [Path(place) for place in spec.submodule_search_locations or [spec.origin or ""]]
    if spec.origin in ("built-in", "frozen"):
        return True
    python = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
    return all({"site-packages", "dist-packages"} & set(folder.parts) or python & set(folder.resolve().parents) for folder in folders)


def modules_of_user() -> list[ModuleType]:
    """The modules that this process has imported and that were not installed."""
    found = []
    known = cache(is_installed)
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top not in OWN and getattr(module, "__file__", None) and name == getattr(module, "__name__", "") and not known(top):
            found.append(module)
    return found


@contextmanager
def carried(cloudpickle: Any) -> Iterator[None]:
    """Within, what `cloudpickle` packs takes along the code of modules that were not installed, which others could not import."""
    with ExitStack() as stack:
        for module in modules_of_user():
            if module.__name__ not in cloudpickle.list_registry_pickle_by_value():
                cloudpickle.register_pickle_by_value(module)
                stack.callback(cloudpickle.unregister_pickle_by_value, module)
        yield
