"""Where across the road the others drive, and which side of it is the slow one, as the traffic itself shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.geometry import M_PER_DEGREE
from detectors.lattice import FadingSums, Floats, Keys, Steps

TAU = 4 * 3_600_000.0  # ms: lanes and ramps keep their habits for hours
NEAR = 25.0  # m: reach of the kernel; what happens so near happens here
WIDER = 40.0  # m: the same for where across the road they drive, which changes slowly along it
STEP = 0.0003  # degrees: 33 m, about the kernel
OCTANT = 45.0  # degrees
SPREAD = 1.5  # m: what a receiver errs by alone; driving is never narrower
BATCH = 30_000  # ms of driving learned at once, for numpy's sake
FORGET = 20.0  # m driven
KERB = 1.0  # m towards the slower side, off the middle of the driving: a lane is 3.5 m wide, a receiver errs by 1.5
FARTHEST = 5.0  # m: the auxiliary lane of a ramp, beside three others
SIDE = 1.0  # surprise per metre between these: queues of ramps stand there every day; measured on labelled clusters
KNOWN = 500.0  # m driven, some fifteen vehicles: from then on it is known where and how fast the others drive

LATTICE = Steps(STEP, 8)
_AROUND = np.arange(-2, 3)
_UP = np.repeat(_AROUND, 5).reshape(25, 1, 1)
_RIGHT = np.tile(_AROUND, 5).reshape(25, 1, 1)
_TURNS = np.array((-1, 0, 1)).reshape(1, 3, 1)


@dataclass(slots=True)
class Squares:
    """The lattice around some positions. Shapes: (25, 1, positions), keys (25, 3, positions) with the three nearest octants."""

    keys: Keys
    centre: Floats  # m of each square's middle to the right of the position
    far2: Floats  # m2 from the position


@dataclass(slots=True)
class Driving:
    """What is usual of those who drive past a position."""

    passes: float
    beside: float  # standard deviations of the driving by which the position lies off its middle
    speed: float  # m/s, weighed by the metre so that queues do not outweigh their vehicles


def squares(lat: Floats, lon: Floats, heading: Floats) -> Squares:
    row, column = LATTICE.index(lat, lon)
    rows, columns = row + _UP, column + _RIGHT
    centre_lat, centre_lon = LATTICE.centre(rows, columns)
    east = (centre_lon - lon) * (M_PER_DEGREE * np.cos(np.radians(lat)))
    north = (centre_lat - lat) * M_PER_DEGREE
    turn = np.radians(heading)
    octant = (heading // OCTANT).astype(np.int64) + _TURNS
    return Squares(LATTICE.key(rows, columns, octant % 8), east * np.cos(turn) - north * np.sin(turn), east**2 + north**2)


class Across:
    """Driving and its offset across the road, summed on a lattice and read with a Gaussian kernel."""

    def __init__(self) -> None:
        self._sums = FadingSums((TAU,) * 4, FORGET)  # metres times: speed, offset, offset2, 1
        # How offset to the right goes with speed, over all that was driven: negative where the slow keep right.
        self._lean = 0.0
        self._waiting: list[tuple[int, Floats, Floats, NDArray[np.float32]]] = []  # time, lat, lon, the rest

    def learn(self, now: int, lat: Floats, lon: Floats, heading: Floats, speed: Floats, metres: Floats) -> None:
        """Take in what was driven in the pane that ended at `now`: degrees, m/s and m, no NaN. Call it in every pane."""
        if len(lat):
            self._waiting.append((now, lat, lon, np.array((heading, speed, metres), np.float32)))
        if self._waiting and now - self._waiting[0][0] >= BATCH:
            self._digest()
        self._sums.sweep(now)

    def _digest(self) -> None:
        then = self._waiting[-1][0]
        lat, lon = (np.concatenate([w[i] for w in self._waiting]) for i in (1, 2))
        heading, speed, driven = np.concatenate([w[3] for w in self._waiting], axis=1).astype(np.float64)
        self._waiting = []
        row, column = LATTICE.index(lat, lon)
        centre_lat, centre_lon = LATTICE.centre(row, column)
        east = (lon - centre_lon) * (M_PER_DEGREE * np.cos(np.radians(centre_lat)))
        turn = np.radians(heading)
        offset = east * np.cos(turn) - (lat - centre_lat) * M_PER_DEGREE * np.sin(turn)  # to the right of the centre
        keys = LATTICE.key(row, column, (heading // OCTANT).astype(np.int64) % 8)
        self._learn_side(keys, offset, speed, driven, then)
        self._sums.add(keys, (driven * speed, driven * offset, driven * offset**2, driven), then)

    def _learn_side(self, keys: Keys, offset: Floats, speed: Floats, driven: Floats, now: int) -> None:
        """Do those who drive to the right of the others drive slower, or faster?"""
        hurry, aside, _, metres = self._sums.read(self._sums.find(keys), now)
        known = metres >= KNOWN
        n = np.maximum(metres, 1e-9)
        self._lean += float((driven * (offset - aside / n) * (speed - hurry / n))[known].sum())

    def aside(self, lat: Floats, lon: Floats, heading: Floats, now: int) -> Floats:
        """Metres by which each position lies off the middle of the driving there, towards the slower side; 0 where unknown."""
        around = squares(lat, lon, heading)
        _, offset, _, driven = self._sums.read(self._sums.find(around.keys), now)
        weight = np.exp(-0.5 * around.far2 / WIDER**2)
        total = (driven * weight).sum((0, 1))
        middle = ((offset + around.centre * driven) * weight).sum((0, 1)) / np.maximum(total, 1.0)
        return np.where(total >= 1.0, -middle, 0.0) * (1.0 if self._lean <= 0.0 else -1.0)

    def driving(self, around: Squares, now: int) -> Driving | None:
        """How the others drive past the one position that these squares lie around; None where nobody does."""
        sums = self._sums.read(self._sums.find(around.keys), now) * np.exp(-0.5 * around.far2 / NEAR**2)
        hurry, offset, squared, driven = sums
        total = float(driven.sum())
        if total < 1.0:
            return None
        middle = float((offset + around.centre * driven).sum()) / total
        variance = float((squared + 2.0 * around.centre * offset + around.centre**2 * driven).sum()) / total - middle**2
        return Driving(
            passes=total / (math.sqrt(2.0 * math.pi) * NEAR),
            beside=abs(middle) / max(SPREAD, math.sqrt(max(variance, 0.0))),
            speed=float(hurry.sum()) / total,
        )


def at_the_side(metres: float) -> float:
    """Surprise that is taken off what happens so far off the middle of the driving, towards the slower side.

    >>> at_the_side(-3.0), at_the_side(3.0), at_the_side(30.0)
    (0.0, 2.0, 4.0)
    """
    return SIDE * (min(max(metres, KERB), FARTHEST) - KERB)
