"""A shard's state on the shelf: all of it but the vehicles' table, and of that what was touched and a share of the rest.

A million cars are 286 MB, of which ten seconds touch a tenth. So each snapshot writes the rows that were touched since the last
one, and every TURNS-th row in turn: what was written in the last TURNS snapshots is the whole table, and none of them takes
longer than the others.
"""

from __future__ import annotations

from pathlib import Path

from dataflows.packing import load, pack, unpack
from dataflows.shelf import Disk, Shelf, from_row, to_row
from dataflows.window import Panes, ShardWindow
from detectors.battery_vehicles import Changes, Vehicles

TURNS = 16  # snapshots; as many files are kept, and as many are read at a start
STATE, CARS = "state", "cars"
CHANGES = "changes"


class ShardShelf:
    """One shard's files: where its snapshots go, and come from."""

    def __init__(self, disk: Disk, shard: int) -> None:
        self._disk, self._shard = disk, shard
        self._shelves = {STATE: Shelf(disk, f"shard-{shard}"), CARS: Shelf(disk, f"cars-{shard}", TURNS)}

    def changes(self) -> None:
        """The shard is fed: the epoch will end with a snapshot of it."""
        self._disk.changes(self._shard)

    def put(self, window: ShardWindow) -> tuple[bytes, int]:
        """The row of slips, and how many bytes are being written. Raises OSError."""
        pieces, vehicles = window.in_two()
        slips = {STATE: self._shelves[STATE].put(pieces)}
        size = slips[STATE][-1].size
        cars = self._shelves[CARS]
        if len(vehicles) or cars.next:
            slips[CARS] = cars.put(pack({CHANGES: vehicles.changes(cars.next, TURNS)})[0])
            size += slips[CARS][-1].size
        self._disk.packed(self._shard)
        return to_row(slips), size

    def take(self, row: bytes, panes: Panes) -> ShardWindow:
        """The window that the row is of, and go on from there. Raises ShelfError, OSError."""
        slips = from_row(row)
        if slips is None:
            return ShardWindow(self._shard, panes, row)
        (state,) = self._shelves[STATE].take(slips[STATE])
        changes: list[Changes] = [load(unpack(file)[CHANGES]) for file in self._shelves[CARS].take(slips.get(CARS, []))]
        return ShardWindow(self._shard, panes, state, Vehicles.of(changes) if changes else None)

    def files(self, row: bytes) -> list[Path]:
        """Those that the row's slips are of."""
        return [self._shelves[name].path(slip.number) for name, slips in (from_row(row) or {}).items() for slip in slips]

    def check(self, row: bytes) -> None:
        """Look whether the files are as a row's slips say. Raises ShelfError, OSError."""
        for name, slips in (from_row(row) or {}).items():
            for _ in self._shelves[name].read(slips):
                pass
