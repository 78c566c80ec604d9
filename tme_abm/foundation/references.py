"""What a number may cite: the keys of references.bib, this model itself, or what a study says of its own."""

import difflib
import re
from functools import cache
from pathlib import Path

from tme_abm.foundation.errors import InputError

BIBLIOGRAPHY = Path(__file__).with_name("references.bib")
OWN = ("this study", "doi")  # "this study: our own flow cytometry", "doi: 10.1056/..."


@cache
def keys() -> frozenset[str]:
    """The keys of references.bib; `tme_abm`, an assumption of this model, is one of them."""
    return frozenset(re.findall(r"^@\w+\{([^,]+),", BIBLIOGRAPHY.read_text(encoding="utf-8"), re.MULTILINE))


@cache
def check_source(source: str, where: str) -> str:
    """The source of a number: "key", "key: remark", or several with semicolons between them.

    Raises:
        InputError: For a key that is neither in references.bib nor a study's own.
    """
    for part in source.split("; "):
        key = part.split(":")[0].strip()
        if key not in keys() and key not in OWN:
            near = difflib.get_close_matches(key.lower(), sorted(keys()), 1, cutoff=0.6)
            hint = f"did you mean '{near[0]}'?" if near else f"one of your own reads 'this study: {key}'"
            raise InputError(f"{where}: unknown source '{key}'; {hint}")
    return source
