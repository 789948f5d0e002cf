"""The roads of a place as lines to draw along: a motorway's two carriageways, or every street of a town, each way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks import loops
from benchmarks.recordings import Place
from detectors.geometry import metres
from detectors.model import Rows

SAME_WAY = 50.0  # degrees off the road's bearing: a motorway's bends turn up to 35
OFF = 40.0  # m beside a street's middle, or past the end of a road: its lanes, and a receiver's error
GAP = 60.0  # m without traffic between two streets
BUSY = 0.02  # of the busiest street's rows: fewer between two streets are turning
POINTS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Road:
    """One direction of a road. Distances grow in the direction of travel."""

    name: str  # as the labels name it
    lat: float
    lon: float
    bearing: float  # degrees
    middle: float  # m to the right of the point (lat, lon)
    off: float  # m to either side that still belong to it
    along: Floats  # m from that point at which the distance is known,
    known: Floats  # in km

    @property
    def title(self) -> str:
        return f"{self.name}, towards {POINTS[round(self.bearing / 45) % 8]}"

    def km(self, lat: object, lon: object) -> Floats:
        along, _ = self._turned(lat, lon)
        return np.interp(along, self.along, self.known)

    def holds(self, lat: object, lon: object, heading: object) -> NDArray[np.bool_]:
        """Is it on this road and going this way? A heading that is not known (NaN) fits both ways."""
        along, across = self._turned(lat, lon)
        turned = np.abs((np.asarray(heading, np.float64) - self.bearing + 180) % 360 - 180)
        near = (np.abs(across - self.middle) <= self.off) & (along >= self.along[0] - OFF) & (along <= self.along[-1] + OFF)
        here: NDArray[np.bool_] = near & ~(turned > SAME_WAY)
        return here

    def _turned(self, lat: object, lon: object) -> tuple[Floats, Floats]:
        return _turn(np.asarray(lat), np.asarray(lon), self.lat, self.lon, self.bearing)


def roads(place: Place, rows: Rows) -> list[Road]:
    return carriageways(place) if place.motorway else streets(rows)


def carriageways(place: Place) -> list[Road]:
    """By the loops, whose distances are known: between two of them the road is taken as straight."""
    stations = {i.station: i for i in loops.intervals(place.loops("incident"))}
    found = []
    for name in sorted({i.road for i in stations.values()}, reverse=True):
        mine = [stations[station] for station in sorted(stations) if stations[station].road == name]
        first, last = mine[0], mine[-1]
        east, north = metres(np.array(last.lat), np.array(last.lon), first.lat, first.lon)
        bearing = math.degrees(math.atan2(float(east), float(north))) % 360
        along, _ = _turn(np.array([i.lat for i in mine]), np.array([i.lon for i in mine]), first.lat, first.lon, bearing)
        known = np.array([i.km for i in mine])
        end = known[0]  # km from the first station back to where the road begins; about as far on after the last
        along = np.concatenate([[along[0] - 1000 * end], along, [along[-1] + 1000 * end]])
        known = np.concatenate([[0.0], known, [known[-1] + end]])
        found.append(Road(name, first.lat, first.lon, bearing, 0.0, math.inf, along, known))
    return found


def streets(rows: Rows) -> list[Road]:
    """Of a town that is a grid, as its traffic shows it: rows go east, columns north, both are counted from the south-west."""
    fours = np.radians(rows["heading"].astype(np.float64) * 4)
    fours = fours[np.isfinite(fours)]
    east = float(np.degrees(np.arctan2(np.sin(fours).mean(), np.cos(fours).mean()))) / 4 % 90
    lat, lon = float(np.median(rows["lat"])), float(np.median(rows["lon"]))
    found = []
    for line, bearing in (("row", east), ("col", (east - 90) % 360)):
        ahead = np.abs((rows["heading"] - bearing + 180) % 360 - 180) <= SAME_WAY
        along, across = _turn(rows["lat"][ahead], rows["lon"][ahead], lat, lon, bearing)
        ends = np.array([along.min(), along.max()])
        known = (ends - ends[0]) / 1000
        middles = sorted(_middles(across), reverse=line == "row")  # what lies to the right of east is south
        for number, middle in enumerate(middles):
            found.append(Road(f"{line}{number}+", lat, lon, bearing, middle, OFF, ends, known))
            found.append(Road(f"{line}{number}-", lat, lon, (bearing + 180) % 360, -middle, OFF, -ends[::-1], known))
    return found


def _middles(across: Floats) -> list[float]:
    """Where the traffic runs: the middles of the runs of busy bins."""
    step = 10.0
    bins = np.floor(across / step).astype(np.int64)
    names, counts = np.unique(bins, return_counts=True)
    busy = names[counts >= BUSY * counts.max()]
    runs = np.split(busy, np.flatnonzero(np.diff(busy) * step > GAP) + 1)
    return [float(np.median(across[(bins >= run[0]) & (bins <= run[-1])])) for run in runs]


def _turn(lat: Floats, lon: Floats, lat0: float, lon0: float, bearing: float) -> tuple[Floats, Floats]:
    """Metres ahead of a point when looking along a bearing, and to the right of it."""
    east, north = metres(lat, lon, lat0, lon0)
    angle = math.radians(bearing)
    return east * math.sin(angle) + north * math.cos(angle), east * math.cos(angle) - north * math.sin(angle)
