"""A lane that hardly anybody uses any more while the others flow: something stands in it, near a sensor that counts by lane.

A car that breaks down in one lane of three slows nobody where there is room to go round it, so neither speeds nor queues tell
of it, and it may not be one that sends. But for some two hundred metres before and behind it its lane is nearly empty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from detectors.geometry import angle_between, metres
from detectors.lane_shares import LaneShares
from detectors.model import Finding, Frame, Rows

FAST = 17.0  # m/s, 61 km/h: slower roads have lights, and lanes for those who turn
CLAIMED = 9.0  # nats: by chance alone once in a hundred hours of a station (tests/test_shunned_lane.py)
HELD = 4.5  # nats: less, and a claim is over
ACCUSTOMED = 7_200_000  # ms: a lane that nobody has used for two hours is closed, and that is usual by then
MISSING = 0.5  # of the lane's usual vehicles: more, and they drive by while the loop in their lane is dead
NEXT = 1500.0  # m to the two stations that tell; motorways have one each 500 to 1000 m
SAME_WAY = 45.0  # degrees
REPEAT = 10_000  # ms between two findings of one claim
LATE = 1.5  # intervals after which a station that has not spoken says nothing any more
GAP = 5.0  # intervals without a word after which what was gathered is void
RADIUS = 300.0  # m: where the lane may be blocked, before the sensor or behind it
HOUR = 3600.0  # s
FORGET = 3_600_000  # ms without a word
SWEEP = 600_000  # ms between two looks for whom to forget


@dataclass(slots=True)
class _Station:
    """One sensor, and the lane that it claims is shunned."""

    lat: float
    lon: float
    heading: float
    places: tuple[int, ...]  # of its lanes across the road, from 0
    lanes: LaneShares
    time: int = 0  # ms: end of the newest interval
    interval: float = 0.0  # s
    risen: int = 0  # ms: since when there is evidence; 0 while there is none
    claimed: int = -1  # which lane; -1: none

    def flow(self, since: int) -> float:
        """How many passed since then, ms, as a share of the usual; 0 where that is not known."""
        return self.lanes.flow(max(1, round((self.time - since) / 1000.0 / self.interval)))

    def is_late(self, now: int) -> bool:
        return now > self.time + LATE * 1000.0 * self.interval


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
        again = frame.end % REPEAT < frame.end - frame.start
        return [
            self._finding(name, station, frame.end)
            for name, station in self._stations.items()
            if station.claimed >= 0 and (name in spoke or (again and not station.is_late(frame.end)))
        ]

    def _hear(self, row: Rows) -> bool:
        """Whether it is news of its station."""
        name, time, interval = int(row["reporter"]), int(row["time"]), float(row["interval"])
        volumes, speeds = row["lane_volume"].tolist(), row["lane_speed"].tolist()
        places = tuple(place for place, volume in enumerate(volumes) if volume >= 0.0)
        station = self._stations.get(name)
        if station is None or station.places != places:  # with other lanes it is another one
            where = float(row["lat"]), float(row["lon"]), float(row["heading"])
            station = self._stations[name] = _Station(*where, places, LaneShares(len(places)))
        if time <= station.time:
            return False
        if time - station.time > GAP * 1000.0 * interval:
            station.lanes.pause()
            station.risen = 0
        station.time, station.interval = time, interval
        counts = [volumes[place] * interval / HOUR for place in places]
        station.lanes.hear(counts, [speeds[place] for place in places])
        return True

    def _judge(self, station: _Station) -> None:
        evidence = [lane.evidence for lane in station.lanes.lanes]
        most = max(evidence)
        if most == 0.0:
            station.risen = 0
        elif not station.risen:
            station.risen = station.time - int(1000 * station.interval)
        if station.claimed >= 0 and evidence[station.claimed] < HELD:
            station.claimed = -1
        if station.claimed < 0 and most >= CLAIMED and station.lanes.usual_speed >= FAST:
            lane = evidence.index(most)
            if self._missing(station) <= MISSING * station.lanes.lanes[lane].share:
                station.claimed = lane
        if station.risen and station.time - station.risen > ACCUSTOMED:
            station.lanes, station.claimed, station.risen = LaneShares(len(station.places)), -1, 0

    def _missing(self, station: _Station) -> float:
        """Which share of those who pass the stations around is not counted here; 0 where there is none to ask."""
        near = []
        for other in self._stations.values():
            here_too = angle_between(other.heading, station.heading) <= SAME_WAY and not other.is_late(station.time)
            if here_too and other is not station and (flow := other.flow(station.risen)):
                east, north = metres(other.lat, other.lon, station.lat, station.lon)
                near.append((math.hypot(east, north), flow))
        return min((1.0 - station.flow(station.risen) / flow for far, flow in sorted(near)[:2] if far <= NEXT), default=0.0)

    def _finding(self, name: int, station: _Station, now: int) -> Finding:
        lane = station.lanes.lanes[station.claimed]
        return Finding(
            kind="obstacle",
            time=now,
            onset=station.risen,
            lat=station.lat,
            lon=station.lon,
            heading=station.heading,
            radius=RADIUS,
            score=lane.evidence / math.log(10.0),
            reporters=frozenset({name}),
            evidence=(
                ("shunned_lane", float(station.places[station.claimed] + 1)),
                ("usual_share", round(lane.share, 2)),
            ),
        )
