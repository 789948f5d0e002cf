"""The road grid: H3 cells, the shard that owns each, and the shards that look over its border."""

from __future__ import annotations

import math
from typing import Any

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray

from dataflows.cells import Cells
from dataflows.settings import Window
from detectors.compiled import compiled
from detectors.model import SIGHT
from detectors.table import MIX, Slots, Table, claim, find

REMEMBERED = 200_000  # cells, about 8 MB: a large city has 20,000; forgetting costs time, never correctness
# Resolutions above a cell, and how many cells such a district is across: as many steps lead no farther than to the next one.
DISTRICTS = (2, 5), (3, 13)

KNOWN = np.dtype([("cell", "u8"), ("view", "i8")])


def spread(numbers: NDArray[np.uint64], into: int) -> NDArray[np.int64]:
    """Deal unsigned numbers out to `into` bins by their mixed high bits: H3 indices end in runs of one-bits."""
    with np.errstate(over="ignore"):
        mixed = (numbers * MIX) >> np.uint64(33)
    return (mixed % np.uint64(into)).astype(np.int64)


class Grid:
    """Cells at `resolution`; a shard owns whole parents at `shard_resolution`, so neighbours mostly live together.

    Cells that the same shards look at share a view: one of a few small numbers, by which rows are sorted and counted.
    """

    def __init__(self, window: Window) -> None:
        self.resolution = window.cell_resolution
        self.shard_resolution = window.shard_resolution
        self.shards = window.shards
        # What lies outside k rings of hexagons is at least 1.5 k - 0.5 edges away from the one in the middle.
        self.rings = math.ceil((SIGHT / h3.average_hexagon_edge_length(self.resolution, "m") + 0.5) / 1.5)
        up = next(up for up, across in DISTRICTS if across >= self.rings)
        self._district = max(self.shard_resolution, self.resolution - up)
        self._fleets: list[tuple[int, ...]] = [(shard,) for shard in range(window.reading_shards)]
        self.cells = Cells(self.resolution)
        self._shards: dict[int, int] = {}  # of parents: one for some thousand cells
        self._inner: dict[int, bool] = {}  # districts, and whether all that lies around one belongs to its own parent
        self._forget()

    def _forget(self) -> None:
        self._known = Table(KNOWN, "cell")
        self._views: dict[tuple[int, ...], int] = {}
        self._lookers: list[tuple[int, ...]] = []

    def cell(self, lat: float, lon: float) -> int:
        return int(h3.latlng_to_cell(lat, lon, self.resolution)) if lat == lat else 0

    def owner(self, cell: int) -> int:
        """The one shard that answers for a cell."""
        return self._of(h3.cell_to_parent(cell, self.shard_resolution))

    def watchers(self, cell: int) -> tuple[int, ...]:
        """The other shards that own a cell within SIGHT, about: they must see what happens in this one."""
        if self._is_inner(h3.cell_to_parent(cell, self._district)):
            return ()
        parents = {h3.cell_to_parent(near, self.shard_resolution) for near in h3.grid_disk(cell, self.rings)}
        return tuple(sorted({self._of(parent) for parent in parents} - {self.owner(cell)}))

    def views(self, cells: NDArray[np.uint64]) -> tuple[NDArray[np.int64], list[tuple[int, ...]]]:
        """The view of each cell, and the shards of each view: first the owner, then the watchers."""
        if len(self._known) >= REMEMBERED:
            self._forget()
        cells, views = cells.copy(), np.empty(len(cells), np.int64)
        if not _look_up(cells, *self._known.arrays[:3], views):
            new = views < 0
            names, which = np.unique(cells.compress(new), return_inverse=True)
            views[new] = np.array([self._learn(cell) for cell in names.tolist()])[which]
        return views, self._lookers

    def fleets(self, reporters: NDArray[np.uint64]) -> tuple[NDArray[np.int64], list[tuple[int, ...]]]:
        """The same for electric cars: the fleet of each, and the one shard of each fleet."""
        return spread(reporters, len(self._fleets)), self._fleets

    def _learn(self, cell: int) -> int:
        shards = (self.owner(cell), *self.watchers(cell))
        view = self._views.setdefault(shards, len(self._views))
        if view == len(self._lookers):
            self._lookers.append(shards)
        if len(self._known) < REMEMBERED:
            self._known.reserve(1)
            rows, names, slots, size = self._known.arrays
            rows["view"][claim(slots, names, size, np.uint64(cell))] = view  # type: ignore[arg-type]  # as the names are
        return view

    def _is_inner(self, district: int) -> bool:
        """Whether all cells of a district, and of those beside it, have one parent: most do, and have no watchers."""
        inner = self._inner.get(district)
        if inner is None:
            if len(self._inner) >= REMEMBERED:
                self._inner.clear()
            around = {h3.cell_to_parent(near, self.shard_resolution) for near in h3.grid_disk(district, 1)}
            inner = self._inner[district] = len(around) == 1
        return inner

    def _of(self, parent: int) -> int:
        shard = self._shards.get(parent)
        if shard is None:
            if len(self._shards) >= REMEMBERED:
                self._shards.clear()
            shard = self._shards[parent] = int(spread(np.array([parent >> 18], np.uint64), self.shards)[0])
        return shard


@compiled
def _look_up(cells: NDArray[np.uint64], known: NDArray[Any], names: NDArray[np.uint64], slots: Slots, views: Any) -> bool:
    """Write the view of each cell, -1 where it is not known; whether all are."""
    whole = True
    for i in range(len(cells)):
        at = find(slots, names, cells[i])
        views[i] = known["view"][at] if at >= 0 else -1
        whole = whole and at >= 0
    return whole
