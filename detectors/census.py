"""How busy and how fast each road cell was, minute by minute: not a detector, but what planners ask for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.model import Rows, Sign

MINUTE = 60_000  # ms
ANONYMOUS = 3  # distinct reporters: fewer could be told apart, so the record is not made
OCTANT = 45.0  # degrees; octant 0 is centred on north
COMPACT = 50_000  # rows held before they are folded into sums


Numbers = NDArray[np.uint64]
_NONE = np.empty(0, np.uint64)


class CellMinute(NamedTuple):
    """One road cell in one minute."""

    start: int  # ms since the epoch
    cell: int  # H3 index
    octant: int  # of the heading, 0 north, clockwise
    reporters: int  # distinct
    observations: int
    mean_speed: float  # m/s
    hard_brakes: int  # observations that carry the flag


def road_cells(rows: Rows) -> NDArray[np.uint64]:
    """H3 cell and heading octant in one number: the octant fills the three reserved bits of the index. 0: no heading."""
    heading = rows["heading"].astype(np.float64)
    known = ~np.isnan(heading)
    octant = (np.where(known, heading, 0.0) / OCTANT + 0.5).astype(np.uint64) % np.uint64(8)
    return np.where(known, rows["cell"] | (octant << np.uint64(56)), np.uint64(0))


class Census:
    """Counts one shard's own rows; integer sums, so that no order of addition can matter."""

    def __init__(self) -> None:
        self._minute = 0
        self._pairs = _NONE, _NONE  # road cells and reporters, each pair once
        self._sums: dict[int, tuple[int, int, int, int]] = {}  # road cell -> observations, speeds known, cm/s, hard brakes
        self._held: list[Rows] = []
        self._count = 0

    def update(self, rows: Rows, closed: int) -> list[CellMinute]:
        """Take a shard's own rows, sorted by time, of the panes up to `closed` (ms); answer with the minutes that are over."""
        done = []
        first = int(rows["time"][0]) // MINUTE * MINUTE if len(rows) else closed
        cuts = np.searchsorted(rows["time"], np.arange(first + MINUTE, closed, MINUTE))
        for part in np.split(rows, cuts):
            if not len(part):
                continue
            minute = int(part["time"][0]) // MINUTE * MINUTE
            if minute != self._minute:
                done += self._close()
                self._minute = minute
            self._held.append(part)
            self._count += len(part)
            if self._count > COMPACT:
                self._fold()
        if closed >= self._minute + MINUTE:
            done += self._close()
        return done

    def _fold(self) -> None:
        if not self._held:
            return
        rows = np.concatenate(self._held)
        self._held, self._count = [], 0
        cells = road_cells(rows)
        rows, cells = rows.compress(cells != 0), cells[cells != 0]
        if not len(rows):
            return
        self._pairs = _distinct(np.append(self._pairs[0], cells), np.append(self._pairs[1], rows["reporter"]))
        names, which = np.unique(cells, return_inverse=True)
        moving = ~np.isnan(rows["speed"])
        speed = np.where(moving, np.rint(np.nan_to_num(rows["speed"]) * 100), 0)
        brakes = (rows["signs"] & Sign.HARD_BRAKE) != 0
        counts = [np.bincount(which, weights) for weights in (None, moving, speed, brakes)]  # whole numbers: exact to 2**53
        for name, *sums in zip(names.tolist(), *(column.astype(np.int64).tolist() for column in counts), strict=True):
            old = self._sums.get(name, (0, 0, 0, 0))
            self._sums[name] = (old[0] + sums[0], old[1] + sums[1], old[2] + sums[2], old[3] + sums[3])

    def _close(self) -> list[CellMinute]:
        self._fold()
        done = []
        names, counts = np.unique(self._pairs[0], return_counts=True)
        for name, reporters in zip(names.tolist(), counts.tolist(), strict=True):
            seen, known, speed, brakes = self._sums[name]
            if reporters < ANONYMOUS or not known:
                continue
            cell, octant = name & ~(7 << 56), (name >> 56) & 7
            done.append(CellMinute(self._minute, cell, octant, reporters, seen, speed / known / 100, brakes))
        self._pairs, self._sums = (_NONE, _NONE), {}
        return done


def _distinct(cells: Numbers, reporters: Numbers) -> tuple[Numbers, Numbers]:
    """Each pair once. By way of small numbers, since np.unique over rows of pairs took five times as long."""
    names, which = np.unique(cells, return_inverse=True)
    whom, who = np.unique(reporters, return_inverse=True)
    pairs = np.unique(which * len(whom) + who)
    return names[pairs // len(whom)], whom[pairs % len(whom)]
