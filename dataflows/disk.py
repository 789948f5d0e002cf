"""A recovery store's directory: what large state is written to beside the engine's own files, by threads of its own.

Files are written while the next state is packed, and get on to the disk while the next is written. A failing disk is noticed at
the end of an epoch at the latest, and its last words are kept for the sentence that ends the worker.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataflows.packing import Piece
from dataflows.panics import LastWords
from detectors.growing import Growing

WRITERS = 2  # files written or summed at a time, while the next state is packed
SYNCS = 4  # files at a time: a disk waits as long for four as for one
OPEN = 256  # files that are not on the disk yet, at most
PIECES = 64  # of journals that wait to be appended, at most: 128 KB each, or one batch, which may be a megabyte
IOV_MAX = 1024  # pieces that Linux takes in one call

FAILURE = LastWords[OSError]()


class Writing(NamedTuple):
    """A file on its way."""

    size: int  # bytes
    digest: Future[str]  # SHA-256 of it
    written: Future[Future[None]]  # gives what then gets it on to the disk


class Disk:
    """A store's directory, and threads that write there while the next state is packed. One for each process.

    `interval` is how many seconds lie between two snapshots.
    """

    def __init__(self, directory: Path, interval: float = 0.0) -> None:
        self.directory, self.interval = directory, interval
        self._writers = ThreadPoolExecutor(WRITERS, "roadwatch-writer")
        self._syncs = ThreadPoolExecutor(SYNCS, "roadwatch-sync")
        self._appender = ThreadPoolExecutor(1, "roadwatch-append")  # one, so that what is appended is summed in order
        self._appending: deque[Future[None]] = deque()
        self._writing: deque[Writing] = deque()
        self._syncing: deque[Future[None]] = deque()
        self._named: set[Path] = set()  # files whose names this process has seen to
        self._changing: set[int] = set()
        self._room = Growing(np.dtype(np.uint8), 0)
        self.lent: Writing | None = None  # what is written from `room`

    def write(self, path: Path, pieces: Sequence[Piece]) -> Writing:
        """Write a file, which gets on to the disk by itself until `settle`. The pieces must not change until `let_go`."""
        if len(self._writing) >= OPEN:
            self.settle()
        size = sum(map(len, pieces))
        summed, written = self._writers.submit(_sum, pieces), self._writers.submit(self._write, path, pieces, size)
        self._writing.append(Writing(size, summed, written))
        return self._writing[-1]

    def let_go(self, writing: Writing) -> None:
        """Wait until a file is summed and written: then what its pieces show may change. Raises OSError."""
        with kept():
            writing.digest.result()
            writing.written.result()

    def room(self, size: int) -> NDArray[np.uint8]:
        """So many bytes to copy into what is to be written: those of the last time again, once they are not `lent` any more.

        Pages that are there already are written to in an eighth of the time:
        docs/decisions.md#nobody-waits-for-a-copy-to-be-written. Raises OSError.
        """
        if self.lent is not None:
            self.let_go(self.lent)
        if len(self._room.rows) < size:
            self._room.grow(size * 5 // 4)
        return self._room.rows[:size].view(np.uint8)

    def changes(self, shard: int) -> None:
        """This shard is not any more as it was packed last."""
        self._changing.add(shard)

    def packed(self, shard: int) -> None:
        """Its files are on their way. With the last that changed in an epoch all are on the disk (`settle`), for then the
        engine may say that the epoch is complete. Raises OSError."""
        self._changing.discard(shard)
        if not self._changing:
            self.settle()

    def written(self) -> None:
        """Wait until everything is written, for then it outlives this process. Raises OSError."""
        while self._writing:
            self.let_go(writing := self._writing.popleft())
            self._syncing.append(writing.written.result())
        with kept():
            while self._syncing and self._syncing[0].done():
                self._syncing.popleft().result()

    def settle(self) -> None:
        """Wait until everything is on the disk. Raises OSError."""
        self.appended()
        self.written()
        with kept():
            while self._syncing:
                self._syncing.popleft().result()

    def append(self, path: Path, piece: bytes, at: int, digest: hashlib._Hash) -> None:
        """Write a file from its byte `at` on and add that to its sum, by a thread, in the order asked. Raises OSError."""
        if len(self._appending) >= PIECES:
            self._first()
        self._appending.append(self._appender.submit(_append, path, piece, at, digest))

    def cut(self, path: Path, size: int) -> None:
        """Give back what lies in a file behind what was appended, once that is done."""
        self._appending.append(self._appender.submit(_shorten, path, size))

    def appended(self) -> None:
        """Wait until all that was to be appended is written and summed. Raises OSError."""
        while self._appending:
            self._first()

    def _first(self) -> None:
        """Wait for the first that was to be appended. One that failed stays the first, for the sum is wrong for ever."""
        with kept():
            self._appending[0].result()
        self._appending.popleft()

    def sync(self, path: Path) -> None:
        """Get a file on to the disk, before `settle` ends."""
        self._syncing.append(self._syncs.submit(lambda: self._sync(_open(path), path)))

    def _write(self, path: Path, pieces: Sequence[Piece], size: int) -> Future[None]:
        descriptor = _open(path)
        try:
            _write(descriptor, pieces)
            _cut(descriptor, size)
        except OSError:
            os.close(descriptor)
            raise
        return self._syncs.submit(self._sync, descriptor, path)

    def _sync(self, descriptor: int, path: Path) -> None:
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        if path not in self._named:
            self._named.add(path)
            directory = os.open(self.directory, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)


def _sum(pieces: Sequence[Piece]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _append(path: Path, piece: Piece, at: int, digest: hashlib._Hash) -> None:
    digest.update(piece)
    descriptor = _open(path)  # not held open, for there may be more shards than files that may be open
    try:
        while piece:
            written = os.pwrite(descriptor, piece, at)
            piece, at = piece[written:], at + written
    finally:
        os.close(descriptor)


def _shorten(path: Path, size: int) -> None:
    descriptor = _open(path)
    try:
        _cut(descriptor, size)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)


def _write(descriptor: int, pieces: Sequence[Piece]) -> None:
    left = [memoryview(piece) for piece in pieces if len(piece)]
    while left:
        written = os.writev(descriptor, left[:IOV_MAX])
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]


def _cut(descriptor: int, size: int) -> None:
    """One large state, or one busy interval, is not to take its room for ever."""
    if os.fstat(descriptor).st_size > size:
        os.ftruncate(descriptor, size)


@contextmanager
def kept() -> Iterator[None]:
    """What cannot be written ends the worker, and is what its last sentence tells of."""
    try:
        yield
    except OSError as error:
        FAILURE.error = error
        raise


def complaint(error: OSError) -> str:
    """What SQLite would say of it, for which there are remedies."""
    words = {
        errno.ENOSPC: "database or disk is full",
        errno.EDQUOT: "database or disk is full",
        errno.EROFS: "readonly database",
        errno.EACCES: "unable to open database file",
        errno.EMFILE: "unable to open database file",
    }
    return words.get(error.errno or 0, "disk I/O error")
