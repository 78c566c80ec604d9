"""Templates of reports, compiled once: jinja2 makes Python of them, which takes longer than to fill them in.

What it has made is kept beside compiled kernels, checked by the template's text, with a digest, so that a file that was cut short is
made anew.
"""

import contextlib
import hashlib
import os
import tempfile
from importlib.metadata import version
from pathlib import Path

from jinja2.bccache import Bucket, BytecodeCache

DIGEST_BYTES = 32


class TemplateCache(BytecodeCache):
    """A folder of compiled templates; what cannot be read is compiled, what cannot be written is not kept."""

    def __init__(self, folder: str) -> None:
        """Keep them in a folder that nobody else can write."""
        self.folder = Path(folder)
        self._by = version("jinja2")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill in what is kept of a template, if that is whole and of this very text."""
        with contextlib.suppress(OSError):
            content = self._path(bucket).read_bytes()
            if _digest(content[:-DIGEST_BYTES]) == content[-DIGEST_BYTES:]:
                bucket.bytecode_from_string(content[:-DIGEST_BYTES])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep a template."""
        content = bucket.bytecode_to_string()
        with contextlib.suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, scratch = tempfile.mkstemp(dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content + _digest(content))
                os.replace(scratch, self._path(bucket))
            except OSError:
                os.unlink(scratch)

    def _path(self, bucket: Bucket) -> Path:
        return self.folder / f"template-{self._by}-{bucket.key}"


def template_cache() -> TemplateCache | None:
    """Where compiled templates are kept; None where nothing is."""
    from tme_abm.foundation.jit import CACHE_FOLDER

    return None if CACHE_FOLDER is None else TemplateCache(CACHE_FOLDER)


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
