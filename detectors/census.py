"""How busy and how fast each road cell was, minute by minute: not a detector, but what planners ask for."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.model import Rows, Sign
from detectors.table import MIX, Names, Slots, Table, claim

MINUTE = 60_000  # ms
SPREAD = 30_000  # ms of the next minute over which one's records are told: alerts would wait for eighty thousand at once
ANONYMOUS = 3  # distinct reporters: fewer could be told apart, so the record is not made
OCTANT = 45.0  # degrees; octant 0 is centred on north

ROAD = np.dtype(
    [("road", "u8"), ("reporters", "i8"), ("observations", "i8"), ("speaking", "i8"), ("speed", "i8"), ("brakes", "i8")]
)
"""Sums over one road cell: distinct reporters, observations, those that say a speed, the sum of those in cm/s, hard brakes."""
PAIR = np.dtype([("pair", "u8")])  # a reporter in a road cell: both in one number

# A reporter is a keyed hash of 64 bits, and so is it with the name of a road cell mixed in: no likelier to be another's.
_HARD_BRAKE = np.uint32(Sign.HARD_BRAKE)


class CellMinute(NamedTuple):
    """One road cell in one minute."""

    start: int  # ms since the epoch
    cell: int  # H3 index
    octant: int  # of the heading, 0 north, clockwise
    reporters: int  # distinct
    observations: int
    mean_speed: float  # m/s
    hard_brakes: int  # observations that carry the flag


@compiled
def road_cell(cell: int, heading: float) -> int:
    """H3 cell and heading octant in one number: the octant fills the three reserved bits of the index."""
    octant = np.uint64(math.floor(heading / OCTANT + 0.5)) % np.uint64(8)
    return np.uint64(cell) | octant << np.uint64(56)  # type: ignore[return-value]  # a whole number, to a loop


class Census:
    """Counts one shard's own rows; integer sums, so that no order of addition can matter."""

    def __init__(self) -> None:
        self._minute = 0
        self._begin()
        self._over: Rows = np.empty(0, ROAD)  # the minute that is over, by road cell
        self._start = 0  # ms: of that minute
        self._told = 0  # of these road cells

    def _begin(self) -> None:
        self._roads = Table(ROAD, "road")
        self._pairs = Table(PAIR, "pair")

    def update(self, rows: Rows, closed: int, last: bool = False) -> list[CellMinute]:
        """Take a shard's own rows, sorted by time, of the panes up to `closed` (ms); answer with what is due of the minutes
        that are over, or with all of it if nothing more is to be expected: `last`."""
        done, start = [], 0
        while start < len(rows):
            minute = int(rows["time"][start]) // MINUTE * MINUTE
            if minute != self._minute:
                done += self._turn()
                self._minute = minute
            self._roads.reserve(len(rows) - start)
            self._pairs.reserve(len(rows) - start)
            start = _count(rows, start, minute + MINUTE, *self._roads.arrays, *self._pairs.arrays[1:])
        if closed >= self._minute + MINUTE:
            done += self._turn()
        return done + self._tell(SPREAD if last else closed - self._start - MINUTE)

    def _turn(self) -> list[CellMinute]:
        """The minute is over. Answers with what was left of the one before."""
        if not len(self._roads):
            return []
        rest, roads = self._tell(SPREAD), self._roads.held
        roads = roads.compress((roads["reporters"] >= ANONYMOUS) & (roads["speaking"] > 0))
        self._over, self._start, self._told = roads.take(np.argsort(roads["road"])), self._minute, 0
        self._begin()
        return rest

    def _tell(self, since: int) -> list[CellMinute]:
        """What is due so many ms after the end of the minute that is over."""
        due = len(self._over) * min(max(since, 0), SPREAD) // SPREAD
        some, self._told = self._over[self._told : due].tolist(), max(due, self._told)
        return [
            CellMinute(self._start, road & ~(7 << 56), (road >> 56) & 7, reporters, seen, speed / speaking / 100, brakes)
            for road, reporters, seen, speaking, speed, brakes in some
        ]


@compiled
def _count(
    rows: Rows,
    start: int,
    until: int,
    roads: Rows,
    road_names: Names,
    road_slots: Slots,
    road_count: NDArray[np.int64],
    pair_names: Names,
    pair_slots: Slots,
    pair_count: NDArray[np.int64],
) -> int:
    """Count the rows from `start` that are before `until` (ms); answer with the first that is not."""
    for i in range(start, len(rows)):
        row = rows[i]
        if row["time"] >= until:
            return i
        heading, speed = np.float64(row["heading"]), np.float64(row["speed"])
        if math.isnan(heading):
            continue
        name = road_cell(row["cell"], heading)
        road = roads[claim(road_slots, road_names, road_count, name)]
        road["observations"] += 1
        if not math.isnan(speed):
            road["speaking"] += 1
            road["speed"] += math.floor(speed * 100.0 + 0.5)
        if row["signs"] & _HARD_BRAKE:
            road["brakes"] += 1
        before = pair_count[0]
        claim(pair_slots, pair_names, pair_count, name * MIX ^ row["reporter"])
        road["reporters"] += pair_count[0] - before
    return len(rows)
