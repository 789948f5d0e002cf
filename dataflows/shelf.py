"""Files beside the engine's, for state that is too large for its rows: written over in turn, and vouched for by sealed slips.

The engine copies a row four times and writes it twice, and clears away page by page what it replaces. A file that is written
over takes a tenth of that (docs/decisions.md#large-state-lies-beside-the-engines-rows). So the row holds no more than slips:
which files, how long, and the SHA-256 of each. The row is under the seal, so its files are as good as under it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from dataflows.disk import Disk, Writing
from dataflows.packing import Piece

SPARE = 3  # files older than those needed: the engine resumes from its last epoch or the one before, a cluster one behind


class ShelfError(Exception):
    """A file is not what its slip says."""


class Slip(NamedTuple):
    """What a sealed row says of a file."""

    number: int
    size: int
    digest: str


class Shelf:
    """One row's files of a kind, of which the last `parts` are needed.

    Examples
    --------
    >>> import tempfile
    >>> shelf = Shelf(Disk(Path(tempfile.mkdtemp())), "shard-7")
    >>> slips = shelf.put([b"sta", b"te"])
    >>> [bytes(file) for file in shelf.take(slips)]
    [b'state']
    """

    def __init__(self, disk: Disk, name: str, parts: int = 1) -> None:
        self._disk, self._name, self._parts = disk, name, parts
        self._slips: list[Slip] = []
        self._begun: Writing | None = None  # the last file, while nobody asked for its slip
        self.next = 0  # number of the next file

    def begin(self, pieces: Sequence[Piece]) -> Writing:
        """Have a file written (`Disk.write`). Raises OSError."""
        self._finish()
        self._begun = self._disk.write(self.path(self.next), pieces)
        self.next += 1
        return self._begun

    def put(self, pieces: Sequence[Piece]) -> list[Slip]:
        """The same; the slips of the files that are needed now. Raises OSError."""
        self.begin(pieces)
        return self.slips

    @property
    def slips(self) -> list[Slip]:
        """Those of the files that are needed now; waits until the last one is summed. Raises OSError."""
        self._finish()
        return self._slips

    def _finish(self) -> None:
        if self._begun is not None:
            slip = Slip(self.next - 1, self._begun.size, self._begun.digest.result())
            self._slips, self._begun = [*self._slips, slip][-self._parts :], None

    def take(self, slips: Sequence[Slip]) -> list[bytearray]:
        """The files of the slips, and go on from there. Raises ShelfError, OSError."""
        self._slips, self._begun = list(slips), None
        self.next = slips[-1].number + 1 if slips else 0
        return list(self.read(slips))

    def read(self, slips: Sequence[Slip]) -> Iterator[bytearray]:
        self._disk.written()
        for slip in slips:
            path = self.path(slip.number)
            try:
                with path.open("rb") as file:
                    if os.fstat(file.fileno()).st_mode & stat.S_IWOTH:
                        raise ShelfError(f"everybody may write {path.name}, so nobody knows who did")
                    whole = bytearray(slip.size)
                    length = file.readinto(whole)
            except FileNotFoundError:
                raise ShelfError(f"{path.name} is missing") from None
            if length != slip.size or sha256(whole).hexdigest() != slip.digest:
                raise ShelfError(f"{path.name} is not as roadwatch left it")
            yield whole

    def path(self, number: int) -> Path:
        return self._disk.directory / f"{self._name}.{number % (self._parts + SPARE)}"


def to_row(slips: dict[str, list[Slip]]) -> bytes:
    return json.dumps(slips).encode()


def from_row(row: bytes) -> dict[str, list[Slip]] | None:
    """The slips that a row holds, if they are slips: packed state begins with another byte."""
    if not row.startswith(b"{"):
        return None
    return {name: [Slip(*slip) for slip in slips] for name, slips in json.loads(row).items()}
