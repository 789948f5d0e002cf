"""Which way everybody drives, place by place: 24 bins of heading, and where across the road each of them lies."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.geometry import M_PER_DEGREE, POLE
from detectors.lattice import FadingSums, Known, Room, number_of, row_and_column
from detectors.model import Rows, plain
from detectors.table import Slots, claim, find, free_slots, slot_of

STEP = 0.00036  # degrees: 40 m, short enough that a road within it is nearly straight
BINS = 24  # of 15 degrees
TAU = 14 * 86_400_000.0  # ms: a fortnight, so that a road works' traffic is learned within days, and nights are bridged
PASS = 25.0  # m driven that count as one pass: about one a vehicle, square and crossing
ERROR = 2.0  # m: a receiver's own error across the road, the same for minutes, so a vehicle's samples share it
SETTLED = 3.0  # passes: where so many drove this way, just here, a sample needs no closer look
ORDINARY = 2.5  # standard deviations across the road that are still 'just here'
NEAR, FAR = 20.0, 60.0  # m along the road: read in full up to here, and not at all from there
MOST = PASS / (FAR + NEAR)  # vehicles a pass, in full: one that drives by leaves so many passes in the squares around
PRIOR = 1.0  # vehicles: the Beta(1/2, 1/2) of Jeffreys, before anything is known of a place
SPARSE = 10.0  # passes: a road that 60 vehicles took has them in at most some ten squares and bins at any one point
KNOWN = 200.0  # passes: from here on one reporter in SOME is learned, for so many; another hundred would say the same
SOME = np.uint64(4)
FORGET = 0.5  # passes
LESSON = 512  # rows that are learned at once: of a vehicle's rows in them it is known how long it drove from one to the next
UNLEARNED = 60_000  # ms that fewer may wait

SEEN = np.dtype(
    [
        ("time", "i8"),
        ("reporter", "u8"),
        ("lat", "f8"),
        ("lon", "f8"),
        ("speed", "f4"),
        ("heading", "f4"),
        ("key", "i8"),  # its square and bin
        ("across", "f4"),  # m: how far to the right of the square's middle it passes
        ("counts", "f4"),  # for how many it stands where it is learned; 0: not learned
        ("usual", "?"),  # many drove this way just here
    ]
)
"""A vehicle on the move."""


class Directions:
    """Sums of passes, of their offsets across the road and of the squares of these, per 40 m square and bin of heading."""

    def __init__(self) -> None:
        self._sums = FadingSums((TAU, TAU, TAU), FORGET)
        self._lessons: list[Rows] = []  # of SEEN
        self._unlearned = 0  # rows
        self._busiest = 0.0  # passes of the busiest square and bin
        self._counted = 0  # ms: when that was

    def ignorant(self) -> bool:
        """Is there no place yet with traffic to speak of? Then there is nothing to compare a sample with."""
        return self._busiest < SPARSE

    def known(self, now: int) -> Known:
        """What the questions below are asked of, as it is at `now` (ms); good until something is learned."""
        return self._sums.arrays(now)

    def driven(self, now: int) -> float:
        """m that are known, by all, as far as they have not faded."""
        return self._sums.total(now)[2] * PASS

    def learn(self, seen: Rows, now: int) -> None:
        """Take samples in; they are counted a few hundred at a time."""
        some = seen["counts"] > 0.0
        if not some.all():
            seen = plain(seen).compress(some).view(SEEN)
        if len(seen):
            self._lessons.append(seen)
            self._unlearned += len(seen)
        if self._unlearned >= LESSON:
            self._count(now)

    def learn_late(self, ways: list[tuple[float, float, float]], metres: list[float], now: int) -> None:
        """Take in samples (lat, lon, heading) that were held back at first, and how far each has come since the one before."""
        keys, across = (np.array(column) for column in zip(*(place(*way) for way in ways), strict=True))
        passes = np.minimum(np.array(metres) / PASS, 1.0)
        self._sums.add(keys, (passes * across, passes * across**2, passes), now)

    def sweep(self, now: int) -> None:
        """Count what has waited for long, and forget what is old."""
        if self._lessons and int(self._lessons[0]["time"][0]) < now - UNLEARNED:
            self._count(now)
        self._sums.sweep(now)

    def _count(self, now: int) -> None:
        lesson = np.concatenate([plain(seen) for seen in self._lessons]).view(SEEN)
        self._lessons, self._unlearned = [], 0
        grown = float(_learn(self._sums.room(len(lesson), now), lesson, lesson["reporter"].copy(), free_slots(len(lesson))))
        self._busiest = max(grown, self._busiest * math.exp((self._counted - now) / TAU))
        self._counted = now


@compiled
def learned(passes: float, reporter: int) -> float:
    """For how many a sample stands where so many passes are known."""
    if passes < KNOWN:
        return 1.0
    return float(SOME) if reporter % SOME == 0 else 0.0


@compiled
def place(lat: float, lon: float, heading: float) -> tuple[int, float]:
    """The square and bin that hold a sample, and how far to the right of the square's middle it passes."""
    angle = math.radians(heading)
    row, column = row_and_column(lat, lon, STEP)
    across, _ = _offsets(lat, lon, row, column, math.sin(angle), math.cos(angle))
    return number_of(row, column, BINS, _bin(heading)), across


@compiled
def moments(known: Known, key: int) -> tuple[float, float, float]:
    """Mean and variance of the offsets, with a receiver's own error in it, and the passes of a square and bin."""
    keys, slots, sums, fades = known
    at = find(slots, keys, key)
    if at < 0:
        return 0.0, ERROR**2, 0.0
    passes = sums[at, 2] * fades[2]
    n = max(passes, 1e-9)
    mean = sums[at, 0] * fades[0] / n
    return mean, max(sums[at, 1] * fades[1] / n - mean * mean, 0.0) + ERROR**2, passes


@compiled
def contested(known: Known, lat: float, lon: float, heading: float, vehicles: float) -> bool:
    """Whether so many vehicles can have gone the other way around a sample: a bound of what `share` says, for a third of its
    time. While a place is learned everything is strange there, and hardly anything contested."""
    keys, slots, sums, fades = known
    row, column = row_and_column(lat, lon, STEP)
    back, beside = _bin(heading) + BINS // 2, _beside(lat)
    passes = 0.0
    for up in range(-1, 2):
        for right in range(-beside, beside + 1):
            for turn in range(-1, 2):
                at = find(slots, keys, number_of(row + up, column + right, BINS, (back + turn) % BINS))
                if at >= 0:
                    passes += sums[at, 2] * fades[2]
                    if passes * MOST >= vehicles:
                        return True
    return False


@compiled
def share(known: Known, lat: float, lon: float, heading: float) -> tuple[float, float]:
    """Share of the vehicles just here that went this way, and how many went the other way.

    Reads the squares around a sample, weighed by how far along the road they lie, and three bins each way: where the
    lattice lies is not to matter. Across the road, what counts is how far its vehicles drove from this one's line.
    """
    angle = math.radians(heading)
    row, column = row_and_column(lat, lon, STEP)
    same = other = against = 0.0
    beside = _beside(lat)
    for up in range(-1, 2):
        for right in range(-beside, beside + 1):
            across, along = _offsets(lat, lon, row + up, column + right, math.sin(angle), math.cos(angle))
            weight = min(max((FAR - abs(along)) / (FAR - NEAR), 0.0), 1.0) * MOST
            for turn in range(BINS - 1, BINS + 2):
                way = (_bin(heading) + turn) % BINS
                mean, variance, passes = moments(known, number_of(row + up, column + right, BINS, way))
                same += weight * passes * math.exp(-0.5 * (across - mean) * (across - mean) / variance)
                mean, variance, passes = moments(known, number_of(row + up, column + right, BINS, (way + BINS // 2) % BINS))
                off = (across + mean) * (across + mean) / variance  # to their right is to this one's left
                other += weight * passes * math.exp(-0.5 * off)
                if off <= ORDINARY**2:
                    against += weight * passes
    return (same + PRIOR / 2) / (same + other + PRIOR), against


@compiled
def _learn(room: Room, lesson: Rows, names: NDArray[np.uint64], newest: Slots) -> float:
    """Add the samples, each as much of a pass as its vehicle drove since the sample before, if that is in the lesson.

    `newest` are free slots for the `names` of the samples: each will hold a vehicle's newest sample. Returns the most passes
    that a square and bin now has, of those that had a sample.
    """
    keys, slots, size, sums, weights = room
    most = 0.0
    for i in range(len(lesson)):
        seen = lesson[i]
        slot = slot_of(newest, names, names[i])
        seconds = 1.0  # as is usual
        if newest[slot] >= 0:
            seconds = (seen["time"] - lesson[newest[slot]]["time"]) / 1000.0
        newest[slot] = i
        across = np.float64(seen["across"])
        passes = min(np.float64(seen["speed"]) * seconds / PASS, 1.0) * np.float64(seen["counts"])
        at = claim(slots, keys, size, seen["key"])
        sums[at, 0] += passes * across * weights[0]
        sums[at, 1] += passes * across * across * weights[1]
        sums[at, 2] += passes * weights[2]
        most = max(most, sums[at, 2] / weights[2])
    return most


@compiled
def _beside(lat: float) -> int:
    """How many squares to the east, and to the west, are read: they grow narrow towards the poles."""
    return math.ceil(FAR / (STEP * M_PER_DEGREE * max(math.cos(math.radians(lat)), POLE)))


@compiled
def _bin(heading: float) -> int:
    return int(heading * (BINS / 360.0)) % BINS


@compiled
def _offsets(lat: float, lon: float, row: int, column: int, sin: float, cos: float) -> tuple[float, float]:
    """Metres by which the vehicle's line passes to the right of a square's middle, the same all along a straight lane, and
    by which the vehicle is past it."""
    clat, clon = (row + 0.5) * STEP - 90.0, (column + 0.5) * STEP - 180.0
    north = (lat - clat) * M_PER_DEGREE
    east = (lon - clon) * (M_PER_DEGREE * math.cos(math.radians(clat)))
    return east * cos - north * sin, east * sin + north * cos
