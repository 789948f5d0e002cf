"""Traffic that comes to a stand where it usually flows: the queue behind an obstruction, and where its tail is.

A vehicle that falls to less than half of its lately highest speed is rare on a road that flows and common at merges and
lights. So every place learns how often vehicles ease off there; several that fall deep within a minute and 100 m, where that
is a surprise, open an incident. From then on weaker evidence is enough to follow the queue: whoever falls, or crawls, near it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from detectors.geometry import angle_between, metres
from detectors.lattice import Floats
from detectors.model import Finding, Frame
from detectors.rarity import PlaceRates
from detectors.tracks import Seen, Tracks

SURPRISE = 5.0  # -log10 of the chance: there are some 1e4 places and windows to be wrong in on a day
WINDOWS = (30.0, 120.0)  # s: a crowd stops within seconds, few equipped vehicles need minutes
RADIUS = 100.0  # m: within it vehicles that stop for the same reason stop in half a minute (15 km/h)
SAME_WAY = 45.0  # degrees
COMPANY = 2  # reporters at least: one vehicle that stops may have its own reasons
REACH = 150.0  # m: what is slow this near to a queue belongs to it
LASTS = 120_000  # ms for which a queue's place is remembered
APART = 40.0  # m between two remembered places of a queue
CRAWL = 0.5  # of the place's usual speed
EVERY = 5_000  # ms between two looks at who crawls in a queue


@dataclass(frozen=True, slots=True)
class _Fall:
    time: int  # ms: end of the pane
    reporter: int
    lat: float
    lon: float
    heading: float


class StationaryTraffic:
    """Finds where traffic falls to a stand, and follows the queue for as long as it lasts."""

    kinds: ClassVar[tuple[str, ...]] = ("dangerous_end_of_queue", "traffic_condition")

    def __init__(self) -> None:
        self._tracks = Tracks()
        self._places = PlaceRates()
        self._falls: list[_Fall] = []
        self._queue: Floats = np.empty((0, 5))  # time, lat, lon, heading, usual speed of places in known queues

    def update(self, frame: Frame) -> list[Finding]:
        now = frame.end
        if not len(frame.observations):
            return []
        seen = self._tracks.update(frame.observations, now)
        self._queue = self._queue[self._queue[:, 0] > now - LASTS]
        findings = [f for i in np.flatnonzero(seen.fell) if (f := self._fall(seen, int(i), now))]
        if len(self._queue) and now % EVERY < frame.end - frame.start:
            findings += self._crawling(seen, now)
        eased = np.flatnonzero(seen.eased)
        count = np.zeros(len(seen))
        count[eased] = [self._place(seen, int(i)) < 0 for i in eased]  # a queue must not teach that queues are usual
        self._places.learn(now, seen.lat, seen.lon, seen.heading, seen.metres, seen.seconds, count)
        return findings

    def _place(self, seen: Seen, i: int) -> int:
        """Index of the nearest place of a known queue within REACH, the same way; -1 if there is none."""
        queue = self._queue
        if not len(queue):
            return -1
        east, north = metres(queue[:, 1], queue[:, 2], float(seen.lat[i]), float(seen.lon[i]))
        far = np.hypot(east, north) + np.where(angle_between(queue[:, 3], seen.heading[i]) > SAME_WAY, np.inf, 0.0)
        nearest = int(np.argmin(far))
        return nearest if far[nearest] <= REACH else -1

    def _fall(self, seen: Seen, i: int, now: int) -> Finding | None:
        self._falls = [f for f in self._falls if f.time > now - WINDOWS[-1] * 1000.0]
        fall = _Fall(now, int(seen.rows["reporter"][i]), float(seen.lat[i]), float(seen.lon[i]), float(seen.heading[i]))
        self._falls.append(fall)
        east, north = metres([f.lat for f in self._falls], [f.lon for f in self._falls], fall.lat, fall.lon)
        near = np.hypot(east, north) <= RADIUS
        near &= angle_between([f.heading for f in self._falls], fall.heading) <= SAME_WAY
        company = [f for f, is_near in zip(self._falls, near, strict=True) if is_near]
        best, behind = 0.0, [fall]
        queued = self._place(seen, i) >= 0
        for window in WINDOWS:
            recent = [f for f in company if f.time > now - window * 1000.0]
            count = len({f.reporter for f in recent})
            if count < COMPANY or queued:
                continue
            score = self._places.surprise(fall.lat, fall.lon, fall.heading, now, (count,), window, RADIUS)
            if score > best:
                best, behind = score, recent
        if best < SURPRISE and not queued:
            return None
        self._remember(now, fall.lat, fall.lon, fall.heading)
        return Finding(
            kind="dangerous_end_of_queue",
            time=now,
            onset=min(f.time for f in behind),
            lat=fall.lat,
            lon=fall.lon,
            heading=fall.heading,
            radius=RADIUS,
            score=best,
            reporters=frozenset(f.reporter for f in behind),
            evidence=(("stopping_vehicles", float(len({f.reporter for f in behind}))),),
        )

    def _crawling(self, seen: Seen, now: int) -> list[Finding]:
        """Who is much slower than was usual before the queue keeps it known."""
        found = []
        for i in np.flatnonzero(seen.speed < CRAWL * self._queue[:, 4].max()):
            nearest = self._place(seen, int(i))
            if nearest < 0 or seen.speed[i] >= CRAWL * self._queue[nearest, 4]:
                continue
            lat, lon, heading = float(seen.lat[i]), float(seen.lon[i]), float(seen.heading[i])
            if self._remember(now, lat, lon, heading):
                reporter = int(seen.rows["reporter"][i])
                found.append(Finding("traffic_condition", now, now, lat, lon, heading, RADIUS, 0.0, frozenset({reporter})))
        return found

    def _remember(self, now: int, lat: float, lon: float, heading: float) -> bool:
        """Note that there is a queue at this place; False if that was said of it in this pane already."""
        queue = self._queue
        east, north = metres(queue[:, 1], queue[:, 2], lat, lon)
        same = (np.hypot(east, north) <= APART) & (angle_between(queue[:, 3], heading) <= SAME_WAY)
        if same.any():
            fresh = bool((queue[same, 0] < now).all())
            queue[same, 0] = now
            return fresh
        usual = self._places.usual_speed(lat, lon, heading, now)
        self._queue = np.vstack([queue, (now, lat, lon, heading, usual)])
        return True
