"""Roadside stations that count traffic: on which roads they are judged, beside whom, and for how long their word holds."""

from __future__ import annotations

from typing import Protocol

from detectors.geometry import angle_between, apart
from detectors.model import Rows

FAST = 17.0  # m/s, 61 km/h: slower roads have lights, where traffic comes in platoons, and lanes for those who turn
NEXT = 1500.0  # m between two stations that are compared; motorways have one each 500 to 1000 m
SAME_WAY = 45.0  # degrees
REPEAT = 10_000  # ms between two findings of one claim
LATE = 1.5  # intervals after which a station that has not spoken says nothing any more
FORGET = 3_600_000  # ms without a word
SWEEP = 600_000  # ms between two looks for whom to forget
HOUR = 3600.0  # s
MOVED = 50.0  # m: a trailer that was moved is another station
MOST = 20_000  # stations of a shard, whose 250 km2 have some hundred: further names are made up, and 2.3 kB each


class Stands(Protocol):
    """Where a station stands, and which way it watches, degrees."""

    lat: float
    lon: float
    heading: float


def has_moved(station: Stands, row: Rows) -> bool:
    """Whether it stands elsewhere by its newest row, or watches another way."""
    where = float(row["lat"]), float(row["lon"]), float(row["heading"])
    if where == (station.lat, station.lon, station.heading):  # as nearly all say
        return False
    far = apart(where[0], where[1], station.lat, station.lon)
    return far > MOVED or bool(angle_between(where[2], station.heading) > SAME_WAY)


def is_late(time: int, interval: float, now: int) -> bool:
    """Whether a station whose newest interval, of so many s, ended at `time` should have spoken before `now`, ms."""
    return now > time + LATE * 1000.0 * interval
