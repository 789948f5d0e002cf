"""A road that is blocked between two roadside sensors: slow before, free behind, and fewer come through than did.

Before a bottleneck of every day traffic is slow and behind it free as well, but behind it flows what the road can carry. Where
something blocks lanes, less comes through than a moment ago. So both are asked: the speed of one station, and the speed and
the volume of the next one downstream. One shard must see both, so stations count that lie in its cells or near its border.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from river import stats

from detectors.geometry import angle_between, metres
from detectors.model import Finding, Frame, Rows
from detectors.rarity import tail
from detectors.stations import FAST, FORGET, HOUR, LATE, MOST, NEXT, REPEAT, SAME_WAY, SWEEP, has_moved, is_late

SLOW = 0.7  # of the usual speed: motorways at capacity flow at 0.75 to 0.85 of free flow (HCM), slower is a queue
FREE = 0.75  # of it: the queue has not come from farther downstream
THINNER = 0.75  # of the usual volume: one lane of three blocked leaves two thirds at capacity, of two under a half
OPEN = 0.9  # of the usual volume, from which on a claim is over
BEFORE = 0.8  # of the usual speed, in one of the intervals before: a queue that is news
INTERVALS = 10  # before a station is judged at all
ACCUSTOMED = 7_200_000  # ms: what is slow for two hours is road works, and learned as usual; rush hours are shorter
LEARN = 0.05  # share of an interval in what is usual: 30 s make 10 minutes
EMPTY = 5.0  # vehicles an interval, usually: then nobody in one is a chance of 0.7 % if they came singly, and means something
STANDING = 0.5  # of the time: a loop under vehicles that stand; at capacity a motorway's loops are covered for 0.2 to 0.3
APART = 100.0  # m: what is nearer is the same station's other lanes
ASIDE = 0.5  # of the distance: a road bends, but so much
CLUMPS = 20.0  # shape of the counts: vehicles drive in groups, so they scatter more than chance alone
ERRS = 0.1  # of the usual speed: standard deviation of a mean over some twenty vehicles, from one interval to the next


@dataclass(slots=True)
class _Station:
    """What one sensor lately said, newest last."""

    time: int  # ms: end of the newest interval
    lat: float
    lon: float
    heading: float
    interval: float  # s
    usual_speed: stats.EWMean
    usual_volume: stats.EWMean
    heard: int = 0  # intervals
    shares: tuple[float, ...] = ()  # of the usual speed, three at most
    volumes: tuple[float, ...] = ()  # vehicles per hour, two at most
    slow: int = 0  # ms: since when it is slower than BEFORE; 0 if it is not
    since: int = 0  # ms: what it claims began; 0 if nothing

    def presumed(self, occupancy: float) -> float | None:
        """The speed (m/s) of an interval in which nobody passed: none under vehicles that stand on the loop, the usual one
        where the road is empty. None where so few pass that it says nothing."""
        usual = self.usual_speed.get()
        if usual is None or (self.usual_volume.get() or 0.0) * self.interval / HOUR < EMPTY:
            return None
        return 0.0 if occupancy >= STANDING else usual

    def hear(self, time: int, speed: float, volume: float, teaches: bool = True) -> None:
        usual = self.usual_speed.get() or speed
        self.slow = 0 if speed >= BEFORE * usual else self.slow or time
        self.time = time
        self.shares = (*self.shares, speed / max(usual, 1.0))[-3:]
        self.volumes = (*self.volumes, volume)[-2:]
        if teaches and (not self.slow or time - self.slow > ACCUSTOMED):  # a queue must not teach that queues are usual
            self.usual_speed.update(speed)
            self.usual_volume.update(volume)
        self.heard += 1

    def is_late(self, now: int) -> bool:
        return is_late(self.time, self.interval, now)

    @property
    def flow(self) -> float:
        """Volume of the newest intervals as a share of the usual one."""
        return sum(self.volumes) / len(self.volumes) / max(self.usual_volume.get() or 0.0, 1.0)


class BlockedRoad:
    """Compares each station with the next one downstream whenever it speaks; a finding is repeated while it lasts."""

    kinds: ClassVar[tuple[str, ...]] = ("dangerous_end_of_queue",)

    def __init__(self) -> None:
        self._stations: dict[int, _Station] = {}
        self._claims: dict[int, Finding] = {}  # the newest of each station that has one
        self._swept = 0  # ms

    def update(self, frame: Frame) -> list[Finding]:
        if frame.end - self._swept >= SWEEP:
            self._stations = {name: s for name, s in self._stations.items() if s.time > frame.end - FORGET}
            self._claims = {name: claim for name, claim in self._claims.items() if name in self._stations}
            self._swept = frame.end
        rows = frame.sensors
        if not len(rows) and not self._claims:
            return []
        tells = (rows["speed"] >= 0.0) | (rows["volume"] == 0.0)  # where nobody passed there is no speed
        rows = rows[tells & (rows["volume"] >= 0.0) & (rows["heading"] >= 0.0) & (rows["interval"] > 0.0)]
        spoke = [name for i in range(len(rows)) if (name := self._hear(rows, i)) is not None]
        found = {name: finding for name in spoke if (finding := self._judge(name, frame.end))}
        before = {name: claim for name, claim in self._claims.items() if name not in spoke}
        repeated = self._repeated(before, frame)
        self._claims = before | found
        return [*found.values(), *repeated]

    def _repeated(self, claims: dict[int, Finding], frame: Frame) -> list[Finding]:
        """What was claimed and has not been heard to be over, of stations that are not late: some speak every five minutes."""
        now = frame.end
        if not frame.ends_a(REPEAT):
            return []
        return [replace(claim, time=now) for name, claim in claims.items() if not self._stations[name].is_late(now)]

    def _hear(self, rows: Rows, i: int) -> int | None:
        """The station, if what it says tells anything."""
        name, row = int(rows["reporter"][i]), rows[i]
        station, time, interval = self._stations.get(name), int(row["time"]), float(row["interval"])
        if station is not None and time <= station.time:  # said before
            return None
        if station is None and len(self._stations) >= MOST:
            return None
        if station is None or has_moved(station, row):
            where = float(row["lat"]), float(row["lon"]), float(row["heading"])
            usual = stats.EWMean(LEARN), stats.EWMean(LEARN)
            station = self._stations[name] = _Station(0, *where, interval, *usual)
        station.interval = interval
        speed, volume = float(row["speed"]), float(row["volume"])
        if math.isnan(speed):
            if (presumed := station.presumed(float(row["occupancy"]))) is None:
                return None
            station.hear(time, presumed, volume, teaches=False)
        else:
            station.hear(time, speed, volume)
        return name

    def _judge(self, name: int, now: int) -> Finding | None:
        here = self._stations[name]
        if here.heard <= INTERVALS or here.usual_speed.get() < FAST:
            return None
        if here.shares[-1] >= SLOW or (ahead := self._ahead(here)) is None:  # most are not slow: look no farther for them
            here.since = 0
            return None
        there = self._stations[ahead]
        begins = max(here.shares[:-1], default=0.0) >= BEFORE and there.flow < THINNER
        goes_on = here.since > 0 and there.flow < OPEN
        if not (there.shares[-1] >= FREE and (begins or goes_on)):
            here.since = 0
            return None
        here.since = here.since or here.time - int(1000 * here.interval)
        east, north = metres(there.lat, there.lon, here.lat, here.lon)
        return Finding(
            kind="dangerous_end_of_queue",
            time=now,
            onset=here.since,
            lat=(here.lat + there.lat) / 2.0,
            lon=(here.lon + there.lon) / 2.0,
            heading=here.heading,
            radius=float(math.hypot(east, north)) / 2.0,
            score=_surprise(here, there),
            reporters=frozenset({name, ahead}),
            evidence=(("passing_share", round(there.flow, 2)), ("speed_share", round(here.shares[-1], 2))),
        )

    def _ahead(self, here: _Station) -> int | None:
        """The next station downstream that speaks of the same time."""
        late = LATE * 1000.0 * here.interval
        names = [n for n, s in self._stations.items() if s.heard > INTERVALS and abs(s.time - here.time) <= late]
        others = [self._stations[name] for name in names]
        lat, lon, heading = (np.array([getattr(s, axis) for s in others]) for axis in ("lat", "lon", "heading"))
        east, north = metres(lat, lon, here.lat, here.lon)
        turn = math.radians(here.heading)
        along = east * math.sin(turn) + north * math.cos(turn)
        across = east * math.cos(turn) - north * math.sin(turn)
        ahead = (along > APART) & (along < NEXT) & (np.abs(across) <= ASIDE * along)
        ahead &= angle_between(heading, here.heading) <= SAME_WAY
        return names[int(np.argmin(np.where(ahead, along, np.inf)))] if ahead.any() else None


def _surprise(here: _Station, there: _Station) -> float:
    """-log10 of the chance of so slow a mean speed and of so few that come through, all being well."""
    slow = math.erfc((1.0 - here.shares[-1]) / ERRS / math.sqrt(2.0)) / 2.0
    hours = len(there.volumes) * there.interval / HOUR
    mean, count = (there.usual_volume.get() or 0.0) * hours, round(sum(there.volumes) / len(there.volumes) * hours)
    few = 1.0 - tail(count + 1, CLUMPS, mean) if mean > 0.0 else 1.0
    return -math.log10(max(slow, 1e-9)) - math.log10(max(few, 1e-9))
