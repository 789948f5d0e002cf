"""The H3 cell of each of many points, as h3 says it: asked once for a place, then looked up.

h3 takes half a microsecond and more for a point, which was the dearest step that was left of reading one. Vehicles drive in
the same places all day, and a point that is nearer to a cell's centre than any of the cell's edges can lie in no other cell.
So squares of some 50 m remember a cell each, with its centre and that distance; whoever is not well inside is h3's to place.
"""

from __future__ import annotations

import math
from itertools import repeat
from typing import Any

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.geometry import M_PER_DEGREE
from detectors.table import Names, Slots, Table, claim, find

SQUARES = 2048  # a degree of latitude or longitude
REMEMBERED = 500_000  # squares: 25,000 km of road; whoever drives elsewhere when it is full is asked for as ever
SELDOM = 8  # of so many points that had to be asked for, one is remembered: a new cell costs as much as twenty points
SAFE = 0.99  # of the distance to an edge: within some km the plane is that true, up to
POLAR = 80.0  # degrees of latitude, beyond which every point is asked for

SQUARE = np.dtype([("square", "u8"), ("inside", "i8")])
INSIDE = np.dtype(
    [
        ("cell", "u8"),
        ("lat", "f8"),  # of its centre
        ("lon", "f8"),
        ("wide", "f8"),  # m a degree of longitude
        ("within", "f8"),  # m from the centre, squared
    ]
)
Degrees = NDArray[np.float64]
Marks = NDArray[np.uint64]
Places = NDArray[np.int64]


class Cells:
    """Cells at one resolution."""

    def __init__(self, resolution: int) -> None:
        self._resolution = resolution
        self._squares, self._insides = Table(SQUARE, "square"), Table(INSIDE, "cell")

    def __call__(self, lat: Degrees, lon: Degrees) -> Marks:
        """(n,) cells; 0 where the position is missing (NaN)."""
        lat, lon = lat.copy(), lon.copy()
        cells, asked = np.empty(len(lat), np.uint64), np.empty(len(lat), np.int64)
        count = _look_up(lat, lon, *self._squares.arrays[:3], self._insides.arrays[0], cells, asked)
        if count:
            asked = asked[:count]
            each = map(h3.latlng_to_cell, lat[asked].tolist(), lon[asked].tolist(), repeat(self._resolution))
            cells[asked] = np.fromiter(each, np.uint64, count)
            some = asked[::SELDOM]
            self._learn(lat[some], lon[some], cells[some])
        return cells

    def _learn(self, lat: Degrees, lon: Degrees, cells: Marks) -> None:
        if max(len(self._squares), len(self._insides)) + len(cells) > REMEMBERED:
            return
        self._squares.reserve(len(cells))
        self._insides.reserve(len(cells))
        insides, names, slots, size = self._insides.arrays
        before = len(self._insides)
        _remember(lat, lon, cells, names, slots, size, *self._squares.arrays)
        for row in insides[before : len(self._insides)]:
            row["lat"], row["lon"], row["wide"], row["within"] = _inside(int(row["cell"]))


def _inside(cell: int) -> tuple[float, float, float, float]:
    """A cell's centre, the metres of a degree of longitude there, and how far from it no edge is, squared."""
    lat, lon = h3.cell_to_latlng(cell)
    wide = M_PER_DEGREE * math.cos(math.radians(lat))
    corners = [((b - lon + 180.0) % 360.0 - 180.0, a - lat) for a, b in h3.cell_to_boundary(cell)]
    plane = [(wide * east, M_PER_DEGREE * north) for east, north in corners]
    nearest = min(
        abs(east * (north1 - north) - north * (east1 - east)) / math.hypot(east1 - east, north1 - north)
        for (east, north), (east1, north1) in zip(plane, [*plane[1:], plane[0]], strict=True)
    )
    return lat, lon, wide, (SAFE * nearest) ** 2


@compiled
def _square(lat: float, lon: float) -> int:
    north, east = np.int64(math.floor((lat + 90.0) * SQUARES)), np.int64(math.floor((lon + 180.0) * SQUARES))
    return np.uint64(north << 32 | east)  # type: ignore[return-value]  # as the names are


@compiled
def _look_up(
    lat: Degrees,
    lon: Degrees,
    squares: NDArray[Any],
    names: Names,
    slots: Slots,
    insides: NDArray[Any],
    cells: Marks,
    asked: Places,
) -> int:
    """Write the cells that are known, 0 for a missing position, and into `asked` which others there are; how many."""
    count = 0
    for i in range(len(lat)):
        cells[i] = 0
        if math.isnan(lat[i]) or math.isnan(lon[i]):
            continue
        at = find(slots, names, _square(lat[i], lon[i])) if abs(lat[i]) <= POLAR else -1
        if at >= 0:
            one = insides[squares[at]["inside"]]
            north, east = (lat[i] - one["lat"]) * M_PER_DEGREE, (lon[i] - one["lon"]) * one["wide"]
            if north * north + east * east < one["within"]:
                cells[i] = one["cell"]
                continue
        asked[count] = i
        count += 1
    return count


@compiled
def _remember(
    lat: Degrees,
    lon: Degrees,
    cells: Marks,
    known: Names,
    known_slots: Slots,
    known_size: Places,
    squares: NDArray[Any],
    names: Names,
    slots: Slots,
    size: Places,
) -> None:
    """Each point's square remembers its cell, which is taken in if it is not known."""
    for i in range(len(lat)):
        at = claim(slots, names, size, _square(lat[i], lon[i]))
        squares[at]["inside"] = claim(known_slots, known, known_size, cells[i])
