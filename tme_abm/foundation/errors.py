"""The one kind of error that a user can cause: bad input."""

import difflib
from collections.abc import Iterable

FEW = 0.4  # how alike a word must be to one of few right ones, as the members of an enumeration


class InputError(ValueError):
    """What a user gave cannot be used.

    The message is one sentence that names the place (file and line where there is one), what is wrong and, where there is
    one, the nearest right word. The command line prints it and ends with exit code 2.
    """


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A hint to append to a message.

    Args:
        word: What was given.
        known: The words that are right.
        cutoff: How alike the nearest must be, 0 to 1; less where there are few to mix up.

    Returns:
        `"; did you mean 'x'?"` for the nearest right word, or the list of right words where none is near.
    """
    choices = sorted(str(k) for k in known)
    folded = {c.lower(): c for c in reversed(choices)}
    near = difflib.get_close_matches(word.lower(), folded, 1, cutoff=cutoff)
    if near:
        return f"; did you mean '{folded[near[0]]}'?"
    return f"; known: {', '.join(choices)}" if choices else ""


def first_line(error: BaseException) -> str:
    """What an error of somebody else's says, in one line; its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(" .:,")
