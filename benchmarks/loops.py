"""The scenarios' induction loops as roadside messages: one for each station and 30 s, with its lanes.

A loop's record is complete when its interval ends, and we say that it reaches the broker ROADSIDE later, as in the demo. That
is less than the lateness of 2 s for which a pane waits anyhow: so a replay, in which the pane of an interval's end closes with
the record in it, says nothing earlier than the live graph would.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.recordings import Day, Place
from dataflows.formats import encode

ROADSIDE = 400  # ms from the end of an interval to the broker
NAN = float("nan")


class Interval(NamedTuple):
    """What one station saw in one interval, all its lanes together. SI units."""

    end: int  # s after the start of the recording
    seconds: int
    station: str
    road: str  # a carriageway, or one direction of a street
    km: float  # along the road
    lat: float
    lon: float
    vehicles: int
    occupancy: float  # fraction of the time, mean of the lanes
    speed: float  # m/s, weighed by the vehicles; NaN where nobody passed
    lanes: tuple[tuple[int, float], ...] = ()  # vehicles and m/s of each, from the right; NaN where nobody passed

    @property
    def volume(self) -> int:
        """Vehicles per hour."""
        return self.vehicles * 3600 // self.seconds

    @property
    def by_lane(self) -> list[tuple[int, float]]:
        """Vehicles per hour and m/s of each lane."""
        return [(vehicles * 3600 // self.seconds, speed) for vehicles, speed in self.lanes]


def intervals(path: Path) -> list[Interval]:
    """The intervals of a loops file, plain or .gz, in order of time."""
    lanes: dict[tuple[int, str], list[dict[str, str]]] = defaultdict(list)
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for row in csv.DictReader(io.TextIOWrapper(file, "utf-8", newline="")):
            lanes[int(row["t_end"]), row["station"]].append(row)
    found = [_together(end, station, rows) for (end, station), rows in lanes.items()]
    return sorted(found, key=lambda i: i.end)


def _together(end: int, station: str, rows: list[dict[str, str]]) -> Interval:
    first = rows[0]
    count = sum(int(row["count"]) for row in rows)
    speeds = sum(int(row["count"]) * float(row["speed_ms"] or 0) for row in rows)  # -1 where nobody passed: it weighs nothing
    occupancy = sum(float(row["occupancy_pct"]) for row in rows) / 100 / len(rows)
    place = float(first["km"]), float(first["lat"]), float(first["lon"])
    speed = speeds / count if count else NAN
    lanes = [(int(row["count"]), float(row["speed_ms"] or 0)) for row in sorted(rows, key=lambda row: int(row["lane"]))]
    by_lane = tuple((passed, speed if passed else NAN) for passed, speed in lanes)
    return Interval(end, end - int(first["t_start"]), station, first["dir"], *place, count, occupancy, speed, by_lane)


def headings(seen: Iterable[Interval]) -> dict[str, float]:
    """Degrees for each station: from the one before it to the one after it on its road; NaN where it is the only one.

    Stations are numbered in the direction of travel.
    """
    roads: dict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for interval in seen:
        roads[interval.road][interval.station] = interval.lat, interval.lon
    found = {}
    for stations in roads.values():
        names = sorted(stations)
        for i, name in enumerate(names):
            (lat0, lon0), (lat1, lon1) = stations[names[max(0, i - 1)]], stations[names[min(len(names) - 1, i + 1)]]
            north, east = lat1 - lat0, (lon1 - lon0) * math.cos(math.radians(lat0))
            found[name] = math.degrees(math.atan2(east, north)) % 360 if north or east else NAN
    return found


def messages(place: Place, day: Day) -> Iterator[tuple[int, bytes]]:
    """(arrival in ms, WZDx feature) of everything that the loops of a day say, in order of arrival."""
    seen = intervals(place.loops(day))
    ways = headings(seen)
    for interval in seen:
        time = place.start + 1000 * interval.end
        message = encode.traffic_sensor(
            time=time,
            id=interval.station,
            lat=interval.lat,
            lon=interval.lon,
            heading=ways[interval.station],
            interval=interval.seconds,
            speed=interval.speed,
            volume=interval.volume,
            occupancy=interval.occupancy,
            lanes=interval.by_lane,
        )
        yield time + ROADSIDE, message
