"""What is remembered of places: sums on a fine lattice that fade with time, read wider than the lattice is spaced."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.compiled import compiled
from detectors.table import Slots, Table, claim, find

Keys = NDArray[np.int64]
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Known = tuple[Keys, Slots, Singles, Floats]
"""Keys, slots, sums of shape (keys, columns), and what each column has faded to, by which its sums are multiplied."""
Room = tuple[Keys, Slots, NDArray[np.int64], Singles, Floats]
"""Keys, slots and their number, as `table.claim` takes them, sums, and what each column's values of now weigh."""

REBASE = 20.0  # time constants: e^20 is 5e8, far from the end of float32
SWEEP = 3_600_000  # ms between two searches for places to forget


class Steps:
    """A lattice of `step` degrees in latitude and in longitude, with `kinds` slots (directions) at each place.

    Degrees, not metres, so that it has no seams: a square at the equator, narrower towards the poles. What reads it must
    weigh by metres. The number of a slot is ((row << 24) + column) * kinds + kind.
    """

    def __init__(self, step: float, kinds: int) -> None:
        self.step = step
        self.kinds = kinds

    def index(self, lat: ArrayLike, lon: ArrayLike) -> tuple[Keys, Keys]:
        """Row and column of the squares that hold the points."""
        row = np.floor((np.asarray(lat, np.float64) + 90.0) / self.step).astype(np.int64)
        column = np.floor((np.asarray(lon, np.float64) + 180.0) / self.step).astype(np.int64)
        return row, column

    def centre(self, row: Keys, column: Keys) -> tuple[Floats, Floats]:
        """Latitude and longitude of the middles of squares."""
        return (row.astype(np.float64) + 0.5) * self.step - 90.0, (column.astype(np.float64) + 0.5) * self.step - 180.0

    def key(self, row: Keys, column: Keys, kind: NDArray[np.int64] | int) -> Keys:
        return ((row << 24) + column) * self.kinds + kind


@compiled
def row_and_column(lat: float, lon: float, step: float) -> tuple[int, int]:
    """`Steps.index` of one point, for compiled loops."""
    return math.floor((lat + 90.0) / step), math.floor((lon + 180.0) / step)


@compiled
def number_of(row: int, column: int, kinds: int, kind: int) -> int:
    """`Steps.key` of one slot, for compiled loops."""
    return ((row << 24) + column) * kinds + kind


class FadingSums:
    """Several sums per key, each column fading with its own time constant; a key is forgotten when its last column is small.

    `taus` in ms, one per column; `forget` is the value of the last column under which a key goes. Held inflated: what comes
    in now weighs exp((now - base) / tau), so that nothing is touched to make it fade.
    """

    def __init__(self, taus: tuple[float, ...], forget: float) -> None:
        self.taus = taus
        self.forget = forget
        self._table = Table(np.dtype([("key", "i8"), ("sums", "f4", (len(taus),))]), "key")
        self._bases = [0] * len(taus)
        self._due = 0.0  # ms: when the first of them is too long ago
        self._swept = 0
        self._faded: tuple[int, Floats] | None = None  # when, ms, and to what: many ask in one pane

    def __len__(self) -> int:
        return len(self._table)

    def arrays(self, now: int) -> Known:
        """For compiled loops that look keys up themselves: the sums as they are at `now` (ms). Good until the next `add` or
        `sweep`."""
        rows, keys, slots, _ = self._table.arrays
        return keys, slots, rows["sums"], self._fades(now)

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """Where each key is held; -1 for those that are not."""
        _, held, slots, _ = self._table.arrays
        at = np.empty(keys.size, np.int64)
        _find(held, slots, keys.ravel(), at)
        return at.reshape(keys.shape)

    def read(self, at: NDArray[np.int64], now: int) -> Floats:
        """The sums as they are at `now` (ms), columns first; zero where `at` is -1. Shape (columns, *at.shape)."""
        out = np.zeros((len(self.taus), at.size))
        _read(self._table.arrays[0]["sums"], at.ravel(), self._fades(now), out)
        return out.reshape(len(self.taus), *at.shape)

    def total(self, now: int) -> list[float]:
        """Each column's sum over all keys, as it is at `now` (ms)."""
        totals: list[float] = (self._table.held["sums"].sum(axis=0, dtype=np.float64) * self._fades(now)).tolist()
        return totals

    def largest(self, now: int) -> float:
        """The largest value of the last column, as it is at `now` (ms); zero where nothing is held."""
        return float(self._table.held["sums"][:, -1].max(initial=0.0) * self._fades(now)[-1])

    def add(self, keys: Keys, values: tuple[Floats, ...], now: int) -> None:
        """Add one row of values per key (a column per time constant, None of them NaN); a key may come several times."""
        _add(self.room(len(keys), now), keys, np.array(values, np.float64))

    def room(self, more: int, now: int) -> Room:
        """For compiled loops that add values of `now` (ms) themselves, to so many new keys at most. Good until the next
        `room`, `add` or `sweep`."""
        self._keep_small(now)
        self._table.reserve(more)
        rows, held, slots, size = self._table.arrays
        return held, slots, size, rows["sums"], 1.0 / self._fades(now)

    def sweep(self, now: int) -> None:
        """Forget what has faded; a no-op but once an hour."""
        if now - self._swept < SWEEP:
            return
        self._swept = now
        self._keep_small(now)
        self._table.keep(self._table.held["sums"][:, -1] * self._fades(now)[-1] >= self.forget)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_faded": None}

    def _fades(self, now: int) -> Floats:
        if self._faded is None or self._faded[0] != now:
            fades = [math.exp((base - now) / tau) for base, tau in zip(self._bases, self.taus, strict=True)]
            self._faded = now, np.array(fades)
        return self._faded[1]

    def _keep_small(self, now: int) -> None:
        if now <= self._due:
            return
        for column, tau in enumerate(self.taus):
            if now - self._bases[column] > REBASE * tau:
                self._table.held["sums"][:, column] *= np.float32(math.exp((self._bases[column] - now) / tau))
                self._bases[column], self._faded = now, None
        self._due = min(base + REBASE * tau for base, tau in zip(self._bases, self.taus, strict=True))


@compiled
def _find(held: Keys, slots: Slots, keys: Keys, at: NDArray[np.int64]) -> None:
    for i in range(len(keys)):
        at[i] = find(slots, held, keys[i])


@compiled
def _read(sums: Singles, at: NDArray[np.int64], fades: Floats, out: Floats) -> None:
    for i in range(len(at)):
        if at[i] >= 0:
            for column in range(len(fades)):
                out[column, i] = sums[at[i], column] * fades[column]


@compiled
def _add(room: Room, keys: Keys, values: Floats) -> None:
    held, slots, size, sums, weights = room
    for i in range(len(keys)):
        row = claim(slots, held, size, keys[i])
        for column in range(len(weights)):
            sums[row, column] += values[column, i] * weights[column]
