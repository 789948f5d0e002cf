"""Known queues of slow traffic: where they are, who belongs to them, and where their two ends lie."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.geometry import M_PER_DEGREE, angle_between, distance, metres
from detectors.lattice import Floats
from detectors.model import Finding, Frame
from detectors.place_rates import PlaceRates
from detectors.tracks import Seen

SAME_WAY = 45.0  # degrees
REACH = 150.0  # m: what is slow this near to a queue belongs to it
LASTS = 120_000  # ms for which a place of a queue is remembered
SAID = 120_000  # ms for which a reported place is followed: an incident lasts that long without news
FOLLOW = 150.0  # m: an end of a queue this near to a reported place is the same queue's
APART = 40.0  # m between two remembered places
CRAWL = 0.5  # of the speed that was usual before the queue
EVERY = 5_000  # ms between two looks at who crawls
LINKED = 250.0  # m: two places no farther apart are one queue
EXTENT = 50.0  # m around an end that a finding speaks of


class Queues:
    """Places of queues: time of the last evidence (ms), lat, lon, heading, and the speed (m/s) that was usual there."""

    def __init__(self, usual: PlaceRates) -> None:
        self._usual = usual
        self._places: Floats = np.empty((0, 5))
        self._said: Floats = np.empty((0, 4))  # time, lat, lon, heading of what was lately reported

    def forget(self, now: int) -> None:
        if len(self._places):
            self._places = self._places[self._places[:, 0] > now - LASTS]
            self._said = self._said[self._said[:, 0] > now - SAID]

    def holds(self, lat: float, lon: float, heading: float) -> bool:
        """Whether this place is in a known queue."""
        far, _ = self._from(np.array([lat]), np.array([lon]), np.array([heading]))
        return bool((far <= REACH).any())

    def held(self, seen: Seen, which: list[int]) -> list[bool]:
        """The same for these vehicles."""
        far, _ = self._from(seen.lat[which], seen.lon[which], seen.heading[which])
        return [bool(nearest <= REACH) for nearest in far.min(axis=1)]

    def note(self, now: int, lat: float, lon: float, heading: float) -> None:
        """There is a queue at this place."""
        places = self._places
        east, north = metres(places[:, 1], places[:, 2], lat, lon)
        same = (np.hypot(east, north) <= APART) & (angle_between(places[:, 3], heading) <= SAME_WAY)
        if same.any():
            places[same, 0] = now
        else:
            place = (now, lat, lon, heading, self._usual.usual_speed(lat, lon, heading, now))
            self._places = np.vstack([places, place])

    def say(self, now: int, lat: float, lon: float, heading: float) -> None:
        """A queue was reported here; its ends will be followed."""
        self.note(now, lat, lon, heading)
        self._said = np.vstack([self._said, (now, lat, lon, heading)])

    def ends(self, seen: Seen, frame: Frame) -> list[Finding]:
        """Take note of who crawls in a queue, and report the ends of queues where somebody does; every few seconds."""
        now = frame.end
        if not len(self._places) or now % EVERY >= now - frame.start:
            return []
        slow = np.flatnonzero(seen.speed < CRAWL * self._places[:, 4].max())
        far, nearest = self._from(seen.lat[slow], seen.lon[slow], seen.heading[slow])
        crawls = (far.min(axis=1) <= REACH) & (seen.speed[slow] < CRAWL * self._places[nearest, 4])
        self._places[(far[crawls] <= APART).any(axis=0), 0] = now
        for i in slow[crawls & (far.min(axis=1) > APART)].tolist():
            self.note(now, float(seen.lat[i]), float(seen.lon[i]), float(seen.heading[i]))
        return self._report(seen, slow[crawls], now) if crawls.any() else []

    def _report(self, seen: Seen, crawling: NDArray[np.intp], now: int) -> list[Finding]:
        places = self._places
        lat, lon, heading = places[:, 1], places[:, 2], places[:, 3]
        north = (lat - lat[:, None]) * M_PER_DEGREE
        east = (lon - lon[:, None]) * (M_PER_DEGREE * np.cos(np.radians(lat[0])))
        ahead = east * np.sin(np.radians(heading))[:, None] + north * np.cos(np.radians(heading))[:, None]
        linked = (np.hypot(east, north) <= LINKED) & (angle_between(heading, heading[:, None]) <= SAME_WAY)
        head = ~(linked & (ahead > APART / 2)).any(axis=1)
        tail = ~(linked & (ahead < -APART / 2)).any(axis=1)
        found = []
        for i in np.flatnonzero((head | tail) & (places[:, 0] > now - EVERY)).tolist():
            off_east, off_north = metres(seen.lat[crawling], seen.lon[crawling], float(lat[i]), float(lon[i]))
            near = np.hypot(off_east, off_north) <= APART
            who = frozenset(seen.rows["reporter"][crawling][near].tolist())
            if who and self._followed(float(lat[i]), float(lon[i]), float(heading[i])):
                self._said = np.vstack([self._said, (now, lat[i], lon[i], heading[i])])
                kind = "stationary_vehicle" if head[i] else "dangerous_end_of_queue"
                where = float(lat[i]), float(lon[i]), float(heading[i])
                found.append(Finding(kind, now, now, *where, EXTENT, 0.0, who, opens=False))
        return found

    def _followed(self, lat: float, lon: float, heading: float) -> bool:
        """Whether this end belongs to what was lately reported."""
        said = self._said
        near = distance(said[:, 1], said[:, 2], lat, lon) <= FOLLOW
        return bool((near & (angle_between(said[:, 3], heading) <= SAME_WAY)).any())

    def _from(self, lat: Floats, lon: Floats, heading: Floats) -> tuple[Floats, NDArray[np.intp]]:
        """Metres from each point to each place of a queue that goes the same way, infinite if it does not; the nearest."""
        places = self._places
        if not len(places):
            return np.full((len(lat), 1), np.inf), np.zeros(len(lat), np.intp)
        north = (lat[:, None] - places[:, 1]) * M_PER_DEGREE
        east = (lon[:, None] - places[:, 2]) * (M_PER_DEGREE * math.cos(math.radians(places[0, 1])))
        far = np.hypot(north, east)
        far[angle_between(heading[:, None], places[:, 3]) > SAME_WAY] = np.inf
        return far, np.argmin(far, axis=1)
