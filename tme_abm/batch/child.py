"""What a process that this one starts needs to know, to run the same code."""

import os
import sys


def environment(*first: str) -> dict[str, str]:
    """The environment of this process, in which another finds whatever this one could import.

    Args:
        first: Folders in which it looks before all others.
    """
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*first, *(path for path in sys.path if path)])}
