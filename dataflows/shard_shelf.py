"""A shard's state on the shelf: written whole now and then, and what came since beside it.

A snapshot stops the input, so it writes little: how long the journal is of what the shard was fed since it was last written
whole. The shards are written whole one after the other between the snapshots, each once an interval, at a moment of its own.

A million cars are 286 MB, of which ten seconds touch a tenth. So of their table each file holds the rows that were touched
since the last one, and every TURNS-th row in turn: the last TURNS files are the whole table, and none takes longer than others.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dataflows.disk import Disk, Writing
from dataflows.intake import Chunk
from dataflows.journal import Journal, read
from dataflows.metrics import METRICS, Metrics
from dataflows.packing import load, pack, unpack
from dataflows.shelf import Shelf, from_row, to_row
from dataflows.window import Panes, ShardWindow
from detectors.battery_vehicles import Changes, Vehicles

TURNS = 16  # files; as many are kept, and as many are read at a start
STATE, CARS, SINCE = "state", "cars", "since"
CHANGES = "changes"
GOLDEN = 0.618  # whose multiples leave no large gap between 0 and 1, however many shards there are

UNTOLD = Metrics()  # which nobody reads


class ShardShelf:
    """One shard's files: where its snapshots go, and come from."""

    def __init__(self, disk: Disk, shard: int) -> None:
        self._disk, self._shard = disk, shard
        self._shelves = {
            STATE: Shelf(disk, f"shard-{shard}"),
            CARS: Shelf(disk, f"cars-{shard}", TURNS),
            SINCE: Shelf(disk, f"since-{shard}"),
        }
        self._journal: Journal | None = None  # of what came since
        self._stagger = disk.interval * (shard * GOLDEN % 1.0)  # s
        self._due = time.monotonic() + self._stagger  # s: when its turn is, the first before the first snapshot
        self._turned = False  # since the last snapshot: one of the files kept is for each
        self._showing: Writing | None = None  # the file whose pieces show what the next chunk changes
        self._size = 0  # bytes written since the last snapshot

    def feed(self, chunks: Sequence[Chunk]) -> None:
        """The window is about to be fed: it changes, and the epoch will end with a snapshot. Raises OSError."""
        self._disk.changes(self._shard)
        if self._showing is not None:
            self._disk.let_go(self._showing)
            self._showing = None
        if self._journal is not None:
            before = self._journal.size
            self._journal.add(chunks)
            self._size += self._journal.size - before

    def turn(self, window: ShardWindow) -> None:
        """Write it whole, if it is its turn. Raises OSError."""
        if not self._turned and time.monotonic() >= self._due:
            self._write(window)

    def put(self, window: ShardWindow) -> tuple[bytes, int]:
        """The row of slips, and how many bytes were written since the last one. Raises OSError."""
        if self._journal is None:  # its turn did not come: as did nobody's, if the first snapshot came soon
            self._write(window)
            self._due += self._stagger
        assert self._journal is not None
        slips = {name: each for name in (STATE, CARS) if (each := self._shelves[name].slips)}
        if self._journal.size:
            slips[SINCE] = [self._journal.slip()]
        size, self._size, self._turned = self._size, 0, False
        self._disk.packed(self._shard)
        return to_row(slips), size

    def take(self, row: bytes, panes: Panes) -> ShardWindow:
        """The window that the row is of, and go on from there. Raises ShelfError, OSError."""
        slips = from_row(row)
        if slips is None:
            return ShardWindow(self._shard, panes, row)
        (state,) = self._shelves[STATE].take(slips[STATE])
        changes: list[Changes] = [load(unpack(file)[CHANGES]) for file in self._shelves[CARS].take(slips.get(CARS, []))]
        window = ShardWindow(self._shard, panes, state, Vehicles.of(changes) if changes else None)
        window.metrics = UNTOLD
        for file in self._shelves[SINCE].read(slips.get(SINCE, [])):
            partitions, batches = read(file)
            window.panes = replace(panes, partitions=partitions)
            for batch in batches:
                window.feed(batch)  # what it found was told, and counted, before the snapshot
        window.panes, window.metrics = panes, METRICS
        return window

    def files(self, row: bytes) -> list[Path]:
        """Those that the row's slips are of."""
        return [self._shelves[name].path(slip.number) for name, slips in (from_row(row) or {}).items() for slip in slips]

    def check(self, row: bytes) -> None:
        """Look whether the files are as a row's slips say. Raises ShelfError, OSError."""
        for name, slips in (from_row(row) or {}).items():
            for _ in self._shelves[name].read(slips):
                pass

    def _write(self, window: ShardWindow) -> None:
        """The state, and an empty journal beside it."""
        pieces, vehicles = window.in_two()
        state, cars = self._shelves[STATE], self._shelves[CARS]
        number, self._showing = state.next, state.begin(pieces)
        self._size += self._showing.size
        if len(vehicles) or cars.next:  # the touched rows are copied, so that nobody waits until these many are written
            pieces = pack({CHANGES: vehicles.changes(cars.next, TURNS, self._disk.room)})[0]
            self._disk.lent = cars.begin(pieces)
            self._size += self._disk.lent.size
        if self._journal is not None:
            self._journal.end()
        self._journal = Journal(self._disk, self._shelves[SINCE].path(number), number, window.panes.partitions)
        self._due = time.monotonic() + self._disk.interval
        self._turned = True
