"""What was driven in the last half minute, gathered pane by pane until it is learned; and the lattice that it is learned on."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np

from detectors.compiled import compiled
from detectors.geometry import M_PER_DEGREE, POLE
from detectors.growing import grown
from detectors.lattice import Floats, Known, number_of, row_and_column
from detectors.model import Rows
from detectors.table import SMALLEST, find

BATCH = 30_000  # ms learned at once: in between, nothing that goes on excuses itself
STEP = 0.0003  # degrees: 33 m, well under the kernels that read, so that where the lattice lies does not matter
OCTANT = 45.0  # degrees
SIGMAS = 2.0  # of a kernel, beyond which nothing is read

DRIVEN = np.dtype(
    [
        ("key", "i8"),  # of the lattice
        ("offset", "f8"),  # m to the right of the middle of the lattice's square
        ("speed", "f4"),  # m/s
        ("seconds", "f4"),  # for which it was driven
        ("braking", "f4"),  # s: of these, with gentle braking or more
    ]
)


class Learner(Protocol):
    """Learns places from what was driven over them."""

    def learn(self, driven: Rows, now: int) -> None:
        """Take in a batch of DRIVEN, the last of it of the pane that ended at `now`."""

    def tick(self, now: int) -> None:
        """A pane ended: forget what is old."""


class Driven:
    """A buffer that compiled loops write into: `room`, then `wrote`, then `teach`, in every pane."""

    def __init__(self) -> None:
        self._rows = np.zeros(SMALLEST, DRIVEN)
        self._size = 0
        self._since = self._until = 0  # ms: ends of the first and the last pane in it

    def take(self, seen: Rows, now: int) -> None:
        """Take in the vehicles that were seen (`tracks.SEEN`) in the pane that ended at `now` (ms)."""
        if len(seen):
            _take(seen, self.room(len(seen)))
            self.wrote(len(seen), now)

    def room(self, more: int) -> Rows:
        """Where so many rows more may be written with `drove`, from the first on."""
        need = self._size + more
        if need > len(self._rows):
            self._rows = grown(self._rows[: self._size], max(need, 2 * self._size)).rows
        return self._rows[self._size :]

    def wrote(self, count: int, now: int) -> None:
        if count:
            self._since = self._since if self._size else now
            self._size += count
            self._until = now

    def teach(self, now: int, *learners: Learner) -> None:
        """Let them learn if a batch is complete."""
        complete = self._size > 0 and now - self._since >= BATCH
        for learner in learners:
            if complete:
                learner.learn(self._rows[: self._size], self._until)
            learner.tick(now)
        if complete:
            self._size = 0

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_rows": self._rows[: self._size].copy()}


@compiled
def key_of(row: int, column: int, octant: int) -> int:
    """Octants may be counted from anywhere."""
    return number_of(row, column, 8, octant % 8)


@compiled
def place_key(lat: float, lon: float, heading: float) -> int:
    row, column = row_and_column(lat, lon, STEP)
    return key_of(row, column, math.floor(heading / OCTANT))


@compiled
def drove(driven: Rows, at: int, lat: float, lon: float, heading: float, speed: float, seconds: float, braking: float) -> None:
    """Write one row; no NaN anywhere."""
    row, column = row_and_column(lat, lon, STEP)
    middle_lat, middle_lon = (row + 0.5) * STEP - 90.0, (column + 0.5) * STEP - 180.0
    east = (lon - middle_lon) * M_PER_DEGREE * math.cos(math.radians(middle_lat))
    north = (lat - middle_lat) * M_PER_DEGREE
    turn = math.radians(heading)
    one = driven[at]
    one["key"] = key_of(row, column, math.floor(heading / OCTANT))
    one["offset"] = east * math.cos(turn) - north * math.sin(turn)
    one["speed"] = speed
    one["seconds"] = seconds
    one["braking"] = braking


@compiled
def _take(seen: Rows, driven: Rows) -> None:
    for i in range(len(seen)):
        one = seen[i]
        drove(driven, i, one["lat"], one["lon"], one["heading"], one["speed"], one["seconds"], one["braking"])


def around(lat: float, lon: float, heading: float, sigma: float, known: Known, across: float = 0.0) -> list[float]:
    """What is held around a place in about this direction, weighed by a Gaussian kernel of `sigma` m, per column of sums.

    `known` is `FadingSums.arrays`; across the road the kernel has `across` m, if that is given.
    """
    *_, fades = known
    high = SIGMAS * sigma / (STEP * M_PER_DEGREE)
    reach = math.ceil(high), math.ceil(high / max(math.cos(math.radians(lat)), POLE))
    total = np.zeros(len(fades))
    narrower = 0.5 / (across * across) - 0.5 / (sigma * sigma) if across else 0.0
    _around(lat, lon, heading, reach, sigma, narrower, known, total)
    sums: list[float] = total.tolist()
    return sums


@compiled
def _around(
    lat: float,
    lon: float,
    heading: float,
    reach: tuple[int, int],
    sigma: float,
    narrower: float,
    known: Known,
    total: Floats,
) -> None:
    """Add it to `total`, which has a column for each of sums.

    `reach` is how many rows and columns of the lattice are read on each side; across the road the exponent has `narrower` more
    per m2.
    """
    keys, slots, sums, fades = known
    row, column = row_and_column(lat, lon, STEP)
    narrow, turn = math.cos(math.radians(lat)), math.radians(heading)
    octant = math.floor(heading / OCTANT)
    for r in range(row - reach[0], row + reach[0] + 1):
        north = ((r + 0.5) * STEP - 90.0 - lat) * M_PER_DEGREE
        for c in range(column - reach[1], column + reach[1] + 1):
            east = ((c + 0.5) * STEP - 180.0 - lon) * M_PER_DEGREE * narrow
            right = east * math.cos(turn) - north * math.sin(turn)
            weight = math.exp((north * north + east * east) * (-0.5 / (sigma * sigma)) - right * right * narrower)
            for o in range(octant - 1, octant + 2):
                at = find(slots, keys, key_of(r, c, o))
                if at >= 0:
                    for k in range(len(fades)):
                        total[k] += sums[at, k] * fades[k] * weight
