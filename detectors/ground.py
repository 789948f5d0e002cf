"""Where vehicles drive and where they stand, to a few metres: lights, kerbs and lanes, as the traffic itself shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.geometry import M_PER_DEGREE, metres
from detectors.lattice import FadingSums, Floats, Keys, Steps
from detectors.tracks import HALT, Seen

TAU = 4 * 3_600_000.0  # ms: kerbs and lights keep their habits for hours
NEAR = 25.0  # m: reach of the kernel; what happens so near happens here
WIDER = 40.0  # m: the same for where across the road they drive, which changes slowly along it
STEP = 0.0003  # degrees: 33 m, about the kernel
OCTANT = 45.0  # degrees
SPREAD = 1.5  # m: what a receiver errs by alone; driving is never narrower
PRIOR = 0.3  # stands that are assumed before anything is known of a place
USUAL = 20.0  # s: mean stand before anything is known, as at lights
BATCH = 30_000  # ms of driving learned at once, for numpy's sake
FORGET = 20.0  # m driven
KERB = 1.0  # m towards the slower side, off the middle of the driving: a lane is 3.5 m wide, a receiver errs by 1.5
FARTHEST = 5.0  # m: the auxiliary lane of a ramp, beside three others
SIDE = 1.0  # surprise per metre between these: queues of ramps stand there every day; measured on labelled clusters
KNOWN = 500.0  # m driven, some fifteen vehicles: from then on it is known where and how fast the others drive

_LATTICE = Steps(STEP, 8)
_AROUND = np.arange(-2, 3)
_UP = np.repeat(_AROUND, 5).reshape(25, 1, 1)
_RIGHT = np.tile(_AROUND, 5).reshape(25, 1, 1)


@dataclass(slots=True)
class Spot:
    """What is usual at one spot."""

    passes: float
    stands: float
    stood: float  # s, all stands together
    beside: float  # standard deviations of the driving by which the spot lies off its middle
    speed: float  # m/s, of those who pass, weighed by the metre so that queues do not outweigh their vehicles

    def surprise(self, seconds: float) -> float:
        """-log10 of the chance that one who passes comes to a stand here and stands so long.

        >>> round(Spot(passes=100.0, stands=0.0, stood=0.0, beside=0.0, speed=14.0).surprise(120.0), 1)
        5.1
        """
        share = (PRIOR + self.stands) / (PRIOR + self.passes)
        mean = (USUAL + self.stood) / (1.0 + self.stands)
        return -math.log10(min(1.0, share)) + seconds / mean / math.log(10.0)


class Ground:
    """Stands, driving and its offset across the road, summed on a lattice and read with a Gaussian kernel."""

    def __init__(self) -> None:
        self._sums = FadingSums((TAU,) * 6, FORGET)  # stands, seconds stood, metres times: speed, offset, offset2, 1
        self._lean = (
            0.0  # how offset to the right goes with speed, over all that was driven: negative where the slow keep right
        )
        self._waiting: list[tuple[int, Floats, Floats, NDArray[np.float32]]] = []  # time, lat, lon, the rest

    def learn(self, seen: Seen, now: int) -> None:
        """A stand counts when it is over, so that it does not excuse itself."""
        if len(seen):
            over = np.where(seen.rested >= HALT / 1000.0, seen.rested, 0.0)
            columns = np.array((seen.heading, seen.speed, seen.metres, over), np.float32)
            self._waiting.append((now, seen.lat, seen.lon, columns))
        if self._waiting and now - self._waiting[0][0] >= BATCH:
            self._digest()
        self._sums.sweep(now)

    def _digest(self) -> None:
        then = self._waiting[-1][0]
        lat, lon = (np.concatenate([w[i] for w in self._waiting]) for i in (1, 2))
        heading, speed, driven, stood = np.concatenate([w[3] for w in self._waiting], axis=1).astype(np.float64)
        self._waiting = []
        row, column = _LATTICE.index(lat, lon)
        centre_lat, centre_lon = _LATTICE.centre(row, column)
        east = (lon - centre_lon) * (M_PER_DEGREE * np.cos(np.radians(centre_lat)))
        turn = np.radians(heading)
        offset = east * np.cos(turn) - (lat - centre_lat) * M_PER_DEGREE * np.sin(turn)  # to the right of the centre
        keys = _LATTICE.key(row, column, (heading // OCTANT).astype(np.int64) % 8)
        self._learn_side(keys, offset, speed, driven, then)
        stands = (stood > 0.0).astype(np.float64)
        self._sums.add(keys, (stands, stood, driven * speed, driven * offset, driven * offset**2, driven), then)

    def _learn_side(self, keys: Keys, offset: Floats, speed: Floats, driven: Floats, now: int) -> None:
        """Do those who drive to the right of the others drive slower, or faster?"""
        _, _, hurry, aside, _, metres = self._sums.read(self._sums.find(keys), now)
        known = metres >= KNOWN
        n = np.maximum(metres, 1e-9)
        self._lean += float((driven * (offset - aside / n) * (speed - hurry / n))[known].sum())

    def aside(self, lat: Floats, lon: Floats, heading: Floats, now: int) -> Floats:
        """Metres by which each position lies off the middle of the driving there, towards the slower side; 0 where unknown."""
        row, column = _LATTICE.index(lat, lon)
        rows, columns = row + _UP, column + _RIGHT  # (25, 1, vehicles)
        centre_lat, centre_lon = _LATTICE.centre(rows, columns)
        east = (centre_lon - lon) * (M_PER_DEGREE * np.cos(np.radians(lat)))
        north = (centre_lat - lat) * M_PER_DEGREE
        turn = np.radians(heading)
        centre = east * np.cos(turn) - north * np.sin(turn)  # of each square, to the right of the position
        octant = (heading // OCTANT).astype(np.int64) + np.array((-1, 0, 1)).reshape(1, 3, 1)
        sums = self._sums.read(self._sums.find(_LATTICE.key(rows, columns, octant % 8)), now)
        weight = np.exp(-0.5 * (east**2 + north**2) / WIDER**2)
        driven = (sums[5] * weight).sum((0, 1))
        middle = ((sums[3] + centre * sums[5]) * weight).sum((0, 1)) / np.maximum(driven, 1.0)
        return np.where(driven >= 1.0, -middle, 0.0) * (1.0 if self._lean <= 0.0 else -1.0)

    def spot(self, lat: float, lon: float, heading: float, now: int) -> Spot:
        row, column = _LATTICE.index([lat], [lon])
        rows, columns = (x.ravel() for x in np.meshgrid(row[0] + _AROUND, column[0] + _AROUND, indexing="ij"))
        east, north = metres(*_LATTICE.centre(rows, columns), lat, lon)
        turn = math.radians(heading)
        centre = east * math.cos(turn) - north * math.sin(turn)  # of each square, to the right of the spot
        octant = int(heading // OCTANT)
        sums = np.zeros((6, len(rows)))
        for kind in (octant - 1, octant, octant + 1):
            sums += self._sums.read(self._sums.find(_LATTICE.key(rows, columns, kind % 8)), now)
        stands, stood, hurry, offset, squared, driven = sums * np.exp(-0.5 * (east**2 + north**2) / NEAR**2)
        total = float(driven.sum())
        if total < 1.0:
            return Spot(0.0, 0.0, 0.0, 0.0, 0.0)
        middle = float((offset + centre * driven).sum()) / total
        variance = float((squared + 2.0 * centre * offset + centre**2 * driven).sum()) / total - middle**2
        return Spot(
            passes=total / (math.sqrt(2.0 * math.pi) * NEAR),
            stands=float(stands.sum()),
            stood=float(stood.sum()),
            beside=abs(middle) / max(SPREAD, math.sqrt(max(variance, 0.0))),
            speed=float(hurry.sum()) / total,
        )


def at_the_side(metres: float) -> float:
    """Surprise that is taken off what happens so far off the middle of the driving, towards the slower side.

    >>> at_the_side(-3.0), at_the_side(3.0), at_the_side(30.0)
    (0.0, 2.0, 4.0)
    """
    return SIDE * (min(max(metres, KERB), FARTHEST) - KERB)
