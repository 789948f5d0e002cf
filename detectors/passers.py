"""How many pass where, and which way: the number that a count of witnesses is held against."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.geometry import M_PER_DEGREE, POLE, angle_between, distance
from detectors.lattice import FadingSums, Floats, Keys, Steps, number_of, row_and_column
from detectors.model import SLEPT, Rows
from detectors.table import Slots, free_slots, slot_of

REACH = 200.0  # m, well within SIGHT: evidence at a shard's border is seen whole
SAME_WAY = 60.0  # degrees
WINDOW = 300_000  # ms: five minutes
RECENT = 150_000.0  # ms: time constant of the flow, so that most of it is from the window
DAY = 86_400_000.0  # ms: time constant of what is usual
TICK = 10_000  # ms between two countings of who is on the road
PASS = 2 * REACH  # m driven that make one passer-by
FORGET = 0.1  # passers-by, a day's memory

STEP = 0.0009  # degrees: 100 m
DIRECTIONS = 12  # of 30 degrees
_LATTICE = Steps(STEP, DIRECTIONS)
_SOFT = 70.0  # m: half the diagonal of a square; weights fall off over so much, so that the lattice's place does not show
_NEAR = np.arange(-3, 4)  # squares: as far as weights reach, to the north and the south
_MIDDLE = np.arange(12) * 30.0 + 15.0  # degrees


class Passers:
    """Counts metres driven per place and direction, as passers-by of places of 400 m. Its size follows the roads in use."""

    def __init__(self) -> None:
        self._driven = FadingSums((RECENT, DAY), FORGET)
        self._began = 0  # ms: since when it is counted
        self._ticked = 0

    def tick(self, rows: Rows, start: int, end: int) -> bool:
        """Let a pane pass. Every TICK its rows are taken as who is on the road; True then."""
        now = end // TICK
        if now == self._ticked:
            return False
        passed = (now - self._ticked) * TICK
        if passed > SLEPT:  # at the start, and after a gap
            self._began, passed = start, TICK
        self._ticked = now
        self._driven.sweep(end)
        if len(rows):
            slots = free_slots(len(rows))
            keys, passes = np.empty(len(rows), np.int64), np.empty(len(rows))
            n = _count(rows, passed / 1000.0 / PASS, rows["reporter"].copy(), slots, keys, passes)
            self._driven.add(keys[:n], (passes[:n], passes[:n]), end)
        return True

    def near(self, lat: float, lon: float, heading: float, now: int) -> tuple[float, float]:
        """Passers-by per ms lately, and all that are remembered, within REACH and going this way."""
        recent, usual = around(self._driven, lat, lon, heading, now)
        seen = 1.0 - math.exp(-max(TICK, now - self._began) / RECENT)
        return recent / (RECENT * seen), usual

    def total(self, now: int) -> float:
        """All passers-by that are remembered."""
        return self._driven.total(now)[1]


def squares(lat: Floats, lon: Floats, heading: Floats) -> Keys:
    """The slots of places with a heading."""
    way = (heading // 30.0).astype(np.int64) % DIRECTIONS
    return _LATTICE.key(*_LATTICE.index(lat, lon), way)


def around(sums: FadingSums, lat: float, lon: float, heading: float, now: int) -> list[float]:
    """What these slots hold within REACH of a place, going this way, per column of sums."""
    row, column = _LATTICE.index(lat, lon)
    beside = math.ceil((REACH + _SOFT) / (STEP * M_PER_DEGREE * max(math.cos(math.radians(lat)), POLE)))
    rows, columns = row + _NEAR[:, None, None], column + np.arange(-beside, beside + 1)[None, :, None]
    way = np.flatnonzero(~(angle_between(_MIDDLE, heading) > SAME_WAY))
    at = sums.find(_LATTICE.key(rows, columns, way))
    far = distance(*_LATTICE.centre(rows, columns), lat, lon)
    weight = np.clip((REACH + _SOFT - far) / (2 * _SOFT), 0.0, 1.0)
    total: list[float] = (sums.read(at, now) * weight).sum((1, 2, 3)).tolist()
    return total


@compiled
def _count(rows: Rows, metre: float, names: NDArray[np.uint64], slots: Slots, keys: Keys, passes: Floats) -> int:
    """Where each vehicle on the move was last, and how much of a passer-by it is; returns how many there are.

    `metre`: passers-by in 1 m/s. `slots` are empty; each will hold a vehicle's newest row.
    """
    n = 0
    for i in range(len(rows) - 1, -1, -1):
        row = rows[i]
        speed, heading = np.float64(row["speed"]), np.float64(row["heading"])
        slot = slot_of(slots, names, names[i])
        if slots[slot] < 0 and speed > 0.0 and heading >= 0.0:
            slots[slot] = i
            square = row_and_column(row["lat"], row["lon"], STEP)
            keys[n] = number_of(square[0], square[1], DIRECTIONS, int(heading / 30.0) % DIRECTIONS)
            passes[n] = speed * metre
            n += 1
    return n
