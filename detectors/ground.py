"""Where vehicles drive and where they stand, to a few metres: lights, kerbs and lanes, as the traffic itself shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.geometry import M_PER_DEGREE, metres
from detectors.lattice import FadingSums, Keys, Steps
from detectors.tracks import HALT, Seen

TAU = 4 * 3_600_000.0  # ms: kerbs and lights keep their habits for hours
NEAR = 25.0  # m: reach of the kernel; what happens so near happens here
STEP = 0.0003  # degrees: 33 m, about the kernel
OCTANT = 45.0  # degrees
SPREAD = 1.5  # m: what a receiver errs by alone; driving is never narrower
PRIOR = 0.3  # stands that are assumed before anything is known of a place
USUAL = 20.0  # s: mean stand before anything is known, as at lights
BATCH = 30_000  # ms of driving learned at once, for numpy's sake
FORGET = 20.0  # m driven

_LATTICE = Steps(STEP, 8)
_AROUND = np.arange(-2, 3)


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
        self._waiting: list[tuple[int, Keys, NDArray[np.float32]]] = []  # time, squares, columns of the sums

    def learn(self, seen: Seen, now: int) -> None:
        """A stand counts when it is over, so that it does not excuse itself."""
        if len(seen):
            row, column = _LATTICE.index(seen.lat, seen.lon)
            keys = _LATTICE.key(row, column, (seen.heading // OCTANT).astype(np.int64) % 8)
            lat, lon = _LATTICE.centre(row, column)
            turn = np.radians(seen.heading)
            east = (seen.lon - lon) * (M_PER_DEGREE * np.cos(np.radians(lat)))
            offset = east * np.cos(turn) - (seen.lat - lat) * M_PER_DEGREE * np.sin(turn)  # to the right of the centre
            over = seen.rested >= HALT / 1000.0
            stands, stood = over.astype(np.float64), np.where(over, seen.rested, 0.0)
            driving = seen.metres * seen.speed, seen.metres * offset, seen.metres * offset**2, seen.metres
            self._waiting.append((now, keys, np.array((stands, stood, *driving), np.float32)))
        if self._waiting and now - self._waiting[0][0] >= BATCH:
            then = self._waiting[-1][0]
            keys = np.concatenate([keys for _, keys, _ in self._waiting])
            self._sums.add(keys, tuple(np.concatenate([columns for *_, columns in self._waiting], axis=1)), then)
            self._waiting = []
        self._sums.sweep(now)

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
