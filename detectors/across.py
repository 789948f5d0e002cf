"""Where across the road the others drive, and which side of it is the slow one, as the traffic itself shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.driven import OCTANT, STEP, key_of
from detectors.geometry import M_PER_DEGREE, POLE
from detectors.lattice import FadingSums, Floats, Known, Room, row_and_column
from detectors.model import Rows
from detectors.table import claim, find

TAU = 4 * 3_600_000.0  # ms: lanes and ramps keep their habits for hours
NEAR = 25.0  # m: reach of the kernel; what happens so near happens here
WIDER = 40.0  # m: the same for where across the road they drive, which changes slowly along it
SPREAD = 1.5  # m: what a receiver errs by alone; driving is never narrower
FORGET = 20.0  # m driven
KERB = 1.0  # m towards the slower side, off the middle of the driving: a lane is 3.5 m wide, a receiver errs by 1.5
FARTHEST = 5.0  # m: the auxiliary lane of a ramp, beside three others
SIDE = 1.0  # surprise per metre between these: queues of ramps stand there every day; measured on labelled clusters
KNOWN = 500.0  # m driven, some fifteen vehicles: from then on it is known where and how fast the others drive

SQUARES = 2  # of the lattice that are read on each side: rows, and as many columns as are as wide


@dataclass(slots=True)
class Driving:
    """What is usual of those who drive past a position."""

    passes: float
    beside: float  # standard deviations of the driving by which the position lies off its middle
    speed: float  # m/s, weighed by the metre so that queues do not outweigh their vehicles


class Across:
    """Driving and its offset across the road, summed on a lattice and read with a Gaussian kernel."""

    def __init__(self) -> None:
        self._sums = FadingSums((TAU,) * 4, FORGET)  # metres times: speed, offset, offset2, 1
        # How offset to the right goes with speed, over all that was driven: negative where the slow keep right.
        self._lean = 0.0

    def learn(self, driven: Rows, now: int) -> None:
        """Take in a batch of what was driven, the last of it in the pane that ended at `now`."""
        self._lean += float(_learn(self._sums.room(len(driven), now), driven, np.empty(len(driven), np.int64)))

    def tick(self, now: int) -> None:
        """A pane ended."""
        self._sums.sweep(now)

    def aside(self, lat: Floats, lon: Floats, heading: Floats, now: int) -> Floats:
        """Metres by which each position lies off the middle of the driving there, towards the slower side; 0 where unknown."""
        off = np.zeros(len(lat))
        if len(lat):
            _aside(np.array((lat, lon, heading)), self._sums.arrays(now), off)
        return off if self._lean <= 0.0 else -off

    def driving(self, lat: float, lon: float, heading: float, now: int) -> Driving | None:
        """How the others drive past a position; None where nobody does."""
        total, offset, squared, hurry = map(float, _around(lat, lon, heading, NEAR, self._sums.arrays(now)))
        if total < 1.0:
            return None
        middle = offset / total
        variance = squared / total - middle**2
        return Driving(
            passes=total / (math.sqrt(2.0 * math.pi) * NEAR),
            beside=abs(middle) / max(SPREAD, math.sqrt(max(variance, 0.0))),
            speed=hurry / total,
        )


@compiled
def _learn(room: Room, driven: Rows, held: NDArray[np.int64]) -> float:
    """Add the driving. Returns how much slower, or faster, those drive who drive to the right of the others.

    `held` is filled with where the sums of each are.
    """
    keys, slots, size, sums, weights = room
    lean = 0.0
    for i in range(len(driven)):
        one = driven[i]
        at = held[i] = claim(slots, keys, size, one["key"])
        metres = sums[at, 3] / weights[3]
        if metres >= KNOWN:
            speed, driven_metres = np.float64(one["speed"]), np.float64(one["speed"]) * np.float64(one["seconds"])
            hurry, offset = sums[at, 0] / weights[0] / metres, sums[at, 1] / weights[1] / metres
            lean += driven_metres * (one["offset"] - offset) * (speed - hurry)
    for i in range(len(driven)):
        one = driven[i]
        at, offset = held[i], one["offset"]
        speed, metres = np.float64(one["speed"]), np.float64(one["speed"]) * np.float64(one["seconds"])
        sums[at, 0] += metres * speed * weights[0]
        sums[at, 1] += metres * offset * weights[1]
        sums[at, 2] += metres * (offset * offset) * weights[2]
        sums[at, 3] += metres * weights[3]
    return lean


@compiled
def _aside(where: Floats, known: Known, off: Floats) -> None:
    """How far to the right of the others each place (latitudes, longitudes, headings) lies, where there are others."""
    for i in range(len(off)):
        total, right, _, _ = _around(where[0, i], where[1, i], where[2, i], WIDER, known)
        if total >= 1.0:
            off[i] = -right / total


@compiled
def _around(lat: float, lon: float, heading: float, sigma: float, known: Known) -> tuple[float, float, float, float]:
    """Metres driven around a position in about this direction, and of these the sums of how far to the right of it they
    were, of that squared, and of their speed, weighed by a Gaussian kernel of `sigma` m."""
    keys, slots, sums, fades = known
    total = right = squared = hurry = 0.0
    row, column = row_and_column(lat, lon, STEP)
    narrow = max(math.cos(math.radians(lat)), POLE)
    turn = math.radians(heading)
    octant, beside = math.floor(heading / OCTANT), round(SQUARES / narrow)
    for r in range(row - SQUARES, row + SQUARES + 1):
        north = ((r + 0.5) * STEP - 90.0 - lat) * M_PER_DEGREE
        for c in range(column - beside, column + beside + 1):
            east = ((c + 0.5) * STEP - 180.0 - lon) * M_PER_DEGREE * narrow
            middle = east * math.cos(turn) - north * math.sin(turn)
            weight = math.exp((north * north + east * east) * (-0.5 / (sigma * sigma)))
            for o in range(octant - 1, octant + 2):
                at = find(slots, keys, key_of(r, c, o))
                if at >= 0:
                    metres, offset = sums[at, 3] * fades[3], sums[at, 1] * fades[1]
                    total += metres * weight
                    right += (offset + middle * metres) * weight
                    squared += (sums[at, 2] * fades[2] + 2.0 * middle * offset + middle * middle * metres) * weight
                    hurry += sums[at, 0] * fades[0] * weight
    return total, right, squared, hurry


def at_the_side(metres: float) -> float:
    """Surprise that is taken off what happens so far off the middle of the driving, towards the slower side.

    >>> at_the_side(-3.0), at_the_side(3.0), at_the_side(30.0)
    (0.0, 2.0, 4.0)
    """
    return SIDE * (min(max(metres, KERB), FARTHEST) - KERB)
