"""What a shard was fed since its state was written whole, appended to a file batch by batch as it comes.

Fed again to that state it gives the state of now, for the same input gives the same state (docs/decisions.md). So a snapshot
need not write what is large, but only say how long this file is.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from dataflows.intake import Chunk
from dataflows.panes import TABLES
from dataflows.shelf import Disk, Slip

_LENGTH = struct.Struct("<I")


class Journal:
    """One file, written over from its beginning.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "since-7.0"
    >>> journal = Journal(Disk(path.parent), path, number=0)
    >>> journal.add([Chunk("v2x/0", 8000, 10_000, True, -1)])
    >>> journal.slip().size == path.stat().st_size
    True
    >>> [[chunk.watermark for chunk in batch] for batch in batches(path.read_bytes())]
    [[8000]]
    """

    def __init__(self, disk: Disk, path: Path, number: int) -> None:
        self._disk, self._path, self._number = disk, path, number
        self._new = not path.exists()
        self._digest, self.size = sha256(), 0

    def add(self, chunks: Sequence[Chunk]) -> None:
        """A batch that came. Raises OSError."""
        batch = pickle.dumps([_flat(chunk) for chunk in chunks], protocol=5)
        piece = _LENGTH.pack(len(batch)) + batch
        self._disk.append(self._path, piece, self.size)
        self._digest.update(piece)
        self.size += len(piece)

    def end(self) -> None:
        """Nothing more will be added. Raises OSError."""
        self._disk.cut(self._path, self.size)

    def slip(self) -> Slip:
        """What there is so far, which is on its way to the disk."""
        self._disk.sync(self._path, self._new)
        return Slip(self._number, self.size, self._digest.copy().hexdigest())


def batches(whole: bytes | bytearray) -> Iterator[list[Chunk]]:
    """What was added, batch by batch; only for bytes that a slip vouches for."""
    at = 0
    while at < len(whole):
        (length,) = _LENGTH.unpack_from(whole, at)
        at += _LENGTH.size
        yield [_rows(*flat) for flat in pickle.loads(whole[at : at + length])]
        at += length


def _flat(chunk: Chunk) -> tuple[object, ...]:
    """Rows as bytes: an array would bring a kilobyte of names of fields along."""
    tables = chunk.observations, chunk.sensors, chunk.readings
    return (*chunk[: -len(tables)], *(None if rows is None else rows.tobytes() for rows in tables))


def _rows(partition: str, watermark: int, latest: int, holds: bool, arrival: int, *tables: bytes | None) -> Chunk:
    rows = [
        None if each is None else np.frombuffer(bytearray(each), dtype)  # of its own, for compiled loops know no other arrays
        for each, dtype in zip(tables, TABLES.values(), strict=True)
    ]
    return Chunk(partition, watermark, latest, holds, arrival, *rows)
