"""The journal of a run: a line for each piece of work that is done, on disk before it counts, with a checksum.

Lines go to shards, a new one each time that the journal is opened, so nobody ever writes behind a line that a crash has cut short. A
damaged line costs its own piece of work, which is done again. A line is `CRC-32 of the rest, key, TAB, JSON`.
"""

import json
import os
import shutil
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from tme_abm.batch.files import plain, sync_folder
from tme_abm.foundation.errors import InputError

SHARD_BYTES = 64 * 2**20  # after which another shard begins
MOST_OPEN = 64  # shards that are read from at a time


class _Place(NamedTuple):
    """Where a line stands."""

    shard: Path
    offset: int
    length: int


class Journal:
    """What is done, by key.

    Attributes:
        folder: Where the shards are.
        damaged: Lines that could not be read when the journal was opened.
    """

    def __init__(self, folder: Path) -> None:
        """Open a journal, or begin one.

        Raises:
            InputError: Where a folder stands in the place of a shard.
        """
        self.folder = folder
        self.damaged = 0
        self._places: dict[str, _Place] = {}
        self._lock = threading.Lock()
        self._file: IO[bytes] | None = None
        self._shard = folder
        for shard in self._shards():
            self._index(shard)

    def _shards(self) -> list[Path]:
        return sorted(self.folder.glob("*.shard"), key=lambda path: (len(path.name), path.name))

    def _index(self, shard: Path) -> None:
        if shard.is_dir():
            raise InputError(f"{shard} is a folder where a file of the journal belongs; put that back, or begin anew with --force")
        offset = 0
        with shard.open("rb") as file:
            for line in file:
                key = _checked(line)
                if key is None:
                    self.damaged += 1
                else:
                    self._places[key] = _Place(shard, offset, len(line))
                offset += len(line)

    def __len__(self) -> int:
        """How much is done."""
        return len(self._places)

    def __contains__(self, key: str) -> bool:
        """Whether a piece of work is done."""
        return key in self._places

    def __iter__(self) -> Iterator[str]:
        """What is done."""
        return iter(list(self._places))

    def add(self, key: str, record: Mapping[str, Any]) -> None:
        """Write down a piece of work; on return it is on disk.

        Args:
            key: Its name, a word without blanks; what stood under it before is superseded.
            record: What JSON can hold; floats come back to the last bit.
        """
        body = f"{key}\t{json.dumps(record, default=plain, separators=(',', ':'))}".encode()
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        with self._lock:
            try:
                file = self._open()
                offset = file.tell()
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                self._drop()  # the line may stand there in part: the next goes elsewhere
                raise OSError(error.errno, error.strerror, str(self._shard)) from None
            self._places[key] = _Place(self._shard, offset, len(line))

    def _open(self) -> IO[bytes]:
        if self._file is not None and self._file.tell() >= SHARD_BYTES:
            self._drop()
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            shards = self._shards()
            self._shard = self.folder / f"{int(shards[-1].stem) + 1 if shards else 1:05d}.shard"
            self._file = self._shard.open("xb")
            sync_folder(self.folder)
        return self._file

    def _drop(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError:
                pass  # what it could not write was not counted either

    def read(self, key: str) -> dict[str, Any]:
        """What was written down under a key."""
        return next(self.read_all((key,)))

    def read_all(self, keys: Iterable[str]) -> Iterator[dict[str, Any]]:
        """What was written down under some keys, one after the other; only one is in memory."""
        handles: dict[Path, IO[bytes]] = {}
        try:
            for key in keys:
                place = self._places[key]
                file = handles.pop(place.shard, None) or place.shard.open("rb")
                handles[place.shard] = file  # the last one used stands last
                if len(handles) > MOST_OPEN:
                    handles.pop(next(iter(handles))).close()
                file.seek(place.offset)
                line = file.read(place.length)
                record: dict[str, Any] = json.loads(line[line.index(b"\t") + 1 :])
                yield record
        finally:
            for file in handles.values():
                file.close()

    def include(self, other: "Journal") -> None:
        """Count what stands in another journal as done, in the place of what stands here; it is read from there."""
        self._places |= other._places

    def copy(self, folder: Path) -> None:
        """Have all shards in another folder too, as they are."""
        self.close()
        folder.mkdir(parents=True)
        for shard in self._shards():
            try:
                os.link(shard, folder / shard.name)  # nobody writes to a shard once it is closed
            except OSError:
                shutil.copyfile(shard, folder / shard.name)

    def forget(self, keys: Callable[[str], bool]) -> None:
        """Take some pieces of work as not done, as far as this opening goes."""
        self._places = {key: place for key, place in self._places.items() if not keys(key)}

    def close(self) -> None:
        """Write no more."""
        with self._lock:
            self._drop()


def _checked(line: bytes) -> str | None:
    """The key of a line; None where it is damaged."""
    body = line[9:-1]
    try:
        is_whole = line.endswith(b"\n") and line[8:9] == b" " and int(line[:8], 16) == zlib.crc32(body)
        return body[: body.index(b"\t")].decode() if is_whole else None
    except ValueError:
        return None
