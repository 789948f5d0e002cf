"""What is remembered of places: sums on a fine lattice that fade with time, read wider than the lattice is spaced."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Keys = NDArray[np.int64]
Floats = NDArray[np.float64]

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


class FadingSums:
    """Several sums per key, each column fading with its own time constant; a key is forgotten when its last column is small.

    `taus` in ms, one per column; `forget` is the value of the last column under which a key goes. Held inflated: what comes
    in now weighs exp((now - base) / tau), so that nothing is touched to make it fade.
    """

    def __init__(self, taus: tuple[float, ...], forget: float) -> None:
        self.taus = taus
        self.forget = forget
        self.keys: Keys = np.empty(0, np.int64)  # sorted
        self.sums: NDArray[np.float32] = np.empty((len(taus), 0), np.float32)
        self._bases = [0] * len(taus)
        self._swept = 0

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """Where each key is held; -1 for those that are not."""
        if not len(self.keys):
            return np.full(keys.shape, -1, np.int64)
        at = np.searchsorted(self.keys, keys)
        at[at == len(self.keys)] = 0
        at[self.keys[at] != keys] = -1
        return at

    def read(self, at: NDArray[np.int64], now: int) -> Floats:
        """The sums as they are at `now` (ms), columns first; zero where `at` is -1. Shape (columns, *at.shape)."""
        if not len(self.keys):
            return np.zeros((len(self.taus), *at.shape))
        fade = np.array([np.exp((base - now) / tau) for base, tau in zip(self._bases, self.taus, strict=True)])
        out: Floats = np.take(self.sums, at, axis=1, mode="clip") * fade.reshape(-1, *(1,) * at.ndim)
        out[:, at < 0] = 0.0
        return out

    def read_one(self, column: int, at: NDArray[np.int64], now: int) -> Floats:
        """One of the columns, as `read` gives it."""
        if not len(self.keys):
            return np.zeros(at.shape)
        out: Floats = np.take(self.sums[column], at, mode="clip") * np.exp((self._bases[column] - now) / self.taus[column])
        out[at < 0] = 0.0
        return out

    def total(self, now: int) -> list[float]:
        """Each column's sum over all keys, as it is at `now` (ms)."""
        fades = [np.exp((base - now) / tau) for base, tau in zip(self._bases, self.taus, strict=True)]
        return [float(column.sum(dtype=np.float64) * fade) for column, fade in zip(self.sums, fades, strict=True)]

    def largest(self, now: int) -> float:
        """The largest value of the last column, as it is at `now` (ms); zero where nothing is held."""
        return float(self.sums[-1].max(initial=0.0) * np.exp((self._bases[-1] - now) / self.taus[-1]))

    def add(self, keys: Keys, values: tuple[Floats, ...], now: int) -> None:
        """Add one row of values per key (a column per time constant, None of them NaN); a key may come several times."""
        self._keep_small(now)
        names, which = np.unique(keys, return_inverse=True)
        at = self.find(names)
        new = at < 0
        if new.any():
            self.keys = np.concatenate([self.keys, names[new]])
            self.sums = np.concatenate([self.sums, np.zeros((len(self.taus), int(new.sum())), np.float32)], axis=1)
            order = np.argsort(self.keys, kind="stable")
            self.keys, self.sums = self.keys[order], self.sums[:, order]
            at = self.find(names)
        for column, (tau, column_values) in enumerate(zip(self.taus, values, strict=True)):
            grown = np.bincount(which, column_values, len(names)) * np.exp((now - self._bases[column]) / tau)
            self.sums[column, at] += grown.astype(np.float32)

    def sweep(self, now: int) -> None:
        """Forget what has faded; a no-op but once an hour."""
        if now - self._swept < SWEEP:
            return
        self._swept = now
        self._keep_small(now)
        keep = self.sums[-1] * np.exp((self._bases[-1] - now) / self.taus[-1]) >= self.forget
        self.keys, self.sums = self.keys[keep], self.sums[:, keep]

    def _keep_small(self, now: int) -> None:
        for column, tau in enumerate(self.taus):
            if now - self._bases[column] > REBASE * tau:
                self.sums[column] *= np.float32(np.exp((self._bases[column] - now) / tau))
                self._bases[column] = now
