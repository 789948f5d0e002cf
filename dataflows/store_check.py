"""Looks through a recovery store before the engine does: every file is there and whole, and every row is ours.

The engine unpickles whatever it finds, and whoever writes a pickle chooses what runs. So nothing is handed to it but plain
bytes under our seal. Here a row is only read opcode by opcode, never unpickled.
"""

from __future__ import annotations

import pickle
import pickletools
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from dataflows.disk import Disk
from dataflows.seal import Seal, SealError
from dataflows.shard_shelf import ShardShelf
from dataflows.shelf import ShelfError

STEPS = {"roadwatch.source": "source", "roadwatch.windows": "windows", "roadwatch.incidents": "incidents"}  # with state of ours
OUTPUTS = (
    "roadwatch.alerts",
    "roadwatch.cells",
    "roadwatch.dead_letters",
)  # their state is None, or a file's length
TABLES = {"parts", "exs", "fronts", "commits", "snaps"}
AROUND = {"PROTO", "FRAME", "MEMOIZE", "STOP"}  # opcodes that carry no value
SLACK = 10  # epochs by which partitions may differ: a kill leaves up to 3 (of 94 tried), a backup of another day thousands
PLAIN = {"NONE", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BININT", "BININT1", "BININT2", "LONG1"}


class StoreError(Exception):
    """Which file is not as roadwatch left it, and in what way."""


class Progress(NamedTuple):
    """How far the engine came, as it notes it."""

    runs: list[tuple[int, int, int]]  # number, workers, epoch at which it began
    fronts: list[tuple[int, int, int]]  # of a run a worker, and the epoch that it came to

    @classmethod
    def of(cls, files: Iterable[sqlite3.Connection]) -> Self:
        progress = cls([], [])
        for part in files:
            progress.add(part)
        return progress

    def add(self, part: sqlite3.Connection) -> None:
        self.runs.extend(part.execute("SELECT ex_num, worker_count, resume_epoch FROM exs"))
        self.fronts.extend(part.execute("SELECT ex_num, worker_index, worker_frontier FROM fronts"))

    @property
    def resumes(self) -> int:
        """The epoch at which the engine will go on, as it finds it itself: where the slowest worker of its last run came to."""
        if not self.runs:
            return 0
        run, workers, began = max(self.runs)
        came = {worker: epoch for number, worker, epoch in self.fronts if number == run}
        return min(max(began, came.get(worker, began)) for worker in range(workers))


def parts(directory: Path) -> list[Path]:
    """The engine's files that are there."""
    return sorted(directory.glob("part-*.sqlite3"))


@contextmanager
def connections(directory: Path) -> Iterator[list[sqlite3.Connection]]:
    """To all of them, while the block lasts. Never where an engine has them open itself: to close one takes its locks away."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(_opened(path))) for path in parts(directory)]


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)


def _size_at_rest(path: Path) -> int:
    """In bytes; 0 where a journal is beside it, whose pages are still to be copied and may be half copied."""
    return 0 if path.with_name(f"{path.name}-wal").exists() else path.stat().st_size


def check(directory: Path, count: int, store: int, seal: Seal) -> None:
    """Raises StoreError for what is not ours or not whole, and what sqlite3 and the system raise for what cannot be used."""
    expected, there = [f"part-{number}.sqlite3" for number in range(count)], {path.name for path in parts(directory)}
    for name in expected:
        if name not in there:
            raise StoreError(f"{name} is missing")
    for name in sorted(there.difference(expected)):
        raise StoreError(f"{name} does not belong to it")
    for path in (directory, *(directory / name for name in expected)):
        if path.stat().st_mode & stat.S_IWOTH:
            raise StoreError(f"everybody may write {path.name}, so nobody knows who did")
    written: dict[str, int] = {}
    shards: dict[str, list[tuple[int, bytes]]] = {}  # what the rows say of each, by epoch
    progress, rows = Progress([], []), 0
    for number, name in enumerate(expected):
        size = _size_at_rest(directory / name)  # before it is opened, for that makes a journal
        with closing(_opened(directory / name)) as part:
            part.text_factory = lambda text: text.decode(errors="replace")  # what is spoilt may be no text any more
            try:
                _check_part(part, number, count, store)
                if size % part.execute("PRAGMA page_size").fetchone()[0]:  # SQLite fills up a last page that holds nothing yet
                    raise StoreError("was cut short")
                written[name] = part.execute("SELECT coalesce(max(commit_epoch), 0) FROM commits").fetchone()[0]
                progress.add(part)
                for step, key, epoch, row in part.execute("SELECT step_id, state_key, snap_epoch, ser_change FROM snaps"):
                    state, rows = _check_row(step, key, row, seal), rows + 1
                    if STEPS.get(step) == "windows":
                        shards.setdefault(key, []).append((epoch, state))
            except StoreError as error:
                raise StoreError(f"{name}: {error}") from None
            except UnicodeDecodeError:  # SQLite quotes what it complains of
                raise StoreError(f"{name}: is malformed") from None
    if rows and not progress.runs:
        raise StoreError("it holds state, but no note of how far that is")
    _check_files(directory, shards, progress.resumes)
    oldest, newest = min(written, key=written.__getitem__), max(written.values())
    if newest - written[oldest] > SLACK:
        raise StoreError(f"{oldest} is {newest - written[oldest]} snapshots older than the rest")


def _check_files(directory: Path, shards: dict[str, list[tuple[int, bytes]]], resumes: int) -> None:
    """The files of the rows that the engine will go on from; those of later ones may be half written over."""
    disk = Disk(directory)
    for key, rows in sorted(shards.items()):
        _, state = max((row for row in rows if row[0] < resumes), default=(0, b""))
        if not key.isdecimal():
            raise StoreError(f"{key} is no shard")
        try:
            ShardShelf(disk, int(key)).check(state)
        except ShelfError as error:
            raise StoreError(str(error)) from None


def _check_part(part: sqlite3.Connection, number: int, count: int, store: int) -> None:
    part.execute("PRAGMA trusted_schema = OFF")
    tables = part.execute("SELECT type, name, rootpage FROM sqlite_schema WHERE name NOT LIKE 'sqlite_autoindex_%'").fetchall()
    columns = part.execute("PRAGMA table_xinfo(snaps)").fetchall()
    plain = all(kind == "table" and page for kind, _, page in tables) and not any(hidden for *_, hidden in columns)
    if {name for _, name, _ in tables} != TABLES or not plain:  # a view or a trigger could show the engine other rows than us
        raise StoreError("holds other tables than the engine makes")
    (found,) = part.execute("PRAGMA integrity_check(1)").fetchone()  # indices too: the engine reads by them
    if found != "ok":
        raise StoreError(found)
    (belongs,) = part.execute("PRAGMA application_id").fetchone()
    if belongs != store or part.execute("SELECT part_index, part_count FROM parts").fetchall() != [(number, count)]:
        raise StoreError("comes from another store")
    part.execute("BEGIN IMMEDIATE")  # fails now, not at the first snapshot, where nothing can be written
    part.execute("ROLLBACK")


def _check_row(step: str, key: str, row: bytes | None, seal: Seal) -> bytes:
    """The state in it; empty for outputs."""
    row = row or b""
    try:
        values = list(_values(row))
    except ValueError as error:  # what pickletools raises for what is no pickle
        raise StoreError(f"the state of {step} {key} is no snapshot ({error})") from None
    if len(values) != 1 or row != _as_the_engine(values[0], row):
        raise StoreError(f"the state of {step} {key} is no snapshot")
    (value,) = values
    if step in STEPS:
        try:
            return seal.open(f"{STEPS[step]}/{key}", value if isinstance(value, bytes) else b"")
        except SealError:
            raise StoreError(f"the state of {step} {key} was not written by this roadwatch") from None
    if step not in OUTPUTS or isinstance(value, bytes):
        raise StoreError(f"the state of {step} {key} was not written by this roadwatch")
    return b""


def _as_the_engine(value: object, row: bytes) -> bytes | None:
    """The value pickled anew: so the row says nothing that its opcodes do not show, such as a wrong length of a frame."""
    return pickle.dumps(value, protocol=row[1]) if row[1] <= pickle.HIGHEST_PROTOCOL else None


def _values(row: bytes) -> Iterator[object]:
    for opcode, value, _ in pickletools.genops(row):
        if opcode.name in PLAIN:
            yield value
        elif opcode.name not in AROUND:
            raise ValueError(f"{opcode.name} is none of its opcodes")
