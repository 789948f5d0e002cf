"""A lane that hardly anybody uses any more while the others flow: something stands in it, near a sensor that counts by lane.

A car that breaks down in one lane of three slows nobody where there is room to go round it, so neither speeds nor queues tell
of it, and it may not be one that sends. But for some two hundred metres before and behind it its lane is nearly empty, and
whoever left it is counted beside it: that tells it from a loop that is dead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from detectors.geometry import angle_between, metres
from detectors.lane_shares import LaneShares
from detectors.model import Finding, Frame, Rows
from detectors.stations import FAST, FORGET, HOUR, MOST, NEXT, REPEAT, SAME_WAY, SWEEP, has_moved, is_late

CLAIMED = 9.0  # nats: by chance once in 67 hours of a station: docs/decisions.md#a-threshold-must-not-be-the-simulations
HELD = 4.5  # nats: less, and a claim is over
EMPTY = 0.5  # of an equal share: a lane that takes more is not shunned, whatever it used to take
ACCUSTOMED = 7_200_000  # ms: a lane that nobody has used for two hours is closed, and that is usual by then
MISSING = 0.5  # of the lane's usual vehicles: more, and they drive by while the loop in their lane is dead
GATHERED = 25.0  # s: shorter intervals are put together, for some say every second
OTHERWISE = 3  # rows in a row with other lanes: from then on it has these
GAP = 5.0  # intervals without a word after which what was gathered is void
RADIUS = 300.0  # m: where the lane may be blocked, before the sensor or behind it


@dataclass(slots=True)
class _Station:
    """One sensor, and the lane that it claims is shunned."""

    lat: float
    lon: float
    heading: float
    places: tuple[int, ...]  # of its lanes across the road, from 0
    lanes: LaneShares
    risen: list[int]  # ms: since when there is evidence of each lane; 0 while there is none
    time: int = 0  # ms: end of the newest interval
    interval: float = 0.0  # s
    seconds: float = 0.0  # gathered, and not heard yet
    heard: float = 0.0  # s that were heard together
    counts: list[float] = field(default_factory=list)  # vehicles in them, lane by lane
    driven: list[float] = field(default_factory=list)  # m/s, summed over these vehicles
    otherwise: int = 0  # rows in a row with other lanes
    claimed: int = -1  # which lane; -1: none
    since: int = 0  # ms
    usual: float = 0.0  # its share then

    @classmethod
    def of(cls, row: Rows, places: tuple[int, ...]) -> _Station:
        where = float(row["lat"]), float(row["lon"]), float(row["heading"])
        station = cls(*where, places, LaneShares(len(places)), [0] * len(places))
        station.begin()
        return station

    def begin(self) -> None:
        """Nothing is gathered."""
        self.seconds, self.counts, self.driven = 0.0, [0.0] * len(self.places), [0.0] * len(self.places)

    def gather(self, seconds: float, volumes: list[float], speeds: list[float]) -> bool:
        """Vehicles/h and m/s of all lanes that there may be, in so many seconds; whether there were enough to be heard."""
        self.seconds += seconds
        for lane, place in enumerate(self.places):
            count = volumes[place] * seconds / HOUR
            self.counts[lane] += count
            self.driven[lane] += count * speeds[place] if count else 0.0
        if self.seconds < GATHERED:
            return False
        means = [driven / count if count else math.nan for driven, count in zip(self.driven, self.counts, strict=True)]
        self.lanes.hear(self.seconds, self.counts, means)
        self.heard = self.seconds
        self.begin()
        return True

    def pause(self) -> None:
        """It has not spoken for long."""
        self.lanes.pause()
        self.risen, self.claimed = [0] * len(self.places), -1
        self.begin()

    def flow(self, since: int) -> float:
        """How many passed since then, ms, as a share of the usual; 0 where that is not known."""
        return self.lanes.flow((self.time - since) / 1000.0)

    def is_late(self, now: int) -> bool:
        return is_late(self.time, self.interval, now)


class ShunnedLane:
    """Asks each sensor that counts by lane whether one of them is left; a finding is repeated while it lasts (`obstacle`)."""

    kinds: ClassVar[tuple[str, ...]] = ("obstacle",)

    def __init__(self) -> None:
        self._stations: dict[int, _Station] = {}
        self._swept = 0  # ms

    def update(self, frame: Frame) -> list[Finding]:
        if frame.end - self._swept >= SWEEP:
            self._stations = {name: s for name, s in self._stations.items() if s.time > frame.end - FORGET}
            self._swept = frame.end
        rows = frame.sensors
        spoke = set()
        if len(rows):
            rows = rows[(rows["lane_volume"] >= 0.0).sum(axis=1) > 1]
            rows = rows[(rows["heading"] >= 0.0) & (rows["interval"] > 0.0)]
            spoke = {int(row["reporter"]) for row in rows if self._hear(row)}
            for name in spoke:
                self._judge(self._stations[name])
        again = frame.ends_a(REPEAT)
        return [
            self._finding(name, station, frame.end)
            for name, station in self._stations.items()
            if station.claimed >= 0 and (name in spoke or (again and not station.is_late(frame.end)))
        ]

    def _hear(self, row: Rows) -> bool:
        """Whether its station has been heard by it."""
        name, time, interval = int(row["reporter"]), int(row["time"]), float(row["interval"])
        volumes, speeds = row["lane_volume"].tolist(), row["lane_speed"].tolist()
        places = tuple(place for place, volume in enumerate(volumes) if volume >= 0.0)
        station = self._stations.get(name)
        if station is not None and time <= station.time:
            return False
        if station is None and len(self._stations) >= MOST:
            return False
        if station is None or has_moved(station, row):
            station = self._stations[name] = _Station.of(row, places)
        elif station.places != places:
            station.otherwise += 1
            if station.otherwise < OTHERWISE:
                return False
            station = self._stations[name] = _Station.of(row, places)
        station.otherwise = 0
        seconds = min(interval, (time - station.time) / 1000.0)  # those that were not told before
        if time - station.time > GAP * 1000.0 * interval:
            station.pause()
        station.time, station.interval = time, interval
        return station.gather(seconds, volumes, speeds)

    def _judge(self, station: _Station) -> None:
        lanes = station.lanes.lanes
        for k, lane in enumerate(lanes):
            if lane.evidence == 0.0:
                station.risen[k] = 0
            elif not station.risen[k]:
                station.risen[k] = station.time - int(1000 * station.heard)
        if station.claimed >= 0 and lanes[station.claimed].evidence < HELD:
            station.claimed = -1
        k = max(range(len(lanes)), key=lambda k: lanes[k].evidence)
        if station.claimed < 0 and lanes[k].evidence >= CLAIMED and self._believes(station, k):
            station.claimed, station.since, station.usual = k, station.time, lanes[k].share
        began = station.since if station.claimed >= 0 else station.risen[k]
        if lanes[k].evidence >= HELD and station.time - began > ACCUSTOMED:
            station.pause()
            station.lanes = LaneShares(len(station.places))

    def _believes(self, station: _Station, lane: int) -> bool:
        """Whether it is a lane of a fast road that is left indeed, by who drives on beside it."""
        seconds = (station.time - station.risen[lane]) / 1000.0
        left = station.lanes.taken(lane, seconds) < EMPTY / len(station.places)
        counted = self._missing(station, station.risen[lane]) <= MISSING * station.lanes.lanes[lane].share
        return left and counted and station.lanes.usual_speed >= FAST

    def _missing(self, station: _Station, since: int) -> float:
        """Which share of those who pass the stations around is not counted here; 0 where there is none to ask."""
        near = []
        for other in self._stations.values():
            here_too = angle_between(other.heading, station.heading) <= SAME_WAY and not other.is_late(station.time)
            if here_too and other is not station and (flow := other.flow(since)):
                east, north = metres(other.lat, other.lon, station.lat, station.lon)
                near.append((math.hypot(east, north), flow))
        return min((1.0 - station.flow(since) / flow for far, flow in sorted(near)[:2] if far <= NEXT), default=0.0)

    def _finding(self, name: int, station: _Station, now: int) -> Finding:
        return Finding(
            kind="obstacle",
            time=now,
            onset=station.risen[station.claimed],
            lat=station.lat,
            lon=station.lon,
            heading=station.heading,
            radius=RADIUS,
            score=station.lanes.lanes[station.claimed].evidence / math.log(10.0),
            reporters=frozenset({name}),
            evidence=(
                ("shunned_lane", float(station.places[station.claimed] + 1)),
                ("usual_share", round(station.usual, 2)),
            ),
        )
