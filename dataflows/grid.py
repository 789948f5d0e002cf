"""The road grid: H3 cells, the shard that owns each, and the shards that look over its border."""

from __future__ import annotations

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray

from dataflows.settings import Window

_MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: multiplying by it spreads neighbouring numbers

REMEMBERED = 200_000  # cells, about 25 MB: a large city has 20,000; forgetting costs time, never correctness


def spread(numbers: NDArray[np.uint64], into: int) -> NDArray[np.int64]:
    """Deal unsigned numbers out to `into` bins by their mixed high bits: H3 indices end in runs of one-bits."""
    with np.errstate(over="ignore"):
        mixed = (numbers * _MIX) >> np.uint64(33)
    return (mixed % np.uint64(into)).astype(np.int64)


class Grid:
    """Cells at `resolution`; a shard owns whole parents at `shard_resolution`, so neighbours mostly live together."""

    def __init__(self, window: Window) -> None:
        self.resolution = window.cell_resolution
        self.shard_resolution = window.shard_resolution
        self.shards = window.shards
        self.reading_shards = window.reading_shards
        self._owners: dict[int, int] = {}
        self._watchers: dict[int, tuple[int, ...]] = {}
        self._shards: dict[int, int] = {}  # of parents: one for some thousand cells

    def cells(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.uint64]:
        """The H3 cell of each point; 0 where the position is missing (NaN)."""
        resolution, to_cell = self.resolution, h3.latlng_to_cell
        pairs = zip(lat.tolist(), lon.tolist(), strict=True)
        return np.fromiter((to_cell(a, b, resolution) if a == a else 0 for a, b in pairs), np.uint64, len(lat))

    def cell(self, lat: float, lon: float) -> int:
        return int(h3.latlng_to_cell(lat, lon, self.resolution)) if lat == lat else 0

    def owner(self, cell: int) -> int:
        """The one shard that answers for a cell."""
        owner = self._owners.get(cell)
        if owner is None:
            if len(self._owners) >= REMEMBERED:
                self._owners.clear()
            owner = self._owners[cell] = self._of(h3.cell_to_parent(cell, self.shard_resolution))
        return owner

    def watchers(self, cell: int) -> tuple[int, ...]:
        """The other shards that own a cell within two steps, 500 m and more: they must see what happens in this one."""
        watchers = self._watchers.get(cell)
        if watchers is None:
            if len(self._watchers) >= REMEMBERED:
                self._watchers.clear()
            parents = {h3.cell_to_parent(near, self.shard_resolution) for near in h3.grid_disk(cell, 2)}
            seen = {self._of(parent) for parent in parents}
            watchers = self._watchers[cell] = tuple(sorted(seen - {self.owner(cell)}))
        return watchers

    def _of(self, parent: int) -> int:
        shard = self._shards.get(parent)
        if shard is None:
            if len(self._shards) >= REMEMBERED:
                self._shards.clear()
            shard = self._shards[parent] = int(spread(np.array([parent >> 18], np.uint64), self.shards)[0])
        return shard
