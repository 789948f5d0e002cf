"""Wrong-way drivers: a vehicle that keeps driving where, and against how, everybody else drives.

A sample is suspect when nearly all that passed just there went the other way. What is undivided, where both ways lie within
the error of a position, never is; nor is a place of which too little is known.
"""

from __future__ import annotations

from collections import deque
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.directions import Directions, Seen
from detectors.geometry import angle_between, distance, mean_heading, metres
from detectors.model import Finding, Frame, Rows

DRIVING = 15.0 / 3.6  # m/s: slower is manoeuvring, and headings from a receiver that stands still are noise
OPPOSED = 60.0  # vehicles the other way before a place has a direction at all: fewer may be a quiet two-way street
SUSPECT = 0.03  # share of the vehicles just here that went this way
ORDINARY_SHARE = 0.3  # with so many going this way the suspicion is dropped
SAMPLES = 2
CERTAIN = 4.0  # sum of -log10(share) over a vehicle's samples
STRETCH = 30.0  # m driven against the traffic: wider than a junction, so turning across one is not enough
STEER = 30.0  # degrees between where it says it goes and where it went
PAST = 10_000  # ms of everybody's way that is looked at for jumps
MISTRUST = 60_000  # ms: a receiver that jumped once may still be off
SLACK = 15.0  # m: error of two positions
SILENT = 60_000  # ms after which a suspect is gone; of some senders only one row a minute is not too late
RADIUS = 25.0  # m driven in a second
STRIDE = 4_000  # ms: few rows wait so long for company, for numpy's sake
COMPANY = 200  # rows that need not wait


class Sample(NamedTuple):
    """A vehicle seen against the traffic."""

    time: int
    lat: float
    lon: float
    heading: float
    speed: float
    surprise: float  # -log10 of the share
    opposed: float  # vehicles


class WrongWay:
    """Follows a vehicle against the traffic from its second or third sample on, for as long as it is seen."""

    kinds: ClassVar[tuple[str, ...]] = ("wrong_way",)

    def __init__(self) -> None:
        self._directions = Directions()
        self._waiting: list[Rows] = []
        self._count = 0  # rows waiting
        self._looked = 0  # ms
        self._lately: deque[Seen] = deque()
        self._suspects: dict[int, list[Sample]] = {}
        self._jumped: dict[int, int] = {}  # reporter -> when

    def update(self, frame: Frame) -> list[Finding]:
        if len(frame.observations):
            self._waiting.append(frame.observations)
            self._count += len(frame.observations)
        if frame.end - self._looked < STRIDE and self._count < COMPANY:
            return []
        self._looked = frame.end
        self._expire(frame.end)
        if not self._waiting:
            return []
        seen = _driving(self._waiting)
        self._waiting, self._count = [], 0
        return self._look(seen, frame.end) if len(seen.time) else []

    def _look(self, seen: Seen, now: int) -> list[Finding]:
        places, strange = self._directions.look(seen, now)
        changed: set[int] = set()
        if strange.any() and not self._directions.ignorant():
            which = np.flatnonzero(strange)
            looked = self._directions.contested(seen.only(which), now, OPPOSED)
            if self._suspects:
                looked |= np.isin(seen.reporter[which], np.fromiter(self._suspects, np.uint64))
            which = which[looked]
            share, opposed = self._directions.share(seen.only(which), now)
            doubt = (share < SUSPECT) & (opposed >= OPPOSED)
            for i, p, n in zip(which[doubt].tolist(), share[doubt].tolist(), opposed[doubt].tolist(), strict=True):
                time, name, *where = (column[i].item() for column in seen)
                lat, lon, speed, heading = where
                sample = Sample(time, lat, lon, heading, speed, float(-np.log10(p)), n)
                self._suspects.setdefault(name, []).append(sample)
                changed.add(name)
            strange[which] = share < ORDINARY_SHARE
        found = []
        if self._suspects:
            suspected = np.isin(seen.reporter, np.fromiter(self._suspects, np.uint64))
            for name in np.unique(seen.reporter[suspected & ~strange]).tolist():
                del self._suspects[name]
            self._lately.append(seen)
            found = [f for name in sorted(changed & set(self._suspects)) if (f := self._claim(name, now)) is not None]
            fine = ~suspected  # the others' passes would vouch for themselves
            self._directions.learn(seen.only(fine), places.only(fine), now)
        else:
            self._lately.append(seen)
            self._directions.learn(seen, places, now)
        return found

    def _claim(self, name: int, now: int) -> Finding | None:
        if self._implausible(name):
            self._jumped[name] = now
        if name in self._jumped:
            del self._suspects[name]
            return None
        samples = self._suspects[name]
        first, last = samples[0], samples[-1]
        east, north = metres(last.lat, last.lon, first.lat, first.lon)
        driven, score = float(np.hypot(east, north)), sum(s.surprise for s in samples)
        if len(samples) < SAMPLES or driven < STRETCH or score < CERTAIN:
            return None
        went = float(np.degrees(np.arctan2(east, north)))
        if angle_between(went, mean_heading([s.heading for s in samples])) > STEER:
            return None
        # the evidence reaches back to where it was seen before, a long way when most of its rows come too late
        radius = max(RADIUS, float(distance(last.lat, last.lon, samples[-2].lat, samples[-2].lon)))
        evidence = (
            ("driven_m", round(driven, 1)),
            ("opposed_vehicles", round(min(s.opposed for s in samples), 1)),
            ("samples", float(len(samples))),
            ("speed_mps", round(last.speed, 1)),
        )
        place = (last.lat, last.lon, last.heading % 360.0, radius)
        return Finding("wrong_way", now, first.time, *place, score, frozenset((name,)), evidence)

    def _implausible(self, name: int) -> bool:
        """Did it move otherwise than its speed allows, lately? Then its place is not to be believed."""
        track = [seen.only(seen.reporter == name) for seen in self._lately]
        time, lat, lon, speed = (np.concatenate([getattr(s, c) for s in track]) for c in ("time", "lat", "lon", "speed"))
        if len(time) < 2:
            return False
        seconds = np.diff(time) / 1000.0
        east, north = metres(lat, lon, float(lat[0]), float(lon[0]))
        moved = np.hypot(np.diff(east), np.diff(north))
        drove = seconds * (speed[1:] + speed[:-1]) / 2
        # 3 m/s2 either way between two samples
        return bool((np.abs(moved - drove) > 1.5 * seconds**2 + 0.1 * drove + SLACK).any())

    def _expire(self, now: int) -> None:
        while self._lately and int(self._lately[0].time[-1]) < now - PAST:
            self._lately.popleft()
        self._directions.sweep(now)
        self._jumped = {r: t for r, t in self._jumped.items() if now - t < MISTRUST}
        for name in [r for r, samples in self._suspects.items() if now - samples[-1].time > SILENT]:
            # its way counts after all: a road whose direction was changed is learned so
            time, lat, lon, heading, speed = (
                np.array(column) for column in list(zip(*self._suspects.pop(name), strict=True))[:5]
            )
            self._directions.learn_late(Seen(time, np.full(len(time), name, np.uint64), lat, lon, speed, heading), now)


def _driving(waiting: list[Rows]) -> Seen:
    """The columns of those on the move; NaN is neither fast enough nor a heading."""

    def column(name: str) -> NDArray[Any]:
        return np.concatenate([rows[name] for rows in waiting])

    speed, heading = column("speed"), column("heading")
    keep = np.flatnonzero((speed > DRIVING) & (heading >= 0.0))
    return Seen(
        column("time")[keep],
        column("reporter")[keep],
        column("lat")[keep],
        column("lon")[keep],
        speed[keep].astype(np.float64),
        heading[keep].astype(np.float64),
    )
