"""Which way everybody drives, place by place: 24 bins of heading, and where across the road each of them lies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.geometry import M_PER_DEGREE
from detectors.lattice import FadingSums, Floats, Keys, Steps

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
SOME = 4
FORGET = 0.5  # passes
LESSON = 512  # rows that are learned at once
UNLEARNED = 60_000  # ms that fewer may wait

_LATTICE = Steps(STEP, BINS)
_UP = np.repeat((-1, 0, 1), 5).reshape(15, 1, 1, 1)  # squares
_RIGHT = np.tile((-2, -1, 0, 1, 2), 3).reshape(15, 1, 1, 1)  # more of these, for they grow narrow towards the poles
_TURN = np.array((-1, 0, 1)).reshape(1, 3, 1, 1)  # bins
_BACK = np.array((0, BINS // 2)).reshape(1, 1, 2, 1)


class Seen(NamedTuple):
    """Vehicles on the move, in order of time; columns of equal length."""

    time: NDArray[np.int64]
    reporter: NDArray[np.uint64]
    lat: Floats
    lon: Floats
    speed: Floats
    heading: Floats

    def only(self, which: NDArray[np.bool_] | NDArray[np.int64]) -> Seen:
        time, reporter, lat, lon, speed, heading = self
        return Seen(time[which], reporter[which], lat[which], lon[which], speed[which], heading[which])


class Places(NamedTuple):
    """Where samples lie in the memory: their slot, and how far to the right of their square's middle they pass."""

    keys: Keys
    across: Floats  # m
    counts: Floats  # for how many a sample stands where it is learned; 0: not learned

    def only(self, which: NDArray[np.bool_]) -> Places:
        return Places(self.keys[which], self.across[which], self.counts[which])


class Directions:
    """Sums of passes, of their offsets across the road and of the squares of these, per 40 m square and bin of heading."""

    def __init__(self) -> None:
        self._sums = FadingSums((TAU, TAU, TAU), FORGET)  # offsets, their squares, passes
        self._lessons: list[tuple[Seen, Places]] = []
        self._unlearned = 0  # rows
        self._busiest = 0.0  # passes of the busiest square and bin

    def look(self, seen: Seen, now: int) -> tuple[Places, NDArray[np.bool_]]:
        """The places of samples, and which of these samples are strange: too few drove this way just here."""
        keys, across = _places(seen)
        mean, variance, passes = self._moments(keys, now)
        strange = (passes < SETTLED) | ((across - mean) ** 2 > ORDINARY**2 * variance)
        counts = np.where(passes < KNOWN, 1.0, np.where(seen.reporter % SOME == 0, float(SOME), 0.0))
        return Places(keys, across, counts), strange

    def ignorant(self) -> bool:
        """Is there no place yet with traffic to speak of? Then there is nothing to compare a sample with."""
        return self._busiest < SPARSE

    def contested(self, seen: Seen, now: int, vehicles: float) -> NDArray[np.bool_]:
        """Whether so many vehicles can have gone the other way around each sample: a bound of what `share` says, for a third
        of its time. While a place is learned everything is strange there, and hardly anything contested."""
        row, column = _LATTICE.index(seen.lat, seen.lon)
        bins = (_bins(seen.heading) + _TURN[..., 0] + BINS // 2) % BINS
        at = self._sums.find(_LATTICE.key(row + _UP[..., 0], column + _RIGHT[..., 0], bins))  # (15, 3, samples)
        contested: NDArray[np.bool_] = self._sums.read(at, now)[2].sum((0, 1)) * MOST >= vehicles
        return contested

    def share(self, seen: Seen, now: int) -> tuple[Floats, Floats]:
        """Share of the vehicles just here that went this way, and how many went the other way.

        Reads the squares around each sample, weighed by how far along the road they lie, and three bins each way: where the
        lattice lies is not to matter. Across the road, what counts is how far its vehicles drove from this one's line.
        """
        angle = np.radians(seen.heading)
        row, column = _LATTICE.index(seen.lat, seen.lon)
        row, column = row + _UP, column + _RIGHT  # (15, 1, 1, samples)
        across, along = _offsets(seen.lat, seen.lon, row, column, np.sin(angle), np.cos(angle))
        weight = np.clip((FAR - np.abs(along)) / (FAR - NEAR), 0.0, 1.0) * MOST
        bins = (_bins(seen.heading) + _TURN + _BACK) % BINS
        mean, variance, passes = self._moments(_LATTICE.key(row, column, bins), now)  # (15, 3, 2, samples)
        vehicles = weight * passes
        off = (across - np.where(_BACK > 0, -mean, mean)) ** 2 / variance
        near = vehicles * np.exp(-0.5 * off)
        same, other = near[:, :, 0].sum((0, 1)), near[:, :, 1].sum((0, 1))
        against = np.where(off <= ORDINARY**2, vehicles, 0.0)[:, :, 1].sum((0, 1))
        return (same + PRIOR / 2) / (same + other + PRIOR), against

    def learn(self, seen: Seen, places: Places, now: int) -> None:
        """Take samples in; they are counted a few hundred at a time."""
        some = places.counts > 0.0
        if not some.all():
            seen, places = seen.only(some), places.only(some)
        if len(seen.time):
            self._lessons.append((seen, places))
            self._unlearned += len(seen.time)
        if self._unlearned >= LESSON:
            self._count(now)

    def learn_late(self, seen: Seen, now: int) -> None:
        """Take in samples, a pass each, that were held back at first."""
        keys, across = _places(seen)
        self._sums.add(keys, (across, across**2, np.ones(len(seen.time))), now)

    def sweep(self, now: int) -> None:
        """Count what has waited for long, and forget what is old."""
        if self._lessons and int(self._lessons[0][0].time[0]) < now - UNLEARNED:
            self._count(now)
        self._sums.sweep(now)

    def _count(self, now: int) -> None:
        seen = Seen(*(np.concatenate(columns) for columns in zip(*(s for s, _ in self._lessons), strict=True)))
        places = Places(*(np.concatenate(columns) for columns in zip(*(p for _, p in self._lessons), strict=True)))
        self._lessons, self._unlearned = [], 0
        order = np.argsort(seen.reporter, kind="stable")  # they came in order of time
        time, reporter, across = seen.time[order], seen.reporter[order], places.across[order]
        seconds = np.ones(len(order))  # as is usual, where the sample before is not known
        again = reporter[1:] == reporter[:-1]
        seconds[1:][again] = (time[1:] - time[:-1])[again] / 1000.0
        passes = np.minimum(seen.speed[order] * seconds / PASS, 1.0) * places.counts[order]
        self._sums.add(places.keys[order], (passes * across, passes * across**2, passes), now)
        self._busiest = self._sums.largest(now)

    def _moments(self, keys: Keys, now: int) -> tuple[Floats, Floats, Floats]:
        """Mean and variance of the offsets, with a receiver's own error in it, and the passes; shapes as given."""
        side, square, passes = self._sums.read(self._sums.find(keys), now)
        n = np.maximum(passes, 1e-9)
        mean = side / n
        return mean, np.maximum(square / n - mean**2, 0.0) + ERROR**2, passes


def _bins(heading: Floats) -> NDArray[np.int64]:
    bins: NDArray[np.int64] = (heading * (BINS / 360.0)).astype(np.int64) % BINS
    return bins


def _places(seen: Seen) -> tuple[Keys, Floats]:
    """The square and bin of each sample, and how far to the right of the square's middle it passes."""
    angle = np.radians(seen.heading)
    row, column = _LATTICE.index(seen.lat, seen.lon)
    across, _ = _offsets(seen.lat, seen.lon, row, column, np.sin(angle), np.cos(angle))
    return _LATTICE.key(row, column, _bins(seen.heading)), across


def _offsets(lat: Floats, lon: Floats, row: Keys, column: Keys, sin: Floats, cos: Floats) -> tuple[Floats, Floats]:
    """Metres by which the vehicle's line passes to the right of a square's middle, the same all along a straight lane, and
    by which the vehicle is past it."""
    clat, clon = _LATTICE.centre(row, column)
    north = (lat - clat) * M_PER_DEGREE
    east = (lon - clon) * (M_PER_DEGREE * np.cos(np.radians(clat)))
    return east * cos - north * sin, east * sin + north * cos
