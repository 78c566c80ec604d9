"""Files that are there whole or not at all."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader, or a power cut, finds the old content or the new one, never a part."""
    scratch = scratch_of(path)
    try:
        with scratch.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from None
    sync_folder(path.parent)


def scratch_of(path: Path) -> Path:
    """Where the new content of a file stands until it is whole; a crash may leave it behind."""
    return path.with_name(f".{path.name}.new")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of JSON; numbers of numpy become plain ones."""
    write_whole(path, json.dumps(content, indent=2, default=plain) + "\n")


def plain(value: Any) -> Any:
    """A number of numpy as Python's own; anything else in words."""
    convert: Callable[[], Any] | None = getattr(value, "item", None)
    return convert() if convert is not None else str(value)


def sync(path: Path) -> None:
    """Have the disk keep what was written into a file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the disk keep which files are in a folder."""
    if os.name == "nt":  # which has no such call
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems know no such call
    finally:
        os.close(handle)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
