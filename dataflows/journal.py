"""What a shard was fed since its state was written whole, appended to a file batch by batch as it comes.

Fed again to that state it gives the state of now, for the same input gives the same state. So a snapshot need not write what
is large, but only say how long this file is: docs/decisions.md#a-snapshot-says-how-long-the-journal-is. The file begins with
the partitions whose watermarks were waited for: another start may know more of them, but the panes that were closed were
closed by these.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from dataflows.disk import Disk
from dataflows.intake import Chunk
from dataflows.panes import TABLES
from dataflows.shelf import Slip

HELD = 1 << 17  # bytes in memory: a file is opened and written to once where it was ten times, at full speed
_LENGTH = struct.Struct("<I")


class Journal:
    """One file, written over from its beginning. Until a slip is asked for, its last bytes may be in memory.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "since-7.0"
    >>> journal = Journal(Disk(path.parent), path, number=0, partitions=("v2x/0",))
    >>> journal.add([Chunk("v2x/0", 8000, 10_000, True, -1)])
    >>> journal.slip().size == path.stat().st_size
    True
    >>> partitions, batches = read(path.read_bytes())
    >>> partitions, [[chunk.watermark for chunk in batch] for batch in batches]
    (('v2x/0',), [[8000]])
    """

    def __init__(self, disk: Disk, path: Path, number: int, partitions: tuple[str, ...]) -> None:
        self._disk, self._path, self._number, self._partitions = disk, path, number, partitions
        self._digest, self.size = sha256(), 0
        self._held, self._handed = list[bytes](), 0  # bytes handed to the disk

    def add(self, chunks: Sequence[Chunk]) -> None:
        """A batch that came. Raises OSError."""
        pieces = [*([] if self.size else _frame(self._partitions)), *_frame([_flat(chunk) for chunk in chunks])]
        self._held += pieces
        self.size += sum(map(len, pieces))
        if self.size - self._handed >= HELD:
            self._append()

    def end(self) -> None:
        """Nothing more will be added, and no other slip asked for."""
        self._disk.cut(self._path, self._handed)

    def _append(self) -> None:
        self._disk.append(self._path, b"".join(self._held), self._handed, self._digest)
        self._held, self._handed = [], self.size

    def slip(self) -> Slip:
        """What there is so far, which is on its way to the disk. Raises OSError."""
        self._append()
        self._disk.appended()
        self._disk.sync(self._path)
        return Slip(self._number, self.size, self._digest.copy().hexdigest())


def read(whole: bytes | bytearray) -> tuple[tuple[str, ...], Iterator[list[Chunk]]]:
    """The partitions, and what was added, batch by batch; only for bytes that a slip vouches for."""
    frames = _frames(whole)
    partitions: tuple[str, ...] = next(frames)
    return partitions, ([_rows(*flat) for flat in batch] for batch in frames)


def _frame(what: object) -> list[bytes]:
    packed = pickle.dumps(what, protocol=5)
    return [_LENGTH.pack(len(packed)), packed]


def _frames(whole: bytes | bytearray) -> Iterator[Any]:
    at = 0
    while at < len(whole):
        (length,) = _LENGTH.unpack_from(whole, at)
        at += _LENGTH.size
        yield pickle.loads(whole[at : at + length])
        at += length


def _flat(chunk: Chunk) -> tuple[object, ...]:
    """Rows as bytes: an array would bring a kilobyte of names of fields along."""
    tables = chunk.observations, chunk.sensors, chunk.readings, chunk.notices
    return (*chunk[: -len(tables)], *(None if rows is None else rows.tobytes() for rows in tables))


def _rows(partition: str, watermark: int, latest: int, holds: bool, arrival: int, *tables: bytes | None) -> Chunk:
    rows = [
        None if each is None else np.frombuffer(bytearray(each), dtype)  # of its own, for compiled loops know no other arrays
        for each, dtype in zip(tables, TABLES.values(), strict=True)
    ]
    return Chunk(partition, watermark, latest, holds, arrival, *rows)
